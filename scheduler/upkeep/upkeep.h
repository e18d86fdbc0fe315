/* Upkeep of one table: what `weir maintain` does by hand and `weir run` when it is due. design.md 3
 * (lifecycle), protocol.md 8; for people: docs/upkeep.md.
 *
 * Every action has one shape: it looks whether it is due by the table's rules, does a bounded piece
 * at a time until nothing is due or `until_ms` is reached, and tells what it did. A second run at
 * once, or a kill anywhere, harms nothing: each piece is one commit that asserts what it was
 * computed from. */
#ifndef WEIR_SCHEDULER_UPKEEP_UPKEEP_H
#define WEIR_SCHEDULER_UPKEEP_UPKEEP_H

#include "scheduler/pipeline/pipeline.h"
#include "scheduler/window/window.h"

struct weir_upkeep_options {
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline;
    const struct weir_table_config *table; /* of pipeline->tables, or a model's */
    bool dry_run;                          /* look, tell, change nothing */
    bool by_hand;     /* asked for by name: also what is not due yet, and without a rule */
    int64_t until_ms; /* by weir_steady_ms: no new piece is begun after it; 0: no end */
};

/* What an action did, also kept in the run's record; a new reference, and NULL after a failure:
 * {"table", "action", "idle": nothing was due, "done": false = `until_ms` came first, ...} with the
 * action's own counts. A table that is not in the lake yet: idle. */
typedef weir_status weir_upkeep_action(const struct weir_upkeep_options *options,
                                       json_t **ret_outcome, struct weir_error *reterr);

/* Rows older than `retain` says leave the table: "before": the line, "rows_dropped",
 * "files_dropped" (whole), "files_rewritten", "files_waiting" (for promotions or sinks that have
 * not read them), "commits", "refused_dropped" (refused, set aside and late rows that were too old,
 * by `quarantine`); by bounds, as it was when looked at last: "oldest" time in the table, and
 * "seconds_overdue" of it. Of dry_run the rows are those of the files that leave whole. */
weir_upkeep_action weir_upkeep_retain;

/* Snapshots older than `snapshots` says leave the metadata: "snapshots_removed", "snapshots_kept",
 * "refs_removed", "commits", "kept_by": the ref that keeps the oldest one of those too old.
 * UNSUPPORTED where the catalog keeps no history of its own (Nessie). */
weir_upkeep_action weir_upkeep_expire;

/* The only one that deletes, in two passes a grace apart: "objects_deleted", "bytes_deleted",
 * "objects_noted" (unreached, to be deleted by a later pass; of dry_run: now), "objects_foreign"
 * (not of our form: left), and of a dry run by hand "objects": their names. */
weir_upkeep_action weir_upkeep_sweep;

/* Small files become large ones, deletes are applied; rows stay what they are: "files_removed",
 * "files_added", "deletes_removed", "rows_written", "bytes_read", "bytes_written", "commits".
 * CORRUPT: what was written is not what was read; nothing of it is committed. */
weir_upkeep_action weir_upkeep_compact;
/* How many files are due to be put together; 0 when there is no rule, or no table. */
weir_status weir_upkeep_compact_due(const struct weir_upkeep_options *options, int64_t *ret_debt,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* A tag at a snapshot (its id, a tag or a branch; NULL: the head), which expiry then keeps, for as
 * long as the rule's tags_ms says. {"table", "tag", "snapshot", "done": "set", ...}; USAGE: a name
 * that is no name, or is at another snapshot already. The lake's actor and reason are kept. */
weir_status weir_tag_set(const struct weir_upkeep_options *options, const char *name,
                         const char *at, json_t **ret_outcome,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_tag_drop(const struct weir_upkeep_options *options, const char *name,
                          json_t **ret_outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Branches and tags: rows of "name", "type", "snapshot", "time", "hours" (its age limit). */
weir_status weir_tag_list(const struct weir_upkeep_options *options, json_t **ret_rows,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* Holds: rows of a table stay while a case is open. The lake's actor and reason are kept. USAGE: a
 * case that was used before, or is not there. Rows of a list: "table", "case", "by", "reason",
 * "set", "until" and "state" (holds, over, released); table NULL: of all. */
weir_status weir_hold_set(struct weir_lake *lake, const char *table, const char *what,
                          const char *until, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_hold_release(struct weir_lake *lake, const char *table, const char *what,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_hold_list(struct weir_lake *lake, const char *table, json_t **ret_rows,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* The actions, in the order in which they are done. */
struct weir_upkeep_step {
    const char *name;
    bool (*has_rule)(const struct weir_lifecycle_config *rule);
    weir_upkeep_action *run;
    bool deletes; /* not while a hold is on the table */
};
extern const struct weir_upkeep_step weir_upkeep_steps[];
extern const size_t weir_upkeep_step_count;
bool weir_upkeep_has_rule(const struct weir_table_config *table);

/* Every action that the table's rules ask for, or `only` one whether they do or not; outcomes are
 * appended. One that fails does not keep the others from being done: the last failure is returned.
 * Somebody else is at it: {"table", "action", "held_by"}. */
weir_status weir_upkeep_table(const struct weir_upkeep_options *options, const char *only,
                              json_t *outcomes, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
