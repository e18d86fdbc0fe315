/* Private to verify. */
#ifndef WEIR_SCHEDULER_COMMIT_VERIFY_INT_H
#define WEIR_SCHEDULER_COMMIT_VERIFY_INT_H

#include "engine/kernel/row_hash.h"
#include "scheduler/commit/letters.h"

/* Adds the rows of one data file, read by the schema's field ids. CORRUPT when it cannot be read.
 */
weir_status verify_file_rows(struct weir_lake *lake, const struct weir_schema *schema,
                             const char *name, uint64_t size, struct weir_row_hash *hash,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* Does the quarantine table hold the files of the data table's list, and no others? */
weir_status letters_level(struct weir_lake *lake, const struct weir_table *data,
                          const struct weir_table *quarantine, bool *ret_level,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
