/* Between the driver and the small operators beside it (scan.c, stream.c, buffer.c, result.c). */
#ifndef WEIR_ENGINE_EXEC_DRIVER_INT_H
#define WEIR_ENGINE_EXEC_DRIVER_INT_H

#include "engine/exec/exec_int.h"

/* Steps of a pipeline, the one next to the source first. */
struct steps {
    struct exec_step *step;
    struct steps *next;
};

/* Makes the operator's rows flow through the steps into the sink; *morsels: of the sink so far. */
weir_status exec_run_operator(struct exec *exec, struct weir_operator *operator,
                              struct steps * steps, struct exec_sink *sink, size_t *morsels,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* What was made is kept until the run's end and freed in the reverse order (a source refers to its
 * sink, a probe to its build). If the keeping fails, the thing is freed. */
weir_status exec_keep_source(struct exec *exec, struct exec_source *source,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status exec_keep_step(struct exec *exec, struct exec_step *step,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status exec_keep_sink(struct exec *exec, struct exec_sink *sink,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Frees what was kept after `before` was the last; NULL: all. */
void exec_release_to(struct exec *exec, struct exec_kept *before);

/* All morsels of a source through the steps into the sink. */
weir_status exec_run_phase(struct exec *exec, struct exec_source *source, struct steps *steps,
                           struct exec_sink *sink, size_t *morsels,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* SHARED: its rows are there from now on, as the source in its state. */
weir_status exec_share(struct exec *exec, struct weir_operator *operator,
                       struct weir_error * reterr) WEIR_MUST_CHECK;
weir_status exec_run_recursive(struct exec *exec, struct weir_operator *operator,
                               struct steps * steps, struct exec_sink *sink, size_t *morsels,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status exec_run_working(struct exec *exec, struct weir_operator *operator,
                             struct steps * steps, struct exec_sink *sink, size_t *morsels,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status exec_scan_new(struct exec *exec, struct weir_operator *operator,
                          struct exec_source ** ret_source, struct weir_error *reterr);
weir_status exec_values_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_source ** ret_source, struct weir_error *reterr);
weir_status exec_filter_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_step ** ret_step, struct weir_error *reterr);
weir_status exec_project_new(struct exec *exec, struct weir_operator *operator,
                             struct exec_step ** ret_step, struct weir_error *reterr);
/* Keeps rows: LIMIT (the first limit + offset in order of morsels), SHARED (all). */
weir_status exec_buffer_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_sink ** ret_sink, struct weir_error *reterr);
/* The plan's end: hands batches to the caller in order of morsels. */
weir_status exec_result_new(struct exec *exec, struct weir_operator *root,
                            const struct weir_result_sink *result, struct exec_sink **ret_sink,
                            struct weir_error *reterr);

/* Pushes the batch as options->force says: tests. */
weir_status exec_push_forced(struct exec_chain *next, const struct weir_batch *batch,
                             struct exec *exec, struct weir_arena *arena,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* The batch's columns at the selected rows (rows NULL: the batch itself). */
weir_status exec_slice(struct weir_arena *arena, const struct weir_batch *batch,
                       const struct weir_selection *selection, struct weir_batch *ret_batch,
                       struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
