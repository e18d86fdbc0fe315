/* Many statements in one process, for tests that compare Weir with other engines: reads one
 * statement a line, and answers each on its own, whatever became of those before.
 *
 *     many [--threads N] [--memory BYTES] [--spill FOLDER]
 *
 * An answer: `:` and the type of the result, its rows as JSON objects a line, and `=OK`; or
 * `=STATUS text`. Tests force forms of vectors by the variables that `weir query` knows. */
#include "formats/json/json.h"
#include "scheduler/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    struct weir_buffer out;
    const struct weir_type *type; /* with the names the statement gives */
};

static weir_status begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    struct answer *answer = self;
    answer->type = type;
    WEIR_TRY(weir_buffer_append(&answer->out, ":", 1, reterr));
    WEIR_TRY(weir_type_print(type, &answer->out, reterr));
    return weir_buffer_append(&answer->out, "\n", 1, reterr);
}

static weir_status batch(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    struct answer *answer = self;
    struct weir_batch named = *batch;
    named.type = answer->type;
    return weir_json_write_rows(&named, &answer->out, reterr);
}

static void one_line(char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            *text = ' ';
}

static void run(struct weir_query_session *session, struct answer *answer, const char *statement)
{
    struct weir_query_result result = {begin, batch, answer};
    struct weir_query_statistics statistics;
    struct weir_error error = {0};
    weir_buffer_clear(&answer->out);
    weir_status status = weir_query_run(session, statement, &result, &statistics, NULL, &error);
    one_line(error.text);
    if (status == WEIR_OK)
        fwrite(answer->out.data, 1, answer->out.size, stdout);
    printf("=%s %s\n", weir_status_name(status), status == WEIR_OK ? "" : error.text);
    fflush(stdout);
}

static int parse(int argc, char **argv, struct weir_query_options *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0)
            options->context->thread_count = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--memory") == 0)
            options->memory_limit = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--spill") == 0)
            options->spill_folder = argv[i + 1];
        else
            return 2;
    }
    const char *force = getenv("WEIR_TEST_VECTORS"), *rows = getenv("WEIR_TEST_BATCH_ROWS");
    options->force = force && strcmp(force, "constant") == 0     ? WEIR_CONSTANT
                     : force && strcmp(force, "dictionary") == 0 ? WEIR_DICTIONARY
                                                                 : WEIR_FLAT;
    options->batch_rows = rows ? (uint32_t)atoi(rows) : 0;
    options->unoptimized = getenv("WEIR_TEST_UNOPTIMIZED") != NULL;
    return argc % 2 ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct weir_context context;
    struct weir_error error = {0};
    struct weir_query_options options = {.context = &context};
    struct weir_query_session *session = NULL;
    struct answer answer;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    weir_context_init(&context);
    int code = parse(argc, argv, &options);
    weir_status status = code ? WEIR_USAGE : weir_query_session_new(&options, &session, &error);
    if (status != WEIR_OK)
        fprintf(stderr, "many: %s\n", error.text);
    weir_buffer_init(&answer.out, &context.memory);
    while (status == WEIR_OK && (size = getline(&line, &capacity, stdin)) > 0) {
        line[size - 1] = line[size - 1] == '\n' ? 0 : line[size - 1];
        run(session, &answer, line);
    }
    free(line);
    weir_buffer_done(&answer.out);
    weir_query_session_free(session);
    weir_context_done(&context);
    return weir_status_exit_code(status);
}
