/* CAST: which there are, and their loops. PostgreSQL's: text to and from everything, numbers with
 * half away from zero (doubles half to even), out of range is the row's error - or null for TRY. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY 86400000000LL

/* ---- which ---- */

static bool is_moment(const struct weir_type *type)
{
    return type->id == WEIR_DATE || type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ;
}

static bool nested_exists(const struct weir_type *from, const struct weir_type *to, bool implicit)
{
    if (from->id != to->id || from->child_count != to->child_count)
        return false;
    for (uint32_t i = 0; i < from->child_count; i++)
        if (!weir_type_equal(&from->children[i].type, &to->children[i].type, false) &&
            !cast_exists(&from->children[i].type, &to->children[i].type, implicit))
            return false;
    return true;
}

bool cast_exists(const struct weir_type *from, const struct weir_type *to, bool implicit)
{
    static const int ranks[WEIR_TYPE_COUNT] = {
        [WEIR_INT] = 1,    [WEIR_LONG] = 2,  [WEIR_DECIMAL] = 3,    [WEIR_FLOAT] = 4,
        [WEIR_DOUBLE] = 5, [WEIR_DATE] = 11, [WEIR_TIMESTAMP] = 12, [WEIR_TIMESTAMPTZ] = 13};
    if (weir_type_equal(from, to, false))
        return true;
    if (weir_type_is_nested(from->id) && weir_type_is_nested(to->id))
        return nested_exists(from, to, implicit);
    bool numbers = type_is_number(from) && type_is_number(to),
         moments = is_moment(from) && is_moment(to),
         bytes = (from->id == WEIR_BINARY || from->id == WEIR_FIXED) && to->id == WEIR_BINARY;
    if (numbers || moments)
        return !implicit || ranks[from->id] <= ranks[to->id];
    if (bytes)
        return true;
    if (implicit)
        return false;
    if (to->id == WEIR_STRING)
        return true;
    if (from->id == WEIR_STRING)
        return !weir_type_is_nested(to->id) && to->id != WEIR_FIXED;
    return (from->id == WEIR_BOOLEAN && type_is_integer(to)) ||
           (type_is_integer(from) && to->id == WEIR_BOOLEAN) ||
           (to->id == WEIR_TIME && (from->id == WEIR_TIMESTAMP || from->id == WEIR_TIMESTAMPTZ)) ||
           (from->id == WEIR_BINARY && to->id == WEIR_UUID) ||
           (from->id == WEIR_TIME && to->id == WEIR_INTERVAL) ||
           (from->id == WEIR_UUID && to->id == WEIR_BINARY);
}

weir_status weir_node_cast(struct weir_arena *arena, struct weir_node *node,
                           const struct weir_type *type, bool implicit, bool try,
                           struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *cast;
    if (weir_type_equal(&node->type, type, false)) {
        if (node->unknown) {
            /* may be shared with another place that reads it as another type */
            WEIR_TRY(weir_node_copy(arena, node, NULL, NULL, &node, reterr));
            node->unknown = false;
        }
        *ret_node = node;
        return WEIR_OK;
    }
    if (node->unknown && !weir_vector_valid(&node->value, 0)) {
        int location = node->location;
        WEIR_TRY(weir_node_null(arena, type, ret_node, reterr));
        (*ret_node)->location = location;
        return WEIR_OK;
    }
    if (!cast_exists(&node->type, type, implicit && !node->unknown))
        return weir_fail(reterr, WEIR_USAGE, "a %s cannot be %s a %s",
                         weir_type_name(node->type.id), implicit ? "used as" : "cast to",
                         weir_type_name(type->id));
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CAST, 1, node->location, &cast, reterr));
    cast->type = *type;
    cast->try = try;
    cast->arguments[0] = node;
    *ret_node = cast;
    if (node->kind != WEIR_NODE_CONSTANT)
        return WEIR_OK;
    struct weir_node *folded;
    WEIR_TRY(weir_node_fold(arena, cast, &folded, reterr));
    if (folded->kind == WEIR_NODE_CAST && node->unknown) {
        struct weir_bytes text = {(const uint8_t *)node->value.values,
                                  (size_t)node->value.offsets[1]};
        return weir_fail(reterr, WEIR_USAGE, "'%.*s' is no %s",
                         (int)(text.size > 60 ? 60 : text.size), (const char *)text.data,
                         weir_type_name(type->id));
    }
    *ret_node = folded;
    return WEIR_OK;
}

/* ---- one value at a time ---- */

struct cast {
    struct weir_evaluation *evaluation;
    const struct weir_node *node;
    const struct weir_type *from, *to;
    struct weir_vector *ret;
};

static weir_int128 power10(int digits)
{
    weir_int128 power = 1;
    while (digits-- > 0)
        power *= 10;
    return power;
}

static bool fits_decimal(weir_int128 value, const struct weir_type *type)
{
    weir_int128 limit = power10(type->precision);
    return value < limit && value > -limit;
}

static bool rescale(weir_int128 value, int from, const struct weir_type *to, weir_int128 *ret)
{
    if (to->scale >= from) {
        if (__builtin_mul_overflow(value, power10(to->scale - from), &value))
            return false;
    } else {
        weir_int128 power = power10(from - to->scale), rest = value % power;
        value /= power;
        if (rest >= power - power / 2 || rest * 2 >= power)
            value++;
        else if (-rest * 2 >= power)
            value--;
    }
    *ret = value;
    return fits_decimal(value, to);
}

static double decimal_to_double(weir_int128 value, int scale)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (value < (1LL << 53) && value > -(1LL << 53) && scale <= 22)
        return (double)(int64_t)value / powers[scale]; /* both exact: rounded once */
    char text[64];
    double real = 0;
    size_t size = weir_print_decimal(text, value, scale);
    return weir_text_double(text, size, &real) ? real : (double)value / pow(10, scale);
}

static bool double_to_decimal(double value, const struct weir_type *type, weir_int128 *ret)
{
    char text[40];
    if (!isfinite(value))
        return false;
    /* by its shortest text: 0.1 is 0.1 */
    char *end = text + weir_print_double(text, value);
    weir_int128 unscaled;
    for (int scale = 38; scale >= 0; scale--) { /* the digits there are, then rounded */
        if (scale > 30 && fabs(value) > 1e7)
            continue;
        if (weir_text_decimal(text, (size_t)(end - text), 38, scale, &unscaled))
            return rescale(unscaled, scale, type, ret);
    }
    double scaled = value * (double)power10(type->scale);
    if (fabs(scaled) >= 1e38)
        return false;
    *ret = (weir_int128)rint(scaled);
    return fits_decimal(*ret, type);
}

/* Integers in the middle: int, long, boolean, moments. */
static int64_t read_integer(const struct weir_lane *lane, uint32_t at)
{
    const struct weir_vector *flat = lane->flat;
    if (flat->type->id == WEIR_BOOLEAN)
        return weir_bit_get(flat->values, at);
    return weir_type_width(flat->type) == 4 ? ((const int32_t *)flat->values)[at]
                                            : ((const int64_t *)flat->values)[at];
}

static double read_real(const struct weir_lane *lane, uint32_t at)
{
    return lane->flat->type->id == WEIR_FLOAT ? ((const float *)lane->flat->values)[at]
                                              : ((const double *)lane->flat->values)[at];
}

static weir_int128 read_decimal(const struct weir_lane *lane, uint32_t at)
{
    weir_int128 value;
    memcpy(&value, (const uint8_t *)lane->flat->values + (size_t)at * 16, 16);
    return value;
}

static bool put_integer(const struct cast *cast, uint32_t row, int64_t value)
{
    if (weir_type_width(cast->to) == 4) {
        ((int32_t *)cast->ret->values)[row] = (int32_t)value;
        return value >= INT32_MIN && value <= INT32_MAX;
    }
    ((int64_t *)cast->ret->values)[row] = value;
    return true;
}

static bool put_real(const struct cast *cast, uint32_t row, double value)
{
    if (cast->to->id == WEIR_DOUBLE) {
        ((double *)cast->ret->values)[row] = value;
        return true;
    }
    ((float *)cast->ret->values)[row] = (float)value;
    return !isinf((float)value) || isinf(value);
}

static bool put_decimal(const struct cast *cast, uint32_t row, weir_int128 value)
{
    memcpy((uint8_t *)cast->ret->values + (size_t)row * 16, &value, 16);
    return true;
}

static bool from_integer(const struct cast *cast, int64_t value, uint32_t row)
{
    weir_int128 decimal;
    switch (cast->to->id) {
    case WEIR_BOOLEAN:
        if (value)
            weir_bit_set(cast->ret->values, row);
        return true;
    case WEIR_FLOAT: ((float *)cast->ret->values)[row] = (float)value; return true;
    case WEIR_DOUBLE: return put_real(cast, row, (double)value);
    case WEIR_DECIMAL:
        return rescale(value, 0, cast->to, &decimal) && put_decimal(cast, row, decimal);
    default: return put_integer(cast, row, value);
    }
}

static bool from_real(const struct cast *cast, double value, uint32_t row)
{
    weir_int128 decimal;
    if (cast->to->id == WEIR_FLOAT || cast->to->id == WEIR_DOUBLE)
        return put_real(cast, row, value);
    if (cast->to->id == WEIR_DECIMAL)
        return double_to_decimal(value, cast->to, &decimal) && put_decimal(cast, row, decimal);
    double whole = rint(value);
    if (!(whole >= -9223372036854775808.0 && whole < 9223372036854775808.0))
        return false;
    return put_integer(cast, row, (int64_t)whole);
}

static bool from_decimal(const struct cast *cast, weir_int128 value, uint32_t row)
{
    static const struct weir_type whole = {.id = WEIR_DECIMAL, .precision = 38};
    weir_int128 decimal;
    if (cast->to->id == WEIR_DECIMAL)
        return rescale(value, cast->from->scale, cast->to, &decimal) &&
               put_decimal(cast, row, decimal);
    if (cast->to->id == WEIR_FLOAT || cast->to->id == WEIR_DOUBLE)
        return put_real(cast, row, decimal_to_double(value, cast->from->scale));
    return rescale(value, cast->from->scale, &whole, &decimal) && decimal <= INT64_MAX &&
           decimal >= INT64_MIN && put_integer(cast, row, (int64_t)decimal);
}

static int64_t floor_day(int64_t micros)
{
    return micros >= 0 ? micros / DAY : -((DAY - 1 - micros) / DAY);
}

static bool from_moment(const struct cast *cast, int64_t value, uint32_t row)
{
    bool day = cast->from->id == WEIR_DATE;
    if (cast->to->id == WEIR_DATE)
        return put_integer(cast, row, day ? value : floor_day(value));
    if (cast->to->id == WEIR_TIME)
        return put_integer(cast, row, value - floor_day(value) * DAY);
    if (day && __builtin_mul_overflow(value, DAY, &value))
        return false;
    return put_integer(cast, row, value);
}

/* ---- from text ---- */

static struct weir_bytes trimmed(struct weir_bytes text)
{
    while (text.size && isspace(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size && isspace(text.data[text.size - 1]))
        text.size--;
    return text;
}

static bool text_boolean(struct weir_bytes text, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"true", true}, {"t", true},  {"yes", true},    {"y", true},
                 {"on", true},   {"1", true},  {"false", false}, {"f", false},
                 {"no", false},  {"n", false}, {"off", false},   {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].text) == text.size &&
            strncasecmp(words[i].text, (const char *)text.data, text.size) == 0) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

static bool text_real(const char *text, size_t size, double *ret)
{
    char with_zero[512];
    if (size && *text == '+') {
        text++;
        size--;
    }
    bool minus = size && *text == '-';
    const char *body = text + minus;
    size_t rest = size - minus;
    if ((rest == 3 && strncasecmp(body, "nan", 3) == 0)) {
        *ret = NAN;
        return true;
    }
    if ((rest == 8 && strncasecmp(body, "infinity", 8) == 0) ||
        (rest == 3 && strncasecmp(body, "inf", 3) == 0)) {
        *ret = minus ? -INFINITY : INFINITY;
        return true;
    }
    if (rest && rest < 500 && (*body == '.' || body[rest - 1] == '.')) { /* .5 and 5. */
        size_t used = 0;
        if (minus)
            with_zero[used++] = '-';
        if (*body == '.')
            with_zero[used++] = '0';
        memcpy(with_zero + used, body, rest);
        used += rest;
        if (body[rest - 1] == '.')
            with_zero[used++] = '0';
        return weir_text_double(with_zero, used, ret);
    }
    return weir_text_double(text, size, ret);
}

static bool text_decimal(const char *text, size_t size, const struct weir_type *type,
                         weir_int128 *ret)
{
    weir_int128 unscaled;
    double real;
    if (size && *text == '+') {
        text++;
        size--;
    }
    if (weir_text_decimal(text, size, type->precision, type->scale, ret))
        return true;
    for (int scale = type->scale + 1; scale <= 38; scale++) /* more digits than it has: rounded */
        if (weir_text_decimal(text, size, 38, scale, &unscaled))
            return rescale(unscaled, scale, type, ret);
    return text_real(text, size, &real) && fabs(real) < 1e38 && double_to_decimal(real, type, ret);
}

/* 2026-1-2 with its zeros, as PostgreSQL reads it too. */
static bool date_filled(const char *text, size_t size, char ret_full[16])
{
    char copy[10], rest;
    unsigned year, month, day;
    if (size < 8)
        return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    if (strspn(copy, "0123456789") != 4 || strspn(copy, "0123456789-") != size ||
        sscanf(copy, "%4u-%2u-%2u%c", &year, &month, &day, &rest) != 3)
        return false;
    snprintf(ret_full, 16, "%04u-%02u-%02u", year, month, day);
    return true;
}

static bool text_moment(const char *text, size_t size, enum weir_type_id id, int64_t *ret)
{
    char full[16];
    int32_t days;
    if (id == WEIR_TIME && size == 5) { /* 10:00 */
        memcpy(full, text, 5);
        memcpy(full + 5, ":00", 3);
        return weir_text_time(full, 8, ret);
    }
    if (id == WEIR_TIME)
        return weir_text_time(text, size, ret);
    if (id == WEIR_DATE && size < 10 && date_filled(text, size, full))
        return text_moment(full, 10, id, ret);
    if (id == WEIR_DATE) {
        if (weir_text_date(text, size, &days)) {
            *ret = days;
            return true;
        }
        if (!text_moment(text, size, WEIR_TIMESTAMP, ret))
            return false;
        *ret = floor_day(*ret);
        return true;
    }
    if (weir_text_timestamptz(text, size, ret) || weir_text_timestamp(text, size, ret))
        return true;
    if (size > 11 && (text[10] == ' ' || text[10] == 'T')) { /* 2024-01-01 10:00 */
        char longer[40];
        if (size == 16) {
            memcpy(longer, text, 16);
            memcpy(longer + 16, ":00", 3);
            return weir_text_timestamp(longer, 19, ret);
        }
    }
    if (!weir_text_date(text, size, &days))
        return false;
    *ret = days * DAY;
    return true;
}

static bool from_text(const struct cast *cast, struct weir_bytes raw, uint32_t row)
{
    struct weir_bytes text = trimmed(raw);
    const char *chars = (const char *)text.data;
    int64_t integer;
    double real;
    weir_int128 decimal;
    bool truth;
    struct weir_interval interval;
    switch (cast->to->id) {
    case WEIR_BOOLEAN:
        if (!text_boolean(text, &truth))
            return false;
        if (truth)
            weir_bit_set(cast->ret->values, row);
        return true;
    case WEIR_INT:
    case WEIR_LONG:
        if (text.size && *chars == '+') {
            chars++;
            text.size--;
        }
        return weir_text_int64(chars, text.size, &integer) && put_integer(cast, row, integer);
    case WEIR_FLOAT:
    case WEIR_DOUBLE: return text_real(chars, text.size, &real) && put_real(cast, row, real);
    case WEIR_DECIMAL:
        return text_decimal(chars, text.size, cast->to, &decimal) &&
               put_decimal(cast, row, decimal);
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        return text_moment(chars, text.size, cast->to->id, &integer) &&
               put_integer(cast, row, integer);
    case WEIR_UUID:
        return weir_text_uuid(chars, text.size, (uint8_t *)cast->ret->values + (size_t)row * 16);
    case WEIR_INTERVAL:
        if (!text_interval(chars, text.size, &interval))
            return false;
        memcpy((struct weir_interval *)cast->ret->values + row, &interval, sizeof interval);
        return true;
    default: return false;
    }
}

/* ---- loops ---- */

static bool cast_row(const struct cast *cast, const struct weir_lane *lane, uint32_t row)
{
    uint32_t at = weir_lane(lane, row);
    switch (cast->from->id) {
    case WEIR_STRING: return from_text(cast, weir_lane_bytes(lane, row), row);
    case WEIR_FLOAT:
    case WEIR_DOUBLE: return from_real(cast, read_real(lane, at), row);
    case WEIR_DECIMAL: return from_decimal(cast, read_decimal(lane, at), row);
    case WEIR_DATE:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return from_moment(cast, read_integer(lane, at), row);
    case WEIR_TIME: {
        struct weir_interval interval = {0, 0, read_integer(lane, at)};
        memcpy((struct weir_interval *)cast->ret->values + row, &interval, sizeof interval);
        return true;
    }
    case WEIR_BINARY:
    case WEIR_UUID: {
        struct weir_bytes bytes = weir_lane_bytes(lane, row);
        if (bytes.size == 16)
            memcpy((uint8_t *)cast->ret->values + (size_t)row * 16, bytes.data, 16);
        return bytes.size == 16;
    }
    default: return from_integer(cast, read_integer(lane, at), row);
    }
}

static weir_status lost_row(const struct cast *cast, uint32_t row, struct weir_error *reterr)
{
    struct weir_vector *ret = cast->ret;
    if (!cast->node->try)
        return cast->from->id == WEIR_STRING
                   ? weir_evaluation_fail(cast->evaluation, cast->node, row, reterr,
                                          "a text that is no %s", weir_type_name(cast->to->id))
                   : weir_evaluation_fail(cast->evaluation, cast->node, row, reterr,
                                          "%s out of range", weir_type_name(cast->to->id));
    uint8_t *validity;
    WEIR_TRY(expr_bitmap(cast->evaluation->arena, ret->count, true, &validity, reterr));
    if (ret->validity)
        memcpy(validity, ret->validity, ((size_t)ret->count + 7) / 8);
    weir_bit_clear(validity, row);
    ret->validity = validity;
    return WEIR_OK;
}

/* Days as microseconds; false where one is too far away, or what lies under a null seems so: then
 * each row is looked at. */
static bool whole_days(const int32_t *days, uint32_t count, int64_t *out)
{
    bool far = false;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (int64_t)((uint64_t)days[i] * (uint64_t)DAY);
        far |= days[i] > INT64_MAX / DAY || days[i] < INT64_MIN / DAY;
    }
    return !far;
}

/* The pairs that scans and arithmetic live on; false: not one of them. */
static bool quick(const struct cast *cast, const struct weir_vector *from)
{
    uint32_t count = cast->ret->count;
    const void *values = from->values;
    void *out = cast->ret->values;
    enum weir_type_id a = cast->from->id, b = cast->to->id;
    if (a == WEIR_INT && b == WEIR_LONG)
        for (uint32_t i = 0; i < count; i++)
            ((int64_t *)out)[i] = ((const int32_t *)values)[i];
    else if (a == WEIR_INT && b == WEIR_DOUBLE)
        for (uint32_t i = 0; i < count; i++)
            ((double *)out)[i] = ((const int32_t *)values)[i];
    else if (a == WEIR_LONG && b == WEIR_DOUBLE)
        for (uint32_t i = 0; i < count; i++)
            ((double *)out)[i] = (double)((const int64_t *)values)[i];
    else if (a == WEIR_FLOAT && b == WEIR_DOUBLE)
        for (uint32_t i = 0; i < count; i++)
            ((double *)out)[i] = ((const float *)values)[i];
    else if (a == WEIR_DATE && b != WEIR_DATE && b != WEIR_STRING)
        return whole_days(values, count, out);
    else if (a == WEIR_DECIMAL && b == WEIR_DECIMAL && cast->to->scale == cast->from->scale &&
             cast->to->precision >= cast->from->precision)
        memcpy(out, values, (size_t)count * 16);
    else if (a == WEIR_DECIMAL && b == WEIR_DOUBLE)
        for (uint32_t i = 0; i < count; i++)
            ((double *)out)[i] = decimal_to_double(((const weir_int128 *)values)[i],
                                                   cast->from->scale);
    else
        return false;
    return true;
}

static weir_status to_text(struct cast *cast, const struct weir_vector *from,
                           struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane lane = weir_lane_of(from);
    weir_status status = text_begin(&writer, cast->evaluation, cast->to, cast->ret, reterr);
    for (uint32_t i = 0; i < cast->ret->count && status == WEIR_OK; i++) {
        if (weir_lane_valid(&lane, i))
            status = weir_value_print(from, i, &writer.buffer, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* A list's elements, a struct's fields: cast as columns of their own. */
static weir_status cast_children(struct cast *cast, const struct weir_vector *from,
                                 struct weir_error *reterr)
{
    struct weir_vector flat, *ret = cast->ret;
    WEIR_TRY(weir_vector_flatten(cast->evaluation->arena, from, &flat, reterr));
    *ret = flat;
    ret->type = cast->to;
    WEIR_TRY(weir_arena_zero(cast->evaluation->arena, cast->to->child_count + 1,
                             sizeof *ret->children, &ret->children, reterr));
    for (uint32_t i = 0; i < cast->to->child_count; i++) {
        struct weir_vector child = flat.children[i];
        child.count = flat.offsets ? (flat.count ? (uint32_t)flat.offsets[flat.count] : 0)
                                   : flat.count;
        const struct weir_type *wanted = &cast->to->children[i].type;
        if (weir_type_equal(child.type, wanted, false)) {
            ret->children[i] = child;
            continue;
        }
        struct weir_node node = {.kind = WEIR_NODE_CAST,
                                 .type = *wanted,
                                 .try = cast->node->try,
                                 .location = cast->node->location};
        struct weir_evaluation inner = {.batch = cast->evaluation->batch,
                                        .arena = cast->evaluation->arena,
                                        .count = child.count};
        struct weir_node *kept;
        WEIR_TRY(weir_arena_alloc(inner.arena, sizeof *kept, &kept, reterr));
        *kept = node;
        WEIR_TRY(eval_cast(&inner, kept, &child, &ret->children[i], reterr));
        WEIR_TRY(weir_vector_flatten(inner.arena, &ret->children[i], &ret->children[i], reterr));
        for (uint32_t row = 0; inner.failed && row < flat.count; row++) {
            uint32_t first = flat.offsets ? (uint32_t)flat.offsets[row] : row,
                     last = flat.offsets ? (uint32_t)flat.offsets[row + 1] : row + 1;
            for (uint32_t e = first; e < last; e++)
                if (weir_bit_get(inner.failed, e) && weir_vector_valid(&flat, row))
                    WEIR_TRY(weir_evaluation_fail(cast->evaluation, cast->node, row, reterr, "%s",
                                                  inner.failed_text));
        }
    }
    return WEIR_OK;
}

weir_status eval_cast(struct weir_evaluation *evaluation, const struct weir_node *node,
                      const struct weir_vector *from, struct weir_vector *ret,
                      struct weir_error *reterr)
{
    struct weir_vector made = {.type = &node->type, .count = evaluation->count}, flat = *from;
    struct cast cast = {evaluation, node, from->type, &node->type, &made};
    if (weir_type_equal(cast.from, cast.to, false)) {
        *ret = *from;
        return WEIR_OK;
    }
    WEIR_TRY(expr_merge_validity(evaluation, from, &made.validity, reterr));
    if (cast.to->id == WEIR_STRING) {
        WEIR_TRY(to_text(&cast, from, reterr));
    } else if (weir_type_is_nested(cast.to->id)) {
        WEIR_TRY(cast_children(&cast, from, reterr));
    } else if (cast.to->id == WEIR_BINARY && cast.from->id != WEIR_STRING) {
        WEIR_TRY(bytes_to_binary(evaluation, from, &made, reterr));
    } else if (cast.to->id == WEIR_BINARY) {
        WEIR_TRY(weir_vector_flatten(evaluation->arena, from, &made, reterr));
        made.type = cast.to;
    } else {
        WEIR_TRY(weir_result_flat(evaluation, cast.to, &made, reterr));
        if (from->kind == WEIR_DICTIONARY && weir_type_width(cast.from))
            WEIR_TRY(weir_vector_flatten(evaluation->arena, from, &flat, reterr));
        struct weir_lane lane = weir_lane_of(&flat);
        if (flat.kind != WEIR_FLAT || !quick(&cast, &flat))
            for (uint32_t i = 0; i < evaluation->count; i++)
                if (weir_lane_valid(&lane, i) && !cast_row(&cast, &lane, i))
                    WEIR_TRY(lost_row(&cast, i, reterr));
    }
    expr_count_nulls(&made);
    *ret = made;
    return WEIR_OK;
}
