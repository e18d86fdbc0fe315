/* The REST catalog against a server that says what the test wants: verdicts of commits, tokens that
 * end, listings in pages, answers that are none. Real servers: tests/e2e/65_rest.py. */
#include "connectors/catalog/rest_int.h"
#include "tests/unit/catalog/commits.h"
#include "tests/unit/s3/fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static struct weir_error error;
static struct fake_server server;
static struct weir_catalog catalog;
static struct weir_object_store store = {.root_uri = "s3://lake/wh"};
static struct weir_catalog_rest_options options;

#define CONFIG                                                                                     \
    {                                                                                              \
        "GET /v1/config", .code = 200, .body = "{\"defaults\":{},\"overrides\":{}}"                \
    }
#define TABLE_AT(location, sequence, properties)                                                   \
    "{\"metadata-location\":\"s3://lake/wh/a/t/metadata/1.metadata.json\",\"config\":{},"          \
    "\"metadata\":{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","  \
    "\"location\":\"" location "\",\"last-sequence-number\":" sequence                             \
    ",\"last-updated-ms\":1700000000000,"                                                          \
    "\"last-column-id\":1,\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\","              \
    "\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]}"  \
    "],\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"                 \
    "\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,"      \
    "\"fields\":[]}],\"properties\":{" properties                                                  \
    "},\"current-snapshot-id\":-1,\"snapshots\":[]}}"
#define TABLE(location) TABLE_AT(location, "7", "")
#define GOOD            TABLE("s3://lake/wh/a/t")
#define ERROR(type)                                                                                \
    "{\"error\":{\"message\":\"about it\\n\\u001b[1m\",\"type\":\"" type "\",\"code\":1}}"
#define NO_TABLE                                                                                   \
    {                                                                                              \
        "GET /v1/namespaces/a/tables/t ", .code = 404, .body = ERROR("NoSuchTableException")       \
    }
#define LOAD                                                                                       \
    {                                                                                              \
        "GET /v1/namespaces/a/tables/t ", .code = 200, .body = GOOD                                \
    }
#define COMMIT(...)                                                                                \
    {                                                                                              \
        "POST /v1/namespaces/a/tables/t ", __VA_ARGS__                                             \
    }
#define COUNT(rules) (sizeof(rules) / sizeof *(rules))

static void setup(void)
{
    weir_context_init(&context);
    options = (struct weir_catalog_rest_options){.retry_ms = 2000};
}

static void teardown(void)
{
    if (catalog.operations)
        catalog.operations->free(catalog.self);
    if (server.rules)
        fake_stop(&server);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
}

TestSuite(rest, .init = setup, .fini = teardown, .timeout = 60);

static void start(struct fake_rule *rules, size_t count)
{
    fake_start(&server, rules, count);
    options.uri = server.url;
    cr_assert_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error), WEIR_OK, "%s",
                 error.text);
}

static int said(const char *text)
{
    int count = 0;
    for (const char *at = server.log; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static weir_status load(const char *name)
{
    struct weir_table *table = NULL;
    error = (struct weir_error){0};
    weir_status status = catalog.operations->load(catalog.self, name, &table, &error);
    cr_expect_eq(status == WEIR_OK, table != NULL);
    weir_table_free(table);
    return status;
}

/* A commit on a table that is loaded first. */
static weir_status commit_to(const struct weir_table *base, const char *value)
{
    struct weir_commit commit;
    struct weir_table *next = NULL;
    cr_assert_eq(weir_commit_init(&commit, NULL), WEIR_OK);
    cr_assert_eq(weir_commit_require_uuid(&commit, weir_metadata_uuid(base->metadata), NULL),
                 WEIR_OK);
    cr_assert_eq(weir_commit_update(
                     &commit,
                     json_pack("{s:s, s:{s:s}}", "action", "set-properties", "updates", "a", value),
                     NULL),
                 WEIR_OK);
    error = (struct weir_error){0};
    weir_status status = catalog.operations->commit(catalog.self, base, &commit, &next, &error);
    cr_expect_eq(status == WEIR_OK, next != NULL);
    weir_table_free(next);
    weir_commit_done(&commit);
    return status;
}

static weir_status commit_once(void)
{
    struct weir_table *base;
    cr_assert_eq(catalog.operations->load(catalog.self, "a.t", &base, &error), WEIR_OK, "%s",
                 error.text);
    weir_status status = commit_to(base, "b");
    weir_table_free(base);
    return status;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

Test(rest, prefix_separator_and_names_in_paths)
{
    struct fake_rule rules[] = {
        {"GET /v1/config?warehouse=my%20wh%2F1 ", .code = 200,
         .body = "{\"defaults\":{\"prefix\":\"no\",\"namespace-separator\":\"%2E\"},"
                 "\"overrides\":{\"prefix\":\"main%7Cwh x/\"}}"},
        {"GET /v1/main%7Cwh%20x/namespaces/a%2Eb/tables/t%C3%A9 ", .code = 200, .body = GOOD},
        {"GET /v1/main%7Cwh%20x/namespaces/a/tables/gone ", .code = 404,
         .body = ERROR("NoSuchTableException")}};
    options.warehouse = "my wh/1";
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.b.t\xc3\xa9"), WEIR_OK, "%s", error.text);
    cr_expect_eq(load("a.gone"), WEIR_NOT_FOUND);
    cr_expect(strstr(error.text, "loading a.gone: 404 NoSuchTableException: about it [1m"), "%s",
              error.text);
    cr_expect_eq(said("/v1/config"), 1, "asked once");
    cr_expect_eq(load("nolayer"), WEIR_USAGE);
}

/* A 404 that the protocol does not have must never be a reason to make a table. */
Test(rest, somebody_elses_404)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t ", .code = 404, .body = "<html>\n<b>not here</b></html>"}};
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_FAILED);
    cr_expect(strstr(error.text, "404: <html> <b>not here</b></html>"), "%s", error.text);
    cr_expect(strstr(error.hint, "lake.catalog.rest.uri"), "%s", error.hint);
}

Test(rest, away_and_back)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"/tables/t ", .times = 1, .code = 503, .body = ERROR("ServiceUnavailable")},
        {"/tables/t ", .times = 1, .code = 429, .headers = "Retry-After: 1\r\n"},
        {"/tables/t ", .times = 1, .action = FAKE_CLOSE},
        {"/tables/t ", .times = 1, .action = FAKE_CUT, .code = 200, .body = GOOD},
        LOAD};
    options.retry_ms = 20000;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(server.request_count, 6);
}

Test(rest, away_for_long)
{
    struct fake_rule rules[] = {CONFIG, {"/tables/t ", .code = 502, .body = "bad gateway"}};
    options.retry_ms = 300;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_UNAVAILABLE);
    cr_expect(strstr(error.text, "loading a.t: the server answered 502: bad gateway"), "%s",
              error.text);
}

Test(rest, what_is_no_catalog)
{
    struct fake_rule rules[] = {
        {"GET /v1/config", .times = 1, .code = 200, .body = "{\"hello\":1}"},
        {"GET /v1/config", .times = 1, .code = 200, .body = "<html>"},
        {"GET /v1/config", .times = 1, .code = 404, .body = ERROR("NoSuchWarehouseException")},
        {"GET /v1/config", .times = 1, .code = 301, .headers = "Location: /x\r\n"},
        {"GET /v1/config", .times = 1, .code = 200,
         .body = "{\"overrides\":{\"uri\":\"ftp://x\"},\"defaults\":{}}"},
        CONFIG,
        {"/tables/t ", .times = 1, .code = 200, .body = "{\"metadata\":[]}"},
        {"/tables/t ", .times = 1, .code = 200,
         .body = "{\"metadata-location\":\"x\",\"metadata\":{\"format-version\":2}}"},
        {"/tables/t ", .times = 1, .code = 200, .body = TABLE("s3://elsewhere/a/t")}};
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_REFUSED);
    cr_expect_eq(load("a.t"), WEIR_REFUSED);
    cr_expect_eq(load("a.t"), WEIR_USAGE, "not \"no such table\"");
    cr_expect_eq(load("a.t"), WEIR_FAILED);
    cr_expect(strstr(error.hint, "redirects"), "%s", error.hint);
    cr_expect_eq(load("a.t"), WEIR_USAGE);
    cr_expect_eq(load("a.t"), WEIR_CORRUPT);
    cr_expect_eq(load("a.t"), WEIR_CORRUPT, "%s", error.text);
    cr_expect_eq(load("a.t"), WEIR_UNSUPPORTED);
    cr_expect(strstr(error.text, "s3://elsewhere/a/t lies outside the warehouse s3://lake/wh"),
              "%s", error.text);
}

Test(rest, addresses)
{
    static const char *const bad[] = {
        NULL, "", "x", "ftp://h", "http://", "https://u:p@h/", "http://h/?a=b", "http://h/a b"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        options.uri = bad[i];
        cr_expect_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error),
                     WEIR_USAGE, "%s", bad[i]);
    }
}

/* ---- committing -------------------------------------------------------------------------------
 */

static void expect_verdict(struct fake_rule answer, weir_status wanted, const char *text)
{
    struct fake_rule rules[] = {CONFIG, LOAD, answer};
    start(rules, COUNT(rules));
    cr_expect_eq(commit_once(), wanted, "%s: %s", text, error.text);
    cr_expect_eq(error.status, wanted, "%s", text);
    cr_expect(strstr(error.text, text), "\"%s\" in: %s", text, error.text);
    cr_expect_eq(said("POST "), 1, "%s: sent once", text);
    catalog.operations->free(catalog.self);
    fake_stop(&server);
    catalog = (struct weir_catalog){0};
    server.rules = NULL;
}

Test(rest, verdicts)
{
    expect_verdict((struct fake_rule)COMMIT(.code = 409, .body = ERROR("CommitFailedException")),
                   WEIR_PRECONDITION, "409 CommitFailedException: about it");
    expect_verdict((struct fake_rule)COMMIT(.code = 412), WEIR_PRECONDITION, "412");
    expect_verdict((struct fake_rule)COMMIT(.code = 500, .body = ERROR("CommitStateUnknown")),
                   WEIR_UNKNOWN_OUTCOME, "500 CommitStateUnknown");
    expect_verdict((struct fake_rule)COMMIT(.code = 503), WEIR_UNKNOWN_OUTCOME, "503");
    expect_verdict((struct fake_rule)COMMIT(.code = 504, .body = "gone"), WEIR_UNKNOWN_OUTCOME,
                   "504: gone");
    expect_verdict((struct fake_rule)COMMIT(.code = 429), WEIR_UNAVAILABLE, "429");
    expect_verdict((struct fake_rule)COMMIT(.action = FAKE_CLOSE), WEIR_UNKNOWN_OUTCOME,
                   "committing to a.t");
    expect_verdict((struct fake_rule)COMMIT(.action = FAKE_CUT, .code = 200, .body = GOOD),
                   WEIR_UNKNOWN_OUTCOME, "committing to a.t");
    expect_verdict((struct fake_rule)COMMIT(.code = 200, .body = "{}"), WEIR_UNKNOWN_OUTCOME,
                   "landed, perhaps");
    expect_verdict((struct fake_rule)COMMIT(.code = 204), WEIR_UNKNOWN_OUTCOME, "204");
    expect_verdict((struct fake_rule)COMMIT(.code = 400, .body = ERROR("BadRequestException")),
                   WEIR_FAILED, "400 BadRequestException: about it");
    expect_verdict((struct fake_rule)COMMIT(.code = 403, .body = ERROR("ForbiddenException")),
                   WEIR_DENIED, "403 ForbiddenException");
    expect_verdict((struct fake_rule)COMMIT(.code = 404, .body = ERROR("NoSuchTableException")),
                   WEIR_DECISION, "table a.t is gone");
}

/* Memory ends when the answer is read: that it may have landed is told all the same. */
Test(rest, no_memory_for_the_answer)
{
    static char large[400000];
    size_t size = (size_t)snprintf(large, sizeof large, "{\"metadata\":\"");
    memset(large + size, 'x', 300000);
    struct fake_rule rules[] = {CONFIG, LOAD, COMMIT(.code = 200, .body = large)};
    struct weir_table *base;
    start(rules, COUNT(rules));
    cr_assert_eq(catalog.operations->load(catalog.self, "a.t", &base, &error), WEIR_OK);
    context.memory.limit = atomic_load(&context.memory.used) + 700000;
    cr_expect_eq(commit_to(base, "b"), WEIR_UNKNOWN_OUTCOME, "%s", error.text);
    cr_expect_eq(error.status, WEIR_UNKNOWN_OUTCOME);
    cr_expect(strstr(error.text, "memory"), "%s", error.text);
    weir_table_free(base);
}

Test(rest, landed)
{
    struct fake_rule rules[] = {CONFIG, LOAD, COMMIT(.code = 200, .body = GOOD)};
    start(rules, COUNT(rules));
    cr_expect_eq(commit_once(), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("{\"identifier\":{\"namespace\":[\"a\"],\"name\":\"t\"},\"requirements\":["
                      "{\"type\":\"assert-table-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-"
                      "a0705ddf69c1\"}],\"updates\":[{\"action\":\"set-properties\",\"updates\":{"
                      "\"a\":\"b\"}}]}"),
                 1);
    cr_expect_eq(said("dempotency-"), 0, "the server has not said that it knows it");
}

static weir_status tag(void)
{
    struct weir_commit commit;
    struct weir_table *base, *next = NULL;
    cr_assert_eq(catalog.operations->load(catalog.self, "a.t", &base, &error), WEIR_OK);
    cr_assert_eq(weir_commit_init(&commit, NULL), WEIR_OK);
    cr_assert_eq(weir_commit_update(&commit,
                                    json_pack("{s:s, s:s, s:s, s:i}", "action", "set-snapshot-ref",
                                              "ref-name", "kept", "type", "tag", "snapshot-id", 1),
                                    NULL),
                 WEIR_OK);
    weir_status status = catalog.operations->commit(catalog.self, base, &commit, &next, &error);
    weir_table_free(base);
    weir_table_free(next);
    weir_commit_done(&commit);
    return status;
}

/* A catalog that takes a tag and forgets it; Nessie, which is not even asked. */
Test(rest, no_tags)
{
    struct fake_rule rules[] = {
        {"GET /v1/config", .times = 1, .code = 200, .body = "{\"defaults\":{}}"},
        {"GET /v1/config", .code = 200,
         .body = "{\"overrides\":{\"nessie.is-nessie-catalog\":\"true\"}}"},
        LOAD,
        COMMIT(.code = 200, .body = GOOD)};
    start(rules, COUNT(rules));
    cr_expect_eq(tag(), WEIR_UNSUPPORTED);
    cr_expect(strstr(error.text, "keeps no branches and tags of its tables: kept of a.t"), "%s",
              error.text);
    cr_expect_eq(said("POST "), 1);
    catalog.operations->free(catalog.self);
    cr_assert_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error), WEIR_OK);
    cr_expect_eq(tag(), WEIR_UNSUPPORTED);
    cr_expect_eq(said("POST "), 1);
}

/* The same commit has the same key until the server has said no. */
Test(rest, idempotency_key)
{
    struct fake_rule rules[] = {
        {"GET /v1/config", .code = 200,
         .body = "{\"defaults\":{},\"overrides\":{},\"idempotency-key-lifetime\":\"PT30M\"}"},
        LOAD,
        COMMIT(.times = 2, .code = 503),
        COMMIT(.code = 409)};
    char keys[4][37] = {0};
    struct weir_table *base;
    start(rules, COUNT(rules));
    cr_assert_eq(catalog.operations->load(catalog.self, "a.t", &base, &error), WEIR_OK);
    cr_expect_eq(commit_to(base, "b"), WEIR_UNKNOWN_OUTCOME);
    cr_expect_eq(commit_to(base, "b"), WEIR_UNKNOWN_OUTCOME);
    cr_expect_eq(commit_to(base, "c"), WEIR_PRECONDITION);
    cr_expect_eq(commit_to(base, "c"), WEIR_PRECONDITION);
    weir_table_free(base);
    const char *at = server.log;
    for (int i = 0; i < 4; i++) {
        at = strstr(at, "Idempotency-Key: ");
        cr_assert(at);
        at += 17;
        memcpy(keys[i], at, 36);
        cr_expect_eq(keys[i][14], '7', "%s", keys[i]);
    }
    cr_expect_str_eq(keys[0], keys[1]);
    cr_expect_str_neq(keys[1], keys[2], "another commit");
    cr_expect_str_neq(keys[2], keys[3], "the server would only repeat its 409");
}

/* ---- creating ---------------------------------------------------------------------------------
 */

#define SPACE                                                                                      \
    {                                                                                              \
        "GET /v1/namespaces/a ", .code = 200, .body = "{}"                                         \
    }
#define NO_SPACE ERROR("NoSuchNamespaceException")

Test(rest, created_in_one_request)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a%1Fb ", .code = 404, .body = NO_SPACE},
        {"{\"namespace\":[\"a\"],\"properties\":{}}", .code = 409, .body = ERROR("AlreadyExists")},
        {"{\"namespace\":[\"a\",\"b\"],\"properties\":{}}", .code = 200, .body = "{}"},
        {"POST /v1/namespaces/a%1Fb/tables/t ", .code = 200, .body = GOOD}};
    struct weir_table *table;
    start(rules, COUNT(rules));
    cr_assert_eq(create_table(&catalog, "a.b.t", 1, &table, &error), WEIR_OK, "%s", error.text);
    weir_table_free(table);
    cr_expect_eq(said("\"requirements\":[{\"type\":\"assert-create\"}]"), 1);
    cr_expect_eq(said("{\"action\":\"set-location\",\"location\":\"s3://lake/wh/a/b/t\"}"), 1);
}

Test(rest, somebody_made_it_first)
{
    struct fake_rule rules[] = {CONFIG, SPACE,
                                COMMIT(.code = 409, .body = ERROR("AlreadyExistsException"))};
    struct weir_table *table;
    start(rules, COUNT(rules));
    cr_expect_eq(create_table(&catalog, "a.t", 1, &table, &error), WEIR_PRECONDITION);
}

/* It takes a commit on a head that is not there: of two writers it would tell neither. */
Test(rest, a_catalog_that_tells_no_loser)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t ", .code = 200,
         .body = TABLE_AT("s3://lake/wh/a/t", "1", "")},
        {"weir.probe", .times = 1, .code = 200,
         .body = TABLE_AT("s3://lake/wh/a/t", "1", "\"weir.probe\":\"lost\"")},
        {"weir.probe", .times = 1, .code = 200, .body = "welcome"},
        {"weir.probe", .times = 1, .code = 503},
        {"weir.probe", .code = 409, .body = ERROR("CommitFailedException")},
        COMMIT(.code = 200, .body = GOOD)};
    start(rules, COUNT(rules));
    cr_expect_eq(commit_once(), WEIR_REFUSED);
    cr_expect(strstr(error.text, "does not tell the loser"), "%s", error.text);
    cr_expect_eq(commit_once(), WEIR_UNAVAILABLE, "nothing is known");
    cr_expect_eq(commit_once(), WEIR_OK, "%s", error.text);
    cr_expect_eq(server.request_count, 1 + 2 + 2 + 4);
}

/* A server that knows a table only once it is staged: its uuid and location are taken. */
Test(rest, staged)
{
    struct fake_rule rules[] = {
        CONFIG,
        SPACE,
        COMMIT(.times = 1, .code = 404, .body = ERROR("NoSuchTableException")),
        {"\"stage-create\":true", .code = 200, .body = TABLE("s3://lake/wh/a/t-77")},
        COMMIT(.code = 200, .body = TABLE("s3://lake/wh/a/t-77"))};
    struct weir_table *table;
    start(rules, COUNT(rules));
    cr_assert_eq(create_table(&catalog, "a.t", 1, &table, &error), WEIR_OK, "%s", error.text);
    weir_table_free(table);
    const char *last = strstr(server.log, "stage-create");
    cr_assert(last);
    cr_expect(strstr(last, "\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\""));
    cr_expect(strstr(last, "\"location\":\"s3://lake/wh/a/t-77\""));
}

/* ---- listing ----------------------------------------------------------------------------------
 */

static weir_status list(const char *space, char *out, size_t size)
{
    struct weir_arena arena;
    char **names;
    size_t count = 0, at = 0;
    weir_arena_init(&arena, &context.memory);
    weir_status status = catalog.operations->list(catalog.self, space, &arena, &names, &count,
                                                  &error);
    out[0] = '\0';
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        at += (size_t)snprintf(out + at, size - at, "%s ", names[i]);
    weir_arena_done(&arena);
    return status;
}

Test(rest, listings_in_pages)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables?pageToken= ", .code = 200,
         .body = "{\"next-page-token\":\"2 &\",\"identifiers\":[{\"namespace\":[\"a\"],\"name\":"
                 "\"z\"},{\"namespace\":[\"a\"],\"name\":\"odd.name\"},{\"name\":3},7]}"},
        {"GET /v1/namespaces/a/tables?pageToken=2%20%26 ", .code = 200,
         .body = "{\"next-page-token\":null,\"identifiers\":[{\"namespace\":[\"a\"],\"name\":"
                 "\"b\"}]}"},
        {"GET /v1/namespaces/a%1Fc/tables", .code = 200,
         .body = "{\"next-page-token\":\"\",\"identifiers\":[{\"namespace\":[\"a\",\"c\"],"
                 "\"name\":\"d\"}]}"},
        {"GET /v1/namespaces/gone/tables", .code = 404, .body = NO_SPACE},
        {"GET /v1/namespaces/loop/tables", .code = 200,
         .body = "{\"next-page-token\":\"same\",\"identifiers\":[]}"},
        {"GET /v1/namespaces?pageToken= ", .code = 200,
         .body = "{\"namespaces\":[[\"a\"],[\"gone\"],[\"a\",\"c\"]]}"},
        {"GET /v1/namespaces?pageToken=&parent=a ", .code = 200,
         .body = "{\"namespaces\":[[\"a\",\"c\"],[\"other\",\"c\"]]}"},
        {"GET /v1/namespaces?pageToken=&parent=", .code = 404, .body = NO_SPACE},
        {"GET /v1/namespaces/broken/tables", .code = 200, .body = "{}"}};
    char names[200];
    start(rules, COUNT(rules));
    cr_expect_eq(list("a", names, sizeof names), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(names, "a.b a.z ");
    cr_expect_eq(list("", names, sizeof names), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(names, "a.b a.c.d a.z ");
    cr_expect_eq(list("gone", names, sizeof names), WEIR_OK);
    cr_expect_str_empty(names);
    cr_expect_eq(list("loop", names, sizeof names), WEIR_OK, "the same token twice is the end");
    cr_expect_eq(list("broken", names, sizeof names), WEIR_CORRUPT);
}

/* ---- who we are -------------------------------------------------------------------------------
 */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The token's file is read again when the server refuses what it held; once, and only then. */
Test(rest, bearer_from_a_file)
{
    struct fake_rule rules[] = {CONFIG,
                                {"Bearer old", .code = 401, .body = ERROR("NotAuthorized")},
                                {"Bearer new", .code = 200, .body = GOOD}};
    rules[0].match = "GET /v1/config";
    char path[] = "/tmp/weir-rest-token.XXXXXX";
    int file = mkstemp(path);
    cr_assert(file >= 0);
    close(file);
    write_file(path, "old\n");
    options.auth = WEIR_REST_AUTH_BEARER;
    options.token = "old";
    options.token_file = path;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_DENIED);
    cr_expect(strstr(error.text, "401 NotAuthorized"), "%s", error.text);
    cr_expect(strstr(error.hint, "token"), "%s", error.hint);
    write_file(path, "new\r\n");
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(load("a.t"), WEIR_OK);
    cr_expect_eq(said("Bearer old"), 3, "the configuration, the refusal, the one before the file");
    write_file(path, "line\nbreak");
    unlink(path);
}

Test(rest, bearer_of_bad_bytes)
{
    options.uri = "http://127.0.0.1:1";
    options.auth = WEIR_REST_AUTH_BEARER;
    static const char *const bad[] = {NULL, "", "a b", "a\nb", "caf\xc3\xa9"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        options.token = bad[i];
        cr_expect_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error),
                     WEIR_DENIED);
        cr_expect(!bad[i] || !*bad[i] || !strstr(error.text, bad[i]));
    }
}

static void oauth_options(void)
{
    options.auth = WEIR_REST_AUTH_OAUTH2;
    options.client_id = "me & co";
    options.client_secret = "s=cret";
}

Test(rest, oauth_renewed_when_refused)
{
    struct fake_rule rules[] = {
        {"POST /v1/oauth/tokens", .times = 1, .code = 200,
         .body = "{\"access_token\":\"one\",\"token_type\":\"bearer\",\"expires_in\":3600}"},
        {"POST /v1/oauth/tokens", .times = 1, .code = 200,
         .body = "{\"access_token\":\"two\",\"expires_in\":3600.5}"},
        {"POST /v1/oauth/tokens", .code = 401,
         .body = "{\"error\":\"invalid_client\",\"error_description\":\"unknown\"}"},
        CONFIG,
        {"Bearer one", .code = 401},
        {"Bearer two", .times = 1, .code = 200, .body = GOOD},
        {"Bearer two", .code = 401}};
    oauth_options();
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("grant_type=client_credentials&scope=catalog&client_id=me%20%26%20co&"
                      "client_secret=s%3Dcret"),
                 2);
    cr_expect_eq(load("a.t"), WEIR_DENIED);
    cr_expect(strstr(error.text, "gave no token: 401 invalid_client: unknown"), "%s", error.text);
    cr_expect(!strstr(error.text, "s=cret") && !strstr(error.text, "s%3Dcret"));
}

/* The token's server is away when the catalog has refused the old one. */
Test(rest, oauth_away_at_renewal)
{
    struct fake_rule rules[] = {
        {"POST /v1/oauth/tokens", .times = 1, .code = 200, .body = "{\"access_token\":\"one\"}"},
        {"POST /v1/oauth/tokens", .times = 2, .code = 503, .body = "{\"error\":\"later\"}"},
        {"POST /v1/oauth/tokens", .code = 200, .body = "{\"access_token\":\"two\"}"},
        CONFIG,
        {"Bearer one", .code = 401, .body = ERROR("NotAuthorizedException")},
        {"Bearer two", .code = 200, .body = GOOD}};
    oauth_options();
    options.retry_ms = 20000;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("POST /v1/oauth/tokens"), 4);
}

static int64_t steady;
static int64_t fake_steady(void *self)
{
    return steady;
}

/* Before it ends, not by a refusal; and the old one serves while it lives if renewing fails. */
Test(rest, oauth_renewed_in_time)
{
    struct fake_rule rules[] = {
        {"POST /v1/oauth/tokens", .times = 1, .code = 200,
         .body = "{\"access_token\":\"one\",\"expires_in\":100}"},
        {"POST /v1/oauth/tokens", .times = 1, .code = 503},
        {"POST /v1/oauth/tokens", .code = 200, .body = "{\"access_token\":\"two\"}"},
        CONFIG,
        {"/tables/t ", .code = 200, .body = GOOD}};
    oauth_options();
    steady = 1000;
    context.clock.steady_ms = fake_steady;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    steady += 79000;
    cr_expect_eq(load("a.t"), WEIR_OK);
    cr_expect_eq(said("POST /v1/oauth/tokens"), 1);
    steady += 2000;
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("POST /v1/oauth/tokens"), 2);
    cr_expect_eq(said("Bearer two"), 0);
    cr_expect_eq(load("a.t"), WEIR_OK);
    cr_expect_eq(said("Bearer two"), 1);
    steady += 1000000;
    cr_expect_eq(load("a.t"), WEIR_OK, "without expires_in it is used until it is refused");
    cr_expect_eq(said("POST /v1/oauth/tokens"), 3);
}

Test(rest, oauth_elsewhere)
{
    struct fake_rule rules[] = {
        {"POST /realms/x/token", .times = 1, .code = 200, .body = "{\"token_type\":\"mac\"}"},
        {"POST /realms/x/token", .times = 1, .code = 200,
         .body = "{\"token_type\":\"mac\",\"access_token\":\"x\"}"},
        {"POST /realms/x/token", .times = 1, .code = 200, .body = "{\"access_token\":\"a b\"}"},
        {"POST /realms/x/token", .times = 1, .code = 400, .body = ERROR("BadClient")},
        {"POST /realms/x/token", .code = 200, .body = "{\"access_token\":\"x\"}"},
        CONFIG,
        LOAD};
    char url[100];
    oauth_options();
    options.scope = "PRINCIPAL_ROLE:ALL";
    options.audience = "lake";
    options.uri = "http://127.0.0.1:1";
    fake_start(&server, rules, COUNT(rules));
    snprintf(url, sizeof url, "%s/realms/x/token", server.url);
    options.uri = server.url;
    options.token_url = url;
    cr_assert_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error), WEIR_OK);
    cr_expect_eq(load("a.t"), WEIR_DENIED);
    cr_expect_eq(load("a.t"), WEIR_UNSUPPORTED);
    cr_expect_eq(load("a.t"), WEIR_DENIED);
    cr_expect_eq(load("a.t"), WEIR_DENIED);
    cr_expect(strstr(error.text, "400 BadClient: about it"), "%s", error.text);
    cr_expect_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("scope=PRINCIPAL_ROLE%3AALL&audience=lake&client_id="), 5);
}

Test(rest, signed_for_aws)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"/tables/t ", .times = 1, .code = 403, .body = "{\"message\":\"Token is expired\"}"},
        LOAD};
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    options.auth = WEIR_REST_AUTH_SIGV4;
    options.sign_region = "eu-west-2";
    options.sign_service = "glue";
    options.warehouse = "123:s3tablescatalog/b";
    start(rules, COUNT(rules));
    weir_status status = load("a.t");
    cr_expect(status == WEIR_OK || status == WEIR_DENIED, "%s", error.text);
    cr_expect_eq(said("GET /v1/config?warehouse=123%3As3tablescatalog%2Fb "), 1);
    cr_expect_geq(said("Credential=AKIDEXAMPLE/"), 2);
    cr_expect_geq(said("/eu-west-2/glue/aws4_request, SignedHeaders=host;x-amz-content-sha256;"
                       "x-amz-date, Signature="),
                  2);
}

static int64_t fake_wall(void *self)
{
    return 1795428000000; /* 2026-11-23T10:00:00Z */
}

/* botocore's signatures of the same requests: a query, a path that is encoded already, a body. */
Test(rest, signatures_as_botocore_makes_them)
{
    static const struct {
        const char *path, *query, *body, *signature;
    } cases[] = {
        {"/iceberg/v1/config", "warehouse=123%3As3tablescatalog%2Fb", NULL,
         "00e67ff1f7bc6b77cda828206161e76c9921a5b9352735476cc7e6632b98023d"},
        {"/iceberg/v1/catalogs/123/namespaces/a%1Fb/tables/t%20x", NULL, "{}",
         "db35cccee9644bbcc2836c4d121b5e5a5dcae8362940a5ea7ffd7cf93e2c3bd5"},
        {"/iceberg/v1/namespaces", "pageToken=&parent=a%1Fb", NULL,
         "fdffa298f6b1b5937426dcec178c342b00540003c575bb4317bea5691d642114"},
    };
    struct weir_sigv4_options signing = {.region = "eu-west-2", .service = "glue"};
    struct weir_sigv4_signer *signer;
    struct weir_arena arena;
    context.clock.wall_ms = fake_wall;
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(weir_sigv4_signer_new(&context, &signing, &signer, &error), WEIR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *lines[WEIR_SIGV4_LINES];
        size_t count;
        struct weir_sigv4_message message = {
            .method = cases[i].body ? "POST" : "GET",
            .host = "glue.eu-west-2.amazonaws.com",
            .path = cases[i].path,
            .query = cases[i].query,
            .content_type = cases[i].body ? "application/json" : NULL,
            .body = cases[i].body,
            .body_size = cases[i].body ? strlen(cases[i].body) : 0};
        cr_assert_eq(weir_sigv4_sign(signer, &message, &arena, lines, &count, &error), WEIR_OK);
        cr_expect(strstr(lines[count - 1], cases[i].signature), "%zu: %s", i, lines[count - 1]);
    }
    weir_sigv4_signer_free(signer);
    weir_arena_done(&arena);
}

Test(rest, headers_of_the_pipeline_file)
{
    static const char *const lines[] = {"Polaris-Realm: x"};
    struct fake_rule rules[] = {CONFIG, LOAD};
    options.headers = lines;
    options.header_count = 1;
    start(rules, COUNT(rules));
    cr_expect_eq(load("a.t"), WEIR_OK);
    cr_expect_eq(said("Polaris-Realm: x\r\n"), 2);
}
