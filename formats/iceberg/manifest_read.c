/* Manifests and manifest lists of any writer, v1 and v2, read. Fields are found by id; by name
 * where a file has no ids. Spec: Iceberg "Manifests", "Manifest Lists", "Sequence Number
 * Inheritance". */
#include "formats/iceberg/manifest.h"

#include "formats/avro/avro.h"
#include "formats/iceberg/value_int.h"

#include <string.h>

enum entry_column {
    ENTRY_STATUS,
    ENTRY_SNAPSHOT,
    ENTRY_SEQUENCE,
    ENTRY_FILE_SEQUENCE,
    ENTRY_FILE,
    ENTRY_COUNT
};
enum file_column {
    FILE_CONTENT,
    FILE_PATH,
    FILE_FORMAT,
    FILE_PARTITION,
    FILE_RECORDS,
    FILE_SIZE,
    FILE_COLUMN_SIZES,
    FILE_VALUES,
    FILE_NULLS,
    FILE_NANS,
    FILE_LOWER,
    FILE_UPPER,
    FILE_KEY,
    FILE_SPLITS,
    FILE_EQUALITY,
    FILE_SORT_ORDER,
    FILE_REFERENCED,
    FILE_OFFSET,
    FILE_LENGTH,
    FILE_COUNT
};
enum list_column {
    LIST_PATH,
    LIST_LENGTH,
    LIST_SPEC,
    LIST_CONTENT,
    LIST_SEQUENCE,
    LIST_MIN_SEQUENCE,
    LIST_SNAPSHOT,
    LIST_ADDED_FILES,
    LIST_EXISTING_FILES,
    LIST_DELETED_FILES,
    LIST_ADDED_ROWS,
    LIST_EXISTING_ROWS,
    LIST_DELETED_ROWS,
    LIST_PARTITIONS,
    LIST_COUNT
};

struct column {
    int32_t id;
    const char *name;
    const char *old_name;
    bool required;
};

static const struct column entry_columns[ENTRY_COUNT] = {
    [ENTRY_STATUS] = {0, "status", NULL, true},
    [ENTRY_SNAPSHOT] = {1, "snapshot_id", NULL, false},
    [ENTRY_SEQUENCE] = {3, "sequence_number", NULL, false},
    [ENTRY_FILE_SEQUENCE] = {4, "file_sequence_number", NULL, false},
    [ENTRY_FILE] = {2, "data_file", NULL, true},
};
static const struct column file_columns[FILE_COUNT] = {
    [FILE_CONTENT] = {134, "content", NULL, false},
    [FILE_PATH] = {100, "file_path", NULL, true},
    [FILE_FORMAT] = {101, "file_format", NULL, true},
    [FILE_PARTITION] = {102, "partition", NULL, true},
    [FILE_RECORDS] = {103, "record_count", NULL, true},
    [FILE_SIZE] = {104, "file_size_in_bytes", NULL, true},
    [FILE_COLUMN_SIZES] = {108, "column_sizes", NULL, false},
    [FILE_VALUES] = {109, "value_counts", NULL, false},
    [FILE_NULLS] = {110, "null_value_counts", NULL, false},
    [FILE_NANS] = {137, "nan_value_counts", NULL, false},
    [FILE_LOWER] = {125, "lower_bounds", NULL, false},
    [FILE_UPPER] = {128, "upper_bounds", NULL, false},
    [FILE_KEY] = {131, "key_metadata", NULL, false},
    [FILE_SPLITS] = {132, "split_offsets", NULL, false},
    [FILE_EQUALITY] = {135, "equality_ids", NULL, false},
    [FILE_SORT_ORDER] = {140, "sort_order_id", NULL, false},
    [FILE_REFERENCED] = {143, "referenced_data_file", NULL, false},
    [FILE_OFFSET] = {144, "content_offset", NULL, false},
    [FILE_LENGTH] = {145, "content_size_in_bytes", NULL, false},
};
static const struct column list_columns[LIST_COUNT] = {
    [LIST_PATH] = {500, "manifest_path", NULL, true},
    [LIST_LENGTH] = {501, "manifest_length", NULL, true},
    [LIST_SPEC] = {502, "partition_spec_id", NULL, true},
    [LIST_CONTENT] = {517, "content", NULL, false},
    [LIST_SEQUENCE] = {515, "sequence_number", NULL, false},
    [LIST_MIN_SEQUENCE] = {516, "min_sequence_number", NULL, false},
    [LIST_SNAPSHOT] = {503, "added_snapshot_id", NULL, true},
    [LIST_ADDED_FILES] = {504, "added_files_count", "added_data_files_count", false},
    [LIST_EXISTING_FILES] = {505, "existing_files_count", "existing_data_files_count", false},
    [LIST_DELETED_FILES] = {506, "deleted_files_count", "deleted_data_files_count", false},
    [LIST_ADDED_ROWS] = {512, "added_rows_count", NULL, false},
    [LIST_EXISTING_ROWS] = {513, "existing_rows_count", NULL, false},
    [LIST_DELETED_ROWS] = {514, "deleted_rows_count", NULL, false},
    [LIST_PARTITIONS] = {507, "partitions", NULL, false},
};

struct manifest_reader {
    struct weir_arena *arena;  /* results */
    struct weir_arena scratch; /* one record's values */
    struct weir_error *reterr;
    size_t entry[ENTRY_COUNT], file[FILE_COUNT], list[LIST_COUNT];
};

/* Where the columns are in this file's record; fields nobody wants are marked to be stepped over.
 */
static weir_status resolve(struct weir_avro_type *record, const struct column *columns,
                           size_t count, size_t *positions, struct weir_error *reterr)
{
    if (record->kind != WEIR_AVRO_RECORD)
        return weir_fail(reterr, WEIR_CORRUPT, "a manifest's values are no records");
    for (size_t i = 0; i < record->field_count; i++)
        record->fields[i].skip = true;
    for (size_t i = 0; i < count; i++) {
        positions[i] = weir_avro_find(record, columns[i].id, columns[i].name);
        if (positions[i] == SIZE_MAX && columns[i].old_name)
            positions[i] = weir_avro_find(record, columns[i].id, columns[i].old_name);
        if (positions[i] != SIZE_MAX)
            record->fields[positions[i]].skip = false;
        else if (columns[i].required)
            return weir_fail(reterr, WEIR_CORRUPT, "a manifest without \"%s\"", columns[i].name);
    }
    return WEIR_OK;
}

/* The column's value, or NULL when the file has no such column or the value is null. */
static const struct weir_avro_value *get(const struct weir_avro_value *record, size_t position)
{
    if (position == SIZE_MAX || position >= record->as.list.count)
        return NULL;
    const struct weir_avro_value *value = &record->as.list.items[position];
    return value->type && value->type->kind != WEIR_AVRO_NULL ? value : NULL;
}

static weir_status wrong(struct manifest_reader *reader, const struct column *column)
{
    return weir_fail(reader->reterr, WEIR_CORRUPT,
                     "\"%s\" is null, of another type or out of range", column->name);
}

static weir_status get_long(struct manifest_reader *reader, const struct weir_avro_value *record,
                            const size_t *positions, const struct column *columns, size_t at,
                            int64_t otherwise, int64_t *ret_value)
{
    const struct weir_avro_value *value = get(record, positions[at]);
    if (!value && columns[at].required)
        return wrong(reader, &columns[at]);
    if (value && value->type->kind != WEIR_AVRO_INT && value->type->kind != WEIR_AVRO_LONG)
        return wrong(reader, &columns[at]);
    *ret_value = value ? value->as.integer : otherwise;
    return WEIR_OK;
}

static weir_status get_int(struct manifest_reader *reader, const struct weir_avro_value *record,
                           const size_t *positions, const struct column *columns, size_t at,
                           int32_t otherwise, int32_t *ret_value)
{
    int64_t value;
    WEIR_TRY(get_long(reader, record, positions, columns, at, otherwise, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return wrong(reader, &columns[at]);
    *ret_value = (int32_t)value;
    return WEIR_OK;
}

static bool is_bytes(const struct weir_avro_value *value)
{
    return value->type->kind == WEIR_AVRO_BYTES || value->type->kind == WEIR_AVRO_STRING ||
           value->type->kind == WEIR_AVRO_FIXED;
}

static weir_status copy_bytes(struct manifest_reader *reader, const struct weir_bytes *bytes,
                              struct weir_bytes *ret_bytes)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(reader->arena, bytes->data, bytes->size, &copy, reader->reterr));
    *ret_bytes = (struct weir_bytes){(const uint8_t *)copy, bytes->size};
    return WEIR_OK;
}

static weir_status get_bytes(struct manifest_reader *reader, const struct weir_avro_value *record,
                             const size_t *positions, const struct column *columns, size_t at,
                             struct weir_bytes *ret_bytes)
{
    const struct weir_avro_value *value = get(record, positions[at]);
    if (value ? !is_bytes(value) : columns[at].required)
        return wrong(reader, &columns[at]);
    if (!value)
        return WEIR_OK;
    return copy_bytes(reader, &value->as.bytes, ret_bytes);
}

static weir_status get_text(struct manifest_reader *reader, const struct weir_avro_value *record,
                            const size_t *positions, const struct column *columns, size_t at,
                            const char **ret_text)
{
    struct weir_bytes bytes = {0};
    WEIR_TRY(get_bytes(reader, record, positions, columns, at, &bytes));
    if (bytes.data && strlen((const char *)bytes.data) != bytes.size)
        return wrong(reader, &columns[at]);
    *ret_text = (const char *)bytes.data;
    return WEIR_OK;
}

/* ---- lists and maps of a data file ---------------------------------------------------------- */

/* key and value of element i of a map written as a list of records */
static bool pair_at(const struct weir_avro_value *map, size_t i,
                    const struct weir_avro_value **ret_key,
                    const struct weir_avro_value **ret_value)
{
    const struct weir_avro_value *item = &map->as.list.items[i];
    if (item->type->kind != WEIR_AVRO_RECORD)
        return false;
    size_t key = weir_avro_find(item->type, -1, "key"),
           value = weir_avro_find(item->type, -1, "value");
    *ret_key = get(item, key);
    *ret_value = get(item, value);
    return *ret_key && *ret_value && (*ret_key)->type->kind == WEIR_AVRO_INT;
}

static weir_status get_counts(struct manifest_reader *reader, const struct weir_avro_value *file,
                              enum file_column at, const struct weir_id_count **ret_counts,
                              size_t *ret_count)
{
    const struct weir_avro_value *map = get(file, reader->file[at]), *key, *value;
    struct weir_id_count *counts;
    if (!map || map->as.list.count == 0)
        return WEIR_OK;
    if (map->type->kind != WEIR_AVRO_ARRAY)
        return wrong(reader, &file_columns[at]);
    WEIR_TRY(weir_arena_zero(reader->arena, map->as.list.count, sizeof *counts, &counts,
                             reader->reterr));
    for (size_t i = 0; i < map->as.list.count; i++) {
        if (!pair_at(map, i, &key, &value) ||
            (value->type->kind != WEIR_AVRO_LONG && value->type->kind != WEIR_AVRO_INT))
            return wrong(reader, &file_columns[at]);
        counts[i] = (struct weir_id_count){(int32_t)key->as.integer, value->as.integer};
    }
    *ret_counts = counts;
    *ret_count = map->as.list.count;
    return WEIR_OK;
}

static weir_status get_bounds(struct manifest_reader *reader, const struct weir_avro_value *file,
                              enum file_column at, const struct weir_id_bound **ret_bounds,
                              size_t *ret_count)
{
    const struct weir_avro_value *map = get(file, reader->file[at]), *key, *value;
    struct weir_id_bound *bounds;
    if (!map || map->as.list.count == 0)
        return WEIR_OK;
    if (map->type->kind != WEIR_AVRO_ARRAY)
        return wrong(reader, &file_columns[at]);
    WEIR_TRY(weir_arena_zero(reader->arena, map->as.list.count, sizeof *bounds, &bounds,
                             reader->reterr));
    for (size_t i = 0; i < map->as.list.count; i++) {
        if (!pair_at(map, i, &key, &value) || !is_bytes(value))
            return wrong(reader, &file_columns[at]);
        bounds[i].id = (int32_t)key->as.integer;
        WEIR_TRY(copy_bytes(reader, &value->as.bytes, &bounds[i].bound));
    }
    *ret_bounds = bounds;
    *ret_count = map->as.list.count;
    return WEIR_OK;
}

static weir_status get_splits(struct manifest_reader *reader, const struct weir_avro_value *record,
                              struct weir_data_file *file)
{
    const struct weir_avro_value *list = get(record, reader->file[FILE_SPLITS]);
    int64_t *offsets;
    if (!list || list->type->kind != WEIR_AVRO_ARRAY)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(reader->arena, list->as.list.count, sizeof *offsets, &offsets,
                             reader->reterr));
    for (size_t i = 0; i < list->as.list.count; i++) {
        if (list->as.list.items[i].type->kind != WEIR_AVRO_LONG)
            return wrong(reader, &file_columns[FILE_SPLITS]);
        offsets[i] = list->as.list.items[i].as.integer;
    }
    file->split_offsets = offsets;
    file->split_count = list->as.list.count;
    return WEIR_OK;
}

static weir_status get_equality_ids(struct manifest_reader *reader,
                                    const struct weir_avro_value *record,
                                    struct weir_data_file *file)
{
    const struct weir_avro_value *list = get(record, reader->file[FILE_EQUALITY]);
    int32_t *ids;
    if (!list || list->type->kind != WEIR_AVRO_ARRAY)
        return WEIR_OK;
    WEIR_TRY(
        weir_arena_zero(reader->arena, list->as.list.count, sizeof *ids, &ids, reader->reterr));
    for (size_t i = 0; i < list->as.list.count; i++) {
        const struct weir_avro_value *id = &list->as.list.items[i];
        bool whole = id->type->kind == WEIR_AVRO_INT ||
                     id->type->kind == WEIR_AVRO_LONG; /* as pyiceberg writes them */
        if (!whole || id->as.integer < INT32_MIN || id->as.integer > INT32_MAX)
            return wrong(reader, &file_columns[FILE_EQUALITY]);
        ids[i] = (int32_t)id->as.integer;
    }
    file->equality_ids = ids;
    file->equality_id_count = list->as.list.count;
    return WEIR_OK;
}

/* ---- partition values ----------------------------------------------------------------------- */

/* An Avro value as a single value's bytes (Appendix D), into out or pointing at the value's own. */
static bool value_bytes(const struct weir_avro_value *value, uint8_t out[16],
                        struct weir_bytes *ret_bytes)
{
    int32_t narrow = (int32_t)0;
    float single;
    switch (value->type->kind) {
    case WEIR_AVRO_BOOLEAN:
        out[0] = value->as.boolean;
        *ret_bytes = (struct weir_bytes){out, 1};
        return true;
    case WEIR_AVRO_INT:
        narrow = (int32_t)value->as.integer;
        memcpy(out, &narrow, 4);
        *ret_bytes = (struct weir_bytes){out, 4};
        return true;
    case WEIR_AVRO_LONG:
    case WEIR_AVRO_DOUBLE:
        memcpy(out, &value->as, 8);
        *ret_bytes = (struct weir_bytes){out, 8};
        return true;
    case WEIR_AVRO_FLOAT:
        single = (float)value->as.real;
        memcpy(out, &single, 4);
        *ret_bytes = (struct weir_bytes){out, 4};
        return true;
    case WEIR_AVRO_BYTES:
    case WEIR_AVRO_STRING:
    case WEIR_AVRO_FIXED:
        *ret_bytes = value->as.bytes;
        if (strcmp(value->type->logical_type, "decimal") != 0)
            return true;
        if (value->as.bytes.size < 1 || value->as.bytes.size > 16)
            return false;
        ret_bytes->size = value_decimal_bytes(
            value_decimal(value->as.bytes.data, value->as.bytes.size), out);
        ret_bytes->data = out + 16 - ret_bytes->size;
        return true;
    default: return false;
    }
}

static weir_status get_partition(struct manifest_reader *reader,
                                 const struct weir_avro_value *record, struct weir_data_file *file)
{
    const struct weir_avro_value *partition = get(record, reader->file[FILE_PARTITION]);
    struct weir_bytes *values;
    if (!partition || partition->type->kind != WEIR_AVRO_RECORD)
        return wrong(reader, &file_columns[FILE_PARTITION]);
    WEIR_TRY(weir_arena_zero(reader->arena, partition->as.list.count, sizeof *values, &values,
                             reader->reterr));
    for (size_t i = 0; i < partition->as.list.count; i++) {
        uint8_t scratch[16];
        struct weir_bytes bytes;
        const struct weir_avro_value *value = get(partition, i);
        if (!value)
            continue;
        if (!value_bytes(value, scratch, &bytes))
            return wrong(reader, &file_columns[FILE_PARTITION]);
        WEIR_TRY(copy_bytes(reader, &bytes, &values[i]));
    }
    file->partition = values;
    file->partition_count = partition->as.list.count;
    return WEIR_OK;
}

/* ---- entries -------------------------------------------------------------------------------- */

static weir_status read_file(struct manifest_reader *reader, const struct weir_avro_value *record,
                             struct weir_data_file *file)
{
    int32_t content;
    WEIR_TRY(get_int(reader, record, reader->file, file_columns, FILE_CONTENT, 0, &content));
    file->content = content;
    WEIR_TRY(get_text(reader, record, reader->file, file_columns, FILE_PATH, &file->path));
    WEIR_TRY(get_text(reader, record, reader->file, file_columns, FILE_FORMAT, &file->format));
    WEIR_TRY(get_partition(reader, record, file));
    WEIR_TRY(
        get_long(reader, record, reader->file, file_columns, FILE_RECORDS, 0, &file->record_count));
    WEIR_TRY(get_long(reader, record, reader->file, file_columns, FILE_SIZE, 0, &file->file_size));
    if (content < 0 || content > 2 || file->record_count < 0 || file->file_size < 0)
        return weir_fail(reader->reterr, WEIR_CORRUPT,
                         "file %.300s: content %d, %lld rows, %lld bytes", file->path, content,
                         (long long)file->record_count, (long long)file->file_size);
    WEIR_TRY(get_counts(reader, record, FILE_COLUMN_SIZES, &file->column_sizes,
                        &file->column_size_count));
    WEIR_TRY(
        get_counts(reader, record, FILE_VALUES, &file->value_counts, &file->value_count_count));
    WEIR_TRY(get_counts(reader, record, FILE_NULLS, &file->null_counts, &file->null_count_count));
    WEIR_TRY(get_counts(reader, record, FILE_NANS, &file->nan_counts, &file->nan_count_count));
    WEIR_TRY(get_bounds(reader, record, FILE_LOWER, &file->lower, &file->lower_count));
    WEIR_TRY(get_bounds(reader, record, FILE_UPPER, &file->upper, &file->upper_count));
    WEIR_TRY(get_bytes(reader, record, reader->file, file_columns, FILE_KEY, &file->key_metadata));
    WEIR_TRY(get_splits(reader, record, file));
    WEIR_TRY(get_equality_ids(reader, record, file));
    WEIR_TRY(get_text(reader, record, reader->file, file_columns, FILE_REFERENCED,
                      &file->referenced_data_file));
    WEIR_TRY(get_long(reader, record, reader->file, file_columns, FILE_OFFSET, 0,
                      &file->content_offset));
    WEIR_TRY(
        get_long(reader, record, reader->file, file_columns, FILE_LENGTH, 0, &file->content_size));
    if (file->content_offset < 0 || file->content_size < 0)
        return wrong(reader, &file_columns[FILE_OFFSET]);
    return get_int(reader, record, reader->file, file_columns, FILE_SORT_ORDER, -1,
                   &file->sort_order_id);
}

/* Numbers left out are the manifest's, for added files; v1 files have none and count as 0. */
static weir_status inherit(struct manifest_reader *reader, const struct weir_manifest *manifest,
                           struct weir_manifest_entry *entry)
{
    bool v1 = reader->entry[ENTRY_SEQUENCE] == SIZE_MAX, added = entry->status == WEIR_ENTRY_ADDED;
    if (entry->snapshot_id == -1)
        entry->snapshot_id = manifest->added_snapshot_id;
    if (entry->sequence_number == -1 && v1 && manifest->sequence_number == 0)
        entry->sequence_number = 0;
    if (entry->sequence_number == -1 && (added || manifest->sequence_number == 0))
        entry->sequence_number = manifest->sequence_number;
    if (entry->sequence_number == -1)
        return weir_fail(reader->reterr, WEIR_CORRUPT,
                         "file %.300s: not added here, but without a sequence number",
                         entry->file.path);
    if (entry->file_sequence_number == -1)
        entry->file_sequence_number = added ? manifest->sequence_number : entry->sequence_number;
    return WEIR_OK;
}

static weir_status read_entry(struct manifest_reader *reader, const struct weir_manifest *manifest,
                              const struct weir_avro_value *record,
                              struct weir_manifest_entry *entry)
{
    int32_t status;
    const struct weir_avro_value *file = get(record, reader->entry[ENTRY_FILE]);
    *entry = (struct weir_manifest_entry){0};
    WEIR_TRY(get_int(reader, record, reader->entry, entry_columns, ENTRY_STATUS, 0, &status));
    if (status < WEIR_ENTRY_EXISTING || status > WEIR_ENTRY_DELETED || !file)
        return weir_fail(reader->reterr, WEIR_CORRUPT, "an entry of status %d%s", status,
                         file ? "" : " without its file");
    entry->status = (enum weir_entry_status)status;
    WEIR_TRY(get_long(reader, record, reader->entry, entry_columns, ENTRY_SNAPSHOT, -1,
                      &entry->snapshot_id));
    WEIR_TRY(get_long(reader, record, reader->entry, entry_columns, ENTRY_SEQUENCE, -1,
                      &entry->sequence_number));
    WEIR_TRY(get_long(reader, record, reader->entry, entry_columns, ENTRY_FILE_SEQUENCE, -1,
                      &entry->file_sequence_number));
    WEIR_TRY(read_file(reader, file, &entry->file));
    entry->file.spec_id = manifest->spec_id;
    return inherit(reader, manifest, entry);
}

/* Room for one more element of an array in the arena, which grows by doubling. */
static weir_status grow(struct weir_arena *arena, void *array, size_t size, size_t used,
                        size_t *capacity, struct weir_error *reterr)
{
    if (used < *capacity)
        return WEIR_OK;
    void *more;
    size_t larger = *capacity ? *capacity * 2 : 16;
    WEIR_TRY(weir_arena_zero(arena, larger, size, &more, reterr));
    if (used)
        memcpy(more, *(void **)array, used * size);
    *(void **)array = more;
    *capacity = larger;
    return WEIR_OK;
}

static weir_status resolve_entry(struct manifest_reader *reader, struct weir_avro_type *schema)
{
    WEIR_TRY(resolve(schema, entry_columns, ENTRY_COUNT, reader->entry, reader->reterr));
    return resolve(schema->fields[reader->entry[ENTRY_FILE]].type, file_columns, FILE_COUNT,
                   reader->file, reader->reterr);
}

weir_status weir_manifest_read(struct weir_arena *arena, const void *data, size_t size,
                               const struct weir_manifest *manifest,
                               struct weir_manifest_entry **ret_entries, size_t *ret_count,
                               struct weir_error *reterr)
{
    struct manifest_reader reader = {.arena = arena, .reterr = reterr};
    struct weir_avro_reader *file = NULL;
    struct weir_avro_value record;
    struct weir_manifest_entry *entries = NULL;
    size_t count = 0, capacity = 0;
    bool end = false;
    weir_status status;
    weir_arena_init(&reader.scratch, arena->account);
    WEIR_TRY_OUT(status, weir_avro_reader_open(arena, data, size, &file, reterr));
    WEIR_TRY_OUT(status, resolve_entry(&reader, weir_avro_reader_schema(file)));
    for (;;) {
        weir_arena_reset(&reader.scratch);
        WEIR_TRY_OUT(status, weir_avro_reader_next(file, &reader.scratch, &end, &record, reterr));
        if (end)
            break;
        WEIR_TRY_OUT(status, grow(arena, &entries, sizeof *entries, count, &capacity, reterr));
        WEIR_TRY_OUT(status, read_entry(&reader, manifest, &record, &entries[count]));
        count++;
    }
    *ret_entries = entries;
    *ret_count = count;
out:
    weir_avro_reader_close(file);
    weir_arena_done(&reader.scratch);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "manifest %.300s", manifest->path ? manifest->path : "");
    return status;
}

weir_status weir_manifest_header_spec(const void *data, size_t size, struct weir_arena *arena,
                                      int32_t *ret_spec_id, struct weir_error *reterr)
{
    struct weir_avro_reader *file = NULL;
    struct weir_bytes text = {0};
    int64_t id = 0;
    WEIR_TRY(weir_avro_reader_open(arena, data, size, &file, reterr));
    bool good = !weir_avro_reader_metadata(file, "partition-spec-id", &text) ||
                (weir_text_int64((const char *)text.data, text.size, &id) && id >= INT32_MIN &&
                 id <= INT32_MAX);
    weir_avro_reader_close(file);
    if (!good)
        return weir_fail(reterr, WEIR_CORRUPT, "a manifest's partition-spec-id is no number");
    *ret_spec_id = (int32_t)id;
    return WEIR_OK;
}

/* ---- manifest lists ------------------------------------------------------------------------- */

static weir_status read_summary(struct manifest_reader *reader, const struct weir_avro_value *item,
                                struct weir_field_summary *summary)
{
    static const struct column columns[] = {{509, "contains_null", NULL, true},
                                            {518, "contains_nan", NULL, false},
                                            {510, "lower_bound", NULL, false},
                                            {511, "upper_bound", NULL, false}};
    size_t positions[4];
    if (item->type->kind != WEIR_AVRO_RECORD)
        return wrong(reader, &list_columns[LIST_PARTITIONS]);
    for (size_t i = 0; i < 4; i++)
        positions[i] = weir_avro_find(item->type, columns[i].id, columns[i].name);
    const struct weir_avro_value *null = get(item, positions[0]), *nan = get(item, positions[1]);
    if (!null || null->type->kind != WEIR_AVRO_BOOLEAN ||
        (nan && nan->type->kind != WEIR_AVRO_BOOLEAN))
        return wrong(reader, &columns[0]);
    summary->contains_null = null->as.boolean;
    summary->contains_nan = nan ? nan->as.boolean : -1;
    WEIR_TRY(get_bytes(reader, item, positions, columns, 2, &summary->lower));
    return get_bytes(reader, item, positions, columns, 3, &summary->upper);
}

static weir_status read_summaries(struct manifest_reader *reader,
                                  const struct weir_avro_value *record,
                                  struct weir_manifest *manifest)
{
    const struct weir_avro_value *list = get(record, reader->list[LIST_PARTITIONS]);
    struct weir_field_summary *summaries;
    if (!list)
        return WEIR_OK;
    if (list->type->kind != WEIR_AVRO_ARRAY)
        return wrong(reader, &list_columns[LIST_PARTITIONS]);
    WEIR_TRY(weir_arena_zero(reader->arena, list->as.list.count, sizeof *summaries, &summaries,
                             reader->reterr));
    for (size_t i = 0; i < list->as.list.count; i++)
        WEIR_TRY(read_summary(reader, &list->as.list.items[i], &summaries[i]));
    manifest->partitions = summaries;
    manifest->partition_count = list->as.list.count;
    return WEIR_OK;
}

/* Counts that a v1 writer left out are -1. */
static weir_status read_manifest(struct manifest_reader *reader,
                                 const struct weir_avro_value *record,
                                 struct weir_manifest *manifest)
{
    int32_t content;
    *manifest = (struct weir_manifest){0};
    struct {
        enum list_column at;
        int32_t otherwise, *value;
    } ints[] = {
        {LIST_SPEC, 0, &manifest->spec_id},
        {LIST_CONTENT, 0, &content},
        {LIST_ADDED_FILES, -1, &manifest->added_files},
        {LIST_EXISTING_FILES, -1, &manifest->existing_files},
        {LIST_DELETED_FILES, -1, &manifest->deleted_files},
    };
    struct {
        enum list_column at;
        int64_t otherwise, *value;
    } longs[] = {
        {LIST_LENGTH, 0, &manifest->length},
        {LIST_SEQUENCE, 0, &manifest->sequence_number},
        {LIST_MIN_SEQUENCE, 0, &manifest->min_sequence_number},
        {LIST_SNAPSHOT, 0, &manifest->added_snapshot_id},
        {LIST_ADDED_ROWS, -1, &manifest->added_rows},
        {LIST_EXISTING_ROWS, -1, &manifest->existing_rows},
        {LIST_DELETED_ROWS, -1, &manifest->deleted_rows},
    };
    WEIR_TRY(get_text(reader, record, reader->list, list_columns, LIST_PATH, &manifest->path));
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        WEIR_TRY(get_int(reader, record, reader->list, list_columns, ints[i].at, ints[i].otherwise,
                         ints[i].value));
    for (size_t i = 0; i < sizeof longs / sizeof *longs; i++)
        WEIR_TRY(get_long(reader, record, reader->list, list_columns, longs[i].at,
                          longs[i].otherwise, longs[i].value));
    if (content < 0 || content > 1 || manifest->length < 0)
        return weir_fail(reader->reterr, WEIR_CORRUPT, "manifest %.300s: content %d, %lld bytes",
                         manifest->path, content, (long long)manifest->length);
    manifest->content = content;
    return read_summaries(reader, record, manifest);
}

weir_status weir_manifest_list_read(struct weir_arena *arena, const void *data, size_t size,
                                    struct weir_manifest **ret_manifests, size_t *ret_count,
                                    struct weir_error *reterr)
{
    struct manifest_reader reader = {.arena = arena, .reterr = reterr};
    struct weir_avro_reader *file = NULL;
    struct weir_avro_value record;
    struct weir_manifest *manifests = NULL;
    size_t count = 0, capacity = 0;
    bool end = false;
    weir_status status;
    weir_arena_init(&reader.scratch, arena->account);
    WEIR_TRY_OUT(status, weir_avro_reader_open(arena, data, size, &file, reterr));
    WEIR_TRY_OUT(status, resolve(weir_avro_reader_schema(file), list_columns, LIST_COUNT,
                                 reader.list, reterr));
    for (;;) {
        weir_arena_reset(&reader.scratch);
        WEIR_TRY_OUT(status, weir_avro_reader_next(file, &reader.scratch, &end, &record, reterr));
        if (end)
            break;
        WEIR_TRY_OUT(status, grow(arena, &manifests, sizeof *manifests, count, &capacity, reterr));
        WEIR_TRY_OUT(status, read_manifest(&reader, &record, &manifests[count]));
        count++;
    }
    *ret_manifests = manifests;
    *ret_count = count;
out:
    weir_avro_reader_close(file);
    weir_arena_done(&reader.scratch);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "manifest list");
    return status;
}
