/* Columns from an Avro schema file: record to struct, nullable unions to optional fields, logical
 * types to Iceberg's. Spec: Avro 1.11 "Schema Declaration", "Logical Types"; Iceberg "Appendix A:
 * Avro" for the pairs. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_MAX = 1000, AVSC_SIZE_MAX = 4 << 20 };

struct avsc {
    struct reading *reading;
    const struct node *at;
    const char *path; /* of the file */
    struct {
        const char *name;
        const json_t *schema;
        bool open;
    } named[NAMED_MAX];
    size_t named_count;
    uint32_t field_count;
    struct weir_column_default *defaults; /* of the record's own fields */
    size_t default_count;
    bool failed;
};

static bool read_type(struct avsc *avsc, const json_t *schema, const char *where, int depth,
                      struct weir_type *ret_type, bool *ret_nullable);

static bool wrong(struct avsc *avsc, const char *where, const char *what)
{
    if (!avsc->failed)
        complain(avsc->reading, avsc->at, 0, NULL, "%s: %s: %s", avsc->path, where, what);
    avsc->failed = true;
    return false;
}

static bool simple(struct weir_type *type, enum weir_type_id id)
{
    *type = (struct weir_type){.id = id};
    return true;
}

static const struct {
    const char *avro;
    enum weir_type_id id;
} primitives[] = {
    {"boolean", WEIR_BOOLEAN}, {"int", WEIR_INT},       {"long", WEIR_LONG},
    {"float", WEIR_FLOAT},     {"double", WEIR_DOUBLE}, {"bytes", WEIR_BINARY},
    {"string", WEIR_STRING},
};

static bool read_name(struct avsc *avsc, const char *name, const char *where, int depth,
                      struct weir_type *ret_type, bool *ret_nullable)
{
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
        if (strcmp(primitives[i].avro, name) == 0)
            return simple(ret_type, primitives[i].id);
    if (strcmp(name, "null") == 0)
        return wrong(avsc, where, "a field of type null alone holds nothing");
    for (size_t i = 0; i < avsc->named_count; i++) {
        const char *dot = strrchr(avsc->named[i].name, '.');
        if (strcmp(avsc->named[i].name, name) != 0 && !(dot && strcmp(dot + 1, name) == 0))
            continue;
        if (avsc->named[i].open)
            return wrong(avsc, where, "a type that holds itself has no columns");
        return read_type(avsc, avsc->named[i].schema, where, depth + 1, ret_type, ret_nullable);
    }
    return wrong(avsc, where, take_print(avsc->reading, "unknown type '%.100s'", name));
}

/* Index of the remembered name; the schema is "open" while its fields are read. */
static bool remember(struct avsc *avsc, const json_t *schema, const char *where, size_t *ret_index)
{
    const char *name = json_string_value(json_object_get(schema, "name")),
               *space = json_string_value(json_object_get(schema, "namespace"));
    if (!name || !*name)
        return wrong(avsc, where, "no name");
    for (size_t i = 0; i < avsc->named_count; i++)
        if (avsc->named[i].schema == schema) {
            *ret_index = i;
            return true;
        }
    if (avsc->named_count == NAMED_MAX)
        return wrong(avsc, where, "more than 1000 named types");
    avsc->named[avsc->named_count].name = space && !strchr(name, '.')
                                              ? take_print(avsc->reading, "%s.%s", space, name)
                                              : name;
    avsc->named[avsc->named_count].schema = schema;
    *ret_index = avsc->named_count++;
    return avsc->named[*ret_index].name != NULL;
}

/* A field with a default may be missing: tables that have rows already can take such a column only
 * if it is optional. */
static bool keep_default(struct avsc *avsc, struct weir_field *field, const json_t *value)
{
    if (!value || json_is_null(value))
        return true;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *copy = text ? take_text(avsc->reading, text, strlen(text)) : NULL;
    free(text);
    if (!copy)
        return false;
    field->required = false;
    avsc->defaults[avsc->default_count++] = (struct weir_column_default){field->name, copy};
    return true;
}

static bool read_record(struct avsc *avsc, const json_t *schema, const char *where, int depth,
                        struct weir_type *type)
{
    struct reading *reading = avsc->reading;
    const json_t *fields = json_object_get(schema, "fields");
    size_t index, count = json_array_size(fields);
    if (!json_is_array(fields) || count == 0)
        return wrong(avsc, where, "a record without fields");
    if (!remember(avsc, schema, where, &index))
        return false;
    *type = (struct weir_type){.id = WEIR_STRUCT,
                               .children = take(reading, count, sizeof *type->children)};
    if (depth == 0) {
        avsc->defaults = take(reading, count, sizeof *avsc->defaults);
        avsc->default_count = 0;
        if (!avsc->defaults)
            return false;
    }
    avsc->named[index].open = true;
    for (size_t i = 0; type->children && i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        struct weir_field *out = &type->children[i];
        char *here = take_print(reading, "%s.fields[%zu]", where, i);
        const char *name = json_string_value(json_object_get(field, "name")),
                   *doc = json_string_value(json_object_get(field, "doc"));
        bool nullable = false;
        if (!here)
            return false;
        if (!name || !*name || strlen(name) > WEIR_NAME_SIZE_MAX)
            return wrong(avsc, here, "no name, or one beyond 255 bytes");
        if (weir_type_child(type, name, strlen(name)))
            return wrong(avsc, here, take_print(reading, "field '%s' is here twice", name));
        if (++avsc->field_count > WEIR_SCHEMA_FIELDS_MAX)
            return wrong(avsc, here, "too many fields");
        out->name = take_text(reading, name, strlen(name));
        out->doc = doc ? take_text(reading, doc, strlen(doc)) : NULL;
        if (!read_type(avsc, json_object_get(field, "type"), take_print(reading, "%s.type", here),
                       depth + 1, &out->type, &nullable))
            return false;
        out->required = !nullable;
        if (depth == 0 && !keep_default(avsc, out, json_object_get(field, "default")))
            return false;
        type->child_count++;
    }
    avsc->named[index].open = false;
    return type->children != NULL;
}

static bool read_children(struct avsc *avsc, const json_t *schema, const char *where, int depth,
                          struct weir_type *type)
{
    struct reading *reading = avsc->reading;
    bool is_map = strcmp(json_string_value(json_object_get(schema, "type")), "map") == 0,
         nullable = false;
    const char *key = is_map ? "values" : "items";
    uint32_t count = is_map ? 2 : 1;
    *type = (struct weir_type){.id = is_map ? WEIR_MAP : WEIR_LIST,
                               .child_count = count,
                               .children = take(reading, count, sizeof *type->children)};
    if (!type->children)
        return false;
    struct weir_field *last = &type->children[count - 1];
    if (is_map)
        type->children[0] = (struct weir_field){
            .name = "key", .required = true, .type = {.id = WEIR_STRING}};
    if (++avsc->field_count > WEIR_SCHEMA_FIELDS_MAX)
        return wrong(avsc, where, "too many fields");
    last->name = is_map ? "value" : "element";
    if (!read_type(avsc, json_object_get(schema, key), take_print(reading, "%s.%s", where, key),
                   depth + 1, &last->type, &nullable))
        return false;
    last->required = !nullable;
    return true;
}

static bool read_union(struct avsc *avsc, const json_t *schema, const char *where, int depth,
                       struct weir_type *type, bool *ret_nullable)
{
    const json_t *chosen = NULL;
    for (size_t i = 0; i < json_array_size(schema); i++) {
        const json_t *branch = json_array_get(schema, i);
        const char *name = json_string_value(branch);
        if (name && strcmp(name, "null") == 0)
            *ret_nullable = true;
        else if (chosen)
            return wrong(avsc, where,
                         "a union of several types; only null and one other become a column");
        else
            chosen = branch;
    }
    bool nested_null = false;
    return chosen ? read_type(avsc, chosen, where, depth + 1, type, &nested_null)
                  : wrong(avsc, where, "a union without a type");
}

static bool read_fixed(struct avsc *avsc, const json_t *schema, const char *where,
                       struct weir_type *type)
{
    size_t index;
    json_int_t size = json_integer_value(json_object_get(schema, "size"));
    if (size < 1 || size > WEIR_FIXED_SIZE_MAX)
        return wrong(avsc, where, "size of fixed must be from 1 to 1048576");
    *type = (struct weir_type){.id = WEIR_FIXED, .length = (uint32_t)size};
    return remember(avsc, schema, where, &index);
}

/* The logical type in place of the one below it; unknown ones are ignored, as Avro asks. */
static bool read_logical(struct avsc *avsc, const json_t *schema, const char *where,
                         struct weir_type *type)
{
    const char *logical = json_string_value(json_object_get(schema, "logicalType"));
    if (!logical)
        return true;
    if (strcmp(logical, "decimal") == 0 && (type->id == WEIR_BINARY || type->id == WEIR_FIXED)) {
        json_int_t precision = json_integer_value(json_object_get(schema, "precision")),
                   scale = json_integer_value(json_object_get(schema, "scale"));
        if (precision < 1 || precision > 38 || scale < 0 || scale > precision)
            return wrong(avsc, where,
                         "decimal: precision must be from 1 to 38, scale from 0 to precision");
        *type = (struct weir_type){
            .id = WEIR_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
        return true;
    }
    const json_t *adjusted = json_object_get(schema, "adjust-to-utc");
    if (strcmp(logical, "date") == 0 && type->id == WEIR_INT)
        return simple(type, WEIR_DATE);
    if (strcmp(logical, "uuid") == 0 &&
        (type->id == WEIR_STRING || (type->id == WEIR_FIXED && type->length == 16)))
        return simple(type, WEIR_UUID);
    if ((strcmp(logical, "time-millis") == 0 && type->id == WEIR_INT) ||
        (strcmp(logical, "time-micros") == 0 && type->id == WEIR_LONG))
        return simple(type, WEIR_TIME);
    if (strncmp(logical, "timestamp-", 10) == 0 && type->id == WEIR_LONG)
        return simple(type, json_is_false(adjusted) ? WEIR_TIMESTAMP : WEIR_TIMESTAMPTZ);
    if (strncmp(logical, "local-timestamp-", 16) == 0 && type->id == WEIR_LONG)
        return simple(type, WEIR_TIMESTAMP);
    return true;
}

static bool read_type(struct avsc *avsc, const json_t *schema, const char *where, int depth,
                      struct weir_type *ret_type, bool *ret_nullable)
{
    if (!where || avsc->reading->status != WEIR_OK)
        return false;
    if (depth > WEIR_SCHEMA_DEPTH_MAX)
        return wrong(avsc, where, "nested too deep");
    if (json_is_string(schema))
        return read_name(avsc, json_string_value(schema), where, depth, ret_type, ret_nullable);
    if (json_is_array(schema))
        return read_union(avsc, schema, where, depth, ret_type, ret_nullable);
    const json_t *inner = json_object_get(schema, "type");
    const char *name = json_string_value(inner);
    if (!json_is_object(schema) || !inner)
        return wrong(avsc, where, "no type");
    if (!name)
        return read_type(avsc, inner, where, depth + 1, ret_type, ret_nullable);
    if (strcmp(name, "record") == 0)
        return read_record(avsc, schema, where, depth, ret_type);
    if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0)
        return read_children(avsc, schema, where, depth, ret_type);
    size_t index;
    if (strcmp(name, "enum") == 0)
        return remember(avsc, schema, where, &index) && simple(ret_type, WEIR_STRING);
    if (strcmp(name, "fixed") == 0 ? !read_fixed(avsc, schema, where, ret_type)
                                   : !read_name(avsc, name, where, depth, ret_type, ret_nullable))
        return false;
    return read_logical(avsc, schema, where, ret_type);
}

bool avsc_columns(struct reading *reading, const struct node *at, const char *shown,
                  json_t *const *texts, size_t count, struct weir_table_config *table)
{
    struct avsc *avsc = take(reading, 1, sizeof *avsc);
    bool nullable = false, good = avsc != NULL;
    struct weir_type type = {0};
    if (!good)
        return false;
    avsc->reading = reading;
    avsc->at = at;
    avsc->path = shown;
    for (size_t i = 0; good && i < count; i++) /* those before the last one only define types */
        good = read_type(avsc, texts[i], "$", 0, &type, &nullable);
    if (good && type.id != WEIR_STRUCT)
        good = wrong(avsc, "$", "the schema of a table must be a record");
    for (uint32_t i = 0; good && i < type.child_count; i++)
        if (strcmp(type.children[i].name, "_kafka") == 0 ||
            strcmp(type.children[i].name, "_source_file") == 0)
            good = wrong(avsc, take_print(reading, "$.fields[%u]", i),
                         "_kafka and _source_file are Weir's own columns");
    if (good) {
        table->columns = type;
        table->defaults = avsc->defaults;
        table->default_count = avsc->default_count;
    }
    return good;
}

bool avsc_read(struct reading *reading, const struct node *at, const char *path,
               struct weir_table_config *table)
{
    struct weir_error error;
    char *text;
    size_t size;
    weir_status status = file_read(reading, path, at->text, AVSC_SIZE_MAX, &text, &size, &error);
    if (status != WEIR_OK) {
        complain(reading, at, 0, NULL, "schema: %s", error.text);
        return false;
    }
    json_error_t json_error;
    json_t *schema = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!schema) {
        complain(reading, at, 0, NULL, "%s:%d:%d: %s", at->text, json_error.line, json_error.column,
                 json_error.text);
        return false;
    }
    bool good = avsc_columns(reading, at, at->text, &schema, 1, table);
    json_decref(schema);
    return good;
}
