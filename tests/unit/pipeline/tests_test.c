/* Files of model tests: what they become, rows as JSON by the columns' types, errors with their
 * place. */
#include "scheduler/pipeline/tests.h"
#include "tests/unit/pipeline/help.h"

static struct weir_pipeline *pipeline;
static struct weir_model_tests *tests;

static void setup(void)
{
    help_setup();
    write_bytes("m.sql", "SELECT a FROM bronze.t", 22);
    pipeline = read_good(GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS
                         "  silver.m: {sql: m.sql, mode: merge, unique_key: a, expect: [{name: "
                         "low, that: a < 9}]}\n  silver.v: {sql: m.sql, mode: view}\n");
    tests = NULL;
}

static void teardown(void)
{
    weir_tests_free(tests);
    weir_pipeline_free(pipeline);
    cr_expect_eq(atomic_load(&context.memory.used), 0);
    help_teardown();
}
TestSuite(model_tests, .init = setup, .fini = teardown);

static void read_tests(const char *text)
{
    static const char *const files[] = {"t.yaml"};
    weir_tests_free(tests);
    tests = NULL;
    write_bytes("t.yaml", text, strlen(text));
    cr_assert_eq(weir_tests_read(&context, pipeline, files, 1, &tests, &last_error), WEIR_OK, "%s",
                 last_error.text);
}

static const char *problems(void)
{
    reported[0] = 0;
    (void)!weir_tests_problems(tests, collect, NULL, &last_error);
    return reported;
}

static void expect_problem(const char *text, const char *wanted)
{
    read_tests(text);
    cr_expect_not_null(strstr(problems(), wanted), "%s\nnot in:\n%s", wanted, reported);
}

Test(model_tests, steps)
{
    read_tests("tests:\n"
               "  - {name: one, model: silver.m, now: 2026-01-01T00:00:01Z, given: {bronze.t: [{a: "
               "1}]}, expect: {rows: [], tolerance: 0.5}}\n"
               "  - name: two\n    model: silver.m\n    now: 2026-01-01T01:00:00+01:00\n    "
               "existing: {file: x.csv}\n    steps:\n      - {gates: low}\n"
               "      - {now: 2026-01-02T00:00:00Z, gates: [], expect: {csv: \"a\\n\"}}\n");
    cr_assert_str_empty(problems());
    cr_assert_eq(tests->count, 2);
    const struct weir_model_test *one = &tests->tests[0], *two = &tests->tests[1];
    cr_expect_str_eq(one->name, "one");
    cr_expect_str_eq(one->location, "t.yaml:2:5");
    cr_assert_eq(one->step_count, 1);
    cr_expect_eq(one->steps[0].now_ms, 1767225601000);
    cr_expect_eq(one->steps[0].tolerance, 0.5);
    cr_expect(!one->steps[0].has_gates && one->steps[0].has_expect && !one->has_existing);
    cr_expect_str_eq(one->steps[0].given[0].table, "bronze.t");
    cr_assert_eq(two->step_count, 2);
    cr_expect(two->has_existing && two->existing.file && !two->existing.rows);
    cr_expect_eq(two->steps[0].now_ms, 1767225600000);
    cr_expect_eq(two->steps[1].now_ms, 1767312000000);
    cr_assert(two->steps[0].gate_count == 1 && two->steps[1].has_gates);
    cr_expect_eq(two->steps[1].gate_count, 0);
    cr_expect_str_eq(two->steps[1].expect.csv, "a\n");
}

Test(model_tests, json)
{
    struct weir_arena arena;
    struct weir_type type;
    WEIR_AUTO(weir_buffer) out = {.account = &context.memory};
    uint8_t named[8] = {0};
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(weir_type_parse(&arena,
                                 "struct<s:string, b:boolean, n:long, d:decimal(30,2), "
                                 "l:list<struct<x:int>>, m:map<string, string>, u:string>",
                                 &type, NULL),
                 WEIR_OK);
    read_tests("tests: [{name: a, model: silver.m, expect: [{s: 007, b: True, n: '12', d: "
               "1234567890123456789012.50, l: [{x: 1}, {}, ~], m: {1: true}}, {s: \"a\\\"\\t\", "
               "n: null}]}]\n");
    cr_assert_eq(weir_tests_json(tests, &tests->tests[0].steps[0].expect, &type, &out, named, NULL),
                 WEIR_OK);
    cr_expect_str_empty(problems());
    cr_assert_eq(weir_buffer_append(&out, "", 1, NULL), WEIR_OK);
    cr_expect_str_eq(
        (char *)out.data,
        "{\"s\":\"007\",\"b\":true,\"n\":12,\"d\":1234567890123456789012.50,\"l\":[{\"x\":1},{},"
        "null],\"m\":{\"1\":\"true\"}}\n{\"s\":\"a\\\"\\u0009\",\"n\":null}\n");
    cr_expect_arr_eq(named, "\1\1\1\1\1\1\0", 7);
    read_tests(
        "tests: [{name: a, model: silver.m, expect: [{s: [], b: 1, n: x, l: {}, l2: 1}]}]\n");
    cr_assert_eq(weir_tests_json(tests, &tests->tests[0].steps[0].expect, &type, &out, NULL, NULL),
                 WEIR_OK);
    static const char *const wanted[] = {
        "t.yaml:1:49: row 1.s: expected string, but there is a list",
        "row 1.b: expected boolean, but there is '1'", "row 1.n: expected long, but there is 'x'",
        "row 1.l: expected list, but there is a map", "row 1: there is no column 'l2'\n"};
    problems();
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_expect_not_null(strstr(reported, wanted[i]), "%s\nnot in:\n%s", wanted[i], reported);
    weir_arena_done(&arena);
}

Test(model_tests, errors)
{
    expect_problem("tests: []\nmore: 1\n", "t.yaml:2:1: unknown key 'more'");
    expect_problem("version: 1\n", "t.yaml:1:1: 'tests' is missing");
    expect_problem("tests: [7]\n", "t.yaml:1:9: tests[0]: expected a map, but there is '7'");
    expect_problem("tests: [{name: a, expect: []}]\n", "'model' is missing");
    expect_problem("tests: [{model: silver.m, expect: []}]\n", "'name' is missing");
    expect_problem("tests: [{name: a, model: bronze.t, expect: []}]\n", "no model 'bronze.t'");
    expect_problem("tests: [{name: a, model: silver.m, expect: []}]\n---\n", "second begins");
    expect_problem("tests: [{name: a, model: silver.m, given: 7, expect: []}]\n",
                   "tests[0].given: expected a map, but there is '7'");
    expect_problem("tests: [{name: a, model: silver.m, given: {bronze.t: 7}, expect: []}]\n",
                   "given.bronze.t: expected rows, but there is '7'");
    expect_problem("tests: [{name: a, model: silver.m, expect: {rows: 7}}]\n",
                   "expect.rows: expected a list, but there is '7'");
    expect_problem("tests: [{name: a, model: silver.m, existing: {tolerance: 1}, expect: []}]\n",
                   "existing: unknown key 'tolerance'");
    expect_problem("tests: [{name: a, model: silver.m, expect: {rows: [], tolerance: -1}}]\n",
                   "expect.tolerance: expected a number, but there is '-1'");
    expect_problem("tests: [{name: a, model: silver.m, gates: hig}]\n",
                   "silver.m has no expectation 'hig'");
    expect_problem("tests: [{name: a, model: silver.v, existing: [], expect: []}]\n",
                   "silver.v is a view");
    expect_problem("tests: [{name: a, model: silver.m, steps: 7}]\n",
                   "tests[0].steps: expected a list, but there is '7'");
}
