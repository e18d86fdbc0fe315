/* Results of queries: an aligned table for people, and forms for programs, row by row. */
#include "tools/weir/query.h"

#include "engine/expr/ir.h"
#include "formats/json/json.h"
#include "formats/parquet/parquet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TABLE_ROWS_MAX 100000 /* kept to align; beyond them a table is cut, with a word */
#define NARROWEST      8      /* no column of text is made narrower on a terminal */

struct query_printer {
    struct cli *cli;
    struct weir_account account;
    struct weir_arena arena;
    const struct weir_type *type;
    struct weir_buffer out;
    uint64_t rows;
    /* table */
    char **cells;
    size_t cell_count, cell_capacity;
    size_t terminal; /* its columns; SIZE_MAX: it is none */
    uint64_t left_out;
    /* parquet */
    struct weir_parquet_writer *writer;
    struct weir_type stored;
};

/* Columns of the terminal, or no limit. */
static size_t terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return SIZE_MAX;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

weir_status query_printer_new(struct cli *cli, struct query_printer **ret_printer,
                              struct weir_error *reterr)
{
    struct query_printer *printer;
    WEIR_TRY(weir_alloc_zero(&cli->context->memory, 1, sizeof *printer, &printer, reterr));
    printer->cli = cli;
    printer->terminal = terminal_width();
    weir_account_init(&printer->account, &cli->context->memory, "printing", 0);
    weir_arena_init(&printer->arena, &printer->account);
    weir_buffer_init(&printer->out, &printer->account);
    *ret_printer = printer;
    return WEIR_OK;
}

void query_printer_free(struct query_printer *printer)
{
    if (!printer)
        return;
    weir_parquet_writer_free(printer->writer);
    weir_free(printer->cells);
    weir_buffer_done(&printer->out);
    weir_arena_done(&printer->arena);
    weir_free(printer);
}

/* Into the pipe or file. A reader that has left (| head) wants no more, and no word about it. */
static weir_status put_stdout(void *self, const void *data, size_t size, struct weir_error *reterr)
{
    struct query_printer *printer = self;
    if ((!size || fwrite(data, 1, size, stdout) == size) && (size || fflush(stdout) == 0))
        return WEIR_OK;
    printer->cli->reader_left = errno == EPIPE;
    return weir_fail(reterr, errno == ENOSPC ? WEIR_NO_SPACE : WEIR_IO,
                     "writing to standard output failed: %s", strerror(errno));
}

static weir_status flush(struct query_printer *printer, struct weir_error *reterr)
{
    if (printer->out.size)
        WEIR_TRY(put_stdout(printer, printer->out.data, printer->out.size, reterr));
    weir_buffer_clear(&printer->out);
    return WEIR_OK;
}

/* ---- CSV, Markdown ---- */

static weir_status csv_text(struct weir_buffer *out, const uint8_t *text, size_t size,
                            struct weir_error *reterr)
{
    bool quoted = size == 0;
    for (size_t i = 0; i < size && !quoted; i++)
        quoted = strchr(",\"\r\n", text[i]) != NULL && text[i];
    if (!quoted)
        return weir_buffer_append(out, text, size, reterr);
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
        WEIR_TRY(weir_buffer_append(out, text + i, 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status markdown_text(struct weir_buffer *out, const uint8_t *text, size_t size,
                                 struct weir_error *reterr)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '|')
            WEIR_TRY(weir_buffer_append(out, "\\", 1, reterr));
        WEIR_TRY(
            weir_buffer_append(out, text[i] == '\n' ? (const uint8_t *)" " : text + i, 1, reterr));
    }
    return WEIR_OK;
}

static weir_status delimited_row(struct query_printer *printer, const struct weir_batch *batch,
                                 uint32_t row, struct weir_buffer *cell, struct weir_error *reterr)
{
    bool markdown = printer->cli->output == OUTPUT_MARKDOWN;
    struct weir_buffer *out = &printer->out;
    for (uint32_t c = 0; c < batch->type->child_count; c++) {
        struct weir_lane lane = weir_lane_of(&batch->columns[c]);
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", markdown ? c ? " | " : "| " : c ? "," : ""));
        if (!weir_lane_valid(&lane, row))
            continue; /* nothing is a null, "" an empty text */
        weir_buffer_clear(cell);
        WEIR_TRY(weir_value_print(&batch->columns[c], row, cell, reterr));
        WEIR_TRY(markdown ? markdown_text(out, cell->data, cell->size, reterr)
                          : csv_text(out, cell->data, cell->size, reterr));
    }
    return weir_buffer_print(out, reterr, markdown ? " |\n" : "\n");
}

static weir_status delimited_head(struct query_printer *printer, struct weir_error *reterr)
{
    bool markdown = printer->cli->output == OUTPUT_MARKDOWN;
    struct weir_buffer *out = &printer->out;
    for (uint32_t c = 0; c < printer->type->child_count; c++) {
        const char *name = printer->type->children[c].name;
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", markdown ? c ? " | " : "| " : c ? "," : ""));
        WEIR_TRY(markdown ? markdown_text(out, (const uint8_t *)name, strlen(name), reterr)
                          : csv_text(out, (const uint8_t *)name, strlen(name), reterr));
    }
    WEIR_TRY(weir_buffer_print(out, reterr, markdown ? " |\n" : "\n"));
    for (uint32_t c = 0; markdown && c < printer->type->child_count; c++)
        WEIR_TRY(weir_buffer_print(out, reterr, c ? " | ---" : "| ---"));
    return markdown ? weir_buffer_print(out, reterr, " |\n") : WEIR_OK;
}

/* ---- the table ---- */

/* The character at *at, which moves behind it, and the columns of a terminal that it takes. */
static size_t character_width(const char **at)
{
    const unsigned char *text = (const unsigned char *)*at;
    uint32_t point = *text < 0x80 ? *text : *text & (*text < 0xE0 ? 0x1F : *text < 0xF0 ? 15 : 7);
    for (text++; (*text & 0xC0) == 0x80; text++)
        point = point << 6 | (*text & 0x3F);
    *at = (const char *)text;
    if ((point >= 0x300 && point <= 0x36F) || (point >= 0x200B && point <= 0x200F) ||
        (point >= 0xFE00 && point <= 0xFE0F))
        return 0; /* stands on the one before */
    bool wide = (point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF) ||
                (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
                (point >= 0xFF00 && point <= 0xFF60) || (point >= 0x1F300 && point <= 0x1FAFF) ||
                (point >= 0x20000 && point <= 0x3FFFD);
    return wide ? 2 : 1;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    while (*text)
        width += character_width(&text);
    return width;
}

static weir_status cell_add(struct query_printer *printer, char *text, struct weir_error *reterr)
{
    if (printer->cell_count == printer->cell_capacity) {
        size_t capacity = printer->cell_capacity ? printer->cell_capacity * 2 : 1024;
        WEIR_TRY(
            weir_realloc(&printer->cells, &printer->account, capacity * sizeof(char *), reterr));
        printer->cell_capacity = capacity;
    }
    printer->cells[printer->cell_count++] = text;
    return WEIR_OK;
}

/* Cut to that many columns of a terminal, an ellipsis for the rest; there is room for it behind the
 * text. Control characters become spaces. */
static void cut(char *text, size_t most)
{
    size_t width = 0;
    char *keep = text;
    for (const char *at = text; *at;) {
        char *start = (char *)at;
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            *start = ' ';
        width += character_width(&at);
        if (width > most) {
            memcpy(keep, "…", sizeof "…");
            return;
        }
        if (width < most)
            keep = (char *)at;
    }
}

static bool is_number(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG || type->id == WEIR_FLOAT ||
           type->id == WEIR_DOUBLE || type->id == WEIR_DECIMAL;
}

static weir_status table_row(struct query_printer *printer, const struct weir_batch *batch,
                             uint32_t row, struct weir_buffer *cell, struct weir_error *reterr)
{
    if (printer->rows > TABLE_ROWS_MAX) {
        printer->left_out++;
        return WEIR_OK;
    }
    for (uint32_t c = 0; c < batch->type->child_count; c++) {
        struct weir_lane lane = weir_lane_of(&batch->columns[c]);
        char *text;
        weir_buffer_clear(cell);
        if (weir_lane_valid(&lane, row))
            WEIR_TRY(weir_value_print(&batch->columns[c], row, cell, reterr));
        else
            WEIR_TRY(weir_buffer_print(cell, reterr, "NULL"));
        WEIR_TRY(weir_arena_alloc(&printer->arena, cell->size + sizeof "…", &text, reterr));
        if (cell->size)
            memcpy(text, cell->data, cell->size);
        text[cell->size] = 0;
        cut(text, printer->terminal);
        WEIR_TRY(cell_add(printer, text, reterr));
    }
    return WEIR_OK;
}

static size_t width_within(const struct query_printer *printer, const size_t *widths,
                           uint32_t count, size_t most)
{
    size_t total = 2 * (size_t)(count - 1);
    for (uint32_t c = 0; c < count; c++) {
        bool whole = widths[c] <= most || is_number(&printer->type->children[c].type);
        total += whole ? widths[c] : most;
    }
    return total;
}

/* Makes the widest columns narrower until all fit, numbers never; returns how many columns do. */
static uint32_t fit(const struct query_printer *printer, size_t *widths)
{
    uint32_t count = printer->type->child_count;
    size_t most = NARROWEST;
    while (count > 1 && width_within(printer, widths, count, NARROWEST) > printer->terminal)
        count--;
    if (width_within(printer, widths, count, SIZE_MAX) <= printer->terminal)
        return count;
    while (width_within(printer, widths, count, most + 1) <= printer->terminal)
        most++;
    for (uint32_t c = 0; c < count; c++)
        if (widths[c] > most && !is_number(&printer->type->children[c].type))
            widths[c] = most;
    return count;
}

static weir_status put_cell(struct query_printer *printer, uint32_t column, uint32_t shown,
                            const char *text, size_t width, struct weir_error *reterr)
{
    struct weir_buffer *out = &printer->out;
    bool right = is_number(&printer->type->children[column].type), last = column + 1 == shown;
    size_t own = width_of(text);
    int pad = own < width ? (int)(width - own) : 0;
    WEIR_TRY(weir_buffer_print(out, reterr, "%s%*s%s%*s%s", column ? "  " : "", right ? pad : 0, "",
                               text, !right && !last ? pad : 0, "", last ? "\n" : ""));
    return out->size > 65536 ? flush(printer, reterr) : WEIR_OK;
}

static weir_status table_finish(struct query_printer *printer, struct weir_error *reterr)
{
    uint32_t count = printer->type->child_count, shown;
    size_t *widths;
    WEIR_TRY(weir_arena_zero(&printer->arena, count + 1, sizeof *widths, &widths, reterr));
    for (uint32_t c = 0; c < count; c++)
        widths[c] = width_of(printer->type->children[c].name);
    for (size_t i = 0; i < printer->cell_count; i++) {
        size_t one = width_of(printer->cells[i]);
        widths[i % count] = one > widths[i % count] ? one : widths[i % count];
    }
    shown = fit(printer, widths);
    for (uint32_t c = 0; c < shown; c++) {
        const char *name = printer->type->children[c].name;
        char *copy;
        WEIR_TRY(weir_arena_alloc(&printer->arena, strlen(name) + sizeof "…", &copy, reterr));
        memcpy(copy, name, strlen(name) + 1);
        cut(copy, widths[c]);
        WEIR_TRY(put_cell(printer, c, shown, copy, widths[c], reterr));
    }
    for (size_t i = 0; i < printer->cell_count; i++) {
        uint32_t c = (uint32_t)(i % count);
        if (c >= shown)
            continue;
        cut(printer->cells[i], widths[c]);
        WEIR_TRY(put_cell(printer, c, shown, printer->cells[i], widths[c], reterr));
    }
    if (shown < count)
        fprintf(stderr, "%u columns more: a wider terminal or -o ndjson shows them\n",
                count - shown);
    if (printer->left_out)
        fprintf(stderr, "%llu rows more: -o csv, ndjson or parquet print all\n",
                (unsigned long long)printer->left_out);
    return WEIR_OK;
}

/* ---- Parquet ---- */

static weir_status parquet_begin(struct query_printer *printer, struct weir_error *reterr)
{
    struct weir_parquet_options options = {.codec = WEIR_CODEC_ZSTD, .created_by = "weir query"};
    if (isatty(STDOUT_FILENO))
        return weir_fail(reterr, WEIR_USAGE, "-o parquet writes bytes: send it to a file with >");
    WEIR_TRY(weir_type_copy(&printer->arena, printer->type, &printer->stored, reterr));
    int32_t last = 0;
    weir_type_assign_ids(&printer->stored, &last);
    return weir_parquet_writer_new(printer->cli->context, &printer->account, &printer->stored,
                                   &options, (struct weir_parquet_sink){put_stdout, printer},
                                   &printer->writer, reterr);
}

static weir_status flat_batch(struct weir_arena *arena, const struct weir_batch *batch,
                              const struct weir_type *type, struct weir_batch *ret,
                              struct weir_error *reterr)
{
    *ret = (struct weir_batch){.type = type, .count = batch->count};
    WEIR_TRY(
        weir_arena_zero(arena, type->child_count + 1, sizeof *ret->columns, &ret->columns, reterr));
    for (uint32_t c = 0; c < type->child_count; c++) {
        ret->columns[c] = batch->columns[c];
        ret->columns[c].count = batch->count;
        WEIR_TRY(weir_vector_flatten(arena, &ret->columns[c], &ret->columns[c], reterr));
        ret->columns[c].type = &type->children[c].type;
    }
    return WEIR_OK;
}

/* ---- all of them ---- */

weir_status query_printer_begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    struct query_printer *printer = self;
    WEIR_TRY(weir_type_copy(&printer->arena, type, &printer->stored, reterr));
    struct weir_type *kept;
    WEIR_TRY(weir_arena_zero(&printer->arena, 1, sizeof *kept, &kept, reterr));
    *kept = printer->stored;
    printer->type = kept;
    switch (printer->cli->output) {
    case OUTPUT_PARQUET: return parquet_begin(printer, reterr);
    case OUTPUT_CSV:
    case OUTPUT_MARKDOWN: return delimited_head(printer, reterr);
    case OUTPUT_JSON: return weir_buffer_print(&printer->out, reterr, "[");
    default: return WEIR_OK;
    }
}

static weir_status json_batch(struct query_printer *printer, const struct weir_batch *batch,
                              struct weir_arena *arena, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) lines = {.account = &printer->account};
    struct weir_batch flat;
    bool array = printer->cli->output == OUTPUT_JSON;
    WEIR_TRY(flat_batch(arena, batch, printer->type, &flat, reterr));
    WEIR_TRY(weir_json_write_rows(&flat, array ? &lines : &printer->out, reterr));
    const char *line = (const char *)lines.data, *end = line + lines.size;
    for (uint64_t row = printer->rows; array && line < end; row++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        WEIR_TRY(weir_buffer_print(&printer->out, reterr, "%s%.*s", row ? ",\n " : "\n ",
                                   (int)(stop - line), line));
        line = stop + 1;
    }
    printer->rows += batch->count;
    return flush(printer, reterr);
}

weir_status query_printer_batch(void *self, const struct weir_batch *batch,
                                struct weir_error *reterr)
{
    struct query_printer *printer = self;
    enum output_format form = printer->cli->output;
    WEIR_AUTO(weir_buffer) cell = {.account = &printer->account};
    WEIR_AUTO(weir_arena) arena;
    struct weir_batch flat;
    weir_arena_init(&arena, &printer->account);
    if (form == OUTPUT_JSON || form == OUTPUT_NDJSON)
        return json_batch(printer, batch, &arena, reterr);
    if (form == OUTPUT_PARQUET) {
        WEIR_TRY(flat_batch(&arena, batch, &printer->stored, &flat, reterr));
        return weir_parquet_writer_add(printer->writer, &flat, NULL, reterr);
    }
    for (uint32_t row = 0; row < batch->count; row++) {
        printer->rows++;
        WEIR_TRY(form == OUTPUT_TABLE ? table_row(printer, batch, row, &cell, reterr)
                                      : delimited_row(printer, batch, row, &cell, reterr));
    }
    return printer->out.size > 65536 ? flush(printer, reterr) : WEIR_OK;
}

weir_status query_printer_finish(struct query_printer *printer, struct weir_error *reterr)
{
    struct weir_parquet_result result;
    if (printer->cli->output == OUTPUT_TABLE && printer->type->child_count)
        WEIR_TRY(table_finish(printer, reterr));
    if (printer->cli->output == OUTPUT_JSON)
        WEIR_TRY(weir_buffer_print(&printer->out, reterr, "%s]\n", printer->rows ? "\n" : ""));
    if (printer->writer)
        WEIR_TRY(weir_parquet_writer_finish(printer->writer, &result, reterr));
    WEIR_TRY(flush(printer, reterr));
    return put_stdout(printer, NULL, 0, reterr); /* all of it, now */
}
