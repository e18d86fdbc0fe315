/* Frames: which rows around a row a window call looks at. Within a partition both ends only go
 * forward, so each is found by walking once. */
#include "engine/exec/window_int.h"

#include "engine/base/text.h"

#include <math.h>

struct weir_interval_value {
    int32_t months, days;
    int64_t micros;
};

/* An offset of RANGE: what is added to the order key, as wide as it takes. */
struct offset {
    bool real;
    double number;
    weir_int128 whole; /* DECIMAL: at the key's scale */
    struct weir_interval_value interval;
    bool calendar; /* interval with months */
};

#define MICROS_PER_DAY 86400000000ll

static weir_status refuse_offset(const struct weir_window_call *call, const char *which,
                                 const char *why, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_FAILED, "frame %s offset %s", which, why);
}

/* ---- ROWS and GROUPS: an offset is a count ---- */

static weir_status count_offset(const struct weir_window_call *call, const struct weir_node *node,
                                const char *which, uint64_t *ret_count, struct weir_error *reterr)
{
    int64_t count;
    if (!node || node->kind != WEIR_NODE_CONSTANT)
        return refuse_offset(call, which, "must be a constant", reterr);
    if (!weir_vector_valid(&node->value, 0))
        return refuse_offset(call, which, "must not be null", reterr);
    if (node->type.id == WEIR_INT)
        count = *(const int32_t *)node->value.values;
    else if (node->type.id == WEIR_LONG)
        count = *(const int64_t *)node->value.values;
    else
        return refuse_offset(call, which, "of ROWS or GROUPS must be a whole number", reterr);
    if (count < 0)
        return refuse_offset(call, which, "must not be negative", reterr);
    *ret_count = (uint64_t)count;
    return WEIR_OK;
}

static uint32_t rows_bound(enum weir_frame_bound bound, uint64_t offset, bool is_end,
                           uint32_t first, uint32_t last, uint32_t row)
{
    uint64_t at = row + (is_end ? 1 : 0);
    switch (bound) {
    case WEIR_UNBOUNDED_PRECEDING: return first;
    case WEIR_UNBOUNDED_FOLLOWING: return last;
    case WEIR_PRECEDING: return at - first < offset ? first : (uint32_t)(at - offset);
    case WEIR_FOLLOWING: return last - at < offset ? last : (uint32_t)(at + offset);
    default: return (uint32_t)at;
    }
}

static void rows_frames(const struct window_task *task, const struct weir_window_call *call,
                        uint64_t before, uint64_t after, struct window_frames *frames)
{
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], last = task->partitions[p + 1];
        for (uint32_t row = first; row < last; row++) {
            frames->start[row] = rows_bound(call->start, before, false, first, last, row);
            frames->end[row] = rows_bound(call->end, after, true, first, last, row);
        }
    }
}

/* groups[g]: first row of the g-th group of peers, groups[count] = last. */
static uint32_t groups_bound(const struct window_task *task, enum weir_frame_bound bound,
                             uint64_t offset, bool is_end, const uint32_t *groups,
                             uint32_t group_count, uint32_t group)
{
    uint64_t at = group + (is_end ? 1 : 0);
    switch (bound) {
    case WEIR_UNBOUNDED_PRECEDING: return groups[0];
    case WEIR_UNBOUNDED_FOLLOWING: return groups[group_count];
    case WEIR_PRECEDING: return at < offset ? groups[0] : groups[at - offset];
    case WEIR_FOLLOWING:
        return group_count - at < offset ? groups[group_count] : groups[at + offset];
    default: return groups[at];
    }
}

static weir_status groups_frames(const struct window_task *task,
                                 const struct weir_window_call *call, uint64_t before,
                                 uint64_t after, struct window_frames *frames,
                                 struct weir_error *reterr)
{
    uint32_t *groups;
    WEIR_TRY(
        weir_arena_alloc(task->arena, ((size_t)task->count + 2) * sizeof *groups, &groups, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], last = task->partitions[p + 1], count = 0, group = 0;
        for (uint32_t row = first; row < last; row = task->peer_end[row])
            groups[count++] = row;
        groups[count] = last;
        for (uint32_t row = first; row < last; row++) {
            if (row >= groups[group + 1])
                group++;
            frames->start[row] = groups_bound(task, call->start, before, false, groups, count,
                                              group);
            frames->end[row] = groups_bound(task, call->end, after, true, groups, count, group);
        }
    }
    return WEIR_OK;
}

/* ---- RANGE: an offset is a distance between order keys ---- */

static weir_int128 power_of_ten(int exponent)
{
    weir_int128 power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static weir_status whole_offset(const struct weir_type *key, const struct weir_node *node,
                                struct offset *ret, struct weir_error *reterr)
{
    int scale = node->type.id == WEIR_DECIMAL ? node->type.scale : 0,
        wanted = key->id == WEIR_DECIMAL ? key->scale : 0;
    switch (node->type.id) {
    case WEIR_INT: ret->whole = *(const int32_t *)node->value.values; break;
    case WEIR_LONG: ret->whole = *(const int64_t *)node->value.values; break;
    case WEIR_DECIMAL: memcpy(&ret->whole, node->value.values, sizeof ret->whole); break;
    default:
        return weir_fail(reterr, WEIR_FAILED, "RANGE over a %s takes no offset of type %s",
                         weir_type_name(key->id), weir_type_name(node->type.id));
    }
    ret->real = false;
    if (scale <= wanted) {
        if (__builtin_mul_overflow(ret->whole, power_of_ten(wanted - scale), &ret->whole))
            ret->whole = (weir_int128)1 << 126;
    } else {
        weir_int128 power = power_of_ten(scale - wanted);
        /* key + x >= bound means the same for the next lower representable distance */
        ret->whole = ret->whole / power;
    }
    return WEIR_OK;
}

static weir_status real_offset(const struct weir_node *node, struct offset *ret,
                               struct weir_error *reterr)
{
    weir_int128 whole;
    ret->real = true;
    switch (node->type.id) {
    case WEIR_INT: ret->number = *(const int32_t *)node->value.values; break;
    case WEIR_LONG: ret->number = (double)*(const int64_t *)node->value.values; break;
    case WEIR_FLOAT: ret->number = (double)*(const float *)node->value.values; break;
    case WEIR_DOUBLE: ret->number = *(const double *)node->value.values; break;
    case WEIR_DECIMAL:
        memcpy(&whole, node->value.values, sizeof whole);
        ret->number = (double)whole / (double)power_of_ten(node->type.scale);
        break;
    default:
        return weir_fail(reterr, WEIR_FAILED, "RANGE over a double takes no offset of type %s",
                         weir_type_name(node->type.id));
    }
    return WEIR_OK;
}

static weir_status interval_offset(const struct weir_type *key, const struct weir_node *node,
                                   struct offset *ret, struct weir_error *reterr)
{
    if (node->type.id != WEIR_INTERVAL)
        return key->id == WEIR_DATE
                   ? whole_offset(key, node, ret, reterr)
                   : weir_fail(reterr, WEIR_FAILED, "RANGE over a %s takes an interval as offset",
                               weir_type_name(key->id));
    memcpy(&ret->interval, node->value.values, sizeof ret->interval);
    ret->calendar = true;
    ret->whole = 0;
    if (ret->interval.months < 0 || ret->interval.days < 0 || ret->interval.micros < 0)
        ret->whole = -1; /* refused as negative */
    return WEIR_OK;
}

static weir_status range_offset(const struct weir_window_call *call, const struct weir_type *key,
                                const struct weir_node *node, const char *which, struct offset *ret,
                                struct weir_error *reterr)
{
    *ret = (struct offset){0};
    if (!node || node->kind != WEIR_NODE_CONSTANT)
        return refuse_offset(call, which, "must be a constant", reterr);
    if (!weir_vector_valid(&node->value, 0))
        return refuse_offset(call, which, "must not be null", reterr);
    switch (key->id) {
    case WEIR_INT:
    case WEIR_LONG:
    case WEIR_DECIMAL: WEIR_TRY(whole_offset(key, node, ret, reterr)); break;
    case WEIR_FLOAT:
    case WEIR_DOUBLE: WEIR_TRY(real_offset(node, ret, reterr)); break;
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: WEIR_TRY(interval_offset(key, node, ret, reterr)); break;
    default:
        return weir_fail(reterr, WEIR_FAILED, "RANGE with an offset is not for an order by a %s",
                         weir_type_name(key->id));
    }
    if (ret->real ? !(ret->number >= 0) : ret->whole < 0)
        return refuse_offset(call, which, "must not be negative", reterr);
    return WEIR_OK;
}

/* Months keep the day, or take the month's last. */
static int64_t add_months(int64_t days, int64_t months)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year;
    unsigned month, day;
    weir_days_to_civil(days, &year, &month, &day);
    int64_t number = year * 12 + (month - 1) + months;
    year = number >= 0 ? number / 12 : -((11 - number) / 12);
    month = (unsigned)(number - year * 12) + 1;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    unsigned length = lengths[month - 1] + (month == 2 && leap);
    return weir_days_from_civil(year, month, day < length ? day : length);
}

/* Dates as micros of their midnight, so that hours count too. */
static weir_int128 add_interval(weir_int128 micros, const struct weir_interval_value *interval,
                                int sign)
{
    int64_t days = (int64_t)(micros / MICROS_PER_DAY);
    if (micros % MICROS_PER_DAY < 0)
        days--;
    weir_int128 rest = micros - (weir_int128)days * MICROS_PER_DAY;
    if (interval->months)
        days = add_months(days, sign * (int64_t)interval->months);
    return ((weir_int128)days + sign * (weir_int128)interval->days) * MICROS_PER_DAY + rest +
           sign * (weir_int128)interval->micros;
}

/* The order key's values as numbers. */
struct distances {
    const struct weir_type *type;
    struct weir_lane lane;
    bool descending;
};

static weir_int128 whole_at(const struct distances *distances, uint32_t row)
{
    uint32_t at = weir_lane(&distances->lane, row);
    const void *values = distances->lane.flat->values;
    weir_int128 whole;
    switch (distances->type->id) {
    case WEIR_INT: return ((const int32_t *)values)[at];
    case WEIR_DATE: return ((const int32_t *)values)[at];
    case WEIR_DECIMAL:
        memcpy(&whole, (const uint8_t *)values + (size_t)at * sizeof whole, sizeof whole);
        return whole;
    default: return ((const int64_t *)values)[at];
    }
}

static double real_at(const struct distances *distances, uint32_t row)
{
    uint32_t at = weir_lane(&distances->lane, row);
    const void *values = distances->lane.flat->values;
    return distances->type->id == WEIR_FLOAT ? (double)((const float *)values)[at]
                                             : ((const double *)values)[at];
}

static int real_order(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

/* Order of row's key against `of`'s key moved by the offset: sign -1 lowers, in order of values. */
static int moved_order(const struct distances *distances, const struct offset *offset, int sign,
                       uint32_t row, uint32_t of)
{
    if (offset->real)
        return real_order(real_at(distances, row), real_at(distances, of) + sign * offset->number);
    weir_int128 value = whole_at(distances, row), moved = whole_at(distances, of);
    if (offset->calendar) {
        weir_int128 unit = distances->type->id == WEIR_DATE ? MICROS_PER_DAY : 1;
        value *= unit;
        moved = add_interval(moved * unit, &offset->interval, sign);
    } else {
        moved += sign * offset->whole;
    }
    return (value > moved) - (value < moved);
}

/* First row in [at, last) that is not before the bound (or, for an end, that is behind it). */
static uint32_t walk(const struct distances *distances, const struct offset *offset,
                     enum weir_frame_bound bound, bool is_end, uint32_t at, uint32_t last,
                     uint32_t row)
{
    int sign = (bound == WEIR_FOLLOWING) != distances->descending ? 1 : -1;
    for (; at < last; at++) {
        int order = moved_order(distances, offset, sign, at, row);
        if (distances->descending)
            order = -order;
        if (is_end ? order > 0 : order >= 0)
            break;
    }
    return at;
}

static uint32_t range_bound(const struct window_task *task, enum weir_frame_bound bound,
                            bool is_end, uint32_t first, uint32_t last, uint32_t row)
{
    if (bound == WEIR_UNBOUNDED_PRECEDING)
        return first;
    if (bound == WEIR_UNBOUNDED_FOLLOWING)
        return last;
    return is_end ? task->peer_end[row] : task->peer_start[row];
}

static void range_partition(const struct window_task *task, const struct weir_window_call *call,
                            const struct distances *distances, const struct offset offsets[2],
                            uint32_t partition, struct window_frames *frames)
{
    uint32_t first = task->partitions[partition], last = task->partitions[partition + 1],
             from = first, to = last;
    bool start_moves = call->start == WEIR_PRECEDING || call->start == WEIR_FOLLOWING,
         end_moves = call->end == WEIR_PRECEDING || call->end == WEIR_FOLLOWING;
    if (start_moves || end_moves) { /* nulls are at one end, and in no distance to anything */
        while (from < last && !weir_lane_valid(&distances->lane, from))
            from++;
        while (to > from && !weir_lane_valid(&distances->lane, to - 1))
            to--;
    }
    uint32_t start = from, end = from;
    for (uint32_t row = first; row < last; row++) {
        bool moves = row >= from && row < to;
        frames->start[row] = range_bound(task, call->start, false, first, last, row);
        frames->end[row] = range_bound(task, call->end, true, first, last, row);
        if (start_moves && moves)
            frames->start[row] = start = walk(distances, &offsets[0], call->start, false, start, to,
                                              row);
        if (end_moves && moves)
            frames->end[row] = end = walk(distances, &offsets[1], call->end, true, end, to, row);
    }
}

static weir_status range_frames(const struct window_task *task, const struct weir_window_call *call,
                                struct window_frames *frames, struct weir_error *reterr)
{
    const struct weir_operator *operator= task->window->sink.operator;
    struct distances distances = {0};
    struct offset offsets[2] = {{0}};
    bool start_moves = call->start == WEIR_PRECEDING || call->start == WEIR_FOLLOWING,
         end_moves = call->end == WEIR_PRECEDING || call->end == WEIR_FOLLOWING;
    if (start_moves || end_moves) {
        if (operator->sort_key_count != 1)
            return weir_fail(
                reterr, WEIR_FAILED,
                "RANGE with an offset takes one ORDER BY column, not %u", operator->sort_key_count);
        const struct weir_sort_key *key = &operator->sort_keys[0];
        const struct weir_vector *column = &task->input.columns[key->column];
        distances.type = column->type;
        distances.lane = weir_lane_of(column);
        distances.descending = key->descending;
        if (start_moves)
            WEIR_TRY(range_offset(call, column->type, call->start_offset, "starting", &offsets[0],
                                  reterr));
        if (end_moves)
            WEIR_TRY(
                range_offset(call, column->type, call->end_offset, "ending", &offsets[1], reterr));
    }
    for (uint32_t p = 0; p < task->partition_count; p++)
        range_partition(task, call, &distances, offsets, p, frames);
    return WEIR_OK;
}

weir_status window_frames_make(struct window_task *task, const struct weir_window_call *call,
                               struct window_frames *ret_frames, struct weir_error *reterr)
{
    struct window_frames frames;
    uint64_t before = 0, after = 0;
    size_t size = ((size_t)task->count + 1) * sizeof *frames.start;
    WEIR_TRY(weir_arena_alloc(task->arena, size, &frames.start, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, size, &frames.end, reterr));
    if (call->unit == WEIR_FRAME_RANGE) {
        WEIR_TRY(range_frames(task, call, &frames, reterr));
    } else {
        if (call->start == WEIR_PRECEDING || call->start == WEIR_FOLLOWING)
            WEIR_TRY(count_offset(call, call->start_offset, "starting", &before, reterr));
        if (call->end == WEIR_PRECEDING || call->end == WEIR_FOLLOWING)
            WEIR_TRY(count_offset(call, call->end_offset, "ending", &after, reterr));
        if (call->unit == WEIR_FRAME_ROWS)
            rows_frames(task, call, before, after, &frames);
        else
            WEIR_TRY(groups_frames(task, call, before, after, &frames, reterr));
    }
    *ret_frames = frames;
    return WEIR_OK;
}
