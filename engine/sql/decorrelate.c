/* Subqueries that look outside become joins (Neumann and Kemper, "Unnesting Arbitrary Queries").
 *
 * A join whose right side uses columns C of its left side is dependent. The right side is rewritten
 * so that it gives, beside its rows, the values of C they belong to: its copies C'. Then an
 * ordinary join on C = C' does the work. Pushing C down ends where a subplan no longer uses C:
 * there a filter `c = inner expression` makes the copy for nothing, and only without one the
 * distinct values of C are joined in. */
#include "engine/sql/logical_int.h"

#include <string.h>

struct push {
    struct sql *sql;
    const struct columns *wanted; /* C as a set */
    struct numbers from;          /* C in order */
    struct numbers copies;        /* C', in the same order; valid once pushed */
    bool by_equality;      /* all copies came from equalities: never null, no domain joined */
    struct logical *left;  /* what gives the values of C */
    struct shared *domain; /* left, kept: read for the join and for its values */
};

static weir_status push_down(struct push *push, struct logical **plan, bool lost_is_null,
                             struct weir_error *reterr);

static weir_status uses(struct push *push, const struct logical *plan, bool *ret,
                        struct weir_error *reterr)
{
    struct columns free;
    WEIR_TRY(columns_free(push->sql, plan, &free, reterr));
    *ret = columns_meet(&free, push->wanted);
    return WEIR_OK;
}

/* C -> C' in one expression. */
static weir_status visit_rename(void *self, struct weir_node **node, struct weir_error *reterr)
{
    struct push *push = self;
    struct replacement replacement;
    WEIR_TRY(replacement_new(push->sql, &replacement, reterr));
    for (uint32_t i = 0; i < push->from.count; i++)
        WEIR_TRY(sql_column_node(push->sql, push->copies.items[i], -1,
                                 &replacement.map[push->from.items[i]], reterr));
    return replace_node(push->sql, &replacement, *node, node, reterr);
}

static weir_status rename_node(struct push *push, struct logical *plan, struct weir_error *reterr)
{
    return logical_visit(plan, visit_rename, push, reterr);
}

/* ---- where the columns end: equality, or the domain ---- */

/* c = e with e inside: which c, and e. */
static bool equality(struct push *push, const struct weir_node *node, uint32_t *ret_at,
                     struct weir_node **ret_inner, struct weir_error *reterr)
{
    if (node->kind != WEIR_NODE_COMPARE || node->compare != WEIR_EQ)
        return false;
    for (int side = 0; side < 2; side++) {
        struct weir_node *outer = node->arguments[side], *inner = node->arguments[!side];
        struct columns used;
        if (outer->kind != WEIR_NODE_COLUMN || !columns_have(push->wanted, outer->index))
            continue;
        if (columns_new(push->sql, &used, reterr) != WEIR_OK ||
            columns_of_node(push->sql, inner, &used, reterr) != WEIR_OK ||
            columns_meet(&used, push->wanted))
            return false;
        for (uint32_t i = 0; i < push->from.count; i++)
            if (push->from.items[i] == outer->index) {
                *ret_at = i;
                *ret_inner = inner;
                return true;
            }
    }
    return false;
}

/* The plan with extra columns: those it has, and `nodes`. */
static weir_status add_columns(struct sql *sql, struct logical **plan, const struct nodes *nodes,
                               const struct numbers *columns, struct weir_error *reterr)
{
    struct logical *project;
    struct numbers output = {0};
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, *plan, NULL, &project, reterr));
    WEIR_TRY(logical_output(sql, *plan, &output, reterr));
    for (uint32_t i = 0; i < output.count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(sql, output.items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, output.items[i], reterr));
    }
    for (uint32_t i = 0; i < nodes->count; i++) {
        WEIR_TRY(nodes_add(sql, &project->expressions, nodes->items[i], reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, columns->items[i], reterr));
    }
    *plan = project;
    return WEIR_OK;
}

/* c = e let no null through: nor may the copies, whatever compares them above. */
static weir_status copies_not_null(struct push *push, struct nodes *conditions,
                                   struct weir_error *reterr)
{
    for (uint32_t i = 0; i < push->copies.count; i++) {
        struct weir_node *test;
        WEIR_TRY(weir_node_new(push->sql->arena, WEIR_NODE_IS_NULL, 1, -1, &test, reterr));
        WEIR_TRY(
            sql_column_node(push->sql, push->copies.items[i], -1, &test->arguments[0], reterr));
        test->negated = true;
        test->type = (struct weir_type){.id = WEIR_BOOLEAN};
        WEIR_TRY(nodes_add(push->sql, conditions, test, reterr));
    }
    return WEIR_OK;
}

/* A filter over a plan without C: its equalities give the copies, if they do so for all of C. */
static weir_status by_equalities(struct push *push, struct logical **plan, bool *ret_done,
                                 struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct logical *filter = *plan;
    struct weir_node **inner;
    struct nodes rest = {0}, extra = {0};
    struct numbers extra_columns = {0};
    uint32_t found = 0;
    *ret_done = false;
    WEIR_TRY(weir_arena_zero(sql->arena, push->from.count + 1, sizeof *inner, &inner, reterr));
    for (uint32_t i = 0; i < filter->conditions.count; i++) {
        struct weir_node *value;
        uint32_t at;
        if (equality(push, filter->conditions.items[i], &at, &value, reterr) && !inner[at]) {
            inner[at] = value;
            found++;
        } else {
            WEIR_TRY(nodes_add(sql, &rest, filter->conditions.items[i], reterr));
        }
    }
    if (found < push->from.count)
        return WEIR_OK;
    for (uint32_t i = 0; i < push->from.count; i++) {
        uint32_t copy = inner[i]->index;
        bool plain = inner[i]->kind == WEIR_NODE_COLUMN && !numbers_have(&push->copies, copy);
        if (!plain) {
            WEIR_TRY(sql_column_new(sql, sql->columns[push->from.items[i]].name, &inner[i]->type,
                                    &copy, reterr));
            WEIR_TRY(nodes_add(sql, &extra, inner[i], reterr));
            WEIR_TRY(numbers_add(sql, &extra_columns, copy, reterr));
        }
        WEIR_TRY(numbers_add(sql, &push->copies, copy, reterr));
    }
    *plan = filter->children[0];
    if (extra.count)
        WEIR_TRY(add_columns(sql, plan, &extra, &extra_columns, reterr));
    WEIR_TRY(copies_not_null(push, &rest, reterr));
    WEIR_TRY(filter_on(sql, *plan, &rest, plan, reterr));
    if ((*plan)->kind == LOGICAL_FILTER && rest.count)
        WEIR_TRY(rename_node(push, *plan, reterr));
    push->by_equality = true;
    *ret_done = true;
    return WEIR_OK;
}

/* A reader of the left side as it was bound, under new numbers. */
static weir_status domain_reader(struct push *push, struct logical **ret,
                                 struct numbers *ret_columns, struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct logical *reader;
    if (!push->domain) {
        WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *push->domain, &push->domain, reterr));
        push->domain->plan = push->left;
        WEIR_TRY(logical_output(sql, push->left, &push->domain->columns, reterr));
    }
    WEIR_TRY(logical_new(sql, LOGICAL_SHARED, NULL, NULL, &reader, reterr));
    reader->shared = push->domain;
    reader->name = "outer rows";
    for (uint32_t i = 0; i < push->domain->columns.count; i++) {
        uint32_t of = push->domain->columns.items[i], column;
        struct weir_type type = sql->columns[of].type;
        WEIR_TRY(sql_column_new(sql, sql->columns[of].name, &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &reader->columns, column, reterr));
        for (uint32_t c = 0; c < push->from.count; c++)
            if (push->from.items[c] == of)
                ret_columns->items[c] = column;
    }
    *ret = reader;
    return WEIR_OK;
}

/* Distinct values of C; copies = their columns. */
static weir_status domain_plan(struct push *push, struct logical **ret, struct numbers *ret_columns,
                               struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct logical *reader, *distinct;
    struct numbers columns = {0};
    for (uint32_t i = 0; i < push->from.count; i++)
        WEIR_TRY(numbers_add(sql, &columns, 0, reterr));
    WEIR_TRY(domain_reader(push, &reader, &columns, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, reader, NULL, &distinct, reterr));
    for (uint32_t i = 0; i < columns.count; i++) {
        struct weir_node *key;
        WEIR_TRY(sql_column_node(sql, columns.items[i], -1, &key, reterr));
        WEIR_TRY(nodes_add(sql, &distinct->expressions, key, reterr));
        WEIR_TRY(numbers_add(sql, &distinct->columns, columns.items[i], reterr));
    }
    *ret = distinct;
    *ret_columns = columns;
    return WEIR_OK;
}

static weir_status by_domain(struct push *push, struct logical **plan, struct weir_error *reterr)
{
    struct logical *domain, *join;
    WEIR_TRY(domain_plan(push, &domain, &push->copies, reterr));
    WEIR_TRY(logical_new(push->sql, LOGICAL_JOIN, *plan, domain, &join, reterr));
    join->join = WEIR_JOIN_INNER;
    *plan = join;
    push->by_equality = false;
    return WEIR_OK;
}

/* ---- through each kind of node ---- */

static weir_status through_child(struct push *push, struct logical *plan, bool lost_is_null,
                                 struct weir_error *reterr)
{
    WEIR_TRY(push_down(push, &plan->children[0], lost_is_null, reterr));
    return rename_node(push, plan, reterr);
}

/* The copies, passed on by a node that lists what it gives. */
static weir_status pass_copies(struct push *push, struct logical *plan, struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    for (uint32_t i = 0; i < push->copies.count; i++) {
        struct weir_node *node;
        if (numbers_have(&plan->columns, push->copies.items[i]))
            continue;
        WEIR_TRY(sql_column_node(sql, push->copies.items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(sql, &plan->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, push->copies.items[i], reterr));
    }
    return WEIR_OK;
}

/* True if the expression is null whenever one of its own columns is: then a lost row may be a null.
 * Columns of the query around are known even for a lost row. */
static bool null_through(const struct push *push, const struct weir_node *node)
{
    switch (node->kind) {
    case WEIR_NODE_COLUMN: return !columns_have(push->wanted, node->index);
    case WEIR_NODE_FIELD:
    case WEIR_NODE_CAST: return null_through(push, node->arguments[0]);
    case WEIR_NODE_CALL: {
        bool any = false;
        if (!(node->function->flags & WEIR_FUNCTION_STRICT))
            return false;
        for (uint32_t i = 0; i < node->argument_count; i++)
            any = any || null_through(push, node->arguments[i]);
        return any;
    }
    case WEIR_NODE_COMPARE: {
        bool three = node->compare != WEIR_DISTINCT && node->compare != WEIR_NOT_DISTINCT;
        return three &&
               (null_through(push, node->arguments[0]) || null_through(push, node->arguments[1]));
    }
    default: return false;
    }
}

static weir_status through_project(struct push *push, struct logical *plan, bool lost_is_null,
                                   struct weir_error *reterr)
{
    for (uint32_t i = 0; i < plan->expressions.count; i++)
        lost_is_null = lost_is_null && null_through(push, plan->expressions.items[i]);
    WEIR_TRY(through_child(push, plan, lost_is_null, reterr));
    return pass_copies(push, plan, reterr);
}

static bool null_when_empty(const struct weir_aggregate_call *call)
{
    static const char *const names[] = {"sum",       "min",   "max",  "avg",     "median",
                                        "any_value", "first", "last", "arg_min", "arg_max"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(call->function->name, names[i]) == 0)
            return true;
    return false;
}

/* What the aggregate gives for no rows: 0 of a count; NULL here when it gives null. */
static weir_status value_of_nothing(struct sql *sql, const struct weir_aggregate_call *call,
                                    struct weir_node **ret, struct weir_error *reterr)
{
    const struct weir_aggregate_function *function = call->function;
    struct weir_vector value;
    uint8_t *state, *states[1];
    *ret = NULL;
    WEIR_TRY(weir_arena_zero(sql->arena, function->state_size(call) + 64, 1, &state, reterr));
    states[0] = state;
    function->init(call, state);
    WEIR_TRY(function->finalize(call, states, 0, 1, sql->arena, &value, reterr));
    if (!weir_vector_valid(&value, 0))
        return WEIR_OK;
    return weir_node_value(sql->arena, &value, 0, ret, reterr);
}

/* An aggregate without keys has a row even for values of C that find nothing: the domain is joined
 * LEFT, and what the aggregate gives for no rows takes the place of nulls. */
static weir_status empty_groups(struct push *push, struct logical **plan, struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct logical *domain, *join, *project, *grouped = *plan;
    struct numbers columns, inner = push->copies;
    WEIR_TRY(domain_plan(push, &domain, &columns, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_JOIN, domain, grouped, &join, reterr));
    join->join = WEIR_JOIN_LEFT;
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, join, NULL, &project, reterr));
    for (uint32_t i = 0; i < columns.count; i++) {
        struct weir_node *a, *b, *same;
        WEIR_TRY(sql_column_node(sql, columns.items[i], -1, &a, reterr));
        WEIR_TRY(sql_column_node(sql, inner.items[i], -1, &b, reterr));
        WEIR_TRY(weir_node_compare(sql->arena, WEIR_NOT_DISTINCT, a, b, -1, &same, reterr));
        WEIR_TRY(nodes_add(sql, &join->conditions, same, reterr));
    }
    push->copies = columns;
    for (uint32_t i = 0; i < grouped->columns.count; i++) {
        uint32_t column = grouped->columns.items[i], made = column;
        struct weir_node *node, *nothing = NULL;
        const struct weir_aggregate_call *call =
            i >= grouped->expressions.count && i - grouped->expressions.count < grouped->call_count
                ? &grouped->calls[i - grouped->expressions.count]
                : NULL;
        if (numbers_have(&inner, column))
            continue;
        WEIR_TRY(sql_column_node(sql, column, -1, &node, reterr));
        if (call)
            WEIR_TRY(value_of_nothing(sql, call, &nothing, reterr));
        if (call && nothing) { /* under its own number above, another below */
            struct weir_node *both;
            WEIR_TRY(sql_column_new(sql, call->function->name, &call->type, &made, reterr));
            grouped->columns.items[i] = made;
            WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_COALESCE, 2, -1, &both, reterr));
            WEIR_TRY(sql_column_node(sql, made, -1, &both->arguments[0], reterr));
            both->arguments[1] = nothing;
            both->type = call->type;
            node = both;
        }
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, column, reterr));
    }
    WEIR_TRY(pass_copies(push, project, reterr));
    push->by_equality = false;
    *plan = project;
    return WEIR_OK;
}

static weir_status through_aggregate(struct push *push, struct logical **at, bool lost_is_null,
                                     struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct logical *plan = *at;
    bool scalar = plan->expressions.count == 0 && plan->set_count == 0;
    struct numbers columns = {0};
    struct nodes keys = {0};
    if (plan->set_count)
        return weir_fail(reterr, WEIR_USAGE,
                         "a subquery with grouping sets cannot look at the query around it");
    for (uint32_t i = 0; i < plan->call_count; i++)
        lost_is_null = lost_is_null && null_when_empty(&plan->calls[i]);
    WEIR_TRY(through_child(push, plan, false, reterr));
    for (uint32_t i = 0; i < push->copies.count; i++) {
        struct weir_node *key;
        if (numbers_have(&plan->columns, push->copies.items[i]))
            continue;
        WEIR_TRY(sql_column_node(sql, push->copies.items[i], -1, &key, reterr));
        WEIR_TRY(nodes_add(sql, &keys, key, reterr));
        WEIR_TRY(numbers_add(sql, &columns, push->copies.items[i], reterr));
    }
    for (uint32_t i = 0; i < plan->columns.count; i++) {
        if (i < plan->expressions.count)
            WEIR_TRY(nodes_add(sql, &keys, plan->expressions.items[i], reterr));
        WEIR_TRY(numbers_add(sql, &columns, plan->columns.items[i], reterr));
    }
    plan->expressions = keys;
    plan->columns = columns;
    return scalar && !lost_is_null ? empty_groups(push, at, reterr) : WEIR_OK;
}

/* Copies of both sides: equal. */
static weir_status join_copies(struct push *push, struct logical *plan, const struct numbers *left,
                               const struct numbers *right, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < left->count; i++) {
        struct weir_node *a, *b, *same;
        WEIR_TRY(sql_column_node(push->sql, left->items[i], -1, &a, reterr));
        WEIR_TRY(sql_column_node(push->sql, right->items[i], -1, &b, reterr));
        WEIR_TRY(weir_node_compare(push->sql->arena, WEIR_NOT_DISTINCT, a, b, -1, &same, reterr));
        WEIR_TRY(nodes_add(push->sql, &plan->conditions, same, reterr));
    }
    return WEIR_OK;
}

static weir_status through_join(struct push *push, struct logical *plan, struct weir_error *reterr)
{
    bool left, right;
    struct numbers copies;
    enum weir_join_kind kind = plan->join;
    bool left_whole = kind == WEIR_JOIN_LEFT || kind == WEIR_JOIN_SEMI || kind == WEIR_JOIN_ANTI ||
                      kind == WEIR_JOIN_MARK || kind == WEIR_JOIN_SINGLE || kind == WEIR_JOIN_INNER;
    WEIR_TRY(uses(push, plan->children[0], &left, reterr));
    WEIR_TRY(uses(push, plan->children[1], &right, reterr));
    if (!right && left_whole) {
        WEIR_TRY(push_down(push, &plan->children[0], false, reterr));
        return rename_node(push, plan, reterr);
    }
    if (!left && (kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_RIGHT)) {
        WEIR_TRY(push_down(push, &plan->children[1], false, reterr));
        return rename_node(push, plan, reterr);
    }
    WEIR_TRY(push_down(push, &plan->children[0], false, reterr));
    copies = push->copies;
    bool by_equality = push->by_equality;
    push->copies = (struct numbers){0};
    WEIR_TRY(push_down(push, &plan->children[1], false, reterr));
    struct numbers of_right = push->copies;
    if (kind == WEIR_JOIN_FULL)
        return weir_fail(reterr, WEIR_USAGE,
                         "a FULL JOIN in a subquery cannot look at the query around it");
    WEIR_TRY(join_copies(push, plan, &copies, &of_right, reterr));
    push->copies = kind == WEIR_JOIN_RIGHT ? of_right : copies;
    push->by_equality = push->by_equality && by_equality;
    return rename_node(push, plan, reterr);
}

/* LIMIT n means n rows for each value of C. */
static weir_status through_limit(struct push *push, struct logical **at, struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_LONG};
    struct sql *sql = push->sql;
    struct logical *plan = *at, *window;
    struct nodes conditions = {0};
    uint32_t row_number;
    WEIR_TRY(through_child(push, plan, false, reterr));
    if (plan->limit < 0 && plan->offset == 0) { /* only an order, which nobody sees */
        *at = plan->children[0];
        return WEIR_OK;
    }
    WEIR_TRY(logical_new(sql, LOGICAL_WINDOW, plan->children[0], NULL, &window, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *window->windows, &window->windows, reterr));
    window->windows[0] = (struct weir_window_call){.name = "row_number",
                                                   .aggregate = {.type = number, .location = -1},
                                                   .unit = WEIR_FRAME_ROWS,
                                                   .end = WEIR_CURRENT_ROW};
    window->window_count = 1;
    window->sort = plan->sort;
    window->sort_count = plan->sort_count;
    for (uint32_t i = 0; i < push->copies.count; i++) {
        struct weir_node *copy;
        WEIR_TRY(sql_column_node(sql, push->copies.items[i], -1, &copy, reterr));
        WEIR_TRY(nodes_add(sql, &window->partition, copy, reterr));
    }
    WEIR_TRY(sql_column_new(sql, "row_number", &number, &row_number, reterr));
    WEIR_TRY(numbers_add(sql, &window->columns, row_number, reterr));
    for (int i = 0; i < 2; i++) {
        struct weir_node *column, *bound, *compare;
        int64_t value = i ? plan->offset + plan->limit : plan->offset;
        if (i ? plan->limit < 0 : plan->offset == 0)
            continue;
        WEIR_TRY(sql_column_node(sql, row_number, -1, &column, reterr));
        WEIR_TRY(weir_node_long(sql->arena, value, &bound, reterr));
        WEIR_TRY(weir_node_compare(sql->arena, i ? WEIR_LE : WEIR_GT, column, bound, -1, &compare,
                                   reterr));
        WEIR_TRY(nodes_add(sql, &conditions, compare, reterr));
    }
    return filter_on(sql, window, &conditions, at, reterr);
}

static weir_status through_window(struct push *push, struct logical *plan,
                                  struct weir_error *reterr)
{
    WEIR_TRY(through_child(push, plan, false, reterr));
    for (uint32_t i = 0; i < push->copies.count; i++) {
        struct weir_node *copy;
        WEIR_TRY(sql_column_node(push->sql, push->copies.items[i], -1, &copy, reterr));
        WEIR_TRY(nodes_add(push->sql, &plan->partition, copy, reterr));
    }
    return WEIR_OK;
}

static weir_status through_union(struct push *push, struct logical *plan, struct weir_error *reterr)
{
    struct sql *sql = push->sql;
    struct numbers made = {0};
    for (uint32_t side = 0; side < plan->child_count; side++) {
        push->copies = (struct numbers){0};
        /* sides without C too: all of them must give the copies */
        WEIR_TRY(push_down(push, &plan->children[side], false, reterr));
        for (uint32_t i = 0; i < push->copies.count; i++)
            WEIR_TRY(numbers_add(sql, &plan->child_columns[side], push->copies.items[i], reterr));
    }
    for (uint32_t i = 0; i < push->from.count; i++) {
        uint32_t column, of = push->from.items[i];
        struct weir_type type = sql->columns[of].type;
        WEIR_TRY(sql_column_new(sql, sql->columns[of].name, &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, &made, column, reterr));
    }
    push->copies = made;
    push->by_equality = false;
    return WEIR_OK;
}

static weir_status push_down(struct push *push, struct logical **plan, bool lost_is_null,
                             struct weir_error *reterr)
{
    struct logical *node = *plan;
    bool used, below = false, done = false;
    WEIR_TRY(uses(push, node, &used, reterr));
    if (!used)
        return by_domain(push, plan, reterr);
    for (uint32_t i = 0; i < node->child_count && !below; i++)
        WEIR_TRY(uses(push, node->children[i], &below, reterr));
    if (node->kind == LOGICAL_FILTER && !below)
        WEIR_TRY(by_equalities(push, plan, &done, reterr));
    if (done)
        return WEIR_OK;
    switch (node->kind) {
    case LOGICAL_FILTER: return through_child(push, node, lost_is_null, reterr);
    case LOGICAL_UNNEST: return through_child(push, node, false, reterr);
    case LOGICAL_PROJECT: return through_project(push, node, lost_is_null, reterr);
    case LOGICAL_AGGREGATE: return through_aggregate(push, plan, lost_is_null, reterr);
    case LOGICAL_JOIN: return through_join(push, node, reterr);
    case LOGICAL_SORT:
    case LOGICAL_LIMIT: return through_limit(push, plan, reterr);
    case LOGICAL_WINDOW: return through_window(push, node, reterr);
    case LOGICAL_UNION:
    case LOGICAL_SET: return through_union(push, node, reterr);
    case LOGICAL_VALUES: {
        /* VALUES (c): a projection over the domain, row by row */
        struct logical *project;
        if (node->row_count != 1)
            return weir_fail(reterr, WEIR_USAGE,
                             "VALUES of several rows cannot look at the query around it");
        struct nodes values = {0};
        for (uint32_t i = 0; i < node->columns.count; i++)
            WEIR_TRY(nodes_add(push->sql, &values, node->values[i], reterr));
        WEIR_TRY(logical_new(push->sql, LOGICAL_PROJECT, NULL, NULL, &project, reterr));
        WEIR_TRY(domain_plan(push, &project->children[0], &push->copies, reterr));
        project->child_count = 1;
        project->expressions = values;
        project->columns = node->columns;
        push->by_equality = false;
        *plan = project;
        WEIR_TRY(rename_node(push, project, reterr));
        return pass_copies(push, project, reterr);
    }
    default: return weir_fail(reterr, WEIR_INTERNAL, "a correlated plan of kind %d", node->kind);
    }
}

/* ---- the joins ---- */

/* Conditions of filters right under a SEMI, ANTI or INNER join's right side belong to the join. */
static weir_status lift_conditions(struct sql *sql, struct logical *join, const struct columns *of,
                                   struct weir_error *reterr)
{
    struct logical **at = &join->children[1];
    bool any = join->join == WEIR_JOIN_SEMI || join->join == WEIR_JOIN_ANTI ||
               (join->join == WEIR_JOIN_MARK && join->conditions.count == 0);
    while (any && (*at)->kind == LOGICAL_PROJECT)
        at = &(*at)->children[0]; /* what EXISTS selects does not matter */
    if ((*at)->kind != LOGICAL_FILTER || (at != &join->children[1] && join->conditions.count))
        return WEIR_OK;
    if (!any && join->join != WEIR_JOIN_INNER && join->join != WEIR_JOIN_LEFT)
        return WEIR_OK;
    struct logical *filter = *at;
    struct nodes kept = {0};
    for (uint32_t i = 0; i < filter->conditions.count; i++) {
        struct columns used;
        WEIR_TRY(columns_new(sql, &used, reterr));
        WEIR_TRY(columns_of_node(sql, filter->conditions.items[i], &used, reterr));
        WEIR_TRY(nodes_add(sql, columns_meet(&used, of) ? &join->conditions : &kept,
                           filter->conditions.items[i], reterr));
    }
    WEIR_TRY(filter_on(sql, filter->children[0], &kept, at, reterr));
    if (at != &join->children[1])
        join->children[1] = *at; /* the projections above it gave what nobody asks for */
    return WEIR_OK;
}

static weir_status dependent_join(struct sql *sql, struct logical *join, struct weir_error *reterr)
{
    struct columns left, free;
    struct numbers output = {0};
    WEIR_TRY(columns_of_output(sql, join->children[0], &left, reterr));
    WEIR_TRY(columns_free(sql, join->children[1], &free, reterr));
    if (!columns_meet(&left, &free))
        return WEIR_OK;
    WEIR_TRY(lift_conditions(sql, join, &left, reterr));
    WEIR_TRY(columns_free(sql, join->children[1], &free, reterr));
    if (!columns_meet(&left, &free))
        return WEIR_OK;
    struct push push = {.sql = sql, .left = join->children[0]};
    struct columns wanted;
    WEIR_TRY(columns_new(sql, &wanted, reterr));
    WEIR_TRY(logical_output(sql, join->children[0], &output, reterr));
    for (uint32_t i = 0; i < output.count; i++)
        if (columns_have(&free, output.items[i]) && !columns_have(&wanted, output.items[i])) {
            WEIR_TRY(columns_add(sql, &wanted, output.items[i], reterr));
            WEIR_TRY(numbers_add(sql, &push.from, output.items[i], reterr));
        }
    push.wanted = &wanted;
    WEIR_TRY(push_down(&push, &join->children[1], join->join == WEIR_JOIN_SINGLE, reterr));
    for (uint32_t i = 0; i < push.from.count; i++) {
        struct weir_node *a, *b, *same;
        WEIR_TRY(sql_column_node(sql, push.from.items[i], -1, &a, reterr));
        WEIR_TRY(sql_column_node(sql, push.copies.items[i], -1, &b, reterr));
        WEIR_TRY(weir_node_compare(sql->arena, push.by_equality ? WEIR_EQ : WEIR_NOT_DISTINCT, a, b,
                                   -1, &same, reterr));
        WEIR_TRY(nodes_add(sql, &join->conditions, same, reterr));
    }
    if (!push.domain)
        return WEIR_OK;
    /* the left side is read by the join too, from the same rows, under its own numbers */
    struct logical *reader;
    WEIR_TRY(logical_new(sql, LOGICAL_SHARED, NULL, NULL, &reader, reterr));
    reader->shared = push.domain;
    reader->name = "outer rows";
    reader->columns = push.domain->columns;
    join->children[0] = reader;
    return WEIR_OK;
}

weir_status sql_decorrelate(struct sql *sql, struct logical **plan, struct weir_error *reterr)
{
    struct logical *node = *plan;
    if (node->kind == LOGICAL_SHARED && !node->shared->decorrelated) {
        node->shared->decorrelated = true;
        return sql_decorrelate(sql, &node->shared->plan, reterr);
    }
    /* outer joins first: what they push down may make inner ones dependent no more */
    if (node->kind == LOGICAL_JOIN && node->lateral)
        WEIR_TRY(dependent_join(sql, node, reterr));
    for (uint32_t i = 0; i < node->child_count; i++)
        WEIR_TRY(sql_decorrelate(sql, &node->children[i], reterr));
    return WEIR_OK;
}
