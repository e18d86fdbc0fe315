"""Files of CSV, Parquet and Avro as sources of windows: random rows land with their values, bad ones in quarantine with their place and
reason, each file once. Python's csv module, pyarrow and fastavro write; DuckDB reads the tables."""
import csv, datetime, decimal, gzip, io, json, math, os, random, shutil, subprocess, sys, tempfile, uuid
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
import engines, fastavro, pyarrow, pyarrow.parquet

WEIR, bad = os.environ["WEIR"], 0
seed = int(os.environ.get("WEIR_SEED", "1"))
rounds = 20 if os.environ.get("WEIR_FULL") else 3
top = Path(tempfile.mkdtemp(prefix="weir-formats."))
D = decimal.Decimal


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def pipeline(folder, source, columns, extra=""):
    (folder / "in").mkdir(parents=True, exist_ok=True)
    (folder / "weir.yaml").write_text(
        f"version: 1\nname: formats\nlake: {{warehouse: ./lake}}\nsources:\n  s: {{files: 'in/*', {source}}}\n"
        f"tables:\n  bronze.t:\n    source: s\n{extra}    columns:\n" + "".join(f'      "{n}": "{t}"\n' for n, t in columns.items()))


def read(folder, table="bronze.t"):
    """Rows of a table by DuckDB, from Iceberg's own metadata."""
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    if table.endswith("__quarantine") and not (folder / "lake" / table.replace(".", "/")).exists():
        return []
    return engines.read_duckdb(place, engines.load_table(place, table)).to_pylist()


def plain(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(datetime.timezone.utc)
    return value


def same(folder, wanted):
    """wanted: (file, row) -> values by column."""
    got = {}
    for row in read(folder):
        place = row.pop("_source_file")
        got[(Path(place["path"]).name, place["row"])] = plain(row)
    wanted = {key: plain(row) for key, row in wanted.items()}
    if got == wanted:
        return ""
    keys = [key for key in sorted(set(got) | set(wanted)) if got.get(key) != wanted.get(key)]
    return f"{len(keys)} differ, first {keys[0]}: got {got.get(keys[0])}, wanted {wanted.get(keys[0])}"


def refused(folder):
    """(file, row) -> reason."""
    return {(Path(r["_source_file"]["path"]).name, r["_source_file"]["row"]): r["reason"] for r in read(folder, "bronze.t__quarantine")}


def outcome(run):
    return f"{run.returncode} {run.stdout[-300:]} {run.stderr[-600:]}"


# ---- CSV

TEXTS = ["", "a", "NULL", " spaces ", "comma,", "semi;", "tab\t", 'quote"', "it's", "two\nlines", "cr\r\nlf", "Zürich", "ÿ", "0", "x" * 300, "|"]


def csv_value(rng, kind):
    """A value and the text it is written as."""
    if kind == "long":
        value = rng.choice([0, -1, 2**63 - 1, -(2**63), rng.randint(-10**6, 10**6)])
        return value, rng.choice(["%d", " %d", "%d "]) % value
    if kind == "double":
        value = rng.choice([0.0, -1.5, 1e300, 5e-324, rng.uniform(-1e9, 1e9)])
        return value, repr(value)
    if kind == "boolean":
        value = rng.random() < 0.5
        return value, rng.choice([str(value), str(value).lower(), "01"[value], "ft"[value]])
    if kind == "decimal(12,3)":
        value = D(rng.randint(-10**12 + 1, 10**12 - 1)).scaleb(-3)
        return value, format(value, "f")
    if kind == "date":
        value = datetime.date(1900, 1, 1) + datetime.timedelta(days=rng.randint(0, 90000))
        return value, value.isoformat()
    if kind == "timestamptz":
        value = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=rng.randint(-10**15, 4 * 10**15))
        zone = datetime.timezone(datetime.timedelta(minutes=rng.randint(-700, 700)))
        return value, rng.choice([value.astimezone(zone).isoformat(), value.isoformat(" ").replace("+00:00", "Z")])
    if kind == "uuid":
        value = uuid.UUID(int=rng.getrandbits(128))
        return value, str(value)
    value = "".join(rng.choice(TEXTS) for _ in range(rng.randint(1, 3)))
    return value, value


def csv_bad(rng, kind):
    return rng.choice({"long": [("x", "type"), ("9223372036854775808", "range"), ("1.5", "type")], "double": [("1,,5", "type"), ("one", "type")],
                       "boolean": [("yes", "type")], "decimal(12,3)": [("1.0001", "range"), ("12e", "type")], "date": [("2024-02-30", "range")],
                       "timestamptz": [("2024-13-01T00:00:00Z", "range")], "uuid": [("12", "type")]}[kind])


def random_csv(n):
    rng = random.Random(seed * 1000 + n)
    folder = top / f"csv{n}"
    kinds = ["long", "double", "boolean", "decimal(12,3)", "date", "timestamptz", "uuid", "string", "string"]
    rng.shuffle(kinds)
    columns = {f"c{i} {kind[:3]}": kind for i, kind in enumerate(kinds)}
    required = rng.choice([name for name, kind in columns.items() if kind != "string"])
    delimiter, quote, header, encoding = rng.choice(",;|\t"), rng.choice("\"'"), rng.random() < 0.7, rng.choice(["utf-8", "latin1"])
    null, end = rng.choice(["", "NA", "\\N"]), rng.choice(["\n", "\r\n"])
    pipeline(folder, f"format: csv, csv: {{header: {str(header).lower()}, delimiter: {'tab' if delimiter == chr(9) else json.dumps(delimiter)}, "
             f"quote: {json.dumps(quote)}, {'null_text: ' + json.dumps(null) + ', ' if null else ''}encoding: {encoding}}}",
             {name: kind + " required" * (name == required) for name, kind in columns.items()})
    wanted, reasons = {}, {}
    for name in ("a.csv", "b.csv.gz"):
        order = list(columns) if not header else rng.sample([*columns, "nobody's"], len(columns) + 1)
        if header and rng.random() < 0.5:
            order.remove(rng.choice([c for c in order if c not in (required, "nobody's")]))
        out, line = io.StringIO(), 0

        def put(fields):
            nonlocal line
            start, at = line, out.tell()
            csv.writer(out, delimiter=delimiter, quotechar=quote, lineterminator=end).writerow(fields)
            line += out.getvalue()[at:].count("\n")
            return start

        header and put(order)
        for _ in range(rng.randint(1, 400)):
            row, texts, reason = {c: None for c in columns}, {"nobody's": "x"}, None
            for column, kind in columns.items():  # the first that is wrong, in the table's order, names the reason
                value, text = csv_value(rng, kind)
                if rng.random() < 0.1:
                    value, text = None, null
                    reason = reason or ("required" if column == required else None)
                elif kind != "string" and rng.random() < 0.004:
                    text, why = csv_bad(rng, kind)
                    reason = reason or (why if column in order else None)
                elif text == null:
                    value, text = "q", "q"
                texts[column] = text
                row[column] = value if column in order else None
            fields = [texts[column] for column in order]
            if rng.random() < 0.01:
                fields, reason = fields + ["more"], "syntax"
            place = (name, put(fields))
            if reason:
                reasons[place] = reason
            else:
                wanted[place] = row
        data = out.getvalue().encode(encoding)
        data = b"\xef\xbb\xbf" * (encoding == "utf-8" and rng.random() < 0.3) + data
        (folder / "in" / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    run = weir(folder, "run")
    found = refused(folder) if run.returncode == 0 else {}
    what = f"delimiter {delimiter!r}, quote {quote}, {encoding}, {'with' if header else 'no'} header, null {null!r}, {len(wanted)} rows, {len(reasons)} bad"
    say(run.returncode == 0 and not same(folder, wanted), f"CSV {seed}.{n}: {what}", outcome(run) + (same(folder, wanted) if run.returncode == 0 else ""))
    say(found == reasons, f"CSV {seed}.{n}: bad rows have their reasons", sorted(set(found.items()) ^ set(reasons.items()))[:4])
    again = weir(folder, "run")
    say(again.returncode == 0 and "nothing to do" in again.stdout, f"CSV {seed}.{n}: each file once", outcome(again))
    say(weir(folder, "verify", "--deep").returncode == 0, f"CSV {seed}.{n}: verify")


def csv_cases():
    folder = top / "case"

    def case(name, text, columns, rows, reasons=(), source="format: csv", extra="", code=0, says=""):
        shutil.rmtree(folder, ignore_errors=True)
        pipeline(folder, source, columns, extra)
        (folder / "in/f.csv").write_bytes(text)
        run = weir(folder, "run")
        got = [] if run.returncode else [{k: v for k, v in row.items() if k != "_source_file"} for row in read(folder)]
        why = {} if run.returncode else {row: reason for (_, row), reason in refused(folder).items()}
        say(run.returncode == code and sorted(got, key=str) == sorted(rows, key=str) and why == dict(reasons) and says in run.stderr, f"CSV: {name}", f"{outcome(run)} {got} {why}")

    case("a file of nothing", b"", {"a": "long"}, [])
    case("a header alone", b"a,b", {"a": "long"}, [])
    case("CR alone ends lines", b"a,b\r1,2\r3,4", {"a": "long", "b": "long"}, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    case("a missing column is null", b"b\n2\n", {"a": "long", "b": "long"}, [{"a": None, "b": 2}])
    case("a missing required column refuses each row", b"b\n2\n3\n", {"a": "long required", "b": "long"}, [], {1: "required", 2: "required"})
    case("an open quote takes the rest", b'a,b\n1,2\n3,"4\n5,6\n', {"a": "long", "b": "string"}, [{"a": 1, "b": "2"}], {2: "syntax"})
    case("text behind a quote", b'a,b\n"1"x,2\n3,4\n', {"a": "long", "b": "string"}, [{"a": 3, "b": "4"}], {1: "syntax"})
    case("not UTF-8", b"a,b\n1,\xff\n2,ok\n", {"a": "long", "b": "string"}, [{"a": 2, "b": "ok"}], {1: "encoding"})
    case("unknown_fields: quarantine", b"a,b\n1,2\n", {"a": "long"}, [], {1: "unknown_field"}, extra="    unknown_fields: quarantine\n")
    case("where and expect", b"a\n1\n2\n3\n", {"a": "long"}, [{"a": 2}], {3: "expect"}, extra="    where: a > 1\n    expect: [{that: a < 3}]\n")
    case("a name twice is refused", b"a,a\n1,2\n", {"a": "long"}, [], code=4, says="column a is in the header twice")
    case("a header that is not UTF-8", b"a,\xff\n1,2\n", {"a": "long"}, [], code=1, says="name 2 of the header")
    case("evolve is refused", b"a\n1\n", {"a": "long"}, [], extra="    unknown_fields: evolve\n", code=2, says="unknown_fields: evolve")
    case("nested columns are refused", b"a\n1\n", {"a": "list<long>"}, [], code=2, says="CSV holds no list")
    case("nulls are what null_text says", b'a,b\n1,-\n2,"-"\n3,\n', {"a": "long", "b": "string"}, [{"a": 1, "b": None}, {"a": 2, "b": "-"}, {"a": 3, "b": ""}],
         source='format: csv, csv: {null_text: "-"}')
    case("a delimiter of two characters", b"a\n", {"a": "long"}, [], source='format: csv, csv: {delimiter: ";;"}', code=2, says="expected one character")
    # quarantine, after a mend of the pipeline file
    shutil.rmtree(folder, ignore_errors=True)
    pipeline(folder, "format: csv", {"id": "long", "size": "int"})
    (folder / "in/f.csv").write_text("size,name,id\n1,a,1\n" + f'{2**40},"two\nlines",2\n' + "x,c,3\n")
    weir(folder, "run")
    raws = {row["reason"]: bytes(row["raw"]) for row in read(folder, "bronze.t__quarantine")}
    say(raws == {"range": f'size,name,id\n{2**40},"two\nlines",2'.encode(), "type": b"size,name,id\nx,c,3"}, "CSV: quarantine keeps header and record", raws)
    pipeline(folder, "format: csv", {"id": "long", "size": "long"})
    run = weir(folder, "quarantine", "retry", "t", "--yes")
    say(run.returncode == 0 and not same(folder, {("f.csv", 1): {"id": 1, "size": 1}, ("f.csv", 2): {"id": 2, "size": 2**40}}) and refused(folder) == {("f.csv", 4): "type"},
        "CSV: retry lands what is good now", outcome(run) + same(folder, {}) + str(refused(folder)))


def other_names():
    """aliases: a column is found by its name, else by another one; in CSV, Parquet and Avro alike."""
    folder, columns = top / "names", {"id": "long"}
    extra = '    columns: {id: long, price: {type: double, aliases: [cost, Preis]}, name: {type: string, aliases: title}}\n'
    writers = {"csv": lambda path, names, row: path.write_text(",".join(names) + "\n" + ",".join(map(str, row)) + "\n"),
               "parquet": lambda path, names, row: pyarrow.parquet.write_table(pyarrow.table({n: [v] for n, v in zip(names, row)}), path),
               "avro": lambda path, names, row: path.open("wb").write(avro_bytes(names, row))}
    for form, write in writers.items():
        shutil.rmtree(folder, ignore_errors=True)
        pipeline(folder, f"format: {form}", columns, extra)
        text = (folder / "weir.yaml").read_text()
        (folder / "weir.yaml").write_text(text[:text.rindex("    columns:\n")])
        for name, names, row in (("a", ["id", "price", "name"], [1, 1.5, "x"]), ("b", ["Preis", "title", "id"], [2.5, "y", 2]), ("c", ["cost", "price", "id"], [9.5, 3.5, 3])):
            write(folder / f"in/{name}.{form}", names, row)
        run = weir(folder, "run")
        got = sorted((r["id"], r["price"], r["name"]) for r in read(folder)) if run.returncode == 0 else []
        say(got == [(1, 1.5, "x"), (2, 2.5, "y"), (3, 3.5, None)], f"other names of columns: {form}", outcome(run) + str(got))


def avro_bytes(names, row):
    out, kinds = io.BytesIO(), {int: "long", float: "double", str: "string"}
    fastavro.writer(out, fastavro.parse_schema({"type": "record", "name": "r", "fields": [{"name": n, "type": kinds[type(v)]} for n, v in zip(names, row)]}), [dict(zip(names, row))])
    return out.getvalue()


# ---- Parquet

def parquet_columns(rng, count):
    utc = datetime.timezone.utc

    def some(make):
        return [None if rng.random() < 0.1 else make() for _ in range(count)]

    moment = lambda: datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=rng.randint(-10**15, 4 * 10**15))
    text = lambda: "".join(rng.choice(TEXTS) for _ in range(rng.randint(0, 2)))
    return {
        "i": ("int", pyarrow.int32(), some(lambda: rng.randint(-2**31, 2**31 - 1))),
        "small": ("long", pyarrow.int16(), some(lambda: rng.randint(-2**15, 2**15 - 1))),
        "narrow": ("int", pyarrow.int64(), some(lambda: rng.randint(-2**31, 2**31 - 1))),
        "d": ("double", pyarrow.float32(), some(lambda: float(rng.randint(-1000, 1000)) / 8)),
        "f": ("float", pyarrow.float64(), some(lambda: float(rng.randint(-1000, 1000)) / 8)),
        "b": ("boolean", pyarrow.bool_(), some(lambda: rng.random() < 0.5)),
        "dec": ("decimal(20,2)", pyarrow.decimal128(10, 2), some(lambda: D(rng.randint(-10**10 + 1, 10**10 - 1)).scaleb(-2))),
        "s": ("string", pyarrow.string(), some(text)),
        "dict": ("string", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), some(lambda: rng.choice("abc"))),
        "bin": ("binary", pyarrow.binary(), some(lambda: rng.randbytes(rng.randint(0, 9)))),
        "day": ("date", pyarrow.date32(), some(lambda: datetime.date(1950, 1, 1) + datetime.timedelta(days=rng.randint(0, 50000)))),
        "ts": ("timestamp", pyarrow.timestamp("us"), some(moment)),
        "tz": ("timestamptz", pyarrow.timestamp("ms", "UTC"), some(lambda: moment().replace(microsecond=7000, tzinfo=utc))),
        "naive": ("timestamptz", pyarrow.timestamp("us"), some(moment)),
        "l": ("list<int>", pyarrow.list_(pyarrow.int32()), some(lambda: [rng.choice([None, 1, 2]) for _ in range(rng.randint(0, 4))])),
        "st": ("struct<x: long, y: string>", pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.string())]), some(lambda: {"x": rng.randint(0, 9), "y": text()})),
        "m": ("map<string, long>", pyarrow.map_(pyarrow.string(), pyarrow.int64()), some(lambda: [(k, rng.randint(0, 9)) for k in rng.sample("abcd", 2)])),
    }


def random_parquet(n):
    rng = random.Random(seed * 1000 + n)
    folder, wanted, reasons, columns = top / f"parquet{n}", {}, {}, None
    for name in ("a.parquet", "b.parquet"):
        count = rng.choice([0, 1, 700, 5000])
        made = parquet_columns(rng, count)
        columns = columns or {c: kind + " required" * (c == "i") for c, (kind, _, _) in made.items()}
        pipeline(folder, "format: parquet", columns)
        order = rng.sample(list(made), len(made) - 1)
        values = {c: list(made[c][2]) for c in order}
        for row in range(count):
            if "narrow" in order and rng.random() < 0.01:
                values["narrow"][row] = 2**31
        arrays = [pyarrow.array(values[c], made[c][1]) for c in order] + [pyarrow.array(["x"] * count)]
        pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, [*order, "nobody"]), folder / "in" / name, row_group_size=rng.choice([100, 3000]),
                                    compression=rng.choice(["snappy", "zstd", "none"]), data_page_version=rng.choice(["1.0", "2.0"]))
        for row in range(count):
            record = {c: values[c][row] if c in order else None for c in columns}
            if record["naive"] is not None:
                record["naive"] = record["naive"].replace(tzinfo=datetime.timezone.utc)
            if record["m"] is not None:
                record["m"] = [tuple(pair) for pair in record["m"]]
            wide, null = record["narrow"] == 2**31, record["i"] is None
            if null or wide:
                reasons[(name, row)] = "range" if wide and list(columns).index("narrow") < list(columns).index("i") or not null else "required"
            else:
                wanted[(name, row)] = record
    run = weir(folder, "run")
    differs = same(folder, wanted) if run.returncode == 0 else ""
    say(run.returncode == 0 and not differs, f"Parquet {seed}.{n}: {len(wanted)} rows, {len(reasons)} bad", outcome(run) + differs)
    found = refused(folder) if run.returncode == 0 else {}
    say(found == reasons, f"Parquet {seed}.{n}: bad rows have their reasons", sorted(set(found.items()) ^ set(reasons.items()))[:4])
    again = weir(folder, "run")
    say(again.returncode == 0 and "nothing to do" in again.stdout and weir(folder, "verify", "--deep").returncode == 0, f"Parquet {seed}.{n}: each file once, verify", outcome(again))


def parquet_cases():
    folder = top / "case"

    def case(name, table, columns, rows, reasons=(), extra="", code=0, says=""):
        shutil.rmtree(folder, ignore_errors=True)
        pipeline(folder, "format: parquet", columns, extra)
        pyarrow.parquet.write_table(table, folder / "in/f.parquet") if isinstance(table, pyarrow.Table) else (folder / "in/f.parquet").write_bytes(table)
        run = weir(folder, "run")
        got = [] if run.returncode else [{k: v for k, v in row.items() if k != "_source_file"} for row in read(folder)]
        why = {} if run.returncode else {row: reason for (_, row), reason in refused(folder).items()}
        say(run.returncode == code and sorted(got, key=str) == sorted(rows, key=str) and why == dict(reasons) and says in run.stderr, f"Parquet: {name}", f"{outcome(run)} {got} {why}")

    numbers = pyarrow.table({"a": [1, 2], "b": ["x", "y"]})
    case("a type that does not fit refuses the file", numbers, {"b": "long"}, [], code=4, says="column b: the file has string, bronze.t wants long")
    case("a missing required column refuses each row", numbers, {"c": "long required"}, [], {0: "required", 1: "required"})
    case("a missing column is null", numbers, {"a": "long", "c": "double"}, [{"a": 1, "c": None}, {"a": 2, "c": None}])
    case("no Parquet at all", b"a,b\n1,2\n", {"a": "long"}, [], code=1, says="f.parquet")
    case("unknown_fields: quarantine", numbers, {"a": "long"}, [], {0: "unknown_field", 1: "unknown_field"}, extra="    unknown_fields: quarantine\n")
    case("unknown_fields: evolve", numbers, {"a": "long"}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], extra="    unknown_fields: evolve\n")
    case("where and expect", numbers, {"a": "long"}, [], {0: "expect"}, extra="    where: a < 2\n    expect: [{that: a > 1}]\n")
    case("units of times", pyarrow.table({"t": [1500, -1]}), {"t": "timestamptz"}, [], code=4, says="column t")
    nested = pyarrow.table({"s": pyarrow.array([{"x": 1}, {"x": None}, None], pyarrow.struct([("x", pyarrow.int64())]))})
    case("required within a struct", nested, {"s": "struct<x: long required>"}, [{"s": {"x": 1}}, {"s": None}], {1: "required"})
    shutil.rmtree(folder, ignore_errors=True)
    pipeline(folder, "format: parquet", {"a": "int", "b": "string"})
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2**40], "b": ["x", "y"]}), folder / "in/f.parquet")
    weir(folder, "run")
    raws = [bytes(row["raw"]) for row in read(folder, "bronze.t__quarantine")]
    say(raws == [b'{"a":1099511627776,"b":"y"}'], "Parquet: quarantine keeps the row as JSON", raws)
    pipeline(folder, "format: parquet", {"a": "long", "b": "string"})
    run = weir(folder, "quarantine", "retry", "t", "--yes")
    say(run.returncode == 0 and not same(folder, {("f.parquet", 0): {"a": 1, "b": "x"}, ("f.parquet", 1): {"a": 2**40, "b": "y"}}), "Parquet: retry lands what is good now", outcome(run))


# ---- Avro

class Avro:
    """Random pairs of a column's type and a writer's, with values: what is written, and what must be read (a reason where it cannot be)."""

    def __init__(self, rng):
        self.rng, self.names = rng, 0

    def name(self):
        self.names += 1
        return f"n{self.names}"

    def scalar(self):
        rng, epoch = self.rng, datetime.datetime(1970, 1, 1)
        zoned = epoch.replace(tzinfo=datetime.timezone.utc)
        micros = lambda: rng.randint(-10**15, 4 * 10**15)
        after = lambda start, n: start + datetime.timedelta(microseconds=n)
        text = lambda: "".join(rng.choice(TEXTS) for _ in range(rng.randint(0, 2)))

        def times(zone, unit, factor):
            def make():
                n = micros() * 1000 // factor
                return n, after(zoned if zone else epoch, n * factor // 1000)
            return "timestamptz" if zone else "timestamp", {"type": "long", "logicalType": ("" if zone else "local-") + f"timestamp-{unit}"}, make

        def decimals(kind, precision, scale, column):
            def make():
                value = D(rng.randint(-10**precision + 1, 10**precision - 1)).scaleb(-scale)
                return value, value
            schema = {"type": kind, "logicalType": "decimal", "precision": precision, "scale": scale}
            return column, schema if kind == "bytes" else {**schema, "name": self.name(), "size": 12}, make

        def twice(make):
            return lambda: (lambda v: (v, v))(make())

        symbols = ["red", "green", "blue"]
        whole = twice(lambda: rng.choice([0, -1, 2**31 - 1, -(2**31), rng.randint(-1000, 1000)]))
        big = twice(lambda: rng.choice([0, -1, 2**63 - 1, -(2**63), rng.randint(-10**12, 10**12)]))
        real = twice(lambda: rng.choice([0.0, -1.5, 1e300, math.inf, rng.uniform(-1e9, 1e9)]))
        half = twice(lambda: rng.randint(-1000, 1000) / 8)
        day = lambda: (lambda n: (n, datetime.date(1970, 1, 1) + datetime.timedelta(days=n)))(rng.randint(-30000, 90000))
        id = lambda: (lambda u: (str(u), u))(uuid.UUID(int=rng.getrandbits(128)))
        raw = twice(lambda: rng.randbytes(rng.randint(0, 9)))

        def narrow():
            n = rng.choice([5, 2**31, -7]) if rng.random() < 0.02 else rng.randint(-9, 9)
            return n, n if -(2**31) <= n < 2**31 else ValueError("range")

        return rng.choice([
            lambda: ("int", "int", whole), lambda: ("long", "int", whole), lambda: ("long", "long", big), lambda: ("int", "long", narrow),
            lambda: ("float", "float", half), lambda: ("double", "float", half), lambda: ("double", "double", real), lambda: ("float", "double", half),
            lambda: ("double", "int", lambda: (lambda v: (v, float(v)))(rng.randint(-9, 9))), lambda: ("boolean", "boolean", twice(lambda: rng.random() < 0.5)),
            lambda: ("decimal(20,2)", "long", lambda: (lambda v: (v, D(v).scaleb(0)))(rng.randint(-10**15, 10**15))),
            lambda: ("string", "string", twice(text)), lambda: ("binary", "bytes", raw), lambda: ("string", "bytes", lambda: (lambda t: (t.encode(), t))(text())),
            lambda: ("binary", "string", lambda: (lambda t: (t, t.encode()))(text())), lambda: ("fixed(5)", {"type": "fixed", "name": self.name(), "size": 5}, twice(lambda: rng.randbytes(5))),
            lambda: ("string", {"type": "enum", "name": self.name(), "symbols": symbols}, twice(lambda: rng.choice(symbols))),
            lambda: ("uuid", {"type": "string", "logicalType": "uuid"}, id), lambda: ("uuid", "string", id), lambda: ("string", {"type": "string", "logicalType": "uuid"}, lambda: (lambda p: (p[0], p[0]))(id())),
            lambda: ("date", {"type": "int", "logicalType": "date"}, day),
            lambda: ("time", {"type": "int", "logicalType": "time-millis"}, lambda: (lambda n: (n, (datetime.datetime.min + datetime.timedelta(milliseconds=n)).time()))(rng.randint(0, 86399999))),
            lambda: ("time", {"type": "long", "logicalType": "time-micros"}, lambda: (lambda n: (n, (datetime.datetime.min + datetime.timedelta(microseconds=n)).time()))(rng.randint(0, 86399999999))),
            lambda: times(True, "millis", 10**6), lambda: times(True, "micros", 10**3), lambda: times(True, "nanos", 1),
            lambda: times(False, "millis", 10**6), lambda: times(False, "micros", 10**3), lambda: times(False, "nanos", 1),
            lambda: decimals("bytes", 9, 2, "decimal(9,2)"), lambda: decimals("bytes", 20, 4, "decimal(30,8)"), lambda: decimals("fixed", 18, 0, "decimal(38,6)"),
        ])()

    def value(self, depth=0):
        """(column, writer, make): make() gives (datum, wanted)."""
        rng, kind = self.rng, self.rng.random()
        if depth < 3 and kind < 0.12:
            column, writer, make = self.value(depth + 1)

            def items():
                each = [make() for _ in range(rng.randint(0, 3))]
                return [d for d, _ in each], first_error([w for _, w in each])
            return f"list<{column}>", {"type": "array", "items": writer}, items
        if depth < 3 and kind < 0.22:
            column, writer, make = self.value(depth + 1)

            def pairs():
                each = {k: make() for k in rng.sample("abcdé", rng.randint(0, 3))}
                return {k: d for k, (d, _) in each.items()}, first_error([(k, w) for k, (_, w) in each.items()])
            return f"map<string, {column}>", {"type": "map", "values": writer}, pairs
        if depth < 3 and kind < 0.36:
            columns, writer, make = self.record(depth + 1)
            return f"struct<{', '.join(f'{n}: {t}' for n, t in columns.items())}>", writer, make
        column, writer, make = self.scalar() if kind < 0.7 else self.union(depth)
        return column, writer, make

    def union(self, depth):
        rng = self.rng
        column, writer, make = self.scalar() if rng.random() < 0.6 else self.value(3)
        if isinstance(writer, list):
            return column, writer, make
        branches, null = rng.choice([(["null", writer], 0), ([writer, "null"], 1)])
        if writer == "int" and rng.random() < 0.5 and column in ("long", "double"):
            branches = [*branches, "long"]
        return column, branches, lambda: (None, None) if rng.random() < 0.3 else make()

    def record(self, depth=0):
        rng, columns, fields, makes = self.rng, {}, [], []
        for _ in range(rng.randint(1, 4) if depth else rng.randint(6, 14)):
            name = self.name()
            column, writer, make = self.value(depth)
            what = rng.random()
            if what < 0.1:
                columns[name] = column  # the writer has no such field
                makes.append((name, None))
                continue
            fields.append({"name": name, "type": writer})
            if what < 0.2 and (columns or depth == 0):
                makes.append((name, lambda make=make: (make()[0], None)))  # and here no column takes it
            else:
                columns[name] = column
                makes.append((name, make))
        if not columns:
            columns["only"] = "int"
        rng.shuffle(fields)

        def make():
            each = {name: make() if make else (None, None) for name, make in makes}
            wanted = {name: each[name][1] if name in each else None for name in columns}
            return {field["name"]: each[field["name"]][0] for field in fields}, first_error(wanted)
        return columns, {"type": "record", "name": self.name(), "fields": fields}, make


def first_error(wanted):
    values = [w[1] if isinstance(w, tuple) else w for w in (wanted.values() if isinstance(wanted, dict) else wanted)]
    return next((v for v in values if isinstance(v, ValueError)), wanted)


def random_avro(n):
    rng = random.Random(seed * 1000 + n)
    folder, wanted, reasons = top / f"avro{n}", {}, {}
    made = Avro(rng)
    columns, writer, make = made.record()
    pipeline(folder, "format: avro", columns)
    for name in ("a.avro", "b.avro"):
        data = []
        for row in range(rng.choice([0, 1, 300, 2500])):
            datum, value = make()
            data.append(datum)
            if isinstance(value, ValueError):
                reasons[(name, row)] = str(value)
            else:
                wanted[(name, row)] = value
        with open(folder / "in" / name, "wb") as file:
            fastavro.writer(file, fastavro.parse_schema(writer), data, codec=rng.choice(["null", "deflate"]), sync_interval=rng.choice([100, 16000, 10**6]))
    run = weir(folder, "run")
    differs = same(folder, wanted) if run.returncode == 0 else ""
    say(run.returncode == 0 and not differs, f"Avro {seed}.{n}: {len(columns)} columns, {len(wanted)} rows, {len(reasons)} bad", f"{columns} {json.dumps(writer)}"[:600] + outcome(run) + differs)
    found = refused(folder) if run.returncode == 0 else {}
    say(found == reasons, f"Avro {seed}.{n}: bad rows have their reasons", sorted(set(found.items()) ^ set(reasons.items()))[:4])
    again = weir(folder, "run")
    say(again.returncode == 0 and "nothing to do" in again.stdout and weir(folder, "verify", "--deep").returncode == 0, f"Avro {seed}.{n}: each file once, verify", outcome(again))


def avro_cases():
    folder = top / "case"

    def write(name, writer, rows, **options):
        with open(folder / "in" / name, "wb") as file:
            fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "r", "fields": [{"name": n, "type": t} for n, t in writer.items()]}), rows, **options)

    def case(name, writer, rows, columns, wanted, reasons=(), extra="", code=0, says=""):
        shutil.rmtree(folder, ignore_errors=True)
        pipeline(folder, "format: avro", columns, extra)
        (folder / "in/f.avro").write_bytes(writer) if isinstance(writer, bytes) else write("f.avro", writer, rows)
        run = weir(folder, "run")
        got = [] if run.returncode else [{k: v for k, v in row.items() if k != "_source_file"} for row in read(folder)]
        why = {} if run.returncode else {row: reason for (_, row), reason in refused(folder).items()}
        say(run.returncode == code and sorted(got, key=str) == sorted(wanted, key=str) and why == dict(reasons) and says in run.stderr, f"Avro: {name}", f"{outcome(run)} {got} {why}")

    two = {"a": "long", "b": ["null", "string"]}
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    case("a required column that is null", two, rows, {"b": "string required"}, [{"b": "x"}], {1: "required"})
    case("a required column that the schema lacks", two, rows, {"c": "long required"}, [], {0: "required", 1: "required"})
    case("another type refuses the rows that have it", two, rows, {"a": "long", "b": "double"}, [{"a": 2, "b": None}], {0: "type"})
    case("unknown_fields: quarantine", two, rows, {"a": "long"}, [], {0: "unknown_field", 1: "unknown_field"}, extra="    unknown_fields: quarantine\n")
    case("unknown_fields: evolve", two, rows, {"a": "long"}, rows, extra="    unknown_fields: evolve\n")
    case("no container file", b"a,b\n1,2\n", None, {"a": "long"}, [], code=1, says="does not start with Obj1")
    case("where and expect", two, rows, {"a": "long"}, [], {0: "expect"}, extra="    where: a < 2\n    expect: [{that: a > 1}]\n")
    case("a file of nothing", two, [], {"a": "long"}, [])
    write("f.avro", two, rows * 500, codec="deflate")
    whole = (folder / "in/f.avro").read_bytes()
    case("a file that is cut off", whole[:-20], None, {"a": "long"}, [], code=1, says="f.avro: avro: in a block's head: it is cut off")
    # evolution over windows: files of a schema that grows, unions of what was int and is long
    shutil.rmtree(folder, ignore_errors=True)
    pipeline(folder, "format: avro", {"a": "long"}, "    unknown_fields: evolve\n")
    write("1.avro", {"a": "int"}, [{"a": 1}])
    weir(folder, "run")
    write("2.avro", {"a": "long", "n": "int"}, [{"a": 2, "n": 3}])
    write("3.avro", {"a": "long", "n": ["null", "long"], "s": {"type": "record", "name": "s", "fields": [{"name": "x", "type": "string"}]}}, [{"a": 2**40, "n": 2**50, "s": {"x": "y"}}])
    run = weir(folder, "run")
    write("4.avro", {"s": {"type": "record", "name": "s", "fields": [{"name": "z", "type": "float"}]}}, [{"s": {"z": 0.5}}])
    last = weir(folder, "run")
    differs = same(folder, {("1.avro", 0): {"a": 1, "n": None, "s": None}, ("2.avro", 0): {"a": 2, "n": 3, "s": None}, ("3.avro", 0): {"a": 2**40, "n": 2**50, "s": {"x": "y", "z": None}},
                            ("4.avro", 0): {"a": None, "n": None, "s": {"x": None, "z": 0.5}}}) if last.returncode == 0 else ""
    say(run.returncode == 0 and last.returncode == 0 and not differs, "Avro: columns of new fields, window by window", outcome(run) + outcome(last) + differs)
    # a reader's schema with defaults, for records that were written before it had these fields
    shutil.rmtree(folder, ignore_errors=True)
    pipeline(folder, "format: avro", {})
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text.replace("    columns:\n", "    schema: x.avsc\n"))
    fields = [("id", "long", None), ("size", "int", 7), ("color", {"type": "enum", "name": "c", "symbols": ["red", "blue"]}, "red"), ("ok", "boolean", False), ("real", "double", 1), ("no", ["null", "int"], None)]
    (folder / "x.avsc").write_text(json.dumps({"type": "record", "name": "r", "fields": [{"name": n, "type": t, **({} if d is None else {"default": d})} for n, t, d in fields]}))
    write("1.avro", {"id": "int"}, [{"id": 1}])
    write("2.avro", {"id": "long", "size": "int", "ok": ["null", "boolean"]}, [{"id": 2, "size": 3, "ok": None}])
    run = weir(folder, "run")
    differs = same(folder, {("1.avro", 0): {"id": 1, "size": 7, "color": "red", "ok": False, "real": 1.0, "no": None}, ("2.avro", 0): {"id": 2, "size": 3, "color": "red", "ok": None, "real": 1.0, "no": None}}) if run.returncode == 0 else ""
    say(run.returncode == 0 and not differs, "Avro: defaults of the reader's schema", outcome(run) + differs)
    # quarantine, after a mend of the pipeline file
    shutil.rmtree(folder, ignore_errors=True)
    pipeline(folder, "format: avro", {"a": "int", "b": "string"})
    write("f.avro", two, [{"a": 1, "b": "x"}, {"a": 2**40, "b": "y"}])
    weir(folder, "run")
    raws = [list(fastavro.reader(io.BytesIO(bytes(row["raw"])))) for row in read(folder, "bronze.t__quarantine")]
    say(raws == [[{"a": 2**40, "b": "y"}]], "Avro: quarantine keeps the record as a container file", raws)
    pipeline(folder, "format: avro", {"a": "long", "b": "string"})
    run = weir(folder, "quarantine", "retry", "t", "--yes")
    say(run.returncode == 0 and not same(folder, {("f.avro", 0): {"a": 1, "b": "x"}, ("f.avro", 1): {"a": 2**40, "b": "y"}}), "Avro: retry lands what is good now", outcome(run))


try:
    avro_cases()
    csv_cases()
    other_names()
    parquet_cases()
    for n in range(rounds):
        random_csv(n)
        random_parquet(n)
        for part in range(3):
            random_avro(3 * n + part)
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
