/* Physical plans: a tree of operators that engine/exec runs. Made by engine/sql, or by hand in
 * tests. Everything lives in the plan's arena; expressions address their operator's input by
 * position. */
#ifndef WEIR_ENGINE_EXEC_PLAN_H
#define WEIR_ENGINE_EXEC_PLAN_H

#include "engine/expr/ir.h"
#include "engine/vec/scan.h"

enum weir_operator_kind {
    WEIR_OP_SCAN,
    WEIR_OP_VALUES, /* rows of constant expressions; no rows needs no columns: SELECT 1 has one row
                     */
    WEIR_OP_FILTER,
    WEIR_OP_PROJECT,
    WEIR_OP_AGGREGATE,
    WEIR_OP_JOIN,
    WEIR_OP_SORT, /* with limit: TopN */
    WEIR_OP_LIMIT,
    WEIR_OP_WINDOW,
    WEIR_OP_UNION_ALL,
    WEIR_OP_SET, /* INTERSECT, EXCEPT, each [ALL]: children of equal types */
    WEIR_OP_UNNEST,
    WEIR_OP_SHARED,    /* a CTE or common subplan used more than once: runs once, read by several */
    WEIR_OP_RECURSIVE, /* children[0], then children[1] over the rows of the round before until
                          there are none; unless `all` each row once */
    WEIR_OP_WORKING /* the rows of the round before of `recursive`, whose child 1 this is part of */
};

enum weir_join_kind {
    WEIR_JOIN_INNER,
    WEIR_JOIN_LEFT,  /* every row of children[0] (the probe side) */
    WEIR_JOIN_RIGHT, /* every row of children[1] (the build side) */
    WEIR_JOIN_FULL,
    WEIR_JOIN_SEMI,       /* rows of children[0] that have a partner */
    WEIR_JOIN_ANTI,       /* rows of children[0] that have none (NOT EXISTS) */
    WEIR_JOIN_RIGHT_SEMI, /* rows of children[1], the build side, that have a partner */
    WEIR_JOIN_RIGHT_ANTI,
    WEIR_JOIN_MARK,  /* children[0] and one boolean: three-valued `left keys IN (right keys)` */
    WEIR_JOIN_SINGLE /* LEFT, and a second partner is an error: a scalar subquery */
};

struct weir_aggregate_function; /* engine/exec/aggregate.h */

struct weir_aggregate_call {
    const struct weir_aggregate_function *function;
    struct weir_node **arguments;
    uint32_t argument_count;
    uint32_t constant_count;  /* arguments behind those, which are in `prepared`: a fraction */
    struct weir_node *filter; /* FILTER (WHERE ...), or NULL */
    bool distinct;
    struct weir_node **order; /* ORDER BY inside the call */
    const bool *order_descending, *order_nulls_first;
    uint32_t order_count;
    struct weir_type type; /* of the result */
    int location;
    const void *prepared; /* the function's own: constants of its arguments (a quantile) */
};

enum weir_frame_unit { WEIR_FRAME_ROWS, WEIR_FRAME_RANGE, WEIR_FRAME_GROUPS };
enum weir_frame_bound {
    WEIR_UNBOUNDED_PRECEDING,
    WEIR_PRECEDING,
    WEIR_CURRENT_ROW,
    WEIR_FOLLOWING,
    WEIR_UNBOUNDED_FOLLOWING
};
enum weir_frame_exclude {
    WEIR_EXCLUDE_NOTHING,
    WEIR_EXCLUDE_CURRENT,
    WEIR_EXCLUDE_GROUP,
    WEIR_EXCLUDE_TIES
};
struct weir_window_call {
    const char *name; /* row_number, rank, dense_rank, percent_rank, cume_dist, ntile, lag, lead,
                         first_value, last_value, nth_value, session; NULL: an aggregate */
    struct weir_aggregate_call aggregate; /* of a pure window function: arguments, filter and type
                                             only */
    bool ignore_nulls;
    enum weir_frame_unit unit;
    enum weir_frame_bound start, end;
    struct weir_node *start_offset, *end_offset; /* constant expressions; NULL = none */
    enum weir_frame_exclude exclude;
};

struct weir_operator_counters {
    atomic_ullong rows_out, batches_out;
    atomic_ullong nanoseconds; /* of CPU, summed over threads, own work without children */
    atomic_ullong bytes_spilled, memory_peak;
    /* SCAN: what the source says of itself */
    atomic_ullong bytes_read, bytes_skipped, files_skipped, row_groups_skipped;
};

struct weir_operator {
    enum weir_operator_kind kind;
    struct weir_type type; /* STRUCT: output columns */
    struct weir_operator **children;
    uint32_t child_count;
    double estimated_rows;
    struct weir_operator_counters counters;

    /* SCAN */
    const struct weir_table_source *source;
    const char *source_name;
    struct weir_type wanted; /* = type */
    struct weir_predicate *predicates;
    size_t predicate_count;
    struct weir_node *filter; /* SCAN, FILTER: boolean over the input (SCAN: over wanted);
                                 JOIN: over children[0]'s columns then children[1]'s, beyond keys */
    /* Semi-join filters that joins above leave here when their build side is done: this scan's
     * column `runtime[i].column` must be among build keys `key` of join `join`. */
    struct weir_runtime_filter {
        struct weir_operator *join;
        uint32_t key;
        uint32_t column;
    } * runtime;
    uint32_t runtime_count;

    /* VALUES: row-major expressions without columns */
    struct weir_node **values;
    uint64_t value_row_count;

    /* PROJECT: one a column. AGGREGATE: group keys. UNNEST, WINDOW: see below */
    struct weir_node **expressions;
    uint32_t expression_count;

    /* AGGREGATE: output = keys, then calls, then (with grouping sets) nothing more: GROUPING() is
     * rewritten by the binder over `grouping_sets`' number, given as a last int column when
     * set_count > 1. Bit k of sets[i] set: key k is part of set i, else null. set_count 0: one set
     * of all keys. No keys: one row, even without input. */
    struct weir_aggregate_call *aggregates;
    uint32_t aggregate_count;
    const uint64_t *sets;
    uint32_t set_count;

    /* JOIN: output = columns of children[0], then of children[1] (SEMI, ANTI: only [0]; RIGHT_SEMI,
     * RIGHT_ANTI: only [1]; MARK: [0] and the mark). Keys pairwise of one type; null_safe[i]: IS
     * NOT DISTINCT FROM. key_count 0: nested loop by filter. children[1] is the build side. */
    enum weir_join_kind join;
    struct weir_node **left_keys, **right_keys;
    const bool *null_safe;
    uint32_t key_count;

    /* SORT: keys are columns of the input (the planner projects expressions first). WINDOW: keys =
     * order within partitions. */
    const struct weir_sort_key *sort_keys;
    uint32_t sort_key_count;
    int64_t limit, offset; /* SORT, LIMIT: limit -1 = none */

    /* WINDOW: output = input columns, then one column a call. */
    const uint32_t *partition_columns;
    uint32_t partition_count;
    struct weir_window_call *windows;
    uint32_t window_count;

    /* SET */
    bool except, all;

    /* UNNEST: output = input columns, then for each expression (a list: its element; a map: key,
     * value) its column(s), then the 1-based ordinal if `ordinality`. Several expressions run side
     * by side, the shorter padded with nulls. outer: a row of an empty or null list stays, once. */
    bool outer, ordinality;

    struct weir_operator *recursive; /* WORKING */

    void *state; /* engine/exec's own, while it runs */
};

struct weir_spill; /* engine/exec/spill.h */

struct weir_exec_options {
    struct weir_context *context; /* threads, stop, deadline */
    struct weir_account *account; /* all memory of the run: its limit is what is spilled by */
    struct weir_spill *spill;     /* NULL: no spilling, NO_MEMORY instead */
    uint32_t batch_rows;          /* 0 = WEIR_BATCH_ROWS */
    enum weir_vector_kind force;  /* tests: every scanned and projected vector made this kind where
                                     it can be; WEIR_FLAT = no forcing */
    bool timed;                   /* EXPLAIN ANALYZE: fill counters.nanoseconds */
    void (*progress)(void *self, double share); /* may be NULL; one thread at a time */
    void *progress_self;
};

/* Receives the result's batches in order, one thread at a time; valid during the call. STOPPED-like
 * statuses pass through. */
struct weir_result_sink {
    weir_status (*batch)(void *self, const struct weir_batch *batch, struct weir_error *reterr);
    void *self;
};

/* Runs the plan to its end. Results are the same bits for any number of threads. An expression's
 * failure is FAILED with its text; *ret_location (may be NULL) the byte of the SQL it came from, or
 * -1. */
weir_status weir_execute(const struct weir_exec_options *options, struct weir_operator *root,
                         const struct weir_result_sink *sink, int *ret_location,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
