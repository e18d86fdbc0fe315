"""Tables and statements by chance, for sql_random.py: small Parquet files of all types with varied settings, and a typed grammar of queries over them.

The grammar keeps clear of what engines answer differently on purpose: sums stay far from overflow, divisors are never zero, LIMIT, row numbers and
frames of rows come with a total order (a Relation knows which columns tell its rows apart), doubles are quarters, so that sums of them are exact.
"""
import datetime, random, re
from decimal import Decimal
import pyarrow as pa, pyarrow.parquet as pq

NUMBERS = ("int", "long", "double", "dec")
SCALARS = NUMBERS + ("str", "bool", "date", "ts", "tstz")
TYPES = SCALARS + ("list_int", "list_str", "struct", "map")
SORTABLE = SCALARS
ARROW = {"int": pa.int32(), "long": pa.int64(), "double": pa.float64(), "str": pa.string(), "bool": pa.bool_(), "date": pa.date32(),
         "ts": pa.timestamp("us"), "tstz": pa.timestamp("us", "UTC"), "list_int": pa.list_(pa.int32()), "list_str": pa.list_(pa.string()),
         "struct": pa.struct([("a", pa.int32()), ("b", pa.string())]), "map": pa.map_(pa.string(), pa.int32())}
SQL_NAME = {"int": "int", "long": "bigint", "double": "double precision", "dec": "decimal(12,3)", "str": "text", "bool": "boolean", "date": "date",
            "ts": "timestamp", "tstz": "timestamptz"}
WORDS = ["", "a", "b", "ab", "abc", "A", "Ab", "zz", "x y", " pad ", "Zürich", "naïve", "a%b", "a_b", "0", "12", "-7", "it is a longer text that is not inlined",
         "it is a longer text that is not the other", "日本", "q,r,s", "NULL", "é"]
UNITS = ["year", "month", "week", "day", "hour", "minute", "second"]
UTC = datetime.timezone.utc


# ---- tables ----


class Column:
    def __init__(self, sql, type, plain=True, big=False):
        self.sql, self.type, self.plain, self.big = sql, type, plain, big


class Relation:
    """What FROM makes: columns, those that together tell rows apart (None: none do), and at most how many rows."""

    def __init__(self, columns, key, rows):
        self.columns, self.key, self.rows, self.comma = columns, key, rows, False  # comma: a join behind it would not see all


class Table:
    def __init__(self, name, columns, count):
        self.name, self.columns, self.count = name, columns, count


def value(r, type, flavour):
    if type in ("int", "long"):
        if flavour == "big":
            top = 2**31 - 1 if type == "int" else 2**63 - 1
            return r.choice([top, -top - 1, top - 1, 0, 1, -1, r.randint(-top, top)])
        return r.randint(-flavour, flavour)
    if type == "double":
        return float(r.choice([0, 1, -1, 100000])) if r.random() < 0.1 else r.randint(-flavour * 4, flavour * 4) / 4
    if type == "str":
        return r.choice(WORDS) if flavour != 1000 else f"{r.choice(WORDS)}{r.randint(0, 300)}"
    if type == "bool":
        return r.random() < 0.5
    if type == "date":
        return datetime.date(2020, 2, 29) + datetime.timedelta(days=r.randint(-flavour, flavour) * (7 if r.random() < 0.3 else 1))
    if type in ("ts", "tstz"):
        zone = UTC if type == "tstz" else None
        return datetime.datetime(2021, 12, 31, 23, 59, 59, tzinfo=zone) + datetime.timedelta(seconds=r.randint(-flavour, flavour) * 3607, milliseconds=r.choice([0, 0, 1, 999, 500]))
    if type == "list_int":
        return [None if r.random() < 0.15 else r.randint(-5, 9) for _ in range(r.choice([0, 1, 2, 3, 5]))]
    if type == "list_str":
        return [None if r.random() < 0.15 else r.choice(WORDS) for _ in range(r.choice([0, 1, 2, 3]))]
    if type == "struct":
        return {"a": None if r.random() < 0.2 else r.randint(-9, 9), "b": None if r.random() < 0.2 else r.choice(WORDS)}
    if type == "map":
        return [(k, None if r.random() < 0.2 else r.randint(-9, 9)) for k in r.sample(["a", "b", "c", "x y", ""], r.randint(0, 3))]
    raise AssertionError(type)


def values(r, type, count):
    flavour = r.choice([3, 20, 1000])
    big = type in ("int", "long") and r.random() < 0.12
    if type == "dec":
        precision, scale = r.choice([(5, 0), (7, 2), (9, 2), (12, 3), (18, 1), (20, 3), (30, 2)])
        pool = lambda: Decimal(r.randint(-min(flavour * 100, 10**precision - 1), min(flavour * 100, 10**precision - 1))).scaleb(-scale)
        arrow = pa.decimal128(precision, scale)
    else:
        pool = lambda: value(r, type, "big" if big else flavour)
        arrow = ARROW[type]
        if type in ("ts", "tstz") and r.random() < 0.2:
            arrow = pa.timestamp("ms", arrow.tz)
    shape = r.random()
    nulls = r.choice([0, 0, 0.1, 0.5, 1.0 if r.random() < 0.1 else 0.2])
    few = [pool() for _ in range(r.choice([1, 2, 5]))]
    runs, out = None, []
    for _ in range(count):
        if shape < 0.25:  # few values, the first most often
            item = few[min(int(r.expovariate(1.0)), len(few) - 1)]
        elif shape < 0.4 and runs is not None and r.random() < 0.9:  # runs
            item = runs
        else:
            item = pool()
        runs = item
        out.append(None if r.random() < nulls else item)
    return pa.array(out, arrow), big


def make_table(r, folder, name):
    count = r.choice([0, 1, 2, 5, 13, 40, 40, 64, 65, 200, 400, 2000 if r.random() < 0.4 else 100])
    keys = r.sample(range(count * 2 + 3), count)
    if r.random() < 0.4:
        keys.sort()
    arrays, names, columns = [pa.array(keys, pa.int64())], ["k"], [Column("k", "long")]
    types = [r.choice(TYPES) for _ in range(r.randint(3, 8))]
    for i, type in enumerate(["int", "str"] + types):
        array, big = values(r, type, count)
        arrays.append(array)
        names.append(f"{type[0]}_{i}")
        columns.append(Column(names[-1], type, big=big))
    table = pa.table(arrays, names)
    options = {"row_group_size": r.choice([1, 7, 64, 100, 1000, 5000]), "use_dictionary": r.random() < 0.6, "data_page_version": r.choice(["1.0", "2.0"]),
               "compression": r.choice(["none", "snappy", "zstd", "gzip", "lz4"]), "data_page_size": r.choice([64, 1024, 1 << 20]), "write_batch_size": r.choice([1, 10, 1024]),
               "write_statistics": r.random() < 0.8, "write_page_index": r.random() < 0.5, "store_schema": r.random() < 0.5}
    if count > 100 and options["row_group_size"] < 7:
        options["row_group_size"] = 64
    if not options["use_dictionary"] and r.random() < 0.6:
        encodings = {"int": "DELTA_BINARY_PACKED", "long": "DELTA_BINARY_PACKED", "double": "BYTE_STREAM_SPLIT"}
        encodings["str"] = r.choice(["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
        options["column_encoding"] = {c.sql: encodings.get(c.type, "PLAIN") for c in columns if c.type in SCALARS}
        for c in columns:  # nested ones by the leaf's path
            if c.type not in SCALARS:
                options.pop("column_encoding", None)
    pq.write_table(table, folder / f"{name}.parquet", **options)
    return Table(name, columns, count)
# ---- the grammar: expressions of a type over columns in scope ----


class Grammar:
    def __init__(self, seed, tables):
        self.r, self.tables = random.Random(seed), tables
        self.names = 0
        self.ctes = []

    def name(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def maybe(self, share):
        return self.r.random() < share

    def literal(self, type):
        r = self.r
        if type != "bool" and self.maybe(0.06) and type in SQL_NAME:
            return f"(NULL::{SQL_NAME[type]})"
        if type == "int":
            return str(r.choice([0, 1, 2, 3, 5, 7, 10, 100])) if self.maybe(0.8) else f"({r.randint(-30, -1)})"
        if type == "long":
            return f"{r.randint(-50, 1000)}::bigint" if self.maybe(0.5) else "3000000000"
        if type == "double":
            return f"{r.randint(0, 400) / 4}::double precision"
        if type == "dec":
            return f"{r.randint(0, 100)}.{r.randint(0, 99):02d}" if self.maybe(0.7) else f"{r.randint(0, 999)}::decimal(9,1)"
        if type == "str":
            return "'" + r.choice(WORDS) + "'"
        if type == "bool":
            return r.choice(["true", "false", "(NULL::boolean)"])
        if type == "date":
            return f"date '{datetime.date(2020, 1, 31) + datetime.timedelta(days=r.randint(-400, 800))}'"
        if type == "ts":
            return f"timestamp '2021-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:00:00'"
        if type == "tstz":
            return f"timestamptz '2021-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {r.randint(0, 23):02d}:30:00+00'"
        if type == "list_int":
            return "ARRAY[" + ", ".join(str(r.randint(0, 9)) for _ in range(r.randint(1, 3))) + "]"
        if type == "list_str":
            return "ARRAY[" + ", ".join("'" + r.choice(WORDS) + "'" for _ in range(r.randint(1, 3))) + "]"
        return None

    def pick(self, scope, type, plain=False, small=False):
        found = [c for c in scope if c.type == type and (c.plain or not plain) and not (small and c.big)]
        return self.r.choice(found).sql if found else None

    def expr(self, type, scope, depth=2, outer=()):
        """outer: columns of the query around, for correlated subqueries."""
        if outer and self.maybe(0.15):
            found = self.pick(outer, type, plain=True)
            if found:
                return found
        if depth <= 0 or self.maybe(0.35):
            found = self.pick(scope, type) if self.maybe(0.85) else None
            found = found or self.literal(type) or self.pick(scope, type)
            if found:
                return found
        for _ in range(20):
            made = getattr(self, "make_" + type)(scope, depth - 1, outer)
            if made:
                return made
        found = self.pick(scope, type) or self.literal(type)
        return found

    def small(self, type, scope, depth, outer):
        """A number that arithmetic does not carry over the edge."""
        if depth > 0 and self.maybe(0.4):
            return self.expr(type, [c for c in scope if not c.big], depth, [c for c in outer if not c.big])
        return self.pick(scope, type, small=True) or self.literal(type)

    def common(self, type, scope, depth, outer):
        e = lambda t=type: self.expr(t, scope, depth, outer)
        n = self.r.random()
        if n < 0.3:
            branches = "".join(f" WHEN {e('bool')} THEN {e()}" for _ in range(self.r.randint(1, 2)))
            return f"(CASE{branches}{' ELSE ' + e() if self.maybe(0.7) else ''} END)"
        if n < 0.4 and type in SORTABLE:
            by = self.r.choice(["int", "str", "bool"])
            return f"(CASE {e(by)} WHEN {self.literal(by)} THEN {e()} ELSE {e()} END)"
        if n < 0.6:
            return f"coalesce({e()}, {e()})"
        if n < 0.7 and type in SORTABLE:
            return f"nullif({e()}, {e()})"
        if n < 0.85 and type in SORTABLE and type != "bool":
            return f"{self.r.choice(['greatest', 'least'])}({e()}, {e()})"
        if type in SORTABLE and type != "bool":
            return self.scalar_subquery(type, scope, outer)
        return None

    def make_int(self, scope, depth, outer):
        e = lambda t: self.expr(t, scope, depth, outer)
        s = lambda t="int": self.small(t, scope, depth, outer)
        n = self.r.randint(0, 16)
        if n < 3:
            return f"({s()} {self.r.choice('+-')} {s()})"
        if n == 3:
            return f"({self.pick(scope, 'int', small=True) or 4} * {self.r.randint(-3, 9)})"
        if n == 4:
            return f"(- {s()})"
        if n == 5:
            return f"abs({s()})"
        if n == 6:
            return f"({s()} {self.r.choice('/%')} nullif({s()}, 0))"
        if n == 7:
            return f"length({e('str')})::int"
        if n == 8:
            return f"extract({self.r.choice(['year', 'month', 'day', 'dow', 'doy', 'week', 'quarter', 'isodow'])} FROM {e(self.r.choice(['date', 'ts']))})::int"
        if n == 9:
            return f"{e('bool')}::int"
        if n == 10:
            return f"round({s('dec')})::int"
        if n == 11:
            column = self.pick(scope, "struct", plain=True)
            return column and f"{column}.a"
        if n == 12:
            return f"len({e('list_int')})::int" if self.maybe(0.6) else f"{self.r.choice(['list_min', 'list_max', 'list_first', 'list_last'])}({e('list_int')})"
        if n == 13:
            column = self.pick(scope, "list_int", plain=True)
            return column and f"{column}[{self.r.randint(1, 4)}]"
        if n == 14:
            column = self.pick(scope, "map", plain=True)
            return column and self.r.choice([f"cardinality({column})::int", f"map_extract_value({column}, '{self.r.choice(['a', 'b', 'zz'])}')"])
        if n == 15 and self.maybe(0.5):
            return self.r.choice([f"sign({s()})::int", f"mod({s()}, nullif({s()}, 0))", f"strpos({e('str')}, {e('str')})::int", f"ascii(nullif({e('str')}, ''))",
                                  f"({s()} & {s()})", f"({s()} | {s()})", f"list_position({e('list_int')}, {e('int')})::int"])
        return self.common("int", scope, depth, outer)

    def make_long(self, scope, depth, outer):
        s = lambda t: self.small(t, scope, depth, outer)
        n = self.r.randint(0, 8)
        if n < 3:
            return f"({s('long')} {self.r.choice('+-')} {s(self.r.choice(['int', 'long']))})"
        if n == 3:
            return f"({self.pick(scope, 'int', small=True) or 3}::bigint * {self.pick(scope, 'int', small=True) or 5})"
        if n == 4:
            return f"({s('long')} {self.r.choice('/%')} nullif({s('long')}, 0))"
        if n == 5:
            return f"{self.expr('int', scope, depth, outer)}::bigint"
        if n == 6:
            return f"({self.expr('date', scope, depth, outer)} - {self.expr('date', scope, depth, outer)})::bigint"
        if n == 7 and self.maybe(0.3):
            return f"epoch_ms({self.expr('ts', scope, depth, outer)})"
        return self.common("long", scope, depth, outer)

    def make_double(self, scope, depth, outer):
        s = lambda t: self.small(t, scope, depth, outer)
        n = self.r.randint(0, 7)
        if n < 2:
            return f"({s('double')} {self.r.choice('+-')} {s(self.r.choice(['int', 'double', 'dec']))})"
        if n == 2:
            return f"({self.pick(scope, 'double', small=True) or '2.5::double precision'} * {self.r.randint(-8, 8) / 4}::double precision)"
        if n == 3:
            return f"{s(self.r.choice(['int', 'long', 'dec']))}::double precision"
        if n == 4:
            return f"{self.r.choice(['floor', 'ceil', 'abs'])}({s('double')})"
        if n == 5:
            return f"trunc({s('double')})"
        return self.common("double", scope, depth, outer)

    def make_dec(self, scope, depth, outer):
        s = lambda t="dec": self.small(t, scope, depth, outer)
        n = self.r.randint(0, 7)
        if n < 2:
            return f"({s()} {self.r.choice('+-')} {s(self.r.choice(['int', 'dec']))})::decimal(18,3)"
        if n == 2:
            return f"({self.pick(scope, 'dec', small=True) or '1.5'} * {self.r.randint(-9, 99) / 10})::decimal(18,3)"
        if n == 3:
            return f"{self.r.choice(['abs(', '(-'])}{s()})"
        if n == 4:
            return f"round({s()}, {self.r.randint(0, 3)})"
        if n == 5:
            return f"{s('int')}::decimal(12,2)"
        return self.common("dec", scope, depth, outer)

    def make_str(self, scope, depth, outer):
        e = lambda t="str": self.expr(t, scope, depth, outer)
        n, small = self.r.randint(0, 22), self.r.randint(1, 4)
        if n < 2:
            return f"({e()} || {e()})"
        if n == 2:
            return f"{self.r.choice(['upper', 'lower', 'trim', 'ltrim', 'rtrim', 'reverse', 'md5'])}({e()})"
        if n == 3:
            return f"substr({e()}, {small}, {self.r.randint(0, 5)})" if self.maybe(0.6) else f"substring({e()} FROM {small})"
        if n == 4:
            return f"{e(self.r.choice(['int', 'long', 'date', 'bool', 'dec', 'ts', 'tstz']))}::text"
        if n == 5:
            return f"replace({e()}, {self.literal('str')}, {e()})"
        if n == 6:
            return f"{self.r.choice(['left', 'right'])}({e()}, {self.r.randint(0, 6)})"
        if n == 7:
            return f"{self.r.choice(['lpad', 'rpad'])}({e()}, {self.r.randint(0, 12)}, '{self.r.choice(['*', 'xy', 'é'])}')"
        if n == 8:
            return f"concat({e()}, {e()})" if self.maybe(0.5) else f"concat_ws('-', {e()}, {e('int')}::text, {e()})"
        if n == 9:
            return f"split_part({e()}, '{self.r.choice([' ', 'a', ',', '-'])}', {small})"
        if n == 10:
            column = self.pick(scope, "struct", plain=True)
            return column and f"{column}.b"
        if n == 11:
            column = self.pick(scope, "list_str", plain=True)
            return column and f"{column}[{small}]"
        if n == 12:
            return f"repeat({self.pick(scope, 'str', plain=True) or self.literal('str')}, {self.r.randint(0, 3)})"
        if n == 13:
            return f"regexp_replace({e()}, '[a-c]+', '<>'{self.r.choice([', ', ''])}".rstrip(", ") + (", 'g')" if self.maybe(0.5) else ")")
        if n == 14:
            return f"array_to_string(list_append({e('list_str')}, 'z'), ',')"
        if n == 15:
            return f"translate({e()}, 'abc', 'x')"
        if n == 16:
            return f"strftime({e(self.r.choice(['date', 'ts']))}, '{self.r.choice(['%Y-%m-%d', '%H:%M:%S', '%j %a %B', '%y/%-d'])}')"
        if n == 17 and self.maybe(0.4):
            return f"chr({self.r.randint(65, 90)})"
        return self.common("str", scope, depth, outer)

    def make_date(self, scope, depth, outer):
        e = lambda t="date": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 7)
        if n < 2:
            return f"({e()} {self.r.choice('+-')} {self.r.randint(0, 60)})"
        if n == 2:
            return f"{e('ts')}::date"
        if n == 3:
            return f"date_trunc('{self.r.choice(UNITS[:4])}', {e('ts')})::date"
        if n == 4:
            return f"last_day({e()})"
        if n == 5:
            return f"make_date(2022, {self.r.randint(1, 12)}, (abs({self.pick(scope, 'int', small=True) or 3}) % 28)::int + 1)"
        return self.common("date", scope, depth, outer)

    def interval(self):
        return f"interval '{self.r.randint(0, 40)} {self.r.choice(UNITS)}'"

    def make_ts(self, scope, depth, outer):
        e = lambda t="ts": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 7)
        if n < 2:
            return f"({e(self.r.choice(['ts', 'date']))} {self.r.choice('+-')} {self.interval()})"
        if n == 2:
            return f"{e('date')}::timestamp"
        if n == 3:
            return f"date_trunc('{self.r.choice(UNITS + ['quarter'])}', {e()})"
        if n == 4:
            return f"({e('tstz')} AT TIME ZONE '{self.r.choice(['UTC', 'Europe/Berlin', 'America/New_York'])}')"
        if n == 5 and self.maybe(0.5):
            return f"time_bucket(interval '{self.r.choice(['15 minutes', '1 day', '6 hours', '1 month'])}', {e()})"
        return self.common("ts", scope, depth, outer)

    def make_tstz(self, scope, depth, outer):
        e = lambda t="tstz": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 6)
        if n < 2:
            return f"({e()} {self.r.choice('+-')} {self.interval()})"
        if n == 2:
            return f"{e('ts')}::timestamptz"
        if n == 3:
            return f"({e('ts')} AT TIME ZONE '{self.r.choice(['UTC', 'Asia/Tokyo'])}')"
        if n == 4:
            return f"date_trunc('{self.r.choice(UNITS)}', {e()})"
        return self.common("tstz", scope, depth, outer)

    def make_list_int(self, scope, depth, outer):
        e = lambda t="list_int": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 9)
        if n == 0:
            return f"list_sort({e()}, 'ASC', 'NULLS LAST')"
        if n == 1:
            return f"list_concat({e()}, {self.literal('list_int')})"
        if n == 2:
            return f"list_filter({e()}, x -> x {self.r.choice(['>', '<', '=', '<>'])} {self.r.randint(-2, 5)})"
        if n == 3:
            return f"list_transform({e()}, x -> {self.r.choice(['x + 1', 'x * 2', '- x', 'coalesce(x, 0)', 'x % 3'])})"
        if n == 4:
            return f"list_reverse({e()})"
        if n == 5:
            column = self.pick(scope, "list_int", plain=True)
            return column and f"{column}[{self.r.randint(1, 2)}:{self.r.randint(2, 4)}]"
        if n == 6:
            return f"list_append({e()}, {e('int')})"
        if n == 7:
            return f"list_sort(list_distinct({e()}))"
        return self.common("list_int", scope, depth, outer)

    def make_list_str(self, scope, depth, outer):
        e = lambda t="list_str": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 7)
        if n == 0:
            return f"string_split({e('str')}, '{self.r.choice([' ', 'a', ','])}')"
        if n == 1:
            return f"list_concat({self.literal('list_str')}, {e()})"
        if n == 2:
            return f"list_transform({e()}, x -> {self.r.choice(['upper(x)', 'x || chr(33)', 'left(x, 1)'])})"
        if n == 3:
            return f"list_filter({e()}, x -> {self.r.choice(['length(x) > 1', 'x IS NOT NULL', 'x > chr(97)'])})"
        if n == 4:
            column = self.pick(scope, "map", plain=True)
            return column and f"list_sort(map_keys({column}))"
        return self.common("list_str", scope, depth, outer)

    def make_struct(self, scope, depth, outer):
        return self.pick(scope, "struct")

    def make_map(self, scope, depth, outer):
        return self.pick(scope, "map")

    def compare(self, scope, depth, outer):
        e = lambda t: self.expr(t, scope, depth, outer)
        left = right = self.r.choice(SORTABLE)
        if left in NUMBERS and self.maybe(0.3):
            right = self.r.choice(("int", "long") if left in ("int", "long") else NUMBERS if left == "double" else ("int", "dec"))
            if right == "dec" and left == "double":
                right = "int"
        n = self.r.random()
        if n < 0.6:
            return f"({e(left)} {self.r.choice(['=', '<>', '<', '<=', '>', '>='])} {e(right)})"
        if n < 0.7:
            return f"({e(left)} {'NOT ' if self.maybe(0.2) else ''}BETWEEN {e(left)} AND {e(right)})"
        if n < 0.85:
            return f"({e(left)} {'NOT ' if self.maybe(0.3) else ''}IN ({', '.join(e(left) for _ in range(self.r.randint(1, 4)))}))"
        return f"({e(left)} IS {'NOT ' if self.maybe(0.5) else ''}DISTINCT FROM {e(right)})"

    def make_bool(self, scope, depth, outer):
        e = lambda t="bool": self.expr(t, scope, depth, outer)
        n = self.r.randint(0, 16)
        if n < 6:
            return self.compare(scope, depth, outer)
        if n == 6:
            return f"({e()} AND {e()})"
        if n == 7:
            return f"({e()} OR {e()})"
        if n == 8:
            return f"(NOT {e()})"
        if n == 9:
            return f"({e(self.r.choice(TYPES[:11]))} IS {'NOT ' if self.maybe(0.5) else ''}NULL)"
        if n == 10:
            pattern = self.r.choice(["a%", "%b", "%a%", "_", "__%", "%", "", "Z_rich", "%longer%", "it%other"])
            return f"({e('str')} {self.r.choice(['LIKE', 'NOT LIKE', 'ILIKE'])} '{pattern}')"
        if n == 11:
            return f"({e()} IS {self.r.choice(['TRUE', 'NOT TRUE', 'FALSE', 'NOT FALSE'])})"
        if n == 12:
            return self.r.choice([f"list_contains({e('list_int')}, {self.literal('int')})", f"starts_with({e('str')}, {e('str')})", f"contains({e('str')}, {e('str')})",
                                  f"list_contains({e('list_str')}, {self.literal('str')})", f"regexp_matches({e('str')}, '^[a-z]+$')"])
        if n < 15:
            return self.subquery_condition(scope, outer)
        return self.common("bool", scope, depth, outer)
    # ---- subqueries in expressions ----

    def small_table(self):
        fit = [t for t in self.tables if t.count <= 400]
        return self.r.choice(fit or self.tables)

    def scan(self, table=None):
        table = table or self.r.choice(self.tables)
        alias = self.name("t")
        columns = [Column(f"{alias}.{c.sql}", c.type, big=c.big) for c in table.columns]
        return f"'{table.name}.parquet' {alias}", Relation(columns, [columns[0].sql], table.count)

    def correlation(self, inner, scope, outer):
        """Conditions that tie the subquery to the query around."""
        types = [c.type for c in inner if c.type in SCALARS]
        out = []
        count = self.r.choice([0, 1, 1, 2])
        for _ in range(count):
            type = self.r.choice(types)
            around = self.pick([c for c in scope if c.plain], type)
            if around:  # DuckDB 1.5 finds nothing by <> beside another condition
                out.append(f"{self.pick(inner, type)} {self.r.choice(['=', '=', '=', '<', '<>' if count == 1 else '>'])} {around}")
        if self.maybe(0.4) or not out:
            out.append(self.expr("bool", inner, 1))
        return " AND ".join(out)

    def scalar_subquery(self, type, scope, outer):
        if self.names > 40:
            return None
        text, rel = self.scan(self.small_table())
        aggregate = {"long": "count(*)"}.get(type) if self.maybe(0.5) else None
        found = self.pick(rel.columns, type)
        if not aggregate and not found:
            return None
        aggregate = aggregate or f"{self.r.choice(['min', 'max'])}({found})"
        return f"(SELECT {aggregate} FROM {text} WHERE {self.correlation(rel.columns, scope, outer)})"

    def subquery_condition(self, scope, outer):
        if self.names > 40:
            return None
        text, rel = self.scan(self.small_table())
        negated = "NOT " if self.maybe(0.35) else ""
        if self.maybe(0.5):
            return f"({negated}EXISTS (SELECT 1 FROM {text} WHERE {self.correlation(rel.columns, scope, outer)}))"
        type = self.r.choice([c.type for c in rel.columns if c.type in SCALARS])
        left = self.expr(type, scope, 0)
        inner = f"SELECT {self.pick(rel.columns, type)} FROM {text}" + (f" WHERE {self.correlation(rel.columns, scope, outer)}" if self.maybe(0.6) else "")
        if self.maybe(0.8):
            return f"({left} {negated}IN ({inner}))"
        return f"({left} {self.r.choice(['= ANY', '<> ALL'])} ({inner}))"

    # ---- FROM ----

    def item(self, depth, most):
        n = self.r.random()
        if depth > 0 and n < 0.25:
            alias = self.name("s")
            text, outs, key, rows = self.query(depth - 1, named=True)
            return f"({text}) {alias}", self.renamed(alias, outs, key, rows)
        if self.ctes and n < 0.45:
            name, outs, key, rows = self.r.choice(self.ctes)
            if rows <= most:
                alias = self.name("w")
                return f"{name} {alias}", self.renamed(alias, outs, key, rows)
        if n > 0.97:
            alias = self.name("v")
            types = [self.r.choice(["int", "str", "date", "bool", "dec"]) for _ in range(2)]
            rows = self.r.randint(1, 4)
            text = ", ".join("(" + ", ".join(self.literal(t) for t in types) + ")" for _ in range(rows))
            return f"(VALUES {text}) AS {alias}(a, b)", Relation([Column(f"{alias}.{n}", t) for n, t in zip("ab", types)], None, rows)
        if n > 0.94:
            alias = self.name("g")
            return f"generate_series(1, {self.r.randint(0, 9)}) AS {alias}(n)", Relation([Column(f"{alias}.n", "long")], [f"{alias}.n"], 9)
        fit = [t for t in self.tables if t.count <= most] or [min(self.tables, key=lambda t: t.count)]
        return self.scan(self.r.choice(fit))

    def renamed(self, alias, outs, key, rows):
        return Relation([Column(f"{alias}.{c.sql}", c.type, big=c.big) for c in outs], key and [f"{alias}.{k}" for k in key], rows)

    def equal(self, left, right, unique=False):
        """An equality of columns of both sides; unique: of a key of one column of either."""
        pairs = [(a, b) for a in left.columns for b in right.columns
                 if (a.type == b.type or {a.type, b.type} == {"int", "long"}) and a.type in SCALARS]
        if unique:
            single = {k[0] for k in (left.key, right.key) if k and len(k) == 1}
            pairs = [p for p in pairs if p[0].sql in single or p[1].sql in single]
        if not pairs:
            return None
        a, b = self.r.choice(pairs)
        return f"{a.sql} = {b.sql}"

    def join(self, text, left, depth):
        right_text, right = self.item(depth, 2000)
        product = left.rows * right.rows
        kind = self.r.choice(["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",", "USING"])
        key = left.key + right.key if left.key and right.key else None
        both = Relation(left.columns + right.columns, key, product)
        wide = product > 30000
        if kind in ("CROSS JOIN", ","):
            if any(c.sql == "k" for c in left.columns) or left.comma and kind != ",":
                return None
            both.comma = kind == ","
            return None if product > 5000 else (f"{text} {kind} {right_text}".replace(" ,", ","), both)
        if any(c.sql == "k" for c in left.columns) or left.comma:
            return None  # of USING: another k would make it ambiguous
        condition = self.equal(left, right, unique=wide)
        if not condition and (wide or kind == "FULL JOIN"):
            return None
        if wide:
            both.rows = left.rows + right.rows
        if kind == "USING":
            names = {c.sql.split(".")[1] for c in left.columns if "." in c.sql}
            if wide or "k" not in names or not any(c.sql.endswith(".k") for c in right.columns) or sum(c.sql.endswith(".k") for c in left.columns) != 1:
                return None
            kind = self.r.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
            merged = Column("k", "long")
            return f"{text} {kind} {right_text} USING (k)", Relation([merged] + both.columns, key, left.rows + right.rows)
        if not condition or (not wide and kind != "FULL JOIN" and self.maybe(0.1) and product < 5000):
            if product > 5000:
                return None
            condition = self.expr("bool", both.columns, 1)
        if self.maybe(0.3) and kind != "FULL JOIN":
            condition += f" AND {self.expr('bool', both.columns, 1)}"
        elif self.maybe(0.15) and self.equal(left, right):
            condition += f" AND {self.equal(left, right)}"
        return f"{text} {kind} {right_text} ON {condition}", both

    def lateral(self, text, rel):
        lists = [c for c in rel.columns if c.type.startswith("list") and "." in c.sql]
        alias = self.name("u")
        if lists and rel.rows <= 3000 and self.maybe(0.4):
            c = self.r.choice(lists)
            kind = self.r.choice([", ", " CROSS JOIN "])
            return f"{text}{kind}LATERAL unnest({c.sql}) AS {alias}(e)", Relation(rel.columns + [Column(f"{alias}.e", c.type[5:])], None, rel.rows * 3)
        if rel.rows <= 400 and self.maybe(0.05):
            inner, inside = self.scan(self.small_table())
            type = self.r.choice(SORTABLE)
            if not self.pick(inside.columns, type):
                return text, rel
            body = f"SELECT {self.pick(inside.columns, type)} AS e FROM {inner} WHERE {self.correlation(inside.columns, rel.columns, ())} ORDER BY 1, {inside.key[0]} LIMIT {self.r.randint(1, 3)}"
            kind = self.r.choice([", LATERAL", " LEFT JOIN LATERAL"])
            return f"{text}{kind} ({body}) {alias}{' ON true' if 'LEFT' in kind else ''}", Relation(rel.columns + [Column(f"{alias}.e", type)], None, rel.rows * 3)
        return text, rel

    def source(self, depth):
        text, rel = self.item(depth, 2000)
        for _ in range(self.r.choice([0, 0, 0, 1, 1, 2])):
            made = self.join(text, rel, depth)
            if made:
                text, rel = made
        if self.maybe(0.12):
            text, rel = self.lateral(text, rel)
        return text, rel

    # ---- aggregates and windows ----

    def aggregate(self, scope, key):
        e = lambda t, d=1: self.expr(t, scope, d)
        small = [c for c in scope if not c.big]
        s = lambda t, d=1: self.expr(t, small, d)
        n = self.r.randint(0, 17)
        made = {
            0: lambda: ("count(*)", "long"), 1: lambda: (f"count({e(self.r.choice(SCALARS))})", "long"),
            2: lambda: (f"sum({s('int')})::bigint", "long"), 3: lambda: (f"sum({s('long')})::bigint", "long"),
            4: lambda: (f"sum({s('dec')})::decimal(30,3)", "wide"), 5: lambda: (f"sum({s('double')})", "double"),
            6: lambda: (f"avg({s(self.r.choice(['int', 'long', 'dec', 'double']))})", "loose"),
            7: lambda: (f"count(DISTINCT {e(self.r.choice(SCALARS))})", "long"), 8: lambda: (f"sum(DISTINCT {s('int')})::bigint", "long"),
            9: lambda: (f"{self.r.choice(['bool_and', 'bool_or'])}({e('bool')})", "bool"),
            14: lambda: (f"{self.r.choice(['var_pop', 'stddev_samp', 'var_samp'])}({s('int', 0)})", "loose"),
            15: lambda: (f"median({s('int')})", "loose"), 16: lambda: (f"percentile_disc({self.r.choice([0, 0.25, 0.5, 1])}) WITHIN GROUP (ORDER BY {s('int')})", "int"),
            17: lambda: (f"{self.r.choice(['bit_and', 'bit_or', 'bit_xor'])}({s('int')})", "int"),
        }.get(n)
        if made:
            text, type = made()
        elif n == 10:
            x = e("str")
            text, type = f"string_agg({x}, '|' ORDER BY {x}{self.r.choice(['', ' DESC'])})", "str"
        elif n == 11 and key:
            x = self.r.choice(["int", "str"])
            text, type = f"array_agg({e(x)} ORDER BY {', '.join(key)})", f"list_{x}"
        elif n == 12 and key and len(key) == 1 and key[0].endswith(".k"):
            type = self.r.choice(SCALARS)
            text = f"{self.r.choice(['max_by', 'min_by'])}({e(type)}, {key[0]})"
        else:
            type = self.r.choice([t for t in SCALARS if t != "bool"])
            text = f"{self.r.choice(['min', 'max'])}({e(type)})"
        if self.maybe(0.15):
            condition = f" FILTER (WHERE {e('bool')})"
            at = text.rfind(")::")
            text = text[:at + 1] + condition + text[at + 1:] if at > 0 and type in ("long", "wide") and "sum" in text[:4] else text + condition
        if type == "wide":
            return Column(text, "dec", plain=False, big=True)
        return Column(text, type, plain=False, big=type == "long" and "sum" in text)

    def window(self, scope, key):
        e = lambda t, d=1: self.expr(t, scope, d)
        small = [c for c in scope if not c.big]
        parts = [self.r.choice(scope).sql for _ in range(self.r.choice([0, 1, 1, 2]))] if scope else []
        partition = f"PARTITION BY {', '.join(parts)} " if parts else ""
        orders = [c for c in scope if c.type in SORTABLE]
        direction = lambda: self.r.choice(["", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"])
        order = [f"{self.r.choice(orders).sql}{direction()}" for _ in range(self.r.choice([0, 1, 2]))] if orders else []
        n = self.r.random()
        if n < 0.25:
            by = order or ([self.r.choice(orders).sql] if orders else [])
            if not by:
                return None
            function, type = self.r.choice([("rank()", "long"), ("dense_rank()", "long"), ("percent_rank()", "loose"), ("cume_dist()", "loose")])
            return Column(f"{function} OVER ({partition}ORDER BY {', '.join(by)})", type, plain=False)
        total = bool(key) and self.maybe(0.75)
        if total:
            order = order + [k + direction() for k in key]
        over = partition + (f"ORDER BY {', '.join(order)}" if order else "")
        if total and n < 0.6:
            type = self.r.choice(SCALARS)
            function, type = self.r.choice([("row_number()", "long"), (f"ntile({self.r.randint(1, 5)})", "long"), (f"lag({e(type)})", type), (f"lead({e(type)}, {self.r.randint(0, 3)})", type),
                                            (f"lag({e(type)}, {self.r.randint(1, 2)}, {self.literal(type)})", type), (f"first_value({e(type)})", type), (f"last_value({e(type)})", type),
                                            (f"nth_value({e(type)}, {self.r.randint(1, 3)})", type)])
            return Column(f"{function} OVER ({over}{self.frame(scope, True) if 'value' in function else ''})", type, plain=False)
        plain = [c for c in small if c.plain] or small
        function, type = self.r.choice([("count(*)", "long"), (f"sum({self.small('int', small, 1, ())})", "sum"), (f"min({e('int')})", "int"), (f"max({e('str')})", "str"), (f"avg({self.small('int', plain, 0, ())})", "loose"),
                                        (f"sum({self.small('dec', small, 1, ())})", "wide"), (f"min({e('date')})", "date"), (f"count({e('bool')})", "long"), (f"sum({self.small('double', plain, 0, ())})", "loose"), (f"bool_or({e('bool')})", "bool")])
        if self.maybe(0.1):
            function += f" FILTER (WHERE {e('bool')})"
        frame = ""
        if order and self.maybe(0.6):
            if not total and len(order) >= 1 and self.maybe(0.5):
                by = [c for c in orders if c.type in ("int", "date") and not c.big and c.plain]
                if by:
                    c = self.r.choice(by)
                    step = (lambda: str(self.r.randint(0, 9))) if c.type == "int" else (lambda: f"interval '{self.r.randint(0, 20)} day'")
                    over = f"{partition}ORDER BY {c.sql}{self.r.choice(['', ' DESC'])}"
                    frame = f" RANGE BETWEEN {self.r.choice(['UNBOUNDED PRECEDING', step() + ' PRECEDING', 'CURRENT ROW'])} AND {self.r.choice(['CURRENT ROW', step() + ' FOLLOWING', 'UNBOUNDED FOLLOWING'])}"
            frame = frame or self.frame(scope, total)
        text = f"{function} OVER ({over}{frame})"
        if type == "sum":
            return Column(f"({text})::bigint", "long", plain=False, big=True)
        if type == "wide":
            return Column(f"({text})::decimal(30,3)", "dec", plain=False, big=True)
        return Column(text, type, plain=False)

    def frame(self, scope, total):
        r = self.r
        kind = r.choice(["ROWS", "ROWS", "GROUPS"] if total else ["GROUPS", "GROUPS", "RANGE"])
        start = ["UNBOUNDED PRECEDING", "CURRENT ROW"] + ([] if kind == "RANGE" else [f"{r.randint(0, 4)} PRECEDING", "1 FOLLOWING"])
        end = ["UNBOUNDED FOLLOWING", "CURRENT ROW"] + ([] if kind == "RANGE" else [f"{r.randint(0, 4)} FOLLOWING", "1 PRECEDING"])
        a, b = r.choice(start), r.choice(end)
        if "FOLLOWING" in a and b in ("CURRENT ROW", "1 PRECEDING") or a == "CURRENT ROW" and "PRECEDING" in b:
            b = "UNBOUNDED FOLLOWING"
        exclude = r.choice([""] * 5 + [" EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS"])
        return f" {kind} BETWEEN {a} AND {b}{exclude if total or 'CURRENT ROW' not in exclude else ''}"

    # ---- queries ----

    def select(self, depth, types=None, named=False):
        """-> text, output columns (sql: their names), key (names) or None, most rows, order that is total or None"""
        text, rel = self.source(depth)
        where = f" WHERE {self.expr('bool', rel.columns, 3)}" if self.maybe(0.55) else ""
        if types is None and self.maybe(0.38):
            return self.grouped(text, rel, where)
        scope = rel.columns
        items, outs = [], []
        count = self.r.randint(1, 4)
        for i in range(len(types) if types else count):
            if types:
                items.append(Column(self.expr(types[i], scope, 2), types[i]))
            elif self.maybe(0.22) and rel.rows <= 4000:
                items.append(self.window(scope, rel.key) or Column("1", "int"))
            else:
                type = self.r.choice(TYPES)
                made = self.expr(type, scope, 3)
                items.append(Column(made, type) if made else self.r.choice(scope))
        keyed = bool(rel.key) and not types and self.maybe(0.6)
        plain = {c.sql: c for c in scope}
        key = None
        if keyed:
            key = []
            for k in rel.key:
                key.append(f"c{len(items)}")
                items.append(Column(k, plain[k].type, big=plain[k].big))
        outs = [Column(f"c{i}", "double" if c.type == "loose" else c.type, big=c.big or c.type == "loose") for i, c in enumerate(items)]
        sort = [c for c in items if c.type in SORTABLE]
        distinct, tail, ordered = "", "", False
        body = ", ".join(f"{c.sql} AS c{i}" for i, c in enumerate(items))
        n = self.r.random()
        direction = lambda: self.r.choice(["", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"])
        if n < 0.12 and not types:
            distinct, key = "DISTINCT ", [c.sql for c in outs]
        elif n < 0.18 and rel.key and not types:
            by = [c for c in scope if c.sql in rel.key or c.type in SORTABLE]
            by = [self.r.choice(by).sql for _ in range(self.r.randint(1, 2))]
            distinct = f"DISTINCT ON ({', '.join(by)}) "
            tail = f" ORDER BY {', '.join(by)}, {', '.join(k + direction() for k in rel.key)}"
        elif rel.key and self.maybe(0.35) and not types:
            some = [self.r.choice([c.sql for c in scope if c.sql in rel.key or c.type in SORTABLE]) + direction() for _ in range(self.r.randint(0, 2))]
            tail = f" ORDER BY {', '.join(some + [k + direction() for k in rel.key])}"
            ordered = True
        rows = rel.rows
        if tail and (self.maybe(0.5) or rows > 2000):
            rows = self.r.choice([0, 1, 3, 10, 100])
            tail += f" LIMIT {rows}" + (f" OFFSET {self.r.randint(0, 30)}" if self.maybe(0.3) else "")
        return f"SELECT {distinct}{body} FROM {text}{where}{tail}", outs, key, rows, ordered

    def grouped(self, text, rel, where):
        scope = [c for c in rel.columns if c.type != "map"] or [Column("'one'", "str")]
        groups = []
        for _ in range(self.r.choice([0, 1, 1, 1, 2, 2, 3])):
            if self.maybe(0.75):
                c = self.r.choice(scope)
                groups.append(Column(c.sql, c.type, plain=True, big=c.big))
            else:
                type = self.r.choice(["int", "str", "bool", "date"])
                made = getattr(self, "make_" + type)([c for c in scope if c.plain], 0, ())
                if made and "SELECT" not in made and re.search(r"[a-z]\d+\.", made):
                    groups.append(Column(made, type, plain=False))
        groups = list({g.sql: g for g in groups}.values())
        calls = [self.aggregate(rel.columns, rel.key) for _ in range(self.r.randint(0 if groups else 1, 3))]
        inner = groups + [c for c in calls if c.type != "loose"]
        items = list(groups) + calls
        by, key = "", None
        if groups:
            names = [g.sql for g in groups]
            n = self.r.random()
            if n < 0.7 or len(names) > 3:
                by, key = ", ".join(names), [f"c{i}" for i in range(len(groups))]
            elif n < 0.8:
                by = f"ROLLUP ({', '.join(names)})"
            elif n < 0.9:
                by = f"CUBE ({', '.join(names)})"
            else:
                sets = ["(" + ", ".join(self.r.sample(names, self.r.randint(0, len(names)))) + ")" for _ in range(self.r.randint(1, 3))]
                sets.append("(" + ", ".join(names) + ")")  # each is in one at least
                by = f"GROUPING SETS ({', '.join(sets)})"
            if not key and self.maybe(0.5):
                items.append(Column(f"grouping({', '.join(names)})", "long"))
        elif self.maybe(0.1):
            by = "()"
        if inner and self.maybe(0.35):
            usable = [Column(c.sql, c.type, plain=False, big=c.big) for c in inner]
            type = self.r.choice([c.type for c in usable if c.type in TYPES] or ["int"])
            if self.maybe(0.6) or not key:
                made = getattr(self, "make_" + type)(usable, 1, ())
                if made:
                    items.append(Column(made, type))
            else:
                made = self.window(usable, [g.sql for g in groups])
                if made:
                    items.append(made)
        having = f" HAVING {self.expr('bool', [Column(c.sql, c.type, plain=False, big=c.big) for c in inner], 1)}" if self.maybe(0.25) and inner else ""
        order = list(range(len(items)))
        self.r.shuffle(order)
        key = key and [f"c{order.index(int(k[1:]))}" for k in key]
        items = [items[i] for i in order]
        outs = [Column(f"c{i}", "double" if c.type == "loose" else c.type, big=c.big or c.type == "loose") for i, c in enumerate(items)]
        body = ", ".join(f"{c.sql} AS c{i}" for i, c in enumerate(items))
        rows, tail, ordered = min(rel.rows, 3000), "", False
        if key and self.maybe(0.3) and all(outs[int(k[1:])].type in SORTABLE for k in key):
            tail = " ORDER BY " + ", ".join(str(int(k[1:]) + 1) + self.r.choice(["", " DESC", " NULLS FIRST"]) for k in key)
            ordered = True
            if self.maybe(0.4):
                rows = self.r.choice([1, 3, 10])
                tail += f" LIMIT {rows}"
        return f"SELECT {body} FROM {text}{where}{' GROUP BY ' + by if by else ''}{having}{tail}", outs, key, rows, ordered

    def query(self, depth, named=False):
        if self.maybe(0.12):
            types = [self.r.choice(SCALARS + ("list_int",)) for _ in range(self.r.randint(1, 3))]
            text, outs, _, rows, _ = self.select(max(depth - 1, 0), types)
            for _ in range(self.r.choice([1, 1, 2])):
                more, _, _, more_rows, _ = self.select(max(depth - 1, 0), types)
                operator = self.r.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"])
                text = f"({text}) {operator} ({more})"
                rows += more_rows
            self.ordered = False
            if not named and self.maybe(0.3):
                text, self.ordered = text + " ORDER BY " + ", ".join(f"{i + 1}" for i in range(len(outs))), True
            return text, outs, None, rows
        text, outs, key, rows, self.ordered = self.select(depth)
        return text, outs, key, rows

    def statement(self):
        """-> SQL, whether its order is told wholly"""
        self.names, self.ctes = 0, []
        head = []
        for _ in range(self.r.choice([0, 0, 0, 0, 1, 2])):
            name = self.name("cte")
            text, outs, key, rows = self.query(1, named=True)
            head.append(f"{name} AS {self.r.choice(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])}({text})")
            self.ctes.append((name, outs, key, rows))
        text, outs, key, rows = self.query(self.r.choice([0, 1, 1, 2]))
        ordered = self.ordered
        if rows > 4000 and not ordered:
            sums = ", ".join(f"count({c.sql})" for c in outs)
            text, ordered = f"SELECT count(*) AS n{''.join(f', count({c.sql}) AS {c.sql}' for c in outs)} FROM ({text}) q", False
        return (f"WITH {', '.join(head)} " if head else "") + text, ordered
