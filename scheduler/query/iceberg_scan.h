/* Iceberg tables of any writer (format versions 1 to 3) as sources of SQL. Spec: Iceberg "Scan
 * Planning", "Column Projection", "Row-level Deletes", "Snapshot References".
 *
 * Columns are found by field id. Time travel by snapshot, tag or time shows the snapshot's schema,
 * by branch the table's, as Spark does. Morsels are runs of a data file's row groups, in the order
 * of the manifest list.
 *
 * Refused by name (UNSUPPORTED): data files that are not Parquet, encrypted ones, locations that no
 * store reaches. Columns of types that Weir has no place for (timestamp_ns, variant, geometry) are
 * not in the schema: weir_iceberg_refused tells why. */
#ifndef WEIR_SCHEDULER_QUERY_ICEBERG_SCAN_H
#define WEIR_SCHEDULER_QUERY_ICEBERG_SCAN_H

#include "engine/base/io.h"
#include "engine/vec/scan.h"
#include "formats/iceberg/catalog.h"

struct weir_iceberg_options {
    /* Either a catalog and a table's name in it, or where a metadata document lies. Both are only
     * needed while opening. */
    const struct weir_catalog *catalog;
    const char *table;
    const char *metadata_location;
    /* Where the locations in the metadata are found: below its root, and, when it is local,
     * anywhere on the local disk. Must outlive the source. */
    struct weir_object_store store;
    /* For locations elsewhere (another bucket): a store and the name there, which is a part of the
     * location. The store must outlive the source. May be NULL. */
    weir_status (*locate)(void *self, const char *location, struct weir_object_store *ret_store,
                          const char **ret_name, struct weir_error *reterr);
    void *locate_self;
    /* Which snapshot: at most one of these; none: the head of main. */
    bool has_snapshot_id, has_as_of;
    int64_t snapshot_id;
    int64_t as_of_ms; /* the snapshot that was main's head at that time */
    const char *ref;  /* tag or branch */
    /* Only data files for which it is true, by location; NULL: all. Any thread. `wanted_rows`: how
     * many rows these have. */
    bool (*wants)(void *self, const char *location);
    void *wants_self;
    uint64_t wanted_rows;
    bool current_schema; /* the table's schema, not the snapshot's */
    bool file_column;    /* a column `_file` behind the others: the location of the row's file */
};

/* NOT_FOUND names the snapshot, ref or time that is not there, and what is. The context and account
 * must outlive the source. */
weir_status weir_iceberg_source_open(struct weir_context *context, struct weir_account *account,
                                     const struct weir_iceberg_options *options,
                                     struct weir_table_source *ret_source,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* Why a column is not in the schema: its type as the table says, or NULL. `path` dotted. */
const char *weir_iceberg_refused(const struct weir_table_source *source, const char *path);

/* The location of the data file that a morsel of a scan of such a source reads; as long as the
 * scan.
 */
const char *weir_iceberg_morsel_file(struct weir_scan *scan, size_t morsel);

/* The table's metadata as rows: "snapshots", "history", "refs", "manifests", "files",
 * "data_files", "delete_files", "entries", "partitions", "metadata_log_entries" with Spark's
 * columns; "offsets": where the next window begins, per topic and partition (empty for foreign
 * tables). NOT_FOUND lists the names. */
weir_status weir_iceberg_metadata_source(struct weir_context *context, struct weir_account *account,
                                         const struct weir_iceberg_options *options,
                                         const char *name, struct weir_table_source *ret_source,
                                         struct weir_error *reterr) WEIR_MUST_CHECK;
bool weir_iceberg_is_metadata_table(const char *name);

#endif
