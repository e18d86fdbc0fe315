/* Plans over tables of vectors, run by the room's own driver: what tests of joins, set operators
 * and UNNEST share. Expressions are columns and one comparison; where the library's evaluation is
 * not linked, the weak functions below stand in for it. */
#ifndef WEIR_TESTS_UNIT_EXEC_PLAN_HELP_H
#define WEIR_TESTS_UNIT_EXEC_PLAN_HELP_H

#include "engine/exec/exec_int.h"
#include "tests/unit/exec/random_vector.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- stand-ins ---- */

__attribute__((weak)) weir_status exec_window_new(struct exec *exec, struct weir_operator *operator,
                                                  struct exec_sink ** ret_sink,
                                                  struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_UNSUPPORTED, "no windows here");
}

/* ---- tables ---- */

struct values {
    struct weir_type type;
    struct weir_vector *columns; /* flat */
    uint32_t count, morsel_rows;
    struct weir_table_source source;
};

struct values_scan {
    const struct values *values;
    struct weir_scan_request request;
};

struct values_morsel {
    const struct values_scan *scan;
    uint32_t at, end;
};

static inline weir_status values_open(void *self, struct weir_context *context,
                                      struct weir_account *account,
                                      const struct weir_scan_request *request,
                                      struct weir_scan **ret_scan, struct weir_error *reterr)
{
    struct values_scan *scan = calloc(1, sizeof *scan);
    *scan = (struct values_scan){self, *request};
    *ret_scan = (struct weir_scan *)scan;
    return WEIR_OK;
}

static inline size_t values_morsel_count(const struct weir_scan *opaque)
{
    const struct values *values = ((const struct values_scan *)opaque)->values;
    return (values->count + values->morsel_rows - 1) / values->morsel_rows;
}

static inline weir_status values_morsel_open(struct weir_scan *opaque, size_t index,
                                             struct weir_morsel **ret, struct weir_error *reterr)
{
    const struct values_scan *scan = (const struct values_scan *)opaque;
    struct values_morsel *morsel = calloc(1, sizeof *morsel);
    morsel->scan = scan;
    morsel->at = (uint32_t)index * scan->values->morsel_rows;
    morsel->end = morsel->at + scan->values->morsel_rows;
    if (morsel->end > scan->values->count)
        morsel->end = scan->values->count;
    *ret = (struct weir_morsel *)morsel;
    return WEIR_OK;
}

static inline bool predicate_holds(const struct weir_predicate *predicate,
                                   const struct weir_batch *batch, uint32_t row)
{
    const struct weir_vector *column = &batch->columns[predicate->path[0]];
    bool holds = false;
    if (!weir_vector_valid(column, row))
        return false;
    for (uint32_t i = 0; i < predicate->value.count; i++) {
        int order = weir_value_order(column, row, &predicate->value, i);
        holds |= predicate->kind == WEIR_PREDICATE_GE   ? order >= 0
                 : predicate->kind == WEIR_PREDICATE_LE ? order <= 0
                                                        : order == 0;
    }
    return holds;
}

/* As a source should: skips what predicates let it skip, and exactly what the filter says. */
static inline weir_status values_skip(const struct weir_scan_request *request,
                                      struct weir_arena *arena, struct weir_batch *batch,
                                      struct weir_error *reterr)
{
    struct weir_selection selection = {0};
    uint32_t *rows, count = 0;
    WEIR_TRY(weir_arena_alloc(arena, (batch->count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t row = 0; row < batch->count; row++) {
        bool holds = true;
        for (size_t p = 0; p < request->predicate_count; p++)
            holds &= predicate_holds(&request->predicates[p], batch, row);
        rows[count] = row;
        count += holds;
    }
    if (count < batch->count) {
        selection = (struct weir_selection){.count = count, .rows = rows};
        WEIR_TRY(weir_batch_gather(arena, batch, &selection, batch, reterr));
    }
    if (!request->filter || !count)
        return WEIR_OK;
    WEIR_TRY(request->filter->select(request->filter->self, batch, arena, &selection, reterr));
    if (selection.rows)
        return weir_batch_gather(arena, batch, &selection, batch, reterr);
    return WEIR_OK;
}

static inline weir_status values_morsel_next(struct weir_morsel *opaque, struct weir_arena *arena,
                                             struct weir_batch *ret_batch, bool *ret_end,
                                             struct weir_error *reterr)
{
    struct values_morsel *morsel = (struct values_morsel *)opaque;
    const struct weir_scan_request *request = &morsel->scan->request;
    const struct values *values = morsel->scan->values;
    ret_batch->count = 0;
    while (morsel->at < morsel->end && !ret_batch->count) {
        uint32_t count = morsel->end - morsel->at, *rows;
        if (count > request->batch_rows)
            count = request->batch_rows;
        WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *rows, &rows, reterr));
        for (uint32_t i = 0; i < count; i++)
            rows[i] = morsel->at + i;
        struct weir_batch all = {
            .type = &values->type, .count = values->count, .columns = values->columns};
        struct weir_selection selection = {.count = count, .rows = rows};
        morsel->at += count;
        WEIR_TRY(weir_batch_gather(arena, &all, &selection, ret_batch, reterr));
        WEIR_TRY(values_skip(request, arena, ret_batch, reterr));
    }
    *ret_end = ret_batch->count == 0;
    return WEIR_OK;
}

static inline void values_morsel_close(struct weir_morsel *morsel)
{
    free(morsel);
}
static inline void values_close(struct weir_scan *scan)
{
    free(scan);
}

static inline uint64_t values_row_count(void *self, bool *ret_exact)
{
    *ret_exact = true;
    return ((const struct values *)self)->count;
}

static const struct weir_table_source_operations values_operations = {
    .kind = "values",
    .row_count = values_row_count,
    .open = values_open,
    .morsel_count = values_morsel_count,
    .morsel_open = values_morsel_open,
    .morsel_next = values_morsel_next,
    .morsel_close = values_morsel_close,
    .close = values_close};

/* Types as "long, string"; columns to be filled by the caller or at random. */
static inline struct values *values_new(struct weir_arena *arena, const char *type)
{
    struct values *values;
    OK(weir_arena_zero(arena, 1, sizeof *values, &values, error));
    OK(weir_type_parse(arena, type, &values->type, error));
    OK(weir_arena_zero(arena, values->type.child_count + 1, sizeof *values->columns,
                       &values->columns, error));
    values->morsel_rows = 37;
    values->source = (struct weir_table_source){&values_operations, values};
    return values;
}

static inline struct values *values_random(struct weir_arena *arena, struct dice *dice,
                                           const char *type, uint32_t count, uint32_t null_percent)
{
    struct values *values = values_new(arena, type);
    values->count = count;
    for (uint32_t c = 0; c < values->type.child_count; c++)
        values->columns[c] = random_flat(arena, dice, &values->type.children[c].type, count,
                                         null_percent);
    return values;
}

static inline struct weir_operator *scan_of(struct weir_arena *arena, struct values *values)
{
    struct weir_operator *scan;
    OK(weir_arena_zero(arena, 1, sizeof *scan, &scan, error));
    scan->kind = WEIR_OP_SCAN;
    scan->type = scan->wanted = values->type;
    scan->source = &values->source;
    return scan;
}

static inline struct weir_node *column_of(struct weir_arena *arena, const struct weir_type *table,
                                          uint32_t index, uint32_t shift)
{
    struct weir_node *node;
    OK(weir_arena_zero(arena, 1, sizeof *node, &node, error));
    node->kind = WEIR_NODE_COLUMN;
    node->type = table->children[index].type;
    node->index = index + shift;
    node->location = -1;
    return node;
}

static inline struct weir_node *less_of(struct weir_arena *arena, struct weir_node *a,
                                        struct weir_node *b)
{
    struct weir_node *node;
    OK(weir_arena_zero(arena, 1, sizeof *node, &node, error));
    node->kind = WEIR_NODE_COMPARE;
    node->compare = WEIR_LT;
    node->type = (struct weir_type){.id = WEIR_BOOLEAN};
    node->location = -1;
    node->argument_count = 2;
    OK(weir_arena_zero(arena, 2, sizeof *node->arguments, &node->arguments, error));
    node->arguments[0] = a;
    node->arguments[1] = b;
    return node;
}

/* ---- running ---- */

struct way {
    int threads;
    uint32_t batch_rows;
    enum weir_vector_kind force;
    bool spill; /* hardly any memory is left from the start */
};

/* Of long fixed values only the beginning. */
static inline void print_cell(struct weir_buffer *out, const struct weir_vector *vector,
                              uint32_t row)
{
    if (vector->type->id == WEIR_FIXED && vector->type->length > 8 &&
        weir_vector_valid(vector, row)) {
        struct weir_lane lane = weir_lane_of(vector);
        struct weir_bytes bytes = weir_lane_bytes(&lane, row);
        for (int i = 0; i < 8; i++)
            OK(weir_buffer_print(out, error, "%02x", bytes.data[i]));
    } else {
        print_value(out, vector, row);
    }
}

static inline weir_status print_batch(void *self, const struct weir_batch *batch,
                                      struct weir_error *reterr)
{
    struct weir_buffer *out = self;
    for (uint32_t row = 0; row < batch->count; row++) {
        for (uint32_t c = 0; c < batch->type->child_count; c++) {
            OK(weir_buffer_print(out, error, c ? " | " : ""));
            print_cell(out, &batch->columns[c], row);
        }
        OK(weir_buffer_print(out, error, "\n"));
    }
    return WEIR_OK;
}

#define RUN_LIMIT ((size_t)64 << 20)

/* The result's rows as lines appended to `out`. */
static inline weir_status run_plan(struct weir_operator *root, struct way way,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_context context;
    struct weir_account account;
    struct weir_spill *spill = NULL;
    char folder[] = "/tmp/weir-plan-test-XXXXXX";
    size_t taken = RUN_LIMIT / 4 * 3 + 1;
    weir_context_init(&context);
    context.thread_count = way.threads;
    weir_account_init(&account, NULL, "test", way.spill ? RUN_LIMIT : 0);
    cr_assert(mkdtemp(folder));
    if (way.spill) {
        OK(weir_spill_new(&account, folder, 0, &spill, error));
        OK(weir_account_charge(&account, taken, error));
    }
    struct weir_exec_options options = {.context = &context,
                                        .account = &account,
                                        .spill = spill,
                                        .batch_rows = way.batch_rows,
                                        .force = way.force};
    struct weir_result_sink sink = {.batch = print_batch, .self = out};
    weir_status status = weir_execute(&options, root, &sink, NULL, reterr);
    if (way.spill)
        weir_account_release(&account, taken);
    weir_spill_free(spill);
    cr_expect_eq(atomic_load(&account.used), 0, "%zu bytes are left", atomic_load(&account.used));
    cr_expect_eq(rmdir(folder), 0);
    weir_context_done(&context);
    return status;
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in order of their text, so that results can be compared whatever their order. */
static inline void sort_lines(struct weir_arena *arena, const struct weir_buffer *text,
                              struct weir_buffer *out)
{
    char *copy, **lines, *at;
    size_t count = 0;
    OK(weir_arena_copy(arena, text->data ? (const char *)text->data : "", text->size, &copy,
                       error));
    for (size_t i = 0; i < text->size; i++)
        count += copy[i] == '\n';
    OK(weir_arena_alloc(arena, (count + 1) * sizeof *lines, &lines, error));
    at = copy;
    for (size_t i = 0; i < count; i++) {
        lines[i] = at;
        at = strchr(at, '\n');
        *at++ = 0;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++)
        OK(weir_buffer_print(out, error, "%s\n", lines[i]));
}

/* Same bytes, or the first line that differs is told. */
static inline void expect_same_text(const struct weir_buffer *got, const struct weir_buffer *want,
                                    const char *what)
{
    size_t at = 0, line = 0, most = got->size < want->size ? got->size : want->size;
    for (; at < most && got->data[at] == want->data[at]; at++)
        line = got->data[at] == '\n' ? at + 1 : line;
    if (at == got->size && at == want->size)
        return;
    cr_assert_fail("%s: %zu and %zu bytes, differ at:\n got %.120s\nwant %.120s", what, got->size,
                   want->size, got->data ? (const char *)got->data + line : "",
                   want->data ? (const char *)want->data + line : "");
}

#endif
