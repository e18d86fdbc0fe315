/* Logical plans. Private to the room.
 *
 * Every column that a plan makes has a number of its own, unique in the statement; expressions name
 * columns by number wherever they stand, so that conditions can move and subqueries can look
 * outside without renaming. Only physical.c turns numbers into positions.
 *
 * A subquery that looks outside has free columns: numbers it uses and does not make. decorrelate.c
 * removes them. */
#ifndef WEIR_ENGINE_SQL_LOGICAL_INT_H
#define WEIR_ENGINE_SQL_LOGICAL_INT_H

#include "engine/exec/aggregate.h"
#include "engine/expr/bind.h"
#include "engine/sql/sql.h"

enum logical_kind {
    LOGICAL_SCAN,
    LOGICAL_VALUES,
    LOGICAL_FILTER,
    LOGICAL_PROJECT,
    LOGICAL_AGGREGATE,
    LOGICAL_JOIN,
    LOGICAL_SORT,
    LOGICAL_LIMIT,
    LOGICAL_WINDOW,
    LOGICAL_UNION,
    LOGICAL_SET,
    LOGICAL_UNNEST,
    LOGICAL_SHARED,
    LOGICAL_RECURSIVE, /* children: the first rows, the rounds; child_columns as of UNION */
    LOGICAL_WORKING    /* rows of the round before */
};

struct nodes { /* a growing list of expressions */
    struct weir_node **items;
    uint32_t count, capacity;
};
struct numbers {
    uint32_t *items;
    uint32_t count, capacity;
};

/* A set of column numbers. */
struct columns {
    uint64_t *words;
    uint32_t word_count;
};

struct sort_item {
    struct weir_node *node;
    bool descending, nulls_first;
};

struct shared { /* a plan that is read more than once */
    struct logical *plan;
    struct numbers columns; /* of plan, in order */
    bool decorrelated, optimized;
    struct weir_operator *operator; /* once made */
    struct numbers positions;       /* columns of operator */
};

struct recursion {                  /* between RECURSIVE and its WORKINGs */
    struct numbers columns;         /* of RECURSIVE */
    struct weir_operator *operator; /* once begun */
};

struct logical {
    enum logical_kind kind;
    struct logical **children;
    uint32_t child_count;

    /* Columns this node makes. SCAN, VALUES, PROJECT (one an expression; a column may pass under
     * its own number), AGGREGATE (keys, calls, then the set's number), WINDOW (one a call), UNNEST,
     * UNION and SET (child_columns[i] give them), SHARED, MARK joins (one). */
    struct numbers columns;
    struct nodes expressions; /* PROJECT; AGGREGATE: keys; UNNEST: lists */
    struct nodes conditions;  /* FILTER, JOIN, SCAN: all must hold */

    const struct weir_table_source *source; /* SCAN */
    const char *name;
    struct numbers fields; /* SCAN: number of each column in the source's schema */

    struct weir_node **values; /* VALUES: row-major */
    uint64_t row_count;

    struct weir_aggregate_call *calls; /* AGGREGATE */
    uint32_t call_count;
    uint64_t *sets;
    uint32_t set_count;

    enum weir_join_kind join;
    bool lateral; /* JOIN: children[1] may look at children[0] */

    struct sort_item *sort; /* SORT; WINDOW: order in partitions */
    uint32_t sort_count;
    int64_t limit, offset; /* SORT, LIMIT: limit -1 = none */

    struct nodes partition; /* WINDOW */
    struct weir_window_call *windows;
    uint32_t window_count;

    struct numbers *child_columns; /* UNION, SET */
    bool except, all;              /* SET */
    bool outer, ordinality;        /* UNNEST */
    struct shared *shared;         /* SHARED */
    struct recursion *recursion;   /* RECURSIVE, WORKING */

    double rows; /* estimate; < 0 = not yet */
    bool estimated;
};

struct column {
    const char *name;
    struct weir_type type;
    double distinct;  /* estimate; 0 = not known */
    double low, high; /* of numbers and times, when has_range */
    bool has_range;
    bool null; /* NULL and nothing else: any type may be made of it, as UNION does */
};

struct sql {
    struct weir_arena *arena;
    const struct weir_sql_options *options;
    struct column *columns;
    uint32_t column_count, column_capacity;
    struct weir_binder binder; /* the one at work: location of errors */
    const char *text;
    struct weir_table_name *rewritten; /* tables the grammar has no words for; rewrite.c */
    size_t rewritten_count;
    struct parsed *views; /* their trees live as long as the statement's */
    int view_depth;
    int depth;
};

/* ---- util.c ---- */
weir_status sql_column_new(struct sql *sql, const char *name, const struct weir_type *type,
                           uint32_t *ret_column, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sql_column_node(struct sql *sql, uint32_t column, int location, struct weir_node **ret,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status nodes_add(struct sql *sql, struct nodes *nodes, struct weir_node *node,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status numbers_add(struct sql *sql, struct numbers *numbers, uint32_t number,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
bool numbers_have(const struct numbers *numbers, uint32_t number);
weir_status logical_new(struct sql *sql, enum logical_kind kind, struct logical *child,
                        struct logical *other, struct logical **ret,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Takes AND apart, all the way down. */
weir_status conjuncts(struct sql *sql, struct weir_node *node, struct nodes *into,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status filter_on(struct sql *sql, struct logical *child, const struct nodes *conditions,
                      struct logical **ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Column numbers that come out of the plan, in no special order but a stable one. */
weir_status logical_output(struct sql *sql, const struct logical *plan, struct numbers *ret,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status columns_new(struct sql *sql, struct columns *ret,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
static inline bool columns_have(const struct columns *set, uint32_t column)
{
    return column / 64 < set->word_count && (set->words[column / 64] >> (column % 64) & 1);
}
weir_status columns_add(struct sql *sql, struct columns *set, uint32_t column,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
bool columns_within(const struct columns *set, const struct columns *of); /* set is part of `of` */
bool columns_meet(const struct columns *a, const struct columns *b);
bool columns_empty(const struct columns *set);
weir_status columns_of_output(struct sql *sql, const struct logical *plan, struct columns *ret,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* Adds the columns a node uses. */
weir_status columns_of_node(struct sql *sql, const struct weir_node *node, struct columns *into,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Columns used and not made inside the plan. */
weir_status columns_free(struct sql *sql, const struct logical *plan, struct columns *ret,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* Every expression of one plan node (not of its children): visit may replace it. */
typedef weir_status (*visit_node)(void *self, struct weir_node **node, struct weir_error *reterr);
weir_status logical_visit(struct logical *plan, visit_node visit, void *self,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Columns replaced by expressions, in a node or in a whole plan. map: by column number, NULL =
 * kept. */
struct replacement {
    struct weir_node **map;
    uint32_t count;
};
weir_status replacement_new(struct sql *sql, struct replacement *ret,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status replace_node(struct sql *sql, const struct replacement *replacement,
                         const struct weir_node *node, struct weir_node **ret,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status replace_plan(struct sql *sql, const struct replacement *replacement,
                         struct logical *plan, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- the stages, in order ---- */
/* names[i]: of result column columns->items[i]. */
weir_status sql_bind_query(struct sql *sql, const PgQuery__SelectStmt *select,
                           struct logical **ret_plan, struct numbers *ret_columns,
                           const char ***ret_names, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sql_decorrelate(struct sql *sql, struct logical **plan,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sql_optimize(struct sql *sql, struct logical **plan, const struct numbers *columns,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sql_estimate(struct sql *sql, struct logical *plan,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sql_physical(struct sql *sql, struct logical *plan, const struct numbers *columns,
                         const char *const *names, struct weir_operator **ret_root,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
