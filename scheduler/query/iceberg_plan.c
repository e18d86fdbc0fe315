/* The plan of a scan: manifests -> data files that may hold wanted rows, with their deletes, cut
 * into morsels. Manifests are read in parallel, but what comes out is in their order. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/limits.h"
#include "scheduler/query/iceberg_int.h"

#define WAVE_MANIFESTS   16
#define MORSEL_BYTES     (64 << 20) /* of files whose row groups nobody tells */
#define FILE_MORSELS_MAX 65536

struct wave {
    struct iceberg_source *source;
    size_t manifests[WAVE_MANIFESTS];
    struct weir_arena arenas[WAVE_MANIFESTS];
    struct weir_manifest_entry *entries[WAVE_MANIFESTS];
    size_t counts[WAVE_MANIFESTS], size;
};

static weir_status read_one(void *argument, size_t index, struct weir_error *reterr)
{
    struct wave *wave = argument;
    return iceberg_manifest_entries(wave->source, wave->manifests[index], &wave->arenas[index],
                                    &wave->entries[index], &wave->counts[index], reterr);
}

/* Called for every entry of the manifests asked for, in their order; it may keep nothing of it. */
typedef weir_status (*visit_entry)(void *self, const struct weir_manifest_entry *entry,
                                   struct weir_error *reterr);

static void keep_within_limits(struct iceberg_source *source, size_t manifest)
{
    struct weir_buffer *bytes = &source->manifest_bytes[manifest];
    source->cached_bytes = 0;
    for (size_t i = 0; i < source->manifest_count; i++)
        source->cached_bytes += source->manifest_bytes[i].size;
    if (source->cached_bytes > ICEBERG_CACHE_BYTES) {
        weir_buffer_done(bytes);
        weir_buffer_init(bytes, source->account);
    }
}

static weir_status run_wave(struct weir_context *context, struct wave *wave, visit_entry visit,
                            void *self, struct weir_error *reterr)
{
    for (size_t i = 0; i < wave->size; i++)
        weir_arena_init(&wave->arenas[i], wave->source->account);
    weir_status status = weir_parallel(context, wave->size, read_one, wave, reterr);
    for (size_t i = 0; i < wave->size; i++) {
        for (size_t j = 0; status == WEIR_OK && j < wave->counts[i]; j++)
            if (wave->entries[i][j].status != WEIR_ENTRY_DELETED)
                status = visit(self, &wave->entries[i][j], reterr);
        keep_within_limits(wave->source, wave->manifests[i]);
        weir_arena_done(&wave->arenas[i]);
    }
    wave->size = 0;
    return status;
}

static bool has_live(const struct weir_manifest *manifest)
{
    return manifest->added_files != 0 || manifest->existing_files != 0;
}

/* Live entries of the manifests with that content that `prune` (NULL: none) leaves. */
static weir_status each_entry(struct iceberg_source *source, struct weir_context *context,
                              int content, const struct weir_prune *prune,
                              struct weir_scan_counters *counters, visit_entry visit, void *self,
                              struct weir_error *reterr)
{
    struct wave wave = {.source = source};
    for (size_t i = 0; i < source->manifest_count; i++) {
        const struct weir_manifest *manifest = &source->manifests[i];
        if (manifest->content != content || !has_live(manifest))
            continue;
        if (prune && !weir_prune_manifest(prune, manifest)) {
            if (counters && content == 0 && manifest->added_files >= 0 &&
                manifest->existing_files >= 0) {
                atomic_fetch_add(&counters->files_skipped,
                                 (unsigned long long)manifest->added_files +
                                     (unsigned long long)manifest->existing_files);
                if (manifest->added_rows >= 0 && manifest->existing_rows >= 0)
                    atomic_fetch_add(
                        &counters->rows_skipped,
                        (unsigned long long)(manifest->added_rows + manifest->existing_rows));
            }
            continue;
        }
        WEIR_TRY(weir_context_check(context, reterr));
        wave.manifests[wave.size++] = i;
        if (wave.size == WAVE_MANIFESTS)
            WEIR_TRY(run_wave(context, &wave, visit, self, reterr));
    }
    return wave.size ? run_wave(context, &wave, visit, self, reterr) : WEIR_OK;
}

/* ---- data files ----------------------------------------------------------------------------- */

static weir_status check_format(const struct weir_data_file *file, struct weir_error *reterr)
{
    if (file->key_metadata.size)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%.300s is encrypted", file->path);
    if (strcasecmp(file->format, "parquet") == 0)
        return WEIR_OK;
    return weir_fail(reterr, WEIR_UNSUPPORTED, "%.300s is %.20s: only Parquet data files are read",
                     file->path, file->format);
}

static weir_status check_entry(const struct iceberg_source *source,
                               const struct weir_manifest_entry *entry,
                               const struct weir_partition_spec **ret_spec,
                               struct weir_error *reterr)
{
    const struct weir_data_file *file = &entry->file;
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(source->metadata,
                                                                      file->spec_id);
    if (entry->sequence_number < 0 || entry->sequence_number == INT64_MAX)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: sequence number %lld", file->path,
                         (long long)entry->sequence_number);
    if (!spec)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: partition spec %d is not there", file->path,
                         file->spec_id);
    if (file->partition_count < spec->field_count)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: %zu partition values, the spec has %zu",
                         file->path, file->partition_count, spec->field_count);
    *ret_spec = spec;
    return WEIR_OK;
}

static void count_skipped(struct weir_scan *scan, const struct weir_data_file *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->column_size_count; i++)
        if (file->column_sizes[i].count > 0 &&
            weir_type_by_id(scan->request.wanted, file->column_sizes[i].id))
            bytes += (uint64_t)file->column_sizes[i].count;
    atomic_fetch_add(&scan->counters.files_skipped, 1);
    atomic_fetch_add(&scan->counters.rows_skipped, (unsigned long long)file->record_count);
    atomic_fetch_add(&scan->counters.bytes_skipped, bytes);
}

/* The parts of a data file that reading needs, in the scan's arena. */
static weir_status keep_file(struct weir_scan *scan, const struct weir_manifest_entry *entry,
                             const struct weir_partition_spec *spec, struct iceberg_file *to,
                             struct weir_error *reterr)
{
    const struct weir_data_file *file = &entry->file;
    struct weir_bytes *partition;
    char *text;
    *to = (struct iceberg_file){.size = file->file_size,
                                .record_count = file->record_count,
                                .sequence = entry->sequence_number,
                                .spec = spec,
                                .partition_count = spec->field_count};
    WEIR_TRY(weir_arena_copy(&scan->arena, file->path, strlen(file->path), &text, reterr));
    to->location = text;
    WEIR_TRY(
        weir_arena_zero(&scan->arena, spec->field_count, sizeof *partition, &partition, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        if (!file->partition[i].data)
            continue;
        WEIR_TRY(weir_arena_copy(&scan->arena, file->partition[i].data, file->partition[i].size,
                                 &text, reterr));
        partition[i] = (struct weir_bytes){(const uint8_t *)text, file->partition[i].size};
    }
    to->partition = partition;
    WEIR_TRY(iceberg_partition_scope(scan, file, &to->scope, reterr));
    uint64_t morsels = file->split_count ? file->split_count
                                         : (uint64_t)file->file_size / MORSEL_BYTES + 1;
    to->morsel_count = morsels > FILE_MORSELS_MAX ? FILE_MORSELS_MAX : (uint32_t)morsels;
    return WEIR_OK;
}

static weir_status add_file(void *self, const struct weir_manifest_entry *entry,
                            struct weir_error *reterr)
{
    struct weir_scan *scan = self;
    const struct weir_partition_spec *spec;
    const struct weir_data_file *file = &entry->file;
    if (file->content != 0)
        return weir_fail(reterr, WEIR_CORRUPT, "%.300s: a delete file among data files",
                         file->path);
    const struct weir_iceberg_options *options = &scan->source->options;
    if (options->wants && !options->wants(options->wants_self, file->path))
        return WEIR_OK;
    WEIR_TRY(check_entry(scan->source, entry, &spec, reterr));
    if (!weir_prune_partition(scan->prune, file) || !weir_prune_columns(scan->prune, file)) {
        count_skipped(scan, file);
        return WEIR_OK;
    }
    WEIR_TRY(check_format(file, reterr));
    if (file->record_count == 0)
        return WEIR_OK;
    if (scan->file_count == scan->file_capacity) {
        size_t larger = scan->file_capacity ? 2 * scan->file_capacity : 64;
        WEIR_TRY(weir_realloc(&scan->files, scan->account, larger * sizeof *scan->files, reterr));
        scan->file_capacity = larger;
    }
    WEIR_TRY(keep_file(scan, entry, spec, &scan->files[scan->file_count], reterr));
    pthread_mutex_init(&scan->files[scan->file_count].lock, NULL);
    scan->file_count++;
    return WEIR_OK;
}

static weir_status add_delete(void *self, const struct weir_manifest_entry *entry,
                              struct weir_error *reterr)
{
    struct weir_scan *scan = self;
    const struct weir_partition_spec *spec;
    WEIR_TRY(check_entry(scan->source, entry, &spec, reterr));
    if (!weir_prune_partition(scan->prune, &entry->file))
        return WEIR_OK;
    return iceberg_deletes_add(scan, entry, reterr);
}

/* With a limit, files behind the one that reaches it are not needed, if every row counts. */
static void cut_by_limit(struct weir_scan *scan)
{
    const struct weir_scan_request *request = &scan->request;
    int64_t rows = 0;
    if (request->limit < 0 || request->filter || request->predicate_count)
        return;
    for (size_t i = 0; i < scan->file_count; i++) {
        if (rows >= request->limit) {
            for (size_t j = i; j < scan->file_count; j++)
                pthread_mutex_destroy(&scan->files[j].lock);
            scan->file_count = i;
            return;
        }
        const struct iceberg_file *file = &scan->files[i];
        if (file->position_count == 0 && file->equality_count == 0)
            rows += file->record_count < INT64_MAX - rows ? file->record_count : INT64_MAX - rows;
    }
}

weir_status iceberg_plan(struct weir_scan *scan, struct weir_error *reterr)
{
    struct iceberg_source *source = scan->source;
    const struct weir_scan_request *request = &scan->request;
    size_t spec_count;
    const struct weir_partition_spec *specs = weir_metadata_specs(source->metadata, &spec_count);
    WEIR_TRY(weir_prune_new(&scan->arena, request->wanted, request->predicates,
                            request->predicate_count, &scan->prune, reterr));
    for (size_t i = 0; i < spec_count; i++)
        WEIR_TRY(weir_prune_prepare(scan->prune, &specs[i], reterr));
    WEIR_TRY(
        each_entry(source, scan->context, 0, scan->prune, &scan->counters, add_file, scan, reterr));
    if (scan->file_count)
        WEIR_TRY(each_entry(source, scan->context, 1, scan->prune, NULL, add_delete, scan, reterr));
    WEIR_TRY(iceberg_deletes_match(scan, reterr));
    cut_by_limit(scan);
    for (size_t i = 0; i < scan->file_count; i++) {
        scan->files[i].first_morsel = scan->morsel_count;
        scan->morsel_count += scan->files[i].morsel_count;
    }
    return WEIR_OK;
}

/* ---- bounds of the table -------------------------------------------------------------------- */

static struct weir_bytes find_bound(const struct weir_id_bound *bounds, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (bounds[i].id == id)
            return bounds[i].bound;
    return (struct weir_bytes){0};
}

static int64_t find_count(const struct weir_id_count *counts, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (counts[i].id == id)
            return counts[i].count;
    return -1;
}

static weir_status keep_bound(struct iceberg_source *source, const struct weir_bytes *from,
                              struct weir_bytes *to, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(&source->arena, from->data, from->size, &copy, reterr));
    *to = (struct weir_bytes){(const uint8_t *)copy, from->size};
    return WEIR_OK;
}

static weir_status widen(struct iceberg_source *source, const struct weir_field *column,
                         const struct weir_data_file *file, struct iceberg_column_bounds *bounds,
                         struct weir_error *reterr)
{
    int64_t nulls = find_count(file->null_counts, file->null_count_count, column->id),
            values = find_count(file->value_counts, file->value_count_count, column->id);
    struct weir_bytes lower = find_bound(file->lower, file->lower_count, column->id),
                      upper = find_bound(file->upper, file->upper_count, column->id);
    bool empty = nulls >= 0 && nulls == values;
    bounds->known = nulls >= 0 && (empty || (weir_bound_usable(&column->type, &lower) &&
                                             weir_bound_usable(&column->type, &upper)));
    if (!bounds->known)
        return WEIR_OK;
    bounds->null_count += (uint64_t)nulls;
    if (empty)
        return WEIR_OK;
    if (!bounds->lower.data || weir_value_compare(&column->type, &lower, &bounds->lower) < 0)
        WEIR_TRY(keep_bound(source, &lower, &bounds->lower, reterr));
    if (!bounds->upper.data || weir_value_compare(&column->type, &upper, &bounds->upper) > 0)
        WEIR_TRY(keep_bound(source, &upper, &bounds->upper, reterr));
    return WEIR_OK;
}

static weir_status add_bounds(void *self, const struct weir_manifest_entry *entry,
                              struct weir_error *reterr)
{
    struct iceberg_source *source = self;
    for (uint32_t i = 0; i < source->schema.root.child_count; i++)
        if (source->bounds[i].known)
            WEIR_TRY(widen(source, &source->schema.root.children[i], &entry->file,
                           &source->bounds[i], reterr));
    return WEIR_OK;
}

weir_status iceberg_plan_bounds(struct iceberg_source *source, struct weir_error *reterr)
{
    uint32_t count = source->schema.root.child_count;
    struct iceberg_column_bounds *bounds;
    if (source->bounds)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(&source->arena, count, sizeof *bounds, &bounds, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_type *type = &source->schema.root.children[i].type;
        /* texts are cut, and the highest of reals may be NaN: neither is a bound of the values */
        bounds[i].known = !weir_type_is_nested(type->id) && type->id != WEIR_STRING &&
                          type->id != WEIR_BINARY && type->id != WEIR_FIXED &&
                          type->id != WEIR_UUID && type->id != WEIR_FLOAT &&
                          type->id != WEIR_DOUBLE;
    }
    source->bounds = bounds;
    weir_status status = each_entry(source, source->context, 0, NULL, NULL, add_bounds, source,
                                    reterr);
    for (uint32_t i = 0; status != WEIR_OK && i < count; i++)
        bounds[i].known = false;
    return status;
}
