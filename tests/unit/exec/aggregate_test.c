/* Hash aggregation against a naive one: any cut into morsels and batches, any kind of vector, any
 * number of threads, in memory and spilled, gives the same lines. */
#include "tests/unit/exec/aggregate_help.h"

#include <unistd.h>

/* Columns: 0 a few strings, 1 int of many values, 2 long, 3 decimal, 4 double, 5 boolean, 6 string,
 * 7 struct, 8 list; all with nulls but 1. */
enum { TEXT_KEY, INT_KEY, LONG, DECIMAL, DOUBLE, BOOLEAN, STRING, STRUCT, LIST, COLUMNS };

struct fixture {
    struct weir_account account;
    struct weir_arena arena;
    struct table table;
};

static void fill_exact(struct dice *dice, struct weir_vector *vector, uint32_t groups)
{
    for (uint32_t i = 0; i < vector->count; i++) {
        if (vector->type->id == WEIR_INT)
            ((int32_t *)vector->values)[i] = (int32_t)roll_below(dice, groups) * 7 - 100;
        if (vector->type->id == WEIR_LONG)
            ((int64_t *)vector->values)[i] = roll_below(dice, 20) ? (int64_t)roll_below(dice, 2000)
                                                                  : INT64_MAX;
        if (vector->type->id == WEIR_DOUBLE)
            ((double *)vector->values)[i] = roll_below(dice, 5000)
                                                ? ((double)roll_below(dice, 4000) - 2000) / 8
                                                : NAN;
    }
}

static void setup(struct fixture *fixture, uint32_t count, uint32_t groups)
{
    static const char *const types[] = {"string",   "int",     "long",   "decimal(20,3)",
                                        "double",   "boolean", "string", "struct<a:int, b:string>",
                                        "list<int>"};
    struct dice dice = {count + groups};
    *fixture = (struct fixture){.table = {.arena = &fixture->arena, .count = count}};
    weir_account_init(&fixture->account, NULL, "test", 0);
    weir_arena_init(&fixture->arena, &fixture->account);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        struct weir_type *type;
        OK(weir_arena_zero(&fixture->arena, 1, sizeof *type, &type, error));
        OK(weir_type_parse(&fixture->arena, types[c], type, error));
        struct weir_vector vector = random_flat(&fixture->arena, &dice, type, count,
                                                c == INT_KEY ? 0 : 15);
        fill_exact(&dice, &vector, groups);
        table_add(&fixture->table, types[c], types[c], &vector);
    }
}

static void teardown(struct fixture *fixture)
{
    weir_arena_done(&fixture->arena);
}

/* ---- the naive way: rows of a group in a list, one pass per call ---- */

struct naive_group {
    struct weir_buffer key;
    uint32_t *rows;
    uint32_t count;
};

struct naive {
    struct fixture *fixture;
    struct naive_group *groups;
    uint32_t count;
};

static void naive_make(struct naive *naive, struct fixture *fixture, const uint32_t *keys,
                       uint32_t key_count)
{
    const struct table *table = &fixture->table;
    uint32_t slots[1 << 16] = {0};
    *naive = (struct naive){.fixture = fixture};
    naive->groups = calloc(table->count + 1, sizeof *naive->groups);
    for (uint32_t i = 0; i < table->count; i++) {
        WEIR_AUTO(weir_buffer) key = {.account = &fixture->account};
        uint64_t hash = 0;
        for (uint32_t k = 0; k < key_count; k++) {
            print_value(&key, &table->columns[keys[k]], i);
            OK(weir_buffer_print(&key, error, " | "));
        }
        for (size_t b = 0; b < key.size; b++)
            hash = (hash ^ key.data[b]) * 0x100000001b3u;
        uint32_t at = (uint32_t)(hash ^ hash >> 32) & 0xffff;
        for (; slots[at]; at = (at + 1) & 0xffff) {
            const struct weir_buffer *other = &naive->groups[slots[at] - 1].key;
            if (other->size == key.size && (!key.size || !memcmp(other->data, key.data, key.size)))
                break;
        }
        if (!slots[at]) {
            slots[at] = ++naive->count;
            struct naive_group *group = &naive->groups[naive->count - 1];
            weir_buffer_init(&group->key, &fixture->account);
            OK(weir_buffer_append(&group->key, key.data, key.size, error));
        }
        struct naive_group *group = &naive->groups[slots[at] - 1];
        group->rows = realloc(group->rows, (group->count + 1) * sizeof *group->rows);
        group->rows[group->count++] = i;
    }
}

static void naive_done(struct naive *naive)
{
    for (uint32_t g = 0; g < naive->count; g++) {
        weir_buffer_done(&naive->groups[g].key);
        free(naive->groups[g].rows);
    }
    free(naive->groups);
}

static void naive_sums(const struct table *table, const struct naive_group *group,
                       struct weir_buffer *out)
{
    weir_int128 longs = 0, decimals = 0;
    int64_t ints = 0;
    double doubles = 0;
    uint32_t long_count = 0, decimal_count = 0, double_count = 0;
    char text[64];
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t row = group->rows[i];
        ints += ((const int32_t *)table->columns[INT_KEY].values)[row];
        if (weir_vector_valid(&table->columns[LONG], row)) {
            long_count++;
            longs += ((const int64_t *)table->columns[LONG].values)[row];
        }
        if (weir_vector_valid(&table->columns[DECIMAL], row)) {
            decimal_count++;
            decimals += ((const weir_int128 *)table->columns[DECIMAL].values)[row];
        }
        if (weir_vector_valid(&table->columns[DOUBLE], row)) {
            double_count++;
            doubles += ((const double *)table->columns[DOUBLE].values)[row];
        }
    }
    OK(weir_buffer_print(out, error, "%u | %u | %" PRId64 " | ", group->count, long_count, ints));
    weir_print_decimal(text, longs, 0);
    OK(weir_buffer_print(out, error, "%s | ", long_count ? text : "null"));
    weir_print_decimal(text, decimals, 3);
    OK(weir_buffer_print(out, error, "%s | ", decimal_count ? text : "null"));
    if (isnan(doubles))
        OK(weir_buffer_print(out, error, "nan"));
    else if (double_count)
        OK(weir_buffer_print(out, error, "%.17g", doubles));
    else
        OK(weir_buffer_print(out, error, "null"));
    double average = (double)((long double)longs / long_count);
    snprintf(text, sizeof text, "%.17g", average);
    OK(weir_buffer_print(out, error, " | %s", long_count ? text : "null"));
}

/* Least and greatest of a column by sort keys (which row_test.c proves). */
static void naive_extremes(const struct fixture *fixture, uint32_t column,
                           const struct naive_group *group, struct weir_buffer *out)
{
    WEIR_AUTO(weir_arena) arena;
    const struct table *table = &fixture->table;
    struct weir_sort_key key = {0};
    struct weir_vector picked;
    struct weir_selection selection = {group->count, group->rows};
    uint32_t *sizes, low = UINT32_MAX, high = UINT32_MAX;
    uint8_t **places;
    weir_arena_init(&arena, fixture->table.arena->account);
    OK(weir_vector_gather(&arena, &table->columns[column], &selection, &picked, error));
    OK(weir_arena_alloc(&arena, group->count * sizeof *sizes, &sizes, error));
    OK(weir_arena_alloc(&arena, group->count * sizeof *places, &places, error));
    OK(weir_sort_keys_size(&key, 1, &picked, group->count, sizes, error));
    for (uint32_t i = 0; i < group->count; i++)
        OK(weir_arena_alloc(&arena, sizes[i], &places[i], error));
    weir_sort_keys_write(&key, 1, &picked, group->count, places);
    for (uint32_t i = 0; i < group->count; i++) {
        if (!weir_vector_valid(&picked, i))
            continue;
#define BELOW(a, b) (memcmp(places[a], places[b], sizes[a] < sizes[b] ? sizes[a] : sizes[b]) < 0)
        low = low == UINT32_MAX || BELOW(i, low) ? i : low;
        high = high == UINT32_MAX || BELOW(high, i) ? i : high;
    }
    for (int end = 0; end < 2; end++) {
        uint32_t row = end ? high : low;
        OK(weir_buffer_print(out, error, " | "));
        if (row == UINT32_MAX)
            OK(weir_buffer_print(out, error, "null"));
        else
            print_value(out, &picked, row);
    }
}

static void naive_print(struct naive *naive, struct weir_buffer *out)
{
    for (uint32_t g = 0; g < naive->count; g++) {
        const struct naive_group *group = &naive->groups[g];
        if (group->key.size)
            OK(weir_buffer_append(out, group->key.data, group->key.size, error));
        naive_sums(&naive->fixture->table, group, out);
        naive_extremes(naive->fixture, LONG, group, out);
        naive_extremes(naive->fixture, DOUBLE, group, out);
        naive_extremes(naive->fixture, BOOLEAN, group, out);
        naive_extremes(naive->fixture, STRING, group, out);
        naive_extremes(naive->fixture, LIST, group, out);
        OK(weir_buffer_print(out, error, "\n"));
    }
    sort_lines(out);
}

static uint32_t all_calls(struct table *table, struct weir_aggregate_call *calls)
{
    static const struct {
        const char *name;
        int argument;
    } wanted[] = {{"count", -1},    {"count", LONG}, {"sum", INT_KEY}, {"sum", LONG},
                  {"sum", DECIMAL}, {"sum", DOUBLE}, {"avg", LONG},    {"min", LONG},
                  {"max", LONG},    {"min", DOUBLE}, {"max", DOUBLE},  {"min", BOOLEAN},
                  {"max", BOOLEAN}, {"min", STRING}, {"max", STRING},  {"min", LIST},
                  {"max", LIST}};
    uint32_t count = sizeof wanted / sizeof *wanted;
    for (uint32_t i = 0; i < count; i++)
        calls[i] = call_of(table, wanted[i].name, wanted[i].argument, -1);
    return count;
}

/* Every way to run it gives the naive answer, and ways that cut morsels alike give the same rows in
 * the same order. */
static void check_all_ways(uint32_t rows, uint32_t groups, const uint32_t *keys, uint32_t key_count)
{
    static const struct cut cuts[] = {
        {2000, 2000, WEIR_FLAT, 1, 0},       {2000, 64, WEIR_FLAT, 2, 0},
        {300, 64, WEIR_DICTIONARY, 1, 0},    {500, 1, WEIR_CONSTANT, 1, 0},
        {1u << 30, 2048, WEIR_FLAT, 1, 0},   {2000, 2000, WEIR_FLAT, 2, 12 << 20},
        {2000, 2000, WEIR_FLAT, 1, 10 << 20}};
    struct fixture fixture;
    struct weir_aggregate_call calls[20];
    struct naive naive;
    setup(&fixture, rows, groups);
    WEIR_AUTO(weir_buffer) wanted = {.account = &fixture.account};
    WEIR_AUTO(weir_buffer) first = {.account = &fixture.account};
    uint32_t call_count = all_calls(&fixture.table, calls);
    struct weir_operator *operator= operator_of(&fixture.table, keys, key_count, calls, call_count,
                                                0);
    naive_make(&naive, &fixture, keys, key_count);
    naive_print(&naive, &wanted);
    naive_done(&naive);
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
        WEIR_AUTO(weir_buffer) got = {.account = &fixture.account};
        char what[32];
        snprintf(what, sizeof what, "cut %zu", c);
        if (cuts[c].kind == WEIR_CONSTANT && rows > 3000)
            continue;
        OK(run_aggregate(&fixture.table, operator, cuts[c], &got, NULL, error));
        if (c == 0)
            OK(weir_buffer_append(&first, got.data, got.size + 1, error));
        else if (cuts[c].morsel_rows == cuts[0].morsel_rows)
            assert_same_text(&first, &got, what);
        sort_lines(&got);
        assert_same_text(&wanted, &got, what);
    }
    teardown(&fixture);
}

Test(aggregate, no_keys)
{
    check_all_ways(2500, 10, NULL, 0);
}

Test(aggregate, one_int_key)
{
    uint32_t keys[] = {INT_KEY};
    check_all_ways(2500, 10, keys, 1);
    check_all_ways(9000, 3000, keys, 1);
}

Test(aggregate, strings_and_nested_keys)
{
    uint32_t few[] = {BOOLEAN, BOOLEAN}, two[] = {TEXT_KEY, INT_KEY}, nested[] = {STRUCT, LIST};
    uint32_t one[] = {DOUBLE};
    check_all_ways(2500, 10, few, 2);
    check_all_ways(2500, 10, one, 1);
    check_all_ways(2500, 40, two, 2);
    check_all_ways(2500, 10, nested, 2);
}

/* So many groups that partitions, pieces of single rows and files come into play. */
Test(aggregate, many_groups)
{
    uint32_t keys[] = {INT_KEY};
    struct fixture fixture;
    struct weir_aggregate_call calls[4];
    setup(&fixture, 100000, 70000);
    calls[0] = call_of(&fixture.table, "count", -1, -1);
    calls[1] = call_of(&fixture.table, "sum", DECIMAL, -1);
    calls[2] = call_of(&fixture.table, "max", STRING, -1);
    struct weir_operator *operator= operator_of(&fixture.table, keys, 1, calls, 3, 0);
    struct cut cut = {70000, 2048, WEIR_FLAT, 1, 0};
    WEIR_AUTO(weir_buffer) one = {.account = &fixture.account};
    WEIR_AUTO(weir_buffer) two = {.account = &fixture.account};
    WEIR_AUTO(weir_buffer) small = {.account = &fixture.account};
    uint64_t spilled;
    OK(run_aggregate(&fixture.table, operator, cut, &one, &spilled, error));
    cr_assert_eq(spilled, 0);
    cut.threads = 2;
    OK(run_aggregate(&fixture.table, operator, cut, &two, &spilled, error));
    assert_same_text(&one, &two, "two threads");
    cut.limit = 16 << 20;
    OK(run_aggregate(&fixture.table, operator, cut, &small, &spilled, error));
    cr_assert_gt(spilled, 1 << 20);
    assert_same_text(&one, &small, "spilled");
    teardown(&fixture);
}

Test(aggregate, nothing_in)
{
    uint32_t keys[] = {INT_KEY};
    struct fixture fixture;
    struct weir_aggregate_call calls[2];
    struct cut cut = {100, 100, WEIR_FLAT, 1, 0};
    setup(&fixture, 0, 10);
    calls[0] = call_of(&fixture.table, "count", -1, -1);
    calls[1] = call_of(&fixture.table, "max", STRING, -1);
    WEIR_AUTO(weir_buffer) none = {.account = &fixture.account};
    WEIR_AUTO(weir_buffer) one = {.account = &fixture.account};
    OK(run_aggregate(&fixture.table, operator_of(&fixture.table, keys, 1, calls, 2, 0), cut, &none,
                     NULL, error));
    cr_assert_eq(none.size, 0);
    OK(run_aggregate(&fixture.table, operator_of(&fixture.table, NULL, 0, calls, 2, 0), cut, &one,
                     NULL, error));
    cr_assert_str_eq((char *)one.data, "0 | null\n");
    teardown(&fixture);
}

Test(aggregate, grouping_sets)
{
    uint32_t keys[] = {BOOLEAN, TEXT_KEY};
    uint64_t sets[] = {3, 1, 0};
    struct fixture fixture;
    struct weir_aggregate_call calls[2];
    struct cut cut = {700, 100, WEIR_FLAT, 2, 0};
    setup(&fixture, 2500, 10);
    WEIR_AUTO(weir_buffer) wanted = {.account = &fixture.account};
    WEIR_AUTO(weir_buffer) got = {.account = &fixture.account};
    calls[0] = call_of(&fixture.table, "count", -1, -1);
    struct weir_operator *operator= operator_of(&fixture.table, keys, 2, calls, 1, 3);
    operator->sets = sets;
    OK(run_aggregate(&fixture.table, operator, cut, &got, NULL, error));
    for (uint32_t set = 0; set < 3; set++) {
        struct naive naive;
        naive_make(&naive, &fixture, keys, 2 - set);
        for (uint32_t g = 0; g < naive.count; g++)
            OK(weir_buffer_print(&wanted, error, "%.*s%s%u | %u\n", (int)naive.groups[g].key.size,
                                 naive.groups[g].key.size ? (char *)naive.groups[g].key.data : "",
                                 set == 0   ? ""
                                 : set == 1 ? "null | "
                                            : "null | null | ",
                                 naive.groups[g].count, set));
        naive_done(&naive);
    }
    sort_lines(&wanted);
    sort_lines(&got);
    assert_same_text(&wanted, &got, "sets");
    teardown(&fixture);
}

Test(aggregate, filter_and_distinct)
{
    struct fixture fixture;
    struct weir_aggregate_call calls[4];
    setup(&fixture, 2500, 12);
    WEIR_AUTO(weir_buffer) wanted = {.account = &fixture.account};
    calls[0] = call_of(&fixture.table, "count", -1, -1);
    calls[0].filter = column_node(&fixture.table, BOOLEAN);
    calls[1] = call_of(&fixture.table, "count", INT_KEY, -1);
    calls[1].distinct = true;
    calls[2] = call_of(&fixture.table, "sum", INT_KEY, -1);
    calls[2].distinct = true;
    uint32_t passed = 0;
    for (uint32_t i = 0; i < fixture.table.count; i++)
        passed += weir_vector_valid(&fixture.table.columns[BOOLEAN], i) &&
                  weir_bit_get(fixture.table.columns[BOOLEAN].values, i);
    OK(weir_buffer_print(&wanted, error, "%u | 12 | %d\n", passed, 12 * 11 / 2 * 7 - 1200));
    for (int threads = 1; threads <= 2; threads++) {
        struct cut cut = {300, 100, WEIR_FLAT, threads, 0};
        WEIR_AUTO(weir_buffer) got = {.account = &fixture.account};
        OK(run_aggregate(&fixture.table, operator_of(&fixture.table, NULL, 0, calls, 3, 0), cut,
                         &got, NULL, error));
        assert_same_text(&wanted, &got, "filter");
    }
    teardown(&fixture);
}

/* Too large for decimal(38): an error, never a wrong sum. */
Test(aggregate, overflow_is_an_error)
{
    struct fixture fixture;
    struct weir_aggregate_call call;
    struct weir_error error_text = {0};
    struct cut cut = {100, 100, WEIR_FLAT, 1, 0};
    setup(&fixture, 100, 12);
    WEIR_AUTO(weir_buffer) got = {.account = &fixture.account};
    weir_int128 huge = (weir_int128)9000000000000000000 * 10000000000000000000u;
    for (uint32_t i = 0; i < 100; i++)
        ((weir_int128 *)fixture.table.columns[DECIMAL].values)[i] = huge;
    call = call_of(&fixture.table, "sum", DECIMAL, -1);
    cr_assert_eq(run_aggregate(&fixture.table, operator_of(&fixture.table, NULL, 0, &call, 1, 0),
                               cut, &got, NULL, &error_text),
                 WEIR_FAILED);
    cr_assert(strstr(error_text.text, "out of range"), "%s", error_text.text);
    teardown(&fixture);
}
