/* Files that arrive in pieces and leave decoded: gzip, zstd and lz4 frames, concatenated as their
 * tools allow.
 *
 * One step of a decoder takes some input and makes some output; the loop around it is the same for
 * all formats. */
#include "formats/codec/codec.h"

#include <lz4frame.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW_BITS (15 + 16)
#define STEP_SIZE        (64u << 10)
/* zstd may be told to keep up to this much history: 2^27 is what its own tool accepts without being
 * asked. */
#define ZSTD_WINDOW_LOG_MAX 27

struct weir_stream_decoder {
    enum weir_stream_format format;
    uint64_t position;     /* bytes of the compressed stream taken */
    uint64_t member_start; /* where the current member or frame began */
    bool inside;           /* a member or frame has begun and not ended */
    bool pending;          /* output may be waiting without further input */
    bool failed;
    z_stream gzip;
    bool gzip_open;
    ZSTD_DCtx *zstd;
    LZ4F_dctx *lz4;
};

enum weir_stream_format weir_stream_format_of(const char *name)
{
    static const struct {
        const char *end;
        enum weir_stream_format format;
    } ends[] = {{".gz", WEIR_STREAM_GZIP}, {".zst", WEIR_STREAM_ZSTD}, {".lz4", WEIR_STREAM_LZ4}};
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i].end);
        if (size >= end && strcasecmp(name + size - end, ends[i].end) == 0)
            return ends[i].format;
    }
    return WEIR_STREAM_PLAIN;
}

static weir_status decoder_open(struct weir_stream_decoder *self, struct weir_error *reterr)
{
    bool open = true;
    if (self->format == WEIR_STREAM_GZIP) {
        open = self->gzip_open = inflateInit2(&self->gzip, GZIP_WINDOW_BITS) == Z_OK;
    } else if (self->format == WEIR_STREAM_ZSTD) {
        self->zstd = ZSTD_createDCtx();
        open = self->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(self->zstd, ZSTD_d_windowLogMax,
                                                                  ZSTD_WINDOW_LOG_MAX));
    } else if (self->format == WEIR_STREAM_LZ4) {
        open = !LZ4F_isError(LZ4F_createDecompressionContext(&self->lz4, LZ4F_VERSION));
    }
    return open ? WEIR_OK
                : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a decompression context");
}

weir_status weir_stream_decoder_new(struct weir_account *account, enum weir_stream_format format,
                                    struct weir_stream_decoder **ret_decoder,
                                    struct weir_error *reterr)
{
    struct weir_stream_decoder *self;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->format = format;
    weir_status status = decoder_open(self, reterr);
    if (status != WEIR_OK)
        weir_stream_decoder_free(self);
    else
        *ret_decoder = self;
    return status;
}

void weir_stream_decoder_free(struct weir_stream_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->gzip_open)
        inflateEnd(&decoder->gzip);
    ZSTD_freeDCtx(decoder->zstd);
    LZ4F_freeDecompressionContext(decoder->lz4);
    weir_free(decoder);
}

/* What one step took and made, and whether a member or frame ended with it. */
struct step {
    size_t taken, made;
    bool ended;
    const char *fault;
};

static void step_gzip(struct weir_stream_decoder *self, const uint8_t *data, size_t size,
                      uint8_t *out, size_t room, struct step *step)
{
    self->gzip.next_in = (Bytef *)(uintptr_t)data;
    self->gzip.avail_in = (uInt)(size > (1u << 30) ? 1u << 30 : size);
    self->gzip.next_out = out;
    self->gzip.avail_out = (uInt)room;
    size_t offered = self->gzip.avail_in;
    int answer = inflate(&self->gzip, Z_NO_FLUSH);
    step->taken = offered - self->gzip.avail_in;
    step->made = room - self->gzip.avail_out;
    if (answer == Z_STREAM_END) {
        step->ended = true;
        inflateReset(&self->gzip);
    } else if (answer != Z_OK && answer != Z_BUF_ERROR) {
        step->fault = self->gzip.msg          ? self->gzip.msg
                      : answer == Z_NEED_DICT ? "needs a dictionary"
                                              : "damaged";
    }
}

static void step_zstd(struct weir_stream_decoder *self, const uint8_t *data, size_t size,
                      uint8_t *out, size_t room, struct step *step)
{
    ZSTD_inBuffer in = {data, size, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t answer = ZSTD_decompressStream(self->zstd, &to, &in);
    step->taken = in.pos;
    step->made = to.pos;
    step->ended = answer == 0;
    if (ZSTD_isError(answer))
        step->fault = ZSTD_getErrorName(answer);
}

static void step_lz4(struct weir_stream_decoder *self, const uint8_t *data, size_t size,
                     uint8_t *out, size_t room, struct step *step)
{
    size_t taken = size, made = room;
    size_t answer = LZ4F_decompress(self->lz4, out, &made, data, &taken, NULL);
    if (LZ4F_isError(answer)) {
        step->fault = LZ4F_getErrorName(answer);
        LZ4F_resetDecompressionContext(self->lz4);
        return;
    }
    step->taken = taken;
    step->made = made;
    step->ended = answer == 0;
}

static weir_status stream_step(struct weir_stream_decoder *self, const uint8_t *data, size_t size,
                               struct weir_buffer *out, struct step *ret_step,
                               struct weir_error *reterr)
{
    struct step step = {0};
    WEIR_TRY(weir_buffer_reserve(out, STEP_SIZE, reterr));
    uint8_t *to = out->data + out->size;
    if (self->format == WEIR_STREAM_GZIP)
        step_gzip(self, data, size, to, STEP_SIZE, &step);
    else if (self->format == WEIR_STREAM_ZSTD)
        step_zstd(self, data, size, to, STEP_SIZE, &step);
    else
        step_lz4(self, data, size, to, STEP_SIZE, &step);
    if (!self->inside && (step.taken || step.fault)) {
        self->inside = true;
        self->member_start = self->position;
    }
    self->position += step.taken;
    out->size += step.made;
    if (step.fault) {
        self->failed = true;
        return weir_fail(
            reterr, WEIR_CORRUPT, "compressed byte %llu, in the member that begins at %llu: %s",
            (unsigned long long)self->position, (unsigned long long)self->member_start, step.fault);
    }
    self->inside = self->inside && !step.ended;
    self->pending = step.made == STEP_SIZE && !step.ended;
    *ret_step = step;
    return WEIR_OK;
}

weir_status weir_stream_decode(struct weir_stream_decoder *decoder, const void *data, size_t size,
                               size_t out_max, struct weir_buffer *out, size_t *ret_used,
                               struct weir_error *reterr)
{
    const uint8_t *bytes = data;
    size_t used = 0, before = out->size;
    if (decoder->failed)
        return weir_fail(reterr, WEIR_INTERNAL, "a damaged stream is read on");
    if (decoder->format == WEIR_STREAM_PLAIN) {
        size_t here = out_max && size > out_max ? out_max : size;
        WEIR_TRY(weir_buffer_append(out, data, here, reterr));
        decoder->position += here;
        *ret_used = here;
        return WEIR_OK;
    }
    while ((used < size || decoder->pending) && (!out_max || out->size - before < out_max)) {
        struct step step = {0};
        WEIR_TRY(stream_step(decoder, bytes + used, size - used, out, &step, reterr));
        used += step.taken;
        if (step.taken == 0 && step.made == 0 && !step.ended)
            break;
    }
    *ret_used = used;
    return WEIR_OK;
}

weir_status weir_stream_finish(struct weir_stream_decoder *decoder, size_t out_max,
                               struct weir_buffer *out, bool *ret_done, struct weir_error *reterr)
{
    size_t used;
    static const uint8_t nothing[1];
    if (decoder->pending)
        WEIR_TRY(weir_stream_decode(decoder, nothing, 0, out_max, out, &used, reterr));
    if (!decoder->pending && decoder->inside)
        return weir_fail(
            reterr, WEIR_CORRUPT, "compressed byte %llu: cut off in the member that begins at %llu",
            (unsigned long long)decoder->position, (unsigned long long)decoder->member_start);
    *ret_done = !decoder->pending;
    return WEIR_OK;
}
