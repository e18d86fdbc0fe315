/* One history: actors are spawned, stepped, put to sleep and killed by the seed; then the world
 * settles. */
#include "tests/model/model.h"

#include <string.h>

struct profile {
    const char *name;
    const char *kinds; /* one letter per entry of the lottery */
    int length, spawn, pause_chance, pause;
};

/* Letters: W window, H shard, Y sync, B backfill, P replace, Q retry, R rollback, M merge, T
 * retention, E erase, G accept-gap, I rebind, X expire, S sweep, O promote, U rebuild, c/r/x
 * foreign compact, rollback, expire, t truncate, n topic anew. */
static const char profile_letters[] = "WHYBPQRMTEGIXSOUcrxtn";
static const struct profile profiles[] = {
    {"all", "WWWWHHHYBBPPQQRMTEGGIXXSSSSOOUcrxtn", 150, 45, 4, 60},
    {"data", "WWWHHYBPQRMcrx", 110, 50, 3, 12},
    {"windows", "WWWHHYR", 80, 60, 2, 10},
    {"foreign", "WWWHYRQBcrxr", 110, 50, 3, 12},
    {"verdict", "WWHHMrrrxxxc", 110, 60, 8, 14},
    {"letters", "WWYQQQPPRB", 100, 55, 3, 12},
    {"backfill", "WWHBBBBRc", 100, 55, 3, 12},
    {"merge", "WWHMMMPRc", 90, 55, 3, 12},
    {"sweep", "WWWHYQBSSSSOcrRxX", 190, 30, 16, 90},
    {"promote", "WWHOOOOUcrxXRMTP", 120, 55, 4, 14},
    {"topic", "WWWHHYGItnQ", 90, 55, 3, 12},
    {"retention", "WWHTTOOUcMR", 100, 55, 3, 12},
    {"erase", "WWWHQEEERPrBIxXOcU", 120, 50, 6, 20},
    {"expire", "WWHXXXcccYR", 100, 55, 3, 12},
    {"gate", "SSSSOOOOrrrWHYx", 190, 40, 12, 45},
    {"raw", "WWYPRRXXXXSSSSr", 190, 30, 25, 35},
    {"again", "WWRRRXXXXSSSS", 190, 30, 20, 30},
    {"reclose", "WTTOOOOrrrr", 170, 40, 20, 40},
    {"birth", "WWWHH", 40, 70, 5, 10},
};
enum { PROFILE_COUNT = sizeof(profiles) / sizeof(profiles[0]) };

static const struct profile *choose_profile(const struct world *world)
{
    const char *wanted = world->mutant ? world->mutant->profile : NULL;
    for (int i = 0; wanted && i < PROFILE_COUNT; i++)
        if (strcmp(profiles[i].name, wanted) == 0)
            return &profiles[i];
    uint64_t dice = world->seed ^ 0x77;
    int pick = random_below(&dice, PROFILE_COUNT + 6);
    return &profiles[pick < PROFILE_COUNT ? pick : 0];
}

static void spawn(struct world *world, const struct profile *profile)
{
    int number = world->spawned++;
    char letter = profile->kinds[random_below(&world->random, (int)strlen(profile->kinds))];
    if (world->skip[number / 64] >> (number % 64) & 1)
        return;
    struct actor *actor = &world->actors[world->actor_count++];
    actor_init(world, actor, (enum kind)(strchr(profile_letters, letter) - profile_letters),
               number);
    world_say(world, actor, "starts, pipeline version %d", actor->config);
}

static bool room(const struct world *world)
{
    int most = 0;
    for (int t = 0; t < TABLE_COUNT; t++) {
        most = world->tables[t].snapshot_count > most ? world->tables[t].snapshot_count : most;
        if (world->tables[t].ref_count > REF_MAX - 12)
            return false;
    }
    return world->spawned < SPAWN_MAX && world->file_count < FILE_MAX - 200 &&
           most < SNAPSHOT_MAX - 110;
}

static void step_one(struct world *world, const struct profile *profile)
{
    if (world->actor_count == 0)
        return;
    struct actor *actor = &world->actors[random_below(&world->random, world->actor_count)];
    if (actor->wake > world->time)
        return;
    int dice = random_below(&world->random, 100);
    if (dice < 3) {
        world_say(world, actor, "is killed");
        actor->phase = PHASE_DONE;
    } else if (dice < 3 + profile->pause_chance) {
        actor->wake = world->time + (dice % 2 ? profile->pause : 5);
        world_say(world, actor, "sleeps until %d", actor->wake);
    } else {
        actor_step(world, actor);
    }
    if (actor->phase == PHASE_DONE) {
        struct actor *last = &world->actors[--world->actor_count];
        if (last != actor)
            *actor = *last;
    }
}

static void grow_log(struct world *world)
{
    int slot = world->incarnation * PARTITION_COUNT + random_below(&world->random, PARTITION_COUNT);
    int end = world->log_end[slot] + 1 + random_below(&world->random, 3);
    world->log_end[slot] = (uint8_t)(end < OFFSET_MAX - 4 ? end : OFFSET_MAX - 4);
}

static void run_calmly(struct world *world, enum kind kind)
{
    struct actor *actor = &world->actors[0];
    actor_init(world, actor, kind, world->spawned++ % SPAWN_MAX + 1000);
    for (int i = 0; i < 400 && actor->phase != PHASE_DONE && !world->violation[0];
         i++, world->time++) {
        actor_step(world, actor);
        invariants_check(world);
    }
}

/* Faults end. What is on its way arrives or is lost; then each verb runs once, alone. */
static void settle(struct world *world)
{
    static const enum kind verbs[] = {REBIND,  GAP,    WINDOW, SYNC,   PROMOTE,
                                      REBUILD, EXPIRE, SYNC,   PROMOTE};
    while (world->delayed_count && !world->violation[0]) {
        catalog_deliver(world, random_below(&world->random, world->delayed_count));
        invariants_check(world);
    }
    world_say(world, NULL, "the world settles");
    world->actor_count = 0;
    world->calm = true;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && !world->violation[0]; i++)
        run_calmly(world, verbs[i]);
    if (!world->violation[0])
        invariants_settled(world);
}

bool history_run(struct world *world, uint64_t seed, const struct mutant *mutant,
                 const uint64_t *skip, bool trace)
{
    world->trace = trace;
    world_init(world, seed, mutant, skip);
    const struct profile *profile = choose_profile(world);
    world_say(world, NULL, "profile %s, seed %llu", profile->name, (unsigned long long)seed);
    for (; world->time < profile->length && !world->violation[0]; world->time++) {
        if (random_chance(&world->random, 30))
            grow_log(world);
        bool more = random_chance(&world->random, profile->spawn);
        if (more && world->actor_count < 5 && room(world))
            spawn(world, profile);
        if (world->delayed_count && random_chance(&world->random, 15))
            catalog_deliver(world, random_below(&world->random, world->delayed_count));
        step_one(world, profile);
        invariants_check(world);
    }
    if (!world->violation[0])
        settle(world);
    return world->violation[0] == 0;
}
