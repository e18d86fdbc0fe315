/* The hybrid of runs and packed bits, and deltas: written for whole groups of eight values, with
 * careful edges. */
#include "formats/parquet/runs_int.h"

#include <string.h>

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* `width` bits at bit `at`; bytes from `end` on read as zero. */
static inline uint64_t get_bits(const uint8_t *data, const uint8_t *end, uint64_t at,
                                unsigned width)
{
    const uint8_t *from = data + (at >> 3);
    unsigned shift = at & 7;
    uint64_t word = 0, mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    if (from + 8 <= end)
        memcpy(&word, from, 8);
    else if (from < end)
        memcpy(&word, from, (size_t)(end - from));
    word >>= shift;
    if (shift + width > 64 && from + 8 < end)
        word |= (uint64_t)from[8] << (64 - shift);
    return word & mask;
}

/* ---- packed values
 * --------------------------------------------------------------------------------------- */

/* Groups of eight: `width` bytes each, of which the last load reads up to 8 behind its start. */
static inline __attribute__((always_inline)) void unpack_groups(const uint8_t *data,
                                                                uint32_t *values, size_t groups,
                                                                unsigned width)
{
    const uint64_t mask = ((uint64_t)1 << width) - 1;
    for (size_t g = 0; g < groups; g++, data += width, values += 8) {
        if (width <= 8) {
            uint64_t word;
            memcpy(&word, data, 8);
            for (unsigned i = 0; i < 8; i++)
                values[i] = (uint32_t)(word >> (i * width) & mask);
        } else {
            for (unsigned i = 0; i < 8; i++) {
                uint64_t word;
                memcpy(&word, data + i * width / 8, 8);
                values[i] = (uint32_t)(word >> (i * width % 8) & mask);
            }
        }
    }
}

static void unpack_aligned(const uint8_t *data, uint32_t *values, size_t groups, unsigned width)
{
    switch (width) {
#define UNPACK(w)                                                                                  \
    case w: unpack_groups(data, values, groups, w); return;
        UNPACK(1)
        UNPACK(2)
        UNPACK(3)
        UNPACK(4)
        UNPACK(5)
        UNPACK(6)
        UNPACK(7) UNPACK(8) UNPACK(9) UNPACK(10) UNPACK(11) UNPACK(12) UNPACK(13) UNPACK(14)
            UNPACK(15) UNPACK(16) UNPACK(17) UNPACK(18) UNPACK(19) UNPACK(20) UNPACK(21) UNPACK(22)
                UNPACK(23) UNPACK(24) UNPACK(25) UNPACK(26) UNPACK(27) UNPACK(28) UNPACK(29)
                    UNPACK(30) UNPACK(31) UNPACK(32)
#undef UNPACK
                        default : memset(values, 0, groups * 8 * sizeof *values);
    }
}

void parquet_unpack32(const uint8_t *packed, const uint8_t *end, uint64_t at, unsigned width,
                      uint32_t *values, size_t count)
{
    if (width == 0) {
        memset(values, 0, count * sizeof *values);
        return;
    }
    while (count && at % 8) {
        *values++ = (uint32_t)get_bits(packed, end, at++ * width, width);
        count--;
    }
    const uint8_t *data = packed + at / 8 * width;
    size_t groups = count / 8, safe = 0;
    if (end - data > 8) /* a group's loads end at most 7 bytes behind it */
        safe = ((size_t)(end - data) - 8) / width;
    groups = groups < safe ? groups : safe;
    unpack_aligned(data, values, groups, width);
    for (size_t i = groups * 8; i < count; i++)
        values[i] = (uint32_t)get_bits(packed, end, (at + i) * width, width);
}

/* ---- runs
 * ------------------------------------------------------------------------------------------------
 */

void parquet_runs_open(struct parquet_runs *runs, const uint8_t *data, size_t size, unsigned width)
{
    *runs = (struct parquet_runs){.at = data, .end = data + size, .width = width};
}

void parquet_runs_packed(struct parquet_runs *runs, const uint8_t *data, size_t size,
                         unsigned width, uint64_t count)
{
    uint64_t most = width ? (uint64_t)size * 8 / width : count;
    *runs = (struct parquet_runs){.at = data + size,
                                  .end = data + size,
                                  .width = width,
                                  .packed = data,
                                  .left = count < most ? count : most};
}

static bool next_run(struct parquet_runs *runs)
{
    uint64_t head;
    do {
        if (!get_varint(&runs->at, runs->end, &head))
            return false;
        size_t rest = (size_t)(runs->end - runs->at);
        runs->left = head >> 1;
        if (head & 1) {
            /* Writers cut the last group short at the page's end: what is missing was never
             * meant. */
            uint64_t groups = head >> 1;
            runs->packed = runs->at;
            runs->packed_at = 0;
            if (runs->width == 0) {
                runs->left = groups > UINT64_MAX / 8 ? UINT64_MAX : groups * 8;
            } else if (groups > rest || groups * runs->width > rest) {
                runs->left = (uint64_t)rest * 8 / runs->width;
                runs->at = runs->end;
            } else {
                runs->left = groups * 8;
                runs->at += groups * runs->width;
            }
        } else {
            unsigned size = (runs->width + 7) / 8;
            if (size > rest)
                return false;
            runs->packed = NULL;
            runs->value = 0;
            for (unsigned i = 0; i < size; i++)
                runs->value |= (uint32_t)*runs->at++ << (8 * i);
        }
    } while (runs->left == 0);
    return true;
}

/* How much of `count` the current run gives, after having come to a run that has something. */
static inline size_t take(struct parquet_runs *runs, size_t count)
{
    if (runs->left == 0 && !next_run(runs))
        return 0;
    size_t here = runs->left < count ? (size_t)runs->left : count;
    runs->left -= here;
    return here;
}

bool parquet_runs_read32(struct parquet_runs *runs, uint32_t *values, size_t count)
{
    while (count) {
        size_t here = take(runs, count);
        if (here == 0)
            return false;
        if (runs->packed) {
            parquet_unpack32(runs->packed, runs->end, runs->packed_at, runs->width, values, here);
            runs->packed_at += here;
        } else {
            for (size_t i = 0; i < here; i++)
                values[i] = runs->value;
        }
        values += here;
        count -= here;
    }
    return true;
}

bool parquet_runs_read8(struct parquet_runs *runs, uint8_t *values, size_t count)
{
    uint32_t wide[256];
    while (count) {
        size_t here = take(runs, count);
        if (here == 0)
            return false;
        if (!runs->packed)
            memset(values, (int)(runs->value > 255 ? 255 : runs->value), here);
        for (size_t done = 0; runs->packed && done < here;) {
            size_t piece = here - done < 256 ? here - done : 256;
            parquet_unpack32(runs->packed, runs->end, runs->packed_at, runs->width, wide, piece);
            for (size_t i = 0; i < piece; i++)
                values[done + i] = (uint8_t)wide[i];
            runs->packed_at += piece;
            done += piece;
        }
        values += here;
        count -= here;
    }
    return true;
}

void parquet_bits_fill(uint8_t *to, size_t at, size_t count)
{
    for (; count && at % 8; count--, at++)
        to[at / 8] |= (uint8_t)(1u << (at % 8));
    memset(to + at / 8, 0xff, count / 8);
    if (count % 8)
        to[(at + count) / 8] |= (uint8_t)((1u << (count % 8)) - 1);
}

size_t parquet_bits_copy(uint8_t *to, size_t to_at, const uint8_t *from, const uint8_t *end,
                         size_t from_at, size_t count)
{
    size_t ones = 0;
    while (count) {
        unsigned here = count < 56 ? (unsigned)count : 56; /* 8 bytes hold as many at any shift */
        uint64_t word = get_bits(from, end, from_at, here), old;
        ones += (size_t)__builtin_popcountll(word);
        memcpy(&old, to + to_at / 8, 8);
        old |= word << (to_at % 8);
        memcpy(to + to_at / 8, &old, 8);
        to_at += here;
        from_at += here;
        count -= here;
    }
    return ones;
}

bool parquet_runs_bits(struct parquet_runs *runs, uint8_t *bits, size_t at, size_t count,
                       size_t *ret_ones)
{
    size_t ones = 0;
    while (count) {
        size_t here = take(runs, count);
        if (here == 0)
            return false;
        if (runs->packed) {
            ones += parquet_bits_copy(bits, at, runs->packed, runs->end, runs->packed_at, here);
            runs->packed_at += here;
        } else if (runs->value) {
            parquet_bits_fill(bits, at, here);
            ones += here;
        }
        at += here;
        count -= here;
    }
    *ret_ones = ones;
    return true;
}

bool parquet_runs_same(struct parquet_runs *runs, uint32_t value, size_t count)
{
    if (runs->left == 0 && !next_run(runs))
        return false;
    if (runs->packed || runs->value != value || runs->left < count)
        return false;
    runs->left -= count;
    return true;
}

bool parquet_runs_skip(struct parquet_runs *runs, size_t count, uint32_t value, size_t *ret_matches)
{
    uint32_t wide[256];
    size_t matches = 0;
    while (count) {
        size_t here = take(runs, count);
        if (here == 0)
            return false;
        if (!runs->packed)
            matches += runs->value == value ? here : 0;
        for (size_t done = 0; ret_matches && runs->packed && done < here;) {
            size_t piece = here - done < 256 ? here - done : 256;
            parquet_unpack32(runs->packed, runs->end, runs->packed_at + done, runs->width, wide,
                             piece);
            for (size_t i = 0; i < piece; i++)
                matches += wide[i] == value;
            done += piece;
        }
        runs->packed_at += here;
        count -= here;
    }
    if (ret_matches)
        *ret_matches = matches;
    return true;
}

/* ---- deltas
 * ---------------------------------------------------------------------------------------------- */

struct delta_head {
    uint64_t each, miniblocks, total;
    uint64_t first;
};

static uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

static bool delta_head(const uint8_t **at, const uint8_t *end, struct delta_head *head)
{
    uint64_t block;
    if (!get_varint(at, end, &block) || !get_varint(at, end, &head->miniblocks) ||
        !get_varint(at, end, &head->total) || !get_varint(at, end, &head->first))
        return false;
    if (block == 0 || block > (1u << 20) || head->miniblocks == 0 || head->miniblocks > 1024 ||
        block % head->miniblocks)
        return false;
    head->each = block / head->miniblocks;
    head->first = unzigzag(head->first);
    return head->each % 8 == 0;
}

bool parquet_delta_count(const uint8_t *data, size_t size, size_t most, size_t *ret_count)
{
    struct delta_head head;
    if (!delta_head(&data, data + size, &head) || head.total > most)
        return false;
    *ret_count = (size_t)head.total;
    return true;
}

/* One miniblock of `here` values, all before `end`. */
static uint64_t delta_block(const uint8_t *at, const uint8_t *end, unsigned width, uint64_t least,
                            uint64_t value, void *values, bool wide, size_t here)
{
    uint32_t small[32];
    for (size_t done = 0; done < here;) {
        size_t piece = here - done < 32 ? here - done : 32;
        if (width <= 32)
            parquet_unpack32(at, end, done, width, small, piece);
        for (size_t i = 0; i < piece; i++) {
            uint64_t delta = width <= 32 ? small[i]
                                         : get_bits(at, end, (uint64_t)(done + i) * width, width);
            value += least + delta;
            if (wide)
                ((uint64_t *)values)[done + i] = value;
            else
                ((uint32_t *)values)[done + i] = (uint32_t)value;
        }
        done += piece;
    }
    return value;
}

bool parquet_delta_read(const uint8_t *data, size_t size, void *values, bool wide, size_t count,
                        size_t *ret_used)
{
    struct delta_head head;
    const uint8_t *at = data, *end = data + size;
    size_t done = 0, width_bytes = wide ? 8 : 4;
    if (!delta_head(&at, end, &head) || head.total != count)
        return false;
    uint64_t value = head.first;
    if (count) {
        memcpy(values, &value, width_bytes);
        done = 1;
    }
    while (done < count) {
        uint64_t least;
        if (!get_varint(&at, end, &least) || head.miniblocks > (size_t)(end - at))
            return false;
        least = unzigzag(least);
        const uint8_t *widths = at;
        at += head.miniblocks;
        for (uint64_t m = 0; m < head.miniblocks && done < count; m++) {
            unsigned width = widths[m];
            size_t bytes = (size_t)head.each * width / 8, rest = (size_t)(end - at),
                   here = count - done < head.each ? count - done : (size_t)head.each;
            /* A last miniblock may be cut off behind its last value. */
            if (width > 64 || (here * width + 7) / 8 > rest)
                return false;
            value = delta_block(at, end, width, least, value,
                                (uint8_t *)values + done * width_bytes, wide, here);
            done += here;
            at += bytes < rest ? bytes : rest;
        }
    }
    *ret_used = (size_t)(at - data);
    return true;
}
