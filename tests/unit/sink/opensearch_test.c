/* The OpenSearch sink when the server is busy, away, half willing, or not what it seems; the real
 * one is in opensearch_live_test.c. */
#include "connectors/sink/opensearch_int.h"
#include "tests/unit/s3/fake_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct weir_context context;
static struct weir_error error;
static struct weir_arena arena;
static struct fake_server server;
static struct weir_sink sink;
static struct weir_sink_result results[8];
static int64_t wait_ms;

static int64_t fake_wall(void *self)
{
    return 1795428000000; /* 2026-11-23T10:00:00Z */
}

static void setup(void)
{
    weir_context_init(&context);
    context.clock.wall_ms = fake_wall;
    weir_arena_init(&arena, &context.memory);
}

static void teardown(void)
{
    if (sink.operations)
        sink.operations->free(sink.self);
    if (server.rules)
        fake_stop(&server);
    weir_arena_done(&arena);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
}

TestSuite(opensearch, .init = setup, .fini = teardown, .timeout = 60);

static struct weir_type type_of(const char *text)
{
    struct weir_type type;
    cr_assert_eq(weir_type_parse(&arena, text, &type, &error), WEIR_OK, "%s", error.text);
    return type;
}

static void start(struct fake_rule *rules, size_t count, struct weir_opensearch_options options)
{
    fake_start(&server, rules, count);
    options.url = server.url;
    options.index = "violations";
    cr_assert_eq(weir_opensearch_sink_new(&context, &options, &sink, &error), WEIR_OK, "%s",
                 error.text);
}

static struct weir_sink_change change(enum weir_change_kind kind, const char *key, const char *row)
{
    return (struct weir_sink_change){
        .kind = kind, .key = key, .row = {(const uint8_t *)row, strlen(row)}, .version = 7};
}

/* Six changes: keys a to f, d and e deleted. */
static weir_status deliver(size_t count)
{
    const struct weir_sink_change changes[] = {
        change(WEIR_CHANGE_INSERT, "a", "{\"v\":1}"), change(WEIR_CHANGE_UPDATE, "b", "{\"v\":2}"),
        change(WEIR_CHANGE_INSERT, "c", "{\"v\":3}"), change(WEIR_CHANGE_DELETE, "d", "{\"v\":4}"),
        change(WEIR_CHANGE_DELETE, "e", "{\"v\":5}"), change(WEIR_CHANGE_INSERT, "a", "{\"v\":6}")};
    memset(results, 0, sizeof results);
    wait_ms = -1;
    error.text[0] = '\0';
    return sink.operations->deliver(sink.self, changes, count, results, &wait_ms, &error);
}

/* ---- what a request says --------------------------------------------------------------------- */

Test(opensearch, lines_of_a_bulk)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    char long_key[600];
    struct weir_sink_change changes[] = {change(WEIR_CHANGE_INSERT, "d1|p\"1\"\n", "{\"v\":\n1}"),
                                         change(WEIR_CHANGE_DELETE, "caf\xc3\xa9", "{\"v\":1}"),
                                         change(WEIR_CHANGE_DELETE, "", "{}"),
                                         change(WEIR_CHANGE_DELETE, long_key, "{}")};
    memset(long_key, 'k', sizeof long_key);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(opensearch_change_print(&changes[i], &out, NULL), WEIR_OK);
    cr_expect_str_eq(
        (char *)out.data,
        "{\"index\":{\"_id\":\"d1|p\\\"1\\\"\\u000a\",\"version\":7,\"version_type\":"
        "\"external_gte\"}}\n{\"v\": 1}\n"
        "{\"delete\":{\"_id\":\"caf\xc3\xa9\",\"version\":7,\"version_type\":\"external_gte\"}}\n"
        "{\"delete\":{\"_id\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
        "\"version\":7,\"version_type\":\"external_gte\"}}\n");
    for (size_t size = 512; size <= 513; size++) {
        long_key[size] = '\0';
        weir_buffer_clear(&out);
        cr_assert_eq(opensearch_change_print(&changes[3], &out, NULL), WEIR_OK);
        cr_expect_eq(strstr((char *)out.data, "kkk") != NULL, size == 512, "%zu", size);
        long_key[size] = 'k';
    }
}

Test(opensearch, mappings_of_all_types)
{
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    size_t count;
    struct weir_type row = type_of(
        "struct<a:boolean, b:int, c:long, d:float, e:double, f:decimal(15,2), g:decimal(16,2), "
        "h:decimal(18,0), i:date, j:time, k:timestamp, l:timestamptz, m:string, n:uuid, "
        "o:fixed(4), p:binary, q:map<string,int>, r:list<list<int>>, "
        "s:list<struct<\"x\":string>>>");
    cr_assert_eq(opensearch_mapping_print(&row, NULL, &out, &count, NULL), WEIR_OK);
    cr_expect_eq(count, 20);
    static const char text[] = "{'type':'keyword','ignore_above':8191}";
    char wanted[2000];
    snprintf(wanted, sizeof wanted,
             "{'a':{'type':'boolean'},'b':{'type':'integer'},'c':{'type':'long'},"
             "'d':{'type':'float'},'e':{'type':'double'},"
             "'f':{'type':'scaled_float','scaling_factor':100},'g':%s,'h':{'type':'long'},"
             "'i':{'type':'date','format':'strict_date'},'j':%s,"
             "'k':{'type':'date','format':'strict_date_optional_time'},"
             "'l':{'type':'date','format':'strict_date_optional_time'},'m':%s,'n':%s,"
             "'o':{'type':'binary'},'p':{'type':'binary'},'q':{'type':'object','enabled':false},"
             "'r':{'type':'integer'},'s':{'type':'object','properties':{'x':%s}}}",
             text, text, text, text, text);
    for (char *at = wanted; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    cr_expect_str_eq((char *)out.data, wanted);
}

Test(opensearch, mappings_that_fit_and_that_do_not)
{
    static const struct {
        const char *row, *mapping, *message; /* NULL: fits */
    } cases[] = {
        {"struct<a:long>", "{}", NULL},
        {"struct<a:long>", "{\"dynamic\":\"strict\"}", "\"a\" is not there"},
        {"struct<a:int>", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", NULL},
        {"struct<a:int>", "{\"properties\":{\"a\":{\"type\":\"short\"}}}", "\"a\" is short there"},
        {"struct<a:list<double>>", "{\"properties\":{\"a\":{\"type\":\"knn_vector\"}}}", NULL},
        {"struct<a:list<double>>", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", "is long there"},
        {"struct<a:string>", "{\"properties\":{\"a\":{\"type\":\"ip\"}}}", NULL},
        {"struct<a:string>", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", "is long there"},
        {"struct<a:string>", "{\"properties\":{\"a\":{\"type\":\"alias\",\"path\":\"b\"}}}",
         "is alias there"},
        {"struct<a:date>",
         "{\"properties\":{\"a\":{\"type\":\"date\",\"format\":\"epoch_millis\"}}}",
         "is date of another format there"},
        {"struct<a:date>",
         "{\"properties\":{\"a\":{\"type\":\"date\",\"format\":\"epoch_millis||yyyy-MM-dd\"}}}",
         NULL},
        {"struct<a:decimal(9,2)>", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", "is long there"},
        {"struct<a:decimal(9,0)>", "{\"properties\":{\"a\":{\"type\":\"long\"}}}", NULL},
        {"struct<a:map<string,string>>", "{\"properties\":{\"a\":{\"type\":\"flat_object\"}}}",
         NULL},
        {"struct<a:map<string,string>>", "{\"properties\":{\"a\":{\"type\":\"keyword\"}}}",
         "is keyword there"},
        {"struct<a:struct<b:int>>", "{\"properties\":{\"a\":{\"enabled\":false}}}", NULL},
        {"struct<a:struct<b:int>>",
         "{\"properties\":{\"a\":{\"dynamic\":\"strict\",\"properties\":{}}}}",
         "\"a.b\" is not there"},
        {"struct<a:struct<b:int>>",
         "{\"dynamic\":\"strict\",\"properties\":{\"a\":{\"dynamic\":\"false\"}}}", NULL},
        {"struct<\"a.b\":int>",
         "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"type\":\"ip\"}}}}}",
         "\"a.b\" is ip there"},
        {"struct<_source:int>", "{}", "keeps this name"},
        {"struct<a:int>", "{\"properties\":{\"a\":{\"type\":7}}}", "is unknown there"},
        {"struct<a:int>", "{\"properties\":{\"a\":7}}", "is object there"},
        {"struct<a:int>", "{\"properties\":[],\"dynamic\":{}}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_type row = type_of(cases[i].row);
        json_t *mapping = json_loads(cases[i].mapping, 0, NULL);
        cr_assert(mapping, "%zu", i);
        error.text[0] = '\0';
        weir_status status = opensearch_mapping_check(&row, mapping, "x", &error);
        cr_expect_eq(status, cases[i].message ? WEIR_REFUSED : WEIR_OK, "%zu %s: %s", i,
                     cases[i].row, error.text);
        cr_expect(!cases[i].message || strstr(error.text, cases[i].message), "%zu: %s", i,
                  error.text);
        json_decref(mapping);
    }
}

/* ---- what answers mean ----------------------------------------------------------------------- */

Test(opensearch, busy_or_away_as_a_whole)
{
    struct fake_rule rules[] = {
        {"POST", 1, FAKE_ANSWER, 429, "Retry-After: 7\r\n", "{\"status\":429}", 0},
        {"POST", 1, FAKE_ANSWER, 503, "Retry-After: Mon, 23 Nov 2026 10:00:30 GMT\r\n", NULL, 0},
        {"POST", 1, FAKE_ANSWER, 429, "Retry-After: 99999999999\r\n", NULL, 0},
        {"POST", 1, FAKE_ANSWER, 502, "Retry-After: soon\r\n", "<html>", 0},
        {"POST", 1, FAKE_CLOSE, 0, NULL, NULL, 0},
        {"POST", 1, FAKE_CUT, 200, NULL, "{\"items\":[{\"index\":{\"status\":201}}", 0}};
    static const int64_t waits[] = {7000, 30000, 3600000, 0, 0, 0};
    start(rules, 6, (struct weir_opensearch_options){0});
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(deliver(1), WEIR_UNAVAILABLE, "%zu: %s", i, error.text);
        cr_expect_eq(wait_ms, waits[i], "%zu: %lld", i, (long long)wait_ms);
        cr_expect(strstr(error.text, "violations"), "%s", error.text);
    }
    fake_stop(&server);
    server.rules = NULL;
    cr_expect_eq(deliver(1), WEIR_UNAVAILABLE, "nobody there: %s", error.text);
}

Test(opensearch, no_to_everything)
{
    struct fake_rule rules[] = {
        {"POST", 1, FAKE_ANSWER, 401, NULL, "Unauthorized", 0},
        {"POST", 1, FAKE_ANSWER, 403, NULL, "{\"message\":\"no identity-based policy\"}", 0},
        {"POST", 1, FAKE_ANSWER, 301, "Location: https://else\r\n", NULL, 0},
        {"POST", 1, FAKE_ANSWER, 404, NULL, "<html>secret</html>", 0},
        {"POST", 1, FAKE_ANSWER, 400, NULL,
         "{\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":\"secret\"}}", 0},
        {"POST", 1, FAKE_ANSWER, 403, NULL,
         "{\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"read-only\"}}", 0},
        {"POST", 1, FAKE_ANSWER, 200, NULL,
         "{\"items\":[{\"index\":{\"status\":403,\"error\":{\"type\":\"security_exception\"}}}]}",
         0}};
    static const weir_status wanted[] = {WEIR_DENIED,  WEIR_DENIED,      WEIR_REFUSED, WEIR_REFUSED,
                                         WEIR_REFUSED, WEIR_UNAVAILABLE, WEIR_DENIED};
    start(rules, 7, (struct weir_opensearch_options){0});
    for (size_t i = 0; i < 7; i++) {
        cr_expect_eq(deliver(1), wanted[i], "%zu: %s", i, error.text);
        cr_expect(!strstr(error.text, "secret"), "%s", error.text);
    }
}

Test(opensearch, half_of_a_bulk)
{
    struct fake_rule rules[] = {
        {"POST /violations/_bulk", 0, FAKE_ANSWER, 200, NULL,
         "{\"took\":1,\"errors\":true,\"items\":["
         "{\"index\":{\"_id\":\"a\",\"status\":429,\"error\":{\"type\":"
         "\"rejected_execution_exception\",\"reason\":\"rejected execution of secret\"}}},"
         "{\"index\":{\"_id\":\"b\",\"status\":409,\"error\":{\"type\":"
         "\"version_conflict_engine_exception\",\"reason\":\"[b]: version conflict\"}}},"
         "{\"index\":{\"_id\":\"c\",\"status\":400,\"error\":{\"type\":"
         "\"mapper_parsing_exception\",\"reason\":\"failed to parse field [v] of type [date] in "
         "document with id 'secret'. Preview of field's value: 'secret'\",\"caused_by\":{\"type\":"
         "\"illegal argument: secret\"}}}},"
         "{\"delete\":{\"_id\":\"d\",\"status\":404,\"result\":\"not_found\"}},"
         "{\"delete\":{\"_id\":\"e\",\"status\":404,\"error\":{\"type\":"
         "\"index_not_found_exception\"}}},"
         "{\"index\":{\"_id\":\"a\",\"status\":201}}]}",
         0}};
    static const enum weir_sink_answer wanted[] = {WEIR_SINK_LATER,   WEIR_SINK_TAKEN,
                                                   WEIR_SINK_REFUSED, WEIR_SINK_TAKEN,
                                                   WEIR_SINK_LATER,   WEIR_SINK_LATER};
    struct weir_type row = type_of("struct<v:timestamp>");
    start(rules, 1, (struct weir_opensearch_options){0});
    ((struct opensearch *)sink.self)->row = row;
    cr_assert_eq(deliver(6), WEIR_OK, "%s", error.text);
    cr_expect_eq(wait_ms, 0);
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(results[i].answer, wanted[i], "%zu: %s", i, results[i].reason);
        cr_expect(!strstr(results[i].reason, "secret"), "%s", results[i].reason);
    }
    cr_expect_str_eq(results[0].reason, "429 rejected_execution_exception");
    cr_expect_str_eq(
        results[2].reason,
        "400 mapper_parsing_exception (unknown), column v, which is date in the index");
    cr_expect_str_eq(results[5].reason, "behind another change of its key");
}

Test(opensearch, answers_that_are_none)
{
    static const char *const answers[] = {
        "",
        "garbage",
        "[]",
        "7",
        "{\"items\":7}",
        "{\"items\":[]}",
        "{\"items\":[{\"index\":{\"status\":200}},{\"index\":{\"status\":200}}]}",
        "{\"items\":[{\"delete\":{\"status\":200}}]}",
        "{\"items\":[{\"index\":7}]}",
        "{\"items\":[{\"index\":{\"status\":\"200\"}}]}",
        "{\"items\":[null]}",
        "{\"items\":[{\"index\":{\"status\":201}}"};
    static struct fake_rule rules[13];
    static char deep[9000] = "{\"items\":";
    for (size_t i = 0; i < 12; i++)
        rules[i] = (struct fake_rule){"POST", 1, FAKE_ANSWER, 200, NULL, answers[i], 0};
    memset(deep + 9, '[', 8000);
    rules[12] = (struct fake_rule){"POST", 1, FAKE_ANSWER, 200, NULL, deep, 0};
    start(rules, 13, (struct weir_opensearch_options){0});
    for (size_t i = 0; i < 13; i++)
        cr_expect_eq(deliver(1), WEIR_UNAVAILABLE, "%zu: %s", i, error.text);
}

Test(opensearch, too_large_is_sent_in_halves)
{
    struct fake_rule rules[] = {
        {"\"_id\":\"b\"", 1, FAKE_ANSWER, 413, NULL, "<html>", 0}, /* a, b, c */
        {"\"_id\":\"c\"", 1, FAKE_ANSWER, 413, NULL, "<html>", 0}, /* b, c */
        {"\"_id\":\"b\"", 1, FAKE_ANSWER, 413, NULL, "<html>", 0}, /* b */
        {"POST", 0, FAKE_ANSWER, 200, NULL, "{\"items\":[{\"index\":{\"status\":201}}]}", 0}};
    start(rules, 4, (struct weir_opensearch_options){0});
    cr_assert_eq(deliver(3), WEIR_OK, "%s", error.text);
    cr_expect_eq(results[0].answer, WEIR_SINK_TAKEN);
    cr_expect_eq(results[1].answer, WEIR_SINK_REFUSED);
    cr_expect(strstr(results[1].reason, "413"), "%s", results[1].reason);
    cr_expect_eq(results[2].answer, WEIR_SINK_TAKEN);
    cr_expect_eq(server.request_count, 5);
}

/* ---- the index ------------------------------------------------------------------------------- */

Test(opensearch, an_index_that_others_make_at_the_same_time)
{
    struct fake_rule rules[] = {
        {"GET /violations ", 1, FAKE_ANSWER, 404, NULL,
         "{\"error\":{\"type\":\"index_not_found_exception\"},\"status\":404}", 0},
        {"PUT /violations ", 1, FAKE_ANSWER, 400, NULL,
         "{\"error\":{\"type\":\"resource_already_exists_exception\"},\"status\":400}", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 200, NULL,
         "{\"violations\":{\"mappings\":{\"properties\":{\"v\":{\"type\":\"ip\"}}}}}", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 200, NULL, "{}", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 200, NULL, "welcome", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 200, NULL, "{\"violations\":{\"mappings\":[]}}", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 404, NULL, "<html>no such page", 0},
        {"GET /violations ", 1, FAKE_ANSWER, 429, NULL, NULL, 0},
        {"GET /violations ", 0, FAKE_ANSWER, 404, NULL, "{\"error\":{}}", 0},
        {"PUT /violations ", 1, FAKE_CLOSE, 0, NULL, NULL, 0},
        {"PUT /violations ", 1, FAKE_ANSWER, 403, NULL, NULL, 0},
        {"PUT /violations ", 1, FAKE_ANSWER, 400, NULL,
         "{\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":\"Limit of total fields "
         "[1000] has been exceeded\"}}",
         0}};
    static const weir_status wanted[] = {WEIR_REFUSED,     WEIR_REFUSED, WEIR_REFUSED,
                                         WEIR_REFUSED,     WEIR_REFUSED, WEIR_UNAVAILABLE,
                                         WEIR_UNAVAILABLE, WEIR_DENIED,  WEIR_REFUSED};
    struct weir_type row = type_of("struct<v:double>");
    start(rules, 12, (struct weir_opensearch_options){0});
    for (size_t i = 0; i < 9; i++) {
        error.text[0] = '\0';
        cr_expect_eq(sink.operations->prepare(sink.self, &row, &error), wanted[i], "%zu: %s", i,
                     error.text);
        cr_expect(i != 0 || strstr(error.text, "\"v\" is ip there, the column is double"), "%s",
                  error.text);
        cr_expect(i != 8 || strstr(error.text, "Limit of total fields [1000]"), "%s", error.text);
    }
}

/* ---- at random ------------------------------------------------------------------------------- */

static uint64_t dice = 20261123;

static size_t roll(size_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(dice >> 33) % sides;
}

static json_t *something(void)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "7",
                                         "-1",
                                         "9223372036854775807",
                                         "0.5",
                                         "\"\"",
                                         "\"a\"",
                                         "[]",
                                         "{}",
                                         "[null]",
                                         "\"failed to parse field [\"",
                                         "\"[v] of type [\"",
                                         "\"of type [] [v.x.y] [s.\"",
                                         "\"object\"",
                                         "\"nested\"",
                                         "\"strict\"",
                                         "\"long\"",
                                         "\"date\"",
                                         "\"||epoch_||\"",
                                         "\"\\u0000\"",
                                         "{\"type\":{}}",
                                         "{\"properties\":{\"v\":{}}}"};
    return json_loads(values[roll(sizeof values / sizeof *values)],
                      JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* Replaces, drops or adds something at a random place. */
static void damage(json_t *at)
{
    size_t count = json_is_object(at) ? json_object_size(at) : json_array_size(at);
    void *member = json_is_object(at) ? json_object_iter(at) : NULL;
    if (count == 0)
        return;
    size_t which = roll(count);
    for (size_t i = 0; i < which && member; i++)
        member = json_object_iter_next(at, member);
    json_t *inner = member ? json_object_iter_value(member) : json_array_get(at, which);
    if (roll(3) && (json_is_object(inner) || json_is_array(inner)))
        damage(inner);
    else if (!member && roll(2))
        json_array_remove(at, which);
    else if (!member)
        json_array_set_new(at, which, something());
    else if (roll(4) == 0)
        json_object_del(at, json_object_iter_key(member));
    else
        json_object_iter_set_new(at, member, something());
}

Test(opensearch, damaged_answers_and_mappings)
{
    static const char bulk[] =
        "{\"errors\":true,\"items\":[{\"index\":{\"_id\":\"a\",\"status\":400,\"error\":{\"type\":"
        "\"mapper_parsing_exception\",\"reason\":\"failed to parse field [s.x] of type [long] in "
        "document. Preview of field's value: 'secret'\",\"caused_by\":{\"type\":\"x\"}}}},"
        "{\"index\":{\"_id\":\"b\",\"status\":201}}]}";
    static const char mapping[] =
        "{\"dynamic\":\"strict\",\"properties\":{\"v\":{\"type\":\"date\",\"format\":\"epoch_"
        "millis\"},"
        "\"s\":{\"type\":\"nested\",\"properties\":{\"x\":{\"type\":\"long\"}}},\"m\":{\"enabled\":"
        "false},\"l\":{\"properties\":{\"y\":{\"type\":\"keyword\"}}}}}";
    struct opensearch self = {.context = &context, .index = "x"};
    const struct weir_sink_change changes[] = {change(WEIR_CHANGE_INSERT, "a", "{}"),
                                               change(WEIR_CHANGE_INSERT, "b", "{}")};
    size_t taken = 0, fit = 0, none = 0;
    self.row = type_of("struct<v:timestamp, s:struct<x:long>, m:map<string,int>, "
                       "l:list<struct<y:string, z:int>>>");
    for (int turn = 0; turn < 20000; turn++) {
        json_t *answer = json_loads(bulk, 0, NULL), *there = json_loads(mapping, 0, NULL);
        WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
        size_t count;
        for (size_t i = roll(3) + 1; i > 0; i--) {
            damage(answer);
            damage(there);
        }
        weir_status status = opensearch_results_read(&self, answer, changes, 2, results, &error);
        cr_assert(status == WEIR_OK || status == WEIR_UNAVAILABLE, "%s", error.text);
        for (size_t i = 0; i < 2 && status == WEIR_OK; i++) {
            taken += results[i].answer == WEIR_SINK_TAKEN;
            cr_assert(!strstr(results[i].reason, "secret"), "%s", results[i].reason);
        }
        none += status == WEIR_UNAVAILABLE;
        status = opensearch_mapping_check(&self.row, there, "x", &error);
        cr_assert(status == WEIR_OK || status == WEIR_REFUSED, "%s", error.text);
        fit += status == WEIR_OK;
        cr_assert_eq(opensearch_mapping_print(&self.row, json_object_get(there, "properties"), &out,
                                              &count, NULL),
                     WEIR_OK);
        json_t *printed = json_loadb((char *)out.data, out.size, 0, NULL);
        cr_assert(printed && json_object_size(printed) <= 4, "%.*s", (int)out.size,
                  (char *)out.data);
        json_decref(printed);
        json_decref(answer);
        json_decref(there);
    }
    cr_expect(taken > 1000 && none > 1000 && fit > 1000, "%zu %zu %zu", taken, none, fit);
}

/* ---- login and settings ---------------------------------------------------------------------- */

#define TAKEN                                                                                      \
    {                                                                                              \
        "POST", 0, FAKE_ANSWER, 200, NULL, "{\"items\":[{\"index\":{\"status\":201}}]}", 0         \
    }

Test(opensearch, basic)
{
    struct fake_rule rules[] = {TAKEN};
    start(rules, 1,
          (struct weir_opensearch_options){
              .auth = WEIR_OPENSEARCH_BASIC, .user = "Aladdin", .password = "open sesame"});
    cr_assert_eq(deliver(1), WEIR_OK, "%s", error.text);
    cr_expect(strstr(server.log, "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "%s",
              server.log);
    cr_expect(strstr(server.log, "content-type: application/x-ndjson\r\n"), "%s", server.log);
}

Test(opensearch, api_key)
{
    struct fake_rule rules[] = {TAKEN};
    start(rules, 1,
          (struct weir_opensearch_options){.auth = WEIR_OPENSEARCH_API_KEY, .api_key = "a2V5Og=="});
    cr_assert_eq(deliver(1), WEIR_OK, "%s", error.text);
    cr_expect(strstr(server.log, "authorization: ApiKey a2V5Og==\r\n"), "%s", server.log);
}

Test(opensearch, signed_by_the_keys_of_the_environment)
{
    struct fake_rule rules[] = {{"POST", 1, FAKE_ANSWER, 403, NULL,
                                 "{\"message\":\"The security token included in the request is "
                                 "expired\"}",
                                 0},
                                TAKEN};
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_SESSION_TOKEN", "session", 1);
    start(rules, 2,
          (struct weir_opensearch_options){
              .auth = WEIR_OPENSEARCH_SIGV4, .region = "eu-west-2", .service = "aoss"});
    cr_assert_eq(deliver(1), WEIR_OK, "keys are looked for once more: %s", error.text);
    cr_expect_eq(server.request_count, 2);
    sink.operations->free(sink.self);
    sink.operations = NULL;
    struct weir_opensearch_options again = {.url = server.url,
                                            .index = "violations",
                                            .auth = WEIR_OPENSEARCH_SIGV4,
                                            .region = "eu-west-2"};
    cr_assert_eq(weir_opensearch_sink_new(&context, &again, &sink, &error), WEIR_OK);
    cr_assert_eq(deliver(1), WEIR_OK, "%s", error.text);
    cr_expect(strstr(server.log, "Credential=AKIDEXAMPLE/20261123/eu-west-2/aoss/aws4_request, "
                                 "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
                                 "x-amz-security-token, Signature="),
              "%s", server.log);
    cr_expect(strstr(server.log, "/eu-west-2/es/aws4_request"), "%s", server.log);
    cr_expect(strstr(server.log, "x-amz-security-token: session\r\n"), "%s", server.log);
    cr_expect(strstr(server.log, "x-amz-content-sha256: "), "%s", server.log);
}

Test(opensearch, settings)
{
    static const struct {
        struct weir_opensearch_options options;
        const char *message;
    } cases[] = {
        {{.url = "localhost:9200", .index = "a"}, "https://host"},
        {{.url = "http://", .index = "a"}, "https://host"},
        {{.url = "http:///x", .index = "a"}, "no host"},
        {{.url = "http://u:p@h", .index = "a"}, "without user"},
        {{.url = "http://h?x", .index = "a"}, "query"},
        {{.url = "http://h\r\nx: y", .index = "a"}, "spaces"},
        {{.url = "http://h"}, "index \"\""},
        {{.url = "http://h", .index = "A"}, "index \"A\""},
        {{.url = "http://h", .index = "_bulk"}, "index \"_bulk\""},
        {{.url = "http://h", .index = ".."}, "index"},
        {{.url = "http://h", .index = "a/../b"}, "index"},
        {{.url = "http://h", .index = "a*"}, "index"},
        {{.url = "http://h", .index = "a", .auth = WEIR_OPENSEARCH_BASIC}, "a user"},
        {{.url = "http://h", .index = "a", .auth = WEIR_OPENSEARCH_API_KEY}, "api_key"},
        {{.url = "http://h", .index = "a", .auth = WEIR_OPENSEARCH_API_KEY, .api_key = "a\nb"},
         "line break"},
        {{.url = "http://h", .index = "a", .batch = 1000000}, "at most"},
    };
    struct weir_sink none = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(weir_opensearch_sink_new(&context, &cases[i].options, &none, &error),
                     WEIR_USAGE, "%zu", i);
        cr_expect(strstr(error.text, cases[i].message), "%zu: %s", i, error.text);
        cr_expect_eq(none.operations, NULL);
    }
    struct weir_opensearch_options good = {.url = "https://h:443/prefix//", .index = "a.b-c_1"};
    cr_assert_eq(weir_opensearch_sink_new(&context, &good, &sink, &error), WEIR_OK, "%s",
                 error.text);
    cr_expect_eq(sink.batch_max, 1000);
    cr_expect_str_eq(sink.operations->kind, "opensearch");
    cr_expect_str_eq(((struct opensearch *)sink.self)->host, "h");
    cr_expect_str_eq(((struct opensearch *)sink.self)->path, "/prefix");
}

/* ---- asking ---------------------------------------------------------------------------------- */

Test(opensearch, probe)
{
    struct fake_rule rules[] = {
        {"GET /violations ", 1, FAKE_ANSWER, 404, NULL,
         "{\"error\":{\"type\":\"index_not_found_exception\"}}", 0},
        {"GET /violations ", 2, FAKE_ANSWER, 200, "Date: Mon, 23 Nov 2026 10:10:00 GMT\r\n",
         "{\"violations\":{\"mappings\":{\"_meta\":{\"made_by\":\"weir\"},\"properties\":{\"v\":{"
         "\"type\":\"integer\"}}}}}",
         0},
        {"GET /violations ", 0, FAKE_ANSWER, 401, NULL,
         "{\"error\":{\"type\":\"security_exception\"}}", 0}};
    struct weir_type row = type_of("struct<v:int, later:int>"), other = type_of("struct<v:string>");
    char words[300] = "";
    start(rules, 3, (struct weir_opensearch_options){0});
    cr_expect_eq(sink.operations->probe(sink.self, &row, words, sizeof words, &error), WEIR_OK);
    cr_expect_str_eq(words, "no index \"violations\" yet: the first delivery makes it");
    cr_expect_eq(sink.operations->probe(sink.self, &row, words, sizeof words, &error), WEIR_OK,
                 "%s", error.text);
    cr_expect_str_eq(words,
                     "index \"violations\" is there and takes the columns; its clock is 600 s "
                     "ahead of ours");
    cr_expect_eq(sink.operations->probe(sink.self, &other, words, sizeof words, &error),
                 WEIR_REFUSED, "%s", error.text);
    cr_expect_eq(sink.operations->probe(sink.self, NULL, words, sizeof words, &error), WEIR_DENIED);
    cr_expect(!strstr(server.log, "PUT") && !strstr(server.log, "POST"), "%s", server.log);
}
