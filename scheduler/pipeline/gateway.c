/* `gateway` of the pipeline file: where it listens, whom it lets in, what it keeps. */
#include "scheduler/pipeline/pipeline_int.h"

#include <stdlib.h>
#include <string.h>

static void bind_listen(struct reading *reading, struct weir_gateway_config *gateway,
                        const struct node *map)
{
    const struct node *listen = node_get(map, "listen");
    const char *text = get_text(map, "listen"), *colon;
    text = text ? text : "127.0.0.1:8088";
    colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || colon == text || end == colon + 1 || *end || port < 0 || port > 65535) {
        complain(reading, listen, 0, "as in 127.0.0.1:8088, [::1]:8088 or *:8088",
                 "gateway.listen: expected address:port");
        return;
    }
    size_t size = (size_t)(colon - text);
    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    gateway->host = take_text(reading, text, size);
    gateway->port = (int)port;
}

static bool can_be_sent_to(const struct weir_source_config *source)
{
    return source->name && source->is_kafka && source->format &&
           strcmp(source->format, "json") == 0 && source->topic_count == 1 &&
           source->topics[0][0] != '/';
}

/* Records come in transactions: a reader that does not know it would take aborted ones too. */
static void check_source(struct reading *reading, const struct node *at,
                         const struct weir_source_config *source)
{
    if (!can_be_sent_to(source))
        complain(reading, at, 0, NULL,
                 "gateway.sources: %s is not a Kafka source of JSON records with one topic",
                 source->name);
    else if (!source->transactional)
        complain(reading, at, 0,
                 "the gateway sends in transactions, so that nothing is there twice",
                 "gateway.sources: source %s needs kafka.transactional: true", source->name);
}

static void bind_sources(struct reading *reading, struct weir_pipeline *pipeline,
                         const struct node *map)
{
    struct weir_gateway_config *gateway = &pipeline->gateway;
    const struct node *list = node_get(map, "sources");
    const char **names = take(reading, pipeline->source_count + list_size(list) + 1, sizeof *names);
    if (!names)
        return;
    gateway->sources = names;
    for (size_t i = 0; !list && i < pipeline->source_count; i++)
        if (can_be_sent_to(&pipeline->sources[i])) {
            check_source(reading, map, &pipeline->sources[i]);
            names[gateway->source_count++] = pipeline->sources[i].name;
        }
    for (size_t i = 0; i < list_size(list); i++) {
        const struct node *item = list_item(list, i);
        const struct weir_source_config *found = NULL;
        for (size_t k = 0; k < pipeline->source_count; k++)
            if (pipeline->sources[k].name && node_is(item, pipeline->sources[k].name))
                found = &pipeline->sources[k];
        if (!found)
            complain(reading, item, 0, NULL, "gateway.sources: no source %s",
                     node_quote(reading, item));
        else
            check_source(reading, item, found);
        if (found)
            names[gateway->source_count++] = found->name;
    }
    if (gateway->source_count == 0)
        complain(reading, list ? list : map, 0, NULL,
                 "gateway: there is no Kafka source of JSON records with one topic");
}

void gateway_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *root)
{
    const struct node *map = node_get(root, "gateway"), *spool = node_get(map, "spool"),
                      *tls = node_get(map, "tls"), *tokens = node_get(map, "tokens");
    struct weir_gateway_config *gateway = &pipeline->gateway;
    if (!map || map->kind != NODE_MAP)
        return;
    const char *file = get_text(spool, "file");
    *gateway = (struct weir_gateway_config){
        .given = true,
        .location = node_location(reading, map),
        .spool = get_path(reading, file ? file : "gateway.spool"),
        .spool_limit = get_size(spool, "limit", 1ull << 30),
        .drop_oldest = node_is(node_get(spool, "when_full"), "drop_oldest"),
        .body_limit = get_size(map, "body_limit", 4u << 20),
        .record_limit = get_size(map, "record_limit", 900u << 10),
        .memory = get_size(map, "memory", 256u << 20),
        .rate = get_whole(map, "rate", 0),
        .burst = get_whole(map, "burst", 0),
        .idempotency_ms = get_duration_ms(map, "idempotency", 24 * 3600 * 1000),
        .drain_ms = get_duration_ms(map, "drain", 10000),
        .tenant = get_text(map, "tenant"),
        .device = get_text(map, "device"),
        .boot = get_text(map, "boot"),
        .sequence = get_text(map, "sequence"),
        .connections = (int)get_whole(map, "connections", 1000),
        .cert_file = get_path(reading, get_text(tls, "cert_file")),
        .key_file = get_path(reading, get_text(tls, "key_file"))};
    if (!gateway->tenant)
        gateway->tenant = "tenant_id";
    if (gateway->burst == 0)
        gateway->burst = gateway->rate;
    if (tokens && tokens->kind == NODE_SCALAR && !node_is(tokens, "none"))
        gateway->tokens = get_path(reading,
                                   tokens->text + (strncmp(tokens->text, "file:", 5) == 0 ? 5 : 0));
    if (gateway->spool && strncmp(gateway->spool, "s3://", 5) == 0)
        complain(reading, node_get(spool, "file"), 0, NULL,
                 "gateway.spool.file: a file on a disk of this machine, not in a bucket");
    bind_listen(reading, gateway, map);
    bind_sources(reading, pipeline, map);
}
