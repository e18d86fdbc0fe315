/* Gaps by evidence over a made-up log: every offset is a record of a transaction that was aborted,
 * a marker, or nothing at all. */
#include "scheduler/window/kafka_int.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define BATCH 500

/* What lies at an offset when it is read uncommitted: 'a' = a record of an aborted transaction, '.'
 * = nothing (a marker, or compacted away). The pattern repeats. */
struct log {
    const char *pattern;
    bool compacted;
    struct weir_log_record records[BATCH];
    int64_t at, to;
    int open, reads;
};

static weir_status log_begin(void *self, const struct weir_log_partition *partitions,
                             const int64_t *from, const int64_t *to, size_t count, bool committed,
                             size_t prefetch_bytes, struct weir_log_reader **ret_reader,
                             struct weir_error *reterr)
{
    struct log *log = self;
    cr_assert_not(committed, "evidence is what read_committed does not show");
    cr_assert_eq(count, 1);
    log->at = *from;
    log->to = *to;
    log->open++;
    log->reads++;
    *ret_reader = (struct weir_log_reader *)log;
    return WEIR_OK;
}

static weir_status log_next(struct weir_log_reader *reader, size_t bytes_max, int64_t wait_ms,
                            size_t *ret_index, struct weir_log_batch *ret_batch,
                            struct weir_error *reterr)
{
    struct log *log = (struct log *)reader;
    size_t count = 0, period = strlen(log->pattern);
    if (log->at == log->to) {
        *ret_index = 1;
        return WEIR_OK;
    }
    for (; log->at < log->to && count < BATCH; log->at++)
        if (log->pattern[(size_t)log->at % period] == 'a')
            log->records[count++] = (struct weir_log_record){.offset = log->at};
    *ret_index = 0;
    *ret_batch = (struct weir_log_batch){
        .records = log->records, .count = count, .position = log->at, .end = log->at == log->to};
    return WEIR_OK;
}

static void log_release(struct weir_log_reader *reader, struct weir_log_batch *batch) {}

static void log_end(struct weir_log_reader *reader)
{
    ((struct log *)reader)->open--;
}

static weir_status log_compacted(void *self, const char *topic, bool *ret_compacted,
                                 struct weir_error *reterr)
{
    *ret_compacted = ((struct log *)self)->compacted;
    return WEIR_OK;
}

static const struct weir_log_source_operations operations = {.is_compacted = log_compacted,
                                                             .read_begin = log_begin,
                                                             .read_next = log_next,
                                                             .release = log_release,
                                                             .read_end = log_end};

/* A window of one partition [0, to) whose offsets behind the gaps landed. */
struct fixture {
    struct weir_context context;
    struct weir_lake lake;
    struct weir_source_config source;
    struct weir_table_config table;
    struct weir_window_options options;
    struct log log;
    struct reach reach;
    struct window window;
    json_t *receipt, *summary;
};

static void set_up(struct fixture *fixture, const char *pattern, const struct gap *gaps,
                   size_t gap_count, int64_t to)
{
    *fixture = (struct fixture){.source = {.name = "s", .is_kafka = true},
                                .log = {.pattern = pattern},
                                .receipt = json_object(),
                                .summary = json_object()};
    weir_context_init(&fixture->context);
    fixture->lake.context = &fixture->context;
    fixture->table.source = &fixture->source;
    fixture->options = (struct weir_window_options){.lake = &fixture->lake,
                                                    .table = &fixture->table};
    fixture->reach = (struct reach){.partition = {"topic", 3},
                                    .key = "c/topic/0/3",
                                    .to = to,
                                    .continuity = "proven",
                                    .gaps = (struct gap *)(uintptr_t)gaps,
                                    .gap_count = gap_count};
    fixture->reach.counts.landed = to;
    for (size_t i = 0; i < gap_count; i++)
        fixture->reach.counts.landed -= gaps[i].to - gaps[i].from;
    fixture->window = (struct window){.options = &fixture->options,
                                      .source = {&operations, &fixture->log},
                                      .reach = &fixture->reach,
                                      .count = 1};
}

static void tear_down(struct fixture *fixture)
{
    cr_assert_eq(fixture->log.open, 0, "a reader was left open");
    json_decref(fixture->receipt);
    json_decref(fixture->summary);
    json_decref(fixture->reach.classes);
    cr_assert_eq(atomic_load(&fixture->context.memory.used), 0);
    weir_context_done(&fixture->context);
}

static weir_status account(struct fixture *fixture, struct weir_error *reterr)
{
    return kafka_account(&fixture->window, fixture->receipt, fixture->summary, reterr);
}

static json_t *class_of(struct fixture *fixture, const char *name)
{
    json_t *range = json_object_get(json_object_get(fixture->receipt, "ranges"), "c/topic/0/3");
    return json_object_get(json_object_get(range, "gaps"), name);
}

/* One record, its marker, one record, its marker, ...: as many ranges of each class as there were
 * transactions. A fixed list overflowed here. */
Test(kafka_gaps, a_long_run_of_aborted_transactions_of_one_record)
{
    static const int counts[] = {1, 63, 64, 65, 129, 50000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct fixture fixture;
        struct weir_error error = {0};
        int64_t transactions = counts[i];
        struct gap gap = {0, 2 * transactions};
        set_up(&fixture, "a.", &gap, 1, 2 * transactions + 5);
        cr_assert_eq(account(&fixture, &error), WEIR_OK, "%d: %s", counts[i], error.text);
        cr_assert_eq(fixture.reach.aborted, transactions);
        cr_assert_eq(fixture.reach.unexplained, transactions,
                     "markers are next to aborted records");
        cr_assert_eq(json_array_size(class_of(&fixture, "aborted")), (size_t)transactions);
        cr_assert_eq(json_array_size(class_of(&fixture, "unexplained")), (size_t)transactions);
        json_t *last = json_array_get(class_of(&fixture, "aborted"), (size_t)transactions - 1);
        cr_assert_eq(json_integer_value(json_array_get(last, 0)), 2 * transactions - 2);
        cr_assert_eq(json_integer_value(json_array_get(last, 1)), 2 * transactions - 1);
        tear_down(&fixture);
    }
}

/* Neighbours become one range, across batches and across gaps that touch. */
Test(kafka_gaps, neighbours_are_one_range)
{
    struct fixture fixture;
    struct weir_error error = {0};
    static const struct gap gaps[] = {{10, 3000}, {3000, 4000}, {4001, 4002}};
    set_up(&fixture, "a", gaps, 3, 5000);
    cr_assert_eq(account(&fixture, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(fixture.reach.aborted, 3991);
    cr_assert_eq(json_array_size(class_of(&fixture, "aborted")), 2);
    cr_assert_null(class_of(&fixture, "unexplained"));
    cr_assert_eq(fixture.log.reads, 3);
    tear_down(&fixture);
}

/* Nothing there, no transaction near: a person is asked, unless the topic explains it. */
Test(kafka_gaps, what_nothing_explains_is_refused)
{
    static const struct gap gap = {100, 120};
    struct fixture fixture;
    struct weir_error error = {0};
    set_up(&fixture, ".", &gap, 1, 200);
    cr_assert_eq(account(&fixture, &error), WEIR_DECISION);
    cr_assert(strstr(error.text, "topic/3: offsets [100, 120)"), "%s", error.text);
    cr_assert(strstr(error.hint, "transactional: true"));
    tear_down(&fixture);

    set_up(&fixture, ".", &gap, 1, 200);
    fixture.log.compacted = true;
    cr_assert_eq(account(&fixture, &error), WEIR_OK);
    cr_assert_eq(fixture.reach.compacted, 20);
    cr_assert_eq(json_array_size(class_of(&fixture, "compacted")), 1);
    tear_down(&fixture);

    set_up(&fixture, ".", &gap, 1, 200);
    fixture.source.transactional = true;
    cr_assert_eq(account(&fixture, &error), WEIR_OK);
    cr_assert_eq(fixture.reach.unexplained, 20);
    tear_down(&fixture);
}

/* A hole away from the aborted records is not excused by them. */
Test(kafka_gaps, a_hole_apart_from_aborted_records_is_refused)
{
    static const struct gap gaps[] = {{0, 2}, {6, 7}};
    struct fixture fixture;
    set_up(&fixture, "a.........", gaps, 2, 10);
    struct weir_error error = {0};
    cr_assert_eq(account(&fixture, &error), WEIR_DECISION);
    cr_assert(strstr(error.text, "[6, 7)"), "%s", error.text);
    tear_down(&fixture);
}

/* The sum is the last guard: a lost or doubled record is never committed. */
Test(kafka_gaps, the_sum_must_be_whole)
{
    static const struct gap gap = {0, 4};
    for (int by = -1; by <= 1; by += 2) {
        struct fixture fixture;
        set_up(&fixture, "a.", &gap, 1, 10);
        struct weir_error error = {0};
        fixture.reach.counts.landed += by;
        cr_assert_eq(account(&fixture, &error), WEIR_INTERNAL);
        cr_assert(strstr(error.text, "the window is not committed"), "%s", error.text);
        tear_down(&fixture);
    }
}

/* Memory that is out is a failure of the window, not of the program. */
Test(kafka_gaps, lists_that_do_not_fit)
{
    static const struct gap gap = {0, 200000};
    struct fixture fixture;
    struct weir_error error = {0};
    set_up(&fixture, "a.", &gap, 1, 200000);
    fixture.context.memory.limit = 1 << 20;
    cr_assert_eq(account(&fixture, &error), WEIR_NO_MEMORY);
    tear_down(&fixture);
}

/* A run takes what had arrived when it began, in as many windows as that needs, and ends: however
 * fast more arrives, and whatever partitions appear. */
Test(kafka_windows, what_arrives_meanwhile_is_the_next_runs)
{
    struct weir_context context;
    weir_context_init(&context);
    struct reach reach[3] = {{.partition = {"t", 0}, .last_stable = 100},
                             {.partition = {"t", 1}, .last_stable = 10}};
    struct window window = {.reach = reach, .count = 2};
    struct weir_arena arena;
    struct aims aims;
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(kafka_aims_note(&window, &arena, &aims, NULL), WEIR_OK);

    int64_t landed[2] = {0}, rounds = 0;
    do {
        cr_assert_lt(rounds++, 10);
        reach[0].last_stable += 1000; /* faster than any window */
        reach[1].last_stable += 1000;
        reach[2] = (struct reach){.partition = {"t", 2}, .last_stable = 500};
        window.count = 3;
        kafka_aims_apply(&window, &aims);
        kafka_cut(&window, 50);
        for (int i = 0; i < 2; i++) {
            landed[i] += reach[i].to - reach[i].from;
            reach[i].from = reach[i].to;
        }
        cr_assert_eq(reach[2].to, reach[2].from, "a new partition waits");
    } while (window.records > 0);
    cr_assert_eq(landed[0], 100);
    cr_assert_eq(landed[1], 10);

    /* an offset that is no longer stable (a transaction's records were taken back) is not read */
    reach[0].from = 40;
    reach[0].last_stable = 60;
    kafka_aims_apply(&window, &aims);
    kafka_cut(&window, 500);
    cr_assert_eq(reach[0].to, 60);
    weir_arena_done(&arena);
    weir_context_done(&context);
}
