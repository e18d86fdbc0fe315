/* Produces to Kafka by librdkafka: idempotent, lz4, keyed by device; in transactions when asked,
 * some of them aborted. */
#include "tools/gen/output.h"

#include <librdkafka/rdkafka.h>

#include <inttypes.h>

struct producer {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct gen_output *output;
    uint64_t delivered, failed;
    rd_kafka_resp_err_t failure; /* of the first record that failed */
};

enum { FLUSH_MS = 70000, CALL_MS = 60000 };

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (producer->failed++ == 0)
            producer->failure = message->err;
        return;
    }
    producer->delivered++;
    if (producer->output->entries == NULL)
        return;
    struct gen_entry *entry = &producer->output->entries[(uintptr_t)message->_private];
    entry->partition = message->partition;
    entry->offset = message->offset;
    entry->timestamp_ms = rd_kafka_message_timestamp(message, NULL);
}

static weir_status set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                                struct weir_error *reterr)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return weir_fail(reterr, WEIR_USAGE, "Kafka property %s=%s: %s", name, value, text);
    return WEIR_OK;
}

static weir_status set_properties(rd_kafka_conf_t *conf, const struct gen_kafka_options *options,
                                  struct weir_error *reterr)
{
    static const char *const properties[][2] = {
        {"enable.idempotence", "true"},
        {"compression.codec", "lz4"},
        {"linger.ms", "20"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "200000"},
        {"queue.buffering.max.kbytes", "262144"},
        {"log_level", "3"},
        {"message.max.bytes", "60000000"},
        {"delivery.timeout.ms", "60000"},
    };
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        WEIR_TRY(set_property(conf, properties[i][0], properties[i][1], reterr));
    WEIR_TRY(set_property(conf, "bootstrap.servers", options->brokers, reterr));
    if (options->transactional != NULL)
        WEIR_TRY(set_property(conf, "transactional.id", options->transactional, reterr));
    for (size_t i = 0; i < options->setting_count; i++) {
        const char *setting = options->settings[i], *equals = strchr(setting, '=');
        char name[128];
        if (equals == NULL || (size_t)(equals - setting) >= sizeof name)
            return weir_fail(reterr, WEIR_USAGE, "-X %s: want NAME=VALUE", setting);
        snprintf(name, sizeof name, "%.*s", (int)(equals - setting), setting);
        WEIR_TRY(set_property(conf, name, equals + 1, reterr));
    }
    return WEIR_OK;
}

static weir_status open_producer(struct producer *producer, const struct gen_kafka_options *options,
                                 struct weir_error *reterr)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    weir_status status = set_properties(conf, options, reterr);
    if (status != WEIR_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, producer);
    producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (producer->client == NULL) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_USAGE, "Kafka client: %s", text);
    }
    producer->topic = rd_kafka_topic_new(producer->client, options->topic, NULL);
    if (producer->topic == NULL)
        return weir_fail(reterr, WEIR_USAGE, "topic %s: %s", options->topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    return WEIR_OK;
}

/* A topic that is not there, or of other width than the test thinks, is said before the first
 * record. */
static weir_status check_topic(struct producer *producer, const struct gen_kafka_options *options,
                               struct weir_error *reterr)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(producer->client, 0, producer->topic, &metadata,
                                                  15000);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "%s: %s", options->brokers,
                         rd_kafka_err2str(error));
    weir_status status = WEIR_OK;
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        status = weir_fail(reterr, WEIR_NOT_FOUND, "topic %s: %s", options->topic,
                           rd_kafka_err2str(topic->err));
    else if (options->partitions_expected > 0 &&
             topic->partition_cnt != options->partitions_expected)
        status = weir_fail(reterr, WEIR_USAGE, "topic %s has %d partitions, %d expected",
                           options->topic, topic->partition_cnt, options->partitions_expected);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

static weir_status produce_one(struct producer *producer, uint64_t position,
                               struct weir_error *reterr)
{
    struct gen_record record;
    WEIR_TRY(gen_output_make(producer->output, position, &record, reterr));
    void *value = record.tombstone ? NULL : (void *)(uintptr_t)record.value;
    /* The position travels as the message's opaque pointer and comes back in its delivery report.
     */
    while (rd_kafka_produce(producer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                            record.size, record.key, strlen(record.key),
                            (void *)(uintptr_t)position) != 0) {
        rd_kafka_resp_err_t error = rd_kafka_last_error();
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return weir_fail(reterr, WEIR_UNAVAILABLE, "record %" PRIu64 ": %s", position,
                             rd_kafka_err2str(error));
        rd_kafka_poll(producer->client, 50);
    }
    if ((position & 1023) == 0)
        rd_kafka_poll(producer->client, 0);
    return WEIR_OK;
}

static weir_status flush(struct producer *producer, struct weir_error *reterr)
{
    rd_kafka_resp_err_t error = rd_kafka_flush(producer->client, FLUSH_MS);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "%d records not delivered: %s",
                         rd_kafka_outq_len(producer->client), rd_kafka_err2str(error));
    if (producer->failed > 0)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "%" PRIu64 " records not delivered: %s",
                         producer->failed, rd_kafka_err2str(producer->failure));
    return WEIR_OK;
}

static weir_status settle(rd_kafka_error_t *error, const char *what, struct weir_error *reterr)
{
    if (error == NULL)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_UNAVAILABLE, "%s: %s", what,
                                   rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return status;
}

/* Flushed even when it will be aborted: the records must lie in the log for a reader to be tempted
 * by them. */
static weir_status one_transaction(struct producer *producer, uint64_t from, uint64_t to,
                                   bool commit, struct weir_error *reterr)
{
    WEIR_TRY(settle(rd_kafka_begin_transaction(producer->client), "begin transaction", reterr));
    for (uint64_t position = from; position < to; position++)
        WEIR_TRY(produce_one(producer, position, reterr));
    WEIR_TRY(flush(producer, reterr));
    if (commit)
        return settle(rd_kafka_commit_transaction(producer->client, CALL_MS), "commit transaction",
                      reterr);
    WEIR_TRY(
        settle(rd_kafka_abort_transaction(producer->client, CALL_MS), "abort transaction", reterr));
    for (uint64_t position = from; position < to && producer->output->entries != NULL; position++)
        producer->output->entries[position].aborted = true;
    return WEIR_OK;
}

static weir_status produce_transactions(struct producer *producer,
                                        const struct gen_kafka_options *options,
                                        struct weir_error *reterr)
{
    WEIR_TRY(
        settle(rd_kafka_init_transactions(producer->client, CALL_MS), "init transactions", reterr));
    uint64_t number = 0, count = producer->output->count;
    for (uint64_t from = 0; from < count; from += options->transaction_size) {
        uint64_t to = count - from > options->transaction_size ? from + options->transaction_size
                                                               : count;
        number++;
        bool commit = options->abort_every == 0 || number % options->abort_every != 0;
        WEIR_TRY(one_transaction(producer, from, to, commit, reterr));
    }
    return WEIR_OK;
}

static weir_status produce_all(struct producer *producer, const struct gen_kafka_options *options,
                               struct weir_error *reterr)
{
    WEIR_TRY(open_producer(producer, options, reterr));
    WEIR_TRY(check_topic(producer, options, reterr));
    if (options->transactional != NULL)
        return produce_transactions(producer, options, reterr);
    for (uint64_t position = 0; position < producer->output->count; position++)
        WEIR_TRY(produce_one(producer, position, reterr));
    return flush(producer, reterr);
}

weir_status gen_kafka_produce(const struct gen_kafka_options *options, struct gen_output *output,
                              struct weir_error *reterr)
{
    struct producer producer = {.output = output};
    weir_status status = produce_all(&producer, options, reterr);
    if (producer.client != NULL && status != WEIR_OK)
        rd_kafka_purge(producer.client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (producer.topic != NULL)
        rd_kafka_topic_destroy(producer.topic);
    if (producer.client != NULL)
        rd_kafka_destroy(producer.client);
    return status;
}
