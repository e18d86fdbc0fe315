/* What all actors share: the landing of section 4, the quarantine's synchronisation, uploads and
 * rewrites. */
#include "tests/model/model.h"

#include <string.h>

const struct actor_ops *const actor_kinds[KIND_COUNT] = {
    &window_ops,
    &shard_ops,
    &sync_ops,
    &backfill_ops,
    &replace_ops,
    &retry_ops,
    &rollback_ops,
    &merge_ops,
    &retention_ops,
    &erase_ops,
    &gap_ops,
    &rebind_ops,
    &expire_ops,
    &sweep_ops,
    &promote_ops,
    &rebuild_ops,
    &foreign_compact_ops,
    &foreign_rollback_ops,
    &foreign_expire_ops,
    &truncate_ops,
    &remake_ops,
};

void actor_init(struct world *world, struct actor *actor, enum kind kind, int number)
{
    memset(actor, 0, offsetof(struct actor, request));
    actor->kind = kind;
    actor->number = number;
    actor->random = world->seed * 0x9e3779b97f4a7c15ull + (uint64_t)number * 7919 + 1;
    actor->config = random_below(&actor->random, 3);
    actor->base = actor->other = NONE;
    const struct actor_ops *ops = actor_kinds[kind];
    actor->after_sync = ops->plan ? PHASE_PLAN : ops->custom ? PHASE_CUSTOM : PHASE_DONE;
    actor->phase = ops->sync_before ? PHASE_SYNC_TABLE : actor->after_sync;
}

void actor_upload(struct world *world, struct actor *actor, const struct rows *rows,
                  struct files *into)
{
    if (rows_any(rows))
        files_put(into, store_put(world, actor, rows));
}

void actor_filter(const struct world *world, const struct state *state, struct rows *rows)
{
    rows_take(rows, &world->absent);
    rows_take(rows, &world->filtered);
    if (!mutant_is(world, MUTANT_NO_GUARD))
        rows_take(rows, &state->erased);
}

void actor_split(struct world *world, struct actor *actor, const struct rows *rows)
{
    struct rows good = *rows;
    world_refused(world, actor->config, rows, &actor->picked);
    rows_take(&good, &actor->picked);
    actor_upload(world, actor, &good, &actor->files);
    actor_upload(world, actor, &actor->picked, &actor->letters);
}

/* Every file of `set` that holds some of `without` gives way to a copy without them, under this
 * attempt's name. */
void actor_rewrite(struct world *world, struct actor *actor, const struct rows *without,
                   struct files *set, struct request *request)
{
    struct files old = *set;
    for (int f = files_next(&old, 0); f != NONE; f = files_next(&old, f + 1)) {
        if (!rows_meet(&world->files[f].rows, without))
            continue;
        struct rows rest = world->files[f].rows;
        struct files made = {0};
        rows_take(&rest, without);
        actor_upload(world, actor, &rest, &made);
        files_drop(set, f);
        files_add(set, &made);
        if (request) {
            files_put(&request->snapshot.removed, f);
            files_add(&request->snapshot.added, &made);
        }
    }
}

/* Section 3: the quarantine is made equal to the head's weir.letters. Its own head is loaded first,
 * the data's after. */
static void step_sync(struct world *world, struct actor *actor)
{
    struct request *request = &actor->request;
    if (actor->phase == PHASE_SYNC_TABLE) {
        actor->sync_table_head = catalog_head(world, QUARANTINE, MAIN);
        actor->phase = PHASE_SYNC_DATA;
    } else if (actor->phase == PHASE_SYNC_DATA) {
        struct state truth, own;
        actor->sync_head = catalog_head(world, BRONZE, MAIN);
        const struct snapshot *head = &world->tables[QUARANTINE].snapshots[actor->sync_table_head];
        actor->phase = actor->after_sync;
        if (head->source == actor->sync_head || !head->alive ||
            !catalog_truth(world, BRONZE, actor->sync_head, &truth) ||
            !catalog_truth(world, QUARANTINE, actor->sync_table_head, &own))
            return;
        request_init(request, QUARANTINE);
        request_child(world, request, actor->sync_table_head, &own);
        request->snapshot.removed = head->files;
        request->snapshot.added = request->snapshot.files = truth.letters;
        files_take(&request->snapshot.removed, &truth.letters);
        files_take(&request->snapshot.added, &head->files);
        request->snapshot.source = actor->sync_head;
        request->property = true;
        request_assert(request, MAIN, actor->sync_table_head);
        request_set(request, MAIN, request->id, REF_BRANCH);
        actor->phase = PHASE_SYNC_SEND;
    } else {
        (void)catalog_send(world, actor,
                           request); /* whatever the answer: the next run finishes it */
        actor->phase = actor->after_sync;
    }
}

static void step_plan(struct world *world, struct actor *actor)
{
    memset(&actor->files, 0, sizeof(actor->files));
    memset(&actor->letters, 0, sizeof(actor->letters));
    memset(&actor->uploaded, 0, sizeof(actor->uploaded));
    memset(&actor->rows, 0, sizeof(actor->rows));
    memset(&actor->picked, 0, sizeof(actor->picked));
    memset(actor->from, 0, sizeof(actor->from));
    memset(actor->to, 0, sizeof(actor->to));
    int head = catalog_head(world, actor->table, MAIN);
    actor->phase = PHASE_DONE;
    if (actor->tries++ > 4)
        return;
    if (!catalog_truth(world, actor->table, head, &actor->seen)) {
        world_say(world, actor, "stops: the ancestry is cut (exit 4)");
        return;
    }
    actor->epoch = actor->seen.epoch;
    actor->base = (int16_t)head;
    if (actor_kinds[actor->kind]->plan(world, actor))
        actor->phase = PHASE_LOAD;
}

static bool fenced(const struct world *world, const struct actor *actor, const struct state *base)
{
    if (mutant_is(world, MUTANT_NO_FENCE))
        return false;
    return base->epoch != actor->epoch;
}

static void step_load(struct world *world, struct actor *actor)
{
    const struct actor_ops *ops = actor_kinds[actor->kind];
    struct state base;
    int head = catalog_head(world, actor->table, actor->head_ref);
    actor->phase = PHASE_DONE;
    if (head == NONE || !catalog_truth(world, actor->table, head, &base))
        return;
    if (fenced(world, actor, &base)) {
        world_say(world, actor, "the epoch has moved: thrown away");
        return;
    }
    enum test test = actor->blind ? TEST_GO : ops->test(world, actor, &base);
    actor->blind = false;
    world_say(world, actor, "base s%d: %s", head,
              test == TEST_GO     ? "go"
              : test == TEST_DONE ? "somebody landed it"
                                  : "abandon");
    if (test == TEST_DROP && !actor->once && actor->stage == 0 && actor->tries < 3)
        actor->phase = PHASE_PLAN;
    if (test != TEST_GO)
        return;
    request_init(&actor->request, actor->table);
    actor->base = (int16_t)head;
    actor->unsure = false;
    actor->resends = 0;
    if (ops->build(world, actor, &base, head))
        actor->phase = PHASE_SEND;
}

static int attempt_id(const struct actor *actor)
{
    return actor->request.id != NONE ? actor->request.id : actor->request.sets[0].head;
}

static void land(struct world *world, struct actor *actor)
{
    const struct actor_ops *ops = actor_kinds[actor->kind];
    actor->phase = PHASE_DONE;
    world->landed[actor->kind]++;
    if (ops->landed && ops->landed(world, actor))
        actor->phase = PHASE_LOAD;
    else if (ops->sync_after) {
        actor->after_sync = ops->custom ? PHASE_CUSTOM : PHASE_DONE;
        actor->phase = PHASE_SYNC_TABLE;
    }
}

static void cleanup(struct world *world, struct actor *actor)
{
    for (int f = files_next(&actor->uploaded, 0); f != NONE;
         f = files_next(&actor->uploaded, f + 1))
        store_delete(world, f);
    actor->phase = PHASE_DONE;
}

static void step_send(struct world *world, struct actor *actor)
{
    if (mutant_is(world, MUTANT_SEQUENCE_RENEWED) && actor->resends)
        actor->request.snapshot.sequence = world->tables[actor->table].last_sequence + 1;
    enum answer answer = catalog_send(world, actor, &actor->request);
    actor->phase = PHASE_VERDICT;
    if (answer == ANSWER_OK) {
        land(world, actor);
        return;
    }
    actor->unsure |= answer == ANSWER_UNKNOWN;
    if (answer == ANSWER_UNKNOWN && mutant_is(world, MUTANT_CLEANUP_UNCERTAIN))
        cleanup(world, actor);
    else if (answer == ANSWER_CONFLICT && mutant_is(world, MUTANT_CLEANUP_LOST_RACE))
        cleanup(world, actor);
    else if (answer == ANSWER_UNKNOWN && mutant_is(world, MUTANT_DUPLICATE)) {
        actor->blind = true;
        actor->phase = actor->tries++ < 4 ? PHASE_LOAD : PHASE_DONE;
    }
}

/* May a rebase keep the attempt's data files? Only when it surely did not land and never will. The
 * proof is the sequence number, which a table gives away once: another snapshot has ours. An
 * answer, even a 409, proves nothing: the first of two deliveries may have landed, been rolled back
 * and expired since. */
static bool files_kept(const struct world *world, const struct actor *actor, int head)
{
    if (mutant_is(world, MUTANT_SEEN_ADOPTED))
        return true;
    const struct table *table = &world->tables[actor->table];
    bool text = mutant_is(world, MUTANT_TEXT_CONFLICT_SETTLES), taken = false;
    for (int i = 0; i < table->snapshot_count; i++)
        taken |= table->snapshots[i].alive && i != actor->request.id && actor->request.id != NONE &&
                 table->snapshots[i].sequence == actor->request.snapshot.sequence;
    if (text)
        taken = !actor->unsure && !table->snapshots[attempt_id(actor)].alive;
    return taken && catalog_is_ancestor(world, actor->table, actor->base, head);
}

static void step_verdict(struct world *world, struct actor *actor)
{
    const struct table *table = &world->tables[actor->table];
    int head = catalog_head(world, actor->table, actor->land_ref);
    int id = attempt_id(actor);
    bool landed = head != NONE && catalog_is_ancestor(world, actor->table, id, head);
    if (mutant_is(world, MUTANT_SNAPSHOT_LIST) && table->snapshots[id].alive) {
        if (!landed)
            world_fail(world, "s%d is reported as landed and no reader sees it", id);
        landed = true;
    }
    world_say(world, actor, "verdict on s%d: %s", id, landed ? "landed" : "not in the lineage");
    bool reached = actor->request.id != NONE &&
                   table->last_sequence >= actor->request.snapshot.sequence;
    bool moved = actor->head_ref == actor->land_ref && head != actor->base;
    if (landed) {
        land(world, actor);
    } else if (!moved && !reached) {
        actor->phase = actor->resends++ < 3
                           ? PHASE_SEND
                           : PHASE_DONE; /* then exit 75: the next run settles it */
    } else if (actor->once || actor->tries++ > 4) {
        actor->phase = PHASE_DONE;
    } else if (files_kept(world, actor, head)) {
        actor->phase = PHASE_LOAD;
        actor->blind = mutant_is(world, MUTANT_REBASE_NO_COMPARE);
    } else {
        actor->phase = actor->stage == 0 ? PHASE_PLAN : PHASE_DONE;
    }
}

void actor_step(struct world *world, struct actor *actor)
{
    switch (actor->phase) {
    case PHASE_SYNC_TABLE:
    case PHASE_SYNC_DATA:
    case PHASE_SYNC_SEND: step_sync(world, actor); break;
    case PHASE_PLAN: step_plan(world, actor); break;
    case PHASE_LOAD: step_load(world, actor); break;
    case PHASE_SEND: step_send(world, actor); break;
    case PHASE_VERDICT: step_verdict(world, actor); break;
    case PHASE_CUSTOM: actor_kinds[actor->kind]->custom(world, actor); break;
    case PHASE_DONE: break;
    }
}
