/* Namespaces and tables of a REST catalog by name: paths, namespaces made when they are missing,
 * listings page by page. */
#include "connectors/catalog/rest_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- paths ------------------------------------------------------------------------------------
 */

/* Levels joined by the server's separator, each encoded. */
static weir_status space_print(const struct rest_catalog *catalog, const char *space,
                               struct weir_buffer *out, struct weir_error *reterr)
{
    for (const char *part = space;;) {
        size_t size = strcspn(part, ".");
        WEIR_TRY(weir_http_escape(out, part, size, false, reterr));
        if (!part[size])
            return WEIR_OK;
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", catalog->separator));
        part += size + 1;
    }
}

weir_status rest_path(struct rest_catalog *catalog, const char *space, const char *table,
                      struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr, "%snamespaces/", catalog->prefix));
    WEIR_TRY(space_print(catalog, space, out, reterr));
    if (!table)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(out, reterr, "/tables/"));
    return weir_http_escape(out, table, strlen(table), false, reterr);
}

json_t *rest_levels(const char *space, size_t size)
{
    json_t *levels = json_array();
    for (size_t start = 0, at = 0; at <= size; at++)
        if (at == size || space[at] == '.') {
            json_array_append_new(levels, json_stringn(space + start, at - start));
            start = at + 1;
        }
    return levels;
}

/* ---- making a namespace -----------------------------------------------------------------------
 */

static weir_status namespace_look(struct rest_catalog *catalog, const char *space, bool *ret_there,
                                  struct weir_error *reterr)
{
    struct rest_answer answer;
    WEIR_AUTO(weir_buffer) path = {.account = &catalog->context->memory};
    char doing[700];
    snprintf(doing, sizeof doing, "looking for namespace %.600s", space);
    WEIR_TRY(rest_path(catalog, space, NULL, &path, reterr));
    struct rest_request request = {
        .method = "GET", .path = (const char *)path.data, .doing = doing};
    WEIR_TRY(rest_ask(catalog, &request, &answer, reterr));
    /* Who may not look may all the same make tables in it. */
    *ret_there = (answer.code >= 200 && answer.code <= 299) || answer.code == 403;
    weir_status status = *ret_there || (answer.code == 404 && answer.is_error)
                             ? WEIR_OK
                             : rest_refusal(catalog, &request, &answer, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

/* The first `size` bytes of space. 409: somebody else made it. */
static weir_status namespace_post(struct rest_catalog *catalog, const char *space, size_t size,
                                  struct weir_error *reterr)
{
    struct rest_answer answer;
    char doing[700], path[1100];
    snprintf(doing, sizeof doing, "making namespace %.*s", (int)(size < 600 ? size : 600), space);
    snprintf(path, sizeof path, "%snamespaces", catalog->prefix);
    json_t *body = json_pack("{s:o, s:{}}", "namespace", rest_levels(space, size), "properties");
    if (!body)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory to name a namespace");
    struct rest_request request = {.method = "POST", .path = path, .body = body, .doing = doing};
    weir_status status = weir_effect_before(catalog->context, "put", doing, reterr);
    if (status == WEIR_OK) {
        status = rest_ask(catalog, &request, &answer, reterr);
        if (weir_effect_after(catalog->context) && status == WEIR_OK) {
            rest_answer_done(catalog, &answer);
            status = weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s: the catalog's answer was lost",
                               doing);
        }
    }
    json_decref(body);
    WEIR_TRY(status);
    if (answer.code != 409 && (answer.code < 200 || answer.code > 299))
        status = rest_refusal(catalog, &request, &answer, reterr);
    rest_answer_done(catalog, &answer);
    return status;
}

weir_status rest_namespace_make(struct rest_catalog *catalog, const char *space,
                                struct weir_error *reterr)
{
    bool there;
    WEIR_TRY(namespace_look(catalog, space, &there, reterr));
    for (size_t at = 0; !there; at++)
        if (space[at] == '.' || !space[at]) { /* from the outermost level inwards */
            WEIR_TRY(namespace_post(catalog, space, at, reterr));
            there = !space[at];
        }
    return WEIR_OK;
}

/* ---- listing ----------------------------------------------------------------------------------
 */

struct listing {
    struct rest_catalog *catalog;
    struct weir_arena *arena; /* the caller's: names */
    char **names;
    size_t count, capacity;
};

static weir_status name_add(struct listing *listing, const char *name, struct weir_error *reterr)
{
    char **more;
    if (listing->count == REST_TABLES_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a catalog of more than %d tables",
                         REST_TABLES_MAX);
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? 2 * listing->capacity : 16;
        WEIR_TRY(weir_arena_alloc(listing->arena, listing->capacity * sizeof *more, &more, reterr));
        if (listing->count)
            memcpy(more, listing->names, listing->count * sizeof *more);
        listing->names = more;
    }
    return weir_arena_copy(listing->arena, name, strlen(name), &listing->names[listing->count++],
                           reterr);
}

/* "a.b" of ["a", "b"]; false if it is no list of names that Weir can write so. */
static bool join(const json_t *levels, struct weir_buffer *out)
{
    bool good = json_array_size(levels) > 0;
    for (size_t i = 0; good && i < json_array_size(levels); i++) {
        const char *level = json_string_value(json_array_get(levels, i));
        good = level && *level && !strchr(level, '.') &&
               weir_buffer_print(out, NULL, "%s%s", i ? "." : "", level) == WEIR_OK;
    }
    return good;
}

typedef weir_status (*on_entry)(struct listing *listing, const json_t *entry, void *argument,
                                struct weir_error *reterr);

static weir_status page_query(struct rest_catalog *catalog, const char *parent, const char *token,
                              struct weir_buffer *query, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(query, reterr, "pageToken="));
    WEIR_TRY(weir_http_escape(query, token, strlen(token), false, reterr));
    if (!parent || !*parent)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(query, reterr, "&parent="));
    return space_print(catalog, parent, query, reterr);
}

/* One page; *token is what to ask with, then for the next page, NULL after the last. */
static weir_status page_read(struct listing *listing, const char *path, const char *parent,
                             const char *field, char **token, struct weir_arena *arena,
                             on_entry take, void *argument, struct weir_error *reterr)
{
    struct rest_catalog *catalog = listing->catalog;
    struct rest_answer answer;
    WEIR_AUTO(weir_buffer) query = {.account = &catalog->context->memory};
    WEIR_TRY(page_query(catalog, parent, *token, &query, reterr));
    struct rest_request request = {.method = "GET",
                                   .path = path,
                                   .query = (const char *)query.data,
                                   .doing = "listing tables"};
    WEIR_TRY(rest_ask(catalog, &request, &answer, reterr));
    const char *next = json_string_value(json_object_get(answer.json, "next-page-token"));
    const json_t *entries = json_object_get(answer.json, field);
    weir_status status = WEIR_OK;
    if (answer.code == 404 && answer.is_error)
        next = NULL; /* no such namespace: nothing in it */
    else if (answer.code != 200)
        status = rest_refusal(catalog, &request, &answer, reterr);
    else if (!json_is_array(entries))
        status = weir_fail(reterr, WEIR_CORRUPT, "catalog %s: a listing without \"%s\"",
                           catalog->uri, field);
    for (size_t i = 0; status == WEIR_OK && answer.code == 200 && i < json_array_size(entries); i++)
        status = take(listing, json_array_get(entries, i), argument, reterr);
    if (status == WEIR_OK && next && *next && strcmp(next, *token) != 0)
        status = weir_arena_copy(arena, next, strlen(next), token, reterr);
    else
        *token = NULL;
    rest_answer_done(catalog, &answer);
    return status;
}

static weir_status pages_read(struct listing *listing, const char *path, const char *parent,
                              const char *field, on_entry take, void *argument,
                              struct weir_error *reterr)
{
    struct weir_arena arena; /* of tokens */
    char *token;
    int pages = 0;
    weir_arena_init(&arena, &listing->catalog->context->memory);
    weir_status status = weir_arena_copy(&arena, "", 0, &token, reterr);
    while (status == WEIR_OK && token && pages++ < REST_PAGES_MAX)
        status = page_read(listing, path, parent, field, &token, &arena, take, argument, reterr);
    weir_arena_done(&arena);
    return status;
}

static weir_status table_take(struct listing *listing, const json_t *entry, void *argument,
                              struct weir_error *reterr)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    WEIR_AUTO(weir_buffer) whole = {.account = &listing->catalog->context->memory};
    if (!name || !*name || strchr(name, '.') || !join(json_object_get(entry, "namespace"), &whole))
        return WEIR_OK; /* a name that no table of Weir's has */
    WEIR_TRY(weir_buffer_print(&whole, reterr, ".%s", name));
    return name_add(listing, (const char *)whole.data, reterr);
}

static weir_status tables_list(struct listing *listing, const char *space,
                               struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) path = {.account = &listing->catalog->context->memory};
    WEIR_TRY(rest_path(listing->catalog, space, NULL, &path, reterr));
    WEIR_TRY(weir_buffer_print(&path, reterr, "/tables"));
    return pages_read(listing, (const char *)path.data, NULL, "identifiers", table_take, NULL,
                      reterr);
}

struct below {
    const char *parent;
    int level;
};

static weir_status spaces_list(struct listing *listing, struct below *below,
                               struct weir_error *reterr);

static weir_status space_take(struct listing *listing, const json_t *entry, void *argument,
                              struct weir_error *reterr)
{
    const struct below *above = argument;
    WEIR_AUTO(weir_buffer) space = {.account = &listing->catalog->context->memory};
    /* some servers list all levels at once, whatever was asked: each namespace once */
    if ((int)json_array_size(entry) != above->level + 1 || !join(entry, &space))
        return WEIR_OK;
    size_t size = strlen(above->parent);
    if (size &&
        (strncmp((const char *)space.data, above->parent, size) != 0 || space.data[size] != '.'))
        return WEIR_OK;
    WEIR_TRY(tables_list(listing, (const char *)space.data, reterr));
    struct below below = {(const char *)space.data, above->level + 1};
    return below.level < REST_LEVELS_MAX ? spaces_list(listing, &below, reterr) : WEIR_OK;
}

static weir_status spaces_list(struct listing *listing, struct below *below,
                               struct weir_error *reterr)
{
    char path[1100];
    snprintf(path, sizeof path, "%snamespaces", listing->catalog->prefix);
    return pages_read(listing, path, below->parent, "namespaces", space_take, below, reterr);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

weir_status rest_list(void *self, const char *namespace_name, struct weir_arena *arena,
                      char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    struct rest_catalog *catalog = self;
    struct listing listing = {.catalog = catalog, .arena = arena};
    struct below below = {"", 0};
    WEIR_TRY(rest_configure(catalog, reterr));
    WEIR_TRY(*namespace_name ? tables_list(&listing, namespace_name, reterr)
                             : spaces_list(&listing, &below, reterr));
    if (listing.count)
        qsort(listing.names, listing.count, sizeof *listing.names, compare_names);
    *ret_names = listing.names;
    *ret_count = listing.count;
    return WEIR_OK;
}
