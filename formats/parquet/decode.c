/* Bits to levels, indices and integers: the inverse of encode.c, for input that may be damaged. */
#include "formats/parquet/reader_int.h"

#include <string.h>

static bool get_varint(const uint8_t *data, size_t size, size_t *at, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < size; shift += 7) {
        uint8_t byte = data[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool get_zigzag(const uint8_t *data, size_t size, size_t *at, int64_t *ret_value)
{
    uint64_t value;
    if (!get_varint(data, size, at, &value))
        return false;
    *ret_value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return true;
}

/* `width` bits at bit `at`; bytes from `size` on read as zero. */
static inline uint64_t get_bits(const uint8_t *data, size_t size, size_t at, unsigned width)
{
    size_t byte = at >> 3;
    unsigned shift = at & 7;
    uint64_t word = 0, mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    if (byte + 8 <= size)
        memcpy(&word, data + byte, 8);
    else if (byte < size)
        memcpy(&word, data + byte, size - byte);
    word >>= shift;
    if (shift + width > 64 && byte + 8 < size)
        word |= (uint64_t)data[byte + 8] << (64 - shift);
    return word & mask;
}

static inline __attribute__((always_inline)) bool rle_decode(const uint8_t *data, size_t size,
                                                             unsigned width, void *values,
                                                             size_t count, bool wide)
{
    size_t at = 0, done = 0;
    while (done < count) {
        uint64_t head;
        if (!get_varint(data, size, &at, &head))
            return false;
        uint64_t run = head >> 1;
        if (head & 1) {
            /* Writers cut the last group short at the page's end; what is missing then is beyond
             * count. */
            uint64_t here = run > (count - done + 7) / 8 ? count - done : run * 8;
            here = here > count - done ? count - done : here;
            if ((here * width + 7) / 8 > size - at)
                return false;
            for (uint64_t i = 0; i < here; i++) {
                uint32_t value = (uint32_t)get_bits(data + at, size - at, i * width, width);
                if (wide)
                    ((uint32_t *)values)[done + i] = value;
                else
                    ((uint8_t *)values)[done + i] = (uint8_t)value;
            }
            uint64_t bytes = run > size ? size : run * width;
            at += bytes > size - at ? size - at : (size_t)bytes;
            done += here;
        } else {
            uint32_t value = 0;
            if ((width + 7) / 8 > size - at)
                return false;
            for (unsigned i = 0; i < (width + 7) / 8; i++)
                value |= (uint32_t)data[at++] << (8 * i);
            run = run > count - done ? count - done : run;
            if (!wide)
                memset((uint8_t *)values + done, (uint8_t)value, run);
            for (uint64_t i = 0; wide && i < run; i++)
                ((uint32_t *)values)[done + i] = value;
            done += run;
        }
    }
    return true;
}

bool parquet_rle_decode8(const uint8_t *data, size_t size, unsigned width, uint8_t *values,
                         size_t count)
{
    return width <= 8 && rle_decode(data, size, width, values, count, false);
}

bool parquet_rle_decode32(const uint8_t *data, size_t size, unsigned width, uint32_t *values,
                          size_t count)
{
    return width <= 32 && rle_decode(data, size, width, values, count, true);
}

bool parquet_delta_decode(const uint8_t *data, size_t size, int64_t *values, size_t count,
                          size_t *ret_used)
{
    uint64_t block, miniblocks, total;
    int64_t first;
    size_t at = 0;
    if (!get_varint(data, size, &at, &block) || !get_varint(data, size, &at, &miniblocks) ||
        !get_varint(data, size, &at, &total) || !get_zigzag(data, size, &at, &first))
        return false;
    if (block == 0 || block > (1u << 20) || miniblocks == 0 || miniblocks > 1024 ||
        block % miniblocks || total != count)
        return false;
    size_t each = (size_t)(block / miniblocks), done = 0;
    if (each % 8)
        return false;
    uint64_t value = (uint64_t)first;
    if (count)
        values[done++] = first;
    while (done < count) {
        int64_t least;
        if (!get_zigzag(data, size, &at, &least) || miniblocks > size - at)
            return false;
        const uint8_t *widths = data + at;
        at += (size_t)miniblocks;
        for (uint64_t m = 0; m < miniblocks && done < count; m++) {
            unsigned width = widths[m];
            size_t bytes = each * width / 8, here = count - done < each ? count - done : each;
            /* A last miniblock may be cut off behind its last value. */
            if (width > 64 || (here * width + 7) / 8 > size - at)
                return false;
            for (size_t i = 0; i < here; i++) {
                value += (uint64_t)least + get_bits(data + at, size - at, i * width, width);
                values[done++] = (int64_t)value;
            }
            at += bytes > size - at ? size - at : bytes;
        }
    }
    *ret_used = at;
    return true;
}
