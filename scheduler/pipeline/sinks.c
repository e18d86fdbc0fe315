/* Sinks of the pipeline file: which table, which of its changes, and who receives them. Columns can
 * only be looked at when the models are bound: scheduler/sink does. */
#include "connectors/kafka/kafka.h"
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>
#include <xxhash.h>

#define KINDS 3
static const char *const kind_names[KINDS] = {"opensearch", "webhook", "kafka"};
static const char *const key_names[KINDS] = {"id", "id", "key"};

struct sink_reading {
    struct reading *reading;
    const struct weir_pipeline *pipeline;
    struct weir_sink_config *sink;
    const struct node *node, *to; /* the sink's map, and its opensearch, webhook or kafka */
    const char *shown;            /* "sinks.alerts" */
};

/* ---- which changes ---- */

static void bind_from(struct sink_reading *at)
{
    const struct weir_pipeline *pipeline = at->pipeline;
    const struct node *from = node_get(at->node, "from");
    const char *known[256];
    size_t count = 0;
    if (!from)
        return;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        if (pipeline->tables[i].name && node_is(from, pipeline->tables[i].name))
            at->sink->from = &pipeline->tables[i];
        if (pipeline->tables[i].name && count < 256)
            known[count++] = pipeline->tables[i].name;
    }
    for (size_t i = 0; i < pipeline->model_count; i++) {
        const struct weir_model_config *model = &pipeline->models[i];
        if (model->table.name && count < 256)
            known[count++] = model->table.name;
        if (!model->table.name || !node_is(from, model->table.name))
            continue;
        at->sink->from = &model->table;
        at->sink->keys = model->keys;
        at->sink->key_count = model->key_count;
        if (model->mode == WEIR_MODEL_VIEW)
            complain(at->reading, from, 0, "a model with mode: full or merge over it has changes",
                     "%s.from: %s is a view: it has no table whose changes could be sent",
                     at->shown, model->table.name);
    }
    if (!at->sink->from)
        complain(at->reading, from, 0, suggest(at->reading, from->text, known, count),
                 "%s.from: no table %s", at->shown, node_quote(at->reading, from));
}

static void bind_changes(struct sink_reading *at)
{
    static const char *const names[] = {"insert", "update", "delete"};
    const struct node *list = node_get(at->node, "changes");
    for (int i = 0; i < 3; i++)
        at->sink->sends[i] = list == NULL;
    for (size_t i = 0; i < list_size(list); i++)
        for (int k = 0; k < 3; k++)
            if (node_is(list_item(list, i), names[k]))
                at->sink->sends[k] = true;
    if (list && list_size(list) == 0)
        complain(at->reading, list, 0, NULL, "%s.changes: none of insert, update, delete",
                 at->shown);
}

static void check_columns(struct sink_reading *at, const struct node *list, const char *what)
{
    for (size_t i = 0; i < list_size(list); i++) {
        const struct node *column = list_item(list, i);
        for (size_t k = 0; column->kind == NODE_SCALAR && k < i; k++)
            if (node_is(list_item(list, k), column->text))
                complain(at->reading, column, 0, NULL, "%s.%s: %s is here twice", at->shown, what,
                         node_quote(at->reading, column));
    }
    if (list && list_size(list) == 0)
        complain(at->reading, list, 0, NULL, "%s.%s: no column", at->shown, what);
}

/* Without a key, a row of a model cannot be told from another; one of a bronze table can, by where
 * its record came from. */
static void bind_keys(struct sink_reading *at)
{
    struct weir_sink_config *sink = at->sink;
    const char *name = key_names[sink->kind];
    const struct node *list = node_get(at->to, name);
    if (list) {
        sink->keys = get_texts(at->reading, at->to, name, &sink->key_count);
        check_columns(at, list, take_print(at->reading, "%s.%s", kind_names[sink->kind], name));
    }
    if (!sink->from || sink->key_count)
        return;
    if (!sink->from->source)
        complain(at->reading, at->to, 0, "the columns that name a row, as in [device_id]",
                 "%s.%s: %s is missing, and %s has no unique_key or group_by", at->shown,
                 kind_names[sink->kind], name, sink->from->name);
    else if (!sink->from->metadata)
        complain(at->reading, at->to, 0, "the columns that name a row, as in [record_id]",
                 "%s.%s: %s is missing, and %s has metadata: false", at->shown,
                 kind_names[sink->kind], name, sink->from->name);
}

/* ---- receivers ---- */

static void check_url(struct sink_reading *at)
{
    const struct node *url = node_get(at->to, "url");
    if (!url || url->kind != NODE_SCALAR)
        return;
    bool http = strncmp(url->text, "http://", 7) == 0,
         https = strncmp(url->text, "https://", 8) == 0;
    if ((!http && !https) || url->text[http ? 7 : 8] == '\0' || strpbrk(url->text, " \t\r\n"))
        complain(at->reading, url, 0, "as in https://host/path",
                 "%s.%s.url: expected an http or https address%s%s", at->shown,
                 kind_names[at->sink->kind],
                 url->secret || url->substituted ? "" : ", but there is ",
                 url->secret || url->substituted ? "" : node_quote(at->reading, url));
}

static struct weir_sink_tls bind_tls(struct sink_reading *at)
{
    const struct weir_tls_config tls = tls_bind(at->reading, at->pipeline, at->node, at->shown);
    return (struct weir_sink_tls){tls.ca_file, tls.cert_file, tls.key_file};
}

static void bind_auth(struct sink_reading *at, struct weir_opensearch_options *options)
{
    const struct node *auth = node_get(at->to, "auth"), *basic = node_get(auth, "basic"),
                      *sigv4 = node_get(auth, "sigv4"), *role = node_get(sigv4, "assume_role");
    if (!auth || auth->kind != NODE_MAP)
        return;
    if (auth->count != 1) {
        complain(at->reading, auth, 0, NULL,
                 "%s.opensearch.auth: one of basic, api_key, sigv4, or none", at->shown);
        return;
    }
    options->user = get_text(basic, "user");
    options->password = get_text(basic, "password");
    options->api_key = get_text(auth, "api_key");
    options->region = get_text(sigv4, "region");
    if (!options->region)
        options->region = at->pipeline->region;
    options->service = get_text(sigv4, "service");
    if (!options->service)
        options->service = "es";
    options->role_arn = get_text(role, "arn");
    options->role_external_id = get_text(role, "external_id");
    options->auth = basic              ? WEIR_OPENSEARCH_BASIC
                    : options->api_key ? WEIR_OPENSEARCH_API_KEY
                                       : WEIR_OPENSEARCH_SIGV4;
    if (options->auth == WEIR_OPENSEARCH_SIGV4 && !options->region)
        complain(at->reading, auth, 0, "auth: {sigv4: {region: eu-west-2}}",
                 "%s.opensearch.auth.sigv4: region is missing, and lake has none", at->shown);
}

static void bind_opensearch(struct sink_reading *at)
{
    struct weir_opensearch_options *options = &at->sink->opensearch;
    const struct node *index = node_get(at->to, "index");
    *options = (struct weir_opensearch_options){
        .url = get_text(at->to, "url"),
        .index = get_text(at->to, "index"),
        .batch = (size_t)get_whole(at->to, "batch", 1000),
        .timeout_ms = get_duration_ms(at->to, "timeout", 30000),
        .tls = bind_tls(at)};
    /* what OpenSearch takes for a name */
    if (options->index && (strpbrk(options->index, "\\/*?\"<>| ,#:ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
                           strchr("-_+.", options->index[0]) || strlen(options->index) > 255))
        complain(
            at->reading, index, 0,
            "lower case, not beginning with - _ + ., without \\ / * ? \" < > | , # : and space",
            "%s.opensearch.index: %s cannot be the name of an index", at->shown,
            node_quote(at->reading, index));
    bind_auth(at, options);
    check_url(at);
}

static void bind_webhook(struct sink_reading *at)
{
    struct weir_webhook_options *options = &at->sink->webhook;
    const struct node *map = node_get(at->to, "headers");
    size_t count;
    const struct weir_key_value *pairs = get_pairs(at->reading, map, &count);
    const char **headers = take(at->reading, count + 1, sizeof *headers);
    *options = (struct weir_webhook_options){
        .sink = at->sink->name,
        .table = at->sink->from ? at->sink->from->name : NULL,
        .url = get_text(at->to, "url"),
        .hmac_key = get_text(at->to, "hmac_key"),
        .headers = headers,
        .batch = (size_t)get_whole(at->to, "batch", 1),
        .timeout_ms = get_duration_ms(at->to, "timeout", 10000),
        .tls = bind_tls(at)};
    for (size_t i = 0; headers && i < count; i++) {
        static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        if (pairs[i].key[strspn(pairs[i].key, token)] || strpbrk(pairs[i].value, "\r\n"))
            complain(at->reading, map, 0, NULL,
                     "%s.webhook.headers: a name or value that no header may have", at->shown);
        else
            headers[options->header_count++] = take_print(at->reading, "%s: %s", pairs[i].key,
                                                          pairs[i].value);
    }
    if (options->hmac_key && *options->hmac_key == '\0')
        complain(at->reading, node_get_key(at->to, "hmac_key"), 0, NULL,
                 "%s.webhook.hmac_key: empty", at->shown);
    check_url(at);
}

static void bind_kafka(struct sink_reading *at)
{
    struct weir_kafka_sink_options *options = &at->sink->kafka;
    const struct node *properties = node_get(at->to, "properties");
    size_t count;
    const char *shown = take_print(at->reading, "%s.kafka", at->shown);
    const struct weir_tls_config tls = tls_bind(at->reading, at->pipeline, at->node, at->shown);
    const struct weir_key_value *pairs = login_pairs(at->reading, at->pipeline, at->to, &tls, shown,
                                                     &count);
    struct weir_kafka_property *copies = take(at->reading, count + 1, sizeof *copies);
    for (size_t i = 0; copies && i < count; i++)
        copies[i] = (struct weir_kafka_property){pairs[i].key, pairs[i].value};
    *options = (struct weir_kafka_sink_options){
        .topic = get_text(at->to, "topic"),
        .key_is_json = at->sink->key_count != 1,
        .properties = copies,
        .property_count = count,
        .batch = (size_t)get_whole(at->to, "batch", 10000),
        .timeout_ms = get_duration_ms(at->to, "timeout", 30000)};
    struct weir_error error = {0};
    if (!shown)
        return;
    check_properties(at->reading, properties, shown);
    if (properties && weir_kafka_producer_check(copies, count, &error) != WEIR_OK)
        complain(at->reading, properties, 0, *error.hint ? error.hint : NULL, "%s.properties: %s",
                 shown, error.text);
}

/* ---- all ---- */

/* What decides which changes there are and their order; not where they go. */
static void bind_digest(struct sink_reading *at)
{
    struct weir_sink_config *sink = at->sink;
    char hex[33];
    XXH128_canonical_t canonical;
    const char *text = take_print(at->reading, "%s\n%s\n%d%d%d", sink->from->name,
                                  sink->where ? sink->where : "", sink->sends[0], sink->sends[1],
                                  sink->sends[2]);
    for (size_t i = 0; text && i < sink->key_count; i++)
        text = take_print(at->reading, "%s\nkey %s", text, sink->keys[i]);
    for (size_t i = 0; text && i < sink->column_count; i++)
        text = take_print(at->reading, "%s\ncolumn %s", text, sink->columns[i]);
    if (text && sink->tells_retention) /* as it always was, without */
        text = take_print(at->reading, "%s\nretention", text);
    if (!text)
        return;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, strlen(text)));
    weir_print_hex(hex, canonical.digest, sizeof canonical.digest);
    sink->digest = take_text(at->reading, hex, 32);
}

static bool bind_kind(struct sink_reading *at, const struct node *key)
{
    int kind = -1;
    for (int i = 0; i < KINDS; i++) {
        if (!node_get_key(at->node, kind_names[i]))
            continue;
        if (kind >= 0)
            complain(at->reading, node_get_key(at->node, kind_names[i]), 0,
                     "a second sink may have the same table", "%s: %s or %s, not both", at->shown,
                     kind_names[kind], kind_names[i]);
        kind = i;
    }
    if (kind < 0)
        complain(at->reading, key, 0, NULL, "%s: expected opensearch, webhook or kafka", at->shown);
    else
        at->to = node_get(at->node, kind_names[kind]);
    at->sink->kind = kind < 0 ? 0 : (enum weir_sink_kind)kind;
    return at->to != NULL;
}

static void bind_sink(struct sink_reading *at, const struct node *key)
{
    struct weir_sink_config *sink = at->sink;
    sink->name = key->text;
    sink->location = node_location(at->reading, key);
    const struct node *where = node_get(at->node, "where");
    sink->where = where ? where->text : NULL;
    sink->where_location = where ? node_location(at->reading, where) : NULL;
    if (where && where->size > WEIR_EXPRESSION_SIZE_MAX)
        complain(at->reading, where, 0, NULL, "%s.where: larger than %u bytes", at->shown,
                 WEIR_EXPRESSION_SIZE_MAX);
    sink->max_age_ms = get_duration_ms(at->node, "max_age", 0);
    sink->tells_retention = node_is(node_get(at->node, "on_retention"), "delete");
    sink->from_latest = node_is(node_get(at->node, "start"), "latest");
    sink->tries = (int)get_whole(at->node, "tries", 5);
    bind_from(at);
    bind_changes(at);
    if (node_get(at->node, "columns"))
        sink->columns = get_texts(at->reading, at->node, "columns", &sink->column_count);
    check_columns(at, node_get(at->node, "columns"), "columns");
    if (!bind_kind(at, key))
        return;
    bind_keys(at);
    if (sink->kind == WEIR_SINK_OPENSEARCH)
        bind_opensearch(at);
    else if (sink->kind == WEIR_SINK_WEBHOOK)
        bind_webhook(at);
    else
        bind_kafka(at);
    if (sink->from)
        bind_digest(at);
}

void sinks_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root)
{
    const struct node *sinks = node_get(root, "sinks");
    size_t count = sinks ? sinks->count : 0;
    struct weir_sink_config *bound = take(reading, count + 1, sizeof *bound);
    pipeline->sinks = bound;
    for (size_t i = 0; bound && i < count; i++) {
        const struct node *key = sinks->entries[i].key;
        struct sink_reading at = {.reading = reading,
                                  .pipeline = pipeline,
                                  .sink = &bound[pipeline->sink_count],
                                  .node = sinks->entries[i].value,
                                  .shown = take_print(reading, "sinks.%s", key->text)};
        if (key->size == 0 ||
            strspn(key->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
                key->size ||
            key->size > WEIR_NAME_SIZE_MAX)
            complain(reading, key, 0, "a-z A-Z 0-9 _ -", "sinks: %s is no name of a sink",
                     node_quote(reading, key));
        if (!at.shown || at.node->kind != NODE_MAP)
            continue;
        pipeline->sink_count++;
        bind_sink(&at, key);
    }
}
