/* weir query: statements from the command line, a file, standard input or a prompt. */
#include "tools/weir/query.h"

#include "engine/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct session {
    struct cli *cli;
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    struct weir_query_session *session;
    bool lake_open;
    struct weir_arena arena; /* the views' names */
};

static void session_close(struct session *session)
{
    weir_query_session_free(session->session);
    weir_arena_done(&session->arena);
    if (session->lake_open)
        weir_lake_close(&session->lake);
    weir_pipeline_free(session->pipeline);
}

/* ---- progress: on a terminal, from the first half second on ---- */

static void show_progress(void *self, double share)
{
    struct cli *cli = self;
    int64_t spent = weir_steady_ms(cli->context) - cli->statement_start_ms;
    char bar[31];
    if (spent < 500)
        return;
    for (int i = 0; i < 30; i++)
        bar[i] = i < (int)(share * 30) ? '=' : ' ';
    bar[30] = 0;
    cli->bar_shown = true;
    fprintf(stderr, "\r[%s] %3.0f%%  %.0f s left ", bar, share * 100,
            share > 0.01 ? (double)spent / share * (1 - share) / 1000 : 0.0);
}

static void clear_progress(struct cli *cli)
{
    if (cli->bar_shown)
        fprintf(stderr, "\r%60s\r", "");
    cli->bar_shown = false;
}

static weir_status name_views(struct session *session, struct weir_error *reterr)
{
    struct weir_query_name *names;
    size_t count;
    WEIR_TRY(weir_models_views(session->pipeline, &session->arena, &names, &count, reterr));
    weir_query_names_set(session->session, names, count);
    return WEIR_OK;
}

/* Without a pipeline file there are only files; that is fine as long as none is asked for. */
static weir_status session_open(struct cli *cli, struct session *session, struct weir_error *reterr)
{
    struct weir_query_options options = {.context = cli->context};
    const char *folder = getenv("TMPDIR");
    char spill[1024];
    session->cli = cli;
    if (cli->file_count || access("weir.yaml", R_OK) == 0) {
        WEIR_TRY(cli_pipeline(cli, &session->pipeline, reterr));
        WEIR_TRY(weir_lake_open(cli->context, session->pipeline, /* for_writing= */ false,
                                &session->lake, reterr));
        session->lake_open = true;
        options.catalog = &session->lake.catalog;
        options.store = &session->lake.store;
        options.memory_limit = session->pipeline->memory_limit;
        options.spill_limit = session->pipeline->spill_limit;
        options.spill_folder = session->pipeline->spill_dir;
        if (session->pipeline->threads)
            cli->context->thread_count = session->pipeline->threads;
    }
    if (cli->memory_limit)
        options.memory_limit = cli->memory_limit;
    if (cli->threads)
        cli->context->thread_count = cli->threads;
    if (!options.spill_folder) {
        snprintf(spill, sizeof spill, "%s/weir-spill", folder && *folder ? folder : "/tmp");
        options.spill_folder = spill;
    }
    const char *force = getenv("WEIR_TEST_VECTORS"), *rows = getenv("WEIR_TEST_BATCH_ROWS");
    options.force = force && strcmp(force, "constant") == 0     ? WEIR_CONSTANT
                    : force && strcmp(force, "dictionary") == 0 ? WEIR_DICTIONARY
                                                                : WEIR_FLAT;
    options.batch_rows = rows ? (uint32_t)atoi(rows) : 0;
    if (!cli->quiet && isatty(STDERR_FILENO)) {
        options.progress = show_progress;
        options.progress_self = cli;
    }
    options.unoptimized = getenv("WEIR_TEST_UNOPTIMIZED") != NULL;
    WEIR_TRY(weir_query_session_new(&options, &session->session, reterr));
    return session->pipeline ? name_views(session, reterr) : WEIR_OK;
}

/* ---- statements ---- */

weir_status query_statement(struct cli *cli, struct weir_query_session *session, const char *text,
                            struct weir_error *reterr)
{
    struct weir_query_statistics statistics = {0};
    WEIR_AUTO(weir_buffer) excerpt = {.account = &cli->context->memory};
    struct query_printer *printer;
    int64_t start = weir_steady_ms(cli->context);
    cli->statement_start_ms = start;
    WEIR_TRY(query_printer_new(cli, &printer, reterr));
    struct weir_query_result result = {query_printer_begin, query_printer_batch, printer};
    weir_status status = weir_query_run(session, text, &result, &statistics, &excerpt, reterr);
    clear_progress(cli);
    if (status == WEIR_NO_MEMORY)
        weir_error_hint(reterr, "give it more by --memory-limit or run.memory_limit; it spills to "
                                "files, but some parts must fit");
    if (status == WEIR_OK)
        status = query_printer_finish(printer, reterr);
    query_printer_free(printer);
    if (status != WEIR_OK && excerpt.size)
        fprintf(stderr, "%.*s", (int)excerpt.size, (const char *)excerpt.data);
    if (status == WEIR_OK && !cli->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "%llu row%s, %.3f s\n", (unsigned long long)statistics.rows,
                statistics.rows == 1 ? "" : "s",
                (double)(weir_steady_ms(cli->context) - start) / 1000);
    return status;
}

/* Every statement of a text, in order; the first that fails ends it. */
static weir_status script(struct cli *cli, struct weir_query_session *session, char *text,
                          struct weir_error *reterr)
{
    size_t left = strlen(text), size;
    while ((size = weir_sql_statement_size(text, left))) {
        char *statement = strndup(text, text[size - 1] == ';' ? size - 1 : size);
        weir_status status = statement ? query_statement(cli, session, statement, reterr)
                                       : weir_fail(reterr, WEIR_NO_MEMORY, "out of memory");
        free(statement);
        WEIR_TRY(status);
        text += size;
        left -= size;
    }
    return WEIR_OK;
}

static weir_status read_all(struct cli *cli, FILE *file, const char *name, char **ret_text,
                            struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &cli->context->memory};
    char piece[65536];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0) {
        WEIR_TRY(weir_buffer_append(&text, piece, size, reterr));
        if (text.size > (64u << 20))
            return weir_fail(reterr, WEIR_USAGE, "%s: more than 64 MiB of SQL", name);
    }
    if (ferror(file))
        return weir_fail(reterr, WEIR_IO, "%s: cannot be read", name);
    *ret_text = strndup(text.size ? (const char *)text.data : "", text.size);
    return *ret_text ? WEIR_OK : weir_fail(reterr, WEIR_NO_MEMORY, "out of memory");
}

static weir_status from_file(struct cli *cli, struct weir_query_session *session, const char *name,
                             struct weir_error *reterr)
{
    char *text = NULL;
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "r");
    if (!file)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s", name, strerror(errno));
    weir_status status = read_all(cli, file, name, &text, reterr);
    if (!standard)
        fclose(file);
    if (status == WEIR_OK)
        status = script(cli, session, text, reterr);
    free(text);
    return status;
}

weir_status verb_query(struct cli *cli, struct weir_error *reterr)
{
    struct session session = {0};
    if (cli->argument_count > 1)
        return weir_fail(reterr, WEIR_USAGE, "weir query takes one text of SQL: put it in quotes");
    if (cli->argument_count && cli->sql_file)
        return weir_fail(reterr, WEIR_USAGE, "give SQL or a file of it, not both");
    weir_arena_init(&session.arena, &cli->context->memory);
    weir_status status = session_open(cli, &session, reterr);
    if (status == WEIR_OK) {
        if (cli->sql_file) {
            status = from_file(cli, session.session, cli->sql_file, reterr);
        } else if (cli->argument_count) {
            char *text = strdup(cli->arguments[0]);
            status = script(cli, session.session, text, reterr);
            free(text);
        } else if (!isatty(STDIN_FILENO)) {
            status = from_file(cli, session.session, "-", reterr);
        } else {
            status = query_prompt(cli, session.session, reterr);
        }
    }
    session_close(&session);
    return cli->reader_left ? WEIR_OK : status;
}
