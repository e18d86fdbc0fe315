/* Vectors: columns of values in Arrow's layout, and batches of them.
 *
 * Three kinds. FLAT: one value a row. CONSTANT: one value (row 0) for all `count` rows. DICTIONARY:
 * `indices` into `dictionary` (a flat vector); validity is that of this vector, not of the
 * dictionary's entries. Nested vectors are FLAT. Decoders and Parquet writing make and take FLAT
 * only, unless said otherwise.
 *
 * Layout by type (FLAT):
 *   boolean            values: bitmap, bit i of byte i/8
 *   fixed width        values: count * weir_type_width bytes
 *   string, binary     offsets: int32[count + 1], offsets[0] = 0; values: bytes
 *   list, map          offsets: int32[count + 1], offsets[0] = 0; children: element | key, value
 *   struct             children, each with `count` rows
 * Values under a null are unspecified, but in bounds (offsets are monotonic; a null list has no
 * elements). Validity: NULL = no nulls; else bit i = 1 means valid. Padding: bitmaps and values may
 * be read up to the next 64 bytes.
 *
 * Ownership: all memory belongs to the arena (or other owner) the vector was made in; vectors hold
 * no reference. */
#ifndef WEIR_ENGINE_VEC_VECTOR_H
#define WEIR_ENGINE_VEC_VECTOR_H

#include "engine/vec/type.h"

enum weir_vector_kind { WEIR_FLAT, WEIR_CONSTANT, WEIR_DICTIONARY };

struct weir_vector {
    const struct weir_type *type;
    enum weir_vector_kind kind;
    uint32_t count;
    uint32_t null_count;
    uint8_t *validity;
    void *values;
    int32_t *offsets;
    uint32_t *indices;              /* DICTIONARY */
    struct weir_vector *dictionary; /* DICTIONARY */
    struct weir_vector *children;   /* type->child_count of them */
};

/* Rows of a schema (a STRUCT type): one vector per field. */
struct weir_batch {
    const struct weir_type *type; /* STRUCT */
    uint32_t count;
    struct weir_vector *columns; /* type->child_count */
};

/* Rows of a batch that count: ascending row numbers. NULL selection = all rows. */
struct weir_selection {
    uint32_t count;
    const uint32_t *rows;
};

static inline bool weir_bit_get(const uint8_t *bits, size_t at)
{
    return bits[at >> 3] >> (at & 7) & 1;
}
static inline void weir_bit_set(uint8_t *bits, size_t at)
{
    bits[at >> 3] |= (uint8_t)(1u << (at & 7));
}
static inline void weir_bit_clear(uint8_t *bits, size_t at)
{
    bits[at >> 3] &= (uint8_t) ~(1u << (at & 7));
}
static inline bool weir_vector_valid(const struct weir_vector *vector, size_t row)
{
    return !vector->validity ||
           weir_bit_get(vector->validity, vector->kind == WEIR_CONSTANT ? 0 : row);
}
size_t weir_bits_count(const uint8_t *bits, size_t count); /* ones among the first count bits */

/* A flat vector with room for `capacity` rows (count 0, offsets[0] = 0, values zeroed for booleans,
 * validity NULL), its children too; strings get `bytes` bytes, lists get `capacity` element rows to
 * start with. */
weir_status weir_vector_make(struct weir_arena *arena, const struct weir_type *type,
                             uint32_t capacity, size_t bytes, struct weir_vector *ret_vector,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_batch_make(struct weir_arena *arena, const struct weir_type *type,
                            uint32_t capacity, struct weir_batch *ret_batch,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Deep copy of the selected rows (NULL: all) as flat vectors into the arena. */
weir_status weir_vector_gather(struct weir_arena *arena, const struct weir_vector *vector,
                               const struct weir_selection *selection,
                               struct weir_vector *ret_vector,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_batch_gather(struct weir_arena *arena, const struct weir_batch *batch,
                              const struct weir_selection *selection, struct weir_batch *ret_batch,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* Flat vectors of the same rows: what is flat already is shared with the batch, not copied, so the
 * result lives as long as both. */
weir_status weir_vector_as_flat(struct weir_arena *arena, const struct weir_vector *vector,
                                struct weir_vector *ret_vector,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_batch_as_flat(struct weir_arena *arena, const struct weir_batch *batch,
                               struct weir_batch *ret_batch,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Puts another type of the same shape (names and ids may differ) on a vector and its children. */
void weir_vector_retype(struct weir_vector *vector, const struct weir_type *type);
/* Bytes its rows take, nested included: what row groups are cut by. A pure function of the rows,
 * not of capacity. */
uint64_t weir_vector_bytes(const struct weir_vector *vector);

/* The column at the end of a dotted path through structs only, or NULL: "cpu.usage_pct". */
const struct weir_vector *weir_batch_column(const struct weir_batch *batch, const char *path);

#endif
