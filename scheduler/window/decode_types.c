/* Types of records that say what theirs are: what columns are made of them. */
#include "scheduler/window/decode.h"

#include <string.h>

static bool is_meta(const char *name)
{
    return strcmp(name, "_kafka") == 0 || strcmp(name, "_source_file") == 0;
}

void decode_loosen(struct weir_type *type)
{
    type->id = type->id == WEIR_INT ? WEIR_LONG : type->id == WEIR_FLOAT ? WEIR_DOUBLE : type->id;
    for (uint32_t i = 0; i < type->child_count; i++) {
        type->children[i].id = 0;
        type->children[i].doc = NULL;
        type->children[i].required = type->id == WEIR_MAP && i == 0;
        decode_loosen(&type->children[i].type);
    }
}

static const char *unknown_below(const struct weir_type *columns, const struct weir_type *type,
                                 bool is_root)
{
    if (columns->id != type->id)
        return NULL;
    for (uint32_t i = 0; i < type->child_count; i++) {
        const struct weir_field *field = &type->children[i];
        const struct weir_field *column = type->id == WEIR_STRUCT
                                              ? weir_type_child(columns, field->name,
                                                                strlen(field->name))
                                              : &columns->children[i];
        if (is_root && is_meta(field->name))
            continue;
        const char *name = column ? unknown_below(&column->type, &field->type, false) : field->name;
        if (name)
            return name;
    }
    return NULL;
}

const char *decode_unknown(const struct weir_type *columns, const struct weir_type *type)
{
    return unknown_below(columns, type, true);
}

/* Of two types that differ, the one that holds both; else the one whose class comes first. It does
 * not matter in which order types are met. */
static bool is_preferred(const struct weir_type *type, const struct weir_type *other)
{
    if (weir_type_can_widen(type, other) || weir_type_can_widen(other, type))
        return weir_type_can_widen(other, type);
    if (type->id != other->id)
        return type->id < other->id;
    if (type->scale != other->scale)
        return type->scale > other->scale;
    return type->precision != other->precision ? type->precision > other->precision
                                               : type->length > other->length;
}

static weir_status append(struct weir_arena *arena, struct weir_type *into,
                          const struct weir_field *field, struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, into->child_count + 1, sizeof *fields, &fields, reterr));
    if (into->child_count)
        memcpy(fields, into->children, into->child_count * sizeof *fields);
    fields[into->child_count] = *field;
    WEIR_TRY(weir_type_copy(arena, &field->type, &fields[into->child_count].type, reterr));
    into->children = fields;
    into->child_count++;
    return WEIR_OK;
}

weir_status decode_unite(struct weir_arena *arena, struct weir_type *into,
                         const struct weir_type *from, struct weir_error *reterr)
{
    if (into->id != from->id || !weir_type_is_nested(into->id)) {
        if (!weir_type_equal(into, from, false) && is_preferred(from, into))
            return weir_type_copy(arena, from, into, reterr);
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < from->child_count; i++) {
        const struct weir_field *field = &from->children[i];
        struct weir_field *has = into->id == WEIR_STRUCT
                                     ? (struct weir_field *)(uintptr_t)weir_type_child(
                                           into, field->name, strlen(field->name))
                                     : &into->children[i];
        WEIR_TRY(has ? decode_unite(arena, &has->type, &field->type, reterr)
                     : append(arena, into, field, reterr));
    }
    return WEIR_OK;
}
