/* UUIDs, sizes, hex, base64, UTF-8 and the distance of names. */
#include "engine/base/text.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool weir_text_uuid(const char *text, size_t size, uint8_t ret_bytes[16])
{
    uint8_t bytes[16];
    size_t at = 0;

    if (size != 36)
        return false;
    for (size_t i = 0; i < 16; i++) {
        int high, low;
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
            return false;
        high = hex_value(text[at]);
        low = hex_value(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    memcpy(ret_bytes, bytes, 16);
    return true;
}

size_t weir_print_uuid(char *out, const uint8_t bytes[16])
{
    size_t size = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[size++] = '-';
        out[size++] = hex_digits[bytes[i] >> 4];
        out[size++] = hex_digits[bytes[i] & 15];
    }
    out[size] = 0;
    return size;
}

/* A number, perhaps with a fraction, and a unit; the product must be whole. */
bool weir_text_size(const char *text, size_t size, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KB", 1000},
                 {"kB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"TB", UINT64_C(1000000000000)},
                 {"KiB", 1 << 10},
                 {"MiB", 1 << 20},
                 {"GiB", 1 << 30},
                 {"TiB", UINT64_C(1) << 40}};
    size_t at = 0;
    weir_int128 number;
    unsigned __int128 product;

    while (at < size && ((unsigned char)(text[at] - '0') < 10 || text[at] == '.'))
        at++;
    /* Six places are more than anybody writes; 25 digits times 2^40 stay far below 2^127. */
    if (!weir_text_decimal(text, at, 25, 6, &number))
        return false;
    if (at < size && text[at] == ' ' && at + 1 < size)
        at++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].name) != size - at || memcmp(units[i].name, text + at, size - at) != 0)
            continue;
        product = (unsigned __int128)number * units[i].bytes;
        if (product % 1000000 != 0 || product / 1000000 > UINT64_MAX)
            return false;
        *ret_bytes = (uint64_t)(product / 1000000);
        return true;
    }
    return false;
}

void weir_print_hex(char *out, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = hex_digits[data[i] >> 4];
        out[2 * i + 1] = hex_digits[data[i] & 15];
    }
    out[2 * size] = 0;
}

/* ---- base64 (RFC 4648 section 4) ------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t weir_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

size_t weir_base64_encode(char *out, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;
    size_t used = 0;

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)data[i] << 16;
        if (left > 1)
            group |= (uint32_t)data[i + 1] << 8;
        if (left > 2)
            group |= data[i + 2];
        out[used++] = base64_digits[group >> 18];
        out[used++] = base64_digits[group >> 12 & 63];
        out[used++] = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        out[used++] = left > 2 ? base64_digits[group & 63] : '=';
    }
    return used;
}

bool weir_base64_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size)
{
    uint32_t group = 0;
    size_t used = 0;
    unsigned bits = 0;

    if (size > 0 && size % 4 == 0 && text[size - 1] == '=')
        size -= 1 + (text[size - 2] == '=');
    if (size % 4 == 1)
        return false;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value((uint8_t)text[i]);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[used++] = (uint8_t)(group >> bits);
        }
    }
    /* Bits left over must be zero: else two texts would mean the same bytes. */
    if ((group & ((1u << bits) - 1)) != 0)
        return false;
    *ret_size = used;
    return true;
}

/* ---- UTF-8 (RFC 3629) ------------------------------------------------------------------------ */

/* Bytes of the valid character at text, or 0. Unicode 15, table 3-7. */
static size_t utf8_character(const uint8_t *text, size_t size)
{
    uint8_t lead = text[0];
    uint8_t low = 0x80, high = 0xBF;
    size_t need;

    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size < need)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

size_t weir_utf8_invalid(const uint8_t *text, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t step;
        while (size - at >=
               32) { /* plain ASCII, 32 bytes at a time: compiles to vector instructions */
            uint64_t words[4];
            memcpy(words, text + at, 32);
            if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080))
                break;
            at += 32;
        }
        if (at == size)
            break;
        step = utf8_character(text + at, size - at);
        if (step == 0)
            return at;
        at += step;
    }
    return size;
}

/* ---- distance -------------------------------------------------------------------------------- */

#define DISTANCE_SIZE                                                                              \
    255 /* names are not longer (WEIR_NAME_SIZE_MAX); what is, differs by its rest */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the table suffice, since a swap looks two back. */
size_t weir_text_distance(const char *a, const char *b)
{
    uint32_t rows[3][DISTANCE_SIZE + 1];
    size_t size_a = strlen(a), size_b = strlen(b), rest = 0;
    uint32_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (size_a > DISTANCE_SIZE || size_b > DISTANCE_SIZE) {
        size_t cut_a = smaller(size_a, DISTANCE_SIZE), cut_b = smaller(size_b, DISTANCE_SIZE);
        rest = size_a - cut_a > size_b - cut_b ? size_a - cut_a : size_b - cut_b;
        size_a = cut_a;
        size_b = cut_b;
    }
    for (size_t j = 0; j <= size_b; j++)
        last[j] = (uint32_t)j;
    for (size_t i = 1; i <= size_a; i++) {
        uint32_t *spare = before;
        now[0] = (uint32_t)i;
        for (size_t j = 1; j <= size_b; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, smaller(last[j], now[j - 1]) + 1u);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, before[j - 2] + 1u);
            now[j] = (uint32_t)best;
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[size_b] + rest;
}
