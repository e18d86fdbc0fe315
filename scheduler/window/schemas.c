/* _weir/schemas/{digest of the registry's URL}/{id}.json: what the registry gave for an id. A
 * registry never changes that, so that the object is written once and never again. */
#include "scheduler/window/schemas.h"

#include "connectors/registry/registry.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint32_t id;
    const struct weir_layout *layout; /* NULL: why */
    const char *why;
};

struct schemas {
    struct weir_lake *lake;
    const struct weir_table_config *table;
    const struct weir_type *columns;
    struct weir_registry *registry;
    char folder[64];
    pthread_mutex_t lock; /* of what follows */
    struct weir_arena arena;
    struct entry *entries; /* sorted by id */
    size_t count, capacity;
    uint64_t layouts;
};

weir_status schemas_new(struct weir_lake *lake, const struct weir_table_config *table,
                        const struct weir_type *columns, struct schemas **ret_schemas,
                        struct weir_error *reterr)
{
    const struct weir_registry_config *config = &table->source->registry;
    struct weir_registry_options options = {.url = config->url,
                                            .user = config->user,
                                            .password = config->password,
                                            .bearer = config->bearer,
                                            .tls_ca_file = config->tls.ca_file,
                                            .tls_cert_file = config->tls.cert_file,
                                            .tls_key_file = config->tls.key_file,
                                            .timeout_ms = config->timeout_ms};
    struct schemas *schemas;
    char digest[33];
    WEIR_TRY(weir_alloc_zero(&lake->context->memory, 1, sizeof *schemas, &schemas, reterr));
    schemas->lake = lake;
    schemas->table = table;
    schemas->columns = columns;
    pthread_mutex_init(&schemas->lock, NULL);
    weir_arena_init(&schemas->arena, &lake->context->memory);
    weir_digest(config->url, strlen(config->url), digest);
    snprintf(schemas->folder, sizeof schemas->folder, "_weir/schemas/%s", digest);
    weir_status status = weir_registry_new(lake->context, &options, &schemas->registry, reterr);
    if (status != WEIR_OK)
        schemas_free(schemas);
    else
        *ret_schemas = schemas;
    return status;
}

void schemas_free(struct schemas *schemas)
{
    if (!schemas)
        return;
    weir_registry_free(schemas->registry);
    weir_free(schemas->entries);
    weir_arena_done(&schemas->arena);
    pthread_mutex_destroy(&schemas->lock);
    weir_free(schemas);
}

/* ---- lake and registry ---- */

/* *ret_schema NULL: the lake does not have it. */
static weir_status load(struct schemas *schemas, const char *name, json_t **ret_schema,
                        struct weir_error *reterr)
{
    struct weir_object_store *store = &schemas->lake->store;
    WEIR_AUTO(weir_buffer) text = {.account = &schemas->lake->context->memory};
    struct weir_error error = {0};
    *ret_schema = NULL;
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, &text, NULL,
                                                &error);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    if (status != WEIR_OK) {
        if (reterr)
            *reterr = error;
        weir_error_prefix(reterr, "%s", name);
        return status;
    }
    *ret_schema = json_loadb((const char *)text.data, text.size, 0, NULL);
    return *ret_schema ? WEIR_OK : weir_fail(reterr, WEIR_CORRUPT, "%s is no schema", name);
}

/* Another run may be keeping the same. */
static weir_status keep(struct schemas *schemas, const char *name, const json_t *schema,
                        struct weir_error *reterr)
{
    char *text = weir_json_text(schema);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a schema");
    weir_status status = weir_put_own(schemas->lake, name, text, strlen(text), reterr);
    free(text);
    return status == WEIR_EXISTS || status == WEIR_PRECONDITION ? WEIR_OK : status;
}

static weir_status fetch(struct schemas *schemas, uint32_t id, json_t **ret_schema,
                         struct weir_error *reterr)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%" PRIu32 ".json", schemas->folder, id);
    WEIR_TRY(load(schemas, name, ret_schema, reterr));
    if (*ret_schema)
        return WEIR_OK;
    WEIR_TRY(weir_registry_by_id(schemas->registry, id, ret_schema, reterr));
    weir_status status = keep(schemas, name, *ret_schema, reterr);
    if (status != WEIR_OK) {
        json_decref(*ret_schema);
        *ret_schema = NULL;
    }
    return status;
}

/* ---- entries ---- */

/* One text, or those it refers to and itself as branches of a union, which defines them in order.
 */
static weir_status join(const json_t *texts, struct weir_buffer *out, struct weir_error *reterr)
{
    size_t count = json_array_size(texts);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%s%s",
                                   count == 1 ? ""
                                   : i        ? ","
                                              : "[",
                                   text ? text : "", count > 1 && i + 1 == count ? "]" : ""));
    }
    return WEIR_OK;
}

static weir_status make(struct schemas *schemas, const json_t *schema, struct entry *entry,
                        struct weir_error *reterr)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    const json_t *texts = json_object_get(schema, "texts");
    WEIR_AUTO(weir_buffer) text = {.account = schemas->arena.account};
    struct weir_layout *layout;
    if (!type || strcmp(type, "AVRO") != 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "it is %.40s, not Avro",
                         type ? type : "nothing");
    WEIR_TRY(join(texts, &text, reterr));
    WEIR_TRY(weir_arena_zero(&schemas->arena, 1, sizeof *layout, &layout, reterr));
    struct weir_bytes bytes = {text.data, text.size};
    WEIR_TRY(layout_avro(&schemas->arena, schemas->table, schemas->columns, bytes,
                         json_array_size(texts) > 1, layout, reterr));
    layout->number = ++schemas->layouts;
    entry->layout = layout;
    return WEIR_OK;
}

static weir_status explain(struct schemas *schemas, struct entry *entry, const char *text,
                           struct weir_error *reterr)
{
    char *why;
    WEIR_TRY(weir_arena_print(&schemas->arena, &why, reterr, "schema id %" PRIu32 ": %s", entry->id,
                              text));
    entry->why = why;
    return WEIR_OK;
}

static weir_status insert(struct schemas *schemas, size_t at, const struct entry *entry,
                          struct weir_error *reterr)
{
    if (schemas->count == schemas->capacity) {
        size_t capacity = schemas->capacity ? schemas->capacity * 2 : 16;
        WEIR_TRY(weir_realloc(&schemas->entries, schemas->arena.account,
                              capacity * sizeof *schemas->entries, reterr));
        schemas->capacity = capacity;
    }
    memmove(schemas->entries + at + 1, schemas->entries + at,
            (schemas->count - at) * sizeof *schemas->entries);
    schemas->entries[at] = *entry;
    schemas->count++;
    return WEIR_OK;
}

static weir_status learn(struct schemas *schemas, size_t at, uint32_t id, struct weir_error *reterr)
{
    struct entry entry = {.id = id};
    struct weir_error error = {0};
    json_t *schema = NULL;
    weir_status status = fetch(schemas, id, &schema, &error);
    if (status == WEIR_OK)
        status = make(schemas, schema, &entry, &error);
    json_decref(schema);
    if (status == WEIR_NOT_FOUND)
        status = explain(schemas, &entry, "the registry does not know it", reterr);
    else if (status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED)
        status = explain(schemas, &entry, error.text, reterr);
    else if (status != WEIR_OK && reterr)
        *reterr = error;
    return status == WEIR_OK ? insert(schemas, at, &entry, reterr) : status;
}

weir_status schemas_find(struct schemas *schemas, uint32_t id,
                         const struct weir_layout **ret_layout, const char **ret_why,
                         struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&schemas->lock);
    size_t low = 0, high = schemas->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (schemas->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == schemas->count || schemas->entries[low].id != id)
        status = learn(schemas, low, id, reterr);
    if (status == WEIR_OK) {
        *ret_layout = schemas->entries[low].layout;
        *ret_why = schemas->entries[low].why;
    }
    pthread_mutex_unlock(&schemas->lock);
    return status;
}
