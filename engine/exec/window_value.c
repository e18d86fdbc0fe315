/* The window functions proper: numbers of rows and ranks, and values of other rows. */
#include "engine/exec/window_int.h"

/* ---- numbers ---- */

static weir_status number_result(struct window_task *task, const struct weir_window_call *call,
                                 struct window_result *result, struct weir_error *reterr)
{
    const struct weir_type *type = &call->aggregate.type;
    if (type->id != WEIR_LONG && type->id != WEIR_DOUBLE && type->id != WEIR_INT)
        return weir_fail(reterr, WEIR_INTERNAL, "%s is bound to a %s", call->name,
                         weir_type_name(type->id));
    WEIR_TRY(weir_vector_make(task->arena, type, task->count, 0, &result->vector, reterr));
    result->vector.count = task->count;
    return WEIR_OK;
}

static void put_number(struct window_result *result, uint32_t row, int64_t number)
{
    if (result->vector.type->id == WEIR_INT)
        ((int32_t *)result->vector.values)[row] = (int32_t)number;
    else
        ((int64_t *)result->vector.values)[row] = number;
}

static void put_null(struct window_result *result, uint32_t row)
{
    weir_bit_clear(result->vector.validity, row);
    result->vector.null_count++;
}

static weir_status with_validity(struct window_task *task, struct window_result *result,
                                 struct weir_error *reterr)
{
    size_t size = (size_t)task->count / 8 + 72;
    WEIR_TRY(weir_arena_alloc(task->arena, size, &result->vector.validity, reterr));
    memset(result->vector.validity, 0xff, size);
    return WEIR_OK;
}

static weir_status row_number(struct window_task *task, const struct weir_window_call *call,
                              struct window_result *result, struct weir_error *reterr)
{
    WEIR_TRY(number_result(task, call, result, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++)
        for (uint32_t row = task->partitions[p]; row < task->partitions[p + 1]; row++)
            put_number(result, row, (int64_t)row - task->partitions[p] + 1);
    return WEIR_OK;
}

static weir_status rank(struct window_task *task, const struct weir_window_call *call,
                        struct window_result *result, struct weir_error *reterr)
{
    WEIR_TRY(number_result(task, call, result, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++)
        for (uint32_t row = task->partitions[p]; row < task->partitions[p + 1]; row++)
            put_number(result, row, (int64_t)task->peer_start[row] - task->partitions[p] + 1);
    return WEIR_OK;
}

static weir_status dense_rank(struct window_task *task, const struct weir_window_call *call,
                              struct window_result *result, struct weir_error *reterr)
{
    WEIR_TRY(number_result(task, call, result, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++) {
        int64_t number = 0;
        for (uint32_t row = task->partitions[p]; row < task->partitions[p + 1]; row++) {
            number += task->peer_start[row] == row;
            put_number(result, row, number);
        }
    }
    return WEIR_OK;
}

static weir_status percent_rank(struct window_task *task, const struct weir_window_call *call,
                                struct window_result *result, struct weir_error *reterr)
{
    WEIR_TRY(number_result(task, call, result, reterr));
    double *values = result->vector.values;
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], rows = task->partitions[p + 1] - first;
        for (uint32_t row = first; row < first + rows; row++)
            values[row] = rows > 1 ? (double)(task->peer_start[row] - first) / (double)(rows - 1)
                                   : 0.0;
    }
    return WEIR_OK;
}

static weir_status cume_dist(struct window_task *task, const struct weir_window_call *call,
                             struct window_result *result, struct weir_error *reterr)
{
    WEIR_TRY(number_result(task, call, result, reterr));
    double *values = result->vector.values;
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], rows = task->partitions[p + 1] - first;
        for (uint32_t row = first; row < first + rows; row++)
            values[row] = (double)(task->peer_end[row] - first) / (double)rows;
    }
    return WEIR_OK;
}

/* ---- arguments ---- */

static weir_status argument(struct window_task *task, const struct weir_window_call *call,
                            uint32_t index, struct weir_vector *ret_vector,
                            struct weir_error *reterr)
{
    return exec_evaluate(task->window->sink.exec, &call->aggregate.arguments[index], 1,
                         &task->input, task->arena, ret_vector, reterr);
}

/* A whole number of argument `index` by row; false: null. */
struct whole {
    struct weir_lane lane;
    bool narrow;
};
static weir_status whole_argument(struct window_task *task, const struct weir_window_call *call,
                                  uint32_t index, struct weir_vector *vector, struct whole *ret,
                                  struct weir_error *reterr)
{
    WEIR_TRY(argument(task, call, index, vector, reterr));
    if (vector->type->id != WEIR_INT && vector->type->id != WEIR_LONG)
        return weir_fail(reterr, WEIR_INTERNAL, "%s is bound to a %s", call->name,
                         weir_type_name(vector->type->id));
    *ret = (struct whole){weir_lane_of(vector), vector->type->id == WEIR_INT};
    return WEIR_OK;
}
static bool whole_at(const struct whole *whole, uint32_t row, int64_t *ret_number)
{
    if (!weir_lane_valid(&whole->lane, row))
        return false;
    uint32_t at = weir_lane(&whole->lane, row);
    *ret_number = whole->narrow ? ((const int32_t *)whole->lane.flat->values)[at]
                                : ((const int64_t *)whole->lane.flat->values)[at];
    return true;
}

static weir_status ntile(struct window_task *task, const struct weir_window_call *call,
                         struct window_result *result, struct weir_error *reterr)
{
    struct weir_vector vector;
    struct whole tiles;
    WEIR_TRY(number_result(task, call, result, reterr));
    WEIR_TRY(with_validity(task, result, reterr));
    WEIR_TRY(whole_argument(task, call, 0, &vector, &tiles, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], rows = task->partitions[p + 1] - first;
        int64_t count;
        bool there = whole_at(&tiles, first, &count);
        if (there && count <= 0)
            return weir_fail(reterr, WEIR_FAILED, "ntile takes a number above zero");
        int64_t size = there ? rows / count : 0, larger = there ? rows % count : 0;
        for (uint32_t row = first; row < first + rows; row++) {
            int64_t at = row - first, border = larger * (size + 1);
            if (!there)
                put_null(result, row);
            else
                put_number(result, row,
                           at < border ? at / (size + 1) + 1 : (at - border) / size + larger + 1);
        }
    }
    return WEIR_OK;
}

/* ---- values of other rows ----
 * A value is carried over as a row of bytes: that holds any type, and null is no row. */

struct values {
    uint8_t **rows; /* of bytes, by row */
    const struct weir_row_layout *layout;
    uint32_t column;
    uint32_t *before; /* IGNORE NULLS: how many valid ones are before each row; count + 1 */
    uint32_t *valid;  /* their rows */
};

static weir_status encode(struct window_task *task, const struct weir_row_layout *layout,
                          const struct weir_vector *vector, uint8_t ***ret_rows,
                          struct weir_error *reterr)
{
    uint32_t *sizes;
    uint8_t **rows, *bytes;
    uint64_t total = 0;
    size_t count = (size_t)task->count + 1;
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof *rows, &rows, reterr));
    WEIR_TRY(weir_rows_size(layout, vector, NULL, task->count, sizes, reterr));
    for (uint32_t i = 0; i < task->count; i++)
        total += sizes[i];
    WEIR_TRY(weir_arena_alloc(task->arena, total + 1, &bytes, reterr));
    for (uint32_t i = 0; i < task->count; i++) {
        rows[i] = bytes;
        bytes += sizes[i];
    }
    weir_rows_write(layout, vector, NULL, task->count, rows);
    *ret_rows = rows;
    return WEIR_OK;
}

static weir_status index_valid(struct window_task *task, struct values *values,
                               struct weir_error *reterr)
{
    uint32_t count = 0;
    size_t size = ((size_t)task->count + 1) * sizeof(uint32_t);
    WEIR_TRY(weir_arena_alloc(task->arena, size, &values->before, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, size, &values->valid, reterr));
    for (uint32_t row = 0; row < task->count; row++) {
        values->before[row] = count;
        if (!weir_row_null(values->layout, values->rows[row], values->column))
            values->valid[count++] = row;
    }
    values->before[task->count] = count;
    return WEIR_OK;
}

/* plain: the call takes values of argument 0 only, so that a column need not be copied. */
static weir_status values_make(struct window_task *task, const struct weir_window_call *call,
                               bool plain, struct values *ret, struct weir_error *reterr)
{
    const struct weir_node *node = call->aggregate.arguments[0];
    *ret = (struct values){0};
    if (plain && node->kind == WEIR_NODE_COLUMN) {
        ret->rows = task->places;
        ret->layout = &task->window->sorter.layout;
        ret->column = node->index;
    } else {
        struct weir_row_layout *layout;
        struct weir_vector vector;
        WEIR_TRY(weir_arena_alloc(task->arena, sizeof *layout, &layout, reterr));
        WEIR_TRY(
            weir_row_layout_init(task->arena, &call->aggregate.type, 1, 0, false, layout, reterr));
        ret->layout = layout;
        WEIR_TRY(argument(task, call, 0, &vector, reterr));
        WEIR_TRY(encode(task, layout, &vector, &ret->rows, reterr));
    }
    return call->ignore_nulls ? index_valid(task, ret, reterr) : WEIR_OK;
}

static weir_status values_result(struct window_task *task, const struct values *values,
                                 struct window_result *result, struct weir_error *reterr)
{
    result->layout = values->layout;
    result->column = values->column;
    return weir_arena_zero(task->arena, (size_t)task->count + 1, sizeof *result->places,
                           &result->places, reterr);
}

/* The row `distance` rows after `row` (before it if negative) in [first, last). */
static uint32_t row_away(const struct values *values, uint32_t first, uint32_t last, uint32_t row,
                         int64_t distance)
{
    int64_t at;
    if (distance == 0 || !values->valid) {
        if (__builtin_add_overflow((int64_t)row, distance, &at))
            return WINDOW_NONE;
        return at >= first && at < last ? (uint32_t)at : WINDOW_NONE;
    }
    int64_t from = distance < 0 ? values->before[row] : (int64_t)values->before[row + 1] - 1;
    if (__builtin_add_overflow(from, distance, &at))
        return WINDOW_NONE;
    return at >= values->before[first] && at < values->before[last] ? values->valid[at]
                                                                    : WINDOW_NONE;
}

static weir_status lag_lead(struct window_task *task, const struct weir_window_call *call,
                            bool lead, struct window_result *result, struct weir_error *reterr)
{
    uint32_t arguments = call->aggregate.argument_count;
    struct weir_vector vector;
    struct values values;
    struct whole offset;
    uint8_t **defaults = NULL;
    WEIR_TRY(values_make(task, call, arguments < 3, &values, reterr));
    WEIR_TRY(values_result(task, &values, result, reterr));
    if (arguments >= 3) {
        struct weir_vector given;
        WEIR_TRY(argument(task, call, 2, &given, reterr));
        WEIR_TRY(encode(task, values.layout, &given, &defaults, reterr));
    }
    if (arguments >= 2)
        WEIR_TRY(whole_argument(task, call, 1, &vector, &offset, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], last = task->partitions[p + 1];
        for (uint32_t row = first; row < last; row++) {
            int64_t distance = 1;
            if (arguments >= 2 && !whole_at(&offset, row, &distance))
                continue;
            if (!lead && __builtin_sub_overflow((int64_t)0, distance, &distance))
                distance = INT64_MAX;
            uint32_t other = row_away(&values, first, last, row, distance);
            if (other != WINDOW_NONE)
                result->places[row] = values.rows[other];
            else if (defaults)
                result->places[row] = defaults[row];
        }
    }
    return WEIR_OK;
}

/* The number-th row of the pieces, from 0; from their end if `back`. */
static uint32_t row_of_pieces(const struct values *values, const struct window_piece *pieces,
                              uint32_t count, uint64_t number, bool back)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct window_piece *piece = &pieces[back ? count - 1 - i : i];
        uint32_t start = piece->start, end = piece->end;
        if (values->valid) {
            start = values->before[start];
            end = values->before[end];
        }
        if (number < end - start) {
            uint32_t at = (uint32_t)(back ? end - 1 - number : start + number);
            return values->valid ? values->valid[at] : at;
        }
        number -= end - start;
    }
    return WINDOW_NONE;
}

static weir_status of_frame(struct window_task *task, const struct weir_window_call *call,
                            bool back, struct window_result *result, struct weir_error *reterr)
{
    struct window_frames frames;
    struct window_piece pieces[3];
    struct weir_vector vector;
    struct values values;
    struct whole number;
    bool nth = call->aggregate.argument_count >= 2;
    WEIR_TRY(values_make(task, call, true, &values, reterr));
    WEIR_TRY(values_result(task, &values, result, reterr));
    WEIR_TRY(window_frames_make(task, call, &frames, reterr));
    if (nth)
        WEIR_TRY(whole_argument(task, call, 1, &vector, &number, reterr));
    for (uint32_t row = 0; row < task->count; row++) {
        uint32_t count = window_pieces(task, call, &frames, row, pieces);
        int64_t wanted = 1;
        if (nth && !whole_at(&number, row, &wanted))
            continue;
        if (wanted <= 0)
            return weir_fail(reterr, WEIR_FAILED, "nth_value takes a number above zero");
        uint32_t other = row_of_pieces(&values, pieces, count, (uint64_t)wanted - 1, back);
        if (other != WINDOW_NONE)
            result->places[row] = values.rows[other];
    }
    return WEIR_OK;
}

static weir_status lag(struct window_task *task, const struct weir_window_call *call,
                       struct window_result *result, struct weir_error *reterr)
{
    return lag_lead(task, call, false, result, reterr);
}
static weir_status lead(struct window_task *task, const struct weir_window_call *call,
                        struct window_result *result, struct weir_error *reterr)
{
    return lag_lead(task, call, true, result, reterr);
}
static weir_status first_value(struct window_task *task, const struct weir_window_call *call,
                               struct window_result *result, struct weir_error *reterr)
{
    return of_frame(task, call, false, result, reterr);
}
static weir_status last_value(struct window_task *task, const struct weir_window_call *call,
                              struct window_result *result, struct weir_error *reterr)
{
    return of_frame(task, call, true, result, reterr);
}

/* ---- session ---- */

/* Whether a session ends between two moments: they are further apart than the gap. */
static bool apart(int64_t before, int64_t after, int64_t gap)
{
    int64_t distance;
    return __builtin_sub_overflow(after, before, &distance) || distance > gap;
}

/* Microseconds; false: null. */
static weir_status gap_of(const struct weir_vector *gap, bool *ret_there, int64_t *ret_micros,
                          struct weir_error *reterr)
{
    struct {
        int32_t months, days;
        int64_t micros;
    } interval;
    struct weir_lane lane = weir_lane_of(gap);
    *ret_there = weir_lane_valid(&lane, 0);
    if (!*ret_there)
        return WEIR_OK;
    memcpy(&interval, (const uint8_t *)lane.flat->values + (size_t)weir_lane(&lane, 0) * 16, 16);
    if (interval.months ||
        __builtin_mul_overflow((int64_t)interval.days, 86400000000LL, ret_micros) ||
        __builtin_add_overflow(*ret_micros, interval.micros, ret_micros) || *ret_micros <= 0)
        return weir_fail(reterr, WEIR_FAILED, "session takes a positive gap without months");
    return WEIR_OK;
}

/* session(time, gap): the time of the first row of the session; the binder has the rows in order
 * of time, nulls last: those are in none. */
static weir_status session(struct window_task *task, const struct weir_window_call *call,
                           struct window_result *result, struct weir_error *reterr)
{
    struct weir_vector times, gaps;
    bool there = false;
    int64_t gap = 0;
    WEIR_TRY(weir_vector_make(task->arena, &call->aggregate.type, task->count, 0, &result->vector,
                              reterr));
    result->vector.count = task->count;
    WEIR_TRY(with_validity(task, result, reterr));
    if (task->count == 0)
        return WEIR_OK;
    WEIR_TRY(argument(task, call, 0, &times, reterr));
    WEIR_TRY(argument(task, call, 1, &gaps, reterr));
    WEIR_TRY(gap_of(&gaps, &there, &gap, reterr));
    struct weir_lane lane = weir_lane_of(&times);
    const int64_t *values = lane.flat->values;
    int64_t *starts = result->vector.values;
    for (uint32_t p = 0; p < task->partition_count; p++)
        for (uint32_t row = task->partitions[p]; row < task->partitions[p + 1]; row++) {
            if (!there || !weir_lane_valid(&lane, row)) {
                starts[row] = 0;
                put_null(result, row);
                continue;
            }
            int64_t time = values[weir_lane(&lane, row)];
            bool first = row == task->partitions[p] ||
                         apart(values[weir_lane(&lane, row - 1)], time, gap);
            starts[row] = first ? time : starts[row - 1];
        }
    return WEIR_OK;
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    uint32_t arguments;
    weir_status (*run)(struct window_task *task, const struct weir_window_call *call,
                       struct window_result *result, struct weir_error *reterr);
} functions[] = {
    {"row_number", 0, row_number},
    {"rank", 0, rank},
    {"dense_rank", 0, dense_rank},
    {"percent_rank", 0, percent_rank},
    {"cume_dist", 0, cume_dist},
    {"ntile", 1, ntile},
    {"lag", 1, lag},
    {"lead", 1, lead},
    {"first_value", 1, first_value},
    {"last_value", 1, last_value},
    {"nth_value", 2, first_value},
    {"session", 2, session},
};

weir_status window_function_run(struct window_task *task, const struct weir_window_call *call,
                                struct window_result *ret_result, struct weir_error *reterr)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, call->name) == 0) {
            if (call->aggregate.argument_count < functions[i].arguments)
                return weir_fail(reterr, WEIR_INTERNAL, "%s is bound without its arguments",
                                 call->name);
            return functions[i].run(task, call, ret_result, reterr);
        }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "there is no window function %s", call->name);
}
