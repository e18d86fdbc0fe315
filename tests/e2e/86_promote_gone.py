"""Promotions beside writers that are not Weir: old rows deleted from a source, and source and model rewritten without a pause while promotions land."""
import json, os, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import engines
from pyiceberg.exceptions import CommitFailedException, ValidationException

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-gone."))

PIPELINE = """version: 1
name: gone
lake: {warehouse: ./lake}
sources:
  usage: {files: in/*.ndjson}
tables:
  bronze.usage:
    source: usage
    columns: {id: string required, at: timestamptz required, usage: long}
  silver.events: {sql: models/events.sql, mode: append}
  silver.newest: {sql: models/newest.sql, mode: merge, unique_key: [id], order_by: [at desc]}
  gold.daily: {sql: models/daily.sql, mode: recompute, group_by: [day]}
"""
MODELS = {"events": "SELECT id, usage FROM bronze.usage", "newest": "SELECT id, at, usage FROM bronze.usage",
          "daily": "SELECT date_trunc('day', at) AS day, count(*) AS n, sum(usage)::bigint AS usage FROM bronze.usage GROUP BY 1"}
NAMES = ["silver.events", "silver.newest", "gold.daily"]


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50"})


def make(name):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "weir.yaml").write_text(PIPELINE)
    for model, sql in MODELS.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    return folder


def land(folder, window, rows):
    """Rows of (id, day of January, usage)."""
    lines = (json.dumps({"id": i, "at": f"2025-01-{day:02}T00:00:00Z", "usage": usage}) + "\n" for i, day, usage in rows)
    (folder / "in" / f"{window:04}.ndjson").write_text("".join(lines))


def table(folder, name):
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), name)


def rows(folder, name, *columns):
    return sorted(tuple(row[c] for c in columns) for row in table(folder, name).scan().to_arrow().to_pylist())


def days(folder):
    return [(day.day, n) for day, n in rows(folder, "gold.daily", "day", "n")]


def deleted():
    """Somebody deletes old rows of a source: models follow, and the one that cannot says so."""
    folder = make("deleted")
    land(folder, 0, [(f"a{day}", day, day) for day in range(1, 5)])
    first = weir(folder, "run")
    say(first.returncode == 0 and days(folder) == [(1, 1), (2, 1), (3, 1), (4, 1)], "four days", first.stderr)
    table(folder, "bronze.usage").delete("at < '2025-01-03T00:00:00+00:00'")
    done = weir(folder, "promote", "silver.events")
    say(done.returncode == 4 and "2 rows left bronze.usage" in done.stderr and "--rebuild" in done.stderr, "append stops at rows that left its source", done.stderr)
    say(rows(folder, "silver.events", "id") == [("a1",), ("a2",), ("a3",), ("a4",)], "and keeps what it has")
    codes = [weir(folder, "promote", name).returncode for name in NAMES[1:]]
    say(codes == [0, 0] and rows(folder, "silver.newest", "id") == [("a3",), ("a4",)] and days(folder) == [(3, 1), (4, 1)], "merge and recompute follow", codes)
    land(folder, 1, [("late", 1, 9)])
    done = weir(folder, "run")
    say(done.returncode == 4 and days(folder) == [(1, 1), (3, 1), (4, 1)], "a late row has a group of what is there; the stopped model holds nobody up", done.stderr)


def rewritten(name):
    """Files are rewritten without a pause, as a compaction does, while windows land and promotions follow."""
    folder = make(f"rewritten-{name}")
    land(folder, 0, [(f"0-{n}", 1 + n % 5, n) for n in range(200)])
    weir(folder, "run")
    stop, landed = threading.Event(), []

    def rewrite():
        while not stop.is_set():
            try:
                there = table(folder, name)
                there.overwrite(there.scan().to_arrow())
                landed.append(1)
            except (CommitFailedException, ValidationException):
                pass  # Weir was first
            except Exception as error:
                if not any(lost in str(error) for lost in ("database is locked", "sequence number")):
                    return landed.append(error)

    other, wanted, codes = threading.Thread(target=rewrite), [(f"0-{n}",) for n in range(200)], []
    other.start()
    for _ in range(300):  # on a busy machine its first rewrite takes a while
        if landed:
            break
        time.sleep(0.1)
    for window in range(1, 5):
        land(folder, window, [(f"{window}-{n}", 1 + n % 5, n) for n in range(200)])
        wanted += [(f"{window}-{n}",) for n in range(200)]
        codes.append(weir(folder, "run").returncode)
    stop.set()
    other.join()
    say(landed and all(x == 1 for x in landed), f"pyiceberg rewrote {name} {len(landed)} times meanwhile", landed[-1:])
    say(set(codes) <= {0, 75}, f"promotions beside a rewrite of {name} land, or say to try again", codes)
    last = weir(folder, "run")
    say(last.returncode == 0, "the last of it", last.stderr)
    for model in NAMES[:2]:
        say(rows(folder, model, "id") == sorted(wanted), f"each row once in {model}, with {name} rewritten", len(rows(folder, model, "id")))
    say(days(folder) == [(day, 200) for day in range(1, 6)], f"each row once in gold.daily, with {name} rewritten", days(folder))


try:
    deleted()
    rewritten("bronze.usage")
    rewritten("silver.events")
    rewritten("gold.daily")
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
