/* OpenLineage events and their sender. */
#include "scheduler/promote/openlineage.h"

#include "connectors/http/http.h"
#include "connectors/kafka/kafka.h"
#include "engine/base/text.h"
#include "scheduler/promote/model_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCER   "urn:weir:0.1.0"
#define SPEC       "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
#define FACET      "https://openlineage.io/spec/facets/"
#define TABLES_MAX 256 /* inputs of one event */

struct weir_openlineage {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    struct weir_graph *graph;
    struct weir_http_client *client;
    char *url, *authorization;
    int64_t sent, failed;
    bool away;
};

/* ---- datasets ---- */

static json_t *facet(const char *schema)
{
    return json_pack("{s:s, s:s+}", "_producer", PRODUCER, "_schemaURL", FACET, schema);
}

/* OpenLineage names things by where they are: s3://bucket and the rest, or file and a path. */
static json_t *placed(const char *uri)
{
    if (strncmp(uri, "s3://", 5) == 0) {
        size_t size = 5 + strcspn(uri + 5, "/");
        return json_pack("{s:s%, s:s}", "namespace", uri, size, "name",
                         uri[size] ? uri + size + 1 : "");
    }
    return json_pack("{s:s, s:s}", "namespace", "file", "name", uri);
}

static json_t *table_dataset(const struct weir_pipeline *pipeline,
                             const struct weir_graph_table *table)
{
    char uri[4096];
    snprintf(uri, sizeof uri, "%s/%s/%s", pipeline->warehouse, table->layer,
             table->config->short_name);
    json_t *dataset = placed(uri), *symlinks = facet("1-0-1/SymlinksDatasetFacet.json"
                                                     "#/$defs/SymlinksDatasetFacet");
    json_object_set_new(symlinks, "identifiers",
                        json_pack("[{s:s, s:s, s:s}]", "namespace", pipeline->warehouse, "name",
                                  table->name, "type", "TABLE"));
    json_object_set_new(dataset, "facets", json_pack("{s:o}", "symlinks", symlinks));
    return dataset;
}

/* The first of the brokers names the cluster. */
static void kafka_place(const char *key, const char *value, char ret_place[300])
{
    if (strcmp(key, "bootstrap.servers") == 0)
        snprintf(ret_place, 300, "kafka://%.*s", (int)strcspn(value, ","), value);
}

static void add_kafka(const struct weir_source_config *source, json_t *inputs)
{
    char server[300] = "kafka://";
    for (size_t i = 0; i < source->property_count; i++)
        kafka_place(source->properties[i].key, source->properties[i].value, server);
    for (size_t i = 0; i < source->topic_count; i++)
        json_array_append_new(
            inputs, json_pack("{s:s, s:s}", "namespace", server, "name", source->topics[i]));
}

/* A receiver by its host and place; behind a webhook's host there may be a token: its sink's name.
 */
static json_t *sink_dataset(const struct weir_sink_config *sink)
{
    char place[300] = "kafka://";
    const char *url = sink->kind == WEIR_SINK_WEBHOOK ? sink->webhook.url : sink->opensearch.url,
               *name = sink->kind == WEIR_SINK_WEBHOOK      ? sink->name
                       : sink->kind == WEIR_SINK_OPENSEARCH ? sink->opensearch.index
                                                            : sink->kafka.topic;
    if (sink->kind == WEIR_SINK_KAFKA) {
        for (size_t i = 0; i < sink->kafka.property_count; i++)
            kafka_place(sink->kafka.properties[i].key, sink->kafka.properties[i].value, place);
    } else {
        const char *behind = strstr(url, "://"), *host = behind ? behind + 3 : url;
        size_t size = strcspn(host, "/?#");
        const char *user = memchr(host, '@', size), *from = user ? user + 1 : host;
        const char *scheme = sink->kind == WEIR_SINK_OPENSEARCH ? "opensearch"
                             : strncmp(url, "https", 5) == 0    ? "https"
                                                                : "http";
        snprintf(place, sizeof place, "%s://%.*s", scheme, (int)(size - (size_t)(from - host)),
                 from);
    }
    return json_pack("{s:s, s:s, s:{}}", "namespace", place, "name", name, "facets");
}

static weir_status schema_facet(struct weir_context *context, const struct weir_graph_table *table,
                                json_t *facets, struct weir_error *reterr)
{
    json_t *schema = facet("1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"),
           *fields = json_array();
    json_object_set_new(schema, "fields", fields);
    json_object_set_new(facets, "schema", schema);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct weir_graph_column *column = &table->columns[i];
        WEIR_AUTO(weir_buffer) type = {.account = &context->memory};
        WEIR_TRY(weir_type_print(&column->type, &type, reterr));
        json_t *field = json_pack("{s:s, s:s%}", "name", column->name, "type",
                                  (const char *)type.data, type.size);
        if (column->doc)
            json_object_set_new(field, "description", json_string(column->doc));
        json_array_append_new(fields, field);
    }
    return WEIR_OK;
}

static const char *subtype(enum weir_lineage_kind kind)
{
    static const char *const names[] = {"IDENTITY",    "TRANSFORMATION", "AGGREGATION",
                                        "CONDITIONAL", "WINDOW",         "FILTER",
                                        "JOIN",        "GROUP_BY",       "SORT"};
    return names[kind];
}

static json_t *field_of(const struct weir_pipeline *pipeline, const struct weir_graph_use *use)
{
    json_t *dataset = table_dataset(pipeline, use->table), *field = json_object();
    json_object_set(field, "namespace", json_object_get(dataset, "namespace"));
    json_object_set(field, "name", json_object_get(dataset, "name"));
    json_decref(dataset);
    json_object_set_new(field, "field", json_string(use->table->columns[use->column].name));
    json_object_set_new(field, "transformations",
                        json_pack("[{s:s, s:s, s:b}]", "type",
                                  weir_lineage_is_value(use->kind) ? "DIRECT" : "INDIRECT",
                                  "subtype", subtype(use->kind), "masking", use->masks != 0));
    return field;
}

static void lineage_facet(const struct weir_pipeline *pipeline,
                          const struct weir_graph_table *table, json_t *facets)
{
    json_t *lineage = facet("1-2-0/ColumnLineageDatasetFacet.json"
                            "#/$defs/ColumnLineageDatasetFacet"),
           *fields = json_object(), *rows = json_array();
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct weir_graph_column *column = &table->columns[i];
        json_t *from = json_array();
        for (uint32_t u = 0; u < column->use_count; u++)
            json_array_append_new(from, field_of(pipeline, &column->uses[u]));
        json_object_set_new(fields, column->name, json_pack("{s:o}", "inputFields", from));
    }
    for (uint32_t i = 0; i < table->row_count; i++)
        json_array_append_new(rows, field_of(pipeline, &table->rows[i]));
    json_object_set_new(lineage, "fields", fields);
    json_object_set_new(lineage, "dataset", rows);
    json_object_set_new(facets, "columnLineage", lineage);
}

/* ---- events ---- */

struct inputs {
    const struct weir_graph_table *tables[TABLES_MAX];
    size_t count;
};

/* Tables behind a name; those behind a view. The graph has no circles. */
static void gather(const struct weir_graph *graph, const struct weir_graph_table *table,
                   struct inputs *inputs)
{
    for (size_t i = 0; i < table->read_count; i++) {
        const struct weir_graph_table *read = weir_graph_find(graph, table->reads[i]);
        bool is_view = read && read->model && read->model->mode == WEIR_MODEL_VIEW, seen = false;
        if (is_view)
            gather(graph, read, inputs);
        for (size_t k = 0; k < inputs->count; k++)
            seen |= inputs->tables[k] == read;
        if (read && !is_view && !seen && inputs->count < TABLES_MAX)
            inputs->tables[inputs->count++] = read;
    }
}

static weir_status inputs_json(const struct weir_openlineage_job *job, json_t *ret_inputs,
                               struct weir_error *reterr)
{
    if (job->sink) {
        json_t *dataset = table_dataset(job->pipeline, job->table);
        json_array_append_new(ret_inputs, dataset);
        return schema_facet(job->context, job->table, json_object_get(dataset, "facets"), reterr);
    }
    const struct weir_source_config *source = job->table->config->source;
    struct inputs inputs = {0};
    gather(job->graph, job->table, &inputs);
    for (size_t i = 0; i < inputs.count; i++) {
        json_t *dataset = table_dataset(job->pipeline, inputs.tables[i]);
        json_array_append_new(ret_inputs, dataset);
        WEIR_TRY(schema_facet(job->context, inputs.tables[i], json_object_get(dataset, "facets"),
                              reterr));
    }
    if (source && source->is_kafka)
        add_kafka(source, ret_inputs);
    else if (source && source->files)
        json_array_append_new(ret_inputs, placed(source->files));
    if (job->table->model && job->table->model->files)
        json_array_append_new(ret_inputs, placed(job->table->model->files));
    return WEIR_OK;
}

static json_t *job_json(const struct weir_openlineage_job *job)
{
    const struct weir_pipeline *pipeline = job->pipeline;
    char name[600];
    snprintf(name, sizeof name, "%s.%s%s", pipeline->name ? pipeline->name : "weir",
             job->sink ? "sink." : "", job->sink ? job->sink->name : job->table->name);
    json_t *type = facet("2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet");
    json_object_update_new(type, json_pack("{s:s, s:s, s:s}", "processingType", "BATCH",
                                           "integration", "WEIR", "jobType",
                                           job->sink           ? "DELIVERY"
                                           : job->table->model ? "MODEL"
                                                               : "INGEST"));
    const char *namespace = pipeline->openlineage.namespace;
    return json_pack("{s:s, s:s, s:{s:o}}", "namespace",
                     namespace        ? namespace
                     : pipeline->name ? pipeline->name
                                      : "weir",
                     "name", name, "facets", "jobType", type);
}

static weir_status event_json(const struct weir_openlineage_job *job, const char *kind,
                              int64_t time_ms, json_t **ret_event, struct weir_error *reterr)
{
    char time[64];
    size_t size = weir_print_timestamptz(time, time_ms * 1000);
    for (size_t i = 0; i < size; i++)
        time[i] = time[i] == ' ' ? 'T' : time[i];
    json_t *output = job->sink ? sink_dataset(job->sink) : table_dataset(job->pipeline, job->table),
           *inputs = json_array(), *facets = json_object_get(output, "facets"),
           *event = json_pack("{s:s%, s:s, s:s+, s:o, s:o, s:[o]}", "eventTime", time, size,
                              "producer", PRODUCER, "schemaURL", SPEC, kind, "job", job_json(job),
                              "inputs", inputs, "outputs", output);
    weir_status status = WEIR_OK;
    if (!event)
        status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an event");
    else if (!job->sink)
        status = schema_facet(job->context, job->table, facets, reterr);
    if (status == WEIR_OK)
        status = inputs_json(job, inputs, reterr);
    if (status == WEIR_OK && !job->sink && job->table->model && !job->table->model->files)
        lineage_facet(job->pipeline, job->table, facets);
    if (status != WEIR_OK) {
        json_decref(event);
        return status;
    }
    *ret_event = event;
    return WEIR_OK;
}

weir_status weir_openlineage_job_event(const struct weir_openlineage_job *job, json_t **ret_event,
                                       struct weir_error *reterr)
{
    return event_json(job, "JobEvent", weir_now_ms(job->context), ret_event, reterr);
}

/* ---- sending ---- */

weir_status weir_openlineage_new(struct weir_context *context, const struct weir_pipeline *pipeline,
                                 struct weir_openlineage **ret_sender, struct weir_error *reterr)
{
    const struct weir_openlineage_config *config = &pipeline->openlineage;
    struct weir_openlineage *sender;
    struct weir_error error = {0};
    *ret_sender = NULL;
    if (!config->url)
        return WEIR_OK;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *sender, &sender, reterr));
    *sender = (struct weir_openlineage){.context = context, .pipeline = pipeline};
    struct weir_http_options options = {.tls_ca_file = pipeline->tls.ca_file,
                                        .tls_cert_file = pipeline->tls.cert_file,
                                        .tls_key_file = pipeline->tls.key_file,
                                        .connect_timeout_ms = config->timeout_ms};
    size_t size = strlen(config->url) + 64, key = config->api_key ? strlen(config->api_key) : 0;
    weir_status status = weir_http_client_new(context, &options, &sender->client, reterr);
    if (status == WEIR_OK)
        status = weir_alloc(&context->memory, size, &sender->url, reterr);
    if (status == WEIR_OK && config->api_key)
        status = weir_alloc(&context->memory, key + 64, &sender->authorization, reterr);
    if (status == WEIR_OK &&
        weir_graph_new(context, pipeline, NULL, &sender->graph, &error) != WEIR_OK) {
        fprintf(stderr, "weir: lineage is not told: %s\n", error.text);
        weir_openlineage_free(sender);
        return WEIR_OK;
    }
    if (status != WEIR_OK) {
        weir_openlineage_free(sender);
        return status;
    }
    size_t end = strlen(config->url);
    while (end && config->url[end - 1] == '/')
        end--;
    snprintf(sender->url, size, "%.*s/api/v1/lineage", (int)end, config->url);
    if (config->api_key)
        snprintf(sender->authorization, key + 64, "Authorization: Bearer %s", config->api_key);
    *ret_sender = sender;
    return WEIR_OK;
}

static weir_status post(struct weir_openlineage *sender, const json_t *event,
                        struct weir_error *reterr)
{
    const char *headers[] = {"Content-Type: application/json", sender->authorization};
    char *text = json_dumps(event, JSON_COMPACT);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an event");
    struct weir_http_request request = {.method = "POST",
                                        .url = sender->url,
                                        .headers = headers,
                                        .header_count = sender->authorization ? 2 : 1,
                                        .body = text,
                                        .body_size = strlen(text),
                                        .has_body = true,
                                        .timeout_ms = sender->pipeline->openlineage.timeout_ms,
                                        .response_size_max = 1 << 20};
    struct weir_http_response response = {0};
    weir_status status = weir_http_send(sender->client, &request, &response, reterr);
    if (status == WEIR_OK && (response.code < 200 || response.code > 299))
        status = weir_fail(reterr, WEIR_UNAVAILABLE, "%s answered %ld", sender->url, response.code);
    weir_http_response_done(&response);
    free(text);
    return status;
}

/* The first failure is the last try: what follows is counted as failed. */
static void send_event(struct weir_openlineage *sender, const json_t *event)
{
    struct weir_error error = {0};
    if (!sender->away && post(sender, event, &error) == WEIR_OK) {
        sender->sent++;
        return;
    }
    if (!sender->away)
        fprintf(stderr, "weir: lineage is not told for the rest of this run: %s\n", error.text);
    sender->away = true;
    sender->failed++;
}

static int64_t whole(const json_t *outcome, const char *key)
{
    return json_integer_value(json_object_get(outcome, key));
}

static void add_statistics(const json_t *outcome, json_t *event)
{
    json_t *output = json_array_get(json_object_get(event, "outputs"), 0),
           *statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet.json"
                               "#/$defs/OutputStatisticsOutputDatasetFacet");
    const json_t *delivered = json_object_get(outcome, "delivered");
    bool promoted = json_object_get(outcome, "rows_written") != NULL;
    if (delivered) {
        json_object_set_new(statistics, "rowCount",
                            json_integer(whole(delivered, "insert") + whole(delivered, "update") +
                                         whole(delivered, "delete")));
        json_object_set_new(output, "outputFacets",
                            json_pack("{s:o}", "outputStatistics", statistics));
        return;
    }
    json_object_set_new(statistics, "rowCount",
                        json_integer(whole(outcome, promoted ? "rows_written" : "landed")));
    json_object_set_new(statistics, "fileCount",
                        json_integer(whole(outcome, promoted ? "files_added" : "files")));
    if (promoted)
        json_object_set_new(statistics, "size", json_integer(whole(outcome, "bytes_written")));
    json_object_set_new(output, "outputFacets", json_pack("{s:o}", "outputStatistics", statistics));
}

static void add_version(const json_t *outcome, json_t *event)
{
    json_t *one = json_object_get(outcome, "snapshot"),
           *all = json_object_get(outcome, "snapshots"),
           *last = json_array_get(all, json_array_size(all) ? json_array_size(all) - 1 : 0),
           *facets = json_object_get(json_array_get(json_object_get(event, "outputs"), 0),
                                     "facets");
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)json_integer_value(one));
    const char *version = json_integer_value(one) ? id : json_string_value(last);
    if (!version)
        return;
    json_t *told = facet("1-0-1/DatasetVersionDatasetFacet.json"
                         "#/$defs/DatasetVersionDatasetFacet");
    json_object_set_new(told, "datasetVersion", json_string(version));
    json_object_set_new(facets, "version", told);
}

static json_t *run_json(const char *uuid, weir_status status, const struct weir_error *error)
{
    json_t *engine = facet("1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet");
    json_object_update_new(engine, json_pack("{s:s, s:s}", "version", "0.1.0", "name", "weir"));
    json_t *run = json_pack("{s:s, s:{s:o}}", "runId", uuid, "facets", "processing_engine", engine);
    if (status != WEIR_OK && error) {
        json_t *message = facet("1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet");
        json_object_update_new(
            message, json_pack("{s:s, s:s}", "message", error->text, "programmingLanguage", "SQL"));
        json_object_set_new(json_object_get(run, "facets"), "errorMessage", message);
    }
    return run;
}

static bool is_idle(const json_t *outcome, weir_status status)
{
    if (status != WEIR_OK)
        return false;
    return !outcome || json_object_get(outcome, "held_by") ||
           json_object_get(outcome, "discarded") || json_is_true(json_object_get(outcome, "idle"));
}

static const char *ending(weir_status status)
{
    if (status == WEIR_OK)
        return "COMPLETE";
    return status == WEIR_STOPPED || status == WEIR_INTERRUPTED ? "ABORT" : "FAIL";
}

static void tell(struct weir_openlineage *sender, const char *table,
                 const struct weir_sink_config *sink, const json_t *outcome, int64_t started_ms,
                 weir_status status, const struct weir_error *error)
{
    char uuid[37];
    if (!sender || is_idle(outcome, status))
        return;
    struct weir_openlineage_job job = {sender->context, sender->pipeline, sender->graph,
                                       weir_graph_find(sender->graph, table), sink};
    if (!job.table)
        return;
    weir_random_uuid(sender->context, uuid);
    for (int last = 0; last < 2; last++) {
        json_t *event;
        struct weir_error failed = {0};
        int64_t time_ms = last ? weir_now_ms(sender->context) : started_ms;
        if (event_json(&job, "RunEvent", time_ms, &event, &failed) != WEIR_OK) {
            sender->failed++;
            continue;
        }
        json_object_set_new(event, "eventType", json_string(last ? ending(status) : "START"));
        json_object_set_new(event, "run",
                            run_json(uuid, last ? status : WEIR_OK, last ? error : NULL));
        if (last && status == WEIR_OK) {
            add_statistics(outcome, event);
            if (!sink)
                add_version(outcome, event);
        }
        send_event(sender, event);
        json_decref(event);
    }
}

void weir_openlineage_tell(struct weir_openlineage *sender, const char *table,
                           const json_t *outcome, int64_t started_ms, weir_status status,
                           const struct weir_error *error)
{
    tell(sender, table, NULL, outcome, started_ms, status, error);
}

void weir_openlineage_tell_sink(struct weir_openlineage *sender,
                                const struct weir_sink_config *sink, const json_t *outcome,
                                int64_t started_ms, weir_status status,
                                const struct weir_error *error)
{
    tell(sender, sink->from->name, sink, outcome, started_ms, status, error);
}

json_t *weir_openlineage_counts(const struct weir_openlineage *sender)
{
    return sender ? json_pack("{s:I, s:I}", "sent", (json_int_t)sender->sent, "failed",
                              (json_int_t)sender->failed)
                  : NULL;
}

void weir_openlineage_free(struct weir_openlineage *sender)
{
    if (!sender)
        return;
    weir_graph_free(sender->graph);
    weir_http_client_free(sender->client);
    weir_free(sender->url);
    weir_free(sender->authorization);
    weir_free(sender);
}
