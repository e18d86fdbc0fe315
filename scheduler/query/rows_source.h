/* Few rows held in memory as a table source: metadata tables. They are given as NDJSON, which is
 * the shortest way to write nested rows down, and decoded once. */
#ifndef WEIR_SCHEDULER_QUERY_ROWS_SOURCE_H
#define WEIR_SCHEDULER_QUERY_ROWS_SOURCE_H

#include "engine/base/context.h"
#include "engine/vec/scan.h"

/* schema: STRUCT, copied and given ids. lines: one JSON object a line, each ended by '\n'; a line
 * that is no row of the schema is CORRUPT. The account must outlive the source. */
weir_status query_rows_source(struct weir_account *account, const struct weir_type *schema,
                              const struct weir_buffer *lines, struct weir_table_source *ret_source,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
