/* The Kafka log source: opened, closed, and its table of functions. Where to start reading. */
#include "connectors/kafka/kafka_int.h"

#include <string.h>

static weir_status text_copy(struct kafka_source *source, const char *text, const char **ret_copy,
                             struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(&source->arena, text, strlen(text), &copy, reterr));
    *ret_copy = copy;
    return WEIR_OK;
}

static weir_status properties_copy(struct kafka_source *source,
                                   const struct weir_kafka_options *options,
                                   struct weir_error *reterr)
{
    struct weir_kafka_property *copies;
    WEIR_TRY(
        weir_arena_zero(&source->arena, options->property_count, sizeof *copies, &copies, reterr));
    source->user = source->password = "";
    for (size_t i = 0; i < options->property_count; i++) {
        WEIR_TRY(text_copy(source, options->properties[i].key, &copies[i].key, reterr));
        WEIR_TRY(text_copy(source, options->properties[i].value, &copies[i].value, reterr));
        if (strcmp(copies[i].key, "sasl.username") == 0)
            source->user = copies[i].value;
        else if (strcmp(copies[i].key, "sasl.password") == 0)
            source->password = copies[i].value;
    }
    source->options.properties = copies;
    return WEIR_OK;
}

static weir_status options_copy(struct kafka_source *source,
                                const struct weir_kafka_options *options, struct weir_error *reterr)
{
    const char **topics;
    source->options = *options;
    WEIR_TRY(properties_copy(source, options, reterr));
    WEIR_TRY(
        weir_arena_zero(&source->arena, options->topic_count, sizeof *topics, &topics, reterr));
    for (size_t i = 0; i < options->topic_count; i++)
        WEIR_TRY(text_copy(source, options->topics[i], &topics[i], reterr));
    source->options.topics = topics;
    if (options->group)
        WEIR_TRY(text_copy(source, options->group, &source->options.group, reterr));
    if (options->timeout_ms <= 0)
        source->options.timeout_ms = WEIR_KAFKA_TIMEOUT_MS;
    if (source->options.timeout_ms > 3600 * 1000) /* librdkafka's own limit for a request */
        source->options.timeout_ms = 3600 * 1000;
    if (kafka_topic_is_regex(topics[0])) {
        WEIR_TRY(kafka_regex_compile(topics[0], &source->regex, reterr));
        source->is_regex = true;
    }
    return WEIR_OK;
}

static void source_free(void *self)
{
    struct kafka_source *source = self;
    if (!source)
        return;
    for (int committed = 0; committed < 2; committed++) {
        if (source->idle[committed].client)
            rd_kafka_destroy(source->idle[committed].client);
        if (source->query[committed])
            rd_kafka_destroy(source->query[committed]);
    }
    if (source->is_regex)
        regfree(&source->regex);
    pthread_mutex_destroy(&source->words.lock);
    pthread_mutex_destroy(&source->lock);
    pthread_mutex_destroy(&source->probe_lock);
    weir_arena_done(&source->arena);
    weir_free(source);
}

static weir_status source_headers(void *self, const struct weir_log_record *record,
                                  struct weir_arena *arena, struct weir_bytes (**ret_pairs)[2],
                                  size_t *ret_count, struct weir_error *reterr)
{
    rd_kafka_headers_t *headers;
    struct weir_bytes(*pairs)[2] = NULL;
    size_t count = 0;
    const rd_kafka_message_t *message = record->headers;
    rd_kafka_resp_err_t code = message ? rd_kafka_message_headers(message, &headers)
                                       : RD_KAFKA_RESP_ERR__NOENT;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NOENT)
        return weir_fail(reterr, WEIR_CORRUPT, "kafka: headers at offset %lld: %s",
                         (long long)record->offset, rd_kafka_err2str(code));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        count = rd_kafka_header_cnt(headers);
    if (count)
        WEIR_TRY(weir_arena_zero(arena, count, sizeof *pairs, &pairs, reterr));
    for (size_t i = 0; i < count; i++) {
        const char *key;
        const void *value;
        size_t size;
        char *copy;
        if (rd_kafka_header_get_all(headers, i, &key, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return weir_fail(reterr, WEIR_CORRUPT,
                             "kafka: header %zu at offset %lld cannot be read", i,
                             (long long)record->offset);
        WEIR_TRY(weir_arena_copy(arena, key, strlen(key), &copy, reterr));
        pairs[i][0] = (struct weir_bytes){(const uint8_t *)copy, strlen(key)};
        if (!value)
            continue; /* a null value: data NULL */
        WEIR_TRY(weir_arena_copy(arena, value, size, &copy, reterr));
        pairs[i][1] = (struct weir_bytes){(const uint8_t *)copy, size};
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return WEIR_OK;
}

static const struct weir_log_source_operations operations = {
    .cluster_id = kafka_cluster_id,
    .partitions = kafka_partitions,
    .offsets = kafka_offsets,
    .offsets_for_time = kafka_offsets_for_time,
    .is_compacted = kafka_is_compacted,
    .read_begin = kafka_read_begin,
    .read_next = kafka_read_next,
    .release = kafka_release,
    .read_end = kafka_read_end,
    .read_one = kafka_read_one,
    .mirror = kafka_mirror,
    .headers = source_headers,
    .free = source_free,
};

weir_status weir_kafka_source_new(struct weir_context *context,
                                  const struct weir_kafka_options *options,
                                  struct weir_log_source *ret_source, struct weir_error *reterr)
{
    struct kafka_source *source;
    WEIR_TRY(weir_kafka_check(options, reterr));
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *source, &source, reterr));
    source->context = context;
    weir_account_init(&source->memory, &context->memory, "kafka", 0);
    weir_arena_init(&source->arena, &source->memory);
    pthread_mutex_init(&source->words.lock, NULL);
    pthread_mutex_init(&source->lock, NULL);
    pthread_mutex_init(&source->probe_lock, NULL);
    weir_status status = options_copy(source, options, reterr);
    rd_kafka_t *client;
    if (status ==
        WEIR_OK) /* properties that contradict each other are found now, not at the first window */
        status = kafka_query_client(source, true, &client, reterr);
    if (status != WEIR_OK) {
        source_free(source);
        return status;
    }
    *ret_source = (struct weir_log_source){&operations, source};
    return WEIR_OK;
}
