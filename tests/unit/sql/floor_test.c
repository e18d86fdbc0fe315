/* Which column of a query bounds a table's time from below, over every form of query; what is not
 * sure is no bound. */
#include "engine/sql/sql.h"
#include "scheduler/query/query.h"
#include "scheduler/query/rows_source.h"

#include <criterion/criterion.h>
#include <string.h>

/* The first column of the query as SQL over bronze.p; wanted NULL: it is no bound. */
static void floor_is(const char *text, const char *wanted)
{
    static const char *const types[2] = {"struct<id:long, at:timestamptz, day:date, n:long>",
                                         "struct<id:long, at:timestamptz, city:string>"};
    struct weir_context context;
    struct weir_arena arena;
    struct weir_query_session *session;
    struct weir_table_source sources[2];
    struct weir_query_name names[2];
    struct weir_operator *root;
    struct weir_error error = {0};
    char *got;
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    struct weir_query_options options = {.context = &context};
    cr_assert_eq(weir_query_session_new(&options, &session, &error), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        struct weir_type type;
        cr_assert_eq(weir_type_parse(&arena, types[i], &type, &error), WEIR_OK);
        cr_assert_eq(query_rows_new(&context.memory, &type, &sources[i], &error), WEIR_OK);
        names[i] = (struct weir_query_name){.name = i ? "bronze.q" : "bronze.p",
                                            .source = &sources[i]};
    }
    weir_query_names_set(session, names, 2);
    cr_assert_eq(weir_query_plan(session, &arena, text, &root, NULL, &error), WEIR_OK, "%s: %s",
                 text, error.text);
    cr_assert_eq(weir_sql_floor(&arena, root, &sources[0], "at", 0, &got, &error), WEIR_OK);
    cr_expect(got && wanted ? strcmp(got, wanted) == 0 : !got && !wanted, "%s\n got %s, not %s",
              text, got ? got : "no bound", wanted ? wanted : "no bound");
    weir_query_session_free(session);
    for (int i = 0; i < 2; i++)
        sources[i].operations->free(sources[i].self);
    weir_arena_done(&arena);
    weir_context_done(&context);
}

Test(floor, times)
{
    floor_is("SELECT at, count(*) FROM bronze.p GROUP BY 1", "\"at\"");
    floor_is("SELECT date_trunc('hour', at), count(*) FROM bronze.p GROUP BY 1",
             "date_trunc('hour', \"at\")");
    floor_is("SELECT date_trunc('day', at)::date, count(*) FROM bronze.p GROUP BY 1",
             "CAST(date_trunc('day', \"at\") AS date)");
    floor_is("SELECT at::date, count(*) FROM bronze.p GROUP BY 1", "CAST(\"at\" AS date)");
}

Test(floor, not_a_floor)
{
    floor_is("SELECT day, count(*) FROM bronze.p GROUP BY 1", NULL);
    floor_is("SELECT n, count(*) FROM bronze.p GROUP BY 1", NULL);
    floor_is("SELECT at + INTERVAL '1 day', count(*) FROM bronze.p GROUP BY 1", NULL);
    floor_is("SELECT max(at) FROM bronze.p GROUP BY id", NULL);
    floor_is("SELECT CASE WHEN n > 1 THEN at END, count(*) FROM bronze.p GROUP BY 1", NULL);
    floor_is("SELECT extract(year FROM at), count(*) FROM bronze.p GROUP BY 1", NULL);
    floor_is("SELECT q.at, count(*) FROM bronze.p p JOIN bronze.q q ON q.id = p.id GROUP BY 1",
             NULL);
}

Test(floor, through_operators)
{
    floor_is("SELECT p.at, q.city FROM bronze.p p LEFT JOIN bronze.q q ON q.id = p.id", "\"at\"");
    floor_is("SELECT p.at FROM bronze.q q JOIN bronze.p p ON q.id = p.id", "\"at\"");
    floor_is("WITH d AS (SELECT id, date_trunc('day', at) AS d, count(*) AS n FROM bronze.p GROUP "
             "BY 1, 2) SELECT d, max(n) FROM d WHERE n > 1 GROUP BY d",
             "date_trunc('day', \"at\")");
    floor_is("SELECT at FROM bronze.p UNION ALL SELECT at FROM bronze.q", "\"at\"");
    floor_is("SELECT at FROM bronze.p UNION ALL SELECT at + INTERVAL '1 h' FROM bronze.p", NULL);
    floor_is("SELECT at FROM bronze.p p WHERE EXISTS (SELECT 1 FROM bronze.q q WHERE q.id = p.id)",
             "\"at\"");
}

/* Rows of other times have a say. */
Test(floor, other_rows)
{
    floor_is("SELECT a.at FROM bronze.p a JOIN bronze.p b ON a.id = b.id", NULL);
    floor_is("SELECT at, lag(n) OVER (ORDER BY at) FROM bronze.p", NULL);
    floor_is("SELECT at, lag(n) OVER (PARTITION BY id ORDER BY at) FROM bronze.p", NULL);
    floor_is("SELECT at, row_number() OVER (PARTITION BY at ORDER BY n) FROM bronze.p", "\"at\"");
    floor_is("SELECT at FROM bronze.p ORDER BY at LIMIT 10", NULL);
    floor_is("SELECT DISTINCT ON (id) at FROM bronze.p ORDER BY id, at DESC", NULL);
    floor_is("SELECT at, count(*) FROM bronze.p GROUP BY ROLLUP (at)", NULL);
    floor_is("SELECT DISTINCT at FROM bronze.p", "\"at\"");
    floor_is("SELECT at FROM bronze.p EXCEPT SELECT at FROM bronze.q", NULL);
    floor_is("SELECT at, n - (SELECT min(n) FROM bronze.p) FROM bronze.p", NULL);
    floor_is("SELECT at FROM bronze.q q WHERE EXISTS (SELECT 1 FROM bronze.p p WHERE p.id = q.id)",
             NULL);
}
