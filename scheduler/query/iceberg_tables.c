/* A table's metadata as tables, with Spark's columns. Spec: Iceberg documentation "Inspecting
 * tables". Each makes its rows as JSON text; query_rows_source holds them. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/text.h"
#include "formats/json/json.h"
#include "scheduler/commit/state.h"
#include "scheduler/query/iceberg_int.h"
#include "scheduler/query/rows_source.h"

#define COUNTS "map<int,long>"
#define BOUNDS "map<int,binary>"
#define FILE_COLUMNS                                                                               \
    "record_count:long,file_size_in_bytes:long,column_sizes:" COUNTS ",value_counts:" COUNTS       \
    ",null_value_counts:" COUNTS ",nan_value_counts:" COUNTS ",lower_bounds:" BOUNDS               \
    ",upper_bounds:" BOUNDS ",key_metadata:binary,split_offsets:list<long>,equality_ids:list<int>" \
    ",sort_order_id:int,referenced_data_file:string,content_offset:long,"                          \
    "content_size_in_bytes:long"

struct maker {
    struct iceberg_source *source;
    struct weir_arena arena;
    struct weir_buffer lines;
    struct weir_type partition; /* STRUCT of every partition field the table ever had */
    int32_t *partition_ids;
    const char **partition_transforms;
    int which; /* files: -1 all, 0 data, 1 deletes */
    struct weir_error *reterr;
};

/* ---- pieces --------------------------------------------------------------------------------- */

/* Steals the object. `front`: members put in front of its own, as text, or NULL. */
static weir_status put_row(struct maker *maker, json_t *row, const char *front)
{
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
    json_decref(row);
    if (!text)
        return weir_fail(maker->reterr, WEIR_NO_MEMORY, "no memory for a row of metadata");
    weir_status status = front ? weir_buffer_print(&maker->lines, maker->reterr, "{%s%s%s\n", front,
                                                   text[1] == '}' ? "" : ",", text + 1)
                               : weir_buffer_print(&maker->lines, maker->reterr, "%s\n", text);
    free(text);
    return status;
}

static json_t *time_json(int64_t timestamp_ms)
{
    char text[40];
    int64_t micros;
    if (__builtin_mul_overflow(timestamp_ms, 1000, &micros))
        return json_null();
    text[weir_print_timestamptz(text, micros)] = '\0';
    return json_string(text);
}

static json_t *optional(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value ? json_incref(value) : json_null();
}

static json_t *long_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

/* ---- from the document ---------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct weir_snapshot *x = a, *y = b;
    return (x->timestamp_ms > y->timestamp_ms) - (x->timestamp_ms < y->timestamp_ms);
}

static weir_status make_snapshots(struct maker *maker)
{
    size_t count;
    struct weir_snapshot *sorted;
    const struct weir_snapshot *all = weir_metadata_snapshots(maker->source->metadata, &count);
    WEIR_TRY(weir_arena_zero(&maker->arena, count, sizeof *sorted, &sorted, maker->reterr));
    if (count) {
        memcpy(sorted, all, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_time);
    }
    for (size_t i = 0; i < count; i++) {
        json_t *summary = json_is_object(sorted[i].summary) ? json_copy((json_t *)sorted[i].summary)
                                                            : json_object();
        json_object_del(summary, "operation");
        WEIR_TRY(
            put_row(maker,
                    json_pack("{s:o, s:I, s:o, s:s, s:s, s:o}", "committed_at",
                              time_json(sorted[i].timestamp_ms), "snapshot_id",
                              (json_int_t)sorted[i].id, "parent_id",
                              long_or_null(sorted[i].parent_id), "operation", sorted[i].operation,
                              "manifest_list", sorted[i].manifest_list, "summary", summary),
                    NULL));
    }
    return WEIR_OK;
}

static weir_status make_history(struct maker *maker)
{
    const struct weir_metadata *metadata = maker->source->metadata;
    const json_t *log = json_object_get(weir_metadata_document(metadata), "snapshot-log");
    int64_t head = -1;
    (void)weir_metadata_ref(metadata, "main", &head);
    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *line = json_array_get(log, i);
        struct weir_snapshot snapshot = {.parent_id = -1};
        int64_t id = json_integer_value(json_object_get(line, "snapshot-id"));
        (void)weir_metadata_snapshot(metadata, id, &snapshot);
        WEIR_TRY(put_row(
            maker,
            json_pack("{s:o, s:I, s:o, s:b}", "made_current_at",
                      time_json(json_integer_value(json_object_get(line, "timestamp-ms"))),
                      "snapshot_id", (json_int_t)id, "parent_id", long_or_null(snapshot.parent_id),
                      "is_current_ancestor", weir_metadata_is_ancestor(metadata, id, head)),
            NULL));
    }
    return WEIR_OK;
}

static weir_status make_refs(struct maker *maker)
{
    const json_t *refs = json_object_get(weir_metadata_document(maker->source->metadata), "refs");
    const char *name;
    json_t *ref;
    int64_t head;
    json_object_foreach((json_t *)refs, name, ref)
    {
        const char *type = json_string_value(json_object_get(ref, "type"));
        WEIR_TRY(put_row(maker,
                         json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", name, "type",
                                   type && strcmp(type, "tag") == 0 ? "TAG" : "BRANCH",
                                   "snapshot_id", optional(ref, "snapshot-id"),
                                   "max_reference_age_in_ms", optional(ref, "max-ref-age-ms"),
                                   "min_snapshots_to_keep", optional(ref, "min-snapshots-to-keep"),
                                   "max_snapshot_age_in_ms", optional(ref, "max-snapshot-age-ms")),
                         NULL));
    }
    if (!json_object_get(refs, "main") &&
        weir_metadata_ref(maker->source->metadata, "main", &head)) /* v1 */
        return put_row(maker,
                       json_pack("{s:s, s:s, s:I}", "name", "main", "type", "BRANCH", "snapshot_id",
                                 (json_int_t)head),
                       NULL);
    return WEIR_OK;
}

/* A version of the metadata, and the snapshot that was main's head then. */
static weir_status put_log(struct maker *maker, int64_t time_ms, const char *file)
{
    const struct weir_metadata *metadata = maker->source->metadata;
    const json_t *log = json_object_get(weir_metadata_document(metadata), "snapshot-log");
    struct weir_snapshot snapshot;
    int64_t head = -1;
    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *line = json_array_get(log, i);
        if (json_integer_value(json_object_get(line, "timestamp-ms")) <= time_ms)
            head = json_integer_value(json_object_get(line, "snapshot-id"));
    }
    bool known = weir_metadata_snapshot(metadata, head, &snapshot);
    return put_row(maker,
                   json_pack("{s:o, s:s?, s:o, s:o, s:o}", "timestamp", time_json(time_ms), "file",
                             file, "latest_snapshot_id", long_or_null(head), "latest_schema_id",
                             long_or_null(known ? snapshot.schema_id : -1),
                             "latest_sequence_number",
                             long_or_null(known ? snapshot.sequence_number : -1)),
                   NULL);
}

static weir_status make_log(struct maker *maker)
{
    const struct weir_metadata *metadata = maker->source->metadata;
    const json_t *log = json_object_get(weir_metadata_document(metadata), "metadata-log");
    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *line = json_array_get(log, i);
        WEIR_TRY(put_log(maker, json_integer_value(json_object_get(line, "timestamp-ms")),
                         json_string_value(json_object_get(line, "metadata-file"))));
    }
    return put_log(maker, weir_metadata_last_updated_ms(metadata),
                   maker->source->metadata_location);
}

/* "cluster/topic/incarnation/partition"; the cluster's name may hold no '/', a topic's cannot. */
static weir_status make_offsets(struct maker *maker)
{
    struct iceberg_source *source = maker->source;
    json_t *state = NULL, *value;
    const char *key;
    struct weir_error error;
    weir_status status = weir_truth(&source->options.store, source->account, source->metadata,
                                    "main", &state, &error);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK; /* no snapshot was ever Weir's */
    if (status != WEIR_OK)
        return weir_fail(maker->reterr, status, "%s", error.text);
    json_object_foreach(json_object_get(state, "next"), key, value)
    {
        const char *parts[4] = {key};
        int count = 1;
        for (const char *at = key + strlen(key); at > key && count < 4; at--)
            if (*at == '/')
                parts[count++] = at + 1; /* from behind: partition, incarnation, topic */
        if (count < 4)
            continue;
        json_t *row = json_pack(
            "{s:s%, s:s%, s:I, s:I, s:o, s:o}", "cluster", key, (int)(parts[3] - 1 - key), "topic",
            parts[3], (int)(parts[2] - 1 - parts[3]), "incarnation", (json_int_t)atoll(parts[2]),
            "partition", (json_int_t)atoll(parts[1]), "start_offset", optional(value, "start"),
            "next_offset", optional(value, "next"));
        status = put_row(maker, row, NULL);
        if (status != WEIR_OK)
            break;
    }
    json_decref(state);
    return status;
}

/* ---- partitions ----------------------------------------------------------------------------- */

/* Every partition field of every spec, once an id, as the newest spec names it. */
static weir_status collect_partition(struct maker *maker)
{
    const struct weir_metadata *metadata = maker->source->metadata;
    size_t spec_count, most = 0;
    const struct weir_partition_spec *specs = weir_metadata_specs(metadata, &spec_count);
    struct weir_type *type = &maker->partition;
    for (size_t i = 0; i < spec_count; i++)
        most += specs[i].field_count;
    WEIR_TRY(weir_arena_zero(&maker->arena, most, sizeof *type->children, &type->children,
                             maker->reterr));
    WEIR_TRY(weir_arena_zero(&maker->arena, most, sizeof *maker->partition_ids,
                             &maker->partition_ids, maker->reterr));
    WEIR_TRY(weir_arena_zero(&maker->arena, most, sizeof *maker->partition_transforms,
                             &maker->partition_transforms, maker->reterr));
    type->id = WEIR_STRUCT;
    for (size_t i = spec_count; i > 0; i--)
        for (size_t j = 0; j < specs[i - 1].field_count; j++) {
            const struct weir_partition_field *from = &specs[i - 1].fields[j];
            const struct weir_field *column = weir_type_by_id(&weir_metadata_schema(metadata)->root,
                                                              from->source_id);
            struct weir_field field = {.name = from->name};
            uint32_t at = 0;
            if (!column || strcmp(from->transform, "void") == 0 ||
                weir_transform_result_type(from->transform, &column->type, &field.type, NULL) !=
                    WEIR_OK)
                continue;
            while (at < type->child_count && maker->partition_ids[at] != from->field_id)
                at++;
            if (at < type->child_count)
                continue;
            maker->partition_ids[at] = from->field_id;
            maker->partition_transforms[at] = from->transform;
            type->children[type->child_count++] = field;
        }
    return WEIR_OK;
}

/* `"partition":{...}` of a file; "" for tables that never had partitions. */
static weir_status partition_text(struct maker *maker, const struct weir_data_file *file,
                                  struct weir_arena *arena, char **ret_text)
{
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(maker->source->metadata,
                                                                      file->spec_id);
    struct weir_batch batch = {.type = &maker->partition, .count = 1};
    WEIR_AUTO(weir_buffer) out = {.account = maker->source->account};
    if (maker->partition.child_count == 0 || !spec)
        return weir_arena_print(arena, ret_text, maker->reterr, "\"spec_id\":%d", file->spec_id);
    WEIR_TRY(weir_arena_zero(arena, maker->partition.child_count, sizeof *batch.columns,
                             &batch.columns, maker->reterr));
    for (uint32_t i = 0; i < maker->partition.child_count; i++) {
        struct weir_bytes value = {0};
        for (size_t j = 0; j < spec->field_count && j < file->partition_count; j++)
            if (spec->fields[j].field_id == maker->partition_ids[i] &&
                strcmp(spec->fields[j].transform, "void") != 0)
                value = file->partition[j];
        WEIR_TRY(weir_value_vector(arena, &maker->partition.children[i].type, &value,
                                   &batch.columns[i], maker->reterr));
    }
    WEIR_TRY(weir_json_write_rows(&batch, &out, maker->reterr));
    return weir_arena_print(arena, ret_text, maker->reterr, "\"partition\":%.*s,\"spec_id\":%d",
                            (int)out.size - 1, (const char *)out.data, file->spec_id);
}

/* ---- files ---------------------------------------------------------------------------------- */

static json_t *counts_json(const struct weir_id_count *counts, size_t count)
{
    json_t *map = count ? json_object() : json_null();
    for (size_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", counts[i].id);
        json_object_set_new(map, key, json_integer(counts[i].count));
    }
    return map;
}

static json_t *bytes_json(struct weir_arena *arena, const struct weir_bytes *bytes)
{
    char *text;
    if (!bytes->data || weir_arena_alloc(arena, weir_base64_size(bytes->size) + 1, &text, NULL))
        return json_null();
    return json_stringn(text, weir_base64_encode(text, bytes->data, bytes->size));
}

static json_t *bounds_json(struct weir_arena *arena, const struct weir_id_bound *bounds,
                           size_t count)
{
    json_t *map = count ? json_object() : json_null();
    for (size_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", bounds[i].id);
        json_object_set_new(map, key, bytes_json(arena, &bounds[i].bound));
    }
    return map;
}

static json_t *file_json(const struct weir_data_file *file, struct weir_arena *arena)
{
    json_t *row = json_object(), *splits = file->split_count ? json_array() : json_null(),
           *ids = file->equality_id_count ? json_array() : json_null();
    for (size_t i = 0; i < file->split_count; i++)
        json_array_append_new(splits, json_integer(file->split_offsets[i]));
    for (size_t i = 0; i < file->equality_id_count; i++)
        json_array_append_new(ids, json_integer(file->equality_ids[i]));
    const struct {
        const char *name;
        json_t *value;
    } members[] = {
        {"content", json_integer(file->content)},
        {"file_path", json_string(file->path)},
        {"file_format", json_string(file->format)},
        {"record_count", json_integer(file->record_count)},
        {"file_size_in_bytes", json_integer(file->file_size)},
        {"column_sizes", counts_json(file->column_sizes, file->column_size_count)},
        {"value_counts", counts_json(file->value_counts, file->value_count_count)},
        {"null_value_counts", counts_json(file->null_counts, file->null_count_count)},
        {"nan_value_counts", counts_json(file->nan_counts, file->nan_count_count)},
        {"lower_bounds", bounds_json(arena, file->lower, file->lower_count)},
        {"upper_bounds", bounds_json(arena, file->upper, file->upper_count)},
        {"key_metadata", bytes_json(arena, &file->key_metadata)},
        {"split_offsets", splits},
        {"equality_ids", ids},
        {"sort_order_id",
         file->sort_order_id < 0 ? json_null() : json_integer(file->sort_order_id)},
        {"referenced_data_file",
         file->referenced_data_file ? json_string(file->referenced_data_file) : json_null()},
        {"content_offset", file->content_size ? json_integer(file->content_offset) : json_null()},
        {"content_size_in_bytes",
         file->content_size ? json_integer(file->content_size) : json_null()},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        json_object_set_new(row, members[i].name, members[i].value);
    return row;
}

typedef weir_status (*visit_file)(struct maker *maker, const struct weir_manifest_entry *entry,
                                  struct weir_arena *arena);

static weir_status each_file(struct maker *maker, visit_file visit)
{
    struct iceberg_source *source = maker->source;
    struct weir_arena arena;
    weir_status status = WEIR_OK;
    weir_arena_init(&arena, source->account);
    for (size_t i = 0; status == WEIR_OK && i < source->manifest_count; i++) {
        struct weir_manifest_entry *entries;
        size_t count;
        if (maker->which >= 0 && source->manifests[i].content != maker->which)
            continue;
        weir_arena_reset(&arena);
        status = iceberg_manifest_entries(source, i, &arena, &entries, &count, maker->reterr);
        for (size_t j = 0; status == WEIR_OK && j < count; j++)
            status = visit(maker, &entries[j], &arena);
    }
    weir_arena_done(&arena);
    return status;
}

static weir_status put_file(struct maker *maker, const struct weir_manifest_entry *entry,
                            struct weir_arena *arena)
{
    char *front;
    if (entry->status == WEIR_ENTRY_DELETED)
        return WEIR_OK;
    WEIR_TRY(partition_text(maker, &entry->file, arena, &front));
    return put_row(maker, file_json(&entry->file, arena), front);
}

static weir_status put_entry(struct maker *maker, const struct weir_manifest_entry *entry,
                             struct weir_arena *arena)
{
    char *partition, *front;
    WEIR_TRY(partition_text(maker, &entry->file, arena, &partition));
    json_t *row = file_json(&entry->file, arena);
    char *text = json_dumps(row, JSON_COMPACT);
    json_decref(row);
    if (!text)
        return weir_fail(maker->reterr, WEIR_NO_MEMORY, "no memory for a row of metadata");
    weir_status status = weir_arena_print(arena, &front, maker->reterr, "\"data_file\":{%s,%s",
                                          partition, text + 1);
    free(text);
    WEIR_TRY(status);
    return put_row(maker,
                   json_pack("{s:i, s:I, s:I, s:I}", "status", (int)entry->status, "snapshot_id",
                             (json_int_t)entry->snapshot_id, "sequence_number",
                             (json_int_t)entry->sequence_number, "file_sequence_number",
                             (json_int_t)entry->file_sequence_number),
                   front);
}

static weir_status make_files(struct maker *maker)
{
    return each_file(maker, put_file);
}
static weir_status make_entries(struct maker *maker)
{
    return each_file(maker, put_entry);
}

/* ---- manifests ------------------------------------------------------------------------------ */

static weir_status summary_text(struct maker *maker, const char *transform,
                                const struct weir_type *type, const struct weir_bytes *bound,
                                json_t **ret_json)
{
    struct weir_vector value;
    char *text;
    *ret_json = json_null();
    if (!bound->data || weir_value_vector(&maker->arena, type, bound, &value, NULL) != WEIR_OK)
        return WEIR_OK;
    WEIR_TRY(weir_transform_path_text(&maker->arena, transform, &value, 0, &text, maker->reterr));
    *ret_json = json_string(text);
    return WEIR_OK;
}

static weir_status summaries_json(struct maker *maker, const struct weir_manifest *manifest,
                                  json_t **ret_json)
{
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(maker->source->metadata,
                                                                      manifest->spec_id);
    json_t *list = json_array();
    for (size_t i = 0; spec && i < manifest->partition_count && i < spec->field_count; i++) {
        const struct weir_field_summary *summary = &manifest->partitions[i];
        json_t *lower = json_null(), *upper = json_null();
        weir_status status = WEIR_OK;
        for (uint32_t j = 0; j < maker->partition.child_count; j++)
            if (maker->partition_ids[j] == spec->fields[i].field_id) {
                const struct weir_type *type = &maker->partition.children[j].type;
                status = summary_text(maker, spec->fields[i].transform, type, &summary->lower,
                                      &lower);
                if (status == WEIR_OK)
                    status = summary_text(maker, spec->fields[i].transform, type, &summary->upper,
                                          &upper);
            }
        if (status != WEIR_OK) {
            json_decref(list);
            return status;
        }
        json_array_append_new(
            list,
            json_pack("{s:b, s:o, s:o, s:o}", "contains_null", summary->contains_null,
                      "contains_nan",
                      summary->contains_nan < 0 ? json_null() : json_boolean(summary->contains_nan),
                      "lower_bound", lower, "upper_bound", upper));
    }
    *ret_json = list;
    return WEIR_OK;
}

static weir_status make_manifests(struct maker *maker)
{
    for (size_t i = 0; i < maker->source->manifest_count; i++) {
        const struct weir_manifest *manifest = &maker->source->manifests[i];
        json_t *summaries;
        WEIR_TRY(summaries_json(maker, manifest, &summaries));
        bool deletes = manifest->content == 1;
        json_t *row = json_pack("{s:i, s:s, s:I, s:i, s:I, s:o}", "content", manifest->content,
                                "path", manifest->path, "length", (json_int_t)manifest->length,
                                "partition_spec_id", manifest->spec_id, "added_snapshot_id",
                                (json_int_t)manifest->added_snapshot_id, "partition_summaries",
                                summaries);
        const struct {
            const char *name;
            int32_t count;
        } counts[] = {{"added", manifest->added_files},
                      {"existing", manifest->existing_files},
                      {"deleted", manifest->deleted_files}};
        for (size_t j = 0; row && j < 3; j++) {
            char name[64];
            snprintf(name, sizeof name, "%s_data_files_count", counts[j].name);
            json_object_set_new(row, name, long_or_null(deletes ? 0 : counts[j].count));
            snprintf(name, sizeof name, "%s_delete_files_count", counts[j].name);
            json_object_set_new(row, name, long_or_null(deletes ? counts[j].count : 0));
        }
        WEIR_TRY(put_row(maker, row, NULL));
    }
    return WEIR_OK;
}

/* ---- partitions, summed --------------------------------------------------------------------- */

struct part {
    const char *key; /* its text in front of the row */
    int64_t rows[3], files[3], bytes, updated_ms, updated_by;
    struct part *next;
};

struct parts {
    struct maker maker; /* first: put_part gets it as its maker */
    struct part *first, **last;
};

static weir_status put_part(struct maker *maker, const struct weir_manifest_entry *entry,
                            struct weir_arena *arena)
{
    struct parts *parts = (struct parts *)maker;
    struct part *at = parts->first;
    struct weir_snapshot snapshot;
    char *key;
    if (entry->status == WEIR_ENTRY_DELETED)
        return WEIR_OK;
    WEIR_TRY(partition_text(maker, &entry->file, arena, &key));
    while (at && strcmp(at->key, key) != 0)
        at = at->next;
    if (!at) {
        char *copy;
        WEIR_TRY(weir_arena_zero(&maker->arena, 1, sizeof *at, &at, maker->reterr));
        WEIR_TRY(weir_arena_copy(&maker->arena, key, strlen(key), &copy, maker->reterr));
        *at = (struct part){.key = copy, .updated_ms = -1, .updated_by = -1};
        *parts->last = at;
        parts->last = &at->next;
    }
    at->rows[entry->file.content] += entry->file.record_count;
    at->files[entry->file.content]++;
    at->bytes += entry->file.content == 0 ? entry->file.file_size : 0;
    if (weir_metadata_snapshot(maker->source->metadata, entry->snapshot_id, &snapshot) &&
        snapshot.timestamp_ms > at->updated_ms) {
        at->updated_ms = snapshot.timestamp_ms;
        at->updated_by = snapshot.id;
    }
    return WEIR_OK;
}

static weir_status make_partitions(struct maker *maker)
{
    struct parts parts = {.maker = *maker};
    parts.last = &parts.first;
    weir_status status = each_file(&parts.maker, put_part);
    for (const struct part *at = parts.first; status == WEIR_OK && at; at = at->next)
        status = put_row(&parts.maker,
                         json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "record_count",
                                   (json_int_t)at->rows[0], "file_count", (json_int_t)at->files[0],
                                   "total_data_file_size_in_bytes", (json_int_t)at->bytes,
                                   "position_delete_record_count", (json_int_t)at->rows[1],
                                   "position_delete_file_count", (json_int_t)at->files[1],
                                   "equality_delete_record_count", (json_int_t)at->rows[2],
                                   "equality_delete_file_count", (json_int_t)at->files[2],
                                   "last_updated_at",
                                   at->updated_ms < 0 ? json_null() : time_json(at->updated_ms),
                                   "last_updated_snapshot_id", long_or_null(at->updated_by)),
                         at->key);
    *maker = parts.maker;
    return status;
}

/* ---- which there are ------------------------------------------------------------------------ */

/* In `columns`, @ stands for the table's own partition struct, with a comma behind. */
static const struct table {
    const char *name;
    weir_status (*make)(struct maker *maker);
    int which;
    const char *columns;
} tables[] = {
    {"snapshots", make_snapshots, -1,
     "committed_at:timestamptz,snapshot_id:long,parent_id:long,operation:string,"
     "manifest_list:string,summary:map<string,string>"},
    {"history", make_history, -1,
     "made_current_at:timestamptz,snapshot_id:long,parent_id:long,is_current_ancestor:boolean"},
    {"refs", make_refs, -1,
     "name:string,type:string,snapshot_id:long,max_reference_age_in_ms:long,"
     "min_snapshots_to_keep:int,max_snapshot_age_in_ms:long"},
    {"metadata_log_entries", make_log, -1,
     "timestamp:timestamptz,file:string,latest_snapshot_id:long,latest_schema_id:int,"
     "latest_sequence_number:long"},
    {"manifests", make_manifests, -1,
     "content:int,path:string,length:long,partition_spec_id:int,added_snapshot_id:long,"
     "added_data_files_count:int,existing_data_files_count:int,deleted_data_files_count:int,"
     "added_delete_files_count:int,existing_delete_files_count:int,deleted_delete_files_count:int,"
     "partition_summaries:list<struct<contains_null:boolean,contains_nan:boolean,"
     "lower_bound:string,upper_bound:string>>"},
    {"files", make_files, -1,
     "content:int,file_path:string,file_format:string,spec_id:int,@" FILE_COLUMNS},
    {"data_files", make_files, 0,
     "content:int,file_path:string,file_format:string,spec_id:int,@" FILE_COLUMNS},
    {"delete_files", make_files, 1,
     "content:int,file_path:string,file_format:string,spec_id:int,@" FILE_COLUMNS},
    {"entries", make_entries, -1,
     "status:int,snapshot_id:long,sequence_number:long,file_sequence_number:long,"
     "data_file:struct<content:int,file_path:string,file_format:string,spec_id:int,@" FILE_COLUMNS
     ">"},
    {"partitions", make_partitions, -1,
     "@spec_id:int,record_count:long,file_count:int,total_data_file_size_in_bytes:long,"
     "position_delete_record_count:long,position_delete_file_count:int,"
     "equality_delete_record_count:long,equality_delete_file_count:int,"
     "last_updated_at:timestamptz,last_updated_snapshot_id:long"},
    {"offsets", make_offsets, -1,
     "cluster:string,topic:string,incarnation:int,partition:int,start_offset:long,"
     "next_offset:long"},
};
#define TABLES (sizeof tables / sizeof *tables)

bool weir_iceberg_is_metadata_table(const char *name)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(tables[i].name, name) == 0)
            return true;
    return false;
}

/* The placeholder's struct is put in after parsing: its names may be anything. */
static void put_partition(const struct maker *maker, struct weir_type *type)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < type->child_count; i++) {
        struct weir_field *field = &type->children[i];
        bool is_partition = strcmp(field->name, "partition") == 0 && field->type.id == WEIR_STRUCT;
        if (is_partition && maker->partition.child_count == 0)
            continue;
        if (is_partition)
            field->type = maker->partition;
        else if (field->type.id == WEIR_STRUCT)
            put_partition(maker, &field->type);
        type->children[kept++] = *field;
    }
    type->child_count = kept;
}

static weir_status make(struct maker *maker, const struct table *table,
                        struct weir_table_source *ret_source)
{
    struct weir_type type;
    char *text;
    const char *at = strchr(table->columns, '@');
    maker->which = table->which;
    WEIR_TRY(collect_partition(maker));
    WEIR_TRY(weir_arena_print(&maker->arena, &text, maker->reterr, "struct<%.*s%s%s>",
                              at ? (int)(at - table->columns) : (int)strlen(table->columns),
                              table->columns, at ? "partition:struct<x:int>," : "",
                              at ? at + 1 : ""));
    WEIR_TRY(weir_type_parse(&maker->arena, text, &type, maker->reterr));
    put_partition(maker, &type);
    WEIR_TRY(table->make(maker));
    return query_rows_source(maker->source->account, &type, &maker->lines, ret_source,
                             maker->reterr);
}

weir_status weir_iceberg_metadata_source(struct weir_context *context, struct weir_account *account,
                                         const struct weir_iceberg_options *options,
                                         const char *name, struct weir_table_source *ret_source,
                                         struct weir_error *reterr)
{
    struct maker maker = {.reterr = reterr};
    size_t at = 0;
    while (at < TABLES && strcmp(tables[at].name, name) != 0)
        at++;
    if (at == TABLES) {
        weir_status status = weir_fail(reterr, WEIR_NOT_FOUND, "there is no metadata table %.100s",
                                       name);
        weir_error_hint(reterr, "there are snapshots, history, refs, manifests, files, data_files, "
                                "delete_files, entries, partitions, metadata_log_entries, offsets");
        return status;
    }
    WEIR_TRY(iceberg_source_new(context, account, options, &maker.source, reterr));
    weir_arena_init(&maker.arena, account);
    weir_buffer_init(&maker.lines, account);
    weir_status status = make(&maker, &tables[at], ret_source);
    weir_buffer_done(&maker.lines);
    weir_arena_done(&maker.arena);
    iceberg_source_free(maker.source);
    return status;
}
