/* Results of queries: an aligned table for people, and forms for programs, row by row. */
#include "tools/weir/query.h"

#include "engine/expr/ir.h"
#include "formats/json/json.h"
#include "formats/parquet/parquet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_ROWS_MAX 100000 /* kept to align; beyond them a table is cut, with a word */
#define CELL_WIDTH_MAX 60     /* on a terminal */

struct query_printer {
    struct cli *cli;
    struct weir_account account;
    struct weir_arena arena;
    const struct weir_type *type;
    struct weir_buffer out;
    uint64_t rows;
    /* table */
    char **cells;
    bool *numbers;
    size_t cell_count, cell_capacity;
    uint64_t left_out;
    /* parquet */
    struct weir_parquet_writer *writer;
    struct weir_type stored;
};

weir_status query_printer_new(struct cli *cli, struct query_printer **ret_printer,
                              struct weir_error *reterr)
{
    struct query_printer *printer;
    WEIR_TRY(weir_alloc_zero(&cli->context->memory, 1, sizeof *printer, &printer, reterr));
    printer->cli = cli;
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
    weir_free(printer->numbers);
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

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += (*text & 0xC0) != 0x80;
    return width;
}

static weir_status cell_add(struct query_printer *printer, char *text, bool number,
                            struct weir_error *reterr)
{
    if (printer->cell_count == printer->cell_capacity) {
        size_t capacity = printer->cell_capacity ? printer->cell_capacity * 2 : 1024;
        WEIR_TRY(
            weir_realloc(&printer->cells, &printer->account, capacity * sizeof(char *), reterr));
        WEIR_TRY(weir_realloc(&printer->numbers, &printer->account, capacity, reterr));
        printer->cell_capacity = capacity;
    }
    printer->numbers[printer->cell_count] = number;
    printer->cells[printer->cell_count++] = text;
    return WEIR_OK;
}

/* Cut by characters, control characters shown as spaces. */
static void tidy(char *text, size_t most)
{
    size_t width = 0;
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20)
            *at = ' ';
        if ((*at & 0xC0) != 0x80 && ++width > most) {
            memcpy(at, "", 1);
            for (char *dots = at; dots > text && at - dots < 3; dots--)
                dots[-1] = (dots[-1] & 0x80) ? dots[-1] : '.';
            return;
        }
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
        WEIR_TRY(weir_arena_copy(&printer->arena, cell->size ? (const char *)cell->data : "",
                                 cell->size, &text, reterr));
        tidy(text, isatty(STDOUT_FILENO) ? CELL_WIDTH_MAX : SIZE_MAX);
        WEIR_TRY(cell_add(printer, text, is_number(batch->columns[c].type), reterr));
    }
    return WEIR_OK;
}

static weir_status table_finish(struct query_printer *printer, struct weir_error *reterr)
{
    uint32_t width = printer->type->child_count;
    size_t *widths;
    struct weir_buffer *out = &printer->out;
    WEIR_TRY(weir_arena_zero(&printer->arena, width + 1, sizeof *widths, &widths, reterr));
    for (uint32_t c = 0; c < width; c++)
        widths[c] = width_of(printer->type->children[c].name);
    for (size_t i = 0; i < printer->cell_count; i++) {
        size_t one = width_of(printer->cells[i]);
        widths[i % width] = one > widths[i % width] ? one : widths[i % width];
    }
    for (uint32_t c = 0; c < width; c++) {
        const char *name = printer->type->children[c].name;
        int pad = (int)(widths[c] - width_of(name));
        bool right = is_number(&printer->type->children[c].type);
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%*s%s%*s", c ? "  " : "", right ? pad : 0, "",
                                   name, !right && c + 1 < width ? pad : 0, ""));
    }
    WEIR_TRY(weir_buffer_print(out, reterr, "\n"));
    for (size_t i = 0; i < printer->cell_count; i++) {
        uint32_t c = (uint32_t)(i % width);
        int pad = (int)(widths[c] - width_of(printer->cells[i]));
        bool right = printer->numbers[i];
        WEIR_TRY(weir_buffer_print(out, reterr, "%s%*s%s%*s%s", c ? "  " : "", right ? pad : 0, "",
                                   printer->cells[i], !right && c + 1 < width ? pad : 0, "",
                                   c + 1 == width ? "\n" : ""));
        if (out->size > 65536)
            WEIR_TRY(flush(printer, reterr));
    }
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
