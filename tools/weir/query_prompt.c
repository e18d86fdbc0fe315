/* The prompt of `weir query`: lines until a semicolon, history, completion of names. */
#include "tools/weir/query.h"

#include <ctype.h>
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static const char *const words[] = {"select",
                                    "from",
                                    "where",
                                    "group by",
                                    "order by",
                                    "having",
                                    "limit",
                                    "offset",
                                    "join",
                                    "left",
                                    "right",
                                    "full",
                                    "inner",
                                    "cross",
                                    "on",
                                    "using",
                                    "union",
                                    "all",
                                    "except",
                                    "intersect",
                                    "distinct",
                                    "case",
                                    "when",
                                    "then",
                                    "else",
                                    "end",
                                    "and",
                                    "or",
                                    "not",
                                    "in",
                                    "exists",
                                    "between",
                                    "like",
                                    "ilike",
                                    "is null",
                                    "over",
                                    "partition by",
                                    "rows",
                                    "range",
                                    "explain analyze",
                                    "with",
                                    "values",
                                    "date",
                                    "interval",
                                    "timestamp",
                                    "cast",
                                    "as",
                                    "desc",
                                    "nulls last",
                                    "for version as of",
                                    "for timestamp as of"};
#define WORD_COUNT (sizeof words / sizeof *words)

struct prompt {
    struct cli *cli;
    struct weir_query_session *session;
    struct weir_buffer text; /* the statement so far, a NUL behind */
    struct weir_arena arena;
    const char **names;
    size_t name_count;
    bool interrupted;
};

static char *first_prompt(EditLine *line)
{
    static char text[] = "weir> ";
    (void)line;
    return text;
}
static char *next_prompt(EditLine *line)
{
    static char text[] = "  ... ";
    (void)line;
    return text;
}

static void history_path(char *path, size_t size)
{
    const char *home = getenv("HOME");
    snprintf(path, size, "%s/.weir_history", home ? home : ".");
}

/* ---- completion ---- */

struct matches {
    const char *typed;
    size_t size;
    char common[256]; /* what all of them begin with */
    size_t count;
};

static void match(struct matches *matches, const char *name)
{
    if (strncasecmp(name, matches->typed, matches->size) != 0 || !isalpha((unsigned char)*name))
        return;
    if (matches->count++ == 0) {
        snprintf(matches->common, sizeof matches->common, "%s", name);
        return;
    }
    size_t same = 0;
    while (matches->common[same] &&
           tolower((unsigned char)matches->common[same]) == tolower((unsigned char)name[same]))
        same++;
    matches->common[same] = 0;
}

static weir_status match_columns(void *self, const struct weir_type *type,
                                 struct weir_error *reterr)
{
    (void)reterr;
    for (uint32_t i = 0; i < type->child_count; i++)
        match(self, type->children[i].name);
    return WEIR_OK;
}
static weir_status no_rows(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    (void)self;
    (void)batch;
    (void)reterr;
    return WEIR_OK;
}

static bool is_name(int c)
{
    return isalnum(c) || c == '_' || c == '.';
}

static bool mentions(const char *text, size_t size, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i + length <= size; i++)
        if (strncasecmp(text + i, name, length) == 0 &&
            (i == 0 || !is_name((unsigned char)text[i - 1])) &&
            (i + length == size || !is_name((unsigned char)text[i + length])))
            return true;
    return false;
}

/* Columns of the tables that the statement names so far; a table that cannot be read has none. */
static void match_tables(struct prompt *prompt, const LineInfo *info, struct matches *matches)
{
    const struct weir_query_result result = {match_columns, no_rows, matches};
    for (size_t i = 0; i < prompt->name_count; i++) {
        struct weir_query_statistics statistics;
        const char *name = prompt->names[i];
        char statement[600];
        if (!strchr(name, '.') ||
            (!mentions(info->buffer, (size_t)(info->lastchar - info->buffer), name) &&
             !mentions((const char *)prompt->text.data, prompt->text.size, name)))
            continue;
        snprintf(statement, sizeof statement, "SELECT * FROM %s LIMIT 0", name);
        (void)!weir_query_run(prompt->session, statement, &result, &statistics, NULL, NULL);
    }
}

static unsigned char complete(EditLine *line, int key)
{
    struct prompt *prompt;
    const LineInfo *info = el_line(line);
    const char *start = info->cursor;
    (void)key;
    el_get(line, EL_CLIENTDATA, &prompt);
    while (start > info->buffer && (isalnum((unsigned char)start[-1]) || strchr("_.", start[-1])))
        start--;
    struct matches matches = {.typed = start, .size = (size_t)(info->cursor - start)};
    for (size_t i = 0; i < prompt->name_count; i++)
        match(&matches, prompt->names[i]);
    for (size_t i = 0; i < WORD_COUNT && !memchr(start, '.', matches.size); i++)
        match(&matches, words[i]);
    const char *dot = matches.count ? NULL : memrchr(start, '.', matches.size);
    if (dot) { /* behind a table's name or alias there are columns */
        matches.typed = dot + 1;
        matches.size = (size_t)(info->cursor - dot - 1);
    }
    match_tables(prompt, info, &matches);
    if (matches.count == 0 || strlen(matches.common) <= matches.size)
        return CC_REFRESH_BEEP;
    el_insertstr(line, matches.common + matches.size);
    if (matches.count == 1)
        el_insertstr(line, " ");
    return CC_REFRESH;
}

/* ---- keys ---- */

/* Ctrl-C ends the line: libedit by itself would read on. */
static int read_key(EditLine *line, wchar_t *ret_key)
{
    struct prompt *prompt;
    char bytes[8];
    size_t count = 0;
    el_get(line, EL_CLIENTDATA, &prompt);
    while (count < 4) {
        mbstate_t state = {0};
        ssize_t got = read(STDIN_FILENO, bytes + count, 1);
        if (got < 0 && errno == EINTR && atomic_load(&prompt->cli->context->stop) == SIGINT) {
            prompt->interrupted = true;
            return -1;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        size_t used = mbrtowc(ret_key, bytes, ++count, &state);
        if (used != (size_t)-2 && used != (size_t)-1)
            return 1;
        if (used == (size_t)-1)
            break;
    }
    *ret_key = (unsigned char)*bytes;
    return 1;
}

/* ---- statements ---- */

static void run(struct prompt *prompt, char *statement, size_t size)
{
    struct weir_error error = {0};
    statement[size] = 0;
    if (!weir_sql_statement_size(statement, size))
        return;
    if (query_statement(prompt->cli, prompt->session, statement, &error) == WEIR_OK)
        return;
    fprintf(stderr, "%s\n", error.text);
    if (*error.hint)
        fprintf(stderr, "  %s\n", error.hint);
    atomic_store(&prompt->cli->context->stop, 0); /* Ctrl-C ended the statement, not the prompt */
}

/* Whether a semicolon outside of quotes ended the last statement. The text ends with a newline,
 * which lends its place to a letter: that would begin another statement, or go on with this one. */
static bool is_ended(struct weir_buffer *text)
{
    char *at = (char *)text->data, *last = at + text->size - 1;
    size_t one = 0;
    bool ended = false;
    *last = 'x';
    while (at <= last && (one = weir_sql_statement_size(at, (size_t)(last + 1 - at))) &&
           at + one <= last) {
        at += one;
        ended = true;
    }
    ended = ended && (one == 0 || weir_sql_statement_size(at, (size_t)(last - at)) == 0);
    *last = '\n';
    return ended;
}

/* One line more. */
static weir_status take_line(struct prompt *prompt, const char *line, bool *ret_end,
                             struct weir_error *reterr)
{
    struct weir_buffer *text = &prompt->text;
    *ret_end = text->size == 0 && (strcmp(line, "\\q\n") == 0 || strcmp(line, "quit\n") == 0 ||
                                   strcmp(line, "exit\n") == 0);
    if (*ret_end)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(text, reterr, "%s", line));
    size_t size = text->size;
    while (size && isspace(text->data[size - 1]))
        size--;
    if (size && !is_ended(text))
        return WEIR_OK;
    char *statement = (char *)text->data;
    for (size_t one; size && (one = weir_sql_statement_size(statement, size)); size -= one) {
        run(prompt, statement, one - 1);
        statement += one;
    }
    weir_buffer_clear(text);
    return WEIR_OK;
}

static weir_status read_lines(struct prompt *prompt, EditLine *line, History *lines,
                              struct weir_error *reterr)
{
    HistEvent event;
    bool end = false;
    while (!end) {
        int count;
        el_set(line, EL_PROMPT, prompt->text.size ? next_prompt : first_prompt);
        const char *typed = el_gets(line, &count);
        if (prompt->interrupted) { /* what is half typed is forgotten */
            prompt->interrupted = false;
            atomic_store(&prompt->cli->context->stop, 0);
            weir_buffer_clear(&prompt->text);
            fputs("\n", stdout);
            el_reset(line);
            continue;
        }
        if (!typed || count <= 0)
            break;
        if (typed[0] != '\n')
            history(lines, &event, H_ENTER, typed);
        WEIR_TRY(take_line(prompt, typed, &end, reterr));
    }
    return WEIR_OK;
}

weir_status query_prompt(struct cli *cli, struct weir_query_session *session,
                         struct weir_error *reterr)
{
    struct prompt prompt = {.cli = cli, .session = session};
    char path[1024];
    HistEvent event;
    setlocale(LC_CTYPE, ""); /* keys beyond ASCII */
    EditLine *line = el_init("weir", stdin, stdout, stderr);
    History *lines = history_init();
    weir_buffer_init(&prompt.text, &cli->context->memory);
    weir_arena_init(&prompt.arena, &cli->context->memory);
    /* a lake that is away only costs completion */
    (void)!weir_query_names(session, &prompt.arena, &prompt.names, &prompt.name_count, NULL);
    history_path(path, sizeof path);
    history(lines, &event, H_SETSIZE, 1000);
    history(lines, &event, H_LOAD, path);
    el_set(line, EL_HIST, history, lines);
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_GETCFN, read_key);
    el_set(line, EL_CLIENTDATA, &prompt);
    el_set(line, EL_ADDFN, "complete", "complete a name", complete);
    el_set(line, EL_BIND, "^I", "complete", NULL);
    el_source(line, NULL);
    weir_status status = read_lines(&prompt, line, lines, reterr);
    history(lines, &event, H_SAVE, path);
    history_end(lines);
    el_end(line);
    weir_buffer_done(&prompt.text);
    weir_arena_done(&prompt.arena);
    return status;
}
