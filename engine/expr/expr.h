/* Expressions over batches: parsed by libpg_query, bound to a schema, evaluated by kernels over
 * whole vectors. Bronze's `expect` and `where` use them now; SQL models use the same evaluator.
 *
 * PostgreSQL's semantics: three-valued logic, overflow and division by zero are errors of the row
 * (see evaluate). */
#ifndef WEIR_ENGINE_EXPR_EXPR_H
#define WEIR_ENGINE_EXPR_EXPR_H

#include "engine/base/context.h"
#include "engine/vec/vector.h"

struct weir_expr; /* lives in the arena it was compiled in; immutable; used by several threads at
                     once */

/* Compiles a boolean expression over the fields of `schema` (a STRUCT; names are case-insensitive
 * unless quoted, then folded as PostgreSQL does, with an exact match first). USAGE with
 * "line:column", what was wrong and the nearest known name. */
weir_status weir_expr_compile(struct weir_arena *arena, const struct weir_type *schema,
                              const char *text, struct weir_expr **ret_expr,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* The expression's value for every row: a flat boolean vector in `arena`. A row whose evaluation
 * fails (overflow, division by zero) is null there and its bit in *ret_failed (NULL when none
 * failed) is set. */
weir_status weir_expr_evaluate(const struct weir_expr *expr, const struct weir_batch *batch,
                               struct weir_arena *arena, struct weir_vector *ret_result,
                               uint8_t **ret_failed, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
