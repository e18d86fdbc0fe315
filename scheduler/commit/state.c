/* The state that snapshots carry: finding it, writing it, and the small sums on it. */
#include "scheduler/commit/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char *const state_keys[] = {"next", "coverage", "holes",   "retried", "letters",
                                         "late", "files",    "sources", "horizon", "epoch"};
#define STATE_KEYS (sizeof state_keys / sizeof *state_keys)

void weir_digest(const void *data, size_t size, char ret_hex[33])
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    snprintf(ret_hex, 33, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

char *weir_json_text(const json_t *json)
{
    return json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static weir_status no_memory(struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
}

json_t *weir_state_new(void)
{
    return json_pack("{s:{}, s:i}", "next", "epoch", 1);
}

/* The map of a summary that points into a receipt. */
static weir_status next_from_receipt(const struct weir_object_store *store,
                                     struct weir_account *account, const json_t *pointer,
                                     json_t **ret_next, struct weir_error *reterr)
{
    const char *name = json_string_value(json_object_get(pointer, "receipt"));
    const char *digest = json_string_value(json_object_get(pointer, "digest"));
    if (!name || !digest)
        return weir_fail(reterr, WEIR_CORRUPT, "weir.next names no receipt");
    WEIR_AUTO(weir_buffer) text = {.account = account};
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, &text, NULL,
                                                reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "the receipt that holds the offsets: %s", name);
        return status == WEIR_NOT_FOUND ? WEIR_DECISION : status;
    }
    json_t *receipt = json_loadb((const char *)text.data, text.size, 0, NULL);
    json_t *next = json_incref(json_object_get(json_object_get(receipt, "state"), "next"));
    json_decref(receipt);
    char *dump = next ? weir_json_text(next) : NULL, hex[33] = "";
    if (dump)
        weir_digest(dump, strlen(dump), hex);
    free(dump);
    if (!next || strcmp(hex, digest) != 0) {
        json_decref(next);
        return weir_fail(reterr, WEIR_DECISION,
                         "%s: its offsets do not match the digest that the snapshot carries", name);
    }
    *ret_next = next;
    return WEIR_OK;
}

/* A state from an object of texts (summary) or values (property); *ret NULL when it has none. */
static weir_status state_from(const struct weir_object_store *store, struct weir_account *account,
                              const json_t *object, const char *prefix, json_t **ret_state,
                              struct weir_error *reterr)
{
    json_t *state = json_object();
    weir_status status = state ? WEIR_OK : no_memory(reterr);
    for (size_t i = 0; status == WEIR_OK && i < STATE_KEYS; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%s", prefix, state_keys[i]);
        json_t *value = json_object_get(object, key);
        if (!value)
            continue;
        bool is_name = strcmp(state_keys[i], "letters") == 0 ||
                       strcmp(state_keys[i], "late") == 0 || strcmp(state_keys[i], "files") == 0;
        json_t *parsed = *prefix && !is_name
                             ? json_loads(json_is_string(value) ? json_string_value(value) : "",
                                          JSON_DECODE_ANY, NULL)
                             : json_incref(value);
        if (!parsed)
            status = weir_fail(reterr, WEIR_CORRUPT, "%s is not JSON", key);
        else if (i == 0 && json_object_get(parsed, "receipt") &&
                 json_is_string(json_object_get(parsed, "receipt"))) {
            json_t *next = NULL;
            status = next_from_receipt(store, account, parsed, &next, reterr);
            json_decref(parsed);
            parsed = next;
        }
        if (status == WEIR_OK && json_object_set_new(state, state_keys[i], parsed) != 0)
            status = no_memory(reterr);
    }
    if (status == WEIR_OK && !json_object_get(state, "next")) {
        json_decref(state);
        state = NULL;
    }
    if (status != WEIR_OK)
        json_decref(state);
    else
        *ret_state = state;
    return status;
}

static int64_t epoch_of(const json_t *state)
{
    return json_integer_value(json_object_get(state, "epoch"));
}

static weir_status truth_at_cut(const struct weir_object_store *store, struct weir_account *account,
                                int64_t cut, json_t *property, json_t **ret_state,
                                struct weir_error *reterr)
{
    if (!property) {
        weir_status status = weir_fail(
            reterr, WEIR_DECISION,
            "no snapshot that is left carries offsets and the table property weir.truth is gone");
        weir_error_hint(reterr, "an expiry by another engine cut the history; `weir verify` shows "
                                "what the rows themselves prove");
        return status;
    }
    int64_t id = json_integer_value(json_object_get(property, "snapshot"));
    if (id != cut) {
        weir_status status = weir_fail(
            reterr, WEIR_DECISION, "history is cut at snapshot %lld, but weir.truth speaks of %lld",
            (long long)cut, (long long)id);
        weir_error_hint(reterr, "an expiry by another engine removed the snapshots with offsets; "
                                "`weir verify` shows what the rows themselves prove");
        return status;
    }
    return state_from(store, account, json_object_get(property, "state"), "", ret_state, reterr);
}

weir_status weir_truth(const struct weir_object_store *store, struct weir_account *account,
                       const struct weir_metadata *metadata, const char *branch, json_t **ret_state,
                       struct weir_error *reterr)
{
    int64_t at;
    if (!weir_metadata_ref(metadata, branch, &at))
        return weir_fail(reterr, WEIR_NOT_FOUND, "no branch %s", branch);
    const char *text = weir_metadata_property(metadata, "weir.truth");
    json_t *property = text ? json_loads(text, 0, NULL) : NULL, *state = NULL;
    struct weir_snapshot snapshot;
    weir_status status = WEIR_OK;
    size_t steps = 0;
    while (status == WEIR_OK && !state && steps++ < WEIR_ANCESTRY_MAX &&
           weir_metadata_snapshot(metadata, at, &snapshot)) {
        status = state_from(store, account, snapshot.summary, "weir.", &state, reterr);
        if (snapshot.parent_id < 0 && !state && property && status == WEIR_OK) {
            status = weir_fail(reterr, WEIR_DECISION,
                               "snapshot %lld of another writer names no parent: which offsets it "
                               "stands on cannot be told",
                               (long long)snapshot.id);
            weir_error_hint(reterr,
                            "a catalog that keeps the newest snapshot alone (Nessie) leaves "
                            "a table to one writer: move its branch back to Weir's commit");
        } else if (snapshot.parent_id < 0 && !state && status == WEIR_OK) {
            status = weir_fail(reterr, WEIR_NOT_FOUND, "no snapshot of branch %s was made by Weir",
                               branch);
            weir_error_hint(reterr, "the table belongs to another writer; choose another name");
        }
        at = snapshot.parent_id;
    }
    if (status == WEIR_OK && !state)
        status = truth_at_cut(store, account, at, property, &state, reterr);
    if (status == WEIR_OK && !state)
        status = weir_fail(reterr, WEIR_DECISION, "weir.truth holds no offsets");
    if (status == WEIR_OK) {
        const char *raised = weir_metadata_property(metadata, "weir.epoch");
        int64_t epoch = raised ? atoll(raised) : 0;
        if (epoch > epoch_of(state))
            json_object_set_new(state, "epoch", json_integer(epoch));
        *ret_state = state;
    } else {
        json_decref(state);
    }
    json_decref(property);
    return status;
}

/* `next` as it stands in a summary: whole, or a pointer to the receipt. New reference. */
static json_t *next_compact(const json_t *state, const char *receipt_name)
{
    json_t *next = json_object_get(state, "next");
    if (json_object_size(next) <= WEIR_SUMMARY_PARTITIONS_MAX)
        return json_incref(next);
    char *dump = weir_json_text(next), hex[33];
    if (!dump)
        return NULL;
    weir_digest(dump, strlen(dump), hex);
    free(dump);
    return json_pack("{s:s, s:s}", "receipt", receipt_name, "digest", hex);
}

weir_status weir_state_to_summary(const json_t *state, const char *receipt_name, json_t *summary,
                                  struct weir_error *reterr)
{
    for (size_t i = 0; i < STATE_KEYS; i++) {
        json_t *value = i == 0 ? next_compact(state, receipt_name)
                               : json_incref(json_object_get(state, state_keys[i]));
        if (!value)
            continue;
        char key[32];
        snprintf(key, sizeof key, "weir.%s", state_keys[i]);
        char *text = json_is_string(value) ? strdup(json_string_value(value))
                                           : weir_json_text(value);
        json_decref(value);
        int failed = !text || json_object_set_new(summary, key, json_string(text)) != 0;
        free(text);
        if (failed)
            return no_memory(reterr);
    }
    return WEIR_OK;
}

char *weir_state_to_property(const json_t *state, const char *receipt_name, int64_t snapshot_id)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)state);
    if (json_object_set_new(copy, "next", next_compact(state, receipt_name)) != 0) {
        json_decref(copy); /* the whole map must not stand where its digest should */
        return NULL;
    }
    json_t *property = json_pack("{s:I, s:o}", "snapshot", (json_int_t)snapshot_id, "state", copy);
    char *text = property ? weir_json_text(property) : NULL;
    json_decref(property);
    return text;
}

void weir_position_key(char *ret_key, size_t size, const char *cluster, const char *topic,
                       int incarnation, int partition)
{
    snprintf(ret_key, size, "%s/%s/%d/%d", cluster, topic, incarnation, partition);
}

int64_t weir_position_get(const json_t *state, const char *key, const char *field)
{
    const json_t *value = json_object_get(json_object_get(json_object_get(state, "next"), key),
                                          field);
    return value ? json_integer_value(value) : -1;
}

int weir_incarnation(const json_t *state, const char *cluster, const char *topic)
{
    char prefix[512];
    int highest = 0;
    int size = snprintf(prefix, sizeof prefix, "%s/%s/", cluster, topic);
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(state, "next"), key, value)
    {
        int incarnation;
        if (strncmp(key, prefix, (size_t)size) == 0 &&
            sscanf(key + size, "%d/", &incarnation) == 1 && incarnation > highest)
            highest = incarnation;
    }
    return highest;
}

weir_status weir_position_set(json_t *state, const char *key, int64_t start, int64_t next,
                              json_t *print, struct weir_error *reterr)
{
    json_t *map = json_object_get(state, "next");
    json_t *old_print = json_incref(json_object_get(json_object_get(map, key), "print"));
    json_t *entry = json_pack("{s:I, s:I}", "start", (json_int_t)start, "next", (json_int_t)next);
    json_t *kept = print ? print : old_print;
    if (print)
        json_decref(old_print);
    if (!entry || (kept && json_object_set_new(entry, "print", kept) != 0) ||
        json_object_set_new(map, key, entry) != 0)
        return no_memory(reterr);
    return WEIR_OK;
}

weir_status weir_intervals_add(json_t *state, const char *field, const char *key, int64_t from,
                               int64_t to, struct weir_error *reterr)
{
    if (from >= to)
        return WEIR_OK;
    json_t *map = json_object_get(state, field), *out = json_array();
    if (!map) {
        json_object_set_new(state, field, json_object());
        map = json_object_get(state, field);
    }
    size_t at;
    json_t *old;
    bool placed = false;
    json_array_foreach(json_object_get(map, key), at, old)
    {
        int64_t a = json_integer_value(json_array_get(old, 0)),
                b = json_integer_value(json_array_get(old, 1));
        if (b < from) {
            json_array_append(out, old);
        } else if (a > to) {
            if (!placed)
                json_array_append_new(out, json_pack("[I,I]", (json_int_t)from, (json_int_t)to));
            placed = true;
            json_array_append(out, old);
        } else {
            from = a < from ? a : from;
            to = b > to ? b : to;
        }
    }
    if (!placed)
        json_array_append_new(out, json_pack("[I,I]", (json_int_t)from, (json_int_t)to));
    return map && json_object_set_new(map, key, out) == 0 ? WEIR_OK : no_memory(reterr);
}

int64_t weir_intervals_overlap(const json_t *state, const char *field, const char *key,
                               int64_t from, int64_t to)
{
    int64_t shared = 0;
    size_t at;
    json_t *interval;
    json_array_foreach(json_object_get(json_object_get(state, field), key), at, interval)
    {
        int64_t a = json_integer_value(json_array_get(interval, 0)),
                b = json_integer_value(json_array_get(interval, 1));
        a = a < from ? from : a;
        b = b > to ? to : b;
        shared += b > a ? b - a : 0;
    }
    return shared;
}

bool weir_intervals_has(const json_t *state, const char *field, const char *key, int64_t offset)
{
    return weir_intervals_overlap(state, field, key, offset, offset + 1) > 0;
}
