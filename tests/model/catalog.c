/* The catalog: requirements and updates applied at once, or not at all; and the network in front of
 * it. */
#include "tests/model/model.h"

#include <string.h>

int catalog_reserve(struct world *world, enum table_id table)
{
    struct table *t = &world->tables[table];
    int id = t->snapshot_count < SNAPSHOT_MAX - 1 ? t->snapshot_count++ : SNAPSHOT_MAX - 1;
    t->snapshots[id].alive = t->snapshots[id].ever = false;
    return id;
}

int catalog_ref(struct world *world, enum table_id table)
{
    struct table *t = &world->tables[table];
    int ref = t->ref_count < REF_MAX - 1 ? t->ref_count++ : REF_MAX - 1;
    t->refs[ref].kind = REF_FREE;
    t->refs[ref].head = NONE;
    return ref;
}

int16_t catalog_head(const struct world *world, enum table_id table, int ref)
{
    const struct table *t = &world->tables[table];
    return t->refs[ref].kind == REF_FREE ? NONE : t->refs[ref].head;
}

bool catalog_is_ancestor(const struct world *world, enum table_id table, int id, int head)
{
    const struct table *t = &world->tables[table];
    for (int h = head; h != NONE && t->snapshots[h].alive; h = t->snapshots[h].parent)
        if (h == id)
            return true;
    return false;
}

/* Section 2. False: the ancestry is cut and the property cannot be believed (exit 4). */
bool catalog_truth(const struct world *world, enum table_id table, int head,
                   struct state *ret_state)
{
    const struct table *t = &world->tables[table];
    if (mutant_is(world, MUTANT_OFFSETS_IN_PROPERTIES)) {
        *ret_state = t->property;
        return true;
    }
    int cut = NONE;
    int h = head;
    while (h != NONE && t->snapshots[h].alive && !t->snapshots[h].has_state) {
        cut = t->snapshots[h].parent;
        h = cut;
    }
    if (h != NONE && t->snapshots[h].alive)
        *ret_state = t->snapshots[h].state;
    else if (cut != NONE &&
             (cut == t->property_snapshot || mutant_is(world, MUTANT_PROPERTY_BELIEVED)))
        *ret_state = t->property;
    else
        return false;
    if (!mutant_is(world, MUTANT_EPOCH_ANCESTRY) && t->property.epoch > ret_state->epoch)
        ret_state->epoch = t->property.epoch;
    if (!mutant_is(world, MUTANT_TEXT_ERASED_ANCESTRY))
        rows_add(&ret_state->erased, &t->property.erased);
    return true;
}

void request_init(struct request *request, enum table_id table)
{
    request->table = table;
    request->assert_count = request->set_count = 0;
    request->id = NONE;
    request->property = request->foreign = request->null_ref = request->raises_epoch = false;
    memset(request->expire, 0, sizeof(request->expire));
}

void request_assert(struct request *request, int ref, int head)
{
    if (request->assert_count < REF_MAX) {
        request->asserts[request->assert_count].ref = (int16_t)ref;
        request->asserts[request->assert_count++].head = (int16_t)head;
    }
}

void request_set(struct request *request, int ref, int head, enum ref_kind kind)
{
    request->sets[request->set_count].ref = (int16_t)ref;
    request->sets[request->set_count].head = (int16_t)head;
    request->sets[request->set_count++].kind = kind;
}

/* A snapshot upon `head` with the head's files; the sequence number is fixed here, with the base.
 */
void request_child(struct world *world, struct request *request, int head,
                   const struct state *state)
{
    struct table *t = &world->tables[request->table];
    request->id = catalog_reserve(world, request->table);
    memset(&request->snapshot, 0, sizeof(request->snapshot));
    request->snapshot.parent = (int16_t)head;
    request->snapshot.picked = NONE;
    request->snapshot.source = NONE;
    request->snapshot.sequence = t->last_sequence + 1;
    request->snapshot.files = t->snapshots[head].files;
    if (state) {
        request->snapshot.has_state = true;
        request->snapshot.state = *state;
    }
}

static bool catalog_admits(const struct world *world, const struct request *request)
{
    const struct table *t = &world->tables[request->table];
    for (int i = 0; i < request->assert_count; i++)
        if (catalog_head(world, request->table, request->asserts[i].ref) !=
            request->asserts[i].head)
            return false;
    if (request->id == NONE)
        return true;
    if (t->snapshots[request->id].alive ||
        (request->snapshot.sequence <= t->last_sequence && !request->null_ref))
        return false;
    return request->snapshot.parent == NONE || t->snapshots[request->snapshot.parent].alive;
}

static void catalog_move(struct world *world, const struct request *request, int index)
{
    struct table *t = &world->tables[request->table];
    int ref = request->sets[index].ref, head = request->sets[index].head;
    if (head == NONE) {
        t->refs[ref].kind = REF_FREE;
        return;
    }
    if (ref == MAIN && !request->foreign) {
        int parent = head == request->id ? request->snapshot.parent : t->snapshots[head].parent;
        if (parent != t->refs[MAIN].head && head != t->refs[MAIN].head)
            world_fail(world, "table %d: main moved from s%d to s%d, which is not its child",
                       request->table, t->refs[MAIN].head, head);
    }
    t->refs[ref].kind = request->sets[index].kind;
    t->refs[ref].head = (int16_t)head;
}

bool catalog_apply(struct world *world, struct request *request)
{
    struct table *t = &world->tables[request->table];
    if (!catalog_admits(world, request))
        return false;
    for (int i = 0; i < request->set_count; i++) /* a ref cannot point at what is not there */
        if (request->sets[i].head != NONE && request->sets[i].head != request->id &&
            !t->snapshots[request->sets[i].head].alive)
            return false;
    for (int i = 0; i < request->set_count; i++)
        catalog_move(world, request, i);
    if (request->id != NONE) {
        t->snapshots[request->id] = request->snapshot;
        t->snapshots[request->id].alive = t->snapshots[request->id].ever = true;
        t->snapshots[request->id].foreign = request->foreign;
        t->last_sequence = request->snapshot.sequence;
    }
    for (int i = 0; i < t->snapshot_count; i++)
        if (request->expire[i / 64] >> (i % 64) & 1)
            t->snapshots[i].alive = false;
    if (request->property && request->set_count && request->sets[0].ref == MAIN) {
        int head = request->sets[0].head;
        t->property_snapshot = (int16_t)head;
        uint16_t epoch = t->property.epoch;
        t->property = t->snapshots[head].state;
        if (!request->raises_epoch && !mutant_is(world, MUTANT_TEXT_EPOCH_SHARED))
            t->property.epoch =
                epoch; /* a property of its own, set only by the commits that raise it */
    }
    world->dirty = true;
    return true;
}

void catalog_deliver(struct world *world, int index)
{
    struct request late = world->delayed[index];
    world->delayed[index] = world->delayed[--world->delayed_count];
    bool ok = catalog_apply(world, &late);
    world_say(world, NULL, "a late request arrives, table %d s%d: %s", late.table, late.id,
              ok ? "applied" : "refused");
}

enum answer catalog_send(struct world *world, struct actor *actor, const struct request *request)
{
    struct request sent = *request;
    int dice = world->calm ? 99 : random_below(&actor->random, 100);
    if (dice < 8 && world->delayed_count < DELAYED_MAX) {
        world->delayed[world->delayed_count++] = sent;
        world_say(world, actor, "request s%d is delayed on its way, no answer", sent.id);
        return ANSWER_UNKNOWN;
    }
    bool ok = catalog_apply(world, &sent);
    world_say(world, actor, "commit on table %d, s%d on s%d: %s%s", sent.table, sent.id,
              sent.id == NONE ? NONE : sent.snapshot.parent, ok ? "applied" : "conflict",
              dice < 18 ? ", answer lost" : "");
    if (dice < 18)
        return ANSWER_UNKNOWN;
    if (dice < 24) {
        ok = catalog_apply(world, &sent);
        world_say(world, actor, "  the wire sent it twice: %s", ok ? "applied" : "conflict");
    }
    if (dice >= 24 && dice < 28 && world->delayed_count < DELAYED_MAX)
        world->delayed[world->delayed_count++] = sent; /* a copy that arrives much later */
    return ok ? ANSWER_OK : ANSWER_CONFLICT;
}
