/* A window of files between its parts: what is due and landing (file_window.c), reading (the
 * others). Private to the room. */
#ifndef WEIR_SCHEDULER_WINDOW_FILE_INT_H
#define WEIR_SCHEDULER_WINDOW_FILE_INT_H

#include "connectors/file/file_source.h"
#include "scheduler/window/decode.h"
#include "scheduler/window/table.h"

/* One run being filled: lines lie one behind another in `bytes`; pointers are made when it is
 * closed. */
struct lines {
    struct weir_buffer bytes;
    size_t starts[WEIR_BATCH_ROWS], sizes[WEIR_BATCH_ROWS];
    int64_t rows[WEIR_BATCH_ROWS];
    struct weir_log_record records[WEIR_BATCH_ROWS];
    size_t count;
    struct weir_arena arena; /* of Parquet: the rows of the run */
    struct weir_batch batch;
};

struct file_window {
    const struct weir_window_options *options;
    struct table_state *table;
    struct weir_file_source source;
    struct weir_object_store store; /* of an s3:// source outside the warehouse */
    bool own_store;
    struct weir_arena arena;
    struct weir_file_entry *entries; /* due, sorted by path */
    size_t count, first, last;       /* the window is [first, last) */
    json_t *ledger;                  /* object: path -> [size, etag], of the base */
    json_t *changed;                 /* array of paths whose version differs from the one landed */
    json_t *unnamable;               /* array of paths that are not UTF-8, bad bytes as \xNN */
    json_t *done;                    /* array of what this window landed, for the receipt */
    struct weir_ingest *ingest;
    struct lines *lines;
    struct weir_run *runs;
    struct weir_run_counts *counts;
    size_t width, run_count;
    int64_t bytes, records, total_bytes, last_report_ms;
    uint64_t layouts; /* made so far */
    struct landing landing;
};

/* ---- file_read.c ---- */

/* One file being read. */
struct file_reading {
    struct file_window *window;
    const struct weir_file_entry *entry;
    struct weir_file *file;
    struct weir_layout *layout; /* of the records that are added from now on; NULL: JSON */
    struct weir_run_counts total;
};

/* All of a file's records into the window's ingest. An error names the file. */
weir_status file_take(struct file_window *window, const struct weir_file_entry *entry,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

/* The file's bytes, decompressed as its name says, piece by piece. */
weir_status file_stream(struct file_reading *reading,
                        weir_status (*take)(void *self, const uint8_t *data, size_t size,
                                            struct weir_error *reterr),
                        void *self, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A record that stands at `row` of the file. */
weir_status file_add(struct file_reading *reading, int64_t row, const uint8_t *data, size_t size,
                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows of a batch, the first of which stands at `row`: a run of their own. They are copied. */
weir_status file_add_rows(struct file_reading *reading, int64_t row, const struct weir_batch *batch,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Ends the run under way; when all runs of a round are there they are ingested. */
weir_status file_end_run(struct file_reading *reading, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The layout of the records that come now; what was added before has been given another one. */
weir_status file_set_layout(struct file_reading *reading, const struct weir_layout *layout,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- formats ---- */
weir_status file_read_csv(struct file_reading *reading,
                          struct weir_error *reterr) WEIR_MUST_CHECK; /* file_csv.c */
weir_status file_read_parquet(struct file_reading *reading,
                              struct weir_error *reterr) WEIR_MUST_CHECK; /* file_parquet.c */
weir_status file_read_avro(struct file_reading *reading,
                           struct weir_error *reterr) WEIR_MUST_CHECK; /* file_avro.c */

#endif
