/* What a table's snapshots carry: offsets and the rest of protocol.md 2, and where the truth of a
 * branch is.
 *
 * A state is one JSON object; its keys are those of the snapshot summary without "weir.":
 *   next      {"cluster/topic/incarnation/partition": {"start": n, "next": n, "print": [offset,
 * timestamp_ms, "hash"]}} coverage, holes, retried   {same key: [[from, to), ...]} sorted,
 * disjoint, not touching letters   name of the list of refused-rows files in force      late  that
 * of files of rows that came too late for their group   files name of the ledger of landed files
 * sources   what a promotion has reached   horizon {"column", "before": time}: rows of whose column
 * the value lies before it have been dropped by retention   epoch   only grows
 * In a summary every value is text: strings as they are, the rest as compact JSON. Beyond 64
 * partitions `weir.next` is
 * {"receipt": name, "digest": hex} and the map is in that receipt. */
#ifndef WEIR_SCHEDULER_COMMIT_STATE_H
#define WEIR_SCHEDULER_COMMIT_STATE_H

#include "engine/base/io.h"
#include "engine/base/limits.h"
#include "formats/iceberg/catalog.h"

#define WEIR_SUMMARY_PARTITIONS_MAX 64

/* {"next": {}, "epoch": 1}; new reference. */
json_t *weir_state_new(void);

/* The truth of `branch`: the values in the nearest ancestor of its head that has them, or, where
 * the ancestry is cut, the property if it belongs to the snapshot at the cut. New reference.
 * DECISION when neither can be believed; NOT_FOUND when the branch is not there or no snapshot was
 * ever Weir's (a foreign table). */
weir_status weir_truth(const struct weir_object_store *store, struct weir_account *account,
                       const struct weir_metadata *metadata, const char *branch, json_t **ret_state,
                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* Adds the state's keys to a summary (object of texts). receipt_name is used beyond 64 partitions.
 */
weir_status weir_state_to_summary(const json_t *state, const char *receipt_name, json_t *summary,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Text of the table property "weir.truth" for the snapshot; NULL when memory is out. Freed by
 * free(). */
char *weir_state_to_property(const json_t *state, const char *receipt_name, int64_t snapshot_id);

/* Positions. The key's text is written to ret_key (size at least 512). */
void weir_position_key(char *ret_key, size_t size, const char *cluster, const char *topic,
                       int incarnation, int partition);
int64_t weir_position_get(const json_t *state, const char *key,
                          const char *field /* "next", "start" */); /* -1 = absent */
/* The highest incarnation of (cluster, topic) the state knows, or 0. */
int weir_incarnation(const json_t *state, const char *cluster, const char *topic);
weir_status weir_position_set(json_t *state, const char *key, int64_t start, int64_t next,
                              json_t *print /* stolen, NULL = keep */,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* Interval sets: `field` is coverage, holes or retried. */
weir_status weir_intervals_add(json_t *state, const char *field, const char *key, int64_t from,
                               int64_t to, struct weir_error *reterr) WEIR_MUST_CHECK;
bool weir_intervals_has(const json_t *state, const char *field, const char *key, int64_t offset);
int64_t weir_intervals_overlap(const json_t *state, const char *field, const char *key,
                               int64_t from, int64_t to); /* offsets in both */

/* XXH3-128 of bytes as 32 hex digits: names faults, not forgers. */
void weir_digest(const void *data, size_t size, char ret_hex[33]);
/* json_dumps, compact, sorted keys; NULL when memory is out. Freed by free(). */
char *weir_json_text(const json_t *json);

#endif
