/* Actors that keep tables in order: rollback, merge, retention, erasure, our expiry, the sweeper.
 */
#include "tests/model/model.h"

#include <string.h>

static bool start_main(struct request *request, int head)
{
    request_assert(request, MAIN, head);
    request_set(request, MAIN, request->id, REF_BRANCH);
    request->property = true;
    return true;
}

/* --- rollback: a new snapshot with the old one's rows
 * ---------------------------------------------------- */

static bool rollback_plan(struct world *world, struct actor *actor)
{
    const struct table *table = &world->tables[BRONZE];
    int candidates[3], count = 0;
    for (int h = table->snapshots[actor->base].parent;
         h != NONE && table->snapshots[h].alive && count < 3; h = table->snapshots[h].parent)
        if (table->snapshots[h].has_state)
            candidates[count++] = h;
    if (count == 0 || actor->tries > 1)
        return false;
    actor->other = (int16_t)candidates[random_below(&actor->random, count)];
    world_say(world, actor, "plans to go back to s%d", actor->other);
    return true;
}

static enum test rollback_test(struct world *world, struct actor *actor, const struct state *base)
{
    const struct snapshot *target = &world->tables[BRONZE].snapshots[actor->other];
    if (!target->alive || target->state.incarnation != base->incarnation)
        return TEST_DROP;
    if (!mutant_is(world, MUTANT_ROLLBACK_ERASURE) &&
        !(rows_equal(&target->state.erased, &base->erased) &&
          rows_equal(&target->state.erased_done, &base->erased_done)))
        return TEST_DROP;
    for (int s = 0; s < SLOT_COUNT; s++) /* Kafka must still hold what would be read again */
        if (target->state.next[s] < base->next[s] && target->state.next[s] < world->log_start[s])
            return TEST_DROP;
    return TEST_GO;
}

static bool rollback_build(struct world *world, struct actor *actor, const struct state *base,
                           int head)
{
    struct request *request = &actor->request;
    const struct snapshot *target = &world->tables[BRONZE].snapshots[actor->other];
    const struct files *live = &world->tables[BRONZE].snapshots[head].files;
    request_child(world, request, head, &target->state);
    if (!mutant_is(world, MUTANT_ROLLBACK_EPOCH))
        request->snapshot.state.epoch = base->epoch;
    else
        request->raises_epoch = true;
    struct files gone = target->files;
    files_take(&gone, live);
    request->snapshot.files = target->files;
    if (!mutant_is(world, MUTANT_ROLLBACK_NO_COPY))
        for (int f = files_next(&gone, 0); f != NONE; f = files_next(&gone, f + 1)) {
            files_drop(&request->snapshot.files, f);
            actor_upload(world, actor, &world->files[f].rows, &request->snapshot.files);
        }
    request->snapshot.added = request->snapshot.files;
    files_take(&request->snapshot.added, live);
    request->snapshot.removed = *live;
    files_take(&request->snapshot.removed, &request->snapshot.files);
    return start_main(request, head);
}

/* --- merge: our compaction
 * ------------------------------------------------------------------------------- */

static bool merge_plan(struct world *world, struct actor *actor)
{
    const struct files *files = &world->tables[BRONZE].snapshots[actor->base].files;
    int count = 0;
    for (int f = files_next(files, 0); f != NONE && count < 3;
         f = files_next(files, f + 1), count++) {
        files_put(&actor->letters, f); /* the inputs */
        rows_add(&actor->rows, &world->files[f].rows);
    }
    if (count < 2)
        return false;
    actor_upload(world, actor, &actor->rows, &actor->files);
    return true;
}

static enum test merge_test(struct world *world, struct actor *actor, const struct state *base)
{
    int head = catalog_head(world, BRONZE, MAIN);
    bool there = files_within(&actor->letters, &world->tables[BRONZE].snapshots[head].files);
    return there || mutant_is(world, MUTANT_MERGE_UNCHECKED) ? TEST_GO : TEST_DROP;
}

static bool merge_build(struct world *world, struct actor *actor, const struct state *base,
                        int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    files_take(&request->snapshot.files, &actor->letters);
    files_add(&request->snapshot.files, &actor->files);
    request->snapshot.added = actor->files;
    request->snapshot.removed = actor->letters;
    return start_main(request, head);
}

/* --- retention
 * ------------------------------------------------------------------------------------------- */

static bool retention_plan(struct world *world, struct actor *actor)
{
    bool any = false;
    for (int s = 0; s < SLOT_COUNT; s++) {
        int most = actor->seen.next[s] > 2 ? actor->seen.next[s] - 2 : 0;
        actor->to[s] = (uint8_t)random_below(&actor->random, most);
        any |= actor->to[s] > actor->seen.horizon[s];
    }
    return any;
}

static enum test retention_test(struct world *world, struct actor *actor, const struct state *base)
{
    for (int s = 0; s < SLOT_COUNT; s++)
        if (base->horizon[s] < actor->to[s])
            return TEST_GO;
    return TEST_DONE;
}

static bool retention_build(struct world *world, struct actor *actor, const struct state *base,
                            int head)
{
    struct request *request = &actor->request;
    struct rows old = {0};
    request_child(world, request, head, base);
    for (int s = 0; s < SLOT_COUNT; s++) {
        rows_range(&old, s, 0, actor->to[s]);
        if (base->horizon[s] < actor->to[s] && !mutant_is(world, MUTANT_HORIZON))
            request->snapshot.state.horizon[s] = actor->to[s];
    }
    actor_rewrite(world, actor, &old, &request->snapshot.files, request);
    return start_main(request, head);
}

/* --- the fence: the next epoch on every live branch
 * ------------------------------------------------------ */

bool actor_fence_next(struct world *world, struct actor *actor)
{
    for (int i = actor->stage; i < TABLE_COUNT * REF_MAX; i++) {
        enum table_id t = (enum table_id)(i / REF_MAX);
        int ref = i % REF_MAX;
        struct state truth;
        if (ref >= world->tables[t].ref_count || world->tables[t].refs[ref].kind != REF_BRANCH)
            continue;
        if (t == QUARANTINE && mutant_is(world, MUTANT_TEXT_QUARANTINE))
            continue;
        actor->stage = i + 1;
        actor->table = t;
        actor->head_ref = actor->land_ref = (int16_t)ref;
        if (!catalog_truth(world, t, catalog_head(world, t, ref), &truth))
            return false;
        actor->epoch = truth.epoch;
        return true;
    }
    actor->stage = TABLE_COUNT * REF_MAX + 1;
    return false;
}

bool actor_fence_build(struct world *world, struct actor *actor, const struct state *base, int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    request->snapshot.source = world->tables[actor->table].snapshots[head].source;
    request->snapshot.state.epoch = base->epoch + 1;
    request_assert(request, actor->land_ref, head);
    request_set(request, actor->land_ref, request->id, REF_BRANCH);
    request->property = request->raises_epoch = actor->land_ref == MAIN;
    return true;
}

/* --- erasure: list and epoch on all branches, rewrite, expire, certify
 * ------------------------------------ */

enum { ERASE_REWRITE = TABLE_COUNT * REF_MAX + 1 };

static bool erase_plan(struct world *world, struct actor *actor)
{
    if (actor->tries > 1)
        return false;
    int subject = random_below(&actor->random, 2);
    for (int s = 0; s < SLOT_COUNT; s++)
        for (int o = 0; o < world->log_end[s]; o++)
            if ((o * 3 + s) % 4 == subject)
                actor->rows.of[s] |= 1ull << o;
    return actor_fence_next(world, actor);
}

static enum test go_always(struct world *world, struct actor *actor, const struct state *base)
{
    return TEST_GO;
}

static bool erase_build(struct world *world, struct actor *actor, const struct state *base,
                        int head)
{
    struct request *request = &actor->request;
    if (actor->stage < ERASE_REWRITE) {
        actor_fence_build(world, actor, base, head);
        if (mutant_is(world, MUTANT_ERASE_NO_EPOCH))
            request->snapshot.state.epoch = base->epoch;
        rows_add(&request->snapshot.state.erased, &actor->rows);
        return true;
    }
    request_child(world, request, head, base);
    actor_rewrite(world, actor, &base->erased, &request->snapshot.files, request);
    actor_rewrite(world, actor, &base->erased, &request->snapshot.state.letters, NULL);
    rows_add(&request->snapshot.state.erased_done, &base->erased);
    return start_main(request, head);
}

static bool table_holds(const struct world *world, enum table_id t, const struct rows *rows)
{
    const struct table *table = &world->tables[t];
    struct rows held;
    for (int i = 0; i < table->snapshot_count; i++) {
        if (!table->snapshots[i].alive)
            continue;
        struct files files = table->snapshots[i].files;
        files_add(&files, &table->snapshots[i].state.letters);
        store_rows(world, &files, &held);
        if (rows_meet(&held, rows))
            return true;
    }
    return false;
}

/* Certified only when no snapshot of any table holds a row; a tag or a branch that does means
 * exit 75. */
static void erase_certify(struct world *world, struct actor *actor)
{
    struct state truth;
    if (!catalog_truth(world, BRONZE, catalog_head(world, BRONZE, MAIN), &truth) ||
        !rows_within(&actor->rows, &truth.erased))
        return;
    for (int t = 0; t < TABLE_COUNT; t++)
        if (table_holds(world, (enum table_id)t, &actor->rows))
            return;
    rows_add(&world->certified, &actor->rows);
    world->landed[KIND_COUNT]++;
    world_say(world, actor, "certifies");
}

static void erase_expire(struct world *world, struct actor *actor, enum table_id t)
{
    const struct table *table = &world->tables[t];
    struct request *request = &actor->request;
    request_init(request, t);
    for (int i = 0; i < table->snapshot_count; i++)
        if (table->snapshots[i].alive)
            request->expire[i / 64] |= 1ull << (i % 64);
    for (int r = 0; r < table->ref_count; r++)
        if (table->refs[r].kind != REF_FREE) {
            int head = table->refs[r].head;
            request_assert(request, r, head);
            for (int h = head; h != NONE && table->snapshots[h].alive;
                 h = table->snapshots[h].parent) {
                request->expire[h / 64] &= ~(1ull << (h % 64));
                if (table->snapshots[h].has_state)
                    break;
            }
        }
    (void)catalog_send(world, actor, request);
}

static bool erase_landed(struct world *world, struct actor *actor)
{
    if (actor->stage < ERASE_REWRITE) {
        if (actor_fence_next(world, actor))
            return true;
        if (actor->stage != ERASE_REWRITE)
            return false;
        struct state truth;
        actor->table = BRONZE;
        actor->head_ref = actor->land_ref = MAIN;
        if (!catalog_truth(world, BRONZE, catalog_head(world, BRONZE, MAIN), &truth))
            return false;
        actor->epoch = truth.epoch;
        return rows_within(&actor->rows, &truth.erased);
    }
    actor->stage = 0;
    return false;
}

/* After the rewrite has landed and the quarantine has followed. */
static void erase_custom(struct world *world, struct actor *actor)
{
    if (actor->stage < TABLE_COUNT) {
        erase_expire(world, actor, (enum table_id)actor->stage++);
        return;
    }
    erase_certify(world, actor);
    actor->phase = PHASE_DONE;
}

/* --- our expiry: snapshots only
 * --------------------------------------------------------------------------- */

static void expire_custom(struct world *world, struct actor *actor)
{
    static const enum table_id tables[] = {BRONZE, BRONZE, BRONZE, SILVER, QUARANTINE};
    enum table_id t = actor->stage ? actor->request.table : tables[random_below(&actor->random, 5)];
    const struct table *table = &world->tables[t];
    struct request *request = &actor->request;
    int keep = 1 + random_below(&actor->random, 3);
    if (actor->stage++ == 0) {
        request_init(request, t);
        for (int i = 0; i < table->snapshot_count; i++)
            if (table->snapshots[i].alive)
                request->expire[i / 64] |= 1ull << (i % 64);
        for (int r = 0; r < table->ref_count; r++) {
            if (table->refs[r].kind == REF_FREE)
                continue;
            bool offsets = false;
            int count = 0, head = table->refs[r].head;
            request_assert(request, r, head);
            for (int h = head; h != NONE && table->snapshots[h].alive;
                 h = table->snapshots[h].parent) {
                bool due = table->refs[r].kind == REF_TAG ? count > 0 : r == MAIN && count >= keep;
                if (due && (offsets || table->refs[r].kind == REF_TAG ||
                            mutant_is(world, MUTANT_EXPIRE_OFFSETS)))
                    break;
                request->expire[h / 64] &= ~(1ull << (h % 64));
                offsets |= table->snapshots[h].has_state;
                count++;
            }
        }
        return;
    }
    (void)catalog_send(world, actor, request);
    actor->phase = PHASE_DONE;
}

/* --- the sweeper: two passes a grace apart
 * ------------------------------------------------------------------ */

static void sweep_reach(const struct world *world, struct files *ret_reach)
{
    memset(ret_reach, 0, sizeof(*ret_reach));
    for (int t = 0; t < TABLE_COUNT; t++) {
        const struct table *table = &world->tables[t];
        for (int i = 0; i < table->snapshot_count; i++) {
            const struct snapshot *snapshot = &table->snapshots[i];
            bool off = mutant_is(world, MUTANT_SWEEP_REFS_ONLY);
            for (int r = 0; off && r < table->ref_count; r++)
                if (table->refs[r].kind != REF_FREE &&
                    catalog_is_ancestor(world, (enum table_id)t, i, table->refs[r].head))
                    off = false;
            if (!snapshot->alive || off)
                continue;
            files_add(ret_reach, &snapshot->files);
            if (!mutant_is(world, MUTANT_SWEEP_LETTERS))
                files_add(ret_reach, &snapshot->state.letters);
        }
        if (!mutant_is(world, MUTANT_SWEEP_LETTERS))
            files_add(ret_reach, &table->property.letters);
    }
}

static void sweep_list(struct world *world, struct files *ret_names)
{
    struct files reach;
    sweep_reach(world, &reach);
    memset(ret_names, 0, sizeof(*ret_names));
    for (int f = 0; f < world->file_count; f++)
        if (world->files[f].alive && !files_has(&reach, f))
            files_put(ret_names, f);
}

static bool sweep_delete(struct world *world, struct actor *actor)
{
    struct files now;
    sweep_list(world, &now);
    files_keep(&now, mutant_is(world, MUTANT_TEXT_SWEEP_LIST) ? &world->sweep_names
                                                              : &actor->picked_files);
    for (int f = files_next(&now, 0); f != NONE; f = files_next(&now, f + 1))
        store_delete(world, f);
    world->sweep_open = false;
    return false;
}

static bool sweep_plan(struct world *world, struct actor *actor)
{
    if (actor->tries > 1)
        return false;
    if (!world->sweep_open || mutant_is(world, MUTANT_ONE_PASS)) {
        world->sweep_open = true;
        world->sweep_time = world->time;
        sweep_list(world, &world->sweep_names);
        world_say(world, actor, "first pass");
        actor->picked_files = world->sweep_names;
        return mutant_is(world, MUTANT_ONE_PASS) && sweep_delete(world, actor);
    }
    if (world->time - world->sweep_time < world->grace)
        return false;
    if (!files_any(&world->sweep_names)) {
        world->sweep_open = false;
        return false;
    }
    world_say(world, actor, "second pass");
    actor->picked_files = world->sweep_names; /* this list and no later one */
    if (mutant_is(world, MUTANT_NO_FENCE))
        return sweep_delete(world, actor);
    return actor_fence_next(world, actor);
}

static bool sweep_landed(struct world *world, struct actor *actor)
{
    if (!actor->struck && !mutant_is(world, MUTANT_TEXT_SWEEP_ONE_LOAD)) {
        struct files
            now; /* what the first fence finds reached is struck off, whatever becomes of it */
        sweep_list(world, &now);
        files_keep(&actor->picked_files, &now);
        actor->struck = true;
    }
    if (actor_fence_next(world, actor))
        return true;
    return actor->stage == TABLE_COUNT * REF_MAX + 1 ? sweep_delete(world, actor) : false;
}

const struct actor_ops rollback_ops = {.name = "rollback",
                                       .plan = rollback_plan,
                                       .test = rollback_test,
                                       .build = rollback_build,
                                       .sync_after = true};
const struct actor_ops merge_ops = {
    .name = "merge", .plan = merge_plan, .test = merge_test, .build = merge_build};
const struct actor_ops retention_ops = {
    .name = "retention", .plan = retention_plan, .test = retention_test, .build = retention_build};
const struct actor_ops erase_ops = {.name = "erase",
                                    .plan = erase_plan,
                                    .test = go_always,
                                    .build = erase_build,
                                    .landed = erase_landed,
                                    .custom = erase_custom,
                                    .sync_after = true};
const struct actor_ops expire_ops = {.name = "expire", .custom = expire_custom};
const struct actor_ops sweep_ops = {.name = "sweep",
                                    .plan = sweep_plan,
                                    .test = go_always,
                                    .build = actor_fence_build,
                                    .landed = sweep_landed};
