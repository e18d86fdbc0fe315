/* Bound expressions: what SQL, models and bronze's checks are evaluated from.
 *
 * A tree of nodes, each with a type, made by the binder (bind.c: PostgreSQL's grammar -> nodes),
 * rewritten by the planner, evaluated over whole vectors (evaluate.c). Immutable once bound; used
 * by several threads at once; lives in the arena it was made in.
 *
 * PostgreSQL's semantics: three-valued logic, exact decimals, overflow and division by zero are
 * errors - of the row that meets them, so that CASE and bronze's checks can pass over rows: see
 * weir_evaluation. */
#ifndef WEIR_ENGINE_EXPR_IR_H
#define WEIR_ENGINE_EXPR_IR_H

#include "engine/base/context.h"
#include "engine/vec/vector.h"

struct weir_node;
struct weir_function;
struct weir_evaluation;

enum weir_node_kind {
    WEIR_NODE_COLUMN,   /* batch column `index` */
    WEIR_NODE_FIELD,    /* child `index` of the struct in arguments[0] */
    WEIR_NODE_CONSTANT, /* `value`, one row, perhaps null */
    WEIR_NODE_CALL,     /* function->evaluate over the arguments' values */
    WEIR_NODE_AND,      /* any number of arguments, three-valued */
    WEIR_NODE_OR,
    WEIR_NODE_NOT,
    WEIR_NODE_COMPARE,  /* `compare` of two arguments of one type, any type that has an order */
    WEIR_NODE_IS_NULL,  /* `negated`: IS NOT NULL */
    WEIR_NODE_IS_TRUE,  /* IS TRUE; `negated`: IS NOT TRUE. IS FALSE = NOT's IS TRUE */
    WEIR_NODE_IN,       /* arguments[0] in the constants arguments[1..], of its type; `negated` */
    WEIR_NODE_CASE,     /* when, then, when, then, ..., else: conditions are booleans */
    WEIR_NODE_COALESCE, /* the first that is not null */
    WEIR_NODE_CAST,     /* arguments[0] to `type`; `try`: null where it cannot be */
    WEIR_NODE_STRUCT,   /* struct of the arguments */
    WEIR_NODE_LIST,     /* list of the arguments, all of one type */
    WEIR_NODE_LAMBDA,   /* only as an argument of a list function: body arguments[0] over a batch of
                           its own: columns [0, parameter_count) are the parameters (the element,
                           its 1-based index if asked for), then the captured columns of the outer
                           batch, `captures[i]` being their expressions over it */
    /* Only before planning; never evaluated. */
    WEIR_NODE_AGGREGATE,
    WEIR_NODE_WINDOW,
    WEIR_NODE_SUBQUERY
};

enum weir_compare {
    WEIR_EQ,
    WEIR_NE,
    WEIR_LT,
    WEIR_LE,
    WEIR_GT,
    WEIR_GE,
    WEIR_DISTINCT, /* IS DISTINCT FROM: never null */
    WEIR_NOT_DISTINCT
};

struct weir_node {
    enum weir_node_kind kind;
    struct weir_type type;
    int location; /* byte of the SQL text, for errors; -1 = none */
    uint32_t index;
    enum weir_compare compare;
    bool negated, try;
    bool unknown; /* '...' or NULL literal that may still take the type of what it meets */
    const struct weir_function *function;
    struct weir_node **arguments;
    uint32_t argument_count;
    struct weir_vector value;    /* CONSTANT: one row, CONSTANT kind; its type is &node->type */
    uint32_t parameter_count;    /* LAMBDA */
    struct weir_node **captures; /* LAMBDA */
    uint32_t capture_count;
    const void *special; /* AGGREGATE, WINDOW, SUBQUERY: engine/sql's own */
    void *prepared;      /* CALL: what function->prepare made; IN: its hash set; NULL = none */
};

/* ---- functions: one registry, from which docs/sql.md is made too ---- */

enum weir_function_flag {
    WEIR_FUNCTION_STRICT = 1, /* null if any argument is null; the evaluator sees to it: ret has
                                 validity merged already, and rows under nulls may be computed
                                 with whatever is there, failing none */
    WEIR_FUNCTION_VOLATILE =
        2, /* not folded: random(), ... (now() is fixed per statement: folded) */
};

/* Resolves argument types to an overload: may change arguments (wrap them in casts by
 * weir_node_cast, give unknown literals a type) and sets call->type. USAGE when the types do not
 * fit; the text says what is taken. */
typedef weir_status (*weir_function_bind)(struct weir_arena *arena, struct weir_node *call,
                                          struct weir_error *reterr);
/* arguments[i]: `evaluation->count` rows, any vector kind. Fills *ret (type = &call->type) by
 * weir_result_flat or whole. */
typedef weir_status (*weir_function_evaluate)(struct weir_evaluation *evaluation,
                                              const struct weir_node *call,
                                              const struct weir_vector *arguments,
                                              struct weir_vector *ret, struct weir_error *reterr);

struct weir_function {
    const char *name;      /* lower case, as written in SQL; operators: "+", "||", "->>" */
    const char *group;     /* docs: "numbers", "strings", "times", "lists", ... */
    const char *signature; /* docs: "split_part(text, separator, n) -> string" */
    const char *doc;       /* one sentence */
    int flags;
    int argument_min, argument_max; /* max -1: any number */
    weir_function_bind bind;
    weir_function_evaluate evaluate;
    /* Once per bound call, may be NULL: compile a regular expression, read a time zone, ... when
     * the arguments it needs are constants. Into call->prepared, in the arena. */
    weir_status (*prepare)(struct weir_arena *arena, struct weir_node *call,
                           struct weir_error *reterr);
};

const struct weir_function *weir_function_find(const char *name); /* NULL = no such */
/* All, in order of group and name. */
const struct weir_function *const *weir_function_all(size_t *ret_count);
/* The nearest known name within three edits, or NULL. */
const char *weir_function_nearest(const char *name);

/* ---- making nodes (all in the arena) ---- */

weir_status weir_node_new(struct weir_arena *arena, enum weir_node_kind kind,
                          uint32_t argument_count, int location, struct weir_node **ret_node,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_column(struct weir_arena *arena, uint32_t index, const struct weir_type *type,
                             int location, struct weir_node **ret_node,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_long(struct weir_arena *arena, int64_t value, struct weir_node **ret_node,
                           struct weir_error *reterr) WEIR_MUST_CHECK; /* type long */
weir_status weir_node_int(struct weir_arena *arena, int32_t value, struct weir_node **ret_node,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_boolean(struct weir_arena *arena, bool value, struct weir_node **ret_node,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_text(struct weir_arena *arena, const char *text, size_t size,
                           struct weir_node **ret_node, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_null(struct weir_arena *arena, const struct weir_type *type,
                           struct weir_node **ret_node, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Row `row` of a vector as a constant (copied). */
weir_status weir_node_value(struct weir_arena *arena, const struct weir_vector *vector,
                            uint32_t row, struct weir_node **ret_node,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_node_and(struct weir_arena *arena, struct weir_node *a /* may be NULL */,
                          struct weir_node *b /* may be NULL */, struct weir_node **ret_node,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* a <compare> b after both were brought to one type (USAGE if they cannot be). */
weir_status weir_node_compare(struct weir_arena *arena, enum weir_compare compare,
                              struct weir_node *a, struct weir_node *b, int location,
                              struct weir_node **ret_node,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* A call by name: finds the function, checks the number of arguments, binds, prepares. */
weir_status weir_node_call(struct weir_arena *arena, const char *name, struct weir_node **arguments,
                           uint32_t argument_count, int location, struct weir_node **ret_node,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* `node` itself if it has the type already (an unknown literal is read as it, exactly); else a
 * CAST. implicit: only PostgreSQL's implicit casts (int->long->decimal->float->double,
 * date->timestamp-> timestamptz (UTC), lists and structs of such); else every cast there is. USAGE:
 * no such cast. */
weir_status weir_node_cast(struct weir_arena *arena, struct weir_node *node,
                           const struct weir_type *type, bool implicit, bool try,
                           struct weir_node **ret_node, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The one type both can be brought to implicitly (comparison, CASE, UNION, lists); unknown literals
 * count for nothing. false: none. */
bool weir_type_common(const struct weir_node *a, const struct weir_node *b,
                      struct weir_type *ret_type);
/* All nodes to their common type, in place. `what` for the error: "CASE", "UNION". */
weir_status weir_nodes_unify(struct weir_arena *arena, struct weir_node **nodes, uint32_t count,
                             const char *what, struct weir_type *ret_type,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* Replaces subtrees that hold constants only by their values (errors stay unfolded: they are the
 * row's, if a row comes). */
weir_status weir_node_fold(struct weir_arena *arena, struct weir_node *node,
                           struct weir_node **ret_node, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Deep copy; each COLUMN node goes through `replace` (NULL: kept). */
weir_status weir_node_copy(
    struct weir_arena *arena, const struct weir_node *node,
    weir_status (*replace)(void *self, struct weir_arena *arena, const struct weir_node *column,
                           struct weir_node **ret_node, struct weir_error *reterr),
    void *self, struct weir_node **ret_node, struct weir_error *reterr) WEIR_MUST_CHECK;
bool weir_node_equal(const struct weir_node *a, const struct weir_node *b); /* same tree */
/* Calls visit for every node, parents first; false from visit: not into its arguments. */
void weir_node_walk(const struct weir_node *node,
                    bool (*visit)(void *self, const struct weir_node *node), void *self);
/* As SQL, for EXPLAIN and errors; columns by `names` (NULL: #index). Appended to the buffer. */
weir_status weir_node_print(const struct weir_node *node, const char *const *names,
                            struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- evaluation ---- */

struct weir_evaluation {
    const struct weir_batch *batch;
    struct weir_arena *arena;
    uint32_t count;  /* rows: batch->count */
    uint8_t *failed; /* bitmap of rows that met an error; NULL = none so far */
    /* The first failure met, for the message; valid while `failed` is. */
    const struct weir_node *failed_node;
    char failed_text[160];
};

/* Value of the node for every row (kind any; a row that failed is null there). Failures are marked
 * in evaluation->failed, not returned. */
weir_status weir_node_evaluate(struct weir_evaluation *evaluation, const struct weir_node *node,
                               struct weir_vector *ret_value,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same where no row may fail: FAILED with the text and "line:column" left to the caller through
 * ret_location (may be NULL). What operators call. */
weir_status weir_node_value_of(const struct weir_node *node, const struct weir_batch *batch,
                               struct weir_arena *arena, struct weir_vector *ret_value,
                               int *ret_location, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows for which a boolean node is true. Evaluates conjuncts one by one, each over the rows left
 * when that pays. rows NULL and count = batch->count when all are. */
weir_status weir_node_select(const struct weir_node *node, const struct weir_batch *batch,
                             struct weir_arena *arena, struct weir_selection *ret_selection,
                             int *ret_location, struct weir_error *reterr) WEIR_MUST_CHECK;

/* For functions. */
/* Row fails: "division by zero", "integer out of range". Printf form is cut at 159 bytes; no values
 * of records in it. */
weir_status weir_evaluation_fail(struct weir_evaluation *evaluation, const struct weir_node *node,
                                 uint32_t row, struct weir_error *reterr, const char *format,
                                 ...) WEIR_MUST_CHECK WEIR_PRINTF(5, 6);
/* A flat vector of the type with room for evaluation->count rows (fixed width and boolean: values
 * there; strings: offsets there, values by the caller). validity as set before stays. */
weir_status weir_result_flat(struct weir_evaluation *evaluation, const struct weir_type *type,
                             struct weir_vector *ret, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Any vector kind read by row: base[weir_lane(&lane, row)]. */
struct weir_lane {
    const struct weir_vector *flat; /* the dictionary, or the vector itself */
    const uint32_t *indices;        /* DICTIONARY, else NULL */
    const uint8_t *validity;        /* per row (CONSTANT: row 0) or NULL */
    uint32_t mask;                  /* 0 for CONSTANT, else UINT32_MAX */
};
static inline struct weir_lane weir_lane_of(const struct weir_vector *vector)
{
    bool dictionary = vector->kind == WEIR_DICTIONARY;
    return (struct weir_lane){.flat = dictionary ? vector->dictionary : vector,
                              .indices = dictionary ? vector->indices : NULL,
                              .validity = vector->validity,
                              .mask = vector->kind == WEIR_CONSTANT ? 0 : UINT32_MAX};
}
static inline uint32_t weir_lane(const struct weir_lane *lane, uint32_t row)
{
    return lane->indices ? lane->indices[row] : row & lane->mask;
}
static inline bool weir_lane_valid(const struct weir_lane *lane, uint32_t row)
{
    return !lane->validity || weir_bit_get(lane->validity, row & lane->mask);
}
/* Bytes of a string, binary, uuid, fixed or fixed-width value. */
static inline struct weir_bytes weir_lane_bytes(const struct weir_lane *lane, uint32_t row)
{
    uint32_t at = weir_lane(lane, row);
    const struct weir_vector *flat = lane->flat;
    const uint8_t *values = (const uint8_t *)flat->values;
    if (flat->offsets)
        return (struct weir_bytes){values + flat->offsets[at],
                                   (size_t)(flat->offsets[at + 1] - flat->offsets[at])};
    uint32_t width = weir_type_width(flat->type);
    return (struct weir_bytes){values + (size_t)at * width, width};
}

/* ---- order and equality of values: one definition for ORDER BY, comparison, grouping ----
 * NaN equals NaN and is above everything, -0.0 = 0.0, text by bytes, nested lexicographic, nulls
 * inside nested values equal and last. Rows must be valid at top level. */
int weir_value_order(const struct weir_vector *a, uint32_t row_a, const struct weir_vector *b,
                     uint32_t row_b);
/* Hash of each row's value, consistent with equality, mixed into hashes[i] (mix: hashes holds
 * earlier columns' hashes). Null has a hash of its own. */
void weir_vector_hash(const struct weir_vector *vector, uint32_t count, bool mix, uint64_t *hashes);

/* ---- vectors of any kind ---- */
/* The value as text, as CAST(... AS string) and the prompt print it; appended. */
weir_status weir_value_print(const struct weir_vector *vector, uint32_t row,
                             struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows picked: a DICTIONARY over the same values for strings, a copy for fixed width, a deep gather
 * for nested. Cheap; the result points into the source where it can. */
weir_status weir_vector_slice(struct weir_arena *arena, const struct weir_vector *vector,
                              const uint32_t *rows, uint32_t count, struct weir_vector *ret_vector,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_vector_flatten(struct weir_arena *arena, const struct weir_vector *vector,
                                struct weir_vector *ret_vector,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
