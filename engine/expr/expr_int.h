/* The bound tree. Private to the room.
 *
 * Every node has a class: how its values lie in memory while it is evaluated. Columns are widened
 * to their class once; from there on each operation exists once per class. */
#ifndef WEIR_ENGINE_EXPR_EXPR_INT_H
#define WEIR_ENGINE_EXPR_EXPR_INT_H

#include "engine/base/text.h"
#include "engine/expr/expr.h"

enum value_class { CLASS_BOOL, CLASS_LONG, CLASS_DOUBLE, CLASS_DECIMAL, CLASS_BYTES };

enum node_kind {
    NODE_COLUMN,
    NODE_CONSTANT,
    NODE_NULL,
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_COMPARE,
    NODE_DISTINCT,
    NODE_IS_NULL,
    NODE_IS_TRUE,
    NODE_IS_FALSE,
    NODE_IN,
    NODE_LIKE,
    NODE_ARITHMETIC,
    NODE_NEGATE,
    NODE_CONVERT
};

enum compare { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };

#define EXPR_PATH_MAX  32
#define EXPR_DEPTH_MAX 3000

struct weir_expr {
    enum node_kind kind;
    enum value_class class;
    struct weir_type type; /* SQL type of the value; STRING for a literal not yet told what it is */
    bool literal_unknown;  /* '...' that takes the type of what it meets */
    bool negated;          /* NOT IN, NOT LIKE, IS NOT NULL, IS NOT TRUE, IS DISTINCT FROM */
    bool case_blind;       /* ILIKE */
    enum compare compare;
    char operation;               /* + - * / % */
    int scale;                    /* DECIMAL: of the values */
    uint32_t path[EXPR_PATH_MAX]; /* COLUMN: child numbers from the batch down */
    uint32_t path_size;
    int64_t number; /* CONSTANT */
    double real;
    weir_int128 decimal;
    struct weir_bytes bytes;
    struct weir_expr **arguments;
    size_t argument_count;
};

#endif
