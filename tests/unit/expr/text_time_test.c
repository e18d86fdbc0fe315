/* Functions of text and time: conditions that are true (text_time_true.h), patterns and zones that
 * differ from row to row, hostile patterns and texts. */
#include "engine/expr/expr.h"

#include <criterion/criterion.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
}
static void teardown(void)
{
    weir_arena_done(&arena);
}
TestSuite(text_time, .init = setup, .fini = teardown);

/* Rows of (s, p): texts and what is done with them; the last is null. */
enum { ROWS = 5 };
static struct weir_field fields[] = {{.name = "s", .type = {.id = WEIR_STRING}},
                                     {.name = "p", .type = {.id = WEIR_STRING}}};
static const struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 2, .children = fields};

/* `t`, `f`, `n` = true, false, unknown; `e` = the row failed. */
static weir_status truth(const char *text, const char *const values[2][ROWS - 1],
                         char ret[ROWS + 1])
{
    struct weir_vector columns[2], result;
    struct weir_expr *expr;
    uint8_t *failed, *known;
    cr_assert_eq(weir_arena_zero(&arena, 64, 1, &known, &error), WEIR_OK);
    *known = 15;
    for (int c = 0; c < 2; c++) {
        cr_assert_eq(weir_vector_make(&arena, &fields[c].type, ROWS, 4096, &columns[c], &error),
                     WEIR_OK);
        columns[c].count = ROWS;
        columns[c].validity = known;
        columns[c].null_count = 1;
        int32_t at = 0;
        for (int i = 0; i < ROWS; i++) {
            size_t size = i < ROWS - 1 ? strlen(values[c][i]) : 0;
            if (size)
                memcpy((char *)columns[c].values + at, values[c][i], size);
            columns[c].offsets[i + 1] = at += (int32_t)size;
        }
    }
    struct weir_batch batch = {&schema, ROWS, columns};
    WEIR_TRY(weir_expr_compile(&arena, &schema, text, &expr, &error));
    WEIR_TRY(weir_expr_evaluate(expr, &batch, &arena, &result, &failed, &error));
    for (uint32_t i = 0; i < ROWS; i++)
        ret[i] = failed && weir_bit_get(failed, i) ? 'e'
                 : !weir_vector_valid(&result, i)  ? 'n'
                 : weir_bit_get(result.values, i)  ? 't'
                                                   : 'f';
    ret[ROWS] = '\0';
    return WEIR_OK;
}

static const char *const none[2][ROWS - 1] = {{"", "", "", ""}, {"", "", "", ""}};

Test(text_time, says_what_is_true)
{
    static const char *const conditions[] = {
#include "text_time_true.h"
    };
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        char got[ROWS + 1];
        cr_assert_eq(truth(conditions[i], none, got), WEIR_OK, "%s: %s", conditions[i], error.text);
        cr_expect_str_eq(got, "ttttt", "%s: %s", conditions[i], got);
    }
}

Test(text_time, takes_patterns_by_row)
{
    static const char *const values[2][ROWS - 1] = {{"abc", "abc", "a+c", "x"},
                                                    {"b", "^c", "a\\+", "("}};
    char got[ROWS + 1];
    cr_assert_eq(truth("s ~ p", values, got), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(got, "tften");
    cr_assert_eq(truth("s LIKE p || '%' ESCAPE '+'", values, got), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(got, "ffffn");
    cr_assert_eq(truth("CASE WHEN p = '(' THEN true ELSE s ~ p END", values, got), WEIR_OK, "%s",
                 error.text);
    cr_expect_str_eq(got, "tfttn", "a branch not taken does not fail");
}

Test(text_time, takes_zones_and_time_patterns_by_row)
{
    static const char *const values[2][ROWS - 1] = {
        {"2026-01-01 12:00", "01.02.2026", "2026", "nonsense"},
        {"Europe/Berlin", "UTC", "../passwd", "Europe/Nowhere"}};
    static const char *const patterns[2][ROWS - 1] = {
        {"2026-01-01 12:00", "01.02.2026", "2026", "nonsense"},
        {"%Y-%m-%d %H:%M", "%d.%m.%Y", "%Y-%m", "%"}};
    char got[ROWS + 1];
    cr_assert_eq(truth("TIMESTAMPTZ '2026-07-01 10:00:00Z' AT TIME ZONE p >= TIMESTAMP '2026-07-01 "
                       "11:00:00'",
                       values, got),
                 WEIR_OK, "%s", error.text);
    cr_expect_str_eq(got, "tfeen");
    cr_assert_eq(truth("strptime(s, p) >= TIMESTAMP '2026-01-15'", patterns, got), WEIR_OK, "%s",
                 error.text);
    cr_expect_str_eq(got, "fteen");
    cr_assert_eq(truth("try_strptime(s, p) IS NULL", patterns, got), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(got, "ffttt");
}

Test(text_time, fails_only_the_row_that_is_hostile)
{
    static const char *const values[2][ROWS - 1] = {
        {"ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "\xff\xfe", ""},
        {"zz", "0g", "abc", "ffff"}};
    char got[ROWS + 1];
    cr_assert_eq(truth("s ~ '^(a+)+[b-c]?$|^(a|aa)+b$'", values, got), WEIR_OK, "%s", error.text);
    cr_expect_eq(got[0], 't');
    cr_expect_eq(got[2], 'e', "no UTF-8");
    cr_expect_eq(got[3], 'f');
    cr_assert_eq(truth("hex(unhex(p)) = p", values, got), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(got, "eeetn");
    cr_assert_eq(truth("base64(from_base64(s)) = s", values, got), WEIR_OK, "%s", error.text);
    cr_expect_eq(got[2], 'e');
}

Test(text_time, refuses_what_is_wrong_when_it_is_compiled)
{
    static const char *const bad[] = {"s ~ '('",
                                      "regexp_replace(s, '[', 'x') = 'x'",
                                      "regexp_matches(s, 'a', 'w')",
                                      "now() AT TIME ZONE 'No/Where' IS NULL",
                                      "now() AT TIME ZONE '/etc/passwd' IS NULL",
                                      "strftime(s, '%Y') = 'x'",
                                      "md5(1) = 'x'",
                                      "printf('%d', 1.5) = 'x'",
                                      "printf('%d') = 'x'",
                                      "printf('%n', 1) = 'x'",
                                      "printf('%*d', 1, 2) = 'x'",
                                      "printf('%99999d', 1) = 'x'",
                                      "printf('%', 1) = 'x'",
                                      "printf(s, 1) = 'x'",
                                      "printf('%99999999999$s', 1) = 'x'",
                                      "format('%d', 1) = 'x'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_expr *expr;
        cr_expect_eq(weir_expr_compile(&arena, &schema, bad[i], &expr, &error), WEIR_USAGE, "%s",
                     bad[i]);
    }
}
