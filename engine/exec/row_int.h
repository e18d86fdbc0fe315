/* Between row.c, row_nested.c and row_sort_key.c: single values as bytes. */
#ifndef WEIR_ENGINE_EXEC_ROW_INT_H
#define WEIR_ENGINE_EXEC_ROW_INT_H

#include "engine/exec/row.h"

#include <math.h>

/* Equal values have equal bytes. */
static inline double row_canonical_double(double value)
{
    return isnan(value) ? (double)NAN : value == 0 ? 0.0 : value;
}
static inline float row_canonical_float(float value)
{
    return isnan(value) ? NAN : value == 0 ? 0.0f : value;
}

/* Its slot points into the heap. */
bool row_type_variable(const struct weir_type *type);

/* A value of any type at row `at` of a flat vector (valid there), without its own null mark:
 *   fixed width, boolean (1 byte): as they are; string, binary: u32 length, bytes
 *   struct: for each child 1 byte (1 = null), the value unless null
 *   list: u32 count, for each element 1 byte (1 = null), the value unless null; map: the same of
 *   keys and values in turn */
uint64_t row_nested_size(const struct weir_vector *flat, uint32_t at);
uint8_t *row_nested_write(const struct weir_vector *flat, uint32_t at, bool canonical, uint8_t *to);
/* values[i]: such bytes or NULL (null); moved behind the value. `vector` has type, count and
 * validity already. */
weir_status row_nested_read(struct weir_arena *arena, const struct weir_type *type,
                            const uint8_t **values, uint32_t count, struct weir_vector *vector,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* NULL = null. */
weir_status row_make_validity(struct weir_arena *arena, const uint8_t *const *values,
                              uint32_t count, struct weir_vector *vector,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status row_read_fixed(struct weir_arena *arena, const uint8_t *const *values, uint32_t count,
                           struct weir_vector *vector, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
