/* Stored values of fixed width to Weir's: one loop a pair, nothing decided inside. */
#include "formats/parquet/scan_int.h"

#include "engine/base/text.h"

#include <string.h>

#define MICROS_A_DAY    INT64_C(86400000000)
#define INT96_EPOCH_DAY 2440588 /* Julian day of 1970-01-01 */

/* Loops over unaligned input: memcpy of a constant size is one load. */
#define EACH(stored_type, weir_type_, expression)                                                  \
    for (size_t i = 0; i < count; i++) {                                                           \
        stored_type from;                                                                          \
        memcpy(&from, stored + i * sizeof from, sizeof from);                                      \
        weir_type_ value = (expression);                                                           \
        memcpy(to + i * sizeof value, &value, sizeof value);                                       \
    }

static int64_t floor_thousand(int64_t nanos)
{
    return nanos / 1000 - (nanos % 1000 < 0);
}

/* IEEE 754 binary16: exact in float. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f,
             fraction = half & 0x3ff, bits;
    if (exponent == 0) { /* zero and subnormals: a multiple of 2^-24 */
        float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    bits = exponent == 31 ? sign | 0x7f800000u | fraction << 13
                          : sign | (exponent + 112) << 23 | fraction << 13;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Big endian two's complement of any width; false if the value needs more than 16 bytes. */
static bool decimal_from_bytes(const uint8_t *data, size_t size, weir_int128 *ret_value)
{
    if (size == 0) {
        *ret_value = 0;
        return true;
    }
    uint8_t sign = data[0] & 0x80 ? 0xff : 0;
    for (; size > 16; size--, data++)
        if (data[0] != sign || ((data[1] ^ sign) & 0x80))
            return false;
    unsigned __int128 value = sign ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | data[i];
    *ret_value = (weir_int128)value;
    return true;
}

static inline uint64_t load_big_endian(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, 8);
    return __builtin_bswap64(word);
}

/* Up to 16 bytes come by one or two loads; the last values of narrow ones byte by byte, because a
 * load of eight would pass the end. */
static bool convert_fixed_decimal(const uint8_t *stored, uint32_t width, uint8_t *to, size_t count)
{
    size_t i = 0;
    if (width < 8) {
        unsigned shift = 64 - 8 * width;
        for (; (i * width) + 8 <= count * width; i++) {
            weir_int128 value = (int64_t)load_big_endian(stored + i * width) >> shift;
            memcpy(to + i * 16, &value, 16);
        }
    } else if (width <= 16) {
        unsigned shift = 8 * (16 - width);
        for (; i < count; i++) {
            int64_t high = (int64_t)load_big_endian(stored + i * width);
            uint64_t low = load_big_endian(stored + i * width + width - 8);
            high = shift == 64 ? (int64_t)low >> 63 : high >> shift;
            weir_int128 value = (weir_int128)((unsigned __int128)(uint64_t)high << 64 | low);
            memcpy(to + i * 16, &value, 16);
        }
    }
    for (; i < count; i++) {
        weir_int128 value;
        if (!decimal_from_bytes(stored + i * width, width, &value))
            return false;
        memcpy(to + i * 16, &value, 16);
    }
    return true;
}

bool parquet_decimal_from_bytes(struct weir_bytes bytes, weir_int128 *ret_value)
{
    return decimal_from_bytes(bytes.data, bytes.size, ret_value);
}

/* Nanoseconds of the day, then the Julian day. */
static bool convert_int96(const uint8_t *stored, uint8_t *to, size_t count)
{
    bool fits = true;
    for (size_t i = 0; i < count; i++, stored += 12) {
        int64_t nanos, micros = 0;
        int32_t day;
        memcpy(&nanos, stored, 8);
        memcpy(&day, stored + 8, 4);
        fits &= !__builtin_mul_overflow((int64_t)day - INT96_EPOCH_DAY, MICROS_A_DAY, &micros);
        fits &= !__builtin_add_overflow(micros, floor_thousand(nanos), &micros);
        memcpy(to + i * 8, &micros, 8);
    }
    return fits;
}

static bool convert_scaled(const uint8_t *stored, bool wide, int64_t factor, uint8_t *to,
                           size_t count)
{
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        int64_t value = 0;
        int32_t small;
        if (wide) {
            memcpy(&value, stored + i * 8, 8);
        } else {
            memcpy(&small, stored + i * 4, 4);
            value = small;
        }
        fits &= !__builtin_mul_overflow(value, factor, &value);
        memcpy(to + i * 8, &value, 8);
    }
    return fits;
}

bool parquet_convert(enum parquet_conversion conversion, const uint8_t *stored,
                     uint32_t stored_width, uint8_t *to, size_t count)
{
    switch (conversion) {
    case CONVERT_NONE:
        if (count)
            memcpy(to, stored, count * stored_width);
        return true;
    case CONVERT_INT_LONG: EACH(int32_t, int64_t, from) return true;
    case CONVERT_UINT_LONG: EACH(uint32_t, int64_t, from) return true;
    case CONVERT_INT_DECIMAL: EACH(int32_t, weir_int128, from) return true;
    case CONVERT_LONG_DECIMAL: EACH(int64_t, weir_int128, from) return true;
    case CONVERT_ULONG_DECIMAL: EACH(uint64_t, weir_int128, from) return true;
    case CONVERT_FLOAT_DOUBLE: EACH(float, double, (double)from) return true;
    case CONVERT_HALF_FLOAT: EACH(uint16_t, float, half_to_float(from)) return true;
    case CONVERT_HALF_DOUBLE: EACH(uint16_t, double, (double)half_to_float(from)) return true;
    case CONVERT_NANOS: EACH(int64_t, int64_t, floor_thousand(from)) return true;
    case CONVERT_FIXED_DECIMAL: return convert_fixed_decimal(stored, stored_width, to, count);
    case CONVERT_INT96: return convert_int96(stored, to, count);
    case CONVERT_INT_MILLIS: return convert_scaled(stored, false, 1000, to, count);
    case CONVERT_LONG_MILLIS: return convert_scaled(stored, true, 1000, to, count);
    case CONVERT_DAYS_MICROS: return convert_scaled(stored, false, MICROS_A_DAY, to, count);
    default: return false;
    }
}
