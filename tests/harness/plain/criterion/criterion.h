/* What Weir's tests use of Criterion, for places where Criterion does not start: under qemu-user,
 * under ThreadSanitizer. Each test is run in a process of its own, one after another; the output is
 * TAP, as with `--tap`. Same names, so that the tests are the same text.
 *
 * Not a replacement: no parallel tests, no parameters, no theories. */
#ifndef WEIR_TESTS_HARNESS_PLAIN_CRITERION_H
#define WEIR_TESTS_HARNESS_PLAIN_CRITERION_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_suite {
    const char *suite;
    void (*init)(void), (*fini)(void);
    double timeout; /* seconds; 0 = none */
    struct plain_suite *next;
};

struct plain_test {
    const char *suite, *name;
    void (*run)(void);
    void (*init)(void), (*fini)(void);
    double timeout;
    struct plain_test *next;
};

/* Called before main; the structs are static. */
void plain_add_suite(struct plain_suite *suite);
void plain_add_test(struct plain_test *test);
/* A check that does not hold: told, and with `fatal` the test ends there. */
__attribute__((format(printf, 5, 6))) void plain_failed(bool fatal, const char *file, int line,
                                                        const char *text, const char *format, ...);
__attribute__((noreturn)) void plain_skipped(void);

#define TestSuite(Suite, ...)                                                                      \
    static struct plain_suite plain_suite_##Suite = {.suite = #Suite, ##__VA_ARGS__};              \
    __attribute__((constructor)) static void plain_suite_add_##Suite(void)                         \
    {                                                                                              \
        plain_add_suite(&plain_suite_##Suite);                                                     \
    }                                                                                              \
    struct plain_suite

#define Test(Suite, Name, ...)                                                                     \
    static void plain_run_##Suite##_##Name(void);                                                  \
    static struct plain_test plain_test_##Suite##_##Name = {                                       \
        .suite = #Suite, .name = #Name, .run = plain_run_##Suite##_##Name, ##__VA_ARGS__};         \
    __attribute__((constructor)) static void plain_add_##Suite##_##Name(void)                      \
    {                                                                                              \
        plain_add_test(&plain_test_##Suite##_##Name);                                              \
    }                                                                                              \
    static void plain_run_##Suite##_##Name(void)

#define plain_check(fatal, condition, text, ...)                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            plain_failed(fatal, __FILE__, __LINE__, text, " " __VA_ARGS__);                        \
    } while (0)

#define cr_assert(a, ...)          plain_check(true, (a), #a, __VA_ARGS__)
#define cr_expect(a, ...)          plain_check(false, (a), #a, __VA_ARGS__)
#define cr_assert_not(a, ...)      plain_check(true, !(a), "not " #a, __VA_ARGS__)
#define cr_expect_not(a, ...)      plain_check(false, !(a), "not " #a, __VA_ARGS__)
#define cr_assert_fail(...)        plain_check(true, false, "reached", __VA_ARGS__)
#define cr_skip(...)               plain_skipped()
#define cr_assert_null(a, ...)     plain_check(true, (a) == NULL, #a " is null", __VA_ARGS__)
#define cr_expect_null(a, ...)     plain_check(false, (a) == NULL, #a " is null", __VA_ARGS__)
#define cr_assert_not_null(a, ...) plain_check(true, (a) != NULL, #a " is not null", __VA_ARGS__)
#define cr_expect_not_null(a, ...) plain_check(false, (a) != NULL, #a " is not null", __VA_ARGS__)

#define plain_compare(fatal, a, op, b, ...)                                                        \
    plain_check(fatal, (a)op(b), #a " " #op " " #b, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)  plain_compare(true, a, ==, b, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)  plain_compare(false, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) plain_compare(true, a, !=, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) plain_compare(false, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  plain_compare(true, a, <, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)  plain_compare(false, a, <, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  plain_compare(true, a, >, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)  plain_compare(false, a, >, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) plain_compare(true, a, <=, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) plain_compare(false, a, <=, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) plain_compare(true, a, >=, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) plain_compare(false, a, >=, b, __VA_ARGS__)

#define plain_texts(fatal, a, op, b, ...)                                                          \
    plain_check(fatal, strcmp((a), (b)) op 0, #a " " #op " " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)  plain_texts(true, a, ==, b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)  plain_texts(false, a, ==, b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) plain_texts(true, a, !=, b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) plain_texts(false, a, !=, b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)  plain_texts(true, a, ==, "", __VA_ARGS__)
#define cr_expect_str_empty(a, ...)  plain_texts(false, a, ==, "", __VA_ARGS__)

#define plain_bytes(fatal, a, b, size, ...)                                                        \
    plain_check(fatal, memcmp((a), (b), (size)) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) plain_bytes(true, a, b, size, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) plain_bytes(false, a, b, size, __VA_ARGS__)

#define plain_near(fatal, a, b, most, ...)                                                         \
    plain_check(fatal, fabs((double)(a) - (double)(b)) <= (most), #a " == " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, most, ...) plain_near(true, a, b, most, __VA_ARGS__)
#define cr_expect_float_eq(a, b, most, ...) plain_near(false, a, b, most, __VA_ARGS__)

#endif
