/* A REST catalog that lets a store of S3 at its tables, by keys and by signatures: one server that
 * says what the test wants is both. Real ones: tests/e2e/64_rest_s3.py. */
#include "connectors/catalog/rest_int.h"
#include "connectors/s3/s3.h"
#include "tests/unit/s3/fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <criterion/criterion.h>

static struct weir_context context;
static struct weir_error error;
static struct fake_server server;
static struct weir_catalog catalog;
static struct weir_object_store bucket;
static struct weir_catalog_rest_options options;

#define CONFIG                                                                                     \
    {                                                                                              \
        "GET /v1/config", .code = 200, .body = "{\"defaults\":{},\"overrides\":{}}"                \
    }
#define ERROR(type)  "{\"error\":{\"message\":\"about it\",\"type\":\"" type "\",\"code\":1}}"
#define COUNT(rules) (sizeof(rules) / sizeof *(rules))

static void setup(void)
{
    weir_context_init(&context);
    options = (struct weir_catalog_rest_options){.retry_ms = 2000};
}

static void teardown(void)
{
    if (server.rules)
        fake_stop(&server);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
}

TestSuite(rest_access, .init = setup, .fini = teardown, .timeout = 60);

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

#define GRANTED(prefix, id, more)                                                                  \
    "{\"prefix\":\"" prefix "\",\"config\":{\"s3.access-key-id\":\"" id                            \
    "\",\"s3.secret-access-key\":\"s-" id "\"" more "}}"
#define WITH(grants, config)                                                                       \
    "{\"config\":{" config "},\"storage-credentials\":[" grants "],\"metadata-location\":"         \
    "\"s3://lake/wh/a/t/metadata/1.metadata.json\"," TABLE_REST
#define TABLE_REST                                                                                 \
    "\"metadata\":{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","  \
    "\"location\":\"s3://lake/wh/a/t\",\"last-sequence-number\":7,"                                \
    "\"last-updated-ms\":1700000000000,"                                                           \
    "\"last-column-id\":1,\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\","              \
    "\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]}"  \
    "],\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"                 \
    "\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,"      \
    "\"fields\":[]}],\"properties\":{},\"current-snapshot-id\":-1,\"snapshots\":[]}}"
#define KNOWS_CREDENTIALS                                                                          \
    {                                                                                              \
        "GET /v1/config",                                                                          \
            .code = 200,                                                                           \
            .body =                                                                                \
                "{\"defaults\":{},\"overrides\":{},\"endpoints\":[\"GET /v1/{prefix}/namespaces/"  \
                "{namespace}/tables/{table}/credentials\"]}"                                       \
    }
#define REFUSED_BY_STORE(code_name)                                                                \
    .code = 403, .body = "<Error><Code>" code_name "</Code><Message>no</Message></Error>"

/* A store and a catalog that answer at the same address. */
static void start_access(struct fake_rule *rules, size_t count,
                         enum weir_catalog_rest_access access)
{
    fake_start(&server, rules, count);
    setenv("AWS_ACCESS_KEY_ID", "OWN", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "own-secret", 1);
    struct weir_s3_options s3 = {.bucket = "lake",
                                 .prefix = "wh",
                                 .region = "eu-west-2",
                                 .endpoint = server.url,
                                 .retry_ms = 3000};
    cr_assert_eq(weir_store_s3_new(&context, &s3, &bucket, &error), WEIR_OK, "%s", error.text);
    options.uri = server.url;
    options.access = access;
    cr_assert_eq(weir_catalog_rest_new(&context, &bucket, &options, &catalog, &error), WEIR_OK,
                 "%s", error.text);
}

static void end_access(void)
{
    catalog.operations->free(catalog.self);
    catalog = (struct weir_catalog){0};
    bucket.operations->free(bucket.self);
}

static weir_status get(const char *name)
{
    struct weir_buffer out = {.account = &context.memory};
    error = (struct weir_error){0};
    weir_status status = bucket.operations->get(bucket.self, name, 0, UINT64_MAX, &out, NULL,
                                                &error);
    weir_buffer_done(&out);
    return status;
}

Test(rest_access, vended_keys_of_the_longest_prefix_for_the_table_and_own_ones_for_the_rest)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t ", .code = 200,
         .body = WITH(
             GRANTED("s3", "WIDE", "") "," GRANTED(
                 "s3://lake/wh/a/t", "LONG",
                 ",\"s3.session-token\":\"tok\"") "," GRANTED("s3://lake/wh/a/other", "NOT",
                                                              "") "," GRANTED("gs://x", "GOOGLE",
                                                                              ""),
             "\"s3.access-key-id\":\"CONF\",\"s3.secret-access-key\":\"c\"")},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("X-Iceberg-Access-Delegation: vended-credentials"), 2);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=LONG/"), 1);
    cr_expect_eq(said("x-amz-security-token: tok"), 1);
    cr_expect_eq(get("_weir/receipts/1.json"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=OWN/"), 1);
    cr_expect_eq(said("Credential=WIDE/") + said("Credential=CONF/") + said("Credential=NOT/"), 0);
    end_access();
}

Test(rest_access, vended_keys_are_asked_for_when_nothing_is_known_of_the_table)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t?snapshots=refs ", .code = 404,
         .body = ERROR("NoSuchTableException")},
        {"GET /v1/namespaces/a ", .code = 200, .body = "{\"namespace\":[\"a\"]}"},
        {"\"stage-create\":true", .code = 200,
         .body = WITH(GRANTED("s3://lake/wh/a/t/", "STAGED", ""), "")},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    char location[1024] = "s3://lake/wh/elsewhere";
    cr_assert_eq(catalog.operations->place(catalog.self, "a.t", location, &error), WEIR_OK, "%s",
                 error.text);
    cr_expect_str_eq(location, "s3://lake/wh/a/t");
    cr_expect_eq(get("a/t/metadata/1.avro"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=STAGED/"), 1);
    end_access();
}

Test(rest_access, vended_keys_that_the_store_refuses_are_renewed_once)
{
    struct fake_rule rules[] = {
        KNOWS_CREDENTIALS,
        {"GET /v1/namespaces/a/tables/t ", .code = 200,
         .body = WITH(GRANTED("s3://lake/wh/a/t/", "FIRST", ""), "")},
        {"/tables/t/credentials ", .times = 1, .code = 200,
         .body = "{\"storage-credentials\":[" GRANTED("s3://lake/wh/a/t/", "SECOND", "") "]}"},
        {"/tables/t/credentials ", .code = 200,
         .body = "{\"storage-credentials\":[" GRANTED("s3://lake/wh/a/t/", "SECOND", "") "]}"},
        {"GET /lake/wh/a/t/bad", REFUSED_BY_STORE("AccessDenied")},
        {"Credential=FIRST/", REFUSED_BY_STORE("ExpiredToken")},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(get("a/t/data/2.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=FIRST/"), 1);
    cr_expect_eq(said("Credential=SECOND/"), 2);
    cr_expect_eq(said("/tables/t/credentials "), 1);
    cr_expect_eq(get("a/t/bad"), WEIR_DENIED);
    cr_expect(strstr(error.text, "gives no others") != NULL, "%s", error.text);
    cr_expect(strstr(error.text, "s-SECOND") == NULL);
    end_access();
}

Test(rest_access, vended_keys_are_renewed_before_they_end_and_never_used_after)
{
    char table[4096], keys[1024];
    int64_t now = weir_now_ms(&context);
    snprintf(table, sizeof table, "%s%lld%s",
             "{\"config\":{\"s3.access-key-id\":\"FIRST\",\"s3.secret-access-key\":\"f\","
             "\"s3.session-token-expires-at-ms\":\"",
             (long long)now - 1000,
             "\"},\"metadata-location\":\"s3://lake/wh/a/t/metadata/1.metadata.json\"," TABLE_REST);
    snprintf(keys, sizeof keys, "%s%lld%s",
             "{\"storage-credentials\":[{\"prefix\":\"s3://lake/wh/a/t/\",\"config\":{"
             "\"s3.access-key-id\":\"SECOND\",\"s3.secret-access-key\":\"f\","
             "\"s3.session-token-expires-at-ms\":",
             (long long)now + 3600000, "}}]}");
    struct fake_rule rules[] = {KNOWS_CREDENTIALS,
                                {"/tables/t/credentials ", .times = 1, .code = 200, .body = keys},
                                {"/tables/t", .code = 200, .body = table},
                                {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=FIRST/"), 0);
    cr_expect_eq(said("Credential=SECOND/"), 1);
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text); /* which brings the old ones again */
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_DENIED);
    cr_expect(strstr(error.text, "have ended") != NULL, "%s", error.text);
    end_access();
}

Test(rest_access, a_catalog_that_vends_nothing_is_told_so)
{
    struct fake_rule rules[] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t", .code = 200, .body = WITH("", "")},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_REFUSED);
    cr_expect(strstr(error.text, "gives no S3 credentials") != NULL, "%s", error.text);
    cr_expect_eq(said("GET /lake"), 0);
    end_access();
}

Test(rest_access, keys_of_its_configuration_reach_the_whole_warehouse)
{
    struct fake_rule rules[] = {
        {"GET /v1/config", .code = 200,
         .body = "{\"defaults\":{},\"overrides\":{\"s3.access-key-id\":\"ALL\","
                 "\"s3.secret-access-key\":\"x\"}}"},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_VENDED);
    cr_expect_eq(get("_weir/probe.json"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=ALL/"), 1);
    end_access();
}

#define SIGNS                                                                                      \
    WITH("", "\"s3.remote-signing-enabled\":\"true\",\"s3.signer.endpoint\":\"/v1/x/sign\"")
static char signed_text[1024];

static struct fake_rule signs(const char *path, const char *headers, int times)
{
    snprintf(signed_text, sizeof signed_text,
             "{\"uri\":\"%s/%s\",\"headers\":{\"Authorization\":[\"AWS4 theirs\"],\"X-Amz-Date\":["
             "\"now\"],\"x-amz-content-sha256\":[\"UNSIGNED-PAYLOAD\"],\"Cookie\":[\"no\"],"
             "\"x-amz-evil\":[\"a\\r\\nb: c\"]}}",
             server.url, path);
    return (struct fake_rule){"POST /v1/x/sign ", .times = times, .code = 200, .headers = headers,
                              .body = signed_text};
}

Test(rest_access, signatures_are_asked_for_and_sent_beside_our_own_headers)
{
    struct fake_rule rules[4] = {CONFIG,
                                 {"GET /v1/namespaces/a/tables/t", .code = 200, .body = SIGNS},
                                 {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, 3, WEIR_REST_ACCESS_SIGNING);
    rules[3] = signs("lake/wh/a/t/data/1.parquet", NULL, 0);
    server.rule_count = 4;
    cr_assert_eq(load("a.t"), WEIR_OK, "%s", error.text);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("authorization: AWS4 theirs") + said("Authorization: AWS4 theirs"), 1);
    cr_expect_eq(said("x-amz-content-sha256: UNSIGNED-PAYLOAD"), 1);
    cr_expect_eq(said("Cookie: no") + said("x-amz-evil"), 0);
    cr_expect_eq(said("Credential="), 0, "no keys of our own");
    cr_expect_eq(said("\"region\":\"eu-west-2\""), 1);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("POST /v1/x/sign"), 2, "an answer that may not be kept");
    cr_expect_eq(get("a/t/data/2.parquet"), WEIR_REFUSED, "a signature of something else");
    cr_expect_eq(get("_weir/receipts/1.json"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("Credential=OWN/"), 1);
    end_access();
}

Test(rest_access, signatures_that_may_be_kept_are)
{
    struct fake_rule rules[4] = {CONFIG,
                                 {"GET /v1/namespaces/a/tables/t", .code = 200, .body = SIGNS},
                                 {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, 3, WEIR_REST_ACCESS_SIGNING);
    rules[3] = signs("lake/wh/a/t/data/1.parquet", "Cache-Control: private\r\n", 0);
    server.rule_count = 4;
    for (int i = 0; i < 3; i++)
        cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("POST /v1/x/sign"), 1);
    cr_expect_eq(said("GET /lake/wh/a/t/data/1.parquet"), 3);
    end_access();
}

Test(rest_access, what_the_store_refuses_is_signed_anew_once)
{
    struct fake_rule rules[5] = {
        CONFIG,
        {"GET /v1/namespaces/a/tables/t", .code = 200, .body = SIGNS},
        {"GET /lake/wh/", .times = 1, REFUSED_BY_STORE("SignatureDoesNotMatch")},
        {"GET /lake/wh/", .code = 200, .body = "x"}};
    start_access(rules, 4, WEIR_REST_ACCESS_SIGNING);
    rules[4] = signs("lake/wh/a/t/data/1.parquet", "Cache-Control: private\r\n", 0);
    server.rule_count = 5;
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_OK, "%s", error.text);
    cr_expect_eq(said("POST /v1/x/sign"), 2);
    end_access();
}

Test(rest_access, a_signer_elsewhere_does_not_hear_who_we_are)
{
    char elsewhere[4096];
    struct fake_server other;
    struct fake_rule others[] = {{"POST ", .code = 403, .body = ERROR("ForbiddenException")}};
    fake_start(&other, others, 1);
    snprintf(elsewhere, sizeof elsewhere,
             "{\"config\":{\"s3.signer.endpoint\":\"%s/sign\"},"
             "\"metadata-location\":\"s3://lake/wh/a/t/metadata/1.metadata.json\",%s",
             other.url, TABLE_REST);
    struct fake_rule rules[] = {CONFIG,
                                {"GET /v1/namespaces/a/tables/t", .code = 200, .body = elsewhere}};
    options.auth = WEIR_REST_AUTH_BEARER;
    options.token = "our-token";
    start_access(rules, COUNT(rules), WEIR_REST_ACCESS_SIGNING);
    cr_expect_eq(get("a/t/data/1.parquet"), WEIR_DENIED);
    cr_expect(said("Bearer our-token") > 0);
    cr_expect(strstr(other.log, "POST /sign") != NULL);
    cr_expect(strstr(other.log, "our-token") == NULL, "%s", other.log);
    end_access();
    fake_stop(&other);
}

Test(rest_access, access_by_the_catalog_wants_a_store_of_s3)
{
    struct weir_object_store store = {.root_uri = "/lake"};
    options.uri = "http://127.0.0.1:1";
    options.access = WEIR_REST_ACCESS_VENDED;
    cr_expect_eq(weir_catalog_rest_new(&context, &store, &options, &catalog, &error), WEIR_USAGE);
    catalog = (struct weir_catalog){0};
}
