/* Compression: blocks of known size, and streams of bytes that arrive in pieces.
 *
 * Blocks are what Parquet pages and Avro blocks hold. Streams are whole files (.gz, .zst, .lz4),
 * read by the file source. Everything here treats its input as hostile: a damaged block or stream
 * is CORRUPT, never an over-read. Specs: LZ4 block and frame formats, RFC 8878 (zstd), snappy
 * format description, RFC 1952 (gzip). */
#ifndef WEIR_FORMATS_CODEC_CODEC_H
#define WEIR_FORMATS_CODEC_CODEC_H

#include "engine/base/memory.h"

enum weir_codec {
    WEIR_CODEC_NONE,
    WEIR_CODEC_LZ4_RAW,
    WEIR_CODEC_ZSTD,
    WEIR_CODEC_SNAPPY,
    WEIR_CODEC_GZIP
};

const char *weir_codec_name(enum weir_codec codec); /* "zstd", "none" */

/* ---- blocks
 * ---------------------------------------------------------------------------------------------------
 * A compressor and a decompressor keep the codec's working memory from block to block; one thread
 * at a time. */

struct weir_compressor;

/* level: zstd 1..22 (0 = 3), gzip 1..9 (0 = 6); other codecs have none. USAGE if it is out of
 * range. */
weir_status weir_compressor_new(struct weir_account *account, enum weir_codec codec, int level,
                                struct weir_compressor **ret_compressor,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* Appends the compressed bytes of data[0..size) to out. Same input, same bytes for one version of
 * the libraries. */
weir_status weir_compress(struct weir_compressor *compressor, const void *data, size_t size,
                          struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_compressor_free(struct weir_compressor *compressor); /* NULL-safe */

struct weir_decompressor;

weir_status weir_decompressor_new(struct weir_account *account,
                                  struct weir_decompressor **ret_decompressor,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Writes exactly `out_size` bytes to out. CORRUPT if the block is damaged or gives another number
 * of bytes; out then holds anything. The caller bounds out_size: it usually comes from a file. */
weir_status weir_decompress(struct weir_decompressor *decompressor, enum weir_codec codec,
                            const void *data, size_t size, void *out, size_t out_size,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_decompressor_free(struct weir_decompressor *decompressor); /* NULL-safe */

/* ---- streams
 * --------------------------------------------------------------------------------------------------
 * Concatenated members (gzip) and frames (zstd, lz4) read as one stream, as their command line
 * tools do; skippable frames are passed over. Trailing bytes that begin no member are CORRUPT. */

enum weir_stream_format { WEIR_STREAM_PLAIN, WEIR_STREAM_GZIP, WEIR_STREAM_ZSTD, WEIR_STREAM_LZ4 };

/* By the end of the name: .gz .zst .lz4 in any case, anything else is plain. */
enum weir_stream_format weir_stream_format_of(const char *name);

struct weir_stream_decoder;

weir_status weir_stream_decoder_new(struct weir_account *account, enum weir_stream_format format,
                                    struct weir_stream_decoder **ret_decoder,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Decodes data[0..size) and appends what it gives to out, but stops when about `out_max` bytes were
 * appended in this call (0 = no bound), so that a small file cannot fill memory. *ret_used bytes of
 * data were taken: hand in the rest again. Progress is made on every call: ret_used > 0 or out
 * grew, unless size = 0 and nothing is pending. CORRUPT names the byte of the compressed stream;
 * the decoder is then good for free only. */
weir_status weir_stream_decode(struct weir_stream_decoder *decoder, const void *data, size_t size,
                               size_t out_max, struct weir_buffer *out, size_t *ret_used,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* After the last byte went in: appends what is pending, within out_max as above; *ret_done tells
 * whether to call again. CORRUPT with the byte where the stream was cut if a member or frame is not
 * whole. An empty stream is an empty file. */
weir_status weir_stream_finish(struct weir_stream_decoder *decoder, size_t out_max,
                               struct weir_buffer *out, bool *ret_done,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_stream_decoder_free(struct weir_stream_decoder *decoder); /* NULL-safe */

#endif
