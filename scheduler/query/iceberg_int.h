/* Inside of the Iceberg source: a table at one snapshot (iceberg_resolve.c), the plan of a scan
 * (iceberg_plan.c), what is deleted (iceberg_deletes.c), how a file's columns become the wanted
 * ones (iceberg_columns.c), morsels (iceberg_scan.c). */
#ifndef WEIR_SCHEDULER_QUERY_ICEBERG_INT_H
#define WEIR_SCHEDULER_QUERY_ICEBERG_INT_H

#include <pthread.h>

#include "formats/iceberg/manifest.h"
#include "formats/iceberg/prune.h"
#include "formats/iceberg/row_set.h"
#include "formats/parquet/scan.h"
#include "scheduler/query/iceberg_scan.h"

#define ICEBERG_PATH_ID     2147483546  /* file_path of position deletes */
#define ICEBERG_FILE_ID     2147483646  /* _file */
#define ICEBERG_POS_ID      2147483545  /* pos of position deletes */
#define ICEBERG_CACHE_BYTES (64u << 20) /* manifests kept between planning and scanning */

/* ---- the table ------------------------------------------------------------------------------ */

struct iceberg_column_bounds {
    bool known;
    struct weir_bytes lower, upper;
    uint64_t null_count;
};

struct iceberg_source {
    struct weir_context *context;
    struct weir_account *account;
    struct weir_arena arena;
    struct weir_iceberg_options options; /* the parts that outlive opening */
    struct weir_object_store disk;       /* "/" of the local disk; operations NULL: not for us */
    struct weir_table *table;            /* owned; NULL when opened by location */
    struct weir_metadata *document;      /* owned; NULL when opened by a catalog */
    const struct weir_metadata *metadata;
    const char *metadata_location;
    bool has_snapshot;
    struct weir_snapshot snapshot;
    const json_t *schema_json;
    struct weir_schema schema;
    struct weir_schema_refusal *refusals;
    size_t refusal_count;
    json_t *name_mapping; /* owned; NULL = none */
    struct weir_manifest *manifests;
    size_t manifest_count;
    struct weir_buffer *manifest_bytes; /* one a manifest; empty = not kept */
    size_t cached_bytes;
    struct iceberg_column_bounds *bounds; /* one a top-level column; NULL = not computed */
};

weir_status iceberg_source_new(struct weir_context *context, struct weir_account *account,
                               const struct weir_iceberg_options *options,
                               struct iceberg_source **ret_source,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void iceberg_source_free(struct iceberg_source *source);
/* The store that has a location, and its name there; in the arena. */
weir_status iceberg_locate(const struct iceberg_source *source, const char *location,
                           struct weir_arena *arena, struct weir_object_store *ret_store,
                           const char **ret_name, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status iceberg_get(const struct iceberg_source *source, const char *location, uint64_t offset,
                        uint64_t size, struct weir_buffer *out,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Manifests of a snapshot, in the list's order. */
weir_status iceberg_snapshot_manifests(const struct iceberg_source *source,
                                       const struct weir_snapshot *snapshot,
                                       struct weir_arena *arena, struct weir_manifest **ret,
                                       size_t *ret_count,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* Entries of manifest `index` of the source's snapshot. Different manifests: any thread. */
weir_status iceberg_manifest_entries(struct iceberg_source *source, size_t index,
                                     struct weir_arena *arena, struct weir_manifest_entry **ret,
                                     size_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;
bool iceberg_spec_is_unpartitioned(const struct weir_partition_spec *spec);
/* The field with that id in the source's schema, else in any schema the table ever had, as the path
 * from the top: *ret_field is a column pruned to it. In the arena. */
weir_status iceberg_field_alone(const struct iceberg_source *source, int32_t id,
                                struct weir_arena *arena, struct weir_field *ret_field,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- deletes -------------------------------------------------------------------------------- */

struct iceberg_run { /* rows of one data file that a position delete file names */
    size_t file;     /* of the scan */
    uint64_t *positions;
    size_t count, capacity;
};

struct iceberg_delete { /* a position delete file or a deletion vector */
    const struct weir_data_file *file;
    int64_t sequence;
    struct weir_bytes scope; /* spec and partition */
    pthread_mutex_t lock;
    bool loaded;
    struct weir_arena arena;
    struct iceberg_run *runs;
    size_t run_count, run_capacity;
};

/* Equality delete files with the same columns in the same partition (or all, scope empty): one
 * table of keys, each with the highest sequence number that deletes it. */
struct iceberg_equality {
    struct weir_bytes scope;
    const int32_t *ids;
    size_t id_count;
    int64_t highest; /* sequence number of any of its files */
    const struct iceberg_equality_file {
        const struct weir_data_file *file;
        int64_t sequence;
        struct iceberg_equality_file *next;
    } * files;
    struct iceberg_equality *next;
    struct weir_type key; /* STRUCT: one column an id, pruned to it */
    pthread_mutex_t lock;
    bool loaded;
    struct weir_buffer bytes; /* keys one after another */
    struct iceberg_key {
        uint64_t hash, offset;
        uint32_t size;
        int64_t sequence;
    } * slots;
    size_t slot_count, used;
};

/* ---- a scan --------------------------------------------------------------------------------- */

struct iceberg_column { /* of the wanted ones, then of those that equality deletes need */
    bool constant, has_defaults;
    uint32_t at;              /* among the file's */
    struct weir_vector value; /* constant: one row */
};

struct iceberg_columns {
    struct weir_type wanted; /* what is asked of the file */
    struct weir_type names;  /* child_count 0: none */
    const struct weir_type *file;
    struct iceberg_column *columns;
    size_t count;
    struct weir_predicate *predicates;
    size_t predicate_count;
    uint8_t *needs; /* of the filter, over `wanted` */
};

struct iceberg_open { /* a data file while morsels of it are read */
    struct weir_arena arena;
    struct weir_object_store store;
    const char *name;
    struct weir_parquet_file *parquet;
    struct iceberg_columns columns;
    struct weir_row_set deleted;
    struct weir_row_filter rows;
    uint32_t **equality_columns; /* per equality of the file: its key's places in columns */
};

struct iceberg_file {
    const char *location;
    int64_t size, record_count, sequence;
    const struct weir_partition_spec *spec;
    const struct weir_bytes *partition;
    size_t partition_count;
    struct weir_bytes scope;
    uint32_t morsel_count;
    size_t first_morsel;
    struct iceberg_delete **positions; /* a deletion vector stands alone */
    size_t position_count;
    struct iceberg_equality **equalities;
    size_t equality_count;
    pthread_mutex_t lock;
    uint32_t users, done; /* morsels open; morsels closed */
    struct iceberg_open *open;
};

struct weir_scan {
    struct iceberg_source *source;
    struct weir_context *context;
    struct weir_account *account;
    struct weir_arena arena;
    struct weir_scan_request request;
    struct weir_prune *prune;
    struct iceberg_file *files;
    size_t file_count, file_capacity;
    struct iceberg_delete *deletes;
    size_t delete_count, delete_capacity;
    struct iceberg_equality *equalities;
    size_t morsel_count;
    struct weir_parquet_pool *pool; /* of the cursors of all its files */
    struct weir_scan_counters counters;
};

/* Fills files, deletes and morsels of a scan whose request is set. */
weir_status iceberg_plan(struct weir_scan *scan, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status iceberg_plan_bounds(struct iceberg_source *source,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Files a delete entry; the entry lives in the scan's arena. */
weir_status iceberg_deletes_add(struct weir_scan *scan, const struct weir_manifest_entry *entry,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* After all are filed: which of them apply to each data file. */
weir_status iceberg_deletes_match(struct weir_scan *scan,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status iceberg_partition_scope(struct weir_scan *scan, const struct weir_data_file *file,
                                    struct weir_bytes *ret_scope,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Reads what the file's position deletes and vector say into open->deleted, and its equality
 * deletes. */
weir_status iceberg_deletes_load(struct weir_scan *scan, struct iceberg_file *file,
                                 struct iceberg_open *open,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* The rows of a batch of the file's columns that no equality delete takes. `in` NULL: all. */
weir_status iceberg_deletes_select(const struct iceberg_file *file, const struct iceberg_open *open,
                                   const struct weir_batch *batch, const struct weir_selection *in,
                                   struct weir_arena *arena, struct weir_selection *ret_selection,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
void iceberg_deletes_done(struct weir_scan *scan);

/* How the file's columns become the wanted ones, and those of its equality deletes. */
weir_status iceberg_columns_make(struct weir_scan *scan, struct iceberg_file *file,
                                 struct iceberg_open *open,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* Column `index` of a batch that the file's cursor gave. */
weir_status iceberg_columns_map(const struct iceberg_source *source,
                                const struct iceberg_columns *columns, const struct weir_type *type,
                                size_t index, const struct weir_batch *batch,
                                struct weir_arena *arena, struct weir_vector *ret_vector,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Reading a Parquet object: what delete files and data files share. */
struct iceberg_object {
    struct weir_object_store store;
    const char *name;
};
weir_status iceberg_object_read(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                                struct weir_error *reterr);

#endif
