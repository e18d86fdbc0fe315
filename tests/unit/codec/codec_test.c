/* Blocks and streams: round trips, cut and damaged input, bounded output. */
#include "formats/codec/codec.h"
#include "tests/unit/parquet/sample.h"

#include <criterion/criterion.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

static struct weir_account account;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
}
static void teardown(void)
{
    cr_assert_eq(account.used, 0);
}
TestSuite(codec, .init = setup, .fini = teardown);

#define must(call)                                                                                 \
    do {                                                                                           \
        weir_status must_status_ = (call);                                                         \
        cr_assert_eq(must_status_, WEIR_OK, "%s", error.text);                                     \
    } while (0)

static void fill(uint8_t *data, size_t size, uint64_t seed, bool text)
{
    struct sample_random random = {seed};
    for (size_t i = 0; i < size; i++)
        data[i] = text ? (uint8_t)("{\"device\": 1}\n"[sample_below(&random, 14)])
                       : (uint8_t)sample_next(&random);
}

Test(codec, blocks_come_back)
{
    static uint8_t data[300000], back[300000];
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4095, 300000};
    for (int codec = 0; codec < 5; codec++)
        for (int text = 0; text < 2; text++) {
            struct weir_compressor *compressor;
            struct weir_decompressor *decompressor;
            must(weir_compressor_new(&account, (enum weir_codec)codec, 0, &compressor, &error));
            must(weir_decompressor_new(&account, &decompressor, &error));
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                WEIR_AUTO(weir_buffer) packed = {.account = &account};
                fill(data, sizes[s], s, text);
                must(weir_buffer_append(&packed, "before", 6, &error));
                must(weir_compress(compressor, data, sizes[s], &packed, &error));
                must(weir_decompress(decompressor, (enum weir_codec)codec, packed.data + 6,
                                     packed.size - 6, back, sizes[s], &error));
                cr_assert(memcmp(data, back, sizes[s]) == 0);
                if (sizes[s] < 2)
                    continue;
                cr_assert_eq(weir_decompress(decompressor, (enum weir_codec)codec, packed.data + 6,
                                             packed.size - 6, back, sizes[s] - 1, &error),
                             WEIR_CORRUPT);
                cr_assert_eq(weir_decompress(decompressor, (enum weir_codec)codec, packed.data + 6,
                                             packed.size - 7, back, sizes[s], &error),
                             WEIR_CORRUPT);
            }
            weir_compressor_free(compressor);
            weir_decompressor_free(decompressor);
        }
}

Test(codec, levels_are_checked)
{
    struct weir_compressor *compressor = NULL;
    cr_assert_eq(weir_compressor_new(&account, WEIR_CODEC_ZSTD, 23, &compressor, &error),
                 WEIR_USAGE);
    cr_assert_eq(weir_compressor_new(&account, WEIR_CODEC_GZIP, 10, &compressor, &error),
                 WEIR_USAGE);
    cr_assert_eq(weir_compressor_new(&account, (enum weir_codec)77, 0, &compressor, &error),
                 WEIR_UNSUPPORTED);
    cr_assert_null(compressor);
}

Test(codec, damaged_blocks_never_crash)
{
    static uint8_t data[5000], back[5000];
    struct sample_random random = {99};
    struct weir_decompressor *decompressor;
    must(weir_decompressor_new(&account, &decompressor, &error));
    fill(data, sizeof data, 1, true);
    for (int codec = 1; codec < 5; codec++) {
        struct weir_compressor *compressor;
        WEIR_AUTO(weir_buffer) packed = {.account = &account};
        must(weir_compressor_new(&account, (enum weir_codec)codec, 0, &compressor, &error));
        must(weir_compress(compressor, data, sizeof data, &packed, &error));
        for (int i = 0; i < 2000; i++) {
            size_t at = sample_below(&random, packed.size);
            uint8_t was = packed.data[at];
            packed.data[at] ^= (uint8_t)(1 + sample_below(&random, 255));
            weir_status status = weir_decompress(decompressor, (enum weir_codec)codec, packed.data,
                                                 packed.size, back, sizeof back, &error);
            cr_assert(status == WEIR_OK || status == WEIR_CORRUPT);
            packed.data[at] = was;
        }
        weir_compressor_free(compressor);
    }
    weir_decompressor_free(decompressor);
}

/* ---- streams
 * ---------------------------------------------------------------------------------------------------
 */

static void pack_member(enum weir_stream_format format, const uint8_t *data, size_t size,
                        struct weir_buffer *out)
{
    must(weir_buffer_reserve(out, size * 2 + 1000, &error));
    uint8_t *to = out->data + out->size;
    size_t room = out->capacity - out->size;
    if (format == WEIR_STREAM_ZSTD) {
        out->size += ZSTD_compress(to, room, data, size, 1);
    } else if (format == WEIR_STREAM_LZ4) {
        out->size += LZ4F_compressFrame(to, room, data, size, NULL);
    } else if (format == WEIR_STREAM_GZIP) {
        z_stream gzip = {.next_in = (Bytef *)(uintptr_t)data,
                         .avail_in = (uInt)size,
                         .next_out = to,
                         .avail_out = (uInt)room};
        deflateInit2(&gzip, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
        cr_assert_eq(deflate(&gzip, Z_FINISH), Z_STREAM_END);
        out->size += gzip.total_out;
        deflateEnd(&gzip);
    } else {
        must(weir_buffer_append(out, data, size, &error));
    }
}

/* Feeds pieces of `piece` bytes, taking at most out_max each; the status of the first failure, or
 * of the end. */
static weir_status unpack(enum weir_stream_format format, const struct weir_buffer *packed,
                          size_t piece, size_t out_max, struct weir_buffer *out)
{
    struct weir_stream_decoder *decoder;
    must(weir_stream_decoder_new(&account, format, &decoder, &error));
    weir_status status = WEIR_OK;
    for (size_t at = 0; at < packed->size && status == WEIR_OK;) {
        size_t used = 0, before = out->size,
               here = packed->size - at < piece ? packed->size - at : piece;
        status = weir_stream_decode(decoder, packed->data + at, here, out_max, out, &used, &error);
        cr_assert(status != WEIR_OK || used > 0 || out->size > before, "no progress");
        cr_assert(!out_max || out->size - before < out_max + (64 << 10) + 1);
        at += used;
    }
    for (bool done = false; !done && status == WEIR_OK;)
        status = weir_stream_finish(decoder, out_max, out, &done, &error);
    weir_stream_decoder_free(decoder);
    return status;
}

Test(codec, streams_of_several_members_in_pieces)
{
    static uint8_t data[700000];
    fill(data, sizeof data, 5, true);
    memset(data + 100000, 'x', 400000); /* much output for few bytes */
    for (int format = 0; format < 4; format++) {
        WEIR_AUTO(weir_buffer) packed = {.account = &account};
        pack_member((enum weir_stream_format)format, data, 300000, &packed);
        pack_member((enum weir_stream_format)format, data, 0, &packed);
        pack_member((enum weir_stream_format)format, data + 300000, 400000, &packed);
        for (size_t piece = 1; piece < 2000000; piece = piece * 37 + 1)
            for (size_t out_max = 0; out_max <= 1000; out_max += 1000) {
                WEIR_AUTO(weir_buffer) out = {.account = &account};
                cr_assert_eq(unpack((enum weir_stream_format)format, &packed, piece, out_max, &out),
                             WEIR_OK, "%s", error.text);
                cr_assert(out.size == sizeof data && memcmp(out.data, data, sizeof data) == 0,
                          "format %d, pieces of %zu", format, piece);
            }
    }
}

Test(codec, empty_streams_are_empty_files)
{
    for (int format = 0; format < 4; format++) {
        WEIR_AUTO(weir_buffer) packed = {.account = &account};
        WEIR_AUTO(weir_buffer) out = {.account = &account};
        cr_assert_eq(unpack((enum weir_stream_format)format, &packed, 10, 0, &out), WEIR_OK);
        cr_assert_eq(out.size, 0);
    }
}

Test(codec, cut_streams_say_where)
{
    static uint8_t data[3000];
    fill(data, sizeof data, 6, true);
    for (int format = 1; format < 4; format++) {
        WEIR_AUTO(weir_buffer) packed = {.account = &account};
        pack_member((enum weir_stream_format)format, data, sizeof data, &packed);
        size_t whole = packed.size;
        pack_member((enum weir_stream_format)format, data, sizeof data, &packed);
        for (size_t cut = 1; cut < 2 * whole; cut++) {
            WEIR_AUTO(weir_buffer) out = {.account = &account};
            packed.size = cut;
            weir_status status = unpack((enum weir_stream_format)format, &packed, 100, 0, &out);
            cr_assert_eq(status, cut == whole ? WEIR_OK : WEIR_CORRUPT, "format %d cut at %zu",
                         format, cut);
            if (cut != whole)
                cr_assert(strstr(error.text, "compressed byte "), "%s", error.text);
        }
    }
}

Test(codec, damaged_streams_never_crash)
{
    static uint8_t data[3000];
    struct sample_random random = {123};
    fill(data, sizeof data, 7, true);
    for (int format = 1; format < 4; format++) {
        WEIR_AUTO(weir_buffer) packed = {.account = &account};
        pack_member((enum weir_stream_format)format, data, sizeof data, &packed);
        for (int i = 0; i < 3000; i++) {
            WEIR_AUTO(weir_buffer) out = {.account = &account};
            size_t at = sample_below(&random, packed.size);
            uint8_t was = packed.data[at];
            packed.data[at] ^= (uint8_t)(1 + sample_below(&random, 255));
            weir_status status = unpack((enum weir_stream_format)format, &packed, 1000, 100000,
                                        &out);
            cr_assert(status == WEIR_OK || status == WEIR_CORRUPT, "%s", error.text);
            packed.data[at] = was;
        }
        WEIR_AUTO(weir_buffer) out = {.account = &account};
        must(weir_buffer_append(&packed, "garbage behind", 14, &error));
        cr_assert_eq(unpack((enum weir_stream_format)format, &packed, 1000, 0, &out), WEIR_CORRUPT);
    }
}

Test(codec, formats_go_by_name)
{
    cr_assert_eq(weir_stream_format_of("a/b.ndjson.GZ"), WEIR_STREAM_GZIP);
    cr_assert_eq(weir_stream_format_of("b.zst"), WEIR_STREAM_ZSTD);
    cr_assert_eq(weir_stream_format_of("b.lz4"), WEIR_STREAM_LZ4);
    cr_assert_eq(weir_stream_format_of("gz"), WEIR_STREAM_PLAIN);
    cr_assert_eq(weir_stream_format_of(""), WEIR_STREAM_PLAIN);
}
