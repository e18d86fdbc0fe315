/* Values an aggregate's state keeps, as rows of bytes in the memory of its group table: DISTINCT,
 * array_agg, mode, ... */
#ifndef WEIR_ENGINE_EXEC_AGGREGATE_VALUES_H
#define WEIR_ENGINE_EXEC_AGGREGATE_VALUES_H

#include "engine/exec/aggregate.h"
#include "engine/exec/row.h"

enum values_way {
    VALUES_ALL,      /* every row, in order */
    VALUES_DISTINCT, /* each once, in order of the first */
    VALUES_COUNTED   /* the same and how often */
};

struct values {
    uint8_t **rows;
    uint64_t *counts; /* COUNTED */
    uint32_t *slots;  /* DISTINCT, COUNTED: number of the row + 1; 0 = empty */
    uint32_t count, capacity;
    uint32_t slot_count, padding;
};

static inline struct values *values_at(uint8_t *state)
{
    return (struct values *)(void *)state;
}

/* Adds a copy of the row, `times` times. */
weir_status values_add(const struct weir_row_layout *layout, enum values_way way,
                       struct weir_arena *arena, struct values *values, const uint8_t *row,
                       uint64_t times, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Adds the columns' rows to their states; a row is passed over if column 0 is null and
 * `skip_null`. */
weir_status values_update(const struct weir_row_layout *layout, enum values_way way,
                          struct weir_aggregate_memory *memory, const struct weir_vector *columns,
                          const uint32_t *rows, uint32_t count, uint8_t *const *states,
                          uint32_t offset, bool skip_null,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status values_combine(const struct weir_row_layout *layout, enum values_way way,
                           struct weir_aggregate_memory *memory, uint8_t *const *into,
                           uint8_t *const *from, uint32_t count, uint32_t offset,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status values_serialize(const struct weir_row_layout *layout, enum values_way way,
                             const struct values *values, struct weir_buffer *out,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status values_deserialize(const struct weir_row_layout *layout, enum values_way way,
                               struct weir_aggregate_memory *memory, const uint8_t *data,
                               size_t size, struct values *values,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows (and counts) in order of keys, whose columns are those of the layout; equal ones stay in
 * order. */
weir_status values_sort(const struct weir_row_layout *layout, const struct weir_sort_key *keys,
                        uint32_t key_count, struct weir_account *account, struct values *values,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows of `count` columns as bytes in the arena: places, in order. */
weir_status values_encode(const struct weir_row_layout *layout, const struct weir_vector *columns,
                          const uint32_t *rows, uint32_t count, struct weir_arena *arena,
                          uint8_t ***ret_places, struct weir_error *reterr) WEIR_MUST_CHECK;
uint64_t values_hash(const struct weir_row_layout *layout, const uint8_t *row);

#endif
