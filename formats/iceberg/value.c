/* Single-value serialisation. Spec: Iceberg "Appendix D: Single-value serialization", binary form.
 */
#include "formats/iceberg/value_int.h"

#include "formats/iceberg/manifest.h"

#include <string.h>

size_t value_decimal_bytes(weir_int128 unscaled, uint8_t out[16])
{
    unsigned __int128 bits = (unsigned __int128)unscaled;
    for (int i = 15; i >= 0; i--, bits >>= 8)
        out[i] = (uint8_t)bits;
    size_t at = 0;
    while (at < 15 && (out[at] == 0 || out[at] == 0xff) && (out[at] >> 7) == (out[at + 1] >> 7))
        at++;
    return 16 - at;
}

weir_int128 value_decimal(const uint8_t *bytes, size_t size)
{
    unsigned __int128 bits = size && bytes[0] >> 7 ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | bytes[i];
    return (weir_int128)bits;
}

bool value_integer(const struct weir_bytes *bytes, int64_t *ret_value)
{
    int32_t narrow;
    if (bytes->size == 8) {
        memcpy(ret_value, bytes->data, 8);
        return true;
    }
    if (bytes->size != 4)
        return false;
    memcpy(&narrow, bytes->data, 4);
    *ret_value = narrow;
    return true;
}

bool value_real(const struct weir_bytes *bytes, double *ret_value)
{
    float narrow;
    if (bytes->size == 8) {
        memcpy(ret_value, bytes->data, 8);
        return true;
    }
    if (bytes->size != 4)
        return false;
    memcpy(&narrow, bytes->data, 4);
    *ret_value = (double)narrow;
    return true;
}

size_t value_decimal_width(int precision)
{
    weir_int128 largest = 0;
    for (int i = 0; i < precision && i < 38; i++)
        largest = largest * 10 + 9;
    uint8_t bytes[16];
    return value_decimal_bytes(largest, bytes);
}

int value_compare(const struct weir_type *type, const struct weir_bytes *a,
                  const struct weir_bytes *b)
{
    int64_t x, y;
    double p, q;
    switch (type->id) {
    case WEIR_INT:
    case WEIR_LONG:
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        if (value_integer(a, &x) && value_integer(b, &y))
            return (x > y) - (x < y);
        break;
    case WEIR_FLOAT:
    case WEIR_DOUBLE:
        if (value_real(a, &p) && value_real(b, &q))
            return (p > q) - (p < q);
        break;
    case WEIR_DECIMAL:
        if (a->size >= 1 && a->size <= 16 && b->size >= 1 && b->size <= 16) {
            weir_int128 m = value_decimal(a->data, a->size), n = value_decimal(b->data, b->size);
            return (m > n) - (m < n);
        }
        break;
    default: break;
    }
    size_t shorter = a->size < b->size ? a->size : b->size;
    int order = shorter ? memcmp(a->data, b->data, shorter) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* The row of a flat vector that row `row` of any vector stands for; NULL for a null. */
static const struct weir_vector *resolve(const struct weir_vector *values, uint32_t *row)
{
    if (!weir_vector_valid(values, *row))
        return NULL;
    if (values->kind == WEIR_CONSTANT)
        *row = 0;
    if (values->kind != WEIR_DICTIONARY)
        return values;
    *row = values->indices[*row];
    return values->dictionary;
}

weir_status weir_value_binary(struct weir_arena *arena, const struct weir_vector *values,
                              uint32_t row, struct weir_bytes *ret_bytes, struct weir_error *reterr)
{
    uint8_t scratch[16];
    const uint8_t *from;
    size_t size = weir_type_width(values->type);
    const struct weir_vector *flat = resolve(values, &row);
    if (!flat) {
        *ret_bytes = (struct weir_bytes){0};
        return WEIR_OK;
    }
    switch (flat->type->id) {
    case WEIR_BOOLEAN:
        scratch[0] = weir_bit_get(flat->values, row);
        from = scratch;
        size = 1;
        break;
    case WEIR_STRING:
    case WEIR_BINARY:
        from = (const uint8_t *)flat->values + flat->offsets[row];
        size = (size_t)(flat->offsets[row + 1] - flat->offsets[row]);
        break;
    case WEIR_DECIMAL: {
        weir_int128 unscaled;
        memcpy(&unscaled, (const uint8_t *)flat->values + (size_t)row * 16, 16);
        size = value_decimal_bytes(unscaled, scratch);
        from = scratch + 16 - size;
        break;
    }
    case WEIR_STRUCT:
    case WEIR_LIST:
    case WEIR_MAP:
    case WEIR_INTERVAL:
        return weir_fail(reterr, WEIR_USAGE, "a %s has no single-value form",
                         weir_type_name(flat->type->id));
    default: from = (const uint8_t *)flat->values + (size_t)row * size;
    }
    char *copy;
    WEIR_TRY(weir_arena_copy(arena, from, size, &copy, reterr));
    *ret_bytes = (struct weir_bytes){(const uint8_t *)copy, size};
    return WEIR_OK;
}
