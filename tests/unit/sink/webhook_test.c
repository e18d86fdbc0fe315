/* The webhook sink against a server that answers as told: what a request says, how it is signed,
 * what each answer means, and what stays unsaid in errors. */
#include "connectors/sink/sink_int.h"
#include "tests/unit/s3/fake_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_MAX 300

static struct weir_context context;
static struct weir_error error;
static struct fake_server server;
static struct weir_sink sink;
static struct weir_sink_result results[CHANGES_MAX];
static char url[200];
static int64_t wait_ms;

static int64_t fake_wall(void *self)
{
    return 1795428000000; /* 2026-11-23T10:00:00Z */
}

static void setup(void)
{
    weir_context_init(&context);
    context.clock.wall_ms = fake_wall;
    context.thread_count = 1;
}

static void teardown(void)
{
    if (sink.operations)
        sink.operations->free(sink.self);
    if (server.rules)
        fake_stop(&server);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
}

TestSuite(webhook, .init = setup, .fini = teardown, .timeout = 60);

static weir_status open_sink(struct weir_webhook_options options)
{
    options.sink = "pager";
    options.table = "gold.violations";
    if (!options.url)
        options.url = url;
    return weir_webhook_sink_new(&context, &options, &sink, &error);
}

static void start(struct fake_rule *rules, size_t count, struct weir_webhook_options options)
{
    fake_start(&server, rules, count);
    snprintf(url, sizeof url, "%s/hooks/t0ken?key=s3cret", server.url);
    cr_assert_eq(open_sink(options), WEIR_OK, "%s", error.text);
}

static struct weir_bytes bytes_of(const char *text)
{
    return (struct weir_bytes){(const uint8_t *)text, strlen(text)};
}

static struct weir_sink_change change(const char *id, const char *key, const char *row)
{
    return (struct weir_sink_change){.kind = WEIR_CHANGE_UPDATE,
                                     .id = id,
                                     .key = key,
                                     .key_json = bytes_of(key),
                                     .row = bytes_of(row),
                                     .version = 12,
                                     .snapshot_id = 4211,
                                     .committed_ms = 1795427998250};
}

static weir_status send_all(const struct weir_sink_change *changes, size_t count)
{
    memset(results, 0, sizeof results);
    wait_ms = 0;
    error.text[0] = '\0';
    return sink.operations->deliver(sink.self, changes, count, results, &wait_ms, &error);
}

/* Keys by letter: "aab" are three changes, two of one key. Ids are "id0", "id1", ... */
static weir_status deliver(const char *keys)
{
    static char ids[CHANGES_MAX][24], names[CHANGES_MAX][16];
    struct weir_sink_change changes[CHANGES_MAX];
    size_t count = strlen(keys);
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "id%zu", i);
        snprintf(names[i], sizeof names[i], "{\"k\":\"%c\"}", keys[i]);
        changes[i] = change(ids[i], names[i], "{}");
    }
    return send_all(changes, count);
}

/* Answers as letters: T taken, L later, R refused. */
static const char *answers(size_t count)
{
    static char text[CHANGES_MAX + 1];
    for (size_t i = 0; i < count; i++)
        text[i] = "TLR"[results[i].answer];
    text[count] = '\0';
    return text;
}

static size_t occurrences(const char *text)
{
    size_t count = 0;
    for (const char *at = server.log; (at = strstr(at, text)); at += strlen(text))
        count++;
    return count;
}

/* ---- what a request says --------------------------------------------------------------------- */

/* The signatures were made by another program (Python's hmac and base64). */
static void body_and_signature(const char *key, const char *signature)
{
    static struct fake_rule rules[] = {{"POST", 0, FAKE_ANSWER, 204, NULL, NULL, 0}};
    static const char *const headers[] = {"x-team: edge"};
    struct weir_sink_change one = change("00112233445566778899aabbccddeeff",
                                         "{\"device\":\"d\\\"1\"}",
                                         "{\"device\":\"d\\\"1\",\"level\":3}");
    start(rules, 1,
          (struct weir_webhook_options){.hmac_key = key, .headers = headers, .header_count = 1});
    cr_assert_eq(send_all(&one, 1), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(1), "T");
    cr_expect(strstr(server.log, signature), "%s", server.log);
    static const char *const parts[] = {
        "POST /hooks/t0ken?key=s3cret HTTP/1.1\r\n",
        "\r\nx-team: edge\r\n",
        "\r\ncontent-type: application/json\r\n",
        "\r\nwebhook-id: 00112233445566778899aabbccddeeff\r\n",
        "\r\nwebhook-timestamp: 1795428000\r\n",
        "\r\n\r\n{\"id\":\"00112233445566778899aabbccddeeff\",\"sink\":\"pager\",\"table\":"
        "\"gold.violations\",\"change\":\"update\",\"key\":{\"device\":\"d\\\"1\"},\"row\":{"
        "\"device\":\"d\\\"1\",\"level\":3},\"snapshot\":4211,\"version\":12,\"committed_at\":"
        "\"2026-11-23T09:59:58.25Z\"}"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect(strstr(server.log, parts[i]), "%s in %s", parts[i], server.log);
}

Test(webhook, signed_by_a_key_of_bytes)
{
    body_and_signature(
        "0123456789abcdef0123456789abcdef",
        "\r\nwebhook-signature: v1,Imu1PBxk2eiiugZARCEq499ZsPz6AQnF3JHaUdY4LEI=\r\n");
}

Test(webhook, signed_by_a_key_of_base64)
{
    body_and_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "\r\nwebhook-signature: v1,tcr04tBl0V11Faqkj+CWJ1Yc6qDltSO0JoqEVkpnrvk=\r\n");
}

Test(webhook, an_array_and_no_signature)
{
    static struct fake_rule rules[] = {{"POST", 0, FAKE_ANSWER, 202, NULL, "{}", 0}};
    start(rules, 1, (struct weir_webhook_options){.batch = 2});
    cr_expect_eq(sink.batch_max, 512);
    cr_assert_eq(deliver("abc"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(3), "TTT");
    cr_expect_eq(server.request_count, 2);
    cr_expect(strstr(server.log, "\r\n\r\n[{\"id\":\"id0\""), "%s", server.log);
    cr_expect(strstr(server.log, "\r\n\r\n[{\"id\":\"id2\""), "%s", server.log);
    cr_expect(strstr(server.log, "webhook-id: id2\r\n"), "%s", server.log);
    cr_expect_eq(occurrences("webhook-signature"), 0);
}

Test(webhook, keys_that_are_none)
{
    static char longer[4200];
    memset(longer, 'k', sizeof longer - 1);
    const char *const keys[] = {"whsec_not base64", "whsec_", "", "whsec_QUJD=", longer};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        error.text[0] = '\0';
        cr_expect_eq(
            open_sink((struct weir_webhook_options){.url = "http://h/", .hmac_key = keys[i]}),
            WEIR_USAGE, "%zu", i);
        cr_expect(strstr(error.text, "hmac_key"), "%s", error.text);
        cr_expect(!strstr(error.text, "not base64") && !strstr(error.text, "kkk"), "%s",
                  error.text);
    }
}

/* ---- what an answer means -------------------------------------------------------------------- */

Test(webhook, codes)
{
    static const struct {
        int code;
        weir_status status;
        const char *answer;
    } cases[] = {
        {200, WEIR_OK, "T"},     {201, WEIR_OK, "T"},     {204, WEIR_OK, "T"},
        {299, WEIR_OK, "T"},     {301, WEIR_REFUSED, ""}, {304, WEIR_REFUSED, ""},
        {400, WEIR_OK, "R"},     {401, WEIR_DENIED, ""},  {403, WEIR_DENIED, ""},
        {404, WEIR_REFUSED, ""}, {405, WEIR_REFUSED, ""}, {407, WEIR_DENIED, ""},
        {411, WEIR_REFUSED, ""}, {415, WEIR_REFUSED, ""}, {426, WEIR_REFUSED, ""},
        {410, WEIR_REFUSED, ""}, {408, WEIR_OK, "L"},     {409, WEIR_OK, "R"},
        {413, WEIR_OK, "R"},     {422, WEIR_OK, "R"},     {425, WEIR_OK, "L"},
        {429, WEIR_OK, "L"},     {500, WEIR_OK, "L"},     {501, WEIR_OK, "L"},
        {503, WEIR_OK, "L"},     {599, WEIR_OK, "L"},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    static struct fake_rule rules[CASES];
    for (size_t i = 0; i < CASES; i++)
        rules[i] = (struct fake_rule){"POST", 1, FAKE_ANSWER, cases[i].code, NULL, "row: r0w", 0};
    start(rules, CASES, (struct weir_webhook_options){0});
    for (size_t i = 0; i < CASES; i++) {
        cr_expect_eq(deliver("a"), cases[i].status, "%d: %s", cases[i].code, error.text);
        if (cases[i].status == WEIR_OK)
            cr_expect_str_eq(answers(1), cases[i].answer, "%d", cases[i].code);
        cr_expect(!strstr(error.text, "t0ken") && !strstr(error.text, "s3cret"), "%s", error.text);
        if (*cases[i].answer && *cases[i].answer != 'T')
            cr_expect(strstr(results[0].reason, "answered"), "%s", results[0].reason);
    }
}

Test(webhook, retry_after)
{
    static const struct {
        const char *header;
        int64_t wait_ms;
    } cases[] = {
        {"Retry-After: 7\r\n", 7000},
        {"retry-after: 0\r\n", 0},
        {"Retry-After: -5\r\n", 0},
        {"Retry-After: 99999\r\n", 3600000},
        {"Retry-After: 99999999999999999999999\r\n", 3600000},
        {"Retry-After: Mon, 23 Nov 2026 10:00:30 GMT\r\n", 30000},
        {"Retry-After: Mon, 23 Nov 2026 09:00:00 GMT\r\n", 0},
        {"Retry-After: Wed, 01 Jan 2070 00:00:00 GMT\r\n", 3600000},
        {"Retry-After: soon\r\n", 0},
        {"Retry-After:\r\n", 0},
        {NULL, 0},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    static struct fake_rule rules[CASES];
    for (size_t i = 0; i < CASES; i++)
        rules[i] = (struct fake_rule){"POST", 1, FAKE_ANSWER, 429, cases[i].header, NULL, 0};
    start(rules, CASES, (struct weir_webhook_options){0});
    for (size_t i = 0; i < CASES; i++) {
        cr_expect_eq(deliver("a"), WEIR_OK, "%s", error.text);
        cr_expect_eq(wait_ms, cases[i].wait_ms, "%s: %lld", cases[i].header, (long long)wait_ms);
    }
}

/* An answer that was cut may have been a yes: the same again later, under the same id. */
Test(webhook, no_answer_or_half_of_one)
{
    static char headers[70000];
    size_t used = 0;
    while (used < sizeof headers - 100)
        used += (size_t)snprintf(headers + used, sizeof headers - used, "x-%zu: %060d\r\n", used,
                                 0);
    static struct fake_rule rules[] = {{"POST", 1, FAKE_CLOSE, 0, NULL, NULL, 0},
                                       {"POST", 1, FAKE_CUT, 200, NULL, "{}", 0},
                                       {"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    start(rules, 3, (struct weir_webhook_options){0});
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(deliver("ab"), WEIR_UNAVAILABLE, "%s", error.text);
        cr_expect(strstr(error.text, "webhook http://127.0.0.1:"), "%s", error.text);
        cr_expect(strstr(error.text, "no whole answer"), "%s", error.text);
        cr_expect(!strstr(error.text, "t0ken") && !strstr(error.text, "s3cret"), "%s", error.text);
    }
    cr_expect_eq(server.request_count, 2, "nobody answers: what was not begun waits");
    cr_expect_eq(deliver("ab"), WEIR_OK, "%s", error.text);
    fake_stop(&server);
    server.rules = NULL;
    cr_expect_eq(deliver("ab"), WEIR_UNAVAILABLE, "%s", error.text);
    cr_expect(!strstr(error.text, "t0ken") && !strstr(error.text, "s3cret"), "%s", error.text);
}

/* What the receiver says beyond its code is not kept. */
Test(webhook, large_answers)
{
    static char body[2 << 20];
    memset(body, 'x', sizeof body - 1);
    static struct fake_rule rules[] = {{"POST", 0, FAKE_ANSWER, 200, NULL, body, 0}};
    start(rules, 1, (struct weir_webhook_options){0});
    size_t before = atomic_load(&context.memory.peak);
    cr_expect_eq(deliver("ab"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(2), "TT");
    cr_expect_lt(atomic_load(&context.memory.peak) - before, 100000);
}

Test(webhook, addresses_stay_unsaid)
{
    static const char *const urls[] = {"http://user:s3cret@127.0.0.1:1/t0ken",
                                       "http://127.0.0.1:1/t0ken?s3cret", "gopher://h:1/t0ken",
                                       "http://127.0.0.1:99999/t0ken"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        cr_assert_eq(open_sink((struct weir_webhook_options){.url = urls[i]}), WEIR_OK);
        weir_status status = deliver("a");
        cr_expect(status == WEIR_UNAVAILABLE || status == WEIR_USAGE, "%s", error.text);
        cr_expect(*error.text && !strstr(error.text, "t0ken") && !strstr(error.text, "s3cret"),
                  "%s", error.text);
        cr_expect(!strstr(results[0].reason, "t0ken"), "%s", results[0].reason);
        sink.operations->free(sink.self);
        sink.operations = NULL;
    }
}

/* ---- several changes ------------------------------------------------------------------------- */

Test(webhook, one_bad_change_of_a_batch)
{
    static struct fake_rule rules[] = {{"\"id\":\"id5\"", 0, FAKE_ANSWER, 422, NULL, NULL, 0},
                                       {"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    start(rules, 2, (struct weir_webhook_options){.batch = 8});
    cr_expect_eq(deliver("abcdefgh"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(8), "TTTTTRTT");
    cr_expect_eq(server.request_count, 7);
}

/* The first half is told to wait: what the second half has of the same key must not overtake it. */
Test(webhook, halves_keep_the_order_of_a_key)
{
    static struct fake_rule rules[] = {{"\"id\":\"id3\"", 0, FAKE_ANSWER, 422, NULL, NULL, 0},
                                       {"\"id\":\"id1\"", 0, FAKE_ANSWER, 503, NULL, NULL, 0},
                                       {"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    start(rules, 3, (struct weir_webhook_options){.batch = 4});
    cr_expect_eq(deliver("abbc"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(4), "LLLL");
    rules[1].code = 200;
    cr_expect_eq(deliver("abbc"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(4), "TTTR");
}

Test(webhook, behind_one_of_the_same_key)
{
    static struct fake_rule rules[] = {{"\"id\":\"id1\"", 0, FAKE_ANSWER, 503, NULL, NULL, 0},
                                       {"\"id\":\"id3\"", 0, FAKE_ANSWER, 422, NULL, NULL, 0},
                                       {"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    start(rules, 3, (struct weir_webhook_options){0});
    cr_expect_eq(deliver("abbccd"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(6), "TLLRTT");
    cr_expect_eq(occurrences("\"id\":\"id2\""), 0);
}

/* Asked to stop, what was not begun is not: each request of a slow receiver would take seconds. */
Test(webhook, asked_to_stop)
{
    static struct fake_rule rules[] = {{"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    start(rules, 1, (struct weir_webhook_options){0});
    atomic_store(&context.stop, 2);
    cr_expect_eq(deliver("abc"), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(answers(3), "LLL");
    cr_expect_eq(server.request_count, 0);
}

Test(webhook, side_by_side)
{
    static struct fake_rule rules[] = {{"POST", 0, FAKE_ANSWER, 200, NULL, NULL, 0}};
    char keys[257];
    for (size_t i = 0; i < 256; i++)
        keys[i] = (char)('0' + i % 70);
    keys[255] = keys[254];
    keys[256] = '\0';
    context.thread_count = 4;
    start(rules, 1, (struct weir_webhook_options){0});
    cr_expect_eq(sink.batch_max, 256);
    cr_expect_eq(deliver(keys), WEIR_OK, "%s", error.text);
    for (size_t i = 0; i < 256; i++) {
        char id[32];
        snprintf(id, sizeof id, "{\"id\":\"id%zu\",", i);
        cr_expect_eq(occurrences(id), 1, "%s", id);
        cr_expect_eq(results[i].answer, WEIR_SINK_TAKEN);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The server is asked, never the address: it might take any request for news. */
Test(webhook, probe)
{
    static struct fake_rule rules[] = {
        {"HEAD / ", 1, FAKE_ANSWER, 501, "Date: Mon, 23 Nov 2026 10:00:02 GMT\r\n", NULL, 0},
        {"HEAD / ", 1, FAKE_ANSWER, 200, "Date: Mon, 23 Nov 2026 09:00:00 GMT\r\n", NULL, 0},
        {"HEAD / ", 1, FAKE_ANSWER, 200, "Date: Mon, 23 Nov 2026 10:02:00 GMT\r\n", NULL, 0},
        {"HEAD / ", 1, FAKE_CLOSE, 0, NULL, NULL, 0}};
    char words[300] = "", wanted[200];
    start(rules, 4, (struct weir_webhook_options){.hmac_key = "key"});
    snprintf(wanted, sizeof wanted, "%s answers; whether it lets us in shows with the first change",
             server.url);
    cr_expect_eq(sink.operations->probe(sink.self, NULL, words, sizeof words, &error), WEIR_OK);
    cr_expect_str_eq(words, wanted);
    cr_expect_eq(sink.operations->probe(sink.self, NULL, words, sizeof words, &error),
                 WEIR_REFUSED);
    cr_expect(strstr(error.text, "3600 s behind ours"), "%s", error.text);
    cr_expect_eq(sink.operations->probe(sink.self, NULL, words, sizeof words, &error), WEIR_OK);
    cr_expect(strstr(words, "120 s ahead of ours"), "%s", words);
    cr_expect_eq(sink.operations->probe(sink.self, NULL, words, sizeof words, &error),
                 WEIR_UNAVAILABLE);
    cr_expect(!strstr(error.text, "t0ken"), "%s", error.text);
    cr_expect_eq(occurrences("t0ken"), 0, "%s", server.log);
    cr_expect_eq(occurrences("POST"), 0, "%s", server.log);
}
