/* Levels, indices and integers to bits. Spec: parquet-format Encodings.md (RLE = 3,
 * DELTA_BINARY_PACKED = 5). */
#include "formats/parquet/parquet_int.h"

#include <string.h>

#define DELTA_BLOCK      128
#define DELTA_MINIBLOCKS 4
#define DELTA_MINIBLOCK  (DELTA_BLOCK / DELTA_MINIBLOCKS)

unsigned parquet_bit_width(uint32_t greatest)
{
    return greatest ? 32 - (unsigned)__builtin_clz(greatest) : 0;
}

static unsigned bit_width64(uint64_t greatest)
{
    return greatest ? 64 - (unsigned)__builtin_clzll(greatest) : 0;
}

static void put_varint(struct weir_buffer *out, uint64_t value)
{
    while (value >= 0x80) {
        out->data[out->size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out->data[out->size++] = (uint8_t)value;
}

static void put_zigzag(struct weir_buffer *out, int64_t value)
{
    put_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* Sets `width` bits at bit `at` of zeroed bytes; nine bytes from at/8 must be writable. */
static inline void put_bits(uint8_t *bytes, size_t at, unsigned width, uint64_t value)
{
    uint8_t *to = bytes + (at >> 3);
    unsigned shift = at & 7;
    uint64_t word;
    memcpy(&word, to, 8);
    word |= value << shift;
    memcpy(to, &word, 8);
    if (shift + width > 64)
        to[8] = (uint8_t)(value >> (64 - shift));
}

static inline __attribute__((always_inline)) uint32_t level_at(const void *values, size_t at,
                                                               bool wide)
{
    return wide ? ((const uint32_t *)values)[at] : ((const uint8_t *)values)[at];
}

/* Eight values of `width` bits make `width` bytes; 16 bytes from `to` must be writable, and zero if
 * width > 16. */
static inline __attribute__((always_inline)) void put_group(uint8_t *to, const void *values,
                                                            size_t from, unsigned width, bool wide)
{
    if (width <= 8) {
        uint64_t word = 0;
        for (unsigned i = 0; i < 8; i++)
            word |= (uint64_t)level_at(values, from + i, wide) << (i * width);
        memcpy(to, &word, 8);
    } else if (width <= 16) {
        unsigned __int128 word = 0;
        for (unsigned i = 0; i < 8; i++)
            word |= (unsigned __int128)level_at(values, from + i, wide) << (i * width);
        memcpy(to, &word, 16);
    } else {
        for (unsigned i = 0; i < 8; i++)
            put_bits(to, (size_t)i * width, width, level_at(values, from + i, wide));
    }
}

/* A literal run: whole groups of eight, the last filled up with zeros. */
static inline __attribute__((always_inline)) weir_status put_literals(const void *values,
                                                                      size_t from, size_t to,
                                                                      unsigned width, bool wide,
                                                                      struct weir_buffer *out,
                                                                      struct weir_error *reterr)
{
    if (from == to)
        return WEIR_OK;
    size_t groups = (to - from + 7) / 8, size = groups * width;
    WEIR_TRY(weir_buffer_reserve(out, size + 32, reterr));
    put_varint(out, groups << 1 | 1);
    uint8_t *bytes = out->data + out->size;
    if (width > 16)
        memset(bytes, 0, size + 16);
    for (; to - from >= 8; from += 8, bytes += width)
        put_group(bytes, values, from, width, wide);
    if (from < to) {
        uint32_t last[8] = {0};
        for (size_t i = from; i < to; i++)
            last[i - from] = level_at(values, i, wide);
        put_group(bytes, last, 0, width, true);
    }
    out->size += size;
    return WEIR_OK;
}

weir_status parquet_rle_constant(uint32_t value, size_t count, unsigned width,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, 16, reterr));
    if (count == 0)
        return WEIR_OK;
    put_varint(out, (uint64_t)count << 1);
    for (unsigned i = 0; i < (width + 7) / 8; i++)
        out->data[out->size++] = (uint8_t)(value >> (8 * i));
    return WEIR_OK;
}

static inline __attribute__((always_inline)) bool group_is_run(const void *values, size_t at,
                                                               bool wide)
{
    if (!wide) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)values + at, 8);
        return word == (word & 0xff) * 0x0101010101010101u;
    }
    const uint32_t *v = (const uint32_t *)values + at;
    return v[0] == v[7] && !((v[0] ^ v[1]) | (v[0] ^ v[2]) | (v[0] ^ v[3]) | (v[0] ^ v[4]) |
                             (v[0] ^ v[5]) | (v[0] ^ v[6]));
}

/* Looks at groups of eight: one value all over becomes a repeat, which then takes whatever follows
 * of it; other groups become literals. A run that begins inside a group costs at most a few bytes
 * more than the shortest form. */
static inline __attribute__((always_inline)) weir_status rle_encode(const void *values,
                                                                    size_t count, unsigned width,
                                                                    bool wide,
                                                                    struct weir_buffer *out,
                                                                    struct weir_error *reterr)
{
    size_t literals = 0, at = 0;
    while (count - at >= 8) {
        if (!group_is_run(values, at, wide)) {
            at += 8;
            continue;
        }
        uint32_t value = level_at(values, at, wide);
        size_t end = at + 8;
        while (count - end >= 8 && level_at(values, end, wide) == value &&
               group_is_run(values, end, wide))
            end += 8;
        while (end < count && level_at(values, end, wide) == value)
            end++;
        WEIR_TRY(put_literals(values, literals, at, width, wide, out, reterr));
        WEIR_TRY(parquet_rle_constant(value, end - at, width, out, reterr));
        at = literals = end;
    }
    return put_literals(values, literals, count, width, wide, out, reterr);
}

weir_status parquet_rle_encode8(const uint8_t *values, size_t count, unsigned width,
                                struct weir_buffer *out, struct weir_error *reterr)
{
    return rle_encode(values, count, width, false, out, reterr);
}

weir_status parquet_rle_encode32(const uint32_t *values, size_t count, unsigned width,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    return rle_encode(values, count, width, true, out, reterr);
}

/* ---- delta
 * -----------------------------------------------------------------------------------------------------
 */

/* One block's deltas, less the least of them, and the width of each miniblock. Arithmetic wraps as
 * the spec asks. */
struct delta_block {
    int64_t least;
    uint64_t deltas[DELTA_BLOCK];
    uint8_t widths[DELTA_MINIBLOCKS];
    unsigned miniblocks; /* that hold values */
};

static inline __attribute__((always_inline)) uint64_t integer_at(const void *values, size_t at,
                                                                 unsigned width_bytes)
{
    return width_bytes == 4 ? (uint64_t)(int64_t)((const int32_t *)values)[at]
                            : ((const uint64_t *)values)[at];
}

static inline __attribute__((always_inline)) void delta_block_make(const void *values, size_t from,
                                                                   size_t count,
                                                                   unsigned width_bytes,
                                                                   struct delta_block *block)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t delta = integer_at(values, from + i, width_bytes) -
                         integer_at(values, from + i - 1, width_bytes);
        int64_t difference = width_bytes == 4 ? (int32_t)(uint32_t)delta : (int64_t)delta;
        block->deltas[i] = (uint64_t)difference;
        least = difference < least ? difference : least;
    }
    block->least = least;
    block->miniblocks = (unsigned)((count + DELTA_MINIBLOCK - 1) / DELTA_MINIBLOCK);
    memset(block->widths, 0, sizeof block->widths);
    for (unsigned m = 0; m < block->miniblocks; m++) {
        uint64_t all = 0;
        size_t end = (m + 1) * (size_t)DELTA_MINIBLOCK < count ? (m + 1) * (size_t)DELTA_MINIBLOCK
                                                               : count;
        for (size_t i = m * (size_t)DELTA_MINIBLOCK; i < end; i++) {
            uint64_t above = block->deltas[i] - (uint64_t)least;
            block->deltas[i] = width_bytes == 4 ? (uint32_t)above : above;
            all |= block->deltas[i];
        }
        block->widths[m] = (uint8_t)bit_width64(all);
    }
}

weir_status parquet_delta_encode(const void *values, size_t count, unsigned width_bytes,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, 64, reterr));
    put_varint(out, DELTA_BLOCK);
    put_varint(out, DELTA_MINIBLOCKS);
    put_varint(out, count);
    put_zigzag(out, count ? (int64_t)integer_at(values, 0, width_bytes) : 0);
    struct delta_block block;
    for (size_t from = 1; from < count; from += DELTA_BLOCK) {
        size_t here = count - from < DELTA_BLOCK ? count - from : DELTA_BLOCK;
        if (width_bytes == 4)
            delta_block_make(values, from, here, 4, &block);
        else
            delta_block_make(values, from, here, 8, &block);
        WEIR_TRY(weir_buffer_reserve(out, 64 + DELTA_BLOCK * 8, reterr));
        put_zigzag(out, block.least);
        memcpy(out->data + out->size, block.widths, DELTA_MINIBLOCKS);
        out->size += DELTA_MINIBLOCKS;
        for (unsigned m = 0; m < block.miniblocks; m++) {
            size_t size = (size_t)block.widths[m] * DELTA_MINIBLOCK / 8,
                   first = m * (size_t)DELTA_MINIBLOCK;
            memset(out->data + out->size, 0, size + 16);
            for (size_t i = first, at = 0; i < first + DELTA_MINIBLOCK && i < here;
                 i++, at += block.widths[m])
                put_bits(out->data + out->size, at, block.widths[m], block.deltas[i]);
            out->size += size;
        }
    }
    return WEIR_OK;
}

uint64_t parquet_delta_size(const void *values, size_t count, unsigned width_bytes)
{
    uint64_t size = 16;
    struct delta_block block;
    for (size_t from = 1; from < count; from += DELTA_BLOCK) {
        size_t here = count - from < DELTA_BLOCK ? count - from : DELTA_BLOCK;
        if (width_bytes == 4)
            delta_block_make(values, from, here, 4, &block);
        else
            delta_block_make(values, from, here, 8, &block);
        size += DELTA_MINIBLOCKS + 1 +
                bit_width64((uint64_t)(block.least < 0 ? ~block.least : block.least)) / 7;
        for (unsigned m = 0; m < block.miniblocks; m++)
            size += (uint64_t)block.widths[m] * DELTA_MINIBLOCK / 8;
    }
    return size;
}
