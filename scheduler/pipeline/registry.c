/* Schema registries of the pipeline file, and the columns of tables that are declared there. */
#include "connectors/registry/registry.h"

#include "engine/base/text.h"
#include "scheduler/pipeline/pipeline_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void registry_bind(struct reading *reading, const struct weir_pipeline *pipeline,
                   struct weir_registry_config *registry, const struct node *node,
                   const char *shown)
{
    const struct node *auth = node_get(node, "auth"), *basic = node_get(auth, "basic");
    *registry = (struct weir_registry_config){.url = get_text(node, "url"),
                                              .user = get_text(basic, "user"),
                                              .password = get_text(basic, "password"),
                                              .bearer = get_text(auth, "bearer"),
                                              .timeout_ms = get_duration_ms(node, "timeout", 10000),
                                              .tls = tls_bind(reading, pipeline, node, shown)};
    if (auth && auth->kind == NODE_MAP && auth->count != 1)
        complain(reading, auth, 0, NULL, "%s.auth: basic, bearer, or none", shown);
    if (registry->url && strncmp(registry->url, "http://", 7) != 0 &&
        strncmp(registry->url, "https://", 8) != 0)
        complain(reading, node_get(node, "url"), 0, "https://host:port",
                 "%s.url: expected http:// or https://", shown);
}

/* ---- what was given before ---- */

/* _weir/schemas/{digest}.json in the lake. */
static const char *kept_name(struct reading *reading, const char *url, const char *subject,
                             int version)
{
    char *name = take_print(reading, "%s %s %d", url, subject, version);
    if (!name)
        return NULL;
    return take_print(reading, "_weir/schemas/%016llx.json",
                      (unsigned long long)XXH3_64bits(name, strlen(name)));
}

static void remember(struct reading *reading, struct weir_pipeline *pipeline, const char *name,
                     const json_t *schema)
{
    struct weir_kept_schema *kept = take(reading, 1, sizeof *kept);
    char *text = json_dumps(schema, JSON_COMPACT | JSON_SORT_KEYS);
    if (kept && text)
        *kept = (struct weir_kept_schema){name, take_text(reading, text, strlen(text)),
                                          pipeline->kept_schemas};
    if (kept && text && kept->text)
        pipeline->kept_schemas = kept;
    free(text);
}

/* What the lake has, while the registry is away; NULL: nothing, or the lake is away too. New
 * reference. */
static json_t *recall(struct reading *reading, const struct weir_pipeline *pipeline,
                      const char *name)
{
    struct weir_object_store store;
    json_t *schema = NULL;
    WEIR_AUTO(weir_buffer) text = {.account = &reading->context->memory};
    if (!name || !pipeline->warehouse ||
        weir_pipeline_store_open(reading->context, pipeline, &store, NULL) != WEIR_OK)
        return NULL;
    if (store.operations->get(store.self, name, 0, UINT64_MAX, &text, NULL, NULL) == WEIR_OK)
        schema = json_loadb((const char *)text.data, text.size, 0, NULL);
    store.operations->free(store.self);
    return schema;
}

/* Best effort: one that cannot be kept costs nothing but the registry's next pause. */
void weir_pipeline_keep_schemas(const struct weir_pipeline *pipeline,
                                const struct weir_object_store *store)
{
    for (const struct weir_kept_schema *kept = pipeline->kept_schemas; kept; kept = kept->next)
        (void)!store->operations->put(store->self, kept->name, kept->text, strlen(kept->text),
                                      WEIR_PUT_ANY, NULL, NULL, NULL);
}

/* ---- columns ---- */

static bool columns_of(struct reading *reading, const struct node *at, const char *shown,
                       const json_t *schema, struct weir_table_config *table)
{
    const json_t *texts = json_object_get(schema, "texts");
    const char *type = json_string_value(json_object_get(schema, "type"));
    size_t count = json_array_size(texts);
    json_t **parsed = take(reading, count + 1, sizeof(*parsed));
    bool good = parsed != NULL && count > 0;
    for (size_t i = 0; good && i < count; i++) {
        const json_t *text = json_array_get(texts, i);
        json_error_t error;
        parsed[i] = json_loadb(json_string_value(text), json_string_length(text),
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        good = parsed[i] != NULL;
        if (!good)
            complain(reading, at, 0, NULL, "%s: the schema is no JSON: %s", shown, error.text);
    }
    if (good && type && strcmp(type, "AVRO") == 0)
        good = avsc_columns(reading, at, shown, parsed, count, table);
    else if (good && type && strcmp(type, "JSON") == 0 && count == 1)
        good = json_schema_columns(reading, at, shown, parsed[0], &table->columns);
    else if (good) {
        complain(reading, at, 0, NULL, "%s: a schema of type %.40s%s; Avro or JSON Schema", shown,
                 type ? type : "", count > 1 ? " that refers to others" : "");
        good = false;
    }
    for (size_t i = 0; parsed && i < count; i++)
        json_decref(parsed[i]);
    return good;
}

static weir_status ask(struct reading *reading, const struct weir_registry_config *config,
                       const char *subject, int version, json_t **ret_schema,
                       struct weir_error *reterr)
{
    struct weir_registry_options options = {.url = config->url,
                                            .user = config->user,
                                            .password = config->password,
                                            .bearer = config->bearer,
                                            .tls_ca_file = config->tls.ca_file,
                                            .tls_cert_file = config->tls.cert_file,
                                            .tls_key_file = config->tls.key_file,
                                            .timeout_ms = config->timeout_ms};
    struct weir_registry *registry;
    WEIR_TRY(weir_registry_new(reading->context, &options, &registry, reterr));
    weir_status status = weir_registry_by_subject(registry, subject, version, ret_schema, reterr);
    weir_registry_free(registry);
    return status;
}

void registry_columns(struct reading *reading, struct weir_pipeline *pipeline,
                      const struct node *node, const char *shown, struct weir_table_config *table)
{
    struct weir_registry_config config;
    struct weir_error error = {0};
    const char *subject = get_text(node, "subject");
    int version = (int)get_whole(node, "version", 0);
    json_t *schema = NULL;
    registry_bind(reading, pipeline, &config, node, shown);
    if (!config.url || !subject || reading->complaint_count || reading->status != WEIR_OK)
        return;
    const char *name = kept_name(reading, config.url, subject, version);
    weir_status status = ask(reading, &config, subject, version, &schema, &error);
    if (status == WEIR_OK && name)
        remember(reading, pipeline, name, schema);
    if (status == WEIR_UNAVAILABLE)
        schema = recall(reading, pipeline, name);
    if (schema) {
        columns_of(reading, node, shown, schema, table);
    } else if (status == WEIR_NOT_FOUND || status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED) {
        complain(reading, node_get(node, "subject"), 0, NULL, "%s: %s", shown, error.text);
    } else {
        reading->status = status;
        reading->error = error;
        weir_error_prefix(&reading->error, "%s", shown);
    }
    json_decref(schema);
}
