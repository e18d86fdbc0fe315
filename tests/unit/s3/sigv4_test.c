/* Signatures against the examples that AWS publishes: its test suite of 2015 (service "service")
 * and the examples of the S3 API reference, "Signature Calculations: Transferring Payload in a
 * Single Chunk". */
#include "connectors/http/http.h"
#include "connectors/s3/sigv4.h"
#include "connectors/s3/sigv4_int.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct weir_account account;

static const char *sign(const char *id, const char *secret, const struct sigv4_request *request)
{
    static char text[2000];
    struct weir_buffer out = {.account = &account};
    struct s3_credentials credentials = {0};
    struct sigv4_keys keys;
    strcpy(credentials.id, id);
    strcpy(credentials.secret, secret);
    sigv4_keys_init(&keys);
    cr_assert_eq(sigv4_sign(&keys, &credentials, request, &out, NULL), WEIR_OK);
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    weir_buffer_clear(&out);
    cr_assert_eq(sigv4_sign(&keys, &credentials, request, &out, NULL), WEIR_OK,
                 "by the cached key");
    cr_expect_eq(memcmp(text, out.data, out.size), 0);
    sigv4_keys_done(&keys);
    weir_buffer_done(&out);
    return text;
}

static void expect_signature(const char *authorization, const char *signature)
{
    const char *at = strstr(authorization, "Signature=");
    cr_assert(at, "%s", authorization);
    cr_expect_str_eq(at + 10, signature);
}

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Test(sigv4, test_suite)
{
    struct sigv4_pair headers[] = {{"x-amz-date", "20150830T123600Z"},
                                   {"host", "example.amazonaws.com"}};
    struct sigv4_request request = {"GET", "/",         "",        headers,           2,
                                    EMPTY, "us-east-1", "service", "20150830T123600Z"};
    const char *secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const char *vanilla = sign("AKIDEXAMPLE", secret, &request);
    cr_expect_str_eq(
        vanilla, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                 "SignedHeaders=host;x-amz-date, "
                 "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    request.query = "Param1=value1&Param2=value2";
    expect_signature(sign("AKIDEXAMPLE", secret, &request),
                     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    request.query = "";
    request.method = "POST";
    expect_signature(sign("AKIDEXAMPLE", secret, &request),
                     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    /* get-header-value-trim: spaces around and runs of spaces do not count */
    struct sigv4_pair trimmed[] = {{"host", "example.amazonaws.com"},
                                   {"my-header1", " value1"},
                                   {"my-header2", " \"a   b   c\""},
                                   {"x-amz-date", "20150830T123600Z"}};
    struct sigv4_request trim = {"GET", "/",         "",        trimmed,           4,
                                 EMPTY, "us-east-1", "service", "20150830T123600Z"};
    expect_signature(sign("AKIDEXAMPLE", secret, &trim),
                     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

Test(sigv4, s3_examples)
{
    const char *id = "AKIAIOSFODNN7EXAMPLE", *secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
               *time = "20130524T000000Z";
    struct sigv4_pair get[] = {{"host", "examplebucket.s3.amazonaws.com"},
                               {"range", "bytes=0-9"},
                               {"x-amz-content-sha256", EMPTY},
                               {"x-amz-date", time}};
    struct sigv4_request request = {"GET", "/test.txt", "", get, 4, EMPTY, "us-east-1", "s3", time};
    expect_signature(sign(id, secret, &request),
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    const char *hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    struct sigv4_pair put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                               {"host", "examplebucket.s3.amazonaws.com"},
                               {"x-amz-content-sha256", hash},
                               {"x-amz-date", time},
                               {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    request = (struct sigv4_request){"PUT", "/test%24file.text", "",   put, 5,
                                     hash,  "us-east-1",         "s3", time};
    expect_signature(sign(id, secret, &request),
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    struct sigv4_pair list[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                {"x-amz-content-sha256", EMPTY},
                                {"x-amz-date", time}};
    request = (struct sigv4_request){"GET", "/",         "lifecycle=", list, 3,
                                     EMPTY, "us-east-1", "s3",         time};
    expect_signature(sign(id, secret, &request),
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    request.query = "max-keys=2&prefix=J";
    expect_signature(sign(id, secret, &request),
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

Test(sigv4, queries)
{
    struct weir_buffer out = {.account = &account};
    struct sigv4_pair pairs[] = {{"uploads", ""},
                                 {"prefix", "a/b c=\xc3\xa9"},
                                 {"list-type", "2"},
                                 {"partNumber", "10"},
                                 {"Z", "+"}};
    cr_assert_eq(sigv4_query(&out, pairs, 5, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data,
                     "Z=%2B&list-type=2&partNumber=10&prefix=a%2Fb%20c%3D%C3%A9&uploads=");
    weir_buffer_clear(&out);
    cr_assert_eq(sigv4_query(&out, pairs, 0, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data, "");
    weir_buffer_done(&out);
}

Test(sigv4, paths_and_times)
{
    struct weir_buffer out = {.account = &account};
    const char *key = "ts_day=2026-11-23/a b+c%41~*'()!.parquet";
    char time[17];
    cr_assert_eq(weir_http_escape(&out, key, strlen(key), true, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data,
                     "ts_day%3D2026-11-23/a%20b%2Bc%2541~%2A%27%28%29%21.parquet");
    weir_buffer_done(&out);
    sigv4_time(1764156900000, time);
    cr_expect_str_eq(time, "20251126T113500Z");
}

static int64_t quarter_past_ten(void *self)
{
    (void)self;
    return 1795428900000; /* 2026-11-23T10:15:00Z */
}

/* botocore's SigV4QueryAuth of the same request, with and without a session token. */
Test(sigv4, presigned_as_botocore_does)
{
    static const char *const tokens[] = {NULL, "session/token+="};
    static const char *const ends[] = {
        "&X-Amz-Date=20261123T101500Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "d83df1fd5a48775c29bbbe8c0f029d2fe99414152b1b81646ddded224d98e458",
        "&X-Amz-Date=20261123T101500Z&X-Amz-Expires=900&X-Amz-Security-Token="
        "session%2Ftoken%2B%3D&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "80b20c427136cac5069068f97e71964150ef6baa1b584370a58f4cb363e11d7a"};
    struct weir_sigv4_options options = {.region = "eu-west-2", .service = "kafka-cluster"};
    struct weir_sigv4_signer *signer;
    struct weir_context context;
    struct weir_arena arena;
    struct weir_error error;
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    context.clock.wall_ms = quarter_past_ten;
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    for (size_t i = 0; i < 2; i++) {
        const char *query;
        unsetenv("AWS_SESSION_TOKEN");
        if (tokens[i])
            setenv("AWS_SESSION_TOKEN", tokens[i], 1);
        cr_assert_eq(weir_sigv4_signer_new(&context, &options, &signer, &error), WEIR_OK);
        cr_expect_str_eq(weir_sigv4_region(signer), "eu-west-2");
        cr_assert_eq(weir_sigv4_presign(signer, "kafka.eu-west-2.amazonaws.com", "Action",
                                        "kafka-cluster:Connect", 900, &arena, &query, &error),
                     WEIR_OK, "%s", error.text);
        static const char begin[] =
            "Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            "AKIDEXAMPLE%2F20261123%2Feu-west-2%2Fkafka-cluster%2Faws4_request";
        cr_assert_eq(strncmp(query, begin, sizeof begin - 1), 0, "%s", query);
        cr_expect_str_eq(query + sizeof begin - 1, ends[i]);
        weir_sigv4_signer_free(signer);
    }
    weir_arena_done(&arena);
    weir_context_done(&context);
}
