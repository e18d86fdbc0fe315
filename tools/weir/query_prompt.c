/* The prompt of `weir query`. */
#include "tools/weir/query.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *first_prompt(EditLine *line)
{
    (void)line;
    return "weir> ";
}
static const char *next_prompt(EditLine *line)
{
    (void)line;
    return "  ... ";
}

static void history_path(char *path, size_t size)
{
    const char *home = getenv("HOME");
    snprintf(path, size, "%s/.weir_history", home ? home : ".");
}

/* One line more; true when the text is a statement, or the prompt was asked to end. */
static bool take_line(struct cli *cli, struct weir_query_session *session, char **text,
                      const char *line, bool *ret_end)
{
    size_t before = *text ? strlen(*text) : 0, size = strlen(line);
    if (!before && (strcmp(line, "\\q\n") == 0 || strcmp(line, "quit\n") == 0 ||
                    strcmp(line, "exit\n") == 0)) {
        *ret_end = true;
        return true;
    }
    char *grown = realloc(*text, before + size + 1);
    if (!grown)
        return false;
    memcpy(grown + before, line, size + 1);
    *text = grown;
    size_t all = before + size;
    while (all && strchr(" \t\r\n", grown[all - 1]))
        all--;
    if (all && grown[all - 1] != ';')
        return false;
    if (all) {
        struct weir_error error = {0};
        grown[all - 1] = 0;
        if (weir_sql_statement_size(grown, all - 1) &&
            query_statement(cli, session, grown, &error) != WEIR_OK) {
            fprintf(stderr, "%s\n", error.text);
            if (*error.hint)
                fprintf(stderr, "  %s\n", error.hint);
        }
    }
    free(*text);
    *text = NULL;
    return true;
}

weir_status query_prompt(struct cli *cli, struct weir_query_session *session,
                         struct weir_error *reterr)
{
    char path[1024], *text = NULL;
    HistEvent event;
    bool end = false;
    EditLine *line = el_init("weir", stdin, stdout, stderr);
    History *lines = history_init();
    (void)reterr;
    history_path(path, sizeof path);
    history(lines, &event, H_SETSIZE, 1000);
    history(lines, &event, H_LOAD, path);
    el_set(line, EL_HIST, history, lines);
    el_set(line, EL_EDITOR, "emacs");
    el_source(line, NULL);
    while (!end) {
        int count;
        el_set(line, EL_PROMPT, text ? next_prompt : first_prompt);
        const char *typed = el_gets(line, &count);
        if (!typed || count <= 0)
            break;
        if (typed[0] != '\n')
            history(lines, &event, H_ENTER, typed);
        take_line(cli, session, &text, typed, &end);
    }
    free(text);
    history(lines, &event, H_SAVE, path);
    history_end(lines);
    el_end(line);
    return WEIR_OK;
}
