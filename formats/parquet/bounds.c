/* Least and greatest of values, in Parquet's order, and their two written forms: Parquet's PLAIN
 * bytes and Iceberg's single-value binary. Specs: parquet.thrift ColumnOrder; Iceberg Appendix D,
 * "Binary single-value serialization". */
#include "formats/parquet/parquet_int.h"

#include <math.h>
#include <string.h>

enum parquet_order parquet_order_of(const struct parquet_leaf *leaf)
{
    switch (leaf->physical) {
    case PARQUET_BOOLEAN: return PARQUET_ORDER_BOOLEAN;
    case PARQUET_INT32: return PARQUET_ORDER_INT32;
    case PARQUET_INT64: return PARQUET_ORDER_INT64;
    case PARQUET_FLOAT: return PARQUET_ORDER_FLOAT;
    case PARQUET_DOUBLE: return PARQUET_ORDER_DOUBLE;
    default: return leaf->type->id == WEIR_DECIMAL ? PARQUET_ORDER_DECIMAL : PARQUET_ORDER_BYTES;
    }
}

static int compare_bytes(struct weir_bytes a, struct weir_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Big-endian two's complement of one width: the first byte is signed, the rest are not. */
static int compare_decimal(struct weir_bytes a, struct weir_bytes b)
{
    int8_t x = (int8_t)a.data[0], y = (int8_t)b.data[0];
    return x != y ? (x > y) - (x < y) : memcmp(a.data, b.data, a.size);
}

int parquet_compare(enum parquet_order order, const union parquet_value *a,
                    const union parquet_value *b)
{
    switch (order) {
    case PARQUET_ORDER_BOOLEAN:
    case PARQUET_ORDER_INT32: return (a->int32 > b->int32) - (a->int32 < b->int32);
    case PARQUET_ORDER_INT64: return (a->int64 > b->int64) - (a->int64 < b->int64);
    case PARQUET_ORDER_FLOAT: return (a->float32 > b->float32) - (a->float32 < b->float32);
    case PARQUET_ORDER_DOUBLE: return (a->float64 > b->float64) - (a->float64 < b->float64);
    case PARQUET_ORDER_DECIMAL: return compare_decimal(a->bytes, b->bytes);
    default: return compare_bytes(a->bytes, b->bytes);
    }
}

void parquet_range_merge(enum parquet_order order, struct parquet_range *into,
                         const struct parquet_range *from)
{
    if (!from->set)
        return;
    if (!into->set) {
        *into = *from;
        return;
    }
    if (parquet_compare(order, &from->lower, &into->lower) < 0)
        into->lower = from->lower;
    if (parquet_compare(order, &from->upper, &into->upper) > 0)
        into->upper = from->upper;
}

void parquet_range_add_bytes(struct parquet_range *range, enum parquet_order order,
                             struct weir_bytes bytes)
{
    struct parquet_range one = {.set = true, .lower.bytes = bytes, .upper.bytes = bytes};
    parquet_range_merge(order, range, &one);
}

static struct parquet_range range_int32(const int32_t *values, size_t count)
{
    int32_t lower = values[0], upper = values[0];
    for (size_t i = 1; i < count; i++) {
        lower = values[i] < lower ? values[i] : lower;
        upper = values[i] > upper ? values[i] : upper;
    }
    return (struct parquet_range){.set = true, .lower.int32 = lower, .upper.int32 = upper};
}

static struct parquet_range range_int64(const int64_t *values, size_t count)
{
    int64_t lower = values[0], upper = values[0];
    for (size_t i = 1; i < count; i++) {
        lower = values[i] < lower ? values[i] : lower;
        upper = values[i] > upper ? values[i] : upper;
    }
    return (struct parquet_range){.set = true, .lower.int64 = lower, .upper.int64 = upper};
}

static struct parquet_range range_boolean(const uint8_t *values, size_t count)
{
    bool any = memchr(values, 1, count) != NULL, none = memchr(values, 0, count) != NULL;
    return (struct parquet_range){.set = true, .lower.int32 = !none, .upper.int32 = any};
}

/* Zero bounds are written as -0 and +0, so that a reader that tells them apart still finds both.
 * Comparisons with NaN are false, which passes it over. */
static struct parquet_range range_float(const float *values, size_t count, uint64_t *nan_count)
{
    float lower = INFINITY, upper = -INFINITY;
    size_t nans = 0;
    for (size_t i = 0; i < count; i++) {
        lower = values[i] < lower ? values[i] : lower;
        upper = values[i] > upper ? values[i] : upper;
        nans += values[i] != values[i];
    }
    *nan_count += nans;
    return (struct parquet_range){.set = nans < count,
                                  .lower.float32 = lower == 0 ? -0.0f : lower,
                                  .upper.float32 = upper == 0 ? 0.0f : upper};
}

static struct parquet_range range_double(const double *values, size_t count, uint64_t *nan_count)
{
    double lower = INFINITY, upper = -INFINITY;
    size_t nans = 0;
    for (size_t i = 0; i < count; i++) {
        lower = values[i] < lower ? values[i] : lower;
        upper = values[i] > upper ? values[i] : upper;
        nans += values[i] != values[i];
    }
    *nan_count += nans;
    return (struct parquet_range){.set = nans < count,
                                  .lower.float64 = lower == 0 ? -0.0 : lower,
                                  .upper.float64 = upper == 0 ? 0.0 : upper};
}

void parquet_range_fixed(const struct parquet_leaf *leaf, const void *values, size_t count,
                         struct parquet_range *range, uint64_t *nan_count)
{
    if (count == 0)
        return;
    enum parquet_order order = parquet_order_of(leaf);
    struct parquet_range here = {0};
    switch (order) {
    case PARQUET_ORDER_BOOLEAN: here = range_boolean(values, count); break;
    case PARQUET_ORDER_INT32: here = range_int32(values, count); break;
    case PARQUET_ORDER_INT64: here = range_int64(values, count); break;
    case PARQUET_ORDER_FLOAT: here = range_float(values, count, nan_count); break;
    case PARQUET_ORDER_DOUBLE: here = range_double(values, count, nan_count); break;
    default:
        for (size_t i = 0; i < count; i++)
            parquet_range_add_bytes(
                &here, order,
                (struct weir_bytes){(const uint8_t *)values + i * leaf->width, leaf->width});
    }
    parquet_range_merge(order, range, &here);
}

/* ---- cutting
 * ---------------------------------------------------------------------------------------------------
 */

/* Bytes of the first `characters` code points. */
static size_t text_prefix(struct weir_bytes text, size_t characters)
{
    size_t at = 0;
    for (size_t seen = 0; at < text.size; at++)
        if ((text.data[at] & 0xc0) != 0x80 && seen++ == characters)
            break;
    return at;
}

static size_t text_boundary(struct weir_bytes text, size_t limit)
{
    while (limit > 0 && limit < text.size && (text.data[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

/* The code point that ends at data[size), where it starts, or UINT32_MAX if the bytes are not
 * UTF-8. */
static uint32_t last_character(const uint8_t *data, size_t size, size_t *ret_start)
{
    size_t start = size - 1;
    while (start > 0 && size - start < 4 && (data[start] & 0xc0) == 0x80)
        start--;
    *ret_start = start;
    uint8_t lead = data[start];
    size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    if (length != size - start)
        return UINT32_MAX;
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = lead & masks[length];
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (data[start + i] & 0x3f);
    return character;
}

static size_t put_character(uint8_t *to, uint32_t character)
{
    if (character < 0x80) {
        to[0] = (uint8_t)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; character >>= 6)
        to[i] = (uint8_t)(0x80 | (character & 0x3f));
    to[0] = (uint8_t)(leads[length] | character);
    return length;
}

/* Makes the prefix greater than anything it begins; 0 if there is nothing greater. data has 4 bytes
 * of room behind. */
static size_t round_up_text(uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t start;
        uint32_t character = last_character(data, size, &start);
        if (character == UINT32_MAX)
            return 0;
        if (character < 0x10ffff) {
            character = character == 0xd7ff ? 0xe000
                                            : character + 1; /* surrogates are no characters */
            return start + put_character(data + start, character);
        }
        size = start;
    }
    return 0;
}

static size_t round_up_binary(uint8_t *data, size_t size)
{
    while (size > 0 && data[size - 1] == 0xff)
        size--;
    if (size > 0)
        data[size - 1]++;
    return size;
}

/* First `size` bytes, rounded up if `upper`; data stays NULL if that cannot be. */
static weir_status cut_bytes(struct weir_arena *arena, bool text, struct weir_bytes bytes,
                             size_t size, bool upper, struct weir_bytes *ret_bytes,
                             struct weir_error *reterr)
{
    uint8_t *copy;
    WEIR_TRY(weir_arena_alloc(arena, size + 8, &copy, reterr));
    if (size)
        memcpy(copy, bytes.data, size);
    if (upper && size < bytes.size) {
        size = text ? round_up_text(copy, size) : round_up_binary(copy, size);
        if (size == 0)
            return WEIR_OK;
    }
    *ret_bytes = (struct weir_bytes){copy, size};
    return WEIR_OK;
}

static weir_status copy_number(struct weir_arena *arena, const void *data, size_t size,
                               struct weir_bytes *ret_bytes, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(arena, data, size, &copy, reterr));
    *ret_bytes = (struct weir_bytes){(const uint8_t *)copy, size};
    return WEIR_OK;
}

weir_status parquet_bound_plain(struct weir_arena *arena, const struct parquet_leaf *leaf,
                                const union parquet_value *value, bool upper, size_t limit,
                                struct weir_bytes *ret_bytes, bool *ret_exact,
                                struct weir_error *reterr)
{
    *ret_exact = true;
    if (leaf->physical == PARQUET_BOOLEAN)
        return copy_number(arena, &(uint8_t){value->int32 != 0}, 1, ret_bytes, reterr);
    if (leaf->physical != PARQUET_BYTE_ARRAY && leaf->physical != PARQUET_FIXED)
        return copy_number(arena, value, leaf->width, ret_bytes, reterr);
    bool text = leaf->type->id == WEIR_STRING;
    size_t size = value->bytes.size;
    struct weir_bytes made = {0};
    if (limit && size > limit && leaf->physical == PARQUET_BYTE_ARRAY) {
        size = text ? text_boundary(value->bytes, limit) : limit;
        *ret_exact = false;
    }
    WEIR_TRY(cut_bytes(arena, text, value->bytes, size, upper, &made, reterr));
    if (!made.data) {
        *ret_exact = true;
        WEIR_TRY(cut_bytes(arena, text, value->bytes, value->bytes.size, upper, &made, reterr));
    }
    *ret_bytes = made;
    return WEIR_OK;
}

/* Iceberg's decimal: the fewest big-endian two's complement bytes. */
static weir_status decimal_iceberg(struct weir_arena *arena, const struct parquet_leaf *leaf,
                                   const union parquet_value *value, struct weir_bytes *ret_bytes,
                                   struct weir_error *reterr)
{
    uint8_t bytes[16];
    const uint8_t *data = bytes;
    size_t size = leaf->width;
    if (leaf->physical == PARQUET_FIXED) {
        data = value->bytes.data;
    } else {
        int64_t number = leaf->physical == PARQUET_INT32 ? value->int32 : value->int64;
        size = 8;
        for (size_t i = 8; i-- > 0; number >>= 8)
            bytes[i] = (uint8_t)number;
    }
    while (size > 1 && ((data[0] == 0 && data[1] < 0x80) || (data[0] == 0xff && data[1] >= 0x80))) {
        data++;
        size--;
    }
    return copy_number(arena, data, size, ret_bytes, reterr);
}

weir_status parquet_bound_iceberg(struct weir_arena *arena, const struct parquet_leaf *leaf,
                                  const union parquet_value *value, bool upper,
                                  struct weir_bytes *ret_bytes, struct weir_error *reterr)
{
    enum weir_type_id id = leaf->type->id;
    bool exact;
    if (id == WEIR_DECIMAL)
        return decimal_iceberg(arena, leaf, value, ret_bytes, reterr);
    if (id != WEIR_STRING && id != WEIR_BINARY && id != WEIR_FIXED)
        return parquet_bound_plain(arena, leaf, value, upper, 0, ret_bytes, &exact, reterr);
    bool text = id == WEIR_STRING;
    size_t size = value->bytes.size;
    if (text)
        size = text_prefix(value->bytes, PARQUET_METRIC_BOUND);
    else if (size > PARQUET_METRIC_BOUND)
        size = PARQUET_METRIC_BOUND;
    return cut_bytes(arena, text, value->bytes, size, upper, ret_bytes, reterr);
}
