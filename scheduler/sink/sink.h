/* Sinks: changes of a table, told to receivers outside the lake, each at least once and with an id
 * that makes a repeat harmless.
 *
 * What is sent comes from committed snapshots only, one after another along main's ancestry: the
 * rows that a snapshot added without those it removed, and the other way round, joined by the key:
 * insert, update, delete. How far a sink has come is its cursor, an object beside the tables,
 * advanced after the receiver took everything of a snapshot. A run that dies in between sends the
 * rest of it again, in the same order and under the same ids.
 *
 *   _weir/sinks/{sink}/cursor.json      {"sink", "table", "uuid", "reached", "version", "step",
 *                                        "delivered": {...}, "dead", "aged", ...}
 *   _weir/sinks/{sink}/dead/{version}-{id}.json   a change that was refused `tries` times
 *
 * The snapshot reached is held by the table's tag weir-at-sink.{sink} or weir-at-sink.{sink}.2.
 * Steps whose snapshots are gone, or that a rollback made, become one step: the difference between
 * its ends. */
#ifndef WEIR_SCHEDULER_SINK_SINK_H
#define WEIR_SCHEDULER_SINK_SINK_H

#include "scheduler/query/query.h"
#include "scheduler/window/window.h"

struct weir_sink_options {
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline;
    const struct weir_sink_config *sink;
};

/* Sends what is due, under the lease sink.{name}. New reference, NULL before anything was looked
 * at: {"sink", "table", "kind", "idle", "delivered": {"insert", "update", "delete"}, "dead",
 * "aged", "snapshots", "reached"} or {"sink", "held_by"}.
 * UNAVAILABLE: the receiver is away or busy; what it has taken is recorded. DENIED, REFUSED: it
 * says no to everything. DECISION: the table is another one, or what was reached has been expired.
 */
weir_status weir_sink_run(const struct weir_sink_options *options, json_t **ret_outcome,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* What would a delivery meet? Sends and makes nothing. options->lake NULL: without looking whether
 * the receiver takes the table's columns. ret_words: what was found, one line. Errors as
 * prepare's in connectors/sink/sink.h; USAGE too for `where`, columns or keys. */
weir_status weir_sink_probe(struct weir_context *context, const struct weir_sink_options *options,
                            char *ret_words, size_t size,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Where it stands, sending nothing: {"sink", "table", "kind", "receiver", "reached", "waiting"
 * (snapshots), "delivered", "dead", "aged", "seconds_behind", "problem"}. New reference. */
weir_status weir_sink_state(const struct weir_sink_options *options, json_t **ret_state,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* The cursor to the beginning (everything that is there is sent again, as inserts), or to the
 * table's head. */
weir_status weir_sink_reset(const struct weir_sink_options *options, bool latest,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Dead letters: an array of what they hold, in the order of their versions. */
weir_status weir_sink_dead(const struct weir_sink_options *options, json_t **ret_letters,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Sends them once more, or drops them. One whose row was changed or deleted since (for a delete:
 * came back) is left where it is, so that it undoes nothing that was told since; `all`: sent too,
 * under its old version. Those that are taken, or dropped, are gone; {"sink", "taken", "refused",
 * "superseded", "dropped"}. */
weir_status weir_sink_dead_retry(const struct weir_sink_options *options, bool all,
                                 json_t **ret_outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_sink_dead_discard(const struct weir_sink_options *options, json_t **ret_outcome,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

/* Binds `where`, the columns and the keys over the table, which the session's names must have.
 * *ret_row: a STRUCT of what is sent of a row, in the arena; may be NULL. USAGE with the place. */
weir_status weir_sink_bind(const struct weir_sink_config *sink, struct weir_query_session *session,
                           struct weir_arena *arena, struct weir_type *ret_row,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* SQL for the changes that make the rows of weir.removed those of weir.added, both with the columns
 * of `table`, as the sink would be told of them: weir_kind (0 insert, 1 update, 2 delete), then key
 * and row. In the arena. */
weir_status weir_sink_changes_sql(const struct weir_sink_config *sink,
                                  const struct weir_type *table, struct weir_arena *arena,
                                  char **ret_text, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
