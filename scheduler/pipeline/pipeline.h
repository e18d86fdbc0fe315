/* The pipeline file as structs: read, merged, bound and checked. What it may hold:
 * docs/pipeline.md, made from the same table of keys (keys.def) that parses it. Everything lives in
 * the pipeline's arena; free it whole. */
#ifndef WEIR_SCHEDULER_PIPELINE_PIPELINE_H
#define WEIR_SCHEDULER_PIPELINE_PIPELINE_H

#include "connectors/catalog/catalog.h"
#include "connectors/sink/sink.h"
#include "engine/base/context.h"
#include "engine/vec/type.h"
#include "scheduler/pipeline/cron.h"

struct weir_key_value {
    const char *key, *value;
};

struct weir_tls_config {
    const char *ca_file, *cert_file, *key_file; /* PEM; NULL: the system's, none */
};
struct weir_s3_config {
    const char *endpoint, *region, *kms_key, *account, *profile, *role_arn,
        *role_external_id; /* NULL = none */
    bool path_style;
    struct weir_tls_config tls;
    int64_t versions_ms; /* the bucket keeps versions of deleted objects so long; 0: not said */
};

enum weir_catalog_kind { WEIR_CATALOG_SQLITE, WEIR_CATALOG_OBJECT_STORE, WEIR_CATALOG_REST };
enum weir_start_kind {
    WEIR_START_EARLIEST,
    WEIR_START_LATEST,
    WEIR_START_TIME,
    WEIR_START_OFFSETS
};
enum weir_on_invalid { WEIR_INVALID_QUARANTINE, WEIR_INVALID_FAIL };
enum weir_on_fail { WEIR_ON_FAIL_QUARANTINE, WEIR_ON_FAIL_FAIL, WEIR_ON_FAIL_WARN };

/* A schema registry; url NULL: none. */
struct weir_registry_config {
    const char *url;
    const char *user, *password, *bearer; /* one way to log in, or none */
    int64_t timeout_ms;
    struct weir_tls_config tls;
};

struct weir_source_config {
    const char *name;
    bool is_kafka;
    /* kafka */
    const char **topics;
    size_t topic_count; /* one "/regex/" or names */
    enum weir_start_kind start;
    int64_t start_time_ms;
    const struct weir_start_offset {
        int32_t partition;
        int64_t offset;
    } * start_offsets;
    size_t start_offset_count;
    const char *group; /* NULL = weir-{pipeline}-{source} */
    bool transactional, headers, framed;
    const struct weir_key_value *properties;
    size_t property_count; /* librdkafka's, secrets resolved */
    /* files */
    const char *files;  /* path or glob, absolute or s3:// */
    const char *format; /* "json", "avro", "csv", "parquet" */
    struct weir_csv_config {
        char delimiter, quote;
        bool header, latin1;
        const char *null_text;
    } csv;
    struct weir_registry_config registry; /* of Avro records of Kafka */
};

struct weir_expectation {
    const char *name, *that;
    enum weir_on_fail on_fail;
    const char *location; /* file:line:column */
};

/* What upkeep does to a table (`lifecycle`); all zero: nothing. */
struct weir_lifecycle_config {
    int64_t retain_ms;      /* rows whose `by` lies further back are dropped; 0: never */
    const char *retain_by;  /* timestamptz, timestamp or date column */
    int64_t retain_step_ms; /* the horizon moves by whole ones of these */
    const char *retain_location;
    bool compacts;
    int64_t small_files; /* so many in a partition are due */
    uint64_t compact_target;
    bool expires;
    int64_t snapshots_ms;      /* age at which they go; -1: by number alone */
    int64_t at_least, at_most; /* of main's; at_most 0: any */
    int64_t tags_ms;           /* age of its snapshot at which a tag goes; 0: never */
    const char *snapshots_location;
    bool sweeps;            /* files that nothing reaches are deleted */
    int64_t sweep_grace_ms; /* of its two passes */
    int64_t quarantine_ms;  /* refused, set aside and late rows are kept so long; -1: for ever */
};

struct weir_table_config {
    const char *name; /* "bronze.inventory" */
    const char *layer, *short_name;
    const struct weir_source_config *source;
    const char *where; /* NULL */
    const char *where_location;
    struct weir_type columns; /* STRUCT as declared; ids 0; required flags, docs */
    const struct weir_column_config {
        const char *path;
        const char *class_name, *subject, *unit;
        const char **aliases; /* other names in files and schemas */
        size_t alias_count;
        bool bounds;
        bool class_given, bounds_given; /* false: the default of `class` and `bounds` */
        const char *class_location;     /* file:line:column of the class, or of the column */
    } * column_configs;
    size_t column_config_count;
    /* Of an Avro schema's fields that are not null: what is read where a writer's lacks them. */
    const struct weir_column_default {
        const char *name, *json;
    } * defaults;
    size_t default_count;
    const struct weir_expectation *expectations;
    size_t expectation_count;
    enum weir_on_invalid on_invalid;
    double max_invalid_share;
    int64_t max_invalid_of_at_least; /* share 0 = off */
    int unknown_fields;              /* enum weir_unknown_fields of formats/json */
    const char **partition_by;
    size_t partition_by_count; /* "days(collected_at)" */
    const struct weir_sort_field {
        const char *path;
        bool descending, nulls_first;
    } * sort_by;
    size_t sort_count;
    int codec, codec_level; /* enum weir_codec of formats/parquet */
    uint64_t file_size, row_group_size;
    const char **bloom;
    size_t bloom_count;
    bool metadata;        /* the _kafka / _source_file column */
    bool tombstones_skip; /* tombstones: skip; else a null value is refused */
    const char *digest;   /* hex of the definition */
    const char *location; /* file:line:column of its key */
    struct weir_lifecycle_config lifecycle;
};

enum weir_model_mode {
    WEIR_MODEL_APPEND,
    WEIR_MODEL_MERGE,
    WEIR_MODEL_RECOMPUTE,
    WEIR_MODEL_FULL,
    WEIR_MODEL_VIEW
};
enum weir_on_change { WEIR_CHANGE_ASK, WEIR_CHANGE_FORWARD, WEIR_CHANGE_REBUILD };

/* What a promotion does about changes of sources that do not drive it. */
enum weir_reprocess { WEIR_REPROCESS_TOUCHED, WEIR_REPROCESS_ALL, WEIR_REPROCESS_NEVER };

/* When a run promotes a model. RULE: rows or age, whichever comes first; 0 rows, negative age: that
 * one is not given. */
enum weir_promote_when {
    WEIR_WHEN_ADVANCED, /* as soon as a source is */
    WEIR_WHEN_RULE,
    WEIR_WHEN_CRON,
    WEIR_WHEN_MANUAL
};
struct weir_promote_rule {
    enum weir_promote_when when;
    int64_t rows, age_ms;
    const char *cron_text;
    struct weir_cron cron;
};

/* What must hold for a model's table before readers see it: `bad_rows` is a query over the table
 * that yields what breaks it. QUARANTINE: rows that break it are set aside before the table is
 * written: `bad` is a condition over the row weir_t, or `unique` columns ("a", "b") of which one
 * row each stays; bad_rows then serves for a look at the whole table. */
struct weir_gate {
    const char *name, *bad_rows;
    enum weir_on_fail on_fail;
    const char *bad, *unique; /* one of them, of QUARANTINE; else NULL */
    const char *other;        /* QUARANTINE: table that `bad` reads too; NULL */
    const char *location;
};

/* A table that is a query over other tables; or, with `files`, over files that are the whole truth
 * each time they change. table.source is NULL; table.columns are those declared, if any. */
struct weir_model_config {
    struct weir_table_config table;
    const char *sql;      /* text of the query, or made for `files` */
    const char *sql_file; /* as shown in errors; NULL: made */
    const char *files;    /* path or glob of the files it stands for; NULL: a model of tables */
    enum weir_model_mode mode;
    const char **keys; /* unique_key (merge) or group_by (recompute) */
    size_t key_count;
    const char **order_by; /* merge: SQL terms, the first row wins */
    size_t order_count;
    const char *delete_when; /* merge: SQL condition over the model's columns; NULL */
    const char **driven_by;  /* sources whose changes make it due; none: all */
    size_t driven_count;
    enum weir_reprocess reprocess;
    enum weir_on_change on_change;
    bool from_what_is_left; /* on_closed: recompute */
    struct weir_promote_rule promote;
    const struct weir_gate *gates;
    size_t gate_count;
    size_t aside_count; /* of them with QUARANTINE */
    const char *description;
};

/* Who is told of a table's changes. */
enum weir_sink_kind { WEIR_SINK_OPENSEARCH, WEIR_SINK_WEBHOOK, WEIR_SINK_KAFKA };
struct weir_sink_config {
    const char *name, *location;
    const struct weir_table_config *from; /* of pipeline->tables, or a model's */
    bool sends[3];                        /* by enum weir_change_kind */
    const char *where, *where_location;   /* NULL: every row */
    const char **columns;                 /* NULL: all */
    size_t column_count;
    const char **keys; /* as given, else the table's; none: a bronze table, by where its records
                          came from */
    size_t key_count;
    int64_t max_age_ms;   /* 0: any */
    bool from_latest;     /* a new one begins behind what is there */
    bool tells_retention; /* rows that retention drops are deletes */
    int tries;
    enum weir_sink_kind kind;
    struct weir_opensearch_options opensearch;
    struct weir_webhook_options webhook;
    struct weir_kafka_sink_options kafka;
    const char *digest; /* hex of what decides which changes are sent, and in which order */
};

/* What lakes of a class must keep to. */
struct weir_policy_config {
    const char *name, *location;
    bool applies;     /* lake.classification names it */
    bool has_regions; /* false: any */
    const char **regions;
    size_t region_count;
    bool has_personal; /* `personal` is given: it holds for such columns */
    bool has_sinks;    /* personal.sinks is given: only those may receive personal values */
    const char **sinks;
    size_t sink_count;
    bool has_unmask; /* personal.unmask_with is given: only those functions lift a class */
    const char **unmask_with;
    size_t unmask_count;
    /* how old rows may be that can still be reached, by layer; "quarantine": all refused ones */
    const struct weir_policy_age {
        const char *layer, *location;
        int64_t ms;
    } * ages;
    size_t age_count;
};

/* Where lineage is told; url NULL: nowhere. */
struct weir_openlineage_config {
    const char *url, *api_key, *namespace; /* the last two may be NULL */
    int64_t timeout_ms;
};

/* `weir gateway`: REST in, Kafka out. */
struct weir_gateway_config {
    bool given;
    const char *location;
    const char *host;
    int port;
    const char *tokens; /* file; NULL: everybody may send */
    const char **sources;
    size_t source_count; /* 0: every Kafka source of JSON records with one topic */
    const char *spool;
    uint64_t spool_limit;
    bool drop_oldest;
    uint64_t body_limit, record_limit, memory;
    int64_t rate, burst; /* requests of one token: a second, at once; 0: any */
    int64_t idempotency_ms, drain_ms;
    const char *tenant, *device, *boot, *sequence; /* columns */
    const char *cert_file, *key_file;              /* NULL: plain HTTP */
    int connections;
};

/* What a registry gave for a table's columns, to be kept in the lake when it is there. */
struct weir_kept_schema {
    const char *name, *text; /* in the lake's store */
    struct weir_kept_schema *next;
};

/* Where the records of one source have several owners (lake.tenant.from): whose lake this is. */
struct weir_tenant {
    const char *name;  /* DNS label; the only form that comes into paths and buckets */
    const char *value; /* what records say, exactly */
};
#define WEIR_TENANT_OPERATOR "operator" /* its lake gets what has no owner among the tenants */
struct weir_tenancy {
    const char *column;                /* required string column of every table with a source */
    const struct weir_tenant *tenants; /* by value, ascending */
    size_t tenant_count;
    int self; /* index into tenants; -1: the operator */
};

struct weir_pipeline {
    struct weir_arena arena;
    struct weir_kept_schema *kept_schemas;
    const char *name, *owner, *file, *directory;
    const char *tenant, *environment, *region;
    const char **classification;
    size_t classification_count;
    const struct weir_key_value *tags;
    size_t tag_count;
    const char *warehouse; /* absolute path or s3://bucket/prefix, templates filled */
    enum weir_catalog_kind catalog;
    const char *catalog_path; /* sqlite file */
    struct weir_catalog_rest_options rest;
    struct weir_s3_config s3;
    struct weir_tls_config tls;
    int threads;
    uint64_t memory_limit;
    const char *spill_dir;
    uint64_t spill_limit;
    int64_t window_max_records;
    uint64_t window_max_bytes;
    int64_t deadline_ms;
    const struct weir_source_config *sources;
    size_t source_count;
    const struct weir_table_config *tables;
    size_t table_count; /* filled from a source */
    const struct weir_model_config *models;
    size_t model_count;
    const struct weir_sink_config *sinks;
    size_t sink_count;
    const struct weir_policy_config *policies;
    size_t policy_count;
    struct weir_openlineage_config openlineage;
    struct weir_gateway_config gateway;
    const char *digest;
    const struct weir_pipeline_node *tree; /* the merged file; for weir_pipeline_print */
    /* lake.tenant.from: the same pipeline for each lake, the operator's first, without models and
     * sinks; it owns them. What it says of a lake itself is the operator's. One lake: count 0,
     * tenancy NULL. */
    struct weir_pipeline *lakes;
    size_t lake_count;
    const struct weir_tenancy *tenancy;
    bool is_part;                /* one of another pipeline's lakes: freed with that */
    struct weir_pipeline *whole; /* of a part that was handed out alone: freed in its place */
};

/* Reads files (later wins key by key; `-` not allowed), resolves ${ENV:-default} and file:
 * references, binds names. All errors of a file are reported at once through `report`
 * (file:line:column: text, excerpt with caret, hint); returns USAGE after them. report may be NULL.
 */
weir_status weir_pipeline_read(struct weir_context *context, const char *const *files,
                               size_t file_count, void (*report)(void *argument, const char *text),
                               void *argument, struct weir_pipeline **ret_pipeline,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_pipeline_free(struct weir_pipeline *pipeline);
/* Keeps what registries gave for columns in the lake: for a later reading while the registry is
 * away. What cannot be kept is asked for again. */
void weir_pipeline_keep_schemas(const struct weir_pipeline *pipeline,
                                const struct weir_object_store *store);

/* The store that lake.warehouse names: a folder or a bucket. The caller's:
 * ret_store->operations->free. USAGE: it is no address. */
weir_status weir_pipeline_store_open(struct weir_context *context,
                                     const struct weir_pipeline *pipeline,
                                     struct weir_object_store *ret_store,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* The merged file as YAML, secrets masked (`weir config`). */
weir_status weir_pipeline_print(const struct weir_pipeline *pipeline, struct weir_buffer *out,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* JSON Schema of the pipeline file, and docs/pipeline.md's key table, both from keys.def. */
weir_status weir_pipeline_schema(struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_pipeline_key_table(struct weir_buffer *out,
                                    struct weir_error *reterr) WEIR_MUST_CHECK; /* Markdown */

/* Files for `weir init`. `name` becomes the pipeline's name. Text appended to `out`.
 * template: "inventory" (the reference workload from Kafka); NOT_FOUND names those there are. */
weir_status weir_pipeline_template(const char *template_name, const char *name,
                                   struct weir_buffer *out,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* What lies beside the template's weir.yaml, by path. */
struct weir_template_file {
    const char *path, *text;
};
const struct weir_template_file *weir_pipeline_template_files(size_t *ret_count);
struct weir_pipeline_sketch {
    const char *name;  /* of the pipeline */
    const char *table; /* "bronze.readings" */
    const char *files; /* glob of the files, or NULL: a Kafka topic */
    const char *topic;
    const struct weir_type *columns; /* STRUCT as inferred */
    const char *comment;             /* one line at the top, or NULL */
};
weir_status weir_pipeline_from_type(const struct weir_pipeline_sketch *sketch,
                                    struct weir_buffer *out,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
