/* Who lets us at a table's objects, where the catalog does: keys that it gives for the table,
 * renewed before they end and when the store refuses them, or its signature below each request.
 *
 * The protocol grants per table, while the store knows objects only: an object's table is the one
 * whose folder it lies in. Before a table is made its first objects are written: for those the
 * table is staged, which has no effect of its own, and whose answer grants as loading does. */
#include "connectors/catalog/rest_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define GRANTS_MAX 64
#define EARLY_MS_MAX                                                                               \
    ((int64_t)5 * 60 * 1000) /* keys are renewed at most so long before their end */
#define KEPT_MAX 64          /* signatures that the server lets us use again */
#define KEPT_MS  30000

struct grant {
    char *prefix; /* "s3://bucket/folder"; "": the table's folder */
    struct weir_s3_keys keys;
};

struct table_access {
    struct table_access *next;
    char *name, *folder; /* folder: relative to the store's root */
    struct grant *grants;
    size_t grant_count;
    char *sign_url, *sign_token; /* NULL: the catalog signs nothing for it; our own token is sent */
    int64_t renew_at_ms;         /* wall clock; 0: not by itself */
};

struct kept {
    uint64_t hash[2];
    int64_t until_ms; /* steady clock; 0: none */
    char *url, *lines;
};

struct rest_access {
    struct rest_catalog *catalog;
    pthread_mutex_t lock; /* guards what follows */
    struct table_access *tables;
    struct kept kept[KEPT_MAX];
    size_t kept_next;
};

/* ---- what an answer grants --------------------------------------------------------------------
 */

static void grants_free(struct grant *grants, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weir_free(grants[i].prefix);
    if (grants)
        OPENSSL_cleanse(grants, count * sizeof *grants);
    weir_free(grants);
}

static void table_free(struct table_access *table)
{
    grants_free(table->grants, table->grant_count);
    if (table->sign_token)
        OPENSSL_cleanse(table->sign_token, strlen(table->sign_token));
    weir_free(table->sign_token);
    weir_free(table->sign_url);
    weir_free(table->folder);
    weir_free(table->name);
    weir_free(table);
}

static weir_status text_keep(struct rest_catalog *catalog, const char *text, size_t size,
                             char **ret_copy, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_alloc(&catalog->context->memory, size + 1, &copy, reterr));
    memcpy(copy, text, size);
    copy[size] = '\0';
    *ret_copy = copy;
    return WEIR_OK;
}

static bool key_copy(const json_t *config, const char *name, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(config, name));
    if (!value || !*value || strlen(value) >= size)
        return false;
    for (const char *at = value; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    memcpy(out, value, strlen(value) + 1);
    return true;
}

bool rest_keys_read(const json_t *config, struct weir_s3_keys *ret_keys)
{
    const json_t *ends = json_object_get(config, "s3.session-token-expires-at-ms");
    const char *text = json_string_value(ends);
    *ret_keys = (struct weir_s3_keys){0};
    if (!key_copy(config, "s3.access-key-id", ret_keys->id, sizeof ret_keys->id) ||
        !key_copy(config, "s3.secret-access-key", ret_keys->secret, sizeof ret_keys->secret))
        return false;
    if (json_object_get(config, "s3.session-token") &&
        !key_copy(config, "s3.session-token", ret_keys->token, sizeof ret_keys->token))
        return false;
    if (json_is_integer(ends))
        ret_keys->expires_ms = json_integer_value(ends);
    else if (text && !weir_text_int64(text, strlen(text), &ret_keys->expires_ms))
        ret_keys->expires_ms = 0;
    if (ret_keys->expires_ms < 0)
        ret_keys->expires_ms = 0;
    return true;
}

/* One grant of an answer: of a prefix, or (prefix NULL) what its config says about the table. */
static weir_status grant_add(struct rest_catalog *catalog, struct table_access *table,
                             const char *prefix, const json_t *config, struct weir_error *reterr)
{
    struct grant *grant = &table->grants[table->grant_count];
    if (!rest_keys_read(config, &grant->keys))
        return WEIR_OK; /* of another kind of store, or none */
    WEIR_TRY(text_keep(catalog, prefix ? prefix : "", prefix ? strlen(prefix) : 0, &grant->prefix,
                       reterr));
    table->grant_count++;
    int64_t now = weir_now_ms(catalog->context), ends = grant->keys.expires_ms;
    if (ends) {
        int64_t early = (ends - now) / 5 < EARLY_MS_MAX ? (ends - now) / 5 : EARLY_MS_MAX;
        int64_t renew = ends - (early > 0 ? early : 0);
        if (!table->renew_at_ms || renew < table->renew_at_ms)
            table->renew_at_ms = renew;
    }
    return WEIR_OK;
}

static weir_status grants_read(struct rest_catalog *catalog, struct table_access *table,
                               const json_t *answer, struct weir_error *reterr)
{
    const json_t *list = json_object_get(answer, "storage-credentials"),
                 *config = json_object_get(answer, "config");
    size_t count = json_array_size(list) < GRANTS_MAX ? json_array_size(list) : GRANTS_MAX;
    WEIR_TRY(weir_alloc_zero(&catalog->context->memory, count + 1, sizeof *table->grants,
                             &table->grants, reterr));
    table->renew_at_ms = 0;
    WEIR_TRY(grant_add(catalog, table, NULL, config, reterr));
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        const char *prefix = json_string_value(json_object_get(one, "prefix"));
        if (prefix)
            WEIR_TRY(grant_add(catalog, table, prefix, json_object_get(one, "config"), reterr));
    }
    return WEIR_OK;
}

/* ---- where signatures come from ----------------------------------------------------------------
 */

static const char *setting_of(const json_t *config, const char *long_name, const char *name)
{
    const char *value = json_string_value(json_object_get(config, long_name));
    return value ? value : json_string_value(json_object_get(config, name));
}

static weir_status sign_url_make(struct rest_catalog *catalog, struct table_access *table,
                                 const json_t *config, struct weir_error *reterr)
{
    const char *enabled = json_string_value(json_object_get(config, "s3.remote-signing-enabled")),
               *uri = setting_of(config, "s3.signer.uri", "signer.uri"),
               *endpoint = setting_of(config, "s3.signer.endpoint", "signer.endpoint");
    if (!endpoint)
        endpoint = catalog->sign_endpoint;
    if (!endpoint && !(enabled && strcmp(enabled, "true") == 0))
        return WEIR_OK;
    endpoint = endpoint ? endpoint : "v1/aws/s3/sign";
    uri = uri ? uri : catalog->sign_uri ? catalog->sign_uri : catalog->uri;
    bool whole = strncmp(endpoint, "http://", 7) == 0 || strncmp(endpoint, "https://", 8) == 0;
    size_t size = strlen(uri);
    while (size && uri[size - 1] == '/')
        size--;
    while (!whole && *endpoint == '/')
        endpoint++;
    WEIR_AUTO(weir_buffer) url = {.account = &catalog->context->memory};
    WEIR_TRY(weir_buffer_print(&url, reterr, "%.*s%s%s", whole ? 0 : (int)size, uri,
                               whole ? "" : "/", endpoint));
    const char *text = (const char *)url.data;
    if (strncmp(catalog->uri, "https:", 6) == 0 && strncmp(text, "https:", 6) != 0)
        return weir_fail(reterr, WEIR_REFUSED,
                         "catalog %s has requests signed at %.300s: from https to http Weir does "
                         "not go",
                         catalog->uri, text);
    const char *token = json_string_value(json_object_get(config, "token"));
    if (token && *token && strlen(token) <= REST_TOKEN_MAX && !strpbrk(token, "\r\n"))
        WEIR_TRY(text_keep(catalog, token, strlen(token), &table->sign_token, reterr));
    return text_keep(catalog, text, strlen(text), &table->sign_url, reterr);
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* In place of what was known of a table of that name, under the lock. Takes `table`. */
static void table_replace(struct rest_access *access, struct table_access *table)
{
    for (struct table_access **at = &access->tables; *at; at = &(*at)->next)
        if (strcmp((*at)->name, table->name) == 0) {
            struct table_access *old = *at;
            table->next = old->next;
            *at = table;
            table_free(old);
            return;
        }
    table->next = access->tables;
    access->tables = table;
}

static weir_status access_read(struct rest_access *access, const char *name, const char *folder,
                               const json_t *answer, struct table_access *table,
                               struct weir_error *reterr)
{
    struct rest_catalog *catalog = access->catalog;
    size_t size = strlen(folder);
    while (size && folder[size - 1] == '/')
        size--;
    WEIR_TRY(text_keep(catalog, name, strlen(name), &table->name, reterr));
    WEIR_TRY(text_keep(catalog, folder, size, &table->folder, reterr));
    if (catalog->access == WEIR_REST_ACCESS_VENDED)
        return grants_read(catalog, table, answer, reterr);
    return sign_url_make(catalog, table, json_object_get(answer, "config"), reterr);
}

static weir_status access_take(struct rest_access *access, const char *name, const char *folder,
                               const json_t *answer, struct weir_error *reterr)
{
    struct table_access *table;
    WEIR_TRY(weir_alloc_zero(&access->catalog->context->memory, 1, sizeof *table, &table, reterr));
    weir_status status = access_read(access, name, folder, answer, table, reterr);
    if (status != WEIR_OK) {
        table_free(table);
        return status;
    }
    table_replace(access, table);
    return WEIR_OK;
}

weir_status rest_access_take(struct rest_catalog *catalog, const char *name, const char *folder,
                             const json_t *answer, struct weir_error *reterr)
{
    if (!catalog->granter ||
        (!json_object_get(answer, "config") && !json_object_get(answer, "storage-credentials")))
        return WEIR_OK;
    pthread_mutex_lock(&catalog->granter->lock);
    weir_status status = access_take(catalog->granter, name, folder, answer, reterr);
    pthread_mutex_unlock(&catalog->granter->lock);
    return status;
}

static bool lies_in(const char *name, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(name, folder, size) == 0 && name[size] == '/';
}

static struct table_access *table_of(struct rest_access *access, const char *name)
{
    struct table_access *found = NULL;
    for (struct table_access *at = access->tables; at; at = at->next)
        if (lies_in(name, at->folder) && (!found || strlen(at->folder) > strlen(found->folder)))
            found = at;
    return found;
}

/* "bronze/t/data/a.parquet" -> "bronze.t": where tables lie that are made here. False: it is
 * none's. A listing's prefix need not end where a folder does: then it may show more than one
 * table. */
static bool table_guess(const char *name, char ret_table[600], char ret_folder[600])
{
    size_t levels = 0, size = 0;
    if (lies_in(name, "_weir"))
        return false;
    for (const char *at = name; *at; levels++) {
        size_t part = strcspn(at, "/");
        if (levels >= 2 && ((part == 8 && strncmp(at, "metadata", 8) == 0) ||
                            (part == 4 && strncmp(at, "data", 4) == 0)))
            break;
        if (part == 0 || memchr(at, '.', part) || size + part + 2 > 600)
            return false;
        if (levels >= 1 && at[part] != '/')
            return false;
        if (size)
            ret_folder[size++] = '/';
        memcpy(ret_folder + size, at, part);
        size += part;
        at += part + (at[part] == '/');
    }
    ret_folder[size] = '\0';
    memcpy(ret_table, ret_folder, size + 1);
    for (char *slash = strchr(ret_table, '/'); slash; slash = strchr(slash, '/'))
        *slash = '.';
    return levels >= 2;
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static weir_status stage(struct rest_access *access, const struct catalog_name *name,
                         const char *table, struct rest_answer *answer, struct weir_error *reterr)
{
    struct rest_catalog *catalog = access->catalog;
    char doing[700], *location = NULL;
    struct weir_arena arena;
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(rest_namespace_make(catalog, name->space, reterr));
    WEIR_TRY(rest_path(catalog, name->space, NULL, &path, reterr));
    WEIR_TRY(weir_buffer_print(&path, reterr, "/tables"));
    snprintf(doing, sizeof doing, "staging %.600s", table);
    weir_arena_init(&arena, &catalog->context->memory);
    weir_status status = weir_arena_print(&arena, &location, reterr, "%s/%s",
                                          catalog->store->root_uri, name->folder);
    json_t *body = status != WEIR_OK
                       ? NULL
                       : json_pack("{s:s, s:s, s:{s:s, s:i, s:[]}, s:b}", "name", name->table,
                                   "location", location, "schema", "type", "struct", "schema-id", 0,
                                   "fields", "stage-create", 1);
    weir_arena_done(&arena);
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory to stage a table");
    struct rest_request request = {
        .method = "POST", .path = (const char *)path.data, .body = body, .doing = doing};
    status = rest_ask(catalog, &request, answer, reterr);
    json_decref(body);
    if (status == WEIR_OK && answer->code != 200)
        status = rest_refusal(catalog, &request, answer, reterr);
    return status;
}

/* The table's folder, of an answer that holds its metadata; NULL: none, or outside the store. */
static const char *folder_of(const struct rest_catalog *catalog, const json_t *answer)
{
    const char *location = json_string_value(
                   json_object_get(json_object_get(answer, "metadata"), "location")),
               *relative;
    if (!location || catalog_relative(catalog->store, location, &relative, NULL) != WEIR_OK)
        return NULL;
    return relative;
}

/* Loads the table, or stages it; or, `only_keys`, asks for its keys alone. */
static weir_status grants_ask(struct rest_access *access, const char *table, bool only_keys,
                              struct rest_answer *answer, struct weir_error *reterr)
{
    struct rest_catalog *catalog = access->catalog;
    struct catalog_name name;
    char doing[700];
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(rest_path(catalog, name.space, name.table, &path, reterr));
    if (only_keys)
        WEIR_TRY(weir_buffer_print(&path, reterr, "/credentials"));
    snprintf(doing, sizeof doing, "asking for credentials of %.600s", table);
    struct rest_request request = {.method = "GET",
                                   .path = (const char *)path.data,
                                   .query = only_keys ? NULL : "snapshots=refs",
                                   .doing = doing,
                                   .answer_size_max = WEIR_METADATA_SIZE_MAX};
    WEIR_TRY(rest_ask(catalog, &request, answer, reterr));
    if (answer->code == 200)
        return WEIR_OK;
    if (answer->code == 404 && answer->is_error && !only_keys) {
        rest_answer_done(catalog, answer);
        return stage(access, &name, table, answer, reterr);
    }
    return rest_refusal(catalog, &request, answer, reterr);
}

/* Asks anew for what is known of a table (or of one that nothing is known of), under the lock. */
static weir_status table_ask(struct rest_access *access, const char *table, const char *folder,
                             bool only_keys, struct weir_error *reterr)
{
    struct rest_catalog *catalog = access->catalog;
    struct rest_answer answer = {0};
    weir_status status = grants_ask(access, table, only_keys, &answer, reterr);
    if (status != WEIR_OK && only_keys && status != WEIR_UNAVAILABLE) { /* old servers lack it */
        rest_answer_done(catalog, &answer);
        only_keys = false;
        status = grants_ask(access, table, false, &answer, reterr);
    }
    const char *place = status == WEIR_OK && !only_keys ? folder_of(catalog, answer.json) : folder;
    if (status == WEIR_OK && !place)
        status = weir_fail(reterr, WEIR_UNSUPPORTED,
                           "catalog %s puts table %s outside of the warehouse %s", catalog->uri,
                           table, catalog->store->root_uri);
    if (status == WEIR_OK)
        status = access_take(access, table, place, answer.json, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

weir_status rest_access_place(struct rest_catalog *catalog, const char *table, const char *folder,
                              char ret_location[1024], struct weir_error *reterr)
{
    struct rest_access *access = catalog->granter;
    pthread_mutex_lock(&access->lock);
    weir_status status = table_ask(access, table, folder, false, reterr);
    for (const struct table_access *at = access->tables; at && status == WEIR_OK; at = at->next)
        if (strcmp(at->name, table) == 0)
            snprintf(ret_location, 1024, "%s/%s", catalog->store->root_uri, at->folder);
    pthread_mutex_unlock(&access->lock);
    return status;
}

static bool can_ask_keys_alone(const struct rest_access *access)
{
    return access->catalog->gives_keys && access->catalog->access == WEIR_REST_ACCESS_VENDED;
}

/* Under the lock: what is known of the table that an object lies in; NULL: it is none's. */
static weir_status table_find(struct rest_access *access, const char *name,
                              struct table_access **ret_table, struct weir_error *reterr)
{
    char table[600], folder[600];
    *ret_table = table_of(access, name);
    if (*ret_table || !table_guess(name, table, folder))
        return WEIR_OK;
    WEIR_TRY(table_ask(access, table, folder, false, reterr));
    *ret_table = table_of(access, name);
    return WEIR_OK;
}

/* Under the lock. *table is gone then; the one in its place comes back. */
static weir_status table_renew(struct rest_access *access, struct table_access **table,
                               struct weir_error *reterr)
{
    char name[600], folder[600];
    snprintf(name, sizeof name, "%s", (*table)->name);
    snprintf(folder, sizeof folder, "%s", (*table)->folder);
    WEIR_TRY(table_ask(access, name, folder, can_ask_keys_alone(access), reterr));
    for (*table = access->tables; *table; *table = (*table)->next)
        if (strcmp((*table)->name, name) == 0)
            return WEIR_OK;
    return weir_fail(reterr, WEIR_INTERNAL, "what was granted for %s is gone", name);
}

/* ---- keys --------------------------------------------------------------------------------------
 */

static struct grant *grant_of(const struct rest_access *access, struct table_access *table,
                              const char *name)
{
    const char *root = access->catalog->store->root_uri;
    size_t root_size = strlen(root);
    struct grant *found = NULL;
    size_t most = 0;
    for (size_t i = 0; i < table->grant_count; i++) {
        const char *prefix = table->grants[i].prefix;
        size_t size = strlen(prefix);
        bool covers = size <= root_size
                          ? strncmp(root, prefix, size) == 0
                          : strncmp(prefix, root, root_size) == 0 && prefix[root_size] == '/' &&
                                strncmp(name, prefix + root_size + 1, size - root_size - 1) == 0;
        if (covers && (!found || size > most)) {
            found = &table->grants[i];
            most = size;
        }
    }
    return found;
}

static bool are_equal(const struct weir_s3_keys *a, const struct weir_s3_keys *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->token, b->token) == 0 &&
           strcmp(a->secret, b->secret) == 0;
}

static weir_status no_keys(const struct rest_access *access, const struct table_access *table,
                           const char *name, struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_REFUSED,
                                   "catalog %s gives no S3 credentials for %s of table %s",
                                   access->catalog->uri, name, table->name);
    weir_error_hint(reterr, "does the server vend credentials, and to us? else: "
                            "lake.catalog.rest.access: own");
    return status;
}

/* Under the lock. */
static weir_status keys_find(struct rest_access *access, struct table_access *table,
                             const char *name, const struct weir_s3_keys *rejected,
                             struct weir_s3_keys *ret_keys, struct weir_error *reterr)
{
    struct weir_context *context = access->catalog->context;
    struct grant *grant = grant_of(access, table, name);
    int64_t now = weir_now_ms(context);
    bool refused = grant && rejected && are_equal(&grant->keys, rejected),
         ended = grant && grant->keys.expires_ms && grant->keys.expires_ms <= now;
    if (!grant || refused || (table->renew_at_ms && now >= table->renew_at_ms)) {
        struct weir_error failure = {0};
        weir_status status = table_renew(access, &table, &failure);
        if (status != WEIR_OK && (!grant || refused || ended)) {
            if (reterr)
                *reterr = failure;
            return status;
        }
        if (status != WEIR_OK) /* those that we have are still good: later again */
            table->renew_at_ms = now + 1000;
        grant = grant_of(access, table, name);
        ended = grant && grant->keys.expires_ms && grant->keys.expires_ms <= weir_now_ms(context);
    }
    if (!grant)
        return no_keys(access, table, name, reterr);
    if (ended)
        return weir_fail(reterr, WEIR_DENIED,
                         "the S3 credentials that catalog %s gives for table %s have ended, and it "
                         "gives no newer ones",
                         access->catalog->uri, table->name);
    if (rejected && are_equal(&grant->keys, rejected))
        return weir_fail(reterr, WEIR_DENIED,
                         "the store refuses the S3 credentials that catalog %s gives for table %s "
                         "(%s), and it gives no others",
                         access->catalog->uri, table->name, name);
    *ret_keys = grant->keys;
    return WEIR_OK;
}

static weir_status access_find(void *self, const char *name, bool is_listing,
                               const struct weir_s3_keys *rejected, enum weir_s3_grant *ret_grant,
                               struct weir_s3_keys *ret_keys, struct weir_error *reterr)
{
    struct rest_access *access = self;
    struct rest_catalog *catalog = access->catalog;
    bool vended = catalog->access == WEIR_REST_ACCESS_VENDED;
    struct table_access *table = NULL;
    weir_status status = WEIR_OK;
    WEIR_TRY(rest_configure(catalog, reterr));
    pthread_mutex_lock(&access->lock);
    *ret_grant = WEIR_S3_GRANT_NONE;
    if (vended || !is_listing) /* what a listing may show is not decided by its path: not signed */
        status = table_find(access, name, &table, reterr);
    if (status == WEIR_OK && table && vended) {
        status = keys_find(access, table, name, rejected, ret_keys, reterr);
        *ret_grant = WEIR_S3_GRANT_KEYS;
    } else if (status == WEIR_OK && table) {
        *ret_grant = WEIR_S3_GRANT_SIGNATURES;
    } else if (status == WEIR_OK && vended && catalog->has_keys && !rejected) {
        *ret_keys = catalog->keys;
        *ret_grant = WEIR_S3_GRANT_KEYS;
    }
    pthread_mutex_unlock(&access->lock);
    return status;
}

/* ---- signatures --------------------------------------------------------------------------------
 */

static void kept_drop(struct kept *kept)
{
    weir_free(kept->url);
    weir_free(kept->lines);
    *kept = (struct kept){0};
}

static XXH128_hash_t signing_hash(const struct weir_s3_signing *signing)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(
        signing->url, strlen(signing->url), XXH3_64bits(signing->method, strlen(signing->method)));
    for (size_t i = 0; i < signing->header_count; i++) {
        const char *line = signing->headers[i];
        XXH128_hash_t one = XXH3_128bits_withSeed(line, strlen(line), hash.low64);
        hash = (XXH128_hash_t){.low64 = one.low64, .high64 = one.high64 ^ hash.high64};
    }
    return hash;
}

/* "line\nline\n" to lines in the arena. */
static weir_status lines_split(const char *text, struct weir_arena *arena, const char ***ret_lines,
                               size_t *ret_count, struct weir_error *reterr)
{
    const char **lines;
    size_t count = 0;
    char *copy;
    WEIR_TRY(weir_arena_copy(arena, text, strlen(text), &copy, reterr));
    for (const char *at = copy; (at = strchr(at, '\n')); at++)
        count++;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *lines, &lines, reterr));
    count = 0;
    for (char *at = copy, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        lines[count++] = at;
    }
    *ret_lines = lines;
    *ret_count = count;
    return WEIR_OK;
}

/* Under the lock. False: nothing kept. */
static bool kept_find(struct rest_access *access, XXH128_hash_t hash, bool refused,
                      const char **ret_url, const char **ret_text)
{
    int64_t now = weir_steady_ms(access->catalog->context);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &access->kept[i];
        if (!kept->until_ms || kept->hash[0] != hash.low64 || kept->hash[1] != hash.high64)
            continue;
        if (refused || now >= kept->until_ms) {
            kept_drop(kept);
            return false;
        }
        *ret_url = kept->url;
        *ret_text = kept->lines;
        return true;
    }
    return false;
}

static void keep(struct rest_access *access, XXH128_hash_t hash, const char *url, const char *text)
{
    struct kept *kept = &access->kept[access->kept_next++ % KEPT_MAX];
    kept_drop(kept);
    if (text_keep(access->catalog, url, strlen(url), &kept->url, NULL) != WEIR_OK ||
        text_keep(access->catalog, text, strlen(text), &kept->lines, NULL) != WEIR_OK) {
        kept_drop(kept);
        return;
    }
    kept->hash[0] = hash.low64;
    kept->hash[1] = hash.high64;
    kept->until_ms = weir_steady_ms(access->catalog->context) + KEPT_MS;
}

/* {"region", "method", "uri", "headers": {name: [value]}} */
static json_t *signing_body(const struct weir_s3_signing *signing)
{
    json_t *headers = json_object();
    for (size_t i = 0; headers && i < signing->header_count; i++) {
        const char *line = signing->headers[i], *colon = strchr(line, ':');
        if (!colon)
            continue;
        const char *value = colon + 1 + strspn(colon + 1, " ");
        if (json_object_setn_new(headers, line, (size_t)(colon - line), json_pack("[s]", value)))
            goto failed;
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:{}, s:s}", "region", signing->region, "method",
                     signing->method, "uri", signing->url, "headers", headers, "properties",
                     "provider", "s3");
failed:
    json_decref(headers);
    return NULL;
}

/* The answer's headers as "name: value\n" lines. */
static weir_status signed_lines(const json_t *answer, struct weir_buffer *text,
                                struct weir_error *reterr)
{
    const char *name;
    const json_t *values;
    json_object_foreach(json_object_get(answer, "headers"), name, values)
    {
        const char *value = json_string_value(json_is_array(values) ? json_array_get(values, 0)
                                                                    : values);
        if (value && !strpbrk(name, "\r\n: ") && !strpbrk(value, "\r\n"))
            WEIR_TRY(weir_buffer_print(text, reterr, "%s: %s\n", name, value));
    }
    if (!text->size || !json_string_value(json_object_get(answer, "uri")))
        return weir_fail(reterr, WEIR_CORRUPT, "the catalog's answer is no signature");
    return WEIR_OK;
}

static weir_status sign_ask(struct rest_access *access, const struct table_access *table,
                            const char *name, const json_t *body, struct rest_answer *answer,
                            bool *ret_refused, struct weir_error *reterr)
{
    char doing[700];
    snprintf(doing, sizeof doing, "having a request about %.600s signed", name);
    struct rest_request request = {.method = "POST",
                                   .path = "",
                                   .url = table->sign_url,
                                   .bearer = table->sign_token,
                                   .body = body,
                                   .doing = doing};
    *ret_refused = false;
    WEIR_TRY(rest_ask(access->catalog, &request, answer, reterr));
    if (answer->code == 200)
        return WEIR_OK;
    *ret_refused = true;
    return rest_refusal(access->catalog, &request, answer, reterr);
}

/* Under the lock: who signs for the object's table. */
static weir_status signer_find(struct rest_access *access, const char *name, bool again,
                               struct table_access **ret_table, struct weir_error *reterr)
{
    WEIR_TRY(table_find(access, name, ret_table, reterr));
    if (*ret_table && again)
        WEIR_TRY(table_renew(access, ret_table, reterr));
    if (*ret_table && (*ret_table)->sign_url)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_REFUSED,
                                   "catalog %s signs no requests to S3 for %s",
                                   access->catalog->uri, name);
    weir_error_hint(reterr, "does the server have remote signing, and for us? else: "
                            "lake.catalog.rest.access: vended, or own");
    return status;
}

/* Copies that stay when another thread renews the table. */
static weir_status signer_copy(struct rest_access *access, const char *name, bool again,
                               struct weir_arena *arena, struct table_access *ret_table,
                               struct weir_error *reterr)
{
    struct table_access *table = NULL;
    char *url = NULL, *token = NULL;
    pthread_mutex_lock(&access->lock);
    weir_status status = signer_find(access, name, again, &table, reterr);
    if (status == WEIR_OK)
        status = weir_arena_copy(arena, table->sign_url, strlen(table->sign_url), &url, reterr);
    if (status == WEIR_OK && table->sign_token)
        status = weir_arena_copy(arena, table->sign_token, strlen(table->sign_token), &token,
                                 reterr);
    pthread_mutex_unlock(&access->lock);
    *ret_table = (struct table_access){.sign_url = url, .sign_token = token};
    return status;
}

static weir_status sign_anew(struct rest_access *access, const char *name,
                             const struct weir_s3_signing *signing, struct weir_arena *arena,
                             struct rest_answer *answer, struct weir_error *reterr)
{
    struct rest_catalog *catalog = access->catalog;
    struct table_access signer;
    bool refused = false;
    json_t *body = signing_body(signing);
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a request to the catalog");
    weir_status status = signer_copy(access, name, signing->refused, arena, &signer, reterr);
    if (status == WEIR_OK)
        status = sign_ask(access, &signer, name, body, answer, &refused, reterr);
    if (refused && !signing->refused) { /* where to ask may itself have an end */
        rest_answer_done(catalog, answer);
        status = signer_copy(access, name, true, arena, &signer, reterr);
        if (status == WEIR_OK)
            status = sign_ask(access, &signer, name, body, answer, &refused, reterr);
    }
    json_decref(body);
    return status;
}

static weir_status access_sign(void *self, const char *name, const struct weir_s3_signing *signing,
                               struct weir_arena *arena, const char **ret_url,
                               const char ***ret_lines, size_t *ret_count,
                               struct weir_error *reterr)
{
    struct rest_access *access = self;
    struct rest_answer answer = {0};
    const char *url, *text;
    char *copy;
    XXH128_hash_t hash = signing_hash(signing);
    pthread_mutex_lock(&access->lock);
    bool kept = kept_find(access, hash, signing->refused, &url, &text);
    weir_status status = kept ? weir_arena_copy(arena, url, strlen(url), &copy, reterr) : WEIR_OK;
    if (kept && status == WEIR_OK)
        status = lines_split(text, arena, ret_lines, ret_count, reterr);
    pthread_mutex_unlock(&access->lock);
    if (kept && status == WEIR_OK)
        *ret_url = copy;
    if (kept || status != WEIR_OK)
        return status;
    WEIR_AUTO(weir_buffer) lines = {.account = &access->catalog->context->memory};
    status = sign_anew(access, name, signing, arena, &answer, reterr);
    if (status == WEIR_OK)
        status = signed_lines(answer.json, &lines, reterr);
    if (status == WEIR_OK)
        status = lines_split((const char *)lines.data, arena, ret_lines, ret_count, reterr);
    if (status == WEIR_OK) {
        url = json_string_value(json_object_get(answer.json, "uri"));
        status = weir_arena_copy(arena, url, strlen(url), &copy, reterr);
    }
    if (status == WEIR_OK && answer.may_keep) {
        pthread_mutex_lock(&access->lock);
        keep(access, hash, copy, (const char *)lines.data);
        pthread_mutex_unlock(&access->lock);
    }
    if (status == WEIR_OK)
        *ret_url = copy;
    rest_answer_done(access->catalog, &answer);
    return status;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

weir_status rest_access_new(struct rest_catalog *catalog, struct weir_error *reterr)
{
    struct rest_access *access;
    WEIR_TRY(weir_alloc_zero(&catalog->context->memory, 1, sizeof *access, &access, reterr));
    access->catalog = catalog;
    struct weir_s3_access given = {.self = access, .find = access_find, .sign = access_sign};
    weir_status status = weir_store_s3_delegate(catalog->store, &given, reterr);
    if (status != WEIR_OK) {
        weir_free(access);
        return status == WEIR_UNSUPPORTED ? WEIR_USAGE : status;
    }
    pthread_mutex_init(&access->lock, NULL);
    catalog->granter = access;
    return WEIR_OK;
}

void rest_access_free(struct rest_catalog *catalog)
{
    struct rest_access *access = catalog->granter;
    if (!access)
        return;
    weir_status ignored = weir_store_s3_delegate(catalog->store, NULL, NULL);
    (void)ignored;
    while (access->tables) {
        struct table_access *table = access->tables;
        access->tables = table->next;
        table_free(table);
    }
    for (size_t i = 0; i < KEPT_MAX; i++)
        kept_drop(&access->kept[i]);
    pthread_mutex_destroy(&access->lock);
    weir_free(access);
    catalog->granter = NULL;
}
