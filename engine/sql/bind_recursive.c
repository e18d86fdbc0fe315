/* WITH RECURSIVE t AS (first part UNION [ALL] rounds): the rounds read t, which is the rows of the
 * round before. */
#include "engine/sql/query_int.h"

#include <string.h>

/* The columns of a round as those of the first part. */
static weir_status as_first(struct sql *sql, const struct cte *cte, const struct numbers *first,
                            struct logical **plan, struct numbers *columns,
                            struct weir_error *reterr)
{
    struct logical *project;
    struct numbers made = {0};
    if (columns->count != first->count)
        return weir_bind_wrong(&sql->binder, cte->tree->location, reterr,
                               "WITH RECURSIVE %s: %u columns at first, %u in the rounds",
                               cte->name, first->count, columns->count);
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, *plan, NULL, &project, reterr));
    for (uint32_t i = 0; i < first->count; i++) {
        const struct weir_type *type = &sql->columns[first->items[i]].type;
        struct weir_node *a, *b;
        struct weir_type common;
        uint32_t column = columns->items[i];
        WEIR_TRY(sql_column_node(sql, first->items[i], -1, &a, reterr));
        WEIR_TRY(sql_column_node(sql, column, -1, &b, reterr));
        if (!weir_type_common(a, b, &common) || !weir_type_equal(&common, type, false))
            return weir_bind_wrong(&sql->binder, cte->tree->location, reterr,
                                   "WITH RECURSIVE %s: column %u is a %s at first and a %s in the "
                                   "rounds: cast the first",
                                   cte->name, i + 1, weir_type_name(type->id),
                                   weir_type_name(b->type.id));
        WEIR_TRY(weir_node_cast(sql->arena, b, type, true, false, &b, reterr));
        if (b->kind != WEIR_NODE_COLUMN)
            WEIR_TRY(sql_column_new(sql, sql->columns[column].name, type, &column, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, b, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, &made, column, reterr));
    }
    *plan = project;
    *columns = made;
    return WEIR_OK;
}

static weir_status check_form(struct query *query, const struct cte *cte, struct weir_error *reterr)
{
    const PgQuery__SelectStmt *select = cte->tree->ctequery->select_stmt;
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_UNION)
        return weir_bind_wrong(&query->sql->binder, cte->tree->location, reterr,
                               "WITH RECURSIVE %s reads itself: it is written first part UNION "
                               "[ALL] rounds",
                               cte->name);
    if (select->n_sort_clause || select->limit_count || select->limit_offset ||
        select->with_clause || cte->tree->search_clause || cte->tree->cycle_clause)
        return weir_bind_wrong(&query->sql->binder, cte->tree->location, reterr,
                               "WITH RECURSIVE %s: no WITH, ORDER BY, LIMIT, SEARCH or CYCLE "
                               "around its UNION",
                               cte->name);
    return WEIR_OK;
}

static weir_status names_given(struct query *query, const struct cte *cte, const char **names,
                               uint32_t count, struct weir_error *reterr)
{
    for (size_t i = 0; i < cte->tree->n_aliascolnames && i < count; i++)
        WEIR_TRY(copy_text(query->sql, weir_bind_string(cte->tree->aliascolnames[i]), &names[i],
                           reterr));
    return WEIR_OK;
}

weir_status query_recursive(struct query *query, struct cte *cte, struct logical **ret_plan,
                            struct numbers *ret_columns, const char ***ret_names,
                            struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *sides[2], *plan;
    struct numbers columns[2] = {0};
    const char **names;
    struct recursion *recursion;
    struct columns free;
    WEIR_TRY(check_form(query, cte, reterr));
    const PgQuery__SelectStmt *select = cte->tree->ctequery->select_stmt;
    cte->first_part = true;
    WEIR_TRY(query_select(sql, cte->where, cte, select->larg, &sides[0], &columns[0], &cte->names,
                          reterr));
    cte->first_part = false;
    WEIR_TRY(names_given(query, cte, cte->names, columns[0].count, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *recursion, &recursion, reterr));
    for (uint32_t i = 0; i < columns[0].count; i++) {
        struct weir_type type = sql->columns[columns[0].items[i]].type;
        uint32_t column;
        WEIR_TRY(sql_column_new(sql, cte->names[i], &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &recursion->columns, column, reterr));
    }
    cte->recursion = recursion;
    WEIR_TRY(
        query_select(sql, cte->where, cte, select->rarg, &sides[1], &columns[1], &names, reterr));
    cte->recursion = NULL;
    WEIR_TRY(as_first(sql, cte, &columns[0], &sides[1], &columns[1], reterr));
    WEIR_TRY(logical_new(sql, LOGICAL_RECURSIVE, sides[0], sides[1], &plan, reterr));
    WEIR_TRY(
        weir_arena_zero(sql->arena, 2, sizeof *plan->child_columns, &plan->child_columns, reterr));
    memcpy(plan->child_columns, columns, sizeof columns);
    plan->columns = *ret_columns = recursion->columns;
    plan->all = select->all;
    plan->recursion = recursion;
    plan->name = cte->name;
    WEIR_TRY(columns_free(sql, plan, &free, reterr));
    if (!columns_empty(&free))
        return weir_bind_wrong(&sql->binder, cte->tree->location, reterr,
                               "WITH RECURSIVE %s looks at the query around it", cte->name);
    *ret_plan = plan;
    *ret_names = cte->names;
    return WEIR_OK;
}

weir_status query_working(struct query *query, struct cte *cte, const PgQuery__RangeVar *range,
                          struct logical **ret_plan, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *plan;
    const char **names, *alias = range->alias ? range->alias->aliasname : cte->name;
    if (cte->first_part)
        return weir_bind_wrong(&sql->binder, range->location, reterr,
                               "the first part of WITH RECURSIVE %s reads it: there is nothing yet",
                               cte->name);
    uint32_t count = cte->recursion->columns.count;
    WEIR_TRY(logical_new(sql, LOGICAL_WORKING, NULL, NULL, &plan, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *names, &names, reterr));
    plan->recursion = cte->recursion;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_type type = sql->columns[cte->recursion->columns.items[i]].type;
        uint32_t column;
        names[i] = cte->names[i];
        WEIR_TRY(sql_column_new(sql, names[i], &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
    }
    WEIR_TRY(query_renamed(query, range->alias, names, count, reterr));
    *ret_plan = plan;
    return query_relation(query, "", alias, names, plan->columns.items, count, reterr);
}
