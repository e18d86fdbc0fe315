/* Each aggregate function by its answer over a small table, whatever way it is cut, and over states
 * that went through files. */
#include "tests/unit/exec/aggregate_help.h"

/* Columns: 0 text, 1 double, 2 long, 3 separator, 4 group (all rows), 5 struct, 6 boolean. */
enum { TEXT, DOUBLE, LONG, SEPARATOR, GROUP, STRUCT, BOOLEAN, COLUMNS };

struct fixture {
    struct weir_account account;
    struct weir_arena arena;
    struct table table;
};

/* text: b a null c a e; double: 1.5 -2 4 null 3 NaN; long: 5 3 5 null 12 5;
 * boolean: true true null true true true */
static void setup(struct fixture *fixture)
{
    static const char *const texts[] = {"b", "a", NULL, "c", "a", "e"};
    static const double doubles[] = {1.5, -2, 4, 0, 3, NAN};
    static const int64_t longs[] = {5, 3, 5, 0, 12, 5};
    static const char *const types[] = {
        "string", "double", "long", "string", "long", "struct<t:string, n:long>", "boolean"};
    *fixture = (struct fixture){.table = {.arena = &fixture->arena, .count = 6}};
    weir_account_init(&fixture->account, NULL, "test", 0);
    weir_arena_init(&fixture->arena, &fixture->account);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        struct weir_type *type;
        struct weir_vector vector;
        OK(weir_arena_zero(&fixture->arena, 1, sizeof *type, &type, error));
        OK(weir_type_parse(&fixture->arena, types[c], type, error));
        OK(weir_vector_make(&fixture->arena, type, 6, 64, &vector, error));
        vector.count = 6;
        OK(weir_arena_zero(&fixture->arena, 64, 1, &vector.validity, error));
        for (uint32_t i = 0; i < 6; i++) {
            const char *text = c == SEPARATOR ? i % 2 ? "-" : "+" : texts[i];
            bool valid = c == TEXT                  ? text != NULL
                         : c == DOUBLE || c == LONG ? i != 3
                         : c == BOOLEAN             ? i != 2
                                                    : true;
            if (valid)
                weir_bit_set(vector.validity, i);
            else
                vector.null_count++;
            if (c == DOUBLE)
                ((double *)vector.values)[i] = doubles[i];
            if (c == LONG)
                ((int64_t *)vector.values)[i] = longs[i];
            if (c == GROUP)
                ((int64_t *)vector.values)[i] = 1;
            if (c == BOOLEAN && valid)
                weir_bit_set(vector.values, i);
            if (c == TEXT || c == SEPARATOR) {
                vector.offsets[i + 1] = vector.offsets[i] + (valid ? 1 : 0);
                if (valid)
                    ((char *)vector.values)[vector.offsets[i]] = *text;
            }
        }
        if (c == STRUCT) {
            vector.children[0] = fixture->table.columns[TEXT];
            vector.children[1] = fixture->table.columns[LONG];
        }
        table_add(&fixture->table, types[c], types[c], &vector);
    }
}

static struct weir_node *double_node(struct fixture *fixture, double value)
{
    static const struct weir_type type = {.id = WEIR_DOUBLE};
    struct weir_node *node;
    OK(weir_arena_zero(&fixture->arena, 1, sizeof *node, &node, error));
    node->kind = WEIR_NODE_CONSTANT;
    node->type = type;
    OK(weir_vector_make(&fixture->arena, &node->type, 1, 0, &node->value, error));
    node->value.kind = WEIR_CONSTANT;
    node->value.count = 1;
    *(double *)node->value.values = value;
    return node;
}

/* Every way to cut gives the answer: one batch, rows alone as constants, dictionaries, a morsel a
 * row (so that states are combined), two threads, with a key and without. */
static void check(struct fixture *fixture, struct weir_aggregate_call call, const char *wanted)
{
    static const struct cut cuts[] = {{6, 6, WEIR_FLAT, 1, 0},       {6, 1, WEIR_CONSTANT, 1, 0},
                                      {6, 4, WEIR_DICTIONARY, 1, 0}, {1, 1, WEIR_FLAT, 1, 0},
                                      {2, 2, WEIR_FLAT, 2, 0},       {4, 3, WEIR_FLAT, 2, 0}};
    uint32_t keys[] = {GROUP};
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
        for (uint32_t key_count = 0; key_count < 2; key_count++) {
            WEIR_AUTO(weir_buffer) got = {.account = &fixture->account};
            struct weir_operator *operator= operator_of(&fixture->table, keys, key_count, &call, 1,
                                                        0);
            OK(run_aggregate(&fixture->table, operator, cuts[c], &got, NULL, error));
            got.data[got.size - 1] = '\0';
            const char *text = (char *)got.data + (key_count ? strlen("1 | ") : 0);
            double near = strtod(wanted, NULL);
            bool same = strcmp(text, wanted) == 0 ||
                        (near != 0 && fabs(strtod(text, NULL) - near) < 1e-14 * fabs(near));
            cr_assert(same, "%s, cut %zu: %s, not %s", call.function->name, c, text, wanted);
        }
}

static void check_one(struct fixture *fixture, const char *name, int column, const char *wanted)
{
    check(fixture, call_of(&fixture->table, name, column, -1), wanted);
}

static void check_two(struct fixture *fixture, const char *name, int a, int b, const char *wanted)
{
    check(fixture, call_of(&fixture->table, name, a, b), wanted);
}

Test(aggregate_functions, answers)
{
    struct fixture fixture;
    setup(&fixture);
    check_one(&fixture, "count", TEXT, "5");
    check_one(&fixture, "count_if", BOOLEAN, "5");
    check_one(&fixture, "bool_and", BOOLEAN, "true");
    check_one(&fixture, "every", BOOLEAN, "true");
    check_one(&fixture, "bool_or", BOOLEAN, "true");
    check_one(&fixture, "sum", LONG, "30");
    check_one(&fixture, "avg", LONG, "6");
    check_one(&fixture, "sum", DOUBLE, "nan");
    check_one(&fixture, "min", TEXT, "'a'");
    check_one(&fixture, "max", TEXT, "'e'");
    check_one(&fixture, "min", DOUBLE, "-2");
    check_one(&fixture, "max", DOUBLE, "nan");
    check_one(&fixture, "max", STRUCT, "{null, 5}");
    check_two(&fixture, "arg_min", TEXT, LONG, "'a'");
    check_two(&fixture, "arg_max", TEXT, LONG, "'a'");
    check_two(&fixture, "arg_max", TEXT, DOUBLE, "'e'");
    check_two(&fixture, "max_by", STRUCT, LONG, "{'a', 12}");
    check_one(&fixture, "first", TEXT, "'b'");
    check_one(&fixture, "last", TEXT, "'e'");
    check_one(&fixture, "any_value", TEXT, "'b'");
    check_one(&fixture, "bit_and", LONG, "0");
    check_one(&fixture, "bit_or", LONG, "15");
    check_one(&fixture, "bit_xor", LONG, "10");
    check_one(&fixture, "array_agg", TEXT, "['b', 'a', null, 'c', 'a', 'e']");
    check_one(&fixture, "list", LONG, "[5, 3, 5, null, 12, 5]");
    check_two(&fixture, "string_agg", TEXT, SEPARATOR, "'b-a-c+a-e'");
    check_one(&fixture, "mode", LONG, "5");
    check_one(&fixture, "histogram", LONG, "[3: 1, 5: 3, 12: 1]");
    check_one(&fixture, "approx_count_distinct", TEXT, "4");
    check_one(&fixture, "median", DOUBLE, "3");
    weir_arena_done(&fixture.arena);
}

Test(aggregate_functions, statistics)
{
    struct fixture fixture;
    setup(&fixture);
    static const double values[] = {6, 0, 4, 0, 2, 3}; /* the fourth is null */
    double *doubles = fixture.table.columns[DOUBLE].values;
    memcpy(doubles, values, sizeof values);
    check_one(&fixture, "var_pop", DOUBLE, "4");
    check_one(&fixture, "variance", DOUBLE, "5");
    check_one(&fixture, "var_samp", DOUBLE, "5");
    check_one(&fixture, "stddev_pop", DOUBLE, "2");
    check_one(&fixture, "stddev", DOUBLE, "2.23606797749978969");
    check_one(&fixture, "product", DOUBLE, "0");
    check_two(&fixture, "covar_pop", DOUBLE, DOUBLE, "4");
    check_two(&fixture, "covar_samp", DOUBLE, DOUBLE, "5");
    check_two(&fixture, "corr", DOUBLE, DOUBLE, "1");
    check_two(&fixture, "regr_slope", DOUBLE, DOUBLE, "1");
    check_two(&fixture, "regr_count", DOUBLE, DOUBLE, "5");
    check_two(&fixture, "regr_r2", DOUBLE, DOUBLE, "1");
    check_two(&fixture, "regr_avgx", DOUBLE, DOUBLE, "3");
    check_two(&fixture, "regr_avgy", DOUBLE, DOUBLE, "3");
    check_two(&fixture, "regr_sxy", DOUBLE, DOUBLE, "20");
    weir_arena_done(&fixture.arena);
}

static struct weir_aggregate_call quantile_call(struct fixture *fixture, const char *name,
                                                int column, double fraction)
{
    struct weir_aggregate_call call = {.function = weir_aggregate_find(name), .location = -1};
    OK(weir_arena_zero(&fixture->arena, 2, sizeof *call.arguments, &call.arguments, error));
    call.arguments[0] = column_node(&fixture->table, (uint32_t)column);
    call.arguments[1] = double_node(fixture, fraction);
    call.argument_count = 2;
    OK(call.function->bind(&fixture->arena, &call, error));
    return call;
}

Test(aggregate_functions, quantiles)
{
    struct fixture fixture;
    struct weir_error error_text = {0};
    setup(&fixture);
    check(&fixture, quantile_call(&fixture, "quantile_cont", DOUBLE, 0.125), "-0.25");
    check(&fixture, quantile_call(&fixture, "percentile_cont", DOUBLE, 1), "nan");
    check(&fixture, quantile_call(&fixture, "quantile_disc", LONG, 0), "3");
    check(&fixture, quantile_call(&fixture, "quantile_disc", LONG, 0.81), "12");
    check(&fixture, quantile_call(&fixture, "percentile_disc", TEXT, 0.5), "'b'");
    struct weir_aggregate_call call = {.function = weir_aggregate_find("quantile_disc")};
    struct weir_node *arguments[2] = {column_node(&fixture.table, LONG), double_node(&fixture, 2)};
    call.arguments = arguments;
    call.argument_count = 2;
    cr_assert_eq(call.function->bind(&fixture.arena, &call, &error_text), WEIR_USAGE);
    weir_arena_done(&fixture.arena);
}

/* DISTINCT and ORDER BY around any of them. */
Test(aggregate_functions, distinct_and_order)
{
    static const bool yes[] = {true}, no[] = {false};
    struct fixture fixture;
    setup(&fixture);
    struct weir_node *by_text[] = {column_node(&fixture.table, TEXT)};
    struct weir_aggregate_call call = call_of(&fixture.table, "array_agg", TEXT, -1);
    call.distinct = true;
    check(&fixture, call, "['b', 'a', null, 'c', 'e']");
    call.order = by_text;
    call.order_count = 1;
    call.order_descending = yes;
    call.order_nulls_first = yes;
    check(&fixture, call, "[null, 'e', 'c', 'b', 'a']");
    call = call_of(&fixture.table, "string_agg", TEXT, SEPARATOR);
    call.order = by_text;
    call.order_count = 1;
    call.order_descending = no;
    call.order_nulls_first = no;
    check(&fixture, call, "'a+a+b-c-e'");
    call = call_of(&fixture.table, "sum", LONG, -1);
    call.distinct = true;
    check(&fixture, call, "20");
    call = call_of(&fixture.table, "first", LONG, -1);
    call.order = by_text;
    call.order_count = 1;
    call.order_descending = yes;
    call.order_nulls_first = no;
    check(&fixture, call, "5");
    weir_arena_done(&fixture.arena);
}

/* Without rows: null, or zero for counts. */
Test(aggregate_functions, nothing)
{
    size_t count;
    struct fixture fixture;
    setup(&fixture);
    fixture.table.count = 0;
    const struct weir_aggregate_function *const *all = weir_aggregate_all(&count);
    cr_assert_gt(count, 40);
    for (size_t i = 0; i < count; i++) {
        const struct weir_aggregate_function *function = all[i];
        cr_assert_eq(weir_aggregate_find(function->name), function);
        cr_assert(function->signature && function->doc);
        struct cut cut = {6, 6, WEIR_FLAT, 1, 0};
        WEIR_AUTO(weir_buffer) got = {.account = &fixture.account};
        bool boolean = strncmp(function->name, "bool", 4) == 0 ||
                       strcmp(function->name, "every") == 0 ||
                       strcmp(function->name, "count_if") == 0;
        bool text = strcmp(function->name, "string_agg") == 0;
        bool integer = strncmp(function->name, "bit", 3) == 0;
        int column = boolean ? BOOLEAN : text ? TEXT : integer ? LONG : DOUBLE;
        struct weir_aggregate_call call = strstr(function->name, "entile") ||
                                                  strstr(function->name, "quantile")
                                              ? quantile_call(&fixture, function->name, DOUBLE, 0.5)
                                              : call_of(&fixture.table, function->name, column,
                                                        function->argument_max == 2 ? column : -1);
        OK(run_aggregate(&fixture.table, operator_of(&fixture.table, NULL, 0, &call, 1, 0), cut,
                         &got, NULL, error));
        bool counts = strstr(function->name, "count") != NULL;
        cr_assert_str_eq((char *)got.data, counts ? "0\n" : "null\n", "%s: %s", function->name,
                         (char *)got.data);
    }
    weir_arena_done(&fixture.arena);
}

/* States with memory through files: the same lines as in memory. */
Test(aggregate_functions, spilled)
{
    static const char *const names[] = {
        "array_agg", "mode", "histogram", "median", "approx_count_distinct", "last"};
    struct weir_type types[3] = {{.id = WEIR_LONG}, {.id = WEIR_DOUBLE}, {.id = WEIR_STRING}};
    struct weir_aggregate_call calls[9];
    struct weir_account account;
    struct weir_arena arena;
    struct dice dice = {5};
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    struct table table = {.arena = &arena, .count = 60000};
    for (uint32_t c = 0; c < 3; c++) {
        struct weir_vector vector = random_flat(&arena, &dice, &types[c], table.count, 10);
        for (uint32_t i = 0; i < table.count && c < 2; i++)
            if (c)
                ((double *)vector.values)[i] = roll_below(&dice, 100);
            else
                ((int64_t *)vector.values)[i] = roll_below(&dice, 9000);
        table_add(&table, "c", "", &vector);
    }
    for (uint32_t i = 0; i < 6; i++)
        calls[i] = call_of(&table, names[i], 1, -1);
    calls[6] = call_of(&table, "string_agg", 2, 2);
    calls[7] = call_of(&table, "arg_max", 2, 1);
    calls[8] = call_of(&table, "count", 2, -1);
    calls[8].distinct = true;
    uint32_t keys[] = {0};
    WEIR_AUTO(weir_buffer) memory = {.account = &account};
    WEIR_AUTO(weir_buffer) files = {.account = &account};
    struct weir_operator *operator= operator_of(&table, keys, 1, calls, 9, 0);
    struct cut cut = {10000, 1000, WEIR_FLAT, 2, 0};
    uint64_t spilled;
    OK(run_aggregate(&table, operator, cut, &memory, &spilled, error));
    cr_assert_eq(spilled, 0);
    cut.limit = 40 << 20;
    OK(run_aggregate(&table, operator, cut, &files, &spilled, error));
    cr_assert_gt(spilled, 1 << 20);
    sort_lines(&memory);
    sort_lines(&files);
    assert_same_text(&memory, &files, "spilled");
    weir_arena_done(&arena);
}

/* Long values through files, with little memory. */
Test(aggregate_functions, long_values_spilled)
{
    struct weir_type types[2] = {{.id = WEIR_LONG}, {.id = WEIR_STRING}};
    struct weir_account account;
    struct weir_arena arena;
    struct dice dice = {8};
    struct weir_vector key, text;
    struct weir_aggregate_call calls[2];
    uint32_t keys[] = {0};
    uint64_t spilled;
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    struct table table = {.arena = &arena, .count = 40000};
    OK(weir_vector_make(&arena, &types[0], table.count, 0, &key, error));
    OK(weir_vector_make(&arena, &types[1], table.count, (size_t)table.count * 500, &text, error));
    key.count = text.count = table.count;
    memset(text.values, 'x', (size_t)table.count * 500);
    for (uint32_t i = 0; i < table.count; i++) {
        ((int64_t *)key.values)[i] = roll_below(&dice, 30000);
        text.offsets[i + 1] = text.offsets[i] + 500;
        ((uint8_t *)text.values)[text.offsets[i]] = (uint8_t)('a' + roll_below(&dice, 26));
    }
    table_add(&table, "k", "", &key);
    table_add(&table, "t", "", &text);
    calls[0] = call_of(&table, "max", 1, -1);
    calls[1] = call_of(&table, "count", -1, -1);
    WEIR_AUTO(weir_buffer) memory = {.account = &account};
    WEIR_AUTO(weir_buffer) files = {.account = &account};
    struct weir_operator *operator= operator_of(&table, keys, 1, calls, 2, 0);
    struct cut cut = {5000, 500, WEIR_FLAT, 2, 0};
    OK(run_aggregate(&table, operator, cut, &memory, NULL, error));
    cut.limit = 24 << 20;
    OK(run_aggregate(&table, operator, cut, &files, &spilled, error));
    cr_assert_gt(spilled, 16 << 20);
    assert_same_text(&memory, &files, "spilled");
    weir_arena_done(&arena);
}

Test(aggregate_functions, approximate_counts)
{
    struct weir_type type = {.id = WEIR_LONG};
    struct weir_account account;
    struct weir_arena arena;
    struct weir_vector values;
    struct weir_aggregate_call call;
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    struct table table = {.arena = &arena, .count = 200000};
    OK(weir_vector_make(&arena, &type, table.count, 0, &values, error));
    values.count = table.count;
    table_add(&table, "v", "", &values);
    call = call_of(&table, "approx_count_distinct", 0, -1);
    for (uint32_t distinct = 10; distinct <= 100000; distinct *= 10) {
        WEIR_AUTO(weir_buffer) got = {.account = &account};
        struct cut cut = {60000, 2000, WEIR_FLAT, 2, 0};
        for (uint32_t i = 0; i < table.count; i++)
            ((int64_t *)values.values)[i] = (int64_t)(i % distinct) * 1000003;
        OK(run_aggregate(&table, operator_of(&table, NULL, 0, &call, 1, 0), cut, &got, NULL,
                         error));
        double off = strtod((char *)got.data, NULL) / distinct - 1;
        cr_assert_lt(fabs(off), distinct <= 32 ? 1e-9 : 0.05, "%s of %u", (char *)got.data,
                     distinct);
    }
    weir_arena_done(&arena);
}
