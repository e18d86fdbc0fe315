"""When models are promoted, what is held for them, and what a gate says: pins, `promote:`, freshness, samples."""
import datetime, json, os, random, shutil, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import engines

WEIR, bad = os.environ["WEIR"], 0
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-when."))

PIPELINE = """version: 1
name: promote
lake: {warehouse: ./lake}
sources:
  inventory: {files: in/*.ndjson}
tables:
  bronze.inventory:
    source: inventory
    columns: {record_id: string required, device_id: {type: string, class: personal}, at: timestamptz, usage: double}
  silver.device: {sql: models/device.sql, mode: merge, unique_key: [device_id], order_by: [at desc, record_id desc]DEVICE}
  silver.device_view: {sql: models/view.sql, mode: full}
  gold.hourly: {sql: models/hourly.sql, mode: recompute, group_by: [hour]HOURLY}
"""
MODELS = {
    "device": "SELECT device_id, record_id, at, usage FROM bronze.inventory",
    "view": "SELECT device_id FROM silver.device",
    "hourly": "SELECT date_trunc('hour', i.at) AS hour, count(*) AS n, count(d.usage) AS now FROM bronze.inventory i JOIN silver.device d ON d.device_id = i.device_id GROUP BY 1",
}
READS = {"silver.device": ["bronze.inventory"], "silver.device_view": ["silver.device"], "gold.hourly": ["bronze.inventory", "silver.device"]}


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def write(folder, device="", hourly="", more=""):
    (folder / "weir.yaml").write_text(PIPELINE.replace("DEVICE", device).replace("HOURLY", hourly) + more)


def make(name, **options):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    write(folder, **options)
    for model, sql in MODELS.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    return folder


def records(folder, window, count=20, **fixed):
    dice = random.Random(SEED * 1000 + window)
    base = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=30 * window)
    with (folder / "in" / f"{window:04}.ndjson").open("w") as out:
        for number in range(count):
            device = number if count > 20 and number < 15 else dice.randrange(15)  # a long window has every device
            out.write(json.dumps({"record_id": f"{window}-{number}", "device_id": f"d{device}", "at": (base + datetime.timedelta(seconds=number)).isoformat(),
                                  "usage": dice.randrange(100), **fixed}) + "\n")


def table(folder, name):
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), name)


def pins(folder, name):
    """{consumer: [snapshots]} of a source."""
    found = {}
    for ref, to in table(folder, name).metadata.refs.items():
        if ref.startswith("weir-at-"):
            found.setdefault(ref[len("weir-at-"):-37], []).append(to.snapshot_id)
    return found


def reached(folder, model):
    head = table(folder, model).current_snapshot()
    while "weir.sources" not in head.summary.additional_properties:
        head = table(folder, model).snapshot_by_id(head.parent_snapshot_id)
    return {s["table"]: s["to"] for s in json.loads(head.summary.additional_properties["weir.sources"]).values()}


def held(folder):
    """Is what each model has reached, and nothing else, held by one tag of its own?"""
    wanted, got = {}, {}
    for model, sources in READS.items():
        for source in sources:
            wanted[model, source] = [reached(folder, model)[source]]
            got[model, source] = pins(folder, source).get(model, [])
    others = {c for s in {x for xs in READS.values() for x in xs} for c in pins(folder, s)} - set(READS)
    return (wanted == got and not others), f"{wanted} {got} {others}"


def holds():
    folder = make("holds")
    for window in range(3):
        records(folder, window)
        done = weir(folder, "run")
        say(done.returncode == 0, f"window {window}", done.stderr)
    say(*held(folder)[:1], "each source is held by one tag a consumer, at what it has reached", held(folder)[1])
    before = table(folder, "bronze.inventory").metadata_location
    again = weir(folder, "run")
    say(again.returncode == 0 and table(folder, "bronze.inventory").metadata_location == before, "nothing due: no commit to a source", again.stderr)
    # windows that nobody promotes yet, and an expiry of another program
    for window in (3, 4):
        records(folder, window)
        weir(folder, "run", "-s", "bronze.inventory")
    bronze = table(folder, "bronze.inventory")
    bronze.maintenance.expire_snapshots().older_than(datetime.datetime.now() + datetime.timedelta(days=1)).commit()
    left = {s.snapshot_id for s in table(folder, "bronze.inventory").metadata.snapshots}
    say(len(left) == 2 and reached(folder, "silver.device")["bronze.inventory"] in left, "an expiry of pyiceberg leaves what the next promotion needs", left)
    done = weir(folder, "run")
    say(done.returncode == 0 and held(folder)[0], "which goes on from there", done.stderr + held(folder)[1])
    # killed anywhere: the tags that are left go with the next commit
    for turn, n in enumerate(random.Random(SEED).sample(range(5, 75), 8)):
        records(folder, 5 + turn)
        weir(folder, "run", WEIR_TEST_KILL=f"{n}:{('before', 'after', 'lost')[turn % 3]}")
    records(folder, 50)
    done = weir(folder, "run")
    say(done.returncode == 0 and held(folder)[0], "tags that killed runs left are dropped by the next commit", done.stderr + held(folder)[1])
    gone(folder)


def gone(folder):
    """Somebody drops the tag and the snapshot: stop, and never rebuild unasked."""
    bronze, at = table(folder, "bronze.inventory"), reached(folder, "silver.device")["bronze.inventory"]
    records(folder, 60)
    weir(folder, "run", "-s", "bronze.inventory")
    for ref in [r for r in bronze.metadata.refs if r.startswith("weir-at-")]:
        table(folder, "bronze.inventory").manage_snapshots().remove_tag(ref).commit()
    table(folder, "bronze.inventory").maintenance.expire_snapshots().by_id(at).commit()
    before = table(folder, "silver.device").current_snapshot().snapshot_id
    done = weir(folder, "promote", "silver.device")
    say(done.returncode == 4 and "weir promote silver.device --rebuild" in done.stderr and table(folder, "silver.device").current_snapshot().snapshot_id == before,
        "what was promoted last is gone: exit 4 with the command that makes it anew", f"{done.returncode} {done.stderr}")
    made = [weir(folder, "promote", model, "--rebuild") for model in READS]
    say(all(m.returncode == 0 for m in made) and held(folder)[0], "which does", f"{[m.stderr for m in made]} {held(folder)[1]}")
    table(folder, "bronze.inventory").catalog.drop_table("bronze.inventory")
    done = weir(folder, "promote", "gold.hourly")
    say(done.returncode == 4 and "not in the catalog any more" in done.stderr, "a source that was dropped: exit 4", f"{done.returncode} {done.stderr}")
    done = weir(folder, "run", "-s", "bronze.inventory")
    say(done.returncode == 4 and "move that folder away" in done.stderr, "which is not made anew beside its files unasked", f"{done.returncode} {done.stderr}")
    shutil.move(folder / "lake/bronze/inventory", folder / "away")
    weir(folder, "run", "-s", "bronze.inventory")
    done = weir(folder, "promote", "gold.hourly")
    say(done.returncode == 4 and "another table" in done.stderr and "--rebuild" in done.stderr, "so is a source that was made again under the same name", f"{done.returncode} {done.stderr}")


def plan(folder):
    return {p["table"]: p for p in json.loads(weir(folder, "plan", "-o", "json").stdout)}


def when():
    """`promote:` by rows, age, cron and by hand."""
    last = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=2)
    folder = make("when", device=", promote: {rows: 50, age: 1h}", hourly=f", promote: {{cron: \"{last.minute} {last.hour} * * *\"}}",
                  more="lifecycle:\n  silver: {promote: {age: 0s}}\n  silver.device_view: {promote: manual}\n")
    records(folder, 0)
    done = weir(folder, "run")
    shown = plan(folder)
    say(done.returncode == 0 and not shown["silver.device"]["due"] and shown["silver.device"]["reason"] == "not due: 20 of 50 rows, 0 s of 1 h"
        and shown["silver.device"]["sources"][0]["rows_added"] == 20, "rows and age: not due, and how far", done.stderr + str(shown))
    text = weir(folder, "plan").stdout
    say("not due: 20 of 50 rows, 0 s of 1 h" in text, "weir plan shows it", text)
    for window in (1, 2):
        records(folder, window)
        done = weir(folder, "run", "-o", "json")
    ran = {t["table"]: t for t in json.loads(done.stdout)["tables"]}
    say(ran["silver.device"]["idle"] is False and ran["silver.device"]["reason"].startswith("60 of 50 rows"), "due by rows", done.stdout)
    say(ran["gold.hourly"]["idle"] is False and "was last at" in ran["gold.hourly"]["reason"], "cron: what was never promoted is due", done.stdout)
    say(ran["silver.device_view"]["idle"] is True and "manual" in ran["silver.device_view"]["reason"], "manual: a run leaves it", done.stdout)
    by_hand = weir(folder, "promote", "silver.device_view")
    say(by_hand.returncode == 0 and table(folder, "silver.device_view").scan().count() == table(folder, "silver.device").scan().count(), "weir promote does it", by_hand.stderr)
    records(folder, 3)
    weir(folder, "run")
    shown = plan(folder)
    say([shown[t]["due"] for t in READS] == [False] * 3 and "since" in shown["gold.hourly"]["reason"] and "20 of 50" in shown["silver.device"]["reason"],
        "after a promotion it is counted anew", shown)
    by_hand = weir(folder, "promote", "silver.device")
    say(by_hand.returncode == 0 and reached(folder, "silver.device")["bronze.inventory"] == table(folder, "bronze.inventory").current_snapshot().snapshot_id,
        "by hand whatever the rule says", by_hand.stderr)
    write(folder, device=", promote: {rows: 50, age: 1s}")
    records(folder, 4)
    weir(folder, "run", "-s", "bronze.inventory")
    subprocess.run(["sleep", "1.1"])
    done = weir(folder, "run", "-s", "silver.device", "-o", "json")
    ran = {t["table"]: t for t in json.loads(done.stdout)["tables"]}["silver.device"]
    say(ran["idle"] is False and ran["reason"].startswith("20 of 50 rows, 1 s of 1 s"), "due by age, and a changed rule is no changed definition", done.stdout)


def gates():
    """How fresh, and which rows: without what may be personal."""
    folder = make("gates", device=""", expect: [{freshness: {column: at, within: 2h}}, {name: low, that: "usage < 100"}, {name: few, that: "usage < 50", on_fail: warn}]""")
    (folder / "models" / "device.sql").write_text("SELECT device_id, record_id, at, usage, device_id || '!' AS who FROM bronze.inventory\n")
    records(folder, 0)
    done = weir(folder, "promote", "silver.device") if weir(folder, "run", "-s", "bronze.inventory").returncode == 0 else None
    say(done.returncode == 3 and "freshness(at)" in done.stderr and "2025-11-01T00:00:" in done.stdout, "old rows are not fresh: exit 3, and how old the newest is", done.stderr + done.stdout)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    (folder / "in" / "now.ndjson").write_text("".join(json.dumps({"record_id": f"now-{n}", "device_id": f"secret{n}", "at": now, "usage": 1}) + "\n" for n in range(7)))
    done = weir(folder, "run")
    say(done.returncode == 0, "a fresh one is enough", done.stderr)
    (folder / "in" / "bad.ndjson").write_text("".join(json.dumps({"record_id": f"wrong-{n}", "device_id": f"secret{n}", "at": now, "usage": 500 + n}) + "\n" for n in range(7)))
    done = weir(folder, "run", "-o", "json")
    told = next((t for t in json.loads(done.stdout)["tables"] if t["table"] == "silver.device"), {})
    low = {g["name"]: g for g in told.get("gates", [])}.get("low", {})
    say(done.returncode == 3 and low.get("rows") == 7 and len(low.get("sample", [])) == 5, "a sample of the rows that broke it", done.stderr + str(told))
    say(all(r["record_id"].startswith("wrong-") and r["usage"] >= 500 and r["device_id"] == "***" and r["who"] == "***" for r in low.get("sample", [{}])), "with personal values, and what is made of them, masked", low)
    done = weir(folder, "promote", "silver.device")
    say('"record_id":"wrong-' in done.stdout and "secret" not in done.stdout + done.stderr, "in words too", done.stdout + done.stderr)
    # nowhere under the lake but in the data
    runs = [p for p in (folder / "lake").rglob("*.json") if b"secret" in p.read_bytes()]
    say(not runs, "nor in what is kept of the run", runs)


def rules():
    """A table of rules that does not drive: what its changes do."""
    folder = make("rules")
    (folder / "models" / "worst.sql").write_text("SELECT i.device_id, p.most, max(i.usage) AS usage FROM bronze.inventory i JOIN bronze.policy p ON p.device_id = i.device_id GROUP BY 1, 2\n")
    text = PIPELINE[:PIPELINE.index("  silver.device:")].replace("sources:\n", "sources:\n  policy: {files: policies.csv, format: csv}\n")
    text += "  bronze.policy: {source: policy, mode: full, columns: {device_id: string, most: int}}\n"
    for how in ("touched", "all", "never"):
        text += f"  gold.{how}: {{sql: models/worst.sql, mode: recompute, group_by: [device_id], driven_by: [bronze.inventory], reprocess: {how}}}\n"
    (folder / "weir.yaml").write_text(text)

    def policies(most):
        (folder / "policies.csv").write_text("device_id,most\n" + "".join(f"d{n},{most if n < 2 else 1}\n" for n in range(15)))

    def all_of(how):
        return {r["device_id"]: r["most"] for r in table(folder, f"gold.{how}").scan().to_arrow().to_pylist()}

    policies(1)
    records(folder, 0, 60)
    first = weir(folder, "run")
    before = all_of("touched")
    policies(2)
    done = weir(folder, "run")
    say(first.returncode == 0 and done.returncode == 0 and all(all_of(how) == before for how in ("touched", "all", "never")), "a change of rules alone makes nothing due", first.stderr + done.stderr)
    (folder / "in" / "0001.ndjson").write_text(json.dumps({"record_id": "x", "device_id": "d9", "at": "2025-11-02T00:00:00Z", "usage": 99}) + "\n")
    done = weir(folder, "run", "-o", "json")
    reasons = {t["table"]: (t.get("reason", ""), t.get("rows_written")) for t in json.loads(done.stdout)["tables"]}
    wanted = {device: 2 if device in ("d0", "d1") else 1 for device in before}
    say(all_of("touched") == wanted and all_of("all") == wanted, "with the next record what it touches is computed anew, or everything", f"{all_of('touched')} {all_of('all')} {wanted}")
    say("reprocess: all" in reasons["gold.all"][0] and "moved on" in reasons["gold.touched"][0], "and the outcome says which", reasons)
    say(all_of("never") == before, "never: what is there stays", all_of("never"))
    (folder / "weir.yaml").write_text(text.replace("driven_by: [bronze.inventory]", "driven_by: [bronze.inventry]"))
    wrong = weir(folder, "validate")
    say(wrong.returncode == 2 and "does not read bronze.inventry" in wrong.stderr, "driven_by names what is read", wrong.stderr)


holds()
when()
rules()
gates()
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad != 0)
