/* JSON to columns, by tables: what is taken and as what, what is refused, why and where. */
#include "tests/unit/json/json_help.h"

#include "engine/base/limits.h"

/* ---- good records ---------------------------------------------------------------------------- */

static const struct {
    const char *type, *record, *row;
} good[] = {
    {"struct<a: string>", "{\"a\":\"x\"}", "{\"a\":\"x\"}"},
    {"struct<a: string>", " \t\r\n{ \"a\" \n:\t\"x\" } \n", "{\"a\":\"x\"}"},
    {"struct<a: string>", "{}", "{\"a\":null}"},
    {"struct<a: string>", "{\"a\":null}", "{\"a\":null}"},
    {"struct<a: string>", "{\"a\":\"\"}", "{\"a\":\"\"}"},
    {"struct<a: string>", "{\"b\":[1,{\"c\":[]},{}],\"a\":\"x\",\"z\":{\"q\":\"\\u00e9\"}}",
     "{\"a\":\"x\"}"},
    {"struct<a: string>", "{\"\\u0061\":\"x\"}", "{\"a\":\"x\"}"},
    {"struct<a: string>", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
     "{\"a\":\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\"}"},
    {"struct<a: string>", "{\"a\":\"\\u00e9\\u6771\\ud83d\\ude80\"}", "{\"a\":\"é東🚀\"}"},
    {"struct<a: string>", "{\"a\":\"Zürich 東京 🚀\"}", "{\"a\":\"Zürich 東京 🚀\"}"},
    {"struct<a: string>",
     "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789é\"}",
     "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789é\"}"},
    {"struct<a: string>", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\u0000\"}"},
    {"struct<a: string, b: string>", "{\"b\":\"2\",\"a\":\"1\"}", "{\"a\":\"1\",\"b\":\"2\"}"},
    {"struct<a_key_that_is_much_longer_than_thirty_two_bytes: int, "
     "a_key_that_is_much_longer_than_thirty_two_byteS: int>",
     "{\"a_key_that_is_much_longer_than_thirty_two_byteS\":2,\"a_key_that_is_much_longer_than_"
     "thirty_two_bytes\":1}",
     "{\"a_key_that_is_much_longer_than_thirty_two_bytes\":1,\"a_key_that_is_much_longer_than_"
     "thirty_two_byteS\":2}"},
    {"struct<a: boolean, b: boolean>", "{\"a\":true,\"b\":false}", "{\"a\":true,\"b\":false}"},
    {"struct<a: int>", "{\"a\":-2147483648}", "{\"a\":-2147483648}"},
    {"struct<a: int>", "{\"a\":1.0}", "{\"a\":1}"},
    {"struct<a: int>", "{\"a\":1e3}", "{\"a\":1000}"},
    {"struct<a: int>", "{\"a\":-0}", "{\"a\":0}"},
    {"struct<a: long>", "{\"a\":9007199254740993}", "{\"a\":9007199254740993}"},
    {"struct<a: long>", "{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}"},
    {"struct<a: long>", "{\"a\":9223372036854775807 }", "{\"a\":9223372036854775807}"},
    {"struct<a: double>", "{\"a\":0.1}", "{\"a\":0.1}"},
    {"struct<a: double>", "{\"a\":-0.0}", "{\"a\":-0}"},
    {"struct<a: double>", "{\"a\":1}", "{\"a\":1}"},
    {"struct<a: double>", "{\"a\":123456789012345678901234567890}",
     "{\"a\":1.2345678901234568e29}"},
    {"struct<a: double>", "{\"a\":1.7976931348623157E+308}", "{\"a\":1.7976931348623157e308}"},
    {"struct<a: double>", "{\"a\":1e-400}", "{\"a\":0}"},
    {"struct<a: double>", "{\"a\":9007199254740993}", "{\"a\":9007199254740992}"},
    {"struct<a: float>", "{\"a\":0.1}", "{\"a\":0.1}"},
    {"struct<a: float>", "{\"a\":16777217}", "{\"a\":16777216}"},
    {"struct<a: decimal(9,2)>", "{\"a\":1.5}", "{\"a\":1.50}"},
    {"struct<a: decimal(38,0)>", "{\"a\":99999999999999999999999999999999999999}",
     "{\"a\":99999999999999999999999999999999999999}"},
    {"struct<a: decimal(3,1)>", "{\"a\":-1e1}", "{\"a\":-10.0}"},
    {"struct<a: date>", "{\"a\":\"2024-02-29\"}", "{\"a\":\"2024-02-29\"}"},
    {"struct<a: time>", "{\"a\":\"12:00:00.5\"}", "{\"a\":\"12:00:00.5\"}"},
    {"struct<a: timestamp>", "{\"a\":\"2024-02-29 01:02:03\"}", "{\"a\":\"2024-02-29T01:02:03\"}"},
    {"struct<a: timestamptz>", "{\"a\":\"2024-02-29T01:02:03.123456+02:00\"}",
     "{\"a\":\"2024-02-28T23:02:03.123456Z\"}"},
    {"struct<a: timestamptz>", "{\"a\":\"2024-02-29T01:02:03\\u005a\"}",
     "{\"a\":\"2024-02-29T01:02:03Z\"}"},
    {"struct<a: uuid>", "{\"a\":\"123E4567-e89b-12d3-a456-426614174000\"}",
     "{\"a\":\"123e4567-e89b-12d3-a456-426614174000\"}"},
    {"struct<a: binary>", "{\"a\":\"Zm9vYg==\"}", "{\"a\":\"Zm9vYg==\"}"},
    {"struct<a: binary>", "{\"a\":\"\"}", "{\"a\":\"\"}"},
    {"struct<a: fixed(4)>", "{\"a\":\"Zm9vYg\"}", "{\"a\":\"Zm9vYg==\"}"},
    {"struct<a: struct<b: int, c: struct<d: string>>>", "{\"a\":{\"c\":{\"d\":\"x\"},\"b\":1}}",
     "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}}}"},
    {"struct<a: struct<b: int required>>", "{\"a\":null}", "{\"a\":null}"},
    {"struct<a: list<int>>", "{\"a\":[]}", "{\"a\":[]}"},
    {"struct<a: list<int>>", "{\"a\":[1 , null,3]}", "{\"a\":[1,null,3]}"},
    {"struct<a: list<list<struct<b: string>>>>", "{\"a\":[[{\"b\":\"x\"},null],[],null]}",
     "{\"a\":[[{\"b\":\"x\"},null],[],null]}"},
    {"struct<a: map<string, long>>", "{\"a\":{}}", "{\"a\":{}}"},
    {"struct<a: map<string, long>>", "{\"a\":{\"x\":1,\"\\u0079\":null}}",
     "{\"a\":{\"x\":1,\"y\":null}}"},
    {"struct<a: map<int, string>>", "{\"a\":{\"1\":\"x\",\"-2\":\"y\"}}",
     "{\"a\":{\"1\":\"x\",\"-2\":\"y\"}}"},
    {"struct<a: map<date, map<string, int>>>",
     "{\"a\":{\"2024-01-01\":{\"x\":1},\"2024-01-02\":{}}}",
     "{\"a\":{\"2024-01-01\":{\"x\":1},\"2024-01-02\":{}}}"},
    /* repeated keys: the last one wins, whatever came before */
    {"struct<a: string>", "{\"a\":\"x\",\"a\":\"yy\"}", "{\"a\":\"yy\"}"},
    {"struct<a: string>", "{\"a\":\"x\",\"a\":null}", "{\"a\":null}"},
    {"struct<a: int>", "{\"a\":\"x\",\"a\":5}", "{\"a\":5}"},
    {"struct<a: int required>", "{\"a\":null,\"a\":5}", "{\"a\":5}"},
    {"struct<a: int, b: int>", "{\"a\":1,\"b\":2,\"a\":3,\"b\":4}", "{\"a\":3,\"b\":4}"},
    {"struct<a: struct<b: int, c: list<string>>>",
     "{\"a\":{\"b\":1,\"c\":[\"x\",\"y\"]},\"a\":{\"c\":[\"z\"]}}",
     "{\"a\":{\"b\":null,\"c\":[\"z\"]}}"},
    {"struct<a: struct<b: int>>", "{\"a\":{\"b\":\"x\"},\"a\":{\"b\":2}}", "{\"a\":{\"b\":2}}"},
    {"struct<a: list<struct<b: int>>>", "{\"a\":[{\"b\":1},{\"b\":2}],\"a\":[{\"b\":3}]}",
     "{\"a\":[{\"b\":3}]}"},
    {"struct<a: list<struct<b: int, c: string>>>",
     "{\"a\":[{\"b\":1,\"b\":2,\"c\":\"x\"},{\"c\":\"y\",\"b\":3,\"c\":\"z\"}]}",
     "{\"a\":[{\"b\":2,\"c\":\"x\"},{\"b\":3,\"c\":\"z\"}]}"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\":1,\"y\":2,\"x\":3}}",
     "{\"a\":{\"y\":2,\"x\":3}}"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\":\"bad\",\"x\":3}}", "{\"a\":{\"x\":3}}"},
    {"struct<a: map<long, int>>", "{\"a\":{\"1\":1,\"1.0\":2}}", "{\"a\":{\"1\":2}}"},
    {"struct<a: map<string, map<string, int>>>",
     "{\"a\":{\"x\":{\"p\":1,\"p\":2},\"y\":{\"q\":3},\"x\":{\"r\":4,\"r\":5}}}",
     "{\"a\":{\"y\":{\"q\":3},\"x\":{\"r\":5}}}"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
};

Test(json_decode, good_records)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct bench bench;
        bench_open(&bench, good[i].type, NULL);
        bench_one(&bench, good[i].record, strlen(good[i].record));
        cr_assert_eq(bench.decoded.refusal_count, 0, "%s: %s", good[i].record,
                     bench.decoded.refusal_count ? bench.decoded.refusals[0].message : "");
        cr_assert_str_eq((char *)bench.text.data, good[i].row, "%s", good[i].record);
        bench_close(&bench);
    }
}

/* ---- bad records ----------------------------------------------------------------------------- */

#define WHOLE UINT32_MAX

static const struct {
    const char *type, *record;
    enum weir_reason reason;
    uint32_t position;
    const char *says; /* part of the message */
} bad[] = {
    {"struct<a: int>", "", WEIR_REASON_EMPTY, WHOLE, "empty"},
    {"struct<a: int>", " \n\t", WEIR_REASON_EMPTY, WHOLE, "empty"},
    {"struct<a: int>", "[]", WEIR_REASON_TYPE, 0, "an object"},
    {"struct<a: int>", "\"x\"", WEIR_REASON_TYPE, 0, "found a string"},
    {"struct<a: int>", " 12", WEIR_REASON_TYPE, 1, "found a number"},
    {"struct<a: int>", "null", WEIR_REASON_TYPE, 0, "found null"},
    {"struct<a: int>", "[", WEIR_REASON_SYNTAX, 1, "cut off"},
    {"struct<a: int>", "hello", WEIR_REASON_SYNTAX, 0, "want a value"},
    {"struct<a: int>", "{\"a\":1", WEIR_REASON_SYNTAX, 6, "cut off"},
    {"struct<a: int>", "{\"a\":1]", WEIR_REASON_SYNTAX, 6, "comma or }"},
    {"struct<a: int>", "{\"a\":1}x", WEIR_REASON_SYNTAX, 7, "found more"},
    {"struct<a: int>", "{\"a\":1}{\"a\":2}", WEIR_REASON_SYNTAX, 7, "found more"},
    {"struct<a: int>", "{\"a\":1,}", WEIR_REASON_SYNTAX, 7, "a key"},
    {"struct<a: int>", "{,\"a\":1}", WEIR_REASON_SYNTAX, 1, "a key"},
    {"struct<a: int>", "{\"a\" 1}", WEIR_REASON_SYNTAX, 5, "a colon"},
    {"struct<a: int>", "{\"a\":}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: int>", "{a:1}", WEIR_REASON_SYNTAX, 1, "a key"},
    {"struct<a: int>", "{'a':1}", WEIR_REASON_SYNTAX, 1, "a key"},
    {"struct<a: int>", "{\"a\":01}", WEIR_REASON_SYNTAX, 6, "comma or }"},
    {"struct<a: int>", "{\"a\":+1}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: int>", "{\"a\":1.}", WEIR_REASON_SYNTAX, 5, "a number"},
    {"struct<a: double>", "{\"a\":.5}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: double>", "{\"a\":-}", WEIR_REASON_SYNTAX, 5, "a number"},
    {"struct<a: double>", "{\"a\":1e}", WEIR_REASON_SYNTAX, 5, "a number"},
    {"struct<a: double>", "{\"a\":NaN}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: int>", "{\"a\":nul}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: boolean>", "{\"a\":truth}", WEIR_REASON_SYNTAX, 5, "a value"},
    {"struct<a: boolean>", "{\"a\":truely}", WEIR_REASON_SYNTAX, 9, "comma or }"},
    {"struct<a: string>", "{\"a\":\"x", WEIR_REASON_SYNTAX, 7, "cut off"},
    {"struct<a: string>", "{\"a\":\"x\\", WEIR_REASON_SYNTAX, 8, "cut off"},
    {"struct<a: string>", "{\"a\":\"\\x\"}", WEIR_REASON_SYNTAX, 6, "no such escape"},
    {"struct<a: string>", "{\"a\":\"\\u12g4\"}", WEIR_REASON_SYNTAX, 6, "four hex digits"},
    {"struct<a: string>", "{\"a\":\"..\\ud800\"}", WEIR_REASON_SYNTAX, 8, "surrogate"},
    {"struct<a: string>", "{\"a\":\"\\ude00\\ud800\"}", WEIR_REASON_SYNTAX, 6, "surrogate"},
    {"struct<a: string>", "{\"a\":\"\\ud800\\u0041\"}", WEIR_REASON_SYNTAX, 6, "surrogate"},
    {"struct<a: string>", "{\"a\":\"x\ny\"}", WEIR_REASON_SYNTAX, 7, "control character"},
    {"struct<a: string>", "{\"a\":\"ab\xff\"}", WEIR_REASON_ENCODING, 8, "UTF-8"},
    {"struct<a: string>", "{\"a\":\"\\n\xc0\xaf\"}", WEIR_REASON_ENCODING, 8, "UTF-8"},
    {"struct<a: string>", "{\"b\":\"\xed\xa0\x80\"}", WEIR_REASON_ENCODING, 6, "UTF-8"},
    {"struct<a: string>", "{\"\x80\":1}", WEIR_REASON_ENCODING, 2, "UTF-8"},
    {"struct<a: string>", "{\"b\":\"\\ud800\"}", WEIR_REASON_SYNTAX, 6, "surrogate"},
    {"struct<a: string>", "\xef\xbb\xbf{}", WEIR_REASON_SYNTAX, 0, "a value"},
    {"struct<a: int>", "{\"a\":\"1\"}", WEIR_REASON_TYPE, 5, "a: want int, found a string"},
    {"struct<a: string>", "{\"a\":1}", WEIR_REASON_TYPE, 5, "a: want string, found a number"},
    {"struct<a: string>", "{\"a\":true}", WEIR_REASON_TYPE, 5, "found a boolean"},
    {"struct<a: boolean>", "{\"a\":1}", WEIR_REASON_TYPE, 5, "want boolean, found a number"},
    {"struct<a: boolean>", "{\"a\":\"true\"}", WEIR_REASON_TYPE, 5, "found a string"},
    {"struct<a: int>", "{\"a\":[1]}", WEIR_REASON_TYPE, 5, "found an array"},
    {"struct<a: list<int>>", "{\"a\":1}", WEIR_REASON_TYPE, 5,
     "want list (an array), found a number"},
    {"struct<a: struct<b: int>>", "{\"a\":[]}", WEIR_REASON_TYPE, 5,
     "want struct (an object), found an array"},
    {"struct<a: map<string, int>>", "{\"a\":[]}", WEIR_REASON_TYPE, 5,
     "want map (an object), found an array"},
    {"struct<a: int>", "{\"a\":1.5}", WEIR_REASON_TYPE, 5, "a fraction"},
    {"struct<a: int>", "{\"a\":2147483648}", WEIR_REASON_RANGE, 5, "a: does not fit int"},
    {"struct<a: int>", "{\"a\":99999999999999999999}", WEIR_REASON_RANGE, 5, "does not fit int"},
    {"struct<a: long>", "{\"a\":9223372036854775808}", WEIR_REASON_RANGE, 5, "does not fit long"},
    {"struct<a: long>", "{\"a\":1e400}", WEIR_REASON_RANGE, 5, "does not fit long"},
    {"struct<a: double>", "{\"a\":1e400}", WEIR_REASON_RANGE, 5, "does not fit double"},
    {"struct<a: float>", "{\"a\":3.5e38}", WEIR_REASON_RANGE, 5, "does not fit float"},
    {"struct<a: decimal(4,2)>", "{\"a\":123.4}", WEIR_REASON_RANGE, 5, "decimal(4,2)"},
    {"struct<a: decimal(4,2)>", "{\"a\":1.234}", WEIR_REASON_RANGE, 5, "decimal(4,2)"},
    {"struct<a: decimal(4,2)>", "{\"a\":\"1.23\"}", WEIR_REASON_TYPE, 5, "found a string"},
    {"struct<a: date>", "{\"a\":\"2023-02-29\"}", WEIR_REASON_RANGE, 5, "impossible"},
    {"struct<a: date>", "{\"a\":\"yesterday\"}", WEIR_REASON_TYPE, 5, "ISO 8601"},
    {"struct<a: date>", "{\"a\":19000}", WEIR_REASON_TYPE, 5, "want date, found a number"},
    {"struct<a: time>", "{\"a\":\"25:00:00\"}", WEIR_REASON_RANGE, 5, "impossible"},
    {"struct<a: timestamptz>", "{\"a\":\"2025-13-45T99:00:00Z\"}", WEIR_REASON_RANGE, 5,
     "impossible"},
    {"struct<a: timestamptz>", "{\"a\":\"2025-01-01T00:00:00\"}", WEIR_REASON_TYPE, 5,
     "without an offset"},
    {"struct<a: timestamp>", "{\"a\":\"2025-01-01T00:00:00Z\"}", WEIR_REASON_TYPE, 5,
     "with an offset"},
    {"struct<a: uuid>", "{\"a\":\"123e4567\"}", WEIR_REASON_TYPE, 5, "want uuid"},
    {"struct<a: binary>", "{\"a\":\"Zm9v!\"}", WEIR_REASON_TYPE, 5, "base64"},
    {"struct<a: fixed(4)>", "{\"a\":\"Zm9v\"}", WEIR_REASON_RANGE, 5,
     "want fixed(4), found base64 of 3 bytes"},
    {"struct<a: fixed(4)>", "{\"a\":\"????\"}", WEIR_REASON_TYPE, 5, "base64"},
    {"struct<a: int required>", "{}", WEIR_REASON_REQUIRED, 0, "a: required, but missing"},
    {"struct<a: int required>", "{\"a\":null}", WEIR_REASON_REQUIRED, 5, "a: required, but null"},
    {"struct<a: int required>", "{\"a\":1,\"a\":null}", WEIR_REASON_REQUIRED, 11,
     "a: required, but null"},
    {"struct<cpu: struct<usage_pct: double required>>", "{\"cpu\":{}}", WEIR_REASON_REQUIRED, 7,
     "cpu.usage_pct: required"},
    {"struct<a: list<int required>>", "{\"a\":[1,null]}", WEIR_REASON_REQUIRED, 8,
     "a[1]: required, but null"},
    {"struct<a: map<string, int required>>", "{\"a\":{\"x\":1,\"y\":null}}", WEIR_REASON_REQUIRED,
     16, "a[1].value: required, but null"},
    {"struct<disks: list<struct<free_gb: double>>>", "{\"disks\":[{},{},{\"free_gb\":\"x\"}]}",
     WEIR_REASON_TYPE, 27, "disks[2].free_gb: want double, found a string"},
    {"struct<a: map<int, int>>", "{\"a\":{\"1\":1,\"x\":2}}", WEIR_REASON_TYPE, 12,
     "a[1].key: want int as a key"},
    {"struct<a: map<string, list<int>>>", "{\"a\":{\"x\":[1,2,{}]}}", WEIR_REASON_TYPE, 15,
     "a[0].value[2]: want int, found an object"},
    /* the first wrong value in the record is told, and not JSON at all before any wrong value */
    {"struct<a: int, b: int>", "{\"b\":\"x\",\"a\":\"y\"}", WEIR_REASON_TYPE, 5, "b: want int"},
    {"struct<a: int>", "{\"a\":\"x\",\"b\":tru}", WEIR_REASON_SYNTAX, 13, "a value"},
    {"struct<a: struct<b: int>>", "{\"a\":{\"b\":\"x\", \"c\":}}", WEIR_REASON_SYNTAX, 19,
     "a value"},
    {"struct<a: int>", "{\"a\":5,\"a\":\"x\"}", WEIR_REASON_TYPE, 11, "a: want int"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\":1,\"x\":\"y\"}}", WEIR_REASON_TYPE, 16,
     "a[1].value: want int"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\":1,}}", WEIR_REASON_SYNTAX, 12, "a key"},
    {"struct<a: map<string, int>>", "{\"a\":{\"x\" 1}}", WEIR_REASON_SYNTAX, 10, "a colon"},
    {"struct<a: list<int>>", "{\"a\":[1,]}", WEIR_REASON_SYNTAX, 8, "a value"},
    {"struct<a: list<int>>", "{\"a\":[1 2]}", WEIR_REASON_SYNTAX, 8, "comma or ]"},
    {"struct<a: int>", "{\"b\":[1,]}", WEIR_REASON_SYNTAX, 8, "a value"},
    {"struct<a: int>", "{\"b\":{\"c\":1,}}", WEIR_REASON_SYNTAX, 12, "a key"},
    {"struct<a: int>", "{\"b\":[}", WEIR_REASON_SYNTAX, 6, "a value"},
};

Test(json_decode, bad_records)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct bench bench;
        bench_open(&bench, bad[i].type, NULL);
        bench_one(&bench, bad[i].record, strlen(bad[i].record));
        cr_assert_eq(bench.decoded.refusal_count, 1, "%s was taken: %s", bad[i].record,
                     (char *)bench.text.data);
        const struct weir_refusal *refusal = &bench.decoded.refusals[0];
        cr_assert_eq(refusal->reason, bad[i].reason, "%s: %s (%s)", bad[i].record,
                     weir_reason_name(refusal->reason), refusal->message);
        cr_assert_eq(refusal->position, bad[i].position, "%s: %u (%s)", bad[i].record,
                     refusal->position, refusal->message);
        cr_assert_not_null(strstr(refusal->message, bad[i].says), "%s: %s", bad[i].record,
                           refusal->message);
        bench_close(&bench);
    }
}

Test(json_decode, reasons_have_names)
{
    cr_assert_str_eq(weir_reason_name(WEIR_REASON_TOO_LARGE), "too_large");
    for (int i = 0; i < WEIR_REASON_COUNT; i++)
        cr_assert_not_null(weir_reason_name((enum weir_reason)i));
}

/* ---- times as numbers ------------------------------------------------------------------------ */

Test(json_decode, time_units)
{
    static const struct {
        const char *type;
        enum weir_time_unit unit;
        const char *record, *row; /* row NULL: refused */
        enum weir_reason reason;
    } cases[] = {
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":1}",
         "{\"a\":\"1970-01-01T00:00:01Z\"}", 0},
        {"struct<a: timestamptz>", WEIR_TIME_MILLIS, "{\"a\":-1}",
         "{\"a\":\"1969-12-31T23:59:59.999Z\"}", 0},
        {"struct<a: timestamptz>", WEIR_TIME_MICROS, "{\"a\":1.0}",
         "{\"a\":\"1970-01-01T00:00:00.000001Z\"}", 0},
        {"struct<a: timestamp>", WEIR_TIME_NANOS, "{\"a\":-1}",
         "{\"a\":\"1969-12-31T23:59:59.999999\"}", 0},
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":\"1970-01-01T00:00:01Z\"}",
         "{\"a\":\"1970-01-01T00:00:01Z\"}", 0},
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":1.5}", NULL, WEIR_REASON_TYPE},
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":1762128000000}", NULL,
         WEIR_REASON_RANGE},
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":9223372036854775807}", NULL,
         WEIR_REASON_RANGE},
        {"struct<a: timestamptz>", WEIR_TIME_SECONDS, "{\"a\":9223372036854775808}", NULL,
         WEIR_REASON_RANGE},
        {"struct<a: date>", WEIR_TIME_SECONDS, "{\"a\":172800}", "{\"a\":\"1970-01-03\"}", 0},
        {"struct<a: date>", WEIR_TIME_SECONDS, "{\"a\":172801}", NULL, WEIR_REASON_RANGE},
        {"struct<a: time>", WEIR_TIME_SECONDS, "{\"a\":86399}", "{\"a\":\"23:59:59\"}", 0},
        {"struct<a: time>", WEIR_TIME_SECONDS, "{\"a\":86400}", NULL, WEIR_REASON_RANGE},
        {"struct<a: time>", WEIR_TIME_SECONDS, "{\"a\":-1}", NULL, WEIR_REASON_RANGE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct weir_json_time time = {.field_id = 1, .unit = cases[i].unit};
        struct weir_json_options options = {.times = &time, .time_count = 1};
        struct bench bench;
        bench_open(&bench, cases[i].type, &options);
        bench_one(&bench, cases[i].record, strlen(cases[i].record));
        if (cases[i].row) {
            cr_assert_str_eq((char *)bench.text.data, cases[i].row, "case %zu", i);
        } else {
            cr_assert_eq(bench.decoded.refusal_count, 1, "case %zu", i);
            cr_assert_eq(bench.decoded.refusals[0].reason, cases[i].reason, "case %zu: %s", i,
                         bench.decoded.refusals[0].message);
        }
        bench_close(&bench);
    }
}

Test(json_decode, refused_schemas)
{
    static const struct weir_json_time time = {.field_id = 1, .unit = WEIR_TIME_SECONDS};
    static const struct weir_json_options options = {.times = &time, .time_count = 1};
    struct weir_field field = {.name = "a", .id = 1, .type = {.id = WEIR_STRING}};
    struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 1, .children = &field},
                     text = {.id = WEIR_STRING};
    struct weir_field entry[2] = {{.name = "key", .required = true, .type = {.id = WEIR_DOUBLE}},
                                  {.name = "value", .type = {.id = WEIR_INT}}};
    struct weir_json_decoder *decoder = NULL;
    struct weir_account account;
    weir_account_init(&account, NULL, "test", 0);

    cr_assert_eq(weir_json_decoder_new(&account, &schema, &options, &decoder, NULL), WEIR_USAGE);
    cr_assert_eq(weir_json_decoder_new(&account, &text, NULL, &decoder, NULL), WEIR_USAGE);
    field.type = (struct weir_type){.id = WEIR_MAP, .child_count = 2, .children = entry};
    cr_assert_eq(weir_json_decoder_new(&account, &schema, NULL, &decoder, NULL), WEIR_UNSUPPORTED);
    cr_assert_null(decoder);
    cr_assert_eq(account.used, 0);
    weir_json_decoder_free(NULL);
}

/* ---- unknown fields -------------------------------------------------------------------------- */

Test(json_decode, unknown_fields_quarantined)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_QUARANTINE};
    static const char record[] = "{\"a\":{\"b\":1, \"n\\u0065w\":2}}";
    struct bench bench;
    bench_open(&bench, "struct<a: struct<b: int>>", &options);
    bench_one(&bench, record, strlen(record));
    cr_assert_eq(bench.decoded.refusal_count, 1);
    cr_assert_eq(bench.decoded.refusals[0].reason, WEIR_REASON_UNKNOWN_FIELD);
    cr_assert_eq(bench.decoded.refusals[0].position, 13);
    cr_assert_str_eq(bench.decoded.refusals[0].message, "a: field \"new\" is not declared");
    bench_one(&bench, "{\"a\":{\"b\":1}}", 13);
    cr_assert_eq(bench.decoded.refusal_count, 0);
    bench_close(&bench);
}

static void decode_all(struct bench *bench, const char *const *records, size_t count)
{
    struct weir_bytes bytes[16];
    for (size_t i = 0; i < count; i++)
        bytes[i] = (struct weir_bytes){(const uint8_t *)records[i], strlen(records[i])};
    bench_decode(bench, bytes, (uint32_t)count);
}

static const char *const evolving[] = {
    "{\"a\":{\"b\":1,\"n\":2},\"d\":[{\"x\":\"2024-01-01\"}]}",
    "{\"a\":{\"n\":2.5},\"e\":null,\"f\":{\"g\":[true]},\"d\":[{\"y\":1},{\"x\":\"2024-01-02\"}]}",
    "{\"e\":\"text\",\"mixed\":1,\"null\":null,\"empty\":{\"in\":[{}]}}",
    "{\"mixed\":\"text\",\"wide\":12345678901234567890}",
    "{\"mixed\":\"more text\",\"wide\":1}",
};
static const char evolved[] =
    "struct<a:struct<b:int, n:double>, d:list<struct<z:int, x:string, y:long>>, e:string, "
    "f:struct<g:list<boolean>>, mixed:string, wide:decimal(38,0)>";

Test(json_decode, unknown_fields_evolve)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    struct weir_arena arena;
    /* however the records are dealt out to two decoders */
    for (size_t half = 0; half <= COUNT(evolving); half++) {
        struct bench one, two;
        struct weir_type type;
        bench_open(&one, "struct<a: struct<b: int>, d: list<struct<z: int>>>", &options);
        bench_open(&two, "struct<a: struct<b: int>, d: list<struct<z: int>>>", &options);
        decode_all(&one, evolving, half);
        decode_all(&two, evolving + half, COUNT(evolving) - half);
        cr_assert_eq(one.decoded.refusal_count + two.decoded.refusal_count, 0);
        weir_arena_init(&arena, NULL);
        struct weir_json_decoder *decoders[] = {one.decoder, two.decoder};
        cr_assert_eq(weir_json_evolved(decoders, 2, &arena, &type, NULL), WEIR_OK);
        weir_buffer_clear(&one.text);
        cr_assert_eq(weir_type_print(&type, &one.text, NULL), WEIR_OK);
        cr_assert_str_eq((char *)one.text.data, evolved, "%zu", half);
        weir_arena_done(&arena);
        bench_close(&one);
        bench_close(&two);
    }
}

/* Forty keys here and forty others there are a map, as eighty at once are. */
Test(json_decode, evolved_maps_meet)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_EVOLVE};
    struct bench benches[2];
    struct weir_json_decoder *decoders[2];
    struct weir_arena arena;
    struct weir_type type;
    for (int b = 0; b < 2; b++) {
        char text[2000];
        const char *record = text;
        int size = snprintf(text, sizeof text, "{\"m\":{\"k\":1");
        for (int i = 0; i < 40; i++)
            size += snprintf(text + size, sizeof text - (size_t)size, ",\"%c%d\":%d", 'a' + b, i,
                             i);
        snprintf(text + size, sizeof text - (size_t)size, "}}");
        bench_open(&benches[b], "struct<z: int>", &options);
        decode_all(&benches[b], &record, 1);
        decoders[b] = benches[b].decoder;
    }
    weir_arena_init(&arena, NULL);
    cr_assert_eq(weir_json_evolved(decoders, 2, &arena, &type, NULL), WEIR_OK);
    weir_buffer_clear(&benches[0].text);
    cr_assert_eq(weir_type_print(&type, &benches[0].text, NULL), WEIR_OK);
    cr_assert_str_eq((char *)benches[0].text.data, "struct<z:int, m:map<string, long>>");
    weir_arena_done(&arena);
    bench_close(&benches[0]);
    bench_close(&benches[1]);
}

Test(json_decode, unknown_fields_marked)
{
    static const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_MARK};
    static const char *const records[] = {
        "{\"a\":1}",
        "{\"a\":1,\"x\":2,\"y\":3}",
        "{\"a\":\"wrong\",\"x\":2}",
        "{\"x\":null,\"y\":{},\"z\":[[],{\"k\":null},null]}",
        "{\"z\":[[],{\"k\":\"\"}]}",
        "{\"a\":\"wrong\",\"\\u0001\\\\\":false,\"a\":1}",
    };
    struct bench bench;
    size_t count;
    bench_open(&bench, "struct<a: int>", &options);
    decode_all(&bench, records, COUNT(records));
    cr_assert_eq(bench.decoded.refusal_count, 1);
    const struct weir_json_mark *marks = weir_json_marks(bench.decoder, &count);
    cr_assert_eq(count, 3);
    cr_assert_eq(marks[0].record, 1);
    cr_assert_eq(marks[0].position, 7);
    cr_assert_str_eq(marks[0].name, "x");
    cr_assert_eq(marks[1].record, 4);
    cr_assert_str_eq(marks[1].name, "z");
    cr_assert_eq(marks[2].record, 5);
    cr_assert_str_eq(marks[2].name, "?\\");
    bench_close(&bench);
}

/* ---- batches --------------------------------------------------------------------------------- */

Test(json_decode, bad_records_cost_only_themselves)
{
    /* every bad record of the table between two good ones; the batch is as if it had not been there
     */
    static const char type[] = "struct<a: string, b: list<struct<c: int, d: map<string, string>>>, "
                               "e: struct<f: double required>>";
    static const char *const records[] = {
        "{\"a\":\"one\",\"b\":[{\"c\":1,\"d\":{\"x\":\"y\"}}],\"e\":{\"f\":1}}",
        "{\"a\":\"bad\",\"b\":[{\"c\":1,\"d\":{\"x\":\"y\"}},{\"c\":\"no\"}],\"e\":{\"f\":2}}",
        "{\"a\":\"bad\",\"b\":[{\"c\":1,\"d\":{\"x\":\"y\", \"z\"",
        "{\"a\":\"two\",\"e\":null}",
        "",
        "{\"a\":null,\"b\":[null,{\"d\":{\"x\":null}}],\"e\":{\"f\":null}}",
        "{\"b\":[],\"a\":\"three\"}",
        "{\"e\":{\"f\":5},\"e\":{}}",
    };
    struct weir_bytes bytes[COUNT(records)];
    struct bench bench;
    bench_open(&bench, type, NULL);
    for (size_t i = 0; i < COUNT(records); i++)
        bytes[i] = (struct weir_bytes){(const uint8_t *)records[i], strlen(records[i])};
    for (int round = 0; round < 2; round++) { /* a decoder is used again and again */
        bench_decode(&bench, bytes, COUNT(records));
        cr_assert_str_eq((char *)bench.text.data,
                         "{\"a\":\"one\",\"b\":[{\"c\":1,\"d\":{\"x\":\"y\"}}],\"e\":{\"f\":1}}\n"
                         "{\"a\":\"two\",\"b\":null,\"e\":null}\n"
                         "{\"a\":\"three\",\"b\":[],\"e\":null}");
        static const uint32_t sources[] = {0, 3, 6}, refused[] = {1, 2, 4, 5, 7};
        cr_assert_eq(memcmp(bench.decoded.source, sources, sizeof sources), 0);
        for (size_t i = 0; i < COUNT(refused); i++)
            cr_assert_eq(bench.decoded.refusals[i].record, refused[i]);
        cr_assert_eq(bench.decoded.batch.columns[1].null_count, 1);
        cr_assert_null(bench.decoded.batch.columns[0].validity);
        cr_assert_eq(bench.decoded.batch.columns[1].children[0].count, 1,
                     "elements of refused records are gone");
        cr_assert_eq(bench.decoded.batch.columns[2].count, 3);
    }
    bench_close(&bench);
}

Test(json_decode, null_records_and_empty_calls)
{
    struct weir_bytes record = {NULL, 0};
    struct bench bench;
    bench_open(&bench, "struct<a: int>", NULL);
    bench_decode(&bench, &record, 1);
    cr_assert_eq(bench.decoded.refusals[0].reason, WEIR_REASON_NULL);
    bench_decode(&bench, NULL, 0);
    cr_assert_eq(bench.decoded.batch.count, 0);
    bench_close(&bench);
}

Test(json_decode, no_columns)
{
    struct bench bench;
    struct weir_type nothing = {.id = WEIR_STRUCT};
    bench_open(&bench, "struct<a: int>", NULL);
    weir_json_decoder_free(bench.decoder);
    cr_assert_eq(weir_json_decoder_new(&bench.account, &nothing, NULL, &bench.decoder, NULL),
                 WEIR_OK);
    bench_one(&bench, "{\"a\":{\"b\":1},\"\":2}", 18);
    cr_assert_eq(bench.decoded.batch.count, 1);
    bench_close(&bench);
}

Test(json_decode, many_rows_grow_columns)
{
    struct bench bench;
    static char text[4096];
    struct weir_bytes *records = malloc(5000 * sizeof *records);
    size_t elements = 0;
    bench_open(&bench, "struct<a: list<struct<s: string, b: boolean>>, n: int>", NULL);
    for (int i = 0; i < 5000; i++) {
        size_t size = (size_t)sprintf(text, "{\"n\":%d,\"a\":[", i);
        for (int j = 0; j < i % 13; j++)
            size += (size_t)sprintf(text + size, "%s{\"s\":\"%d.%d\",\"b\":%s}", j ? "," : "", i, j,
                                    j % 3 ? "true" : "false");
        size += (size_t)sprintf(text + size, "]}");
        records[i] = exact_copy(text, size);
        elements += (size_t)(i % 13);
    }
    bench_decode(&bench, records, 5000);
    cr_assert_eq(bench.decoded.batch.columns[0].children[0].count, elements);
    const char *line = (const char *)bench.text.data;
    for (int i = 0; i < 5000; i++) {
        size_t size = (size_t)sprintf(text, "{\"a\":[");
        for (int j = 0; j < i % 13; j++)
            size += (size_t)sprintf(text + size, "%s{\"s\":\"%d.%d\",\"b\":%s}", j ? "," : "", i, j,
                                    j % 3 ? "true" : "false");
        size += (size_t)sprintf(text + size, "],\"n\":%d}", i);
        cr_assert_eq(memcmp(line, text, size), 0, "row %d", i);
        line += size + 1;
        free((void *)records[i].data);
    }
    free(records);
    bench_close(&bench);
}

Test(json_decode, memory_limit_is_a_status)
{
    struct bench bench;
    struct weir_error error = {0};
    bench_open(&bench, "struct<a: string>", NULL);
    size_t size = 1 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + size - 2, "\"}", 2);
    struct weir_bytes record = {(const uint8_t *)text, size};
    bench.account.limit = 3 << 19;
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, &error),
                 WEIR_NO_MEMORY);
    cr_assert_neq(error.text[0], '\0');
    bench.account.limit = 0;
    weir_arena_reset(&bench.arena);
    cr_assert_eq(weir_json_decode(bench.decoder, &record, 1, &bench.arena, &bench.decoded, &error),
                 WEIR_OK);
    cr_assert_eq(bench.decoded.batch.count, 1);
    free(text);
    bench_close(&bench);
}
