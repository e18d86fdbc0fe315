/* What the actions share: time, outcomes, loading. */
#include "scheduler/upkeep/upkeep_int.h"

#include <string.h>

#define GATE_PREFIX "weir-gate-"

bool upkeep_is_over(const struct weir_upkeep_options *options)
{
    return options->until_ms && weir_steady_ms(options->lake->context) >= options->until_ms;
}

json_t *upkeep_idle(const struct weir_upkeep_options *options, const char *action,
                    const char *reason)
{
    json_t *outcome = json_pack("{s:s, s:s, s:b, s:b}", "table", options->table->name, "action",
                                action, "idle", 1, "done", 1);
    if (outcome && reason)
        json_object_set_new(outcome, "reason", json_string(reason));
    return outcome;
}

weir_status upkeep_load_named(const struct weir_upkeep_options *options, const char *name,
                              struct weir_table **ret_table, struct weir_error *reterr)
{
    struct weir_catalog *catalog = &options->lake->catalog;
    *ret_table = NULL;
    weir_status status = catalog->operations->load(catalog->self, name, ret_table, reterr);
    if (status == WEIR_NOT_FOUND) {
        *ret_table = NULL;
        return WEIR_OK;
    }
    WEIR_TRY(status);
    const char *format = weir_metadata_property((*ret_table)->metadata, "weir.format");
    if (!format || strcmp(format, "1") == 0)
        return WEIR_OK;
    status = weir_fail(reterr, WEIR_REFUSED, "table %s has weir.format %s; this program knows 1",
                       name, format);
    weir_table_free(*ret_table);
    *ret_table = NULL;
    return status;
}

weir_status upkeep_load(const struct weir_upkeep_options *options, struct weir_table **ret_table,
                        struct weir_error *reterr)
{
    return upkeep_load_named(options, options->table->name, ret_table, reterr);
}

const char *upkeep_candidate(struct weir_context *context, const struct weir_table *table,
                             int64_t grace_ms)
{
    const char *name;
    json_t *ref;
    int64_t head;
    struct weir_snapshot snapshot;
    if (!weir_metadata_ref(table->metadata, "main", &head))
        return NULL;
    json_object_foreach(json_object_get(weir_metadata_document(table->metadata), "refs"), name, ref)
    {
        int64_t at = json_integer_value(json_object_get(ref, "snapshot-id"));
        if (strncmp(name, GATE_PREFIX, strlen(GATE_PREFIX)) == 0 &&
            weir_metadata_snapshot(table->metadata, at, &snapshot) && snapshot.parent_id == head &&
            snapshot.timestamp_ms > weir_now_ms(context) - grace_ms)
            return name;
    }
    return NULL;
}
