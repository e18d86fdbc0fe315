/* The chain of providers and the renewal of what they give. See credentials_int.h. */
#include "connectors/s3/credentials_int.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX        (256u << 10)
#define PROFILE_CHAIN_MAX 5     /* source_profile of source_profile ...: a loop ends here */
#define RENEW_MARGIN_MS   60000 /* keys that end sooner are not used for a new request */
#define RENEW_AGAIN_MS    10000 /* pause after a failed renewal while the old keys still hold */

struct s3_chain {
    struct weir_context *context;
    struct weir_http_client *client;
    char profile[256], role_arn[512], external_id[1300], region[64];
    pthread_mutex_t lock; /* held while renewing: the others wait for the one */
    struct s3_credentials current;
    int64_t renew_at_ms; /* wall; 0: never */
    bool loaded;
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

weir_status s3_chain_new(struct weir_context *context, struct weir_http_client *client,
                         const struct s3_chain_options *options, struct s3_chain **ret_chain,
                         struct weir_error *reterr)
{
    struct s3_chain *chain;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *chain, &chain, reterr));
    chain->context = context;
    chain->client = client;
    snprintf(chain->profile, sizeof chain->profile, "%s", options->profile ? options->profile : "");
    snprintf(chain->role_arn, sizeof chain->role_arn, "%s",
             options->role_arn ? options->role_arn : "");
    snprintf(chain->external_id, sizeof chain->external_id, "%s",
             options->external_id ? options->external_id : "");
    snprintf(chain->region, sizeof chain->region, "%s",
             options->region ? options->region : "us-east-1");
    pthread_mutex_init(&chain->lock, NULL);
    *ret_chain = chain;
    return WEIR_OK;
}

void s3_chain_free(struct s3_chain *chain)
{
    if (!chain)
        return;
    pthread_mutex_destroy(&chain->lock);
    OPENSSL_cleanse(&chain->current, sizeof chain->current);
    weir_free(chain);
}

/* ---- answers in JSON: container endpoint and instance metadata
 * ------------------------------------------------ */

static void json_text(const json_t *object, const char *key, char *ret_text, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(ret_text, size, "%s", text ? text : "");
}

static weir_status json_read(const struct weir_buffer *answer, const char *from,
                             struct s3_credentials *ret_credentials, struct weir_error *reterr)
{
    char expires[64];
    struct s3_credentials found = {0};
    json_t *root = json_loadb((const char *)answer->data, answer->size, 0, NULL);
    json_text(root, "AccessKeyId", found.id, sizeof found.id);
    json_text(root, "SecretAccessKey", found.secret, sizeof found.secret);
    json_text(root, "Token", found.token, sizeof found.token);
    json_text(root, "Expiration", expires, sizeof expires);
    json_decref(root);
    found.expires_ms = s3_time_ms(expires);
    if (!*found.id || !*found.secret)
        return weir_fail(reterr, WEIR_CORRUPT, "the answer of %s has no credentials in it", from);
    *ret_credentials = found;
    OPENSSL_cleanse(&found, sizeof found);
    return WEIR_OK;
}

/* One request to a service beside us; anything but 200 is an error. Tried three times, a short
 * pause between. */
static weir_status service_ask(struct s3_chain *chain, const char *method, const char *url,
                               const char *header, struct weir_buffer *answer,
                               struct weir_error *reterr)
{
    struct weir_http_request request = {.method = method,
                                        .url = url,
                                        .headers = &header,
                                        .header_count = header ? 1 : 0,
                                        .has_body = strcmp(method, "PUT") == 0,
                                        .no_proxy = true,
                                        .timeout_ms = 5000,
                                        .connect_timeout_ms = 1000,
                                        .response_size_max = ANSWER_MAX};
    struct weir_http_response response = {.body = answer};
    weir_status status = WEIR_OK;
    for (int attempt = 0; attempt < 3; attempt++) {
        if (attempt)
            weir_sleep_ms(chain->context, 100 << attempt);
        weir_buffer_clear(answer);
        status = weir_http_send(chain->client, &request, &response, reterr);
        if (status == WEIR_OK && response.code == 200)
            break;
        if (status == WEIR_OK)
            status = weir_fail(reterr,
                               response.code >= 500 || response.code == 429 ? WEIR_UNAVAILABLE
                                                                            : WEIR_DENIED,
                               "%s %s answered %ld", method, url, response.code);
        else if (status == WEIR_UNKNOWN_OUTCOME)
            status = WEIR_UNAVAILABLE;
        if (status != WEIR_UNAVAILABLE)
            break;
    }
    weir_http_response_done(&response);
    return status;
}

/* Keys travel in the open over http, so only to this machine and the link-local services of ECS and
 * EKS. */
static bool container_host_allowed(const char *uri)
{
    static const char *const hosts[] = {"127.",          "localhost",      "[::1]",
                                        "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    if (strncmp(uri, "https://", 8) == 0)
        return true;
    if (strncmp(uri, "http://", 7) != 0)
        return false;
    const char *host = uri + 7;
    size_t host_size = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#@");
    if (host[host_size] == '@')
        return false;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t size = strlen(hosts[i]);
        if (i == 0 ? host_size > size && memcmp(host, hosts[i], size) == 0 &&
                         strspn(host, "0123456789.") == host_size
                   : host_size == size && memcmp(host, hosts[i], size) == 0)
            return true;
    }
    return false;
}

static weir_status from_container(struct s3_chain *chain, struct s3_credentials *ret_credentials,
                                  struct weir_error *reterr)
{
    char url[2048], header[8300] = "";
    const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
               *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token_file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
               *token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct weir_buffer text = {.account = &chain->context->memory},
                       answer = {.account = &chain->context->memory};
    weir_status status = WEIR_OK;
    snprintf(url, sizeof url, "%s%s", relative ? "http://169.254.170.2" : "",
             relative ? relative : full);
    if (!relative && !container_host_allowed(full))
        return weir_fail(reterr, WEIR_REFUSED,
                         "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor on this machine");
    if (token_file)
        WEIR_TRY_OUT(status, small_file_read(&chain->context->memory, token_file, &text, reterr));
    if (token_file || token)
        snprintf(header, sizeof header, "Authorization: %s",
                 token_file ? (const char *)text.data : token);
    WEIR_TRY_OUT(status, service_ask(chain, "GET", url, *header ? header : NULL, &answer, reterr));
    status = json_read(&answer, "the container endpoint", ret_credentials, reterr);
out:
    OPENSSL_cleanse(header, sizeof header);
    weir_buffer_done(&text);
    weir_buffer_done(&answer);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "credentials of the container endpoint");
    return status;
}

static weir_status metadata_ask(struct s3_chain *chain, struct weir_buffer *answer,
                                struct weir_error *reterr)
{
    const char *set = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char base[512], url[1024], header[300];
    snprintf(base, sizeof base, "%.*s",
             (int)(set ? strlen(set) - (set[strlen(set) - 1] == '/') : 22),
             set ? set : "http://169.254.169.254");
    snprintf(url, sizeof url, "%s/latest/api/token", base);
    WEIR_TRY(service_ask(chain, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", answer,
                         reterr));
    if (answer->size > 200)
        return weir_fail(reterr, WEIR_CORRUPT, "the token of instance metadata has %zu bytes",
                         answer->size);
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %.*s", (int)answer->size,
             (const char *)answer->data);
    snprintf(url, sizeof url, "%s/latest/meta-data/iam/security-credentials/", base);
    WEIR_TRY(service_ask(chain, "GET", url, header, answer, reterr));
    size_t role_size = 0;
    while (role_size < answer->size && answer->data[role_size] > ' ')
        role_size++;
    if (role_size == 0 || role_size > 200)
        return weir_fail(reterr, WEIR_DENIED, "this instance has no role");
    snprintf(url, sizeof url, "%s/latest/meta-data/iam/security-credentials/%.*s", base,
             (int)role_size, (const char *)answer->data);
    return service_ask(chain, "GET", url, header, answer, reterr);
}

static weir_status from_metadata(struct s3_chain *chain, struct s3_credentials *ret_credentials,
                                 struct weir_error *reterr)
{
    const char *disabled = environment("AWS_EC2_METADATA_DISABLED");
    struct weir_buffer answer = {.account = &chain->context->memory};
    weir_status status = WEIR_OK;
    if (disabled && strcmp(disabled, "true") == 0)
        status = weir_fail(reterr, WEIR_DENIED,
                           "instance metadata is switched off by AWS_EC2_METADATA_DISABLED");
    if (status == WEIR_OK)
        status = metadata_ask(chain, &answer, reterr);
    if (status == WEIR_OK)
        status = json_read(&answer, "instance metadata", ret_credentials, reterr);
    weir_buffer_done(&answer);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "no S3 credentials in environment, profile files, web identity "
                                  "or container; last, instance metadata");
        weir_error_hint(reterr, "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
                                "or give the pod or instance a role.");
        return status == WEIR_UNAVAILABLE && !environment("AWS_EC2_METADATA_SERVICE_ENDPOINT")
                   ? WEIR_DENIED
                   : status;
    }
    return WEIR_OK;
}

/* ---- environment, profiles, roles
 * ------------------------------------------------------------------------------ */

static bool from_environment(struct s3_credentials *credentials)
{
    const char *id = environment("AWS_ACCESS_KEY_ID"),
               *secret = environment("AWS_SECRET_ACCESS_KEY"),
               *token = environment("AWS_SESSION_TOKEN");
    if (!id || !secret)
        return false;
    *credentials = (struct s3_credentials){0};
    snprintf(credentials->id, sizeof credentials->id, "%s", id);
    snprintf(credentials->secret, sizeof credentials->secret, "%s", secret);
    snprintf(credentials->token, sizeof credentials->token, "%s", token ? token : "");
    return true;
}

static weir_status from_web_identity(struct s3_chain *chain, const char *token_file,
                                     const char *role_arn, const char *session,
                                     struct s3_credentials *ret_credentials,
                                     struct weir_error *reterr)
{
    struct sts_role role = {.role_arn = role_arn,
                            .token_file = token_file,
                            .session_name = session,
                            .region = chain->region};
    return sts_assume(chain->context, chain->client, NULL, &role, ret_credentials, reterr);
}

static weir_status from_profile(struct s3_chain *chain, const char *profile, int depth,
                                struct s3_credentials *ret_credentials, struct weir_error *reterr);

static weir_status from_profile_role(struct s3_chain *chain, const char *profile,
                                     const char *role_arn, int depth,
                                     struct s3_credentials *ret_credentials,
                                     struct weir_error *reterr)
{
    struct weir_account *account = &chain->context->memory;
    char source[256] = "", session[80] = "", external[1300] = "", token_file[4096] = "";
    struct s3_credentials base = {0};
    profile_value(account, profile, "role_session_name", session, sizeof session);
    profile_value(account, profile, "external_id", external, sizeof external);
    if (profile_value(account, profile, "web_identity_token_file", token_file, sizeof token_file))
        return from_web_identity(chain, token_file, role_arn, session, ret_credentials, reterr);
    if (profile_value(account, profile, "source_profile", source, sizeof source)) {
        if (depth == PROFILE_CHAIN_MAX)
            return weir_fail(reterr, WEIR_USAGE,
                             "AWS profile \"%s\": more than %d profiles in a row (source_profile)",
                             profile, PROFILE_CHAIN_MAX);
        WEIR_TRY(from_profile(chain, source, depth + 1, &base, reterr));
    } else if (profile_value(account, profile, "credential_source", source, sizeof source)) {
        bool known = strcmp(source, "Environment") == 0 ? from_environment(&base) : false;
        if (strcmp(source, "EcsContainer") == 0)
            WEIR_TRY(from_container(chain, &base, reterr));
        else if (strcmp(source, "Ec2InstanceMetadata") == 0)
            WEIR_TRY(from_metadata(chain, &base, reterr));
        else if (!known)
            return weir_fail(reterr, WEIR_DENIED,
                             "AWS profile \"%s\": credential_source %s gives no keys", profile,
                             source);
    } else {
        return weir_fail(
            reterr, WEIR_USAGE,
            "AWS profile \"%s\" has role_arn but neither source_profile nor credential_source",
            profile);
    }
    struct sts_role role = {.role_arn = role_arn,
                            .external_id = external,
                            .session_name = session,
                            .region = chain->region};
    weir_status status = sts_assume(chain->context, chain->client, &base, &role, ret_credentials,
                                    reterr);
    OPENSSL_cleanse(&base, sizeof base);
    return status;
}

static weir_status from_profile(struct s3_chain *chain, const char *profile, int depth,
                                struct s3_credentials *ret_credentials, struct weir_error *reterr)
{
    struct weir_account *account = &chain->context->memory;
    char role_arn[512], ignored[4096];
    struct s3_credentials found = {0};
    if (!profile_exists(account, profile))
        return weir_fail(reterr, WEIR_NOT_FOUND,
                         "AWS profile \"%s\" is in neither the credentials nor the config file",
                         profile);
    /* A profile that names itself as source means its own keys. */
    if (depth == 0 && profile_value(account, profile, "role_arn", role_arn, sizeof role_arn))
        return from_profile_role(chain, profile, role_arn, depth, ret_credentials, reterr);
    if (profile_value(account, profile, "aws_access_key_id", found.id, sizeof found.id) &&
        profile_value(account, profile, "aws_secret_access_key", found.secret,
                      sizeof found.secret)) {
        profile_value(account, profile, "aws_session_token", found.token, sizeof found.token);
        *ret_credentials = found;
        OPENSSL_cleanse(&found, sizeof found);
        return WEIR_OK;
    }
    if (profile_value(account, profile, "role_arn", role_arn, sizeof role_arn))
        return from_profile_role(chain, profile, role_arn, depth, ret_credentials, reterr);
    if (profile_value(account, profile, "credential_process", ignored, sizeof ignored) ||
        profile_value(account, profile, "sso_start_url", ignored, sizeof ignored) ||
        profile_value(account, profile, "sso_session", ignored, sizeof ignored)) {
        weir_status status = weir_fail(
            reterr, WEIR_UNSUPPORTED, "AWS profile \"%s\" uses sso or credential_process", profile);
        weir_error_hint(reterr,
                        "Run `aws configure export-credentials --profile %s --format env` and set "
                        "what it prints.",
                        profile);
        return status;
    }
    return weir_fail(reterr, WEIR_NOT_FOUND, "AWS profile \"%s\" has no keys and no role", profile);
}

/* ---- the chain ------------------------------------------------------------------------------- */

static weir_status chain_base(struct s3_chain *chain, struct s3_credentials *ret_credentials,
                              struct weir_error *reterr)
{
    const char *token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE"),
               *role_arn = environment("AWS_ROLE_ARN"), *profile = environment("AWS_PROFILE");
    if (*chain->profile)
        return from_profile(chain, chain->profile, 0, ret_credentials, reterr);
    if (from_environment(ret_credentials))
        return WEIR_OK;
    weir_status status = from_profile(chain, profile ? profile : "default", 0, ret_credentials,
                                      reterr);
    if (status != WEIR_NOT_FOUND || profile)
        return status; /* a default profile without keys (region only) is common and no error */
    if (token_file && role_arn)
        return from_web_identity(chain, token_file, role_arn, environment("AWS_ROLE_SESSION_NAME"),
                                 ret_credentials, reterr);
    if (environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
        environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        return from_container(chain, ret_credentials, reterr);
    return from_metadata(chain, ret_credentials, reterr);
}

static weir_status chain_load(struct s3_chain *chain, struct s3_credentials *ret_credentials,
                              struct weir_error *reterr)
{
    struct s3_credentials base = {0};
    if (!*chain->role_arn)
        return chain_base(chain, ret_credentials, reterr);
    weir_status status = chain_base(chain, &base, reterr);
    if (status == WEIR_OK) {
        struct sts_role role = {.role_arn = chain->role_arn,
                                .external_id = chain->external_id,
                                .region = chain->region};
        status = sts_assume(chain->context, chain->client, &base, &role, ret_credentials, reterr);
    }
    OPENSSL_cleanse(&base, sizeof base);
    return status;
}

static weir_status chain_renew(struct s3_chain *chain, bool must, int64_t now,
                               struct weir_error *reterr)
{
    struct s3_credentials *fresh; /* some 8 KiB: not on the stacks of workers */
    WEIR_TRY(weir_alloc_zero(&chain->context->memory, 1, sizeof *fresh, &fresh, reterr));
    weir_status status = chain_load(chain, fresh, reterr);
    if (status == WEIR_OK) {
        chain->current = *fresh;
        chain->loaded = true;
        chain->renew_at_ms = fresh->expires_ms ? now + (fresh->expires_ms - now) / 5 * 4 : 0;
    } else if (!must) {
        chain->renew_at_ms = now + RENEW_AGAIN_MS;
        status = WEIR_OK;
    }
    OPENSSL_cleanse(fresh, sizeof *fresh);
    weir_free(fresh);
    return status;
}

weir_status s3_chain_get(struct s3_chain *chain, const struct s3_credentials *rejected,
                         struct s3_credentials *ret_credentials, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&chain->lock);
    int64_t now = weir_now_ms(chain->context);
    bool refused = rejected && strcmp(rejected->id, chain->current.id) == 0 &&
                   strcmp(rejected->token, chain->current.token) == 0;
    bool ends = chain->current.expires_ms && now > chain->current.expires_ms - RENEW_MARGIN_MS;
    bool must = !chain->loaded || refused || (ends && now >= chain->renew_at_ms);
    if (must || (chain->renew_at_ms && now >= chain->renew_at_ms))
        status = chain_renew(chain, must, now, reterr);
    if (status == WEIR_OK)
        *ret_credentials = chain->current;
    pthread_mutex_unlock(&chain->lock);
    return status;
}
