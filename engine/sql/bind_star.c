/* The star in the list of SELECT: columns of tables, fields of structs, and what EXCLUDE, REPLACE
 * and RENAME make of them. */
#include "engine/sql/query_int.h"

#include <string.h>
#include <strings.h>

weir_status target_add(struct query *query, struct targets *targets, struct weir_node *node,
                       const char *name, struct weir_error *reterr)
{
    struct weir_arena *arena = query->sql->arena;
    if (targets->count == targets->capacity) {
        uint32_t capacity = targets->capacity ? targets->capacity * 2 : 16;
        struct weir_node **nodes;
        const char **names;
        WEIR_TRY(weir_arena_zero(arena, capacity, sizeof *nodes, &nodes, reterr));
        WEIR_TRY(weir_arena_zero(arena, capacity, sizeof *names, &names, reterr));
        if (targets->count) {
            memcpy(nodes, targets->nodes, targets->count * sizeof *nodes);
            memcpy(names, targets->names, targets->count * sizeof *names);
        }
        targets->nodes = nodes;
        targets->names = names;
        targets->capacity = capacity;
    }
    WEIR_TRY(copy_text(query->sql, name, &targets->names[targets->count], reterr));
    targets->nodes[targets->count++] = node;
    return WEIR_OK;
}

static weir_status star_relation(struct query *query, const struct relation *relation, bool all,
                                 bool merged, int location, struct targets *targets,
                                 struct weir_error *reterr)
{
    for (uint32_t i = 0; i < relation->count; i++) {
        struct weir_node *node;
        if (!all &&
            (relation->hidden[i] || numbers_have(&query->merged, relation->columns[i]) != merged))
            continue;
        WEIR_TRY(sql_column_node(query->sql, relation->columns[i], location, &node, reterr));
        WEIR_TRY(target_add(query, targets, node, relation->names[i], reterr));
    }
    return WEIR_OK;
}

static weir_status star(struct query *query, const char *table, int location,
                        struct targets *targets, struct weir_error *reterr)
{
    bool found = false;
    for (int merged = !table; merged >= 0; merged--) /* those of USING first */
        for (struct relation *relation = query->relations; relation; relation = relation->next) {
            if (table && strcasecmp(relation->alias, table) != 0)
                continue;
            found = true;
            WEIR_TRY(
                star_relation(query, relation, table != NULL, merged, location, targets, reterr));
        }
    if (!found && !table)
        return weir_bind_wrong(&query->sql->binder, location, reterr,
                               "SELECT * needs a table in FROM");
    if (found)
        return WEIR_OK;
    /* cpu.*: the fields of a struct */
    struct weir_node *value = NULL, *field;
    size_t used = 0;
    WEIR_TRY(query_column(&query->sql->binder, query, &table, 1, location, &value, &used, reterr));
    if (!value || value->type.id != WEIR_STRUCT)
        return weir_bind_wrong(&query->sql->binder, location, reterr,
                               "there is no table %s in FROM", table);
    for (uint32_t i = 0; i < value->type.child_count; i++) {
        WEIR_TRY(weir_bind_field(&query->sql->binder, value, value->type.children[i].name, location,
                                 &field, reterr));
        WEIR_TRY(target_add(query, targets, field, value->type.children[i].name, reterr));
    }
    return WEIR_OK;
}

/* ---- * EXCLUDE (a, t.b) REPLACE (e AS c) RENAME (d AS f) ---- */

static const PgQuery__Node *last_field(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields
               ? node->column_ref->fields[node->column_ref->n_fields - 1]
               : NULL;
}

/* Places of the star's columns that the name means; false: of none. */
static bool next_named(const struct targets *targets, const char *name, uint32_t *at)
{
    while (*at < targets->count && strcasecmp(targets->names[*at], name) != 0)
        ++*at;
    return *at < targets->count;
}

static weir_status no_such_column(struct query *query, const PgQuery__Node *node, const char *name,
                                  const char *word, struct weir_error *reterr)
{
    return weir_bind_wrong(&query->sql->binder, weir_bind_location(node), reterr,
                           "%s: the star has no column %s", word, name);
}

/* EXCLUDE a, or t.a: then only the column that is. */
static weir_status exclude(struct query *query, struct targets *targets, const PgQuery__Node *item,
                           struct weir_error *reterr)
{
    const char *name = weir_bind_string(last_field(item));
    struct weir_node *column = NULL;
    uint32_t kept = 0, at = 0;
    if (!next_named(targets, name, &at))
        return no_such_column(query, item, name, "EXCLUDE", reterr);
    if (item->column_ref->n_fields > 1)
        WEIR_TRY(query_bind(query, item, &column, reterr));
    for (at = 0; at < targets->count; at++) {
        if (strcasecmp(targets->names[at], name) == 0 &&
            (!column || weir_node_equal(column, targets->nodes[at])))
            continue;
        targets->nodes[kept] = targets->nodes[at];
        targets->names[kept++] = targets->names[at];
    }
    targets->count = kept;
    return WEIR_OK;
}

/* REPLACE (value AS name) */
static weir_status replace(struct query *query, struct targets *targets, PgQuery__Node *const *pair,
                           struct weir_error *reterr)
{
    const char *name = weir_bind_string(last_field(pair[1]));
    struct weir_node *value;
    uint32_t at = 0;
    if (!next_named(targets, name, &at))
        return no_such_column(query, pair[1], name, "REPLACE", reterr);
    WEIR_TRY(query_bind(query, pair[0], &value, reterr));
    value->unknown = false;
    for (; next_named(targets, name, &at); at++)
        targets->nodes[at] = value;
    return WEIR_OK;
}

/* RENAME (name AS other) */
static weir_status rename_column(struct query *query, struct targets *targets,
                                 PgQuery__Node *const *pair, struct weir_error *reterr)
{
    const char *name = weir_bind_string(last_field(pair[0]));
    uint32_t at = 0;
    if (!next_named(targets, name, &at))
        return no_such_column(query, pair[0], name, "RENAME", reterr);
    return copy_text(query->sql, weir_bind_string(last_field(pair[1])), &targets->names[at],
                     reterr);
}

static weir_status star_change(struct query *query, struct targets *targets,
                               const PgQuery__Node *item, struct weir_error *reterr)
{
    PgQuery__Node *const *pair = NULL;
    size_t count = 0;
    bool row = item->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    if (last_field(item) && last_field(item)->node_case == PG_QUERY__NODE__NODE_STRING)
        return exclude(query, targets, item, reterr);
    if (row) {
        pair = item->row_expr->args;
        count = item->row_expr->n_args;
    } else if (item->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        pair = item->a_array_expr->elements;
        count = item->a_array_expr->n_elements;
    }
    if (count != 2 || !last_field(pair[1]) || (!row && !last_field(pair[0])))
        return weir_bind_wrong(&query->sql->binder, weir_bind_location(item), reterr,
                               "written * EXCLUDE (a, ...), * REPLACE (value AS a, ...), * RENAME "
                               "(a AS b, ...)");
    return row ? replace(query, targets, pair, reterr)
               : rename_column(query, targets, pair, reterr);
}

static weir_status changed_star(struct query *query, const PgQuery__FuncCall *call,
                                struct targets *targets, struct weir_error *reterr)
{
    struct targets columns = {0};
    const char *table = call->n_funcname > 1
                            ? weir_bind_string(call->funcname[call->n_funcname - 2])
                            : NULL;
    WEIR_TRY(star(query, table, call->location, &columns, reterr));
    for (size_t i = 0; i < call->n_args; i++)
        WEIR_TRY(star_change(query, &columns, call->args[i], reterr));
    for (uint32_t i = 0; i < columns.count; i++)
        WEIR_TRY(target_add(query, targets, columns.nodes[i], columns.names[i], reterr));
    if (columns.count == 0)
        return weir_bind_wrong(&query->sql->binder, call->location, reterr,
                               "EXCLUDE leaves no column");
    return WEIR_OK;
}

weir_status query_star(struct query *query, const PgQuery__Node *value, struct targets *targets,
                       bool *ret_done, struct weir_error *reterr)
{
    const PgQuery__FuncCall *call = value->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                                        ? value->func_call
                                        : NULL;
    *ret_done = true;
    if (last_field(value) && last_field(value)->node_case == PG_QUERY__NODE__NODE_A_STAR) {
        const PgQuery__ColumnRef *column = value->column_ref;
        const char *table = column->n_fields > 1
                                ? weir_bind_string(column->fields[column->n_fields - 2])
                                : NULL;
        return star(query, table, column->location, targets, reterr);
    }
    if (call && call->n_funcname &&
        strcmp(weir_bind_string(call->funcname[call->n_funcname - 1]), "_weir_star") == 0)
        return changed_star(query, call, targets, reterr);
    *ret_done = false;
    return WEIR_OK;
}

bool query_is_all(const PgQuery__Node *node)
{
    return last_field(node) && node->column_ref->n_fields == 1 &&
           strcmp(weir_bind_string(last_field(node)), "_weir_all") == 0;
}
