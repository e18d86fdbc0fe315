/* Retries and verdicts of the S3 store against a server that misbehaves as told. */
#include "connectors/s3/s3.h"
#include "connectors/s3/s3_int.h"
#include "tests/unit/s3/fake_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static struct fake_server server;
static struct weir_object_store store;
static struct weir_error error;
static int64_t slept_ms;

/* Time passes by sleeping only. */
static int64_t fake_steady(void *self)
{
    return 1000000 + slept_ms;
}
static void fake_sleep(void *self, int64_t duration_ms)
{
    slept_ms += duration_ms;
}

static void setup(void)
{
    weir_context_init(&context);
    context.clock.steady_ms = fake_steady;
    context.clock.sleep_ms = fake_sleep;
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_PROFILE");
}

static void begin(struct fake_rule *rules, size_t count)
{
    fake_start(&server, rules, count);
    struct weir_s3_options options = {.bucket = "lake",
                                      .prefix = "/wh/",
                                      .endpoint = server.url,
                                      .region = "eu-central-1",
                                      .account = "123456789012",
                                      .retry_ms = 30000};
    cr_assert_eq(weir_store_s3_new(&context, &options, &store, &error), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(store.root_uri, "s3://lake/wh");
}

#define BEGIN(...)                                                                                 \
    struct fake_rule rules[] = {__VA_ARGS__};                                                      \
    begin(rules, sizeof rules / sizeof *rules)

static void teardown(void)
{
    if (store.self) {
        store.operations->free(store.self);
        fake_stop(&server);
    }
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    cr_expect(strstr(error.text, "very-secret") == NULL &&
              strstr(error.hint, "very-secret") == NULL);
    weir_context_done(&context);
}

TestSuite(request, .init = setup, .fini = teardown, .timeout = 60);

static char names[5000];

static weir_status visit(void *argument, const struct weir_object_info *info)
{
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s:%d:%s:%lld ", info->name,
             (int)info->size, info->etag, (long long)info->modified_ms);
    return WEIR_OK;
}

static weir_status put(enum weir_put_mode mode)
{
    return store.operations->put(store.self, "t/v1.metadata.json", "abc", 3, mode, "\"e\"", NULL,
                                 &error);
}

#define ERROR_BODY(code)                                                                           \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>told so</Message></Error>"
#define PUT_KEY "PUT /lake/wh/t/v1.metadata.json HTTP"

Test(request, what_is_sent)
{
    BEGIN({PUT_KEY, .code = 200, .headers = "ETag: \"900150983cd24fb0d6963f7d28e17f72\"\r\n"});
    char etag[WEIR_ETAG_SIZE];
    cr_assert_eq(store.operations->put(store.self, "t/v1.metadata.json", "abc", 3,
                                       WEIR_PUT_IF_ABSENT, NULL, etag, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_str_eq(etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    static const char *const lines[] = {
        "\r\nif-none-match: *\r\n",
        "\r\ncontent-md5: kAFQmDzST7DWlj99KOF/cg==\r\n",
        "\r\nx-amz-expected-bucket-owner: 123456789012\r\n",
        "\r\nx-amz-content-sha256: "
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n",
        "Credential=AKIDEXAMPLE/",
        "/eu-central-1/s3/aws4_request"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect(strstr(server.log, lines[i]), "%s is not in\n%s", lines[i], server.log);
    cr_expect_not(strstr(server.log, "Expect"));
    cr_expect_not(strstr(server.log, "very-secret"));
}

Test(request, slow_down_is_not_done)
{
    BEGIN({PUT_KEY, 3, .code = 503, .body = ERROR_BODY("SlowDown")},
          {PUT_KEY, 1, .code = 409, .body = ERROR_BODY("ConditionalRequestConflict")},
          {PUT_KEY, .code = 412, .body = ERROR_BODY("PreconditionFailed")});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_PRECONDITION, "%s", error.text);
    cr_expect_eq(server.request_count, 5);
}

Test(request, success_after_trouble)
{
    BEGIN({PUT_KEY, 1, FAKE_CLOSE}, {PUT_KEY, 1, .code = 500, .body = ERROR_BODY("InternalError")},
          {PUT_KEY, 1, .code = 409, .body = ERROR_BODY("ConditionalRequestConflict")},
          {PUT_KEY, .code = 200});
    cr_expect_eq(put(WEIR_PUT_IF_MATCH), WEIR_OK, "%s", error.text);
}

/* The first may have worked: its 412 to the second proves nothing. */
Test(request, refusal_after_a_lost_answer)
{
    BEGIN({PUT_KEY, 1, FAKE_CLOSE},
          {PUT_KEY, .code = 412, .body = ERROR_BODY("PreconditionFailed")});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_UNKNOWN_OUTCOME, "%s", error.text);
    cr_expect_eq(error.status, WEIR_UNKNOWN_OUTCOME);
}

Test(request, refusal_after_a_server_error)
{
    BEGIN({PUT_KEY, 1, .code = 502, .body = "<html>Bad gateway</html>"},
          {PUT_KEY, .code = 412, .body = ERROR_BODY("PreconditionFailed")});
    cr_expect_eq(put(WEIR_PUT_IF_MATCH), WEIR_UNKNOWN_OUTCOME, "%s", error.text);
}

Test(request, refusal_at_once)
{
    BEGIN({PUT_KEY, .code = 412});
    cr_expect_eq(put(WEIR_PUT_IF_MATCH), WEIR_PRECONDITION, "%s", error.text);
    cr_expect_eq(server.request_count, 1);
}

Test(request, match_of_a_missing_object)
{
    BEGIN({PUT_KEY, .code = 404, .body = ERROR_BODY("NoSuchKey")});
    cr_expect_eq(put(WEIR_PUT_IF_MATCH), WEIR_PRECONDITION);
    cr_expect_eq(put(WEIR_PUT_ANY), WEIR_NOT_FOUND);
}

Test(request, gives_up_in_time)
{
    BEGIN({PUT_KEY, .code = 503, .body = ERROR_BODY("SlowDown")});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_UNAVAILABLE, "certainly not done");
    cr_expect(slept_ms <= 30000 && slept_ms > 5000, "%lld ms", (long long)slept_ms);
    cr_expect(strstr(error.text, "gave up after"), "%s", error.text);
}

Test(request, silence_is_unknown)
{
    BEGIN({PUT_KEY, 0, FAKE_CLOSE});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_UNKNOWN_OUTCOME, "%s", error.text);
}

Test(request, nobody_there_is_not_done)
{
    BEGIN({"", .code = 200});
    fake_stop(&server);
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_UNAVAILABLE, "%s", error.text);
    fake_start(&server, rules, 1);
}

Test(request, stop_is_heard)
{
    BEGIN({PUT_KEY, .code = 503, .body = ERROR_BODY("SlowDown")},
          {"GET", .code = 503, .body = ERROR_BODY("SlowDown")});
    atomic_store(&context.stop, 15);
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_STOPPED, "%s", error.text);
    cr_expect(server.request_count <= 1);
}

static void *stop_soon(void *argument)
{
    usleep(300000);
    atomic_store(&context.stop, 15);
    return NULL;
}

/* The program must end within 5 s of SIGTERM, whatever a server does: reads at once, writes after 3
 * s. */
static int64_t stopped_within(bool write, weir_status expected)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    struct weir_context real;
    pthread_t stopper;
    weir_context_init(&real);
    context.clock = real.clock;
    context.clock.self = &context;
    BEGIN({"/lake/", 0, FAKE_HANG});
    int64_t begin_ms = weir_steady_ms(&context);
    pthread_create(&stopper, NULL, stop_soon, NULL);
    weir_status status = write ? put(WEIR_PUT_IF_ABSENT)
                               : store.operations->get(store.self, "x", 0, UINT64_MAX, &buffer,
                                                       NULL, &error);
    int64_t took_ms = weir_steady_ms(&context) - begin_ms;
    pthread_join(stopper, NULL);
    cr_expect_eq(status, expected, "%s: %s", weir_status_name(status), error.text);
    weir_context_done(&real);
    return took_ms;
}

Test(request, stop_ends_a_hanging_read)
{
    int64_t took_ms = stopped_within(false, WEIR_STOPPED);
    cr_expect_lt(took_ms, 2500, "%lld ms", (long long)took_ms);
}

Test(request, stop_ends_a_hanging_write)
{
    int64_t took_ms = stopped_within(true, WEIR_UNKNOWN_OUTCOME);
    cr_expect(took_ms > 2500 && took_ms < 4900, "%lld ms", (long long)took_ms);
}

/* With less and less memory: each call works or says so, and gives back what it took. */
Test(request, memory_runs_out)
{
    BEGIN({"PUT /lake/wh/t", .code = 200},
          {"GET /lake/wh/x", .code = 200, .headers = "ETag: \"e\"\r\n", .body = "abcdef"},
          {"GET /lake/?list", .code = 200,
           .body = "<ListBucketResult><Contents><Key>wh/a</Key></Contents></ListBucketResult>"});
    int done = 0, refused = 0;
    size_t held = atomic_load(&context.memory.used);
    for (size_t more = 0; more < 60000; more += 500) {
        WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
        context.memory.limit = held + more;
        weir_status statuses[3] = {
            put(WEIR_PUT_IF_ABSENT),
            store.operations->get(store.self, "x", 0, UINT64_MAX, &buffer, NULL, &error),
            store.operations->list(store.self, "", visit, NULL, &error)};
        for (int i = 0; i < 3; i++) {
            cr_assert(statuses[i] == WEIR_OK || statuses[i] == WEIR_NO_MEMORY ||
                          (i == 0 && statuses[i] == WEIR_UNKNOWN_OUTCOME),
                      "%d at %zu: %s", i, more, error.text);
            done += statuses[i] == WEIR_OK;
            refused += statuses[i] != WEIR_OK;
        }
        weir_buffer_done(&buffer);
        cr_assert_eq(atomic_load(&context.memory.used), held);
    }
    cr_expect(done > 10 && refused > 10, "%d done, %d refused", done, refused);
}

Test(request, reading_survives_cuts)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    struct weir_object_info info;
    BEGIN({"GET /lake/wh/x", 2, FAKE_CUT, .code = 200, .body = "abcdef"},
          {"GET /lake/wh/x", 1, FAKE_CLOSE}, {"GET /lake/wh/x", 1, .code = 503},
          {"GET /lake/wh/x", .code = 200,
           .headers = "ETag: \"e\"\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\n",
           .body = "abcdef"});
    cr_assert_eq(weir_buffer_append(&buffer, "before", 6, NULL), WEIR_OK);
    cr_assert_eq(store.operations->get(store.self, "x", 0, UINT64_MAX, &buffer, &info, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_eq(buffer.size, 12);
    cr_expect_eq(memcmp(buffer.data, "beforeabcdef", 12), 0);
    cr_expect_eq(info.modified_ms, 1795428000000);
}

Test(request, ranges_are_checked)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    BEGIN({"range: bytes=2-4", .code = 206, .headers = "Content-Range: bytes 2-3/4\r\n",
           .body = "cd"},
          {"range: bytes=3-", .code = 200, .body = "abcd"}, {"range: bytes=9-", .code = 416});
    cr_expect_eq(store.operations->get(store.self, "x", 2, 3, &buffer, NULL, &error), WEIR_CORRUPT,
                 "short");
    cr_expect_eq(store.operations->get(store.self, "x", 3, UINT64_MAX, &buffer, NULL, &error),
                 WEIR_UNSUPPORTED, "range ignored");
    cr_expect_eq(store.operations->get(store.self, "x", 9, UINT64_MAX, &buffer, NULL, &error),
                 WEIR_CORRUPT, "beyond the end");
    cr_expect_eq(buffer.size, 0);
}

Test(request, wrong_region)
{
    BEGIN({PUT_KEY, .code = 301, .headers = "x-amz-bucket-region: us-west-2\r\n",
           .body = ERROR_BODY("PermanentRedirect")});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_REFUSED);
    cr_expect(strstr(error.hint, "us-west-2"), "%s", error.hint);
}

Test(request, clock_skew_is_learnt)
{
    BEGIN({PUT_KEY, 1, .code = 403, .headers = "Date: Wed, 01 Jan 2031 00:00:00 GMT\r\n",
           .body = ERROR_BODY("RequestTimeTooSkewed")},
          {"x-amz-date: 20310101T0000", .code = 200});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_OK, "%s", error.text);
    cr_expect_eq(server.request_count, 2);
}

Test(request, denials_say_why)
{
    BEGIN({PUT_KEY, .code = 403, .body = ERROR_BODY("AccessDenied")});
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_DENIED);
    cr_expect(strstr(error.text, "AccessDenied") && strstr(error.text, "told so"), "%s",
              error.text);
    cr_expect_eq(server.request_count, 1);
}

Test(request, removes)
{
    BEGIN({"DELETE /lake/wh/a", 1, FAKE_CLOSE}, {"DELETE /lake/wh/a", 1, .code = 204},
          {"DELETE /lake/wh/b", .code = 404, .body = ERROR_BODY("NoSuchKey")});
    cr_expect_eq(store.operations->remove(store.self, "a", &error), WEIR_OK, "%s", error.text);
    cr_expect_eq(store.operations->remove(store.self, "b", &error), WEIR_OK, "%s", error.text);
}

Test(request, names)
{
    BEGIN({"", .code = 200});
    static const char *const bad[] = {"", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(
            store.operations->put(store.self, bad[i], "", 0, WEIR_PUT_ANY, NULL, NULL, &error),
            WEIR_USAGE, "%s", bad[i]);
    cr_expect_eq(server.request_count, 0);
}

Test(request, lost_by_the_test)
{
    BEGIN({PUT_KEY, .code = 200});
    context.effects.kill_at = 1;
    context.effects.kill_mode = 'l';
    cr_expect_eq(put(WEIR_PUT_IF_ABSENT), WEIR_UNKNOWN_OUTCOME);
    cr_expect_eq(server.request_count, 1, "it did happen");
}

/* ---- uploads --------------------------------------------------------------------------------- */

#define KEY "/lake/wh/d/x.parquet"

static weir_status upload(size_t size, struct weir_object_info *ret_info)
{
    struct weir_upload *one;
    static char chunk[1 << 20];
    cr_assert_eq(store.operations->upload_begin(store.self, "d/x.parquet", &one, &error), WEIR_OK);
    for (size_t done = 0; done < size; done += sizeof chunk) {
        weir_status status = store.operations->upload_write(
            one, chunk, size - done < sizeof chunk ? size - done : sizeof chunk, &error);
        if (status != WEIR_OK) {
            store.operations->upload_abandon(one);
            return status;
        }
    }
    return store.operations->upload_finish(one, ret_info, &error);
}

#define MD5_OF_3_ZEROS "\"693e9af84d3dfcc71e640e005bdc5e2e\""

Test(request, small_upload_settles_its_own)
{
    struct weir_object_info info;
    BEGIN(
        {"PUT " KEY, 1, FAKE_CLOSE}, {"PUT " KEY, .code = 412},
        {"HEAD " KEY, .code = 200, .headers = "Content-Length: 3\r\nETag: " MD5_OF_3_ZEROS "\r\n"});
    cr_expect_eq(upload(3, &info), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(info.etag, MD5_OF_3_ZEROS);
    cr_expect_eq(info.size, 3);
    cr_expect(strstr(server.log, "if-none-match: *"));
}

Test(request, small_upload_of_another)
{
    struct weir_object_info info;
    BEGIN({"PUT " KEY, 1, FAKE_CLOSE}, {"PUT " KEY, .code = 412},
          {"HEAD " KEY, .code = 200, .headers = "Content-Length: 4\r\nETag: \"x\"\r\n"});
    cr_expect_eq(upload(3, &info), WEIR_PRECONDITION, "%s", error.text);
}

#define CREATED                                                                                    \
    {                                                                                              \
        "POST " KEY "?uploads=", .code = 200,                                                      \
                                 .body = "<InitiateMultipartUploadResult><UploadId>up&amp;1</"     \
                                         "UploadId></InitiateMultipartUploadResult>"               \
    }
#define PART                                                                                       \
    {                                                                                              \
        "PUT " KEY "?partNumber=", .code = 200, .headers = "ETag: \"p\"\r\n"                       \
    }
#define COMPLETE "POST " KEY "?uploadId=up%261"
#define COMPLETED                                                                                  \
    "<CompleteMultipartUploadResult><ETag>&quot;whole-2&quot;</ETag></"                            \
    "CompleteMultipartUploadResult>"
#define NINE_MIB (9u << 20)

Test(request, multipart)
{
    struct weir_object_info info;
    BEGIN(CREATED, {"partNumber=1", 1, .code = 503, .body = ERROR_BODY("SlowDown")},
          {"partNumber=2", 1, FAKE_CLOSE}, PART,
          {COMPLETE, 1, .code = 200, .body = "  " ERROR_BODY("InternalError")},
          {COMPLETE, .code = 200, .body = COMPLETED});
    cr_expect_eq(upload(NINE_MIB, &info), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(info.etag, "\"whole-2\"");
    cr_expect(strstr(server.log,
                     "<Part><PartNumber>1</PartNumber><ETag>\"p\"</ETag></"
                     "Part><Part><PartNumber>2</PartNumber><ETag>\"p\"</ETag></Part></Complete"));
}

/* MD5 of (MD5 of 8 MiB of zeros, MD5 of 1 MiB of zeros). */
#define MULTIPART_ETAG "\"d126ef08817d0490e207e456cb0ae080-2\""

static void multipart_lost(const char *etag_line, weir_status expected)
{
    struct weir_object_info info;
    BEGIN(CREATED, PART, {COMPLETE, 1, FAKE_CLOSE},
          {COMPLETE, .code = 404, .body = ERROR_BODY("NoSuchUpload")},
          {"HEAD " KEY, .code = 200, .headers = etag_line}, {"DELETE", .code = 204});
    cr_expect_eq(upload(NINE_MIB, &info), expected, "%s", error.text);
}

Test(request, multipart_completed_unheard)
{
    multipart_lost("Content-Length: 9437184\r\nETag: " MULTIPART_ETAG "\r\n", WEIR_OK);
}

Test(request, multipart_of_unknown_fate)
{
    multipart_lost("Content-Length: 9437184\r\nETag: \"other-2\"\r\n", WEIR_UNKNOWN_OUTCOME);
    cr_expect_not(strstr(server.log, "DELETE"), "an abort could race with the completion");
}

Test(request, multipart_loses)
{
    struct weir_object_info info;
    BEGIN(CREATED, PART, {COMPLETE, .code = 412, .body = ERROR_BODY("PreconditionFailed")},
          {"DELETE " KEY "?uploadId=up%261", .code = 204});
    cr_expect_eq(upload(NINE_MIB, &info), WEIR_PRECONDITION, "%s", error.text);
    cr_expect_eq(rules[3].served, 1, "its parts are removed");
}

Test(request, multipart_part_fails)
{
    struct weir_object_info info;
    BEGIN(CREATED, {"partNumber=2", .code = 403, .body = ERROR_BODY("AccessDenied")}, PART,
          {"DELETE " KEY "?uploadId=up%261", .code = 204});
    cr_expect_eq(upload(5 * NINE_MIB, &info), WEIR_DENIED, "%s", error.text);
    cr_expect(strstr(error.text, "part 2 of d/x.parquet"), "%s", error.text);
    cr_expect_eq(rules[3].served, 1);
}

Test(request, uploads_keep_to_their_memory)
{
    struct weir_object_info info;
    BEGIN(CREATED, PART, {COMPLETE, .code = 200, .body = COMPLETED});
    cr_expect_eq(upload(10 * NINE_MIB, &info), WEIR_OK, "%s", error.text);
    cr_expect_lt(atomic_load(&context.memory.peak), 36u << 20, "%zu",
                 atomic_load(&context.memory.peak));
}

/* ---- lists ----------------------------------------------------------------------------------- */

#define OBJECT(key)                                                                                \
    "<Contents><Key>" key "</Key><LastModified>2026-11-23T10:00:00.000Z</"                         \
    "LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>"

Test(request, lists_pages)
{
    BEGIN({"continuation-token=more%2B1%3D", .code = 200,
           .body = "<ListBucketResult><IsTruncated>false</IsTruncated>" OBJECT(
               "wh/b&amp;c") "</ListBucketResult>"},
          {"GET /lake/?list-type=2&prefix=wh%2F HTTP", .code = 200,
           .body = "<ListBucketResult xmlns=\"x\">" OBJECT("wh/a") OBJECT(
               "wh/folder/") "<IsTruncated>true</IsTruncated><NextContinuationToken>more+1=</"
                             "NextContinuationToken></ListBucketResult>"});
    names[0] = '\0';
    cr_assert_eq(store.operations->list(store.self, "", visit, NULL, &error), WEIR_OK, "%s",
                 error.text);
    cr_expect_str_eq(names, "a:7:\"e\":1795428000000 b&c:7:\"e\":1795428000000 ");
}

Test(request, hostile_lists)
{
    BEGIN({"prefix=wh%2F1", .code = 200,
           .body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"},
          {"prefix=wh%2F2", .code = 200,
           .body = "<ListBucketResult>" OBJECT("etc/passwd") "</ListBucketResult>"},
          {"prefix=wh%2F3", .code = 200,
           .body = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</"
                   "NextContinuationToken></ListBucketResult>"},
          {"prefix=wh%2F4", .code = 200, .body = "<html>hello</html>"},
          {"prefix=wh%2F5", .code = 200, .body = "<ListBucketResult>" OBJECT("wh/5")});
    for (int i = 1; i <= 5; i++) {
        char prefix[12];
        snprintf(prefix, sizeof prefix, "%d", i);
        cr_expect_eq(store.operations->list(store.self, prefix, visit, NULL, &error), WEIR_CORRUPT,
                     "%d: %s", i, error.text);
    }
}

/* ---- places ---------------------------------------------------------------------------------- */

/* 301 to another endpoint: told, and not gone after. */
Test(request, redirect)
{
    BEGIN({"HEAD /lake/ HTTP", 0, .code = 301,
           .headers = "Location: http://127.0.0.1:1/lake/\r\nx-amz-bucket-region: us-west-2\r\n"},
          {"PUT /lake/wh/x", 0, .code = 301,
           .headers = "Location: http://127.0.0.1:1/lake/wh/x\r\n",
           .body = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"});
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_REFUSED);
    cr_expect_str_eq(error.text,
                     "bucket lake is in region us-west-2, not in eu-central-1 as configured");
    cr_expect_eq(store.operations->put(store.self, "x", "1", 1, WEIR_PUT_ANY, NULL, NULL, &error),
                 WEIR_REFUSED);
    cr_expect(strstr(error.text, "PermanentRedirect"), "%s", error.text);
    cr_expect_eq(server.request_count, 2);
}

/* The account goes with every request; a server that lets nobody in for another's bucket heeds it.
 */
Test(request, owner)
{
    BEGIN({"x-amz-expected-bucket-owner: 000000000000", 1, .code = 403},
          {"x-amz-expected-bucket-owner: 123456789012", 0, .code = 200, .body = ""},
          {"HEAD", 0, .code = 200});
    cr_expect(weir_s3_heeds_owner(&store));
    cr_expect_not(weir_s3_heeds_owner(&store));
    cr_expect_eq(store.operations->put(store.self, "x", "1", 1, WEIR_PUT_ANY, NULL, NULL, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_eq(store.operations->remove(store.self, "x", &error), WEIR_OK, "%s", error.text);
    cr_expect_eq(rules[1].served, 2);
}

Test(request, places)
{
    char found[64] = "";
    BEGIN({"HEAD /lake/ HTTP", 1, .code = 200, .headers = "x-amz-bucket-region: us-west-2\r\n"},
          {"HEAD /lake/ HTTP", 1, .code = 200, .headers = "x-amz-bucket-region: eu-central-1\r\n"},
          {"HEAD /lake/ HTTP", 1, .code = 403}, {"HEAD /lake/ HTTP", 1, .code = 404},
          {"HEAD /lake/ HTTP", 3, .code = 200},
          {"GET /lake/?location=", 1, .code = 200,
           .body = "<LocationConstraint xmlns=\"x\">us-west-2</LocationConstraint>"},
          {"GET /lake/?location=", 1, .code = 200, .body = "<LocationConstraint xmlns=\"x\"/>"},
          {"GET /lake/?location=", .code = 403});
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_REFUSED);
    cr_expect(strstr(error.text, "us-west-2") && strstr(error.text, "eu-central-1"), "%s",
              error.text);
    cr_expect_eq(weir_s3_check_place(&store, "eu-central-1", "123456789012", found, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_REFUSED,
                 "not the owner");
    cr_expect(strstr(error.text, "123456789012"), "%s", error.text);
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_NOT_FOUND);
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_REFUSED,
                 "by GetBucketLocation");
    cr_expect_str_eq(found, "eu-central-1");
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, found, &error), WEIR_OK,
                 "an empty location is no region but at AWS");
    cr_expect_str_eq(found, "");
    cr_expect_eq(weir_s3_check_place(&store, NULL, NULL, NULL, &error), WEIR_OK,
                 "a server that knows no regions");
    cr_expect_eq(weir_s3_check_place(&store, NULL, "999999999999", NULL, &error), WEIR_REFUSED,
                 "two accounts");
}

Test(request, wrong_options)
{
    struct weir_object_store other;
    static const struct weir_s3_options bad[] = {{.bucket = NULL},
                                                 {.bucket = "a"},
                                                 {.bucket = "a/b/c"},
                                                 {.bucket = "lake", .endpoint = "ftp://x"},
                                                 {.bucket = "lake", .endpoint = "https://"},
                                                 {.bucket = "lake", .endpoint = "https://h/path"},
                                                 {.bucket = "lake", .endpoint = "https://u:p@h"},
                                                 {.bucket = "lake", .region = "a b"},
                                                 {.bucket = "lake", .account = "me"},
                                                 {.bucket = "lake", .prefix = "a/../b"},
                                                 {.bucket = "lake", .kms_key = "a\r\nb"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(weir_store_s3_new(&context, &bad[i], &other, &error), WEIR_USAGE, "%zu", i);
    char bucket[64], prefix[1024];
    cr_expect(weir_s3_uri_split("s3a://lake/a/b/", bucket, prefix) && strcmp(bucket, "lake") == 0 &&
              strcmp(prefix, "a/b") == 0);
    cr_expect(weir_s3_uri_split("s3://lake", bucket, prefix) && *prefix == '\0');
    cr_expect_not(weir_s3_uri_split("s3:///x", bucket, prefix));
    cr_expect_not(weir_s3_uri_split("/lake", bucket, prefix));
}

Test(request, judgements)
{
    cr_expect_eq(s3_judge(200, "", false), S3_DONE);
    cr_expect_eq(s3_judge(200, "InternalError", true), S3_AGAIN_MAYBE);
    cr_expect_eq(s3_judge(200, "PreconditionFailed", true), S3_FINAL);
    cr_expect_eq(s3_judge(503, "SlowDown", true), S3_AGAIN);
    cr_expect_eq(s3_judge(503, "", false), S3_AGAIN_MAYBE, "whoever said that");
    cr_expect_eq(s3_judge(400, "RequestTimeout", true), S3_AGAIN);
    cr_expect_eq(s3_judge(400, "ExpiredToken", true), S3_RENEW);
    cr_expect_eq(s3_judge(501, "NotImplemented", true), S3_FINAL);
    cr_expect_eq(s3_judge(504, "", false), S3_AGAIN_MAYBE);
    cr_expect_eq(s3_judge(409, "BucketNotEmpty", true), S3_FINAL);
}
