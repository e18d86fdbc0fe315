/* Numbers from text and back: exact integers and decimals, correctly rounded doubles, printing.
 *
 * Doubles take the first way that is certain to be right: one exact operation of the processor
 * (Clinger), the 128-bit product of Eisel and Lemire, or strtod on a short normalised text. */
#include "engine/base/text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POWER_FIRST (-342) /* below, every 19-digit mantissa rounds to zero */
#define POWER_LAST  308    /* above, every mantissa is infinite */
#define EXPONENT_CAP                                                                               \
    (INT64_C(1) << 40) /* larger than any text is long, far from overflow in sums */
#define HARD_DIGITS                                                                                \
    800 /* 767 digits decide every double; what follows only says "a little more"                  \
         */

struct power {
    uint64_t high, low;
};

static const struct power powers[] = {
#include "engine/base/text_powers.h"
};

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* An RFC 8259 number taken apart: sign, the digits before and behind the point, exponent. The value
 * is (whole digits)(fraction digits) * 10^(exponent - fraction_size). */
struct number {
    bool negative;
    const char *whole, *fraction;
    size_t whole_size, fraction_size;
    int64_t exponent;
    /* Without leading and trailing zeros: digits [first, last) of whole and fraction together; both
     * 0 for zero. */
    size_t first, last;
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline char number_digit(const struct number *number, size_t at)
{
    return at < number->whole_size ? number->whole[at] : number->fraction[at - number->whole_size];
}

static size_t digits_end(const char *text, size_t size, size_t at)
{
    while (at < size && is_digit(text[at]))
        at++;
    return at;
}

static bool number_exponent(const char *text, size_t size, size_t at, struct number *number)
{
    bool negative = false;
    int64_t exponent = 0;

    if (at < size && (text[at] == '+' || text[at] == '-'))
        negative = text[at++] == '-';
    if (at == size || digits_end(text, size, at) != size)
        return false;
    for (; at < size; at++)
        if (exponent < EXPONENT_CAP)
            exponent = exponent * 10 + (text[at] - '0');
    if (exponent > EXPONENT_CAP)
        exponent = EXPONENT_CAP;
    number->exponent = negative ? -exponent : exponent;
    return true;
}

static void number_trim(struct number *number)
{
    size_t first = 0, last = number->whole_size + number->fraction_size;

    while (first < last && number_digit(number, first) == '0')
        first++;
    while (last > first && number_digit(number, last - 1) == '0')
        last--;
    if (first == last)
        first = last = 0;
    number->first = first;
    number->last = last;
}

/* RFC 8259 section 6. */
static bool number_read(const char *text, size_t size, struct number *ret_number)
{
    struct number number = {0};
    size_t at = 0, end;

    if (at < size && text[at] == '-') {
        number.negative = true;
        at++;
    }
    end = digits_end(text, size, at);
    if (end == at || (text[at] == '0' && end - at > 1))
        return false;
    number.whole = text + at;
    number.whole_size = end - at;
    number.fraction = text + end;
    at = end;
    if (at < size && text[at] == '.') {
        at++;
        end = digits_end(text, size, at);
        if (end == at)
            return false;
        number.fraction = text + at;
        number.fraction_size = end - at;
        at = end;
    }
    if (at < size) {
        if ((text[at] | 0x20) != 'e' || !number_exponent(text, size, at + 1, &number))
            return false;
    }
    number_trim(&number);
    *ret_number = number;
    return true;
}

/* The power of ten behind the last significant digit: value = digits * 10^this. */
static int64_t number_scale(const struct number *number)
{
    return number->exponent + (int64_t)number->whole_size - (int64_t)number->last;
}

bool weir_text_int64(const char *text, size_t size, int64_t *ret_value)
{
    bool negative = size > 0 && text[0] == '-';
    size_t at = negative;
    uint64_t value = 0;

    if (at == size || digits_end(text, size, at) != size)
        return false;
    for (; at < size; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[at] - '0'), &value))
            return false;
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool weir_text_exact_int64(const char *text, size_t size, int64_t *ret_value)
{
    weir_int128 value;

    if (!weir_text_decimal(text, size, 19, 0, &value) || value > INT64_MAX || value < INT64_MIN)
        return false;
    *ret_value = (int64_t)value;
    return true;
}

bool weir_text_decimal(const char *text, size_t size, int precision, int scale,
                       weir_int128 *ret_unscaled)
{
    struct number number;
    int64_t zeros;
    weir_int128 value = 0;

    if (!number_read(text, size, &number))
        return false;
    if (number.first == number.last) {
        *ret_unscaled = 0;
        return true;
    }
    zeros = number_scale(&number) + scale;
    if (zeros < 0 || (int64_t)(number.last - number.first) + zeros > precision || precision > 38)
        return false;
    for (size_t i = number.first; i < number.last; i++)
        value = value * 10 + (number_digit(&number, i) - '0');
    while (zeros-- > 0)
        value *= 10;
    *ret_unscaled = number.negative ? -value : value;
    return true;
}

static double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* mantissa * 10^power correctly rounded, by one or two 64x64 products; false when they do not
 * decide. */
static bool eisel_lemire(uint64_t mantissa, int64_t power, uint64_t *ret_bits)
{
    struct power five;
    unsigned __int128 product;
    uint64_t high, low, rounded;
    int lead, upper, exponent;

    if (mantissa == 0 || power < POWER_FIRST) {
        *ret_bits = 0;
        return true;
    }
    if (power > POWER_LAST) {
        *ret_bits = UINT64_C(0x7FF) << 52;
        return true;
    }
    lead = __builtin_clzll(mantissa);
    mantissa <<= lead;
    five = powers[power - POWER_FIRST];
    product = (unsigned __int128)mantissa * five.high;
    high = (uint64_t)(product >> 64);
    low = (uint64_t)product;
    if ((high & 0x1FF) ==
        0x1FF) { /* the low half of the power could carry into the bits that count */
        uint64_t more = (uint64_t)(((unsigned __int128)mantissa * five.low) >> 64);
        low += more;
        high += low < more;
        if (low == UINT64_MAX && (power < -27 || power > 55))
            return false;
    }
    upper = (int)(high >> 63);
    rounded = high >> (upper + 9);
    exponent = (int)((217706 * power) >> 16) + 63 + upper - lead +
               1023;     /* 217706/65536 = log2(10) */
    if (exponent <= 0) { /* subnormal */
        if (exponent <= -63) {
            *ret_bits = 0;
            return true;
        }
        rounded >>= -exponent + 1;
        *ret_bits = (rounded + (rounded & 1)) >>
                    1; /* may carry into the exponent: the smallest normal */
        return true;
    }
    /* Exactly between two doubles: only for small powers, and then to even. */
    if (low <= 1 && power >= -4 && power <= 23 && (rounded & 3) == 1 &&
        rounded << (upper + 9) == high)
        rounded &= ~UINT64_C(1);
    rounded = (rounded + (rounded & 1)) >> 1;
    if (rounded >= UINT64_C(1) << 53) {
        rounded = UINT64_C(1) << 52;
        exponent++;
    }
    if (exponent >= 0x7FF) {
        *ret_bits = UINT64_C(0x7FF) << 52;
        return true;
    }
    *ret_bits = (rounded & ~(UINT64_C(1) << 52)) | (uint64_t)exponent << 52;
    return true;
}

/* The same value in at most HARD_DIGITS digits, without a point, so that no locale matters to
 * strtod. */
static void number_normalise(const struct number *number, char out[HARD_DIGITS + 32])
{
    size_t count = number->last - number->first;
    int64_t scale = number_scale(number);
    size_t size = 0;

    if (count > HARD_DIGITS) {
        scale += (int64_t)(count - HARD_DIGITS) - 1;
        count = HARD_DIGITS;
    }
    for (size_t i = 0; i < count; i++)
        out[size++] = number_digit(number, number->first + i);
    if (count < number->last - number->first)
        out[size++] = '1'; /* something not zero follows */
    if (scale > 100000)
        scale = 100000;
    if (scale < -100000)
        scale = -100000;
    snprintf(out + size, 32, "e%d", (int)scale);
}

static double number_double(const struct number *number)
{
    size_t count = number->last - number->first;
    int64_t power = number_scale(number);
    uint64_t mantissa = 0, bits, bits_above;
    char text[HARD_DIGITS + 32];

    for (size_t i = 0; i < count && i < 19; i++)
        mantissa = mantissa * 10 + (uint64_t)(number_digit(number, number->first + i) - '0');
    if (count <= 19) {
        if (mantissa <= UINT64_C(1) << 53 && power >= -22 && power <= 22) {
            double value = (double)mantissa;
            return power < 0 ? value / exact_powers[-power] : value * exact_powers[power];
        }
        if (eisel_lemire(mantissa, power, &bits))
            return double_from_bits(bits);
    } else {
        power += (int64_t)(count - 19);
        /* The digits cut off lie between mantissa and mantissa + 1: if both round alike, so does
         * the value. */
        if (eisel_lemire(mantissa, power, &bits) &&
            eisel_lemire(mantissa + 1, power, &bits_above) && bits == bits_above)
            return double_from_bits(bits);
    }
    number_normalise(number, text);
    return strtod(text, NULL);
}

bool weir_text_double(const char *text, size_t size, double *ret_value)
{
    struct number number;
    double value;

    if (!number_read(text, size, &number))
        return false;
    value = number_double(&number);
    if (isinf(value))
        return false;
    *ret_value = number.negative ? -value : value;
    return true;
}

bool weir_text_float(const char *text, size_t size, float *ret_value)
{
    struct number number;
    uint64_t bits;
    double wide;
    float value;

    if (!number_read(text, size, &number))
        return false;
    wide = number_double(&number);
    memcpy(&bits, &wide, sizeof bits);
    value = wide > (double)FLT_MAX * 2 ? HUGE_VALF : (float)wide;
    /* Rounding twice is wrong only where the double lies exactly between two floats (or they are
     * subnormal). */
    if ((bits & 0x1FFFFFFF) == 0x10000000 || wide < 2 * (double)FLT_MIN) {
        char normalised[HARD_DIGITS + 32];
        number_normalise(&number, normalised);
        value = number.first == number.last ? 0.0f : strtof(normalised, NULL);
    }
    if (isinf(value))
        return false;
    *ret_value = number.negative ? -value : value;
    return true;
}

/* ---- printing -------------------------------------------------------------------------------- */

static size_t print_uint128(char *out, unsigned __int128 value)
{
    char digits[40];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

size_t weir_print_int64(char *out, int64_t value)
{
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char digits[20];
    size_t count = 0, size = 0;

    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        out[size++] = '-';
    while (count > 0)
        out[size++] = digits[--count];
    out[size] = 0;
    return size;
}

/* Digits and decimal exponent of d.ddd e exponent, from "%.*e"; the point of any locale is skipped.
 */
static size_t double_digits(double value, int precision, char digits[20], int *ret_exponent)
{
    char text[48];
    size_t count = 0;
    const char *at = text;

    snprintf(text, sizeof text, "%.*e", precision - 1, value);
    for (; *at && *at != 'e'; at++)
        if (is_digit(*at) && count < 19)
            digits[count++] = *at;
    *ret_exponent = *at == 'e' ? atoi(at + 1) : 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* Plain notation for exponents that people write out, d.dde-7 for the rest. */
static size_t place_point(char *out, const char *digits, size_t count, int exponent)
{
    size_t size = 0;

    if (exponent < -5 || exponent > 16) {
        out[size++] = digits[0];
        if (count > 1) {
            out[size++] = '.';
            memcpy(out + size, digits + 1, count - 1);
            size += count - 1;
        }
        out[size++] = 'e';
        return size + weir_print_int64(out + size, exponent);
    }
    if (exponent < 0) {
        out[size++] = '0';
        out[size++] = '.';
        for (int i = -1; i > exponent; i--)
            out[size++] = '0';
        memcpy(out + size, digits, count);
        return size + count;
    }
    for (size_t i = 0; i < count || i <= (size_t)exponent; i++) {
        if (i == (size_t)exponent + 1)
            out[size++] = '.';
        out[size++] = i < count ? digits[i] : '0';
    }
    return size;
}

size_t weir_print_double(char *out, double value)
{
    size_t size = 0;

    if (isnan(value)) {
        memcpy(out, "nan", 4);
        return 3;
    }
    if (signbit(value)) {
        out[size++] = '-';
        value = -value;
    }
    if (isinf(value)) {
        memcpy(out + size, "inf", 4);
        return size + 3;
    }
    for (int precision = 15; precision <= 17; precision++) {
        char digits[20];
        int exponent;
        double back;
        size_t count = double_digits(value, precision, digits, &exponent);
        size_t end = size + place_point(out + size, digits, count, exponent);
        out[end] = 0;
        if (precision == 17 || (weir_text_double(out + size, end - size, &back) && back == value))
            return end;
    }
    return size;
}

size_t weir_print_float(char *out, float value)
{
    size_t size = 0;
    if (isnan(value) || isinf(value))
        return weir_print_double(out, (double)value);
    if (signbit(value)) {
        out[size++] = '-';
        value = -value;
    }
    for (int precision = 6;; precision++) {
        char digits[20];
        int exponent;
        float back;
        size_t count = double_digits((double)value, precision, digits, &exponent);
        size_t end = size + place_point(out + size, digits, count, exponent);
        out[end] = 0;
        if (precision == 9 || (weir_text_float(out + size, end - size, &back) && back == value))
            return end;
    }
}

size_t weir_print_decimal(char *out, weir_int128 unscaled, int scale)
{
    unsigned __int128 left = unscaled < 0 ? 0 - (unsigned __int128)unscaled
                                          : (unsigned __int128)unscaled;
    char digits[40];
    size_t count = print_uint128(digits, left), size = 0, point = 0;

    if (unscaled < 0)
        out[size++] = '-';
    if (count <= (size_t)scale) {
        out[size++] = '0';
        if (scale > 0)
            out[size++] = '.';
        for (size_t i = count; i < (size_t)scale; i++)
            out[size++] = '0';
    } else {
        point = count - (size_t)scale;
        memcpy(out + size, digits, point);
        size += point;
        if (scale > 0)
            out[size++] = '.';
    }
    memcpy(out + size, digits + point, count - point);
    size += count - point;
    out[size] = 0;
    return size;
}

size_t weir_print_size(char *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t tenths;

    while (unit < 6 && bytes >> (10 * unit) >= 1024)
        unit++;
    tenths = (uint64_t)(((unsigned __int128)bytes * 10 + (((uint64_t)1 << (10 * unit)) >> 1)) >>
                        (10 * unit));
    if (unit == 0 || tenths % 10 == 0)
        return (size_t)snprintf(out, 32, "%llu %s", (unsigned long long)(tenths / 10), units[unit]);
    return (size_t)snprintf(out, 32, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                            (unsigned long long)(tenths % 10), units[unit]);
}
