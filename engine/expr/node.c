/* Making, copying, comparing and walking bound expressions. */
#include "engine/expr/function_int.h"

#include <string.h>

weir_status weir_node_new(struct weir_arena *arena, enum weir_node_kind kind,
                          uint32_t argument_count, int location, struct weir_node **ret_node,
                          struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *node, &node, reterr));
    node->kind = kind;
    node->location = location;
    WEIR_TRY(weir_arena_zero(arena, (size_t)argument_count + 1, sizeof *node->arguments,
                             &node->arguments, reterr));
    node->argument_count = argument_count;
    *ret_node = node;
    return WEIR_OK;
}

weir_status weir_node_column(struct weir_arena *arena, uint32_t index, const struct weir_type *type,
                             int location, struct weir_node **ret_node, struct weir_error *reterr)
{
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_COLUMN, 0, location, ret_node, reterr));
    (*ret_node)->index = index;
    (*ret_node)->type = *type;
    return WEIR_OK;
}

/* ---- constants ---- */

weir_status weir_node_value(struct weir_arena *arena, const struct weir_vector *vector,
                            uint32_t row, struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *node;
    uint32_t rows[1] = {row};
    struct weir_selection one = {1, rows};
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CONSTANT, 0, -1, &node, reterr));
    WEIR_TRY(weir_type_copy(arena, vector->type, &node->type, reterr));
    WEIR_TRY(weir_vector_gather(arena, vector, &one, &node->value, reterr));
    node->value.kind = WEIR_CONSTANT;
    node->value.type = &node->type;
    *ret_node = node;
    return WEIR_OK;
}

static weir_status constant(struct weir_arena *arena, const struct weir_type *type,
                            const void *bytes, size_t size, struct weir_node **ret_node,
                            struct weir_error *reterr)
{
    struct weir_node *node;
    uint8_t *values;
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CONSTANT, 0, -1, &node, reterr));
    WEIR_TRY(weir_arena_zero(arena, size + 64, 1, &values, reterr));
    memcpy(values, bytes, size);
    node->type = *type;
    node->value = (struct weir_vector){
        .type = &node->type, .kind = WEIR_CONSTANT, .count = 1, .values = values};
    *ret_node = node;
    return WEIR_OK;
}

weir_status weir_node_long(struct weir_arena *arena, int64_t value, struct weir_node **ret_node,
                           struct weir_error *reterr)
{
    struct weir_type type = {.id = WEIR_LONG};
    return constant(arena, &type, &value, sizeof value, ret_node, reterr);
}

weir_status weir_node_int(struct weir_arena *arena, int32_t value, struct weir_node **ret_node,
                          struct weir_error *reterr)
{
    struct weir_type type = {.id = WEIR_INT};
    return constant(arena, &type, &value, sizeof value, ret_node, reterr);
}

weir_status weir_node_boolean(struct weir_arena *arena, bool value, struct weir_node **ret_node,
                              struct weir_error *reterr)
{
    struct weir_type type = {.id = WEIR_BOOLEAN};
    uint8_t bit = value;
    return constant(arena, &type, &bit, sizeof bit, ret_node, reterr);
}

weir_status weir_node_text(struct weir_arena *arena, const char *text, size_t size,
                           struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_type type = {.id = WEIR_STRING};
    int32_t *offsets;
    if (size > INT32_MAX)
        return weir_fail(reterr, WEIR_USAGE, "a literal of %zu bytes", size);
    WEIR_TRY(constant(arena, &type, size ? text : "", size, ret_node, reterr));
    WEIR_TRY(weir_arena_zero(arena, 16, sizeof *offsets, &offsets, reterr));
    offsets[1] = (int32_t)size;
    (*ret_node)->value.offsets = offsets;
    return WEIR_OK;
}

weir_status weir_node_null(struct weir_arena *arena, const struct weir_type *type,
                           struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *node;
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CONSTANT, 0, -1, &node, reterr));
    WEIR_TRY(weir_type_copy(arena, type, &node->type, reterr));
    WEIR_TRY(weir_vector_null(arena, &node->type, &node->value, reterr));
    *ret_node = node;
    return WEIR_OK;
}

/* ---- conditions ---- */

weir_status weir_node_and(struct weir_arena *arena, struct weir_node *a, struct weir_node *b,
                          struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *node;
    if (!a || !b) {
        *ret_node = a ? a : b;
        return WEIR_OK;
    }
    uint32_t before = a->kind == WEIR_NODE_AND ? a->argument_count : 1;
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_AND, before + 1, a->location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    if (a->kind == WEIR_NODE_AND)
        memcpy(node->arguments, a->arguments, before * sizeof *node->arguments);
    else
        node->arguments[0] = a;
    node->arguments[before] = b;
    *ret_node = node;
    return WEIR_OK;
}

weir_status weir_node_compare(struct weir_arena *arena, enum weir_compare compare,
                              struct weir_node *a, struct weir_node *b, int location,
                              struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *node;
    struct weir_type common;
    if (!weir_type_common(a, b, &common))
        return weir_fail(reterr, WEIR_USAGE, "a %s cannot be compared with a %s",
                         weir_type_name(a->type.id), weir_type_name(b->type.id));
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_COMPARE, 2, location, &node, reterr));
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    node->compare = compare;
    WEIR_TRY(weir_node_cast(arena, a, &common, true, false, &node->arguments[0], reterr));
    WEIR_TRY(weir_node_cast(arena, b, &common, true, false, &node->arguments[1], reterr));
    *ret_node = node;
    return WEIR_OK;
}

weir_status weir_node_call(struct weir_arena *arena, const char *name, struct weir_node **arguments,
                           uint32_t argument_count, int location, struct weir_node **ret_node,
                           struct weir_error *reterr)
{
    const struct weir_function *function = weir_function_find(name);
    struct weir_node *node;
    if (!function)
        return weir_fail(reterr, WEIR_USAGE, "there is no function %s", name);
    if ((int)argument_count < function->argument_min ||
        (function->argument_max >= 0 && (int)argument_count > function->argument_max))
        return weir_fail(reterr, WEIR_USAGE, "%s does not take %u arguments: it is %s", name,
                         argument_count, function->signature);
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_CALL, argument_count, location, &node, reterr));
    node->function = function;
    if (argument_count)
        memcpy(node->arguments, arguments, argument_count * sizeof *arguments);
    WEIR_TRY(function->bind(arena, node, reterr));
    if (function->prepare) {
        for (uint32_t i = 0; i < argument_count; i++)
            WEIR_TRY(weir_node_fold(arena, node->arguments[i], &node->arguments[i], reterr));
        WEIR_TRY(function->prepare(arena, node, reterr));
    }
    *ret_node = node;
    return WEIR_OK;
}

/* ---- copy, compare, walk ---- */

weir_status weir_node_copy(struct weir_arena *arena, const struct weir_node *node,
                           weir_status (*replace)(void *self, struct weir_arena *arena,
                                                  const struct weir_node *column,
                                                  struct weir_node **ret_node,
                                                  struct weir_error *reterr),
                           void *self, struct weir_node **ret_node, struct weir_error *reterr)
{
    struct weir_node *copy;
    if (node->kind == WEIR_NODE_COLUMN && replace)
        return replace(self, arena, node, ret_node, reterr);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *copy, &copy, reterr));
    *copy = *node;
    if (node->kind == WEIR_NODE_CONSTANT)
        copy->value.type = &copy->type;
    WEIR_TRY(weir_arena_zero(arena, (size_t)node->argument_count + 1, sizeof *copy->arguments,
                             &copy->arguments, reterr));
    for (uint32_t i = 0; i < node->argument_count; i++) {
        /* the columns of a lambda's body are its own */
        bool own = node->kind == WEIR_NODE_LAMBDA;
        WEIR_TRY(weir_node_copy(arena, node->arguments[i], own ? NULL : replace, self,
                                &copy->arguments[i], reterr));
    }
    if (node->capture_count) {
        WEIR_TRY(weir_arena_zero(arena, node->capture_count, sizeof *copy->captures,
                                 &copy->captures, reterr));
        for (uint32_t i = 0; i < node->capture_count; i++)
            WEIR_TRY(weir_node_copy(arena, node->captures[i], replace, self, &copy->captures[i],
                                    reterr));
    }
    *ret_node = copy;
    return WEIR_OK;
}

static bool same_constant(const struct weir_node *a, const struct weir_node *b)
{
    bool valid = weir_vector_valid(&a->value, 0);
    if (valid != weir_vector_valid(&b->value, 0))
        return false;
    return !valid || weir_value_order(&a->value, 0, &b->value, 0) == 0;
}

bool weir_node_equal(const struct weir_node *a, const struct weir_node *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->argument_count != b->argument_count || a->index != b->index ||
        a->compare != b->compare || a->negated != b->negated || a->try != b->try ||
        a->function != b->function || a->special != b->special ||
        a->capture_count != b->capture_count || a->parameter_count != b->parameter_count ||
        !weir_type_equal(&a->type, &b->type, false))
        return false;
    if (a->kind == WEIR_NODE_CALL && (a->function->flags & WEIR_FUNCTION_VOLATILE))
        return false;
    if (a->kind == WEIR_NODE_CONSTANT)
        return same_constant(a, b);
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (!weir_node_equal(a->arguments[i], b->arguments[i]))
            return false;
    for (uint32_t i = 0; i < a->capture_count; i++)
        if (!weir_node_equal(a->captures[i], b->captures[i]))
            return false;
    return true;
}

void weir_node_walk(const struct weir_node *node,
                    bool (*visit)(void *self, const struct weir_node *node), void *self)
{
    if (!visit(self, node))
        return;
    for (uint32_t i = 0; i < node->argument_count; i++)
        weir_node_walk(node->arguments[i], visit, self);
}

/* ---- folding ---- */

static bool constant_call(const struct weir_node *node)
{
    if (node->kind == WEIR_NODE_COLUMN || node->kind >= WEIR_NODE_LAMBDA)
        return false;
    if (node->kind == WEIR_NODE_CALL && (node->function->flags & WEIR_FUNCTION_VOLATILE))
        return false;
    for (uint32_t i = 0; i < node->argument_count; i++)
        if (node->arguments[i]->kind != WEIR_NODE_CONSTANT)
            return false;
    return true;
}

weir_status weir_node_fold(struct weir_arena *arena, struct weir_node *node,
                           struct weir_node **ret_node, struct weir_error *reterr)
{
    static const struct weir_type no_columns = {.id = WEIR_STRUCT};
    struct weir_batch nothing = {.type = &no_columns, .count = 1};
    struct weir_evaluation evaluation = {.batch = &nothing, .arena = arena, .count = 1};
    struct weir_vector value;
    *ret_node = node;
    if (node->kind == WEIR_NODE_CONSTANT || node->kind == WEIR_NODE_COLUMN)
        return WEIR_OK;
    for (uint32_t i = 0; i < node->argument_count && node->kind != WEIR_NODE_LAMBDA; i++)
        WEIR_TRY(weir_node_fold(arena, node->arguments[i], &node->arguments[i], reterr));
    for (uint32_t i = 0; i < node->capture_count; i++)
        WEIR_TRY(weir_node_fold(arena, node->captures[i], &node->captures[i], reterr));
    if (!constant_call(node))
        return WEIR_OK;
    WEIR_TRY(weir_node_evaluate(&evaluation, node, &value, reterr));
    if (evaluation.failed)
        return WEIR_OK;
    int location = node->location;
    WEIR_TRY(weir_node_value(arena, &value, 0, ret_node, reterr));
    (*ret_node)->location = location;
    return WEIR_OK;
}

/* ---- printing ---- */

static weir_status print_list(const struct weir_node *node, uint32_t from, const char *between,
                              const char *const *names, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    for (uint32_t i = from; i < node->argument_count; i++) {
        if (i > from)
            WEIR_TRY(weir_buffer_print(out, reterr, "%s", between));
        WEIR_TRY(weir_node_print(node->arguments[i], names, out, reterr));
    }
    return WEIR_OK;
}

static weir_status print_constant(const struct weir_node *node, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    bool quoted = node->type.id == WEIR_STRING || node->type.id >= WEIR_UUID ||
                  (node->type.id >= WEIR_DATE && node->type.id <= WEIR_TIMESTAMPTZ);
    if (!weir_vector_valid(&node->value, 0))
        return weir_buffer_print(out, reterr, "NULL");
    if (quoted)
        WEIR_TRY(weir_buffer_print(out, reterr, "'"));
    WEIR_TRY(weir_value_print(&node->value, 0, out, reterr));
    return quoted ? weir_buffer_print(out, reterr, "'") : WEIR_OK;
}

static weir_status print_call(const struct weir_node *node, const char *const *names,
                              struct weir_buffer *out, struct weir_error *reterr)
{
    const char *name = node->function->name;
    bool operator= !((*name >= 'a' && *name <= 'z') || *name == '_');
    if (operator&& node->argument_count == 2) {
        WEIR_TRY(weir_buffer_print(out, reterr, "("));
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " %s ", name));
        WEIR_TRY(weir_node_print(node->arguments[1], names, out, reterr));
        return weir_buffer_print(out, reterr, ")");
    }
    WEIR_TRY(weir_buffer_print(out, reterr, "%s(", name));
    WEIR_TRY(print_list(node, 0, ", ", names, out, reterr));
    return weir_buffer_print(out, reterr, ")");
}

static weir_status print_case(const struct weir_node *node, const char *const *names,
                              struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr, "CASE"));
    for (uint32_t i = 0; i + 1 < node->argument_count; i += 2) {
        WEIR_TRY(weir_buffer_print(out, reterr, " WHEN "));
        WEIR_TRY(weir_node_print(node->arguments[i], names, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " THEN "));
        WEIR_TRY(weir_node_print(node->arguments[i + 1], names, out, reterr));
    }
    WEIR_TRY(weir_buffer_print(out, reterr, " ELSE "));
    WEIR_TRY(weir_node_print(node->arguments[node->argument_count - 1], names, out, reterr));
    return weir_buffer_print(out, reterr, " END");
}

weir_status weir_node_print(const struct weir_node *node, const char *const *names,
                            struct weir_buffer *out, struct weir_error *reterr)
{
    static const char *const compares[] = {
        "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"};
    switch (node->kind) {
    case WEIR_NODE_COLUMN:
        return names ? weir_buffer_print(out, reterr, "%s", names[node->index])
                     : weir_buffer_print(out, reterr, "#%u", node->index);
    case WEIR_NODE_FIELD:
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        return weir_buffer_print(out, reterr, ".%s",
                                 node->arguments[0]->type.children[node->index].name);
    case WEIR_NODE_CONSTANT: return print_constant(node, out, reterr);
    case WEIR_NODE_CALL: return print_call(node, names, out, reterr);
    case WEIR_NODE_AND:
    case WEIR_NODE_OR:
        WEIR_TRY(weir_buffer_print(out, reterr, "("));
        WEIR_TRY(print_list(node, 0, node->kind == WEIR_NODE_AND ? " AND " : " OR ", names, out,
                            reterr));
        return weir_buffer_print(out, reterr, ")");
    case WEIR_NODE_NOT:
        WEIR_TRY(weir_buffer_print(out, reterr, "NOT "));
        return print_list(node, 0, "", names, out, reterr);
    case WEIR_NODE_COMPARE:
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " %s ", compares[node->compare]));
        return weir_node_print(node->arguments[1], names, out, reterr);
    case WEIR_NODE_IS_NULL:
    case WEIR_NODE_IS_TRUE:
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        return weir_buffer_print(out, reterr, " IS %s%s", node->negated ? "NOT " : "",
                                 node->kind == WEIR_NODE_IS_NULL ? "NULL" : "TRUE");
    case WEIR_NODE_IN:
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, node->negated ? " NOT IN (" : " IN ("));
        WEIR_TRY(print_list(node, 1, ", ", names, out, reterr));
        return weir_buffer_print(out, reterr, ")");
    case WEIR_NODE_CASE: return print_case(node, names, out, reterr);
    case WEIR_NODE_CAST:
        WEIR_TRY(weir_buffer_print(out, reterr, "CAST("));
        WEIR_TRY(weir_node_print(node->arguments[0], names, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " AS "));
        WEIR_TRY(weir_type_print(&node->type, out, reterr));
        return weir_buffer_print(out, reterr, ")");
    case WEIR_NODE_LAMBDA:
        WEIR_TRY(weir_buffer_print(out, reterr, "x -> "));
        return print_list(node, 0, "", NULL, out, reterr);
    default:
        WEIR_TRY(weir_buffer_print(out, reterr, "%s(",
                                   node->kind == WEIR_NODE_COALESCE ? "coalesce"
                                   : node->kind == WEIR_NODE_LIST   ? "array"
                                                                    : "row"));
        WEIR_TRY(print_list(node, 0, ", ", names, out, reterr));
        return weir_buffer_print(out, reterr, ")");
    }
}
