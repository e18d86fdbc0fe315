/* Feeds batches to a blocking operator's sink and reads the source it becomes, without a driver:
 * morsels in parallel, as the driver runs them. */
#ifndef WEIR_TESTS_UNIT_EXEC_SORT_HELP_H
#define WEIR_TESTS_UNIT_EXEC_SORT_HELP_H

#include "engine/exec/exec_int.h"
#include "tests/unit/exec/random_vector.h"

#include <stdlib.h>
#include <unistd.h>

/* The room's own wins where it is linked. */
__attribute__((weak)) bool exec_should_spill(const struct exec *exec)
{
    const struct weir_account *account = exec->account;
    return account->limit && atomic_load(&account->used) > account->limit / 4 * 3;
}

struct rig {
    struct weir_account account; /* of the operator; the tests' own data is elsewhere */
    struct weir_context context;
    struct weir_exec_options options;
    struct weir_operator operator;
    struct exec exec;
    char folder[64];
};

static inline void rig_up(struct rig *rig, int threads, uint32_t batch_rows, size_t limit)
{
    memset(rig, 0, sizeof *rig);
    weir_context_init(&rig->context);
    rig->context.thread_count = threads;
    weir_account_init(&rig->account, NULL, "test", limit);
    strcpy(rig->folder, "/tmp/weir-sort-test-XXXXXX");
    cr_assert(mkdtemp(rig->folder));
    rig->options = (struct weir_exec_options){.context = &rig->context, .account = &rig->account};
    if (limit)
        OK(weir_spill_new(&rig->account, rig->folder, 0, &rig->options.spill, error));
    rig->exec = (struct exec){.options = &rig->options,
                              .context = &rig->context,
                              .account = &rig->account,
                              .batch_rows = batch_rows};
    weir_arena_init(&rig->exec.arena, &rig->account);
    rig->operator.limit = - 1;
}

static inline void rig_down(struct rig *rig)
{
    weir_arena_done(&rig->exec.arena);
    weir_spill_free(rig->options.spill);
    cr_expect_eq(atomic_load(&rig->account.used), 0, "%zu bytes are left",
                 atomic_load(&rig->account.used));
    cr_expect_eq(rmdir(rig->folder), 0);
    weir_context_done(&rig->context);
}

/* One morsel is a run of batches. */
struct morsels {
    struct weir_batch **batches; /* by morsel */
    uint32_t *counts;
    size_t count;
};

struct feeding {
    struct exec_sink *sink;
    const struct morsels *morsels;
};

static inline weir_status feed_morsel(void *argument, size_t index, struct weir_error *reterr)
{
    const struct feeding *feeding = argument;
    struct exec_sink *sink = feeding->sink;
    void *local = NULL;
    WEIR_TRY(sink->operations->begin(sink, index, &local, reterr));
    for (uint32_t i = 0; i < feeding->morsels->counts[index]; i++) {
        weir_status status = sink->operations->batch(sink, local,
                                                     &feeding->morsels->batches[index][i], reterr);
        if (status != WEIR_OK) {
            sink->operations->abandon(sink, local);
            return status;
        }
    }
    return sink->operations->end(sink, local, reterr);
}

struct reading {
    struct exec_source *source;
    struct weir_buffer *texts; /* by morsel */
};

static inline void print_rows(struct weir_buffer *out, const struct weir_batch *batch)
{
    for (uint32_t row = 0; row < batch->count; row++) {
        for (uint32_t c = 0; c < batch->type->child_count; c++) {
            if (c)
                OK(weir_buffer_print(out, error, " | "));
            print_value(out, &batch->columns[c], row);
        }
        OK(weir_buffer_print(out, error, "\n"));
    }
}

static inline weir_status read_morsel(void *argument, size_t index, struct weir_error *reterr)
{
    const struct reading *reading = argument;
    struct exec_source *source = reading->source;
    struct exec_reader *reader = NULL;
    struct weir_arena arena;
    weir_status status;
    weir_arena_init(&arena, source->exec->account);
    WEIR_TRY_OUT(status, source->operations->open(source, index, &reader, reterr));
    while (reader) {
        struct weir_batch batch = {0};
        WEIR_TRY_OUT(status, source->operations->next(reader, &arena, &batch, reterr));
        if (batch.count == 0)
            break;
        cr_expect_leq(batch.count, source->exec->batch_rows);
        print_rows(&reading->texts[index], &batch);
        weir_arena_reset(&arena);
    }
out:
    source->operations->close(reader);
    weir_arena_done(&arena);
    return status;
}

/* Runs the operator over the morsels; rows as text into *out. */
static inline weir_status rig_run(struct rig *rig, struct exec_sink *sink,
                                  const struct morsels *morsels, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    struct feeding feeding = {sink, morsels};
    struct exec_source *source = NULL;
    weir_status status = weir_parallel(&rig->context, morsels->count, feed_morsel, &feeding,
                                       reterr);
    if (status == WEIR_OK)
        status = sink->operations->finish(sink, &source, reterr);
    if (status == WEIR_OK) {
        size_t count = source->operations->morsel_count(source);
        struct reading reading = {.source = source,
                                  .texts = calloc(count + 1, sizeof *reading.texts)};
        for (size_t i = 0; i < count; i++)
            weir_buffer_init(&reading.texts[i], out->account);
        status = weir_parallel(&rig->context, count, read_morsel, &reading, reterr);
        for (size_t i = 0; i < count; i++) {
            OK(weir_buffer_append(out, reading.texts[i].data, reading.texts[i].size, error));
            weir_buffer_done(&reading.texts[i]);
        }
        free(reading.texts);
        source->operations->free(source);
    }
    sink->operations->free(sink);
    OK(weir_buffer_append(out, "", 1, error));
    out->size--;
    return status;
}

/* Random rows of `type`, cut into morsels and batches of random sizes. */
static inline void random_morsels(struct weir_arena *arena, struct dice *dice,
                                  const struct weir_type *type, size_t morsel_count,
                                  uint32_t rows_max, uint32_t null_percent, struct morsels *ret)
{
    ret->count = morsel_count;
    OK(weir_arena_zero(arena, morsel_count + 1, sizeof *ret->batches, &ret->batches, error));
    OK(weir_arena_zero(arena, morsel_count + 1, sizeof *ret->counts, &ret->counts, error));
    for (size_t m = 0; m < morsel_count; m++) {
        ret->counts[m] = roll_below(dice, 4);
        OK(weir_arena_zero(arena, ret->counts[m] + 1, sizeof **ret->batches, &ret->batches[m],
                           error));
        for (uint32_t b = 0; b < ret->counts[m]; b++) {
            struct weir_batch *batch = &ret->batches[m][b];
            *batch = (struct weir_batch){.type = type, .count = 1 + roll_below(dice, rows_max)};
            OK(weir_arena_zero(arena, type->child_count + 1, sizeof *batch->columns,
                               &batch->columns, error));
            for (uint32_t c = 0; c < type->child_count; c++) {
                const struct weir_type *column = &type->children[c].type;
                uint32_t kind = column->id >= WEIR_STRUCT ? 0 : roll_below(dice, 6);
                batch->columns[c] = random_vector(arena, dice, column,
                                                  kind == 0   ? WEIR_FLAT
                                                  : kind == 1 ? WEIR_CONSTANT
                                                  : kind == 2 ? WEIR_DICTIONARY
                                                              : WEIR_FLAT,
                                                  batch->count, null_percent);
            }
        }
    }
}

#endif
