/* The gateway's life: spool, senders, writer, server; and back. */
#include "scheduler/gateway/gateway_int.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STEP_MS = 50, IDLE_SECONDS = 60, SERVER_THREADS_MAX = 8, RETRY_SECONDS = 5 };

/* ---- the writer: everybody who waits shares one sync ---- */

void gateway_enqueue(struct gateway *gateway, struct work *work)
{
    pthread_mutex_lock(&gateway->lock);
    work->next = NULL;
    if (gateway->last)
        gateway->last->next = work;
    else
        gateway->first = work;
    gateway->last = work;
    pthread_cond_signal(&gateway->work);
    pthread_mutex_unlock(&gateway->lock);
}

static size_t take_group(struct gateway *gateway, struct work **group)
{
    size_t count = 0;
    pthread_mutex_lock(&gateway->lock);
    while (!gateway->first && !atomic_load(&gateway->ending))
        pthread_cond_wait(&gateway->work, &gateway->lock);
    while (gateway->first && count < GATEWAY_GROUP_MAX) {
        group[count++] = gateway->first;
        gateway->first = gateway->first->next;
    }
    if (!gateway->first)
        gateway->last = NULL;
    pthread_mutex_unlock(&gateway->lock);
    return count;
}

static void count_taken(struct gateway *gateway, const struct work *work)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < work->put.count; i++)
        bytes += (int64_t)work->put.entries[i].value.size;
    atomic_fetch_add(&gateway->counted[COUNTED_ACCEPTED], work->accepted);
    atomic_fetch_add(&gateway->counted[COUNTED_BYTES], bytes);
}

static void reply_to(struct gateway *gateway, struct work *work, weir_status status)
{
    struct weir_http_request *http = work->http;
    struct problem problem = {0};
    if (status != WEIR_OK) {
        problem_set(&problem, 503, "spool", "the records could not be put on disk");
        problem.retry_after_seconds = RETRY_SECONDS;
    } else if (work->put.outcome == WEIR_SPOOL_IS_FULL) {
        problem_set(&problem, 503, "full", "the spool is full until Kafka takes records again");
        problem.retry_after_seconds = RETRY_SECONDS;
    } else if (work->put.outcome == WEIR_SPOOL_CONFLICT) {
        problem_set(&problem, 422, "idempotency_key",
                    "this Idempotency-Key was used for another body");
    } else {
        http->reply.status = 202;
        http->reply.content_type = "application/json";
        http->reply.replay = work->put.outcome == WEIR_SPOOL_REPEATED;
        if (http->reply.replay)
            atomic_fetch_add(&gateway->counted[COUNTED_REPEATED], 1);
        else
            count_taken(gateway, work);
    }
    if (problem.status)
        answer_problem(http, &problem);
    weir_http_request_reply(http); /* work may be gone from here on */
}

static void write_group(struct gateway *gateway, struct work **group, size_t count)
{
    struct weir_spool_put *puts[GATEWAY_GROUP_MAX];
    struct weir_error error = {0};
    for (size_t i = 0; i < count; i++)
        puts[i] = &group[i]->put;
    weir_status status = weir_spool_put(gateway->spool, puts, count, weir_now_ms(gateway->context),
                                        &error);
    if (status != WEIR_OK && !atomic_exchange(&gateway->spool_failed, true))
        fprintf(stderr, "weir: %s; requests are refused\n", error.text);
    if (status == WEIR_OK)
        atomic_store(&gateway->spool_failed, false);
    atomic_fetch_add(&gateway->counted[COUNTED_SYNCS], 1);
    pthread_mutex_lock(&gateway->lock);
    gateway->arrivals++;
    pthread_cond_broadcast(&gateway->arrived);
    pthread_mutex_unlock(&gateway->lock);
    for (size_t i = 0; i < count; i++)
        reply_to(gateway, group[i], status);
}

static void *run_writer(void *argument)
{
    struct gateway *gateway = argument;
    struct work *group[GATEWAY_GROUP_MAX];
    size_t count;
    while ((count = take_group(gateway, group)) > 0)
        write_group(gateway, group, count);
    return NULL;
}

/* ---- starting ---- */

static weir_status open_spool(struct gateway *gateway, struct weir_error *reterr)
{
    const struct weir_gateway_config *config = gateway->config;
    struct weir_spool_options options = {.path = config->spool,
                                         .limit = config->spool_limit,
                                         .drop_oldest = config->drop_oldest,
                                         .repeat_window_ms = config->idempotency_ms,
                                         .account = &gateway->context->memory};
    int64_t strangers = 0;
    char name[256] = "";
    WEIR_TRY(weir_spool_open(&options, &gateway->spool, reterr));
    WEIR_TRY(weir_spool_strangers(gateway->spool, config->sources, config->source_count, &strangers,
                                  name, reterr));
    if (strangers == 0)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE,
                                   "spool %.500s holds %lld records of source %s, which the "
                                   "gateway does not have",
                                   config->spool, (long long)strangers, name);
    weir_error_hint(reterr, "put the source back until they are in Kafka, or move the file away");
    return status;
}

static weir_status start_sources(struct gateway *gateway, struct weir_error *reterr)
{
    const struct weir_gateway_config *config = gateway->config;
    WEIR_TRY(weir_alloc_zero(&gateway->context->memory, config->source_count + 1,
                             sizeof *gateway->sources, &gateway->sources, reterr));
    for (size_t i = 0; i < config->source_count; i++) {
        gateway->source_count++;
        WEIR_TRY(source_init(&gateway->sources[i], &gateway->context->memory, gateway->pipeline,
                             config->sources[i], reterr));
    }
    for (size_t i = 0; i < config->source_count; i++)
        WEIR_TRY(sender_start(gateway, &gateway->sources[i], reterr));
    return WEIR_OK;
}

static weir_status start_server(struct gateway *gateway, struct weir_error *reterr)
{
    const struct weir_gateway_config *config = gateway->config;
    int threads = gateway->context->thread_count;
    struct weir_http_server_options options = {.host = config->host,
                                               .port = config->port,
                                               .certificate_file = config->cert_file,
                                               .key_file = config->key_file,
                                               .threads = (unsigned)(threads < 2 ? 2
                                                                     : threads > SERVER_THREADS_MAX
                                                                         ? SERVER_THREADS_MAX
                                                                         : threads),
                                               .connections_max = (unsigned)config->connections,
                                               .body_max = (size_t)config->body_limit,
                                               .idle_seconds = IDLE_SECONDS,
                                               .account = &gateway->account,
                                               .handle = gateway_handle,
                                               .finished = gateway_finished,
                                               .self = gateway};
    if (pthread_create(&gateway->writer, NULL, run_writer, gateway) != 0)
        return weir_fail(reterr, WEIR_IO, "gateway: no thread for the writer");
    gateway->has_writer = true;
    return weir_http_server_new(&options, &gateway->server, reterr);
}

static weir_status start(struct gateway *gateway, struct weir_error *reterr)
{
    WEIR_TRY(tokens_init(&gateway->tokens, gateway->config, &gateway->context->memory, reterr));
    WEIR_TRY(open_spool(gateway, reterr));
    WEIR_TRY(start_sources(gateway, reterr));
    return start_server(gateway, reterr);
}

/* ---- ending ---- */

/* Not the context's sleep: asked to stop, that returns at once. */
static void pause_a_moment(void)
{
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
}

static void wait_until_answered(struct gateway *gateway)
{
    int64_t until = weir_steady_ms(gateway->context) + 10000;
    while (weir_http_server_busy(gateway->server) && weir_steady_ms(gateway->context) < until)
        pause_a_moment();
}

/* What waits is safe on disk: Kafka may have it now, or when the gateway is started again. */
static void wait_until_sent(struct gateway *gateway)
{
    struct weir_spool_counts counts;
    int64_t until = weir_steady_ms(gateway->context) + gateway->config->drain_ms;
    for (;;) {
        weir_spool_count(gateway->spool, &counts);
        if (counts.records == 0 || weir_steady_ms(gateway->context) >= until)
            break;
        pause_a_moment();
    }
    if (counts.records)
        fprintf(stderr, "weir: %lld records wait in the spool for the next start\n",
                (long long)counts.records);
}

static void end(struct gateway *gateway, bool drain)
{
    atomic_store(&gateway->closing, true);
    if (gateway->server) {
        weir_http_server_quiesce(gateway->server);
        wait_until_answered(gateway);
        if (drain)
            wait_until_sent(gateway);
    }
    atomic_store(&gateway->ending, true);
    pthread_mutex_lock(&gateway->lock);
    pthread_cond_broadcast(&gateway->work);
    pthread_cond_broadcast(&gateway->arrived);
    pthread_mutex_unlock(&gateway->lock);
    if (gateway->has_writer)
        pthread_join(gateway->writer, NULL);
    weir_http_server_free(gateway->server);
    for (size_t i = 0; i < gateway->source_count; i++)
        sender_end(&gateway->sources[i]);
    for (size_t i = 0; i < gateway->source_count; i++)
        source_done(&gateway->sources[i]);
    weir_free(gateway->sources);
    weir_spool_close(gateway->spool);
    tokens_done(&gateway->tokens);
    pthread_cond_destroy(&gateway->work);
    pthread_cond_destroy(&gateway->arrived);
    pthread_mutex_destroy(&gateway->lock);
}

static void tell(struct gateway *gateway, const struct weir_gateway_options *options)
{
    char address[400];
    const char *host = gateway->config->host;
    bool six = strchr(host, ':') != NULL;
    snprintf(address, sizeof address, "%s://%s%s%s:%d",
             gateway->config->cert_file ? "https" : "http", six ? "[" : "", host, six ? "]" : "",
             weir_http_server_port(gateway->server));
    if (options->listening)
        options->listening(options->argument, address);
}

weir_status weir_gateway_run(struct weir_context *context,
                             const struct weir_gateway_options *options, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = options->pipeline;
    struct gateway *gateway;
    if (!pipeline->gateway.given)
        return weir_fail(reterr, WEIR_USAGE, "%s: there is no `gateway`", pipeline->file);
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *gateway, &gateway, reterr));
    gateway->context = context;
    gateway->pipeline = pipeline;
    gateway->config = &pipeline->gateway;
    weir_account_init(&gateway->account, &context->memory, "gateway.memory",
                      (size_t)pipeline->gateway.memory);
    pthread_mutex_init(&gateway->lock, NULL);
    pthread_cond_init(&gateway->work, NULL);
    pthread_cond_init(&gateway->arrived, NULL);
    weir_status status = start(gateway, reterr);
    if (status == WEIR_OK) {
        tell(gateway, options);
        while (weir_context_check(context, NULL) == WEIR_OK)
            weir_sleep_ms(context, STEP_MS);
        if (atomic_load(&context->stop) == SIGINT)
            status = weir_fail(reterr, WEIR_INTERRUPTED,
                               "stopped; what was accepted is in Kafka "
                               "or in the spool");
    }
    end(gateway, status == WEIR_OK);
    weir_free(gateway);
    return status;
}
