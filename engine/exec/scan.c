/* Reading a table source: its morsels, with what is known of the rows wanted handed down, the exact
 * filter called back before the other columns are decoded. */
#include "engine/exec/driver_int.h"

#include <string.h>

struct scan_source {
    struct exec_source source;
    struct weir_scan *scan;
    struct weir_scan_filter filter;
    struct weir_scan_request request;
    struct weir_arena arena;
};

struct scan_reader {
    struct weir_morsel *morsel;
    struct scan_source *scan;
};

/* ---- the exact filter ---- */

static weir_status by_runtime(struct scan_source *scan, const struct weir_batch *batch,
                              struct weir_arena *arena, struct weir_selection *selection,
                              struct weir_error *reterr)
{
    const struct weir_operator *operator= scan->source.operator;
    uint32_t *rows, count = selection->count;
    if (count == 0 || operator->runtime_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < count; i++)
        rows[i] = selection->rows ? selection->rows[i] : i;
    for (uint32_t i = 0; i < operator->runtime_count && count; i++) {
        const struct weir_runtime_filter *runtime = &operator->runtime[i];
        if (!runtime->join->state)
            continue;
        WEIR_TRY(exec_join_build_probe_filter(runtime->join->state, runtime->key,
                                              &batch->columns[runtime->column], rows, &count));
    }
    if (count == batch->count)
        return WEIR_OK;
    *selection = (struct weir_selection){.count = count, .rows = rows};
    return WEIR_OK;
}

static weir_status scan_select(void *self, const struct weir_batch *batch, struct weir_arena *arena,
                               struct weir_selection *ret_selection, struct weir_error *reterr)
{
    struct scan_source *scan = self;
    struct weir_selection selection = {.count = batch->count};
    int location = -1;
    if (scan->source.operator->filter) {
        weir_status status = weir_node_select(scan->source.operator->filter, batch, arena,
                                              &selection, &location, reterr);
        if (status != WEIR_OK) {
            if (location >= 0)
                atomic_store(&scan->source.exec->location, location);
            return status;
        }
    }
    WEIR_TRY(by_runtime(scan, batch, arena, &selection, reterr));
    if (!selection.rows) { /* all of them, which a source must be told one by one */
        uint32_t *rows;
        WEIR_TRY(weir_arena_alloc(arena, ((size_t)batch->count + 1) * sizeof *rows, &rows, reterr));
        for (uint32_t i = 0; i < selection.count; i++)
            rows[i] = i;
        selection.rows = rows;
    }
    *ret_selection = selection;
    return WEIR_OK;
}

static bool mark_column(void *self, const struct weir_node *node)
{
    if (node->kind == WEIR_NODE_COLUMN)
        weir_bit_set(self, node->index);
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++)
        weir_node_walk(node->captures[i], mark_column, self);
    return false; /* the body's columns are its own */
}

static void mark_columns(const struct weir_node *node, uint8_t *bits)
{
    weir_node_walk(node, mark_column, bits);
}

static weir_status make_filter(struct scan_source *scan, struct weir_error *reterr)
{
    const struct weir_operator *operator= scan->source.operator;
    uint8_t *needs;
    if (!operator->filter && operator->runtime_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(&scan->arena, operator->type.child_count / 8 + 9, 1, &needs, reterr));
    if (operator->filter)
        mark_columns(operator->filter, needs);
    for (uint32_t i = 0; i < operator->runtime_count; i++)
        weir_bit_set(needs, operator->runtime[i].column);
    scan->filter = (struct weir_scan_filter){.select = scan_select, .self = scan, .needs = needs};
    scan->request.filter = &scan->filter;
    return WEIR_OK;
}

/* ---- predicates: those of the plan, and the ranges of build sides ---- */

static weir_status make_predicates(struct scan_source *scan, struct weir_error *reterr)
{
    const struct weir_operator *operator= scan->source.operator;
    struct weir_predicate *predicates;
    size_t count = operator->predicate_count;
    WEIR_TRY(weir_arena_zero(&scan->arena, count + operator->runtime_count * 2 + 1,
                             sizeof *predicates, &predicates, reterr));
    if (count)
        memcpy(predicates, operator->predicates, count * sizeof *predicates);
    for (uint32_t i = 0; i < operator->runtime_count; i++) {
        const struct weir_runtime_filter *runtime = &operator->runtime[i];
        size_t more = 0;
        if (!runtime->join->state)
            continue;
        WEIR_TRY(exec_join_build_predicates(runtime->join->state, runtime->key, &scan->arena,
                                            predicates + count, &more, reterr));
        for (size_t p = 0; p < more; p++) {
            predicates[count + p].path[0] = runtime->column;
            predicates[count + p].path_size = 1;
        }
        count += more;
    }
    scan->request.predicates = predicates;
    scan->request.predicate_count = count;
    return WEIR_OK;
}

/* ---- as a source of the pipeline ---- */

static size_t scan_morsels(const struct exec_source *source)
{
    const struct scan_source *scan = (const struct scan_source *)source;
    return source->operator->source->operations->morsel_count(scan->scan);
}

static weir_status scan_open(struct exec_source *source, size_t index,
                             struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct scan_source *scan = (struct scan_source *)source;
    struct scan_reader *reader;
    struct weir_morsel *morsel = NULL;
    WEIR_TRY(source->operator->source->operations->morsel_open(scan->scan, index, &morsel, reterr));
    if (!morsel)
        return WEIR_OK;
    weir_status status = weir_alloc_zero(source->exec->account, 1, sizeof *reader, &reader, reterr);
    if (status != WEIR_OK) {
        source->operator->source->operations->morsel_close(morsel);
        return status;
    }
    *reader = (struct scan_reader){.morsel = morsel, .scan = scan};
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

static weir_status scan_next(struct exec_reader *opaque, struct weir_arena *arena,
                             struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct scan_reader *reader = (struct scan_reader *)opaque;
    const struct weir_operator *operator= reader->scan->source.operator;
    bool end = false;
    struct weir_batch batch = {0};
    while (!end) {
        WEIR_TRY(operator->source->operations->morsel_next(reader->morsel, arena, &batch, &end,
                                                           reterr));
        if (batch.count)
            break;
    }
    batch.type = &operator->type;
    *ret_batch = batch;
    return WEIR_OK;
}

static void scan_close(struct exec_reader *opaque)
{
    struct scan_reader *reader = (struct scan_reader *)opaque;
    if (reader)
        reader->scan->source.operator->source->operations->morsel_close(reader->morsel);
    weir_free(reader);
}

/* For EXPLAIN ANALYZE, before the scan goes. */
static void keep_counters(const struct scan_source *scan)
{
    struct weir_operator *operator= scan->source.operator;
    const struct weir_table_source_operations *operations = operator->source->operations;
    const struct weir_scan_counters *counters = operations->counters
                                                    ? operations->counters(scan->scan)
                                                    : NULL;
    if (!counters)
        return;
    atomic_fetch_add(&operator->counters.bytes_read, atomic_load(&counters->bytes_read));
    atomic_fetch_add(&operator->counters.bytes_skipped, atomic_load(&counters->bytes_skipped));
    atomic_fetch_add(&operator->counters.files_skipped, atomic_load(&counters->files_skipped));
    atomic_fetch_add(&operator->counters.row_groups_skipped,
                     atomic_load(&counters->row_groups_skipped));
}

static void scan_free(struct exec_source *source)
{
    struct scan_source *scan = (struct scan_source *)source;
    if (!scan)
        return;
    if (scan->scan)
        keep_counters(scan);
    if (scan->scan)
        source->operator->source->operations->close(scan->scan);
    weir_arena_done(&scan->arena);
    weir_free(scan);
}

static const struct exec_source_operations scan_operations = {.morsel_count = scan_morsels,
                                                              .open = scan_open,
                                                              .next = scan_next,
                                                              .close = scan_close,
                                                              .free = scan_free};

weir_status exec_scan_new(struct exec *exec, struct weir_operator *operator,
                          struct exec_source ** ret_source, struct weir_error *reterr)
{
    struct scan_source *scan;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *scan, &scan, reterr));
    scan->source = (struct exec_source){
        .operations = &scan_operations, .exec = exec, .operator= operator};
    weir_arena_init(&scan->arena, exec->account);
    scan->request = (struct weir_scan_request){
        .wanted = &operator->type, .batch_rows = exec->batch_rows, .limit = -1};
    WEIR_TRY_OUT(status, make_filter(scan, reterr));
    WEIR_TRY_OUT(status, make_predicates(scan, reterr));
    WEIR_TRY_OUT(status, operator->source->operations->open(operator->source->self, exec->context,
                                                            exec->account, &scan->request,
                                                            &scan->scan, reterr));
    *ret_source = &scan->source;
    return WEIR_OK;
out:
    scan_free(&scan->source);
    return status;
}
