/* `weir dev broker`: librdkafka's mock cluster, for trials without a real one. */
#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define DEV_BROKERS_MAX 16

const char weir_kafka_dev_broker_limit[] =
    "a broker for trials: each partition keeps its last 5 MiB or 100,000 records and drops older "
    "ones, nothing survives its end, "
    "and aborted transactions are not hidden";

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text) {}

static weir_status cluster_serve(struct weir_context *context, rd_kafka_t *client,
                                 const struct weir_kafka_dev_broker_options *options,
                                 struct weir_error *reterr)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(
        client, options->broker_count ? options->broker_count : 1);
    if (!cluster)
        return weir_fail(reterr, WEIR_FAILED,
                         "dev broker: librdkafka's mock cluster did not start");
    if (options->started)
        options->started(options->argument, rd_kafka_mock_cluster_bootstraps(cluster));
    while (weir_context_check(context, NULL) == WEIR_OK)
        weir_sleep_ms(context, 100);
    rd_kafka_mock_cluster_destroy(cluster);
    return WEIR_OK;
}

weir_status weir_kafka_dev_broker_run(struct weir_context *context,
                                      const struct weir_kafka_dev_broker_options *options,
                                      struct weir_error *reterr)
{
    char words[256] = "";
    if (options->broker_count < 0 || options->broker_count > DEV_BROKERS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "dev broker: %d brokers; 1 to %d can be had",
                         options->broker_count, DEV_BROKERS_MAX);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    if (!client) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_FAILED, "dev broker: %s", words);
    }
    weir_status status = cluster_serve(context, client, options, reterr);
    rd_kafka_destroy(client);
    return status;
}
