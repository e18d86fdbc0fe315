/* Between the files of the binder. */
#ifndef WEIR_ENGINE_EXPR_BIND_INT_H
#define WEIR_ENGINE_EXPR_BIND_INT_H

#include "engine/expr/bind.h"

weir_status bind_constant(struct weir_binder *binder, const PgQuery__AConst *constant,
                          struct weir_node **ret, struct weir_error *reterr);
weir_status bind_cast(struct weir_binder *binder, const PgQuery__TypeCast *cast,
                      struct weir_node **ret, struct weir_error *reterr);
weir_status bind_operator_expression(struct weir_binder *binder, const PgQuery__AExpr *expr,
                                     struct weir_node **ret, struct weir_error *reterr);
weir_status bind_function(struct weir_binder *binder, const PgQuery__FuncCall *call,
                          struct weir_node **ret, struct weir_error *reterr);
weir_status bind_call(struct weir_binder *binder, const char *name, struct weir_node **arguments,
                      uint32_t count, int location, struct weir_node **ret,
                      struct weir_error *reterr);
/* An expression that names a lambda, `x -> ...`: bound with parameters of these types. */
weir_status bind_lambda(struct weir_binder *binder, PgQuery__Node *node,
                        const struct weir_type *types, uint32_t type_count, struct weir_node **ret,
                        struct weir_error *reterr);
weir_status bind_now(struct weir_binder *binder, struct weir_node **ret, struct weir_error *reterr);
weir_status bind_list(struct weir_binder *binder, PgQuery__Node *const *items, size_t count,
                      int location, struct weir_node **ret, struct weir_error *reterr);

#endif
