/* Sets of row numbers of one data file: what position deletes and deletion vectors say is gone.
 * Spec: Iceberg "Row-level deletes"; Puffin "deletion-vector-v1"; RoaringFormatSpec.
 *
 * Pages of 65,536 rows, there only where something is set: that is also how roaring bitmaps are
 * cut. */
#ifndef WEIR_FORMATS_ICEBERG_ROW_SET_H
#define WEIR_FORMATS_ICEBERG_ROW_SET_H

#include "engine/base/memory.h"

#define WEIR_ROW_SET_PAGE_ROWS 65536

struct weir_row_set {
    struct weir_arena *arena;
    uint64_t row_count; /* of the file: positions from there on delete nothing */
    uint64_t set_count; /* rows in the set */
    uint8_t **pages;    /* NULL: nothing of the page is set */
};

/* Everything lives in the arena. row_count: the file's own, from its footer. */
weir_status weir_row_set_init(struct weir_row_set *set, struct weir_arena *arena,
                              uint64_t row_count, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_row_set_add(struct weir_row_set *set, uint64_t row,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
static inline bool weir_row_set_has(const struct weir_row_set *set, uint64_t row)
{
    if (row >= set->row_count)
        return false;
    const uint8_t *page = set->pages[row / WEIR_ROW_SET_PAGE_ROWS];
    return page && page[row % WEIR_ROW_SET_PAGE_ROWS / 8] >> (row % 8) & 1;
}
/* Clears the bits of `keep` (bit i: row first + i) whose rows are in the set. */
void weir_row_set_clear(const struct weir_row_set *set, uint64_t first, uint32_t count,
                        uint8_t *keep);
/* Adds what a deletion-vector-v1 blob says: its bytes as they lie in the Puffin file. CORRUPT when
 * length, magic, checksum or bitmap are wrong; adds nothing or part then. */
weir_status weir_row_set_add_vector(struct weir_row_set *set, const void *blob, size_t size,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
