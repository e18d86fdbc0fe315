/* From the spool to Kafka, a thread for each source: oldest first, a transaction at a time. After
 * anything that went wrong Kafka is asked how far it has come: what is there is not sent again. */
#include "scheduler/gateway/gateway_int.h"

#include <stdio.h>
#include <time.h>

enum { PAUSE_MS_MAX = 3000, IDLE_MS = 500 };

struct sender {
    struct gateway *gateway;
    struct source *source;
    bool connected, told, alone; /* alone: the next batch is one record */
    int64_t pause_ms;
    uint64_t arrivals;
};

static void await(struct sender *sender, int64_t duration_ms, bool arrivals)
{
    struct gateway *gateway = sender->gateway;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t nanoseconds = until.tv_nsec + duration_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(duration_ms / 1000 + nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_mutex_lock(&gateway->lock);
    while (!atomic_load(&gateway->ending) && !(arrivals && gateway->arrivals != sender->arrivals))
        if (pthread_cond_timedwait(&gateway->arrived, &gateway->lock, &until) != 0)
            break;
    sender->arrivals = gateway->arrivals;
    pthread_mutex_unlock(&gateway->lock);
}

static void trouble(struct sender *sender, const struct weir_error *error)
{
    if (!sender->told)
        fprintf(stderr, "weir: source %s: %s; accepted records wait in the spool\n",
                sender->source->config->name, error->text);
    sender->told = true;
    sender->connected = false;
    atomic_store(&sender->source->reached, false);
    sender->pause_ms = sender->pause_ms ? sender->pause_ms * 2 : 100;
    if (sender->pause_ms > PAUSE_MS_MAX)
        sender->pause_ms = PAUSE_MS_MAX;
    await(sender, sender->pause_ms, false);
}

static void well(struct sender *sender)
{
    if (sender->told)
        fprintf(stderr, "weir: source %s: Kafka takes records again\n",
                sender->source->config->name);
    sender->told = false;
    sender->pause_ms = 0;
    atomic_store(&sender->source->reached, true);
}

/* What a process before this one, or a lost answer, has left between spool and Kafka. */
static weir_status reconcile(struct sender *sender, struct weir_error *reterr)
{
    struct source *source = sender->source;
    int64_t position, reached = 0, records = 0;
    WEIR_TRY(weir_kafka_sender_position(source->sender, &position, reterr));
    WEIR_TRY(weir_spool_reached(sender->gateway->spool, source->config->name, &reached, reterr));
    if (position < 0 && reached > 0)
        fprintf(stderr,
                "weir: source %s: Kafka has forgotten how far it had come; a batch under way when "
                "the gateway last ended may be there twice, with the same weir-id\n",
                source->config->name);
    if (position > 0)
        WEIR_TRY(weir_spool_done(sender->gateway->spool, source->config->name, position, &records,
                                 reterr));
    atomic_fetch_add(&source->sent, records);
    sender->connected = true;
    return WEIR_OK;
}

static weir_status send_batch(struct sender *sender, const struct weir_spool_record *records,
                              size_t count, struct weir_arena *arena, struct weir_error *reterr)
{
    struct source *source = sender->source;
    struct weir_kafka_message *messages;
    int64_t last = records[count - 1].number, taken = 0;
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *messages, &messages, reterr));
    for (size_t i = 0; i < count; i++)
        messages[i] = (struct weir_kafka_message){.key = records[i].entry.key,
                                                  .value = records[i].entry.value,
                                                  .headers = records[i].entry.headers,
                                                  .number = records[i].number};
    weir_status status = weir_kafka_sender_send(source->sender, messages, count, last, reterr);
    if (status != WEIR_OK)
        return status;
    atomic_fetch_add(&source->transactions, 1);
    atomic_fetch_add(&source->sent, (int64_t)count);
    return weir_spool_done(sender->gateway->spool, source->config->name, last, &taken, reterr);
}

/* One of the batch is what the brokers refuse: found by sending one at a time. */
static weir_status refused(struct sender *sender, const struct weir_spool_record *records,
                           size_t count, struct weir_error *reterr)
{
    sender->connected = false;
    if (count > 1) {
        sender->alone = true;
        return WEIR_OK;
    }
    fprintf(stderr, "weir: source %s: record %lld is set aside in the spool: %s\n",
            sender->source->config->name, (long long)records[0].number, reterr->text);
    struct weir_error error = {0};
    weir_status status = weir_spool_bury(sender->gateway->spool, records[0].number, reterr->text,
                                         &error);
    sender->alone = false;
    if (status != WEIR_OK)
        *reterr = error;
    return status;
}

/* *ret_idle: there was nothing to send. */
static weir_status step(struct sender *sender, struct weir_arena *arena, bool *ret_idle,
                        struct weir_error *reterr)
{
    struct weir_spool_record *records;
    size_t count;
    *ret_idle = false;
    if (!sender->connected)
        WEIR_TRY(reconcile(sender, reterr));
    WEIR_TRY(weir_spool_peek(sender->gateway->spool, sender->source->config->name,
                             sender->alone ? 1 : GATEWAY_SEND_RECORDS, GATEWAY_SEND_BYTES, arena,
                             &records, &count, reterr));
    *ret_idle = count == 0;
    if (count == 0)
        return WEIR_OK;
    weir_status status = send_batch(sender, records, count, arena, reterr);
    if (status == WEIR_USAGE)
        return refused(sender, records, count, reterr);
    return status;
}

static void *run(void *argument)
{
    struct sending *sending = argument;
    struct sender sender = {.gateway = sending->gateway, .source = sending->source};
    struct weir_arena arena;
    weir_free(sending);
    weir_arena_init(&arena, &sender.gateway->context->memory);
    while (!atomic_load(&sender.gateway->ending)) {
        struct weir_error error = {0};
        bool idle;
        weir_arena_reset(&arena);
        weir_status status = step(&sender, &arena, &idle, &error);
        if (status != WEIR_OK)
            trouble(&sender, &error);
        else
            well(&sender);
        if (status == WEIR_OK && idle)
            await(&sender, IDLE_MS, true);
    }
    weir_arena_done(&arena);
    return NULL;
}

weir_status sender_start(struct gateway *gateway, struct source *source, struct weir_error *reterr)
{
    struct sending *sending;
    struct weir_arena *arena = &source->arena;
    struct weir_kafka_property *properties;
    char *identity;
    WEIR_TRY(weir_arena_print(arena, &identity, reterr, "weir-gateway-%s-%s",
                              weir_spool_identity(gateway->spool), source->config->name));
    WEIR_TRY(weir_arena_zero(arena, source->config->property_count + 1, sizeof *properties,
                             &properties, reterr));
    for (size_t i = 0; i < source->config->property_count; i++)
        properties[i] = (struct weir_kafka_property){source->config->properties[i].key,
                                                     source->config->properties[i].value};
    struct weir_kafka_sender_options options = {.topic = source->config->topics[0],
                                                .identity = identity,
                                                .properties = properties,
                                                .property_count = source->config->property_count};
    WEIR_TRY(weir_kafka_sender_new(gateway->context, &options, &source->sender, reterr));
    WEIR_TRY(weir_alloc_zero(&gateway->context->memory, 1, sizeof *sending, &sending, reterr));
    *sending = (struct sending){gateway, source};
    if (pthread_create(&source->thread, NULL, run, sending) != 0) {
        weir_free(sending);
        return weir_fail(reterr, WEIR_IO, "gateway: no thread for source %s", source->config->name);
    }
    source->has_thread = true;
    return WEIR_OK;
}

void sender_end(struct source *source)
{
    if (source->has_thread)
        pthread_join(source->thread, NULL);
    source->has_thread = false;
    weir_kafka_sender_free(source->sender);
    source->sender = NULL;
}
