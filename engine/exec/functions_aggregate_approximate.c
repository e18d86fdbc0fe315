/* approx_count_distinct: HyperLogLog with 4,096 registers (standard error 1.6 %); up to 32 values
 * are counted exactly. The same for any order of rows. Flajolet et al., "HyperLogLog", 2007. */
#include "engine/exec/functions_aggregate_int.h"

#include "engine/exec/aggregate_int.h"

#include <math.h>

#define REGISTERS 4096u
#define EXACT     32u

struct sketch {
    uint64_t *hashes;   /* up to EXACT of them, or: */
    uint8_t *registers; /* of REGISTERS */
    uint64_t count;     /* of hashes */
};

static inline struct sketch *sketch_at(uint8_t *state)
{
    return (struct sketch *)(void *)state;
}

static uint32_t sketch_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct sketch);
}

static void sketch_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct sketch));
}

static weir_status sketch_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                               struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_layout(arena, call, true, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static void register_hash(uint8_t *registers, uint64_t hash)
{
    uint64_t rest = hash << 12 | 1u << 11; /* a one at the latest there */
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *place = &registers[hash >> 52];
    *place = rank > *place ? rank : *place;
}

static weir_status sketch_grow(struct weir_arena *arena, struct sketch *sketch,
                               struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(arena, REGISTERS, 1, &sketch->registers, reterr));
    for (uint64_t i = 0; i < sketch->count; i++)
        register_hash(sketch->registers, sketch->hashes[i]);
    sketch->hashes = NULL;
    sketch->count = 0;
    return WEIR_OK;
}

static weir_status sketch_add(struct weir_arena *arena, struct sketch *sketch, uint64_t hash,
                              struct weir_error *reterr)
{
    if (sketch->registers) {
        register_hash(sketch->registers, hash);
        return WEIR_OK;
    }
    for (uint64_t i = 0; i < sketch->count; i++)
        if (sketch->hashes[i] == hash)
            return WEIR_OK;
    if (!sketch->hashes)
        WEIR_TRY(weir_arena_alloc(arena, EXACT * sizeof hash, &sketch->hashes, reterr));
    if (sketch->count < EXACT) {
        sketch->hashes[sketch->count++] = hash;
        return WEIR_OK;
    }
    WEIR_TRY(sketch_grow(arena, sketch, reterr));
    register_hash(sketch->registers, hash);
    return WEIR_OK;
}

static weir_status sketch_update(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory,
                                 const struct weir_vector *arguments, const uint32_t *rows,
                                 uint32_t count, uint8_t *const *states, uint32_t offset,
                                 struct weir_error *reterr)
{
    const struct weir_row_layout *layout = call->prepared;
    WEIR_AUTO(weir_arena) scratch;
    uint8_t **places;
    weir_arena_init(&scratch, memory->arena->account);
    WEIR_TRY(values_encode(layout, arguments, rows, count, &scratch, &places, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (!weir_row_null(layout, places[i], 0))
            WEIR_TRY(sketch_add(memory->arena, sketch_at(states[i] + offset),
                                values_hash(layout, places[i]), reterr));
    return WEIR_OK;
}

static weir_status sketch_join(struct weir_arena *arena, struct sketch *target,
                               const struct sketch *source, struct weir_error *reterr)
{
    for (uint64_t i = 0; i < source->count; i++)
        WEIR_TRY(sketch_add(arena, target, source->hashes[i], reterr));
    if (!source->registers)
        return WEIR_OK;
    if (!target->registers)
        WEIR_TRY(sketch_grow(arena, target, reterr));
    for (uint32_t r = 0; r < REGISTERS; r++)
        if (source->registers[r] > target->registers[r])
            target->registers[r] = source->registers[r];
    return WEIR_OK;
}

static weir_status sketch_combine(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory, uint8_t *const *into,
                                  uint8_t *const *from, uint32_t count, uint32_t offset,
                                  struct weir_error *reterr)
{
    (void)call;
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(sketch_join(memory->arena, sketch_at(into[i] + offset),
                             sketch_at(from[i] + offset), reterr));
    return WEIR_OK;
}

static int64_t estimate(const struct sketch *sketch)
{
    double sum = 0, size = REGISTERS;
    uint32_t zeros = 0;
    if (!sketch->registers)
        return (int64_t)sketch->count;
    for (uint32_t r = 0; r < REGISTERS; r++) {
        sum += ldexp(1, -sketch->registers[r]);
        zeros += sketch->registers[r] == 0;
    }
    double guess = 0.7213 / (1 + 1.079 / size) * size * size / sum;
    if (guess <= 2.5 * size && zeros)
        guess = size * log(size / zeros);
    return llround(guess);
}

static weir_status sketch_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                   uint32_t offset, uint32_t count, struct weir_arena *arena,
                                   struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)made.values)[i] = estimate(sketch_at(states[i] + offset));
    *ret_vector = made;
    return WEIR_OK;
}

static weir_status sketch_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    const struct sketch *sketch = (const struct sketch *)(const void *)state;
    (void)call;
    if (sketch->registers)
        return weir_buffer_append(out, sketch->registers, REGISTERS, reterr);
    return weir_buffer_append(out, sketch->hashes, sketch->count * sizeof *sketch->hashes, reterr);
}

static weir_status sketch_deserialize(const struct weir_aggregate_call *call,
                                      struct weir_aggregate_memory *memory, const uint8_t *data,
                                      size_t size, uint8_t *state, struct weir_error *reterr)
{
    struct sketch *sketch = sketch_at(state);
    sketch_init(call, state);
    if (size == REGISTERS) {
        WEIR_TRY(weir_arena_alloc(memory->arena, REGISTERS, &sketch->registers, reterr));
        memcpy(sketch->registers, data, size);
        return WEIR_OK;
    }
    for (size_t at = 0; at < size; at += 8) {
        uint64_t hash;
        memcpy(&hash, data + at, sizeof hash);
        WEIR_TRY(sketch_add(memory->arena, sketch, hash, reterr));
    }
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_approx_count_distinct = {
    .name = "approx_count_distinct",
    .signature = "approx_count_distinct(value) -> long",
    .doc = "About how many different values there are, nulls not counted: exact up to 32, then "
           "within 1.6 % (standard error).",
    .argument_min = 1,
    .argument_max = 1,
    .bind = sketch_bind,
    .state_size = sketch_size,
    .init = sketch_init,
    .update = sketch_update,
    .combine = sketch_combine,
    .finalize = sketch_finalize,
    .serialize = sketch_serialize,
    .deserialize = sketch_deserialize};
