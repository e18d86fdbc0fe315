/* The sweeper: the only one that deletes (protocol.md 8). Two passes, a grace apart.
 *
 * The first writes down, in `_weir/sweeps/{uuid}.json`, the objects of our form below the table
 * that nothing reaches: name, etag, size, time. The second, when the note is as old as the grace,
 * first commits the next epoch: a writer that slept through the grace has uploaded what is in the
 * note, and its commit is now thrown away. Then everything is loaded again, and what is still
 * unreached and unchanged is deleted; what is unreached now is the next note.
 *
 * Of our form are data files, manifests and manifest lists below the table, and files of refused
 * and late rows. Metadata documents, receipts, ledgers and lists stay: they are small, and proofs.
 * What else lies there is counted as foreign, and left. */
#include "engine/base/text.h"
#include "scheduler/upkeep/sweep_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 1000 /* names in an outcome */

struct sweep {
    const struct weir_upkeep_options *options;
    struct weir_lake *lake;
    struct weir_table *table;
    char data[1100], metadata[1100]; /* name prefixes, '/' behind; "" = outside of the store */
    char note_name[128], note_etag[WEIR_ETAG_SIZE];
    json_t *note;              /* as it lies there; NULL: none */
    json_t *names, *unreached; /* object: reached; object: name -> {etag, size, time} */
    json_t *shown;             /* array of names */
    int64_t grace_ms, now_ms, foreign, deleted, bytes;
    bool waits;
};

/* ---- our form ---- */

static bool is_digits(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return size > 0;
}

/* 19 digits, '-', five or more, ".parquet" */
static bool is_data_name(const char *base)
{
    size_t size = strlen(base);
    return size > 19 + 1 + 5 + 7 && is_digits(base, 19) && base[19] == '-' &&
           strcmp(base + size - 8, ".parquet") == 0 && is_digits(base + 20, size - 28);
}

/* "snap-" 19 digits ".avro", or 19 digits "-m" digits ".avro" */
static bool is_manifest_name(const char *base)
{
    size_t size = strlen(base);
    if (size < 5 || strcmp(base + size - 5, ".avro") != 0)
        return false;
    if (strncmp(base, "snap-", 5) == 0)
        return size == 5 + 19 + 5 && is_digits(base + 5, 19);
    return size > 21 + 5 && is_digits(base, 19) && strncmp(base + 19, "-m", 2) == 0 &&
           is_digits(base + 21, size - 26);
}

static bool begins(const char *text, const char *prefix)
{
    return *prefix && strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_ours(const struct sweep *sweep, const char *name)
{
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    return begins(name, sweep->metadata) ? is_manifest_name(base) : is_data_name(base);
}

/* Never swept, and not foreign: documents and hints of the catalog, our lists. */
static bool is_kept(const char *name)
{
    size_t size = strlen(name);
    return (size > 5 && strcmp(name + size - 5, ".json") == 0) ||
           (size > 5 && strcmp(name + size - 5, ".text") == 0);
}

/* ---- what there is ---- */

static weir_status note_object(void *argument, const struct weir_object_info *info)
{
    struct sweep *sweep = argument;
    if (json_object_get(sweep->names, info->name) || is_kept(info->name))
        return WEIR_OK;
    if (!is_ours(sweep, info->name)) {
        sweep->foreign++;
        return WEIR_OK;
    }
    json_t *entry = json_pack("{s:s, s:I, s:I}", "etag", info->etag, "size", (json_int_t)info->size,
                              "time", (json_int_t)info->modified_ms);
    return json_object_set_new(sweep->unreached, info->name, entry) == 0 ? WEIR_OK : WEIR_NO_MEMORY;
}

static weir_status list(struct sweep *sweep, const char *prefix, struct weir_error *reterr)
{
    const struct weir_object_store *store = &sweep->lake->store;
    if (!*prefix)
        return WEIR_OK;
    return store->operations->list(store->self, prefix, note_object, sweep, reterr);
}

static weir_status find_places(struct sweep *sweep, struct weir_error *reterr)
{
    const char *location = weir_metadata_location(sweep->table->metadata),
               *name = weir_store_name(&sweep->lake->store, location);
    if (!name || strlen(name) > 1000)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "table location %.300s lies outside the warehouse", location);
    snprintf(sweep->data, sizeof sweep->data, "%s/data/", name);
    snprintf(sweep->metadata, sizeof sweep->metadata, "%s/metadata/", name);
    return WEIR_OK;
}

/* Tables beside one, whose commits can name what is swept. */
static const char *const beside_suffixes[] = {"__quarantine", "__late"};

static weir_status load_beside(const struct sweep *sweep, size_t which,
                               struct weir_table **ret_table, struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 64];
    snprintf(name, sizeof name, "%.*s%s", (int)WEIR_NAME_SIZE_MAX, sweep->options->table->name,
             beside_suffixes[which]);
    return upkeep_load_named(sweep->options, name, ret_table, reterr);
}

/* All that the table as it is now, and those beside it, reach; added to what is known to be. */
static weir_status reach_all(struct sweep *sweep, struct weir_error *reterr)
{
    struct reaching reaching = {sweep->lake, sweep->names};
    WEIR_TRY(reach_table(&reaching, sweep->table->metadata, reterr));
    for (size_t i = 0; i < 2; i++) {
        struct weir_table *beside;
        WEIR_TRY(load_beside(sweep, i, &beside, reterr));
        weir_status status = beside ? reach_table(&reaching, beside->metadata, reterr) : WEIR_OK;
        weir_table_free(beside);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

/* What lies there and is not reached. */
static weir_status list_all(struct sweep *sweep, struct weir_error *reterr)
{
    const char *uuid = weir_metadata_uuid(sweep->table->metadata);
    char text[128];
    json_object_clear(sweep->unreached);
    sweep->foreign = 0;
    WEIR_TRY(find_places(sweep, reterr));
    WEIR_TRY(list(sweep, sweep->data, reterr));
    WEIR_TRY(list(sweep, sweep->metadata, reterr));
    snprintf(text, sizeof text, "_weir/%s/%.40s/", WEIR_LETTERS, uuid);
    WEIR_TRY(list(sweep, text, reterr));
    snprintf(text, sizeof text, "_weir/%s/%.40s/", WEIR_LATE, uuid);
    return list(sweep, text, reterr);
}

static weir_status look(struct sweep *sweep, struct weir_error *reterr)
{
    json_object_clear(sweep->names);
    WEIR_TRY(reach_all(sweep, reterr));
    return list_all(sweep, reterr);
}

static weir_status reload(struct sweep *sweep, struct weir_error *reterr)
{
    weir_table_free(sweep->table);
    sweep->table = NULL;
    WEIR_TRY(upkeep_load(sweep->options, &sweep->table, reterr));
    return sweep->table ? WEIR_OK
                        : weir_fail(reterr, WEIR_DECISION, "table %s is gone from the catalog",
                                    sweep->options->table->name);
}

/* ---- the note ---- */

static weir_status read_note(struct sweep *sweep, struct weir_error *reterr)
{
    const struct weir_object_store *store = &sweep->lake->store;
    struct weir_object_info info = {0};
    WEIR_AUTO(weir_buffer) text = {.account = &sweep->lake->context->memory};
    snprintf(sweep->note_name, sizeof sweep->note_name, "_weir/sweeps/%.40s.json",
             weir_metadata_uuid(sweep->table->metadata));
    weir_status status = store->operations->get(store->self, sweep->note_name, 0, UINT64_MAX, &text,
                                                &info, reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    snprintf(sweep->note_etag, sizeof sweep->note_etag, "%s", info.etag);
    sweep->note = json_loadb((const char *)text.data, text.size, 0, NULL);
    return WEIR_OK; /* one that cannot be read is as none: it is written anew */
}

/* Another sweeper's note is as good: who loses the race leaves it. */
static weir_status write_note(struct sweep *sweep, struct weir_error *reterr)
{
    const struct weir_object_store *store = &sweep->lake->store;
    json_t *note = json_pack("{s:I, s:O}", "time", (json_int_t)weir_now_ms(sweep->lake->context),
                             "objects", sweep->unreached);
    char *text = note ? json_dumps(note, JSON_COMPACT) : NULL;
    json_decref(note);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a sweeper's note");
    bool anew = *sweep->note_etag != '\0';
    weir_status status = store->operations->put(store->self, sweep->note_name, text, strlen(text),
                                                anew ? WEIR_PUT_IF_MATCH : WEIR_PUT_IF_ABSENT,
                                                anew ? sweep->note_etag : NULL, NULL, reterr);
    free(text);
    return status == WEIR_PRECONDITION || status == WEIR_UNKNOWN_OUTCOME ? WEIR_OK : status;
}

/* ---- the second pass ---- */

static weir_status raise_epoch(void *self, json_t *state, int64_t snapshot_id,
                               struct weir_error *reterr)
{
    (void)self, (void)snapshot_id;
    int64_t epoch = json_integer_value(json_object_get(state, "epoch"));
    return json_object_set_new(state, "epoch", json_integer(epoch + 1)) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
}

/* The fence: an empty commit with the next epoch. Whoever slept through the grace has the old one,
 * or asserts a head that is no more. */
static weir_status fence(struct sweep *sweep, struct weir_table **table, bool *ret_landed,
                         struct weir_error *reterr)
{
    size_t count = json_object_size(json_object_get(sweep->note, "objects"));
    json_t *truth,
        *receipt = json_pack("{s:{s:i}, s:s}", "sweep", "objects", (int)count, "version", "0.1.0");
    enum weir_landing landing = WEIR_ABANDONED;
    weir_status status = weir_truth(&sweep->lake->store, &sweep->lake->context->memory,
                                    (*table)->metadata, "main", &truth, reterr);
    if (status == WEIR_OK) {
        struct weir_work work = {.kind = "sweep",
                                 .operation = "append",
                                 .epoch = json_integer_value(json_object_get(truth, "epoch")),
                                 .overlay = raise_epoch,
                                 .receipt = receipt};
        status = weir_land(sweep->lake, table, &work, &landing, NULL, reterr);
        json_decref(truth);
    }
    json_decref(receipt);
    *ret_landed = status == WEIR_OK && landing == WEIR_LANDED;
    return status;
}

static weir_status fence_beside(struct sweep *sweep, bool *ret_landed, struct weir_error *reterr)
{
    *ret_landed = true;
    for (size_t i = 0; i < 2 && *ret_landed; i++) {
        struct weir_table *beside;
        WEIR_TRY(load_beside(sweep, i, &beside, reterr));
        weir_status status = beside ? fence(sweep, &beside, ret_landed, reterr) : WEIR_OK;
        weir_table_free(beside);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

/* Some servers quote it in one answer and not in another. */
static bool same_etag(const char *a, const char *b)
{
    size_t size;
    a += *a == '"';
    b += *b == '"';
    size = strcspn(a, "\"");
    return size == strcspn(b, "\"") && memcmp(a, b, size) == 0;
}

/* The very object that was noted? */
static bool is_unchanged(const json_t *noted, const struct weir_object_info *info)
{
    const char *etag = json_string_value(json_object_get(noted, "etag"));
    return etag && same_etag(etag, info->etag) &&
           json_integer_value(json_object_get(noted, "size")) == (json_int_t)info->size &&
           /* listings and answers to HEAD tell it as exactly as they like */
           json_integer_value(json_object_get(noted, "time")) / 1000 ==
               (json_int_t)info->modified_ms / 1000;
}

static weir_status delete_one(struct sweep *sweep, const char *name, const json_t *noted,
                              struct weir_error *reterr)
{
    const struct weir_object_store *store = &sweep->lake->store;
    struct weir_object_info info;
    weir_status status = store->operations->head(store->self, name, &info, reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    if (!is_unchanged(noted, &info))
        return WEIR_OK;
    WEIR_TRY(store->operations->remove(store->self, name, reterr));
    sweep->deleted++;
    sweep->bytes += (int64_t)info.size;
    json_object_del(sweep->unreached, name);
    return WEIR_OK;
}

/* What the note says and the table, loaded after the epoch, still does not reach. */
static weir_status delete_noted(struct sweep *sweep, bool *ret_all, struct weir_error *reterr)
{
    const char *name;
    json_t *noted;
    *ret_all = true;
    json_object_foreach(json_object_get(sweep->note, "objects"), name, noted)
    {
        if (!json_object_get(sweep->unreached, name) || !is_ours(sweep, name))
            continue;
        if (upkeep_is_over(sweep->options)) {
            *ret_all = false;
            return WEIR_OK;
        }
        WEIR_TRY(weir_context_check(sweep->lake->context, reterr));
        WEIR_TRY(delete_one(sweep, name, noted, reterr));
    }
    return WEIR_OK;
}

static size_t noted_count(const struct sweep *sweep)
{
    return json_object_size(json_object_get(sweep->note, "objects"));
}

/* Everything is loaded twice: what is reached right after the first fence stays too, though a
 * rollback and an expiry may have taken it out of the last picture. A fence that is lost ends the
 * pass: somebody was faster, and the next run begins again. */
static weir_status second_pass(struct sweep *sweep, bool *ret_all, struct weir_error *reterr)
{
    *ret_all = true;
    if (noted_count(sweep) == 0)
        return WEIR_OK;
    WEIR_TRY(fence(sweep, &sweep->table, ret_all, reterr));
    if (!*ret_all)
        return WEIR_OK;
    WEIR_TRY(reload(sweep, reterr));
    json_object_clear(sweep->names);
    WEIR_TRY(reach_all(sweep, reterr));
    WEIR_TRY(fence_beside(sweep, ret_all, reterr));
    if (!*ret_all)
        return WEIR_OK;
    WEIR_TRY(reload(sweep, reterr));
    WEIR_TRY(reach_all(sweep, reterr));
    WEIR_TRY(list_all(sweep, reterr));
    return delete_noted(sweep, ret_all, reterr);
}

/* ---- the whole ---- */

static bool is_due(const struct sweep *sweep)
{
    int64_t time = json_integer_value(json_object_get(sweep->note, "time"));
    return sweep->note && sweep->now_ms >= time + sweep->grace_ms;
}

static void show(struct sweep *sweep)
{
    const char *name;
    json_t *entry;
    json_object_foreach(sweep->unreached, name, entry)
    {
        if (json_array_size(sweep->shown) < SHOWN_MAX)
            json_array_append_new(sweep->shown, json_string(name));
    }
}

/* *ret_done false: there is more to delete. */
static weir_status sweep_table(struct sweep *sweep, bool *ret_done, struct weir_error *reterr)
{
    *ret_done = true;
    WEIR_TRY(read_note(sweep, reterr));
    bool due = is_due(sweep);
    if (sweep->note && !due && !sweep->options->dry_run) {
        sweep->waits = true;
        return WEIR_OK;
    }
    if (sweep->options->dry_run) {
        if (sweep->options->by_hand)
            WEIR_TRY(look(sweep, reterr));
        show(sweep);
        return WEIR_OK;
    }
    if (due)
        WEIR_TRY(second_pass(sweep, ret_done, reterr));
    if (!*ret_done)
        return WEIR_OK;
    if (!due || noted_count(sweep) == 0)
        WEIR_TRY(look(sweep, reterr));
    return write_note(sweep, reterr);
}

static json_t *tell(const struct sweep *sweep, bool done)
{
    bool dry = sweep->options->dry_run;
    size_t noted = dry && is_due(sweep) ? noted_count(sweep) : json_object_size(sweep->unreached);
    json_t *outcome = json_pack(
        "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I}", "table", sweep->options->table->name, "action",
        "sweep", "idle", sweep->deleted == 0 && done && (!dry || noted == 0), "done", done,
        "objects_deleted", (json_int_t)sweep->deleted, "bytes_deleted", (json_int_t)sweep->bytes,
        "objects_noted", (json_int_t)noted, "objects_foreign", (json_int_t)sweep->foreign);
    if (outcome && json_array_size(sweep->shown))
        json_object_set(outcome, "objects", sweep->shown);
    if (outcome && sweep->waits)
        json_object_set_new(outcome, "reason",
                            json_string("what was noted waits for the grace to end"));
    return outcome;
}

weir_status weir_upkeep_sweep(const struct weir_upkeep_options *options, json_t **ret_outcome,
                              struct weir_error *reterr)
{
    struct sweep sweep = {.options = options,
                          .lake = options->lake,
                          .grace_ms = options->table->lifecycle.sweep_grace_ms,
                          .now_ms = weir_now_ms(options->lake->context),
                          .names = json_object(),
                          .unreached = json_object(),
                          .shown = json_array()};
    bool done = true;
    *ret_outcome = NULL;
    weir_status status = sweep.names && sweep.unreached && sweep.shown
                             ? upkeep_load(options, &sweep.table, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a sweep");
    if (status == WEIR_OK && sweep.table)
        status = sweep_table(&sweep, &done, reterr);
    if (status == WEIR_OK)
        *ret_outcome = sweep.table ? tell(&sweep, done)
                                   : upkeep_idle(options, "sweep", "the table is not there yet");
    if (status == WEIR_OK && !*ret_outcome)
        status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an outcome");
    weir_table_free(sweep.table);
    json_decref(sweep.note);
    json_decref(sweep.names);
    json_decref(sweep.unreached);
    json_decref(sweep.shown);
    return status;
}
