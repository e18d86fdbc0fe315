/* rows.c: rows as a test gives them, decoded; lake.c: a test's own lake and what lands there;
 * compare.c: rows that are there against those expected; run.c: the steps of a test. Private to the
 * room. */
#ifndef WEIR_SCHEDULER_MODELTEST_INT_H
#define WEIR_SCHEDULER_MODELTEST_INT_H

#include "scheduler/modeltest/modeltest.h"

#define MODELTEST_ROWS_MAX (1u << 20) /* of one table in one step */

struct weir_modeltest {
    struct weir_modeltest_options options;
    struct weir_arena arena;
    struct weir_models_table *tables;
    size_t table_count;
};

/* One test under way: its lake, and its clock. */
struct trial {
    struct weir_modeltest *modeltest;
    const struct weir_model_test *test;
    struct weir_arena arena;
    struct weir_lake lake;
    struct weir_clock clock; /* the real one */
    int64_t now_ms;
    json_t *problems; /* borrowed from the outcome */
    size_t step;      /* 1-based */
};

/* Rows of a table, in batches of its type. */
struct rows {
    const struct weir_type *type;
    struct weir_batch *batches;
    size_t batch_count;
    uint64_t count;
    uint8_t *named; /* a byte for each column: some row names it */
};

const struct weir_models_table *modeltest_table(const struct weir_modeltest *modeltest,
                                                const char *name);

/* rows.c. In the arena. What does not fit is complained of, and *ret_rows holds the rest. */
weir_status rows_load(struct weir_modeltest *modeltest, const struct weir_test_rows *given,
                      const struct weir_models_table *table, struct weir_arena *arena,
                      struct rows *ret_rows, struct weir_error *reterr) WEIR_MUST_CHECK;

/* lake.c */
weir_status lake_open(struct weir_modeltest *modeltest, const char *folder,
                      struct weir_lake *ret_lake, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows added to the table, or its only rows from now on; it is made when it is not there. */
weir_status lake_land(struct trial *trial, const struct weir_models_table *table,
                      const struct rows *rows, bool only,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

/* compare.c. Reads the tested model's table, and tells of each difference in trial->problems. */
weir_status compare_rows(struct trial *trial, const struct weir_test_step *step,
                         const struct rows *expected, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
