"""Sinks over random histories of a table that others write too: appends, overwrites, deletes in place, rollbacks, expired snapshots; a receiver that
answers at its whim, runs killed at any effect. What was received, and the dead letters, are exactly the changes between the snapshots, and their
fold is the table."""
import http.server, json, os, random, shutil, subprocess, sys, tempfile, threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import engines, services
from services import create_bucket
import pyarrow as pa
from pyiceberg.table.update import AssertRefSnapshotId, RemoveSnapshotsUpdate, SetSnapshotRefUpdate

WEIR, FULL = os.environ["WEIR"], os.environ.get("WEIR_FULL") == "1"
SEED = int(os.environ.get("WEIR_SEED", "1"))
ROUNDS = int(os.environ.get("WEIR_ROUNDS", "400" if FULL else "25"))
dice, bad = random.Random(SEED), 0
folder = Path(tempfile.mkdtemp(prefix="weir-sinks."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


# ---- the receiver: answers as the dice say, and keeps what it has read

received, requests, whims = {}, [0], random.Random(SEED + 1)
lock = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, code, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        changes = body if isinstance(body, list) else [body]
        with lock:
            requests[0] += 1
            whim = whims.random()
            if any(change["key"]["id"] == 13 for change in changes):
                return self.answer(422)
            if whim < 0.04:
                return self.answer(500)
            if whim < 0.06:
                return self.answer(429, Retry_After="0")
            for change in changes:
                first = received.setdefault(change["id"], change)
                if first != change:
                    received.setdefault("DIFFERENT", (first, change))
            if whim < 0.10:  # taken, and nobody hears of it
                self.close_connection = True
                self.connection.close()
                return
        self.answer(200)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
server.handle_error = lambda *arguments: None  # runs are killed: connections end anyhow
threading.Thread(target=server.serve_forever, daemon=True).start()

# ---- the lake

(folder / "in").mkdir()
(folder / "weir.yaml").write_text(f"""version: 1
name: sinks
lake: {{warehouse: ./lake}}
sources: {{events: {{files: in/*.ndjson}}}}
tables:
  bronze.event: {{source: events, metadata: false, columns: {{id: long required, n: int, text: string, tags: "map<string, string>"}}}}
sinks:
  all: {{from: bronze.event, tries: 2, webhook: {{url: "http://127.0.0.1:{server.server_port}/all", id: [id], batch: 1}}}}
  some: {{from: bronze.event, where: "n % 3 <> 0", columns: [n], tries: 2, webhook: {{url: "http://127.0.0.1:{server.server_port}/some", id: [id]}}}}
  gone: {{from: bronze.event, changes: [delete], tries: 2, webhook: {{url: "http://127.0.0.1:{server.server_port}/gone", id: [id], batch: 20}}}}
""")
SINKS = {"all": (lambda row: True, ["id", "n", "tags", "text"], {"insert", "update", "delete"}),
         "some": (lambda row: row["n"] is not None and row["n"] % 3 != 0, ["id", "n"], {"insert", "update", "delete"}),
         "gone": (lambda row: True, ["id", "n", "tags", "text"], {"delete"})}


def weir(*arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def table():
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), "bronze.event")


def some_row(number):
    return {"id": number, "n": dice.choice([None, *range(12)]), "text": dice.choice(["a", "b|c", 'q"\\', "ü", None]),
            "tags": dice.choice([None, {}, {"k": "v"}, {"k": "w", "l": "x"}])}


def arrow(rows):
    return pa.Table.from_pylist([{**row, "tags": None if row["tags"] is None else list(row["tags"].items())} for row in rows], schema=pa.schema(
        [pa.field("id", pa.int64(), nullable=False), ("n", pa.int32()), ("text", pa.large_string()), ("tags", pa.map_(pa.string(), pa.string()))]))


states = {0: {}}  # snapshot -> its rows by id; remembered, as snapshots expire


def state(snapshot):
    if snapshot not in states:
        rows = table().scan(snapshot_id=snapshot).to_arrow().to_pylist()
        states[snapshot] = {row["id"]: {**row, "tags": None if row["tags"] is None else dict(row["tags"])} for row in rows}
    return states[snapshot]


def head():
    return table().current_snapshot().snapshot_id


def change():
    """Something another writer does. Keys stay unique."""
    it, what = table(), dice.random()
    now = state(head())
    fresh = [number for number in range(40) if number not in now]
    if what < 0.35 and fresh:
        it.append(arrow([some_row(number) for number in dice.sample(fresh, min(len(fresh), dice.randrange(1, 8)))]))
    elif what < 0.60 and now:
        chosen = dice.sample(sorted(now), dice.randrange(1, min(6, len(now)) + 1))
        it.overwrite(arrow([some_row(number) for number in chosen if dice.random() < 0.8]), overwrite_filter="id in (%s)" % ", ".join(map(str, chosen)))
    elif what < 0.75 and now:
        it.delete("id == %d" % dice.choice(sorted(now)))
    elif what < 0.85:
        target = dice.choice(it.snapshots()).snapshot_id
        if target != head():
            it._do_commit(updates=(SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=target),),
                          requirements=(AssertRefSnapshotId(ref="main", snapshot_id=head()),))
    else:
        kept = {ref.snapshot_id for ref in it.metadata.refs.values()} | {((cursor(sink) or {}).get('step') or {}).get('to') for sink in SINKS}
        old = [snapshot.snapshot_id for snapshot in it.snapshots() if snapshot.snapshot_id not in kept and snapshot.parent_snapshot_id]
        for snapshot in old:
            state(snapshot)
        gone = dice.sample(old, dice.randrange(len(old) + 1)) if old else []
        if gone:
            it._do_commit(updates=(RemoveSnapshotsUpdate(snapshot_ids=gone),), requirements=())
    state(head())


# ---- what must have been received

reached = {sink: 0 for sink in SINKS}
expected = {sink: {} for sink in SINKS}  # (snapshot, change, id) -> row
begun = {}


def cursor(sink):
    path = folder / f"lake/_weir/sinks/{sink}/cursor.json"
    return json.loads(path.read_text()) if path.exists() else None


def steps(sink, to):
    """From what the sink has reached to `to`, told from the table as it is now."""
    at, chain, known = to, [], {snapshot.snapshot_id: snapshot for snapshot in table().snapshots()}
    if reached[sink] == to:
        return []
    while at in known and at != reached[sink]:
        chain.append(at)
        at = known[at].parent_snapshot_id
    if reached[sink] == 0 or at is None:
        return [(reached[sink], to)]
    chain = chain[::-1]
    while at != reached[sink] and len(chain) > 1 and known[chain[0]].sequence_number < known[reached[sink]].sequence_number:
        chain.pop(0)  # main was set back, and the way is gone: what was told before is not told again
    return list(zip([reached[sink], *chain], chain))


def add(sink, start, end):
    holds, columns, kinds = SINKS[sink]
    pick = lambda rows: {number: {column: row[column] for column in columns} for number, row in rows.items() if holds(row)}
    before, after = pick(state(start)), pick(state(end))
    for number in before.keys() | after.keys():
        if before.get(number) == after.get(number):
            continue
        kind = "insert" if number not in before else "delete" if number not in after else "update"
        if kind in kinds:
            expected[sink][end, kind, number] = (expected[sink].get((end, kind, number), []) + [after.get(number, before.get(number))])


def texts(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def told(sink):
    letters = [json.loads(path.read_text()) for path in sorted((folder / f"lake/_weir/sinks/{sink}/dead").glob("*.json"))]
    changes = [change for change in received.values() if isinstance(change, dict) and change["sink"] == sink] + letters
    result = {}
    for one in changes:
        result.setdefault((one["snapshot"], one["change"], one["key"]["id"]), []).append(one["row"])
    return result, changes


# The first window makes the table; the sinks then see it as it is.
(folder / "in/0.ndjson").write_text("".join(json.dumps({"id": number, "n": number, "text": "x"}) + "\n" for number in range(0, 20, 2)))
first = weir("run")
say(first.returncode == 0, "first run", first.stderr[-400:])
state(head())
for sink in SINKS:
    add(sink, 0, head())
    reached[sink] = head()
kills = failures = 0
for round_number in range(ROUNDS):
    for _ in range(dice.randrange(1, 4)):
        change()
    if dice.random() < 0.4:
        kill = f"{dice.randrange(1, 25)}:{dice.choice(['before', 'after', 'lost'])}"
        run = weir("run", "-s", "all,some,gone", WEIR_TEST_KILL=kill)
        kills += run.returncode < 0
        # how far it came decides what is left; what it sent is part of the truth
        state(head())
        for sink in SINKS:
            note = cursor(sink)
            while note and reached[sink] != note["reached"]:
                start, end = steps(sink, note["reached"])[0] if not begun.get(sink) else (reached[sink], begun.pop(sink))
                add(sink, start, end)
                reached[sink] = end
            if note and note.get("step"):
                begun[sink] = note["step"]["to"]
        if dice.random() < 0.5:
            change()
    for attempt in range(20):
        run = weir("run", "-s", "all,some,gone")
        state(head())
        if run.returncode != 75:
            break
        failures += 1
    if run.returncode != 0:
        say(False, f"round {round_number}", f"exit {run.returncode}: {run.stderr[-600:]}")
        break
    for sink in SINKS:
        if begun.get(sink):
            add(sink, reached[sink], begun[sink])
            reached[sink] = begun.pop(sink)
        for start, end in steps(sink, head()):
            add(sink, start, end)
        reached[sink] = head()
        there, changes = told(sink)
        wanted = expected[sink]
        same = {key: texts(rows) for key, rows in there.items()} == {key: texts(rows) for key, rows in wanted.items()}
        if not same:
            missing = [key for key in wanted if key not in there][:5]
            more = [key for key in there if key not in wanted][:5]
            other = [(key, there[key], wanted[key]) for key in there if key in wanted and texts(there[key]) != texts(wanted[key])][:3]
            say(False, f"round {round_number}: {sink} was told the changes of each snapshot", f"missing {missing}, more {more}, other {other}")
            bad += 100
    if bad:
        break
say(bad == 0, f"{ROUNDS} rounds, seed {SEED}: every change of every snapshot once by id ({len(received)} received in {requests[0]} requests, {kills} runs killed, "
    f"{failures} gave up and went on)", "see above")
say("DIFFERENT" not in received, "an id always stands for the same change", str(received.get("DIFFERENT"))[:400])
for sink in ("all", "some"):
    holds, columns, kinds = SINKS[sink]
    fold = {}
    _, changes = told(sink)
    for one in sorted(changes, key=lambda one: one["version"]):
        if one["change"] == "delete":
            fold.pop(one["key"]["id"], None)
        else:
            fold[one["key"]["id"]] = one["row"]
    wanted = {number: {column: row[column] for column in columns} for number, row in state(head()).items() if holds(row)}
    say(fold == wanted, f"the fold of what {sink} was told is the table", f"{len(fold)} rows, {len(wanted)} wanted")
say(kills > 0 or ROUNDS < 20, "runs were killed", "none")
tags = {name.removesuffix(".2"): ref.snapshot_id for name, ref in table().metadata.refs.items() if name.startswith("weir-at-sink.")}
count = sum(name.startswith("weir-at-sink.") for name in table().metadata.refs)
say(count == len(SINKS) and tags == {f"weir-at-sink.{sink}": cursor(sink)["reached"] for sink in SINKS}, "one tag a sink holds what it has reached", f"{tags} {count}")
shown = json.loads(weir("sinks", "-o", "json").stdout)
say(all(sink["waiting"] == 0 for sink in shown) and {sink["sink"] for sink in shown} == set(SINKS), "weir sinks: nothing waits", str(shown)[:400])


# ---- on S3: the cursor is an object there; killed at effects of all kinds, every row once by id


def sweep_s3():
    place = folder / "s3"
    (place / "in").mkdir(parents=True)
    with services.Services() as running:
        gateway = running.start("versitygw")
        create_bucket(gateway, "lake")
        (place / "weir.yaml").write_text(f"""version: 1
name: sinks
lake: {{warehouse: "s3://lake/wh", region: us-east-1, s3: {{endpoint: "{gateway.address}", path_style: true}}}}
sources: {{events: {{files: "{place}/in/*.ndjson"}}}}
tables:
  bronze.event: {{source: events, columns: {{id: long required}}}}
sinks:
  far: {{from: bronze.event, webhook: {{url: "http://127.0.0.1:{server.server_port}/far", id: [id]}}}}
""")
        keys = {"AWS_ACCESS_KEY_ID": services.S3_KEY, "AWS_SECRET_ACCESS_KEY": services.S3_SECRET, "WEIR_TEST_LEASE_MS": "300"}

        def run(**environment):
            return subprocess.run([WEIR, "run", "-p", str(place / "weir.yaml")], capture_output=True, text=True, timeout=120,
                                  env={**os.environ, **keys, **environment})

        number = 100

        def arrive():
            nonlocal number
            (place / f"in/{number}.ndjson").write_text("".join(f'{{"id": {number + at}}}\n' for at in range(3)))
            number += 3

        for _ in range(2):  # the second one is as those that follow
            arrive()
            trace = place / "effects"
            trace.unlink(missing_ok=True)
            first = run(WEIR_TEST_EFFECTS=str(trace))
        say(first.returncode == 0, "s3: a run delivers", first.stderr[-400:])
        effects = len(trace.read_text().splitlines())
        points = [(at, mode) for at in range(1, effects + 1) for mode in ("before", "after", "lost")]
        if not FULL:
            points = dice.sample(points, 14)
        wrong = []
        for at, mode in points:
            arrive()
            run(WEIR_TEST_KILL=f"{at}:{mode}")
            for _ in range(10):
                again = run()
                if again.returncode != 75:
                    break
            told = sorted(change["key"]["id"] for change in received.values() if isinstance(change, dict) and change["sink"] == "far")
            if again.returncode or told != list(range(100, number)):
                wrong.append((at, mode, again.returncode, again.stderr[-200:], [one for one in range(100, number) if told.count(one) != 1][:5]))
        say(not wrong, f"s3: killed at {len(points)} of {3 * effects} points of a run: every row once by id", str(wrong[:3]))


sweep_s3()
shutil.rmtree(folder, ignore_errors=True)
sys.exit(bad > 0)
