/* Conditions with their truth per row: three-valued logic, types that meet, LIKE, rows that fail,
 * and errors with their place. */
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
TestSuite(expr, .init = setup, .fini = teardown);

/* Rows: (i, l, d, s) = (1, 10, 0.5, "ab"), (null, null, null, null), (-3, 0, 2, "a%"), (7, 5, -1,
 * ""). `t`, `f`, `n` = true, false, unknown; `e` = the row failed. */
static struct weir_field fields[] = {{.name = "i", .type = {.id = WEIR_INT}},
                                     {.name = "l", .type = {.id = WEIR_LONG}},
                                     {.name = "d", .type = {.id = WEIR_DOUBLE}},
                                     {.name = "s", .type = {.id = WEIR_STRING}}};
static struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 4, .children = fields};

static weir_status truth(const char *text, uint32_t rows, char ret[5])
{
    _Alignas(64) int32_t ints[16] = {1, 0, -3, 7}, ends[17] = {0, 2, 2, 4, 4};
    _Alignas(64) int64_t longs[16] = {10, 0, 0, 5};
    _Alignas(64) double reals[16] = {0.5, 0, 2, -1};
    _Alignas(64) uint8_t bytes[64] = "aba%", known[64] = {13};
    void *values[] = {ints, longs, reals, bytes};
    struct weir_vector columns[4], result;
    for (int c = 0; c < 4; c++)
        columns[c] = (struct weir_vector){.type = &fields[c].type,
                                          .count = rows,
                                          .null_count = rows ? 1 : 0,
                                          .validity = known,
                                          .values = values[c],
                                          .offsets = c == 3 ? ends : NULL};
    struct weir_batch batch = {&schema, rows, columns};
    struct weir_expr *expr;
    uint8_t *failed;
    WEIR_TRY(weir_expr_compile(&arena, &schema, text, &expr, &error));
    WEIR_TRY(weir_expr_evaluate(expr, &batch, &arena, &result, &failed, &error));
    for (uint32_t i = 0; i < rows; i++)
        ret[i] = failed && weir_bit_get(failed, i) ? 'e'
                 : !weir_vector_valid(&result, i)  ? 'n'
                 : weir_bit_get(result.values, i)  ? 't'
                                                   : 'f';
    ret[rows] = '\0';
    return WEIR_OK;
}

static const char *const table[][2] = {
    {"true", "tttt"},
    {"false", "ffff"},
    {"NULL", "nnnn"},
    {"NULL = NULL", "nnnn"},
    {"NULL AND false", "ffff"},
    {"NULL OR true", "tttt"},
    {"NOT NULL", "nnnn"},
    {"NULL IS NULL", "tttt"},
    {"i > 0", "tnft"},
    {"NOT i > 0", "fntf"},
    {"i > 0 OR true", "tttt"},
    {"i > 0 AND false", "ffff"},
    {"(i > 0) IS NOT TRUE", "fttf"},
    {"i IS NULL", "ftff"},
    {"i IS DISTINCT FROM NULL", "tftt"},
    {"i = l - 9", "tnff"},
    {"d < i", "tnft"},
    {"d = 0.5", "tnff"},
    {"i IN (1, NULL)", "tnnn"},
    {"i NOT IN (1, NULL)", "fnnn"},
    {"i BETWEEN -3 AND 1", "tntf"},
    {"i NOT BETWEEN -3 AND 1", "fnft"},
    {"i + 2147483647 > 0", "ente"},
    {"10 / l > 1", "fnet"},
    {"l % 5 = 0", "tntt"},
    {"s LIKE 'a_'", "tntf"},
    {"s LIKE 'a\\%'", "fntf"},
    {"s LIKE '%'", "tntt"},
    {"s LIKE ''", "fnft"},
    {"s ILIKE 'A%'", "tntf"},
    {"s NOT LIKE '%b'", "fntt"},
    {"'aba' || s LIKE '%ab%a%'", "tntt"},
    {"'xaby' LIKE '%ab_'", "tttt"},
    {"'abab' LIKE '%a_%ab'", "tttt"},
    {"'abcab' LIKE '%ab%ab%ab%'", "ffff"},
    {"'100%off' LIKE '%0\\%o%'", "tttt"},
    {"s LIKE NULL", "nnnn"},
    /* a left side without a type, met by partners of several */
    {"NULL IN (1, 2.5)", "nnnn"},
    {"NULL IN (i, s)", "nnnn"},
    {"NULL BETWEEN 1 AND 'x'", "nnnn"},
    {"'5' IN ('5', i)", "tttt"},
    {"'7' IN ('5', i)", "fnft"},
    {"'5' BETWEEN '4' AND l", "tnft"},
};

Test(expr, says_the_truth_of_each_row)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char got[5] = "";
        const char *want = table[i][1];
        cr_assert_eq(truth(table[i][0], 4, got), WEIR_OK, "%s: %s", table[i][0], error.text);
        cr_expect_str_eq(got, want, "%s: %s, not %s", table[i][0], got, want);
        cr_expect_eq(truth(table[i][0], 0, got), WEIR_OK, "%s, no rows", table[i][0]);
    }
}

Test(expr, names_the_place_of_a_mistake)
{
    static const char *const bad[][2] = {{"i >\n nope", "2:2"},
                                         {"i = 'x'", "1:3"},
                                         {"s > 1", "1:3"},
                                         {"i", "1:"},
                                         {"i LIKE 'a'", "1:3"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char got[5];
        cr_assert_eq(truth(bad[i][0], 4, got), WEIR_USAGE, "%s", bad[i][0]);
        cr_expect(strstr(error.text, bad[i][1]), "%s: %s", bad[i][0], error.text);
    }
    static const char *const hostile[] = {"",  "(",           "i; drop table x", "true, false",
                                          "*", "true FROM t", "(SELECT 1)",      "i IN ()",
                                          "'", "$1"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char got[5];
        cr_expect_eq(truth(hostile[i], 4, got), WEIR_USAGE, "%s", hostile[i]);
    }
}
