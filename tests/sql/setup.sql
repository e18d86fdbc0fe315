-- Tables of the cases: views over data/*.ndjson, with their types said. A line `-- duckdb:` is DuckDB's spelling of
-- the view before it.
CREATE VIEW t AS SELECT id::int AS id, k::text AS k, n::int AS n, b::bigint AS b, d::decimal(10,2) AS d, x::double precision AS x, s::text AS s, f::boolean AS f, day::date AS day, ts::timestamp AS ts, tz::timestamptz AS tz FROM 'data/t.ndjson';
CREATE VIEW u AS SELECT id::int AS id, k::text AS k, v::int AS v, w::text AS w FROM 'data/u.ndjson';
CREATE VIEW lists AS SELECT id::int AS id, l, s, st, ll, map(ks, vs) AS m FROM 'data/lists.ndjson';
CREATE VIEW big AS SELECT id::int AS id, g::int AS g, h::text AS h, v::int AS v, p::decimal(9,2) AS p, y::double precision AS y FROM 'data/big.ndjson';
CREATE VIEW texts AS SELECT id::int AS id, s::text AS s FROM 'data/texts.ndjson';
CREATE VIEW times AS SELECT id::int AS id, z::timestamptz AS z, z::timestamptz AT TIME ZONE 'UTC' AS ts, (z::timestamptz AT TIME ZONE 'UTC')::date AS d FROM 'data/times.ndjson';
CREATE VIEW docs AS SELECT id::int AS id, j::text AS j FROM 'data/docs.ndjson';
