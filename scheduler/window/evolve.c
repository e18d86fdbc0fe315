/* unknown_fields: evolve. The columns that records are read for grow beyond what the pipeline file
 * declares: by optional columns that the table has, and by fields that a window has met. Called by
 * shape.c; what is added here becomes part of the schema in the commit of that window. */
#include "scheduler/window/shape_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static weir_status append(struct weir_arena *arena, struct weir_type *type,
                          const struct weir_field *field, struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, type->child_count + 1, sizeof *fields, &fields, reterr));
    if (type->child_count)
        memcpy(fields, type->children, type->child_count * sizeof *fields);
    fields[type->child_count] = *field;
    type->children = fields;
    type->child_count++;
    return WEIR_OK;
}

static size_t fields_below(const struct weir_type *type)
{
    size_t count = type->child_count;
    for (uint32_t i = 0; i < type->child_count; i++)
        count += fields_below(&type->children[i].type);
    return count;
}

/* ---- what the table has ---- */

/* Columns that somebody else made may be of types that no JSON is read into. */
static bool is_readable(const struct weir_type *type)
{
    if (type->id == WEIR_MAP && type->children[0].type.id != WEIR_STRING)
        return false;
    for (uint32_t i = 0; i < type->child_count; i++)
        if (!is_readable(&type->children[i].type))
            return false;
    return true;
}

/* Nobody has declared how wide: whole numbers become long, others double. */
static void widen(struct weir_type *type)
{
    type->id = type->id == WEIR_INT ? WEIR_LONG : type->id == WEIR_FLOAT ? WEIR_DOUBLE : type->id;
    for (uint32_t i = 0; i < type->child_count; i++)
        widen(&type->children[i].type);
}

static bool is_meta(const char *name)
{
    return strcmp(name, "_kafka") == 0 || strcmp(name, "_source_file") == 0;
}

weir_status shape_adopt(struct weir_arena *arena, struct weir_type *columns,
                        const struct weir_type *table, bool is_root, struct weir_error *reterr)
{
    if (columns->id != table->id)
        return WEIR_OK; /* shape.c tells what differs */
    if (columns->id != WEIR_STRUCT) {
        for (uint32_t i = 0; i < columns->child_count && i < table->child_count; i++)
            WEIR_TRY(shape_adopt(arena, &columns->children[i].type, &table->children[i].type, false,
                                 reterr));
        return WEIR_OK;
    }
    for (uint32_t i = 0; i < table->child_count; i++) {
        struct weir_field field = table->children[i];
        struct weir_field *has = (struct weir_field *)(uintptr_t)weir_type_child(
            columns, field.name, strlen(field.name));
        if (has) {
            WEIR_TRY(shape_adopt(arena, &has->type, &field.type, false, reterr));
            continue;
        }
        if (field.required || (is_root && is_meta(field.name)) || !is_readable(&field.type))
            continue;
        WEIR_TRY(weir_type_copy(arena, &table->children[i].type, &field.type, reterr));
        widen(&field.type);
        WEIR_TRY(append(arena, columns, &field, reterr));
    }
    return WEIR_OK;
}

/* ---- what a window met ---- */

struct growing {
    struct weir_arena *arena;
    size_t fields; /* of all columns so far */
};

/* Engines know columns by name without regard to case, and nested ones by path. */
static bool names_collide(const char *a, const char *b)
{
    size_t x = strlen(a), y = strlen(b);
    const char *shorter = x <= y ? a : b, *longer = x <= y ? b : a;
    size_t size = x <= y ? x : y;
    return strncasecmp(shorter, longer, size) == 0 && (longer[size] == '\0' || longer[size] == '.');
}

/* Columns of these names are made by engines themselves. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {"_file",           "_pos",
                                        "_deleted",        "_spec_id",
                                        "_partition",      "_row_id",
                                        "_kafka",          "_source_file",
                                        "_change_type",    "_commit_snapshot_id",
                                        "_change_ordinal", "_last_updated_sequence_number"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_fit(const struct weir_type *into, const char *name, bool is_root)
{
    if (*name == '\0' || strlen(name) > WEIR_NAME_SIZE_MAX || (is_root && is_reserved(name)))
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    for (uint32_t i = 0; i < into->child_count; i++)
        if (names_collide(into->children[i].name, name))
            return false;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct weir_field *const *)a)->name,
                  (*(const struct weir_field *const *)b)->name);
}

static weir_status grow_struct(struct growing *growing, struct weir_type *into,
                               const struct weir_type *found, unsigned depth,
                               struct weir_error *reterr);

/* The part of a new field's type that can be kept; *ret_kept = false if none. */
static weir_status grow_new(struct growing *growing, const struct weir_type *found,
                            struct weir_type *ret_type, unsigned depth, bool *ret_kept,
                            struct weir_error *reterr)
{
    struct weir_type type = *found;
    *ret_kept = depth <= WEIR_SCHEMA_DEPTH_MAX;
    if (!*ret_kept || type.child_count == 0) {
        *ret_type = type;
        return WEIR_OK;
    }
    type.children = NULL;
    type.child_count = 0;
    if (type.id == WEIR_STRUCT) {
        WEIR_TRY(grow_struct(growing, &type, found, depth, reterr));
        *ret_kept = type.child_count > 0;
        *ret_type = type;
        return WEIR_OK;
    }
    for (uint32_t i = 0; *ret_kept && i < found->child_count; i++) {
        struct weir_field field = found->children[i];
        WEIR_TRY(
            grow_new(growing, &found->children[i].type, &field.type, depth + 1, ret_kept, reterr));
        WEIR_TRY(append(growing->arena, &type, &field, reterr));
    }
    *ret_type = type;
    return WEIR_OK;
}

static weir_status grow_field(struct growing *growing, struct weir_type *into,
                              const struct weir_field *found, unsigned depth,
                              struct weir_error *reterr)
{
    struct growing trial = {growing->arena, growing->fields + 1};
    struct weir_field field = {0};
    char *name;
    bool kept;
    if (!is_fit(into, found->name, depth == 0) || trial.fields > WEIR_EVOLVED_FIELDS_MAX)
        return WEIR_OK;
    WEIR_TRY(grow_new(&trial, &found->type, &field.type, depth + 1, &kept, reterr));
    if (!kept)
        return WEIR_OK;
    trial.fields = growing->fields + 1 + fields_below(&field.type);
    if (trial.fields > WEIR_EVOLVED_FIELDS_MAX)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(growing->arena, found->name, strlen(found->name), &name, reterr));
    field.name = name;
    growing->fields = trial.fields;
    return append(growing->arena, into, &field, reterr);
}

/* New fields by name, so that the schema does not depend on who met which first. */
static weir_status grow_struct(struct growing *growing, struct weir_type *into,
                               const struct weir_type *found, unsigned depth,
                               struct weir_error *reterr)
{
    const struct weir_field **fresh;
    size_t count = 0;
    WEIR_TRY(
        weir_arena_zero(growing->arena, found->child_count + 1, sizeof *fresh, &fresh, reterr));
    for (uint32_t i = 0; i < found->child_count; i++)
        if (!weir_type_child(into, found->children[i].name, strlen(found->children[i].name)))
            fresh[count++] = &found->children[i];
    if (count)
        qsort(fresh, count, sizeof *fresh, by_name);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(grow_field(growing, into, fresh[i], depth, reterr));
    return WEIR_OK;
}

static weir_status grow(struct growing *growing, struct weir_type *into,
                        const struct weir_type *found, unsigned depth, struct weir_error *reterr)
{
    if (into->id != found->id)
        return WEIR_OK;
    for (uint32_t i = 0; i < into->child_count; i++) {
        struct weir_field *has = &into->children[i];
        const struct weir_field *same = into->id == WEIR_STRUCT
                                            ? weir_type_child(found, has->name, strlen(has->name))
                                        : i < found->child_count ? &found->children[i]
                                                                 : NULL;
        if (same)
            WEIR_TRY(grow(growing, &has->type, &same->type, depth + 1, reterr));
    }
    return into->id == WEIR_STRUCT ? grow_struct(growing, into, found, depth, reterr) : WEIR_OK;
}

weir_status shape_grow(struct weir_arena *arena, struct weir_type *columns,
                       const struct weir_type *found, struct weir_error *reterr)
{
    struct growing growing = {arena, fields_below(columns)};
    return grow(&growing, columns, found, 0, reterr);
}
