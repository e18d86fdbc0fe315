/* What a person decides about offsets: a gap that Kafka can no longer fill, a topic that was made
 * anew. */
#include "scheduler/window/kafka_int.h"

struct decision {
    struct window *window;
    bool rebind;
};

static weir_status overlay_gap(void *self, json_t *state, int64_t snapshot_id,
                               struct weir_error *reterr)
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

static weir_status overlay_rebind(void *self, json_t *state, int64_t snapshot_id,
                                  struct weir_error *reterr)
{
    struct window *window = ((struct decision *)self)->window;
    for (size_t i = 0; i < window->count; i++) {
        const struct reach *reach = &window->reach[i];
        char key[512];
        weir_position_key(key, sizeof key, window->cluster, reach->partition.topic,
                          reach->incarnation + 1, reach->partition.partition);
        WEIR_TRY(weir_position_set(state, key, reach->first, reach->first, NULL, reterr));
    }
    return WEIR_OK;
}

/* A decision is for the topic as it was seen: a rebind by somebody else in between ends this one.
 */
static enum weir_test decide_test(void *self, const json_t *state)
{
    const struct window *window = ((struct decision *)self)->window;
    for (size_t i = 0; i < window->count; i++)
        if (weir_incarnation(state, window->cluster, window->reach[i].partition.topic) !=
            window->reach[i].incarnation)
            return WEIR_TEST_DROP;
    return WEIR_TEST_GO;
}

static weir_status decide(const struct weir_window_options *options, bool rebind,
                          json_t **ret_outcome, struct weir_error *reterr)
{
    struct table_state table;
    WEIR_TRY(table_load(options, &table, reterr));
    struct window window = {.options = options, .table = &table};
    weir_arena_init(&window.arena, &options->lake->context->memory);
    struct decision decision = {&window, rebind};
    json_t *receipt = json_object(), *moved = json_array(), *report = NULL;
    bool open = false;
    weir_status status = table.table ? WEIR_OK
                                     : weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet",
                                                 options->table->name);
    if (status == WEIR_OK)
        status = weir_source_open(options->lake->context, options->pipeline, options->table->source,
                                  &window.source, reterr);
    open = status == WEIR_OK;
    if (open)
        status = kafka_look(&window, reterr);
    for (size_t i = 0; status == WEIR_OK && i < window.count; i++) {
        struct reach *reach = &window.reach[i];
        reach->incarnation = weir_incarnation(table.truth, window.cluster, reach->partition.topic);
        weir_position_key(reach->key, sizeof reach->key, window.cluster, reach->partition.topic,
                          reach->incarnation, reach->partition.partition);
        reach->start = weir_position_get(table.truth, reach->key, "start");
        int64_t next = weir_position_get(table.truth, reach->key, "next");
        if (rebind || (next >= 0 && next < reach->first))
            json_array_append_new(moved,
                                  json_pack("{s:s, s:i, s:I, s:I}", "topic", reach->partition.topic,
                                            "partition", reach->partition.partition, "from",
                                            (json_int_t)next, "to", (json_int_t)reach->first));
    }
    report = json_pack("{s:s, s:s, s:O}", "table", options->table->name, "kind",
                       rebind ? "rebind" : "gap", "moved", moved);
    if (status == WEIR_OK && json_array_size(moved)) {
        json_object_set(receipt, "moved", moved);
        struct weir_work work = {.kind = rebind ? "rebind" : "gap",
                                 .operation = "append",
                                 .epoch = json_integer_value(json_object_get(table.truth, "epoch")),
                                 .test = decide_test,
                                 .overlay = rebind ? overlay_rebind : overlay_gap,
                                 .self = &decision,
                                 .receipt = receipt};
        enum weir_landing how = WEIR_ABANDONED;
        status = weir_land(options->lake, &table.table, &work, &how, NULL, reterr);
        if (status == WEIR_OK && how != WEIR_LANDED)
            status = weir_fail(reterr, WEIR_PRECONDITION,
                               "%s changed meanwhile; nothing was done, try again",
                               options->table->name);
    }
    if (open)
        window.source.operations->free(window.source.self);
    kafka_window_done(&window);
    table_done(&table);
    json_decref(receipt);
    json_decref(moved);
    if (status == WEIR_OK)
        *ret_outcome = report;
    else
        json_decref(report);
    return status;
}

weir_status weir_offsets_accept_gap(const struct weir_window_options *options, json_t **ret_outcome,
                                    struct weir_error *reterr)
{
    return decide(options, false, ret_outcome, reterr);
}
weir_status weir_offsets_rebind(const struct weir_window_options *options, json_t **ret_outcome,
                                struct weir_error *reterr)
{
    return decide(options, true, ret_outcome, reterr);
}
