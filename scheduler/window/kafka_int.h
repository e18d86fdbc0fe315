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
    json_t *classes; /* of the gaps, as the receipt tells them; owned; NULL: not looked at yet */
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
void kafka_window_rewind(struct window *window); /* as planned, nothing read */
/* kafka_window.c: what was read, landed: files finished, max_invalid, accounting, commit. */
weir_status kafka_window_land(struct window *window, struct weir_ingest *ingest, json_t *outcome,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* The consumer group's offsets, as the lag tools see them; failing fails nothing. */
void kafka_window_mirror(struct window *window, const int64_t *next, json_t *outcome);

enum {
    KAFKA_SMALLEST = 1000 /* records; a window that does not fit memory_limit is halved to this */
};

/* kafka_lanes.c */
void kafka_lanes_run(struct weir_window_lane *lanes, size_t count);

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

/* kafka_read.c: records of the window into the ingests of several lakes' tables, which all stand at
 * its offsets; each sink's counts go to its own window. A sink that fails is left out from then on,
 * but the first, whose decoding the others may use: it ends the reading, as does what befalls all
 * (memory, Kafka, a wish to stop; the first sink's status is OK then). Gaps and fingerprints are
 * noted in the first one's window. */
struct kafka_sink {
    struct window *window;
    struct weir_ingest *ingest;
    weir_status status;
    struct weir_error error;
};
weir_status kafka_read_sinks(struct kafka_sink *sinks, size_t count,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same with one; gaps are noted as they are met. */
weir_status kafka_read_window(struct window *window, struct weir_ingest *ingest,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* kafka_gaps.c: landed + refused + filtered + erased + gaps = to - from, each gap by evidence. */
weir_status kafka_account(struct window *window, json_t *receipt, json_t *summary_ranges,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
