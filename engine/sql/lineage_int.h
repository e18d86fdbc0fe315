/* Lineage over a bound plan. Private to the room. */
#ifndef WEIR_ENGINE_SQL_LINEAGE_INT_H
#define WEIR_ENGINE_SQL_LINEAGE_INT_H

#include "engine/sql/lineage.h"
#include "engine/sql/logical_int.h"

/* columns: of the result, names[i] theirs. */
weir_status lineage_trace(struct sql *sql, struct logical *plan, const struct numbers *columns,
                          const char *const *names, struct weir_lineage *ret,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
