/* Between physical.c and scans.c. */
#ifndef WEIR_ENGINE_SQL_PHYSICAL_INT_H
#define WEIR_ENGINE_SQL_PHYSICAL_INT_H

#include "engine/sql/logical_int.h"

struct made { /* an operator, and the number of each of its columns */
    struct weir_operator *operator;
    struct numbers columns;
};

struct scan_made {
    struct weir_operator *operator;
    struct numbers columns;
    struct scan_made *next;
};

struct use; /* which parts of a nested column are used: scans.c */

struct physical {
    struct sql *sql;
    struct weir_type *types; /* by column number: as they come out of scans, pruned */
    uint32_t type_capacity;
    struct scan_made *scans;
    struct use *uses; /* by column number */
    uint32_t use_count;
};

struct join_parts {
    struct nodes left, right; /* keys, pairwise */
    bool *null_safe;
    struct nodes residual;
};

weir_status physical_make(struct physical *physical, struct logical *plan,
                          const struct columns *needed, struct made *ret,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status physical_scan(struct physical *physical, struct logical *plan,
                          const struct columns *needed, struct made *ret,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Which parts of struct columns the plan looks at. */
weir_status physical_uses(struct physical *physical, struct logical *plan,
                          const struct numbers *result, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status physical_column(struct physical *physical, const char *name,
                            const struct weir_type *type, uint32_t *ret_column,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status place_node(struct physical *physical, const struct numbers *columns,
                       const struct weir_node *node, struct weir_node **ret,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status operator_new(struct physical *physical, enum weir_operator_kind kind,
                         const struct numbers *columns, uint32_t child_count, double rows,
                         struct weir_operator **ret, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status arrange(struct physical *physical, struct weir_operator **operator,
                    const struct numbers * from, const struct numbers *to,
                    struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
