/* Forms that go beyond PostgreSQL's: windows of time. Answers are DuckDB's where it has the form,
 * else counted by hand. */
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
