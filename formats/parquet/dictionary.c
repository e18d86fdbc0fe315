/* Values of a column chunk, each different one once: an open hash table over the whole chunk, given up as soon as it is
 * clear that it will not win. Values are told apart by their bits, so that -0 and NaNs come back as they were. */
#include "formats/parquet/parquet_int.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS_FIRST 1024

struct builder {
    const struct parquet_column *column;
    struct parquet_dictionary *dictionary;
    uint32_t *slots;         /* entry + 1; 0 = free */
    uint32_t slot_count;     /* a power of two, at least twice the entries */
    struct weir_buffer hashes; /* uint32 an entry: for growing, and to spare most comparisons of strings */
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
    word *= 0x9e3779b97f4a7c15u;
    return word ^ word >> 32;
}

static weir_status builder_grow(struct builder *builder, struct weir_error *reterr)
{
    uint32_t count = builder->slot_count ? builder->slot_count * 2 : SLOTS_FIRST;
    weir_free(builder->slots);
    builder->slots = NULL;
    WEIR_TRY(weir_alloc_zero(builder->column->account, count, sizeof *builder->slots, &builder->slots, reterr));
    builder->slot_count = count;
    const uint32_t *hashes = (const uint32_t *)(const void *)builder->hashes.data;
    for (uint32_t entry = 0; entry < builder->dictionary->count; entry++) {
        uint32_t at = hashes[entry] & (count - 1);
        while (builder->slots[at])
            at = (at + 1) & (count - 1);
        builder->slots[at] = entry + 1;
    }
    return WEIR_OK;
}

static weir_status builder_insert(struct builder *builder, uint32_t slot, uint32_t hash, const void *entry, size_t entry_size,
                                  uint64_t plain_size, struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    builder->slots[slot] = ++dictionary->count;
    dictionary->plain_size += plain_size;
    WEIR_TRY(weir_buffer_append(&builder->hashes, &hash, sizeof hash, reterr));
    WEIR_TRY(weir_buffer_append(&dictionary->entries, entry, entry_size, reterr));
    return dictionary->count * 2 > builder->slot_count ? builder_grow(builder, reterr) : WEIR_OK;
}

static inline __attribute__((always_inline)) weir_status add_fixed(struct builder *builder, const uint8_t *values, uint32_t count,
                                                                   size_t width, uint32_t *indices, struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *value = values + i * width;
        if (i > 0 && memcmp(value, value - width, width) == 0) {
            indices[i] = indices[i - 1];
            continue;
        }
        uint32_t hash = (uint32_t)hash_fixed(value, width), slot = hash & (builder->slot_count - 1), entry;
        while ((entry = builder->slots[slot]) != 0 && memcmp(dictionary->entries.data + (entry - 1) * width, value, width) != 0)
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

static weir_status add_strings(struct builder *builder, struct parquet_string_cursor *cursor, const uint32_t *lengths, uint32_t count,
                               uint32_t *indices, struct weir_error *reterr)
{
    struct parquet_dictionary *dictionary = builder->dictionary;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_bytes value = {parquet_string_next(cursor, lengths[i]), lengths[i]};
        uint32_t hash = (uint32_t)XXH3_64bits(value.data, value.size), slot = hash & (builder->slot_count - 1), entry;
        while ((entry = builder->slots[slot]) != 0) {
            struct weir_bytes have = ((const struct weir_bytes *)(const void *)dictionary->entries.data)[entry - 1];
            if (((const uint32_t *)(const void *)builder->hashes.data)[entry - 1] == hash && have.size == value.size &&
                memcmp(have.data, value.data, value.size) == 0)
                break;
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

static weir_status add_segment(struct builder *builder, const struct parquet_segment *segment, struct parquet_string_cursor *cursor,
                               struct weir_error *reterr)
{
    struct weir_buffer *indices = &builder->dictionary->indices;
    WEIR_TRY(weir_buffer_reserve(indices, (size_t)segment->value_count * sizeof(uint32_t), reterr));
    uint32_t *to = (uint32_t *)(void *)(indices->data + indices->size), width = builder->column->leaf->width;
    indices->size += (size_t)segment->value_count * sizeof(uint32_t);
    if (width == 0)
        return add_strings(builder, cursor, (const uint32_t *)(const void *)segment->values.data, segment->value_count, to, reterr);
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
        size += column->segments[i].byte_count + (uint64_t)column->segments[i].value_count * (column->leaf->width ? column->leaf->width : 4);
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
        /* With half of the values different, a dictionary saves little and costs a random read for each value. */
        if (dictionary->plain_size > PARQUET_DICTIONARY_MAX || (seen >= PARQUET_SEGMENT_LEVELS / 2 && (uint64_t)dictionary->count * 2 > seen))
            return WEIR_OK;
    }
    uint64_t indices = (seen * parquet_bit_width(dictionary->count ? dictionary->count - 1 : 0) + 7) / 8;
    dictionary->used = seen > 0 && dictionary->plain_size + indices < plain_size(column);
    return WEIR_OK;
}

weir_status parquet_dictionary_build(const struct parquet_column *column, struct parquet_dictionary *ret_dictionary, struct weir_error *reterr)
{
    struct parquet_dictionary dictionary = {.entries.account = column->account, .indices.account = column->account};
    struct builder builder = {.column = column, .dictionary = &dictionary, .hashes.account = column->account};
    weir_status status = build(&builder, reterr);
    weir_free(builder.slots);
    weir_buffer_done(&builder.hashes);
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
