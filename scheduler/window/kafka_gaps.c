/* Gaps by evidence: what a second read with read_uncommitted yields was aborted; what a compacted
 * topic lacks was compacted; the rest looks like transaction markers and is allowed only where
 * there are transactions. protocol.md 3. */
#include "scheduler/window/kafka_int.h"

#include <stdio.h>

#define READ_WAIT_MS 200
#define READ_BYTES   (4u << 20)

static json_t *ranges_of(const struct gap *gaps, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            array, json_pack("[I, I]", (json_int_t)gaps[i].from, (json_int_t)gaps[i].to));
    return array;
}

/* A second read with read_uncommitted: what it yields in the gap was aborted; the rest stays in
 * *rest (which has room). */
static weir_status split_aborted(struct window *window, struct reach *reach, const struct gap *gap,
                                 struct gap *aborted, size_t *aborted_count, struct gap *rest,
                                 size_t *rest_count, size_t capacity, struct weir_error *reterr)
{
    struct weir_log_reader *reader;
    const struct weir_log_source_operations *log = window->source.operations;
    WEIR_TRY(log->read_begin(window->source.self, &reach->partition, &gap->from, &gap->to, 1, false,
                             1u << 20, &reader, reterr));
    int64_t at = gap->from;
    size_t index = 0;
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && index == 0) {
        struct weir_log_batch batch;
        status = log->read_next(reader, READ_BYTES, READ_WAIT_MS, &index, &batch, reterr);
        if (status != WEIR_OK || index != 0)
            break;
        for (size_t i = 0;
             i < batch.count && *aborted_count + 1 < capacity && *rest_count + 1 < capacity; i++) {
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

static weir_status unexplained(const struct reach *reach, const struct gap *gap,
                               struct weir_error *reterr)
{
    weir_status status = weir_fail(
        reterr, WEIR_DECISION,
        "%s/%d: offsets [%" PRId64 ", %" PRId64
        ") hold no records, and neither compaction nor an aborted transaction explains it",
        reach->partition.topic, reach->partition.partition, gap->from, gap->to);
    weir_error_hint(reterr, "do producers use transactions? then say `transactional: true` under "
                            "the source's kafka: their markers take up offsets");
    return status;
}

/* Classes of a partition's gaps into its entry of the receipt. */
static weir_status class_gaps(struct window *window, struct reach *reach, json_t *entry,
                              struct weir_error *reterr)
{
    if (reach->gap_count == 0)
        return WEIR_OK;
    size_t capacity = 2, aborted_count = 0, rest_count = 0;
    for (size_t i = 0; i < reach->gap_count; i++)
        capacity += (size_t)(reach->gaps[i].to - reach->gaps[i].from > 4096
                                 ? 4096
                                 : reach->gaps[i].to - reach->gaps[i].from) +
                    2;
    struct gap *aborted, *rest;
    WEIR_TRY(weir_arena_alloc(&window->arena, capacity * sizeof *aborted, &aborted, reterr));
    WEIR_TRY(weir_arena_alloc(&window->arena, capacity * sizeof *rest, &rest, reterr));
    for (size_t i = 0; i < reach->gap_count; i++)
        WEIR_TRY(split_aborted(window, reach, &reach->gaps[i], aborted, &aborted_count, rest,
                               &rest_count, capacity, reterr));
    bool compacted;
    WEIR_TRY(window->source.operations->is_compacted(window->source.self, reach->partition.topic,
                                                     &compacted, reterr));
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
        json_object_set_new(gaps, compacted ? "compacted" : "unexplained",
                            ranges_of(rest, rest_count));
    return json_object_set_new(entry, "gaps", gaps) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
}

/* landed + refused + filtered + erased + gaps = to - from, before anything is committed. */
weir_status kafka_account(struct window *window, json_t *receipt, json_t *summary_ranges,
                          struct weir_error *reterr)
{
    json_t *ranges = json_object();
    json_object_set_new(receipt, "ranges", ranges);
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        if (reach->to == reach->from)
            continue;
        json_t *entry = json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:i, s:{}, s:s}", "from", (json_int_t)reach->from, "to",
            (json_int_t)reach->to, "landed", (json_int_t)reach->counts.landed, "refused",
            (json_int_t)reach->counts.refused, "filtered", (json_int_t)reach->counts.filtered,
            "erased", 0, "gaps", "continuity", reach->continuity);
        json_object_set_new(ranges, reach->key, entry);
        WEIR_TRY(class_gaps(window, reach, entry, reterr));
        int64_t gaps = reach->aborted + reach->compacted + reach->unexplained;
        int64_t sum = reach->counts.landed + reach->counts.refused + reach->counts.filtered + gaps;
        if (sum != reach->to - reach->from)
            return weir_fail(reterr, WEIR_INTERNAL,
                             "%s/%d: %" PRId64 " offsets of [%" PRId64 ", %" PRId64
                             ") accounted for: the window is not committed",
                             reach->partition.topic, reach->partition.partition, sum, reach->from,
                             reach->to);
        json_object_set_new(summary_ranges, reach->key,
                            json_pack("[I, I]", (json_int_t)reach->from, (json_int_t)reach->to));
    }
    return WEIR_OK;
}
