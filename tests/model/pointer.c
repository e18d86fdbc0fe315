/* Section 5, the object-store catalog: numbered versions put if absent, tombstones, a hint. A world
 * of its own, because here the commit itself is made of single requests that may be late, doubled
 * or unanswered. */
#include "tests/model/model.h"

#include <string.h>

enum { VERSION_MAX = 48, COMMITTER_MAX = 4, LATE_MAX = 8, COMMIT_MAX = 64 };

struct version {
    bool used, tombstone;
    int commit;       /* whose put it is */
    uint64_t lineage; /* the commits that this metadata contains */
};
struct late {
    int version, commit;
    uint64_t lineage;
};
struct committer {
    int phase, base, commit, resends, probe, wake;
    uint64_t lineage;
};

struct pointer_world {
    uint64_t random;
    const struct mutant *mutant;
    bool trace, calm;
    struct version versions[VERSION_MAX];
    bool ever[VERSION_MAX];
    int hint, commit_count, time;
    uint64_t reported; /* commits whose run said "landed" */
    struct late late[LATE_MAX];
    int late_count;
    struct committer committers[COMMITTER_MAX];
    char *violation;
    int violation_size;
};

static bool pointer_mutant(const struct pointer_world *world, enum mutant_id id)
{
    return world->mutant && world->mutant->id == id;
}

static bool put(struct pointer_world *world, int number, int commit, uint64_t lineage)
{
    struct version *version = &world->versions[number];
    if (version->used && !pointer_mutant(world, MUTANT_STORE_IGNORES))
        return false;
    *version = (struct version){
        .used = true, .commit = commit, .lineage = lineage | 1ull << commit};
    if (world->trace)
        printf("%4d v%d is put by commit %d\n", world->time, number, commit);
    return true;
}

/* The highest version reached by probing on from the hint. */
static int current(const struct pointer_world *world)
{
    int number = world->hint;
    while (!pointer_mutant(world, MUTANT_HINT_TRUSTED) && number + 1 < VERSION_MAX &&
           world->versions[number + 1].used)
        number++;
    return number;
}

static void check(struct pointer_world *world)
{
    int now = world->hint;
    while (now + 1 < VERSION_MAX && world->versions[now + 1].used)
        now++;
    if (world->violation[0])
        return;
    if (world->versions[now].tombstone)
        snprintf(world->violation, (size_t)world->violation_size,
                 "5: the current version v%d is a tombstone", now);
    else if (world->reported & ~world->versions[now].lineage)
        snprintf(world->violation, (size_t)world->violation_size,
                 "5: commit %d landed and is not in v%d's lineage",
                 __builtin_ctzll(world->reported & ~world->versions[now].lineage), now);
}

static void begin(struct pointer_world *world, struct committer *committer)
{
    *committer = (struct committer){.phase = 1, .commit = world->commit_count++};
}

static void send(struct pointer_world *world, struct committer *committer)
{
    int dice = world->calm ? 99 : random_below(&world->random, 100), number = committer->base + 1;
    if (dice < 12 && world->late_count < LATE_MAX) {
        world->late[world->late_count++] = (struct late){number, committer->commit,
                                                         committer->lineage};
        committer->phase = 3;
        return;
    }
    bool ok = put(world, number, committer->commit, committer->lineage);
    if (dice < 30 && dice >= 20)
        ok = put(world, number, committer->commit,
                 committer->lineage); /* the library sent it twice */
    committer->phase = dice < 20                                        ? 3
                       : ok                                             ? 4
                       : pointer_mutant(world, MUTANT_POINTER_CONFLICT) ? 5
                                                                        : 3;
}

/* On every 412 and every silence: is our commit in the lineage of the current version? */
static void verdict(struct pointer_world *world, struct committer *committer)
{
    int now = current(world);
    if (world->versions[now].lineage >> committer->commit & 1)
        committer->phase = 4;
    else if (now == committer->base && committer->resends++ < 3)
        committer->phase = 2;
    else
        committer->phase = now == committer->base
                               ? 0
                               : 1; /* out of time, or a new attempt on the new head */
}

static void step(struct pointer_world *world, struct committer *committer)
{
    switch (committer->phase) {
    case 0:
        if (world->commit_count < 40)
            begin(world, committer);
        break;
    case 1:
        committer->base = current(world);
        committer->lineage = world->versions[committer->base].lineage;
        if (committer->lineage >> committer->commit & 1 && !world->violation[0])
            snprintf(world->violation, (size_t)world->violation_size,
                     "5: commit %d lands a second time", committer->commit);
        committer->phase = committer->base + 1 < VERSION_MAX - 1 ? 2 : 0;
        break;
    case 2: send(world, committer); break;
    case 3: verdict(world, committer); break;
    case 4:
        world->reported |= 1ull << committer->commit;
        if (random_chance(&world->random, 70) && committer->base + 1 > world->hint)
            world->hint = committer->base + 1; /* forward only, by put-if-match */
        committer->phase = 0;
        break;
    default: committer->phase = 1; break; /* the mutant: "a 412 is a loss", the same commit again */
    }
}

/* Upkeep: versions below the hint give way to tombstones; never to nothing. */
static void upkeep(struct pointer_world *world)
{
    int number = random_below(&world->random, world->hint);
    if (number >= world->hint || !world->versions[number].used)
        return;
    if (pointer_mutant(world, MUTANT_VERSION_FREED))
        world->versions[number].used = false;
    else
        world->versions[number].tombstone = true;
}

/* Faults end: one committer alone must get through. */
static void pointer_settle(struct pointer_world *world)
{
    struct committer *committer = &world->committers[0];
    world->calm = true;
    begin(world, committer);
    for (int i = 0; i < 12 && committer->phase != 0; i++) {
        step(world, committer);
        check(world);
    }
    if (!(world->reported >> committer->commit & 1) && !world->violation[0])
        snprintf(world->violation, (size_t)world->violation_size, "5: stuck at hint v%d",
                 world->hint);
}

bool pointer_run(uint64_t seed, const struct mutant *mutant, bool trace, char *ret_violation,
                 int size)
{
    struct pointer_world world = {.random = seed ^ 0x517cc1b727220a95ull,
                                  .mutant = mutant,
                                  .trace = trace,
                                  .violation = ret_violation,
                                  .violation_size = size};
    ret_violation[0] = 0;
    world.versions[0] = (struct version){.used = true, .commit = 0, .lineage = 1};
    world.commit_count = 1;
    for (; world.time < 220 && !ret_violation[0]; world.time++) {
        struct committer *committer = &world.committers[random_below(&world.random, COMMITTER_MAX)];
        int dice = random_below(&world.random, 100);
        if (world.late_count && dice < 10) {
            int index = random_below(&world.random, world.late_count);
            struct late late = world.late[index];
            world.late[index] = world.late[--world.late_count];
            (void)put(&world, late.version, late.commit, late.lineage);
        } else if (dice < 20) {
            upkeep(&world);
        } else if (dice < 24) {
            committer->phase = 0; /* killed */
        } else if (dice < 28) {
            committer->wake = world.time + 40;
        } else if (committer->wake <= world.time) {
            step(&world, committer);
        }
        check(&world);
    }
    if (!ret_violation[0])
        pointer_settle(&world);
    return !ret_violation[0];
}
