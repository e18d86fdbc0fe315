/* How operators run. Private to the room.
 *
 * A plan is cut into pipelines: source -> steps -> sink. A source is a list of morsels, cut by the
 * data alone. Each morsel is pushed by one thread through the steps, batch by batch, into the sink,
 * which keeps what it gathers apart by morsel and puts it together in order of morsels: that makes
 * results the same bits for any number of threads. A blocking operator is the sink of one pipeline
 * and, once finished, the source of the next.
 *
 * Batches are valid during the push; arenas of a step are reset by that step after each push.
 * Operator files: scan.c filter.c project.c values.c limit.c unnest.c union (driver.c),
 * aggregate*.c, join*.c, sort.c, topn.c, window.c, set.c, spill.c, row.c. */
#ifndef WEIR_ENGINE_EXEC_EXEC_INT_H
#define WEIR_ENGINE_EXEC_EXEC_INT_H

#include "engine/base/limits.h"
#include "engine/exec/plan.h"
#include "engine/exec/row.h"
#include "engine/exec/spill.h"

struct exec_kept;
struct exec {
    const struct weir_exec_options *options;
    struct weir_context *context;
    struct weir_account *account;
    struct weir_arena arena; /* the run's; driver thread only */
    uint32_t batch_rows;
    struct exec_kept *kept; /* what is freed at the end */
    /* rows of all scans of the plan, and of those morsels that are done: progress */
    uint64_t scan_rows;
    atomic_ullong scanned_rows;
    atomic_flag telling; /* one thread at a time tells */
    atomic_bool enough;  /* of the running pipeline: its sink needs no further morsels */
    atomic_int location; /* of the expression that failed; -1 */
};

/* ---- sources ---- */
struct exec_source;
struct exec_reader; /* one morsel being read, by one thread */
struct exec_source_operations {
    size_t (*morsel_count)(const struct exec_source *source);
    weir_status (*open)(struct exec_source *source, size_t morsel, struct exec_reader **ret_reader,
                        struct weir_error *reterr);
    /* Next batch into the arena (at most exec->batch_rows rows); count 0 = the end. */
    weir_status (*next)(struct exec_reader *reader, struct weir_arena *arena,
                        struct weir_batch *ret_batch, struct weir_error *reterr);
    void (*close)(struct exec_reader *reader); /* NULL-safe */
    void (*free)(struct exec_source *source);  /* NULL-safe */
};
struct exec_source { /* first member of each implementation */
    const struct exec_source_operations *operations;
    struct exec *exec;
    struct weir_operator *operator; /* whose rows these are: counters */
};

/* ---- steps ---- */
struct exec_step;
struct exec_chain; /* the rest of the pipeline, for one morsel */
struct exec_step_operations {
    /* State of one morsel (arena, buffers); *ret_local may stay NULL. */
    weir_status (*begin)(struct exec_step *step, size_t morsel, void **ret_local,
                         struct weir_error *reterr);
    /* Handles one batch; calls exec_push(next, ...) for each batch it makes, none or many. */
    weir_status (*batch)(struct exec_step *step, void *local, const struct weir_batch *batch,
                         struct exec_chain *next, struct weir_error *reterr);
    /* After the morsel's last batch; may push too. May be NULL. */
    weir_status (*finish)(struct exec_step *step, void *local, struct exec_chain *next,
                          struct weir_error *reterr);
    void (*end)(struct exec_step *step, void *local); /* frees local, in any case; NULL-safe */
    /* Rows that come out after all morsels went through (outer joins' unmatched build rows, spilled
     * partitions): another source whose batches enter the pipeline behind this step. *ret_source
     * NULL = none. Called once, one thread, after all morsels. May be NULL. */
    weir_status (*remainder)(struct exec_step *step, struct exec_source **ret_source,
                             struct weir_error *reterr);
    void (*free)(struct exec_step *step); /* NULL-safe */
};
struct exec_step {
    const struct exec_step_operations *operations;
    struct exec *exec;
    struct weir_operator *operator;
};
weir_status exec_push(struct exec_chain *next, const struct weir_batch *batch,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- sinks ---- */
struct exec_sink;
struct exec_sink_operations {
    /* Morsels are numbered from 0 in order of result; they run in about that order, several at
     * once.
     */
    weir_status (*begin)(struct exec_sink *sink, size_t morsel, void **ret_local,
                         struct weir_error *reterr);
    weir_status (*batch)(struct exec_sink *sink, void *local, const struct weir_batch *batch,
                         struct weir_error *reterr);
    /* The morsel is whole: hands it over (own lock). Frees local in any case. */
    weir_status (*end)(struct exec_sink *sink, void *local, struct weir_error *reterr);
    void (*abandon)(struct exec_sink *sink, void *local); /* instead of end, after a failure */
    /* All morsels are in; one thread, may use weir_parallel. *ret_source: the operator's rows (NULL
     * for a sink that is the plan's end or a join's build side). The source may refer to the sink,
     * which is freed after it. */
    weir_status (*finish)(struct exec_sink *sink, struct exec_source **ret_source,
                          struct weir_error *reterr);
    void (*free)(struct exec_sink *sink);
};
struct exec_sink {
    const struct exec_sink_operations *operations;
    struct exec *exec;
    struct weir_operator *operator;
};

/* ---- what each operator file gives ---- */
weir_status exec_aggregate_new(struct exec *exec, struct weir_operator *operator,
                               struct exec_sink ** ret_sink, struct weir_error *reterr);
weir_status exec_sort_new(struct exec *exec, struct weir_operator *operator, /* TopN too */
                          struct exec_sink ** ret_sink, struct weir_error *reterr);
weir_status exec_window_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_sink ** ret_sink, struct weir_error *reterr);
/* Two inputs in one sink: `child` 0 first, then 1 (morsels go on counting). */
weir_status exec_set_new(struct exec *exec, struct weir_operator *operator,
                         struct exec_sink ** ret_sink, struct weir_error *reterr);
void exec_set_side(struct exec_sink *sink, uint32_t child);
/* The build side is a sink; when it is finished, the probe is a step. Also nested loops. The step
 * refers to the build. */
weir_status exec_join_build_new(struct exec *exec, struct weir_operator *operator,
                                struct exec_sink ** ret_sink, struct weir_error *reterr);
weir_status exec_join_probe_new(struct exec *exec, struct weir_operator *operator,
                                struct exec_sink * build, struct exec_step **ret_step,
                                struct weir_error *reterr);
/* For runtime filters of scans, once the build is finished: range of key `key` over all build rows
 * as predicates (GE, LE; IN when there are few) in the arena, at most 2. */
weir_status exec_join_build_predicates(struct exec_sink *build, uint32_t key,
                                       struct weir_arena *arena, struct weir_predicate *ret,
                                       size_t *ret_count, struct weir_error *reterr);
/* Drops rows whose key certainly has no partner (a bloom filter or the table itself): in place on
 * a selection. */
weir_status exec_join_build_probe_filter(struct exec_sink *build, uint32_t key,
                                         const struct weir_vector *values, uint32_t *rows,
                                         uint32_t *count);
weir_status exec_unnest_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_step ** ret_step, struct weir_error *reterr);

/* Evaluates expressions over a batch, noting where a failure came from. */
weir_status exec_evaluate(struct exec *exec, struct weir_node *const *expressions, uint32_t count,
                          const struct weir_batch *batch, struct weir_arena *arena,
                          struct weir_vector *ret_values, struct weir_error *reterr);

/* ---- memory ----
 * Blocking operators watch their bytes: when exec_should_spill says so they write their largest
 * parts to files. Charging beyond the limit fails with NO_MEMORY as ever. */
bool exec_should_spill(const struct exec *exec); /* over 3/4 of the account's limit is in use */

#endif
