/* Random histories of landing over real catalogs and a real store, with faults at every call and
 * others acting between any two. WEIR_SEED rotates them; the seed printed repeats them. */
#include "tests/fault/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    long count;
    uint64_t seed;
    bool trace;
};

static bool parse(int argc, char **argv, struct options *options)
{
    const char *seed = getenv("WEIR_SEED");
    *options = (struct options){.count = 100, .seed = seed ? strtoull(seed, NULL, 10) : 1};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0)
            options->trace = true;
        else if (more && strcmp(argv[i], "--count") == 0)
            options->count = atol(argv[++i]);
        else if (more && strcmp(argv[i], "--seed") == 0)
            options->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

static void choose_manners(struct world *world)
{
    static const int rates[] = {0, 10, 40, 120};
    /* Reads fail seldom: they only end the work early. */
    world->manners = (struct manners){.fault = rates[world_below(world, 4)],
                                      .fault_of_reads = rates[world_below(world, 3)] / 4,
                                      .others = (int)world_below(world, 3) * 40,
                                      .foreign = world_chance(world, 500),
                                      .expiry = world_chance(world, 250),
                                      .epochs = world_chance(world, 300),
                                      .schemas = world_chance(world, 300)};
}

static void act(struct world *world)
{
    struct writer *writer = &world->writers[world_below(world, (uint64_t)world->writer_count)];
    enum weir_landing landing;
    char column[24];
    snprintf(column, sizeof column, "c%lld", (long long)++world->objects);
    weir_status status = WEIR_OK;
    uint64_t what = world_below(world, 12);
    if (what == 0)
        status = writer_sync(writer);
    else if (what == 1)
        status = writer_retry(writer);
    else if (what == 2)
        status = writer_epoch(writer);
    else if (what >= 3 && what <= 5 && world->manners.schemas)
        status = writer_column(writer, column, &landing);
    else if (what == 6 && world->manners.foreign)
        foreign_compact(world);
    else
        status = writer_window(writer, 8, &landing);
    (void)status; /* judged where it ended */
}

/* More small manifests than are left alone. */
static void pile_up(struct world *world)
{
    struct manners manners = world->manners;
    enum weir_landing landing;
    world->manners = (struct manners){0};
    for (int i = 0; i < 104; i++)
        if (writer_window(&world->writers[0], 3, &landing) != WEIR_OK)
            break;
    world->manners = manners;
}

static void history(struct world *world)
{
    choose_manners(world);
    world->lying = world_chance(world, 300);
    int steps = 8 + (int)world_below(world, 25);
    if (world->partitions < 8 && world_chance(world, 40))
        pile_up(world);
    for (int i = 0; i < steps && !*world->violation; i++) {
        act(world);
        if (i % 6 == 5)
            world_check(world, false);
    }
    if (!*world->violation)
        world_settle(world);
}

int main(int argc, char **argv)
{
    struct options options;
    long tallies[T_COUNT] = {0}, violated = 0;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "usage: land_random [--count N] [--seed S] [--trace]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a crash stays said */
    for (long i = 0; i < options.count && violated < 5; i++) {
        struct world world;
        uint64_t seed = options.seed + (uint64_t)i;
        int partitions = seed % 11 == 0 ? 70 : 1 + (int)(seed / 2 % 4);
        world_open(&world, seed, seed % 2 == 0, partitions, 2 + (int)(seed / 8 % 3));
        world.trace = options.trace;
        history(&world);
        for (int t = 0; t < T_COUNT; t++)
            tallies[t] += world.tallies[t];
        if (*world.violation) {
            violated++;
            printf("violation: --seed %llu --count 1 (%s): %s\n", (unsigned long long)seed,
                   world.object_store ? "object-store" : "sqlite", world.violation);
        }
        world_close(&world);
    }
    printf("%ld histories from seed %llu:", options.count, (unsigned long long)options.seed);
    for (int t = 0; t < T_COUNT; t++)
        printf(" %ld %s%s", tallies[t], tally_names[t], t + 1 < T_COUNT ? "," : "\n");
    printf("%ld violations\n", violated);
    return violated != 0;
}
