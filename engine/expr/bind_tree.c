/* One node of the parse tree at a time: columns, literals, conditions, CASE, casts, subscripts. */
#include "engine/expr/bind_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

#define BIND_DEPTH_MAX 1000

/* ---- columns ---- */

weir_status weir_bind_field(struct weir_binder *binder, struct weir_node *value, const char *name,
                            int location, struct weir_node **ret, struct weir_error *reterr)
{
    if (value->type.id != WEIR_STRUCT)
        return weir_bind_wrong(binder, location, reterr, "a %s has no field %s",
                               weir_type_name(value->type.id), name);
    int child = weir_bind_child(&value->type, name);
    if (child == -2)
        return weir_bind_wrong(
            binder, location, reterr,
            "%s names more than one field; write it in double quotes as it is spelt", name);
    if (child < 0) {
        const char *best = NULL;
        size_t distance = 4;
        for (uint32_t i = 0; i < value->type.child_count; i++)
            if (weir_text_distance(value->type.children[i].name, name) < distance) {
                best = value->type.children[i].name;
                distance = weir_text_distance(best, name);
            }
        weir_status status = weir_bind_wrong(binder, location, reterr, "there is no field %s in it",
                                             name);
        if (best)
            weir_error_hint(reterr, "did you mean %s?", best);
        return status;
    }
    struct weir_node *node;
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_FIELD, 1, location, &node, reterr));
    node->index = (uint32_t)child;
    node->arguments[0] = value;
    node->type = value->type.children[child].type;
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_column(struct weir_binder *binder, const PgQuery__ColumnRef *column,
                               struct weir_node **ret, struct weir_error *reterr)
{
    const char *names[64];
    size_t count = 0, used = 0;
    struct weir_node *node = NULL;
    if (column->n_fields > 64)
        return weir_bind_wrong(binder, column->location, reterr, "a path of more than 64 names");
    for (size_t i = 0; i < column->n_fields; i++) {
        if (column->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
            return weir_bind_wrong(binder, column->location, reterr, "* is no value");
        names[count++] = weir_bind_string(column->fields[i]);
    }
    WEIR_TRY(weir_bind_at(binder, column->location,
                          binder->scope->column(binder, binder->scope->self, names, count,
                                                column->location, &node, &used, reterr)));
    if (!node) {
        const char *near = binder->scope->nearest
                               ? binder->scope->nearest(binder->scope->self, names[count - 1])
                               : NULL;
        weir_status status = weir_bind_wrong(binder, column->location, reterr,
                                             "there is no column %s%s%s", names[0],
                                             count > 1 ? "." : "", count > 1 ? names[1] : "");
        if (near)
            weir_error_hint(reterr, "did you mean %s?", near);
        return status;
    }
    for (; used < count; used++)
        WEIR_TRY(weir_bind_field(binder, node, names[used], column->location, &node, reterr));
    *ret = node;
    return WEIR_OK;
}

/* ---- literals ---- */

static weir_status number_literal(struct weir_binder *binder, const char *text, int location,
                                  struct weir_node **ret, struct weir_error *reterr)
{
    size_t size = strlen(text);
    const char *dot = strchr(text, '.');
    bool exponent = strpbrk(text, "eE") != NULL;
    struct weir_type type = {.id = WEIR_DOUBLE};
    char with_zero[80];
    int64_t number;
    struct weir_node *node;
    if (!dot && !exponent && weir_text_int64(text, size, &number))
        return weir_node_long(binder->arena, number, ret, reterr);
    if (*text == '.' && size < 70) { /* .5 is SQL */
        size = (size_t)snprintf(with_zero, sizeof with_zero, "0%s", text);
        text = with_zero;
        dot = with_zero + 1;
    }
    size_t scale = dot ? size - (size_t)(dot - text) - 1 : 0, digits = size - (dot ? 1 : 0);
    if (!exponent && digits <= 38)
        type = (struct weir_type){.id = WEIR_DECIMAL,
                                  .precision = (uint8_t)(digits > scale ? digits : scale),
                                  .scale = (uint8_t)scale};
    WEIR_TRY(
        weir_node_text(binder->arena, text, dot && scale == 0 ? size - 1 : size, &node, reterr));
    node->unknown = true;
    node->location = location;
    return weir_bind_at(binder, location,
                        weir_node_cast(binder->arena, node, &type, false, false, ret, reterr));
}

weir_status bind_constant(struct weir_binder *binder, const PgQuery__AConst *constant,
                          struct weir_node **ret, struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    struct weir_arena *arena = binder->arena;
    if (constant->isnull) {
        WEIR_TRY(weir_node_null(arena, &string, ret, reterr));
        (*ret)->unknown = true;
    } else if (constant->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        WEIR_TRY(weir_node_int(arena, constant->ival->ival, ret, reterr));
    } else if (constant->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
        WEIR_TRY(number_literal(binder, constant->fval->fval, constant->location, ret, reterr));
    } else if (constant->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL) {
        WEIR_TRY(weir_node_boolean(arena, constant->boolval->boolval, ret, reterr));
    } else if (constant->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        const char *text = constant->sval->sval;
        WEIR_TRY(weir_node_text(arena, text, strlen(text), ret, reterr));
        (*ret)->unknown = true;
    } else {
        return weir_bind_wrong(binder, constant->location, reterr, "bit strings are not supported");
    }
    (*ret)->location = constant->location;
    return WEIR_OK;
}

/* INTERVAL '90' DAY: the unit is in the type's modifier. */
static const char *interval_unit(const PgQuery__TypeName *type)
{
    const PgQuery__Node *node = type->n_typmods ? type->typmods[0] : NULL;
    int mask = node && node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                       node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL
                   ? node->a_const->ival->ival
                   : 0;
    return mask == 1 << 2    ? "year"
           : mask == 1 << 1  ? "month"
           : mask == 1 << 3  ? "day"
           : mask == 1 << 10 ? "hour"
           : mask == 1 << 11 ? "minute"
           : mask == 1 << 12 ? "second"
                             : NULL;
}

/* varchar(n) holds n characters: a cast cuts what is longer. */
static weir_status cut_text(struct weir_binder *binder, const PgQuery__TypeName *type,
                            struct weir_node **node, struct weir_error *reterr)
{
    const PgQuery__Node *size = type->n_typmods ? type->typmods[0] : NULL;
    struct weir_node *arguments[2] = {*node};
    if ((*node)->type.id != WEIR_STRING || !size ||
        size->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        size->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return WEIR_OK;
    int count = size->a_const->ival->ival;
    if (count < 1)
        return weir_bind_wrong(binder, type->location, reterr, "a text of %d characters", count);
    WEIR_TRY(weir_node_int(binder->arena, count, &arguments[1], reterr));
    return weir_bind_at(
        binder, type->location,
        weir_node_call(binder->arena, "left", arguments, 2, type->location, node, reterr));
}

weir_status bind_cast(struct weir_binder *binder, const PgQuery__TypeCast *cast,
                      struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_type type;
    struct weir_node *node;
    WEIR_TRY(weir_bind_type(binder, cast->type_name, &type, reterr));
    WEIR_TRY(weir_bind(binder, cast->arg, &node, reterr));
    const char *unit = type.id == WEIR_INTERVAL ? interval_unit(cast->type_name) : NULL;
    if (unit && cast->arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        cast->arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        const char *text = cast->arg->a_const->sval->sval;
        char *with_unit;
        if (text[strspn(text, "+-0123456789. ")] == 0) {
            WEIR_TRY(weir_arena_print(binder->arena, &with_unit, reterr, "%s %s", text, unit));
            WEIR_TRY(weir_node_text(binder->arena, with_unit, strlen(with_unit), &node, reterr));
            node->unknown = true;
        }
    }
    int location = weir_bind_location(cast->arg);
    node->location = location;
    WEIR_TRY(weir_bind_at(binder, location,
                          weir_node_cast(binder->arena, node, &type, false, false, ret, reterr)));
    if ((*ret)->location < 0)
        (*ret)->location = location;
    return cut_text(binder, cast->type_name, ret, reterr);
}

/* ---- conditions ---- */

weir_status weir_bind_condition(struct weir_binder *binder, const PgQuery__Node *node,
                                const char *where, struct weir_node **ret,
                                struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct weir_node *bound;
    WEIR_TRY(weir_bind(binder, node, &bound, reterr));
    if (bound->unknown)
        WEIR_TRY(weir_bind_at(
            binder, weir_bind_location(node),
            weir_node_cast(binder->arena, bound, &boolean, true, false, &bound, reterr)));
    if (bound->type.id != WEIR_BOOLEAN)
        return weir_bind_wrong(binder, weir_bind_location(node), reterr,
                               "%s needs a condition, not a %s", where,
                               weir_type_name(bound->type.id));
    *ret = bound;
    return WEIR_OK;
}

static weir_status bind_logic(struct weir_binder *binder, const PgQuery__BoolExpr *expr,
                              struct weir_node **ret, struct weir_error *reterr)
{
    static const enum weir_node_kind kinds[] = {WEIR_NODE_AND, WEIR_NODE_AND, WEIR_NODE_OR,
                                                WEIR_NODE_NOT};
    static const char *const names[] = {"AND", "AND", "OR", "NOT"};
    struct weir_node *node;
    WEIR_TRY(weir_node_new(binder->arena, kinds[expr->boolop & 3], (uint32_t)expr->n_args,
                           expr->location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    for (size_t i = 0; i < expr->n_args; i++)
        WEIR_TRY(weir_bind_condition(binder, expr->args[i], names[expr->boolop & 3],
                                     &node->arguments[i], reterr));
    *ret = node;
    return WEIR_OK;
}

static weir_status wrap(struct weir_binder *binder, enum weir_node_kind kind, bool negated,
                        struct weir_node *argument, struct weir_node **ret,
                        struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(weir_node_new(binder->arena, kind, 1, argument->location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    node->negated = negated;
    node->arguments[0] = argument;
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_null_test(struct weir_binder *binder, const PgQuery__NullTest *test,
                                  struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *argument;
    WEIR_TRY(weir_bind(binder, test->arg, &argument, reterr));
    return wrap(binder, WEIR_NODE_IS_NULL,
                test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL, argument, ret, reterr);
}

static weir_status bind_boolean_test(struct weir_binder *binder, const PgQuery__BooleanTest *test,
                                     struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *argument;
    WEIR_TRY(weir_bind_condition(binder, test->arg, "IS TRUE", &argument, reterr));
    switch (test->booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
        return wrap(binder, WEIR_NODE_IS_TRUE, false, argument, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
        return wrap(binder, WEIR_NODE_IS_TRUE, true, argument, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
        WEIR_TRY(wrap(binder, WEIR_NODE_NOT, false, argument, &argument, reterr));
        return wrap(binder, WEIR_NODE_IS_TRUE,
                    test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE, argument, ret,
                    reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
        return wrap(binder, WEIR_NODE_IS_NULL, false, argument, ret, reterr);
    default: return wrap(binder, WEIR_NODE_IS_NULL, true, argument, ret, reterr);
    }
}

/* ---- CASE, COALESCE ---- */

static weir_status case_when(struct weir_binder *binder, const PgQuery__CaseExpr *expr,
                             const PgQuery__CaseWhen *when, struct weir_node **ret,
                             struct weir_error *reterr)
{
    struct weir_node *left, *right;
    if (!expr->arg)
        return weir_bind_condition(binder, when->expr, "WHEN", ret, reterr);
    WEIR_TRY(weir_bind(binder, expr->arg, &left, reterr));
    WEIR_TRY(weir_bind(binder, when->expr, &right, reterr));
    return weir_bind_at(
        binder, when->location,
        weir_node_compare(binder->arena, WEIR_EQ, left, right, when->location, ret, reterr));
}

static weir_status bind_case(struct weir_binder *binder, const PgQuery__CaseExpr *expr,
                             struct weir_node **ret, struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    uint32_t whens = (uint32_t)expr->n_args;
    struct weir_node *node, **results;
    WEIR_TRY(
        weir_node_new(binder->arena, WEIR_NODE_CASE, whens * 2 + 1, expr->location, &node, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, whens + 1, sizeof *results, &results, reterr));
    for (uint32_t i = 0; i < whens; i++) {
        const PgQuery__CaseWhen *when = expr->args[i]->case_when;
        WEIR_TRY(case_when(binder, expr, when, &node->arguments[i * 2], reterr));
        WEIR_TRY(weir_bind(binder, when->result, &results[i], reterr));
    }
    if (expr->defresult) {
        WEIR_TRY(weir_bind(binder, expr->defresult, &results[whens], reterr));
    } else {
        WEIR_TRY(weir_node_null(binder->arena, &string, &results[whens], reterr));
        results[whens]->unknown = true;
    }
    WEIR_TRY(weir_bind_at(
        binder, expr->location,
        weir_nodes_unify(binder->arena, results, whens + 1, "CASE", &node->type, reterr)));
    for (uint32_t i = 0; i < whens; i++)
        node->arguments[i * 2 + 1] = results[i];
    node->arguments[whens * 2] = results[whens];
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_coalesce(struct weir_binder *binder, PgQuery__Node *const *items,
                                 size_t count, int location, struct weir_node **ret,
                                 struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(
        weir_node_new(binder->arena, WEIR_NODE_COALESCE, (uint32_t)count, location, &node, reterr));
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_bind(binder, items[i], &node->arguments[i], reterr));
    WEIR_TRY(weir_bind_at(binder, location,
                          weir_nodes_unify(binder->arena, node->arguments, (uint32_t)count,
                                           "COALESCE", &node->type, reterr)));
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_min_max(struct weir_binder *binder, const PgQuery__MinMaxExpr *expr,
                                struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node **arguments;
    WEIR_TRY(
        weir_arena_zero(binder->arena, expr->n_args + 1, sizeof *arguments, &arguments, reterr));
    for (size_t i = 0; i < expr->n_args; i++)
        WEIR_TRY(weir_bind(binder, expr->args[i], &arguments[i], reterr));
    return bind_call(binder, expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least",
                     arguments, (uint32_t)expr->n_args, expr->location, ret, reterr);
}

/* ---- lists, rows, subscripts ---- */

weir_status bind_list(struct weir_binder *binder, PgQuery__Node *const *items, size_t count,
                      int location, struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *node;
    struct weir_field *element;
    WEIR_TRY(
        weir_node_new(binder->arena, WEIR_NODE_LIST, (uint32_t)count, location, &node, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, 1, sizeof *element, &element, reterr));
    *element = (struct weir_field){.name = "element", .type = {.id = WEIR_STRING}};
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_bind(binder, items[i], &node->arguments[i], reterr));
    if (count)
        WEIR_TRY(weir_bind_at(binder, location,
                              weir_nodes_unify(binder->arena, node->arguments, (uint32_t)count,
                                               "ARRAY", &element->type, reterr)));
    node->type = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = element};
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_row(struct weir_binder *binder, const PgQuery__RowExpr *row,
                            struct weir_node **ret, struct weir_error *reterr)
{
    uint32_t count = (uint32_t)row->n_args;
    struct weir_node *node;
    struct weir_field *fields;
    WEIR_TRY(weir_node_new(binder->arena, WEIR_NODE_STRUCT, count, row->location, &node, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, count + 1, sizeof *fields, &fields, reterr));
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        WEIR_TRY(weir_bind(binder, row->args[i], &node->arguments[i], reterr));
        WEIR_TRY(weir_arena_print(binder->arena, &name, reterr, "f%u", i + 1));
        node->arguments[i]->unknown = false;
        fields[i] = (struct weir_field){.name = name, .type = node->arguments[i]->type};
    }
    node->type = (struct weir_type){.id = WEIR_STRUCT, .child_count = count, .children = fields};
    *ret = node;
    return WEIR_OK;
}

static weir_status subscript(struct weir_binder *binder, struct weir_node *value,
                             const PgQuery__AIndices *indices, struct weir_node **ret,
                             struct weir_error *reterr)
{
    struct weir_node *arguments[3] = {value};
    int location = value->location;
    if (indices->is_slice) {
        static const struct weir_type number = {.id = WEIR_LONG};
        PgQuery__Node *bounds[2] = {indices->lidx, indices->uidx};
        for (int i = 0; i < 2; i++)
            if (bounds[i])
                WEIR_TRY(weir_bind(binder, bounds[i], &arguments[i + 1], reterr));
            else
                WEIR_TRY(weir_node_null(binder->arena, &number, &arguments[i + 1], reterr));
        return bind_call(binder, "list_slice", arguments, 3, location, ret, reterr);
    }
    WEIR_TRY(weir_bind(binder, indices->uidx, &arguments[1], reterr));
    if (value->type.id == WEIR_STRUCT && arguments[1]->kind == WEIR_NODE_CONSTANT &&
        indices->uidx->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        indices->uidx->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        return weir_bind_field(binder, value, indices->uidx->a_const->sval->sval, location, ret,
                               reterr);
    return bind_call(binder, value->type.id == WEIR_MAP ? "element_at" : "list_extract", arguments,
                     2, location, ret, reterr);
}

static weir_status bind_indirection(struct weir_binder *binder,
                                    const PgQuery__AIndirection *indirection,
                                    struct weir_node **ret, struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(weir_bind(binder, indirection->arg, &node, reterr));
    for (size_t i = 0; i < indirection->n_indirection; i++) {
        const PgQuery__Node *step = indirection->indirection[i];
        if (step->node_case == PG_QUERY__NODE__NODE_STRING)
            WEIR_TRY(
                weir_bind_field(binder, node, step->string->sval, node->location, &node, reterr));
        else if (step->node_case == PG_QUERY__NODE__NODE_A_INDICES)
            WEIR_TRY(subscript(binder, node, step->a_indices, &node, reterr));
        else
            return weir_bind_wrong(binder, node->location, reterr, ".* is no value");
    }
    *ret = node;
    return WEIR_OK;
}

/* ---- now ---- */

static weir_status moment(struct weir_binder *binder, enum weir_type_id id, struct weir_node **ret,
                          struct weir_error *reterr)
{
    struct weir_node *node;
    struct weir_type type = {.id = WEIR_TIMESTAMPTZ}, wanted = {.id = id};
    struct weir_vector *value;
    int64_t *micros;
    WEIR_TRY(weir_arena_zero(binder->arena, 1, sizeof *value, &value, reterr));
    WEIR_TRY(weir_arena_zero(binder->arena, 8, sizeof *micros, &micros, reterr));
    *micros = binder->now_micros;
    *value = (struct weir_vector){
        .type = &type, .kind = WEIR_CONSTANT, .count = 1, .values = micros};
    WEIR_TRY(weir_node_value(binder->arena, value, 0, &node, reterr));
    return weir_node_cast(binder->arena, node, &wanted, false, false, ret, reterr);
}

static weir_status bind_value_function(struct weir_binder *binder,
                                       const PgQuery__SQLValueFunction *function,
                                       struct weir_node **ret, struct weir_error *reterr)
{
    switch (function->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        return moment(binder, WEIR_DATE, ret, reterr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        return moment(binder, WEIR_TIMESTAMPTZ, ret, reterr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
        return moment(binder, WEIR_TIMESTAMP, ret, reterr);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
        return moment(binder, WEIR_TIME, ret, reterr);
    default:
        return weir_bind_wrong(binder, function->location, reterr,
                               "there are no users, roles or schemas in a lake's SQL");
    }
}

weir_status bind_now(struct weir_binder *binder, struct weir_node **ret, struct weir_error *reterr)
{
    return moment(binder, WEIR_TIMESTAMPTZ, ret, reterr);
}

/* ---- all of them ---- */

static weir_status bind_inner(struct weir_binder *binder, const PgQuery__Node *node,
                              struct weir_node **ret, struct weir_error *reterr)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_operator_expression(binder, node->a_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_A_CONST: return bind_constant(binder, node->a_const, ret, reterr);
    case PG_QUERY__NODE__NODE_COLUMN_REF: return bind_column(binder, node->column_ref, ret, reterr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return bind_logic(binder, node->bool_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(binder, node->null_test, ret, reterr);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(binder, node->boolean_test, ret, reterr);
    case PG_QUERY__NODE__NODE_FUNC_CALL: return bind_function(binder, node->func_call, ret, reterr);
    case PG_QUERY__NODE__NODE_TYPE_CAST: return bind_cast(binder, node->type_cast, ret, reterr);
    case PG_QUERY__NODE__NODE_CASE_EXPR: return bind_case(binder, node->case_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_coalesce(binder, node->coalesce_expr->args, node->coalesce_expr->n_args,
                             node->coalesce_expr->location, ret, reterr);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return bind_min_max(binder, node->min_max_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return bind_list(binder, node->a_array_expr->elements, node->a_array_expr->n_elements,
                         node->a_array_expr->location, ret, reterr);
    case PG_QUERY__NODE__NODE_ROW_EXPR: return bind_row(binder, node->row_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return bind_indirection(binder, node->a_indirection, ret, reterr);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return bind_value_function(binder, node->sqlvalue_function, ret, reterr);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return weir_bind_wrong(binder, node->collate_clause->location, reterr,
                               "there is one collation: bytes of UTF-8");
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return weir_bind_wrong(binder, node->param_ref->location, reterr,
                               "there are no parameters: write the value");
    default: break;
    }
    *ret = NULL;
    if (binder->scope->special)
        WEIR_TRY(binder->scope->special(binder, binder->scope->self, node, ret, reterr));
    if (*ret)
        return WEIR_OK;
    return weir_bind_wrong(binder, weir_bind_location(node), reterr,
                           "this form of expression is not supported here");
}

weir_status weir_bind(struct weir_binder *binder, const PgQuery__Node *node, struct weir_node **ret,
                      struct weir_error *reterr)
{
    struct weir_node *made;
    if (!node)
        return weir_bind_wrong(binder, -1, reterr, "an operand is missing");
    if (++binder->depth > BIND_DEPTH_MAX)
        return weir_bind_wrong(binder, weir_bind_location(node), reterr, "nested deeper than %d",
                               BIND_DEPTH_MAX);
    WEIR_TRY(bind_inner(binder, node, &made, reterr));
    binder->depth--;
    *ret = made;
    return WEIR_OK;
}
