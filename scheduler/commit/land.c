/* Landing a commit. The order of effects of one attempt:
 *     manifest -> manifest list -> receipt -> settle -> catalog commit
 * Each object's name carries the attempt's snapshot id; nothing is overwritten, adopted or deleted.
 * Dying anywhere before the catalog commit leaves litter; dying after it leaves a landed commit
 * that the next run finds by its offsets. */
#include "scheduler/commit/land_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 100 /* rebases of one piece of work */
#define RESENDS_MAX  20  /* of one request with an unmoved head */

const char *weir_store_name(const struct weir_object_store *store, const char *location)
{
    size_t size = strlen(store->root_uri);
    if (strncmp(location, "file://", 7) == 0 && strncmp(store->root_uri, "file:", 5) != 0)
        location += 7;
    return strncmp(location, store->root_uri, size) == 0 && location[size] == '/'
               ? location + size + 1
               : NULL;
}

int64_t weir_snapshot_id(struct weir_context *context, const struct weir_metadata *metadata)
{
    struct weir_snapshot there;
    int64_t id;
    do
        id = (int64_t)(weir_random_u64(context) & INT64_MAX);
    while (id == 0 || (metadata && weir_metadata_snapshot(metadata, id, &there)));
    return id;
}

void weir_receipt_name(char *ret_name, size_t size, const char *table_uuid, int64_t snapshot_id)
{
    snprintf(ret_name, size, "_weir/receipts/%s/%019lld.json", table_uuid, (long long)snapshot_id);
}

weir_status weir_put_own(struct weir_lake *lake, const char *name, const void *data, size_t size,
                         struct weir_error *reterr)
{
    weir_status status = lake->store.operations->put(lake->store.self, name, data, size,
                                                     WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
    if (status == WEIR_UNKNOWN_OUTCOME || status == WEIR_PRECONDITION) {
        /* The name is random and ours alone: what is there under it is this very upload, or
         * nothing. */
        struct weir_object_info info;
        if (lake->store.operations->head(lake->store.self, name, &info, NULL) == WEIR_OK &&
            info.size == size)
            return WEIR_OK;
        if (status == WEIR_UNKNOWN_OUTCOME)
            status = lake->store.operations->put(lake->store.self, name, data, size,
                                                 WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
        if (status == WEIR_PRECONDITION &&
            lake->store.operations->head(lake->store.self, name, &info, NULL) == WEIR_OK &&
            info.size == size)
            return WEIR_OK;
    }
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "writing %s", name);
    return status;
}

weir_status land_get_object(struct weir_lake *lake, const char *location, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    const char *name = weir_store_name(&lake->store, location);
    if (!name)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s lies outside the warehouse %s", location,
                         lake->store.root_uri);
    weir_status status = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, out,
                                                     NULL, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "reading %s", name);
    return status;
}

static void attempt_done(struct attempt *attempt)
{
    json_decref(attempt->state);
    json_decref(attempt->summary);
    weir_commit_done(&attempt->commit);
    weir_arena_done(&attempt->arena);
    *attempt = (struct attempt){0};
}

static int set_text(json_t *object, const char *key, const char *text)
{
    return json_object_set_new(object, key, json_string(text));
}

static int set_number(json_t *object, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return set_text(object, key, text);
}

static weir_status build_summary(struct attempt *attempt, struct weir_error *reterr)
{
    json_t *summary = attempt->summary = json_object();
    const struct weir_work *work = attempt->work;
    int failed = !summary || set_text(summary, "operation", work->operation);
    failed |= set_number(summary, "added-data-files", attempt->added_files) |
              set_number(summary, "added-records", attempt->added_rows);
    failed |= set_number(summary, "added-files-size", attempt->added_bytes);
    if (attempt->removed_files)
        failed |= set_number(summary, "deleted-data-files", attempt->removed_files) |
                  set_number(summary, "deleted-records", attempt->removed_rows);
    failed |= set_number(summary, "total-data-files", attempt->total_files) |
              set_number(summary, "total-records", attempt->total_rows);
    if (attempt->removed_deletes)
        failed |= set_number(summary, "removed-delete-files", attempt->removed_deletes);
    failed |= set_number(summary, "total-delete-files", attempt->total_deletes);
    failed |= set_text(summary, "weir.kind", work->kind) |
              set_text(summary, "weir.run", attempt->lake->run_id);
    failed |= set_text(summary, "weir.config", attempt->lake->config_digest) |
              set_text(summary, "weir.receipt", attempt->receipt) |
              set_text(summary, "weir.receipt-digest", attempt->receipt_digest);
    failed |= set_text(summary, "engine-name", "weir");
    if (work->branch && work->properties) { /* weir_publish sets them */
        char *text = weir_json_text(work->properties);
        failed |= !text || set_text(summary, "weir.properties", text);
        free(text);
    }
    if (work->summary)
        failed |= json_object_update(summary, work->summary);
    if (failed)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a snapshot's summary");
    return weir_state_to_summary(attempt->state, attempt->receipt, summary, reterr);
}

/* The nearest ancestor's receipt: name and digest of its bytes, null when there is none. */
static weir_status previous_receipt(struct attempt *attempt, json_t **ret_previous,
                                    struct weir_error *reterr)
{
    const struct weir_metadata *metadata = attempt->table->metadata;
    struct weir_snapshot at = attempt->parent;
    bool there = attempt->has_parent;
    const char *name = NULL;
    for (size_t steps = 0; there && !name && steps < WEIR_ANCESTRY_MAX; steps++) {
        name = json_string_value(json_object_get(at.summary, "weir.receipt"));
        if (!name)
            there = weir_metadata_snapshot(metadata, at.parent_id, &at);
    }
    *ret_previous = json_null();
    if (!name)
        return WEIR_OK;
    WEIR_AUTO(weir_buffer) bytes = {.account = &attempt->lake->context->memory};
    const struct weir_object_store *store = &attempt->lake->store;
    char digest[33] = "";
    weir_status status = store->operations->get(store->self, name, 0, UINT64_MAX, &bytes, NULL,
                                                reterr);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        return status;
    if (status == WEIR_OK)
        weir_digest(bytes.data, bytes.size, digest);
    *ret_previous = json_pack("{s:s, s:s}", "name", name, "digest", digest);
    return WEIR_OK;
}

static weir_status write_receipt(struct attempt *attempt, struct weir_error *reterr)
{
    json_t *previous;
    WEIR_TRY(previous_receipt(attempt, &previous, reterr));
    const struct weir_work *work = attempt->work;
    const struct weir_lake *lake = attempt->lake;
    json_t *receipt = work->receipt ? json_deep_copy(work->receipt) : json_object();
    json_t *parent = attempt->has_parent ? json_integer(attempt->parent.id) : json_null();
    json_t *head = json_pack(
        "{s:i, s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:s, s:s, s:O, s:o}", "format", 1, "table",
        attempt->table->name, "uuid", weir_metadata_uuid(attempt->table->metadata), "kind",
        work->kind, "snapshot", (json_int_t)attempt->id, "parent", parent, "sequence",
        (json_int_t)attempt->sequence, "timestamp_ms", (json_int_t)attempt->timestamp_ms, "run",
        lake->run_id, "config", lake->config_digest, "state", attempt->state, "previous", previous);
    weir_status status = receipt && head
                             ? WEIR_OK
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    if (status == WEIR_OK && lake->actor)
        json_object_set_new(head, "actor", json_string(lake->actor));
    if (status == WEIR_OK && lake->reason)
        json_object_set_new(head, "reason", json_string(lake->reason));
    if (status == WEIR_OK && json_object_update(receipt, head) != 0)
        status = weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    char *text = status == WEIR_OK ? json_dumps(receipt, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    if (text)
        weir_digest(text, strlen(text), attempt->receipt_digest);
    if (status == WEIR_OK)
        status = text ? weir_put_own(attempt->lake, attempt->receipt, text, strlen(text), reterr)
                      : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    free(text);
    json_decref(head);
    json_decref(receipt);
    return status;
}

static weir_status write_list(struct attempt *attempt, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) bytes = {.account = &attempt->lake->context->memory};
    WEIR_TRY(weir_manifest_list_write(attempt->id, attempt->has_parent ? attempt->parent.id : -1,
                                      attempt->sequence, attempt->manifests,
                                      attempt->manifest_count, &bytes, reterr));
    return weir_put_own(attempt->lake, weir_store_name(&attempt->lake->store, attempt->list),
                        bytes.data, bytes.size, reterr);
}

static json_t *snapshot_json(const struct attempt *attempt, int32_t schema_id)
{
    json_t *snapshot = json_pack(
        "{s:I, s:I, s:I, s:s, s:O, s:i}", "snapshot-id", (json_int_t)attempt->id, "sequence-number",
        (json_int_t)attempt->sequence, "timestamp-ms", (json_int_t)attempt->timestamp_ms,
        "manifest-list", attempt->list, "summary", attempt->summary, "schema-id", schema_id);
    if (snapshot && attempt->has_parent)
        json_object_set_new(snapshot, "parent-snapshot-id", json_integer(attempt->parent.id));
    return snapshot;
}

static weir_status add_schema(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = attempt->table->metadata;
    json_t *schema;
    WEIR_TRY(weir_commit_require_schema(&attempt->commit, weir_metadata_schema(metadata)->id,
                                        weir_metadata_last_column_id(metadata), reterr));
    WEIR_TRY(weir_schema_to_json(attempt->work->schema, &schema, reterr));
    WEIR_TRY(weir_commit_update(&attempt->commit,
                                json_pack("{s:s, s:o, s:i}", "action", "add-schema", "schema",
                                          schema, "last-column-id",
                                          weir_type_highest_id(&attempt->work->schema->root)),
                                reterr));
    return weir_commit_update(
        &attempt->commit, json_pack("{s:s, s:i}", "action", "set-current-schema", "schema-id", -1),
        reterr);
}

/* The same columns under the same ids? */
static weir_status is_same_schema(struct attempt *attempt, const json_t *theirs, const json_t *ours,
                                  bool *ret_same, struct weir_error *reterr)
{
    struct weir_schema view;
    json_t *again;
    WEIR_TRY(weir_schema_from_json(&attempt->arena, theirs, &view, reterr));
    WEIR_TRY(weir_schema_to_json(&view, &again, reterr));
    *ret_same = json_equal(json_object_get(again, "fields"), json_object_get(ours, "fields"));
    json_decref(again);
    return WEIR_OK;
}

/* The id that add-schema will give: that of the same schema if the table had it before, else one
 * above the highest. */
static weir_status next_schema_id(struct attempt *attempt, int32_t *ret_id,
                                  struct weir_error *reterr)
{
    int32_t next = 0;
    size_t at;
    json_t *schema, *ours;
    weir_status status = WEIR_OK;
    WEIR_TRY(weir_schema_to_json(attempt->work->schema, &ours, reterr));
    json_array_foreach(json_object_get(weir_metadata_document(attempt->table->metadata), "schemas"),
                       at, schema)
    {
        int32_t id = (int32_t)json_integer_value(json_object_get(schema, "schema-id"));
        bool same = false;
        status = is_same_schema(attempt, schema, ours, &same, reterr);
        next = same || id >= next ? id + !same : next;
        if (same || status != WEIR_OK)
            break;
    }
    json_decref(ours);
    *ret_id = next;
    return status;
}

/* weir.truth and, where it rises, weir.epoch. */
static weir_status set_properties(struct attempt *attempt, struct weir_error *reterr)
{
    char *truth = weir_state_to_property(attempt->state, attempt->receipt, attempt->id), text[24];
    json_t *properties = attempt->work->properties ? json_copy(attempt->work->properties)
                                                   : json_object();
    int failed = !truth || json_object_set_new(properties, "weir.truth", json_string(truth));
    free(truth);
    /* Only a commit that raises the epoch writes it, so that no late one can lower it. */
    int64_t epoch = json_integer_value(json_object_get(attempt->state, "epoch"));
    snprintf(text, sizeof text, "%lld", (long long)epoch);
    if (epoch > attempt->base_epoch)
        failed |= json_object_set_new(properties, "weir.epoch", json_string(text));
    if (failed) { /* without them an expiry by somebody else would make the table stop */
        json_decref(properties);
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's properties");
    }
    return weir_commit_update(
        &attempt->commit,
        json_pack("{s:s, s:o}", "action", "set-properties", "updates", properties), reterr);
}

static weir_status add_tag(struct attempt *attempt, struct weir_error *reterr)
{
    int64_t at;
    const char *tag = attempt->work->tag;
    struct weir_snapshot snapshot;
    if (!weir_metadata_snapshot(attempt->table->metadata, attempt->work->tag_snapshot, &snapshot))
        return weir_fail(reterr, WEIR_NOT_FOUND, "%s: snapshot %lld is gone", attempt->table->name,
                         (long long)attempt->work->tag_snapshot);
    WEIR_TRY(weir_commit_require_ref(
        &attempt->commit, tag, weir_metadata_ref(attempt->table->metadata, tag, &at) ? at : -1,
        reterr));
    json_t *update = json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref", "ref-name",
                               tag, "type", "tag", "snapshot-id",
                               (json_int_t)attempt->work->tag_snapshot);
    if (update && attempt->work->tag_age_ms)
        json_object_set_new(update, "max-ref-age-ms", json_integer(attempt->work->tag_age_ms));
    return weir_commit_update(&attempt->commit, update, reterr);
}

static weir_status build_commit(struct attempt *attempt, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = attempt->table->metadata;
    struct weir_commit *commit = &attempt->commit;
    WEIR_TRY(weir_commit_init(commit, reterr));
    WEIR_TRY(weir_commit_require_uuid(commit, weir_metadata_uuid(metadata), reterr));
    WEIR_TRY(weir_commit_require_ref(commit, "main", attempt->has_parent ? attempt->parent.id : -1,
                                     reterr));
    if (attempt->work->schema)
        WEIR_TRY(add_schema(attempt, reterr));
    int32_t schema_id = weir_metadata_schema(metadata)->id;
    if (attempt->work->schema)
        WEIR_TRY(next_schema_id(attempt, &schema_id, reterr));
    WEIR_TRY(weir_commit_update(commit,
                                json_pack("{s:s, s:o}", "action", "add-snapshot", "snapshot",
                                          snapshot_json(attempt, schema_id)),
                                reterr));
    WEIR_TRY(weir_commit_update(commit,
                                json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref",
                                          "ref-name",
                                          attempt->work->branch ? attempt->work->branch : "main",
                                          "type", "branch", "snapshot-id", (json_int_t)attempt->id),
                                reterr));
    if (attempt->work->tag)
        WEIR_TRY(add_tag(attempt, reterr));
    /* the table's truth is main's */
    return attempt->work->branch ? WEIR_OK : set_properties(attempt, reterr);
}

static weir_status attempt_prepare(struct attempt *attempt, const json_t *base_state,
                                   struct weir_error *reterr)
{
    const struct weir_metadata *metadata = attempt->table->metadata;
    struct weir_lake *lake = attempt->lake;
    int64_t head, now = weir_now_ms(lake->context), last = weir_metadata_last_updated_ms(metadata);
    attempt->has_parent = weir_metadata_ref(metadata, "main", &head) &&
                          weir_metadata_snapshot(metadata, head, &attempt->parent);
    if (!attempt->has_parent)
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", attempt->table->name);
    last = attempt->parent.timestamp_ms > last ? attempt->parent.timestamp_ms : last;
    attempt->timestamp_ms = (now > last ? now : last) + 1;
    attempt->id = weir_snapshot_id(lake->context, metadata);
    attempt->sequence = weir_metadata_last_sequence_number(metadata) + 1;
    weir_receipt_name(attempt->receipt, sizeof attempt->receipt, weir_metadata_uuid(metadata),
                      attempt->id);
    snprintf(attempt->list, sizeof attempt->list, "%s/metadata/snap-%019lld.avro",
             weir_metadata_location(metadata), (long long)attempt->id);
    attempt->state = json_deep_copy(base_state);
    attempt->base_epoch = json_integer_value(json_object_get(base_state, "epoch"));
    if (!attempt->state)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
    if (attempt->work->overlay)
        WEIR_TRY(attempt->work->overlay(attempt->work->self, attempt->state, attempt->id, reterr));
    WEIR_TRY(land_manifests(attempt, reterr));
    if (attempt->lost)
        return WEIR_OK;
    WEIR_TRY(write_list(attempt, reterr));
    WEIR_TRY(write_receipt(attempt, reterr));
    WEIR_TRY(build_summary(attempt, reterr));
    WEIR_TRY(build_commit(attempt, reterr));
    return lake->store.operations->settle(lake->store.self, "", reterr);
}

enum verdict { VERDICT_LANDED, VERDICT_RETEST, VERDICT_ABANDON };

static bool is_sequence_taken(const struct attempt *attempt, const struct weir_metadata *now)
{
    size_t at;
    json_t *snapshot;
    json_array_foreach(
        json_object_get(weir_metadata_document(now), "snapshots"), at,
        snapshot) if (json_integer_value(json_object_get(snapshot, "sequence-number")) ==
                          attempt->sequence &&
                      json_integer_value(json_object_get(snapshot, "snapshot-id")) !=
                          attempt->id) return true;
    return false;
}

/* After anything but a clean success: what does the head say? *table is what was loaded; the
 * attempt's base was `base_head`. */
static bool settled(const struct attempt *attempt, const struct weir_metadata *now,
                    int64_t base_head, enum verdict *ret)
{
    int64_t head, at;
    if (!weir_metadata_ref(now, "main", &head)) {
        *ret = VERDICT_ABANDON;
        return true;
    }
    bool landed = attempt->work->branch ? weir_metadata_ref(now, attempt->work->branch, &at) &&
                                              weir_metadata_is_ancestor(now, attempt->id, at)
                                        : weir_metadata_is_ancestor(now, attempt->id, head);
    if (landed) {
        *ret = VERDICT_LANDED;
        return true;
    }
    bool moved = head != base_head,
         overtaken = weir_metadata_last_sequence_number(now) >= attempt->sequence;
    const char *epoch = weir_metadata_property(now, "weir.epoch");
    bool raised = epoch && atoll(epoch) > attempt->work->epoch;
    if (!moved && !overtaken && !raised)
        return false;
    /* It did not land so far. Its files may be used again only if it never can: somebody else's
     * snapshot has its sequence number (catalogs take each but once), and its base is still an
     * ancestor. A 409 alone proves nothing. A list that replaces all is always made anew. */
    bool never = is_sequence_taken(attempt, now) &&
                 weir_metadata_is_ancestor(now, base_head, head) && !attempt->work->replace_all &&
                 (!attempt->work->base || attempt->work->follows);
    *ret = never ? VERDICT_RETEST : VERDICT_ABANDON;
    return true;
}

static weir_status send(struct weir_lake *lake, struct weir_table **table, struct attempt *attempt,
                        enum verdict *ret_verdict, struct weir_error *reterr)
{
    struct weir_table *base = *table, *fresh;
    int64_t base_head = attempt->parent.id;
    weir_status status = WEIR_OK;
    for (int resend = 0; resend < RESENDS_MAX; resend++) {
        if (resend) {
            weir_sleep_ms(lake->context, (int64_t)weir_random_below(
                                             lake->context, 50u << (resend < 6 ? resend : 6)));
            WEIR_TRY(weir_context_check(lake->context, reterr));
        }
        status = lake->catalog.operations->commit(lake->catalog.self, base, &attempt->commit,
                                                  &fresh, reterr);
        if (status == WEIR_OK) {
            weir_table_free(*table);
            *table = fresh;
            *ret_verdict = VERDICT_LANDED;
            return WEIR_OK;
        }
        if (status != WEIR_PRECONDITION && status != WEIR_UNKNOWN_OUTCOME &&
            status != WEIR_UNAVAILABLE && status != WEIR_EXISTS)
            return status;
        if (lake->catalog.operations->load(lake->catalog.self, base->name, &fresh, reterr) !=
            WEIR_OK)
            continue; /* nothing known yet: ask again */
        bool known = settled(attempt, fresh->metadata, base_head, ret_verdict);
        if (known) {
            weir_table_free(*table);
            *table = fresh;
            return WEIR_OK;
        }
        /* The head has not moved: the same request again, on the document there is now. A property,
         * a tag or an expiry may have replaced the one before, and a catalog that swaps pointers
         * would refuse it for ever. */
        weir_table_free(*table);
        *table = fresh;
        attempt->table = base = fresh;
    }
    return weir_fail(
        reterr, WEIR_UNAVAILABLE,
        "%s: the catalog did not say whether snapshot %lld landed; the next run finds out",
        (*table)->name, (long long)attempt->id);
}

/* Is the head the one that the work was computed from, or one behind which it may go? */
static bool base_holds(const struct weir_work *work, const struct weir_metadata *metadata)
{
    int64_t head;
    if (!work->base)
        return true;
    return weir_metadata_ref(metadata, "main", &head) &&
           (work->follows ? weir_metadata_is_ancestor(metadata, work->base, head)
                          : head == work->base);
}

weir_status weir_land(struct weir_lake *lake, struct weir_table **table,
                      const struct weir_work *work, enum weir_landing *ret_landing,
                      int64_t *ret_snapshot_id, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    int32_t schema_id = weir_metadata_schema((*table)->metadata)->id,
            last_column_id = weir_metadata_last_column_id((*table)->metadata);
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        /* A schema was computed from the one of the first base, and so were the ids in the files:
         * on another one they may be somebody else's. */
        if (work->schema && (weir_metadata_schema((*table)->metadata)->id != schema_id ||
                             weir_metadata_last_column_id((*table)->metadata) != last_column_id)) {
            *ret_landing = WEIR_ABANDONED;
            return WEIR_OK;
        }
        if (!base_holds(work, (*table)->metadata)) {
            *ret_landing = WEIR_ABANDONED;
            return WEIR_OK;
        }
        json_t *state = NULL;
        struct attempt attempt = {.lake = lake, .table = *table, .work = work};
        weir_arena_init(&attempt.arena, &lake->context->memory);
        WEIR_TRY(weir_truth(&lake->store, &lake->context->memory, (*table)->metadata, "main",
                            &state, reterr));
        enum weir_test test = json_integer_value(json_object_get(state, "epoch")) != work->epoch
                                  ? WEIR_TEST_DROP
                              : work->test ? work->test(work->self, state)
                                           : WEIR_TEST_GO;
        if (test != WEIR_TEST_GO) {
            json_decref(state);
            *ret_landing = test == WEIR_TEST_DONE ? WEIR_SUPERSEDED : WEIR_ABANDONED;
            return WEIR_OK;
        }
        enum verdict verdict = VERDICT_ABANDON;
        status = attempt_prepare(&attempt, state, reterr);
        json_decref(state);
        if (status == WEIR_OK && !attempt.lost)
            status = send(lake, table, &attempt, &verdict, reterr);
        int64_t id = attempt.id;
        attempt_done(&attempt);
        if (status != WEIR_OK)
            return status;
        if (verdict == VERDICT_LANDED && ret_snapshot_id)
            *ret_snapshot_id = id;
        if (verdict != VERDICT_RETEST) {
            *ret_landing = verdict == VERDICT_LANDED ? WEIR_LANDED : WEIR_ABANDONED;
            return WEIR_OK;
        }
        weir_sleep_ms(lake->context,
                      (int64_t)weir_random_below(lake->context, 20u << (i < 6 ? i : 6)));
        WEIR_TRY(weir_context_check(lake->context, reterr));
    }
    return weir_fail(reterr, WEIR_PRECONDITION, "%s: %d races lost in a row", (*table)->name,
                     ATTEMPTS_MAX);
}
