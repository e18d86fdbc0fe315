/* One record at or after an offset, committed or not: what the fingerprint of a log is compared
 * with. */
#include "connectors/kafka/kafka_int.h"

#define PROBE_SLICE_MS  100
#define PROBE_AGAIN_MAX 3 /* the log start may move between asking for it and fetching */

struct probe {
    struct kafka_source *source;
    rd_kafka_t *client;
    const struct weir_log_partition *partition;
    int64_t first, wanted;
};

static weir_status probe_copy(const rd_kafka_message_t *message, struct weir_log_record *ret_record,
                              struct weir_buffer *bytes, struct weir_error *reterr)
{
    struct weir_log_record record;
    kafka_record_of(message, /* headers= */ false, &record);
    weir_buffer_clear(bytes);
    WEIR_TRY(weir_buffer_reserve(bytes, record.key.size + record.value.size + 1, reterr));
    WEIR_TRY(weir_buffer_append(bytes, record.key.data, record.key.size, reterr));
    WEIR_TRY(weir_buffer_append(bytes, record.value.data, record.value.size, reterr));
    if (record.key.data)
        record.key.data = bytes->data;
    if (record.value.data)
        record.value.data = bytes->data + record.key.size;
    *ret_record = record;
    return WEIR_OK;
}

/* *ret_moved: the log start moved under it; ask anew. */
static weir_status probe_message(struct probe *probe, const rd_kafka_message_t *message,
                                 bool *ret_done, bool *ret_moved,
                                 struct weir_log_record *ret_record, struct weir_buffer *bytes,
                                 struct weir_error *reterr)
{
    const struct weir_log_partition *partition = probe->partition;
    *ret_done = true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_done = message->offset >= probe->wanted;
        return *ret_done ? probe_copy(message, ret_record, bytes, reterr) : WEIR_OK;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return weir_fail(reterr, WEIR_NOT_FOUND, "kafka: %s %d: no record at or after offset %lld",
                         partition->topic, partition->partition, (long long)probe->wanted);
    if (kafka_status_of(message->err) == WEIR_DECISION) {
        *ret_moved = true;
        return WEIR_OK;
    }
    if (kafka_status_of(message->err) == WEIR_UNAVAILABLE) {
        *ret_done = false;
        return WEIR_OK;
    }
    return kafka_fail(probe->source, message->err, reterr, "%s %d: reading offset %lld",
                      partition->topic, partition->partition, (long long)probe->wanted);
}

static weir_status probe_fetch(struct probe *probe, rd_kafka_topic_t *topic, bool *ret_moved,
                               struct weir_log_record *ret_record, struct weir_buffer *bytes,
                               struct weir_error *reterr)
{
    struct kafka_source *source = probe->source;
    int64_t until = weir_steady_ms(source->context) + source->options.timeout_ms;
    for (bool done = false; !done;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, probe->partition->partition,
                                                       PROBE_SLICE_MS);
        if (message) {
            weir_status status = probe_message(probe, message, &done, ret_moved, ret_record, bytes,
                                               reterr);
            rd_kafka_message_destroy(message);
            WEIR_TRY(status);
            continue;
        }
        rd_kafka_poll(probe->client, 0);
        WEIR_TRY(weir_context_check(source->context, reterr));
        if (weir_steady_ms(source->context) >= until)
            return kafka_fail(source, RD_KAFKA_RESP_ERR__TIMED_OUT, reterr,
                              "%s %d: reading offset %lld", probe->partition->topic,
                              probe->partition->partition, (long long)probe->wanted);
    }
    return WEIR_OK;
}

static weir_status probe_once(struct probe *probe, bool *ret_moved,
                              struct weir_log_record *ret_record, struct weir_buffer *bytes,
                              struct weir_error *reterr)
{
    const struct weir_log_partition *partition = probe->partition;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(probe->client, partition->topic, NULL);
    weir_status status;
    if (!topic)
        return kafka_fail(probe->source, rd_kafka_last_error(), reterr, "topic %s",
                          partition->topic);
    if (rd_kafka_consume_start(topic, partition->partition, probe->first) != 0) {
        status = kafka_fail(probe->source, rd_kafka_last_error(), reterr, "%s %d: reading",
                            partition->topic, partition->partition);
    } else {
        status = probe_fetch(probe, topic, ret_moved, ret_record, bytes, reterr);
        rd_kafka_consume_stop(topic, partition->partition);
    }
    rd_kafka_topic_destroy(topic);
    return status;
}

static weir_status probe_run(struct probe *probe, struct weir_log_record *ret_record,
                             struct weir_buffer *bytes, struct weir_error *reterr)
{
    for (int again = 0; again < PROBE_AGAIN_MAX; again++) {
        int64_t first, end;
        bool moved = false;
        WEIR_TRY(kafka_list_offsets(probe->source, false, probe->partition, 1,
                                    RD_KAFKA_OFFSET_BEGINNING, &first, reterr));
        WEIR_TRY(kafka_list_offsets(probe->source, false, probe->partition, 1, RD_KAFKA_OFFSET_END,
                                    &end, reterr));
        if (probe->wanted >= end || first >= end)
            return weir_fail(
                reterr, WEIR_NOT_FOUND,
                "kafka: %s %d: no record at or after offset %lld, the log ends at %lld",
                probe->partition->topic, probe->partition->partition, (long long)probe->wanted,
                (long long)end);
        probe->first = probe->wanted > first ? probe->wanted : first;
        WEIR_TRY(probe_once(probe, &moved, ret_record, bytes, reterr));
        if (!moved)
            return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE,
                     "kafka: %s %d: the log start moves faster than it can be read",
                     probe->partition->topic, probe->partition->partition);
}

weir_status kafka_read_one(void *self, const struct weir_log_partition *partition, int64_t offset,
                           struct weir_log_record *ret_record, struct weir_buffer *bytes,
                           struct weir_error *reterr)
{
    struct kafka_source *source = self;
    struct probe probe = {
        .source = source, .partition = partition, .wanted = offset < 0 ? 0 : offset};
    WEIR_TRY(kafka_query_client(source, /* committed= */ false, &probe.client, reterr));
    pthread_mutex_lock(&source->probe_lock);
    weir_status status = probe_run(&probe, ret_record, bytes, reterr);
    pthread_mutex_unlock(&source->probe_lock);
    return status;
}
