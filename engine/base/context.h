/* What a pipeline run holds instead of globals: memory, time, randomness, effects, threads, and the
 * wish to stop.
 *
 * Everything that touches the world outside takes a `struct weir_context *`. Tests put a fake
 * clock, a seeded random source and a failing effect hook in it; the code above never knows. */
#ifndef WEIR_ENGINE_BASE_CONTEXT_H
#define WEIR_ENGINE_BASE_CONTEXT_H

#include "engine/base/memory.h"

/* Time. wall: milliseconds since 1970, UTC, may jump. steady: milliseconds, only grows, for
 * durations and leases. */
struct weir_clock {
    int64_t (*wall_ms)(void *self);
    int64_t (*steady_ms)(void *self);
    void (*sleep_ms)(void *self,
                     int64_t duration_ms); /* returns early when the context is asked to stop */
    void *self;
};

/* Randomness: getrandom(2), or a seeded stream in tests. */
struct weir_random {
    void (*fill)(void *self, void *bytes, size_t size);
    void *self;
};

/* Outside effects, announced before and after, so that tests can die or lose the answer at each of
 * them. WEIR_TEST_KILL=n:before|after|lost acts at the n-th effect of the process (1-based). kill =
 * SIGKILL to self. WEIR_TEST_EFFECTS=FILE appends "n kind name" lines, for a sweep to know how many
 * there are. */
struct weir_effects {
    atomic_long count;
    long kill_at;           /* 0 = never */
    int kill_mode;          /* 'b', 'a' or 'l' */
    atomic_uintptr_t armed; /* thread that is inside the effect to act at; 0 = none */
    int trace_file;         /* -1 = none */
    /* Test hook, may be NULL: return a status other than OK to make the effect fail before it
     * happens. */
    weir_status (*hook)(void *self, const char *kind, const char *name);
    void *hook_self;
};

struct weir_context {
    struct weir_account memory; /* root account: limit is run.memory_limit */
    struct weir_clock clock;
    struct weir_random random;
    struct weir_effects effects;
    atomic_int
        stop; /* 0, or SIGINT / SIGTERM: set by the signal handler, looked at between steps */
    int64_t deadline_steady_ms; /* 0 = none; run.deadline */
    int thread_count;           /* workers, at least 1; 1 = everything runs inline */
};

/* Real clock, real random, effects from the environment, no memory limit, threads = cpus of the
 * cgroup. */
void weir_context_init(struct weir_context *context);
void weir_context_done(struct weir_context *context);

int64_t weir_now_ms(struct weir_context *context);
int64_t weir_steady_ms(struct weir_context *context);
void weir_sleep_ms(struct weir_context *context, int64_t duration_ms);
void weir_random_fill(struct weir_context *context, void *bytes, size_t size);
uint64_t weir_random_u64(struct weir_context *context);
/* Uniform in [0, bound), bound > 0. For jitter and ids, not for keys. */
uint64_t weir_random_below(struct weir_context *context, uint64_t bound);
/* "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" and a NUL. */
void weir_random_uuid(struct weir_context *context, char ret_text[37]);

/* OK, or STOPPED / INTERRUPTED / TIMEOUT when somebody asked to stop or the deadline passed. */
weir_status weir_context_check(struct weir_context *context,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same for the context that the arena's account names; OK without one. Cheap: loops over rows
 * and elements call it every thousand of them, or before each one that may take long. */
weir_status weir_arena_check(const struct weir_arena *arena,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* Bracket an outside effect (each put, delete, rename, commit, produce; reads are not effects):
 *     WEIR_TRY(weir_effect_before(context, "put", name, reterr));
 *     ... do it ...
 *     if (weir_effect_after(context)) -> treat the answer as lost: return UNKNOWN_OUTCOME
 * Both are called by one thread. `before` fails only by the test hook. Kinds: "put", "link",
 * "delete", "commit", "mirror", "upload", "lease". */
weir_status weir_effect_before(struct weir_context *context, const char *kind, const char *name,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
bool weir_effect_after(struct weir_context *context);

/* Runs task(argument, i) for i in [0, count) on up to context->thread_count threads, the caller
 * among them, and returns when all are done. Inline with thread_count 1. The first failing status
 * (lowest i) is returned with its error; the other tasks still run to their end. Tasks must not
 * touch shared state without their own order. */
typedef weir_status (*weir_task)(void *argument, size_t index, struct weir_error *reterr);
weir_status weir_parallel(struct weir_context *context, size_t count, weir_task task,
                          void *argument, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
