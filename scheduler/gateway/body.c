/* A request's body to records: decompressed within its limit, split without being understood: what
 * a record holds is the decoders' business. */
#include "scheduler/gateway/gateway_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DECODE_STEP = 1 << 20 };

void problem_set(struct problem *problem, unsigned status, const char *code, const char *format,
                 ...)
{
    va_list arguments;
    problem->status = status;
    problem->code = code;
    va_start(arguments, format);
    vsnprintf(problem->words, sizeof problem->words, format, arguments);
    va_end(arguments);
}

/* ---- decompressing ---- */

static weir_status decode_all(struct weir_stream_decoder *decoder, struct weir_bytes body,
                              size_t limit, struct weir_buffer *out, struct weir_error *reterr)
{
    bool done = false;
    size_t used;
    while (body.size && out->size <= limit) {
        WEIR_TRY(
            weir_stream_decode(decoder, body.data, body.size, DECODE_STEP, out, &used, reterr));
        body.data += used;
        body.size -= used;
    }
    while (!done && out->size <= limit)
        WEIR_TRY(weir_stream_finish(decoder, DECODE_STEP, out, &done, reterr));
    return WEIR_OK;
}

weir_status body_decode(struct weir_account *account, const char *encoding, struct weir_bytes body,
                        size_t limit, struct weir_buffer *out, struct weir_bytes *ret_body,
                        struct problem *problem, struct weir_error *reterr)
{
    struct weir_stream_decoder *decoder;
    enum weir_stream_format format = WEIR_STREAM_PLAIN;
    struct weir_error error = {0};
    if (encoding && strcasecmp(encoding, "gzip") == 0)
        format = WEIR_STREAM_GZIP;
    else if (encoding && strcasecmp(encoding, "zstd") == 0)
        format = WEIR_STREAM_ZSTD;
    else if (encoding && *encoding && strcasecmp(encoding, "identity") != 0)
        problem_set(problem, 415, "content_encoding", "Content-Encoding: gzip, zstd or none");
    *ret_body = body;
    if (problem->status || format == WEIR_STREAM_PLAIN)
        return WEIR_OK;
    WEIR_TRY(weir_stream_decoder_new(account, format, &decoder, reterr));
    weir_status status = decode_all(decoder, body, limit, out, &error);
    weir_stream_decoder_free(decoder);
    *ret_body = (struct weir_bytes){out->data, out->size};
    if (status == WEIR_CORRUPT)
        problem_set(problem, 400, "content_encoding", "the body is no whole %s stream", encoding);
    else if (status != WEIR_OK)
        return weir_fail(reterr, status, "%s", error.text);
    else if (out->size > limit)
        problem_set(problem, 413, "too_large", "more than %zu bytes when decompressed", limit);
    return WEIR_OK;
}

/* ---- splitting ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const uint8_t *skip_blank(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* Behind the value that begins here: its last bracket, or the next comma or bracket that is not its
 * own. `end` if it is not closed. */
static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end)
{
    uint32_t depth = 0;
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted) {
            if (*at == '\\' && at + 1 < end)
                at++;
            else if (*at == '"')
                quoted = false;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return at;
            if (--depth == 0)
                return at + 1;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
    }
    return at;
}

struct splitting {
    struct weir_arena *arena;
    struct weir_bytes *records;
    uint32_t count;
    size_t capacity;
    struct problem *problem;
};

static weir_status add(struct splitting *split, const uint8_t *from, const uint8_t *to,
                       struct weir_error *reterr)
{
    if (split->count == GATEWAY_RECORDS_MAX) {
        problem_set(split->problem, 413, "too_many", "more than %d records", GATEWAY_RECORDS_MAX);
        return WEIR_OK;
    }
    if (split->count == split->capacity) {
        struct weir_bytes *grown;
        size_t capacity = split->capacity ? split->capacity * 2 : 64;
        WEIR_TRY(weir_arena_alloc(split->arena, capacity * sizeof *grown, &grown, reterr));
        if (split->count)
            memcpy(grown, split->records, split->count * sizeof *grown);
        split->records = grown;
        split->capacity = capacity;
    }
    while (to > from && is_blank(to[-1]))
        to--;
    split->records[split->count++] = (struct weir_bytes){from, (size_t)(to - from)};
    return WEIR_OK;
}

static weir_status split_lines(struct splitting *split, const uint8_t *at, const uint8_t *end,
                               struct weir_error *reterr)
{
    while (at < end && !split->problem->status) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        const uint8_t *from = skip_blank(at, stop);
        if (from < stop)
            WEIR_TRY(add(split, from, stop, reterr));
        at = stop + 1;
    }
    return WEIR_OK;
}

static weir_status split_array(struct splitting *split, const uint8_t *start, const uint8_t *end,
                               struct weir_error *reterr)
{
    const uint8_t *at = skip_blank(start + 1, end);
    bool empty = at < end && *at == ']';
    for (; !empty && !split->problem->status; at++) {
        at = skip_blank(at, end);
        const uint8_t *from = at;
        at = skip_value(at, end);
        if (at > from && at <= end && (at < end || at[-1] == '}'))
            WEIR_TRY(add(split, from, at, reterr));
        const uint8_t *behind = skip_blank(at, end);
        if (at == from || behind >= end || (*behind != ',' && *behind != ']')) {
            problem_set(split->problem, 400, "syntax", "the array is broken at byte %zu",
                        (size_t)(behind - start));
            return WEIR_OK;
        }
        at = behind;
        if (*at == ']')
            break;
    }
    if (!split->problem->status && skip_blank(at + 1, end) != end)
        problem_set(split->problem, 400, "syntax", "there is something behind the array");
    return WEIR_OK;
}

weir_status body_split(struct weir_arena *arena, struct weir_bytes body, bool lines,
                       struct weir_bytes **ret_records, uint32_t *ret_count,
                       struct problem *problem, struct weir_error *reterr)
{
    struct splitting split = {.arena = arena, .problem = problem};
    const uint8_t *end = body.data + body.size, *at = body.size ? skip_blank(body.data, end) : end;
    if (at == end) {
        problem_set(problem, 400, "empty", "the body holds no record");
        return WEIR_OK;
    }
    if (*at == '[' && !lines) {
        WEIR_TRY(split_array(&split, at, end, reterr));
    } else {
        const uint8_t *behind = lines ? end : skip_value(at, end);
        if (!lines && skip_blank(behind, end) == end)
            WEIR_TRY(add(&split, at, end, reterr));
        else
            WEIR_TRY(split_lines(&split, at, end, reterr));
    }
    if (!problem->status && split.count == 0)
        problem_set(problem, 400, "empty", "the body holds no record");
    *ret_records = split.records;
    *ret_count = split.count;
    return WEIR_OK;
}
