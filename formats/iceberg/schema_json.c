/* Schemas <-> JSON. Spec: Iceberg "Appendix C: JSON serialization". */
#include "formats/iceberg/metadata_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>

static weir_status no_memory(struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a JSON document");
}

/* object[key] = value; takes value, which may be NULL from a failed allocation. */
static weir_status set(json_t *object, const char *key, json_t *value, struct weir_error *reterr)
{
    return json_object_set_new(object, key, value) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY, "no memory, or no UTF-8, for \"%s\"", key);
}

static weir_status type_to_json(const struct weir_type *type, json_t **ret_json,
                                struct weir_error *reterr);

static weir_status set_type(json_t *object, const char *key, const struct weir_type *type,
                            struct weir_error *reterr)
{
    json_t *json;
    WEIR_TRY(type_to_json(type, &json, reterr));
    return set(object, key, json, reterr);
}

static weir_status field_to_json(const struct weir_field *field, json_t *object,
                                 struct weir_error *reterr)
{
    WEIR_TRY(set(object, "id", json_integer(field->id), reterr));
    WEIR_TRY(set(object, "name", json_string(field->name), reterr));
    WEIR_TRY(set(object, "required", json_boolean(field->required), reterr));
    WEIR_TRY(set_type(object, "type", &field->type, reterr));
    return field->doc ? set(object, "doc", json_string(field->doc), reterr) : WEIR_OK;
}

static weir_status struct_to_json(const struct weir_type *type, json_t *object,
                                  struct weir_error *reterr)
{
    json_t *fields = json_array();
    WEIR_TRY(set(object, "fields", fields, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        json_t *field = json_object();
        if (!field || json_array_append_new(fields, field) != 0)
            return no_memory(reterr);
        WEIR_TRY(field_to_json(&type->children[i], field, reterr));
    }
    return WEIR_OK;
}

static weir_status nested_to_json(const struct weir_type *type, json_t *object,
                                  struct weir_error *reterr)
{
    WEIR_TRY(set(object, "type", json_string(weir_type_name(type->id)), reterr));
    if (type->id == WEIR_STRUCT)
        return struct_to_json(type, object, reterr);
    if (type->id == WEIR_LIST) {
        WEIR_TRY(set(object, "element-id", json_integer(type->children[0].id), reterr));
        WEIR_TRY(set_type(object, "element", &type->children[0].type, reterr));
        return set(object, "element-required", json_boolean(type->children[0].required), reterr);
    }
    WEIR_TRY(set(object, "key-id", json_integer(type->children[0].id), reterr));
    WEIR_TRY(set_type(object, "key", &type->children[0].type, reterr));
    WEIR_TRY(set(object, "value-id", json_integer(type->children[1].id), reterr));
    WEIR_TRY(set_type(object, "value", &type->children[1].type, reterr));
    return set(object, "value-required", json_boolean(type->children[1].required), reterr);
}

static weir_status type_to_json(const struct weir_type *type, json_t **ret_json,
                                struct weir_error *reterr)
{
    json_t *json;
    if (type->id == WEIR_DECIMAL)
        json = json_sprintf("decimal(%d, %d)", type->precision, type->scale);
    else if (type->id == WEIR_FIXED)
        json = json_sprintf("fixed[%u]", type->length);
    else if (weir_type_is_nested(type->id))
        json = json_object();
    else
        json = json_string(weir_type_name(type->id));
    if (!json)
        return no_memory(reterr);
    weir_status status = json_is_object(json) ? nested_to_json(type, json, reterr) : WEIR_OK;
    if (status != WEIR_OK) {
        json_decref(json);
        return status;
    }
    *ret_json = json;
    return WEIR_OK;
}

weir_status weir_schema_to_json(const struct weir_schema *schema, json_t **ret_json,
                                struct weir_error *reterr)
{
    json_t *json;
    WEIR_TRY(type_to_json(&schema->root, &json, reterr));
    if (json_object_set_new(json, "schema-id", json_integer(schema->id)) != 0) {
        json_decref(json);
        return no_memory(reterr);
    }
    *ret_json = json;
    return WEIR_OK;
}

struct reader {
    struct weir_arena *arena;
    struct weir_error *reterr;
    size_t fields;
    bool lenient; /* types of v3 that are not ours are left out; their id is TYPE_COUNT meanwhile */
    struct weir_schema_refusal *refusals;
    size_t refusal_count, refusal_capacity;
};

static weir_status type_from_json(struct reader *reader, const json_t *json, int depth,
                                  struct weir_type *ret_type);

/* digits; false if something else stands there or it is beyond `most` */
static bool parse_number(const char **at, uint32_t most, uint32_t *ret_value)
{
    uint64_t value = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && value <= most; ++*at)
        value = value * 10 + (uint64_t)(**at - '0');
    *ret_value = (uint32_t)value;
    return *at != start && value <= most;
}

static bool parse_decimal(const char *text, struct weir_type *type)
{
    uint32_t precision, scale;
    text += strlen("decimal(");
    if (!parse_number(&text, 38, &precision) || precision == 0)
        return false;
    text += strspn(text, " ");
    if (*text++ != ',')
        return false;
    text += strspn(text, " ");
    if (!parse_number(&text, precision, &scale))
        return false;
    text += strspn(text, " ");
    *type = (struct weir_type){
        .id = WEIR_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return strcmp(text, ")") == 0;
}

static bool parse_fixed(const char *text, struct weir_type *type)
{
    uint32_t length;
    text += strlen("fixed[");
    bool good = parse_number(&text, WEIR_BATCH_BYTES_MAX, &length) && strcmp(text, "]") == 0;
    *type = (struct weir_type){.id = WEIR_FIXED, .length = length};
    return good;
}

static weir_status primitive_from_json(struct reader *reader, const char *name,
                                       struct weir_type *ret_type)
{
    for (int id = 0; id <= WEIR_MAP; id++)
        if (id != WEIR_DECIMAL && id != WEIR_FIXED && !weir_type_is_nested((enum weir_type_id)id) &&
            strcmp(name, weir_type_name((enum weir_type_id)id)) == 0) {
            *ret_type = (struct weir_type){.id = (enum weir_type_id)id};
            return WEIR_OK;
        }
    struct weir_type type;
    if ((strncmp(name, "decimal(", 8) == 0 && parse_decimal(name, &type)) ||
        (strncmp(name, "fixed[", 6) == 0 && parse_fixed(name, &type))) {
        *ret_type = type;
        return WEIR_OK;
    }
    if (reader->lenient) {
        bool unknown = strcmp(name, "unknown") == 0;
        *ret_type = (struct weir_type){.id = unknown ? WEIR_STRING : WEIR_TYPE_COUNT};
        /* until it is dropped, a type that is none of ours keeps its name where children would be
         */
        ret_type->children = unknown ? NULL : (struct weir_field *)(void *)name;
        return WEIR_OK;
    }
    return weir_fail(reader->reterr, WEIR_UNSUPPORTED, "schema: type \"%.100s\"", name);
}

static weir_status child_from_json(struct reader *reader, const json_t *json, const char *prefix,
                                   bool required, int depth, struct weir_field *field)
{
    char key[32];
    snprintf(key, sizeof key, "%s-id", prefix);
    field->name = prefix;
    WEIR_TRY(metadata_int32(json, key, &field->id, reader->reterr));
    snprintf(key, sizeof key, "%s-required", prefix);
    field->required = required || json_is_true(json_object_get(json, key));
    return type_from_json(reader, json_object_get(json, prefix), depth + 1, &field->type);
}

/* Refusals of fields inside of `field` get its name in front. */
static weir_status prefix_refusals(struct reader *reader, const struct weir_field *field,
                                   size_t first)
{
    for (size_t i = first; i < reader->refusal_count; i++) {
        char *path;
        WEIR_TRY(weir_arena_print(reader->arena, &path, reader->reterr, "%s.%s", field->name,
                                  reader->refusals[i].path));
        reader->refusals[i].path = path;
    }
    return WEIR_OK;
}

static weir_status field_from_json(struct reader *reader, const json_t *json, int depth,
                                   struct weir_field *field)
{
    const char *text;
    char *copy;
    WEIR_TRY(metadata_int32(json, "id", &field->id, reader->reterr));
    WEIR_TRY(metadata_text(json, "name", &text, reader->reterr));
    WEIR_TRY(weir_arena_copy(reader->arena, text, strlen(text), &copy, reader->reterr));
    field->name = copy;
    field->required = json_is_true(json_object_get(json, "required"));
    text = json_string_value(json_object_get(json, "doc"));
    if (text) {
        WEIR_TRY(weir_arena_copy(reader->arena, text, strlen(text), &copy, reader->reterr));
        field->doc = copy;
    }
    size_t first = reader->refusal_count;
    weir_status status = type_from_json(reader, json_object_get(json, "type"), depth + 1,
                                        &field->type);
    if (status == WEIR_OK)
        status = prefix_refusals(reader, field, first);
    if (status != WEIR_OK)
        weir_error_prefix(reader->reterr, "field %.200s", field->name);
    return status;
}

static weir_status refuse(struct reader *reader, const struct weir_field *field)
{
    if (reader->refusal_count == reader->refusal_capacity) {
        struct weir_schema_refusal *more;
        size_t larger = reader->refusal_capacity ? 2 * reader->refusal_capacity : 8;
        WEIR_TRY(weir_arena_zero(reader->arena, larger, sizeof *more, &more, reader->reterr));
        if (reader->refusal_count)
            memcpy(more, reader->refusals, reader->refusal_count * sizeof *more);
        reader->refusals = more;
        reader->refusal_capacity = larger;
    }
    const char *refused = (const char *)(const void *)field->type.children;
    char *type;
    WEIR_TRY(weir_arena_copy(reader->arena, refused, strlen(refused), &type, reader->reterr));
    reader->refusals[reader->refusal_count++] = (struct weir_schema_refusal){field->name, type,
                                                                             field->id};
    return WEIR_OK;
}

/* Takes the fields left out from a struct's children; a struct that is empty then, a list or a map
 * without element or value, is left out itself. */
static weir_status drop_refused(struct reader *reader, struct weir_type *type, int depth)
{
    uint32_t kept = 0;
    size_t first = reader->refusal_count;
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (type->children[i].type.id != WEIR_TYPE_COUNT) {
            type->children[kept++] = type->children[i];
        } else if (type->id != WEIR_STRUCT) {
            type->id = WEIR_TYPE_COUNT;
            type->children = type->children[i].type.children;
            return WEIR_OK;
        } else {
            WEIR_TRY(refuse(reader, &type->children[i]));
        }
    }
    if (kept == 0 && type->child_count && depth > 0) {
        reader->refusal_count = first; /* its own field is told of instead */
        type->id = WEIR_TYPE_COUNT;
        type->children = type->children[0].type.children;
    }
    type->child_count = kept;
    return WEIR_OK;
}

static weir_status children_from_json(struct reader *reader, const json_t *json, int depth,
                                      struct weir_type *type)
{
    const json_t *fields = json_object_get(json, "fields");
    if (type->id == WEIR_STRUCT && !json_is_array(fields))
        return weir_fail(reader->reterr, WEIR_CORRUPT, "schema: a struct has no list of fields");
    size_t count = type->id == WEIR_LIST ? 1 : type->id == WEIR_MAP ? 2 : json_array_size(fields);
    reader->fields += count;
    if (reader->fields > WEIR_SCHEMA_FIELDS_MAX)
        return weir_fail(reader->reterr, WEIR_UNSUPPORTED, "schema: more than %d fields",
                         WEIR_SCHEMA_FIELDS_MAX);
    WEIR_TRY(weir_arena_zero(reader->arena, count, sizeof *type->children, &type->children,
                             reader->reterr));
    type->child_count = (uint32_t)count;
    if (type->id == WEIR_LIST)
        return child_from_json(reader, json, "element", false, depth, &type->children[0]);
    if (type->id == WEIR_MAP) {
        WEIR_TRY(child_from_json(reader, json, "key", true, depth, &type->children[0]));
        return child_from_json(reader, json, "value", false, depth, &type->children[1]);
    }
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(field_from_json(reader, json_array_get(fields, i), depth, &type->children[i]));
    return WEIR_OK;
}

static weir_status type_from_json(struct reader *reader, const json_t *json, int depth,
                                  struct weir_type *ret_type)
{
    if (depth > WEIR_SCHEMA_DEPTH_MAX)
        return weir_fail(reader->reterr, WEIR_UNSUPPORTED, "schema: nested deeper than %d",
                         WEIR_SCHEMA_DEPTH_MAX);
    if (json_is_string(json))
        return primitive_from_json(reader, json_string_value(json), ret_type);
    const char *name = json_string_value(json_object_get(json, "type"));
    struct weir_type type = {.id = WEIR_TYPE_COUNT};
    for (int id = WEIR_STRUCT; name && id <= WEIR_MAP; id++)
        if (strcmp(name, weir_type_name((enum weir_type_id)id)) == 0)
            type.id = (enum weir_type_id)id;
    if (type.id == WEIR_TYPE_COUNT)
        return weir_fail(reader->reterr, WEIR_CORRUPT,
                         "schema: a type is neither a name nor struct, list or map");
    WEIR_TRY(children_from_json(reader, json, depth, &type));
    if (reader->lenient)
        WEIR_TRY(drop_refused(reader, &type, depth));
    *ret_type = type;
    return WEIR_OK;
}

static size_t collect_ids(const struct weir_type *type, int32_t *ids)
{
    size_t count = 0;
    for (uint32_t i = 0; i < type->child_count; i++) {
        ids[count++] = type->children[i].id;
        count += collect_ids(&type->children[i].type, ids + count);
    }
    return count;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static weir_status check_ids(struct reader *reader, const struct weir_type *root)
{
    int32_t *ids;
    WEIR_TRY(
        weir_arena_alloc(reader->arena, (reader->fields + 1) * sizeof *ids, &ids, reader->reterr));
    size_t count = collect_ids(root, ids);
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 1; i < count; i++)
        if (ids[i] == ids[i - 1])
            return weir_fail(reader->reterr, WEIR_CORRUPT, "schema: field id %d is used twice",
                             ids[i]);
    return WEIR_OK;
}

static weir_status read_schema(struct reader *reader, const json_t *json,
                               struct weir_schema *ret_schema, struct weir_error *reterr)
{
    struct weir_schema schema = {0};
    WEIR_TRY(type_from_json(reader, json, 0, &schema.root));
    if (schema.root.id != WEIR_STRUCT)
        return weir_fail(reterr, WEIR_CORRUPT, "schema: the root is no struct");
    if (json_object_get(json, "schema-id"))
        WEIR_TRY(metadata_int32(json, "schema-id", &schema.id, reterr));
    WEIR_TRY(check_ids(reader, &schema.root));
    *ret_schema = schema;
    return WEIR_OK;
}

weir_status weir_schema_from_json(struct weir_arena *arena, const json_t *json,
                                  struct weir_schema *ret_schema, struct weir_error *reterr)
{
    struct reader reader = {.arena = arena, .reterr = reterr};
    return read_schema(&reader, json, ret_schema, reterr);
}

weir_status weir_schema_read(struct weir_arena *arena, const json_t *json,
                             struct weir_schema *ret_schema,
                             struct weir_schema_refusal **ret_refusals, size_t *ret_count,
                             struct weir_error *reterr)
{
    struct reader reader = {.arena = arena, .reterr = reterr, .lenient = true};
    WEIR_TRY(read_schema(&reader, json, ret_schema, reterr));
    *ret_refusals = reader.refusals;
    *ret_count = reader.refusal_count;
    return WEIR_OK;
}

static const json_t *find_field(const json_t *type, int32_t id, int depth)
{
    static const char *const inner[] = {"element", "key", "value"};
    const json_t *fields = json_object_get(type, "fields"), *found = NULL;
    if (!json_is_object(type) || depth > WEIR_SCHEMA_DEPTH_MAX)
        return NULL;
    for (size_t i = 0; !found && i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i), *its = json_object_get(field, "id");
        if (json_is_integer(its) && json_integer_value(its) == id)
            return field;
        found = find_field(json_object_get(field, "type"), id, depth + 1);
    }
    for (size_t i = 0; !found && i < 3; i++)
        found = find_field(json_object_get(type, inner[i]), id, depth + 1);
    return found;
}

const json_t *weir_schema_field_json(const json_t *schema, int32_t id)
{
    return find_field(schema, id, 0);
}

weir_status weir_partition_spec_to_json(const struct weir_partition_spec *spec, json_t **ret_json,
                                        struct weir_error *reterr)
{
    json_t *fields = json_array();
    for (size_t i = 0; fields && i < spec->field_count; i++) {
        const struct weir_partition_field *field = &spec->fields[i];
        json_t *one = json_pack("{s:i, s:i, s:s, s:s}", "source-id", field->source_id, "field-id",
                                field->field_id, "transform", field->transform, "name",
                                field->name);
        if (!one || json_array_append_new(fields, one) != 0) {
            json_decref(fields);
            return no_memory(reterr);
        }
    }
    json_t *json = fields ? json_pack("{s:i, s:o}", "spec-id", spec->id, "fields", fields) : NULL;
    if (!json)
        return no_memory(reterr);
    *ret_json = json;
    return WEIR_OK;
}
