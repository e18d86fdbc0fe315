/* model: random histories of the commit protocol, checked after every step.
 *
 *   model --count N [--for SECONDS] [--seed S] [--mutant NAME] [--list-mutants]
 *         [--replay SEED [--trace]] [--check-mutants --count N] [--jobs N]
 *
 * The last line is `model: N histories, V violations`; the exit code is 1 when there was one. With
 * --mutant it is the other way round: 0 only if the mistake was caught. Every eighth history is one
 * of pointer.c. */
#include "tests/model/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct mutant mutants[] = {
#define MUTANT(id, name, profile, pain, text) {id, name, profile, pain, text},
#include "mutants.def"
#undef MUTANT
};
enum { MUTANT_TOTAL = sizeof(mutants) / sizeof(mutants[0]), KEPT_MAX = 16, JOBS_MAX = 16 };

struct options {
    uint64_t seed, count, replay;
    int seconds, jobs;
    bool list, trace, check, replaying;
    const struct mutant *mutant;
};

/* Shared with the forked workers. */
struct tally {
    uint64_t histories, violations, kept_count;
    uint64_t kept[KEPT_MAX];
    uint64_t landed[KIND_COUNT + 1];
    char text[KEPT_MAX][200];
};

static struct world *world_of_process(void)
{
    static struct world *world; /* one per process: too large for a stack */
    if (!world)
        world = calloc(1, sizeof(*world));
    if (!world)
        abort();
    return world;
}

static bool is_pointer(uint64_t seed, const struct mutant *mutant)
{
    return mutant ? strcmp(mutant->profile, "pointer") == 0 : seed % 8 == 7;
}

static bool run_seed(uint64_t seed, const struct mutant *mutant, const uint64_t *skip, bool trace,
                     char *ret_text)
{
    if (is_pointer(seed, mutant))
        return pointer_run(seed, mutant, trace, ret_text, 200);
    struct world *world = world_of_process();
    bool fine = history_run(world, seed, mutant, skip, trace);
    memcpy(ret_text, world->violation, 200);
    return fine;
}

static void worker(const struct options *options, int index, struct tally *tally)
{
    time_t end = options->seconds ? time(NULL) + options->seconds : 0;
    char text[200];
    for (uint64_t i = (uint64_t)index; i < options->count; i += (uint64_t)options->jobs) {
        if (end && (i & 255) == (uint64_t)index % 256 && time(NULL) >= end)
            break;
        bool fine = run_seed(options->seed + i, options->mutant, NULL, false, text);
        tally->histories++;
        if (fine)
            continue;
        tally->violations++;
        if (tally->kept_count < KEPT_MAX) {
            tally->kept[tally->kept_count] = options->seed + i;
            memcpy(tally->text[tally->kept_count++], text, 200);
        }
        if (options->mutant && options->check)
            break; /* one is enough to say it is caught */
    }
    memcpy(tally->landed, world_of_process()->landed, sizeof(tally->landed));
}

static void run_all(const struct options *options, struct tally *tallies)
{
    for (int i = 1; i < options->jobs; i++) {
        pid_t child = fork();
        if (child == 0) {
            worker(options, i, &tallies[i]);
            _exit(0);
        }
        if (child < 0)
            worker(options, i, &tallies[i]);
    }
    worker(options, 0, &tallies[0]);
    while (wait(NULL) > 0)
        continue;
}

/* Takes actors out, one at a time, as long as the history still breaks the rule. */
static int shrink(uint64_t seed, const struct mutant *mutant, uint64_t *skip)
{
    char text[200];
    int taken = 0;
    memset(skip, 0, sizeof(uint64_t) * (SPAWN_MAX / 64));
    if (is_pointer(seed, mutant))
        return 0;
    for (int pass = 0; pass < 3; pass++)
        for (int i = SPAWN_MAX - 1; i >= 0; i--) {
            if (skip[i / 64] >> (i % 64) & 1)
                continue;
            skip[i / 64] |= 1ull << (i % 64);
            if (run_seed(seed, mutant, skip, false, text))
                skip[i / 64] &= ~(1ull << (i % 64));
            else
                taken++;
        }
    return taken;
}

static int replay(const struct options *options)
{
    uint64_t skip[SPAWN_MAX / 64];
    char text[200];
    bool fine = run_seed(options->replay, options->mutant, NULL, false, text);
    if (!fine)
        (void)shrink(options->replay, options->mutant, skip);
    (void)run_seed(options->replay, options->mutant, fine ? NULL : skip, options->trace, text);
    printf("seed %llu: %s\n", (unsigned long long)options->replay, fine ? "no violation" : text);
    printf("model: 1 histories, %d violations\n", !fine);
    return fine ? 0 : 1;
}

static struct tally *tallies_new(void)
{
    struct tally *tallies = mmap(NULL, sizeof(struct tally) * JOBS_MAX, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED)
        abort();
    return tallies;
}

static int check_mutants(struct options *options)
{
    struct tally *tallies = tallies_new();
    uint64_t histories = 0;
    int survived = 0;
    options->jobs = 1;
    for (int i = 0; i < MUTANT_TOTAL; i++) {
        options->mutant = &mutants[i];
        memset(tallies, 0, sizeof(*tallies));
        run_all(options, tallies);
        histories += tallies->histories;
        survived += tallies->violations == 0;
        if (tallies->violations)
            printf("caught   %-32s after %6llu histories, seed %llu: %s\n", mutants[i].name,
                   (unsigned long long)tallies->histories, (unsigned long long)tallies->kept[0],
                   tallies->text[0]);
        else
            printf("SURVIVED %-32s %llu histories\n", mutants[i].name,
                   (unsigned long long)tallies->histories);
        fflush(stdout);
    }
    printf("model: %d mutants, %d survived\n", MUTANT_TOTAL, survived);
    printf("model: %llu histories, %d violations\n", (unsigned long long)histories, survived);
    return survived ? 1 : 0;
}

/* That nothing is wrong says little unless much has landed. */
static void print_landed(const struct tally *tallies, int jobs)
{
    printf("landed:");
    for (int kind = 0; kind <= KIND_COUNT; kind++) {
        uint64_t sum = 0;
        for (int i = 0; i < jobs; i++)
            sum += tallies[i].landed[kind];
        if (sum)
            printf(" %s %llu", kind == KIND_COUNT ? "certified" : actor_kinds[kind]->name,
                   (unsigned long long)sum);
    }
    printf("\n");
}

static int run_count(const struct options *options)
{
    struct tally *tallies = tallies_new();
    uint64_t histories = 0, violations = 0;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    printf("model: seed %llu%s%s\n", (unsigned long long)options->seed,
           options->mutant ? ", mutant " : "", options->mutant ? options->mutant->name : "");
    fflush(stdout);
    run_all(options, tallies);
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (int i = 0; i < options->jobs; i++) {
        histories += tallies[i].histories;
        violations += tallies[i].violations;
        for (uint64_t k = 0; k < tallies[i].kept_count; k++)
            printf("seed %llu: %s\n", (unsigned long long)tallies[i].kept[k], tallies[i].text[k]);
    }
    if (violations)
        printf("replay with: model%s%s --replay SEED --trace\n",
               options->mutant ? " --mutant " : "", options->mutant ? options->mutant->name : "");
    print_landed(tallies, options->jobs);
    printf("%.1f s\n",
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    printf("model: %llu histories, %llu violations\n", (unsigned long long)histories,
           (unsigned long long)violations);
    return (violations != 0) == (options->mutant != NULL) ? 0 : 1;
}

static const struct mutant *mutant_named(const char *name)
{
    for (int i = 0; i < MUTANT_TOTAL; i++)
        if (strcmp(mutants[i].name, name) == 0)
            return &mutants[i];
    fprintf(stderr, "model: no mutant is called %s; see --list-mutants\n", name);
    exit(2);
}

static void read_options(int argc, char **argv, struct options *options)
{
    const char *seed = getenv("WEIR_SEED");
    options->seed = seed && *seed ? strtoull(seed, NULL, 10) : 1;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) {
            options->trace = true;
            continue;
        }
        if (strcmp(argv[i], "--list-mutants") == 0) {
            options->list = true;
            continue;
        }
        if (strcmp(argv[i], "--check-mutants") == 0) {
            options->check = true;
            continue;
        }
        if (strcmp(argv[i], "--count") == 0)
            options->count = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--for") == 0)
            options->seconds = atoi(value);
        else if (strcmp(argv[i], "--seed") == 0)
            options->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0)
            options->jobs = atoi(value);
        else if (strcmp(argv[i], "--mutant") == 0)
            options->mutant = mutant_named(value);
        else if (strcmp(argv[i], "--replay") == 0) {
            options->replaying = true;
            options->replay = strtoull(value, NULL, 10);
        } else {
            fprintf(stderr, "model: unknown option %s; see the head of tests/model/main.c\n",
                    argv[i]);
            exit(2);
        }
        i++;
    }
    if (options->count == 0)
        options->count = options->seconds ? UINT64_MAX / 2 : 20000;
    if (options->jobs < 1 || options->jobs > JOBS_MAX)
        options->jobs = 1;
}

int main(int argc, char **argv)
{
    struct options options = {.jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    read_options(argc, argv, &options);
    if (options.list) {
        for (int i = 0; i < MUTANT_TOTAL; i++)
            printf("%-32s %-10s %-8s %s\n", mutants[i].name, mutants[i].profile, mutants[i].pain,
                   mutants[i].text);
        return 0;
    }
    if (options.replaying)
        return replay(&options);
    return options.check ? check_mutants(&options) : run_count(&options);
}
