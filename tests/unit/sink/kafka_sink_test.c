/* The Kafka sink against librdkafka's mock cluster: what a record holds, and what each answer of
 * the broker means. A real broker is in tests/e2e/87_sinks.py. */
#include "connectors/kafka/kafka.h"
#include "connectors/sink/sink.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#define API_PRODUCE          0
#define API_INIT_PRODUCER_ID 22
#define CHANGES              8

static struct weir_context context;
static struct weir_error error;
static rd_kafka_t *owner; /* of the cluster */
static rd_kafka_mock_cluster_t *cluster;
static struct weir_sink sink;
static struct weir_sink_result results[CHANGES];
static const struct weir_type row;

static void cluster_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
}

static void setup(void)
{
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, cluster_log);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", words, sizeof words);
    owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    cr_assert(owner != NULL, "%s", words);
    cluster = rd_kafka_handle_mock_cluster(owner);
    cr_assert_eq(rd_kafka_mock_topic_create(cluster, "changes", 1, 1), 0);
    weir_context_init(&context);
}

static void teardown(void)
{
    if (sink.operations)
        sink.operations->free(sink.self);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
    rd_kafka_destroy(owner);
}

TestSuite(kafka_sink, .init = setup, .fini = teardown, .timeout = 90);

static void open_sink(bool key_is_json, const char *name, const char *value)
{
    const struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)}, {name, value}};
    struct weir_kafka_sink_options options = {.topic = "changes",
                                              .key_is_json = key_is_json,
                                              .properties = properties,
                                              .property_count = name ? 2 : 1,
                                              .timeout_ms = 4000};
    cr_assert_eq(weir_kafka_sink_new(&context, &options, &sink, &error), WEIR_OK, "%s", error.text);
}

static struct weir_bytes bytes_of(const char *text)
{
    return (struct weir_bytes){(const uint8_t *)text, strlen(text)};
}

/* Of a letter each: "i" insert, "u" update, "d" delete; "I" an insert of 5,000 bytes. */
static weir_status deliver(const char *kinds)
{
    static const char *const keys[CHANGES] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};
    static char large[5001];
    struct weir_sink_change changes[CHANGES];
    size_t count = strlen(kinds);
    int64_t wait_ms;
    memset(large, 'x', sizeof large - 1);
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct weir_sink_change){
            .kind = kinds[i] == 'd'   ? WEIR_CHANGE_DELETE
                    : kinds[i] == 'u' ? WEIR_CHANGE_UPDATE
                                      : WEIR_CHANGE_INSERT,
            .id = "00112233445566778899aabbccddeeff",
            .key = keys[i],
            .key_json = bytes_of("{\"a\":1,\"b\":\"x|y\"}"),
            .row = bytes_of(kinds[i] == 'I' ? large : "{\"a\":1}"),
            .version = 9000000000000000001};
    memset(results, 0, sizeof results);
    error = (struct weir_error){0};
    return sink.operations->deliver(sink.self, changes, count, results, &wait_ms, &error);
}

/* T taken, L later, R refused. */
static const char *answers(size_t count)
{
    static char text[CHANGES + 1];
    for (size_t i = 0; i < count; i++)
        text[i] = "TLR"[results[i].answer];
    text[count] = '\0';
    return text;
}

/* Reads `count` records of the topic as lines "key value kind version id". */
static void read_topic(size_t count, char *out, size_t size)
{
    char words[256];
    size_t used = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, cluster_log);
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), words,
                      sizeof words);
    rd_kafka_conf_set(conf, "group.id", "judge", words, sizeof words);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "changes", 0)->offset = 0;
    rd_kafka_assign(consumer, list);
    out[0] = '\0';
    for (size_t i = 0; i < count;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 10000);
        cr_assert(message, "record %zu did not come", i);
        if (!message->err) {
            const void *id = "", *kind = "", *version = "";
            size_t id_size = 0, kind_size = 0, version_size = 0;
            rd_kafka_headers_t *headers;
            if (rd_kafka_message_headers(message, &headers) == 0) {
                rd_kafka_header_get(headers, 0, "weir-id", &id, &id_size);
                rd_kafka_header_get(headers, 0, "weir-change", &kind, &kind_size);
                rd_kafka_header_get(headers, 0, "weir-version", &version, &version_size);
            }
            used += (size_t)snprintf(out + used, size - used, "%.*s %.*s %.*s %.*s %.*s\n",
                                     (int)message->key_len, (const char *)message->key,
                                     message->payload ? (int)message->len : 4,
                                     message->payload ? (const char *)message->payload : "null",
                                     (int)kind_size, (const char *)kind, (int)version_size,
                                     (const char *)version, (int)id_size, (const char *)id);
            i++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

#define TAIL " 9000000000000000001 00112233445566778899aabbccddeeff\n"

Test(kafka_sink, records)
{
    char text[2000];
    open_sink(false, NULL, NULL);
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(deliver("iud"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(3), "TTT");
    read_topic(3, text, sizeof text);
    cr_expect_str_eq(text,
                     "k0 {\"a\":1} insert" TAIL "k1 {\"a\":1} update" TAIL "k2 null delete" TAIL);
}

Test(kafka_sink, keys_of_several_columns)
{
    char text[2000];
    open_sink(true, NULL, NULL);
    cr_assert_eq(deliver("id"), WEIR_OK, "%s", error.text);
    read_topic(2, text, sizeof text);
    cr_expect_str_eq(text, "{\"a\":1,\"b\":\"x|y\"} {\"a\":1} insert" TAIL
                           "{\"a\":1,\"b\":\"x|y\"} null delete" TAIL);
}

/* Java's murmur2: a compacted topic must find a key's tombstone where its records are. */
Test(kafka_sink, partitions)
{
    struct weir_sink_change changes[CHANGES];
    int64_t wait_ms, low, high;
    int found = 0;
    cr_assert_eq(rd_kafka_mock_topic_create(cluster, "spread", 4, 1), 0);
    const struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)}};
    struct weir_kafka_sink_options options = {
        .topic = "spread", .properties = properties, .property_count = 1};
    cr_assert_eq(weir_kafka_sink_new(&context, &options, &sink, &error), WEIR_OK);
    for (size_t i = 0; i < CHANGES; i++)
        changes[i] = (struct weir_sink_change){.id = "id",
                                               .key = "",
                                               .key_json = bytes_of("{\"a\":\"\"}"),
                                               .row = bytes_of("{}"),
                                               .version = 1};
    cr_assert_eq(sink.operations->deliver(sink.self, changes, CHANGES, results, &wait_ms, &error),
                 WEIR_OK, "%s", error.text);
    for (int32_t partition = 0; partition < 4; partition++) {
        cr_assert_eq(
            rd_kafka_query_watermark_offsets(owner, "spread", partition, &low, &high, 5000), 0);
        cr_expect(high == 0 || high == CHANGES, "%lld in partition %d", (long long)high, partition);
        found += high == CHANGES;
    }
    cr_expect_eq(found, 1);
}

/* How large a record may be is the topic's to say, not librdkafka's: its own limit is 1 MB. */
Test(kafka_sink, large_record)
{
    static char large[3 << 20];
    int64_t wait_ms;
    memset(large, 'x', sizeof large - 1);
    struct weir_sink_change change = {
        .id = "id", .key = "k", .key_json = bytes_of("{}"), .row = bytes_of(large), .version = 1};
    open_sink(false, NULL, NULL);
    cr_assert_eq(sink.operations->deliver(sink.self, &change, 1, results, &wait_ms, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(1), "T", "%s", results[0].reason);
}

/* The queue can never hold it: refused, not waited for. */
Test(kafka_sink, larger_than_the_queue)
{
    open_sink(false, "queue.buffering.max.kbytes", "2");
    cr_assert_eq(deliver("iIu"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(3), "TRT");
    cr_expect(!strstr(results[1].reason, "xxx"));
}

/* A broker refuses a batch as a whole, for one of its records or for all of them together: what
 * goes through alone is not refused. */
Test(kafka_sink, refused_for_its_company)
{
    char text[4000];
    open_sink(false, "linger.ms", "50");
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    cr_assert_eq(deliver("iiudiiii"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(8), "TTTTTTTT");
    read_topic(8, text, sizeof text);
    cr_expect(strstr(text, "k3 null delete"), "%s", text);
    rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 2, RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD);
    cr_assert_eq(deliver("iiii"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(4), "TTTT");
    rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    cr_assert_eq(deliver("i"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(1), "R");
    cr_assert_eq(deliver("i"), WEIR_OK, "it goes on: %s", error.text);
}

Test(kafka_sink, not_let_in_when_producing)
{
    open_sink(false, NULL, NULL);
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    cr_expect_eq(deliver("iu"), WEIR_DENIED, "%s", error.text);
    cr_expect(strstr(error.text, "changes") && strstr(error.hint, "Write"), "%s", error.text);
}

Test(kafka_sink, not_let_in_when_asking)
{
    open_sink(false, NULL, NULL);
    rd_kafka_mock_topic_set_error(cluster, "changes", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    cr_expect_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_DENIED, "%s", error.text);
}

/* A producer that may not be idempotent is a matter of rights, not of waiting. */
Test(kafka_sink, not_let_in_as_idempotent)
{
    open_sink(false, NULL, NULL);
    rd_kafka_mock_push_request_errors(cluster, API_INIT_PRODUCER_ID, 1,
                                      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    cr_expect_eq(deliver("iu"), WEIR_DENIED, "%s", error.text);
    cr_expect_eq(deliver("iu"), WEIR_OK, "a new producer after the mend: %s", error.text);
    cr_expect_str_eq(answers(2), "TT");
}

/* The broker lost count of our sequence: the producer is over, and a new one sends all again. */
Test(kafka_sink, fatal_to_the_producer)
{
    open_sink(false, NULL, NULL);
    cr_assert_eq(deliver("i"), WEIR_OK, "%s", error.text);
    rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    weir_status status = deliver("iud");
    cr_expect(status == WEIR_OK || status == WEIR_UNAVAILABLE, "%d %s", (int)status, error.text);
    for (size_t i = 0; i < 3; i++)
        cr_expect_neq(results[i].answer, WEIR_SINK_REFUSED, "%s", results[i].reason);
    cr_assert_eq(deliver("iud"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(3), "TTT");
}

Test(kafka_sink, away)
{
    open_sink(false, NULL, NULL);
    rd_kafka_mock_broker_set_down(cluster, 1);
    cr_expect_eq(deliver("iu"), WEIR_UNAVAILABLE, "%s", error.text);
    cr_expect_str_eq(answers(2), "LL");
    rd_kafka_mock_broker_set_up(cluster, 1);
    cr_expect_eq(deliver("iu"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(2), "TT");
}

/* Asked to stop, nobody waits for a broker that is away. */
Test(kafka_sink, asked_to_stop)
{
    open_sink(false, NULL, NULL);
    rd_kafka_mock_broker_set_down(cluster, 1);
    int64_t started = weir_steady_ms(&context);
    atomic_store(&context.stop, 2);
    weir_status status = deliver("iu");
    cr_expect(status == WEIR_STOPPED || status == WEIR_INTERRUPTED, "%d", (int)status);
    cr_expect_lt(weir_steady_ms(&context) - started, 2000);
}

Test(kafka_sink, no_topic)
{
    const struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)}};
    struct weir_kafka_sink_options options = {
        .topic = "no topic", .properties = properties, .property_count = 1, .timeout_ms = 2000};
    cr_assert_eq(weir_kafka_sink_new(&context, &options, &sink, &error), WEIR_OK, "%s", error.text);
    rd_kafka_mock_topic_set_error(cluster, "no topic", RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
    cr_expect_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_REFUSED, "%s", error.text);
    cr_expect(strstr(error.text, "there is no topic no topic"), "%s", error.text);
}

Test(kafka_sink, settings)
{
    static const struct weir_kafka_property refused[] = {{"acks", "1"},
                                                         {"enable.idempotence", "false"},
                                                         {"message.timeout.ms", "5"},
                                                         {"no.such.property", "1"},
                                                         {"linger.ms", "long"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct weir_kafka_property properties[] = {{"bootstrap.servers", "127.0.0.1:1"},
                                                         refused[i]};
        struct weir_kafka_sink_options options = {
            .topic = "changes", .properties = properties, .property_count = 2};
        cr_expect_eq(weir_kafka_sink_new(&context, &options, &sink, &error), WEIR_USAGE, "%zu", i);
        cr_expect(strstr(error.text, refused[i].key), "%s", error.text);
    }
}

Test(kafka_sink, probe)
{
    char words[300] = "";
    open_sink(false, NULL, NULL);
    cr_expect_eq(sink.operations->probe(sink.self, &row, words, sizeof words, &error), WEIR_OK,
                 "%s", error.text);
    cr_expect_str_eq(words, "topic changes is there, 1 partitions");
    sink.operations->free(sink.self);
    const struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)}};
    struct weir_kafka_sink_options options = {
        .topic = "other", .properties = properties, .property_count = 1};
    cr_assert_eq(weir_kafka_sink_new(&context, &options, &sink, &error), WEIR_OK);
    for (int i = 0; i < 2; i++) { /* twice: it is not made by asking */
        cr_expect_eq(sink.operations->probe(sink.self, &row, words, sizeof words, &error),
                     WEIR_REFUSED);
        cr_expect(strstr(error.text, "there is no topic other"), "%s", error.text);
    }
}
