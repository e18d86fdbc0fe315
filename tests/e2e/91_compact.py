"""Compaction: many small windows become few files, and nobody sees another row: not pyiceberg, not DuckDB, not the row hash, not a model, not a sink.
Deletes of others (by position, by equality) are applied; killed at its effects, raced by windows, read back wrongly: no row is lost, none is doubled.

    91_compact.py [--only NAME]     WEIR_FULL=1: every effect, the REST catalog
"""
import argparse, http.server, json, os, random, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
sys.path.insert(0, str(root / "tests/harness"))
import engines
import row_deletes

WEIR, FULL, SEED = os.environ["WEIR"], os.environ.get("WEIR_FULL") == "1", int(os.environ.get("WEIR_SEED", "1"))
top, bad = Path(tempfile.mkdtemp(prefix="weir-compact.")), 0

PIPELINE = """version: 1
name: compact
lake: {{warehouse: {warehouse}{lake}}}
run: {{window: {{max_records: 1000}}}}
sources:
  readings: {{files: "{folder}/in/*.ndjson", format: json}}
tables:
  bronze.readings:
    source: readings
    columns: {{id: long required, site: string, at: timestamptz required, value: double, tags: "list<string>"{columns}}}
    partition_by: [{partition}]
{models}
lifecycle:
  bronze: {{compact: {{small_files: {small}, target: 1MiB}}}}
{sinks}"""
MODELS = """
  silver.events: {sql: models/events.sql, mode: append}
  silver.newest: {sql: models/newest.sql, mode: merge, unique_key: [site], order_by: [at desc, id desc]}
  gold.daily: {sql: models/daily.sql, mode: recompute, group_by: [day]}"""
SQL = {"events": "SELECT id, value FROM bronze.readings", "newest": "SELECT site, at, id, value FROM bronze.readings",
       "daily": "SELECT date_trunc('day', at) AS day, count(*) AS n, sum(id)::bigint AS ids FROM bronze.readings GROUP BY 1"}
HOUR = 3600_000_000


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:600]}", flush=True)
    return good


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def outcome(run):
    return json.loads(run.stdout)[0] if run.returncode == 0 and run.stdout.startswith("[") else {"error": run.stderr}


def compact(folder, table="bronze.readings", **environment):
    return weir(folder, "maintain", table, "compact", "-o", "json", **environment)


def make(name, partition="site", models="", small=100, columns="", sinks="", warehouse=None, lake=""):
    folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=top))
    (folder / "in").mkdir()
    (folder / "models").mkdir()
    for model, sql in SQL.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    write(folder, partition=partition, models=models, small=small, columns=columns, sinks=sinks, warehouse=warehouse or folder / "lake", lake=lake)
    return folder


def write(folder, **options):
    (folder / "weir.yaml").write_text(PIPELINE.format(folder=folder, **options))


def lines(window, count, sites=3):
    for i in range(window * 1000, window * 1000 + count):
        yield json.dumps({"id": i, "site": f"s{i % sites}", "at": f"2026-01-{1 + i // 7 % 28:02}T{i % 24:02}:00:00Z", "value": i / 8 if i % 5 else None,
                          "tags": [f"t{i % 3}"] * (i % 4), "later": i % 11})


def window(folder, number, count=100):
    (folder / "in" / f"{number:05}.ndjson").write_text("\n".join(lines(number, count)) + "\n")
    run = weir(folder, "run", "-s", "bronze.readings")
    if run.returncode:
        say(False, f"window {number}", run.stderr)


def place(folder):
    return engines.Place(catalog=str(folder / "lake/catalog.db"))


def table(folder, name="bronze.readings"):
    return engines.load_table(place(folder), name)


def files(folder):
    report = json.loads(weir(folder, "status", "-o", "json").stdout)
    return next(row["files"] for row in report if row["table"] == "bronze.readings")


def verify(folder, name="bronze.readings"):
    run = weir(folder, "verify", name, "--deep", "-o", "json")
    report = json.loads(run.stdout) if run.stdout.startswith("{") else {}
    return run.returncode == 0 and report.get("problems") == [], report.get("problems") or run.stderr


def rows(folder, name="bronze.readings", columns=("id", "site", "at", "value", "tags")):
    return sorted((tuple(str(row[c]) for c in columns) for row in table(folder, name).scan().to_arrow().to_pylist()))


def duckdb_rows(folder):
    import duckdb
    paths = [task.file.file_path.removeprefix("file://") for task in table(folder).scan().plan_files()]
    found = duckdb.sql("SELECT id, site, \"at\", value, tags FROM read_parquet(?, hive_partitioning=false, union_by_name=true)", params=[paths])
    return found.count("*").fetchone()[0], found.aggregate("sum(hash(id, site, epoch_us(\"at\"), value, tags))").fetchone()[0]


class Receiver(http.server.BaseHTTPRequestHandler):
    got = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.got += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def nobody_sees():
    """Rows stay by every reader; models and sinks find nothing; the chain of receipts holds."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sinks = f"sinks:\n  told: {{from: bronze.readings, webhook: {{url: \"http://127.0.0.1:{server.server_port}/\"}}}}\n"
    folder = make("seen", models=MODELS, sinks=sinks)
    for n in range(12):
        window(folder, n)
    first = weir(folder, "run")
    before, duck, told = rows(folder), duckdb_rows(folder), Receiver.got
    models = {name: rows(folder, name, columns) for name, columns in (("silver.events", ("id", "value")), ("silver.newest", ("site", "id")), ("gold.daily", ("day", "n", "ids")))}
    say(first.returncode == 0 and told > 0 and files(folder) == 36, "12 windows of 3 partitions: 36 files, models, a sink", (first.stderr, files(folder)))
    dry = weir(folder, "maintain", "bronze.readings", "compact", "--dry-run", "-o", "json")
    say(outcome(dry).get("files_removed") == 36 and files(folder) == 36, "--dry-run tells it and does nothing", dry.stdout + dry.stderr)
    due = outcome(weir(folder, "maintain", "bronze.readings", "-o", "json"))
    say(due.get("idle") is True and files(folder) == 36, "it is not due yet by its rule", due)
    done = outcome(compact(folder))
    say(files(folder) == 3, "one file a partition is left", (files(folder), done))
    import pyarrow.parquet as pq
    lie = [pq.read_table(t.file.file_path.removeprefix("file://"), partitioning=None)["id"].to_pylist() for t in table(folder).scan().plan_files()]
    say(all(ids == sorted(ids) for ids in lie), "in the order in which they were written")
    say(rows(folder) == before and duckdb_rows(folder) == duck, "pyiceberg and DuckDB see the same rows")
    say(*[verify(folder)[0], "verify --deep: the row hash is that of the windows", verify(folder)[1]])
    snapshot = table(folder).current_snapshot()
    say(snapshot.summary.operation.value == "replace" and snapshot.summary["weir.kind"] == "compact" and snapshot.summary["total-records"] == "1200",
        "one snapshot, operation replace", snapshot.summary)
    again = weir(folder, "run", "-o", "json")
    report = json.loads(again.stdout)
    wrote = [t for t in report["tables"] if t.get("rows_written") or t.get("rows_removed") or t.get("windows")]
    say(again.returncode == 0 and wrote == [], "a run finds nothing to land and nothing to promote", wrote or again.stderr)
    say(sum(t.get("bytes_read", 0) for t in report["tables"] if t.get("mode")) < 1000, "no model reads what only changed its place", [(t["table"], t.get("bytes_read")) for t in report["tables"]])
    say(Receiver.got == told, "the sink sent nothing", (Receiver.got, told))
    now = {name: rows(folder, name, columns) for name, columns in (("silver.events", ("id", "value")), ("silver.newest", ("site", "id")), ("gold.daily", ("day", "n", "ids")))}
    say(now == models, "the models are what they were")
    window(folder, 12)
    after = weir(folder, "run")
    say(after.returncode == 0 and len(rows(folder, "silver.events", ("id", "value"))) == 1300, "and the next window is promoted from there", after.stderr)
    idle = outcome(compact(folder, "silver.events"))
    say(not idle.get("error") and len(rows(folder, "silver.events", ("id", "value"))) == 1300, "a model's table is compacted too", idle)
    say(*[verify(folder, "silver.events")[0], "and verifies", verify(folder, "silver.events")[1]])
    server.shutdown()


def due():
    """A run does it when it is due, and not with every window."""
    folder, counts = make("due", small=4, partition=""), []
    for n in range(7):
        window(folder, n, 20)
        counts.append(files(folder))
    snapshots = [s.summary["weir.kind"] for s in table(folder).snapshots()]
    say(max(counts) <= 4 and 2 <= snapshots.count("compact") <= 4 and len(rows(folder)) == 140, "runs keep the number of files small", (counts, snapshots))
    say(*[verify(folder)[0], "verify --deep", verify(folder)[1]])


KAFKA = """version: 1
name: ordered
lake: {{warehouse: {folder}/lake}}
sources:
  events: {{kafka: {{topics: [events], properties: {{bootstrap.servers: "{broker}"}}}}, format: json}}
tables:
  bronze.readings:
    source: events
    columns: {{record_id: string required, site: string, software: "list<struct<name:string, version:string>>"}}
{sort}"""


def places(folder):
    """(topic, partition, offset) of the rows of each file, as they lie."""
    import pyarrow.parquet as pq
    for task in table(folder).scan().plan_files():
        yield [(row["_kafka"]["topic"], row["_kafka"]["partition"], row["_kafka"]["offset"], row["site"]) for row in
               pq.read_table(task.file.file_path.removeprefix("file://"), partitioning=None, columns=["_kafka", "site"]).to_pylist()]


def ordered():
    """What came from Kafka lies by topic, partition and offset again; with sort_by as that says."""
    broker = subprocess.Popen([WEIR, "dev", "broker", "--for", "4m"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = broker.stdout.readline().strip()
    folder, by_site = make("ordered"), make("by-site")
    for at, sort in ((folder, ""), (by_site, "    sort_by: [site, record_id desc]\n")):
        (at / "weir.yaml").write_text(KAFKA.format(folder=at, broker=address, sort=sort))
    for n in range(5):
        subprocess.run([os.environ["WEIR_GEN"], "--kafka", address, "--topic", "events", "--first", str(n * 3000), "--count", "3000"], check=True, stdout=subprocess.DEVNULL)
        for at in (folder, by_site):
            run = weir(at, "run")
            if run.returncode:
                say(False, f"window {n}", run.stderr)
    broker.kill()
    before = sorted(sum(places(folder), []))
    done, limited = outcome(compact(folder)), None
    lie = list(places(folder))
    say(len(lie) == 1 and lie[0] == sorted(lie[0], key=lambda row: row[:3]) and sorted(lie[0]) == before and len({row[1] for row in before}) > 1,
        "five windows of several partitions are one file, in order", (len(lie), done))
    say(*[verify(folder)[0], "verify --deep", verify(folder)[1]])
    done = outcome(compact(by_site))
    lie = list(places(by_site))
    say(len(lie) == 1 and [row[3] for row in lie[0]] == sorted(row[3] for row in lie[0]) and sorted(lie[0]) == before, "sort_by: one file, clustered", (len(lie), done))
    say(*[verify(by_site)[0], "verify --deep", verify(by_site)[1]])


def flipped():
    """What is read back is not what was written: nothing is committed, and both lists are kept."""
    folder = make("flipped")
    for n in range(4):
        window(folder, n)
    head, before = table(folder).current_snapshot().snapshot_id, rows(folder)
    run = compact(folder, WEIR_TEST_COMPACT_FLIP="1")
    reports = list((folder / "lake/_weir/compactions").rglob("*.json"))
    lists = json.loads(reports[0].read_text()) if reports else {}
    say(run.returncode == 1 and "nothing is committed" in run.stderr + run.stdout, "a wrong row ends the compaction", run.stderr)
    say(table(folder).current_snapshot().snapshot_id == head and rows(folder) == before, "nothing was committed")
    say(len(lists.get("read", {}).get("files", [])) == 4 and len(lists.get("written", {}).get("files", [])) == 1, "both lists lie in the lake", lists)
    say(compact(folder).returncode == 0 and files(folder) == 3 and rows(folder) == before, "a sound one does it")


def die(warehouse=None, lake="", name="local", count=None):
    """Stopped at its effects, before, after, and with the answer lost; then again."""
    base = make(f"die-{name}", warehouse=warehouse, lake=lake) if warehouse else make(f"die-{name}")
    for n in range(3):
        window(base, n, 20)
    trace, kept = base / "effects", base / "kept"
    shutil.copytree(base / "lake", kept)  # a lake knows its place: each case begins with this one, there
    plain = compact(base, WEIR_TEST_EFFECTS=str(trace))
    say(plain.returncode == 0, f"{name}: a plain compaction", plain.stderr)
    effects = len(trace.read_text().splitlines())
    cases = [(n, mode) for n in range(1, effects + 2) for mode in ("before", "after", "lost")]
    cases = cases if FULL else sorted(random.Random(SEED).sample(cases, min(count or 9, len(cases))))
    wrong = []
    for n, mode in cases:
        shutil.rmtree(base / "lake")
        shutil.copytree(kept, base / "lake")
        killed = compact(base, WEIR_TEST_KILL=f"{n}:{mode}")
        if mode != "lost" and killed.returncode not in (0, -9):
            wrong.append((n, mode, killed.stderr))
        window(base, 3, 20)
        again = compact(base)
        fine, problem = verify(base)
        ids = sorted(int(row[0]) for row in rows(base))
        if again.returncode or not fine or files(base) != 3 or ids != [w * 1000 + i for w in range(4) for i in range(20)]:
            wrong.append((n, mode, again.stderr, problem, files(base), len(ids)))
    say(not wrong, f"{name}: {len(cases)} of {3 * (effects + 1)} places to die, every row once", wrong[:2])


def race():
    """Windows and a merge go on while compactions do; none is lost, none doubled."""
    folder = make("race", models=MODELS, partition="", small=6)
    for n in range(6):
        window(folder, n, 50)
    stop, failed = threading.Event(), []

    def ingest():
        for n in range(6, 14 if not FULL else 60):
            (folder / "in" / f"{n:05}.ndjson").write_text("\n".join(lines(n, 50)) + "\n")
            run = weir(folder, "run")
            if run.returncode not in (0, 75):
                failed.append(run.stderr)
        stop.set()

    thread, compactions = threading.Thread(target=ingest), 0
    thread.start()
    while not stop.is_set():
        for name in ("bronze.readings", "silver.newest", "silver.events"):
            run = compact(folder, name)
            done = outcome(run)
            compactions += done.get("commits", 0)
            if run.returncode not in (0, 75):
                failed.append(run.stderr)
    thread.join()
    last = weir(folder, "run")
    count = (14 if not FULL else 60) * 50
    ids = sorted(int(row[0]) for row in rows(folder))
    say(not failed and last.returncode == 0 and compactions > 0, f"windows, promotions and {compactions} compactions at once", failed[:1] or last.stderr)
    say(len(ids) == count and len(set(ids)) == count, "every record once", (len(ids), count))
    say(len(rows(folder, "silver.events", ("id",))) == count, "and in the appended model", len(rows(folder, "silver.events", ("id",))))
    newest = {row[0]: row[1] for row in rows(folder, "silver.newest", ("site", "id"))}
    wanted = {}
    for row in rows(folder, columns=("site", "at", "id")):
        wanted[row[0]] = max(wanted.get(row[0], ("", -1)), (row[1], int(row[2])))
    say(newest == {site: str(best[1]) for site, best in wanted.items()}, "and the merged one has the newest", (newest, wanted))
    for name in ("bronze.readings", "silver.events", "silver.newest"):
        say(*[verify(folder, name)[0], f"verify --deep {name}", verify(folder, name)[1]])


def deleted():
    """Others delete rows in place: by position, by equality; compaction applies that and takes the delete files away."""
    folder = make("deleted")
    for n in range(4):
        window(folder, n, 60)
    there = rows(folder)
    gone = row_deletes.by_position(table(folder), lambda row: row["id"] % 10 == 3)
    gone += row_deletes.by_equality(table(folder), "id", [1, 2, 3001, 3002])
    window(folder, 4, 60)  # behind the deletes: ids that are deleted above may come again
    (folder / "in" / "again.ndjson").write_text('{"id": 2, "site": "s2", "at": "2026-02-01T00:00:00Z"}\n')
    weir(folder, "run")
    wanted = [r for r in there if int(r[0]) % 10 != 3 and int(r[0]) not in (1, 2, 3001, 3002)]
    query = weir(folder, "query", "-o", "json", "SELECT id FROM bronze.readings ORDER BY id")
    ours = json.loads(query.stdout) if query.returncode == 0 else print(query.stderr) or []
    expected = sorted([int(r[0]) for r in wanted] + [4000 + i for i in range(60)] + [2])
    say(gone > 0 and [row["id"] for row in ours] == expected, "the query sees the deletes", (len(ours), len(expected)))
    done = outcome(compact(folder))
    say(sorted(int(r[0]) for r in rows(folder)) == expected, "and so does everybody behind the compaction", (len(rows(folder)), done))
    deletes = [f for f in table(folder).inspect.delete_files().to_pylist()]
    say(deletes == [] and done.get("deletes_removed") == gone and table(folder).current_snapshot().summary["total-delete-files"] == "0", "no delete file is left", (deletes, done))
    say(compact(folder).returncode == 0 and files(folder) == 3, "nothing is left to do")


def evolved():
    """Columns were added, widened and renamed, the partitions are others: one file has it all."""
    from pyiceberg.transforms import DayTransform
    from pyiceberg.types import StringType
    folder = make("evolved")
    window(folder, 0)
    write(folder, partition="site", models="", small=100, columns=", later: int", sinks="", warehouse=folder / "lake", lake="")
    window(folder, 1)
    with table(folder).update_schema() as update:
        update.add_column("note", StringType())
    with table(folder).update_spec() as update:
        update.remove_field("site")
        update.add_field("at", DayTransform(), "day")
    before = rows(folder, columns=("id", "site", "at", "value", "tags", "later", "note"))
    done = outcome(compact(folder))
    days = {task.file.partition[0] for task in table(folder).scan().plan_files()}
    say(rows(folder, columns=("id", "site", "at", "value", "tags", "later", "note")) == before and not done.get("error"), "the same rows under the new schema", done)
    say(all(task.file.spec_id == table(folder).spec().spec_id for task in table(folder).scan().plan_files()) and len(days) > 10, "every file lies under the new partitions", days)
    say(*[verify(folder)[0], "verify --deep", verify(folder)[1]])


def elsewhere(name, warehouse, lake):
    """The same where tables lie elsewhere and another catalog knows them; killed at some effects on the way."""
    folder = make(name, warehouse=warehouse, lake=lake)
    dice = random.Random(SEED)
    for n in range(3):
        window(folder, n, 40)
    before = files(folder)
    for n in range(3, 3 + (12 if FULL else 3)):
        killed = compact(folder, WEIR_TEST_KILL=f"{dice.randrange(1, 18)}:{dice.choice(['before', 'after', 'lost'])}")
        if killed.returncode not in (0, 1, 75, -9):
            say(False, f"{name}: a killed compaction", killed.stderr)
        window(folder, n, 40)
    done = compact(folder)
    report = json.loads(weir(folder, "status", "-o", "json").stdout)[0]
    say(before == 9 and done.returncode == 0 and report["files"] == 3 and report["rows"] == 40 * (15 if FULL else 6), f"{name}: killed, raced by windows, and one file a partition",
        (before, report, done.stderr))
    say(*[verify(folder)[0], f"{name}: verify --deep", verify(folder)[1]])


def stores():
    service, environment = str(root / "tests/harness/service"), {**os.environ, "WEIR_SERVICES": str(top / "services"), "WEIR_SERVICES_OWNER": str(os.getpid())}
    endpoint = subprocess.run([service, "start", "s3proxy"], capture_output=True, text=True, env=environment, check=True).stdout.split()[-1]
    try:
        subprocess.run([service, "bucket", "s3proxy", "lake"], env=environment, check=True, stdout=subprocess.DEVNULL)
        os.environ.update(AWS_ACCESS_KEY_ID="testkey", AWS_SECRET_ACCESS_KEY="testsecret123")
        elsewhere("s3", "s3://lake/compact", f', region: us-east-1, s3: {{endpoint: "{endpoint}", path_style: true}}')
    finally:
        subprocess.run([service, "stop", "--all"], env=environment, stdout=subprocess.DEVNULL)
    if not FULL:
        return
    import rest_lake
    rest = rest_lake.server("iceberg-rest", name="local", settings={"warehouse": str(top / "rest")})
    elsewhere("rest", top / "rest", f', catalog: {{rest: {{uri: "{rest.address}"}}}}')
    rest_lake.running.get(rest.name).stop()


parser = argparse.ArgumentParser()
parser.add_argument("--only")
only = parser.parse_args().only
for part in (nobody_sees, due, ordered, flipped, die, race, deleted, evolved, stores):
    if not only or only == part.__name__:
        part()
if not bad:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
