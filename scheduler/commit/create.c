/* The birth of a table: one request that creates it with an empty snapshot that holds its start
 * offsets (protocol.md 1). Before it only a manifest list and a receipt were written, under a uuid
 * of their own; losing the race leaves them as litter. */
#include "scheduler/commit/land.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct birth {
    struct weir_lake *lake;
    const struct weir_birth *what;
    int64_t id, timestamp_ms;
    char uuid[37], receipt[512], location[1024], list[1200];
};

static weir_status write_objects(struct birth *birth, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) bytes = {.account = &birth->lake->context->memory};
    WEIR_TRY(weir_manifest_list_write(birth->id, -1, 1, NULL, 0, &bytes, reterr));
    WEIR_TRY(weir_put_own(birth->lake, weir_store_name(&birth->lake->store, birth->list),
                          bytes.data, bytes.size, reterr));
    json_t *receipt = json_pack("{s:i, s:s, s:s, s:s, s:I, s:n, s:i, s:I, s:s, s:s, s:O, s:n}",
                                "format", 1, "table", birth->what->name, "uuid", birth->uuid,
                                "kind", "create", "snapshot", (json_int_t)birth->id, "parent",
                                "sequence", 1, "timestamp_ms", (json_int_t)birth->timestamp_ms,
                                "run", birth->lake->run_id, "config", birth->lake->config_digest,
                                "state", birth->what->state, "previous");
    char *text = receipt ? json_dumps(receipt, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    weir_status status = text
                             ? weir_put_own(birth->lake, birth->receipt, text, strlen(text), reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    free(text);
    json_decref(receipt);
    return status;
}

static weir_status add_snapshot(struct birth *birth, struct weir_commit *commit,
                                struct weir_error *reterr)
{
    json_t *summary = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "operation",
                                "append", "added-data-files", "0", "total-data-files", "0",
                                "total-records", "0", "total-delete-files", "0", "weir.kind",
                                "create", "weir.run", birth->lake->run_id, "weir.config",
                                birth->lake->config_digest, "weir.receipt", birth->receipt,
                                "engine-name", "weir");
    weir_status status = weir_state_to_summary(birth->what->state, birth->receipt, summary, reterr);
    if (status != WEIR_OK) {
        json_decref(summary);
        return status;
    }
    json_t *snapshot = json_pack("{s:I, s:i, s:I, s:s, s:o, s:i}", "snapshot-id",
                                 (json_int_t)birth->id, "sequence-number", 1, "timestamp-ms",
                                 (json_int_t)birth->timestamp_ms, "manifest-list", birth->list,
                                 "summary", summary, "schema-id", 0);
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:o}", "action", "add-snapshot", "snapshot", snapshot), reterr));
    return weir_commit_update(commit,
                              json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref",
                                        "ref-name", "main", "type", "branch", "snapshot-id",
                                        (json_int_t)birth->id),
                              reterr);
}

static weir_status add_shape(struct birth *birth, struct weir_commit *commit,
                             struct weir_error *reterr)
{
    json_t *schema, *spec;
    WEIR_TRY(weir_commit_require(commit, json_pack("{s:s}", "type", "assert-create"), reterr));
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:s}", "action", "assign-uuid", "uuid", birth->uuid), reterr));
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:i}", "action", "upgrade-format-version", "format-version", 2),
        reterr));
    WEIR_TRY(weir_schema_to_json(birth->what->schema, &schema, reterr));
    WEIR_TRY(weir_commit_update(commit,
                                json_pack("{s:s, s:o, s:i}", "action", "add-schema", "schema",
                                          schema, "last-column-id",
                                          weir_type_highest_id(&birth->what->schema->root)),
                                reterr));
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:i}", "action", "set-current-schema", "schema-id", -1), reterr));
    WEIR_TRY(weir_partition_spec_to_json(birth->what->spec, &spec, reterr));
    WEIR_TRY(weir_commit_update(commit, json_pack("{s:s, s:o}", "action", "add-spec", "spec", spec),
                                reterr));
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:i}", "action", "set-default-spec", "spec-id", -1), reterr));
    json_t *order = birth->what->sort_order ? json_incref(birth->what->sort_order)
                                            : json_pack("{s:i, s:[]}", "order-id", 0, "fields");
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:o}", "action", "add-sort-order", "sort-order", order), reterr));
    WEIR_TRY(weir_commit_update(
        commit, json_pack("{s:s, s:i}", "action", "set-default-sort-order", "sort-order-id", -1),
        reterr));
    return weir_commit_update(
        commit, json_pack("{s:s, s:s}", "action", "set-location", "location", birth->location),
        reterr);
}

static weir_status build(struct birth *birth, struct weir_commit *commit, struct weir_error *reterr)
{
    WEIR_TRY(weir_commit_init(commit, reterr));
    WEIR_TRY(add_shape(birth, commit, reterr));
    WEIR_TRY(add_snapshot(birth, commit, reterr));
    json_t *properties = birth->what->properties ? json_copy(birth->what->properties)
                                                 : json_object();
    char *truth = weir_state_to_property(birth->what->state, birth->receipt, birth->id);
    int failed = !truth || json_object_set_new(properties, "weir.truth", json_string(truth));
    failed |= json_object_set_new(properties, "weir.format", json_string("1"));
    failed |= json_object_set_new(properties, "weir.epoch", json_string("1"));
    free(truth);
    if (failed) {
        json_decref(properties);
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's properties");
    }
    return weir_commit_update(
        commit, json_pack("{s:s, s:o}", "action", "set-properties", "updates", properties), reterr);
}

/* Whoever was first, the table is there: ours only if its uuid says so. */
static weir_status load_made(struct birth *birth, weir_status asked, struct weir_table **ret_table,
                             bool *ret_made, struct weir_error *reterr)
{
    struct weir_table *table;
    const struct weir_catalog *catalog = &birth->lake->catalog;
    weir_status status = catalog->operations->load(catalog->self, birth->what->name, &table,
                                                   reterr);
    if (status != WEIR_OK)
        return status == WEIR_NOT_FOUND ? asked : status;
    *ret_made = strcmp(weir_metadata_uuid(table->metadata), birth->uuid) == 0;
    *ret_table = table;
    return WEIR_OK;
}

struct look {
    const char *folder; /* of the table, or what its folder's name begins with */
    bool data;          /* look for data files too */
};

/* "00003-{uuid}.metadata.json": a table that was committed to since it was born. What a birth that
 * died leaves is version 0, and no data file. EXISTS ends the listing. */
static weir_status look_for_life(void *argument, const struct weir_object_info *info)
{
    const struct look *look = argument;
    const char *rest = info->name + strlen(look->folder), *name = strrchr(info->name, '/');
    char *end;
    if (strncmp(info->name, look->folder, strlen(look->folder)) != 0 || !name)
        return WEIR_OK;
    /* a catalog that chooses the place puts a uuid behind the name: not any table whose name is
     * longer */
    size_t unique = strspn(*rest == '_' || *rest == '-' ? rest + 1 : "", "0123456789abcdef-");
    if (unique >= 32)
        rest += unique + 1;
    bool life = strncmp(rest, "/metadata/", 10) == 0 && strtoul(name + 1, &end, 10) > 0 &&
                end > name + 1 && *end == '-' && strstr(end, ".metadata.json");
    life |= look->data && strncmp(rest, "/data/", 6) == 0;
    return life ? WEIR_EXISTS : WEIR_OK;
}

/* {layer}/{table}, and the places that a catalog chose for tables of that name. All documents of a
 * REST catalog may be of version 0 (Nessie's are): there data files tell. */
static weir_status look_into(struct birth *birth, bool *ret_life, struct weir_error *reterr)
{
    char folder[512], prefix[1100];
    const struct weir_object_store *store = &birth->lake->store;
    const char *name = birth->what->name, *dot = strchr(name, '.');
    struct look look = {.folder = folder, .data = birth->lake->catalog.operations->place != NULL};
    snprintf(folder, sizeof folder, "%.*s/%s", (int)(dot - name), name, dot + 1);
    bool is_ours = strcmp(weir_store_name(store, birth->location), folder) == 0;
    snprintf(prefix, sizeof prefix, "%s%s", folder, !is_ours ? "" : look.data ? "/" : "/metadata/");
    weir_status status = store->operations->list(store->self, prefix, look_for_life, &look, reterr);
    *ret_life = status == WEIR_EXISTS;
    return status == WEIR_EXISTS || status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/* The catalog does not know the table, but its folder tells of one that was there: a catalog that
 * was lost, or a table that was dropped and not purged. Making it anew would read everything again
 * beside what is there. Somebody may have made it meanwhile: then that one is it. */
static weir_status lived_before(struct birth *birth, struct weir_table **ret_table, bool *ret_made,
                                struct weir_error *reterr)
{
    bool life;
    WEIR_TRY(look_into(birth, &life, reterr));
    struct weir_error error = {0};
    if (!life || load_made(birth, WEIR_NOT_FOUND, ret_table, ret_made, &error) == WEIR_OK)
        return WEIR_OK;
    const char *name = birth->what->name, *dot = strchr(name, '.');
    weir_status status = weir_fail(reterr, WEIR_DECISION,
                                   "%s: the catalog does not know it, but there are files of such "
                                   "a table at %s/%.*s/%s",
                                   name, birth->lake->store.root_uri, (int)(dot - name), name,
                                   dot + 1);
    weir_error_hint(reterr, "was the catalog lost? bring it back from a copy; to begin anew, move "
                            "that folder away");
    return status;
}

weir_status weir_table_create(struct weir_lake *lake, const struct weir_birth *what,
                              struct weir_table **ret_table, bool *ret_made,
                              struct weir_error *reterr)
{
    struct birth birth = {.lake = lake,
                          .what = what,
                          .id = weir_snapshot_id(lake->context, NULL),
                          .timestamp_ms = weir_now_ms(lake->context)};
    weir_random_uuid(lake->context, birth.uuid);
    weir_receipt_name(birth.receipt, sizeof birth.receipt, birth.uuid, birth.id);
    const char *dot = strchr(what->name, '.');
    if (!dot)
        return weir_fail(reterr, WEIR_USAGE, "%s: a table is named layer.table", what->name);
    snprintf(birth.location, sizeof birth.location, "%s/%.*s/%s", lake->store.root_uri,
             (int)(dot - what->name), what->name, dot + 1);
    if (lake->catalog.operations->place)
        WEIR_TRY(lake->catalog.operations->place(lake->catalog.self, what->name, birth.location,
                                                 reterr));
    snprintf(birth.list, sizeof birth.list, "%s/metadata/snap-%019lld.avro", birth.location,
             (long long)birth.id);
    struct weir_commit commit = {0};
    *ret_table = NULL;
    weir_status status = lived_before(&birth, ret_table, ret_made, reterr);
    if (status != WEIR_OK || *ret_table)
        return status;
    status = build(&birth, &commit, reterr);
    if (status == WEIR_OK)
        status = write_objects(&birth, reterr);
    if (status == WEIR_OK)
        status = lake->store.operations->settle(lake->store.self, "", reterr);
    if (status == WEIR_OK) {
        status = lake->catalog.operations->create(lake->catalog.self, what->name, &commit,
                                                  ret_table, reterr);
        if (status == WEIR_OK)
            *ret_made = true;
        else if (status == WEIR_PRECONDITION || status == WEIR_UNKNOWN_OUTCOME ||
                 status == WEIR_EXISTS)
            status = load_made(&birth, status, ret_table, ret_made, reterr);
    }
    weir_commit_done(&commit);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "creating table %s", what->name);
    return status;
}
