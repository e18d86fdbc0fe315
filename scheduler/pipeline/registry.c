/* Schema registries of the pipeline file, and the columns of tables that are declared there. */
#include "connectors/registry/registry.h"

#include "engine/base/text.h"
#include "scheduler/pipeline/pipeline_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define KEPT_SIZE_MAX (4u << 20)

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

/* {warehouse}/_weir/schemas/{digest}.json, of a warehouse that is a folder; NULL: nothing is kept.
 */
static const char *kept_path(struct reading *reading, const struct weir_pipeline *pipeline,
                             const char *url, const char *subject, int version)
{
    if (!pipeline->warehouse || strncmp(pipeline->warehouse, "s3://", 5) == 0)
        return NULL;
    char *name = take_print(reading, "%s %s %d", url, subject, version);
    if (!name)
        return NULL;
    return take_print(reading, "%s/_weir/schemas/%016llx.json", pipeline->warehouse,
                      (unsigned long long)XXH3_64bits(name, strlen(name)));
}

static void remember(struct reading *reading, struct weir_pipeline *pipeline, const char *path,
                     const json_t *schema)
{
    struct weir_kept_schema *kept = take(reading, 1, sizeof *kept);
    char *text = json_dumps(schema, JSON_COMPACT | JSON_SORT_KEYS);
    if (kept && text)
        *kept = (struct weir_kept_schema){path, take_text(reading, text, strlen(text)),
                                          pipeline->kept_schemas};
    if (kept && text && kept->text)
        pipeline->kept_schemas = kept;
    free(text);
}

static void keep(const struct weir_kept_schema *kept)
{
    char fresh[4096];
    int size = snprintf(fresh, sizeof fresh, "%s.%ld", kept->path, (long)getpid());
    FILE *file = size > 0 && (size_t)size < sizeof fresh ? fopen(fresh, "we") : NULL;
    if (!file)
        return;
    bool whole = fputs(kept->text, file) >= 0;
    whole &= fclose(file) == 0;
    if (!whole || rename(fresh, kept->path) != 0)
        unlink(fresh);
}

void weir_pipeline_keep_schemas(const struct weir_pipeline *pipeline)
{
    char folder[4096];
    for (const struct weir_kept_schema *kept = pipeline->kept_schemas; kept; kept = kept->next) {
        for (int deep = 0; deep < 2; deep++) {
            int size = snprintf(folder, sizeof folder, "%s/_weir%s", pipeline->warehouse,
                                deep ? "/schemas" : "");
            if (size < 0 || (size_t)size >= sizeof folder)
                return;
            mkdir(folder, 0777);
        }
        keep(kept);
    }
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
    const char *path = kept_path(reading, pipeline, config.url, subject, version);
    weir_status status = ask(reading, &config, subject, version, &schema, &error);
    if (status == WEIR_OK && path)
        remember(reading, pipeline, path, schema);
    if (status == WEIR_UNAVAILABLE && path)
        schema = json_load_file(path, 0, NULL);
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
