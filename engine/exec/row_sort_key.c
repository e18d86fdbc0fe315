/* Sort keys: values as bytes in an order that memcmp sees.
 *
 * A key is one byte that places nulls (0 first, 1 value, 2 last) and the value's bytes, inverted
 * when descending. Keys of fixed width have that width for nulls too. Integers are big endian with
 * the sign flipped, doubles in IEEE's total order (NaN above all, -0.0 = 0.0), strings have 00
 * written as 00 FF and end in 00 00. Within values: a struct's children each have a mark (1 value,
 * 2 null); each element of a list has a mark and the list ends in 0; maps are lists of pairs. */
#include "engine/exec/row_int.h"

#include "engine/base/text.h"

#include <string.h>

#define CHUNK        256
#define KEY_SIZE_MAX (1u << 30)
#define MARK_END     0
#define MARK_VALUE   1
#define MARK_NULL    2

/* ---- numbers ---- */

static inline uint8_t *put32(uint8_t *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline uint8_t *put64(uint8_t *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline uint32_t order_of_float(float number)
{
    uint32_t bits;
    number = row_canonical_float(number);
    memcpy(&bits, &number, sizeof bits);
    return bits >> 31 && number == number ? ~bits : bits | 1u << 31;
}

static inline uint64_t order_of_double(double number)
{
    uint64_t bits;
    number = row_canonical_double(number);
    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 && number == number ? ~bits : bits | 1ull << 63;
}

static uint8_t *put_decimal(uint8_t *to, const void *from)
{
    uint64_t half[2];
    memcpy(half, from, sizeof half);
    to = put64(to, half[1] ^ 1ull << 63);
    return put64(to, half[0]);
}

/* By its length, a month as 30 days, as weir_value_order has it: '1 month' and '30 days' are equal.
 */
static uint8_t *put_interval(uint8_t *to, const void *from)
{
    int32_t parts[2]; /* months, days */
    int64_t micros;
    memcpy(parts, from, sizeof parts);
    memcpy(&micros, (const uint8_t *)from + sizeof parts, sizeof micros);
    weir_int128 length = ((weir_int128)parts[0] * 30 + parts[1]) * 86400000000LL + micros;
    return put_decimal(to, &length);
}

static uint8_t *put_bytes(uint8_t *to, const uint8_t *data, size_t size)
{
    while (size) {
        const uint8_t *zero = memchr(data, 0, size);
        size_t run = zero ? (size_t)(zero - data) : size;
        memcpy(to, data, run);
        to += run;
        data += run;
        size -= run;
        if (zero) {
            *to++ = 0;
            *to++ = 0xff;
            data++;
            size--;
        }
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

static uint64_t bytes_size(const uint8_t *data, size_t size)
{
    uint64_t total = (uint64_t)size + 2;
    for (size_t i = 0; i < size; i++)
        total += data[i] == 0;
    return total;
}

/* ---- one value ---- */

static uint64_t value_size(const struct weir_vector *flat, uint32_t at);

static uint64_t child_size(const struct weir_vector *child, uint32_t row)
{
    struct weir_lane lane = weir_lane_of(child);
    if (!weir_lane_valid(&lane, row))
        return 1;
    return 1 + value_size(lane.flat, weir_lane(&lane, row));
}

static uint64_t value_size(const struct weir_vector *flat, uint32_t at)
{
    const struct weir_type *type = flat->type;
    uint64_t size = 0;
    switch (type->id) {
    case WEIR_BOOLEAN: return 1;
    case WEIR_STRING:
    case WEIR_BINARY:
        return bytes_size((const uint8_t *)flat->values + flat->offsets[at],
                          (size_t)(flat->offsets[at + 1] - flat->offsets[at]));
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            size += child_size(&flat->children[i], at);
        return size;
    case WEIR_LIST:
    case WEIR_MAP:
        for (int32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++)
            for (uint32_t i = 0; i < type->child_count; i++)
                size += child_size(&flat->children[i], (uint32_t)e);
        return size + 1;
    default: return weir_type_width(type);
    }
}

static uint8_t *put_value(uint8_t *to, const struct weir_vector *flat, uint32_t at);

static uint8_t *put_child(uint8_t *to, const struct weir_vector *child, uint32_t row)
{
    struct weir_lane lane = weir_lane_of(child);
    bool valid = weir_lane_valid(&lane, row);
    *to++ = valid ? MARK_VALUE : MARK_NULL;
    return valid ? put_value(to, lane.flat, weir_lane(&lane, row)) : to;
}

static uint8_t *put_value(uint8_t *to, const struct weir_vector *flat, uint32_t at)
{
    const struct weir_type *type = flat->type;
    const uint8_t *values = flat->values;
    size_t width = weir_type_width(type);
    switch (type->id) {
    case WEIR_BOOLEAN: *to = weir_bit_get(values, at); return to + 1;
    case WEIR_INT:
    case WEIR_DATE: return put32(to, ((const uint32_t *)flat->values)[at] ^ 1u << 31);
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return put64(to, ((const uint64_t *)flat->values)[at] ^ 1ull << 63);
    case WEIR_FLOAT: return put32(to, order_of_float(((const float *)flat->values)[at]));
    case WEIR_DOUBLE: return put64(to, order_of_double(((const double *)flat->values)[at]));
    case WEIR_DECIMAL: return put_decimal(to, values + at * width);
    case WEIR_INTERVAL: return put_interval(to, values + at * width);
    case WEIR_STRING:
    case WEIR_BINARY:
        return put_bytes(to, values + flat->offsets[at],
                         (size_t)(flat->offsets[at + 1] - flat->offsets[at]));
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            to = put_child(to, &flat->children[i], at);
        return to;
    case WEIR_LIST:
    case WEIR_MAP:
        for (int32_t e = flat->offsets[at]; e < flat->offsets[at + 1]; e++)
            for (uint32_t i = 0; i < type->child_count; i++)
                to = put_child(to, &flat->children[i], (uint32_t)e);
        *to = MARK_END;
        return to + 1;
    default: memcpy(to, values + at * width, width); return to + width;
    }
}

/* ---- columns of keys ---- */

/* Bytes of a value if all values have as many; else 0. */
static uint32_t fixed_width(const struct weir_type *type)
{
    if (row_type_variable(type))
        return 0;
    return type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
}

weir_status weir_sort_keys_size(const struct weir_sort_key *keys, uint32_t key_count,
                                const struct weir_vector *columns, uint32_t count,
                                uint32_t *ret_sizes, struct weir_error *reterr)
{
    uint64_t fixed = 0, size;
    for (uint32_t k = 0; k < key_count; k++)
        fixed += 1 + (uint64_t)fixed_width(columns[keys[k].column].type);
    for (uint32_t i = 0; i < count; i++)
        ret_sizes[i] = (uint32_t)fixed;
    size = fixed;
    for (uint32_t k = 0; k < key_count && size <= KEY_SIZE_MAX; k++) {
        struct weir_lane lane = weir_lane_of(&columns[keys[k].column]);
        if (fixed_width(lane.flat->type))
            continue;
        for (uint32_t i = 0; i < count && size <= KEY_SIZE_MAX; i++) {
            if (!weir_lane_valid(&lane, i))
                continue;
            size = ret_sizes[i] + value_size(lane.flat, weir_lane(&lane, i));
            ret_sizes[i] = (uint32_t)size;
        }
    }
    if (size > KEY_SIZE_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY,
                         "a sort key of %llu bytes: more than %u cannot be held",
                         (unsigned long long)size, KEY_SIZE_MAX);
    return WEIR_OK;
}

/* Keys of 8 bytes that are integers: most there are. */
static void write_longs(const struct weir_lane *lane, uint32_t first, uint32_t count,
                        uint64_t invert, uint8_t null_mark, uint8_t **cursors)
{
    const uint64_t *values = lane->flat->values;
    for (uint32_t i = 0; i < count; i++) {
        bool valid = weir_lane_valid(lane, first + i);
        uint64_t value = valid ? values[weir_lane(lane, first + i)] ^ 1ull << 63 ^ invert : 0;
        *cursors[i] = valid ? MARK_VALUE : null_mark;
        cursors[i] = put64(cursors[i] + 1, value);
    }
}

static void write_values(const struct weir_lane *lane, uint32_t first, uint32_t count,
                         bool descending, uint8_t null_mark, uint8_t **cursors)
{
    uint32_t width = fixed_width(lane->flat->type);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *to = cursors[i];
        if (!weir_lane_valid(lane, first + i)) {
            *to = null_mark;
            memset(to + 1, 0, width);
            cursors[i] = to + 1 + width;
            continue;
        }
        *to = MARK_VALUE;
        cursors[i] = put_value(to + 1, lane->flat, weir_lane(lane, first + i));
        if (descending)
            for (uint8_t *at = to + 1; at < cursors[i]; at++)
                *at = (uint8_t) ~*at;
    }
}

void weir_sort_keys_write(const struct weir_sort_key *keys, uint32_t key_count,
                          const struct weir_vector *columns, uint32_t count, uint8_t *const *places)
{
    uint8_t *cursors[CHUNK];
    for (uint32_t first = 0; first < count; first += CHUNK) {
        uint32_t here = count - first < CHUNK ? count - first : CHUNK;
        memcpy(cursors, places + first, here * sizeof *cursors);
        for (uint32_t k = 0; k < key_count; k++) {
            struct weir_lane lane = weir_lane_of(&columns[keys[k].column]);
            enum weir_type_id id = lane.flat->type->id;
            uint8_t null_mark = keys[k].nulls_first ? 0 : MARK_NULL;
            if (id == WEIR_LONG || id == WEIR_TIME || id == WEIR_TIMESTAMP ||
                id == WEIR_TIMESTAMPTZ)
                write_longs(&lane, first, here, keys[k].descending ? UINT64_MAX : 0, null_mark,
                            cursors);
            else
                write_values(&lane, first, here, keys[k].descending, null_mark, cursors);
        }
    }
}
