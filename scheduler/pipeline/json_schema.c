/* Columns from a JSON Schema (draft 7): an object's properties become columns, what is not
 * `required` or may be null is optional. What says which of several shapes a value has is refused
 * by name and place; what only narrows values (minimum, pattern, enum of one type) is left to
 * `expect`. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"

#include <string.h>

struct json_schema {
    struct reading *reading;
    const struct node *at;
    const char *shown;
    const json_t *root;
    uint32_t field_count;
    bool failed;
};

static bool read_type(struct json_schema *self, const json_t *schema, const char *where, int depth,
                      struct weir_type *ret_type, bool *ret_nullable);

static bool wrong(struct json_schema *self, const char *where, const char *what)
{
    if (!self->failed)
        complain(self->reading, self->at, 0, NULL, "%s: %s: %s", self->shown, where, what);
    self->failed = true;
    return false;
}

static bool simple(struct weir_type *type, enum weir_type_id id)
{
    *type = (struct weir_type){.id = id};
    return true;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* ---- objects and arrays ---- */

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *each;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i,
                       each) if (is_text(each, name)) return true;
    return false;
}

static bool is_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    return *name && strlen(name) <= WEIR_NAME_SIZE_MAX;
}

static bool read_properties(struct json_schema *self, const json_t *schema, const char *where,
                            int depth, struct weir_type *type)
{
    struct reading *reading = self->reading;
    json_t *properties = json_object_get(schema, "properties"), *property;
    const char *name;
    *type = (struct weir_type){
        .id = WEIR_STRUCT,
        .children = take(reading, json_object_size(properties) + 1, sizeof *type->children)};
    json_object_foreach(properties, name, property)
    {
        struct weir_field *field = &type->children[type->child_count];
        char *here = take_print(reading, "%s.properties.%s", where, name);
        const char *doc = json_string_value(json_object_get(property, "description"));
        bool nullable = false;
        if (!type->children || !here)
            return false;
        if (!is_name(name))
            return wrong(self, where, "a property's name is empty, too long, or not printable");
        if (++self->field_count > WEIR_SCHEMA_FIELDS_MAX)
            return wrong(self, here, "too many properties");
        field->name = take_text(reading, name, strlen(name));
        field->doc = doc ? take_text(reading, doc, strlen(doc)) : NULL;
        if (!read_type(self, property, here, depth + 1, &field->type, &nullable))
            return false;
        field->required = is_required(schema, name) && !nullable;
        type->child_count++;
    }
    return true;
}

/* An array's items, or the values of an object of any names. */
static bool read_items(struct json_schema *self, const json_t *items, bool is_map,
                       const char *where, int depth, struct weir_type *type)
{
    bool nullable = false;
    *type = (struct weir_type){.id = is_map ? WEIR_MAP : WEIR_LIST,
                               .child_count = is_map ? 2 : 1,
                               .children = take(self->reading, 2, sizeof *type->children)};
    if (!type->children)
        return false;
    struct weir_field *item = &type->children[is_map];
    if (is_map)
        type->children[0] = (struct weir_field){
            .name = "key", .required = true, .type = {.id = WEIR_STRING}};
    item->name = is_map ? "value" : "element";
    if (!read_type(self, items, where, depth + 1, &item->type, &nullable))
        return false;
    item->required = !nullable;
    return true;
}

static bool read_object(struct json_schema *self, const json_t *schema, const char *where,
                        int depth, struct weir_type *type)
{
    const json_t *others = json_object_get(schema, "additionalProperties");
    if (json_object_size(json_object_get(schema, "properties")))
        return read_properties(self, schema, where, depth, type);
    if (json_is_object(others))
        return read_items(self, others, true,
                          take_print(self->reading, "%s.additionalProperties", where), depth, type);
    return wrong(self, where, "an object without properties has no columns");
}

/* ---- values ---- */

static bool read_string(const json_t *schema, struct weir_type *type)
{
    static const struct {
        const char *format;
        enum weir_type_id type;
    } formats[] = {{"date-time", WEIR_TIMESTAMPTZ},
                   {"date", WEIR_DATE},
                   {"time", WEIR_TIME},
                   {"uuid", WEIR_UUID}};
    const json_t *format = json_object_get(schema, "format");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (is_text(format, formats[i].format))
            return simple(type, formats[i].type);
    bool is_binary = is_text(json_object_get(schema, "contentEncoding"), "base64");
    return simple(type, is_binary ? WEIR_BINARY : WEIR_STRING);
}

static bool read_named(struct json_schema *self, const json_t *schema, const char *name,
                       const char *where, int depth, struct weir_type *type)
{
    const json_t *format = json_object_get(schema, "format"),
                 *items = json_object_get(schema, "items");
    if (strcmp(name, "string") == 0)
        return read_string(schema, type);
    if (strcmp(name, "integer") == 0)
        return simple(type, is_text(format, "int32") ? WEIR_INT : WEIR_LONG);
    if (strcmp(name, "number") == 0)
        return simple(type, is_text(format, "float") ? WEIR_FLOAT : WEIR_DOUBLE);
    if (strcmp(name, "boolean") == 0)
        return simple(type, WEIR_BOOLEAN);
    if (strcmp(name, "object") == 0)
        return read_object(self, schema, where, depth, type);
    if (strcmp(name, "array") != 0)
        return wrong(self, where, take_print(self->reading, "type '%.40s'", name));
    if (!json_is_object(items))
        return wrong(self, where, "an array whose items are not of one schema");
    return read_items(self, items, false, take_print(self->reading, "%s.items", where), depth,
                      type);
}

/* "type" of one name, or of one besides null; integer and number together are number. */
static bool read_names(struct json_schema *self, const json_t *schema, const char *where, int depth,
                       struct weir_type *type, bool *ret_nullable)
{
    const json_t *names = json_object_get(schema, "type"), *each;
    const char *chosen = json_string_value(names);
    size_t i;
    json_array_foreach(names, i, each)
    {
        const char *name = json_string_value(each);
        if (!name)
            return wrong(self, where, "a type that is no text");
        if (strcmp(name, "null") == 0)
            *ret_nullable = true;
        else if (!chosen || (strcmp(chosen, "integer") == 0 && strcmp(name, "number") == 0))
            chosen = name;
        else if (strcmp(chosen, "number") != 0 || strcmp(name, "integer") != 0)
            return wrong(self, where, "several types; only null and one other become a column");
    }
    if (!chosen && json_object_get(schema, "properties"))
        chosen = "object";
    if (!chosen || strcmp(chosen, "null") == 0)
        return wrong(self, where, "no type");
    return read_named(self, schema, chosen, where, depth, type);
}

/* anyOf or oneOf of null and one schema. */
static bool read_choice(struct json_schema *self, const json_t *branches, const char *where,
                        int depth, struct weir_type *type, bool *ret_nullable)
{
    const json_t *chosen = NULL, *each;
    size_t i;
    json_array_foreach(branches, i, each)
    {
        if (is_text(json_object_get(each, "type"), "null"))
            *ret_nullable = true;
        else if (chosen)
            return wrong(self, where, "several schemas; only null and one other become a column");
        else
            chosen = each;
    }
    return chosen ? read_type(self, chosen, where, depth + 1, type, ret_nullable)
                  : wrong(self, where, "no schema");
}

/* "#/definitions/x", "#/$defs/x": what stands there. */
static const json_t *refer(const struct json_schema *self, const char *reference)
{
    const json_t *at = self->root;
    char name[WEIR_NAME_SIZE_MAX + 1];
    if (strcmp(reference, "#") == 0)
        return at;
    if (strncmp(reference, "#/", 2) != 0)
        return NULL;
    for (const char *part = reference + 1; at && *part == '/';) {
        size_t size = strcspn(++part, "/");
        if (size > WEIR_NAME_SIZE_MAX)
            return NULL;
        memcpy(name, part, size);
        name[size] = '\0';
        at = json_object_get(at, name);
        part += size;
    }
    return at;
}

static bool read_type(struct json_schema *self, const json_t *schema, const char *where, int depth,
                      struct weir_type *ret_type, bool *ret_nullable)
{
    static const char *const shapes[] = {"allOf",        "not",         "if",
                                         "dependencies", "$dynamicRef", "patternProperties",
                                         "prefixItems",  "contains",    "propertyNames"};
    if (!where || self->reading->status != WEIR_OK)
        return false;
    if (depth > WEIR_SCHEMA_DEPTH_MAX)
        return wrong(self, where, "nested too deep, or a schema that holds itself");
    if (!json_is_object(schema))
        return wrong(self, where, "a schema that is no object");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (json_object_get(schema, shapes[i]))
            return wrong(self, where,
                         take_print(self->reading, "%s does not become columns", shapes[i]));
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference) {
        const json_t *there = refer(self, reference);
        return there ? read_type(self, there, where, depth + 1, ret_type, ret_nullable)
                     : wrong(self, where, take_print(self->reading, "$ref: no %.100s", reference));
    }
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    if (any || one)
        return read_choice(self, any ? any : one, where, depth, ret_type, ret_nullable);
    const json_t *values = json_object_get(schema, "enum"), *value;
    size_t i;
    bool texts = json_array_size(values) > 0 && !json_object_get(schema, "type");
    json_array_foreach(values, i, value)
    {
        *ret_nullable |= json_is_null(value);
        texts = texts && (json_is_string(value) || json_is_null(value));
    }
    return texts ? simple(ret_type, WEIR_STRING)
                 : read_names(self, schema, where, depth, ret_type, ret_nullable);
}

bool json_schema_columns(struct reading *reading, const struct node *at, const char *shown,
                         const json_t *schema, struct weir_type *ret_columns)
{
    struct json_schema self = {.reading = reading, .at = at, .shown = shown, .root = schema};
    struct weir_type type = {0};
    bool nullable = false;
    if (!read_type(&self, schema, "$", 0, &type, &nullable))
        return false;
    if (type.id != WEIR_STRUCT)
        return wrong(&self, "$", "the schema of a table must be an object with properties");
    for (uint32_t i = 0; i < type.child_count; i++)
        if (strcmp(type.children[i].name, "_kafka") == 0 ||
            strcmp(type.children[i].name, "_source_file") == 0)
            return wrong(&self, "$.properties", "_kafka and _source_file are Weir's own columns");
    *ret_columns = type;
    return true;
}
