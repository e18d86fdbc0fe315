/* Values from their text: everything but the walkers' fastest paths. Refuses by json_fail and
 * false. */
#include "formats/json/json_int.h"

#include "engine/base/text.h"

#include <string.h>

#define SECOND_MICROS   INT64_C(1000000)
#define DAY_MICROS      (86400 * SECOND_MICROS)
#define TIMESTAMP_FIRST (INT64_C(-62135596800) * SECOND_MICROS) /* 0001-01-01, as text can say */
#define TIMESTAMP_LAST                                                                             \
    (INT64_C(253402300800) * SECOND_MICROS - 1) /* 9999-12-31T23:59:59.999999                      \
                                                 */

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

const uint8_t *json_number_end(const uint8_t *at)
{
    at += *at == '-';
    if (!is_digit(*at))
        return NULL;
    if (*at == '0')
        at++;
    else
        while (is_digit(*at))
            at++;
    if (*at == '.') {
        if (!is_digit(*++at))
            return NULL;
        while (is_digit(*at))
            at++;
    }
    if ((*at | 0x20) == 'e') {
        at++;
        if (*at == '+' || *at == '-')
            at++;
        if (!is_digit(*at))
            return NULL;
        while (is_digit(*at))
            at++;
    }
    return at;
}

bool json_check_utf8(struct weir_json_decoder *decoder, const uint8_t *from, const uint8_t *to)
{
    size_t size = (size_t)(to - from), bad = weir_utf8_invalid(from, size);

    if (bad == size)
        return true;
    json_fail(decoder, WEIR_REASON_ENCODING, from + bad, "not UTF-8");
    return false;
}

/* ---- escapes (RFC 8259 section 7) ------------------------------------------------------------ */

/* Four hex digits, or -1. Reads nothing behind a byte that is none, so the NUL at the end stops it.
 */
static int32_t read_hex4(const uint8_t *at)
{
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i], letter = c | 0x20;
        if (is_digit(c))
            value = value << 4 | (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value << 4 | (letter - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static size_t put_utf8(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* \uXXXX at `at`, perhaps a pair; *ret_used bytes of it. */
static bool unescape_unicode(struct weir_json_decoder *decoder, const uint8_t *at, uint8_t *out,
                             size_t *ret_size, size_t *ret_used)
{
    int32_t code = read_hex4(at + 2), low;

    *ret_used = 6;
    if (code < 0) {
        json_fail(decoder, WEIR_REASON_SYNTAX, at, "want four hex digits after \\u");
        return false;
    }
    if (code >= 0xD800 && code <= 0xDFFF) {
        low = code < 0xDC00 && at[6] == '\\' && at[7] == 'u' ? read_hex4(at + 8) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            json_fail(decoder, WEIR_REASON_SYNTAX, at, "half of a surrogate pair");
            return false;
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *ret_used = 12;
    }
    *ret_size = put_utf8(out, (uint32_t)code);
    return true;
}

static uint8_t simple_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

bool json_unescape(struct weir_json_decoder *decoder, const uint8_t *from, const uint8_t *to,
                   uint8_t *out, size_t *ret_size)
{
    size_t size = 0;

    while (from < to) {
        const uint8_t *escape = memchr(from, '\\', (size_t)(to - from));
        const uint8_t *plain_end = escape ? escape : to;
        size_t plain = (size_t)(plain_end - from), made, used = 2;
        if (!json_check_utf8(decoder, from, plain_end))
            return false;
        memcpy(out + size, from, plain);
        size += plain;
        if (!escape)
            break;
        if (escape[1] == 'u') {
            if (!unescape_unicode(decoder, escape, out + size, &made, &used))
                return false;
        } else {
            out[size] = simple_escape(escape[1]);
            made = 1;
            if (out[size] == 0) {
                json_fail(decoder, WEIR_REASON_SYNTAX, escape, "no such escape");
                return false;
            }
        }
        size += made;
        from = escape + used;
    }
    *ret_size = size;
    return true;
}

/* ---- columns --------------------------------------------------------------------------------- */

static bool put_fixed(struct weir_json_decoder *decoder, struct json_node *node, const void *value)
{
    if (!json_room(decoder, node))
        return false;
    memcpy(node->values + (size_t)node->count++ * node->width, value, node->width);
    return true;
}

static bool refuse_range(struct weir_json_decoder *decoder, const struct json_node *node,
                         const uint8_t *at)
{
    json_fail_range(decoder, node, at);
    return false;
}

static bool refuse_type(struct weir_json_decoder *decoder, const struct json_node *node,
                        const uint8_t *at)
{
    json_fail_type(decoder, node, at);
    return false;
}

/* A number that is no int64: out of range if it is whole, else another type. */
static bool refuse_integer(struct weir_json_decoder *decoder, const struct json_node *node,
                           const uint8_t *at, size_t size)
{
    double value;
    weir_int128 whole;

    if (weir_text_decimal((const char *)at, size, 38, 0, &whole) ||
        !weir_text_double((const char *)at, size, &value) || value >= 1e18 || value <= -1e18)
        return refuse_range(decoder, node, at);
    json_fail(decoder, WEIR_REASON_TYPE, at, "want %s, found a number with a fraction",
              node->wanted);
    return false;
}

static bool floor_divide(int64_t value, int64_t by, int64_t *ret_quotient)
{
    int64_t quotient = value / by;

    *ret_quotient = quotient - (value % by < 0);
    return value % by == 0;
}

/* A count of the declared unit as the column's own; times have no more than microseconds, so
 * nanoseconds are cut. */
static bool put_time_number(struct weir_json_decoder *decoder, struct json_node *node,
                            const uint8_t *at, size_t size)
{
    int64_t value, micros, days;
    static const int64_t factors[] = {
        [WEIR_TIME_SECONDS] = SECOND_MICROS, [WEIR_TIME_MILLIS] = 1000, [WEIR_TIME_MICROS] = 1};

    if (!weir_text_exact_int64((const char *)at, size, &value))
        return refuse_integer(decoder, node, at, size);
    if (node->unit == WEIR_TIME_NANOS)
        floor_divide(value, 1000, &micros);
    else if (__builtin_mul_overflow(value, factors[node->unit], &micros))
        return refuse_range(decoder, node, at);
    if (node->type == WEIR_TIME) {
        if (micros < 0 || micros >= DAY_MICROS)
            return refuse_range(decoder, node, at);
        return put_fixed(decoder, node, &micros);
    }
    if (micros < TIMESTAMP_FIRST || micros > TIMESTAMP_LAST)
        return refuse_range(decoder, node, at);
    if (node->type == WEIR_DATE) {
        int32_t date;
        if (!floor_divide(micros, DAY_MICROS, &days)) /* part of a day would be lost */
            return refuse_range(decoder, node, at);
        date = (int32_t)days;
        return put_fixed(decoder, node, &date);
    }
    return put_fixed(decoder, node, &micros);
}

bool json_put_number(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                     size_t size)
{
    const char *text = (const char *)at;
    int64_t whole;
    double real;
    float single;
    weir_int128 unscaled;
    int32_t narrow;

    switch (node->type) {
    case WEIR_INT:
        if (!weir_text_exact_int64(text, size, &whole))
            return refuse_integer(decoder, node, at, size);
        narrow = (int32_t)whole;
        if (narrow != whole)
            return refuse_range(decoder, node, at);
        return put_fixed(decoder, node, &narrow);
    case WEIR_LONG:
        if (!weir_text_exact_int64(text, size, &whole))
            return refuse_integer(decoder, node, at, size);
        return put_fixed(decoder, node, &whole);
    case WEIR_FLOAT:
        if (!weir_text_float(text, size, &single))
            return refuse_range(decoder, node, at);
        return put_fixed(decoder, node, &single);
    case WEIR_DOUBLE:
        if (!weir_text_double(text, size, &real))
            return refuse_range(decoder, node, at);
        return put_fixed(decoder, node, &real);
    case WEIR_DECIMAL:
        if (!weir_text_decimal(text, size, node->declared->precision, node->declared->scale,
                               &unscaled))
            return refuse_range(decoder, node, at);
        return put_fixed(decoder, node, &unscaled);
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        if (node->unit == WEIR_TIME_ISO)
            return refuse_type(decoder, node, at);
        return put_time_number(decoder, node, at, size);
    default: return refuse_type(decoder, node, at);
    }
}

/* Whether text has the form of a date or a time, digits aside: then it is impossible, else it is
 * none. */
static bool looks_like_time(const struct json_node *node, const char *text, size_t size)
{
    const char *form = node->type == WEIR_TIME   ? "00:00:00"
                       : node->type == WEIR_DATE ? "0000-00-00"
                                                 : "0000-00-00T00:00:00";
    size_t form_size = strlen(form);

    if (size < form_size || (node->type == WEIR_DATE && size > form_size))
        return false;
    for (size_t i = 0; i < form_size; i++) {
        char c = is_digit((uint8_t)text[i])         ? '0'
                 : text[i] == ' ' || text[i] == 't' ? 'T'
                                                    : text[i];
        if (c != form[i])
            return false;
    }
    return true;
}

static bool refuse_time(struct weir_json_decoder *decoder, const struct json_node *node,
                        const uint8_t *at, const char *text, size_t size)
{
    int64_t other;

    if (node->type == WEIR_TIMESTAMPTZ && weir_text_timestamp(text, size, &other))
        json_fail(decoder, WEIR_REASON_TYPE, at, "want %s, found a time without an offset",
                  node->wanted);
    else if (node->type == WEIR_TIMESTAMP && weir_text_timestamptz(text, size, &other))
        json_fail(decoder, WEIR_REASON_TYPE, at, "want %s, found a time with an offset",
                  node->wanted);
    else if (looks_like_time(node, text, size))
        json_fail(decoder, WEIR_REASON_RANGE, at, "want %s, found an impossible one", node->wanted);
    else
        json_fail(decoder, WEIR_REASON_TYPE, at, "want %s in ISO 8601, found another text",
                  node->wanted);
    return false;
}

static bool put_time_text(struct weir_json_decoder *decoder, struct json_node *node,
                          const uint8_t *at, const char *text, size_t size)
{
    int64_t micros;
    int32_t days;

    if (node->type == WEIR_DATE)
        return weir_text_date(text, size, &days) ? put_fixed(decoder, node, &days)
                                                 : refuse_time(decoder, node, at, text, size);
    if (node->type == WEIR_TIME        ? weir_text_time(text, size, &micros)
        : node->type == WEIR_TIMESTAMP ? weir_text_timestamp(text, size, &micros)
                                       : weir_text_timestamptz(text, size, &micros))
        return put_fixed(decoder, node, &micros);
    return refuse_time(decoder, node, at, text, size);
}

static bool put_bytes(struct weir_json_decoder *decoder, struct json_node *node, const void *bytes,
                      size_t size)
{
    if (!json_room(decoder, node) || !json_column_reserve(decoder, node, size))
        return false;
    if (size > 0)
        memcpy(node->values + node->bytes, bytes, size);
    node->bytes += size;
    node->count++;
    node->offsets[node->count] = (int32_t)node->bytes;
    return true;
}

static bool put_binary(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                       const char *text, size_t size)
{
    size_t decoded;

    if (!json_room(decoder, node) || !json_column_reserve(decoder, node, size / 4 * 3 + 3))
        return false;
    if (!weir_base64_decode(text, size, node->values + node->bytes, &decoded)) {
        json_fail(decoder, WEIR_REASON_TYPE, at, "want %s as base64, found another text",
                  node->wanted);
        return false;
    }
    node->bytes += decoded;
    node->count++;
    node->offsets[node->count] = (int32_t)node->bytes;
    return true;
}

static bool put_fixed_base64(struct weir_json_decoder *decoder, struct json_node *node,
                             const uint8_t *at, const char *text, size_t size)
{
    size_t decoded;

    if (!json_scratch(decoder))
        return false;
    /* base64 may be decoded in place: three bytes out never overtake four in */
    memmove(decoder->scratch, text, size);
    if (!weir_base64_decode((const char *)decoder->scratch, size, decoder->scratch, &decoded)) {
        json_fail(decoder, WEIR_REASON_TYPE, at, "want %s as base64, found another text",
                  node->wanted);
        return false;
    }
    if (decoded != node->width) {
        json_fail(decoder, WEIR_REASON_RANGE, at, "want %s, found base64 of %zu bytes",
                  node->wanted, decoded);
        return false;
    }
    return put_fixed(decoder, node, decoder->scratch);
}

bool json_put_text(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                   const char *text, size_t size)
{
    uint8_t uuid[16];

    switch (node->type) {
    case WEIR_STRING: return put_bytes(decoder, node, text, size);
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return put_time_text(decoder, node, at, text, size);
    case WEIR_UUID:
        if (weir_text_uuid(text, size, uuid))
            return put_fixed(decoder, node, uuid);
        json_fail(decoder, WEIR_REASON_TYPE, at, "want uuid, found another text");
        return false;
    case WEIR_BINARY: return put_binary(decoder, node, at, text, size);
    case WEIR_FIXED: return put_fixed_base64(decoder, node, at, text, size);
    default: return refuse_type(decoder, node, at);
    }
}

/* A member's name as the key of a map: numbers and booleans are read from it. */
bool json_put_key(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                  const char *text, size_t size)
{
    int64_t whole;
    int32_t narrow;
    weir_int128 unscaled;
    bool fits;

    switch (node->type) {
    case WEIR_INT:
        fits = weir_text_exact_int64(text, size, &whole);
        narrow = fits ? (int32_t)whole : 0;
        if (fits && narrow == whole)
            return put_fixed(decoder, node, &narrow);
        break;
    case WEIR_LONG:
        if (weir_text_exact_int64(text, size, &whole))
            return put_fixed(decoder, node, &whole);
        break;
    case WEIR_DECIMAL:
        if (weir_text_decimal(text, size, node->declared->precision, node->declared->scale,
                              &unscaled))
            return put_fixed(decoder, node, &unscaled);
        break;
    default: return json_put_text(decoder, node, at, text, size);
    }
    json_fail(decoder, WEIR_REASON_TYPE, at, "want %s as a key, found another text", node->wanted);
    return false;
}
