/* Window functions: sorts by partition and order, then computes partition by partition.
 *
 * In memory the rows are cut into tasks of whole partitions, by the rows alone, and each task is a
 * morsel. When rows went to files, they are merged in order and partitions are gathered one after
 * the other; each has to fit in memory. */
#include "engine/exec/window_int.h"

/* ---- one task ---- */

static void mark_need(void *self, uint32_t column)
{
    weir_bit_set(self, column);
}

static bool mark_column(void *self, const struct weir_node *node)
{
    if (node->kind == WEIR_NODE_COLUMN)
        mark_need(self, node->index);
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++) /* its body has columns of its own */
        weir_node_walk(node->captures[i], mark_column, self);
    return false;
}

static bool has_distance(const struct weir_window_call *call)
{
    return call->unit == WEIR_FRAME_RANGE && (call->start_offset || call->end_offset);
}

static void mark_call(const struct weir_operator *operator, const struct weir_window_call * call,
                      uint8_t *needs)
{
    for (uint32_t i = 0; i < call->aggregate.argument_count; i++)
        weir_node_walk(call->aggregate.arguments[i], mark_column, needs);
    if (call->aggregate.filter)
        weir_node_walk(call->aggregate.filter, mark_column, needs);
    if (has_distance(call) && operator->sort_key_count)
        mark_need(needs, operator->sort_keys[0].column);
}

static weir_status task_input(struct window_task *task, struct weir_error *reterr)
{
    const struct weir_operator *operator= task->window->sink.operator;
    const struct weir_type *type = task->window->input;
    const struct sorter *sorter = &task->window->sorter;
    struct weir_vector *columns;
    uint8_t *needs;
    WEIR_TRY(weir_arena_zero(task->arena, type->child_count / 8 + 8, 1, &needs, reterr));
    for (uint32_t i = 0; i < operator->window_count; i++)
        mark_call(operator, & operator->windows[i], needs);
    WEIR_TRY(
        weir_arena_zero(task->arena, type->child_count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t c = 0; c < type->child_count; c++) {
        columns[c] = (struct weir_vector){.type = &type->children[c].type, .count = task->count};
        if (weir_bit_get(needs, c))
            WEIR_TRY(weir_rows_read(&sorter->layout, c, task->places, task->count, task->arena,
                                    &columns[c], reterr));
    }
    task->input = (struct weir_batch){.type = type, .count = task->count, .columns = columns};
    return WEIR_OK;
}

static bool same_group(const struct sorter *sorter, const uint8_t *a, const uint8_t *b)
{
    uint32_t size = sort_group_size(a);
    return size == sort_group_size(b) &&
           memcmp(a + sorter->key_offset, b + sorter->key_offset, size) == 0;
}

static bool same_key(const struct sorter *sorter, const uint8_t *a, const uint8_t *b)
{
    uint32_t size = sort_head(a)->key_size;
    return size == sort_head(b)->key_size &&
           memcmp(a + sorter->key_offset, b + sorter->key_offset, size) == 0;
}

/* Partitions and peers. */
static weir_status task_shape(struct window_task *task, struct weir_error *reterr)
{
    const struct sorter *sorter = &task->window->sorter;
    size_t size = ((size_t)task->count + 2) * sizeof(uint32_t);
    uint32_t count = task->count, start = 0;
    WEIR_TRY(weir_arena_alloc(task->arena, size, &task->partitions, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, size, &task->peer_start, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, size, &task->peer_end, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, size, &task->rows, reterr));
    task->partition_count = 0;
    for (uint32_t row = 0; row < count; row++) {
        bool first = row == 0 || !same_group(sorter, task->records[row - 1], task->records[row]);
        if (first)
            task->partitions[task->partition_count++] = row;
        if (first || !same_key(sorter, task->records[row - 1], task->records[row])) {
            for (uint32_t i = start; i < row; i++)
                task->peer_end[i] = row;
            start = row;
        }
        task->peer_start[row] = start;
        task->rows[row] = row;
    }
    for (uint32_t i = start; i < count; i++)
        task->peer_end[i] = count;
    task->partitions[task->partition_count] = count;
    return WEIR_OK;
}

static weir_status task_run(struct window_task *task, struct window_result **ret_results,
                            struct weir_error *reterr)
{
    const struct weir_operator *operator= task->window->sink.operator;
    struct window_result *results;
    WEIR_TRY(weir_arena_alloc(task->arena, ((size_t)task->count + 1) * sizeof *task->places,
                              &task->places, reterr));
    for (uint32_t i = 0; i < task->count; i++)
        task->places[i] = sort_payload(&task->window->sorter, task->records[i]);
    WEIR_TRY(task_shape(task, reterr));
    WEIR_TRY(task_input(task, reterr));
    WEIR_TRY(weir_arena_zero(task->arena, operator->window_count + 1, sizeof *results, &results,
                             reterr));
    for (uint32_t i = 0; i < operator->window_count; i++) {
        const struct weir_window_call *call = &operator->windows[i];
        WEIR_TRY(call->name ? window_function_run(task, call, &results[i], reterr)
                            : window_aggregate_run(task, call, &results[i], reterr));
    }
    *ret_results = results;
    return WEIR_OK;
}

/* ---- giving out ---- */

struct window_source {
    struct exec_source source;
    struct window_sink *window;
    uint64_t *tasks; /* in memory: first entry of each task, then the end */
    size_t task_count;
};

struct window_reader {
    struct window_source *source;
    struct weir_arena arena; /* the task's */
    struct window_task task;
    struct window_result *results;
    uint32_t at; /* rows of the task given out */
    uint64_t first_entry, end_entry;
    struct sort_merge *merge; /* files */
    struct weir_row_store store;
    struct weir_row_store ahead; /* files: the record that began the next partition */
    bool ended;
};

/* Rows [at, at + count) of a result. */
static weir_status slice_result(const struct window_task *task, const struct window_result *result,
                                uint32_t at, uint32_t count, struct weir_arena *arena,
                                struct weir_vector *ret_vector, struct weir_error *reterr)
{
    const struct weir_vector *whole = &result->vector;
    struct weir_selection selection = {count, task->rows + at};
    if (result->places)
        return weir_rows_read(result->layout, result->column, result->places + at, count, arena,
                              ret_vector, reterr);
    uint32_t width = weir_type_width(whole->type);
    if (at % 8 || !width || whole->kind != WEIR_FLAT)
        return weir_vector_gather(arena, whole, &selection, ret_vector, reterr);
    *ret_vector = *whole;
    ret_vector->count = count;
    ret_vector->values = (uint8_t *)whole->values + (size_t)at * width;
    if (whole->validity) {
        ret_vector->validity = whole->validity + at / 8;
        ret_vector->null_count = count - (uint32_t)weir_bits_count(ret_vector->validity, count);
    }
    return WEIR_OK;
}

static weir_status give(struct window_reader *reader, struct weir_arena *arena,
                        struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct window_sink *window = reader->source->window;
    const struct weir_operator *operator= window->sink.operator;
    const struct window_task *task = &reader->task;
    uint32_t input = window->input->child_count, left = task->count - reader->at,
             rows = window->sink.exec->batch_rows, count = left < rows ? left : rows;
    struct weir_vector *columns;
    WEIR_TRY(weir_arena_zero(arena, (size_t)input + operator->window_count + 1, sizeof *columns,
                             &columns, reterr));
    for (uint32_t c = 0; c < input; c++)
        WEIR_TRY(weir_rows_read(&window->sorter.layout, c, task->places + reader->at, count, arena,
                                &columns[c], reterr));
    for (uint32_t i = 0; i < operator->window_count; i++)
        WEIR_TRY(slice_result(task, &reader->results[i], reader->at, count, arena,
                              &columns[input + i], reterr));
    reader->at += count;
    *ret_batch = (struct weir_batch){.type = &operator->type, .count = count, .columns = columns};
    return WEIR_OK;
}

/* ---- tasks in memory ---- */

static weir_status task_from_entries(struct window_reader *reader, struct weir_error *reterr)
{
    const struct sorter *sorter = &reader->source->window->sorter;
    uint64_t count = reader->end_entry - reader->first_entry;
    struct window_task *task = &reader->task;
    if (count >= WINDOW_NONE)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a window partition of %llu rows",
                         (unsigned long long)count);
    task->count = (uint32_t)count;
    WEIR_TRY(
        weir_arena_alloc(task->arena, (count + 1) * sizeof *task->records, &task->records, reterr));
    for (uint32_t i = 0; i < task->count; i++)
        task->records[i] = sorter->entries[reader->first_entry + i].record;
    reader->ended = true;
    return task_run(task, &reader->results, reterr);
}

/* ---- tasks from files ---- */

static weir_status copy_record(struct weir_row_store *store, const uint8_t *record,
                               uint8_t **ret_copy, struct weir_error *reterr)
{
    uint32_t size = sort_head(record)->size;
    WEIR_TRY(weir_row_store_add(store, size, ret_copy, reterr));
    memcpy(*ret_copy, record, size);
    return WEIR_OK;
}

static weir_status gather_partitions(struct window_reader *reader, struct weir_error *reterr)
{
    const struct sorter *sorter = &reader->source->window->sorter;
    uint8_t *record, *copy, *last = NULL;
    weir_row_store_done(&reader->store);
    reader->store = reader->ahead; /* where the task before stopped */
    weir_row_store_init(&reader->ahead, sorter->exec->account);
    if (reader->store.row_count)
        last = weir_row_store_next(&reader->store, &sorter->record, &(struct weir_row_cursor){0});
    for (;;) {
        WEIR_TRY(sort_merge_next(reader->merge, &record, reterr));
        if (!record) {
            reader->ended = true;
            return WEIR_OK;
        }
        if (reader->store.row_count >= WINDOW_TASK_ROWS && !same_group(sorter, last, record))
            return copy_record(&reader->ahead, record, &copy, reterr);
        if (reader->store.row_count >= WINDOW_NONE - 1)
            return weir_fail(reterr, WEIR_UNSUPPORTED, "a window partition of %u rows or more",
                             WINDOW_NONE - 1);
        WEIR_TRY(copy_record(&reader->store, record, &last, reterr));
    }
}

static weir_status task_from_files(struct window_reader *reader, struct weir_error *reterr)
{
    const struct sorter *sorter = &reader->source->window->sorter;
    struct window_task *task = &reader->task;
    struct weir_row_cursor cursor = {0};
    weir_status status = gather_partitions(reader, reterr);
    if (status != WEIR_OK) {
        if (status == WEIR_NO_MEMORY)
            weir_error_prefix(reterr, "window: each partition has to fit in memory");
        return status;
    }
    task->count = (uint32_t)reader->store.row_count;
    WEIR_TRY(weir_arena_alloc(task->arena, ((size_t)task->count + 1) * sizeof *task->records,
                              &task->records, reterr));
    for (uint32_t i = 0; i < task->count; i++)
        task->records[i] = weir_row_store_next(&reader->store, &sorter->record, &cursor);
    return task->count ? task_run(task, &reader->results, reterr) : WEIR_OK;
}

/* ---- the source ---- */

static size_t window_morsels(const struct exec_source *opaque)
{
    return ((const struct window_source *)opaque)->task_count;
}

static void window_close(struct exec_reader *opaque)
{
    struct window_reader *reader = (struct window_reader *)opaque;
    if (!reader)
        return;
    sort_merge_free(reader->merge);
    weir_row_store_done(&reader->store);
    weir_row_store_done(&reader->ahead);
    weir_arena_done(&reader->arena);
    weir_free(reader);
}

static weir_status window_open(struct exec_source *opaque, size_t morsel,
                               struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct window_source *source = (struct window_source *)opaque;
    struct sorter *sorter = &source->window->sorter;
    struct weir_account *account = opaque->exec->account;
    struct window_reader *reader;
    weir_status status = WEIR_OK;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *reader, &reader, reterr));
    reader->source = source;
    weir_arena_init(&reader->arena, account);
    weir_row_store_init(&reader->store, account);
    weir_row_store_init(&reader->ahead, account);
    reader->task = (struct window_task){.window = source->window, .arena = &reader->arena};
    if (sorter->run_count) {
        status = sort_merge_new(sorter, sorter->file, sorter->runs, sorter->run_count,
                                &reader->merge, reterr);
    } else {
        reader->first_entry = source->tasks[morsel];
        reader->end_entry = source->tasks[morsel + 1];
        status = task_from_entries(reader, reterr);
    }
    if (status != WEIR_OK) {
        window_close((struct exec_reader *)reader);
        return status;
    }
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

static weir_status window_next(struct exec_reader *opaque, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct window_reader *reader = (struct window_reader *)opaque;
    if (reader->at == reader->task.count && !reader->ended) {
        weir_arena_reset(&reader->arena);
        reader->at = 0;
        WEIR_TRY(task_from_files(reader, reterr));
    }
    return reader->at < reader->task.count ? give(reader, arena, ret_batch, reterr) : WEIR_OK;
}

static void window_source_free(struct exec_source *opaque)
{
    struct window_source *source = (struct window_source *)opaque;
    if (!source)
        return;
    weir_free(source->tasks);
    weir_free(source);
}

static const struct exec_source_operations source_operations = {.morsel_count = window_morsels,
                                                                .open = window_open,
                                                                .next = window_next,
                                                                .close = window_close,
                                                                .free = window_source_free};

/* ---- the sink ---- */

static weir_status window_begin(struct exec_sink *opaque, size_t morsel, void **ret_local,
                                struct weir_error *reterr)
{
    struct sort_part *part;
    WEIR_TRY(sort_part_new(&((struct window_sink *)opaque)->sorter, morsel, &part, reterr));
    *ret_local = part;
    return WEIR_OK;
}

static weir_status window_batch(struct exec_sink *opaque, void *local,
                                const struct weir_batch *batch, struct weir_error *reterr)
{
    return sort_part_add(&((struct window_sink *)opaque)->sorter, local, batch, reterr);
}

static weir_status window_end(struct exec_sink *opaque, void *local, struct weir_error *reterr)
{
    return sort_part_end(&((struct window_sink *)opaque)->sorter, local, reterr);
}

static void window_abandon(struct exec_sink *opaque, void *local)
{
    (void)opaque;
    sort_part_free(local);
}

/* Tasks end with the partition that reaches WINDOW_TASK_ROWS. */
static weir_status cut_tasks(struct window_source *source, struct weir_error *reterr)
{
    const struct sorter *sorter = &source->window->sorter;
    uint64_t count = sorter->entry_count, start = 0;
    const struct sort_entry *entries = sorter->entries;
    WEIR_TRY(weir_alloc(sorter->exec->account,
                        (size_t)(count / WINDOW_TASK_ROWS + 2) * sizeof *source->tasks,
                        &source->tasks, reterr));
    source->tasks[0] = 0;
    for (uint64_t at = WINDOW_TASK_ROWS; at < count; at++) {
        if (at + 16 < count)
            __builtin_prefetch(entries[at + 16].record);
        if (same_group(sorter, entries[at - 1].record, entries[at].record))
            continue;
        source->tasks[++source->task_count] = start = at;
        at = start + WINDOW_TASK_ROWS - 1;
    }
    if (count)
        source->tasks[++source->task_count] = count;
    return WEIR_OK;
}

static weir_status window_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                                 struct weir_error *reterr)
{
    struct window_sink *window = (struct window_sink *)opaque;
    struct window_source *source;
    WEIR_TRY(sorter_finish(&window->sorter, reterr));
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *source, &source, reterr));
    source->source = (struct exec_source){
        .operations = &source_operations, .exec = opaque->exec, .operator= opaque->operator};
    source->window = window;
    source->task_count = window->sorter.run_count ? 1 : 0;
    if (!window->sorter.run_count) {
        weir_status status = cut_tasks(source, reterr);
        if (status != WEIR_OK) {
            window_source_free(&source->source);
            return status;
        }
    }
    *ret_source = &source->source;
    return WEIR_OK;
}

static void window_free(struct exec_sink *opaque)
{
    struct window_sink *window = (struct window_sink *)opaque;
    if (!window)
        return;
    sorter_done(&window->sorter);
    weir_free(window->keys);
    weir_free(window);
}

static const struct exec_sink_operations sink_operations = {.begin = window_begin,
                                                            .batch = window_batch,
                                                            .end = window_end,
                                                            .abandon = window_abandon,
                                                            .finish = window_finish,
                                                            .free = window_free};

weir_status exec_window_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    uint32_t groups = operator->partition_count, count = groups + operator->sort_key_count;
    struct window_sink *window;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *window, &window, reterr));
    window->sink = (struct exec_sink){
        .operations = &sink_operations, .exec = exec, .operator= operator};
    window->input = &operator->children[0]->type;
    status = weir_alloc_zero(exec->account, count + 1, sizeof *window->keys, &window->keys, reterr);
    if (status == WEIR_OK) {
        for (uint32_t i = 0; i < groups; i++)
            window->keys[i].column = operator->partition_columns[i];
        for (uint32_t i = 0; i < operator->sort_key_count; i++)
            window->keys[groups + i] = operator->sort_keys[i];
        status = sorter_init(&window->sorter, exec, operator, window->input, window->keys, count,
                             reterr);
    }
    if (status != WEIR_OK) {
        weir_free(window->keys);
        weir_free(window);
        return status;
    }
    window->sorter.grouped = true;
    window->sorter.group_count = groups;
    window->sorter.key_offset = sizeof(struct sort_head) + 8;
    *ret_sink = &window->sink;
    return WEIR_OK;
}
