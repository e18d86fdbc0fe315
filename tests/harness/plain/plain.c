/* Runs the tests of a program, each in a process of its own, and tells in TAP. */
#include "criterion/criterion.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN_FAILED = 1, PLAIN_SKIPPED = 77 };

static struct plain_suite *suites;
static struct plain_test *tests, **last = &tests;
static bool failed;

void plain_add_suite(struct plain_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

void plain_add_test(struct plain_test *test)
{
    *last = test;
    last = &test->next;
}

void plain_failed(bool fatal, const char *file, int line, const char *text, const char *format, ...)
{
    va_list arguments;
    printf("  # %s:%d: %s:", file, line, text);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    failed = true;
    if (fatal)
        _exit(PLAIN_FAILED);
}

void plain_skipped(void)
{
    fflush(stdout);
    _exit(PLAIN_SKIPPED);
}

static const struct plain_suite *suite_of(const struct plain_test *test)
{
    const struct plain_suite *suite = suites;
    while (suite && strcmp(suite->suite, test->suite) != 0)
        suite = suite->next;
    return suite;
}

/* In the child. Never returns: what a test leaves behind ends with its process. */
__attribute__((noreturn)) static void run(const struct plain_test *test)
{
    const struct plain_suite *suite = suite_of(test);
    double seconds = test->timeout > 0 ? test->timeout : suite ? suite->timeout : 0;
    const char *slower = getenv("WEIR_TEST_SLOWER"); /* a factor: emulated machines are slow */
    if (seconds > 0)
        alarm((unsigned)(seconds * (slower ? strtod(slower, NULL) : 1)) + 1);
    if (suite && suite->init)
        suite->init();
    if (test->init)
        test->init();
    test->run();
    if (test->fini)
        test->fini();
    if (suite && suite->fini)
        suite->fini();
    exit(failed ? PLAIN_FAILED : 0); /* not _exit: sanitizers look for leaks at the end */
}

int main(void)
{
    int number = 0, status, bad = 0;
    for (const struct plain_test *test = tests; test; test = test->next)
        number++;
    printf("TAP version 13\n1..%d\n", number);
    number = 0;
    for (const struct plain_test *test = tests; test; test = test->next) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            run(test);
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 2;
        bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == PLAIN_SKIPPED,
             good = skipped || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (WIFSIGNALED(status))
            printf("  # %s::%s: killed by signal %d\n", test->suite, test->name, WTERMSIG(status));
        printf("%s - %s::%s%s\n", good ? "ok" : "not ok", test->suite, test->name,
               skipped ? " # SKIP" : "");
        bad += !good;
        number++;
    }
    return bad != 0;
}
