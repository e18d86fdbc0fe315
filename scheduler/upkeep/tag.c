/* Tags that a person sets: a name for a state of a table, which expiry then keeps. The commit that
 * sets one moves main by an empty snapshot: an expiry that is under way, and has not seen the tag,
 * loses (protocol.md 8); and its receipt says who did it, and why. */
#include "engine/base/text.h"
#include "scheduler/upkeep/upkeep_int.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 200

static weir_status check_name(const char *name, struct weir_error *reterr)
{
    size_t size = strlen(name);
    bool good = size > 0 && size <= NAME_MAX_SIZE && strcmp(name, "main") != 0 &&
                strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
                    size;
    if (!good)
        return weir_fail(reterr, WEIR_USAGE,
                         "tag %.60s: a name is of letters, digits, '_', '.', '-', and not main",
                         name);
    if (strncmp(name, "weir-", 5) == 0)
        return weir_fail(reterr, WEIR_USAGE,
                         "tag %.60s: names that begin with weir- are Weir's own", name);
    return WEIR_OK;
}

/* A snapshot's id, a tag or a branch; NULL: the head. */
static weir_status find_snapshot(const struct weir_table *table, const char *at, int64_t *ret_id,
                                 struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    if (weir_metadata_ref(table->metadata, at ? at : "main", ret_id))
        return WEIR_OK;
    if (at && weir_text_int64(at, strlen(at), ret_id) &&
        weir_metadata_snapshot(table->metadata, *ret_id, &snapshot))
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%s has no snapshot, tag or branch %.100s",
                                   table->name, at ? at : "main");
    weir_error_hint(reterr, "weir history %s lists them", table->name);
    return status;
}

/* Past its own age before it is set, it would go with the next expiry. */
static weir_status check_age(const struct weir_upkeep_options *options,
                             const struct weir_table *table, int64_t id, struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    int64_t tags_ms = options->table->lifecycle.tags_ms;
    if (!tags_ms || !weir_metadata_snapshot(table->metadata, id, &snapshot) ||
        snapshot.timestamp_ms > weir_now_ms(options->lake->context) - tags_ms)
        return WEIR_OK;
    return weir_fail(reterr, WEIR_REFUSED,
                     "%s: snapshot %lld is older than lifecycle.*.snapshots.tags allows a tag to "
                     "hold (%lld h)",
                     table->name, (long long)id, (long long)(tags_ms / 3600000));
}

static json_t *tell(const struct weir_upkeep_options *options, const char *name, int64_t id,
                    const char *what)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    return json_pack("{s:s, s:s, s:s, s:s}", "table", options->table->name, "tag", name, "snapshot",
                     text, "done", what);
}

static weir_status set_tag(const struct weir_upkeep_options *options, struct weir_table **table,
                           const char *name, int64_t id, struct weir_error *reterr)
{
    enum weir_landing landing = WEIR_ABANDONED;
    weir_status status = WEIR_OK;
    for (int round = 0; status == WEIR_OK && landing == WEIR_ABANDONED && round < 5; round++) {
        json_t *truth, *receipt = json_pack("{s:{s:s, s:I}, s:s}", "tag", "name", name, "snapshot",
                                            (json_int_t)id, "version", "0.1.0");
        status = weir_truth(&options->lake->store, &options->lake->context->memory,
                            (*table)->metadata, "main", &truth, reterr);
        if (status == WEIR_OK) {
            struct weir_work work = {.kind = "tag",
                                     .operation = "append",
                                     .epoch = json_integer_value(json_object_get(truth, "epoch")),
                                     .tag = name,
                                     .tag_snapshot = id,
                                     .tag_age_ms = options->table->lifecycle.tags_ms,
                                     .receipt = receipt};
            status = weir_land(options->lake, table, &work, &landing, NULL, reterr);
            json_decref(truth);
        }
        json_decref(receipt);
    }
    if (status == WEIR_OK && landing != WEIR_LANDED)
        status = weir_fail(reterr, WEIR_PRECONDITION, "%s: tag %s lost every race",
                           options->table->name, name);
    return status;
}

weir_status weir_tag_set(const struct weir_upkeep_options *options, const char *name,
                         const char *at, json_t **ret_outcome, struct weir_error *reterr)
{
    struct weir_table *table;
    int64_t id = 0, was = 0;
    *ret_outcome = NULL;
    WEIR_TRY(check_name(name, reterr));
    WEIR_TRY(upkeep_load(options, &table, reterr));
    if (!table)
        return weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet", options->table->name);
    weir_status status = find_snapshot(table, at, &id, reterr);
    if (status == WEIR_OK)
        status = check_age(options, table, id, reterr);
    bool there = status == WEIR_OK && weir_metadata_ref(table->metadata, name, &was);
    if (there && was != id) {
        status = weir_fail(reterr, WEIR_USAGE, "%s has a tag or branch %s already, at %lld",
                           table->name, name, (long long)was);
        weir_error_hint(reterr, "drop it first, or choose another name");
    }
    if (status == WEIR_OK && !there && !options->dry_run)
        status = set_tag(options, &table, name, id, reterr);
    if (status == WEIR_OK)
        *ret_outcome = tell(options, name, id,
                            there              ? "there already"
                            : options->dry_run ? "would be set"
                                               : "set");
    weir_table_free(table);
    return status;
}

weir_status weir_tag_drop(const struct weir_upkeep_options *options, const char *name,
                          json_t **ret_outcome, struct weir_error *reterr)
{
    struct weir_table *table;
    int64_t id;
    *ret_outcome = NULL;
    WEIR_TRY(upkeep_load(options, &table, reterr));
    if (!table)
        return weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s yet", options->table->name);
    const json_t *ref = json_object_get(
        json_object_get(weir_metadata_document(table->metadata), "refs"), name);
    const char *type = json_string_value(json_object_get(ref, "type"));
    weir_status status = WEIR_OK;
    if (!type || strcmp(type, "tag") != 0)
        status = weir_fail(reterr, WEIR_USAGE, "%s has no tag %.100s", table->name, name);
    id = json_integer_value(json_object_get(ref, "snapshot-id"));
    if (status == WEIR_OK && !options->dry_run)
        status = weir_drop_ref(options->lake, &table, name, reterr);
    if (status == WEIR_OK)
        *ret_outcome = tell(options, name, id, options->dry_run ? "would be dropped" : "dropped");
    weir_table_free(table);
    return status;
}

weir_status weir_tag_list(const struct weir_upkeep_options *options, json_t **ret_rows,
                          struct weir_error *reterr)
{
    struct weir_table *table;
    struct weir_snapshot snapshot;
    const char *name;
    json_t *ref, *rows = json_array();
    weir_status status = upkeep_load(options, &table, reterr);
    if (status != WEIR_OK || !table) {
        *ret_rows = rows;
        return status;
    }
    json_object_foreach(json_object_get(weir_metadata_document(table->metadata), "refs"), name, ref)
    {
        char id[24], time[48] = "";
        int64_t at = json_integer_value(json_object_get(ref, "snapshot-id"));
        const json_t *age = json_object_get(ref, "max-ref-age-ms");
        snprintf(id, sizeof id, "%lld", (long long)at);
        if (weir_metadata_snapshot(table->metadata, at, &snapshot))
            time[weir_print_timestamptz(time, snapshot.timestamp_ms * 1000)] = '\0';
        json_t *row = json_pack("{s:s, s:O, s:s, s:s}", "name", name, "type",
                                json_object_get(ref, "type"), "snapshot", id, "time", time);
        if (row && json_is_integer(age))
            json_object_set_new(row, "hours", json_integer(json_integer_value(age) / 3600000));
        json_array_append_new(rows, row);
    }
    weir_table_free(table);
    *ret_rows = rows;
    return WEIR_OK;
}
