/* Runs an AGGREGATE over the columns of a table without the rest of a plan: morsels and batches cut
 * as the test says, any kind of vector, any number of threads, spilling or not. */
#ifndef WEIR_TESTS_UNIT_EXEC_AGGREGATE_HELP_H
#define WEIR_TESTS_UNIT_EXEC_AGGREGATE_HELP_H

#include "engine/exec/aggregate.h"
#include "engine/exec/exec_int.h"
#include "tests/unit/exec/random_vector.h"

#include <stdlib.h>
#include <unistd.h>

struct table {
    struct weir_arena *arena;
    struct weir_type type;
    struct weir_vector columns[16]; /* flat */
    uint32_t count;
};

struct cut {
    uint32_t morsel_rows, batch_rows;
    enum weir_vector_kind kind;
    int threads;
    size_t limit; /* of memory; 0 = none */
};

static inline void table_add(struct table *table, const char *name, const char *type,
                             struct weir_vector *vector)
{
    struct weir_field *field;
    uint32_t at = table->type.child_count++;
    (void)type;
    if (at == 0) {
        table->type.id = WEIR_STRUCT;
        OK(weir_arena_zero(table->arena, 16, sizeof *field, &table->type.children, error));
    }
    field = &table->type.children[at];
    field->name = name;
    field->type = *vector->type;
    table->columns[at] = *vector;
    table->columns[at].type = &field->type;
}

static inline struct weir_node *column_node(struct table *table, uint32_t index)
{
    struct weir_node *node;
    OK(weir_arena_zero(table->arena, 1, sizeof *node, &node, error));
    node->kind = WEIR_NODE_COLUMN;
    node->type = table->type.children[index].type;
    node->index = index;
    node->location = -1;
    return node;
}

/* name(columns...), columns ended by -1. */
static inline struct weir_aggregate_call call_of(struct table *table, const char *name, int first,
                                                 int second)
{
    struct weir_aggregate_call call = {.function = weir_aggregate_find(name), .location = -1};
    cr_assert_not_null(call.function, "%s", name);
    OK(weir_arena_zero(table->arena, 2, sizeof *call.arguments, &call.arguments, error));
    if (first >= 0)
        call.arguments[call.argument_count++] = column_node(table, (uint32_t)first);
    if (second >= 0)
        call.arguments[call.argument_count++] = column_node(table, (uint32_t)second);
    OK(call.function->bind(table->arena, &call, error));
    return call;
}

static inline struct weir_operator *operator_of(struct table *table, const uint32_t *keys,
                                                uint32_t key_count,
                                                struct weir_aggregate_call *calls,
                                                uint32_t call_count, uint32_t set_count)
{
    struct weir_operator *operator;
    uint32_t width = key_count + call_count + (set_count > 1);
    OK(weir_arena_zero(table->arena, 1, sizeof *operator, & operator, error));
    operator->kind = WEIR_OP_AGGREGATE;
    operator->expression_count = key_count;
    OK(weir_arena_zero(table->arena, key_count + 1, sizeof *operator->expressions,
                       &operator->expressions, error));
    OK(weir_arena_zero(table->arena, width + 1, sizeof *operator->type.children,
                       &operator->type.children, error));
    operator->type.id = WEIR_STRUCT;
    operator->type.child_count = width;
    for (uint32_t k = 0; k < key_count; k++) {
        operator->expressions[k] = column_node(table, keys[k]);
        operator->type.children[k].type = operator->expressions[k]->type;
    }
    for (uint32_t c = 0; c < call_count; c++)
        operator->type.children[key_count + c].type = calls[c].type;
    if (set_count > 1)
        operator->type.children[width - 1].type.id = WEIR_INT;
    operator->aggregates = calls;
    operator->aggregate_count = call_count;
    operator->set_count = set_count;
    return operator;
}

/* ---- running ---- */

struct run_state {
    struct table *table;
    struct cut cut;
    struct exec exec;
    struct exec_sink *sink;
};

static inline void batch_of(struct weir_arena *arena, const struct table *table, struct cut cut,
                            uint32_t first, uint32_t count, struct weir_batch *ret)
{
    uint32_t width = table->type.child_count, *rows, *backwards;
    struct weir_vector *columns;
    OK(weir_arena_alloc(arena, (count + 1) * sizeof *rows, &rows, error));
    OK(weir_arena_alloc(arena, (count + 1) * sizeof *backwards, &backwards, error));
    OK(weir_arena_zero(arena, width + 1, sizeof *columns, &columns, error));
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = first + i;
        backwards[i] = count - 1 - i;
    }
    for (uint32_t c = 0; c < width; c++) {
        struct weir_selection selection = {count, rows}, turned = {count, backwards};
        struct weir_vector flat, *dictionary;
        OK(weir_vector_gather(arena, &table->columns[c], &selection, &flat, error));
        columns[c] = flat;
        if (count == 1 && cut.kind == WEIR_CONSTANT)
            columns[c].kind = WEIR_CONSTANT;
        if (cut.kind != WEIR_DICTIONARY || weir_type_is_nested(flat.type->id))
            continue;
        OK(weir_arena_zero(arena, 1, sizeof *dictionary, &dictionary, error));
        OK(weir_vector_gather(arena, &flat, &turned, dictionary, error));
        columns[c] = (struct weir_vector){.type = flat.type,
                                          .kind = WEIR_DICTIONARY,
                                          .count = count,
                                          .null_count = flat.null_count,
                                          .validity = flat.validity,
                                          .indices = backwards,
                                          .dictionary = dictionary};
    }
    *ret = (struct weir_batch){.type = &table->type, .count = count, .columns = columns};
}

static inline weir_status run_one_morsel(void *argument, size_t morsel, struct weir_error *reterr)
{
    struct run_state *run = argument;
    const struct exec_sink_operations *operations = run->sink->operations;
    struct weir_account account;
    WEIR_AUTO(weir_arena) arena;
    void *local = NULL;
    weir_account_init(&account, NULL, "input", 0);
    weir_arena_init(&arena, &account);
    WEIR_TRY(operations->begin(run->sink, morsel, &local, reterr));
    uint32_t at = (uint32_t)morsel * run->cut.morsel_rows, end = at + run->cut.morsel_rows;
    end = end > run->table->count ? run->table->count : end;
    weir_status status = WEIR_OK;
    while (at < end && status == WEIR_OK) {
        uint32_t count = end - at < run->cut.batch_rows ? end - at : run->cut.batch_rows;
        struct weir_batch batch;
        batch_of(&arena, run->table, run->cut, at, count, &batch);
        status = operations->batch(run->sink, local, &batch, reterr);
        at += count;
        weir_arena_reset(&arena);
    }
    if (status == WEIR_OK)
        return operations->end(run->sink, local, reterr);
    operations->abandon(run->sink, local);
    return status;
}

/* Each row as a line of text. */
static inline weir_status print_source(struct exec_source *source, struct weir_buffer *out,
                                       struct weir_error *reterr)
{
    const struct exec_source_operations *operations = source->operations;
    WEIR_AUTO(weir_arena) arena;
    weir_status status = WEIR_OK;
    weir_arena_init(&arena, source->exec->account);
    for (size_t m = 0; m < operations->morsel_count(source) && status == WEIR_OK; m++) {
        struct exec_reader *reader = NULL;
        status = operations->open(source, m, &reader, reterr);
        while (status == WEIR_OK && reader) {
            struct weir_batch batch = {0};
            weir_arena_reset(&arena);
            status = operations->next(reader, &arena, &batch, reterr);
            if (status != WEIR_OK || !batch.count)
                break;
            cr_assert_leq(batch.count, source->exec->batch_rows);
            for (uint32_t i = 0; i < batch.count; i++) {
                for (uint32_t c = 0; c < batch.type->child_count; c++) {
                    cr_assert_eq(batch.columns[c].type->id, batch.type->children[c].type.id);
                    OK(weir_buffer_print(out, error, c ? " | " : ""));
                    print_value(out, &batch.columns[c], i);
                }
                OK(weir_buffer_print(out, error, "\n"));
            }
        }
        operations->close(reader);
    }
    return status;
}

/* Lines of the result in the order they came; the bytes spilled by *ret_spilled (may be NULL). */
static inline weir_status run_aggregate(struct table *table, struct weir_operator *operator,
                                        struct cut cut, struct weir_buffer *out,
                                        uint64_t *ret_spilled, struct weir_error *reterr)
{
    struct weir_context context;
    struct weir_account account;
    struct weir_spill *spill = NULL;
    struct exec_source *source = NULL;
    struct run_state run = {.table = table, .cut = cut};
    char folder[64];
    snprintf(folder, sizeof folder, "/tmp/weir-aggregate-test-%d", (int)getpid());
    weir_context_init(&context);
    context.thread_count = cut.threads;
    weir_account_init(&account, NULL, "run", cut.limit);
    if (cut.limit)
        OK(weir_spill_new(&context.memory, folder, 0, &spill, error));
    struct weir_exec_options options = {
        .context = &context, .account = &account, .spill = spill, .batch_rows = cut.batch_rows};
    run.exec = (struct exec){.options = &options,
                             .context = &context,
                             .account = &account,
                             .batch_rows = cut.batch_rows};
    weir_status status = exec_aggregate_new(&run.exec, operator, & run.sink, reterr);
    if (status == WEIR_OK) {
        size_t morsels = (table->count + cut.morsel_rows - 1) / cut.morsel_rows;
        status = weir_parallel(&context, morsels, run_one_morsel, &run, reterr);
        if (status == WEIR_OK)
            status = run.sink->operations->finish(run.sink, &source, reterr);
        if (status == WEIR_OK)
            status = print_source(source, out, reterr);
        if (source)
            source->operations->free(source);
        run.sink->operations->free(run.sink);
    }
    if (ret_spilled)
        *ret_spilled = atomic_load(&operator->counters.bytes_spilled);
    atomic_store(&operator->counters.bytes_spilled, 0);
    weir_spill_free(spill);
    rmdir(folder);
    cr_assert_eq(atomic_load(&account.used), 0, "%zu bytes left", atomic_load(&account.used));
    weir_context_done(&context);
    return status;
}

/* ---- lines ---- */

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The text's lines, sorted, put together again. */
static inline void sort_lines(struct weir_buffer *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->size; i++)
        count += text->data[i] == '\n';
    char **lines = malloc((count + 1) * sizeof *lines), *copy = malloc(text->size + 1), *at = copy;
    if (text->size)
        memcpy(copy, text->data, text->size);
    for (size_t i = 0; i < count; i++) {
        lines[i] = at;
        at = memchr(at, '\n', text->size - (size_t)(at - copy));
        *at++ = '\0';
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    weir_buffer_clear(text);
    for (size_t i = 0; i < count; i++)
        OK(weir_buffer_print(text, error, "%s\n", lines[i]));
    free(lines);
    free(copy);
}

static inline void assert_same_text(const struct weir_buffer *wanted, const struct weir_buffer *got,
                                    const char *what)
{
    const char *a = wanted->size ? (const char *)wanted->data : "",
               *b = got->size ? (const char *)got->data : "";
    while (*a && *a == *b)
        a++, b++;
    if (*a == *b)
        return;
    while (a > (const char *)wanted->data && a[-1] != '\n')
        a--, b--;
    cr_assert(false, "%s: wanted %.*s got %.*s", what, (int)strcspn(a, "\n"), a,
              (int)strcspn(b, "\n"), b);
}

#endif
