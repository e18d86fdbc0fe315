/* Between the files of aggregate functions: walking over rows, binding, results. */
#ifndef WEIR_ENGINE_EXEC_FUNCTIONS_AGGREGATE_INT_H
#define WEIR_ENGINE_EXEC_FUNCTIONS_AGGREGATE_INT_H

#include "engine/base/text.h"
#include "engine/exec/aggregate.h"
#include "engine/exec/aggregate_values.h"

#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* States lie at multiples of 8. */
typedef weir_int128 state_int128 __attribute__((aligned(8)));

/* Rows of one argument and their states. */
struct fold {
    struct weir_lane lane;
    const uint32_t *rows;
    uint32_t count;
    uint8_t *const *states;
    uint32_t offset;
};
static inline struct fold fold_of(const struct weir_vector *argument, const uint32_t *rows,
                                  uint32_t count, uint8_t *const *states, uint32_t offset)
{
    return (struct fold){weir_lane_of(argument), rows, count, states, offset};
}
/* take: a constant wherever this is called, so that it becomes part of the loop; false = the value
 * does not fit (overflow). Nulls are passed over. */
ALWAYS_INLINE bool fold_each(const struct fold *fold,
                             bool (*take)(uint8_t *state, const void *values, uint32_t at))
{
    const struct weir_lane lane = fold->lane;
    const void *values = lane.flat->values;
    bool fits = true;
    if (!lane.validity && !lane.indices && lane.mask && !fold->rows) {
        for (uint32_t i = 0; i < fold->count; i++)
            fits &= take(fold->states[i] + fold->offset, values, i);
        return fits;
    }
    for (uint32_t i = 0; i < fold->count; i++) {
        uint32_t row = fold->rows ? fold->rows[i] : i;
        if (weir_lane_valid(&lane, row))
            fits &= take(fold->states[i] + fold->offset, values, weir_lane(&lane, row));
    }
    return fits;
}
/* All rows go to one state, there is a row, and the values are flat and without nulls. */
bool aggregate_fold_is_run(const struct fold *fold);

/* combine for states that need no more than this. */
ALWAYS_INLINE bool fold_pairs(uint8_t *const *into, uint8_t *const *from, uint32_t count,
                              uint32_t offset, bool (*join)(uint8_t *into, const uint8_t *from))
{
    bool fits = true;
    for (uint32_t i = 0; i < count; i++)
        fits &= join(into[i] + offset, from[i] + offset);
    return fits;
}

/* A flat vector for `count` results (fixed width or boolean), all valid; nulls by
 * aggregate_result_null. */
weir_status aggregate_result(struct weir_arena *arena, const struct weir_type *type, uint32_t count,
                             struct weir_vector *ret_vector,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aggregate_result_null(struct weir_arena *arena, struct weir_vector *vector,
                                  uint32_t row, struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status aggregate_overflow(const struct weir_aggregate_call *call,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- binding ---- */
bool aggregate_is_number(const struct weir_type *type);
/* USAGE: the function does not take such an argument. */
weir_status aggregate_refuse_argument(const struct weir_aggregate_call *call, uint32_t argument,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* Arguments [0, call->argument_count) are cast to double; the result is one. */
weir_status aggregate_bind_doubles(struct weir_arena *arena, struct weir_aggregate_call *call,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* An unknown literal becomes a string. */
weir_status aggregate_bind_known(struct weir_arena *arena, struct weir_aggregate_call *call,
                                 uint32_t argument, struct weir_error *reterr) WEIR_MUST_CHECK;
/* call->prepared = the layout (no header) of the arguments as rows. */
weir_status aggregate_bind_layout(struct weir_arena *arena, struct weir_aggregate_call *call,
                                  bool canonical, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- all there are ---- */
#define AGGREGATE(name) extern const struct weir_aggregate_function aggregate_##name;
#include "engine/exec/functions_aggregate.def"
#undef AGGREGATE

#endif
