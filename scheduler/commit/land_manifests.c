/* Which manifests the snapshot of an attempt lists: the parent's as they are where nothing in them
 * changed, and new ones for what came, left, or is put together because it piled up. */
#include "scheduler/commit/land_int.h"

#include <stdlib.h>
#include <string.h>

#define MERGE_MANIFESTS 100        /* small manifests that pile up before they are merged */
#define TIDY_MANIFESTS  8          /* the same, when the files are rewritten as well */
#define MERGE_BYTES     (8u << 20) /* a manifest of this size is not small */

static weir_status read_list(struct attempt *attempt, const struct weir_snapshot *snapshot,
                             struct weir_manifest **ret, size_t *ret_count,
                             struct weir_error *reterr)
{
    *ret = NULL;
    *ret_count = 0;
    if (!snapshot->manifest_list)
        return WEIR_OK;
    WEIR_AUTO(weir_buffer) bytes = {.account = &attempt->lake->context->memory};
    WEIR_TRY(land_get_object(attempt->lake, snapshot->manifest_list, &bytes, reterr));
    return weir_manifest_list_read(&attempt->arena, bytes.data, bytes.size, ret, ret_count, reterr);
}

/* It lists files that left, and no others: the snapshot that it was made for told of them. Only of
 * our own, for the counts of others are their word. */
static bool is_spent(const struct attempt *attempt, const struct weir_manifest *manifest)
{
    struct weir_snapshot maker;
    return manifest->added_files == 0 && manifest->existing_files == 0 &&
           weir_metadata_snapshot(attempt->table->metadata, manifest->added_snapshot_id, &maker) &&
           json_object_get(maker.summary, "weir.kind");
}

/* The parent's manifests that list anything live. */
static weir_status read_manifests(struct attempt *attempt, struct weir_manifest **ret,
                                  size_t *ret_count, struct weir_error *reterr)
{
    struct weir_manifest *list = NULL;
    size_t count = 0, kept = 0;
    if (attempt->has_parent)
        WEIR_TRY(read_list(attempt, &attempt->parent, &list, &count, reterr));
    for (size_t i = 0; i < count; i++)
        if (!is_spent(attempt, &list[i]))
            list[kept++] = list[i];
    *ret = list;
    *ret_count = kept;
    return WEIR_OK;
}

weir_status land_read_entries(struct weir_lake *lake, struct weir_arena *arena,
                              const struct weir_manifest *manifest,
                              struct weir_manifest_entry **ret, size_t *ret_count,
                              struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) bytes = {.account = &lake->context->memory};
    WEIR_TRY(land_get_object(lake, manifest->path, &bytes, reterr));
    weir_status status = weir_manifest_read(arena, bytes.data, bytes.size, manifest, ret, ret_count,
                                            reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", manifest->path);
    return status;
}

/* Writes entries as a new manifest of this attempt and adds it to the list. content: 0 data, 1
 * deletes. */
static weir_status write_manifest(struct attempt *attempt, int32_t spec_id, int content,
                                  const struct weir_manifest_entry *entries, size_t count,
                                  struct weir_manifest *ret_manifest, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = attempt->table->metadata;
    const struct weir_partition_spec *spec = weir_metadata_spec_by_id(metadata, spec_id);
    const struct weir_schema *schema = attempt->work->schema ? attempt->work->schema
                                                             : weir_metadata_schema(metadata);
    if (!spec)
        return weir_fail(reterr, WEIR_INTERNAL, "no partition spec %d", spec_id);
    WEIR_AUTO(weir_buffer) bytes = {.account = &attempt->lake->context->memory};
    WEIR_TRY(weir_manifest_write(&attempt->arena, schema, spec, content, attempt->id,
                                 attempt->sequence, entries, count, &bytes, ret_manifest, reterr));
    char *location;
    WEIR_TRY(weir_arena_print(&attempt->arena, &location, reterr, "%s/metadata/%019lld-m%zu.avro",
                              weir_metadata_location(metadata), (long long)attempt->id,
                              attempt->manifest_count));
    const char *name = weir_store_name(&attempt->lake->store, location);
    if (!name)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "table location %s lies outside the warehouse",
                         weir_metadata_location(metadata));
    WEIR_TRY(weir_put_own(attempt->lake, name, bytes.data, bytes.size, reterr));
    ret_manifest->path = location;
    ret_manifest->length = (int64_t)bytes.size;
    ret_manifest->added_snapshot_id = attempt->id;
    return WEIR_OK;
}

static weir_status add_manifest(struct attempt *attempt, int32_t spec_id,
                                const struct weir_manifest_entry *entries, size_t count,
                                struct weir_manifest *ret_manifest, struct weir_error *reterr)
{
    return write_manifest(attempt, spec_id, 0, entries, count, ret_manifest, reterr);
}

static bool is_small(const struct weir_manifest *manifest)
{
    return manifest->content == 0 && manifest->length < MERGE_BYTES;
}

weir_status land_read_live(struct weir_lake *lake, struct weir_arena *arena,
                           const struct weir_manifest *manifests, size_t manifest_count,
                           struct weir_manifest_entry **ret_entries, size_t *ret_count,
                           struct weir_error *reterr)
{
    struct weir_manifest_entry **lists, *all;
    size_t *counts, total = 0, at = 0;
    WEIR_TRY(weir_arena_zero(arena, manifest_count + 1, sizeof(*lists), &lists, reterr));
    WEIR_TRY(weir_arena_zero(arena, manifest_count + 1, sizeof *counts, &counts, reterr));
    for (size_t i = 0; i < manifest_count; i++) {
        WEIR_TRY(land_read_entries(lake, arena, &manifests[i], &lists[i], &counts[i], reterr));
        total += counts[i];
    }
    WEIR_TRY(weir_arena_zero(arena, total + 1, sizeof *all, &all, reterr));
    for (size_t i = 0; i < manifest_count; i++)
        for (size_t e = 0; e < counts[i]; e++)
            if (lists[i][e].status != WEIR_ENTRY_DELETED)
                all[at++] = lists[i][e];
    *ret_entries = all;
    *ret_count = at;
    return WEIR_OK;
}

/* Small manifests of one spec, when enough piled up, become one: their entries as EXISTING with
 * their own numbers. */
static weir_status merge_small(struct attempt *attempt, struct weir_manifest *manifests,
                               size_t *count, struct weir_error *reterr)
{
    int32_t spec_id = weir_metadata_spec(attempt->table->metadata)->id;
    size_t small_count = 0, total, kept = 0;
    struct weir_manifest *small;
    struct weir_manifest_entry *merged;
    WEIR_TRY(weir_arena_zero(&attempt->arena, *count + 1, sizeof *small, &small, reterr));
    for (size_t i = 0; i < *count; i++)
        if (is_small(&manifests[i]) && manifests[i].spec_id == spec_id)
            small[small_count++] = manifests[i];
    if (small_count < MERGE_MANIFESTS)
        return WEIR_OK;
    WEIR_TRY(land_read_live(attempt->lake, &attempt->arena, small, small_count, &merged, &total,
                            reterr));
    for (size_t i = 0; i < total; i++)
        merged[i].status = WEIR_ENTRY_EXISTING;
    for (size_t i = 0; i < *count; i++)
        if (!is_small(&manifests[i]) || manifests[i].spec_id != spec_id)
            manifests[kept++] = manifests[i];
    WEIR_TRY(add_manifest(attempt, spec_id, merged, total, &manifests[kept], reterr));
    attempt->manifest_count++;
    *count = kept + 1;
    return WEIR_OK;
}

/* A count of a manifest list; -1 = a v1 writer left it out. */
static int64_t said(int64_t count)
{
    return count < 0 ? 0 : count;
}

static void count_totals(struct attempt *attempt, const struct weir_manifest *manifest)
{
    int64_t files = said(manifest->added_files) + said(manifest->existing_files);
    if (manifest->content != 0) {
        attempt->total_deletes += files;
        return;
    }
    attempt->total_files += files;
    attempt->total_rows += said(manifest->added_rows) + said(manifest->existing_rows);
}

/* Appending: the parent's manifests, merged when they pile up, and one new manifest. */
static weir_status build_append(struct attempt *attempt, struct weir_error *reterr)
{
    struct weir_manifest *old;
    size_t old_count;
    WEIR_TRY(read_manifests(attempt, &old, &old_count, reterr));
    WEIR_TRY(merge_small(attempt, old, &old_count, reterr));
    WEIR_TRY(weir_arena_zero(&attempt->arena, old_count + 1, sizeof *attempt->manifests,
                             &attempt->manifests, reterr));
    size_t count = 0;
    const struct weir_work *work = attempt->work;
    if (work->file_count) {
        struct weir_manifest_entry *entries;
        WEIR_TRY(
            weir_arena_zero(&attempt->arena, work->file_count, sizeof *entries, &entries, reterr));
        for (size_t i = 0; i < work->file_count; i++) {
            entries[i] = (struct weir_manifest_entry){WEIR_ENTRY_ADDED, attempt->id, -1, -1,
                                                      work->files[i]};
            attempt->added_rows += work->files[i].record_count;
            attempt->added_bytes += work->files[i].file_size;
        }
        attempt->added_files = (int64_t)work->file_count;
        WEIR_TRY(add_manifest(attempt, work->files[0].spec_id, entries, work->file_count,
                              &attempt->manifests[count], reterr));
        count++;
    }
    for (size_t i = 0; i < old_count; i++) {
        attempt->manifests[count++] = old[i];
        count_totals(attempt, &old[i]);
    }
    attempt->total_files += attempt->added_files;
    attempt->total_rows += attempt->added_rows;
    attempt->manifest_count = count;
    return WEIR_OK;
}

static const struct weir_data_file *file_by_path(const struct weir_data_file *files, size_t count,
                                                 const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* Replacing: one manifest that says of every file whether it stays, goes or comes. */
static weir_status build_replace(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_work *work = attempt->work;
    struct weir_manifest_entry *old, *entries;
    size_t old_count = 0, count = 0;
    old = NULL;
    if (attempt->has_parent)
        WEIR_TRY(weir_snapshot_files(attempt->lake, attempt->table->metadata, attempt->parent.id,
                                     &attempt->arena, &old, &old_count, reterr));
    WEIR_TRY(weir_arena_zero(&attempt->arena, old_count + work->file_count + 1, sizeof *entries,
                             &entries, reterr));
    struct weir_data_file *there;
    WEIR_TRY(weir_arena_zero(&attempt->arena, old_count + 1, sizeof *there, &there, reterr));
    for (size_t i = 0; i < old_count; i++) {
        bool stays = file_by_path(work->files, work->file_count, old[i].file.path) != NULL;
        there[i] = old[i].file;
        entries[count] = old[i];
        entries[count].status = stays ? WEIR_ENTRY_EXISTING : WEIR_ENTRY_DELETED;
        if (!stays) {
            entries[count].snapshot_id = attempt->id;
            attempt->removed_files++;
            attempt->removed_rows += old[i].file.record_count;
        } else {
            attempt->total_files++;
            attempt->total_rows += old[i].file.record_count;
        }
        count++;
    }
    for (size_t i = 0; i < work->file_count; i++) {
        if (file_by_path(there, old_count, work->files[i].path))
            continue;
        entries[count++] = (struct weir_manifest_entry){WEIR_ENTRY_ADDED, attempt->id, -1, -1,
                                                        work->files[i]};
        attempt->added_files++;
        attempt->added_rows += work->files[i].record_count;
        attempt->added_bytes += work->files[i].file_size;
    }
    attempt->total_files += attempt->added_files;
    attempt->total_rows += attempt->added_rows;
    WEIR_TRY(weir_arena_zero(&attempt->arena, 1, sizeof *attempt->manifests, &attempt->manifests,
                             reterr));
    if (count)
        WEIR_TRY(add_manifest(attempt, weir_metadata_spec(attempt->table->metadata)->id, entries,
                              count, &attempt->manifests[0], reterr));
    attempt->manifest_count = count ? 1 : 0;
    return WEIR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static weir_status sort_removed(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_work *work = attempt->work;
    WEIR_TRY(weir_arena_zero(&attempt->arena, work->removed_count, sizeof *attempt->removed,
                             &attempt->removed, reterr));
    memcpy(attempt->removed, work->removed, work->removed_count * sizeof *attempt->removed);
    qsort(attempt->removed, work->removed_count, sizeof *attempt->removed, by_text);
    return WEIR_OK;
}

static bool is_removed(const struct attempt *attempt, const char *path)
{
    return bsearch(&path, attempt->removed, attempt->work->removed_count, sizeof path, by_text) !=
           NULL;
}

/* Old manifests of a rewrite, and of those that are written anew, with others of their kind, the
 * entries. */
struct rewrite {
    struct attempt *attempt;
    bool tidy; /* small manifests have piled up: they are taken along */
    struct weir_manifest *old;
    size_t old_count;
    struct weir_manifest_entry **entries; /* NULL: stays as it is */
    size_t *counts;
};

static void count_removed(struct attempt *attempt, const struct weir_data_file *file)
{
    if (file->content != 0) {
        attempt->removed_deletes++;
        return;
    }
    attempt->removed_files++;
    attempt->removed_rows += file->record_count;
}

static void count_kept(struct attempt *attempt, const struct weir_data_file *file)
{
    if (file->content != 0) {
        attempt->total_deletes++;
        return;
    }
    attempt->total_files++;
    attempt->total_rows += file->record_count;
}

/* The live entries of an old manifest, those that go marked. */
static weir_status look_into(struct rewrite *rewrite, size_t at, struct weir_error *reterr)
{
    struct attempt *attempt = rewrite->attempt;
    struct weir_manifest_entry *entries;
    size_t count, gone = 0;
    WEIR_TRY(land_read_live(attempt->lake, &attempt->arena, &rewrite->old[at], 1, &entries, &count,
                            reterr));
    for (size_t i = 0; i < count; i++) {
        bool removed = is_removed(attempt, entries[i].file.path);
        entries[i].status = removed ? WEIR_ENTRY_DELETED : WEIR_ENTRY_EXISTING;
        if (!removed) {
            count_kept(attempt, &entries[i].file);
            continue;
        }
        entries[i].snapshot_id = attempt->id;
        count_removed(attempt, &entries[i].file);
        gone++;
    }
    if (gone || (rewrite->tidy && is_small(&rewrite->old[at]))) {
        rewrite->entries[at] = entries;
        rewrite->counts[at] = count;
    }
    return WEIR_OK;
}

/* Those from `at` on that go into one manifest with it, as long as that is not large. */
static weir_status write_together(struct rewrite *rewrite, size_t at, struct weir_error *reterr)
{
    struct attempt *attempt = rewrite->attempt;
    const struct weir_manifest *first = &rewrite->old[at];
    struct weir_manifest_entry *all;
    size_t count = 0, used = 0;
    int64_t length = 0;
    for (size_t i = at; i < rewrite->old_count; i++)
        count += rewrite->entries[i] ? rewrite->counts[i] : 0;
    WEIR_TRY(weir_arena_zero(&attempt->arena, count + 1, sizeof *all, &all, reterr));
    for (size_t i = at; i < rewrite->old_count; i++) {
        const struct weir_manifest *old = &rewrite->old[i];
        if (!rewrite->entries[i] || old->spec_id != first->spec_id ||
            old->content != first->content || (used && length + old->length > MERGE_BYTES))
            continue;
        memcpy(all + used, rewrite->entries[i], rewrite->counts[i] * sizeof *all);
        used += rewrite->counts[i];
        length += old->length;
        rewrite->entries[i] = NULL;
    }
    WEIR_TRY(write_manifest(attempt, first->spec_id, first->content, all, used,
                            &attempt->manifests[attempt->manifest_count], reterr));
    attempt->manifest_count++;
    return WEIR_OK;
}

static weir_status rewrite_begin(struct rewrite *rewrite, struct weir_error *reterr)
{
    struct attempt *attempt = rewrite->attempt;
    struct weir_arena *arena = &attempt->arena;
    bool replaces = strcmp(attempt->work->operation, "replace") == 0;
    size_t small = 0, count = rewrite->old_count;
    WEIR_TRY(sort_removed(attempt, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 2, sizeof *attempt->manifests, &attempt->manifests, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, count + 1, sizeof(*rewrite->entries), &rewrite->entries, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *rewrite->counts, &rewrite->counts, reterr));
    for (size_t i = 0; i < count; i++)
        small += is_small(&rewrite->old[i]);
    rewrite->tidy = small >= (replaces ? TIDY_MANIFESTS : MERGE_MANIFESTS);
    return WEIR_OK;
}

static weir_status add_new_files(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_work *work = attempt->work;
    struct weir_manifest_entry *added;
    WEIR_TRY(weir_arena_zero(&attempt->arena, work->file_count + 1, sizeof *added, &added, reterr));
    for (size_t i = 0; i < work->file_count; i++) {
        added[i] = (struct weir_manifest_entry){WEIR_ENTRY_ADDED, attempt->id, -1, -1,
                                                work->files[i]};
        attempt->added_rows += work->files[i].record_count;
        attempt->added_bytes += work->files[i].file_size;
    }
    attempt->added_files = (int64_t)work->file_count;
    if (work->file_count) {
        WEIR_TRY(add_manifest(attempt, work->files[0].spec_id, added, work->file_count,
                              &attempt->manifests[0], reterr));
        attempt->manifest_count++;
    }
    return WEIR_OK;
}

/* Work that follows the head: rows that were deleted in place since its base may be in files that
 * it wrote anew. Such work is lost. */
static weir_status ask_deletes(struct attempt *attempt, const struct weir_manifest *manifests,
                               size_t count, struct weir_error *reterr)
{
    struct weir_snapshot base;
    struct weir_manifest *before = NULL;
    size_t before_count = 0;
    if (attempt->work->base == 0 || attempt->work->base == attempt->parent.id)
        return WEIR_OK;
    attempt->lost = !weir_metadata_snapshot(attempt->table->metadata, attempt->work->base, &base);
    if (attempt->lost)
        return WEIR_OK;
    WEIR_TRY(read_list(attempt, &base, &before, &before_count, reterr));
    for (size_t i = 0; i < count; i++) {
        bool known = manifests[i].content == 0;
        for (size_t j = 0; !known && j < before_count; j++)
            known = strcmp(before[j].path, manifests[i].path) == 0;
        attempt->lost |= !known;
    }
    return WEIR_OK;
}

/* Rewriting: manifests that hold a removed file are written anew, together; the others stay as they
 * are. */
static weir_status build_rewrite(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_work *work = attempt->work;
    struct rewrite rewrite = {.attempt = attempt};
    WEIR_TRY(read_manifests(attempt, &rewrite.old, &rewrite.old_count, reterr));
    WEIR_TRY(ask_deletes(attempt, rewrite.old, rewrite.old_count, reterr));
    if (attempt->lost)
        return WEIR_OK;
    WEIR_TRY(rewrite_begin(&rewrite, reterr));
    WEIR_TRY(add_new_files(attempt, reterr));
    for (size_t i = 0; i < rewrite.old_count; i++) {
        WEIR_TRY(look_into(&rewrite, i, reterr));
        if (!rewrite.entries[i])
            attempt->manifests[attempt->manifest_count++] = rewrite.old[i];
    }
    int64_t removed = attempt->removed_files + attempt->removed_deletes;
    /* delete files that nothing needed at the base may be needed by what came back since */
    attempt->lost = work->follows &&
                    (removed != (int64_t)work->removed_count ||
                     (attempt->removed_deletes && attempt->parent.id != work->base));
    if (attempt->lost)
        return WEIR_OK;
    if (removed != (int64_t)work->removed_count)
        return weir_fail(reterr, WEIR_INTERNAL, "%lld of %zu files to be removed are in the table",
                         (long long)removed, work->removed_count);
    for (size_t i = 0; i < rewrite.old_count; i++)
        if (rewrite.entries[i])
            WEIR_TRY(write_together(&rewrite, i, reterr));
    attempt->total_files += attempt->added_files;
    attempt->total_rows += attempt->added_rows;
    return WEIR_OK;
}

weir_status land_manifests(struct attempt *attempt, struct weir_error *reterr)
{
    return attempt->work->replace_all     ? build_replace(attempt, reterr)
           : attempt->work->removed_count ? build_rewrite(attempt, reterr)
                                          : build_append(attempt, reterr);
}

weir_status weir_snapshot_files(struct weir_lake *lake, const struct weir_metadata *metadata,
                                int64_t snapshot_id, struct weir_arena *arena,
                                struct weir_manifest_entry **ret_entries, size_t *ret_count,
                                struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    if (!weir_metadata_snapshot(metadata, snapshot_id, &snapshot))
        return weir_fail(reterr, WEIR_NOT_FOUND, "no snapshot %lld", (long long)snapshot_id);
    struct weir_manifest *manifests = NULL;
    size_t manifest_count = 0;
    if (snapshot.manifest_list) {
        WEIR_AUTO(weir_buffer) bytes = {.account = &lake->context->memory};
        WEIR_TRY(land_get_object(lake, snapshot.manifest_list, &bytes, reterr));
        WEIR_TRY(weir_manifest_list_read(arena, bytes.data, bytes.size, &manifests, &manifest_count,
                                         reterr));
    }
    return land_read_live(lake, arena, manifests, manifest_count, ret_entries, ret_count, reterr);
}
