/* Which types meet in which, and how arguments become what functions take. */
#include "engine/expr/function_int.h"

#include <string.h>

bool type_is_integer(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG;
}

bool type_is_number(const struct weir_type *type)
{
    return type_is_integer(type) || type->id == WEIR_FLOAT || type->id == WEIR_DOUBLE ||
           type->id == WEIR_DECIMAL;
}

static int number_rank(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_INT: return 1;
    case WEIR_LONG: return 2;
    case WEIR_DECIMAL: return 3;
    case WEIR_FLOAT: return 4;
    case WEIR_DOUBLE: return 5;
    default: return 0;
    }
}

static int moment_rank(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_DATE: return 1;
    case WEIR_TIMESTAMP: return 2;
    case WEIR_TIMESTAMPTZ: return 3;
    default: return 0;
    }
}

static struct weir_type common_number(const struct weir_type *a, const struct weir_type *b)
{
    const struct weir_type *high = number_rank(a) >= number_rank(b) ? a : b,
                           *low = high == a ? b : a;
    if (high->id != WEIR_DECIMAL)
        return high->id == WEIR_FLOAT && low->id != WEIR_FLOAT
                   ? (struct weir_type){.id = WEIR_DOUBLE}
                   : *high;
    int whole = high->precision - high->scale, scale = high->scale, other = 10, other_scale = 0;
    if (low->id == WEIR_LONG)
        other = 19;
    if (low->id == WEIR_DECIMAL) {
        other = low->precision - low->scale;
        other_scale = low->scale;
    }
    whole = whole > other ? whole : other;
    scale = scale > other_scale ? scale : other_scale;
    if (whole + scale > 38)
        return (struct weir_type){.id = WEIR_DECIMAL, .precision = 38, .scale = (uint8_t)scale};
    return (struct weir_type){
        .id = WEIR_DECIMAL, .precision = (uint8_t)(whole + scale), .scale = (uint8_t)scale};
}

static bool common(const struct weir_type *a, const struct weir_type *b, struct weir_type *ret)
{
    if (weir_type_equal(a, b, false)) {
        *ret = *a;
        return true;
    }
    if (number_rank(a) && number_rank(b)) {
        *ret = common_number(a, b);
        return true;
    }
    if (moment_rank(a) && moment_rank(b)) {
        *ret = moment_rank(a) > moment_rank(b) ? *a : *b;
        return true;
    }
    bool bytes_a = a->id == WEIR_BINARY || a->id == WEIR_FIXED,
         bytes_b = b->id == WEIR_BINARY || b->id == WEIR_FIXED;
    if (bytes_a && bytes_b) {
        *ret = (struct weir_type){.id = WEIR_BINARY};
        return true;
    }
    /* nested: the same shape whose parts can be cast one way */
    if (cast_exists(b, a, true)) {
        *ret = *a;
        return true;
    }
    if (cast_exists(a, b, true)) {
        *ret = *b;
        return true;
    }
    return false;
}

bool weir_type_common(const struct weir_node *a, const struct weir_node *b,
                      struct weir_type *ret_type)
{
    if (a->unknown) {
        *ret_type = b->type;
        return true;
    }
    if (b->unknown) {
        *ret_type = a->type;
        return true;
    }
    return common(&a->type, &b->type, ret_type);
}

weir_status weir_nodes_unify(struct weir_arena *arena, struct weir_node **nodes, uint32_t count,
                             const char *what, struct weir_type *ret_type,
                             struct weir_error *reterr)
{
    struct weir_node all = {.unknown = true, .type = {.id = WEIR_STRING}};
    for (uint32_t i = 0; i < count; i++) {
        struct weir_type met;
        if (!weir_type_common(&all, nodes[i], &met))
            return weir_fail(reterr, WEIR_USAGE, "%s: a %s and a %s have no common type", what,
                             weir_type_name(all.type.id), weir_type_name(nodes[i]->type.id));
        all.type = met;
        all.unknown = all.unknown && nodes[i]->unknown;
    }
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(weir_node_cast(arena, nodes[i], &all.type, true, false, &nodes[i], reterr));
    *ret_type = all.type;
    return WEIR_OK;
}

/* ---- for functions' bind ---- */

weir_status bind_wrong(const struct weir_node *call, struct weir_error *reterr)
{
    char types[200] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < call->argument_count && used < 150; i++) {
        const char *name = call->arguments[i]->unknown
                               ? "a literal"
                               : weir_type_name(call->arguments[i]->type.id);
        size_t size = strlen(name);
        if (i) {
            memcpy(types + used, ", ", 2);
            used += 2;
        }
        memcpy(types + used, name, size);
        used += size;
    }
    return weir_fail(reterr, WEIR_USAGE, "%s does not take (%s): it is %s", call->function->name,
                     types, call->function->signature);
}

weir_status bind_as(struct weir_arena *arena, struct weir_node *call, uint32_t argument,
                    enum weir_type_id id, struct weir_error *reterr)
{
    struct weir_type type = {.id = id};
    struct weir_node **node = &call->arguments[argument];
    if ((*node)->type.id == id && !(*node)->unknown)
        return WEIR_OK;
    if (!(*node)->unknown && !cast_exists(&(*node)->type, &type, true))
        return bind_wrong(call, reterr);
    return weir_node_cast(arena, *node, &type, true, false, node, reterr);
}
