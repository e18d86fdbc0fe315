/* Cuts a plan into pipelines and runs them, one after the other, each in parallel over its morsels.
 *
 * run_operator(op, steps, sink) makes op's rows flow through `steps` into `sink`. Operators that
 * stream put a step in front and go on with their child; operators that block run their own
 * pipeline first and become a source. */
#include "engine/exec/driver_int.h"

#include <string.h>
#include <time.h>

/* ---- one morsel on its way ---- */

struct link {
    struct exec_step *step;
    void *local;
};

struct exec_chain {
    struct run *run;
    uint32_t at; /* link to go through next; link_count: the sink */
};

struct run {
    struct exec *exec;
    struct exec_sink *sink;
    void *sink_local;
    struct link *links;
    struct exec_chain *chains;        /* link_count + 1 */
    struct weir_operator **producers; /* whose rows enter links[i] */
    uint32_t link_count;
    uint64_t nested; /* nanoseconds spent below the call that is being timed */
};

static uint64_t cpu_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static weir_status chain_call(struct exec_chain *chain, const struct weir_batch *batch,
                              struct weir_error *reterr)
{
    struct run *run = chain->run;
    if (chain->at == run->link_count)
        return run->sink->operations->batch(run->sink, run->sink_local, batch, reterr);
    struct link *link = &run->links[chain->at];
    return link->step->operations->batch(link->step, link->local, batch,
                                         &run->chains[chain->at + 1], reterr);
}

static void charge_time(struct weir_operator *operator, uint64_t nanoseconds)
{
    if (operator)
        atomic_fetch_add_explicit(&operator->counters.nanoseconds, nanoseconds,
                                  memory_order_relaxed);
}

static struct weir_operator *owner_of(const struct exec_chain *chain)
{
    const struct run *run = chain->run;
    return chain->at == run->link_count ? run->sink->operator: run->links[chain->at].step->operator;
}

weir_status exec_push(struct exec_chain *next, const struct weir_batch *batch,
                      struct weir_error *reterr)
{
    struct run *run = next->run;
    struct weir_operator *producer = run->producers[next->at];
    if (batch->count == 0)
        return WEIR_OK;
    /* one batch may become many in a join: whoever asks to stop does not wait for all of them */
    WEIR_TRY(weir_context_check(run->exec->context, reterr));
    if (producer) {
        atomic_fetch_add_explicit(&producer->counters.rows_out, batch->count, memory_order_relaxed);
        atomic_fetch_add_explicit(&producer->counters.batches_out, 1, memory_order_relaxed);
    }
    if (!run->exec->options->timed)
        return chain_call(next, batch, reterr);
    uint64_t outer = run->nested, start = cpu_now();
    run->nested = 0;
    weir_status status = chain_call(next, batch, reterr);
    uint64_t spent = cpu_now() - start;
    charge_time(owner_of(next), spent - (run->nested < spent ? run->nested : spent));
    run->nested = outer + spent;
    return status;
}

/* ---- a phase: all morsels of one source ---- */

struct phase {
    struct exec *exec;
    struct exec_source *source;
    struct exec_step **steps;
    uint32_t step_count;
    struct exec_sink *sink;
    size_t first_morsel; /* number of this phase's first morsel in the sink */
    size_t morsel_count;
    uint64_t rows_a_morsel; /* of a scan, for progress */
};

static weir_status run_begin(struct run *run, struct phase *phase, size_t morsel,
                             struct weir_arena *arena, struct weir_error *reterr)
{
    uint32_t count = phase->step_count;
    *run = (struct run){.exec = phase->exec, .sink = phase->sink};
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *run->links, &run->links, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *run->chains, &run->chains, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *run->producers, &run->producers, reterr));
    run->producers[0] = phase->source->operator;
    for (uint32_t i = 0; i <= count; i++)
        run->chains[i] = (struct exec_chain){.run = run, .at = i};
    for (uint32_t i = 0; i < count; i++) {
        struct exec_step *step = phase->steps[i];
        run->links[i].step = step;
        run->producers[i + 1] = step->operator;
        run->link_count = i + 1;
        WEIR_TRY(step->operations->begin(step, morsel, &run->links[i].local, reterr));
    }
    return phase->sink->operations->begin(phase->sink, morsel, &run->sink_local, reterr);
}

static weir_status run_batches(struct run *run, struct phase *phase, size_t morsel,
                               struct weir_error *reterr)
{
    struct exec_reader *reader = NULL;
    struct weir_arena arena;
    weir_status status;
    uint64_t start = 0;
    bool timed = phase->exec->options->timed;
    weir_arena_init(&arena, phase->exec->account);
    if (timed)
        start = cpu_now();
    WEIR_TRY_OUT(status, phase->source->operations->open(phase->source, morsel, &reader, reterr));
    while (reader) {
        struct weir_batch batch = {0};
        WEIR_TRY_OUT(status, weir_context_check(phase->exec->context, reterr));
        if (atomic_load_explicit(&phase->exec->enough, memory_order_relaxed))
            break;
        WEIR_TRY_OUT(status, phase->source->operations->next(reader, &arena, &batch, reterr));
        if (batch.count == 0)
            break;
        WEIR_TRY_OUT(status,
                     exec_push_forced(&run->chains[0], &batch, phase->exec, &arena, reterr));
        weir_arena_reset(&arena);
    }
    status = WEIR_OK;
    if (timed) {
        uint64_t spent = cpu_now() - start;
        charge_time(phase->source->operator, spent -(run->nested < spent ? run->nested : spent));
    }
    for (uint32_t i = 0; i < run->link_count && status == WEIR_OK; i++) {
        struct exec_step *step = run->links[i].step;
        if (step->operations->finish)
            status = step->operations->finish(step, run->links[i].local, &run->chains[i + 1],
                                              reterr);
    }
out:
    phase->source->operations->close(reader);
    weir_arena_done(&arena);
    return status;
}

/* Share of the rows of all scans whose morsels are done. */
static void tell_progress(struct phase *phase)
{
    struct exec *exec = phase->exec;
    uint64_t rows = atomic_fetch_add(&exec->scanned_rows, phase->rows_a_morsel);
    if (!exec->options->progress || !exec->scan_rows || atomic_flag_test_and_set(&exec->telling))
        return;
    double share = (double)(rows + phase->rows_a_morsel) / (double)exec->scan_rows;
    exec->options->progress(exec->options->progress_self, share > 1 ? 1 : share);
    atomic_flag_clear(&exec->telling);
}

static uint64_t source_rows(const struct weir_operator *step)
{
    bool exact;
    if (step->kind != WEIR_OP_SCAN)
        return 0;
    return step->source->operations->row_count(step->source->self, &exact);
}

static uint64_t plan_rows(const struct weir_operator *operator)
{
    uint64_t rows = source_rows(operator);
    for (uint32_t i = 0; i < operator->child_count; i++)
        rows += plan_rows(operator->children[i]);
    return rows;
}

static weir_status run_morsel(void *argument, size_t index, struct weir_error *reterr)
{
    struct phase *phase = argument;
    struct run run = {0};
    struct weir_arena arena;
    if (atomic_load_explicit(&phase->exec->enough, memory_order_relaxed))
        return WEIR_OK;
    weir_arena_init(&arena, phase->exec->account);
    weir_status status = run_begin(&run, phase, phase->first_morsel + index, &arena, reterr);
    if (status == WEIR_OK)
        status = run_batches(&run, phase, index, reterr);
    for (uint32_t i = 0; i < run.link_count; i++)
        run.links[i].step->operations->end(run.links[i].step, run.links[i].local);
    if (status == WEIR_OK)
        status = phase->sink->operations->end(phase->sink, run.sink_local, reterr);
    else if (run.sink_local)
        phase->sink->operations->abandon(phase->sink, run.sink_local);
    weir_arena_done(&arena);
    /* the first failure ends the others' work too */
    if (status != WEIR_OK)
        atomic_store(&phase->exec->enough, true);
    tell_progress(phase);
    return status;
}

weir_status exec_run_phase(struct exec *exec, struct exec_source *source, struct steps *steps,
                           struct exec_sink *sink, size_t *morsels, struct weir_error *reterr)
{
    struct phase phase = {.exec = exec, .source = source, .sink = sink, .first_morsel = *morsels};
    phase.morsel_count = source->operations->morsel_count(source);
    if (phase.morsel_count)
        phase.rows_a_morsel = source_rows(source->operator) / phase.morsel_count;
    for (struct steps *at = steps; at; at = at->next)
        phase.step_count++;
    WEIR_TRY(weir_arena_zero(&exec->arena, phase.step_count + 1, sizeof *phase.steps, &phase.steps,
                             reterr));
    uint32_t i = 0;
    for (struct steps *at = steps; at; at = at->next)
        phase.steps[i++] = at->step;
    *morsels += phase.morsel_count;
    return weir_parallel(exec->context, phase.morsel_count, run_morsel, &phase, reterr);
}

/* ---- operators ---- */

static weir_status run_source(struct exec *exec, struct exec_source *source, struct steps *steps,
                              struct exec_sink *sink, size_t *morsels, struct weir_error *reterr)
{
    if (!source)
        return WEIR_OK;
    WEIR_TRY(exec_keep_source(exec, source, reterr));
    return exec_run_phase(exec, source, steps, sink, morsels, reterr);
}

/* Runs the child into the operator's own sink and gives the source it becomes. */
static weir_status run_blocking(struct exec *exec, struct weir_operator *operator,
                                struct exec_sink * own, struct exec_source **ret_source,
                                struct weir_error *reterr)
{
    size_t morsels = 0;
    bool enough = atomic_exchange(&exec->enough, false);
    WEIR_TRY(exec_keep_sink(exec, own, reterr));
    for (uint32_t i = 0; i < operator->child_count; i++) {
        if (operator->kind == WEIR_OP_JOIN && i == 0)
            continue; /* only the build side ends here */
        if (operator->kind == WEIR_OP_SET)
            exec_set_side(own, i);
        WEIR_TRY(exec_run_operator(exec, operator->children[i], NULL, own, &morsels, reterr));
    }
    atomic_store(&exec->enough, enough);
    return own->operations->finish(own, ret_source, reterr);
}

static weir_status run_join(struct exec *exec, struct weir_operator *operator, struct steps * steps,
                            struct exec_sink *sink, size_t *morsels, struct weir_error *reterr)
{
    struct exec_sink *build;
    struct exec_source *source = NULL;
    struct steps probe = {.next = steps};
    WEIR_TRY(exec_join_build_new(exec, operator, & build, reterr));
    WEIR_TRY(run_blocking(exec, operator, build, &source, reterr));
    operator->state = build;
    WEIR_TRY(exec_join_probe_new(exec, operator, build, &probe.step, reterr));
    WEIR_TRY(exec_keep_step(exec, probe.step, reterr));
    WEIR_TRY(exec_run_operator(exec, operator->children[0], &probe, sink, morsels, reterr));
    if (atomic_load(&exec->enough) || !probe.step->operations->remainder)
        return WEIR_OK;
    struct exec_source *remainder = NULL;
    WEIR_TRY(probe.step->operations->remainder(probe.step, &remainder, reterr));
    return run_source(exec, remainder, steps, sink, morsels, reterr);
}

static weir_status run_step(struct exec *exec, struct weir_operator *operator, struct steps * steps,
                            struct exec_sink *sink, size_t *morsels, struct weir_error *reterr)
{
    struct steps own = {.next = steps};
    WEIR_TRY(operator->kind == WEIR_OP_FILTER ? exec_filter_new(exec, operator, & own.step, reterr)
             :
             operator->kind == WEIR_OP_PROJECT
                 ? exec_project_new(exec, operator, & own.step, reterr)
                 : exec_unnest_new(exec, operator, & own.step, reterr));
    WEIR_TRY(exec_keep_step(exec, own.step, reterr));
    return exec_run_operator(exec, operator->children[0], &own, sink, morsels, reterr);
}

static weir_status blocking_sink(struct exec *exec, struct weir_operator *operator,
                                 struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    switch (operator->kind) {
    case WEIR_OP_AGGREGATE: return exec_aggregate_new(exec, operator, ret_sink, reterr);
    case WEIR_OP_SORT: return exec_sort_new(exec, operator, ret_sink, reterr);
    case WEIR_OP_WINDOW: return exec_window_new(exec, operator, ret_sink, reterr);
    case WEIR_OP_SET: return exec_set_new(exec, operator, ret_sink, reterr);
    default: return exec_buffer_new(exec, operator, ret_sink, reterr); /* LIMIT, SHARED */
    }
}

weir_status exec_share(struct exec *exec, struct weir_operator *operator,
                       struct weir_error * reterr)
{
    struct exec_source *source = NULL;
    struct exec_sink *own;
    if (operator->state)
        return WEIR_OK;
    WEIR_TRY(blocking_sink(exec, operator, & own, reterr));
    WEIR_TRY(run_blocking(exec, operator, own, &source, reterr));
    WEIR_TRY(exec_keep_source(exec, source, reterr));
    operator->state = source;
    return WEIR_OK;
}

weir_status exec_run_operator(struct exec *exec, struct weir_operator *operator,
                              struct steps * steps, struct exec_sink *sink, size_t *morsels,
                              struct weir_error *reterr)
{
    struct exec_source *source = NULL;
    struct exec_sink *own;
    switch (operator->kind) {
    case WEIR_OP_SCAN:
        WEIR_TRY(exec_scan_new(exec, operator, & source, reterr));
        return run_source(exec, source, steps, sink, morsels, reterr);
    case WEIR_OP_VALUES:
        WEIR_TRY(exec_values_new(exec, operator, & source, reterr));
        return run_source(exec, source, steps, sink, morsels, reterr);
    case WEIR_OP_FILTER:
    case WEIR_OP_PROJECT:
    case WEIR_OP_UNNEST: return run_step(exec, operator, steps, sink, morsels, reterr);
    case WEIR_OP_JOIN: return run_join(exec, operator, steps, sink, morsels, reterr);
    case WEIR_OP_UNION_ALL:
        for (uint32_t i = 0; i < operator->child_count; i++)
            WEIR_TRY(exec_run_operator(exec, operator->children[i], steps, sink, morsels, reterr));
        return WEIR_OK;
    case WEIR_OP_SHARED:
        WEIR_TRY(exec_share(exec, operator, reterr));
        return exec_run_phase(exec, operator->state, steps, sink, morsels, reterr);
    case WEIR_OP_RECURSIVE: return exec_run_recursive(exec, operator, steps, sink, morsels, reterr);
    case WEIR_OP_WORKING: return exec_run_working(exec, operator, steps, sink, morsels, reterr);
    default: break;
    }
    WEIR_TRY(blocking_sink(exec, operator, & own, reterr));
    WEIR_TRY(run_blocking(exec, operator, own, &source, reterr));
    return run_source(exec, source, steps, sink, morsels, reterr);
}

static void forget_state(struct weir_operator *operator)
{
    operator->state = NULL;
    for (uint32_t i = 0; i < operator->child_count; i++)
        forget_state(operator->children[i]);
}

weir_status weir_execute(const struct weir_exec_options *options, struct weir_operator *root,
                         const struct weir_result_sink *result, int *ret_location,
                         struct weir_error *reterr)
{
    struct exec exec = {.options = options,
                        .context = options->context,
                        .account = options->account,
                        .batch_rows = options->batch_rows ? options->batch_rows : WEIR_BATCH_ROWS};
    struct exec_sink *sink = NULL;
    struct exec_source *none = NULL;
    size_t morsels = 0;
    weir_status status;
    atomic_init(&exec.location, -1);
    atomic_flag_clear(&exec.telling);
    exec.scan_rows = plan_rows(root);
    weir_arena_init(&exec.arena, options->account);
    forget_state(root);
    WEIR_TRY_OUT(status, exec_result_new(&exec, root, result, &sink, reterr));
    WEIR_TRY_OUT(status, exec_keep_sink(&exec, sink, reterr));
    WEIR_TRY_OUT(status, exec_run_operator(&exec, root, NULL, sink, &morsels, reterr));
    status = sink->operations->finish(sink, &none, reterr);
out:
    exec_release_to(&exec, NULL);
    forget_state(root);
    weir_arena_done(&exec.arena);
    if (ret_location)
        *ret_location = atomic_load(&exec.location);
    return status;
}
