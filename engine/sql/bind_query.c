/* SELECT, clause by clause: FROM, WHERE, GROUP BY, the list, HAVING, WINDOW, DISTINCT, ORDER BY,
 * LIMIT; then UNION and its like. */
#include "engine/sql/query_int.h"

#include <string.h>
#include <strings.h>

const PgQuery__AConst *query_integer(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL
               ? node->a_const
               : NULL;
}

weir_status query_position(struct query *query, const PgQuery__AConst *constant, uint32_t count,
                           const char *clause, uint32_t *ret, struct weir_error *reterr)
{
    int32_t number = constant->ival->ival;
    if (number < 1 || (uint32_t)number > count)
        return weir_bind_wrong(&query->sql->binder, constant->location, reterr,
                               "%s %d: the list of SELECT has %u columns", clause, number, count);
    *ret = (uint32_t)number - 1;
    return WEIR_OK;
}

/* ---- the list of SELECT ---- */

static const char *natural_name(const PgQuery__Node *node)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return weir_bind_string(node->column_ref->fields[node->column_ref->n_fields - 1]);
    case PG_QUERY__NODE__NODE_FUNC_CALL: {
        const char *name = weir_bind_string(
            node->func_call->funcname[node->func_call->n_funcname - 1]);
        return strcmp(name, "_weir_try") == 0 && node->func_call->n_args
                   ? natural_name(node->func_call->args[0])
                   : name;
    }
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const char *inner = natural_name(node->type_cast->arg);
        const PgQuery__TypeName *type = node->type_cast->type_name;
        return strcmp(inner, "?column?") == 0 && type->n_names
                   ? weir_bind_string(type->names[type->n_names - 1])
                   : inner;
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION: {
        const PgQuery__AIndirection *indirection = node->a_indirection;
        const PgQuery__Node *last = indirection->indirection[indirection->n_indirection - 1];
        return last->node_case == PG_QUERY__NODE__NODE_STRING ? last->string->sval
                                                              : natural_name(indirection->arg);
    }
    case PG_QUERY__NODE__NODE_CASE_EXPR: return "case";
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return "coalesce";
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return "array";
    case PG_QUERY__NODE__NODE_ROW_EXPR: return "row";
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK
                   ? "exists"
                   : "?column?";
    default: return "?column?";
    }
}

static weir_status bind_targets(struct query *query, const PgQuery__SelectStmt *select,
                                struct targets *targets, struct weir_error *reterr)
{
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__ResTarget *target = select->target_list[i]->res_target;
        const PgQuery__Node *value = target->val;
        bool done;
        WEIR_TRY(query_star(query, value, targets, &done, reterr));
        if (done)
            continue;
        struct weir_node *node;
        WEIR_TRY(query_bind(query, value, &node, reterr));
        node->unknown = false;
        WEIR_TRY(target_add(query, targets, node,
                            *target->name ? target->name : natural_name(value), reterr));
    }
    return WEIR_OK;
}

/* ---- windows ---- */

static bool same_window(const struct window *a, const struct window *b)
{
    if (a->partition.count != b->partition.count || a->order_count != b->order_count)
        return false;
    for (uint32_t i = 0; i < a->partition.count; i++)
        if (!weir_node_equal(a->partition.items[i], b->partition.items[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!weir_node_equal(a->order[i].node, b->order[i].node) ||
            a->order[i].descending != b->order[i].descending ||
            a->order[i].nulls_first != b->order[i].nulls_first)
            return false;
    return true;
}

/* Calls over the same partitions and order share one sort. */
static weir_status window_plans(struct query *query, struct logical **plan,
                                struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    for (struct window *first = query->windows; first; first = first->next) {
        struct logical *node;
        uint32_t count = 0;
        if (first->placed)
            continue;
        WEIR_TRY(logical_new(sql, LOGICAL_WINDOW, *plan, NULL, &node, reterr));
        for (struct window *other = first; other; other = other->next)
            count += !other->placed && same_window(first, other);
        WEIR_TRY(weir_arena_zero(sql->arena, count, sizeof *node->windows, &node->windows, reterr));
        for (struct window *other = first; other; other = other->next)
            if (!other->placed && same_window(first, other)) {
                node->windows[node->window_count++] = other->call;
                WEIR_TRY(numbers_add(sql, &node->columns, other->column, reterr));
                other->placed = true;
            }
        node->partition = first->partition;
        node->sort = first->order;
        node->sort_count = first->order_count;
        *plan = node;
    }
    return WEIR_OK;
}

/* ---- ORDER BY and LIMIT ---- */

static weir_status bind_sort(struct query *query, const PgQuery__SelectStmt *select,
                             const struct targets *targets, struct sort_item **ret_sort,
                             uint32_t *ret_count, struct weir_error *reterr)
{
    struct sort_item *sort;
    uint32_t count = (uint32_t)select->n_sort_clause;
    WEIR_TRY(weir_arena_zero(query->sql->arena, count + targets->count + 1, sizeof *sort, &sort,
                             reterr));
    *ret_sort = sort;
    *ret_count = count;
    if (count == 1 && query_is_all(select->sort_clause[0]->sort_by->node)) {
        *ret_count = targets->count;
        for (uint32_t i = 0; i < targets->count; i++) {
            WEIR_TRY(query_sort_direction(select->sort_clause[0]->sort_by, &sort[i].descending,
                                          &sort[i].nulls_first));
            sort[i].node = targets->nodes[i];
        }
        return WEIR_OK;
    }
    query->output_names = targets->names;
    query->outputs = targets->nodes;
    query->output_count = targets->count;
    query->outputs_first = true;
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const PgQuery__SortBy *item = select->sort_clause[i]->sort_by;
        uint32_t at;
        if (query_is_all(item->node))
            return weir_bind_wrong(&query->sql->binder, weir_bind_location(item->node), reterr,
                                   "ORDER BY ALL stands alone");
        WEIR_TRY(query_sort_direction(item, &sort[i].descending, &sort[i].nulls_first));
        if (query_integer(item->node)) {
            WEIR_TRY(query_position(query, query_integer(item->node), targets->count, "ORDER BY",
                                    &at, reterr));
            sort[i].node = targets->nodes[at];
        } else {
            bool alone = item->node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF;
            query->outputs_first = alone; /* inside expressions names are columns */
            query->outputs_last = !alone;
            WEIR_TRY(query_bind(query, item->node, &sort[i].node, reterr));
            sort[i].node->unknown = false;
        }
    }
    query->outputs_first = query->outputs_last = false;
    return WEIR_OK;
}

static weir_status constant_count(struct query *query, const PgQuery__Node *node,
                                  const char *clause, int64_t otherwise, int64_t *ret,
                                  struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_LONG};
    struct weir_node *bound;
    struct weir_binder *binder = &query->sql->binder;
    *ret = otherwise;
    if (!node)
        return WEIR_OK;
    WEIR_TRY(query_bind(query, node, &bound, reterr));
    WEIR_TRY(weir_bind_at(
        binder, weir_bind_location(node),
        weir_node_cast(query->sql->arena, bound, &number, true, false, &bound, reterr)));
    WEIR_TRY(weir_node_fold(query->sql->arena, bound, &bound, reterr));
    if (bound->kind != WEIR_NODE_CONSTANT)
        return weir_bind_wrong(binder, weir_bind_location(node), reterr, "%s is a constant",
                               clause);
    if (!weir_vector_valid(&bound->value, 0))
        return WEIR_OK;
    *ret = *(const int64_t *)bound->value.values;
    if (*ret < 0)
        return weir_bind_wrong(binder, weir_bind_location(node), reterr, "%s must not be negative",
                               clause);
    return WEIR_OK;
}

static weir_status sort_and_limit(struct query *query, const PgQuery__SelectStmt *select,
                                  struct sort_item *sort, uint32_t sort_count,
                                  struct logical **plan, struct weir_error *reterr)
{
    struct logical *node;
    int64_t limit, offset;
    if (select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return weir_bind_wrong(&query->sql->binder, weir_bind_location(select->limit_count), reterr,
                               "WITH TIES is not supported: use rank()");
    WEIR_TRY(constant_count(query, select->limit_count, "LIMIT", -1, &limit, reterr));
    WEIR_TRY(constant_count(query, select->limit_offset, "OFFSET", 0, &offset, reterr));
    bool limited = limit >= 0 || offset > 0;
    if (!sort_count && !limited)
        return WEIR_OK;
    WEIR_TRY(logical_new(query->sql, sort_count ? LOGICAL_SORT : LOGICAL_LIMIT, *plan, NULL, &node,
                         reterr));
    node->sort = sort;
    node->sort_count = sort_count;
    node->limit = limit;
    node->offset = offset;
    *plan = node;
    return WEIR_OK;
}

/* ---- DISTINCT ---- */

static weir_status distinct_rows(struct sql *sql, const struct numbers *columns,
                                 struct logical **plan, struct weir_error *reterr)
{
    struct logical *node;
    WEIR_TRY(logical_new(sql, LOGICAL_AGGREGATE, *plan, NULL, &node, reterr));
    for (uint32_t i = 0; i < columns->count; i++) {
        struct weir_node *key;
        if (numbers_have(&node->columns, columns->items[i]))
            continue;
        WEIR_TRY(sql_column_node(sql, columns->items[i], -1, &key, reterr));
        WEIR_TRY(nodes_add(sql, &node->expressions, key, reterr));
        WEIR_TRY(numbers_add(sql, &node->columns, columns->items[i], reterr));
    }
    *plan = node;
    return WEIR_OK;
}

/* DISTINCT ON (keys): the first row of each by ORDER BY. */
static weir_status distinct_on(struct query *query, const struct nodes *keys,
                               struct sort_item *sort, uint32_t sort_count, struct logical **plan,
                               struct weir_error *reterr)
{
    static const struct weir_type number = {.id = WEIR_LONG};
    struct sql *sql = query->sql;
    struct logical *window;
    struct nodes first = {0};
    struct weir_node *column, *one, *equal;
    uint32_t row_number;
    for (uint32_t i = 0; i < keys->count && i < sort_count; i++) {
        bool among = false;
        for (uint32_t k = 0; k < keys->count; k++)
            among = among || weir_node_equal(sort[i].node, keys->items[k]);
        if (!among)
            return weir_bind_wrong(&sql->binder, sort[i].node->location, reterr,
                                   "ORDER BY must begin with the expressions of DISTINCT ON");
    }
    WEIR_TRY(logical_new(sql, LOGICAL_WINDOW, *plan, NULL, &window, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *window->windows, &window->windows, reterr));
    window->windows[0] = (struct weir_window_call){.name = "row_number",
                                                   .aggregate = {.type = number, .location = -1},
                                                   .unit = WEIR_FRAME_ROWS,
                                                   .end = WEIR_CURRENT_ROW};
    window->window_count = 1;
    window->partition = *keys;
    window->sort_count = sort_count;
    /* its own: the projection above puts columns of its own into the list of ORDER BY */
    WEIR_TRY(weir_arena_zero(sql->arena, sort_count + 1, sizeof *sort, &window->sort, reterr));
    if (sort_count)
        memcpy(window->sort, sort, sort_count * sizeof *sort);
    WEIR_TRY(sql_column_new(sql, "row_number", &number, &row_number, reterr));
    WEIR_TRY(numbers_add(sql, &window->columns, row_number, reterr));
    WEIR_TRY(sql_column_node(sql, row_number, -1, &column, reterr));
    WEIR_TRY(weir_node_long(sql->arena, 1, &one, reterr));
    WEIR_TRY(weir_node_compare(sql->arena, WEIR_EQ, column, one, -1, &equal, reterr));
    WEIR_TRY(nodes_add(sql, &first, equal, reterr));
    *plan = window;
    return filter_on(sql, *plan, &first, plan, reterr);
}

/* ---- one SELECT ---- */

/* The list as columns; what ORDER BY needs beside it too. */
static weir_status project(struct query *query, const struct targets *targets,
                           struct sort_item *sort, uint32_t sort_count, bool distinct,
                           struct logical **plan, struct numbers *ret_columns,
                           struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *node;
    struct columns own;
    WEIR_TRY(columns_of_output(sql, *plan, &own, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, *plan, NULL, &node, reterr));
    for (uint32_t i = 0; i < targets->count + sort_count; i++) {
        bool extra = i >= targets->count;
        struct weir_node *value = extra ? sort[i - targets->count].node : targets->nodes[i];
        uint32_t column = value->index, at = 0;
        while (at < node->expressions.count && !weir_node_equal(node->expressions.items[at], value))
            at++;
        bool again = at < node->expressions.count;
        if (again && extra) {
            column = node->columns.items[at];
        } else { /* what the list says twice are two columns: ROLLUP around it parts them */
            if (extra && distinct)
                return weir_bind_wrong(&sql->binder, value->location, reterr,
                                       "with DISTINCT, ORDER BY takes what is in the list");
            /* a column of the query around this one is there under its number already */
            bool outer = value->kind == WEIR_NODE_COLUMN && !columns_have(&own, column);
            if (value->kind != WEIR_NODE_COLUMN || again || outer) {
                WEIR_TRY(sql_column_new(sql, extra ? "sort" : targets->names[i], &value->type,
                                        &column, reterr));
                sql->columns[column].null = value->kind == WEIR_NODE_CONSTANT &&
                                            value->type.id == WEIR_STRING &&
                                            !weir_vector_valid(&value->value, 0);
            }
            WEIR_TRY(nodes_add(sql, &node->expressions, value, reterr));
            WEIR_TRY(numbers_add(sql, &node->columns, column, reterr));
        }
        if (extra)
            WEIR_TRY(sql_column_node(sql, column, value->location, &sort[i - targets->count].node,
                                     reterr));
        else
            WEIR_TRY(numbers_add(sql, ret_columns, column, reterr));
    }
    *plan = node;
    return WEIR_OK;
}

static weir_status having_condition(struct query *query, const PgQuery__Node *node,
                                    struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *before = binder->scope;
    *ret = NULL;
    if (!node)
        return WEIR_OK;
    query->clause = "HAVING";
    binder->scope = &query->scope;
    query->windows_allowed = false;
    weir_status status = weir_bind_condition(binder, node, "HAVING", ret, reterr);
    query->windows_allowed = true;
    binder->scope = before;
    return status;
}

/* QUALIFY comes as a window of the grammar's: rewrite_forms.c. */
static weir_status qualify_condition(struct query *query, const PgQuery__SelectStmt *select,
                                     struct weir_error *reterr)
{
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *before = binder->scope;
    weir_status status = WEIR_OK;
    query->clause = "QUALIFY";
    query->outputs_last = true;
    binder->scope = &query->scope;
    for (size_t i = 0; i < select->n_window_clause && status == WEIR_OK; i++) {
        const PgQuery__WindowDef *window = select->window_clause[i]->window_def;
        if (strcmp(window->name, "_weir_qualify") == 0 && window->n_partition_clause)
            status = weir_bind_condition(binder, window->partition_clause[0], "QUALIFY",
                                         &query->qualify, reterr);
    }
    binder->scope = before;
    query->outputs_last = false;
    return status;
}

static weir_status select_unnests(struct query *query, struct logical **plan,
                                  struct weir_error *reterr)
{
    struct logical *unnest;
    if (query->unnests.count == 0)
        return WEIR_OK;
    WEIR_TRY(logical_new(query->sql, LOGICAL_UNNEST, *plan, NULL, &unnest, reterr));
    unnest->expressions = query->unnests;
    unnest->columns = query->unnest_columns;
    *plan = unnest;
    return WEIR_OK;
}

static weir_status distinct_keys(struct query *query, const PgQuery__SelectStmt *select,
                                 const struct targets *targets, struct nodes *ret,
                                 struct weir_error *reterr)
{
    query->output_names = targets->names;
    query->outputs = targets->nodes;
    query->output_count = targets->count;
    query->outputs_first = true;
    for (size_t i = 0; i < select->n_distinct_clause; i++) {
        struct weir_node *key;
        uint32_t at;
        const PgQuery__Node *item = select->distinct_clause[i];
        if (!item || item->node_case == PG_QUERY__NODE__NODE__NOT_SET)
            continue; /* plain DISTINCT */
        if (query_integer(item)) {
            WEIR_TRY(query_position(query, query_integer(item), targets->count, "DISTINCT ON", &at,
                                    reterr));
            key = targets->nodes[at];
        } else {
            WEIR_TRY(query_bind(query, item, &key, reterr));
        }
        WEIR_TRY(nodes_add(query->sql, ret, key, reterr));
    }
    query->outputs_first = false;
    return WEIR_OK;
}

static weir_status filtered(struct sql *sql, struct weir_node *condition, struct logical **plan,
                            struct weir_error *reterr)
{
    struct nodes conditions = {0};
    if (!condition)
        return WEIR_OK;
    WEIR_TRY(conjuncts(sql, condition, &conditions, reterr));
    return filter_on(sql, *plan, &conditions, plan, reterr);
}

static weir_status plain_select(struct query *query, const PgQuery__SelectStmt *select,
                                struct logical **ret_plan, struct numbers *ret_columns,
                                const char ***ret_names, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct targets targets = {0};
    struct sort_item *sort;
    struct weir_node *having = NULL;
    struct nodes distinct = {0};
    uint32_t sort_count;
    query->select = select;
    WEIR_TRY(query_from(query, select->from_clause, select->n_from_clause, reterr));
    query->clause = "WHERE";
    if (select->where_clause)
        WEIR_TRY(query_conditions(query, &query->plan, select->where_clause, "WHERE", reterr));
    query->aggregates_allowed = query->windows_allowed = query->unnests_allowed = true;
    WEIR_TRY(bind_targets(query, select, &targets, reterr));
    query->unnests_allowed = false;
    query->aggregates_allowed = query->windows_allowed = false;
    query->clause = "GROUP BY";
    query->output_names = targets.names;
    query->outputs = targets.nodes;
    query->output_count = targets.count;
    WEIR_TRY(query_groups(query, select, &targets, reterr));
    query->aggregates_allowed = query->windows_allowed = true;
    WEIR_TRY(having_condition(query, select->having_clause, &having, reterr));
    WEIR_TRY(qualify_condition(query, select, reterr));
    query->clause = "ORDER BY";
    WEIR_TRY(bind_sort(query, select, &targets, &sort, &sort_count, reterr));
    WEIR_TRY(distinct_keys(query, select, &targets, &distinct, reterr));
    bool grouped = query->call_count || select->n_group_clause || select->having_clause;
    struct logical *plan = query->plan;
    if (grouped) {
        WEIR_TRY(query_group_plan(query, &plan, reterr));
        WEIR_TRY(
            query_regroup(query, plan, &targets, &having, sort, sort_count, &distinct, reterr));
    }
    WEIR_TRY(query_attach(query, &plan, reterr));
    WEIR_TRY(filtered(sql, having, &plan, reterr));
    WEIR_TRY(window_plans(query, &plan, reterr));
    WEIR_TRY(filtered(sql, query->qualify, &plan, reterr));
    WEIR_TRY(select_unnests(query, &plan, reterr));
    if (distinct.count)
        WEIR_TRY(distinct_on(query, &distinct, sort, sort_count, &plan, reterr));
    bool rows = select->n_distinct_clause && !distinct.count;
    WEIR_TRY(project(query, &targets, sort, sort_count, rows, &plan, ret_columns, reterr));
    if (rows)
        WEIR_TRY(distinct_rows(sql, ret_columns, &plan, reterr));
    WEIR_TRY(sort_and_limit(query, select, sort, sort_count, &plan, reterr));
    *ret_plan = plan;
    *ret_names = targets.names;
    return WEIR_OK;
}

/* ---- VALUES ---- */

static weir_status values_rows(struct query *query, const PgQuery__SelectStmt *select,
                               struct logical *plan, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    size_t rows = select->n_values_lists, width = select->values_lists[0]->list->n_items;
    struct weir_node **column;
    WEIR_TRY(
        weir_arena_zero(sql->arena, rows * width + 1, sizeof *plan->values, &plan->values, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, rows + 1, sizeof *column, &column, reterr));
    plan->row_count = rows;
    for (size_t r = 0; r < rows; r++) {
        const PgQuery__List *list = select->values_lists[r]->list;
        if (list->n_items != width)
            return weir_bind_wrong(&sql->binder, weir_bind_location(list->items[0]), reterr,
                                   "VALUES: rows of %zu and of %zu columns", width, list->n_items);
        for (size_t c = 0; c < width; c++)
            WEIR_TRY(query_bind(query, list->items[c], &plan->values[r * width + c], reterr));
    }
    for (size_t c = 0; c < width; c++) {
        struct weir_type type;
        uint32_t number;
        char *name;
        for (size_t r = 0; r < rows; r++)
            column[r] = plan->values[r * width + c];
        WEIR_TRY(weir_bind_at(
            &sql->binder, column[0]->location,
            weir_nodes_unify(sql->arena, column, (uint32_t)rows, "VALUES", &type, reterr)));
        for (size_t r = 0; r < rows; r++)
            plan->values[r * width + c] = column[r];
        WEIR_TRY(weir_arena_print(sql->arena, &name, reterr, "column%zu", c + 1));
        WEIR_TRY(sql_column_new(sql, name, &type, &number, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, number, reterr));
    }
    return WEIR_OK;
}

/* Above UNION and VALUES, ORDER BY knows the result's columns only. */
static weir_status order_outputs(struct query *query, const PgQuery__SelectStmt *select,
                                 struct logical **plan, const struct numbers *columns,
                                 const char *const *names, struct weir_error *reterr)
{
    struct targets targets = {0};
    struct sort_item *sort;
    uint32_t count;
    WEIR_TRY(query_relation(query, "", "", names, columns->items, columns->count, reterr));
    for (uint32_t i = 0; i < columns->count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(query->sql, columns->items[i], -1, &node, reterr));
        WEIR_TRY(target_add(query, &targets, node, names[i], reterr));
    }
    WEIR_TRY(bind_sort(query, select, &targets, &sort, &count, reterr));
    return sort_and_limit(query, select, sort, count, plan, reterr);
}

/* One column of VALUES as CASE over the row's number. */
static weir_status values_case(struct sql *sql, const struct logical *plan, size_t column,
                               uint32_t number, struct weir_node **ret, struct weir_error *reterr)
{
    uint32_t rows = (uint32_t)plan->row_count, width = plan->columns.count;
    struct weir_node *node;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_CASE, 2 * rows - 1, -1, &node, reterr));
    for (uint32_t r = 0; r < rows; r++) {
        struct weir_node *is_row, *row, *index;
        node->arguments[r + 1 < rows ? 2 * r + 1 : 2 * r] = plan->values[r * width + column];
        if (r + 1 == rows)
            continue;
        WEIR_TRY(sql_column_node(sql, number, -1, &row, reterr));
        WEIR_TRY(weir_node_long(sql->arena, r, &index, reterr));
        WEIR_TRY(weir_node_compare(sql->arena, WEIR_EQ, row, index, -1, &is_row, reterr));
        node->arguments[2 * r] = is_row;
    }
    node->type = plan->values[column]->type;
    *ret = node;
    return WEIR_OK;
}

/* Rows with subqueries: these are joined to the rows' numbers, and each value is taken in its row.
 */
static weir_status values_attach(struct query *query, struct logical **plan,
                                 struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *rows, *project, *from = *plan;
    struct weir_type type = {.id = WEIR_LONG};
    uint32_t number;
    WEIR_TRY(logical_new(sql, LOGICAL_VALUES, NULL, NULL, &rows, reterr));
    WEIR_TRY(sql_column_new(sql, "row", &type, &number, reterr));
    WEIR_TRY(numbers_add(sql, &rows->columns, number, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, from->row_count + 1, sizeof *rows->values, &rows->values,
                             reterr));
    rows->row_count = from->row_count;
    for (size_t r = 0; r < from->row_count; r++)
        WEIR_TRY(weir_node_long(sql->arena, (int64_t)r, &rows->values[r], reterr));
    WEIR_TRY(query_attach(query, &rows, reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, rows, NULL, &project, reterr));
    for (uint32_t c = 0; c < from->columns.count; c++) {
        struct weir_node *node;
        WEIR_TRY(values_case(sql, from, c, number, &node, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, from->columns.items[c], reterr));
    }
    *plan = project;
    return WEIR_OK;
}

static weir_status values(struct query *query, const PgQuery__SelectStmt *select,
                          struct logical **ret_plan, struct numbers *ret_columns,
                          const char ***ret_names, struct weir_error *reterr)
{
    struct logical *plan;
    const char **names;
    WEIR_TRY(logical_new(query->sql, LOGICAL_VALUES, NULL, NULL, &plan, reterr));
    WEIR_TRY(values_rows(query, select, plan, reterr));
    WEIR_TRY(
        weir_arena_zero(query->sql->arena, plan->columns.count + 1, sizeof *names, &names, reterr));
    for (uint32_t i = 0; i < plan->columns.count; i++) {
        names[i] = query->sql->columns[plan->columns.items[i]].name;
        WEIR_TRY(numbers_add(query->sql, ret_columns, plan->columns.items[i], reterr));
    }
    if (query->pending)
        WEIR_TRY(values_attach(query, &plan, reterr));
    *ret_names = names;
    *ret_plan = plan;
    return order_outputs(query, select, ret_plan, ret_columns, names, reterr);
}

/* ---- UNION, INTERSECT, EXCEPT ---- */

/* The side's columns cast to the common types. */
static weir_status side_columns(struct sql *sql, struct logical **plan, struct numbers *columns,
                                const struct weir_type *types, struct weir_error *reterr)
{
    struct logical *project;
    struct numbers made = {0};
    bool same = true;
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, *plan, NULL, &project, reterr));
    for (uint32_t i = 0; i < columns->count; i++) {
        struct weir_node *node;
        uint32_t column = columns->items[i];
        if (sql->columns[column].null && types[i].id != WEIR_STRING)
            WEIR_TRY(weir_node_null(sql->arena, &types[i], &node, reterr));
        else
            WEIR_TRY(sql_column_node(sql, column, -1, &node, reterr));
        WEIR_TRY(weir_node_cast(sql->arena, node, &types[i], true, false, &node, reterr));
        if (node->kind != WEIR_NODE_COLUMN) {
            WEIR_TRY(sql_column_new(sql, sql->columns[column].name, &types[i], &column, reterr));
            same = false;
        }
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, &made, column, reterr));
    }
    if (!same)
        *plan = project;
    *columns = made;
    return WEIR_OK;
}

static weir_status common_types(struct sql *sql, const struct numbers sides[2],
                                struct weir_type **ret_types, struct weir_error *reterr)
{
    struct weir_type *types;
    uint32_t count = sides[0].count;
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *types, &types, reterr));
    for (uint32_t i = 0; i < count; i++) {
        struct weir_node *a, *b;
        WEIR_TRY(sql_column_node(sql, sides[0].items[i], -1, &a, reterr));
        WEIR_TRY(sql_column_node(sql, sides[1].items[i], -1, &b, reterr));
        a->unknown = sql->columns[sides[0].items[i]].null;
        b->unknown = sql->columns[sides[1].items[i]].null;
        if (!weir_type_common(a, b, &types[i]))
            return weir_fail(reterr, WEIR_USAGE,
                             "UNION: column %u is a %s on one side, a %s on "
                             "the other",
                             i + 1, weir_type_name(a->type.id), weir_type_name(b->type.id));
    }
    *ret_types = types;
    return WEIR_OK;
}

static weir_status set_operation(struct query *query, const PgQuery__SelectStmt *select,
                                 struct logical **ret_plan, struct numbers *ret_columns,
                                 const char ***ret_names, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *sides[2], *plan;
    struct numbers columns[2] = {0};
    const char **names[2];
    struct weir_type *types;
    bool united = select->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
    WEIR_TRY(query_select(sql, query->outer, query->ctes, select->larg, &sides[0], &columns[0],
                          &names[0], reterr));
    WEIR_TRY(query_select(sql, query->outer, query->ctes, select->rarg, &sides[1], &columns[1],
                          &names[1], reterr));
    if (columns[0].count != columns[1].count)
        return weir_fail(reterr, WEIR_USAGE, "UNION: %u columns on one side, %u on the other",
                         columns[0].count, columns[1].count);
    WEIR_TRY(common_types(sql, columns, &types, reterr));
    for (int i = 0; i < 2; i++)
        WEIR_TRY(side_columns(sql, &sides[i], &columns[i], types, reterr));
    WEIR_TRY(
        logical_new(sql, united ? LOGICAL_UNION : LOGICAL_SET, sides[0], sides[1], &plan, reterr));
    WEIR_TRY(
        weir_arena_zero(sql->arena, 2, sizeof *plan->child_columns, &plan->child_columns, reterr));
    memcpy(plan->child_columns, columns, sizeof columns);
    plan->all = select->all;
    plan->except = select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
    for (uint32_t i = 0; i < columns[0].count; i++) {
        uint32_t column;
        WEIR_TRY(sql_column_new(sql, names[0][i], &types[i], &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, ret_columns, column, reterr));
    }
    if (united && !select->all)
        WEIR_TRY(distinct_rows(sql, ret_columns, &plan, reterr));
    *ret_plan = plan;
    *ret_names = names[0];
    return order_outputs(query, select, ret_plan, ret_columns, names[0], reterr);
}

/* ---- WITH, and which kind it is ---- */

static uint32_t references(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    uint32_t count = 0;
    if (descriptor == &pg_query__range_var__descriptor)
        return strcasecmp(((const PgQuery__RangeVar *)message)->relname, name) == 0;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *base = (const char *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t items = *(const size_t *)(base + field->quantifier_offset);
            ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)(base +
                                                                                field->offset);
            for (size_t k = 0; k < items; k++)
                count += references(list[k], name);
            continue;
        }
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            *(const uint32_t *)(base + field->quantifier_offset) != field->id)
            continue;
        const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)(base + field->offset);
        if (inner)
            count += references(inner, name);
    }
    return count;
}

static weir_status bind_with(struct query *query, const PgQuery__SelectStmt *select,
                             struct cte *before, struct weir_error *reterr)
{
    const PgQuery__WithClause *with = select->with_clause;
    query->ctes = before;
    if (!with)
        return WEIR_OK;
    for (size_t i = 0; i < with->n_ctes; i++) {
        struct cte *cte;
        WEIR_TRY(weir_arena_zero(query->sql->arena, 1, sizeof *cte, &cte, reterr));
        cte->tree = with->ctes[i]->common_table_expr;
        for (struct cte *other = query->ctes; other != before; other = other->next)
            if (strcmp(other->name, cte->tree->ctename) == 0)
                return weir_bind_wrong(&query->sql->binder, cte->tree->location, reterr,
                                       "WITH gives %s more than once", other->name);
        WEIR_TRY(copy_text(query->sql, cte->tree->ctename, &cte->name, reterr));
        cte->where = query->outer;
        cte->ctes = query->ctes;
        uint32_t own = with->recursive ? references(&cte->tree->base, cte->name) : 0;
        cte->recursive = own > 0;
        cte->references = references(&select->base, cte->name) - own;
        cte->next = query->ctes;
        query->ctes = cte;
    }
    return WEIR_OK;
}

weir_status query_select(struct sql *sql, struct query *outer, struct cte *ctes,
                         const PgQuery__SelectStmt *select, struct logical **ret_plan,
                         struct numbers *ret_columns, const char ***ret_names,
                         struct weir_error *reterr)
{
    struct query *query;
    if (++sql->depth > 200)
        return weir_fail(reterr, WEIR_USAGE, "more than 200 queries inside each other");
    if (select->into_clause || select->n_locking_clause)
        return weir_fail(reterr, WEIR_USAGE, "a query only reads: no INTO, no FOR UPDATE");
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *query, &query, reterr));
    query_init(query, sql, outer);
    WEIR_TRY(bind_with(query, select, ctes, reterr));
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE &&
        select->op != PG_QUERY__SET_OPERATION__SET_OPERATION_UNDEFINED)
        WEIR_TRY(set_operation(query, select, ret_plan, ret_columns, ret_names, reterr));
    else if (select->n_values_lists)
        WEIR_TRY(values(query, select, ret_plan, ret_columns, ret_names, reterr));
    else
        WEIR_TRY(plain_select(query, select, ret_plan, ret_columns, ret_names, reterr));
    sql->depth--;
    return WEIR_OK;
}

weir_status sql_bind_query(struct sql *sql, const PgQuery__SelectStmt *select,
                           struct logical **ret_plan, struct numbers *ret_columns,
                           const char ***ret_names, struct weir_error *reterr)
{
    return query_select(sql, NULL, NULL, select, ret_plan, ret_columns, ret_names, reterr);
}
