/* GROUP BY: keys, grouping sets, and what the clauses above may still name. */
#include "engine/sql/query_int.h"

#include <string.h>

/* ---- GROUP BY ---- */

#define GROUPING_SETS_MAX 4096

struct key_sets { /* what one item of GROUP BY stands for */
    uint64_t *sets;
    uint32_t count;
};

struct above {
    const struct query *query;
    bool found;
};

/* Made above the grouping: an aggregate's column, a window's, an unnest's. */
static bool made_above(void *self, const struct weir_node *node)
{
    struct above *search = self;
    const struct query *query = search->query;
    if (node->kind == WEIR_NODE_AGGREGATE)
        search->found = true;
    if (node->kind != WEIR_NODE_COLUMN)
        return true;
    search->found |= numbers_have(&query->call_columns, node->index) ||
                     numbers_have(&query->unnest_columns, node->index);
    for (const struct window *window = query->windows; window; window = window->next)
        search->found |= window->column == node->index;
    return true;
}

static weir_status key_of(struct query *query, const PgQuery__Node *node,
                          const struct targets *targets, uint64_t *ret_bit,
                          struct weir_error *reterr)
{
    struct weir_node *key;
    uint32_t at;
    if (query_integer(node)) {
        WEIR_TRY(
            query_position(query, query_integer(node), targets->count, "GROUP BY", &at, reterr));
        key = targets->nodes[at];
    } else {
        query->outputs_last = true;
        WEIR_TRY(query_bind(query, node, &key, reterr));
        query->outputs_last = false;
    }
    struct above search = {query, false};
    weir_node_walk(key, made_above, &search); /* by number, or by a name of the list */
    if (search.found)
        return weir_bind_wrong(&query->sql->binder, key->location, reterr,
                               "what is made of groups has no place in GROUP BY: an aggregate, a "
                               "window function, unnest");
    for (at = 0; at < query->groups.count; at++)
        if (weir_node_equal(query->groups.items[at], key))
            break;
    if (at == query->groups.count)
        WEIR_TRY(nodes_add(query->sql, &query->groups, key, reterr));
    *ret_bit = at < 64 ? (uint64_t)1 << at : 0;
    return WEIR_OK;
}

static weir_status keys_of(struct query *query, const PgQuery__Node *node,
                           const struct targets *targets, uint64_t *ret_bits,
                           struct weir_error *reterr)
{
    uint64_t bits = 0, bit;
    if (node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        for (size_t i = 0; i < node->row_expr->n_args; i++) {
            WEIR_TRY(key_of(query, node->row_expr->args[i], targets, &bit, reterr));
            bits |= bit;
        }
    } else {
        WEIR_TRY(key_of(query, node, targets, &bits, reterr));
    }
    *ret_bits = bits;
    return WEIR_OK;
}

static weir_status too_many_sets(struct query *query, int location, struct weir_error *reterr)
{
    return weir_bind_wrong(&query->sql->binder, location, reterr, "more than %d grouping sets",
                           GROUPING_SETS_MAX);
}

static weir_status item_sets(struct query *query, const PgQuery__Node *node,
                             const struct targets *targets, struct key_sets *ret,
                             struct weir_error *reterr);

static weir_status rollup_or_cube(struct query *query, const PgQuery__GroupingSet *set,
                                  const struct targets *targets, struct key_sets *ret,
                                  struct weir_error *reterr)
{
    bool cube = set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE;
    uint32_t count = (uint32_t)set->n_content;
    uint64_t bits[64];
    if (count > (cube ? 12u : 63u))
        return too_many_sets(query, set->location, reterr);
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(keys_of(query, set->content[i], targets, &bits[i], reterr));
    ret->count = cube ? 1u << count : count + 1;
    WEIR_TRY(weir_arena_zero(query->sql->arena, ret->count, sizeof *ret->sets, &ret->sets, reterr));
    for (uint32_t s = 0; s < ret->count; s++)
        for (uint32_t i = 0; i < count; i++) {
            /* the fullest set first, as PostgreSQL lists them */
            bool in = cube ? !(s >> (count - 1 - i) & 1) : i < count - s;
            if (in)
                ret->sets[s] |= bits[i];
        }
    return WEIR_OK;
}

static weir_status item_sets(struct query *query, const PgQuery__Node *node,
                             const struct targets *targets, struct key_sets *ret,
                             struct weir_error *reterr)
{
    struct weir_arena *arena = query->sql->arena;
    if (node->node_case != PG_QUERY__NODE__NODE_GROUPING_SET) {
        WEIR_TRY(weir_arena_zero(arena, 1, sizeof *ret->sets, &ret->sets, reterr));
        ret->count = 1;
        return keys_of(query, node, targets, ret->sets, reterr);
    }
    const PgQuery__GroupingSet *set = node->grouping_set;
    if (set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP ||
        set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE)
        return rollup_or_cube(query, set, targets, ret, reterr);
    WEIR_TRY(weir_arena_zero(arena, GROUPING_SETS_MAX, sizeof *ret->sets, &ret->sets, reterr));
    ret->count = 0;
    if (set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY)
        ret->count = 1;
    for (size_t i = 0; i < set->n_content; i++) {
        struct key_sets inner;
        WEIR_TRY(item_sets(query, set->content[i], targets, &inner, reterr));
        if (ret->count + inner.count > GROUPING_SETS_MAX)
            return too_many_sets(query, set->location, reterr);
        memcpy(ret->sets + ret->count, inner.sets, inner.count * sizeof *inner.sets);
        ret->count += inner.count;
    }
    return WEIR_OK;
}

/* GROUP BY ALL: whatever in the list is not made of aggregates or windows. */
static weir_status group_all(struct query *query, const struct targets *targets,
                             struct weir_error *reterr)
{
    for (uint32_t i = 0; i < targets->count; i++) {
        struct above search = {query, false};
        weir_node_walk(targets->nodes[i], made_above, &search);
        for (uint32_t k = 0; k < query->groups.count && !search.found; k++)
            search.found = weir_node_equal(query->groups.items[k], targets->nodes[i]);
        if (!search.found)
            WEIR_TRY(nodes_add(query->sql, &query->groups, targets->nodes[i], reterr));
    }
    return WEIR_OK;
}

/* Items multiply: GROUP BY a, ROLLUP (b, c) has three sets. */
weir_status query_groups(struct query *query, const PgQuery__SelectStmt *select,
                         const struct targets *targets, struct weir_error *reterr)
{
    struct key_sets all = {0};
    if (select->n_group_clause == 1 && query_is_all(select->group_clause[0]))
        return group_all(query, targets, reterr);
    WEIR_TRY(weir_arena_zero(query->sql->arena, 1, sizeof *all.sets, &all.sets, reterr));
    all.count = 1;
    bool sets = false;
    for (size_t i = 0; i < select->n_group_clause; i++) {
        struct key_sets item, product;
        const PgQuery__Node *node = select->group_clause[i];
        sets = sets || node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET;
        WEIR_TRY(item_sets(query, node, targets, &item, reterr));
        product.count = all.count * item.count;
        if (product.count > GROUPING_SETS_MAX)
            return too_many_sets(query, weir_bind_location(node), reterr);
        WEIR_TRY(weir_arena_zero(query->sql->arena, product.count + 1, sizeof *product.sets,
                                 &product.sets, reterr));
        for (uint32_t a = 0; a < all.count; a++)
            for (uint32_t b = 0; b < item.count; b++)
                product.sets[a * item.count + b] = all.sets[a] | item.sets[b];
        all = product;
    }
    if (sets && query->groups.count > 63)
        return weir_bind_wrong(&query->sql->binder, -1, reterr,
                               "grouping sets over more than 63 keys");
    query->sets = sets ? all.sets : NULL;
    query->set_count = sets ? all.count : 0;
    return WEIR_OK;
}

/* ---- the grouping itself ---- */

static weir_status visit_swap(void *self, struct weir_node **node, struct weir_error *reterr)
{
    struct query *query = self;
    return swap_equal(query->sql, node, &query->groups, query->group_columns.items, reterr);
}

/* What a key is made of must be there before rows are grouped: those subqueries, and those that
 * their conditions look at, are joined below; the others stay pending. */
static weir_status attach_keys(struct query *query, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct columns wanted, made;
    struct pending *kept = NULL, *below = NULL, *back = NULL, *next;
    WEIR_TRY(columns_new(sql, &wanted, reterr));
    for (uint32_t i = 0; i < query->groups.count; i++)
        WEIR_TRY(columns_of_node(sql, query->groups.items[i], &wanted, reterr));
    for (struct pending *pending = query->pending; pending; pending = next) {
        next = pending->next; /* turned round: a subquery looks only at those before it */
        pending->next = back;
        back = pending;
    }
    for (struct pending *pending = back; pending; pending = next) {
        next = pending->next;
        WEIR_TRY(columns_of_output(sql, pending->plan, &made, reterr));
        if (pending->join == WEIR_JOIN_MARK)
            WEIR_TRY(columns_add(sql, &made, pending->mark, reterr));
        bool used = columns_meet(&wanted, &made);
        struct pending **list = used ? &below : &kept;
        for (uint32_t i = 0; used && i < pending->conditions.count; i++)
            WEIR_TRY(columns_of_node(sql, pending->conditions.items[i], &wanted, reterr));
        pending->next = *list;
        *list = pending;
    }
    query->pending = below;
    WEIR_TRY(query_attach(query, &query->plan, reterr));
    query->pending = kept;
    return WEIR_OK;
}

weir_status query_group_plan(struct query *query, struct logical **ret, struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_INT};
    struct sql *sql = query->sql;
    struct logical *plan;
    WEIR_TRY(attach_keys(query, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, query->plan, NULL, &plan, reterr));
    for (uint32_t i = 0; i < query->groups.count; i++) {
        struct weir_node *key = query->groups.items[i], *copy;
        uint32_t column = key->index;
        key->unknown = false;
        WEIR_TRY(weir_node_copy(sql->arena, key, NULL, NULL, &copy, reterr));
        if (key->kind != WEIR_NODE_COLUMN)
            WEIR_TRY(sql_column_new(sql, "key", &key->type, &column, reterr));
        WEIR_TRY(nodes_add(sql, &plan->expressions, copy, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, &query->group_columns, column, reterr));
    }
    /* keys are found by comparing trees: they must stay as they were while others are changed */
    query->groups = (struct nodes){0};
    for (uint32_t i = 0; i < plan->expressions.count; i++)
        WEIR_TRY(nodes_add(sql, &query->groups, plan->expressions.items[i], reterr));
    plan->calls = query->calls;
    plan->call_count = query->call_count;
    for (uint32_t i = 0; i < query->call_count; i++)
        WEIR_TRY(numbers_add(sql, &plan->columns, query->call_columns.items[i], reterr));
    plan->sets = query->sets;
    plan->set_count = query->set_count;
    if (query->set_count > 1) {
        uint32_t column;
        WEIR_TRY(sql_column_new(sql, "set", &number, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
    }
    *ret = plan;
    return WEIR_OK;
}

/* GROUPING(a, b): for each set a number; CASE over the set's number. */
static weir_status resolve_grouping(struct query *query, const struct logical *plan,
                                    struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    uint32_t sets = plan->set_count;
    for (uint32_t g = 0; g < query->grouping_calls.count; g++) {
        struct weir_node *node = query->grouping_calls.items[g], **arguments;
        uint32_t whens = sets > 1 ? sets : 0;
        WEIR_TRY(weir_arena_zero(sql->arena, whens * 2 + 1, sizeof *arguments, &arguments, reterr));
        for (uint32_t s = 0; s < (sets ? sets : 1); s++) {
            int32_t value = 0;
            for (uint32_t a = 0; a < node->argument_count; a++) {
                uint32_t k = 0;
                while (k < query->groups.count &&
                       !weir_node_equal(query->groups.items[k], node->arguments[a]))
                    k++;
                if (k == query->groups.count)
                    return weir_bind_wrong(&sql->binder, node->location, reterr,
                                           "GROUPING takes keys of GROUP BY");
                value = value * 2 + (sets && !(plan->sets[s] >> k & 1));
            }
            if (!whens) {
                WEIR_TRY(weir_node_int(sql->arena, value, &arguments[0], reterr));
                break;
            }
            struct weir_node *number, *column;
            WEIR_TRY(weir_node_int(sql->arena, (int32_t)s, &number, reterr));
            WEIR_TRY(sql_column_node(sql, plan->columns.items[plan->columns.count - 1], -1, &column,
                                     reterr));
            WEIR_TRY(weir_node_compare(sql->arena, WEIR_EQ, column, number, -1, &arguments[s * 2],
                                       reterr));
            WEIR_TRY(weir_node_int(sql->arena, value, &arguments[s * 2 + 1], reterr));
        }
        if (whens)
            WEIR_TRY(weir_node_int(sql->arena, 0, &arguments[whens * 2], reterr));
        node->kind = WEIR_NODE_CASE;
        node->arguments = arguments;
        node->argument_count = whens * 2 + 1;
    }
    return WEIR_OK;
}

struct ungrouped {
    const struct columns *hidden;
    const struct weir_node *found;
};

static bool find_ungrouped(void *self, const struct weir_node *node)
{
    struct ungrouped *search = self;
    if (node->kind == WEIR_NODE_COLUMN && !search->found &&
        columns_have(search->hidden, node->index))
        search->found = node;
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++)
        weir_node_walk(node->captures[i], find_ungrouped, self);
    return false;
}

static weir_status check_grouped(struct query *query, const struct columns *hidden,
                                 const struct weir_node *node, struct weir_error *reterr)
{
    struct ungrouped search = {.hidden = hidden};
    weir_node_walk(node, find_ungrouped, &search);
    if (!search.found)
        return WEIR_OK;
    return weir_bind_wrong(&query->sql->binder, search.found->location, reterr,
                           "column %s must appear in GROUP BY or be used in an aggregate",
                           query->sql->columns[search.found->index].name);
}

struct regrouping {
    struct query *query;
    const struct columns *hidden;
};

static weir_status visit_regroup(void *self, struct weir_node **node, struct weir_error *reterr)
{
    const struct regrouping *regrouping = self;
    WEIR_TRY(visit_swap(regrouping->query, node, reterr));
    return check_grouped(regrouping->query, regrouping->hidden, *node, reterr);
}

/* A subquery that is joined above the grouping sees no more of our rows than the list does. */
static weir_status regroup_plan(struct regrouping *regrouping, struct logical *plan,
                                struct weir_error *reterr)
{
    WEIR_TRY(logical_visit(plan, visit_regroup, regrouping, reterr));
    for (uint32_t i = 0; i < plan->child_count; i++)
        WEIR_TRY(regroup_plan(regrouping, plan->children[i], reterr));
    return WEIR_OK;
}

/* Everything bound so far is over the ungrouped rows: keys become their columns. */
static weir_status regroup_window(struct query *query, const struct columns *hidden,
                                  struct window *window, struct weir_error *reterr)
{
    struct weir_aggregate_call *call = &window->call.aggregate;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        WEIR_TRY(visit_swap(query, &call->arguments[i], reterr));
        WEIR_TRY(check_grouped(query, hidden, call->arguments[i], reterr));
    }
    if (call->filter) {
        WEIR_TRY(visit_swap(query, &call->filter, reterr));
        WEIR_TRY(check_grouped(query, hidden, call->filter, reterr));
    }
    for (uint32_t i = 0; i < window->partition.count; i++) {
        WEIR_TRY(visit_swap(query, &window->partition.items[i], reterr));
        WEIR_TRY(check_grouped(query, hidden, window->partition.items[i], reterr));
    }
    for (uint32_t i = 0; i < window->order_count; i++) {
        WEIR_TRY(visit_swap(query, &window->order[i].node, reterr));
        WEIR_TRY(check_grouped(query, hidden, window->order[i].node, reterr));
    }
    return WEIR_OK;
}

weir_status query_regroup(struct query *query, struct logical *plan, struct targets *targets,
                          struct weir_node **having, struct sort_item *sort, uint32_t sort_count,
                          struct nodes *distinct, struct weir_error *reterr)
{
    struct columns hidden;
    WEIR_TRY(columns_of_output(query->sql, query->plan, &hidden, reterr));
    for (uint32_t i = 0; i < query->group_columns.count; i++) {
        uint32_t column = query->group_columns.items[i];
        if (column / 64 < hidden.word_count)
            hidden.words[column / 64] &= ~((uint64_t)1 << (column % 64));
    }
    WEIR_TRY(resolve_grouping(query, plan, reterr));
    for (uint32_t i = 0; i < targets->count; i++) {
        WEIR_TRY(visit_swap(query, &targets->nodes[i], reterr));
        WEIR_TRY(check_grouped(query, &hidden, targets->nodes[i], reterr));
    }
    if (*having) {
        WEIR_TRY(visit_swap(query, having, reterr));
        WEIR_TRY(check_grouped(query, &hidden, *having, reterr));
    }
    if (query->qualify) {
        WEIR_TRY(visit_swap(query, &query->qualify, reterr));
        WEIR_TRY(check_grouped(query, &hidden, query->qualify, reterr));
    }
    for (uint32_t i = 0; i < sort_count; i++) {
        WEIR_TRY(visit_swap(query, &sort[i].node, reterr));
        WEIR_TRY(check_grouped(query, &hidden, sort[i].node, reterr));
    }
    for (uint32_t i = 0; i < distinct->count; i++) {
        WEIR_TRY(visit_swap(query, &distinct->items[i], reterr));
        WEIR_TRY(check_grouped(query, &hidden, distinct->items[i], reterr));
    }
    for (struct window *window = query->windows; window; window = window->next)
        WEIR_TRY(regroup_window(query, &hidden, window, reterr));
    struct regrouping regrouping = {query, &hidden};
    for (struct pending *pending = query->pending; pending; pending = pending->next) {
        WEIR_TRY(regroup_plan(&regrouping, pending->plan, reterr));
        for (uint32_t i = 0; i < pending->conditions.count; i++)
            WEIR_TRY(visit_regroup(&regrouping, &pending->conditions.items[i], reterr));
    }
    return WEIR_OK;
}
