/* Table metadata: text -> document -> checked views. The document is kept whole, known members or
 * not. */
#include "formats/iceberg/metadata_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>

/* jansson's memory for a document, by the size of its text: measured between three and seven times.
 */
#define DOCUMENT_COST 6

weir_status metadata_int64(const json_t *object, const char *key, int64_t *ret_value,
                           struct weir_error *reterr)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return weir_fail(reterr, WEIR_CORRUPT, "\"%s\" is missing or no integer", key);
    *ret_value = json_integer_value(value);
    return WEIR_OK;
}

weir_status metadata_int32(const json_t *object, const char *key, int32_t *ret_value,
                           struct weir_error *reterr)
{
    int64_t value;
    WEIR_TRY(metadata_int64(object, key, &value, reterr));
    if (value < INT32_MIN || value > INT32_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "\"%s\" of %lld is no 32-bit number", key,
                         (long long)value);
    *ret_value = (int32_t)value;
    return WEIR_OK;
}

weir_status metadata_text(const json_t *object, const char *key, const char **ret_text,
                          struct weir_error *reterr)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text)
        return weir_fail(reterr, WEIR_CORRUPT, "\"%s\" is missing or no text", key);
    *ret_text = text;
    return WEIR_OK;
}

json_t *metadata_member(const json_t *array, const char *key, int64_t value)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *member = json_array_get(array, i);
        const json_t *id = json_object_get(member, key);
        if (json_is_integer(id) && json_integer_value(id) == value)
            return member;
    }
    return NULL;
}

static weir_status read_schema(struct weir_metadata *metadata, struct weir_error *reterr)
{
    const json_t *json = json_object_get(metadata->document, "schema");
    const json_t *schemas = json_object_get(metadata->document, "schemas");
    if (json_is_array(schemas)) {
        int32_t current;
        WEIR_TRY(metadata_int32(metadata->document, "current-schema-id", &current, reterr));
        json = metadata_member(schemas, "schema-id", current);
        if (!json)
            return weir_fail(reterr, WEIR_CORRUPT, "current-schema-id %d names no schema", current);
    }
    struct weir_schema_refusal *refusals;
    size_t count;
    if (metadata->format_version < 3)
        return weir_schema_from_json(&metadata->arena, json, &metadata->schema, reterr);
    return weir_schema_read(&metadata->arena, json, &metadata->schema, &refusals, &count, reterr);
}

static weir_status read_spec_fields(struct weir_metadata *metadata, const json_t *fields,
                                    struct weir_partition_spec *spec, struct weir_error *reterr)
{
    if (!json_is_array(fields))
        return weir_fail(reterr, WEIR_CORRUPT, "partition spec %d has no list of fields", spec->id);
    size_t count = json_array_size(fields);
    if (count > WEIR_SCHEMA_FIELDS_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "partition spec %d has %zu fields", spec->id,
                         count);
    struct weir_partition_field *all;
    WEIR_TRY(weir_arena_zero(&metadata->arena, count, sizeof *all, &all, reterr));
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const json_t *sources = json_object_get(field, "source-ids");
        bool several = !json_object_get(field, "source-id") && json_array_size(sources) > 0;
        if (!several)
            WEIR_TRY(metadata_int32(field, "source-id", &all[i].source_id, reterr));
        all[i].field_id = 1000 + (int32_t)i; /* what v1 left unsaid */
        if (json_object_get(field, "field-id"))
            WEIR_TRY(metadata_int32(field, "field-id", &all[i].field_id, reterr));
        WEIR_TRY(metadata_text(field, "name", &all[i].name, reterr));
        WEIR_TRY(metadata_text(field, "transform", &all[i].transform, reterr));
        if (several) /* v3: of several columns; no one's transform, so nothing is concluded from it
                      */
            all[i].transform = "several columns";
    }
    spec->fields = all;
    spec->field_count = count;
    return WEIR_OK;
}

static weir_status read_specs(struct weir_metadata *metadata, struct weir_error *reterr)
{
    const json_t *specs = json_object_get(metadata->document, "partition-specs");
    bool is_list = json_is_array(specs);
    size_t count = is_list ? json_array_size(specs) : 1;
    int32_t default_id = 0;
    WEIR_TRY(weir_arena_zero(&metadata->arena, count, sizeof *metadata->specs, &metadata->specs,
                             reterr));
    metadata->spec_count = count;
    if (!is_list)
        return read_spec_fields(metadata, json_object_get(metadata->document, "partition-spec"),
                                &metadata->specs[0], reterr);
    WEIR_TRY(metadata_int32(metadata->document, "default-spec-id", &default_id, reterr));
    metadata->default_spec = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *spec = json_array_get(specs, i);
        WEIR_TRY(metadata_int32(spec, "spec-id", &metadata->specs[i].id, reterr));
        WEIR_TRY(read_spec_fields(metadata, json_object_get(spec, "fields"), &metadata->specs[i],
                                  reterr));
        if (metadata->specs[i].id == default_id)
            metadata->default_spec = i;
    }
    return metadata->default_spec < count
               ? WEIR_OK
               : weir_fail(reterr, WEIR_CORRUPT, "default-spec-id %d names no partition spec",
                           default_id);
}

static weir_status read_snapshot(const json_t *json, struct weir_snapshot *snapshot,
                                 struct weir_error *reterr)
{
    WEIR_TRY(metadata_int64(json, "snapshot-id", &snapshot->id, reterr));
    WEIR_TRY(metadata_int64(json, "timestamp-ms", &snapshot->timestamp_ms, reterr));
    snapshot->parent_id = -1;
    if (json_is_integer(json_object_get(json, "parent-snapshot-id")))
        snapshot->parent_id = json_integer_value(json_object_get(json, "parent-snapshot-id"));
    if (json_object_get(json, "sequence-number"))
        WEIR_TRY(metadata_int64(json, "sequence-number", &snapshot->sequence_number, reterr));
    snapshot->schema_id = -1;
    if (json_is_integer(json_object_get(json, "schema-id")))
        WEIR_TRY(metadata_int32(json, "schema-id", &snapshot->schema_id, reterr));
    snapshot->manifest_list = json_string_value(json_object_get(json, "manifest-list"));
    snapshot->manifest_list = snapshot->manifest_list ? snapshot->manifest_list
                                                      : ""; /* v1 may list manifests instead */
    const json_t *manifests = json_object_get(json, "manifests");
    snapshot->manifests = *snapshot->manifest_list || !json_is_array(manifests) ? NULL : manifests;
    snapshot->summary = json_object_get(json, "summary");
    const char *operation = json_string_value(json_object_get(snapshot->summary, "operation"));
    snapshot->operation = operation ? operation : "";
    return WEIR_OK;
}

static int compare_snapshots(const void *a, const void *b)
{
    int64_t x = ((const struct weir_snapshot *)a)->id, y = ((const struct weir_snapshot *)b)->id;
    return (x > y) - (x < y);
}

static weir_status read_snapshots(struct weir_metadata *metadata, struct weir_error *reterr)
{
    const json_t *snapshots = json_object_get(metadata->document, "snapshots");
    if (snapshots && !json_is_null(snapshots) && !json_is_array(snapshots))
        return weir_fail(reterr, WEIR_CORRUPT, "\"snapshots\" is no list");
    size_t count = json_array_size(snapshots);
    WEIR_TRY(weir_arena_zero(&metadata->arena, count, sizeof *metadata->snapshots,
                             &metadata->snapshots, reterr));
    for (size_t i = 0; i < count; i++) {
        weir_status status = read_snapshot(json_array_get(snapshots, i), &metadata->snapshots[i],
                                           reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "snapshot %zu", i);
            return status;
        }
    }
    qsort(metadata->snapshots, count, sizeof *metadata->snapshots, compare_snapshots);
    for (size_t i = 1; i < count; i++)
        if (metadata->snapshots[i].id == metadata->snapshots[i - 1].id)
            return weir_fail(reterr, WEIR_CORRUPT, "snapshot %lld is listed twice",
                             (long long)metadata->snapshots[i].id);
    metadata->snapshot_count = count;
    return WEIR_OK;
}

static weir_status check_refs(struct weir_metadata *metadata, struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(metadata->document, "refs"), name, value)
    {
        int64_t id;
        WEIR_TRY(metadata_int64(value, "snapshot-id", &id, reterr));
        if (!weir_metadata_snapshot(metadata, id, &snapshot))
            return weir_fail(reterr, WEIR_CORRUPT,
                             "ref %.100s names snapshot %lld, which is not there", name,
                             (long long)id);
    }
    int64_t main_id;
    if (weir_metadata_ref(metadata, "main", &main_id) &&
        !weir_metadata_snapshot(metadata, main_id, &snapshot))
        return weir_fail(reterr, WEIR_CORRUPT, "current-snapshot-id %lld is not there",
                         (long long)main_id);
    return WEIR_OK;
}

static weir_status read_views(struct weir_metadata *metadata, struct weir_error *reterr)
{
    const json_t *document = metadata->document;
    if (!json_is_object(document))
        return weir_fail(reterr, WEIR_CORRUPT, "the document is no object");
    WEIR_TRY(metadata_int32(document, "format-version", &metadata->format_version, reterr));
    if (metadata->format_version < 1 || metadata->format_version > 3)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "format version %d", metadata->format_version);
    bool v2 = metadata->format_version >= 2;
    WEIR_TRY(metadata_text(document, "location", &metadata->location, reterr));
    metadata->uuid = "";
    if (v2 || json_object_get(document, "table-uuid"))
        WEIR_TRY(metadata_text(document, "table-uuid", &metadata->uuid, reterr));
    if (v2)
        WEIR_TRY(metadata_int64(document, "last-sequence-number", &metadata->last_sequence_number,
                                reterr));
    WEIR_TRY(metadata_int64(document, "last-updated-ms", &metadata->last_updated_ms, reterr));
    WEIR_TRY(metadata_int32(document, "last-column-id", &metadata->last_column_id, reterr));
    WEIR_TRY(read_schema(metadata, reterr));
    WEIR_TRY(read_specs(metadata, reterr));
    WEIR_TRY(read_snapshots(metadata, reterr));
    return check_refs(metadata, reterr);
}

weir_status metadata_from_document(struct weir_account *account, json_t *document, size_t size,
                                   struct weir_metadata **ret_metadata, struct weir_error *reterr)
{
    struct weir_metadata *metadata;
    weir_status status = weir_alloc_zero(account, 1, sizeof *metadata, &metadata, reterr);
    if (status != WEIR_OK) {
        json_decref(document);
        return status;
    }
    metadata->account = account;
    metadata->document = document;
    weir_arena_init(&metadata->arena, account);
    WEIR_TRY_OUT(status, weir_account_charge(account, size * DOCUMENT_COST, reterr));
    metadata->charged = size * DOCUMENT_COST;
    WEIR_TRY_OUT(status, read_views(metadata, reterr));
    *ret_metadata = metadata;
    return WEIR_OK;
out:
    weir_error_prefix(reterr, "table metadata");
    weir_metadata_free(metadata);
    return status;
}

weir_status weir_metadata_parse(struct weir_account *account, const void *text, size_t size,
                                struct weir_metadata **ret_metadata, struct weir_error *reterr)
{
    json_error_t error;
    if (size > WEIR_METADATA_SIZE_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "table metadata of %zu bytes", size);
    json_t *document = json_loadb(text, size, 0, &error);
    if (!document)
        return weir_fail(reterr, WEIR_CORRUPT, "table metadata: line %d, column %d: %s", error.line,
                         error.column, error.text);
    return metadata_from_document(account, document, size, ret_metadata, reterr);
}

weir_status weir_metadata_adopt(struct weir_account *account, json_t *document, size_t size,
                                struct weir_metadata **ret_metadata, struct weir_error *reterr)
{
    return metadata_from_document(account, document, size, ret_metadata, reterr);
}

static int write_piece(const char *piece, size_t size, void *argument)
{
    return weir_buffer_append(argument, piece, size, NULL) == WEIR_OK ? 0 : -1;
}

weir_status weir_metadata_write(const struct weir_metadata *metadata, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    if (json_dump_callback(metadata->document, write_piece, out, JSON_COMPACT) != 0)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory to write table metadata");
    return WEIR_OK;
}

void weir_metadata_free(struct weir_metadata *metadata)
{
    if (!metadata)
        return;
    json_decref(metadata->document);
    weir_account_release(metadata->account, metadata->charged);
    weir_arena_done(&metadata->arena);
    weir_free(metadata);
}

const json_t *weir_metadata_document(const struct weir_metadata *metadata)
{
    return metadata->document;
}
const char *weir_metadata_uuid(const struct weir_metadata *metadata)
{
    return metadata->uuid;
}
const char *weir_metadata_location(const struct weir_metadata *metadata)
{
    return metadata->location;
}
int64_t weir_metadata_last_sequence_number(const struct weir_metadata *metadata)
{
    return metadata->last_sequence_number;
}
int64_t weir_metadata_last_updated_ms(const struct weir_metadata *metadata)
{
    return metadata->last_updated_ms;
}
int32_t weir_metadata_last_column_id(const struct weir_metadata *metadata)
{
    return metadata->last_column_id;
}
const struct weir_schema *weir_metadata_schema(const struct weir_metadata *metadata)
{
    return &metadata->schema;
}

int32_t weir_metadata_format_version(const struct weir_metadata *metadata)
{
    return metadata->format_version;
}

const json_t *weir_metadata_schema_json(const struct weir_metadata *metadata, int32_t id)
{
    const json_t *schemas = json_object_get(metadata->document, "schemas");
    const json_t *current = json_object_get(metadata->document, "current-schema-id");
    if (!json_is_array(schemas)) /* v1 */
        return json_object_get(metadata->document, "schema");
    return metadata_member(schemas, "schema-id", id == -1 ? json_integer_value(current) : id);
}

const struct weir_snapshot *weir_metadata_snapshots(const struct weir_metadata *metadata,
                                                    size_t *ret_count)
{
    *ret_count = metadata->snapshot_count;
    return metadata->snapshots;
}

const struct weir_partition_spec *weir_metadata_specs(const struct weir_metadata *metadata,
                                                      size_t *ret_count)
{
    *ret_count = metadata->spec_count;
    return metadata->specs;
}

const char *weir_metadata_property(const struct weir_metadata *metadata, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(metadata->document, "properties"), key));
}

const struct weir_partition_spec *weir_metadata_spec(const struct weir_metadata *metadata)
{
    return &metadata->specs[metadata->default_spec];
}

const struct weir_partition_spec *weir_metadata_spec_by_id(const struct weir_metadata *metadata,
                                                           int32_t id)
{
    for (size_t i = 0; i < metadata->spec_count; i++)
        if (metadata->specs[i].id == id)
            return &metadata->specs[i];
    return NULL;
}

bool weir_metadata_snapshot(const struct weir_metadata *metadata, int64_t id,
                            struct weir_snapshot *ret_snapshot)
{
    struct weir_snapshot key = {.id = id};
    if (metadata->snapshot_count == 0)
        return false;
    const struct weir_snapshot *found = bsearch(&key, metadata->snapshots, metadata->snapshot_count,
                                                sizeof key, compare_snapshots);
    if (found)
        *ret_snapshot = *found;
    return found != NULL;
}

bool weir_metadata_ref(const struct weir_metadata *metadata, const char *ref,
                       int64_t *ret_snapshot_id)
{
    const json_t *id = json_object_get(
        json_object_get(json_object_get(metadata->document, "refs"), ref), "snapshot-id");
    if (!id && strcmp(ref, "main") == 0) /* v1, and v2 writers that leave refs out */
        id = json_object_get(metadata->document, "current-snapshot-id");
    if (!json_is_integer(id) || json_integer_value(id) == -1)
        return false;
    *ret_snapshot_id = json_integer_value(id);
    return true;
}

bool weir_metadata_is_ancestor(const struct weir_metadata *metadata, int64_t ancestor,
                               int64_t descendant)
{
    struct weir_snapshot snapshot;
    int64_t at = descendant;
    for (size_t steps = 0; steps <= metadata->snapshot_count; steps++) {
        if (!weir_metadata_snapshot(metadata, at, &snapshot))
            return false;
        if (at == ancestor)
            return true;
        at = snapshot.parent_id;
    }
    return false; /* parents that go round in a circle */
}
