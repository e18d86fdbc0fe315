/* A buffered column to a column chunk: choose the encoding, write the pages, note bounds and
 * positions.
 *
 * Data pages are version 1: every reader has it (README.md). One encoding serves the whole chunk,
 * since all values are there when it is chosen. */
#include "formats/parquet/parquet_int.h"

#include <string.h>
#include <zlib.h>

struct encoder {
    struct parquet_column *column;
    const struct parquet_leaf *leaf;
    const struct weir_parquet_options *options;
    struct parquet_chunk *chunk;
    struct parquet_dictionary dictionary;
    struct weir_compressor *compressor;
    struct weir_buffer plain, packed; /* a page before and after compression */
    uint32_t *seen; /* page + 1 in which a dictionary entry was met last; strings only */
    struct parquet_string_cursor cursor;
    uint64_t page_size, value_at, row_at;
    struct parquet_range range;
    /* The page before, for the boundary order: raw bounds. */
    struct parquet_range last_range;
    bool ascending, descending;
    struct weir_error *reterr;
};

/* Part of a segment that becomes a page. */
struct page_part {
    const struct parquet_segment *segment;
    uint32_t level_from, level_to, value_from, value_to, row_count;
};

static const uint32_t *part_lengths(const struct page_part *part)
{
    return (const uint32_t *)(const void *)part->segment->values.data + part->value_from;
}

static const uint32_t *part_indices(const struct encoder *encoder)
{
    return (const uint32_t *)(const void *)encoder->dictionary.indices.data + encoder->value_at;
}

static struct weir_bytes dictionary_string(const struct encoder *encoder, uint32_t entry)
{
    return ((const struct weir_bytes *)(const void *)encoder->dictionary.entries.data)[entry];
}

/* Delta only for plain integers and times: decimals in delta are beyond some vectorized readers. */
static bool delta_allowed(const struct parquet_leaf *leaf)
{
    return (leaf->physical == PARQUET_INT32 || leaf->physical == PARQUET_INT64) &&
           leaf->type->id != WEIR_DECIMAL;
}

static weir_status choose_encoding(struct encoder *encoder)
{
    const struct parquet_column *column = encoder->column;
    const struct parquet_leaf *leaf = encoder->leaf;
    enum parquet_encoding *encoding = &encoder->chunk->encoding;
    *encoding = PARQUET_PLAIN;
    if (leaf->physical == PARQUET_BOOLEAN || column->value_count == 0)
        return WEIR_OK;
    double delta_bits = 1e9; /* a value, by the first segment that has some */
    const struct parquet_segment *segment = column->segments;
    while (segment->value_count == 0)
        segment++;
    if (delta_allowed(leaf))
        delta_bits = 8.0 *
                     (double)parquet_delta_size(segment->values.data, segment->value_count,
                                                leaf->width) /
                     segment->value_count;
    bool tiny = delta_bits < 1 && column->value_count > 64; /* counters: no dictionary comes near */
    if (!tiny)
        WEIR_TRY(parquet_dictionary_build(column, &encoder->dictionary, encoder->reterr));
    double dictionary_bits = 1e9;
    if (encoder->dictionary.used)
        dictionary_bits = parquet_bit_width(encoder->dictionary.count - 1) +
                          8.0 * (double)encoder->dictionary.plain_size /
                              (double)column->value_count;
    if (dictionary_bits <= delta_bits && encoder->dictionary.used)
        *encoding = PARQUET_RLE_DICTIONARY;
    else if (delta_bits < 8.0 * leaf->width * 0.9)
        *encoding = PARQUET_DELTA_BINARY_PACKED;
    if (*encoding != PARQUET_RLE_DICTIONARY)
        parquet_dictionary_done(&encoder->dictionary);
    else if (leaf->physical == PARQUET_BYTE_ARRAY)
        WEIR_TRY(weir_alloc_zero(column->account, encoder->dictionary.count, sizeof *encoder->seen,
                                 &encoder->seen, encoder->reterr));
    return WEIR_OK;
}

/* Compresses `plain` and appends header and data to the chunk. */
static weir_status emit_page(struct encoder *encoder, enum parquet_page_type type,
                             uint32_t value_count, enum parquet_encoding encoding,
                             uint32_t *ret_size)
{
    struct parquet_chunk *chunk = encoder->chunk;
    size_t before = chunk->bytes.size;
    if (encoder->plain.size > INT32_MAX)
        return weir_fail(encoder->reterr, WEIR_UNSUPPORTED,
                         "a page of %zu bytes: one row holds more than Parquet allows",
                         encoder->plain.size);
    weir_buffer_clear(&encoder->packed);
    WEIR_TRY(weir_compress(encoder->compressor, encoder->plain.data, encoder->plain.size,
                           &encoder->packed, encoder->reterr));
    if (encoder->packed.size > INT32_MAX)
        return weir_fail(encoder->reterr, WEIR_UNSUPPORTED,
                         "a page of %zu bytes: one row holds more than Parquet allows",
                         encoder->packed.size);
    struct thrift_writer writer;
    thrift_writer_init(&writer, &chunk->bytes, encoder->reterr);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, (int32_t)type);
    thrift_write_i32(&writer, 2, (int32_t)encoder->plain.size);
    thrift_write_i32(&writer, 3, (int32_t)encoder->packed.size);
    thrift_write_i32(&writer, 4,
                     (int32_t)crc32(0, encoder->packed.data, (uInt)encoder->packed.size));
    thrift_begin_struct(&writer, type == PARQUET_DICTIONARY_PAGE ? 7 : 5);
    thrift_write_i32(&writer, 1, (int32_t)value_count);
    thrift_write_i32(&writer, 2, (int32_t)encoding);
    if (type == PARQUET_DATA_PAGE) {
        thrift_write_i32(&writer, 3, PARQUET_RLE);
        thrift_write_i32(&writer, 4, PARQUET_RLE);
    }
    thrift_end_struct(&writer);
    thrift_end_struct(&writer);
    WEIR_TRY(writer.status);
    chunk->plain_size += chunk->bytes.size - before + encoder->plain.size;
    WEIR_TRY(weir_buffer_append(&chunk->bytes, encoder->packed.data, encoder->packed.size,
                                encoder->reterr));
    *ret_size = (uint32_t)(chunk->bytes.size - before);
    return WEIR_OK;
}

static void put_plain_string(struct weir_buffer *out, const uint8_t *data, uint32_t size)
{
    memcpy(out->data + out->size, &size, 4);
    memcpy(out->data + out->size + 4, data, size);
    out->size += 4 + (size_t)size;
}

static weir_status emit_dictionary(struct encoder *encoder)
{
    const struct parquet_dictionary *dictionary = &encoder->dictionary;
    weir_buffer_clear(&encoder->plain);
    if (encoder->leaf->physical == PARQUET_BYTE_ARRAY) {
        WEIR_TRY(weir_buffer_reserve(&encoder->plain, dictionary->plain_size, encoder->reterr));
        for (uint32_t i = 0; i < dictionary->count; i++) {
            struct weir_bytes entry = dictionary_string(encoder, i);
            put_plain_string(&encoder->plain, entry.data, (uint32_t)entry.size);
        }
    } else {
        WEIR_TRY(weir_buffer_append(&encoder->plain, dictionary->entries.data,
                                    dictionary->entries.size, encoder->reterr));
    }
    uint32_t size;
    WEIR_TRY(emit_page(encoder, PARQUET_DICTIONARY_PAGE, dictionary->count, PARQUET_PLAIN, &size));
    encoder->chunk->dictionary_size = size;
    return WEIR_OK;
}

/* Levels of a version 1 page: four bytes of length, then the hybrid. */
static weir_status put_levels(struct encoder *encoder, const struct weir_buffer *levels,
                              uint8_t greatest, uint32_t from, uint32_t to)
{
    struct weir_buffer *out = &encoder->plain;
    unsigned width = parquet_bit_width(greatest);
    size_t head = out->size;
    if (greatest == 0)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_append(out, &(uint32_t){0}, 4, encoder->reterr));
    if (levels->size)
        WEIR_TRY(parquet_rle_encode8(levels->data + from, to - from, width, out, encoder->reterr));
    else
        WEIR_TRY(parquet_rle_constant(greatest, to - from, width, out, encoder->reterr));
    uint32_t size = (uint32_t)(out->size - head - 4);
    memcpy(out->data + head, &size, 4);
    return WEIR_OK;
}

static weir_status put_plain_strings(struct encoder *encoder, const struct page_part *part,
                                     struct parquet_range *range)
{
    const uint32_t *lengths = part_lengths(part);
    uint32_t count = part->value_to - part->value_from;
    bool bounds = !encoder->leaf->no_bounds;
    uint64_t total = 4 * (uint64_t)count;
    for (uint32_t i = 0; i < count; i++)
        total += lengths[i];
    WEIR_TRY(weir_buffer_reserve(&encoder->plain, total, encoder->reterr));
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *data = parquet_string_next(&encoder->cursor, lengths[i]);
        put_plain_string(&encoder->plain, data, lengths[i]);
        if (bounds)
            parquet_range_add_bytes(range, PARQUET_ORDER_BYTES,
                                    (struct weir_bytes){data, lengths[i]});
    }
    return WEIR_OK;
}

static weir_status put_booleans(struct encoder *encoder, const uint8_t *values, uint32_t count)
{
    size_t size = ((size_t)count + 7) / 8;
    WEIR_TRY(weir_buffer_reserve(&encoder->plain, size, encoder->reterr));
    uint8_t *bits = encoder->plain.data + encoder->plain.size;
    if (size)
        memset(bits, 0, size);
    for (uint32_t i = 0; i < count; i++)
        bits[i >> 3] |= (uint8_t)(values[i] << (i & 7));
    encoder->plain.size += size;
    return WEIR_OK;
}

static weir_status put_indices(struct encoder *encoder, uint32_t count)
{
    unsigned width = parquet_bit_width(encoder->dictionary.count - 1);
    WEIR_TRY(weir_buffer_append(&encoder->plain, &(uint8_t){(uint8_t)width}, 1, encoder->reterr));
    return parquet_rle_encode32(part_indices(encoder), count, width, &encoder->plain,
                                encoder->reterr);
}

/* Each entry of the dictionary is compared once a page, however often it comes. */
static void range_of_entries(struct encoder *encoder, uint32_t count, struct parquet_range *range)
{
    const uint32_t *indices = part_indices(encoder);
    uint32_t mark = (uint32_t)encoder->chunk->page_count + 1;
    for (uint32_t i = 0; i < count; i++) {
        if (encoder->seen[indices[i]] == mark)
            continue;
        encoder->seen[indices[i]] = mark;
        parquet_range_add_bytes(range, PARQUET_ORDER_BYTES, dictionary_string(encoder, indices[i]));
    }
}

static weir_status put_values(struct encoder *encoder, const struct page_part *part,
                              struct parquet_range *range)
{
    const struct parquet_leaf *leaf = encoder->leaf;
    uint32_t count = part->value_to - part->value_from;
    const uint8_t *values = part->segment->values.data + (size_t)part->value_from * leaf->width;
    bool text = leaf->physical == PARQUET_BYTE_ARRAY;
    if (!text) { /* NaNs are counted even where bounds are not wanted */
        parquet_range_fixed(leaf, values, count, range, &encoder->chunk->nan_count);
        range->set = range->set && !leaf->no_bounds;
    }
    if (count == 0)
        return WEIR_OK; /* a page of nulls: every encoding has an empty form, but the empty run
                           reads everywhere */
    switch (encoder->chunk->encoding) {
    case PARQUET_RLE_DICTIONARY:
        if (text && !leaf->no_bounds)
            range_of_entries(encoder, count, range);
        return put_indices(encoder, count);
    case PARQUET_DELTA_BINARY_PACKED:
        return parquet_delta_encode(values, count, leaf->width, &encoder->plain, encoder->reterr);
    default:
        if (text)
            return put_plain_strings(encoder, part, range);
        if (leaf->physical == PARQUET_BOOLEAN)
            return put_booleans(encoder, values, count);
        return weir_buffer_append(&encoder->plain, values, (size_t)count * leaf->width,
                                  encoder->reterr);
    }
}

/* Notes the page's bounds, and whether bounds of pages so far only rise or only fall. */
static weir_status note_bounds(struct encoder *encoder, struct parquet_page *page,
                               const struct parquet_range *range)
{
    struct parquet_chunk *chunk = encoder->chunk;
    enum parquet_order order = parquet_order_of(encoder->leaf);
    bool exact;
    if (page->null_page)
        return WEIR_OK;
    if (!range->set) { /* only NaNs, or not wanted */
        chunk->index_possible = false;
        return WEIR_OK;
    }
    if (encoder->last_range.set) {
        int lower = parquet_compare(order, &range->lower, &encoder->last_range.lower);
        int upper = parquet_compare(order, &range->upper, &encoder->last_range.upper);
        encoder->ascending = encoder->ascending && lower >= 0 && upper >= 0;
        encoder->descending = encoder->descending && lower <= 0 && upper <= 0;
    }
    encoder->last_range = *range;
    parquet_range_merge(order, &encoder->range, range);
    WEIR_TRY(parquet_bound_plain(&chunk->arena, encoder->leaf, &range->lower, false,
                                 PARQUET_INDEX_BOUND, &page->lower, &exact, encoder->reterr));
    return parquet_bound_plain(&chunk->arena, encoder->leaf, &range->upper, true,
                               PARQUET_INDEX_BOUND, &page->upper, &exact, encoder->reterr);
}

static weir_status chunk_new_page(struct parquet_chunk *chunk, struct weir_account *account,
                                  struct parquet_page **ret_page, struct weir_error *reterr)
{
    if (chunk->page_count == chunk->page_capacity) {
        size_t capacity = chunk->page_capacity ? chunk->page_capacity * 2 : 8;
        WEIR_TRY(weir_realloc(&chunk->pages, account, capacity * sizeof *chunk->pages, reterr));
        chunk->page_capacity = capacity;
    }
    *ret_page = &chunk->pages[chunk->page_count];
    **ret_page = (struct parquet_page){0};
    return WEIR_OK;
}

static weir_status emit_data_page(struct encoder *encoder, const struct page_part *part)
{
    struct parquet_chunk *chunk = encoder->chunk;
    uint32_t levels = part->level_to - part->level_from, values = part->value_to - part->value_from;
    struct parquet_range range = {0};
    struct parquet_page *page;
    WEIR_TRY(chunk_new_page(chunk, encoder->column->account, &page, encoder->reterr));
    weir_buffer_clear(&encoder->plain);
    WEIR_TRY(put_levels(encoder, &part->segment->repetition, encoder->leaf->max_repetition,
                        part->level_from, part->level_to));
    WEIR_TRY(put_levels(encoder, &part->segment->definition, encoder->leaf->max_definition,
                        part->level_from, part->level_to));
    WEIR_TRY(put_values(encoder, part, &range));
    page->offset = chunk->bytes.size;
    page->first_row = encoder->row_at;
    page->null_count = levels - values;
    page->null_page = values == 0;
    WEIR_TRY(note_bounds(encoder, page, &range));
    WEIR_TRY(emit_page(encoder, PARQUET_DATA_PAGE, levels, chunk->encoding, &page->size));
    chunk->page_count++;
    chunk->value_count += levels;
    chunk->null_count += levels - values;
    encoder->value_at += values;
    encoder->row_at += part->row_count;
    return WEIR_OK;
}

/* Cuts a segment after each row that brings its page to page_size. Most segments are one page. */
static weir_status emit_segment(struct encoder *encoder, const struct parquet_segment *segment)
{
    const struct parquet_leaf *leaf = encoder->leaf;
    bool text = leaf->physical == PARQUET_BYTE_ARRAY;
    uint64_t each = text ? 4 : leaf->width,
             whole = segment->value_count * each + segment->byte_count;
    struct page_part part = {.segment = segment};
    if (whole <= encoder->page_size) {
        part.level_to = segment->level_count;
        part.value_to = segment->value_count;
        part.row_count = segment->row_count;
        return emit_data_page(encoder, &part);
    }
    const uint32_t *lengths = (const uint32_t *)(const void *)segment->values.data;
    uint64_t size = 0;
    for (uint32_t at = 0; at < segment->level_count; at++) {
        bool row = !leaf->max_repetition || segment->repetition.data[at] == 0;
        if (row && size >= encoder->page_size) {
            WEIR_TRY(emit_data_page(encoder, &part));
            part = (struct page_part){.segment = segment,
                                      .level_from = at,
                                      .level_to = at,
                                      .value_from = part.value_to,
                                      .value_to = part.value_to};
            size = 0;
        }
        part.row_count += row;
        part.level_to++;
        if (segment->definition.size == 0 || segment->definition.data[at] == leaf->max_definition)
            size += each + (text ? lengths[part.value_to++] : (part.value_to++, 0));
    }
    return emit_data_page(encoder, &part);
}

/* ---- bloom
 * -----------------------------------------------------------------------------------------------------
 */

static weir_status make_bloom(struct encoder *encoder)
{
    struct parquet_chunk *chunk = encoder->chunk;
    const struct parquet_column *column = encoder->column;
    const struct parquet_dictionary *dictionary = &encoder->dictionary;
    bool text = encoder->leaf->physical == PARQUET_BYTE_ARRAY;
    uint32_t width = encoder->leaf->width;
    chunk->bloom_size = parquet_bloom_size(dictionary->used ? dictionary->count
                                                            : column->value_count);
    WEIR_TRY(weir_arena_zero(&chunk->arena, chunk->bloom_size, 1, &chunk->bloom, encoder->reterr));
    for (uint32_t i = 0; i < dictionary->count; i++) {
        struct weir_bytes entry = {dictionary->entries.data + (size_t)i * width, width};
        entry = text ? dictionary_string(encoder, i) : entry;
        parquet_bloom_add(chunk->bloom, chunk->bloom_size,
                          parquet_bloom_hash(entry.data, entry.size));
    }
    struct parquet_string_cursor cursor = {column->first_block, 0};
    for (size_t s = 0; s < column->segment_count && !dictionary->used; s++) {
        const struct parquet_segment *segment = &column->segments[s];
        const uint32_t *lengths = (const uint32_t *)(const void *)segment->values.data;
        for (uint32_t i = 0; i < segment->value_count; i++) {
            const uint8_t *data = text ? parquet_string_next(&cursor, lengths[i])
                                       : segment->values.data + (size_t)i * width;
            parquet_bloom_add(chunk->bloom, chunk->bloom_size,
                              parquet_bloom_hash(data, text ? lengths[i] : width));
        }
    }
    return WEIR_OK;
}

/* The chunk's bounds, and a short copy of them that outlives the column, for the file's metrics. */
static weir_status keep_range(struct encoder *encoder)
{
    struct parquet_chunk *chunk = encoder->chunk;
    const struct parquet_leaf *leaf = encoder->leaf;
    chunk->range = encoder->range;
    chunk->has_bounds = encoder->range.set;
    chunk->boundary_order = encoder->ascending ? 1 : encoder->descending ? 2 : 0;
    if (!chunk->has_bounds)
        return WEIR_OK;
    WEIR_TRY(parquet_bound_plain(&chunk->arena, leaf, &encoder->range.lower, false,
                                 PARQUET_STATISTICS_BOUND, &chunk->lower, &chunk->lower_exact,
                                 encoder->reterr));
    WEIR_TRY(parquet_bound_plain(&chunk->arena, leaf, &encoder->range.upper, true,
                                 PARQUET_STATISTICS_BOUND, &chunk->upper, &chunk->upper_exact,
                                 encoder->reterr));
    if (leaf->physical != PARQUET_BYTE_ARRAY && leaf->physical != PARQUET_FIXED)
        return WEIR_OK;
    if (leaf->type->id == WEIR_DECIMAL || leaf->type->id == WEIR_UUID) {
        chunk->range.lower.bytes = chunk->lower;
        chunk->range.upper.bytes = chunk->upper;
        return WEIR_OK;
    }
    struct weir_bytes lower = {0}, upper = {0};
    WEIR_TRY(parquet_bound_iceberg(&chunk->arena, leaf, &encoder->range.lower, false, &lower,
                                   encoder->reterr));
    WEIR_TRY(parquet_bound_iceberg(&chunk->arena, leaf, &encoder->range.upper, true, &upper,
                                   encoder->reterr));
    chunk->range.lower.bytes = lower;
    chunk->range.upper.bytes =
        upper.data ? upper
                   : chunk->upper; /* longer than the bound and not to be cut: merges to "none" */
    return WEIR_OK;
}

static weir_status encode(struct encoder *encoder)
{
    struct parquet_column *column = encoder->column;
    WEIR_TRY(weir_compressor_new(column->account, encoder->options->codec,
                                 encoder->options->codec_level, &encoder->compressor,
                                 encoder->reterr));
    WEIR_TRY(choose_encoding(encoder));
    if (encoder->dictionary.used)
        WEIR_TRY(emit_dictionary(encoder));
    encoder->cursor = (struct parquet_string_cursor){column->first_block, 0};
    for (size_t i = 0; i < column->segment_count; i++)
        WEIR_TRY(emit_segment(encoder, &column->segments[i]));
    WEIR_TRY(keep_range(encoder));
    if (encoder->leaf->bloom && column->value_count)
        WEIR_TRY(make_bloom(encoder));
    encoder->chunk->compressed_size = encoder->chunk->bytes.size;
    return WEIR_OK;
}

weir_status parquet_chunk_encode(struct parquet_column *column,
                                 const struct weir_parquet_options *options,
                                 struct weir_account *account, struct parquet_chunk *chunk,
                                 struct weir_error *reterr)
{
    *chunk = (struct parquet_chunk){
        .leaf = column->leaf, .bytes.account = account, .index_possible = !column->leaf->no_bounds};
    weir_arena_init(&chunk->arena, account);
    struct encoder encoder = {.column = column,
                              .leaf = column->leaf,
                              .options = options,
                              .chunk = chunk,
                              .plain.account = account,
                              .packed.account = account,
                              .ascending = true,
                              .descending = true,
                              .reterr = reterr,
                              .page_size = options->page_size ? options->page_size
                                                              : PARQUET_PAGE_DEFAULT};
    weir_status status = encode(&encoder);
    parquet_dictionary_done(&encoder.dictionary);
    weir_compressor_free(encoder.compressor);
    weir_buffer_done(&encoder.plain);
    weir_buffer_done(&encoder.packed);
    weir_free(encoder.seen);
    parquet_column_clear(column);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "column %s", column->leaf->path[column->leaf->path_count - 1]);
    return status;
}

void parquet_chunk_done(struct parquet_chunk *chunk)
{
    weir_buffer_done(&chunk->bytes);
    weir_free(chunk->pages);
    chunk->pages = NULL;
    weir_arena_done(&chunk->arena);
}
