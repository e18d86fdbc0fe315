/* Table sources: what SQL reads from. Parquet files, Iceberg tables, NDJSON, CSV and the values of
 * tests all fill this; engine/exec calls it and never knows which it holds.
 *
 * A source has a schema and can be opened as a scan: a fixed list of morsels (runs of rows), cut by
 * the data alone (row groups, files, fixed counts of rows), never by threads, memory or time. Rows
 * of a source are numbered by (morsel, position): that is the order results are deterministic in.
 * Morsels are read in parallel, each by one thread. */
#ifndef WEIR_ENGINE_VEC_SCAN_H
#define WEIR_ENGINE_VEC_SCAN_H

#include "engine/base/context.h"
#include "engine/vec/vector.h"

enum weir_predicate_kind {
    WEIR_PREDICATE_EQ,
    WEIR_PREDICATE_LT,
    WEIR_PREDICATE_LE,
    WEIR_PREDICATE_GT,
    WEIR_PREDICATE_GE,
    WEIR_PREDICATE_IN, /* values: any number of rows, sorted or not */
    WEIR_PREDICATE_IS_NULL,
    WEIR_PREDICATE_NOT_NULL
};

/* What is known of every row wanted: only a licence to skip. Rows for which it does not hold may
 * still be delivered. `path` leads through `wanted` (child numbers, through structs only) to a
 * primitive; `value` is a flat vector of that column's type with one row (IN: many; IS_NULL,
 * NOT_NULL: ignored). NaN: never pushed as a value. A null never matches the comparisons. */
struct weir_predicate {
    enum weir_predicate_kind kind;
    uint32_t path[8];
    uint32_t path_size;
    struct weir_vector value;
};

/* The exact filter, called back by sources that can decode some columns before the others: batch
 * has type `wanted`, of which only columns whose bit in `needs` is set are filled (the others have
 * count rows of unspecified content and must not be looked at). *ret_selection lives in the arena.
 */
struct weir_scan_filter {
    weir_status (*select)(void *self, const struct weir_batch *batch, struct weir_arena *arena,
                          struct weir_selection *ret_selection, struct weir_error *reterr);
    void *self;             /* used by several threads at once */
    const uint8_t *needs;   /* bitmap over the columns of `wanted` */
};

struct weir_scan_request {
    /* STRUCT: the columns to deliver, in this order; a subset of the source's schema by name and
     * by id, nested children pruned likewise (never to nothing: a struct, list element or map value
     * keeps at least one leaf). Zero columns: only row counts matter. Outlives the scan. */
    const struct weir_type *wanted;
    const struct weir_predicate *predicates; /* all of them hold for rows wanted */
    size_t predicate_count;
    const struct weir_scan_filter *filter; /* NULL = deliver every row; else exactly the rows that
                                              it selects, and no others */
    uint32_t batch_rows;                   /* at most so many rows a batch before the filter */
    int64_t limit; /* -1, or: so many rows in morsel order are enough (a licence, not a duty) */
};

/* What a scan has done so far, for EXPLAIN ANALYZE; added to by any thread. */
struct weir_scan_counters {
    atomic_ullong bytes_read, bytes_skipped; /* stored (compressed) bytes of wanted columns */
    atomic_ullong rows_read, rows_skipped;   /* decoded in at least one column; known unwanted */
    atomic_ullong files_read, files_skipped, row_groups_read, row_groups_skipped, pages_skipped;
};

struct weir_scan;
struct weir_morsel;

struct weir_table_source {
    const struct weir_table_source_operations *operations;
    void *self;
};

struct weir_table_source_operations {
    const char *kind; /* "parquet", "iceberg", "ndjson", "csv", "values" */
    /* STRUCT; lives as long as the source. */
    const struct weir_type *(*schema)(void *self);
    /* Rows there are, or a guess; for the order of joins. Exactness is told by *ret_exact. */
    uint64_t (*row_count)(void *self, bool *ret_exact);
    /* Lowest and highest value of a top-level primitive column and its null count where cheaply
     * known (file statistics): flat one-row vectors in the arena. false = not known. May be NULL. */
    bool (*bounds)(void *self, uint32_t column, struct weir_arena *arena,
                   struct weir_vector *ret_lower, struct weir_vector *ret_upper,
                   uint64_t *ret_null_count);
    /* Plans which morsels there are. Called from one thread. */
    weir_status (*open)(void *self, struct weir_context *context, struct weir_account *account,
                        const struct weir_scan_request *request, struct weir_scan **ret_scan,
                        struct weir_error *reterr);
    size_t (*morsel_count)(const struct weir_scan *scan);
    /* Any thread. *ret_morsel NULL: nothing in it. */
    weir_status (*morsel_open)(struct weir_scan *scan, size_t index, struct weir_morsel **ret_morsel,
                               struct weir_error *reterr);
    /* Next rows into the arena, at most batch_rows, at least one; *ret_end = true and count 0 when
     * there are none left. Columns may be DICTIONARY (strings) or CONSTANT; everything a batch
     * points to lives in the arena, or until morsel_close. */
    weir_status (*morsel_next)(struct weir_morsel *morsel, struct weir_arena *arena,
                               struct weir_batch *ret_batch, bool *ret_end,
                               struct weir_error *reterr);
    void (*morsel_close)(struct weir_morsel *morsel); /* NULL-safe */
    const struct weir_scan_counters *(*counters)(const struct weir_scan *scan); /* may be NULL */
    void (*close)(struct weir_scan *scan);                                      /* NULL-safe */
    void (*free)(void *self);
};

#endif
