/* What `weir run` is made of, for one lake (verb_run.c) and for those of several tenants
 * (run_tenants.c). */
#ifndef WEIR_TOOLS_WEIR_RUN_H
#define WEIR_TOOLS_WEIR_RUN_H

#include "tools/weir/cli.h"

/* The name of the lease of a table's windows, by shard. */
void run_lease_name(const struct cli *cli, const char *table, char *name, size_t size);
/* A table's windows under its lease. */
weir_status run_table(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                      const struct weir_table_config *table, json_t **ret_outcome,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* A deadline is kept by taking fewer windows: no failure when some landed. */
bool run_is_deadline(weir_status status, const json_t *outcome);
bool run_is_stop(weir_status status);
/* What became of one table or model, into the record; takes the outcome (NULL: none). */
void run_note(json_t *record, const char *name, weir_status status, const struct weir_error *error,
              json_t *outcome, weir_status *worst, struct weir_error *reterr);
/* Models and sinks, behind the tables; `worst` is what went wrong before. */
weir_status run_after(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                      json_t *record, weir_status worst, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The record of a run; ended, it tells how, and is kept in the lake. Frees cli's lineage and graph.
 * A wish to stop in between is the status then. */
json_t *run_record_new(const struct cli *cli, const struct weir_lake *lake);
weir_status run_record_end(struct cli *cli, struct weir_lake *lake,
                           const struct weir_pipeline *pipeline, json_t *record, weir_status status,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
void run_print(const struct cli *cli, const json_t *record);
/* --dry-run. */
weir_status run_plan(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                     struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
