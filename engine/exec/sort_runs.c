/* Sorting beyond memory: sorted runs in a file, merged through small buffers. */
#include "engine/exec/sort_int.h"

#define RUN_BUFFER_MAX (256u << 10)
#define RUN_BUFFER_MIN (16u << 10)

/* ---- writing ---- */

static weir_status run_room(struct sorter *sorter, struct weir_error *reterr)
{
    if (sorter->run_count < sorter->run_capacity)
        return WEIR_OK;
    uint32_t capacity = sorter->run_capacity * 2 + 16;
    WEIR_TRY(weir_realloc(&sorter->runs, sorter->exec->account, capacity * sizeof *sorter->runs,
                          reterr));
    sorter->run_capacity = capacity;
    return WEIR_OK;
}

static weir_status write_record(struct sorter *sorter, struct weir_spill_file *file,
                                const uint8_t *record, struct weir_error *reterr)
{
    return weir_spill_write(file, record, sort_head(record)->size, reterr);
}

weir_status sort_spill(struct sorter *sorter, struct sort_part *parts, struct weir_error *reterr)
{
    struct sort_entry *entries = NULL;
    uint64_t count = 0;
    weir_status status = WEIR_OK;
    if (!sorter->file)
        WEIR_TRY(weir_spill_file_new(sorter->exec->options->spill, &sorter->file, reterr));
    WEIR_TRY(run_room(sorter, reterr));
    WEIR_TRY(sort_parts(sorter, parts, sorter->common, false, &entries, &count, reterr));
    struct sort_run run = {.offset = weir_spill_size(sorter->file)};
    if (count > sorter->keep)
        count = sorter->keep;
    for (uint64_t i = 0; i < count && status == WEIR_OK; i++) {
        if (i + 8 < count)
            __builtin_prefetch(entries[i + 8].record);
        if (i % 4096 == 0)
            status = weir_context_check(sorter->exec->context, reterr);
        if (status == WEIR_OK)
            status = write_record(sorter, sorter->file, entries[i].record, reterr);
    }
    weir_free(entries);
    WEIR_TRY(status);
    run.size = weir_spill_size(sorter->file) - run.offset;
    if (run.size)
        sorter->runs[sorter->run_count++] = run;
    if (sorter->operator)
        atomic_fetch_add(&sorter->operator->counters.bytes_spilled, run.size);
    for (struct sort_part *part = parts; part; part = part->next) {
        weir_row_store_done(&part->store);
        weir_row_store_init(&part->store, sorter->exec->account);
        part->first = NULL;
    }
    return WEIR_OK;
}

/* ---- merging ---- */

/* A run being read: buffer[at..filled) is what was fetched and not passed. */
struct run_cursor {
    struct sort_run rest; /* of the file */
    uint8_t *buffer;
    size_t capacity, at, filled;
    uint64_t prefix;
};

struct sort_merge {
    struct sorter *sorter;
    struct weir_spill_file *file;
    struct run_cursor *cursors;
    struct run_cursor **heap; /* those that have a record, the lowest first */
    uint32_t cursor_count, heap_count;
    bool started;
};

/* At least `wanted` bytes behind `at`, or as many as there are. */
static weir_status cursor_fill(struct sort_merge *merge, struct run_cursor *cursor, size_t wanted,
                               struct weir_error *reterr)
{
    size_t left = cursor->filled - cursor->at;
    if (left >= wanted || cursor->rest.size == 0)
        return WEIR_OK;
    memmove(cursor->buffer, cursor->buffer + cursor->at, left);
    cursor->at = 0;
    cursor->filled = left;
    if (wanted > cursor->capacity) {
        WEIR_TRY(weir_realloc(&cursor->buffer, merge->sorter->exec->account, wanted, reterr));
        cursor->capacity = wanted;
    }
    size_t size = cursor->capacity - left;
    size = size < cursor->rest.size ? size : (size_t)cursor->rest.size;
    WEIR_TRY(
        weir_spill_read(merge->file, cursor->rest.offset, cursor->buffer + left, size, reterr));
    cursor->rest.offset += size;
    cursor->rest.size -= size;
    cursor->filled += size;
    return WEIR_OK;
}

static weir_status cursor_load(struct sort_merge *merge, struct run_cursor *cursor, bool *ret_more,
                               struct weir_error *reterr)
{
    WEIR_TRY(cursor_fill(merge, cursor, sizeof(struct sort_head), reterr));
    *ret_more = cursor->at < cursor->filled;
    if (!*ret_more)
        return WEIR_OK;
    uint32_t size = sort_head(cursor->buffer + cursor->at)->size;
    WEIR_TRY(cursor_fill(merge, cursor, size, reterr));
    if (cursor->filled - cursor->at < size)
        return weir_fail(reterr, WEIR_CORRUPT, "run.spill: a sorted run ends within a row");
    const uint8_t *record = cursor->buffer + cursor->at;
    cursor->prefix = sort_prefix(record + merge->sorter->key_offset, sort_head(record)->key_size,
                                 merge->sorter->common);
    return WEIR_OK;
}

static bool cursor_before(const struct sort_merge *merge, const struct run_cursor *a,
                          const struct run_cursor *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    return sort_order(merge->sorter, a->buffer + a->at, b->buffer + b->at) < 0;
}

static void heap_sink(struct sort_merge *merge, uint32_t at)
{
    struct run_cursor **heap = merge->heap, *cursor = heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= merge->heap_count)
            break;
        if (child + 1 < merge->heap_count && cursor_before(merge, heap[child + 1], heap[child]))
            child++;
        if (!cursor_before(merge, heap[child], cursor))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = cursor;
}

static weir_status merge_start(struct sort_merge *merge, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < merge->cursor_count; i++) {
        bool more;
        WEIR_TRY(cursor_load(merge, &merge->cursors[i], &more, reterr));
        if (more)
            merge->heap[merge->heap_count++] = &merge->cursors[i];
    }
    for (uint32_t i = merge->heap_count / 2; i-- > 0;)
        heap_sink(merge, i);
    merge->started = true;
    return WEIR_OK;
}

weir_status sort_merge_next(struct sort_merge *merge, uint8_t **ret_record,
                            struct weir_error *reterr)
{
    if (!merge->started) {
        WEIR_TRY(merge_start(merge, reterr));
    } else if (merge->heap_count) {
        struct run_cursor *cursor = merge->heap[0];
        bool more;
        cursor->at += sort_head(cursor->buffer + cursor->at)->size;
        WEIR_TRY(cursor_load(merge, cursor, &more, reterr));
        if (!more)
            merge->heap[0] = merge->heap[--merge->heap_count];
        if (merge->heap_count)
            heap_sink(merge, 0);
    }
    *ret_record = merge->heap_count ? merge->heap[0]->buffer + merge->heap[0]->at : NULL;
    return WEIR_OK;
}

static size_t buffer_size(const struct sorter *sorter, uint32_t runs)
{
    size_t limit = sorter->exec->account->limit, size = RUN_BUFFER_MAX;
    if (limit && limit / 8 / runs < size)
        size = limit / 8 / runs;
    return size < RUN_BUFFER_MIN ? RUN_BUFFER_MIN : size;
}

weir_status sort_merge_new(struct sorter *sorter, struct weir_spill_file *file,
                           const struct sort_run *runs, uint32_t count,
                           struct sort_merge **ret_merge, struct weir_error *reterr)
{
    struct weir_account *account = sorter->exec->account;
    struct sort_merge *merge;
    weir_status status;
    size_t size = buffer_size(sorter, count);
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *merge, &merge, reterr));
    merge->sorter = sorter;
    merge->file = file;
    WEIR_TRY_OUT(status,
                 weir_alloc_zero(account, count, sizeof *merge->cursors, &merge->cursors, reterr));
    merge->cursor_count = count;
    WEIR_TRY_OUT(status, weir_alloc(account, count * sizeof *merge->heap, &merge->heap, reterr));
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY_OUT(status, weir_alloc(account, size, &merge->cursors[i].buffer, reterr));
        merge->cursors[i].capacity = size;
        merge->cursors[i].rest = runs[i];
    }
    *ret_merge = merge;
    return WEIR_OK;
out:
    sort_merge_free(merge);
    return status;
}

void sort_merge_free(struct sort_merge *merge)
{
    if (!merge)
        return;
    for (uint32_t i = 0; i < merge->cursor_count; i++)
        weir_free(merge->cursors[i].buffer);
    weir_free(merge->cursors);
    weir_free(merge->heap);
    weir_free(merge);
}

/* ---- fewer runs ---- */

static weir_status merge_into(struct sorter *sorter, const struct sort_run *runs, uint32_t count,
                              struct weir_spill_file *into, struct sort_run *ret_run,
                              struct weir_error *reterr)
{
    struct sort_merge *merge;
    struct sort_run run = {.offset = weir_spill_size(into)};
    uint8_t *record = NULL;
    weir_status status;
    WEIR_TRY(sort_merge_new(sorter, sorter->file, runs, count, &merge, reterr));
    for (uint64_t i = 0; i < sorter->keep; i++) {
        if (i % 4096 == 0)
            WEIR_TRY_OUT(status, weir_context_check(sorter->exec->context, reterr));
        WEIR_TRY_OUT(status, sort_merge_next(merge, &record, reterr));
        if (!record)
            break;
        WEIR_TRY_OUT(status, write_record(sorter, into, record, reterr));
    }
    run.size = weir_spill_size(into) - run.offset;
    *ret_run = run;
    status = WEIR_OK;
out:
    sort_merge_free(merge);
    return status;
}

weir_status sort_runs_reduce(struct sorter *sorter, struct weir_error *reterr)
{
    while (sorter->run_count > SORT_MERGE_MAX) {
        struct weir_spill_file *into = NULL;
        uint32_t count = 0;
        weir_status status = weir_spill_file_new(sorter->exec->options->spill, &into, reterr);
        for (uint32_t i = 0; i < sorter->run_count && status == WEIR_OK; i += SORT_MERGE_MAX) {
            uint32_t some = sorter->run_count - i;
            some = some < SORT_MERGE_MAX ? some : SORT_MERGE_MAX;
            status = merge_into(sorter, sorter->runs + i, some, into, &sorter->runs[count++],
                                reterr);
        }
        if (status == WEIR_OK)
            status = weir_spill_finish(into, reterr);
        if (status != WEIR_OK) {
            weir_spill_file_free(into);
            return status;
        }
        if (sorter->operator)
            atomic_fetch_add(&sorter->operator->counters.bytes_spilled, weir_spill_size(into));
        weir_spill_file_free(sorter->file);
        sorter->file = into;
        sorter->run_count = count;
    }
    return WEIR_OK;
}
