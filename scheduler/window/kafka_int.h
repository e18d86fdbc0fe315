/* A window of Kafka offsets between its parts: planned, read, its gaps classed, landed. Private to
 * the room. */
#ifndef WEIR_SCHEDULER_WINDOW_KAFKA_INT_H
#define WEIR_SCHEDULER_WINDOW_KAFKA_INT_H

#include "scheduler/window/table.h"

#include <inttypes.h>

struct gap {
    int64_t from, to;
};

/* One partition of a window. */
struct reach {
    struct weir_log_partition partition;
    char key[512];
    int incarnation;
    int64_t start, from, to; /* the window */
    int64_t last_stable, first, high_watermark;
    int64_t aim;            /* where this run ends: the last stable offset when it began */
    json_t *print;          /* fingerprint after the window; owned; NULL = unchanged */
    const char *continuity; /* "proven", "new", "not proven" */
    struct gap *gaps;
    size_t gap_count, gap_capacity;
    int64_t expected; /* next offset looked for while reading */
    struct weir_run_counts counts;
    int64_t aborted, compacted, unexplained;
};

struct window {
    const struct weir_window_options *options;
    struct table_state *table;
    struct weir_log_source source;
    char cluster[128];
    struct weir_arena arena;
    struct reach *reach;
    size_t count;
    int64_t records, bytes;
    int64_t attempt;
    struct landing landing; /* set while landing */
};

void kafka_window_done(struct window *window);

/* kafka_plan.c: what there is, where the table stands, what the next window takes. */
weir_status kafka_look(struct window *window, struct weir_error *reterr) WEIR_MUST_CHECK;
void kafka_keep_ours(struct window *window);
weir_status kafka_start_offset(struct window *window, struct reach *reach,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_birth_state(struct window *window, json_t **ret_state,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_place(struct window *window, struct weir_error *reterr) WEIR_MUST_CHECK;
int64_t kafka_window_cap(const struct window *window, const json_t *outcome);
/* What had arrived when the run began is its work, so that it ends however fast more comes. In the
 * arena. Partitions that are not among them are the next run's. */
struct aims {
    const struct weir_log_partition *partitions;
    const int64_t *offsets;
    size_t count;
};
weir_status kafka_aims_note(const struct window *window, struct weir_arena *arena,
                            struct aims *ret_aims, struct weir_error *reterr) WEIR_MUST_CHECK;
void kafka_aims_apply(struct window *window, const struct aims *aims);
void kafka_cut(struct window *window, int64_t cap);
json_t *kafka_make_print(const struct weir_log_record *record);

/* kafka_read.c: records of the window into the ingest; gaps are noted as they are met. */
weir_status kafka_read_window(struct window *window, struct weir_ingest *ingest,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* kafka_gaps.c: landed + refused + filtered + erased + gaps = to - from, each gap by evidence. */
weir_status kafka_account(struct window *window, json_t *receipt, json_t *summary_ranges,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
