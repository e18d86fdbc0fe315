/* The Kafka log source against a real broker: what the mock cannot do. Transactions and what they
 * leave unread, compacted topics, deleted records, topics made anew, every codec under little
 * memory. Plain program: runs only when WEIR_KAFKA names a broker ("host:port"), makes its own
 * topics, and says what failed. */
#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int failures;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            failures++;                                                                            \
            printf("FAILED %s:%d %s:", __func__, __LINE__, #condition);                            \
            printf(" " __VA_ARGS__);                                                               \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

/* Without these nothing later makes sense. */
#define NEED(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("FAILED %s:%d %s:", __func__, __LINE__, #condition);                            \
            printf(" " __VA_ARGS__);                                                               \
            printf("\n");                                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct live {
    const char *servers;
    char run[32]; /* part of every topic's name */
    rd_kafka_t *admin;
    struct weir_context context;
    struct weir_error error;
    struct weir_arena arena;
};

static rd_kafka_t *client_new(struct live *live, rd_kafka_type_t type, const char *key,
                              const char *value)
{
    char words[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", live->servers, words, sizeof words);
    rd_kafka_conf_set(conf, "linger.ms", "20", words, sizeof words);
    rd_kafka_conf_set(conf, "log_level", "0", words, sizeof words);
    if (key)
        NEED(rd_kafka_conf_set(conf, key, value, words, sizeof words) == RD_KAFKA_CONF_OK, "%s",
             words);
    rd_kafka_t *client = rd_kafka_new(type, conf, words, sizeof words);
    NEED(client, "%s", words);
    return client;
}

static char *topic_name(struct live *live, const char *name)
{
    char *topic;
    NEED(weir_arena_print(&live->arena, &topic, NULL, "live.%s.%s", live->run, name) == WEIR_OK);
    return topic;
}

/* config: pairs ended by NULL, or NULL. */
static void topic_create(struct live *live, const char *topic, int partitions,
                         const char *const *config)
{
    char words[256] = "";
    rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(topic, partitions, 1, words, sizeof words);
    for (size_t i = 0; config && config[i]; i += 2)
        rd_kafka_NewTopic_set_config(request, config[i], config[i + 1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(live->admin);
    rd_kafka_CreateTopics(live->admin, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    size_t count;
    NEED(event && !rd_kafka_event_error(event), "creating %s", topic);
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);
    NEED(count == 1 && !rd_kafka_topic_result_error(results[0]), "creating %s: %s", topic,
         rd_kafka_topic_result_error_string(results[0]));
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(request);
    rd_kafka_queue_destroy(queue);
}

static void topic_delete(struct live *live, const char *topic)
{
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(live->admin);
    rd_kafka_DeleteTopics(live->admin, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    NEED(event && !rd_kafka_event_error(event), "deleting %s", topic);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(request);
    rd_kafka_queue_destroy(queue);
}

static void records_delete(struct live *live, const char *topic, int64_t before)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = before;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(live->admin);
    rd_kafka_DeleteRecords(live->admin, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
    NEED(event && !rd_kafka_event_error(event), "deleting records of %s", topic);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
}

/* Values "<n> " padded; keys "k<n % keys>", none if keys is 0. */
static void produce(rd_kafka_t *producer, const char *topic, int32_t partition, int first,
                    int count, int keys, size_t padding)
{
    static char value[4096];
    for (int i = first; i < first + count; i++) {
        char key[16];
        int size = snprintf(value, sizeof value, "%d ", i),
            key_size = keys ? snprintf(key, sizeof key, "k%d", i % keys) : 0;
        for (size_t k = 0; k < padding; k++)
            value[(size_t)size + k] = (char)('a' + (i * 31 + (int)k * 7) % 26);
        rd_kafka_resp_err_t code;
        while ((code = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
                                         RD_KAFKA_V_PARTITION(partition),
                                         RD_KAFKA_V_KEY(keys ? key : NULL, (size_t)key_size),
                                         RD_KAFKA_V_VALUE(value, (size_t)size + padding),
                                         RD_KAFKA_V_TIMESTAMP(1700000000000 + i),
                                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                         RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(producer, 10);
        NEED(code == 0, "%s", rd_kafka_err2str(code));
    }
    NEED(rd_kafka_flush(producer, 30000) == 0);
}

static struct weir_log_source source_new(struct live *live, const char *topic)
{
    struct weir_log_source source;
    struct weir_kafka_property properties[] = {{"bootstrap.servers", live->servers}};
    struct weir_kafka_options options = {
        .topics = &topic, .topic_count = 1, .properties = properties, .property_count = 1};
    NEED(weir_kafka_source_new(&live->context, &options, &source, &live->error) == WEIR_OK, "%s",
         live->error.text);
    return source;
}

struct seen {
    weir_status status;
    size_t records;
    int64_t position, first, last; /* offsets */
    int64_t took_ms;
    bool end, in_order, values_right;
};

/* values_right: each value begins with `offset - shift`. */
static struct seen read_range(struct live *live, struct weir_log_source *source, const char *topic,
                              int32_t number, int64_t from, int64_t to, bool committed,
                              size_t prefetch_bytes)
{
    struct seen seen = {.in_order = true, .values_right = true, .first = -1, .last = -1};
    struct weir_log_partition partition = {topic, number};
    struct weir_log_reader *reader;
    struct weir_log_batch batch;
    size_t index;
    int64_t began = weir_steady_ms(&live->context);
    NEED(source->operations->read_begin(source->self, &partition, &from, &to, 1, committed,
                                        prefetch_bytes, &reader, &live->error) == WEIR_OK,
         "%s", live->error.text);
    while ((seen.status = source->operations->read_next(reader, 256 << 10, 500, &index, &batch,
                                                        &live->error)) == WEIR_OK &&
           index == 0) {
        for (size_t i = 0; i < batch.count; i++) {
            const struct weir_log_record *record = &batch.records[i];
            seen.first = seen.first < 0 ? record->offset : seen.first;
            seen.in_order = seen.in_order && record->offset > seen.last && record->offset >= from &&
                            record->offset < to;
            seen.values_right = seen.values_right && atoll((const char *)record->value.data) ==
                                                         record->timestamp_ms - 1700000000000;
            seen.last = record->offset;
            seen.records++;
        }
        seen.position = batch.position;
        seen.end = batch.end;
        source->operations->release(reader, &batch);
    }
    source->operations->read_end(reader);
    seen.took_ms = weir_steady_ms(&live->context) - began;
    return seen;
}

static struct weir_log_offsets offsets_of(struct live *live, struct weir_log_source *source,
                                          const char *topic, int32_t number)
{
    struct weir_log_partition partition = {topic, number};
    struct weir_log_offsets offsets = {0};
    NEED(source->operations->offsets(source->self, &partition, 1, &offsets, &live->error) ==
             WEIR_OK,
         "%s", live->error.text);
    return offsets;
}

static void transaction(rd_kafka_t *producer, const char *topic, int first, int count, char how)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(producer);
    NEED(!error, "%s", rd_kafka_error_string(error));
    produce(producer, topic, 0, first, count, 0, 10);
    if (how == 'o')
        return;
    error = how == 'c' ? rd_kafka_commit_transaction(producer, 20000)
                       : rd_kafka_abort_transaction(producer, 20000);
    NEED(!error, "%s", rd_kafka_error_string(error));
}

static void transactions(struct live *live)
{
    const char *topic = topic_name(live, "transactions");
    topic_create(live, topic, 1, NULL);
    rd_kafka_t *producer = client_new(live, RD_KAFKA_PRODUCER, "transactional.id", topic);
    rd_kafka_error_t *error = rd_kafka_init_transactions(producer, 30000);
    NEED(!error, "%s", rd_kafka_error_string(error));
    transaction(producer, topic, 0, 10, 'c');      /* 0..9, marker 10 */
    transaction(producer, topic, 100, 10, 'a');    /* 11..20, marker 21 */
    transaction(producer, topic, 200, 10, 'c');    /* 22..31, marker 32 */
    transaction(producer, topic, 1000, 3000, 'a'); /* 33..3032, marker 3033 */
    transaction(producer, topic, 300, 5, 'o');     /* 3034..3038, open */
    struct weir_log_source source = source_new(live, topic);
    struct weir_log_offsets offsets = offsets_of(live, &source, topic, 0);
    CHECK(offsets.first == 0 && offsets.last_stable == 3034 && offsets.high_watermark == 3039,
          "%ld %ld %ld", (long)offsets.first, (long)offsets.last_stable,
          (long)offsets.high_watermark);
    struct seen seen = read_range(live, &source, topic, 0, 0, 3034, true, 8 << 20);
    CHECK(seen.status == WEIR_OK && seen.records == 20 && seen.end && seen.position == 3034 &&
              seen.in_order && seen.values_right,
          "%zu", seen.records);
    CHECK(seen.took_ms < 2000, "%ld ms", (long)seen.took_ms);
    seen = read_range(live, &source, topic, 0, 0, 3034, false, 8 << 20);
    CHECK(seen.status == WEIR_OK && seen.records == 3030 && seen.end && seen.in_order, "%zu",
          seen.records);
    seen = read_range(live, &source, topic, 0, 0, 11, true, 8 << 20); /* the tail is a marker */
    CHECK(seen.records == 10 && seen.end && seen.position == 11 && seen.took_ms < 1500, "%ld ms",
          (long)seen.took_ms);
    seen = read_range(live, &source, topic, 0, 15, 18, true, 8 << 20); /* nothing but aborted */
    CHECK(seen.records == 0 && seen.end && seen.position == 18, "%zu", seen.records);
    seen = read_range(live, &source, topic, 0, 15, 18, false, 8 << 20);
    CHECK(seen.records == 3 && seen.first == 15, "%zu", seen.records);
    seen = read_range(live, &source, topic, 0, 3033, 3034, true,
                      8 << 20); /* nothing but a marker */
    CHECK(seen.records == 0 && seen.end && seen.position == 3034, "%zu", seen.records);
    seen = read_range(live, &source, topic, 0, 3034, 3039, true,
                      8 << 20); /* open: must not be read */
    CHECK(seen.status == WEIR_DECISION && seen.records == 0, "%s %zu",
          weir_status_name(seen.status), seen.records);
    error = rd_kafka_commit_transaction(producer, 20000);
    NEED(!error, "%s", rd_kafka_error_string(error));
    for (int i = 0; i < 100 && offsets.last_stable < 3040;
         i++) { /* the coordinator answers before the marker is written */
        usleep(50000);
        offsets = offsets_of(live, &source, topic, 0);
    }
    CHECK(offsets.last_stable == 3040 && offsets.high_watermark == 3040, "%ld %ld",
          (long)offsets.last_stable, (long)offsets.high_watermark);
    seen = read_range(live, &source, topic, 0, 3034, 3040, true, 8 << 20);
    CHECK(seen.records == 5 && seen.end, "%zu", seen.records);
    source.operations->free(source.self);
    rd_kafka_destroy(producer);
}

static void compacted(struct live *live)
{
    static const char *const config[] = {"cleanup.policy",
                                         "compact",
                                         "segment.ms",
                                         "100",
                                         "min.cleanable.dirty.ratio",
                                         "0.001",
                                         "max.compaction.lag.ms",
                                         "100",
                                         "delete.retention.ms",
                                         "100",
                                         NULL};
    const char *topic = topic_name(live, "compacted");
    bool compacts = false;
    topic_create(live, topic, 1, config);
    rd_kafka_t *producer = client_new(live, RD_KAFKA_PRODUCER, NULL, NULL);
    struct weir_log_source source = source_new(live, topic);
    for (int i = 0; i < 5; i++) {
        produce(producer, topic, 0, i * 200, 200, 10, 10);
        usleep(200000); /* the segment must be old to be rolled */
    }
    CHECK(source.operations->is_compacted(source.self, topic, &compacts, &live->error) == WEIR_OK &&
              compacts,
          "%s", live->error.text);
    struct seen seen = {0};
    for (int i = 0; i < 60; i++) { /* the cleaner wakes each 15 s */
        seen = read_range(live, &source, topic, 0, 0, 1000, true, 1 << 20);
        if (seen.status != WEIR_OK || seen.records < 300)
            break;
        sleep(1);
    }
    printf("  compacted topic: %zu of 1000 records left, %ld ms\n", seen.records,
           (long)seen.took_ms);
    CHECK(seen.status == WEIR_OK && seen.records < 1000 && seen.end && seen.position == 1000 &&
              seen.in_order && seen.values_right,
          "%zu %s", seen.records, live->error.text);
    seen = read_range(live, &source, topic, 0, 0, seen.first, true,
                      1 << 20); /* all removed: a record beyond tells */
    CHECK(seen.status == WEIR_OK && seen.records == 0 && seen.end, "%zu", seen.records);
    source.operations->free(source.self);
    rd_kafka_destroy(producer);
}

static void truncated(struct live *live)
{
    const char *topic = topic_name(live, "truncated");
    struct weir_log_record record;
    struct weir_buffer bytes;
    bool compacts = true;
    weir_buffer_init(&bytes, &live->context.memory);
    topic_create(live, topic, 1, NULL);
    rd_kafka_t *producer = client_new(live, RD_KAFKA_PRODUCER, NULL, NULL);
    produce(producer, topic, 0, 0, 1000, 0, 10);
    records_delete(live, topic, 500);
    struct weir_log_source source = source_new(live, topic);
    struct weir_log_partition partition = {topic, 0};
    struct weir_log_offsets offsets = offsets_of(live, &source, topic, 0);
    CHECK(offsets.first == 500 && offsets.last_stable == 1000, "%ld", (long)offsets.first);
    CHECK(source.operations->is_compacted(source.self, topic, &compacts, &live->error) == WEIR_OK &&
              !compacts,
          "%s", live->error.text);
    struct seen seen = read_range(live, &source, topic, 0, 499, 1000, true, 1 << 20);
    CHECK(seen.status == WEIR_DECISION && seen.records == 0 &&
              strstr(live->error.text, "holds 500 to 1000"),
          "%s", live->error.text);
    seen = read_range(live, &source, topic, 0, 500, 1000, true, 1 << 20);
    CHECK(seen.status == WEIR_OK && seen.records == 500 && seen.first == 500, "%s",
          live->error.text);
    seen = read_range(live, &source, topic, 0, 990, 1005, true, 1 << 20); /* the log ends below */
    CHECK(seen.status == WEIR_DECISION && seen.records == 10 &&
              strstr(live->error.text, "ends at 1000"),
          "%s", live->error.text);
    seen = read_range(live, &source, topic, 0, 2000, 2005, true, 1 << 20);
    CHECK(seen.status == WEIR_DECISION && seen.records == 0, "%s", live->error.text);
    CHECK(source.operations->read_one(source.self, &partition, 10, &record, &bytes, &live->error) ==
                  WEIR_OK &&
              record.offset == 500,
          "%s", live->error.text);
    CHECK(source.operations->read_one(source.self, &partition, 777, &record, &bytes,
                                      &live->error) == WEIR_OK &&
              record.offset == 777,
          "%s", live->error.text);
    CHECK(bytes.size == 14 && memcmp(bytes.data, "777 ", 4) == 0 && record.key.data == NULL, "%zu",
          bytes.size);
    CHECK(source.operations->read_one(source.self, &partition, 1000, &record, &bytes,
                                      &live->error) == WEIR_NOT_FOUND,
          "%s", live->error.text);
    int64_t at = -1;
    CHECK(source.operations->offsets_for_time(source.self, &partition, 1, 1700000000750, &at,
                                              &live->error) == WEIR_OK &&
              at == 750,
          "%ld", (long)at);
    CHECK(source.operations->offsets_for_time(source.self, &partition, 1, 1800000000000, &at,
                                              &live->error) == WEIR_OK &&
              at == 1000,
          "%ld", (long)at);
    CHECK(source.operations->offsets_for_time(source.self, &partition, 1, 0, &at, &live->error) ==
                  WEIR_OK &&
              at == 500,
          "%ld", (long)at);
    source.operations->free(source.self);
    weir_buffer_done(&bytes);
    rd_kafka_destroy(producer);
}

static void made_anew(struct live *live)
{
    const char *topic = topic_name(live, "anew"), *misspelt = topic_name(live, "anow");
    struct weir_log_partition *partitions;
    size_t count;
    topic_create(live, topic, 1, NULL);
    rd_kafka_t *producer = client_new(live, RD_KAFKA_PRODUCER, NULL, NULL);
    produce(producer, topic, 0, 0, 100, 0, 10);
    struct weir_log_source source = source_new(live, topic), other = source_new(live, misspelt);
    CHECK(other.operations->partitions(other.self, &live->arena, &partitions, &count,
                                       &live->error) == WEIR_NOT_FOUND,
          "%s", live->error.text);
    CHECK(strstr(live->error.hint, topic) != NULL, "%s", live->error.hint);
    struct seen seen = read_range(live, &source, topic, 0, 0, 100, true, 1 << 20);
    CHECK(seen.records == 100);
    topic_delete(live, topic);
    sleep(1);
    seen = read_range(live, &source, topic, 0, 0, 100, true, 1 << 20);
    CHECK(seen.status == WEIR_NOT_FOUND || seen.status == WEIR_UNAVAILABLE, "%s %s",
          weir_status_name(seen.status), live->error.text);
    printf("  deleted topic: %s after %ld ms: %s\n", weir_status_name(seen.status),
           (long)seen.took_ms, live->error.text);
    topic_create(live, topic, 1, NULL);
    produce(producer, topic, 0, 0, 20, 0, 10);
    struct weir_log_source again = source_new(live, topic);
    seen = read_range(live, &again, topic, 0, 50, 100, true, 1 << 20);
    CHECK(seen.status == WEIR_DECISION, "%s %s", weir_status_name(seen.status), live->error.text);
    source.operations->free(source.self);
    other.operations->free(other.self);
    again.operations->free(again.self);
    rd_kafka_destroy(producer);
}

static void codecs_in_little_memory(struct live *live)
{
    static const struct {
        const char *codec;
        int count;
        size_t padding;
    } kinds[] = {{"none", 30000, 300}, {"gzip", 30000, 300}, {"snappy", 30000, 300},
                 {"lz4", 30000, 300},  {"zstd", 30000, 300}, {"zstd", 300000, 0}};
    const char *topic = topic_name(live, "codecs");
    topic_create(live, topic, 6, NULL);
    for (int i = 0; i < 6; i++) {
        rd_kafka_t *producer = client_new(live, RD_KAFKA_PRODUCER, "compression.codec",
                                          kinds[i].codec);
        produce(producer, topic, i, 0, kinds[i].count, 100, kinds[i].padding);
        rd_kafka_destroy(producer);
    }
    struct weir_log_source source = source_new(live, topic);
    for (int i = 0; i < 6; i++) {
        int count = kinds[i].count;
        struct seen seen = read_range(live, &source, topic, i, 0, count, true, 1);
        CHECK(seen.status == WEIR_OK && seen.records == (size_t)count && seen.in_order &&
                  seen.values_right && seen.end,
              "%s: %zu %s", kinds[i].codec, seen.records, live->error.text);
        printf("  %s in 256 KiB: %d records in %ld ms\n", kinds[i].codec, count,
               (long)seen.took_ms);
        CHECK(seen.took_ms < 5000, "%ld ms", (long)seen.took_ms);
    }
    source.operations->free(source.self);
}

static void mirror(struct live *live)
{
    const char *topic = topic_name(live, "mirror"), *group = topic_name(live, "group");
    topic_create(live, topic, 2, NULL);
    struct weir_log_source source = source_new(live, topic);
    struct weir_log_partition partitions[] = {{topic, 0}, {topic, 1}};
    int64_t first[] = {5, 7}, second[] = {3, 9};
    CHECK(source.operations->mirror(source.self, group, partitions, first, 2, &live->error) ==
              WEIR_OK,
          "%s", live->error.text);
    CHECK(source.operations->mirror(source.self, group, partitions, second, 2, &live->error) ==
              WEIR_OK,
          "%s", live->error.text);
    rd_kafka_t *client = client_new(live, RD_KAFKA_CONSUMER, "group.id", group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
    rd_kafka_topic_partition_list_add(list, topic, 0);
    rd_kafka_topic_partition_list_add(list, topic, 1);
    NEED(rd_kafka_committed(client, list, 10000) == 0);
    CHECK(list->elems[0].offset == 5 && list->elems[1].offset == 9, "%ld %ld",
          (long)list->elems[0].offset, (long)list->elems[1].offset);
    rd_kafka_topic_partition_list_t *subscription = rd_kafka_topic_partition_list_new(
        1); /* a member of the group */
    rd_kafka_topic_partition_list_add(subscription, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(client, subscription);
    for (int i = 0; i < 30; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 100);
        if (message)
            rd_kafka_message_destroy(message);
    }
    second[0] = second[1] = 11;
    weir_status status = source.operations->mirror(source.self, group, partitions, second, 2,
                                                   &live->error);
    CHECK(status != WEIR_OK && live->error.hint[0], "a group with members took the offsets");
    printf("  mirror into a group with members: %s: %s\n", weir_status_name(status),
           live->error.text);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(subscription);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    source.operations->free(source.self);
}

int main(void)
{
    struct live live = {.servers = getenv("WEIR_KAFKA")};
    static const struct {
        const char *name;
        void (*run)(struct live *live);
    } cases[] = {
        {"transactions", transactions},
        {"truncated", truncated},
        {"made anew", made_anew},
        {"codecs in little memory", codecs_in_little_memory},
        {"mirror", mirror},
        {"compacted", compacted},
    };
    if (!live.servers) {
        printf("WEIR_KAFKA is not set: nothing done\n");
        return 77; /* meson: skipped */
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    weir_context_init(&live.context);
    weir_arena_init(&live.arena, &live.context.memory);
    snprintf(live.run, sizeof live.run, "%llx",
             (unsigned long long)weir_random_u64(&live.context) >> 24);
    live.admin = client_new(&live, RD_KAFKA_PRODUCER, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int before = failures;
        int64_t began = weir_steady_ms(&live.context);
        cases[i].run(&live);
        printf("%s %s (%ld ms)\n", failures == before ? "ok" : "FAILED", cases[i].name,
               (long)(weir_steady_ms(&live.context) - began));
    }
    rd_kafka_destroy(live.admin);
    weir_arena_done(&live.arena);
    if (atomic_load(&live.context.memory.used) != 0) {
        failures++;
        printf("FAILED %zu bytes are left charged\n", atomic_load(&live.context.memory.used));
    }
    weir_context_done(&live.context);
    return failures ? 1 : 0;
}
