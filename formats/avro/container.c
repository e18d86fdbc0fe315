/* Avro object container files: header, blocks, sync markers and codecs. */
#include "formats/avro/avro_int.h"

#include "engine/base/limits.h"

#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static const uint8_t magic[4] = {'O', 'b', 'j', 1};

struct weir_avro_reader {
    const uint8_t *data;
    size_t size, position;
    struct weir_avro_type *schema;
    struct weir_avro_value header; /* the map of bytes */
    enum avro_codec codec;
    uint8_t sync[16];
    struct weir_buffer block; /* bytes of the block at hand, when compressed */
    const uint8_t *values;
    size_t values_size, values_position;
    int64_t left;  /* values of the block not yet read */
    size_t budget; /* values that may still come, whatever the blocks say */
};

static weir_status reader_header(struct weir_avro_reader *reader, struct weir_arena *arena,
                                 struct weir_error *reterr)
{
    static struct weir_avro_type bytes_type = {
        .kind = WEIR_AVRO_BYTES, .name = "", .logical_type = ""};
    static struct weir_avro_field value_field = {.name = "value", .id = -1, .type = &bytes_type};
    static const struct weir_avro_type map_type = {.kind = WEIR_AVRO_MAP,
                                                   .name = "",
                                                   .logical_type = "",
                                                   .fields = &value_field,
                                                   .field_count = 1};
    if (reader->size < sizeof magic || memcmp(reader->data, magic, sizeof magic) != 0)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "avro: no container file: it does not start with Obj1");
    reader->position = sizeof magic;
    WEIR_TRY(weir_avro_decode(arena, &map_type, reader->data, reader->size, &reader->position,
                              &reader->header, reterr));
    if (reader->size - reader->position < 16)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: file ends in its header, at %zu",
                         reader->size);
    memcpy(reader->sync, reader->data + reader->position, 16);
    reader->position += 16;

    struct weir_bytes schema, codec;
    if (!weir_avro_reader_metadata(reader, "avro.schema", &schema))
        return weir_fail(reterr, WEIR_CORRUPT, "avro: header without avro.schema");
    WEIR_TRY(weir_avro_schema_parse(arena, (const char *)schema.data, schema.size, &reader->schema,
                                    reterr));
    if (!weir_avro_reader_metadata(reader, "avro.codec", &codec))
        return WEIR_OK;
    return avro_codec_find(codec, &reader->codec, reterr);
}

weir_status weir_avro_reader_open(struct weir_arena *arena, const void *data, size_t size,
                                  struct weir_avro_reader **ret_reader, struct weir_error *reterr)
{
    struct weir_avro_reader *reader;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *reader, &reader, reterr));
    reader->data = data;
    reader->size = size;
    reader->budget = WEIR_AVRO_FREE_VALUES_MAX;
    weir_buffer_init(&reader->block, arena->account);
    WEIR_TRY(reader_header(reader, arena, reterr));
    *ret_reader = reader;
    return WEIR_OK;
}

void weir_avro_reader_close(struct weir_avro_reader *reader)
{
    if (reader)
        weir_buffer_done(&reader->block);
}

struct weir_avro_type *weir_avro_reader_schema(struct weir_avro_reader *reader)
{
    return reader->schema;
}

bool weir_avro_reader_metadata(const struct weir_avro_reader *reader, const char *key,
                               struct weir_bytes *ret_value)
{
    for (size_t i = 0; i < reader->header.as.list.count; i++) {
        const struct weir_avro_value *pair = &reader->header.as.list.items[2 * i];
        if (pair[0].as.bytes.size == strlen(key) &&
            memcmp(pair[0].as.bytes.data, key, strlen(key)) == 0) {
            *ret_value = pair[1].as.bytes;
            return true;
        }
    }
    return false;
}

static weir_status inflate_block(struct weir_buffer *out, const uint8_t *data, size_t size,
                                 struct weir_error *reterr)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)data, .avail_in = (uInt)size};
    if (inflateInit2(&stream, -15) != Z_OK)
        return weir_fail(reterr, WEIR_NO_MEMORY, "avro: zlib did not start");
    weir_status status = WEIR_OK;
    int answer = Z_OK;
    while (answer == Z_OK) {
        WEIR_TRY_OUT(status, weir_buffer_reserve(out, 64 << 10, reterr));
        size_t room = out->capacity - out->size;
        stream.next_out = out->data + out->size;
        stream.avail_out = (uInt)(room > (1u << 30) ? 1u << 30 : room);
        uInt before = stream.avail_out;
        answer = inflate(&stream, Z_NO_FLUSH);
        out->size += before - stream.avail_out;
        if (out->size > WEIR_METADATA_SIZE_MAX) {
            status = weir_fail(reterr, WEIR_CORRUPT, "avro: a block inflates beyond %u bytes",
                               WEIR_METADATA_SIZE_MAX);
            goto out;
        }
    }
    if (answer != Z_STREAM_END)
        status = weir_fail(reterr, WEIR_CORRUPT, "avro: deflate block is damaged: %s",
                           stream.msg ? stream.msg : "cut off");
out:
    inflateEnd(&stream);
    return status;
}

static weir_status snappy_block(struct weir_buffer *out, const uint8_t *data, size_t size,
                                struct weir_error *reterr)
{
    size_t whole;
    if (size < 4 || snappy_uncompressed_length((const char *)data, size - 4, &whole) != SNAPPY_OK ||
        whole > WEIR_METADATA_SIZE_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: snappy block of %zu bytes is damaged", size);
    WEIR_TRY(weir_buffer_reserve(out, whole, reterr));
    if (snappy_uncompress((const char *)data, size - 4, (char *)out->data, &whole) != SNAPPY_OK)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: snappy block of %zu bytes is damaged", size);
    out->size = whole;
    const uint8_t *sum = data + size - 4;
    uint32_t want = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 |
                    sum[3];
    uint32_t got = (uint32_t)crc32(0, out->data, (uInt)whole);
    return got == want ? WEIR_OK
                       : weir_fail(reterr, WEIR_CORRUPT, "avro: snappy block: crc %08x, want %08x",
                                   got, want);
}

static weir_status zstd_block(struct weir_buffer *out, const uint8_t *data, size_t size,
                              struct weir_error *reterr)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return weir_fail(reterr, WEIR_NO_MEMORY, "avro: zstd did not start");
    ZSTD_inBuffer input = {data, size, 0};
    weir_status status = WEIR_OK;
    size_t answer = 1;
    while (answer != 0) {
        WEIR_TRY_OUT(status, weir_buffer_reserve(out, 64 << 10, reterr));
        ZSTD_outBuffer output = {out->data + out->size, out->capacity - out->size, 0};
        size_t before = input.pos;
        answer = ZSTD_decompressStream(context, &output, &input);
        out->size += output.pos;
        bool stuck = answer != 0 && input.pos == before && output.pos == 0;
        if (ZSTD_isError(answer) || stuck || out->size > WEIR_METADATA_SIZE_MAX) {
            status = weir_fail(reterr, WEIR_CORRUPT, "avro: zstd block is damaged: %s",
                               ZSTD_isError(answer) ? ZSTD_getErrorName(answer)
                                                    : "cut off or too large");
            goto out;
        }
    }
out:
    ZSTD_freeDCtx(context);
    return status;
}

weir_status avro_codec_find(struct weir_bytes name, enum avro_codec *ret_codec,
                            struct weir_error *reterr)
{
    static const char *const names[] = {"null", "deflate", "snappy", "zstandard"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.size == strlen(names[i]) && memcmp(name.data, names[i], name.size) == 0) {
            *ret_codec = (enum avro_codec)i;
            return WEIR_OK;
        }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "avro: codec \"%.*s\"",
                     (int)(name.size < 40 ? name.size : 40), (const char *)name.data);
}

weir_status avro_unpack(enum avro_codec codec, struct weir_bytes packed, struct weir_buffer *block,
                        struct weir_bytes *ret_values, struct weir_error *reterr)
{
    weir_buffer_clear(block);
    switch (codec) {
    case AVRO_CODEC_DEFLATE:
        WEIR_TRY(inflate_block(block, packed.data, packed.size, reterr));
        break;
    case AVRO_CODEC_SNAPPY: WEIR_TRY(snappy_block(block, packed.data, packed.size, reterr)); break;
    case AVRO_CODEC_ZSTD: WEIR_TRY(zstd_block(block, packed.data, packed.size, reterr)); break;
    case AVRO_CODEC_NULL: *ret_values = packed; return WEIR_OK;
    }
    *ret_values = (struct weir_bytes){block->data, block->size};
    return WEIR_OK;
}

static weir_status reader_block(struct weir_avro_reader *reader, struct weir_arena *arena,
                                struct weir_error *reterr)
{
    static const struct weir_avro_type long_type = {
        .kind = WEIR_AVRO_LONG, .name = "", .logical_type = ""};
    struct weir_avro_value count, size;
    size_t start = reader->position;
    WEIR_TRY(weir_avro_decode(arena, &long_type, reader->data, reader->size, &reader->position,
                              &count, reterr));
    WEIR_TRY(weir_avro_decode(arena, &long_type, reader->data, reader->size, &reader->position,
                              &size, reterr));
    size_t rest = reader->size - reader->position;
    if (count.as.integer < 0 || size.as.integer < 0 || rest < 16 ||
        (uint64_t)size.as.integer > rest - 16)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "avro: block at %zu: %lld values in %lld bytes, %zu bytes left", start,
                         (long long)count.as.integer, (long long)size.as.integer, rest);
    const uint8_t *data = reader->data + reader->position;
    if (memcmp(data + size.as.integer, reader->sync, 16) != 0)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "avro: block at %zu is not followed by the sync marker", start);
    struct weir_bytes packed = {data, (size_t)size.as.integer}, values;
    WEIR_TRY(avro_unpack(reader->codec, packed, &reader->block, &values, reterr));
    reader->values = values.data;
    reader->values_size = values.size;
    if ((uint64_t)count.as.integer > reader->values_size + WEIR_AVRO_FREE_VALUES_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: block at %zu: %lld values in %zu bytes",
                         start, (long long)count.as.integer, reader->values_size);
    reader->position += (size_t)size.as.integer + 16;
    reader->values_position = 0;
    reader->budget += AVRO_BUDGET(reader->values_size);
    reader->left = count.as.integer;
    return WEIR_OK;
}

weir_status weir_avro_reader_next(struct weir_avro_reader *reader, struct weir_arena *arena,
                                  bool *ret_end, struct weir_avro_value *ret_value,
                                  struct weir_error *reterr)
{
    while (reader->left == 0) {
        if (reader->position == reader->size) {
            *ret_end = true;
            return WEIR_OK;
        }
        WEIR_TRY(reader_block(reader, arena, reterr));
    }
    WEIR_TRY(avro_decode(arena, reader->schema, reader->values, reader->values_size,
                         &reader->values_position, &reader->budget, ret_value, reterr));
    if (--reader->left == 0 && reader->values_position != reader->values_size)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: %zu bytes left over in a block before %zu",
                         reader->values_size - reader->values_position, reader->position);
    *ret_end = false;
    return WEIR_OK;
}

weir_status weir_avro_writer_begin(struct weir_avro_writer *writer, struct weir_buffer *out,
                                   const char *schema, const struct weir_avro_pair *metadata,
                                   size_t metadata_count, bool deflate, const uint8_t sync[16],
                                   struct weir_error *reterr)
{
    *writer = (struct weir_avro_writer){.out = out, .deflate = deflate};
    weir_buffer_init(&writer->block, out->account);
    weir_buffer_init(&writer->packed, out->account);
    memcpy(writer->sync, sync, 16);
    WEIR_TRY(weir_buffer_append(out, magic, sizeof magic, reterr));
    WEIR_TRY(weir_avro_put_long(out, (int64_t)metadata_count + 2, reterr));
    const struct weir_avro_pair own[2] = {{"avro.schema", schema},
                                          {"avro.codec", deflate ? "deflate" : "null"}};
    for (size_t i = 0; i < metadata_count + 2; i++) {
        const struct weir_avro_pair *pair = i < 2 ? &own[i] : &metadata[i - 2];
        WEIR_TRY(weir_avro_put_bytes(out, pair->key, strlen(pair->key), reterr));
        WEIR_TRY(weir_avro_put_bytes(out, pair->value, strlen(pair->value), reterr));
    }
    WEIR_TRY(weir_avro_put_long(out, 0, reterr));
    return weir_buffer_append(out, sync, 16, reterr);
}

static weir_status deflate_block(struct weir_avro_writer *writer, struct weir_error *reterr)
{
    z_stream stream = {.next_in = writer->block.data, .avail_in = (uInt)writer->block.size};
    weir_buffer_clear(&writer->packed);
    if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return weir_fail(reterr, WEIR_NO_MEMORY, "avro: zlib did not start");
    size_t bound = deflateBound(&stream, (uLong)writer->block.size);
    weir_status status = weir_buffer_reserve(&writer->packed, bound, reterr);
    if (status == WEIR_OK) {
        stream.next_out = writer->packed.data;
        stream.avail_out = (uInt)bound;
        int answer = deflate(&stream, Z_FINISH);
        writer->packed.size = bound - stream.avail_out;
        if (answer != Z_STREAM_END)
            status = weir_fail(reterr, WEIR_INTERNAL, "avro: deflate answered %d", answer);
    }
    deflateEnd(&stream);
    return status;
}

static weir_status writer_flush(struct weir_avro_writer *writer, struct weir_error *reterr)
{
    if (writer->count == 0)
        return WEIR_OK;
    if (writer->block.size > WEIR_METADATA_SIZE_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "avro: one record of %zu bytes",
                         writer->block.size);
    struct weir_buffer *from = &writer->block;
    if (writer->deflate) {
        WEIR_TRY(deflate_block(writer, reterr));
        from = &writer->packed;
    }
    WEIR_TRY(weir_avro_put_long(writer->out, writer->count, reterr));
    WEIR_TRY(weir_avro_put_long(writer->out, (int64_t)from->size, reterr));
    WEIR_TRY(weir_buffer_append(writer->out, from->data, from->size, reterr));
    WEIR_TRY(weir_buffer_append(writer->out, writer->sync, 16, reterr));
    weir_buffer_clear(&writer->block);
    writer->count = 0;
    return WEIR_OK;
}

weir_status weir_avro_writer_record(struct weir_avro_writer *writer, struct weir_error *reterr)
{
    writer->count++;
    return writer->block.size >= WEIR_AVRO_BLOCK_SIZE ? writer_flush(writer, reterr) : WEIR_OK;
}

weir_status weir_avro_writer_finish(struct weir_avro_writer *writer, struct weir_error *reterr)
{
    return writer_flush(writer, reterr);
}

void weir_avro_writer_done(struct weir_avro_writer *writer)
{
    weir_buffer_done(&writer->block);
    weir_buffer_done(&writer->packed);
}
