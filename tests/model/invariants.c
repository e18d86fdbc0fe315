/* What must hold after every step (design.md section 2: 1, 2, 3, 4, 5), and what must have come
 * true at the end. */
#include "tests/model/model.h"

#include <string.h>

/* 5: what a snapshot in the metadata names, and what weir.letters in force names, is there. */
static void check_files(struct world *world)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = &world->tables[t];
        for (int i = 0; i < table->snapshot_count; i++) {
            const struct snapshot *s = &table->snapshots[i];
            for (int f = s->alive ? files_next(&s->files, 0) : NONE; f != NONE;
                 f = files_next(&s->files, f + 1))
                if (!world->files[f].alive)
                    world_fail(world, "5: f%d of live snapshot s%d of table %d was deleted", f, i,
                               t);
        }
    }
}

/* The union of disjoint files; a record that two of them hold is a violation. */
static void unite(struct world *world, const struct files *files, const struct rows *but,
                  const char *what, struct rows *ret_rows)
{
    memset(ret_rows, 0, sizeof(*ret_rows));
    for (int f = files_next(files, 0); f != NONE; f = files_next(files, f + 1)) {
        struct rows rows = world->files[f].rows;
        if (but)
            rows_take(&rows, but);
        for (int s = 0; s < SLOT_COUNT; s++)
            if (ret_rows->of[s] & rows.of[s])
                world_fail(world, "1: slot %d offset %d is twice in %s (f%d)", s,
                           __builtin_ctzll(ret_rows->of[s] & rows.of[s]), what, f);
        rows_add(ret_rows, &rows);
    }
}

static void check_part(struct world *world, const struct rows *part, const struct rows *whole,
                       const char *what)
{
    for (int s = 0; s < SLOT_COUNT; s++)
        if (part->of[s] & ~whole->of[s]) {
            world_fail(world, "1: slot %d offset %d %s", s,
                       __builtin_ctzll(part->of[s] & ~whole->of[s]), what);
            return;
        }
}

/* 1, 2, 3: what main's truth covers is in the data or in a letter in force, exactly once, and
 * nothing else is. */
static void check_bronze(struct world *world, const struct state *truth)
{
    const struct snapshot *head =
        &world->tables[BRONZE].snapshots[catalog_head(world, BRONZE, MAIN)];
    struct rows data, letters, held, covered = {0}, spared = truth->erased, both;
    unite(world, &head->files, NULL, "the data", &data);
    unite(world, &truth->letters, &truth->retried, "the letters", &letters);
    unite(world, &truth->letters, NULL, "the files of letters", &held);
    for (int s = 0; s < SLOT_COUNT; s++) {
        rows_range(&covered, s, truth->start[s], truth->next[s]);
        rows_range(&spared, s, 0, truth->horizon[s]);
    }
    rows_take(&covered, &truth->holes);
    rows_add(&covered, &truth->coverage);
    rows_take(&covered, &world->absent);
    rows_take(&covered, &world->filtered);
    both = data;
    rows_keep(&both, &held);
    if (rows_any(&both))
        world_fail(world, "1: a record is in the data and in a letter in force");
    rows_add(&data, &letters);
    check_part(world, &data, &covered, "is held though no offset covers it");
    rows_add(&data, &spared);
    check_part(world, &covered, &data, "is covered, and neither landed nor refused");
    for (int f = files_next(&truth->letters, 0); f != NONE; f = files_next(&truth->letters, f + 1))
        if (!world->files[f].alive)
            world_fail(world, "5: letters f%d in force were deleted", f);
    const struct snapshot *raw =
        &world->tables[QUARANTINE].snapshots[catalog_head(world, QUARANTINE, MAIN)];
    if (raw->alive && raw->has_state && raw->source == catalog_head(world, BRONZE, MAIN) &&
        !files_equal(&raw->files, &truth->letters))
        world_fail(world, "1: the quarantine says it is level with s%d and is not", raw->source);
}

/* What an erasure has taken out of main stays out; what it has certified as gone is on no ref of
 * any table. */
static void check_erased(struct world *world, enum table_id t, const struct state *truth)
{
    const struct table *table = &world->tables[t];
    struct rows held, letters;
    if (!rows_any(&world->certified) && !rows_any(&truth->erased_done))
        return;
    for (int r = 0; r < table->ref_count; r++) {
        struct rows gone = world->certified;
        if (table->refs[r].kind == REF_FREE)
            continue;
        const struct snapshot *head = &table->snapshots[table->refs[r].head];
        store_rows(world, &head->files, &held);
        store_rows(world, &head->state.letters, &letters);
        rows_add(&held, &letters);
        if (r == MAIN && t == BRONZE)
            rows_add(&gone, &truth->erased_done);
        if (rows_meet(&held, &gone))
            world_fail(world, "law: an erased record is back on ref %d of table %d", r, t);
    }
}

/* 4: silver holds the rows of exactly the source snapshot it names, above the horizon, each once.
 */
static void check_silver(struct world *world)
{
    const struct table *silver = &world->tables[SILVER];
    struct state truth;
    if (!catalog_truth(world, SILVER, catalog_head(world, SILVER, MAIN), &truth) ||
        truth.source_to == NONE)
        return;
    const struct snapshot *to = &world->tables[BRONZE].snapshots[truth.source_to];
    struct rows have, want;
    unite(world, &silver->snapshots[catalog_head(world, SILVER, MAIN)].files, NULL, "silver",
          &have);
    store_rows(world, &to->files, &want);
    for (int s = 0; s < SLOT_COUNT; s++) {
        uint64_t above = ~((1ull << truth.horizon[s]) - 1);
        if ((have.of[s] ^ want.of[s]) & above)
            world_fail(world, "4: silver and its source s%d differ at slot %d offset %d",
                       truth.source_to, s, __builtin_ctzll((have.of[s] ^ want.of[s]) & above));
    }
    int tag = truth.source_tag;
    if (!silver->foreign_cut && tag != NONE && !to->alive)
        world_fail(world, "4: the snapshot s%d that the next promotion starts from is gone",
                   truth.source_to);
    if (!silver->foreign_cut && tag == NONE && !to->alive)
        world_fail(world,
                   "4: the snapshot s%d that the next promotion starts from is gone, untagged",
                   truth.source_to);
}

void invariants_check(struct world *world)
{
    if (!world->dirty || world->violation[0])
        return;
    world->dirty = false;
    struct state truth;
    check_files(world);
    for (int t = 0; t < TABLE_COUNT; t++) {
        struct table *table = &world->tables[t];
        if (!catalog_truth(world, (enum table_id)t, catalog_head(world, (enum table_id)t, MAIN),
                           &truth)) {
            if (!table->foreign_cut)
                world_fail(world, "3: nobody else touched table %d and its offsets cannot be read",
                           t);
            continue;
        }
        if (truth.epoch < table->epoch_seen)
            world_fail(world, "the epoch of table %d went back from %d to %d", t, table->epoch_seen,
                       truth.epoch);
        table->epoch_seen = truth.epoch;
        if (t == BRONZE)
            check_bronze(world, &truth);
        check_erased(world, (enum table_id)t, &truth);
    }
    check_silver(world);
}

/* The end: no faults any more, every verb has been run once more. Stops that others caused are
 * allowed, silence is not. */
void invariants_settled(struct world *world)
{
    struct state truth, silver;
    int head = catalog_head(world, BRONZE, MAIN);
    world->dirty = true;
    invariants_check(world);
    if (!catalog_truth(world, BRONZE, head, &truth))
        return;
    for (int p = 0; p < PARTITION_COUNT; p++) {
        int slot = world->incarnation * PARTITION_COUNT + p;
        if (truth.incarnation != world->incarnation || truth.next[slot] != world->log_end[slot])
            world_fail(world, "stuck: partition %d ends at %d and the table at %d", p,
                       world->log_end[slot], truth.next[slot]);
    }
    int raw = catalog_head(world, QUARANTINE, MAIN);
    struct state own;
    if (catalog_truth(world, QUARANTINE, raw, &own) &&
        world->tables[QUARANTINE].snapshots[raw].source != head)
        world_fail(world, "stuck: the quarantine is not level with the data");
    if (catalog_truth(world, SILVER, catalog_head(world, SILVER, MAIN), &silver) &&
        silver.source_to != head)
        world_fail(world, "stuck: silver has not reached the head of its source");
}
