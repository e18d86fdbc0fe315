/* Dead letters: changes that the receiver refused, each an object. */
#include "scheduler/sink/sink_int.h"

#include <stdio.h>
#include <string.h>

struct visit {
    struct weir_lake *lake;
    json_t *letters;
    struct weir_error *reterr;
};

static weir_status read_letter(void *argument, const struct weir_object_info *info)
{
    struct visit *visit = argument;
    struct weir_object_store *store = &visit->lake->store;
    WEIR_AUTO(weir_buffer) text = {.account = &visit->lake->context->memory};
    weir_status status = store->operations->get(store->self, info->name, 0, UINT64_MAX, &text, NULL,
                                                visit->reterr);
    if (status == WEIR_NOT_FOUND) /* taken meanwhile */
        return WEIR_OK;
    WEIR_TRY(status);
    json_t *letter = json_loadb((const char *)text.data, text.size, 0, NULL);
    const char *id = json_string_value(json_object_get(letter, "id"));
    /* its object's name is made of it */
    if (!id || strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32 ||
        !json_is_object(json_object_get(letter, "sent"))) {
        json_decref(letter);
        return weir_fail(visit->reterr, WEIR_CORRUPT, "%s is no dead letter", info->name);
    }
    json_object_set_new(letter, "object", json_string(info->name));
    json_array_append_new(visit->letters, letter);
    return WEIR_OK;
}

weir_status weir_sink_dead(const struct weir_sink_options *options, json_t **ret_letters,
                           struct weir_error *reterr)
{
    struct weir_object_store *store = &options->lake->store;
    struct weir_error error = {0}; /* of a letter: the list itself only says where it stopped */
    struct visit visit = {options->lake, json_array(), &error};
    char prefix[400];
    snprintf(prefix, sizeof prefix, "_weir/sinks/%.200s/dead/", options->sink->name);
    weir_status status = store->operations->list(store->self, prefix, read_letter, &visit, reterr);
    if (status == WEIR_OK || status == WEIR_NOT_FOUND) {
        *ret_letters = visit.letters;
        return WEIR_OK;
    }
    json_decref(visit.letters);
    if (error.status != WEIR_OK && reterr)
        *reterr = error;
    return error.status != WEIR_OK ? error.status : status;
}

static weir_status remove_letter(struct delivery *delivery, const struct weir_sink_change *change,
                                 struct weir_error *reterr)
{
    char name[512];
    struct weir_object_store *store = &delivery->lake->store;
    deliver_dead_name(name, sizeof name, delivery->config->name, change);
    return store->operations->remove(store->self, name, reterr);
}

/* The text of the letter's own, which outlives the sending. */
static weir_status to_bytes(const json_t *letter, const char *name, struct weir_bytes *ret_bytes,
                            struct weir_error *reterr)
{
    const json_t *text = json_object_get(json_object_get(letter, "sent"), name);
    if (!json_is_string(text))
        return weir_fail(reterr, WEIR_CORRUPT, "%s is no dead letter: it has no text of \"%s\"",
                         json_string_value(json_object_get(letter, "object")), name);
    *ret_bytes = (struct weir_bytes){(const uint8_t *)json_string_value(text),
                                     json_string_length(text)};
    return WEIR_OK;
}

static weir_status to_change(const json_t *letter, struct weir_sink_change *ret_change,
                             struct weir_error *reterr)
{
    const char *kind = json_string_value(json_object_get(letter, "change")),
               *key = json_string_value(json_object_get(letter, "key_text"));
    if (!kind || !key)
        return weir_fail(reterr, WEIR_CORRUPT, "%s is no dead letter",
                         json_string_value(json_object_get(letter, "object")));
    struct weir_sink_change change = {
        .kind = kind[0] == 'i'   ? WEIR_CHANGE_INSERT
                : kind[0] == 'u' ? WEIR_CHANGE_UPDATE
                                 : WEIR_CHANGE_DELETE,
        .id = json_string_value(json_object_get(letter, "id")),
        .key = key,
        .version = json_integer_value(json_object_get(letter, "version")),
        .snapshot_id = json_integer_value(json_object_get(letter, "snapshot")),
        .committed_ms = json_integer_value(json_object_get(letter, "committed_ms"))};
    WEIR_TRY(to_bytes(letter, "key", &change.key_json, reterr));
    WEIR_TRY(to_bytes(letter, "row", &change.row, reterr));
    *ret_change = change;
    return WEIR_OK;
}

/* *chosen: an array of those that still hold; all: of each of them. */
static weir_status choose(struct delivery *delivery, const json_t *letters, bool all,
                          json_t *chosen, struct weir_error *reterr)
{
    size_t at;
    json_t *letter;
    bool *over;
    WEIR_TRY(weir_arena_zero(&delivery->lasting, json_array_size(letters) + 1, sizeof *over, &over,
                             reterr));
    if (!all)
        WEIR_TRY(letters_judge(delivery, letters, over, reterr));
    json_array_foreach(letters, at, letter)
    {
        if (over[at])
            delivery->over++;
        else
            json_array_append(chosen, letter);
    }
    return WEIR_OK;
}

static weir_status send_letters(struct delivery *delivery, const json_t *letters,
                                struct weir_error *reterr)
{
    size_t at;
    json_t *letter;
    delivery->keeps_dead = true;
    delivery->taken = remove_letter;
    if (json_array_size(letters) == 0)
        return WEIR_OK;
    WEIR_TRY(delivery->sink.operations->prepare(delivery->sink.self, &delivery->row, reterr));
    WEIR_TRY(deliver_room(delivery, reterr));
    json_array_foreach(letters, at, letter)
    {
        delivery->tries[delivery->count] = 0;
        WEIR_TRY(to_change(letter, &delivery->changes[delivery->count++], reterr));
        /* a call has each key once: receivers may take its changes side by side */
        json_t *next = json_array_get(letters, at + 1);
        if (delivery->count < delivery->room && next &&
            json_equal(json_object_get(letter, "version"), json_object_get(next, "version")))
            continue;
        WEIR_TRY(deliver_settle(delivery, reterr));
        weir_arena_reset(&delivery->arena);
    }
    return WEIR_OK;
}

static weir_status counted(struct delivery *delivery, struct weir_error *reterr)
{
    struct cursor cursor;
    int64_t left;
    json_t *letters;
    WEIR_TRY(weir_sink_dead(delivery->options, &letters, reterr));
    left = (int64_t)json_array_size(letters);
    json_decref(letters);
    WEIR_TRY(cursor_read(delivery->lake, delivery->config->name, &cursor, reterr));
    if (!*cursor.uuid || cursor.dead == left)
        return WEIR_OK;
    cursor.dead = left;
    return cursor_save(delivery->lake, delivery->config, &cursor, reterr);
}

enum what { SEND_HOLDING, SEND_ALL, DISCARD };

static weir_status choose_and_send(struct delivery *delivery, const json_t *letters, bool all,
                                   struct weir_error *reterr)
{
    if (json_array_size(letters) == 0)
        return WEIR_OK;
    WEIR_TRY(delivery_ready(delivery, reterr));
    json_t *chosen = json_array();
    weir_status status = choose(delivery, letters, all, chosen, reterr);
    if (status == WEIR_OK)
        status = send_letters(delivery, chosen, reterr);
    json_decref(chosen);
    return status;
}

static weir_status retry(const struct weir_sink_options *options, enum what what, json_t *outcome,
                         struct weir_error *reterr)
{
    struct delivery delivery;
    json_t *letters = NULL, *letter;
    size_t at, dropped = 0;
    bool there, discard = what == DISCARD;
    weir_status status = delivery_open(&delivery, options, &there, reterr);
    if (status == WEIR_OK)
        status = weir_sink_dead(options, &letters, reterr);
    if (status == WEIR_OK && !discard)
        status = choose_and_send(&delivery, letters, what == SEND_ALL, reterr);
    if (discard)
        json_array_foreach(letters, at, letter)
        {
            const char *name = json_string_value(json_object_get(letter, "object"));
            if (status == WEIR_OK)
                status = options->lake->store.operations->remove(options->lake->store.self, name,
                                                                 reterr);
            dropped += status == WEIR_OK;
        }
    json_object_set_new(
        outcome, "taken",
        json_integer(delivery.delivered[0] + delivery.delivered[1] + delivery.delivered[2]));
    json_object_set_new(outcome, "refused", json_integer(delivery.dead));
    json_object_set_new(outcome, "superseded", json_integer(delivery.over));
    json_object_set_new(outcome, "dropped", json_integer((json_int_t)dropped));
    if (status == WEIR_OK)
        status = counted(&delivery, reterr);
    json_decref(letters);
    delivery_close(&delivery);
    return status;
}

static weir_status under_lease(const struct weir_sink_options *options, enum what what,
                               json_t **ret_outcome, struct weir_error *reterr)
{
    struct weir_lease *lease;
    char name[300], holder[256];
    snprintf(name, sizeof name, "sink.%.200s", options->sink->name);
    WEIR_TRY(weir_lease_take(options->lake, name, &lease, holder, reterr));
    if (!lease)
        return weir_fail(reterr, WEIR_PRECONDITION, "sink %s: another run is at it: %s",
                         options->sink->name, holder);
    json_t *outcome = json_pack("{s:s}", "sink", options->sink->name);
    weir_status status = retry(options, what, outcome, reterr);
    weir_lease_give_back(lease);
    *ret_outcome = outcome;
    return status;
}

weir_status weir_sink_dead_retry(const struct weir_sink_options *options, bool all,
                                 json_t **ret_outcome, struct weir_error *reterr)
{
    *ret_outcome = NULL;
    return under_lease(options, all ? SEND_ALL : SEND_HOLDING, ret_outcome, reterr);
}

weir_status weir_sink_dead_discard(const struct weir_sink_options *options, json_t **ret_outcome,
                                   struct weir_error *reterr)
{
    *ret_outcome = NULL;
    return under_lease(options, DISCARD, ret_outcome, reterr);
}
