/* The mirror of offsets in a consumer group, for autoscalers and lag monitors: written last, read
 * by nobody here. */
#include "connectors/kafka/kafka_int.h"

#include <string.h>

struct mirror {
    struct kafka_source *source;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    const char *group;
};

static weir_status options_new(struct mirror *mirror, rd_kafka_admin_op_t kind,
                               rd_kafka_AdminOptions_t **ret_options, struct weir_error *reterr)
{
    char words[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(mirror->client, kind);
    if (rd_kafka_AdminOptions_set_request_timeout(options, (int)mirror->source->options.timeout_ms,
                                                  words, sizeof words)) {
        rd_kafka_AdminOptions_destroy(options);
        return weir_fail(reterr, WEIR_USAGE, "kafka: timeout of %lld ms: %s",
                         (long long)mirror->source->options.timeout_ms, words);
    }
    *ret_options = options;
    return WEIR_OK;
}

/* The first error of a group's answer: of the call, the group, or one of its partitions. */
static weir_status group_check(struct mirror *mirror, rd_kafka_event_t *event,
                               const rd_kafka_group_result_t **groups, size_t count,
                               const char *what, struct weir_error *reterr)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count != 1)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "kafka: group %s: %zu answers came",
                         mirror->group, count);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && rd_kafka_group_result_error(groups[0]))
        code = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(mirror->source, code, reterr, "%s group %s", what, mirror->group);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return kafka_fail(mirror->source, list->elems[i].err, reterr, "%s group %s: %s %d",
                              what, mirror->group, list->elems[i].topic, list->elems[i].partition);
    return WEIR_OK;
}

/* Sets each partition's offset in `list` to what the group has; -1001 if nothing. */
static weir_status committed_get(struct mirror *mirror, rd_kafka_topic_partition_list_t *list,
                                 struct weir_error *reterr)
{
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event;
    size_t count = 0;
    WEIR_TRY(options_new(mirror, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, &options, reterr));
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(
        mirror->group, list);
    rd_kafka_ListConsumerGroupOffsets(mirror->client, &request, 1, options, mirror->queue);
    weir_status status = kafka_event_wait(mirror->source, mirror->queue,
                                          "reading a group's offsets", &event, reterr);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
    if (status != WEIR_OK)
        return status;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **groups =
        result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;
    status = group_check(mirror, event, groups, count, "reading the offsets of", reterr);
    const rd_kafka_topic_partition_list_t *got = status == WEIR_OK
                                                     ? rd_kafka_group_result_partitions(groups[0])
                                                     : NULL;
    for (int i = 0; got && i < got->cnt; i++) {
        rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(
            list, got->elems[i].topic, got->elems[i].partition);
        if (at)
            at->offset = got->elems[i].offset;
    }
    rd_kafka_event_destroy(event);
    return status;
}

static weir_status offsets_write(struct mirror *mirror, rd_kafka_topic_partition_list_t *list,
                                 struct weir_error *reterr)
{
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event;
    size_t count = 0;
    WEIR_TRY(options_new(mirror, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, &options, reterr));
    rd_kafka_AlterConsumerGroupOffsets_t *request = rd_kafka_AlterConsumerGroupOffsets_new(
        mirror->group, list);
    rd_kafka_AlterConsumerGroupOffsets(mirror->client, &request, 1, options, mirror->queue);
    weir_status status = kafka_event_wait(mirror->source, mirror->queue,
                                          "writing a group's offsets", &event, reterr);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
    if (status != WEIR_OK)
        return status;
    const rd_kafka_AlterConsumerGroupOffsets_result_t *result =
        rd_kafka_event_AlterConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **groups =
        result ? rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &count) : NULL;
    status = group_check(mirror, event, groups, count, "writing the offsets of", reterr);
    rd_kafka_event_destroy(event);
    if (status != WEIR_OK)
        weir_error_hint(reterr, "the group must have no members of its own: give the source a "
                                "`group` that nobody else uses");
    return status;
}

static weir_status offsets_publish(struct mirror *mirror, rd_kafka_topic_partition_list_t *list,
                                   struct weir_error *reterr)
{
    struct weir_context *context = mirror->source->context;
    WEIR_TRY(weir_effect_before(context, "mirror", mirror->group, reterr));
    WEIR_TRY(offsets_write(mirror, list, reterr));
    if (weir_effect_after(context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                         "kafka: group %s: the answer to its offsets was lost", mirror->group);
    return WEIR_OK;
}

static weir_status mirror_run(struct mirror *mirror, const struct weir_log_partition *partitions,
                              const int64_t *next, size_t count, struct weir_error *reterr)
{
    rd_kafka_topic_partition_list_t *have = rd_kafka_topic_partition_list_new((int)count);
    rd_kafka_topic_partition_list_t *write = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(have, partitions[i].topic, partitions[i].partition);
    weir_status status = committed_get(mirror, have, reterr);
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        if (have->elems[i].offset < next[i]) /* never backwards; none is -1001 */
            rd_kafka_topic_partition_list_add(write, partitions[i].topic, partitions[i].partition)
                ->offset = next[i];
    if (status == WEIR_OK && write->cnt > 0)
        status = offsets_publish(mirror, write, reterr);
    rd_kafka_topic_partition_list_destroy(have);
    rd_kafka_topic_partition_list_destroy(write);
    return status;
}

weir_status kafka_mirror(void *self, const char *group, const struct weir_log_partition *partitions,
                         const int64_t *next, size_t count, struct weir_error *reterr)
{
    struct kafka_source *source = self;
    struct mirror mirror = {.source = source, .group = group ? group : source->options.group};
    if (!mirror.group || !mirror.group[0])
        return weir_fail(reterr, WEIR_USAGE, "kafka: no group to publish offsets in");
    if (count == 0)
        return WEIR_OK;
    WEIR_TRY(kafka_query_client(source, true, &mirror.client, reterr));
    mirror.queue = rd_kafka_queue_new(mirror.client);
    weir_status status = mirror_run(&mirror, partitions, next, count, reterr);
    rd_kafka_queue_destroy(mirror.queue);
    return status;
}
