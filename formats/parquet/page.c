/* Page headers, and what a page's bytes become: levels ready to be read in pieces, values in one of
 * a few forms. A header says how much follows; nothing it says is believed. */
#include "formats/parquet/scan_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <string.h>
#include <zlib.h>

#define HEADER_FIRST                                                                               \
    (16u << 10)    /* bytes looked at for a header at first; statistics may be long                \
                    */
#define PADDING 64 /* readable bytes behind every buffer: strings are copied in steps */

weir_status parquet_leaf_damaged(const struct parquet_leaf_reader *leaf, const char *what)
{
    return weir_fail(leaf->reterr, WEIR_CORRUPT, "page at byte %llu: %s",
                     (unsigned long long)leaf->page_offset, what);
}

/* ---- header
 * ------------------------------------------------------------------------------------------------
 */

/* member: of PageHeader, 5 data page, 7 dictionary, 8 data page of version 2. */
static void parse_data_header(struct thrift_reader *thrift, struct parquet_page_header *header,
                              int16_t member)
{
    bool first = member == 5, second = member == 8;
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1)
            header->value_count = (int32_t)thrift_read_integer(thrift);
        else if (id == (second ? 4 : 2))
            header->encoding = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 3)
            header->row_count = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 5)
            header->definition_size = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 6)
            header->repetition_size = (int32_t)thrift_read_integer(thrift);
        else if (second && id == 7)
            header->packed = thrift_read_bool(thrift);
        else if (first && id == 3)
            header->definition_encoding = (int32_t)thrift_read_integer(thrift);
        else if (first && id == 4)
            header->repetition_encoding = (int32_t)thrift_read_integer(thrift);
        else
            thrift_skip(thrift);
    }
}

bool parquet_page_header_parse(const uint8_t *data, size_t size,
                               struct parquet_page_header *ret_header, size_t *ret_used,
                               const char **ret_fault, bool *ret_cut)
{
    struct thrift_reader thrift;
    struct parquet_page_header header = {.type = -1,
                                         .packed = true,
                                         .row_count = -1,
                                         .definition_encoding = PARQUET_RLE,
                                         .repetition_encoding = PARQUET_RLE};
    int16_t id;
    thrift_reader_init(&thrift, data, size);
    thrift_enter_struct(&thrift);
    while (thrift_next_field(&thrift, &id)) {
        if (id == 1) {
            header.type = (int32_t)thrift_read_integer(&thrift);
        } else if (id == 2) {
            header.plain_size = (int32_t)thrift_read_integer(&thrift);
        } else if (id == 3) {
            header.packed_size = (int32_t)thrift_read_integer(&thrift);
        } else if (id == 4) {
            header.crc = (uint32_t)thrift_read_integer(&thrift);
            header.has_crc = true;
        } else if ((id == 5 || id == 7 || id == 8) && thrift.type == THRIFT_STRUCT) {
            parse_data_header(&thrift, &header, id);
        } else {
            thrift_skip(&thrift);
        }
    }
    *ret_cut = thrift.failed;
    *ret_fault = thrift.fault;
    if (thrift.failed)
        return false;
    *ret_fault = "sizes that no page has";
    if (header.plain_size < 0 || header.packed_size < 0 || header.value_count < 0 ||
        header.definition_size < 0 || header.repetition_size < 0 ||
        (uint32_t)header.plain_size > WEIR_PARQUET_PAGE_SIZE_MAX ||
        (uint32_t)header.value_count > WEIR_PARQUET_PAGE_VALUES_MAX)
        return false;
    *ret_header = header;
    *ret_used = thrift.at;
    return true;
}

/* parquet.thrift: CompressionCodec */
bool parquet_codec_of(int32_t codec, enum weir_codec *ret_codec, bool *ret_hadoop)
{
    static const enum weir_codec codecs[] = {
        [0] = WEIR_CODEC_NONE,    [1] = WEIR_CODEC_SNAPPY, [2] = WEIR_CODEC_GZIP,
        [5] = WEIR_CODEC_LZ4_RAW, [6] = WEIR_CODEC_ZSTD,   [7] = WEIR_CODEC_LZ4_RAW};
    if (codec < 0 || codec > 7 || codec == 3 || codec == 4)
        return false;
    *ret_codec = codecs[codec];
    *ret_hadoop = codec == 5;
    return true;
}

/* ---- bytes
 * -------------------------------------------------------------------------------------------------
 */

/* Room for what comes of a page, which is in memory whole. */
static weir_status page_room(struct parquet_leaf_reader *leaf, struct weir_buffer *buffer,
                             size_t size)
{
    weir_status status = weir_buffer_reserve(buffer, size + PADDING, leaf->reterr);
    if (status == WEIR_NO_MEMORY)
        weir_error_prefix(leaf->reterr,
                          "a page of %zu bytes at byte %llu does not fit under the memory limit",
                          size, (unsigned long long)leaf->page_offset);
    return status;
}

/* Bytes [at, at + size) of the chunk, which has them. */
static weir_status chunk_bytes(struct parquet_leaf_reader *leaf, uint64_t at, uint64_t size,
                               const uint8_t **ret_bytes)
{
    if (at < leaf->window_at || at + size > leaf->window_at + leaf->window_size) {
        uint64_t want = size < leaf->read_ahead ? leaf->read_ahead : size;
        want = want > leaf->size - at ? leaf->size - at : want;
        weir_buffer_clear(&leaf->window_buffer);
        leaf->window_size = 0;
        WEIR_TRY(page_room(leaf, &leaf->window_buffer, want));
        WEIR_TRY(parquet_read_exactly(leaf->source, leaf->start + at, want, &leaf->window_buffer,
                                      leaf->reterr));
        if (leaf->counters)
            atomic_fetch_add_explicit(&leaf->counters->bytes_read, want, memory_order_relaxed);
        leaf->bytes_read += want;
        leaf->window = leaf->window_buffer.data;
        leaf->window_at = at;
        leaf->window_size = want;
    }
    *ret_bytes = leaf->window + (at - leaf->window_at);
    return WEIR_OK;
}

static weir_status read_header(struct parquet_leaf_reader *leaf, struct parquet_page_header *header)
{
    const char *fault = NULL;
    const uint8_t *bytes;
    size_t used = 0;
    bool cut;
    leaf->page_offset = leaf->start + leaf->at;
    if (leaf->at >= leaf->size)
        return parquet_leaf_damaged(leaf, "the column chunk ends before its last value");
    uint64_t rest = leaf->size - leaf->at, size = rest < HEADER_FIRST ? rest : HEADER_FIRST;
    for (;;) {
        WEIR_TRY(chunk_bytes(leaf, leaf->at, size, &bytes));
        if (parquet_page_header_parse(bytes, (size_t)size, header, &used, &fault, &cut))
            break;
        if (!cut || size == rest)
            return weir_fail(leaf->reterr, WEIR_CORRUPT, "page at byte %llu: header: %s",
                             (unsigned long long)leaf->page_offset, fault);
        size = rest < size * 64 ? rest : size * 64;
    }
    if ((uint64_t)header->packed_size > rest - used)
        return parquet_leaf_damaged(leaf, "longer than its column chunk");
    leaf->at += used;
    return WEIR_OK;
}

/* The page's body; `at` is left at the next header. */
static weir_status read_body(struct parquet_leaf_reader *leaf,
                             const struct parquet_page_header *header, const uint8_t **ret_body)
{
    WEIR_TRY(chunk_bytes(leaf, leaf->at, (uint64_t)header->packed_size, ret_body));
    leaf->at += (uint64_t)header->packed_size;
    if (header->has_crc && crc32(0, *ret_body, (uInt)header->packed_size) != header->crc)
        return parquet_leaf_damaged(leaf, "checksum differs");
    return WEIR_OK;
}

/* Hadoop's LZ4: blocks, each behind its two sizes, big endian; some writers left the frame away. */
static weir_status unpack_hadoop(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size,
                                 uint8_t *out, size_t out_size)
{
    size_t at = 0, done = 0;
    while (size - at >= 8) {
        uint32_t plain = (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 |
                         (uint32_t)data[at + 2] << 8 | data[at + 3],
                 packed = (uint32_t)data[at + 4] << 24 | (uint32_t)data[at + 5] << 16 |
                          (uint32_t)data[at + 6] << 8 | data[at + 7];
        if (packed > size - at - 8 || plain > out_size - done ||
            weir_decompress(leaf->decompressor, WEIR_CODEC_LZ4_RAW, data + at + 8, packed,
                            out + done, plain, NULL) != WEIR_OK)
            break;
        at += 8 + (size_t)packed;
        done += plain;
    }
    if (at == size && done == out_size)
        return WEIR_OK;
    return weir_decompress(leaf->decompressor, WEIR_CODEC_LZ4_RAW, data, size, out, out_size,
                           leaf->reterr);
}

/* *ret_plain points into the page's buffer, or, where nothing is compressed, to the bytes
 * themselves. */
static weir_status unpack(struct parquet_leaf_reader *leaf, bool packed, const uint8_t *data,
                          size_t size, size_t plain_size, const uint8_t **ret_plain)
{
    if ((!packed || leaf->codec == WEIR_CODEC_NONE) && size == plain_size) {
        *ret_plain = data;
        return WEIR_OK;
    }
    weir_buffer_clear(&leaf->page);
    WEIR_TRY(page_room(leaf, &leaf->page, plain_size));
    weir_status status = leaf->hadoop && packed
                             ? unpack_hadoop(leaf, data, size, leaf->page.data, plain_size)
                             : weir_decompress(leaf->decompressor,
                                               packed ? leaf->codec : WEIR_CODEC_NONE, data, size,
                                               leaf->page.data, plain_size, leaf->reterr);
    if (status != WEIR_OK)
        weir_error_prefix(leaf->reterr, "page at byte %llu", (unsigned long long)leaf->page_offset);
    *ret_plain = leaf->page.data;
    return status;
}

/* ---- values
 * ------------------------------------------------------------------------------------------------
 */

/* The form that plain values have. */
static weir_status open_plain(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size)
{
    leaf->values = data;
    leaf->values_end = data + size;
    leaf->value_at = 0;
    if (leaf->node->physical == PARQUET_BOOLEAN) {
        leaf->mode = VALUES_BITS;
        leaf->value_count = (uint64_t)size * 8;
    } else {
        leaf->mode = leaf->stored_width ? VALUES_FIXED : VALUES_LENGTHS;
    }
    return WEIR_OK;
}

static weir_status open_deltas(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size,
                               uint32_t most)
{
    size_t count, used, width = leaf->stored_width;
    if (leaf->node->physical != PARQUET_INT32 && leaf->node->physical != PARQUET_INT64)
        return parquet_leaf_damaged(leaf, "delta encoding of something that is no integer");
    if (!parquet_delta_count(data, size, most, &count))
        return parquet_leaf_damaged(leaf, "delta encoding is damaged");
    weir_buffer_clear(&leaf->scratch);
    WEIR_TRY(weir_buffer_reserve(&leaf->scratch, count * width + PADDING, leaf->reterr));
    if (!parquet_delta_read(data, size, leaf->scratch.data, width == 8, count, &used))
        return parquet_leaf_damaged(leaf, "delta encoding is damaged");
    return open_plain(leaf, leaf->scratch.data, count * width);
}

/* Integers of a delta stream that leads others, as uint32 at the end of `out`. */
static weir_status read_lengths(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size,
                                uint32_t most, struct weir_buffer *out, size_t *ret_count,
                                size_t *ret_used)
{
    weir_buffer_clear(out);
    if (!parquet_delta_count(data, size, most, ret_count))
        return parquet_leaf_damaged(leaf, "delta encoding is damaged");
    WEIR_TRY(weir_buffer_reserve(out, *ret_count * 4 + PADDING, leaf->reterr));
    if (!parquet_delta_read(data, size, out->data, false, *ret_count, ret_used))
        return parquet_leaf_damaged(leaf, "delta encoding is damaged");
    return WEIR_OK;
}

static weir_status open_delta_lengths(struct parquet_leaf_reader *leaf, const uint8_t *data,
                                      size_t size, uint32_t most)
{
    size_t count, used;
    if (leaf->stored_width)
        return parquet_leaf_damaged(leaf, "string encoding of something that is no string");
    WEIR_TRY(read_lengths(leaf, data, size, most, &leaf->ends, &count, &used));
    uint32_t *ends = (uint32_t *)(void *)leaf->ends.data;
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        end += ends[i];
        if (end > size - used)
            return parquet_leaf_damaged(leaf, "a string longer than its page");
        ends[i] = (uint32_t)end;
    }
    leaf->mode = VALUES_ENDS;
    leaf->values = data + used;
    leaf->value_at = 0;
    leaf->value_count = count;
    return WEIR_OK;
}

/* Each string is a prefix of the one before and a suffix of its own. */
static weir_status join_prefixes(struct parquet_leaf_reader *leaf, const uint32_t *prefixes,
                                 const uint8_t *suffixes, size_t size, size_t count)
{
    uint32_t *ends = (uint32_t *)(void *)leaf->ends.data;
    uint64_t total = 0, last = 0, rest = size;
    for (size_t i = 0; i < count; i++) {
        if (prefixes[i] > last || ends[i] > rest)
            return parquet_leaf_damaged(leaf, "a string longer than its page");
        rest -= ends[i];
        last = (uint64_t)prefixes[i] + ends[i];
        total += last;
        if (total > WEIR_PARQUET_PAGE_SIZE_MAX)
            return parquet_leaf_damaged(leaf, "strings longer than any page");
    }
    weir_buffer_clear(&leaf->scratch);
    WEIR_TRY(weir_buffer_reserve(&leaf->scratch, (size_t)total + PADDING, leaf->reterr));
    uint8_t *to = leaf->scratch.data, *before = to;
    for (size_t i = 0; i < count; i++) {
        uint8_t *start = to;
        memcpy(to, before, prefixes[i]);
        to += prefixes[i];
        memcpy(to, suffixes, ends[i]);
        to += ends[i];
        suffixes += ends[i];
        ends[i] = (uint32_t)(to - leaf->scratch.data);
        before = start;
    }
    return WEIR_OK;
}

static weir_status open_delta_strings(struct parquet_leaf_reader *leaf, const uint8_t *data,
                                      size_t size, uint32_t most)
{
    size_t count, suffixes, used, at;
    if (leaf->node->physical != PARQUET_BYTE_ARRAY && leaf->node->physical != PARQUET_FIXED)
        return parquet_leaf_damaged(leaf, "string encoding of something that is no string");
    WEIR_AUTO(weir_buffer) prefixes = {.account = leaf->account};
    WEIR_TRY(read_lengths(leaf, data, size, most, &prefixes, &count, &used));
    WEIR_TRY(read_lengths(leaf, data + used, size - used, most, &leaf->ends, &suffixes, &at));
    if (count != suffixes)
        return parquet_leaf_damaged(leaf, "other many prefixes than suffixes");
    WEIR_TRY(join_prefixes(leaf, (const uint32_t *)(const void *)prefixes.data, data + used + at,
                           size - used - at, count));
    const uint32_t *ends = (const uint32_t *)(const void *)leaf->ends.data;
    for (size_t i = 0; i < count && leaf->stored_width; i++)
        if (ends[i] != (i + 1) * leaf->stored_width)
            return parquet_leaf_damaged(leaf, "a fixed value of another length");
    leaf->mode = VALUES_ENDS;
    leaf->values = leaf->scratch.data;
    leaf->value_at = 0;
    leaf->value_count = count;
    return leaf->stored_width ? open_plain(leaf, leaf->scratch.data, count * leaf->stored_width)
                              : WEIR_OK;
}

static weir_status open_split(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size)
{
    size_t width = leaf->stored_width;
    if (width == 0 || leaf->node->physical == PARQUET_BOOLEAN || size % width)
        return parquet_leaf_damaged(leaf, "byte streams cut off");
    size_t count = size / width;
    weir_buffer_clear(&leaf->scratch);
    WEIR_TRY(weir_buffer_reserve(&leaf->scratch, size + PADDING, leaf->reterr));
    uint8_t *to = leaf->scratch.data;
    if (width == 4) {
        const uint8_t *a = data, *b = a + count, *c = b + count, *d = c + count;
        for (size_t i = 0; i < count; i++) {
            uint32_t value = a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 |
                             (uint32_t)d[i] << 24;
            memcpy(to + 4 * i, &value, 4);
        }
    } else {
        for (size_t b = 0; b < width; b++)
            for (size_t i = 0; i < count; i++)
                to[i * width + b] = data[b * count + i];
    }
    return open_plain(leaf, to, size);
}

static weir_status open_indices(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size)
{
    if (!leaf->has_dictionary)
        return parquet_leaf_damaged(leaf, "needs a dictionary that is not there");
    if (size && data[0] > 32)
        return parquet_leaf_damaged(leaf, "indices of more than 32 bits");
    parquet_runs_open(&leaf->indices, data + (size > 0), size - (size > 0), size ? data[0] : 0);
    leaf->mode = VALUES_INDEX;
    return WEIR_OK;
}

static weir_status open_runs(struct parquet_leaf_reader *leaf, const uint8_t *data, size_t size)
{
    uint32_t length;
    if (leaf->node->physical != PARQUET_BOOLEAN)
        return parquet_leaf_damaged(leaf, "run lengths of something that is no boolean");
    if (size < 4) { /* a page of nulls may have nothing */
        parquet_runs_open(&leaf->indices, data, 0, 1);
    } else {
        memcpy(&length, data, 4);
        if (length > size - 4)
            return parquet_leaf_damaged(leaf, "booleans are cut off");
        parquet_runs_open(&leaf->indices, data + 4, length, 1);
    }
    leaf->mode = VALUES_RUNS;
    return WEIR_OK;
}

static weir_status open_values(struct parquet_leaf_reader *leaf, int32_t encoding,
                               const uint8_t *data, size_t size, uint32_t most)
{
    static const uint8_t nothing[PADDING];
    leaf->mode = VALUES_NONE;
    if (!leaf->type)
        return WEIR_OK;
    if (size == 0) /* a page of nulls: its reader finds no value, whatever the encoding */
        return open_plain(leaf, nothing, 0);
    switch (encoding) {
    case PARQUET_PLAIN: return open_plain(leaf, data, size);
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_PLAIN_DICTIONARY: return open_indices(leaf, data, size);
    case PARQUET_DELTA_BINARY_PACKED: return open_deltas(leaf, data, size, most);
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY: return open_delta_lengths(leaf, data, size, most);
    case PARQUET_DELTA_BYTE_ARRAY: return open_delta_strings(leaf, data, size, most);
    case PARQUET_BYTE_STREAM_SPLIT: return open_split(leaf, data, size);
    case PARQUET_RLE: return open_runs(leaf, data, size);
    default: return parquet_leaf_damaged(leaf, "an encoding that is not known");
    }
}

/* ---- levels
 * ------------------------------------------------------------------------------------------------
 */

/* The levels of before the hybrid: packed from the highest bit on, without a size. Their bits are
 * turned once. */
static weir_status open_packed_levels(struct parquet_leaf_reader *leaf, const uint8_t *data,
                                      size_t size, size_t *at, unsigned width, uint32_t count,
                                      struct parquet_runs *runs, size_t keep)
{
    size_t bytes = ((size_t)count * width + 7) / 8;
    if (bytes > size - *at)
        return parquet_leaf_damaged(leaf, "levels cut off");
    leaf->levels.size = keep;
    WEIR_TRY(weir_buffer_reserve(&leaf->levels, bytes + PADDING, leaf->reterr));
    uint8_t *to = leaf->levels.data + keep;
    memset(to, 0, bytes);
    for (size_t i = 0; i < (size_t)count * width; i++) {
        size_t value = i / width, bit = width - 1 - i % width, from = *at * 8 + i;
        if (data[from / 8] >> (7 - from % 8) & 1)
            weir_bit_set(to, value * width + bit);
    }
    parquet_runs_packed(runs, to, bytes, width, count);
    *at += bytes;
    return WEIR_OK;
}

/* Levels of version 1, with their size in front. */
static weir_status open_levels(struct parquet_leaf_reader *leaf, int32_t encoding,
                               const uint8_t *data, size_t size, size_t *at, uint8_t greatest,
                               uint32_t count, struct parquet_runs *runs)
{
    uint32_t length;
    if (greatest == 0)
        return WEIR_OK;
    if (encoding == PARQUET_BIT_PACKED)
        return open_packed_levels(leaf, data, size, at, parquet_bit_width(greatest), count, runs,
                                  0);
    if (encoding != PARQUET_RLE)
        return parquet_leaf_damaged(leaf, "levels in an unknown encoding");
    if (size - *at < 4)
        return parquet_leaf_damaged(leaf, "levels cut off");
    memcpy(&length, data + *at, 4);
    *at += 4;
    if (length > size - *at)
        return parquet_leaf_damaged(leaf, "levels longer than their page");
    parquet_runs_open(runs, data + *at, length, parquet_bit_width(greatest));
    *at += length;
    return WEIR_OK;
}

/* Repetition levels of the whole page: where rows begin must be known before they are taken. */
static weir_status read_repetition(struct parquet_leaf_reader *leaf, struct parquet_runs *runs,
                                   uint32_t count)
{
    if (!leaf->node->repeated)
        return WEIR_OK;
    weir_buffer_clear(&leaf->repetition);
    WEIR_TRY(weir_buffer_reserve(&leaf->repetition, (size_t)count + PADDING, leaf->reterr));
    if (!parquet_runs_read8(runs, leaf->repetition.data, count))
        return parquet_leaf_damaged(leaf, "levels are damaged");
    for (uint32_t i = 0; i < count; i++)
        if (leaf->repetition.data[i] > leaf->node->repeated)
            return parquet_leaf_damaged(leaf, "a level beyond the schema's");
    leaf->repetition.size = count;
    return WEIR_OK;
}

/* ---- pages
 * -------------------------------------------------------------------------------------------------
 */

static weir_status open_data_page(struct parquet_leaf_reader *leaf,
                                  const struct parquet_page_header *header, const uint8_t *body)
{
    const struct file_node *node = leaf->node;
    uint32_t count = (uint32_t)header->value_count;
    struct parquet_runs repetition = {0};
    const uint8_t *plain = body;
    size_t at = 0, size = (size_t)header->plain_size;
    if (header->type == PARQUET_DATA_PAGE) {
        WEIR_TRY(unpack(leaf, header->packed, body, (size_t)header->packed_size, size, &plain));
        WEIR_TRY(open_levels(leaf, header->repetition_encoding, plain, size, &at, node->repeated,
                             count, &repetition));
        /* Turned repetition levels are read before the buffer is used again. */
        WEIR_TRY(read_repetition(leaf, &repetition, count));
        WEIR_TRY(open_levels(leaf, header->definition_encoding, plain, size, &at, node->definition,
                             count, &leaf->definition));
    } else {
        size_t first = (size_t)header->repetition_size,
               levels = first + (size_t)header->definition_size;
        if (levels > (size_t)header->packed_size || levels > size)
            return parquet_leaf_damaged(leaf, "levels longer than their page");
        parquet_runs_open(&repetition, body, first, parquet_bit_width(node->repeated));
        parquet_runs_open(&leaf->definition, body + first, levels - first,
                          parquet_bit_width(node->definition));
        WEIR_TRY(read_repetition(leaf, &repetition, count));
        size -= levels;
        /* A page without values may have no compressed part at all. */
        if (size)
            WEIR_TRY(unpack(leaf, header->packed, body + levels,
                            (size_t)header->packed_size - levels, size, &plain));
    }
    leaf->page_left = count;
    leaf->page_at = 0;
    return open_values(leaf, header->encoding, plain + at, size - at, count);
}

/* The dictionary becomes a flat vector of Weir's values, once. */
static weir_status open_dictionary(struct parquet_leaf_reader *leaf,
                                   const struct parquet_page_header *header, const uint8_t *body)
{
    const uint8_t *plain;
    if (leaf->has_dictionary)
        return parquet_leaf_damaged(leaf, "a second dictionary");
    if (header->encoding != PARQUET_PLAIN && header->encoding != PARQUET_PLAIN_DICTIONARY)
        return parquet_leaf_damaged(leaf, "a dictionary in an unknown encoding");
    leaf->has_dictionary = true;
    leaf->dictionary_count = (uint32_t)header->value_count;
    if (!leaf->type)
        return WEIR_OK;
    WEIR_TRY(
        unpack(leaf, true, body, (size_t)header->packed_size, (size_t)header->plain_size, &plain));
    WEIR_TRY(open_plain(leaf, plain, (size_t)header->plain_size));
    struct weir_arena arena;
    struct weir_vector made;
    struct parquet_output output;
    weir_arena_init(&arena, leaf->account);
    weir_status status = parquet_output_open(&output, &arena, leaf, leaf->dictionary_count, &made,
                                             leaf->reterr);
    if (status == WEIR_OK)
        status = parquet_leaf_dense(leaf, &output, leaf->dictionary_count);
    if (status == WEIR_OK)
        status = parquet_output_close(leaf, &output, true);
    if (status != WEIR_OK) {
        weir_arena_done(&arena);
        return status;
    }
    leaf->dictionary_arena = arena;
    leaf->dictionary = made;
    leaf->mode = VALUES_NONE;
    return WEIR_OK;
}

/* Goes straight to the page with the first row that is wanted, once the dictionary is behind. */
static void jump(struct parquet_leaf_reader *leaf, uint64_t *skip)
{
    const struct parquet_location *locations = leaf->locations;
    size_t from = leaf->next_location, to = from;
    if (from >= leaf->location_count || leaf->start + leaf->at != locations[from].offset ||
        leaf->levels_seen != locations[from].first_row)
        return;
    while (to + 1 < leaf->location_count &&
           locations[to + 1].first_row <= locations[from].first_row + *skip)
        to++;
    if (to == from || locations[to].offset - leaf->start >= leaf->size)
        return;
    *skip -= locations[to].first_row - locations[from].first_row;
    leaf->levels_seen = locations[to].first_row;
    leaf->at = locations[to].offset - leaf->start;
    leaf->next_location = to;
    if (leaf->counters)
        atomic_fetch_add_explicit(&leaf->counters->pages_skipped, to - from, memory_order_relaxed);
}

weir_status parquet_leaf_page(struct parquet_leaf_reader *leaf, uint64_t *skip, bool *ret_end)
{
    *ret_end = false;
    while (leaf->page_left == 0) {
        struct parquet_page_header header;
        const uint8_t *body;
        if (leaf->levels_seen == leaf->chunk->value_count) {
            *ret_end = true;
            return WEIR_OK;
        }
        if (skip && *skip && leaf->locations)
            jump(leaf, skip);
        WEIR_TRY(read_header(leaf, &header));
        bool data = header.type == PARQUET_DATA_PAGE || header.type == PARQUET_DATA_PAGE_V2;
        int64_t rows = !data ? -1 : leaf->node->repeated ? header.row_count : header.value_count;
        if (data) {
            leaf->next_location++;
            leaf->levels_seen += (uint64_t)header.value_count;
            if (leaf->levels_seen > leaf->chunk->value_count)
                return parquet_leaf_damaged(leaf, "more values than its column chunk says");
        }
        if (skip && rows >= 0 && (uint64_t)rows <= *skip && *skip) {
            *skip -= (uint64_t)rows;
            leaf->at += (uint64_t)header.packed_size;
            if (leaf->counters)
                atomic_fetch_add_explicit(&leaf->counters->pages_skipped, 1, memory_order_relaxed);
            continue;
        }
        if (!data && header.type != PARQUET_DICTIONARY_PAGE) {
            leaf->at += (uint64_t)header.packed_size;
            continue;
        }
        WEIR_TRY(read_body(leaf, &header, &body));
        if (header.type == PARQUET_DICTIONARY_PAGE)
            WEIR_TRY(open_dictionary(leaf, &header, body));
        else
            WEIR_TRY(open_data_page(leaf, &header, body));
    }
    return WEIR_OK;
}

/* ---- life
 * --------------------------------------------------------------------------------------------------
 */

static struct weir_buffer **leaf_buffers(struct parquet_leaf_reader *leaf,
                                         struct weir_buffer **buffers)
{
    buffers[0] = &leaf->window_buffer;
    buffers[1] = &leaf->repetition;
    buffers[2] = &leaf->page;
    buffers[3] = &leaf->scratch;
    buffers[4] = &leaf->ends;
    buffers[5] = &leaf->levels;
    buffers[6] = &leaf->dense;
    return buffers;
}

weir_status parquet_leaf_open(struct parquet_leaf_reader *leaf,
                              const struct weir_parquet_file *file, size_t group, uint32_t column,
                              const struct weir_type *type, struct parquet_kit *kit,
                              struct weir_error *reterr)
{
    struct weir_account *account = leaf->account;
    const struct file_chunk *chunk = &file->meta.groups[group].chunks[column];
    leaf->source = &file->source;
    leaf->chunk = chunk;
    leaf->node = &file->meta.nodes[file->meta.leaf_nodes[column]];
    leaf->column = column;
    leaf->type = type;
    leaf->reterr = reterr;
    struct weir_buffer **buffers = leaf_buffers(leaf,
                                                (struct weir_buffer *[PARQUET_KIT_BUFFERS]){0});
    for (size_t i = 0; i < PARQUET_KIT_BUFFERS; i++) {
        *buffers[i] = kit->leaves[column][i];
        kit->leaves[column][i] = (struct weir_buffer){.account = kit->account};
    }
    weir_arena_init(&leaf->dictionary_arena, account);
    leaf->stored_width = parquet_stored_width(leaf->node);
    if (type) {
        leaf->conversion = parquet_conversion_of(leaf->node, type);
        leaf->width = type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
    }
    leaf->start = chunk->dictionary_offset && chunk->dictionary_offset < chunk->data_offset
                      ? chunk->dictionary_offset
                      : chunk->data_offset;
    leaf->size = chunk->compressed_size;
    if (!parquet_codec_of(chunk->codec, &leaf->codec, &leaf->hadoop))
        return weir_fail(reterr, WEIR_UNSUPPORTED, "compression codec %d", chunk->codec);
    if (chunk->physical != leaf->node->physical)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "chunk at byte %llu: of another type than the schema says",
                         (unsigned long long)leaf->start);
    if (leaf->start > file->source.size || leaf->size > file->source.size - leaf->start)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "a column chunk of %llu bytes at byte %llu, beyond the file's %llu",
                         (unsigned long long)leaf->size, (unsigned long long)leaf->start,
                         (unsigned long long)file->source.size);
    if (!leaf->node->repeated && chunk->value_count != file->meta.groups[group].row_count)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "chunk at byte %llu: %llu values, its row group has %llu rows",
                         (unsigned long long)leaf->start, (unsigned long long)chunk->value_count,
                         (unsigned long long)file->meta.groups[group].row_count);
    return WEIR_OK;
}

void parquet_leaf_done(struct parquet_leaf_reader *leaf, struct parquet_kit *kit)
{
    struct weir_buffer **buffers = leaf_buffers(leaf,
                                                (struct weir_buffer *[PARQUET_KIT_BUFFERS]){0});
    for (size_t i = 0; i < PARQUET_KIT_BUFFERS; i++) {
        weir_buffer_clear(buffers[i]);
        kit->leaves[leaf->column][i] = *buffers[i];
    }
    weir_arena_done(&leaf->dictionary_arena);
}

weir_status parquet_kit_new(struct weir_account *account, uint32_t leaf_count,
                            struct parquet_kit **ret_kit, struct weir_error *reterr)
{
    struct parquet_kit *kit;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *kit, &kit, reterr));
    kit->account = account;
    weir_status status = weir_decompressor_new(account, &kit->decompressor, reterr);
    if (status == WEIR_OK)
        status = weir_alloc_zero(account, (size_t)leaf_count + 1, sizeof *kit->leaves, &kit->leaves,
                                 reterr);
    if (status == WEIR_OK)
        status = weir_alloc_zero(account, (size_t)leaf_count + 1, sizeof *kit->fetched,
                                 &kit->fetched, reterr);
    if (status != WEIR_OK) {
        parquet_kit_free(kit);
        return status;
    }
    kit->leaf_count = leaf_count;
    for (uint32_t i = 0; i < leaf_count; i++) {
        kit->fetched[i].account = account;
        for (size_t k = 0; k < PARQUET_KIT_BUFFERS; k++)
            kit->leaves[i][k].account = account;
    }
    *ret_kit = kit;
    return WEIR_OK;
}

void parquet_kit_free(struct parquet_kit *kit)
{
    if (!kit)
        return;
    for (uint32_t i = 0; i < kit->leaf_count; i++) {
        weir_buffer_done(&kit->fetched[i]);
        for (size_t k = 0; k < PARQUET_KIT_BUFFERS; k++)
            weir_buffer_done(&kit->leaves[i][k]);
    }
    weir_free(kit->fetched);
    weir_free(kit->leaves);
    weir_decompressor_free(kit->decompressor);
    weir_free(kit);
}
