/* Changes as records of a Kafka topic: an idempotent producer, all in-sync replicas, and the
 * delivery report of each record as its answer. */
#include "connectors/kafka/kafka.h"
#include "connectors/sink/sink.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH = 10000,
    TIMEOUT_MS = 30000,
    POLL_MS = 100,
    REACH_MS = 8000, /* for brokers to be reached at all: other sinks wait behind this one */
    UNKNOWN_TOPIC_MS = 5000, /* a broker that makes topics takes a moment */
    WORDS = 300
};

struct kafka_sink {
    struct weir_context *context;
    struct weir_arena arena; /* of the options */
    struct weir_kafka_sink_options options;
    rd_kafka_t *producer; /* NULL: to be made anew */
    rd_kafka_conf_t *conf;

    /* of one call of deliver; delivery reports come from rd_kafka_poll, on our thread */
    struct weir_sink_result *results;
    size_t outstanding, taken;
    rd_kafka_resp_err_t whole; /* of an error that holds for all */

    pthread_mutex_t lock; /* of what librdkafka's threads say */
    char words[WORDS];
    bool denied;
};

/* ---- what librdkafka says ---- */

static void note(struct kafka_sink *sink, const char *text)
{
    const char *from = strncmp(text, "[thrd:", 6) == 0 ? strstr(text, "]: ") : NULL;
    pthread_mutex_lock(&sink->lock);
    snprintf(sink->words, sizeof sink->words, "%s", from ? from + 3 : text);
    char *after = strstr(sink->words, " (after ");
    if (after) /* "(after 0ms in state CONNECT, 3 identical error(s) suppressed)" helps nobody */
        *after = '\0';
    pthread_mutex_unlock(&sink->lock);
}

static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    (void)facility;
    struct kafka_sink *sink = producer ? rd_kafka_opaque(producer) : NULL;
    if (sink && level <= 3)
        note(sink, text);
}

static void on_error(rd_kafka_t *producer, int code, const char *reason, void *opaque)
{
    struct kafka_sink *sink = opaque;
    (void)producer;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return;
    note(sink, reason);
    if (code != RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return;
    pthread_mutex_lock(&sink->lock);
    sink->denied = true;
    pthread_mutex_unlock(&sink->lock);
}

static weir_status status_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION: return WEIR_DENIED;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return WEIR_REFUSED; /* also: no name of a topic */
    default: return WEIR_UNAVAILABLE;
    }
}

static weir_status fail(struct kafka_sink *sink, rd_kafka_resp_err_t code,
                        struct weir_error *reterr)
{
    char words[WORDS];
    pthread_mutex_lock(&sink->lock);
    memcpy(words, sink->words, sizeof words);
    weir_status status = sink->denied ? WEIR_DENIED : status_of(code);
    pthread_mutex_unlock(&sink->lock);
    const char *topic = sink->options.topic;
    if (status == WEIR_REFUSED) {
        status = weir_fail(reterr, status, "kafka: there is no topic %s (%s)", topic,
                           rd_kafka_err2str(code));
        weir_error_hint(reterr,
                        "create it, with cleanup.policy=compact if it is to hold the table");
        return status;
    }
    status = weir_fail(reterr, status, "kafka: topic %s: %s%s%s", topic, rd_kafka_err2str(code),
                       *words ? ": " : "", words);
    if (status == WEIR_DENIED)
        weir_error_hint(reterr, "check the credentials, and that they may Write and Describe it");
    return status;
}

/* ---- the producer ---- */

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_sink *sink = opaque;
    (void)producer;
    struct weir_sink_result *result = message->_private;
    sink->outstanding--;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        result->answer = WEIR_SINK_TAKEN;
        sink->taken++;
        return;
    }
    bool refused = message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
                   message->err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
                   message->err == RD_KAFKA_RESP_ERR_INVALID_MSG ||
                   message->err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
    result->answer = refused ? WEIR_SINK_REFUSED : WEIR_SINK_LATER;
    snprintf(result->reason, sizeof result->reason, "%s", rd_kafka_err2str(message->err));
    if (!refused &&
        (sink->whole == RD_KAFKA_RESP_ERR_NO_ERROR || status_of(message->err) != WEIR_UNAVAILABLE))
        sink->whole = message->err;
}

static weir_status connect_producer(struct kafka_sink *sink, struct weir_error *reterr)
{
    char words[512] = "";
    if (sink->producer)
        return WEIR_OK;
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(sink->conf);
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    sink->denied = false; /* what was said to the one before */
    sink->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    if (sink->producer) {
        weir_kafka_login_start(sink->producer);
        return WEIR_OK;
    }
    rd_kafka_conf_destroy(conf);
    return weir_fail(reterr, WEIR_USAGE, "kafka: properties: %s", words);
}

static void disconnect(struct kafka_sink *sink)
{
    if (!sink->producer)
        return;
    rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(sink->producer, 0);
    rd_kafka_destroy(sink->producer);
    sink->producer = NULL;
}

/* What the brokers say of the topic; NO_ERROR: it is there. */
static rd_kafka_resp_err_t ask_topic(struct kafka_sink *sink, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(sink->producer, 0, topic, &metadata, 1000);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                    : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    rd_kafka_metadata_destroy(metadata);
    return code;
}

static bool is_denied(struct kafka_sink *sink)
{
    pthread_mutex_lock(&sink->lock);
    bool denied = sink->denied;
    pthread_mutex_unlock(&sink->lock);
    return denied;
}

static weir_status prepare(void *self, const struct weir_type *row, struct weir_error *reterr)
{
    struct kafka_sink *sink = self;
    (void)row;
    WEIR_TRY(connect_producer(sink, reterr));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(sink->producer, sink->options.topic, NULL);
    int64_t started = weir_steady_ms(sink->context);
    weir_status status = WEIR_OK;
    for (;;) {
        rd_kafka_resp_err_t code = ask_topic(sink, topic);
        int64_t waited = weir_steady_ms(sink->context) - started;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        rd_kafka_poll(sink->producer, 0);
        status = weir_context_check(sink->context, reterr);
        if (status != WEIR_OK)
            break;
        weir_status kind = status_of(code);
        if (kind == WEIR_DENIED || is_denied(sink) ||
            (kind == WEIR_REFUSED && waited > UNKNOWN_TOPIC_MS) || waited > REACH_MS) {
            status = fail(sink, code, reterr);
            break;
        }
        weir_sleep_ms(sink->context, POLL_MS);
    }
    rd_kafka_topic_destroy(topic);
    return status;
}

/* Of all topics: a broker that makes topics makes one when it is asked for it by name. */
static rd_kafka_resp_err_t find_topic(struct kafka_sink *sink, int *ret_partitions)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(sink->producer, 1, NULL, &metadata, 1000);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, sink->options.topic) != 0)
            continue;
        code = metadata->topics[i].err;
        *ret_partitions = metadata->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    return code;
}

static weir_status probe(void *self, const struct weir_type *row, char *ret_words, size_t size,
                         struct weir_error *reterr)
{
    struct kafka_sink *sink = self;
    int64_t started = weir_steady_ms(sink->context);
    int partitions = 0;
    (void)row;
    WEIR_TRY(connect_producer(sink, reterr));
    for (;;) {
        rd_kafka_resp_err_t code = find_topic(sink, &partitions);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        rd_kafka_poll(sink->producer, 0);
        WEIR_TRY(weir_context_check(sink->context, reterr));
        if (status_of(code) != WEIR_UNAVAILABLE || is_denied(sink) ||
            weir_steady_ms(sink->context) - started > REACH_MS)
            return fail(sink, code, reterr);
        weir_sleep_ms(sink->context, POLL_MS);
    }
    snprintf(ret_words, size, "topic %s is there, %d partitions", sink->options.topic, partitions);
    return WEIR_OK;
}

/* ---- delivering ---- */

static rd_kafka_headers_t *make_headers(const struct weir_sink_change *change)
{
    static const char *const kinds[] = {"insert", "update", "delete"};
    char version[24];
    int size = snprintf(version, sizeof version, "%lld", (long long)change->version);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    rd_kafka_header_add(headers, "weir-id", -1, change->id, -1);
    rd_kafka_header_add(headers, "weir-change", -1, kinds[change->kind], -1);
    rd_kafka_header_add(headers, "weir-version", -1, version, size);
    return headers;
}

/* The bytes stay the caller's until every report has come. */
static rd_kafka_resp_err_t produce(struct kafka_sink *sink, const struct weir_sink_change *change,
                                   struct weir_sink_result *result)
{
    rd_kafka_headers_t *headers = make_headers(change);
    bool json = sink->options.key_is_json, gone = change->kind == WEIR_CHANGE_DELETE;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        sink->producer, RD_KAFKA_V_TOPIC(sink->options.topic),
        RD_KAFKA_V_KEY((void *)(uintptr_t)(json ? (const void *)change->key_json.data
                                                : (const void *)change->key),
                       json ? change->key_json.size : strlen(change->key)),
        RD_KAFKA_V_VALUE(gone ? NULL : (void *)(uintptr_t)change->row.data,
                         gone ? 0 : change->row.size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(result), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers);
    return code;
}

static bool is_stopped(const struct kafka_sink *sink)
{
    return weir_context_check(sink->context, NULL) != WEIR_OK;
}

static void not_queued(struct kafka_sink *sink, rd_kafka_resp_err_t code,
                       struct weir_sink_result *result)
{
    /* the queue is full with nothing in it: this one never fits */
    bool refused = code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
                   (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && sink->outstanding == 0 &&
                    !is_stopped(sink));
    result->answer = refused ? WEIR_SINK_REFUSED : WEIR_SINK_LATER;
    snprintf(result->reason, sizeof result->reason, "%s", rd_kafka_err2str(code));
    if (!refused)
        sink->whole = code;
}

/* Asked to stop, what is not answered yet is given up: it is sent again under the same ids. */
static void wait_for_reports(struct kafka_sink *sink)
{
    bool purged = false;
    while (sink->outstanding) {
        rd_kafka_poll(sink->producer, POLL_MS);
        if (!purged && (is_stopped(sink) || is_denied(sink))) {
            rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            purged = true;
        }
    }
}

static void put(struct kafka_sink *sink, const struct weir_sink_change *change,
                struct weir_sink_result *result)
{
    rd_kafka_resp_err_t code;
    while ((code = produce(sink, change, result)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           sink->outstanding && !is_stopped(sink))
        rd_kafka_poll(sink->producer, POLL_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        sink->outstanding++;
    else
        not_queued(sink, code, result);
}

/* A broker refuses a whole batch for one record of it, or because all of them together are more
 * than the topic takes: those that were refused go out again in halves, down to one that is alone.
 */
static void send_range(struct kafka_sink *sink, const struct weir_sink_change *changes,
                       struct weir_sink_result *results, size_t count, bool again)
{
    bool refused = false;
    for (size_t i = 0; i < count; i++)
        if (!again || results[i].answer == WEIR_SINK_REFUSED)
            put(sink, &changes[i], &results[i]);
    wait_for_reports(sink);
    for (size_t i = 0; i < count; i++)
        refused |= results[i].answer == WEIR_SINK_REFUSED;
    if (!refused || count == 1)
        return;
    if (sink->whole == RD_KAFKA_RESP_ERR_NO_ERROR && !is_stopped(sink)) {
        send_range(sink, changes, results, count / 2, true);
        send_range(sink, changes + count / 2, results + count / 2, count - count / 2, true);
        return;
    }
    for (size_t i = 0; i < count; i++) /* not known of any of them alone */
        if (results[i].answer == WEIR_SINK_REFUSED)
            results[i].answer = WEIR_SINK_LATER;
}

static weir_status deliver(void *self, const struct weir_sink_change *changes, size_t count,
                           struct weir_sink_result *results, int64_t *ret_wait_ms,
                           struct weir_error *reterr)
{
    struct kafka_sink *sink = self;
    char words[WORDS];
    *ret_wait_ms = 0;
    sink->outstanding = sink->taken = 0;
    sink->whole = RD_KAFKA_RESP_ERR_NO_ERROR;
    WEIR_TRY(connect_producer(sink, reterr));
    send_range(sink, changes, results, count, false);
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(sink->producer, words, sizeof words);
    if (fatal) {
        if (status_of(fatal) != WEIR_UNAVAILABLE) /* the records themselves say "purged" only */
            sink->whole = fatal;
        disconnect(sink); /* a new one, with a new id, next time */
    }
    WEIR_TRY(weir_context_check(sink->context, reterr));
    bool denied = is_denied(sink) || status_of(sink->whole) != WEIR_UNAVAILABLE;
    if (sink->whole == RD_KAFKA_RESP_ERR_NO_ERROR || (sink->taken && !denied))
        return WEIR_OK;
    return fail(sink, sink->whole, reterr);
}

/* ---- making one ---- */

static void kafka_sink_free(void *self)
{
    struct kafka_sink *sink = self;
    disconnect(sink);
    if (sink->conf)
        rd_kafka_conf_destroy(sink->conf);
    pthread_mutex_destroy(&sink->lock);
    weir_arena_done(&sink->arena);
    weir_free(sink);
}

static weir_status set_up(struct kafka_sink *sink, const struct weir_kafka_sink_options *options,
                          struct weir_error *reterr)
{
    char *topic;
    sink->options = *options;
    WEIR_TRY(weir_arena_copy(&sink->arena, options->topic, strlen(options->topic), &topic, reterr));
    sink->options.topic = topic;
    sink->options.properties = NULL; /* in the configuration from now on */
    if (options->timeout_ms == 0)
        sink->options.timeout_ms = TIMEOUT_MS;
    return weir_kafka_producer_conf(options->properties, options->property_count,
                                    sink->options.timeout_ms, &sink->conf, reterr);
}

weir_status weir_kafka_sink_new(struct weir_context *context,
                                const struct weir_kafka_sink_options *options,
                                struct weir_sink *ret_sink, struct weir_error *reterr)
{
    static const struct weir_sink_operations operations = {"kafka", prepare, probe, deliver,
                                                           kafka_sink_free};
    struct kafka_sink *sink;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *sink, &sink, reterr));
    sink->context = context;
    weir_arena_init(&sink->arena, &context->memory);
    pthread_mutex_init(&sink->lock, NULL);
    weir_status status = set_up(sink, options, reterr);
    if (status != WEIR_OK) {
        kafka_sink_free(sink);
        return status;
    }
    *ret_sink = (struct weir_sink){.operations = &operations,
                                   .self = sink,
                                   .batch_max = options->batch ? options->batch : BATCH};
    return WEIR_OK;
}
