/* One S3 request: built, signed, sent, judged, and sent again where that is right. */
#include "connectors/s3/s3_int.h"
#include "connectors/s3/xml_int.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  10000
#define SIGNED_LINES_MAX 24
#define SMALL_ANSWER_MAX                                                                           \
    (32u << 20) /* errors and listing pages; objects have no limit of their own */
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void s3_query(struct s3_call *call, const char *name, const char *value)
{
    call->query[call->query_count++] = (struct sigv4_pair){name, value};
}

void s3_header(struct s3_call *call, const char *name, const char *value)
{
    call->headers[call->header_count++] = (struct sigv4_pair){name, value};
}

void s3_call_done(struct s3_call *call)
{
    weir_http_response_done(&call->response);
}

weir_status s3_md5(const void *data, size_t size, char ret_base64[25], char ret_hex[33],
                   struct weir_error *reterr)
{
    uint8_t digest[16];
    if (!EVP_Digest(data, size, digest, NULL, EVP_md5(), NULL))
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "OpenSSL computes no MD5 (FIPS mode?), which S3 needs as Content-MD5");
    EVP_EncodeBlock((unsigned char *)ret_base64, digest, sizeof digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    return WEIR_OK;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(code, *list) == 0)
            return true;
    return false;
}

enum s3_verdict s3_judge(long http_code, const char *code, bool has_error_body)
{
    /* The server said that it did not even begin. */
    static const char *const not_done[] = {
        "SlowDown", "SlowDownWrite", "SlowDownRead", "ServiceUnavailable", "ThrottlingException",
        "Throttling", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted",
        "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded",
        /* versitygw, while another request takes away the
           folder of the last key in it */
        "ExistingObjectIsDirectory", NULL};
    static const char *const ended[] = {"ExpiredToken", "ExpiredTokenException",
                                        "TokenRefreshRequired", NULL};
    if (http_code >= 200 && http_code < 300 && !has_error_body)
        return S3_DONE;
    if (is_one_of(code, not_done) || http_code == 429)
        return S3_AGAIN;
    if (is_one_of(code, ended))
        return S3_RENEW;
    if (strcmp(code, "RequestTimeTooSkewed") == 0)
        return S3_SKEW;
    if (strcmp(code, "NotImplemented") == 0 || http_code == 501)
        return S3_FINAL;
    if (http_code >= 500 || http_code == 408 || strcmp(code, "InternalError") == 0)
        return S3_AGAIN_MAYBE; /* a gateway's 502 or 504 says nothing of what the server behind it
                                  did */
    return S3_FINAL;
}

weir_status s3_final_status(long http_code, const char *code)
{
    if (strcmp(code, "AuthorizationHeaderMalformed") == 0 ||
        strcmp(code, "PermanentRedirect") == 0 ||
        strcmp(code, "IllegalLocationConstraintException") == 0 || http_code == 301 ||
        http_code == 307)
        return WEIR_REFUSED;
    /* versitygw says 404 of an access key that it does not know: never "no such object" */
    if (strcmp(code, "XAdminUserNotFound") == 0)
        return WEIR_DENIED;
    switch (http_code) {
    case 404: return WEIR_NOT_FOUND;
    case 412:
    case 304: return WEIR_PRECONDITION;
    case 401:
    case 403: return WEIR_DENIED;
    case 416: return WEIR_CORRUPT;
    case 501: return WEIR_UNSUPPORTED;
    default: return strcmp(code, "PreconditionFailed") == 0 ? WEIR_PRECONDITION : WEIR_FAILED;
    }
}

bool s3_error_read(struct s3_call *call, const void *data, size_t size)
{
    call->code[0] = call->message[0] = '\0';
    if (!xml_find(data, size, "Error", "Code", call->code, sizeof call->code))
        return false;
    xml_find(data, size, "Error", "Message", call->message, sizeof call->message);
    return true;
}

static weir_status final_fail(const struct s3_store *store, const struct s3_call *call,
                              weir_status status, struct weir_error *reterr)
{
    char region[64] = "";
    weir_status failed = weir_fail(reterr, status, "%s s3://%s/%s: %ld%s%s%s%s", call->method,
                                   store->bucket, call->key ? call->key : "", call->response.code,
                                   *call->code ? " " : "", call->code, *call->message ? ": " : "",
                                   call->message);
    if (status == WEIR_REFUSED) {
        weir_http_header(&call->response, "x-amz-bucket-region", region, sizeof region);
        weir_error_hint(reterr,
                        "The bucket is not in region %s%s%s: set the right region or endpoint.",
                        store->region, *region ? " but in " : "", region);
    } else if (status == WEIR_DENIED) {
        weir_error_hint(reterr, "Check the credentials, the bucket policy%s.",
                        *store->owner ? ", and that the bucket belongs to the account configured"
                                      : "");
    }
    return failed;
}

/* ---- building -------------------------------------------------------------------------------- */

struct built {
    struct weir_arena arena;
    struct weir_buffer path, query, signature, url;
    struct sigv4_pair headers[S3_HEADERS_MAX + 8];
    size_t header_count;
    const char *lines[S3_HEADERS_MAX + SIGNED_LINES_MAX];
    size_t line_count;
    const char *address; /* where it goes */
    char hash[65], time[17];
};

static void built_done(struct built *built)
{
    weir_buffer_done(&built->path);
    weir_buffer_done(&built->query);
    weir_buffer_done(&built->signature);
    weir_buffer_done(&built->url);
    weir_arena_done(&built->arena);
}

static weir_status payload_hash(const struct s3_store *store, const struct s3_call *call,
                                char ret_hash[65], struct weir_error *reterr)
{
    if (!call->body_size) {
        memcpy(ret_hash, EMPTY_HASH, 65);
        return WEIR_OK;
    }
    if (store->secure) { /* TLS and the signed Content-MD5 cover the body */
        memcpy(ret_hash, "UNSIGNED-PAYLOAD", 17);
        return WEIR_OK;
    }
    return sigv4_hash(call->body, call->body_size, ret_hash, reterr);
}

static void header_add(struct built *built, const char *name, const char *value)
{
    built->headers[built->header_count++] = (struct sigv4_pair){name, value};
}

/* The lines of all headers so far; the host is libcurl's to send where nobody signs it here. */
static weir_status lines_make(struct built *built, bool with_host, struct weir_error *reterr)
{
    char *line;
    for (size_t i = with_host ? 0 : 1; i < built->header_count; i++) {
        WEIR_TRY(weir_arena_print(&built->arena, &line, reterr, "%s: %s", built->headers[i].name,
                                  built->headers[i].value));
        built->lines[built->line_count++] = line;
    }
    return WEIR_OK;
}

static weir_status sign(struct s3_store *store, const struct s3_call *call,
                        const struct s3_credentials *credentials, struct built *built,
                        struct weir_error *reterr)
{
    char *line;
    struct sigv4_request request = {call->method,
                                    (char *)built->path.data,
                                    (char *)built->query.data,
                                    built->headers,
                                    built->header_count,
                                    built->hash,
                                    store->region,
                                    "s3",
                                    built->time};
    WEIR_TRY(sigv4_sign(&store->keys, credentials, &request, &built->signature, reterr));
    WEIR_TRY(lines_make(built, true, reterr));
    WEIR_TRY(weir_arena_print(&built->arena, &line, reterr, "authorization: %s",
                              (char *)built->signature.data));
    built->lines[built->line_count++] = line;
    return WEIR_OK;
}

static weir_status build(struct s3_store *store, const struct s3_call *call,
                         const struct s3_credentials *credentials, struct built *built,
                         struct weir_error *reterr)
{
    bool elsewhere = call->grant == WEIR_S3_GRANT_SIGNATURES;
    WEIR_TRY(weir_buffer_print(&built->path, reterr, "%s/", store->base_path));
    if (call->key)
        WEIR_TRY(weir_http_escape(&built->path, call->key, strlen(call->key), true, reterr));
    WEIR_TRY(sigv4_query(&built->query, call->query, call->query_count, reterr));
    WEIR_TRY(weir_buffer_print(&built->url, reterr, "%s%s%s%s", store->base_url,
                               (char *)built->path.data + strlen(store->base_path),
                               built->query.size ? "?" : "", (char *)built->query.data));
    built->address = (const char *)built->url.data;
    WEIR_TRY(payload_hash(store, call, built->hash, reterr));
    sigv4_time(weir_now_ms(store->context) + atomic_load(&store->skew_ms), built->time);
    header_add(built, "host", store->host);
    header_add(built, "x-amz-content-sha256", built->hash);
    if (!elsewhere)
        header_add(built, "x-amz-date", built->time);
    if (!elsewhere && *credentials->token)
        header_add(built, "x-amz-security-token", credentials->token);
    if (*store->owner)
        header_add(built, "x-amz-expected-bucket-owner", store->owner);
    for (size_t i = 0; i < call->header_count; i++)
        header_add(built, call->headers[i].name, call->headers[i].value);
    if (!elsewhere)
        return sign(store, call, credentials, built, reterr);
    WEIR_TRY(lines_make(built, false, reterr));
    return s3_signed_elsewhere(store, call, built->address, &built->arena, built->lines,
                               &built->line_count, S3_HEADERS_MAX + SIGNED_LINES_MAX,
                               &built->address, reterr);
}

/* ---- sending --------------------------------------------------------------------------------- */

static weir_status attempt(struct s3_store *store, struct s3_call *call,
                           const struct s3_credentials *credentials, struct weir_buffer *body,
                           struct weir_error *reterr)
{
    struct weir_account *account = &store->context->memory;
    struct built built = {
        .path = {account}, .query = {account}, .signature = {account}, .url = {account}};
    weir_arena_init(&built.arena, account);
    weir_status status = build(store, call, credentials, &built, reterr);
    if (status == WEIR_OK) {
        struct weir_http_request request = {
            .method = call->method,
            .url = built.address,
            .headers = built.lines,
            .header_count = built.line_count,
            .body = call->body,
            .body_size = call->body_size,
            .has_body = call->has_body,
            .fresh_connection = call->is_conditional,
            .is_write = call->is_write,
            .response_size_max = call->out && call->key ? 0 : SMALL_ANSWER_MAX};
        call->response.body = body;
        status = weir_http_send(store->http, &request, &call->response, reterr);
    }
    built_done(&built);
    return status;
}

struct retrying {
    int64_t until_ms; /* steady */
    int tries;
    bool renewed, skewed;
};

/* Full jitter: anything between nothing and the doubling limit. OK: try again. */
static weir_status wait_again(struct s3_store *store, struct retrying *retrying,
                              struct weir_error *reterr)
{
    int64_t most = BACKOFF_FIRST_MS;
    for (int i = 0; i < retrying->tries && most < BACKOFF_MOST_MS; i++)
        most *= 2;
    int64_t pause = (int64_t)weir_random_below(store->context, (uint64_t)most + 1);
    retrying->tries++;
    if (weir_steady_ms(store->context) + pause > retrying->until_ms)
        return WEIR_TIMEOUT;
    weir_sleep_ms(store->context, pause);
    return weir_context_check(store->context, reterr);
}

/* The server told its time: from now on we sign by it. */
static bool skew_learn(struct s3_store *store, const struct s3_call *call)
{
    char date[64];
    if (!weir_http_header(&call->response, "date", date, sizeof date))
        return false;
    time_t theirs = curl_getdate(date, NULL);
    if (theirs <= 0)
        return false;
    atomic_store(&store->skew_ms, (long long)theirs * 1000 - weir_now_ms(store->context));
    return true;
}

/* What the whole call comes to when there is no more time, or an answer that ends it. */
static weir_status conclude(const struct s3_store *store, const struct s3_call *call,
                            weir_status status, struct weir_error *reterr)
{
    if (!call->is_write || !call->maybe_done || status == WEIR_OK || status == WEIR_UNKNOWN_OUTCOME)
        return status;
    /* An earlier attempt may have worked: a refusal of a later one (412, 404, 403) does not unsay
     * it. */
    weir_error_prefix(reterr, "%s s3://%s/%s: an earlier attempt may have taken place; then",
                      call->method, store->bucket, call->key ? call->key : "");
    if (reterr)
        reterr->status = WEIR_UNKNOWN_OUTCOME;
    return WEIR_UNKNOWN_OUTCOME;
}

/* Sends once and says what that means; a final or unsent failure is in status and reterr. */
static enum s3_verdict try_once(struct s3_store *store, struct s3_call *call,
                                const struct s3_credentials *credentials, struct weir_buffer *body,
                                weir_status *ret_status, struct weir_error *reterr)
{
    size_t start = body->size;
    call->code[0] = call->message[0] = '\0';
    *ret_status = attempt(store, call, credentials, body, reterr);
    if (*ret_status == WEIR_UNKNOWN_OUTCOME || *ret_status == WEIR_UNAVAILABLE) {
        body->size = start;
        return *ret_status == WEIR_UNKNOWN_OUTCOME ? S3_AGAIN_MAYBE : S3_AGAIN;
    }
    if (*ret_status != WEIR_OK) {
        body->size = start;
        call->maybe_done |= call->response.maybe_sent;
        return S3_FINAL;
    }
    bool plain = call->response.code >= 200 && call->response.code < 300 &&
                 !(call->is_write && body->size > start);
    bool error = !plain && body->size > start &&
                 s3_error_read(call, body->data + start, body->size - start);
    enum s3_verdict verdict = s3_judge(call->response.code, call->code, error);
    /* HEAD has no body to say "expired": with keys that end, 400 and 403 are worth fresh ones,
     * once. What somebody else let us have may be taken back in any words. */
    bool refused = verdict == S3_FINAL &&
                   (call->response.code == 400 || call->response.code == 401 ||
                    s3_final_status(call->response.code, call->code) == WEIR_DENIED);
    if (refused && (call->grant != WEIR_S3_GRANT_NONE ||
                    (strcmp(call->method, "HEAD") == 0 && credentials->expires_ms)))
        verdict = S3_RENEW;
    if (verdict == S3_DONE)
        return verdict;
    body->size = start;
    weir_status status = verdict == S3_FINAL || verdict == S3_RENEW || verdict == S3_SKEW
                             ? s3_final_status(call->response.code, call->code)
                             : WEIR_UNAVAILABLE;
    *ret_status = final_fail(store, call, status, reterr);
    return verdict;
}

/* Own keys that cannot be renewed: what the store said is the message. Keys of a catalog: what that
 * says is. */
static weir_status renew(struct s3_store *store, struct s3_call *call,
                         struct s3_credentials *credentials, weir_status *status,
                         struct weir_error *reterr)
{
    bool own = call->grant == WEIR_S3_GRANT_NONE;
    struct weir_error refused = reterr ? *reterr : (struct weir_error){0};
    weir_status renewed = s3_authority_get(store, call, true, credentials, reterr);
    if (renewed != WEIR_OK && own && reterr)
        *reterr = refused;
    else if (renewed != WEIR_OK)
        *status = renewed;
    return renewed;
}

static weir_status run_with(struct s3_store *store, struct s3_call *call,
                            struct s3_credentials *credentials, struct weir_buffer *body,
                            struct weir_error *reterr)
{
    int64_t began_ms = weir_steady_ms(store->context);
    struct retrying retrying = {.until_ms = began_ms + store->retry_ms};
    WEIR_TRY(s3_authority_get(store, call, false, credentials, reterr));
    for (;;) {
        weir_status status;
        switch (try_once(store, call, credentials, body, &status, reterr)) {
        case S3_DONE: return WEIR_OK;
        case S3_FINAL: return conclude(store, call, status, reterr);
        case S3_RENEW:
            if (retrying.renewed)
                return conclude(store, call, status, reterr);
            if (renew(store, call, credentials, &status, reterr) != WEIR_OK)
                return conclude(store, call, status, reterr);
            retrying.renewed = true;
            continue;
        case S3_SKEW:
            if (retrying.skewed || !skew_learn(store, call))
                return conclude(store, call, status, reterr);
            retrying.skewed = true;
            continue;
        case S3_AGAIN_MAYBE: call->maybe_done = true; break;
        case S3_AGAIN: break;
        }
        weir_status waited = call->is_once ? WEIR_TIMEOUT : wait_again(store, &retrying, reterr);
        if (waited != WEIR_OK) {
            /* Out of time: the last fault is the message; asked to stop: that is. */
            weir_status outcome = waited == WEIR_TIMEOUT && status == WEIR_UNKNOWN_OUTCOME &&
                                          !call->is_write
                                      ? WEIR_UNAVAILABLE
                                  : waited == WEIR_TIMEOUT ? status
                                                           : waited;
            if (reterr)
                reterr->status = outcome;
            if (waited == WEIR_TIMEOUT && !call->is_once)
                weir_error_prefix(reterr, "gave up after %d tries in %.1f s", retrying.tries,
                                  (double)(weir_steady_ms(store->context) - began_ms) / 1000);
            return conclude(store, call, outcome, reterr);
        }
    }
}

weir_status s3_run(struct s3_store *store, struct s3_call *call, struct weir_error *reterr)
{
    struct s3_credentials *credentials;
    WEIR_AUTO(weir_buffer) own = {.account = &store->account};
    WEIR_TRY(weir_alloc(&store->context->memory, sizeof *credentials, &credentials, reterr));
    weir_status status = run_with(store, call, credentials, call->out ? call->out : &own, reterr);
    OPENSSL_cleanse(credentials, sizeof *credentials);
    weir_free(credentials);
    return status;
}
