"""Models after every window beside the same SQL run from scratch by DuckDB over all of bronze; gates; kills at every effect; foreign readers."""
import datetime, json, os, random, shutil, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import duckdb
import engines

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-promote."))

PIPELINE = """version: 1
name: promote
lake: {warehouse: ./lake}
sources:
  inventory: {files: in/*.ndjson}
  policy: {files: policies.csv, format: csv}
tables:
  bronze.inventory:
    source: inventory
    columns:
      record_id: string required
      tenant_id: string required
      device_id: string required
      site: string
      collected_at: timestamptz required
      usage: double
      free_gb: double
      tags: map<string, string>
  bronze.policy:
    source: policy
    mode: full
    columns: {policy_id: string required, tenant_id: string, severity: string, max_usage: double}
  silver.events: {sql: models/events.sql, mode: append}
  silver.device:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [collected_at desc, record_id desc]
    expect:
      - not_null: [device_id, tenant_id]
      - unique: [device_id]
      - {name: disks_sane, that: "free_gb >= 1", on_fail: warn}
      - {name: tenants_known, accepted_values: {column: tenant_id, values: [t0, t1, t2]}}
  silver.device_policy: {sql: models/device_policy.sql, mode: view}
  gold.site_hourly: {sql: models/site_hourly.sql, mode: recompute, group_by: [tenant_id, site, hour], partition_by: [days(hour)]}
  gold.busy: {sql: models/busy.sql, mode: recompute, group_by: [tenant_id]}
  gold.newest: {sql: models/newest.sql, mode: recompute, group_by: [device_id]}
  gold.quiet: {sql: models/quiet.sql, mode: recompute, group_by: [device_id]}
  gold.violations:
    sql: models/violations.sql
    mode: merge
    unique_key: [device_id, policy_id]
    delete_when: "resolved"
  gold.tenants: {sql: models/tenants.sql, mode: full}
"""

# name: (SQL, how DuckDB makes the whole table of it)
MODELS = {
    "silver.events": ("SELECT record_id, upper(tenant_id) AS tenant, usage * 2 AS twice FROM bronze.inventory WHERE usage > 50", "{sql}"),
    "silver.device": ("SELECT device_id, tenant_id, site, record_id, collected_at, usage, free_gb FROM bronze.inventory",
                      "SELECT DISTINCT ON (device_id) * FROM ({sql}) ORDER BY device_id, collected_at DESC, record_id DESC"),
    "silver.device_policy": ("SELECT d.device_id, p.policy_id, d.tenant_id, p.severity, d.collected_at, d.usage, d.usage <= p.max_usage AS resolved\n"
                             "FROM silver.device d JOIN bronze.policy p ON p.tenant_id IS NULL OR p.tenant_id = d.tenant_id", "{sql}"),
    "gold.site_hourly": ("SELECT tenant_id, site, date_trunc('hour', collected_at) AS hour, count(*) AS n, sum(usage::decimal(9,2)) AS usage, min(free_gb) AS free_gb\n"
                         "FROM bronze.inventory GROUP BY 1, 2, 3", "{sql}"),
    # a filter of groups, which changed rows alone cannot judge
    "gold.busy": ("WITH d AS (SELECT tenant_id, device_id, count(*) AS n FROM bronze.inventory GROUP BY 1, 2 HAVING count(*) > 4)\n"
                  "SELECT tenant_id, count(*) AS devices, max(n) AS most FROM d GROUP BY 1 HAVING count(*) > 1", "{sql}"),
    "gold.newest": ("SELECT device_id, record_id, n FROM (SELECT device_id, record_id, row_number() OVER w AS place, count(*) OVER (PARTITION BY device_id) AS n\n"
                    "FROM bronze.inventory WINDOW w AS (PARTITION BY device_id ORDER BY collected_at DESC, record_id DESC)) x WHERE place <= 2", "{sql}"),
    # what is not there: changed rows tell nothing, all is compared
    "gold.quiet": ("SELECT d.device_id FROM silver.device d WHERE NOT EXISTS (SELECT 1 FROM silver.events e WHERE e.record_id = d.record_id)", "{sql}"),
    "gold.violations": ("SELECT * FROM silver.device_policy", "SELECT * FROM ({sql}) WHERE NOT coalesce(resolved, false)"),
    "gold.tenants": ("SELECT tenant_id, count(*) AS devices FROM silver.device GROUP BY 1", "{sql}"),
}
POLICIES = ["policy_id,tenant_id,severity,max_usage", "p1,,high,90", "p2,t1,low,50", "p3,t2,low,10"]


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def make(name):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    text = PIPELINE
    (folder / "weir.yaml").write_text(text)
    for table, (sql, _) in MODELS.items():
        (folder / "models" / f"{table.split('.')[1]}.sql").write_text(sql + "\n")
    (folder / "policies.csv").write_text("\n".join(POLICIES) + "\n")
    return folder


def records(folder, window, count, late=True, **fixed):
    """One window of records, in no order; some up to three days late."""
    dice = random.Random(SEED * 1000 + window)
    base = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=30 * window)
    with (folder / "in" / f"{window:04}.ndjson").open("w") as out:
        for number in range(count):
            at = base + datetime.timedelta(seconds=dice.randrange(1800))
            if late and dice.random() < 0.01:
                at -= datetime.timedelta(minutes=dice.randrange(72 * 60))
            device = dice.randrange(150)
            out.write(json.dumps({"record_id": f"{window}-{number}", "tenant_id": f"t{device % 3}", "device_id": f"d{device}",
                                  "site": None if device % 10 == 0 else f"s{device % 5}", "collected_at": at.isoformat(), "usage": round(dice.random() * 100, 2),
                                  "free_gb": round(dice.random() * 100, 1), "tags": {"a": str(device)}, **fixed}) + "\n")


def reference(folder):
    """Every model from scratch."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'; SET integer_division = true; CREATE SCHEMA bronze; CREATE SCHEMA silver; CREATE SCHEMA gold")
    db.execute(f"""CREATE TABLE bronze.inventory AS SELECT * FROM read_json('{folder}/in/*.ndjson', format='newline_delimited', columns={{record_id: 'VARCHAR',
        tenant_id: 'VARCHAR', device_id: 'VARCHAR', site: 'VARCHAR', collected_at: 'TIMESTAMPTZ', usage: 'DOUBLE', free_gb: 'DOUBLE'}})""")
    db.execute(f"CREATE TABLE bronze.policy AS SELECT * FROM read_csv('{folder}/policies.csv', header=true)")
    for table, (sql, whole) in MODELS.items():
        db.execute(f"CREATE TABLE {table} AS {whole.format(sql=sql)}")
    return db


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat()
    return str(value)


def sorted_rows(found):
    order = sorted(found.column_names)
    return sorted(tuple(plain(row[c]) for c in order) for row in found.to_pylist())


def rows_of(relation):
    return sorted_rows(relation.to_arrow_table())


def rows_of_lake(folder, table):
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return sorted_rows(engines.read_duckdb(place, engines.load_table(place, table)))


def compare(folder, name):
    db = reference(folder)
    for table in MODELS:
        if table == "silver.device_policy":
            continue
        wanted, got = rows_of(db.execute(f"SELECT * FROM {table}")), rows_of_lake(folder, table)
        if wanted != got:
            lost, more = [r for r in wanted if r not in got], [r for r in got if r not in wanted]
            return say(False, name, f"{table}: {len(wanted)} rows wanted, {len(got)} there; lost {lost[:2]} more {more[:2]}")
    say(True, name)


def windows():
    folder, count = make("windows"), 20 if FULL else 8
    first = weir(folder, "validate")
    say(first.returncode == 0, "a project of models is valid", first.stderr)
    for window in range(count):
        records(folder, window, 400)
        if window == count // 2:  # a rule changes
            (folder / "policies.csv").write_text("\n".join(POLICIES[:-1] + ["p3,t2,low,60", "p4,t0,low,30"]) + "\n")
        done = weir(folder, "run", "-o", "json")
        if done.returncode:
            return say(False, f"window {window}", done.stderr)
        if window in (0, 1, count // 2, count - 1) or FULL:
            compare(folder, f"after window {window} every model is what DuckDB makes from scratch")
    before = snapshots(folder)
    again = weir(folder, "run", "-o", "json")
    tables = {t["table"]: t for t in json.loads(again.stdout)["tables"]}
    say(all(t.get("idle", t.get("windows") == 0) for t in tables.values()) and snapshots(folder) == before, "run again: nothing is due, no snapshot is made", again.stdout)
    view = weir(folder, "query", "SELECT count(*) AS n FROM silver.device_policy", "-o", "json")
    say(json.loads(view.stdout)[0]["n"] == len(rows_of(reference(folder).execute("SELECT * FROM silver.device_policy"))), "a view answers queries", view.stderr)
    return folder


def snapshots(folder):
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return {t: engines.load_table(place, t).current_snapshot().snapshot_id for t in MODELS if t != "silver.device_policy"}


def gates(folder):
    before = rows_of_lake(folder, "silver.device")
    (folder / "in" / "9000.ndjson").write_text(json.dumps({"record_id": "x", "tenant_id": "t9", "device_id": "new", "collected_at": "2025-12-01T00:00:00Z", "usage": 1, "free_gb": 2}) + "\n")
    refused = weir(folder, "run")
    say(refused.returncode == 3 and "tenants_known" in refused.stderr and "1 rows" in refused.stderr, "a gate that fails: exit 3, and which", f"{refused.returncode} {refused.stderr}")
    say(rows_of_lake(folder, "silver.device") == before, "readers keep what they had")
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    refs = [r for r in engines.load_table(place, "silver.device").metadata.refs if r.startswith("weir-gate-")]
    seen = weir(folder, "query", f"SELECT count(*) AS n FROM silver.device FOR VERSION AS OF '{refs[0] if refs else ''}' WHERE tenant_id = 't9'", "-o", "json")
    say(len(refs) == 1 and seen.returncode == 0 and json.loads(seen.stdout)[0]["n"] == 1, "the candidate can be read by its branch", seen.stderr)
    again = weir(folder, "promote", "silver.device")
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    refs = [r for r in engines.load_table(place, "silver.device").metadata.refs if r.startswith("weir-gate-")]
    say(again.returncode == 3 and len(refs) == 1, "the next promotion replaces the candidate", f"{again.returncode} {refs}")
    dropped = weir(folder, "promote", "silver.device", "--discard", "--reason", "test")
    say(dropped.returncode == 0 and rows_of_lake(folder, "silver.device") == before, "discard", dropped.stderr)
    weir(folder, "promote", "silver.device")
    taken = weir(folder, "promote", "silver.device", "--accept", "--reason", "a new tenant")
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    kept = engines.load_table(place, "silver.device").properties.get("weir.accepted", "")
    say(taken.returncode == 0 and len(rows_of_lake(folder, "silver.device")) == len(before) + 1 and "a new tenant" in kept, "accept publishes that very snapshot", taken.stderr + kept)
    rest = weir(folder, "run")
    say(rest.returncode == 0, "the models behind it go on", rest.stderr)
    compare(folder, "after accept every model is what DuckDB makes")


def definitions(folder):
    """The SQL changes: ask, then rebuild."""
    model = folder / "models" / "tenants.sql"
    model.write_text("SELECT tenant_id, count(*) AS devices, min(site) AS site FROM silver.device GROUP BY 1\n")
    asked = weir(folder, "run")
    say(asked.returncode == 4 and "--rebuild" in asked.stderr, "a changed definition asks: exit 4", f"{asked.returncode} {asked.stderr}")
    made = weir(folder, "promote", "gold.tenants", "--rebuild")
    say(made.returncode == 0 and len(rows_of_lake(folder, "gold.tenants")) == 4, "--rebuild makes it anew, with the new column", made.stderr)
    model.write_text("SELECT tenant_id, count(*) AS devices FRM silver.device GROUP BY 1\n")
    wrong = weir(folder, "validate")
    say(wrong.returncode == 2 and "models/tenants.sql: 1:" in wrong.stderr, "a wrong model fails validate with its place", wrong.stderr)
    model.write_text("SELECT tenant_id, count(*) AS devices FROM silver.devices GROUP BY 1\n")
    wrong = weir(folder, "validate")
    say(wrong.returncode == 2 and "silver.devices" in wrong.stderr, "so does an unknown table", wrong.stderr)
    model.write_text("SELECT tenant_id, count(*) AS devices FROM gold.tenants GROUP BY 1\n")
    wrong = weir(folder, "validate")
    say(wrong.returncode == 2 and "reads itself" in wrong.stderr, "and a circle", wrong.stderr)


def restore(folder, saved):
    """The lake in place: metadata names files by their whole path, and sources by their inode."""
    shutil.rmtree(folder / "lake", ignore_errors=True)
    shutil.copytree(saved, folder / "lake")


def effects(folder, saved):
    """How many outside effects the run has: the last kill point that is reached."""
    low, high = 1, 4000
    while low < high:
        middle = (low + high + 1) // 2
        restore(folder, saved)
        if weir(folder, "run", WEIR_TEST_KILL=f"{middle}:before").returncode != 0:
            low = middle
        else:
            high = middle - 1
    return low


def kills():
    """Killed before, after and without an answer at the effects of a run that promotes, then started again."""
    folder, saved = make("kills"), top / "kills.saved"
    records(folder, 0, 60)
    say(weir(folder, "run").returncode == 0, "a first run")
    records(folder, 1, 60)
    shutil.copytree(folder / "lake", saved)
    db = reference(folder)
    wanted = {table: rows_of(db.execute(f"SELECT * FROM {table}")) for table in MODELS if table != "silver.device_policy"}
    total, failures, swept = effects(folder, saved), [], 0
    points = [(n, how) for n in range(1, total + 1) for how in ("before", "after", "lost")]
    for n, how in points if FULL else random.Random(SEED).sample(points, min(24, len(points))):
        restore(folder, saved)
        weir(folder, "run", WEIR_TEST_KILL=f"{n}:{how}")
        for _ in range(3):
            done = weir(folder, "run")
            if done.returncode == 0:
                break
        swept += 1
        failures += [f"{n}:{how} {table}" for table in wanted if wanted[table] != rows_of_lake(folder, table)]
        if done.returncode:
            failures.append(f"{n}:{how} {done.stderr}")
    say(not failures, f"killed at {swept} of {len(points)} points of a run and started again: applied once", failures[:5])


def races():
    """Two runs at once, many times: each window once."""
    folder = make("races")
    for window in range(4):
        records(folder, window, 80)
        runs = [subprocess.Popen([WEIR, "run", "-p", str(folder / "weir.yaml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
        for run in runs:
            run.wait(60)
    last = weir(folder, "run")
    say(last.returncode == 0, "two runs at once, four times", last.stderr)
    compare(folder, "two at once promoted each row once")


folder = windows()
if folder:
    gates(folder)
    definitions(folder)
kills()
races()
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad != 0)
