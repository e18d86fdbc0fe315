/* Rows and objects as people and programs want them. */
#include "tools/weir/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS_MAX 64
#define CELL_MAX    60 /* longer values are cut on a terminal */

/* Value as text; freed by free(). */
static char *cell(const json_t *value)
{
    if (!value || json_is_null(value))
        return strdup("");
    if (json_is_string(value))
        return strdup(json_string_value(value));
    char *text = json_is_real(value) ? json_dumps(value, JSON_ENCODE_ANY | CLI_REAL)
                                     : weir_json_text(value);
    return text ? text : strdup("?");
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xC0) != 0x80;
    return width;
}

static size_t find_columns(const json_t *rows, const char *const *columns, const char **ret)
{
    size_t count = 0;
    if (columns) {
        while (columns[count] && count < COLUMNS_MAX) {
            ret[count] = columns[count];
            count++;
        }
        return count;
    }
    const char *key;
    json_t *value;
    json_object_foreach(json_array_get(rows, 0), key, value) if (count < COLUMNS_MAX)
        ret[count++] = key;
    return count;
}

static void print_table(const json_t *rows, const char **columns, size_t count)
{
    size_t widths[COLUMNS_MAX], at;
    json_t *row;
    bool cut = isatty(STDOUT_FILENO);
    for (size_t c = 0; c < count; c++)
        widths[c] = width_of(columns[c]);
    json_array_foreach(rows, at, row)
    {
        for (size_t c = 0; c < count; c++) {
            char *text = cell(json_object_get(row, columns[c]));
            size_t width = text ? width_of(text) : 0;
            width = cut && width > CELL_MAX ? CELL_MAX : width;
            widths[c] = width > widths[c] ? width : widths[c];
            free(text);
        }
    }
    for (size_t c = 0; c < count; c++)
        printf("%s%-*s", c ? "  " : "", c + 1 < count ? (int)widths[c] : 0, columns[c]);
    printf("\n");
    json_array_foreach(rows, at, row)
    {
        for (size_t c = 0; c < count; c++) {
            json_t *value = json_object_get(row, columns[c]);
            char *text = cell(value);
            size_t width = text ? width_of(text) : 0,
                   pad = width < widths[c] ? widths[c] - width : 0;
            bool number = json_is_number(value);
            if (text && cut && width > CELL_MAX && strlen(text) == width)
                memcpy(text + CELL_MAX - 3, "...", 4);
            printf("%s%*s%s%*s", c ? "  " : "", number ? (int)pad : 0, "", text ? text : "",
                   !number && c + 1 < count ? (int)pad : 0, "");
            free(text);
        }
        printf("\n");
    }
}

static void print_csv_cell(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_delimited(const json_t *rows, const char **columns, size_t count, bool markdown)
{
    size_t at;
    json_t *row;
    for (size_t c = 0; c < count; c++)
        printf("%s%s", markdown ? c ? " | " : "| " : c ? "," : "", columns[c]);
    printf("%s\n", markdown ? " |" : "");
    for (size_t c = 0; markdown && c < count; c++)
        printf("%s---", c ? " | " : "| ");
    if (markdown)
        printf(" |\n");
    json_array_foreach(rows, at, row)
    {
        for (size_t c = 0; c < count; c++) {
            char *text = cell(json_object_get(row, columns[c]));
            fputs(markdown ? c ? " | " : "| " : c ? "," : "", stdout);
            if (text && markdown)
                for (const char *t = text; *t; t++)
                    *t == '|' ? (void)fputs("\\|", stdout) : (void)putchar(*t == '\n' ? ' ' : *t);
            else if (text)
                print_csv_cell(text);
            free(text);
        }
        printf("%s\n", markdown ? " |" : "");
    }
}

/* Rows of one of several lakes wait for those of the others. */
static void gather(struct cli *cli, const json_t *rows, const char *const *columns)
{
    size_t at, count = 0;
    json_t *row;
    cli->gathered_columns[count++] = "tenant";
    for (; columns && columns[count - 1] && count < 23; count++)
        cli->gathered_columns[count] = columns[count - 1];
    cli->gathered_columns[columns ? count : 0] = NULL;
    json_array_foreach(rows, at, row)
    {
        json_t *told = json_pack("{s:s}", "tenant", cli->lake_now->tenant);
        json_object_update(told, row);
        json_array_append_new(cli->gathered, told);
    }
}

weir_status cli_rows(struct cli *cli, const json_t *rows, const char *const *columns,
                     struct weir_error *reterr)
{
    if (cli->gathered && cli->lake_now) {
        gather(cli, rows, columns);
        return WEIR_OK;
    }
    const char *found[COLUMNS_MAX];
    size_t count = find_columns(rows, columns, found), at;
    json_t *row;
    switch (cli->output) {
    case OUTPUT_JSON:
        json_dumpf(rows, stdout, JSON_INDENT(2) | CLI_REAL);
        printf("\n");
        break;
    case OUTPUT_NDJSON:
        json_array_foreach(rows, at, row)
        {
            json_dumpf(row, stdout, JSON_COMPACT | CLI_REAL);
            printf("\n");
        }
        break;
    case OUTPUT_TABLE: print_table(rows, found, count); break;
    default: print_delimited(rows, found, count, cli->output == OUTPUT_MARKDOWN);
    }
    if (fflush(stdout) != 0)
        return weir_fail(reterr, WEIR_IO, "writing to standard output failed");
    return WEIR_OK;
}

void cli_object(const struct cli *cli, const json_t *object)
{
    const char *key;
    json_t *value;
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON) {
        json_dumpf(object, stdout, cli->output == OUTPUT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
        printf("\n");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char *text = cell(value);
        printf("%-16s %s\n", key, text ? text : "");
        free(text);
    }
}
