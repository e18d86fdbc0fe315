/* Builders of a commit's two lists, and the end of a loaded table. */
#include "formats/iceberg/catalog.h"

static weir_status take(json_t *list, json_t *value, struct weir_error *reterr)
{
    return json_array_append_new(list, value) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY,
                           "no memory for a commit, or text that is no UTF-8");
}

weir_status weir_commit_init(struct weir_commit *commit, struct weir_error *reterr)
{
    json_t *requirements = json_array(), *updates = json_array();
    if (!requirements || !updates) {
        json_decref(requirements);
        json_decref(updates);
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a commit");
    }
    *commit = (struct weir_commit){requirements, updates};
    return WEIR_OK;
}

void weir_commit_done(struct weir_commit *commit)
{
    if (!commit)
        return;
    json_decref(commit->requirements);
    json_decref(commit->updates);
    *commit = (struct weir_commit){0};
}

weir_status weir_commit_require(struct weir_commit *commit, json_t *requirement,
                                struct weir_error *reterr)
{
    return take(commit->requirements, requirement, reterr);
}
weir_status weir_commit_update(struct weir_commit *commit, json_t *update,
                               struct weir_error *reterr)
{
    return take(commit->updates, update, reterr);
}

weir_status weir_commit_require_uuid(struct weir_commit *commit, const char *uuid,
                                     struct weir_error *reterr)
{
    return weir_commit_require(
        commit, json_pack("{s:s, s:s}", "type", "assert-table-uuid", "uuid", uuid), reterr);
}

weir_status weir_commit_require_ref(struct weir_commit *commit, const char *ref,
                                    int64_t snapshot_id, struct weir_error *reterr)
{
    json_t *id = snapshot_id == -1 ? json_null() : json_integer(snapshot_id);
    return weir_commit_require(commit,
                               json_pack("{s:s, s:s, s:o}", "type", "assert-ref-snapshot-id", "ref",
                                         ref, "snapshot-id", id),
                               reterr);
}

weir_status weir_commit_require_schema(struct weir_commit *commit, int32_t current_schema_id,
                                       int32_t last_assigned_field_id, struct weir_error *reterr)
{
    WEIR_TRY(weir_commit_require(commit,
                                 json_pack("{s:s, s:i}", "type", "assert-current-schema-id",
                                           "current-schema-id", current_schema_id),
                                 reterr));
    return weir_commit_require(commit,
                               json_pack("{s:s, s:i}", "type", "assert-last-assigned-field-id",
                                         "last-assigned-field-id", last_assigned_field_id),
                               reterr);
}

void weir_table_free(struct weir_table *table)
{
    if (!table)
        return;
    weir_metadata_free(table->metadata);
    weir_free(table->metadata_location);
    weir_free(table->name);
    weir_free(table);
}
