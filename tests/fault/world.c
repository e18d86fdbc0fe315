/* The world's clock, chances, stores and catalogs. */
#include "tests/fault/world.h"

#include "connectors/catalog/catalog.h"
#include "connectors/file/local.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const tally_names[T_COUNT] = {
    "landed",    "superseded", "abandoned",      "failed",  "decision",     "faults before",
    "after",     "delayed",    "delivered late", "doubled", "acts between", "compactions",
    "rollbacks", "expiries",   "other foreign",  "epochs",  "columns",      "retries"};

uint64_t world_below(struct world *world, uint64_t bound)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % bound;
}

bool world_chance(struct world *world, int of_1000)
{
    return of_1000 > 0 && world_below(world, 1000) < (uint64_t)of_1000;
}

void world_violated(struct world *world, const char *format, ...)
{
    if (*world->violation)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->violation, sizeof world->violation, format, arguments);
    va_end(arguments);
}

bool world_is_bad(int partition, int64_t offset)
{
    return ((uint64_t)offset * 2654435761u + (uint64_t)partition * 40503u) % 7 == 3;
}

static int64_t clock_now(void *self)
{
    return ++((struct world *)self)->now_ms;
}

static void clock_sleep(void *self, int64_t duration_ms)
{
    ((struct world *)self)->now_ms += duration_ms;
}

static void fill(void *self, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)world_below(self, 256);
}

/* ---- what goes wrong ------------------------------------------------------------------------ */

static struct fault next_fault(void *self, const char *kind, const char *name)
{
    struct world *world = self;
    static const weir_status any[] = {WEIR_UNKNOWN_OUTCOME, WEIR_UNAVAILABLE, WEIR_PRECONDITION,
                                      WEIR_NO_SPACE};
    bool reads = strcmp(kind, "get") == 0 || strcmp(kind, "head") == 0 || strcmp(kind, "load") == 0;
    struct fault fault = {0};
    int rate = reads ? world->manners.fault_of_reads : world->manners.fault;
    if (strcmp(kind, "commit") == 0 || strcmp(kind, "create") == 0)
        rate *= 4; /* what all else leads to */
    else if (strcmp(kind, "settle") == 0)
        rate /= 4; /* one way to fail is enough */
    if (!world_chance(world, rate))
        return fault;
    if (reads || strcmp(kind, "settle") == 0) {
        fault = (struct fault){FAULT_BEFORE, reads ? WEIR_UNAVAILABLE : WEIR_NO_SPACE};
    } else {
        fault.kind = (enum fault_kind)(1 + world_below(world, 4));
        /* What is answered after the deed is a lost answer or, of a request sent twice, a no. */
        fault.status = any[world_below(world, fault.kind == FAULT_AFTER ? 3 : 4)];
        if (fault.kind == FAULT_AFTER && fault.status == WEIR_UNAVAILABLE)
            fault.status = WEIR_UNKNOWN_OUTCOME; /* UNAVAILABLE = certainly not done */
    }
    static const enum tally tallies[] = {0, T_BEFORE, T_AFTER, T_DELAYED, T_DOUBLED};
    world->tallies[tallies[fault.kind]]++;
    if (world->trace)
        printf("%*sfault %d/%s: %s %s\n", 2 * world->depth, "", (int)fault.kind,
               weir_status_name(fault.status), kind, name);
    return fault;
}

static void act_of_another(struct world *world)
{
    int number = (int)world_below(world, (uint64_t)world->writer_count);
    struct writer *writer = &world->writers[number];
    enum weir_landing ignored;
    uint64_t what = world_below(world, 20);
    if (world->faults.waiting && what < 8) {
        world->tallies[T_DELIVERED] += faults_deliver(
            &world->faults, (int)world_below(world, (uint64_t)world->faults.waiting));
        return;
    }
    if (what < 5 && world->manners.foreign) {
        bool (*const all[])(struct world *) = {foreign_compact, foreign_roll_back, foreign_property,
                                               foreign_tag, foreign_branch};
        all[what](world);
    } else if (what == 5 && world->manners.expiry) {
        foreign_expire(world, world_chance(world, 800));
    } else if (!writer->busy) {
        char column[24];
        snprintf(column, sizeof column, "c%lld", (long long)++world->objects);
        weir_status status = what == 6   ? writer_sync(writer)
                             : what == 7 ? writer_epoch(writer)
                             : what == 8 ? writer_retry(writer)
                             : what < 12 && world->manners.schemas
                                 ? writer_column(writer, column, &ignored)
                                 : writer_window(writer, 6, &ignored);
        (void)status; /* what a writer may end with was looked at there */
    }
}

static void between(void *self, const char *kind, const char *name, bool before)
{
    struct world *world = self;
    /* Less often the deeper it is, or every act would bring another one along. */
    int rate = world->manners.others >> 2 * world->depth;
    if (world->depth >= 3 || *world->violation || !world_chance(world, rate))
        return;
    world->depth++;
    world->tallies[T_NESTED]++;
    act_of_another(world);
    world->depth--;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void open_writer(struct world *world, struct writer *writer, int number, bool faulty)
{
    struct weir_error error = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/lake", world->folder);
    *writer = (struct writer){.world = world, .number = number};
    snprintf(writer->run_id, sizeof writer->run_id, "writer-%d", number);
    weir_status status = weir_store_local_new(&world->context, path, &writer->inner_store, &error);
    writer->store = faulty ? faults_store(&world->faults, &writer->inner_store)
                           : writer->inner_store;
    snprintf(path, sizeof path, "%s/catalog.db", world->folder);
    if (status == WEIR_OK)
        status = world->object_store
                     ? weir_catalog_object_store_new(&world->context, &writer->store,
                                                     &writer->inner_catalog, &error)
                     : weir_catalog_sqlite_new(&world->context, &writer->store, path, "weir",
                                               &writer->inner_catalog, &error);
    if (status != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    writer->catalog = faulty ? faults_catalog(&world->faults, &world->context.memory,
                                              &writer->inner_catalog)
                             : writer->inner_catalog;
    writer->lake = (struct weir_lake){.context = &world->context,
                                      .store = writer->store,
                                      .catalog = writer->catalog,
                                      .run_id = writer->run_id,
                                      .config_digest = "none"};
}

static void close_writer(struct writer *writer, bool faulty)
{
    weir_table_free(writer->stale);
    if (faulty) {
        writer->catalog.operations->free(writer->catalog.self);
        writer->store.operations->free(writer->store.self);
    }
    writer->inner_catalog.operations->free(writer->inner_catalog.self);
    writer->inner_store.operations->free(writer->inner_store.self);
}

void world_open(struct world *world, uint64_t seed, bool object_store, int partitions, int writers)
{
    *world = (struct world){.seed = seed,
                            .random = seed * 0x2545f4914f6cdd1dull + 1,
                            .now_ms = 1700000000000,
                            .object_store = object_store,
                            .partitions = partitions,
                            .writer_count = writers};
    /* Thousands of small fsynced files: in memory where the machine offers it. */
    const char *folder = getenv("TMPDIR");
    folder = folder ? folder : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(world->folder, sizeof world->folder, "%.200s/weir-land-XXXXXX", folder);
    if (!mkdtemp(world->folder)) {
        perror(world->folder);
        abort();
    }
    weir_context_init(&world->context);
    world->context.clock = (struct weir_clock){clock_now, clock_now, clock_sleep, world};
    world->context.random = (struct weir_random){fill, world};
    world->context.thread_count = 1;
    world->faults = (struct faults){next_fault, between, world, NULL, 0};
    for (int i = 0; i < writers; i++)
        open_writer(world, &world->writers[i], i, true);
    open_writer(world, &world->observer, 99, false);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    return remove(path);
}

void world_close(struct world *world)
{
    faults_drop(&world->faults);
    for (int i = 0; i < world->writer_count; i++)
        close_writer(&world->writers[i], true);
    close_writer(&world->observer, false);
    weir_context_done(&world->context);
    nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
