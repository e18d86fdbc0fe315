/* Columns, sets of them, and walks over logical plans. */
#include "engine/sql/logical_int.h"

#include <string.h>

/* ---- lists ---- */

static weir_status grow(struct weir_arena *arena, void *items_pointer, uint32_t count,
                        uint32_t *capacity, size_t size, struct weir_error *reterr)
{
    void *grown, **items = items_pointer;
    if (count < *capacity)
        return WEIR_OK;
    uint32_t more = *capacity ? *capacity * 2 : 8;
    WEIR_TRY(weir_arena_zero(arena, more, size, &grown, reterr));
    if (count)
        memcpy(grown, *items, count * size);
    *items = grown;
    *capacity = more;
    return WEIR_OK;
}

weir_status nodes_add(struct sql *sql, struct nodes *nodes, struct weir_node *node,
                      struct weir_error *reterr)
{
    WEIR_TRY(grow(sql->arena, &nodes->items, nodes->count, &nodes->capacity, sizeof *nodes->items,
                  reterr));
    nodes->items[nodes->count++] = node;
    return WEIR_OK;
}

weir_status numbers_add(struct sql *sql, struct numbers *numbers, uint32_t number,
                        struct weir_error *reterr)
{
    WEIR_TRY(grow(sql->arena, &numbers->items, numbers->count, &numbers->capacity,
                  sizeof *numbers->items, reterr));
    numbers->items[numbers->count++] = number;
    return WEIR_OK;
}

bool numbers_have(const struct numbers *numbers, uint32_t number)
{
    for (uint32_t i = 0; i < numbers->count; i++)
        if (numbers->items[i] == number)
            return true;
    return false;
}

weir_status sql_column_new(struct sql *sql, const char *name, const struct weir_type *type,
                           uint32_t *ret_column, struct weir_error *reterr)
{
    WEIR_TRY(grow(sql->arena, &sql->columns, sql->column_count, &sql->column_capacity,
                  sizeof *sql->columns, reterr));
    char *copy; /* names come from the parse tree too, which goes before the plan */
    WEIR_TRY(weir_arena_copy(sql->arena, name, strlen(name), &copy, reterr));
    sql->columns[sql->column_count] = (struct column){.name = copy, .type = *type};
    *ret_column = sql->column_count++;
    return WEIR_OK;
}

weir_status sql_column_node(struct sql *sql, uint32_t column, int location, struct weir_node **ret,
                            struct weir_error *reterr)
{
    return weir_node_column(sql->arena, column, &sql->columns[column].type, location, ret, reterr);
}

/* ---- sets ---- */

weir_status columns_new(struct sql *sql, struct columns *ret, struct weir_error *reterr)
{
    uint32_t words = sql->column_count / 64 + 4;
    WEIR_TRY(weir_arena_zero(sql->arena, words, sizeof *ret->words, &ret->words, reterr));
    ret->word_count = words;
    return WEIR_OK;
}

weir_status columns_add(struct sql *sql, struct columns *set, uint32_t column,
                        struct weir_error *reterr)
{
    if (column / 64 >= set->word_count) {
        uint32_t words = column / 64 + 8;
        uint64_t *grown;
        WEIR_TRY(weir_arena_zero(sql->arena, words, sizeof *grown, &grown, reterr));
        memcpy(grown, set->words, set->word_count * sizeof *grown);
        set->words = grown;
        set->word_count = words;
    }
    set->words[column / 64] |= (uint64_t)1 << (column % 64);
    return WEIR_OK;
}

bool columns_within(const struct columns *set, const struct columns *of)
{
    for (uint32_t i = 0; i < set->word_count; i++)
        if (set->words[i] & ~(i < of->word_count ? of->words[i] : 0))
            return false;
    return true;
}

bool columns_meet(const struct columns *a, const struct columns *b)
{
    for (uint32_t i = 0; i < a->word_count && i < b->word_count; i++)
        if (a->words[i] & b->words[i])
            return true;
    return false;
}

bool columns_empty(const struct columns *set)
{
    for (uint32_t i = 0; i < set->word_count; i++)
        if (set->words[i])
            return false;
    return true;
}

struct collect {
    struct sql *sql;
    struct columns *into;
    weir_status status;
    struct weir_error *reterr;
};

static bool collect_column(void *self, const struct weir_node *node)
{
    struct collect *collect = self;
    if (node->kind == WEIR_NODE_COLUMN && collect->status == WEIR_OK)
        collect->status = columns_add(collect->sql, collect->into, node->index, collect->reterr);
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++)
        weir_node_walk(node->captures[i], collect_column, self);
    return false; /* the columns of its body are its own */
}

weir_status columns_of_node(struct sql *sql, const struct weir_node *node, struct columns *into,
                            struct weir_error *reterr)
{
    struct collect collect = {sql, into, WEIR_OK, reterr};
    if (node)
        weir_node_walk(node, collect_column, &collect);
    return collect.status;
}

/* ---- plans ---- */

weir_status logical_new(struct sql *sql, enum logical_kind kind, struct logical *child,
                        struct logical *other, struct logical **ret, struct weir_error *reterr)
{
    struct logical *plan;
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *plan, &plan, reterr));
    plan->kind = kind;
    plan->limit = -1;
    WEIR_TRY(weir_arena_zero(sql->arena, 2, sizeof *plan->children, &plan->children, reterr));
    if (child)
        plan->children[plan->child_count++] = child;
    if (other)
        plan->children[plan->child_count++] = other;
    *ret = plan;
    return WEIR_OK;
}

weir_status conjuncts(struct sql *sql, struct weir_node *node, struct nodes *into,
                      struct weir_error *reterr)
{
    if (node->kind != WEIR_NODE_AND)
        return nodes_add(sql, into, node, reterr);
    for (uint32_t i = 0; i < node->argument_count; i++)
        WEIR_TRY(conjuncts(sql, node->arguments[i], into, reterr));
    return WEIR_OK;
}

weir_status filter_on(struct sql *sql, struct logical *child, const struct nodes *conditions,
                      struct logical **ret, struct weir_error *reterr)
{
    struct logical *filter;
    if (conditions->count == 0) {
        *ret = child;
        return WEIR_OK;
    }
    if (child->kind == LOGICAL_FILTER)
        filter = child; /* one node for all conditions */
    else
        WEIR_TRY(logical_new(sql, LOGICAL_FILTER, child, NULL, &filter, reterr));
    for (uint32_t i = 0; i < conditions->count; i++)
        WEIR_TRY(nodes_add(sql, &filter->conditions, conditions->items[i], reterr));
    *ret = filter;
    return WEIR_OK;
}

static bool passes_left_only(const struct logical *plan)
{
    return plan->join == WEIR_JOIN_SEMI || plan->join == WEIR_JOIN_ANTI ||
           plan->join == WEIR_JOIN_MARK;
}

weir_status logical_output(struct sql *sql, const struct logical *plan, struct numbers *ret,
                           struct weir_error *reterr)
{
    bool passes = plan->kind == LOGICAL_FILTER || plan->kind == LOGICAL_SORT ||
                  plan->kind == LOGICAL_LIMIT || plan->kind == LOGICAL_WINDOW ||
                  plan->kind == LOGICAL_UNNEST || plan->kind == LOGICAL_JOIN;
    for (uint32_t i = 0; passes && i < plan->child_count; i++)
        if (i == 0 || plan->kind != LOGICAL_JOIN || !passes_left_only(plan))
            WEIR_TRY(logical_output(sql, plan->children[i], ret, reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++)
        if (plan->kind != LOGICAL_SHARED || !numbers_have(ret, plan->columns.items[i]))
            WEIR_TRY(numbers_add(sql, ret, plan->columns.items[i], reterr)); /* once */
    return WEIR_OK;
}

weir_status columns_of_output(struct sql *sql, const struct logical *plan, struct columns *ret,
                              struct weir_error *reterr)
{
    struct numbers output = {0};
    WEIR_TRY(columns_new(sql, ret, reterr));
    WEIR_TRY(logical_output(sql, plan, &output, reterr));
    for (uint32_t i = 0; i < output.count; i++)
        WEIR_TRY(columns_add(sql, ret, output.items[i], reterr));
    return WEIR_OK;
}

static weir_status visit_nodes(struct nodes *nodes, visit_node visit, void *self,
                               struct weir_error *reterr)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        WEIR_TRY(visit(self, &nodes->items[i], reterr));
    return WEIR_OK;
}

static weir_status visit_call(struct weir_aggregate_call *call, visit_node visit, void *self,
                              struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(visit(self, &call->arguments[i], reterr));
    for (uint32_t i = 0; i < call->order_count; i++)
        WEIR_TRY(visit(self, &call->order[i], reterr));
    return call->filter ? visit(self, &call->filter, reterr) : WEIR_OK;
}

weir_status logical_visit(struct logical *plan, visit_node visit, void *self,
                          struct weir_error *reterr)
{
    WEIR_TRY(visit_nodes(&plan->expressions, visit, self, reterr));
    WEIR_TRY(visit_nodes(&plan->conditions, visit, self, reterr));
    WEIR_TRY(visit_nodes(&plan->partition, visit, self, reterr));
    for (uint32_t i = 0; i < plan->call_count; i++)
        WEIR_TRY(visit_call(&plan->calls[i], visit, self, reterr));
    for (uint32_t i = 0; i < plan->window_count; i++)
        WEIR_TRY(visit_call(&plan->windows[i].aggregate, visit, self, reterr));
    for (uint32_t i = 0; i < plan->sort_count; i++)
        WEIR_TRY(visit(self, &plan->sort[i].node, reterr));
    if (plan->kind == LOGICAL_VALUES)
        for (uint64_t i = 0; i < plan->row_count * plan->columns.count; i++)
            WEIR_TRY(visit(self, &plan->values[i], reterr));
    return WEIR_OK;
}

static weir_status visit_used(void *self, struct weir_node **node, struct weir_error *reterr)
{
    struct collect *collect = self;
    return columns_of_node(collect->sql, *node, collect->into, reterr);
}

static weir_status used_inside(struct sql *sql, struct logical *plan, struct columns *used,
                               struct columns *made, struct weir_error *reterr)
{
    struct collect collect = {sql, used, WEIR_OK, reterr};
    WEIR_TRY(logical_visit(plan, visit_used, &collect, reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++) {
        uint32_t column = plan->columns.items[i];
        bool passed = (plan->kind == LOGICAL_PROJECT || plan->kind == LOGICAL_AGGREGATE) &&
                      i < plan->expressions.count &&
                      plan->expressions.items[i]->kind == WEIR_NODE_COLUMN &&
                      plan->expressions.items[i]->index == column;
        if (!passed)
            WEIR_TRY(columns_add(sql, made, column, reterr));
    }
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(used_inside(sql, plan->children[i], used, made, reterr));
    return WEIR_OK;
}

weir_status columns_free(struct sql *sql, const struct logical *plan, struct columns *ret,
                         struct weir_error *reterr)
{
    struct columns made;
    WEIR_TRY(columns_new(sql, ret, reterr));
    WEIR_TRY(columns_new(sql, &made, reterr));
    WEIR_TRY(used_inside(sql, (struct logical *)plan, ret, &made, reterr));
    for (uint32_t i = 0; i < ret->word_count; i++)
        ret->words[i] &= ~(i < made.word_count ? made.words[i] : 0);
    return WEIR_OK;
}

/* ---- replacing ---- */

weir_status replacement_new(struct sql *sql, struct replacement *ret, struct weir_error *reterr)
{
    ret->count = sql->column_count;
    return weir_arena_zero(sql->arena, ret->count + 1, sizeof *ret->map, &ret->map, reterr);
}

struct replacing {
    struct sql *sql;
    const struct replacement *replacement;
};

static weir_status replace_column(void *self, struct weir_arena *arena,
                                  const struct weir_node *column, struct weir_node **ret,
                                  struct weir_error *reterr)
{
    const struct replacement *replacement = ((struct replacing *)self)->replacement;
    if (column->index < replacement->count && replacement->map[column->index]) {
        *ret = replacement->map[column->index];
        return WEIR_OK;
    }
    return weir_node_column(arena, column->index, &column->type, column->location, ret, reterr);
}

weir_status replace_node(struct sql *sql, const struct replacement *replacement,
                         const struct weir_node *node, struct weir_node **ret,
                         struct weir_error *reterr)
{
    struct replacing replacing = {sql, replacement};
    return weir_node_copy(sql->arena, node, replace_column, &replacing, ret, reterr);
}

static weir_status visit_replace(void *self, struct weir_node **node, struct weir_error *reterr)
{
    struct replacing *replacing = self;
    return replace_node(replacing->sql, replacing->replacement, *node, node, reterr);
}

/* Columns that UNION and SET name by number only are theirs: never free, never replaced. */
weir_status replace_plan(struct sql *sql, const struct replacement *replacement,
                         struct logical *plan, struct weir_error *reterr)
{
    struct replacing replacing = {sql, replacement};
    WEIR_TRY(logical_visit(plan, visit_replace, &replacing, reterr));
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(replace_plan(sql, replacement, plan->children[i], reterr));
    return WEIR_OK;
}
