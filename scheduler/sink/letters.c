/* Which dead letters the table still bears out: what the receiver was told since must not be undone
 * by an older change that comes late. Looked up in the rows themselves, at the snapshot that the
 * sink has reached, as the snapshots in between may have been expired. */
#include "scheduler/sink/sink_int.h"

#include <stdlib.h>
#include <string.h>

enum found { FOUND_NONE, FOUND_OTHER, FOUND_SAME };

struct sought {
    const char *key; /* the key's JSON, of the letter */
    size_t key_size;
    const json_t *letter;
    size_t at; /* among the letters */
    enum found found;
};

struct search {
    struct sought *sought; /* by key */
    size_t count;
};

static int by_key(const void *left, const void *right)
{
    const struct sought *a = left, *b = right;
    if (a->key_size != b->key_size)
        return a->key_size < b->key_size ? -1 : 1;
    return memcmp(a->key, b->key, a->key_size);
}

static const char *sent_text(const json_t *letter, const char *name, size_t *ret_size)
{
    const json_t *text = json_object_get(json_object_get(letter, "sent"), name);
    const char *value = json_string_value(text);
    *ret_size = json_string_length(text);
    return value ? value : "";
}

/* Columns that only one of them has (`columns` was changed, the table got a column) say nothing. */
static bool same_row(const json_t *letter, struct weir_bytes row)
{
    size_t size;
    const char *text = sent_text(letter, "row", &size), *name;
    json_t *value, *then, *now;
    if (size == row.size && memcmp(text, row.data, size) == 0)
        return true;
    then = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    now = json_loadb((const char *)row.data, row.size, JSON_ALLOW_NUL, NULL);
    bool same = then && now;
    json_object_foreach(then, name, value)
    {
        const json_t *other = json_object_get(now, name);
        same &= !other || json_equal(other, value);
    }
    json_decref(then);
    json_decref(now);
    return same;
}

static weir_status take_row(void *self, struct weir_bytes key, struct weir_bytes row,
                            struct weir_error *reterr)
{
    struct search *search = self;
    struct sought wanted = {.key = (const char *)key.data, .key_size = key.size};
    struct sought *end = search->sought + search->count,
                  *at = bsearch(&wanted, search->sought, search->count, sizeof *at, by_key);
    (void)reterr;
    while (at && at > search->sought && by_key(at - 1, &wanted) == 0)
        at--;
    for (; at && at < end && by_key(at, &wanted) == 0; at++)
        if (at->found != FOUND_SAME)
            at->found = same_row(at->letter, row) ? FOUND_SAME : FOUND_OTHER;
    return WEIR_OK;
}

/* A row that changed since: an update told so, if the sink tells updates. */
static bool is_over(const struct sought *sought, const bool sends[3])
{
    const char *change = json_string_value(json_object_get(sought->letter, "change"));
    if (change && change[0] == 'd')
        return sought->found != FOUND_NONE;
    return sought->found == FOUND_NONE ||
           (sought->found == FOUND_OTHER && sends[WEIR_CHANGE_UPDATE]);
}

/* A step under way has sent some of its changes already. What was reached may be another table's,
 * or gone: then as the table is now. */
static weir_status pick_snapshot(const struct delivery *delivery, int64_t *ret_snapshot,
                                 struct weir_error *reterr)
{
    const struct cursor *cursor = &delivery->cursor;
    const struct weir_metadata *metadata = delivery->table->metadata;
    struct weir_snapshot snapshot;
    int64_t at = cursor->step.to ? cursor->step.to : cursor->reached;
    bool is_this = strcmp(cursor->uuid, weir_metadata_uuid(metadata)) == 0;
    if (!is_this || at == 0 || !weir_metadata_snapshot(metadata, at, &snapshot))
        if (!weir_metadata_ref(metadata, "main", &at))
            return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone",
                             delivery->table->name);
    *ret_snapshot = at;
    return WEIR_OK;
}

weir_status letters_judge(struct delivery *delivery, const json_t *letters, bool *ret_over,
                          struct weir_error *reterr)
{
    struct search search = {.count = json_array_size(letters)};
    int64_t snapshot;
    WEIR_TRY(pick_snapshot(delivery, &snapshot, reterr));
    WEIR_TRY(weir_arena_zero(&delivery->lasting, search.count + 1, sizeof *search.sought,
                             &search.sought, reterr));
    for (size_t i = 0; i < search.count; i++) {
        struct sought *sought = &search.sought[i];
        sought->letter = json_array_get(letters, i);
        sought->key = sent_text(sought->letter, "key", &sought->key_size);
        sought->at = i;
    }
    qsort(search.sought, search.count, sizeof *search.sought, by_key);
    WEIR_TRY(changes_look(delivery, snapshot, take_row, &search, reterr));
    for (size_t i = 0; i < search.count; i++)
        ret_over[search.sought[i].at] = is_over(&search.sought[i], delivery->config->sends);
    return WEIR_OK;
}
