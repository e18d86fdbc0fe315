/* What a table and those beside it reach: every object that a snapshot, on a ref or off it, a list
 * of refused rows or a statistics entry names, as names in the store. Each manifest is read once,
 * however many snapshots share it. What cannot be read is an error: nothing is concluded from half
 * a picture. */
#include "scheduler/upkeep/sweep_int.h"

#include <stdio.h>
#include <string.h>

static weir_status no_memory(struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for what a table reaches");
}

/* *ret_new: it was not there yet. Locations outside of the store are nobody's here. */
static weir_status reach(struct reaching *reaching, const char *location, bool *ret_new,
                         struct weir_error *reterr)
{
    const char *name = weir_store_name(&reaching->lake->store, location);
    *ret_new = name && !json_object_get(reaching->names, name);
    return !*ret_new || json_object_set_new(reaching->names, name, json_true()) == 0
               ? WEIR_OK
               : no_memory(reterr);
}

static weir_status get(struct reaching *reaching, const char *location, struct weir_buffer *out,
                       struct weir_error *reterr)
{
    const struct weir_object_store *store = &reaching->lake->store;
    const char *name = weir_store_name(store, location);
    if (!name)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%s lies outside the warehouse: what it reaches cannot be told", location);
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, out, NULL,
                                                reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", name);
    return status;
}

static weir_status reach_manifest(struct reaching *reaching, const struct weir_manifest *manifest,
                                  struct weir_error *reterr)
{
    struct weir_manifest_entry *entries;
    size_t count;
    bool is_new;
    WEIR_TRY(reach(reaching, manifest->path, &is_new, reterr));
    if (!is_new)
        return WEIR_OK;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &reaching->lake->context->memory);
    WEIR_AUTO(weir_buffer) bytes = {.account = &reaching->lake->context->memory};
    WEIR_TRY(get(reaching, manifest->path, &bytes, reterr));
    WEIR_TRY(
        weir_manifest_read(&arena, bytes.data, bytes.size, manifest, &entries, &count, reterr));
    for (size_t i = 0; i < count; i++)
        if (entries[i].status != WEIR_ENTRY_DELETED)
            WEIR_TRY(reach(reaching, entries[i].file.path, &is_new, reterr));
    return WEIR_OK;
}

static weir_status reach_snapshot(struct reaching *reaching, const struct weir_snapshot *snapshot,
                                  struct weir_error *reterr)
{
    struct weir_manifest *manifests;
    size_t count;
    bool is_new;
    if (!snapshot->manifest_list)
        return snapshot->manifests
                   ? weir_fail(reterr, WEIR_UNSUPPORTED,
                               "snapshot %lld lists its manifests as format version 1 does: such a "
                               "table is not swept",
                               (long long)snapshot->id)
                   : WEIR_OK;
    WEIR_TRY(reach(reaching, snapshot->manifest_list, &is_new, reterr));
    if (!is_new)
        return WEIR_OK;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &reaching->lake->context->memory);
    WEIR_AUTO(weir_buffer) bytes = {.account = &reaching->lake->context->memory};
    WEIR_TRY(get(reaching, snapshot->manifest_list, &bytes, reterr));
    WEIR_TRY(weir_manifest_list_read(&arena, bytes.data, bytes.size, &manifests, &count, reterr));
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(reach_manifest(reaching, &manifests[i], reterr));
    return weir_context_check(reaching->lake->context, reterr);
}

/* A list of refused or late rows, and its files. */
static weir_status reach_list(struct reaching *reaching, const char *which, const char *name,
                              struct weir_error *reterr)
{
    json_t *list, *file, *state;
    size_t at;
    bool is_new;
    if (!name || json_object_get(reaching->names, name))
        return WEIR_OK;
    if (json_object_set_new(reaching->names, name, json_true()) != 0)
        return no_memory(reterr);
    state = json_pack("{s:s}", which, name);
    weir_status status = state ? weir_letters_read(reaching->lake, state, which, &list, reterr)
                               : no_memory(reterr);
    json_decref(state);
    WEIR_TRY(status);
    json_array_foreach(json_object_get(list, "files"), at, file)
    {
        status = reach(reaching, json_string_value(json_object_get(file, "path")), &is_new, reterr);
        if (status != WEIR_OK)
            break;
    }
    json_decref(list);
    return status;
}

static weir_status reach_lists(struct reaching *reaching, const struct weir_metadata *metadata,
                               const struct weir_snapshot *snapshots, size_t count,
                               struct weir_error *reterr)
{
    static const char *const lists[] = {WEIR_LETTERS, WEIR_LATE};
    const char *text = weir_metadata_property(metadata, "weir.truth");
    json_t *truth = text ? json_loads(text, 0, NULL) : NULL;
    weir_status status = WEIR_OK;
    for (size_t l = 0; status == WEIR_OK && l < 2; l++) {
        char key[32];
        snprintf(key, sizeof key, "weir.%s", lists[l]);
        status = reach_list(reaching, lists[l], json_string_value(json_object_get(truth, lists[l])),
                            reterr);
        for (size_t i = 0; status == WEIR_OK && i < count; i++)
            status = reach_list(reaching, lists[l],
                                json_string_value(json_object_get(snapshots[i].summary, key)),
                                reterr);
    }
    json_decref(truth);
    return status;
}

static weir_status reach_statistics(struct reaching *reaching, const struct weir_metadata *metadata,
                                    struct weir_error *reterr)
{
    static const char *const lists[] = {"statistics", "partition-statistics"};
    json_t *entry;
    size_t at;
    bool is_new;
    for (size_t l = 0; l < 2; l++)
        json_array_foreach(json_object_get(weir_metadata_document(metadata), lists[l]), at, entry)
        {
            const char *path = json_string_value(json_object_get(entry, "statistics-path"));
            if (path)
                WEIR_TRY(reach(reaching, path, &is_new, reterr));
        }
    return WEIR_OK;
}

weir_status reach_table(struct reaching *reaching, const struct weir_metadata *metadata,
                        struct weir_error *reterr)
{
    size_t count;
    const struct weir_snapshot *snapshots = weir_metadata_snapshots(metadata, &count);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(reach_snapshot(reaching, &snapshots[i], reterr));
    WEIR_TRY(reach_lists(reaching, metadata, snapshots, count, reterr));
    return reach_statistics(reaching, metadata, reterr);
}
