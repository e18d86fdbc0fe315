/* Joins of every kind against a nested loop over printed values. */
#include "tests/unit/exec/plan_help.h"

enum { A_COLUMN = 2, COLUMNS = 4 }; /* of each side: two keys, a long, a string */

struct fixture {
    struct weir_account account;
    struct weir_arena arena;
};

static void setup(struct fixture *fixture)
{
    weir_account_init(&fixture->account, NULL, "test", 0);
    weir_arena_init(&fixture->arena, &fixture->account);
}

static void teardown(struct fixture *fixture)
{
    weir_arena_done(&fixture->arena);
}

struct problem {
    struct values *left, *right;
    enum weir_join_kind kind;
    uint32_t key_count;
    bool null_safe[2];
    bool filter;
    bool runtime; /* the probe side's scan is told what keys there are */
};

/* ---- the plan ---- */

static bool gives_left(enum weir_join_kind kind)
{
    return kind != WEIR_JOIN_RIGHT_SEMI && kind != WEIR_JOIN_RIGHT_ANTI;
}

static bool gives_right(enum weir_join_kind kind)
{
    return kind != WEIR_JOIN_SEMI && kind != WEIR_JOIN_ANTI && kind != WEIR_JOIN_MARK;
}

static struct weir_operator *plan_of(struct weir_arena *arena, const struct problem *problem)
{
    struct weir_operator *join;
    struct weir_type *left = &problem->left->type, *right = &problem->right->type;
    OK(weir_arena_zero(arena, 1, sizeof *join, &join, error));
    join->kind = WEIR_OP_JOIN;
    join->join = problem->kind;
    join->child_count = 2;
    OK(weir_arena_zero(arena, 2, sizeof *join->children, &join->children, error));
    join->children[0] = scan_of(arena, problem->left);
    join->children[1] = scan_of(arena, problem->right);
    OK(weir_arena_zero(arena, 2, sizeof *join->left_keys, &join->left_keys, error));
    OK(weir_arena_zero(arena, 2, sizeof *join->right_keys, &join->right_keys, error));
    join->key_count = problem->key_count;
    join->null_safe = problem->null_safe;
    for (uint32_t k = 0; k < problem->key_count; k++) {
        join->left_keys[k] = column_of(arena, left, k, 0);
        join->right_keys[k] = column_of(arena, right, k, 0);
    }
    if (problem->runtime && problem->key_count) {
        struct weir_operator *scan = join->children[0];
        OK(weir_arena_zero(arena, 2, sizeof *scan->runtime, &scan->runtime, error));
        scan->runtime_count = problem->key_count;
        for (uint32_t r = 0; r < problem->key_count; r++)
            scan->runtime[r] = (struct weir_runtime_filter){join, r, r};
    }
    if (problem->filter)
        join->filter = less_of(arena, column_of(arena, left, A_COLUMN, 0),
                               column_of(arena, right, A_COLUMN, COLUMNS));
    join->type.id = WEIR_STRUCT;
    OK(weir_arena_zero(arena, 2 * COLUMNS + 1, sizeof *join->type.children, &join->type.children,
                       error));
    uint32_t at = 0;
    for (uint32_t c = 0; gives_left(problem->kind) && c < COLUMNS; c++)
        join->type.children[at++] = left->children[c];
    for (uint32_t c = 0; gives_right(problem->kind) && c < COLUMNS; c++)
        join->type.children[at++] = right->children[c];
    if (problem->kind == WEIR_JOIN_MARK)
        join->type.children[at++].type = (struct weir_type){.id = WEIR_BOOLEAN};
    join->type.child_count = at;
    return join;
}

/* ---- the reference ---- */

struct texts {
    char **cells; /* count x COLUMNS */
    uint32_t count;
};

static struct texts texts_of(struct fixture *fixture, const struct values *values)
{
    struct texts texts = {.count = values->count};
    OK(weir_arena_zero(&fixture->arena, values->count * COLUMNS + 1, sizeof *texts.cells,
                       &texts.cells, error));
    for (uint32_t row = 0; row < values->count; row++)
        for (uint32_t c = 0; c < COLUMNS; c++) {
            WEIR_AUTO(weir_buffer) text = {.account = &fixture->account};
            print_cell(&text, &values->columns[c], row);
            OK(weir_arena_copy(&fixture->arena, text.data, text.size,
                               &texts.cells[row * COLUMNS + c], error));
        }
    return texts;
}

enum truth { NO, UNKNOWN, YES };

static enum truth key_truth(const struct problem *problem, uint32_t key, const char *a,
                            const char *b)
{
    bool null_a = strcmp(a, "null") == 0, null_b = strcmp(b, "null") == 0;
    if (null_a || null_b) {
        if (problem->null_safe[key])
            return null_a && null_b ? YES : NO;
        return UNKNOWN;
    }
    return strcmp(a, b) == 0 ? YES : NO;
}

static enum truth pair_truth(const struct problem *problem, const struct texts *left, uint32_t l,
                             const struct texts *right, uint32_t r)
{
    enum truth truth = YES;
    for (uint32_t k = 0; k < problem->key_count; k++) {
        enum truth key = key_truth(problem, k, left->cells[l * COLUMNS + k],
                                   right->cells[r * COLUMNS + k]);
        truth = key < truth ? key : truth;
    }
    if (problem->filter) {
        const struct weir_vector *a = &problem->left->columns[A_COLUMN],
                                 *b = &problem->right->columns[A_COLUMN];
        if (!weir_vector_valid(a, l) || !weir_vector_valid(b, r) ||
            ((int64_t *)a->values)[l] >= ((int64_t *)b->values)[r])
            return NO;
    }
    return truth;
}

/* side NULL: nulls; left_row UINT32_MAX: left columns are null. */
static void put(struct weir_buffer *out, const struct texts *left, uint32_t l,
                const struct texts *right, uint32_t r, const char *mark)
{
    const char *between = "";
    for (uint32_t c = 0; left && c < COLUMNS; c++, between = " | ")
        OK(weir_buffer_print(out, error, "%s%s", between,
                             l == UINT32_MAX ? "null" : left->cells[l * COLUMNS + c]));
    for (uint32_t c = 0; right && c < COLUMNS; c++, between = " | ")
        OK(weir_buffer_print(out, error, "%s%s", between,
                             r == UINT32_MAX ? "null" : right->cells[r * COLUMNS + c]));
    if (mark)
        OK(weir_buffer_print(out, error, " | %s", mark));
    OK(weir_buffer_print(out, error, "\n"));
}

static bool put_left_row(const struct problem *problem, struct weir_buffer *out,
                         const struct texts *left, uint32_t l, const struct texts *right,
                         bool *matched)
{
    enum weir_join_kind kind = problem->kind;
    uint32_t partners = 0;
    bool unsure = false;
    bool pairs = kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_LEFT || kind == WEIR_JOIN_RIGHT ||
                 kind == WEIR_JOIN_FULL || kind == WEIR_JOIN_SINGLE;
    for (uint32_t r = 0; r < right->count; r++) {
        enum truth truth = pair_truth(problem, left, l, right, r);
        unsure |= truth == UNKNOWN;
        if (truth != YES)
            continue;
        partners++;
        matched[r] = true;
        if (pairs)
            put(out, left, l, right, r, NULL);
    }
    if (kind == WEIR_JOIN_MARK)
        put(out, left, l, NULL, 0, partners ? "true" : unsure ? "null" : "false");
    if ((kind == WEIR_JOIN_SEMI && partners) || (kind == WEIR_JOIN_ANTI && !partners))
        put(out, left, l, NULL, 0, NULL);
    if (!partners && (kind == WEIR_JOIN_LEFT || kind == WEIR_JOIN_FULL || kind == WEIR_JOIN_SINGLE))
        put(out, left, l, right, UINT32_MAX, NULL);
    return kind != WEIR_JOIN_SINGLE || partners < 2;
}

/* false: an error is right. */
static bool reference(struct fixture *fixture, const struct problem *problem,
                      struct weir_buffer *out)
{
    struct texts left = texts_of(fixture, problem->left), right = texts_of(fixture, problem->right);
    enum weir_join_kind kind = problem->kind;
    bool *matched, good = true;
    OK(weir_arena_zero(&fixture->arena, right.count + 1, sizeof *matched, &matched, error));
    for (uint32_t l = 0; l < left.count; l++)
        good &= put_left_row(problem, out, &left, l, &right, matched);
    for (uint32_t r = 0; r < right.count; r++) {
        if ((kind == WEIR_JOIN_RIGHT_SEMI && matched[r]) ||
            (kind == WEIR_JOIN_RIGHT_ANTI && !matched[r]))
            put(out, NULL, 0, &right, r, NULL);
        if ((kind == WEIR_JOIN_RIGHT || kind == WEIR_JOIN_FULL) && !matched[r])
            put(out, &left, UINT32_MAX, &right, r, NULL);
    }
    return good;
}

static void check(struct fixture *fixture, const struct problem *problem, struct way way)
{
    WEIR_AUTO(weir_buffer) got = {.account = &fixture->account};
    WEIR_AUTO(weir_buffer) got_sorted = {.account = &fixture->account};
    WEIR_AUTO(weir_buffer) want = {.account = &fixture->account};
    WEIR_AUTO(weir_buffer) want_sorted = {.account = &fixture->account};
    WEIR_AUTO(weir_buffer) other = {.account = &fixture->account};
    struct weir_operator *plan = plan_of(&fixture->arena, problem);
    struct weir_error failure = {0};
    char what[200];
    snprintf(what, sizeof what, "kind %d, %u keys (%s), safe %d %d, filter %d, rows %u %u, %s",
             (int)problem->kind, problem->key_count,
             weir_type_name(problem->left->columns[0].type->id), problem->null_safe[0],
             problem->null_safe[1], problem->filter, problem->left->count, problem->right->count,
             way.spill ? "spilled" : "in memory");
    bool good = reference(fixture, problem, &want);
    weir_status status = run_plan(plan, way, &got, &failure);
    if (!good) {
        cr_assert_eq(status, WEIR_FAILED, "%s", what);
        cr_assert(strstr(failure.text, "more than one row"), "%s: %s", what, failure.text);
        return;
    }
    cr_assert_eq(status, WEIR_OK, "%s: %s", what, failure.text);
    sort_lines(&fixture->arena, &got, &got_sorted);
    sort_lines(&fixture->arena, &want, &want_sorted);
    expect_same_text(&got_sorted, &want_sorted, what);
    way.threads = 3 - way.threads;
    OK(run_plan(plan, way, &other, error));
    expect_same_text(&other, &got, what);
}

static const char *const key_types[] = {"long",
                                        "int",
                                        "string",
                                        "double",
                                        "boolean",
                                        "date",
                                        "uuid",
                                        "decimal(30,3)",
                                        "float",
                                        "list<int>",
                                        "binary",
                                        "fixed(5)",
                                        "struct<a:int, b:string, c:double>"};

static struct values *side(struct fixture *fixture, struct dice *dice, const char *first,
                           const char *second, uint32_t most, uint32_t nulls)
{
    static const uint32_t some[] = {0, 1, 3, 40};
    char type[200];
    uint32_t count = roll_below(dice, 3) ? most : some[roll_below(dice, 4)];
    snprintf(type, sizeof type, "struct<k:%s, l:%s, a:long, s:string>", first, second);
    return values_random(&fixture->arena, dice, type, count, nulls);
}

static void random_joins(uint64_t seed, uint32_t count, bool spill)
{
    struct dice dice = {seed};
    for (uint32_t i = 0; i < count; i++) {
        struct fixture fixture;
        struct problem problem = {
            .kind = (enum weir_join_kind)(i % 10),
            .key_count = i / 10 % 4 ? 1 + (i / 10 % 4 == 3) : 0,
            .null_safe = {roll_below(&dice, 3) == 0, roll_below(&dice, 3) == 0},
            .filter = roll(&dice) & 1};
        struct way way = {.threads = 1 + (int)(roll(&dice) & 1),
                          .batch_rows = roll_below(&dice, 3) ? 0 : 16,
                          .force = (enum weir_vector_kind)roll_below(&dice, 3),
                          .spill = spill};
        const char *first = key_types[roll_below(&dice, sizeof key_types / sizeof *key_types)],
                   *second = key_types[roll_below(&dice, 3)];
        uint32_t nulls = roll(&dice) & 1 ? 20 : 0;
        problem.runtime = roll(&dice) & 1 &&
                          (problem.kind == WEIR_JOIN_INNER || problem.kind == WEIR_JOIN_SEMI ||
                           problem.kind == WEIR_JOIN_RIGHT ||
                           problem.kind == WEIR_JOIN_RIGHT_SEMI ||
                           problem.kind == WEIR_JOIN_RIGHT_ANTI);
        setup(&fixture);
        problem.left = side(&fixture, &dice, first, second, 90, nulls);
        problem.right = side(&fixture, &dice, first, second,
                             problem.kind == WEIR_JOIN_SINGLE ? 2 : 70, nulls);
        check(&fixture, &problem, way);
        teardown(&fixture);
    }
}

Test(join, random_in_memory)
{
    random_joins(1, 700, false);
}

Test(join, random_spilled)
{
    random_joins(2, 400, true);
}

/* One key's build rows are more than a chunk holds, and so are those of a nested loop. */
Test(join, chunks)
{
    struct dice dice = {3};
    for (uint32_t kind = 0; kind < 10; kind++)
        for (uint32_t variant = 0; variant < 6; variant++) {
            struct fixture fixture;
            struct problem problem = {.kind = (enum weir_join_kind)kind,
                                      .key_count = variant % 3,
                                      .filter = variant >= 3};
            const char *type = "struct<k:int, l:int, a:long, s:fixed(4000)>";
            setup(&fixture);
            problem.left = values_random(&fixture.arena, &dice,
                                         "struct<k:int, l:int, a:long, s:int>", 5, 20);
            problem.right = values_random(&fixture.arena, &dice, type, 1200, 20);
            for (uint32_t i = 0; i < 1200; i++) {
                ((int32_t *)problem.right->columns[0].values)[i] = i < 1190 ? 7 : (int32_t)i;
                ((int32_t *)problem.right->columns[1].values)[i] = (int32_t)i % 3;
            }
            for (uint32_t i = 0; i < 5; i++) {
                ((int32_t *)problem.left->columns[0].values)[i] = i < 2 ? 7 : 1190 + (int32_t)i;
                ((int32_t *)problem.left->columns[1].values)[i] = (int32_t)i % 3;
            }
            if (kind == WEIR_JOIN_SINGLE && problem.key_count == 1)
                memset(problem.left->columns[0].values, 0x11, 2 * sizeof(int32_t));
            check(&fixture, &problem, (struct way){.threads = 1, .batch_rows = 64, .spill = true});
            teardown(&fixture);
        }
}

/* What the plan's counters say of a join that went to files. */
Test(join, spills_are_counted)
{
    struct fixture fixture;
    struct dice dice = {4};
    struct problem problem = {.kind = WEIR_JOIN_INNER, .key_count = 1};
    setup(&fixture);
    WEIR_AUTO(weir_buffer) text = {.account = &fixture.account};
    problem.left = side(&fixture, &dice, "long", "int", 50, 0);
    problem.right = side(&fixture, &dice, "long", "int", 50, 0);
    struct weir_operator *plan = plan_of(&fixture.arena, &problem);
    OK(run_plan(plan, (struct way){.threads = 1, .spill = true}, &text, error));
    cr_assert_gt(atomic_load(&plan->counters.bytes_spilled), 0);
    teardown(&fixture);
}

/* Scans below the probe side drop what has no partner, by range, by list and by the table. */
Test(join, scans_are_told)
{
    static const char *const types[] = {"struct<k:long, l:int, a:long, s:int>",
                                        "struct<k:string, l:int, a:long, s:int>"};
    for (int variant = 0; variant < 4; variant++) {
        struct fixture fixture;
        struct dice dice = {5};
        struct problem problem = {.kind = WEIR_JOIN_INNER, .key_count = 1, .runtime = true};
        uint32_t build = variant < 2 ? 200 : 3; /* more than an IN list holds, or not */
        setup(&fixture);
        const char *type = types[variant % 2];
        problem.left = values_random(&fixture.arena, &dice, type, 3000, 0);
        problem.right = values_random(&fixture.arena, &dice, type, build, 0);
        for (int s = 0; s < 2 && variant % 2 == 0; s++)
            for (uint32_t i = 0; i < (s ? build : 3000); i++) {
                struct values *values = s ? problem.right : problem.left;
                ((int64_t *)values->columns[0].values)[i] = s ? 10 * (int64_t)i : (int64_t)i;
            }
        struct weir_operator *plan = plan_of(&fixture.arena, &problem);
        WEIR_AUTO(weir_buffer) text = {.account = &fixture.account};
        OK(run_plan(plan, (struct way){.threads = 1}, &text, error));
        uint64_t scanned = atomic_load(&plan->children[0]->counters.rows_out);
        if (variant % 2 == 0)
            cr_assert(scanned >= build && scanned < build + 100, "%zu", (size_t)scanned);
        else
            cr_assert_lt(scanned, 3000);
        check(&fixture, &problem, (struct way){.threads = 1});
        teardown(&fixture);
    }
}
