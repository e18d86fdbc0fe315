/* Windows of Kafka offsets: fixed before they are read, accounted before they are committed, the position proven by a fingerprint of
 * the last record read. protocol.md 3. */
#include "scheduler/window/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RUN_BYTES (4u << 20)       /* raw bytes after which a run is cut, whatever its record count */
#define READ_WAIT_MS 200
#define READ_BYTES (4u << 20)
#define SMALLEST_WINDOW 1000       /* records; a window that does not fit memory_limit is halved down to this */
#define GAPS_MAX 100000            /* gap ranges of one partition kept before the window is refused */

struct gap { int64_t from, to; };

/* One partition of a window. */
struct reach {
    struct weir_log_partition partition;
    char key[512];
    int incarnation;
    int64_t start, from, to;       /* the window */
    int64_t last_stable, first, high_watermark;
    json_t *print;                 /* fingerprint after the window; owned; NULL = unchanged */
    const char *continuity;        /* "proven", "new", "not proven" */
    struct gap *gaps;
    size_t gap_count, gap_capacity;
    int64_t expected;              /* next offset looked for while reading */
    struct weir_run_counts counts;
    int64_t aborted, compacted, unexplained;
};

struct window {
    const struct weir_window_options *options;
    struct table_state *table;
    struct weir_log_source source;
    char cluster[128];
    struct weir_arena arena;
    struct reach *reach;
    size_t count;
    int64_t records, bytes;
    int64_t attempt;
    struct landing landing;        /* set while landing */
};

static void window_done(struct window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        json_decref(window->reach[i].print);
        weir_free(window->reach[i].gaps);
    }
    weir_arena_done(&window->arena);
    window->count = 0;
}

static bool is_ours(const struct weir_window_options *options, int32_t partition)
{
    return options->shard_count <= 1 || partition % options->shard_count == options->shard_index;
}

static weir_status start_offset(struct window *window, struct reach *reach, struct weir_error *reterr)
{
    const struct weir_source_config *config = window->options->table->source;
    reach->start = reach->first;
    switch (config->start) {
    case WEIR_START_EARLIEST:
        break;
    case WEIR_START_LATEST:
        reach->start = reach->last_stable;
        break;
    case WEIR_START_TIME:
        return window->source.operations->offsets_for_time(window->source.self, &reach->partition, 1, config->start_time_ms, &reach->start, reterr);
    case WEIR_START_OFFSETS:
        for (size_t i = 0; i < config->start_offset_count; i++)
            if (config->start_offsets[i].partition == reach->partition.partition)
                reach->start = config->start_offsets[i].offset;
        if (reach->start < reach->first || reach->start > reach->last_stable)
            return weir_fail(reterr, WEIR_DECISION, "%s/%d: start offset %" PRId64 " is outside what Kafka has, [%" PRId64 ", %" PRId64 "]", reach->partition.topic,
                             reach->partition.partition, reach->start, reach->first, reach->last_stable);
        break;
    }
    return WEIR_OK;
}

/* Partitions that exist now, with their offsets; sorted by topic and partition. */
static weir_status look(struct window *window, struct weir_error *reterr)
{
    const struct weir_log_source_operations *log = window->source.operations;
    struct weir_log_partition *partitions;
    struct weir_log_offsets *offsets;
    size_t count;
    WEIR_TRY(log->cluster_id(window->source.self, window->cluster, reterr));
    WEIR_TRY(log->partitions(window->source.self, &window->arena, &partitions, &count, reterr));
    WEIR_TRY(weir_arena_zero(&window->arena, count + 1, sizeof *offsets, &offsets, reterr));
    WEIR_TRY(weir_arena_zero(&window->arena, count + 1, sizeof *window->reach, &window->reach, reterr));
    if (count)
        WEIR_TRY(log->offsets(window->source.self, partitions, count, offsets, reterr));
    for (size_t i = 0; i < count; i++)
        window->reach[i] = (struct reach){.partition = partitions[i], .first = offsets[i].first, .last_stable = offsets[i].last_stable,
                                          .high_watermark = offsets[i].high_watermark};
    window->count = count;
    return WEIR_OK;
}

/* A shard reads its own partitions only; starts at birth and a person's decisions are for all of them. */
static void keep_ours(struct window *window)
{
    size_t kept = 0;
    for (size_t i = 0; i < window->count; i++)
        if (is_ours(window->options, window->reach[i].partition.partition))
            window->reach[kept++] = window->reach[i];
    window->count = kept;
}

static uint64_t record_hash(const struct weir_log_record *record)
{
    XXH64_hash_t key = XXH3_64bits(record->key.data ? record->key.data : (const uint8_t *)"", record->key.size);
    return XXH3_64bits_withSeed(record->value.data ? record->value.data : (const uint8_t *)"", record->value.size, key);
}

static json_t *make_print(const struct weir_log_record *record)
{
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, record_hash(record));
    return json_pack("[I, I, s]", (json_int_t)record->offset, (json_int_t)record->timestamp_ms, hash);
}

static weir_status not_the_same(const struct reach *reach, const char *why, struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_DECISION, "%s/%d is not the topic this table was reading: %s", reach->partition.topic, reach->partition.partition, why);
    weir_error_hint(reterr, "made anew or restored on purpose? `weir offsets rebind TABLE --reason ...` goes on with the new one from its start");
    return status;
}

/* The last record read is still there and the same? */
static weir_status check_print(struct window *window, struct reach *reach, const json_t *print, struct weir_error *reterr)
{
    reach->continuity = "not proven";
    int64_t offset = json_integer_value(json_array_get(print, 0));
    if (offset < reach->first)
        return WEIR_OK; /* gone by retention */
    WEIR_AUTO(weir_buffer) bytes = {.account = window->arena.account};
    struct weir_log_record record;
    weir_status status = window->source.operations->read_one(window->source.self, &reach->partition, offset, &record, &bytes, reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    if (record.offset != offset)
        return WEIR_OK; /* gone by compaction */
    json_t *now = make_print(&record);
    bool same = json_equal(now, print);
    json_decref(now);
    if (!same) {
        char why[200];
        snprintf(why, sizeof why, "the record at offset %" PRId64 " is another one", offset);
        return not_the_same(reach, why, reterr);
    }
    reach->continuity = "proven";
    return WEIR_OK;
}

static weir_status check_bounds(const struct reach *reach, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    if (reach->from > reach->high_watermark) {
        char why[200];
        snprintf(why, sizeof why, "the table has read up to %" PRId64 ", but the log ends at %" PRId64, reach->from, reach->high_watermark);
        return not_the_same(reach, why, reterr);
    }
    if (reach->from < reach->first) {
        status = weir_fail(reterr, WEIR_DECISION, "%s/%d: offsets [%" PRId64 ", %" PRId64 ") are gone from Kafka before they were read", reach->partition.topic,
                           reach->partition.partition, reach->from, reach->first);
        weir_error_hint(reterr, "`weir offsets accept-gap TABLE --reason ...` records the loss as a hole and goes on at %" PRId64, reach->first);
    }
    return status;
}

/* Another cluster: the topic is known to the table only under other cluster ids. */
static weir_status check_cluster(const struct window *window, const struct reach *reach, struct weir_error *reterr)
{
    const char *key;
    json_t *value;
    bool here = false, elsewhere = false;
    char other[128] = "";
    json_object_foreach(json_object_get(window->table->truth, "next"), key, value) {
        const char *slash = strchr(key, '/');
        size_t topic_size = strlen(reach->partition.topic);
        if (!slash || strncmp(slash + 1, reach->partition.topic, topic_size) != 0 || slash[1 + topic_size] != '/')
            continue;
        if ((size_t)(slash - key) == strlen(window->cluster) && strncmp(key, window->cluster, (size_t)(slash - key)) == 0) {
            here = true;
        } else {
            elsewhere = true;
            snprintf(other, sizeof other, "%.*s", (int)(slash - key), key);
        }
    }
    if (here || !elsewhere)
        return WEIR_OK;
    char why[300];
    snprintf(why, sizeof why, "it lies in cluster %s, the table read it from cluster %s", window->cluster, other);
    return not_the_same(reach, why, reterr);
}

/* from, start and continuity of each partition by the table's truth. */
static weir_status place(struct window *window, struct weir_error *reterr)
{
    json_t *truth = window->table->truth;
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        WEIR_TRY(check_cluster(window, reach, reterr));
        reach->incarnation = weir_incarnation(truth, window->cluster, reach->partition.topic);
        weir_position_key(reach->key, sizeof reach->key, window->cluster, reach->partition.topic, reach->incarnation, reach->partition.partition);
        reach->from = weir_position_get(truth, reach->key, "next");
        reach->start = weir_position_get(truth, reach->key, "start");
        reach->continuity = "new";
        if (reach->from < 0) {
            reach->from = reach->start = reach->first; /* met after the table's birth: from its earliest */
            continue;
        }
        WEIR_TRY(check_bounds(reach, reterr));
        const json_t *print = json_object_get(json_object_get(json_object_get(truth, "next"), reach->key), "print");
        if (print)
            WEIR_TRY(check_print(window, reach, print, reterr));
    }
    return WEIR_OK;
}

/* The state a table is born with: every partition's start, resolved to numbers. */
static weir_status birth_state(struct window *window, json_t **ret_state, struct weir_error *reterr)
{
    json_t *state = weir_state_new();
    if (!state)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        weir_status status = start_offset(window, reach, reterr);
        weir_position_key(reach->key, sizeof reach->key, window->cluster, reach->partition.topic, 0, reach->partition.partition);
        if (status == WEIR_OK)
            status = weir_position_set(state, reach->key, reach->start, reach->start, NULL, reterr);
        if (status != WEIR_OK) {
            json_decref(state);
            return status;
        }
    }
    *ret_state = state;
    return WEIR_OK;
}

/* Records a window may take: max_records, and as many as max_bytes holds at the size records had so far. */
static int64_t window_cap(const struct window *window, const json_t *outcome)
{
    const struct weir_pipeline *pipeline = window->options->pipeline;
    int64_t records = json_integer_value(json_object_get(outcome, "read")), bytes = json_integer_value(json_object_get(outcome, "bytes"));
    int64_t average = records > 0 && bytes > records ? bytes / records : 1024;
    int64_t by_bytes = (int64_t)(pipeline->window_max_bytes / (uint64_t)average);
    int64_t cap = pipeline->window_max_records < by_bytes ? pipeline->window_max_records : by_bytes;
    return cap < 1 ? 1 : cap;
}

/* `to` of each partition: all of the lag, or a share of the cap in proportion to it. */
static void cut(struct window *window, int64_t cap)
{
    int64_t lag = 0;
    for (size_t i = 0; i < window->count; i++)
        lag += window->reach[i].last_stable > window->reach[i].from ? window->reach[i].last_stable - window->reach[i].from : 0;
    window->records = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        int64_t mine = reach->last_stable > reach->from ? reach->last_stable - reach->from : 0;
        if (lag > cap)
            mine = (int64_t)(((__int128)mine * cap + lag - 1) / lag);
        reach->to = reach->from + mine;
        reach->expected = reach->from;
        window->records += mine;
    }
}

static weir_status add_gap(struct window *window, struct reach *reach, int64_t from, int64_t to, struct weir_error *reterr)
{
    if (from >= to)
        return WEIR_OK;
    if (reach->gap_count == reach->gap_capacity) {
        size_t capacity = reach->gap_capacity ? reach->gap_capacity * 2 : 64;
        if (capacity > GAPS_MAX)
            return weir_fail(reterr, WEIR_DECISION, "%s/%d: more than %d gaps in one window", reach->partition.topic, reach->partition.partition, GAPS_MAX);
        WEIR_TRY(weir_realloc(&reach->gaps, &window->options->lake->context->memory, capacity * sizeof *reach->gaps, reterr));
        reach->gap_capacity = capacity;
    }
    reach->gaps[reach->gap_count++] = (struct gap){from, to};
    return WEIR_OK;
}

/* ---- reading ---- */

/* Runs being filled: cut by the records alone, at WEIR_BATCH_ROWS records or RUN_BYTES bytes or the end of a partition. */
struct filling {
    struct window *window;
    struct weir_ingest *ingest;
    struct weir_log_reader *reader;
    struct weir_run *runs;
    size_t *run_reach;                  /* index of the partition of each run */
    struct weir_run_counts *counts;
    struct weir_log_record *records;    /* width * WEIR_BATCH_ROWS */
    size_t width, run_count;            /* runs closed */
    size_t open_records, open_bytes;    /* of the run being filled */
    struct weir_log_batch *batches;     /* held until the runs are ingested */
    size_t batch_count, batch_capacity;
    int64_t last_report_ms, done;
};

static weir_status flush(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    const struct weir_progress *progress = &window->options->progress;
    if (filling->run_count) {
        WEIR_TRY(weir_ingest_runs(filling->ingest, filling->runs, filling->run_count, filling->counts, reterr));
        for (size_t i = 0; i < filling->run_count; i++) {
            struct weir_run_counts *to = &window->reach[filling->run_reach[i]].counts, *from = &filling->counts[i];
            to->landed += from->landed;
            to->refused += from->refused;
            to->filtered += from->filtered + from->tombstones;
        }
    }
    filling->run_count = 0;
    for (size_t i = 0; i < filling->batch_count; i++)
        window->source.operations->release(filling->reader, &filling->batches[i]);
    filling->batch_count = 0;
    int64_t now = weir_steady_ms(window->options->lake->context);
    if (progress->report && now - filling->last_report_ms > 250) {
        progress->report(progress->self, window->options->table->name, filling->done, window->records, window->bytes);
        filling->last_report_ms = now;
    }
    return weir_context_check(window->options->lake->context, reterr);
}

/* The open run moves to the front when its batches are about to be released; so runs are closed at flush only if whole.
 * An open run keeps its batches: flush is called only between runs. */
static void close_run(struct filling *filling, size_t index)
{
    if (filling->open_records == 0)
        return;
    struct window *window = filling->window;
    struct weir_run *run = &filling->runs[filling->run_count];
    run->origin = (struct weir_origin){.topic = window->reach[index].partition.topic, .partition = window->reach[index].partition.partition};
    run->records = filling->records + filling->run_count * WEIR_BATCH_ROWS;
    run->count = filling->open_records;
    filling->run_reach[filling->run_count] = index;
    filling->run_count++;
    filling->open_records = filling->open_bytes = 0;
}

static weir_status hold(struct filling *filling, const struct weir_log_batch *batch, struct weir_error *reterr)
{
    if (filling->batch_count == filling->batch_capacity) {
        size_t capacity = filling->batch_capacity ? filling->batch_capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&filling->batches, &filling->window->options->lake->context->memory, capacity * sizeof *filling->batches, reterr));
        filling->batch_capacity = capacity;
    }
    filling->batches[filling->batch_count++] = *batch;
    return WEIR_OK;
}

/* Takes a batch apart into runs. Batches of whole runs are released by flush; a run that spans batches keeps both. */
static weir_status take(struct filling *filling, size_t index, const struct weir_log_batch *batch, struct weir_error *reterr)
{
    struct window *window = filling->window;
    struct reach *reach = &window->reach[index];
    for (size_t i = 0; i < batch->count; i++) {
        const struct weir_log_record *record = &batch->records[i];
        if (record->offset < reach->expected || record->offset >= reach->to)
            return weir_fail(reterr, WEIR_INTERNAL, "%s/%d: offset %" PRId64 " where [%" PRId64 ", %" PRId64 ") is read", reach->partition.topic,
                             reach->partition.partition, record->offset, reach->expected, reach->to);
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
            /* The batch goes on: its bytes must outlive this flush, so it is taken off the held ones first. */
            struct weir_log_batch kept = filling->batches[--filling->batch_count];
            weir_status status = flush(filling, reterr);
            filling->batches[filling->batch_count++] = kept; /* flush has released or still holds the others: there is room */
            WEIR_TRY(status);
        }
    }
    if (batch->count) {
        json_decref(reach->print);
        reach->print = make_print(&batch->records[batch->count - 1]);
    }
    return WEIR_OK;
}

static weir_status fill_init(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    filling->width = weir_ingest_width(filling->ingest);
    struct weir_arena *arena = &window->arena;
    WEIR_TRY(weir_arena_zero(arena, filling->width + 1, sizeof *filling->runs, &filling->runs, reterr));
    WEIR_TRY(weir_arena_zero(arena, filling->width + 1, sizeof *filling->run_reach, &filling->run_reach, reterr));
    WEIR_TRY(weir_arena_zero(arena, filling->width + 1, sizeof *filling->counts, &filling->counts, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (filling->width + 1) * WEIR_BATCH_ROWS * sizeof *filling->records, &filling->records, reterr));
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
    size_t limit = window->options->lake->context->memory.limit, prefetch = limit ? limit / 8 : 64u << 20;
    prefetch = prefetch > (64u << 20) ? 64u << 20 : prefetch;
    return window->source.operations->read_begin(window->source.self, partitions, from, to, window->count, true, prefetch, &filling->reader, reterr);
}

static weir_status read_all(struct filling *filling, struct weir_error *reterr)
{
    struct window *window = filling->window;
    size_t index = 0, last = 0;
    for (;;) {
        struct weir_log_batch batch;
        WEIR_TRY(weir_context_check(window->options->lake->context, reterr));
        WEIR_TRY(window->source.operations->read_next(filling->reader, READ_BYTES, READ_WAIT_MS, &index, &batch, reterr));
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
            WEIR_TRY(add_gap(window, &window->reach[index], window->reach[index].expected, window->reach[index].to, reterr));
            window->reach[index].expected = window->reach[index].to;
        }
        if (filling->run_count && filling->open_records == 0 && filling->run_count >= filling->width - 1)
            WEIR_TRY(flush(filling, reterr));
        else if (filling->run_count >= filling->width)
            WEIR_TRY(flush(filling, reterr));
    }
    WEIR_TRY(flush(filling, reterr));
    for (size_t i = 0; i < window->count; i++)
        if (window->reach[i].expected != window->reach[i].to)
            return weir_fail(reterr, WEIR_UNAVAILABLE, "%s/%d: reading stopped at %" PRId64 ", short of %" PRId64, window->reach[i].partition.topic,
                             window->reach[i].partition.partition, window->reach[i].expected, window->reach[i].to);
    return WEIR_OK;
}

/* ---- gaps by evidence ---- */

static json_t *ranges_of(const struct gap *gaps, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("[I, I]", (json_int_t)gaps[i].from, (json_int_t)gaps[i].to));
    return array;
}

/* A second read with read_uncommitted: what it yields in the gap was aborted; the rest stays in *rest (which has room). */
static weir_status split_aborted(struct window *window, struct reach *reach, const struct gap *gap, struct gap *aborted, size_t *aborted_count, struct gap *rest,
                                 size_t *rest_count, size_t capacity, struct weir_error *reterr)
{
    struct weir_log_reader *reader;
    const struct weir_log_source_operations *log = window->source.operations;
    WEIR_TRY(log->read_begin(window->source.self, &reach->partition, &gap->from, &gap->to, 1, false, 1u << 20, &reader, reterr));
    int64_t at = gap->from;
    size_t index = 0;
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && index == 0) {
        struct weir_log_batch batch;
        status = log->read_next(reader, READ_BYTES, READ_WAIT_MS, &index, &batch, reterr);
        if (status != WEIR_OK || index != 0)
            break;
        for (size_t i = 0; i < batch.count && *aborted_count + 1 < capacity && *rest_count + 1 < capacity; i++) {
            int64_t offset = batch.records[i].offset;
            if (offset > at)
                rest[(*rest_count)++] = (struct gap){at, offset};
            struct gap *last = *aborted_count ? &aborted[*aborted_count - 1] : NULL;
            if (last && last->to == offset)
                last->to++;
            else
                aborted[(*aborted_count)++] = (struct gap){offset, offset + 1};
            at = offset + 1;
        }
        log->release(reader, &batch);
        status = weir_context_check(window->options->lake->context, reterr);
    }
    log->read_end(reader);
    if (status == WEIR_OK && at < gap->to)
        rest[(*rest_count)++] = (struct gap){at, gap->to};
    return status;
}

static bool touches(const struct gap *gap, const struct gap *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (others[i].to == gap->from || others[i].from == gap->to)
            return true;
    return false;
}

static weir_status unexplained(const struct reach *reach, const struct gap *gap, struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_DECISION, "%s/%d: offsets [%" PRId64 ", %" PRId64 ") hold no records, and neither compaction nor an aborted transaction explains it",
                                   reach->partition.topic, reach->partition.partition, gap->from, gap->to);
    weir_error_hint(reterr, "do producers use transactions? then say `transactional: true` under the source's kafka: their markers take up offsets");
    return status;
}

/* Classes of a partition's gaps into its entry of the receipt. */
static weir_status class_gaps(struct window *window, struct reach *reach, json_t *entry, struct weir_error *reterr)
{
    if (reach->gap_count == 0)
        return WEIR_OK;
    size_t capacity = 2, aborted_count = 0, rest_count = 0;
    for (size_t i = 0; i < reach->gap_count; i++)
        capacity += (size_t)(reach->gaps[i].to - reach->gaps[i].from > 4096 ? 4096 : reach->gaps[i].to - reach->gaps[i].from) + 2;
    struct gap *aborted, *rest;
    WEIR_TRY(weir_arena_alloc(&window->arena, capacity * sizeof *aborted, &aborted, reterr));
    WEIR_TRY(weir_arena_alloc(&window->arena, capacity * sizeof *rest, &rest, reterr));
    for (size_t i = 0; i < reach->gap_count; i++)
        WEIR_TRY(split_aborted(window, reach, &reach->gaps[i], aborted, &aborted_count, rest, &rest_count, capacity, reterr));
    bool compacted;
    WEIR_TRY(window->source.operations->is_compacted(window->source.self, reach->partition.topic, &compacted, reterr));
    bool allowed = window->options->table->source->transactional;
    for (size_t i = 0; i < rest_count; i++) {
        int64_t size = rest[i].to - rest[i].from;
        if (compacted)
            reach->compacted += size;
        else if (allowed || touches(&rest[i], aborted, aborted_count))
            reach->unexplained += size;
        else
            return unexplained(reach, &rest[i], reterr);
    }
    json_t *gaps = json_object();
    for (size_t i = 0; i < aborted_count; i++)
        reach->aborted += aborted[i].to - aborted[i].from;
    if (aborted_count)
        json_object_set_new(gaps, "aborted", ranges_of(aborted, aborted_count));
    if (rest_count)
        json_object_set_new(gaps, compacted ? "compacted" : "unexplained", ranges_of(rest, rest_count));
    return json_object_set_new(entry, "gaps", gaps) == 0 ? WEIR_OK : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
}

/* landed + refused + filtered + erased + gaps = to - from, before anything is committed. */
static weir_status account(struct window *window, json_t *receipt, json_t *summary_ranges, struct weir_error *reterr)
{
    json_t *ranges = json_object();
    json_object_set_new(receipt, "ranges", ranges);
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        if (reach->to == reach->from)
            continue;
        json_t *entry = json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:{}, s:s}", "from", (json_int_t)reach->from, "to", (json_int_t)reach->to, "landed",
                                  (json_int_t)reach->counts.landed, "refused", (json_int_t)reach->counts.refused, "filtered", (json_int_t)reach->counts.filtered,
                                  "erased", 0, "gaps", "continuity", reach->continuity);
        json_object_set_new(ranges, reach->key, entry);
        WEIR_TRY(class_gaps(window, reach, entry, reterr));
        int64_t gaps = reach->aborted + reach->compacted + reach->unexplained;
        int64_t sum = reach->counts.landed + reach->counts.refused + reach->counts.filtered + gaps;
        if (sum != reach->to - reach->from)
            return weir_fail(reterr, WEIR_INTERNAL, "%s/%d: %" PRId64 " offsets of [%" PRId64 ", %" PRId64 ") accounted for: the window is not committed",
                             reach->partition.topic, reach->partition.partition, sum, reach->from, reach->to);
        json_object_set_new(summary_ranges, reach->key, json_pack("[I, I]", (json_int_t)reach->from, (json_int_t)reach->to));
    }
    return WEIR_OK;
}

/* ---- landing ---- */

static enum weir_test compare(void *self, const json_t *state)
{
    const struct window *window = self;
    bool equal = true, past = true;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        if (reach->to == reach->from)
            continue;
        int64_t next = weir_position_get(state, reach->key, "next");
        equal &= next == reach->from || (next < 0 && strcmp(reach->continuity, "new") == 0);
        past &= next >= reach->to;
    }
    return equal ? WEIR_TEST_GO : past ? WEIR_TEST_DONE : WEIR_TEST_DROP;
}

static weir_status overlay(void *self, json_t *state, int64_t snapshot_id, struct weir_error *reterr)
{
    struct window *window = self;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        if (reach->to > reach->from)
            WEIR_TRY(weir_position_set(state, reach->key, reach->start, reach->to, json_incref(reach->print), reterr));
    }
    return landing_letters(&window->landing, state, snapshot_id, reterr);
}

static json_t *letter_ranges(const struct window *window)
{
    json_t *ranges = json_object();
    for (size_t i = 0; i < window->count; i++)
        if (window->reach[i].counts.refused)
            json_object_set_new(ranges, window->reach[i].key, json_pack("[I, I]", (json_int_t)window->reach[i].from, (json_int_t)window->reach[i].to));
    return ranges;
}

static weir_status land_window(struct window *window, const struct weir_ingest_result *result, json_t *outcome, struct weir_error *reterr)
{
    struct landing *landing = &window->landing;
    weir_status status;
    json_t *ranges = json_object();
    WEIR_TRY_OUT(status, landing_init(landing, window->options, window->table, result, reterr));
    json_object_set_new(landing->receipt, "bytes_read", json_integer(window->bytes));
    WEIR_TRY_OUT(status, account(window, landing->receipt, ranges, reterr));
    landing->letter_ranges = letter_ranges(window);
    char *text = weir_json_text(ranges);
    if (json_object_size(ranges) <= WEIR_SUMMARY_PARTITIONS_MAX)
        json_object_set_new(landing->summary, "weir.ranges", json_string(text));
    free(text);
    struct weir_work work = {.kind = "window", .operation = "append", .epoch = json_integer_value(json_object_get(window->table->truth, "epoch")), .test = compare,
                             .overlay = overlay, .self = window, .files = result->files, .file_count = result->file_count, .summary = landing->summary,
                             .receipt = landing->receipt, .schema = window->table->shape.changed ? &window->table->shape.schema : NULL};
    enum weir_landing how;
    int64_t snapshot_id = 0;
    WEIR_TRY_OUT(status, weir_land(window->options->lake, &window->table->table, &work, &how, &snapshot_id, reterr));
    if (how == WEIR_LANDED) {
        outcome_result(outcome, result, snapshot_id);
        outcome_add(outcome, "bytes", window->bytes);
        for (size_t i = 0; i < window->count; i++) {
            outcome_add(outcome, "gaps", window->reach[i].aborted + window->reach[i].compacted + window->reach[i].unexplained);
            outcome_add(outcome, "read", window->reach[i].counts.landed + window->reach[i].counts.refused + window->reach[i].counts.filtered);
        }
    } else {
        outcome_add(outcome, how == WEIR_SUPERSEDED ? "superseded" : "abandoned", 1);
    }
out:
    json_decref(ranges);
    landing_done(landing);
    return status;
}

static weir_status ingest_window(struct window *window, json_t *outcome, struct weir_error *reterr)
{
    struct weir_ingest *ingest = NULL;
    struct filling filling = {.window = window};
    struct weir_ingest_result result;
    window->attempt = weir_snapshot_id(window->options->lake->context, window->table->table->metadata);
    weir_status status;
    WEIR_TRY_OUT(status, table_ingest(window->options, window->table, window->attempt, &ingest, reterr));
    filling.ingest = ingest;
    WEIR_TRY_OUT(status, fill_init(&filling, reterr));
    WEIR_TRY_OUT(status, read_all(&filling, reterr));
    window->source.operations->read_end(filling.reader);
    filling.reader = NULL;
    WEIR_TRY_OUT(status, weir_ingest_finish(ingest, &result, reterr));
    WEIR_TRY_OUT(status, table_check_share(window->options->table, &result, reterr));
    status = land_window(window, &result, outcome, reterr);
out:
    if (filling.reader) {
        for (size_t i = 0; i < filling.batch_count; i++)
            window->source.operations->release(filling.reader, &filling.batches[i]);
        window->source.operations->read_end(filling.reader);
    }
    weir_free(filling.batches);
    weir_ingest_free(ingest);
    return status;
}

/* A mirror for lag tools and autoscalers: after the commit, also for an empty window; failing never fails a run. */
static void mirror(struct window *window, json_t *outcome)
{
    struct weir_log_partition *partitions;
    int64_t *next;
    struct weir_error error = {0};
    const struct weir_source_config *source = window->options->table->source;
    char group[300];
    snprintf(group, sizeof group, "weir-%s-%s", window->options->pipeline->name ? window->options->pipeline->name : "pipeline", source->name);
    if (weir_arena_zero(&window->arena, window->count + 1, sizeof *partitions, &partitions, NULL) != WEIR_OK ||
        weir_arena_zero(&window->arena, window->count + 1, sizeof *next, &next, NULL) != WEIR_OK || window->count == 0)
        return;
    for (size_t i = 0; i < window->count; i++) {
        int64_t at = weir_position_get(window->table->truth, window->reach[i].key, "next");
        partitions[i] = window->reach[i].partition;
        next[i] = at < 0 ? window->reach[i].from : at;
    }
    if (window->source.operations->mirror(window->source.self, source->group ? source->group : group, partitions, next, window->count, &error) != WEIR_OK)
        json_object_set_new(outcome, "mirror_failed", json_string(error.text));
}

static weir_status prepare(struct window *window, struct weir_error *reterr)
{
    WEIR_TRY(look(window, reterr));
    if (!window->table->table) {
        json_t *state;
        WEIR_TRY(birth_state(window, &state, reterr));
        weir_status status = table_birth(window->options, window->table, state, reterr);
        json_decref(state);
        WEIR_TRY(status);
    }
    keep_ours(window);
    return place(window, reterr);
}

weir_status kafka_windows_run(const struct weir_window_options *options, struct table_state *table, json_t *outcome, struct weir_error *reterr)
{
    struct weir_log_source source;
    WEIR_TRY(weir_source_open(options->lake->context, options->pipeline, options->table->source, &source, reterr));
    weir_status status = WEIR_OK;
    int64_t memory_cap = INT64_MAX; /* records that fit memory_limit, learnt by not fitting */
    for (int windows = 0; status == WEIR_OK && (options->windows_max == 0 || windows < options->windows_max); windows++) {
        struct window window = {.options = options, .table = table, .source = source};
        weir_arena_init(&window.arena, &options->lake->context->memory);
        status = prepare(&window, reterr);
        if (status == WEIR_OK)
            status = table_sync_quarantine(options, table, reterr); /* what an earlier run left */
        bool due = false;
        if (status == WEIR_OK) {
            int64_t cap = window_cap(&window, outcome);
            cut(&window, cap < memory_cap ? cap : memory_cap);
            due = window.records > 0;
            /* a changed schema waits for the commit that needs it: the next window with records */
        }
        if (status == WEIR_OK && due)
            status = ingest_window(&window, outcome, reterr);
        if (status == WEIR_NO_MEMORY && window.records > SMALLEST_WINDOW) {
            memory_cap = window.records / 2; /* smaller work instead of dying; nothing of this one was committed */
            outcome_add(outcome, "windows_halved", 1);
            status = WEIR_OK;
        }
        if (status == WEIR_OK && due)
            status = table_reload(options, table, reterr);
        if (status == WEIR_OK && due)
            status = table_sync_quarantine(options, table, reterr);
        if (status == WEIR_OK)
            mirror(&window, outcome);
        window_done(&window);
        if (!due)
            break;
        if (status == WEIR_OK)
            status = weir_context_check(options->lake->context, reterr);
    }
    source.operations->free(source.self);
    return status;
}

weir_status kafka_windows_plan(const struct weir_window_options *options, struct table_state *table, json_t *plan, struct weir_error *reterr)
{
    struct window window = {.options = options, .table = table};
    WEIR_TRY(weir_source_open(options->lake->context, options->pipeline, options->table->source, &window.source, reterr));
    weir_arena_init(&window.arena, &options->lake->context->memory);
    weir_status status = look(&window, reterr);
    keep_ours(&window);
    for (size_t i = 0; status == WEIR_OK && !table->table && i < window.count; i++) {
        status = start_offset(&window, &window.reach[i], reterr);
        window.reach[i].from = window.reach[i].start;
        window.reach[i].continuity = "new";
    }
    if (status == WEIR_OK && table->table)
        status = place(&window, reterr);
    int64_t total = 0;
    json_t *list = json_array();
    for (size_t i = 0; status == WEIR_OK && i < window.count; i++) {
        const struct reach *reach = &window.reach[i];
        int64_t lag = reach->last_stable > reach->from ? reach->last_stable - reach->from : 0;
        total += lag;
        json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "topic", reach->partition.topic, "partition", reach->partition.partition,
                                              "first", (json_int_t)reach->first, "from", (json_int_t)reach->from, "to", (json_int_t)reach->last_stable, "lag",
                                              (json_int_t)lag, "high_watermark", (json_int_t)reach->high_watermark, "held",
                                              (json_int_t)(reach->high_watermark - reach->last_stable), "continuity", reach->continuity));
    }
    json_object_set_new(plan, "partitions", list);
    json_object_set_new(plan, "records", json_integer(total));
    int64_t cap = window_cap(&window, NULL);
    json_object_set_new(plan, "windows", json_integer((total + cap - 1) / cap));
    window.source.operations->free(window.source.self);
    window_done(&window);
    return status;
}

/* ---- what a person decides ---- */

struct decision { struct window *window; bool rebind; };

static weir_status overlay_gap(void *self, json_t *state, int64_t snapshot_id, struct weir_error *reterr)
{
    struct window *window = ((struct decision *)self)->window;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        int64_t next = weir_position_get(state, reach->key, "next");
        if (next < 0 || next >= reach->first)
            continue;
        WEIR_TRY(weir_intervals_add(state, "holes", reach->key, next, reach->first, reterr));
        WEIR_TRY(weir_position_set(state, reach->key, reach->start, reach->first, NULL, reterr));
    }
    return WEIR_OK;
}

static weir_status overlay_rebind(void *self, json_t *state, int64_t snapshot_id, struct weir_error *reterr)
{
    struct window *window = ((struct decision *)self)->window;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        char key[512];
        weir_position_key(key, sizeof key, window->cluster, reach->partition.topic, reach->incarnation + 1, reach->partition.partition);
        WEIR_TRY(weir_position_set(state, key, reach->first, reach->first, NULL, reterr));
    }
    return WEIR_OK;
}

static weir_status decide(const struct weir_window_options *options, bool rebind, json_t **ret_outcome, struct weir_error *reterr)
{
    struct table_state table;
    WEIR_TRY(table_load(options, &table, reterr));
    struct window window = {.options = options, .table = &table};
    weir_arena_init(&window.arena, &options->lake->context->memory);
    struct decision decision = {&window, rebind};
    json_t *receipt = json_object(), *moved = json_array(), *report = NULL;
    bool open = false;
    weir_status status = table.table ? WEIR_OK : weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet", options->table->name);
    if (status == WEIR_OK)
        status = weir_source_open(options->lake->context, options->pipeline, options->table->source, &window.source, reterr);
    open = status == WEIR_OK;
    if (open)
        status = look(&window, reterr);
    for (size_t i = 0; status == WEIR_OK && i < window.count; i++) {
        struct reach *reach = &window.reach[i];
        reach->incarnation = weir_incarnation(table.truth, window.cluster, reach->partition.topic);
        weir_position_key(reach->key, sizeof reach->key, window.cluster, reach->partition.topic, reach->incarnation, reach->partition.partition);
        reach->start = weir_position_get(table.truth, reach->key, "start");
        int64_t next = weir_position_get(table.truth, reach->key, "next");
        if (rebind || (next >= 0 && next < reach->first))
            json_array_append_new(moved, json_pack("{s:s, s:i, s:I, s:I}", "topic", reach->partition.topic, "partition", reach->partition.partition, "from", (json_int_t)next,
                                                   "to", (json_int_t)reach->first));
    }
    report = json_pack("{s:s, s:s, s:O}", "table", options->table->name, "kind", rebind ? "rebind" : "gap", "moved", moved);
    if (status == WEIR_OK && json_array_size(moved)) {
        json_object_set(receipt, "moved", moved);
        struct weir_work work = {.kind = rebind ? "rebind" : "gap", .operation = "append", .epoch = json_integer_value(json_object_get(table.truth, "epoch")),
                                 .overlay = rebind ? overlay_rebind : overlay_gap, .self = &decision, .receipt = receipt};
        enum weir_landing how = WEIR_ABANDONED;
        status = weir_land(options->lake, &table.table, &work, &how, NULL, reterr);
        if (status == WEIR_OK && how != WEIR_LANDED)
            status = weir_fail(reterr, WEIR_PRECONDITION, "%s changed meanwhile; nothing was done, try again", options->table->name);
    }
    if (open)
        window.source.operations->free(window.source.self);
    window_done(&window);
    table_done(&table);
    json_decref(receipt);
    json_decref(moved);
    if (status == WEIR_OK)
        *ret_outcome = report;
    else
        json_decref(report);
    return status;
}

weir_status weir_offsets_accept_gap(const struct weir_window_options *options, json_t **ret_outcome, struct weir_error *reterr) { return decide(options, false, ret_outcome, reterr); }
weir_status weir_offsets_rebind(const struct weir_window_options *options, json_t **ret_outcome, struct weir_error *reterr) { return decide(options, true, ret_outcome, reterr); }
