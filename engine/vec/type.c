/* Types and schemas: comparison, lookup, copies and field ids. */
#include "engine/vec/type.h"

#include <string.h>

static const char *const type_names[WEIR_TYPE_COUNT] = {
    "boolean",     "int",    "long", "float", "double", "decimal", "date", "time", "timestamp",
    "timestamptz", "string", "uuid", "fixed", "binary", "struct",  "list", "map", "interval",
};

const char *weir_type_name(enum weir_type_id id)
{
    return (unsigned)id < WEIR_TYPE_COUNT ? type_names[id] : "?";
}

bool weir_type_is_nested(enum weir_type_id id)
{
    return id == WEIR_STRUCT || id == WEIR_LIST || id == WEIR_MAP;
}

uint32_t weir_type_width(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_INT:
    case WEIR_FLOAT:
    case WEIR_DATE: return 4;
    case WEIR_LONG:
    case WEIR_DOUBLE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return 8;
    case WEIR_DECIMAL:
    case WEIR_INTERVAL:
    case WEIR_UUID: return 16;
    case WEIR_FIXED: return type->length;
    default: return 0;
    }
}

bool weir_type_equal(const struct weir_type *a, const struct weir_type *b, bool with_ids)
{
    if (a->id != b->id || a->child_count != b->child_count)
        return false;
    if (a->id == WEIR_DECIMAL && (a->precision != b->precision || a->scale != b->scale))
        return false;
    if (a->id == WEIR_FIXED && a->length != b->length)
        return false;
    for (uint32_t i = 0; i < a->child_count; i++) {
        const struct weir_field *x = &a->children[i], *y = &b->children[i];
        if (x->required != y->required || strcmp(x->name, y->name) != 0 ||
            (with_ids && x->id != y->id))
            return false;
        if (with_ids && strcmp(x->doc ? x->doc : "", y->doc ? y->doc : "") != 0)
            return false;
        if (!weir_type_equal(&x->type, &y->type, with_ids))
            return false;
    }
    return true;
}

bool weir_type_can_widen(const struct weir_type *from, const struct weir_type *to)
{
    if (from->id == WEIR_INT && to->id == WEIR_LONG)
        return true;
    if (from->id == WEIR_FLOAT && to->id == WEIR_DOUBLE)
        return true;
    return from->id == WEIR_DECIMAL && to->id == WEIR_DECIMAL && from->scale == to->scale &&
           from->precision < to->precision;
}

const struct weir_field *weir_type_child(const struct weir_type *type, const char *name,
                                         size_t name_size)
{
    for (uint32_t i = 0; i < type->child_count; i++)
        if (strlen(type->children[i].name) == name_size &&
            memcmp(type->children[i].name, name, name_size) == 0)
            return &type->children[i];
    return NULL;
}

const struct weir_field *weir_type_by_id(const struct weir_type *type, int32_t id)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (type->children[i].id == id)
            return &type->children[i];
        const struct weir_field *below = weir_type_by_id(&type->children[i].type, id);
        if (below)
            return below;
    }
    return NULL;
}

const struct weir_field *weir_type_by_path(const struct weir_type *type, const char *path)
{
    const char *dot = strchr(path, '.');
    size_t size = dot ? (size_t)(dot - path) : strlen(path);
    const struct weir_field *field = weir_type_child(type, path, size);
    if (field && dot)
        return weir_type_by_path(&field->type, dot + 1);
    /* A name may hold a dot itself: try the longer name. */
    return field || !dot ? field : weir_type_child(type, path, strlen(path));
}

weir_status weir_type_copy(struct weir_arena *arena, const struct weir_type *type,
                           struct weir_type *ret_type, struct weir_error *reterr)
{
    struct weir_type copy = *type;
    copy.children = NULL;
    if (type->child_count)
        WEIR_TRY(weir_arena_zero(arena, type->child_count, sizeof *copy.children, &copy.children,
                                 reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        const struct weir_field *from = &type->children[i];
        struct weir_field *to = &copy.children[i];
        *to = *from;
        char *text;
        WEIR_TRY(weir_arena_copy(arena, from->name, strlen(from->name), &text, reterr));
        to->name = text;
        if (from->doc) {
            WEIR_TRY(weir_arena_copy(arena, from->doc, strlen(from->doc), &text, reterr));
            to->doc = text;
        }
        WEIR_TRY(weir_type_copy(arena, &from->type, &to->type, reterr));
    }
    *ret_type = copy;
    return WEIR_OK;
}

void weir_type_assign_ids(struct weir_type *type, int32_t *last_id)
{
    for (uint32_t i = 0; i < type->child_count; i++)
        if (type->children[i].id == 0)
            type->children[i].id = ++*last_id;
    for (uint32_t i = 0; i < type->child_count; i++)
        weir_type_assign_ids(&type->children[i].type, last_id);
}

int32_t weir_type_highest_id(const struct weir_type *type)
{
    int32_t highest = 0;
    for (uint32_t i = 0; i < type->child_count; i++) {
        int32_t below = weir_type_highest_id(&type->children[i].type);
        highest = type->children[i].id > highest ? type->children[i].id : highest;
        highest = below > highest ? below : highest;
    }
    return highest;
}
