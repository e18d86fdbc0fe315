/* Sorting against a naive sort: types, nulls, directions, equal keys, limits, spilling, threads. */
#include "tests/unit/exec/sort_help.h"

/* ---- the naive sort: by key bytes, which row_test.c holds to the values' order ---- */

struct row {
    const struct weir_batch *batch;
    uint32_t at, key_size;
    uint8_t *key;
    uint64_t number;
};

static int by_keys(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->key_size < y->key_size ? x->key_size : y->key_size);
    return order ? order : x->number < y->number ? -1 : 1;
}

static void make_keys(struct weir_arena *arena, const struct weir_operator *operator,
                      const struct weir_batch * batch, struct row *rows)
{
    uint32_t *sizes;
    uint8_t **places;
    OK(weir_arena_alloc(arena, (batch->count + 1) * sizeof *sizes, &sizes, error));
    OK(weir_arena_alloc(arena, (batch->count + 1) * sizeof *places, &places, error));
    OK(weir_sort_keys_size(operator->sort_keys, operator->sort_key_count, batch->columns,
                           batch->count, sizes, error));
    for (uint32_t i = 0; i < batch->count; i++) {
        OK(weir_arena_alloc(arena, sizes[i] + 1, &places[i], error));
        rows[i] = (struct row){batch, i, sizes[i], places[i], 0};
    }
    weir_sort_keys_write(operator->sort_keys, operator->sort_key_count, batch->columns,
                         batch->count, places);
}

static void naive(const struct morsels *morsels, const struct weir_operator *operator,
                  struct weir_buffer * out)
{
    struct weir_arena arena;
    size_t count = 0, at = 0;
    for (size_t m = 0; m < morsels->count; m++)
        for (uint32_t b = 0; b < morsels->counts[m]; b++)
            count += morsels->batches[m][b].count;
    struct row *rows = calloc(count + 1, sizeof *rows);
    weir_arena_init(&arena, out->account);
    for (size_t m = 0; m < morsels->count; m++)
        for (uint32_t b = 0; b < morsels->counts[m]; at += morsels->batches[m][b++].count)
            make_keys(&arena, operator, & morsels->batches[m][b], rows + at);
    for (at = 0; at < count; at++)
        rows[at].number = at;
    qsort(rows, count, sizeof *rows, by_keys);
    size_t first = (size_t) operator->offset, end = count;
    if (operator->limit >= 0 && first +(size_t) operator->limit<end)
        end = first + (size_t) operator->limit;
    for (at = first; at < end; at++) {
        for (uint32_t c = 0; c < rows[at].batch->type->child_count; c++) {
            if (c)
                OK(weir_buffer_print(out, error, " | "));
            print_value(out, &rows[at].batch->columns[c], rows[at].at);
        }
        OK(weir_buffer_print(out, error, "\n"));
    }
    OK(weir_buffer_append(out, "", 1, error));
    free(rows);
    weir_arena_done(&arena);
}

/* ---- one random case ---- */

static const char *const column_types[] = {"long",      "string",        "int",
                                           "double",    "decimal(20,3)", "date",
                                           "uuid",      "boolean",       "float",
                                           "timestamp", "binary",        "time",
                                           "fixed(5)",  "timestamptz",   "list<string>",
                                           "string",    "long",          "struct<a:int, b:string>"};

static void random_type(struct weir_arena *arena, struct dice *dice, struct weir_type *ret_type)
{
    char text[512] = "struct<";
    uint32_t count = 1 + roll_below(dice, 5);
    for (uint32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sc%u:%s", i ? ", " : "", i,
                 column_types[roll_below(dice, sizeof column_types / sizeof *column_types)]);
    strcat(text, ", number:long>");
    OK(weir_type_parse(arena, text, ret_type, error));
}

static void number_rows(const struct morsels *morsels, uint32_t column)
{
    int64_t number = 0;
    for (size_t m = 0; m < morsels->count; m++)
        for (uint32_t b = 0; b < morsels->counts[m]; b++) {
            struct weir_vector *vector = &morsels->batches[m][b].columns[column];
            if (vector->kind != WEIR_FLAT)
                continue;
            for (uint32_t i = 0; i < vector->count; i++)
                ((int64_t *)vector->values)[i] = number++;
        }
}

static void same(struct rig *rig, const struct morsels *morsels, const struct weir_buffer *wanted,
                 struct weir_account *own, uint64_t seed)
{
    struct weir_buffer got = {.account = own};
    struct exec_sink *sink;
    OK(exec_sort_new(&rig->exec, &rig->operator, & sink, error));
    OK(rig_run(rig, sink, morsels, &got, error));
    if (strcmp((char *)got.data, (char *)wanted->data) != 0)
        cr_assert(false,
                  "seed %" PRIu64 ", keys %u, limit %" PRId64 "\ngot:\n%.1500s\nwanted:\n%.1500s",
                  seed, rig->operator.sort_key_count, rig->operator.limit, (char *)got.data,
                  (char *)wanted->data);
    weir_buffer_done(&got);
}

static void random_case(uint64_t seed)
{
    struct weir_account own;
    struct weir_arena arena;
    struct weir_type type;
    struct morsels morsels;
    struct weir_sort_key keys[3];
    struct dice dice = {seed};
    weir_account_init(&own, NULL, "test's own", 0);
    weir_arena_init(&arena, &own);
    random_type(&arena, &dice, &type);
    random_morsels(&arena, &dice, &type, 1 + roll_below(&dice, 9),
                   seed % 5 == 0 ? 3000 : 1 + roll_below(&dice, 120), roll_below(&dice, 3) * 15,
                   &morsels);
    number_rows(&morsels, type.child_count - 1);
    uint32_t key_count = roll_below(&dice, 3) + (roll_below(&dice, 8) > 0);
    for (uint32_t k = 0; k < key_count; k++)
        keys[k] = (struct weir_sort_key){
            .column = roll_below(&dice, type.child_count - 1 + (k > 1)),
            .descending = roll(&dice) & 1,
            .nulls_first = roll(&dice) & 1};
    int64_t limit = roll_below(&dice, 2) ? -1 : (int64_t)roll_below(&dice, 200);
    int64_t offset = roll_below(&dice, 3) ? 0 : (int64_t)roll_below(&dice, 100);
    struct weir_buffer wanted = {.account = &own};
    for (int run = 0; run < 4; run++) {
        struct rig rig;
        rig_up(&rig, run & 1 ? 2 : 1, run & 1 ? 64 : 2048, run >= 2 ? 10u << 20 : 0);
        rig.operator.type = type;
        rig.operator.sort_keys = keys;
        rig.operator.sort_key_count = key_count;
        rig.operator.limit = limit;
        rig.operator.offset = offset;
        if (run == 0)
            naive(&morsels, &rig.operator, & wanted);
        same(&rig, &morsels, &wanted, &own, seed);
        rig_down(&rig);
    }
    weir_buffer_done(&wanted);
    weir_arena_done(&arena);
    cr_expect_eq(atomic_load(&own.used), 0);
}

Test(sort, random_tables_as_by_a_naive_sort)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        random_case(seed);
}

/* ---- large ---- */

static void large_morsels(struct weir_arena *arena, const struct weir_type *type, int pattern,
                          struct morsels *ret)
{
    struct dice dice = {(uint64_t)pattern};
    int64_t number = 0;
    ret->count = 6;
    OK(weir_arena_zero(arena, ret->count, sizeof *ret->batches, &ret->batches, error));
    OK(weir_arena_zero(arena, ret->count, sizeof *ret->counts, &ret->counts, error));
    for (size_t m = 0; m < ret->count; m++) {
        ret->counts[m] = 6;
        OK(weir_arena_zero(arena, 6, sizeof **ret->batches, &ret->batches[m], error));
        for (uint32_t b = 0; b < 6; b++) {
            OK(weir_batch_make(arena, type, 2048, &ret->batches[m][b], error));
            ret->batches[m][b].count = 2048;
            for (uint32_t c = 0; c < 3; c++)
                ret->batches[m][b].columns[c].count = 2048;
            struct weir_vector *columns = ret->batches[m][b].columns;
            OK(weir_arena_alloc(arena, 2048 * 48, &columns[1].values, error));
            for (uint32_t i = 0; i < 2048; i++, number++) {
                int64_t key = pattern == 0   ? (int64_t)roll(&dice)
                              : pattern == 1 ? (int64_t)roll_below(&dice, 6000000)
                              : pattern == 2 ? -number
                                             : (int64_t)roll_below(&dice, 3);
                char text[64];
                int size = snprintf(text, sizeof text, "a common beginning of keys %" PRId64, key);
                ((int64_t *)columns[0].values)[i] = key;
                memcpy((char *)columns[1].values + columns[1].offsets[i], text, (size_t)size);
                columns[1].offsets[i + 1] = columns[1].offsets[i] + size;
                ((int64_t *)columns[2].values)[i] = number;
            }
        }
    }
}

static void large_case(int pattern, uint32_t key, int64_t limit)
{
    struct weir_account own;
    struct weir_arena arena;
    struct weir_type type;
    struct morsels morsels;
    struct weir_sort_key keys[1] = {{.column = key, .descending = pattern == 1}};
    struct weir_buffer wanted = {.account = &own};
    weir_account_init(&own, NULL, "test's own", 0);
    weir_arena_init(&arena, &own);
    OK(weir_type_parse(&arena, "struct<a:long, b:string, number:long>", &type, error));
    large_morsels(&arena, &type, pattern, &morsels);
    for (int run = 0; run < 4; run++) {
        struct rig rig;
        /* TopN holds a multiple of `limit` rows a thread, and twice that while it cuts them */
        rig_up(&rig, run & 1 ? 2 : 1, 2048, run >= 2 ? (limit < 0 ? 10u : 16u) << 20 : 0);
        rig.operator.type = type;
        rig.operator.sort_keys = keys;
        rig.operator.sort_key_count = 1;
        rig.operator.limit = limit;
        if (run == 0)
            naive(&morsels, &rig.operator, & wanted);
        same(&rig, &morsels, &wanted, &own, (uint64_t)pattern);
        if (run >= 2 && limit < 0)
            cr_expect_gt(atomic_load(&rig.operator.counters.bytes_spilled), 3u << 20);
        rig_down(&rig);
    }
    weir_buffer_done(&wanted);
    weir_arena_done(&arena);
}

Test(sort, large_by_number_spills_and_is_the_same)
{
    for (int pattern = 0; pattern < 4; pattern++)
        large_case(pattern, 0, -1);
}

Test(sort, large_by_text_spills_and_is_the_same)
{
    for (int pattern = 0; pattern < 4; pattern++)
        large_case(pattern, 1, -1);
}

Test(sort, the_first_rows_of_many)
{
    for (int pattern = 0; pattern < 4; pattern++) {
        large_case(pattern, 0, 10);
        large_case(pattern, 1, 9000);
    }
}

Test(sort, a_limit_without_a_place_to_spill_is_no_memory)
{
    struct weir_account own;
    struct weir_arena arena;
    struct weir_type type;
    struct morsels morsels;
    struct weir_sort_key keys[1] = {{.column = 1}};
    struct weir_buffer got = {.account = &own};
    struct weir_error refused = {0};
    struct exec_sink *sink;
    struct rig rig;
    weir_account_init(&own, NULL, "test's own", 0);
    weir_arena_init(&arena, &own);
    OK(weir_type_parse(&arena, "struct<a:long, b:string, number:long>", &type, error));
    large_morsels(&arena, &type, 0, &morsels);
    rig_up(&rig, 2, 2048, 0);
    rig.account.limit = 4u << 20;
    rig.operator.type = type;
    rig.operator.sort_keys = keys;
    rig.operator.sort_key_count = 1;
    OK(exec_sort_new(&rig.exec, &rig.operator, & sink, error));
    cr_expect_eq(rig_run(&rig, sink, &morsels, &got, &refused), WEIR_NO_MEMORY);
    rig_down(&rig);
    weir_buffer_done(&got);
    weir_arena_done(&arena);
}

Test(sort, a_full_spill_is_no_space_and_nothing_leaks)
{
    struct weir_account own;
    struct weir_arena arena;
    struct weir_type type;
    struct morsels morsels;
    struct weir_sort_key keys[1] = {{.column = 1}};
    struct weir_buffer got = {.account = &own};
    struct weir_error refused = {0};
    struct exec_sink *sink;
    struct rig rig;
    weir_account_init(&own, NULL, "test's own", 0);
    weir_arena_init(&arena, &own);
    OK(weir_type_parse(&arena, "struct<a:long, b:string, number:long>", &type, error));
    large_morsels(&arena, &type, 0, &morsels);
    rig_up(&rig, 2, 2048, 7u << 20);
    weir_spill_free(rig.options.spill);
    OK(weir_spill_new(&rig.account, rig.folder, 2u << 20, &rig.options.spill, error));
    rig.operator.type = type;
    rig.operator.sort_keys = keys;
    rig.operator.sort_key_count = 1;
    OK(exec_sort_new(&rig.exec, &rig.operator, & sink, error));
    cr_expect_eq(rig_run(&rig, sink, &morsels, &got, &refused), WEIR_NO_SPACE);
    cr_expect(strstr(refused.text, "run.spill"), "%s", refused.text);
    rig_down(&rig);
    weir_buffer_done(&got);
    weir_arena_done(&arena);
}
