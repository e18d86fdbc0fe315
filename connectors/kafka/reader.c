/* Reading ranges of offsets: plain fetches into one queue a partition, the range in turn consumed
 * without copying, the next few prefetched within the memory given.
 *
 * How a range is known to be done (range_advance): its last record came; or a record at or beyond
 * `to` came; or librdkafka's position, which counts transaction markers, reached `to`; or the end
 * of the partition was met at or beyond `to`, which covers tails removed by compaction. An end
 * below `to` is asked again, then stops the run. */
#include "connectors/kafka/kafka_int.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define BATCH_RECORDS_MAX     8192
#define DRAIN_MAX             1024 /* messages taken from the queue at once */
#define ACTIVE_MAX            16   /* partitions fetched at once */
#define PARTITION_BYTES_LEAST (256u << 10)
#define PREFETCH_LEAST        (256u << 10)
#define WAIT_SLICE_MS         100
#define END_ASK_EVERY_MS      500
#define END_ASKS_MAX          10 /* a new leader may need seconds to know its own end */
#define QUIET_FACTOR          8  /* patience with a broker that answers but sends nothing */

struct kafka_batch {
    struct kafka_batch *next;
    size_t count;
    rd_kafka_message_t *messages[BATCH_RECORDS_MAX];
    struct weir_log_record records[BATCH_RECORDS_MAX];
};

struct range {
    const char *topic;
    int32_t partition;
    int64_t from, to;
    int64_t position;
    bool started;
    rd_kafka_topic_t *handle;
    rd_kafka_queue_t *queue;
    bool end_below; /* the end of the partition was met below `to` */
    int end_asks;
    int64_t end_asked_ms;
};

struct weir_log_reader {
    struct kafka_source *source;
    struct kafka_handle handle;
    struct range *ranges;
    size_t count, current, started; /* [current, started) are being fetched */
    size_t charged;
    size_t taken_since_wake; /* bytes, overhead included */
    size_t record_size;      /* running estimate, to drain about as much as wanted */
    int64_t quiet_ms;        /* waited in read_next without progress */
    int64_t asked_quiet_ms;  /* quiet_ms at which the broker was last asked whether it lives */
    struct weir_arena arena;
    pthread_mutex_t lock; /* of `unused` */
    struct kafka_batch *unused;
    atomic_long outstanding; /* batches not released */
};

static size_t active_for(size_t prefetch_bytes, size_t count)
{
    size_t active = prefetch_bytes / PARTITION_BYTES_LEAST;
    active = active < 1 ? 1 : active > ACTIVE_MAX ? ACTIVE_MAX : active;
    return active > count && count ? count : active;
}

/* ---- handles ---- */

static bool sizes_equal(const struct kafka_sizes *a, const struct kafka_sizes *b)
{
    return a->partition_bytes == b->partition_bytes && a->active == b->active;
}

static weir_status handle_take(struct kafka_source *source, struct kafka_handle *handle,
                               struct weir_error *reterr)
{
    struct kafka_handle *idle = &source->idle[handle->committed];
    rd_kafka_t *old = NULL;
    pthread_mutex_lock(&source->lock);
    if (idle->client) {
        if (sizes_equal(&idle->sizes, &handle->sizes))
            handle->client = idle->client;
        else
            old = idle->client;
        idle->client = NULL;
    }
    pthread_mutex_unlock(&source->lock);
    if (old)
        rd_kafka_destroy(old);
    if (handle->client)
        return WEIR_OK;
    return kafka_client_new(source, handle->committed, &handle->sizes, &handle->client, reterr);
}

static void handle_give(struct kafka_source *source, struct kafka_handle *handle)
{
    rd_kafka_t *old = handle->client;
    pthread_mutex_lock(&source->lock);
    struct kafka_handle *idle = &source->idle[handle->committed];
    if (handle->client) {
        old = idle->client;
        *idle = *handle;
    }
    pthread_mutex_unlock(&source->lock);
    if (old)
        rd_kafka_destroy(old);
    handle->client = NULL;
}

/* librdkafka 2.0.2 looks whether a full queue has been drained only when its broker thread happens
 * to wake, at worst a second later. Telling it the credentials it has already is the one public
 * call that wakes those threads. */
static void wake_brokers(struct weir_log_reader *reader)
{
    struct kafka_source *source = reader->source;
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(reader->handle.client, source->user,
                                                            source->password);
    if (error)
        rd_kafka_error_destroy(error);
    reader->taken_since_wake = 0;
}

/* ---- ranges ---- */

static weir_status range_start(struct weir_log_reader *reader, struct range *range,
                               struct weir_error *reterr)
{
    rd_kafka_t *client = reader->handle.client;
    range->handle = rd_kafka_topic_new(client, range->topic, NULL);
    if (!range->handle)
        return kafka_fail(reader->source, rd_kafka_last_error(), reterr, "topic %s", range->topic);
    range->queue = rd_kafka_queue_new(client);
    if (rd_kafka_consume_start_queue(range->handle, range->partition, range->position,
                                     range->queue) != 0)
        return kafka_fail(reader->source, rd_kafka_last_error(), reterr, "%s %d: reading from %lld",
                          range->topic, range->partition, (long long)range->position);
    range->started = true;
    return WEIR_OK;
}

static void range_stop(struct range *range)
{
    if (range->started)
        rd_kafka_consume_stop(range->handle, range->partition);
    range->started = false;
    if (range->queue)
        rd_kafka_queue_destroy(range->queue);
    range->queue = NULL;
    if (range->handle)
        rd_kafka_topic_destroy(range->handle);
    range->handle = NULL;
}

/* A partition has one fetch position: two ranges of it are never under way at once. */
static bool range_conflicts(const struct weir_log_reader *reader, const struct range *range)
{
    for (size_t i = reader->current; i < reader->started; i++) {
        const struct range *other = &reader->ranges[i];
        if (other->started && other->partition == range->partition &&
            strcmp(other->topic, range->topic) == 0)
            return true;
    }
    return false;
}

static weir_status ranges_start(struct weir_log_reader *reader, struct weir_error *reterr)
{
    while (reader->started < reader->count &&
           reader->started - reader->current < reader->handle.sizes.active) {
        struct range *range = &reader->ranges[reader->started];
        if (range->position < range->to) {
            if (range_conflicts(reader, range))
                return WEIR_OK;
            WEIR_TRY(range_start(reader, range, reterr));
        }
        reader->started++;
    }
    return WEIR_OK;
}

static void range_advance(struct weir_log_reader *reader, struct range *range, int64_t position)
{
    position = position > range->to ? range->to : position;
    if (position <= range->position)
        return;
    range->position = position;
    range->end_below = false;
    range->end_asks = 0;
    reader->quiet_ms = reader->asked_quiet_ms = 0;
}

/* Markers of transactions are taken from the queue without being shown; the position tells. */
static void range_look(struct weir_log_reader *reader, struct range *range)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, range->topic, range->partition);
    if (rd_kafka_position(reader->handle.client, list) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        list->elems[0].offset >= 0)
        range_advance(reader, range, list->elems[0].offset);
    rd_kafka_topic_partition_list_destroy(list);
}

static weir_status range_gone(struct weir_log_reader *reader, struct range *range,
                              struct weir_error *reterr)
{
    struct weir_log_partition partition = {range->topic, range->partition};
    struct weir_log_offsets offsets;
    WEIR_TRY(kafka_offsets(reader->source, &partition, 1, &offsets, reterr));
    weir_status status = weir_fail(
        reterr, WEIR_DECISION,
        "kafka: %s %d: offsets %lld to %lld are wanted, the log holds %lld to %lld", range->topic,
        range->partition, (long long)range->position, (long long)range->to,
        (long long)offsets.first, (long long)offsets.high_watermark);
    weir_error_hint(reterr, "if they are lost for good, `weir offsets accept-gap` writes that down "
                            "and goes on; if the topic was "
                            "made anew, `weir offsets rebind`");
    return status;
}

/* The partition ended below `to`: asks for its end again. OK: it is known to go on, or time to ask
 * once more. */
static weir_status range_ask_end(struct weir_log_reader *reader, struct range *range,
                                 struct weir_error *reterr)
{
    struct weir_log_partition partition = {range->topic, range->partition};
    int64_t now = weir_steady_ms(reader->source->context), end;
    if (range->end_asks > 0 && now - range->end_asked_ms < END_ASK_EVERY_MS)
        return WEIR_OK;
    WEIR_TRY(kafka_list_offsets(reader->source, reader->handle.committed, &partition, 1,
                                RD_KAFKA_OFFSET_END, &end, reterr));
    if (end >= range->to) {
        range->end_below = false;
        return WEIR_OK;
    }
    range->end_asked_ms = now;
    if (++range->end_asks < END_ASKS_MAX)
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_DECISION,
        "kafka: %s %d: offsets up to %lld are wanted, the log now ends at %lld", range->topic,
        range->partition, (long long)range->to, (long long)end);
    weir_error_hint(reterr, "the log was cut after the window was planned: an unclean leader "
                            "election, or the topic was made anew "
                            "(`weir offsets rebind`)");
    return status;
}

/* Nothing came for long: is the broker there, and has it what is wanted? */
static weir_status range_quiet(struct weir_log_reader *reader, struct range *range,
                               struct weir_error *reterr)
{
    struct weir_log_partition partition = {range->topic, range->partition};
    struct weir_log_offsets offsets;
    int64_t patience = reader->source->options.timeout_ms;
    if (reader->quiet_ms - reader->asked_quiet_ms <
        patience / 3) /* asking has patience of its own */
        return WEIR_OK;
    reader->asked_quiet_ms = reader->quiet_ms;
    WEIR_TRY(kafka_offsets(reader->source, &partition, 1, &offsets, reterr));
    if (offsets.first > range->position)
        return range_gone(reader, range, reterr);
    if (reader->quiet_ms < patience * QUIET_FACTOR)
        return WEIR_OK;
    return kafka_fail(reader->source, RD_KAFKA_RESP_ERR__TIMED_OUT, reterr,
                      "%s %d: nothing came after offset %lld for %.0f s", range->topic,
                      range->partition, (long long)range->position,
                      (double)reader->quiet_ms / 1000);
}

/* ---- records ---- */

void kafka_record_of(const rd_kafka_message_t *message, bool headers,
                     struct weir_log_record *record)
{
    rd_kafka_timestamp_type_t kind;
    int64_t time = rd_kafka_message_timestamp(message, &kind);
    *record = (struct weir_log_record){
        .offset = message->offset,
        .timestamp_ms = kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : time,
        .key = {message->key, message->key ? message->key_len : 0},
        .value = {message->payload, message->payload ? message->len : 0},
        .headers = headers ? message : NULL,
    };
}

/* What is no record. The message stays the caller's. */
static weir_status event_take(struct weir_log_reader *reader, struct range *range,
                              const rd_kafka_message_t *message, struct weir_error *reterr)
{
    weir_status status = kafka_status_of(message->err);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        range_advance(reader, range, message->offset);
        range->end_below = range->position < range->to;
        return WEIR_OK;
    }
    if (status == WEIR_DECISION)
        return range_gone(reader, range, reterr);
    if (status == WEIR_UNAVAILABLE)
        return WEIR_OK; /* librdkafka goes on trying; range_quiet ends it */
    return kafka_fail(reader->source, message->err, reterr, "%s %d: reading from %lld",
                      range->topic, range->partition, (long long)range->position);
}

/* Takes `got` messages that stand at the batch's end: records stay, the others are freed. Returns
 * bytes of records. */
static weir_status messages_take(struct weir_log_reader *reader, struct range *range,
                                 struct kafka_batch *batch, size_t got, size_t *ret_bytes,
                                 struct weir_error *reterr)
{
    rd_kafka_message_t **messages = batch->messages + batch->count;
    weir_status status = WEIR_OK;
    size_t bytes = 0;
    int64_t position = range->position;
    for (size_t i = 0; i < got; i++) {
        rd_kafka_message_t *message = messages[i];
        bool record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && status == WEIR_OK;
        if (record && message->offset >= position && message->offset < range->to) {
            kafka_record_of(message, reader->source->options.headers,
                            &batch->records[batch->count]);
            batch->messages[batch->count++] = message;
            bytes += message->len + message->key_len;
            position = message->offset + 1;
            continue;
        }
        if (record && message->offset >= range->to) {
            position = range->to;
        } else if (!record && status == WEIR_OK) {
            range_advance(reader, range, position);
            status = event_take(reader, range, message, reterr);
            position = range->position;
        }
        rd_kafka_message_destroy(message);
    }
    range_advance(reader, range, position);
    *ret_bytes = bytes;
    return status;
}

static size_t drain_wanted(const struct weir_log_reader *reader, const struct kafka_batch *batch,
                           size_t bytes_left)
{
    size_t wanted = bytes_left / reader->record_size + 1, room = BATCH_RECORDS_MAX - batch->count;
    wanted = wanted > DRAIN_MAX ? DRAIN_MAX : wanted;
    return wanted > room ? room : wanted;
}

/* Waits a slice for one message, and looks after everything that may go wrong while nothing comes.
 */
static weir_status range_wait(struct weir_log_reader *reader, struct range *range,
                              struct kafka_batch *batch, int64_t wait_ms, ssize_t *ret_got,
                              struct weir_error *reterr)
{
    int64_t began = weir_steady_ms(reader->source->context);
    int slice = (int)(wait_ms < WAIT_SLICE_MS ? wait_ms : WAIT_SLICE_MS);
    rd_kafka_poll(reader->handle.client, 0);
    *ret_got = rd_kafka_consume_batch_queue(range->queue, slice, batch->messages + batch->count, 1);
    WEIR_TRY(weir_context_check(reader->source->context, reterr));
    if (*ret_got > 0)
        return WEIR_OK;
    *ret_got = 0;
    reader->quiet_ms += weir_steady_ms(reader->source->context) - began;
    range_look(reader, range);
    if (range->position >= range->to)
        return WEIR_OK;
    if (range->end_below)
        WEIR_TRY(range_ask_end(reader, range, reterr));
    return range_quiet(reader, range, reterr);
}

static weir_status range_fill(struct weir_log_reader *reader, struct range *range,
                              struct kafka_batch *batch, size_t bytes_max, int64_t wait_ms,
                              struct weir_error *reterr)
{
    int64_t until = weir_steady_ms(reader->source->context) + wait_ms;
    size_t bytes = 0, more;
    while (range->position < range->to && bytes < bytes_max && batch->count < BATCH_RECORDS_MAX) {
        size_t wanted = drain_wanted(reader, batch, bytes_max - bytes);
        ssize_t got = rd_kafka_consume_batch_queue(range->queue, 0, batch->messages + batch->count,
                                                   wanted);
        if (got <= 0) {
            int64_t left = until - weir_steady_ms(reader->source->context);
            if (batch->count || left < 0)
                break;
            WEIR_TRY(range_wait(reader, range, batch, left, &got, reterr));
        }
        WEIR_TRY(messages_take(reader, range, batch, (size_t)got, &more, reterr));
        bytes += more;
    }
    if (batch->count)
        reader->record_size = bytes / batch->count + 1;
    if (range->position < range->to)
        range_look(reader, range);
    reader->taken_since_wake += bytes + batch->count * KAFKA_RECORD_OVERHEAD;
    if (reader->taken_since_wake >= reader->handle.sizes.partition_bytes / 8)
        wake_brokers(reader);
    return WEIR_OK;
}

/* ---- batches ---- */

static weir_status batch_take(struct weir_log_reader *reader, struct kafka_batch **ret_batch,
                              struct weir_error *reterr)
{
    pthread_mutex_lock(&reader->lock);
    struct kafka_batch *batch = reader->unused;
    if (batch)
        reader->unused = batch->next;
    pthread_mutex_unlock(&reader->lock);
    if (!batch)
        WEIR_TRY(weir_alloc(&reader->source->memory, sizeof *batch, &batch, reterr));
    batch->count = 0;
    atomic_fetch_add(&reader->outstanding, 1);
    *ret_batch = batch;
    return WEIR_OK;
}

static void batch_give(struct weir_log_reader *reader, struct kafka_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        rd_kafka_message_destroy(batch->messages[i]);
    pthread_mutex_lock(&reader->lock);
    batch->next = reader->unused;
    reader->unused = batch;
    pthread_mutex_unlock(&reader->lock);
    atomic_fetch_sub(&reader->outstanding, 1);
}

void kafka_release(struct weir_log_reader *reader, struct weir_log_batch *batch)
{
    if (batch->owner)
        batch_give(reader, batch->owner);
    *batch = (struct weir_log_batch){0};
}

/* ---- the reader ---- */

weir_status kafka_read_next(struct weir_log_reader *reader, size_t bytes_max, int64_t wait_ms,
                            size_t *ret_index, struct weir_log_batch *ret_batch,
                            struct weir_error *reterr)
{
    WEIR_TRY(weir_context_check(reader->source->context, reterr));
    if (reader->current == reader->count) {
        *ret_index = reader->count;
        *ret_batch = (struct weir_log_batch){.end = true};
        return WEIR_OK;
    }
    WEIR_TRY(ranges_start(reader, reterr));
    struct range *range = &reader->ranges[reader->current];
    struct kafka_batch *batch;
    WEIR_TRY(batch_take(reader, &batch, reterr));
    weir_status status = WEIR_OK;
    if (range->position < range->to)
        status = range_fill(reader, range, batch, bytes_max ? bytes_max : 1,
                            wait_ms < 0 ? 0 : wait_ms, reterr);
    if (status != WEIR_OK) {
        batch_give(reader, batch);
        return status;
    }
    *ret_index = reader->current;
    *ret_batch = (struct weir_log_batch){batch->records, batch->count, range->position,
                                         range->position >= range->to, batch};
    if (ret_batch->end) {
        range_stop(range);
        reader->current++;
        reader->quiet_ms = reader->asked_quiet_ms = 0;
        kafka_words_clear(reader->source);
        status = ranges_start(reader, reterr);
        if (status != WEIR_OK)
            kafka_release(reader, ret_batch);
    }
    return status;
}

static weir_status ranges_copy(struct weir_log_reader *reader,
                               const struct weir_log_partition *partitions, const int64_t *from,
                               const int64_t *to, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(&reader->arena, reader->count, sizeof *reader->ranges, &reader->ranges,
                             reterr));
    char *topic = NULL;
    for (size_t i = 0; i < reader->count; i++) {
        if (from[i] < 0)
            return weir_fail(reterr, WEIR_INTERNAL, "kafka: %s %d: reading from offset %lld",
                             partitions[i].topic, partitions[i].partition, (long long)from[i]);
        if (!topic || strcmp(topic, partitions[i].topic) != 0)
            WEIR_TRY(weir_arena_copy(&reader->arena, partitions[i].topic,
                                     strlen(partitions[i].topic), &topic, reterr));
        reader->ranges[i] = (struct range){.topic = topic,
                                           .partition = partitions[i].partition,
                                           .from = from[i],
                                           .to = to[i],
                                           .position = from[i]};
    }
    return WEIR_OK;
}

weir_status kafka_read_begin(void *self, const struct weir_log_partition *partitions,
                             const int64_t *from, const int64_t *to, size_t count, bool committed,
                             size_t prefetch_bytes, struct weir_log_reader **ret_reader,
                             struct weir_error *reterr)
{
    struct kafka_source *source = self;
    struct weir_log_reader *reader;
    WEIR_TRY(weir_alloc_zero(&source->memory, 1, sizeof *reader, &reader, reterr));
    size_t prefetch = prefetch_bytes < PREFETCH_LEAST ? PREFETCH_LEAST : prefetch_bytes;
    size_t active = active_for(prefetch, count);
    reader->source = source;
    reader->count = count;
    reader->record_size = 1024;
    reader->handle = (struct kafka_handle){.committed = committed,
                                           .sizes = {prefetch / active, active}};
    pthread_mutex_init(&reader->lock, NULL);
    weir_arena_init(&reader->arena, &source->memory);
    weir_status status;
    WEIR_TRY_OUT(status, weir_account_charge(&source->memory, prefetch, reterr));
    reader->charged = prefetch;
    WEIR_TRY_OUT(status, ranges_copy(reader, partitions, from, to, reterr));
    WEIR_TRY_OUT(status, handle_take(source, &reader->handle, reterr));
    WEIR_TRY_OUT(status, ranges_start(reader, reterr));
    *ret_reader = reader;
    return WEIR_OK;
out:
    kafka_read_end(reader);
    return status;
}

void kafka_read_end(struct weir_log_reader *reader)
{
    if (!reader)
        return;
    assert(atomic_load(&reader->outstanding) == 0);
    for (size_t i = reader->current; reader->ranges && i < reader->count; i++)
        range_stop(&reader->ranges[i]);
    handle_give(reader->source, &reader->handle);
    while (reader->unused) {
        struct kafka_batch *batch = reader->unused;
        reader->unused = batch->next;
        weir_free(batch);
    }
    weir_account_release(&reader->source->memory, reader->charged);
    weir_arena_done(&reader->arena);
    pthread_mutex_destroy(&reader->lock);
    weir_free(reader);
}
