/* SQL text -> a physical plan. PostgreSQL's grammar (libpg_query) and semantics over Iceberg's
 * types.
 *
 * The text is rewritten token by token, places kept, where the grammar lacks what a lake needs:
 * FROM 'file' and FROM t FOR VERSION AS OF / FOR TIMESTAMP AS OF. */
#ifndef WEIR_ENGINE_SQL_SQL_H
#define WEIR_ENGINE_SQL_SQL_H

#include "engine/exec/plan.h"

/* How a table is named in FROM. */
struct weir_table_name {
    const char *parts[4]; /* "silver","device" or "t","snapshots"; or one path */
    size_t part_count;
    bool is_path;          /* FROM 'lake/x.parquet' */
    const char *version;   /* FOR VERSION AS OF: a snapshot id, tag or branch; NULL = none */
    const char *timestamp; /* FOR TIMESTAMP AS OF: text; NULL = none */
};

struct weir_sql_catalog {
    /* *ret_source stays the catalog's. NOT_FOUND when there is no such table. */
    weir_status (*table)(void *self, const struct weir_table_name *name,
                         const struct weir_table_source **ret_source, struct weir_error *reterr);
    /* The query that a name stands for (a view), or *ret_sql NULL; asked first. The text stays the
     * catalog's. May be NULL. */
    weir_status (*view)(void *self, const struct weir_table_name *name, const char **ret_sql,
                        struct weir_error *reterr);
    /* The type of a column (a dotted path) that a table has and cannot give, or NULL. May be NULL.
     */
    const char *(*refused)(void *self, const struct weir_table_source *source, const char *path);
    /* The nearest name there is, for "did you mean", or NULL. May be NULL. */
    const char *(*nearest)(void *self, const char *name);
    void *self;
};

enum weir_sql_kind { WEIR_SQL_QUERY, WEIR_SQL_EXPLAIN, WEIR_SQL_EXPLAIN_ANALYZE };

struct weir_sql_options {
    const struct weir_sql_catalog *catalog;
    int64_t now_micros;
    bool unoptimized; /* tests: only what is needed to run at all */
};

struct weir_sql_plan {
    enum weir_sql_kind kind;
    struct weir_operator *root; /* type: the result's columns, names as SQL gives them */
};

/* One statement: SELECT, VALUES, WITH, TABLE, EXPLAIN [ANALYZE]. Anything that writes is refused.
 * Plan in the arena. USAGE: *ret_location is the byte of `text` it is at, or -1. */
weir_status weir_sql_plan(struct weir_arena *arena, const char *text,
                          const struct weir_sql_options *options, struct weir_sql_plan *ret_plan,
                          int *ret_location, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Tables a query reads, in order of first appearance, without binding it; for the graph of models.
 */
weir_status weir_sql_tables(struct weir_arena *arena, const char *text,
                            struct weir_table_name **ret_names, size_t *ret_count,
                            int *ret_location, struct weir_error *reterr) WEIR_MUST_CHECK;

/* What changed rows of `source` can change in the rows of a plan, of which `columns` (of the root)
 * name a group: the query over the changed rows alone yields
 *   ROWS    exactly the rows that come or go
 *   GROUPS  every group that changes (weir_sql_without_having first), but not what it becomes
 *   ALL     nothing to rely on
 * NONE: the plan does not read it. A filter of groups belongs to ROWS' and GROUPS' steps. */
enum weir_reach { WEIR_REACH_NONE, WEIR_REACH_ROWS, WEIR_REACH_GROUPS, WEIR_REACH_ALL };
enum weir_reach weir_sql_reach(const struct weir_operator *root,
                               const struct weir_table_source *source, const uint32_t *columns,
                               uint32_t count);
/* Is the plan's column, for every row that a row of the table comes into, that row's `name` or the
 * start of the hour, day, ... it is in? *ret_text: it as SQL over the table's row, in the arena;
 * NULL: no, or not to be told from the plan. So a group whose value lies at or above a time has no
 * row of the table from before it. */
weir_status weir_sql_floor(struct weir_arena *arena, const struct weir_operator *root,
                           const struct weir_table_source *source, const char *name,
                           uint32_t column, char **ret_text,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Leaves out filters above aggregates and windows: what they say of changed rows alone is not what
 * they say of the group. */
void weir_sql_without_having(struct weir_operator **root);

/* Leaves out the branches of each UNION ALL that read neither of the two (NULL: none), where
 * another one does: of changed rows alone they tell nothing. false: the plan reads neither at all.
 */
bool weir_sql_only_reading(struct weir_operator *root, const struct weir_table_source *one,
                           const struct weir_table_source *other);

/* Length of the first statement of a script, its semicolon included; 0 when only blanks and
 * comments are left. */
size_t weir_sql_statement_size(const char *text, size_t size);

/* The plan as a tree, one line an operator; with what it did, after a run (analyze). */
weir_status weir_sql_explain(const struct weir_operator *root, bool analyze,
                             struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;

/* The line of the text with a caret below the byte, as errors show it; "" when location < 0. */
weir_status weir_sql_excerpt(const char *text, int location, struct weir_buffer *out,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_sql_place(const char *text, int location, int *ret_line, int *ret_column);

#endif
