/* Schemas from samples. */
#include "tests/unit/json/json_help.h"

static weir_status infer(const char *const *records, size_t count, struct weir_buffer *out,
                         struct weir_error *error)
{
    struct weir_account *account = out->account;
    struct weir_arena arena;
    struct weir_type type;
    struct weir_bytes *bytes = malloc(count * sizeof *bytes);
    weir_status status;

    weir_arena_init(&arena, account);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (struct weir_bytes){(const uint8_t *)records[i], strlen(records[i])};
    status = weir_json_infer(&arena, bytes, count, &type, error);
    if (status == WEIR_OK) {
        cr_assert_eq(weir_type_print(&type, out, NULL), WEIR_OK);
        cr_assert_eq(weir_buffer_append(out, "", 1, NULL), WEIR_OK);
    }
    weir_arena_done(&arena);
    free(bytes);
    return status;
}

/* Prints are compared after reading the wanted text back, so that spaces do not matter. */
static void expect_type(const char *const *records, size_t count, const char *wanted)
{
    struct weir_account account;
    struct weir_arena arena;
    struct weir_type type;
    struct weir_error error = {0};
    struct weir_buffer have = {.account = &account}, want = {.account = &account};

    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    cr_assert_eq(infer(records, count, &have, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_type_parse(&arena, wanted, &type, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_type_print(&type, &want, NULL), WEIR_OK);
    cr_assert_eq(weir_buffer_append(&want, "", 1, NULL), WEIR_OK);
    cr_assert_str_eq((char *)have.data, (char *)want.data);
    weir_buffer_done(&have);
    weir_buffer_done(&want);
    weir_arena_done(&arena);
    cr_assert_eq(account.used, 0);
}

Test(json_infer, types)
{
    static const char *const records[] = {
        "{\"id\":\"x\",\"n\":1,\"x\":1,\"b\":true,\"t\":\"2025-01-01T00:00:00Z\",\"d\":\"2025-01-"
        "01\",\"u\":\"123e4567-e89b-12d3-a456-426614174000\","
        "\"os\":{\"name\":\"a\",\"build\":1},\"l\":[{\"m\":\"C\"},{\"m\":\"D\",\"f\":1.5}],\"e\":[]"
        ",\"w\":99999999999999999999,\"mix\":\"2025-01-01\",\"ts\":\"2025-01-01T00:00:00\"}",
        "{\"id\":\"y\",\"n\":-5,\"x\":2.5,\"b\":null,\"t\":\"2025-01-01T00:00:00+01:00\",\"d\":"
        "\"2025-01-02\",\"u\":\"123e4567-e89b-12d3-a456-426614174001\","
        "\"os\":{\"name\":null,\"build\":2,\"new\":true},\"l\":[],\"none\":null,\"w\":1,\"mix\":"
        "\"soon\",\"ts\":\"2025-01-01T00:00:00\",\"o\":{}}",
    };
    expect_type(
        records, COUNT(records),
        "struct<id: string required, n: long required, x: double required, b: boolean, t: "
        "timestamptz required, d: date required, "
        "u: uuid required, os: struct<name: string, build: long required, new: boolean> required, "
        "l: list<struct<m: string required, f: double> required> required, e: list<string>, w: "
        "decimal(38,0) required, mix: string required, "
        "ts: timestamp required, none: string, o: map<string, string>>");
}

Test(json_infer, many_keys_are_a_map)
{
    static char text[8192];
    size_t size = (size_t)sprintf(text, "{\"m\":{");
    for (int i = 0; i < 80; i++)
        size += (size_t)sprintf(text + size, "%s\"k%d\":{\"v\":%d%s}", i ? "," : "", i, i,
                                i == 79 ? ",\"w\":1.5" : "");
    sprintf(text + size, "}}");
    const char *const records[] = {text, "{\"m\":{\"other\":{\"v\":1}}}"};
    expect_type(records, 2,
                "struct<m: map<string, struct<v: long required, w: double> required> required>");
}

Test(json_infer, a_key_twice_is_there_once)
{
    static const char *const records[] = {"{\"a\":1,\"b\":{\"c\":1,\"c\":2},\"a\":2}",
                                          "{\"b\":{}}"};
    expect_type(records, 2, "struct<a: long, b: struct<c: long> required>");
}

Test(json_infer, refused)
{
    static const struct {
        const char *record, *says;
    } cases[] = {
        {"[1]", "record 2, byte 0"},
        {"{\"a\":", "record 2, byte 5"},
        {"{\"a\":\"x\"}", "a: values of different types"},
        {"{\"b\":{\"c\":1,\"d\":[1,\"x\"]}}", "values of different types"},
        {"", "record 2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const records[] = {"{\"a\":1}", cases[i].record};
        struct weir_account account;
        struct weir_error error = {0};
        struct weir_buffer out = {.account = &account};
        weir_account_init(&account, NULL, "test", 0);
        cr_assert_eq(infer(records, 2, &out, &error), WEIR_USAGE, "%s", cases[i].record);
        cr_assert_not_null(strstr(error.text, cases[i].says), "%s: %s", cases[i].record,
                           error.text);
        weir_buffer_done(&out);
        cr_assert_eq(account.used, 0);
    }
}

/* What is inferred from records takes them. */
Test(json_infer, takes_its_samples)
{
    static const char *const records[] = {
        "{\"a\":{\"b\":[[1,2.5],[]],\"c\":{\"x\":null}},\"when\":\"10:00:00\"}",
        "{\"a\":{\"b\":null,\"c\":{\"x\":\"t\",\"y\":1}},\"z\\u0061\":false}",
        "{\"a\":{}}",
    };
    struct weir_account account;
    struct weir_buffer type = {.account = &account};
    struct weir_bytes bytes[COUNT(records)];
    struct weir_error error = {0};
    struct bench bench;
    weir_account_init(&account, NULL, "test", 0);
    cr_assert_eq(infer(records, COUNT(records), &type, &error), WEIR_OK, "%s", error.text);
    bench_open(&bench, (char *)type.data, NULL);
    for (size_t i = 0; i < COUNT(records); i++)
        bytes[i] = (struct weir_bytes){(const uint8_t *)records[i], strlen(records[i])};
    bench_decode(&bench, bytes, COUNT(records));
    cr_assert_eq(bench.decoded.refusal_count, 0, "%s: %s", (char *)type.data,
                 bench.decoded.refusal_count ? bench.decoded.refusals[0].message : "");
    bench_close(&bench);
    weir_buffer_done(&type);
}
