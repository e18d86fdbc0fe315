/* Few rows held in memory as a table source. Metadata tables are given as NDJSON, which is the
 * shortest way to write nested rows down, and decoded once; results of queries as batches. */
#ifndef WEIR_SCHEDULER_QUERY_ROWS_SOURCE_H
#define WEIR_SCHEDULER_QUERY_ROWS_SOURCE_H

#include "engine/base/context.h"
#include "engine/vec/scan.h"

/* schema: STRUCT, copied and given ids. lines: one JSON object a line, each ended by '\n'; a line
 * that is no row of the schema is CORRUPT. The account must outlive the source. */
weir_status query_rows_source(struct weir_account *account, const struct weir_type *schema,
                              const struct weir_buffer *lines, struct weir_table_source *ret_source,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* A source without rows, and more rows for it: columns as the schema has them, by position, vectors
 * of any kind; copied. Add only between scans. */
weir_status query_rows_new(struct weir_account *account, const struct weir_type *schema,
                           struct weir_table_source *ret_source,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_rows_add(struct weir_table_source *source, const struct weir_batch *batch,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
