"""Silver and gold read by four engines, which must agree; Spark compacts sources and models in between, which changes no row and makes nothing due."""
import json, math, os, re, shutil, subprocess, sys, tempfile, threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
import engines
from pyiceberg.exceptions import CommitFailedException, ValidationException

WEIR, GEN, bad = os.environ["WEIR"], os.environ["WEIR_GEN"], 0
folder = Path(tempfile.mkdtemp(prefix="weir-spark."))
TABLES = ["bronze.inventory", "silver.device", "gold.site_hourly", "gold.violations"]


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(*arguments):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120, env={**os.environ, "WEIR_TEST_LEASE_MS": "50"})


def window(number, count):
    with (folder / "in" / f"{number}.ndjson").open("w") as out:
        subprocess.run([GEN, "--first", str(number * count), "--count", str(count)], stdout=out, check=True)
    return weir("run", "-o", "json")


def place():
    return engines.Place(catalog=str(folder / "lake/catalog.db"))


def plain(value):
    """One form for what engines name differently: maps as pairs, times as microseconds."""
    if isinstance(value, dict):
        return tuple(sorted((k, plain(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    return round(value.timestamp() * 1_000_000) if hasattr(value, "timestamp") else value


def rows(table):
    names = sorted(c for c in table.column_names if not c.startswith("_"))
    return sorted((tuple(plain(row[c]) for c in names) for row in table.select(names).to_pylist()), key=lambda row: repr([v for v in row if not isinstance(v, float)]))


def close(a, b):
    """Equal, but for the last bits of doubles: a sum depends on the order of the files, which a compaction changes."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    return math.isclose(a, b, rel_tol=1e-12) if isinstance(a, float) and isinstance(b, float) else a == b


def agree(name):
    tables = {t: engines.load_table(place(), t) for t in TABLES[1:]}
    spark = engines.read_spark(place(), tables)
    for table, loaded in tables.items():
        read = {engine: rows(reader(place(), loaded)) for engine, reader in engines.READERS.items()}
        read["spark"] = rows(spark[table])
        differ = [engine for engine in read if read[engine] != read["pyiceberg"]]
        say(read["pyiceberg"] and not differ, f"{name}: {', '.join(sorted(read))} agree on {len(read['pyiceberg'])} rows of {table}", {e: read[e][:1] for e in differ} or "no rows")


def main():
    subprocess.run([WEIR, "init", "--template", "inventory", str(folder)], check=True, capture_output=True)
    text = (folder / "weir.yaml").read_text().split("\nsinks:")[0]  # there is no broker to tell
    (folder / "weir.yaml").write_text(re.sub(r"    kafka:\n(      .*\n)+", "    files: in/*.ndjson\n", text, count=1))
    (folder / "in").mkdir()
    for number in range(3):
        done = window(number, 2000)
        if done.returncode:
            return say(False, f"window {number}", done.stderr)
    before = {t: rows(engines.read_pyiceberg(place(), engines.load_table(place(), t))) for t in TABLES}
    python = subprocess.run([ROOT / "tools/env/setup", "--where", "spark"], capture_output=True, text=True).stdout.strip() + "/venv/bin/python"
    done = subprocess.run([python, ROOT / "tests/interop/spark_compact.py", folder / "lake/catalog.db", folder / "lake", *TABLES], capture_output=True, text=True)
    say(done.returncode == 0, "Spark compacts bronze, silver and gold", done.stderr[-500:])
    again = weir("run", "-o", "json")
    told = {t["table"]: t for t in json.loads(again.stdout)["tables"]} if again.returncode == 0 else {}
    say(told and all(told[t].get("rows_added", 0) == told[t].get("rows_removed", 0) == 0 for t in TABLES[1:]), "a compaction by another engine changes no row of any model", again.stderr or again.stdout)
    say(before == {t: rows(engines.read_pyiceberg(place(), engines.load_table(place(), t))) for t in TABLES}, "every row is as it was")
    done = window(3, 2000)
    say(done.returncode == 0, "the next window goes on from there", done.stderr)
    agree("after the next window")


def meanwhile():
    """Somebody rewrites a model's files without a pause, as a compaction does, while promotions land."""
    stop, landed = threading.Event(), []

    def rewrite():
        while not stop.is_set():
            try:
                table = engines.load_table(place(), "silver.device")
                table.overwrite(table.scan().to_arrow())
                landed.append(1)
            except (CommitFailedException, ValidationException):
                pass  # a promotion was first
            except Exception as error:
                if not any(lost in str(error) for lost in ("database is locked", "sequence number")):
                    return landed.append(error)

    other = threading.Thread(target=rewrite)
    other.start()
    codes = [window(number, 2000).returncode for number in range(4, 10)]
    stop.set()
    other.join()
    say(landed and all(x == 1 for x in landed), f"pyiceberg rewrote silver.device {len(landed)} times meanwhile", [x for x in landed if x != 1])
    say(set(codes) <= {0, 75}, "promotions during a compaction land, or say to try again", codes)
    say(weir("run").returncode == 0, "the last of it")
    there = {t: rows(engines.read_pyiceberg(place(), engines.load_table(place(), t))) for t in TABLES[1:]}
    for table in TABLES[1:]:
        done = weir("promote", table, "--rebuild")
        anew = rows(engines.read_pyiceberg(place(), engines.load_table(place(), table)))
        differ = [pair for pair in zip(anew, there[table]) if not close(*pair)]
        say(done.returncode == 0 and len(anew) == len(there[table]) and not differ, f"each row was applied once: {table} made anew is the same", (done.stderr, len(anew), differ[:2]))


try:
    if subprocess.run([ROOT / "tools/env/setup", "spark"], capture_output=True).returncode:
        print("skip spark is not to be had")
    else:
        main()
        meanwhile()
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(bad > 0)
