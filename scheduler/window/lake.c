/* Opening what a pipeline file names: store, catalog, sources. The only place of the room that
 * knows which connector it holds. */
#include "scheduler/window/window.h"

#include "connectors/catalog/catalog.h"
#include "connectors/file/local.h"
#include "connectors/kafka/kafka.h"
#include "connectors/s3/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_NAME "_weir/probe.json"

/* Another's bucket, as a rule: not our account, key or client certificate. */
weir_status weir_files_store(struct weir_context *context, const struct weir_pipeline *pipeline,
                             const char *files, bool *ret_is_s3,
                             struct weir_object_store *ret_store, char ret_pattern[1024],
                             struct weir_error *reterr)
{
    char bucket[64];
    *ret_is_s3 = false;
    if (!weir_s3_uri_split(files, bucket, ret_pattern))
        return WEIR_OK;
    struct weir_s3_options options = {
        .bucket = bucket,
        .region = pipeline->s3.region ? pipeline->s3.region : pipeline->region,
        .endpoint = pipeline->s3.endpoint,
        .path_style = pipeline->s3.path_style ? WEIR_S3_ADDRESSING_PATH : WEIR_S3_ADDRESSING_AUTO,
        .tls_ca_file = pipeline->s3.tls.ca_file,
        .profile = pipeline->s3.profile,
        .role_arn = pipeline->s3.role_arn,
        .external_id = pipeline->s3.role_external_id};
    WEIR_TRY(weir_store_s3_new(context, &options, ret_store, reterr));
    *ret_is_s3 = true;
    return WEIR_OK;
}

/* What the probe was made of: store and endpoint; asked again when it changes. */
static void probe_text(const struct weir_pipeline *pipeline, const struct weir_object_store *store,
                       char *text, size_t size)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "store", store->operations->kind, "root",
                             store->root_uri, "endpoint",
                             pipeline->s3.endpoint ? pipeline->s3.endpoint : "");
    char *dump = weir_json_text(json);
    snprintf(text, size, "%s\n", dump ? dump : "");
    free(dump);
    json_decref(json);
}

static weir_status probe_once(struct weir_context *context, const struct weir_pipeline *pipeline,
                              const struct weir_object_store *store, struct weir_error *reterr)
{
    char text[2048];
    probe_text(pipeline, store, text, sizeof text);
    WEIR_AUTO(weir_buffer) old = {.account = &context->memory};
    weir_status status = store->operations->get(store->self, PROBE_NAME, 0, UINT64_MAX, &old, NULL,
                                                reterr);
    if (status == WEIR_OK && old.size == strlen(text) && memcmp(old.data, text, old.size) == 0)
        return WEIR_OK;
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        return status;
    WEIR_TRY(weir_object_store_probe(context, store, "_weir/probe/", reterr));
    return store->operations->put(store->self, PROBE_NAME, text, strlen(text), WEIR_PUT_ANY, NULL,
                                  NULL, reterr);
}

/* The catalog of a lake that nobody has written to yet, for verbs that only look: nothing is there,
 * nothing is made. */
static weir_status empty_load(void *self, const char *table, struct weir_table **ret_table,
                              struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet", table);
}

static weir_status empty_create(void *self, const char *table, const struct weir_commit *commit,
                                struct weir_table **ret_table, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_INTERNAL, "table %s: the lake was opened for looking only",
                     table);
}

static weir_status empty_commit(void *self, const struct weir_table *base,
                                const struct weir_commit *commit, struct weir_table **ret_table,
                                struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_INTERNAL, "table %s: the lake was opened for looking only",
                     base->name);
}

static weir_status empty_list(void *self, const char *namespace_name, struct weir_arena *arena,
                              char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    *ret_names = NULL;
    *ret_count = 0;
    return WEIR_OK;
}

static void empty_free(void *self) {}

static const struct weir_catalog_operations empty_operations = {
    "sqlite", empty_load, empty_create, empty_commit, empty_list, empty_free};

static weir_status open_catalog(struct weir_context *context, const struct weir_pipeline *pipeline,
                                bool for_writing, struct weir_lake *lake, struct weir_error *reterr)
{
    if (pipeline->catalog == WEIR_CATALOG_SQLITE && !for_writing &&
        access(pipeline->catalog_path, F_OK) != 0 && errno == ENOENT) {
        lake->catalog = (struct weir_catalog){&empty_operations, NULL};
        return WEIR_OK;
    }
    if (pipeline->catalog == WEIR_CATALOG_SQLITE)
        return weir_catalog_sqlite_new(context, &lake->store, pipeline->catalog_path, "weir",
                                       &lake->catalog, reterr);
    if (pipeline->catalog == WEIR_CATALOG_REST)
        return weir_catalog_rest_new(context, &lake->store, &pipeline->rest, &lake->catalog,
                                     reterr);
    return weir_catalog_object_store_new(context, &lake->store, &lake->catalog, reterr);
}

weir_status weir_lake_open(struct weir_context *context, const struct weir_pipeline *pipeline,
                           bool for_writing, struct weir_lake *ret_lake, struct weir_error *reterr)
{
    struct weir_lake *lake = ret_lake;
    *lake = (struct weir_lake){.context = context,
                               .config_digest = pipeline->digest ? pipeline->digest : ""};
    char *run_id;
    WEIR_TRY(weir_alloc(&context->memory, 37, &run_id, reterr));
    weir_random_uuid(context, run_id);
    lake->run_id = run_id;
    weir_status status = weir_pipeline_store_open(context, pipeline, &lake->store, reterr);
    /* a REST catalog is asked nothing yet, but it may be what lets us at the store */
    if (status == WEIR_OK && pipeline->catalog == WEIR_CATALOG_REST)
        status = open_catalog(context, pipeline, for_writing, lake, reterr);
    if (status == WEIR_OK && for_writing)
        status = weir_lake_check_place(pipeline, &lake->store, &lake->catalog, NULL, 0, reterr);
    if (status == WEIR_OK && for_writing)
        status = probe_once(context, pipeline, &lake->store, reterr);
    if (status == WEIR_OK && !lake->catalog.operations)
        status = open_catalog(context, pipeline, for_writing, lake, reterr);
    if (status == WEIR_OK && for_writing)
        weir_pipeline_keep_schemas(pipeline, &lake->store);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "lake %s", pipeline->warehouse);
        weir_lake_close(lake);
    }
    return status;
}

void weir_lake_close(struct weir_lake *lake)
{
    if (lake->catalog.operations)
        lake->catalog.operations->free(lake->catalog.self);
    if (lake->store.operations)
        lake->store.operations->free(lake->store.self);
    weir_free((void *)(uintptr_t)lake->run_id);
    *lake = (struct weir_lake){0};
}

weir_status weir_source_open(struct weir_context *context, const struct weir_pipeline *pipeline,
                             const struct weir_source_config *config,
                             struct weir_log_source *ret_source, struct weir_error *reterr)
{
    struct weir_kafka_property properties[256];
    size_t count = 0;
    for (; count < config->property_count && count < 250; count++)
        properties[count] = (struct weir_kafka_property){config->properties[count].key,
                                                         config->properties[count].value};
    char group[512]; /* offsets are mirrored there */
    snprintf(group, sizeof group, "weir-%s-%s", pipeline->name ? pipeline->name : "pipeline",
             config->name);
    struct weir_kafka_options options = {.topics = config->topics,
                                         .topic_count = config->topic_count,
                                         .properties = properties,
                                         .property_count = count,
                                         .group = config->group ? config->group : group,
                                         .headers = config->headers};
    weir_status status = weir_kafka_source_new(context, &options, ret_source, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "source %s", config->name);
    return status;
}
