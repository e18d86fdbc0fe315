/* Changes to the lines of a _bulk, and its answer to what came of each.
 *
 * The server's sentences ("failed to parse field [x] ... Preview of field's value: '...'") quote
 * rows, which may hold what is personal: of an error only its type, the name of a column and the
 * type that the index has for it are told. */
#include "connectors/sink/opensearch_int.h"

#include "engine/base/text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define ID_SIZE_MAX 512        /* bytes of an _id that the server takes */
#define BODY_SIZE   (5u << 20) /* of one request; AWS's small domains refuse 10 MiB */
#define ANSWER_BASE (1u << 20)
#define ANSWER_EACH (16u << 10) /* bytes of answer that a change may bring at most */

/* ---- out ------------------------------------------------------------------------------------- */

static weir_status id_print(const char *key, struct weir_buffer *out, struct weir_error *reterr)
{
    size_t size = strlen(key);
    uint8_t digest[32];
    char text[65];
    if (size > 0 && size <= ID_SIZE_MAX)
        return opensearch_text_print(key, out, reterr);
    if (!EVP_Digest(key, size, digest, NULL, EVP_sha256(), NULL))
        return weir_fail(reterr, WEIR_INTERNAL, "OpenSSL computes no SHA-256");
    weir_print_hex(text, digest, sizeof digest);
    return opensearch_text_print(text, out, reterr);
}

/* A row is one line here; a newline between its members is as good as a space. */
static weir_status row_print(const struct weir_bytes *row, struct weir_buffer *out,
                             struct weir_error *reterr)
{
    size_t start = out->size;
    if (row->size)
        WEIR_TRY(weir_buffer_append(out, row->data, row->size, reterr));
    for (uint8_t *at = out->data + start, *end = out->data + out->size;
         row->size && (at = memchr(at, '\n', (size_t)(end - at)));)
        *at = ' ';
    return weir_buffer_print(out, reterr, "\n");
}

weir_status opensearch_change_print(const struct weir_sink_change *change, struct weir_buffer *out,
                                    struct weir_error *reterr)
{
    bool gone = change->kind == WEIR_CHANGE_DELETE;
    WEIR_TRY(weir_buffer_print(out, reterr, "{\"%s\":{\"_id\":", gone ? "delete" : "index"));
    WEIR_TRY(id_print(change->key, out, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr,
                               ",\"version\":%lld,\"version_type\":\"external_gte\"}}\n",
                               (long long)change->version));
    return gone ? WEIR_OK : row_print(&change->row, out, reterr);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* The column a sentence speaks of: the first of its [words] that is one of ours. */
static size_t column_print(const struct opensearch *self, const char *reason, size_t size,
                           char *out, size_t capacity)
{
    for (const char *at = reason, *end = reason + size; at < end;) {
        const char *open = memchr(at, '[', (size_t)(end - at));
        const char *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL;
        size_t length;
        if (!close)
            break;
        if (opensearch_field_known(&self->row, open + 1, (size_t)(close - open - 1), &length))
            return (size_t)snprintf(out, capacity, ", column %.*s", (int)length, open + 1);
        at = open + 1;
    }
    return 0;
}

/* "of type [double]": what the index has the field as. */
static size_t index_type_print(const char *reason, size_t size, char *out, size_t capacity)
{
    static const char words[] = "of type [";
    const char *at = memmem(reason, size, words, sizeof words - 1);
    if (!at)
        return 0;
    at += sizeof words - 1;
    const char *close = memchr(at, ']', (size_t)(reason + size - at));
    if (!close || !opensearch_type_known(at, (size_t)(close - at)))
        return 0;
    return (size_t)snprintf(out, capacity, ", which is %.*s in the index", (int)(close - at), at);
}

static void reason_print(const struct opensearch *self, json_int_t status, const json_t *error,
                         struct weir_sink_result *result)
{
    size_t room = sizeof result->reason, used;
    char type[80], cause[80];
    const json_t *sentence = json_object_get(error, "reason");
    const json_t *caused = json_object_get(json_object_get(error, "caused_by"), "type");
    opensearch_word(json_is_string(error) ? error : json_object_get(error, "type"), type,
                    sizeof type);
    used = (size_t)snprintf(result->reason, room, "%lld %s", (long long)status, type);
    if (caused && used < room) {
        opensearch_word(caused, cause, sizeof cause);
        used += (size_t)snprintf(result->reason + used, room - used, " (%s)", cause);
    }
    if (!json_is_string(sentence))
        return;
    const char *text = json_string_value(sentence);
    size_t size = json_string_length(sentence), column = 0;
    if (used < room)
        used += column = column_print(self, text, size, result->reason + used, room - used);
    if (column && used < room)
        index_type_print(text, size, result->reason + used, room - used);
}

static bool has_type(const json_t *error, const char *type)
{
    const char *text = json_string_value(json_object_get(error, "type"));
    return text && strcmp(text, type) == 0;
}

static enum weir_sink_answer judge(enum weir_change_kind kind, json_int_t status,
                                   const json_t *error)
{
    if (status >= 200 && status < 300 && !error)
        return WEIR_SINK_TAKEN;
    if (status == 404 && kind == WEIR_CHANGE_DELETE && !error) /* "result": "not_found" */
        return WEIR_SINK_TAKEN;
    if (status == 409 && has_type(error, "version_conflict_engine_exception"))
        return WEIR_SINK_TAKEN; /* it has this version, or a newer one */
    if (status == 429 || status >= 500 || status == 408)
        return WEIR_SINK_LATER;
    /* What is wrong is not the row: an index that was closed, dropped, or is full and read only. */
    if (has_type(error, "cluster_block_exception") || has_type(error, "index_closed_exception") ||
        has_type(error, "index_not_found_exception"))
        return WEIR_SINK_LATER;
    return WEIR_SINK_REFUSED;
}

static weir_status not_an_answer(const char *why, size_t at, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_UNAVAILABLE, "the answer to a _bulk is none: item %zu %s", at,
                     why);
}

weir_status opensearch_results_read(const struct opensearch *self, const json_t *answer,
                                    const struct weir_sink_change *changes, size_t count,
                                    struct weir_sink_result *results, struct weir_error *reterr)
{
    const json_t *items = json_object_get(answer, "items");
    if (!json_is_array(items) || json_array_size(items) != count)
        return weir_fail(reterr, WEIR_UNAVAILABLE,
                         "the answer to a _bulk is none: it has %zu items, sent were %zu changes",
                         json_array_size(items), count);
    for (size_t i = 0; i < count; i++) {
        bool gone = changes[i].kind == WEIR_CHANGE_DELETE;
        const json_t *item = json_object_get(json_array_get(items, i), gone ? "delete" : "index");
        const json_t *status = json_object_get(item, "status"),
                     *error = json_object_get(item, "error");
        if (!json_is_integer(status))
            return not_an_answer(item ? "has no status" : "is of another action", i, reterr);
        if (json_is_null(error))
            error = NULL;
        if (has_type(error, "security_exception"))
            return weir_fail(reterr, WEIR_DENIED, "writing to index \"%s\" is not permitted",
                             self->index);
        results[i].answer = judge(changes[i].kind, json_integer_value(status), error);
        results[i].reason[0] = '\0';
        if (results[i].answer != WEIR_SINK_TAKEN)
            reason_print(self, json_integer_value(status), error, &results[i]);
    }
    return WEIR_OK;
}

/* ---- there and back -------------------------------------------------------------------------- */

static void result_set(struct weir_sink_result *result, enum weir_sink_answer answer,
                       const char *reason)
{
    result->answer = answer;
    snprintf(result->reason, sizeof result->reason, "%s", reason);
}

static weir_status bulk_send(struct opensearch *self, const struct weir_sink_change *changes,
                             size_t count, struct weir_sink_result *results, int64_t *ret_wait_ms,
                             struct weir_error *reterr);

/* Too large for the server or what is in front of it: in halves, down to one change. */
static weir_status bulk_halve(struct opensearch *self, const struct weir_sink_change *changes,
                              size_t count, struct weir_sink_result *results, int64_t *ret_wait_ms,
                              struct weir_error *reterr)
{
    if (count == 1) {
        result_set(results, WEIR_SINK_REFUSED, "413 larger than the server takes");
        return WEIR_OK;
    }
    WEIR_TRY(bulk_send(self, changes, count / 2, results, ret_wait_ms, reterr));
    return bulk_send(self, changes + count / 2, count - count / 2, results + count / 2, ret_wait_ms,
                     reterr);
}

static weir_status bulk_send(struct opensearch *self, const struct weir_sink_change *changes,
                             size_t count, struct weir_sink_result *results, int64_t *ret_wait_ms,
                             struct weir_error *reterr)
{
    struct opensearch_answer answer = {0};
    WEIR_AUTO(weir_buffer) body = {.account = &self->context->memory};
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(opensearch_change_print(&changes[i], &body, reterr));
    struct opensearch_request request = {.method = "POST",
                                         .rest = "/_bulk",
                                         .content_type = "application/x-ndjson",
                                         .body = body.data,
                                         .body_size = body.size,
                                         .answer_size_max = ANSWER_BASE + count * ANSWER_EACH};
    weir_status status = opensearch_ask(self, &request, &answer, reterr);
    bool halve = status == WEIR_OK && answer.code == 413;
    if (status == WEIR_OK && answer.wait_ms > *ret_wait_ms)
        *ret_wait_ms = answer.wait_ms;
    if (status == WEIR_OK && !halve)
        status = answer.code >= 200 && answer.code < 300
                     ? opensearch_results_read(self, answer.json, changes, count, results, reterr)
                     : opensearch_refusal(self, &answer, "_bulk", false, reterr);
    opensearch_answer_done(self, &answer);
    if (halve) {
        weir_buffer_done(&body);
        body = (struct weir_buffer){.account = &self->context->memory};
        return bulk_halve(self, changes, count, results, ret_wait_ms, reterr);
    }
    return status;
}

/* A change that has to be sent again must not come behind a later one of its key that was taken:
 * a server forgets the version of what was deleted after a minute. So that one is sent again too.
 */
static void keep_order(const struct weir_sink_change *changes, size_t count,
                       struct weir_sink_result *results)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; results[i].answer == WEIR_SINK_LATER && j < count; j++)
            if (results[j].answer != WEIR_SINK_LATER && strcmp(changes[i].key, changes[j].key) == 0)
                result_set(&results[j], WEIR_SINK_LATER, "behind another change of its key");
}

weir_status opensearch_deliver(void *receiver, const struct weir_sink_change *changes, size_t count,
                               struct weir_sink_result *results, int64_t *ret_wait_ms,
                               struct weir_error *reterr)
{
    struct opensearch *self = receiver;
    int64_t wait_ms = 0;
    for (size_t from = 0, to; from < count; from = to) {
        size_t size = 0;
        struct weir_error error = {0};
        for (to = from; to < count && (to == from || size + changes[to].row.size <= BODY_SIZE);
             to++)
            size += changes[to].row.size +
                    700; /* the action line, at its longest but for escapes */
        weir_status status = bulk_send(self, changes + from, to - from, results + from, &wait_ms,
                                       &error);
        if (status == WEIR_UNAVAILABLE && from > 0) { /* what was taken before is known */
            for (size_t i = from; i < count; i++)
                result_set(&results[i], WEIR_SINK_LATER, "the server went away or is busy");
            break;
        }
        if (status != WEIR_OK) {
            *ret_wait_ms = wait_ms;
            if (reterr)
                *reterr = error;
            return status;
        }
    }
    keep_order(changes, count, results);
    *ret_wait_ms = wait_ms;
    return WEIR_OK;
}
