/* One sink, from its cursor to the head of its table. */
#include "scheduler/sink/sink_int.h"

#include <stdio.h>
#include <string.h>

/* ---- what is needed ---- */

/* The types too: two rows that differ in a column only are one once the column is dropped. */
static weir_status define(struct delivery *delivery, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &delivery->lake->context->memory};
    WEIR_TRY(weir_buffer_print(&text, reterr, "%s ", delivery->config->digest));
    WEIR_TRY(weir_type_print(&delivery->row, &text, reterr));
    weir_digest(text.data, text.size, delivery->definition);
    return WEIR_OK;
}

weir_status delivery_ready(struct delivery *delivery, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = delivery->options->pipeline;
    struct weir_query_options options = {.context = delivery->lake->context,
                                         .catalog = &delivery->lake->catalog,
                                         .store = &delivery->lake->store,
                                         .memory_limit = pipeline->memory_limit,
                                         .spill_folder = pipeline->spill_dir,
                                         .spill_limit = pipeline->spill_limit,
                                         .now_micros = weir_now_ms(delivery->lake->context) * 1000};
    WEIR_TRY(weir_query_session_new(&options, &delivery->session, reterr));
    WEIR_TRY(weir_sink_bind(delivery->config, delivery->session, &delivery->lasting, &delivery->row,
                            reterr));
    WEIR_TRY(define(delivery, reterr));
    return sink_open(delivery->lake->context, delivery->config, &delivery->sink, reterr);
}

weir_status delivery_open(struct delivery *delivery, const struct weir_sink_options *options,
                          bool *ret_there, struct weir_error *reterr)
{
    *delivery = (struct delivery){
        .options = options, .config = options->sink, .lake = options->lake};
    struct weir_account *account = &options->lake->context->memory;
    struct weir_catalog *catalog = &options->lake->catalog;
    weir_arena_init(&delivery->arena, account);
    weir_arena_init(&delivery->lasting, account);
    weir_buffer_init(&delivery->last_key, account);
    *ret_there = false;
    WEIR_TRY(cursor_read(options->lake, options->sink->name, &delivery->cursor, reterr));
    weir_status status = catalog->operations->load(catalog->self, options->sink->from->name,
                                                   &delivery->table, reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    *ret_there = status == WEIR_OK;
    return status;
}

void delivery_close(struct delivery *delivery)
{
    if (delivery->sink.operations)
        delivery->sink.operations->free(delivery->sink.self);
    weir_query_session_free(delivery->session);
    weir_table_free(delivery->table);
    weir_free(delivery->changes);
    weir_free(delivery->results);
    weir_free(delivery->tries);
    weir_free(delivery->places);
    weir_buffer_done(&delivery->last_key);
    weir_arena_done(&delivery->lasting);
    weir_arena_done(&delivery->arena);
}

static weir_status way_on(const struct delivery *delivery, weir_status status,
                          struct weir_error *reterr)
{
    if (status == WEIR_DECISION)
        weir_error_hint(reterr,
                        "weir sinks reset %s earliest sends everything that is there again; latest "
                        "instead of earliest goes on behind it",
                        delivery->config->name);
    return status;
}

/* A new cursor begins at nothing, or at the head; one of another table does not go on. */
static weir_status begin(struct delivery *delivery, struct weir_error *reterr)
{
    struct cursor *cursor = &delivery->cursor;
    const char *uuid = weir_metadata_uuid(delivery->table->metadata);
    if (*cursor->uuid && strcmp(cursor->uuid, uuid) != 0)
        return weir_fail(reterr, WEIR_DECISION,
                         "%s is not the table that was sent before (%s then, %s now)",
                         delivery->table->name, cursor->uuid, uuid);
    if (*cursor->uuid)
        return WEIR_OK;
    snprintf(cursor->uuid, sizeof cursor->uuid, "%s", uuid);
    int64_t head;
    if (delivery->config->from_latest &&
        weir_metadata_ref(delivery->table->metadata, "main", &head)) {
        WEIR_TRY(delivery_pin(delivery, head, reterr));
        cursor->reached = head;
    }
    return cursor_save(delivery->lake, delivery->config, cursor, reterr);
}

/* ---- pins ---- */

static void pin_name(const struct delivery *delivery, int number, char ret_tag[300])
{
    snprintf(ret_tag, 300, "weir-at-sink.%.200s%s", delivery->config->name, number ? ".2" : "");
}

static bool pin_at(const struct delivery *delivery, int number, int64_t *ret_snapshot)
{
    char tag[300];
    pin_name(delivery, number, tag);
    return weir_metadata_ref(delivery->table->metadata, tag, ret_snapshot);
}

/* Two tags by turns: one holds what the cursor in the lake says was reached, the other the end of
 * the step under way; so that no expiry takes either, whenever the run dies. */
weir_status delivery_pin(struct delivery *delivery, int64_t snapshot, struct weir_error *reterr)
{
    char tag[300];
    int64_t first = 0, second = 0;
    bool has_first = pin_at(delivery, 0, &first);
    if ((has_first && first == snapshot) || (pin_at(delivery, 1, &second) && second == snapshot))
        return WEIR_OK;
    pin_name(delivery, has_first && first == delivery->cursor.reached, tag);
    weir_status status = weir_tag_snapshot(delivery->lake, &delivery->table, tag, snapshot, reterr);
    if (status == WEIR_NOT_FOUND) /* expired since the table was loaded: look again */
        return weir_fail(reterr, WEIR_PRECONDITION, "%s: snapshot %lld was expired meanwhile",
                         delivery->table->name, (long long)snapshot);
    return status;
}

/* The one that nothing needs any more. */
static weir_status unpin(struct delivery *delivery, struct weir_error *reterr)
{
    char tag[300];
    int64_t at;
    for (int i = 0; i < 2; i++) {
        if (!pin_at(delivery, i, &at) || at == delivery->cursor.reached)
            continue;
        pin_name(delivery, i, tag);
        WEIR_TRY(weir_drop_ref(delivery->lake, &delivery->table, tag, reterr));
    }
    return WEIR_OK;
}

/* ---- steps ---- */

static weir_status do_step(struct delivery *delivery, const struct step *step,
                           struct weir_error *reterr)
{
    struct cursor *cursor = &delivery->cursor;
    delivery->step = *step;
    delivery->last_key.size = 0;
    delivery->last_repeat = 0;
    /* another order, or other changes: what was counted then says nothing now */
    delivery->skip = step->noted && strcmp(cursor->step.definition, delivery->definition) == 0
                         ? cursor->step.done
                         : 0;
    cursor->step.to = step->to;
    cursor->step.version = step->version;
    cursor->step.done = delivery->skip;
    cursor->step.stuck = delivery->skip ? cursor->step.stuck : 0;
    snprintf(cursor->step.definition, sizeof cursor->step.definition, "%s", delivery->definition);
    if (!step->nothing) {
        WEIR_TRY(changes_send(delivery, reterr));
        WEIR_TRY(deliver_flush(delivery, reterr));
    }
    memset(&cursor->step, 0, sizeof cursor->step);
    delivery->snapshots++;
    return WEIR_OK;
}

static int64_t sent(const struct delivery *delivery)
{
    return delivery->delivered[0] + delivery->delivered[1] + delivery->delivered[2] +
           delivery->dead;
}

static weir_status do_steps(struct delivery *delivery, const struct step *steps, size_t count,
                            struct weir_error *reterr)
{
    for (size_t i = 0; i < count; i++) {
        int64_t before = sent(delivery);
        WEIR_TRY(weir_context_check(delivery->lake->context, reterr));
        WEIR_TRY(do_step(delivery, &steps[i], reterr));
        /* Steps that sent nothing are passed over: deliver_flush tells of them when it must. */
        if (sent(delivery) == before && i + 1 < count)
            continue;
        WEIR_TRY(delivery_pin(delivery, steps[i].to, reterr));
        delivery->cursor.reached = steps[i].to;
        delivery->cursor.version = steps[i].version;
        WEIR_TRY(cursor_save(delivery->lake, delivery->config, &delivery->cursor, reterr));
    }
    return WEIR_OK;
}

static weir_status go_on(struct delivery *delivery, struct weir_error *reterr)
{
    struct step *steps;
    size_t count;
    WEIR_TRY(way_on(delivery, begin(delivery, reterr), reterr));
    WEIR_TRY(
        way_on(delivery,
               steps_find(delivery->table, &delivery->cursor, delivery->config->tells_retention,
                          &delivery->lasting, &steps, &count, reterr),
               reterr));
    if (count == 0) /* the run that came here may have died before it dropped the other tag */
        return unpin(delivery, reterr);
    WEIR_TRY(delivery_ready(delivery, reterr));
    weir_status status = do_steps(delivery, steps, count, reterr);
    if (status == WEIR_OK)
        return unpin(delivery, reterr);
    /* so that the next run repeats little; what is in the cursor was settled in any case */
    if (status != WEIR_PRECONDITION && delivery->step.noted &&
        (delivery->cursor.step.done || delivery->cursor.step.stuck))
        (void)!cursor_save(delivery->lake, delivery->config, &delivery->cursor, NULL);
    return status;
}

static void tell(const struct delivery *delivery, json_t *outcome)
{
    bool idle = delivery->snapshots == 0 && sent(delivery) == 0;
    json_object_set_new(outcome, "idle", json_boolean(idle));
    json_object_set_new(outcome, "delivered",
                        json_pack("{s:I, s:I, s:I}", "insert", (json_int_t)delivery->delivered[0],
                                  "update", (json_int_t)delivery->delivered[1], "delete",
                                  (json_int_t)delivery->delivered[2]));
    json_object_set_new(outcome, "dead", json_integer(delivery->dead));
    json_object_set_new(outcome, "aged", json_integer(delivery->aged));
    json_object_set_new(outcome, "snapshots", json_integer(delivery->snapshots));
    json_object_set_new(outcome, "reached", json_integer(delivery->cursor.reached));
}

static json_t *outcome_new(const struct weir_sink_config *config)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "sink", config->name, "table", config->from->name,
                     "kind", sink_kind(config), "idle", 1);
}

weir_status weir_sink_run(const struct weir_sink_options *options, json_t **ret_outcome,
                          struct weir_error *reterr)
{
    struct delivery delivery;
    struct weir_lease *lease;
    char name[300], holder[256];
    bool there;
    *ret_outcome = NULL;
    snprintf(name, sizeof name, "sink.%.200s", options->sink->name);
    WEIR_TRY(weir_lease_take(options->lake, name, &lease, holder, reterr));
    json_t *outcome = outcome_new(options->sink);
    if (!lease) {
        json_object_set_new(outcome, "held_by", json_string(holder));
        *ret_outcome = outcome;
        return WEIR_OK;
    }
    weir_status status = delivery_open(&delivery, options, &there, reterr);
    if (status == WEIR_OK && there)
        status = go_on(&delivery, reterr);
    tell(&delivery, outcome);
    delivery_close(&delivery);
    weir_lease_give_back(lease);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "sink %s", options->sink->name);
        json_object_set_new(outcome, "error", json_string(reterr ? reterr->text : ""));
    }
    *ret_outcome = outcome;
    return status;
}

/* ---- looking ---- */

static const char *receiver(const struct weir_sink_config *config)
{
    return config->kind == WEIR_SINK_OPENSEARCH ? config->opensearch.index
           : config->kind == WEIR_SINK_KAFKA    ? config->kafka.topic
                                                : "";
}

static weir_status look(struct delivery *delivery, json_t *state, struct weir_error *reterr)
{
    const struct cursor *cursor = &delivery->cursor;
    struct step *steps = NULL;
    size_t count = 0;
    if (!*cursor->uuid && delivery->config->from_latest)
        return WEIR_OK;
    const char *uuid = weir_metadata_uuid(delivery->table->metadata);
    if (*cursor->uuid && strcmp(cursor->uuid, uuid) != 0)
        return weir_fail(reterr, WEIR_DECISION, "%s is not the table that was sent before",
                         delivery->table->name);
    WEIR_TRY(steps_find(delivery->table, cursor, delivery->config->tells_retention,
                        &delivery->lasting, &steps, &count, reterr));
    json_object_set_new(state, "waiting", json_integer((json_int_t)count));
    if (count)
        json_object_set_new(
            state, "seconds_behind",
            json_integer((weir_now_ms(delivery->lake->context) - steps[0].committed_ms) / 1000));
    return WEIR_OK;
}

weir_status weir_sink_state(const struct weir_sink_options *options, json_t **ret_state,
                            struct weir_error *reterr)
{
    struct delivery delivery;
    struct weir_error error = {0};
    const struct weir_sink_config *config = options->sink;
    bool there;
    weir_status status = delivery_open(&delivery, options, &there, &error);
    const struct cursor *cursor = &delivery.cursor;
    json_t *state = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:i, s:i, s:{s:I, s:I, s:I}, s:I, s:I}", "sink", config->name,
        "table", config->from->name, "kind", sink_kind(config), "receiver", receiver(config),
        "reached", (json_int_t)cursor->reached, "waiting", 0, "seconds_behind", 0, "delivered",
        "insert", (json_int_t)cursor->delivered[0], "update", (json_int_t)cursor->delivered[1],
        "delete", (json_int_t)cursor->delivered[2], "dead", (json_int_t)cursor->dead, "aged",
        (json_int_t)cursor->aged);
    if (status == WEIR_OK && there)
        status = look(&delivery, state, &error);
    delivery_close(&delivery);
    if (status == WEIR_DECISION) {
        json_object_set_new(state, "problem", json_string(error.text));
        status = WEIR_OK;
    }
    if (status == WEIR_OK) {
        *ret_state = state;
        return WEIR_OK;
    }
    json_decref(state);
    if (reterr)
        *reterr = error;
    return status;
}

weir_status weir_sink_reset(const struct weir_sink_options *options, bool latest,
                            struct weir_error *reterr)
{
    struct delivery delivery;
    struct weir_object_info info;
    char name[400];
    bool there;
    snprintf(name, sizeof name, "_weir/sinks/%.200s/cursor.json", options->sink->name);
    weir_status status = delivery_open(&delivery, options, &there, reterr);
    struct cursor *cursor = &delivery.cursor, fresh = {0};
    if (status == WEIR_DECISION) { /* what lies there is no cursor: replaced */
        there = options->lake->catalog.operations->load(options->lake->catalog.self,
                                                        options->sink->from->name, &delivery.table,
                                                        reterr) == WEIR_OK;
        status = options->lake->store.operations->head(options->lake->store.self, name, &info,
                                                       reterr);
        if (status == WEIR_OK)
            memcpy(cursor->etag, info.etag, sizeof cursor->etag);
    }
    if (status == WEIR_OK && !there)
        status = weir_fail(reterr, WEIR_NOT_FOUND, "%s is not there yet: there is nothing to reset",
                           options->sink->from->name);
    if (status == WEIR_OK) {
        /* versions go on growing: what is sent again is newer than what was sent */
        memcpy(fresh.etag, cursor->etag, sizeof fresh.etag);
        memcpy(fresh.delivered, cursor->delivered, sizeof fresh.delivered);
        fresh.dead = cursor->dead;
        fresh.aged = cursor->aged;
        fresh.version = cursor->version;
        snprintf(fresh.uuid, sizeof fresh.uuid, "%s", weir_metadata_uuid(delivery.table->metadata));
        if (latest && weir_metadata_ref(delivery.table->metadata, "main", &fresh.reached))
            status = delivery_pin(&delivery, fresh.reached, reterr);
    }
    if (status == WEIR_OK)
        status = cursor_save(options->lake, options->sink, &fresh, reterr);
    delivery_close(&delivery);
    return status;
}
