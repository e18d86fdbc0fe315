/* FROM: tables, files, subqueries, WITH, joins, unnest, VALUES. */
#include "engine/sql/query_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static weir_status from_item(struct query *query, const PgQuery__Node *node,
                             struct logical **ret_plan, struct weir_error *reterr);

weir_status query_renamed(struct query *query, const PgQuery__Alias *alias, const char **names,
                          uint32_t count, struct weir_error *reterr)
{
    if (!alias)
        return WEIR_OK;
    if (alias->n_colnames > count)
        return weir_fail(reterr, WEIR_USAGE, "%s has %u columns; %zu names are given for them",
                         alias->aliasname, count, alias->n_colnames);
    for (size_t i = 0; i < alias->n_colnames; i++)
        WEIR_TRY(copy_text(query->sql, weir_bind_string(alias->colnames[i]), &names[i], reterr));
    return WEIR_OK;
}

/* ---- tables ---- */

static weir_status scan(struct query *query, const struct weir_table_source *source,
                        const char *schema, const char *name, const PgQuery__Alias *alias,
                        struct logical **ret_plan, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    const struct weir_type *type = source->operations->schema(source->self);
    struct logical *plan;
    const char **names;
    WEIR_TRY(logical_new(sql, LOGICAL_SCAN, NULL, NULL, &plan, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, type->child_count + 1, sizeof *names, &names, reterr));
    plan->source = source;
    WEIR_TRY(copy_text(sql, name, &plan->name, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        uint32_t column;
        names[i] = type->children[i].name;
        WEIR_TRY(sql_column_new(sql, names[i], &type->children[i].type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->fields, i, reterr));
    }
    WEIR_TRY(query_renamed(query, alias, names, type->child_count, reterr));
    *ret_plan = plan;
    WEIR_TRY(query_relation(query, alias ? "" : schema, alias ? alias->aliasname : name, names,
                            plan->columns.items, type->child_count, reterr));
    query->last->source = source;
    return WEIR_OK;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static weir_status no_such_table(struct query *query, const struct weir_table_name *name,
                                 int location, weir_status status, struct weir_error *reterr)
{
    const struct weir_sql_catalog *catalog = query->sql->options->catalog;
    weir_bind_at(&query->sql->binder, location, status);
    if (status != WEIR_NOT_FOUND)
        return status;
    const char *last = name->parts[name->part_count - 1],
               *near = catalog->nearest ? catalog->nearest(catalog->self, last) : NULL;
    char text[512] = "";
    for (size_t i = 0; i < name->part_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "." : "",
                 name->parts[i]);
    for (struct query *at = query; at && !near; at = at->outer)
        for (struct cte *cte = at->ctes; cte; cte = cte->next)
            if (strncasecmp(cte->name, last, 3) == 0)
                near = cte->name;
    status = weir_bind_wrong(&query->sql->binder, location, reterr, "there is no table %s", text);
    if (near)
        weir_error_hint(reterr, "did you mean %s?", near);
    return status;
}

static weir_status from_cte(struct query *query, struct cte *cte, const PgQuery__RangeVar *range,
                            struct logical **ret_plan, struct weir_error *reterr);

static weir_status from_view(struct query *query, const PgQuery__RangeVar *range,
                             const struct weir_table_name *name, const char *text,
                             struct logical **ret_plan, struct weir_error *reterr)
{
    struct numbers columns = {0};
    const char **names, *last = name->parts[name->part_count - 1],
                        *schema = name->part_count > 1 ? name->parts[name->part_count - 2] : "";
    char shown[256];
    snprintf(shown, sizeof shown, "%s%s%s", schema, *schema ? "." : "", last);
    WEIR_TRY(query_view(query, shown, text, range->location, ret_plan, &columns, &names, reterr));
    WEIR_TRY(query_renamed(query, range->alias, names, columns.count, reterr));
    return query_relation(query, range->alias ? "" : schema,
                          range->alias ? range->alias->aliasname : last, names, columns.items,
                          columns.count, reterr);
}

static weir_status from_table(struct query *query, const PgQuery__RangeVar *range,
                              struct logical **ret_plan, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_table_name name = {0};
    const struct weir_table_source *source = NULL;
    const char *given[3] = {range->catalogname, range->schemaname, range->relname};
    struct cte *cte = *range->schemaname ? NULL : query_find_cte(query, range->relname);
    if (cte)
        return from_cte(query, cte, range, ret_plan, reterr);
    for (int i = 0; i < 3; i++)
        if (given[i] && *given[i])
            name.parts[name.part_count++] = given[i];
    unsigned number;
    char tail;
    if (name.part_count == 1 && sscanf(range->relname, "_weir_table_%u%c", &number, &tail) == 1 &&
        number < sql->rewritten_count)
        name = sql->rewritten[number];
    const struct weir_sql_catalog *catalog = sql->options->catalog;
    const char *view = NULL;
    if (catalog->view)
        WEIR_TRY(weir_bind_at(&sql->binder, range->location,
                              catalog->view(catalog->self, &name, &view, reterr)));
    if (view)
        return from_view(query, range, &name, view, ret_plan, reterr);
    weir_status status = catalog->table(catalog->self, &name, &source, reterr);
    if (status != WEIR_OK)
        return no_such_table(query, &name, range->location, status, reterr);
    const char *last = name.parts[name.part_count - 1];
    return weir_bind_at(
        &sql->binder, range->location,
        scan(query, source, name.part_count > 1 ? name.parts[name.part_count - 2] : "",
             name.is_path ? last_part(last) : last, range->alias, ret_plan, reterr));
}

/* ---- WITH ---- */

/* The query of a WITH, bound where it stands. */
static weir_status cte_bind(struct query *query, struct cte *cte, struct logical **ret_plan,
                            struct numbers *ret_columns, const char ***ret_names,
                            struct weir_error *reterr)
{
    const PgQuery__Node *tree = cte->tree->ctequery;
    if (!tree || tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return weir_bind_wrong(&query->sql->binder, cte->tree->location, reterr,
                               "WITH %s: only queries, nothing that writes", cte->name);
    WEIR_TRY(cte->recursive ? query_recursive(query, cte, ret_plan, ret_columns, ret_names, reterr)
                            : query_select(query->sql, cte->where, cte->ctes, tree->select_stmt,
                                           ret_plan, ret_columns, ret_names, reterr));
    if (cte->tree->n_aliascolnames > ret_columns->count)
        return weir_bind_wrong(&query->sql->binder, cte->tree->location, reterr,
                               "WITH %s: %u columns, %zu names", cte->name, ret_columns->count,
                               cte->tree->n_aliascolnames);
    for (size_t i = 0; i < cte->tree->n_aliascolnames; i++)
        WEIR_TRY(copy_text(query->sql, weir_bind_string(cte->tree->aliascolnames[i]),
                           &(*ret_names)[i], reterr));
    return WEIR_OK;
}

/* Read once: its plan stands in the place of the name. More often, or MATERIALIZED: it runs once.
 */
static weir_status from_cte(struct query *query, struct cte *cte, const PgQuery__RangeVar *range,
                            struct logical **ret_plan, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct numbers columns = {0};
    const char **names, *alias = range->alias ? range->alias->aliasname : cte->name;
    bool once = cte->tree->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeNever ||
                (cte->references <= 1 &&
                 cte->tree->ctematerialized != PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways);
    if (cte->recursion || cte->first_part)
        return query_working(query, cte, range, ret_plan, reterr);
    if (once) {
        WEIR_TRY(cte_bind(query, cte, ret_plan, &columns, &names, reterr));
        WEIR_TRY(query_renamed(query, range->alias, names, columns.count, reterr));
        return query_relation(query, "", alias, names, columns.items, columns.count, reterr);
    }
    if (!cte->shared) {
        struct shared *shared;
        struct columns free;
        WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *shared, &shared, reterr));
        WEIR_TRY(cte_bind(query, cte, &shared->plan, &shared->columns, &cte->names, reterr));
        WEIR_TRY(columns_free(sql, shared->plan, &free, reterr));
        if (!columns_empty(&free))
            return weir_bind_wrong(&sql->binder, range->location, reterr,
                                   "WITH %s looks at the query around it and is read more than "
                                   "once: write it in both places",
                                   cte->name);
        cte->shared = shared;
    }
    struct logical *plan;
    uint32_t count = cte->shared->columns.count;
    WEIR_TRY(logical_new(sql, LOGICAL_SHARED, NULL, NULL, &plan, reterr));
    WEIR_TRY(weir_arena_zero(sql->arena, count + 1, sizeof *names, &names, reterr));
    plan->shared = cte->shared;
    plan->name = cte->name;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column, before, of = cte->shared->columns.items[i];
        struct weir_type type = sql->columns[of].type;
        names[i] = cte->names[i];
        for (before = 0; cte->shared->columns.items[before] != of;)
            before++; /* a column that WITH gives twice is one to its readers too */
        if (before < i)
            column = plan->columns.items[before];
        else
            WEIR_TRY(sql_column_new(sql, names[i], &type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
    }
    WEIR_TRY(query_renamed(query, range->alias, names, count, reterr));
    *ret_plan = plan;
    return query_relation(query, "", alias, names, plan->columns.items, count, reterr);
}

/* ---- subqueries ---- */

static weir_status from_subquery(struct query *query, const PgQuery__RangeSubselect *range,
                                 struct logical **ret_plan, struct weir_error *reterr)
{
    struct numbers columns = {0};
    const char **names;
    if (range->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return weir_fail(reterr, WEIR_USAGE, "a subquery in FROM is a SELECT");
    WEIR_TRY(query_select(query->sql, range->lateral ? query : query->outer, query->ctes,
                          range->subquery->select_stmt, ret_plan, &columns, &names, reterr));
    WEIR_TRY(query_renamed(query, range->alias, names, columns.count, reterr));
    return query_relation(query, "", range->alias ? range->alias->aliasname : "", names,
                          columns.items, columns.count, reterr);
}

/* ---- unnest, generate_series ---- */

static weir_status unnest_columns(struct query *query, struct logical *plan, struct weir_node *list,
                                  const char *name, const char **names, uint32_t *count,
                                  struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    uint32_t column;
    if (list->type.id != WEIR_LIST && list->type.id != WEIR_MAP)
        return weir_bind_wrong(&sql->binder, list->location, reterr,
                               "%s takes a list or a map, not a %s", name,
                               weir_type_name(list->type.id));
    for (uint32_t i = 0; i < list->type.child_count; i++) {
        const struct weir_field *child = &list->type.children[i];
        names[*count] = list->type.id == WEIR_MAP ? child->name : name;
        WEIR_TRY(sql_column_new(sql, names[*count], &child->type, &column, reterr));
        WEIR_TRY(numbers_add(sql, &plan->columns, column, reterr));
        ++*count;
    }
    return nodes_add(sql, &plan->expressions, list, reterr);
}

/* One function of FROM: a list is what it gives. */
static weir_status series_list(struct query *query, const PgQuery__Node *node,
                               struct weir_node **ret, struct weir_error *reterr)
{
    const PgQuery__FuncCall *call = node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                                        ? node->func_call
                                        : NULL;
    const char *name = call && call->n_funcname
                           ? weir_bind_string(call->funcname[call->n_funcname - 1])
                           : "";
    if (strcmp(name, "unnest") == 0 && call->n_args == 1)
        return query_bind(query, call->args[0], ret, reterr);
    if (call && (strcmp(name, "generate_series") == 0 || strcmp(name, "range") == 0 ||
                 strcmp(name, "hop") == 0))
        return query_bind(query, node, ret, reterr);
    return weir_bind_wrong(
        &query->sql->binder, weir_bind_location(node), reterr,
        "%s is no table function: there are unnest, generate_series, range and hop",
        *name ? name : "this");
}

/* unnest looks at what is left of it: it is put on top of that plan, not beside it. */
static weir_status from_function(struct query *query, const PgQuery__RangeFunction *range,
                                 struct logical **plan, bool outer, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *unnest;
    const char *names[64];
    uint32_t count = 0;
    WEIR_TRY(logical_new(sql, LOGICAL_UNNEST, *plan, NULL, &unnest, reterr));
    unnest->outer = outer;
    unnest->ordinality = range->ordinality;
    struct pending *pending = query->pending; /* of what stands before; ours are joined below */
    query->pending = NULL;
    const char *alias = range->alias ? range->alias->aliasname : "unnest";
    for (size_t i = 0; i < range->n_functions; i++) {
        const PgQuery__Node *function = range->functions[i];
        struct weir_node *list;
        if (function->node_case == PG_QUERY__NODE__NODE_LIST)
            function = function->list->items[0];
        const PgQuery__FuncCall *call = function->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                                            ? function->func_call
                                            : NULL;
        bool several = call && call->n_args > 1 &&
                       strcmp(weir_bind_string(call->funcname[call->n_funcname - 1]), "unnest") ==
                           0;
        for (size_t a = 0; a < (several ? call->n_args : 1) && count < 60; a++) {
            if (several)
                WEIR_TRY(query_bind(query, call->args[a], &list, reterr));
            else
                WEIR_TRY(series_list(query, function, &list, reterr));
            WEIR_TRY(unnest_columns(query, unnest, list, alias, names, &count, reterr));
        }
    }
    if (range->ordinality) {
        static const struct weir_type number = {.id = WEIR_LONG};
        uint32_t column;
        names[count++] = "ordinality";
        WEIR_TRY(sql_column_new(sql, "ordinality", &number, &column, reterr));
        WEIR_TRY(numbers_add(sql, &unnest->columns, column, reterr));
    }
    WEIR_TRY(query_attach(query, &unnest->children[0], reterr));
    query->pending = pending;
    WEIR_TRY(query_renamed(query, range->alias, names, count, reterr));
    *plan = unnest;
    return query_relation(query, "", alias, names, unnest->columns.items, count, reterr);
}

/* ---- joins ---- */

static weir_status cross(struct query *query, struct logical *left, struct logical *right,
                         struct logical **ret, struct weir_error *reterr)
{
    struct logical *join;
    if (!left || !right) {
        *ret = left ? left : right;
        return WEIR_OK;
    }
    WEIR_TRY(logical_new(query->sql, LOGICAL_JOIN, left, right, &join, reterr));
    join->join = WEIR_JOIN_INNER;
    join->lateral = true;
    *ret = join;
    return WEIR_OK;
}

/* One name of USING: columns[0] left, [1] right; the right one, or both, leave the plain names. */
static weir_status merge_column(struct query *query, struct relation *first_right, const char *name,
                                enum weir_join_kind kind, struct logical *join,
                                struct nodes *merged, struct numbers *merged_columns,
                                struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct relation *sides[2] = {0};
    uint32_t at[2] = {0};
    bool right = false;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        right = right || relation == first_right;
        for (uint32_t i = 0; i < relation->count; i++)
            if (!relation->hidden[i] && strcasecmp(relation->names[i], name) == 0 &&
                !sides[right]) {
                sides[right] = relation;
                at[right] = i;
            }
    }
    if (!sides[0] || !sides[1])
        return weir_fail(reterr, WEIR_USAGE, "USING (%s): the %s side has no such column", name,
                         sides[0] ? "right" : "left");
    struct weir_node *nodes[2], *equal;
    for (int i = 0; i < 2; i++)
        WEIR_TRY(sql_column_node(sql, sides[i]->columns[at[i]], -1, &nodes[i], reterr));
    WEIR_TRY(weir_node_compare(sql->arena, WEIR_EQ, nodes[0], nodes[1], -1, &equal, reterr));
    WEIR_TRY(nodes_add(sql, &join->conditions, equal, reterr));
    int gone = kind == WEIR_JOIN_RIGHT ? 0 : 1;
    sides[gone]->hidden[at[gone]] = true;
    if (kind != WEIR_JOIN_FULL)
        return numbers_add(sql, &query->merged, sides[!gone]->columns[at[!gone]], reterr);
    struct weir_node *both;
    uint32_t column;
    WEIR_TRY(weir_node_new(sql->arena, WEIR_NODE_COALESCE, 2, -1, &both, reterr));
    for (int i = 0; i < 2; i++)
        WEIR_TRY(sql_column_node(sql, sides[i]->columns[at[i]], -1, &both->arguments[i], reterr));
    WEIR_TRY(weir_nodes_unify(sql->arena, both->arguments, 2, "USING", &both->type, reterr));
    WEIR_TRY(sql_column_new(sql, name, &both->type, &column, reterr));
    WEIR_TRY(nodes_add(sql, merged, both, reterr));
    WEIR_TRY(numbers_add(sql, merged_columns, column, reterr));
    sides[0]->hidden[at[0]] = true;
    return numbers_add(sql, &query->merged, column, reterr);
}

/* FULL JOIN USING: coalesce of both, beside the columns there are. */
static weir_status merged_project(struct query *query, struct logical *join,
                                  const struct nodes *merged, const struct numbers *columns,
                                  const char *const *names, struct logical **ret,
                                  struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct logical *project;
    struct numbers output = {0};
    WEIR_TRY(logical_new(sql, LOGICAL_PROJECT, join, NULL, &project, reterr));
    WEIR_TRY(logical_output(sql, join, &output, reterr));
    for (uint32_t i = 0; i < output.count; i++) {
        struct weir_node *node;
        WEIR_TRY(sql_column_node(sql, output.items[i], -1, &node, reterr));
        WEIR_TRY(nodes_add(sql, &project->expressions, node, reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, output.items[i], reterr));
    }
    for (uint32_t i = 0; i < merged->count; i++) {
        WEIR_TRY(nodes_add(sql, &project->expressions, merged->items[i], reterr));
        WEIR_TRY(numbers_add(sql, &project->columns, columns->items[i], reterr));
    }
    *ret = project;
    return query_relation(query, "", "", names, columns->items, columns->count, reterr);
}

static weir_status natural_names(struct query *query, struct relation *first_right,
                                 const char **names, size_t *count)
{
    *count = 0;
    bool right = false;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        right = right || relation == first_right;
        for (uint32_t i = 0; right && i < relation->count; i++)
            for (struct relation *left = query->relations; left != first_right; left = left->next)
                for (uint32_t k = 0; k < left->count && *count < 64; k++)
                    if (!left->hidden[k] && strcasecmp(left->names[k], relation->names[i]) == 0)
                        names[(*count)++] = relation->names[i];
    }
    return WEIR_OK;
}

static weir_status join_using(struct query *query, const PgQuery__JoinExpr *expr,
                              struct relation *first_right, struct logical **plan,
                              struct weir_error *reterr)
{
    struct logical *join = *plan;
    struct nodes merged = {0};
    struct numbers columns = {0};
    const char *names[64];
    size_t count = 0;
    if (expr->is_natural)
        WEIR_TRY(natural_names(query, first_right, names, &count));
    for (size_t i = 0; i < expr->n_using_clause && i < 64; i++)
        names[count++] = weir_bind_string(expr->using_clause[i]);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(merge_column(query, first_right, names[i], join->join, join, &merged, &columns,
                              reterr));
    if (merged.count == 0)
        return WEIR_OK;
    return merged_project(query, join, &merged, &columns, names, plan, reterr);
}

/* rewrite_forms.c marks ASOF JOIN: ON _weir_asof AND ..., USING (...) AS _weir_asof. */
static bool is_asof(const PgQuery__JoinExpr *expr)
{
    const PgQuery__Node *quals = expr->quals;
    if (expr->join_using_alias)
        return strcmp(expr->join_using_alias->aliasname, "_weir_asof") == 0;
    if (!quals || quals->node_case != PG_QUERY__NODE__NODE_BOOL_EXPR ||
        quals->bool_expr->boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
        return false;
    const PgQuery__Node *first = quals->bool_expr->args[0];
    return first->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
           strcmp(weir_bind_string(first->column_ref->fields[0]), "_weir_asof") == 0;
}

/* Of USING (k, t) the last is the time: left >= right. */
static weir_status asof_using(struct query *query, const PgQuery__JoinExpr *expr,
                              struct relation *first_right, struct logical *join,
                              struct logical **ret_plan, struct weir_error *reterr)
{
    int location = weir_bind_location(expr->larg);
    if (join->join != WEIR_JOIN_INNER && join->join != WEIR_JOIN_LEFT)
        return weir_bind_wrong(&query->sql->binder, location, reterr,
                               "there are ASOF JOIN and ASOF LEFT JOIN");
    WEIR_TRY(join_using(query, expr, first_right, ret_plan, reterr));
    join->conditions.items[join->conditions.count - 1]->compare = WEIR_GE;
    return query_asof(query, join, location, ret_plan, reterr);
}

static weir_status asof_on(struct query *query, const PgQuery__JoinExpr *expr, struct logical *join,
                           struct logical **ret_plan, struct weir_error *reterr)
{
    const PgQuery__BoolExpr *whole = expr->quals->bool_expr;
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *scope = binder->scope;
    struct pending *pending = query->pending;
    weir_status status = WEIR_OK;
    query->clause = "JOIN ... ON";
    binder->scope = &query->scope;
    for (size_t i = 1; i < whole->n_args && status == WEIR_OK; i++) {
        struct weir_node *condition;
        status = weir_bind_condition(binder, whole->args[i], "ON", &condition, reterr);
        if (status == WEIR_OK)
            status = conjuncts(query->sql, condition, &join->conditions, reterr);
    }
    binder->scope = scope;
    if (status != WEIR_OK)
        return status;
    int location = weir_bind_location(whole->args[whole->n_args - 1]);
    if (query->pending != pending)
        return weir_bind_wrong(binder, location, reterr, "ASOF JOIN takes no subquery in its ON");
    return query_asof(query, join, location, ret_plan, reterr);
}

static const PgQuery__RangeFunction *function_of(const PgQuery__Node *node)
{
    return node && node->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION ? node->range_function
                                                                          : NULL;
}

/* LEFT JOIN unnest(x) ON true, CROSS JOIN unnest(x) */
static bool is_true(const PgQuery__Node *node)
{
    return !node || (node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                     node->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL &&
                     node->a_const->boolval->boolval);
}

/* Whether what a subquery of ON looks at is of each side. */
static weir_status looks_at(struct sql *sql, const struct pending *pending,
                            const struct logical *join, bool ret_sides[2],
                            struct weir_error *reterr)
{
    struct columns free, output;
    WEIR_TRY(columns_free(sql, pending->plan, &free, reterr));
    for (uint32_t i = 0; i < pending->conditions.count; i++)
        WEIR_TRY(columns_of_node(sql, pending->conditions.items[i], &free, reterr));
    for (int side = 0; side < 2; side++) {
        WEIR_TRY(columns_of_output(sql, join->children[side], &output, reterr));
        ret_sides[side] = columns_meet(&free, &output);
    }
    return WEIR_OK;
}

/* Subqueries in the ON of an outer join are joined to the side that they look at: MARK and SINGLE
 * leave its rows as they are. One that looks at both has no such place. */
static weir_status attach_sides(struct query *query, struct logical *join, int location,
                                struct weir_error *reterr)
{
    struct pending *all = query->pending, *next;
    for (struct pending *pending = all; pending; pending = next) {
        bool sides[2];
        next = pending->next;
        WEIR_TRY(looks_at(query->sql, pending, join, sides, reterr));
        if (sides[0] && sides[1])
            return weir_bind_wrong(&query->sql->binder, location, reterr,
                                   "a subquery in the ON of an outer join that looks at both "
                                   "sides is not supported: join a subquery in FROM instead");
        pending->next = NULL;
        query->pending = pending;
        WEIR_TRY(query_attach(query, &join->children[sides[0] ? 0 : 1], reterr));
    }
    query->pending = NULL;
    return WEIR_OK;
}

/* The right side may look at the left one only where each row of the join has a left row. */
static weir_status check_lateral(struct query *query, const PgQuery__JoinExpr *expr,
                                 const struct logical *left, struct logical *right,
                                 struct weir_error *reterr)
{
    struct columns free, output;
    if (expr->jointype != PG_QUERY__JOIN_TYPE__JOIN_RIGHT &&
        expr->jointype != PG_QUERY__JOIN_TYPE__JOIN_FULL)
        return WEIR_OK;
    WEIR_TRY(columns_free(query->sql, right, &free, reterr));
    WEIR_TRY(columns_of_output(query->sql, left, &output, reterr));
    if (!columns_meet(&free, &output))
        return WEIR_OK;
    return weir_bind_wrong(&query->sql->binder, weir_bind_location(expr->rarg), reterr,
                           "the right side of a RIGHT or FULL JOIN cannot look at columns of the "
                           "left side: use INNER or LEFT JOIN LATERAL");
}

static weir_status from_join(struct query *query, const PgQuery__JoinExpr *expr,
                             struct logical **ret_plan, struct weir_error *reterr)
{
    static const enum weir_join_kind kinds[] = {
        [PG_QUERY__JOIN_TYPE__JOIN_INNER] = WEIR_JOIN_INNER,
        [PG_QUERY__JOIN_TYPE__JOIN_LEFT] = WEIR_JOIN_LEFT,
        [PG_QUERY__JOIN_TYPE__JOIN_FULL] = WEIR_JOIN_FULL,
        [PG_QUERY__JOIN_TYPE__JOIN_RIGHT] = WEIR_JOIN_RIGHT};
    struct logical *left, *right = NULL, *join;
    if (expr->alias)
        return weir_fail(reterr, WEIR_USAGE, "an alias of a whole JOIN is not supported");
    if (expr->jointype < PG_QUERY__JOIN_TYPE__JOIN_INNER ||
        expr->jointype > PG_QUERY__JOIN_TYPE__JOIN_RIGHT)
        return weir_fail(reterr, WEIR_USAGE, "this kind of JOIN is not supported");
    enum weir_join_kind kind = kinds[expr->jointype];
    WEIR_TRY(from_item(query, expr->larg, &left, reterr));
    if (function_of(expr->rarg) && is_true(expr->quals) && !expr->n_using_clause &&
        (kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_LEFT)) {
        *ret_plan = left;
        return from_function(query, function_of(expr->rarg), ret_plan, kind == WEIR_JOIN_LEFT,
                             reterr);
    }
    struct relation *before = query->last;
    WEIR_TRY(from_item(query, expr->rarg, &right, reterr));
    WEIR_TRY(check_lateral(query, expr, left, right, reterr));
    WEIR_TRY(logical_new(query->sql, LOGICAL_JOIN, left, right, &join, reterr));
    join->join = kind;
    join->lateral = true;
    *ret_plan = join;
    if (is_asof(expr))
        return expr->n_using_clause ? asof_using(query, expr, before->next, join, ret_plan, reterr)
                                    : asof_on(query, expr, join, ret_plan, reterr);
    if (expr->is_natural || expr->n_using_clause)
        return join_using(query, expr, before->next, ret_plan, reterr);
    if (!expr->quals)
        return WEIR_OK;
    struct weir_node *condition;
    query->clause = "JOIN ... ON";
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *scope = binder->scope;
    struct pending *pending = query->pending;
    query->pending = NULL;
    binder->scope = &query->scope;
    weir_status status = weir_bind_condition(binder, expr->quals, "ON", &condition, reterr);
    binder->scope = scope;
    if (status != WEIR_OK)
        return status;
    if (kind != WEIR_JOIN_INNER)
        WEIR_TRY(attach_sides(query, join, weir_bind_location(expr->quals), reterr));
    if (!query->pending) {
        query->pending = pending;
        return conjuncts(query->sql, condition, &join->conditions, reterr);
    }
    struct nodes conditions = {0};
    WEIR_TRY(query_attach(query, ret_plan, reterr));
    query->pending = pending;
    WEIR_TRY(conjuncts(query->sql, condition, &conditions, reterr));
    return filter_on(query->sql, *ret_plan, &conditions, ret_plan, reterr);
}

/* ---- all of them ---- */

static weir_status one_row(struct query *query, struct logical **ret, struct weir_error *reterr)
{
    WEIR_TRY(logical_new(query->sql, LOGICAL_VALUES, NULL, NULL, ret, reterr));
    (*ret)->row_count = 1;
    return WEIR_OK;
}

static weir_status from_item(struct query *query, const PgQuery__Node *node,
                             struct logical **ret_plan, struct weir_error *reterr)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return from_table(query, node->range_var, ret_plan, reterr);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return from_subquery(query, node->range_subselect, ret_plan, reterr);
    case PG_QUERY__NODE__NODE_JOIN_EXPR: return from_join(query, node->join_expr, ret_plan, reterr);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        WEIR_TRY(one_row(query, ret_plan, reterr));
        return from_function(query, node->range_function, ret_plan, false, reterr);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return weir_fail(reterr, WEIR_USAGE, "TABLESAMPLE is not supported");
    default: return weir_fail(reterr, WEIR_USAGE, "this form of FROM is not supported");
    }
}

weir_status query_from(struct query *query, PgQuery__Node *const *items, size_t count,
                       struct weir_error *reterr)
{
    struct logical *plan = NULL;
    if (count == 0)
        return one_row(query, &query->plan, reterr);
    for (size_t i = 0; i < count; i++) {
        struct logical *item = NULL;
        if (function_of(items[i]) && plan) {
            WEIR_TRY(from_function(query, function_of(items[i]), &plan, false, reterr));
            continue;
        }
        WEIR_TRY(from_item(query, items[i], &item, reterr));
        WEIR_TRY(cross(query, plan, item, &plan, reterr));
    }
    query->plan = plan;
    return WEIR_OK;
}
