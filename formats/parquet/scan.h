/* Parquet files as sources of scans: the reader for SQL. Reads what the world writes: data pages v1
 * and v2, every encoding and codec of parquet-format 2.11 but BROTLI and LZO, INT96, lists of two
 * and of three levels, old maps. Spec: apache/parquet-format (parquet.thrift, Encodings,
 * LogicalTypes, PageIndex, BloomFilter).
 *
 * Three layers: a file (its footer, parsed once, shared by threads), a cursor over one row group
 * (one thread), and a table source over files (engine/vec/scan.h).
 *
 * Types: int8, int16, uint8, uint16 become int; uint32 long; uint64 decimal(20,0); float16 float;
 * times and timestamps of any unit microseconds (nanoseconds are cut, towards the past);
 * INT96 timestamptz, as Spark and Iceberg have it; enum and JSON string; BSON and bytes without
 * annotation binary; intervals fixed(12). */
#ifndef WEIR_FORMATS_PARQUET_SCAN_H
#define WEIR_FORMATS_PARQUET_SCAN_H

#include "engine/vec/scan.h"
#include "formats/parquet/parquet.h"

/* ---- files ----------------------------------------------------------------------------------- */

struct weir_parquet_file;

/* Reads and checks the footer. The source must outlive the file, and its `read` is called from any
 * thread. CORRUPT names the byte; UNSUPPORTED the column whose type Weir has no place for. */
weir_status weir_parquet_file_open(struct weir_account *account, struct weir_parquet_source source,
                                   struct weir_parquet_file **ret_file,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_parquet_file_free(struct weir_parquet_file *file); /* NULL-safe */

/* STRUCT; field ids as the file has them, 0 where it has none. Lives as long as the file. */
const struct weir_type *weir_parquet_file_type(const struct weir_parquet_file *file);
bool weir_parquet_file_has_ids(const struct weir_parquet_file *file);
uint64_t weir_parquet_file_rows(const struct weir_parquet_file *file);
size_t weir_parquet_file_group_count(const struct weir_parquet_file *file);
uint64_t weir_parquet_file_group_rows(const struct weir_parquet_file *file, size_t group);
/* Number in the file of a row group's first row. */
uint64_t weir_parquet_file_group_first(const struct weir_parquet_file *file, size_t group);

/* What a row group says about a leaf. Bounds are flat one-row vectors of the leaf's type in
 * weir_parquet_file_type; a bound may have been cut by the writer, but holds. NaN are outside of
 * them. */
struct weir_parquet_statistics {
    bool has_lower, has_upper, has_null_count;
    struct weir_vector lower, upper;
    uint64_t null_count;
};
/* path: child numbers from weir_parquet_file_type through structs to a primitive. */
weir_status weir_parquet_file_statistics(const struct weir_parquet_file *file, size_t group,
                                         const uint32_t *path, uint32_t path_size,
                                         struct weir_arena *arena,
                                         struct weir_parquet_statistics *ret_statistics,
                                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- cursors --------------------------------------------------------------------------------- */

/* Which rows of a file are there at all: clears the bit of each row in [first, first + count) that
 * is deleted. Bits come in set; bit i is row first + i. */
struct weir_row_filter {
    void (*keep)(void *self, uint64_t first, uint32_t count, uint8_t *keep_bits);
    void *self;
};

/* A wanted field with this id (Iceberg's _pos), a long, is filled with the row's number in the
 * file. */
#define WEIR_PARQUET_POSITION_ID 2147483645

/* Buffers that cursors hand on to later cursors of any file, by any thread: fresh memory for each
 * costs about a third of a scan. Outlives its cursors. */
struct weir_parquet_pool;
weir_status weir_parquet_pool_new(struct weir_account *account, struct weir_parquet_pool **ret_pool,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_parquet_pool_free(struct weir_parquet_pool *pool); /* NULL-safe */

struct weir_parquet_read {
    /* STRUCT, as in weir_scan_request. A field is found by id if it has one and the file has ids,
     * else by name; one that the file lacks reads as null. int widens to long, float to double,
     * decimal to more digits, date to timestamp. */
    const struct weir_type *wanted;
    /* NULL, or a type of the same shape as wanted whose names count where names do (Iceberg's name
     * mapping). */
    const struct weir_type *names;
    const struct weir_predicate *predicates; /* paths through wanted */
    size_t predicate_count;
    const struct weir_scan_filter *filter; /* NULL = every row */
    const struct weir_row_filter *rows;    /* NULL = no row is deleted */
    uint32_t batch_rows;                   /* 0 = WEIR_BATCH_ROWS */
    struct weir_scan_counters *counters;   /* NULL = nobody asks */
    struct weir_parquet_pool *pool;        /* NULL = every cursor has its own memory */
};

struct weir_parquet_cursor;

/* Whether statistics alone tell that no row of the group can be wanted. No I/O. */
bool weir_parquet_group_excluded(const struct weir_parquet_file *file, size_t group,
                                 const struct weir_parquet_read *read);

/* The file and all that `read` points to must outlive the cursor. *ret_cursor NULL: statistics or
 * a bloom filter tell that nothing is wanted from it. */
weir_status weir_parquet_cursor_open(struct weir_account *account,
                                     const struct weir_parquet_file *file, size_t group,
                                     const struct weir_parquet_read *read,
                                     struct weir_parquet_cursor **ret_cursor,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* As morsel_next of engine/vec/scan.h: at least one row, or *ret_end. Strings may come as
 * DICTIONARY, missing columns as CONSTANT; dictionaries live until the cursor is freed. After a
 * failure only free works. */
weir_status weir_parquet_cursor_next(struct weir_parquet_cursor *cursor, struct weir_arena *arena,
                                     struct weir_batch *ret_batch, bool *ret_end,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_parquet_cursor_free(struct weir_parquet_cursor *cursor); /* NULL-safe */

/* ---- tables ---------------------------------------------------------------------------------- */

/* A table of one or several files, with the first one's schema; the others' columns are found by
 * name (by id where both have ids) and must have its types or widen to them, else
 * UNSUPPORTED naming file number and column. Takes the files over on success: they are freed with
 * the source. Morsels are row groups, or a million rows of a larger one. */
weir_status weir_parquet_table_source(struct weir_context *context, struct weir_account *account,
                                      struct weir_parquet_file **files, size_t file_count,
                                      struct weir_table_source *ret_source,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
