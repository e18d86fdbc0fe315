/* Windows of one Kafka source for the lakes of several tenants. Lanes whose tables stand at the
 * same offsets are a group: its window is read and decoded once, each lane takes its own records,
 * and each commits by itself, with its own offsets. A lane that stands elsewhere, having failed
 * before or lost a race, is in a group of its own until it has caught up.
 *
 * Nothing here decides what is committed: that is kafka_window_land's comparison and accounting,
 * lane by lane, as for a single lake. */
#include "scheduler/window/kafka_int.h"

#include <string.h>

enum lane_state {
    LANE_LIVE,
    LANE_DONE, /* it has all that had arrived */
    LANE_FAILED,
};

struct lane {
    struct weir_window_lane *at;
    enum lane_state state;
    struct table_state table;
    bool loaded, synced; /* synced: what an earlier run left is in its quarantine table */
    struct window window;
    bool planned;
    struct weir_ingest *ingest;
};

struct lanes {
    struct weir_context *context;
    struct weir_arena arena;
    struct weir_log_source source;
    struct lane *items;
    size_t count;
    struct aims aims;
    bool aimed;
    int64_t memory_cap; /* records that fit memory_limit, learnt by not fitting */
    struct window seen; /* what Kafka has, in this round */
    struct lane **group;
    size_t group_size;
    struct kafka_sink *sinks;
};

static void lane_fail(struct lane *lane, weir_status status, const struct weir_error *error)
{
    lane->state = LANE_FAILED;
    lane->at->status = status;
    lane->at->error = *error;
    weir_error_prefix(&lane->at->error, "%s", lane->at->options.table->name);
    json_object_set_new(lane->at->outcome, "error", json_string(lane->at->error.text));
}

static void fail_live(struct lanes *lanes, weir_status status, const struct weir_error *error)
{
    for (size_t i = 0; i < lanes->count; i++)
        if (lanes->items[i].state == LANE_LIVE)
            lane_fail(&lanes->items[i], status, error);
}

/* ---- planning ---- */

/* Where the lane before it stands that has the same offsets: proven there, proven here. */
static bool place_as(struct lane *lane, const struct lane *other)
{
    if (!other->planned || other->state != LANE_LIVE ||
        !json_equal(json_object_get(lane->table.truth, "next"),
                    json_object_get(other->table.truth, "next")))
        return false;
    memcpy(lane->window.reach, other->window.reach,
           other->window.count * sizeof *lane->window.reach);
    lane->window.count = other->window.count;
    return true;
}

static weir_status lane_plan(struct lanes *lanes, struct lane *lane, struct weir_error *reterr)
{
    const struct weir_window_options *options = &lane->at->options;
    const struct window *seen = &lanes->seen;
    struct window *window = &lane->window;
    *window = (struct window){.options = options, .table = &lane->table, .source = lanes->source};
    weir_arena_init(&window->arena, &lanes->context->memory);
    lane->planned = true; /* to be let go of */
    memcpy(window->cluster, seen->cluster, sizeof window->cluster);
    WEIR_TRY(weir_arena_zero(&window->arena, seen->count + 1, sizeof *window->reach, &window->reach,
                             reterr));
    memcpy(window->reach, seen->reach, seen->count * sizeof *window->reach);
    window->count = seen->count;
    if (!lane->table.table) {
        json_t *state;
        WEIR_TRY(kafka_birth_state(window, &state, reterr));
        weir_status status = table_birth(options, &lane->table, state, reterr);
        json_decref(state);
        WEIR_TRY(status);
    }
    kafka_keep_ours(window);
    bool placed = false;
    for (struct lane *other = lanes->items; other < lane && !placed; other++)
        placed = place_as(lane, other);
    if (!placed)
        WEIR_TRY(kafka_place(window, reterr));
    if (!lane->synced)
        WEIR_TRY(table_sync_quarantine(options, &lane->table, reterr));
    lane->synced = true;
    kafka_aims_apply(window, &lanes->aims);
    int64_t cap = kafka_window_cap(window, lane->at->outcome);
    kafka_cut(window, cap < lanes->memory_cap ? cap : lanes->memory_cap);
    return WEIR_OK;
}

static weir_status look(struct lanes *lanes, struct weir_error *reterr)
{
    struct window *seen = &lanes->seen;
    *seen = (struct window){.options = &lanes->items[0].at->options, .source = lanes->source};
    weir_arena_init(&seen->arena, &lanes->context->memory);
    WEIR_TRY(kafka_look(seen, reterr));
    if (!lanes->aimed)
        WEIR_TRY(kafka_aims_note(seen, &lanes->arena, &lanes->aims, reterr));
    lanes->aimed = true;
    return WEIR_OK;
}

/* Where the lake that is furthest behind stands in a partition, of those this run has seen; -1:
 * nobody's. */
static int64_t least_next(const struct lanes *lanes, const struct reach *reach)
{
    int64_t least = -1;
    for (size_t i = 0; i < lanes->count; i++) {
        const json_t *truth = lanes->items[i].table.truth;
        char key[512];
        if (!truth)
            continue;
        weir_position_key(key, sizeof key, lanes->seen.cluster, reach->partition.topic,
                          weir_incarnation(truth, lanes->seen.cluster, reach->partition.topic),
                          reach->partition.partition);
        int64_t next = weir_position_get(truth, key, "next");
        if (next < 0)
            next = reach->first; /* met, but not read yet */
        if (least < 0 || next < least)
            least = next;
    }
    return least;
}

/* There is one consumer group for all lakes: it shows the least. */
static void mirror(struct lanes *lanes)
{
    struct window *seen = &lanes->seen;
    int64_t *next;
    size_t count = 0;
    if (weir_arena_alloc(&seen->arena, (seen->count + 1) * sizeof *next, &next, NULL) != WEIR_OK)
        return;
    kafka_keep_ours(seen);
    for (size_t i = 0; i < seen->count; i++) {
        int64_t least = least_next(lanes, &seen->reach[i]);
        if (least < 0)
            continue;
        seen->reach[count] = seen->reach[i];
        next[count++] = least;
    }
    seen->count = count;
    kafka_window_mirror(seen, next, lanes->items[0].at->outcome);
}

/* ---- the group ---- */

static bool same_window(const struct window *a, const struct window *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->reach[i].key, b->reach[i].key) != 0 || a->reach[i].from != b->reach[i].from)
            return false;
    return true;
}

/* Lanes that stand where this one does, itself the first; all take its window's end. */
static size_t gather(struct lanes *lanes, struct lane *leader, bool keep)
{
    size_t count = 0;
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        if (lane->state != LANE_LIVE || !same_window(&leader->window, &lane->window))
            continue;
        if (keep)
            lanes->group[count] = lane;
        count++;
        for (size_t r = 0; keep && r < lane->window.count; r++)
            lane->window.reach[r].to = leader->window.reach[r].to;
        if (keep)
            lane->window.records = leader->window.records;
    }
    return count;
}

/* The largest group goes first. False: nobody is left. */
static bool choose_group(struct lanes *lanes)
{
    struct lane *best = NULL;
    size_t most = 0, live = 0;
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        if (lane->state == LANE_LIVE && lane->window.records == 0)
            lane->state = LANE_DONE;
        live += lane->state == LANE_LIVE;
    }
    for (size_t i = 0; i < lanes->count && most < live; i++) {
        struct lane *lane = &lanes->items[i];
        if (lane->state != LANE_LIVE)
            continue;
        size_t size = gather(lanes, lane, false);
        if (size > most) {
            most = size;
            best = lane;
        }
    }
    lanes->group_size = best ? gather(lanes, best, true) : 0;
    return best != NULL;
}

static void drop_lane(struct lanes *lanes, size_t index)
{
    lanes->group_size--;
    memmove(lanes->group + index, lanes->group + index + 1,
            (lanes->group_size - index) * sizeof(*lanes->group));
}

/* Followers first: they use what the leader has. */
static void free_ingests(struct lanes *lanes)
{
    for (size_t i = lanes->count; i-- > 0;) {
        weir_ingest_free(lanes->items[i].ingest);
        lanes->items[i].ingest = NULL;
    }
}

static weir_status open_ingests(struct lanes *lanes, struct weir_error *reterr)
{
    for (size_t i = 0; i < lanes->group_size; i++) {
        struct lane *lane = lanes->group[i];
        struct weir_error error = {0};
        int64_t attempt = weir_snapshot_id(lanes->context, lane->table.table->metadata);
        lane->window.attempt = attempt;
        weir_status status = table_ingest(&lane->at->options, &lane->table, attempt, 0,
                                          i ? lanes->group[0]->ingest : NULL, &lane->ingest,
                                          &error);
        if (status == WEIR_NO_MEMORY) {
            if (reterr)
                *reterr = error;
            return status;
        }
        if (status != WEIR_OK) {
            lane_fail(lane, status, &error);
            drop_lane(lanes, i--);
            continue;
        }
        lanes->sinks[i] = (struct kafka_sink){.window = &lane->window, .ingest = lane->ingest};
    }
    return WEIR_OK;
}

/* What the leader's window has met is what all have met. */
static weir_status share(const struct lane *leader, struct lane *lane, struct weir_error *reterr)
{
    lane->window.bytes = leader->window.bytes;
    for (size_t i = 0; i < lane->window.count; i++) {
        const struct reach *from = &leader->window.reach[i];
        struct reach *to = &lane->window.reach[i];
        to->expected = from->expected;
        to->print = json_incref(from->print);
        if (from->gap_count == 0)
            continue;
        WEIR_TRY(weir_realloc(&to->gaps, &lane->at->options.lake->context->memory,
                              from->gap_count * sizeof *to->gaps, reterr));
        memcpy(to->gaps, from->gaps, from->gap_count * sizeof *to->gaps);
        to->gap_count = to->gap_capacity = from->gap_count;
    }
    return WEIR_OK;
}

/* Classes of gaps that another lane's accounting has found. */
static void share_classes(const struct lane *from, struct lane *to)
{
    for (size_t i = 0; i < to->window.count; i++) {
        const struct reach *have = &from->window.reach[i];
        struct reach *want = &to->window.reach[i];
        if (!have->classes || want->classes)
            continue;
        want->classes = json_incref(have->classes);
        want->aborted = have->aborted;
        want->compacted = have->compacted;
        want->unexplained = have->unexplained;
    }
}

/* As planned, nothing read. */
static void rewind_group(struct lanes *lanes)
{
    free_ingests(lanes);
    for (size_t i = 0; i < lanes->group_size; i++)
        kafka_window_rewind(&lanes->group[i]->window);
}

/* Reads the group's window; again without the first lane, when that one failed. */
static weir_status read_group(struct lanes *lanes, struct weir_error *reterr)
{
    for (;;) {
        WEIR_TRY(open_ingests(lanes, reterr));
        if (lanes->group_size == 0)
            return WEIR_OK;
        weir_status status = kafka_read_sinks(lanes->sinks, lanes->group_size, reterr);
        if (status != WEIR_OK && lanes->sinks[0].status == WEIR_OK)
            return status;
        bool again = lanes->sinks[0].status != WEIR_OK;
        for (size_t i = lanes->group_size; i-- > 0;) {
            if (lanes->sinks[i].status == WEIR_OK)
                continue;
            lane_fail(lanes->group[i], lanes->sinks[i].status, &lanes->sinks[i].error);
            drop_lane(lanes, i);
        }
        if (!again)
            return WEIR_OK;
        rewind_group(lanes);
    }
}

static weir_status lane_land(struct lanes *lanes, struct lane *lane, struct weir_error *reterr)
{
    WEIR_TRY(kafka_window_land(&lane->window, lane->ingest, lane->at->outcome, reterr));
    WEIR_TRY(table_reload(&lane->at->options, &lane->table, reterr));
    return table_sync_quarantine(&lane->at->options, &lane->table, reterr);
}

/* Does this not fit memory_limit, and can it be made smaller? Nothing of it was committed where it
 * did not fit; who has committed goes on from there. */
static bool halve(struct lanes *lanes, weir_status status, int64_t records, json_t *outcome)
{
    if (status != WEIR_NO_MEMORY || records <= KAFKA_SMALLEST)
        return false;
    if (records / 2 < lanes->memory_cap)
        lanes->memory_cap = records / 2;
    outcome_add(outcome, "windows_halved", 1);
    return true;
}

static weir_status run_group(struct lanes *lanes, struct weir_error *reterr)
{
    struct lane *leader = lanes->group[0];
    int64_t records = leader->window.records;
    weir_status status = read_group(lanes, reterr);
    if (halve(lanes, status, records, leader->at->outcome))
        return WEIR_OK;
    WEIR_TRY(status);
    for (size_t i = 0; i < lanes->group_size; i++) {
        struct lane *lane = lanes->group[i];
        struct weir_error error = {0};
        status = i ? share(lanes->group[0], lane, &error) : WEIR_OK;
        for (size_t k = 0; k < i; k++)
            share_classes(lanes->group[k], lane);
        if (status == WEIR_OK)
            status = lane_land(lanes, lane, &error);
        if (status == WEIR_OK)
            outcome_add(lane->at->outcome, i ? "windows_shared" : "windows_read", 1);
        if (halve(lanes, status, records, lane->at->outcome))
            status = table_reload(&lane->at->options, &lane->table, &error);
        if (status != WEIR_OK)
            lane_fail(lane, status, &error);
    }
    return WEIR_OK;
}

/* ---- the whole ---- */

static void end_round(struct lanes *lanes)
{
    free_ingests(lanes);
    for (size_t i = 0; i < lanes->count; i++)
        if (lanes->items[i].planned) {
            kafka_window_done(&lanes->items[i].window);
            lanes->items[i].planned = false;
        }
    kafka_window_done(&lanes->seen);
    lanes->seen = (struct window){0};
}

/* One window of one group. false: everybody has all there was, or has failed. */
static weir_status run_round(struct lanes *lanes, bool *ret_more, struct weir_error *reterr)
{
    *ret_more = false;
    WEIR_TRY(look(lanes, reterr));
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        struct weir_error error = {0};
        if (lane->state != LANE_LIVE)
            continue;
        weir_status status = lane_plan(lanes, lane, &error);
        if (status != WEIR_OK)
            lane_fail(lane, status, &error);
    }
    if (choose_group(lanes)) {
        *ret_more = true;
        WEIR_TRY(run_group(lanes, reterr));
    }
    mirror(lanes);
    return weir_context_check(lanes->context, reterr);
}

static weir_status lanes_init(struct lanes *lanes, struct weir_window_lane *at, size_t count,
                              struct weir_error *reterr)
{
    struct weir_arena *arena = &lanes->arena;
    const struct weir_window_options *options = &at[0].options;
    weir_arena_init(arena, &lanes->context->memory);
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *lanes->items, &lanes->items, reterr));
    WEIR_TRY(weir_arena_zero(arena, count, sizeof(*lanes->group), &lanes->group, reterr));
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *lanes->sinks, &lanes->sinks, reterr));
    lanes->count = count;
    for (size_t i = 0; i < count; i++) {
        struct lane *lane = &lanes->items[i];
        struct weir_error error = {0};
        lane->at = &at[i];
        at[i].outcome = outcome_new(at[i].options.table->name);
        weir_status status = table_load(&at[i].options, &lane->table, &error);
        lane->loaded = status == WEIR_OK;
        if (status != WEIR_OK)
            lane_fail(lane, status, &error);
    }
    return weir_source_open(lanes->context, options->pipeline, options->table->source,
                            &lanes->source, reterr);
}

void kafka_lanes_run(struct weir_window_lane *at, size_t count)
{
    struct lanes lanes = {.context = at[0].options.lake->context, .memory_cap = INT64_MAX};
    struct weir_error error = {0};
    bool more = true;
    weir_status status = lanes_init(&lanes, at, count, &error);
    bool open = status == WEIR_OK;
    while (status == WEIR_OK && more) {
        status = run_round(&lanes, &more, &error);
        end_round(&lanes);
    }
    if (status != WEIR_OK)
        fail_live(&lanes, status, &error);
    if (open)
        lanes.source.operations->free(lanes.source.self);
    for (size_t i = 0; i < lanes.count; i++)
        if (lanes.items[i].loaded)
            table_done(&lanes.items[i].table);
    weir_arena_done(&lanes.arena);
}
