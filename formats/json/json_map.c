/* Repeated keys of one map: found by comparing the key column's rows, by hashing when there are
 * many. */
#include "formats/json/json_int.h"

#include <string.h>

#define FEW_ENTRIES 16 /* up to here every pair is compared */

static const uint8_t *key_bytes(const struct json_node *key, uint32_t row, size_t *ret_size)
{
    if (key->offsets) {
        *ret_size = (size_t)(key->offsets[row + 1] - key->offsets[row]);
        return key->values + key->offsets[row];
    }
    *ret_size = key->width;
    return key->values + (size_t)row * key->width;
}

static bool same_key(const struct json_node *key, uint32_t a, uint32_t b)
{
    size_t size_a, size_b;
    const uint8_t *bytes_a = key_bytes(key, a, &size_a), *bytes_b = key_bytes(key, b, &size_b);

    return size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
}

static bool block_larger(struct weir_json_decoder *decoder, void *block, size_t size)
{
    weir_status status = weir_realloc(block, decoder->account, size, &decoder->error);

    return status == WEIR_OK || json_out_of_memory(decoder, status);
}

/* An empty table of at least twice `entries` slots; *ret_mask. */
static bool table_ready(struct weir_json_decoder *decoder, size_t entries, size_t *ret_mask)
{
    size_t slots = 64;

    while (slots < entries * 2)
        slots *= 2;
    if (slots > decoder->map_table_capacity) {
        if (!block_larger(decoder, &decoder->map_table, slots * sizeof *decoder->map_table))
            return false;
        decoder->map_table_capacity = slots;
    }
    memset(decoder->map_table, 0xFF, slots * sizeof *decoder->map_table);
    *ret_mask = slots - 1;
    return true;
}

/* Marks overridden entries in dead[] (may be NULL: then stops at the first). *ret_repeats: whether
 * there are any. */
static bool find_repeats(struct weir_json_decoder *decoder, const struct json_node *key,
                         uint32_t start, uint8_t *dead, bool *ret_repeats)
{
    size_t mask;

    *ret_repeats = false;
    if (!table_ready(decoder, key->count - start, &mask))
        return false;
    for (uint32_t row = start; row < key->count; row++) {
        size_t size;
        const uint8_t *bytes = key_bytes(key, row, &size);
        size_t slot = json_hash(decoder->seed, bytes, size) & mask;
        while (decoder->map_table[slot] != UINT32_MAX &&
               !same_key(key, decoder->map_table[slot], row))
            slot = (slot + 1) & mask;
        if (decoder->map_table[slot] != UINT32_MAX) {
            *ret_repeats = true;
            if (!dead)
                return true;
            dead[decoder->map_table[slot] - start] = 1;
        }
        decoder->map_table[slot] = row;
    }
    return true;
}

bool json_map_repeats(struct weir_json_decoder *decoder, const struct json_node *key,
                      uint32_t start)
{
    bool repeats;

    if (key->count - start > FEW_ENTRIES)
        return !find_repeats(decoder, key, start, NULL, &repeats) || repeats;
    for (uint32_t a = start; a < key->count; a++)
        for (uint32_t b = a + 1; b < key->count; b++)
            if (same_key(key, a, b))
                return true;
    return false;
}

bool json_map_dead(struct weir_json_decoder *decoder, const struct json_node *key, uint32_t start,
                   size_t *ret_base)
{
    size_t base = decoder->map_dead_size, count = key->count - start;
    bool repeats;

    if (base + count > decoder->map_dead_capacity) {
        size_t capacity = (base + count) * 2 + 64;
        if (!block_larger(decoder, &decoder->map_dead, capacity))
            return false;
        decoder->map_dead_capacity = capacity;
    }
    if (count > 0)
        memset(decoder->map_dead + base, 0, count);
    if (count > 1 && !find_repeats(decoder, key, start, decoder->map_dead + base, &repeats))
        return false;
    decoder->map_dead_size = base + count;
    *ret_base = base;
    return true;
}
