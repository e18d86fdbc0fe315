/* Where a query's columns come from: for each one the columns of tables that its values are made
 * of, and those that only decide which rows there are. Read from the bound plan, before anything
 * is moved about for speed, so that what the text says is what is told.
 *
 * Made of (its values are, or are computed from, values of the column):
 *   IDENTITY        as it is
 *   TRANSFORMATION  through an expression, a field of a struct, an element of a list, a comparison
 *   AGGREGATION     through an aggregate or a window function
 * Influenced by (no value of the column can be in it):
 *   CONDITION  WHEN of CASE, IS NULL, what is only counted, FILTER and ORDER BY of an aggregate
 *   WINDOW     PARTITION BY and ORDER BY of a window function
 *   FILTER, JOIN, GROUP, SORT  which rows there are: of the whole result, not of one column
 *
 * A subquery's value is its column's; what its rows hang on counts for the whole result. Views and
 * CTEs are looked through. */
#ifndef WEIR_ENGINE_SQL_LINEAGE_H
#define WEIR_ENGINE_SQL_LINEAGE_H

#include "engine/sql/sql.h"

enum weir_lineage_kind {
    WEIR_LINEAGE_IDENTITY,
    WEIR_LINEAGE_TRANSFORMATION,
    WEIR_LINEAGE_AGGREGATION,
    WEIR_LINEAGE_CONDITION, /* from here on: influence only */
    WEIR_LINEAGE_WINDOW,
    WEIR_LINEAGE_FILTER,
    WEIR_LINEAGE_JOIN,
    WEIR_LINEAGE_GROUP,
    WEIR_LINEAGE_SORT
};
static inline bool weir_lineage_is_value(enum weir_lineage_kind kind)
{
    return kind < WEIR_LINEAGE_CONDITION;
}
const char *weir_lineage_kind_name(enum weir_lineage_kind kind); /* "identity", "filter" */

/* Functions that hide a value, for weir_lineage_use.masks: bit i is name i. */
#define WEIR_LINEAGE_MASKS 2
const char *weir_lineage_mask_name(unsigned index); /* "hmac_sha256", "mask_email" */
/* Bit of a masking function, 0 for any other name. */
unsigned weir_lineage_mask(const char *name);

/* One way from a column of a table. The same column may come several ways: masked and not. */
struct weir_lineage_use {
    const struct weir_table_source *source;
    const char *column; /* top-level, as the source's schema names it */
    enum weir_lineage_kind kind;
    unsigned masks; /* every value that came this way went through all of these */
};
struct weir_lineage_column {
    const char *name;
    const struct weir_lineage_use *uses; /* by table and column, in the order of first scans */
    uint32_t use_count;
};
struct weir_lineage {
    struct weir_lineage_column *columns; /* of the result, in order */
    uint32_t column_count;
    const struct weir_lineage_use *rows; /* of the whole result */
    uint32_t row_count;
};

/* One statement, bound against the catalog of the options; everything in the arena, the sources the
 * catalog's. Errors as weir_sql_plan's. */
weir_status weir_sql_lineage(struct weir_arena *arena, const char *text,
                             const struct weir_sql_options *options, struct weir_lineage *ret,
                             int *ret_location, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
