/* Records to data files and refused-rows files: decode, filter, expect, partition, write. Knows
 * neither Kafka nor commits; used by windows of offsets, of files, and by the retry of refused
 * rows.
 *
 * Records come in runs; several runs are decoded side by side and written in order, so that files
 * are in (partition value, run) order and depend on the records only. */
#ifndef WEIR_SCHEDULER_WINDOW_INGEST_H
#define WEIR_SCHEDULER_WINDOW_INGEST_H

#include "engine/base/io.h"
#include "engine/kernel/row_hash.h"
#include "scheduler/commit/land.h"
#include "scheduler/window/shape.h"

/* Where the records of a run come from: exactly one of topic and path. */
struct weir_origin {
    const char *topic;
    int32_t partition;
    const char *path;
    int64_t first_row;   /* of a file: 0-based number of records[0] */
    const int64_t *rows; /* retry: row number of each record; NULL = first_row + i */
};

struct weir_layout;

/* records[i].value is what is decoded; offset, timestamp and key go to the meta column. All bytes
 * stay valid until the run's flush. */
struct weir_run {
    struct weir_origin origin;
    const struct weir_log_record *records;
    size_t count; /* at most WEIR_BATCH_ROWS */
    /* How the file of these records is written; NULL where a record tells that itself: JSON, and
     * records that were refused before. */
    const struct weir_layout *layout;
    const struct weir_batch *rows; /* of Parquet: what was read; records are there, but empty */
    const struct weir_log_source *source; /* of Kafka: whom headers are asked of; NULL = none */
};
/* headers.c: _kafka.headers of records[record[row]], row < count. */
weir_status headers_column(struct weir_arena *arena, const struct weir_type *type,
                           const struct weir_run *run, const uint32_t *record, uint32_t count,
                           struct weir_vector *ret_vector,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* What became of the records of a run. */
struct weir_run_counts {
    int64_t landed, refused, filtered, tombstones;
    int64_t foreign; /* of the filtered: records of other tenants */
};

struct weir_ingest;

/* attempt: a random id that every object's name carries. All pointers must outlive the ingest. */
struct weir_ingest_options {
    struct weir_lake *lake;
    const struct weir_table_config *table;
    const struct weir_shape *shape;
    const char *table_location; /* full location of the table */
    const char *table_uuid;
    int64_t attempt;
    bool again; /* records that were refused before: the refused are not written, only counted */
    /* unknown_fields: evolve, the second time: fields have had their columns, and a record with one
     * that got none is refused */
    bool grown;
    /* Whose records are taken; NULL: all. Those of others are counted as filtered; with `again`
     * they stay refused. */
    const struct weir_tenancy *tenancy;
    /* Another lake's ingest of the same records, which is given each round of runs first: where
     * both read the same columns, what it has decoded is used here as well. Freed after this one.
     * NULL: none. */
    struct weir_ingest *leader;
};
weir_status weir_ingest_new(const struct weir_ingest_options *options,
                            struct weir_ingest **ret_ingest,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* How many runs are best given at once. */
size_t weir_ingest_width(const struct weir_ingest *ingest);
/* Decodes `count` runs side by side, then writes them in order. ret_counts: one per run. Records
 * may be released on return. GATE when an expectation with on_fail: fail, or on_invalid: fail, met
 * a bad record. */
weir_status weir_ingest_runs(struct weir_ingest *ingest, const struct weir_run *runs, size_t count,
                             struct weir_run_counts *ret_counts,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* unknown_fields: evolve. Has a record that lands a field without a column? Then nothing is written
 * any more: the shape is made anew with the fields there are (weir_shape_evolve; in the arena), and
 * the records are given once more to an ingest of that shape, with `grown`. */
bool weir_ingest_found(const struct weir_ingest *ingest);
weir_status weir_ingest_fields(struct weir_ingest *ingest, struct weir_arena *arena,
                               struct weir_type *ret_found,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* Why a record was refused. position -1 = none. */
struct weir_refused {
    const char *reason, *message;
    int64_t position;
};
/* After a call with one run of one record that was refused: why. Lives until the next call. */
struct weir_refused weir_ingest_why(const struct weir_ingest *ingest);
/* Copies a record that was refused before to the refused-rows file; counts nowhere. */
weir_status weir_ingest_letter(struct weir_ingest *ingest, const struct weir_run *run,
                               const struct weir_refused *refused,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Ends the refused-rows file under way, so that the next letter begins another. */
weir_status weir_ingest_letters_end(struct weir_ingest *ingest,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* One finished file and what the manifest and the receipt want to know of it. */
struct weir_ingest_result {
    const struct weir_data_file *files;
    size_t file_count;
    char (*file_digests)[33];
    const struct weir_data_file *letters;
    size_t letter_count; /* refused-rows files */
    char (*letter_digests)[33];
    struct weir_row_hash row_hash;
    struct weir_run_counts counts;
    int64_t warnings; /* rows that an on_fail: warn expectation did not hold for */
    json_t *reasons;  /* {"type": n, ...} of refused rows; borrowed */
};
/* Finishes every open file; the result lives in the ingest. */
weir_status weir_ingest_finish(struct weir_ingest *ingest, struct weir_ingest_result *ret_result,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_ingest_free(struct weir_ingest *ingest); /* NULL-safe; unfinished files are abandoned,
                                                      finished ones are litter until committed */

#endif
