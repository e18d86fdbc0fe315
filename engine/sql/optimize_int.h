/* Between optimize.c, join_order.c and estimate.c. */
#ifndef WEIR_ENGINE_SQL_OPTIMIZE_INT_H
#define WEIR_ENGINE_SQL_OPTIMIZE_INT_H

#include "engine/sql/logical_int.h"

/* The plan under these conditions, as deep down as they go. */
weir_status push_conditions(struct sql *sql, struct logical **at, const struct nodes *conditions,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* A tree of INNER, SEMI and ANTI joins under these conditions: taken apart, put in the order that
 * is estimated to cost least. */
weir_status order_joins(struct sql *sql, struct logical **at, const struct nodes *conditions,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Share of rows for which the condition holds. */
double selectivity(struct sql *sql, const struct weir_node *node);
/* Different values of an expression among `rows` rows. */
double distinct_values(struct sql *sql, const struct weir_node *node, double rows);
/* a = b with columns on both sides. */
bool is_equality(const struct weir_node *node);

#endif
