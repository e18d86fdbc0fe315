/* Clocks, randomness, effects and parallel loops. */
#include "engine/base/context.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct weir_context context;

static void set_up(void)
{
    unsetenv("WEIR_TEST_KILL");
    unsetenv("WEIR_TEST_EFFECTS");
    weir_context_init(&context);
}

static void tear_down(void)
{
    weir_context_done(&context);
    weir_context_done(&context);
}

TestSuite(context, .init = set_up, .fini = tear_down);

Test(context, the_real_clock_goes_forward)
{
    int64_t wall = weir_now_ms(&context), steady = weir_steady_ms(&context);
    cr_assert_gt(wall, 1700000000000);
    weir_sleep_ms(&context, 12);
    cr_assert_geq(weir_steady_ms(&context), steady + 12);
    weir_sleep_ms(&context, 0);
    weir_sleep_ms(&context, -5);
    cr_assert_geq(context.thread_count, 1);
}

Test(context, sleep_ends_early_when_asked_to_stop)
{
    int64_t steady = weir_steady_ms(&context);
    atomic_store(&context.stop, SIGTERM);
    weir_sleep_ms(&context, 60000);
    cr_assert_lt(weir_steady_ms(&context), steady + 5000);
}

static int64_t fake_now;
static int64_t fake_ms(void *self)
{
    return fake_now;
}

Test(context, check_tells_who_asked)
{
    struct weir_error error;
    cr_assert_eq(weir_context_check(&context, &error), WEIR_OK);
    context.clock.steady_ms = fake_ms;
    context.deadline_steady_ms = 100;
    fake_now = 99;
    cr_assert_eq(weir_context_check(&context, &error), WEIR_OK);
    fake_now = 100;
    cr_assert_eq(weir_context_check(&context, &error), WEIR_TIMEOUT);
    atomic_store(&context.stop, SIGTERM);
    cr_assert_eq(weir_context_check(&context, &error), WEIR_STOPPED);
    atomic_store(&context.stop, SIGINT);
    cr_assert_eq(weir_context_check(&context, &error), WEIR_INTERRUPTED);
    cr_assert_eq(weir_context_check(&context, NULL), WEIR_INTERRUPTED);
    struct weir_account account, below;
    struct weir_arena arena;
    weir_account_init(&account, &context.memory, "asked", 0);
    weir_arena_init(&arena, &account);
    cr_assert_eq(weir_arena_check(&arena, NULL), WEIR_OK); /* an account that asks nobody */
    account.context = &context;
    cr_assert_eq(weir_arena_check(&arena, NULL), WEIR_INTERRUPTED);
    weir_account_init(&below, &account, "below", 0);
    weir_arena_init(&arena, &below);
    cr_assert_eq(weir_arena_check(&arena, &error), WEIR_INTERRUPTED);
}

Test(context, uuids_are_version_4_and_differ)
{
    char one[37], two[37];
    weir_random_uuid(&context, one);
    weir_random_uuid(&context, two);
    cr_assert_str_neq(one, two);
    for (int i = 0; i < 50; i++) {
        weir_random_uuid(&context, one);
        cr_assert_eq(strlen(one), 36);
        cr_assert_eq(strspn(one, "0123456789abcdef-"), 36);
        cr_assert(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
        cr_assert_eq(one[14], '4');
        cr_assert(strchr("89ab", one[19]), "%s", one);
    }
}

static void all_ones(void *self, void *bytes, size_t size)
{
    memset(bytes, 0xff, size);
}

Test(context, random_below_stays_below_and_reaches_everything)
{
    int counts[5] = {0};
    for (int i = 0; i < 5000; i++) {
        uint64_t value = weir_random_below(&context, 5);
        cr_assert_lt(value, 5);
        counts[value]++;
    }
    for (int i = 0; i < 5; i++)
        cr_assert_gt(counts[i], 500);
    cr_assert_eq(weir_random_below(&context, 1), 0);
    context.random.fill = all_ones;
    cr_assert_eq(weir_random_below(&context, 7), 6);
    cr_assert_eq(weir_random_below(&context, UINT64_MAX), UINT64_MAX - 1);
}

/* ---- effects -------------------------------------------------------------------------------- */

static bool effect(struct weir_context *of, const char *name)
{
    cr_assert_eq(weir_effect_before(of, "put", name, NULL), WEIR_OK);
    return weir_effect_after(of);
}

Test(context, the_answer_of_one_effect_is_lost)
{
    setenv("WEIR_TEST_KILL", "3:lost", 1);
    struct weir_context killed;
    weir_context_init(&killed);
    for (int i = 1; i <= 6; i++)
        cr_assert_eq(effect(&killed, "x"), i == 3, "effect %d", i);
    weir_context_done(&killed);
}

static void *others_effect(void *argument)
{
    for (int i = 0; i < 100; i++)
        if (effect(argument, "other"))
            return argument;
    return NULL;
}

/* Another thread's effect between the two calls does not take the mark. */
Test(context, the_mark_belongs_to_the_thread_inside_the_effect)
{
    struct weir_context killed;
    pthread_t thread;
    void *taken;
    setenv("WEIR_TEST_KILL", "1:lost", 1);
    weir_context_init(&killed);
    cr_assert_eq(weir_effect_before(&killed, "put", "mine", NULL), WEIR_OK);
    cr_assert_eq(pthread_create(&thread, NULL, others_effect, &killed), 0);
    pthread_join(thread, &taken);
    cr_assert_null(taken);
    cr_assert(weir_effect_after(&killed));
    weir_context_done(&killed);
}

static int signal_of(const char *how)
{
    pid_t child = fork();
    if (child == 0) {
        struct weir_context killed;
        setenv("WEIR_TEST_KILL", how, 1);
        weir_context_init(&killed);
        for (int i = 0; i < 5; i++)
            if (weir_effect_before(&killed, "put", "x", NULL) != WEIR_OK ||
                weir_effect_after(&killed))
                _exit(9);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

Test(context, a_process_dies_before_or_after_an_effect)
{
    cr_assert_eq(signal_of("2:before"), SIGKILL);
    cr_assert_eq(signal_of("2:after"), SIGKILL);
    cr_assert_eq(signal_of("2:lost"), -9);
    cr_assert_eq(signal_of("6:before"), 0, "there were only five");
    cr_assert_eq(signal_of("nonsense"), 0);
}

static weir_status refuse(void *self, const char *kind, const char *name)
{
    *(int *)self += 1;
    return strcmp(name, "bad") == 0 ? WEIR_NO_SPACE : WEIR_OK;
}

Test(context, a_hook_fails_an_effect_before_it_happens)
{
    int calls = 0;
    struct weir_error error = {0};
    context.effects.hook = refuse;
    context.effects.hook_self = &calls;
    cr_assert_eq(weir_effect_before(&context, "put", "good", &error), WEIR_OK);
    cr_assert_not(weir_effect_after(&context));
    cr_assert_eq(weir_effect_before(&context, "put", "bad", &error), WEIR_NO_SPACE);
    cr_assert(strstr(error.text, "put bad"), "%s", error.text);
    cr_assert_eq(calls, 2);
}

Test(context, effects_are_written_down)
{
    char path[] = "/tmp/weir-effects-XXXXXX", text[200] = "";
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    setenv("WEIR_TEST_EFFECTS", path, 1);
    struct weir_context traced;
    weir_context_init(&traced);
    effect(&traced, "a");
    effect(&traced, "b");
    weir_context_done(&traced);
    cr_assert_gt(read(file, text, sizeof text - 1), 0);
    cr_assert_str_eq(text, "1 put a\n2 put b\n");
    close(file);
    unlink(path);
}

/* ---- parallel ------------------------------------------------------------------------------- */

struct tally {
    atomic_int runs[1000];
    size_t fails_from; /* these and every third after them */
};

static weir_status count_task(void *argument, size_t index, struct weir_error *reterr)
{
    struct tally *tally = argument;
    atomic_fetch_add(&tally->runs[index], 1);
    if (index >= tally->fails_from && (index - tally->fails_from) % 3 == 0)
        return weir_fail(reterr, index % 2 ? WEIR_IO : WEIR_CORRUPT, "task %zu", index);
    return WEIR_OK;
}

Test(context, each_task_runs_once_on_any_number_of_threads)
{
    static const int threads[] = {1, 2, 7, 200};
    for (size_t t = 0; t < 4; t++)
        for (size_t count = 0; count <= 1000; count += 250) {
            struct tally *tally = calloc(1, sizeof *tally);
            tally->fails_from = SIZE_MAX;
            context.thread_count = threads[t];
            cr_assert_eq(weir_parallel(&context, count, count_task, tally, NULL), WEIR_OK);
            for (size_t i = 0; i < 1000; i++)
                cr_assert_eq(atomic_load(&tally->runs[i]), i < count);
            free(tally);
        }
}

Test(context, the_lowest_failure_is_told_and_the_others_still_run)
{
    for (int threads = 1; threads <= 4; threads++) {
        struct tally *tally = calloc(1, sizeof *tally);
        struct weir_error error = {0};
        tally->fails_from = 401;
        context.thread_count = threads;
        cr_assert_eq(weir_parallel(&context, 1000, count_task, tally, &error), WEIR_IO);
        cr_assert_str_eq(error.text, "task 401");
        cr_assert_eq(weir_parallel(&context, 1000, count_task, tally, NULL), WEIR_IO);
        for (size_t i = 0; i < 1000; i++)
            cr_assert_eq(atomic_load(&tally->runs[i]), 2);
        free(tally);
    }
}
