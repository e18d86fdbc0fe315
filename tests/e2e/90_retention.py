"""Upkeep: old rows leave and the models do not notice, old snapshots leave and nobody misses them; killed anywhere, raced by ingest, on every catalog."""
import collections, datetime, http.server, json, os, random, shutil, subprocess, sys, tempfile, threading
from pathlib import Path

for folder in ("interop", "harness"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
import engines
import services

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-retention."))
TODAY = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
YOUNG, OLD = (0, 1), (4, 5, 6)  # days back; those between decide at midnight, and a test may run over it

PIPELINE = """version: 1
name: upkeep
lake: {{{lake}}}
sources: {{usage: {{files: "{folder}/in/*.ndjson"}}}}
tables:
  bronze.usage:
    source: usage
    columns: {{id: string required, site: {{type: string, class: personal}}, at: timestamptz, usage: long, cpu: "struct<model: string, cores: list<int>>"}}{partition}
  silver.events: {{sql: models/events.sql, mode: append}}
  silver.slow: {{sql: models/events.sql, mode: append, promote: manual}}
  gold.daily: {{sql: models/daily.sql, mode: recompute, group_by: [day], on_change: rebuild}}
lifecycle: {{bronze: {{{rules}}}}}
"""
MODELS = {"events": "SELECT id, usage FROM bronze.usage",
          "daily": "SELECT cast(date_trunc('day', at) AS date) AS day, count(*) AS n, sum(usage)::bigint AS usage FROM bronze.usage WHERE at IS NOT NULL GROUP BY 1"}
RETAIN = "retain: {for: 2d, by: at}"
EXPIRE = "snapshots: {at_most: 3, at_least: 2}"


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def make(name, rules, lake="warehouse: ./lake", partition=""):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    for model, sql in MODELS.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    write(folder, rules, lake, partition)
    return folder


def write(folder, rules, lake="warehouse: ./lake", partition=""):
    (folder / "weir.yaml").write_text(PIPELINE.format(lake=lake, folder=folder, rules=rules, partition=f"\n    partition_by: [{partition}]" if partition else ""))


def land(folder, window, days, each=3):
    """Rows of the given days back, and one without a time."""
    lines = [{"id": f"{window}-{day}-{n}", "site": f"s{n % 3}", "at": (TODAY - datetime.timedelta(days=day) + datetime.timedelta(hours=6 + n % 12, microseconds=n)).isoformat(), "usage": n + 1,
              "cpu": {"model": "x" * (n % 5), "cores": list(range(n % 4))}} for day in days for n in range(each)]
    lines.append({"id": f"{window}-none", "usage": 7})
    (folder / "in" / f"{window:04}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))


def query(folder, sql):
    done = weir(folder, "query", sql, "-o", "json")
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def ids(folder, name):
    return sorted(row["id"] for row in query(folder, f"SELECT id FROM {name}"))


def daily(folder):
    return {row["day"]: (row["n"], row["usage"]) for row in query(folder, "SELECT day::text AS day, n, usage FROM gold.daily")}


def late(folder, name):
    return sorted(json.loads(row["record"])["id"] for row in query(folder, f"SELECT record FROM {name}__late"))


def name_of(window, days, each=3):
    return [f"{window}-{day}-{n}" for day in days for n in range(each)]


def day(back):
    return (TODAY - datetime.timedelta(days=back)).date().isoformat()


def outcomes(done):
    """Of maintain -o json, by action, for bronze.usage."""
    return {o["action"]: o for o in json.loads(done.stdout) if o["table"] == "bronze.usage"} if done.returncode == 0 else done.stderr


def table(folder, name="bronze.usage"):
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), name)


def readers_agree(folder):
    """pyiceberg and DuckDB read what Weir reads."""
    place, wanted = engines.Place(catalog=str(folder / "lake/catalog.db")), ids(folder, "bronze.usage")
    others = {"pyiceberg": table(folder).scan().to_arrow(), "duckdb": engines.read_duckdb(place, table(folder))}
    return {name: len(rows) for name, rows in others.items() if sorted(rows.column("id").to_pylist()) != wanted}


def dropped(partition):
    """Old rows go: whole files or parts of files, and nothing else changes."""
    folder = make(f"dropped{bool(partition)}", RETAIN, partition=partition)
    write(folder, "retain: none", partition=partition)
    land(folder, 0, YOUNG + OLD)
    weir(folder, "run")
    whole, gold = ids(folder, "bronze.usage"), daily(folder)
    write(folder, RETAIN, partition=partition)
    seen = json.loads(weir(folder, "status", "-o", "json").stdout)[0]
    say(seen["upkeep"][0]["seconds_overdue"] > 86400 and seen["debt"] and seen["oldest"][:10] == day(6), "status tells what waits, and the oldest row", seen)
    dry = outcomes(weir(folder, "maintain", "--dry-run", "-o", "json"))
    say(ids(folder, "bronze.usage") == whole and dry["retain"]["files_dropped" if partition else "files_rewritten"] == (3 if partition else 1), "--dry-run drops nothing", dry)
    done = weir(folder, "maintain", "bronze.usage", "retain", "-o", "json")
    told = outcomes(done)["retain"] if done.returncode == 0 else {}
    say(told.get("rows_dropped") == 9 and told.get("files_dropped") == (3 if partition else 0) and told.get("files_rewritten") == (0 if partition else 1), f"retention by {partition or 'rows'}: counts", done.stdout + done.stderr)
    say(ids(folder, "bronze.usage") == sorted(name_of(0, YOUNG) + ["0-none"]), "young rows stay, and one without a time", ids(folder, "bronze.usage"))
    say(not readers_agree(folder), "pyiceberg and DuckDB read the same", readers_agree(folder))
    head = table(folder).current_snapshot()
    horizon = json.loads(head.summary.additional_properties["weir.horizon"])
    say(horizon["column"] == "at" and horizon["before"][:10] in (day(2), day(1)) and head.summary.operation.value == ("delete" if partition else "overwrite"), "the horizon has moved", head)
    if not partition:
        stats = table(folder).inspect.files().to_pylist()[0]["readable_metrics"]
        say(stats["at"]["lower_bound"] and not stats["site"]["lower_bound"], "a column that may name a person has no bounds in the new file either", stats["site"])
        say(query(folder, "SELECT sum(length((cpu).model)) AS a, sum(cardinality((cpu).cores)) AS b FROM bronze.usage") == [{"a": 6, "b": 6}], "nested columns are whole", query(folder, "SELECT * FROM bronze.usage LIMIT 1"))
    again = outcomes(weir(folder, "maintain", "-o", "json"))
    say(again["retain"]["idle"] and table(folder).current_snapshot().snapshot_id == head.snapshot_id, "a second time: nothing", again)
    done = weir(folder, "run")
    say(done.returncode == 0 and daily(folder) == gold and ids(folder, "silver.events") == whole, "models keep what they had", f"{done.stderr} {daily(folder)}")

    land(folder, 1, (0,) + OLD)  # days late
    done = weir(folder, "run")
    say(done.returncode == 0 and "retain:" in done.stdout and late(folder, "gold.daily") == late(folder, "silver.events") == name_of(1, OLD), "each late row is in __late, by the run that dropped it",
        f"{done.stdout} {done.stderr} {late(folder, 'gold.daily')}")
    say({d: daily(folder)[d] for d in map(day, OLD)} == {d: gold[d] for d in map(day, OLD)} and daily(folder)[day(0)] == (6, 12), "closed groups keep their value, open ones go on", daily(folder))
    say(ids(folder, "bronze.usage") == sorted(name_of(0, YOUNG) + name_of(1, (0,)) + ["0-none", "1-none"]), "late rows have been dropped again", ids(folder, "bronze.usage"))
    (folder / "models/daily.sql").write_text(MODELS["daily"].replace("sum(usage)", "(sum(usage) * 10)") + "\n")
    was = daily(folder)
    done = weir(folder, "run")
    now = daily(folder)
    say(done.returncode == 0 and all(now[d] == was[d] for d in map(day, OLD)) and now[day(0)] == (6, 120), "a rule that changed: closed gold rows unchanged", f"{done.stderr} {now}")

    land(folder, 2, (1,) + OLD[:1])
    weir(folder, "run", "-s", "bronze.usage", "--for", "4m")  # without the models: nobody has read the late rows yet
    kept = [i for i in ids(folder, "bronze.usage") if i.startswith("2-4")]
    told = outcomes(weir(folder, "maintain", "bronze.usage", "-o", "json"))["retain"]
    say(len(kept) == 3 and told["files_waiting"] == 1 and told["idle"], "what a model has not read yet waits for it", f"{kept} {told}")
    done = weir(folder, "run")
    say(done.returncode == 0 and not [i for i in ids(folder, "bronze.usage") if i.startswith("2-4")] and late(folder, "gold.daily") == name_of(1, OLD) + name_of(2, (4,)), "and goes when it has", f"{done.stdout} {done.stderr}")
    done = weir(folder, "verify", "--deep")
    say(done.returncode == 0, "weir verify --deep", done.stdout + done.stderr)


def expired():
    """Old snapshots go, but for what somebody needs."""
    folder = make("expired", EXPIRE)
    write(folder, "snapshots: none")
    for window in range(9):
        land(folder, window, YOUNG)
        weir(folder, "run")
        if window == 1:
            weir(folder, "promote", "silver.slow")
            at = [s.snapshot_id for s in table(folder).metadata.snapshots]
            table(folder).manage_snapshots().create_tag(at[1], "audit").commit()
            table(folder).manage_snapshots().create_branch(at[2], "theirs").commit()
            table(folder).manage_snapshots().create_tag(at[1], "fleeting", max_ref_age_ms=1).commit()
    every = {s.snapshot_id: s for s in table(folder).metadata.snapshots}
    tagged = table(folder).scan(snapshot_id=at[1]).to_arrow().num_rows
    write(folder, EXPIRE)
    dry = outcomes(weir(folder, "maintain", "expire", "--dry-run", "-o", "json"))["expire"]
    say(len(table(folder).metadata.snapshots) == len(every) and dry["snapshots_removed"] > 3, "--dry-run expires nothing", dry)
    done = weir(folder, "run", "-o", "json")
    told = [o for o in json.loads(done.stdout)["upkeep"]] if done.returncode == 0 else done.stderr
    now = table(folder).metadata
    kept = {s.snapshot_id for s in now.snapshots}
    say(told and told[0]["snapshots_removed"] == dry["snapshots_removed"] and told[0]["kept_by"].startswith(("weir-at-silver.slow", "audit", "theirs")), "a run expires what is due, and tells what keeps the oldest", told)
    say({at[1], at[2], now.current_snapshot_id} <= kept and len(kept) < len(every) and {r.snapshot_id for r in now.refs.values()} <= kept, "every ref keeps its snapshot", kept)
    say("fleeting" not in now.refs and "audit" in now.refs, "a tag past its own age is dropped", list(now.refs))
    say(table(folder).scan(snapshot_id=at[1]).to_arrow().num_rows == tagged and not readers_agree(folder), "pyiceberg reads the tag, DuckDB the head")
    again = outcomes(weir(folder, "maintain", "expire", "-o", "json"))["expire"]
    say(again["idle"], "a second time: nothing", again)
    land(folder, 9, YOUNG)
    done = weir(folder, "run")
    slow = weir(folder, "promote", "silver.slow")
    say(done.returncode == slow.returncode == 0 and ids(folder, "silver.slow") == ids(folder, "silver.events") == ids(folder, "bronze.usage"), "models that read by steps go on, a slow one too", done.stderr + slow.stderr)
    for _ in range(3):
        weir(folder, "run")
    left = len(table(folder).metadata.snapshots)
    say(left <= 3 + 2 + 2 and not [r for r in table(folder).metadata.refs if r.startswith("weir-at-") and table(folder).metadata.refs[r].snapshot_id not in {s.snapshot_id for s in table(folder).metadata.snapshots}],
        "once it has caught up, what it held goes too", left)
    land(folder, 10, YOUNG)
    weir(folder, "run")
    older = table(folder).metadata.current_snapshot_id
    land(folder, 11, YOUNG)
    weir(folder, "run")
    tagged = weir(folder, "tag", "bronze.usage", "close", "--at", str(older), "--reason", "the month's end")
    for _ in range(4):
        weir(folder, "tag", "bronze.usage", f"more{_}")
    weir(folder, "maintain", "bronze.usage", "expire")
    refs = table(folder).metadata.refs
    was = query(folder, "SELECT count(*) AS n FROM bronze.usage FOR VERSION AS OF 'close'")
    say(tagged.returncode == 0 and refs["close"].snapshot_id == older and was == [{"n": 11 * 7}], "weir tag keeps a state, and finds it again", f"{tagged.stderr} {was}")
    wrong = [weir(folder, "tag", "bronze.usage", *words).returncode for words in (["close"], ["main"], ["weir-x"], ["x", "--at", "1"], ["none", "--drop", "--yes"])]
    gone = weir(folder, "tag", "bronze.usage", "close", "--drop", "--yes")
    weir(folder, "maintain", "bronze.usage", "expire")
    say(wrong == [2] * 5 and gone.returncode == 0 and older not in {s.snapshot_id for s in table(folder).metadata.snapshots}, "a tag that is dropped keeps nothing", f"{wrong} {gone.stderr}")
    files = len(list((folder / "lake").rglob("*.parquet")))
    say(files >= 10, "no file was deleted", files)
    done = weir(folder, "verify", "--deep")
    say(done.returncode == 0, "weir verify --deep: from where on it is proven", done.stdout + done.stderr)


class Receiver(http.server.BaseHTTPRequestHandler):
    """What webhooks were told: changes by sink."""

    told = collections.defaultdict(list)

    def do_POST(self):
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.told[change["sink"]].append((change["change"], change["key"]["id"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def sinks(expires):
    """What retention drops is news only to a sink that asks for it, also where the commit itself is gone."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = make(f"sinks{expires}", "retain: none")
    Receiver.told.clear()
    hook = f'webhook: {{url: "http://127.0.0.1:{server.server_port}/", id: [id]}}'

    def rules(text):
        write(folder, text)
        with open(folder / "weir.yaml", "a") as file:
            file.write(f"sinks:\n  quiet: {{from: bronze.usage, {hook}}}\n  strict: {{from: bronze.usage, on_retention: delete, {hook}}}\n")

    rules("retain: none")
    land(folder, 0, YOUNG + OLD)
    weir(folder, "run")
    came = {name: sorted(changes) for name, changes in Receiver.told.items()}
    rules(RETAIN)
    weir(folder, "maintain", "bronze.usage", "retain")
    dropping = table(folder).current_snapshot().snapshot_id
    land(folder, 1, (0,))
    write(folder, RETAIN)
    weir(folder, "run")  # nobody is told yet
    rules(RETAIN)
    if expires:
        table(folder).maintenance.expire_snapshots().by_id(dropping).commit()
    Receiver.told.clear()
    done = weir(folder, "run")
    new = [("insert", i) for i in sorted(name_of(1, (0,)) + ["1-none"])]
    quiet, strict = sorted(Receiver.told["quiet"]), sorted(Receiver.told["strict"])
    say(done.returncode == 0 and len(came.get("quiet", [])) == 16 == len(came.get("strict", [])) and quiet == new, f"a sink is not told of retention{', its commit expired' if expires else ''}", f"{done.stderr} {came} {quiet}")
    say(strict == sorted(new + [("delete", i) for i in name_of(0, OLD)]), "on_retention: delete: unless it asks for it", strict)
    server.shutdown()


def aside():
    """Refused and late rows leave by their age; validate adds up what keeps rows."""
    folder = make("aside", "retain: none")
    land(folder, 0, YOUNG + OLD)
    (folder / "in/0000b.ndjson").write_text('{"id": 5}\n')
    weir(folder, "run")
    write(folder, f"{RETAIN}, quarantine: 1h")
    weir(folder, "run")
    land(folder, 1, OLD)
    (folder / "in/0001b.ndjson").write_text('{"id": 6}\n{"id": 7}\n')
    weir(folder, "run")
    first = min((folder / "lake/_weir/letters").rglob("*.parquet"), key=lambda f: f.stat().st_mtime_ns)
    say(weir(folder, "quarantine", "list").stdout.split()[4:5] == ["3"], "three refused rows", weir(folder, "quarantine", "list").stdout)
    for path in [first, *(folder / "lake/_weir/late").rglob("*.parquet")]:
        os.utime(path, (path.stat().st_mtime - 7200,) * 2)
    told = outcomes(weir(folder, "maintain", "retain", "-o", "json"))
    raw = query(folder, "SELECT count(*) AS n FROM bronze.usage__quarantine")
    say(told["retain"]["refused_dropped"] == 1 and raw == [{"n": 2}] and weir(folder, "quarantine", "list").stdout.split()[4:5] == ["2"], "a file of refused rows that is too old leaves", f"{told} {raw}")
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text.replace("lifecycle: {", "lifecycle: {silver: {quarantine: 1h}, "))
    before = late(folder, "silver.events")
    done = weir(folder, "maintain", "silver.events", "retain")
    say(before == name_of(1, OLD) and late(folder, "silver.events") == [] and late(folder, "gold.daily") == before, "late rows of a model by its own rule", f"{done.stdout} {before} {late(folder, 'silver.events')}")
    done = weir(folder, "verify", "--deep")
    say(done.returncode == 0 and weir(folder, "run").returncode == 0, "weir verify --deep", done.stdout + done.stderr)

    text = PIPELINE.format(lake="warehouse: ./lake, classification: [GDPR]", folder=folder, rules="retain: {for: 30d, by: at}, snapshots: {retain: 7d, at_most: 500}", partition="")
    answers = {}
    for ages in ("bronze: 45d, quarantine: 14d", "bronze: 40d", "quarantine: 9d", "gold: 1d"):
        (folder / "weir.yaml").write_text(text + f"policies: {{GDPR: {{max_age: {{{ages}}}}}}}\n")
        answers[ages] = weir(folder, "validate")
    (folder / "weir.yaml").write_text(text + "policies: {GDPR: {max_age: {bronze: 45d}}}\n")
    row = json.loads(weir(folder, "status", "-o", "json").stdout)[0]
    say(row["max_age_s"] == 45 * 86400 and 0 < row["oldest_age_s"] < row["max_age_s"], "status shows the oldest row against it", row)
    say([a.returncode for a in answers.values()] == [0, 2, 2, 0], "validate adds up: what fits is good, tables without a class are nobody's concern", [(a.returncode, a.stderr) for a in answers.values()])
    say("rows of bronze.usage can be reached for 41d: retain 30d + step 1d + snapshots 7d + sweeper 3d; policy GDPR allows bronze to be 40d old" in answers["bronze: 40d"].stderr and "weir.yaml:12:" in answers["bronze: 40d"].stderr,
        "the sum and its parts, with line and column", answers["bronze: 40d"].stderr)


def held():
    """Under a hold nothing goes, by rule or by hand."""
    folder = make("held", "retain: none")
    land(folder, 0, YOUNG + OLD)
    weir(folder, "run")
    whole = ids(folder, "bronze.usage")
    write(folder, f"{RETAIN}, {EXPIRE}")
    wrong = [weir(folder, "hold", *words).returncode for words in (["set", "bronze.usage", "--case", "c"], ["set", "bronze.x", "--case", "c", "--reason", "r"], ["release", "bronze.usage", "--case", "c", "--reason", "r", "--yes"])]
    done = weir(folder, "hold", "set", "bronze.usage", "--case", "c-1", "--reason", "a court asks")
    run = weir(folder, "run", "-o", "json")
    hand = weir(folder, "maintain", "bronze.usage", "retain")
    say(wrong == [2, 2, 2] and done.returncode == run.returncode == 0 and hand.returncode == 4 and "c-1" in hand.stderr and ids(folder, "bronze.usage") == whole and run.stdout.count("held for case c-1") == 3,
        "under a hold nothing goes: a run says so, by hand exit 4", f"{wrong} {hand.returncode} {hand.stderr} {run.stdout}")
    weir(folder, "hold", "release", "bronze.usage", "--case", "c-1", "--reason", "over", "--yes")
    weir(folder, "hold", "set", "bronze.usage", "--case", "c-2", "--reason", "long ago", "--until", "2020-01-01T00:00:00Z")
    states = [(row["case"], row["state"]) for row in json.loads(weir(folder, "hold", "list", "-o", "json").stdout)]
    run = weir(folder, "run")
    say(run.returncode == 0 and ids(folder, "bronze.usage") == sorted(name_of(0, YOUNG) + ["0-none"]) and states == [("c-1", "released"), ("c-2", "over")], "released, or over: the rules hold again", f"{states} {run.stdout}")


def backdate(folder, days=4):
    """The sweeper's notes are so much older."""
    for note in (folder / "lake/_weir/sweeps").glob("*.json"):
        told = json.loads(note.read_text())
        told["time"] -= days * 86400000
        note.write_text(json.dumps(told))


def swept():
    """Files that nothing reaches go, a grace later, and no others."""
    folder, saved = make("swept", f"{RETAIN}, {EXPIRE}, quarantine: 1h"), top / "swept.saved"
    write(folder, "retain: none")
    for window in range(3):
        land(folder, window, YOUNG + OLD)
        (folder / f"in/{window:04}b.ndjson").write_text('{"id": 5}\n')
        weir(folder, "run")
    weir(folder, "tag", "bronze.usage", "kept")
    kept = query(folder, "SELECT count(*) AS n FROM bronze.usage FOR VERSION AS OF 'kept'")
    write(folder, f"{RETAIN}, {EXPIRE}, quarantine: 1h, sweep: {{grace: 2d}}")
    for path in (folder / "lake/_weir/letters").rglob("*.parquet"):
        os.utime(path, (path.stat().st_mtime - 7200,) * 2)
    for window in range(3, 6):
        land(folder, window, YOUNG + OLD)
        weir(folder, "run")
    weir(folder, "run")
    foreign = [folder / "lake/bronze/usage" / name for name in ("data/part-0.parquet", "data/0000000000000000001-x.parquet", "metadata/other.avro", "metadata/v1.stats")]
    for path in foreign:
        path.write_text("x")
    note = next((folder / "lake/_weir/sweeps").glob("*.json"))
    say(json.loads(note.read_text())["objects"] is not None and weir(folder, "maintain", "bronze.usage", "sweep", "-o", "json").stdout.count('"objects_deleted":0'), "what is noted waits for the grace")
    backdate(folder)  # what the first pass saw is little; the next note has it all
    last = outcomes(weir(folder, "maintain", "bronze.usage", "sweep", "-o", "json"))["sweep"]
    backdate(folder)
    shutil.copytree(folder / "lake", saved)
    dry = outcomes(weir(folder, "maintain", "bronze.usage", "sweep", "--dry-run", "-o", "json"))["sweep"]
    before = {p for p in (folder / "lake").rglob("*") if p.is_file()}
    told = outcomes(weir(folder, "maintain", "bronze.usage", "sweep", "-o", "json"))["sweep"]
    gone = {str(p.relative_to(folder / "lake")) for p in before - set((folder / "lake").rglob("*"))}
    say(told["objects_deleted"] == len(gone) and gone <= set(dry["objects"]) and told["objects_foreign"] == 4 and all(p.exists() for p in foreign), "--dry-run names what goes; foreign files stay", f"{last} {dry} {told}")
    current = table(folder)
    reached = {Path(f["file_path"]) for s in current.metadata.snapshots for f in current.inspect.files(snapshot_id=s.snapshot_id).to_pylist()}
    there = set((folder / "lake/bronze/usage/data").glob("*.parquet")) - set(foreign)
    later = set(json.loads(note.read_text())["objects"])
    say(reached <= there and all(str(p.relative_to(folder / "lake")) in later for p in there - reached), "what pyiceberg reaches is there; the rest is noted", f"{len(reached)} {len(there)} {there - reached}")
    letters = len(list((folder / "lake/_weir/letters").rglob("*.parquet")))
    say(letters <= 3 and query(folder, "SELECT count(*) AS n FROM bronze.usage FOR VERSION AS OF 'kept'") == kept == [{"n": 48}], "a tag's files are kept", f"{letters} {kept}")
    done = weir(folder, "verify", "--deep")
    run = weir(folder, "run")
    say(done.returncode == run.returncode == 0 and not readers_agree(folder), "weir verify --deep, readers, and the next run", done.stdout + done.stderr + run.stderr)

    at, died, failures = random.Random(SEED).randrange(1, 5), 0, []
    wanted = ids(folder, "bronze.usage")
    while not failures:
        restore(folder, saved)
        how = ("before", "after", "lost")[at % 3]
        done = weir(folder, "maintain", "bronze.usage", "sweep", WEIR_TEST_KILL=f"{at}:{how}")
        if done.returncode == 0 and how != "lost":
            break
        died += 1
        again = weir(folder, "maintain", "bronze.usage", "sweep")
        check = weir(folder, "verify", "--deep")
        if again.returncode or check.returncode or ids(folder, "bronze.usage") != wanted or query(folder, "SELECT count(*) AS n FROM bronze.usage FOR VERSION AS OF 'kept'") != kept:
            failures.append(f"{at}:{how} {again.returncode} {again.stderr} {check.stdout}")
        at += 1 if FULL else 4
    say(not failures and died, f"killed at {died} of the {at} effects of a sweep: nothing that is reached is gone", failures)


def restore(folder, saved):
    shutil.rmtree(folder / "lake", ignore_errors=True)
    shutil.copytree(saved, folder / "lake")


def killed():
    folder, saved = make("killed", f"{RETAIN}, {EXPIRE}"), top / "killed.saved"
    write(folder, "retain: none")
    land(folder, 0, YOUNG + OLD)
    weir(folder, "run")
    gold = daily(folder)
    write(folder, f"{RETAIN}, {EXPIRE}")
    land(folder, 1, YOUNG + OLD)
    shutil.copytree(folder / "lake", saved)
    at, died, failures = random.Random(SEED).randrange(1, 25), 0, []
    wanted = sorted(name_of(0, YOUNG) + name_of(1, YOUNG) + ["0-none", "1-none"])
    while not failures:
        restore(folder, saved)
        how = ("before", "after", "lost")[at % 3]
        done = weir(folder, "run", WEIR_TEST_KILL=f"{at}:{how}")
        if done.returncode == 0 and how != "lost":
            break
        died += 1
        for _ in range(3):
            again = weir(folder, "run")
            if again.returncode == 0:
                break
        weir(folder, "run")
        # nothing had been dropped when the second window came: its old rows are the models' as any others
        found = daily(folder)
        if again.returncode or ids(folder, "bronze.usage") != wanted or any(found[d] != (6, 2 * gold[d][1]) for d in map(day, YOUNG + OLD)):
            failures.append(f"{at}:{how} {again.returncode} {again.stderr} {ids(folder, 'bronze.usage')} {found}")
        at += 1 if FULL else 23
    done = weir(folder, "verify", "--deep")
    say(not failures and died > 2 and done.returncode == 0, f"killed at {died} of the {at} effects of a run: old rows gone, models whole", f"{died} {failures} {done.stdout}")


def raced():
    """Windows land while retention writes a file anew, again and again."""
    folder = make("raced", "retain: none")
    land(folder, 0, YOUNG + OLD, each=3000)
    weir(folder, "run", "-s", "bronze.usage")
    write(folder, RETAIN)
    codes, stop = [], threading.Event()

    def ingest():
        (top / "raced2").mkdir()
        for window in range(1, 9):
            land(folder, window, YOUNG)
            codes.append(weir(folder, "run", "-s", "bronze.usage").returncode)
        stop.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    while not stop.is_set():
        codes.append(weir(folder, "maintain", "bronze.usage", "retain").returncode)
    thread.join()
    weir(folder, "maintain", "bronze.usage", "retain")
    wanted = sorted(name_of(0, YOUNG, 3000) + [i for w in range(1, 9) for i in name_of(w, YOUNG)] + [f"{w}-none" for w in range(9)])
    found = ids(folder, "bronze.usage")
    say(set(codes) <= {0} and found == wanted, f"ingest and retention at once, {len(codes)} runs: each young row once", f"{codes} {len(found)} {len(wanted)}")


def sweep_s3(gateway):
    def sweeps(folder):
        """The note made older, in the bucket; what is deleted, and what was left of it."""
        from pyarrow import fs

        scheme, _, host = gateway.address.partition("://")
        files = fs.S3FileSystem(access_key=services.S3_KEY, secret_key=services.S3_SECRET, region="us-east-1", endpoint_override=host, scheme=scheme)
        listing = lambda path: [i.path for i in files.get_file_info(fs.FileSelector(path, recursive=True)) if i.type == fs.FileType.File]
        usage = query(folder, "SELECT file_path FROM bronze.usage.files LIMIT 1")[0]["file_path"]
        deleted = 0
        for _ in range(2):
            for note in listing("lake/wh/_weir/sweeps"):
                told = json.loads(files.open_input_stream(note).read())
                told["time"] -= 4 * 86400000
                with files.open_output_stream(note) as stream:
                    stream.write(json.dumps(told).encode())
            deleted += outcomes(weir(folder, "maintain", "bronze.usage", "sweep", "-o", "json"))["sweep"]["objects_deleted"]
        folder_there = usage.removeprefix("s3://").split("/data/")[0]
        objects = [o for o in listing("lake/wh/_weir/sweeps")]
        noted = {n for o in objects for n in json.loads(files.open_input_stream(o).read())["objects"] if n.startswith("bronze/usage/")}
        return deleted, [p for p in listing(folder_there + "/data") if p.removeprefix("lake/wh/") in noted]

    return sweeps


def elsewhere(name, lake, sweeps=None, **environment):
    """The same on another catalog."""
    global weir
    folder, plain = make(name, f"{RETAIN}, {EXPIRE}", lake), weir
    weir = lambda folder, *arguments, **more: plain(folder, *arguments, **environment, **more)
    write(folder, "retain: none", lake)
    try:
        for window in range(4):
            land(folder, window, YOUNG + OLD)
            last = weir(folder, "run")
        gold = daily(folder)
        write(folder, f"{RETAIN}, {EXPIRE}", lake)
        done = weir(folder, "run")
        wanted = sorted(i for w in range(4) for i in name_of(w, YOUNG) + [f"{w}-none"])
        again = weir(folder, "maintain", "-o", "json")
        snapshots = query(folder, "SELECT count(*) AS n FROM bronze.usage.snapshots")
        say(last.returncode == done.returncode == 0 and "retain:" in done.stdout and "expire:" in done.stdout, f"{name}: a run drops and expires", f"{last.stderr} {done.stdout} {done.stderr}")
        say(ids(folder, "bronze.usage") == wanted and daily(folder) == gold and snapshots[0]["n"] <= 4, f"{name}: old rows and snapshots gone, models whole", f"{snapshots} {daily(folder)}")
        say(again.returncode == 0 and all(o["idle"] for o in json.loads(again.stdout)), f"{name}: a second time: nothing", again.stdout + again.stderr)
        if sweeps:
            swept_there = sweeps(folder)
            say(swept_there[0] and not swept_there[1], f"{name}: the sweeper deletes what it noted", swept_there)
        done = weir(folder, "verify", "--deep")
        say(done.returncode == 0, f"{name}: weir verify --deep", done.stdout + done.stderr)
    finally:
        weir = plain


try:
    dropped("")
    dropped("days(at)")
    expired()
    aside()
    held()
    swept()
    sinks(False)
    sinks(True)
    killed()
    raced()
    with services.Services() as running:
        gateway = running.start("versitygw")
        services.create_bucket(gateway, "lake")
        keys = {"AWS_ACCESS_KEY_ID": services.S3_KEY, "AWS_SECRET_ACCESS_KEY": services.S3_SECRET, "WEIR_TEST_LEASE_MS": "50"}
        elsewhere("s3", f'warehouse: "s3://lake/wh", region: us-east-1, s3: {{endpoint: "{gateway.address}", path_style: true}}', sweep_s3(gateway), **{k: v for k, v in keys.items() if k != "WEIR_TEST_LEASE_MS"})
        rest = running.start("iceberg-rest", settings={"warehouse": str(top / "rest/lake")})
        elsewhere("rest", f'warehouse: ./lake, catalog: {{rest: {{uri: "{rest.address}"}}}}')
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
