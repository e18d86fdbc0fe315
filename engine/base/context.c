/* The real clock, random source and effects, and parallel loops. */
#include "engine/base/context.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t real_wall_ms(void *self)
{
    return clock_ms(CLOCK_REALTIME);
}
static int64_t real_steady_ms(void *self)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static void real_sleep_ms(void *self, int64_t duration_ms)
{
    struct weir_context *context = self;
    int64_t until = clock_ms(CLOCK_MONOTONIC) + duration_ms;
    for (int64_t left = duration_ms; left > 0 && !atomic_load(&context->stop);
         left = until - clock_ms(CLOCK_MONOTONIC)) {
        int64_t step = left < 50 ? left : 50;
        struct timespec time = {step / 1000, step % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
}

static void real_random_fill(void *self, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    while (size) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* no entropy: nothing that follows could be trusted */
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

static int cgroup_cpus(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        long quota, period;
        if (fscanf(file, "%ld %ld", &quota, &period) == 2 && period > 0 && quota > 0) {
            int cpus = (int)((quota + period - 1) / period);
            count = cpus < count ? cpus : count;
        }
        fclose(file);
    }
    return count < 1 ? 1 : count;
}

static void effects_from_environment(struct weir_effects *effects)
{
    char mode[16];
    const char *kill_text = getenv("WEIR_TEST_KILL"), *trace = getenv("WEIR_TEST_EFFECTS");
    effects->trace_file = trace ? open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (kill_text && sscanf(kill_text, "%ld:%15[a-z]", &effects->kill_at, mode) == 2)
        effects->kill_mode = mode[0];
    else
        effects->kill_at = 0;
}

void weir_context_init(struct weir_context *context)
{
    *context = (struct weir_context){
        .clock = {real_wall_ms, real_steady_ms, real_sleep_ms, context},
        .random = {real_random_fill, NULL},
        .thread_count = cgroup_cpus(),
    };
    weir_account_init(&context->memory, NULL, "memory", 0);
    effects_from_environment(&context->effects);
}

void weir_context_done(struct weir_context *context)
{
    if (context && context->effects.trace_file >= 0) {
        close(context->effects.trace_file);
        context->effects.trace_file = -1;
    }
}

int64_t weir_now_ms(struct weir_context *context)
{
    return context->clock.wall_ms(context->clock.self);
}
int64_t weir_steady_ms(struct weir_context *context)
{
    return context->clock.steady_ms(context->clock.self);
}
void weir_sleep_ms(struct weir_context *context, int64_t duration_ms)
{
    context->clock.sleep_ms(context->clock.self, duration_ms);
}
void weir_random_fill(struct weir_context *context, void *bytes, size_t size)
{
    context->random.fill(context->random.self, bytes, size);
}

uint64_t weir_random_u64(struct weir_context *context)
{
    uint64_t value;
    weir_random_fill(context, &value, sizeof value);
    return value;
}

uint64_t weir_random_below(struct weir_context *context, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)weir_random_u64(context) * bound) >> 64);
}

void weir_random_uuid(struct weir_context *context, char ret_text[37])
{
    uint8_t b[16];
    weir_random_fill(context, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

weir_status weir_context_check(struct weir_context *context, struct weir_error *reterr)
{
    int stop = atomic_load(&context->stop);
    if (stop == SIGINT)
        return weir_fail(reterr, WEIR_INTERRUPTED,
                         "interrupted; what was committed stays, nothing else was");
    if (stop)
        return weir_fail(reterr, WEIR_STOPPED,
                         "asked to stop before the end; start again to go on");
    if (context->deadline_steady_ms && weir_steady_ms(context) >= context->deadline_steady_ms)
        return weir_fail(reterr, WEIR_TIMEOUT,
                         "the deadline passed before the end; start again to go on");
    return WEIR_OK;
}

weir_status weir_arena_check(const struct weir_arena *arena, struct weir_error *reterr)
{
    struct weir_context *context = arena->account ? arena->account->context : NULL;
    return context ? weir_context_check(context, reterr) : WEIR_OK;
}

static void die(void)
{
    raise(SIGKILL);
}

weir_status weir_effect_before(struct weir_context *context, const char *kind, const char *name,
                               struct weir_error *reterr)
{
    struct weir_effects *effects = &context->effects;
    long n = atomic_fetch_add(&effects->count, 1) + 1;
    if (effects->trace_file >= 0)
        dprintf(effects->trace_file, "%ld %s %s\n", n, kind, name);
    if (n == effects->kill_at && effects->kill_mode == 'b')
        die();
    if (n == effects->kill_at)
        atomic_store(&effects->armed, (uintptr_t)pthread_self());
    if (effects->hook) {
        weir_status status = effects->hook(effects->hook_self, kind, name);
        if (status != WEIR_OK)
            return weir_fail(reterr, status, "%s %s: failed by the test", kind, name);
    }
    return WEIR_OK;
}

bool weir_effect_after(struct weir_context *context)
{
    struct weir_effects *effects = &context->effects;
    uintptr_t self = (uintptr_t)pthread_self();
    if (effects->kill_at == 0 || !atomic_compare_exchange_strong(&effects->armed, &self, 0))
        return false;
    if (effects->kill_mode == 'a')
        die();
    return effects->kill_mode == 'l';
}

struct parallel {
    weir_task task;
    void *argument;
    size_t count;
    atomic_size_t next;
    pthread_mutex_t lock;
    size_t failed_at; /* lowest failing index */
    weir_status status;
    struct weir_error error;
};

static void *parallel_work(void *argument)
{
    struct parallel *parallel = argument;
    for (size_t i; (i = atomic_fetch_add(&parallel->next, 1)) < parallel->count;) {
        struct weir_error error = {0};
        weir_status status = parallel->task(parallel->argument, i, &error);
        if (status == WEIR_OK)
            continue;
        pthread_mutex_lock(&parallel->lock);
        if (i < parallel->failed_at) {
            parallel->failed_at = i;
            parallel->status = status;
            parallel->error = error;
        }
        pthread_mutex_unlock(&parallel->lock);
    }
    return NULL;
}

weir_status weir_parallel(struct weir_context *context, size_t count, weir_task task,
                          void *argument, struct weir_error *reterr)
{
    struct parallel parallel = {.task = task,
                                .argument = argument,
                                .count = count,
                                .failed_at = SIZE_MAX,
                                .status = WEIR_OK};
    pthread_t threads[64];
    int wanted = context->thread_count > 64 ? 64 : context->thread_count, started = 0;
    pthread_mutex_init(&parallel.lock, NULL);
    while (started + 1 < wanted && (size_t)started + 1 < count) {
        if (pthread_create(&threads[started], NULL, parallel_work, &parallel) != 0)
            break; /* fewer hands, the same work */
        started++;
    }
    parallel_work(&parallel);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&parallel.lock);
    if (parallel.status != WEIR_OK && reterr)
        *reterr = parallel.error;
    return parallel.status;
}
