/* Values that states keep. */
#include "engine/exec/aggregate_values.h"

#include "engine/exec/aggregate_int.h"

#include <stdlib.h>

uint64_t values_hash(const struct weir_row_layout *layout, const uint8_t *row)
{
    return hash_words(row, weir_row_size(layout, row) / 8);
}

static weir_status grow_slots(const struct weir_row_layout *layout, struct weir_arena *arena,
                              struct values *values, struct weir_error *reterr)
{
    uint64_t size = values->slot_count ? (uint64_t)values->slot_count * 4 : 8;
    uint32_t *slots;
    if (size > UINT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "more than %u distinct values in a group",
                         values->count);
    WEIR_TRY(weir_arena_zero(arena, size, sizeof *slots, &slots, reterr));
    for (uint32_t i = 0; i < values->count; i++) {
        uint64_t at = values_hash(layout, values->rows[i]) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    values->slots = slots;
    values->slot_count = (uint32_t)size;
    return WEIR_OK;
}

static weir_status grow_rows(struct weir_arena *arena, enum values_way way, struct values *values,
                             struct weir_error *reterr)
{
    uint64_t capacity = values->capacity ? (uint64_t)values->capacity * 2 : 4;
    uint64_t *counts = NULL;
    uint8_t **rows;
    if (capacity > UINT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "more than %u values in a group", values->count);
    WEIR_TRY(weir_arena_alloc(arena, capacity * sizeof *rows, &rows, reterr));
    if (values->count)
        memcpy(rows, values->rows, values->count * sizeof *rows);
    if (way == VALUES_COUNTED) {
        WEIR_TRY(weir_arena_alloc(arena, capacity * sizeof *counts, &counts, reterr));
        if (values->count)
            memcpy(counts, values->counts, values->count * sizeof *counts);
    }
    values->rows = rows;
    values->counts = counts;
    values->capacity = (uint32_t)capacity;
    return WEIR_OK;
}

weir_status values_add(const struct weir_row_layout *layout, enum values_way way,
                       struct weir_arena *arena, struct values *values, const uint8_t *row,
                       uint64_t times, struct weir_error *reterr)
{
    uint32_t size = weir_row_size(layout, row), *slot = NULL;
    uint8_t *copy;
    if (way != VALUES_ALL) {
        if ((uint64_t)values->count * 2 >= values->slot_count)
            WEIR_TRY(grow_slots(layout, arena, values, reterr));
        uint32_t mask = values->slot_count - 1, at = (uint32_t)values_hash(layout, row) & mask;
        for (; values->slots[at]; at = (at + 1) & mask) {
            uint32_t number = values->slots[at] - 1;
            if (!weir_rows_equal(layout, values->rows[number], row))
                continue;
            if (way == VALUES_COUNTED)
                values->counts[number] += times;
            return WEIR_OK;
        }
        slot = &values->slots[at];
    }
    if (values->count == values->capacity)
        WEIR_TRY(grow_rows(arena, way, values, reterr));
    WEIR_TRY(weir_arena_alloc(arena, size, &copy, reterr));
    memcpy(copy, row, size);
    if (way == VALUES_COUNTED)
        values->counts[values->count] = times;
    values->rows[values->count++] = copy;
    if (slot)
        *slot = values->count;
    return WEIR_OK;
}

weir_status values_encode(const struct weir_row_layout *layout, const struct weir_vector *columns,
                          const uint32_t *rows, uint32_t count, struct weir_arena *arena,
                          uint8_t ***ret_places, struct weir_error *reterr)
{
    uint32_t *sizes;
    uint8_t **places, *bytes;
    size_t total = 0;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *places, &places, reterr));
    WEIR_TRY(weir_rows_size(layout, columns, rows, count, sizes, reterr));
    for (uint32_t i = 0; i < count; i++)
        total += sizes[i];
    WEIR_TRY(weir_arena_alloc(arena, total + 8, &bytes, reterr));
    for (uint32_t i = 0; i < count; i++) {
        places[i] = bytes;
        bytes += sizes[i];
    }
    weir_rows_write(layout, columns, rows, count, places);
    *ret_places = places;
    return WEIR_OK;
}

weir_status values_update(const struct weir_row_layout *layout, enum values_way way,
                          struct weir_aggregate_memory *memory, const struct weir_vector *columns,
                          const uint32_t *rows, uint32_t count, uint8_t *const *states,
                          uint32_t offset, bool skip_null, struct weir_error *reterr)
{
    WEIR_AUTO(weir_arena) scratch;
    uint8_t **places;
    weir_arena_init(&scratch, memory->arena->account);
    WEIR_TRY(values_encode(layout, columns, rows, count, &scratch, &places, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (!skip_null || !weir_row_null(layout, places[i], 0))
            WEIR_TRY(values_add(layout, way, memory->arena, values_at(states[i] + offset),
                                places[i], 1, reterr));
    return WEIR_OK;
}

weir_status values_combine(const struct weir_row_layout *layout, enum values_way way,
                           struct weir_aggregate_memory *memory, uint8_t *const *into,
                           uint8_t *const *from, uint32_t count, uint32_t offset,
                           struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct values *source = values_at(from[i] + offset);
        for (uint32_t r = 0; r < source->count; r++)
            WEIR_TRY(values_add(layout, way, memory->arena, values_at(into[i] + offset),
                                source->rows[r], way == VALUES_COUNTED ? source->counts[r] : 1,
                                reterr));
    }
    return WEIR_OK;
}

weir_status values_serialize(const struct weir_row_layout *layout, enum values_way way,
                             const struct values *values, struct weir_buffer *out,
                             struct weir_error *reterr)
{
    for (uint32_t r = 0; r < values->count; r++) {
        uint64_t times = way == VALUES_COUNTED ? values->counts[r] : 1;
        if (way == VALUES_COUNTED)
            WEIR_TRY(weir_buffer_append(out, &times, sizeof times, reterr));
        WEIR_TRY(weir_buffer_append(out, values->rows[r], weir_row_size(layout, values->rows[r]),
                                    reterr));
    }
    return WEIR_OK;
}

weir_status values_deserialize(const struct weir_row_layout *layout, enum values_way way,
                               struct weir_aggregate_memory *memory, const uint8_t *data,
                               size_t size, struct values *values, struct weir_error *reterr)
{
    memset(values, 0, sizeof *values);
    for (size_t at = 0; at < size;) {
        uint64_t times = 1;
        if (way == VALUES_COUNTED) {
            memcpy(&times, data + at, sizeof times);
            at += sizeof times;
        }
        WEIR_TRY(values_add(layout, way, memory->arena, values, data + at, times, reterr));
        at += weir_row_size(layout, data + at);
    }
    return WEIR_OK;
}

/* ---- order ---- */

struct sorted {
    const uint8_t *key;
    uint8_t *row;
    uint64_t times;
    uint32_t key_size, number;
};

static int compare_sorted(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    uint32_t shorter = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order = memcmp(x->key, y->key, shorter);
    if (order)
        return order;
    if (x->key_size != y->key_size)
        return x->key_size < y->key_size ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static weir_status read_keys(const struct weir_row_layout *layout, const struct weir_sort_key *keys,
                             uint32_t key_count, const struct values *values,
                             struct weir_arena *arena, struct weir_vector **ret_columns,
                             struct weir_error *reterr)
{
    struct weir_vector *columns;
    WEIR_TRY(weir_arena_zero(arena, (size_t)layout->count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t k = 0; k < key_count; k++)
        WEIR_TRY(weir_rows_read(layout, keys[k].column, values->rows, values->count, arena,
                                &columns[keys[k].column], reterr));
    *ret_columns = columns;
    return WEIR_OK;
}

weir_status values_sort(const struct weir_row_layout *layout, const struct weir_sort_key *keys,
                        uint32_t key_count, struct weir_account *account, struct values *values,
                        struct weir_error *reterr)
{
    uint32_t count = values->count, *sizes;
    WEIR_AUTO(weir_arena) arena;
    struct weir_vector *columns;
    struct sorted *sorted;
    uint8_t **places;
    weir_arena_init(&arena, account);
    if (count < 2)
        return WEIR_OK;
    WEIR_TRY(read_keys(layout, keys, key_count, values, &arena, &columns, reterr));
    WEIR_TRY(weir_arena_alloc(&arena, (size_t)count * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(&arena, (size_t)count * sizeof *places, &places, reterr));
    WEIR_TRY(weir_arena_alloc(&arena, (size_t)count * sizeof *sorted, &sorted, reterr));
    WEIR_TRY(weir_sort_keys_size(keys, key_count, columns, count, sizes, reterr));
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(weir_arena_alloc(&arena, (size_t)sizes[i] + 1, &places[i], reterr));
        sorted[i] = (struct sorted){places[i], values->rows[i],
                                    values->counts ? values->counts[i] : 1, sizes[i], i};
    }
    weir_sort_keys_write(keys, key_count, columns, count, places);
    qsort(sorted, count, sizeof *sorted, compare_sorted);
    for (uint32_t i = 0; i < count; i++) {
        values->rows[i] = sorted[i].row;
        if (values->counts)
            values->counts[i] = sorted[i].times;
    }
    return WEIR_OK;
}
