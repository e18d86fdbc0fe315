/* Login by tokens (SASL OAUTHBEARER), asked for before the first connection and again before each
 * ends: by client credentials of a token endpoint, RFC 6749 4.4, or by AWS IAM, whose token is a
 * signed address that we make ourselves. Debian's librdkafka can do neither; it asks for a token on
 * its background thread, which is the only one that comes here.
 *
 * What a login needs is among a client's properties, under names that begin with "weir.oauth." or
 * "weir.iam.". It lives as long as the configurations made from it: librdkafka says when the last
 * one goes. */
#include "connectors/http/http.h"
#include "connectors/kafka/kafka_int.h"
#include "connectors/s3/sigv4.h"

#include "engine/base/text.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PREFIX           "weir.oauth."
#define IAM              "weir.iam."
#define IAM_LIFE_SECONDS 900 /* as long as the brokers take one */
#define TOKEN_ANSWER_MAX (1u << 20)
#define SECRET_MAX       65536
#define ASK_TIMEOUT_MS   10000
#define LIFE_UNKNOWN_MS  ((int64_t)60 * 60 * 1000) /* the endpoint does not say */
#define LIFE_MS_MAX      ((int64_t)10 * 365 * 86400 * 1000)

struct kafka_login {
    struct weir_context
        context; /* its own: a client outlives no run, a login may outlive a client */
    struct weir_arena texts;
    struct weir_sigv4_signer *signer; /* AWS IAM; NULL: OAuth, and what follows */
    struct weir_http_client *http;
    const char *token_url, *client_id, *client_secret, *secret_file, *scope, *audience;
    atomic_int users; /* configurations */
};

struct token {
    char *text; /* in the answer */
    char principal[256];
    int64_t ends_ms; /* of the epoch */
};

/* ---- what an endpoint answers ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The claims of a token that is a JWT; NULL when it is none. New reference. */
static json_t *claims_of(const char *token)
{
    const char *from = strchr(token, '.'), *to = from ? strchr(from + 1, '.') : NULL;
    char text[8192];
    size_t used = 0;
    unsigned bits = 0, kept = 0;
    for (const char *at = to ? from + 1 : NULL; at && at < to; at++) {
        int digit = base64_digit(*at);
        if (digit < 0 || used == sizeof text)
            return NULL;
        bits = bits << 6 | (unsigned)digit;
        kept += 6;
        if (kept >= 8) {
            kept -= 8;
            text[used++] = (char)(bits >> kept & 0xff);
        }
    }
    return used ? json_loadb(text, used, 0, NULL) : NULL;
}

/* Until when it is good, and whose it is: as the endpoint says, else as the token itself does. */
static void describe(const struct kafka_login *login, const json_t *answer, int64_t now_ms,
                     struct token *token)
{
    const json_t *life = json_object_get(answer, "expires_in");
    json_t *claims = claims_of(token->text);
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    double seconds = json_number_value(life),
           ends = json_number_value(json_object_get(claims, "exp"));
    token->ends_ms = now_ms + LIFE_UNKNOWN_MS;
    if (ends > 0 && ends * 1000 < (double)(now_ms + LIFE_MS_MAX))
        token->ends_ms = (int64_t)(ends * 1000);
    else if (seconds > 0 && seconds * 1000 < (double)LIFE_MS_MAX)
        token->ends_ms = now_ms + (int64_t)(seconds * 1000);
    snprintf(token->principal, sizeof token->principal, "%s", subject ? subject : login->client_id);
    json_decref(claims);
}

/* Words of the endpoint without what would break a line. */
static void say(char *out, size_t size, const json_t *text)
{
    snprintf(out, size, "%s", json_string_value(text) ? json_string_value(text) : "");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}

static weir_status refused(const struct kafka_login *login, long code, const json_t *answer,
                           struct weir_error *reterr)
{
    char error[80], why[200];
    say(error, sizeof error, json_object_get(answer, "error"));
    say(why, sizeof why, json_object_get(answer, "error_description"));
    return weir_fail(reterr, code >= 500 || code == 429 ? WEIR_UNAVAILABLE : WEIR_DENIED,
                     "%s gave no token: %ld%s%s%s%s", login->token_url, code, *error ? " " : "",
                     error, *why ? ": " : "", why);
}

static weir_status take(struct kafka_login *login, json_t *answer, struct token *ret_token,
                        struct weir_error *reterr)
{
    json_t *text = json_object_get(answer, "access_token");
    if (!json_is_string(text) || json_string_length(text) == 0 ||
        strspn(json_string_value(text),
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") !=
            json_string_length(text))
        return weir_fail(reterr, WEIR_DENIED, "%s answered without an access_token",
                         login->token_url);
    ret_token->text = (char *)(uintptr_t)json_string_value(text);
    describe(login, answer, weir_now_ms(&login->context), ret_token);
    return WEIR_OK;
}

/* ---- asking ---- */

static weir_status form_add(struct weir_buffer *form, const char *name, const char *value,
                            struct weir_error *reterr)
{
    if (!value || !*value)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(form, reterr, "%s%s=", form->size ? "&" : "", name));
    return weir_http_escape(form, value, strlen(value), false, reterr);
}

/* A secret from a file is read each time: who renews it writes the file. */
static weir_status secret_add(const struct kafka_login *login, struct weir_buffer *form,
                              struct weir_error *reterr)
{
    char text[SECRET_MAX + 1];
    if (!login->secret_file)
        return form_add(form, "client_secret", login->client_secret, reterr);
    FILE *file = fopen(login->secret_file, "re");
    if (!file)
        return weir_fail(reterr, WEIR_DENIED, "%s cannot be read", login->secret_file);
    size_t size = fread(text, 1, SECRET_MAX, file);
    fclose(file);
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    text[size] = 0;
    weir_status status = form_add(form, "client_secret", text, reterr);
    explicit_bzero(text, sizeof text);
    return status;
}

static weir_status ask(struct kafka_login *login, struct weir_buffer *body, long *ret_code,
                       struct weir_error *reterr)
{
    static const char *const lines[] = {"content-type: application/x-www-form-urlencoded",
                                        "accept: application/json"};
    WEIR_AUTO(weir_buffer) form = {.account = &login->context.memory};
    WEIR_TRY(form_add(&form, "grant_type", "client_credentials", reterr));
    WEIR_TRY(form_add(&form, "scope", login->scope, reterr));
    WEIR_TRY(form_add(&form, "audience", login->audience, reterr));
    WEIR_TRY(form_add(&form, "client_id", login->client_id, reterr));
    weir_status status = secret_add(login, &form, reterr);
    struct weir_http_request http = {.method = "POST",
                                     .url = login->token_url,
                                     .headers = lines,
                                     .header_count = 2,
                                     .body = form.data,
                                     .body_size = form.size,
                                     .has_body = true,
                                     .timeout_ms = ASK_TIMEOUT_MS,
                                     .response_size_max = TOKEN_ANSWER_MAX};
    struct weir_http_response response = {.body = body};
    if (status == WEIR_OK)
        status = weir_http_send(login->http, &http, &response, reterr);
    *ret_code = response.code;
    explicit_bzero(form.data, form.size);
    weir_http_response_done(&response);
    return status;
}

/* The words of a status that is no refusal say so, so that they are tried again. */
static void tell_failure(rd_kafka_t *client, weir_status status, const struct weir_error *error,
                         char *words, size_t size)
{
    if (status != WEIR_OK)
        snprintf(words, size, "%s%s", status == WEIR_DENIED ? "" : KAFKA_LOGIN_AWAY, error->text);
    rd_kafka_oauthbearer_set_token_failure(client, words);
}

/* ---- AWS IAM ---- */

/* The token: an address of the service Kafka, signed for IAM_LIFE_SECONDS, in base64url without
 * padding. */
static weir_status iam_token(struct kafka_login *login, struct weir_arena *arena, char **ret_token,
                             struct weir_error *reterr)
{
    const char *region = weir_sigv4_region(login->signer), *query;
    char host[128], *url, *text;
    snprintf(host, sizeof host, "kafka.%s.amazonaws.com%s", region,
             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    WEIR_TRY(weir_sigv4_presign(login->signer, host, "Action", "kafka-cluster:Connect",
                                IAM_LIFE_SECONDS, arena, &query, reterr));
    WEIR_TRY(weir_arena_print(arena, &url, reterr, "https://%s/?%s&User-Agent=weir", host, query));
    WEIR_TRY(weir_arena_alloc(arena, weir_base64_size(strlen(url)) + 1, &text, reterr));
    text[weir_base64_encode(text, url, strlen(url))] = '\0';
    for (char *at = text; *at; at++) {
        if (*at == '=') {
            *at = '\0';
            break;
        }
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
    }
    *ret_token = text;
    return WEIR_OK;
}

static void iam_refresh(rd_kafka_t *client, struct kafka_login *login)
{
    struct weir_error error = {0};
    struct weir_arena arena;
    char words[1100] = "no login", *token = NULL;
    weir_arena_init(&arena, &login->context.memory);
    int64_t ends_ms = weir_now_ms(&login->context) + (int64_t)IAM_LIFE_SECONDS * 1000;
    weir_status status = iam_token(login, &arena, &token, &error);
    if (status != WEIR_OK ||
        rd_kafka_oauthbearer_set_token(client, token, ends_ms, "weir", NULL, 0, words,
                                       sizeof words) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tell_failure(client, status, &error, words, sizeof words);
    if (token)
        explicit_bzero(token, strlen(token));
    weir_arena_done(&arena);
}

/* Called on librdkafka's background thread, when a client has no token yet and when 80 % of the
 * last one's life are over; ten seconds after a failure again. */
static void on_refresh(rd_kafka_t *client, const char *config, void *opaque)
{
    struct kafka_login *login = NULL;
    struct weir_error error = {0};
    struct token token = {0};
    char words[1100] = "no login";
    long code = 0;
    json_t *answer = NULL;
    (void)opaque;
    if (!config || sscanf(config, "weir:%p", (void **)&login) != 1 || !login) {
        rd_kafka_oauthbearer_set_token_failure(client, words);
        return;
    }
    if (login->signer) {
        iam_refresh(client, login);
        return;
    }
    WEIR_AUTO(weir_buffer) body = {.account = &login->context.memory};
    weir_status status = ask(login, &body, &code, &error);
    if (status == WEIR_OK) {
        answer = json_loadb((const char *)body.data, body.size, 0, NULL);
        status = code < 200 || code > 299 ? refused(login, code, answer, &error)
                                          : take(login, answer, &token, &error);
    }
    if (status == WEIR_OK &&
        rd_kafka_oauthbearer_set_token(client, token.text, token.ends_ms, token.principal, NULL, 0,
                                       words, sizeof words) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        explicit_bzero(body.data, body.size);
        json_decref(answer);
        return;
    }
    tell_failure(client, status, &error, words, sizeof words);
    if (body.size)
        explicit_bzero(body.data, body.size);
    json_decref(answer);
}

/* ---- life ---- */

static void release(struct kafka_login *login)
{
    if (atomic_fetch_sub(&login->users, 1) != 1)
        return;
    weir_sigv4_signer_free(login->signer);
    weir_http_client_free(login->http);
    weir_arena_done(&login->texts);
    weir_context_done(&login->context);
    free(login);
}

static rd_kafka_resp_err_t on_conf_destroy(void *opaque)
{
    release(opaque);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_conf_dup(rd_kafka_conf_t *made, const rd_kafka_conf_t *from,
                                       size_t filter_count, const char **filter, void *opaque)
{
    struct kafka_login *login = opaque;
    (void)from, (void)filter_count, (void)filter;
    atomic_fetch_add(&login->users, 1);
    rd_kafka_conf_interceptor_add_on_conf_destroy(made, "weir", on_conf_destroy, login);
    return rd_kafka_conf_interceptor_add_on_conf_dup(made, "weir", on_conf_dup, login);
}

static const char *property(const struct weir_kafka_property *properties, size_t count,
                            const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(properties[i].key, name) == 0)
            return properties[i].value;
    return NULL;
}

static weir_status keep(struct kafka_login *login, const struct weir_kafka_property *properties,
                        size_t count, const char *name, const char **ret_text,
                        struct weir_error *reterr)
{
    const char *text = property(properties, count, name);
    char *copy = NULL;
    if (text)
        WEIR_TRY(weir_arena_copy(&login->texts, text, strlen(text), &copy, reterr));
    *ret_text = copy;
    return WEIR_OK;
}

static weir_status login_fill(struct kafka_login *login,
                              const struct weir_kafka_property *properties, size_t count,
                              struct weir_error *reterr)
{
    const struct weir_sigv4_options iam = {
        .region = property(properties, count, IAM "region"),
        .service = "kafka-cluster",
        .role_arn = property(properties, count, IAM "role_arn"),
        .external_id = property(properties, count, IAM "external_id")};
    if (iam.region)
        return weir_sigv4_signer_new(&login->context, &iam, &login->signer, reterr);
    struct weir_http_options http = {.tls_ca_file = property(properties, count, PREFIX "ca_file"),
                                     .connect_timeout_ms = 5000};
    WEIR_TRY(keep(login, properties, count, PREFIX "token_url", &login->token_url, reterr));
    WEIR_TRY(keep(login, properties, count, PREFIX "client_id", &login->client_id, reterr));
    WEIR_TRY(keep(login, properties, count, PREFIX "client_secret", &login->client_secret, reterr));
    WEIR_TRY(keep(login, properties, count, PREFIX "secret_file", &login->secret_file, reterr));
    WEIR_TRY(keep(login, properties, count, PREFIX "scope", &login->scope, reterr));
    WEIR_TRY(keep(login, properties, count, PREFIX "audience", &login->audience, reterr));
    return weir_http_client_new(&login->context, &http, &login->http, reterr);
}

bool kafka_login_property(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 || strncmp(name, IAM, strlen(IAM)) == 0;
}

weir_status kafka_login_attach(rd_kafka_conf_t *conf, const struct weir_kafka_property *properties,
                               size_t count, struct weir_error *reterr)
{
    char config[64], words[256] = "";
    if (!property(properties, count, PREFIX "token_url") &&
        !property(properties, count, IAM "region"))
        return WEIR_OK;
    struct kafka_login *login = calloc(1, sizeof *login); /* outlives every account */
    if (!login)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a login");
    weir_context_init(&login->context);
    weir_arena_init(&login->texts, &login->context.memory);
    atomic_init(&login->users, 1);
    weir_status status = login_fill(login, properties, count, reterr);
    if (status != WEIR_OK) {
        release(login);
        return status;
    }
    snprintf(config, sizeof config, "weir:%p", (void *)login);
    rd_kafka_conf_interceptor_add_on_conf_destroy(conf, "weir", on_conf_destroy, login);
    rd_kafka_conf_interceptor_add_on_conf_dup(conf, "weir", on_conf_dup, login);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    bool set = rd_kafka_conf_set(conf, "sasl.mechanisms", "OAUTHBEARER", words, sizeof words) ==
                   RD_KAFKA_CONF_OK &&
               rd_kafka_conf_set(conf, "sasl.oauthbearer.config", config, words, sizeof words) ==
                   RD_KAFKA_CONF_OK &&
               (property(properties, count, "security.protocol") ||
                rd_kafka_conf_set(conf, "security.protocol", "SASL_SSL", words, sizeof words) ==
                    RD_KAFKA_CONF_OK);
    return set ? WEIR_OK : weir_fail(reterr, WEIR_USAGE, "kafka: login by tokens: %s", words);
}

void weir_kafka_login_start(rd_kafka_t *client)
{
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(client);
    if (error) /* no login of ours: there is no queue */
        rd_kafka_error_destroy(error);
}
