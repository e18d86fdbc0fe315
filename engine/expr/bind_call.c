/* Operators, functions and lambdas of the parse tree. */
#include "engine/expr/bind_int.h"
#include "engine/expr/function_int.h"

#include <stdio.h>
#include <string.h>

weir_status bind_call(struct weir_binder *binder, const char *name, struct weir_node **arguments,
                      uint32_t count, int location, struct weir_node **ret,
                      struct weir_error *reterr)
{
    if (!weir_function_find(name)) {
        const char *near = weir_function_nearest(name);
        weir_status status = weir_bind_wrong(binder, location, reterr, "there is no function %s",
                                             name);
        if (near)
            weir_error_hint(reterr, "did you mean %s?", near);
        return status;
    }
    return weir_bind_at(
        binder, location,
        weir_node_call(binder->arena, name, arguments, count, location, ret, reterr));
}

/* ---- operators ---- */

static const char *operator_name(const PgQuery__AExpr *expr)
{
    return expr->n_name ? weir_bind_string(expr->name[expr->n_name - 1]) : "";
}

static bool comparison(const char *name, enum weir_compare *ret)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    for (int i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum weir_compare)i;
            return true;
        }
    return false;
}

static weir_status compare(struct weir_binder *binder, enum weir_compare compare,
                           struct weir_node *a, struct weir_node *b, int location,
                           struct weir_node **ret, struct weir_error *reterr)
{
    return weir_bind_at(binder, location,
                        weir_node_compare(binder->arena, compare, a, b, location, ret, reterr));
}

/* (a, b) = (c, d) is a = c AND b = d: so that nulls count as SQL has it and keys can be seen. */
static weir_status compare_rows(struct weir_binder *binder, struct weir_node *a,
                                struct weir_node *b, int location, struct weir_node **ret,
                                struct weir_error *reterr)
{
    struct weir_node *all = NULL;
    if (a->argument_count != b->argument_count)
        return weir_bind_wrong(binder, location, reterr, "rows of %u and of %u values",
                               a->argument_count, b->argument_count);
    for (uint32_t i = 0; i < a->argument_count; i++) {
        struct weir_node *one;
        WEIR_TRY(
            compare(binder, WEIR_EQ, a->arguments[i], b->arguments[i], location, &one, reterr));
        WEIR_TRY(weir_node_and(binder->arena, all, one, &all, reterr));
    }
    *ret = all;
    return WEIR_OK;
}

static weir_status negate(struct weir_binder *binder, struct weir_node *node,
                          struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node * not ;
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_NOT, 1, node->location, &not, reterr));
    not ->type = (struct weir_type){.id = WEIR_BOOLEAN};
    not ->arguments[0] = node;
    *ret = not ;
    return WEIR_OK;
}

static weir_status bind_operator(struct weir_binder *binder, const PgQuery__AExpr *expr,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    const char *name = operator_name(expr);
    struct weir_node *arguments[2];
    enum weir_compare how;
    uint32_t count = 0;
    if (expr->lexpr)
        WEIR_TRY(weir_bind(binder, expr->lexpr, &arguments[count++], reterr));
    WEIR_TRY(weir_bind(binder, expr->rexpr, &arguments[count++], reterr));
    if (count == 2 && comparison(name, &how)) {
        if ((how == WEIR_EQ || how == WEIR_NE) && arguments[0]->kind == WEIR_NODE_STRUCT &&
            arguments[1]->kind == WEIR_NODE_STRUCT) {
            WEIR_TRY(compare_rows(binder, arguments[0], arguments[1], expr->location, ret, reterr));
            return how == WEIR_EQ ? WEIR_OK : negate(binder, *ret, ret, reterr);
        }
        return compare(binder, how, arguments[0], arguments[1], expr->location, ret, reterr);
    }
    if (count == 1 && strcmp(name, "+") == 0) {
        *ret = arguments[0];
        return WEIR_OK;
    }
    if (!weir_function_find(name))
        return weir_bind_wrong(binder, expr->location, reterr, "there is no operator %s", name);
    return bind_call(binder, name, arguments, count, expr->location, ret, reterr);
}

/* IN over constants is one look into a set; anything else is a row of comparisons. */
static weir_status in_items(struct weir_binder *binder, struct weir_node *left,
                            struct weir_node **items, uint32_t count, int location,
                            struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *node, **all;
    bool constant = !weir_type_is_nested(left->type.id);
    WEIR_TRY(weir_arena_zero(binder->arena, count + 2, sizeof *all, &all, reterr));
    all[0] = left;
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(weir_node_fold(binder->arena, items[i], &all[i + 1], reterr));
        constant = constant && all[i + 1]->kind == WEIR_NODE_CONSTANT;
    }
    if (constant) {
        struct weir_type type;
        WEIR_TRY(
            weir_bind_at(binder, location,
                         weir_nodes_unify(binder->arena, all, count + 1, "IN", &type, reterr)));
        for (uint32_t i = 1; i <= count; i++) {
            WEIR_TRY(weir_node_fold(binder->arena, all[i], &all[i], reterr));
            constant = constant && all[i]->kind == WEIR_NODE_CONSTANT;
        }
    }
    if (constant) {
        WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_IN, count + 1, location, &node, reterr));
        memcpy(node->arguments, all, (count + 1) * sizeof *all);
        node->type = (struct weir_type){.id = WEIR_BOOLEAN};
        *ret = node;
        return in_set_prepare(binder->arena, node, reterr);
    }
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_OR, count, location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    for (uint32_t i = 0; i < count; i++) {
        bool rows = left->kind == WEIR_NODE_STRUCT && items[i]->kind == WEIR_NODE_STRUCT;
        WEIR_TRY(
            rows ? compare_rows(binder, left, items[i], location, &node->arguments[i], reterr)
                 : compare(binder, WEIR_EQ, left, items[i], location, &node->arguments[i], reterr));
    }
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_in(struct weir_binder *binder, const PgQuery__AExpr *expr,
                           struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *left, **items, *node;
    if (expr->rexpr->node_case != PG_QUERY__NODE__NODE_LIST)
        return weir_bind_wrong(binder, expr->location, reterr, "IN needs a list of values");
    const PgQuery__List *list = expr->rexpr->list;
    WEIR_TRY(weir_bind(binder, expr->lexpr, &left, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, list->n_items + 1, sizeof *items, &items, reterr));
    for (size_t i = 0; i < list->n_items; i++)
        WEIR_TRY(weir_bind(binder, list->items[i], &items[i], reterr));
    WEIR_TRY(in_items(binder, left, items, (uint32_t)list->n_items, expr->location, &node, reterr));
    if (strcmp(operator_name(expr), "<>") == 0)
        return negate(binder, node, ret, reterr);
    *ret = node;
    return WEIR_OK;
}

/* Whether x is in the list, with nulls as IN has them: what is not found is not known to be missing
 * where a null is. */
static weir_status any_of(struct weir_binder *binder, struct weir_node *list, struct weir_node *x,
                          int location, struct weir_node **ret, struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct weir_node *arguments[2] = {list, x}, *either, *known, *count, *valid;
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_OR, 2, location, &either, reterr));
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_CASE, 3, location, &known, reterr));
    either->type = known->type = boolean;
    WEIR_TRY(
        bind_call(binder, "list_contains", arguments, 2, location, &either->arguments[0], reterr));
    arguments[0] = list;
    WEIR_TRY(bind_call(binder, "len", arguments, 1, location, &count, reterr));
    arguments[0] = list;
    WEIR_TRY(bind_call(binder, "list_count", arguments, 1, location, &valid, reterr));
    WEIR_TRY(compare(binder, WEIR_NE, count, valid, location, &known->arguments[0], reterr));
    WEIR_TRY(weir_node_null(binder->arena, &boolean, &known->arguments[1], reterr));
    WEIR_TRY(weir_node_boolean(binder->arena, false, &known->arguments[2], reterr));
    either->arguments[1] = known;
    *ret = either;
    return WEIR_OK;
}

/* x = ANY (list), x <> ALL (list) */
static weir_status bind_any(struct weir_binder *binder, const PgQuery__AExpr *expr, bool all,
                            struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *arguments[2], *node;
    if (strcmp(operator_name(expr), all ? "<>" : "=") != 0)
        return weir_bind_wrong(binder, expr->location, reterr,
                               "of lists there are = ANY and <> ALL; use list_filter for others");
    WEIR_TRY(weir_bind(binder, expr->rexpr, &arguments[0], reterr));
    WEIR_TRY(weir_bind(binder, expr->lexpr, &arguments[1], reterr));
    WEIR_TRY(any_of(binder, arguments[0], arguments[1], expr->location, &node, reterr));
    if (all)
        return negate(binder, node, ret, reterr);
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_between(struct weir_binder *binder, const PgQuery__AExpr *expr,
                                struct weir_node **ret, struct weir_error *reterr)
{
    const PgQuery__List *list = expr->rexpr->node_case == PG_QUERY__NODE__NODE_LIST
                                    ? expr->rexpr->list
                                    : NULL;
    struct weir_node *value, *low, *high, *from, *to, *node;
    if (!list || list->n_items != 2)
        return weir_bind_wrong(binder, expr->location, reterr, "BETWEEN needs two bounds");
    WEIR_TRY(weir_bind(binder, expr->lexpr, &value, reterr));
    WEIR_TRY(weir_bind(binder, list->items[0], &low, reterr));
    WEIR_TRY(weir_bind(binder, list->items[1], &high, reterr));
    if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
        expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM) {
        struct weir_node *bounds[2] = {low, high}, *same[2] = {low, high};
        WEIR_TRY(bind_call(binder, "least", bounds, 2, expr->location, &low, reterr));
        WEIR_TRY(bind_call(binder, "greatest", same, 2, expr->location, &high, reterr));
    }
    WEIR_TRY(compare(binder, WEIR_GE, value, low, expr->location, &from, reterr));
    WEIR_TRY(compare(binder, WEIR_LE, value, high, expr->location, &to, reterr));
    WEIR_TRY(weir_node_and(binder->arena, from, to, &node, reterr));
    if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
        expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM)
        return negate(binder, node, ret, reterr);
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_nullif(struct weir_binder *binder, const PgQuery__AExpr *expr,
                               struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *a, *b, *equal, *node;
    WEIR_TRY(weir_bind(binder, expr->lexpr, &a, reterr));
    WEIR_TRY(weir_bind(binder, expr->rexpr, &b, reterr));
    WEIR_TRY(compare(binder, WEIR_EQ, a, b, expr->location, &equal, reterr));
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_CASE, 3, expr->location, &node, reterr));
    a->unknown = false;
    node->type = a->type;
    node->arguments[0] = equal;
    node->arguments[2] = a;
    WEIR_TRY(weir_node_null(binder->arena, &a->type, &node->arguments[1], reterr));
    *ret = node;
    return WEIR_OK;
}

/* LIKE, ILIKE and SIMILAR TO: their operators have names of their own. `ESCAPE '#'` comes as a call
 * of like_escape around the pattern. */
static weir_status bind_like(struct weir_binder *binder, const PgQuery__AExpr *expr,
                             struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *arguments[2], *node;
    bool similar = expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR;
    WEIR_TRY(weir_bind(binder, expr->lexpr, &arguments[0], reterr));
    WEIR_TRY(weir_bind(binder, expr->rexpr, &arguments[1], reterr));
    const char *name = operator_name(expr);
    for (int i = 0; i < 2; i++)
        if (arguments[i]->type.id != WEIR_STRING)
            return weir_bind_wrong(binder, expr->location, reterr, "LIKE needs strings, not a %s",
                                   weir_type_name(arguments[i]->type.id));
    WEIR_TRY(bind_call(binder,
                       similar                                              ? "~"
                       : expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE ? "~~*"
                                                                            : "~~",
                       arguments, 2, expr->location, &node, reterr));
    if (name[0] == '!')
        return negate(binder, node, ret, reterr);
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_distinct(struct weir_binder *binder, const PgQuery__AExpr *expr,
                                 struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *a, *b;
    WEIR_TRY(weir_bind(binder, expr->lexpr, &a, reterr));
    WEIR_TRY(weir_bind(binder, expr->rexpr, &b, reterr));
    return compare(binder,
                   expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT ? WEIR_DISTINCT
                                                                         : WEIR_NOT_DISTINCT,
                   a, b, expr->location, ret, reterr);
}

weir_status bind_operator_expression(struct weir_binder *binder, const PgQuery__AExpr *expr,
                                     struct weir_node **ret, struct weir_error *reterr)
{
    switch (expr->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP: return bind_operator(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY: return bind_any(binder, expr, false, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL: return bind_any(binder, expr, true, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: return bind_in(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR: return bind_like(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: return bind_nullif(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(binder, expr, ret, reterr);
    default:
        return weir_bind_wrong(binder, expr->location, reterr,
                               "this form of expression is not supported");
    }
}

/* ---- lambdas ---- */

struct lambda_scope {
    const struct weir_bind_scope *outer;
    const char *names[4];
    const struct weir_type *types;
    uint32_t count;
    struct weir_node *node; /* captures grow here */
};

static weir_status capture(struct weir_binder *binder, struct lambda_scope *scope,
                           struct weir_node *outer, int location, struct weir_node **ret,
                           struct weir_error *reterr)
{
    struct weir_node *lambda = scope->node, **captures;
    uint32_t at = 0;
    while (at < lambda->capture_count && !weir_node_equal(lambda->captures[at], outer))
        at++;
    if (at == lambda->capture_count) {
        WEIR_TRY(weir_arena_zero(binder->arena, at + 2, sizeof *captures, &captures, reterr));
        if (at)
            memcpy(captures, lambda->captures, at * sizeof *captures);
        captures[at] = outer;
        lambda->captures = captures;
        lambda->capture_count++;
    }
    return weir_node_column(binder->arena, scope->count + at, &outer->type, location, ret, reterr);
}

static weir_status lambda_column(struct weir_binder *binder, void *self, const char *const *names,
                                 size_t count, int location, struct weir_node **ret,
                                 size_t *ret_used, struct weir_error *reterr)
{
    struct lambda_scope *scope = self;
    for (uint32_t i = 0; i < scope->count; i++)
        if (strcmp(scope->names[i], names[0]) == 0) {
            *ret_used = 1;
            return weir_node_column(binder->arena, i, &scope->types[i], location, ret, reterr);
        }
    struct weir_node *outer = NULL;
    const struct weir_bind_scope *inner = binder->scope;
    binder->scope = scope->outer;
    weir_status status = scope->outer->column(binder, scope->outer->self, names, count, location,
                                              &outer, ret_used, reterr);
    binder->scope = inner;
    if (status != WEIR_OK || !outer)
        return status;
    return capture(binder, scope, outer, location, ret, reterr);
}

static const char *lambda_nearest(void *self, const char *name)
{
    struct lambda_scope *scope = self;
    return scope->outer->nearest ? scope->outer->nearest(scope->outer->self, name) : NULL;
}

/* `x -> x > 1` is read by the grammar as `(x -> x) > 1`: the arrow is the leftmost operator. Finds
 * it, and where it hangs. */
static PgQuery__Node **find_arrow(PgQuery__Node **at)
{
    while (*at) {
        PgQuery__Node *node = *at;
        if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR) {
            PgQuery__AExpr *expr = node->a_expr;
            if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && expr->lexpr &&
                strcmp(operator_name(expr), "->") == 0 &&
                (expr->lexpr->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ||
                 expr->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR))
                return at;
            at = &expr->lexpr;
        } else if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR && node->bool_expr->n_args) {
            at = &node->bool_expr->args[0];
        } else if (node->node_case == PG_QUERY__NODE__NODE_NULL_TEST) {
            at = &node->null_test->arg;
        } else if (node->node_case == PG_QUERY__NODE__NODE_BOOLEAN_TEST) {
            at = &node->boolean_test->arg;
        } else if (node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
            at = &node->type_cast->arg;
        } else {
            return NULL;
        }
    }
    return NULL;
}

static const char *parameter_name(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields == 1
               ? weir_bind_string(node->column_ref->fields[0])
               : "";
}

static weir_status parameters(struct weir_binder *binder, const PgQuery__Node *left,
                              struct lambda_scope *scope, uint32_t allowed,
                              struct weir_error *reterr)
{
    bool row = left->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    size_t count = row ? left->row_expr->n_args : 1;
    if (count > allowed)
        return weir_bind_wrong(binder, weir_bind_location(left), reterr,
                               "this lambda has up to %u parameters, not %zu", allowed, count);
    for (size_t i = 0; i < count; i++) {
        scope->names[i] = parameter_name(row ? left->row_expr->args[i] : left);
        if (!*scope->names[i])
            return weir_bind_wrong(binder, weir_bind_location(left), reterr,
                                   "a lambda is written x -> expression, or (x, i) -> expression");
    }
    scope->count = (uint32_t)count;
    return WEIR_OK;
}

weir_status bind_lambda(struct weir_binder *binder, PgQuery__Node *node,
                        const struct weir_type *types, uint32_t type_count, struct weir_node **ret,
                        struct weir_error *reterr)
{
    PgQuery__Node *whole = node, **arrow = find_arrow(&whole);
    struct lambda_scope scope = {.outer = binder->scope, .types = types};
    if (!arrow)
        return weir_bind_wrong(binder, weir_bind_location(node), reterr,
                               "a lambda is wanted here: x -> expression");
    PgQuery__Node *arrow_node = *arrow;
    WEIR_TRY(parameters(binder, arrow_node->a_expr->lexpr, &scope, type_count, reterr));
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_LAMBDA, 1, weir_bind_location(node),
                           &scope.node, reterr));
    scope.node->parameter_count = scope.count;
    struct weir_bind_scope inner = {
        .column = lambda_column, .special = NULL, .nearest = lambda_nearest, .self = &scope};
    binder->scope = &inner;
    *arrow = arrow_node->a_expr->rexpr; /* the body, with what the grammar hung above the arrow */
    weir_status status = weir_bind(binder, whole, &scope.node->arguments[0], reterr);
    *arrow = arrow_node;
    binder->scope = scope.outer;
    if (status != WEIR_OK)
        return status;
    scope.node->type = scope.node->arguments[0]->type;
    *ret = scope.node;
    return WEIR_OK;
}

static bool takes_lambda(const char *name)
{
    static const char *const names[] = {"list_transform", "list_apply",   "array_transform",
                                        "array_apply",    "apply",        "transform",
                                        "list_filter",    "array_filter", "filter"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_reduce(const char *name)
{
    return strcmp(name, "list_reduce") == 0 || strcmp(name, "reduce") == 0 ||
           strcmp(name, "array_reduce") == 0;
}

static weir_status bind_lambda_call(struct weir_binder *binder, const PgQuery__FuncCall *call,
                                    const char *name, struct weir_node **ret,
                                    struct weir_error *reterr)
{
    struct weir_node *arguments[3] = {0};
    bool reduce = is_reduce(name);
    uint32_t count = (uint32_t)call->n_args;
    if (count < 2 || count > (reduce ? 3u : 2u))
        return weir_bind_wrong(binder, call->location, reterr, "%s takes a list and a lambda%s",
                               name, reduce ? ", and perhaps a first value" : "");
    WEIR_TRY(weir_bind(binder, call->args[0], &arguments[0], reterr));
    if (arguments[0]->type.id != WEIR_LIST)
        return weir_bind_wrong(binder, call->location, reterr, "%s takes a list, not a %s", name,
                               weir_type_name(arguments[0]->type.id));
    struct weir_type element = arguments[0]->type.children[0].type,
                     types[2] = {element, {.id = WEIR_LONG}};
    if (reduce) {
        types[1] = element;
        if (count == 3) {
            WEIR_TRY(weir_bind(binder, call->args[2], &arguments[2], reterr));
            types[0] = arguments[2]->type;
        }
    }
    struct weir_type *kept;
    WEIR_TRY(weir_arena_zero(binder->arena, 2, sizeof *kept, &kept, reterr));
    memcpy(kept, types, sizeof types);
    WEIR_TRY(bind_lambda(binder, call->args[1], kept, 2, &arguments[1], reterr));
    return bind_call(binder, name, arguments, count, call->location, ret, reterr);
}

/* ---- functions ---- */

static weir_status bind_struct_pack(struct weir_binder *binder, const PgQuery__FuncCall *call,
                                    struct weir_node **ret, struct weir_error *reterr)
{
    uint32_t count = (uint32_t)call->n_args;
    struct weir_node *node;
    struct weir_field *fields;
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_STRUCT, count, call->location, &node, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, count + 1, sizeof *fields, &fields, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const PgQuery__Node *argument = call->args[i];
        if (argument->node_case != PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
            return weir_bind_wrong(binder, call->location, reterr,
                                   "struct_pack takes name := value");
        char *name;
        const char *given = argument->named_arg_expr->name;
        WEIR_TRY(weir_arena_copy(binder->arena, given, strlen(given), &name, reterr));
        WEIR_TRY(weir_bind(binder, argument->named_arg_expr->arg, &node->arguments[i], reterr));
        node->arguments[i]->unknown = false;
        fields[i] = (struct weir_field){.name = name, .type = node->arguments[i]->type};
    }
    node->type = (struct weir_type){.id = WEIR_STRUCT, .child_count = count, .children = fields};
    *ret = node;
    return WEIR_OK;
}

/* if(condition, then, else) */
static weir_status bind_if(struct weir_binder *binder, const PgQuery__FuncCall *call,
                           struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *node;
    if (call->n_args != 3)
        return weir_bind_wrong(binder, call->location, reterr, "if takes condition, then, else");
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_CASE, 3, call->location, &node, reterr));
    WEIR_TRY(weir_bind_condition(binder, call->args[0], "if", &node->arguments[0], reterr));
    for (int i = 1; i < 3; i++)
        WEIR_TRY(weir_bind(binder, call->args[i], &node->arguments[i], reterr));
    WEIR_TRY(weir_bind_at(
        binder, call->location,
        weir_nodes_unify(binder->arena, node->arguments + 1, 2, "if", &node->type, reterr)));
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_ifnull(struct weir_binder *binder, const PgQuery__FuncCall *call,
                               struct weir_node **ret, struct weir_error *reterr)
{
    PgQuery__CoalesceExpr coalesce = {
        .args = call->args, .n_args = call->n_args, .location = call->location};
    PgQuery__Node node = {.node_case = PG_QUERY__NODE__NODE_COALESCE_EXPR,
                          .coalesce_expr = &coalesce};
    if (call->n_args != 2)
        return weir_bind_wrong(binder, call->location, reterr, "ifnull takes two values");
    return weir_bind(binder, &node, ret, reterr);
}

/* TRY_CAST(x AS t), which the grammar sees as a call around CAST: null where it cannot be. */
static weir_status bind_try(struct weir_binder *binder, const PgQuery__FuncCall *call,
                            struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_type type;
    struct weir_node *node;
    if (call->n_args != 1 || call->args[0]->node_case != PG_QUERY__NODE__NODE_TYPE_CAST)
        return weir_bind_wrong(binder, call->location, reterr, "TRY_CAST(value AS type)");
    const PgQuery__TypeCast *cast = call->args[0]->type_cast;
    WEIR_TRY(weir_bind_type(binder, cast->type_name, &type, reterr));
    WEIR_TRY(weir_bind(binder, cast->arg, &node, reterr));
    node->unknown = false; /* a literal is read when it runs: then it may be wrong */
    return weir_bind_at(binder, weir_bind_location(cast->arg),
                        weir_node_cast(binder->arena, node, &type, false, true, ret, reterr));
}

/* What has a form of its own. */
static weir_status bind_form(struct weir_binder *binder, const PgQuery__FuncCall *call,
                             const char *name, struct weir_node **ret, struct weir_error *reterr)
{
    *ret = NULL;
    if (strcmp(name, "now") == 0 || strcmp(name, "transaction_timestamp") == 0)
        return bind_now(binder, ret, reterr);
    if (strcmp(name, "if") == 0 || strcmp(name, "iff") == 0)
        return bind_if(binder, call, ret, reterr);
    if (strcmp(name, "ifnull") == 0 || strcmp(name, "nvl") == 0)
        return bind_ifnull(binder, call, ret, reterr);
    if (strcmp(name, "struct_pack") == 0)
        return bind_struct_pack(binder, call, ret, reterr);
    if (strcmp(name, "list_value") == 0 || strcmp(name, "array_value") == 0)
        return bind_list(binder, call->args, call->n_args, call->location, ret, reterr);
    if (strcmp(name, "_weir_try") == 0)
        return bind_try(binder, call, ret, reterr);
    if (takes_lambda(name) || is_reduce(name))
        return bind_lambda_call(binder, call, name, ret, reterr);
    return WEIR_OK;
}

weir_status bind_function(struct weir_binder *binder, const PgQuery__FuncCall *call,
                          struct weir_node **ret, struct weir_error *reterr)
{
    const char *name = call->n_funcname ? weir_bind_string(call->funcname[call->n_funcname - 1])
                                        : "";
    struct weir_node **arguments, *node = NULL;
    if (binder->scope->function) {
        WEIR_TRY(binder->scope->function(binder, binder->scope->self, call, name, &node, reterr));
        if (node) {
            *ret = node;
            return WEIR_OK;
        }
    }
    WEIR_TRY(bind_form(binder, call, name, &node, reterr));
    if (node) {
        *ret = node;
        return WEIR_OK;
    }
    if (call->agg_star || call->agg_distinct || call->agg_filter || call->over || call->n_agg_order)
        return weir_bind_wrong(binder, call->location, reterr, "%s is not an aggregate here", name);
    WEIR_TRY(
        weir_arena_zero(binder->arena, call->n_args + 1, sizeof *arguments, &arguments, reterr));
    for (size_t i = 0; i < call->n_args; i++)
        WEIR_TRY(weir_bind(binder, call->args[i], &arguments[i], reterr));
    return bind_call(binder, name, arguments, (uint32_t)call->n_args, call->location, ret, reterr);
}
