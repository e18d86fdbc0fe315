/* Refs: candidates, published by moving main to the very snapshot that was audited, or dropped; and
 * tags that hold a source's snapshot. protocol.md 6. */
#include "scheduler/commit/land.h"

#include <stdlib.h>
#include <string.h>

#define RESENDS_MAX 20

static weir_status remove_ref(struct weir_commit *commit, const char *ref,
                              struct weir_error *reterr)
{
    return weir_commit_update(
        commit, json_pack("{s:s, s:s}", "action", "remove-snapshot-ref", "ref-name", ref), reterr);
}

/* What the candidate's commit would have set on main. */
static void note_properties(const struct weir_metadata *metadata, int64_t candidate,
                            json_t *properties)
{
    struct weir_snapshot snapshot;
    const char *text = weir_metadata_snapshot(metadata, candidate, &snapshot)
                           ? json_string_value(json_object_get(snapshot.summary, "weir.properties"))
                           : NULL;
    json_t *kept = text ? json_loads(text, 0, NULL) : NULL, *value;
    const char *key;
    json_object_foreach(kept, key, value)
    {
        if (json_is_string(value) && strncmp(key, "weir.", 5) == 0 &&
            strcmp(key, "weir.truth") != 0)
            json_object_set(properties, key, value);
    }
    json_decref(kept);
}

/* main := the candidate, its truth the table's. */
static weir_status publish_commit(struct weir_lake *lake, const struct weir_metadata *metadata,
                                  const char *branch, int64_t candidate, int64_t parent,
                                  struct weir_commit *commit, struct weir_error *reterr)
{
    char receipt[512];
    json_t *state;
    WEIR_TRY(weir_commit_require_uuid(commit, weir_metadata_uuid(metadata), reterr));
    WEIR_TRY(weir_commit_require_ref(commit, "main", parent, reterr));
    WEIR_TRY(weir_commit_require_ref(commit, branch, candidate, reterr));
    WEIR_TRY(weir_commit_update(commit,
                                json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref",
                                          "ref-name", "main", "type", "branch", "snapshot-id",
                                          (json_int_t)candidate),
                                reterr));
    WEIR_TRY(remove_ref(commit, branch, reterr));
    WEIR_TRY(weir_truth(&lake->store, &lake->context->memory, metadata, branch, &state, reterr));
    weir_receipt_name(receipt, sizeof receipt, weir_metadata_uuid(metadata), candidate);
    char *truth = weir_state_to_property(state, receipt, candidate);
    json_decref(state);
    if (!truth)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's properties");
    json_t *properties = json_pack("{s:s}", "weir.truth", truth);
    free(truth);
    note_properties(metadata, candidate, properties);
    if (lake->reason) /* a person's word for a snapshot that a gate refused */
        json_object_set_new(properties, "weir.accepted",
                            json_sprintf("%lld: %s", (long long)candidate, lake->reason));
    return weir_commit_update(
        commit, json_pack("{s:s, s:o}", "action", "set-properties", "updates", properties), reterr);
}

static weir_status drop_commit(const struct weir_metadata *metadata, const char *ref, int64_t at,
                               struct weir_commit *commit, struct weir_error *reterr)
{
    WEIR_TRY(weir_commit_require_uuid(commit, weir_metadata_uuid(metadata), reterr));
    WEIR_TRY(weir_commit_require_ref(commit, ref, at, reterr));
    return remove_ref(commit, ref, reterr);
}

/* One try; after anything but a clean success *table is what there is now. *ret_sent: it landed. */
static weir_status send_once(struct weir_lake *lake, struct weir_table **table,
                             const struct weir_commit *commit, bool *ret_sent,
                             struct weir_error *reterr)
{
    struct weir_table *fresh;
    weir_status status = lake->catalog.operations->commit(lake->catalog.self, *table, commit,
                                                          &fresh, reterr);
    *ret_sent = status == WEIR_OK;
    if (status != WEIR_OK && status != WEIR_PRECONDITION && status != WEIR_UNKNOWN_OUTCOME &&
        status != WEIR_UNAVAILABLE && status != WEIR_EXISTS)
        return status;
    if (status != WEIR_OK)
        WEIR_TRY(
            lake->catalog.operations->load(lake->catalog.self, (*table)->name, &fresh, reterr));
    weir_table_free(*table);
    *table = fresh;
    return WEIR_OK;
}

static weir_status wait_a_little(struct weir_lake *lake, int resend, struct weir_error *reterr)
{
    weir_sleep_ms(lake->context,
                  (int64_t)weir_random_below(lake->context, 50u << (resend < 6 ? resend : 6)));
    return weir_context_check(lake->context, reterr);
}

weir_status weir_publish(struct weir_lake *lake, struct weir_table **table, const char *branch,
                         enum weir_landing *ret_landing, struct weir_error *reterr)
{
    int64_t candidate, head;
    struct weir_snapshot snapshot;
    if (!weir_metadata_ref((*table)->metadata, branch, &candidate) ||
        !weir_metadata_snapshot((*table)->metadata, candidate, &snapshot))
        return weir_fail(reterr, WEIR_NOT_FOUND, "%s has no branch %s", (*table)->name, branch);
    for (int resend = 0; resend < RESENDS_MAX; resend++) {
        const struct weir_metadata *now = (*table)->metadata;
        if (!weir_metadata_ref(now, "main", &head))
            return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", (*table)->name);
        if (weir_metadata_is_ancestor(now, candidate, head)) {
            *ret_landing = resend ? WEIR_LANDED : WEIR_SUPERSEDED;
            return WEIR_OK;
        }
        if (head != snapshot.parent_id) {
            *ret_landing = WEIR_ABANDONED;
            return WEIR_OK;
        }
        struct weir_commit commit;
        bool sent = false;
        WEIR_TRY(weir_commit_init(&commit, reterr));
        weir_status status = publish_commit(lake, now, branch, candidate, head, &commit, reterr);
        if (status == WEIR_OK)
            status = send_once(lake, table, &commit, &sent, reterr);
        weir_commit_done(&commit);
        WEIR_TRY(status);
        if (sent) {
            *ret_landing = WEIR_LANDED;
            return WEIR_OK;
        }
        WEIR_TRY(wait_a_little(lake, resend, reterr));
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE,
                     "%s: the catalog did not say whether %s was published; the next run finds out",
                     (*table)->name, branch);
}

weir_status weir_drop_ref(struct weir_lake *lake, struct weir_table **table, const char *ref,
                          struct weir_error *reterr)
{
    int64_t at;
    for (int resend = 0; resend < RESENDS_MAX; resend++) {
        struct weir_commit commit;
        bool sent;
        if (!weir_metadata_ref((*table)->metadata, ref, &at))
            return WEIR_OK;
        WEIR_TRY(weir_commit_init(&commit, reterr));
        weir_status status = drop_commit((*table)->metadata, ref, at, &commit, reterr);
        if (status == WEIR_OK)
            status = send_once(lake, table, &commit, &sent, reterr);
        weir_commit_done(&commit);
        WEIR_TRY(status);
        if (!sent)
            WEIR_TRY(wait_a_little(lake, resend, reterr));
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE, "%s: %s could not be dropped", (*table)->name, ref);
}

static weir_status tag_commit(const struct weir_metadata *metadata, const char *tag, bool is_head,
                              int64_t snapshot_id, struct weir_commit *commit,
                              struct weir_error *reterr)
{
    int64_t at;
    WEIR_TRY(weir_commit_require_uuid(commit, weir_metadata_uuid(metadata), reterr));
    if (is_head)
        WEIR_TRY(weir_commit_require_ref(commit, "main", snapshot_id, reterr));
    WEIR_TRY(weir_commit_require_ref(commit, tag, weir_metadata_ref(metadata, tag, &at) ? at : -1,
                                     reterr));
    return weir_commit_update(commit,
                              json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref",
                                        "ref-name", tag, "type", "tag", "snapshot-id",
                                        (json_int_t)snapshot_id),
                              reterr);
}

weir_status weir_tag_head(struct weir_lake *lake, struct weir_table **table, const char *tag,
                          int64_t snapshot_id, bool *ret_moved, struct weir_error *reterr)
{
    int64_t head, at;
    for (int resend = 0; resend < RESENDS_MAX; resend++) {
        const struct weir_metadata *now = (*table)->metadata;
        struct weir_commit commit;
        bool sent;
        if (!weir_metadata_ref(now, "main", &head) || head != snapshot_id) {
            *ret_moved = true;
            return WEIR_OK;
        }
        if (weir_metadata_ref(now, tag, &at) && at == snapshot_id) {
            *ret_moved = false;
            return WEIR_OK;
        }
        WEIR_TRY(weir_commit_init(&commit, reterr));
        weir_status status = tag_commit(now, tag, true, snapshot_id, &commit, reterr);
        if (status == WEIR_OK)
            status = send_once(lake, table, &commit, &sent, reterr);
        weir_commit_done(&commit);
        WEIR_TRY(status);
        if (!sent)
            WEIR_TRY(wait_a_little(lake, resend, reterr));
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE, "%s: tag %s could not be set", (*table)->name, tag);
}

weir_status weir_tag_snapshot(struct weir_lake *lake, struct weir_table **table, const char *tag,
                              int64_t snapshot_id, struct weir_error *reterr)
{
    int64_t at;
    struct weir_snapshot snapshot;
    for (int resend = 0; resend < RESENDS_MAX; resend++) {
        const struct weir_metadata *now = (*table)->metadata;
        struct weir_commit commit;
        bool sent;
        if (weir_metadata_ref(now, tag, &at) && at == snapshot_id)
            return WEIR_OK;
        if (!weir_metadata_snapshot(now, snapshot_id, &snapshot))
            return weir_fail(reterr, WEIR_NOT_FOUND, "%s: snapshot %lld is gone", (*table)->name,
                             (long long)snapshot_id);
        WEIR_TRY(weir_commit_init(&commit, reterr));
        weir_status status = tag_commit(now, tag, false, snapshot_id, &commit, reterr);
        if (status == WEIR_OK)
            status = send_once(lake, table, &commit, &sent, reterr);
        weir_commit_done(&commit);
        WEIR_TRY(status);
        if (!sent)
            WEIR_TRY(wait_a_little(lake, resend, reterr));
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE, "%s: tag %s could not be set", (*table)->name, tag);
}
