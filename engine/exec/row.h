/* Rows as bytes: what hash tables, sorts, windows and spill files hold. One row is one run of bytes
 * without pointers in it, so that it can be compared, hashed, copied and written to a file whole.
 *
 *   [header: header_size bytes, the caller's: hash, chain, aggregate states]
 *   [u32 size of the whole row]            only if the layout is variable
 *   [nulls: one bit a column, 1 = null]
 *   [slots: fixed width values as in a flat vector; boolean 1 byte; variable ones u32 offset from
 * the row's start, u32 length; slots not aligned: use memcpy] [heap: bytes of variable columns in
 * order of columns; nested values in a form of their own]
 *
 * A null's slot is zero; -0.0 and NaN are made canonical in keys only (options). So two rows of
 * equal keys have equal bytes from key_offset to their end, and equality is one memcmp. Rows are
 * 8-byte aligned. */
#ifndef WEIR_ENGINE_EXEC_ROW_H
#define WEIR_ENGINE_EXEC_ROW_H

#include "engine/expr/ir.h"

struct weir_row_layout {
    const struct weir_type *types; /* array, `count` */
    uint32_t *slots;               /* byte of each column's slot */
    uint32_t count;
    uint32_t header_size; /* multiple of 8 */
    uint32_t key_offset;  /* = header_size: where comparison begins (size, nulls, slots, heap) */
    uint32_t null_offset;
    uint32_t fixed_size; /* header, size, nulls and slots, padded to 8: the heap begins here; the
                            whole row if not variable */
    bool variable;
    bool canonical; /* -0.0 as 0.0, one NaN */
};

weir_status weir_row_layout_init(struct weir_arena *arena, const struct weir_type *types,
                                 uint32_t count, uint32_t header_size, bool canonical,
                                 struct weir_row_layout *ret_layout,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* Bytes of each row (header and padding to 8 included) that `columns` (layout->count vectors of any
 * kind) make; rows: which rows, NULL = the first `count`. NO_MEMORY beyond 1 GiB a row. */
weir_status weir_rows_size(const struct weir_row_layout *layout, const struct weir_vector *columns,
                           const uint32_t *rows, uint32_t count, uint32_t *ret_sizes,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Writes all but the header to places[i], each as large as weir_rows_size said. */
void weir_rows_write(const struct weir_row_layout *layout, const struct weir_vector *columns,
                     const uint32_t *rows, uint32_t count, uint8_t *const *places);
/* Column `column` of the rows as a flat vector in the arena; a NULL place gives null. */
weir_status weir_rows_read(const struct weir_row_layout *layout, uint32_t column,
                           uint8_t *const *places, uint32_t count, struct weir_arena *arena,
                           struct weir_vector *ret_vector,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
uint32_t weir_row_size(const struct weir_row_layout *layout, const uint8_t *row);
static inline bool weir_row_null(const struct weir_row_layout *layout, const uint8_t *row,
                                 uint32_t column)
{
    return row[layout->null_offset + (column >> 3)] >> (column & 7) & 1;
}
bool weir_rows_equal(const struct weir_row_layout *layout, const uint8_t *a, const uint8_t *b);

/* Rows one after the other in large accounted blocks; addresses stay until the end. */
struct weir_row_block;
struct weir_row_store {
    struct weir_account *account;
    struct weir_row_block *first, *last;
    uint64_t row_count;
    uint64_t byte_count;
};
void weir_row_store_init(struct weir_row_store *store, struct weir_account *account);
void weir_row_store_done(struct weir_row_store *store);
/* Room for one row of `size` bytes (multiple of 8). */
weir_status weir_row_store_add(struct weir_row_store *store, uint32_t size, uint8_t **ret_row,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same for `count` rows at once. On failure some may have been added. */
weir_status weir_row_store_add_all(struct weir_row_store *store, const uint32_t *sizes,
                                   uint32_t count, uint8_t **ret_rows,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* Walks rows in the order they were added: start with a zeroed cursor; NULL = the end. */
struct weir_row_cursor {
    const struct weir_row_block *block;
    size_t at;
    bool started;
};
uint8_t *weir_row_store_next(const struct weir_row_store *store,
                             const struct weir_row_layout *layout, struct weir_row_cursor *cursor);

/* Sort keys: bytes whose memcmp order is the order asked for (direction and place of nulls per key
 * inside). Appends key bytes of each row to a per-row place like rows above. */
struct weir_sort_key {
    uint32_t column; /* of the vectors given */
    bool descending, nulls_first;
};
weir_status weir_sort_keys_size(const struct weir_sort_key *keys, uint32_t key_count,
                                const struct weir_vector *columns, uint32_t count,
                                uint32_t *ret_sizes, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_sort_keys_write(const struct weir_sort_key *keys, uint32_t key_count,
                          const struct weir_vector *columns, uint32_t count,
                          uint8_t *const *places);

#endif
