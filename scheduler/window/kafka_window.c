/* Windows of Kafka offsets: fixed before they are read, accounted before they are committed, landed
 * whole. protocol.md 3, 4. */
#include "scheduler/window/kafka_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kafka_window_done(struct window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        json_decref(window->reach[i].print);
        json_decref(window->reach[i].classes);
        weir_free(window->reach[i].gaps);
    }
    weir_arena_done(&window->arena);
    window->count = 0;
}

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

static weir_status overlay(void *self, json_t *state, int64_t snapshot_id,
                           struct weir_error *reterr)
{
    struct window *window = self;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        if (reach->to > reach->from)
            WEIR_TRY(weir_position_set(state, reach->key, reach->start, reach->to,
                                       json_incref(reach->print), reterr));
    }
    return landing_letters(&window->landing, state, snapshot_id, reterr);
}

static json_t *letter_ranges(const struct window *window)
{
    json_t *ranges = json_object();
    for (size_t i = 0; i < window->count; i++)
        if (window->reach[i].counts.refused)
            json_object_set_new(ranges, window->reach[i].key,
                                json_pack("[I, I]", (json_int_t)window->reach[i].from,
                                          (json_int_t)window->reach[i].to));
    return ranges;
}

static weir_status land_window(struct window *window, const struct weir_ingest_result *result,
                               json_t *outcome, struct weir_error *reterr)
{
    struct landing *landing = &window->landing;
    weir_status status;
    json_t *ranges = json_object();
    WEIR_TRY_OUT(status, landing_init(landing, window->options, window->table, result, reterr));
    json_object_set_new(landing->receipt, "bytes_read", json_integer(window->bytes));
    WEIR_TRY_OUT(status, kafka_account(window, landing->receipt, ranges, reterr));
    landing->letter_ranges = letter_ranges(window);
    char *text = weir_json_text(ranges);
    if (json_object_size(ranges) <= WEIR_SUMMARY_PARTITIONS_MAX)
        json_object_set_new(landing->summary, "weir.ranges", json_string(text));
    free(text);
    struct weir_work work = {
        .kind = "window",
        .operation = "append",
        .epoch = json_integer_value(json_object_get(window->table->truth, "epoch")),
        .test = compare,
        .overlay = overlay,
        .self = window,
        .files = result->files,
        .file_count = result->file_count,
        .summary = landing->summary,
        .receipt = landing->receipt,
        .properties = landing->properties,
        .schema = window->table->shape.changed ? &window->table->shape.schema : NULL};
    enum weir_landing how;
    int64_t snapshot_id = 0;
    WEIR_TRY_OUT(status, weir_land(window->options->lake, &window->table->table, &work, &how,
                                   &snapshot_id, reterr));
    if (how == WEIR_LANDED) {
        outcome_result(outcome, result, snapshot_id);
        outcome_add(outcome, "bytes", window->bytes);
        for (size_t i = 0; i < window->count; i++) {
            outcome_add(outcome, "gaps",
                        window->reach[i].aborted + window->reach[i].compacted +
                            window->reach[i].unexplained);
            outcome_add(outcome, "read",
                        window->reach[i].counts.landed + window->reach[i].counts.refused +
                            window->reach[i].counts.filtered);
        }
    } else {
        outcome_add(outcome, how == WEIR_SUPERSEDED ? "superseded" : "abandoned", 1);
    }
out:
    json_decref(ranges);
    landing_done(landing);
    return status;
}

/* As planned, nothing read. */
void kafka_window_rewind(struct window *window)
{
    window->bytes = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        json_decref(reach->print);
        json_decref(reach->classes);
        reach->print = reach->classes = NULL;
        reach->gap_count = 0;
        reach->expected = reach->from;
        reach->counts = (struct weir_run_counts){0};
    }
}

/* Reads the window; once more, with columns for them, if it has fields that the shape lacks. */
static weir_status read_window(struct window *window, struct weir_ingest **ret_ingest,
                               struct weir_error *reterr)
{
    const struct weir_window_options *options = window->options;
    for (unsigned flags = 0;; flags = INGEST_GROWN) {
        struct weir_ingest *ingest;
        window->attempt = weir_snapshot_id(options->lake->context, window->table->table->metadata);
        WEIR_TRY(
            table_ingest(options, window->table, window->attempt, flags, NULL, &ingest, reterr));
        weir_status status = kafka_read_window(window, ingest, reterr);
        bool found = status == WEIR_OK && weir_ingest_found(ingest);
        if (found)
            status = table_grow(options, window->table, ingest, reterr);
        if (status == WEIR_OK && !found) {
            *ret_ingest = ingest;
            return WEIR_OK;
        }
        weir_ingest_free(ingest);
        WEIR_TRY(status);
        kafka_window_rewind(window);
    }
}

weir_status kafka_window_land(struct window *window, struct weir_ingest *ingest, json_t *outcome,
                              struct weir_error *reterr)
{
    struct weir_ingest_result result;
    WEIR_TRY(weir_ingest_finish(ingest, &result, reterr));
    WEIR_TRY(table_check_share(window->options, &result, reterr));
    return land_window(window, &result, outcome, reterr);
}

static weir_status ingest_window(struct window *window, json_t *outcome, struct weir_error *reterr)
{
    struct weir_ingest *ingest;
    WEIR_TRY(read_window(window, &ingest, reterr));
    weir_status status = kafka_window_land(window, ingest, outcome, reterr);
    weir_ingest_free(ingest);
    return status;
}

void kafka_window_mirror(struct window *window, const int64_t *next, json_t *outcome)
{
    struct weir_log_partition *partitions;
    struct weir_error error = {0};
    if (window->count == 0 || weir_arena_zero(&window->arena, window->count + 1, sizeof *partitions,
                                              &partitions, NULL) != WEIR_OK)
        return;
    for (size_t i = 0; i < window->count; i++)
        partitions[i] = window->reach[i].partition;
    if (window->source.operations->mirror(window->source.self,
                                          /* the source's own group */ NULL, partitions, next,
                                          window->count, &error) != WEIR_OK)
        json_object_set_new(outcome, "mirror_failed", json_string(error.text));
}

/* A mirror for lag tools and autoscalers: after the commit, also for an empty window; failing never
 * fails a run. */
static void mirror(struct window *window, json_t *outcome)
{
    int64_t *next;
    if (weir_arena_zero(&window->arena, window->count + 1, sizeof *next, &next, NULL) != WEIR_OK)
        return;
    for (size_t i = 0; i < window->count; i++) {
        int64_t at = weir_position_get(window->table->truth, window->reach[i].key, "next");
        next[i] = at < 0 ? window->reach[i].from : at;
    }
    kafka_window_mirror(window, next, outcome);
}

static weir_status prepare(struct window *window, struct weir_error *reterr)
{
    WEIR_TRY(kafka_look(window, reterr));
    if (!window->table->table) {
        json_t *state;
        WEIR_TRY(kafka_birth_state(window, &state, reterr));
        weir_status status = table_birth(window->options, window->table, state, reterr);
        json_decref(state);
        WEIR_TRY(status);
    }
    kafka_keep_ours(window);
    return kafka_place(window, reterr);
}

weir_status kafka_windows_run(const struct weir_window_options *options, struct table_state *table,
                              json_t *outcome, struct weir_error *reterr)
{
    struct weir_log_source source;
    WEIR_TRY(weir_source_open(options->lake->context, options->pipeline, options->table->source,
                              &source, reterr));
    weir_status status = WEIR_OK;
    struct aims aims = {0};
    int64_t memory_cap = INT64_MAX; /* records that fit memory_limit, learnt by not fitting */
    for (int windows = 0;
         status == WEIR_OK && (options->windows_max == 0 || windows < options->windows_max);
         windows++) {
        struct window window = {.options = options, .table = table, .source = source};
        weir_arena_init(&window.arena, &options->lake->context->memory);
        status = prepare(&window, reterr);
        if (status == WEIR_OK && windows == 0)
            status = kafka_aims_note(&window, &table->arena, &aims, reterr);
        if (status == WEIR_OK)
            status = table_sync_quarantine(options, table, reterr); /* what an earlier run left */
        bool due = false;
        if (status == WEIR_OK) {
            int64_t cap = kafka_window_cap(&window, outcome);
            kafka_aims_apply(&window, &aims);
            kafka_cut(&window, cap < memory_cap ? cap : memory_cap);
            due = window.records > 0;
            /* a changed schema waits for the commit that needs it: the next window with records */
        }
        if (status == WEIR_OK && due)
            status = ingest_window(&window, outcome, reterr);
        if (status == WEIR_NO_MEMORY && window.records > KAFKA_SMALLEST) {
            memory_cap = window.records /
                         2; /* smaller work instead of dying; nothing of this one was committed */
            outcome_add(outcome, "windows_halved", 1);
            status = table_refresh(options, table, reterr); /* the shape may have grown */
        }
        if (status == WEIR_OK && due)
            status = table_reload(options, table, reterr);
        if (status == WEIR_OK && due)
            status = table_sync_quarantine(options, table, reterr);
        if (status == WEIR_OK)
            mirror(&window, outcome);
        kafka_window_done(&window);
        if (!due)
            break;
        if (status == WEIR_OK)
            status = weir_context_check(options->lake->context, reterr);
    }
    source.operations->free(source.self);
    return status;
}

weir_status kafka_windows_plan(const struct weir_window_options *options, struct table_state *table,
                               json_t *plan, struct weir_error *reterr)
{
    struct window window = {.options = options, .table = table};
    WEIR_TRY(weir_source_open(options->lake->context, options->pipeline, options->table->source,
                              &window.source, reterr));
    weir_arena_init(&window.arena, &options->lake->context->memory);
    weir_status status = kafka_look(&window, reterr);
    kafka_keep_ours(&window);
    for (size_t i = 0; status == WEIR_OK && !table->table && i < window.count; i++) {
        status = kafka_start_offset(&window, &window.reach[i], reterr);
        window.reach[i].from = window.reach[i].start;
        window.reach[i].continuity = "new";
    }
    if (status == WEIR_OK && table->table)
        status = kafka_place(&window, reterr);
    int64_t total = 0;
    json_t *list = json_array();
    for (size_t i = 0; status == WEIR_OK && i < window.count; i++) {
        const struct reach *reach = &window.reach[i];
        int64_t lag = reach->last_stable > reach->from ? reach->last_stable - reach->from : 0;
        total += lag;
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "topic",
                            reach->partition.topic, "partition", reach->partition.partition,
                            "first", (json_int_t)reach->first, "from", (json_int_t)reach->from,
                            "to", (json_int_t)reach->last_stable, "lag", (json_int_t)lag,
                            "high_watermark", (json_int_t)reach->high_watermark, "held",
                            (json_int_t)(reach->high_watermark - reach->last_stable), "continuity",
                            reach->continuity));
    }
    json_object_set_new(plan, "partitions", list);
    json_object_set_new(plan, "records", json_integer(total));
    int64_t cap = kafka_window_cap(&window, NULL);
    json_object_set_new(plan, "windows", json_integer((total + cap - 1) / cap));
    window.source.operations->free(window.source.self);
    kafka_window_done(&window);
    return status;
}
