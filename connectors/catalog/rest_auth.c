/* Who we are to a REST catalog: nobody, the bearer of a token, a client that asks for tokens, or an
 * identity of AWS. */
#include "connectors/catalog/rest_int.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_ANSWER_MAX (1u << 20)
#define LIFE_S_MAX       ((int64_t)10 * 365 * 86400)
#define EARLY_MS_MAX                                                                               \
    ((int64_t)5 * 60 * 1000) /* a token is renewed at most so long before its end */

static weir_status keep(struct rest_auth *auth, const char *text, const char **ret_copy,
                        struct weir_error *reterr)
{
    char *copy = NULL;
    if (text && *text)
        WEIR_TRY(weir_arena_copy(&auth->texts, text, strlen(text), &copy, reterr));
    *ret_copy = copy;
    return WEIR_OK;
}

static bool token_is_good(const char *token, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return size > 0 && size <= REST_TOKEN_MAX;
}

static void token_drop(struct rest_auth *auth)
{
    if (auth->token)
        OPENSSL_cleanse(auth->token, strlen(auth->token));
    weir_free(auth->token);
    auth->token = NULL;
}

static weir_status token_set(struct rest_auth *auth, const char *token, size_t size,
                             struct weir_error *reterr)
{
    char *copy;
    if (!token_is_good(token, size))
        return weir_fail(reterr, WEIR_DENIED,
                         "the catalog's token holds characters that no token has, or is empty");
    WEIR_TRY(weir_alloc(&auth->context->memory, size + 1, &copy, reterr));
    memcpy(copy, token, size);
    copy[size] = '\0';
    token_drop(auth);
    auth->token = copy;
    auth->generation++;
    return WEIR_OK;
}

/* A secret as the pipeline file's `file:` reads it: without line breaks at its end. */
static weir_status secret_read(const char *path, char *text, size_t *ret_size,
                               struct weir_error *reterr)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return weir_fail(reterr, WEIR_DENIED, "%s cannot be read", path);
    size_t size = fread(text, 1, REST_TOKEN_MAX, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    text[size] = '\0';
    if (failed || strlen(text) != size)
        return weir_fail(reterr, WEIR_DENIED, "%s cannot be read, or is no text", path);
    *ret_size = size;
    return WEIR_OK;
}

/* The token's file may hold a newer one: what put it there renews it. */
static weir_status bearer_renew(struct rest_auth *auth, bool *ret_renewed,
                                struct weir_error *reterr)
{
    char *text;
    size_t size;
    *ret_renewed = false;
    if (!auth->token_file)
        return WEIR_OK;
    WEIR_TRY(weir_alloc(&auth->context->memory, REST_TOKEN_MAX + 1, &text, reterr));
    weir_status status = secret_read(auth->token_file, text, &size, reterr);
    if (status == WEIR_OK && strcmp(text, auth->token) != 0) {
        status = token_set(auth, text, size, reterr);
        *ret_renewed = status == WEIR_OK;
    }
    OPENSSL_cleanse(text, REST_TOKEN_MAX + 1);
    weir_free(text);
    return status;
}

/* ---- OAuth2 client credentials --------------------------------------------------------------- */

static weir_status form_add(struct weir_buffer *form, const char *name, const char *value,
                            struct weir_error *reterr)
{
    if (!value || !*value)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(form, reterr, "%s%s=", form->size ? "&" : "", name));
    return weir_http_escape(form, value, strlen(value), false, reterr);
}

static weir_status form_make(struct rest_auth *auth, struct weir_buffer *form,
                             struct weir_error *reterr)
{
    char *secret = NULL;
    size_t size;
    WEIR_TRY(form_add(form, "grant_type", "client_credentials", reterr));
    WEIR_TRY(form_add(form, "scope", auth->scope, reterr));
    WEIR_TRY(form_add(form, "audience", auth->audience, reterr));
    WEIR_TRY(form_add(form, "client_id", auth->client_id, reterr));
    if (!auth->secret_file)
        return form_add(form, "client_secret", auth->client_secret, reterr);
    WEIR_TRY(weir_alloc(&auth->context->memory, REST_TOKEN_MAX + 1, &secret, reterr));
    weir_status status = secret_read(auth->secret_file, secret, &size, reterr);
    if (status == WEIR_OK)
        status = form_add(form, "client_secret", secret, reterr);
    OPENSSL_cleanse(secret, REST_TOKEN_MAX + 1);
    weir_free(secret);
    return status;
}

/* What an endpoint of RFC 6749 says against us. */
static weir_status token_refused(const struct rest_auth *auth, long code, const json_t *json,
                                 struct weir_error *reterr)
{
    char error[80] = "", description[300] = "";
    const json_t *what = json_object_get(json, "error"),
                 *why = json_object_get(json, "error_description");
    if (json_is_object(what)) { /* some catalogs answer as everywhere else */
        why = json_object_get(what, "message");
        what = json_object_get(what, "type");
    }
    rest_words(json_string_value(what) ? json_string_value(what) : "", json_string_length(what),
               error, sizeof error);
    rest_words(json_string_value(why) ? json_string_value(why) : "", json_string_length(why),
               description, sizeof description);
    weir_status status = code >= 500 || code == 429 ? WEIR_UNAVAILABLE : WEIR_DENIED;
    status = weir_fail(reterr, status, "%s gave no token: %ld%s%s%s%s", auth->token_url, code,
                       *error ? " " : "", error, *description ? ": " : "", description);
    if (status == WEIR_DENIED)
        weir_error_hint(reterr, "client_id, client_secret, scope and token_url of the catalog");
    return status;
}

static weir_status token_take(struct rest_auth *auth, const json_t *json, struct weir_error *reterr)
{
    const json_t *token = json_object_get(json, "access_token"),
                 *type = json_object_get(json, "token_type"),
                 *life = json_object_get(json, "expires_in");
    if (!json_is_string(token))
        return weir_fail(reterr, WEIR_DENIED, "%s answered without an access_token",
                         auth->token_url);
    if (json_is_string(type) && strcasecmp(json_string_value(type), "bearer") != 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s gives tokens of type %.40s, not bearer",
                         auth->token_url, json_string_value(type));
    WEIR_TRY(token_set(auth, json_string_value(token), json_string_length(token), reterr));
    auth->renew_at_ms = auth->ends_at_ms = 0;
    int64_t seconds = json_is_number(life) && json_number_value(life) > 0 &&
                              json_number_value(life) < (double)LIFE_S_MAX
                          ? (int64_t)json_number_value(life)
                          : 0;
    if (seconds) {
        int64_t now = weir_steady_ms(auth->context), life_ms = seconds * 1000,
                early = life_ms / 5 < EARLY_MS_MAX ? life_ms / 5 : EARLY_MS_MAX;
        auth->ends_at_ms = now + life_ms;
        auth->renew_at_ms = now + life_ms - early;
    }
    return WEIR_OK;
}

static weir_status token_ask(struct rest_auth *auth, struct weir_error *reterr)
{
    static const char *const lines[] = {"content-type: application/x-www-form-urlencoded",
                                        "accept: application/json"};
    WEIR_AUTO(weir_buffer) form = {.account = &auth->context->memory};
    WEIR_AUTO(weir_buffer) body = {.account = &auth->context->memory};
    WEIR_TRY(form_make(auth, &form, reterr));
    struct weir_http_request http = {.method = "POST",
                                     .url = auth->token_url,
                                     .headers = lines,
                                     .header_count = 2,
                                     .body = form.data,
                                     .body_size = form.size,
                                     .has_body = true,
                                     .timeout_ms = auth->timeout_ms,
                                     .response_size_max = TOKEN_ANSWER_MAX};
    struct weir_http_response response = {.body = &body};
    weir_status status = weir_http_send(auth->http, &http, &response, reterr);
    OPENSSL_cleanse(form.data, form.size);
    json_t *json = status == WEIR_OK ? json_loadb((const char *)body.data, body.size, 0, NULL)
                                     : NULL;
    if (status == WEIR_UNKNOWN_OUTCOME) { /* asking for a token changes nothing */
        status = WEIR_UNAVAILABLE;
        if (reterr)
            reterr->status = status;
    }
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "a token from %s", auth->token_url);
    else if (response.code < 200 || response.code > 299)
        status = token_refused(auth, response.code, json, reterr);
    else
        status = token_take(auth, json, reterr);
    if (body.size)
        OPENSSL_cleanse(body.data, body.size);
    json_decref(json);
    weir_http_response_done(&response);
    return status;
}

/* Before a request: the token is there and lives. A renewal that fails while the old one still
 * lives is tried again by the next request. */
static weir_status token_fresh(struct rest_auth *auth, struct weir_error *reterr)
{
    int64_t now = weir_steady_ms(auth->context);
    if (auth->token && (!auth->renew_at_ms || now < auth->renew_at_ms))
        return WEIR_OK;
    struct weir_error error = {0};
    weir_status status = token_ask(auth, &error);
    if (status != WEIR_OK && auth->token && now < auth->ends_at_ms)
        return WEIR_OK;
    if (status != WEIR_OK && reterr)
        *reterr = error;
    return status;
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static weir_status content_line(const struct rest_message *message, struct weir_arena *arena,
                                const char **lines, size_t *count, struct weir_error *reterr)
{
    char *line;
    if (!message->content_type)
        return WEIR_OK;
    WEIR_TRY(weir_arena_print(arena, &line, reterr, "content-type: %s", message->content_type));
    lines[(*count)++] = line;
    return WEIR_OK;
}

static weir_status lines_locked(struct rest_auth *auth, const struct rest_message *message,
                                struct weir_arena *arena, const char **lines, size_t *count,
                                struct weir_error *reterr)
{
    if (auth->kind == WEIR_REST_AUTH_SIGV4) {
        struct weir_sigv4_message signing = {.method = message->method,
                                             .host = message->host,
                                             .path = message->path,
                                             .query = message->query,
                                             .content_type = message->content_type,
                                             .body = message->body,
                                             .body_size = message->body_size};
        size_t more;
        WEIR_TRY(weir_sigv4_sign(auth->signer, &signing, arena, lines + *count, &more, reterr));
        *count += more;
        return WEIR_OK;
    }
    WEIR_TRY(content_line(message, arena, lines, count, reterr));
    if (auth->kind == WEIR_REST_AUTH_NONE)
        return WEIR_OK;
    if (auth->kind == WEIR_REST_AUTH_OAUTH2)
        WEIR_TRY(token_fresh(auth, reterr));
    char *line;
    WEIR_TRY(weir_arena_print(arena, &line, reterr, "authorization: Bearer %s", auth->token));
    lines[(*count)++] = line;
    return WEIR_OK;
}

weir_status rest_auth_lines(struct rest_auth *auth, const struct rest_message *message,
                            struct weir_arena *arena, const char **lines, size_t *count,
                            unsigned *ret_generation, struct weir_error *reterr)
{
    pthread_mutex_lock(&auth->lock);
    weir_status status = lines_locked(auth, message, arena, lines, count, reterr);
    *ret_generation = auth->generation;
    pthread_mutex_unlock(&auth->lock);
    return status;
}

weir_status rest_auth_renew(struct rest_auth *auth, unsigned generation, bool *ret_renewed,
                            struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    bool renewed = false;
    pthread_mutex_lock(&auth->lock);
    if (generation != auth->generation) { /* another thread did */
        renewed = true;
    } else if (auth->kind == WEIR_REST_AUTH_BEARER) {
        status = bearer_renew(auth, &renewed, reterr);
    } else if (auth->kind == WEIR_REST_AUTH_OAUTH2) {
        status = token_ask(auth, reterr);
        renewed = status == WEIR_OK;
    } else if (auth->kind == WEIR_REST_AUTH_SIGV4) {
        weir_sigv4_rejected(auth->signer);
        auth->generation++;
        renewed = true;
    }
    pthread_mutex_unlock(&auth->lock);
    if (status == WEIR_OK)
        *ret_renewed = renewed;
    return status;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static weir_status token_url_make(struct rest_auth *auth, const char *uri, const char *given,
                                  struct weir_error *reterr)
{
    char *url;
    size_t host, host_size;
    if (given && *given)
        WEIR_TRY(weir_arena_print(&auth->texts, &url, reterr, "%s", given));
    else
        WEIR_TRY(weir_arena_print(&auth->texts, &url, reterr, "%s/v1/oauth/tokens", uri));
    auth->token_url = url;
    return rest_url_split(url, &host, &host_size)
               ? WEIR_OK
               : weir_fail(reterr, WEIR_USAGE,
                           "token_url of the catalog: an http or https address "
                           "is wanted");
}

static weir_status oauth_init(struct rest_auth *auth, const char *uri,
                              const struct weir_catalog_rest_options *options,
                              struct weir_error *reterr)
{
    if (!options->client_id || !*options->client_id || !options->client_secret)
        return weir_fail(reterr, WEIR_USAGE,
                         "auth oauth2 of the catalog wants a client_id and a "
                         "client_secret");
    WEIR_TRY(keep(auth, options->client_id, &auth->client_id, reterr));
    WEIR_TRY(keep(auth, options->client_secret, &auth->client_secret, reterr));
    WEIR_TRY(keep(auth, options->client_secret_file, &auth->secret_file, reterr));
    WEIR_TRY(keep(auth, options->scope ? options->scope : "catalog", &auth->scope, reterr));
    WEIR_TRY(keep(auth, options->audience, &auth->audience, reterr));
    return token_url_make(auth, uri, options->token_url, reterr);
}

weir_status rest_auth_init(struct rest_auth *auth, struct weir_context *context,
                           struct weir_http_client *http, const char *uri,
                           const struct weir_catalog_rest_options *options,
                           struct weir_error *reterr)
{
    auth->context = context;
    auth->http = http;
    auth->kind = options->auth;
    auth->timeout_ms = options->timeout_ms ? options->timeout_ms : 60000;
    weir_arena_init(&auth->texts, &context->memory);
    pthread_mutex_init(&auth->lock, NULL);
    switch (options->auth) {
    case WEIR_REST_AUTH_NONE: return WEIR_OK;
    case WEIR_REST_AUTH_BEARER:
        WEIR_TRY(keep(auth, options->token_file, &auth->token_file, reterr));
        return token_set(auth, options->token ? options->token : "",
                         options->token ? strlen(options->token) : 0, reterr);
    case WEIR_REST_AUTH_OAUTH2: return oauth_init(auth, uri, options, reterr);
    case WEIR_REST_AUTH_SIGV4: {
        struct weir_sigv4_options signing = {.region = options->sign_region,
                                             .service = options->sign_service,
                                             .role_arn = options->sign_role_arn,
                                             .external_id = options->sign_external_id};
        return weir_sigv4_signer_new(context, &signing, &auth->signer, reterr);
    }
    }
    return weir_fail(reterr, WEIR_USAGE, "no such auth of a catalog: %d", (int)options->auth);
}

void rest_auth_done(struct rest_auth *auth)
{
    if (!auth->context)
        return;
    if (auth->client_secret)
        OPENSSL_cleanse((char *)(uintptr_t)auth->client_secret, strlen(auth->client_secret));
    token_drop(auth);
    weir_sigv4_signer_free(auth->signer);
    weir_arena_done(&auth->texts);
    pthread_mutex_destroy(&auth->lock);
}
