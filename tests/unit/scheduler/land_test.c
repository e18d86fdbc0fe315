/* Landing, scene by scene, on both catalogs: what was answered and what was done differ, others are
 * faster, the table moves under it. Random histories of the same: tests/fault/land_random.c. */
#include "tests/fault/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct world world;

/* What goes wrong in a scene: the n-th call of a kind whose name holds a text. */
static struct script {
    const char *kind, *name;
    int at, seen; /* at 0: every one */
    struct fault fault;
    /* Somebody else, right before the n-th call. */
    const char *act_kind, *act_name;
    int act_at, act_seen;
    void (*act)(void);
    bool inside;
} script;

static struct fault next(void *self, const char *kind, const char *name)
{
    if (!script.kind || script.inside || strcmp(kind, script.kind) != 0 ||
        !strstr(name, script.name ? script.name : "") ||
        (++script.seen != script.at && script.at != 0))
        return (struct fault){0};
    return script.fault;
}

static void around(void *self, const char *kind, const char *name, bool before)
{
    if (!before || !script.act || script.inside || strcmp(kind, script.act_kind) != 0 ||
        strcmp(name, script.act_name) != 0 ||
        (++script.act_seen != script.act_at && script.act_at != 0))
        return;
    script.inside = true;
    script.act();
    script.inside = false;
}

static void open_world(bool object_store, int partitions)
{
    world_open(&world, 7, object_store, partitions, 2);
    world.faults = (struct faults){next, around, &world, NULL, 0};
    script = (struct script){0};
    for (int i = 0; i < 2; i++) {
        world.writers[i].partitions = UINT64_MAX;
        world.writers[i].syncs = true;
    }
}

static weir_status land(int writer, int64_t records, enum weir_landing *ret_landing)
{
    *ret_landing = WEIR_ABANDONED;
    return writer_window(&world.writers[writer], records, ret_landing);
}

static void must_land(int writer, int64_t records)
{
    enum weir_landing landing;
    cr_assert_eq(land(writer, records, &landing), WEIR_OK, "%s", world.violation);
    cr_assert_eq(landing, WEIR_LANDED);
}

static size_t snapshots(void)
{
    struct weir_table *table;
    cr_assert_eq(world_load(&world, TABLE_NAME, &table), WEIR_OK);
    size_t count = json_array_size(
        json_object_get(weir_metadata_document(table->metadata), "snapshots"));
    weir_table_free(table);
    return count;
}

/* Late requests arrive, everyone goes on without faults, everything is looked at. */
static void close_world(const char *scene, size_t at)
{
    script = (struct script){0};
    cr_assert_eq(*world.violation, '\0', "%s %zu: %s", scene, at, world.violation);
    world_check(&world, false);
    cr_assert_eq(*world.violation, '\0', "%s %zu: %s", scene, at, world.violation);
    world_settle(&world);
    cr_assert_eq(*world.violation, '\0', "%s %zu: %s", scene, at, world.violation);
    world_close(&world);
}

/* All that one request can come to. The work lands once, and the writer knows. */
static const struct fault answers[] = {
    {FAULT_BEFORE, WEIR_UNKNOWN_OUTCOME}, {FAULT_AFTER, WEIR_UNKNOWN_OUTCOME},
    {FAULT_BEFORE, WEIR_PRECONDITION},    {FAULT_AFTER, WEIR_PRECONDITION},
    {FAULT_BEFORE, WEIR_UNAVAILABLE},     {FAULT_DOUBLED, WEIR_OK},
    {FAULT_DELAYED, WEIR_UNKNOWN_OUTCOME}};
#define ANSWERS (sizeof answers / sizeof *answers)

Test(land, whatever_is_answered_to_a_commit_it_lands_once)
{
    for (size_t i = 0; i < 2 * ANSWERS; i++) {
        open_world(i % 2, 2);
        must_land(0, 5);
        script = (struct script){.kind = "commit", .name = TABLE_NAME, .at = 1};
        script.fault = answers[i / 2];
        must_land(0, 5);
        cr_assert_geq(script.seen, 1);
        cr_assert_eq(snapshots(), 3, "answer %zu", i / 2);
        while (world.faults.waiting)
            cr_assert_not(faults_deliver(&world.faults, 0), "a late request landed again");
        cr_assert_eq(world_next(&world, 0), 10);
        close_world("answer", i);
    }
}

Test(land, whatever_is_answered_to_a_birth_there_is_one_table)
{
    for (size_t i = 0; i < 2 * ANSWERS; i++) {
        open_world(i % 2, 2);
        enum weir_landing landing;
        script = (struct script){.kind = "create", .name = TABLE_NAME, .at = 1};
        script.fault = answers[i / 2];
        weir_status status = land(0, 5, &landing);
        cr_assert(status == WEIR_OK || script.fault.kind == FAULT_BEFORE ||
                      script.fault.kind == FAULT_DELAYED,
                  "answer %zu: %s", i / 2, weir_status_name(status));
        if (status != WEIR_OK)
            must_land(1, 5); /* perhaps in front of the late request */
        while (world.faults.waiting)
            cr_assert_not(faults_deliver(&world.faults, 0), "a late birth took place");
        cr_assert_eq(world_next(&world, 0), 5);
        close_world("birth", i);
    }
}

static int64_t act_records;
static void other_lands(void)
{
    enum weir_landing landing;
    cr_assert_eq(land(1, act_records, &landing), WEIR_OK, "%s", world.violation);
}

/* B's whole landing between A's reading and A's request. */
Test(land, another_is_faster)
{
    static const struct {
        uint64_t mine, theirs;
        int64_t records;
        enum weir_landing wanted;
    } scenes[] = {
        {1, 1, 5, WEIR_SUPERSEDED}, /* the same work */
        {1, 1, 9, WEIR_SUPERSEDED}, /* and more */
        {1, 1, 2, WEIR_ABANDONED},  /* a part of it */
        {1, 2, 5, WEIR_LANDED},     /* another partition */
        {3, 1, 5, WEIR_ABANDONED},  /* one of two */
    };
    for (size_t i = 0; i < 2 * (sizeof scenes / sizeof *scenes); i++)
        for (int delayed = 0; delayed < 2; delayed++) {
            open_world(i % 2, 2);
            must_land(0, 3);
            world.writers[0].partitions = scenes[i / 2].mine;
            world.writers[1].partitions = scenes[i / 2].theirs;
            act_records = scenes[i / 2].records;
            script.act_kind = delayed ? "load" : "commit"; /* the load after the lost answer */
            script.act_name = TABLE_NAME;
            script.act_at = delayed ? 2 : 1;
            script.act = other_lands;
            if (delayed) {
                script.kind = "commit";
                script.name = TABLE_NAME;
                script.at = 1;
                script.fault = (struct fault){FAULT_DELAYED, WEIR_UNKNOWN_OUTCOME};
            }
            enum weir_landing landing;
            cr_assert_eq(land(0, 5, &landing), WEIR_OK, "%zu: %s", i, world.violation);
            cr_assert_eq(world.tallies[T_LANDED], landing == WEIR_LANDED ? 3 : 2);
            cr_assert_eq(landing, scenes[i / 2].wanted, "scene %zu, delayed %d: %d", i / 2, delayed,
                         (int)landing);
            while (world.faults.waiting)
                cr_assert_not(faults_deliver(&world.faults, 0), "a stale request landed");
            close_world("race", i);
        }
}

static bool (*foreign)(struct world *world);
static void foreign_acts(void)
{
    cr_assert(foreign(&world));
}

static bool expire_ours(struct world *of)
{
    return foreign_expire(of, true);
}

static bool raise_epoch(struct world *of)
{
    of->manners.epochs = true;
    return writer_epoch(&of->writers[1]) == WEIR_OK && of->tallies[T_EPOCHS] == 1;
}

/* Other engines move the table between reading and request. What leaves the rows alone does not
 * stop the landing: a property, a tag and an expiry leave even the branch alone. */
Test(land, the_table_moves_under_it)
{
    static const struct {
        bool (*act)(struct world *world);
        enum weir_landing wanted;
    } scenes[] = {{foreign_property, WEIR_LANDED}, {foreign_tag, WEIR_LANDED},
                  {expire_ours, WEIR_LANDED},      {foreign_branch, WEIR_LANDED},
                  {foreign_compact, WEIR_LANDED},  {foreign_roll_back, WEIR_ABANDONED},
                  {raise_epoch, WEIR_ABANDONED}};
    for (size_t i = 0; i < 2 * (sizeof scenes / sizeof *scenes); i++) {
        open_world(i % 2, 2);
        for (int n = 0; n < 6; n++)
            must_land(0, 3);
        foreign = scenes[i / 2].act;
        script.act_kind = "commit";
        script.act_name = TABLE_NAME;
        script.act_at = 1;
        script.act = foreign_acts;
        enum weir_landing landing;
        cr_assert_eq(land(0, 4, &landing), WEIR_OK, "scene %zu: %s", i / 2, world.violation);
        cr_assert_eq(landing, scenes[i / 2].wanted, "scene %zu: landing %d", i / 2, (int)landing);
        cr_assert_eq(script.act_seen >= 1, true);
        close_world("moved", i);
    }
}

static void other_window(void)
{
    enum weir_landing landing;
    world.writers[1].partitions = 2;
    cr_assert_eq(land(1, 3, &landing), WEIR_OK, "%s", world.violation);
    cr_assert_eq(landing, WEIR_LANDED);
}

/* Drops the first file of the head and tags the snapshot before it. */
static enum weir_landing drop_first(struct weir_table **table, const char *path, int64_t base)
{
    const struct weir_work work = {.kind = "retention",
                                   .operation = "delete",
                                   .epoch = 1,
                                   .removed = &path,
                                   .removed_count = 1,
                                   .base = base,
                                   .follows = true,
                                   .tag = "before",
                                   .tag_snapshot = base};
    struct weir_error error;
    enum weir_landing landing;
    cr_assert_eq(weir_land(&world.writers[0].lake, table, &work, &landing, NULL, &error), WEIR_OK,
                 "%s", error.text);
    return landing;
}

static size_t head_files(const struct weir_table *table, struct weir_arena *arena,
                         struct weir_manifest_entry **ret_entries, int64_t *ret_head)
{
    size_t count;
    cr_assert(weir_metadata_ref(table->metadata, "main", ret_head));
    cr_assert_eq(weir_snapshot_files(&world.observer.lake, table->metadata, *ret_head, arena,
                                     ret_entries, &count, NULL),
                 WEIR_OK);
    return count;
}

/* Upkeep takes a file out while windows land: it goes behind them. Once the file has gone, or the
 * files were put together, it has nothing to do with the table any more. */
Test(land, what_follows_the_head_lands_behind_windows)
{
    for (size_t i = 0; i < 4; i++) {
        struct weir_arena arena;
        struct weir_manifest_entry *entries;
        struct weir_table *table;
        int64_t head, base, tagged;
        open_world(i % 2, 2);
        weir_arena_init(&arena, &world.context.memory);
        for (int n = 0; n < 3; n++)
            must_land(0, 3);
        cr_assert_eq(world_load(&world, TABLE_NAME, &table), WEIR_OK);
        size_t count = head_files(table, &arena, &entries, &base);
        script.act_kind = "commit";
        script.act_name = TABLE_NAME;
        script.act_at = 1;
        script.act = i < 2 ? other_window : foreign_acts;
        foreign = foreign_compact;
        cr_assert_eq(drop_first(&table, entries[0].file.path, base),
                     i < 2 ? WEIR_LANDED : WEIR_ABANDONED, "scene %zu", i);
        if (i < 2) {
            struct weir_manifest_entry *now;
            cr_assert(weir_metadata_ref(table->metadata, "before", &tagged));
            cr_assert_eq(tagged, base);
            cr_assert_gt(head_files(table, &arena, &now, &head) + 1, count);
            for (size_t f = 0; f + 1 < count; f++)
                cr_assert_str_neq(now[f].file.path, entries[0].file.path);
            cr_assert_eq(drop_first(&table, entries[0].file.path, base), WEIR_ABANDONED);
            cr_assert_eq(drop_first(&table, entries[0].file.path, head), WEIR_ABANDONED);
        }
        weir_table_free(table);
        weir_arena_done(&arena);
        script = (struct script){0};
        world_close(&world);
    }
}

static void other_adds_a_column(void)
{
    enum weir_landing landing;
    world.writers[1].partitions = 2;
    cr_assert_eq(writer_column(&world.writers[1], "theirs", &landing), WEIR_OK, "%s",
                 world.violation);
    cr_assert_eq(landing, WEIR_LANDED);
}

/* Two versions of a pipeline add a column each: the loser's files carry ids that are now somebody
 * else's, and its schema lacks the winner's column. It plans anew. */
Test(land, a_schema_lands_only_on_the_one_it_was_computed_from)
{
    for (int i = 0; i < 2; i++) {
        open_world(i, 2);
        must_land(0, 3);
        world.writers[0].partitions = 1;
        script.act_kind = "commit";
        script.act_name = TABLE_NAME;
        script.act_at = 1;
        script.act = other_adds_a_column;
        enum weir_landing landing;
        cr_assert_eq(writer_column(&world.writers[0], "ours", &landing), WEIR_OK);
        cr_assert_eq(landing, WEIR_ABANDONED);
        cr_assert_eq(writer_column(&world.writers[0], "ours", &landing), WEIR_OK);
        cr_assert_eq(landing, WEIR_LANDED);
        close_world("schema", (size_t)i);
    }
}

static void other_levels_and_goes_on(void)
{
    act_records = 8;
    world.writers[1].syncs = false;
    cr_assert_eq(writer_sync(&world.writers[1]), WEIR_OK, "%s", world.violation);
    other_lands();
}

/* Others level the quarantine each time: nothing is lost, but it is said. */
Test(land, a_quarantine_that_loses_every_race_says_so)
{
    for (int i = 0; i < 2; i++) {
        open_world(i, 1);
        must_land(0, 8);
        world.writers[0].syncs = false;
        must_land(0, 8);
        script.act_kind = "commit";
        script.act_name = TABLE_NAME "__quarantine";
        script.act = other_levels_and_goes_on;
        cr_assert_eq(writer_sync(&world.writers[0]), WEIR_PRECONDITION);
        cr_assert_geq(script.act_seen, 5);
        close_world("sync", (size_t)i);
    }
}

/* Every answer to the quarantine's own commit and birth. */
Test(land, whatever_is_answered_to_the_quarantine_it_is_level_in_the_end)
{
    for (size_t i = 0; i < 4 * ANSWERS; i++) {
        open_world(i % 2, 2);
        enum weir_landing landing;
        script = (struct script){.kind = i / 2 % 2 ? "create" : "commit",
                                 .name = "__quarantine",
                                 .at = 1,
                                 .fault = answers[i / 4]};
        weir_status status = land(0, 9, &landing);
        cr_assert_eq(landing, WEIR_LANDED, "the data has landed before");
        cr_assert(status == WEIR_OK || script.kind[1] == 'r');
        close_world("quarantine", i);
    }
}

/* Beyond 64 partitions the offsets are in the receipt. */
Test(land, seventy_partitions)
{
    for (int i = 0; i < 2; i++) {
        open_world(i, 70);
        must_land(0, 2);
        script = (struct script){.kind = "commit", .name = TABLE_NAME, .at = 1};
        script.fault = (struct fault){FAULT_AFTER, WEIR_UNKNOWN_OUTCOME};
        must_land(1, 2);
        must_land(0, 2);
        for (int p = 0; p < 70; p++)
            cr_assert_eq(world_next(&world, p), 6);
        close_world("seventy", (size_t)i);
    }
}

static size_t manifest_count(void)
{
    struct weir_table *table;
    struct weir_arena arena;
    struct weir_snapshot snapshot;
    struct weir_manifest *manifests;
    size_t count;
    int64_t head;
    WEIR_AUTO(weir_buffer) bytes = {.account = &world.context.memory};
    const struct weir_object_store *store = &world.observer.store;
    weir_arena_init(&arena, &world.context.memory);
    cr_assert_eq(world_load(&world, TABLE_NAME, &table), WEIR_OK);
    cr_assert(weir_metadata_ref(table->metadata, "main", &head));
    cr_assert(weir_metadata_snapshot(table->metadata, head, &snapshot));
    cr_assert_eq(store->operations->get(store->self, weir_store_name(store, snapshot.manifest_list),
                                        0, UINT64_MAX, &bytes, NULL, NULL),
                 WEIR_OK);
    cr_assert_eq(weir_manifest_list_read(&arena, bytes.data, bytes.size, &manifests, &count, NULL),
                 WEIR_OK);
    weir_arena_done(&arena);
    weir_table_free(table);
    return count;
}

/* More small manifests than are left alone become one, and no file is lost by it; also when the
 * attempt that merges is lost and made anew. */
Test(land, small_manifests_are_merged)
{
    for (int i = 0; i < 2; i++) {
        open_world(i, 2);
        world.writers[0].syncs = false;
        for (int n = 0; n < 109; n++) {
            must_land(0, 2);
            world.lying = true; /* merging goes by what the manifests hold */
            cr_assert(n != 9 || foreign_compact(&world));
        }
        cr_assert_eq(manifest_count(), 100);
        world.writers[0].partitions = 1;
        world.writers[1].partitions = 2;
        act_records = 5;
        script.act_kind = "commit";
        script.act_name = TABLE_NAME;
        script.act_at = 1;
        script.act = other_lands;
        must_land(0, 2);
        cr_assert_eq(manifest_count(), 3, "merged by the other; then the other's, then ours");
        close_world("merge", (size_t)i);
    }
}

/* Each put of a birth, a window and its quarantine goes wrong once, in each way. Whatever the run
 * ends with, the next one finishes. */
Test(land, each_put_of_a_run_fails_once, .timeout = 300)
{
    static const struct fault faults[] = {{FAULT_BEFORE, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_AFTER, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_BEFORE, WEIR_PRECONDITION},
                                          {FAULT_AFTER, WEIR_PRECONDITION},
                                          {FAULT_BEFORE, WEIR_UNAVAILABLE},
                                          {FAULT_BEFORE, WEIR_NO_SPACE},
                                          {FAULT_DOUBLED, WEIR_OK},
                                          {FAULT_DELAYED, WEIR_UNKNOWN_OUTCOME}};
    for (size_t i = 0; i < 2 * (sizeof faults / sizeof *faults); i++) {
        bool over = false;
        for (int at = 1; !over; at++) {
            open_world(i % 2, 1);
            script = (struct script){.kind = "put", .at = at, .fault = faults[i / 2]};
            enum weir_landing landing;
            weir_status status = land(0, 9, &landing);
            over = script.seen < at;
            cr_assert(!over || status == WEIR_OK);
            script = (struct script){0};
            close_world("put", i);
            cr_assert_lt(at, 100);
            cr_assert(!over || at > 12, "a run of %d puts only", at - 1);
        }
    }
}
