/* Planning a window: partitions and offsets as they are now, the table's truth beside them, and
 * proof that it is still the same topic. protocol.md 3. */
#include "scheduler/window/kafka_int.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool is_ours(const struct weir_window_options *options, int32_t partition)
{
    return options->shard_count <= 1 || partition % options->shard_count == options->shard_index;
}

weir_status kafka_start_offset(struct window *window, struct reach *reach,
                               struct weir_error *reterr)
{
    const struct weir_source_config *config = window->options->table->source;
    reach->start = reach->first;
    switch (config->start) {
    case WEIR_START_EARLIEST: break;
    case WEIR_START_LATEST: reach->start = reach->last_stable; break;
    case WEIR_START_TIME:
        return window->source.operations->offsets_for_time(window->source.self, &reach->partition,
                                                           1, config->start_time_ms, &reach->start,
                                                           reterr);
    case WEIR_START_OFFSETS:
        for (size_t i = 0; i < config->start_offset_count; i++)
            if (config->start_offsets[i].partition == reach->partition.partition)
                reach->start = config->start_offsets[i].offset;
        if (reach->start < reach->first || reach->start > reach->last_stable)
            return weir_fail(reterr, WEIR_DECISION,
                             "%s/%d: start offset %" PRId64 " is outside what Kafka has, [%" PRId64
                             ", %" PRId64 "]",
                             reach->partition.topic, reach->partition.partition, reach->start,
                             reach->first, reach->last_stable);
        break;
    }
    return WEIR_OK;
}

/* Partitions that exist now, with their offsets; sorted by topic and partition. */
weir_status kafka_look(struct window *window, struct weir_error *reterr)
{
    const struct weir_log_source_operations *log = window->source.operations;
    struct weir_log_partition *partitions;
    struct weir_log_offsets *offsets;
    size_t count;
    WEIR_TRY(log->cluster_id(window->source.self, window->cluster, reterr));
    WEIR_TRY(log->partitions(window->source.self, &window->arena, &partitions, &count, reterr));
    WEIR_TRY(weir_arena_zero(&window->arena, count + 1, sizeof *offsets, &offsets, reterr));
    WEIR_TRY(
        weir_arena_zero(&window->arena, count + 1, sizeof *window->reach, &window->reach, reterr));
    if (count)
        WEIR_TRY(log->offsets(window->source.self, partitions, count, offsets, reterr));
    for (size_t i = 0; i < count; i++)
        window->reach[i] = (struct reach){.partition = partitions[i],
                                          .first = offsets[i].first,
                                          .last_stable = offsets[i].last_stable,
                                          .high_watermark = offsets[i].high_watermark};
    window->count = count;
    return WEIR_OK;
}

/* A shard reads its own partitions only; starts at birth and a person's decisions are for all of
 * them. */
void kafka_keep_ours(struct window *window)
{
    size_t kept = 0;
    for (size_t i = 0; i < window->count; i++)
        if (is_ours(window->options, window->reach[i].partition.partition))
            window->reach[kept++] = window->reach[i];
    window->count = kept;
}

static uint64_t record_hash(const struct weir_log_record *record)
{
    XXH64_hash_t key = XXH3_64bits(record->key.data ? record->key.data : (const uint8_t *)"",
                                   record->key.size);
    return XXH3_64bits_withSeed(record->value.data ? record->value.data : (const uint8_t *)"",
                                record->value.size, key);
}

json_t *kafka_make_print(const struct weir_log_record *record)
{
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, record_hash(record));
    return json_pack("[I, I, s]", (json_int_t)record->offset, (json_int_t)record->timestamp_ms,
                     hash);
}

static weir_status not_the_same(const struct reach *reach, const char *why,
                                struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_DECISION,
                                   "%s/%d is not the topic this table was reading: %s",
                                   reach->partition.topic, reach->partition.partition, why);
    weir_error_hint(reterr, "made anew or restored on purpose? `weir offsets rebind TABLE --reason "
                            "...` goes on with the new one from its start");
    return status;
}

/* The last record read is still there and the same? */
static weir_status check_print(struct window *window, struct reach *reach, const json_t *print,
                               struct weir_error *reterr)
{
    reach->continuity = "not proven";
    int64_t offset = json_integer_value(json_array_get(print, 0));
    if (offset < reach->first)
        return WEIR_OK; /* gone by retention */
    WEIR_AUTO(weir_buffer) bytes = {.account = window->arena.account};
    struct weir_log_record record;
    weir_status status = window->source.operations->read_one(window->source.self, &reach->partition,
                                                             offset, &record, &bytes, reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    if (record.offset != offset)
        return WEIR_OK; /* gone by compaction */
    json_t *now = kafka_make_print(&record);
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
        snprintf(why, sizeof why,
                 "the table has read up to %" PRId64 ", but the log ends at %" PRId64, reach->from,
                 reach->high_watermark);
        return not_the_same(reach, why, reterr);
    }
    if (reach->from < reach->first) {
        status = weir_fail(
            reterr, WEIR_DECISION,
            "%s/%d: offsets [%" PRId64 ", %" PRId64 ") are gone from Kafka before they were read",
            reach->partition.topic, reach->partition.partition, reach->from, reach->first);
        weir_error_hint(reterr,
                        "`weir offsets accept-gap TABLE --reason ...` records the loss as a hole "
                        "and goes on at %" PRId64,
                        reach->first);
    }
    return status;
}

/* Another cluster: the topic is known to the table only under other cluster ids. */
static weir_status check_cluster(const struct window *window, const struct reach *reach,
                                 struct weir_error *reterr)
{
    const char *key;
    json_t *value;
    bool here = false, elsewhere = false;
    char other[128] = "";
    json_object_foreach(json_object_get(window->table->truth, "next"), key, value)
    {
        const char *slash = strchr(key, '/');
        size_t topic_size = strlen(reach->partition.topic);
        if (!slash || strncmp(slash + 1, reach->partition.topic, topic_size) != 0 ||
            slash[1 + topic_size] != '/')
            continue;
        if ((size_t)(slash - key) == strlen(window->cluster) &&
            strncmp(key, window->cluster, (size_t)(slash - key)) == 0) {
            here = true;
        } else {
            elsewhere = true;
            snprintf(other, sizeof other, "%.*s", (int)(slash - key), key);
        }
    }
    if (here || !elsewhere)
        return WEIR_OK;
    char why[300];
    snprintf(why, sizeof why, "it lies in cluster %s, the table read it from cluster %s",
             window->cluster, other);
    return not_the_same(reach, why, reterr);
}

/* from, start and continuity of each partition by the table's truth. */
weir_status kafka_place(struct window *window, struct weir_error *reterr)
{
    json_t *truth = window->table->truth;
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        WEIR_TRY(check_cluster(window, reach, reterr));
        reach->incarnation = weir_incarnation(truth, window->cluster, reach->partition.topic);
        weir_position_key(reach->key, sizeof reach->key, window->cluster, reach->partition.topic,
                          reach->incarnation, reach->partition.partition);
        reach->from = weir_position_get(truth, reach->key, "next");
        reach->start = weir_position_get(truth, reach->key, "start");
        reach->continuity = "new";
        if (reach->from < 0) {
            reach->from = reach->start =
                reach->first; /* met after the table's birth: from its earliest */
            continue;
        }
        WEIR_TRY(check_bounds(reach, reterr));
        const json_t *print = json_object_get(
            json_object_get(json_object_get(truth, "next"), reach->key), "print");
        if (print)
            WEIR_TRY(check_print(window, reach, print, reterr));
    }
    return WEIR_OK;
}

/* The state a table is born with: every partition's start, resolved to numbers. */
weir_status kafka_birth_state(struct window *window, json_t **ret_state, struct weir_error *reterr)
{
    json_t *state = weir_state_new();
    if (!state)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        weir_status status = kafka_start_offset(window, reach, reterr);
        weir_position_key(reach->key, sizeof reach->key, window->cluster, reach->partition.topic, 0,
                          reach->partition.partition);
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

/* Records a window may take: max_records, and as many as max_bytes holds at the size records had so
 * far. */
int64_t kafka_window_cap(const struct window *window, const json_t *outcome)
{
    const struct weir_pipeline *pipeline = window->options->pipeline;
    int64_t records = json_integer_value(json_object_get(outcome, "read")),
            bytes = json_integer_value(json_object_get(outcome, "bytes"));
    int64_t average = records > 0 && bytes > records ? bytes / records : 1024;
    int64_t by_bytes = (int64_t)(pipeline->window_max_bytes / (uint64_t)average);
    int64_t cap = pipeline->window_max_records < by_bytes ? pipeline->window_max_records : by_bytes;
    return cap < 1 ? 1 : cap;
}

weir_status kafka_aims_note(const struct window *window, struct weir_arena *arena,
                            struct aims *ret_aims, struct weir_error *reterr)
{
    struct weir_log_partition *partitions;
    int64_t *offsets;
    WEIR_TRY(weir_arena_zero(arena, window->count + 1, sizeof *partitions, &partitions, reterr));
    WEIR_TRY(weir_arena_zero(arena, window->count + 1, sizeof *offsets, &offsets, reterr));
    for (size_t i = 0; i < window->count; i++) {
        char *topic;
        const char *name = window->reach[i].partition.topic;
        WEIR_TRY(weir_arena_copy(arena, name, strlen(name), &topic, reterr));
        partitions[i] = (struct weir_log_partition){topic, window->reach[i].partition.partition};
        offsets[i] = window->reach[i].last_stable;
    }
    *ret_aims = (struct aims){partitions, offsets, window->count};
    return WEIR_OK;
}

void kafka_aims_apply(struct window *window, const struct aims *aims)
{
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        reach->aim = 0;
        for (size_t k = 0; k < aims->count; k++)
            if (aims->partitions[k].partition == reach->partition.partition &&
                strcmp(aims->partitions[k].topic, reach->partition.topic) == 0)
                reach->aim = aims->offsets[k] < reach->last_stable ? aims->offsets[k]
                                                                   : reach->last_stable;
    }
}

/* `to` of each partition: all of the lag, or a share of the cap in proportion to it. */
void kafka_cut(struct window *window, int64_t cap)
{
    int64_t lag = 0;
    for (size_t i = 0; i < window->count; i++)
        lag += window->reach[i].aim > window->reach[i].from
                   ? window->reach[i].aim - window->reach[i].from
                   : 0;
    window->records = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct reach *reach = &window->reach[i];
        int64_t mine = reach->aim > reach->from ? reach->aim - reach->from : 0;
        if (lag > cap)
            mine = (int64_t)(((__int128)mine * cap + lag - 1) / lag);
        reach->to = reach->from + mine;
        reach->expected = reach->from;
        window->records += mine;
    }
}
