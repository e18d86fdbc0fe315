/* INTERSECT and EXCEPT against counting printed rows. */
#include "tests/unit/exec/plan_help.h"

struct line_count {
    char *text;
    uint32_t left, right;
};

static int compare_counts(const void *a, const void *b)
{
    return strcmp(((const struct line_count *)a)->text, ((const struct line_count *)b)->text);
}

static char *row_text(struct weir_arena *arena, const struct values *values, uint32_t row)
{
    WEIR_AUTO(weir_buffer) text = {.account = arena->account};
    char *copy;
    struct weir_batch batch = {.type = &values->type, .columns = values->columns};
    for (uint32_t c = 0; c < batch.type->child_count; c++) {
        OK(weir_buffer_print(&text, error, c ? " | " : ""));
        print_value(&text, &batch.columns[c], row);
    }
    OK(weir_arena_copy(arena, text.data, text.size, &copy, error));
    return copy;
}

static void reference(struct weir_arena *arena, const struct values *left,
                      const struct values *right, bool except, bool all, struct weir_buffer *out)
{
    struct line_count *lines;
    uint32_t count = left->count + right->count;
    OK(weir_arena_zero(arena, count + 1, sizeof *lines, &lines, error));
    for (uint32_t i = 0; i < count; i++) {
        bool first = i < left->count;
        lines[i] = (struct line_count){.text = first ? row_text(arena, left, i)
                                                     : row_text(arena, right, i - left->count),
                                       .left = first,
                                       .right = !first};
    }
    qsort(lines, count, sizeof *lines, compare_counts);
    for (uint32_t i = 0, next; i < count; i = next) {
        uint32_t l = 0, r = 0, copies;
        for (next = i; next < count && strcmp(lines[next].text, lines[i].text) == 0; next++) {
            l += lines[next].left;
            r += lines[next].right;
        }
        if (except)
            copies = all ? (l > r ? l - r : 0) : l && !r;
        else
            copies = all ? (l < r ? l : r) : l && r;
        while (copies--)
            OK(weir_buffer_print(out, error, "%s\n", lines[i].text));
    }
}

static void check(struct weir_arena *arena, struct values *left, struct values *right, bool except,
                  bool all, struct way way)
{
    struct weir_operator *children[2] = {scan_of(arena, left), scan_of(arena, right)};
    struct weir_operator root = {.kind = WEIR_OP_SET,
                                 .type = left->type,
                                 .children = children,
                                 .child_count = 2,
                                 .except = except,
                                 .all = all};
    WEIR_AUTO(weir_buffer) got = {.account = arena->account};
    WEIR_AUTO(weir_buffer) got_sorted = {.account = arena->account};
    WEIR_AUTO(weir_buffer) want = {.account = arena->account};
    WEIR_AUTO(weir_buffer) want_sorted = {.account = arena->account};
    WEIR_AUTO(weir_buffer) other = {.account = arena->account};
    char what[80];
    snprintf(what, sizeof what, "except %d all %d spill %d", except, all, way.spill);
    OK(run_plan(&root, way, &got, error));
    reference(arena, left, right, except, all, &want);
    sort_lines(arena, &got, &got_sorted);
    sort_lines(arena, &want, &want_sorted);
    expect_same_text(&got_sorted, &want_sorted, what);
    way.threads = 3 - way.threads;
    OK(run_plan(&root, way, &other, error));
    expect_same_text(&other, &got, what);
}

static void random_sets(uint64_t seed, uint32_t count, bool spill)
{
    static const char *const types[] = {"struct<a:long>",
                                        "struct<a:int, b:string>",
                                        "struct<a:double>",
                                        "struct<a:boolean, b:decimal(20,2)>",
                                        "struct<a:list<int>, b:boolean>",
                                        "struct<a:struct<x:float, y:string>>"};
    static const uint32_t sizes[] = {0, 1, 100, 300, 300};
    struct dice dice = {seed};
    for (uint32_t i = 0; i < count; i++) {
        struct weir_account account;
        struct weir_arena arena;
        weir_account_init(&account, NULL, "test", 0);
        weir_arena_init(&arena, &account);
        const char *type = types[roll_below(&dice, 6)];
        uint32_t nulls = roll(&dice) & 1 ? 20 : 0;
        struct values *left = values_random(&arena, &dice, type, sizes[roll_below(&dice, 5)],
                                            nulls);
        struct values *right = values_random(&arena, &dice, type, sizes[roll_below(&dice, 5)],
                                             nulls);
        struct way way = {.threads = 1 + (int)(roll(&dice) & 1),
                          .batch_rows = roll_below(&dice, 3) ? 0 : 16,
                          .force = (enum weir_vector_kind)roll_below(&dice, 3),
                          .spill = spill};
        check(&arena, left, right, i & 1, i & 2, way);
        weir_arena_done(&arena);
    }
}

Test(set, random_in_memory)
{
    random_sets(1, 200, false);
}

Test(set, random_spilled)
{
    random_sets(2, 100, true);
}

/* A partition of a file that is read in several passes. */
Test(set, passes)
{
    struct weir_account account;
    struct weir_arena arena;
    struct dice dice = {3};
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    const char *type = "struct<a:int, b:fixed(60000)>";
    struct values *sides[2];
    for (int s = 0; s < 2; s++) {
        sides[s] = values_new(&arena, type);
        sides[s]->count = 1200;
        sides[s]->columns[0] = random_flat(&arena, &dice, &sides[s]->type.children[0].type, 1200,
                                           20);
        OK(weir_vector_make(&arena, &sides[s]->type.children[1].type, 1200, 0,
                            &sides[s]->columns[1], error));
        sides[s]->columns[1].count = 1200;
        memset(sides[s]->columns[1].values, 0, 1200 * 60000);
        for (uint32_t i = 0; i < 1200; i++)
            ((uint8_t *)sides[s]->columns[1].values)[i * 60000] = (uint8_t)(i / 200);
    }
    struct weir_operator *children[2] = {scan_of(&arena, sides[0]), scan_of(&arena, sides[1])};
    uint64_t rows[2];
    for (int all = 0; all < 2; all++) {
        struct weir_operator root = {.kind = WEIR_OP_SET,
                                     .type = sides[0]->type,
                                     .children = children,
                                     .child_count = 2,
                                     .all = all};
        WEIR_AUTO(weir_buffer) here = {.account = &account}, there = {.account = &account};
        OK(run_plan(&root, (struct way){.threads = 1, .batch_rows = 8}, &here, error));
        OK(run_plan(&root, (struct way){.threads = 1, .batch_rows = 8, .spill = true}, &there,
                    error));
        WEIR_AUTO(weir_buffer) a = {.account = &account}, b = {.account = &account};
        sort_lines(&arena, &here, &a);
        sort_lines(&arena, &there, &b);
        expect_same_text(&b, &a, "passes");
        rows[all] = atomic_load(&root.counters.rows_out);
    }
    cr_assert_gt(rows[1], rows[0]);
    weir_arena_done(&arena);
}
