/* The world: randomness by seed, the object store, the topic's records, the trace. */
#include "tests/model/model.h"

#include <stdarg.h>
#include <string.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

int random_below(uint64_t *state, int bound)
{
    return bound <= 1 ? 0 : (int)(random_next(state) >> 33) % bound;
}

bool random_chance(uint64_t *state, int percent)
{
    return random_below(state, 100) < percent;
}

void world_say(const struct world *world, const struct actor *actor, const char *format, ...)
{
    if (!world->trace)
        return;
    if (actor)
        printf("%4d %s#%d: ", world->time, actor_kinds[actor->kind]->name, actor->number);
    else
        printf("%4d ", world->time);
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->violation[0])
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(world->violation, sizeof(world->violation), format, list);
    va_end(list);
    world->violation_time = world->time;
}

/* A new object under a name that carries its attempt. The mutant names by window, as those before
 * us did. */
int store_put(struct world *world, struct actor *actor, const struct rows *rows)
{
    int name = 0;
    if (mutant_is(world, MUTANT_REUSE_NAMES) && (actor->kind == WINDOW || actor->kind == SHARD)) {
        for (int i = 0; i < SLOT_COUNT; i++)
            name = name * 41 + (actor->to[i] > actor->from[i] ? actor->from[i] + 1 : 0);
        name = name * 2 + (rows_meet(rows, &actor->picked) ? 1 : 0);
        for (int i = 0; name && i < world->file_count; i++)
            if (world->files[i].name == name && world->files[i].alive) {
                world->files[i].rows = *rows;
                world->dirty = true;
                return i;
            }
    }
    int file = world->file_count < FILE_MAX - 1 ? world->file_count++ : FILE_MAX - 1;
    world->files[file] = (struct file){.rows = *rows, .alive = true, .name = name};
    files_put(&actor->uploaded, file);
    world_say(world, actor, "puts f%d", file);
    return file;
}

void store_delete(struct world *world, int file)
{
    world->files[file].alive = false;
    world->dirty = true;
    world_say(world, NULL, "f%d is deleted", file);
}

void store_rows(const struct world *world, const struct files *set, struct rows *ret_rows)
{
    memset(ret_rows, 0, sizeof(*ret_rows));
    for (int f = files_next(set, 0); f != NONE; f = files_next(set, f + 1))
        rows_add(ret_rows, &world->files[f].rows);
}

/* Which records a pipeline refuses depends on its version. */
void world_refused(const struct world *world, int config, const struct rows *rows,
                   struct rows *ret_refused)
{
    memset(ret_refused, 0, sizeof(*ret_refused));
    for (int s = 0; s < SLOT_COUNT; s++)
        for (int o = 0; o < OFFSET_MAX; o++)
            if ((o * 7 + s + config * 3) % 5 == 0)
                ret_refused->of[s] |= 1ull << o;
    rows_keep(ret_refused, rows);
}

static void world_topic(struct world *world)
{
    for (int s = 0; s < SLOT_COUNT; s++) {
        world->absent.of[s] = random_next(&world->random) & random_next(&world->random) &
                              random_next(&world->random);
        world->filtered.of[s] = 0;
        for (int o = 10; o < 64; o += 11)
            world->filtered.of[s] |= 1ull << o;
        world->group[s] = 0;
        world->log_start[s] = 0;
        world->log_end[s] = s < PARTITION_COUNT ? 8 + random_below(&world->random, 6) : 0;
    }
}

/* Tables are born with a snapshot that holds their start offsets: section 1. */
static void world_tables(struct world *world)
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        struct table *table = &world->tables[t];
        table->snapshot_count = 1;
        table->ref_count = 1;
        table->refs[MAIN].kind = REF_BRANCH;
        table->refs[MAIN].head = 0;
        table->last_sequence = 1;
        table->property_snapshot = 0;
        table->foreign_cut = false;
        table->epoch_seen = 0;
        struct snapshot *first = &table->snapshots[0];
        *first = (struct snapshot){.parent = NONE,
                                   .picked = NONE,
                                   .alive = true,
                                   .ever = true,
                                   .has_state = true,
                                   .sequence = 1};
        first->state.source_to = t == SILVER ? 0 : NONE;
        first->state.source_tag = NONE;
        for (int s = 0; t == BRONZE && s < PARTITION_COUNT; s++)
            first->state.next[s] = first->state.start[s] =
                (uint8_t)(random_below(&world->random, 3) * 3);
        table->property = first->state;
    }
    struct table *bronze = &world->tables[BRONZE];
    bronze->ref_count = 2;
    bronze->refs[1].kind = REF_TAG;
    bronze->refs[1].head = 0;
    world->tables[SILVER].snapshots[0].state.source_tag = 1;
    world->tables[SILVER].property.source_tag = 1;
}

void world_init(struct world *world, uint64_t seed, const struct mutant *mutant,
                const uint64_t *skip)
{
    bool trace = world->trace;
    world->seed = seed;
    world->random = seed * 0x2545f4914f6cdd1dull + 12345;
    world->time = world->spawned = world->file_count = world->actor_count = world->delayed_count =
        0;
    world->calm = world->sweep_open = false;
    world->trace = trace;
    world->mutant = mutant;
    for (int i = 0; i < SPAWN_MAX / 64; i++)
        world->skip[i] = skip ? skip[i] : 0;
    world->incarnation = 0;
    world->append_only = random_chance(&world->random, 50);
    world->old_core = random_chance(&world->random, 30);
    world->grace = 6 + random_below(&world->random, 35); /* safety must not rest on it */
    memset(&world->certified, 0, sizeof(world->certified));
    world->violation[0] = 0;
    world->dirty = true;
    world_topic(world);
    world_tables(world);
}
