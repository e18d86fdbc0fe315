/* Where keys come from, in which order, and when they are renewed; all services are one fake
 * server. */
#include "connectors/s3/credentials_int.h"
#include "tests/unit/s3/fake_server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static struct fake_server server;
static struct weir_http_client *http;
static struct s3_chain *chain;
static struct weir_error error;
static int64_t wall_ms = 1795428000000; /* 2026-11-23T10:00:00Z */
static char folder[] = "/tmp/weir-keys-XXXXXX";

static int64_t fake_wall(void *self)
{
    return wall_ms;
}
static void fake_sleep(void *self, int64_t duration_ms) {}

static void setup(void)
{
    static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
                                            "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SESSION_TOKEN",
                                            "AWS_PROFILE",
                                            "AWS_ROLE_ARN",
                                            "AWS_WEB_IDENTITY_TOKEN_FILE",
                                            "AWS_ROLE_SESSION_NAME",
                                            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"};
    char path[100];
    weir_context_init(&context);
    context.clock.wall_ms = fake_wall;
    context.clock.sleep_ms = fake_sleep;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    snprintf(path, sizeof path, "%s/config", folder);
    setenv("AWS_CONFIG_FILE", path, 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    struct weir_http_options options = {0};
    cr_assert_eq(weir_http_client_new(&context, &options, &http, &error), WEIR_OK);
}

static void teardown(void)
{
    char command[100];
    s3_chain_free(chain);
    weir_http_client_free(http);
    if (server.rules)
        fake_stop(&server);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "%zu bytes left",
                 atomic_load(&context.memory.used));
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(credentials, .init = setup, .fini = teardown, .timeout = 60);

static void write_text(const char *name, const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0);
    fclose(file);
}

static void begin(struct fake_rule *rules, size_t count)
{
    fake_start(&server, rules, count);
    setenv("AWS_ENDPOINT_URL_STS", server.url, 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url, 1);
}

#define BEGIN(...)                                                                                 \
    struct fake_rule rules[] = {__VA_ARGS__};                                                      \
    begin(rules, sizeof rules / sizeof *rules)

static void open_chain(const char *profile, const char *role_arn, const char *external_id)
{
    struct s3_chain_options options = {profile, role_arn, external_id, "eu-central-1"};
    cr_assert_eq(s3_chain_new(&context, http, &options, &chain, &error), WEIR_OK);
}

static void expect_key(const char *id, const char *token)
{
    struct s3_credentials found = {0};
    cr_assert_eq(s3_chain_get(chain, NULL, &found, &error), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(found.id, id);
    cr_expect_str_eq(found.token, token);
    cr_expect(*found.secret);
}

static weir_status get_status(void)
{
    struct s3_credentials found = {0};
    weir_status status = s3_chain_get(chain, NULL, &found, &error);
    cr_expect(strstr(error.text, "hush-hush") == NULL && strstr(error.hint, "hush-hush") == NULL,
              "%s", error.text);
    return status;
}

#define PROFILES                                                                                   \
    "# keys\n[default]\naws_access_key_id = DEFAULT\naws_secret_access_key=hush-hush\n\n[ other "  \
    "]\r\naws_access_key_id=OTHER\r\n"                                                             \
    "aws_secret_access_key = hush-hush\r\naws_session_token = tok\r\n[half]\naws_access_key_id = " \
    "x\n"

Test(credentials, environment_first)
{
    write_text("credentials", PROFILES);
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hush-hush", 1);
    setenv("AWS_SESSION_TOKEN", "session", 1);
    open_chain(NULL, NULL, NULL);
    expect_key("ENV", "session");
}

Test(credentials, a_named_profile_before_all)
{
    write_text("credentials", PROFILES);
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hush-hush", 1);
    open_chain("other", NULL, NULL);
    expect_key("OTHER", "tok");
}

Test(credentials, default_profile)
{
    write_text("credentials", PROFILES);
    open_chain(NULL, NULL, NULL);
    expect_key("DEFAULT", "");
}

Test(credentials, profile_from_the_environment)
{
    write_text("config", "[profile work]\nregion = eu-west-3\naws_access_key_id = WORK\ns3 =\n  "
                         "aws_secret_access_key = nested\naws_secret_access_key = hush-hush\n");
    setenv("AWS_PROFILE", "work", 1);
    open_chain(NULL, NULL, NULL);
    expect_key("WORK", "");
    char region[32];
    cr_expect(s3_profile_setting(&context, NULL, "region", region, sizeof region));
    cr_expect_str_eq(region, "eu-west-3");
}

Test(credentials, wrong_profiles)
{
    write_text("credentials", PROFILES);
    write_text("config",
               "[profile sso]\nsso_session = x\n[profile loop]\nrole_arn = arn:r\nsource_profile = "
               "loop2\n[profile loop2]\nrole_arn = arn:r\nsource_profile = loop\n");
    static const struct {
        const char *name;
        weir_status status;
    } cases[] = {{"none", WEIR_NOT_FOUND},
                 {"half", WEIR_NOT_FOUND},
                 {"sso", WEIR_UNSUPPORTED},
                 {"loop", WEIR_USAGE}};
    for (size_t i = 0; i < 4; i++) {
        open_chain(cases[i].name, NULL, NULL);
        cr_expect_eq(get_status(), cases[i].status, "%s: %s", cases[i].name, error.text);
        s3_chain_free(chain);
        chain = NULL;
    }
}

Test(credentials, nothing_anywhere)
{
    open_chain(NULL, NULL, NULL);
    cr_expect_eq(get_status(), WEIR_DENIED);
    cr_expect(strstr(error.hint, "AWS_ACCESS_KEY_ID"), "%s", error.hint);
}

#define STS(id, expires)                                                                           \
    "<R><Credentials><AccessKeyId>" id                                                             \
    "</AccessKeyId><SecretAccessKey>hush-hush</SecretAccessKey><SessionToken>st</SessionToken>"    \
    "<Expiration>" expires "</Expiration></Credentials></R>"

Test(credentials, web_identity)
{
    BEGIN({"POST / HTTP", .code = 200, .body = STS("WEB", "2026-11-23T11:00:00Z")});
    char path[100];
    write_text("token", "jwt.of.pod\n");
    snprintf(path, sizeof path, "%s/token", folder);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/x", 1);
    open_chain(NULL, NULL, NULL);
    expect_key("WEB", "st");
    cr_expect(strstr(server.log,
                     "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&"),
              "%s", server.log);
    cr_expect(strstr(server.log, "WebIdentityToken=jwt.of.pod"), "%s", server.log);
    cr_expect_not(strstr(server.log, "authorization"), "it is not signed");
}

#define JSON_KEYS(id, expires)                                                                     \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id                                                  \
    "\",\"SecretAccessKey\":\"hush-hush\",\"Token\":\"jt\",\"Expiration\":\"" expires "\"}"

Test(credentials, container)
{
    BEGIN({"Authorization: pod-token", .code = 200,
           .body = JSON_KEYS("POD", "2026-11-23T11:00:00Z")});
    char text[200];
    snprintf(text, sizeof text, "%s/v1/credentials", server.url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    write_text("pod", "pod-token\n");
    snprintf(text, sizeof text, "%s/pod", folder);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text, 1);
    open_chain(NULL, NULL, NULL);
    expect_key("POD", "jt");
}

Test(credentials, container_hosts)
{
    static const char *const bad[] = {
        "http://evil.example/x", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/",
        "ftp://127.0.0.1/",      "http://169.254.170.2.evil/",     "169.254.170.2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
        open_chain(NULL, NULL, NULL);
        cr_expect_eq(get_status(), WEIR_REFUSED, "%s", bad[i]);
        s3_chain_free(chain);
        chain = NULL;
    }
}

Test(credentials, instance_metadata)
{
    BEGIN(
        {"PUT /latest/api/token", .code = 200, .body = "imds-token"},
        {"GET /latest/meta-data/iam/security-credentials/ HTTP", 1, .code = 503},
        {"GET /latest/meta-data/iam/security-credentials/ HTTP", .code = 200, .body = "my-role\n"},
        {"GET /latest/meta-data/iam/security-credentials/my-role HTTP", .code = 200,
         .body = JSON_KEYS("EC2", "2026-11-23T16:00:00Z")});
    unsetenv("AWS_EC2_METADATA_DISABLED");
    open_chain(NULL, NULL, NULL);
    expect_key("EC2", "jt");
    cr_expect(strstr(server.log, "X-aws-ec2-metadata-token-ttl-seconds: 21600"));
    cr_expect(strstr(server.log, "X-aws-ec2-metadata-token: imds-token"));
}

Test(credentials, broken_answers)
{
    BEGIN({"PUT /latest/api/token", .code = 200, .body = "t"},
          {"credentials/ HTTP", .code = 200, .body = "r"},
          {"credentials/r", 1, .code = 200, .body = "{\"AccessKeyId\": 5, \"Sec"},
          {"credentials/r", 1, .code = 200, .body = "[]"}, {"credentials/r", 1, .code = 404});
    unsetenv("AWS_EC2_METADATA_DISABLED");
    open_chain(NULL, NULL, NULL);
    cr_expect_eq(get_status(), WEIR_CORRUPT);
    cr_expect_eq(get_status(), WEIR_CORRUPT);
    cr_expect_eq(get_status(), WEIR_DENIED);
}

Test(credentials, assume_role)
{
    BEGIN({"POST / HTTP", 1, .code = 200, .body = STS("ROLE", "2026-11-23T11:00:00Z")},
          {"POST / HTTP", .code = 403,
           .body = "<R><Error><Code>AccessDenied</Code><Message>no</Message></Error></R>"});
    write_text("credentials", PROFILES);
    open_chain("other", "arn:aws:iam::2:role/y", "ext 1");
    expect_key("ROLE", "st");
    cr_expect(
        strstr(server.log,
               "Action=AssumeRole&ExternalId=ext%201&RoleArn=arn%3Aaws%3Aiam%3A%3A2%3Arole%2Fy"),
        "%s", server.log);
    cr_expect(strstr(server.log, "Credential=OTHER/20261123/eu-central-1/sts/aws4_request"), "%s",
              server.log);
    cr_expect(strstr(server.log, "x-amz-security-token: tok"));
    wall_ms += 2 * 3600000;
    cr_expect_eq(get_status(), WEIR_DENIED);
    cr_expect(strstr(error.text, "AccessDenied"), "%s", error.text);
}

Test(credentials, profile_with_a_role)
{
    BEGIN({"POST / HTTP", .code = 200, .body = STS("ROLE", "2026-11-23T11:00:00Z")});
    write_text("credentials", PROFILES);
    write_text("config", "[profile up]\nrole_arn = arn:aws:iam::3:role/z\nsource_profile = "
                         "other\nexternal_id = e\n");
    open_chain("up", NULL, NULL);
    expect_key("ROLE", "st");
    cr_expect(strstr(server.log, "Credential=OTHER/"), "%s", server.log);
}

/* At 80 % of the hour new keys are asked for; while that fails the old ones serve to their last
 * minute. */
Test(credentials, renewal)
{
    BEGIN({"GET /c", 1, .code = 200, .body = JSON_KEYS("ONE", "2026-11-23T11:00:00Z")},
          {"GET /c", 1, .code = 400},
          {"GET /c", 1, .code = 200, .body = JSON_KEYS("TWO", "2026-11-23T12:00:00Z")},
          {"GET /c", .code = 400});
    char text[200];
    snprintf(text, sizeof text, "%s/c", server.url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_chain(NULL, NULL, NULL);
    expect_key("ONE", "jt");
    wall_ms += 47 * 60000;
    expect_key("ONE", "jt");
    cr_expect_eq(server.request_count, 1);
    wall_ms += 2 * 60000;
    expect_key("ONE", "jt");
    expect_key("ONE", "jt");
    cr_expect_eq(server.request_count, 2, "a failed renewal is not asked again at once");
    wall_ms += 20000;
    expect_key("TWO", "jt");
    wall_ms += 71 * 60000;
    cr_expect_eq(get_status(), WEIR_DENIED, "ended, and no new ones");
}

Test(credentials, rejected_keys_are_asked_for_once)
{
    BEGIN({"GET /c", 1, .code = 200, .body = JSON_KEYS("ONE", "2026-11-23T11:00:00Z")},
          {"GET /c", .code = 200, .body = JSON_KEYS("TWO", "2026-11-23T12:00:00Z")});
    struct s3_credentials rejected, fresh;
    char text[200];
    snprintf(text, sizeof text, "%s/c", server.url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", text, 1);
    open_chain(NULL, NULL, NULL);
    cr_assert_eq(s3_chain_get(chain, NULL, &rejected, &error), WEIR_OK);
    cr_assert_eq(s3_chain_get(chain, &rejected, &fresh, &error), WEIR_OK);
    cr_expect_str_eq(fresh.id, "TWO");
    cr_assert_eq(s3_chain_get(chain, &rejected, &fresh, &error), WEIR_OK,
                 "another thread that was late");
    cr_expect_eq(server.request_count, 2);
}
