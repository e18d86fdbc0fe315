/* Views: names that stand for a query. The query is bound where the name stands, with nothing of
 * the outer text in sight. */
#include "engine/base/limits.h"
#include "engine/sql/query_int.h"
#include "engine/sql/rewrite_int.h"

static weir_status bind(struct sql *sql, const char *text, struct logical **ret_plan,
                        struct numbers *ret_columns, const char ***ret_names, int *ret_location,
                        struct weir_error *reterr)
{
    struct parsed *parsed;
    const PgQuery__SelectStmt *select;
    WEIR_TRY(weir_arena_zero(sql->arena, 1, sizeof *parsed, &parsed, reterr));
    sql->binder.location = -1;
    weir_status status = sql_parse(sql, text, parsed, reterr);
    parsed->next = sql->views;
    sql->views = parsed;
    if (status == WEIR_OK)
        status = parsed_select(parsed, NULL, &select, reterr);
    if (status == WEIR_OK)
        status = query_select(sql, NULL, NULL, select, ret_plan, ret_columns, ret_names, reterr);
    *ret_location = sql->binder.location < 0
                        ? -1
                        : sql_original(&parsed->rewritten, sql->binder.location);
    return status;
}

weir_status query_view(struct query *query, const char *name, const char *text, int location,
                       struct logical **ret_plan, struct numbers *ret_columns,
                       const char ***ret_names, struct weir_error *reterr)
{
    struct sql *sql = query->sql;
    struct weir_table_name *rewritten = sql->rewritten;
    size_t rewritten_count = sql->rewritten_count;
    int at, line, column;
    if (sql->view_depth == WEIR_SQL_VIEW_DEPTH_MAX)
        return weir_bind_wrong(&sql->binder, location, reterr,
                               "views within views, more than %d deep: does %s read itself?",
                               WEIR_SQL_VIEW_DEPTH_MAX, name);
    sql->view_depth++;
    weir_status status = bind(sql, text, ret_plan, ret_columns, ret_names, &at, reterr);
    sql->view_depth--;
    sql->rewritten = rewritten;
    sql->rewritten_count = rewritten_count;
    if (status == WEIR_OK)
        return WEIR_OK;
    if (at >= 0) {
        weir_sql_place(text, at, &line, &column);
        weir_error_prefix(reterr, "in %s %d:%d", name, line, column);
    } else {
        weir_error_prefix(reterr, "in %s", name);
    }
    sql->binder.location = location;
    return status;
}
