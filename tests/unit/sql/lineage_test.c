/* Where columns come from, over every form of query: values apart from influence, masks by way. */
#include "scheduler/query/query.h"
#include "scheduler/query/rows_source.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TABLES 3

struct world {
    struct weir_context context;
    struct weir_arena arena;
    struct weir_query_session *session;
    struct weir_table_source sources[TABLES];
    struct weir_query_name names[TABLES + 2];
};

static const char *const tables[TABLES] = {"bronze.p", "bronze.q", "bronze.r"};
static const char *const types[TABLES] = {
    "struct<id:long, email:string, host:string, at:timestamptz, n:long, tags:list<string>, "
    "os:struct<name:string, build:int>, m:map<string, string>>",
    "struct<id:long, email:string, host:string, at:timestamptz, limits:double>",
    "struct<id:long, parent:long, name:string>"};

static void open_world(struct world *world)
{
    struct weir_error error = {0};
    weir_context_init(&world->context);
    weir_arena_init(&world->arena, &world->context.memory);
    struct weir_query_options options = {.context = &world->context};
    cr_assert_eq(weir_query_session_new(&options, &world->session, &error), WEIR_OK);
    for (int i = 0; i < TABLES; i++) {
        struct weir_type type;
        cr_assert_eq(weir_type_parse(&world->arena, types[i], &type, &error), WEIR_OK, "%s",
                     error.text);
        cr_assert_eq(query_rows_new(&world->context.memory, &type, &world->sources[i], &error),
                     WEIR_OK);
        world->names[i] = (struct weir_query_name){.name = tables[i], .source = &world->sources[i]};
    }
    world->names[TABLES] = (struct weir_query_name){
        .name = "silver.v", .sql = "SELECT id, lower(email) AS mail FROM bronze.p WHERE n > 0"};
    weir_query_names_set(world->session, world->names, TABLES + 1);
}

static void close_world(struct world *world)
{
    weir_query_session_free(world->session);
    for (int i = 0; i < TABLES; i++)
        world->sources[i].operations->free(world->sources[i].self);
    weir_arena_done(&world->arena);
    weir_context_done(&world->context);
}

static void print_uses(struct world *world, const struct weir_lineage_use *uses, uint32_t count,
                       char *out, size_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t used = strlen(out);
        for (int t = 0; t < TABLES; t++)
            if (uses[i].source == &world->sources[t])
                snprintf(out + used, size - used, " %s.%s:%.1s", tables[t] + 7, uses[i].column,
                         weir_lineage_kind_name(uses[i].kind));
        for (unsigned m = 0; m < WEIR_LINEAGE_MASKS; m++)
            if (uses[i].masks & 1U << m)
                snprintf(out + strlen(out), size - strlen(out), "+%.1s", weir_lineage_mask_name(m));
    }
}

/* "a= p.id:i; b= ...; rows= ...": identity, transformation, aggregation, condition, window, filter,
 * join, group, sort by their first letters; +h and +m the masks. */
static void comes(const char *text, const char *wanted)
{
    struct world world;
    struct weir_lineage lineage;
    struct weir_error error = {0};
    char got[4096] = "";
    open_world(&world);
    weir_status status = weir_query_lineage(world.session, &world.arena, text, &lineage, &error);
    cr_assert_eq(status, WEIR_OK, "%s: %s", text, error.text);
    for (uint32_t i = 0; i < lineage.column_count; i++) {
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s=", i ? "; " : "",
                 lineage.columns[i].name);
        print_uses(&world, lineage.columns[i].uses, lineage.columns[i].use_count, got, sizeof got);
    }
    if (lineage.row_count)
        snprintf(got + strlen(got), sizeof got - strlen(got), "; rows=");
    print_uses(&world, lineage.rows, lineage.row_count, got, sizeof got);
    cr_expect_str_eq(got, wanted, "%s\n got    %s\n wanted %s", text, got, wanted);
    close_world(&world);
}

Test(lineage, columns_and_expressions)
{
    comes("SELECT id, email AS mail, 1 AS one FROM bronze.p", "id= p.id:i; mail= p.email:i; one=");
    comes("SELECT id + n AS s, host || email AS t FROM bronze.p",
          "s= p.id:t p.n:t; t= p.email:t p.host:t");
    comes("SELECT CASE WHEN host = 'x' THEN email ELSE 'none' END AS c FROM bronze.p",
          "c= p.email:t p.host:c");
    comes("SELECT coalesce(email, host) AS c, email IS NULL AS u, email = 'x' AS e FROM bronze.p",
          "c= p.email:t p.host:t; u= p.email:c; e= p.email:t");
    comes("SELECT * FROM bronze.r", "id= r.id:i; parent= r.parent:i; name= r.name:i");
    comes("SELECT (os).name AS o, tags[1] AS t, m['k'] AS v FROM bronze.p",
          "o= p.os:t; t= p.tags:t; v= p.m:t");
    comes("SELECT id::text AS t, nullif(email, host) AS n FROM bronze.p",
          "t= p.id:t; n= p.email:t p.email:c p.host:c");
}

Test(lineage, masks)
{
    comes("SELECT mask_email(email) AS m FROM bronze.p", "m= p.email:t+m");
    comes("SELECT hmac_sha256(lower(email), 'k') AS h FROM bronze.p", "h= p.email:t+h");
    comes("SELECT mask_email(email) || host AS both, mask_email(email) || email AS bare "
          "FROM bronze.p",
          "both= p.email:t+m p.host:t; bare= p.email:t p.email:t+m");
    comes("SELECT max(hmac_sha256(mask_email(email), 'k')) AS m FROM bronze.p", "m= p.email:a+h+m");
    comes("SELECT list_transform(tags, lambda x: hmac_sha256(x, 'k')) AS l FROM bronze.p",
          "l= p.tags:t+h p.tags:c");
    comes("SELECT s.h FROM (SELECT hmac_sha256(email, 'k') AS h, email FROM bronze.p) s",
          "h= p.email:t+h");
}

Test(lineage, filters_joins_groups)
{
    comes("SELECT id FROM bronze.p WHERE email LIKE '%x' ORDER BY n LIMIT 3",
          "id= p.id:i; rows= p.email:f p.n:s");
    comes("SELECT p.email, q.limits FROM bronze.p p JOIN bronze.q q ON p.id = q.id",
          "email= p.email:i; limits= q.limits:i; rows= p.id:j q.id:j");
    comes("SELECT p.email, q.limits FROM bronze.p p LEFT JOIN bronze.q q USING (id)",
          "email= p.email:i; limits= q.limits:i; rows= p.id:j q.id:j");
    comes("SELECT host, sum(n) AS s, count(email) AS c, max(email) FILTER (WHERE id > 1) AS m "
          "FROM bronze.p GROUP BY host HAVING min(at) > now()",
          "host= p.host:i; s= p.n:a; c= p.email:c; m= p.email:a p.id:c; "
          "rows= p.host:g p.at:f");
    comes("SELECT DISTINCT email FROM bronze.p", "email= p.email:i; rows= p.email:g");
    comes("SELECT id FROM bronze.p WHERE id IN (SELECT id FROM bronze.q WHERE host = 'x')",
          "id= p.id:i; rows= p.id:j q.id:j q.host:f");
    comes("SELECT id FROM bronze.p p WHERE NOT EXISTS (SELECT 1 FROM bronze.q q "
          "WHERE q.email = p.email)",
          "id= p.id:i; rows= p.email:f q.email:f");
}

Test(lineage, subqueries)
{
    comes("SELECT id, (SELECT max(email) FROM bronze.q q WHERE q.id = p.id) AS m FROM bronze.p p",
          "id= p.id:i; m= q.email:a; rows= p.id:f q.id:f");
    comes("SELECT id IN (SELECT parent FROM bronze.r) AS known FROM bronze.p",
          "known= p.id:t r.parent:t");
    comes("SELECT x.h FROM bronze.p p, LATERAL (SELECT p.host || name AS h FROM bronze.r "
          "WHERE r.id = p.id) x",
          "h= p.host:t r.name:t; rows= p.id:f r.id:f");
    comes("SELECT array(SELECT name FROM bronze.r WHERE r.id = p.id) AS l FROM bronze.p p",
          "l= r.name:a; rows= p.id:f r.id:f");
}

Test(lineage, windows)
{
    comes("SELECT row_number() OVER (PARTITION BY host ORDER BY at) AS n, "
          "lag(email) OVER (PARTITION BY host ORDER BY at) AS l FROM bronze.p",
          "n= p.host:w p.at:w; l= p.email:a p.host:w p.at:w");
    comes("SELECT id FROM bronze.p QUALIFY row_number() OVER (PARTITION BY email ORDER BY at) = 1",
          "id= p.id:i; rows= p.email:f p.at:f");
    comes("SELECT p.id, q.limits FROM bronze.p p ASOF JOIN bronze.q q ON p.id = q.id AND "
          "p.at >= q.at",
          "id= p.id:i; limits= q.limits:a p.id:w p.at:w q.id:w q.at:w; rows= p.id:f p.at:f q.id:f "
          "q.at:f");
}

Test(lineage, sets_and_views)
{
    comes("SELECT email FROM bronze.p UNION ALL SELECT name FROM bronze.r",
          "email= p.email:i r.name:i");
    comes("SELECT id FROM bronze.p EXCEPT SELECT id FROM bronze.r",
          "id= p.id:i; rows= p.id:f r.id:f");
    comes("SELECT id FROM bronze.p INTERSECT SELECT id FROM bronze.r",
          "id= p.id:i r.id:i; rows= p.id:f r.id:f");
    comes("SELECT mail FROM silver.v", "mail= p.email:t; rows= p.n:f");
    comes("WITH c AS (SELECT id, email e FROM bronze.p) SELECT a.e, b.id FROM c a JOIN c b "
          "ON a.id = b.id",
          "e= p.email:i; id= p.id:i; rows= p.id:j");
    comes("WITH RECURSIVE t AS (SELECT id, name FROM bronze.r WHERE parent IS NULL UNION ALL "
          "SELECT r.id, t.name || r.name FROM bronze.r r JOIN t ON r.parent = t.id) "
          "SELECT name FROM t",
          "name= r.name:i r.name:t; rows= r.id:j r.parent:f r.parent:j");
    comes("SELECT * FROM (VALUES (1, 'x')) t(a, b)", "a=; b=");
}

Test(lineage, lists)
{
    comes("SELECT id, t FROM bronze.p, unnest(tags) AS u(t)", "id= p.id:i; t= p.tags:t");
    comes("SELECT k, v FROM bronze.p, unnest(m) AS u(k, v)", "k= p.m:t; v= p.m:t");
    comes("SELECT list_filter(tags, lambda x: x <> host) AS l FROM bronze.p",
          "l= p.tags:t p.host:c p.tags:c");
    comes("SELECT {'a': id, 'b': email}.a AS a FROM bronze.p", "a= p.id:i");
    comes("SELECT string_agg(email, ',' ORDER BY at) AS all_of FROM bronze.p",
          "all_of= p.email:a p.at:c");
}
