/* One request to a REST catalog: URL, headers, retries of what only reads, and the server's refusal
 * in words. */
#include "connectors/catalog/rest_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MEMORY  4 /* jansson's memory for each byte of text */
#define WAIT_MS_MAX  20000
#define WAIT_MS_STEP 100

bool rest_url_split(const char *url, size_t *ret_host, size_t *ret_host_size)
{
    size_t host = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t size = host ? strcspn(url + host, "/") : 0;
    if (!size || strpbrk(url, " \t\r\n?#@"))
        return false;
    *ret_host = host;
    *ret_host_size = size;
    return true;
}

void rest_words(const char *text, size_t text_size, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < text_size && at + 1 < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte <= ' ' || byte == 0x7f) {
            if (at && out[at - 1] != ' ')
                out[at++] = ' ';
        } else {
            out[at++] = (char)byte;
        }
    }
    while (at && out[at - 1] == ' ')
        at--;
    at = weir_utf8_invalid((const uint8_t *)out, at); /* a character cut in two, or none at all */
    out[at] = '\0';
}

void rest_answer_done(struct rest_catalog *catalog, struct rest_answer *answer)
{
    json_decref(answer->json);
    weir_account_release(&catalog->context->memory, answer->charged);
    *answer = (struct rest_answer){0};
}

static void error_read(struct rest_answer *answer, const struct weir_buffer *body)
{
    const json_t *error = json_object_get(answer->json, "error");
    const json_t *message = json_object_get(error, "message"),
                 *type = json_object_get(error, "type");
    answer->is_error = json_is_object(error) && json_is_string(message);
    if (!json_is_object(error)) { /* Glue, gateways: {"message": ...} */
        message = json_object_get(answer->json, "message");
        if (!message)
            message = json_object_get(answer->json, "Message");
    }
    if (json_is_string(type))
        rest_words(json_string_value(type), json_string_length(type), answer->type,
                   sizeof answer->type);
    if (json_is_string(message))
        rest_words(json_string_value(message), json_string_length(message), answer->message,
                   sizeof answer->message);
    else if (!answer->json)
        rest_words((const char *)body->data, body->size, answer->message,
                   sizeof answer->message / 2);
}

static weir_status answer_read(struct rest_catalog *catalog, const struct weir_buffer *body,
                               struct rest_answer *answer, struct weir_error *reterr)
{
    answer->size = body->size;
    if (body->size) {
        WEIR_TRY(weir_account_charge(&catalog->context->memory, body->size * JSON_MEMORY, reterr));
        answer->charged = body->size * JSON_MEMORY;
        answer->json = json_loadb((const char *)body->data, body->size, 0, NULL);
    }
    if (answer->code < 200 || answer->code > 299)
        error_read(answer, body);
    return WEIR_OK;
}

/* ---- one try ----------------------------------------------------------------------------------
 */

struct attempt {
    struct rest_catalog *catalog;
    const struct rest_request *request;
    struct weir_arena arena;
    char *body;
    size_t body_size;
    char *url;
    const char *path; /* within url */
    char *host;
    bool is_ours;        /* who we are was said */
    unsigned generation; /* of the token that was sent */
    int64_t wait_ms;     /* asked for by Retry-After */
};

static weir_status url_make(struct attempt *attempt, struct weir_error *reterr)
{
    const struct rest_catalog *catalog = attempt->catalog;
    const struct rest_request *request = attempt->request;
    size_t host, size;
    /* the configuration is asked for where the pipeline file says */
    const char *uri = catalog->uri;
    if (request->url) { /* what is signed of it ends before its query */
        WEIR_TRY(weir_arena_copy(&attempt->arena, request->url, strcspn(request->url, "?"),
                                 &attempt->url, reterr));
        uri = attempt->url;
    }
    if (!rest_url_split(uri, &host, &size))
        return weir_fail(reterr, request->url ? WEIR_REFUSED : WEIR_INTERNAL,
                         "%.300s is no address", uri);
    /* a default port is not in the Host header, and so not in what is signed */
    const char *port = host == 8 ? ":443" : ":80";
    size_t shown = size > strlen(port) &&
                           memcmp(uri + host + size - strlen(port), port, strlen(port)) == 0
                       ? size - strlen(port)
                       : size;
    WEIR_TRY(weir_arena_copy(&attempt->arena, uri + host, shown, &attempt->host, reterr));
    if (request->url) {
        attempt->path = uri + host + size;
        return weir_arena_print(&attempt->arena, &attempt->url, reterr, "%s", request->url);
    }
    WEIR_TRY(weir_arena_print(&attempt->arena, &attempt->url, reterr, "%s/v1/%s%s%s", uri,
                              request->path, request->query ? "?" : "",
                              request->query ? request->query : ""));
    char *path;
    WEIR_TRY(weir_arena_print(&attempt->arena, &path, reterr, "%s/v1/%s", uri + host + size,
                              request->path));
    attempt->path = path;
    return WEIR_OK;
}

/* Scheme, host and port are those of the catalog: it may hear who we are. */
static bool is_own_host(const struct rest_catalog *catalog, const char *url)
{
    size_t host, size;
    return rest_url_split(catalog->uri, &host, &size) &&
           strncmp(url, catalog->uri, host + size) == 0 &&
           (url[host + size] == '/' || url[host + size] == '\0');
}

/* Lines that the pipeline's and the catalog's settings ask for, without who we are. */
static weir_status plain_lines(struct attempt *attempt, const char **lines, size_t *count,
                               struct weir_error *reterr)
{
    struct rest_catalog *catalog = attempt->catalog;
    const struct rest_request *request = attempt->request;
    char *line;
    *count = 0;
    lines[(*count)++] = "accept: application/json";
    if (catalog->access == WEIR_REST_ACCESS_VENDED)
        lines[(*count)++] = "X-Iceberg-Access-Delegation: vended-credentials";
    if (catalog->access == WEIR_REST_ACCESS_SIGNING)
        lines[(*count)++] = "X-Iceberg-Access-Delegation: remote-signing";
    for (size_t i = 0; attempt->is_ours && i < catalog->header_count; i++)
        lines[(*count)++] = catalog->headers[i];
    if (!request->key)
        return WEIR_OK;
    WEIR_TRY(weir_arena_print(&attempt->arena, &line, reterr, "Idempotency-Key: %s", request->key));
    lines[(*count)++] = line;
    return WEIR_OK;
}

/* To an address that the catalog named: a token of its own, or ours if it is the catalog itself. */
static weir_status named_lines(struct attempt *attempt, const char **lines, size_t *count,
                               struct weir_error *reterr)
{
    char *line;
    lines[(*count)++] = "content-type: application/json";
    if (!attempt->request->bearer)
        return WEIR_OK;
    WEIR_TRY(weir_arena_print(&attempt->arena, &line, reterr, "authorization: Bearer %s",
                              attempt->request->bearer));
    lines[(*count)++] = line;
    return WEIR_OK;
}

static weir_status lines_make(struct attempt *attempt, const char **lines, size_t *count,
                              struct weir_error *reterr)
{
    struct rest_catalog *catalog = attempt->catalog;
    const struct rest_request *request = attempt->request;
    const char *asked = request->url ? strchr(request->url, '?') : NULL,
               *query = request->query ? request->query
                        : asked        ? asked + 1
                                       : "";
    struct rest_message message = {.method = request->method,
                                   .host = attempt->host,
                                   .path = attempt->path,
                                   .query = query,
                                   .content_type = attempt->body ? "application/json" : NULL,
                                   .body = attempt->body,
                                   .body_size = attempt->body_size};
    attempt->is_ours = !request->url || (!request->bearer && is_own_host(catalog, request->url));
    WEIR_TRY(plain_lines(attempt, lines, count, reterr));
    if (!attempt->is_ours)
        return named_lines(attempt, lines, count, reterr);
    return rest_auth_lines(&catalog->auth, &message, &attempt->arena, lines, count,
                           &attempt->generation, reterr);
}

static int64_t retry_after_ms(const struct weir_http_response *response)
{
    char value[32];
    int64_t seconds;
    if (!weir_http_header(response, "retry-after", value, sizeof value) ||
        !weir_text_int64(value, strlen(value), &seconds) || seconds <= 0)
        return 0;
    return seconds > WAIT_MS_MAX / 1000 ? WAIT_MS_MAX : seconds * 1000;
}

static weir_status send_once(struct attempt *attempt, struct rest_answer *answer,
                             struct weir_error *reterr)
{
    struct rest_catalog *catalog = attempt->catalog;
    const struct rest_request *request = attempt->request;
    const char *lines[REST_LINES_MAX];
    size_t count;
    WEIR_TRY(lines_make(attempt, lines, &count, reterr));
    WEIR_AUTO(weir_buffer) body = {.account = &catalog->context->memory};
    struct weir_http_request http = {
        .method = request->method,
        .url = attempt->url,
        .headers = lines,
        .header_count = count,
        .body = attempt->body,
        .body_size = attempt->body_size,
        .has_body = attempt->body != NULL,
        .fresh_connection = request->once,
        .is_write = attempt->body != NULL,
        .timeout_ms = catalog->timeout_ms,
        .response_size_max = request->answer_size_max ? request->answer_size_max : REST_ANSWER_MAX};
    struct weir_http_response response = {.body = &body};
    weir_status status = weir_http_send(catalog->http, &http, &response, reterr);
    bool maybe_obeyed = status == WEIR_OK || response.maybe_sent;
    if (status == WEIR_OK) {
        answer->code = response.code;
        attempt->wait_ms = retry_after_ms(&response);
        char kept[64];
        answer->may_keep = weir_http_header(&response, "cache-control", kept, sizeof kept) &&
                           strstr(kept, "private");
        status = answer_read(catalog, &body, answer, reterr);
    }
    if (status != WEIR_OK && request->once && maybe_obeyed) /* whatever is wrong with the answer */
        status = WEIR_UNKNOWN_OUTCOME;
    if (status == WEIR_UNKNOWN_OUTCOME && !request->once)
        status = WEIR_UNAVAILABLE;
    if (status != WEIR_OK && reterr)
        reterr->status = status;
    weir_http_response_done(&response);
    return status;
}

/* ---- tries ------------------------------------------------------------------------------------
 */

static bool is_away(long code)
{
    return code == 429 || code >= 500;
}

/* One try, and another one if the server did not know us and there is something newer to say: it
 * has done nothing of what was asked. */
static weir_status send_known(struct attempt *attempt, struct rest_answer *answer,
                              struct weir_error *reterr)
{
    WEIR_TRY(send_once(attempt, answer, reterr));
    bool expired = answer->code == 401 || answer->code == 419 ||
                   (answer->code == 403 && attempt->catalog->auth.kind == WEIR_REST_AUTH_SIGV4 &&
                    strstr(answer->message, "expired")),
         renewed = false;
    if (!expired || !attempt->is_ours)
        return WEIR_OK;
    weir_status status = rest_auth_renew(&attempt->catalog->auth, attempt->generation, &renewed,
                                         reterr);
    if (status == WEIR_OK && !renewed)
        return WEIR_OK;
    rest_answer_done(attempt->catalog, answer);
    WEIR_TRY(status);
    return send_once(attempt, answer, reterr);
}

static weir_status away(const struct attempt *attempt, const struct rest_answer *answer,
                        struct weir_error *reterr)
{
    weir_status status = attempt->request->once && answer->code != 429 ? WEIR_UNKNOWN_OUTCOME
                                                                       : WEIR_UNAVAILABLE;
    return weir_fail(reterr, status, "%s: the server answered %ld%s%s%s%s", attempt->request->doing,
                     answer->code, *answer->type ? " " : "", answer->type,
                     *answer->message ? ": " : "", answer->message);
}

static weir_status run(struct attempt *attempt, struct rest_answer *answer,
                       struct weir_error *reterr)
{
    struct weir_context *context = attempt->catalog->context;
    int64_t until = weir_steady_ms(context) + attempt->catalog->retry_ms;
    for (unsigned round = 0;; round++) {
        weir_status status = send_known(attempt, answer, reterr);
        if (status != WEIR_OK)
            weir_error_prefix(reterr, "%s", attempt->request->doing);
        if (status == WEIR_OK && is_away(answer->code)) {
            status = away(attempt, answer, reterr);
            rest_answer_done(attempt->catalog, answer);
        }
        if (status != WEIR_UNAVAILABLE || attempt->request->once)
            return status;
        int64_t most = WAIT_MS_STEP << (round < 6 ? round : 6),
                wait = attempt->wait_ms ? attempt->wait_ms
                                        : 1 + (int64_t)weir_random_below(context, (uint64_t)most);
        attempt->wait_ms = 0;
        if (weir_steady_ms(context) + wait > until)
            return status;
        weir_sleep_ms(context, wait);
        WEIR_TRY(weir_context_check(context, reterr));
    }
}

weir_status rest_ask(struct rest_catalog *catalog, const struct rest_request *request,
                     struct rest_answer *ret_answer, struct weir_error *reterr)
{
    struct attempt attempt = {.catalog = catalog, .request = request};
    *ret_answer = (struct rest_answer){0};
    weir_arena_init(&attempt.arena, &catalog->context->memory);
    weir_status status = url_make(&attempt, reterr);
    if (status == WEIR_OK && request->body) {
        attempt.body = json_dumps(request->body, JSON_COMPACT);
        attempt.body_size = attempt.body ? strlen(attempt.body) : 0;
        if (!attempt.body)
            status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a request to the catalog");
    }
    if (status == WEIR_OK)
        status = run(&attempt, ret_answer, reterr);
    free(attempt.body);
    weir_arena_done(&attempt.arena);
    if (status != WEIR_OK) {
        rest_answer_done(catalog, ret_answer);
        weir_error_prefix(reterr, "catalog %s", catalog->uri);
    }
    return status;
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static weir_status refusal_status(const struct rest_answer *answer)
{
    switch (answer->code) {
    case 401:
    case 403:
    case 419: return WEIR_DENIED;
    case 404: return answer->is_error ? WEIR_NOT_FOUND : WEIR_FAILED;
    case 406:
    case 501: return WEIR_UNSUPPORTED;
    default: return WEIR_FAILED;
    }
}

static const char *refusal_hint(const struct rest_catalog *catalog,
                                const struct rest_answer *answer)
{
    if (answer->code == 401 || answer->code == 419)
        return catalog->auth.kind == WEIR_REST_AUTH_NONE
                   ? "the catalog wants to know who asks: lake.catalog.rest.auth"
               : catalog->auth.kind == WEIR_REST_AUTH_BEARER
                   ? "the token is wrong or has ended; from a file it is read again at each refusal"
                   : "lake.catalog.rest.auth";
    if (answer->code == 403)
        return "who we are to the catalog may not do this";
    if (answer->code >= 300 && answer->code < 400)
        return "redirects are not followed: write the address it leads to";
    if (!answer->is_error)
        return "does lake.catalog.rest.uri lead to an Iceberg REST catalog? it is what stands "
               "before /v1";
    return NULL;
}

weir_status rest_refusal(const struct rest_catalog *catalog, const struct rest_request *request,
                         const struct rest_answer *answer, struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, refusal_status(answer), "catalog %s: %s: %ld%s%s%s%s",
                                   catalog->uri, request->doing, answer->code,
                                   *answer->type ? " " : "", answer->type,
                                   *answer->message ? ": " : "", answer->message);
    const char *hint = refusal_hint(catalog, answer);
    if (hint)
        weir_error_hint(reterr, "%s", hint);
    return status;
}
