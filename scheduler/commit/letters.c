/* Lists of refused-rows files, and the quarantine table that follows them. */
#include "scheduler/commit/verify_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_TRIES 8 /* one look, then races against other runs */

static weir_status no_memory(struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a list of letters");
}

weir_status weir_letters_read(struct weir_lake *lake, const json_t *state, const char *which,
                              json_t **ret_list, struct weir_error *reterr)
{
    const char *name = json_string_value(json_object_get(state, which));
    if (!name) {
        json_t *empty = json_pack("{s:[]}", "files");
        if (!empty)
            return no_memory(reterr);
        *ret_list = empty;
        return WEIR_OK;
    }
    WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
    weir_status status = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &text,
                                                     NULL, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "the list of refused rows: %s", name);
        return status;
    }
    json_error_t error;
    json_t *list = json_loadb((const char *)text.data, text.size, 0, &error);
    if (!json_is_array(json_object_get(list, "files"))) {
        json_decref(list);
        return weir_fail(reterr, WEIR_CORRUPT, "%s is no list of refused-rows files: %s", name,
                         error.text);
    }
    size_t at;
    json_t *file;
    json_array_foreach(json_object_get(list, "files"), at, file)
    {
        if (json_string_value(json_object_get(file, "path")) &&
            json_integer_value(json_object_get(file, "rows")) >= 0 &&
            json_integer_value(json_object_get(file, "size")) >= 0)
            continue;
        json_decref(list);
        return weir_fail(reterr, WEIR_CORRUPT, "%s: entry %zu names no file", name, at);
    }
    *ret_list = list;
    return WEIR_OK;
}

static const char *path_of(const json_t *file)
{
    return json_string_value(json_object_get(file, "path"));
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(path_of(*(json_t *const *)a), path_of(*(json_t *const *)b));
}

static weir_status sort_list(json_t *list, struct weir_error *reterr)
{
    json_t *files = json_object_get(list, "files"), *sorted = json_array();
    size_t count = json_array_size(files);
    json_t **all = calloc(count + 1, sizeof *all);
    if (!all || !sorted) {
        free(all);
        json_decref(sorted);
        return no_memory(reterr);
    }
    for (size_t i = 0; i < count; i++)
        all[i] = json_array_get(files, i);
    qsort(all, count, sizeof *all, compare_files);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, all[i]);
    free(all);
    return json_object_set_new(list, "files", sorted) == 0 ? WEIR_OK : no_memory(reterr);
}

weir_status weir_letters_write(struct weir_lake *lake, const char *table_uuid, int64_t snapshot_id,
                               const char *which, json_t *list, json_t *state,
                               struct weir_error *reterr)
{
    WEIR_TRY(sort_list(list, reterr));
    if (json_array_size(json_object_get(list, "files")) == 0) {
        json_object_del(state, which);
        return WEIR_OK;
    }
    char name[512];
    snprintf(name, sizeof name, "_weir/%s/%s/list-%019lld.json", which, table_uuid,
             (long long)snapshot_id);
    char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return no_memory(reterr);
    weir_status status = weir_put_own(lake, name, text, strlen(text), reterr);
    free(text);
    WEIR_TRY(status);
    return json_object_set_new(state, which, json_string(name)) == 0 ? WEIR_OK : no_memory(reterr);
}

weir_status weir_letters_change(struct weir_lake *lake, const char *table_uuid, int64_t snapshot_id,
                                const char *which, const json_t *gone, json_t *added, json_t *state,
                                struct weir_error *reterr)
{
    json_t *list, *files, *file, *kept = json_array();
    size_t at;
    weir_status status = kept ? weir_letters_read(lake, state, which, &list, reterr)
                              : no_memory(reterr);
    if (status != WEIR_OK) {
        json_decref(kept);
        return status;
    }
    files = json_object_get(list, "files");
    json_array_foreach(files, at, file)
    {
        if (!json_object_get(gone, path_of(file)) && json_array_append(kept, file) != 0)
            status = no_memory(reterr);
    }
    if (added && json_array_extend(kept, added) != 0)
        status = no_memory(reterr);
    if (json_object_set_new(list, "files", kept) != 0)
        status = no_memory(reterr);
    if (status == WEIR_OK)
        status = weir_letters_write(lake, table_uuid, snapshot_id, which, list, state, reterr);
    json_decref(list);
    return status;
}

static json_t *hex(struct weir_bytes bytes)
{
    char *text = malloc(bytes.size * 2 + 1);
    if (!text)
        return NULL;
    weir_print_hex(text, bytes.data, bytes.size);
    json_t *json = json_string(text);
    free(text);
    return json;
}

static json_t *counts(const struct weir_id_count *all, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("[i, I]", all[i].id, (json_int_t)all[i].count));
    return array;
}

static json_t *bounds(const struct weir_id_bound *all, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("[i, o]", all[i].id, hex(all[i].bound)));
    return array;
}

json_t *weir_data_file_to_json(const struct weir_data_file *file, const char *digest)
{
    json_t *splits = json_array();
    for (size_t i = 0; i < file->split_count; i++)
        json_array_append_new(splits, json_integer(file->split_offsets[i]));
    return json_pack(
        "{s:s, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path", file->path, "rows",
        (json_int_t)file->record_count, "size", (json_int_t)file->file_size, "digest", digest,
        "splits", splits, "column_sizes", counts(file->column_sizes, file->column_size_count),
        "value_counts", counts(file->value_counts, file->value_count_count), "null_counts",
        counts(file->null_counts, file->null_count_count), "nan_counts",
        counts(file->nan_counts, file->nan_count_count), "lower",
        bounds(file->lower, file->lower_count), "upper", bounds(file->upper, file->upper_count));
}

static weir_status counts_from(struct weir_arena *arena, const json_t *json,
                               const struct weir_id_count **ret, size_t *ret_count,
                               struct weir_error *reterr)
{
    size_t count = json_array_size(json);
    struct weir_id_count *all;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *all, &all, reterr));
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(json, i);
        all[i] = (struct weir_id_count){(int32_t)json_integer_value(json_array_get(pair, 0)),
                                        json_integer_value(json_array_get(pair, 1))};
    }
    *ret = all;
    *ret_count = count;
    return WEIR_OK;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static weir_status bounds_from(struct weir_arena *arena, const json_t *json,
                               const struct weir_id_bound **ret, size_t *ret_count,
                               struct weir_error *reterr)
{
    size_t count = json_array_size(json);
    struct weir_id_bound *all;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *all, &all, reterr));
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(json, i);
        const char *text = json_string_value(json_array_get(pair, 1));
        size_t size = text ? strlen(text) / 2 : 0;
        uint8_t *bytes;
        WEIR_TRY(weir_arena_alloc(arena, size + 1, &bytes, reterr));
        for (size_t b = 0; b < size; b++)
            bytes[b] = (uint8_t)((unsigned)nibble(text[2 * b]) << 4 |
                                 (unsigned)nibble(text[2 * b + 1]));
        all[i] = (struct weir_id_bound){(int32_t)json_integer_value(json_array_get(pair, 0)),
                                        {bytes, size}};
    }
    *ret = all;
    *ret_count = count;
    return WEIR_OK;
}

weir_status weir_data_file_from_json(struct weir_arena *arena, const json_t *json,
                                     struct weir_data_file *ret_file, struct weir_error *reterr)
{
    struct weir_data_file file = {.format = "PARQUET", .sort_order_id = 0};
    const char *path = path_of(json);
    if (!path)
        return weir_fail(reterr, WEIR_CORRUPT, "a file without a path in a list of files");
    char *text;
    WEIR_TRY(weir_arena_copy(arena, path, strlen(path), &text, reterr));
    file.path = text;
    file.record_count = json_integer_value(json_object_get(json, "rows"));
    file.file_size = json_integer_value(json_object_get(json, "size"));
    const json_t *splits = json_object_get(json, "splits");
    int64_t *offsets;
    file.split_count = json_array_size(splits);
    WEIR_TRY(weir_arena_zero(arena, file.split_count + 1, sizeof *offsets, &offsets, reterr));
    for (size_t i = 0; i < file.split_count; i++)
        offsets[i] = json_integer_value(json_array_get(splits, i));
    file.split_offsets = offsets;
    WEIR_TRY(counts_from(arena, json_object_get(json, "column_sizes"), &file.column_sizes,
                         &file.column_size_count, reterr));
    WEIR_TRY(counts_from(arena, json_object_get(json, "value_counts"), &file.value_counts,
                         &file.value_count_count, reterr));
    WEIR_TRY(counts_from(arena, json_object_get(json, "null_counts"), &file.null_counts,
                         &file.null_count_count, reterr));
    WEIR_TRY(counts_from(arena, json_object_get(json, "nan_counts"), &file.nan_counts,
                         &file.nan_count_count, reterr));
    WEIR_TRY(
        bounds_from(arena, json_object_get(json, "lower"), &file.lower, &file.lower_count, reterr));
    WEIR_TRY(
        bounds_from(arena, json_object_get(json, "upper"), &file.upper, &file.upper_count, reterr));
    *ret_file = file;
    return WEIR_OK;
}

/* The list as data files. */
static weir_status list_files(struct weir_arena *arena, const json_t *list,
                              struct weir_data_file **ret_files, size_t *ret_count,
                              struct weir_error *reterr)
{
    const json_t *array = json_object_get(list, "files");
    size_t count = json_array_size(array);
    struct weir_data_file *files;
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *files, &files, reterr));
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_data_file_from_json(arena, json_array_get(array, i), &files[i], reterr));
    *ret_files = files;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status is_equal(struct weir_lake *lake, const struct weir_table *quarantine,
                            struct weir_arena *arena, const struct weir_data_file *files,
                            size_t count, bool *ret_equal, struct weir_error *reterr)
{
    int64_t head;
    struct weir_manifest_entry *entries;
    size_t entry_count, same = 0;
    if (!weir_metadata_ref(quarantine->metadata, "main", &head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", quarantine->name);
    WEIR_TRY(weir_snapshot_files(lake, quarantine->metadata, head, arena, &entries, &entry_count,
                                 reterr));
    for (size_t i = 0; i < entry_count; i++)
        for (size_t f = 0; f < count; f++)
            same += strcmp(entries[i].file.path, files[f].path) == 0;
    *ret_equal = same == count && entry_count == count;
    return WEIR_OK;
}

/* One try: *ret_done when the quarantine table holds what the list says. look_only: no try, just
 * the question. */
static weir_status sync_to(struct weir_lake *lake, struct weir_table **quarantine,
                           struct weir_arena *arena, const json_t *list, bool look_only,
                           bool *ret_done, struct weir_error *reterr)
{
    struct weir_data_file *files;
    size_t count;
    WEIR_TRY(list_files(arena, list, &files, &count, reterr));
    WEIR_TRY(is_equal(lake, *quarantine, arena, files, count, ret_done, reterr));
    if (*ret_done || look_only)
        return WEIR_OK;
    int32_t spec_id = weir_metadata_spec((*quarantine)->metadata)->id;
    for (size_t i = 0; i < count; i++)
        files[i].spec_id = spec_id;
    json_t *state;
    WEIR_TRY(weir_truth(&lake->store, &lake->context->memory, (*quarantine)->metadata, "main",
                        &state, reterr));
    struct weir_work work = {.kind = "letters",
                             .operation = "overwrite",
                             .epoch = json_integer_value(json_object_get(state, "epoch")),
                             .files = files,
                             .file_count = count,
                             .replace_all = true};
    json_decref(state);
    enum weir_landing landing;
    WEIR_TRY(weir_land(lake, quarantine, &work, &landing, NULL, reterr));
    *ret_done = landing == WEIR_LANDED;
    return WEIR_OK;
}

/* The list of the data table's head. */
static weir_status head_list(struct weir_lake *lake, const struct weir_metadata *data,
                             const char *which, json_t **ret_list, struct weir_error *reterr)
{
    json_t *state;
    WEIR_TRY(weir_truth(&lake->store, &lake->context->memory, data, "main", &state, reterr));
    weir_status status = weir_letters_read(lake, state, which, ret_list, reterr);
    json_decref(state);
    return status;
}

/* Loads it, or makes it when there is something to put in; *quarantine stays NULL when there is
 * nothing. */
static weir_status load_quarantine(struct weir_lake *lake, const struct weir_birth *birth,
                                   bool needed, struct weir_table **quarantine,
                                   struct weir_error *reterr)
{
    struct weir_table *fresh;
    bool made;
    weir_status status = lake->catalog.operations->load(lake->catalog.self, birth->name, &fresh,
                                                        reterr);
    if (status == WEIR_NOT_FOUND && !needed)
        return WEIR_OK;
    if (status == WEIR_NOT_FOUND) {
        /* Foreign expiry must not delete files: the data table's list still names them. */
        struct weir_birth guarded = *birth;
        guarded.properties = birth->properties ? json_copy(birth->properties) : json_object();
        if (json_object_set_new(guarded.properties, "gc.enabled", json_string("false")) != 0) {
            json_decref(guarded.properties);
            return no_memory(reterr);
        }
        status = weir_table_create(lake, &guarded, &fresh, &made, reterr);
        json_decref(guarded.properties);
    }
    WEIR_TRY(status);
    weir_table_free(*quarantine);
    *quarantine = fresh;
    return WEIR_OK;
}

weir_status letters_level(struct weir_lake *lake, const struct weir_table *data,
                          const struct weir_table *quarantine, bool *ret_level,
                          struct weir_error *reterr)
{
    json_t *list;
    struct weir_arena arena;
    struct weir_data_file *files;
    size_t count;
    WEIR_TRY(head_list(lake, data->metadata, WEIR_LETTERS, &list, reterr));
    weir_arena_init(&arena, &lake->context->memory);
    weir_status status = list_files(&arena, list, &files, &count, reterr);
    if (status == WEIR_OK)
        status = is_equal(lake, quarantine, &arena, files, count, ret_level, reterr);
    weir_arena_done(&arena);
    json_decref(list);
    return status;
}

weir_status weir_quarantine_sync(struct weir_lake *lake, const struct weir_table *data,
                                 const char *which, const struct weir_birth *birth,
                                 struct weir_table **quarantine, struct weir_error *reterr)
{
    json_t *list = NULL;
    struct weir_table *fresh = NULL;
    struct weir_arena arena;
    bool done = false;
    weir_arena_init(&arena, &lake->context->memory);
    weir_status status;
    WEIR_TRY_OUT(status, head_list(lake, data->metadata, which, &list, reterr));
    bool needed = json_array_size(json_object_get(list, "files")) > 0;
    if (!*quarantine)
        WEIR_TRY_OUT(status, load_quarantine(lake, birth, needed, quarantine, reterr));
    for (int i = 0; *quarantine && !done && i < SYNC_TRIES; i++) {
        if (i) { /* the quarantine's head first, then the data's, so that an older list never
                    follows a newer one */
            weir_table_free(fresh);
            fresh = NULL;
            json_decref(list);
            list = NULL;
            WEIR_TRY_OUT(status, load_quarantine(lake, birth, true, quarantine, reterr));
            WEIR_TRY_OUT(status, lake->catalog.operations->load(lake->catalog.self, data->name,
                                                                &fresh, reterr));
            WEIR_TRY_OUT(status, head_list(lake, fresh->metadata, which, &list, reterr));
        }
        WEIR_TRY_OUT(status, sync_to(lake, quarantine, &arena, list, i == 0, &done, reterr));
        if (i && !done)
            weir_sleep_ms(lake->context,
                          (int64_t)weir_random_below(lake->context, 20u << (i < 6 ? i : 6)));
    }
    if (*quarantine && !done)
        status = weir_fail(reterr, WEIR_PRECONDITION,
                           "%d races lost in a row; nothing is lost, the next run finishes it",
                           SYNC_TRIES - 1);
out:
    weir_table_free(fresh);
    json_decref(list);
    weir_arena_done(&arena);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "bringing %s up to its table", birth->name);
    return status;
}
