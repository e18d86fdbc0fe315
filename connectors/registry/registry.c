/* Requests to the registry, asked again while it is in trouble, and schemas put together from what
 * they refer to. */
#include "connectors/registry/registry.h"

#include "connectors/http/http.h"
#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS          10000
#define TRIES               4   /* of a registry in trouble */
#define TRIES_ABSENT        3   /* of what is not there: the registry's copies may lag behind */
#define PATIENT_ABSENT      8   /* so often; records may name any number of ids that nobody knows */
#define WAIT_MS             200 /* before the second try; doubled for each further one */
#define HEADERS_MAX         2
#define REFERENCE_DEPTH_MAX 16

struct weir_registry {
    struct weir_context *context;
    struct weir_arena arena;
    struct weir_http_client *client;
    const char *url;
    const char *headers[HEADERS_MAX];
    size_t header_count;
    int64_t timeout_ms;
    atomic_int absent; /* answers so far that something is not there */
};

static weir_status add_header(struct weir_registry *registry, const char *name, const char *kind,
                              const char *value, struct weir_error *reterr)
{
    char *header;
    WEIR_TRY(weir_arena_print(&registry->arena, &header, reterr, "%s: %s%s", name, kind, value));
    registry->headers[registry->header_count++] = header;
    return WEIR_OK;
}

static weir_status add_basic(struct weir_registry *registry, const char *user, const char *password,
                             struct weir_error *reterr)
{
    char *plain, *encoded;
    WEIR_TRY(weir_arena_print(&registry->arena, &plain, reterr, "%s:%s", user,
                              password ? password : ""));
    size_t size = weir_base64_size(strlen(plain));
    WEIR_TRY(weir_arena_zero(&registry->arena, size + 1, 1, &encoded, reterr));
    weir_base64_encode(encoded, plain, strlen(plain));
    return add_header(registry, "Authorization", "Basic ", encoded, reterr);
}

static weir_status init(struct weir_registry *registry, const struct weir_registry_options *options,
                        struct weir_error *reterr)
{
    struct weir_http_options http = {.tls_ca_file = options->tls_ca_file,
                                     .tls_cert_file = options->tls_cert_file,
                                     .tls_key_file = options->tls_key_file};
    size_t size = strlen(options->url);
    char *url;
    while (size && options->url[size - 1] == '/')
        size--;
    WEIR_TRY(weir_arena_copy(&registry->arena, options->url, size, &url, reterr));
    registry->url = url;
    registry->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    WEIR_TRY(add_header(registry, "Accept", "",
                        "application/vnd.schemaregistry.v1+json, "
                        "application/json",
                        reterr));
    if (options->bearer)
        WEIR_TRY(add_header(registry, "Authorization", "Bearer ", options->bearer, reterr));
    else if (options->user)
        WEIR_TRY(add_basic(registry, options->user, options->password, reterr));
    return weir_http_client_new(registry->context, &http, &registry->client, reterr);
}

weir_status weir_registry_new(struct weir_context *context,
                              const struct weir_registry_options *options,
                              struct weir_registry **ret_registry, struct weir_error *reterr)
{
    struct weir_registry *registry;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *registry, &registry, reterr));
    registry->context = context;
    weir_arena_init(&registry->arena, &context->memory);
    weir_status status = init(registry, options, reterr);
    if (status != WEIR_OK)
        weir_registry_free(registry);
    else
        *ret_registry = registry;
    return status;
}

void weir_registry_free(struct weir_registry *registry)
{
    if (!registry)
        return;
    weir_http_client_free(registry->client);
    weir_arena_done(&registry->arena);
    weir_free(registry);
}

/* ---- one request ---- */

/* What an answer that is no schema means. */
static weir_status judge(long code, const json_t *answer, const char *path,
                         struct weir_error *reterr)
{
    const char *message = json_string_value(json_object_get(answer, "message"));
    weir_status status = code == 401 || code == 403                  ? WEIR_DENIED
                         : code == 404                               ? WEIR_NOT_FOUND
                         : code == 408 || code == 429 || code >= 500 ? WEIR_UNAVAILABLE
                                                                     : WEIR_CORRUPT;
    return weir_fail(reterr, status, "schema registry: %s: HTTP %ld%s%.200s", path, code,
                     message ? ": " : "", message ? message : "");
}

static weir_status ask_once(struct weir_registry *registry, const char *path, json_t **ret_answer,
                            struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer)
    body = {.account = &registry->context->memory}, url = {.account = &registry->context->memory};
    struct weir_http_response response = {.body = &body};
    WEIR_TRY(weir_buffer_print(&url, reterr, "%s%s", registry->url, path));
    struct weir_http_request request = {.method = "GET",
                                        .url = (const char *)url.data,
                                        .headers = registry->headers,
                                        .header_count = registry->header_count,
                                        .timeout_ms = registry->timeout_ms,
                                        .response_size_max = 4 * WEIR_AVRO_SCHEMA_SIZE_MAX};
    weir_status status = weir_http_send(registry->client, &request, &response, reterr);
    long code = response.code;
    weir_http_response_done(&response);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "schema registry");
        bool again = status == WEIR_UNKNOWN_OUTCOME || status == WEIR_TIMEOUT;
        bool stopped = weir_context_check(registry->context, NULL) != WEIR_OK;
        return again && !stopped ? WEIR_UNAVAILABLE : status;
    }
    json_t *answer = json_loadb((const char *)body.data, body.size, 0, NULL);
    if (code == 200 && json_is_object(answer)) {
        *ret_answer = answer;
        return WEIR_OK;
    }
    status = code == 200 ? weir_fail(reterr, WEIR_CORRUPT,
                                     "schema registry: %s: the answer is no JSON object", path)
                         : judge(code, answer, path, reterr);
    json_decref(answer);
    return status;
}

static weir_status ask(struct weir_registry *registry, const char *path, json_t **ret_answer,
                       struct weir_error *reterr)
{
    int64_t wait = WAIT_MS;
    for (int tries = 1;; tries++, wait *= 2) {
        struct weir_error error = {0};
        weir_status status = ask_once(registry, path, ret_answer, &error);
        int most = status == WEIR_UNAVAILABLE ? TRIES
                   : status == WEIR_NOT_FOUND && atomic_load(&registry->absent) < PATIENT_ABSENT
                       ? TRIES_ABSENT
                       : 1;
        if (status == WEIR_OK)
            return WEIR_OK;
        if (status == WEIR_NOT_FOUND && tries >= most)
            atomic_fetch_add(&registry->absent, 1);
        if (tries >= most) {
            if (reterr)
                *reterr = error;
            return status;
        }
        weir_sleep_ms(registry->context, wait);
        WEIR_TRY(weir_context_check(registry->context, reterr));
    }
}

/* ---- schemas of several texts ---- */

struct gathering {
    struct weir_registry *registry;
    json_t *texts;
    json_t *seen; /* object: "subject/version" -> true */
    size_t bytes;
    struct weir_error *reterr;
};

static weir_status subject_path(const char *subject, int version, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr, "/subjects/"));
    WEIR_TRY(weir_http_escape(out, subject, strlen(subject), false, reterr));
    return version ? weir_buffer_print(out, reterr, "/versions/%d", version)
                   : weir_buffer_print(out, reterr, "/versions/latest");
}

static weir_status gather(struct gathering *gathering, const json_t *answer, int depth);

static weir_status gather_reference(struct gathering *gathering, const json_t *reference, int depth)
{
    const char *subject = json_string_value(json_object_get(reference, "subject"));
    json_int_t version = json_integer_value(json_object_get(reference, "version"));
    WEIR_AUTO(weir_buffer) path = {.account = &gathering->registry->context->memory};
    json_t *answer;
    if (!subject || version < 1 || version > INT32_MAX)
        return weir_fail(gathering->reterr, WEIR_CORRUPT,
                         "schema registry: a reference without subject and version");
    WEIR_TRY(subject_path(subject, (int)version, &path, gathering->reterr));
    if (json_object_get(gathering->seen, (const char *)path.data))
        return WEIR_OK;
    json_object_set_new(gathering->seen, (const char *)path.data, json_true());
    if (depth > REFERENCE_DEPTH_MAX ||
        json_object_size(gathering->seen) > WEIR_SCHEMA_REFERENCES_MAX)
        return weir_fail(gathering->reterr, WEIR_UNSUPPORTED,
                         "schema registry: a schema of more than %d others",
                         WEIR_SCHEMA_REFERENCES_MAX);
    WEIR_TRY(ask(gathering->registry, (const char *)path.data, &answer, gathering->reterr));
    weir_status status = gather(gathering, answer, depth + 1);
    json_decref(answer);
    return status;
}

static weir_status gather(struct gathering *gathering, const json_t *answer, int depth)
{
    json_t *schema = json_object_get(answer, "schema"), *reference;
    size_t i;
    if (!json_is_string(schema))
        return weir_fail(gathering->reterr, WEIR_CORRUPT,
                         "schema registry: an answer without a schema");
    json_array_foreach(json_object_get(answer, "references"), i, reference)
        WEIR_TRY(gather_reference(gathering, reference, depth));
    gathering->bytes += json_string_length(schema);
    if (gathering->bytes > WEIR_AVRO_SCHEMA_SIZE_MAX)
        return weir_fail(gathering->reterr, WEIR_UNSUPPORTED,
                         "schema registry: a schema of more than %u bytes",
                         WEIR_AVRO_SCHEMA_SIZE_MAX);
    return json_array_append(gathering->texts, schema) == 0
               ? WEIR_OK
               : weir_fail(gathering->reterr, WEIR_NO_MEMORY, "no memory for a schema");
}

/* The answer with what it refers to. */
static weir_status whole(struct weir_registry *registry, const char *path, json_t **ret_schema,
                         struct weir_error *reterr)
{
    json_t *answer;
    WEIR_TRY(ask(registry, path, &answer, reterr));
    struct gathering gathering = {
        .registry = registry, .texts = json_array(), .seen = json_object(), .reterr = reterr};
    weir_status status = gather(&gathering, answer, 0);
    const char *type = json_string_value(json_object_get(answer, "schemaType"));
    json_t *schema = json_pack("{s:s, s:O}", "type", type ? type : "AVRO", "texts",
                               gathering.texts);
    if (status == WEIR_OK && !schema)
        status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a schema");
    json_t *id = json_object_get(answer, "id"), *version = json_object_get(answer, "version");
    if (status == WEIR_OK && id)
        json_object_set(schema, "id", id);
    if (status == WEIR_OK && version)
        json_object_set(schema, "version", version);
    json_decref(gathering.texts);
    json_decref(gathering.seen);
    json_decref(answer);
    if (status == WEIR_OK)
        *ret_schema = schema;
    else
        json_decref(schema);
    return status;
}

weir_status weir_registry_by_id(struct weir_registry *registry, uint32_t id, json_t **ret_schema,
                                struct weir_error *reterr)
{
    char path[64];
    snprintf(path, sizeof path, "/schemas/ids/%u", id);
    return whole(registry, path, ret_schema, reterr);
}

weir_status weir_registry_by_subject(struct weir_registry *registry, const char *subject,
                                     int version, json_t **ret_schema, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) path = {.account = &registry->context->memory};
    WEIR_TRY(subject_path(subject, version, &path, reterr));
    return whole(registry, (const char *)path.data, ret_schema, reterr);
}
