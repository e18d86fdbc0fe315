/* Forms that go beyond PostgreSQL's: windows of time, and what DuckDB's users write. Answers are
 * DuckDB's where it has the form, else counted by hand. */
#include "tests/unit/sql/statements.h"

#define EVENTS                                                                                     \
    "with e(d, at) as (values ('a', timestamp '2026-01-01 00:07:00'), "                            \
    "('a', timestamp '2026-01-01 00:37:00'), ('b', timestamp '2026-01-01 00:20:00'), "             \
    "('a', timestamp '2026-01-01 01:07:01'), ('a', null)) "

Test(forms, hop_gives_every_window_a_time_is_in)
{
    static const char *const want = "{\"w\":\"2025-12-31T23:30:00\",\"n\":2}\n"
                                    "{\"w\":\"2026-01-01T00:00:00\",\"n\":3}\n"
                                    "{\"w\":\"2026-01-01T00:30:00\",\"n\":2}\n"
                                    "{\"w\":\"2026-01-01T01:00:00\",\"n\":1}\n";
    answers(EVENTS "select w, count(*) n from e, unnest(hop(interval '1 hour', "
                   "interval '30 minutes', at)) as h(w) group by w order by w",
            want);
    answers(EVENTS "select w, count(*) n from e, hop(interval '1 hour', interval '30 minutes', at) "
                   "as h(w) group by w order by w",
            want);
    refused("select hop(interval '1 month', interval '1 day', timestamp '2026-01-01')",
            "without months");
    refused("select hop(interval '1 day', interval '-1 day', timestamp '2026-01-01')", "positive");
    refused("select hop(interval '300000 years', interval '1 us', timestamp '2026-01-01')",
            "months");
    refused("select hop(interval '100000 days', interval '1 us', timestamp '2026-01-01')",
            "too long");
    refused("select hop(1, 2, timestamp '2026-01-01')", "hop");
}

Test(forms, session_ends_where_the_gap_is_exceeded)
{
    answers(EVENTS "select d, s, count(*) n from (select d, session(at, interval '30 minutes') "
                   "over (partition by d) s from e) q group by d, s order by d, s",
            "{\"d\":\"a\",\"s\":\"2026-01-01T00:07:00\",\"n\":2}\n"
            "{\"d\":\"a\",\"s\":\"2026-01-01T01:07:01\",\"n\":1}\n"
            "{\"d\":\"a\",\"s\":null,\"n\":1}\n"
            "{\"d\":\"b\",\"s\":\"2026-01-01T00:20:00\",\"n\":1}\n");
    answers(EVENTS "select count(distinct s) n from (select session(at, interval '17 minutes') "
                   "over (order by at) s from e) q",
            "{\"n\":2}\n");
    refused(EVENTS "select session(at, interval '1 hour') over (order by d) from e", "ORDER BY");
    refused(EVENTS "select session(at, interval '1 hour') over (order by at desc) from e",
            "ORDER BY");
    refused(EVENTS "select session(at, interval '1 month') over () from e", "gap");
    refused(EVENTS "select session(d, interval '1 hour') over () from e", "time");
    refused(EVENTS "select session(at, at - at) over () from e", "constant");
    refused(EVENTS "select session(at, interval '1 hour') from e", "OVER");
}

/* ---- DuckDB's forms ---- */

#define KIX "with t(k,i,x) as (values ('a',1,10),('a',2,20),('b',3,30),('b',4,null),(null,5,50)) "

Test(forms, brackets_make_lists_structs_and_maps)
{
    answers("select [1,2,3] l, [[1],[2,3]] n, ['a','b'][1] s, array[[1,2],[3,4]][2][1] d, "
            "[1,2]::text[] t",
            "{\"l\":[1,2,3],\"n\":[[1],[2,3]],\"s\":\"a\",\"d\":3,\"t\":[\"1\",\"2\"]}\n");
    answers("select {'a': 1, b: {'c d': 'x'}} s, ({'a': {'b': 5}}).a.b f, {'q\"': 1} q",
            "{\"s\":{\"a\":1,\"b\":{\"c d\":\"x\"}},\"f\":5,\"q\":{\"q\\\"\":1}}\n");
    answers("select map {'k': 1, 'l': 2} m, map {'k': [1]}['k'] v, cardinality(map {}) e",
            "{\"m\":{\"k\":1,\"l\":2},\"v\":[1],\"e\":0}\n");
    answers("select 1 in [1, 2] a, 3 not in [1, 2] b, x[2:3] c from (values ([1,2,3])) t(x)",
            "{\"a\":true,\"b\":true,\"c\":[2,3]}\n");
    answers("select string_split('a,b,c', ',')[2] s, struct_pack(a := 1).a f, "
            "cast(['1'] as int[])[1] c, 'numeric'::varchar(10) v",
            "{\"s\":\"b\",\"f\":1,\"c\":1,\"v\":\"numeric\"}\n");
    refused("select {'': 1}", "1 to 63 bytes");
    refused("select {}", "syntax error");
    refused("select [1, 2", "syntax error");
}

Test(forms, lambdas_of_both_kinds)
{
    answers("select list_transform([1,2,3], lambda x: x + 1) a, "
            "list_filter([1,2,3], lambda x: not x = 3 and x > 1) b, "
            "list_reduce([1,2,3], lambda a, b: a * b) c, "
            "list_transform([[1,2],[3]], lambda l: list_transform(l, lambda x: x * len(l))) d, "
            "list_transform([1], x -> {'v': [x]}) e",
            "{\"a\":[2,3,4],\"b\":[2],\"c\":6,\"d\":[[2,4],[3]],\"e\":[{\"v\":[1]}]}\n");
    answers("select lambda from (values (1)) v(lambda)", "{\"lambda\":1}\n");
}

Test(forms, a_star_without_some)
{
    answers(KIX "select * exclude (k) from t where i = 1", "{\"i\":1,\"x\":10}\n");
    answers(KIX "select * exclude k replace (x + 1 as x) rename (i as id) from t where i = 1",
            "{\"id\":1,\"x\":11}\n");
    answers(KIX "select t.* exclude (i, x), [i] as l from t where i = 1",
            "{\"k\":\"a\",\"l\":[1]}\n");
    answers(KIX "select distinct on (k) * exclude (x) from t order by k, i limit 1",
            "{\"k\":\"a\",\"i\":1}\n");
    answers("select a.* exclude (i), b.i from (values (1,2)) a(i,j), (values (3)) b(i)",
            "{\"j\":2,\"i\":3}\n");
    refused(KIX "select * exclude (nope) from t", "no column nope");
    refused(KIX "select * exclude (k, i, x) from t", "no column");
    refused(KIX "select * replace (1 as nope) from t", "no column nope");
}

Test(forms, group_and_order_by_all)
{
    answers(KIX "select k, sum(i) s from t group by all order by all",
            "{\"k\":\"a\",\"s\":3}\n{\"k\":\"b\",\"s\":7}\n{\"k\":null,\"s\":5}\n");
    answers(KIX "select i % 2 m, count(*) + 0 n from t group by all having count(*) > 2",
            "{\"m\":1,\"n\":3}\n");
    answers(KIX "select i from t where i < 3 order by all desc", "{\"i\":2}\n{\"i\":1}\n");
    answers("(select 2 a union all select 1) order by all", "{\"a\":1}\n{\"a\":2}\n");
    refused(KIX "select i from t order by all, i", "stands alone");
}

Test(forms, qualify_filters_behind_windows)
{
    static const char *const want = "{\"k\":\"a\",\"i\":2}\n{\"k\":\"b\",\"i\":4}\n"
                                    "{\"k\":null,\"i\":5}\n";
    answers(KIX "select k, i from t qualify row_number() over (partition by k order by i desc) = 1 "
                "order by k",
            want);
    answers(KIX "select k, i from t window w as (partition by k order by i desc) "
                "qualify row_number() over w = 1 order by k",
            want);
    answers(KIX
            "select k, sum(i) s from t group by k qualify rank() over (order by sum(i) desc) = 1",
            "{\"k\":\"b\",\"s\":7}\n");
    answers(KIX "select i, row_number() over (order by i) n from t qualify n = 2 union all "
                "select 9, 9 order by i -- and a comment",
            "{\"i\":2,\"n\":2}\n{\"i\":9,\"n\":9}\n");
    answers(KIX "select count(*) n from (select i from t qualify row_number() over (order by i) < 3"
                ") q",
            "{\"n\":2}\n");
    answers("select i qualify, 1 n from (values (1)) t(i)", "{\"qualify\":1,\"n\":1}\n");
    refused(KIX "select i from t qualify nope > 1", "no column nope");
    refused("select a qualify b from t for version as of 'x'", "syntax error");
}

Test(forms, try_cast_is_null_where_it_cannot_be)
{
    answers(KIX "select try_cast('12' as int) a, try_cast('x' as int) b, try_cast(k as int) c, "
                "try_cast('2026-13-01' as date) d from t where i = 1",
            "{\"a\":12,\"b\":null,\"c\":null,\"d\":null}\n");
    answers("select * from (select try_cast('7' as bigint)) q", "{\"int8\":7}\n");
    refused("select try_cast(1 as nope)", "no type nope");
}

Test(forms, quantiles_are_told_apart_by_their_fraction)
{
    answers(KIX "select quantile_cont(x, 0.25) a, quantile_cont(x, 0.75) b, "
                "quantile_cont(x, [0.25, 0.5]) l, quantile_disc(i, [0.5, 1]) d, "
                "percentile_cont(0.5) within group (order by i) p from t",
            "{\"a\":17.5,\"b\":35,\"l\":[17.5,25],\"d\":[3,5],\"p\":3}\n");
    answers(KIX "select 'a' is distinct from 'b' d, 1 is not distinct from 1 e from t limit 1",
            "{\"d\":true,\"e\":true}\n");
    refused(KIX "select count(distinct x) over () from t", "has no OVER");
    refused(KIX "select quantile_cont(x, []) from t", "without fractions");
}

/* Places of errors are those of the user's text, whatever it became. */
static int place_of(const char *text)
{
    char got[4000];
    int line = 0, column = 0;
    run(text, false, got, sizeof got);
    const char *place = strchr(got, ':');
    cr_expect(place && sscanf(place + 1, "%d:%d:", &line, &column) == 2, "%s: %s", text, got);
    return line == 1 ? column - 1 : -1;
}

Test(forms, carets_stay_right)
{
    static const char *const texts[] = {
        "select [1, 2], {'a': [3]}, nope",
        "select list_transform([1], lambda x: x + nope)",
        "select map {'a': 1, 'b': nope}",
        "select * exclude (i) replace (nope as k) from (values (1, 2, 3)) t(i, k, l)",
        "select i from (values (1)) t(i) qualify row_number() over () = nope order by all",
        "select try_cast(nope as int)",
        "select string_split('a', ',')[nope]",
        "select [1] as a, 'x' in ['a', 'b'], 1 + nope group by all",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_eq(place_of(texts[i]), (int)(strstr(texts[i], "nope") - texts[i]), "%s: %d",
                     texts[i], place_of(texts[i]));
}

/* ---- WITH RECURSIVE ---- */

Test(forms, recursion_runs_until_nothing_is_new)
{
    answers("with recursive t(n) as (select 1 union all select n + 1 from t where n < 100) "
            "select sum(n) s, count(*) c from t",
            "{\"s\":5050,\"c\":100}\n");
    answers("with recursive e(a,b) as (values (1,2),(2,3),(3,4),(4,2),(5,6)), r(x) as (select 1 "
            "union select b from e join r on a = x) select list(x order by x) l from r",
            "{\"l\":[1,2,3,4]}\n");
    answers("with recursive org(id, boss) as (values (1,null),(2,1),(3,1),(4,2),(5,4)), "
            "under(id, depth) as (select id, 0 from org where boss is null union all "
            "select o.id, u.depth + 1 from org o join under u on o.boss = u.id) "
            "select depth, list(id order by id) l from under group by depth order by depth",
            "{\"depth\":0,\"l\":[1]}\n{\"depth\":1,\"l\":[2,3]}\n{\"depth\":2,\"l\":[4]}\n"
            "{\"depth\":3,\"l\":[5]}\n");
    answers("with recursive t(k, n) as (select 1, null::int union select k, n from t) "
            "select count(*) c from t",
            "{\"c\":1}\n");
}

Test(forms, recursion_is_read_by_several_and_within_others)
{
    answers("with recursive t(n) as (select 1 union all select n + 1 from t where n < 3) "
            "select a.n, b.n m from t a join t b on a.n = b.n + 1 order by a.n",
            "{\"n\":2,\"m\":1}\n{\"n\":3,\"m\":2}\n");
    answers("with recursive t(n) as (select 1 union all select n + 1 from t where n < 3), u(m) as "
            "(select n from t union all select m * 10 from u where m < 100) "
            "select list(m order by m) l from u",
            "{\"l\":[1,2,3,10,20,30,100,200,300]}\n");
    answers("with recursive t(n) as (select 1 union all select n + 1 from t where exists (select 1 "
            "from (values (1),(2),(3)) v(x) where v.x = t.n)) select max(n) m from t",
            "{\"m\":4}\n");
    answers("with recursive t(n) as (select 1 union all select n + 1 from t where n in "
            "(select max(n) from t where n < 4)) select max(n) m from t",
            "{\"m\":4}\n");
    answers("select (with recursive t(n) as (select 1 union all select n + 1 from t where n < 4) "
            "select sum(n) from t) s",
            "{\"s\":10}\n");
}

Test(forms, recursion_without_end_ends)
{
    answers("with recursive t(n) as (select 1 union all select n + 1 from t) "
            "select n from t limit 2",
            "{\"n\":1}\n{\"n\":2}\n");
    refused("with recursive t(n) as (select 1 union all select 1 from t) select count(*) from t",
            "does it end?");
    refused("with recursive t(n) as (select 4 union all select 6 / (n - 1) from t) select * from t",
            "division by zero");
}

Test(forms, recursion_of_the_wrong_form)
{
    refused("with recursive t(n) as (select 1 union all select n + 1.5 from t) select * from t",
            "cast the first");
    refused("with recursive t(n) as (select n from t union all select 1) select * from t",
            "nothing yet");
    refused("with recursive t(n) as (select n from t) select * from t", "reads itself");
    refused("with recursive t(n) as (select 1 union all select 1, 2 from t) select * from t",
            "1 columns at first");
    refused("with recursive t(n) as (select 1 union all select n from t limit 1) select * from t",
            "LIMIT");
    refused("select (with recursive t(n) as (select x union all select n from t) select 1 from t) "
            "from (values (1)) v(x)",
            "around it");
}

/* ---- ASOF JOIN ---- */

#define QUOTES                                                                                     \
    "with q(k,t,p) as (values ('a',1,10),('a',3,30),('a',5,50),('b',2,20),(null,1,1),"             \
    "('a',null,99)), s(k,t,v) as (values ('a',0,'x'),('a',1,'y'),('a',4,'z'),('b',9,'w'),"         \
    "('c',1,'u'),(null,1,'n'),('a',null,'m')) "

Test(forms, asof_finds_the_nearest_before)
{
    answers(QUOTES "select v, q.k, q.t, p from s asof join q on s.k = q.k and s.t >= q.t "
                   "order by v",
            "{\"v\":\"w\",\"k\":\"b\",\"t\":2,\"p\":20}\n{\"v\":\"y\",\"k\":\"a\",\"t\":1,"
            "\"p\":10}\n{\"v\":\"z\",\"k\":\"a\",\"t\":3,\"p\":30}\n");
    answers(QUOTES "select list(p order by v) l from s asof left join q on s.k = q.k and "
                   "s.t >= q.t",
            "{\"l\":[null,null,null,20,null,10,30]}\n");
    answers(QUOTES "select list(p order by v) l from s asof left join q on s.k = q.k and "
                   "s.t > q.t",
            "{\"l\":[null,null,null,20,null,null,30]}\n");
    answers(QUOTES "select * from s asof join q using (k, t) order by v",
            "{\"k\":\"b\",\"t\":9,\"v\":\"w\",\"p\":20}\n{\"k\":\"a\",\"t\":1,\"v\":\"y\","
            "\"p\":10}\n{\"k\":\"a\",\"t\":4,\"v\":\"z\",\"p\":30}\n");
}

Test(forms, asof_finds_the_nearest_after)
{
    answers(QUOTES "select list(p order by v) l from s asof left join q on s.k = q.k and "
                   "s.t <= q.t",
            "{\"l\":[null,null,null,null,10,10,50]}\n");
    answers(QUOTES "select list(p order by v) l from s asof left join q on q.k = s.k and "
                   "q.t > s.t",
            "{\"l\":[null,null,null,null,10,30,50]}\n");
}

Test(forms, asof_stands_among_other_joins)
{
    answers("with q(t,p) as (values (1,10),(3,30)), s(t) as (values (0),(2),(4)), "
            "r(p,n) as (values (10,'ten'),(30,'thirty')) select s.t, n from s asof join q on "
            "s.t >= q.t join r on r.p = q.p where q.p < 30",
            "{\"t\":2,\"n\":\"ten\"}\n");
    answers("with q(t,p) as (values (1,10),(3,30)), s(t) as (values (0),(2),(4)) "
            "select count(*) c, sum(p) s from (s asof left join q on s.t >= q.t)",
            "{\"c\":3,\"s\":40}\n");
    answers("select asof.x from (values (1)) asof(x)", "{\"x\":1}\n");
    refused("select 1 from (values (1)) a(x) asof join (values (1)) b(y) on x = y", "needs one of");
    refused("select 1 from (values (1)) a(x) asof join (values (1)) b(y) on x >= y or x = 3",
            "with AND between");
    refused("select 1 from (values (1)) a(x) asof join (values (1)) b(y) on x >= y and x + y > 3",
            "equalities");
    refused("select 1 from (values (1)) a(x) asof join (values (1)) b(y) on x >= nope", "nope");
}

/* Where a script is cut: the first statement's length, its semicolon included. */
Test(forms, statements_end_outside_of_quotes_and_comments)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"", 0},
        {" ;; -- nothing\n /* at /* all */ ; */ ;", 0},
        {"a; b", 2},
        {"a", 1},
        {"'x;y'; b", 6},
        {"'it''s;'; b", 9},
        {"\"x;\"\"\"; b", 7},
        {"E'\\';'; b", 7},
        {"e'\\\\'; b'", 6},
        {"name'\\'; b'", 8},
        {"$$;'$$; b", 7},
        {"$a$;$$;$a$; b", 11},
        {"$1; b", 3},
        {"a$b$; c$b$", 5},
        {"1 /* /* */ ; */; b", 16},
        {"1 -- ;\n; b", 8},
        {"/* never ends; b", 16},
        {"'never ends; b", 14},
        {"$$never ends; b", 15},
        {"E'\\", 3},
        {"$", 1},
        {"/*", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(weir_sql_statement_size(cases[i].text, strlen(cases[i].text)), cases[i].size,
                     "%s: %zu", cases[i].text,
                     weir_sql_statement_size(cases[i].text, strlen(cases[i].text)));
}
