/* Tests of models as files: rows given to tables, rows expected of a model. Read by the same YAML
 * as the pipeline file, with the same errors; run by scheduler/modeltest. Form: docs/models.md,
 * "Tests". Everything lives until weir_tests_free. */
#ifndef WEIR_SCHEDULER_PIPELINE_TESTS_H
#define WEIR_SCHEDULER_PIPELINE_TESTS_H

#include "scheduler/pipeline/pipeline.h"

struct weir_test_node; /* a place in a file */

/* Rows of one table: written out, in a file, or as CSV in the test itself; exactly one is there. */
struct weir_test_rows {
    const char *table; /* whose; NULL: the tested model's */
    const struct weir_test_node *rows, *at;
    const char *file; /* absolute: .ndjson, .json, .csv, .parquet */
    const char *csv;
};

/* What happens between one look at the model and the next. */
struct weir_test_step {
    const char *location; /* file:line:column */
    const struct weir_test_rows *given;
    size_t given_count;
    bool has_now, has_expect, has_gates;
    int64_t now_ms;
    struct weir_test_rows expect;
    double tolerance;   /* numbers may differ by so much; 0: exact */
    const char **gates; /* that do not hold; all others do */
    size_t gate_count;
};

struct weir_model_test {
    const char *name, *location;
    const struct weir_model_config *model; /* of the pipeline */
    bool has_existing;
    struct weir_test_rows existing; /* rows that the model has before the first step */
    const struct weir_test_step *steps;
    size_t step_count; /* at least 1 */
};

struct weir_model_tests {
    const struct weir_model_test *tests;
    size_t count;
};

/* Errors are gathered; weir_tests_problems gives them to somebody. USAGE here only for files that
 * cannot be opened. The pipeline outlives the tests. */
weir_status weir_tests_read(struct weir_context *context, const struct weir_pipeline *pipeline,
                            const char *const *files, size_t file_count,
                            struct weir_model_tests **ret_tests,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_tests_free(struct weir_model_tests *tests); /* NULL-safe */

/* Written rows as JSON, one object a line, as `type` (a STRUCT) wants each value; what fits nowhere
 * is a problem with its place. ret_named: a byte for each of the type's columns, set where a row
 * names it; may be NULL. */
weir_status weir_tests_json(struct weir_model_tests *tests, const struct weir_test_rows *rows,
                            const struct weir_type *type, struct weir_buffer *out,
                            uint8_t *ret_named, struct weir_error *reterr) WEIR_MUST_CHECK;
/* One more problem: of row `index` (SIZE_MAX: of all of them). */
void weir_tests_complain(struct weir_model_tests *tests, const struct weir_test_rows *rows,
                         size_t index, const char *text);
/* "did you mean ..." for a name; NULL when none is near. Lives as long as the tests. */
const char *weir_tests_suggest(struct weir_model_tests *tests, const char *name,
                               const char *const *known, size_t known_count);
/* The problems so far, by place, as those of the pipeline file; USAGE if there are any. */
weir_status weir_tests_problems(struct weir_model_tests *tests,
                                void (*report)(void *argument, const char *text), void *argument,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
