/* Rows that are there against rows expected. Both are written as JSON by the same writer from the
 * same types, so values are equal when their texts are; `tolerance` lets numbers differ. Rows that
 * find no equal are paired by the model's key, or by the most values in common. */
#include "scheduler/modeltest/modeltest_int.h"

#include "engine/base/text.h"
#include "formats/json/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_MAX  10  /* differences of a kind */
#define PAIRS_MAX 500 /* rows on either side that are paired */

struct cell {
    const char *text;
    size_t size;
};

struct row {
    const char *line; /* {"a":1,...} */
    size_t size;
    struct cell *cells;
    bool matched;
};

struct table {
    struct row *rows;
    size_t count;
};

struct comparing {
    struct trial *trial;
    const struct weir_test_step *step;
    const struct weir_type *type;
    uint32_t *columns; /* of type, that are compared */
    uint32_t count;
    bool *is_key; /* of those compared */
    bool keyed;   /* the whole key is among them */
    struct weir_arena *arena;
};

/* ---- texts to cells ---- */

/* Behind the value that begins at `at`: brackets outside of texts are counted. */
static size_t value_end(const char *line, size_t at, size_t size)
{
    int depth = 0;
    bool quoted = false;
    for (; at < size; at++) {
        char c = line[at];
        if (quoted) {
            at += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}' || c == ',') {
            if (depth == 0)
                return at;
            depth -= c != ',';
        }
    }
    return size;
}

static weir_status cut_row(struct comparing *comparing, struct row *row, struct weir_error *reterr)
{
    size_t at = 1;
    WEIR_TRY(weir_arena_zero(comparing->arena, comparing->count + 1, sizeof *row->cells,
                             &row->cells, reterr));
    for (uint32_t i = 0; i < comparing->count && at < row->size; i++) {
        size_t colon = at; /* the name is a text; its colon follows */
        for (colon++; colon < row->size && row->line[colon] != '"'; colon++)
            colon += row->line[colon] == '\\';
        size_t start = colon + 2, end = value_end(row->line, start, row->size);
        row->cells[i] = (struct cell){row->line + start, end - start};
        at = end + 1;
    }
    return WEIR_OK;
}

static int by_line(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->line, y->line, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static weir_status cut_table(struct comparing *comparing, const struct weir_buffer *text,
                             struct table *ret_table, struct weir_error *reterr)
{
    char *copy;
    size_t count = 0, at = 0;
    WEIR_TRY(weir_arena_copy(comparing->arena, text->size ? (const char *)text->data : "",
                             text->size, &copy, reterr));
    for (size_t i = 0; i < text->size; i++)
        count += copy[i] == '\n';
    WEIR_TRY(weir_arena_zero(comparing->arena, count + 1, sizeof *ret_table->rows, &ret_table->rows,
                             reterr));
    for (size_t i = 0; i < count; i++) {
        const char *end = memchr(copy + at, '\n', text->size - at);
        ret_table->rows[i] = (struct row){.line = copy + at, .size = (size_t)(end - copy) - at};
        WEIR_TRY(cut_row(comparing, &ret_table->rows[i], reterr));
        at = (size_t)(end - copy) + 1;
    }
    ret_table->count = count;
    if (count)
        qsort(ret_table->rows, count, sizeof *ret_table->rows, by_line);
    return WEIR_OK;
}

/* ---- equality ---- */

/* Maps count as equal in any order of their entries. */
static bool same_nested(const struct cell *a, const struct cell *b)
{
    json_t *x = json_loadb(a->text, a->size, JSON_DECODE_ANY, NULL),
           *y = json_loadb(b->text, b->size, JSON_DECODE_ANY, NULL);
    bool same = x && y && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static bool is_number(enum weir_type_id id)
{
    return id == WEIR_INT || id == WEIR_LONG || id == WEIR_FLOAT || id == WEIR_DOUBLE ||
           id == WEIR_DECIMAL;
}

static bool same_cell(const struct comparing *comparing, uint32_t column, const struct cell *a,
                      const struct cell *b)
{
    const struct weir_type *type = &comparing->type->children[comparing->columns[column]].type;
    double x, y;
    if (a->size == b->size && memcmp(a->text, b->text, a->size) == 0)
        return true;
    if (weir_type_is_nested(type->id))
        return same_nested(a, b);
    return comparing->step->tolerance > 0 && is_number(type->id) &&
           weir_text_double(a->text, a->size, &x) && weir_text_double(b->text, b->size, &y) &&
           fabs(x - y) <= comparing->step->tolerance;
}

static uint32_t same_cells(const struct comparing *comparing, const struct row *a,
                           const struct row *b, bool keys_only)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < comparing->count; i++)
        if (!keys_only || comparing->is_key[i])
            same += same_cell(comparing, i, &a->cells[i], &b->cells[i]);
    return same;
}

/* ---- telling ---- */

static json_t *cell_json(const struct cell *cell)
{
    json_t *value = json_loadb(cell->text, cell->size, JSON_DECODE_ANY, NULL);
    return value ? value : json_stringn(cell->text, cell->size); /* a number with many digits */
}

static json_t *row_json(const struct comparing *comparing, const struct row *row)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < comparing->count; i++)
        json_object_set_new(object, comparing->type->children[comparing->columns[i]].name,
                            cell_json(&row->cells[i]));
    return object;
}

static void tell(struct comparing *comparing, json_t *problem)
{
    json_object_set_new(problem, "step", json_integer((json_int_t)comparing->trial->step));
    json_array_append_new(comparing->trial->problems, problem);
}

static void tell_rows(struct comparing *comparing, const struct table *table, const char *kind)
{
    size_t count = 0;
    char text[100];
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        if (row->matched || count++ >= TOLD_MAX)
            continue;
        tell(comparing, json_pack("{s:s, s:o}", "kind", kind, "row", row_json(comparing, row)));
    }
    if (count <= TOLD_MAX)
        return;
    snprintf(text, sizeof text, "%zu more rows %s", count - TOLD_MAX, kind);
    tell(comparing, json_pack("{s:s, s:s}", "kind", "more", "text", text));
}

/* What the two have in common, by the key where there is one, and what differs. */
static void tell_different(struct comparing *comparing, const struct row *is,
                           const struct row *expected)
{
    json_t *key = json_object(), *columns = json_object();
    for (uint32_t i = 0; i < comparing->count; i++) {
        const char *name = comparing->type->children[comparing->columns[i]].name;
        bool same = same_cell(comparing, i, &is->cells[i], &expected->cells[i]);
        if (!same)
            json_object_set_new(columns, name,
                                json_pack("{s:o, s:o}", "is", cell_json(&is->cells[i]), "expected",
                                          cell_json(&expected->cells[i])));
        else if (!comparing->keyed || comparing->is_key[i])
            json_object_set_new(key, name, cell_json(&is->cells[i]));
    }
    tell(comparing,
         json_pack("{s:s, s:o, s:o}", "kind", "different", "key", key, "columns", columns));
}

/* ---- matching ---- */

/* Equal texts: both are sorted by them. */
static void match_equal(struct table *is, struct table *expected)
{
    size_t i = 0, k = 0;
    while (i < is->count && k < expected->count) {
        int order = by_line(&is->rows[i], &expected->rows[k]);
        if (order == 0)
            is->rows[i].matched = expected->rows[k].matched = true;
        i += order <= 0;
        k += order >= 0;
    }
}

static size_t unmatched(const struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += !table->rows[i].matched;
    return count;
}

/* The best partner: equal but for texts, else of the same key, else with at least half in common.
 */
static struct row *partner(const struct comparing *comparing, struct table *is,
                           const struct row *expected, uint32_t key_count, bool *ret_equal)
{
    struct row *best = NULL;
    uint32_t most = 0;
    for (size_t i = 0; i < is->count; i++) {
        struct row *row = &is->rows[i];
        if (row->matched)
            continue;
        uint32_t same = same_cells(comparing, row, expected, false);
        if (same == comparing->count) {
            *ret_equal = true;
            return row;
        }
        bool fits = comparing->keyed ? same_cells(comparing, row, expected, true) == key_count
                                     : 2 * same >= comparing->count;
        if (fits && same + 1 > most) {
            most = same + 1;
            best = row;
        }
    }
    *ret_equal = false;
    return best;
}

static void match_others(struct comparing *comparing, struct table *is, struct table *expected)
{
    uint32_t key_count = 0;
    size_t told = 0;
    bool equal;
    for (uint32_t i = 0; i < comparing->count; i++)
        key_count += comparing->is_key[i];
    for (int pass = 0; pass < 2; pass++) /* those that are equal first */
        for (size_t k = 0; k < expected->count; k++) {
            struct row *wanted = &expected->rows[k];
            struct row *row = wanted->matched ? NULL
                                              : partner(comparing, is, wanted, key_count, &equal);
            if (!row || (!equal && (pass == 0 || told == TOLD_MAX)))
                continue;
            row->matched = wanted->matched = true;
            if (!equal) {
                tell_different(comparing, row, wanted);
                told++;
            }
        }
}

/* ---- reading ---- */

static weir_status no_begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static weir_status write_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    return weir_json_write_rows(batch, self, reterr);
}

static weir_status select_text(struct comparing *comparing, char **ret_text,
                               struct weir_error *reterr)
{
    const struct weir_table_config *config = &comparing->trial->test->model->table;
    char none[] = "", *list = none;
    for (uint32_t i = 0; i < comparing->count; i++)
        WEIR_TRY(weir_arena_print(comparing->arena, &list, reterr, "%s%s\"%s\"", list,
                                  i ? ", " : "",
                                  comparing->type->children[comparing->columns[i]].name));
    return weir_arena_print(comparing->arena, ret_text, reterr, "SELECT %s FROM \"%s\".\"%s\"",
                            list, config->layer, config->short_name);
}

static weir_status read_table(struct comparing *comparing, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    struct trial *trial = comparing->trial;
    struct weir_query_options options = {.context = trial->lake.context,
                                         .catalog = &trial->lake.catalog,
                                         .store = &trial->lake.store};
    struct weir_query_result result = {no_begin, write_batch, out};
    struct weir_query_session *session;
    struct weir_query_name *views;
    size_t view_count;
    char *text;
    WEIR_TRY(weir_models_views(trial->modeltest->options.pipeline, comparing->arena, &views,
                               &view_count, reterr));
    WEIR_TRY(select_text(comparing, &text, reterr));
    WEIR_TRY(weir_query_session_new(&options, &session, reterr));
    weir_query_names_set(session, views, view_count);
    weir_status status = weir_query_run(session, text, &result, NULL, NULL, reterr);
    weir_query_session_free(session);
    return status;
}

/* The same columns of the rows expected. */
static weir_status write_expected(struct comparing *comparing, const struct rows *expected,
                                  struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_type type = {.id = WEIR_STRUCT, .child_count = comparing->count};
    struct weir_vector *columns;
    WEIR_TRY(weir_arena_zero(comparing->arena, comparing->count + 1, sizeof *type.children,
                             &type.children, reterr));
    WEIR_TRY(
        weir_arena_zero(comparing->arena, comparing->count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t i = 0; i < comparing->count; i++)
        type.children[i] = comparing->type->children[comparing->columns[i]];
    for (size_t b = 0; b < expected->batch_count; b++) {
        for (uint32_t i = 0; i < comparing->count; i++)
            columns[i] = expected->batches[b].columns[comparing->columns[i]];
        struct weir_batch batch = {&type, expected->batches[b].count, columns};
        WEIR_TRY(weir_json_write_rows(&batch, out, reterr));
    }
    return WEIR_OK;
}

/* Columns that some row names; all of them where no row is expected. */
static weir_status choose(struct comparing *comparing, const struct rows *expected,
                          struct weir_error *reterr)
{
    const struct weir_model_config *model = comparing->trial->test->model;
    uint32_t keys = 0;
    WEIR_TRY(weir_arena_zero(comparing->arena, comparing->type->child_count + 1,
                             sizeof *comparing->columns, &comparing->columns, reterr));
    WEIR_TRY(weir_arena_zero(comparing->arena, comparing->type->child_count + 1,
                             sizeof *comparing->is_key, &comparing->is_key, reterr));
    for (uint32_t i = 0; i < comparing->type->child_count; i++) {
        if (!expected->named[i] && expected->count)
            continue;
        for (size_t k = 0; k < model->key_count; k++)
            if (strcmp(model->keys[k], comparing->type->children[i].name) == 0) {
                comparing->is_key[comparing->count] = true;
                keys++;
            }
        comparing->columns[comparing->count++] = i;
    }
    comparing->keyed = keys > 0 && keys == model->key_count;
    return WEIR_OK;
}

static weir_status compare_in(struct comparing *comparing, const struct rows *expected,
                              struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer)
    there = {.account = comparing->arena->account},
    wanted = {.account = comparing->arena->account};
    struct table is, should;
    WEIR_TRY(choose(comparing, expected, reterr));
    WEIR_TRY(read_table(comparing, &there, reterr));
    WEIR_TRY(write_expected(comparing, expected, &wanted, reterr));
    WEIR_TRY(cut_table(comparing, &there, &is, reterr));
    WEIR_TRY(cut_table(comparing, &wanted, &should, reterr));
    match_equal(&is, &should);
    if (unmatched(&is) <= PAIRS_MAX && unmatched(&should) <= PAIRS_MAX)
        match_others(comparing, &is, &should);
    tell_rows(comparing, &should, "missing");
    tell_rows(comparing, &is, "unexpected");
    return WEIR_OK;
}

weir_status compare_rows(struct trial *trial, const struct weir_test_step *step,
                         const struct rows *expected, struct weir_error *reterr)
{
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &trial->lake.context->memory);
    struct comparing comparing = {
        .trial = trial, .step = step, .type = expected->type, .arena = &arena};
    return compare_in(&comparing, expected, reterr);
}
