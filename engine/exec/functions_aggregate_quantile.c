/* Quantiles: quantile_cont and median between values of numbers and times, quantile_disc one of the
 * values of any type. All values are kept.
 *
 * percentile_cont(f) WITHIN GROUP (ORDER BY x) is bound as percentile_cont(x, f); descending order
 * as 1 - f. */
#include "engine/exec/functions_aggregate_int.h"

#include <math.h>

struct quantile {
    double fraction;
    bool integers;                 /* times: kept as microseconds */
    struct weir_row_layout layout; /* quantile_disc */
};

static const struct quantile *quantile_of(const struct weir_aggregate_call *call)
{
    return call->prepared;
}

/* ---- binding ---- */

static weir_status read_fraction(struct weir_arena *arena, struct weir_aggregate_call *call,
                                 struct quantile *quantile, struct weir_error *reterr)
{
    static const struct weir_type type = {.id = WEIR_DOUBLE};
    struct weir_node *node;
    quantile->fraction = 0.5;
    if (call->argument_count < 2)
        return WEIR_OK;
    node = call->arguments[1];
    if (node->type.id != WEIR_DOUBLE || node->unknown) {
        WEIR_TRY(weir_node_cast(arena, node, &type, false, false, &node, reterr));
        WEIR_TRY(weir_node_fold(arena, node, &node, reterr));
    }
    if (node->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&node->value, 0))
        return weir_fail(reterr, WEIR_USAGE, "%s: the fraction must be a constant number",
                         call->function->name);
    quantile->fraction = *(const double *)node->value.values;
    if (!(quantile->fraction >= 0 && quantile->fraction <= 1))
        return weir_fail(reterr, WEIR_USAGE, "%s: the fraction %g is not between 0 and 1",
                         call->function->name, quantile->fraction);
    call->argument_count = call->constant_count = 1;
    return WEIR_OK;
}

static bool is_time(enum weir_type_id id)
{
    return id == WEIR_TIME || id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ;
}

static weir_status between_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                struct weir_error *reterr)
{
    static const struct weir_type timestamp = {.id = WEIR_TIMESTAMP};
    struct quantile *quantile;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *quantile, &quantile, reterr));
    WEIR_TRY(read_fraction(arena, call, quantile, reterr));
    if (call->arguments[0]->type.id == WEIR_DATE)
        WEIR_TRY(weir_node_cast(arena, call->arguments[0], &timestamp, false, false,
                                &call->arguments[0], reterr));
    quantile->integers = is_time(call->arguments[0]->type.id);
    if (quantile->integers)
        call->type = call->arguments[0]->type;
    else
        WEIR_TRY(aggregate_bind_doubles(arena, call, reterr));
    call->prepared = quantile;
    return WEIR_OK;
}

static weir_status one_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                            struct weir_error *reterr)
{
    struct quantile *quantile;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *quantile, &quantile, reterr));
    WEIR_TRY(read_fraction(arena, call, quantile, reterr));
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(weir_row_layout_init(arena, &call->arguments[0]->type, 1, 0, false, &quantile->layout,
                                  reterr));
    call->type = call->arguments[0]->type;
    call->prepared = quantile;
    return WEIR_OK;
}

/* ---- values of 8 bytes ---- */

struct numbers {
    uint64_t *values; /* doubles, or integers */
    uint64_t count, capacity;
};

static inline struct numbers *numbers_at(uint8_t *state)
{
    return (struct numbers *)(void *)state;
}

static uint32_t numbers_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct numbers);
}

static void numbers_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct numbers));
}

static weir_status numbers_add(struct weir_arena *arena, struct numbers *numbers,
                               const uint64_t *values, uint64_t count, struct weir_error *reterr)
{
    if (numbers->count + count > numbers->capacity) {
        uint64_t capacity = (numbers->count + count) * 2, *larger;
        WEIR_TRY(weir_arena_alloc(arena, capacity * sizeof *larger, &larger, reterr));
        if (numbers->count)
            memcpy(larger, numbers->values, numbers->count * sizeof *larger);
        numbers->values = larger;
        numbers->capacity = capacity;
    }
    if (count)
        memcpy(numbers->values + numbers->count, values, count * sizeof *values);
    numbers->count += count;
    return WEIR_OK;
}

static weir_status numbers_update(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory,
                                  const struct weir_vector *arguments, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset,
                                  struct weir_error *reterr)
{
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    const uint64_t *values = fold.lane.flat->values;
    (void)call;
    if (aggregate_fold_is_run(&fold))
        return numbers_add(memory->arena, numbers_at(states[0] + offset), values, count, reterr);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        if (weir_lane_valid(&fold.lane, row))
            WEIR_TRY(numbers_add(memory->arena, numbers_at(states[i] + offset),
                                 &values[weir_lane(&fold.lane, row)], 1, reterr));
    }
    return WEIR_OK;
}

static weir_status numbers_combine(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, uint8_t *const *into,
                                   uint8_t *const *from, uint32_t count, uint32_t offset,
                                   struct weir_error *reterr)
{
    (void)call;
    for (uint32_t i = 0; i < count; i++) {
        const struct numbers *source = numbers_at(from[i] + offset);
        WEIR_TRY(numbers_add(memory->arena, numbers_at(into[i] + offset), source->values,
                             source->count, reterr));
    }
    return WEIR_OK;
}

static weir_status numbers_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                     struct weir_buffer *out, struct weir_error *reterr)
{
    const struct numbers *numbers = (const struct numbers *)(const void *)state;
    (void)call;
    return weir_buffer_append(out, numbers->values, numbers->count * sizeof *numbers->values,
                              reterr);
}

static weir_status numbers_deserialize(const struct weir_aggregate_call *call,
                                       struct weir_aggregate_memory *memory, const uint8_t *data,
                                       size_t size, uint8_t *state, struct weir_error *reterr)
{
    struct numbers *numbers = numbers_at(state);
    numbers_init(call, state);
    numbers->capacity = size / sizeof *numbers->values;
    WEIR_TRY(weir_arena_alloc(memory->arena, size + 8, &numbers->values, reterr));
    memcpy(numbers->values, data, size);
    numbers->count = numbers->capacity;
    return WEIR_OK;
}

/* Order of doubles and integers alike as unsigned numbers; NaN above all. And back. */
static uint64_t to_order(uint64_t bits, bool integers)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    if (integers)
        return bits ^ 1ull << 63;
    if (isnan(number))
        return UINT64_MAX;
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

static uint64_t from_order(uint64_t order, bool integers)
{
    if (integers)
        return order ^ 1ull << 63;
    return order >> 63 ? order ^ 1ull << 63 : ~order;
}

/* Moves the value that is number `wanted` in order to its place; smaller ones are before it. */
static void select_value(uint64_t *values, uint64_t count, uint64_t wanted)
{
    uint64_t low = 0, high = count - 1;
    while (low < high) {
        uint64_t a = values[low], b = values[low + (high - low) / 2], c = values[high];
        uint64_t middle = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        uint64_t left = low, right = high;
        for (;;) {
            while (values[left] < middle)
                left++;
            while (values[right] > middle)
                right--;
            if (left >= right)
                break;
            uint64_t swap = values[left];
            values[left++] = values[right];
            values[right--] = swap;
        }
        /* values up to `right` are not above the middle, those behind not below */
        if (wanted <= right)
            high = right;
        else
            low = right + 1;
    }
}

static uint64_t interpolate(uint64_t below, uint64_t above, double share, bool integers)
{
    double a, b;
    if (below == above || share == 0)
        return below;
    if (integers) {
        weir_int128 span = (weir_int128)(int64_t)above - (int64_t)below;
        return (uint64_t)((int64_t)below + (int64_t)llround((double)span * share));
    }
    memcpy(&a, &below, sizeof a);
    memcpy(&b, &above, sizeof b);
    a = a + (b - a) * share;
    memcpy(&below, &a, sizeof below);
    return below;
}

static uint64_t quantile_between(const struct quantile *quantile, struct numbers *numbers)
{
    bool integers = quantile->integers;
    double place = quantile->fraction * (double)(numbers->count - 1);
    uint64_t at = (uint64_t)floor(place), above = UINT64_MAX;
    for (uint64_t i = 0; i < numbers->count; i++)
        numbers->values[i] = to_order(numbers->values[i], integers);
    select_value(numbers->values, numbers->count, at);
    uint64_t below = numbers->values[at];
    for (uint64_t i = at + 1; i < numbers->count; i++)
        above = numbers->values[i] < above ? numbers->values[i] : above;
    if (at + 1 >= numbers->count)
        above = below;
    below = from_order(below, integers);
    above = from_order(above, integers);
    for (uint64_t i = 0; i < numbers->count; i++)
        numbers->values[i] = from_order(numbers->values[i], integers);
    return interpolate(below, above, place - (double)at, integers);
}

static weir_status between_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                    uint32_t offset, uint32_t count, struct weir_arena *arena,
                                    struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        struct numbers *numbers = numbers_at(states[i] + offset);
        if (numbers->count == 0)
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
        else
            ((uint64_t *)made.values)[i] = quantile_between(quantile_of(call), numbers);
    }
    *ret_vector = made;
    return WEIR_OK;
}

#define BETWEEN(function_name, least, most, parameters, text)                                      \
    const struct weir_aggregate_function aggregate_##function_name = {                             \
        .name = #function_name,                                                                    \
        .signature = #function_name parameters,                                                    \
        .doc = text,                                                                               \
        .argument_min = least,                                                                     \
        .argument_max = most,                                                                      \
        .bind = between_bind,                                                                      \
        .state_size = numbers_size,                                                                \
        .init = numbers_init,                                                                      \
        .update = numbers_update,                                                                  \
        .combine = numbers_combine,                                                                \
        .finalize = between_finalize,                                                              \
        .serialize = numbers_serialize,                                                            \
        .deserialize = numbers_deserialize}
BETWEEN(median, 1, 1, "(number or time) -> double or time",
        "The middle value, or half way between the two middle ones.");
BETWEEN(quantile_cont, 2, 2, "(number or time, fraction) -> double or time",
        "The value at that fraction of the order, between two values where need be.");
BETWEEN(percentile_cont, 2, 2, "(fraction) WITHIN GROUP (ORDER BY number or time)",
        "The same as quantile_cont.");

/* ---- one of the values ---- */

static uint32_t values_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct values);
}

static void values_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct values));
}

static weir_status one_update(const struct weir_aggregate_call *call,
                              struct weir_aggregate_memory *memory,
                              const struct weir_vector *arguments, const uint32_t *rows,
                              uint32_t count, uint8_t *const *states, uint32_t offset,
                              struct weir_error *reterr)
{
    return values_update(&quantile_of(call)->layout, VALUES_ALL, memory, arguments, rows, count,
                         states, offset, true, reterr);
}

static weir_status one_combine(const struct weir_aggregate_call *call,
                               struct weir_aggregate_memory *memory, uint8_t *const *into,
                               uint8_t *const *from, uint32_t count, uint32_t offset,
                               struct weir_error *reterr)
{
    return values_combine(&quantile_of(call)->layout, VALUES_ALL, memory, into, from, count, offset,
                          reterr);
}

static weir_status one_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    return values_serialize(&quantile_of(call)->layout, VALUES_ALL,
                            (const struct values *)(const void *)state, out, reterr);
}

static weir_status one_deserialize(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, const uint8_t *data,
                                   size_t size, uint8_t *state, struct weir_error *reterr)
{
    return values_deserialize(&quantile_of(call)->layout, VALUES_ALL, memory, data, size,
                              values_at(state), reterr);
}

static weir_status one_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                uint32_t offset, uint32_t count, struct weir_arena *arena,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    static const struct weir_sort_key key = {.column = 0};
    const struct quantile *quantile = quantile_of(call);
    uint8_t **places;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *places, &places, reterr));
    for (uint32_t i = 0; i < count; i++) {
        struct values *values = values_at(states[i] + offset);
        places[i] = NULL;
        if (values->count == 0)
            continue;
        WEIR_TRY(values_sort(&quantile->layout, &key, 1, arena->account, values, reterr));
        /* The first value whose share of the order reaches the fraction. */
        double place = ceil(quantile->fraction * values->count);
        places[i] = values->rows[place < 1 ? 0 : (uint32_t)place - 1];
    }
    WEIR_TRY(weir_rows_read(&quantile->layout, 0, places, count, arena, ret_vector, reterr));
    ret_vector->type = &call->type;
    return WEIR_OK;
}

#define ONE_VALUE(function_name, parameters, text)                                                 \
    const struct weir_aggregate_function aggregate_##function_name = {                             \
        .name = #function_name,                                                                    \
        .signature = #function_name parameters,                                                    \
        .doc = text,                                                                               \
        .argument_min = 2,                                                                         \
        .argument_max = 2,                                                                         \
        .bind = one_bind,                                                                          \
        .state_size = values_size,                                                                 \
        .init = values_init,                                                                       \
        .update = one_update,                                                                      \
        .combine = one_combine,                                                                    \
        .finalize = one_finalize,                                                                  \
        .serialize = one_serialize,                                                                \
        .deserialize = one_deserialize}
ONE_VALUE(quantile, "(value, fraction) -> the same type", "The same as quantile_disc.");
ONE_VALUE(quantile_disc, "(value, fraction) -> the same type",
          "The first value whose share of the order reaches the fraction.");
ONE_VALUE(percentile_disc, "(fraction) WITHIN GROUP (ORDER BY value)",
          "The same as quantile_disc.");
