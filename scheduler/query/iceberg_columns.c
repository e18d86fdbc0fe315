/* How a data file's columns become the wanted ones: found by id, by the name mapping, or by name;
 * from the partition where the file has been left without them (Hive); from initial-default. The
 * Parquet reader finds and widens; here is what it does not know. */
#include <string.h>

#include "formats/iceberg/resolve.h"
#include "scheduler/query/iceberg_int.h"

/* ---- what a file has ------------------------------------------------------------------------ */

/* The file's field for a wanted one, among the children of `file`; NULL = it has none. */
static const struct weir_field *find_in(const struct weir_type *file,
                                        const struct weir_field *field,
                                        const struct weir_field *name, bool by_id)
{
    if (!by_id)
        return weir_type_child(file, name->name, strlen(name->name));
    for (uint32_t i = 0; i < file->child_count; i++)
        if (file->children[i].id == field->id)
            return &file->children[i];
    return NULL;
}

static const json_t *default_of(const struct iceberg_source *source, int32_t id)
{
    return json_object_get(weir_schema_field_json(source->schema_json, id), "initial-default");
}

/* Whether a field inside of the type is missing in the file and has a default. */
static bool has_defaults(const struct iceberg_source *source, const struct weir_type *wanted,
                         const struct weir_type *names, const struct weir_type *file, bool by_id)
{
    if (wanted->id != file->id)
        return false;
    for (uint32_t i = 0; i < wanted->child_count; i++) {
        const struct weir_field *field = &wanted->children[i];
        const struct weir_field *its = wanted->id == WEIR_STRUCT
                                           ? find_in(file, field, &names->children[i], by_id)
                                       : i < file->child_count ? &file->children[i]
                                                               : NULL;
        if (its ? has_defaults(source, &field->type, &names->children[i].type, &its->type, by_id)
                : default_of(source, field->id) != NULL)
            return true;
    }
    return false;
}

/* The value of an identity partition field of the column; false = there is none. */
static bool partition_value(const struct iceberg_file *file, int32_t id,
                            const struct weir_bytes **ret_value)
{
    for (size_t i = 0; i < file->spec->field_count; i++)
        if (file->spec->fields[i].source_id == id &&
            strcmp(file->spec->fields[i].transform, "identity") == 0) {
            *ret_value = &file->partition[i];
            return true;
        }
    return false;
}

/* A column that the file need not be asked for: one that it lacks, with a value of its own. */
static weir_status constant_of(const struct iceberg_source *source, const struct iceberg_file *file,
                               const struct weir_field *field, bool missing,
                               struct weir_arena *arena, struct iceberg_column *column,
                               struct weir_error *reterr)
{
    const struct weir_bytes *value;
    if (field->id == ICEBERG_FILE_ID) {
        struct weir_bytes location = {(const uint8_t *)file->location, strlen(file->location)};
        column->constant = true;
        return weir_value_vector(arena, &field->type, &location, &column->value, reterr);
    }
    const json_t *json = weir_schema_field_json(source->schema_json, field->id);
    const char *type = json_string_value(json_object_get(json, "type"));
    if (type && strcmp(type, "unknown") == 0) {
        column->constant = true;
        return weir_value_from_json(arena, &field->type, NULL, &column->value, reterr);
    }
    if (!missing)
        return WEIR_OK;
    if (!weir_type_is_nested(field->type.id) && partition_value(file, field->id, &value)) {
        column->constant = true;
        return weir_value_vector(arena, &field->type, value, &column->value, reterr);
    }
    json = default_of(source, field->id);
    if (!json || json_is_null(json))
        return WEIR_OK;
    column->constant = true;
    return weir_value_from_json(arena, &field->type, json, &column->value, reterr);
}

/* ---- the plan of a file --------------------------------------------------------------------- */

/* The fields of `more` that a type lacks, behind its own: places of those there stay the same. */
static weir_status merge(struct weir_arena *arena, struct weir_type *into,
                         const struct weir_type *more, struct weir_error *reterr)
{
    struct weir_field *children;
    uint32_t count = into->child_count;
    if (into->id != WEIR_STRUCT || more->id != WEIR_STRUCT || into->children == more->children)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, (size_t)count + more->child_count, sizeof *children, &children,
                             reterr));
    if (count)
        memcpy(children, into->children, count * sizeof *children);
    for (uint32_t i = 0; i < more->child_count; i++) {
        uint32_t at = 0;
        while (at < count && children[at].id != more->children[i].id)
            at++;
        if (at < count)
            WEIR_TRY(merge(arena, &children[at].type, &more->children[i].type, reterr));
        else
            children[count++] = more->children[i];
    }
    into->children = children;
    into->child_count = count;
    return WEIR_OK;
}

/* The wanted columns, then the keys of the equality deletes. A key in a column that is there
 * already, wanted or of another key, shares it, which has the fields of both then. Positions of
 * each key's columns go into open->equality_columns. */
static weir_status extend(struct weir_scan *scan, struct iceberg_file *file,
                          struct iceberg_open *open, struct weir_field **ret_fields,
                          size_t *ret_count, struct weir_error *reterr)
{
    const struct weir_type *wanted = scan->request.wanted;
    struct weir_field *fields;
    size_t count = wanted->child_count, most = count;
    for (size_t i = 0; i < file->equality_count; i++)
        most += file->equalities[i]->id_count;
    WEIR_TRY(weir_arena_zero(&open->arena, most, sizeof *fields, &fields, reterr));
    if (count)
        memcpy(fields, wanted->children, count * sizeof *fields);
    WEIR_TRY(weir_arena_zero(&open->arena, file->equality_count, sizeof *open->equality_columns,
                             &open->equality_columns, reterr));
    for (size_t i = 0; i < file->equality_count; i++) {
        const struct iceberg_equality *equality = file->equalities[i];
        uint32_t *places;
        WEIR_TRY(
            weir_arena_zero(&open->arena, equality->id_count, sizeof *places, &places, reterr));
        open->equality_columns[i] = places;
        for (size_t j = 0; j < equality->id_count; j++) {
            const struct weir_field *key = &equality->key.children[j];
            size_t at = 0;
            while (at < count && fields[at].id != key->id)
                at++;
            if (at == count)
                fields[count++] = *key;
            else
                WEIR_TRY(merge(&open->arena, &fields[at].type, &key->type, reterr));
            places[j] = (uint32_t)at;
        }
    }
    *ret_fields = fields;
    *ret_count = count;
    return WEIR_OK;
}

/* Predicates on columns that are read from the file, by the file's columns. Of the others, and of
 * those with defaults inside, the reader would think that they are null. */
static weir_status map_predicates(const struct weir_scan *scan, struct weir_arena *arena,
                                  struct iceberg_columns *columns, struct weir_error *reterr)
{
    const struct weir_scan_request *request = &scan->request;
    WEIR_TRY(weir_arena_zero(arena, request->predicate_count, sizeof *columns->predicates,
                             &columns->predicates, reterr));
    for (size_t i = 0; i < request->predicate_count; i++) {
        const struct weir_predicate *from = &request->predicates[i];
        const struct iceberg_column *column = &columns->columns[from->path[0]];
        if (column->constant || column->has_defaults)
            continue;
        columns->predicates[columns->predicate_count] = *from;
        columns->predicates[columns->predicate_count++].path[0] = column->at;
    }
    return WEIR_OK;
}

static weir_status map_needs(const struct weir_scan *scan, const struct iceberg_file *file,
                             struct iceberg_open *open, struct weir_error *reterr)
{
    struct iceberg_columns *columns = &open->columns;
    const struct weir_scan_filter *filter = scan->request.filter;
    WEIR_TRY(weir_arena_zero(&open->arena, columns->wanted.child_count / 8 + 8, 1, &columns->needs,
                             reterr));
    for (uint32_t i = 0; filter && i < scan->request.wanted->child_count; i++)
        if (weir_bit_get(filter->needs, i) && !columns->columns[i].constant)
            weir_bit_set(columns->needs, columns->columns[i].at);
    for (size_t i = 0; i < file->equality_count; i++)
        for (size_t j = 0; j < file->equalities[i]->id_count; j++) {
            const struct iceberg_column *column = &columns->columns[open->equality_columns[i][j]];
            if (!column->constant)
                weir_bit_set(columns->needs, column->at);
        }
    return WEIR_OK;
}

weir_status iceberg_columns_make(struct weir_scan *scan, struct iceberg_file *file,
                                 struct iceberg_open *open, struct weir_error *reterr)
{
    const struct iceberg_source *source = scan->source;
    struct iceberg_columns *columns = &open->columns;
    struct weir_type extended = {.id = WEIR_STRUCT}, names;
    size_t count;
    columns->file = weir_parquet_file_type(open->parquet);
    bool by_id = weir_parquet_file_has_ids(open->parquet);
    WEIR_TRY(extend(scan, file, open, &extended.children, &count, reterr));
    extended.child_count = (uint32_t)count;
    names = extended;
    if (!by_id && source->name_mapping)
        WEIR_TRY(weir_name_mapping_apply(&open->arena, source->name_mapping, &extended,
                                         columns->file, &names, reterr));
    columns->count = count;
    columns->wanted = columns->names = (struct weir_type){.id = WEIR_STRUCT};
    WEIR_TRY(
        weir_arena_zero(&open->arena, count, sizeof *columns->columns, &columns->columns, reterr));
    WEIR_TRY(weir_arena_zero(&open->arena, count, sizeof *names.children, &columns->wanted.children,
                             reterr));
    WEIR_TRY(weir_arena_zero(&open->arena, count, sizeof *names.children, &columns->names.children,
                             reterr));
    for (size_t i = 0; i < count; i++) {
        const struct weir_field *field = &extended.children[i],
                                *its = find_in(columns->file, field, &names.children[i], by_id);
        struct iceberg_column *column = &columns->columns[i];
        WEIR_TRY(constant_of(source, file, field, !its, &open->arena, column, reterr));
        if (column->constant)
            continue;
        column->has_defaults = its && has_defaults(source, &field->type, &names.children[i].type,
                                                   &its->type, by_id);
        column->at = columns->wanted.child_count++;
        columns->wanted.children[column->at] = *field;
        columns->names.children[column->at] = names.children[i];
    }
    if (!by_id && source->name_mapping)
        columns->names.child_count = columns->wanted.child_count;
    WEIR_TRY(map_predicates(scan, &open->arena, columns, reterr));
    return map_needs(scan, file, open, reterr);
}

/* ---- batches -------------------------------------------------------------------------------- */

/* One value `count` times, flat: children of nested vectors are. */
static weir_status repeat(struct weir_arena *arena, const struct weir_vector *value, uint32_t count,
                          struct weir_vector *ret_vector, struct weir_error *reterr)
{
    struct weir_selection selection = {.count = count};
    uint32_t *rows;
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *rows, &rows, reterr));
    selection.rows = rows;
    return weir_vector_gather(arena, value, &selection, ret_vector, reterr);
}

static weir_status fill_defaults(const struct iceberg_source *source,
                                 const struct weir_type *wanted, const struct weir_type *names,
                                 const struct weir_type *file, bool by_id,
                                 struct weir_vector *vector, struct weir_arena *arena,
                                 struct weir_error *reterr)
{
    struct weir_vector *children;
    if (wanted->id != file->id || wanted->child_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, wanted->child_count, sizeof *children, &children, reterr));
    memcpy(children, vector->children, wanted->child_count * sizeof *children);
    vector->children = children;
    for (uint32_t i = 0; i < wanted->child_count; i++) {
        const struct weir_field *field = &wanted->children[i];
        const struct weir_field *its = wanted->id == WEIR_STRUCT
                                           ? find_in(file, field, &names->children[i], by_id)
                                       : i < file->child_count ? &file->children[i]
                                                               : NULL;
        if (its) {
            WEIR_TRY(fill_defaults(source, &field->type, &names->children[i].type, &its->type,
                                   by_id, &children[i], arena, reterr));
        } else if (default_of(source, field->id)) {
            struct weir_vector value;
            WEIR_TRY(weir_value_from_json(arena, &field->type, default_of(source, field->id),
                                          &value, reterr));
            WEIR_TRY(repeat(arena, &value, vector->count, &children[i], reterr));
        }
    }
    return WEIR_OK;
}

/* Without the fields that were read for keys of equality deletes only. */
static weir_status narrow(struct weir_arena *arena, const struct weir_type *type,
                          struct weir_vector *vector, struct weir_error *reterr)
{
    struct weir_vector *children;
    const struct weir_type *from = vector->type;
    vector->type = type;
    if (type->id != WEIR_STRUCT || weir_type_equal(from, type, true))
        return WEIR_OK;
    if (vector->kind == WEIR_DICTIONARY) {
        WEIR_TRY(weir_arena_zero(arena, 1, sizeof *children, &children, reterr));
        *children = *vector->dictionary;
        vector->dictionary = children;
        return narrow(arena, type, children, reterr);
    }
    WEIR_TRY(weir_arena_zero(arena, type->child_count, sizeof *children, &children, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        uint32_t at = 0;
        while (from->children[at].id != type->children[i].id)
            at++;
        children[i] = vector->children[at];
        children[i].type = &from->children[at].type;
        WEIR_TRY(narrow(arena, &type->children[i].type, &children[i], reterr));
    }
    vector->children = children;
    return WEIR_OK;
}

weir_status iceberg_columns_map(const struct iceberg_source *source,
                                const struct iceberg_columns *columns, const struct weir_type *type,
                                size_t index, const struct weir_batch *batch,
                                struct weir_arena *arena, struct weir_vector *ret_vector,
                                struct weir_error *reterr)
{
    const struct iceberg_column *column = &columns->columns[index];
    if (column->constant) {
        struct weir_vector vector = column->value;
        vector.kind = WEIR_CONSTANT;
        vector.count = batch->count;
        vector.null_count = vector.null_count ? batch->count : 0;
        *ret_vector = vector;
        return narrow(arena, type, ret_vector, reterr);
    }
    struct weir_vector vector = batch->columns[column->at];
    vector.type = &columns->wanted.children[column->at].type;
    if (column->has_defaults && vector.kind == WEIR_FLAT) {
        const struct weir_field *field = &columns->wanted.children[column->at];
        bool named = columns->names.child_count > 0, by_id = false;
        const struct weir_field *name = named ? &columns->names.children[column->at] : field;
        for (uint32_t i = 0; !named && i < columns->file->child_count; i++)
            by_id = by_id || columns->file->children[i].id == field->id;
        const struct weir_field *its = find_in(columns->file, field, name, by_id);
        WEIR_TRY(fill_defaults(source, &field->type, &name->type, &its->type, by_id, &vector, arena,
                               reterr));
    }
    *ret_vector = vector;
    return narrow(arena, type, ret_vector, reterr);
}
