/* Manifests and manifest lists, written. Spec: Iceberg "Manifests", "Manifest Lists", and "Appendix
 * A: Avro" for schemas, names and field ids; where the spec leaves a name open (r2, k117_v118, ...)
 * it is the Java library's. */
#include "formats/iceberg/manifest.h"

#include "formats/avro/avro.h"
#include "formats/iceberg/value_int.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define OPTIONAL(name, type, id) \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" id "}"
#define REQUIRED(name, type, id) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" id "}"
#define INT "\"int\""
#define LONG "\"long\""
#define TEXT "\"string\""
#define BINARY "\"bytes\""
#define PAIRS(key_id, value_id, value_type) \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" key_id "_v" value_id "\"," \
    "\"fields\":[" REQUIRED("key", INT, key_id) "," REQUIRED("value", value_type, value_id) "]}," \
    "\"logicalType\":\"map\"}"
#define LIST(element_id, type) \
    "{\"type\":\"array\",\"items\":" type ",\"element-id\":" element_id "}"

static const char entry_schema_head[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    REQUIRED("status", INT, "0") ","
    OPTIONAL("snapshot_id", LONG, "1") ","
    OPTIONAL("sequence_number", LONG, "3") ","
    OPTIONAL("file_sequence_number", LONG, "4") ","
    "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\","
    "\"fields\":["
    REQUIRED("content", INT, "134") ","
    REQUIRED("file_path", TEXT, "100") ","
    REQUIRED("file_format", TEXT, "101") ","
    "{\"name\":\"partition\",\"field-id\":102,\"type\":{\"type\":\"record\",\"name\":\"r102\","
    "\"fields\":[";
static const char entry_schema_tail[] =
    "]}},"
    REQUIRED("record_count", LONG, "103") ","
    REQUIRED("file_size_in_bytes", LONG, "104") ","
    OPTIONAL("column_sizes", PAIRS("117", "118", LONG), "108") ","
    OPTIONAL("value_counts", PAIRS("119", "120", LONG), "109") ","
    OPTIONAL("null_value_counts", PAIRS("121", "122", LONG), "110") ","
    OPTIONAL("nan_value_counts", PAIRS("138", "139", LONG), "137") ","
    OPTIONAL("lower_bounds", PAIRS("126", "127", BINARY), "125") ","
    OPTIONAL("upper_bounds", PAIRS("129", "130", BINARY), "128") ","
    OPTIONAL("key_metadata", BINARY, "131") ","
    OPTIONAL("split_offsets", LIST("133", LONG), "132") ","
    OPTIONAL("equality_ids", LIST("136", INT), "135") ","
    OPTIONAL("sort_order_id", INT, "140") ","
    OPTIONAL("referenced_data_file", TEXT, "143")
    "]}}]}";

#define SUMMARY \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":[" \
    REQUIRED("contains_null", "\"boolean\"", "509") "," \
    OPTIONAL("contains_nan", "\"boolean\"", "518") "," \
    OPTIONAL("lower_bound", BINARY, "510") "," \
    OPTIONAL("upper_bound", BINARY, "511") \
    "]},\"element-id\":508}"

static const char list_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
    REQUIRED("manifest_path", TEXT, "500") ","
    REQUIRED("manifest_length", LONG, "501") ","
    REQUIRED("partition_spec_id", INT, "502") ","
    REQUIRED("content", INT, "517") ","
    REQUIRED("sequence_number", LONG, "515") ","
    REQUIRED("min_sequence_number", LONG, "516") ","
    REQUIRED("added_snapshot_id", LONG, "503") ","
    REQUIRED("added_files_count", INT, "504") ","
    REQUIRED("existing_files_count", INT, "505") ","
    REQUIRED("deleted_files_count", INT, "506") ","
    REQUIRED("added_rows_count", LONG, "512") ","
    REQUIRED("existing_rows_count", LONG, "513") ","
    REQUIRED("deleted_rows_count", LONG, "514") ","
    OPTIONAL("partitions", SUMMARY, "507") ","
    OPTIONAL("key_metadata", BINARY, "519")
    "]}";
/* clang-format on */

/* A marker that differs from file to file: a sum of its names and numbers (splitmix64). Readers
 * only compare it. */
static void make_sync(uint8_t sync[16], int64_t snapshot_id, int64_t salt)
{
    uint64_t state = (uint64_t)snapshot_id * 0x9e3779b97f4a7c15u ^ (uint64_t)salt;
    for (int i = 0; i < 2; i++) {
        state += 0x9e3779b97f4a7c15u;
        uint64_t mixed = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
        mixed ^= mixed >> 31;
        memcpy(sync + 8 * i, &mixed, 8);
    }
}

static weir_status put_branch(struct weir_buffer *out, bool there, struct weir_error *reterr)
{
    return weir_avro_put_long(out, there, reterr);
}

static weir_status put_optional_long(struct weir_buffer *out, int64_t value, bool there,
                                     struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, there, reterr));
    return there ? weir_avro_put_long(out, value, reterr) : WEIR_OK;
}

static weir_status put_optional_bytes(struct weir_buffer *out, const struct weir_bytes *bytes,
                                      struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, bytes->data != NULL, reterr));
    return bytes->data ? weir_avro_put_bytes(out, bytes->data, bytes->size, reterr) : WEIR_OK;
}

static weir_status put_text(struct weir_buffer *out, const char *text, struct weir_error *reterr)
{
    return weir_avro_put_bytes(out, text, strlen(text), reterr);
}

/* ---- partition columns ---------------------------------------------------------------------- */

/* Avro names know letters, digits and '_': others are spelt _xHEX, as Java does. */
static weir_status print_avro_name(struct weir_buffer *out, const char *name,
                                   struct weir_error *reterr)
{
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        bool digit = *at >= '0' && *at <= '9', letter = (*at | 32) >= 'a' && (*at | 32) <= 'z';
        if (letter || *at == '_' || (digit && at != (const unsigned char *)name))
            WEIR_TRY(weir_buffer_print(out, reterr, "%c", *at));
        else
            WEIR_TRY(weir_buffer_print(out, reterr, digit ? "_%c" : "_x%X", *at));
    }
    return WEIR_OK;
}

static weir_status print_avro_type(struct weir_buffer *out, const struct weir_type *type,
                                   int32_t field_id, struct weir_error *reterr)
{
    static const char *const plain[WEIR_TYPE_COUNT] = {
        [WEIR_BOOLEAN] = "\"boolean\"",
        [WEIR_INT] = "\"int\"",
        [WEIR_LONG] = "\"long\"",
        [WEIR_FLOAT] = "\"float\"",
        [WEIR_DOUBLE] = "\"double\"",
        [WEIR_STRING] = "\"string\"",
        [WEIR_BINARY] = "\"bytes\"",
        [WEIR_DATE] = "{\"type\":\"int\",\"logicalType\":\"date\"}",
        [WEIR_TIME] = "{\"type\":\"long\",\"logicalType\":\"time-micros\"}",
        [WEIR_TIMESTAMP] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":false}",
        [WEIR_TIMESTAMPTZ] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":true}",
    };
    switch (type->id) {
    case WEIR_DECIMAL: /* the field id keeps two of one type apart: Avro names are defined once */
        return weir_buffer_print(out, reterr,
                                 "{\"type\":\"fixed\",\"name\":\"decimal_%d_%d_f%d\",\"size\":%zu,"
                                 "\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
                                 type->precision, type->scale, field_id,
                                 value_decimal_width(type->precision), type->precision,
                                 type->scale);
    case WEIR_UUID:
        return weir_buffer_print(
            out, reterr,
            "{\"type\":\"fixed\",\"name\":\"uuid_fixed_f%d\",\"size\":16,\"logicalType\":\"uuid\"}",
            field_id);
    case WEIR_FIXED:
        return weir_buffer_print(out, reterr,
                                 "{\"type\":\"fixed\",\"name\":\"fixed_%u_f%d\",\"size\":%u}",
                                 type->length, field_id, type->length);
    default: return weir_buffer_print(out, reterr, "%s", plain[type->id]);
    }
}

static weir_status print_entry_schema(struct weir_buffer *out,
                                      const struct weir_partition_spec *spec,
                                      const struct weir_type *types, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(out, entry_schema_head, sizeof entry_schema_head - 1, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct weir_partition_field *field = &spec->fields[i];
        json_t *json = json_string(field->name);
        char *quoted = json_dumps(json, JSON_ENCODE_ANY);
        json_decref(json);
        weir_status status = quoted ? WEIR_OK
                                    : weir_fail(reterr, WEIR_USAGE,
                                                "the name of partition field %d is no UTF-8",
                                                field->field_id);
        if (status == WEIR_OK)
            status = weir_buffer_print(out, reterr, "%s{\"iceberg-field-name\":%s,\"name\":\"",
                                       i ? "," : "", quoted);
        free(quoted);
        WEIR_TRY(status);
        WEIR_TRY(print_avro_name(out, field->name, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, "\",\"type\":[\"null\","));
        WEIR_TRY(print_avro_type(out, &types[i], field->field_id, reterr));
        WEIR_TRY(
            weir_buffer_print(out, reterr, "],\"default\":null,\"field-id\":%d}", field->field_id));
    }
    return weir_buffer_append(out, entry_schema_tail, sizeof entry_schema_tail,
                              reterr); /* with its NUL */
}

/* The types of partition values. A source column that is gone leaves a type only where the
 * transform fixes it. */
static weir_status partition_types(struct weir_arena *arena, const struct weir_schema *schema,
                                   const struct weir_partition_spec *spec,
                                   struct weir_type **ret_types, struct weir_error *reterr)
{
    struct weir_type *types;
    WEIR_TRY(weir_arena_zero(arena, spec->field_count, sizeof *types, &types, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct weir_partition_field *field = &spec->fields[i];
        const struct weir_field *source = weir_type_by_id(&schema->root, field->source_id);
        static const struct weir_type timestamp = {.id = WEIR_TIMESTAMP},
                                      binary = {.id = WEIR_BINARY};
        bool by_time = strcmp(field->transform, "year") == 0 ||
                       strcmp(field->transform, "month") == 0 ||
                       strcmp(field->transform, "day") == 0 ||
                       strcmp(field->transform, "hour") == 0;
        const struct weir_type *type = source ? &source->type : by_time ? &timestamp : &binary;
        if (!source && (strcmp(field->transform, "identity") == 0 ||
                        strncmp(field->transform, "truncate", 8) == 0))
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "partition field %.100s: its column %d is gone, and with it its type",
                             field->name, field->source_id);
        WEIR_TRY(weir_transform_result_type(field->transform, type, &types[i], reterr));
    }
    *ret_types = types;
    return WEIR_OK;
}

static weir_status put_partition_value(struct weir_buffer *out, const struct weir_type *type,
                                       const struct weir_bytes *value, struct weir_error *reterr)
{
    int64_t whole;
    double real;
    float single;
    uint8_t wide[16];
    size_t size = type->id == WEIR_DECIMAL ? value_decimal_width(type->precision)
                  : type->id == WEIR_UUID  ? 16
                                           : type->length;
    switch (type->id) {
    case WEIR_INT:
    case WEIR_DATE:
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        if (!value_integer(value, &whole))
            break;
        return weir_avro_put_long(out, whole, reterr);
    case WEIR_FLOAT:
    case WEIR_DOUBLE:
        if (!value_real(value, &real))
            break;
        single = (float)real;
        return type->id == WEIR_FLOAT ? weir_avro_put_raw(out, &single, 4, reterr)
                                      : weir_avro_put_raw(out, &real, 8, reterr);
    case WEIR_STRING:
    case WEIR_BINARY: return weir_avro_put_bytes(out, value->data, value->size, reterr);
    case WEIR_BOOLEAN:
        if (value->size != 1 || value->data[0] > 1)
            break;
        return weir_avro_put_raw(out, value->data, 1, reterr);
    case WEIR_DECIMAL:
        if (value->size < 1 || value->size > size)
            break;
        memset(wide, value->data[0] >> 7 ? 0xff : 0, sizeof wide);
        memcpy(wide + size - value->size, value->data, value->size);
        return weir_avro_put_raw(out, wide, size, reterr);
    default:
        if (value->size != size)
            break;
        return weir_avro_put_raw(out, value->data, size, reterr);
    }
    return weir_fail(reterr, WEIR_INTERNAL, "a partition value of %zu bytes is no %s", value->size,
                     weir_type_name(type->id));
}

/* ---- entries -------------------------------------------------------------------------------- */

static weir_status put_counts(struct weir_buffer *out, const struct weir_id_count *counts,
                              size_t count, struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, count > 0, reterr));
    if (count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_avro_put_long(out, (int64_t)count, reterr));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(weir_avro_put_long(out, counts[i].id, reterr));
        WEIR_TRY(weir_avro_put_long(out, counts[i].count, reterr));
    }
    return weir_avro_put_long(out, 0, reterr);
}

static weir_status put_bounds(struct weir_buffer *out, const struct weir_id_bound *bounds,
                              size_t count, struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, count > 0, reterr));
    if (count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_avro_put_long(out, (int64_t)count, reterr));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(weir_avro_put_long(out, bounds[i].id, reterr));
        WEIR_TRY(weir_avro_put_bytes(out, bounds[i].bound.data, bounds[i].bound.size, reterr));
    }
    return weir_avro_put_long(out, 0, reterr);
}

static weir_status put_lists(struct weir_buffer *out, const struct weir_data_file *file,
                             struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, file->split_count > 0, reterr));
    if (file->split_count) {
        WEIR_TRY(weir_avro_put_long(out, (int64_t)file->split_count, reterr));
        for (size_t i = 0; i < file->split_count; i++)
            WEIR_TRY(weir_avro_put_long(out, file->split_offsets[i], reterr));
        WEIR_TRY(weir_avro_put_long(out, 0, reterr));
    }
    WEIR_TRY(put_branch(out, file->equality_id_count > 0, reterr));
    if (file->equality_id_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_avro_put_long(out, (int64_t)file->equality_id_count, reterr));
    for (size_t i = 0; i < file->equality_id_count; i++)
        WEIR_TRY(weir_avro_put_long(out, file->equality_ids[i], reterr));
    return weir_avro_put_long(out, 0, reterr);
}

static weir_status put_file(struct weir_buffer *out, const struct weir_data_file *file,
                            const struct weir_partition_spec *spec, const struct weir_type *types,
                            struct weir_error *reterr)
{
    WEIR_TRY(weir_avro_put_long(out, file->content, reterr));
    WEIR_TRY(put_text(out, file->path, reterr));
    WEIR_TRY(put_text(out, file->format, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        WEIR_TRY(put_branch(out, file->partition[i].data != NULL, reterr));
        if (file->partition[i].data)
            WEIR_TRY(put_partition_value(out, &types[i], &file->partition[i], reterr));
    }
    WEIR_TRY(weir_avro_put_long(out, file->record_count, reterr));
    WEIR_TRY(weir_avro_put_long(out, file->file_size, reterr));
    WEIR_TRY(put_counts(out, file->column_sizes, file->column_size_count, reterr));
    WEIR_TRY(put_counts(out, file->value_counts, file->value_count_count, reterr));
    WEIR_TRY(put_counts(out, file->null_counts, file->null_count_count, reterr));
    WEIR_TRY(put_counts(out, file->nan_counts, file->nan_count_count, reterr));
    WEIR_TRY(put_bounds(out, file->lower, file->lower_count, reterr));
    WEIR_TRY(put_bounds(out, file->upper, file->upper_count, reterr));
    WEIR_TRY(put_optional_bytes(out, &file->key_metadata, reterr));
    WEIR_TRY(put_lists(out, file, reterr));
    WEIR_TRY(put_optional_long(out, file->sort_order_id, file->sort_order_id != -1, reterr));
    WEIR_TRY(put_branch(out, file->referenced_data_file != NULL, reterr));
    return file->referenced_data_file ? put_text(out, file->referenced_data_file, reterr) : WEIR_OK;
}

static weir_status put_entry(struct weir_buffer *out, const struct weir_manifest_entry *entry,
                             const struct weir_partition_spec *spec, const struct weir_type *types,
                             struct weir_error *reterr)
{
    bool inherits = entry->sequence_number == -1 || entry->file_sequence_number == -1;
    if (inherits && entry->status != WEIR_ENTRY_ADDED)
        return weir_fail(reterr, WEIR_INTERNAL,
                         "manifest entry %.300s: only added files inherit sequence numbers",
                         entry->file.path);
    if (spec->field_count && !entry->file.partition)
        return weir_fail(reterr, WEIR_INTERNAL, "manifest entry %.300s has no partition values",
                         entry->file.path);
    WEIR_TRY(weir_avro_put_long(out, entry->status, reterr));
    WEIR_TRY(put_optional_long(out, entry->snapshot_id, entry->snapshot_id != -1, reterr));
    WEIR_TRY(put_optional_long(out, entry->sequence_number, entry->sequence_number != -1, reterr));
    WEIR_TRY(put_optional_long(out, entry->file_sequence_number, entry->file_sequence_number != -1,
                               reterr));
    return put_file(out, &entry->file, spec, types, reterr);
}

/* ---- summary of a manifest ------------------------------------------------------------------ */

static void summarise_value(const struct weir_type *type, const struct weir_bytes *value,
                            struct weir_field_summary *summary)
{
    double real;
    if (!value->data) {
        summary->contains_null = true;
        return;
    }
    if ((type->id == WEIR_FLOAT || type->id == WEIR_DOUBLE) && value_real(value, &real) &&
        isnan(real)) {
        summary->contains_nan = 1;
        return;
    }
    if (!summary->lower.data || value_compare(type, value, &summary->lower) < 0)
        summary->lower = *value;
    if (!summary->upper.data || value_compare(type, value, &summary->upper) > 0)
        summary->upper = *value;
}

static weir_status keep(struct weir_arena *arena, struct weir_bytes *bytes,
                        struct weir_error *reterr)
{
    char *copy;
    if (!bytes->data)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(arena, bytes->data, bytes->size, &copy, reterr));
    bytes->data = (const uint8_t *)copy;
    return WEIR_OK;
}

static weir_status summarise(struct weir_arena *arena, const struct weir_manifest_entry *entries,
                             size_t count, const struct weir_type *types,
                             struct weir_manifest *manifest, struct weir_error *reterr)
{
    struct weir_field_summary *summaries;
    WEIR_TRY(
        weir_arena_zero(arena, manifest->partition_count, sizeof *summaries, &summaries, reterr));
    manifest->min_sequence_number = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct weir_manifest_entry *entry = &entries[i];
        int32_t *files = entry->status == WEIR_ENTRY_ADDED      ? &manifest->added_files
                         : entry->status == WEIR_ENTRY_EXISTING ? &manifest->existing_files
                                                                : &manifest->deleted_files;
        int64_t *rows = entry->status == WEIR_ENTRY_ADDED      ? &manifest->added_rows
                        : entry->status == WEIR_ENTRY_EXISTING ? &manifest->existing_rows
                                                               : &manifest->deleted_rows;
        int64_t number = entry->sequence_number == -1 ? manifest->sequence_number
                                                      : entry->sequence_number;
        ++*files;
        *rows += entry->file.record_count;
        if (entry->status != WEIR_ENTRY_DELETED && number < manifest->min_sequence_number)
            manifest->min_sequence_number = number;
        for (size_t j = 0; j < manifest->partition_count; j++)
            summarise_value(&types[j], &entry->file.partition[j], &summaries[j]);
    }
    if (manifest->min_sequence_number == INT64_MAX)
        manifest->min_sequence_number = manifest->sequence_number;
    for (size_t j = 0; j < manifest->partition_count; j++) {
        WEIR_TRY(keep(arena, &summaries[j].lower, reterr));
        WEIR_TRY(keep(arena, &summaries[j].upper, reterr));
    }
    manifest->partitions = summaries;
    return WEIR_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* JSON text into the arena. Takes the JSON. */
static weir_status dump(struct weir_arena *arena, json_t *json, char **ret_text,
                        struct weir_error *reterr)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a JSON text");
    weir_status status = weir_arena_copy(arena, text, strlen(text), ret_text, reterr);
    free(text);
    return status;
}

static weir_status write_entries(struct weir_arena *arena, const struct weir_schema *schema,
                                 const struct weir_partition_spec *spec,
                                 const struct weir_type *types, struct weir_manifest *manifest,
                                 const struct weir_manifest_entry *entries, size_t count,
                                 struct weir_buffer *out, struct weir_buffer *avro_schema,
                                 struct weir_error *reterr)
{
    json_t *schema_json, *spec_json;
    char *schema_text, *fields_text, *spec_id, *schema_id;
    WEIR_TRY(weir_schema_to_json(schema, &schema_json, reterr));
    WEIR_TRY(dump(arena, schema_json, &schema_text, reterr));
    WEIR_TRY(weir_partition_spec_to_json(spec, &spec_json, reterr));
    json_t *fields_json = json_incref(json_object_get(spec_json, "fields"));
    json_decref(spec_json);
    WEIR_TRY(dump(arena, fields_json, &fields_text, reterr));
    WEIR_TRY(weir_arena_print(arena, &spec_id, reterr, "%d", spec->id));
    WEIR_TRY(weir_arena_print(arena, &schema_id, reterr, "%d", schema->id));
    WEIR_TRY(print_entry_schema(avro_schema, spec, types, reterr));
    const struct weir_avro_pair metadata[] = {
        {"schema", schema_text},         {"schema-id", schema_id},
        {"partition-spec", fields_text}, {"partition-spec-id", spec_id},
        {"format-version", "2"},         {"content", manifest->content ? "deletes" : "data"},
    };
    uint8_t sync[16];
    make_sync(sync, manifest->added_snapshot_id, (int64_t)count * 31 + spec->id);
    struct weir_avro_writer writer;
    weir_status status;
    WEIR_TRY_OUT(status,
                 weir_avro_writer_begin(&writer, out, (const char *)avro_schema->data, metadata,
                                        sizeof metadata / sizeof *metadata, true, sync, reterr));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY_OUT(status, put_entry(&writer.block, &entries[i], spec, types, reterr));
        WEIR_TRY_OUT(status, weir_avro_writer_record(&writer, reterr));
    }
    status = weir_avro_writer_finish(&writer, reterr);
out:
    weir_avro_writer_done(&writer);
    return status;
}

weir_status weir_manifest_write(struct weir_arena *arena, const struct weir_schema *schema,
                                const struct weir_partition_spec *spec, int content,
                                int64_t snapshot_id, int64_t sequence_number,
                                const struct weir_manifest_entry *entries, size_t count,
                                struct weir_buffer *out, struct weir_manifest *ret_manifest,
                                struct weir_error *reterr)
{
    struct weir_manifest manifest = {
        .spec_id = spec->id,
        .content = content,
        .sequence_number = sequence_number,
        .added_snapshot_id = snapshot_id,
        .partition_count = spec->field_count,
    };
    struct weir_type *types;
    size_t start = out->size;
    WEIR_TRY(partition_types(arena, schema, spec, &types, reterr));
    struct weir_buffer avro_schema;
    weir_buffer_init(&avro_schema, out->account);
    weir_status status = write_entries(arena, schema, spec, types, &manifest, entries, count, out,
                                       &avro_schema, reterr);
    weir_buffer_done(&avro_schema);
    WEIR_TRY(status);
    WEIR_TRY(summarise(arena, entries, count, types, &manifest, reterr));
    manifest.length = (int64_t)(out->size - start);
    *ret_manifest = manifest;
    return WEIR_OK;
}

static weir_status put_summaries(struct weir_buffer *out, const struct weir_manifest *manifest,
                                 struct weir_error *reterr)
{
    WEIR_TRY(put_branch(out, manifest->partition_count > 0, reterr));
    if (manifest->partition_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_avro_put_long(out, (int64_t)manifest->partition_count, reterr));
    for (size_t i = 0; i < manifest->partition_count; i++) {
        const struct weir_field_summary *summary = &manifest->partitions[i];
        uint8_t null = summary->contains_null, nan = summary->contains_nan == 1;
        WEIR_TRY(weir_avro_put_raw(out, &null, 1, reterr));
        WEIR_TRY(put_branch(out, summary->contains_nan != -1, reterr));
        if (summary->contains_nan != -1)
            WEIR_TRY(weir_avro_put_raw(out, &nan, 1, reterr));
        WEIR_TRY(put_optional_bytes(out, &summary->lower, reterr));
        WEIR_TRY(put_optional_bytes(out, &summary->upper, reterr));
    }
    return weir_avro_put_long(out, 0, reterr);
}

static weir_status put_manifest(struct weir_buffer *out, const struct weir_manifest *manifest,
                                struct weir_error *reterr)
{
    const int64_t numbers[] = {
        manifest->length,
        manifest->spec_id,
        manifest->content,
        manifest->sequence_number,
        manifest->min_sequence_number,
        manifest->added_snapshot_id,
        manifest->added_files,
        manifest->existing_files,
        manifest->deleted_files,
        manifest->added_rows,
        manifest->existing_rows,
        manifest->deleted_rows,
    };
    if (!manifest->path)
        return weir_fail(reterr, WEIR_INTERNAL, "a manifest without its path");
    WEIR_TRY(put_text(out, manifest->path, reterr));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        WEIR_TRY(weir_avro_put_long(out, numbers[i], reterr));
    WEIR_TRY(put_summaries(out, manifest, reterr));
    return put_branch(out, false, reterr); /* key_metadata: Weir does not encrypt */
}

weir_status weir_manifest_list_write(int64_t snapshot_id, int64_t parent_id,
                                     int64_t sequence_number, const struct weir_manifest *manifests,
                                     size_t count, struct weir_buffer *out,
                                     struct weir_error *reterr)
{
    char id[24], parent[24] = "null", number[24];
    snprintf(id, sizeof id, "%lld", (long long)snapshot_id);
    snprintf(number, sizeof number, "%lld", (long long)sequence_number);
    if (parent_id != -1)
        snprintf(parent, sizeof parent, "%lld", (long long)parent_id);
    const struct weir_avro_pair metadata[] = {{"snapshot-id", id},
                                              {"parent-snapshot-id", parent},
                                              {"sequence-number", number},
                                              {"format-version", "2"}};
    uint8_t sync[16];
    make_sync(sync, snapshot_id, sequence_number);
    struct weir_avro_writer writer;
    weir_status status;
    WEIR_TRY_OUT(
        status, weir_avro_writer_begin(&writer, out, list_schema, metadata, 4, true, sync, reterr));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY_OUT(status, put_manifest(&writer.block, &manifests[i], reterr));
        WEIR_TRY_OUT(status, weir_avro_writer_record(&writer, reterr));
    }
    status = weir_avro_writer_finish(&writer, reterr);
out:
    weir_avro_writer_done(&writer);
    return status;
}
