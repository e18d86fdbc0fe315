/* Blocks of known size: one door to lz4, zstd, snappy and zlib, with every size checked before a
 * library sees it. */
#include "formats/codec/codec.h"

#include <lz4.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* zstd's level when none is named: its own default, which balances well for columns. */
#define ZSTD_LEVEL_DEFAULT 3
#define GZIP_LEVEL_DEFAULT 6
/* 15 window bits and 16 more ask zlib for the gzip wrapper instead of its own. */
#define GZIP_WINDOW_BITS (15 + 16)

static const char *const codec_names[] = {"none", "lz4_raw", "zstd", "snappy", "gzip"};

const char *weir_codec_name(enum weir_codec codec)
{
    return (unsigned)codec < sizeof codec_names / sizeof *codec_names ? codec_names[codec] : "?";
}

struct weir_compressor {
    enum weir_codec codec;
    int level;
    ZSTD_CCtx *zstd;
    void *lz4_state;
    z_stream gzip;
    bool gzip_open;
};

static weir_status compressor_open(struct weir_compressor *self, struct weir_account *account,
                                   struct weir_error *reterr)
{
    switch (self->codec) {
    case WEIR_CODEC_NONE:
    case WEIR_CODEC_SNAPPY: return WEIR_OK;
    case WEIR_CODEC_LZ4_RAW:
        return weir_alloc(account, (size_t)LZ4_sizeofState(), &self->lz4_state, reterr);
    case WEIR_CODEC_ZSTD:
        self->level = self->level ? self->level : ZSTD_LEVEL_DEFAULT;
        if (self->level < 1 || self->level > 22)
            return weir_fail(reterr, WEIR_USAGE, "zstd level %d: not in 1..22", self->level);
        self->zstd = ZSTD_createCCtx();
        return self->zstd ? WEIR_OK
                          : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a zstd context");
    case WEIR_CODEC_GZIP:
        self->level = self->level ? self->level : GZIP_LEVEL_DEFAULT;
        if (self->level < 1 || self->level > 9)
            return weir_fail(reterr, WEIR_USAGE, "gzip level %d: not in 1..9", self->level);
        if (deflateInit2(&self->gzip, self->level, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a gzip context");
        self->gzip_open = true;
        return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "codec %d is not known", (int)self->codec);
}

weir_status weir_compressor_new(struct weir_account *account, enum weir_codec codec, int level,
                                struct weir_compressor **ret_compressor, struct weir_error *reterr)
{
    struct weir_compressor *self;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->codec = codec;
    self->level = level;
    weir_status status = compressor_open(self, account, reterr);
    if (status != WEIR_OK)
        weir_compressor_free(self);
    else
        *ret_compressor = self;
    return status;
}

void weir_compressor_free(struct weir_compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->zstd);
    weir_free(compressor->lz4_state);
    if (compressor->gzip_open)
        deflateEnd(&compressor->gzip);
    weir_free(compressor);
}

static weir_status compress_lz4(struct weir_compressor *self, const void *data, size_t size,
                                struct weir_buffer *out, struct weir_error *reterr)
{
    if (size > LZ4_MAX_INPUT_SIZE)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "lz4 block of %zu bytes: at most %d", size,
                         LZ4_MAX_INPUT_SIZE);
    int bound = LZ4_compressBound((int)size);
    WEIR_TRY(weir_buffer_reserve(out, (size_t)bound, reterr));
    int made = LZ4_compress_fast_extState(self->lz4_state, data, (char *)out->data + out->size,
                                          (int)size, bound, 1);
    if (made <= 0)
        return weir_fail(reterr, WEIR_INTERNAL, "lz4 gave %d for %zu bytes", made, size);
    out->size += (size_t)made;
    return WEIR_OK;
}

static weir_status compress_zstd(struct weir_compressor *self, const void *data, size_t size,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    size_t bound = ZSTD_compressBound(size);
    WEIR_TRY(weir_buffer_reserve(out, bound, reterr));
    size_t made = ZSTD_compressCCtx(self->zstd, out->data + out->size, bound, data, size,
                                    self->level);
    if (ZSTD_isError(made))
        return weir_fail(reterr, WEIR_NO_MEMORY, "zstd: %s", ZSTD_getErrorName(made));
    out->size += made;
    return WEIR_OK;
}

static weir_status compress_gzip(struct weir_compressor *self, const void *data, size_t size,
                                 struct weir_buffer *out, struct weir_error *reterr)
{
    if (size > UINT32_MAX / 2)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "gzip block of %zu bytes is too large", size);
    deflateReset(&self->gzip);
    size_t bound = deflateBound(&self->gzip, size);
    WEIR_TRY(weir_buffer_reserve(out, bound, reterr));
    self->gzip.next_in = (Bytef *)(uintptr_t)data;
    self->gzip.avail_in = (uInt)size;
    self->gzip.next_out = out->data + out->size;
    self->gzip.avail_out = (uInt)bound;
    int answer = deflate(&self->gzip, Z_FINISH);
    if (answer != Z_STREAM_END)
        return weir_fail(reterr, WEIR_INTERNAL, "deflate gave %d for %zu bytes", answer, size);
    out->size += self->gzip.total_out;
    return WEIR_OK;
}

static weir_status compress_snappy(const void *data, size_t size, struct weir_buffer *out,
                                   struct weir_error *reterr)
{
    size_t made = snappy_max_compressed_length(size);
    WEIR_TRY(weir_buffer_reserve(out, made, reterr));
    if (snappy_compress(data, size, (char *)out->data + out->size, &made) != SNAPPY_OK)
        return weir_fail(reterr, WEIR_INTERNAL, "snappy failed for %zu bytes", size);
    out->size += made;
    return WEIR_OK;
}

weir_status weir_compress(struct weir_compressor *compressor, const void *data, size_t size,
                          struct weir_buffer *out, struct weir_error *reterr)
{
    switch (compressor->codec) {
    case WEIR_CODEC_NONE: return weir_buffer_append(out, data, size, reterr);
    case WEIR_CODEC_LZ4_RAW: return compress_lz4(compressor, data, size, out, reterr);
    case WEIR_CODEC_ZSTD: return compress_zstd(compressor, data, size, out, reterr);
    case WEIR_CODEC_GZIP: return compress_gzip(compressor, data, size, out, reterr);
    case WEIR_CODEC_SNAPPY: return compress_snappy(data, size, out, reterr);
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "codec %d is not known", (int)compressor->codec);
}

struct weir_decompressor {
    ZSTD_DCtx *zstd;
    z_stream gzip;
    bool gzip_open;
};

weir_status weir_decompressor_new(struct weir_account *account,
                                  struct weir_decompressor **ret_decompressor,
                                  struct weir_error *reterr)
{
    return weir_alloc_zero(account, 1, sizeof **ret_decompressor, ret_decompressor, reterr);
}

void weir_decompressor_free(struct weir_decompressor *decompressor)
{
    if (!decompressor)
        return;
    ZSTD_freeDCtx(decompressor->zstd);
    if (decompressor->gzip_open)
        inflateEnd(&decompressor->gzip);
    weir_free(decompressor);
}

static weir_status decompress_lz4(const void *data, size_t size, void *out, size_t out_size,
                                  struct weir_error *reterr)
{
    if (size > INT32_MAX || out_size > INT32_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "lz4 block of %zu bytes to %zu bytes is too large", size, out_size);
    int made = LZ4_decompress_safe(data, out, (int)size, (int)out_size);
    if (made < 0 || (size_t)made != out_size)
        return weir_fail(reterr, WEIR_CORRUPT, "lz4 block of %zu bytes gives %d bytes, want %zu",
                         size, made, out_size);
    return WEIR_OK;
}

static weir_status decompress_zstd(struct weir_decompressor *self, const void *data, size_t size,
                                   void *out, size_t out_size, struct weir_error *reterr)
{
    if (!self->zstd)
        self->zstd = ZSTD_createDCtx();
    if (!self->zstd)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a zstd context");
    size_t made = ZSTD_decompressDCtx(self->zstd, out, out_size, data, size);
    if (ZSTD_isError(made))
        return weir_fail(reterr, WEIR_CORRUPT, "zstd block of %zu bytes: %s", size,
                         ZSTD_getErrorName(made));
    if (made != out_size)
        return weir_fail(reterr, WEIR_CORRUPT, "zstd block of %zu bytes gives %zu bytes, want %zu",
                         size, made, out_size);
    return WEIR_OK;
}

static weir_status decompress_gzip(struct weir_decompressor *self, const void *data, size_t size,
                                   void *out, size_t out_size, struct weir_error *reterr)
{
    if (size > UINT32_MAX || out_size > UINT32_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "gzip block of %zu bytes to %zu bytes is too large", size, out_size);
    if (!self->gzip_open && inflateInit2(&self->gzip, GZIP_WINDOW_BITS) != Z_OK)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a gzip context");
    self->gzip_open = true;
    inflateReset(&self->gzip);
    self->gzip.next_in = (Bytef *)(uintptr_t)data;
    self->gzip.avail_in = (uInt)size;
    self->gzip.next_out = out;
    self->gzip.avail_out = (uInt)out_size;
    int answer;
    for (;;) { /* writers may put several members into one block */
        answer = inflate(&self->gzip, Z_FINISH);
        if (answer != Z_STREAM_END || self->gzip.avail_in == 0)
            break;
        inflateReset(&self->gzip);
    }
    if (answer != Z_STREAM_END || self->gzip.avail_out != 0)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "gzip block of %zu bytes: damaged at byte %zu, %zu of %zu bytes came out",
                         size, size - self->gzip.avail_in, out_size - self->gzip.avail_out,
                         out_size);
    return WEIR_OK;
}

static weir_status decompress_snappy(const void *data, size_t size, void *out, size_t out_size,
                                     struct weir_error *reterr)
{
    size_t made = 0;
    if (snappy_uncompressed_length(data, size, &made) != SNAPPY_OK || made != out_size)
        return weir_fail(reterr, WEIR_CORRUPT, "snappy block of %zu bytes says %zu bytes, want %zu",
                         size, made, out_size);
    if (snappy_uncompress(data, size, out, &made) != SNAPPY_OK || made != out_size)
        return weir_fail(reterr, WEIR_CORRUPT, "snappy block of %zu bytes is damaged", size);
    return WEIR_OK;
}

weir_status weir_decompress(struct weir_decompressor *decompressor, enum weir_codec codec,
                            const void *data, size_t size, void *out, size_t out_size,
                            struct weir_error *reterr)
{
    switch (codec) {
    case WEIR_CODEC_NONE:
        if (size != out_size)
            return weir_fail(reterr, WEIR_CORRUPT, "plain block of %zu bytes, want %zu", size,
                             out_size);
        if (size)
            memcpy(out, data, size);
        return WEIR_OK;
    case WEIR_CODEC_LZ4_RAW: return decompress_lz4(data, size, out, out_size, reterr);
    case WEIR_CODEC_ZSTD: return decompress_zstd(decompressor, data, size, out, out_size, reterr);
    case WEIR_CODEC_GZIP: return decompress_gzip(decompressor, data, size, out, out_size, reterr);
    case WEIR_CODEC_SNAPPY: return decompress_snappy(data, size, out, out_size, reterr);
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "codec %d is not known", (int)codec);
}
