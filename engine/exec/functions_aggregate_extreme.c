/* min, max: of values of fixed width in the state itself, of strings and nested values as bytes in
 * the table's memory; arg_min, arg_max; first, last, any_value. */
#include "engine/exec/functions_aggregate_int.h"

#include <math.h>

/* ---- values of fixed width ---- */

struct extreme {
    union {
        int64_t number;
        double real;
        state_int128 wide;
    };
    int64_t found;
};

static inline struct extreme *extreme_at(uint8_t *state)
{
    return (struct extreme *)(void *)state;
}

/* One pair of functions for each way a value lies in memory. */
#define TAKE(name, type, member, better)                                                           \
    static inline bool take_##name(uint8_t *state, const void *values, uint32_t at)                \
    {                                                                                              \
        struct extreme *extreme = extreme_at(state);                                               \
        type value = ((const type *)values)[at];                                                   \
        if (!extreme->found || (better))                                                           \
            extreme->member = value;                                                               \
        extreme->found = 1;                                                                        \
        return true;                                                                               \
    }
/* NaN is above all. */
TAKE(min_int, int32_t, number, value < extreme->number)
TAKE(max_int, int32_t, number, value > extreme->number)
TAKE(min_long, int64_t, number, value < extreme->number)
TAKE(max_long, int64_t, number, value > extreme->number)
TAKE(min_float, float, real, (double)value < extreme->real || isnan(extreme->real))
TAKE(max_float, float, real, (double)value > extreme->real || isnan(value))
TAKE(min_double, double, real, value < extreme->real || isnan(extreme->real))
TAKE(max_double, double, real, value > extreme->real || isnan(value))
TAKE(min_wide, weir_int128, wide, value < extreme->wide)
TAKE(max_wide, weir_int128, wide, value > extreme->wide)
#undef TAKE

static bool take_min_boolean(uint8_t *state, const void *values, uint32_t at)
{
    int64_t value = weir_bit_get(values, at);
    struct extreme *extreme = extreme_at(state);
    extreme->number = extreme->found ? extreme->number & value : value;
    extreme->found = 1;
    return true;
}

static bool take_max_boolean(uint8_t *state, const void *values, uint32_t at)
{
    struct extreme *extreme = extreme_at(state);
    extreme->number |= weir_bit_get(values, at);
    extreme->found = 1;
    return true;
}

static bool kept_in_state(const struct weir_type *type)
{
    return type->id == WEIR_BOOLEAN || (weir_type_width(type) > 0 && type->id != WEIR_FIXED &&
                                        type->id != WEIR_UUID && type->id != WEIR_INTERVAL);
}

static void update_min(enum weir_type_id id, const struct fold *fold)
{
    switch (id) {
    case WEIR_BOOLEAN: fold_each(fold, take_min_boolean); break;
    case WEIR_INT:
    case WEIR_DATE: fold_each(fold, take_min_int); break;
    case WEIR_FLOAT: fold_each(fold, take_min_float); break;
    case WEIR_DOUBLE: fold_each(fold, take_min_double); break;
    case WEIR_DECIMAL: fold_each(fold, take_min_wide); break;
    default: fold_each(fold, take_min_long);
    }
}

static void update_max(enum weir_type_id id, const struct fold *fold)
{
    switch (id) {
    case WEIR_BOOLEAN: fold_each(fold, take_max_boolean); break;
    case WEIR_INT:
    case WEIR_DATE: fold_each(fold, take_max_int); break;
    case WEIR_FLOAT: fold_each(fold, take_max_float); break;
    case WEIR_DOUBLE: fold_each(fold, take_max_double); break;
    case WEIR_DECIMAL: fold_each(fold, take_max_wide); break;
    default: fold_each(fold, take_max_long);
    }
}

static weir_status fixed_update(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory,
                                const struct weir_vector *arguments, const uint32_t *rows,
                                uint32_t count, uint8_t *const *states, uint32_t offset,
                                struct weir_error *reterr)
{
    struct fold fold = fold_of(&arguments[0], rows, count, states, offset);
    (void)memory;
    (void)reterr;
    if (call->function->name[1] == 'i')
        update_min(call->arguments[0]->type.id, &fold);
    else
        update_max(call->arguments[0]->type.id, &fold);
    return WEIR_OK;
}

/* Whether `a` is better than `b`; both found. */
static bool better(const struct extreme *a, const struct extreme *b, enum weir_type_id id, bool min)
{
    const struct extreme *low = min ? a : b, *high = min ? b : a;
    if (id == WEIR_FLOAT || id == WEIR_DOUBLE)
        return isnan(high->real) ? !isnan(low->real) : low->real < high->real;
    return id == WEIR_DECIMAL ? low->wide < high->wide : low->number < high->number;
}

static weir_status fixed_combine(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory, uint8_t *const *into,
                                 uint8_t *const *from, uint32_t count, uint32_t offset,
                                 struct weir_error *reterr)
{
    bool min = call->function->name[1] == 'i';
    enum weir_type_id id = call->type.id;
    (void)memory;
    (void)reterr;
    for (uint32_t i = 0; i < count; i++) {
        struct extreme *a = extreme_at(from[i] + offset), *b = extreme_at(into[i] + offset);
        if (a->found && (!b->found || better(a, b, id, min)))
            *b = *a;
    }
    return WEIR_OK;
}

static weir_status fixed_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                  uint32_t offset, uint32_t count, struct weir_arena *arena,
                                  struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    enum weir_type_id id = call->type.id;
    WEIR_TRY(aggregate_result(arena, &call->type, count, &made, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct extreme *extreme = extreme_at(states[i] + offset);
        if (!extreme->found) {
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
            continue;
        }
        if (id == WEIR_BOOLEAN && extreme->number)
            weir_bit_set(made.values, i);
        else if (id == WEIR_INT || id == WEIR_DATE)
            ((int32_t *)made.values)[i] = (int32_t)extreme->number;
        else if (id == WEIR_FLOAT)
            ((float *)made.values)[i] = (float)extreme->real;
        else if (id == WEIR_DOUBLE)
            ((double *)made.values)[i] = extreme->real;
        else if (id == WEIR_DECIMAL)
            ((weir_int128 *)made.values)[i] = extreme->wide;
        else if (id != WEIR_BOOLEAN)
            ((int64_t *)made.values)[i] = extreme->number;
    }
    *ret_vector = made;
    return WEIR_OK;
}

/* ---- values as bytes: the key that is compared and the row that is given ---- */

struct chosen {
    uint8_t *key; /* sort key; NULL: nothing chosen yet, unless row is there */
    uint8_t *row;
    uint32_t key_size, key_capacity, row_capacity, padding;
};

static inline struct chosen *chosen_at(uint8_t *state)
{
    return (struct chosen *)(void *)state;
}

static uint32_t extreme_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct chosen) > sizeof(struct extreme) ? sizeof(struct chosen)
                                                          : sizeof(struct extreme);
}

static void extreme_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    memset(state, 0, extreme_size(call));
}

static weir_status put_bytes(struct weir_arena *arena, uint8_t **place, uint32_t *capacity,
                             const uint8_t *data, uint32_t size, struct weir_error *reterr)
{
    if (size > *capacity || !*place) {
        uint32_t wanted = size + size / 2 + 8;
        WEIR_TRY(weir_arena_alloc(arena, wanted, place, reterr));
        *capacity = wanted;
    }
    if (size)
        memcpy(*place, data, size);
    return WEIR_OK;
}

static weir_status choose(const struct weir_row_layout *layout, struct weir_arena *arena,
                          struct chosen *chosen, const uint8_t *key, uint32_t key_size,
                          const uint8_t *row, struct weir_error *reterr)
{
    WEIR_TRY(put_bytes(arena, &chosen->key, &chosen->key_capacity, key, key_size, reterr));
    chosen->key_size = key_size;
    return put_bytes(arena, &chosen->row, &chosen->row_capacity, row, weir_row_size(layout, row),
                     reterr);
}

/* min, max: the same column is key and row. arg_min, arg_max: rows of argument 0 by argument 1. */
struct chooser {
    struct weir_row_layout layout; /* of the row's one column */
    struct weir_sort_key key;      /* descending for the greatest */
};

static const struct chooser *chooser_of(const struct weir_aggregate_call *call)
{
    return call->prepared;
}

static bool key_before(const uint8_t *a, uint32_t size_a, const uint8_t *b, uint32_t size_b)
{
    int order = memcmp(a, b, size_a < size_b ? size_a : size_b);
    return order ? order < 0 : size_a < size_b;
}

/* Rows that count: none of the arguments null. */
static weir_status valid_rows(const struct weir_vector *arguments, uint32_t argument_count,
                              const uint32_t *rows, uint32_t count, struct weir_arena *arena,
                              uint32_t **ret_rows, uint32_t **ret_places, uint32_t *ret_count,
                              struct weir_error *reterr)
{
    uint32_t *kept, *places, found = 0;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *kept, &kept, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *places, &places, reterr));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        bool valid = true;
        for (uint32_t a = 0; a < argument_count; a++)
            valid &= weir_vector_valid(&arguments[a], row);
        if (!valid)
            continue;
        kept[found] = row;
        places[found++] = i;
    }
    *ret_rows = kept;
    *ret_places = places;
    *ret_count = found;
    return WEIR_OK;
}

static weir_status chosen_update(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory,
                                 const struct weir_vector *arguments, const uint32_t *rows,
                                 uint32_t count, uint8_t *const *states, uint32_t offset,
                                 struct weir_error *reterr)
{
    const struct chooser *chooser = chooser_of(call);
    uint32_t *sizes, *kept, *at, found, whole = arguments[chooser->key.column].count;
    uint8_t **keys, **values, *bytes;
    size_t total = 0;
    WEIR_AUTO(weir_arena) scratch;
    weir_arena_init(&scratch, memory->arena->account);
    WEIR_TRY(valid_rows(arguments, call->argument_count, rows, count, &scratch, &kept, &at, &found,
                        reterr));
    if (!found)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(&scratch, ((size_t)whole + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(&scratch, ((size_t)whole + 1) * sizeof *keys, &keys, reterr));
    WEIR_TRY(weir_sort_keys_size(&chooser->key, 1, arguments, whole, sizes, reterr));
    for (uint32_t i = 0; i < whole; i++)
        total += sizes[i];
    WEIR_TRY(weir_arena_alloc(&scratch, total + 8, &bytes, reterr));
    for (uint32_t i = 0; i < whole; bytes += sizes[i], i++)
        keys[i] = bytes;
    weir_sort_keys_write(&chooser->key, 1, arguments, whole, keys);
    WEIR_TRY(values_encode(&chooser->layout, arguments, kept, found, &scratch, &values, reterr));
    for (uint32_t i = 0; i < found; i++) {
        struct chosen *chosen = chosen_at(states[at[i]] + offset);
        uint32_t row = kept[i];
        if (!chosen->row || key_before(keys[row], sizes[row], chosen->key, chosen->key_size))
            WEIR_TRY(choose(&chooser->layout, memory->arena, chosen, keys[row], sizes[row],
                            values[i], reterr));
    }
    return WEIR_OK;
}

static weir_status chosen_combine(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory, uint8_t *const *into,
                                  uint8_t *const *from, uint32_t count, uint32_t offset,
                                  struct weir_error *reterr)
{
    const struct chooser *chooser = chooser_of(call);
    for (uint32_t i = 0; i < count; i++) {
        struct chosen *a = chosen_at(from[i] + offset), *b = chosen_at(into[i] + offset);
        if (a->row && (!b->row || key_before(a->key, a->key_size, b->key, b->key_size)))
            WEIR_TRY(
                choose(&chooser->layout, memory->arena, b, a->key, a->key_size, a->row, reterr));
    }
    return WEIR_OK;
}

static weir_status finalize_rows(const struct weir_row_layout *layout, uint8_t *const *states,
                                 uint32_t offset, uint32_t count, struct weir_arena *arena,
                                 const struct weir_type *type, struct weir_vector *ret_vector,
                                 struct weir_error *reterr)
{
    uint8_t **places;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *places, &places, reterr));
    for (uint32_t i = 0; i < count; i++)
        places[i] = chosen_at(states[i] + offset)->row;
    WEIR_TRY(weir_rows_read(layout, 0, places, count, arena, ret_vector, reterr));
    ret_vector->type = type;
    return WEIR_OK;
}

static weir_status chosen_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                   uint32_t offset, uint32_t count, struct weir_arena *arena,
                                   struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return finalize_rows(&chooser_of(call)->layout, states, offset, count, arena, &call->type,
                         ret_vector, reterr);
}

/* u32 size of the key, key, row; nothing if nothing was chosen. */
static weir_status serialize_chosen(const struct weir_row_layout *layout, const uint8_t *state,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    const struct chosen *chosen = (const struct chosen *)(const void *)state;
    if (!chosen->row)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_append(out, &chosen->key_size, sizeof chosen->key_size, reterr));
    WEIR_TRY(weir_buffer_append(out, chosen->key, chosen->key_size, reterr));
    return weir_buffer_append(out, chosen->row, weir_row_size(layout, chosen->row), reterr);
}

static weir_status deserialize_chosen(const struct weir_row_layout *layout,
                                      struct weir_aggregate_memory *memory, const uint8_t *data,
                                      size_t size, uint8_t *state, struct weir_error *reterr)
{
    uint32_t key_size;
    memset(state, 0, sizeof(struct chosen));
    if (!size)
        return WEIR_OK;
    memcpy(&key_size, data, sizeof key_size);
    data += sizeof key_size;
    return choose(layout, memory->arena, chosen_at(state), data, key_size, data + key_size, reterr);
}

static weir_status chosen_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    return serialize_chosen(&chooser_of(call)->layout, state, out, reterr);
}

static weir_status chosen_deserialize(const struct weir_aggregate_call *call,
                                      struct weir_aggregate_memory *memory, const uint8_t *data,
                                      size_t size, uint8_t *state, struct weir_error *reterr)
{
    return deserialize_chosen(&chooser_of(call)->layout, memory, data, size, state, reterr);
}

/* ---- min, max, arg_min, arg_max ---- */

static weir_status bind_chooser(struct weir_arena *arena, struct weir_aggregate_call *call,
                                bool greatest, struct weir_error *reterr)
{
    struct chooser *chooser;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *chooser, &chooser, reterr));
    chooser->key = (struct weir_sort_key){.column = call->argument_count - 1,
                                          .descending = greatest};
    WEIR_TRY(weir_row_layout_init(arena, &call->arguments[0]->type, 1, 0, false, &chooser->layout,
                                  reterr));
    call->prepared = chooser;
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static const struct weir_aggregate_function min_of_bytes, max_of_bytes;

static weir_status min_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    call->type = call->arguments[0]->type;
    if (kept_in_state(&call->type))
        return WEIR_OK;
    call->function = &min_of_bytes;
    return bind_chooser(arena, call, false, reterr);
}

static weir_status max_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    call->type = call->arguments[0]->type;
    if (kept_in_state(&call->type))
        return WEIR_OK;
    call->function = &max_of_bytes;
    return bind_chooser(arena, call, true, reterr);
}

static weir_status arg_min_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_known(arena, call, 1, reterr));
    return bind_chooser(arena, call, false, reterr);
}

static weir_status arg_max_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_known(arena, call, 1, reterr));
    return bind_chooser(arena, call, true, reterr);
}

static uint32_t fixed_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct extreme);
}

static void fixed_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct extreme));
}

#define MIN_TEXT                                                                                   \
    .name = "min", .signature = "min(value) -> the same type",                                     \
    .doc = "The least value that is not null; NaN is above all numbers.", .argument_min = 1,       \
    .argument_max = 1
#define MAX_TEXT                                                                                   \
    .name = "max", .signature = "max(value) -> the same type",                                     \
    .doc = "The greatest value that is not null; NaN is above all numbers.", .argument_min = 1,    \
    .argument_max = 1
#define BYTES_WAY                                                                                  \
    .state_size = extreme_size, .init = extreme_init, .update = chosen_update,                     \
    .combine = chosen_combine, .finalize = chosen_finalize, .serialize = chosen_serialize,         \
    .deserialize = chosen_deserialize
#define FIXED_WAY                                                                                  \
    .state_size = fixed_size, .init = fixed_init, .update = fixed_update,                          \
    .combine = fixed_combine, .finalize = fixed_finalize

const struct weir_aggregate_function aggregate_min = {MIN_TEXT, .bind = min_bind, FIXED_WAY};
const struct weir_aggregate_function aggregate_max = {MAX_TEXT, .bind = max_bind, FIXED_WAY};
static const struct weir_aggregate_function min_of_bytes = {MIN_TEXT, .bind = min_bind, BYTES_WAY};
static const struct weir_aggregate_function max_of_bytes = {MAX_TEXT, .bind = max_bind, BYTES_WAY};

const struct weir_aggregate_function aggregate_arg_min = {
    .name = "arg_min",
    .signature = "arg_min(value, by) -> type of value",
    .doc = "The value where `by` is least, the first such; rows with a null in either do not "
           "count. Also min_by.",
    .argument_min = 2,
    .argument_max = 2,
    .bind = arg_min_bind,
    BYTES_WAY};

const struct weir_aggregate_function aggregate_arg_max = {
    .name = "arg_max",
    .signature = "arg_max(value, by) -> type of value",
    .doc = "The value where `by` is greatest, the first such; rows with a null in either do not "
           "count. Also max_by.",
    .argument_min = 2,
    .argument_max = 2,
    .bind = arg_max_bind,
    BYTES_WAY};

/* ---- first, last, any_value ---- */

static weir_status place_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                              struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_layout(arena, call, false, reterr));
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

/* Which of the batch's rows their states end up with: only those are made into bytes. */
static weir_status place_update(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory,
                                const struct weir_vector *arguments, const uint32_t *rows,
                                uint32_t count, uint8_t *const *states, uint32_t offset,
                                struct weir_error *reterr)
{
    const struct weir_row_layout *layout = call->prepared;
    bool last = call->function == &aggregate_last,
         skip_null = call->function == &aggregate_any_value;
    WEIR_AUTO(weir_arena) scratch;
    uint8_t **value;
    weir_arena_init(&scratch, memory->arena->account);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        struct chosen *chosen = chosen_at(states[i] + offset);
        bool replaced = i + 1 < count && states[i + 1] == states[i];
        if (last ? replaced : chosen->row != NULL)
            continue;
        if (skip_null && !weir_vector_valid(&arguments[0], row))
            continue;
        weir_arena_reset(&scratch);
        WEIR_TRY(values_encode(layout, arguments, &row, 1, &scratch, &value, reterr));
        WEIR_TRY(choose(layout, memory->arena, chosen, NULL, 0, value[0], reterr));
    }
    return WEIR_OK;
}

static weir_status place_combine(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory, uint8_t *const *into,
                                 uint8_t *const *from, uint32_t count, uint32_t offset,
                                 struct weir_error *reterr)
{
    bool last = call->function == &aggregate_last;
    for (uint32_t i = 0; i < count; i++) {
        struct chosen *a = chosen_at(from[i] + offset), *b = chosen_at(into[i] + offset);
        if (a->row && (last || !b->row))
            WEIR_TRY(choose(call->prepared, memory->arena, b, NULL, 0, a->row, reterr));
    }
    return WEIR_OK;
}

static weir_status place_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                  uint32_t offset, uint32_t count, struct weir_arena *arena,
                                  struct weir_vector *ret_vector, struct weir_error *reterr)
{
    return finalize_rows(call->prepared, states, offset, count, arena, &call->type, ret_vector,
                         reterr);
}

static weir_status place_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    return serialize_chosen(call->prepared, state, out, reterr);
}

static weir_status place_deserialize(const struct weir_aggregate_call *call,
                                     struct weir_aggregate_memory *memory, const uint8_t *data,
                                     size_t size, uint8_t *state, struct weir_error *reterr)
{
    return deserialize_chosen(call->prepared, memory, data, size, state, reterr);
}

#define PLACE_WAY                                                                                  \
    .argument_min = 1, .argument_max = 1, .bind = place_bind, .state_size = extreme_size,          \
    .init = extreme_init, .update = place_update, .combine = place_combine,                        \
    .finalize = place_finalize, .serialize = place_serialize, .deserialize = place_deserialize

const struct weir_aggregate_function aggregate_first = {
    .name = "first",
    .signature = "first(value) -> the same type",
    .doc = "The value of the first row, null or not; the first by ORDER BY in the call.",
    PLACE_WAY};
const struct weir_aggregate_function aggregate_last = {
    .name = "last",
    .signature = "last(value) -> the same type",
    .doc = "The value of the last row, null or not; the last by ORDER BY in the call.",
    PLACE_WAY};
const struct weir_aggregate_function aggregate_any_value = {
    .name = "any_value",
    .signature = "any_value(value) -> the same type",
    .doc = "The first value that is not null.",
    PLACE_WAY};
