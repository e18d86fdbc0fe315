/* Changes as POSTs of JSON, signed as Standard Webhooks say. A request holds one change, or up to
 * `batch`; requests of one call go out side by side, those of one key behind each other. A batch
 * that is refused is sent again in halves, so that one bad change does not take others with it. */
#include "connectors/sink/sink_int.h"

#include "engine/base/text.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS_MAX  256 /* of a call */
#define HEADERS_MAX   64
#define KEY_SIZE_MAX  4096
#define SIGNATURE_MAX 64
#define TIMEOUT_MS    10000

struct webhook {
    struct weir_context *context;
    struct weir_arena arena; /* of the options */
    struct weir_webhook_options options;
    struct weir_http_client *client;
    char place[300]; /* the URL without what may be secret in it */
    uint8_t *key;    /* NULL: not signed */
    size_t key_size;
};

/* A run of changes for one request, or several behind each other because they share a key. */
struct lane {
    size_t first, end;
};

/* One call of deliver. */
struct call {
    struct webhook *webhook;
    const struct weir_sink_change *changes;
    struct weir_sink_result *results;
    struct lane lanes[REQUESTS_MAX];
    atomic_bool away;       /* nobody answers: what was not begun waits */
    atomic_llong asked_ms;  /* the longest Retry-After */
    atomic_size_t answered; /* changes that were taken or refused */
};

/* ---- the body ---- */

static const char *const change_names[] = {"insert", "update", "delete"};

static weir_status write_text(struct weir_buffer *out, const char *text, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", byte));
        else if (byte < 0x20)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\u%04x", byte));
        else
            WEIR_TRY(weir_buffer_append(out, text, 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status write_change(const struct webhook *webhook,
                                const struct weir_sink_change *change, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    char time[48];
    time[weir_print_timestamptz(time, change->committed_ms * 1000)] = '\0';
    WEIR_TRY(weir_buffer_print(out, reterr, "{\"id\":\"%s\",\"sink\":", change->id));
    WEIR_TRY(write_text(out, webhook->options.sink, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, ",\"table\":"));
    WEIR_TRY(write_text(out, webhook->options.table, reterr));
    WEIR_TRY(
        weir_buffer_print(out, reterr, ",\"change\":\"%s\",\"key\":", change_names[change->kind]));
    WEIR_TRY(weir_buffer_append(out, change->key_json.data, change->key_json.size, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, ",\"row\":"));
    WEIR_TRY(weir_buffer_append(out, change->row.data, change->row.size, reterr));
    return weir_buffer_print(
        out, reterr, ",\"snapshot\":%" PRId64 ",\"version\":%" PRId64 ",\"committed_at\":\"%s\"}",
        change->snapshot_id, change->version, time);
}

static weir_status write_body(const struct webhook *webhook, const struct weir_sink_change *changes,
                              size_t count, struct weir_buffer *out, struct weir_error *reterr)
{
    bool array = webhook->options.batch > 1;
    if (array)
        WEIR_TRY(weir_buffer_append(out, "[", 1, reterr));
    for (size_t i = 0; i < count; i++) {
        if (i)
            WEIR_TRY(weir_buffer_append(out, ",\n", 2, reterr));
        WEIR_TRY(write_change(webhook, &changes[i], out, reterr));
    }
    return array ? weir_buffer_append(out, "]", 1, reterr) : WEIR_OK;
}

/* ---- the signature ---- */

/* "v1,{base64 of HMAC-SHA256(key, id.timestamp.body)}" */
static weir_status sign(const struct webhook *webhook, const char *id, const char *timestamp,
                        const struct weir_buffer *body, char ret_signature[SIGNATURE_MAX],
                        struct weir_error *reterr)
{
    uint8_t digest[32];
    unsigned size = 0;
    WEIR_AUTO(weir_buffer) text = {.account = &webhook->context->memory};
    WEIR_TRY(weir_buffer_print(&text, reterr, "%s.%s.", id, timestamp));
    WEIR_TRY(weir_buffer_append(&text, body->data, body->size, reterr));
    if (!HMAC(EVP_sha256(), webhook->key, (int)webhook->key_size, text.data, text.size, digest,
              &size) ||
        size != sizeof digest)
        return weir_fail(reterr, WEIR_FAILED, "webhook: no HMAC could be made");
    memcpy(ret_signature, "v1,", 3);
    ret_signature[3 + weir_base64_encode(ret_signature + 3, digest, sizeof digest)] = '\0';
    return WEIR_OK;
}

/* ---- one request ---- */

static weir_status post(struct webhook *webhook, const struct weir_sink_change *changes,
                        size_t count, struct weir_http_response *response,
                        struct weir_error *reterr)
{
    char id[80], time[60], signed_by[100], stamp[24], signature[SIGNATURE_MAX];
    const char *headers[HEADERS_MAX + 4];
    size_t header_count = 0;
    WEIR_AUTO(weir_buffer) body = {.account = &webhook->context->memory};
    WEIR_TRY(write_body(webhook, changes, count, &body, reterr));
    snprintf(stamp, sizeof stamp, "%" PRId64, weir_now_ms(webhook->context) / 1000);
    snprintf(id, sizeof id, "webhook-id: %s", changes[0].id);
    snprintf(time, sizeof time, "webhook-timestamp: %s", stamp);
    headers[header_count++] = "content-type: application/json";
    headers[header_count++] = id;
    headers[header_count++] = time;
    if (webhook->key) {
        WEIR_TRY(sign(webhook, changes[0].id, stamp, &body, signature, reterr));
        snprintf(signed_by, sizeof signed_by, "webhook-signature: %s", signature);
        headers[header_count++] = signed_by;
    }
    for (size_t i = 0; i < webhook->options.header_count; i++)
        headers[header_count++] = webhook->options.headers[i];
    struct weir_http_request request = {.method = "POST",
                                        .url = webhook->options.url,
                                        .headers = headers,
                                        .header_count = header_count,
                                        .body = body.data,
                                        .body_size = body.size,
                                        .has_body = true,
                                        .is_write = true,
                                        .timeout_ms = webhook->options.timeout_ms,
                                        .response_size_max = 1 << 20};
    return weir_http_send(webhook->client, &request, response, reterr);
}

static void answer(struct call *call, size_t first, size_t end, enum weir_sink_answer kind,
                   const char *reason)
{
    for (size_t i = first; i < end; i++) {
        call->results[i].answer = kind;
        snprintf(call->results[i].reason, sizeof call->results[i].reason, "%.230s", reason);
    }
    if (kind != WEIR_SINK_LATER)
        atomic_fetch_add(&call->answered, end - first);
}

static void note_wait(struct call *call, int64_t wait_ms)
{
    long long before = atomic_load(&call->asked_ms);
    while (wait_ms > before && !atomic_compare_exchange_weak(&call->asked_ms, &before, wait_ms))
        ;
}

/* What says no to every change alike. */
static weir_status whole_refusal(const struct webhook *webhook, long code,
                                 struct weir_error *reterr)
{
    weir_status status;
    if (code == 401 || code == 403 || code == 407) {
        status = weir_fail(reterr, WEIR_DENIED, "webhook %s: answered %ld: not let in",
                           webhook->place, code);
        weir_error_hint(reterr, "check hmac_key and headers");
        return status;
    }
    bool no_place = code == 404 || code == 405 || code == 410,
         no_form = code == 411 || code == 415 || code == 426;
    if (code >= 400 && !no_place && !no_form)
        return WEIR_OK;
    status = weir_fail(reterr, WEIR_REFUSED, "webhook %s: answered %ld: %s", webhook->place, code,
                       no_place  ? "there is nobody who takes changes at this address"
                       : no_form ? "it does not take JSON by POST"
                                 : "a redirection, which is not followed");
    weir_error_hint(reterr, "check url");
    return status;
}

static bool same_key(const struct weir_sink_change *left, const struct weir_sink_change *right)
{
    return left->key_json.size == right->key_json.size &&
           memcmp(left->key_json.data, right->key_json.data, left->key_json.size) == 0;
}

static const char behind[] = "behind one of the same key";

static weir_status send_range(struct call *call, size_t first, size_t end,
                              struct weir_error *reterr);

static weir_status take_answer(struct call *call, size_t first, size_t end,
                               const struct weir_http_response *response, struct weir_error *reterr)
{
    char reason[80];
    long code = response->code;
    snprintf(reason, sizeof reason, "answered %ld", code);
    if (code >= 200 && code < 300) {
        answer(call, first, end, WEIR_SINK_TAKEN, "");
        return WEIR_OK;
    }
    if (code == 408 || code == 425 || code == 429 || code >= 500) {
        note_wait(call, sink_retry_after_ms(response, weir_now_ms(call->webhook->context)));
        answer(call, first, end, WEIR_SINK_LATER, reason);
        return WEIR_OK;
    }
    WEIR_TRY(whole_refusal(call->webhook, code, reterr));
    if (end - first == 1) {
        answer(call, first, end, WEIR_SINK_REFUSED, reason);
        return WEIR_OK;
    }
    size_t middle = first + (end - first) / 2;
    WEIR_TRY(send_range(call, first, middle, reterr));
    if (call->results[middle - 1].answer == WEIR_SINK_LATER &&
        same_key(&call->changes[middle - 1], &call->changes[middle])) {
        answer(call, middle, end, WEIR_SINK_LATER, behind);
        return WEIR_OK;
    }
    return send_range(call, middle, end, reterr);
}

/* What the transport says begins with the whole address, and behind the host that may carry a
 * token: the words behind it. */
static const char *without_address(const struct webhook *webhook, const char *text)
{
    const char *url = webhook->options.url;
    size_t size = strcspn(url, "?");
    if (strncmp(text, "POST ", 5) != 0)
        return text;
    return strncmp(text + 5, url, size) == 0 && strncmp(text + 5 + size, ": ", 2) == 0
               ? text + 5 + size + 2
               : "no answer"; /* an address longer than an error's text */
}

/* No answer: it may have been taken, so it is sent again under the same ids. */
static weir_status no_answer(struct call *call, size_t first, size_t end, weir_status status,
                             const struct weir_error *error, struct weir_error *reterr)
{
    bool later = status == WEIR_UNAVAILABLE || status == WEIR_UNKNOWN_OUTCOME ||
                 status == WEIR_CORRUPT;
    const char *words = without_address(call->webhook, error->text);
    if (!later) {
        status = weir_fail(reterr, status, "webhook %s: %s", call->webhook->place, words);
        if (*error->hint)
            weir_error_hint(reterr, "%s", error->hint);
        return status;
    }
    atomic_store(&call->away, true);
    answer(call, first, end, WEIR_SINK_LATER, words);
    return WEIR_OK;
}

static weir_status send_range(struct call *call, size_t first, size_t end,
                              struct weir_error *reterr)
{
    struct weir_http_response response = {0};
    struct weir_error error = {0};
    if (atomic_load(&call->away)) {
        answer(call, first, end, WEIR_SINK_LATER, "the receiver did not answer those before it");
        return WEIR_OK;
    }
    if (weir_context_check(call->webhook->context, NULL) != WEIR_OK) {
        answer(call, first, end, WEIR_SINK_LATER, "asked to stop");
        return WEIR_OK;
    }
    weir_status status = post(call->webhook, call->changes + first, end - first, &response, &error);
    status = status == WEIR_OK ? take_answer(call, first, end, &response, reterr)
                               : no_answer(call, first, end, status, &error, reterr);
    weir_http_response_done(&response);
    return status;
}

/* ---- one call ---- */

/* Requests of a lane are for one key: what is not taken holds those behind it back. */
static weir_status send_lane(void *argument, size_t index, struct weir_error *reterr)
{
    struct call *call = argument;
    const struct lane *lane = &call->lanes[index];
    size_t batch = call->webhook->options.batch;
    for (size_t at = lane->first; at < lane->end; at += batch) {
        size_t end = at + batch < lane->end ? at + batch : lane->end;
        WEIR_TRY(send_range(call, at, end, reterr));
        if (call->results[end - 1].answer == WEIR_SINK_LATER && end < lane->end) {
            answer(call, end, lane->end, WEIR_SINK_LATER, behind);
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

static size_t cut_lanes(struct call *call, size_t count)
{
    size_t lanes = 0, batch = call->webhook->options.batch;
    for (size_t at = 0; at < count;) {
        size_t end = at + batch < count ? at + batch : count;
        if (lanes && same_key(&call->changes[at - 1], &call->changes[at]))
            call->lanes[lanes - 1].end = end;
        else
            call->lanes[lanes++] = (struct lane){at, end};
        at = end;
    }
    return lanes;
}

static weir_status deliver(void *self, const struct weir_sink_change *changes, size_t count,
                           struct weir_sink_result *results, int64_t *ret_wait_ms,
                           struct weir_error *reterr)
{
    struct webhook *webhook = self;
    struct call call = {.webhook = webhook, .changes = changes, .results = results};
    if (count == 0)
        return WEIR_OK;
    size_t lanes = cut_lanes(&call, count);
    WEIR_TRY(weir_parallel(webhook->context, lanes, send_lane, &call, reterr));
    *ret_wait_ms = atomic_load(&call.asked_ms);
    if (!atomic_load(&call.away) || atomic_load(&call.answered))
        return WEIR_OK;
    return weir_fail(reterr, WEIR_UNAVAILABLE, "webhook %s: %.200s", webhook->place,
                     results[0].reason);
}

/* ---- making one ---- */

static weir_status prepare(void *self, const struct weir_type *row, struct weir_error *reterr)
{
    (void)self, (void)row, (void)reterr; /* there is nothing that a webhook may be asked */
    return WEIR_OK;
}

/* Nothing is asked of the address itself: whoever answers there may take any request for news. The
 * server it is on says whether it is reached. */
static weir_status probe(void *self, const struct weir_type *row, char *ret_words, size_t size,
                         struct weir_error *reterr)
{
    struct webhook *webhook = self;
    struct weir_http_response response = {0};
    struct weir_error error = {0};
    char origin[sizeof webhook->place + 2];
    (void)row;
    snprintf(origin, sizeof origin, "%s/", webhook->place);
    struct weir_http_request request = {
        .method = "HEAD", .url = origin, .timeout_ms = webhook->options.timeout_ms};
    weir_status status = weir_http_send(webhook->client, &request, &response, &error);
    if (status == WEIR_UNKNOWN_OUTCOME || status == WEIR_CORRUPT)
        status = WEIR_UNAVAILABLE;
    int64_t ahead_s = sink_clock_ahead_s(&response, weir_now_ms(webhook->context));
    if (status == WEIR_OK)
        snprintf(ret_words, size, "%s answers; whether it lets us in shows with the first change",
                 webhook->place);
    weir_http_response_done(&response);
    if (status == WEIR_OK)
        return sink_clock_check(ahead_s, webhook->key != NULL, ret_words, size, reterr);
    if (reterr)
        *reterr = error;
    return status;
}

static void webhook_free(void *self)
{
    struct webhook *webhook = self;
    weir_http_client_free(webhook->client);
    if (webhook->key)
        OPENSSL_cleanse(webhook->key, webhook->key_size);
    weir_arena_done(&webhook->arena);
    weir_free(webhook);
}

/* Behind the host an address may carry a token. */
static void show_place(const char *url, char *ret_place, size_t size)
{
    const char *host = strstr(url, "://"), *end, *user;
    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    user = memchr(host, '@', (size_t)(end - host));
    snprintf(ret_place, size, "%.*s%.*s", (int)(host - url), url,
             (int)(end - (user ? user + 1 : host)), user ? user + 1 : host);
}

static weir_status take_key(struct webhook *webhook, const char *text, struct weir_error *reterr)
{
    size_t size = strlen(text);
    bool encoded = strncmp(text, "whsec_", 6) == 0;
    if (size > KEY_SIZE_MAX)
        return weir_fail(reterr, WEIR_USAGE, "webhook: hmac_key is longer than %d bytes",
                         KEY_SIZE_MAX);
    WEIR_TRY(weir_arena_zero(&webhook->arena, size + 4, 1, &webhook->key, reterr));
    if (!encoded) {
        memcpy(webhook->key, text, size);
        webhook->key_size = size;
    } else if (!weir_base64_decode(text + 6, size - 6, webhook->key, &webhook->key_size)) {
        return weir_fail(reterr, WEIR_USAGE, "webhook: hmac_key: behind whsec_ base64 is expected");
    }
    return webhook->key_size ? WEIR_OK
                             : weir_fail(reterr, WEIR_USAGE, "webhook: hmac_key is empty");
}

static weir_status copy_text(struct webhook *webhook, const char **text, struct weir_error *reterr)
{
    char *copy;
    const char *from = *text ? *text : "";
    WEIR_TRY(weir_arena_copy(&webhook->arena, from, strlen(from), &copy, reterr));
    *text = copy;
    return WEIR_OK;
}

static weir_status set_up(struct webhook *webhook, const struct weir_webhook_options *options,
                          struct weir_error *reterr)
{
    struct weir_http_options http = {.tls_ca_file = options->tls.ca_file,
                                     .tls_cert_file = options->tls.cert_file,
                                     .tls_key_file = options->tls.key_file,
                                     .connect_timeout_ms = 5000};
    const char **headers;
    webhook->options = *options;
    if (options->header_count > HEADERS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "webhook: more than %d headers", HEADERS_MAX);
    WEIR_TRY(copy_text(webhook, &webhook->options.sink, reterr));
    WEIR_TRY(copy_text(webhook, &webhook->options.table, reterr));
    WEIR_TRY(copy_text(webhook, &webhook->options.url, reterr));
    WEIR_TRY(weir_arena_zero(&webhook->arena, options->header_count + 1, sizeof *headers, &headers,
                             reterr));
    for (size_t i = 0; i < options->header_count; i++) {
        headers[i] = options->headers[i];
        WEIR_TRY(copy_text(webhook, &headers[i], reterr));
    }
    webhook->options.headers = headers;
    if (options->batch == 0)
        webhook->options.batch = 1;
    if (options->timeout_ms == 0)
        webhook->options.timeout_ms = TIMEOUT_MS;
    show_place(webhook->options.url, webhook->place, sizeof webhook->place);
    if (options->hmac_key)
        WEIR_TRY(take_key(webhook, options->hmac_key, reterr));
    webhook->options.hmac_key = NULL;
    return weir_http_client_new(webhook->context, &http, &webhook->client, reterr);
}

weir_status weir_webhook_sink_new(struct weir_context *context,
                                  const struct weir_webhook_options *options,
                                  struct weir_sink *ret_sink, struct weir_error *reterr)
{
    static const struct weir_sink_operations operations = {"webhook", prepare, probe, deliver,
                                                           webhook_free};
    struct webhook *webhook;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *webhook, &webhook, reterr));
    webhook->context = context;
    weir_arena_init(&webhook->arena, &context->memory);
    weir_status status = set_up(webhook, options, reterr);
    if (status != WEIR_OK) {
        webhook_free(webhook);
        return status;
    }
    *ret_sink = (struct weir_sink){.operations = &operations,
                                   .self = webhook,
                                   .batch_max = REQUESTS_MAX * webhook->options.batch,
                                   .tells_each = webhook->options.batch == 1};
    return WEIR_OK;
}
