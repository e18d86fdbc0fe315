/* Gates: each a query for the rows that break it, over the candidate under the table's own name.
 * A few of the rows are told, without what may be personal, and the statement that shows them all.
 */
#include "scheduler/promote/promote_int.h"
#include "scheduler/query/iceberg_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static weir_status count_rows(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    (void)reterr;
    *(uint64_t *)self += batch->count;
    return WEIR_OK;
}

static weir_status run_gate(struct promotion *promotion, const struct weir_gate *gate,
                            uint64_t *ret_rows, struct weir_error *reterr)
{
    *ret_rows = 0;
    weir_status status = statement_run(promotion, gate->bad_rows, true, count_rows, ret_rows,
                                       reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s: expect %s", gate->location, gate->name);
    return status;
}

static const char *verdict(const struct weir_gate *gate, uint64_t rows)
{
    if (rows == 0)
        return "holds";
    return gate->on_fail == WEIR_ON_FAIL_FAIL ? "failed" : "warned";
}

/* One gate, told in `told`. */
static weir_status judge(struct promotion *promotion, const struct weir_gate *gate, json_t *told,
                         uint64_t *ret_rows, struct weir_error *reterr)
{
    WEIR_TRY(run_gate(promotion, gate, ret_rows, reterr));
    json_t *entry = json_pack("{s:s, s:I, s:s}", "name", gate->name, "rows", (json_int_t)*ret_rows,
                              "verdict", verdict(gate, *ret_rows)),
           *sample = json_array();
    json_array_append_new(told, entry);
    if (*ret_rows == 0) {
        json_decref(sample);
        return WEIR_OK;
    }
    json_object_set_new(entry, "sample", sample);
    return promotion_sample(promotion, gate->bad_rows, sample, reterr);
}

static weir_status gate_failed(struct promotion *promotion, const struct weir_gate *gate,
                               uint64_t rows, int64_t snapshot_id, struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_GATE,
                                   "%s: expect %s does not hold: %llu rows; readers keep what they "
                                   "had",
                                   promotion->model->table.name, gate->name,
                                   (unsigned long long)rows);
    weir_error_hint(reterr,
                    "look: weir query \"SELECT * FROM %s FOR VERSION AS OF %" PRId64
                    "\"; then weir promote %s --accept --reason ... or --discard; the next run "
                    "tries anew",
                    promotion->model->table.name, snapshot_id, promotion->model->table.name);
    return status;
}

weir_status promotion_gates(struct promotion *promotion, int64_t snapshot_id, json_t *outcome,
                            struct weir_error *reterr)
{
    struct weir_context *context = promotion->lake->context;
    struct weir_iceberg_options options = {.metadata_location = promotion->table->metadata_location,
                                           .store = promotion->lake->store,
                                           .has_snapshot_id = true,
                                           .snapshot_id = snapshot_id};
    struct weir_table_source candidate;
    struct weir_error first = {0};
    bool failed = false;
    json_t *told = json_array();
    json_object_set_new(outcome, "gates", told);
    WEIR_TRY(weir_iceberg_source_open(context, &context->memory, &options, &candidate, reterr));
    struct weir_query_name name = {.name = promotion->model->table.name, .source = &candidate};
    weir_query_names_set(promotion->session, &name, 1);
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < promotion->model->gate_count; i++) {
        const struct weir_gate *gate = &promotion->model->gates[i];
        uint64_t rows;
        if (gate->on_fail == WEIR_ON_FAIL_QUARANTINE) /* none of these rows is in the table */
            continue;
        status = judge(promotion, gate, told, &rows, reterr);
        bool fails = status == WEIR_OK && rows > 0 && gate->on_fail == WEIR_ON_FAIL_FAIL;
        if (fails && !failed)
            (void)!gate_failed(promotion, gate, rows, snapshot_id, &first);
        failed |= fails;
    }
    weir_query_names_set(promotion->session, NULL, 0);
    candidate.operations->free(candidate.self);
    if (status == WEIR_OK && failed) {
        if (reterr)
            *reterr = first;
        return WEIR_GATE;
    }
    return status;
}
