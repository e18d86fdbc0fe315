/* Inside the pipeline room: the file as a tree of nodes that know their place, the errors found so
 * far, the table of keys.
 *
 * tree.c    YAML to nodes, ${ENV}, merging        report.c  errors with place, source line and
 * caret; secrets masked keys.c    the table of keys: checks a tree       schema.c  JSON Schema and
 * docs from the same table read.c    nodes to structs: lake, run, sources   table.c   nodes to
 * structs: tables, columns, digest avsc.c    Avro schema to columns                 print.c   the
 * merged file back, secrets masked template.c files for `weir init`
 *
 * Everything found wrong is `complain`ed of and reading goes on; only running out of memory ends
 * it. */
#ifndef WEIR_SCHEDULER_PIPELINE_INT_H
#define WEIR_SCHEDULER_PIPELINE_INT_H

#include "scheduler/pipeline/pipeline.h"

#include <jansson.h>
#include <stdarg.h>

enum {
    NODE_DEPTH_MAX = 64,       /* nesting of the YAML itself */
    NODE_COUNT_MAX = 200000,   /* nodes of all files, aliases counted each time they are used */
    BRACKET_COUNT_MAX = 50000, /* opening ones, in one file */
    EMPTY_LINES_MAX = 1000,    /* in a row */
    MAP_KEYS_MAX = 10000,      /* keys of one map, columns among them */
    ERROR_COUNT_MAX = 100,     /* errors reported; the rest is counted */
    FILE_COUNT_MAX = 32,
    SECRET_SIZE_MAX = 1 << 20, /* bytes of a file: reference */
};

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_MAP, NODE_LIST };
enum node_style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_BLOCK };

struct node;
struct node_entry {
    struct node *key; /* NULL in lists */
    struct node *value;
};

struct node {
    enum node_kind kind;
    enum node_style style;
    int file;         /* index into reading.files */
    int line, column; /* 1-based; columns count characters */
    size_t offset;    /* byte in the file where it starts */
    const char *text; /* scalar: its value after ${...}, NUL behind */
    size_t size;
    bool substituted; /* ${...} was in it: positions inside are lost, and the value is not repeated
                       */
    bool secret;      /* never shown */
    const char *from_file; /* `file:/path` that the value was read from; NULL: none */
    bool broken;           /* complained of; kind is NODE_NULL, and nothing more is said of it */
    struct node_entry *entries;
    size_t count, capacity;
    size_t weight; /* nodes in it, itself included */
};

struct source_file {
    const char *path; /* as given */
    const char *text;
    size_t size;
};

struct complaint {
    int file, line, column;
    char *text, *hint;
    size_t order;
};

struct reading {
    struct weir_context *context;
    struct weir_arena *arena;
    struct source_file *files;
    size_t file_count;
    const char *directory; /* of the first file */
    struct complaint *complaints;
    size_t complaint_count, complaint_capacity, complaint_dropped;
    size_t node_count;
    weir_status status; /* sticky: NO_MEMORY */
    struct weir_error error;
};

/* report.c. `position`: byte inside the node's value where the error is; 0 = its start. at may be
 * NULL: the first file's start. */
void complain(struct reading *reading, const struct node *at, size_t position, const char *hint,
              const char *format, ...) WEIR_PRINTF(5, 6);
void complain_at(struct reading *reading, int file, int line, int column, const char *hint,
                 const char *format, ...) WEIR_PRINTF(6, 7);
bool complain_full(struct reading *reading);
/* "name:line:column" in the arena; "" when memory is out. */
const char *node_location(struct reading *reading, const struct node *node);
/* The value quoted for a message, or words for what must not be repeated. In the arena. */
const char *node_quote(struct reading *reading, const struct node *node);
/* Gives every complaint, in order of place, to `report`; USAGE if there was any. */
weir_status complaints_report(struct reading *reading,
                              void (*report)(void *argument, const char *text), void *argument,
                              struct weir_error *reterr);
/* Is this the name of something whose value must not show? */
bool name_is_secret(const char *name, size_t size);

/* Arena helpers: on failure they set reading->status and return NULL. */
void *take(struct reading *reading, size_t count, size_t size);
char *take_text(struct reading *reading, const char *text, size_t size);
char *take_print(struct reading *reading, const char *format, ...) WEIR_PRINTF(2, 3);

/* tree.c */
struct node *tree_read(struct reading *reading, int file);
struct node *tree_merge(struct reading *reading, struct node *base, struct node *over);
struct node *node_get(const struct node *map,
                      const char *name); /* value, or NULL (also when map is) */
struct node *node_get_key(const struct node *map, const char *name); /* the key's own node */
bool node_is(const struct node *node, const char *text);
bool node_add(struct reading *reading, struct node *parent, struct node *key, struct node *value);

/* keys.c */
enum key_shape {
    SHAPE_SCALAR = 1,
    SHAPE_MAP = 2,
    SHAPE_LIST = 4,
    SHAPE_ONE_OR_LIST = 5,
    SHAPE_SCALAR_OR_MAP = 3
};
enum key_kind {
    KIND_NONE,
    KIND_TEXT,
    KIND_NAME,
    KIND_BUCKET_PART,
    KIND_CHOICE,
    KIND_BOOLEAN,
    KIND_WHOLE,
    KIND_SIZE,
    KIND_SIZE_OR_PERCENT,
    KIND_PERCENT,
    KIND_DURATION,
    KIND_THREADS,
    KIND_PATH,
    KIND_SECRET,
    KIND_REFERENCE,
    KIND_PROPERTY,
    KIND_START,
    KIND_EXPRESSION,
    KIND_TYPE,
    KIND_TRANSFORM,
    KIND_SORT,
    KIND_CODEC,
};
struct key {
    const char *path; /* "sources/ * /kafka/topics" without the spaces */
    enum key_shape shape;
    enum key_kind kind;
    const char *fallback; /* NULL: required */
    const char *limit, *help;
    bool later; /* refused by name; help says what it is */
    const char *later_value;
};
extern const struct key keys[];
extern const size_t key_count;
/* The rule for `name` below the path `parent`, "" for the top; NULL = unknown. */
const struct key *key_find(const char *parent, const char *name, size_t name_size);
const struct key *key_by_path(const char *path);
/* Is `path` directly below `parent`? Returns the last part, or NULL. */
const char *key_below(const struct key *key, const char *parent);
/* Checks shape, names, kinds and limits of the whole tree. Values with errors become NODE_NULL, so
 * that binding does not stumble. */
void keys_check(struct reading *reading, struct node *root);
/* The same of a map that is laid over the one at the path `parent`: what must be there may be in
 * the other; keys_check_whole looks for it in what comes of them. shown: how errors call it. */
void keys_check_part(struct reading *reading, const char *parent, const char *shown,
                     struct node *map);
void keys_check_whole(struct reading *reading, const char *parent, const char *shown,
                      const struct node *map);
bool parse_boolean(const struct node *node, bool *ret_value);
bool parse_percent(const char *text, size_t size, double *ret_share);
bool parse_codec(const char *text, int *ret_codec, int *ret_level);
const char *suggest(struct reading *reading, const char *name, const char *const *known,
                    size_t known_count);

/* Typed looks at a checked tree: the value, or the key's default. */
const char *get_text(const struct node *map, const char *name);
bool get_boolean(const struct node *map, const char *name, bool fallback);
int64_t get_whole(const struct node *map, const char *name, int64_t fallback);
uint64_t get_size(const struct node *map, const char *name, uint64_t fallback);
int64_t get_duration_ms(const struct node *map, const char *name, int64_t fallback);
/* Texts of a list, or of one scalar. */
const char **get_texts(struct reading *reading, const struct node *map, const char *name,
                       size_t *ret_count);
struct node *list_item(const struct node *node, size_t index); /* of ONE_OR_LIST */
size_t list_size(const struct node *node);
/* Absolute path or s3://: relative ones start at the first file's folder. */
const char *get_path(struct reading *reading, const char *text);

/* table.c */
void tables_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *tables,
                 const struct node *lifecycle);
/* table.c, for model.c: a table being bound. */
struct table_reading {
    struct reading *reading;
    struct weir_table_config *table;
    const struct node *node; /* the table's map */
    const char *shown;       /* "tables.bronze.inventory" */
};
bool expression_check(struct table_reading *at, const struct node *node, const char *what);
/* path with each part in double quotes */
const char *quoted_column(struct reading *reading, const char *path);
/* A column that must be among the declared ones, if any are; position: byte of the node's text. */
const struct weir_field *column_by_path(struct table_reading *at, const struct node *node,
                                        size_t position, const char *path, const char *what);
weir_status table_canonical(const struct weir_table_config *table, struct weir_buffer *out,
                            struct weir_error *reterr);
weir_status canonical_text(struct weir_buffer *out, const char *tag, const char *text,
                           struct weir_error *reterr);
void bind_digest_of(struct table_reading *at, const struct weir_buffer *text);
/* model.c: what a table with `sql`, or with a source of files and mode full, has besides. */
void model_bind(struct table_reading *at, struct weir_model_config *model,
                const struct weir_source_config *source);

/* when.c: `promote` of a model, its own or the nearest of `lifecycle` (NULL: none); and names in
 * `lifecycle` that are neither a layer nor a table. */
void when_bind(struct table_reading *at, struct weir_model_config *model,
               const struct node *lifecycle);
void lifecycle_check(struct reading *reading, const struct weir_pipeline *pipeline,
                     const struct node *lifecycle);

/* lifecycle.c: what upkeep does to a table whose columns are bound */
void lifecycle_bind(struct reading *reading, const struct node *lifecycle, int64_t deadline_ms,
                    struct weir_table_config *table);

/* Once policies are bound: where none says how long refused rows are kept, as they allow. */
void quarantine_bind(struct weir_pipeline *pipeline);

/* sinks.c */
void sinks_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root);

/* gateway.c: once sources are bound */
void gateway_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root);

/* catalog.c: once warehouse and tls are bound */
void catalog_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *lake,
                  bool is_remote);

/* tenants.c: the file of lake.tenant.lakes as a map; NULL: none is named, or it is wrong. */
struct node *tenants_read(struct reading *reading, const struct node *root);
/* The pipeline file with the entry `name` (NULL: none) of that map laid over its lake. */
struct node *tenants_root(struct reading *reading, struct node *root, const struct node *tenants,
                          const char *name);
/* pipeline->lakes: once all else is bound, and good. */
void tenants_bind(struct reading *reading, struct weir_pipeline *pipeline, struct node *root,
                  const struct node *tenants);

/* read.c: where the tables live. pipeline->tenant is set where lake.tenant is no name. */
void lake_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root);
void pipeline_digest(struct reading *reading, struct weir_pipeline *pipeline);

/* policies.c */
void policies_bind(struct reading *reading, struct weir_pipeline *pipeline,
                   const struct node *root);

/* read.c: a map of texts; librdkafka's properties, each checked at its place. */
const struct weir_key_value *get_pairs(struct reading *reading, const struct node *map,
                                       size_t *ret_count);
/* catalog.c: the value of a secret, and the file it came from, which may be read again. */
const char *take_secret(const struct node *map, const char *name, const char **ret_file);
/* login.c: librdkafka's properties of a source or a sink, and behind them its certificates and what
 * its login needs (connectors/kafka/kafka.h). */
const struct weir_key_value *login_pairs(struct reading *reading,
                                         const struct weir_pipeline *pipeline,
                                         const struct node *kafka,
                                         const struct weir_tls_config *tls, const char *shown,
                                         size_t *count);
/* login.c: the certificates of a client that may have its own (`tls` below `node`); else lake.tls.
 */
struct weir_tls_config tls_bind(struct reading *reading, const struct weir_pipeline *pipeline,
                                const struct node *node, const char *shown);
void check_properties(struct reading *reading, const struct node *properties, const char *shown);

/* avsc.c: columns from an Avro schema. `at` is the node that names the file. */
bool avsc_read(struct reading *reading, const struct node *at, const char *path,
               struct weir_table_config *table);
/* The same of schemas that are read already: the last one, behind those that it refers to. */
bool avsc_columns(struct reading *reading, const struct node *at, const char *shown,
                  json_t *const *texts, size_t count, struct weir_table_config *table);

/* json_schema.c: a JSON Schema (draft 7) of an object as columns. */
bool json_schema_columns(struct reading *reading, const struct node *at, const char *shown,
                         const json_t *schema, struct weir_type *ret_columns);

/* registry.c */
void registry_bind(struct reading *reading, const struct weir_pipeline *pipeline,
                   struct weir_registry_config *registry, const struct node *node,
                   const char *shown);
/* The columns of a subject's schema, asked of the registry, or as the lake's folder keeps them. */
void registry_columns(struct reading *reading, struct weir_pipeline *pipeline,
                      const struct node *node, const char *shown, struct weir_table_config *table);

void node_break(struct node *node);

/* A whole file, NUL behind, at most `limit` bytes; words for why not, with the path as `shown`, in
 * reterr. */
weir_status file_read(struct reading *reading, const char *path, const char *shown, size_t limit,
                      char **ret_text, size_t *ret_size, struct weir_error *reterr);

#endif
