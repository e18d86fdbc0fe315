/* Text -> PostgreSQL's grammar (libpg_query) -> bound tree. The parse tree of the library stays in
 * this file. */
#include "engine/expr/expr_int.h"

#include "engine/base/limits.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#define PREFIX      "SELECT "
#define PREFIX_SIZE 7

struct binder {
    struct weir_arena *arena;
    const struct weir_type *schema;
    const char *text;
    int depth;
};

typedef PgQuery__Node Node;

/* "line:column" of a byte of the text. */
static void place(const struct binder *binder, int location, int *line, int *column)
{
    int at = location - PREFIX_SIZE;
    *line = *column = 1;
    for (int i = 0; i < at && binder->text[i]; i++) {
        if (binder->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((binder->text[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

static weir_status wrong(const struct binder *binder, int location, struct weir_error *reterr,
                         const char *format, ...) WEIR_PRINTF(4, 5);
static weir_status wrong(const struct binder *binder, int location, struct weir_error *reterr,
                         const char *format, ...)
{
    char message[512];
    int line, column;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    place(binder, location, &line, &column);
    return weir_fail(reterr, WEIR_USAGE, "%d:%d: %s", line, column, message);
}

static weir_status node_new(struct binder *binder, enum node_kind kind, enum value_class class,
                            size_t arguments, struct weir_expr **ret, struct weir_error *reterr)
{
    struct weir_expr *node;
    WEIR_TRY(weir_arena_zero(binder->arena, 1, sizeof *node, &node, reterr));
    node->kind = kind;
    node->class = class;
    if (class == CLASS_BOOL)
        node->type.id = WEIR_BOOLEAN;
    WEIR_TRY(weir_arena_zero(binder->arena, arguments + 1, sizeof *node->arguments,
                             &node->arguments, reterr));
    node->argument_count = arguments;
    *ret = node;
    return WEIR_OK;
}

static weir_status bind(struct binder *binder, const Node *node, struct weir_expr **ret,
                        struct weir_error *reterr);

static bool class_of(const struct weir_type *type, enum value_class *ret)
{
    switch (type->id) {
    case WEIR_BOOLEAN: *ret = CLASS_BOOL; return true;
    case WEIR_INT:
    case WEIR_LONG:
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: *ret = CLASS_LONG; return true;
    case WEIR_FLOAT:
    case WEIR_DOUBLE: *ret = CLASS_DOUBLE; return true;
    case WEIR_DECIMAL: *ret = CLASS_DECIMAL; return true;
    case WEIR_STRING:
    case WEIR_UUID:
    case WEIR_FIXED:
    case WEIR_BINARY: *ret = CLASS_BYTES; return true;
    default: return false;
    }
}

/* ---- columns ---- */

static int child_by_name(const struct weir_type *type, const char *name)
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

static weir_status unknown_column(const struct binder *binder, const struct weir_type *type,
                                  const char *name, const char *path, int location,
                                  struct weir_error *reterr)
{
    const char *best = NULL;
    size_t distance = 4;
    for (uint32_t i = 0; i < type->child_count; i++)
        if (weir_text_distance(type->children[i].name, name) < distance) {
            best = type->children[i].name;
            distance = weir_text_distance(best, name);
        }
    weir_status status = wrong(binder, location, reterr, "there is no column %s%s%s", path,
                               *path ? "." : "", name);
    if (best)
        weir_error_hint(reterr, "did you mean %s%s%s?", path, *path ? "." : "", best);
    return status;
}

static weir_status bind_column(struct binder *binder, const PgQuery__ColumnRef *column,
                               struct weir_expr **ret, struct weir_error *reterr)
{
    struct weir_expr *node;
    const struct weir_type *type = binder->schema;
    char path[512] = "";
    WEIR_TRY(node_new(binder, NODE_COLUMN, CLASS_BOOL, 0, &node, reterr));
    for (size_t i = 0; i < column->n_fields; i++) {
        if (column->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
            return wrong(binder, column->location, reterr, "* is no value");
        const char *name = column->fields[i]->string->sval;
        if (type->id != WEIR_STRUCT)
            return wrong(binder, column->location, reterr,
                         "%s is a %s, which has no fields to name", path, weir_type_name(type->id));
        int child = child_by_name(type, name);
        if (child == -2)
            return wrong(binder, column->location, reterr,
                         "%s names more than one column; write it in double quotes as it is spelt",
                         name);
        if (child < 0)
            return unknown_column(binder, type, name, path, column->location, reterr);
        if (node->path_size == EXPR_PATH_MAX)
            return wrong(binder, column->location, reterr, "a path of more than %d names",
                         EXPR_PATH_MAX);
        node->path[node->path_size++] = (uint32_t)child;
        size_t used = strlen(path);
        snprintf(path + used, sizeof path - used, "%s%s", used ? "." : "", name);
        type = &type->children[child].type;
    }
    if (!class_of(type, &node->class))
        return wrong(binder, column->location, reterr, "%s is a %s; only its parts can be compared",
                     path, weir_type_name(type->id));
    node->type = *type;
    node->scale = type->id == WEIR_DECIMAL ? type->scale : 0;
    *ret = node;
    return WEIR_OK;
}

/* ---- literals ---- */

static weir_status bind_float(struct binder *binder, const PgQuery__AConst *constant,
                              struct weir_expr *node, struct weir_error *reterr)
{
    const char *text = constant->fval->fval, *dot = strchr(text, '.');
    size_t size = strlen(text);
    if (!dot && !strpbrk(text, "eE") && weir_text_int64(text, size, &node->number)) {
        node->class = CLASS_LONG;
        node->type.id = WEIR_LONG;
        return WEIR_OK;
    }
    int scale = dot ? (int)(strcspn(dot + 1, "eE")) : 0;
    char with_zero[64];
    if (*text == '.' && size < 62) { /* .5 is SQL, not JSON */
        snprintf(with_zero, sizeof with_zero, "0%s", text);
        text = with_zero;
        size++;
    }
    node->type = (struct weir_type){.id = WEIR_DECIMAL, .precision = 38, .scale = (uint8_t)scale};
    node->class = CLASS_DECIMAL;
    node->scale = scale;
    if (scale <= 38 && !strpbrk(text, "eE") &&
        weir_text_decimal(text, size, 38, scale, &node->decimal))
        return WEIR_OK;
    char *end;
    node->real = strtod(text, &end);
    if (*end || !isfinite(node->real))
        return wrong(binder, constant->location, reterr, "%s is out of range", text);
    node->class = CLASS_DOUBLE;
    node->type = (struct weir_type){.id = WEIR_DOUBLE};
    return WEIR_OK;
}

static weir_status bind_constant(struct binder *binder, const PgQuery__AConst *constant,
                                 struct weir_expr **ret, struct weir_error *reterr)
{
    struct weir_expr *node;
    WEIR_TRY(node_new(binder, constant->isnull ? NODE_NULL : NODE_CONSTANT, CLASS_BOOL, 0, &node,
                      reterr));
    *ret = node;
    if (constant->isnull) {
        node->literal_unknown = true;
        return WEIR_OK;
    }
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        node->class = CLASS_LONG;
        node->type.id = WEIR_INT;
        node->number = constant->ival->ival;
        return WEIR_OK;
    case PG_QUERY__A__CONST__VAL_FVAL: return bind_float(binder, constant, node, reterr);
    case PG_QUERY__A__CONST__VAL_BOOLVAL: node->number = constant->boolval->boolval; return WEIR_OK;
    case PG_QUERY__A__CONST__VAL_SVAL: {
        char *copy;
        size_t size = strlen(constant->sval->sval);
        WEIR_TRY(weir_arena_copy(binder->arena, constant->sval->sval, size, &copy, reterr));
        node->class = CLASS_BYTES;
        node->type.id = WEIR_STRING;
        node->bytes = (struct weir_bytes){(const uint8_t *)copy, size};
        node->literal_unknown = true;
        return WEIR_OK;
    }
    default: return wrong(binder, constant->location, reterr, "bit strings are not supported");
    }
}

static weir_status literal_wrong(const struct binder *binder, const struct weir_expr *literal,
                                 const struct weir_type *type, int location,
                                 struct weir_error *reterr)
{
    return wrong(binder, location, reterr, "'%.*s' is no %s",
                 (int)(literal->bytes.size > 60 ? 60 : literal->bytes.size),
                 (const char *)literal->bytes.data, weir_type_name(type->id));
}

/* '...' takes the type of what it meets, as PostgreSQL's unknown literals do. */
static weir_status resolve_literal(struct binder *binder, struct weir_expr *literal,
                                   const struct weir_type *type, int location,
                                   struct weir_error *reterr)
{
    const char *text = (const char *)literal->bytes.data;
    size_t size = literal->bytes.size;
    int32_t days;
    uint8_t *bytes;
    bool good = true;
    switch (type->id) {
    case WEIR_BOOLEAN:
        literal->number = size == 4 && strncasecmp(text, "true", 4) == 0;
        good = literal->number || (size == 5 && strncasecmp(text, "false", 5) == 0);
        break;
    case WEIR_INT:
    case WEIR_LONG: good = weir_text_int64(text, size, &literal->number); break;
    case WEIR_DATE:
        good = weir_text_date(text, size, &days);
        if (good)
            literal->number = days;
        break;
    case WEIR_TIME: good = weir_text_time(text, size, &literal->number); break;
    case WEIR_TIMESTAMP:
        good = weir_text_timestamp(text, size, &literal->number) ||
               (weir_text_date(text, size, &days) &&
                (literal->number = days * 86400000000LL, true));
        break;
    case WEIR_TIMESTAMPTZ:
        good = weir_text_timestamptz(text, size, &literal->number) ||
               weir_text_timestamp(text, size, &literal->number) ||
               (weir_text_date(text, size, &days) &&
                (literal->number = days * 86400000000LL, true));
        break;
    case WEIR_FLOAT:
    case WEIR_DOUBLE: good = weir_text_double(text, size, &literal->real); break;
    case WEIR_DECIMAL:
        good = weir_text_decimal(text, size, 38, type->scale, &literal->decimal);
        break;
    case WEIR_UUID:
        WEIR_TRY(weir_arena_alloc(binder->arena, 16, &bytes, reterr));
        good = weir_text_uuid(text, size, bytes);
        literal->bytes = (struct weir_bytes){bytes, 16};
        break;
    default: break;
    }
    if (!good)
        return literal_wrong(binder, literal, type, location, reterr);
    literal->literal_unknown = false;
    literal->type = *type;
    literal->scale = type->id == WEIR_DECIMAL ? type->scale : 0;
    (void)class_of(type, &literal->class);
    return WEIR_OK;
}

/* ---- types that meet ---- */

static weir_status convert(struct binder *binder, struct weir_expr **node, enum value_class class,
                           int scale, const struct weir_type *type, struct weir_error *reterr)
{
    if ((*node)->class == class && (*node)->scale == scale) {
        return WEIR_OK;
    }
    struct weir_expr *converted;
    WEIR_TRY(node_new(binder, NODE_CONVERT, class, 1, &converted, reterr));
    converted->arguments[0] = *node;
    converted->scale = scale;
    converted->type = *type;
    *node = converted;
    return WEIR_OK;
}

static bool is_integer(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG;
}
static bool is_number(const struct weir_type *type)
{
    return is_integer(type) || type->id == WEIR_FLOAT || type->id == WEIR_DOUBLE ||
           type->id == WEIR_DECIMAL;
}
static bool is_moment(const struct weir_type *type)
{
    return type->id == WEIR_DATE || type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ;
}

static weir_status meet_numbers(struct binder *binder, struct weir_expr **a, struct weir_expr **b,
                                struct weir_error *reterr)
{
    if ((*a)->class == CLASS_DOUBLE || (*b)->class == CLASS_DOUBLE) {
        struct weir_type type = {.id = WEIR_DOUBLE};
        WEIR_TRY(convert(binder, a, CLASS_DOUBLE, 0, &type, reterr));
        return convert(binder, b, CLASS_DOUBLE, 0, &type, reterr);
    }
    if ((*a)->class == CLASS_DECIMAL || (*b)->class == CLASS_DECIMAL) {
        int scale = (*a)->scale > (*b)->scale ? (*a)->scale : (*b)->scale;
        struct weir_type type = {.id = WEIR_DECIMAL, .precision = 38, .scale = (uint8_t)scale};
        WEIR_TRY(convert(binder, a, CLASS_DECIMAL, scale, &type, reterr));
        return convert(binder, b, CLASS_DECIMAL, scale, &type, reterr);
    }
    return WEIR_OK;
}

/* Both sides brought to one class, so that they can be compared. */
static weir_status meet(struct binder *binder, struct weir_expr **a, struct weir_expr **b,
                        int location, struct weir_error *reterr)
{
    if ((*a)->kind == NODE_NULL || (*b)->kind == NODE_NULL) {
        struct weir_expr *null = (*a)->kind == NODE_NULL ? *a : *b, *other = null == *a ? *b : *a;
        null->class = other->class;
        null->type = other->type;
        null->scale = other->scale;
        return WEIR_OK;
    }
    if ((*a)->literal_unknown && !(*b)->literal_unknown)
        WEIR_TRY(resolve_literal(binder, *a, &(*b)->type, location, reterr));
    if ((*b)->literal_unknown && !(*a)->literal_unknown)
        WEIR_TRY(resolve_literal(binder, *b, &(*a)->type, location, reterr));
    const struct weir_type *x = &(*a)->type, *y = &(*b)->type;
    if (is_number(x) && is_number(y))
        return meet_numbers(binder, a, b, reterr);
    if (is_moment(x) && is_moment(y)) {
        /* a date is its midnight; a time stamp without zone is taken as UTC */
        struct weir_type type = {.id = WEIR_TIMESTAMP};
        if (x->id == WEIR_DATE && y->id != WEIR_DATE) {
            struct weir_expr *moved;
            WEIR_TRY(node_new(binder, NODE_CONVERT, CLASS_LONG, 1, &moved, reterr));
            moved->arguments[0] = *a;
            moved->type = type;
            *a = moved;
        } else if (y->id == WEIR_DATE && x->id != WEIR_DATE) {
            struct weir_expr *moved;
            WEIR_TRY(node_new(binder, NODE_CONVERT, CLASS_LONG, 1, &moved, reterr));
            moved->arguments[0] = *b;
            moved->type = type;
            *b = moved;
        }
        return WEIR_OK;
    }
    bool binary = (x->id == WEIR_BINARY || x->id == WEIR_FIXED) &&
                  (y->id == WEIR_BINARY || y->id == WEIR_FIXED);
    if (x->id == y->id || binary)
        return WEIR_OK;
    return wrong(binder, location, reterr, "a %s cannot be compared with a %s",
                 weir_type_name(x->id), weir_type_name(y->id));
}

/* IN and BETWEEN compare one left side several times. What has no type of its own yet takes one
 * from each partner, so each comparison types a copy of its own. */
static weir_status own_untyped(struct binder *binder, struct weir_expr **node,
                               struct weir_error *reterr)
{
    struct weir_expr *copy;
    if ((*node)->kind != NODE_NULL && !(*node)->literal_unknown)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(binder->arena, 1, sizeof *copy, &copy, reterr));
    *copy = **node;
    *node = copy;
    return WEIR_OK;
}

static weir_status make_compare(struct binder *binder, enum compare compare, struct weir_expr *a,
                                struct weir_expr *b, int location, struct weir_expr **ret,
                                struct weir_error *reterr)
{
    struct weir_expr *node;
    WEIR_TRY(own_untyped(binder, &a, reterr));
    WEIR_TRY(own_untyped(binder, &b, reterr));
    WEIR_TRY(meet(binder, &a, &b, location, reterr));
    WEIR_TRY(node_new(binder, NODE_COMPARE, CLASS_BOOL, 2, &node, reterr));
    node->compare = compare;
    node->arguments[0] = a;
    node->arguments[1] = b;
    *ret = node;
    return WEIR_OK;
}

static weir_status need_bool(struct binder *binder, struct weir_expr *node, const char *where,
                             int location, struct weir_error *reterr)
{
    if (node->kind == NODE_NULL || node->class == CLASS_BOOL)
        return WEIR_OK;
    if (node->literal_unknown)
        return resolve_literal(binder, node, &(struct weir_type){.id = WEIR_BOOLEAN}, location,
                               reterr);
    return wrong(binder, location, reterr, "%s needs a condition, not a %s", where,
                 weir_type_name(node->type.id));
}

static weir_status bind_logic(struct binder *binder, const PgQuery__BoolExpr *expr,
                              struct weir_expr **ret, struct weir_error *reterr)
{
    static const enum node_kind kinds[] = {NODE_AND, NODE_AND, NODE_OR, NODE_NOT};
    struct weir_expr *node;
    WEIR_TRY(node_new(binder, kinds[expr->boolop & 3], CLASS_BOOL, expr->n_args, &node, reterr));
    for (size_t i = 0; i < expr->n_args; i++) {
        WEIR_TRY(bind(binder, expr->args[i], &node->arguments[i], reterr));
        WEIR_TRY(need_bool(binder, node->arguments[i],
                           node->kind == NODE_NOT  ? "NOT"
                           : node->kind == NODE_OR ? "OR"
                                                   : "AND",
                           expr->location, reterr));
    }
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_arithmetic(struct binder *binder, char operation,
                                   const PgQuery__AExpr *expr, struct weir_expr **ret,
                                   struct weir_error *reterr)
{
    struct weir_expr *a = NULL, *b, *node;
    WEIR_TRY(bind(binder, expr->rexpr, &b, reterr));
    if (!expr->lexpr) { /* sign */
        if (!is_number(&b->type) || b->literal_unknown)
            return wrong(binder, expr->location, reterr, "%c needs a number, not a %s", operation,
                         weir_type_name(b->type.id));
        if (operation == '+') {
            *ret = b;
            return WEIR_OK;
        }
        WEIR_TRY(node_new(binder, NODE_NEGATE, b->class, 1, &node, reterr));
        node->type = b->type;
        node->scale = b->scale;
        node->arguments[0] = b;
        *ret = node;
        return WEIR_OK;
    }
    WEIR_TRY(bind(binder, expr->lexpr, &a, reterr));
    if (a->literal_unknown && a->kind != NODE_NULL && !b->literal_unknown)
        WEIR_TRY(resolve_literal(binder, a, &b->type, expr->location, reterr));
    if (b->literal_unknown && b->kind != NODE_NULL && !a->literal_unknown)
        WEIR_TRY(resolve_literal(binder, b, &a->type, expr->location, reterr));
    if (a->kind == NODE_NULL || b->kind == NODE_NULL)
        WEIR_TRY(meet(binder, &a, &b, expr->location, reterr));
    if (!is_number(&a->type) || !is_number(&b->type))
        return wrong(binder, expr->location, reterr, "%c needs numbers, not a %s and a %s",
                     operation, weir_type_name(a->type.id), weir_type_name(b->type.id));
    bool narrow = a->type.id == WEIR_INT && b->type.id == WEIR_INT;
    bool product = operation == '*' && (a->class == CLASS_DECIMAL || b->class == CLASS_DECIMAL) &&
                   a->class != CLASS_DOUBLE && b->class != CLASS_DOUBLE;
    if (product) { /* scales add up; no common scale */
        struct weir_type type = {.id = WEIR_DECIMAL, .precision = 38};
        WEIR_TRY(convert(binder, &a, CLASS_DECIMAL, a->scale, &type, reterr));
        WEIR_TRY(convert(binder, &b, CLASS_DECIMAL, b->scale, &type, reterr));
    } else {
        WEIR_TRY(meet_numbers(binder, &a, &b, reterr));
    }
    if (a->class == CLASS_DECIMAL && (operation == '/' || operation == '%'))
        return wrong(binder, expr->location, reterr,
                     "%c of decimals is not in this version: multiply instead, or compare products",
                     operation);
    WEIR_TRY(node_new(binder, NODE_ARITHMETIC, a->class, 2, &node, reterr));
    node->operation = operation;
    node->scale = product ? a->scale + b->scale : a->scale;
    if (node->scale > 38)
        return wrong(binder, expr->location, reterr, "more than 38 digits behind the point");
    node->type = a->class == CLASS_LONG ? (struct weir_type){.id = narrow ? WEIR_INT : WEIR_LONG}
                 : a->class == CLASS_DOUBLE ? (struct weir_type){.id = WEIR_DOUBLE}
                                            : (struct weir_type){.id = WEIR_DECIMAL,
                                                                 .precision = 38,
                                                                 .scale = (uint8_t)node->scale};
    node->arguments[0] = a;
    node->arguments[1] = b;
    *ret = node;
    return WEIR_OK;
}

static const char *operator_name(const PgQuery__AExpr *expr)
{
    return expr->n_name == 1 && expr->name[0]->node_case == PG_QUERY__NODE__NODE_STRING
               ? expr->name[0]->string->sval
               : "";
}

static weir_status bind_operator(struct binder *binder, const PgQuery__AExpr *expr,
                                 struct weir_expr **ret, struct weir_error *reterr)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *name = operator_name(expr);
    for (int i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0 && expr->lexpr) {
            struct weir_expr *a, *b;
            WEIR_TRY(bind(binder, expr->lexpr, &a, reterr));
            WEIR_TRY(bind(binder, expr->rexpr, &b, reterr));
            return make_compare(binder, (enum compare)i, a, b, expr->location, ret, reterr);
        }
    if (name[0] && !name[1] && strchr("+-*/%", name[0]))
        return bind_arithmetic(binder, name[0], expr, ret, reterr);
    return wrong(binder, expr->location, reterr, "operator %s is not in this version", name);
}

static weir_status bind_in(struct binder *binder, const PgQuery__AExpr *expr,
                           struct weir_expr **ret, struct weir_error *reterr)
{
    if (expr->rexpr->node_case != PG_QUERY__NODE__NODE_LIST)
        return wrong(binder, expr->location, reterr, "IN needs a list of values");
    const PgQuery__List *list = expr->rexpr->list;
    struct weir_expr *left, *node;
    WEIR_TRY(bind(binder, expr->lexpr, &left, reterr));
    WEIR_TRY(node_new(binder, NODE_IN, CLASS_BOOL, list->n_items, &node, reterr));
    node->negated = strcmp(operator_name(expr), "<>") == 0;
    for (size_t i = 0; i < list->n_items; i++) {
        struct weir_expr *item;
        WEIR_TRY(bind(binder, list->items[i], &item, reterr));
        WEIR_TRY(make_compare(binder, COMPARE_EQ, left, item, expr->location, &node->arguments[i],
                              reterr));
    }
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_between(struct binder *binder, const PgQuery__AExpr *expr,
                                struct weir_expr **ret, struct weir_error *reterr)
{
    const PgQuery__List *list = expr->rexpr->node_case == PG_QUERY__NODE__NODE_LIST
                                    ? expr->rexpr->list
                                    : NULL;
    if (!list || list->n_items != 2)
        return wrong(binder, expr->location, reterr, "BETWEEN needs two bounds");
    bool negated = expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN,
         symmetric = expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM;
    if (symmetric || expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM)
        return wrong(binder, expr->location, reterr, "BETWEEN SYMMETRIC is not in this version");
    struct weir_expr *value, *low, *high, *node;
    WEIR_TRY(bind(binder, expr->lexpr, &value, reterr));
    WEIR_TRY(bind(binder, list->items[0], &low, reterr));
    WEIR_TRY(bind(binder, list->items[1], &high, reterr));
    WEIR_TRY(node_new(binder, negated ? NODE_OR : NODE_AND, CLASS_BOOL, 2, &node, reterr));
    WEIR_TRY(make_compare(binder, negated ? COMPARE_LT : COMPARE_GE, value, low, expr->location,
                          &node->arguments[0], reterr));
    WEIR_TRY(make_compare(binder, negated ? COMPARE_GT : COMPARE_LE, value, high, expr->location,
                          &node->arguments[1], reterr));
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_like(struct binder *binder, const PgQuery__AExpr *expr,
                             struct weir_expr **ret, struct weir_error *reterr)
{
    struct weir_expr *node;
    WEIR_TRY(node_new(binder, NODE_LIKE, CLASS_BOOL, 2, &node, reterr));
    WEIR_TRY(bind(binder, expr->lexpr, &node->arguments[0], reterr));
    WEIR_TRY(bind(binder, expr->rexpr, &node->arguments[1], reterr));
    const char *name = operator_name(expr);
    node->negated = *name == '!';
    node->case_blind = expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE;
    for (int i = 0; i < 2; i++) {
        if (node->arguments[i]->kind == NODE_NULL)
            node->arguments[i]->class = CLASS_BYTES;
        else if (node->arguments[i]->type.id != WEIR_STRING)
            return wrong(binder, expr->location, reterr, "LIKE needs strings, not a %s",
                         weir_type_name(node->arguments[i]->type.id));
        node->arguments[i]->literal_unknown = false;
    }
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_distinct(struct binder *binder, const PgQuery__AExpr *expr,
                                 struct weir_expr **ret, struct weir_error *reterr)
{
    struct weir_expr *compared, *a, *b;
    WEIR_TRY(bind(binder, expr->lexpr, &a, reterr));
    WEIR_TRY(bind(binder, expr->rexpr, &b, reterr));
    WEIR_TRY(make_compare(binder, COMPARE_EQ, a, b, expr->location, &compared, reterr));
    compared->kind = NODE_DISTINCT;
    compared->negated = expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT;
    *ret = compared;
    return WEIR_OK;
}

static weir_status bind_expression(struct binder *binder, const PgQuery__AExpr *expr,
                                   struct weir_expr **ret, struct weir_error *reterr)
{
    switch (expr->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP: return bind_operator(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: return bind_in(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE: return bind_like(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return bind_distinct(binder, expr, ret, reterr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return bind_between(binder, expr, ret, reterr);
    default:
        return wrong(binder, expr->location, reterr,
                     "this form of expression is not in this version");
    }
}

static weir_status bind_test(struct binder *binder, const Node *argument, enum node_kind kind,
                             bool negated, int location, struct weir_expr **ret,
                             struct weir_error *reterr)
{
    struct weir_expr *node;
    WEIR_TRY(node_new(binder, kind, CLASS_BOOL, 1, &node, reterr));
    WEIR_TRY(bind(binder, argument, &node->arguments[0], reterr));
    if (kind != NODE_IS_NULL)
        WEIR_TRY(need_bool(binder, node->arguments[0], "IS TRUE", location, reterr));
    node->negated = negated;
    *ret = node;
    return WEIR_OK;
}

static weir_status bind_boolean_test(struct binder *binder, const PgQuery__BooleanTest *test,
                                     struct weir_expr **ret, struct weir_error *reterr)
{
    switch (test->booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
        return bind_test(binder, test->arg, NODE_IS_TRUE, false, test->location, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
        return bind_test(binder, test->arg, NODE_IS_TRUE, true, test->location, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
        return bind_test(binder, test->arg, NODE_IS_FALSE, false, test->location, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
        return bind_test(binder, test->arg, NODE_IS_FALSE, true, test->location, ret, reterr);
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
        return bind_test(binder, test->arg, NODE_IS_NULL, false, test->location, ret, reterr);
    default: return bind_test(binder, test->arg, NODE_IS_NULL, true, test->location, ret, reterr);
    }
}

static weir_status bind_inner(struct binder *binder, const Node *node, struct weir_expr **ret,
                              struct weir_error *reterr)
{
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR: return bind_expression(binder, node->a_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_A_CONST: return bind_constant(binder, node->a_const, ret, reterr);
    case PG_QUERY__NODE__NODE_COLUMN_REF: return bind_column(binder, node->column_ref, ret, reterr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return bind_logic(binder, node->bool_expr, ret, reterr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_test(binder, node->null_test->arg, NODE_IS_NULL,
                         node->null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL,
                         node->null_test->location, ret, reterr);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(binder, node->boolean_test, ret, reterr);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return wrong(binder, node->func_call->location, reterr,
                     "functions are not in this version");
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return wrong(
            binder, node->type_cast->location, reterr,
            "casts are not in this version; literals take the type of what they are compared with");
    default:
        return wrong(binder, PREFIX_SIZE, reterr, "this form of expression is not in this version");
    }
}

static weir_status bind(struct binder *binder, const Node *node, struct weir_expr **ret,
                        struct weir_error *reterr)
{
    if (!node)
        return wrong(binder, PREFIX_SIZE, reterr, "an operand is missing");
    if (++binder->depth > EXPR_DEPTH_MAX)
        return wrong(binder, PREFIX_SIZE, reterr, "nested deeper than %d", EXPR_DEPTH_MAX);
    weir_status status = bind_inner(binder, node, ret, reterr);
    binder->depth--;
    return status;
}

/* libpg_query recurses on long chains of operators: too many tokens are refused before it sees them
 * (libs.md). */
static weir_status check_size(const struct binder *binder, const char *text,
                              struct weir_error *reterr)
{
    size_t size = strlen(text), operators = 0;
    for (const char *at = text; *at; at++)
        operators += strchr("+-*/%<>=(,", *at) != NULL ||
                     ((*at == ' ' || *at == '\n' || *at == '\t') && at[1] != ' ');
    if (size > WEIR_EXPRESSION_SIZE_MAX)
        return wrong(binder, PREFIX_SIZE, reterr, "%zu bytes; an expression may have %u", size,
                     WEIR_EXPRESSION_SIZE_MAX);
    if (operators > 2 * WEIR_EXPRESSION_OPERATORS_MAX)
        return wrong(binder, PREFIX_SIZE, reterr, "more than %d operators",
                     WEIR_EXPRESSION_OPERATORS_MAX);
    return WEIR_OK;
}

static weir_status bind_statement(struct binder *binder, const PgQuery__ParseResult *tree,
                                  struct weir_expr **ret, struct weir_error *reterr)
{
    const Node *statement = tree && tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;
    const PgQuery__SelectStmt *select = statement && statement->node_case ==
                                                         PG_QUERY__NODE__NODE_SELECT_STMT
                                            ? statement->select_stmt
                                            : NULL;
    if (!select || select->n_target_list != 1 || select->n_from_clause || select->where_clause ||
        select->n_group_clause || select->having_clause || select->n_sort_clause ||
        select->n_distinct_clause || select->limit_count || select->limit_offset ||
        select->with_clause || select->larg)
        return wrong(binder, PREFIX_SIZE, reterr, "give one condition, as behind WHERE");
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    if (target->name && *target->name)
        return wrong(binder, target->location, reterr, "give one condition, as behind WHERE");
    struct weir_expr *expr;
    WEIR_TRY(bind(binder, target->val, &expr, reterr));
    WEIR_TRY(need_bool(binder, expr, "this", PREFIX_SIZE, reterr));
    *ret = expr;
    return WEIR_OK;
}

weir_status weir_expr_compile(struct weir_arena *arena, const struct weir_type *schema,
                              const char *text, struct weir_expr **ret_expr,
                              struct weir_error *reterr)
{
    struct binder binder = {arena, schema, text, 0};
    char *statement;
    WEIR_TRY(check_size(&binder, text, reterr));
    WEIR_TRY(weir_arena_print(arena, &statement, reterr, PREFIX "%s", text));
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(statement);
    weir_status status;
    if (parsed.error) {
        status = wrong(&binder, parsed.error->cursorpos - 1, reterr, "%s", parsed.error->message);
        weir_error_hint(
            reterr,
            "a column whose name is a word of SQL (order, inner, user) goes in double quotes");
    } else {
        PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
            NULL, parsed.parse_tree.len, (const uint8_t *)parsed.parse_tree.data);
        status = bind_statement(&binder, tree, ret_expr, reterr);
        if (tree)
            pg_query__parse_result__free_unpacked(tree, NULL);
    }
    pg_query_free_protobuf_parse_result(parsed);
    return status;
}
