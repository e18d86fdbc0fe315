/* What names mean in a query: columns of its relations, outputs, then those of the queries around.
 */
#include "engine/sql/query_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void query_init(struct query *query, struct sql *sql, struct query *outer)
{
    *query = (struct query){.sql = sql, .outer = outer, .clause = "this place"};
    query->scope = (struct weir_bind_scope){.column = query_column,
                                            .function = query_function,
                                            .special = query_special,
                                            .nearest = query_nearest,
                                            .self = query};
}

weir_status query_bind(struct query *query, const PgQuery__Node *node, struct weir_node **ret,
                       struct weir_error *reterr)
{
    struct weir_binder *binder = &query->sql->binder;
    const struct weir_bind_scope *before = binder->scope;
    binder->scope = &query->scope;
    weir_status status = weir_bind(binder, node, ret, reterr);
    binder->scope = before;
    return status;
}

weir_status copy_text(struct sql *sql, const char *text, const char **ret,
                      struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(sql->arena, text, strlen(text), &copy, reterr));
    *ret = copy;
    return WEIR_OK;
}

weir_status query_relation(struct query *query, const char *schema, const char *alias,
                           const char *const *names, const uint32_t *columns, uint32_t count,
                           struct weir_error *reterr)
{
    struct weir_arena *arena = query->sql->arena;
    struct relation *relation;
    for (struct relation *other = query->relations; other && *alias; other = other->next)
        if (strcmp(other->alias, alias) == 0 && strcmp(other->schema, schema) == 0)
            return weir_fail(reterr, WEIR_USAGE, "two tables are called %s: give one an alias",
                             alias);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *relation, &relation, reterr));
    WEIR_TRY(copy_text(query->sql, alias, &relation->alias, reterr));
    WEIR_TRY(copy_text(query->sql, schema, &relation->schema, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *relation->names, &relation->names, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof *relation->columns, &relation->columns, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof *relation->hidden, &relation->hidden, reterr));
    relation->count = count;
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(copy_text(query->sql, names[i], &relation->names[i], reterr));
        relation->columns[i] = columns[i];
    }
    if (query->last)
        query->last->next = relation;
    else
        query->relations = relation;
    query->last = relation;
    return WEIR_OK;
}

/* ---- looking up ---- */

static int child_by_name(const struct relation *relation, const char *name, bool hidden_too)
{
    int found = -1;
    for (uint32_t i = 0; i < relation->count; i++)
        if ((hidden_too || !relation->hidden[i]) && strcmp(relation->names[i], name) == 0) {
            if (found >= 0)
                return -2;
            found = (int)i;
        }
    for (uint32_t i = 0; found < 0 && i < relation->count; i++)
        if ((hidden_too || !relation->hidden[i]) && strcasecmp(relation->names[i], name) == 0) {
            for (uint32_t k = i + 1; k < relation->count; k++)
                if (strcasecmp(relation->names[k], name) == 0)
                    return -2;
            return (int)i;
        }
    return found;
}

static weir_status ambiguous(struct weir_binder *binder, int location, const char *name,
                             struct weir_error *reterr)
{
    return weir_bind_wrong(binder, location, reterr,
                           "%s is a column of more than one table: write table.%s", name, name);
}

/* t.c, or schema.t.c: *ret_used names taken; -1 = no such table or column. */
static weir_status qualified(struct query *query, struct weir_binder *binder,
                             const char *const *names, size_t count, int location,
                             uint32_t *ret_column, size_t *ret_used, struct weir_error *reterr)
{
    *ret_used = 0;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        size_t at = 0;
        if (count >= 3 && strcasecmp(relation->schema, names[0]) == 0 && *relation->schema &&
            strcasecmp(relation->alias, names[1]) == 0)
            at = 2;
        else if (count >= 2 && *relation->alias && strcasecmp(relation->alias, names[0]) == 0)
            at = 1;
        if (!at)
            continue;
        int child = child_by_name(relation, names[at], true);
        if (child == -2)
            return ambiguous(binder, location, names[at], reterr);
        if (child >= 0) {
            *ret_column = relation->columns[child];
            *ret_used = at + 1;
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

static weir_status plain(struct query *query, struct weir_binder *binder, const char *name,
                         int location, uint32_t *ret_column, size_t *ret_used,
                         struct weir_error *reterr)
{
    *ret_used = 0;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        int child = child_by_name(relation, name, false);
        if (child == -2 || (child >= 0 && *ret_used))
            return ambiguous(binder, location, name, reterr);
        if (child >= 0) {
            *ret_column = relation->columns[child];
            *ret_used = 1;
        }
    }
    return WEIR_OK;
}

/* `t` alone: the row as a struct. */
static weir_status whole_row(struct query *query, const char *name, int location,
                             struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_arena *arena = query->sql->arena;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        if (strcasecmp(relation->alias, name) != 0)
            continue;
        struct weir_node *node;
        struct weir_field *fields;
        WEIR_TRY(weir_node_new(arena, WEIR_NODE_STRUCT, relation->count, location, &node, reterr));
        WEIR_TRY(weir_arena_zero(arena, relation->count + 1, sizeof *fields, &fields, reterr));
        for (uint32_t i = 0; i < relation->count; i++) {
            WEIR_TRY(sql_column_node(query->sql, relation->columns[i], location,
                                     &node->arguments[i], reterr));
            fields[i] = (struct weir_field){.name = relation->names[i],
                                            .type = node->arguments[i]->type};
        }
        node->type = (struct weir_type){
            .id = WEIR_STRUCT, .child_count = relation->count, .children = fields};
        *ret = node;
        return WEIR_OK;
    }
    return WEIR_OK;
}

static struct weir_node *output(const struct query *query, const char *name)
{
    for (uint32_t i = 0; i < query->output_count; i++)
        if (query->output_names[i] && strcasecmp(query->output_names[i], name) == 0)
            return query->outputs[i];
    return NULL;
}

/* A column or field that its table has with a type that is not read is not just missing. */
static weir_status refused(struct query *query, struct weir_binder *binder,
                           const char *const *names, size_t count, int location,
                           struct weir_error *reterr)
{
    const struct weir_sql_catalog *catalog = query->sql->options->catalog;
    for (struct relation *relation = query->relations; relation; relation = relation->next) {
        bool qualified = count > 1 && strcasecmp(relation->alias, names[0]) == 0;
        char path[1024] = "";
        for (size_t i = qualified; i < count && relation->source && catalog->refused; i++) {
            size_t size = strlen(path);
            snprintf(path + size, sizeof path - size, "%s%s", size ? "." : "", names[i]);
            const char *type = catalog->refused(catalog->self, relation->source, path);
            if (type)
                return weir_bind_wrong(binder, location, reterr,
                                       "column %s of %s is a %s, which Weir does not read", path,
                                       relation->alias, type);
        }
    }
    return WEIR_OK;
}

weir_status query_column(struct weir_binder *binder, void *self, const char *const *names,
                         size_t count, int location, struct weir_node **ret, size_t *ret_used,
                         struct weir_error *reterr)
{
    struct query *query = self;
    uint32_t column = 0;
    *ret = NULL;
    if (query->outputs_first && count == 1 && (*ret = output(query, names[0]))) {
        *ret_used = 1;
        return WEIR_OK;
    }
    WEIR_TRY(qualified(query, binder, names, count, location, &column, ret_used, reterr));
    /* a table of an outer query before a field of a column here, as in PostgreSQL */
    for (struct query *outer = query->outer; outer && *ret_used == 0 && count > 1;
         outer = outer->outer) {
        WEIR_TRY(qualified(outer, binder, names, count, location, &column, ret_used, reterr));
        if (*ret_used)
            return query_column(binder, outer, names, count, location, ret, ret_used, reterr);
    }
    if (*ret_used == 0)
        WEIR_TRY(plain(query, binder, names[0], location, &column, ret_used, reterr));
    if (*ret_used < count)
        WEIR_TRY(refused(query, binder, names, count, location, reterr));
    if (*ret_used)
        return sql_column_node(query->sql, column, location, ret, reterr);
    if (query->outputs_last && count == 1 && (*ret = output(query, names[0]))) {
        *ret_used = 1;
        return WEIR_OK;
    }
    WEIR_TRY(whole_row(query, names[0], location, ret, reterr));
    *ret_used = 1;
    if (!*ret && strcmp(names[0], "_weir_asof") == 0) /* the mark, and not where query_asof looks */
        return weir_bind_wrong(binder, location, reterr,
                               "ASOF JOIN is ON equalities and one of >=, >, <=, <, with AND "
                               "between them");
    if (*ret || !query->outer)
        return WEIR_OK;
    return query_column(binder, query->outer, names, count, location, ret, ret_used, reterr);
}

const char *query_nearest(void *self, const char *name)
{
    const char *best = NULL;
    size_t distance = 4;
    for (struct query *query = self; query; query = query->outer)
        for (struct relation *relation = query->relations; relation; relation = relation->next)
            for (uint32_t i = 0; i < relation->count; i++)
                if (weir_text_distance(relation->names[i], name) < distance) {
                    best = relation->names[i];
                    distance = weir_text_distance(best, name);
                }
    return best;
}

struct cte *query_find_cte(struct query *query, const char *name)
{
    for (; query; query = query->outer)
        for (struct cte *cte = query->ctes; cte; cte = cte->next)
            if (strcasecmp(cte->name, name) == 0)
                return cte;
    return NULL;
}

/* ---- grouping ---- */

weir_status swap_equal(struct sql *sql, struct weir_node **at, const struct nodes *keys,
                       const uint32_t *columns, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (weir_node_equal(*at, keys->items[i]))
            return sql_column_node(sql, columns[i], (*at)->location, at, reterr);
    struct weir_node *node = *at;
    if (node->kind == WEIR_NODE_LAMBDA) {
        for (uint32_t i = 0; i < node->capture_count; i++)
            WEIR_TRY(swap_equal(sql, &node->captures[i], keys, columns, reterr));
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < node->argument_count; i++)
        WEIR_TRY(swap_equal(sql, &node->arguments[i], keys, columns, reterr));
    return WEIR_OK;
}
