/* The text of a field as a value. */
#include "formats/csv/csv_int.h"

#include <math.h>
#include <strings.h>

#define NUMBER_SIZE_MAX 400 /* bytes of a number that is not in JSON's form and is rewritten */

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

static bool boolean(const char *text, size_t size, uint8_t *out)
{
    if (is_word(text, size, "true") || is_word(text, size, "t") || is_word(text, size, "1"))
        *out = 1;
    else if (is_word(text, size, "false") || is_word(text, size, "f") || is_word(text, size, "0"))
        *out = 0;
    else
        return false;
    return true;
}

/* +1, 007, .5, 5. as JSON writes them. Returns the size, 0 if it is no number. */
static size_t as_json(const char *text, size_t size, char out[NUMBER_SIZE_MAX + 4])
{
    const char *at = text, *end = text + size;
    char *to = out;
    if (size > NUMBER_SIZE_MAX || size == 0)
        return 0;
    if (*at == '+' || *at == '-') {
        if (*at == '-')
            *to++ = '-';
        at++;
    }
    if (at == end || !((*at >= '0' && *at <= '9') || (*at == '.' && end - at > 1)))
        return 0;
    while (end - at > 1 && *at == '0' && at[1] >= '0' && at[1] <= '9')
        at++;
    if (*at == '.')
        *to++ = '0';
    while (at < end) {
        bool bare = *at == '.' && (end - at == 1 || at[1] == 'e' || at[1] == 'E');
        if (!bare)
            *to++ = *at;
        at++;
    }
    return (size_t)(to - out);
}

static enum weir_reason real(const struct weir_type *type, const char *text, size_t size, void *out)
{
    char number[NUMBER_SIZE_MAX + 4];
    double value;
    bool minus = size && *text == '-';
    if (is_word(text + minus, size - minus, "nan"))
        value = NAN;
    else if (is_word(text + minus, size - minus, "inf") ||
             is_word(text + minus, size - minus, "infinity"))
        value = minus ? -INFINITY : INFINITY;
    else {
        bool read = type->id == WEIR_FLOAT ? weir_text_float(text, size, out)
                                           : weir_text_double(text, size, out);
        if (read)
            return WEIR_REASON_COUNT;
        size = as_json(text, size, number);
        if (size == 0)
            return WEIR_REASON_TYPE;
        read = type->id == WEIR_FLOAT ? weir_text_float(number, size, out)
                                      : weir_text_double(number, size, out);
        return read ? WEIR_REASON_COUNT : WEIR_REASON_TYPE;
    }
    if (type->id == WEIR_FLOAT)
        *(float *)out = (float)value;
    else
        *(double *)out = value;
    return WEIR_REASON_COUNT;
}

static bool only_digits(const char *text, size_t size)
{
    size_t at = size && (*text == '-' || *text == '+');
    if (at == size)
        return false;
    for (; at < size; at++)
        if (text[at] < '0' || text[at] > '9')
            return false;
    return true;
}

static enum weir_reason whole(const struct weir_type *type, const char *text, size_t size,
                              void *out)
{
    int64_t value;
    bool plus = size > 1 && *text == '+' && text[1] != '-';
    if (!weir_text_int64(text + plus, size - plus, &value))
        return only_digits(text, size) ? WEIR_REASON_RANGE : WEIR_REASON_TYPE;
    if (type->id == WEIR_LONG)
        *(int64_t *)out = value;
    else if (value < INT32_MIN || value > INT32_MAX)
        return WEIR_REASON_RANGE;
    else
        *(int32_t *)out = (int32_t)value;
    return WEIR_REASON_COUNT;
}

static enum weir_reason decimal(const struct weir_type *type, const char *text, size_t size,
                                void *out)
{
    char number[NUMBER_SIZE_MAX + 4];
    weir_int128 value;
    double any;
    if (!weir_text_decimal(text, size, type->precision, type->scale, &value)) {
        size_t rewritten = as_json(text, size, number);
        if (!rewritten || !weir_text_double(number, rewritten, &any))
            return WEIR_REASON_TYPE;
        if (!weir_text_decimal(number, rewritten, type->precision, type->scale, &value))
            return WEIR_REASON_RANGE;
    }
    memcpy(out, &value, sizeof value);
    return WEIR_REASON_COUNT;
}

static bool timestamp(const struct weir_type *type, const char *text, size_t size, int64_t *out)
{
    int32_t days;
    if (type->id == WEIR_TIMESTAMPTZ && weir_text_timestamptz(text, size, out))
        return true;
    if (weir_text_timestamp(text, size, out))
        return true;
    if (!weir_text_date(text, size, &days))
        return false;
    *out = (int64_t)days * 86400000000ll;
    return true;
}

/* Whether text has the form of the date or time, digits aside: then it is an impossible one. */
static bool looks_like_time(const struct weir_type *type, const char *text, size_t size)
{
    const char *form = type->id == WEIR_TIME   ? "00:00:00"
                       : type->id == WEIR_DATE ? "0000-00-00"
                                               : "0000-00-00T00:00:00";
    size_t form_size = strlen(form);
    int64_t other;
    if (size < form_size || (type->id == WEIR_DATE && size > form_size))
        return false;
    for (size_t i = 0; i < form_size; i++) {
        char c = text[i] >= '0' && text[i] <= '9'          ? '0'
                 : form[i] == 'T' && strchr(" t", text[i]) ? 'T'
                                                           : text[i];
        if (c != form[i])
            return false;
    }
    return type->id != WEIR_TIMESTAMP || !weir_text_timestamptz(text, size, &other);
}

static enum weir_reason fixed(const struct weir_type *type, const char *text, size_t size,
                              uint8_t *out)
{
    uint8_t bytes[3 * 64 + 3];
    size_t got;
    if (type->length > 3 * 64 || size > 4 * 64)
        return WEIR_REASON_RANGE;
    if (!weir_base64_decode(text, size, bytes, &got))
        return WEIR_REASON_TYPE;
    if (got != type->length)
        return WEIR_REASON_RANGE;
    memcpy(out, bytes, got);
    return WEIR_REASON_COUNT;
}

enum weir_reason csv_value(const struct weir_type *type, const char *text, size_t size, void *out)
{
    bool read, is_time = type->id >= WEIR_DATE && type->id <= WEIR_TIMESTAMPTZ;
    while (size && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    switch (type->id) {
    case WEIR_BOOLEAN: read = boolean(text, size, out); break;
    case WEIR_INT:
    case WEIR_LONG: return whole(type, text, size, out);
    case WEIR_FLOAT:
    case WEIR_DOUBLE: return real(type, text, size, out);
    case WEIR_DECIMAL: return decimal(type, text, size, out);
    case WEIR_DATE: read = weir_text_date(text, size, out); break;
    case WEIR_TIME: read = weir_text_time(text, size, out); break;
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: read = timestamp(type, text, size, out); break;
    case WEIR_UUID: read = weir_text_uuid(text, size, out); break;
    case WEIR_FIXED: return fixed(type, text, size, out);
    default: read = false;
    }
    if (!read && is_time && looks_like_time(type, text, size))
        return WEIR_REASON_RANGE;
    return read ? WEIR_REASON_COUNT : WEIR_REASON_TYPE;
}
