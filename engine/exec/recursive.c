/* WITH RECURSIVE: children[0] gives the first rows; children[1] is run over the rows of the round
 * before (WORKING) until there are none. Each round's rows go on as soon as they are there, and
 * only one round is held, as rows that go to a file when memory is short. UNION without ALL also
 * holds every row there has been, in memory. What a round made (tables of joins, groups) is freed
 * with it; what does not depend on the rounds is read once. */
#include "engine/exec/driver_int.h"

#include <string.h>

struct round { /* the rows of one */
    struct exec_sink *sink;
    struct exec_source *source;
};

struct seen { /* UNION: the rows there have been */
    struct weir_arena arena;
    struct weir_row_layout layout; /* header: their hash */
    struct weir_row_store store;
    uint8_t **directory; /* open addressing */
    uint64_t size, count;
};

static void round_free(struct round *round)
{
    if (round->source)
        round->source->operations->free(round->source);
    if (round->sink)
        round->sink->operations->free(round->sink);
    *round = (struct round){0};
}

/* ---- rows there have been ---- */

static weir_status seen_init(struct exec *exec, const struct weir_operator *operator,
                             struct seen * ret, struct weir_error *reterr)
{
    uint32_t count = operator->type.child_count;
    struct weir_type *types;
    *ret = (struct seen){0};
    weir_arena_init(&ret->arena, exec->account);
    weir_row_store_init(&ret->store, exec->account);
    WEIR_TRY(weir_arena_zero(&ret->arena, count + 1, sizeof *types, &types, reterr));
    for (uint32_t i = 0; i < count; i++)
        types[i] = operator->type.children[i].type;
    return weir_row_layout_init(&ret->arena, types, count, sizeof(uint64_t), true, &ret->layout,
                                reterr);
}

static void seen_done(struct seen *seen)
{
    weir_free(seen->directory);
    weir_row_store_done(&seen->store);
    weir_arena_done(&seen->arena);
}

static uint64_t hash_of(const uint8_t *row)
{
    uint64_t hash;
    memcpy(&hash, row, sizeof hash);
    return hash;
}

static uint8_t **slot_of(const struct seen *seen, const uint8_t *row)
{
    uint64_t mask = seen->size - 1, at = hash_of(row) & mask;
    while (seen->directory[at] && (hash_of(seen->directory[at]) != hash_of(row) ||
                                   !weir_rows_equal(&seen->layout, seen->directory[at], row)))
        at = (at + 1) & mask;
    return &seen->directory[at];
}

static weir_status seen_grow(struct seen *seen, struct weir_error *reterr)
{
    if (seen->count * 2 < seen->size)
        return WEIR_OK;
    uint8_t **before = seen->directory, **made;
    uint64_t size = seen->size;
    WEIR_TRY(
        weir_alloc_zero(seen->store.account, size ? size * 2 : 1024, sizeof *made, &made, reterr));
    seen->directory = made;
    seen->size = size ? size * 2 : 1024;
    for (uint64_t i = 0; i < size; i++)
        if (before[i])
            *slot_of(seen, before[i]) = before[i];
    weir_free(before);
    return WEIR_OK;
}

/* Which rows of the batch are new; they are seen from now on. */
static weir_status seen_add(struct seen *seen, const struct weir_batch *batch,
                            struct weir_arena *arena, struct weir_selection *ret,
                            struct weir_error *reterr)
{
    uint32_t *sizes, *rows, count = 0;
    uint64_t *hashes;
    uint8_t **places, *bytes;
    size_t total = 0;
    WEIR_TRY(weir_arena_zero(arena, batch->count + 1, sizeof *hashes, &hashes, reterr));
    WEIR_TRY(weir_arena_zero(arena, batch->count + 1, sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_zero(arena, batch->count + 1, sizeof *rows, &rows, reterr));
    WEIR_TRY(weir_arena_zero(arena, batch->count + 1, sizeof *places, &places, reterr));
    for (uint32_t c = 0; c < seen->layout.count; c++)
        weir_vector_hash(&batch->columns[c], batch->count, c > 0, hashes);
    WEIR_TRY(weir_rows_size(&seen->layout, batch->columns, NULL, batch->count, sizes, reterr));
    for (uint32_t i = 0; i < batch->count; i++)
        total += sizes[i];
    WEIR_TRY(weir_arena_alloc(arena, total + 8, &bytes, reterr));
    for (uint32_t i = 0; i < batch->count; i++) {
        places[i] = bytes;
        bytes += sizes[i];
    }
    weir_rows_write(&seen->layout, batch->columns, NULL, batch->count, places);
    for (uint32_t i = 0; i < batch->count; i++) {
        uint8_t *copy;
        memcpy(places[i], &hashes[i], sizeof hashes[i]);
        WEIR_TRY(seen_grow(seen, reterr));
        uint8_t **slot = slot_of(seen, places[i]);
        if (*slot)
            continue;
        WEIR_TRY(weir_row_store_add(&seen->store, sizes[i], &copy, reterr));
        memcpy(copy, places[i], sizes[i]);
        *slot = copy;
        seen->count++;
        rows[count++] = i;
    }
    *ret = (struct weir_selection){count, rows};
    return WEIR_OK;
}

/* ---- one round ---- */

static weir_status new_rows_of(struct exec *exec, struct seen *seen, struct exec_source *source,
                               size_t morsel, struct exec_sink *sink, void *local,
                               struct weir_error *reterr)
{
    struct exec_reader *reader = NULL;
    struct weir_arena arena;
    weir_status status;
    weir_arena_init(&arena, exec->account);
    WEIR_TRY_OUT(status, source->operations->open(source, morsel, &reader, reterr));
    for (;;) {
        struct weir_batch batch = {0}, fresh;
        struct weir_selection rows;
        weir_arena_reset(&arena);
        WEIR_TRY_OUT(status, weir_context_check(exec->context, reterr));
        WEIR_TRY_OUT(status, source->operations->next(reader, &arena, &batch, reterr));
        if (batch.count == 0)
            break;
        WEIR_TRY_OUT(status, seen_add(seen, &batch, &arena, &rows, reterr));
        if (rows.count == 0)
            continue;
        WEIR_TRY_OUT(status, exec_slice(&arena, &batch, &rows, &fresh, reterr));
        WEIR_TRY_OUT(status, sink->operations->batch(sink, local, &fresh, reterr));
    }
out:
    source->operations->close(reader);
    weir_arena_done(&arena);
    return status;
}

/* The round's rows that there have not been yet, in their order. */
static weir_status only_new(struct exec *exec, struct weir_operator *operator, struct seen * seen,
                            struct round *round, struct weir_error *reterr)
{
    struct round made = {0};
    void *local = NULL;
    weir_status status;
    WEIR_TRY(exec_buffer_new(exec, operator, & made.sink, reterr));
    WEIR_TRY_OUT(status, made.sink->operations->begin(made.sink, 0, &local, reterr));
    size_t count = round->source->operations->morsel_count(round->source);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY_OUT(status, new_rows_of(exec, seen, round->source, i, made.sink, local, reterr));
    WEIR_TRY_OUT(status, made.sink->operations->end(made.sink, local, reterr));
    WEIR_TRY_OUT(status, made.sink->operations->finish(made.sink, &made.source, reterr));
    round_free(round);
    *round = made;
    return WEIR_OK;
out:
    round_free(&made);
    return status;
}

static weir_status run_round(struct exec *exec, struct weir_operator *operator, uint32_t child,
                             struct seen *seen, struct round *ret, struct weir_error *reterr)
{
    struct round round = {0};
    size_t morsels = 0;
    weir_status status;
    bool enough = atomic_exchange(&exec->enough, false);
    WEIR_TRY(exec_buffer_new(exec, operator, & round.sink, reterr));
    WEIR_TRY_OUT(status, exec_run_operator(exec, operator->children[child], NULL, round.sink,
                                           &morsels, reterr));
    WEIR_TRY_OUT(status, round.sink->operations->finish(round.sink, &round.source, reterr));
    if (!operator->all)
        WEIR_TRY_OUT(status, only_new(exec, operator, seen, &round, reterr));
    atomic_store(&exec->enough, enough);
    *ret = round;
    return WEIR_OK;
out:
    round_free(&round);
    return status;
}

/* ---- all of them ---- */

static bool depends(const struct weir_operator *step, const struct weir_operator *on)
{
    bool found = step->kind == WEIR_OP_WORKING && step->recursive == on;
    for (uint32_t i = 0; i < step->child_count && !found; i++)
        found = depends(step->children[i], on);
    return found;
}

/* Rows that are read in every round and do not change are made before the first. */
static weir_status share_fixed(struct exec *exec, struct weir_operator *step,
                               const struct weir_operator *recursive, struct weir_error *reterr)
{
    if (step->kind == WEIR_OP_SHARED && !depends(step, recursive))
        return exec_share(exec, step, reterr);
    for (uint32_t i = 0; i < step->child_count; i++)
        WEIR_TRY(share_fixed(exec, step->children[i], recursive, reterr));
    return WEIR_OK;
}

/* What a round leaves behind was freed with it. */
static void forget_round(struct weir_operator *step, const struct weir_operator *recursive)
{
    if (step->kind == WEIR_OP_SHARED && !depends(step, recursive))
        return;
    step->state = NULL;
    for (uint32_t i = 0; i < step->child_count; i++)
        forget_round(step->children[i], recursive);
}

static weir_status run_rounds(struct exec *exec, struct weir_operator *operator, struct seen * seen,
                              struct round *round, struct steps *steps, struct exec_sink *sink,
                              size_t *morsels, struct weir_error *reterr)
{
    WEIR_TRY(run_round(exec, operator, 0, seen, round, reterr));
    WEIR_TRY(share_fixed(exec, operator->children[1], operator, reterr));
    for (uint32_t count = 1; round->source->operations->morsel_count(round->source); count++) {
        struct round next;
        WEIR_TRY(weir_context_check(exec->context, reterr));
        WEIR_TRY(exec_run_phase(exec, round->source, steps, sink, morsels, reterr));
        if (atomic_load(&exec->enough))
            break;
        if (count > WEIR_SQL_ROUNDS_MAX)
            return weir_fail(reterr, WEIR_FAILED,
                             "WITH RECURSIVE is not done after %d rounds: does it end?",
                             WEIR_SQL_ROUNDS_MAX);
        struct exec_kept *before = exec->kept;
        operator->state = round->source;
        weir_status status = run_round(exec, operator, 1, seen, &next, reterr);
        exec_release_to(exec, before);
        forget_round(operator->children[1], operator);
        if (status != WEIR_OK)
            return status;
        round_free(round);
        *round = next;
    }
    return WEIR_OK;
}

weir_status exec_run_recursive(struct exec *exec, struct weir_operator *operator,
                               struct steps * steps, struct exec_sink *sink, size_t *morsels,
                               struct weir_error *reterr)
{
    struct seen seen;
    struct round round = {0};
    weir_status status = seen_init(exec, operator, & seen, reterr);
    if (status == WEIR_OK)
        status = run_rounds(exec, operator, & seen, &round, steps, sink, morsels, reterr);
    operator->state = NULL;
    round_free(&round);
    seen_done(&seen);
    return status;
}

weir_status exec_run_working(struct exec *exec, struct weir_operator *operator,
                             struct steps * steps, struct exec_sink *sink, size_t *morsels,
                             struct weir_error *reterr)
{
    struct exec_source *source = operator->recursive->state;
    struct weir_operator *owner = source->operator;
    source->operator= operator; /* whose rows these are now */
    weir_status status = exec_run_phase(exec, source, steps, sink, morsels, reterr);
    source->operator= owner;
    return status;
}
