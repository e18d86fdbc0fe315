/* a ASOF [LEFT] JOIN b ON a.k = b.k AND a.t >= b.t: of b's rows with equal keys only the nearest in
 * time. Both sides are put into one list of rows, in order of time within the keys; the last row of
 * b before each row of a is its partner:
 *
 *   project a's columns, fields of the partner
 *     filter the row is of a [and has a partner]
 *       window last_value(row of b) over (partition by usable, keys order by t, side)
 *         union all  (a's columns, null,     a's keys, a's t, 1)
 *                    (nulls,       row of b, b's keys, b's t, 0)
 *
 * Rows with a null among keys and time are in partitions of their own (not usable), so that a's
 * find nothing; b's are left out. */
#include "engine/sql/query_int.h"

#include <string.h>

struct asof {
    struct sql *sql;
    struct numbers columns[2]; /* of both sides */
    struct nodes keys[2];      /* pairwise; the time is the last */
    bool descending, strict;   /* b's row is after a's; not at the same time */
    struct numbers made[2];    /* what both give to the union */
    struct logical *sides[2];
    struct numbers above; /* the union's columns: a's, then partner, usable, keys, time, side */
    struct weir_type partner;
};

/* ---- ON ---- */

/* left op right, whichever way round it is written; -1: it is not of that form. */
static int orientation(struct sql *sql, const struct weir_node *node, struct columns sides[2],
                       struct weir_error *reterr, weir_status *ret_status)
{
    struct columns used[2];
    for (int i = 0; i < 2; i++) {
        *ret_status = columns_new(sql, &used[i], reterr);
        if (*ret_status == WEIR_OK)
            *ret_status = columns_of_node(sql, node->arguments[i], &used[i], reterr);
        if (*ret_status != WEIR_OK || columns_empty(&used[i]))
            return -1;
    }
    if (columns_within(&used[0], &sides[0]) && columns_within(&used[1], &sides[1]))
        return 0;
    return columns_within(&used[0], &sides[1]) && columns_within(&used[1], &sides[0]) ? 1 : -1;
}

static weir_status read_conditions(struct asof *asof, const struct logical *join, int location,
                                   struct weir_error *reterr)
{
    struct columns sides[2];
    const struct weir_node *order = NULL;
    int turned = 0;
    for (int i = 0; i < 2; i++)
        WEIR_TRY(columns_of_output(asof->sql, join->children[i], &sides[i], reterr));
    for (uint32_t i = 0; i < join->conditions.count; i++) {
        const struct weir_node *node = join->conditions.items[i];
        weir_status status = WEIR_OK;
        bool compares = node->kind == WEIR_NODE_COMPARE && node->compare != WEIR_NE &&
                        node->compare <= WEIR_GE;
        int turn = compares ? orientation(asof->sql, node, sides, reterr, &status) : -1;
        if (status != WEIR_OK)
            return status;
        if (turn < 0 || (node->compare != WEIR_EQ && order))
            return weir_bind_wrong(&asof->sql->binder, location, reterr,
                                   "ASOF JOIN is ON equalities of both sides and one of >=, >, <=, "
                                   "< between them");
        if (node->compare != WEIR_EQ) {
            order = node;
            turned = turn;
            continue;
        }
        for (int s = 0; s < 2; s++)
            WEIR_TRY(nodes_add(asof->sql, &asof->keys[s], node->arguments[s ^ turn], reterr));
    }
    if (!order)
        return weir_bind_wrong(&asof->sql->binder, location, reterr,
                               "ASOF JOIN needs one of >=, >, <=, < in its ON");
    for (int s = 0; s < 2; s++)
        WEIR_TRY(nodes_add(asof->sql, &asof->keys[s], order->arguments[s ^ turned], reterr));
    bool greater = order->compare == WEIR_GE || order->compare == WEIR_GT;
    asof->descending = greater == (turned != 0);
    asof->strict = order->compare == WEIR_GT || order->compare == WEIR_LT;
    return WEIR_OK;
}

/* ---- the union ---- */

static weir_status all_there(struct asof *asof, int side, struct weir_node **ret,
                             struct weir_error *reterr)
{
    struct weir_node *all = NULL;
    for (uint32_t i = 0; i < asof->keys[side].count; i++) {
        struct weir_node *test;
        WEIR_TRY(weir_node_new(asof->sql->arena, WEIR_NODE_IS_NULL, 1, -1, &test, reterr));
        WEIR_TRY(weir_node_copy(asof->sql->arena, asof->keys[side].items[i], NULL, NULL,
                                &test->arguments[0], reterr));
        test->negated = true;
        test->type = (struct weir_type){.id = WEIR_BOOLEAN};
        WEIR_TRY(weir_node_and(asof->sql->arena, all, test, &all, reterr));
    }
    *ret = all;
    return WEIR_OK;
}

/* The row of b: first that there is one, then its columns. */
static weir_status partner_row(struct asof *asof, struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    uint32_t count = asof->columns[1].count + 1;
    struct weir_node *row;
    struct weir_field *fields;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_STRUCT, count, -1, &row, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_node_boolean(sql->arena, true, &row->arguments[0], reterr));
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        if (i)
            WEIR_TRY(sql_column_node(sql, asof->columns[1].items[i - 1], -1, &row->arguments[i],
                                     reterr));
        WEIR_TRY(weir_arena_print(sql->arena, &name, reterr, "%u", i));
        fields[i] = (struct weir_field){.name = name, .type = row->arguments[i]->type};
    }
    row->type = asof->partner = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = count, .children = fields};
    *ret = row;
    return WEIR_OK;
}

static weir_status give(struct asof *asof, int side, struct logical *project,
                        struct weir_node *node, const char *name, struct weir_error *reterr)
{
    uint32_t column = node->index;
    if (node->kind != WEIR_NODE_COLUMN || numbers_have(&project->columns, column)) {
        struct weir_type type = node->type;
        WEIR_TRY(sql_column_new(asof->sql, name, &type, &column, reterr));
    }
    WEIR_TRY(nodes_add(asof->sql, &project->expressions, node, reterr));
    WEIR_TRY(numbers_add(asof->sql, &project->columns, column, reterr));
    return numbers_add(asof->sql, &asof->made[side], column, reterr);
}

static weir_status make_side(struct asof *asof, int side, struct logical *child,
                             struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    struct logical *project;
    struct weir_node *node, *usable;
    struct nodes condition = {0};
    WEIR_TRY(all_there(asof, side, &usable, reterr));
    if (side == 1) {
        WEIR_TRY(conjuncts(sql, usable, &condition, reterr));
        WEIR_TRY(filter_on(sql, child, &condition, &child, reterr));
        WEIR_TRY(weir_node_boolean(sql->arena, true, &usable, reterr));
    }
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, child, NULL, &project, reterr));
    for (uint32_t i = 0; i < asof->columns[0].count; i++) {
        uint32_t column = asof->columns[0].items[i];
        struct weir_type type = sql->columns[column].type;
        WEIR_TRY(side ? weir_node_null(sql->arena, &type, &node, reterr)
                      : sql_column_node(sql, column, -1, &node, reterr));
        WEIR_TRY(give(asof, side, project, node, sql->columns[column].name, reterr));
    }
    WEIR_TRY(partner_row(asof, &node, reterr));
    if (side == 0)
        WEIR_TRY(weir_node_null(sql->arena, &asof->partner, &node, reterr));
    WEIR_TRY(give(asof, side, project, node, "partner", reterr));
    WEIR_TRY(give(asof, side, project, usable, "usable", reterr));
    for (uint32_t i = 0; i < asof->keys[side].count; i++)
        WEIR_TRY(give(asof, side, project, asof->keys[side].items[i], "key", reterr));
    WEIR_TRY(weir_node_int(sql->arena, side == 0, &node, reterr));
    WEIR_TRY(give(asof, side, project, node, "side", reterr));
    asof->sides[side] = project;
    return WEIR_OK;
}

static weir_status make_union(struct asof *asof, struct logical **ret, struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    struct logical *plan;
    WEIR_TRY(logical_new(sql, LOGICAL_UNION, asof->sides[0], asof->sides[1], &plan, reterr));
    WEIR_TRY(
        weir_arena_zero(sql->arena, 2, sizeof *plan->child_columns, &plan->child_columns, reterr));
    memcpy(plan->child_columns, asof->made, sizeof asof->made);
    plan->all = true;
    for (uint32_t i = 0; i < asof->made[0].count; i++) {
        const struct column *from = &sql->columns[asof->made[0].items[i]];
        struct weir_type type = from->type;
        uint32_t column;
        WEIR_TRY(sql_column_new(sql, from->name, &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
    }
    asof->above = plan->columns;
    *ret = plan;
    return WEIR_OK;
}

/* ---- above it ---- */

static weir_status make_window(struct asof *asof, struct logical **plan, uint32_t *ret_partner,
                               struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    struct logical *window;
    struct weir_window_call *call;
    uint32_t partner = asof->columns[0].count, last = asof->above.count - 1;
    WEIR_TRY(logical_new(sql, LOGICAL_WINDOW, *plan, NULL, &window, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *call, &call, reterr));
    *call = (struct weir_window_call){.name = "last_value",
                                      .ignore_nulls = true,
                                      .unit = WEIR_FRAME_ROWS,
                                      .start = WEIR_UNBOUNDED_PRECEDING,
                                      .end = WEIR_CURRENT_ROW};
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *call->aggregate.arguments,
                             &call->aggregate.arguments, reterr));
    WEIR_TRY(sql_column_node(sql, asof->above.items[partner], -1, &call->aggregate.arguments[0],
                             reterr));
    call->aggregate.argument_count = 1;
    call->aggregate.location = -1;
    call->aggregate.type = asof->partner;
    for (uint32_t i = partner + 1; i < last - 1; i++) { /* usable and keys */
        struct weir_node *key;
        WEIR_TRY(sql_column_node(sql, asof->above.items[i], -1, &key, reterr));
        WEIR_TRY(nodes_add(sql, &window->partition, key, reterr));
    }
    WEIR_TRY(weir_arena_zero(sql->arena, 2, sizeof *window->sort, &window->sort, reterr));
    for (uint32_t i = 0; i < 2; i++)
        WEIR_TRY(sql_column_node(sql, asof->above.items[last - 1 + i], -1, &window->sort[i].node,
                                 reterr));
    window->sort[0].descending = asof->descending;
    window->sort[1].descending = asof->strict; /* a's row first: what is at its time is too late */
    window->sort_count = 2;
    window->windows = call;
    window->window_count = 1;
    WEIR_TRY(sql_column_new(sql, "partner", &asof->partner, ret_partner, reterr));
    WEIR_TRY(numbers_add(sql, &window->columns, *ret_partner, reterr));
    *plan = window;
    return WEIR_OK;
}

static weir_status partner_field(struct asof *asof, uint32_t partner, uint32_t field,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *row;
    WEIR_TRY(sql_column_node(asof->sql, partner, -1, &row, reterr));
    WEIR_TRY(weir_node_new(asof->sql->arena, WEIR_NODE_FIELD, 1, -1, ret, reterr));
    (*ret)->index = field;
    (*ret)->arguments[0] = row;
    (*ret)->type = asof->partner.children[field].type;
    return WEIR_OK;
}

static weir_status only_left(struct asof *asof, struct logical **plan, uint32_t partner, bool inner,
                             struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    struct weir_node *side, *one, *test;
    struct nodes conditions = {0};
    WEIR_TRY(sql_column_node(sql, asof->above.items[asof->above.count - 1], -1, &side, reterr));
    WEIR_TRY(weir_node_int(sql->arena, 1, &one, reterr));
    WEIR_TRY(weir_node_compare(sql->arena, WEIR_EQ, side, one, -1, &test, reterr));
    WEIR_TRY(nodes_add(sql, &conditions, test, reterr));
    if (inner) {
        WEIR_TRY(partner_field(asof, partner, 0, &test, reterr));
        WEIR_TRY(nodes_add(sql, &conditions, test, reterr));
    }
    return filter_on(sql, *plan, &conditions, plan, reterr);
}

/* What the query calls column `from` is column `to` from now on. */
static void renumber(struct query *query, uint32_t from, uint32_t to)
{
    for (struct relation *relation = query->relations; relation; relation = relation->next)
        for (uint32_t i = 0; i < relation->count; i++)
            if (relation->columns[i] == from)
                relation->columns[i] = to;
    for (uint32_t i = 0; i < query->merged.count; i++)
        if (query->merged.items[i] == from)
            query->merged.items[i] = to;
}

static weir_status make_result(struct query *query, struct asof *asof, uint32_t partner,
                               struct logical **plan, struct weir_error *reterr)
{
    struct sql *sql = asof->sql;
    struct logical *project;
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, *plan, NULL, &project, reterr));
    for (uint32_t i = 0; i < asof->columns[0].count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(sql, asof->above.items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, node->index, reterr));
        renumber(query, asof->columns[0].items[i], node->index);
    }
    for (uint32_t i = 0; i < asof->columns[1].count; i++) {
        struct weir_node *node;
        uint32_t column, of = asof->columns[1].items[i];
        WEIR_TRY(partner_field(asof, partner, i + 1, &node, reterr));
        WEIR_TRY(sql_column_new(sql, sql->columns[of].name, &node->type, &column, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, column, reterr));
        renumber(query, of, column);
    }
    *plan = project;
    return WEIR_OK;
}

weir_status query_asof(struct query *query, struct logical *join, int location,
                       struct logical **ret_plan, struct weir_error *reterr)
{
    struct asof asof = {.sql = query->sql};
    struct logical *plan;
    uint32_t partner;
    if (join->join != WEIR_JOIN_INNER && join->join != WEIR_JOIN_LEFT)
        return weir_bind_wrong(&query->sql->binder, location, reterr,
                               "there are ASOF JOIN and ASOF LEFT JOIN");
    WEIR_TRY(read_conditions(&asof, join, location, reterr));
    for (int side = 0; side < 2; side++)
        WEIR_TRY(logical_output(asof.sql, join->children[side], &asof.columns[side], reterr));
    for (int side = 0; side < 2; side++)
        WEIR_TRY(make_side(&asof, side, join->children[side], reterr));
    WEIR_TRY(make_union(&asof, &plan, reterr));
    WEIR_TRY(make_window(&asof, &plan, &partner, reterr));
    WEIR_TRY(only_left(&asof, &plan, partner, join->join == WEIR_JOIN_INNER, reterr));
    WEIR_TRY(make_result(query, &asof, partner, &plan, reterr));
    *ret_plan = plan;
    return WEIR_OK;
}
