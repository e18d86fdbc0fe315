/* Gaps by evidence: what a second read with read_uncommitted yields was aborted; what a compacted
 * topic lacks was compacted; the rest looks like transaction markers and is allowed only where
 * there are transactions. protocol.md 3. */
#include "scheduler/window/kafka_int.h"

#include <stdio.h>

#define READ_WAIT_MS 200
#define READ_BYTES   (4u << 20)

/* Ascending, disjoint; grows as evidence comes in. */
struct gap_list {
    struct weir_account *account;
    struct gap *items;
    size_t count, capacity;
};

static weir_status add(struct gap_list *list, int64_t from, int64_t to, struct weir_error *reterr)
{
    if (list->count && list->items[list->count - 1].to == from) {
        list->items[list->count - 1].to = to;
        return WEIR_OK;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&list->items, list->account, capacity * sizeof *list->items, reterr));
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct gap){from, to};
    return WEIR_OK;
}

static int64_t total_of(const struct gap_list *list)
{
    int64_t total = 0;
    for (size_t i = 0; i < list->count; i++)
        total += list->items[i].to - list->items[i].from;
    return total;
}

static json_t *ranges_of(const struct gap_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_pack("[I, I]", (json_int_t)list->items[i].from,
                                               (json_int_t)list->items[i].to));
    return array;
}

static weir_status split_batch(const struct weir_log_batch *batch, int64_t *at,
                               struct gap_list *aborted, struct gap_list *rest,
                               struct weir_error *reterr)
{
    for (size_t i = 0; i < batch->count; i++) {
        int64_t offset = batch->records[i].offset;
        if (offset > *at)
            WEIR_TRY(add(rest, *at, offset, reterr));
        WEIR_TRY(add(aborted, offset, offset + 1, reterr));
        *at = offset + 1;
    }
    return WEIR_OK;
}

/* A second read with read_uncommitted: what it yields in the gap was aborted; the rest is left. */
static weir_status split_aborted(struct window *window, struct reach *reach, const struct gap *gap,
                                 struct gap_list *aborted, struct gap_list *rest,
                                 struct weir_error *reterr)
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
        status = split_batch(&batch, &at, aborted, rest, reterr);
        log->release(reader, &batch);
        if (status == WEIR_OK)
            status = weir_context_check(window->options->lake->context, reterr);
    }
    log->read_end(reader);
    if (status == WEIR_OK && at < gap->to)
        status = add(rest, at, gap->to, reterr);
    return status;
}

/* Is an aborted record right before or right behind the gap? */
static bool touches(const struct gap *gap, const struct gap_list *aborted)
{
    size_t low = 0, high = aborted->count; /* the first that ends at or behind the gap's start */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (aborted->items[middle].to < gap->from)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < aborted->count && i < low + 2; i++)
        if (aborted->items[i].to == gap->from || aborted->items[i].from == gap->to)
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

static weir_status class_rest(struct window *window, struct reach *reach,
                              const struct gap_list *aborted, const struct gap_list *rest,
                              bool *ret_compacted, struct weir_error *reterr)
{
    bool compacted, allowed = window->options->table->source->transactional;
    WEIR_TRY(window->source.operations->is_compacted(window->source.self, reach->partition.topic,
                                                     &compacted, reterr));
    for (size_t i = 0; i < rest->count; i++)
        if (!compacted && !allowed && !touches(&rest->items[i], aborted))
            return unexplained(reach, &rest->items[i], reterr);
    if (compacted)
        reach->compacted = total_of(rest);
    else
        reach->unexplained = total_of(rest);
    *ret_compacted = compacted;
    return WEIR_OK;
}

/* Classes of a partition's gaps into its entry of the receipt. */
static weir_status class_gaps(struct window *window, struct reach *reach, json_t *entry,
                              struct weir_error *reterr)
{
    if (reach->gap_count == 0)
        return WEIR_OK;
    if (reach->classes) { /* another lake's window of the same offsets has looked */
        json_object_set(entry, "gaps", reach->classes);
        return WEIR_OK;
    }
    struct weir_account *account = &window->options->lake->context->memory;
    struct gap_list aborted = {.account = account}, rest = {.account = account};
    bool compacted = false;
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < reach->gap_count; i++)
        status = split_aborted(window, reach, &reach->gaps[i], &aborted, &rest, reterr);
    if (status == WEIR_OK)
        status = class_rest(window, reach, &aborted, &rest, &compacted, reterr);
    if (status == WEIR_OK) {
        json_t *gaps = json_object();
        reach->aborted = total_of(&aborted);
        if (aborted.count)
            json_object_set_new(gaps, "aborted", ranges_of(&aborted));
        if (rest.count)
            json_object_set_new(gaps, compacted ? "compacted" : "unexplained", ranges_of(&rest));
        if (json_object_set_new(entry, "gaps", gaps) != 0)
            status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
        else
            reach->classes = json_incref(gaps);
    }
    weir_free(aborted.items);
    weir_free(rest.items);
    return status;
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
