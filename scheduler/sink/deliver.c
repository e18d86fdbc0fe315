/* Sending: changes are gathered to what one call takes, sent until each is settled (taken, or a
 * dead letter), then counted in the cursor. An answer that was lost is a reason to send again: the
 * ids are the same. */
#include "scheduler/sink/sink_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALL_CHANGES_MAX = 10000,
    CALL_BYTES_MAX = 16 << 20,
    ATTEMPTS_MAX = 6, /* in a row that got nothing through; some seconds in all */
    WAIT_FIRST_MS = 250,
    WAIT_MAX_MS = 8000,
    ASKED_MAX_MS = 15000, /* who asks for more is asked again by the next run */
    SAVE_EVERY_MS = 2000
};

/* ---- gathering ---- */

weir_status deliver_room(struct delivery *delivery, struct weir_error *reterr)
{
    size_t room = delivery->sink.batch_max < CALL_CHANGES_MAX ? delivery->sink.batch_max
                                                              : CALL_CHANGES_MAX;
    struct weir_account *account = &delivery->lake->context->memory;
    if (delivery->changes)
        return WEIR_OK;
    WEIR_TRY(weir_alloc_zero(account, room, sizeof *delivery->changes, &delivery->changes, reterr));
    WEIR_TRY(weir_alloc_zero(account, room, sizeof *delivery->results, &delivery->results, reterr));
    WEIR_TRY(weir_alloc_zero(account, room, sizeof *delivery->tries, &delivery->tries, reterr));
    WEIR_TRY(weir_alloc_zero(account, room, sizeof *delivery->places, &delivery->places, reterr));
    delivery->room = room;
    return WEIR_OK;
}

/* Of this very change: sink, table, version, kind, key, and which one of that key. Not the
 * snapshot: after a rollback it may be reached again, and what it brings is news again. */
static weir_status change_id(struct delivery *delivery, const struct change *change,
                             char ret_id[33], struct weir_error *reterr)
{
    struct weir_buffer *last = &delivery->last_key;
    char kind = (char)('0' + change->kind);
    WEIR_AUTO(weir_buffer) text = {.account = &delivery->lake->context->memory};
    /* As JSON and as text: NaN, infinity and NULL are all null in the one, NULL and "\\N" the same
     * in the other. */
    WEIR_TRY(weir_buffer_append(&text, &kind, 1, reterr));
    WEIR_TRY(weir_buffer_append(&text, change->key.data, change->key.size, reterr));
    WEIR_TRY(weir_buffer_append(&text, change->key_json.data, change->key_json.size, reterr));
    bool repeats = last->size == text.size && memcmp(last->data, text.data, text.size) == 0;
    delivery->last_repeat = repeats ? delivery->last_repeat + 1 : 0;
    last->size = 0;
    WEIR_TRY(weir_buffer_append(last, text.data, text.size, reterr));
    weir_buffer_clear(&text);
    WEIR_TRY(weir_buffer_print(&text, reterr, "%s %s %lld %c %lld ", delivery->config->name,
                               delivery->cursor.uuid, (long long)delivery->step.version, kind,
                               (long long)delivery->last_repeat));
    WEIR_TRY(weir_buffer_append(&text, last->data + 1, last->size - 1, reterr));
    weir_digest(text.data, text.size, ret_id);
    return WEIR_OK;
}

static weir_status copy_bytes(struct weir_arena *arena, struct weir_bytes bytes,
                              struct weir_bytes *ret_copy, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(arena, bytes.data, bytes.size, &copy, reterr));
    *ret_copy = (struct weir_bytes){(const uint8_t *)copy, bytes.size};
    return WEIR_OK;
}

static bool is_aged(const struct delivery *delivery)
{
    return delivery->config->max_age_ms &&
           weir_now_ms(delivery->lake->context) - delivery->step.committed_ms >
               delivery->config->max_age_ms;
}

weir_status deliver_add(struct delivery *delivery, const struct change *change,
                        struct weir_error *reterr)
{
    char id[33], *copy, *key;
    struct weir_bytes row, key_json;
    WEIR_TRY(deliver_room(delivery, reterr));
    WEIR_TRY(change_id(delivery, change, id, reterr));
    if (delivery->skip > 0) {
        delivery->skip--;
        return WEIR_OK;
    }
    if (is_aged(delivery)) {
        WEIR_TRY(deliver_flush(delivery, reterr));
        delivery->aged++;
        delivery->cursor.aged++;
        delivery->cursor.step.done++;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_copy(&delivery->arena, id, 32, &copy, reterr));
    WEIR_TRY(weir_arena_copy(&delivery->arena, change->key.data, change->key.size, &key, reterr));
    WEIR_TRY(copy_bytes(&delivery->arena, change->key_json, &key_json, reterr));
    WEIR_TRY(copy_bytes(&delivery->arena, change->row, &row, reterr));
    delivery->tries[delivery->count] = 0;
    delivery->changes[delivery->count++] = (struct weir_sink_change){
        .kind = change->kind,
        .id = copy,
        .key = key,
        .key_json = key_json,
        .row = row,
        .version = delivery->step.version,
        .snapshot_id = delivery->step.to,
        .committed_ms = delivery->step.committed_ms};
    delivery->bytes += row.size + key_json.size;
    return delivery->count == delivery->room || delivery->bytes >= CALL_BYTES_MAX
               ? deliver_flush(delivery, reterr)
               : WEIR_OK;
}

/* ---- dead letters ---- */

void deliver_dead_name(char *ret_name, size_t size, const char *sink,
                       const struct weir_sink_change *change)
{
    snprintf(ret_name, size, "_weir/sinks/%.200s/dead/%020lld-%s.json", sink,
             (long long)change->version, change->id);
}

/* `key` and `row` are for people; `sent` has the texts that go out again: a parser rounds long
 * decimals, and does not take every number or character that a row may have. */
static json_t *dead_letter(const struct delivery *delivery, const struct weir_sink_change *change,
                           int tries, const char *reason)
{
    static const char *const kinds[] = {"insert", "update", "delete"};
    const struct weir_bytes *key = &change->key_json, *row = &change->row;
    json_t *key_shown = json_loadb((const char *)key->data, key->size, 0, NULL),
           *row_shown = json_loadb((const char *)row->data, row->size, 0, NULL);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o?, s:o?, s:{s:s%, s:s%}, s:I, s:I, s:I, s:i, "
        "s:s, s:s}",
        "id", change->id, "sink", delivery->config->name, "table", delivery->config->from->name,
        "change", kinds[change->kind], "key_text", change->key, "key", key_shown, "row", row_shown,
        "sent", "key", (const char *)key->data, key->size, "row", (const char *)row->data,
        row->size, "version", (json_int_t)change->version, "snapshot",
        (json_int_t)change->snapshot_id, "committed_ms", (json_int_t)change->committed_ms, "tries",
        tries, "reason", reason, "run", delivery->lake->run_id);
}

/* The same letter may be there from a run that died behind it. */
static weir_status bury(struct delivery *delivery, const struct weir_sink_change *change, int tries,
                        const char *reason, struct weir_error *reterr)
{
    char name[512];
    struct weir_lake *lake = delivery->lake;
    deliver_dead_name(name, sizeof name, delivery->config->name, change);
    json_t *letter = dead_letter(delivery, change, tries, reason);
    char *text = letter ? json_dumps(letter, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
    json_decref(letter);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a dead letter");
    weir_status status = lake->store.operations->put(lake->store.self, name, text, strlen(text),
                                                     WEIR_PUT_ANY, NULL, NULL, reterr);
    free(text);
    return status;
}

/* ---- sending ---- */

static weir_status send_once(struct delivery *delivery, int64_t *ret_wait_ms,
                             struct weir_error *reterr)
{
    struct weir_context *context = delivery->lake->context;
    *ret_wait_ms = 0;
    WEIR_TRY(weir_effect_before(context, "sink", delivery->config->name, reterr));
    weir_status status = delivery->sink.operations->deliver(delivery->sink.self, delivery->changes,
                                                            delivery->count, delivery->results,
                                                            ret_wait_ms, reterr);
    if (weir_effect_after(context))
        return weir_fail(reterr, WEIR_UNAVAILABLE, "the answer was lost");
    return status;
}

/* Takes out what is settled, the order kept. *ret_nearer: something was, or was refused once more;
 * *ret_reason: of the first one that is left. */
static weir_status sort_answers(struct delivery *delivery, bool *ret_nearer,
                                const char **ret_reason, struct weir_error *reterr)
{
    size_t left = 0, count = delivery->count;
    weir_status status = WEIR_OK;
    bool nearer = false;
    for (size_t i = 0; i < count; i++) {
        const struct weir_sink_change *change = &delivery->changes[i];
        const struct weir_sink_result *result = &delivery->results[i];
        bool refused = result->answer == WEIR_SINK_REFUSED &&
                       ++delivery->tries[i] >= delivery->config->tries;
        nearer |= result->answer != WEIR_SINK_LATER;
        if (refused && status == WEIR_OK && !delivery->keeps_dead)
            status = bury(delivery, change, delivery->tries[i], result->reason, reterr);
        if (refused && status == WEIR_OK) {
            delivery->dead++;
            delivery->cursor.dead += !delivery->keeps_dead;
        } else if (result->answer == WEIR_SINK_TAKEN) {
            delivery->delivered[change->kind]++;
            delivery->cursor.delivered[change->kind]++;
            if (delivery->taken && status == WEIR_OK)
                status = delivery->taken(delivery, change, reterr);
        } else {
            *ret_reason = left ? *ret_reason : result->reason;
            delivery->changes[left] = *change;
            delivery->places[left] = delivery->places[i];
            delivery->tries[left++] = delivery->tries[i];
        }
    }
    delivery->count = left;
    *ret_nearer = nearer;
    return status;
}

/* Full jitter; what the receiver asks for is the least. */
static weir_status back_off(struct delivery *delivery, int attempt, int64_t asked_ms,
                            struct weir_error *reterr)
{
    struct weir_context *context = delivery->lake->context;
    int64_t most = (int64_t)WAIT_FIRST_MS << attempt;
    most = most < WAIT_MAX_MS ? most : WAIT_MAX_MS;
    weir_sleep_ms(context, asked_ms + (int64_t)weir_random_below(context, (uint64_t)most + 1));
    return weir_context_check(context, reterr);
}

/* Has the receiver taken some behind the first one that is left? Then it is not away. */
static bool is_alone(const struct delivery *delivery)
{
    return delivery->sink.tells_each && !delivery->keeps_dead && delivery->count &&
           delivery->begun - delivery->count > delivery->places[0];
}

/* The one that has held up `tries` runs is a dead letter: the receiver fails on it alone, and those
 * behind it wait. */
static weir_status bury_stuck(struct delivery *delivery, const char *reason, bool *ret_buried,
                              struct weir_error *reterr)
{
    int runs = (int)delivery->cursor.step.stuck + 1;
    *ret_buried = is_alone(delivery) && delivery->places[0] == 0 && runs >= delivery->config->tries;
    if (!*ret_buried)
        return WEIR_OK;
    WEIR_TRY(bury(delivery, &delivery->changes[0], runs, reason, reterr));
    delivery->dead++;
    delivery->cursor.dead++;
    delivery->cursor.step.stuck = 0;
    delivery->count--;
    memmove(delivery->changes, delivery->changes + 1, delivery->count * sizeof *delivery->changes);
    memmove(delivery->tries, delivery->tries + 1, delivery->count * sizeof *delivery->tries);
    memmove(delivery->places, delivery->places + 1, delivery->count * sizeof *delivery->places);
    return WEIR_OK;
}

weir_status deliver_settle(struct delivery *delivery, struct weir_error *reterr)
{
    int attempt = 0;
    const char *reason = "";
    delivery->begun = delivery->count;
    for (size_t i = 0; i < delivery->count; i++)
        delivery->places[i] = (uint32_t)i;
    while (delivery->count) {
        struct weir_error error = {0};
        int64_t asked;
        bool nearer = false;
        WEIR_TRY(weir_context_check(delivery->lake->context, reterr));
        weir_status status = send_once(delivery, &asked, &error);
        delivery->answered = status == WEIR_OK;
        if (status == WEIR_OK) {
            WEIR_TRY(sort_answers(delivery, &nearer, &reason, reterr));
            if (delivery->count == 0)
                return WEIR_OK;
        } else if (status != WEIR_UNAVAILABLE && status != WEIR_TIMEOUT) {
            if (reterr)
                *reterr = error;
            return status;
        }
        attempt = nearer ? 0 : attempt + 1;
        bool buried = false;
        if (attempt >= ATTEMPTS_MAX && status == WEIR_OK)
            WEIR_TRY(bury_stuck(delivery, reason, &buried, reterr));
        if (buried) {
            attempt = 0;
            continue;
        }
        if (attempt >= ATTEMPTS_MAX)
            return weir_fail(reterr, WEIR_UNAVAILABLE, "%s",
                             status == WEIR_OK ? reason : error.text);
        if (asked > ASKED_MAX_MS)
            return weir_fail(reterr, WEIR_UNAVAILABLE, "the receiver asks to wait %lld s",
                             (long long)asked / 1000);
        WEIR_TRY(back_off(delivery, attempt, asked, reterr));
    }
    return WEIR_OK;
}

/* Which two snapshots these are changes of is written down before the first of them goes out: the
 * table may tell another story by the next run (expiry, a rollback). Steps before it that sent
 * nothing are over then: taken together with this one they may bring other changes (a row that
 * went, untold, and came back is no insert), in another order. */
static weir_status note_step(struct delivery *delivery, struct weir_error *reterr)
{
    struct cursor *cursor = &delivery->cursor;
    if (delivery->step.noted)
        return WEIR_OK;
    if (delivery->step.from != cursor->reached) {
        struct cursor begun = *cursor;
        memset(&cursor->step, 0, sizeof cursor->step);
        WEIR_TRY(delivery_pin(delivery, delivery->step.from, reterr));
        cursor->reached = delivery->step.from;
        WEIR_TRY(cursor_save(delivery->lake, delivery->config, cursor, reterr));
        cursor->step = begun.step;
    }
    WEIR_TRY(delivery_pin(delivery, delivery->step.to, reterr));
    WEIR_TRY(cursor_save(delivery->lake, delivery->config, cursor, reterr));
    delivery->step.noted = true;
    return WEIR_OK;
}

/* What was settled before the first one that is left is not sent again: a receiver that takes some
 * hundred and then asks to wait is through in the end. */
static void note_left(struct delivery *delivery)
{
    int64_t settled = delivery->count ? delivery->places[0] : 0;
    delivery->cursor.step.done += settled;
    delivery->cursor.step.stuck = (settled ? 0 : delivery->cursor.step.stuck) +
                                  (delivery->answered && is_alone(delivery));
}

weir_status deliver_flush(struct delivery *delivery, struct weir_error *reterr)
{
    size_t count = delivery->count;
    if (count == 0)
        return WEIR_OK;
    if (!delivery->prepared) {
        WEIR_TRY(delivery->sink.operations->prepare(delivery->sink.self, &delivery->row, reterr));
        delivery->prepared = true;
    }
    WEIR_TRY(note_step(delivery, reterr));
    weir_status status = deliver_settle(delivery, reterr);
    if (status != WEIR_OK) {
        note_left(delivery);
        return status;
    }
    delivery->cursor.step.done += (int64_t)count;
    delivery->cursor.step.stuck = 0;
    delivery->bytes = 0;
    weir_arena_reset(&delivery->arena);
    if (weir_steady_ms(delivery->lake->context) - delivery->cursor.saved_ms < SAVE_EVERY_MS)
        return WEIR_OK;
    return cursor_save(delivery->lake, delivery->config, &delivery->cursor, reterr);
}
