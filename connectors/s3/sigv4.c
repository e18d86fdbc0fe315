/* Canonical requests and their signatures by OpenSSL's EVP. */
#include "connectors/s3/sigv4_int.h"

#include "connectors/http/http.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUERY_PAIRS_MAX 16
#define HEADERS_MAX     24

static void hex(char *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
}

weir_status sigv4_hash(const void *data, size_t size, char ret_hex[65], struct weir_error *reterr)
{
    uint8_t digest[32];
    if (!EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL))
        return weir_fail(reterr, WEIR_INTERNAL, "OpenSSL computes no SHA-256");
    hex(ret_hex, digest, sizeof digest);
    return WEIR_OK;
}

void sigv4_time(int64_t wall_ms, char ret_text[17])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    if (strftime(ret_text, 17, "%Y%m%dT%H%M%SZ", &parts) != 16)
        memcpy(ret_text, "19700101T000000Z", 17);
}

void sigv4_keys_init(struct sigv4_keys *keys)
{
    memset(keys, 0, sizeof *keys);
    pthread_mutex_init(&keys->lock, NULL);
}

void sigv4_keys_done(struct sigv4_keys *keys)
{
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys, sizeof *keys);
}

static bool hmac(const void *key, size_t key_size, const char *text, uint8_t ret_digest[32])
{
    unsigned size = 32;
    return HMAC(EVP_sha256(), key, (int)key_size, (const uint8_t *)text, strlen(text), ret_digest,
                &size) != NULL;
}

/* Names and values are encoded before they are sorted, as the order is that of the encoded text. */
static int query_order(const void *a, const void *b)
{
    const struct sigv4_pair *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->value, y->value);
}

static weir_status encoded(struct weir_arena *arena, const char *text, const char **ret_text,
                           struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = arena->account};
    char *copy;
    WEIR_TRY(weir_http_escape(&buffer, text, strlen(text), false, reterr));
    WEIR_TRY(weir_arena_copy(arena, buffer.data, buffer.size, &copy, reterr));
    *ret_text = copy;
    return WEIR_OK;
}

static weir_status query_print(struct weir_arena *arena, struct weir_buffer *out,
                               const struct sigv4_pair *pairs, size_t count,
                               struct weir_error *reterr)
{
    struct sigv4_pair sorted[QUERY_PAIRS_MAX];
    if (count > QUERY_PAIRS_MAX)
        return weir_fail(reterr, WEIR_INTERNAL, "%zu query parameters", count);
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(encoded(arena, pairs[i].name, &sorted[i].name, reterr));
        WEIR_TRY(encoded(arena, pairs[i].value, &sorted[i].value, reterr));
    }
    qsort(sorted, count, sizeof *sorted, query_order);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%s=%s", i ? "&" : "", sorted[i].name,
                                   sorted[i].value));
    return WEIR_OK;
}

weir_status sigv4_query(struct weir_buffer *out, const struct sigv4_pair *pairs, size_t count,
                        struct weir_error *reterr)
{
    struct weir_arena arena;
    weir_arena_init(&arena, out->account);
    WEIR_TRY(weir_buffer_reserve(out, 1, reterr));
    out->data[out->size] = '\0';
    weir_status status = query_print(&arena, out, pairs, count, reterr);
    weir_arena_done(&arena);
    return status;
}

/* Appends a header's value without spaces around it and with runs of spaces made one. */
static weir_status value_print(struct weir_buffer *out, const char *value,
                               struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, strlen(value) + 2, reterr));
    bool space = false, begun = false;
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            space = begun;
            continue;
        }
        if (space)
            out->data[out->size++] = ' ';
        out->data[out->size++] = (uint8_t)*value;
        space = false;
        begun = true;
    }
    out->data[out->size++] = '\n';
    return WEIR_OK;
}

static weir_status signed_names(struct weir_buffer *out, const struct sigv4_pair *headers,
                                size_t count, struct weir_error *reterr)
{
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%s", i ? ";" : "", headers[i].name));
    return WEIR_OK;
}

static weir_status canonical_print(struct weir_buffer *out, const struct sigv4_request *request,
                                   const struct sigv4_pair *headers, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr, "%s\n%s\n%s\n", request->method, request->path,
                               request->query));
    for (size_t i = 0; i < request->header_count; i++) {
        WEIR_TRY(weir_buffer_print(out, reterr, "%s:", headers[i].name));
        WEIR_TRY(value_print(out, headers[i].value, reterr));
    }
    WEIR_TRY(weir_buffer_print(out, reterr, "\n"));
    WEIR_TRY(signed_names(out, headers, request->header_count, reterr));
    return weir_buffer_print(out, reterr, "\n%s", request->payload_hash);
}

static bool key_compute(const char *secret, const struct sigv4_request *request,
                        uint8_t ret_key[32])
{
    char start[300], date[9];
    uint8_t day[32], region[32], service[32];
    snprintf(start, sizeof start, "AWS4%s", secret);
    snprintf(date, sizeof date, "%.8s", request->time);
    bool done = hmac(start, strlen(start), date, day) && hmac(day, 32, request->region, region) &&
                hmac(region, 32, request->service, service) &&
                hmac(service, 32, "aws4_request", ret_key);
    OPENSSL_cleanse(start, sizeof start);
    return done;
}

static weir_status key_for(struct sigv4_keys *keys, const char *secret,
                           const struct sigv4_request *request, const char *scope,
                           uint8_t ret_key[32], struct weir_error *reterr)
{
    bool done = true;
    pthread_mutex_lock(&keys->lock);
    if (strcmp(keys->scope, scope) != 0 || strcmp(keys->secret, secret) != 0) {
        done = key_compute(secret, request, keys->key);
        snprintf(keys->scope, sizeof keys->scope, "%s", done ? scope : "");
        snprintf(keys->secret, sizeof keys->secret, "%s", secret);
    }
    memcpy(ret_key, keys->key, 32);
    pthread_mutex_unlock(&keys->lock);
    return done ? WEIR_OK : weir_fail(reterr, WEIR_INTERNAL, "OpenSSL computes no HMAC");
}

weir_status sigv4_sign(struct sigv4_keys *keys, const struct s3_credentials *credentials,
                       const struct sigv4_request *request, struct weir_buffer *out,
                       struct weir_error *reterr)
{
    struct sigv4_pair headers[HEADERS_MAX];
    char hash[65], scope[128], to_sign[320], signature[65];
    uint8_t key[32], digest[32];
    if (request->header_count > HEADERS_MAX)
        return weir_fail(reterr, WEIR_INTERNAL, "%zu headers to sign", request->header_count);
    memcpy(headers, request->headers, request->header_count * sizeof *headers);
    qsort(headers, request->header_count, sizeof *headers, query_order);
    WEIR_AUTO(weir_buffer) canonical = {.account = out->account};
    WEIR_TRY(canonical_print(&canonical, request, headers, reterr));
    WEIR_TRY(sigv4_hash(canonical.data, canonical.size, hash, reterr));
    if (snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", request->time, request->region,
                 request->service) >= (int)sizeof scope)
        return weir_fail(reterr, WEIR_USAGE, "region name \"%.60s...\" is too long",
                         request->region);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", request->time, scope, hash);
    WEIR_TRY(key_for(keys, credentials->secret, request, scope, key, reterr));
    if (!hmac(key, sizeof key, to_sign, digest))
        return weir_fail(reterr, WEIR_INTERNAL, "OpenSSL computes no HMAC");
    hex(signature, digest, sizeof digest);
    WEIR_TRY(weir_buffer_print(
        out, reterr, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", credentials->id, scope));
    WEIR_TRY(signed_names(out, headers, request->header_count, reterr));
    return weir_buffer_print(out, reterr, ", Signature=%s", signature);
}
