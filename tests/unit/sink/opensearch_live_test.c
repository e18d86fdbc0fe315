/* The OpenSearch sink against a real server, when WEIR_OPENSEARCH_URL names one; skipped otherwise.
 * The server is asked by the sink's own HTTP client what it has. */
#include "connectors/http/http.h"
#include "connectors/sink/sink.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static struct weir_error error;
static struct weir_http_client *http;
static struct weir_arena arena;
static struct weir_buffer body;
static const char *url;
static char name[64];

static long ask(const char *method, const char *path, const char *sent)
{
    char whole[600];
    const char *headers[] = {"content-type: application/json"};
    snprintf(whole, sizeof whole, "%s/%s", url, path);
    weir_buffer_clear(&body);
    struct weir_http_request request = {.method = method,
                                        .url = whole,
                                        .headers = headers,
                                        .header_count = sent ? 1 : 0,
                                        .body = sent,
                                        .body_size = sent ? strlen(sent) : 0,
                                        .has_body = sent != NULL};
    struct weir_http_response response = {.body = &body};
    cr_assert_eq(weir_http_send(http, &request, &response, &error), WEIR_OK, "%s", error.text);
    weir_http_response_done(&response);
    cr_assert_eq(weir_buffer_append(&body, "", 1, NULL), WEIR_OK);
    return response.code;
}

static long ask_index(const char *method, const char *rest, const char *sent)
{
    char path[200];
    snprintf(path, sizeof path, "%s%s", name, rest);
    return ask(method, path, sent);
}

static bool says(const char *text)
{
    return body.data && strstr((char *)body.data, text) != NULL;
}

static void setup(void)
{
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    weir_buffer_init(&body, &context.memory);
    url = getenv("WEIR_OPENSEARCH_URL");
    if (!url || !*url)
        return;
    struct weir_http_options options = {0};
    cr_assert_eq(weir_http_client_new(&context, &options, &http, &error), WEIR_OK);
    snprintf(name, sizeof name, "live-%d-%016llx", (int)getpid(),
             (unsigned long long)weir_random_u64(&context));
}

static void teardown(void)
{
    if (http)
        ask_index("DELETE", "", NULL);
    weir_http_client_free(http);
    weir_buffer_done(&body);
    weir_arena_done(&arena);
    weir_context_done(&context);
}

TestSuite(opensearch_live, .init = setup, .fini = teardown, .timeout = 120);

#define NEEDS_SERVER()                                                                             \
    if (!http)                                                                                     \
    cr_skip("WEIR_OPENSEARCH_URL is not set")

static struct weir_type type_of(const char *text)
{
    struct weir_type type;
    cr_assert_eq(weir_type_parse(&arena, text, &type, &error), WEIR_OK, "%s", error.text);
    return type;
}

static struct weir_sink make(size_t batch)
{
    struct weir_sink sink;
    struct weir_opensearch_options options = {.url = url, .index = name, .batch = batch};
    cr_assert_eq(weir_opensearch_sink_new(&context, &options, &sink, &error), WEIR_OK, "%s",
                 error.text);
    return sink;
}

static weir_status prepare(const char *row)
{
    struct weir_sink sink = make(0);
    struct weir_type type = type_of(row);
    weir_status status = sink.operations->prepare(sink.self, &type, &error);
    sink.operations->free(sink.self);
    return status;
}

static struct weir_sink_change change(enum weir_change_kind kind, const char *key, const char *row,
                                      int64_t version)
{
    return (struct weir_sink_change){.kind = kind,
                                     .id = "00000000000000000000000000000000",
                                     .key = key,
                                     .row = {(const uint8_t *)row, strlen(row)},
                                     .version = version};
}

static void deliver(struct weir_sink *sink, const struct weir_sink_change *changes, size_t count,
                    struct weir_sink_result *results)
{
    int64_t wait_ms = -1;
    cr_assert_eq(sink->operations->deliver(sink->self, changes, count, results, &wait_ms, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_eq(wait_ms, 0);
}

#define ROW                                                                                        \
    "struct<id:string, ok:boolean, i:int, l:long, f:float, d:double, m:decimal(15,2), "            \
    "big:decimal(38,4), n:decimal(18,0), day:date, clock:time, at:timestamp, atz:timestamptz, "    \
    "u:uuid, raw:binary, cpu:struct<model:string, usage_pct:double>, "                             \
    "disks:list<struct<mount:string, free_gb:double>>, names:list<string>, tags:map<string, "      \
    "string>>"
#define DOCUMENT                                                                                   \
    "{\"id\":\"a\",\"ok\":true,\"i\":-7,\"l\":9007199254740993,\"f\":0.1,\"d\":1e300,"             \
    "\"m\":9999999999999.99,\"big\":1234567890123456789012345678901234.5678,"                      \
    "\"n\":999999999999999999,\"day\":\"2026-11-23\",\"clock\":\"10:00:00.5\","                    \
    "\"at\":\"2026-11-23T10:00:00.123456\",\"atz\":\"1969-12-31T23:59:59Z\","                      \
    "\"u\":\"f79c3e09-677c-4bbd-a479-3f349cb785e7\",\"raw\":\"AAEC\","                             \
    "\"cpu\":{\"model\":\"x\",\"usage_pct\":1.5},\"disks\":[{\"mount\":\"/\",\"free_gb\":1},"      \
    "{\"mount\":\"/b\",\"free_gb\":null}],\"names\":[\"p\",\"q\"],\"tags\":{\"a.b\":\"c\"}}"

Test(opensearch_live, every_type_is_taken_and_found)
{
    NEEDS_SERVER();
    struct weir_sink sink = make(0);
    struct weir_type row = type_of(ROW);
    struct weir_sink_result results[2];
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "a second time: %s",
                 error.text);
    struct weir_sink_change changes[] = {
        change(WEIR_CHANGE_INSERT, "a", DOCUMENT, 1),
        change(WEIR_CHANGE_INSERT, "b", "{\"id\":\"b\",\"l\":9007199254740992}", 1)};
    deliver(&sink, changes, 2, results);
    cr_assert_eq(results[0].answer, WEIR_SINK_TAKEN, "%s", results[0].reason);
    cr_assert_eq(results[1].answer, WEIR_SINK_TAKEN, "%s", results[1].reason);
    ask_index("POST", "/_refresh", NULL);
    static const char *const searches[] = {
        "{\"query\":{\"term\":{\"l\":9007199254740993}}}",
        "{\"query\":{\"term\":{\"m\":\"9999999999999.99\"}}}",
        "{\"query\":{\"term\":{\"big\":\"1234567890123456789012345678901234.5678\"}}}",
        "{\"query\":{\"term\":{\"n\":999999999999999999}}}",
        "{\"query\":{\"range\":{\"day\":{\"gte\":\"2026-11-23\",\"lt\":\"2026-11-24\"}}}}",
        "{\"query\":{\"range\":{\"at\":{\"gte\":\"2026-11-23T10:00:00.123\"}}}}",
        "{\"query\":{\"range\":{\"atz\":{\"lt\":\"1970-01-01\"}}}}",
        "{\"query\":{\"term\":{\"cpu.model\":\"x\"}}}",
        "{\"query\":{\"term\":{\"disks.mount\":\"/b\"}}}",
        "{\"query\":{\"term\":{\"names\":\"q\"}}}"};
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        ask_index("POST", "/_search?filter_path=hits.total.value,hits.hits._id", searches[i]);
        cr_expect(says("\"value\":1}") && says("\"_id\":\"a\""), "%s: %s", searches[i],
                  (char *)body.data);
    }
    ask_index("GET", "/_source/a", NULL);
    cr_expect(says("1234567890123456789012345678901234.5678") && says("123456"), "%s",
              (char *)body.data);
    sink.operations->free(sink.self);
}

Test(opensearch_live, a_repeat_changes_nothing_and_order_is_kept)
{
    NEEDS_SERVER();
    struct weir_sink sink = make(0);
    struct weir_type row = type_of("struct<v:int>");
    struct weir_sink_result results[6];
    char long_key[700];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    struct weir_sink_change changes[] = {
        change(WEIR_CHANGE_INSERT, "d\"1\"|p\n1", "{\"v\":1}", 1),
        change(WEIR_CHANGE_UPDATE, "d\"1\"|p\n1", "{\n\"v\":2}", 2),
        change(WEIR_CHANGE_INSERT, "gone", "{\"v\":1}", 1),
        change(WEIR_CHANGE_DELETE, "gone", "{\"v\":1}", 2),
        change(WEIR_CHANGE_DELETE, "never", "{\"v\":1}", 2),
        change(WEIR_CHANGE_INSERT, long_key, "{\"v\":3}", 1)};
    for (int turn = 0; turn < 3; turn++) {
        deliver(&sink, changes, 6, results);
        for (size_t i = 0; i < 6; i++)
            cr_expect_eq(results[i].answer, WEIR_SINK_TAKEN, "turn %d, %zu: %s", turn, i,
                         results[i].reason);
        ask_index("POST", "/_refresh", NULL);
        ask_index("GET", "/_search?filter_path=hits.hits._source,hits.total.value&sort=v", NULL);
        cr_expect(says("\"value\":2}") && says("{\"v\":2}") && says("{\"v\":3}") &&
                      !says("{\"v\":1}"),
                  "turn %d: %s", turn, (char *)body.data);
    }
    /* an old version behind a newer one is taken, and changes nothing */
    deliver(&sink, changes, 1, results);
    cr_expect_eq(results[0].answer, WEIR_SINK_TAKEN);
    ask_index("POST", "/_refresh", NULL);
    ask_index("GET", "/_search?q=v:1", NULL);
    cr_expect(says("\"value\":0,"), "%s", (char *)body.data);
    sink.operations->free(sink.self);
}

Test(opensearch_live, one_bad_row_is_refused_and_its_value_not_told)
{
    NEEDS_SERVER();
    struct weir_sink sink = make(0);
    struct weir_type row = type_of("struct<usage:double, at:timestamptz, note:string>");
    struct weir_sink_result results[4];
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    struct weir_sink_change changes[] = {
        change(WEIR_CHANGE_INSERT, "1", "{\"usage\":1.5}", 1),
        change(WEIR_CHANGE_INSERT, "2", "{\"usage\":\"sec\\u0000ret [at]\"}", 1),
        change(WEIR_CHANGE_INSERT, "3", "{\"at\":\"secret\"}", 1),
        change(WEIR_CHANGE_INSERT, "4", "{\"usage\":", 1)};
    deliver(&sink, changes, 4, results);
    cr_expect_eq(results[0].answer, WEIR_SINK_TAKEN, "%s", results[0].reason);
    for (size_t i = 1; i < 4; i++) {
        cr_expect_eq(results[i].answer, WEIR_SINK_REFUSED, "%zu", i);
        cr_expect(!strstr(results[i].reason, "ret"), "%s", results[i].reason);
        cr_expect(strstr(results[i].reason, "400 mapper_parsing_exception"), "%s",
                  results[i].reason);
    }
    cr_expect(strstr(results[1].reason, "column usage, which is double in the index"), "%s",
              results[1].reason);
    cr_expect(strstr(results[2].reason, "column at, which is date in the index"), "%s",
              results[2].reason);
    sink.operations->free(sink.self);
}

Test(opensearch_live, an_index_of_others)
{
    NEEDS_SERVER();
    cr_assert_eq(ask_index("PUT", "",
                           "{\"mappings\":{\"properties\":{\"usage\":{\"type\":\"keyword\"},"
                           "\"n\":{\"type\":\"integer\"},\"cpu\":{\"properties\":{\"model\":"
                           "{\"type\":\"text\"}}}}}}"),
                 200, "%s", (char *)body.data);
    cr_expect_eq(prepare("struct<usage:double, cpu:struct<model:string>, other:string>"), WEIR_OK,
                 "%s", error.text);
    cr_expect_eq(prepare("struct<usage:double, n:long>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "field \"n\" is integer there, the column is long"), "%s",
              error.text);
    cr_expect_eq(prepare("struct<cpu:struct<model:struct<a:int>>>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "field \"cpu.model\" is text there, the column is struct<a:int>"),
              "%s", error.text);
    cr_expect_eq(prepare("struct<cpu:string>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "field \"cpu\" is object there, the column is string"), "%s",
              error.text);
    cr_expect_eq(ask_index("PUT", "/_mapping", "{\"dynamic\":\"strict\"}"), 200);
    cr_expect_eq(prepare("struct<usage:double, other:string>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "field \"other\" is not there, and its mapping is strict"), "%s",
              error.text);
}

Test(opensearch_live, our_index_grows_with_the_columns)
{
    NEEDS_SERVER();
    cr_assert_eq(prepare("struct<a:int, s:struct<x:int>>"), WEIR_OK, "%s", error.text);
    cr_assert_eq(prepare("struct<a:int, s:struct<x:int, y:string>, b:list<double>>"), WEIR_OK, "%s",
                 error.text);
    ask_index("GET", "/_mapping", NULL);
    cr_expect(says("\"b\":{\"type\":\"double\"}") && says("\"y\":{\"type\":\"keyword\"") &&
                  says("\"dynamic\":\"false\""),
              "%s", (char *)body.data);
}

Test(opensearch_live, aliases_and_data_streams)
{
    NEEDS_SERVER();
    char path[200], text[300];
    snprintf(text, sizeof text, "{\"aliases\":{\"%s\":{}}}", name);
    snprintf(path, sizeof path, "one-%s", name);
    cr_assert_eq(ask("PUT", path, text), 200);
    cr_expect_eq(prepare("struct<a:int>"), WEIR_OK, "an alias of one: %s", error.text);
    snprintf(path, sizeof path, "two-%s", name);
    cr_assert_eq(ask("PUT", path, text), 200);
    cr_expect_eq(prepare("struct<a:int>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "is an alias of 2 indexes"), "%s", error.text);
    ask("DELETE", path, NULL);
    snprintf(path, sizeof path, "one-%s", name);
    ask("DELETE", path, NULL);
    snprintf(path, sizeof path, "_index_template/%s", name);
    snprintf(text, sizeof text, "{\"index_patterns\":[\"%s\"],\"data_stream\":{}}", name);
    cr_assert_eq(ask("PUT", path, text), 200, "%s", (char *)body.data);
    snprintf(path, sizeof path, "_data_stream/%s", name);
    cr_assert_eq(ask("PUT", path, NULL), 200, "%s", (char *)body.data);
    cr_expect_eq(prepare("struct<a:int>"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "is a data stream"), "%s", error.text);
    ask("DELETE", path, NULL);
    snprintf(path, sizeof path, "_index_template/%s", name);
    ask("DELETE", path, NULL);
}

Test(opensearch_live, many_rows_in_several_requests)
{
    NEEDS_SERVER();
    enum { COUNT = 400 };
    static char keys[COUNT][16], rows[COUNT][40000];
    static struct weir_sink_change changes[COUNT];
    static struct weir_sink_result results[COUNT];
    struct weir_sink sink = make(COUNT);
    struct weir_type row = type_of("struct<n:int, note:string>");
    cr_assert_eq(sink.batch_max, COUNT);
    cr_assert_eq(sink.operations->prepare(sink.self, &row, &error), WEIR_OK, "%s", error.text);
    for (int i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        snprintf(rows[i], sizeof rows[i], "{\"n\":%d,\"note\":\"%039900d\"}", i, i);
        changes[i] = change(WEIR_CHANGE_INSERT, keys[i], rows[i], 1);
    }
    deliver(&sink, changes, COUNT, results);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(results[i].answer, WEIR_SINK_TAKEN, "%d: %s", i, results[i].reason);
    ask_index("POST", "/_refresh", NULL);
    ask_index("GET", "/_count", NULL);
    cr_expect(says("\"count\":400,"), "%s", (char *)body.data);
    sink.operations->free(sink.self);
}
