/* A transactional producer whose transactions hold its own position. */
#include "connectors/kafka/producer.h"

#include "connectors/kafka/kafka_int.h"

#include <stdio.h>
#include <string.h>

enum {
    SLICE_MS = 3000,
    COMMIT_MS = 20000,
    TIMEOUT_MS = 15000, /* of a record's delivery: shorter than the transaction's */
    TRANSACTION_MS = 60000,
    POLL_MS = 50,
};

struct weir_kafka_sender {
    struct weir_context *context;
    struct weir_arena arena;
    const char *topic, *identity;
    rd_kafka_conf_t *conf, *group_conf;
    rd_kafka_t *producer; /* NULL: position() makes it */
    rd_kafka_consumer_group_metadata_t *group;
    size_t outstanding;
    rd_kafka_resp_err_t report; /* the first that was not NO_ERROR; TOO_LARGE wins */
    pthread_mutex_t lock;
    char words[KAFKA_WORDS_SIZE];
};

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct weir_kafka_sender *sender = opaque;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !sender)
        return;
    pthread_mutex_lock(&sender->lock);
    snprintf(sender->words, sizeof sender->words, "%s", reason);
    pthread_mutex_unlock(&sender->lock);
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text; /* what matters comes as errors */
}

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || code == RD_KAFKA_RESP_ERR_INVALID_MSG ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct weir_kafka_sender *sender = opaque;
    (void)producer;
    sender->outstanding--;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        (sender->report == RD_KAFKA_RESP_ERR_NO_ERROR || is_refusal(message->err)))
        sender->report = message->err;
}

static weir_status fail(struct weir_kafka_sender *sender, rd_kafka_resp_err_t code,
                        const char *said, struct weir_error *reterr)
{
    char words[KAFKA_WORDS_SIZE];
    weir_status status = is_refusal(code) ? WEIR_USAGE
                         : code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                                 code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                                 code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
                             ? WEIR_REFUSED
                         : kafka_status_of(code) == WEIR_DENIED ? WEIR_DENIED
                                                                : WEIR_UNAVAILABLE;
    pthread_mutex_lock(&sender->lock);
    memcpy(words, sender->words, sizeof words);
    pthread_mutex_unlock(&sender->lock);
    return weir_fail(reterr, status, "kafka: topic %s: %s%s%s", sender->topic,
                     said && *said ? said : rd_kafka_err2str(code), *words ? ": " : "", words);
}

static weir_status fail_error(struct weir_kafka_sender *sender, rd_kafka_error_t *error,
                              struct weir_error *reterr)
{
    weir_status status = fail(sender, rd_kafka_error_code(error), rd_kafka_error_string(error),
                              reterr);
    rd_kafka_error_destroy(error);
    return status;
}

static void disconnect(struct weir_kafka_sender *sender)
{
    if (sender->group)
        rd_kafka_consumer_group_metadata_destroy(sender->group);
    sender->group = NULL;
    if (!sender->producer)
        return;
    rd_kafka_purge(sender->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(sender->producer, 0);
    rd_kafka_destroy(sender->producer);
    sender->producer = NULL;
}

/* ---- making one ---- */

static weir_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                       struct weir_error *reterr)
{
    char words[300];
    if (rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
        return WEIR_OK;
    return weir_fail(reterr, WEIR_USAGE, "kafka: property %s: %s", name, words);
}

static weir_status set_up(struct weir_kafka_sender *sender,
                          const struct weir_kafka_sender_options *options,
                          struct weir_error *reterr)
{
    char *text, timeout[16];
    WEIR_TRY(weir_arena_print(&sender->arena, &text, reterr, "%s", options->topic));
    sender->topic = text;
    WEIR_TRY(weir_arena_print(&sender->arena, &text, reterr, "%s", options->identity));
    sender->identity = text;
    WEIR_TRY(weir_kafka_producer_conf(options->properties, options->property_count, TIMEOUT_MS,
                                      &sender->conf, reterr));
    rd_kafka_conf_set_opaque(sender->conf, sender);
    rd_kafka_conf_set_error_cb(sender->conf, on_error);
    rd_kafka_conf_set_log_cb(sender->conf, on_log);
    /* the consumer that asks for the position shares all but what makes a producer */
    WEIR_TRY(weir_kafka_producer_conf(options->properties, options->property_count, TIMEOUT_MS,
                                      &sender->group_conf, reterr));
    rd_kafka_conf_set_opaque(sender->group_conf, sender);
    rd_kafka_conf_set_error_cb(sender->group_conf, on_error);
    rd_kafka_conf_set_log_cb(sender->group_conf, on_log);
    WEIR_TRY(set(sender->group_conf, "group.id", sender->identity, reterr));
    WEIR_TRY(set(sender->group_conf, "isolation.level", "read_committed", reterr));
    WEIR_TRY(set(sender->group_conf, "enable.auto.commit", "false", reterr));
    rd_kafka_conf_set_dr_msg_cb(sender->conf, on_report);
    snprintf(timeout, sizeof timeout, "%d", TRANSACTION_MS);
    WEIR_TRY(set(sender->conf, "transactional.id", sender->identity, reterr));
    return set(sender->conf, "transaction.timeout.ms", timeout, reterr);
}

weir_status weir_kafka_sender_new(struct weir_context *context,
                                  const struct weir_kafka_sender_options *options,
                                  struct weir_kafka_sender **ret_sender, struct weir_error *reterr)
{
    struct weir_kafka_sender *sender;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *sender, &sender, reterr));
    sender->context = context;
    weir_arena_init(&sender->arena, &context->memory);
    pthread_mutex_init(&sender->lock, NULL);
    weir_status status = set_up(sender, options, reterr);
    if (status != WEIR_OK) {
        weir_kafka_sender_free(sender);
        return status;
    }
    *ret_sender = sender;
    return WEIR_OK;
}

void weir_kafka_sender_free(struct weir_kafka_sender *sender)
{
    if (!sender)
        return;
    disconnect(sender);
    if (sender->conf)
        rd_kafka_conf_destroy(sender->conf);
    if (sender->group_conf)
        rd_kafka_conf_destroy(sender->group_conf);
    pthread_mutex_destroy(&sender->lock);
    weir_arena_done(&sender->arena);
    weir_free(sender);
}

/* ---- the position ---- */

/* Of the group, with its metadata for later. Unsettled transactions are waited for by the broker:
 * the question is asked with read_committed. */
static weir_status ask_position(struct weir_kafka_sender *sender, int64_t *ret_position,
                                struct weir_error *reterr)
{
    char words[300];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(sender->group_conf);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
    if (!consumer) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_USAGE, "kafka: properties: %s", words);
    }
    weir_kafka_login_start(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, sender->topic, 0);
    rd_kafka_resp_err_t code = rd_kafka_committed(consumer, list, SLICE_MS * 2);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fail(sender, code, NULL, reterr);
    *ret_position = offset < 0 ? -1 : offset;
    return WEIR_OK;
}

weir_status weir_kafka_sender_position(struct weir_kafka_sender *sender, int64_t *ret_position,
                                       struct weir_error *reterr)
{
    char words[300];
    disconnect(sender);
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(sender->conf);
    sender->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    if (!sender->producer) {
        rd_kafka_conf_destroy(conf);
        return weir_fail(reterr, WEIR_USAGE, "kafka: properties: %s", words);
    }
    weir_kafka_login_start(sender->producer);
    rd_kafka_error_t *error = rd_kafka_init_transactions(sender->producer, SLICE_MS * 2);
    rd_kafka_poll(sender->producer, 0);
    weir_status status = error ? fail_error(sender, error, reterr)
                               : ask_position(sender, ret_position, reterr);
    if (status != WEIR_OK) {
        disconnect(sender);
        return status;
    }
    sender->group = rd_kafka_consumer_group_metadata_new(sender->identity);
    pthread_mutex_lock(&sender->lock);
    sender->words[0] = '\0';
    pthread_mutex_unlock(&sender->lock);
    return WEIR_OK;
}

/* ---- sending ---- */

static rd_kafka_headers_t *make_headers(const struct weir_kafka_sender *sender,
                                        const struct weir_kafka_message *message)
{
    const char *at = (const char *)message->headers.data, *end = at + message->headers.size;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    char id[320];
    int size = snprintf(id, sizeof id, "%s/%lld", sender->identity, (long long)message->number);
    rd_kafka_header_add(headers, "weir-id", -1, id, size);
    while (at && at < end) {
        size_t name = strnlen(at, (size_t)(end - at));
        const char *value = at + name + 1;
        if (value >= end)
            break;
        size_t length = strnlen(value, (size_t)(end - value));
        rd_kafka_header_add(headers, at, (ssize_t)name, value, (ssize_t)length);
        at = value + length + 1;
    }
    return headers;
}

static rd_kafka_resp_err_t produce(struct weir_kafka_sender *sender,
                                   const struct weir_kafka_message *message)
{
    for (;;) {
        rd_kafka_headers_t *headers = make_headers(sender, message);
        rd_kafka_resp_err_t code = rd_kafka_producev(
            sender->producer, RD_KAFKA_V_TOPIC(sender->topic),
            RD_KAFKA_V_KEY((void *)(uintptr_t)message->key.data, message->key.size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value.data, message->value.size),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            sender->outstanding++;
            return code;
        }
        rd_kafka_headers_destroy(headers);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || sender->outstanding == 0)
            return code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                                                         : code;
        rd_kafka_poll(sender->producer, POLL_MS);
    }
}

static weir_status produce_all(struct weir_kafka_sender *sender,
                               const struct weir_kafka_message *messages, size_t count,
                               struct weir_error *reterr)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = produce(sender, &messages[i]);
    while (code == RD_KAFKA_RESP_ERR_NO_ERROR && sender->outstanding &&
           sender->report == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_poll(sender->producer, POLL_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = sender->report;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? WEIR_OK : fail(sender, code, NULL, reterr);
}

static weir_status commit(struct weir_kafka_sender *sender, int64_t position,
                          struct weir_error *reterr)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, sender->topic, 0)->offset = position;
    rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(sender->producer, list,
                                                                   sender->group, COMMIT_MS);
    rd_kafka_topic_partition_list_destroy(list);
    if (!error) {
        /* an effect like any other: tests die before it, after it, and lose its answer */
        WEIR_TRY(weir_effect_before(sender->context, "produce", sender->topic, reterr));
        error = rd_kafka_commit_transaction(sender->producer, COMMIT_MS);
        bool lost = weir_effect_after(sender->context);
        if (!error && lost)
            return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "kafka: topic %s: the answer was lost",
                             sender->topic);
    }
    return error ? fail_error(sender, error, reterr) : WEIR_OK;
}

weir_status weir_kafka_sender_send(struct weir_kafka_sender *sender,
                                   const struct weir_kafka_message *messages, size_t count,
                                   int64_t position, struct weir_error *reterr)
{
    if (!sender->producer)
        return weir_fail(reterr, WEIR_UNAVAILABLE, "kafka: topic %s: not connected", sender->topic);
    sender->outstanding = 0;
    sender->report = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(sender->producer);
    weir_status status = error ? fail_error(sender, error, reterr)
                               : produce_all(sender, messages, count, reterr);
    if (status == WEIR_OK)
        status = commit(sender, position, reterr);
    if (status != WEIR_OK)
        disconnect(sender); /* aborts nothing itself: the next one's init_transactions does */
    return status;
}
