/* Decoding a call's records: each through the fast pass, the careful one if need be, into rows or a
 * refusal. */
#include "formats/json/json_int.h"

#include <stdio.h>
#include <string.h>

#define ROOM_FIRST (16 * 1024)
#define ROOM_KEPT  (1024 * 1024) /* room for larger records is given back after the call */

/* The name behind the quote at `key`, decoded; it was walked before, so nothing can be wrong with
 * it. */
static bool unknown_name(struct weir_json_decoder *decoder, const uint8_t *key,
                         const char **ret_name, size_t *ret_size)
{
    const uint8_t *end = key + 1;

    while (*end != '"')
        end += *end == '\\' ? 2 : 1;
    if (!json_scratch(decoder))
        return false;
    *ret_name = (const char *)decoder->scratch;
    return json_unescape(decoder, key + 1, end, decoder->scratch, ret_size);
}

bool json_unknown_member(struct weir_json_decoder *decoder, struct json_node *node,
                         const uint8_t *key, const uint8_t *at)
{
    const char *name;
    char *shown = decoder->mark_name;
    size_t size;

    if (decoder->unknown_fields == WEIR_UNKNOWN_MARK &&
        (decoder->mark.name || !json_shape_holds(at)))
        return true;
    if (!unknown_name(decoder, key, &name, &size))
        return false;
    if (decoder->unknown_fields == WEIR_UNKNOWN_EVOLVE)
        return json_shape_note(decoder, node, name, size, at);
    if (size > JSON_NAME_SHOWN)
        size = JSON_NAME_SHOWN;
    for (size_t i = 0; i < size; i++)
        shown[i] = name[i] >= 0x20 && name[i] < 0x7F ? name[i] : '?';
    shown[size] = '\0';
    if (decoder->unknown_fields == WEIR_UNKNOWN_MARK) {
        decoder->mark = (struct weir_json_mark){.position = (uint32_t)(key - decoder->text),
                                                .name = shown};
        return true;
    }
    json_fail(decoder, WEIR_REASON_UNKNOWN_FIELD, key, "field \"%s\" is not declared", shown);
    return false;
}

/* ---- one record ------------------------------------------------------------------------------ */

/* Bytes that must be readable, as zeros, behind a record. */
static size_t padding_size(const struct weir_json_decoder *decoder)
{
    return JSON_PADDING + JSON_KEY_FAST + decoder->key_longest;
}

static void decoder_shrink(struct weir_json_decoder *decoder)
{
    weir_free(decoder->text);
    weir_free(decoder->scratch);
    decoder->text = decoder->scratch = NULL;
    decoder->text_capacity = 0;
}

static weir_status decoder_room(struct weir_json_decoder *decoder, size_t size,
                                struct weir_error *reterr)
{
    size_t capacity = size + size / 4 < ROOM_FIRST ? ROOM_FIRST : size + size / 4;

    if (size <= decoder->text_capacity)
        return WEIR_OK;
    decoder_shrink(decoder);
    WEIR_TRY(
        weir_alloc(decoder->account, capacity + padding_size(decoder), &decoder->text, reterr));
    decoder->text_capacity = capacity;
    return WEIR_OK;
}

bool json_scratch(struct weir_json_decoder *decoder)
{
    if (!decoder->scratch)
        decoder->status = weir_alloc(decoder->account,
                                     decoder->text_capacity + padding_size(decoder),
                                     &decoder->scratch, &decoder->error);
    return decoder->status == WEIR_OK;
}

static bool only_space(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != ' ' && data[i] != '\n' && data[i] != '\r' && data[i] != '\t')
            return false;
    return true;
}

/* What can be said of a record before it is walked. */
static bool refuse_whole(const struct weir_bytes *record, struct json_failure *failure)
{
    if (record->size > 0 && record->size <= WEIR_RECORD_SIZE_MAX &&
        !only_space(record->data, record->size))
        return false;
    *failure = (struct json_failure){.position = UINT32_MAX, .path_at = JSON_PATH_SIZE - 1};
    if (!record->data) {
        failure->reason = WEIR_REASON_NULL;
        snprintf(failure->text, sizeof failure->text, "null instead of a record");
    } else if (record->size > WEIR_RECORD_SIZE_MAX) {
        failure->reason = WEIR_REASON_TOO_LARGE;
        snprintf(failure->text, sizeof failure->text, "%zu bytes, more than %u", record->size,
                 WEIR_RECORD_SIZE_MAX);
    } else {
        failure->reason = WEIR_REASON_EMPTY;
        snprintf(failure->text, sizeof failure->text, "empty");
    }
    return true;
}

/* true: a row more. false: refused, the columns as before; or decoder->status is set. */
static bool decode_record(struct weir_json_decoder *decoder, const struct weir_bytes *record)
{
    uint32_t row = decoder->root->count;

    if (refuse_whole(record, &decoder->failure))
        return false;
    decoder->status = decoder_room(decoder, record->size, &decoder->error);
    if (decoder->status != WEIR_OK)
        return false;
    memcpy(decoder->text, record->data, record->size);
    decoder->end = decoder->text + record->size;
    memset(decoder->text + record->size, 0, padding_size(decoder));
    decoder->careful = false;
    decoder->mark.name = NULL;
    if (decoder->walk(decoder))
        return true;
    if (decoder->status != WEIR_OK)
        return false;
    json_column_truncate(decoder->root, row);
    decoder->careful = true;
    decoder->mark.name = NULL;
    decoder->map_dead_size = 0;
    if (decoder->walk(decoder))
        return true;
    json_column_truncate(decoder->root, row);
    return false;
}

/* ---- one call -------------------------------------------------------------------------------- */

static weir_status refusal_make(struct weir_json_decoder *decoder, uint32_t record,
                                struct weir_refusal *refusal, struct weir_error *reterr)
{
    const struct json_failure *failure = &decoder->failure;
    const char *path = failure->path + failure->path_at;
    char *message;

    WEIR_TRY(weir_arena_print(decoder->arena, &message, reterr, "%s%s%s", path, *path ? ": " : "",
                              failure->text));
    *refusal = (struct weir_refusal){.record = record,
                                     .reason = failure->reason,
                                     .position = failure->position,
                                     .message = message};
    return WEIR_OK;
}

/* Refusals are few: the array doubles. */
static weir_status refusal_add(struct weir_json_decoder *decoder, uint32_t record,
                               struct weir_refusal **refusals, uint32_t *count, uint32_t *capacity,
                               struct weir_error *reterr)
{
    if (*count == *capacity) {
        struct weir_refusal *larger;
        uint32_t more = *capacity > 0 ? *capacity * 2 : 16;
        WEIR_TRY(weir_arena_alloc(decoder->arena, (size_t)more * sizeof *larger, &larger, reterr));
        if (*count > 0)
            memcpy(larger, *refusals, *count * sizeof *larger);
        *refusals = larger;
        *capacity = more;
    }
    WEIR_TRY(refusal_make(decoder, record, &(*refusals)[*count], reterr));
    ++*count;
    return WEIR_OK;
}

static weir_status mark_add(struct weir_json_decoder *decoder, uint32_t record,
                            struct weir_error *reterr)
{
    char *name;

    if (decoder->mark_count == decoder->mark_capacity) {
        struct weir_json_mark *larger;
        uint32_t more = decoder->mark_capacity > 0 ? decoder->mark_capacity * 2 : 16;
        WEIR_TRY(weir_arena_alloc(decoder->arena, (size_t)more * sizeof *larger, &larger, reterr));
        if (decoder->mark_count > 0)
            memcpy(larger, decoder->marks, decoder->mark_count * sizeof *larger);
        decoder->marks = larger;
        decoder->mark_capacity = more;
    }
    WEIR_TRY(weir_arena_copy(decoder->arena, decoder->mark_name, strlen(decoder->mark_name), &name,
                             reterr));
    decoder->marks[decoder->mark_count++] = (struct weir_json_mark){
        .record = record, .position = decoder->mark.position, .name = name};
    return WEIR_OK;
}

static weir_status check_total(const struct weir_bytes *records, uint32_t count,
                               struct weir_error *reterr)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        if (records[i].size <= WEIR_RECORD_SIZE_MAX)
            total += records[i].size;
    if (total > JSON_INPUT_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%llu bytes of JSON in one call, more than %u",
                         (unsigned long long)total, JSON_INPUT_MAX);
    return WEIR_OK;
}

static weir_status finish(struct weir_json_decoder *decoder, uint32_t records,
                          struct weir_batch *batch, struct weir_error *reterr)
{
    struct weir_vector root = {0};

    if (!json_column_vectors(decoder, decoder->root, &root)) {
        if (reterr)
            *reterr = decoder->error;
        return decoder->status;
    }
    json_column_finish(decoder->root, records, &root);
    *batch = (struct weir_batch){
        .type = decoder->root->declared, .count = decoder->root->count, .columns = root.children};
    return WEIR_OK;
}

weir_status weir_json_decode(struct weir_json_decoder *decoder, const struct weir_bytes *records,
                             uint32_t count, struct weir_arena *arena,
                             struct weir_decoded *ret_decoded, struct weir_error *reterr)
{
    struct weir_decoded decoded = {0};
    struct weir_refusal *refusals = NULL;
    uint32_t *source, refusal_count = 0, refusal_capacity = 0;

    WEIR_TRY(check_total(records, count, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *source, &source, reterr));
    decoder->arena = arena;
    decoder->status = WEIR_OK;
    decoder->marks = NULL;
    decoder->mark_count = decoder->mark_capacity = 0;
    if (json_column_begin(decoder, decoder->root, count)) {
        for (uint32_t i = 0; i < count; i++) {
            if (decode_record(decoder, &records[i])) {
                source[decoder->root->count - 1] = i;
                if (decoder->mark.name)
                    WEIR_TRY(mark_add(decoder, i, reterr));
            } else if (decoder->status != WEIR_OK) {
                break;
            } else {
                WEIR_TRY(
                    refusal_add(decoder, i, &refusals, &refusal_count, &refusal_capacity, reterr));
            }
        }
    }
    if (decoder->text_capacity > ROOM_KEPT)
        decoder_shrink(decoder);
    if (decoder->status != WEIR_OK) {
        if (reterr)
            *reterr = decoder->error;
        return decoder->status;
    }
    WEIR_TRY(finish(decoder, count, &decoded.batch, reterr));
    decoder->rows_before += decoded.batch.count;
    decoded.source = source;
    decoded.refusals = refusals;
    decoded.refusal_count = refusal_count;
    *ret_decoded = decoded;
    return WEIR_OK;
}

const struct weir_json_mark *weir_json_marks(const struct weir_json_decoder *decoder,
                                             size_t *ret_count)
{
    *ret_count = decoder->mark_count;
    return decoder->marks;
}
