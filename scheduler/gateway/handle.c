/* One request: who asks, what for, is it whole and good; then to the writer, or an answer at once.
 * Runs on the server's threads. */
#include "scheduler/gateway/gateway_int.h"

#include "scheduler/gateway/openapi_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what a POST holds ---- */

struct posted {
    struct gateway *gateway;
    struct weir_http_request *http;
    struct source *source;
    struct work *work;
    struct weir_bytes *records;
    uint32_t count;
    struct check_result result;
    struct problem problem;
    bool accept_good;
};

static const char *header(const struct posted *post, const char *name)
{
    const char *value = weir_http_request_header(post->http, name);
    return value && *value ? value : NULL;
}

static void read_choice(struct posted *post)
{
    const char *choice = weir_http_request_parameter(post->http, "on_error");
    choice = choice ? choice : header(post, "X-Weir-On-Error");
    if (!choice || strcmp(choice, "reject") == 0)
        return;
    post->accept_good = strcmp(choice, "accept") == 0;
    if (!post->accept_good)
        problem_set(&post->problem, 400, "on_error", "on_error is reject or accept");
}

static void check_headers(struct posted *post)
{
    static const char *const names[] = {"X-Weir-Device", "X-Weir-Boot", "X-Weir-Sequence",
                                        "Idempotency-Key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = header(post, names[i]);
        if (value && strlen(value) > GATEWAY_HEADER_SIZE_MAX)
            problem_set(&post->problem, 400, "header", "%s: more than %d bytes", names[i],
                        GATEWAY_HEADER_SIZE_MAX);
    }
    const char *sequence = header(post, "X-Weir-Sequence");
    if (sequence && (strlen(sequence) > 18 || sequence[strspn(sequence, "0123456789")]))
        problem_set(&post->problem, 400, "header",
                    "X-Weir-Sequence: a whole number of at most 18 digits is wanted: that of the "
                    "first record");
}

/* ---- to the spool ---- */

static weir_status add_header(struct weir_buffer *out, const char *name, const void *value,
                              size_t size, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(out, name, strlen(name) + 1, reterr));
    WEIR_TRY(weir_buffer_append(out, value, size, reterr));
    return weir_buffer_append(out, "", 1, reterr);
}

static weir_status make_headers(struct posted *post, uint32_t record, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    static const char *const sent[] = {"X-Weir-Device", "X-Weir-Boot", "X-Weir-Sequence"},
                             *const names[] = {"weir-device", "weir-boot", "weir-sequence"};
    const struct marks *marks = &post->result.marks[record];
    const struct weir_bytes own[] = {marks->device, marks->boot, marks->sequence};
    weir_buffer_clear(out);
    if (strcmp(post->work->tenant, "*") != 0)
        WEIR_TRY(
            add_header(out, "weir-tenant", post->work->tenant, strlen(post->work->tenant), reterr));
    for (size_t i = 0; i < 3; i++) {
        const char *value = header(post, sent[i]);
        char number[32];
        if (value && i == 2) { /* of a batch's first record */
            snprintf(number, sizeof number, "%lld", atoll(value) + (long long)record);
            value = number;
        }
        if (value)
            WEIR_TRY(add_header(out, names[i], value, strlen(value), reterr));
        else if (own[i].data)
            WEIR_TRY(add_header(out, names[i], own[i].data, own[i].size, reterr));
    }
    return WEIR_OK;
}

static weir_status make_entry(struct posted *post, uint32_t record, struct weir_buffer *scratch,
                              struct weir_spool_entry *entry, struct weir_error *reterr)
{
    const char *device = header(post, "X-Weir-Device");
    char *copy;
    WEIR_TRY(make_headers(post, record, scratch, reterr));
    WEIR_TRY(weir_arena_copy(&post->work->arena, scratch->data, scratch->size, &copy, reterr));
    *entry = (struct weir_spool_entry){
        .key = device ? (struct weir_bytes){(const uint8_t *)device, strlen(device)}
                      : post->result.marks[record].device,
        .headers = {(const uint8_t *)copy, scratch->size},
        .value = post->records[record]};
    return WEIR_OK;
}

static weir_status make_put(struct posted *post, struct weir_error *reterr)
{
    struct work *work = post->work;
    struct weir_spool_entry *entries;
    WEIR_AUTO(weir_buffer) scratch;
    weir_buffer_init(&scratch, &post->gateway->account);
    WEIR_TRY(weir_arena_zero(&work->arena, post->count + 1, sizeof *entries, &entries, reterr));
    for (uint32_t i = 0; i < post->count; i++)
        if (!post->result.bad[i])
            WEIR_TRY(make_entry(post, i, &scratch, &entries[work->accepted++], reterr));
    work->put = (struct weir_spool_put){.source = post->source->config->name,
                                        .entries = entries,
                                        .count = work->accepted,
                                        .answer = &post->http->reply.body};
    const char *key = header(post, "Idempotency-Key");
    if (!key)
        return WEIR_OK;
    char *text;
    WEIR_TRY(weir_arena_print(&work->arena, &text, reterr, "%s\n%s\n%s", work->tenant,
                              work->put.source, key));
    weir_spool_digest(text, strlen(text), work->repeat_key);
    weir_spool_digest(post->http->body.data, post->http->body.size, work->body_digest);
    work->put.repeat_key = work->repeat_key;
    work->put.body_digest = work->body_digest;
    return WEIR_OK;
}

/* ---- POST /v1/{source} ---- */

static weir_status read_records(struct posted *post, struct weir_error *reterr)
{
    struct work *work = post->work;
    struct weir_bytes body;
    const char *type = header(post, "Content-Type");
    bool lines = type && (strncasecmp(type, "application/x-ndjson", 20) == 0 ||
                          strncasecmp(type, "application/jsonl", 17) == 0);
    WEIR_TRY(body_decode(&post->gateway->account, header(post, "Content-Encoding"),
                         post->http->body, (size_t)post->gateway->config->body_limit, &work->body,
                         &body, &post->problem, reterr));
    if (post->problem.status)
        return WEIR_OK;
    WEIR_TRY(body_split(&work->arena, body, lines, &post->records, &post->count, &post->problem,
                        reterr));
    if (post->problem.status)
        return WEIR_OK;
    struct check_options options = {post->gateway->config,
                                    strcmp(work->tenant, "*") == 0 ? NULL : work->tenant};
    return source_check(post->source, &post->gateway->account, &options, post->records, post->count,
                        &work->arena, &post->result, reterr);
}

/* *ret_later: the writer answers. */
static weir_status take(struct posted *post, bool *ret_later, struct weir_error *reterr)
{
    *ret_later = false;
    read_choice(post);
    check_headers(post);
    if (post->problem.status)
        return WEIR_OK;
    WEIR_TRY(read_records(post, reterr));
    if (post->problem.status)
        return WEIR_OK;
    atomic_fetch_add(&post->gateway->counted[COUNTED_REFUSED], post->result.refused_count);
    bool none = post->result.refused_count == post->count;
    if (post->result.refused_count && (none || !post->accept_good))
        return answer_refused(post->http, &post->result, post->count, reterr);
    WEIR_TRY(make_put(post, reterr));
    WEIR_TRY(answer_taken(&post->http->reply.body, post->work->accepted, &post->result, reterr));
    *ret_later = true;
    return WEIR_OK;
}

static weir_status work_new(struct posted *post, const char *tenant, struct weir_error *reterr)
{
    struct work *work;
    WEIR_TRY(weir_alloc_zero(&post->gateway->account, 1, sizeof *work, &work, reterr));
    work->gateway = post->gateway;
    work->http = post->http;
    weir_arena_init(&work->arena, &post->gateway->account);
    weir_buffer_init(&work->body, &post->gateway->account);
    memcpy(work->tenant, tenant, GATEWAY_TENANT_SIZE);
    post->http->user = post->work = work;
    return WEIR_OK;
}

static void no_memory(struct problem *problem)
{
    problem_set(problem, 503, "busy", "requests under way use all of gateway.memory");
    problem->retry_after_seconds = 1;
}

static bool post_records(struct posted *post, const char *tenant)
{
    struct weir_error error = {0};
    bool later = false;
    weir_status status = work_new(post, tenant, &error);
    if (status == WEIR_OK)
        status = take(post, &later, &error);
    if (status == WEIR_NO_MEMORY)
        no_memory(&post->problem);
    else if (status != WEIR_OK)
        problem_set(&post->problem, 500, "internal", "%.200s", error.text);
    if (post->problem.status)
        answer_problem(post->http, &post->problem);
    else if (later) {
        weir_http_request_defer(post->http);
        gateway_enqueue(post->gateway, post->work);
        return false;
    }
    return true;
}

static struct source *find_source(struct gateway *gateway, const char *name)
{
    for (size_t i = 0; i < gateway->source_count; i++)
        if (strcmp(gateway->sources[i].config->name, name) == 0)
            return &gateway->sources[i];
    return NULL;
}

/* Who asks is known before anything else is told. */
static bool handle_post(struct gateway *gateway, struct weir_http_request *request)
{
    struct posted post = {.gateway = gateway, .http = request};
    struct problem *problem = &post.problem;
    char tenant[GATEWAY_TENANT_SIZE] = "";
    int64_t wait_ms;
    bool known = tokens_admit(&gateway->tokens, weir_http_request_header(request, "Authorization"),
                              weir_steady_ms(gateway->context), tenant, &wait_ms);
    post.source = find_source(gateway, request->path + strlen("/v1/"));
    if (!known) {
        problem_set(problem, 401, "token", "no token, or one that is not known");
    } else if (wait_ms) {
        problem_set(problem, 429, "rate", "more than %lld requests a second",
                    (long long)gateway->config->rate);
        problem->retry_after_seconds = (int)((wait_ms + 999) / 1000);
    } else if (!post.source) {
        problem_set(problem, 404, "source", "there is no such source");
    } else if (atomic_load(&gateway->closing)) {
        problem_set(problem, 503, "closing", "the gateway is ending");
        problem->retry_after_seconds = 2;
    } else if (request->too_large) {
        problem_set(problem, 413, "too_large", "more than %llu bytes",
                    (unsigned long long)gateway->config->body_limit);
    } else if (request->no_memory) {
        no_memory(problem);
    }
    if (!problem->status)
        return post_records(&post, tenant);
    answer_problem(request, problem);
    return true;
}

/* ---- the others ---- */

static void handle_health(struct gateway *gateway, struct weir_http_request *request)
{
    bool away = false, failed = atomic_load(&gateway->spool_failed);
    for (size_t i = 0; i < gateway->source_count; i++)
        away |= !atomic_load(&gateway->sources[i].reached);
    answer_text(request, failed ? 503 : 200, "application/json",
                failed ? "{\"status\":\"spool failed\"}\n"
                : away ? "{\"status\":\"ok\",\"kafka\":\"away\"}\n"
                       : "{\"status\":\"ok\",\"kafka\":\"reached\"}\n");
}

static void handle_metrics(struct gateway *gateway, struct weir_http_request *request)
{
    request->reply.status = 200;
    request->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (metrics_print(gateway, &request->reply.body, NULL) != WEIR_OK)
        request->reply.status = 503;
}

/* The document with the names of the sources that there are. */
static weir_status print_document(const struct gateway *gateway, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    static const char place[] = "\"{sources}\"";
    const char *at = strstr(openapi_text, place);
    size_t before = at ? (size_t)(at - openapi_text) : strlen(openapi_text);
    WEIR_TRY(weir_buffer_append(out, openapi_text, before, reterr));
    if (!at)
        return WEIR_OK;
    for (size_t i = 0; i < gateway->source_count; i++)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s\"%s\"", i ? ", " : "",
                                   gateway->sources[i].config->name));
    at += strlen(place);
    return weir_buffer_append(out, at, strlen(at), reterr);
}

static void handle_document(struct gateway *gateway, struct weir_http_request *request)
{
    request->reply.status = 200;
    request->reply.content_type = "application/json";
    if (print_document(gateway, &request->reply.body, NULL) != WEIR_OK)
        request->reply.status = 503;
}

static bool route(struct gateway *gateway, struct weir_http_request *request)
{
    const char *path = request->path, *name = strncmp(path, "/v1/", 4) == 0 ? path + 4 : "";
    bool post = strcmp(request->method, "POST") == 0,
         get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0,
         records = *name && !strchr(name, '/'), health = strcmp(path, "/healthz") == 0,
         metrics = strcmp(path, "/metrics") == 0, document = strcmp(path, "/openapi.json") == 0;
    struct problem problem = {0};
    if (records && post)
        return handle_post(gateway, request);
    if (get && health)
        handle_health(gateway, request);
    else if (get && metrics)
        handle_metrics(gateway, request);
    else if (get && document)
        handle_document(gateway, request);
    else if (records || health || metrics || document) {
        problem_set(&problem, 405, "method", "%s is what this path takes",
                    records ? "POST" : "GET");
        request->reply.allow = records ? "POST" : "GET, HEAD";
        answer_problem(request, &problem);
    } else {
        problem_set(&problem, 404, "path",
                    "POST /v1/{source}, GET /healthz, /metrics, /openapi.json");
        answer_problem(request, &problem);
    }
    return true;
}

bool gateway_handle(void *self, struct weir_http_request *request)
{
    struct gateway *gateway = self;
    return route(gateway, request);
}

void gateway_finished(void *self, struct weir_http_request *request)
{
    struct gateway *gateway = self;
    struct work *work = request->user;
    unsigned slot = request->reply.status - 100;
    if (slot < STATUS_SLOTS)
        atomic_fetch_add(&gateway->answered[slot], 1);
    if (!work)
        return;
    weir_arena_done(&work->arena);
    weir_buffer_done(&work->body);
    weir_free(work);
}
