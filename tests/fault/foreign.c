/* Other engines at the same table: they know nothing of weir.* and move the table by requests of
 * their own. A lost race is nothing to them. */
#include "tests/fault/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

weir_status world_load(struct world *world, const char *name, struct weir_table **ret_table)
{
    const struct weir_catalog *catalog = &world->observer.catalog;
    return catalog->operations->load(catalog->self, name, ret_table, NULL);
}

/* Sends updates (stolen) with main asserted; frees the table. */
static bool send(struct world *world, struct weir_table *table, json_t *updates, enum tally tally)
{
    struct weir_commit commit;
    struct weir_table *made;
    struct weir_error error = {0};
    const struct weir_catalog *catalog = &world->observer.catalog;
    int64_t head = -1;
    weir_metadata_ref(table->metadata, "main", &head);
    weir_status status = weir_commit_init(&commit, &error);
    if (status == WEIR_OK)
        status = weir_commit_require_uuid(&commit, weir_metadata_uuid(table->metadata), &error);
    if (status == WEIR_OK)
        status = weir_commit_require_ref(&commit, "main", head, &error);
    json_array_extend(commit.updates, updates);
    json_decref(updates);
    if (status == WEIR_OK)
        status = catalog->operations->commit(catalog->self, table, &commit, &made, &error);
    if (status == WEIR_OK) {
        weir_table_free(made);
        world->tallies[tally]++;
    } else if (status != WEIR_PRECONDITION) {
        world_violated(world, "%s by another engine: %s: %s", tally_names[tally],
                       weir_status_name(status), error.text);
    }
    if (world->trace)
        printf("%*sanother engine, %s: %s\n", 2 * world->depth, "", tally_names[tally],
               weir_status_name(status));
    weir_commit_done(&commit);
    weir_table_free(table);
    return status == WEIR_OK;
}

bool foreign_property(struct world *world)
{
    struct weir_table *table;
    char value[24];
    snprintf(value, sizeof value, "%d", (int)world_below(world, 1000000));
    return world_load(world, TABLE_NAME, &table) == WEIR_OK &&
           send(world, table,
                json_pack("[{s:s, s:{s:s}}]", "action", "set-properties", "updates",
                          "foreign.number", value),
                T_OTHER_FOREIGN);
}

static json_t *move_ref(const char *name, const char *type, int64_t id)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref", "ref-name", name, "type",
                     type, "snapshot-id", (json_int_t)id);
}

bool foreign_tag(struct world *world)
{
    struct weir_table *table;
    int64_t head;
    if (world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return false;
    weir_metadata_ref(table->metadata, "main", &head);
    return send(world, table, json_pack("[o]", move_ref("kept", "tag", head)), T_OTHER_FOREIGN);
}

bool foreign_roll_back(struct world *world)
{
    struct weir_table *table;
    struct weir_snapshot snapshot;
    int64_t at, head;
    if (world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return false;
    weir_metadata_ref(table->metadata, "main", &head);
    at = head;
    for (uint64_t steps = 1 + world_below(world, 3); steps > 0; steps--)
        if (weir_metadata_snapshot(table->metadata, at, &snapshot) && snapshot.parent_id >= 0 &&
            weir_metadata_snapshot(table->metadata, snapshot.parent_id, &snapshot))
            at = snapshot.id;
    if (at == head) {
        weir_table_free(table);
        return false;
    }
    bool done = send(world, table, json_pack("[o]", move_ref("main", "branch", at)), T_ROLLED_BACK);
    world->rewound |= done;
    return done;
}

bool foreign_expire(struct world *world, bool keep_ours)
{
    struct weir_table *table;
    if (world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return false;
    const json_t *document = weir_metadata_document(table->metadata);
    struct weir_snapshot snapshot;
    json_t *ids = json_array(), *one;
    size_t at;
    int64_t kept = -1;
    weir_metadata_ref(table->metadata, "main", &kept);
    while (keep_ours && weir_metadata_snapshot(table->metadata, kept, &snapshot) &&
           !json_object_get(snapshot.summary, "weir.next"))
        kept = snapshot.parent_id;
    json_array_foreach(json_object_get(document, "snapshots"), at, one)
    {
        int64_t id = json_integer_value(json_object_get(one, "snapshot-id"));
        bool named = id == kept;
        const char *ref;
        json_t *target;
        json_object_foreach(json_object_get(document, "refs"), ref, target)
            named |= json_integer_value(json_object_get(target, "snapshot-id")) == id;
        if (!named && world_chance(world, 700))
            json_array_append_new(ids, json_integer(id));
    }
    if (json_array_size(ids) == 0) {
        json_decref(ids);
        weir_table_free(table);
        return false;
    }
    bool done = send(world, table,
                     json_pack("[{s:s, s:o}]", "action", "remove-snapshots", "snapshot-ids", ids),
                     T_EXPIRED);
    world->cut |= done;
    return done;
}

/* ---- snapshots of theirs -------------------------------------------------------------------- */

static bool put(struct world *world, const char *name, const struct weir_buffer *bytes)
{
    const struct weir_object_store *store = &world->observer.store;
    return store->operations->put(store->self, name, bytes->data, bytes->size, WEIR_PUT_IF_ABSENT,
                                  NULL, NULL, NULL) == WEIR_OK;
}

static json_t *add_snapshot(struct weir_table *table, int64_t id, int64_t parent, const char *list,
                            const char *operation)
{
    return json_pack(
        "{s:s, s:{s:I, s:I, s:I, s:I, s:s, s:i, s:{s:s}}}", "action", "add-snapshot", "snapshot",
        "snapshot-id", (json_int_t)id, "parent-snapshot-id", (json_int_t)parent, "sequence-number",
        (json_int_t)weir_metadata_last_sequence_number(table->metadata) + 1, "timestamp-ms",
        (json_int_t)weir_metadata_last_updated_ms(table->metadata) + 1, "manifest-list", list,
        "schema-id", weir_metadata_schema(table->metadata)->id, "summary", "operation", operation);
}

/* A snapshot on a branch of its own: it takes a sequence number and leaves main where it is. */
bool foreign_branch(struct world *world)
{
    struct weir_table *table;
    struct weir_snapshot parent;
    int64_t head;
    if (world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return false;
    weir_metadata_ref(table->metadata, "main", &head);
    weir_metadata_snapshot(table->metadata, head, &parent);
    int64_t id = weir_snapshot_id(&world->context, table->metadata);
    return send(world, table,
                json_pack("[o, o]", add_snapshot(table, id, head, parent.manifest_list, "append"),
                          move_ref("theirs", "branch", id)),
                T_OTHER_FOREIGN);
}

struct compaction {
    struct world *world;
    struct weir_table *table;
    struct weir_arena arena;
    struct weir_manifest_entry *entries;
    size_t count;
    int64_t head, id;
};

/* The lines of the first half of the files as one file: their entries are deleted, its is added. */
static bool join_files(struct compaction *compaction, struct weir_manifest_entry *ret_joined)
{
    struct world *world = compaction->world;
    const struct weir_object_store *store = &world->observer.store;
    WEIR_AUTO(weir_buffer) text = {.account = &world->context.memory};
    struct weir_data_file joined = {.format = "PARQUET"};
    size_t half = (compaction->count + 1) / 2;
    for (size_t i = 0; i < half; i++) {
        struct weir_manifest_entry *entry = &compaction->entries[i];
        if (store->operations->get(store->self, weir_store_name(store, entry->file.path), 0,
                                   UINT64_MAX, &text, NULL, NULL) != WEIR_OK)
            return false;
        joined.record_count += entry->file.record_count;
        entry->status = WEIR_ENTRY_DELETED;
        entry->snapshot_id = compaction->id;
    }
    for (size_t i = half; i < compaction->count; i++)
        compaction->entries[i].status = WEIR_ENTRY_EXISTING;
    char name[200], *path;
    snprintf(name, sizeof name, "bronze/t/data/joined-%06lld.txt", (long long)++world->objects);
    if (!put(world, name, &text) || weir_arena_print(&compaction->arena, &path, NULL, "%s/%s",
                                                     store->root_uri, name) != WEIR_OK)
        return false;
    joined.path = path;
    joined.file_size = (int64_t)text.size;
    *ret_joined = (struct weir_manifest_entry){WEIR_ENTRY_ADDED, compaction->id, -1, -1, joined};
    return true;
}

static bool compact(struct compaction *compaction, char **ret_list)
{
    struct world *world = compaction->world;
    const struct weir_metadata *metadata = compaction->table->metadata;
    struct weir_manifest_entry *all;
    struct weir_manifest manifest;
    WEIR_AUTO(weir_buffer) bytes = {.account = &world->context.memory};
    WEIR_AUTO(weir_buffer) list = {.account = &world->context.memory};
    int64_t sequence = weir_metadata_last_sequence_number(metadata) + 1;
    char name[200], *path;
    if (weir_arena_zero(&compaction->arena, compaction->count + 1, sizeof *all, &all, NULL) !=
            WEIR_OK ||
        !join_files(compaction, &all[compaction->count]))
        return false;
    memcpy(all, compaction->entries, compaction->count * sizeof *all);
    if (weir_manifest_write(&compaction->arena, weir_metadata_schema(metadata),
                            weir_metadata_spec(metadata), 0, compaction->id, sequence, all,
                            compaction->count + 1, &bytes, &manifest, NULL) != WEIR_OK)
        return false;
    snprintf(name, sizeof name, "bronze/t/metadata/theirs-%lld-m.avro", (long long)compaction->id);
    if (weir_arena_print(&compaction->arena, &path, NULL, "%s/%s", world->observer.store.root_uri,
                         name) != WEIR_OK ||
        !put(world, name, &bytes))
        return false;
    manifest.path = path;
    manifest.length = (int64_t)bytes.size;
    manifest.added_snapshot_id = compaction->id;
    if (world->lying)
        manifest.added_files = manifest.existing_files = manifest.deleted_files = 0;
    if (weir_manifest_list_write(compaction->id, compaction->head, sequence, &manifest, 1, &list,
                                 NULL) != WEIR_OK)
        return false;
    snprintf(name, sizeof name, "bronze/t/metadata/theirs-%lld.avro", (long long)compaction->id);
    return weir_arena_print(&compaction->arena, ret_list, NULL, "%s/%s",
                            world->observer.store.root_uri, name) == WEIR_OK &&
           put(world, name, &list);
}

bool foreign_compact(struct world *world)
{
    struct compaction compaction = {.world = world};
    char *list;
    bool done = false;
    if (world_load(world, TABLE_NAME, &compaction.table) != WEIR_OK)
        return false;
    weir_arena_init(&compaction.arena, &world->context.memory);
    weir_metadata_ref(compaction.table->metadata, "main", &compaction.head);
    compaction.id = weir_snapshot_id(&world->context, compaction.table->metadata);
    if (weir_snapshot_files(&world->observer.lake, compaction.table->metadata, compaction.head,
                            &compaction.arena, &compaction.entries, &compaction.count,
                            NULL) == WEIR_OK &&
        compaction.count >= 2 && compact(&compaction, &list))
        done = send(world, compaction.table,
                    json_pack("[o, o]",
                              add_snapshot(compaction.table, compaction.id, compaction.head, list,
                                           "replace"),
                              move_ref("main", "branch", compaction.id)),
                    T_COMPACTED);
    else
        weir_table_free(compaction.table);
    weir_arena_done(&compaction.arena);
    return done;
}
