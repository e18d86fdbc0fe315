"""Shapes of tables: every Iceberg v2 type and every partition transform, value by value; columns added and widened in the commit that needs
them; what cannot be is refused with the difference shown; a weir.format of the future and a foreign table of the same name.
pyiceberg and DuckDB judge."""
import datetime, decimal, json, os, shutil, subprocess, sys, tempfile, uuid
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
import engines, pyarrow
import pyiceberg.avro.file
from pyiceberg.avro.decoder import StreamingBinaryDecoder
from pyiceberg.catalog.sql import SqlCatalog

pyiceberg.avro.file.new_decoder = StreamingBinaryDecoder  # its compiled decoder reads doubles as floats

WEIR, bad = os.environ["WEIR"], 0
base = Path(tempfile.mkdtemp(prefix="weir-schema."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120)


def pipeline(folder, tables):
    (folder / "in").mkdir(parents=True, exist_ok=True)
    text = f'version: 1\nname: shapes\nlake: {{warehouse: ./lake}}\nsources:\n  rows: {{files: "{folder}/in/*.ndjson", format: json}}\ntables:\n'
    for name, columns, extra in tables:
        text += f"  bronze.{name}:\n    source: rows\n    metadata: false\n" + "".join(f"    {e}\n" for e in extra)
        text += "    columns:\n" + "".join(f'      {column}: "{kind}"\n' for column, kind in columns.items())
    (folder / "weir.yaml").write_text(text)


def catalog(folder):
    return SqlCatalog("weir", uri=f"sqlite:///{folder}/lake/catalog.db", warehouse=str(folder / "lake"))


def read(folder, name):
    """Rows as pyiceberg and DuckDB read them, ordered by id, in one Python form."""
    table = catalog(folder).load_table(f"bronze.{name}")
    answers = [table.scan().to_arrow(), engines.read_duckdb(engines.Place(), table)]
    return table, [sorted((tuple(plain(v) for v in row.values()) for row in answer.to_pylist()), key=lambda row: row[0]) for answer in answers]


def plain(value):
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return uuid.UUID(value).bytes  # DuckDB gives UUIDs as text
    if isinstance(value, list):
        return [tuple(plain(v) for v in each) if isinstance(each, tuple) else plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


D, UTC = decimal.Decimal, datetime.timezone.utc
WHEN = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)
LATE = datetime.datetime(2262, 4, 12, 1, 2, 3, 4)
ID = uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7")
# column, type, JSON of two rows, values of two rows; every third row is null in all
TYPES = [
    ("c_boolean", "boolean", "true", "false", True, False), ("c_int", "int", "-2147483648", "2.147483647e9", -2**31, 2**31 - 1),
    ("c_long", "long", "-9223372036854775808", "9223372036854775807", -2**63, 2**63 - 1), ("c_float", "float", "0.5", "-16777216", 0.5, -16777216.0),
    ("c_double", "double", "5e-324", "1.7976931348623157e308", 5e-324, 1.7976931348623157e308),
    ("c_decimal9", "decimal(9, 2)", "-9999999.99", "34", D("-9999999.99"), D("34.00")),
    ("c_decimal18", "decimal(18, 0)", "999999999999999999", "-1", D(999999999999999999), D(-1)),
    ("c_decimal38", "decimal(38, 10)", "-1234567890123456789012345678.0123456789", "1e-10", D("-1234567890123456789012345678.0123456789"), D("1e-10")),
    ("c_date", "date", '"1969-12-31"', '"9999-12-31"', datetime.date(1969, 12, 31), datetime.date(9999, 12, 31)),
    ("c_time", "time", '"00:00:00"', '"23:59:59.999999"', datetime.time(0), datetime.time(23, 59, 59, 999999)),
    ("c_timestamp", "timestamp", '"1969-12-31T23:59:59.999999"', '"2262-04-12T01:02:03.000004"', WHEN, LATE),
    ("c_timestamptz", "timestamptz", '"1970-01-01T01:59:59.999999+02:00"', '"2262-04-12T01:02:03.000004Z"', WHEN.replace(tzinfo=UTC), LATE.replace(tzinfo=UTC)),
    ("c_string", "string", '""', '"h\\u00e9 \\ud83d\\ude00\\u0000"', "", "hé 😀\0"), ("c_uuid", "uuid", f'"{ID}"', '"00000000-0000-0000-0000-000000000000"', ID.bytes, bytes(16)),
    ("c_fixed", "fixed(3)", '"AAEC"', '"////"', b"\0\1\2", b"\xff\xff\xff"), ("c_binary", "binary", '""', '"AP8="', b"", b"\0\xff"),
    ("c_struct", "struct<a:int, b:struct<c:decimal(5,1)>>", '{"a": 1, "b": {"c": 1.5}}', '{"b": null}', {"a": 1, "b": {"c": D("1.5")}}, {"a": None, "b": None}),
    ("c_list", "list<list<date>>", '[["2026-01-02", null], []]', "[]", [[datetime.date(2026, 1, 2), None], []], []),
    ("c_map", "map<string, struct<x:long>>", '{"k": {"x": 7}, "": null}', "{}", [("k", {"x": 7}), ("", None)], []),
]


def lines():
    for number in range(6):
        which = number % 3
        members = [f'"id": {number}'] + ([f'"{t[0]}": {t[2 + which]}' for t in TYPES] if which < 2 else [])
        yield "{" + ", ".join(members) + "}"


def maps_as_pairs(value):
    return list(value.items()) if isinstance(value, dict) and set(value) in ({"k", ""}, set()) else value


def every_type():
    folder = base / "types"
    columns = {"id": "long required", **{t[0]: t[1] for t in TYPES}}
    pipeline(folder, [("types", columns, [])])
    (folder / "in/a.ndjson").write_text("\n".join(lines()) + "\n")
    run = weir(folder, "run")
    say(run.returncode == 0, "types: run", run.stderr[-600:])
    wanted = [(n, *(t[4 + n % 3] if n % 3 < 2 else None for t in TYPES)) for n in range(6)]
    table, answers = read(folder, "types")
    for engine, got in zip(("pyiceberg", "DuckDB"), answers):
        for at, column in enumerate(columns):
            values = [maps_as_pairs(row[at]) for row in got]
            if engine == "pyiceberg" and column == "c_map":  # it makes null maps empty ones; Arrow's own reader does not
                file, = (p for p in folder.rglob("*.parquet") if "data" in p.parts)
                values = [maps_as_pairs(v) for v in pyarrow.parquet.read_table(file).column("c_map").to_pylist()]
            say(values == [row[at] for row in wanted], f"types: {engine} reads {column}", f"{values} wanted {[row[at] for row in wanted]}")
    say(weir(folder, "verify", "--deep").returncode == 0, "types: verify --deep")


def every_transform():
    folder = base / "transforms"
    columns = {"id": "long required", **{t[0]: t[1] for t in TYPES if "<" not in t[1]}}
    no_bucket, truncates = ("boolean", "float", "double"), ("int", "long", "decimal", "string", "binary")
    chosen = []
    for column, kind in columns.items():
        kind = kind.split("(")[0].split(" ")[0]
        chosen.append(column)
        chosen += [f"bucket(7, {column})"] if kind not in no_bucket else []
        chosen += [f"truncate(4, {column})"] if kind in truncates else []
        chosen += [f"{t}({column})" for t in ("years", "months", "days")] if kind in ("date", "timestamp", "timestamptz") else []
        chosen += [f"hours({column})"] if kind in ("timestamp", "timestamptz") else []
    pipeline(folder, [(f"t{n}", columns, [f'partition_by: ["{text}"]']) for n, text in enumerate(chosen)])
    (folder / "in/a.ndjson").write_text("\n".join(lines()) + "\n")
    run = weir(folder, "run")
    say(run.returncode == 0, f"transforms: run of {len(chosen)} tables", run.stderr[-600:])
    wanted = None
    for n, text in enumerate(chosen):
        try:
            table, answers = read(folder, f"t{n}")
            wanted = wanted or answers[1]
            wrong = [] if answers[0] == answers[1] == wanted else [f"{a} and {b}" for a, b in zip(*answers) if a != b] or ["rows differ between tables"]
            wrong += misplaced(table)
        except Exception as error:
            wrong = [repr(error)[:300]]
        say(not wrong, f"transforms: {text}, each row in the partition that pyiceberg computes", wrong[:2])


def misplaced(table):
    """Rows whose partition value is another than pyiceberg's transform gives."""
    field, = table.spec().fields
    source = table.schema().find_field(field.source_id)
    transform = field.transform.transform(source.field_type)
    wrong = []
    for task in table.scan().plan_files():
        rows = pyarrow.parquet.read_table(task.file.file_path.removeprefix("file://")).column(source.name).to_pylist()
        for value in rows:
            got, wanted = task.file.partition[0], transform(internal(value, source.field_type))
            if plain(got) != plain(wanted):
                wrong.append(f"{value!r}: {got!r}, wanted {wanted!r}")
    return wrong


def internal(value, kind):
    from pyiceberg.utils import datetime as times
    name = str(kind)
    if value is None:
        return None
    if name == "date":
        return times.date_to_days(value)
    if name == "time":
        return times.time_to_micros(value)
    if name == "timestamp":
        return times.datetime_to_micros(value)
    if name == "timestamptz":
        return times.datetime_to_micros(value)
    if name == "uuid":
        return value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value)
    return value


def changes():
    folder = base / "changes"
    first = {"id": "int required", "f": "float", "d": "decimal(5, 2)", "s": "struct<a:int>", "l": "list<struct<x:int>>", "name": "string"}
    second = {"id": "long required", "f": "double", "d": "decimal(9, 2)", "s": "struct<a:long, b:string>", "l": "list<struct<x:long, y:date>>", "name": "string", "new": "int"}
    pipeline(folder, [("c", first, [])])
    (folder / "in/a.ndjson").write_text('{"id": 1, "f": 0.5, "d": 1.25, "s": {"a": 1}, "l": [{"x": 1}], "name": "n"}\n')
    say(weir(folder, "run").returncode == 0, "changes: first run")
    pipeline(folder, [("c", second, [])])
    say("schema" in (weir(folder, "plan").stdout + weir(folder, "plan", "-o", "json").stdout), "changes: plan shows that the schema changes")
    before = catalog(folder).load_table("bronze.c")
    say(weir(folder, "run").returncode == 0 and len(catalog(folder).load_table("bronze.c").metadata.schemas) == len(before.metadata.schemas), "changes: no commit needs them yet")
    (folder / "in/b.ndjson").write_text('{"id": 9000000000, "f": 0.1, "d": 1234567.25, "s": {"a": 9000000000, "b": "x"}, "l": [{"x": 2, "y": "2026-01-02"}], "new": 5}\n')
    run = weir(folder, "run")
    say(run.returncode == 0, "changes: columns added, types widened", run.stderr[-500:])
    table, answers = read(folder, "c")
    wanted = [(1, 0.5, D("1.25"), {"a": 1, "b": None}, [{"x": 1, "y": None}], "n", None),
              (9000000000, 0.1, D("1234567.25"), {"a": 9000000000, "b": "x"}, [{"x": 2, "y": datetime.date(2026, 1, 2)}], None, 5)]
    for engine, got in zip(("pyiceberg", "DuckDB"), answers):
        say(got == wanted, f"changes: {engine} reads old and new rows", got)
    ids = {f.name: f.field_id for f in before.schema().fields}
    say(all(table.schema().find_field(name).field_id == number for name, number in ids.items()), "changes: field ids stay")
    narrowings = {"a narrowing": ({"id": "int required"}, None), "another type": ({"name": "int"}, ("name", "string", "int")),
                  "a shorter decimal": ({"d": "decimal(7, 2)"}, None), "another scale": ({"d": "decimal(9, 3)"}, ("d", "decimal(9,2)", "decimal(9,3)")),
                  "a nested change": ({"s": "struct<a:string>"}, ("s.a", "long", "string")), "a required column made optional": ({"id": "long"}, ("id", "required", "optional")),
                  "a required column added": ({"more": "int required"}, ("more", "required"))}
    for name, (change, shown) in narrowings.items():
        pipeline(folder, [("c", {**second, **change}, [])])
        run = weir(folder, "plan")
        if shown is None:  # the table is wider already: rows are read as declared and written as the table has them
            say(run.returncode == 0 or (run.returncode == 2 and "in the pipeline file" in run.stderr), f"changes: {name} leaves the table as it is", run.stderr[-300:])
        else:
            run = weir(folder, "run")
            text = run.stderr.replace(" ", "")
            say(run.returncode == 2 and all(part in text for part in shown), f"changes: {name} is refused with the difference shown", f"{run.returncode} {run.stderr[-300:]}")
    renamed = {("title" if c == "id" else c): k for c, k in second.items()}
    pipeline(folder, [("c", renamed, [])])
    say((run := weir(folder, "run")).returncode == 2, "changes: a renamed required column is refused", f"{run.returncode} {run.stderr[-300:]}")
    pipeline(folder, [("c", second, ['partition_by: ["name"]'])])
    say((run := weir(folder, "run")).returncode == 2 and "partition_by" in run.stderr, "changes: another partition_by is refused", f"{run.returncode} {run.stderr[-300:]}")
    after = catalog(folder).load_table("bronze.c").schema()
    say(after == table.schema(), "changes: the table's schema is as it was", after)


def strangers():
    folder = base / "strangers"
    pipeline(folder, [("c", {"id": "long"}, [])])
    (folder / "in/a.ndjson").write_text('{"id": 1}\n')
    weir(folder, "run")
    with catalog(folder).load_table("bronze.c").transaction() as change:
        change.set_properties({"weir.format": "2"})
    (folder / "in/b.ndjson").write_text('{"id": 2}\n')
    run = weir(folder, "run")
    say(run.returncode == 2 and "weir.format 2" in run.stderr, "strangers: a weir.format of the future is refused by name", f"{run.returncode} {run.stderr[-300:]}")
    pipeline(folder, [("f", {"id": "long"}, [])])
    catalog(folder).create_table("bronze.f", pyarrow.schema([("id", pyarrow.int64())])).append(pyarrow.table({"id": [41]}))
    run = weir(folder, "run", "-o", "json")
    rows = sorted(catalog(folder).load_table("bronze.f").scan().to_arrow().column("id").to_pylist())
    refused = run.returncode == 2 and rows == [41] and "bronze.f" in run.stderr and "belongs to another writer" in run.stderr
    say(refused, "strangers: a foreign table of the same name is refused by name and left alone", f"{run.returncode} {rows} {run.stderr[-400:]}")


try:
    every_type()
    every_transform()
    changes()
    strangers()
finally:
    shutil.rmtree(base, ignore_errors=True) if not os.environ.get("WEIR_KEEP") else print(f"# kept {base}")
sys.exit(bad > 0)
