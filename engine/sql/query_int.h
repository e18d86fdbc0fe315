/* Binding one query: what names mean, and what its clauses gather. Private to the room. */
#ifndef WEIR_ENGINE_SQL_QUERY_INT_H
#define WEIR_ENGINE_SQL_QUERY_INT_H

#include "engine/sql/logical_int.h"

struct relation {
    const char *schema, *alias; /* "" = none */
    const char **names;
    uint32_t *columns;
    bool *hidden; /* merged by USING: only by its qualified name */
    uint32_t count;
    const struct weir_table_source *source; /* NULL: not a table */
    struct relation *next;
};

struct cte {
    const char *name;
    const PgQuery__CommonTableExpr *tree;
    struct query *where; /* the query whose WITH it is in: what it may see */
    struct cte *ctes;    /* those before it */
    uint32_t references; /* in the text below */
    struct shared *shared;
    const char **names;
    bool recursive;              /* reads itself */
    bool first_part;             /* is being bound: nothing to read yet */
    struct recursion *recursion; /* its rounds are being bound */
    struct cte *next;
};

/* A subquery inside an expression: joined to the plan once that stands. */
struct pending {
    struct logical *plan;
    enum weir_join_kind join; /* MARK or SINGLE */
    struct nodes conditions;
    uint32_t mark; /* MARK: its column */
    struct pending *next;
};

struct query {
    struct sql *sql;
    struct query *outer; /* what a subquery may look at */
    struct relation *relations, *last;
    struct numbers merged; /* columns of USING: first in SELECT * */
    struct cte *ctes;
    struct logical *plan;
    struct weir_bind_scope scope;

    /* gathered while expressions are bound */
    bool aggregates_allowed, windows_allowed, unnests_allowed;
    struct nodes unnests; /* of the list of SELECT */
    struct numbers unnest_columns;
    const char *clause; /* for errors: "WHERE" */
    struct weir_aggregate_call *calls;
    struct numbers call_columns;
    uint32_t call_count, call_capacity;
    struct window *windows, *last_window;
    struct pending *pending;
    const PgQuery__SelectStmt *select;

    /* names that ORDER BY and GROUP BY may use */
    const char **output_names;
    struct weir_node **outputs;
    uint32_t output_count;
    bool outputs_first; /* ORDER BY: an output's name wins over a column's */
    bool outputs_last;  /* GROUP BY: a column's name wins */

    struct weir_node *qualify;    /* NULL: none */
    struct nodes groups;          /* expressions of GROUP BY */
    struct numbers group_columns; /* and what they are called above */
    uint64_t *sets;               /* bit k: key k is in the set */
    uint32_t set_count;
    struct nodes grouping_calls; /* GROUPING(): AGGREGATE nodes until the sets are known */
};

struct window {
    struct weir_window_call call;
    struct nodes partition;
    struct sort_item *order;
    uint32_t order_count;
    uint32_t column;
    bool placed;
    struct window *next;
};

struct targets {
    struct weir_node **nodes;
    const char **names;
    uint32_t count, capacity;
}; /* the list of SELECT */

void query_init(struct query *query, struct sql *sql, struct query *outer);
weir_status query_bind(struct query *query, const PgQuery__Node *node, struct weir_node **ret,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* Whole SELECT: columns and names of the result. */
/* view.c: the query a name stands for. location: of the name, for errors. */
weir_status query_view(struct query *query, const char *name, const char *text, int location,
                       struct logical **ret_plan, struct numbers *ret_columns,
                       const char ***ret_names, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_select(struct sql *sql, struct query *outer, struct cte *ctes,
                         const PgQuery__SelectStmt *select, struct logical **ret_plan,
                         struct numbers *ret_columns, const char ***ret_names,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_from(struct query *query, PgQuery__Node *const *items, size_t count,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_relation(struct query *query, const char *schema, const char *alias,
                           const char *const *names, const uint32_t *columns, uint32_t count,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* WHERE and ON: EXISTS and IN at the top become joins of `plan`. */
weir_status query_conditions(struct query *query, struct logical **plan, const PgQuery__Node *node,
                             const char *clause, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Joins what is pending to the plan. */
weir_status query_attach(struct query *query, struct logical **plan,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_special(struct weir_binder *binder, void *self, const PgQuery__Node *node,
                          struct weir_node **ret, struct weir_error *reterr);
weir_status query_function(struct weir_binder *binder, void *self, const PgQuery__FuncCall *call,
                           const char *name, struct weir_node **ret, struct weir_error *reterr);
weir_status query_column(struct weir_binder *binder, void *self, const char *const *names,
                         size_t count, int location, struct weir_node **ret, size_t *ret_used,
                         struct weir_error *reterr);
const char *query_nearest(void *self, const char *name);
weir_status query_order(struct query *query, PgQuery__Node *const *items, size_t count,
                        struct sort_item **ret_items, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_sort_direction(const PgQuery__SortBy *sort, bool *ret_descending,
                                 bool *ret_nulls_first);
/* A literal integer, as ORDER BY 1 has it, or NULL; which of `count` columns it means. */
const PgQuery__AConst *query_integer(const PgQuery__Node *node);
weir_status query_position(struct query *query, const PgQuery__AConst *constant, uint32_t count,
                           const char *clause, uint32_t *ret, struct weir_error *reterr);
/* ---- bind_asof.c ---- */
/* A join whose conditions are bound becomes one with the nearest partner only. */
weir_status query_asof(struct query *query, struct logical *join, int location,
                       struct logical **ret_plan, struct weir_error *reterr) WEIR_MUST_CHECK;
/* ---- bind_recursive.c ---- */
/* WITH RECURSIVE: the whole of it, and its name inside of it. */
weir_status query_recursive(struct query *query, struct cte *cte, struct logical **ret_plan,
                            struct numbers *ret_columns, const char ***ret_names,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_working(struct query *query, struct cte *cte, const PgQuery__RangeVar *range,
                          struct logical **ret_plan, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Names of an alias' column list over those there are. */
weir_status query_renamed(struct query *query, const PgQuery__Alias *alias, const char **names,
                          uint32_t count, struct weir_error *reterr) WEIR_MUST_CHECK;
/* ---- bind_star.c ---- */
weir_status target_add(struct query *query, struct targets *targets, struct weir_node *node,
                       const char *name, struct weir_error *reterr) WEIR_MUST_CHECK;
/* *, t.*, s.* and * EXCLUDE ... as the list of SELECT has them: false, it is something else. */
weir_status query_star(struct query *query, const PgQuery__Node *value, struct targets *targets,
                       bool *ret_done, struct weir_error *reterr) WEIR_MUST_CHECK;
/* ALL of GROUP BY ALL and ORDER BY ALL. */
bool query_is_all(const PgQuery__Node *node);
/* ---- bind_group.c ---- */
weir_status query_groups(struct query *query, const PgQuery__SelectStmt *select,
                         const struct targets *targets, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status query_group_plan(struct query *query, struct logical **ret,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* What was bound over the ungrouped rows: keys become their columns, others are refused. */
weir_status query_regroup(struct query *query, struct logical *plan, struct targets *targets,
                          struct weir_node **having, struct sort_item *sort, uint32_t sort_count,
                          struct nodes *distinct, struct weir_error *reterr) WEIR_MUST_CHECK;
struct cte *query_find_cte(struct query *query, const char *name);
/* In place: subtrees equal to keys[i] become column columns[i]. */
weir_status swap_equal(struct sql *sql, struct weir_node **at, const struct nodes *keys,
                       const uint32_t *columns, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status copy_text(struct sql *sql, const char *text, const char **ret,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
