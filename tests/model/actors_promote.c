/* Promotions of section 6: tag the source's head, build a candidate, gate it, publish that very
 * snapshot. */
#include "tests/model/model.h"

#include <string.h>

enum {
    PROMOTE_TAG,
    PROMOTE_TAGGED,
    PROMOTE_BUILD,
    PROMOTE_CANDIDATE,
    PROMOTE_PUBLISH,
    PROMOTE_VERDICT,
    PROMOTE_UNTAG,
    PROMOTE_UNTAG_MORE
};

static void promote_stop(struct world *world, struct actor *actor, const char *why)
{
    world_say(world, actor, "stops: %s", why);
    actor->phase = PHASE_DONE;
}

static uint64_t promote_tags(const struct world *world)
{
    const struct table *bronze = &world->tables[BRONZE];
    uint64_t tags = 0;
    for (int r = 0; r < bronze->ref_count; r++)
        if (bronze->refs[r].kind == REF_TAG)
            tags |= 1ull << r;
    return tags;
}

static void promote_tag(struct world *world, struct actor *actor)
{
    int head = catalog_head(world, BRONZE, MAIN);
    struct state bronze;
    actor->base = catalog_head(world, SILVER, MAIN);
    if (!catalog_truth(world, SILVER, catalog_head(world, SILVER, MAIN), &actor->seen) ||
        !catalog_truth(world, BRONZE, head, &bronze)) {
        promote_stop(world, actor, "ancestry is cut (exit 4)");
        return;
    }
    actor->epoch = actor->seen.epoch;
    memcpy(actor->to, bronze.horizon,
           sizeof(actor->to));        /* the horizon of this load, with the property */
    actor->sync_head = (int16_t)head; /* the promotion's `to` */
    if (head == actor->seen.source_to) {
        actor->phase = PHASE_DONE;
        return;
    }
    actor->other = NONE;
    actor->seen_tags = promote_tags(world);
    actor->stage = PROMOTE_TAGGED;
    if (mutant_is(world, MUTANT_PROMOTE_UNTAGGED))
        return;
    actor->other = (int16_t)catalog_ref(world, BRONZE);
    request_init(&actor->request, BRONZE);
    request_assert(&actor->request, MAIN, head);
    request_set(&actor->request, actor->other, head, REF_TAG);
    (void)catalog_send(world, actor, &actor->request);
}

/* The difference by files; equal rows cancel; removed rows beyond the horizon of `to` are passed
 * over. */
static bool promote_difference(struct world *world, struct actor *actor)
{
    const struct table *bronze = &world->tables[BRONZE];
    const struct snapshot *to = &bronze->snapshots[actor->sync_head];
    struct rows before = {0}, after;
    if (!to->alive)
        return false;
    store_rows(world, &to->files, &after);
    actor->rows = after;
    memset(&actor->picked, 0, sizeof(actor->picked));
    if (actor->kind == REBUILD)
        return true;
    const struct snapshot *from = &bronze->snapshots[actor->seen.source_to];
    if (!from->alive)
        return false;
    store_rows(world, &from->files, &before);
    actor->picked = before;
    rows_take(&actor->picked, &after);
    for (int s = 0; s < SLOT_COUNT; s++)
        actor->picked.of[s] &= ~((1ull << actor->to[s]) - 1);
    rows_take(&actor->rows, &before);
    for (int s = 0; s < SLOT_COUNT && !mutant_is(world, MUTANT_TEXT_ADDED_BELOW); s++)
        actor->rows.of[s] &= ~((1ull << actor->to[s]) - 1); /* closed: they go to {table}__late */
    if (mutant_is(world, MUTANT_PROMOTE_ADDED)) {
        memset(&actor->rows, 0, sizeof(actor->rows));
        for (int h = actor->sync_head; h != NONE && h != actor->seen.source_to;
             h = bronze->snapshots[h].parent) {
            struct rows added;
            store_rows(world, &bronze->snapshots[h].added, &added);
            rows_add(&actor->rows, &added);
        }
    }
    return !world->append_only ||
           !rows_any(&actor->picked); /* a model that only appends stops here */
}

static void promote_build(struct world *world, struct actor *actor)
{
    struct request *request = &actor->request;
    struct state base;
    int head = catalog_head(world, SILVER, MAIN);
    actor->phase = PHASE_DONE;
    if (actor->tries++ > 3 || !catalog_truth(world, SILVER, head, &base) ||
        base.epoch != actor->epoch)
        return;
    /* Not what it has reached, which may be the same again after a rollback: the very head. What
     * was tagged for the old one may be gone by now. */
    bool moved = mutant_is(world, MUTANT_PROMOTE_ABA) ? base.source_to != actor->seen.source_to
                                                      : head != actor->base;
    if (moved && !mutant_is(world, MUTANT_PROMOTE_UNCOMPARED)) {
        actor->phase = PHASE_CUSTOM;
        actor->stage = PROMOTE_TAG;
        return;
    }
    for (int s = 0; s < SLOT_COUNT; s++) /* what the base passed over stays passed over */
        if (actor->kind == PROMOTE && base.horizon[s] > actor->to[s] &&
            !mutant_is(world, MUTANT_TEXT_HORIZON_OWN))
            actor->to[s] = base.horizon[s];
    if (!promote_difference(world, actor)) {
        promote_stop(world, actor,
                     "the source's snapshot is gone, or rows were removed (rebuild?)");
        return;
    }
    actor->phase = PHASE_CUSTOM;
    request_init(request, SILVER);
    request_child(world, request, head, &base);
    request->snapshot.state.source_to = actor->sync_head;
    memcpy(request->snapshot.state.horizon, actor->to, sizeof(actor->to));
    request->snapshot.state.source_tag = actor->other;
    if (actor->kind == REBUILD) {
        request->snapshot.removed = request->snapshot.files;
        memset(&request->snapshot.files, 0, sizeof(request->snapshot.files));
    } else if (rows_any(&actor->picked)) {
        actor_rewrite(world, actor, &actor->picked, &request->snapshot.files, request);
    }
    struct files made = {0};
    struct rows fresh = actor->rows, have;
    store_rows(world, &request->snapshot.files, &have);
    if (!world->append_only) /* a merge finds what is already there by key */
        rows_take(&fresh, &have);
    actor_upload(world, actor, &fresh, &made);
    files_add(&request->snapshot.files, &made);
    files_add(&request->snapshot.added, &made);
    actor->base = (int16_t)head;
    actor->land_ref = (int16_t)catalog_ref(world, SILVER);
    request_assert(request, MAIN, head);
    request_set(request, actor->land_ref, request->id, REF_BRANCH);
    actor->stage = PROMOTE_CANDIDATE;
}

static void promote_candidate(struct world *world, struct actor *actor)
{
    (void)catalog_send(world, actor, &actor->request);
    int candidate = actor->request.id;
    actor->stage = PROMOTE_PUBLISH;
    if (catalog_head(world, SILVER, actor->land_ref) != candidate) {
        actor->stage = PROMOTE_BUILD;
        return;
    }
    request_init(&actor->request, SILVER);
    request_set(&actor->request, MAIN, candidate, REF_BRANCH);
    request_set(&actor->request, actor->land_ref, NONE, REF_FREE);
    request_assert(&actor->request, actor->land_ref, candidate);
    if (!mutant_is(world, MUTANT_PUBLISH_UNASSERTED))
        request_assert(&actor->request, MAIN, actor->base);
    actor->request.property = true;
}

static void promote_verdict(struct world *world, struct actor *actor)
{
    const struct table *silver = &world->tables[SILVER];
    int candidate = actor->request.sets[0].head, head = catalog_head(world, SILVER, MAIN);
    bool landed = catalog_is_ancestor(world, SILVER, candidate, head);
    if (mutant_is(world, MUTANT_SNAPSHOT_LIST) && silver->snapshots[candidate].alive) {
        if (!landed)
            world_fail(world, "promotion s%d is reported as landed and no reader sees it",
                       candidate);
        landed = true;
    }
    if (landed)
        actor->stage = PROMOTE_UNTAG;
    else if (head != actor->base || catalog_head(world, SILVER, actor->land_ref) != candidate)
        actor->stage = PROMOTE_BUILD;
    else if (actor->resends++ < 3)
        actor->stage = PROMOTE_PUBLISH;
    else
        actor->phase = PHASE_DONE;
}

/* After the commit the tags go that were there when the source was loaded: the one of the time
 * before, those of killed promotions, and those of promotions under way, which have read silver
 * before this one and lose. One at a time; a tag made since is not touched. */
static void promote_untag(struct world *world, struct actor *actor)
{
    const struct table *bronze = &world->tables[BRONZE];
    uint64_t tags = actor->seen_tags & promote_tags(world);
    actor->phase = PHASE_DONE;
    if (actor->stage == PROMOTE_UNTAG)
        world->landed[actor->kind]++;
    actor->stage = PROMOTE_UNTAG_MORE;
    if (!tags)
        return;
    int tag = __builtin_ctzll(tags);
    actor->seen_tags &= ~(1ull << tag);
    if (tags & (tags - 1))
        actor->phase = PHASE_CUSTOM;
    request_init(&actor->request, BRONZE);
    request_assert(&actor->request, tag, bronze->refs[tag].head);
    request_set(&actor->request, tag, NONE, REF_FREE);
    (void)catalog_send(world, actor, &actor->request);
}

static void promote_custom(struct world *world, struct actor *actor)
{
    switch (actor->stage) {
    case PROMOTE_TAG: promote_tag(world, actor); break;
    case PROMOTE_TAGGED:
        actor->stage = PROMOTE_BUILD;
        if (actor->other != NONE && catalog_head(world, BRONZE, actor->other) != actor->sync_head)
            actor->phase = PHASE_DONE; /* not tagged, as far as we know: another run tries again */
        break;
    case PROMOTE_BUILD: promote_build(world, actor); break;
    case PROMOTE_CANDIDATE: promote_candidate(world, actor); break;
    case PROMOTE_PUBLISH:
        actor->stage = catalog_send(world, actor, &actor->request) == ANSWER_OK ? PROMOTE_UNTAG
                                                                                : PROMOTE_VERDICT;
        break;
    case PROMOTE_VERDICT: promote_verdict(world, actor); break;
    default: promote_untag(world, actor); break;
    }
}

const struct actor_ops promote_ops = {.name = "promote", .custom = promote_custom};
const struct actor_ops rebuild_ops = {.name = "rebuild", .custom = promote_custom};
