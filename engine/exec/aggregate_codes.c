/* Keys of few values: dictionaries, booleans, integers close to each other. Their values within a
 * batch are numbered without hashing; only one row of each number then looks for its group. */
#include "engine/exec/aggregate_int.h"

/* A key column's values as numbers 0..size-1; `null` is the number of null. */
struct key_codes {
    struct weir_lane lane;
    enum { CODES_CONSTANT, CODES_DICTIONARY, CODES_BOOLEAN, CODES_INT, CODES_LONG } way;
    int64_t lowest;
    uint32_t size, null;
};

static bool int_range(const struct weir_vector *key, uint32_t count, int64_t *low, int64_t *high)
{
    const int32_t *values = key->values;
    int32_t lowest = values[0], highest = values[0];
    for (uint32_t i = 0; i < count; i++) {
        lowest = values[i] < lowest ? values[i] : lowest;
        highest = values[i] > highest ? values[i] : highest;
    }
    *low = lowest;
    *high = highest;
    return true;
}

static bool long_range(const struct weir_vector *key, uint32_t count, int64_t *low, int64_t *high)
{
    const int64_t *values = key->values;
    int64_t lowest = values[0], highest = values[0];
    for (uint32_t i = 0; i < count; i++) {
        lowest = values[i] < lowest ? values[i] : lowest;
        highest = values[i] > highest ? values[i] : highest;
    }
    *low = lowest;
    *high = highest;
    return true;
}

/* Values under nulls may be anything: flat integers with nulls are left to the table. */
static bool key_codes_of(const struct weir_vector *key, uint32_t count, uint32_t most,
                         struct key_codes *codes)
{
    int64_t low = 0, high = 0;
    *codes = (struct key_codes){.lane = weir_lane_of(key), .size = 1};
    if (key->kind == WEIR_CONSTANT)
        return true;
    if (key->kind == WEIR_DICTIONARY) {
        codes->way = CODES_DICTIONARY;
        codes->null = key->dictionary->count;
        codes->size = key->dictionary->count + 1;
        return key->dictionary->count < most;
    }
    switch (key->type->id) {
    case WEIR_BOOLEAN:
        codes->way = CODES_BOOLEAN;
        codes->null = 2;
        codes->size = 3;
        return true;
    case WEIR_INT:
    case WEIR_DATE:
        codes->way = CODES_INT;
        if (key->validity || !int_range(key, count, &low, &high))
            return false;
        break;
    case WEIR_LONG:
        codes->way = CODES_LONG;
        if (key->validity || !long_range(key, count, &low, &high))
            return false;
        break;
    default: return false;
    }
    if ((uint64_t)high - (uint64_t)low >= most)
        return false;
    codes->lowest = low;
    codes->size = (uint32_t)(high - low) + 1;
    return true;
}

static void add_codes(const struct key_codes *key, uint32_t factor, uint32_t count, uint32_t *codes)
{
    const struct weir_lane *lane = &key->lane;
    switch (key->way) {
    case CODES_CONSTANT: break;
    case CODES_DICTIONARY:
        for (uint32_t i = 0; !lane->validity && i < count; i++)
            codes[i] += factor * lane->indices[i];
        for (uint32_t i = 0; lane->validity && i < count; i++)
            codes[i] += factor * (weir_bit_get(lane->validity, i) ? lane->indices[i] : key->null);
        break;
    case CODES_BOOLEAN:
        for (uint32_t i = 0; i < count; i++)
            codes[i] += factor * (weir_lane_valid(lane, i)
                                      ? (uint32_t)weir_bit_get(lane->flat->values, i)
                                      : key->null);
        break;
    case CODES_INT:
        for (uint32_t i = 0; i < count; i++)
            codes[i] += factor * (uint32_t)(((const int32_t *)lane->flat->values)[i] - key->lowest);
        break;
    case CODES_LONG:
        for (uint32_t i = 0; i < count; i++)
            codes[i] += factor * (uint32_t)(((const int64_t *)lane->flat->values)[i] - key->lowest);
        break;
    }
}

bool aggregate_codes(const struct weir_vector *keys, uint32_t key_count, uint32_t count,
                     uint32_t most, uint32_t *codes, uint32_t *ret_codes)
{
    struct key_codes ways[8];
    uint64_t product = 1;
    if (key_count > 8 || count == 0)
        return false;
    for (uint32_t k = 0; k < key_count; k++) {
        if (!key_codes_of(&keys[k], count, most, &ways[k]))
            return false;
        product *= ways[k].size;
        if (product > most)
            return false;
    }
    memset(codes, 0, count * sizeof *codes);
    for (uint32_t k = 0, factor = 1; k < key_count; k++) {
        add_codes(&ways[k], factor, count, codes);
        factor *= ways[k].size;
    }
    *ret_codes = (uint32_t)product;
    return true;
}
