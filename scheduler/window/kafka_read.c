/* Reading a window: records into runs, runs into the ingest, gaps noted as they are met. */
#include "scheduler/window/kafka_int.h"

#define RUN_BYTES    (4u << 20) /* raw bytes after which a run is cut, whatever its record count */
#define READ_WAIT_MS 200
#define READ_BYTES   (4u << 20)
#define GAPS_MAX     100000 /* gap ranges of one partition kept before the window is refused */

static weir_status add_gap(struct window *window, struct reach *reach, int64_t from, int64_t to,
                           struct weir_error *reterr)
{
    if (from >= to)
        return WEIR_OK;
    if (reach->gap_count == reach->gap_capacity) {
        size_t capacity = reach->gap_capacity ? reach->gap_capacity * 2 : 64;
        if (capacity > GAPS_MAX)
            return weir_fail(reterr, WEIR_DECISION, "%s/%d: more than %d gaps in one window",
                             reach->partition.topic, reach->partition.partition, GAPS_MAX);
        WEIR_TRY(weir_realloc(&reach->gaps, &window->options->lake->context->memory,
                              capacity * sizeof *reach->gaps, reterr));
        reach->gap_capacity = capacity;
    }
    reach->gaps[reach->gap_count++] = (struct gap){from, to};
    return WEIR_OK;
}

/* Runs being filled: cut by the records alone, at WEIR_BATCH_ROWS records or RUN_BYTES bytes or the
 * end of a partition. */
struct filling {
    struct window *window; /* the first sink's */
    struct kafka_sink *sinks;
    size_t sink_count;
    struct weir_log_reader *reader;
    struct weir_run *runs;
    size_t *run_reach; /* index of the partition of each run */
    struct weir_run_counts *counts;
    struct weir_log_record *records; /* width * WEIR_BATCH_ROWS */
    size_t width, run_count;         /* runs closed */
    size_t open_records, open_bytes; /* of the run being filled */
    struct weir_log_batch *batches;  /* held until the runs are ingested */
    size_t batch_count, batch_capacity;
    int64_t last_report_ms, done;
};

static weir_status give(struct filling *filling, struct kafka_sink *sink, struct weir_error *reterr)
{
    WEIR_TRY(
        weir_ingest_runs(sink->ingest, filling->runs, filling->run_count, filling->counts, reterr));
    for (size_t i = 0; i < filling->run_count; i++) {
        struct weir_run_counts *to = &sink->window->reach[filling->run_reach[i]].counts,
                               *from = &filling->counts[i];
        to->landed += from->landed;
        to->refused += from->refused;
        to->filtered += from->filtered + from->tombstones;
    }
    return WEIR_OK;
}

/* Is this everybody's affair? */
static bool befalls_all(const struct filling *filling, weir_status status)
{
    return status == WEIR_NO_MEMORY ||
           weir_context_check(filling->window->options->lake->context, NULL) != WEIR_OK;
}

static weir_status give_all(struct filling *filling, struct weir_error *reterr)
{
    for (size_t i = 0; filling->run_count && i < filling->sink_count; i++) {
        struct kafka_sink *sink = &filling->sinks[i];
        struct weir_error error = {0};
        if (sink->status != WEIR_OK)
            continue;
        weir_status status = give(filling, sink, &error);
        if (status == WEIR_OK)
            continue;
        bool all = befalls_all(filling, status);
        if (!all) {
            sink->status = status;
            sink->error = error;
        }
        if ((all || i == 0) && reterr)
            *reterr = error;
        if (all || i == 0)
            return status;
    }
    return WEIR_OK;
}

static weir_status flush(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    const struct weir_progress *progress = &window->options->progress;
    WEIR_TRY(give_all(filling, reterr));
    filling->run_count = 0;
    for (size_t i = 0; i < filling->batch_count; i++)
        window->source.operations->release(filling->reader, &filling->batches[i]);
    filling->batch_count = 0;
    int64_t now = weir_steady_ms(window->options->lake->context);
    if (progress->report && now - filling->last_report_ms > 250) {
        progress->report(progress->self, window->options->table->name, filling->done,
                         window->records, window->bytes);
        filling->last_report_ms = now;
    }
    return weir_context_check(window->options->lake->context, reterr);
}

/* The open run moves to the front when its batches are about to be released; so runs are closed at
 * flush only if whole. An open run keeps its batches: flush is called only between runs. */
static void close_run(struct filling *filling, size_t index)
{
    if (filling->open_records == 0)
        return;
    struct window *window = filling->window;
    struct weir_run *run = &filling->runs[filling->run_count];
    run->origin = (struct weir_origin){.topic = window->reach[index].partition.topic,
                                       .partition = window->reach[index].partition.partition};
    run->records = filling->records + filling->run_count * WEIR_BATCH_ROWS;
    run->count = filling->open_records;
    run->source = &window->source;
    filling->run_reach[filling->run_count] = index;
    filling->run_count++;
    filling->open_records = filling->open_bytes = 0;
}

static weir_status hold(struct filling *filling, const struct weir_log_batch *batch,
                        struct weir_error *reterr)
{
    if (filling->batch_count == filling->batch_capacity) {
        size_t capacity = filling->batch_capacity ? filling->batch_capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&filling->batches, &filling->window->options->lake->context->memory,
                              capacity * sizeof *filling->batches, reterr));
        filling->batch_capacity = capacity;
    }
    filling->batches[filling->batch_count++] = *batch;
    return WEIR_OK;
}

/* Takes a batch apart into runs. Batches of whole runs are released by flush; a run that spans
 * batches keeps both. */
static weir_status take(struct filling *filling, size_t index, const struct weir_log_batch *batch,
                        struct weir_error *reterr)
{
    struct window *window = filling->window;
    struct reach *reach = &window->reach[index];
    for (size_t i = 0; i < batch->count; i++) {
        const struct weir_log_record *record = &batch->records[i];
        if (record->offset < reach->expected || record->offset >= reach->to)
            return weir_fail(reterr, WEIR_INTERNAL,
                             "%s/%d: offset %" PRId64 " where [%" PRId64 ", %" PRId64 ") is read",
                             reach->partition.topic, reach->partition.partition, record->offset,
                             reach->expected, reach->to);
        WEIR_TRY(add_gap(window, reach, reach->expected, record->offset, reterr));
        reach->expected = record->offset + 1;
        filling->records[filling->run_count * WEIR_BATCH_ROWS + filling->open_records++] = *record;
        size_t size = record->value.size + record->key.size;
        filling->open_bytes += size;
        window->bytes += (int64_t)size;
        filling->done++;
        if (filling->open_records == WEIR_BATCH_ROWS || filling->open_bytes >= RUN_BYTES)
            close_run(filling, index);
        if (filling->run_count == filling->width && i + 1 < batch->count) {
            /* The batch goes on: its bytes must outlive this flush, so it is taken off the held
             * ones first. */
            struct weir_log_batch kept = filling->batches[--filling->batch_count];
            weir_status status = flush(filling, reterr);
            filling->batches[filling->batch_count++] =
                kept; /* flush has released or still holds the others: there is room */
            WEIR_TRY(status);
        }
    }
    if (batch->count) {
        json_decref(reach->print);
        reach->print = kafka_make_print(&batch->records[batch->count - 1]);
    }
    return WEIR_OK;
}

static weir_status fill_init(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    filling->width = weir_ingest_width(filling->sinks[0].ingest);
    struct weir_arena *arena = &window->arena;
    WEIR_TRY(
        weir_arena_zero(arena, filling->width + 1, sizeof *filling->runs, &filling->runs, reterr));
    WEIR_TRY(weir_arena_zero(arena, filling->width + 1, sizeof *filling->run_reach,
                             &filling->run_reach, reterr));
    WEIR_TRY(weir_arena_zero(arena, filling->width + 1, sizeof *filling->counts, &filling->counts,
                             reterr));
    WEIR_TRY(weir_arena_alloc(arena,
                              (filling->width + 1) * WEIR_BATCH_ROWS * sizeof *filling->records,
                              &filling->records, reterr));
    struct weir_log_partition *partitions;
    int64_t *from, *to;
    WEIR_TRY(weir_arena_zero(arena, window->count + 1, sizeof *partitions, &partitions, reterr));
    WEIR_TRY(weir_arena_zero(arena, window->count + 1, sizeof *from, &from, reterr));
    WEIR_TRY(weir_arena_zero(arena, window->count + 1, sizeof *to, &to, reterr));
    for (size_t i = 0; i < window->count; i++) {
        partitions[i] = window->reach[i].partition;
        from[i] = window->reach[i].from;
        to[i] = window->reach[i].to;
    }
    size_t limit = window->options->lake->context->memory.limit,
           prefetch = limit ? limit / 8 : 64u << 20;
    prefetch = prefetch > (64u << 20) ? 64u << 20 : prefetch;
    return window->source.operations->read_begin(window->source.self, partitions, from, to,
                                                 window->count, true, prefetch, &filling->reader,
                                                 reterr);
}

static weir_status read_all(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    size_t index = 0, last = 0;
    for (;;) {
        struct weir_log_batch batch;
        WEIR_TRY(weir_context_check(window->options->lake->context, reterr));
        WEIR_TRY(window->source.operations->read_next(filling->reader, READ_BYTES, READ_WAIT_MS,
                                                      &index, &batch, reterr));
        if (index != last) {
            close_run(filling, last);
            last = index;
        }
        if (index >= window->count)
            break;
        WEIR_TRY(hold(filling, &batch, reterr));
        WEIR_TRY(take(filling, index, &batch, reterr));
        if (batch.end) {
            close_run(filling, index);
            WEIR_TRY(add_gap(window, &window->reach[index], window->reach[index].expected,
                             window->reach[index].to, reterr));
            window->reach[index].expected = window->reach[index].to;
        }
        if (filling->run_count && filling->open_records == 0 &&
            filling->run_count >= filling->width - 1)
            WEIR_TRY(flush(filling, reterr));
        else if (filling->run_count >= filling->width)
            WEIR_TRY(flush(filling, reterr));
    }
    WEIR_TRY(flush(filling, reterr));
    for (size_t i = 0; i < window->count; i++)
        if (window->reach[i].expected != window->reach[i].to)
            return weir_fail(reterr, WEIR_UNAVAILABLE,
                             "%s/%d: reading stopped at %" PRId64 ", short of %" PRId64,
                             window->reach[i].partition.topic, window->reach[i].partition.partition,
                             window->reach[i].expected, window->reach[i].to);
    return WEIR_OK;
}

weir_status kafka_read_sinks(struct kafka_sink *sinks, size_t count, struct weir_error *reterr)
{
    struct window *window = sinks[0].window;
    struct filling filling = {.window = window, .sinks = sinks, .sink_count = count};
    weir_status status = fill_init(&filling, reterr);
    if (status == WEIR_OK)
        status = read_all(&filling, reterr);
    if (filling.reader) {
        for (size_t i = 0; i < filling.batch_count; i++)
            window->source.operations->release(filling.reader, &filling.batches[i]);
        window->source.operations->read_end(filling.reader);
    }
    weir_free(filling.batches);
    return status;
}

weir_status kafka_read_window(struct window *window, struct weir_ingest *ingest,
                              struct weir_error *reterr)
{
    struct kafka_sink sink = {.window = window, .ingest = ingest};
    return kafka_read_sinks(&sink, 1, reterr);
}
