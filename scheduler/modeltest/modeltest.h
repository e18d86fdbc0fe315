/* Tests of models, run: rows given are landed in a lake of the test's own, in a temporary folder,
 * the model is promoted as a run would do it, and its table is compared with the rows expected. No
 * service and nothing of the pipeline's own lake is touched. */
#ifndef WEIR_SCHEDULER_MODELTEST_MODELTEST_H
#define WEIR_SCHEDULER_MODELTEST_MODELTEST_H

#include "scheduler/pipeline/tests.h"
#include "scheduler/promote/promote.h"

struct weir_modeltest;

/* Binds the models and decodes every row once; what does not fit becomes a problem of `tests`
 * (weir_tests_problems). All but the options' own struct is borrowed. USAGE: SQL that does not
 * bind. */
struct weir_modeltest_options {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    struct weir_model_tests *tests;
    const char *folder; /* an empty one, for the lakes */
};
weir_status weir_modeltest_new(const struct weir_modeltest_options *options,
                               struct weir_modeltest **ret_modeltest,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_modeltest_free(struct weir_modeltest *modeltest); /* NULL-safe */

/* Runs one of the tests, if there are no problems. New reference: {"name", "model", "location",
 * "ok", "milliseconds", "problems": [{"step", "kind", ...}]}, kinds:
 *   missing, unexpected   "row": the values compared
 *   different             "key": what the rows have in common, "columns": {name: {"is",
 *                         "expected"}}
 *   gate                  "name", "text"
 *   error                 "text": the promotion did not end
 *   more                  "text": how many there are besides
 * Fails only for what is no fault of the model: memory, space, interruption. */
weir_status weir_modeltest_run(struct weir_modeltest *modeltest, size_t index, json_t **ret_outcome,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
