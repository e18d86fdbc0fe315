/* Declared columns against the table's: one schema, one type to decode, one type to write. */
#include "scheduler/window/shape_int.h"

#include "formats/json/json.h"

#include <stdio.h>
#include <string.h>

static struct weir_type simple(enum weir_type_id id)
{
    return (struct weir_type){.id = id};
}

/* struct<topic:string, partition:int, offset:long, timestamp:timestamptz, key:binary>, and headers
 * on request */
static weir_status kafka_type(struct weir_arena *arena, bool headers, struct weir_type *ret_type,
                              struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, 6, sizeof *fields, &fields, reterr));
    fields[0] = (struct weir_field){.name = "topic", .required = true, .type = simple(WEIR_STRING)};
    fields[1] = (struct weir_field){
        .name = "partition", .required = true, .type = simple(WEIR_INT)};
    fields[2] = (struct weir_field){.name = "offset", .required = true, .type = simple(WEIR_LONG)};
    fields[3] = (struct weir_field){.name = "timestamp", .type = simple(WEIR_TIMESTAMPTZ)};
    fields[4] = (struct weir_field){.name = "key", .type = simple(WEIR_BINARY)};
    if (headers) {
        struct weir_field *element, *pair;
        WEIR_TRY(weir_arena_zero(arena, 1, sizeof *element, &element, reterr));
        WEIR_TRY(weir_arena_zero(arena, 2, sizeof *pair, &pair, reterr));
        pair[0] = (struct weir_field){.name = "key", .required = true, .type = simple(WEIR_STRING)};
        pair[1] = (struct weir_field){.name = "value", .type = simple(WEIR_BINARY)};
        *element = (struct weir_field){
            .name = "element",
            .required = true,
            .type = {.id = WEIR_STRUCT, .child_count = 2, .children = pair}};
        fields[5] = (struct weir_field){
            .name = "headers", .type = {.id = WEIR_LIST, .child_count = 1, .children = element}};
    }
    *ret_type = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = headers ? 6 : 5, .children = fields};
    return WEIR_OK;
}

static weir_status file_type(struct weir_arena *arena, struct weir_type *ret_type,
                             struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, 2, sizeof *fields, &fields, reterr));
    fields[0] = (struct weir_field){.name = "path", .required = true, .type = simple(WEIR_STRING)};
    fields[1] = (struct weir_field){.name = "row", .required = true, .type = simple(WEIR_LONG)};
    *ret_type = (struct weir_type){.id = WEIR_STRUCT, .child_count = 2, .children = fields};
    return WEIR_OK;
}

static weir_status meta_field(struct weir_arena *arena, bool is_kafka, bool headers,
                              struct weir_field *ret_field, struct weir_error *reterr)
{
    struct weir_field field = {.name = is_kafka ? "_kafka" : "_source_file",
                               .required = true,
                               .doc = is_kafka ? "where in Kafka the record was"
                                               : "where in which file the record was"};
    WEIR_TRY(is_kafka ? kafka_type(arena, headers, &field.type, reterr)
                      : file_type(arena, &field.type, reterr));
    *ret_field = field;
    return WEIR_OK;
}

struct merge {
    struct weir_arena *arena;
    const struct weir_table_config *config;
    int32_t *last_id;
    bool changed;
};

static weir_status differs(struct merge *merge, const char *path, const struct weir_type *has,
                           const struct weir_type *wants, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer)
    a = {.account = merge->arena->account}, b = {.account = merge->arena->account};
    WEIR_TRY(weir_type_print(has, &a, reterr));
    WEIR_TRY(weir_type_print(wants, &b, reterr));
    weir_status status = weir_fail(
        reterr, WEIR_USAGE,
        "%s: table %s: column %s is %s in the table and %s in the pipeline file",
        merge->config->location, merge->config->name, path, a.data, b.data);
    weir_error_hint(reterr,
                    "columns can be added, and int widened to long, float to double, decimal to "
                    "more digits; for anything else choose another column or table");
    return status;
}

static weir_status merge_struct(struct merge *merge, struct weir_type *table,
                                const struct weir_type *declared, const char *path,
                                struct weir_error *reterr);

static weir_status merge_type(struct merge *merge, struct weir_type *table,
                              const struct weir_type *declared, const char *path,
                              struct weir_error *reterr)
{
    if (table->id == WEIR_STRUCT && declared->id == WEIR_STRUCT)
        return merge_struct(merge, table, declared, path, reterr);
    if (table->id == declared->id && (table->id == WEIR_LIST || table->id == WEIR_MAP)) {
        for (uint32_t i = 0; i < table->child_count; i++) {
            char *below;
            if (declared->children[i].required < table->children[i].required)
                return differs(merge, path, table, declared, reterr);
            WEIR_TRY(weir_arena_print(merge->arena, &below, reterr, "%s.%s", path,
                                      table->children[i].name));
            WEIR_TRY(merge_type(merge, &table->children[i].type, &declared->children[i].type, below,
                                reterr));
        }
        return WEIR_OK;
    }
    if (weir_type_equal(table, declared, false) || weir_type_can_widen(declared, table))
        return WEIR_OK;
    if (!weir_type_can_widen(table, declared))
        return differs(merge, path, table, declared, reterr);
    *table = *declared;
    merge->changed = true;
    return WEIR_OK;
}

static weir_status add_field(struct merge *merge, struct weir_type *table,
                             const struct weir_field *declared, const char *path,
                             struct weir_error *reterr)
{
    if (declared->required) {
        weir_status status = weir_fail(
            reterr, WEIR_USAGE,
            "%s: table %s: new column %s is required, but the table has rows without it",
            merge->config->location, merge->config->name, path);
        weir_error_hint(reterr, "declare it without `required`, and use `expect: - not_null` style "
                                "checks for new rows");
        return status;
    }
    struct weir_field *fields;
    WEIR_TRY(
        weir_arena_zero(merge->arena, table->child_count + 1, sizeof *fields, &fields, reterr));
    if (table->child_count)
        memcpy(fields, table->children, table->child_count * sizeof *fields);
    struct weir_field *field = &fields[table->child_count];
    *field = *declared;
    WEIR_TRY(weir_type_copy(merge->arena, &declared->type, &field->type, reterr));
    field->id = ++*merge->last_id;
    weir_type_assign_ids(&field->type, merge->last_id);
    table->children = fields;
    table->child_count++;
    merge->changed = true;
    return WEIR_OK;
}

static weir_status merge_struct(struct merge *merge, struct weir_type *table,
                                const struct weir_type *declared, const char *path,
                                struct weir_error *reterr)
{
    for (uint32_t i = 0; i < declared->child_count; i++) {
        const struct weir_field *wants = &declared->children[i];
        char *below;
        WEIR_TRY(weir_arena_print(merge->arena, &below, reterr, "%s%s%s", path, *path ? "." : "",
                                  wants->name));
        struct weir_field *has = (struct weir_field *)(uintptr_t)weir_type_child(
            table, wants->name, strlen(wants->name));
        if (!has) {
            WEIR_TRY(add_field(merge, table, wants, below, reterr));
            continue;
        }
        if (has->required && !wants->required) {
            weir_status status = weir_fail(reterr, WEIR_USAGE,
                                           "%s: table %s: column %s is required in the table and "
                                           "optional in the pipeline file",
                                           merge->config->location, merge->config->name, below);
            weir_error_hint(reterr, "write `required` after its type");
            return status;
        }
        WEIR_TRY(merge_type(merge, &has->type, &wants->type, below, reterr));
    }
    for (uint32_t i = 0; i < table->child_count; i++) {
        const struct weir_field *has = &table->children[i];
        if (has->required && !weir_type_child(declared, has->name, strlen(has->name)))
            return weir_fail(reterr, WEIR_USAGE,
                             "%s: table %s: required column %s%s%s is not in the pipeline file",
                             merge->config->location, merge->config->name, path, *path ? "." : "",
                             has->name);
    }
    return WEIR_OK;
}

/* The declared fields with the schema's ids and types. */
static weir_status project(struct weir_arena *arena, const struct weir_type *schema,
                           const struct weir_type *declared, struct weir_type *ret_type,
                           struct weir_error *reterr)
{
    struct weir_type type = *schema;
    if (declared->child_count) {
        struct weir_field *fields;
        WEIR_TRY(weir_arena_zero(arena, declared->child_count, sizeof *fields, &fields, reterr));
        for (uint32_t i = 0; i < declared->child_count; i++) {
            const struct weir_field *wants = &declared->children[i];
            const struct weir_field *has = schema->id == WEIR_STRUCT
                                               ? weir_type_child(schema, wants->name,
                                                                 strlen(wants->name))
                                               : &schema->children[i];
            if (!has)
                return weir_fail(reterr, WEIR_INTERNAL, "column %s was not merged", wants->name);
            fields[i] = *has;
            fields[i].required = wants->required;
            WEIR_TRY(project(arena, &has->type, &wants->type, &fields[i].type, reterr));
        }
        type.children = fields;
        type.child_count = declared->child_count;
    }
    *ret_type = type;
    return WEIR_OK;
}

static weir_status make_spec(struct weir_arena *arena, const struct weir_table_config *config,
                             const struct weir_metadata *metadata, struct weir_shape *shape,
                             struct weir_error *reterr)
{
    size_t count = config->partition_by_count;
    struct weir_partition_spec *spec;
    struct weir_partition_field *fields;
    const char **paths;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *spec, &spec, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *paths, &paths, reterr));
    for (size_t i = 0; i < count; i++) {
        char *transform, *path, *name;
        WEIR_TRY(
            weir_transform_parse(arena, config->partition_by[i], &transform, &path, &name, reterr));
        const struct weir_field *source = weir_type_by_path(&shape->schema.root, path);
        struct weir_type result;
        if (!source)
            return weir_fail(reterr, WEIR_USAGE, "%s: table %s: partition_by %s: no column %s",
                             config->location, config->name, config->partition_by[i], path);
        WEIR_TRY(weir_transform_result_type(transform, &source->type, &result, reterr));
        fields[i] = (struct weir_partition_field){source->id, (int32_t)(1000 + i), name, transform};
        paths[i] = path;
    }
    *spec = (struct weir_partition_spec){0, fields, count};
    shape->spec = spec;
    shape->partition_paths = paths;
    if (!metadata)
        return WEIR_OK;
    const struct weir_partition_spec *has = weir_metadata_spec(metadata);
    bool equal = has->field_count == count;
    for (size_t i = 0; equal && i < count; i++)
        equal = has->fields[i].source_id == fields[i].source_id &&
                strcmp(has->fields[i].transform, fields[i].transform) == 0;
    if (!equal) {
        weir_status status = weir_fail(
            reterr, WEIR_USAGE,
            "%s: table %s: partition_by differs from the table's partition spec %d",
            config->location, config->name, has->id);
        weir_error_hint(reterr, "set partition_by back to what the table has; changing it on a "
                                "live table is not in this version");
        return status;
    }
    shape->spec = has;
    return WEIR_OK;
}

weir_status weir_shape_make(struct weir_arena *arena, const struct weir_table_config *config,
                            const struct weir_metadata *metadata, struct weir_shape *ret_shape,
                            struct weir_error *reterr)
{
    return weir_shape_evolve(arena, config, metadata, NULL, ret_shape, reterr);
}

/* The columns that records are read for. */
static weir_status columns_of(struct weir_arena *arena, const struct weir_table_config *config,
                              const struct weir_metadata *metadata, const struct weir_type *found,
                              struct weir_type *ret_columns, struct weir_error *reterr)
{
    *ret_columns = config->columns;
    if (config->unknown_fields != WEIR_UNKNOWN_EVOLVE)
        return WEIR_OK;
    WEIR_TRY(weir_type_copy(arena, &config->columns, ret_columns, reterr));
    if (metadata)
        WEIR_TRY(
            shape_adopt(arena, ret_columns, &weir_metadata_schema(metadata)->root, true, reterr));
    return found ? shape_grow(arena, ret_columns, found, reterr) : WEIR_OK;
}

weir_status weir_shape_evolve(struct weir_arena *arena, const struct weir_table_config *config,
                              const struct weir_metadata *metadata, const struct weir_type *found,
                              struct weir_shape *ret_shape, struct weir_error *reterr)
{
    struct weir_shape shape = {0};
    int32_t last_id = metadata ? weir_metadata_last_column_id(metadata) : 0;
    struct weir_type declared, columns;
    WEIR_TRY(columns_of(arena, config, metadata, found, &columns, reterr));
    /* declared columns, then the meta column */
    struct weir_field *fields;
    uint32_t count = columns.child_count;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *fields, &fields, reterr));
    memcpy(fields, columns.children, count * sizeof *fields);
    if (config->metadata)
        WEIR_TRY(meta_field(arena, config->source->is_kafka, config->source->headers,
                            &fields[count], reterr));
    declared = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = count + config->metadata, .children = fields};
    if (metadata) {
        const struct weir_schema *current = weir_metadata_schema(metadata);
        shape.schema.id = current->id;
        WEIR_TRY(weir_type_copy(arena, &current->root, &shape.schema.root, reterr));
        struct merge merge = {arena, config, &last_id, false};
        WEIR_TRY(merge_struct(&merge, &shape.schema.root, &declared, "", reterr));
        shape.changed = merge.changed;
    } else {
        WEIR_TRY(weir_type_copy(arena, &declared, &shape.schema.root, reterr));
        weir_type_assign_ids(&shape.schema.root, &last_id);
    }
    WEIR_TRY(project(arena, &shape.schema.root, &declared, &shape.write, reterr));
    shape.decode = shape.write;
    shape.decode.child_count = count;
    shape.meta_id = config->metadata ? shape.write.children[count].id : 0;
    WEIR_TRY(make_spec(arena, config, metadata, &shape, reterr));
    *ret_shape = shape;
    return WEIR_OK;
}

/* "cpu.model" of the field with that id; NULL = not below. */
static weir_status path_of(struct weir_arena *arena, const struct weir_type *type, int32_t id,
                           const char *above, char **ret_path, struct weir_error *reterr)
{
    char *path;
    *ret_path = NULL;
    for (uint32_t i = 0; i < type->child_count && !*ret_path; i++) {
        const struct weir_field *field = &type->children[i];
        WEIR_TRY(weir_arena_print(arena, &path, reterr, "%s%s%s", above, *above ? "." : "",
                                  field->name));
        if (field->id == id)
            *ret_path = path;
        else if (field->type.id == WEIR_STRUCT)
            WEIR_TRY(path_of(arena, &field->type, id, path, ret_path, reterr));
    }
    return WEIR_OK;
}

weir_status weir_shape_of_table(struct weir_arena *arena, const struct weir_metadata *metadata,
                                struct weir_shape *ret_shape, struct weir_error *reterr)
{
    const struct weir_schema *current = weir_metadata_schema(metadata);
    struct weir_shape shape = {.schema.id = current->id, .spec = weir_metadata_spec(metadata)};
    WEIR_TRY(weir_type_copy(arena, &current->root, &shape.schema.root, reterr));
    shape.write = shape.schema.root;
    shape.decode = (struct weir_type){.id = WEIR_STRUCT};
    WEIR_TRY(weir_arena_zero(arena, shape.spec->field_count + 1, sizeof *shape.partition_paths,
                             &shape.partition_paths, reterr));
    for (size_t i = 0; i < shape.spec->field_count; i++) {
        char *path;
        WEIR_TRY(
            path_of(arena, &shape.schema.root, shape.spec->fields[i].source_id, "", &path, reterr));
        if (!path)
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "partition field %s is made of a column that is gone",
                             shape.spec->fields[i].name);
        shape.partition_paths[i] = path;
    }
    *ret_shape = shape;
    return WEIR_OK;
}

/* One change; from NULL = a new field. */
static weir_status note_change(struct weir_arena *arena, json_t *changes, const char *path,
                               const struct weir_type *from, const struct weir_type *to,
                               struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = arena->account};
    WEIR_TRY(weir_buffer_print(&text, reterr, from ? "%s: " : "+ %s ", path));
    if (from) {
        WEIR_TRY(weir_type_print(from, &text, reterr));
        WEIR_TRY(weir_buffer_print(&text, reterr, " -> "));
    }
    WEIR_TRY(weir_type_print(to, &text, reterr));
    if (json_array_append_new(changes, json_stringn((const char *)text.data, text.size)) != 0)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a schema's changes");
    return WEIR_OK;
}

static weir_status list_changes(struct weir_arena *arena, json_t *changes, const char *path,
                                const struct weir_type *from, const struct weir_type *to,
                                struct weir_error *reterr)
{
    if (to->child_count == 0)
        return weir_type_equal(from, to, false)
                   ? WEIR_OK
                   : note_change(arena, changes, path, from, to, reterr);
    for (uint32_t i = 0; i < to->child_count; i++) {
        const struct weir_field *field = &to->children[i], *before = NULL;
        char *below;
        for (uint32_t k = 0; k < from->child_count && !before; k++)
            before = from->children[k].id == field->id ? &from->children[k] : NULL;
        WEIR_TRY(
            weir_arena_print(arena, &below, reterr, "%s%s%s", path, *path ? "." : "", field->name));
        if (before)
            WEIR_TRY(list_changes(arena, changes, below, &before->type, &field->type, reterr));
        else
            WEIR_TRY(note_change(arena, changes, below, NULL, &field->type, reterr));
    }
    return WEIR_OK;
}

weir_status weir_shape_changes(struct weir_arena *arena, const struct weir_shape *shape,
                               const struct weir_metadata *metadata, json_t **ret_changes,
                               struct weir_error *reterr)
{
    json_t *changes = json_array();
    if (!changes)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a schema's changes");
    weir_status status = shape->changed && metadata
                             ? list_changes(arena, changes, "",
                                            &weir_metadata_schema(metadata)->root,
                                            &shape->schema.root, reterr)
                             : WEIR_OK;
    if (status == WEIR_OK)
        *ret_changes = changes;
    else
        json_decref(changes);
    return status;
}

weir_status weir_quarantine_schema(struct weir_arena *arena, bool is_kafka,
                                   struct weir_schema *ret_schema, struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, 5, sizeof *fields, &fields, reterr));
    fields[0] = (struct weir_field){
        .name = "raw", .type = simple(WEIR_BINARY), .doc = "the record's bytes as they came"};
    fields[1] = (struct weir_field){
        .name = "reason", .required = true, .type = simple(WEIR_STRING), .doc = "reason code"};
    fields[2] = (struct weir_field){
        .name = "message", .required = true, .type = simple(WEIR_STRING)};
    fields[3] = (struct weir_field){.name = "position",
                                    .type = simple(WEIR_LONG),
                                    .doc = "byte in raw; null: the whole record"};
    WEIR_TRY(meta_field(arena, is_kafka, false, &fields[4], reterr));
    int32_t last_id = 0;
    struct weir_schema schema = {0, {.id = WEIR_STRUCT, .child_count = 5, .children = fields}};
    weir_type_assign_ids(&schema.root, &last_id);
    *ret_schema = schema;
    return WEIR_OK;
}

json_t *weir_shape_sort_order(const struct weir_table_config *config,
                              const struct weir_shape *shape)
{
    if (config->sort_count == 0)
        return NULL;
    json_t *fields = json_array();
    for (size_t i = 0; i < config->sort_count; i++) {
        const struct weir_field *field = weir_type_by_path(&shape->schema.root,
                                                           config->sort_by[i].path);
        if (!field)
            continue; /* the pipeline file's reader has refused it already */
        json_array_append_new(
            fields,
            json_pack("{s:s, s:i, s:s, s:s}", "transform", "identity", "source-id", field->id,
                      "direction", config->sort_by[i].descending ? "desc" : "asc", "null-order",
                      config->sort_by[i].nulls_first ? "nulls-first" : "nulls-last"));
    }
    return json_pack("{s:i, s:o}", "order-id", 1, "fields", fields);
}
