/* Windows: what has arrived, a fixed piece of it, landed whole. protocol.md 3. One call lands one
 * table's windows until what had arrived when it began is taken, the deadline passes, or somebody
 * asks to stop. */
#ifndef WEIR_SCHEDULER_WINDOW_WINDOW_H
#define WEIR_SCHEDULER_WINDOW_WINDOW_H

#include "scheduler/commit/letters.h"
#include "scheduler/pipeline/pipeline.h"

/* Store, catalog and run of a pipeline. Checks the place (region, owner, probe) before the first
 * write when `for_writing`. */
weir_status weir_lake_open(struct weir_context *context, const struct weir_pipeline *pipeline,
                           bool for_writing, struct weir_lake *ret_lake,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Are store and catalog where the pipeline file and the policies in force want them: region and
 * owner of the bucket, the host that a REST catalog's configuration leads to? Writes nothing;
 * REFUSED if not. The catalog may not be open yet (operations NULL): then it is not asked.
 * ret_words (may be NULL): what was found, for people; asks a little more. */
weir_status weir_lake_check_place(const struct weir_pipeline *pipeline,
                                  const struct weir_object_store *store,
                                  const struct weir_catalog *catalog, char *ret_words, size_t size,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_lake_close(struct weir_lake *lake);

/* The bucket of files that a source names by s3://bucket/pattern, as lake.s3 says it is reached;
 * the pattern in it goes to ret_pattern. *ret_is_s3 false: local files, nothing is opened. Free the
 * store. */
weir_status weir_files_store(struct weir_context *context, const struct weir_pipeline *pipeline,
                             const char *files, bool *ret_is_s3,
                             struct weir_object_store *ret_store, char ret_pattern[1024],
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* What can be checked without any service: expressions, partitions, decoders, Kafka's properties.
 * Returns the number of problems, each given to report. */
size_t weir_pipeline_check(struct weir_context *context, const struct weir_pipeline *pipeline,
                           void (*report)(void *argument, const struct weir_error *error),
                           void *argument);

/* Open source of a table's source config. */
weir_status weir_source_open(struct weir_context *context, const struct weir_pipeline *pipeline,
                             const struct weir_source_config *config,
                             struct weir_log_source *ret_source,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* Progress of a run: called from the running thread at most a few times a second. */
struct weir_progress {
    void (*report)(void *self, const char *table, int64_t done, int64_t total, int64_t bytes);
    void *self;
};

struct weir_window_options {
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline;
    const struct weir_table_config *table;
    int shard_index, shard_count; /* 0, 1: everything */
    struct weir_progress progress;
    int windows_max; /* 0 = until nothing is due */
};

/* What a run did to one table; also the object kept in _weir/runs/. New reference:
 * {"table", "windows", "landed", "refused", "filtered", "gaps", "bytes", "files", "snapshots":
 * [...], "reasons": {...}, "idle": true|false} */
weir_status weir_windows_run(const struct weir_window_options *options, json_t **ret_outcome,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* The same for the lakes of several tenants, whose tables one source fills: what those that stand
 * at the same offsets need is read once. What befalls one does not end the others. options differ
 * in lake and pipeline alone (pipeline->tenancy); the rest is set, outcome as by weir_windows_run.
 */
struct weir_window_lane {
    struct weir_window_options options;
    json_t *outcome; /* new reference; NULL: nothing was begun */
    weir_status status;
    struct weir_error error;
};
void weir_windows_run_lanes(struct weir_window_lane *lanes, size_t count);

/* What is due, without doing it: {"table", "exists", "partitions": [{"partition", "topic", "from",
 * "to", "first", "high_watermark", "held"}], "records", "windows"} or {"files": [...]}; for plan
 * and status. */
weir_status weir_windows_plan(const struct weir_window_options *options, json_t **ret_plan,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* offsets accept-gap: moves `next` over [next, to) with a hole; to = -1: to the first offset there
 * is. rebind: goes on with a new incarnation. */
weir_status weir_offsets_accept_gap(const struct weir_window_options *options, json_t **ret_outcome,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_offsets_rebind(const struct weir_window_options *options, json_t **ret_outcome,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* quarantine: letters in force, with rows. visit gets each refused row not retried. reason,
 * message, raw; position -1 = none. */
struct weir_letter {
    const char *reason, *message, *topic, *path;
    int32_t partition;
    int64_t offset_or_row, position, timestamp_ms;
    struct weir_bytes raw, key;
    const char *file;
};
weir_status weir_letters_visit(struct weir_lake *lake, const struct weir_table_config *config,
                               const struct weir_table *table,
                               weir_status (*visit)(void *argument,
                                                    const struct weir_letter *letter),
                               void *argument, struct weir_error *reterr) WEIR_MUST_CHECK;
/* retry: decodes the letters again (reason NULL = all) and lands those that are good now; discard:
 * takes them out of force. */
weir_status weir_quarantine_retry(const struct weir_window_options *options, const char *reason,
                                  json_t **ret_outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_quarantine_discard(const struct weir_window_options *options, const char *reason,
                                    json_t **ret_outcome,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* The birth of a table's quarantine table, in the arena. */
weir_status weir_quarantine_birth(struct weir_arena *arena, const struct weir_table_config *config,
                                  struct weir_birth *ret_birth,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* Leases (protocol.md 10): taken = false and *ret_holder filled when a live one was met. */
struct weir_lease;
weir_status weir_lease_take(struct weir_lake *lake, const char *name, struct weir_lease **ret_lease,
                            char ret_holder[256], struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_lease_give_back(struct weir_lease *lease); /* NULL-safe */

#endif
