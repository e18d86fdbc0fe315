/* The OpenSearch sink: settings, login, and one request. Stands on connectors/http; the keys of AWS
 * come from connectors/s3. */
#include "connectors/sink/opensearch_int.h"

#include "engine/base/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define BATCH_DEFAULT      1000
#define BATCH_MAX          100000
#define TIMEOUT_MS_DEFAULT 30000
/* jansson's memory for a document, by the size of its text: measured between three and seven times.
 */
#define JSON_MEMORY 7

/* ---- answers --------------------------------------------------------------------------------- */

void opensearch_word(const json_t *text, char *ret_word, size_t size)
{
    const char *from = json_string_value(text);
    size_t length = from ? strspn(from, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789_-.")
                         : 0;
    bool whole = length > 0 && from[length] == '\0';
    snprintf(ret_word, size, "%s", whole ? from : "unknown");
}

/* A sentence of the server's for the terminal: control characters and quotes of lines are gone. */
static void sentence_print(const json_t *text, char *out, size_t size)
{
    const char *from = json_string_value(text);
    snprintf(out, size, "%s", from ? from : "");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    out[weir_utf8_invalid((const uint8_t *)out, strlen(out))] = '\0'; /* cut within a character */
}

weir_status opensearch_refusal(const struct opensearch *self,
                               const struct opensearch_answer *answer, const char *what,
                               bool with_reason, struct weir_error *reterr)
{
    const json_t *error = json_object_get(answer->json, "error");
    char type[80] = "", sentence[400] = "";
    weir_status status = WEIR_REFUSED;
    if (error)
        opensearch_word(json_is_object(error) ? json_object_get(error, "type") : error, type,
                        sizeof type);
    if (with_reason)
        sentence_print(json_object_get(error, "reason"), sentence, sizeof sentence);
    bool blocked = strcmp(type, "cluster_block_exception") == 0;
    if (answer->code == 408 || answer->code == 429 || answer->code >= 500 || blocked)
        status = WEIR_UNAVAILABLE;
    else if (answer->code == 401 || answer->code == 403)
        status = WEIR_DENIED;
    status = weir_fail(reterr, status, "index \"%s\" at %s: %s: answer %ld%s%s%s%s", self->index,
                       self->url, what, answer->code, *type ? " " : "", type, *sentence ? ": " : "",
                       sentence);
    if (status == WEIR_DENIED)
        weir_error_hint(reterr, "Check `auth` of the sink, and that it may read the index's "
                                "settings, make the index, and write to it.");
    else if (answer->code >= 300 && answer->code < 400)
        weir_error_hint(reterr, "Redirects are not followed: write the address it leads to.");
    else if (answer->code == 404 || answer->code == 405)
        weir_error_hint(reterr, "Does the url lead to OpenSearch, with nothing behind its port but "
                                "a proxy's path?");
    return status;
}

void opensearch_answer_done(struct opensearch *self, struct opensearch_answer *answer)
{
    json_decref(answer->json);
    weir_account_release(&self->context->memory, answer->charged);
    *answer = (struct opensearch_answer){0};
}

static weir_status answer_read(struct opensearch *self, const struct weir_buffer *body,
                               struct opensearch_answer *answer, struct weir_error *reterr)
{
    size_t charge = body->size * JSON_MEMORY;
    if (!body->size)
        return WEIR_OK;
    WEIR_TRY(weir_account_charge(&self->context->memory, charge, reterr));
    answer->charged = charge;
    /* a server may quote a row in which there is a NUL character */
    answer->json = json_loadb((const char *)body->data, body->size, JSON_ALLOW_NUL, NULL);
    return WEIR_OK;
}

/* ---- one request ----------------------------------------------------------------------------- */

static weir_status headers_make(struct opensearch *self, const struct opensearch_request *request,
                                struct weir_arena *arena, const char **lines, size_t *ret_count,
                                struct weir_error *reterr)
{
    char *line;
    *ret_count = 0;
    if (self->signer) {
        WEIR_TRY(weir_arena_print(arena, &line, reterr, "%s/%s%s", self->path, self->index,
                                  request->rest));
        struct weir_sigv4_message message = {.method = request->method,
                                             .host = self->host,
                                             .path = line,
                                             .content_type = request->content_type,
                                             .body = request->body,
                                             .body_size = request->body_size};
        return weir_sigv4_sign(self->signer, &message, arena, lines, ret_count, reterr);
    }
    if (request->content_type) {
        WEIR_TRY(weir_arena_print(arena, &line, reterr, "content-type: %s", request->content_type));
        lines[(*ret_count)++] = line;
    }
    if (self->authorization)
        lines[(*ret_count)++] = self->authorization;
    return WEIR_OK;
}

static weir_status send(struct opensearch *self, const struct opensearch_request *request,
                        struct weir_arena *arena, struct weir_buffer *body,
                        struct opensearch_answer *answer, struct weir_error *reterr)
{
    const char *lines[WEIR_SIGV4_LINES];
    size_t count;
    char *url;
    WEIR_TRY(headers_make(self, request, arena, lines, &count, reterr));
    WEIR_TRY(
        weir_arena_print(arena, &url, reterr, "%s/%s%s", self->url, self->index, request->rest));
    struct weir_http_request http = {.method = request->method,
                                     .url = url,
                                     .headers = lines,
                                     .header_count = count,
                                     .body = request->body,
                                     .body_size = request->body_size,
                                     .has_body = request->body != NULL,
                                     .is_write = request->body != NULL,
                                     .timeout_ms = self->timeout_ms,
                                     .response_size_max = request->answer_size_max};
    struct weir_http_response response = {.body = body};
    weir_status status = weir_http_send(self->http, &http, &response, reterr);
    if (status == WEIR_OK) {
        answer->code = response.code;
        answer->wait_ms = sink_retry_after_ms(&response, weir_now_ms(self->context));
        answer->ahead_s = sink_clock_ahead_s(&response, weir_now_ms(self->context));
        status = answer_read(self, body, answer, reterr);
    } else if (status == WEIR_UNKNOWN_OUTCOME || status == WEIR_CORRUPT) {
        /* the same once more does no harm: ids and versions are the same */
        status = status == WEIR_CORRUPT ? WEIR_REFUSED : WEIR_UNAVAILABLE;
        if (reterr)
            reterr->status = status;
    }
    weir_http_response_done(&response);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "index \"%s\" at %s", self->index, self->url);
    return status;
}

/* Did the keys end between our looking and the server's? It says so in two ways. */
static bool is_expired(const struct opensearch_answer *answer)
{
    const char *message = json_string_value(json_object_get(answer->json, "message"));
    return answer->code == 403 && message &&
           (strstr(message, "is expired") || strstr(message, "ExpiredToken"));
}

weir_status opensearch_ask(struct opensearch *self, const struct opensearch_request *request,
                           struct opensearch_answer *ret_answer, struct weir_error *reterr)
{
    struct weir_arena arena;
    WEIR_AUTO(weir_buffer) body = {.account = &self->context->memory};
    *ret_answer = (struct opensearch_answer){0};
    weir_arena_init(&arena, &self->context->memory);
    weir_status status = send(self, request, &arena, &body, ret_answer, reterr);
    if (status == WEIR_OK && self->signer && is_expired(ret_answer)) {
        opensearch_answer_done(self, ret_answer);
        weir_buffer_clear(&body);
        weir_sigv4_rejected(self->signer);
        status = send(self, request, &arena, &body, ret_answer, reterr);
    }
    weir_arena_done(&arena);
    return status;
}

/* ---- settings -------------------------------------------------------------------------------- */

static weir_status url_take(struct opensearch *self, const char *url, struct weir_error *reterr)
{
    bool secure = strncmp(url, "https://", 8) == 0;
    size_t scheme = secure ? 8 : 7, size = strlen(url);
    if ((!secure && strncmp(url, "http://", 7) != 0) || size <= scheme ||
        url[scheme + strcspn(url + scheme, "?#@")] || url[strcspn(url, " \t\r\n\"<>\\^`{|}")])
        return weir_fail(reterr, WEIR_USAGE,
                         "url of OpenSearch: \"https://host[:port][/path]\" is wanted, without "
                         "user, query or spaces");
    while (size > scheme && url[size - 1] == '/')
        size--;
    struct weir_account *memory = &self->context->memory;
    WEIR_TRY(weir_alloc(memory, size + 1, &self->url, reterr));
    memcpy(self->url, url, size);
    self->url[size] = '\0';
    size_t host = strcspn(self->url + scheme, "/");
    self->path = self->url + scheme + host;
    WEIR_TRY(weir_alloc(memory, host + 1, &self->host, reterr));
    memcpy(self->host, self->url + scheme, host);
    self->host[host] = '\0';
    /* what libcurl writes into the Host header, which is signed: no port that goes without saying
     */
    const char *standard = secure ? ":443" : ":80";
    size_t port = strlen(standard);
    if (host == 0)
        return weir_fail(reterr, WEIR_USAGE, "url of OpenSearch: no host in it");
    if (host > port && strcmp(self->host + host - port, standard) == 0)
        self->host[host - port] = '\0';
    return WEIR_OK;
}

/* The rules of the server, told before it is asked: its own words come without a place. */
static weir_status index_take(struct opensearch *self, const char *name, struct weir_error *reterr)
{
    size_t size = strlen(name);
    bool wrong = size == 0 || size >= sizeof self->index || strchr("-_+.", name[0]) != NULL;
    for (size_t i = 0; i < size && !wrong; i++) {
        unsigned char byte = (unsigned char)name[i];
        wrong = !((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
                  byte == '_' || byte == '.' || byte == '+');
    }
    if (wrong)
        return weir_fail(reterr, WEIR_USAGE,
                         "index \"%.255s\": a name of a-z, 0-9, '-', '_', '.', '+', not beginning "
                         "with one of the signs, of at most 255 bytes, is wanted",
                         name);
    memcpy(self->index, name, size + 1);
    return WEIR_OK;
}

static weir_status line_make(struct opensearch *self, const char *scheme, const char *word,
                             struct weir_error *reterr)
{
    size_t size = strlen(scheme) + strlen(word) + 20;
    if (word[strcspn(word, "\r\n")])
        return weir_fail(reterr, WEIR_USAGE, "the login for OpenSearch has a line break in it");
    WEIR_TRY(weir_alloc(&self->context->memory, size, &self->authorization, reterr));
    snprintf(self->authorization, size, "authorization: %s %s", scheme, word);
    return WEIR_OK;
}

static weir_status basic_take(struct opensearch *self,
                              const struct weir_opensearch_options *options,
                              struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) pair = {.account = &self->context->memory};
    WEIR_AUTO(weir_buffer) encoded = {.account = &self->context->memory};
    if (!options->user || !*options->user || strchr(options->user, ':') || !options->password)
        return weir_fail(reterr, WEIR_USAGE,
                         "auth basic of OpenSearch wants a user without ':' and a password");
    WEIR_TRY(weir_buffer_print(&pair, reterr, "%s:%s", options->user, options->password));
    WEIR_TRY(weir_buffer_reserve(&encoded, weir_base64_size(pair.size) + 1, reterr));
    size_t size = weir_base64_encode((char *)encoded.data, pair.data, pair.size);
    encoded.data[size] = '\0';
    weir_status status = line_make(self, "Basic", (const char *)encoded.data, reterr);
    OPENSSL_cleanse(pair.data, pair.size);
    OPENSSL_cleanse(encoded.data, size);
    return status;
}

static weir_status auth_take(struct opensearch *self, const struct weir_opensearch_options *options,
                             struct weir_error *reterr)
{
    switch (options->auth) {
    case WEIR_OPENSEARCH_NONE: return WEIR_OK;
    case WEIR_OPENSEARCH_BASIC: return basic_take(self, options, reterr);
    case WEIR_OPENSEARCH_API_KEY:
        if (!options->api_key || !*options->api_key)
            return weir_fail(reterr, WEIR_USAGE, "auth api_key of OpenSearch wants an api_key");
        return line_make(self, "ApiKey", options->api_key, reterr);
    case WEIR_OPENSEARCH_SIGV4: {
        struct weir_sigv4_options signing = {.region = options->region,
                                             .service = options->service ? options->service : "es",
                                             .role_arn = options->role_arn,
                                             .external_id = options->role_external_id};
        return weir_sigv4_signer_new(self->context, &signing, &self->signer, reterr);
    }
    }
    return weir_fail(reterr, WEIR_USAGE, "no such auth of OpenSearch: %d", (int)options->auth);
}

static void opensearch_free(void *receiver)
{
    struct opensearch *self = receiver;
    if (!self)
        return;
    if (self->authorization)
        OPENSSL_cleanse(self->authorization, strlen(self->authorization));
    weir_free(self->authorization);
    weir_free(self->url);
    weir_free(self->host);
    weir_sigv4_signer_free(self->signer);
    weir_http_client_free(self->http);
    weir_arena_done(&self->arena);
    weir_free(self);
}

static weir_status fill(struct opensearch *self, const struct weir_opensearch_options *options,
                        struct weir_error *reterr)
{
    self->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
    self->batch_max = options->batch ? options->batch : BATCH_DEFAULT;
    if (self->batch_max > BATCH_MAX)
        return weir_fail(reterr, WEIR_USAGE, "batch %zu: at most %d", self->batch_max, BATCH_MAX);
    WEIR_TRY(url_take(self, options->url ? options->url : "", reterr));
    WEIR_TRY(index_take(self, options->index ? options->index : "", reterr));
    WEIR_TRY(auth_take(self, options, reterr));
    struct weir_http_options http = {.tls_ca_file = options->tls.ca_file,
                                     .tls_cert_file = options->tls.cert_file,
                                     .tls_key_file = options->tls.key_file,
                                     .stall_timeout_ms = self->timeout_ms};
    return weir_http_client_new(self->context, &http, &self->http, reterr);
}

weir_status weir_opensearch_sink_new(struct weir_context *context,
                                     const struct weir_opensearch_options *options,
                                     struct weir_sink *ret_sink, struct weir_error *reterr)
{
    static const struct weir_sink_operations operations = {
        "opensearch", opensearch_prepare, opensearch_probe, opensearch_deliver, opensearch_free};
    struct opensearch *self;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *self, &self, reterr));
    self->context = context;
    self->row.id = WEIR_STRUCT;
    weir_arena_init(&self->arena, &context->memory);
    weir_status status = fill(self, options, reterr);
    if (status != WEIR_OK) {
        opensearch_free(self);
        return status;
    }
    *ret_sink = (struct weir_sink){&operations, self, self->batch_max, true};
    return WEIR_OK;
}
