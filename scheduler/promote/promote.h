/* Models: tables that are queries over other tables, brought up to date by work proportional to
 * what changed, each time in one commit that records which snapshots of its sources it has reached.
 * protocol.md 6.
 *
 * Every mode is a few statements of SQL over the model's own query, for which the names of its
 * sources are given other meanings: the source at its head, the rows that changed since, the rows
 * there ever were in between. engine/sql/sql.h (weir_sql_reach) says whether the changed rows alone
 * tell what must be done; when they do not, everything is computed and compared, and still only the
 * files that differ are written. */
#ifndef WEIR_SCHEDULER_PROMOTE_PROMOTE_H
#define WEIR_SCHEDULER_PROMOTE_PROMOTE_H

#include "scheduler/promote/graph.h"
#include "scheduler/query/query.h"
#include "scheduler/window/window.h"

struct weir_promote_options {
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline;
    const struct weir_model_config *model;
    struct weir_graph **graph; /* kept between the promotions of a run, the caller's to free; NULL:
                                  each has its own */
    bool by_hand;              /* whatever `promote` says of when */
    bool rebuild; /* as if nothing had been promoted yet; also takes a changed definition */
};

/* Brings one model up to date, or finds that nothing is due. New reference, on failure too:
 * {"table", "mode", "idle", "reason", "rows_added", "rows_removed", "files_added",
 *  "files_removed", "bytes_read", "bytes_written", "snapshot", "set_aside", "gates": [...]}
 * GATE: a check said no; the candidate stays on its branch. DECISION: on_change: ask, or rows left
 * the source of an appended model. */
weir_status weir_promote(const struct weir_promote_options *options, json_t **ret_outcome,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* The candidate that a gate held back: published as it is, or dropped. NOT_FOUND: there is none. */
weir_status weir_promote_accept(const struct weir_promote_options *options, json_t **ret_outcome,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_promote_discard(const struct weir_promote_options *options, json_t **ret_outcome,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows that checks of a model have set aside, by what they break: array of {"reason": names of the
 * checks, "count", "message"}; only: of this reason, or NULL. New reference. */
weir_status weir_promote_set_aside(struct weir_lake *lake, const struct weir_model_config *model,
                                   const char *only, json_t **ret_groups,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* What is due and why, without doing it: {"table", "mode", "due", "reason", "sources": [{"table",
 * "from", "to", "files_added", "files_removed", "rows_added"}]}; sources that have changed, also
 * when the rule says not yet. */
weir_status weir_promote_plan(const struct weir_promote_options *options, json_t **ret_plan,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* What a promotion would lead to, writing nothing: the SQL over the sources as they are against the
 * rows of the table, as if it were made anew. */
struct weir_whatif_options {
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline; /* with the SQL to be tried in the model */
    const struct weir_model_config *model;
    const struct weir_pipeline *standing; /* with the SQL that made the table; NULL: the same */
    int64_t since_ms; /* only keys that commits of the sources touched so recently; 0: all */
};
/* New reference, on failure too:
 * {"table", "mode", "rows": {"before", "after"}, "added", "removed", "changed",
 *  "samples": {"added": [row], "removed": [row], "changed": [{"before", "after"}]},
 *  "columns_added": [name], "columns_removed": [name],
 *  "since": {"from", "keys", "sources": [{"table", "snapshot", "committed", "cut"}]},
 *  "gates": [{"name", "rows", "verdict", "sample"}],
 *  "sinks": [{"sink", "insert", "update", "delete"}]}
 * Rows that have a key count as changed when that key is there before and after. GATE: a check with
 * on_fail: fail would say no. */
weir_status weir_promote_whatif(const struct weir_whatif_options *options, json_t **ret_report,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* Models in an order in which each comes behind those it reads; numbers into pipeline->models, in
 * the arena. USAGE: a cycle, or an unknown table, with the SQL's place. */
weir_status weir_models_order(const struct weir_pipeline *pipeline, struct weir_arena *arena,
                              size_t **ret_order, struct weir_error *reterr) WEIR_MUST_CHECK;
/* What can be checked of models without any service: the graph, types, keys, gates, declared
 * columns, classes, what sinks may receive. Returns the number of problems, each given to report.
 * *ret_graph: what could be bound, to be freed; NULL when the tables themselves are wrong. */
size_t weir_models_check(struct weir_context *context, const struct weir_pipeline *pipeline,
                         void (*report)(void *argument, const struct weir_error *error),
                         void *argument, struct weir_graph **ret_graph);
/* A table of the pipeline and its columns, all of them optional; in the order of the tables, then
 * of the models, each behind those it reads. */
struct weir_models_table {
    const struct weir_table_config *config;
    const struct weir_model_config *model; /* NULL: filled from a source */
    struct weir_type type;                 /* STRUCT with ids */
};
/* In the arena. USAGE: SQL that does not bind. */
weir_status weir_models_types(struct weir_context *context, const struct weir_pipeline *pipeline,
                              struct weir_arena *arena, struct weir_models_table **ret_tables,
                              size_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Names of the tables that a model reads, views looked through; in the arena. */
weir_status weir_models_reads(const struct weir_pipeline *pipeline,
                              const struct weir_model_config *model, struct weir_arena *arena,
                              const char *const **ret_names, size_t *ret_count,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* Names of the pipeline's views for a session; in the arena. */
weir_status weir_models_views(const struct weir_pipeline *pipeline, struct weir_arena *arena,
                              struct weir_query_name **ret_names, size_t *ret_count,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
