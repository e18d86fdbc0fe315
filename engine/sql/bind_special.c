/* Inside expressions: aggregates, window functions, subqueries, GROUPING. Each becomes a column
 * that the plan gets once the clause is bound. */
#include "engine/sql/query_int.h"

#include <string.h>

/* ---- aggregates ---- */

static weir_status call_add(struct query *query, const struct weir_aggregate_call *call,
                            const char *name, struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    uint32_t column;
    if (query->call_count == query->call_capacity) {
        uint32_t capacity = query->call_capacity ? query->call_capacity * 2 : 8;
        struct weir_aggregate_call *grown;
        WEIR_TRY(weir_arena_zero(sql->arena, capacity, sizeof *grown, &grown, reterr));
        if (query->call_count)
            memcpy(grown, query->calls, query->call_count * sizeof *grown);
        query->calls = grown;
        query->call_capacity = capacity;
    }
    WEIR_TRY(sql_column_new(sql, name, &call->type, &column, reterr));
    WEIR_TRY(numbers_add(sql, &query->call_columns, column, reterr));
    query->calls[query->call_count++] = *call;
    return sql_column_node(sql, column, call->location, ret, reterr);
}

static bool same_call(const struct weir_aggregate_call *a, const struct weir_aggregate_call *b)
{
    if (a->function != b->function || a->argument_count != b->argument_count ||
        a->distinct != b->distinct || a->order_count || b->order_count ||
        (a->filter == NULL) != (b->filter == NULL) || a->constant_count != b->constant_count)
        return false;
    for (uint32_t i = 0; i < a->argument_count + a->constant_count; i++)
        if (!weir_node_equal(a->arguments[i], b->arguments[i]))
            return false;
    return !a->filter || weir_node_equal(a->filter, b->filter);
}

/* Arguments, FILTER, ORDER BY and WITHIN GROUP of an aggregate. */
static weir_status call_bind(struct query *query, const PgQuery__FuncCall *tree, const char *name,
                             struct weir_aggregate_call *call, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    uint32_t within = tree->agg_within_group ? (uint32_t)tree->n_agg_order : 0, at = 0;
    call->function = weir_aggregate_find(name);
    call->location = tree->location;
    call->distinct = tree->agg_distinct;
    call->argument_count = (uint32_t)tree->n_args + within;
    WEIR_TRY(weir_arena_zero(sql->arena, call->argument_count + 1, sizeof *call->arguments,
                             &call->arguments, reterr));
    for (uint32_t i = 0; i < within; i++) { /* percentile_cont(0.5) WITHIN GROUP (ORDER BY x) */
        if (tree->agg_order[i]->sort_by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC)
            return weir_bind_wrong(&sql->binder, tree->location, reterr,
                                   "WITHIN GROUP (ORDER BY ... DESC) is not supported: ask for "
                                   "1 - fraction");
        WEIR_TRY(
            query_bind(query, tree->agg_order[i]->sort_by->node, &call->arguments[at++], reterr));
    }
    for (size_t i = 0; i < tree->n_args; i++)
        WEIR_TRY(query_bind(query, tree->args[i], &call->arguments[at++], reterr));
    if (tree->agg_filter)
        WEIR_TRY(
            weir_bind_condition(&sql->binder, tree->agg_filter, "FILTER", &call->filter, reterr));
    if (!within && tree->n_agg_order) {
        struct sort_item *order;
        uint32_t count = (uint32_t)tree->n_agg_order;
        bool *descending, *nulls_first;
        WEIR_TRY(query_order(query, tree->agg_order, count, &order, reterr));
        WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *call->order, &call->order, reterr));
        WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *descending, &descending, reterr));
        WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *nulls_first, &nulls_first, reterr));
        for (uint32_t i = 0; i < count; i++) {
            call->order[i] = order[i].node;
            descending[i] = order[i].descending;
            nulls_first[i] = order[i].nulls_first;
        }
        call->order_descending = descending;
        call->order_nulls_first = nulls_first;
        call->order_count = count;
    }
    int wanted_min = call->function->argument_min, wanted_max = call->function->argument_max;
    if ((int)call->argument_count < wanted_min ||
        (wanted_max >= 0 && (int)call->argument_count > wanted_max))
        return weir_bind_wrong(&sql->binder, tree->location, reterr,
                               "%s does not take %u arguments", name, call->argument_count);
    return weir_bind_at(&sql->binder, tree->location,
                        call->function->bind(sql->arena, call, reterr));
}

static weir_status bind_aggregate(struct query *query, const PgQuery__FuncCall *tree,
                                  const char *name, struct weir_node **ret,
                                  struct weir_error *reterr)
{
    struct weir_aggregate_call call = {0};
    if (!query->aggregates_allowed)
        return weir_bind_wrong(&query->sql->binder, tree->location, reterr,
                               "aggregates have no place in %s", query->clause);
    const char *clause = query->clause;
    bool windows = query->windows_allowed;
    query->aggregates_allowed = query->windows_allowed = false;
    query->clause = "an aggregate";
    struct pending *pending = query->pending;
    query->pending = NULL; /* subqueries of the arguments are joined below the grouping */
    weir_status status = call_bind(query, tree, name, &call, reterr);
    if (status == WEIR_OK)
        status = query_attach(query, &query->plan, reterr);
    query->pending = pending;
    query->aggregates_allowed = true;
    query->windows_allowed = windows;
    query->clause = clause;
    if (status != WEIR_OK)
        return status;
    for (uint32_t i = 0; i < query->call_count; i++)
        if (same_call(&query->calls[i], &call))
            return sql_column_node(query->sql, query->call_columns.items[i], tree->location, ret,
                                   reterr);
    return call_add(query, &call, name, ret, reterr);
}

/* ---- windows ---- */

enum {
    FRAME_NONDEFAULT = 0x1,
    FRAME_RANGE = 0x2,
    FRAME_ROWS = 0x4,
    FRAME_GROUPS = 0x8,
    START_UNBOUNDED_PRECEDING = 0x20,
    END_UNBOUNDED_FOLLOWING = 0x100,
    START_CURRENT_ROW = 0x200,
    END_CURRENT_ROW = 0x400,
    START_OFFSET_PRECEDING = 0x800,
    END_OFFSET_PRECEDING = 0x1000,
    START_OFFSET_FOLLOWING = 0x2000,
    END_OFFSET_FOLLOWING = 0x4000,
    EXCLUDE_CURRENT_ROW = 0x8000,
    EXCLUDE_GROUP = 0x10000,
    EXCLUDE_TIES = 0x20000
};

static const struct {
    const char *name;
    int arguments_min, arguments_max;
    enum weir_type_id result; /* WEIR_TYPE_COUNT: that of the first argument */
} window_functions[] = {
    {"row_number", 0, 0, WEIR_LONG},        {"rank", 0, 0, WEIR_LONG},
    {"dense_rank", 0, 0, WEIR_LONG},        {"percent_rank", 0, 0, WEIR_DOUBLE},
    {"cume_dist", 0, 0, WEIR_DOUBLE},       {"ntile", 1, 1, WEIR_LONG},
    {"lag", 1, 3, WEIR_TYPE_COUNT},         {"lead", 1, 3, WEIR_TYPE_COUNT},
    {"first_value", 1, 1, WEIR_TYPE_COUNT}, {"last_value", 1, 1, WEIR_TYPE_COUNT},
    {"nth_value", 2, 2, WEIR_TYPE_COUNT},   {"session", 2, 2, WEIR_TYPE_COUNT},
};
#define WINDOW_FUNCTION_COUNT (sizeof window_functions / sizeof *window_functions)

static int window_function(const char *name)
{
    for (size_t i = 0; i < WINDOW_FUNCTION_COUNT; i++)
        if (strcmp(window_functions[i].name, name) == 0)
            return (int)i;
    return -1;
}

static weir_status window_arguments(struct query *query, const PgQuery__FuncCall *tree, int which,
                                    struct weir_window_call *call, struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_LONG}, interval = {.id = WEIR_INTERVAL};
    struct sql *sql = query->sql;
    struct weir_aggregate_call *inner = &call->aggregate;
    uint32_t count = (uint32_t)tree->n_args;
    call->name = window_functions[which].name;
    bool session = strcmp(call->name, "session") == 0;
    if ((int)count < window_functions[which].arguments_min ||
        (int)count > window_functions[which].arguments_max)
        return weir_bind_wrong(&sql->binder, tree->location, reterr,
                               "%s does not take %u arguments", call->name, count);
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *inner->arguments, &inner->arguments,
                             reterr));
    inner->argument_count = count;
    inner->location = tree->location;
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(query_bind(query, tree->args[i], &inner->arguments[i], reterr));
        const struct weir_type *type = i == 0    ? NULL
                                       : session ? &interval
                                       : i == 1  ? &number
                                                 : &inner->arguments[0]->type;
        if (i == 0 && window_functions[which].result != WEIR_TYPE_COUNT)
            type = &number;
        if (type)
            WEIR_TRY(weir_bind_at(&sql->binder, tree->location,
                                  weir_node_cast(sql->arena, inner->arguments[i], type, true, false,
                                                 &inner->arguments[i], reterr)));
    }
    inner->type = window_functions[which].result == WEIR_TYPE_COUNT
                      ? inner->arguments[0]->type
                      : (struct weir_type){.id = window_functions[which].result};
    if (tree->agg_filter)
        return weir_bind_wrong(&sql->binder, tree->location, reterr, "%s takes no FILTER",
                               call->name);
    return WEIR_OK;
}

static const PgQuery__WindowDef *named_window(const struct query *query, const char *name)
{
    for (size_t i = 0; query->select && i < query->select->n_window_clause; i++) {
        const PgQuery__WindowDef *window = query->select->window_clause[i]->window_def;
        if (strcmp(window->name, name) == 0)
            return window;
    }
    return NULL;
}

static weir_status frame(struct query *query, const PgQuery__WindowDef *over,
                         struct weir_window_call *call, struct weir_error *reterr)
{
    int options = over->frame_options;
    call->unit = options & FRAME_ROWS     ? WEIR_FRAME_ROWS
                 : options & FRAME_GROUPS ? WEIR_FRAME_GROUPS
                                          : WEIR_FRAME_RANGE;
    call->start = options & START_CURRENT_ROW        ? WEIR_CURRENT_ROW
                  : options & START_OFFSET_PRECEDING ? WEIR_PRECEDING
                  : options & START_OFFSET_FOLLOWING ? WEIR_FOLLOWING
                                                     : WEIR_UNBOUNDED_PRECEDING;
    call->end = options & END_UNBOUNDED_FOLLOWING ? WEIR_UNBOUNDED_FOLLOWING
                : options & END_OFFSET_PRECEDING  ? WEIR_PRECEDING
                : options & END_OFFSET_FOLLOWING  ? WEIR_FOLLOWING
                                                  : WEIR_CURRENT_ROW;
    call->exclude = options & EXCLUDE_CURRENT_ROW ? WEIR_EXCLUDE_CURRENT
                    : options & EXCLUDE_GROUP     ? WEIR_EXCLUDE_GROUP
                    : options & EXCLUDE_TIES      ? WEIR_EXCLUDE_TIES
                                                  : WEIR_EXCLUDE_NOTHING;
    if (over->start_offset)
        WEIR_TRY(query_bind(query, over->start_offset, &call->start_offset, reterr));
    if (over->end_offset)
        WEIR_TRY(query_bind(query, over->end_offset, &call->end_offset, reterr));
    struct weir_node **offsets[2] = {&call->start_offset, &call->end_offset};
    for (int i = 0; i < 2; i++)
        if (*offsets[i]) {
            WEIR_TRY(weir_node_fold(query->sql->arena, *offsets[i], offsets[i], reterr));
            if ((*offsets[i])->kind != WEIR_NODE_CONSTANT)
                return weir_bind_wrong(&query->sql->binder, over->location, reterr,
                                       "the bounds of a frame are constants");
        }
    return WEIR_OK;
}

/* OVER w, OVER (w ORDER BY ...), OVER (PARTITION BY ...): partition and order, then the frame. */
static weir_status window_over(struct query *query, const PgQuery__WindowDef *over,
                               struct window *window, struct weir_error *reterr)
{
    const PgQuery__WindowDef *base = over;
    const char *name = *over->name ? over->name : over->refname;
    if (*name) {
        base = named_window(query, name);
        if (!base)
            return weir_bind_wrong(&query->sql->binder, over->location, reterr,
                                   "there is no WINDOW %s", name);
    }
    const PgQuery__WindowDef *order = over->n_order_clause ? over : base;
    for (size_t i = 0; i < base->n_partition_clause; i++) {
        struct weir_node *node;
        WEIR_TRY(query_bind(query, base->partition_clause[i], &node, reterr));
        WEIR_TRY(nodes_add(query->sql, &window->partition, node, reterr));
    }
    WEIR_TRY(
        query_order(query, order->order_clause, order->n_order_clause, &window->order, reterr));
    window->order_count = (uint32_t)order->n_order_clause;
    return frame(query, over->frame_options & FRAME_NONDEFAULT ? over : base, &window->call,
                 reterr);
}

/* session(time, gap): rows in order of time, whether ORDER BY says so or nothing does. */
static weir_status session_order(struct query *query, struct window *window,
                                 struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_aggregate_call *call = &window->call.aggregate;
    struct weir_node *time = call->arguments[0], *gap;
    struct weir_type moment = {.id = WEIR_TIMESTAMP};
    enum weir_type_id id = time->type.id;
    if (id == WEIR_DATE || time->unknown)
        WEIR_TRY(weir_bind_at(
            &sql->binder, call->location,
            weir_node_cast(sql->arena, time, &moment, true, false, &call->arguments[0], reterr)));
    else if (id != WEIR_TIMESTAMP && id != WEIR_TIMESTAMPTZ)
        return weir_bind_wrong(&sql->binder, call->location, reterr,
                               "session takes a time and a gap, not a %s", weir_type_name(id));
    WEIR_TRY(weir_node_fold(sql->arena, call->arguments[1], &gap, reterr));
    if (gap->kind != WEIR_NODE_CONSTANT)
        return weir_bind_wrong(&sql->binder, call->location, reterr,
                               "the gap of a session is a constant");
    call->arguments[1] = gap;
    if (window->order_count && (!weir_node_equal(window->order[0].node, time) ||
                                window->order[0].descending || window->order[0].nulls_first))
        return weir_bind_wrong(&sql->binder, call->location, reterr,
                               "session needs ORDER BY its time, ascending, or no ORDER BY");
    if (!window->order_count) {
        WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *window->order, &window->order, reterr));
        WEIR_TRY(weir_node_copy(sql->arena, time, NULL, NULL, &window->order[0].node, reterr));
        window->order[0].node->unknown = false;
        window->order_count = 1;
    }
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static weir_status bind_window(struct query *query, const PgQuery__FuncCall *tree, const char *name,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct window *window;
    int which = window_function(name);
    if (!query->windows_allowed)
        return weir_bind_wrong(&sql->binder, tree->location, reterr,
                               "window functions have no place in %s", query->clause);
    if (which < 0 && !weir_aggregate_find(name))
        return weir_bind_wrong(&sql->binder, tree->location, reterr,
                               "%s is no window function and no aggregate", name);
    if (which < 0 && (tree->agg_distinct || tree->n_agg_order))
        return weir_bind_wrong(&sql->binder, tree->location, reterr,
                               "%s(%s ...) has no OVER: PostgreSQL refuses it too", name,
                               tree->agg_distinct ? "DISTINCT" : "... ORDER BY");
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *window, &window, reterr));
    const char *clause = query->clause;
    query->windows_allowed = false;
    query->clause = "a window function";
    weir_status status = which >= 0 ? window_arguments(query, tree, which, &window->call, reterr)
                                    : call_bind(query, tree, name, &window->call.aggregate, reterr);
    if (status == WEIR_OK)
        status = window_over(query, tree->over, window, reterr);
    if (status == WEIR_OK && which >= 0 && strcmp(name, "session") == 0)
        status = session_order(query, window, reterr);
    query->windows_allowed = true;
    query->clause = clause;
    if (status != WEIR_OK)
        return status;
    WEIR_TRY(sql_column_new(sql, name, &window->call.aggregate.type, &window->column, reterr));
    if (query->last_window)
        query->last_window->next = window;
    else
        query->windows = window;
    query->last_window = window;
    return sql_column_node(sql, window->column, tree->location, ret, reterr);
}

/* unnest(list) in the list of SELECT: rows of their own, beside the other unnests there. */
static weir_status bind_unnest(struct query *query, const PgQuery__FuncCall *call,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_node *list;
    uint32_t column;
    if (!query->unnests_allowed || call->n_args != 1)
        return weir_bind_wrong(&sql->binder, call->location, reterr,
                               "unnest(list) stands in FROM or in the list of SELECT");
    query->unnests_allowed = false;
    WEIR_TRY(query_bind(query, call->args[0], &list, reterr));
    query->unnests_allowed = true;
    if (list->type.id != WEIR_LIST)
        return weir_bind_wrong(&sql->binder, call->location, reterr,
                               "unnest here takes a list, not a %s", weir_type_name(list->type.id));
    WEIR_TRY(sql_column_new(sql, "unnest", &list->type.children[0].type, &column, reterr));
    WEIR_TRY(nodes_add(sql, &query->unnests, list, reterr));
    WEIR_TRY(numbers_add(sql, &query->unnest_columns, column, reterr));
    return sql_column_node(sql, column, call->location, ret, reterr);
}

static bool is_quantile(const char *name)
{
    static const char *const names[] = {"quantile", "quantile_cont", "quantile_disc",
                                        "percentile_cont", "percentile_disc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* quantile_cont(x, ARRAY[0.5, 0.9]): a list of an aggregate for each. */
static weir_status bind_quantiles(struct query *query, const PgQuery__FuncCall *call,
                                  const char *name, const PgQuery__AArrayExpr *fractions,
                                  struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    uint32_t count = (uint32_t)fractions->n_elements;
    struct weir_node *list;
    struct weir_field *element;
    PgQuery__FuncCall one = *call;
    if (count == 0)
        return weir_bind_wrong(&sql->binder, call->location, reterr, "%s without fractions", name);
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_LIST, count, call->location, &list, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *element, &element, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, call->n_args, sizeof *one.args, &one.args, reterr));
    memcpy(one.args, call->args, call->n_args * sizeof *one.args);
    for (uint32_t i = 0; i < count; i++) {
        one.args[call->n_args - 1] = fractions->elements[i];
        WEIR_TRY(bind_aggregate(query, &one, name, &list->arguments[i], reterr));
    }
    *element = (struct weir_field){.name = "element", .type = list->arguments[0]->type};
    list->type = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = element};
    *ret = list;
    return WEIR_OK;
}

weir_status query_function(struct weir_binder *binder, void *self, const PgQuery__FuncCall *call,
                           const char *name, struct weir_node **ret, struct weir_error *reterr)
{
    struct query *query = self;
    *ret = NULL;
    if (call->over)
        return bind_window(query, call, name, ret, reterr);
    if (strcmp(name, "unnest") == 0)
        return bind_unnest(query, call, ret, reterr);
    const PgQuery__Node *last = call->n_args ? call->args[call->n_args - 1] : NULL;
    if (last && last->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && is_quantile(name))
        return bind_quantiles(query, call, name, last->a_array_expr, ret, reterr);
    if (weir_aggregate_find(name))
        return bind_aggregate(query, call, name, ret, reterr);
    if (window_function(name) >= 0)
        return weir_bind_wrong(binder, call->location, reterr, "%s needs OVER (...)", name);
    return WEIR_OK;
}

/* ---- ORDER BY items ---- */

weir_status query_sort_direction(const PgQuery__SortBy *sort, bool *ret_descending,
                                 bool *ret_nulls_first)
{
    *ret_descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    *ret_nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                       (*ret_descending &&
                        sort->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    return WEIR_OK;
}

weir_status query_order(struct query *query, PgQuery__Node *const *items, size_t count,
                        struct sort_item **ret_items, struct weir_error *reterr)
{
    struct sort_item *order;
    WEIR_TRY(weir_arena_zero(query->sql->arena, count + 1, sizeof *order, &order, reterr));
    for (size_t i = 0; i < count; i++) {
        const PgQuery__SortBy *sort = items[i]->sort_by;
        WEIR_TRY(query_bind(query, sort->node, &order[i].node, reterr));
        order[i].node->unknown = false;
        WEIR_TRY(query_sort_direction(sort, &order[i].descending, &order[i].nulls_first));
    }
    *ret_items = order;
    return WEIR_OK;
}

/* ---- subqueries ---- */

static weir_status subplan(struct query *query, const PgQuery__SubLink *link,
                           struct logical **ret_plan, struct numbers *ret_columns,
                           struct weir_error *reterr)
{
    const char **names;
    if (link->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return weir_bind_wrong(&query->sql->binder, link->location, reterr,
                               "a subquery is a SELECT");
    return query_select(query->sql, query, query->ctes, link->subselect->select_stmt, ret_plan,
                        ret_columns, &names, reterr);
}

static weir_status pending_add(struct query *query, struct logical *plan, enum weir_join_kind join,
                               struct pending **ret, struct weir_error *reterr)
{
    struct pending *pending, **last = &query->pending;
    WEIR_TRY(weir_arena_zero(query->sql->arena, 1, sizeof *pending, &pending, reterr));
    pending->plan = plan;
    pending->join = join;
    while (*last)
        last = &(*last)->next;
    *last = pending;
    if (ret)
        *ret = pending;
    return WEIR_OK;
}

static weir_status one_node(struct query *query, enum weir_node_kind kind,
                            struct weir_node *argument, struct weir_node **ret,
                            struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(weir_node_new(query->sql->arena, kind, 1, argument->location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    node->arguments[0] = argument;
    *ret = node;
    return WEIR_OK;
}

static weir_status mark_of(struct query *query, struct logical *plan,
                           const struct nodes *conditions, int location, struct weir_node **ret,
                           struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct pending *pending;
    WEIR_TRY(pending_add(query, plan, WEIR_JOIN_MARK, &pending, reterr));
    WEIR_TRY(sql_column_new(query->sql, "mark", &boolean, &pending->mark, reterr));
    if (conditions)
        pending->conditions = *conditions;
    return sql_column_node(query->sql, pending->mark, location, ret, reterr);
}

/* left = right, column by column, of `x IN (subquery)`. */
static weir_status in_conditions(struct query *query, const PgQuery__SubLink *link,
                                 const struct numbers *columns, struct nodes *ret,
                                 struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_node *left;
    WEIR_TRY(query_bind(query, link->testexpr, &left, reterr));
    bool row = left->kind == WEIR_NODE_STRUCT && columns->count > 1;
    if ((row ? left->argument_count : 1) != columns->count)
        return weir_bind_wrong(&sql->binder, link->location, reterr,
                               "the subquery has %u columns, what is compared %u", columns->count,
                               row ? left->argument_count : 1);
    for (uint32_t i = 0; i < columns->count; i++) {
        struct weir_node *right, *equal;
        WEIR_TRY(sql_column_node(sql, columns->items[i], link->location, &right, reterr));
        WEIR_TRY(
            weir_bind_at(&sql->binder, link->location,
                         weir_node_compare(sql->arena, WEIR_EQ, row ? left->arguments[i] : left,
                                           right, link->location, &equal, reterr)));
        WEIR_TRY(nodes_add(sql, ret, equal, reterr));
    }
    return WEIR_OK;
}

/* x IN (subquery that looks outside), as a value: true if it has x; else unknown if it might; else
 * false. Two EXISTS, since marks cannot tell whose nulls they met. */
static weir_status correlated_in(struct query *query, const PgQuery__SubLink *link,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct sql *sql = query->sql;
    struct weir_node *node, *tests[2];
    for (int i = 0; i < 2; i++) {
        struct logical *plan;
        struct numbers columns = {0};
        struct nodes conditions = {0}, one = {0};
        struct weir_node *all = NULL;
        WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
        WEIR_TRY(in_conditions(query, link, &columns, &conditions, reterr));
        for (uint32_t c = 0; c < conditions.count; c++)
            WEIR_TRY(weir_node_and(sql->arena, all, conditions.items[c], &all, reterr));
        if (i == 1)
            WEIR_TRY(one_node(query, WEIR_NODE_IS_NULL, all, &all, reterr));
        WEIR_TRY(nodes_add(sql, &one, all, reterr));
        WEIR_TRY(filter_on(sql, plan, &one, &plan, reterr));
        WEIR_TRY(mark_of(query, plan, NULL, link->location, &tests[i], reterr));
        WEIR_TRY(one_node(query, WEIR_NODE_IS_TRUE, tests[i], &tests[i], reterr));
    }
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_CASE, 5, link->location, &node, reterr));
    node->type = boolean;
    node->arguments[0] = tests[0];
    WEIR_TRY(weir_node_boolean(sql->arena, true, &node->arguments[1], reterr));
    node->arguments[2] = tests[1];
    WEIR_TRY(weir_node_null(sql->arena, &boolean, &node->arguments[3], reterr));
    WEIR_TRY(weir_node_boolean(sql->arena, false, &node->arguments[4], reterr));
    *ret = node;
    return WEIR_OK;
}

/* ---- x < ANY (subquery), x >= ALL (subquery) and their like ---- */

enum { ANY_LEAST, ANY_MOST, ANY_ROWS, ANY_VALUES, ANY_CALLS };

/* One row of the subquery's least and largest value, its rows, and those that are not null. */
static weir_status any_summary(struct query *query, const PgQuery__SubLink *link,
                               struct weir_node *ret_nodes[ANY_CALLS], struct weir_error *reterr)
{
    static const char *const names[ANY_CALLS] = {"min", "max", "count", "count"};
    struct sql *sql = query->sql;
    struct logical *plan, *aggregate;
    struct numbers columns = {0};
    struct weir_aggregate_call *calls;
    WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
    if (columns.count != 1)
        return weir_bind_wrong(&sql->binder, link->location, reterr,
                               "ANY (subquery) and ALL (subquery) take one column, not %u",
                               columns.count);
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, plan, NULL, &aggregate, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, ANY_CALLS, sizeof *calls, &calls, reterr));
    for (int i = 0; i < ANY_CALLS; i++) {
        struct weir_aggregate_call *call = &calls[i];
        uint32_t column;
        WEIR_TRY(weir_arena_zero(sql->arena, 2, sizeof *call->arguments, &call->arguments, reterr));
        call->function = weir_aggregate_find(names[i]);
        call->argument_count = i != ANY_ROWS;
        call->location = link->location;
        WEIR_TRY(
            sql_column_node(sql, columns.items[0], link->location, &call->arguments[0], reterr));
        WEIR_TRY(weir_bind_at(&sql->binder, link->location,
                              call->function->bind(sql->arena, call, reterr)));
        WEIR_TRY(sql_column_new(sql, names[i], &call->type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &aggregate->columns, column, reterr));
        WEIR_TRY(sql_column_node(sql, column, link->location, &ret_nodes[i], reterr));
    }
    aggregate->calls = calls;
    aggregate->call_count = ANY_CALLS;
    return pending_add(query, aggregate, WEIR_JOIN_SINGLE, NULL, reterr);
}

static weir_status any_compare(struct query *query, const PgQuery__SubLink *link,
                               enum weir_compare compare, struct weir_node *with,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *left;
    WEIR_TRY(query_bind(query, link->testexpr, &left, reterr));
    return weir_bind_at(
        &query->sql->binder, link->location,
        weir_node_compare(query->sql->arena, compare, left, with, link->location, ret, reterr));
}

/* False of no rows, true if the value that is easiest to pass is passed, else unknown if there are
 * nulls. Another than x is there if the least or the largest is another. */
static weir_status bind_any_compare(struct query *query, const PgQuery__SubLink *link,
                                    enum weir_compare compare, struct weir_node **ret,
                                    struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct weir_arena *arena = query->sql->arena;
    struct weir_node *summary[ANY_CALLS], *passed, *other, *node, *zero;
    bool least = compare == WEIR_GT || compare == WEIR_GE;
    WEIR_TRY(any_summary(query, link, summary, reterr));
    WEIR_TRY(
        any_compare(query, link, compare, summary[least ? ANY_LEAST : ANY_MOST], &passed, reterr));
    if (compare == WEIR_NE) {
        WEIR_TRY(any_compare(query, link, compare, summary[ANY_LEAST], &other, reterr));
        WEIR_TRY(weir_node_new(arena, WEIR_NODE_OR, 2, link->location, &node, reterr));
        node->type = boolean;
        node->arguments[0] = passed;
        node->arguments[1] = other;
        passed = node;
    }
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CASE, 7, link->location, &node, reterr));
    node->type = boolean;
    WEIR_TRY(weir_node_long(arena, 0, &zero, reterr));
    WEIR_TRY(weir_node_compare(arena, WEIR_EQ, summary[ANY_ROWS], zero, link->location,
                               &node->arguments[0], reterr));
    WEIR_TRY(weir_node_boolean(arena, false, &node->arguments[1], reterr));
    node->arguments[2] = passed;
    WEIR_TRY(weir_node_boolean(arena, true, &node->arguments[3], reterr));
    WEIR_TRY(weir_node_compare(arena, WEIR_NE, summary[ANY_ROWS], summary[ANY_VALUES],
                               link->location, &node->arguments[4], reterr));
    WEIR_TRY(weir_node_null(arena, &boolean, &node->arguments[5], reterr));
    node->arguments[6] = passed;
    *ret = node;
    return WEIR_OK;
}

static bool link_compare(const PgQuery__SubLink *link, enum weir_compare *ret)
{
    static const char *const names[] = {[WEIR_EQ] = "=",  [WEIR_NE] = "<>", [WEIR_LT] = "<",
                                        [WEIR_LE] = "<=", [WEIR_GT] = ">",  [WEIR_GE] = ">="};
    const char *name = link->n_oper_name ? weir_bind_string(link->oper_name[link->n_oper_name - 1])
                                         : "=";
    for (int i = WEIR_EQ; i <= WEIR_GE; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum weir_compare)i;
            return true;
        }
    return false;
}

static weir_status bind_in_subquery(struct query *query, const PgQuery__SubLink *link,
                                    struct weir_node **ret, struct weir_error *reterr)
{
    struct logical *plan;
    struct numbers columns = {0};
    struct nodes conditions = {0};
    struct columns free;
    WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
    WEIR_TRY(columns_free(query->sql, plan, &free, reterr));
    if (!columns_empty(&free))
        return correlated_in(query, link, ret, reterr);
    WEIR_TRY(in_conditions(query, link, &columns, &conditions, reterr));
    return mark_of(query, plan, &conditions, link->location, ret, reterr);
}

static weir_status bind_scalar(struct query *query, const PgQuery__SubLink *link,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct logical *plan;
    struct numbers columns = {0};
    WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
    if (columns.count != 1)
        return weir_bind_wrong(&query->sql->binder, link->location, reterr,
                               "a subquery used as a value has one column, not %u", columns.count);
    WEIR_TRY(pending_add(query, plan, WEIR_JOIN_SINGLE, NULL, reterr));
    return sql_column_node(query->sql, columns.items[0], link->location, ret, reterr);
}

/* ARRAY(subquery) = (SELECT array_agg(c) FROM (subquery)), an empty list for no rows */
/* ARRAY() of no rows is a list of nothing, though array_agg gives null. */
static weir_status array_or_empty(struct query *query, uint32_t column, int location,
                                  struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_vector empty;
    struct weir_node *both;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_COALESCE, 2, location, &both, reterr));
    WEIR_TRY(sql_column_node(sql, column, location, &both->arguments[0], reterr));
    both->type = both->arguments[0]->type;
    WEIR_TRY(weir_vector_make(sql->arena, &both->type, 1, 0, &empty, reterr));
    empty.count = 1;
    empty.offsets[0] = empty.offsets[1] = 0;
    WEIR_TRY(weir_node_value(sql->arena, &empty, 0, &both->arguments[1], reterr));
    *ret = both;
    return WEIR_OK;
}

static weir_status bind_array(struct query *query, const PgQuery__SubLink *link,
                              struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *plan, *aggregate;
    struct numbers columns = {0};
    struct weir_aggregate_call *call;
    uint32_t column;
    WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
    if (columns.count != 1)
        return weir_bind_wrong(&sql->binder, link->location, reterr,
                               "ARRAY(subquery) takes one column, not %u", columns.count);
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *call, &call, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 2, sizeof *call->arguments, &call->arguments, reterr));
    call->function = weir_aggregate_find("array_agg");
    call->argument_count = 1;
    call->location = link->location;
    WEIR_TRY(sql_column_node(sql, columns.items[0], link->location, &call->arguments[0], reterr));
    WEIR_TRY(call->function->bind(sql->arena, call, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, plan, NULL, &aggregate, reterr));
    WEIR_TRY(sql_column_new(sql, "array", &call->type, &column, reterr));
    WEIR_TRY(numbers_add(sql, &aggregate->columns, column, reterr));
    aggregate->calls = call;
    aggregate->call_count = 1;
    WEIR_TRY(pending_add(query, aggregate, WEIR_JOIN_SINGLE, NULL, reterr));
    return array_or_empty(query, column, link->location, ret, reterr);
}

static weir_status bind_exists(struct query *query, const PgQuery__SubLink *link,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct logical *plan;
    struct numbers columns = {0};
    WEIR_TRY(subplan(query, link, &plan, &columns, reterr));
    WEIR_TRY(mark_of(query, plan, NULL, link->location, ret, reterr));
    return one_node(query, WEIR_NODE_IS_TRUE, *ret, ret, reterr);
}

/* x op ANY (subquery); x op ALL (subquery) is that no value is there for which op is false. */
static weir_status bind_any_or_all(struct query *query, const PgQuery__SubLink *link,
                                   struct weir_node **ret, struct weir_error *reterr)
{
    static const enum weir_compare opposite[] = {
        [WEIR_EQ] = WEIR_NE, [WEIR_NE] = WEIR_EQ, [WEIR_LT] = WEIR_GE,
        [WEIR_LE] = WEIR_GT, [WEIR_GT] = WEIR_LE, [WEIR_GE] = WEIR_LT};
    bool all = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
    enum weir_compare compare;
    if (!link_compare(link, &compare))
        return weir_bind_wrong(&query->sql->binder, link->location, reterr,
                               "before ANY and ALL there may be = <> < <= > >=");
    if (all)
        compare = opposite[compare];
    WEIR_TRY(compare == WEIR_EQ ? bind_in_subquery(query, link, ret, reterr)
                                : bind_any_compare(query, link, compare, ret, reterr));
    return all ? one_node(query, WEIR_NODE_NOT, *ret, ret, reterr) : WEIR_OK;
}

static weir_status bind_subquery(struct query *query, const PgQuery__SubLink *link,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    switch (link->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK: return bind_exists(query, link, ret, reterr);
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK: return bind_any_or_all(query, link, ret, reterr);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: return bind_scalar(query, link, ret, reterr);
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: return bind_array(query, link, ret, reterr);
    default: break;
    }
    return weir_bind_wrong(&query->sql->binder, link->location, reterr,
                           "this form of subquery is not supported: there are EXISTS, IN, "
                           "(SELECT ...) as a value, ARRAY(...), ANY, ALL");
}

/* ---- GROUPING ---- */

/* Known only once the sets are: kept as a call of a column; see bind_query.c. */
static weir_status bind_grouping(struct query *query, const PgQuery__GroupingFunc *function,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_node *node;
    if (!query->select || query->select->n_group_clause == 0)
        return weir_bind_wrong(&sql->binder, function->location, reterr,
                               "GROUPING needs a GROUP BY");
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_AGGREGATE, (uint32_t)function->n_args,
                           function->location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_INT};
    bool allowed = query->aggregates_allowed;
    query->aggregates_allowed = false;
    for (size_t i = 0; i < function->n_args; i++)
        WEIR_TRY(query_bind(query, function->args[i], &node->arguments[i], reterr));
    query->aggregates_allowed = allowed;
    WEIR_TRY(nodes_add(sql, &query->grouping_calls, node, reterr));
    *ret = node;
    return WEIR_OK;
}

weir_status query_special(struct weir_binder *binder, void *self, const PgQuery__Node *node,
                          struct weir_node **ret, struct weir_error *reterr)
{
    (void)binder;
    *ret = NULL;
    if (node->node_case == PG_QUERY__NODE__NODE_SUB_LINK)
        return bind_subquery(self, node->sub_link, ret, reterr);
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_FUNC)
        return bind_grouping(self, node->grouping_func, ret, reterr);
    return WEIR_OK;
}

/* ---- joining them to the plan ---- */

weir_status query_attach(struct query *query, struct logical **plan, struct weir_error *reterr)
{
    for (struct pending *pending = query->pending; pending; pending = pending->next) {
        struct logical *join;
        WEIR_TRY(logical_new(query->sql, LOGICAL_JOIN, *plan, pending->plan, &join, reterr));
        join->join = pending->join;
        join->lateral = true;
        join->conditions = pending->conditions;
        if (pending->join == WEIR_JOIN_MARK)
            WEIR_TRY(numbers_add(query->sql, &join->columns, pending->mark, reterr));
        *plan = join;
    }
    query->pending = NULL;
    return WEIR_OK;
}

/* ---- WHERE ---- */

static const PgQuery__SubLink *link_of(const PgQuery__Node *node, bool *negated)
{
    *negated = false;
    while (node && node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
           node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR) {
        *negated = !*negated;
        node = node->bool_expr->args[0];
    }
    if (!node || node->node_case != PG_QUERY__NODE__NODE_SUB_LINK)
        return NULL;
    const PgQuery__SubLink *link = node->sub_link;
    bool any = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK &&
               (link->n_oper_name == 0 || strcmp(weir_bind_string(link->oper_name[0]), "=") == 0);
    return any || link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK ? link : NULL;
}

/* [NOT] EXISTS and [NOT] IN at the top of WHERE are joins that need no mark. */
static weir_status link_join(struct query *query, struct logical **plan,
                             const PgQuery__SubLink *link, bool negated, bool *ret_done,
                             struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *right, *join;
    struct numbers columns = {0};
    struct nodes conditions = {0};
    struct columns free;
    bool in = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK;
    *ret_done = false;
    struct pending *pending = query->pending;
    WEIR_TRY(subplan(query, link, &right, &columns, reterr));
    WEIR_TRY(columns_free(sql, right, &free, reterr));
    if (in && negated && columns_empty(&free))
        return WEIR_OK; /* NOT IN of a plain subquery: a mark knows about nulls by itself */
    if (in) {
        WEIR_TRY(in_conditions(query, link, &columns, &conditions, reterr));
        if (query->pending != pending)
            return weir_bind_wrong(&sql->binder, link->location, reterr,
                                   "a subquery on the left of IN is not supported");
    }
    if (in && negated) { /* a row stays unless the comparison is false for every partner */
        struct weir_node *all = NULL, *not ;
        for (uint32_t i = 0; i < conditions.count; i++)
            WEIR_TRY(weir_node_and(sql->arena, all, conditions.items[i], &all, reterr));
        WEIR_TRY(one_node(query, WEIR_NODE_NOT, all, &not, reterr));
        WEIR_TRY(one_node(query, WEIR_NODE_IS_TRUE, not, &not, reterr));
        not ->negated = true;
        conditions = (struct nodes){0};
        WEIR_TRY(nodes_add(sql, &conditions, not, reterr));
    }
    WEIR_TRY(logical_new(sql, LOGICAL_JOIN, *plan, right, &join, reterr));
    join->join = negated ? WEIR_JOIN_ANTI : WEIR_JOIN_SEMI;
    join->lateral = true;
    join->conditions = conditions;
    *plan = join;
    *ret_done = true;
    return WEIR_OK;
}

/* One conjunct. With `links`, only those that are joins of their own; without, only the others. */
static weir_status one_condition(struct query *query, struct logical **plan,
                                 const PgQuery__Node *node, const char *clause, bool links,
                                 struct weir_error *reterr)
{
    struct nodes conditions = {0};
    struct weir_node *condition;
    bool negated, done = false;
    if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < node->bool_expr->n_args; i++)
            WEIR_TRY(one_condition(query, plan, node->bool_expr->args[i], clause, links, reterr));
        return WEIR_OK;
    }
    const PgQuery__SubLink *link = link_of(node, &negated);
    if ((link != NULL) != links)
        return WEIR_OK;
    if (link)
        WEIR_TRY(link_join(query, plan, link, negated, &done, reterr));
    if (done)
        return WEIR_OK;
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *before = binder->scope;
    binder->scope = &query->scope;
    weir_status status = weir_bind_condition(binder, node, clause, &condition, reterr);
    binder->scope = before;
    if (status != WEIR_OK)
        return status;
    WEIR_TRY(query_attach(query, plan, reterr));
    WEIR_TRY(conjuncts(query->sql, condition, &conditions, reterr));
    return filter_on(query->sql, *plan, &conditions, plan, reterr);
}

/* Plain conditions first: what EXISTS and IN join to is then already small. */
weir_status query_conditions(struct query *query, struct logical **plan, const PgQuery__Node *node,
                             const char *clause, struct weir_error *reterr)
{
    WEIR_TRY(one_condition(query, plan, node, clause, false, reterr));
    return one_condition(query, plan, node, clause, true, reterr);
}
