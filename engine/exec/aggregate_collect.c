/* DISTINCT and ORDER BY inside calls, around any aggregate function: a state keeps the values it
 * was given as rows of bytes (each once, if DISTINCT) and gives them to the function at the end. */
#include "engine/exec/aggregate_int.h"
#include "engine/exec/aggregate_values.h"

#define CHUNK 2048

struct collect {
    struct weir_aggregate_call inner;
    struct weir_row_layout layout; /* of the arguments, then of the keys of order */
    const struct weir_sort_key *keys;
    uint32_t key_count;
    enum values_way way;
};

static const struct collect *collect_of(const struct weir_aggregate_call *call)
{
    return call->prepared;
}

static uint32_t collect_state_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct values);
}

static void collect_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct values));
}

/* ---- gathering ---- */

static weir_status collect_update(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory,
                                  const struct weir_vector *arguments, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset,
                                  struct weir_error *reterr)
{
    const struct collect *collect = collect_of(call);
    return values_update(&collect->layout, collect->way, memory, arguments, rows, count, states,
                         offset, false, reterr);
}

static weir_status collect_combine(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, uint8_t *const *into,
                                   uint8_t *const *from, uint32_t count, uint32_t offset,
                                   struct weir_error *reterr)
{
    const struct collect *collect = collect_of(call);
    return values_combine(&collect->layout, collect->way, memory, into, from, count, offset,
                          reterr);
}

/* ---- the end ---- */

/* Rows of many states, each with the state of the inner function it belongs to, on their way to it
 * a chunk at a time. */
struct feed {
    const struct collect *collect;
    struct weir_aggregate_memory memory;
    uint8_t *rows[CHUNK], *states[CHUNK];
    uint32_t count;
};

static weir_status feed_flush(struct feed *feed, struct weir_error *reterr)
{
    const struct weir_aggregate_call *inner = &feed->collect->inner;
    WEIR_AUTO(weir_arena) arena;
    struct weir_vector *columns;
    weir_arena_init(&arena, feed->memory.arena->account);
    WEIR_TRY(weir_arena_zero(&arena, inner->argument_count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t i = 0; i < inner->argument_count; i++)
        WEIR_TRY(weir_rows_read(&feed->collect->layout, i, feed->rows, feed->count, &arena,
                                &columns[i], reterr));
    uint32_t count = feed->count;
    feed->count = 0;
    return inner->function->update(inner, &feed->memory, columns, NULL, count, feed->states, 0,
                                   reterr);
}

static weir_status feed_state(struct feed *feed, struct values *values, uint8_t *state,
                              struct weir_error *reterr)
{
    if (feed->collect->key_count)
        WEIR_TRY(values_sort(&feed->collect->layout, feed->collect->keys, feed->collect->key_count,
                             feed->memory.arena->account, values, reterr));
    for (uint32_t r = 0; r < values->count; r++) {
        feed->rows[feed->count] = values->rows[r];
        feed->states[feed->count++] = state;
        if (feed->count == CHUNK)
            WEIR_TRY(feed_flush(feed, reterr));
    }
    return WEIR_OK;
}

static weir_status collect_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                    uint32_t offset, uint32_t count, struct weir_arena *arena,
                                    struct weir_vector *ret_vector, struct weir_error *reterr)
{
    const struct collect *collect = collect_of(call);
    const struct weir_aggregate_call *inner = &collect->inner;
    uint32_t size = inner->function->state_size(inner);
    struct feed *feed;
    uint8_t **inner_states, *bytes;
    WEIR_TRY(weir_arena_alloc(arena, sizeof *feed, &feed, reterr));
    feed->collect = collect;
    feed->memory.arena = arena;
    feed->count = 0;
    WEIR_TRY(
        weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *inner_states, &inner_states, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)count + 1, size, &bytes, reterr));
    for (uint32_t i = 0; i < count; i++) {
        inner_states[i] = bytes + (size_t)i * size;
        inner->function->init(inner, inner_states[i]);
        WEIR_TRY(feed_state(feed, values_at(states[i] + offset), inner_states[i], reterr));
    }
    if (feed->count)
        WEIR_TRY(feed_flush(feed, reterr));
    return inner->function->finalize(inner, inner_states, 0, count, arena, ret_vector, reterr);
}

/* ---- bytes ---- */

static weir_status collect_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                     struct weir_buffer *out, struct weir_error *reterr)
{
    const struct collect *collect = collect_of(call);
    return values_serialize(&collect->layout, collect->way,
                            (const struct values *)(const void *)state, out, reterr);
}

static weir_status collect_deserialize(const struct weir_aggregate_call *call,
                                       struct weir_aggregate_memory *memory, const uint8_t *data,
                                       size_t size, uint8_t *state, struct weir_error *reterr)
{
    const struct collect *collect = collect_of(call);
    return values_deserialize(&collect->layout, collect->way, memory, data, size, values_at(state),
                              reterr);
}

static const struct weir_aggregate_function collect_function = {.name = "collect",
                                                                .state_size = collect_state_size,
                                                                .init = collect_init,
                                                                .update = collect_update,
                                                                .combine = collect_combine,
                                                                .finalize = collect_finalize,
                                                                .serialize = collect_serialize,
                                                                .deserialize = collect_deserialize};

weir_status aggregate_collect_wrap(struct weir_arena *arena, const struct weir_aggregate_call *call,
                                   struct weir_aggregate_call *ret_call, struct weir_error *reterr)
{
    uint32_t count = call->argument_count + call->order_count;
    struct weir_aggregate_call wrapped = *call;
    struct collect *collect;
    struct weir_sort_key *keys;
    struct weir_type *types;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *collect, &collect, reterr));
    WEIR_TRY(weir_arena_zero(arena, call->order_count + 1, sizeof *keys, &keys, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *types, &types, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof *wrapped.arguments, &wrapped.arguments, reterr));
    for (uint32_t i = 0; i < count; i++) {
        bool argument = i < call->argument_count;
        wrapped.arguments[i] = argument ? call->arguments[i]
                                        : call->order[i - call->argument_count];
        types[i] = wrapped.arguments[i]->type;
    }
    for (uint32_t k = 0; k < call->order_count; k++)
        keys[k] = (struct weir_sort_key){.column = call->argument_count + k,
                                         .descending = call->order_descending[k],
                                         .nulls_first = call->order_nulls_first[k]};
    WEIR_TRY(
        weir_row_layout_init(arena, types, count, 0, call->distinct, &collect->layout, reterr));
    collect->inner = *call;
    collect->keys = keys;
    collect->key_count = call->order_count;
    collect->way = call->distinct ? VALUES_DISTINCT : VALUES_ALL;
    wrapped.argument_count = count;
    wrapped.function = &collect_function;
    wrapped.prepared = collect;
    *ret_call = wrapped;
    return WEIR_OK;
}
