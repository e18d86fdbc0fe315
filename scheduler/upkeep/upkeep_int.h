/* What the actions share. Private to the room. */
#ifndef WEIR_SCHEDULER_UPKEEP_UPKEEP_INT_H
#define WEIR_SCHEDULER_UPKEEP_UPKEEP_INT_H

#include "scheduler/upkeep/upkeep.h"

/* Is the time that was given to the action over? */
bool upkeep_is_over(const struct weir_upkeep_options *options);
/* The outcome of an action that had nothing to do; reason NULL: that alone. New reference. */
json_t *upkeep_idle(const struct weir_upkeep_options *options, const char *action,
                    const char *reason);
/* The table as its catalog has it now; NULL: it is not there yet. REFUSED: somebody else's. */
weir_status upkeep_load(const struct weir_upkeep_options *options, struct weir_table **ret_table,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same of a table beside it. */
weir_status upkeep_load_named(const struct weir_upkeep_options *options, const char *name,
                              struct weir_table **ret_table,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* A candidate that a gate held back lately waits for a person; moving main would take that choice
 * away. Its branch, or NULL. */
const char *upkeep_candidate(struct weir_context *context, const struct weir_table *table,
                             int64_t grace_ms);

/* aside.c: refused, set aside and late rows that are too old leave; of dry_run: would. *table is
 * what was loaded last. */
weir_status upkeep_aside(const struct weir_upkeep_options *options, struct weir_table **table,
                         int64_t *ret_rows, struct weir_error *reterr) WEIR_MUST_CHECK;

/* hold.c: the case that holds the table; "" = none does. */
weir_status upkeep_held(const struct weir_upkeep_options *options, char ret_case[128],
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* rewrite.c: files written anew, with some of their rows, one by one: each result holds rows of one
 * file only, in their order. Columns that a file keeps no bounds of (they may name a person) have
 * none in the new one either. */
struct upkeep_rewriter;
weir_status upkeep_rewriter_new(const struct weir_upkeep_options *options,
                                const struct weir_table *table, int64_t snapshot_id,
                                struct upkeep_rewriter **ret_rewriter,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* What is kept since the last upkeep_rewriter_begin; lives until the next. */
struct upkeep_rewritten {
    struct weir_data_file *files;
    char (*digests)[33];
    size_t file_count, file_capacity;
    int64_t rows;     /* in them */
    json_t *receipts; /* array: path, rows, size, digest of each */
    char hash[33];    /* of all these rows */
};
void upkeep_rewriter_begin(struct upkeep_rewriter *rewriter);
/* Writes the rows of a file for which the SQL condition over its columns is not false or null. */
weir_status upkeep_rewriter_add(struct upkeep_rewriter *rewriter, const struct weir_data_file *file,
                                const char *condition, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status upkeep_rewriter_end(struct upkeep_rewriter *rewriter,
                                const struct upkeep_rewritten **ret_rewritten,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* How many live rows of a file a condition holds for. */
weir_status upkeep_rewriter_count(struct upkeep_rewriter *rewriter,
                                  const struct weir_data_file *file, const char *condition,
                                  int64_t *ret_rows, struct weir_error *reterr) WEIR_MUST_CHECK;
void upkeep_rewriter_free(struct upkeep_rewriter *rewriter); /* NULL-safe */

#endif
