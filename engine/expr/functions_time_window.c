/* Windows of time: date_bin and time_bucket give the one window a time is in, hop all that it is
 * in. Windows start at origin + k * stride. The window of a session depends on its neighbours: that
 * is a window function (engine/exec). */
#include "engine/base/limits.h"
#include "engine/expr/function_list.h"

#include <string.h>

#define DAY         86400000000LL
#define MONDAY_2000 (10959 * DAY) /* 2000-01-03: where time_bucket's weeks begin */

/* ---- arguments ---- */

/* Argument `at` is a timestamp, with or without zone; a date becomes one. */
static weir_status bind_moment(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                               struct weir_error *reterr)
{
    const struct weir_node *argument = call->arguments[at];
    enum weir_type_id id = argument->type.id;
    if (argument->unknown || id == WEIR_DATE)
        return bind_as(arena, call, at, WEIR_TIMESTAMP, reterr);
    return id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ ? WEIR_OK : bind_wrong(call, reterr);
}

/* The moment is argument `at`, those before it are intervals, one behind it is the origin. */
static weir_status bind_strides(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                                struct weir_error *reterr)
{
    for (uint32_t i = 0; i < at; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_INTERVAL, reterr));
    WEIR_TRY(bind_moment(arena, call, at, reterr));
    if (call->argument_count == at + 2 && call->arguments[at + 1]->type.id != WEIR_INTERVAL)
        WEIR_TRY(bind_as(arena, call, at + 1, call->arguments[at]->type.id, reterr));
    return WEIR_OK;
}

static struct weir_interval interval_at(const struct weir_lane *lane, uint32_t row)
{
    struct weir_interval interval;
    memcpy(&interval, (const uint8_t *)lane->flat->values + (size_t)weir_lane(lane, row) * 16, 16);
    return interval;
}

static int64_t micros_at(const struct weir_lane *lane, uint32_t row)
{
    return ((const int64_t *)lane->flat->values)[weir_lane(lane, row)];
}

/* Days and less as microseconds; false: months, nothing, backwards or out of range. */
static bool width_of(const struct weir_interval *interval, int64_t *ret)
{
    return !interval->months && !__builtin_mul_overflow((int64_t)interval->days, DAY, ret) &&
           !__builtin_add_overflow(*ret, interval->micros, ret) && *ret > 0;
}

/* The last start, of those at origin + k * width, that is not behind the moment. */
static bool start_of(int64_t moment, int64_t origin, int64_t width, int64_t *ret)
{
    int64_t distance;
    if (__builtin_sub_overflow(moment, origin, &distance))
        return false;
    int64_t rest = distance % width;
    return !__builtin_sub_overflow(moment, rest < 0 ? rest + width : rest, ret);
}

/* ---- date_bin ---- */

static weir_status bind_bin(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(bind_strides(arena, call, 1, reterr));
    if (call->argument_count == 3 && call->arguments[2]->type.id == WEIR_INTERVAL)
        return bind_wrong(call, reterr);
    call->type = call->arguments[1]->type;
    return WEIR_OK;
}

static weir_status evaluate_bin(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    bool given = call->argument_count == 3;
    struct weir_lane stride = weir_lane_of(&arguments[0]), moment = weir_lane_of(&arguments[1]),
                     origin = weir_lane_of(&arguments[given ? 2 : 1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    int64_t *out = ret->values;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        int64_t width;
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        struct weir_interval by = interval_at(&stride, i);
        if (!width_of(&by, &width))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "date_bin takes a positive stride without months"));
        else if (!start_of(micros_at(&moment, i), given ? micros_at(&origin, i) : 0, width,
                           &out[i]))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "timestamp out of range"));
    }
    return WEIR_OK;
}

/* ---- time_bucket, as DuckDB has it ---- */

static weir_status bind_bucket(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    WEIR_TRY(bind_strides(arena, call, 1, reterr));
    call->type = call->arguments[1]->type;
    return WEIR_OK;
}

static int64_t month_number(int64_t micros)
{
    int64_t year;
    unsigned month, day;
    weir_days_to_civil(micros / DAY - (micros % DAY < 0), &year, &month, &day);
    return year * 12 + (int64_t)month - 1;
}

/* The first of the month in which the window of so many months begins. */
static bool month_start(int64_t moment, int64_t origin, int32_t months, int64_t *ret)
{
    int64_t number = month_number(moment), rest = (number - month_number(origin)) % months;
    number -= rest < 0 ? rest + months : rest;
    int64_t year = number / 12 - (number % 12 < 0);
    int64_t days = weir_days_from_civil(year, (unsigned)(number - year * 12) + 1, 1);
    return !__builtin_mul_overflow(days, DAY, ret);
}

static const char *bucket(const struct weir_interval *by, const struct weir_interval *offset,
                          const int64_t *origin, int64_t moment, int64_t *ret)
{
    int64_t width, from = origin ? *origin : MONDAY_2000, moved;
    if (by->months > 0 && !by->days && !by->micros && !offset)
        return month_start(moment, from, by->months, ret) ? NULL : "timestamp out of range";
    if (!width_of(by, &width) || (offset && offset->months))
        return "time_bucket takes a positive width: months, or days and less";
    if (offset && (__builtin_mul_overflow((int64_t)offset->days, DAY, &moved) ||
                   __builtin_add_overflow(moved, offset->micros, &moved) ||
                   __builtin_add_overflow(from, moved, &from)))
        return "timestamp out of range";
    return start_of(moment, from, width, ret) ? NULL : "timestamp out of range";
}

static weir_status evaluate_bucket(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    struct weir_lane lanes[3] = {{0}};
    bool third = call->argument_count == 3,
         shifted = third && call->arguments[2]->type.id == WEIR_INTERVAL;
    for (uint32_t a = 0; a < call->argument_count; a++)
        lanes[a] = weir_lane_of(&arguments[a]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        struct weir_interval offset;
        int64_t origin = 0;
        if (ret->validity && !weir_bit_get(ret->validity, i))
            continue;
        struct weir_interval by = interval_at(&lanes[0], i);
        if (shifted)
            offset = interval_at(&lanes[2], i);
        else if (third)
            origin = micros_at(&lanes[2], i);
        const char *wrong = bucket(&by, shifted ? &offset : NULL,
                                   third && !shifted ? &origin : NULL, micros_at(&lanes[1], i),
                                   &((int64_t *)ret->values)[i]);
        if (wrong)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s", wrong));
    }
    return WEIR_OK;
}

/* ---- hop ---- */

static weir_status bind_hop(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(bind_strides(arena, call, 2, reterr));
    if (call->argument_count == 4 && call->arguments[3]->type.id == WEIR_INTERVAL)
        return bind_wrong(call, reterr);
    return list_type(arena, &call->arguments[2]->type, &call->type, reterr);
}

struct hops { /* of one row: first, first + slide, ..., count of them */
    int64_t first, slide;
    uint32_t count;
};

static const char *hops_of(const struct weir_lane *lanes, bool origin, uint32_t row,
                           struct hops *ret)
{
    struct weir_interval sizes[2] = {interval_at(&lanes[0], row), interval_at(&lanes[1], row)};
    int64_t size, last, moment = micros_at(&lanes[2], row), back;
    if (!width_of(&sizes[0], &size) || !width_of(&sizes[1], &ret->slide))
        return "hop takes a positive size and slide without months";
    if (!start_of(moment, origin ? micros_at(&lanes[3], row) : 0, ret->slide, &last))
        return "timestamp out of range";
    int64_t into = moment - last, more = (size - 1 - into) / ret->slide;
    ret->count = 0;
    if (into >= size) /* between two windows, when they slide by more than they are wide */
        return NULL;
    if (more >= (int64_t)(WEIR_LIST_ELEMENTS_MAX / 16))
        return "a list that is too long";
    ret->count = (uint32_t)more + 1;
    return __builtin_mul_overflow(more, ret->slide, &back) ||
                   __builtin_sub_overflow(last, back, &ret->first)
               ? "timestamp out of range"
               : NULL;
}

static weir_status hop_rows(struct weir_evaluation *evaluation, const struct weir_node *call,
                            const struct weir_vector *arguments, const struct weir_vector *ret,
                            int32_t *offsets, struct hops *hops, struct weir_error *reterr)
{
    struct weir_lane lanes[4] = {{0}};
    uint64_t total = 0;
    for (uint32_t a = 0; a < call->argument_count; a++)
        lanes[a] = weir_lane_of(&arguments[a]);
    for (uint32_t i = 0; i < evaluation->count; i++) {
        const char *wrong = NULL;
        hops[i].count = 0;
        if ((!ret->validity || weir_bit_get(ret->validity, i)) &&
            !(evaluation->failed && weir_bit_get(evaluation->failed, i)))
            wrong = hops_of(lanes, call->argument_count == 4, i, &hops[i]);
        if (wrong) {
            hops[i].count = 0;
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s", wrong));
        }
        total += hops[i].count;
        if (total > WEIR_LIST_ELEMENTS_MAX)
            return weir_fail(reterr, WEIR_NO_MEMORY, "lists of more than %u elements",
                             WEIR_LIST_ELEMENTS_MAX);
        offsets[i + 1] = (int32_t)total;
    }
    return WEIR_OK;
}

static weir_status evaluate_hop(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    struct weir_arena *arena = evaluation->arena;
    struct weir_vector *child;
    struct hops *hops;
    int32_t *offsets;
    int64_t *out;
    WEIR_TRY(weir_arena_zero(arena, (size_t)evaluation->count + 1, sizeof *hops, &hops, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, (size_t)evaluation->count + 17, sizeof *offsets, &offsets, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(hop_rows(evaluation, call, arguments, ret, offsets, hops, reterr));
    size_t total = (size_t)offsets[evaluation->count];
    WEIR_TRY(weir_arena_alloc(arena, (total + 16) * sizeof *out, &out, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        for (uint32_t k = 0; k < hops[i].count; k++)
            out[offsets[i] + (int32_t)k] = hops[i].first + (int64_t)k * hops[i].slide;
    *child = (struct weir_vector){
        .type = &call->type.children[0].type, .count = (uint32_t)total, .values = out};
    *ret = (struct weir_vector){.type = &call->type,
                                .count = evaluation->count,
                                .validity = ret->validity,
                                .offsets = offsets,
                                .children = child};
    return WEIR_OK;
}

#define WINDOW(name, signature, doc, least, most, bind, evaluate)                                  \
    {                                                                                              \
        name, "times", name signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate,     \
            NULL                                                                                   \
    }

const struct weir_function functions_time_window[] = {
    WINDOW("date_bin", "(stride, time, origin)",
           "the start of the window of that width the time is in", 2, 3, bind_bin, evaluate_bin),
    WINDOW("time_bucket", "(width, time, origin or offset)",
           "the same, from Monday 2000-01-03 on, also of months", 2, 3, bind_bucket,
           evaluate_bucket),
    WINDOW("hop", "(size, slide, time, origin)",
           "the starts of all windows of that size, one every slide, that the time is in", 3, 4,
           bind_hop, evaluate_hop),
    {0},
};
