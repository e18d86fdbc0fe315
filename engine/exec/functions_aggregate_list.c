/* array_agg, string_agg, mode, histogram: what keeps its values. */
#include "engine/exec/functions_aggregate_int.h"

static const struct weir_row_layout *layout_of(const struct weir_aggregate_call *call)
{
    return call->prepared;
}

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

static weir_status make_field(struct weir_arena *arena, const char *const *names,
                              const struct weir_type *const *types, uint32_t count,
                              struct weir_field **ret_fields, struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *fields, &fields, reterr));
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (struct weir_field){.name = names[i], .type = *types[i]};
    *ret_fields = fields;
    return WEIR_OK;
}

/* Rows of all states one after the other, and where each state's begin. */
static weir_status gather_values(uint8_t *const *states, uint32_t offset, uint32_t count,
                                 struct weir_arena *arena, uint8_t ***ret_places,
                                 int32_t **ret_offsets, struct weir_error *reterr)
{
    uint64_t total = 0;
    uint8_t **places;
    int32_t *offsets;
    for (uint32_t i = 0; i < count; i++)
        total += values_at(states[i] + offset)->count;
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%llu elements in one vector: more than offsets can hold",
                         (unsigned long long)total);
    WEIR_TRY(weir_arena_alloc(arena, (total + 1) * sizeof *places, &places, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *offsets + 64, &offsets, reterr));
    total = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct values *values = values_at(states[i] + offset);
        offsets[i] = (int32_t)total;
        if (values->count)
            memcpy(places + total, values->rows, values->count * sizeof *places);
        total += values->count;
    }
    offsets[count] = (int32_t)total;
    *ret_places = places;
    *ret_offsets = offsets;
    return WEIR_OK;
}

/* States without values are null. */
static weir_status null_empty(struct weir_arena *arena, struct weir_vector *vector,
                              struct weir_error *reterr)
{
    for (uint32_t i = 0; i < vector->count; i++)
        if (vector->offsets[i] == vector->offsets[i + 1])
            WEIR_TRY(aggregate_result_null(arena, vector, i, reterr));
    return WEIR_OK;
}

/* ---- array_agg ---- */

static weir_status array_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                              struct weir_error *reterr)
{
    static const char *const names[] = {"element"};
    const struct weir_type *types[] = {NULL};
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_layout(arena, call, false, reterr));
    types[0] = &call->arguments[0]->type;
    call->type = (struct weir_type){.id = WEIR_LIST, .child_count = 1};
    return make_field(arena, names, types, 1, &call->type.children, reterr);
}

static weir_status array_update(const struct weir_aggregate_call *call,
                                struct weir_aggregate_memory *memory,
                                const struct weir_vector *arguments, const uint32_t *rows,
                                uint32_t count, uint8_t *const *states, uint32_t offset,
                                struct weir_error *reterr)
{
    return values_update(layout_of(call), VALUES_ALL, memory, arguments, rows, count, states,
                         offset, false, reterr);
}

static weir_status array_combine(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory, uint8_t *const *into,
                                 uint8_t *const *from, uint32_t count, uint32_t offset,
                                 struct weir_error *reterr)
{
    return values_combine(layout_of(call), VALUES_ALL, memory, into, from, count, offset, reterr);
}

static weir_status array_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                  uint32_t offset, uint32_t count, struct weir_arena *arena,
                                  struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made = {.type = &call->type, .kind = WEIR_FLAT, .count = count};
    uint8_t **places;
    WEIR_TRY(gather_values(states, offset, count, arena, &places, &made.offsets, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *made.children, &made.children, reterr));
    WEIR_TRY(weir_rows_read(layout_of(call), 0, places, (uint32_t)made.offsets[count], arena,
                            &made.children[0], reterr));
    made.children[0].type = &call->type.children[0].type;
    WEIR_TRY(null_empty(arena, &made, reterr));
    *ret_vector = made;
    return WEIR_OK;
}

static weir_status array_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    return values_serialize(layout_of(call), VALUES_ALL, (const struct values *)(const void *)state,
                            out, reterr);
}

static weir_status array_deserialize(const struct weir_aggregate_call *call,
                                     struct weir_aggregate_memory *memory, const uint8_t *data,
                                     size_t size, uint8_t *state, struct weir_error *reterr)
{
    return values_deserialize(layout_of(call), VALUES_ALL, memory, data, size, values_at(state),
                              reterr);
}

const struct weir_aggregate_function aggregate_array_agg = {
    .name = "array_agg",
    .signature = "array_agg(value [ORDER BY ...]) -> list",
    .doc = "List of all values, nulls too, in order of rows or as ORDER BY says; null without "
           "rows. Also list.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = array_bind,
    .state_size = values_size,
    .init = values_init,
    .update = array_update,
    .combine = array_combine,
    .finalize = array_finalize,
    .serialize = array_serialize,
    .deserialize = array_deserialize};

/* ---- mode, histogram: values and how often ---- */

static weir_status mode_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(aggregate_bind_known(arena, call, 0, reterr));
    WEIR_TRY(aggregate_bind_layout(arena, call, true, reterr));
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static weir_status counted_update(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory,
                                  const struct weir_vector *arguments, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset,
                                  struct weir_error *reterr)
{
    return values_update(layout_of(call), VALUES_COUNTED, memory, arguments, rows, count, states,
                         offset, true, reterr);
}

static weir_status counted_combine(const struct weir_aggregate_call *call,
                                   struct weir_aggregate_memory *memory, uint8_t *const *into,
                                   uint8_t *const *from, uint32_t count, uint32_t offset,
                                   struct weir_error *reterr)
{
    return values_combine(layout_of(call), VALUES_COUNTED, memory, into, from, count, offset,
                          reterr);
}

static weir_status counted_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                     struct weir_buffer *out, struct weir_error *reterr)
{
    return values_serialize(layout_of(call), VALUES_COUNTED,
                            (const struct values *)(const void *)state, out, reterr);
}

static weir_status counted_deserialize(const struct weir_aggregate_call *call,
                                       struct weir_aggregate_memory *memory, const uint8_t *data,
                                       size_t size, uint8_t *state, struct weir_error *reterr)
{
    return values_deserialize(layout_of(call), VALUES_COUNTED, memory, data, size, values_at(state),
                              reterr);
}

static weir_status mode_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                 uint32_t offset, uint32_t count, struct weir_arena *arena,
                                 struct weir_vector *ret_vector, struct weir_error *reterr)
{
    uint8_t **places;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *places, &places, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct values *values = values_at(states[i] + offset);
        uint64_t most = 0;
        places[i] = NULL;
        for (uint32_t r = 0; r < values->count; r++)
            if (values->counts[r] > most) {
                most = values->counts[r];
                places[i] = values->rows[r];
            }
    }
    WEIR_TRY(weir_rows_read(layout_of(call), 0, places, count, arena, ret_vector, reterr));
    ret_vector->type = &call->type;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_mode = {
    .name = "mode",
    .signature = "mode(value) -> the same type",
    .doc = "The most frequent value that is not null; of several the one met first.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = mode_bind,
    .state_size = values_size,
    .init = values_init,
    .update = counted_update,
    .combine = counted_combine,
    .finalize = mode_finalize,
    .serialize = counted_serialize,
    .deserialize = counted_deserialize};

static weir_status histogram_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                                  struct weir_error *reterr)
{
    static const char *const names[] = {"key", "value"};
    static const struct weir_type number = {.id = WEIR_LONG};
    const struct weir_type *types[] = {NULL, &number};
    WEIR_TRY(mode_bind(arena, call, reterr));
    types[0] = &call->arguments[0]->type;
    call->type = (struct weir_type){.id = WEIR_MAP, .child_count = 2};
    WEIR_TRY(make_field(arena, names, types, 2, &call->type.children, reterr));
    call->type.children[0].required = true;
    return WEIR_OK;
}

static weir_status histogram_finalize(const struct weir_aggregate_call *call,
                                      uint8_t *const *states, uint32_t offset, uint32_t count,
                                      struct weir_arena *arena, struct weir_vector *ret_vector,
                                      struct weir_error *reterr)
{
    static const struct weir_sort_key key = {.column = 0};
    struct weir_vector made = {.type = &call->type, .kind = WEIR_FLAT, .count = count};
    uint8_t **places;
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(values_sort(layout_of(call), &key, 1, arena->account,
                             values_at(states[i] + offset), reterr));
    WEIR_TRY(gather_values(states, offset, count, arena, &places, &made.offsets, reterr));
    WEIR_TRY(weir_arena_zero(arena, 2, sizeof *made.children, &made.children, reterr));
    WEIR_TRY(weir_rows_read(layout_of(call), 0, places, (uint32_t)made.offsets[count], arena,
                            &made.children[0], reterr));
    made.children[0].type = &call->type.children[0].type;
    WEIR_TRY(aggregate_result(arena, &call->type.children[1].type, (uint32_t)made.offsets[count],
                              &made.children[1], reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct values *values = values_at(states[i] + offset);
        for (uint32_t r = 0; r < values->count; r++)
            ((int64_t *)made.children[1].values)[at++] = (int64_t)values->counts[r];
    }
    WEIR_TRY(null_empty(arena, &made, reterr));
    *ret_vector = made;
    return WEIR_OK;
}

const struct weir_aggregate_function aggregate_histogram = {
    .name = "histogram",
    .signature = "histogram(value) -> map(value, long)",
    .doc = "How often each value that is not null occurs, in order of values.",
    .argument_min = 1,
    .argument_max = 1,
    .bind = histogram_bind,
    .state_size = values_size,
    .init = values_init,
    .update = counted_update,
    .combine = counted_combine,
    .finalize = histogram_finalize,
    .serialize = counted_serialize,
    .deserialize = counted_deserialize};

/* ---- string_agg ---- */

/* Each value with its separator in front: the first separator is left out at the end only, so that
 * states can be put together. */
struct joined {
    uint8_t *bytes;
    uint32_t size, capacity;
    uint32_t first_separator; /* bytes of it */
    uint32_t found;
};

static inline struct joined *joined_at(uint8_t *state)
{
    return (struct joined *)(void *)state;
}

static uint32_t joined_size(const struct weir_aggregate_call *call)
{
    (void)call;
    return sizeof(struct joined);
}

static void joined_init(const struct weir_aggregate_call *call, uint8_t *state)
{
    (void)call;
    memset(state, 0, sizeof(struct joined));
}

static weir_status string_bind(struct weir_arena *arena, struct weir_aggregate_call *call,
                               struct weir_error *reterr)
{
    static const struct weir_type type = {.id = WEIR_STRING};
    struct weir_node **both;
    if (call->argument_count == 1) {
        WEIR_TRY(weir_arena_zero(arena, 2, sizeof(struct weir_node *), &both, reterr));
        both[0] = call->arguments[0];
        WEIR_TRY(weir_node_text(arena, ",", 1, &both[1], reterr));
        call->arguments = both;
        call->argument_count = 2;
    }
    for (uint32_t i = 0; i < 2; i++)
        if (call->arguments[i]->type.id != WEIR_STRING || call->arguments[i]->unknown)
            WEIR_TRY(weir_node_cast(arena, call->arguments[i], &type, false, false,
                                    &call->arguments[i], reterr));
    call->type = type;
    return WEIR_OK;
}

static weir_status joined_add(struct weir_arena *arena, struct joined *joined, const uint8_t *data,
                              size_t size, struct weir_error *reterr)
{
    uint64_t whole = (uint64_t)joined->size + size;
    if (whole > 1u << 30)
        return weir_fail(reterr, WEIR_NO_MEMORY, "string_agg: more than %u bytes in a group",
                         1u << 30);
    if (whole > joined->capacity) {
        uint32_t capacity = (uint32_t)whole * 2;
        uint8_t *bytes;
        WEIR_TRY(weir_arena_alloc(arena, capacity, &bytes, reterr));
        if (joined->size)
            memcpy(bytes, joined->bytes, joined->size);
        joined->bytes = bytes;
        joined->capacity = capacity;
    }
    if (size)
        memcpy(joined->bytes + joined->size, data, size);
    joined->size = (uint32_t)whole;
    return WEIR_OK;
}

static weir_status string_update(const struct weir_aggregate_call *call,
                                 struct weir_aggregate_memory *memory,
                                 const struct weir_vector *arguments, const uint32_t *rows,
                                 uint32_t count, uint8_t *const *states, uint32_t offset,
                                 struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), separator = weir_lane_of(&arguments[1]);
    (void)call;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        struct joined *joined = joined_at(states[i] + offset);
        struct weir_bytes between = {NULL, 0}, value;
        if (!weir_lane_valid(&text, row))
            continue;
        value = weir_lane_bytes(&text, row);
        if (weir_lane_valid(&separator, row))
            between = weir_lane_bytes(&separator, row);
        if (!joined->found)
            joined->first_separator = (uint32_t)between.size;
        joined->found = 1;
        WEIR_TRY(joined_add(memory->arena, joined, between.data, between.size, reterr));
        WEIR_TRY(joined_add(memory->arena, joined, value.data, value.size, reterr));
    }
    return WEIR_OK;
}

static weir_status string_combine(const struct weir_aggregate_call *call,
                                  struct weir_aggregate_memory *memory, uint8_t *const *into,
                                  uint8_t *const *from, uint32_t count, uint32_t offset,
                                  struct weir_error *reterr)
{
    (void)call;
    for (uint32_t i = 0; i < count; i++) {
        struct joined *target = joined_at(into[i] + offset);
        const struct joined *source = joined_at(from[i] + offset);
        if (!source->found)
            continue;
        if (!target->found)
            target->first_separator = source->first_separator;
        target->found = 1;
        WEIR_TRY(joined_add(memory->arena, target, source->bytes, source->size, reterr));
    }
    return WEIR_OK;
}

static weir_status string_finalize(const struct weir_aggregate_call *call, uint8_t *const *states,
                                   uint32_t offset, uint32_t count, struct weir_arena *arena,
                                   struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_vector made;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += joined_at(states[i] + offset)->size;
    if (total > INT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "%llu bytes of strings in one vector: more than offsets can hold",
                         (unsigned long long)total);
    WEIR_TRY(weir_vector_make(arena, &call->type, count, total, &made, reterr));
    made.count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct joined *joined = joined_at(states[i] + offset);
        uint32_t size = joined->size - joined->first_separator;
        if (size)
            memcpy((uint8_t *)made.values + made.offsets[i],
                   joined->bytes + joined->first_separator, size);
        made.offsets[i + 1] = made.offsets[i] + (int32_t)size;
        if (!joined->found)
            WEIR_TRY(aggregate_result_null(arena, &made, i, reterr));
    }
    *ret_vector = made;
    return WEIR_OK;
}

static weir_status string_serialize(const struct weir_aggregate_call *call, const uint8_t *state,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    const struct joined *joined = (const struct joined *)(const void *)state;
    (void)call;
    return weir_buffer_append(out, joined->bytes, joined->size, reterr);
}

/* The other members are in the row itself. */
static weir_status string_deserialize(const struct weir_aggregate_call *call,
                                      struct weir_aggregate_memory *memory, const uint8_t *data,
                                      size_t size, uint8_t *state, struct weir_error *reterr)
{
    struct joined *joined = joined_at(state);
    (void)call;
    joined->bytes = NULL;
    joined->size = joined->capacity = 0;
    return joined_add(memory->arena, joined, data, size, reterr);
}

const struct weir_aggregate_function aggregate_string_agg = {
    .name = "string_agg",
    .signature = "string_agg(text [, separator] [ORDER BY ...]) -> string",
    .doc = "The texts that are not null one after the other, the separator (',' if none is given) "
           "between them. Also listagg, group_concat.",
    .argument_min = 1,
    .argument_max = 2,
    .bind = string_bind,
    .state_size = joined_size,
    .init = joined_init,
    .update = string_update,
    .combine = string_combine,
    .finalize = string_finalize,
    .serialize = string_serialize,
    .deserialize = string_deserialize};
