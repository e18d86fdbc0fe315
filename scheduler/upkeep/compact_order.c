/* Rows of many windows in the order of Kafka: by topic, partition, offset. Each window's file has
 * runs of it, one a partition. Where they are is read first, from these columns alone; then runs
 * are taken one after another from morsels that are kept decoded, as far as memory goes.
 *
 * Runs that overlap (rows that were retried), too many of them, or more of a group than memory
 * holds decoded: the caller sorts the rows instead. */
#include "scheduler/upkeep/compact_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>

#define RUNS_MAX    65536
#define TOPICS_MAX  1000
#define DECODED     8 /* bytes in memory of one in a file, about */
#define BUDGET_MOST (512ULL << 20)

struct run {
    uint32_t topic;
    int32_t partition;
    int64_t first, last; /* offsets */
    size_t morsel;
    uint64_t from, count; /* rows of the morsel */
};

struct unit { /* a morsel that is kept decoded */
    struct weir_morsel *morsel;
    struct weir_arena arena;
    struct weir_batch *batches;
    size_t count, capacity;
    uint64_t used; /* when */
    bool loaded;
};

struct ordering {
    struct compaction *compaction;
    const struct weir_table_source_operations *operations;
    struct weir_arena *arena; /* of the group */
    struct weir_scan *scan;
    const char **topics;
    size_t topic_count;
    struct run *runs;
    size_t run_count, run_capacity;
    bool give_up;
    struct unit *units;
    size_t unit_count;
    uint64_t clock, budget;
    struct weir_arena scratch;
};

/* ---- which runs there are ---- */

/* struct<_kafka: struct<topic, partition, offset>> as the table has them; false: it has not. */
static weir_status kafka_type(struct ordering *ordering, struct weir_type *ret_type, bool *ret_has,
                              struct weir_error *reterr)
{
    static const char *const names[] = {"topic", "partition", "offset"};
    static const enum weir_type_id ids[] = {WEIR_STRING, WEIR_INT, WEIR_LONG};
    const struct weir_type *table = &ordering->compaction->shape.write;
    const struct weir_field *kafka = weir_type_child(table, "_kafka", 6);
    struct weir_field *fields, *top;
    *ret_has = kafka && kafka->type.id == WEIR_STRUCT;
    if (!*ret_has)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(ordering->arena, 3, sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_arena_zero(ordering->arena, 1, sizeof *top, &top, reterr));
    for (size_t i = 0; i < 3; i++) {
        const struct weir_field *field = weir_type_child(&kafka->type, names[i], strlen(names[i]));
        if (!field || field->type.id != ids[i]) {
            *ret_has = false;
            return WEIR_OK;
        }
        fields[i] = *field;
    }
    *top = *kafka;
    top->type.children = fields;
    top->type.child_count = 3;
    *ret_type = (struct weir_type){.id = WEIR_STRUCT, .child_count = 1, .children = top};
    return WEIR_OK;
}

static weir_status find_topic(struct ordering *ordering, const uint8_t *name, size_t size,
                              uint32_t hint, uint32_t *ret_topic, struct weir_error *reterr)
{
    char *copy;
    for (size_t i = 0; i <= ordering->topic_count; i++) {
        size_t at = i == 0 ? hint : i - 1;
        if (at < ordering->topic_count && strlen(ordering->topics[at]) == size &&
            memcmp(ordering->topics[at], name, size) == 0) {
            *ret_topic = (uint32_t)at;
            return WEIR_OK;
        }
    }
    ordering->give_up |= ordering->topic_count == TOPICS_MAX;
    if (ordering->give_up)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(ordering->arena, name, size, &copy, reterr));
    *ret_topic = (uint32_t)ordering->topic_count;
    ordering->topics[ordering->topic_count++] = copy;
    return WEIR_OK;
}

static weir_status add_run(struct ordering *ordering, const struct run *run,
                           struct weir_error *reterr)
{
    ordering->give_up |= ordering->run_count == RUNS_MAX;
    if (ordering->give_up)
        return WEIR_OK;
    if (ordering->run_count == ordering->run_capacity) {
        size_t capacity = ordering->run_capacity ? 2 * ordering->run_capacity : 256;
        struct run *larger;
        WEIR_TRY(weir_arena_zero(ordering->arena, capacity, sizeof *larger, &larger, reterr));
        if (ordering->run_count)
            memcpy(larger, ordering->runs, ordering->run_count * sizeof *larger);
        ordering->runs = larger;
        ordering->run_capacity = capacity;
    }
    ordering->runs[ordering->run_count++] = *run;
    return WEIR_OK;
}

/* Goes on with the last run, or begins another. */
static weir_status add_rows(struct ordering *ordering, const struct weir_batch *batch,
                            size_t morsel, uint64_t before, struct weir_error *reterr)
{
    const struct weir_vector *kafka = &batch->columns[0], *topic = &kafka->children[0],
                             *partition = &kafka->children[1], *offset = &kafka->children[2];
    if (kafka->validity || topic->validity || partition->validity || offset->validity) {
        ordering->give_up = true; /* rows of somebody else */
        return WEIR_OK;
    }
    const int32_t *partitions = partition->values;
    const int64_t *offsets = offset->values;
    for (uint32_t i = 0; i < batch->count && !ordering->give_up; i++) {
        struct run *last = ordering->run_count ? &ordering->runs[ordering->run_count - 1] : NULL;
        uint32_t name = 0;
        WEIR_TRY(find_topic(ordering, (const uint8_t *)topic->values + topic->offsets[i],
                            (size_t)(topic->offsets[i + 1] - topic->offsets[i]),
                            last ? last->topic : 0, &name, reterr));
        if (last && last->morsel == morsel && last->topic == name &&
            last->partition == partitions[i] && last->last < offsets[i]) {
            last->last = offsets[i];
            last->count++;
            continue;
        }
        struct run run = {.topic = name,
                          .partition = partitions[i],
                          .first = offsets[i],
                          .last = offsets[i],
                          .morsel = morsel,
                          .from = before + i,
                          .count = 1};
        WEIR_TRY(add_run(ordering, &run, reterr));
    }
    return WEIR_OK;
}

static weir_status look_at_morsel(struct ordering *ordering, size_t index,
                                  struct weir_error *reterr)
{
    struct weir_morsel *morsel;
    bool end = false;
    uint64_t rows = 0;
    WEIR_TRY(ordering->operations->morsel_open(ordering->scan, index, &morsel, reterr));
    weir_status status = WEIR_OK;
    while (morsel && status == WEIR_OK && !end && !ordering->give_up) {
        struct weir_batch batch, flat;
        weir_arena_reset(&ordering->scratch);
        status = ordering->operations->morsel_next(morsel, &ordering->scratch, &batch, &end,
                                                   reterr);
        if (status != WEIR_OK || end)
            break;
        status = weir_batch_as_flat(&ordering->scratch, &batch, &flat, reterr);
        if (status == WEIR_OK)
            status = add_rows(ordering, &flat, index, rows, reterr);
        rows += batch.count;
    }
    ordering->operations->morsel_close(morsel);
    return status;
}

static weir_status open_scan(struct ordering *ordering, const struct weir_type *wanted,
                             struct weir_error *reterr)
{
    struct weir_context *context = ordering->compaction->lake->context;
    struct weir_scan_request request = {
        .wanted = wanted, .batch_rows = WEIR_BATCH_ROWS, .limit = -1};
    return ordering->operations->open(ordering->compaction->source.self, context, &context->memory,
                                      &request, &ordering->scan, reterr);
}

static weir_status find_runs(struct ordering *ordering, const struct compact_group *group,
                             const struct weir_type *wanted, struct weir_error *reterr)
{
    size_t *morsels, count = 0;
    WEIR_TRY(open_scan(ordering, wanted, reterr));
    weir_status status = compact_rows_morsels(ordering->compaction, group, ordering->scan, &morsels,
                                              &count, reterr);
    for (size_t i = 0; status == WEIR_OK && i < count && !ordering->give_up; i++)
        status = look_at_morsel(ordering, morsels[i], reterr);
    ordering->operations->close(ordering->scan);
    ordering->scan = NULL;
    return status;
}

static int compare_runs(const struct ordering *ordering, const struct run *a, const struct run *b)
{
    if (a->topic != b->topic)
        return strcmp(ordering->topics[a->topic], ordering->topics[b->topic]);
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first)
                                : (a->last > b->last) - (a->last < b->last);
}

static void sort_runs(const struct ordering *ordering, struct run *runs, size_t count,
                      struct run *spare)
{
    size_t middle = count / 2, a = 0, b = middle, at = 0;
    if (count < 2)
        return;
    sort_runs(ordering, runs, middle, spare);
    sort_runs(ordering, runs + middle, count - middle, spare);
    while (a < middle && b < count)
        spare[at++] = compare_runs(ordering, &runs[a], &runs[b]) <= 0 ? runs[a++] : runs[b++];
    memcpy(spare + at, a < middle ? runs + a : runs + b,
           (a < middle ? middle - a : count - b) * sizeof *runs);
    memcpy(runs, spare, count * sizeof *runs);
}

/* Do the runs, sorted, make the order? Not when two of a partition overlap. */
static bool are_apart(const struct ordering *ordering)
{
    for (size_t i = 1; i < ordering->run_count; i++) {
        const struct run *a = &ordering->runs[i - 1], *b = &ordering->runs[i];
        if (a->topic == b->topic && a->partition == b->partition && b->first <= a->last)
            return false;
    }
    return true;
}

static bool is_ordered(const struct ordering *ordering)
{
    for (size_t i = 1; i < ordering->run_count; i++)
        if (compare_runs(ordering, &ordering->runs[i - 1], &ordering->runs[i]) >= 0)
            return false;
    return true;
}

/* ---- taking them ---- */

static void unload(struct ordering *ordering, struct unit *unit)
{
    ordering->operations->morsel_close(unit->morsel);
    weir_arena_done(&unit->arena);
    *unit = (struct unit){0};
}

static uint64_t held(const struct ordering *ordering)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ordering->unit_count; i++)
        bytes += ordering->units[i].loaded ? ordering->units[i].arena.used : 0;
    return bytes;
}

static void make_room(struct ordering *ordering)
{
    while (held(ordering) > ordering->budget) {
        struct unit *oldest = NULL;
        for (size_t i = 0; i < ordering->unit_count; i++) {
            struct unit *unit = &ordering->units[i];
            if (unit->loaded && (!oldest || unit->used < oldest->used))
                oldest = unit;
        }
        unload(ordering, oldest);
    }
}

static weir_status keep_batch(struct unit *unit, const struct weir_batch *batch,
                              struct weir_error *reterr)
{
    if (unit->count == unit->capacity) {
        size_t capacity = unit->capacity ? 2 * unit->capacity : 8;
        struct weir_batch *larger;
        WEIR_TRY(weir_arena_zero(&unit->arena, capacity, sizeof *larger, &larger, reterr));
        if (unit->count)
            memcpy(larger, unit->batches, unit->count * sizeof *larger);
        unit->batches = larger;
        unit->capacity = capacity;
    }
    unit->batches[unit->count++] = *batch;
    return WEIR_OK;
}

/* Flat, for dictionaries live only as long as the row group is read. */
static weir_status load(struct ordering *ordering, size_t index, struct weir_error *reterr)
{
    struct unit *unit = &ordering->units[index];
    bool end = false;
    unit->used = ++ordering->clock;
    if (unit->loaded)
        return WEIR_OK;
    make_room(ordering);
    weir_arena_init(&unit->arena, &ordering->compaction->lake->context->memory);
    unit->loaded = true;
    WEIR_TRY(ordering->operations->morsel_open(ordering->scan, index, &unit->morsel, reterr));
    while (unit->morsel && !end) {
        struct weir_batch batch, flat;
        WEIR_TRY(
            ordering->operations->morsel_next(unit->morsel, &unit->arena, &batch, &end, reterr));
        if (end)
            break;
        WEIR_TRY(weir_batch_as_flat(&unit->arena, &batch, &flat, reterr));
        WEIR_TRY(keep_batch(unit, &flat, reterr));
        WEIR_TRY(weir_context_check(ordering->compaction->lake->context, reterr));
    }
    return WEIR_OK;
}

static weir_status take_part(struct ordering *ordering, const struct weir_batch *batch,
                             uint32_t from, uint32_t to, struct compact_written *written,
                             struct weir_error *reterr)
{
    struct weir_batch part;
    uint32_t *rows;
    if (from == 0 && to == batch->count)
        return compact_rows_add(ordering->compaction, written, batch, reterr);
    weir_arena_reset(&ordering->scratch);
    WEIR_TRY(weir_arena_alloc(&ordering->scratch, (size_t)(to - from) * sizeof *rows + 1, &rows,
                              reterr));
    for (uint32_t i = from; i < to; i++)
        rows[i - from] = i;
    struct weir_selection selection = {to - from, rows};
    WEIR_TRY(weir_batch_gather(&ordering->scratch, batch, &selection, &part, reterr));
    return compact_rows_add(ordering->compaction, written, &part, reterr);
}

static weir_status take_run(struct ordering *ordering, const struct run *run,
                            struct compact_written *written, struct weir_error *reterr)
{
    WEIR_TRY(load(ordering, run->morsel, reterr));
    const struct unit *unit = &ordering->units[run->morsel];
    uint64_t before = 0, end = run->from + run->count;
    for (size_t i = 0; i < unit->count && before < end; i++) {
        const struct weir_batch *batch = &unit->batches[i];
        uint64_t from = run->from > before ? run->from - before : 0,
                 to = end - before < batch->count ? end - before : batch->count;
        if (from < to)
            WEIR_TRY(take_part(ordering, batch, (uint32_t)from, (uint32_t)to, written, reterr));
        before += batch->count;
    }
    return before < end ? weir_fail(reterr, WEIR_INTERNAL, "a run of rows goes beyond its morsel")
                        : WEIR_OK;
}

static weir_status take_runs(struct ordering *ordering, struct compact_written *written,
                             struct weir_error *reterr)
{
    WEIR_TRY(open_scan(ordering, &ordering->compaction->shape.write, reterr));
    ordering->unit_count = ordering->operations->morsel_count(ordering->scan);
    weir_status status = weir_arena_zero(ordering->arena, ordering->unit_count + 1,
                                         sizeof *ordering->units, &ordering->units, reterr);
    for (size_t i = 0; status == WEIR_OK && i < ordering->run_count; i++)
        status = take_run(ordering, &ordering->runs[i], written, reterr);
    for (size_t i = 0; i < ordering->unit_count && ordering->units; i++)
        if (ordering->units[i].loaded)
            unload(ordering, &ordering->units[i]);
    ordering->operations->close(ordering->scan);
    return status;
}

/* A third of what is free, and no more than a group may need. */
static uint64_t budget_of(const struct weir_account *account)
{
    uint64_t budget = BUDGET_MOST;
    for (; account; account = account->parent) {
        size_t used = atomic_load(&account->used);
        uint64_t left = account->limit > used ? (account->limit - used) / 3 : 0;
        if (account->limit && left < budget)
            budget = left;
    }
    return budget;
}

weir_status compact_order_rows(struct compaction *compaction, const struct compact_group *group,
                               struct compact_written *written, enum compact_order *ret_order,
                               struct weir_error *reterr)
{
    struct weir_type wanted;
    bool has;
    struct ordering ordering = {.compaction = compaction,
                                .operations = compaction->source.operations,
                                .arena = &compaction->arena,
                                .budget = budget_of(&compaction->lake->context->memory)};
    *ret_order = COMPACT_AS_IT_LIES;
    WEIR_TRY(kafka_type(&ordering, &wanted, &has, reterr));
    if (!has)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(ordering.arena, TOPICS_MAX, sizeof *ordering.topics, &ordering.topics,
                             reterr));
    weir_arena_init(&ordering.scratch, &compaction->lake->context->memory);
    weir_status status = find_runs(&ordering, group, &wanted, reterr);
    if (status == WEIR_OK && (ordering.give_up || !is_ordered(&ordering))) {
        struct run *spare = NULL;
        if (!ordering.give_up)
            status = weir_arena_zero(ordering.arena, ordering.run_count + 1, sizeof *spare, &spare,
                                     reterr);
        if (status == WEIR_OK && spare)
            sort_runs(&ordering, ordering.runs, ordering.run_count, spare);
        bool fits = (uint64_t)group->bytes * DECODED <= ordering.budget;
        *ret_order = spare && fits && are_apart(&ordering) ? COMPACT_IN_ORDER
                                                           : COMPACT_TO_BE_SORTED;
        if (status == WEIR_OK && *ret_order == COMPACT_IN_ORDER)
            status = take_runs(&ordering, written, reterr);
    }
    weir_arena_done(&ordering.scratch);
    return status;
}
