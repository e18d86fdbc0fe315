/* One table's windows, whatever its source. */
#include "formats/json/json.h"
#include "scheduler/window/kafka_int.h"

weir_status weir_windows_run(const struct weir_window_options *options, json_t **ret_outcome,
                             struct weir_error *reterr)
{
    struct table_state table;
    WEIR_TRY(table_load(options, &table, reterr));
    json_t *outcome = outcome_new(options->table->name);
    weir_status status = options->table->source->is_kafka
                             ? kafka_windows_run(options, &table, outcome, reterr)
                             : file_windows_run(options, &table, outcome, reterr);
    table_done(&table);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", options->table->name);
        json_object_set_new(outcome, "error", json_string(reterr ? reterr->text : ""));
    }
    *ret_outcome = outcome; /* on failure too: what landed before it did land */
    return status;
}

void weir_windows_run_lanes(struct weir_window_lane *lanes, size_t count)
{
    const struct weir_table_config *table = count ? lanes[0].options.table : NULL;
    /* columns that a window makes are each lake's own affair: its windows are, too */
    if (count > 1 && table->source->is_kafka && table->unknown_fields != WEIR_UNKNOWN_EVOLVE) {
        kafka_lanes_run(lanes, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        lanes[i].status = weir_windows_run(&lanes[i].options, &lanes[i].outcome, &lanes[i].error);
}

weir_status weir_windows_plan(const struct weir_window_options *options, json_t **ret_plan,
                              struct weir_error *reterr)
{
    struct table_state table;
    WEIR_TRY(table_load(options, &table, reterr));
    json_t *plan = json_pack("{s:s, s:b, s:b}", "table", options->table->name, "exists",
                             table.table != NULL, "schema_changes",
                             table.table && table.shape.changed),
           *columns = NULL;
    weir_status status = weir_shape_changes(
        &table.arena, &table.shape, table.table ? table.table->metadata : NULL, &columns, reterr);
    if (status == WEIR_OK)
        json_object_set_new(plan, "columns", columns);
    if (status == WEIR_OK)
        status = options->table->source->is_kafka
                     ? kafka_windows_plan(options, &table, plan, reterr)
                     : file_windows_plan(options, &table, plan, reterr);
    table_done(&table);
    if (status == WEIR_OK)
        *ret_plan = plan;
    else
        json_decref(plan);
    return status;
}
