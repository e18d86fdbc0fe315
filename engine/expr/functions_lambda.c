/* Functions of lists that take a lambda. Its body is evaluated once over the elements of all rows,
 * as a batch of their own: [parameters, captures]. */
#include "engine/expr/function_list.h"

#include <string.h>

/* ---- binding ---- */

static weir_status bind_transform(struct weir_arena *arena, struct weir_node *call,
                                  struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_LIST || call->arguments[1]->kind != WEIR_NODE_LAMBDA)
        return bind_wrong(call, reterr);
    call->arguments[1]->arguments[0]->unknown = false;
    return list_type(arena, &call->arguments[1]->arguments[0]->type, &call->type, reterr);
}

static weir_status bind_filter(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    if (call->arguments[0]->type.id != WEIR_LIST || call->arguments[1]->kind != WEIR_NODE_LAMBDA)
        return bind_wrong(call, reterr);
    struct weir_node **body = &call->arguments[1]->arguments[0];
    if ((*body)->unknown)
        WEIR_TRY(weir_node_cast(arena, *body, &boolean, true, false, body, reterr));
    if ((*body)->type.id != WEIR_BOOLEAN)
        return weir_fail(reterr, WEIR_USAGE, "%s needs a lambda that is a condition, not a %s",
                         call->function->name, weir_type_name((*body)->type.id));
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

/* The lambda's value becomes the type that it is given back as. */
static weir_status bind_reduce(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    struct weir_node *lambda = call->arguments[1];
    if (call->arguments[0]->type.id != WEIR_LIST || lambda->kind != WEIR_NODE_LAMBDA ||
        lambda->parameter_count != 2)
        return bind_wrong(call, reterr);
    call->type = call->arguments[0]->type.children[0].type;
    if (call->argument_count == 3) {
        call->arguments[2]->unknown = false;
        call->type = call->arguments[2]->type;
    }
    return weir_node_cast(arena, lambda->arguments[0], &call->type, false, false,
                          &lambda->arguments[0], reterr);
}

/* ---- the lambda's batch ---- */

struct lambda {
    const struct weir_node *node;
    struct weir_vector *columns, *captured; /* captured: over the outer rows */
    struct weir_type type;                  /* of the batch */
};

static weir_status lambda_begin(struct weir_evaluation *evaluation, const struct weir_node *node,
                                struct lambda *ret, struct weir_error *reterr)
{
    struct lambda made = {.node = node, .type = {.id = WEIR_STRUCT}};
    made.type.child_count = node->parameter_count + node->capture_count;
    WEIR_TRY(weir_arena_zero(evaluation->arena, made.type.child_count + 1, sizeof *made.columns,
                             &made.columns, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, made.type.child_count + 1,
                             sizeof *made.type.children, &made.type.children, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, node->capture_count + 1, sizeof *made.captured,
                             &made.captured, reterr));
    for (uint32_t i = 0; i < node->capture_count; i++) {
        WEIR_TRY(weir_node_evaluate(evaluation, node->captures[i], &made.captured[i], reterr));
        made.captured[i].count = evaluation->count;
    }
    *ret = made;
    return WEIR_OK;
}

/* The body over `count` rows of the columns; failures are in inner. */
static weir_status lambda_run(struct weir_evaluation *inner, struct lambda *lambda,
                              struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_batch batch = {&lambda->type, inner->count, lambda->columns};
    for (uint32_t i = 0; i < lambda->type.child_count; i++)
        lambda->type.children[i] = (struct weir_field){.name = "",
                                                       .type = *lambda->columns[i].type};
    inner->batch = &batch;
    WEIR_TRY(weir_node_evaluate(inner, lambda->node->arguments[0], ret, reterr));
    inner->batch = NULL;
    ret->count = inner->count;
    return weir_vector_flatten(inner->arena, ret, ret, reterr);
}

/* Columns for the elements of a flat list. */
static weir_status element_columns(struct weir_evaluation *evaluation, struct lambda *lambda,
                                   const struct weir_vector *list, uint32_t total,
                                   struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_LONG};
    const struct weir_node *node = lambda->node;
    struct weir_arena *arena = evaluation->arena;
    uint32_t *rows = NULL;
    lambda->columns[0] = list->children[0];
    lambda->columns[0].count = total;
    if (node->parameter_count > 1) {
        int64_t *places;
        WEIR_TRY(weir_arena_alloc(arena, ((size_t)total + 8) * sizeof *places, &places, reterr));
        for (uint32_t i = 0; i < list->count; i++)
            for (int32_t e = list->offsets[i]; e < list->offsets[i + 1]; e++)
                places[e] = e - list->offsets[i] + 1;
        lambda->columns[1] = (struct weir_vector){
            .type = &number, .kind = WEIR_FLAT, .count = total, .values = places};
    }
    for (uint32_t c = 0; c < node->capture_count; c++) {
        struct weir_vector *column = &lambda->columns[node->parameter_count + c];
        *column = lambda->captured[c];
        column->count = total;
        if (column->kind == WEIR_CONSTANT)
            continue;
        if (!rows) {
            WEIR_TRY(weir_arena_alloc(arena, ((size_t)total + 16) * sizeof *rows, &rows, reterr));
            for (uint32_t i = 0; i < list->count; i++)
                for (int32_t e = list->offsets[i]; e < list->offsets[i + 1]; e++)
                    rows[e] = i;
        }
        WEIR_TRY(weir_vector_slice(arena, &lambda->captured[c], rows, total, column, reterr));
    }
    return WEIR_OK;
}

/* A row fails if one of its elements did. */
static weir_status hand_on_failures(struct weir_evaluation *evaluation,
                                    const struct weir_evaluation *inner,
                                    const struct weir_vector *list, struct weir_error *reterr)
{
    for (uint32_t i = 0; inner->failed && i < list->count; i++)
        for (int32_t e = list->offsets[i]; e < list->offsets[i + 1]; e++)
            if (weir_bit_get(inner->failed, (size_t)e)) {
                WEIR_TRY(weir_evaluation_fail(evaluation, inner->failed_node, i, reterr, "%s",
                                              inner->failed_text));
                break;
            }
    return WEIR_OK;
}

/* Flat list, and the lambda's value for each element. */
static weir_status over_elements(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *argument, struct weir_vector *ret_list,
                                 struct weir_vector *ret_values, struct weir_error *reterr)
{
    struct lambda lambda;
    struct weir_evaluation inner = {.arena = evaluation->arena};
    WEIR_TRY(weir_vector_flatten(evaluation->arena, argument, ret_list, reterr));
    inner.count = ret_list->count ? (uint32_t)ret_list->offsets[ret_list->count] : 0;
    WEIR_TRY(lambda_begin(evaluation, call->arguments[1], &lambda, reterr));
    WEIR_TRY(element_columns(evaluation, &lambda, ret_list, inner.count, reterr));
    WEIR_TRY(lambda_run(&inner, &lambda, ret_values, reterr));
    return hand_on_failures(evaluation, &inner, ret_list, reterr);
}

/* ---- transform, filter ---- */

static weir_status evaluate_transform(struct weir_evaluation *evaluation,
                                      const struct weir_node *call,
                                      const struct weir_vector *arguments, struct weir_vector *ret,
                                      struct weir_error *reterr)
{
    struct weir_vector list, *values;
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *values, &values, reterr));
    WEIR_TRY(over_elements(evaluation, call, &arguments[0], &list, values, reterr));
    values->type = &call->type.children[0].type;
    *ret = (struct weir_vector){.type = &call->type,
                                .kind = WEIR_FLAT,
                                .count = evaluation->count,
                                .validity = list.validity,
                                .null_count = list.null_count,
                                .offsets = list.offsets,
                                .children = values};
    return WEIR_OK;
}

static weir_status evaluate_filter(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    struct weir_arena *arena = evaluation->arena;
    struct weir_vector list, keep, *child;
    int32_t *offsets;
    uint32_t *rows, kept = 0;
    WEIR_TRY(over_elements(evaluation, call, &arguments[0], &list, &keep, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)list.count + 17, sizeof *offsets, &offsets, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)keep.count + 16) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < list.count; i++) {
        for (int32_t e = list.offsets[i]; e < list.offsets[i + 1]; e++)
            if (weir_bit_get(keep.values, (size_t)e) &&
                (!keep.validity || weir_bit_get(keep.validity, (size_t)e)))
                rows[kept++] = (uint32_t)e;
        offsets[i + 1] = (int32_t)kept;
    }
    struct weir_selection selection = {kept, rows};
    struct weir_vector all = list.children[0];
    all.count = keep.count;
    WEIR_TRY(weir_vector_gather(arena, &all, &selection, child, reterr));
    child->type = &call->type.children[0].type;
    *ret = list;
    ret->type = &call->type;
    ret->offsets = offsets;
    ret->children = child;
    return WEIR_OK;
}

/* ---- reduce: the n-th elements of all rows at once ---- */

/* The n-th element of each row (from 0), that of row 0 where there is none; source[i] = 1 where
 * there is one. false: nowhere. */
static bool nth_elements(const struct weir_vector *list, int32_t n, uint32_t *picks,
                         uint32_t *source)
{
    bool some = false;
    for (uint32_t i = 0; i < list->count; i++) {
        bool there = list->offsets[i + 1] - list->offsets[i] > n;
        picks[i] = there ? (uint32_t)(list->offsets[i] + n) : 0;
        source[i] = there;
        some |= there;
    }
    return some;
}

static weir_status reduce_step(struct weir_evaluation *evaluation, struct lambda *lambda,
                               const uint32_t *source, struct weir_vector *value,
                               const struct weir_type *type, struct weir_error *reterr)
{
    struct weir_evaluation inner = {.arena = evaluation->arena, .count = evaluation->count};
    struct weir_vector either[2] = {*value};
    lambda->columns[0] = *value;
    for (uint32_t c = 0; c < lambda->node->capture_count; c++)
        lambda->columns[2 + c] = lambda->captured[c];
    WEIR_TRY(lambda_run(&inner, lambda, &either[1], reterr));
    for (uint32_t i = 0; inner.failed && i < inner.count; i++)
        if (source[i] && weir_bit_get(inner.failed, i))
            WEIR_TRY(weir_evaluation_fail(evaluation, inner.failed_node, i, reterr, "%s",
                                          inner.failed_text));
    return weir_vectors_choose(evaluation->arena, either, source, evaluation->count, type, value,
                               reterr);
}

static weir_status evaluate_reduce(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    struct weir_arena *arena = evaluation->arena;
    uint32_t count = evaluation->count, *picks, *source;
    struct weir_vector list, value = {0};
    struct lambda lambda;
    int32_t n = 0;
    WEIR_TRY(weir_vector_flatten(arena, &arguments[0], &list, reterr));
    WEIR_TRY(lambda_begin(evaluation, call->arguments[1], &lambda, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)count + 16, sizeof *picks, &picks, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)count + 16, sizeof *source, &source, reterr));
    bool some = nth_elements(&list, 0, picks, source);
    if (call->argument_count == 3) {
        WEIR_TRY(weir_vector_flatten(arena, &arguments[2], &value, reterr));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            bool none = !source[i] && (!ret->validity || weir_bit_get(ret->validity, i));
            if (none)
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                              "%s of an empty list without a first value",
                                              call->function->name));
            picks[i] = source[i] ? picks[i] : LIST_NO_PICK;
        }
        value = (struct weir_vector){.validity = ret->validity};
        WEIR_TRY(list_pick(evaluation, &call->type, &list.children[0], picks, &value, reterr));
        some = nth_elements(&list, ++n, picks, source);
    }
    for (; some; some = nth_elements(&list, ++n, picks, source)) {
        WEIR_TRY(
            weir_vector_slice(arena, &list.children[0], picks, count, &lambda.columns[1], reterr));
        value.count = count;
        WEIR_TRY(reduce_step(evaluation, &lambda, source, &value, &call->type, reterr));
    }
    value.count = count;
    WEIR_TRY(weir_vector_flatten(arena, &value, &value, reterr));
    WEIR_TRY(expr_merge_validity(evaluation, ret, &value.validity, reterr));
    value.type = &call->type;
    *ret = value;
    return WEIR_OK;
}

#define LAMBDA(name, signature, doc, most, bind, evaluate)                                         \
    {                                                                                              \
        name, "lists", name signature, doc, WEIR_FUNCTION_STRICT, 2, most, bind, evaluate, NULL    \
    }
#define TRANSFORM(name)                                                                            \
    LAMBDA(name, "(list, x -> f(x))", "f of each element", 2, bind_transform, evaluate_transform)
#define FILTER(name)                                                                               \
    LAMBDA(name, "(list, x -> condition)", "the elements for which it is true", 2, bind_filter,    \
           evaluate_filter)
#define REDUCE(name)                                                                               \
    LAMBDA(name, "(list, (a, x) -> f(a, x), first)",                                               \
           "f of all elements, one after the other, from the first", 3, bind_reduce,               \
           evaluate_reduce)

const struct weir_function functions_lambda[] = {
    TRANSFORM("list_transform"),
    TRANSFORM("list_apply"),
    TRANSFORM("array_transform"),
    TRANSFORM("array_apply"),
    TRANSFORM("transform"),
    TRANSFORM("apply"),
    FILTER("list_filter"),
    FILTER("array_filter"),
    FILTER("filter"),
    REDUCE("list_reduce"),
    REDUCE("array_reduce"),
    REDUCE("reduce"),
    {0},
};
