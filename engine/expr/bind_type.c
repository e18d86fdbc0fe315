/* Names of types, literals, and where in the text things are. */
#include "engine/expr/bind.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *weir_bind_string(const PgQuery__Node *node)
{
    return node && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : "";
}

weir_status weir_bind_at(struct weir_binder *binder, int location, weir_status status)
{
    if (status != WEIR_OK && binder->location < 0)
        binder->location = location;
    return status;
}

weir_status weir_bind_wrong(struct weir_binder *binder, int location, struct weir_error *reterr,
                            const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return weir_bind_at(binder, location, weir_fail(reterr, WEIR_USAGE, "%s", message));
}

int weir_bind_child(const struct weir_type *type, const char *name)
{
    int found = -1;
    for (uint32_t i = 0; i < type->child_count; i++)
        if (strcmp(type->children[i].name, name) == 0)
            return (int)i;
    for (uint32_t i = 0; i < type->child_count; i++)
        if (strcasecmp(type->children[i].name, name) == 0) {
            if (found >= 0)
                return -2;
            found = (int)i;
        }
    return found;
}

int weir_bind_location(const PgQuery__Node *node)
{
    if (!node)
        return -1;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR: {
        int left = weir_bind_location(node->a_expr->lexpr);
        return left >= 0 ? left : node->a_expr->location;
    }
    case PG_QUERY__NODE__NODE_A_CONST: return node->a_const->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF: return node->column_ref->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL: return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        int inner = weir_bind_location(node->type_cast->arg);
        return inner >= 0 && inner < node->type_cast->location ? inner : node->type_cast->location;
    }
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return node->bool_expr->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR: return node->case_expr->location;
    case PG_QUERY__NODE__NODE_SUB_LINK: return node->sub_link->location;
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return weir_bind_location(node->a_indirection->arg);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return node->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR: return node->row_expr->location;
    case PG_QUERY__NODE__NODE_NULL_TEST: return weir_bind_location(node->null_test->arg);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return weir_bind_location(node->boolean_test->arg);
    case PG_QUERY__NODE__NODE_RES_TARGET: return node->res_target->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR: return node->range_var->location;
    case PG_QUERY__NODE__NODE_SORT_BY: return weir_bind_location(node->sort_by->node);
    default: return -1;
    }
}

/* ---- types ---- */

static const struct {
    const char *name;
    struct weir_type type;
} type_names[] = {
    {"bool", {.id = WEIR_BOOLEAN}},
    {"boolean", {.id = WEIR_BOOLEAN}},
    {"int2", {.id = WEIR_INT}},
    {"int4", {.id = WEIR_INT}},
    {"int", {.id = WEIR_INT}},
    {"integer", {.id = WEIR_INT}},
    {"smallint", {.id = WEIR_INT}},
    {"tinyint", {.id = WEIR_INT}},
    {"int8", {.id = WEIR_LONG}},
    {"bigint", {.id = WEIR_LONG}},
    {"long", {.id = WEIR_LONG}},
    {"float4", {.id = WEIR_FLOAT}},
    {"real", {.id = WEIR_FLOAT}},
    {"float", {.id = WEIR_FLOAT}},
    {"float8", {.id = WEIR_DOUBLE}},
    {"double", {.id = WEIR_DOUBLE}},
    {"hugeint", {.id = WEIR_DECIMAL, .precision = 38}},
    {"date", {.id = WEIR_DATE}},
    {"time", {.id = WEIR_TIME}},
    {"timestamp", {.id = WEIR_TIMESTAMP}},
    {"datetime", {.id = WEIR_TIMESTAMP}},
    {"timestamptz", {.id = WEIR_TIMESTAMPTZ}},
    {"text", {.id = WEIR_STRING}},
    {"varchar", {.id = WEIR_STRING}},
    {"string", {.id = WEIR_STRING}},
    {"bpchar", {.id = WEIR_STRING}},
    {"char", {.id = WEIR_STRING}},
    {"json", {.id = WEIR_STRING}},
    {"jsonb", {.id = WEIR_STRING}},
    {"uuid", {.id = WEIR_UUID}},
    {"bytea", {.id = WEIR_BINARY}},
    {"binary", {.id = WEIR_BINARY}},
    {"blob", {.id = WEIR_BINARY}},
    {"varbinary", {.id = WEIR_BINARY}},
    {"interval", {.id = WEIR_INTERVAL}},
};

static int typmod(const PgQuery__TypeName *name, size_t at, int otherwise)
{
    const PgQuery__Node *node = at < name->n_typmods ? name->typmods[at] : NULL;
    return node && node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL
               ? node->a_const->ival->ival
               : otherwise;
}

static weir_status decimal_type(struct weir_binder *binder, const PgQuery__TypeName *name,
                                struct weir_type *ret, struct weir_error *reterr)
{
    /* DECIMAL without numbers is (18,3), as DuckDB has it: PostgreSQL's has no fixed scale */
    int precision = typmod(name, 0, 18), scale = typmod(name, 1, name->n_typmods ? 0 : 3);
    if (precision < 1 || precision > 38 || scale < 0 || scale > precision)
        return weir_bind_wrong(binder, name->location, reterr,
                               "decimal(%d,%d): precision is 1 to 38, scale 0 to precision",
                               precision, scale);
    *ret = (struct weir_type){
        .id = WEIR_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return WEIR_OK;
}

static weir_status list_of(struct weir_binder *binder, struct weir_type *type,
                           struct weir_error *reterr)
{
    struct weir_field *element;
    WEIR_TRY(weir_arena_zero(binder->arena, 1, sizeof *element, &element, reterr));
    *element = (struct weir_field){.name = "element", .type = *type};
    *type = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = element};
    return WEIR_OK;
}

weir_status weir_bind_type(struct weir_binder *binder, const PgQuery__TypeName *name,
                           struct weir_type *ret, struct weir_error *reterr)
{
    const char *text = name->n_names ? weir_bind_string(name->names[name->n_names - 1]) : "";
    const char *best = NULL;
    size_t distance = 4;
    struct weir_type type = {.id = WEIR_TYPE_COUNT};
    if (strcmp(text, "numeric") == 0 || strcmp(text, "decimal") == 0)
        WEIR_TRY(decimal_type(binder, name, &type, reterr));
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strcasecmp(type_names[i].name, text) == 0)
            type = type_names[i].type;
        if (weir_text_distance(type_names[i].name, text) < distance) {
            best = type_names[i].name;
            distance = weir_text_distance(best, text);
        }
    }
    if (type.id == WEIR_TYPE_COUNT) {
        weir_status status = weir_bind_wrong(binder, name->location, reterr, "there is no type %s",
                                             text);
        if (best)
            weir_error_hint(reterr, "did you mean %s?", best);
        return status;
    }
    for (size_t i = 0; i < name->n_array_bounds; i++)
        WEIR_TRY(list_of(binder, &type, reterr));
    *ret = type;
    return WEIR_OK;
}
