/* The Kafka log source against librdkafka's mock cluster in this process: ranges, ends, errors,
 * stops, memory. What the mock cannot show (transactions, compaction, real retention) is in
 * kafka_live.c. */
#include "connectors/kafka/kafka.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define API_FETCH        1
#define API_LIST_OFFSETS 2
#define API_METADATA     3

/* One cluster, one producer and one source; every test makes its own. */
struct fixture {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    struct weir_context context;
    struct weir_error error;
    struct weir_log_source source;
    struct weir_arena arena;
};

static void cluster_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
}

static void fixture_cluster_of(struct fixture *f, const char *brokers)
{
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, cluster_log);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", brokers, words, sizeof words);
    rd_kafka_conf_set(conf, "linger.ms", "5", words, sizeof words);
    f->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    cr_assert(f->producer != NULL, "%s", words);
    f->cluster = rd_kafka_handle_mock_cluster(f->producer);
    weir_context_init(&f->context);
    weir_arena_init(&f->arena, &f->context.memory);
}

static void fixture_cluster(struct fixture *f)
{
    fixture_cluster_of(f, "1");
}

static void fixture_topic(struct fixture *f, const char *name, int partitions)
{
    cr_assert(eq(int, rd_kafka_mock_topic_create(f->cluster, name, partitions, 1), 0));
}

static void fixture_source(struct fixture *f, const char *topic)
{
    const char *topics[] = {topic};
    struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster)}};
    struct weir_kafka_options options = {.topics = topics,
                                         .topic_count = 1,
                                         .properties = properties,
                                         .property_count = 1,
                                         .headers = true,
                                         .timeout_ms = 3000};
    cr_assert(eq(int, weir_kafka_source_new(&f->context, &options, &f->source, &f->error), WEIR_OK),
              "%s", f->error.text);
}

static void fixture_done(struct fixture *f)
{
    if (f->source.operations)
        f->source.operations->free(f->source.self);
    weir_arena_done(&f->arena);
    cr_assert(eq(sz, atomic_load(&f->context.memory.used), 0), "memory is left charged");
    weir_context_done(&f->context);
    rd_kafka_destroy(f->producer);
}

/* Values "0", "1", ...; the key of value n is "k<n>". */
static void produce(struct fixture *f, const char *topic, int32_t partition, int first, int count,
                    size_t padding)
{
    static char value[64 * 1024];
    for (int i = first; i < first + count; i++) {
        char key[16];
        int size = snprintf(value, sizeof value, "%d", i),
            key_size = snprintf(key, sizeof key, "k%d", i);
        memset(value + size, ' ', padding);
        rd_kafka_resp_err_t code;
        while ((code = rd_kafka_producev(f->producer, RD_KAFKA_V_TOPIC(topic),
                                         RD_KAFKA_V_PARTITION(partition),
                                         RD_KAFKA_V_KEY(key, (size_t)key_size),
                                         RD_KAFKA_V_VALUE(value, (size_t)size + padding),
                                         RD_KAFKA_V_TIMESTAMP(1700000000000 + i),
                                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                         RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(f->producer, 10);
        cr_assert(eq(int, code, 0));
    }
    cr_assert(eq(int, rd_kafka_flush(f->producer, 10000), 0));
}

static const struct weir_log_source_operations *ops(struct fixture *f)
{
    return f->source.operations;
}

static struct weir_log_reader *begin(struct fixture *f, const struct weir_log_partition *partitions,
                                     const int64_t *from, const int64_t *to, size_t count)
{
    struct weir_log_reader *reader = NULL;
    weir_status status = ops(f)->read_begin(f->source.self, partitions, from, to, count, true,
                                            8 << 20, &reader, &f->error);
    cr_assert(eq(int, status, WEIR_OK), "%s", f->error.text);
    return reader;
}

/* Reads to the end and checks that range i gives exactly the values [from[i], to[i]). Returns the
 * batches it took. */
static int read_and_check(struct fixture *f, const struct weir_log_partition *partitions,
                          const int64_t *from, const int64_t *to, size_t count, size_t bytes_max)
{
    struct weir_log_reader *reader = begin(f, partitions, from, to, count);
    size_t index, expected = 0;
    int64_t wanted = from[0];
    int batches = 0;
    for (;; batches++) {
        struct weir_log_batch batch;
        weir_status status = ops(f)->read_next(reader, bytes_max, 1000, &index, &batch, &f->error);
        cr_assert(eq(int, status, WEIR_OK), "%s", f->error.text);
        cr_assert(eq(sz, index, expected));
        if (index == count)
            break;
        for (size_t i = 0; i < batch.count; i++, wanted++) {
            char text[16];
            int size = snprintf(text, sizeof text, "%d", (int)wanted);
            cr_assert(eq(long, batch.records[i].offset, wanted));
            cr_assert(ge(sz, batch.records[i].value.size, (size_t)size));
            cr_assert(eq(int, memcmp(batch.records[i].value.data, text, (size_t)size), 0));
            cr_assert(eq(long, batch.records[i].timestamp_ms, 1700000000000 + wanted));
        }
        cr_assert(eq(long, batch.position,
                     wanted < to[index] ? wanted
                     : batch.end        ? batch.position
                                        : wanted));
        if (batch.end) {
            cr_assert(eq(long, wanted, to[index]));
            expected++;
            wanted = expected < count ? from[expected] : 0;
        }
        ops(f)->release(reader, &batch);
    }
    ops(f)->read_end(reader);
    return batches;
}

Test(kafka, refuses_what_the_protocol_rests_on)
{
    static const char *const refused[] = {"auto.offset.reset",
                                          "isolation.level",
                                          "enable.auto.commit",
                                          "enable.auto.offset.store",
                                          "enable.partition.eof",
                                          "check.crcs",
                                          "group.id",
                                          "group.instance.id",
                                          "partition.assignment.strategy",
                                          "session.timeout.ms",
                                          "heartbeat.interval.ms",
                                          "offset.store.method",
                                          "queued.max.messages.kbytes",
                                          "plugin.library.paths",
                                          "test.mock.num.brokers",
                                          "ut_handle_ProduceResponse",
                                          "Auto.Offset.Reset"};
    static const char *const allowed[] = {
        "bootstrap.servers", "security.protocol", "sasl.mechanisms",
        "sasl.password",     "client.id",         "ssl.ca.location",
        "socket.timeout.ms", "client.rack",       "receive.message.max.bytes"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *topic = "t";
        struct weir_kafka_property properties[] = {{"bootstrap.servers", "x:1"}, {refused[i], "1"}};
        struct weir_kafka_options options = {
            .topics = &topic, .topic_count = 1, .properties = properties, .property_count = 2};
        struct weir_error error = {0};
        cr_assert(weir_kafka_property_refused(refused[i]) != NULL, "%s", refused[i]);
        cr_assert(eq(int, weir_kafka_check(&options, &error), WEIR_USAGE));
        cr_assert(strstr(error.text, refused[i]) != NULL, "%s", error.text);
        cr_assert(error.hint[0] != 0);
    }
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        cr_assert(weir_kafka_property_refused(allowed[i]) == NULL, "%s", allowed[i]);
}

static weir_status check_property(const char *key, const char *value, struct weir_error *error)
{
    const char *topic = "t";
    struct weir_kafka_property properties[] = {{"bootstrap.servers", "x:1"}, {key, value}};
    struct weir_kafka_options options = {
        .topics = &topic, .topic_count = 1, .properties = properties, .property_count = 2};
    return weir_kafka_check(&options, error);
}

Test(kafka, finds_misspelt_properties_and_hides_secrets)
{
    struct weir_error error = {0};
    cr_assert(eq(int, check_property("sasl.mechanizm", "PLAIN", &error), WEIR_USAGE));
    cr_assert(strstr(error.text, "sasl.mechanizm") != NULL, "%s", error.text);
    cr_assert(eq(int, check_property("security.protocol", "SASL_SLL", &error), WEIR_USAGE));
    cr_assert(strstr(error.text, "SASL_SLL") != NULL, "%s", error.text);
    cr_assert(eq(int, check_property("sasl.oauthbearer.client.secret", "hush-hush", &error),
                 WEIR_USAGE)); /* not in this build */
    cr_assert(strstr(error.text, "hush") == NULL, "%s", error.text);
    cr_assert(weir_kafka_property_secret("sasl.password"));
    cr_assert(weir_kafka_property_secret("ssl.keystore.password"));
    cr_assert(not(weir_kafka_property_secret("sasl.username")));
    cr_assert(eq(int, check_property("socket.timeout.ms", "60000", &error), WEIR_OK));
    cr_assert(eq(int, check_property("socket.timeout.ms", NULL, &error), WEIR_USAGE));
    cr_assert(eq(int, check_property("", "1", &error), WEIR_USAGE));
}

static weir_status check_servers(const char *servers)
{
    const char *topic = "t";
    struct weir_kafka_property properties[] = {{"bootstrap.servers", servers}};
    struct weir_kafka_options options = {
        .topics = &topic, .topic_count = 1, .properties = properties, .property_count = 1};
    return weir_kafka_check(&options, NULL);
}

Test(kafka, checks_servers_and_mechanisms)
{
    static const char *const good[] = {"a",          "a:9092", "a:9092,b:9093",    "a:9092, b:9093",
                                       "[::1]:9092", "[::1]",  "SASL_SSL://a:9092"};
    static const char *const bad[] = {"",
                                      ",",
                                      "a:9092,",
                                      ":9092",
                                      "a:",
                                      "a:x",
                                      "a:70000",
                                      "a:0",
                                      "a b:1",
                                      "http:///x",
                                      "a:99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert(check_servers(good[i]) == WEIR_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(check_servers(bad[i]) == WEIR_USAGE, "%s", bad[i]);
    struct weir_error error = {0};
    cr_assert(eq(int, check_property("sasl.mechanisms", "OAUTHBEARER", &error), WEIR_UNSUPPORTED));
    cr_assert(eq(int, check_property("sasl.mechanisms", "SCRAM-SHA-512", &error), WEIR_OK));
}

static weir_status check_topics(const char *const *topics, size_t count)
{
    struct weir_kafka_property properties[] = {{"bootstrap.servers", "x:1"}};
    struct weir_kafka_options options = {
        .topics = topics, .topic_count = count, .properties = properties, .property_count = 1};
    return weir_kafka_check(&options, NULL);
}

Test(kafka, checks_topics)
{
    const char *good[] = {"a", "b.c-d_e"}, *twice[] = {"a", "a"}, *mixed[] = {"a", "/b.*/"},
               *regex[] = {"/orders\\.(eu|us)/"};
    const char *blank[] = {""}, *space[] = {"a b"}, *broken[] = {"/a(/"}, *dots[] = {".."};
    cr_assert(eq(int, check_topics(good, 2), WEIR_OK));
    cr_assert(eq(int, check_topics(regex, 1), WEIR_OK));
    cr_assert(eq(int, check_topics(good, 0), WEIR_USAGE));
    cr_assert(eq(int, check_topics(twice, 2), WEIR_USAGE));
    cr_assert(eq(int, check_topics(mixed, 2), WEIR_USAGE));
    cr_assert(eq(int, check_topics(blank, 1), WEIR_USAGE));
    cr_assert(eq(int, check_topics(space, 1), WEIR_USAGE));
    cr_assert(eq(int, check_topics(broken, 1), WEIR_USAGE));
    cr_assert(eq(int, check_topics(dots, 1), WEIR_USAGE));
    struct weir_kafka_options nowhere = {.topics = good, .topic_count = 2};
    cr_assert(eq(int, weir_kafka_check(&nowhere, NULL), WEIR_USAGE));
}

Test(kafka, lists_partitions_of_a_pattern_in_order)
{
    struct fixture f = {0};
    struct weir_log_partition *partitions;
    size_t count;
    char id[128];
    fixture_cluster(&f);
    fixture_topic(&f, "orders.us", 2);
    fixture_topic(&f, "orders.eu", 3);
    fixture_topic(&f, "my.orders.eu", 1);
    fixture_source(&f, "/orders\\..*/");
    cr_assert(eq(int, ops(&f)->cluster_id(f.source.self, id, &f.error), WEIR_OK), "%s",
              f.error.text);
    cr_assert(id[0] != 0);
    cr_assert(eq(int, ops(&f)->partitions(f.source.self, &f.arena, &partitions, &count, &f.error),
                 WEIR_OK),
              "%s", f.error.text);
    cr_assert(eq(sz, count, 5));
    for (size_t i = 0; i < count; i++) {
        cr_assert(eq(int, strcmp(partitions[i].topic, i < 3 ? "orders.eu" : "orders.us"), 0));
        cr_assert(eq(int, partitions[i].partition, (int)(i < 3 ? i : i - 3)));
    }
    fixture_done(&f);
}

Test(kafka, says_that_no_topic_matches)
{
    struct fixture f = {0};
    struct weir_log_partition *partitions;
    size_t count;
    fixture_cluster(&f);
    fixture_topic(&f, "orders", 1);
    fixture_source(&f, "/bills.*/");
    cr_assert(eq(int, ops(&f)->partitions(f.source.self, &f.arena, &partitions, &count, &f.error),
                 WEIR_NOT_FOUND));
    cr_assert(strstr(f.error.text, "/bills.*/") != NULL);
    fixture_done(&f);
}

Test(kafka, reads_exactly_the_ranges, .timeout = 60)
{
    struct fixture f = {0};
    fixture_cluster(&f);
    fixture_topic(&f, "t", 3);
    for (int i = 0; i < 3; i++)
        produce(&f, "t", i, 0, 5000, 20);
    fixture_source(&f, "t");
    struct weir_log_partition partitions[] = {{"t", 2}, {"t", 0}, {"t", 1}, {"t", 0}, {"t", 0}};
    int64_t from[] = {0, 17, 4999, 0, 100}, to[] = {5000, 4321, 5000, 17, 100};
    struct weir_log_offsets offsets[3];
    cr_assert(eq(int, ops(&f)->offsets(f.source.self, partitions, 3, offsets, &f.error), WEIR_OK),
              "%s", f.error.text);
    for (int i = 0; i < 3; i++) {
        cr_assert(eq(long, offsets[i].first, 0));
        cr_assert(eq(long, offsets[i].last_stable, 5000));
        cr_assert(eq(long, offsets[i].high_watermark, 5000));
    }
    read_and_check(&f, partitions, from, to, 5, 1 << 20);
    cr_assert(gt(int, read_and_check(&f, partitions, from, to, 5, 1000),
                 100)); /* small batches, a kept connection */
    fixture_done(&f);
}

Test(kafka, keeps_nulls_apart_from_empties_and_copies_headers)
{
    struct fixture f = {0};
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    rd_kafka_producev(f.producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE(NULL, 0),
                      RD_KAFKA_V_HEADER("h", "one", 3), RD_KAFKA_V_HEADER("n", NULL, -1),
                      RD_KAFKA_V_END);
    rd_kafka_producev(f.producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_VALUE((void *)(uintptr_t) "", 0), RD_KAFKA_V_END);
    rd_kafka_flush(f.producer, 10000);
    fixture_source(&f, "t");
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 2;
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    struct weir_log_batch batches[2]; /* one batch or two, as the producer's requests fell */
    struct weir_log_record records[2];
    size_t index, count, batch_count = 0, have = 0;
    struct weir_bytes(*pairs)[2];
    while (have < 2 && batch_count < 2) {
        struct weir_log_batch *batch = &batches[batch_count++];
        cr_assert(
            eq(int, ops(&f)->read_next(reader, 1 << 20, 5000, &index, batch, &f.error), WEIR_OK),
            "%s", f.error.text);
        for (size_t i = 0; i < batch->count && have < 2; i++)
            records[have++] = batch->records[i];
    }
    cr_assert(eq(sz, have, 2));
    cr_assert(records[0].value.data == NULL && records[0].key.size == 1);
    cr_assert(records[1].value.data != NULL && records[1].value.size == 0 &&
              records[1].key.data == NULL);
    cr_assert(eq(int,
                 ops(&f)->headers(f.source.self, &records[0], &f.arena, &pairs, &count, &f.error),
                 WEIR_OK));
    cr_assert(eq(sz, count, 2));
    cr_assert(eq(int, memcmp(pairs[0][0].data, "h", 1), 0));
    cr_assert(eq(int, memcmp(pairs[0][1].data, "one", 3), 0));
    cr_assert(pairs[1][1].data == NULL);
    cr_assert(eq(int,
                 ops(&f)->headers(f.source.self, &records[1], &f.arena, &pairs, &count, &f.error),
                 WEIR_OK));
    cr_assert(eq(sz, count, 0));
    for (size_t i = 0; i < batch_count; i++)
        ops(&f)->release(reader, &batches[i]);
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

Test(kafka, survives_passing_errors_of_the_broker, .timeout = 60)
{
    struct fixture f = {0};
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 1000, 10);
    fixture_source(&f, "t");
    struct weir_log_partition partition = {"t", 0};
    struct weir_log_offsets offsets;
    int64_t from = 0, to = 1000;
    rd_kafka_mock_push_request_errors(f.cluster, API_LIST_OFFSETS, 2,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    cr_assert(eq(int, ops(&f)->offsets(f.source.self, &partition, 1, &offsets, &f.error), WEIR_OK),
              "%s", f.error.text);
    cr_assert(eq(long, offsets.last_stable, 1000));
    rd_kafka_mock_push_request_errors(
        f.cluster, API_FETCH, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
    read_and_check(&f, &partition, &from, &to, 1, 1 << 20);
    fixture_done(&f);
}

Test(kafka, stops_for_a_person_when_offsets_are_gone, .timeout = 60)
{
    struct fixture f = {0};
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 400, 30000); /* 12 MB: the mock keeps 5 MiB */
    fixture_source(&f, "t");
    struct weir_log_partition partition = {"t", 0};
    struct weir_log_offsets offsets;
    cr_assert(eq(int, ops(&f)->offsets(f.source.self, &partition, 1, &offsets, &f.error), WEIR_OK),
              "%s", f.error.text);
    cr_assert(gt(long, offsets.first, 0));
    int64_t from = offsets.first - 1, to = 400;
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    struct weir_log_batch batch;
    size_t index;
    weir_status status;
    while ((status = ops(&f)->read_next(reader, 1 << 20, 1000, &index, &batch, &f.error)) ==
           WEIR_OK) {
        cr_assert(eq(sz, batch.count, 0));
        cr_assert(not(batch.end));
        ops(&f)->release(reader, &batch);
    }
    cr_assert(eq(int, status, WEIR_DECISION), "%s", f.error.text);
    char numbers[64];
    snprintf(numbers, sizeof numbers, "holds %ld to 400", (long)offsets.first);
    cr_assert(strstr(f.error.text, numbers) != NULL, "%s", f.error.text);
    cr_assert(strstr(f.error.hint, "accept-gap") != NULL);
    ops(&f)->read_end(reader);
    from = offsets.first;
    read_and_check(&f, &partition, &from, &to, 1, 1 << 20);
    fixture_done(&f);
}

Test(kafka, stops_when_the_log_ends_below_the_window, .timeout = 60)
{
    struct fixture f = {0};
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 10, 0);
    fixture_source(&f, "t");
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 12, seen = 0;
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    struct weir_log_batch batch;
    size_t index;
    weir_status status;
    while ((status = ops(&f)->read_next(reader, 1 << 20, 200, &index, &batch, &f.error)) ==
           WEIR_OK) {
        seen += (int64_t)batch.count;
        cr_assert(not(batch.end));
        cr_assert(eq(long, batch.position, seen));
        ops(&f)->release(reader, &batch);
    }
    cr_assert(eq(long, seen, 10));
    cr_assert(eq(int, status, WEIR_DECISION), "%s", f.error.text);
    cr_assert(strstr(f.error.text, "ends at 10") != NULL, "%s", f.error.text);
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

static void *produce_later(void *argument)
{
    struct fixture *f = argument;
    struct timespec time = {1, 0};
    nanosleep(&time, NULL);
    produce(f, "t", 0, 10, 5, 0);
    return NULL;
}

Test(kafka, goes_on_when_the_end_was_only_late, .timeout = 60)
{
    struct fixture f = {0};
    pthread_t thread;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 10, 0);
    fixture_source(&f, "t");
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 15;
    pthread_create(&thread, NULL, produce_later, &f);
    read_and_check(&f, &partition, &from, &to, 1, 1 << 20);
    pthread_join(thread, NULL);
    fixture_done(&f);
}

static void *stop_later(void *argument)
{
    struct weir_context *context = argument;
    struct timespec time = {0, 300000000};
    nanosleep(&time, NULL);
    atomic_store(&context->stop, SIGTERM);
    return NULL;
}

Test(kafka, a_wish_to_stop_is_seen_within_a_second, .timeout = 60)
{
    struct fixture f = {0};
    pthread_t thread;
    struct weir_log_partition partition = {"t", 0}, *partitions;
    struct weir_log_batch batch;
    int64_t from = 0, to = 10;
    size_t index, count;
    weir_status status;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    fixture_source(&f, "t");
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    pthread_create(&thread, NULL, stop_later, &f.context);
    int64_t began = weir_steady_ms(&f.context);
    while ((status = ops(&f)->read_next(reader, 1 << 20, 60000, &index, &batch, &f.error)) ==
           WEIR_OK)
        ops(&f)->release(reader, &batch);
    cr_assert(eq(int, status, WEIR_STOPPED));
    cr_assert(lt(long, weir_steady_ms(&f.context) - began, 1300));
    pthread_join(thread, NULL);
    ops(&f)->read_end(reader);

    atomic_store(&f.context.stop, 0); /* and the same with every broker away */
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    pthread_create(&thread, NULL, stop_later, &f.context);
    began = weir_steady_ms(&f.context);
    status = ops(&f)->partitions(f.source.self, &f.arena, &partitions, &count, &f.error);
    cr_assert(eq(int, status, WEIR_STOPPED));
    cr_assert(lt(long, weir_steady_ms(&f.context) - began, 1300));
    pthread_join(thread, NULL);
    fixture_done(&f);
}

Test(kafka, gives_up_on_brokers_that_are_away_in_bounded_time, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    struct weir_log_offsets offsets;
    struct weir_log_batch batch;
    int64_t from = 0, to = 100;
    size_t index;
    weir_status status;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 50, 0);
    fixture_source(&f, "t");
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    cr_assert(
        eq(int, ops(&f)->read_next(reader, 1 << 20, 5000, &index, &batch, &f.error), WEIR_OK));
    ops(&f)->release(reader, &batch);
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    int64_t began = weir_steady_ms(&f.context);
    cr_assert(eq(int, ops(&f)->offsets(f.source.self, &partition, 1, &offsets, &f.error),
                 WEIR_UNAVAILABLE));
    cr_assert(lt(long, weir_steady_ms(&f.context) - began, 5000));
    cr_assert(strstr(f.error.text, "gave up") != NULL, "%s", f.error.text);
    while ((status = ops(&f)->read_next(reader, 1 << 20, 500, &index, &batch, &f.error)) == WEIR_OK)
        ops(&f)->release(reader, &batch);
    cr_assert(eq(int, status, WEIR_UNAVAILABLE), "%s", f.error.text);
    cr_assert(lt(long, weir_steady_ms(&f.context) - began, 15000));
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

Test(kafka, reads_one_record_at_or_after_an_offset, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0}, empty = {"t", 1};
    struct weir_log_record record;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 2);
    produce(&f, "t", 0, 0, 100, 0);
    fixture_source(&f, "t");
    struct weir_buffer bytes;
    weir_buffer_init(&bytes, &f.context.memory);
    for (int at = 99; at >= 0; at -= 33) {
        char text[32];
        int size = snprintf(text, sizeof text, "k%d%d", at, at);
        cr_assert(eq(int,
                     ops(&f)->read_one(f.source.self, &partition, at, &record, &bytes, &f.error),
                     WEIR_OK),
                  "%s", f.error.text);
        cr_assert(eq(long, record.offset, at));
        cr_assert(eq(sz, bytes.size, (size_t)size));
        cr_assert(eq(int, memcmp(bytes.data, text, bytes.size), 0));
        cr_assert(record.value.data == bytes.data + record.key.size);
    }
    cr_assert(eq(int, ops(&f)->read_one(f.source.self, &partition, 100, &record, &bytes, &f.error),
                 WEIR_NOT_FOUND));
    cr_assert(eq(int, ops(&f)->read_one(f.source.self, &empty, 0, &record, &bytes, &f.error),
                 WEIR_NOT_FOUND));
    weir_buffer_done(&bytes);
    fixture_done(&f);
}

static weir_status refuse_effect(void *self, const char *kind, const char *name)
{
    return WEIR_UNAVAILABLE;
}

/* What the group has for t 0, asked by a client of its own. */
static int64_t group_offset(struct fixture *f)
{
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, cluster_log);
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster),
                      words, sizeof words);
    rd_kafka_conf_set(conf, "group.id", "g", words, sizeof words);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", 0);
    cr_assert(eq(int, rd_kafka_committed(client, list, 10000), 0));
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return offset;
}

Test(kafka, mirrors_offsets_forwards_only, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t fifty = 50, forty = 40, sixty = 60;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    fixture_source(&f, "t");
    cr_assert(
        eq(int, ops(&f)->mirror(f.source.self, "g", &partition, &fifty, 1, &f.error), WEIR_OK),
        "%s", f.error.text);
    cr_assert(eq(long, group_offset(&f), 50));
    cr_assert(
        eq(int, ops(&f)->mirror(f.source.self, "g", &partition, &forty, 1, &f.error), WEIR_OK),
        "%s", f.error.text);
    cr_assert(eq(long, group_offset(&f), 50));
    f.context.effects.hook = refuse_effect;
    cr_assert(eq(int, ops(&f)->mirror(f.source.self, "g", &partition, &sixty, 1, &f.error),
                 WEIR_UNAVAILABLE));
    cr_assert(eq(long, group_offset(&f), 50));
    f.context.effects.hook = NULL;
    cr_assert(
        eq(int, ops(&f)->mirror(f.source.self, "g", &partition, &sixty, 1, &f.error), WEIR_OK),
        "%s", f.error.text);
    cr_assert(eq(long, group_offset(&f), 60));
    cr_assert(
        eq(int, ops(&f)->mirror(f.source.self, NULL, &partition, &sixty, 1, &f.error), WEIR_USAGE));
    fixture_done(&f);
}

Test(kafka, charges_its_queue_and_respects_the_limit)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 10;
    struct weir_log_reader *reader = NULL;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 10, 0);
    fixture_source(&f, "t");
    f.context.memory.limit = 4 << 20;
    cr_assert(eq(int,
                 ops(&f)->read_begin(f.source.self, &partition, &from, &to, 1, true, 8 << 20,
                                     &reader, &f.error),
                 WEIR_NO_MEMORY));
    cr_assert(reader == NULL);
    cr_assert(eq(int,
                 ops(&f)->read_begin(f.source.self, &partition, &from, &to, 1, true, 2 << 20,
                                     &reader, &f.error),
                 WEIR_OK));
    cr_assert(ge(sz, atomic_load(&f.context.memory.used), 2 << 20));
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

static void *read_along(void *argument)
{
    struct fixture mine = *(struct fixture *)argument; /* the same source, an error of its own */
    struct weir_log_partition partitions[] = {{"t", 0}, {"t", 1}};
    int64_t from[] = {0, 0}, to[] = {2000, 2000};
    struct weir_log_offsets offsets[2];
    for (int i = 0; i < 3; i++) {
        cr_assert(mine.source.operations->offsets(mine.source.self, partitions, 2, offsets,
                                                  &mine.error) == WEIR_OK);
        cr_assert(eq(long, offsets[1].last_stable, 2000));
        read_and_check(&mine, partitions, from, to, 2, 50000);
    }
    return NULL;
}

Test(kafka, serves_several_threads_at_once, .timeout = 60)
{
    struct fixture f = {0};
    pthread_t threads[4];
    fixture_cluster(&f);
    fixture_topic(&f, "t", 2);
    produce(&f, "t", 0, 0, 2000, 50);
    produce(&f, "t", 1, 0, 2000, 50);
    fixture_source(&f, "t");
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, read_along, &f), 0));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fixture_done(&f);
}

/* One whole use of the source under a limit; OK only if everything fitted. */
static weir_status use_within(struct fixture *f, size_t limit)
{
    const char *topic = "t";
    struct weir_kafka_property properties[] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster)}};
    struct weir_kafka_options options = {.topics = &topic,
                                         .topic_count = 1,
                                         .properties = properties,
                                         .property_count = 1,
                                         .group = "g"};
    struct weir_log_partition *partitions;
    struct weir_log_offsets offsets[2];
    struct weir_log_reader *reader = NULL;
    struct weir_log_batch batch;
    int64_t from[] = {0, 0}, to[] = {10, 10};
    size_t count, index;
    f->context.memory.limit = limit;
    weir_status status = weir_kafka_source_new(&f->context, &options, &f->source, &f->error);
    if (status != WEIR_OK)
        return status;
    WEIR_TRY_OUT(status,
                 ops(f)->partitions(f->source.self, &f->arena, &partitions, &count, &f->error));
    WEIR_TRY_OUT(status, ops(f)->offsets(f->source.self, partitions, count, offsets, &f->error));
    WEIR_TRY_OUT(status, ops(f)->read_begin(f->source.self, partitions, from, to, count, true,
                                            300 << 10, &reader, &f->error));
    while ((status = ops(f)->read_next(reader, 1 << 20, 1000, &index, &batch, &f->error)) ==
               WEIR_OK &&
           index < count)
        ops(f)->release(reader, &batch);
out:
    ops(f)->read_end(reader);
    f->source.operations->free(f->source.self);
    f->source.operations = NULL;
    weir_arena_done(&f->arena);
    return status;
}

Test(kafka, too_little_memory_fails_cleanly_wherever_it_ends, .timeout = 120)
{
    struct fixture f = {0};
    weir_status status = WEIR_NO_MEMORY;
    int refused = 0;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 2);
    produce(&f, "t", 0, 0, 10, 0);
    produce(&f, "t", 1, 0, 10, 0);
    for (size_t limit = 500; limit < (8u << 20); limit += limit / 3) {
        status = use_within(&f, limit);
        if (status == WEIR_OK)
            break;
        cr_assert(eq(int, status, WEIR_NO_MEMORY), "%s", f.error.text);
        cr_assert(eq(sz, atomic_load(&f.context.memory.used), 0), "limit %zu: something is left",
                  limit);
        refused++;
    }
    cr_assert(eq(int, status, WEIR_OK), "%s", f.error.text);
    cr_assert(gt(int, refused, 8));
    fixture_done(&f);
}

Test(kafka, follows_leaders_that_move, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 4000, seen = 0;
    size_t index;
    struct weir_log_batch batch;
    fixture_cluster_of(&f, "3");
    fixture_topic(&f, "t", 1);
    rd_kafka_mock_partition_set_leader(f.cluster, "t", 0, 1);
    produce(&f, "t", 0, 0, 4000, 200);
    fixture_source(&f, "t");
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    for (int i = 0; seen < to; i++) {
        cr_assert(
            eq(int, ops(&f)->read_next(reader, 10000, 1000, &index, &batch, &f.error), WEIR_OK),
            "%s", f.error.text);
        for (size_t k = 0; k < batch.count; k++)
            cr_assert(eq(long, batch.records[k].offset, seen++));
        ops(&f)->release(reader, &batch);
        if (i % 20 == 0)
            rd_kafka_mock_partition_set_leader(f.cluster, "t", 0, 1 + i / 20 % 3);
    }
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

Test(kafka, ends_at_the_deadline, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 10;
    size_t index;
    struct weir_log_batch batch;
    weir_status status;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    fixture_source(&f, "t");
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    f.context.deadline_steady_ms = weir_steady_ms(&f.context) + 300;
    while ((status = ops(&f)->read_next(reader, 1 << 20, 60000, &index, &batch, &f.error)) ==
           WEIR_OK)
        ops(&f)->release(reader, &batch);
    cr_assert(eq(int, status, WEIR_TIMEOUT), "%s", f.error.text);
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

/* Batches travel to other threads and come back from there. */
struct release_job {
    struct fixture *f;
    struct weir_log_reader *reader;
    struct weir_log_batch batch;
};

static void *release_there(void *argument)
{
    struct release_job *job = argument;
    ops(job->f)->release(job->reader, &job->batch);
    return NULL;
}

Test(kafka, batches_are_released_from_other_threads, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t from = 0, to = 3000;
    size_t index;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 3000, 100);
    fixture_source(&f, "t");
    struct weir_log_reader *reader = begin(&f, &partition, &from, &to, 1);
    struct release_job jobs[64];
    pthread_t threads[64];
    int count = 0;
    for (bool end = false; !end && count < 64;) {
        struct release_job *job = &jobs[count];
        *job = (struct release_job){&f, reader, {0}};
        cr_assert(eq(int, ops(&f)->read_next(reader, 20000, 1000, &index, &job->batch, &f.error),
                     WEIR_OK),
                  "%s", f.error.text);
        end = job->batch.end;
        cr_assert(eq(int, pthread_create(&threads[count++], NULL, release_there, job), 0));
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    cr_assert(gt(int, count, 5));
    ops(&f)->read_end(reader);
    fixture_done(&f);
}

Test(kafka, finds_offsets_for_a_time, .timeout = 60)
{
    struct fixture f = {0};
    struct weir_log_partition partition = {"t", 0};
    int64_t offset = -5;
    fixture_cluster(&f);
    fixture_topic(&f, "t", 1);
    produce(&f, "t", 0, 0, 100, 0);
    fixture_source(&f, "t");
    /* The mock knows no times and answers that there is no such record: the end is what is meant
     * then. */
    cr_assert(eq(int,
                 ops(&f)->offsets_for_time(f.source.self, &partition, 1, 1800000000000, &offset,
                                           &f.error),
                 WEIR_OK),
              "%s", f.error.text);
    cr_assert(eq(long, offset, 100));
    cr_assert(eq(int,
                 ops(&f)->offsets_for_time(f.source.self, &partition, 1, -1, &offset, &f.error),
                 WEIR_USAGE));
    fixture_done(&f);
}

struct dev {
    struct weir_context context;
    pthread_mutex_t lock;
    char servers[256];
    weir_status status;
};

static void dev_started(void *argument, const char *servers)
{
    struct dev *dev = argument;
    pthread_mutex_lock(&dev->lock);
    snprintf(dev->servers, sizeof dev->servers, "%s", servers);
    pthread_mutex_unlock(&dev->lock);
}

static void *dev_run(void *argument)
{
    struct dev *dev = argument;
    struct weir_kafka_dev_broker_options options = {
        .broker_count = 2, .started = dev_started, .argument = dev};
    dev->status = weir_kafka_dev_broker_run(&dev->context, &options, NULL);
    return NULL;
}

Test(kafka, the_dev_broker_serves_until_it_is_stopped, .timeout = 60)
{
    struct dev dev = {.lock = PTHREAD_MUTEX_INITIALIZER, .status = WEIR_FAILED};
    struct weir_log_source source;
    struct weir_error error = {0};
    pthread_t thread;
    char servers[256] = "", id[128];
    weir_context_init(&dev.context);
    pthread_create(&thread, NULL, dev_run, &dev);
    for (int i = 0; i < 500 && !servers[0]; i++) {
        struct timespec time = {0, 10000000};
        nanosleep(&time, NULL);
        pthread_mutex_lock(&dev.lock);
        memcpy(servers, dev.servers, sizeof servers);
        pthread_mutex_unlock(&dev.lock);
    }
    cr_assert(strchr(servers, ',') != NULL, "two brokers: %s", servers);
    const char *topic = "t";
    struct weir_kafka_property properties[] = {{"bootstrap.servers", servers}};
    struct weir_kafka_options options = {
        .topics = &topic, .topic_count = 1, .properties = properties, .property_count = 1};
    struct weir_context context;
    weir_context_init(&context);
    cr_assert(eq(int, weir_kafka_source_new(&context, &options, &source, &error), WEIR_OK), "%s",
              error.text);
    cr_assert(eq(int, source.operations->cluster_id(source.self, id, &error), WEIR_OK), "%s",
              error.text);
    source.operations->free(source.self);
    atomic_store(&dev.context.stop, SIGTERM);
    pthread_join(thread, NULL);
    cr_assert(eq(int, dev.status, WEIR_OK));
    weir_context_done(&context);
    weir_context_done(&dev.context);
}
