/* bit_and, bit_or, bit_xor of integers. */
#include "engine/exec/functions_aggregate_int.h"

struct bits {
    int64_t bits;
    int64_t found;
};

static inline struct bits *bits_at(uint8_t *state)
{
    return (struct bits *)(void *)state;
}

static uint32_t bits_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct bits);
}

static void bits_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    bits_at(state)->bits = call->function == &aggregate_bit_and ? -1 : 0;
    bits_at(state)->found = 0;
}

static weir_status bits_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                             struct weir_error *reterr)
{
    (void)arena;
    call->type = call->arguments[0]->type;
    if (call->type.id != WEIR_INT && call->type.id != WEIR_LONG)
        return aggregate_refuse_argument(call, 0, reterr);
    return WEIR_OK;
}

static inline void bits_take(const struct weir_aggregate_call *call, struct bits *bits,
                             int64_t value)
{
    if (call->function == &aggregate_bit_and)
        bits->bits &= value;
    else if (call->function == &aggregate_bit_or)
        bits->bits |= value;
    else
        bits->bits ^= value;
    bits->found = 1;
}

static weir_status bits_update(const struct weir_aggregate_call *call,
                               struct weir_aggregate_memory *memory,
                               const struct weir_vector *arguments, const uint32_t *rows,
                               uint32_t count, uint8_t *const *states, uint32_t offset,
                               struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    bool is_int = call->type.id == WEIR_INT;
    (void)memory;
    (void)reterr;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        if (!weir_lane_valid(&lane, row))
            continue;
        uint32_t at = weir_lane(&lane, row);
        bits_take(call, bits_at(states[i] + offset),
                  is_int ? ((const int32_t *)lane.flat->values)[at]
                         : ((const int64_t *)lane.flat->values)[at]);
    }
    return WEIR_OK;
}

static weir_status bits_combine(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory, uint8_t *const *into,
                                uint8_t *const *from, uint32_t count, uint32_t offset,
                                struct weir_error *reterr)
{
    (void)memory;
    (void)reterr;
    for (uint32_t i = 0; i < count; i++)
        if (bits_at(from[i] + offset)->found)
            bits_take(call, bits_at(into[i] + offset), bits_at(from[i] + offset)->bits);
    return WEIR_OK;
}

static weir_status bits_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                 uint32_t offset, uint32_t count, struct weir_arena *arena,
                                 struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct bits *bits = bits_at(states[i] + offset);
        if (!bits->found)
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
        else if (call->type.id == WEIR_INT)
            ((int32_t *)made.values)[i] = (int32_t)bits->bits;
        else
            ((int64_t *)made.values)[i] = bits->bits;
    }
    *ret_vector = made;
    return WEIR_OK;
}

#define BITS(function_name, text)                                                                  \
    const struct weir_aggregate_function aggregate_##function_name = {                             \
        .name = #function_name,                                                                    \
        .signature = #function_name "(integer) -> the same type",                                  \
        .doc = text,                                                                               \
        .argument_min = 1,                                                                         \
        .argument_max = 1,                                                                         \
        .bind = bits_bind,                                                                         \
        .state_size = bits_size,                                                                   \
        .init = bits_init,                                                                         \
        .update = bits_update,                                                                     \
        .combine = bits_combine,                                                                   \
        .finalize = bits_finalize}
BITS(bit_and, "Bits that are set in all values; null without values.");
BITS(bit_or, "Bits that are set in any value; null without values.");
BITS(bit_xor, "Bits that are set in an odd number of values; null without values.");
