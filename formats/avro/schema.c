/* Avro schemas: JSON text -> types. Names resolve as Avro 1.11 "Names" says; a type's attributes
 * that Iceberg adds (field-id, element-id, value-id) become ids. */
#include "formats/avro/avro.h"

#include <jansson.h>
#include <string.h>

struct named {
    struct weir_avro_type *type;
    struct named *next;
};

struct parser {
    struct weir_arena *arena;
    struct named *named;
    struct weir_error *reterr;
    size_t types;
};

static const char *const primitive_names[] = {
    [WEIR_AVRO_NULL] = "null",   [WEIR_AVRO_BOOLEAN] = "boolean", [WEIR_AVRO_INT] = "int",
    [WEIR_AVRO_LONG] = "long",   [WEIR_AVRO_FLOAT] = "float",     [WEIR_AVRO_DOUBLE] = "double",
    [WEIR_AVRO_BYTES] = "bytes", [WEIR_AVRO_STRING] = "string",
};

static weir_status parse_type(struct parser *parser, const json_t *json, const char *space,
                              int depth, struct weir_avro_type **ret_type);

static weir_status copy_text(struct parser *parser, const char *text, const char **ret_copy)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(parser->arena, text, strlen(text), &copy, parser->reterr));
    *ret_copy = copy;
    return WEIR_OK;
}

static weir_status new_type(struct parser *parser, enum weir_avro_kind kind,
                            struct weir_avro_type **ret_type)
{
    if (++parser->types > WEIR_AVRO_TYPES_MAX)
        return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: more than %d types",
                         WEIR_AVRO_TYPES_MAX);
    struct weir_avro_type *type;
    WEIR_TRY(weir_arena_zero(parser->arena, 1, sizeof *type, &type, parser->reterr));
    type->kind = kind;
    type->name = type->logical_type = "";
    *ret_type = type;
    return WEIR_OK;
}

/* A primitive's name, or that of a type defined before; a short name is looked for in its namespace
 * first. */
static weir_status parse_name(struct parser *parser, const char *name, const char *space,
                              struct weir_avro_type **ret_type)
{
    for (int kind = 0; kind <= WEIR_AVRO_STRING; kind++)
        if (strcmp(name, primitive_names[kind]) == 0)
            return new_type(parser, (enum weir_avro_kind)kind, ret_type);
    size_t space_size = strlen(space);
    for (struct named *at = parser->named; at; at = at->next) {
        const char *full = at->type->name;
        bool in_space = space_size && strncmp(full, space, space_size) == 0 &&
                        full[space_size] == '.' && strcmp(full + space_size + 1, name) == 0;
        if (strcmp(full, name) == 0 || in_space) {
            *ret_type = at->type;
            return WEIR_OK;
        }
    }
    return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: type \"%.100s\" is not defined",
                     name);
}

static int32_t id_of(const json_t *json, const char *key)
{
    const json_t *id = json_object_get(json, key);
    json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    return value >= 0 && value <= INT32_MAX ? (int32_t)value : -1;
}

static weir_status define(struct parser *parser, const json_t *json, const char *space,
                          struct weir_avro_type *type, const char **ret_space)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *own_space = json_string_value(json_object_get(json, "namespace"));
    if (!name || !*name)
        return weir_fail(parser->reterr, WEIR_CORRUPT,
                         "avro schema: a record, enum or fixed has no name");
    space = own_space ? own_space : space;
    char *full;
    if (strchr(name, '.') || !*space)
        WEIR_TRY(weir_arena_print(parser->arena, &full, parser->reterr, "%s", name));
    else
        WEIR_TRY(weir_arena_print(parser->arena, &full, parser->reterr, "%s.%s", space, name));
    for (struct named *at = parser->named; at; at = at->next)
        if (strcmp(at->type->name, full) == 0)
            return weir_fail(parser->reterr, WEIR_CORRUPT,
                             "avro schema: type \"%.100s\" is defined twice", full);
    type->name = full;
    const char *dot = strrchr(full, '.');
    char *inner;
    WEIR_TRY(weir_arena_copy(parser->arena, full, dot ? (size_t)(dot - full) : 0, &inner,
                             parser->reterr));
    *ret_space = inner;
    struct named *entry;
    WEIR_TRY(weir_arena_zero(parser->arena, 1, sizeof *entry, &entry, parser->reterr));
    *entry = (struct named){type, parser->named};
    parser->named = entry;
    return WEIR_OK;
}

static weir_status parse_record(struct parser *parser, const json_t *json, const char *space,
                                int depth, struct weir_avro_type *type)
{
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields))
        return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: record %.100s has no fields",
                         type->name);
    size_t count = json_array_size(fields);
    WEIR_TRY(
        weir_arena_zero(parser->arena, count, sizeof *type->fields, &type->fields, parser->reterr));
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        if (!name)
            return weir_fail(parser->reterr, WEIR_CORRUPT,
                             "avro schema: field %zu of %.100s has no name", i, type->name);
        WEIR_TRY(copy_text(parser, name, &type->fields[i].name));
        type->fields[i].id = id_of(field, "field-id");
        WEIR_TRY(parse_type(parser, json_object_get(field, "type"), space, depth + 1,
                            &type->fields[i].type));
    }
    type->field_count = count; /* only now: a recursive type is never walked half-built */
    return WEIR_OK;
}

static weir_status parse_enum(struct parser *parser, const json_t *json,
                              struct weir_avro_type *type)
{
    const json_t *symbols = json_object_get(json, "symbols");
    type->size = json_array_size(symbols);
    if (type->size == 0)
        return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: enum %.100s has no symbols",
                         type->name);
    WEIR_TRY(weir_arena_zero(parser->arena, type->size, sizeof *type->symbols, &type->symbols,
                             parser->reterr));
    for (size_t i = 0; i < type->size; i++) {
        const char *symbol = json_string_value(json_array_get(symbols, i));
        if (!symbol)
            return weir_fail(parser->reterr, WEIR_CORRUPT,
                             "avro schema: symbol %zu of %.100s is no text", i, type->name);
        WEIR_TRY(copy_text(parser, symbol, &type->symbols[i]));
    }
    return WEIR_OK;
}

static weir_status parse_child(struct parser *parser, const json_t *json, const char *key,
                               const char *id_key, const char *name, const char *space, int depth,
                               struct weir_avro_type *type)
{
    WEIR_TRY(
        weir_arena_zero(parser->arena, 1, sizeof *type->fields, &type->fields, parser->reterr));
    type->fields[0].name = name;
    type->fields[0].id = id_of(json, id_key);
    WEIR_TRY(
        parse_type(parser, json_object_get(json, key), space, depth + 1, &type->fields[0].type));
    type->field_count = 1;
    return WEIR_OK;
}

static weir_status parse_union(struct parser *parser, const json_t *json, const char *space,
                               int depth, struct weir_avro_type **ret_type)
{
    struct weir_avro_type *type;
    WEIR_TRY(new_type(parser, WEIR_AVRO_UNION, &type));
    size_t count = json_array_size(json);
    if (count == 0)
        return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: a union has no branches");
    WEIR_TRY(
        weir_arena_zero(parser->arena, count, sizeof *type->fields, &type->fields, parser->reterr));
    for (size_t i = 0; i < count; i++) {
        type->fields[i].name = "";
        type->fields[i].id = -1;
        WEIR_TRY(
            parse_type(parser, json_array_get(json, i), space, depth + 1, &type->fields[i].type));
        if (type->fields[i].type->kind == WEIR_AVRO_UNION)
            return weir_fail(parser->reterr, WEIR_CORRUPT,
                             "avro schema: a union directly in a union");
    }
    type->field_count = count;
    *ret_type = type;
    return WEIR_OK;
}

static weir_status parse_logical(struct parser *parser, const json_t *json,
                                 struct weir_avro_type *type)
{
    const char *logical = json_string_value(json_object_get(json, "logicalType"));
    if (!logical)
        return WEIR_OK;
    type->precision = id_of(json, "precision");
    type->scale = json_object_get(json, "scale") ? id_of(json, "scale") : 0;
    return copy_text(parser, logical, &type->logical_type);
}

static weir_status parse_object(struct parser *parser, const json_t *json, const char *space,
                                int depth, struct weir_avro_type **ret_type)
{
    const json_t *inner = json_object_get(json, "type");
    const char *name = json_string_value(inner);
    if (!name) /* {"type": {...}}: one level more than needed, but legal */
        return parse_type(parser, inner, space, depth + 1, ret_type);
    static const struct {
        const char *name;
        enum weir_avro_kind kind;
    } complex_names[] = {
        {"record", WEIR_AVRO_RECORD}, {"error", WEIR_AVRO_RECORD}, {"enum", WEIR_AVRO_ENUM},
        {"fixed", WEIR_AVRO_FIXED},   {"array", WEIR_AVRO_ARRAY},  {"map", WEIR_AVRO_MAP},
    };
    enum weir_avro_kind kind = WEIR_AVRO_KIND_COUNT;
    for (size_t i = 0; i < sizeof complex_names / sizeof *complex_names; i++)
        if (strcmp(name, complex_names[i].name) == 0)
            kind = complex_names[i].kind;
    struct weir_avro_type *type;
    if (kind == WEIR_AVRO_KIND_COUNT) {
        WEIR_TRY(parse_name(parser, name, space, &type));
        if (type->kind <= WEIR_AVRO_STRING)
            WEIR_TRY(parse_logical(parser, json, type));
        *ret_type = type;
        return WEIR_OK;
    }
    WEIR_TRY(new_type(parser, kind, &type));
    WEIR_TRY(parse_logical(parser, json, type));
    if (kind == WEIR_AVRO_RECORD || kind == WEIR_AVRO_ENUM || kind == WEIR_AVRO_FIXED)
        WEIR_TRY(define(parser, json, space, type, &space));
    if (kind == WEIR_AVRO_RECORD)
        WEIR_TRY(parse_record(parser, json, space, depth, type));
    if (kind == WEIR_AVRO_ENUM)
        WEIR_TRY(parse_enum(parser, json, type));
    if (kind == WEIR_AVRO_FIXED) {
        int32_t size = id_of(json, "size");
        if (size < 0)
            return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: fixed %.100s has no size",
                             type->name);
        type->size = (size_t)size;
    }
    if (kind == WEIR_AVRO_ARRAY)
        WEIR_TRY(parse_child(parser, json, "items", "element-id", "element", space, depth, type));
    if (kind == WEIR_AVRO_MAP)
        WEIR_TRY(parse_child(parser, json, "values", "value-id", "value", space, depth, type));
    *ret_type = type;
    return WEIR_OK;
}

static weir_status parse_type(struct parser *parser, const json_t *json, const char *space,
                              int depth, struct weir_avro_type **ret_type)
{
    if (depth > WEIR_AVRO_DEPTH_MAX)
        return weir_fail(parser->reterr, WEIR_CORRUPT, "avro schema: nested deeper than %d",
                         WEIR_AVRO_DEPTH_MAX);
    if (json_is_string(json))
        return parse_name(parser, json_string_value(json), space, ret_type);
    if (json_is_array(json))
        return parse_union(parser, json, space, depth, ret_type);
    if (json_is_object(json))
        return parse_object(parser, json, space, depth, ret_type);
    return weir_fail(parser->reterr, WEIR_CORRUPT,
                     "avro schema: a type is missing or neither text, list nor object");
}

weir_status weir_avro_schema_parse(struct weir_arena *arena, const char *text, size_t size,
                                   struct weir_avro_type **ret_type, struct weir_error *reterr)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY, &error);
    if (!json)
        return weir_fail(reterr, WEIR_CORRUPT, "avro schema: byte %d: %s", error.position,
                         error.text);
    struct parser parser = {.arena = arena, .reterr = reterr};
    weir_status status = parse_type(&parser, json, "", 0, ret_type);
    json_decref(json);
    return status;
}

size_t weir_avro_find(const struct weir_avro_type *record, int32_t id, const char *name)
{
    bool has_ids = false;
    if (record->kind != WEIR_AVRO_RECORD)
        return SIZE_MAX;
    for (size_t i = 0; i < record->field_count; i++) {
        has_ids |= record->fields[i].id >= 0;
        if (id >= 0 && record->fields[i].id == id)
            return i;
    }
    for (size_t i = 0; !(has_ids && id >= 0) && i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}
