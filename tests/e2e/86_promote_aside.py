"""Rows that a model's checks set aside: beside the same SQL and the same checks run from scratch by DuckDB, in every mode, killed at effects, and what a person sees of them."""
import collections, datetime, json, os, random, re, shutil, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import duckdb
import engines

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-aside."))

PIPELINE = """version: 1
name: promote
lake: {warehouse: ./lake}
sources:
  inventory: {files: in/*.ndjson}
  policy: {files: policies.csv, format: csv}
tables:
  bronze.inventory:
    source: inventory
    columns: {record_id: string required, tenant_id: string, device_id: {type: string, class: personal}, site: string, seen: timestamptz, usage: long, gone: boolean}
  bronze.policy: {source: policy, mode: full, columns: {tenant_id: string, most: long}}
  silver.reading:
    sql: models/reading.sql
    mode: append
    expect:
      - {name: sane, that: "usage <= 80", on_fail: quarantine}
      - {not_null: [site, device_id], on_fail: quarantine}
      - {name: tenants_known, accepted_values: {column: tenant_id, values: [t0, t1, "t'2"]}, on_fail: quarantine}
  silver.device:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [seen desc, record_id desc]
    expect:
      - {name: sane, that: "usage <= LIMIT", on_fail: quarantine}
      - {unique: [device_id]}
  silver.here:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [seen desc, record_id desc]
    delete_when: "gone"
    expect:
      - {name: sane, that: "usage <= 80", on_fail: quarantine}
  silver.known:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [seen desc, record_id desc]
    expect:
      - {relationship: {column: tenant_id, to: bronze.policy.tenant_id}, on_fail: quarantine}
  gold.hourly:
    sql: models/hourly.sql
    mode: recompute
    group_by: [hour]
    expect:
      - {name: crowded, that: "n < 24", on_fail: quarantine}
      - {name: some, row_count: {min: 0}}
  gold.two:
    sql: models/two.sql
    mode: recompute
    group_by: [device_id]
    expect:
      - {name: one, unique: [device_id], on_fail: quarantine}
      - {name: sane, that: "usage <= 80", on_fail: quarantine}
  gold.sites:
    sql: models/sites.sql
    mode: full
    expect:
      - {not_null: [site], on_fail: quarantine}
"""
SQL = {
    "reading": "SELECT record_id, tenant_id, device_id, site, usage FROM bronze.inventory",
    "device": "SELECT device_id, tenant_id, record_id, seen, usage, gone FROM bronze.inventory WHERE device_id IS NOT NULL",
    "hourly": "SELECT date_trunc('hour', seen) AS hour, count(*) AS n, max(usage) AS most FROM bronze.inventory GROUP BY 1",
    "two": "SELECT device_id, record_id, usage FROM (SELECT device_id, record_id, usage, row_number() OVER (PARTITION BY device_id ORDER BY seen DESC, record_id DESC) AS place\n"
           "FROM bronze.inventory WHERE device_id IS NOT NULL) x WHERE place <= 3 -- the newest",
    "sites": "SELECT site, count(*) AS n FROM bronze.inventory GROUP BY 1",
}
NEWEST = "SELECT DISTINCT ON (device_id) * FROM ({good}) ORDER BY device_id, seen DESC, record_id DESC"
# table: (SQL, checks by name in DuckDB, what becomes of the good rows)
MODELS = {
    "silver.reading": ("reading", {"sane": "NOT (usage <= 80)", "not_null(site)": "site IS NULL", "not_null(device_id)": "device_id IS NULL",
                                   "tenants_known": "tenant_id NOT IN ('t0', 't1', 't''2')"}, "{good}"),
    "silver.device": ("device", {"sane": "NOT (usage <= LIMIT)"}, NEWEST),
    "silver.here": ("device", {"sane": "NOT (usage <= 80)"}, f"SELECT * FROM ({NEWEST}) WHERE NOT coalesce(gone, false)"),
    "silver.known": ("device", {"relationship(tenant_id)": "tenant_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM bronze.policy o WHERE o.tenant_id = t.tenant_id)"}, NEWEST),
    "gold.hourly": ("hourly", {"crowded": "NOT (n < 24)"}, "{good}"),
    "gold.sites": ("sites", {"not_null(site)": "site IS NULL"}, "{good}"),
}
LIMIT = 80


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:2000]}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def write(folder, more="", **replaced):
    text = PIPELINE.replace("LIMIT", str(LIMIT))
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / "weir.yaml").write_text(text + more)


def make(name):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    write(folder)
    for model, sql in SQL.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    policies(folder, ["t0", "t1"])
    return folder


def policies(folder, tenants):
    (folder / "policies.csv").write_text("\n".join(["tenant_id,most"] + [f"{t},9" for t in tenants]) + "\n")


def records(folder, window, count=40):
    """Some are up to three days late; a fifth is bad in one way or another."""
    dice = random.Random(SEED * 1000 + window)
    base = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=30 * window)
    with (folder / "in" / f"{window:04}.ndjson").open("w") as out:
        for number in range(count):
            at = base + datetime.timedelta(seconds=dice.randrange(1800)) - datetime.timedelta(minutes=dice.randrange(72 * 60) if dice.random() < 0.02 else 0)
            out.write(json.dumps({"record_id": f"{window}-{number}", "tenant_id": dice.choice(["t0", "t0", "t1", "t'2", "t3", None]), "device_id": dice.choice([None] + [f"d{n}" for n in range(25)]),
                                  "site": dice.choice([None, "s1", "s2", "s\"3"]), "seen": at.isoformat(), "usage": dice.choice([None] + [dice.randrange(101) for _ in range(9)]),
                                  "gone": dice.random() < 0.1}) + "\n")


def plain(value):
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat()
    return str(value)


def as_set(rows):
    return collections.Counter(tuple(sorted((k, plain(v)) for k, v in row.items())) for row in rows)


def query(db, sql):
    return db.execute(sql).to_arrow_table().to_pylist()


def reference(folder):
    """{table: (rows, set aside)} of all there ever was."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'; CREATE SCHEMA bronze")
    db.execute(f"""CREATE TABLE bronze.inventory AS SELECT * FROM read_json('{folder}/in/*.ndjson', format='newline_delimited', columns={{record_id: 'VARCHAR', tenant_id: 'VARCHAR',
        device_id: 'VARCHAR', site: 'VARCHAR', seen: 'TIMESTAMPTZ', usage: 'BIGINT', gone: 'BOOLEAN'}})""")
    db.execute(f"CREATE TABLE bronze.policy AS SELECT * FROM read_csv('{folder}/policies.csv', header=true, columns={{tenant_id: 'VARCHAR', most: 'BIGINT'}})")
    found = {}
    for table, (model, checks, whole) in MODELS.items():
        names = ", ".join("CASE WHEN {} THEN '{}' END".format(condition.replace("LIMIT", str(LIMIT)), name) for name, condition in checks.items())
        judged = f"SELECT t.*, concat_ws(', ', {names}) AS checks FROM ({SQL[model]}\n) t"
        good = f"SELECT * EXCLUDE checks FROM ({judged}) WHERE checks = ''"
        found[table] = as_set(query(db, whole.format(good=good))), as_set(query(db, f"SELECT * FROM ({judged}) WHERE checks <> ''"))
    return found, query(db, SQL["two"])


def place(folder):
    return engines.Place(catalog=str(folder / "lake/catalog.db"))


def rows_of(folder, table):
    try:
        return engines.load_table(place(folder), table).scan().to_arrow().to_pylist()
    except Exception as error:
        if "does not exist" in str(error):
            return []
        raise


def aside_of(folder, table):
    return [{**json.loads(row["record"]), "checks": row["checks"]} for row in rows_of(folder, table + "__quarantine")]


def wrong(folder):
    """What differs from DuckDB's, or nothing."""
    found, two = reference(folder)
    for table, (rows, aside) in found.items():
        is_rows, is_aside = as_set(rows_of(folder, table)), as_set(aside_of(folder, table))
        if is_rows != rows:
            return f"{table}: more {list((is_rows - rows).items())[:3]}, less {list((rows - is_rows).items())[:3]}"
        if is_aside != aside:
            return f"{table}__quarantine: more {list((is_aside - aside).items())[:3]}, less {list((aside - is_aside).items())[:3]}"
    return wrong_two(rows_of(folder, "gold.two"), aside_of(folder, "gold.two"), two)


def wrong_two(rows, aside, given):
    """Of each device's rows one good one stays, and the others are set aside with what they break."""
    if as_set(rows + [{k: v for k, v in row.items() if k != "checks"} for row in aside]) != as_set(given):
        return "gold.two: rows are lost, or twice"
    sane = lambda row: row["usage"] is None or row["usage"] <= 80
    for device in {row["device_id"] for row in given}:
        of = [row for row in given if row["device_id"] == device]
        kept = [row for row in rows if row["device_id"] == device]
        if len(kept) != (1 if any(map(sane, of)) else 0) or not all(map(sane, kept)):
            return f"gold.two: {device}: {kept} of {of}"
        for row in [row for row in aside if row["device_id"] == device]:
            if ("sane" in row["checks"]) == sane(row) or ("one" not in row["checks"] and sane(row)):
                return f"gold.two: {row}"
    return ""


def windows():
    folder = make("windows")
    for window in range(10 if FULL else 6):
        records(folder, window)
        if window == 3:
            policies(folder, ["t0", "t'2", "t3"])  # rows that were set aside come back, others go
        done = weir(folder, "run")
        differs = wrong(folder)
        say(done.returncode == 0 and not differs, f"window {window}: tables and what is set aside are as DuckDB has them", differs + done.stderr)
    before = [engines.load_table(place(folder), t + "__quarantine").current_snapshot().snapshot_id for t in MODELS]
    weir(folder, "run")
    say(before == [engines.load_table(place(folder), t + "__quarantine").current_snapshot().snapshot_id for t in MODELS], "nothing new: no commit to any of them")
    return folder


def looks(folder):
    """What a person sees."""
    told = json.loads(weir(folder, "quarantine", "list", "-o", "json").stdout)
    count = {row["table"]: row["refused"] for row in told}
    say(all(count.get(t) == len(aside_of(folder, t)) for t in MODELS), "weir quarantine list counts them", told)
    shown = weir(folder, "quarantine", "show", "silver.reading", "-o", "json")
    say(shown.returncode == 0 and sum(r["count"] for r in json.loads(shown.stdout)) == count["silver.reading"], "weir quarantine show: by what they break", shown.stdout + shown.stderr)
    say('"d1' not in shown.stdout, "with no value of a row", shown.stdout)
    done = weir(folder, "quarantine", "retry", "silver.reading")
    say(done.returncode == 2 and "weir promote silver.reading --rebuild" in done.stderr, "retry is for what a source brings: told what to do", done.stderr)
    done = weir(folder, "verify", "silver.reading", "--deep")
    say(done.returncode == 0, "weir verify --deep", done.stdout + done.stderr)
    asked = weir(folder, "query", "SELECT count(*) FROM silver.reading__quarantine WHERE checks = 'sane'", "-o", "csv")
    say(asked.stdout.split()[-1:] == [str(sum(r["checks"] == "sane" for r in aside_of(folder, "silver.reading")))], "weir query reads them", asked.stdout + asked.stderr)
    properties = engines.load_table(place(folder), "silver.reading__quarantine").properties
    say(properties.get("weir.class.record") == "personal", "a record is as personal as its columns", properties)
    files = engines.load_table(place(folder), "silver.reading__quarantine").inspect.files().to_pylist()
    say(files and not any(f["lower_bounds"] or f["upper_bounds"] for f in files), "no value of theirs in a manifest", files)


def changed(folder):
    """A check that changed changes the table: a person decides, as for changed SQL."""
    global LIMIT
    LIMIT = 60
    write(folder)
    done = weir(folder, "promote", "silver.device")
    say(done.returncode == 4 and "--rebuild" in done.stderr, "a check that changed: exit 4", f"{done.returncode} {done.stderr}")
    would = json.loads(weir(folder, "promote", "silver.device", "--what-if", "-o", "json").stdout)
    gate = [g for g in would["gates"] if g["name"] == "sane"][0]
    done = weir(folder, "promote", "silver.device", "--rebuild")
    differs = wrong(folder)
    say(done.returncode == 0 and not differs, "made anew with it", differs + done.stderr)
    say(gate["verdict"] == "would set aside" and gate["rows"] == len(aside_of(folder, "silver.device")), "what-if knew how many", would)
    write(folder, **{"LIMIT": str(LIMIT), 'name: sane, that: "usage <= 60", on_fail: quarantine': 'name: sane, that: "usage <= 60", on_fail: warn'})
    weir(folder, "promote", "silver.device", "--rebuild")
    say(len(aside_of(folder, "silver.device")) == 0, "a check that sets nothing aside any more: nothing is left there")
    write(folder)
    weir(folder, "promote", "silver.device", "--rebuild")


def gated(folder):
    """A gate holds the candidate back: what it would set aside is not there either."""
    write(folder, **{"{unique: [device_id]}": '{name: never, that: "usage > 1000"}'})
    records(folder, 20)
    before = as_set(rows_of(folder, "silver.device")), as_set(aside_of(folder, "silver.device"))
    done = weir(folder, "run")
    say(done.returncode == 3 and before == (as_set(rows_of(folder, "silver.device")), as_set(aside_of(folder, "silver.device"))), "a gate says no: nothing is set aside", f"{done.returncode} {done.stderr}")
    done = weir(folder, "promote", "silver.device", "--accept", "--reason", "test")
    differs = wrong(folder)
    say(done.returncode == 0 and not differs, "accepted: both are there", differs + done.stderr)
    write(folder)


def restore(folder, saved):
    """The lake in place: metadata names files by their whole path, and sources by their inode."""
    shutil.rmtree(folder / "lake", ignore_errors=True)
    shutil.copytree(saved, folder / "lake")


def killed():
    """At effects of a run that promotes all of them, some rows having changed sides; then started again."""
    folder, saved = make("killed"), top / "killed.saved"
    for window in range(2):
        records(folder, window)
        weir(folder, "run")
    records(folder, 2)
    policies(folder, ["t0", "t'2"])
    shutil.copytree(folder / "lake", saved)
    at, died, failures = random.Random(SEED).randrange(1, 60), 0, []
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
        differs = wrong(folder)
        if again.returncode or differs:
            failures.append(f"{at}:{how} {again.returncode} {again.stderr} {differs}")
        at += 1 if FULL else 31
    say(not failures and died > 3, f"killed at {died} of the {at} effects of a run and started again: every row is in its table or set aside, once", f"{died} {failures}")


def refused():
    folder = make("refused")
    for old, new, what in [("{unique: [device_id]}", "{unique: [device_id], on_fail: quarantine}", "which of equal rows"),
                           ("{name: some, row_count: {min: 0}}", "{name: some, row_count: {min: 0}, on_fail: quarantine}", "no row to set aside"),
                           ("to: bronze.policy.tenant_id", "to: bronze.polcy.tenant_id", "bronze.polcy")]:
        write(folder, **{old: new})
        done = weir(folder, "validate")
        say(done.returncode == 2 and what in done.stderr and "weir.yaml:" in done.stderr, f"validate: {what}", f"{done.returncode} {done.stderr}")
    write(folder)
    done = weir(folder, "validate")
    say(done.returncode == 0, "validate takes the others", done.stderr)


made = windows()
looks(made)
changed(made)
gated(made)
LIMIT = 80
killed()
refused()
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad != 0)
