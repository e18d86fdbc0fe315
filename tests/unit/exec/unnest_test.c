/* UNNEST against a loop over the lists. */
#include "tests/unit/exec/plan_help.h"

/* Cells of one list's element at `element`, or nulls. */
static void put_element(struct weir_buffer *out, const struct weir_vector *list, uint32_t row,
                        uint32_t element)
{
    bool there = weir_vector_valid(list, row) &&
                 list->offsets[row] + (int32_t)element < list->offsets[row + 1];
    for (uint32_t c = 0; c < list->type->child_count; c++) {
        OK(weir_buffer_print(out, error, " | "));
        if (there)
            print_value(out, &list->children[c], (uint32_t)list->offsets[row] + element);
        else
            OK(weir_buffer_print(out, error, "null"));
    }
}

static uint32_t size_of(const struct weir_vector *list, uint32_t row)
{
    return weir_vector_valid(list, row) ? (uint32_t)(list->offsets[row + 1] - list->offsets[row])
                                        : 0;
}

static void reference(const struct values *values, uint32_t lists, bool outer, bool ordinality,
                      struct weir_buffer *out)
{
    for (uint32_t row = 0; row < values->count; row++) {
        uint32_t most = 0;
        for (uint32_t l = 0; l < lists; l++) {
            uint32_t size = size_of(&values->columns[l], row);
            most = size > most ? size : most;
        }
        for (uint32_t element = 0; element < most || (outer && !most && !element); element++) {
            for (uint32_t c = 0; c < values->type.child_count; c++) {
                OK(weir_buffer_print(out, error, c ? " | " : ""));
                print_value(out, &values->columns[c], row);
            }
            for (uint32_t l = 0; l < lists; l++)
                put_element(out, &values->columns[l], row, element);
            if (ordinality && most)
                OK(weir_buffer_print(out, error, " | %u", element + 1));
            else if (ordinality)
                OK(weir_buffer_print(out, error, " | null"));
            OK(weir_buffer_print(out, error, "\n"));
        }
    }
}

static struct weir_operator *plan_of(struct weir_arena *arena, struct values *values,
                                     uint32_t lists, bool outer, bool ordinality)
{
    struct weir_operator *unnest;
    uint32_t at = values->type.child_count;
    OK(weir_arena_zero(arena, 1, sizeof *unnest, &unnest, error));
    unnest->kind = WEIR_OP_UNNEST;
    unnest->outer = outer;
    unnest->ordinality = ordinality;
    unnest->child_count = 1;
    unnest->expression_count = lists;
    OK(weir_arena_zero(arena, 1, sizeof *unnest->children, &unnest->children, error));
    OK(weir_arena_zero(arena, lists, sizeof *unnest->expressions, &unnest->expressions, error));
    unnest->children[0] = scan_of(arena, values);
    OK(weir_arena_zero(arena, at + 2 * lists + 1, sizeof *unnest->type.children,
                       &unnest->type.children, error));
    memcpy(unnest->type.children, values->type.children, at * sizeof *unnest->type.children);
    for (uint32_t l = 0; l < lists; l++) {
        const struct weir_type *type = &values->type.children[l].type;
        unnest->expressions[l] = column_of(arena, &values->type, l, 0);
        for (uint32_t c = 0; c < type->child_count; c++)
            unnest->type.children[at++] = type->children[c];
    }
    if (ordinality)
        unnest->type.children[at++].type = (struct weir_type){.id = WEIR_LONG};
    unnest->type.id = WEIR_STRUCT;
    unnest->type.child_count = at;
    return unnest;
}

Test(unnest, random)
{
    static const char *const types[] = {
        "struct<l:list<int>, m:map<string, double>, a:long>",
        "struct<l:list<string>, m:list<list<int>>, s:string>",
        "struct<l:list<struct<x:int, y:list<string>>>, m:list<boolean>, d:decimal(9,2)>",
        "struct<l:map<int, list<long>>, m:list<uuid>, s:struct<a:int>>"};
    struct dice dice = {1};
    for (uint32_t i = 0; i < 400; i++) {
        struct weir_account account;
        struct weir_arena arena;
        weir_account_init(&account, NULL, "test", 0);
        weir_arena_init(&arena, &account);
        uint32_t lists = 1 + (uint32_t)(roll(&dice) & 1), count = roll_below(&dice, 150);
        bool outer = roll(&dice) & 1, ordinality = roll(&dice) & 1;
        struct values *values = values_random(&arena, &dice, types[i % 4], count,
                                              roll(&dice) & 1 ? 25 : 0);
        struct way way = {.threads = 1 + (int)(roll(&dice) & 1),
                          .batch_rows = roll_below(&dice, 3) ? 0 : 5,
                          .force = (enum weir_vector_kind)roll_below(&dice, 3)};
        WEIR_AUTO(weir_buffer) got = {.account = &account}, want = {.account = &account};
        OK(run_plan(plan_of(&arena, values, lists, outer, ordinality), way, &got, error));
        reference(values, lists, outer, ordinality, &want);
        expect_same_text(&got, &want, types[i % 4]);
        weir_arena_done(&arena);
    }
}
