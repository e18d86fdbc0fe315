/* Bodies of requests: split into records, decompressed within their limit. */
#include "scheduler/gateway/gateway_int.h"

#include <criterion/criterion.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;

static void set_up(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}

static void tear_down(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(body, .init = set_up, .fini = tear_down);

/* Records with '|' between them, or "status code". */
static const char *split(const char *body, bool lines)
{
    static char out[4096];
    struct weir_bytes *records = NULL;
    uint32_t count = 0;
    struct problem problem = {0};
    weir_status status = body_split(&arena,
                                    (struct weir_bytes){(const uint8_t *)body, strlen(body)}, lines,
                                    &records, &count, &problem, NULL);
    cr_assert_eq(status, WEIR_OK);
    out[0] = '\0';
    if (problem.status)
        snprintf(out, sizeof out, "%u %s", problem.status, problem.code);
    for (uint32_t i = 0; !problem.status && i < count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%.*s", i ? "|" : "",
                 (int)records[i].size, (const char *)records[i].data);
    return out;
}

Test(body, one_object)
{
    cr_assert_str_eq(split("{\"a\": 1}", false), "{\"a\": 1}");
    cr_assert_str_eq(split(" \n{\n \"a\": [1,\n2]\n}\r\n ", false), "{\n \"a\": [1,\n2]\n}");
    cr_assert_str_eq(split("{\"a\": \"}\\\"{\"}", false), "{\"a\": \"}\\\"{\"}");
}

Test(body, lines)
{
    cr_assert_str_eq(split("{\"a\":1}\n{\"a\":2}", false), "{\"a\":1}|{\"a\":2}");
    cr_assert_str_eq(split("\n{\"a\":1}\r\n\n \t\n{\"a\":2}\n", true), "{\"a\":1}|{\"a\":2}");
    cr_assert_str_eq(split("[1]\n[2]\n", true), "[1]|[2]");
    cr_assert_str_eq(split("{\"a\":\n{\"a\":2}\n", true), "{\"a\":|{\"a\":2}");
}

/* What is inside an object that was not closed is no record of its own, unless lines were promised.
 */
Test(body, an_open_object)
{
    cr_assert_str_eq(split("{\"a\":[\n{\"a\":2}\n", false), "{\"a\":[\n{\"a\":2}");
    cr_assert_str_eq(split("{\"a\":1\n{\"a\":2}\n", true), "{\"a\":1|{\"a\":2}");
}

Test(body, arrays)
{
    cr_assert_str_eq(split("[{\"a\":1}, {\"a\":[2,{}]} ]", false), "{\"a\":1}|{\"a\":[2,{}]}");
    cr_assert_str_eq(split("[1, \"x,]\", null]", false), "1|\"x,]\"|null");
    cr_assert_str_eq(split("[]", false), "400 empty");
    cr_assert_str_eq(split("[{\"a\":1}", false), "400 syntax");
    cr_assert_str_eq(split("[{\"a\":1},]", false), "400 syntax");
    cr_assert_str_eq(split("[,{\"a\":1}]", false), "400 syntax");
    cr_assert_str_eq(split("[{\"a\":1} {}]", false), "400 syntax");
    cr_assert_str_eq(split("[{\"a\":1}] x", false), "400 syntax");
    cr_assert_str_eq(split("[{\"a\":\"", false), "400 syntax");
    cr_assert_str_eq(split("[{\"a\":1}}", false), "400 syntax");
    cr_assert_str_eq(split("[", false), "400 syntax");
}

Test(body, nothing)
{
    cr_assert_str_eq(split("", false), "400 empty");
    cr_assert_str_eq(split(" \n\t\r\n", true), "400 empty");
}

Test(body, too_many_records)
{
    static char many[2 * (GATEWAY_RECORDS_MAX + 1) + 1];
    for (size_t i = 0; i < sizeof many - 1; i += 2)
        memcpy(many + i, "1\n", 2);
    cr_assert_str_eq(split(many, true), "413 too_many");
}

/* ---- Content-Encoding ---- */

static unsigned decode(const char *encoding, struct weir_bytes body, size_t limit, size_t *ret_size)
{
    struct problem problem = {0};
    struct weir_bytes decoded = {NULL, 0};
    struct weir_buffer out;
    weir_buffer_init(&out, &account);
    cr_assert_eq(body_decode(&account, encoding, body, limit, &out, &decoded, &problem, NULL),
                 WEIR_OK);
    *ret_size = decoded.size;
    weir_buffer_done(&out);
    return problem.status;
}

Test(body, encodings)
{
    char zeros[100000] = {0};
    struct weir_buffer packed;
    struct weir_compressor *compressor;
    size_t size;
    weir_buffer_init(&packed, &account);
    cr_assert_eq(weir_compressor_new(&account, WEIR_CODEC_ZSTD, 3, &compressor, NULL), WEIR_OK);
    cr_assert_eq(weir_compress(compressor, zeros, sizeof zeros, &packed, NULL), WEIR_OK);
    struct weir_bytes body = {packed.data, packed.size};
    cr_assert_eq(decode("zstd", body, 100000, &size), 0);
    cr_assert_eq(size, 100000);
    cr_assert_eq(decode("ZSTD", body, 99999, &size), 413);
    cr_assert_eq(decode("gzip", body, 100000, &size), 400);
    body.size--;
    cr_assert_eq(decode("zstd", body, 100000, &size), 400);
    cr_assert_eq(decode("br", body, 100000, &size), 415);
    cr_assert_eq(decode(NULL, body, 1, &size), 0);
    cr_assert_eq(decode("identity", body, 1, &size), 0);
    weir_compressor_free(compressor);
    weir_buffer_done(&packed);
}
