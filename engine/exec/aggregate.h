/* Aggregate functions: one registry, for GROUP BY and for windows. */
#ifndef WEIR_ENGINE_EXEC_AGGREGATE_H
#define WEIR_ENGINE_EXEC_AGGREGATE_H

#include "engine/exec/plan.h"

/* What states may hold on to beyond their fixed bytes: memory of the group table they are in. */
struct weir_aggregate_memory {
    struct weir_arena *arena;
};

/* States are `state_size` bytes (multiple of 8) at states[i] + offset, one address a row; several
 * rows may share one state, and rows are taken in order. Partial states are merged in order of
 * morsels. No state holds a pointer unless `serialize` is there. */
struct weir_aggregate_function {
    const char *name;
    const char *signature, *doc; /* docs/sql.md */
    int argument_min, argument_max;
    /* Casts arguments and gives call->type (and call->prepared). */
    weir_status (*bind)(struct weir_arena *arena, struct weir_aggregate_call *call,
                        struct weir_error *reterr);
    uint32_t (*state_size)(const struct weir_aggregate_call *call);
    void (*init)(const struct weir_aggregate_call *call, uint8_t *state);
    /* rows: which rows of the arguments, NULL = 0..count-1. Overflow: FAILED. */
    weir_status (*update)(const struct weir_aggregate_call *call,
                          struct weir_aggregate_memory *memory, const struct weir_vector *arguments,
                          const uint32_t *rows, uint32_t count, uint8_t *const *states,
                          uint32_t offset, struct weir_error *reterr);
    weir_status (*combine)(const struct weir_aggregate_call *call,
                           struct weir_aggregate_memory *memory, uint8_t *const *into,
                           uint8_t *const *from, uint32_t count, uint32_t offset,
                           struct weir_error *reterr);
    /* The results of `count` states as a flat vector of call->type. */
    weir_status (*finalize)(const struct weir_aggregate_call *call, uint8_t *const *states,
                            uint32_t offset, uint32_t count, struct weir_arena *arena,
                            struct weir_vector *ret_vector, struct weir_error *reterr);
    /* States with memory beyond their bytes: to bytes and back, for spilling. NULL: plain bytes. */
    weir_status (*serialize)(const struct weir_aggregate_call *call, const uint8_t *state,
                             struct weir_buffer *out, struct weir_error *reterr);
    weir_status (*deserialize)(const struct weir_aggregate_call *call,
                               struct weir_aggregate_memory *memory, const uint8_t *data,
                               size_t size, uint8_t *state, struct weir_error *reterr);
};

const struct weir_aggregate_function *weir_aggregate_find(const char *name);
const struct weir_aggregate_function *const *weir_aggregate_all(size_t *ret_count);

#endif
