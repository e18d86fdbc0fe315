/* Functions: conditions that are true by what DuckDB answers (functions_true.h), the same over
 * columns of every vector kind, and rows that fail. */
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
TestSuite(functions, .init = setup, .fini = teardown);

/* Rows: (i, l, d, s, il, sl):
 * 1, 10, 0.5, 'ab', [3, 1, 2], ['x', 'yy']
 * null, null, null, null, null, null
 * -3, 0, 2.5, 'Zebra crossing', [], []
 * 7, 5, -1.5, '', [null, 5], ['yy', null] */
#define ROWS 4
static struct weir_field int_element[] = {{.name = "element", .type = {.id = WEIR_INT}}},
                         text_element[] = {{.name = "element", .type = {.id = WEIR_STRING}}};
static struct weir_field fields[] = {
    {.name = "i", .type = {.id = WEIR_INT}},
    {.name = "l", .type = {.id = WEIR_LONG}},
    {.name = "d", .type = {.id = WEIR_DOUBLE}},
    {.name = "s", .type = {.id = WEIR_STRING}},
    {.name = "il", .type = {.id = WEIR_LIST, .child_count = 1, .children = int_element}},
    {.name = "sl", .type = {.id = WEIR_LIST, .child_count = 1, .children = text_element}}};
#define COLUMNS 6
static struct weir_type schema = {.id = WEIR_STRUCT, .child_count = COLUMNS, .children = fields};

struct data {
    _Alignas(64) int32_t ints[16], text_ends[17], list_ends[17], words[16], word_ends[17],
        word_list_ends[17];
    _Alignas(64) int64_t longs[16];
    _Alignas(64) double reals[16];
    _Alignas(64) uint8_t text[128], word_text[64], known[64], int_known[64], word_known[64];
    struct weir_vector columns[COLUMNS], children[2];
};

static void fill(struct data *data)
{
    *data = (struct data){.ints = {1, 0, -3, 7},
                          .longs = {10, 0, 0, 5},
                          .reals = {0.5, 0, 2.5, -1.5},
                          .text = "abZebra crossing",
                          .text_ends = {0, 2, 2, 16, 16},
                          .list_ends = {0, 3, 3, 3, 5},
                          .words = {3, 1, 2, 0, 5},
                          .word_text = "xyyyy",
                          .word_ends = {0, 1, 3, 5, 5},
                          .word_list_ends = {0, 2, 2, 2, 4},
                          .known = {13},
                          .int_known = {0x17},
                          .word_known = {0x07}};
    data->children[0] = (struct weir_vector){.type = &int_element[0].type,
                                             .count = 5,
                                             .null_count = 1,
                                             .validity = data->int_known,
                                             .values = data->words};
    data->children[1] = (struct weir_vector){.type = &text_element[0].type,
                                             .count = 4,
                                             .null_count = 1,
                                             .validity = data->word_known,
                                             .values = data->word_text,
                                             .offsets = data->word_ends};
    void *values[COLUMNS] = {data->ints, data->longs, data->reals, data->text, NULL, NULL};
    int32_t *offsets[COLUMNS] = {
        NULL, NULL, NULL, data->text_ends, data->list_ends, data->word_list_ends};
    for (int c = 0; c < COLUMNS; c++)
        data->columns[c] = (struct weir_vector){.type = &fields[c].type,
                                                .count = ROWS,
                                                .null_count = 1,
                                                .validity = data->known,
                                                .values = values[c],
                                                .offsets = offsets[c],
                                                .children = c >= 4 ? &data->children[c - 4] : NULL};
}

static char letter(const struct weir_vector *result, const uint8_t *failed, uint32_t row)
{
    return failed && weir_bit_get(failed, row)                                     ? 'e'
           : !weir_vector_valid(result, row)                                       ? 'n'
           : weir_bit_get(result->values, result->kind == WEIR_CONSTANT ? 0 : row) ? 't'
                                                                                   : 'f';
}

static void answer(const struct weir_expr *expr, struct weir_vector *columns, uint32_t rows,
                   char *ret)
{
    struct weir_batch batch = {&schema, rows, columns};
    struct weir_vector result;
    uint8_t *failed;
    cr_assert_eq(weir_expr_evaluate(expr, &batch, &arena, &result, &failed, &error), WEIR_OK, "%s",
                 error.text);
    for (uint32_t i = 0; i < rows; i++)
        ret[i] = letter(&result, failed, i);
    ret[rows] = '\0';
}

/* The rows backwards, through dictionaries (lists: copied). */
static void backwards(struct weir_vector *columns)
{
    static uint32_t indices[16] = {3, 2, 1, 0};
    static uint8_t known[64] = {11};
    struct weir_selection selection = {ROWS, indices};
    for (int c = 0; c < COLUMNS; c++) {
        struct weir_vector *flat;
        cr_assert_eq(weir_arena_zero(&arena, 1, sizeof *flat, &flat, &error), WEIR_OK);
        *flat = columns[c];
        if (weir_type_is_nested(columns[c].type->id)) {
            cr_assert_eq(weir_vector_gather(&arena, flat, &selection, &columns[c], &error),
                         WEIR_OK);
            continue;
        }
        flat->validity = NULL;
        columns[c] = (struct weir_vector){.type = flat->type,
                                          .kind = WEIR_DICTIONARY,
                                          .count = ROWS,
                                          .null_count = 1,
                                          .validity = known,
                                          .indices = indices,
                                          .dictionary = flat};
    }
}

static void constants(const struct weir_vector *from, uint32_t row, struct weir_vector *to)
{
    struct weir_selection selection = {1, &row};
    for (int c = 0; c < COLUMNS; c++) {
        cr_assert_eq(weir_vector_gather(&arena, &from[c], &selection, &to[c], &error), WEIR_OK);
        to[c].kind = WEIR_CONSTANT;
        to[c].count = 3;
    }
}

static void check(const char *text, const char *want)
{
    struct data data;
    struct weir_expr *expr;
    struct weir_vector one[COLUMNS];
    char got[8];
    fill(&data);
    cr_assert_eq(weir_expr_compile(&arena, &schema, text, &expr, &error), WEIR_OK, "%s: %s", text,
                 error.text);
    answer(expr, data.columns, ROWS, got);
    cr_expect_str_eq(got, want, "%s: %s, not %s", text, got, want);
    for (uint32_t row = 0; row < ROWS; row++) {
        constants(data.columns, row, one);
        answer(expr, one, 3, got);
        cr_expect(got[0] == want[row] && got[1] == want[row] && got[2] == want[row],
                  "%s, row %u as a constant: %s, not %c", text, row, got, want[row]);
    }
    backwards(data.columns);
    answer(expr, data.columns, ROWS, got);
    cr_expect(got[0] == want[3] && got[1] == want[2] && got[2] == want[1] && got[3] == want[0],
              "%s, as dictionaries: %s, not %s backwards", text, got, want);
    answer(expr, data.columns, 0, got);
}

static const char *const truths[] = {
#include "tests/unit/expr/functions_true.h"
};

Test(functions, answer_as_duckdb)
{
    size_t count = sizeof truths / sizeof *truths;
    cr_assert_geq(count, 350);
    for (size_t i = 0; i < count; i++) {
        struct weir_expr *expr;
        struct data data;
        char got[8];
        fill(&data);
        weir_status status = weir_expr_compile(&arena, &schema, truths[i], &expr, &error);
        cr_expect_eq(status, WEIR_OK, "%s: %s", truths[i], error.text);
        if (status != WEIR_OK)
            continue;
        answer(expr, data.columns, ROWS, got);
        cr_expect_str_eq(got, "tttt", "%s: %s", truths[i], got);
    }
}

static const char *const rows[][2] = {
    {"i <> 0", "tntt"},
    {"abs(i) = 3", "fntf"},
    {"abs(d) = 1.5", "fnft"},
    {"sign(d) = 1", "tntf"},
    {"ceil(d) = 1", "tnff"},
    {"floor(d) = 2", "fntf"},
    {"round(d + 0.25) = 3", "fntf"},
    {"round(d - 0.25) = -2", "fnft"},
    {"sqrt(d) > 1", "fnte"},
    {"ln(l) > 2", "tnef"},
    {"greatest(i, l) = 10", "tnff"},
    {"greatest(i, 4) = 4", "tttf"},
    {"least(i, l, 0) = 0", "ttft"},
    {"greatest(s, 'b') = 'b'", "tttt"},
    {"bit_count(i) = 31", "fntf"},
    {"list_slice(il, 2, 3) = ARRAY[1, 2]", "tnff"},
    {"list_append(il, i) = ARRAY[3, 1, 2, 1]", "tfff"},
    {"list_concat(il, ARRAY[1]) = ARRAY[1]", "fttf"},
    {"list_sort(il) = ARRAY[1, 2, 3]", "tnff"},
    {"list_unique(sl) = 2", "tnff"},
    {"len(range(l)) = l", "tntt"},
    {"array_to_string(sl, s) = 'xabyy'", "tnff"},
    {"len(string_split(s, ' ')) = 2", "fntf"},
    {"to_json(sl) = '[]'", "fntf"},
    {"element_at(map(il, il), 1) = 1", "tnne"},
    {"s ~ '[A-Z]'", "fntf"},
    {"regexp_extract(s, 'c.*') = 'crossing'", "fntf"},
    {"mod(l, 3) = 1", "tnff"},
    {"i & 1 = 1", "tntt"},
    {"i << l >= 0", "tnft"},
    {"len(il) = 3", "tnff"},
    {"len(s) = 2", "tnff"},
    {"list_count(il) = 1", "fnft"},
    {"il[1] = 3", "tnnn"},
    {"il[-1] = 5", "fnnt"},
    {"il[i] = 3", "tnnn"},
    {"sl[2] = 'yy'", "tnnn"},
    {"list_min(il) = 1", "tnnf"},
    {"list_max(il) = 5", "fnnt"},
    {"list_max(sl) = 'yy'", "tnnt"},
    {"list_sum(il) = 6", "tnnf"},
    {"list_avg(il) = 5", "fnnt"},
    {"list_any_value(il) = 5", "fnnt"},
    {"list_contains(il, 5)", "fnft"},
    {"list_contains(il, i)", "tnff"},
    {"list_contains(sl, 'x')", "tnff"},
    {"5 = ANY (il)", "fnft"},
    {"list_position(il, 2) = 3", "tnnn"},
    {"list_has_any(il, ARRAY[2, 9])", "tnff"},
    {"list_has_all(sl, ARRAY['yy'])", "tnft"},
    {"list_bool_and(list_transform(il, x -> x > 0))", "tnnt"},
    {"list_bool_or(list_transform(il, x -> x > i))", "tnnf"},
    {"list_transform(il, x -> x * 2) = ARRAY[6, 2, 4]", "tnff"},
    {"list_transform(il, (x, n) -> n) = ARRAY[1, 2]", "fnft"},
    {"list_transform(il, x -> x + i) = ARRAY[4, 2, 3]", "tnff"},
    {"list_transform(sl, x -> x || s) = ARRAY['xab', 'yyab']", "tnff"},
    {"list_transform(il, x -> 10 / (x - 1)) IS NOT NULL", "eftt"},
    {"len(list_filter(il, x -> x > 1)) = 2", "tnff"},
    {"len(list_filter(il, x -> x IS NULL)) = 1", "fnft"},
    {"list_filter(sl, x -> x = 'yy') = ARRAY['yy']", "tnft"},
    {"list_filter(il, (x, n) -> n = 2) = ARRAY[5]", "fnft"},
    {"list_reduce(il, (a, x) -> a + x) = 6", "tnen"},
    {"list_reduce(il, (a, x) -> a * 10 + x, 0) = 312", "tnfn"},
    {"list_reduce(il, (a, x) -> a + coalesce(x, 0), l) = 10", "fnft"},
};

Test(functions, answer_row_by_row)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(rows[i][0], rows[i][1]);
}

static const char *const failing[] = {
    "abs(i - 2147483647 - 1 - i) > 0",
    "sqrt(l - 1 - l) > 0",
    "ln(l - l) > 0",
    "acos(2 + l - l) > 0",
    "exp(10000 + d) > 0",
    "power(10, 400 + d) > 0",
};

Test(functions, fail_where_there_is_no_answer)
{
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++) {
        struct weir_expr *expr;
        struct data data;
        char got[8];
        fill(&data);
        cr_assert_eq(weir_expr_compile(&arena, &schema, failing[i], &expr, &error), WEIR_OK,
                     "%s: %s", failing[i], error.text);
        answer(expr, data.columns, 1, got);
        cr_expect_str_eq(got, "e", "%s: %s", failing[i], got);
    }
}
