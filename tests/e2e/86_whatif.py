"""`weir promote --what-if`: what it says is what then happens, and the lake stays as it is, byte for byte."""
import datetime, hashlib, http.server, json, os, random, shutil, subprocess, tempfile, threading
from pathlib import Path

WEIR, bad = os.environ["WEIR"], 0
SEED = int(os.environ.get("WEIR_SEED", "1"))
ROUNDS = 12 if os.environ.get("WEIR_FULL") else 3
top = Path(tempfile.mkdtemp(prefix="weir-whatif."))

PIPELINE = """version: 1
name: whatif
lake: {warehouse: ./lake}
sources:
  inventory: {files: in/*.ndjson}
  policy: {files: policies.csv, format: csv}
  other: {files: other/*.ndjson}
tables:
  bronze.inventory:
    source: inventory
    columns:
      record_id: string required
      device_id: string required
      site: string
      owner: {type: string, class: personal}
      at: timestamptz required
      usage: long
  bronze.policy: {source: policy, mode: full, columns: {policy_id: string required, most: long}}
  silver.device:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [at desc, record_id desc]
    expect:
      - {name: usage_sane, that: "usage <= 150", on_fail: warn}
      - {name: usage_possible, that: "usage < 900"}
  silver.seen: {sql: models/seen.sql, mode: append}
  gold.hourly: {sql: models/hourly.sql, mode: recompute, group_by: [site, hour]}
  gold.violations: {sql: models/violations.sql, mode: merge, unique_key: [device_id, policy_id], delete_when: resolved}
  gold.sites: {sql: models/sites.sql, mode: full}
  gold.named: {sql: models/named.sql, mode: view}
  bronze.other: {source: other, columns: {record_id: string}}
  gold.stamped: {sql: models/stamped.sql, mode: append}
sinks:
  alerts: {from: gold.violations, webhook: {url: "http://127.0.0.1:PORT/"}}
  high: {from: gold.violations, where: "usage > 55", columns: [device_id, policy_id], changes: [insert, delete], webhook: {url: "http://127.0.0.1:PORT/"}}
"""
MODELS = {
    "device": "SELECT device_id, site, owner, record_id, at, usage FROM bronze.inventory",
    "seen": "SELECT record_id, usage FROM bronze.inventory",
    "hourly": "SELECT site, date_trunc('hour', at) AS hour, sum(usage)::bigint AS usage, count(*) AS n FROM bronze.inventory GROUP BY 1, 2",
    "violations": "SELECT d.device_id, p.policy_id, d.usage, d.usage <= p.most AS resolved FROM silver.device d JOIN bronze.policy p ON true",
    "sites": "SELECT DISTINCT site FROM silver.device",
    "stamped": "SELECT record_id, now() AS at FROM bronze.inventory UNION ALL SELECT record_id, now() AS at FROM bronze.other",
    "named": "SELECT device_id FROM silver.device",
}
KEYS = {"silver.device": ["device_id"], "gold.hourly": ["site", "hour"], "gold.violations": ["device_id", "policy_id"], "gold.sites": [], "silver.seen": []}
TRIES = {  # other SQL for each model
    "silver.device": [MODELS["device"] + " WHERE site <> 's1'", MODELS["device"].replace("usage FROM", "usage + CASE WHEN site = 's2' THEN 1 ELSE 0 END AS usage FROM"), MODELS["device"]],
    "gold.hourly": [MODELS["hourly"].replace("sum(usage)", "1 + sum(usage)"), MODELS["hourly"].replace("'hour', at", "'day', at"), MODELS["hourly"].replace(" GROUP", " WHERE usage > 20 GROUP")],
    "gold.violations": [MODELS["violations"].replace("p.most AS", "p.most - 7 AS"), MODELS["violations"].replace("p.most AS", "p.most + 14 AS"),
                        MODELS["violations"].replace("d.usage,", "d.usage + CASE WHEN d.device_id < 'd030' THEN 1 ELSE 0 END AS usage,").replace("p.most AS", "p.most - 3 AS")],
    "gold.sites": ["SELECT DISTINCT upper(site) AS site FROM silver.device WHERE site <> 's0'", "SELECT site FROM silver.device", MODELS["sites"]],
    "silver.seen": [MODELS["seen"] + " WHERE usage > 10", MODELS["seen"].replace("usage FROM", "usage + 1 AS usage FROM"), MODELS["seen"]],
}


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(*arguments, check=None):
    done = subprocess.run([WEIR, *arguments, "-p", str(top / "weir.yaml")], capture_output=True, text=True, timeout=120)
    if check is not None and done.returncode != check:
        say(False, " ".join(arguments), f"exit {done.returncode}: {done.stderr} {done.stdout[-500:]}")
    return done


def records(dice, number, count):
    base = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(hours=2 * number)
    with (top / "in" / f"{number:04}.ndjson").open("w") as out:
        for i in range(count):
            device = dice.randrange(60)
            out.write(json.dumps({"record_id": f"{number}-{i}", "device_id": f"d{device:03}", "site": f"s{device % 4}", "owner": f"person{device}@example.com",
                                  "at": (base + datetime.timedelta(seconds=dice.randrange(-20000, 7200))).isoformat(), "usage": dice.randrange(100)}) + "\n")


def rows(table):
    return [json.loads(line) for line in weir("query", f"SELECT * FROM {table}", "-o", "ndjson", check=0).stdout.splitlines()]


def digest():
    """Every file below the lake's folder, with what it holds."""
    return {str(p.relative_to(top)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((top / "lake").rglob("*")) if p.is_file()}


def multiset(rows, columns):
    found = {}
    for row in rows:
        text = json.dumps([row.get(c) for c in columns])
        found[text] = found.get(text, 0) + 1
    return found


def difference(before, after, table):
    """Rows that came, went and changed, from the tables before and after."""
    if not before and not after:
        return 0, 0, 0
    columns = sorted(set.intersection(*(set(r) for r in (before or after) + (after or before))))
    old, new = multiset(before, columns), multiset(after, columns)
    came, went = {}, {}
    for these, those, out in ((new, old, came), (old, new, went)):
        for text, count in these.items():
            left = count - those.get(text, 0)
            if left > 0:
                values = dict(zip(columns, json.loads(text)))
                key = json.dumps([values[k] for k in KEYS[table]]) if KEYS[table] else text
                out[key] = out.get(key, 0) + left
    keys = set(came) | set(went)
    return (sum(max(came.get(k, 0) - went.get(k, 0), 0) for k in keys), sum(max(went.get(k, 0) - came.get(k, 0), 0) for k in keys),
            sum(min(came.get(k, 0), went.get(k, 0)) for k in keys) if KEYS[table] else 0)


def alerts(before, after, where, columns):
    """What a sink would be told: by key, among the rows that the condition holds for."""
    old = {(r["device_id"], r["policy_id"]): [r[c] for c in columns] for r in before if where(r)}
    new = {(r["device_id"], r["policy_id"]): [r[c] for c in columns] for r in after if where(r)}
    return len(new.keys() - old.keys()), sum(old[k] != new[k] for k in old.keys() & new.keys()), len(old.keys() - new.keys())


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def delivered():
    """What the sinks are told by a run, by name."""
    run = weir("run", "-s", "alerts,high", "-o", "json", check=0)
    told = json.loads(run.stdout.splitlines()[-1])["sinks"]
    return {s["sink"]: tuple(s["delivered"][k] for k in ("insert", "update", "delete")) for s in told}


def sink_counts(report, name):
    return next(((s["insert"], s["update"], s["delete"]) for s in report["sinks"] if s["sink"] == name), None)


def predicted(table, sql, *options):
    (top / "new.sql").write_text(sql)
    return weir("promote", table, "--what-if", "--model", str(top / "new.sql"), "-o", "json", *options)


def one_round(number):
    for table in ["silver.device", "gold.hourly", "gold.violations", "gold.sites", "silver.seen"]:
        sql, file = TRIES[table][(number + SEED) % len(TRIES[table])], top / "models" / f"{table.split('.')[1]}.sql"
        before, files = rows(table), digest()
        done = predicted(table, sql)
        report = json.loads(done.stdout)
        say(files == digest() and done.returncode == 0, f"{table} round {number}: what-if leaves the lake as it is", done.stderr)
        had = file.read_text()
        file.write_text(sql)
        weir("promote", table, "--rebuild", check=0)
        after = rows(table)
        told = report["added"], report["removed"], report["changed"]
        say(told == difference(before, after, table), f"{table} round {number}: rows told are rows that came, went, changed {told}",
            f"{told} told, {difference(before, after, table)} happened; {sql}")
        say(report["rows"] == {"before": len(before), "after": len(after)}, f"{table} round {number}: rows before and after", report["rows"])
        if table == "gold.violations":
            wanted = alerts(before, after, lambda r: True, sorted(MODELS and ["device_id", "policy_id", "usage", "resolved"]))
            say(sink_counts(report, "alerts") == wanted, f"alerts told are those that would go out {wanted}", sink_counts(report, "alerts"))
            came, _, went = alerts(before, after, lambda r: r["usage"] > 55, [])
            say(sink_counts(report, "high") == (came, 0, went), f"alerts of a sink with where {came, 0, went}", sink_counts(report, "high"))
            told = {name: sink_counts(report, name) for name in ("alerts", "high")}
            got = delivered()
            say(got == told, f"and those that do go out {got}", told)
        file.write_text(had)
        weir("promote", table, "--rebuild", check=0)
        if table == "gold.violations":
            delivered()


def pending():
    """Without --model: what the next promotion would do."""
    for table in ["silver.device", "gold.hourly", "silver.seen"]:
        before, report = rows(table), json.loads(weir("promote", table, "--what-if", "-o", "json", check=0).stdout)
        weir("promote", table, check=0)
        told = report["added"], report["removed"], report["changed"]
        say(sum(told) > 0 and told == difference(before, rows(table), table), f"{table}: what waits is what the promotion does {told}", difference(before, rows(table), table))


def since():
    """Only keys that rows of late commits touch, by the SQL that was, and by the one tried."""
    sql, everything = TRIES["silver.device"][0], json.loads(predicted("silver.device", TRIES["silver.device"][0]).stdout)
    part, none = (json.loads(predicted("silver.device", sql, "--since", s).stdout) for s in (f"{aged}s", "1ms"))
    late = {json.loads(line)["device_id"] for line in sorted((top / "in").glob("*.ndjson"))[-1].read_text().splitlines()}
    held = {r["device_id"] for r in rows("silver.device") if r["site"] == "s1"}
    say(part["removed"] == len(late & held) and 0 < part["removed"] <= everything["removed"] == len(held), f"--since: keys that came of late count {part['removed']} of {everything['removed']}", part)
    say(part["since"]["keys"] == "touched" and part["rows"]["after"] == part["rows"]["before"] - part["removed"], "--since: the rest stays", part["rows"])
    say((none["added"], none["removed"], none["changed"]) == (0, 0, 0), "--since: nothing of late, nothing told", none)
    say(weir("promote", "gold.sites", "--what-if", "--since", "1h").returncode == 2, "--since without a key is refused")


def gates():
    files = digest()
    worse = MODELS["device"].replace("usage FROM", "usage * 10 AS usage FROM")
    done = predicted("silver.device", worse)
    report = json.loads(done.stdout)
    verdicts = {g["name"]: g["verdict"] for g in report["gates"]}
    say(done.returncode == 3 and verdicts == {"usage_sane": "would warn", "usage_possible": "would fail"}, "a gate that would fail: exit 3", (done.returncode, verdicts))
    shown = json.dumps(report)
    say("person" not in shown and "***" in shown, "samples show nothing personal", shown[:300])
    table = predicted("silver.device", MODELS["device"].replace("owner", "owner AS site, site AS owner").replace("site, owner AS site", "owner AS site"))
    moved = json.loads(predicted("silver.device", MODELS["device"].replace("owner", "upper(owner) AS owner")).stdout)
    say(moved["changed"] > 0 and all(pair["before"]["owner"] == "***" and pair["after"]["owner"] == "*** (another)" for pair in moved["samples"]["changed"]), "that a masked value changed is told", moved["samples"]["changed"][:1])
    say("person" not in table.stdout, "values that move to another column stay masked", table.stdout[:300])
    table = weir("promote", "silver.device", "--what-if", "--model", str(top / "new.sql"))
    say("rows would come" in table.stdout and "person" not in table.stdout, "told for people", table.stdout[:200] + table.stderr)
    say(digest() == files, "the lake is as it was")


def one_time():
    """now() is one time in a promotion, of however many statements it is made."""
    for part in range(2):
        (top / "other" / f"{part}.ndjson").write_text('{"record_id": "o%d"}\n' % part)
        records(dice, 10 + part, 20000)  # a statement that takes some time
        weir("run", "-s", "bronze.inventory,bronze.other", check=0)
        weir("promote", "gold.stamped", check=0)
    at = {r["record_id"]: r["at"] for r in rows("gold.stamped")}
    say(at["o1"] == at["11-0"] > at["o0"] == at["10-0"], f"now() is one time in a promotion {[at.get(k) for k in ('o1', '11-0', 'o0')]}", [at.get(k) for k in ("o1", "11-0", "o0", "10-0")])


def refusals():
    def says(name, words, *arguments):
        done = weir(*arguments)
        say(done.returncode == 2 and words in done.stderr, name, f"exit {done.returncode}: {done.stderr}")
    (top / "bad.sql").write_text("SELECT device_id, nonsense FROM bronze.inventory")
    says("a column that is not", "bad.sql: 1:19", "promote", "silver.device", "--what-if", "--model", str(top / "bad.sql"))
    (top / "bad.sql").write_text("SELECT device_id FROM bronze.inventori")
    says("a table that is not", "bronze.inventori", "promote", "silver.device", "--what-if", "--model", str(top / "bad.sql"))
    (top / "bad.sql").write_text(" ;\n")
    says("no SQL", "expected one SELECT", "promote", "silver.device", "--what-if", "--model", str(top / "bad.sql"))
    says("a view", "is a view", "promote", "gold.named", "--what-if")
    says("--since alone", "go with --what-if", "promote", "silver.device", "--since", "1d")
    says("--what-if and --rebuild", "changes nothing", "promote", "silver.device", "--what-if", "--rebuild")
    says("files have no SQL", "has no SQL", "promote", "bronze.policy", "--what-if", "--model", str(top / "bad.sql"))


dice = random.Random(SEED)
(top / "in").mkdir()
(top / "models").mkdir()
(top / "other").mkdir()
receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
(top / "weir.yaml").write_text(PIPELINE.replace("PORT", str(receiver.server_port)))
(top / "policies.csv").write_text("policy_id,most\np1,90\np2,60\n")
for model, sql in MODELS.items():
    (top / "models" / f"{model}.sql").write_text(sql + "\n")
for window in range(3):
    records(dice, window, 80)
weir("run", "-s", "bronze.*,silver.*", check=0)
done = weir("promote", "gold.hourly", "--what-if", "-o", "json", check=0)
say(json.loads(done.stdout)["rows"]["before"] == 0 and json.loads(done.stdout)["added"] > 0 and not (top / "lake/gold").exists(), "a table that is not there yet: all would come, and it stays away")
weir("run", "-s", "layer:gold,alerts,high", check=0)
for number in range(ROUNDS):
    one_round(number)
records(dice, 7, 12)
begun = datetime.datetime.now()
weir("run", "-s", "bronze.inventory", check=0)
pending()
aged = max(1, int((datetime.datetime.now() - begun).total_seconds()) + 1)
since()
gates()
one_time()
refusals()
shutil.rmtree(top)
print("FAIL 86_whatif" if bad else "ok 86_whatif", flush=True)
raise SystemExit(bad > 0)
