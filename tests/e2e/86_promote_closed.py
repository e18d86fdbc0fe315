"""Sources that retention keeps short: what it dropped stays in the models, groups that would need it keep their value, and rows that come too late go to {table}__late, whatever dies when."""
import datetime, json, os, random, shutil, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import duckdb
import engines

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-closed."))

PIPELINE = """version: 1
name: closed
lake: {warehouse: ./lake}
sources:
  usage: {files: in/*.ndjson}
  site: {files: site.csv, format: csv}
tables:
  bronze.usage:
    source: usage
    columns: {id: string required, site: {type: string, class: personal}, at: timestamptz required, usage: long}
  bronze.site: {source: site, mode: full, columns: {site: string, city: string}}
  silver.events: {sql: models/events.sql, mode: append}
  silver.newest: {sql: models/newest.sql, mode: merge, unique_key: [site], order_by: [at desc, id desc]}
  gold.daily: {sql: models/daily.sql, mode: recompute, group_by: [day]}
  gold.city: {sql: models/city.sql, mode: recompute, group_by: [city, hour]}
  gold.checked:
    sql: models/checked.sql
    mode: recompute
    group_by: [day]
    expect:
      - {name: few, that: "n < 3", on_fail: quarantine}
      - {relationship: {column: label, to: bronze.site.site}, on_fail: quarantine}
  gold.sites: {sql: models/sites.sql, mode: recompute, group_by: [site], on_closed: recompute}
"""
MODELS = {"events": "SELECT id, usage FROM bronze.usage", "newest": "SELECT site, id, at, usage FROM bronze.usage",
          "daily": "SELECT cast(date_trunc('day', at) AS date) AS day, count(*) AS n, sum(usage)::bigint AS usage FROM bronze.usage GROUP BY 1",
          "city": "WITH u AS (SELECT s.city, date_trunc('hour', u.at) AS hour, u.usage FROM bronze.usage u LEFT JOIN bronze.site s ON s.site = u.site)\n"
                  "SELECT city, hour, count(*) AS n, sum(usage)::bigint AS usage FROM u GROUP BY 1, 2",
          "checked": "SELECT date_trunc('day', at) AS day, 's0' AS label, count(*) AS n FROM bronze.usage GROUP BY 1",
          "sites": "SELECT site, count(*) AS n FROM bronze.usage GROUP BY 1"}
MODEL_TABLES = ["silver.events", "silver.newest", "gold.daily", "gold.city", "gold.checked", "gold.sites"]
HORIZON = "2025-01-03T12:00:00Z"


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def make(name):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "weir.yaml").write_text(PIPELINE)
    for model, sql in MODELS.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    cities(folder, {"s0": "Oslo", "s1": "Rome"})
    return folder


def cities(folder, of):
    (folder / "site.csv").write_text("".join(["site,city\n"] + [f"{site},{city}\n" for site, city in of.items()]))


def land(folder, window, times):
    """A row for each time (day of January, hour)."""
    lines = (json.dumps({"id": f"{window}-{n}", "site": f"s{n % 3}", "at": f"2025-01-{day:02}T{hour:02}:00:00Z", "usage": n + 1}) + "\n" for n, (day, hour) in enumerate(times))
    (folder / "in" / f"{window:04}.ndjson").write_text("".join(lines))


def table(folder, name):
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), name)


def rows(folder, name):
    try:
        return table(folder, name).scan().to_arrow().to_pylist()
    except Exception as error:
        if "does not exist" in str(error):
            return []
        raise


def keyed(folder, name, *columns):
    return sorted(tuple(str(row[c]) for c in columns) for row in rows(folder, name))


def late(folder, name):
    return sorted(json.loads(row["record"])["id"] for row in rows(folder, name + "__late"))


def retain(folder, before=HORIZON):
    """What retention does: old rows go, and the same commit says how far, beside what Weir's snapshots carry."""
    usage, kept = table(folder, "bronze.usage"), {}
    for snapshot in sorted(usage.metadata.snapshots, key=lambda s: s.sequence_number):
        kept.update({k: v for k, v in snapshot.summary.additional_properties.items() if k.startswith("weir.")})
    kept["weir.horizon"] = json.dumps({"column": "at", "before": before})
    usage.delete(f"at < '{before.replace('Z', '+00:00')}'", snapshot_properties=kept)


def everything(folder):
    return {name: keyed(folder, name, *columns) for name, columns in {"silver.events": ["id"], "silver.newest": ["site", "id"], "gold.daily": ["day", "n", "usage"],
                                                                      "gold.city": ["city", "hour", "n", "usage"]}.items()}


def checked(folder):
    """Days that gold.checked has, and those set aside."""
    return sorted(row["day"].day for row in rows(folder, "gold.checked")), sorted(int(json.loads(row["key"])["day"][8:10]) for row in rows(folder, "gold.checked__quarantine"))


def scratch(folder, but=()):
    """gold.daily by DuckDB over every row that ever came, without those that were late."""
    found = duckdb.sql(f"""SELECT CAST(date_trunc('day', CAST("at" AS TIMESTAMP)) AS DATE) AS day, count(*) AS n, sum(usage)::BIGINT AS usage
                           FROM read_json('{folder}/in/*.ndjson', format='newline_delimited', columns={{id: 'VARCHAR', 'at': 'VARCHAR', usage: 'BIGINT'}})
                           WHERE id NOT IN (SELECT unnest({list(but)}::VARCHAR[])) GROUP BY 1""").fetchall()
    return sorted(tuple(map(str, row)) for row in found)


def began(name):
    folder = make(name)
    land(folder, 0, [(day, hour) for day in range(1, 7) for hour in (6, 18)] + [(2, 7)])
    first = weir(folder, "run")
    say(first.returncode == 0, f"{name}: six days", first.stderr)
    return folder


def closed():
    folder = began("closed")
    before = everything(folder)
    say(checked(folder) == ([1, 3, 4, 5, 6], [2]), "a group that a check sets aside", checked(folder))
    retain(folder)
    done = weir(folder, "run")
    say(done.returncode == 0 and everything(folder) == before, "what retention dropped stays in append, merge and recompute", done.stderr)
    say(keyed(folder, "gold.sites", "site", "n") == [("s0", "5"), ("s1", "4"), ("s2", "4")], "on_closed: recompute: dropping alone changes nothing")

    land(folder, 1, [(1, 3), (3, 20), (5, 3)])  # long gone; of the day that is half gone; of an open one
    done = weir(folder, "run", "-o", "json")
    say(done.returncode == 0 and keyed(folder, "gold.daily", "day", "n", "usage") == scratch(folder, ["1-0", "1-1"]), "late rows change open groups only", done.stderr)
    say(late(folder, "gold.daily") == ["1-0", "1-1"], "those of closed groups are in gold.daily__late", late(folder, "gold.daily"))
    properties = table(folder, "silver.events__late").properties
    say(properties.get("weir.class.record") == "personal", "a late record is as personal as the columns of its source", properties)
    say(late(folder, "silver.events") == ["1-0"] and ("1-0",) not in keyed(folder, "silver.events", "id") and ("1-1",) in keyed(folder, "silver.events", "id"),
        "append: what is older than what is left", late(folder, "silver.events"))
    say(late(folder, "silver.newest") == ["1-0"], "merge too", late(folder, "silver.newest"))
    say('"late": 2' in done.stdout or '"late":2' in done.stdout, "the outcome counts them", done.stdout[-600:])
    say(keyed(folder, "gold.sites", "site", "n") == [("s0", "3"), ("s1", "3"), ("s2", "4")], "on_closed: recompute: from what is left", keyed(folder, "gold.sites", "site", "n"))
    told = json.loads(weir(folder, "status", "-o", "json").stdout)
    told = {row["table"]: row.get("late") for row in (told if isinstance(told, list) else told["tables"])}
    say(told.get("gold.daily") == 2 and not told.get("gold.sites"), "weir status shows them", told)

    cities(folder, {"s0": "Oslo", "s1": "Bari"})  # touches every group with s1
    was = {row["hour"]: row["city"] for row in rows(folder, "gold.city") if row["city"] == "Rome"}
    done = weir(folder, "run")
    now = {row["hour"]: row["city"] for row in rows(folder, "gold.city") if row["city"] in ("Rome", "Bari")}
    whole = datetime.datetime(2025, 1, 3, 12, tzinfo=datetime.timezone.utc)
    say(done.returncode == 0 and was and now == {hour: "Rome" if hour < whole else "Bari" for hour in was}, "another table's change: closed groups keep what they say", f"{done.stderr} {now}")
    say(checked(folder) == ([1, 3, 4, 6], [2, 5]), "all rows judged anew: closed groups that were set aside still are", checked(folder))
    return folder


def anew(folder):
    """--rebuild, where what is left is not enough."""
    before = everything(folder)
    done = weir(folder, "promote", "gold.daily", "--rebuild")
    say(done.returncode == 0 and everything(folder) == before, "recompute made anew: closed groups are kept", f"{done.stderr} {everything(folder)['gold.daily']}")
    done = weir(folder, "promote", "gold.checked", "--rebuild")
    say(done.returncode == 0 and checked(folder) == ([1, 3, 4, 6], [2, 5]), "and those that were set aside", f"{done.stderr} {checked(folder)}")
    for name in ("silver.events", "silver.newest"):
        done = weir(folder, "promote", name, "--rebuild")
        say(done.returncode == 4 and "retention has dropped" in done.stderr and "on_closed: recompute" in done.stderr, f"{name} is not made anew without what is gone", f"{done.returncode} {done.stderr}")
    say(everything(folder) == before, "and nothing changed")
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text.replace("mode: append}", "mode: append, on_closed: recompute}"))
    done = weir(folder, "promote", "silver.events", "--rebuild")
    say(done.returncode == 0 and sorted(r["id"] for r in rows(folder, "silver.events")) == sorted(r["id"] for r in rows(folder, "bronze.usage")), "unless it is wished", done.stderr)
    (folder / "weir.yaml").write_text(text.replace(", on_closed: recompute", ""))
    land(folder, 2, [(6, 7)])
    done = weir(folder, "run")
    say(done.returncode == 4 and "gold.sites" in done.stderr and "on_closed" in done.stderr, "a key that tells no time: a person decides", f"{done.returncode} {done.stderr}")
    (folder / "weir.yaml").write_text(text)
    done = weir(folder, "verify", *MODEL_TABLES)
    say(done.returncode == 0, "weir verify", done.stdout + done.stderr)


def rolled_back():
    """Retention undone: the rows that are back are in the models already."""
    folder = began("rolled")
    whole = table(folder, "bronze.usage").current_snapshot().snapshot_id
    before = everything(folder)
    retain(folder)
    weir(folder, "run")
    table(folder, "bronze.usage").manage_snapshots().rollback_to_snapshot(whole).commit()
    done = weir(folder, "run")
    say(done.returncode == 0 and everything(folder) == before, "a rollback of retention brings no row twice", f"{done.stderr} {everything(folder)}")
    say(len(late(folder, "silver.events")) == 6, "they count as late", late(folder, "silver.events"))


def restore(folder, saved):
    shutil.rmtree(folder / "lake", ignore_errors=True)
    shutil.copytree(saved, folder / "lake")


def killed():
    folder, saved = began("killed"), top / "killed.saved"
    retain(folder)
    land(folder, 1, [(1, 3), (3, 20), (5, 3), (2, 2)])
    shutil.copytree(folder / "lake", saved)
    at, died, failures = random.Random(SEED).randrange(1, 40), 0, []
    while not failures:
        restore(folder, saved)
        how = ("before", "after", "lost")[at % 3]
        done = weir(folder, "run", WEIR_TEST_KILL=f"{at}:{how}")
        if done.returncode == 0 and how != "lost":  # without an answer it may have found out, and gone on
            break
        died += 1
        for _ in range(3):
            again = weir(folder, "run")
            if again.returncode == 0:
                break
        if again.returncode or keyed(folder, "gold.daily", "day", "n", "usage") != scratch(folder, ["1-0", "1-1", "1-3"]) or late(folder, "gold.daily") != ["1-0", "1-1", "1-3"] \
                or late(folder, "silver.events") != ["1-0", "1-3"] or len(rows(folder, "silver.events")) != 15:
            failures.append(f"{at}:{how} {again.returncode} {again.stderr} {everything(folder)} {late(folder, 'gold.daily')} {late(folder, 'silver.events')}")
        at += 1 if FULL else 31
    say(not failures and died > 3, f"killed at {died} of the {at} effects of a run and started again: each row once, in its table or late", f"{died} {failures}")


try:
    anew(closed())
    rolled_back()
    killed()
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
