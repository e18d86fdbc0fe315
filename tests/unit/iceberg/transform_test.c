/* Partition transforms and single values: the vectors of the Iceberg spec, and edges. */
#include "formats/iceberg/manifest.h"
#include "formats/iceberg/value_int.h"

#include <criterion/criterion.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 64u << 20);
    weir_arena_init(&arena, &account);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(transform, .init = setup, .fini = teardown);

static struct weir_type type;

/* A vector of one value of fixed width. */
static struct weir_vector one(struct weir_type of, const void *value)
{
    struct weir_vector vector;
    type = of;
    cr_assert_eq(weir_vector_make(&arena, &type, 1, 0, &vector, NULL), WEIR_OK);
    memcpy(vector.values, value, weir_type_width(&type));
    vector.count = 1;
    return vector;
}

static struct weir_vector text(enum weir_type_id id, const void *bytes, size_t size)
{
    struct weir_vector vector;
    type = (struct weir_type){.id = id};
    cr_assert_eq(weir_vector_make(&arena, &type, 1, size, &vector, NULL), WEIR_OK);
    memcpy(vector.values, bytes, size);
    vector.offsets[1] = (int32_t)size;
    vector.count = 1;
    return vector;
}

static int32_t int_of(const char *transform, struct weir_vector source)
{
    struct weir_vector result;
    cr_assert_eq(weir_transform_apply(&arena, transform, &source, &result, &error), WEIR_OK, "%s",
                 error.text);
    return *(int32_t *)result.values;
}

#define LONG(v)  one((struct weir_type){.id = WEIR_LONG}, &(int64_t){v})
#define INT(v)   one((struct weir_type){.id = WEIR_INT}, &(int32_t){v})
#define DATE(v)  one((struct weir_type){.id = WEIR_DATE}, &(int32_t){v})
#define STAMP(v) one((struct weir_type){.id = WEIR_TIMESTAMP}, &(int64_t){v})
#define DECIMAL(v)                                                                                 \
    one((struct weir_type){.id = WEIR_DECIMAL, .precision = 9, .scale = 2}, &(weir_int128){v})

/* bucket[2147483647] is (hash & INT_MAX) % INT_MAX: the hash itself, but for its sign */
static void expect_hash(struct weir_vector source, int32_t hash)
{
    cr_assert_eq(int_of("bucket[2147483647]", source), (hash & INT32_MAX) % INT32_MAX);
}

Test(transform, bucket_hashes_of_appendix_b)
{
    static const uint8_t uuid[16] = {0xf7, 0x9c, 0x3e, 0x09, 0x67, 0x7c, 0x4b, 0xbd,
                                     0xa4, 0x79, 0x3f, 0x34, 0x9c, 0xb7, 0x85, 0xe7};
    expect_hash(INT(34), 2017239379);
    expect_hash(LONG(34), 2017239379);
    expect_hash(DECIMAL(1420), -500754589);
    expect_hash(DATE(17486), -653330422); /* 2017-11-16 */
    expect_hash(one((struct weir_type){.id = WEIR_TIME}, &(int64_t){INT64_C(81068000000)}),
                -662762989);
    expect_hash(STAMP(INT64_C(1510871468000000)), -2047944441);
    expect_hash(
        one((struct weir_type){.id = WEIR_TIMESTAMPTZ}, &(int64_t){INT64_C(1510871468000000)}),
        -2047944441);
    expect_hash(STAMP(INT64_C(1510871468000001)), -1207196810);
    expect_hash(text(WEIR_STRING, "iceberg", 7), 1210000089);
    expect_hash(one((struct weir_type){.id = WEIR_UUID}, uuid), 1488055340);
    expect_hash(one((struct weir_type){.id = WEIR_FIXED, .length = 4}, "\0\1\2\3"), -188683207);
    expect_hash(text(WEIR_BINARY, "\0\1\2\3", 4), -188683207);
}

Test(transform, times_before_and_after_1970)
{
    cr_assert_eq(int_of("year", DATE(17501)), 47); /* 2017-12-01 */
    cr_assert_eq(int_of("month", DATE(17501)), 575);
    cr_assert_eq(int_of("day", DATE(17501)), 17501);
    cr_assert_eq(int_of("year", DATE(-1)), -1);
    cr_assert_eq(int_of("month", DATE(-1)), -1);
    cr_assert_eq(int_of("day", STAMP(-1)), -1);
    cr_assert_eq(int_of("hour", STAMP(-1)), -1);
    cr_assert_eq(int_of("hour", STAMP(INT64_C(1512123175038194))),
                 420034); /* 2017-12-01T10:12:55.038194 */
    cr_assert_eq(int_of("day", STAMP(INT64_MIN)), -106751992);
}

Test(transform, truncate_as_the_spec)
{
    struct weir_vector result;
    cr_assert_eq(int_of("truncate[10]", INT(1)), 0);
    cr_assert_eq(int_of("truncate[10]", INT(-1)), -10);
    cr_assert_eq(int_of("truncate[10]", INT(INT32_MIN)), INT32_MAX - 1, "wraps as Java does");
    struct weir_vector source = DECIMAL(1065);
    cr_assert_eq(weir_transform_apply(&arena, "truncate[50]", &source, &result, &error), WEIR_OK);
    cr_assert(*(weir_int128 *)result.values == 1050);
    source = text(WEIR_STRING, "grünland", 9);
    cr_assert_eq(weir_transform_apply(&arena, "truncate[3]", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.offsets[1], 4, "three code points");
    source = text(WEIR_STRING, "ab", 2);
    cr_assert_eq(weir_transform_apply(&arena, "truncate[3]", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.offsets[1], 2);
    source = LONG(INT64_MIN);
    cr_assert_eq(weir_transform_apply(&arena, "truncate[7]", &source, &result, &error), WEIR_OK);
}

Test(transform, nulls_constants_and_void)
{
    struct weir_vector source = text(WEIR_STRING, "x", 1), result;
    uint8_t bits[64] = {0};
    source.validity = bits;
    source.null_count = 1;
    source.kind = WEIR_CONSTANT;
    source.count = 3;
    cr_assert_eq(weir_transform_apply(&arena, "bucket[4]", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.count, 3);
    cr_assert_eq(result.null_count, 3);
    cr_assert_not(weir_vector_valid(&result, 2));
    source.validity = NULL;
    source.null_count = 0;
    cr_assert_eq(weir_transform_apply(&arena, "identity", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.offsets[3], 3);
    cr_assert_eq(weir_transform_apply(&arena, "void", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.null_count, 3);
    cr_assert_eq(result.type->id, WEIR_STRING);
}

Test(transform, types_that_do_not_fit_and_words_that_are_none)
{
    struct weir_type result, source = {.id = WEIR_DOUBLE};
    static const char *const bad[] = {"bucket", "bucket[0]",   "bucket[x]", "bucket[4",
                                      "days",   "identity[3]", "",          "bucket[99999999999]"};
    cr_assert_eq(weir_transform_result_type("bucket[4]", &source, &result, &error), WEIR_USAGE);
    cr_assert_eq(weir_transform_result_type("day", &source, &result, &error), WEIR_USAGE);
    cr_assert_eq(weir_transform_result_type("identity", &source, &result, &error), WEIR_OK);
    source.id = WEIR_DATE;
    cr_assert_eq(weir_transform_result_type("hour", &source, &result, &error), WEIR_USAGE);
    cr_assert_eq(weir_transform_result_type("day", &source, &result, &error), WEIR_OK);
    cr_assert_eq(result.id, WEIR_DATE);
    source.id = WEIR_LONG;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(weir_transform_result_type(bad[i], &source, &result, &error), WEIR_USAGE, "%s",
                     bad[i]);
}

static void expect_path(const char *transform, struct weir_vector values, const char *want)
{
    char *got;
    cr_assert_eq(weir_transform_path_text(&arena, transform, &values, 0, &got, &error), WEIR_OK,
                 "%s", error.text);
    cr_assert_str_eq(got, want);
}

Test(transform, path_texts)
{
    uint8_t bits[64] = {0};
    expect_path("day", DATE(20780), "2026-11-23");
    expect_path("month", INT(-1), "1969-12");
    expect_path("month", INT(575), "2017-12");
    expect_path("year", INT(47), "2017");
    expect_path("hour", INT(420034), "2017-12-01-10");
    expect_path("hour", INT(-1), "1969-12-31-23");
    expect_path("bucket[16]", INT(7), "7");
    expect_path("identity", text(WEIR_STRING, "a b/c=\303\274", 8), "a%20b%2Fc%3D%C3%BC");
    expect_path("identity", DECIMAL(-1420), "-14.20");
    expect_path("truncate[2]", text(WEIR_BINARY, "\xff\xff", 2), "%2F%2F8%3D");
    struct weir_vector null = INT(3);
    null.validity = bits;
    null.null_count = 1;
    expect_path("day", null, "null");
    expect_path("void", INT(3), "null");
}

static void expect_binary(struct weir_vector values, const void *want, size_t size)
{
    struct weir_bytes got;
    cr_assert_eq(weir_value_binary(&arena, &values, 0, &got, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(got.size, size, "%zu bytes", got.size);
    cr_assert_eq(memcmp(got.data, want, size), 0);
}

Test(transform, single_values_of_appendix_d)
{
    struct weir_bytes got;
    uint8_t bits[64] = {0};
    expect_binary(INT(-2), "\xfe\xff\xff\xff", 4);
    expect_binary(LONG(1), "\1\0\0\0\0\0\0\0", 8);
    expect_binary(DECIMAL(1420), "\x05\x8c", 2);
    expect_binary(DECIMAL(-1), "\xff", 1);
    expect_binary(DECIMAL(0), "\0", 1);
    expect_binary(DECIMAL(128), "\0\x80", 2);
    expect_binary(DECIMAL(-128), "\x80", 1);
    expect_binary(text(WEIR_STRING, "", 0), "", 0);
    struct weir_vector null = text(WEIR_STRING, "", 0);
    cr_assert_eq(weir_value_binary(&arena, &null, 0, &got, &error), WEIR_OK);
    cr_assert_not_null(got.data, "empty is not null");
    null.validity = bits;
    cr_assert_eq(weir_value_binary(&arena, &null, 0, &got, &error), WEIR_OK);
    cr_assert_null(got.data);
}

Test(transform, decimals_there_and_back)
{
    static const int64_t numbers[] = {0,    1,     -1,    127,       128,      -128,
                                      -129, 32767, 32768, INT64_MAX, INT64_MIN};
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int shift = 0; shift < 64; shift += 21) {
            weir_int128 value = (weir_int128)numbers[i] * ((weir_int128)1 << shift);
            size_t size = value_decimal_bytes(value, bytes);
            cr_assert(value_decimal(bytes + 16 - size, size) == value);
        }
    cr_assert_eq(value_decimal_width(9), 4);
    cr_assert_eq(value_decimal_width(10), 5);
    cr_assert_eq(value_decimal_width(38), 16);
}

static void expect_parse(const char *spelling, const char *transform, const char *path,
                         const char *name)
{
    char *got_transform, *got_path, *got_name;
    cr_assert_eq(
        weir_transform_parse(&arena, spelling, &got_transform, &got_path, &got_name, &error),
        WEIR_OK, "%s", error.text);
    cr_assert_str_eq(got_transform, transform);
    cr_assert_str_eq(got_path, path);
    cr_assert_str_eq(got_name, name);
}

Test(transform, spellings_of_the_pipeline_file)
{
    char *a, *b, *c;
    static const char *const bad[] = {"",           "nights(x)",      "days()",      "days(x",
                                      "bucket(x)",  "bucket(0, x)",   "bucket(4 x)", "days(x))",
                                      "days(a, b)", "truncate(-1, x)"};
    expect_parse("days(collected_at)", "day", "collected_at", "collected_at_day");
    expect_parse(" hour ( at ) ", "hour", "at", "at_hour");
    expect_parse("bucket(16, device_id)", "bucket[16]", "device_id", "device_id_bucket");
    expect_parse("truncate(4,site)", "truncate[4]", "site", "site_trunc");
    expect_parse("tenant_id", "identity", "tenant_id", "tenant_id");
    expect_parse("identity(cpu.model)", "identity", "cpu.model", "cpu.model");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(weir_transform_parse(&arena, bad[i], &a, &b, &c, &error), WEIR_USAGE, "%s",
                     bad[i]);
}
