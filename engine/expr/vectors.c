/* Vectors of any kind: slices, flat copies, order, hashes, text. */
#include "engine/base/limits.h"
#include "engine/expr/function_int.h"

#include <math.h>
#include <string.h>

weir_status expr_bitmap(struct weir_arena *arena, uint32_t count, bool ones, uint8_t **ret,
                        struct weir_error *reterr)
{
    size_t size = ((size_t)count + 63) / 64 * 8 + 64;
    WEIR_TRY(weir_arena_alloc(arena, size, ret, reterr));
    memset(*ret, ones ? 0xff : 0, size);
    return WEIR_OK;
}

void expr_pack_bits(const uint8_t *bytes, uint32_t count, uint8_t *bits)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        bits[i / 8] = (uint8_t)((eight * 0x0102040810204080u) >> 56);
    }
    if (i < count) {
        bits[i / 8] = 0;
        for (; i < count; i++)
            bits[i / 8] |= (uint8_t)(bytes[i] << (i & 7));
    }
}

void expr_count_nulls(struct weir_vector *vector)
{
    if (!vector->validity || vector->kind == WEIR_CONSTANT)
        return;
    vector->null_count = vector->count - (uint32_t)weir_bits_count(vector->validity, vector->count);
    if (vector->null_count == 0)
        vector->validity = NULL;
}

weir_status weir_vector_null(struct weir_arena *arena, const struct weir_type *type,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector null;
    WEIR_TRY(weir_vector_make(arena, type, 1, 0, &null, reterr));
    WEIR_TRY(weir_arena_zero(arena, 64, 1, &null.validity, reterr));
    if (null.offsets)
        null.offsets[1] = 0;
    if (null.values)
        memset(null.values, 0, weir_type_width(type) ? weir_type_width(type) : 1);
    for (uint32_t i = 0; type->id == WEIR_STRUCT && i < type->child_count; i++)
        WEIR_TRY(weir_vector_null(arena, &type->children[i].type, &null.children[i], reterr));
    for (uint32_t i = 0; type->id == WEIR_STRUCT && i < type->child_count; i++)
        null.children[i].kind = WEIR_FLAT;
    null.type = type;
    null.kind = WEIR_CONSTANT;
    null.count = 1;
    null.null_count = 1;
    *ret = null;
    return WEIR_OK;
}

/* ---- slices ---- */

static weir_status slice_validity(struct weir_arena *arena, const struct weir_vector *vector,
                                  const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                  struct weir_error *reterr)
{
    if (!vector->validity)
        return WEIR_OK;
    uint8_t *bytes;
    WEIR_TRY(expr_bitmap(arena, count, false, &out->validity, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (size_t)count + 64, &bytes, reterr));
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = vector->validity[rows[i] >> 3] >> (rows[i] & 7) & 1;
    expr_pack_bits(bytes, count, out->validity);
    expr_count_nulls(out);
    return WEIR_OK;
}

static weir_status slice_fixed(struct weir_arena *arena, const struct weir_vector *vector,
                               uint32_t width, const uint32_t *rows, uint32_t count,
                               struct weir_vector *out, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_alloc(arena, (size_t)count * width + 64, &out->values, reterr));
    for (uint32_t first = 0, end; first < count; first = end) {
        end = count - first < WEIR_CHECK_ROWS ? count : first + WEIR_CHECK_ROWS;
        WEIR_TRY(weir_arena_check(arena, reterr));
        if (width == 4) {
            const uint32_t *from = vector->values;
            uint32_t *to = out->values;
            for (uint32_t i = first; i < end; i++)
                to[i] = from[rows[i]];
        } else if (width == 8) {
            const uint64_t *from = vector->values;
            uint64_t *to = out->values;
            for (uint32_t i = first; i < end; i++)
                to[i] = from[rows[i]];
        } else {
            const uint8_t *from = vector->values;
            uint8_t *to = out->values;
            for (uint32_t i = first; i < end; i++)
                memcpy(to + (size_t)i * width, from + (size_t)rows[i] * width, width);
        }
    }
    return WEIR_OK;
}

static weir_status slice_dictionary(struct weir_arena *arena, const struct weir_vector *vector,
                                    const uint32_t *rows, uint32_t count, struct weir_vector *out,
                                    struct weir_error *reterr)
{
    out->kind = WEIR_DICTIONARY;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 16) * sizeof *out->indices, &out->indices,
                              reterr));
    if (vector->kind == WEIR_DICTIONARY) {
        for (uint32_t i = 0; i < count; i++)
            out->indices[i] = vector->indices[rows[i]];
        out->dictionary = vector->dictionary;
        return WEIR_OK;
    }
    memcpy(out->indices, rows, count * sizeof *rows);
    WEIR_TRY(weir_arena_alloc(arena, sizeof *out->dictionary, &out->dictionary, reterr));
    *out->dictionary = *vector;
    return WEIR_OK;
}

weir_status weir_vector_slice(struct weir_arena *arena, const struct weir_vector *vector,
                              const uint32_t *rows, uint32_t count, struct weir_vector *ret_vector,
                              struct weir_error *reterr)
{
    struct weir_vector out = {.type = vector->type, .kind = WEIR_FLAT, .count = count};
    uint32_t width = weir_type_width(vector->type);
    if (vector->kind == WEIR_CONSTANT) {
        out = *vector;
        out.count = count;
    } else if (weir_type_is_nested(vector->type->id)) {
        struct weir_selection selection = {count, rows};
        return weir_vector_gather(arena, vector, &selection, ret_vector, reterr);
    } else if (vector->kind == WEIR_DICTIONARY || vector->offsets) {
        WEIR_TRY(slice_validity(arena, vector, rows, count, &out, reterr));
        WEIR_TRY(slice_dictionary(arena, vector, rows, count, &out, reterr));
    } else {
        WEIR_TRY(slice_validity(arena, vector, rows, count, &out, reterr));
        if (vector->type->id == WEIR_BOOLEAN) {
            struct weir_selection selection = {count, rows};
            return weir_vector_gather(arena, vector, &selection, ret_vector, reterr);
        }
        WEIR_TRY(slice_fixed(arena, vector, width, rows, count, &out, reterr));
    }
    *ret_vector = out;
    return WEIR_OK;
}

weir_status weir_vector_flatten(struct weir_arena *arena, const struct weir_vector *vector,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    uint32_t count = vector->count, width = weir_type_width(vector->type);
    if (vector->kind == WEIR_FLAT) {
        *ret_vector = *vector;
        return WEIR_OK;
    }
    if (vector->kind == WEIR_DICTIONARY && width) {
        struct weir_vector out = {.type = vector->type,
                                  .kind = WEIR_FLAT,
                                  .count = count,
                                  .validity = vector->validity,
                                  .null_count = vector->null_count};
        WEIR_TRY(
            slice_fixed(arena, vector->dictionary, width, vector->indices, count, &out, reterr));
        *ret_vector = out;
        return WEIR_OK;
    }
    return weir_vector_gather(arena, vector, NULL, ret_vector, reterr);
}

/* ---- order ---- */

static int order_bytes(struct weir_bytes a, struct weir_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int order_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int order_intervals(const void *x, const void *y)
{
    struct weir_interval a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    weir_int128 left = ((weir_int128)a.months * 30 + a.days) * 86400000000LL + a.micros,
                right = ((weir_int128)b.months * 30 + b.days) * 86400000000LL + b.micros;
    return (left > right) - (left < right);
}

static int order_children(const struct weir_vector *a, uint32_t row_a, const struct weir_vector *b,
                          uint32_t row_b)
{
    struct weir_lane x = weir_lane_of(a), y = weir_lane_of(b);
    bool valid_a = weir_lane_valid(&x, row_a), valid_b = weir_lane_valid(&y, row_b);
    if (!valid_a || !valid_b) /* nulls inside are equal and last */
        return (int)valid_b - (int)valid_a;
    return weir_value_order(a, row_a, b, row_b);
}

static int order_nested(const struct weir_vector *a, uint32_t row_a, const struct weir_vector *b,
                        uint32_t row_b)
{
    int order = 0;
    uint32_t width = a->type->child_count;
    if (a->type->id == WEIR_STRUCT) {
        for (uint32_t i = 0; i < width && order == 0; i++)
            order = order_children(&a->children[i], row_a, &b->children[i], row_b);
        return order;
    }
    int32_t from_a = a->offsets[row_a], from_b = b->offsets[row_b];
    int32_t size_a = a->offsets[row_a + 1] - from_a, size_b = b->offsets[row_b + 1] - from_b;
    for (int32_t e = 0; e < size_a && e < size_b && order == 0; e++)
        for (uint32_t i = 0; i < width && order == 0; i++)
            order = order_children(&a->children[i], (uint32_t)(from_a + e), &b->children[i],
                                   (uint32_t)(from_b + e));
    return order ? order : (size_a > size_b) - (size_a < size_b);
}

#define ORDER(type)                                                                                \
    {                                                                                              \
        type p, q;                                                                                 \
        memcpy(&p, (const uint8_t *)x.flat->values + (size_t)at_a * sizeof p, sizeof p);           \
        memcpy(&q, (const uint8_t *)y.flat->values + (size_t)at_b * sizeof q, sizeof q);           \
        return (p > q) - (p < q);                                                                  \
    }

int weir_value_order(const struct weir_vector *a, uint32_t row_a, const struct weir_vector *b,
                     uint32_t row_b)
{
    struct weir_lane x = weir_lane_of(a), y = weir_lane_of(b);
    uint32_t at_a = weir_lane(&x, row_a), at_b = weir_lane(&y, row_b);
    switch (a->type->id) {
    case WEIR_BOOLEAN:
        return (int)weir_bit_get(x.flat->values, at_a) - (int)weir_bit_get(y.flat->values, at_b);
    case WEIR_INT:
    case WEIR_DATE: ORDER(int32_t)
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: ORDER(int64_t)
    case WEIR_DECIMAL: ORDER(weir_int128)
    case WEIR_FLOAT:
        return order_reals(((const float *)x.flat->values)[at_a],
                           ((const float *)y.flat->values)[at_b]);
    case WEIR_DOUBLE:
        return order_reals(((const double *)x.flat->values)[at_a],
                           ((const double *)y.flat->values)[at_b]);
    case WEIR_INTERVAL:
        return order_intervals((const uint8_t *)x.flat->values + (size_t)at_a * 16,
                               (const uint8_t *)y.flat->values + (size_t)at_b * 16);
    case WEIR_STRUCT:
    case WEIR_LIST:
    case WEIR_MAP: return order_nested(x.flat, at_a, y.flat, at_b);
    default: return order_bytes(weir_lane_bytes(&x, row_a), weir_lane_bytes(&y, row_b));
    }
}

/* ---- hashes ---- */

#define NULL_HASH 0x9E3779B97F4A7C15u

static inline uint64_t mix64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    return x;
}

static inline uint64_t combine(uint64_t before, uint64_t hash)
{
    return (before ^ (hash + 0x9E3779B97F4A7C15u + (before << 6) + (before >> 2))) *
           0xBF58476D1CE4E5B9u;
}

static uint64_t hash_bytes(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xCBF29CE484222325u ^ size, word;
    for (; size >= 8; size -= 8, data += 8) {
        memcpy(&word, data, 8);
        hash = (hash ^ word) * 0x9FB21C651E98DF25u;
        hash ^= hash >> 35;
    }
    word = 0;
    memcpy(&word, data, size);
    return mix64(hash ^ word);
}

static uint64_t hash_real(double value)
{
    uint64_t word;
    if (value == 0)
        value = 0; /* -0.0 */
    if (isnan(value))
        return mix64(0x7FF8000000000000u);
    memcpy(&word, &value, sizeof word);
    return mix64(word);
}

static uint64_t hash_value(const struct weir_vector *flat, uint32_t at);

static uint64_t hash_nested(const struct weir_vector *flat, uint32_t at)
{
    uint64_t hash = 0x51ED270B;
    uint32_t from = at, to = at + 1;
    if (flat->type->id != WEIR_STRUCT) {
        from = (uint32_t)flat->offsets[at];
        to = (uint32_t)flat->offsets[at + 1];
    }
    for (uint32_t row = from; row < to; row++)
        for (uint32_t i = 0; i < flat->type->child_count; i++) {
            const struct weir_vector *child = &flat->children[i];
            struct weir_lane lane = weir_lane_of(child);
            hash = combine(hash, weir_lane_valid(&lane, row)
                                     ? hash_value(lane.flat, weir_lane(&lane, row))
                                     : NULL_HASH);
        }
    return mix64(hash);
}

static uint64_t hash_value(const struct weir_vector *flat, uint32_t at)
{
    const uint8_t *values = flat->values;
    switch (flat->type->id) {
    case WEIR_BOOLEAN: return mix64(weir_bit_get(values, at) + 1u);
    case WEIR_INT:
    case WEIR_DATE: return mix64((uint64_t)(int64_t)((const int32_t *)flat->values)[at]);
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return mix64(((const uint64_t *)flat->values)[at]);
    case WEIR_FLOAT: return hash_real(((const float *)flat->values)[at]);
    case WEIR_DOUBLE: return hash_real(((const double *)flat->values)[at]);
    case WEIR_DECIMAL: {
        uint64_t words[2];
        memcpy(words, values + (size_t)at * 16, 16);
        return mix64(words[0] ^ (words[1] * 0x9FB21C651E98DF25u));
    }
    case WEIR_INTERVAL: {
        struct weir_interval interval;
        memcpy(&interval, values + (size_t)at * 16, 16);
        weir_int128 all = ((weir_int128)interval.months * 30 + interval.days) * 86400000000LL +
                          interval.micros;
        return mix64((uint64_t)all);
    }
    case WEIR_STRING:
    case WEIR_BINARY:
        return hash_bytes(values + flat->offsets[at],
                          (size_t)(flat->offsets[at + 1] - flat->offsets[at]));
    case WEIR_STRUCT:
    case WEIR_LIST:
    case WEIR_MAP: return hash_nested(flat, at);
    default: {
        uint32_t width = weir_type_width(flat->type);
        return hash_bytes(values + (size_t)at * width, width);
    }
    }
}

static void put_hash(uint64_t *hashes, uint32_t row, bool mix, uint64_t hash)
{
    hashes[row] = mix ? combine(hashes[row], hash) : hash;
}

static void hash_words(const struct weir_vector *vector, uint32_t count, bool mix, uint64_t *hashes)
{
    bool wide = weir_type_width(vector->type) == 8;
    const uint64_t *words = vector->values;
    const int32_t *narrow = vector->values;
    for (uint32_t i = 0; i < count && !mix; i++)
        hashes[i] = mix64(wide ? words[i] : (uint64_t)(int64_t)narrow[i]);
    for (uint32_t i = 0; i < count && mix; i++)
        hashes[i] = combine(hashes[i], mix64(wide ? words[i] : (uint64_t)(int64_t)narrow[i]));
}

void weir_vector_hash(const struct weir_vector *vector, uint32_t count, bool mix, uint64_t *hashes)
{
    struct weir_lane lane = weir_lane_of(vector);
    bool words = vector->kind == WEIR_FLAT && !vector->validity &&
                 (vector->type->id == WEIR_INT || vector->type->id == WEIR_LONG ||
                  (vector->type->id >= WEIR_DATE && vector->type->id <= WEIR_TIMESTAMPTZ));
    if (words) {
        hash_words(vector, count, mix, hashes);
        return;
    }
    if (vector->kind == WEIR_CONSTANT) {
        uint64_t hash = weir_lane_valid(&lane, 0) && count ? hash_value(lane.flat, 0) : NULL_HASH;
        for (uint32_t i = 0; i < count; i++)
            put_hash(hashes, i, mix, hash);
        return;
    }
    uint64_t small[256];
    if (vector->kind == WEIR_DICTIONARY && vector->dictionary->count <= 256 &&
        vector->dictionary->count <= count) {
        for (uint32_t i = 0; i < vector->dictionary->count; i++)
            small[i] = hash_value(vector->dictionary, i);
        for (uint32_t i = 0; i < count; i++)
            put_hash(hashes, i, mix,
                     weir_lane_valid(&lane, i) ? small[vector->indices[i]] : NULL_HASH);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        put_hash(hashes, i, mix,
                 weir_lane_valid(&lane, i) ? hash_value(lane.flat, weir_lane(&lane, i))
                                           : NULL_HASH);
}

/* ---- text ---- */

static weir_status print_interval(const void *value, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    struct weir_interval interval;
    memcpy(&interval, value, sizeof interval);
    int32_t years = interval.months / 12, months = interval.months % 12;
    size_t before = out->size;
    if (years)
        WEIR_TRY(weir_buffer_print(out, reterr, "%d year%s", years, years == 1 ? "" : "s"));
    if (months)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%d mon%s", out->size > before ? " " : "", months,
                                   months == 1 ? "" : "s"));
    if (interval.days)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%d day%s", out->size > before ? " " : "",
                                   interval.days, interval.days == 1 ? "" : "s"));
    if (interval.micros || out->size == before) {
        bool minus = interval.micros < 0;
        uint64_t micros = minus ? 0 - (uint64_t)interval.micros : (uint64_t)interval.micros;
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%s%02llu:%02llu:%02llu",
                                   out->size > before ? " " : "", minus ? "-" : "",
                                   (unsigned long long)(micros / 3600000000u),
                                   (unsigned long long)(micros / 60000000u % 60),
                                   (unsigned long long)(micros / 1000000u % 60)));
        char fraction[16];
        size_t size = 6;
        uint64_t rest = micros % 1000000u;
        if (rest) {
            for (size_t i = 6; i-- > 0; rest /= 10)
                fraction[i] = (char)('0' + rest % 10);
            while (fraction[size - 1] == '0')
                size--;
            WEIR_TRY(weir_buffer_print(out, reterr, ".%.*s", (int)size, fraction));
        }
    }
    return WEIR_OK;
}

static weir_status print_nested(const struct weir_vector *flat, uint32_t at,
                                struct weir_buffer *out, struct weir_error *reterr)
{
    bool is_struct = flat->type->id == WEIR_STRUCT, is_map = flat->type->id == WEIR_MAP;
    uint32_t from = is_struct ? at : (uint32_t)flat->offsets[at],
             to = is_struct ? at + 1 : (uint32_t)flat->offsets[at + 1];
    WEIR_TRY(weir_buffer_print(out, reterr, is_struct || is_map ? "{" : "["));
    for (uint32_t row = from; row < to; row++)
        for (uint32_t i = 0; i < flat->type->child_count; i++) {
            struct weir_lane lane = weir_lane_of(&flat->children[i]);
            if (is_map && i == 1)
                WEIR_TRY(weir_buffer_print(out, reterr, "="));
            else if (row > from || (is_struct && i))
                WEIR_TRY(weir_buffer_print(out, reterr, ", "));
            if (is_struct)
                WEIR_TRY(weir_buffer_print(out, reterr, "'%s': ", flat->type->children[i].name));
            if (!weir_lane_valid(&lane, row))
                WEIR_TRY(weir_buffer_print(out, reterr, "NULL"));
            else
                WEIR_TRY(weir_value_print(&flat->children[i], row, out, reterr));
        }
    return weir_buffer_print(out, reterr, is_struct || is_map ? "}" : "]");
}

/* Timestamps as SQL prints them: a space between date and time, +00 for the zone. */
static size_t sql_time(char *text, size_t size, bool zoned)
{
    char *t = memchr(text, 'T', size);
    if (t)
        *t = ' ';
    if (zoned && size && text[size - 1] == 'Z') {
        memcpy(text + size - 1, "+00", 3);
        size += 2;
    }
    return size;
}

weir_status weir_value_print(const struct weir_vector *vector, uint32_t row,
                             struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(vector);
    uint32_t at = weir_lane(&lane, row);
    const struct weir_vector *flat = lane.flat;
    char text[80];
    size_t size = 0;
    weir_int128 decimal;
    switch (vector->type->id) {
    case WEIR_BOOLEAN:
        return weir_buffer_print(out, reterr, weir_bit_get(flat->values, at) ? "true" : "false");
    case WEIR_INT: size = weir_print_int64(text, ((const int32_t *)flat->values)[at]); break;
    case WEIR_LONG: size = weir_print_int64(text, ((const int64_t *)flat->values)[at]); break;
    case WEIR_FLOAT: size = weir_print_float(text, ((const float *)flat->values)[at]); break;
    case WEIR_DOUBLE: size = weir_print_double(text, ((const double *)flat->values)[at]); break;
    case WEIR_DECIMAL:
        memcpy(&decimal, (const uint8_t *)flat->values + (size_t)at * 16, 16);
        size = weir_print_decimal(text, decimal, vector->type->scale);
        break;
    case WEIR_DATE: size = weir_print_date(text, ((const int32_t *)flat->values)[at]); break;
    case WEIR_TIME: size = weir_print_time(text, ((const int64_t *)flat->values)[at]); break;
    case WEIR_TIMESTAMP:
        size = sql_time(text, weir_print_timestamp(text, ((const int64_t *)flat->values)[at]),
                        false);
        break;
    case WEIR_TIMESTAMPTZ:
        size = sql_time(text, weir_print_timestamptz(text, ((const int64_t *)flat->values)[at]),
                        true);
        break;
    case WEIR_UUID:
        size = weir_print_uuid(text, (const uint8_t *)flat->values + (size_t)at * 16);
        break;
    case WEIR_INTERVAL:
        return print_interval((const uint8_t *)flat->values + (size_t)at * 16, out, reterr);
    case WEIR_STRUCT:
    case WEIR_LIST:
    case WEIR_MAP: return print_nested(flat, at, out, reterr);
    case WEIR_STRING: {
        struct weir_bytes bytes = weir_lane_bytes(&lane, row);
        return weir_buffer_append(out, bytes.data, bytes.size, reterr);
    }
    default: { /* binary: \x and hex, as PostgreSQL has it */
        struct weir_bytes bytes = weir_lane_bytes(&lane, row);
        WEIR_TRY(weir_buffer_print(out, reterr, "\\x"));
        WEIR_TRY(weir_buffer_reserve(out, bytes.size * 2 + 1, reterr));
        weir_print_hex((char *)out->data + out->size, bytes.data, bytes.size);
        out->size += bytes.size * 2;
        return WEIR_OK;
    }
    }
    return weir_buffer_append(out, text, size, reterr);
}
