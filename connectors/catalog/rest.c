/* A server that speaks the Iceberg REST protocol: a commit is sent as it is, and the server moves
 * the pointer. protocol.md 4, 5; apache/iceberg open-api/rest-catalog-open-api.yaml.
 *
 * What a request that moves a pointer may have done when nobody says so is never guessed here: it
 * is UNKNOWN_OUTCOME, and scheduler/commit looks at the head's ancestors. */
#include "connectors/catalog/rest_int.h"

#include "engine/base/limits.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- the server's configuration ---------------------------------------------------------------
 */

static const char *setting(const json_t *config, const char *name)
{
    const char *value = json_string_value(
        json_object_get(json_object_get(config, "overrides"), name));
    return value ? value
                 : json_string_value(json_object_get(json_object_get(config, "defaults"), name));
}

/* A prefix is used as it comes, in Java's client too: bytes that cannot stand in a path are
 * encoded,
 * '%' is not. */
static weir_status prefix_take(struct rest_catalog *catalog, const char *prefix,
                               struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &catalog->context->memory};
    while (*prefix == '/')
        prefix++;
    size_t size = strlen(prefix);
    while (size && prefix[size - 1] == '/')
        size--;
    if (size > 500)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "the catalog's prefix has %zu bytes", size);
    for (size_t at = 0; at < size;) {
        size_t plain = strcspn(prefix + at, "%");
        plain = plain < size - at ? plain : size - at;
        WEIR_TRY(weir_http_escape(&text, prefix + at, plain, true, reterr));
        at += plain;
        if (at < size) {
            WEIR_TRY(weir_buffer_print(&text, reterr, "%%"));
            at++;
        }
    }
    char *copy;
    WEIR_TRY(weir_arena_print(&catalog->texts, &copy, reterr, "%s%s",
                              text.size ? (const char *)text.data : "", text.size ? "/" : ""));
    catalog->prefix = copy;
    return WEIR_OK;
}

static weir_status uri_take(struct rest_catalog *catalog, const char *uri,
                            struct weir_error *reterr)
{
    char *copy;
    size_t host, size, length = strlen(uri);
    while (length && uri[length - 1] == '/')
        length--;
    WEIR_TRY(weir_arena_copy(&catalog->texts, uri, length, &copy, reterr));
    if (!rest_url_split(copy, &host, &size))
        return weir_fail(reterr, WEIR_USAGE,
                         "uri of the catalog: \"https://host[:port][/path]\" is wanted, without "
                         "user, '?' and '#'");
    if (catalog->uri && strncmp(catalog->uri, "https:", 6) == 0 && strncmp(copy, "https:", 6) != 0)
        return weir_fail(reterr, WEIR_REFUSED,
                         "catalog %s leads to %.400s: from https to http Weir does not go",
                         catalog->uri, copy);
    catalog->uri = copy;
    return WEIR_OK;
}

static bool separator_is_good(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= 16 &&
           strspn(text, "%.-_~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
               size;
}

static weir_status text_take(struct rest_catalog *catalog, const char *text, const char **ret_copy,
                             struct weir_error *reterr)
{
    char *copy;
    if (!text)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(&catalog->texts, text, strlen(text), &copy, reterr));
    *ret_copy = copy;
    return WEIR_OK;
}

/* What is said once for all tables about who lets us at their objects. */
static weir_status access_configure(struct rest_catalog *catalog, const json_t *config,
                                    struct weir_error *reterr)
{
    size_t i;
    const json_t *endpoint;
    catalog->has_keys = rest_keys_read(json_object_get(config, "overrides"), &catalog->keys) ||
                        rest_keys_read(json_object_get(config, "defaults"), &catalog->keys);
    json_array_foreach(json_object_get(config, "endpoints"), i, endpoint)
    {
        const char *text = json_string_value(endpoint);
        size_t size = text ? strlen(text) : 0;
        catalog->gives_keys |= size > 12 && strncmp(text, "GET ", 4) == 0 &&
                               strcmp(text + size - 12, "/credentials") == 0;
    }
    const char *uri = setting(config, "s3.signer.uri"), *at = setting(config, "s3.signer.endpoint");
    WEIR_TRY(
        text_take(catalog, uri ? uri : setting(config, "signer.uri"), &catalog->sign_uri, reterr));
    return text_take(catalog, at ? at : setting(config, "signer.endpoint"), &catalog->sign_endpoint,
                     reterr);
}

static weir_status configuration_take(struct rest_catalog *catalog, const json_t *config,
                                      struct weir_error *reterr)
{
    const char *prefix = setting(config, "prefix"), *uri = setting(config, "uri"),
               *separator = setting(config, "namespace-separator");
    const char *forced = json_string_value(
        json_object_get(json_object_get(config, "overrides"), "prefix"));
    if (prefix && (!catalog->prefix || forced))
        WEIR_TRY(prefix_take(catalog, prefix, reterr));
    if (!catalog->prefix)
        catalog->prefix = "";
    /* our own uri is nearer than a default, an override is nearer still */
    if (uri &&
        uri == json_string_value(json_object_get(json_object_get(config, "overrides"), "uri")))
        WEIR_TRY(uri_take(catalog, uri, reterr));
    if (separator && separator_is_good(separator)) {
        char *copy;
        WEIR_TRY(weir_arena_copy(&catalog->texts, separator, strlen(separator), &copy, reterr));
        catalog->separator = copy;
    }
    if (catalog->access != WEIR_REST_ACCESS_OWN)
        WEIR_TRY(access_configure(catalog, config, reterr));
    const char *nessie = setting(config, "nessie.is-nessie-catalog");
    catalog->is_nessie = nessie && strcmp(nessie, "true") == 0;
    catalog->idempotent = json_is_string(json_object_get(config, "idempotency-key-lifetime"));
    return WEIR_OK;
}

static weir_status configuration_ask(struct rest_catalog *catalog, struct weir_error *reterr)
{
    struct rest_answer answer;
    WEIR_AUTO(weir_buffer) query = {.account = &catalog->context->memory};
    if (catalog->warehouse) {
        WEIR_TRY(weir_buffer_print(&query, reterr, "warehouse="));
        WEIR_TRY(weir_http_escape(&query, catalog->warehouse, strlen(catalog->warehouse), false,
                                  reterr));
    }
    struct rest_request request = {.method = "GET",
                                   .path = "config",
                                   .query = query.size ? (const char *)query.data : NULL,
                                   .doing = "asking for its configuration"};
    WEIR_TRY(rest_ask(catalog, &request, &answer, reterr));
    weir_status status;
    if (answer.code == 404 && answer.is_error) {
        status = weir_fail(reterr, WEIR_USAGE, "catalog %s: %s%s%s", catalog->uri, answer.type,
                           *answer.type ? ": " : "", answer.message);
        weir_error_hint(reterr, "lake.catalog.rest.warehouse, or what uri names (a branch)");
    } else if (answer.code != 200) {
        status = rest_refusal(catalog, &request, &answer, reterr);
    } else if (!json_is_object(json_object_get(answer.json, "defaults")) &&
               !json_is_object(json_object_get(answer.json, "overrides"))) {
        status = weir_fail(reterr, WEIR_REFUSED,
                           "%s does not answer as an Iceberg REST catalog does", catalog->uri);
        weir_error_hint(reterr, "lake.catalog.rest.uri is what stands before /v1");
    } else {
        status = configuration_take(catalog, answer.json, reterr);
    }
    rest_answer_done(catalog, &answer);
    return status;
}

weir_status rest_configure(struct rest_catalog *catalog, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&catalog->lock);
    if (!catalog->configured)
        status = configuration_ask(catalog, reterr);
    catalog->configured |= status == WEIR_OK;
    pthread_mutex_unlock(&catalog->lock);
    return status;
}

/* ---- tables -----------------------------------------------------------------------------------
 */

/* {"metadata-location": ..., "metadata": {...}} */
static weir_status table_read(struct rest_catalog *catalog, const char *name,
                              const struct rest_answer *answer, struct weir_table **ret_table,
                              struct weir_error *reterr)
{
    json_t *document = json_object_get(answer->json, "metadata");
    const char *location = json_string_value(json_object_get(answer->json, "metadata-location")),
               *relative;
    struct weir_metadata *metadata;
    if (!json_is_object(document) || !location)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "catalog %s: the answer about %s holds no table metadata", catalog->uri,
                         name);
    WEIR_TRY(weir_metadata_adopt(&catalog->context->memory, json_incref(document), answer->size,
                                 &metadata, reterr));
    weir_status status = catalog_relative(catalog->store, weir_metadata_location(metadata),
                                          &relative, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "table %s", name);
        weir_error_hint(reterr, "lake.warehouse is to be the folder that the catalog's tables lie "
                                "in");
        weir_metadata_free(metadata);
        return status;
    }
    status = rest_access_take(catalog, name, relative, answer->json, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    return catalog_table_new(catalog->context, name, location, "", metadata, ret_table, reterr);
}

static weir_status rest_load(void *self, const char *table, struct weir_table **ret_table,
                             struct weir_error *reterr)
{
    struct rest_catalog *catalog = self;
    struct catalog_name name;
    struct rest_answer answer;
    char doing[700];
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(rest_configure(catalog, reterr));
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_path(catalog, name.space, name.table, &path, reterr));
    snprintf(doing, sizeof doing, "loading %.600s", table);
    struct rest_request request = {.method = "GET",
                                   .path = (const char *)path.data,
                                   .doing = doing,
                                   .answer_size_max = WEIR_METADATA_SIZE_MAX};
    WEIR_TRY(rest_ask(catalog, &request, &answer, reterr));
    weir_status status = answer.code == 200 ? table_read(catalog, table, &answer, ret_table, reterr)
                                            : rest_refusal(catalog, &request, &answer, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

/* ---- commits ----------------------------------------------------------------------------------
 */

/* A version 7 UUID, as the protocol wants it: the same for the same commit sent again, another one
 * once the server has said no, since it would only repeat itself. */
static void key_make(struct rest_catalog *catalog, const char *path, const json_t *body,
                     char ret_key[37])
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    XXH128_hash_t hash = XXH3_128bits_withSeed(text ? text : "", text ? strlen(text) : 0,
                                               XXH3_64bits(path, strlen(path)));
    free(text);
    pthread_mutex_lock(&catalog->lock);
    if (!*catalog->sent_key || catalog->sent_hash[0] != hash.low64 ||
        catalog->sent_hash[1] != hash.high64) {
        uint64_t now = (uint64_t)weir_now_ms(catalog->context);
        char *key = catalog->sent_key, time[13];
        weir_random_uuid(catalog->context, key);
        snprintf(time, sizeof time, "%012llx", (unsigned long long)(now & 0xffffffffffffull));
        memcpy(key, time, 8);
        memcpy(key + 9, time + 8, 4);
        key[14] = '7';
        catalog->sent_hash[0] = hash.low64;
        catalog->sent_hash[1] = hash.high64;
    }
    memcpy(ret_key, catalog->sent_key, 37);
    pthread_mutex_unlock(&catalog->lock);
}

static void key_forget(struct rest_catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    catalog->sent_key[0] = '\0';
    pthread_mutex_unlock(&catalog->lock);
}

static weir_status commit_judge(struct rest_catalog *catalog, const char *table,
                                const struct rest_request *request,
                                const struct rest_answer *answer, struct weir_table **ret_table,
                                struct weir_error *reterr)
{
    if (answer->code == 200 || answer->code == 201) {
        weir_status status = table_read(catalog, table, answer, ret_table, reterr);
        if (status == WEIR_OK)
            return WEIR_OK;
        weir_error_prefix(reterr, "%s: landed, perhaps, but", request->doing);
        if (reterr)
            reterr->status = WEIR_UNKNOWN_OUTCOME;
        return WEIR_UNKNOWN_OUTCOME;
    }
    if (answer->code >= 200 && answer->code <= 299)
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "catalog %s: %s: an answer %ld",
                         catalog->uri, request->doing, answer->code);
    if (answer->code == 409 || answer->code == 412) {
        key_forget(catalog);
        return weir_fail(reterr, WEIR_PRECONDITION, "catalog %s: %s: %ld %s: %s", catalog->uri,
                         request->doing, answer->code, answer->type, answer->message);
    }
    return rest_refusal(catalog, request, answer, reterr);
}

/* One request, sent once: its answer, or that there was none. */
static weir_status commit_send(struct rest_catalog *catalog, const char *table,
                               const struct catalog_name *name, const struct weir_commit *commit,
                               struct weir_table **ret_table, struct weir_error *reterr)
{
    struct rest_answer answer = {0};
    char doing[700], key[37];
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_path(catalog, name->space, name->table, &path, reterr));
    snprintf(doing, sizeof doing, "committing to %.600s", table);
    json_t *body = json_pack("{s:{s:o, s:s}, s:O, s:O}", "identifier", "namespace",
                             rest_levels(name->space, strlen(name->space)), "name", name->table,
                             "requirements", commit->requirements, "updates", commit->updates);
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a commit");
    if (catalog->idempotent)
        key_make(catalog, (const char *)path.data, body, key);
    struct rest_request request = {.method = "POST",
                                   .path = (const char *)path.data,
                                   .body = body,
                                   .key = catalog->idempotent ? key : NULL,
                                   .doing = doing,
                                   .once = true,
                                   .answer_size_max = WEIR_METADATA_SIZE_MAX};
    weir_status status;
    WEIR_TRY_OUT(status, weir_effect_before(catalog->context, "commit", table, reterr));
    status = rest_ask(catalog, &request, &answer, reterr);
    if (weir_effect_after(catalog->context))
        WEIR_TRY_OUT(status, weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                                       "%s: the catalog's answer was lost", table));
    if (status == WEIR_OK)
        status = commit_judge(catalog, table, &request, &answer, ret_table, reterr);
out:
    rest_answer_done(catalog, &answer);
    json_decref(body);
    return status;
}

/* The first branch or tag but main that the commit sets and `metadata` lacks (NULL: the first). */
static const char *ref_without(const struct weir_commit *commit,
                               const struct weir_metadata *metadata)
{
    int64_t at;
    for (size_t i = 0; i < json_array_size(commit->updates); i++) {
        const json_t *update = json_array_get(commit->updates, i);
        const char *action = json_string_value(json_object_get(update, "action")),
                   *ref = json_string_value(json_object_get(update, "ref-name"));
        if (action && ref && strcmp(action, "set-snapshot-ref") == 0 && strcmp(ref, "main") != 0 &&
            (!metadata || !weir_metadata_ref(metadata, ref, &at)))
            return ref;
    }
    return NULL;
}

static weir_status no_refs(const struct rest_catalog *catalog, const char *table, const char *ref,
                           struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_UNSUPPORTED,
                                   "catalog %s keeps no branches and tags of its tables: %s of %s "
                                   "cannot be made",
                                   catalog->uri, ref, table);
    weir_error_hint(reterr, "promotions and sinks hold what they have read by tags, gates judge on "
                            "a branch: such tables need another catalog");
    return status;
}

/* Before a table's first commit one that names a head which it has not: whoever takes that would
 * tell no loser of a race either. There is nothing to lose yet. */
static weir_status probe(struct rest_catalog *catalog, const char *table,
                         const struct catalog_name *name, struct weir_error *reterr)
{
    struct rest_answer answer;
    char doing[700];
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_path(catalog, name->space, name->table, &path, reterr));
    snprintf(doing, sizeof doing, "trying %.600s with a wrong requirement", table);
    json_t *body = json_pack(
        "{s:{s:o, s:s}, s:[{s:s, s:s, s:i}], s:[{s:s, s:{s:s}}]}", "identifier", "namespace",
        rest_levels(name->space, strlen(name->space)), "name", name->table, "requirements", "type",
        "assert-ref-snapshot-id", "ref", "main", "snapshot-id", 1, "updates", "action",
        "set-properties", "updates", "weir.probe", "lost");
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a commit");
    struct rest_request request = {.method = "POST",
                                   .path = (const char *)path.data,
                                   .body = body,
                                   .doing = doing,
                                   .answer_size_max = WEIR_METADATA_SIZE_MAX};
    weir_status status = rest_ask(catalog, &request, &answer, reterr);
    json_decref(body);
    WEIR_TRY(status);
    const json_t *properties = json_object_get(json_object_get(answer.json, "metadata"),
                                               "properties");
    if (json_object_get(properties, "weir.probe"))
        status = weir_fail(reterr, WEIR_REFUSED,
                           "catalog %s took a commit to %s whose requirement did not hold: it does "
                           "not tell the loser of a race",
                           catalog->uri, table);
    else if (answer.code >= 200 && answer.code <= 299)
        status = weir_fail(reterr, WEIR_UNAVAILABLE, "catalog %s: %s: an answer %ld without it",
                           catalog->uri, doing, answer.code);
    else if (answer.code != 409 && answer.code != 412 && answer.code != 400)
        status = rest_refusal(catalog, &request, &answer, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

static weir_status rest_commit(void *self, const struct weir_table *base,
                               const struct weir_commit *commit, struct weir_table **ret_table,
                               struct weir_error *reterr)
{
    struct rest_catalog *catalog = self;
    struct catalog_name name;
    WEIR_TRY(catalog_name_split(base->name, &name, reterr));
    WEIR_TRY(rest_configure(catalog, reterr));
    /* Nessie takes any new snapshot for main's, whatever branch is named: a candidate that no gate
     * has seen would be read by everybody. */
    const char *ref = catalog->is_nessie ? ref_without(commit, NULL) : NULL;
    if (ref)
        return no_refs(catalog, base->name, ref, reterr);
    if (weir_metadata_last_sequence_number(base->metadata) <= 1)
        WEIR_TRY(probe(catalog, base->name, &name, reterr));
    struct weir_table *table;
    weir_status status = commit_send(catalog, base->name, &name, commit, &table, reterr);
    if (status == WEIR_NOT_FOUND) /* not "make it anew": we stood on it */
        return weir_fail(reterr, WEIR_DECISION, "table %s is gone from catalog %s", base->name,
                         catalog->uri);
    WEIR_TRY(status);
    ref = ref_without(commit, table->metadata);
    if (ref) {
        weir_table_free(table);
        return no_refs(catalog, base->name, ref, reterr);
    }
    *ret_table = table;
    return WEIR_OK;
}

/* ---- creation ---------------------------------------------------------------------------------
 */

static const json_t *update_of(const struct weir_commit *commit, const char *action,
                               const char *field)
{
    for (size_t i = 0; i < json_array_size(commit->updates); i++) {
        const json_t *update = json_array_get(commit->updates, i);
        const char *one = json_string_value(json_object_get(update, "action"));
        if (one && strcmp(one, action) == 0)
            return json_object_get(update, field);
    }
    return NULL;
}

/* The same commit with the uuid and the location that the server has given the staged table. */
static weir_status staged_commit(const struct weir_commit *whole, const json_t *document,
                                 struct weir_commit *ret_commit, struct weir_error *reterr)
{
    const json_t *uuid = json_object_get(document, "table-uuid"),
                 *location = json_object_get(document, "location");
    if (!json_is_string(uuid) || !json_is_string(location))
        return weir_fail(reterr, WEIR_CORRUPT,
                         "the catalog staged a table without uuid or "
                         "location");
    ret_commit->requirements = json_deep_copy(whole->requirements);
    ret_commit->updates = json_deep_copy(whole->updates);
    int failed = !ret_commit->requirements || !ret_commit->updates;
    json_t *own_uuid = failed ? NULL : (json_t *)update_of(ret_commit, "assign-uuid", "uuid"),
           *own_location = failed ? NULL
                                  : (json_t *)update_of(ret_commit, "set-location", "location");
    failed = failed || !own_uuid || !own_location ||
             json_string_set(own_uuid, json_string_value(uuid)) ||
             json_string_set(own_location, json_string_value(location));
    return failed ? weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a commit") : WEIR_OK;
}

/* Servers that know a table only after createTable with stage-create: the first half of a creation,
 * without effect of its own. */
static weir_status stage(struct rest_catalog *catalog, const char *table,
                         const struct catalog_name *name, const struct weir_commit *whole,
                         struct weir_commit *ret_commit, struct weir_error *reterr)
{
    struct rest_answer answer;
    char doing[700];
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_path(catalog, name->space, NULL, &path, reterr));
    WEIR_TRY(weir_buffer_print(&path, reterr, "/tables"));
    snprintf(doing, sizeof doing, "staging %.600s", table);
    json_t *body = json_pack("{s:s, s:O?, s:O?, s:O?, s:O?, s:b, s:{s:s}}", "name", name->table,
                             "location", update_of(whole, "set-location", "location"), "schema",
                             update_of(whole, "add-schema", "schema"), "partition-spec",
                             update_of(whole, "add-spec", "spec"), "write-order",
                             update_of(whole, "add-sort-order", "sort-order"), "stage-create", 1,
                             "properties", "format-version", "2");
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory to stage a table");
    struct rest_request request = {
        .method = "POST", .path = (const char *)path.data, .body = body, .doing = doing};
    weir_status status = rest_ask(catalog, &request, &answer, reterr);
    json_decref(body);
    WEIR_TRY(status);
    if (answer.code == 200)
        status = staged_commit(whole, json_object_get(answer.json, "metadata"), ret_commit, reterr);
    else if (answer.code == 409)
        status = weir_fail(reterr, WEIR_PRECONDITION, "table %s is there already", table);
    else
        status = rest_refusal(catalog, &request, &answer, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

/* Where the catalog lets us write the first objects of a table, it has to be. */
static weir_status rest_place(void *self, const char *table, char location[1024],
                              struct weir_error *reterr)
{
    struct rest_catalog *catalog = self;
    struct catalog_name name;
    if (!catalog->granter)
        return WEIR_OK;
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(rest_configure(catalog, reterr));
    return rest_access_place(catalog, table, name.folder, location, reterr);
}

static weir_status create_send(struct rest_catalog *catalog, const char *table,
                               const struct catalog_name *name, const struct weir_commit *whole,
                               struct weir_table **ret_table, struct weir_error *reterr)
{
    struct weir_commit staged = {0};
    weir_status status = commit_send(catalog, table, name, whole, ret_table, reterr);
    if (status != WEIR_NOT_FOUND) /* 404: it has to be staged first; nothing was made */
        return status;
    status = stage(catalog, table, name, whole, &staged, reterr);
    if (status == WEIR_OK)
        status = commit_send(catalog, table, name, &staged, ret_table, reterr);
    weir_commit_done(&staged);
    return status;
}

static weir_status rest_create(void *self, const char *table, const struct weir_commit *commit,
                               struct weir_table **ret_table, struct weir_error *reterr)
{
    struct rest_catalog *catalog = self;
    struct catalog_name name;
    struct weir_commit whole;
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(rest_configure(catalog, reterr));
    WEIR_TRY(rest_namespace_make(catalog, name.space, reterr));
    WEIR_TRY(weir_commit_init(&whole, reterr));
    weir_status status = catalog_create_fill(catalog->context, catalog->store, &name, commit,
                                             &whole, reterr);
    if (status == WEIR_OK)
        status = create_send(catalog, table, &name, &whole, ret_table, reterr);
    weir_commit_done(&whole);
    return status;
}

/* ---- tables of another catalog ----------------------------------------------------------------
 */

static weir_status register_send(struct rest_catalog *catalog, const char *table,
                                 const struct catalog_name *name, const char *location,
                                 bool overwrite, struct weir_error *reterr)
{
    struct rest_answer answer = {0};
    char doing[700];
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_path(catalog, name->space, NULL, &path, reterr));
    WEIR_TRY(weir_buffer_print(&path, reterr, "/register"));
    snprintf(doing, sizeof doing, "registering %.600s", table);
    json_t *body = json_pack("{s:s, s:s}", "name", name->table, "metadata-location", location);
    if (!body || (overwrite && json_object_set_new(body, "overwrite", json_true()) != 0)) {
        json_decref(body);
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory to register a table");
    }
    struct rest_request request = {.method = "POST",
                                   .path = (const char *)path.data,
                                   .body = body,
                                   .doing = doing,
                                   .once = true,
                                   .answer_size_max = WEIR_METADATA_SIZE_MAX};
    weir_status status;
    WEIR_TRY_OUT(status, weir_effect_before(catalog->context, "commit", table, reterr));
    status = rest_ask(catalog, &request, &answer, reterr);
    if (weir_effect_after(catalog->context))
        WEIR_TRY_OUT(status, weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                                       "%s: the catalog's answer was lost", table));
    if (status == WEIR_OK && answer.code == 409)
        status = weir_fail(reterr, WEIR_EXISTS, "catalog %s knows a table %s already: %s",
                           catalog->uri, table, answer.message);
    else if (status == WEIR_OK && answer.code != 200)
        status = rest_refusal(catalog, &request, &answer, reterr);
out:
    rest_answer_done(catalog, &answer);
    json_decref(body);
    return status;
}

weir_status weir_catalog_rest_register(const struct weir_catalog *catalog, const char *table,
                                       const char *metadata_location, bool overwrite,
                                       struct weir_error *reterr)
{
    struct catalog_name name;
    if (catalog->operations->load != rest_load)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "a catalog of kind %s takes no registrations: a REST catalog does",
                         catalog->operations->kind);
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(rest_configure(catalog->self, reterr));
    WEIR_TRY(rest_namespace_make(catalog->self, name.space, reterr));
    return register_send(catalog->self, table, &name, metadata_location, overwrite, reterr);
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static void rest_free(void *self)
{
    struct rest_catalog *catalog = self;
    if (!catalog)
        return;
    rest_access_free(catalog);
    OPENSSL_cleanse(&catalog->keys, sizeof catalog->keys);
    rest_auth_done(&catalog->auth);
    weir_http_client_free(catalog->http);
    weir_arena_done(&catalog->texts);
    pthread_mutex_destroy(&catalog->lock);
    weir_free(catalog);
}

static weir_status headers_take(struct rest_catalog *catalog,
                                const struct weir_catalog_rest_options *options,
                                struct weir_error *reterr)
{
    char **lines;
    if (options->header_count > REST_LINES_MAX - WEIR_SIGV4_LINES - 4)
        return weir_fail(reterr, WEIR_USAGE, "more than %d headers for the catalog",
                         REST_LINES_MAX - WEIR_SIGV4_LINES - 4);
    WEIR_TRY(weir_arena_alloc(&catalog->texts, (options->header_count + 1) * sizeof *lines, &lines,
                              reterr));
    for (size_t i = 0; i < options->header_count; i++)
        WEIR_TRY(weir_arena_copy(&catalog->texts, options->headers[i], strlen(options->headers[i]),
                                 &lines[i], reterr));
    catalog->headers = (const char *const *)lines;
    catalog->header_count = options->header_count;
    return WEIR_OK;
}

static weir_status options_take(struct rest_catalog *catalog,
                                const struct weir_catalog_rest_options *options,
                                struct weir_error *reterr)
{
    char *warehouse;
    struct weir_http_options http = {.tls_ca_file = options->tls_ca_file,
                                     .tls_cert_file = options->tls_cert_file,
                                     .tls_key_file = options->tls_key_file};
    catalog->timeout_ms = options->timeout_ms ? options->timeout_ms : 60000;
    catalog->retry_ms = options->retry_ms ? options->retry_ms : 30000;
    catalog->separator = "%1F";
    WEIR_TRY(uri_take(catalog, options->uri ? options->uri : "", reterr));
    if (options->warehouse && *options->warehouse) {
        WEIR_TRY(weir_arena_copy(&catalog->texts, options->warehouse, strlen(options->warehouse),
                                 &warehouse, reterr));
        catalog->warehouse = warehouse;
    }
    if (options->prefix)
        WEIR_TRY(prefix_take(catalog, options->prefix, reterr));
    WEIR_TRY(headers_take(catalog, options, reterr));
    WEIR_TRY(weir_http_client_new(catalog->context, &http, &catalog->http, reterr));
    WEIR_TRY(rest_auth_init(&catalog->auth, catalog->context, catalog->http, catalog->uri, options,
                            reterr));
    catalog->access = options->access;
    return catalog->access == WEIR_REST_ACCESS_OWN ? WEIR_OK : rest_access_new(catalog, reterr);
}

static const struct weir_catalog_operations operations = {
    .kind = "rest",
    .load = rest_load,
    .create = rest_create,
    .commit = rest_commit,
    .list = rest_list,
    .free = rest_free,
    .place = rest_place,
};

weir_status weir_catalog_rest_new(struct weir_context *context,
                                  const struct weir_object_store *store,
                                  const struct weir_catalog_rest_options *options,
                                  struct weir_catalog *ret_catalog, struct weir_error *reterr)
{
    struct rest_catalog *catalog;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *catalog, &catalog, reterr));
    catalog->context = context;
    catalog->store = store;
    weir_arena_init(&catalog->texts, &context->memory);
    pthread_mutex_init(&catalog->lock, NULL);
    weir_status status = options_take(catalog, options, reterr);
    if (status != WEIR_OK) {
        rest_free(catalog);
        return status;
    }
    *ret_catalog = (struct weir_catalog){&operations, catalog};
    return WEIR_OK;
}

weir_status weir_catalog_rest_address(const struct weir_catalog *catalog, const char **ret_uri,
                                      struct weir_error *reterr)
{
    struct rest_catalog *rest = catalog->self;
    WEIR_TRY(rest_configure(rest, reterr));
    *ret_uri = rest->uri;
    return WEIR_OK;
}
