/* What the cluster says of itself: its id, the topics that match, and whether a topic is compacted.
 */
#include "connectors/kafka/kafka_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* topic NULL: only brokers, or every topic if `all`. The metadata is the caller's to destroy. */
static weir_status metadata_get(struct kafka_source *source, const char *topic, bool all,
                                const struct rd_kafka_metadata **ret_metadata,
                                struct weir_error *reterr)
{
    rd_kafka_t *client;
    rd_kafka_topic_t *handle = NULL;
    WEIR_TRY(kafka_query_client(source, true, &client, reterr));
    if (topic && !(handle = rd_kafka_topic_new(client, topic, NULL)))
        return weir_fail(reterr, WEIR_USAGE, "kafka: topic %s: %s", topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    struct kafka_patience patience;
    weir_status status = WEIR_OK;
    for (kafka_patience_init(&patience, source, client); status == WEIR_OK;) {
        rd_kafka_resp_err_t code = rd_kafka_metadata(client, all, handle, ret_metadata,
                                                     patience.slice_ms);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_words_clear(source);
            break;
        }
        status = kafka_patience_again(&patience, code, reterr, "asking for metadata");
    }
    if (handle)
        rd_kafka_topic_destroy(handle);
    return status;
}

weir_status kafka_cluster_id(void *self, char ret_text[128], struct weir_error *reterr)
{
    struct kafka_source *source = self;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_t *client;
    WEIR_TRY(kafka_query_client(source, true, &client, reterr));
    WEIR_TRY(metadata_get(source, NULL, false, &metadata, reterr));
    rd_kafka_metadata_destroy(metadata);
    char *id = rd_kafka_clusterid(client, 0); /* kept by librdkafka from that very answer */
    snprintf(ret_text, 128, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(client, id);
    return WEIR_OK;
}

/* Partitions found so far. */
struct found {
    struct weir_arena *arena;
    struct weir_log_partition *at;
    size_t count, capacity;
};

static weir_status found_add(struct found *found, const struct rd_kafka_metadata_topic *topic,
                             struct weir_error *reterr)
{
    char *name;
    size_t whole = found->count + (size_t)topic->partition_cnt;
    if (whole > found->capacity) {
        struct weir_log_partition *larger;
        size_t capacity = whole * 2;
        WEIR_TRY(weir_arena_zero(found->arena, capacity, sizeof *larger, &larger, reterr));
        if (found->count)
            memcpy(larger, found->at, found->count * sizeof *larger);
        found->at = larger;
        found->capacity = capacity;
    }
    WEIR_TRY(weir_arena_copy(found->arena, topic->topic, strlen(topic->topic), &name, reterr));
    for (int i = 0; i < topic->partition_cnt; i++)
        found->at[found->count++] = (struct weir_log_partition){name, topic->partitions[i].id};
    return WEIR_OK;
}

static int partition_compare(const void *a, const void *b)
{
    const struct weir_log_partition *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);
    return order ? order
                 : (left->partition > right->partition) - (left->partition < right->partition);
}

/* Names the topic of the cluster that is spelt most like `topic`. */
static void hint_nearest(struct kafka_source *source, const char *topic, struct weir_error *reterr)
{
    const struct rd_kafka_metadata *metadata;
    const char *nearest = NULL;
    size_t least = strlen(topic) / 3 + 2;
    weir_error_hint(reterr, "create topic %s, or mend `topics`; Weir never creates topics", topic);
    if (metadata_get(source, NULL, true, &metadata, NULL) != WEIR_OK)
        return;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        size_t distance = weir_text_distance(topic, metadata->topics[i].topic);
        if (distance < least) {
            least = distance;
            nearest = metadata->topics[i].topic;
        }
    }
    if (nearest)
        weir_error_hint(reterr, "did you mean %s?", nearest);
    rd_kafka_metadata_destroy(metadata);
}

/* Adds one named topic; UNAVAILABLE means: ask again, the cluster is electing. */
static weir_status named_try(struct kafka_source *source, const char *topic, struct found *found,
                             rd_kafka_resp_err_t *ret_code, struct weir_error *reterr)
{
    const struct rd_kafka_metadata *metadata;
    WEIR_TRY(metadata_get(source, topic, false, &metadata, reterr));
    weir_status status = WEIR_OK;
    *ret_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *at = &metadata->topics[i];
        if (strcmp(at->topic, topic) != 0)
            continue;
        *ret_code = at->err;
        if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->partition_cnt == 0)
            *ret_code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        if (*ret_code == RD_KAFKA_RESP_ERR_NO_ERROR)
            status = found_add(found, at, reterr);
        break;
    }
    rd_kafka_metadata_destroy(metadata);
    return status;
}

static weir_status named_add(struct kafka_source *source, const char *topic, struct found *found,
                             struct weir_error *reterr)
{
    rd_kafka_resp_err_t code;
    struct kafka_patience patience;
    rd_kafka_t *client;
    char what[300];
    snprintf(what, sizeof what, "topic %s", topic);
    WEIR_TRY(kafka_query_client(source, true, &client, reterr));
    for (kafka_patience_init(&patience, source, client);;) {
        WEIR_TRY(named_try(source, topic, found, &code, reterr));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return WEIR_OK;
        if (kafka_is_unknown(code)) {
            weir_status status = weir_fail(reterr, WEIR_NOT_FOUND,
                                           "kafka: the cluster has no topic %s", topic);
            hint_nearest(source, topic, reterr);
            return status;
        }
        WEIR_TRY(kafka_patience_again(&patience, code, reterr, what));
    }
}

static weir_status matching_add(struct kafka_source *source, struct found *found,
                                struct weir_error *reterr)
{
    const struct rd_kafka_metadata *metadata;
    const char *pattern = source->options.topics[0];
    WEIR_TRY(metadata_get(source, NULL, true, &metadata, reterr));
    weir_status status = WEIR_OK;
    for (int i = 0; i < metadata->topic_cnt && status == WEIR_OK; i++) {
        const struct rd_kafka_metadata_topic *at = &metadata->topics[i];
        bool internal = strncmp(at->topic, "__", 2) == 0 && strncmp(pattern, "/__", 3) != 0;
        if (internal || regexec(&source->regex, at->topic, 0, NULL, 0) != 0)
            continue;
        if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = kafka_fail(source, at->err, reterr, "topic %s", at->topic);
        else
            status = found_add(found, at, reterr);
    }
    if (status == WEIR_OK && found->count == 0) {
        status = weir_fail(reterr, WEIR_NOT_FOUND, "kafka: no topic of the cluster matches %s",
                           pattern);
        weir_error_hint(reterr, "the pattern must match a whole name, such as /orders\\..*/");
    }
    rd_kafka_metadata_destroy(metadata);
    return status;
}

weir_status kafka_partitions(void *self, struct weir_arena *arena,
                             struct weir_log_partition **ret_partitions, size_t *ret_count,
                             struct weir_error *reterr)
{
    struct kafka_source *source = self;
    struct found found = {.arena = arena};
    if (source->is_regex)
        WEIR_TRY(matching_add(source, &found, reterr));
    else
        for (size_t i = 0; i < source->options.topic_count; i++)
            WEIR_TRY(named_add(source, source->options.topics[i], &found, reterr));
    qsort(found.at, found.count, sizeof *found.at, partition_compare);
    *ret_partitions = found.at;
    *ret_count = found.count;
    return WEIR_OK;
}

static weir_status policy_read(struct kafka_source *source, const char *topic,
                               rd_kafka_event_t *event, bool *ret_compacted,
                               struct weir_error *reterr)
{
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    size_t count = 0, entry_count = 0;
    if (rd_kafka_event_error(event))
        return kafka_fail(source, rd_kafka_event_error(event), reterr,
                          "asking for the configuration of topic %s", topic);
    const rd_kafka_ConfigResource_t **resources =
        result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
    if (count != 1)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "kafka: topic %s: %zu configurations came back",
                         topic, count);
    if (rd_kafka_ConfigResource_error(resources[0]))
        return kafka_fail(source, rd_kafka_ConfigResource_error(resources[0]), reterr,
                          "asking for the configuration of topic %s", topic);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0],
                                                                             &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0 && value) {
            *ret_compacted = strstr(value, "compact") != NULL;
            return WEIR_OK;
        }
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED,
                     "kafka: topic %s: the broker tells no cleanup.policy", topic);
}

weir_status kafka_is_compacted(void *self, const char *topic, bool *ret_compacted,
                               struct weir_error *reterr)
{
    struct kafka_source *source = self;
    rd_kafka_t *client;
    rd_kafka_event_t *event;
    char words[128];
    WEIR_TRY(kafka_query_client(source, true, &client, reterr));
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client,
                                                                 RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                                                      topic);
    weir_status status;
    if (rd_kafka_AdminOptions_set_request_timeout(options, (int)source->options.timeout_ms, words,
                                                  sizeof words)) {
        status = weir_fail(reterr, WEIR_USAGE, "kafka: timeout of %lld ms: %s",
                           (long long)source->options.timeout_ms, words);
        goto out;
    }
    rd_kafka_DescribeConfigs(client, &resource, 1, options, queue);
    WEIR_TRY_OUT(status, kafka_event_wait(source, queue, "asking for a topic's configuration",
                                          &event, reterr));
    status = policy_read(source, topic, event, ret_compacted, reterr);
    rd_kafka_event_destroy(event);
out:
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return status;
}
