/* Outcomes and their words: nothing is lost from the front, nothing written past the end. */
#include "engine/base/status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(status, every_outcome_has_a_name_a_text_and_an_exit_code)
{
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        cr_assert_gt(strlen(weir_status_name((weir_status)i)), 0);
        cr_assert_gt(strlen(weir_status_text((weir_status)i)), 0);
        cr_assert_eq(weir_status_exit_code((weir_status)i) == 0, i == WEIR_OK);
        cr_assert_eq(weir_status_class_of((weir_status)i) == WEIR_CLASS_ok, i == WEIR_OK);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(weir_status_name((weir_status)i), weir_status_name((weir_status)j));
    }
    cr_assert_str_eq(weir_status_name(WEIR_PRECONDITION), "PRECONDITION");
    cr_assert_eq(weir_status_exit_code(WEIR_UNAVAILABLE), 75);
    cr_assert_eq(weir_status_exit_code(WEIR_DECISION), 4);
    cr_assert_eq(weir_status_exit_code(WEIR_INTERRUPTED), 130);
    cr_assert_str_eq(weir_status_name((weir_status)9999), "INTERNAL");
    cr_assert_str_eq(weir_status_name((weir_status)-1), "INTERNAL");
}

/* What may work again the same way ends with 75, or by the user's own hand. */
Test(status, retries_have_their_exit_code)
{
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        int code = weir_status_exit_code((weir_status)i);
        cr_assert_eq(weir_status_class_of((weir_status)i) == WEIR_CLASS_retry,
                     code == 75 || code == 130, "%s", weir_status_name((weir_status)i));
    }
}

Test(status, an_error_may_be_null)
{
    cr_assert_eq(weir_fail(NULL, WEIR_IO, "%d", 1), WEIR_IO);
    weir_error_hint(NULL, "%d", 1);
    weir_error_prefix(NULL, "%d", 1);
}

Test(status, words_are_put_in_front)
{
    struct weir_error error = {0};
    cr_assert_eq(weir_fail(&error, WEIR_CORRUPT, "page at %d", 7), WEIR_CORRUPT);
    weir_error_hint(&error, "look at %s", "it");
    weir_error_prefix(&error, "file %s", "x");
    weir_error_prefix(&error, "table");
    cr_assert_str_eq(error.text, "table: file x: page at 7");
    cr_assert_str_eq(error.hint, "look at it");
    cr_assert_eq(error.status, WEIR_CORRUPT);
    cr_assert_eq(weir_fail(&error, WEIR_IO, "again"), WEIR_IO);
    cr_assert_str_eq(error.hint, "", "a new failure has no old hint");
}

Test(status, long_texts_are_cut_with_dots)
{
    struct weir_error error = {0};
    char canary[sizeof error.text];
    memset(canary, 'x', sizeof canary - 1);
    canary[sizeof canary - 1] = '\0';
    cr_assert_eq(weir_fail(&error, WEIR_IO, "%s", canary), WEIR_IO);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1, "fits exactly");
    cr_assert_eq(error.text[sizeof error.text - 2], 'x');
    cr_assert_eq(weir_fail(&error, WEIR_IO, "%s%s", canary, "y"), WEIR_IO);
    cr_assert_str_eq(error.text + strlen(error.text) - 4, "x...");
    weir_error_hint(&error, "%s", canary);
    cr_assert_eq(strlen(error.hint), sizeof error.hint - 1);
    cr_assert_str_eq(error.hint + strlen(error.hint) - 4, "x...");
}

/* Prefixes of every length before texts of every length: the front stays, the end is cut. */
Test(status, prefixes_never_pass_the_end)
{
    for (int text = 0; text < 1200; text += 61)
        for (int prefix = 0; prefix < 700; prefix += 23) {
            struct {
                struct weir_error error;
                char canary[16];
            } guarded = {.canary = "canary"};
            char expected[4096];
            cr_assert_eq(weir_fail(&guarded.error, WEIR_IO, "%0*d", text ? text : 1, 5), WEIR_IO);
            weir_error_prefix(&guarded.error, "%0*d", prefix ? prefix : 1, 3);
            cr_assert_str_eq(guarded.canary, "canary");
            size_t size = strlen(guarded.error.text);
            cr_assert_lt(size, sizeof guarded.error.text);
            snprintf(expected, sizeof expected, "%0*d: %0*d", prefix ? prefix : 1, 3,
                     text ? text : 1, 5);
            if (prefix < 512 && strlen(expected) < sizeof guarded.error.text)
                cr_assert_str_eq(guarded.error.text, expected);
            else
                cr_assert(strstr(guarded.error.text, "..."), "%d and %d: cut without a sign", text,
                          prefix);
        }
}
