/* Pages of a column chunk to levels and values. A page's header says how much follows; nothing it
 * says is believed. */
#include "formats/parquet/reader_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <string.h>
#include <zlib.h>

struct page_header {
    int32_t type, plain_size, packed_size, value_count, encoding;
    int32_t definition_size, repetition_size; /* version 2 */
    uint32_t crc;
    bool has_crc, packed;
};

struct page_reader {
    struct weir_account *account;
    struct weir_decompressor *decompressor;
    const struct file_chunk *chunk;
    const struct leaf_target *target;
    struct decoded_leaf *leaf;
    enum weir_codec codec;
    uint32_t stored_width;      /* bytes of a stored value; 0 = BYTE_ARRAY */
    uint64_t page_offset;       /* in the file, for messages */
    struct weir_buffer plain;   /* a page, decompressed */
    struct weir_buffer stored;  /* values as stored: fixed width, or for strings uint32 lengths */
    struct weir_buffer numbers; /* integers and indices on their way */
    struct weir_buffer dictionary, dictionary_bytes, dictionary_ends; /* ends: uint32 of strings */
    uint32_t dictionary_count;
    bool has_dictionary;
    struct weir_error *reterr;
};

static weir_status damaged(const struct page_reader *reader, const char *what)
{
    return weir_fail(reader->reterr, WEIR_CORRUPT, "page at byte %llu: %s",
                     (unsigned long long)reader->page_offset, what);
}

bool parquet_leaf_fits(const struct file_node *node, const struct weir_type *type)
{
    bool micros = node->time_unit == 2 ||
                  (node->time_unit == 0 && node->converted != 7 &&
                   node->converted != 9); /* TIME_MILLIS, TIMESTAMP_MILLIS */
    bool decimal = node->logical == 5 || node->converted == 5;
    switch (type->id) {
    case WEIR_BOOLEAN: return node->physical == PARQUET_BOOLEAN;
    case WEIR_INT:
    case WEIR_DATE: return node->physical == PARQUET_INT32 && !decimal;
    case WEIR_LONG:
        return (node->physical == PARQUET_INT32 || node->physical == PARQUET_INT64) && !decimal;
    case WEIR_FLOAT: return node->physical == PARQUET_FLOAT;
    case WEIR_DOUBLE: return node->physical == PARQUET_FLOAT || node->physical == PARQUET_DOUBLE;
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return node->physical == PARQUET_INT64 && micros && !decimal;
    case WEIR_STRING:
    case WEIR_BINARY: return node->physical == PARQUET_BYTE_ARRAY && !decimal;
    case WEIR_UUID: return node->physical == PARQUET_FIXED && node->type_length == 16 && !decimal;
    case WEIR_FIXED:
        return node->physical == PARQUET_FIXED && (uint32_t)node->type_length == type->length &&
               !decimal;
    case WEIR_DECIMAL:
        return decimal && node->scale == type->scale && node->precision <= type->precision &&
               (node->physical == PARQUET_INT32 || node->physical == PARQUET_INT64 ||
                (node->physical == PARQUET_FIXED && node->type_length <= 16));
    default: return false;
    }
}

/* ---- header
 * ----------------------------------------------------------------------------------------------------
 */

static void parse_data_header(struct thrift_reader *thrift, struct page_header *header, bool second)
{
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1)
            header->value_count = (int32_t)thrift_read_integer(thrift);
        else if (id == (second ? 4 : 2))
            header->encoding = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 5)
            header->definition_size = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 6)
            header->repetition_size = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 7)
            header->packed = thrift_read_bool(thrift);
        else
            thrift_skip(thrift);
    }
}

static weir_status parse_header(struct page_reader *reader, const uint8_t *data, size_t size,
                                struct page_header *ret_header, size_t *ret_used)
{
    struct thrift_reader thrift;
    struct page_header header = {.type = -1, .packed = true};
    int16_t id;
    thrift_reader_init(&thrift, data, size);
    thrift_enter_struct(&thrift);
    while (thrift_next_field(&thrift, &id)) {
        if (id == 1)
            header.type = (int32_t)thrift_read_integer(&thrift);
        else if (id == 2)
            header.plain_size = (int32_t)thrift_read_integer(&thrift);
        else if (id == 3)
            header.packed_size = (int32_t)thrift_read_integer(&thrift);
        else if (id == 4) {
            header.crc = (uint32_t)thrift_read_integer(&thrift);
            header.has_crc = true;
        } else if ((id == 5 || id == 7 || id == 8) && thrift.type == THRIFT_STRUCT)
            parse_data_header(&thrift, &header, id == 8);
        else
            thrift_skip(&thrift);
    }
    if (thrift.failed)
        return weir_fail(reader->reterr, WEIR_CORRUPT, "page at byte %llu: header: %s",
                         (unsigned long long)reader->page_offset, thrift.fault);
    if (header.plain_size < 0 || header.packed_size < 0 || header.value_count < 0 ||
        header.definition_size < 0 || header.repetition_size < 0 ||
        (uint32_t)header.plain_size > WEIR_PARQUET_PAGE_SIZE_MAX ||
        (uint32_t)header.value_count > WEIR_PARQUET_PAGE_VALUES_MAX)
        return damaged(reader, "sizes that no page has");
    if ((size_t)header.packed_size > size - thrift.at)
        return damaged(reader, "longer than its column chunk");
    if (header.has_crc && crc32(0, data + thrift.at, (uInt)header.packed_size) != header.crc)
        return damaged(reader, "checksum differs");
    *ret_header = header;
    *ret_used = thrift.at;
    return WEIR_OK;
}

/* ---- stored values to Weir's
 * ------------------------------------------------------------------------------------ */

static weir_int128 decimal_from_bytes(const uint8_t *data, uint32_t size)
{
    weir_int128 value = (int8_t)data[0];
    for (uint32_t i = 1; i < size; i++)
        value = value * 256 + data[i];
    return value;
}

static void convert(const struct page_reader *reader, const uint8_t *stored, uint8_t *to,
                    uint32_t count, uint32_t width)
{
    const struct file_node *node = reader->target->node;
    const struct weir_type *type = reader->target->type;
    for (uint32_t i = 0; i < count; i++, stored += reader->stored_width, to += width) {
        int32_t small = 0;
        int64_t large = 0;
        if (reader->stored_width == 4)
            memcpy(&small, stored, 4);
        if (reader->stored_width == 8)
            memcpy(&large, stored, 8);
        if (type->id == WEIR_DECIMAL) {
            weir_int128 value = node->physical == PARQUET_INT32 ? small
                                : node->physical == PARQUET_INT64
                                    ? large
                                    : decimal_from_bytes(stored, reader->stored_width);
            memcpy(to, &value, 16);
        } else if (type->id == WEIR_LONG) {
            large = small;
            memcpy(to, &large, 8);
        } else {
            float narrow;
            memcpy(&narrow, stored, 4);
            double wide = narrow;
            memcpy(to, &wide, 8);
        }
    }
}

static weir_status append_stored(struct page_reader *reader, const uint8_t *stored, uint32_t count)
{
    struct decoded_leaf *leaf = reader->leaf;
    const struct weir_type *type = reader->target->type;
    uint32_t width = type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
    if (width == reader->stored_width && type->id != WEIR_DECIMAL)
        return weir_buffer_append(&leaf->values, stored, (size_t)count * width, reader->reterr);
    WEIR_TRY(weir_buffer_reserve(&leaf->values, (size_t)count * width, reader->reterr));
    convert(reader, stored, leaf->values.data + leaf->values.size, count, width);
    leaf->values.size += (size_t)count * width;
    return WEIR_OK;
}

static weir_status append_string(struct page_reader *reader, struct weir_buffer *lengths,
                                 struct weir_buffer *bytes, const uint8_t *data, uint32_t size)
{
    if (reader->target->type->id == WEIR_STRING && weir_utf8_invalid(data, size) != size)
        return damaged(reader, "a string that is not UTF-8");
    WEIR_TRY(weir_buffer_append(lengths, &size, sizeof size, reader->reterr));
    return weir_buffer_append(bytes, data, size, reader->reterr);
}

/* ---- encodings
 * --------------------------------------------------------------------------------------------------
 */

static weir_status plain_strings(struct page_reader *reader, const uint8_t *data, size_t size,
                                 uint32_t count, struct weir_buffer *lengths,
                                 struct weir_buffer *bytes)
{
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length;
        if (size - at < 4)
            return damaged(reader, "strings cut off");
        memcpy(&length, data + at, 4);
        at += 4;
        if (length > size - at)
            return damaged(reader, "a string longer than its page");
        WEIR_TRY(append_string(reader, lengths, bytes, data + at, length));
        at += length;
    }
    return WEIR_OK;
}

static weir_status plain_values(struct page_reader *reader, const uint8_t *data, size_t size,
                                uint32_t count)
{
    if (reader->stored_width == 0)
        return plain_strings(reader, data, size, count, &reader->leaf->values,
                             &reader->leaf->bytes);
    if (reader->target->node->physical == PARQUET_BOOLEAN) {
        if (size < ((size_t)count + 7) / 8)
            return damaged(reader, "booleans cut off");
        WEIR_TRY(weir_buffer_reserve(&reader->leaf->values, count, reader->reterr));
        for (uint32_t i = 0; i < count; i++)
            reader->leaf->values.data[reader->leaf->values.size++] = weir_bit_get(data, i);
        return WEIR_OK;
    }
    if (size / reader->stored_width < count)
        return damaged(reader, "values cut off");
    return append_stored(reader, data, count);
}

static weir_status dictionary_values(struct page_reader *reader, const uint8_t *data, size_t size,
                                     uint32_t count)
{
    if (!reader->has_dictionary)
        return damaged(reader, "needs a dictionary that is not there");
    if (count == 0)
        return WEIR_OK;
    weir_buffer_clear(&reader->numbers);
    WEIR_TRY(weir_buffer_reserve(&reader->numbers, (size_t)count * 4, reader->reterr));
    uint32_t *indices = (uint32_t *)(void *)reader->numbers.data;
    if (size < 1 || !parquet_rle_decode32(data + 1, size - 1, data[0], indices, count))
        return damaged(reader, "indices are damaged");
    const uint32_t *ends = (const uint32_t *)(const void *)reader->dictionary_ends.data;
    struct decoded_leaf *leaf = reader->leaf;
    uint32_t width = reader->target->type->id == WEIR_BOOLEAN
                         ? 1
                         : weir_type_width(reader->target->type);
    WEIR_TRY(
        weir_buffer_reserve(&leaf->values, (size_t)count * (width ? width : 4), reader->reterr));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = indices[i];
        if (index >= reader->dictionary_count)
            return damaged(reader, "an index beyond the dictionary");
        if (width) {
            memcpy(leaf->values.data + leaf->values.size,
                   reader->dictionary.data + (size_t)index * width, width);
            leaf->values.size += width;
        } else {
            uint32_t start = index ? ends[index - 1] : 0, length = ends[index] - start;
            memcpy(leaf->values.data + leaf->values.size, &length, 4);
            leaf->values.size += 4;
            WEIR_TRY(weir_buffer_append(&leaf->bytes, reader->dictionary_bytes.data + start, length,
                                        reader->reterr));
        }
    }
    return WEIR_OK;
}

static weir_status delta_numbers(struct page_reader *reader, const uint8_t *data, size_t size,
                                 uint32_t count, size_t *ret_used)
{
    weir_buffer_clear(&reader->numbers);
    WEIR_TRY(weir_buffer_reserve(&reader->numbers, (size_t)count * 8 + 8, reader->reterr));
    if (!parquet_delta_decode(data, size, (int64_t *)(void *)reader->numbers.data, count, ret_used))
        return damaged(reader, "delta encoding is damaged");
    return WEIR_OK;
}

static weir_status delta_values(struct page_reader *reader, const uint8_t *data, size_t size,
                                uint32_t count)
{
    size_t used;
    if (reader->target->node->physical != PARQUET_INT32 &&
        reader->target->node->physical != PARQUET_INT64)
        return damaged(reader, "delta encoding of something that is no integer");
    WEIR_TRY(delta_numbers(reader, data, size, count, &used));
    uint8_t *numbers = reader->numbers.data;
    for (uint32_t i = 0; i < count && reader->stored_width == 4; i++)
        memmove(numbers + 4 * (size_t)i, numbers + 8 * (size_t)i, 4);
    return append_stored(reader, numbers, count);
}

static weir_status delta_length_strings(struct page_reader *reader, const uint8_t *data,
                                        size_t size, uint32_t count)
{
    size_t at;
    if (reader->stored_width)
        return damaged(reader, "string encoding of something that is no string");
    WEIR_TRY(delta_numbers(reader, data, size, count, &at));
    const int64_t *lengths = (const int64_t *)(const void *)reader->numbers.data;
    for (uint32_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || (uint64_t)lengths[i] > size - at)
            return damaged(reader, "a string longer than its page");
        WEIR_TRY(append_string(reader, &reader->leaf->values, &reader->leaf->bytes, data + at,
                               (uint32_t)lengths[i]));
        at += (size_t)lengths[i];
    }
    return WEIR_OK;
}

/* Each string is a prefix of the one before and a suffix of its own. */
static weir_status delta_strings(struct page_reader *reader, const uint8_t *data, size_t size,
                                 uint32_t count)
{
    size_t used, at;
    WEIR_TRY(delta_numbers(reader, data, size, count, &used));
    weir_buffer_clear(&reader->stored);
    WEIR_TRY(weir_buffer_append(&reader->stored, reader->numbers.data, (size_t)count * 8,
                                reader->reterr));
    WEIR_TRY(delta_numbers(reader, data + used, size - used, count, &at));
    const int64_t *prefixes = (const int64_t *)(const void *)reader->stored.data,
                  *suffixes = (const int64_t *)(const void *)reader->numbers.data;
    WEIR_AUTO(weir_buffer) whole = {.account = reader->account};
    for (uint32_t i = 0; i < count; i++) {
        if (prefixes[i] < 0 || (uint64_t)prefixes[i] > whole.size || suffixes[i] < 0 ||
            (uint64_t)suffixes[i] > size - used - at)
            return damaged(reader, "a string longer than its page");
        whole.size = (size_t)prefixes[i];
        WEIR_TRY(weir_buffer_append(&whole, data + used + at, (size_t)suffixes[i], reader->reterr));
        at += (size_t)suffixes[i];
        if (whole.size > WEIR_PARQUET_PAGE_SIZE_MAX)
            return damaged(reader, "a string longer than any page");
        if (reader->stored_width == 0)
            WEIR_TRY(append_string(reader, &reader->leaf->values, &reader->leaf->bytes, whole.data,
                                   (uint32_t)whole.size));
        else if (whole.size == reader->stored_width)
            WEIR_TRY(append_stored(reader, whole.data, 1));
        else
            return damaged(reader, "a fixed value of another length");
    }
    return WEIR_OK;
}

static weir_status split_values(struct page_reader *reader, const uint8_t *data, size_t size,
                                uint32_t count)
{
    uint32_t width = reader->stored_width;
    if (width == 0 || reader->target->node->physical == PARQUET_BOOLEAN || size / width < count)
        return damaged(reader, "byte streams cut off");
    weir_buffer_clear(&reader->stored);
    WEIR_TRY(weir_buffer_reserve(&reader->stored, (size_t)count * width + 1, reader->reterr));
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t b = 0; b < width; b++)
            reader->stored.data[(size_t)i * width + b] = data[(size_t)b * count + i];
    return append_stored(reader, reader->stored.data, count);
}

static weir_status rle_booleans(struct page_reader *reader, const uint8_t *data, size_t size,
                                uint32_t count)
{
    uint32_t length;
    if (reader->target->node->physical != PARQUET_BOOLEAN || size < 4)
        return damaged(reader, "run lengths of something that is no boolean");
    memcpy(&length, data, 4);
    WEIR_TRY(weir_buffer_reserve(&reader->leaf->values, count, reader->reterr));
    if (length > size - 4 ||
        !parquet_rle_decode8(data + 4, length, 1,
                             reader->leaf->values.data + reader->leaf->values.size, count))
        return damaged(reader, "booleans are damaged");
    reader->leaf->values.size += count;
    return WEIR_OK;
}

static weir_status page_values(struct page_reader *reader, int32_t encoding, const uint8_t *data,
                               size_t size, uint32_t count)
{
    reader->leaf->value_count += count;
    if (!reader->target->type || count == 0)
        return WEIR_OK;
    switch (encoding) {
    case PARQUET_PLAIN: return plain_values(reader, data, size, count);
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_PLAIN_DICTIONARY: return dictionary_values(reader, data, size, count);
    case PARQUET_DELTA_BINARY_PACKED: return delta_values(reader, data, size, count);
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY: return delta_length_strings(reader, data, size, count);
    case PARQUET_DELTA_BYTE_ARRAY: return delta_strings(reader, data, size, count);
    case PARQUET_BYTE_STREAM_SPLIT: return split_values(reader, data, size, count);
    case PARQUET_RLE: return rle_booleans(reader, data, size, count);
    default: return damaged(reader, "an encoding that is not known");
    }
}

/* ---- pages
 * ------------------------------------------------------------------------------------------------------
 */

static weir_status page_levels(struct page_reader *reader, const uint8_t *data, size_t size,
                               uint8_t greatest, uint32_t count, struct weir_buffer *levels)
{
    WEIR_TRY(weir_buffer_reserve(levels, (size_t)count + 1, reader->reterr));
    uint8_t *to = levels->data + levels->size;
    if (!parquet_rle_decode8(data, size, parquet_bit_width(greatest), to, count))
        return damaged(reader, "levels are damaged");
    for (uint32_t i = 0; i < count; i++)
        if (to[i] > greatest)
            return damaged(reader, "a level beyond the schema's");
    levels->size += count;
    return WEIR_OK;
}

/* Levels with their length in front, as version 1 has them. */
static weir_status sized_levels(struct page_reader *reader, const struct weir_buffer *page,
                                size_t *at, uint8_t greatest, uint32_t count,
                                struct weir_buffer *levels)
{
    uint32_t size;
    if (greatest == 0)
        return WEIR_OK;
    if (page->size - *at < 4)
        return damaged(reader, "levels cut off");
    memcpy(&size, page->data + *at, 4);
    *at += 4;
    if (size > page->size - *at)
        return damaged(reader, "levels longer than their page");
    WEIR_TRY(page_levels(reader, page->data + *at, size, greatest, count, levels));
    *at += size;
    return WEIR_OK;
}

static uint32_t count_values(const struct decoded_leaf *leaf, uint8_t greatest, uint32_t count)
{
    if (greatest == 0)
        return count;
    uint32_t values = 0;
    for (size_t i = leaf->definition.size - count; i < leaf->definition.size; i++)
        values += leaf->definition.data[i] == greatest;
    return values;
}

static weir_status unpack(struct page_reader *reader, const struct page_header *header,
                          const uint8_t *data, size_t size, size_t plain_size)
{
    WEIR_TRY(weir_buffer_reserve(&reader->plain, plain_size + 1, reader->reterr));
    weir_status status = weir_decompress(
        reader->decompressor, header->packed ? reader->codec : WEIR_CODEC_NONE, data, size,
        reader->plain.data + reader->plain.size, plain_size, reader->reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reader->reterr, "page at byte %llu",
                          (unsigned long long)reader->page_offset);
    else
        reader->plain.size += plain_size;
    return status;
}

static weir_status data_page(struct page_reader *reader, const struct page_header *header,
                             const uint8_t *data)
{
    const struct file_node *node = reader->target->node;
    struct decoded_leaf *leaf = reader->leaf;
    uint32_t count = (uint32_t)header->value_count;
    size_t at = 0;
    weir_buffer_clear(&reader->plain);
    if (header->type == PARQUET_DATA_PAGE) {
        WEIR_TRY(
            unpack(reader, header, data, (size_t)header->packed_size, (size_t)header->plain_size));
        WEIR_TRY(
            sized_levels(reader, &reader->plain, &at, node->repeated, count, &leaf->repetition));
        WEIR_TRY(
            sized_levels(reader, &reader->plain, &at, node->definition, count, &leaf->definition));
    } else {
        size_t levels = (size_t)header->repetition_size + (size_t)header->definition_size;
        if (levels > (size_t)header->packed_size || levels > (size_t)header->plain_size)
            return damaged(reader, "levels longer than their page");
        if (node->repeated)
            WEIR_TRY(page_levels(reader, data, (size_t)header->repetition_size, node->repeated,
                                 count, &leaf->repetition));
        if (node->definition)
            WEIR_TRY(page_levels(reader, data + header->repetition_size,
                                 (size_t)header->definition_size, node->definition, count,
                                 &leaf->definition));
        /* A page without values may have no compressed part at all. */
        if ((size_t)header->plain_size > levels)
            WEIR_TRY(unpack(reader, header, data + levels, (size_t)header->packed_size - levels,
                            (size_t)header->plain_size - levels));
    }
    leaf->level_count += count;
    return page_values(reader, header->encoding, reader->plain.data + at, reader->plain.size - at,
                       count_values(leaf, node->definition, count));
}

/* The dictionary is turned into Weir's values once; indices then copy them. */
static weir_status dictionary_page(struct page_reader *reader, const struct page_header *header,
                                   const uint8_t *data)
{
    if (reader->has_dictionary)
        return damaged(reader, "a second dictionary");
    if (header->encoding != PARQUET_PLAIN && header->encoding != PARQUET_PLAIN_DICTIONARY)
        return damaged(reader, "a dictionary in an unknown encoding");
    reader->has_dictionary = true;
    reader->dictionary_count = (uint32_t)header->value_count;
    if (!reader->target->type)
        return WEIR_OK;
    weir_buffer_clear(&reader->plain);
    WEIR_TRY(unpack(reader, header, data, (size_t)header->packed_size, (size_t)header->plain_size));
    struct decoded_leaf entries = {.values.account = reader->account,
                                   .bytes.account = reader->account},
                        *leaf = reader->leaf;
    reader->leaf = &entries;
    weir_status status = plain_values(reader, reader->plain.data, reader->plain.size,
                                      reader->dictionary_count);
    reader->leaf = leaf;
    reader->dictionary = entries.values;
    reader->dictionary_bytes = entries.bytes;
    if (status != WEIR_OK || reader->stored_width)
        return status;
    uint32_t end = 0, *lengths = (uint32_t *)(void *)entries.values.data;
    for (uint32_t i = 0; i < reader->dictionary_count; i++)
        lengths[i] = end += lengths[i];
    reader->dictionary_ends = entries.values;
    reader->dictionary = (struct weir_buffer){.account = reader->account};
    return WEIR_OK;
}

static weir_status decode_pages(struct page_reader *reader, const uint8_t *data, size_t size,
                                uint64_t offset)
{
    size_t at = 0;
    while (reader->leaf->level_count < reader->chunk->value_count) {
        struct page_header header = {0};
        size_t used = 0;
        reader->page_offset = offset + at;
        if (at >= size)
            return damaged(reader, "the column chunk ends before its last value");
        WEIR_TRY(parse_header(reader, data + at, size - at, &header, &used));
        at += used;
        if (header.type == PARQUET_DICTIONARY_PAGE)
            WEIR_TRY(dictionary_page(reader, &header, data + at));
        else if (header.type == PARQUET_DATA_PAGE || header.type == PARQUET_DATA_PAGE_V2)
            WEIR_TRY(data_page(reader, &header, data + at));
        at += (size_t)header.packed_size;
    }
    return reader->leaf->level_count == reader->chunk->value_count
               ? WEIR_OK
               : damaged(reader, "more values than its column chunk says");
}

/* parquet.thrift: CompressionCodec */
static bool codec_of(int32_t codec, enum weir_codec *ret_codec)
{
    static const enum weir_codec codecs[] = {[0] = WEIR_CODEC_NONE,
                                             [1] = WEIR_CODEC_SNAPPY,
                                             [2] = WEIR_CODEC_GZIP,
                                             [6] = WEIR_CODEC_ZSTD,
                                             [7] = WEIR_CODEC_LZ4_RAW};
    if (codec < 0 || codec > 7 || codec == 3 || codec == 4 || codec == 5)
        return false;
    *ret_codec = codecs[codec];
    return true;
}

static uint32_t stored_width(const struct file_node *node)
{
    switch (node->physical) {
    case PARQUET_BOOLEAN: return 1;
    case PARQUET_INT32:
    case PARQUET_FLOAT: return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE: return 8;
    case PARQUET_INT96: return 12;
    case PARQUET_FIXED: return (uint32_t)node->type_length;
    default: return 0;
    }
}

weir_status parquet_chunk_decode(struct weir_account *account,
                                 struct weir_decompressor *decompressor,
                                 const struct file_chunk *chunk, const struct leaf_target *target,
                                 const uint8_t *data, size_t size, uint64_t offset,
                                 struct decoded_leaf *leaf, struct weir_error *reterr)
{
    struct page_reader reader = {.account = account,
                                 .decompressor = decompressor,
                                 .chunk = chunk,
                                 .target = target,
                                 .leaf = leaf,
                                 .stored_width = stored_width(target->node),
                                 .plain.account = account,
                                 .stored.account = account,
                                 .numbers.account = account,
                                 .reterr = reterr};
    *leaf = (struct decoded_leaf){.definition.account = account,
                                  .repetition.account = account,
                                  .values.account = account,
                                  .bytes.account = account};
    weir_status status = WEIR_OK;
    if (!codec_of(chunk->codec, &reader.codec))
        status = weir_fail(reterr, WEIR_UNSUPPORTED, "compression codec %d", chunk->codec);
    if (status == WEIR_OK && chunk->physical != target->node->physical)
        status = weir_fail(reterr, WEIR_CORRUPT,
                           "a column chunk of another type than the schema says");
    if (status == WEIR_OK)
        status = decode_pages(&reader, data, size, offset);
    weir_buffer_done(&reader.plain);
    weir_buffer_done(&reader.stored);
    weir_buffer_done(&reader.numbers);
    weir_buffer_done(&reader.dictionary);
    weir_buffer_done(&reader.dictionary_bytes);
    weir_buffer_done(&reader.dictionary_ends);
    if (status != WEIR_OK)
        parquet_decoded_done(leaf);
    return status;
}

void parquet_decoded_done(struct decoded_leaf *leaf)
{
    weir_buffer_done(&leaf->definition);
    weir_buffer_done(&leaf->repetition);
    weir_buffer_done(&leaf->values);
    weir_buffer_done(&leaf->bytes);
    leaf->level_count = leaf->value_count = leaf->level_at = leaf->value_at = leaf->byte_at = 0;
}
