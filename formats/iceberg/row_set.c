/* Row sets and the parser of deletion vectors: a 64-bit roaring bitmap, which is 32-bit ones in a
 * row, in the portable form. */
#include "formats/iceberg/row_set.h"

#include <string.h>

#include <zlib.h>

#define PAGE_BYTES     (WEIR_ROW_SET_PAGE_ROWS / 8)
#define COOKIE_NO_RUNS 12346
#define COOKIE_RUNS    12347
#define ARRAY_MAX      4096 /* values; a container of more is a bitmap */
#define OFFSETS_FROM   4    /* containers: with runs, fewer have no table of offsets */

weir_status weir_row_set_init(struct weir_row_set *set, struct weir_arena *arena,
                              uint64_t row_count, struct weir_error *reterr)
{
    *set = (struct weir_row_set){.arena = arena, .row_count = row_count};
    uint64_t pages = row_count / WEIR_ROW_SET_PAGE_ROWS + 1;
    return weir_arena_zero(arena, pages, sizeof *set->pages, &set->pages, reterr);
}

static weir_status page_of(struct weir_row_set *set, uint64_t number, uint8_t **ret_page,
                           struct weir_error *reterr)
{
    if (!set->pages[number])
        WEIR_TRY(weir_arena_zero(set->arena, PAGE_BYTES, 1, &set->pages[number], reterr));
    *ret_page = set->pages[number];
    return WEIR_OK;
}

weir_status weir_row_set_add(struct weir_row_set *set, uint64_t row, struct weir_error *reterr)
{
    uint8_t *page;
    if (row >= set->row_count)
        return WEIR_OK;
    WEIR_TRY(page_of(set, row / WEIR_ROW_SET_PAGE_ROWS, &page, reterr));
    uint8_t *byte = &page[row % WEIR_ROW_SET_PAGE_ROWS / 8], bit = (uint8_t)(1u << (row % 8));
    set->set_count += !(*byte & bit);
    *byte |= bit;
    return WEIR_OK;
}

void weir_row_set_clear(const struct weir_row_set *set, uint64_t first, uint32_t count,
                        uint8_t *keep)
{
    for (uint32_t i = 0; i < count;) {
        uint64_t row = first + i, left = WEIR_ROW_SET_PAGE_ROWS - row % WEIR_ROW_SET_PAGE_ROWS;
        uint32_t here = left < count - i ? (uint32_t)left : count - i;
        if (row >= set->row_count)
            return;
        if (set->pages[row / WEIR_ROW_SET_PAGE_ROWS])
            for (uint32_t j = i; j < i + here; j++)
                if (weir_row_set_has(set, first + j))
                    keep[j / 8] &= (uint8_t) ~(1u << (j % 8));
        i += here;
    }
}

/* ---- deletion vectors ----------------------------------------------------------------------- */

struct cursor {
    const uint8_t *data;
    size_t size, at;
    struct weir_row_set *set;
    struct weir_error *reterr;
};

static weir_status damaged(struct cursor *cursor, const char *what)
{
    return weir_fail(cursor->reterr, WEIR_CORRUPT, "deletion vector of %zu bytes: %s at byte %zu",
                     cursor->size, what, cursor->at);
}

/* size bytes little endian, at most 8 */
static weir_status take(struct cursor *cursor, size_t size, uint64_t *ret_value)
{
    if (cursor->size - cursor->at < size)
        return damaged(cursor, "it ends early");
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | cursor->data[cursor->at + i - 1];
    cursor->at += size;
    *ret_value = value;
    return WEIR_OK;
}

static weir_status add_array(struct cursor *cursor, uint64_t base, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value;
        WEIR_TRY(take(cursor, 2, &value));
        WEIR_TRY(weir_row_set_add(cursor->set, base + value, cursor->reterr));
    }
    return WEIR_OK;
}

static weir_status add_bitmap(struct cursor *cursor, uint64_t base)
{
    if (cursor->size - cursor->at < PAGE_BYTES)
        return damaged(cursor, "it ends early");
    const uint8_t *bits = cursor->data + cursor->at;
    for (uint32_t i = 0; i < WEIR_ROW_SET_PAGE_ROWS; i++)
        if (bits[i / 8] >> (i % 8) & 1)
            WEIR_TRY(weir_row_set_add(cursor->set, base + i, cursor->reterr));
    cursor->at += PAGE_BYTES;
    return WEIR_OK;
}

static weir_status add_runs(struct cursor *cursor, uint64_t base)
{
    uint64_t count;
    WEIR_TRY(take(cursor, 2, &count));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t start, more;
        WEIR_TRY(take(cursor, 2, &start));
        WEIR_TRY(take(cursor, 2, &more));
        if (start + more >= WEIR_ROW_SET_PAGE_ROWS)
            return damaged(cursor, "a run leaves its container");
        for (uint64_t row = start; row <= start + more; row++)
            WEIR_TRY(weir_row_set_add(cursor->set, base + row, cursor->reterr));
    }
    return WEIR_OK;
}

/* One 32-bit bitmap, rows from `base` on. Its containers follow each other, so the table of offsets
 * is stepped over. */
static weir_status add_bitmap32(struct cursor *cursor, uint64_t base)
{
    uint64_t cookie, count, skipped;
    const uint8_t *is_run = NULL;
    WEIR_TRY(take(cursor, 4, &cookie));
    bool runs = (cookie & 0xffff) == COOKIE_RUNS;
    count = (cookie >> 16) + 1;
    if (!runs && cookie != COOKIE_NO_RUNS)
        return damaged(cursor, "no roaring bitmap");
    if (!runs)
        WEIR_TRY(take(cursor, 4, &count));
    if (count > WEIR_ROW_SET_PAGE_ROWS)
        return damaged(cursor, "too many containers");
    size_t flags = runs ? (count + 7) / 8 : 0, headers = count * 4,
           offsets = !runs || count >= OFFSETS_FROM ? count * 4 : 0;
    if (cursor->size - cursor->at < flags + headers + offsets)
        return damaged(cursor, "it ends early");
    is_run = cursor->data + cursor->at;
    struct cursor header = *cursor;
    header.at += flags;
    cursor->at += flags + headers + offsets;
    for (uint64_t i = 0, last = 0; i < count; i++) {
        uint64_t key, cardinality;
        WEIR_TRY(take(&header, 2, &key));
        WEIR_TRY(take(&header, 2, &cardinality));
        if (i > 0 && key <= last)
            return damaged(cursor, "containers out of order");
        last = key;
        skipped = base + key * WEIR_ROW_SET_PAGE_ROWS;
        if (runs && is_run[i / 8] >> (i % 8) & 1)
            WEIR_TRY(add_runs(cursor, skipped));
        else if (cardinality + 1 > ARRAY_MAX)
            WEIR_TRY(add_bitmap(cursor, skipped));
        else
            WEIR_TRY(add_array(cursor, skipped, (uint32_t)cardinality + 1));
    }
    return WEIR_OK;
}

weir_status weir_row_set_add_vector(struct weir_row_set *set, const void *blob, size_t size,
                                    struct weir_error *reterr)
{
    static const uint8_t magic[4] = {0xd1, 0xd3, 0x39, 0x64};
    const uint8_t *bytes = blob;
    struct cursor cursor = {bytes, size, 0, set, reterr};
    if (size < 20)
        return damaged(&cursor, "it is too short");
    uint64_t length = (uint64_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3],
             sum = (uint64_t)bytes[size - 4] << 24 | bytes[size - 3] << 16 | bytes[size - 2] << 8 |
                   bytes[size - 1];
    if (length != size - 8 || memcmp(bytes + 4, magic, 4) != 0)
        return damaged(&cursor, "wrong length or magic");
    if (crc32_z(0, bytes + 4, length) != sum)
        return damaged(&cursor, "wrong checksum");
    cursor = (struct cursor){bytes + 8, size - 12, 0, set, reterr};
    uint64_t count, key, last = 0;
    WEIR_TRY(take(&cursor, 8, &count));
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(take(&cursor, 4, &key));
        if (key > INT32_MAX || (i > 0 && key <= last))
            return damaged(&cursor, "bitmaps out of order");
        last = key;
        WEIR_TRY(add_bitmap32(&cursor, key << 32));
    }
    return cursor.at == cursor.size ? WEIR_OK : damaged(&cursor, "something is left over");
}
