/* What must hold whatever went wrong; see world.h. */
#include "tests/fault/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSETS_MAX 4096 /* of a partition in one history */

struct seen {
    struct world *world;
    struct weir_table *table;
    json_t *state, *list;
    struct weir_arena arena;
    uint8_t (*landed)[OFFSETS_MAX], (*refused)[OFFSETS_MAX];
    int64_t highest; /* offset of them */
};

static bool count_lines(struct seen *seen, const char *path, uint8_t (*into)[OFFSETS_MAX])
{
    struct world *world = seen->world;
    const struct weir_object_store *store = &world->observer.store;
    WEIR_AUTO(weir_buffer) text = {.account = &world->context.memory};
    if (store->operations->get(store->self, weir_store_name(store, path), 0, UINT64_MAX, &text,
                               NULL, NULL) != WEIR_OK ||
        weir_buffer_append(&text, "", 1, NULL) != WEIR_OK) {
        world_violated(world, "%s is gone", path);
        return false;
    }
    char *line = (char *)text.data, *end;
    for (; *line; line = end + (*end == '\n')) {
        long partition = strtol(line, &end, 10);
        long long offset = strtoll(end, &end, 10);
        if (partition < 0 || partition >= world->partitions || offset < 0 ||
            offset >= OFFSETS_MAX) {
            world_violated(world, "%s: strange line", path);
            return false;
        }
        into[partition][offset]++;
        seen->highest = offset > seen->highest ? offset : seen->highest;
    }
    return true;
}

static bool count_files(struct seen *seen)
{
    struct world *world = seen->world;
    struct weir_manifest_entry *entries;
    struct weir_error error = {0};
    size_t count, at;
    int64_t head;
    json_t *file;
    weir_metadata_ref(seen->table->metadata, "main", &head);
    if (weir_snapshot_files(&world->observer.lake, seen->table->metadata, head, &seen->arena,
                            &entries, &count, &error) != WEIR_OK) {
        world_violated(world, "the head's files: %s", error.text);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!count_lines(seen, entries[i].file.path, seen->landed))
            return false;
    json_array_foreach(json_object_get(seen->list, "files"), at,
                       file) if (!count_lines(seen,
                                              json_string_value(json_object_get(file, "path")),
                                              seen->refused)) return false;
    return true;
}

/* A bad record is in the quarantine, and, once retried, in the table instead. */
static void check_offsets(struct seen *seen)
{
    struct world *world = seen->world;
    char key[512];
    for (int p = 0; p < world->partitions; p++) {
        weir_position_key(key, sizeof key, "c", "t", 0, p);
        int64_t next = weir_position_get(seen->state, key, "next");
        if (next < 0)
            world_violated(world, "partition %d has no offset", p);
        for (int64_t offset = 0; offset <= seen->highest || offset < next; offset++) {
            bool below = offset < next, bad = world_is_bad(p, offset);
            int retried = bad && weir_intervals_has(seen->state, "retried", key, offset);
            int landed = below && (!bad || retried), refused = below && bad && !retried;
            if (seen->landed[p][offset] != landed || seen->refused[p][offset] != refused)
                world_violated(world,
                               "partition %d, next %lld: offset %lld is %d times in the table and "
                               "%d times in the quarantine, wanted %d and %d",
                               p, (long long)next, (long long)offset, seen->landed[p][offset],
                               seen->refused[p][offset], landed, refused);
        }
    }
}

/* Every snapshot landed in the epoch of its work, its schema is there, and no column of an ancestor
 * was lost or given another id. */
static void check_ancestry(struct seen *seen)
{
    const struct weir_metadata *metadata = seen->table->metadata;
    const struct weir_type *current = &weir_metadata_schema(metadata)->root;
    struct weir_snapshot snapshot;
    int64_t at;
    weir_metadata_ref(metadata, "main", &at);
    for (int i = 0; i < seen->world->landed_count && !seen->world->rewound && !seen->world->cut;
         i++)
        if (!weir_metadata_is_ancestor(metadata, seen->world->landed[i], at))
            world_violated(seen->world, "snapshot %lld had landed and is gone",
                           (long long)seen->world->landed[i]);
    for (; weir_metadata_snapshot(metadata, at, &snapshot); at = snapshot.parent_id) {
        json_t *one, *field, *found = NULL;
        size_t i;
        const char *of = json_string_value(json_object_get(snapshot.summary, "work.epoch")),
                   *in = json_string_value(json_object_get(snapshot.summary, "weir.epoch"));
        if (of && (!in || strcmp(of, in) != 0))
            world_violated(seen->world, "snapshot %lld was computed in epoch %s and landed in %s",
                           (long long)at, of, in ? in : "none");
        json_array_foreach(json_object_get(weir_metadata_document(metadata), "schemas"), i,
                           one) if (json_integer_value(json_object_get(one, "schema-id")) ==
                                    snapshot.schema_id) found = one;
        if (!found)
            world_violated(seen->world, "snapshot %lld names schema %d, which is not there",
                           (long long)at, snapshot.schema_id);
        json_array_foreach(json_object_get(found, "fields"), i, field)
        {
            const char *name = json_string_value(json_object_get(field, "name"));
            const struct weir_field *now = weir_type_child(current, name, strlen(name));
            if (!now || now->id != json_integer_value(json_object_get(field, "id")))
                world_violated(seen->world,
                               "snapshot %lld had column %s with id %lld; it is %s now",
                               (long long)at, name,
                               (long long)json_integer_value(json_object_get(field, "id")),
                               now ? "another" : "gone");
        }
    }
}

static void check_verify(struct world *world, const struct weir_table *table)
{
    struct weir_verify_options options = {.deep = false};
    struct weir_error error = {0};
    json_t *report = NULL;
    weir_status status = weir_verify(&world->observer.lake, table, &options, &report, &error);
    if (status != WEIR_OK)
        world_violated(world, "verify %s: %s", table->name, error.text);
    else if (json_array_size(json_object_get(report, "problems")))
        world_violated(world, "verify %s: %s", table->name,
                       json_string_value(json_array_get(json_object_get(report, "problems"), 0)));
    json_decref(report);
}

/* The quarantine holds the files of the list, no others, each once. */
static void check_quarantine(struct seen *seen)
{
    struct world *world = seen->world;
    struct weir_table *quarantine;
    struct weir_manifest_entry *entries;
    size_t count, wanted = json_array_size(json_object_get(seen->list, "files")), at, same = 0;
    int64_t head;
    json_t *file;
    weir_status status = world_load(world, TABLE_NAME "__quarantine", &quarantine);
    if (status == WEIR_NOT_FOUND) {
        if (wanted)
            world_violated(world, "no quarantine table for %zu files", wanted);
        return;
    }
    if (status != WEIR_OK) {
        world_violated(world, "the quarantine table does not load");
        return;
    }
    weir_metadata_ref(quarantine->metadata, "main", &head);
    if (weir_snapshot_files(&world->observer.lake, quarantine->metadata, head, &seen->arena,
                            &entries, &count, NULL) != WEIR_OK)
        count = 0;
    json_array_foreach(json_object_get(seen->list, "files"), at, file) for (size_t i = 0; i < count;
                                                                            i++)
        same += strcmp(entries[i].file.path, json_string_value(json_object_get(file, "path"))) == 0;
    if (count != wanted || same != wanted)
        world_violated(world, "the quarantine table has %zu files, %zu of the list's %zu", count,
                       same, wanted);
    const char *guard = weir_metadata_property(quarantine->metadata, "gc.enabled"),
               *own = weir_metadata_property(quarantine->metadata, "of");
    if (!guard || strcmp(guard, "false") != 0 || !own || strcmp(own, "world") != 0)
        world_violated(world, "the quarantine table lacks a property of its birth");
    weir_table_free(quarantine);
}

static void check_table(struct seen *seen, bool final)
{
    struct world *world = seen->world;
    struct weir_error error = {0};
    weir_status status = weir_truth(&world->observer.store, &world->context.memory,
                                    seen->table->metadata, "main", &seen->state, &error);
    if (status == WEIR_DECISION && world->cut)
        return; /* an expiry took what proves the offsets: Weir stops, and so does this check */
    if (status == WEIR_OK)
        status = weir_letters_read(&world->observer.lake, seen->state, WEIR_LETTERS, &seen->list,
                                   &error);
    if (status != WEIR_OK) {
        world_violated(world, "the truth: %s", error.text);
        return;
    }
    if (count_files(seen))
        check_offsets(seen);
    check_ancestry(seen);
    check_verify(world, seen->table);
    if (final)
        check_quarantine(seen);
}

void world_check(struct world *world, bool final)
{
    struct seen seen = {.world = world};
    weir_status status = world_load(world, TABLE_NAME, &seen.table);
    if (status == WEIR_NOT_FOUND && !final)
        return;
    if (status != WEIR_OK) {
        world_violated(world, "the table does not load: %s", weir_status_name(status));
        return;
    }
    seen.landed = calloc((size_t)world->partitions, sizeof *seen.landed);
    seen.refused = calloc((size_t)world->partitions, sizeof *seen.refused);
    if (!seen.landed || !seen.refused)
        abort();
    weir_arena_init(&seen.arena, &world->context.memory);
    check_table(&seen, final);
    json_decref(seen.state);
    json_decref(seen.list);
    weir_arena_done(&seen.arena);
    weir_table_free(seen.table);
    free(seen.landed);
    free(seen.refused);
}

int64_t world_next(struct world *world, int partition)
{
    struct weir_table *table;
    json_t *state = NULL;
    char key[512];
    if (world_load(world, TABLE_NAME, &table) != WEIR_OK)
        return -1;
    weir_position_key(key, sizeof key, "c", "t", 0, partition);
    if (weir_truth(&world->observer.store, &world->context.memory, table->metadata, "main", &state,
                   NULL) != WEIR_OK)
        state = NULL;
    int64_t next = weir_position_get(state, key, "next");
    json_decref(state);
    weir_table_free(table);
    return next;
}

/* Without faults each writer must get its work done: being stuck is a violation too. */
void world_settle(struct world *world)
{
    enum weir_landing landing = WEIR_ABANDONED;
    world->manners = (struct manners){0};
    while (world->faults.waiting)
        world->tallies[T_DELIVERED] += faults_deliver(
            &world->faults, (int)world_below(world, (uint64_t)world->faults.waiting));
    for (int i = 0; i < world->writer_count && !*world->violation; i++) {
        struct writer *writer = &world->writers[i];
        weir_table_free(writer->stale);
        writer->stale = NULL;
        weir_status status = writer_window(writer, 6, &landing);
        if (status == WEIR_DECISION)
            return; /* cut: `ended` has looked whether it may be */
        if (status != WEIR_OK || landing != WEIR_LANDED)
            world_violated(world, "without faults writer %d ends with %s, landing %d", i,
                           weir_status_name(status), (int)landing);
        if (writer_sync(writer) != WEIR_OK)
            world_violated(world, "without faults writer %d does not level the quarantine", i);
    }
    world_check(world, true);
}
