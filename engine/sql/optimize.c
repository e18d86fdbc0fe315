/* Conditions moved to where they cost least: folded, taken out of ORs, pushed through projections,
 * joins, groupings and unions down to the scans; joins put in order. */
#include "engine/sql/optimize_int.h"

#include <string.h>

/* ---- simpler conditions ---- */

/* CAST(column AS t) < constant: the constant as the column's type, if it is exactly one. */
static weir_status uncast(struct sql *sql, struct weir_node *node, struct weir_error *reterr)
{
    for (int side = 0; side < 2; side++) {
        struct weir_node *cast = node->arguments[side], *constant = node->arguments[!side], *narrow,
                         *back;
        if (cast->kind != WEIR_NODE_CAST || constant->kind != WEIR_NODE_CONSTANT ||
            !weir_vector_valid(&constant->value, 0))
            continue;
        enum weir_type_id from = cast->arguments[0]->type.id, to = cast->type.id;
        bool monotonic = (from == WEIR_INT && (to == WEIR_LONG || to == WEIR_DECIMAL)) ||
                         (from == WEIR_LONG && to == WEIR_DECIMAL) ||
                         (from == WEIR_DECIMAL && to == WEIR_DECIMAL &&
                          cast->type.scale >= cast->arguments[0]->type.scale) ||
                         (from == WEIR_DATE && (to == WEIR_TIMESTAMP || to == WEIR_TIMESTAMPTZ));
        if (!monotonic)
            continue;
        WEIR_TRY(weir_node_cast(sql->arena, constant, &cast->arguments[0]->type, false, true,
                                &narrow, reterr));
        WEIR_TRY(weir_node_fold(sql->arena, narrow, &narrow, reterr));
        if (narrow->kind != WEIR_NODE_CONSTANT || !weir_vector_valid(&narrow->value, 0))
            continue;
        WEIR_TRY(weir_node_cast(sql->arena, narrow, &constant->type, false, true, &back, reterr));
        WEIR_TRY(weir_node_fold(sql->arena, back, &back, reterr));
        if (back->kind != WEIR_NODE_CONSTANT || !weir_node_equal(back, constant))
            continue;
        node->arguments[side] = cast->arguments[0];
        node->arguments[!side] = narrow;
    }
    return WEIR_OK;
}

static bool among(const struct nodes *nodes, const struct weir_node *node)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        if (weir_node_equal(nodes->items[i], node))
            return true;
    return false;
}

static weir_status conjunction(struct sql *sql, const struct nodes *nodes, struct weir_node **ret,
                               struct weir_error *reterr)
{
    *ret = NULL;
    for (uint32_t i = 0; i < nodes->count; i++)
        WEIR_TRY(weir_node_and(sql->arena, *ret, nodes->items[i], ret, reterr));
    return *ret ? WEIR_OK : weir_node_boolean(sql->arena, true, ret, reterr);
}

/* (a AND b) OR (a AND c) = a AND (b OR c): what all branches share comes out. */
static weir_status factor_or(struct sql *sql, struct weir_node *node, struct weir_node **ret,
                             struct weir_error *reterr)
{
    struct nodes *branches, shared = {0};
    struct weir_node *rest, *all;
    uint32_t count = node->argument_count;
    WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *branches, &branches, reterr));
    for (uint32_t b = 0; b < count; b++)
        WEIR_TRY(conjuncts(sql, node->arguments[b], &branches[b], reterr));
    for (uint32_t i = 0; i < branches[0].count; i++) {
        bool everywhere = true;
        for (uint32_t b = 1; b < count; b++)
            everywhere = everywhere && among(&branches[b], branches[0].items[i]);
        if (everywhere)
            WEIR_TRY(nodes_add(sql, &shared, branches[0].items[i], reterr));
    }
    *ret = node;
    if (shared.count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_OR, count, node->location, &rest, reterr));
    rest->type = node->type;
    for (uint32_t b = 0; b < count; b++) {
        struct nodes own = {0};
        for (uint32_t i = 0; i < branches[b].count; i++)
            if (!among(&shared, branches[b].items[i]))
                WEIR_TRY(nodes_add(sql, &own, branches[b].items[i], reterr));
        WEIR_TRY(conjunction(sql, &own, &rest->arguments[b], reterr));
    }
    WEIR_TRY(conjunction(sql, &shared, &all, reterr));
    return weir_node_and(sql->arena, all, rest, ret, reterr);
}

static weir_status simplify(struct sql *sql, struct weir_node **at, struct weir_error *reterr)
{
    struct weir_node *node = *at;
    for (uint32_t i = 0; i < node->argument_count; i++)
        WEIR_TRY(simplify(sql, &node->arguments[i], reterr));
    if (node->kind == WEIR_NODE_COMPARE)
        WEIR_TRY(uncast(sql, node, reterr));
    if (node->kind == WEIR_NODE_OR && node->argument_count > 1)
        WEIR_TRY(factor_or(sql, node, at, reterr));
    return WEIR_OK;
}

static weir_status visit_simplify(void *self, struct weir_node **node, struct weir_error *reterr)
{
    struct sql *sql = self;
    WEIR_TRY(weir_node_fold(sql->arena, *node, node, reterr));
    return simplify(sql, node, reterr);
}

static weir_status simplify_plan(struct sql *sql, struct logical *plan, struct weir_error *reterr)
{
    struct nodes split = {0};
    WEIR_TRY(logical_visit(plan, visit_simplify, sql, reterr));
    for (uint32_t i = 0; i < plan->conditions.count; i++)
        WEIR_TRY(conjuncts(sql, plan->conditions.items[i], &split, reterr));
    plan->conditions = split;
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(simplify_plan(sql, plan->children[i], reterr));
    return WEIR_OK;
}

/* ---- pushing down ---- */

static weir_status uses_only(struct sql *sql, const struct weir_node *node,
                             const struct columns *of, bool *ret, struct weir_error *reterr)
{
    struct columns used;
    WEIR_TRY(columns_new(sql, &used, reterr));
    WEIR_TRY(columns_of_node(sql, node, &used, reterr));
    *ret = columns_within(&used, of) && !columns_empty(&used);
    return WEIR_OK;
}

static weir_status take_conditions(struct sql *sql, struct logical *plan, struct nodes *into,
                                   struct weir_error *reterr)
{
    for (uint32_t i = 0; i < plan->conditions.count; i++)
        WEIR_TRY(nodes_add(sql, into, plan->conditions.items[i], reterr));
    plan->conditions = (struct nodes){0};
    return WEIR_OK;
}

static bool is_volatile(void *self, const struct weir_node *node)
{
    if (node->kind == WEIR_NODE_CALL && (node->function->flags & WEIR_FUNCTION_VOLATILE))
        *(bool *)self = true;
    return true;
}

/* Columns of a projection (or keys of a grouping) by what they are made from. */
static weir_status through_expressions(struct sql *sql, struct logical *plan,
                                       const struct nodes *conditions, struct nodes *ret_below,
                                       struct nodes *ret_above, struct weir_error *reterr)
{
    struct replacement replacement;
    struct columns made;
    WEIR_TRY(replacement_new(sql, &replacement, reterr));
    WEIR_TRY(columns_new(sql, &made, reterr));
    for (uint32_t i = 0; i < plan->expressions.count; i++) {
        bool again = false;
        weir_node_walk(plan->expressions.items[i], is_volatile, &again);
        if (again)
            continue;
        replacement.map[plan->columns.items[i]] = plan->expressions.items[i];
        WEIR_TRY(columns_add(sql, &made, plan->columns.items[i], reterr));
    }
    for (uint32_t i = 0; i < conditions->count; i++) {
        struct weir_node *node = conditions->items[i];
        bool only;
        WEIR_TRY(uses_only(sql, node, &made, &only, reterr));
        if (only)
            WEIR_TRY(replace_node(sql, &replacement, node, &node, reterr));
        WEIR_TRY(nodes_add(sql, only ? ret_below : ret_above, node, reterr));
    }
    return WEIR_OK;
}

/* Conditions over `of` go below, the others stay above. */
static weir_status split(struct sql *sql, const struct nodes *conditions, const struct columns *of,
                         struct nodes *ret_below, struct nodes *ret_above,
                         struct weir_error *reterr)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        bool only;
        WEIR_TRY(uses_only(sql, conditions->items[i], of, &only, reterr));
        WEIR_TRY(nodes_add(sql, only ? ret_below : ret_above, conditions->items[i], reterr));
    }
    return WEIR_OK;
}

static weir_status push_window(struct sql *sql, struct logical *plan,
                               const struct nodes *conditions, struct nodes *below,
                               struct nodes *above, struct weir_error *reterr)
{
    struct columns keys;
    WEIR_TRY(columns_new(sql, &keys, reterr));
    for (uint32_t i = 0; i < plan->partition.count; i++)
        if (plan->partition.items[i]->kind == WEIR_NODE_COLUMN)
            WEIR_TRY(columns_add(sql, &keys, plan->partition.items[i]->index, reterr));
    return split(sql, conditions, &keys, below, above, reterr);
}

static weir_status push_union(struct sql *sql, struct logical *plan, const struct nodes *conditions,
                              struct weir_error *reterr)
{
    for (uint32_t side = 0; side < plan->child_count; side++) {
        struct replacement replacement;
        struct nodes below = {0};
        WEIR_TRY(replacement_new(sql, &replacement, reterr));
        for (uint32_t i = 0; i < plan->columns.count; i++)
            WEIR_TRY(sql_column_node(sql, plan->child_columns[side].items[i], -1,
                                     &replacement.map[plan->columns.items[i]], reterr));
        for (uint32_t i = 0; i < conditions->count; i++) {
            struct weir_node *node;
            WEIR_TRY(replace_node(sql, &replacement, conditions->items[i], &node, reterr));
            WEIR_TRY(nodes_add(sql, &below, node, reterr));
        }
        WEIR_TRY(push_conditions(sql, &plan->children[side], &below, reterr));
    }
    return WEIR_OK;
}

/* True if the value is null for a row whose columns of `of` are all null. */
static bool null_with(const struct weir_node *node, const struct columns *of)
{
    bool strict = node->kind == WEIR_NODE_CAST || node->kind == WEIR_NODE_FIELD ||
                  (node->kind == WEIR_NODE_CALL && (node->function->flags & WEIR_FUNCTION_STRICT));
    if (node->kind == WEIR_NODE_COLUMN)
        return columns_have(of, node->index);
    for (uint32_t i = 0; strict && i < node->argument_count; i++)
        if (null_with(node->arguments[i], of))
            return true;
    return false;
}

/* True if the condition cannot hold for such a row. */
static bool rejects_null(const struct weir_node *node, const struct columns *of)
{
    if (node->kind == WEIR_NODE_IS_NULL)
        return node->negated && null_with(node->arguments[0], of);
    if (node->kind == WEIR_NODE_IN) /* what is looked for: a null in the list may not matter */
        return null_with(node->arguments[0], of);
    if (node->kind == WEIR_NODE_COMPARE)
        return node->compare < WEIR_DISTINCT &&
               (null_with(node->arguments[0], of) || null_with(node->arguments[1], of));
    return node->kind == WEIR_NODE_CALL && null_with(node, of);
}

/* True if one row of the join's left side finds at most one on the right: a grouping whose keys all
 * are equal to something of the left. */
static bool finds_one(const struct logical *join)
{
    const struct logical *right = join->children[1];
    uint32_t equal = 0;
    while (right->kind == LOGICAL_PROJECT || right->kind == LOGICAL_FILTER)
        right = right->children[0];
    if (right->kind != LOGICAL_AGGREGATE || right->set_count || !right->expressions.count)
        return false;
    for (uint32_t key = 0; key < right->expressions.count; key++)
        for (uint32_t i = 0; i < join->conditions.count; i++) {
            const struct weir_node *node = join->conditions.items[i];
            if (!is_equality(node) || node->compare != WEIR_EQ)
                continue;
            const struct weir_node *const *sides = (const struct weir_node *const *)node->arguments;
            uint32_t column = right->columns.items[key];
            if ((sides[0]->kind == WEIR_NODE_COLUMN && sides[0]->index == column) ||
                (sides[1]->kind == WEIR_NODE_COLUMN && sides[1]->index == column)) {
                equal++;
                break;
            }
        }
    return equal == right->expressions.count;
}

/* LEFT whose right side must not be null after all is INNER; FULL and RIGHT likewise. So is SINGLE
 * where a second partner cannot be: an aggregate of what belongs to the row then is made for the
 * rows that are looked at alone, as joins filter each other's scans. */
static void strengthen(struct logical *plan, const struct nodes *conditions,
                       const struct columns sides[2])
{
    bool left = false, right = false;
    for (uint32_t i = 0; i < conditions->count; i++) {
        left = left || rejects_null(conditions->items[i], &sides[0]);
        right = right || rejects_null(conditions->items[i], &sides[1]);
    }
    if (plan->join == WEIR_JOIN_LEFT && right)
        plan->join = WEIR_JOIN_INNER;
    else if (plan->join == WEIR_JOIN_SINGLE && right && finds_one(plan))
        plan->join = WEIR_JOIN_INNER;
    else if (plan->join == WEIR_JOIN_RIGHT && left)
        plan->join = WEIR_JOIN_INNER;
    else if (plan->join == WEIR_JOIN_FULL && left && right)
        plan->join = WEIR_JOIN_INNER;
    else if (plan->join == WEIR_JOIN_FULL && left)
        plan->join = WEIR_JOIN_LEFT;
    else if (plan->join == WEIR_JOIN_FULL && right)
        plan->join = WEIR_JOIN_RIGHT;
}

static weir_status push_join(struct sql *sql, struct logical **at, const struct nodes *conditions,
                             struct weir_error *reterr)
{
    struct logical *plan = *at;
    struct columns sides[2];
    struct nodes below[2] = {0}, above = {0}, rest = {0}, own = {0};
    for (int i = 0; i < 2; i++)
        WEIR_TRY(columns_of_output(sql, plan->children[i], &sides[i], reterr));
    strengthen(plan, conditions, sides);
    enum weir_join_kind kind = plan->join;
    if (kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_SEMI || kind == WEIR_JOIN_ANTI)
        return order_joins(sql, at, conditions, reterr);
    bool left_whole = kind != WEIR_JOIN_RIGHT && kind != WEIR_JOIN_FULL,
         right_whole = kind == WEIR_JOIN_RIGHT;
    WEIR_TRY(take_conditions(sql, plan, &own, reterr));
    /* conditions above go to the side whose rows all come out */
    if (left_whole)
        WEIR_TRY(split(sql, conditions, &sides[0], &below[0], &above, reterr));
    else if (right_whole)
        WEIR_TRY(split(sql, conditions, &sides[1], &below[1], &above, reterr));
    else
        above = *conditions;
    /* the join's own go to the other side */
    if (left_whole && kind != WEIR_JOIN_MARK)
        WEIR_TRY(split(sql, &own, &sides[1], &below[1], &rest, reterr));
    else if (right_whole)
        WEIR_TRY(split(sql, &own, &sides[0], &below[0], &rest, reterr));
    else
        rest = own;
    plan->conditions = rest;
    for (int i = 0; i < 2; i++)
        WEIR_TRY(push_conditions(sql, &plan->children[i], &below[i], reterr));
    return filter_on(sql, plan, &above, at, reterr);
}

weir_status push_conditions(struct sql *sql, struct logical **at, const struct nodes *conditions,
                            struct weir_error *reterr)
{
    struct logical *plan = *at;
    struct nodes below = {0}, above = {0};
    struct columns child;
    switch (plan->kind) {
    case LOGICAL_FILTER:
        for (uint32_t i = 0; i < conditions->count; i++)
            WEIR_TRY(nodes_add(sql, &plan->conditions, conditions->items[i], reterr));
        *at = plan->children[0];
        return push_conditions(sql, at, &plan->conditions, reterr);
    case LOGICAL_SCAN:
        for (uint32_t i = 0; i < conditions->count; i++)
            WEIR_TRY(nodes_add(sql, &plan->conditions, conditions->items[i], reterr));
        return WEIR_OK;
    case LOGICAL_PROJECT:
        WEIR_TRY(through_expressions(sql, plan, conditions, &below, &above, reterr));
        break;
    case LOGICAL_AGGREGATE:
        if (plan->set_count == 0 && plan->expressions.count)
            WEIR_TRY(through_expressions(sql, plan, conditions, &below, &above, reterr));
        else
            above = *conditions;
        break;
    case LOGICAL_JOIN: return push_join(sql, at, conditions, reterr);
    case LOGICAL_UNION: return push_union(sql, plan, conditions, reterr);
    case LOGICAL_WINDOW:
        WEIR_TRY(push_window(sql, plan, conditions, &below, &above, reterr));
        break;
    case LOGICAL_UNNEST:
        WEIR_TRY(columns_of_output(sql, plan->children[0], &child, reterr));
        WEIR_TRY(split(sql, conditions, &child, &below, &above, reterr));
        break;
    case LOGICAL_SORT:
        *(plan->limit < 0 && plan->offset == 0 ? &below : &above) = *conditions;
        break;
    case LOGICAL_SHARED:
        if (!plan->shared->optimized) {
            struct nodes none = {0};
            plan->shared->optimized = true;
            WEIR_TRY(simplify_plan(sql, plan->shared->plan, reterr));
            WEIR_TRY(push_conditions(sql, &plan->shared->plan, &none, reterr));
        }
        return filter_on(sql, plan, conditions, at, reterr);
    default: above = *conditions; break;
    }
    struct nodes none = {0};
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(push_conditions(sql, &plan->children[i], i == 0 ? &below : &none, reterr));
    return filter_on(sql, plan, &above, at, reterr);
}

/* ---- DISTINCT inside one aggregate: two groupings, the first over the values ---- */

static weir_status split_distinct(struct sql *sql, struct logical *plan, struct weir_error *reterr)
{
    struct weir_aggregate_call *call = plan->calls;
    struct logical *inner;
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(split_distinct(sql, plan->children[i], reterr));
    if (plan->kind != LOGICAL_AGGREGATE || plan->call_count != 1 || !call->distinct ||
        call->filter || call->order_count || call->argument_count != 1 || plan->set_count)
        return WEIR_OK;
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, plan->children[0], NULL, &inner, reterr));
    for (uint32_t i = 0; i <= plan->expressions.count; i++) {
        bool key = i < plan->expressions.count;
        struct weir_node **at = key ? &plan->expressions.items[i] : &call->arguments[0];
        uint32_t column = (*at)->index;
        if ((*at)->kind != WEIR_NODE_COLUMN)
            WEIR_TRY(sql_column_new(sql, "value", &(*at)->type, &column, reterr));
        if (!numbers_have(&inner->columns, column)) {
            WEIR_TRY(nodes_add(sql, &inner->expressions, *at, reterr));
            WEIR_TRY(numbers_add(sql, &inner->columns, column, reterr));
        }
        WEIR_TRY(sql_column_node(sql, column, (*at)->location, at, reterr));
    }
    call->distinct = false;
    plan->children[0] = inner;
    return WEIR_OK;
}

weir_status sql_optimize(struct sql *sql, struct logical **plan, const struct numbers *columns,
                         struct weir_error *reterr)
{
    struct nodes none = {0};
    (void)columns;
    WEIR_TRY(simplify_plan(sql, *plan, reterr));
    WEIR_TRY(push_conditions(sql, plan, &none, reterr));
    WEIR_TRY(split_distinct(sql, *plan, reterr));
    return sql_estimate(sql, *plan, reterr);
}
