/* Partition transforms. Spec: Iceberg "Partition Transforms", "Appendix B: 32-bit Hash
 * Requirements".
 *
 * Result types: identity, truncate, void: the source's. bucket, year, month, hour: int (years,
 * months, hours since 1970-01-01; bucket number). day: date, as the Java library writes it. Results
 * are flat and in the arena. */
#include "formats/iceberg/manifest.h"

#include "engine/base/text.h"
#include "formats/iceberg/value_int.h"

#include <stdlib.h>
#include <string.h>

enum kind { IDENTITY, BUCKET, TRUNCATE, YEAR, MONTH, DAY, HOUR, VOID, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = {"identity", "bucket", "truncate", "year",
                                                   "month",    "day",    "hour",     "void"};

#define MICROS_OF_HOUR INT64_C(3600000000)
#define MICROS_OF_DAY  INT64_C(86400000000)

/* "bucket[16]" -> BUCKET, 16 */
static weir_status parse(const char *text, enum kind *ret_kind, int32_t *ret_parameter,
                         struct weir_error *reterr)
{
    size_t size = strcspn(text, "[");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (strlen(kind_names[kind]) != size || memcmp(kind_names[kind], text, size) != 0)
            continue;
        bool takes = kind == BUCKET || kind == TRUNCATE;
        long parameter = 0;
        char *end = NULL;
        if (takes && text[size] == '[')
            parameter = strtol(text + size + 1, &end, 10);
        if (takes ? !end || strcmp(end, "]") != 0 || parameter < 1 || parameter > INT32_MAX
                  : text[size] != '\0')
            break;
        *ret_kind = (enum kind)kind;
        *ret_parameter = (int32_t)parameter;
        return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_USAGE,
                     "transform \"%.60s\": one of identity, bucket[N], truncate[W], year, month, "
                     "day, hour, void",
                     text);
}

static bool takes_type(enum kind kind, enum weir_type_id id)
{
    bool is_timestamp = id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ;
    switch (kind) {
    case BUCKET:
        return id != WEIR_BOOLEAN && id != WEIR_FLOAT && id != WEIR_DOUBLE &&
               !weir_type_is_nested(id);
    case TRUNCATE:
        return id == WEIR_INT || id == WEIR_LONG || id == WEIR_DECIMAL || id == WEIR_STRING ||
               id == WEIR_BINARY;
    case YEAR:
    case MONTH:
    case DAY: return id == WEIR_DATE || is_timestamp;
    case HOUR: return is_timestamp;
    case VOID: return true;
    default: return !weir_type_is_nested(id);
    }
}

static weir_status result_type(enum kind kind, const char *transform,
                               const struct weir_type *source, struct weir_type *ret_type,
                               struct weir_error *reterr)
{
    if (!takes_type(kind, source->id))
        return weir_fail(reterr, WEIR_USAGE, "transform %.60s does not take a %s", transform,
                         weir_type_name(source->id));
    if (kind == BUCKET || kind == YEAR || kind == MONTH || kind == HOUR)
        *ret_type = (struct weir_type){.id = WEIR_INT};
    else if (kind == DAY)
        *ret_type = (struct weir_type){.id = WEIR_DATE};
    else
        *ret_type = *source;
    return WEIR_OK;
}

weir_status weir_transform_result_type(const char *transform, const struct weir_type *source,
                                       struct weir_type *ret_type, struct weir_error *reterr)
{
    enum kind kind;
    int32_t parameter;
    WEIR_TRY(parse(transform, &kind, &parameter, reterr));
    return result_type(kind, transform, source, ret_type, reterr);
}

/* ---- bucket --------------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t murmur_mix(uint32_t block)
{
    return rotate(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

/* Murmur3, 32-bit x86 variant, seed 0. */
static uint32_t murmur3(const uint8_t *data, size_t size)
{
    uint32_t hash = 0, block;
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
        memcpy(&block, data + at, 4);
        hash = rotate(hash ^ murmur_mix(block), 13) * 5 + 0xe6546b64u;
    }
    block = 0;
    for (size_t i = size; i > at; i--)
        block = block << 8 | data[i - 1];
    if (size > at)
        hash ^= murmur_mix(block);
    hash ^= (uint32_t)size;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

static uint32_t hash_value(const struct weir_vector *source, uint32_t row)
{
    const uint8_t *values = source->values;
    size_t width = weir_type_width(source->type);
    int64_t whole;
    int32_t narrow;
    weir_int128 unscaled;
    uint8_t bytes[16];
    switch (source->type->id) {
    case WEIR_INT:
    case WEIR_DATE:
        memcpy(&narrow, values + (size_t)row * 4, 4);
        whole = narrow;
        return murmur3((const uint8_t *)&whole, 8);
    case WEIR_DECIMAL:
        memcpy(&unscaled, values + (size_t)row * 16, 16);
        width = value_decimal_bytes(unscaled, bytes);
        return murmur3(bytes + 16 - width, width);
    case WEIR_STRING:
    case WEIR_BINARY:
        return murmur3(values + source->offsets[row],
                       (size_t)(source->offsets[row + 1] - source->offsets[row]));
    default: /* long, time, timestamps: 8 bytes; uuid, fixed: as they are */
        return murmur3(values + row * width, width);
    }
}

/* ---- times ---------------------------------------------------------------------------------- */

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static int32_t time_part(enum kind kind, const struct weir_vector *source, uint32_t row)
{
    int64_t days, micros = 0, year;
    unsigned month, day;
    if (source->type->id == WEIR_DATE) {
        days = ((const int32_t *)source->values)[row];
    } else {
        micros = ((const int64_t *)source->values)[row];
        days = floor_divide(micros, MICROS_OF_DAY);
    }
    if (kind == HOUR) {
        int64_t hours = floor_divide(micros, MICROS_OF_HOUR);
        return hours > INT32_MAX   ? INT32_MAX
               : hours < INT32_MIN ? INT32_MIN
                                   : (int32_t)hours; /* year 247,000: no place in an int */
    }
    if (kind == DAY)
        return (int32_t)days;
    weir_days_to_civil(days, &year, &month, &day);
    return (int32_t)(kind == YEAR ? year - 1970 : (year - 1970) * 12 + (int64_t)month - 1);
}

static void fill_ints(enum kind kind, int32_t parameter, const struct weir_vector *source,
                      struct weir_vector *out)
{
    int32_t *to = out->values;
    for (uint32_t row = 0; row < source->count; row++) {
        if (!weir_vector_valid(source, row))
            to[row] = 0;
        else if (kind == BUCKET)
            to[row] = (int32_t)(hash_value(source, row) & INT32_MAX) % parameter;
        else
            to[row] = time_part(kind, source, row);
    }
}

/* ---- truncate ------------------------------------------------------------------------------- */

/* v - (v mod W), wrapping at the type's end as Java does */
static void truncate_numbers(int32_t width, const struct weir_vector *source,
                             struct weir_vector *out)
{
    for (uint32_t row = 0; row < source->count; row++) {
        if (!weir_vector_valid(source, row))
            continue;
        if (source->type->id == WEIR_INT) {
            int64_t value = ((const int32_t *)source->values)[row],
                    rest = (value % width + width) % width;
            ((int32_t *)out->values)[row] = (int32_t)(uint32_t)(uint64_t)(value - rest);
        } else if (source->type->id == WEIR_LONG) {
            int64_t value = ((const int64_t *)source->values)[row],
                    rest = (value % width + width) % width;
            ((int64_t *)out->values)[row] = (int64_t)((uint64_t)value - (uint64_t)rest);
        } else {
            weir_int128 value, rest;
            memcpy(&value, (const uint8_t *)source->values + (size_t)row * 16, 16);
            rest = (value % width + width) % width;
            value -= rest;
            memcpy((uint8_t *)out->values + (size_t)row * 16, &value, 16);
        }
    }
}

/* The first `width` code points, or bytes. */
static size_t prefix_size(const uint8_t *text, size_t size, int32_t width, bool is_text)
{
    if (!is_text)
        return size < (size_t)width ? size : (size_t)width;
    int32_t points = 0;
    size_t at = 0;
    for (; at < size; at++)
        if ((text[at] & 0xc0) != 0x80 && points++ == width)
            break;
    return at;
}

static void truncate_bytes(int32_t width, const struct weir_vector *source, struct weir_vector *out)
{
    int32_t at = 0;
    for (uint32_t row = 0; row < source->count; row++) {
        const uint8_t *from = (const uint8_t *)source->values + source->offsets[row];
        size_t size = (size_t)(source->offsets[row + 1] - source->offsets[row]);
        size = prefix_size(from, size, width, source->type->id == WEIR_STRING);
        memcpy((uint8_t *)out->values + at, from, size);
        at += (int32_t)size;
        out->offsets[row + 1] = at;
    }
}

weir_status weir_transform_apply(struct weir_arena *arena, const char *transform,
                                 const struct weir_vector *source, struct weir_vector *ret_vector,
                                 struct weir_error *reterr)
{
    enum kind kind;
    int32_t parameter;
    struct weir_type *type;
    struct weir_vector flat, out;
    WEIR_TRY(parse(transform, &kind, &parameter, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *type, &type, reterr));
    WEIR_TRY(result_type(kind, transform, source->type, type, reterr));
    WEIR_TRY(weir_vector_gather(arena, source, NULL, &flat, reterr));
    if (kind == IDENTITY) {
        *ret_vector = flat;
        return WEIR_OK;
    }
    bool has_bytes = kind == TRUNCATE && flat.offsets;
    WEIR_TRY(weir_vector_make(arena, type, flat.count,
                              has_bytes ? (size_t)flat.offsets[flat.count] : 0, &out, reterr));
    out.count = flat.count;
    out.validity = flat.validity;
    out.null_count = flat.null_count;
    if (kind == VOID) {
        WEIR_TRY(weir_arena_zero(arena, (size_t)flat.count / 8 + 64, 1, &out.validity, reterr));
        out.null_count = flat.count;
        if (out.offsets)
            memset(out.offsets, 0, ((size_t)flat.count + 1) * sizeof *out.offsets);
    } else if (kind == TRUNCATE && has_bytes) {
        truncate_bytes(parameter, &flat, &out);
    } else if (kind == TRUNCATE) {
        truncate_numbers(parameter, &flat, &out);
    } else {
        fill_ints(kind, parameter, &flat, &out);
    }
    *ret_vector = out;
    return WEIR_OK;
}

/* ---- partition folders ---------------------------------------------------------------------- */

/* Everything but letters, digits and . _ - as %XX. Nothing reads it back: manifests carry the
 * values. */
static weir_status encode_path(struct weir_arena *arena, const char *text, size_t size,
                               char **ret_text, struct weir_error *reterr)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out;
    size_t at = 0;
    WEIR_TRY(weir_arena_alloc(arena, 3 * size + 1, &out, reterr));
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        bool plain = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
                     byte == '.' || byte == '_' || byte == '-';
        if (plain) {
            out[at++] = (char)byte;
        } else {
            out[at++] = '%';
            out[at++] = digits[byte >> 4];
            out[at++] = digits[byte & 15];
        }
    }
    out[at] = '\0';
    *ret_text = out;
    return WEIR_OK;
}

static weir_status time_text(struct weir_arena *arena, enum kind kind, int32_t value,
                             char **ret_text, struct weir_error *reterr)
{
    char day[24];
    int64_t months = floor_divide(value, 12);
    switch (kind) {
    case YEAR: return weir_arena_print(arena, ret_text, reterr, "%04d", 1970 + value);
    case MONTH:
        return weir_arena_print(arena, ret_text, reterr, "%04d-%02d", (int)(1970 + months),
                                (int)(value - months * 12 + 1));
    case HOUR:
        day[weir_print_date(day, (int32_t)floor_divide(value, 24))] = '\0';
        return weir_arena_print(arena, ret_text, reterr, "%s-%02d", day,
                                (int)(value - floor_divide(value, 24) * 24));
    default:
        day[weir_print_date(day, value)] = '\0';
        return weir_arena_print(arena, ret_text, reterr, "%s", day);
    }
}

/* Prints a value of fixed width into text (48 bytes at least); returns the length. */
static size_t print_value(const struct weir_vector *values, uint32_t row, char *text)
{
    const uint8_t *at = (const uint8_t *)values->values +
                        (size_t)row * weir_type_width(values->type);
    int32_t narrow;
    int64_t whole;
    float single;
    double real;
    weir_int128 unscaled;
    switch (values->type->id) {
    case WEIR_INT: memcpy(&narrow, at, 4); return weir_print_int64(text, narrow);
    case WEIR_DATE: memcpy(&narrow, at, 4); return weir_print_date(text, narrow);
    case WEIR_FLOAT: memcpy(&single, at, 4); return weir_print_double(text, (double)single);
    case WEIR_DOUBLE: memcpy(&real, at, 8); return weir_print_double(text, real);
    case WEIR_DECIMAL:
        memcpy(&unscaled, at, 16);
        return weir_print_decimal(text, unscaled, values->type->scale);
    case WEIR_UUID: return weir_print_uuid(text, at);
    default: break;
    }
    memcpy(&whole, at, 8);
    if (values->type->id == WEIR_TIME)
        return weir_print_time(text, whole);
    if (values->type->id == WEIR_TIMESTAMP)
        return weir_print_timestamp(text, whole);
    return values->type->id == WEIR_TIMESTAMPTZ ? weir_print_timestamptz(text, whole)
                                                : weir_print_int64(text, whole);
}

static weir_status value_text(struct weir_arena *arena, const struct weir_vector *values,
                              uint32_t row, char **ret_text, struct weir_error *reterr)
{
    char text[64], *base64;
    const uint8_t *bytes = values->values;
    size_t size;
    switch (values->type->id) {
    case WEIR_BOOLEAN:
        return weir_arena_print(arena, ret_text, reterr, "%s",
                                weir_bit_get(values->values, row) ? "true" : "false");
    case WEIR_STRING:
        return encode_path(arena, (const char *)bytes + values->offsets[row],
                           (size_t)(values->offsets[row + 1] - values->offsets[row]), ret_text,
                           reterr);
    case WEIR_BINARY:
    case WEIR_FIXED:
        size = values->type->id == WEIR_FIXED
                   ? values->type->length
                   : (size_t)(values->offsets[row + 1] - values->offsets[row]);
        bytes += values->type->id == WEIR_FIXED ? (size_t)row * size : (size_t)values->offsets[row];
        WEIR_TRY(weir_arena_alloc(arena, weir_base64_size(size) + 1, &base64, reterr));
        size = weir_base64_encode(base64, bytes, size);
        return encode_path(arena, base64, size, ret_text, reterr);
    case WEIR_STRUCT:
    case WEIR_LIST:
    case WEIR_MAP:
    case WEIR_INTERVAL:
        return weir_fail(reterr, WEIR_USAGE, "a %s has no place in a partition path",
                         weir_type_name(values->type->id));
    default: return encode_path(arena, text, print_value(values, row, text), ret_text, reterr);
    }
}

weir_status weir_transform_path_text(struct weir_arena *arena, const char *transform,
                                     const struct weir_vector *values, uint32_t row,
                                     char **ret_text, struct weir_error *reterr)
{
    enum kind kind;
    int32_t parameter;
    WEIR_TRY(parse(transform, &kind, &parameter, reterr));
    if (kind == VOID || !weir_vector_valid(values, row))
        return weir_arena_print(arena, ret_text, reterr, "null");
    if (values->kind == WEIR_DICTIONARY)
        return weir_transform_path_text(arena, transform, values->dictionary, values->indices[row],
                                        ret_text, reterr);
    row = values->kind == WEIR_CONSTANT ? 0 : row;
    if (kind == YEAR || kind == MONTH || kind == DAY || kind == HOUR)
        return time_text(arena, kind, ((const int32_t *)values->values)[row], ret_text, reterr);
    return value_text(arena, values, row, ret_text, reterr);
}

/* ---- the pipeline file's spelling ----------------------------------------------------------- */

static const struct {
    const char *word;
    enum kind kind;
    const char *suffix;
} spellings[] = {
    {"identity", IDENTITY, ""},  {"bucket", BUCKET, "_bucket"}, {"truncate", TRUNCATE, "_trunc"},
    {"year", YEAR, "_year"},     {"years", YEAR, "_year"},      {"month", MONTH, "_month"},
    {"months", MONTH, "_month"}, {"day", DAY, "_day"},          {"days", DAY, "_day"},
    {"hour", HOUR, "_hour"},     {"hours", HOUR, "_hour"},      {"void", VOID, "_null"},
};

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

weir_status weir_transform_parse(struct weir_arena *arena, const char *text, char **ret_transform,
                                 char **ret_source_path, char **ret_name, struct weir_error *reterr)
{
    static const char help[] = "days(column), bucket(16, column), truncate(4, column), years, "
                               "months, hours, or a column's name";
    const char *start = skip_blanks(text), *open = strchr(start, '(');
    size_t size = open ? (size_t)(open - start) : 0, known = 0,
           count = sizeof spellings / sizeof *spellings;
    long parameter = 0;
    while (size && (start[size - 1] == ' ' || start[size - 1] == '\t'))
        size--;
    while (open && known < count &&
           (strlen(spellings[known].word) != size ||
            strncasecmp(spellings[known].word, start, size) != 0))
        known++;
    if (known == count)
        return weir_fail(reterr, WEIR_USAGE,
                         "partition \"%.100s\": \"%.*s\" is no transform; wanted: %s", text,
                         (int)(size > 60 ? 60 : size), start, help);
    enum kind kind = spellings[known].kind; /* without '(' the first: identity */
    const char *source = open ? skip_blanks(open + 1) : start, *end = source + strlen(source);
    if (kind == BUCKET || kind == TRUNCATE) {
        char *after;
        parameter = strtol(source, &after, 10);
        const char *comma = skip_blanks(after);
        if (parameter < 1 || parameter > INT32_MAX || *comma != ',')
            return weir_fail(reterr, WEIR_USAGE, "partition \"%.100s\": wanted: %s(number, column)",
                             text, spellings[known].word);
        source = skip_blanks(comma + 1);
    }
    while (end > source && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    bool closed = !open || (end > source && end[-1] == ')');
    end -= open && closed;
    while (end > source && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (!closed || end == source || memchr(source, '(', (size_t)(end - source)) ||
        memchr(source, ')', (size_t)(end - source)) || memchr(source, ',', (size_t)(end - source)))
        return weir_fail(reterr, WEIR_USAGE, "partition \"%.100s\": wanted: %s", text, help);
    char *transform, *path, *name;
    if (kind == BUCKET || kind == TRUNCATE)
        WEIR_TRY(
            weir_arena_print(arena, &transform, reterr, "%s[%ld]", kind_names[kind], parameter));
    else
        WEIR_TRY(weir_arena_print(arena, &transform, reterr, "%s", kind_names[kind]));
    WEIR_TRY(weir_arena_copy(arena, source, (size_t)(end - source), &path, reterr));
    WEIR_TRY(weir_arena_print(arena, &name, reterr, "%s%s", path, spellings[known].suffix));
    *ret_transform = transform;
    *ret_source_path = path;
    *ret_name = name;
    return WEIR_OK;
}
