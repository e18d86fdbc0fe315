/* The signer of sigv4.h: the chain of credentials with sigv4_sign behind it. */
#include "connectors/s3/sigv4.h"

#include "connectors/s3/credentials_int.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weir_sigv4_signer {
    struct weir_context *context;
    struct weir_http_client *http; /* of its own: a receiver's authority is not that of AWS */
    struct s3_chain *chain;
    struct sigv4_keys keys;
    struct s3_credentials current, rejected_keys;
    bool rejected;
    char region[64], service[32];
};

static weir_status region_find(struct weir_sigv4_signer *signer,
                               const struct weir_sigv4_options *options, struct weir_error *reterr)
{
    static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    const char *given = options->region && *options->region ? options->region : NULL;
    for (size_t i = 0; i < 2 && !given; i++) {
        const char *value = getenv(names[i]);
        given = value && *value ? value : NULL;
    }
    if (!given) {
        if (!s3_profile_setting(signer->context, options->profile, "region", signer->region,
                                sizeof signer->region))
            snprintf(signer->region, sizeof signer->region, "us-east-1");
        return WEIR_OK;
    }
    if (strlen(given) >= sizeof signer->region)
        return weir_fail(reterr, WEIR_USAGE, "region name \"%.60s...\" is too long", given);
    snprintf(signer->region, sizeof signer->region, "%s", given);
    return WEIR_OK;
}

static weir_status signer_fill(struct weir_sigv4_signer *signer,
                               const struct weir_sigv4_options *options, struct weir_error *reterr)
{
    if (!options->service || !*options->service ||
        strlen(options->service) >= sizeof signer->service)
        return weir_fail(reterr, WEIR_USAGE, "signing needs the short name of a service of AWS");
    snprintf(signer->service, sizeof signer->service, "%s", options->service);
    WEIR_TRY(region_find(signer, options, reterr));
    struct weir_http_options http = {0};
    WEIR_TRY(weir_http_client_new(signer->context, &http, &signer->http, reterr));
    struct s3_chain_options chain = {.profile = options->profile,
                                     .role_arn = options->role_arn,
                                     .external_id = options->external_id,
                                     .region = signer->region};
    return s3_chain_new(signer->context, signer->http, &chain, &signer->chain, reterr);
}

weir_status weir_sigv4_signer_new(struct weir_context *context,
                                  const struct weir_sigv4_options *options,
                                  struct weir_sigv4_signer **ret_signer, struct weir_error *reterr)
{
    struct weir_sigv4_signer *signer;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *signer, &signer, reterr));
    signer->context = context;
    sigv4_keys_init(&signer->keys);
    weir_status status = signer_fill(signer, options, reterr);
    if (status != WEIR_OK) {
        weir_sigv4_signer_free(signer);
        return status;
    }
    *ret_signer = signer;
    return WEIR_OK;
}

void weir_sigv4_signer_free(struct weir_sigv4_signer *signer)
{
    if (!signer)
        return;
    s3_chain_free(signer->chain);
    weir_http_client_free(signer->http);
    sigv4_keys_done(&signer->keys);
    OPENSSL_cleanse(&signer->current, sizeof signer->current);
    OPENSSL_cleanse(&signer->rejected_keys, sizeof signer->rejected_keys);
    weir_free(signer);
}

static weir_status line_add(struct weir_arena *arena, const char *name, const char *value,
                            const char **lines, size_t *count, struct weir_error *reterr)
{
    char *line;
    WEIR_TRY(weir_arena_print(arena, &line, reterr, "%s: %s", name, value));
    lines[(*count)++] = line;
    return WEIR_OK;
}

weir_status weir_sigv4_sign(struct weir_sigv4_signer *signer,
                            const struct weir_sigv4_message *message, struct weir_arena *arena,
                            const char *ret_lines[WEIR_SIGV4_LINES], size_t *ret_count,
                            struct weir_error *reterr)
{
    char hash[65], time[17];
    const char *lines[WEIR_SIGV4_LINES];
    size_t line_count = 0, count = 0;
    struct sigv4_pair headers[5];
    WEIR_AUTO(weir_buffer) path = {.account = arena->account};
    WEIR_AUTO(weir_buffer) signature = {.account = arena->account};
    WEIR_TRY(s3_chain_get(signer->chain, signer->rejected ? &signer->rejected_keys : NULL,
                          &signer->current, reterr));
    /* all services but S3 want the path encoded once more than it is sent */
    WEIR_TRY(weir_http_escape(&path, message->path, strlen(message->path), true, reterr));
    WEIR_TRY(sigv4_hash(message->body_size ? message->body : "", message->body_size, hash, reterr));
    sigv4_time(weir_now_ms(signer->context), time);
    headers[count++] = (struct sigv4_pair){"host", message->host};
    if (message->content_type)
        headers[count++] = (struct sigv4_pair){"content-type", message->content_type};
    headers[count++] = (struct sigv4_pair){"x-amz-content-sha256", hash};
    headers[count++] = (struct sigv4_pair){"x-amz-date", time};
    if (*signer->current.token)
        headers[count++] = (struct sigv4_pair){"x-amz-security-token", signer->current.token};
    struct sigv4_request request = {message->method,
                                    (const char *)path.data,
                                    message->query ? message->query : "",
                                    headers,
                                    count,
                                    hash,
                                    signer->region,
                                    signer->service,
                                    time};
    WEIR_TRY(sigv4_sign(&signer->keys, &signer->current, &request, &signature, reterr));
    for (size_t i = 1; i < count; i++) /* libcurl sends host itself */
        WEIR_TRY(line_add(arena, headers[i].name, headers[i].value, lines, &line_count, reterr));
    WEIR_TRY(
        line_add(arena, "authorization", (const char *)signature.data, lines, &line_count, reterr));
    memcpy(ret_lines, lines, line_count * sizeof *lines);
    *ret_count = line_count;
    return WEIR_OK;
}

weir_status weir_sigv4_presign(struct weir_sigv4_signer *signer, const char *host, const char *name,
                               const char *value, unsigned seconds, struct weir_arena *arena,
                               const char **ret_query, struct weir_error *reterr)
{
    char hash[65], time[17], scope[320], life[16], *text;
    const struct sigv4_pair headers[] = {{"host", host}};
    struct sigv4_pair pairs[7];
    size_t count = 0;
    WEIR_AUTO(weir_buffer) query = {.account = arena->account};
    WEIR_AUTO(weir_buffer) signature = {.account = arena->account};
    WEIR_TRY(s3_chain_get(signer->chain, signer->rejected ? &signer->rejected_keys : NULL,
                          &signer->current, reterr));
    WEIR_TRY(sigv4_hash("", 0, hash, reterr));
    sigv4_time(weir_now_ms(signer->context), time);
    snprintf(scope, sizeof scope, "%s/%.8s/%s/%s/aws4_request", signer->current.id, time,
             signer->region, signer->service);
    snprintf(life, sizeof life, "%u", seconds);
    pairs[count++] = (struct sigv4_pair){name, value};
    pairs[count++] = (struct sigv4_pair){"X-Amz-Algorithm", "AWS4-HMAC-SHA256"};
    pairs[count++] = (struct sigv4_pair){"X-Amz-Credential", scope};
    pairs[count++] = (struct sigv4_pair){"X-Amz-Date", time};
    pairs[count++] = (struct sigv4_pair){"X-Amz-Expires", life};
    pairs[count++] = (struct sigv4_pair){"X-Amz-SignedHeaders", "host"};
    if (*signer->current.token)
        pairs[count++] = (struct sigv4_pair){"X-Amz-Security-Token", signer->current.token};
    WEIR_TRY(sigv4_query(&query, pairs, count, reterr));
    struct sigv4_request request = {"GET", "/",  (const char *)query.data, headers,
                                    1,     hash, signer->region,           signer->service,
                                    time};
    WEIR_TRY(sigv4_sign(&signer->keys, &signer->current, &request, &signature, reterr));
    const char *hex = strrchr((const char *)signature.data, '=');
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "%s&X-Amz-Signature=%s",
                              (const char *)query.data, hex ? hex + 1 : ""));
    *ret_query = text;
    return WEIR_OK;
}

const char *weir_sigv4_region(const struct weir_sigv4_signer *signer)
{
    return signer->region;
}

void weir_sigv4_rejected(struct weir_sigv4_signer *signer)
{
    signer->rejected_keys = signer->current;
    signer->rejected = true;
}
