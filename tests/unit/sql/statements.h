/* Runs a statement whole and compares its rows, or its error. */
#ifndef WEIR_TESTS_UNIT_SQL_STATEMENTS_H
#define WEIR_TESTS_UNIT_SQL_STATEMENTS_H

#include "formats/json/json.h"
#include "scheduler/query/query.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static weir_status begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static weir_status batch(void *self, const struct weir_batch *rows, struct weir_error *reterr)
{
    return weir_json_write_rows(rows, self, reterr);
}

/* The rows as JSON lines, or the error's text; nothing is kept, whichever it is. */
static void run(const char *text, bool unoptimized, char *ret_answer, size_t size)
{
    struct weir_context context;
    struct weir_query_session *session;
    struct weir_error error = {0};
    weir_context_init(&context);
    context.thread_count = 1;
    struct weir_query_options options = {.context = &context, .unoptimized = unoptimized};
    struct weir_buffer out = {.account = &context.memory};
    struct weir_query_result result = {begin, batch, &out};
    cr_assert_eq(weir_query_session_new(&options, &session, &error), WEIR_OK, "%s", error.text);
    weir_status status = weir_query_run(session, text, &result, NULL, NULL, &error);
    if (status == WEIR_OK)
        snprintf(ret_answer, size, "%.*s", (int)out.size, out.data ? (const char *)out.data : "");
    else
        snprintf(ret_answer, size, "%s: %s", weir_status_name(status), error.text);
    weir_buffer_done(&out);
    weir_query_session_free(session);
    cr_expect_eq(context.memory.used, 0, "%s: %zu bytes were kept", text,
                 (size_t)context.memory.used);
    weir_context_done(&context);
}

static void answers(const char *text, const char *want)
{
    char got[4000];
    for (int unoptimized = 0; unoptimized < 2; unoptimized++) {
        run(text, unoptimized, got, sizeof got);
        cr_expect_str_eq(got, want, "%s%s\ngot  %s\nwant %s", unoptimized ? "unoptimized: " : "",
                         text, got, want);
    }
}

static void refused(const char *text, const char *part)
{
    char got[4000];
    run(text, false, got, sizeof got);
    cr_expect(strstr(got, part) != NULL, "%s\ngot  %s\nwant %s", text, got, part);
}

#endif
