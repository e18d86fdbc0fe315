/* Statements whole, from text to rows, over VALUES: what once went wrong stays right. Answers were
 * held against DuckDB's or, where it differs from PostgreSQL, PostgreSQL's rules. */
#include "tests/unit/sql/statements.h"

#define TABLES                                                                                     \
    "with t(a,b) as (values (1,10),(2,20),(3,null),(null,40)), "                                   \
    "u(a,c) as (values (1,100),(1,101),(3,300),(null,1)) "

Test(sql, a_null_outside_finds_no_null_inside)
{
    answers(TABLES "select a, (select count(*) from u where u.a = t.a) n from t order by a",
            "{\"a\":1,\"n\":2}\n{\"a\":2,\"n\":0}\n{\"a\":3,\"n\":1}\n{\"a\":null,\"n\":0}\n");
    answers(TABLES "select a from t where exists (select 1 from u where u.a = t.a union all "
                   "select 1 from u where u.a = t.a and c > 100) order by a",
            "{\"a\":1}\n{\"a\":3}\n");
    answers(TABLES "select a, (select count(*) from u where u.a is not distinct from t.a) n "
                   "from t where a is null",
            "{\"a\":null,\"n\":1}\n");
}

Test(sql, an_aggregate_of_nothing_is_still_a_row)
{
    answers(
        TABLES "select a, (select t.b from (select max(c) m from u where u.a = t.a) x) v "
               "from t order by a",
        "{\"a\":1,\"v\":10}\n{\"a\":2,\"v\":20}\n{\"a\":3,\"v\":null}\n{\"a\":null,\"v\":40}\n");
    answers(TABLES
            "select a, array(select c from u where u.a = t.a order by c) l from t order by a",
            "{\"a\":1,\"l\":[100,101]}\n{\"a\":2,\"l\":[]}\n{\"a\":3,\"l\":[300]}\n"
            "{\"a\":null,\"l\":[]}\n");
}

Test(sql, a_condition_that_takes_nulls_keeps_the_outer_join)
{
    answers("with t(a,b) as (values (1,'x'),(2,'y')) select t.a, y.b from t left join t y "
            "on y.a = t.a - 1 where coalesce(y.b, '') like '%' order by 1",
            "{\"a\":1,\"b\":null}\n{\"a\":2,\"b\":\"x\"}\n");
    answers("with t(a,b) as (values (1,'x'),(2,'y')) select t.a, y.b from t left join t y "
            "on y.a = t.a - 1 where y.b like '%' order by 1",
            "{\"a\":2,\"b\":\"x\"}\n");
    answers(TABLES "select t.a, c from t left join u on t.a = u.a where 7 in (c, 7) order by 1, 2",
            "{\"a\":1,\"c\":100}\n{\"a\":1,\"c\":101}\n{\"a\":2,\"c\":null}\n"
            "{\"a\":3,\"c\":300}\n{\"a\":null,\"c\":null}\n");
}

Test(sql, a_compared_aggregate_of_what_belongs_to_the_row)
{
    answers(TABLES "select a, b from t where 10 * b < (select max(c) from u where u.a = t.a)",
            "{\"a\":1,\"b\":10}\n");
    answers(TABLES "select a from t where coalesce(b, 0) < 2 + (select count(*) from u "
                   "where u.a = t.a) order by a",
            "{\"a\":3}\n");
    answers(TABLES "select a from t where (select sum(c) from u where u.a = t.a) > 1 and "
                   "exists (select 1 from u where u.a = t.a + 2) order by a",
            "{\"a\":1}\n");
    refused(TABLES "select a from t where b > (select c from u where u.a = t.a)", "row");
}

Test(sql, distinct_on_an_expression)
{
    answers(TABLES "select distinct on (b > 15) a, b from t where b > 0 order by b > 15, a",
            "{\"a\":1,\"b\":10}\n{\"a\":2,\"b\":20}\n");
    answers("select distinct on (a % 2) a % 2 k, sum(a) s from (values (1),(2),(3)) t(a) "
            "group by a % 2 order by a % 2, sum(a)",
            "{\"k\":0,\"s\":2}\n{\"k\":1,\"s\":4}\n");
}

Test(sql, what_is_not_grouped_is_refused_everywhere)
{
    refused("select count(*), rank() over (order by a) from (values (1),(2)) t(a)", "GROUP BY");
    refused("select a, sum(sum(b)) over (partition by b) from (values (1,2)) t(a,b) group by a",
            "GROUP BY");
    refused("select distinct on (a) sum(a) from (values (1),(2)) t(a)", "GROUP BY");
}

Test(sql, a_failed_statement_keeps_nothing)
{
    refused("select 1/0", "division by zero");
    refused("select 1 from", "syntax");
    refused("select 9223372036854775807 + 1", "out of range");
    refused(TABLES "select (select c from u where u.a = t.a) from t", "row");
    refused("select nothing from (values (1)) t(x)", "nothing");
}

Test(sql, subqueries_in_the_on_of_outer_joins)
{
#define JOINED                                                                                     \
    "with a(i,x) as (values (1,10),(2,20),(3,null)), b(j,y) as (values (1,100),(2,200),(4,400)), " \
    "c(k) as (values (1),(400)) select i, j from a "
    answers(JOINED "left join b on i = j and i in (select k from c) order by i",
            "{\"i\":1,\"j\":1}\n{\"i\":2,\"j\":null}\n{\"i\":3,\"j\":null}\n");
    answers(JOINED "full join b on i = j and exists (select 1 from c where k = j) order by i, j",
            "{\"i\":1,\"j\":1}\n{\"i\":2,\"j\":null}\n{\"i\":3,\"j\":null}\n"
            "{\"i\":null,\"j\":2}\n{\"i\":null,\"j\":4}\n");
    answers(JOINED "right join b on i = j and y < (select avg(k) from c) order by j",
            "{\"i\":1,\"j\":1}\n{\"i\":2,\"j\":2}\n{\"i\":null,\"j\":4}\n");
    answers(JOINED "left join b on i = j and not exists (select 1 from c where k = i) and "
                   "y = (select max(y) from b b2 where b2.j = b.j) order by i",
            "{\"i\":1,\"j\":null}\n{\"i\":2,\"j\":2}\n{\"i\":3,\"j\":null}\n");
    refused(JOINED "left join b on exists (select 1 from c where k = i and k * 100 = y)",
            "both sides");
}

Test(sql, subqueries_in_group_by)
{
#define PAIRS "with u(x) as (values (1),(2),(2)), v(y) as (values (2),(3)) "
    answers(PAIRS "select (select max(y) from v) k, count(*) n from u group by k",
            "{\"k\":3,\"n\":3}\n");
    answers(PAIRS "select x + (select count(*) from v where y = x) k, count(*) n from u "
                  "group by 1 order by 1",
            "{\"k\":1,\"n\":1}\n{\"k\":3,\"n\":2}\n");
    answers(PAIRS "select x in (select y from v) k, (select min(y) from v) m, count(*) n from u "
                  "group by 1 order by 1",
            "{\"k\":false,\"m\":2,\"n\":1}\n{\"k\":true,\"m\":2,\"n\":2}\n");
    answers(PAIRS "select (select 7) k, count(*) n from u where false group by cube (1)",
            "{\"k\":null,\"n\":0}\n");
    answers(PAIRS "select count(*) n from u group by (select 1)", "{\"n\":3}\n");
}
