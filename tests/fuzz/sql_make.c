/* Statements out of bytes: templates of expressions by type, and queries around them. */
#include "tests/fuzz/sql_make.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS     "infsdwzvblkgm" /* types, see the header */
#define DEPTH_MAX   5
#define ALIASES_MAX 12
#define PICKS_MAX   600 /* choices in one statement: past it only the simplest */

struct alias {
    int number;       /* a0, a1, ... */
    char letters[16]; /* columns it has */
};

struct maker {
    const uint8_t *bytes;
    size_t size, at, picks;
    const struct sql_names *names;
    char *text;
    size_t used, most;
    struct alias aliases[ALIASES_MAX]; /* what may be named here, the innermost last */
    size_t alias_count;
    int next_alias;
    bool aggregates; /* may stand here, rarely elsewhere */
};

static unsigned pick(struct maker *maker, unsigned count)
{
    maker->picks++;
    if (maker->at >= maker->size || maker->picks > PICKS_MAX)
        return 0;
    return maker->bytes[maker->at++] % count;
}

static void put(struct maker *maker, const char *text)
{
    size_t size = strlen(text);
    if (maker->used + size + 1 > maker->most)
        return;
    memcpy(maker->text + maker->used, text, size + 1);
    maker->used += size;
}

static void put_number(struct maker *maker, unsigned number)
{
    char digits[16];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put(maker, digits + at);
}

/* ---- expressions ---- */

/* The first template of a type is the simplest: it takes no choice and no depth. */
static const char *const ints[] = {"1",
                                   "%i + %i",
                                   "%i - %i",
                                   "%i * %i",
                                   "%i / %i",
                                   "%i % %i",
                                   "-%i",
                                   "abs(%i)",
                                   "length(%s)",
                                   "array_length(%l, 1)",
                                   "list_sum(%l)",
                                   "%l[%c]",
                                   "(%g).a",
                                   "%m[%s]",
                                   "strpos(%s, %s)",
                                   "date_diff(%u, %w, %w)",
                                   "extract(%U FROM %w)",
                                   "year(%d)",
                                   "%d - %d",
                                   "position(%s IN %s)",
                                   "CAST(%s AS int)",
                                   "CAST(%f AS bigint)",
                                   "CAST(%n AS int)",
                                   "gcd(%i, %i)",
                                   "%i & %i",
                                   "%i << %c",
                                   "greatest(%i, %i)",
                                   "coalesce(%i, %i)",
                                   "nullif(%i, %i)",
                                   "least(%i, %c, %i)",
                                   "CASE WHEN %b THEN %i ELSE %i END",
                                   "CASE %i WHEN %c THEN %i WHEN %i THEN %c END",
                                   "%qi",
                                   "list_position(%l, %i)",
                                   "list_reduce(%l, (x, y) -> x + y, %i)",
                                   "width_bucket(%i, 0, 9, %c)",
                                   "hash(%a, %a)",
                                   "cardinality(%m)",
                                   "9223372036854775807",
                                   "-2147483648",
                                   "NULL::int",
                                   "(CASE WHEN %b THEN 1 / %i ELSE 0 END)",
                                   "factorial(%c)",
                                   "mod(%i, %i)",
                                   "%A",
                                   "%W",
                                   "bit_count(%i)"};
static const char *const decimals[] = {"1.5",
                                       "%n + %n",
                                       "%n - %n",
                                       "%n * %n",
                                       "round(%n, %c)",
                                       "CAST(%i AS decimal(12,3))",
                                       "-%n",
                                       "CAST(%f AS decimal(38,10))",
                                       "abs(%n)",
                                       "99999999999999999999999999999999999999",
                                       "%n % %n",
                                       "coalesce(%n, %i)",
                                       "trunc(%n, 1)",
                                       "%qn",
                                       "CAST(%s AS decimal(9,2))",
                                       "ceil(%n)",
                                       "%A"};
static const char *const doubles[] = {"0.5e0",
                                      "%f + %f",
                                      "%f * %f",
                                      "%f / %f",
                                      "%i / %f",
                                      "%n / %n",
                                      "sqrt(abs(%f))",
                                      "sin(%f)",
                                      "ln(abs(%f) + 1)",
                                      "power(%f, %c)",
                                      "round(%f, 2)",
                                      "'nan'::double precision",
                                      "'-inf'::float",
                                      "epoch(%w)",
                                      "CAST(%n AS double precision)",
                                      "CAST(%s AS double precision)",
                                      "%qf",
                                      "%f ^ 2",
                                      "CASE WHEN %b THEN %f END",
                                      "list_avg(%l)",
                                      "-%f",
                                      "1e308::double precision",
                                      "%A",
                                      "%W"};
static const char *const texts[] = {"'a'",
                                    "%s || %s",
                                    "upper(%s)",
                                    "substring(%s, %c, %c)",
                                    "left(%s, %i)",
                                    "repeat(%s, %c)",
                                    "lpad(%s, %c, %s)",
                                    "replace(%s, %s, %s)",
                                    "split_part(%s, 'a', %c)",
                                    "CAST(%a AS text)",
                                    "concat(%a, %a)",
                                    "concat_ws('-', %a, %a)",
                                    "%k[%c]",
                                    "(%g).c",
                                    "regexp_replace(%s, %p, '[\\0]', 'g')",
                                    "regexp_extract(%s, %p)",
                                    "to_json(%a)",
                                    "strftime(%w, '%%Y-%%m-%%d %%H')",
                                    "to_char(%w, 'YYYY-MM HH24')",
                                    "md5(%s)",
                                    "reverse(%s)",
                                    "trim(%s)",
                                    "translate(%s, 'abc', 'x')",
                                    "typeof(%a)",
                                    "%qs",
                                    "array_to_string(%k, ',')",
                                    "CASE WHEN %b THEN %s ELSE %s END",
                                    "coalesce(%s, %s)",
                                    "''",
                                    "'{\"a\":[1,{\"b\":null}]}' ->> 'a'",
                                    "json_extract(to_json(%a), '$.a')",
                                    "to_hex(%i)",
                                    "'\xc3\xa4\xf0\x9f\x98\x80'",
                                    "nullif(%s, %s)",
                                    "format('%%s', %a)",
                                    "initcap(%s)",
                                    "%A",
                                    "%W",
                                    "right(%s, %c)",
                                    "max(%s)"};
static const char *const dates[] = {"date '2026-01-31'", "%d + %c",
                                    "CAST(%w AS date)",  "make_date(%i, %c, %c)",
                                    "last_day(%d)",      "date_trunc(%u, %d)::date",
                                    "'infinity'::date",  "%qd",
                                    "coalesce(%d, %d)",  "CAST(%s AS date)"};
static const char *const stamps[] = {"timestamp '2026-01-31 10:11:12.345678'",
                                     "%w + %v",
                                     "%w - %v",
                                     "date_trunc(%u, %w)",
                                     "date_bin(%v, %w, %w)",
                                     "%z AT TIME ZONE %o",
                                     "CAST(%d AS timestamp)",
                                     "time_bucket(%v, %w)",
                                     "make_timestamp(%i, %c, %c, %c, %c, %f)",
                                     "%d + %v",
                                     "strptime(%s, '%%Y-%%m-%%d')",
                                     "%qw",
                                     "timestamp '294246-12-31 23:59:59'",
                                     "timestamp '0001-01-01'",
                                     "coalesce(%w, %w)",
                                     "%W"};
static const char *const zoned[] = {"timestamptz '2026-03-29 02:30:00+01'",
                                    "%w AT TIME ZONE %o",
                                    "%z + %v",
                                    "to_timestamp(%f)",
                                    "date_trunc(%u, %z)",
                                    "CAST(%w AS timestamptz)",
                                    "now()",
                                    "hop(%v, %v, %z)[1]",
                                    "session(%z, %v) OVER (PARTITION BY %a ORDER BY %z)",
                                    "CAST(%s AS timestamptz)"};
static const char *const intervals[] = {"interval '1 day'",
                                        "interval '1 month'",
                                        "%w - %w",
                                        "%v + %v",
                                        "%v * %c",
                                        "-%v",
                                        "age(%w, %w)",
                                        "interval '-3 hours 5 minutes'",
                                        "interval '90 days'",
                                        "%i * interval '1 second'"};
static const char *const booleans[] = {"true",
                                       "%i = %i",
                                       "%s = %s",
                                       "%i < %i",
                                       "%n >= %n",
                                       "%f <> %f",
                                       "%w < %w",
                                       "%b AND %b",
                                       "%b OR %b",
                                       "NOT %b",
                                       "%a IS NULL",
                                       "%a IS NOT NULL",
                                       "%s LIKE %p",
                                       "%s ILIKE '%%a%%'",
                                       "%s ~ %p",
                                       "%i BETWEEN %i AND %i",
                                       "%i IN (%c, %i, %c)",
                                       "%s IN ('a', %s, NULL)",
                                       "%i IN %qi",
                                       "%s NOT IN %qs",
                                       "EXISTS %qi",
                                       "NOT EXISTS %qs",
                                       "%i = ANY %qi",
                                       "%i > ALL %qi",
                                       "%i = ANY(%l)",
                                       "list_contains(%l, %i)",
                                       "%l && %l",
                                       "%i IS DISTINCT FROM %i",
                                       "%f IS NOT DISTINCT FROM %f",
                                       "isnan(%f)",
                                       "%b IS NOT TRUE",
                                       "starts_with(%s, %s)",
                                       "(%i, %s) = (%i, %s)",
                                       "(%i, %s) IN (SELECT i, s FROM u)",
                                       "%g = %g",
                                       "%l < %l",
                                       "%d > %d",
                                       "CASE WHEN %b THEN %b END",
                                       "%z >= %z",
                                       "(%i, %i) < (%i, %c)",
                                       "NULL",
                                       "map_contains(%m, %s)",
                                       "1 = 1 / %i",
                                       "%s SIMILAR TO %p",
                                       "%a = %a",
                                       "%qb",
                                       "false",
                                       "bool_and(%b)"};
static const char *const lists[] = {"ARRAY[1, 2, NULL]",
                                    "ARRAY[%i, %i]",
                                    "list_concat(%l, %l)",
                                    "list_sort(%l)",
                                    "list_distinct(%l)",
                                    "%l || %i",
                                    "list_transform(%l, x -> x + %i)",
                                    "list_filter(%l, x -> x > %i)",
                                    "%l[%c:%c]",
                                    "range(%c, %c)",
                                    "generate_series(%c, %i, %c)",
                                    "list_reverse(%l)",
                                    "list_slice(%l, %i, %i, %c)",
                                    "map_values(%m)",
                                    "list_append(%l, %i)",
                                    "flatten(ARRAY[%l, %l])",
                                    "list_apply(%k, x -> length(x))",
                                    "ARRAY[]::int[]",
                                    "NULL::int[]",
                                    "array_agg(%i ORDER BY %a)",
                                    "coalesce(%l, %l)",
                                    "ARRAY %qi"};
static const char *const text_lists[] = {"ARRAY['a', NULL]",
                                         "ARRAY[%s, %s]",
                                         "string_split(%s, %s)",
                                         "list_transform(%k, x -> x || %s)",
                                         "map_keys(%m)",
                                         "regexp_split_to_array(%s, %p)",
                                         "regexp_extract_all(%s, %p)",
                                         "array_agg(%s)",
                                         "list_transform(%l, x -> CAST(x AS text))",
                                         "list_sort(%k, 'desc', 'nulls first')",
                                         "%k || %k"};
static const char *const structs[] = {
    "(SELECT g FROM u LIMIT 1)", "struct_pack(a := %i, c := %s)", "coalesce(%g, %g)", "row(%i, %s)",
    "CASE WHEN %b THEN %g END",  "struct_update(%g, a := %i)",    "any_value(%g)",    "first(%g)"};
static const char *const maps[] = {"map(ARRAY['a'], ARRAY[1])",
                                   "map(%k, %l)",
                                   "map_concat(%m, %m)",
                                   "coalesce(%m, %m)",
                                   "CASE WHEN %b THEN %m END",
                                   "histogram(%s)",
                                   "map_from_entries(map_entries(%m))"};
/* Single pieces that other templates name. */
static const char *const constants[] = {"0",  "1",  "2",   "3",  "-1",   "5",          "12",
                                        "31", "64", "100", "-3", "1000", "2147483647", "NULL"};
static const char *const units[] = {"'day'",     "'month'",       "'year'", "'hour'",
                                    "'minute'",  "'second'",      "'week'", "'quarter'",
                                    "'century'", "'microsecond'", "'x'"};
static const char *const bare_units[] = {"day", "month", "year",    "hour",    "epoch",       "dow",
                                         "doy", "week",  "isoyear", "quarter", "microseconds"};
static const char *const patterns[] = {"'%%a%%'",      "'a.*'", "'^(a|b)+$'", "'_'",
                                       "'[a-c]{1,3}'", "''",    "'%%'",       "'(.)\\1'",
                                       "'\\d+'",       "'('",   "'a%%b_'"};
static const char *const zones[] = {"'UTC'",    "'Europe/Berlin'", "'America/New_York'",
                                    "'+05:30'", "'Pacific/Apia'",  "'nowhere'"};
static const char *const aggregates[] = {"count(*)",
                                         "sum(%i)",
                                         "min(%i)",
                                         "max(%i)",
                                         "count(DISTINCT %i)",
                                         "sum(DISTINCT %i)",
                                         "count(%a) FILTER (WHERE %b)",
                                         "arg_max(%i, %f)",
                                         "any_value(%i)",
                                         "first(%i)",
                                         "last(%i)",
                                         "mode(%i)",
                                         "median(%i)",
                                         "bit_xor(%i)",
                                         "approx_count_distinct(%a)",
                                         "avg(%i)",
                                         "min(%f)",
                                         "quantile_disc(%i, 0.5)",
                                         "percentile_cont(0.25) WITHIN GROUP (ORDER BY %i)",
                                         "stddev(%f)",
                                         "sum(%n)",
                                         "avg(%n)",
                                         "max(%n)",
                                         "corr(%f, %f)",
                                         "regr_slope(%f, %f)",
                                         "product(%f)",
                                         "sum(%f)",
                                         "string_agg(%s, ',')",
                                         "string_agg(DISTINCT %s, ',' ORDER BY %s)",
                                         "min(%s)",
                                         "max(%s)",
                                         "count_if(%b)",
                                         "mode(%s)",
                                         "var_pop(%f)",
                                         "grouping(%i)",
                                         "arg_min(%s, %a)",
                                         "min(%l)",
                                         "max(%g)",
                                         "sum(%i) + count(*)"};
static const char *const windows[] = {"row_number()",   "rank()",
                                      "dense_rank()",   "ntile(%c)",
                                      "lag(%i)",        "lead(%i, %c, %i)",
                                      "sum(%i)",        "first_value(%i)",
                                      "last_value(%i)", "nth_value(%i, 2)",
                                      "count(*)",       "min(%i)",
                                      "max(%s)",        "percent_rank()",
                                      "cume_dist()",    "avg(%f)",
                                      "sum(%f)",        "string_agg(%s, ',')",
                                      "lag(%s, %c)",    "max(%w)",
                                      "median(%i)",     "count(%a) FILTER (WHERE %b)",
                                      "array_agg(%i)",  "first_value(%s)",
                                      "sum(%n)"};

#define LIST(name)                                                                                 \
    {                                                                                              \
        name, sizeof(name) / sizeof *(name)                                                        \
    }
struct templates {
    const char *const *texts;
    size_t count;
};

static struct templates templates_of(char letter)
{
    static const char known[] = LETTERS "cuUpoA";
    static const struct templates all[] = {
        LIST(ints),       LIST(decimals), LIST(doubles),   LIST(texts),     LIST(dates),
        LIST(stamps),     LIST(zoned),    LIST(intervals), LIST(booleans),  LIST(lists),
        LIST(text_lists), LIST(structs),  LIST(maps),      LIST(constants), LIST(units),
        LIST(bare_units), LIST(patterns), LIST(zones),     LIST(aggregates)};
    const char *found = strchr(known, letter);
    return all[found && letter ? found - known : 0];
}

static void query(struct maker *maker, const char *want, int depth);
static void expression(struct maker *maker, char letter, int depth);

/* A column of that type among those in sight, from the innermost on or any; false: there is none.
 */
static bool column(struct maker *maker, char letter)
{
    size_t skip = maker->alias_count ? pick(maker, 4) : 0;
    for (size_t i = maker->alias_count; i-- > 0;) {
        const struct alias *alias = &maker->aliases[i];
        if (!strchr(alias->letters, letter) || (skip-- > 0 && i > 0))
            continue;
        char name[2] = {letter, 0};
        put(maker, "a");
        put_number(maker, (unsigned)alias->number);
        put(maker, ".");
        put(maker, name);
        return true;
    }
    return false;
}

static void window(struct maker *maker, int depth)
{
    static const char *const frames[] = {
        "",
        " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        " ROWS UNBOUNDED PRECEDING",
        " ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING",
        " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
        " RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING",
        " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING EXCLUDE CURRENT ROW",
        " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
        " RANGE UNBOUNDED PRECEDING EXCLUDE TIES"};
    static const char orders[] = "ifsdwna";
    put(maker, " OVER (");
    if (pick(maker, 2)) {
        put(maker, "PARTITION BY ");
        expression(maker, LETTERS[pick(maker, sizeof LETTERS - 1)], depth + 2);
    }
    if (pick(maker, 4)) {
        put(maker, " ORDER BY ");
        expression(maker, orders[pick(maker, sizeof orders - 1)], depth + 2);
        put(maker, pick(maker, 3) ? "" : " DESC NULLS LAST");
    }
    put(maker, frames[pick(maker, sizeof frames / sizeof *frames)]);
    put(maker, ")");
}

/* Any function or aggregate there is, with any arguments. */
static void any_call(struct maker *maker, int depth)
{
    unsigned which = pick(maker, 256) * 7 + pick(maker, 7), count = (pick(maker, 16) + 3) / 5;
    const char *name = maker->names->count ? maker->names->names[which % maker->names->count] : "";
    bool word = name[0] >= 'a' && name[0] <= 'z' && !strchr(name, ' ');
    put(maker, word ? name : "abs");
    put(maker, "(");
    for (unsigned i = 0; i < count; i++) {
        put(maker, i ? ", " : "");
        expression(maker, LETTERS[pick(maker, sizeof LETTERS - 1)], depth + 1);
    }
    put(maker, ")");
}

static void fill(struct maker *maker, const char *template, int depth)
{
    for (const char *at = template; *at; at++) {
        char name[2] = {*at, 0};
        if (at[0] == '%' && at[1] == '%') {
            put(maker, "%");
            at++;
            continue;
        }
        if (*at != '%' || !at[1] || !strchr(LETTERS "acuUpoqAW", at[1])) {
            put(maker, name);
            continue;
        }
        char letter = *++at;
        if (letter == 'a')
            expression(maker, LETTERS[pick(maker, sizeof LETTERS - 1)], depth + 1);
        else if (letter == 'q') {
            char want[2] = {*++at, 0};
            put(maker, "(");
            query(maker, want, depth + 2);
            put(maker, ")");
        } else if (letter == 'W') {
            fill(maker, windows[pick(maker, sizeof windows / sizeof *windows)], depth + 1);
            window(maker, depth);
        } else {
            expression(maker, letter, depth + 1);
        }
    }
}

static bool is_aggregate(const char *template)
{
    static const char *const aggregating[] = {"%A",         "max(",   "bool_and(", "array_agg(",
                                              "any_value(", "first(", "histogram("};
    for (size_t i = 0; i < sizeof aggregating / sizeof *aggregating; i++)
        if (strncmp(template, aggregating[i], strlen(aggregating[i])) == 0)
            return true;
    return false;
}

static void expression(struct maker *maker, char letter, int depth)
{
    struct templates templates = templates_of(letter);
    bool piece = strchr("cuUpo", letter) != NULL;
    if (maker->picks > PICKS_MAX || maker->used > maker->most / 2)
        depth = DEPTH_MAX;
    unsigned what = piece ? 7 : pick(maker, 8);
    if (!piece && (what < 3 || depth >= DEPTH_MAX) && column(maker, letter))
        return;
    if (!piece && what == 3 && depth < DEPTH_MAX) {
        any_call(maker, depth);
        return;
    }
    size_t chosen = depth >= DEPTH_MAX && !piece ? 0 : pick(maker, (unsigned)templates.count);
    if (!maker->aggregates && is_aggregate(templates.texts[chosen]))
        chosen = 0;
    put(maker, piece ? "" : "(");
    fill(maker, templates.texts[chosen], depth);
    put(maker, piece ? "" : ")");
}

/* ---- queries ---- */

static void add_alias(struct maker *maker, const char *letters)
{
    if (maker->alias_count == ALIASES_MAX)
        return;
    struct alias *alias = &maker->aliases[maker->alias_count++];
    alias->number = maker->next_alias++;
    strncpy(alias->letters, letters, sizeof alias->letters - 1);
    alias->letters[sizeof alias->letters - 1] = 0;
    put(maker, " AS a");
    put_number(maker, (unsigned)alias->number);
}

/* The columns of an alias are called by their letters. */
static void name_columns(struct maker *maker, const char *letters)
{
    put(maker, "(");
    for (const char *at = letters; *at; at++) {
        char name[2] = {*at, 0};
        put(maker, at == letters ? "" : ", ");
        put(maker, name);
    }
    put(maker, ")");
}

static void table(struct maker *maker, int depth)
{
    static const char *const wants[] = {"is", "if", "sn", "iwb", "l", "gm", "zd", "ik"};
    static const char *const tables[] = {"t",          "u",       "e", "'t.parquet'",
                                         "'t.ndjson'", "'u.csv'", "x"};
    const char *want = wants[pick(maker, sizeof wants / sizeof *wants)];
    unsigned what = depth >= DEPTH_MAX - 1 ? 0 : pick(maker, 10);
    size_t before = maker->alias_count;
    if (what < 6) {
        put(maker, tables[pick(maker, sizeof tables / sizeof *tables)]);
        add_alias(maker, "infsdwzblkgm");
    } else if (what < 8) {
        bool lateral = pick(maker, 2);
        put(maker, lateral ? "LATERAL (" : "(");
        struct alias kept[ALIASES_MAX];
        memcpy(kept, maker->aliases, sizeof kept);
        maker->alias_count = lateral ? before : 0;
        query(maker, want, depth + 1);
        memcpy(maker->aliases, kept, sizeof kept);
        put(maker, ")");
        maker->alias_count = before;
        add_alias(maker, want);
        name_columns(maker, want);
    } else if (what == 8) {
        put(maker, "unnest(");
        expression(maker, 'l', depth + 2);
        put(maker, ")");
        maker->alias_count = before;
        add_alias(maker, "i");
        name_columns(maker, "i");
    } else {
        put(maker, "generate_series(1, ");
        expression(maker, 'c', depth + 2);
        put(maker, ")");
        add_alias(maker, "i");
        name_columns(maker, "i");
    }
}

static void from(struct maker *maker, int depth)
{
    static const char *const joins[] = {" JOIN ",        " LEFT JOIN ",  " RIGHT JOIN ",
                                        " FULL JOIN ",   " CROSS JOIN ", ", ",
                                        " NATURAL JOIN "};
    static const char *const conditions[] = {"%i = %i", "%s = %s", "%i = %i AND %b",
                                             "%f = %n", "%i < %i", "%b",
                                             "%l = %l", "true",    "%i = %i AND %s = %s"};
    unsigned more = depth >= DEPTH_MAX - 1 ? 0 : pick(maker, 4);
    put(maker, " FROM ");
    table(maker, depth);
    for (unsigned i = 1; i < more; i++) {
        unsigned join = pick(maker, sizeof joins / sizeof *joins);
        put(maker, joins[join]);
        table(maker, depth + 1);
        if (join >= 4)
            continue;
        if (pick(maker, 8) == 7) {
            put(maker, " USING (i)");
            continue;
        }
        put(maker, " ON ");
        fill(maker, conditions[pick(maker, sizeof conditions / sizeof *conditions)], depth + 2);
    }
}

/* Columns of the wanted types; grouped: groups by their place, or aggregates. */
static unsigned columns(struct maker *maker, const char *want, bool grouped, int depth)
{
    unsigned places = 0; /* bits: columns that are grouped by */
    for (const char *at = want; *at; at++) {
        put(maker, at == want ? " " : ", ");
        if (grouped && (pick(maker, 2) || strchr("dwzvb", *at))) {
            if (pick(maker, 3)) {
                places |= 1u << (at - want);
                expression(maker, *at, depth + 1);
            } else {
                put(maker, "max(");
                expression(maker, *at, depth + 1);
                put(maker, ")");
            }
        } else if (grouped && *at == 'i') {
            fill(maker, "%A", depth);
        } else if (grouped) {
            put(maker, "min(");
            expression(maker, *at, depth + 1);
            put(maker, ")");
        } else {
            expression(maker, *at, depth + 1);
        }
        put(maker, " AS ");
        char name[2] = {*at, 0};
        put(maker, name);
    }
    return places;
}

static void group(struct maker *maker, unsigned places, int depth)
{
    static const char *const ways[] = {"", "", "", "ROLLUP (", "CUBE (", "GROUPING SETS ((), "};
    unsigned way = pick(maker, sizeof ways / sizeof *ways);
    if (places) {
        put(maker, " GROUP BY ");
        put(maker, ways[way]);
        for (unsigned i = 0, written = 0; i < 16; i++)
            if (places >> i & 1) {
                put(maker, written++ ? ", " : "");
                put_number(maker, i + 1);
            }
        put(maker, *ways[way] ? ")" : "");
    }
    if (pick(maker, 4) == 3) {
        put(maker, " HAVING ");
        fill(maker, "%A > %c", depth + 2);
    }
}

static void select_(struct maker *maker, const char *want, int depth)
{
    /* The columns are written before the tables they name are known: so the tables come first, in
     * a text of their own. */
    size_t begin = maker->used, aliases = maker->alias_count;
    char moved[4096];
    bool grouped = pick(maker, 3) == 2;
    from(maker, depth);
    size_t size = maker->used - begin < sizeof moved ? maker->used - begin : sizeof moved;
    memcpy(moved, maker->text + begin, size);
    maker->used = begin;
    put(maker, "SELECT");
    unsigned distinct = pick(maker, 8);
    put(maker, distinct == 7 ? " DISTINCT" : "");
    if (distinct == 6 && !grouped)
        fill(maker, " DISTINCT ON (%a)", depth + 2);
    unsigned places = columns(maker, want, grouped, depth);
    if (maker->used + size + 1 < maker->most) {
        memcpy(maker->text + maker->used, moved, size);
        maker->used += size;
        maker->text[maker->used] = 0;
    }
    if (pick(maker, 2)) {
        put(maker, " WHERE ");
        expression(maker, 'b', depth);
    }
    if (grouped)
        group(maker, places, depth);
    maker->alias_count = aliases;
}

static void order(struct maker *maker, const char *want)
{
    static const char *const ends[] = {"", " DESC", " NULLS FIRST", " DESC NULLS LAST"};
    unsigned way = pick(maker, 5);
    if (way == 0)
        return;
    for (unsigned i = 0; i < way && i < strlen(want); i++) {
        put(maker, i ? ", " : " ORDER BY ");
        put_number(maker, i + 1);
        put(maker, ends[pick(maker, 4)]);
    }
    if (pick(maker, 2)) {
        put(maker, " LIMIT ");
        put_number(maker, pick(maker, 30));
    }
    if (pick(maker, 4) == 3) {
        put(maker, " OFFSET ");
        put_number(maker, pick(maker, 30));
    }
}

static void values(struct maker *maker, const char *want, int depth)
{
    unsigned rows = 1 + pick(maker, 4);
    put(maker, "VALUES ");
    for (unsigned r = 0; r < rows; r++) {
        put(maker, r ? ", (" : "(");
        for (const char *at = want; *at; at++) {
            put(maker, at == want ? "" : ", ");
            expression(maker, *at, depth + 2);
        }
        put(maker, ")");
    }
}

static void query(struct maker *maker, const char *want, int depth)
{
    static const char *const sets[] = {" UNION ALL ", " UNION ",         " INTERSECT ",
                                       " EXCEPT ",    " INTERSECT ALL ", " EXCEPT ALL "};
    unsigned what = depth >= DEPTH_MAX ? 0 : pick(maker, 10);
    if (what < 7) {
        select_(maker, want, depth);
    } else if (what < 9) {
        put(maker, "(");
        query(maker, want, depth + 1);
        put(maker, ")");
        put(maker, sets[pick(maker, sizeof sets / sizeof *sets)]);
        put(maker, "(");
        query(maker, want, depth + 1);
        put(maker, ")");
    } else {
        values(maker, want, depth);
    }
    order(maker, want);
}

void sql_make(const uint8_t *bytes, size_t size, const struct sql_names *names, char *ret_text,
              size_t most)
{
    static const char *const wants[] = {"i",    "is", "ifs",   "sin", "dwz",
                                        "lkgm", "bi", "sfinb", "vi"};
    struct maker maker = {
        .bytes = bytes, .size = size, .names = names, .text = ret_text, .most = most};
    ret_text[0] = 0;
    unsigned way = pick(&maker, 8);
    const char *want = wants[pick(&maker, sizeof wants / sizeof *wants)];
    maker.aggregates = pick(&maker, 16) == 15;
    if (way == 7)
        put(&maker, pick(&maker, 2) ? "EXPLAIN ANALYZE " : "EXPLAIN ");
    /* x: a table by the name of the statement's own, with the columns of t. */
    put(&maker, "WITH x AS (SELECT * FROM t");
    if (way == 6) {
        put(&maker, " WHERE i > ");
        expression(&maker, 'c', DEPTH_MAX);
    }
    put(&maker, ") ");
    query(&maker, want, 0);
}
