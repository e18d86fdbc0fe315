/* AssumeRole and AssumeRoleWithWebIdentity: AWS STS API of 2011-06-15. */
#include "connectors/s3/credentials_int.h"
#include "connectors/s3/xml_int.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (256u << 10)

static void endpoint_print(const char *region, char *out, size_t size)
{
    const char *set = getenv("AWS_ENDPOINT_URL_STS");
    if (set && *set)
        snprintf(out, size, "%.*s", (int)(strlen(set) - (set[strlen(set) - 1] == '/')), set);
    else
        snprintf(out, size, "https://sts.%s.amazonaws.com%s", region,
                 strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

static weir_status form_print(struct weir_account *account, const struct sts_role *role,
                              const char *session, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) token = {.account = account};
    struct sigv4_pair pairs[6] = {{"Version", "2011-06-15"},
                                  {"RoleArn", role->role_arn},
                                  {"RoleSessionName", session},
                                  {"Action", "AssumeRole"}};
    size_t count = 4;
    if (role->token_file) {
        WEIR_TRY(small_file_read(account, role->token_file, &token, reterr));
        pairs[3].value = "AssumeRoleWithWebIdentity";
        pairs[count++] = (struct sigv4_pair){"WebIdentityToken", (const char *)token.data};
    } else if (role->external_id && *role->external_id) {
        pairs[count++] = (struct sigv4_pair){"ExternalId", role->external_id};
    }
    weir_status status = sigv4_query(out, pairs, count, reterr);
    OPENSSL_cleanse(token.data, token.size);
    return status;
}

static weir_status answer_read(const struct weir_http_response *response,
                               const struct sts_role *role, struct s3_credentials *ret_credentials,
                               struct weir_error *reterr)
{
    const char *data = (const char *)response->body->data;
    size_t size = response->body->size;
    char code[128] = "", message[512] = "", expires[64] = "";
    struct s3_credentials found = {0};
    if (response->code != 200) {
        xml_find(data, size, "Error", "Code", code, sizeof code);
        xml_find(data, size, "Error", "Message", message, sizeof message);
        weir_status status = response->code >= 500 || response->code == 429 ? WEIR_UNAVAILABLE
                                                                            : WEIR_DENIED;
        return weir_fail(reterr, status, "assuming role %s: STS answered %ld %s: %s",
                         role->role_arn, response->code, code, message);
    }
    if (!xml_find(data, size, "Credentials", "AccessKeyId", found.id, sizeof found.id) ||
        !xml_find(data, size, "Credentials", "SecretAccessKey", found.secret,
                  sizeof found.secret) ||
        !xml_find(data, size, "Credentials", "SessionToken", found.token, sizeof found.token) ||
        !xml_find(data, size, "Credentials", "Expiration", expires, sizeof expires) ||
        !(found.expires_ms = s3_time_ms(expires)))
        return weir_fail(reterr, WEIR_CORRUPT,
                         "assuming role %s: the answer of STS has no credentials in it",
                         role->role_arn);
    *ret_credentials = found;
    OPENSSL_cleanse(&found, sizeof found);
    return WEIR_OK;
}

/* Signs the form by the base keys and adds the lines that carry the signature. */
static weir_status form_sign(struct weir_context *context, const struct s3_credentials *base,
                             const char *endpoint, const char *region,
                             const struct weir_buffer *form, struct weir_arena *arena,
                             const char **lines, size_t *count, struct weir_error *reterr)
{
    char hash[65], time[17];
    const char *host = strstr(endpoint, "://");
    host = host ? host + 3 : endpoint;
    WEIR_TRY(sigv4_hash(form->data, form->size, hash, reterr));
    sigv4_time(weir_now_ms(context), time);
    struct sigv4_pair headers[4] = {{"content-type", "application/x-www-form-urlencoded"},
                                    {"host", host},
                                    {"x-amz-date", time}};
    size_t header_count = 3;
    if (*base->token)
        headers[header_count++] = (struct sigv4_pair){"x-amz-security-token", base->token};
    struct sigv4_request request = {"POST", "/",    "",    headers, header_count,
                                    hash,   region, "sts", time};
    struct sigv4_keys keys;
    sigv4_keys_init(&keys);
    WEIR_AUTO(weir_buffer) signature = {.account = arena->account};
    weir_status status = sigv4_sign(&keys, base, &request, &signature, reterr);
    sigv4_keys_done(&keys);
    WEIR_TRY(status);
    char *line;
    for (size_t i = 2; i < header_count; i++) {
        WEIR_TRY(
            weir_arena_print(arena, &line, reterr, "%s: %s", headers[i].name, headers[i].value));
        lines[(*count)++] = line;
    }
    WEIR_TRY(
        weir_arena_print(arena, &line, reterr, "authorization: %s", (const char *)signature.data));
    lines[(*count)++] = line;
    return WEIR_OK;
}

static weir_status sts_call(struct weir_context *context, struct weir_http_client *client,
                            const struct s3_credentials *base, const struct sts_role *role,
                            struct weir_arena *arena, struct weir_buffer *form,
                            struct weir_buffer *answer, struct s3_credentials *ret_credentials,
                            struct weir_error *reterr)
{
    char endpoint[512], url[520], session[80];
    const char *lines[6] = {"content-type: application/x-www-form-urlencoded"};
    size_t count = 1;
    if (role->session_name && *role->session_name)
        snprintf(session, sizeof session, "%.64s", role->session_name);
    else
        snprintf(session, sizeof session, "weir-%016llx",
                 (unsigned long long)weir_random_u64(context));
    endpoint_print(role->region, endpoint, sizeof endpoint);
    WEIR_TRY(form_print(&context->memory, role, session, form, reterr));
    if (!role->token_file)
        WEIR_TRY(
            form_sign(context, base, endpoint, role->region, form, arena, lines, &count, reterr));
    snprintf(url, sizeof url, "%s/", endpoint);
    struct weir_http_request request = {.method = "POST",
                                        .url = url,
                                        .headers = lines,
                                        .header_count = count,
                                        .body = form->data,
                                        .body_size = form->size,
                                        .timeout_ms = 20000,
                                        .response_size_max = ANSWER_MAX};
    struct weir_http_response response = {.body = answer};
    weir_status status = weir_http_send(client, &request, &response, reterr);
    if (status == WEIR_OK)
        status = answer_read(&response, role, ret_credentials, reterr);
    else if (status == WEIR_UNKNOWN_OUTCOME) /* asking twice does no harm */
        status = WEIR_UNAVAILABLE;
    weir_http_response_done(&response);
    return status;
}

weir_status sts_assume(struct weir_context *context, struct weir_http_client *client,
                       const struct s3_credentials *base, const struct sts_role *role,
                       struct s3_credentials *ret_credentials, struct weir_error *reterr)
{
    struct weir_arena arena;
    struct weir_buffer form = {.account = &context->memory}, answer = {.account = &context->memory};
    weir_arena_init(&arena, &context->memory);
    weir_status status = sts_call(context, client, base, role, &arena, &form, &answer,
                                  ret_credentials, reterr);
    if (form.data)
        OPENSSL_cleanse(form.data, form.size);
    if (answer.data)
        OPENSSL_cleanse(answer.data, answer.size);
    weir_buffer_done(&form);
    weir_buffer_done(&answer);
    weir_arena_done(&arena);
    return status;
}
