/* Values of a column chunk, each different one once: an open hash table over the whole chunk, given
 * up as soon as it is clear that it will not win. Values are told apart by their bits, so that -0
 * and NaNs come back as they were. */
#include "formats/parquet/parquet_int.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS_FIRST 1024

struct builder {
    const struct parquet_column *column;
    struct parquet_dictionary *dictionary;
    uint64_t *slots;     /* hash << 32 | entry + 1; 0 = free. The hash spares most comparisons, and
                            serves to grow */
    uint32_t slot_count; /* a power of two, at least twice the entries */
};

static inline uint64_t hash_fixed(const uint8_t *value, size_t width)
{
    uint64_t word = 0;
    if (width == 8) {
        memcpy(&word, value, 8);
    } else if (width == 4) {
        memcpy(&word, value, 4);
    } else {
        return XXH3_64bits(value, width);
    }
    /* Round doubles end in zeros, times in multiples of a thousand: the high bits must come down
     * before and after. */
    word = (word ^ word >> 32) * 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 29) * 0xbf58476d1ce4e5b9u;
    return word ^ word >> 32;
}

static inline uint64_t load(const uint8_t *data, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, data, size);
    return word;
}

/* Up to 16 bytes as two words that, with the size, tell them apart: overlapping loads instead of a
 * loop. */
static inline void short_words(const uint8_t *data, size_t size, uint64_t *ret_first,
                               uint64_t *ret_last)
{
    if (size >= 8) {
        *ret_first = load(data, 8);
        *ret_last = load(data + size - 8, 8);
    } else if (size >= 4) {
        *ret_first = load(data, 4);
        *ret_last = load(data + size - 4, 4);
    } else {
        *ret_first = size ? data[0] | (uint64_t)data[size / 2] << 8 | (uint64_t)data[size - 1] << 16
                          : 0;
        *ret_last = 0;
    }
}

static inline uint64_t hash_string(const uint8_t *data, size_t size)
{
    if (size > 16)
        return XXH3_64bits(data, size);
    uint64_t first, last;
    short_words(data, size, &first, &last);
    unsigned __int128 product = (unsigned __int128)(first ^ 0x9e3779b97f4a7c15u) *
                                (last ^ 0xbf58476d1ce4e5b9u ^ (uint64_t)size << 56);
    uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);
    mixed = (mixed ^ first) *
            0x94d049bb133111ebu; /* one factor may be zero: the first word counts again */
    return mixed ^ mixed >> 32;
}

static inline bool same_string(struct weir_bytes a, const uint8_t *data, size_t size)
{
    if (a.size != size)
        return false;
    if (size > 16)
        return memcmp(a.data, data, size) == 0;
    uint64_t x, y, first, last;
    short_words(a.data, size, &x, &y);
    short_words(data, size, &first, &last);
    return x == first && y == last;
}

static weir_status builder_grow(struct builder *builder, struct weir_error *reterr)
{
    uint32_t count = builder->slot_count ? builder->slot_count * 2 : SLOTS_FIRST;
    uint64_t *old = builder->slots, *slots;
    WEIR_TRY(weir_alloc_zero(builder->column->account, count, sizeof *slots, &slots, reterr));
    for (uint32_t i = 0; i < builder->slot_count; i++) {
        if (!old[i])
            continue;
        uint32_t at = (uint32_t)(old[i] >> 32) & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = old[i];
    }
    weir_free(old);
    builder->slots = slots;
    builder->slot_count = count;
    return WEIR_OK;
}

static weir_status builder_insert(struct builder *builder, uint32_t slot, uint32_t hash,
                                  const void *entry, size_t entry_size, uint64_t plain_size,
                                  struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    builder->slots[slot] = (uint64_t)hash << 32 | ++dictionary->count;
    dictionary->plain_size += plain_size;
    WEIR_TRY(weir_buffer_append(&dictionary->entries, entry, entry_size, reterr));
    return dictionary->count * 2 > builder->slot_count ? builder_grow(builder, reterr) : WEIR_OK;
}

static inline __attribute__((always_inline)) weir_status add_fixed(struct builder *builder,
                                                                   const uint8_t *values,
                                                                   uint32_t count, size_t width,
                                                                   uint32_t *indices,
                                                                   struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *value = values + i * width;
        if (i > 0 && memcmp(value, value - width, width) == 0) {
            indices[i] = indices[i - 1];
            continue;
        }
        uint32_t hash = (uint32_t)hash_fixed(value, width), slot = hash & (builder->slot_count - 1),
                 entry;
        while ((entry = (uint32_t)builder->slots[slot]) != 0 &&
               memcmp(dictionary->entries.data + (entry - 1) * width, value, width) != 0)
            slot = (slot + 1) & (builder->slot_count - 1);
        if (entry) {
            indices[i] = entry - 1;
            continue;
        }
        indices[i] = dictionary->count;
        WEIR_TRY(builder_insert(builder, slot, hash, value, width, width, reterr));
        if (dictionary->plain_size > PARQUET_DICTIONARY_MAX)
            return WEIR_OK;
    }
    return WEIR_OK;
}

static weir_status add_strings(struct builder *builder, struct parquet_string_cursor *cursor,
                               const uint32_t *lengths, uint32_t count, uint32_t *indices,
                               struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_bytes value = {parquet_string_next(cursor, lengths[i]), lengths[i]};
        uint32_t hash = (uint32_t)hash_string(value.data, value.size),
                 slot = hash & (builder->slot_count - 1), entry = 0;
        uint64_t have;
        while ((have = builder->slots[slot]) != 0) {
            entry = (uint32_t)have;
            if (have >> 32 == hash &&
                same_string(
                    ((const struct weir_bytes *)(const void *)dictionary->entries.data)[entry - 1],
                    value.data, value.size))
                break;
            entry = 0;
            slot = (slot + 1) & (builder->slot_count - 1);
        }
        if (entry) {
            indices[i] = entry - 1;
            continue;
        }
        indices[i] = dictionary->count;
        WEIR_TRY(builder_insert(builder, slot, hash, &value, sizeof value, 4 + value.size, reterr));
        if (dictionary->plain_size > PARQUET_DICTIONARY_MAX)
            return WEIR_OK;
    }
    return WEIR_OK;
}

static weir_status add_segment(struct builder *builder, const struct parquet_segment *segment,
                               struct parquet_string_cursor *cursor, struct weir_error *reterr)
{
    struct weir_buffer *indices = &builder->dictionary->indices;
    WEIR_TRY(weir_buffer_reserve(indices, (size_t)segment->value_count * sizeof(uint32_t), reterr));
    uint32_t *to = (uint32_t *)(void *)(indices->data + indices->size),
             width = builder->column->leaf->width;
    indices->size += (size_t)segment->value_count * sizeof(uint32_t);
    if (width == 0)
        return add_strings(builder, cursor, (const uint32_t *)(const void *)segment->values.data,
                           segment->value_count, to, reterr);
    if (width == 4)
        return add_fixed(builder, segment->values.data, segment->value_count, 4, to, reterr);
    if (width == 8)
        return add_fixed(builder, segment->values.data, segment->value_count, 8, to, reterr);
    return add_fixed(builder, segment->values.data, segment->value_count, width, to, reterr);
}

/* Bytes of the chunk without a dictionary. */
static uint64_t plain_size(const struct parquet_column *column)
{
    uint64_t size = 0;
    for (size_t i = 0; i < column->segment_count; i++)
        size += column->segments[i].byte_count +
                (uint64_t)column->segments[i].value_count *
                    (column->leaf->width ? column->leaf->width : 4);
    return size;
}

static weir_status build(struct builder *builder, struct weir_error *reterr)
{
    const struct parquet_column *column = builder->column;
    struct parquet_dictionary *dictionary = builder->dictionary;
    struct parquet_string_cursor cursor = {column->first_block, 0};
    uint64_t seen = 0;
    WEIR_TRY(builder_grow(builder, reterr));
    for (size_t i = 0; i < column->segment_count; i++) {
        WEIR_TRY(add_segment(builder, &column->segments[i], &cursor, reterr));
        seen += column->segments[i].value_count;
        /* With half of the values different, a dictionary saves little and costs a random read for
         * each value. */
        if (dictionary->plain_size > PARQUET_DICTIONARY_MAX ||
            (seen >= PARQUET_SEGMENT_LEVELS / 2 && (uint64_t)dictionary->count * 2 > seen))
            return WEIR_OK;
    }
    uint64_t indices =
        (seen * parquet_bit_width(dictionary->count ? dictionary->count - 1 : 0) + 7) / 8;
    dictionary->used = seen > 0 && dictionary->plain_size + indices < plain_size(column);
    return WEIR_OK;
}

weir_status parquet_dictionary_build(const struct parquet_column *column,
                                     struct parquet_dictionary *ret_dictionary,
                                     struct weir_error *reterr)
{
    struct parquet_dictionary dictionary = {.entries.account = column->account,
                                            .indices.account = column->account};
    struct builder builder = {.column = column, .dictionary = &dictionary};
    weir_status status = build(&builder, reterr);
    weir_free(builder.slots);
    if (status != WEIR_OK || !dictionary.used)
        parquet_dictionary_done(&dictionary);
    if (status == WEIR_OK)
        *ret_dictionary = dictionary;
    return status;
}

void parquet_dictionary_done(struct parquet_dictionary *dictionary)
{
    weir_buffer_done(&dictionary->entries);
    weir_buffer_done(&dictionary->indices);
    *dictionary = (struct parquet_dictionary){0};
}
