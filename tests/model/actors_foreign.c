/* What others do to our tables, and what happens to the topic: none of it asks Weir first. */
#include "tests/model/model.h"

#include <string.h>

/* The quarantine says gc.enabled=false: its files belong to the data table's weir.letters, so
 * others must not expire it. */
static enum table_id foreign_table(const struct world *world, struct actor *actor)
{
    static const enum table_id tables[] = {BRONZE, BRONZE, BRONZE, SILVER, QUARANTINE};
    return tables[random_below(&actor->random,
                               mutant_is(world, MUTANT_TEXT_QUARANTINE_GC) ? 5 : 4)];
}

/* A replace snapshot without a word of weir.* in its summary. */
static void foreign_compact(struct world *world, struct actor *actor)
{
    struct request *request = &actor->request;
    if (actor->stage++ > 0) {
        (void)catalog_send(world, actor, request);
        actor->phase = PHASE_DONE;
        return;
    }
    enum table_id t = random_chance(&actor->random, 70) ? BRONZE : SILVER;
    int head = catalog_head(world, t, MAIN), count = 0;
    request_init(request, t);
    request_child(world, request, head, NULL);
    struct rows rows = {0};
    struct files inputs = {0}, made = {0};
    const struct files *files = &world->tables[t].snapshots[head].files;
    for (int f = files_next(files, 0); f != NONE && count < 3;
         f = files_next(files, f + 1), count++) {
        files_put(&inputs, f);
        rows_add(&rows, &world->files[f].rows);
    }
    if (count < 2) {
        actor->phase = PHASE_DONE;
        return;
    }
    actor_upload(world, actor, &rows, &made);
    files_take(&request->snapshot.files, &inputs);
    files_add(&request->snapshot.files, &made);
    request->snapshot.removed = inputs;
    request->snapshot.added = made;
    request->foreign = true;
    request_assert(request, MAIN, head);
    request_set(request, MAIN, request->id, REF_BRANCH);
}

static void foreign_rollback(struct world *world, struct actor *actor)
{
    enum table_id t = random_chance(&actor->random, 70) ? BRONZE : SILVER;
    struct table *table = &world->tables[t];
    int candidates[2], count = 0;
    for (int h = table->snapshots[table->refs[MAIN].head].parent;
         h != NONE && table->snapshots[h].alive && count < 2; h = table->snapshots[h].parent)
        candidates[count++] = h;
    actor->phase = PHASE_DONE;
    if (count == 0)
        return;
    table->refs[MAIN].head = (int16_t)candidates[random_below(&actor->random, count)];
    table->foreign_cut = true;
    world->dirty = true;
    world_say(world, actor, "sets main of table %d to s%d", t, table->refs[MAIN].head);
}

/* ExpireSnapshots as Java's core does it: incremental cleanup where only main's history goes, else
 * by reach. */
static void foreign_expire(struct world *world, struct actor *actor)
{
    enum table_id t = foreign_table(world, actor);
    struct table *table = &world->tables[t];
    bool keep[SNAPSHOT_MAX] = {0}, before[SNAPSHOT_MAX] = {0}, current[SNAPSHOT_MAX] = {0},
         picked[SNAPSHOT_MAX] = {0};
    int count = 0, most = 1 + random_below(&actor->random, 3), live_refs = 0;
    actor->phase = PHASE_DONE;
    for (int h = table->refs[MAIN].head; h != NONE && table->snapshots[h].alive;
         h = table->snapshots[h].parent) {
        before[h] = true;
        keep[h] |= count++ < most;
        if (table->snapshots[h].picked != NONE)
            picked[table->snapshots[h].picked] = true;
    }
    for (int r = 0; r < table->ref_count; r++) {
        live_refs += table->refs[r].kind != REF_FREE;
        for (int h = table->refs[r].head;
             r != MAIN && table->refs[r].kind != REF_FREE && h != NONE && table->snapshots[h].alive;
             h = table->snapshots[h].parent) {
            keep[h] = true;
            if (table->refs[r].kind == REF_TAG)
                break;
        }
    }
    for (int h = table->refs[MAIN].head; h != NONE && table->snapshots[h].alive && keep[h];
         h = table->snapshots[h].parent)
        current[h] = true;
    bool any = false, off_main = false;
    for (int i = 0; i < table->snapshot_count; i++) {
        if (!table->snapshots[i].alive)
            continue;
        any |= !keep[i];
        off_main |= keep[i] ? !current[i] : !before[i];
    }
    if (!any)
        return;
    bool incremental = world->old_core ? live_refs == 1 : !off_main;
    struct files doomed = {0}, reach = {0};
    for (int i = 0; i < table->snapshot_count; i++) {
        const struct snapshot *s = &table->snapshots[i];
        if (s->alive && keep[i])
            files_add(&reach, &s->files);
        if (!s->alive || keep[i])
            continue;
        if (!incremental)
            files_add(&doomed, &s->files);
        else if (before[i])
            files_add(&doomed, &s->removed);
        else if (!picked[i])
            files_add(&doomed, &s->added);
        table->snapshots[i].alive = false;
    }
    if (!incremental)
        files_take(&doomed, &reach);
    table->foreign_cut = true;
    world->dirty = true;
    world_say(world, actor, "expires table %d to %d snapshots, %s", t, most,
              incremental ? "incremental" : "by reach");
    for (int f = files_next(&doomed, 0); f != NONE; f = files_next(&doomed, f + 1))
        if (world->files[f].alive)
            store_delete(world, f);
}

static void topic_truncate(struct world *world, struct actor *actor)
{
    int p = random_below(&actor->random, PARTITION_COUNT),
        slot = world->incarnation * PARTITION_COUNT + p;
    int start = world->log_start[slot] + 1 + random_below(&actor->random, 6);
    world->log_start[slot] = (uint8_t)(start < world->log_end[slot] ? start : world->log_end[slot]);
    world_say(world, actor, "partition %d starts at %d now", p, world->log_start[slot]);
    actor->phase = PHASE_DONE;
}

static void topic_remake(struct world *world, struct actor *actor)
{
    actor->phase = PHASE_DONE;
    if (world->incarnation + 1 >= INCARNATION_COUNT)
        return;
    int old = world->incarnation++;
    for (int p = 0; p < PARTITION_COUNT; p++) {
        int slot = world->incarnation * PARTITION_COUNT + p;
        world->log_start[slot] = 0;
        world->log_end[slot] = (uint8_t)random_below(&actor->random, OFFSET_MAX - 4);
        world->log_start[old * PARTITION_COUNT + p] = world->log_end[old * PARTITION_COUNT + p];
    }
    world_say(world, actor, "the topic is made anew");
}

const struct actor_ops foreign_compact_ops = {.name = "foreign-compact", .custom = foreign_compact};
const struct actor_ops foreign_rollback_ops = {.name = "foreign-rollback",
                                               .custom = foreign_rollback};
const struct actor_ops foreign_expire_ops = {.name = "foreign-expire", .custom = foreign_expire};
const struct actor_ops truncate_ops = {.name = "truncate", .custom = topic_truncate};
const struct actor_ops remake_ops = {.name = "topic-anew", .custom = topic_remake};
