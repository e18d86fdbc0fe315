/* Lineage told to others as OpenLineage events (openlineage.io, spec 2-0-2): what a run of a table
 * read and wrote, with schema and column lineage.
 *
 * Best effort. A server that is away costs a run one short timeout and one warning: after the first
 * failure the rest of the run's events are only counted. Nothing is sent of tables with nothing to
 * do. Events hold names and types, never values, and not the SQL: keys may be written in it. */
#ifndef WEIR_SCHEDULER_PROMOTE_OPENLINEAGE_H
#define WEIR_SCHEDULER_PROMOTE_OPENLINEAGE_H

#include "scheduler/promote/graph.h"

struct weir_openlineage_job {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    const struct weir_graph *graph;
    const struct weir_graph_table *table; /* of the graph */
    const struct weir_sink_config *sink; /* NULL: the job makes the table; else it tells the sink */
};
/* What a table is made from, or a sink is told of, without a run. New reference. */
weir_status weir_openlineage_job_event(const struct weir_openlineage_job *job, json_t **ret_event,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_openlineage;
/* *ret_sender NULL: the pipeline file names no server, or its models do not bind (warned of). */
weir_status weir_openlineage_new(struct weir_context *context, const struct weir_pipeline *pipeline,
                                 struct weir_openlineage **ret_sender,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* One table's run: a START and a COMPLETE, FAIL or ABORT. outcome: of weir_windows_run or
 * weir_promote, may be NULL; one that is idle, or held by another run, is not told. */
void weir_openlineage_tell(struct weir_openlineage *sender, const char *table,
                           const json_t *outcome, int64_t started_ms, weir_status status,
                           const struct weir_error *error);
/* The same of a sink's delivery: it reads the table and writes the receiver. outcome: of
 * weir_sink_run. */
void weir_openlineage_tell_sink(struct weir_openlineage *sender,
                                const struct weir_sink_config *sink, const json_t *outcome,
                                int64_t started_ms, weir_status status,
                                const struct weir_error *error);
/* {"sent", "failed"} events; new reference, NULL for NULL. */
json_t *weir_openlineage_counts(const struct weir_openlineage *sender);
void weir_openlineage_free(struct weir_openlineage *sender); /* NULL-safe */

#endif
