/* Rows of a test, decoded by the decoder of JSON records into the table's types. Files of CSV and
 * Parquet come by way of a query, as those of reference tables do. */
#include "scheduler/modeltest/modeltest_int.h"

#include "engine/base/limits.h"
#include "formats/json/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- JSON lines to batches ---- */

struct lines {
    struct weir_bytes *records;
    size_t count;
};

static bool is_blank(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

static weir_status split(struct weir_arena *arena, const struct weir_buffer *text,
                         struct lines *ret_lines, struct weir_error *reterr)
{
    const uint8_t *at = text->data, *end = text->size ? at + text->size : at;
    size_t count = 1;
    for (size_t i = 0; i < text->size; i++)
        count += text->data[i] == '\n';
    ret_lines->count = 0;
    WEIR_TRY(
        weir_arena_zero(arena, count, sizeof *ret_lines->records, &ret_lines->records, reterr));
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((stop ? stop : end) - at);
        if (!is_blank(at, size))
            ret_lines->records[ret_lines->count++] = (struct weir_bytes){at, size};
        at += size + (stop != NULL);
    }
    return WEIR_OK;
}

static void refused(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                    const struct weir_refusal *refusal, size_t first)
{
    char text[1200];
    size_t row = first + refusal->record;
    snprintf(text, sizeof text, "%s%s%s %zu: %s", given->file ? given->file : "",
             given->file ? ": " : "", given->file ? "record" : "row", row + 1, refusal->message);
    weir_tests_complain(modeltest->options.tests, given, row, text);
}

static weir_status decode(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                          const struct weir_buffer *text, struct weir_arena *arena,
                          struct rows *rows, struct weir_error *reterr)
{
    struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_QUARANTINE};
    struct weir_json_decoder *decoder;
    struct lines lines;
    WEIR_TRY(split(arena, text, &lines, reterr));
    if (lines.count > MODELTEST_ROWS_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %u rows in a test", MODELTEST_ROWS_MAX);
    WEIR_TRY(weir_arena_zero(arena, lines.count / WEIR_BATCH_ROWS + 1, sizeof *rows->batches,
                             &rows->batches, reterr));
    WEIR_TRY(weir_json_decoder_new(arena->account, rows->type, &options, &decoder, reterr));
    weir_status status = WEIR_OK;
    for (size_t at = 0; status == WEIR_OK && at < lines.count; at += WEIR_BATCH_ROWS) {
        size_t left = lines.count - at;
        struct weir_decoded decoded;
        status = weir_json_decode(decoder, lines.records + at,
                                  (uint32_t)(left < WEIR_BATCH_ROWS ? left : WEIR_BATCH_ROWS),
                                  arena, &decoded, reterr);
        if (status != WEIR_OK)
            break;
        for (uint32_t i = 0; i < decoded.refusal_count; i++)
            refused(modeltest, given, &decoded.refusals[i], at);
        rows->batches[rows->batch_count++] = decoded.batch;
        rows->count += decoded.batch.count;
    }
    weir_json_decoder_free(decoder);
    return status;
}

/* ---- files ---- */

static weir_status read_file(const char *path, struct weir_buffer *out, struct weir_error *reterr)
{
    char piece[65536];
    size_t got;
    FILE *file = fopen(path, "re");
    if (!file)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s", path, strerror(errno));
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && (got = fread(piece, 1, sizeof piece, file)) > 0)
        status = weir_buffer_append(out, piece, got, reterr);
    if (status == WEIR_OK && ferror(file))
        status = weir_fail(reterr, WEIR_USAGE, "%s: %s", path, strerror(errno));
    fclose(file);
    return status;
}

static weir_status quoted(struct weir_arena *arena, const char *text, char quote,
                          const char **ret_text, struct weir_error *reterr)
{
    char *copy;
    size_t used = 0, size = strlen(text);
    WEIR_TRY(weir_arena_zero(arena, 2 * size + 3, 1, &copy, reterr));
    copy[used++] = quote;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == quote)
            copy[used++] = quote;
        copy[used++] = text[i];
    }
    copy[used] = quote;
    *ret_text = copy;
    return WEIR_OK;
}

static weir_status nothing_to_begin(void *self, const struct weir_type *type,
                                    struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static weir_status write_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    return weir_json_write_rows(batch, self, reterr);
}

/* "a"::type AS "a", for each column that the file has. */
static weir_status select_list(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                               const struct weir_type *has, struct weir_arena *arena,
                               struct rows *rows, char **ret_list, struct weir_error *reterr)
{
    char none[] = "", *list = none;
    const char *name;
    for (uint32_t i = 0; i < has->child_count; i++) {
        const char *column = has->children[i].name;
        const struct weir_field *field = weir_type_child(rows->type, column, strlen(column));
        if (!field) {
            char *text;
            WEIR_TRY(weir_arena_print(arena, &text, reterr, "%s: there is no column %s",
                                      given->file ? given->file : "csv", column));
            weir_tests_complain(modeltest->options.tests, given, SIZE_MAX, text);
            continue;
        }
        WEIR_AUTO(weir_buffer) type = {.account = arena->account};
        WEIR_TRY(weir_type_print(&field->type, &type, reterr));
        WEIR_TRY(quoted(arena, column, '"', &name, reterr));
        WEIR_TRY(weir_arena_print(arena, &list, reterr, "%s%sCAST(%s AS %s) AS %s", list,
                                  *list ? ", " : "", name, (const char *)type.data, name));
        rows->named[field - rows->type->children] = 1;
    }
    *ret_list = list;
    return WEIR_OK;
}

static weir_status run_query(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                             const char *path, struct weir_arena *arena, struct rows *rows,
                             struct weir_buffer *out, struct weir_query_session *session,
                             struct weir_error *reterr)
{
    struct weir_operator *root;
    struct weir_query_result result = {nothing_to_begin, write_batch, out};
    const char *file;
    char *text, *list;
    WEIR_TRY(quoted(arena, path, '\'', &file, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT * FROM %s", file));
    WEIR_TRY(weir_query_plan(session, arena, text, &root, NULL, reterr));
    WEIR_TRY(select_list(modeltest, given, &root->type, arena, rows, &list, reterr));
    if (!*list)
        return WEIR_OK;
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT %s FROM %s", list, file));
    return weir_query_run(session, text, &result, NULL, NULL, reterr);
}

static weir_status by_query(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                            const char *path, struct weir_arena *arena, struct rows *rows,
                            struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_query_options options = {.context = modeltest->options.context};
    struct weir_query_session *session;
    WEIR_TRY(weir_query_session_new(&options, &session, reterr));
    weir_status status = run_query(modeltest, given, path, arena, rows, out, session, reterr);
    weir_query_session_free(session);
    return status;
}

static weir_status inline_csv(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                              struct weir_arena *arena, struct rows *rows, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    char *path;
    WEIR_TRY(weir_arena_print(arena, &path, reterr, "%s/given.csv", modeltest->options.folder));
    FILE *file = fopen(path, "we");
    bool written = file && fputs(given->csv, file) >= 0;
    if ((file && fclose(file) != 0) || !written)
        return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    weir_status status = by_query(modeltest, given, path, arena, rows, out, reterr);
    unlink(path);
    return status;
}

static bool is_query_file(const char *path)
{
    size_t size = strlen(path);
    return (size > 4 && strcmp(path + size - 4, ".csv") == 0) ||
           (size > 8 && strcmp(path + size - 8, ".parquet") == 0);
}

weir_status rows_load(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                      const struct weir_models_table *table, struct weir_arena *arena,
                      struct rows *ret_rows, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = arena->account};
    struct rows rows = {.type = &table->type};
    WEIR_TRY(weir_arena_zero(arena, table->type.child_count + 1, 1, &rows.named, reterr));
    weir_status status;
    if (given->rows)
        status = weir_tests_json(modeltest->options.tests, given, &table->type, &text, rows.named,
                                 reterr);
    else if (given->csv)
        status = inline_csv(modeltest, given, arena, &rows, &text, reterr);
    else if (is_query_file(given->file))
        status = by_query(modeltest, given, given->file, arena, &rows, &text, reterr);
    else
        status = read_file(given->file, &text, reterr);
    if (status == WEIR_OK)
        status = decode(modeltest, given, &text, arena, &rows, reterr);
    if (given->file && !is_query_file(given->file)) /* of records: every column counts */
        memset(rows.named, 1, table->type.child_count);
    if (status == WEIR_USAGE || status == WEIR_NOT_FOUND || status == WEIR_CORRUPT) {
        weir_tests_complain(modeltest->options.tests, given, SIZE_MAX, reterr ? reterr->text : "");
        status = WEIR_OK;
    }
    *ret_rows = rows;
    return status;
}
