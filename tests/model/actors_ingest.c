/* Actors that bring records in: windows, shards, backfills, --replace, retries, accepted gaps,
 * rebinding. */
#include "tests/model/model.h"

#include <string.h>

static bool start_main(struct request *request, struct actor *actor, int head)
{
    request_assert(request, MAIN, head);
    request_set(request, MAIN, request->id, REF_BRANCH);
    request->property = true;
    return true;
}

static bool owns(const struct actor *actor, int partition)
{
    return actor->kind == WINDOW || partition % 2 == actor->number % 2;
}

/* Section 3: is the topic the one we know? False: exit 4. */
static bool topic_same(const struct world *world, const struct state *state, int partition)
{
    if (state->incarnation == world->incarnation || mutant_is(world, MUTANT_NO_FINGERPRINT))
        return true;
    if (!mutant_is(world, MUTANT_TEXT_TOPIC_ID))
        return false;
    int old = state->incarnation * PARTITION_COUNT + partition,
        now = world->incarnation * PARTITION_COUNT + partition;
    bool unread = state->next[old] == state->start[old];
    return unread || state->next[old] - 1 < world->log_start[now]; /* continuity "not proven" */
}

static bool window_plan(struct world *world, struct actor *actor)
{
    struct rows read = {0};
    bool any = false;
    for (int p = 0; p < PARTITION_COUNT; p++) {
        int slot = actor->seen.incarnation * PARTITION_COUNT + p,
            log = world->incarnation * PARTITION_COUNT + p;
        int from = mutant_is(world, MUTANT_GROUP) && world->group[slot] ? world->group[slot]
                                                                        : actor->seen.next[slot];
        int most = world->calm ? OFFSET_MAX : 1 + random_below(&actor->random, 6);
        int to = from + most < world->log_end[log] ? from + most : world->log_end[log];
        actor->from[slot] = actor->to[slot] = (uint8_t)from;
        if (!owns(actor, p))
            continue;
        if (!topic_same(world, &actor->seen, p) || world->log_end[log] < from) {
            world_say(world, actor, "stops: the topic is not the same (exit 4)");
            return false;
        }
        if (to <= from)
            continue;
        int first = from;
        if (from < world->log_start[log]) {
            if (!mutant_is(world, MUTANT_AUTO_RESET)) {
                world_say(world, actor, "stops: offsets of partition %d are gone (exit 4)", p);
                return false;
            }
            first = world->log_start[log] < to ? world->log_start[log] : to;
        }
        rows_range(&read, log, first, to);
        actor->to[slot] = (uint8_t)to;
        any = true;
        world_say(world, actor, "plans partition %d [%d, %d)", p, from, to);
    }
    if (!any)
        return false;
    actor_filter(world, &actor->seen, &read);
    actor_split(world, actor, &read);
    return true;
}

static enum test window_test(struct world *world, struct actor *actor, const struct state *base)
{
    int equal = 0, past = 0, count = 0;
    if (mutant_is(world, MUTANT_GROUP) || actor->stage > 0)
        return TEST_GO;
    for (int s = 0; s < SLOT_COUNT; s++)
        if (actor->to[s] > actor->from[s]) {
            count++;
            equal += base->next[s] == actor->from[s];
            past += base->next[s] >= actor->to[s];
        }
    return equal == count && base->incarnation == actor->seen.incarnation ? TEST_GO
           : past == count                                                ? TEST_DONE
                                                                          : TEST_DROP;
}

static bool window_build(struct world *world, struct actor *actor, const struct state *base,
                         int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    for (int s = 0; s < SLOT_COUNT; s++)
        if (actor->to[s] > actor->from[s])
            request->snapshot.state.next[s] = actor->to[s];
    if (!mutant_is(world, MUTANT_LETTERS_APART) || actor->stage == 1)
        files_add(&request->snapshot.state.letters, &actor->letters);
    files_add(&request->snapshot.files, &actor->files);
    request->snapshot.added = actor->files;
    start_main(request, actor, head);
    if (mutant_is(world, MUTANT_NULL_REF) && world->tables[BRONZE].snapshots[head].parent == NONE) {
        request->assert_count = 0; /* "the table has no snapshot yet": accepted stale */
        request->null_ref = true;
    }
    return true;
}

static bool window_landed(struct world *world, struct actor *actor)
{
    if (actor->stage == 0)
        for (int s = 0; s < SLOT_COUNT; s++)
            if (actor->to[s] > actor->from[s] && actor->to[s] > world->group[s] &&
                !random_chance(&actor->random, 20))
                world->group[s] = actor->to[s]; /* the mirror; failing to write it fails no run */
    return mutant_is(world, MUTANT_LETTERS_APART) && actor->stage++ == 0;
}

/* --- backfill: chunks on a branch, one new snapshot on main
 * ------------------------------------------- */

static bool backfill_free(const struct state *state, const struct rows *rows)
{
    struct rows taken = {0};
    for (int s = 0; s < SLOT_COUNT; s++)
        rows_range(&taken, s, state->start[s], OFFSET_MAX);
    rows_take(&taken, &state->holes);
    rows_add(&taken, &state->coverage);
    return !rows_meet(&taken, rows);
}

static bool backfill_plan(struct world *world, struct actor *actor)
{
    if (actor->tries > 1)
        return false;
    int slot = actor->seen.incarnation * PARTITION_COUNT +
               random_below(&actor->random, PARTITION_COUNT);
    struct rows range = {0}, half[2];
    rows_range(&range, slot, 0, actor->seen.start[slot]);
    range.of[slot] |= actor->seen.holes.of[slot];
    rows_take(&range, &actor->seen.coverage);
    if (random_chance(&actor->random, 50))
        range.of[slot] &= 0x5555555555555555ull << random_below(&actor->random, 2) | 0x18;
    if (!rows_any(&range))
        return false;
    actor->rows = range;
    actor_filter(world, &actor->seen, &range);
    world_refused(world, actor->config, &range, &actor->picked);
    actor_upload(world, actor, &actor->picked, &actor->letters);
    rows_take(&range, &actor->picked);
    half[0] = half[1] = range;
    for (int s = 0; s < SLOT_COUNT; s++) {
        half[0].of[s] &= 0x0f;
        half[1].of[s] &= ~0x0full;
    }
    for (int i = 0; i < 2; i++)
        actor_upload(world, actor, &half[i], &actor->files);
    actor->land_ref = (int16_t)catalog_ref(world, BRONZE);
    actor->once = true;
    return true;
}

static enum test backfill_test(struct world *world, struct actor *actor, const struct state *base)
{
    if (actor->stage < 2 || mutant_is(world, MUTANT_BACKFILL_UNTESTED))
        return TEST_GO;
    return base->incarnation == actor->seen.incarnation && backfill_free(base, &actor->rows)
               ? TEST_GO
               : TEST_DROP;
}

static void backfill_publish(struct world *world, struct actor *actor)
{
    struct request *request = &actor->request;
    struct files take = actor->files;
    if (mutant_is(world, MUTANT_CHERRY_PICK))
        files_drop(&take, files_next(&take, 0));
    files_add(&request->snapshot.files, &take);
    request->snapshot.added = take;
    rows_add(&request->snapshot.state.coverage, &actor->rows);
    files_add(&request->snapshot.state.letters, &actor->letters);
    request->snapshot.picked = actor->sync_head;
    request_assert(request, actor->other, actor->sync_head);
}

static bool backfill_build(struct world *world, struct actor *actor, const struct state *base,
                           int head)
{
    struct request *request = &actor->request;
    int first = files_next(&actor->files, 0);
    if (actor->stage == 2 && mutant_is(world, MUTANT_FAST_FORWARD)) {
        request_set(request, MAIN, actor->sync_head, REF_BRANCH);
        request->property = true;
        return true;
    }
    request_child(world, request, head, base);
    if (actor->stage == 2) {
        backfill_publish(world, actor);
        return start_main(request, actor, head);
    }
    for (int f = first; f != NONE; f = files_next(&actor->files, f + 1))
        if ((f == first) == (actor->stage == 0)) {
            files_put(&request->snapshot.files, f);
            files_put(&request->snapshot.added, f);
        }
    if (actor->stage == 1 && mutant_is(world, MUTANT_FAST_FORWARD)) {
        rows_add(&request->snapshot.state.coverage, &actor->rows);
        files_add(&request->snapshot.state.letters, &actor->letters);
    }
    request_assert(request, actor->stage == 0 ? MAIN : actor->land_ref, head);
    request_set(request, actor->land_ref, request->id, REF_BRANCH);
    return true;
}

static bool backfill_landed(struct world *world, struct actor *actor)
{
    actor->stage++;
    if (actor->stage == 1) {
        actor->head_ref = actor->land_ref;
    } else if (actor->stage == 2) {
        actor->other = actor->land_ref;
        actor->sync_head = catalog_head(world, BRONZE, actor->other);
        actor->head_ref = actor->land_ref = MAIN;
        actor->once = false;
    }
    return actor->stage <= 2;
}

/* --- backfill --replace
 * ------------------------------------------------------------------------------- */

static bool replace_within(const struct state *state, const struct rows *rows)
{
    struct rows have = {0};
    for (int s = 0; s < SLOT_COUNT; s++)
        rows_range(&have, s, state->start[s], state->next[s]);
    rows_take(&have, &state->holes);
    return rows_within(rows, &have);
}

static bool replace_plan(struct world *world, struct actor *actor)
{
    if (actor->seen.incarnation != world->incarnation)
        return false;
    int slot = actor->seen.incarnation * PARTITION_COUNT +
               random_below(&actor->random, PARTITION_COUNT);
    int low = actor->seen.start[slot] > world->log_start[slot] ? actor->seen.start[slot]
                                                               : world->log_start[slot];
    int from = low + random_below(&actor->random, actor->seen.next[slot] - low);
    int to = from + 3 < actor->seen.next[slot] ? from + 3 : actor->seen.next[slot];
    if (from >= to)
        return false;
    rows_range(&actor->rows, slot, from, to);
    if (!replace_within(&actor->seen, &actor->rows))
        return false;
    struct rows read = actor->rows;
    actor_filter(world, &actor->seen, &read);
    actor_split(world, actor, &read);
    return true;
}

static enum test replace_test(struct world *world, struct actor *actor, const struct state *base)
{
    return base->incarnation == actor->seen.incarnation && replace_within(base, &actor->rows)
               ? TEST_GO
               : TEST_DROP;
}

static bool replace_build(struct world *world, struct actor *actor, const struct state *base,
                          int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    actor_rewrite(world, actor, &actor->rows, &request->snapshot.files, request);
    if (!mutant_is(world, MUTANT_REPLACE_LETTERS))
        actor_rewrite(world, actor, &actor->rows, &request->snapshot.state.letters, NULL);
    if (!mutant_is(world, MUTANT_REPLACE_RETRIED))
        rows_take(&request->snapshot.state.retried, &actor->rows);
    files_add(&request->snapshot.files, &actor->files);
    files_add(&request->snapshot.added, &actor->files);
    files_add(&request->snapshot.state.letters, &actor->letters);
    return start_main(request, actor, head);
}

/* --- retry of refused rows
 * ---------------------------------------------------------------------------- */

static bool retry_plan(struct world *world, struct actor *actor)
{
    struct files shown =
        world->tables[QUARANTINE].snapshots[catalog_head(world, QUARANTINE, MAIN)].files;
    if (!mutant_is(world, MUTANT_RETRY_RAW))
        files_keep(&shown, &actor->seen.letters);
    for (int f = files_next(&shown, 0); f != NONE; f = files_next(&shown, f + 1)) {
        struct rows take = world->files[f].rows;
        rows_take(&take, &actor->seen.retried);
        if (!mutant_is(world, MUTANT_NO_GUARD))
            rows_take(&take, &actor->seen.erased);
        for (int s = 0; s < SLOT_COUNT; s++)
            take.of[s] &= random_next(&actor->random) | random_next(&actor->random);
        if (rows_any(&take)) {
            files_put(&actor->letters, f);
            rows_add(&actor->rows, &take);
        }
    }
    if (!rows_any(&actor->rows))
        return false;
    actor_upload(world, actor, &actor->rows, &actor->files);
    return true;
}

static enum test retry_test(struct world *world, struct actor *actor, const struct state *base)
{
    if (mutant_is(world, MUTANT_RETRY_UNTESTED))
        return TEST_GO;
    if (rows_meet(&actor->rows, &base->retried))
        return TEST_DROP;
    return files_within(&actor->letters, &base->letters) || mutant_is(world, MUTANT_RETRY_RAW)
               ? TEST_GO
               : TEST_DROP;
}

static bool retry_build(struct world *world, struct actor *actor, const struct state *base,
                        int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    if (!mutant_is(world, MUTANT_RETRY_LETTERS))
        actor_rewrite(world, actor, &actor->rows, &request->snapshot.state.letters, NULL);
    rows_add(&request->snapshot.state.retried, &actor->rows);
    files_add(&request->snapshot.files, &actor->files);
    request->snapshot.added = actor->files;
    return start_main(request, actor, head);
}

/* --- a person decides: accept-gap, rebind
 * ------------------------------------------------------------- */

static bool gap_plan(struct world *world, struct actor *actor)
{
    bool any = false;
    if (actor->seen.incarnation != world->incarnation)
        return false;
    for (int p = 0; p < PARTITION_COUNT; p++) {
        int slot = world->incarnation * PARTITION_COUNT + p;
        actor->from[slot] = actor->to[slot] = actor->seen.next[slot];
        if (actor->seen.next[slot] < world->log_start[slot]) {
            actor->to[slot] = world->log_start[slot];
            any = true;
        }
    }
    return any;
}

static bool gap_build(struct world *world, struct actor *actor, const struct state *base, int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    for (int s = 0; s < SLOT_COUNT; s++)
        if (actor->to[s] > actor->from[s]) {
            rows_range(&request->snapshot.state.holes, s, actor->from[s], actor->to[s]);
            request->snapshot.state.next[s] = actor->to[s];
        }
    return start_main(request, actor, head);
}

static bool rebind_plan(struct world *world, struct actor *actor)
{
    return actor->seen.incarnation != world->incarnation;
}

static enum test rebind_test(struct world *world, struct actor *actor, const struct state *base)
{
    return base->incarnation != world->incarnation ? TEST_GO : TEST_DONE;
}

static bool rebind_build(struct world *world, struct actor *actor, const struct state *base,
                         int head)
{
    struct request *request = &actor->request;
    request_child(world, request, head, base);
    struct state *state = &request->snapshot.state;
    for (int p = 0; p < PARTITION_COUNT; p++) {
        int slot = world->incarnation * PARTITION_COUNT + p;
        int key = mutant_is(world, MUTANT_REBIND_SAME) ? p : slot;
        state->next[key] = world->log_start[slot];
        if (key == slot)
            state->start[key] = world->log_start[slot];
    }
    state->incarnation = (uint8_t)world->incarnation;
    return start_main(request, actor, head);
}

const struct actor_ops window_ops = {.name = "window",
                                     .plan = window_plan,
                                     .test = window_test,
                                     .build = window_build,
                                     .landed = window_landed,
                                     .sync_before = true,
                                     .sync_after = true};
const struct actor_ops shard_ops = {.name = "shard",
                                    .plan = window_plan,
                                    .test = window_test,
                                    .build = window_build,
                                    .landed = window_landed,
                                    .sync_after = true};
const struct actor_ops sync_ops = {.name = "sync", .sync_before = true};
const struct actor_ops backfill_ops = {.name = "backfill",
                                       .plan = backfill_plan,
                                       .test = backfill_test,
                                       .build = backfill_build,
                                       .landed = backfill_landed,
                                       .sync_after = true};
const struct actor_ops replace_ops = {.name = "replace",
                                      .plan = replace_plan,
                                      .test = replace_test,
                                      .build = replace_build,
                                      .sync_after = true};
const struct actor_ops retry_ops = {
    .name = "retry", .plan = retry_plan, .test = retry_test, .build = retry_build};
const struct actor_ops gap_ops = {
    .name = "accept-gap", .plan = gap_plan, .test = window_test, .build = gap_build};
const struct actor_ops rebind_ops = {
    .name = "rebind", .plan = rebind_plan, .test = rebind_test, .build = rebind_build};
