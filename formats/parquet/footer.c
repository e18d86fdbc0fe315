/* Footer, page indexes and bloom filters to bytes. Spec: parquet.thrift, PageIndex.md,
 * BloomFilter.md. */
#include "formats/parquet/parquet_int.h"

#include <string.h>

/* parquet.thrift: CompressionCodec */
static int32_t thrift_codec(enum weir_codec codec)
{
    static const int32_t codecs[] = {[WEIR_CODEC_NONE] = 0,
                                     [WEIR_CODEC_SNAPPY] = 1,
                                     [WEIR_CODEC_GZIP] = 2,
                                     [WEIR_CODEC_ZSTD] = 6,
                                     [WEIR_CODEC_LZ4_RAW] = 7};
    return codecs[codec];
}

weir_status parquet_column_index_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                       struct weir_error *reterr)
{
    struct thrift_writer writer;
    thrift_writer_init(&writer, out, reterr);
    thrift_element_struct(&writer);
    thrift_begin_list(&writer, 1, THRIFT_TRUE, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++)
        thrift_element_bool(&writer, chunk->pages[i].null_page);
    thrift_begin_list(&writer, 2, THRIFT_BINARY, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++)
        thrift_element_binary(&writer, chunk->pages[i].lower.data, chunk->pages[i].lower.size);
    thrift_begin_list(&writer, 3, THRIFT_BINARY, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++)
        thrift_element_binary(&writer, chunk->pages[i].upper.data, chunk->pages[i].upper.size);
    thrift_write_i32(&writer, 4, chunk->boundary_order);
    thrift_begin_list(&writer, 5, THRIFT_I64, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++)
        thrift_element_i64(&writer, (int64_t)chunk->pages[i].null_count);
    thrift_end_struct(&writer);
    return writer.status;
}

weir_status parquet_offset_index_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                       struct weir_error *reterr)
{
    struct thrift_writer writer;
    thrift_writer_init(&writer, out, reterr);
    thrift_element_struct(&writer);
    thrift_begin_list(&writer, 1, THRIFT_STRUCT, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++) {
        thrift_element_struct(&writer);
        thrift_write_i64(&writer, 1, (int64_t)(chunk->file_offset + chunk->pages[i].offset));
        thrift_write_i32(&writer, 2, (int32_t)chunk->pages[i].size);
        thrift_write_i64(&writer, 3, (int64_t)chunk->pages[i].first_row);
        thrift_end_struct(&writer);
    }
    thrift_end_struct(&writer);
    return writer.status;
}

/* A union whose one member is an empty struct. */
static void write_choice(struct thrift_writer *writer, int16_t id)
{
    thrift_begin_struct(writer, id);
    thrift_begin_struct(writer, 1);
    thrift_end_struct(writer);
    thrift_end_struct(writer);
}

weir_status parquet_bloom_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    struct thrift_writer writer;
    thrift_writer_init(&writer, out, reterr);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, (int32_t)chunk->bloom_size);
    write_choice(&writer, 2); /* algorithm: BLOCK */
    write_choice(&writer, 3); /* hash: XXHASH */
    write_choice(&writer, 4); /* compression: UNCOMPRESSED */
    thrift_end_struct(&writer);
    WEIR_TRY(writer.status);
    return weir_buffer_append(out, chunk->bloom, chunk->bloom_size, reterr);
}

static void write_statistics(struct thrift_writer *writer, const struct parquet_chunk *chunk)
{
    thrift_begin_struct(writer, 12);
    thrift_write_i64(writer, 3, (int64_t)chunk->null_count);
    if (chunk->has_bounds) {
        thrift_write_binary(writer, 5, chunk->upper.data, chunk->upper.size);
        thrift_write_binary(writer, 6, chunk->lower.data, chunk->lower.size);
        thrift_write_bool(writer, 7, chunk->upper_exact);
        thrift_write_bool(writer, 8, chunk->lower_exact);
    }
    thrift_end_struct(writer);
}

static void write_page_encoding(struct thrift_writer *writer, enum parquet_page_type page,
                                enum parquet_encoding encoding, size_t count)
{
    thrift_element_struct(writer);
    thrift_write_i32(writer, 1, (int32_t)page);
    thrift_write_i32(writer, 2, (int32_t)encoding);
    thrift_write_i32(writer, 3, (int32_t)count);
    thrift_end_struct(writer);
}

static void write_column_metadata(struct thrift_writer *writer, const struct parquet_chunk *chunk,
                                  enum weir_codec codec)
{
    const struct parquet_leaf *leaf = chunk->leaf;
    bool dictionary = chunk->dictionary_size > 0;
    thrift_begin_struct(writer, 3);
    thrift_write_i32(writer, 1, (int32_t)leaf->physical);
    thrift_begin_list(writer, 2, THRIFT_I32, 2 + dictionary);
    thrift_element_i32(writer, PARQUET_RLE);
    if (dictionary)
        thrift_element_i32(writer, PARQUET_PLAIN);
    thrift_element_i32(writer, (int32_t)chunk->encoding);
    thrift_begin_list(writer, 3, THRIFT_BINARY, leaf->path_count);
    for (uint32_t i = 0; i < leaf->path_count; i++)
        thrift_element_binary(writer, leaf->path[i], strlen(leaf->path[i]));
    thrift_write_i32(writer, 4, thrift_codec(codec));
    thrift_write_i64(writer, 5, (int64_t)chunk->value_count);
    thrift_write_i64(writer, 6, (int64_t)chunk->plain_size);
    thrift_write_i64(writer, 7, (int64_t)chunk->compressed_size);
    thrift_write_i64(writer, 9, (int64_t)(chunk->file_offset + chunk->dictionary_size));
    if (dictionary)
        thrift_write_i64(writer, 11, (int64_t)chunk->file_offset);
    write_statistics(writer, chunk);
    thrift_begin_list(writer, 13, THRIFT_STRUCT, 1 + dictionary);
    if (dictionary)
        write_page_encoding(writer, PARQUET_DICTIONARY_PAGE, PARQUET_PLAIN, 1);
    write_page_encoding(writer, PARQUET_DATA_PAGE, chunk->encoding, chunk->page_count);
    if (chunk->bloom_length) {
        thrift_write_i64(writer, 14, (int64_t)chunk->bloom_offset);
        thrift_write_i32(writer, 15, (int32_t)chunk->bloom_length);
    }
    thrift_end_struct(writer);
}

static void write_chunk(struct thrift_writer *writer, const struct parquet_chunk *chunk,
                        enum weir_codec codec)
{
    thrift_element_struct(writer);
    thrift_write_i64(writer, 2, (int64_t)chunk->file_offset);
    write_column_metadata(writer, chunk, codec);
    thrift_write_i64(writer, 4, (int64_t)chunk->offset_index_offset);
    thrift_write_i32(writer, 5, (int32_t)chunk->offset_index_length);
    if (chunk->column_index_length) {
        thrift_write_i64(writer, 6, (int64_t)chunk->column_index_offset);
        thrift_write_i32(writer, 7, (int32_t)chunk->column_index_length);
    }
    thrift_end_struct(writer);
}

static void write_row_group(struct thrift_writer *writer, const struct parquet_row_group *group,
                            uint32_t leaf_count, size_t ordinal, enum weir_codec codec)
{
    uint64_t plain_size = 0, compressed_size = 0;
    for (uint32_t i = 0; i < leaf_count; i++) {
        plain_size += group->chunks[i].plain_size;
        compressed_size += group->chunks[i].compressed_size;
    }
    thrift_element_struct(writer);
    thrift_begin_list(writer, 1, THRIFT_STRUCT, leaf_count);
    for (uint32_t i = 0; i < leaf_count; i++)
        write_chunk(writer, &group->chunks[i], codec);
    thrift_write_i64(writer, 2, (int64_t)plain_size);
    thrift_write_i64(writer, 3, (int64_t)group->row_count);
    thrift_write_i64(writer, 5, (int64_t)group->file_offset);
    thrift_write_i64(writer, 6, (int64_t)compressed_size);
    if (ordinal <= INT16_MAX)
        thrift_write_i16(writer, 7, (int16_t)ordinal);
    thrift_end_struct(writer);
}

weir_status parquet_footer_write(const struct weir_type *schema,
                                 const struct weir_parquet_options *options,
                                 const struct parquet_row_group *groups, size_t group_count,
                                 uint32_t leaf_count, uint64_t row_count, struct weir_buffer *out,
                                 struct weir_error *reterr)
{
    struct thrift_writer writer;
    thrift_writer_init(&writer, out, reterr);
    thrift_element_struct(&writer);
    thrift_write_i32(&writer, 1, 2); /* format version: RLE_DICTIONARY and delta are of 2 */
    parquet_schema_write(&writer, 2, schema);
    thrift_write_i64(&writer, 3, (int64_t)row_count);
    thrift_begin_list(&writer, 4, THRIFT_STRUCT, group_count);
    for (size_t i = 0; i < group_count; i++)
        write_row_group(&writer, &groups[i], leaf_count, i, options->codec);
    if (options->iceberg_schema_json) {
        thrift_begin_list(&writer, 5, THRIFT_STRUCT, 1);
        thrift_element_struct(&writer);
        thrift_write_text(&writer, 1, "iceberg.schema");
        thrift_write_text(&writer, 2, options->iceberg_schema_json);
        thrift_end_struct(&writer);
    }
    thrift_write_text(&writer, 6, options->created_by ? options->created_by : "weir");
    thrift_begin_list(&writer, 7, THRIFT_STRUCT, leaf_count);
    for (uint32_t i = 0; i < leaf_count; i++) {
        thrift_element_struct(&writer); /* ColumnOrder, a union: TYPE_ORDER */
        thrift_begin_struct(&writer, 1);
        thrift_end_struct(&writer);
        thrift_end_struct(&writer);
    }
    thrift_end_struct(&writer);
    return writer.status;
}
