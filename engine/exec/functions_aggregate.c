/* The registry of aggregate functions, what they share, and the small ones: count, bool_and, ... */
#include "engine/exec/functions_aggregate_int.h"

#include <stdio.h>

/* ---- shared ---- */

bool aggregate_fold_is_run(const struct fold *fold)
{
    const struct weir_lane *lane = &fold->lane;
    if (lane->validity || lane->indices || !lane->mask || fold->rows || !fold->count ||
        fold->states[0] != fold->states[fold->count - 1])
        return false;
    uintptr_t differs = 0;
    for (uint32_t i = 0; i < fold->count; i++)
        differs |= (uintptr_t)fold->states[i] ^ (uintptr_t)fold->states[0];
    return differs == 0;
}

weir_status aggregate_result(struct weir_arena *arena, const struct weir_type *type, uint32_t count,
                             struct weir_vector *ret_vector, struct weir_error *reterr)
{
    WEIR_TRY(weir_vector_make(arena, type, count, 0, ret_vector, reterr));
    ret_vector->count = count;
    return WEIR_OK;
}

weir_status aggregate_result_null(struct weir_arena *arena, struct weir_vector *vector,
                                  uint32_t row, struct weir_error *reterr)
{
    uint32_t width = weir_type_width(vector->type);
    if (!vector->validity) {
        size_t size = ((size_t)vector->count + 511) / 512 * 64 + 64;
        WEIR_TRY(weir_arena_alloc(arena, size, &vector->validity, reterr));
        memset(vector->validity, 0xff, size);
    }
    if (weir_bit_get(vector->validity, row))
        vector->null_count++;
    weir_bit_clear(vector->validity, row);
    if (width)
        memset((uint8_t *)vector->values + (size_t)row * width, 0, width);
    return WEIR_OK;
}

weir_status aggregate_overflow(const struct weir_aggregate_call *call, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_FAILED, "%s: value out of range of %s", call->function->name,
                     weir_type_name(call->type.id));
}

/* ---- binding ---- */

bool aggregate_is_number(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG || type->id == WEIR_FLOAT ||
           type->id == WEIR_DOUBLE || type->id == WEIR_DECIMAL;
}

weir_status aggregate_refuse_argument(const struct weir_aggregate_call *call, uint32_t argument,
                                      struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%s does not take a value of type %s",
                                   call->function->name,
                                   weir_type_name(call->arguments[argument]->type.id));
    weir_error_hint(reterr, "%s", call->function->signature);
    return status;
}

weir_status aggregate_bind_doubles(struct weir_arena *arena, struct weir_aggregate_call *call,
                                   struct weir_error *reterr)
{
    static const struct weir_type type = {.id = WEIR_DOUBLE};
    for (uint32_t i = 0; i < call->argument_count; i++) {
        struct weir_node **argument = &call->arguments[i];
        if (!aggregate_is_number(&(*argument)->type) && !(*argument)->unknown)
            return aggregate_refuse_argument(call, i, reterr);
        if ((*argument)->type.id != WEIR_DOUBLE || (*argument)->unknown)
            WEIR_TRY(weir_node_cast(arena, *argument, &type, false, false, argument, reterr));
    }
    call->type = type;
    return WEIR_OK;
}

weir_status aggregate_bind_known(struct weir_arena *arena, struct weir_aggregate_call *call,
                                 uint32_t argument, struct weir_error *reterr)
{
    static const struct weir_type type = {.id = WEIR_STRING};
    if (!call->arguments[argument]->unknown)
        return WEIR_OK;
    return weir_node_cast(arena, call->arguments[argument], &type, false, false,
                          &call->arguments[argument], reterr);
}

weir_status aggregate_bind_layout(struct weir_arena *arena, struct weir_aggregate_call *call,
                                  bool canonical, struct weir_error *reterr)
{
    struct weir_row_layout *layout;
    struct weir_type *types;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *layout, &layout, reterr));
    WEIR_TRY(weir_arena_zero(arena, call->argument_count + 1, sizeof *types, &types, reterr));
    for (uint32_t i = 0; i < call->argument_count; i++)
        types[i] = call->arguments[i]->type;
    WEIR_TRY(
        weir_row_layout_init(arena, types, call->argument_count, 0, canonical, layout, reterr));
    call->prepared = layout;
    return WEIR_OK;
}

/* ---- count ---- */

static uint32_t size_of_8(const struct weir_aggregate_call *call)
{
    (void)call;
    return 8;
}

static void init_zero_8(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, 8);
}

static weir_status count_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                              struct weir_error *reterr)
{
    (void)arena;
    (void)reterr;
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static inline int64_t *long_at(uint8_t *state)
{
    return (int64_t *)(void *)state;
}

static bool take_one(uint8_t *state, const void *values, uint32_t at)
{
    (void)values;
    (void)at;
    ++*long_at(state);
    return true;
}

static weir_status count_update(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory,
                                const struct weir_vector *arguments, const uint32_t *rows,
                                uint32_t count, uint8_t *const *states, uint32_t offset,
                                struct weir_error *reterr)
{
    (void)memory;
    (void)reterr;
    if (call->argument_count == 0 || !arguments[0].validity) {
        for (uint32_t i = 0; i < count; i++)
            ++*long_at(states[i] + offset);
        return WEIR_OK;
    }
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    fold_each(&fold, take_one);
    return WEIR_OK;
}

static bool join_counts(uint8_t *into, const uint8_t *from)
{
    *long_at(into) += *(const int64_t *)(const void *)from;
    return true;
}

static weir_status count_combine(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory, uint8_t *const *into,
                                 uint8_t *const *from, uint32_t count, uint32_t offset,
                                 struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_counts);
    return WEIR_OK;
}

static weir_status count_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                  uint32_t offset, uint32_t count, struct weir_arena *arena,
                                  struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)made.values)[i] = *long_at(states[i] + offset);
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_count = {
    .name = "count",
    .signature = "count(*) -> long, count(value) -> long",
    .doc = "Number of rows, or of rows whose value is not null.",
    .argument_min = 0,
    .argument_max = 1,
    .bind = count_bind,
    .state_size = size_of_8,
    .init = init_zero_8,
    .update = count_update,
    .combine = count_combine,
    .finalize = count_finalize};

static weir_status count_if_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                 struct weir_error *reterr)
{
    (void)arena;
    if (call->arguments[0]->type.id != WEIR_BOOLEAN)
        return aggregate_refuse_argument(call, 0, reterr);
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static bool take_true(uint8_t *state, const void *values, uint32_t at)
{
    *long_at(state) += weir_bit_get(values, at);
    return true;
}

static weir_status count_if_update(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory,
                                   const struct weir_vector *arguments, const uint32_t *rows,
                                   uint32_t count, uint8_t *const *states, uint32_t offset,
                                   struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    fold_each(&fold, take_true);
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_count_if = {
    .name = "count_if",
    .signature = "count_if(condition) -> long",
    .doc = "Number of rows for which the condition is true.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = count_if_bind,
    .state_size = size_of_8,
    .init = init_zero_8,
    .update = count_if_update,
    .combine = count_combine,
    .finalize = count_finalize};

/* ---- bool_and, bool_or: bit 0 = a value was there, bit 1 = the result ---- */

static weir_status boolean_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                struct weir_error *reterr)
{
    (void)arena;
    if (call->arguments[0]->type.id != WEIR_BOOLEAN)
        return aggregate_refuse_argument(call, 0, reterr);
    call->type = (struct weir_type){.id = WEIR_BOOLEAN};
    return WEIR_OK;
}

static void init_and(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    *long_at(state) = 2;
}

static bool take_and(uint8_t *state, const void *values, uint32_t at)
{
    *long_at(state) = (*long_at(state) | 1) & (weir_bit_get(values, at) ? 3 : 1);
    return true;
}

static bool take_or(uint8_t *state, const void *values, uint32_t at)
{
    *long_at(state) |= weir_bit_get(values, at) ? 3 : 1;
    return true;
}

static bool join_and(uint8_t *into, const uint8_t *from)
{
    int64_t a = *long_at(into), b = *(const int64_t *)(const void *)from;
    *long_at(into) = ((a | b) & 1) | (a & b & 2);
    return true;
}

static bool join_or(uint8_t *into, const uint8_t *from)
{
    *long_at(into) |= *(const int64_t *)(const void *)from;
    return true;
}

static weir_status and_update(const struct weir_aggregate_call *call,
                              struct weir_aggregate_memory *memory,
                              const struct weir_vector *arguments, const uint32_t *rows,
                              uint32_t count, uint8_t *const *states, uint32_t offset,
                              struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    fold_each(&fold, take_and);
    return WEIR_OK;
}

static weir_status or_update(const struct weir_aggregate_call *call,
                             struct weir_aggregate_memory *memory,
                             const struct weir_vector *arguments, const uint32_t *rows,
                             uint32_t count, uint8_t *const *states, uint32_t offset,
                             struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    fold_each(&fold, take_or);
    return WEIR_OK;
}

static weir_status and_combine(const struct weir_aggregate_call *call,
                               struct weir_aggregate_memory *memory, uint8_t *const *into,
                               uint8_t *const *from, uint32_t count, uint32_t offset,
                               struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_and);
    return WEIR_OK;
}

static weir_status or_combine(const struct weir_aggregate_call *call,
                              struct weir_aggregate_memory *memory, uint8_t *const *into,
                              uint8_t *const *from, uint32_t count, uint32_t offset,
                              struct weir_error *reterr)
{
    (void)call;
    (void)memory;
    (void)reterr;
    fold_pairs(into, from, count, offset, join_or);
    return WEIR_OK;
}

static weir_status boolean_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                    uint32_t offset, uint32_t count, struct weir_arena *arena,
                                    struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        int64_t state = *long_at(states[i] + offset);
        if (!(state & 1))
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
        else if (state & 2)
            weir_bit_set(made.values, i);
    }
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_bool_and = {
    .name = "bool_and",
    .signature = "bool_and(boolean) -> boolean",
    .doc = "True if all values are true; null without values.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = boolean_bind,
    .state_size = size_of_8,
    .init = init_and,
    .update = and_update,
    .combine = and_combine,
    .finalize = boolean_finalize};

const struct weir_aggregate_function aggregate_every = {.name = "every",
                                                        .signature = "every(boolean) -> boolean",
                                                        .doc = "The same as bool_and.",
                                                        .argument_min = 1,
                                                        .argument_max = 1,
                                                        .bind = boolean_bind,
                                                        .state_size = size_of_8,
                                                        .init = init_and,
                                                        .update = and_update,
                                                        .combine = and_combine,
                                                        .finalize = boolean_finalize};

const struct weir_aggregate_function aggregate_bool_or = {
    .name = "bool_or",
    .signature = "bool_or(boolean) -> boolean",
    .doc = "True if any value is true; null without values.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = boolean_bind,
    .state_size = size_of_8,
    .init = init_zero_8,
    .update = or_update,
    .combine = or_combine,
    .finalize = boolean_finalize};

/* ---- the registry ---- */

static const struct weir_aggregate_function *const all[] = {
#define AGGREGATE(name) &aggregate_##name,
#include "engine/exec/functions_aggregate.def"
#undef AGGREGATE
};
#define ALL (sizeof all / sizeof *all)

const struct weir_aggregate_function *weir_aggregate_find(const char *name)
{
    static const char *const others[][2] = {
        {"countif", "count_if"},        {"list", "array_agg"}, {"listagg", "string_agg"},
        {"group_concat", "string_agg"}, {"mean", "avg"},       {"argmin", "arg_min"},
        {"min_by", "arg_min"},          {"argmax", "arg_max"}, {"max_by", "arg_max"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i][0]) == 0)
            name = others[i][1];
    for (size_t i = 0; i < ALL; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

const struct weir_aggregate_function *const *weir_aggregate_all(size_t *ret_count)
{
    *ret_count = ALL;
    return all;
}
