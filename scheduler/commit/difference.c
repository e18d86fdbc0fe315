/* Two snapshots of a table, compared by their files. protocol.md 6. */
#include "scheduler/commit/land_int.h"

#include <stdlib.h>
#include <string.h>

struct side {
    struct weir_manifest *manifests;
    size_t count;
    struct weir_manifest_entry *entries; /* live, of manifests that the other side lacks */
    size_t entry_count;
};

static weir_status read_list(struct weir_lake *lake, const struct weir_metadata *metadata,
                             int64_t snapshot_id, struct weir_arena *arena, struct side *side,
                             struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    WEIR_AUTO(weir_buffer) bytes = {.account = &lake->context->memory};
    if (snapshot_id == 0)
        return WEIR_OK;
    if (!weir_metadata_snapshot(metadata, snapshot_id, &snapshot))
        return weir_fail(reterr, WEIR_NOT_FOUND, "snapshot %lld is not there any more",
                         (long long)snapshot_id);
    if (!snapshot.manifest_list)
        return WEIR_OK;
    WEIR_TRY(land_get_object(lake, snapshot.manifest_list, &bytes, reterr));
    return weir_manifest_list_read(arena, bytes.data, bytes.size, &side->manifests, &side->count,
                                   reterr);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct weir_manifest *)a)->path, ((const struct weir_manifest *)b)->path);
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const struct weir_manifest_entry *)a)->file.path,
                  ((const struct weir_manifest_entry *)b)->file.path);
}

static bool has_live(const struct weir_manifest *manifest)
{
    return manifest->added_files != 0 || manifest->existing_files != 0;
}

/* Takes out what both sides list; *ret_deletes when delete manifests are left. */
static void cancel(struct side *side, const struct weir_manifest *other, size_t other_count,
                   bool *ret_deletes)
{
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++) {
        const struct weir_manifest *manifest = &side->manifests[i];
        if (bsearch(manifest, other, other_count, sizeof *other, by_path))
            continue;
        if (manifest->content != 0)
            *ret_deletes |= has_live(manifest);
        else
            side->manifests[kept++] = *manifest;
    }
    side->count = kept;
}

/* Entries of `side` whose file the other side has not. */
static weir_status only_here(const struct side *side, const struct side *other,
                             struct weir_arena *arena, struct weir_manifest_entry **ret,
                             size_t *ret_count, int64_t *ret_rows, struct weir_error *reterr)
{
    struct weir_manifest_entry *only;
    size_t count = 0;
    WEIR_TRY(weir_arena_zero(arena, side->entry_count + 1, sizeof *only, &only, reterr));
    for (size_t i = 0; i < side->entry_count; i++)
        if (other->entry_count == 0 || !bsearch(&side->entries[i], other->entries,
                                                other->entry_count, sizeof *only, by_file)) {
            only[count++] = side->entries[i];
            *ret_rows += side->entries[i].file.record_count;
        }
    *ret = only;
    *ret_count = count;
    return WEIR_OK;
}

weir_status weir_snapshot_difference(struct weir_lake *lake, const struct weir_metadata *metadata,
                                     int64_t from, int64_t to, struct weir_arena *arena,
                                     struct weir_difference *ret_difference,
                                     struct weir_error *reterr)
{
    struct weir_difference difference = {0};
    struct side a = {0}, b = {0};
    struct weir_manifest *listed;
    WEIR_TRY(read_list(lake, metadata, from, arena, &a, reterr));
    WEIR_TRY(read_list(lake, metadata, to, arena, &b, reterr));
    if (a.count)
        qsort(a.manifests, a.count, sizeof *a.manifests, by_path);
    if (b.count)
        qsort(b.manifests, b.count, sizeof *b.manifests, by_path);
    WEIR_TRY(weir_arena_zero(arena, a.count + 1, sizeof *listed, &listed, reterr));
    if (a.count)
        memcpy(listed, a.manifests, a.count * sizeof *listed);
    size_t listed_count = a.count;
    cancel(&a, b.manifests, b.count, &difference.deletes);
    cancel(&b, listed, listed_count, &difference.deletes);
    WEIR_TRY(land_read_live(lake, arena, a.manifests, a.count, &a.entries, &a.entry_count, reterr));
    WEIR_TRY(land_read_live(lake, arena, b.manifests, b.count, &b.entries, &b.entry_count, reterr));
    qsort(a.entries, a.entry_count, sizeof *a.entries, by_file);
    qsort(b.entries, b.entry_count, sizeof *b.entries, by_file);
    WEIR_TRY(only_here(&b, &a, arena, &difference.added, &difference.added_count,
                       &difference.added_rows, reterr));
    WEIR_TRY(only_here(&a, &b, arena, &difference.removed, &difference.removed_count,
                       &difference.removed_rows, reterr));
    WEIR_TRY(land_without_moves(lake, metadata, from, to, arena, &difference, reterr));
    *ret_difference = difference;
    return WEIR_OK;
}
