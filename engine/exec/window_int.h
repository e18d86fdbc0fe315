/* Window functions, between their files. Private to the room.
 *
 * The sorting machine brings rows in order of (partition, order); they are cut into tasks of whole
 * partitions. A task computes each call for all its rows, numbered 0..count, then gives them out in
 * batches. */
#ifndef WEIR_ENGINE_EXEC_WINDOW_INT_H
#define WEIR_ENGINE_EXEC_WINDOW_INT_H

#include "engine/exec/aggregate.h"
#include "engine/exec/sort_int.h"

#define WINDOW_TASK_ROWS 8192u      /* a task ends with the partition that reaches so many */
#define WINDOW_NONE      UINT32_MAX /* no row */

struct window_sink {
    struct exec_sink sink;
    struct sorter sorter;
    const struct weir_type *input;
    struct weir_sort_key *keys; /* partition columns, then order */
};

struct window_task {
    struct window_sink *window;
    struct weir_arena *arena;
    uint8_t **records, **places; /* places: payload */
    uint32_t count;
    uint32_t *partitions; /* first row of each, then count */
    uint32_t partition_count;
    uint32_t *peer_start, *peer_end; /* by row: rows of equal order around it */
    uint32_t *rows;                  /* 0, 1, 2, ... */
    struct weir_batch input;         /* columns that calls need; the others are empty */
};

/* What a call gives: a flat vector of all rows, or one row of bytes a row (NULL place: null). */
struct window_result {
    struct weir_vector vector;
    uint8_t **places;
    const struct weir_row_layout *layout;
    uint32_t column;
};

/* Rows [start, end) that a row's frame holds, before `exclude`. */
struct window_frames {
    uint32_t *start, *end;
};
/* A frame without what is excluded: at most three runs of rows, ascending, none empty. */
struct window_piece {
    uint32_t start, end;
};
static inline uint32_t window_pieces(const struct window_task *task,
                                     const struct weir_window_call *call,
                                     const struct window_frames *frames, uint32_t row,
                                     struct window_piece pieces[3])
{
    uint32_t start = frames->start[row], end = frames->end[row], count = 0;
    uint32_t from = row, to = row + 1;
    if (start >= end)
        return 0;
    if (call->exclude == WEIR_EXCLUDE_NOTHING) {
        pieces[0] = (struct window_piece){start, end};
        return 1;
    }
    if (call->exclude != WEIR_EXCLUDE_CURRENT) {
        from = task->peer_start[row];
        to = task->peer_end[row];
    }
    if (start < (end < from ? end : from))
        pieces[count++] = (struct window_piece){start, end < from ? end : from};
    if (call->exclude == WEIR_EXCLUDE_TIES && start <= row && row < end)
        pieces[count++] = (struct window_piece){row, row + 1};
    if ((start > to ? start : to) < end)
        pieces[count++] = (struct window_piece){start > to ? start : to, end};
    return count;
}

/* ---- window_frame.c ---- */
weir_status window_frames_make(struct window_task *task, const struct weir_window_call *call,
                               struct window_frames *ret_frames,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* ---- window_value.c: row_number ... nth_value ---- */
weir_status window_function_run(struct window_task *task, const struct weir_window_call *call,
                                struct window_result *ret_result,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* ---- window_aggregate.c ---- */
weir_status window_aggregate_run(struct window_task *task, const struct weir_window_call *call,
                                 struct window_result *ret_result,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
