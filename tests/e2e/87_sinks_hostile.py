"""Sinks against what tries to lose a change: commits that sent nothing before a run that dies, a column that goes in the middle of a delivery, Ctrl-C, all
types of columns and keys, many changes with little memory, --dry-run."""
import datetime, decimal, http.server, json, os, random, shutil, signal, subprocess, sys, tempfile, threading, time, uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import engines
import pyarrow as pa
from pyiceberg.io.pyarrow import _dataframe_to_data_files

WEIR, SEED, FULL = os.environ["WEIR"], int(os.environ.get("WEIR_SEED", "1")), os.environ.get("WEIR_FULL") == "1"
dice, bad = random.Random(SEED), 0
top = Path(tempfile.mkdtemp(prefix="weir-hostile."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told, unsound, slow, lock = {}, [], 0, threading.Lock()
    then = None  # done once, before the next answer
    left, poison = None, None  # how many it still takes before it asks to wait; the id on which it fails

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(Receiver.slow)
        with self.lock:
            then, Receiver.then = Receiver.then, None
        if then:
            then()
        try:
            body = json.loads(raw, parse_constant=lambda word: Receiver.unsound.append(word))
        except ValueError as error:
            Receiver.unsound.append((str(error), raw[:300]))
            body = []
        code = 200
        with self.lock:
            for change in body if isinstance(body, list) else [body]:
                if Receiver.left is not None and change["sink"] == "limited":
                    Receiver.left -= 1
                    code = 429 if Receiver.left < 0 else 200
                if change["sink"] == "fails" and change["key"]["id"] == Receiver.poison:
                    code = 500
                if code == 200:
                    Receiver.told.setdefault(change["sink"], []).append(change)
        self.send_response(code)
        if code == 429:
            self.send_header("retry-after", "60")
        self.send_header("content-length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
server.handle_error = lambda *arguments: None
threading.Thread(target=server.serve_forever, daemon=True).start()


class Lake:
    def __init__(self, name, columns, sinks, more=""):
        self.folder = top / name
        (self.folder / "in").mkdir(parents=True)
        lines = "".join(f"  {sink}: {{from: bronze.event, {what.replace('URL', f'http://127.0.0.1:{server.server_port}/')}}}\n" for sink, what in sinks.items())
        (self.folder / "weir.yaml").write_text(f"""version: 1
name: hostile
lake: {{warehouse: ./lake}}
{more}sources: {{events: {{files: in/*.ndjson}}}}
tables:
  bronze.event: {{source: events, metadata: false, columns: {{{columns}}}}}
sinks:
{lines}""")
        text = (self.folder / "weir.yaml").read_text()
        (self.folder / "table.yaml").write_text(text[:text.index("sinks:")])
        self.sinks = ",".join(sinks)

    def start(self, *words, **environment):
        return subprocess.Popen([WEIR, *words, "-p", str(self.folder / "weir.yaml")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})

    def weir(self, *words, **environment):
        process = self.start(*words, **environment)
        process.out, process.err = process.communicate(timeout=180)
        return process

    def deliver(self, **environment):
        for _ in range(20):
            run = self.weir("run", "-s", self.sinks, **environment)
            if run.returncode != 75:
                return run

    def take(self, rows):
        number = len(list((self.folder / "in").iterdir()))
        (self.folder / f"in/{number:04}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return subprocess.run([WEIR, "run", "-p", str(self.folder / "table.yaml")], capture_output=True, env={**os.environ, "WEIR_TEST_LEASE_MS": "50"}, check=True)

    def replace(self, rows):
        """All rows by others, in one commit: pyiceberg's overwrite makes two."""
        table = self.table()
        with table.transaction() as transaction, transaction.update_snapshot().overwrite() as snapshot:
            for task in table.scan().plan_files():
                snapshot.delete_data_file(task.file)
            for file in _dataframe_to_data_files(table_metadata=transaction.table_metadata, df=rows, io=table.io):
                snapshot.append_data_file(file)

    def table(self):
        return engines.load_table(engines.Place(catalog=str(self.folder / "lake/catalog.db")), "bronze.event")


def passed_over():
    """A commit that sends nothing (a row goes, and only inserts are told), then one that sends: a run that dies in the second tells the row that came back."""
    lake = Lake("passed", "id: long required, n: int", {"came": "changes: [insert], webhook: {url: \"URLcame\", id: [id], batch: 4}"})
    lake.take([{"id": number, "n": 1} for number in range(30)])
    lake.deliver()
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("n", pa.int32())])

    def there_and_back(number):
        lake.table().delete(f"id == {number}")
        lake.table().append(pa.Table.from_pylist([{"id": number, "n": 1}, {"id": 1000 + number, "n": 1}], schema=schema))

    there_and_back(0)
    trace = lake.folder / "effects"
    run = lake.deliver(WEIR_TEST_EFFECTS=str(trace))
    effects = [line.split()[1:] for line in trace.read_text().splitlines()]
    sends = [at for at, effect in enumerate(effects, 1) if effect[0] == "sink"]
    points = [(at, mode) for at in range(sends[0] - 2, sends[-1] + 2) for mode in ("before", "after")]
    points = points if FULL else [(sends[0], "before"), *dice.sample(points, 4)]
    wrong = []
    for number, (at, mode) in enumerate(points, 1):
        there_and_back(number)
        lake.deliver(WEIR_TEST_KILL=f"{at}:{mode}")
        run = lake.deliver()
        told = {change["id"]: change["key"]["id"] for change in Receiver.told["came"]}
        if run.returncode or list(told.values()).count(number) != 2 or list(told.values()).count(1000 + number) != 1:
            wrong.append((at, mode, run.returncode, run.err[-200:], list(told.values()).count(number)))
    say(not wrong, f"a row that went, untold, and came back is told, also by a run that died at one of {len(points)} points", wrong[:3])


def stopped():
    """Ctrl-C in the middle of a delivery ends it soon and loses nothing; nor does a column that is dropped before it goes on."""
    lake = Lake("stopped", "id: long required, n: int, extra: int", {"all": "webhook: {url: \"URLall\", id: [id]}"})
    count = 700
    lake.take([{"id": number, "n": 1, "extra": 1} for number in range(count)])
    dry = lake.weir("run", "--dry-run", "-s", "all")
    say(dry.returncode == 0 and "all" not in Receiver.told and not (lake.folder / "lake/_weir/sinks").exists(), "--dry-run sends nothing and keeps nothing", dry.out + dry.err)
    lake.deliver()
    say(len(Receiver.told["all"]) == count, "all are told at first", len(Receiver.told["all"]))
    kept = Receiver.told["all"]
    rows = [{"id": number, "n": 2 if number % 2 else 1, "extra": 1 if number % 2 else 2} for number in range(count)]
    lake.replace(pa.Table.from_pylist(rows, schema=pa.schema([pa.field("id", pa.int64(), nullable=False), ("n", pa.int32()), ("extra", pa.int32())])))
    Receiver.slow, before = 0.01, len(kept)
    run = lake.start("run", "-s", "all")
    end = time.monotonic() + 30
    while len(kept) < before + 400 and time.monotonic() < end and run.poll() is None:
        time.sleep(0.02)
    Receiver.slow, stopped_at = 1, time.monotonic()
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    took, Receiver.slow = time.monotonic() - stopped_at, 0
    note = json.loads((lake.folder / "lake/_weir/sinks/all/cursor.json").read_text())
    say(run.returncode == 130 and took < 8 and note.get("step", {}).get("done", 0) > 0, "Ctrl-C ends a delivery soon, and what was told is noted", f"{run.returncode} {took:.1f} s {note}")
    with lake.table().update_schema() as update:
        update.delete_column("extra")
    run = lake.deliver()
    held = {change["key"]["id"]: change["row"]["n"] for change in kept}
    say(run.returncode == 0 and held == {row["id"]: row["n"] for row in rows}, "a column that was dropped meanwhile: every change arrives", f"{run.returncode} {run.err} {sum(held[row['id']] != row['n'] for row in rows)} wrong")


def every_type():
    """Columns and keys of all types, NULL among the keys: each body is JSON, each row has its own key, and what goes is told under the key that came."""
    types = {"b": "boolean", "i": "int", "l": "long", "f": "float", "d": "double", "m": '"decimal(38,6)"', "day": "date", "t": "time", "ts": "timestamp", "tz": "timestamptz",
             "s": "string", "u": "uuid", "x": '"fixed(4)"', "y": "binary"}
    nested = {"list": '"list<struct<a: int, b: list<double>>>"', "map": '"map<string, struct<c: decimal(9,2)>>"', "deep": '"struct<e: struct<f: timestamptz, g: binary>>"'}
    lake = Lake("types", ", ".join(f"{name}: {text}" for name, text in {**types, **nested}.items()),
                {f"by_{name}": f"webhook: {{url: \"URL{name}\", id: [{name}], batch: 10}}" for name in types} | {"by_all": f"webhook: {{url: \"URLall\", id: [{', '.join(types)}], batch: 10}}"})
    lake.take([])
    zone = datetime.timezone.utc
    value = lambda k: {"b": k == 1, "i": [-2**31, 7, 2**31 - 1][k], "l": [-2**63, 7, 2**63 - 1][k], "f": [float("nan"), -0.0, float("inf")][k], "d": [float("nan"), 5e-324, float("-inf")][k],
                       "m": [decimal.Decimal("9" * 32 + ".999999"), decimal.Decimal("-0.000001"), decimal.Decimal(0)][k], "day": [datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)][k],
                       "t": [datetime.time(0), datetime.time(23, 59, 59, 999999), datetime.time(12)][k], "ts": [datetime.datetime(1, 1, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 1), datetime.datetime(9999, 12, 31)][k],
                       "tz": [datetime.datetime(1, 1, 1, tzinfo=zone), datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=zone), datetime.datetime(9999, 12, 31, tzinfo=zone)][k],
                       "s": ["", "a|b\\N\"\u2028\x00\x1f", "\U0001f600"][k], "u": uuid.UUID(int=[0, 1, 2**128 - 1][k]).bytes, "x": [b"\0\0\0\0", b"\xff\xfe\"\\", b"abcd"][k], "y": [b"", b"\0\xff", b"|"][k],
                       "list": [[], [{"a": None, "b": [float("nan"), None]}], None][k], "map": [[], [("k\"", {"c": decimal.Decimal("1.25")})], None][k],
                       "deep": [None, {"e": {"f": datetime.datetime(2026, 1, 1, tzinfo=zone), "g": b"\xff"}}, {"e": None}][k]}
    table = lake.table()
    schema = table.schema().as_arrow()
    rows = [value(0), value(1), value(2), dict.fromkeys({**types, **nested})]
    if not len(schema):
        return say(False, "a table of all types", schema)
    table.append(pa.Table.from_pylist(rows, schema=schema))
    run = lake.deliver()
    say(run.returncode == 0 and not Receiver.unsound, "all types: every body is JSON", f"{run.returncode} {run.err} {Receiver.unsound[:3]}")
    texts = lambda sink: [json.dumps(change["key"], sort_keys=True) for change in Receiver.told[sink] if change["change"] == "insert"]
    wrong = {sink: texts(sink) for sink in lake.sinks.split(",") if len(set(texts(sink))) != {"by_b": 3, "by_f": 2, "by_d": 2}.get(sink, 4)}
    say(not wrong, "all types: each value is a key of its own, and NULL too; what JSON has no number for is null", wrong)
    same = [sink for sink in lake.sinks.split(",") if len({change["id"] for change in Receiver.told[sink]}) != 4]
    say(not same, "all types: each change has an id of its own", same)
    row = next(change["row"] for change in Receiver.told["by_s"] if change["key"]["s"] == value(1)["s"])
    say(row["l"] == 7 and row["m"] in (-0.000001, "-0.000001") and row["u"] == str(uuid.UUID(int=1)) and row["list"][0]["b"] == ["NaN", None] or row["list"][0]["b"] == [None, None], "all types: values as they are", row)
    lake.replace(pa.Table.from_pylist([value(1)], schema=schema))
    run = lake.deliver()
    wrong = {}
    for sink in lake.sinks.split(","):
        gone = sorted(json.dumps(change["key"], sort_keys=True) for change in Receiver.told[sink] if change["change"] == "delete")
        if gone != sorted(text for text in texts(sink) if text != json.dumps(next(c["key"] for c in Receiver.told[sink] if c["row"]["l"] == 7), sort_keys=True)):
            wrong[sink] = gone
    say(run.returncode == 0 and not wrong and not Receiver.unsound, "all types: what goes is told under the key that came, what stays is not told", f"{run.err} {wrong}")


def many():
    """100,000 changes of one commit with 64 MiB."""
    lake = Lake("many", "id: long required, n: int, text: string", {"lots": "webhook: {url: \"URLlots\", id: [id], batch: 1000}"}, "run: {memory_limit: 64MiB}\n")
    count = 100000
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("n", pa.int32()), ("text", pa.large_string())])
    lake.take([])
    for n in (1, 2):
        ids = list(range(count))
        dice.shuffle(ids)
        lake.replace(pa.table({"id": ids, "n": [n] * count, "text": [f"row {number} " + "x" * 40 for number in ids]}, schema=schema))
        run = lake.deliver()
        if run.returncode:
            return say(False, f"{count} changes with 64 MiB", run.err)
    told = Receiver.told["lots"]
    kinds = [sum(change["change"] == kind for change in told) for kind in ("insert", "update", "delete")]
    say(kinds == [count, count, 0] and len({change["id"] for change in told}) == 2 * count, f"{count} changes of one commit with 64 MiB", kinds)


def held_up():
    """A receiver that takes some and then asks to wait gets the rest run by run; one change on which it always fails is a dead letter in the end."""
    tries = 2 if FULL else 1  # each of these runs waits for some seconds
    lake = Lake("held", "id: long required", {"limited": "webhook: {url: \"URLlimited\", id: [id]}", "fails": f"tries: {tries}, " + "webhook: {url: \"URLfails\", id: [id]}"})
    lake.take([{"id": number} for number in range(200)])
    codes = []
    while len(codes) < 8 and 0 not in codes:
        Receiver.left = 60
        codes.append(lake.weir("run", "-s", "limited").returncode)
    told = [change["key"]["id"] for change in Receiver.told["limited"]]
    say(codes[-1] == 0 and set(codes[:-1]) == {75} and set(told) == set(range(200)) and len(told) < 240, "a receiver that takes 60 and then asks to wait has all of 200 in the end", f"{codes} {len(told)}")
    Receiver.poison = dice.randrange(20, 150) if FULL else 0
    codes = [lake.weir("run", "-s", "fails").returncode for _ in range(tries)]
    letters = [json.loads(path.read_text()) for path in (lake.folder / "lake/_weir/sinks/fails/dead").glob("*.json")]
    told = {change["key"]["id"] for change in Receiver.told["fails"]}
    say(codes == [75, 0][2 - tries:] and [letter["key"]["id"] for letter in letters] == [Receiver.poison] and "500" in letters[0]["reason"] and told == set(range(200)) - {Receiver.poison},
        "one on which the receiver fails, run after run, is a dead letter, and those behind it go on", f"{codes} {letters[:2]} {len(told)}")


def tampered():
    """A cursor or a dead letter that somebody wrote into: told, and nothing is done by it."""
    lake = Lake("tampered", "id: long required", {"one": "webhook: {url: \"URLone\", id: [id]}"})
    lake.take([{"id": 1}])
    lake.deliver()
    place = lake.folder / "lake/_weir/sinks/one"
    good, wrong = json.loads((place / "cursor.json").read_text()), []
    for change in ({"version": 2**63 - 1}, {"version": -1}, {"reached": "1"}, {"uuid": 7}, {"reached": 12345}, {"step": {"to": 1, "version": -9, "done": 3}}, {"step": {"to": good["reached"], "version": 3, "done": -1}}, None):
        (place / "cursor.json").write_text("[" if change is None else json.dumps({**good, **change}))
        run = lake.deliver()
        if run.returncode != 4 or "weir sinks reset one" not in run.err:
            wrong.append((change, run.returncode, run.err))
    say(not wrong, "a cursor that is none: exit 4, with the way on", wrong)
    run = lake.weir("sinks", "reset", "one", "earliest", "--yes")
    again = lake.deliver()
    say(run.returncode == again.returncode == 0 and len(Receiver.told["one"]) == 2, "a reset goes on", run.err + again.err)
    (place / "dead").mkdir()
    (place / "dead/x.json").write_text(json.dumps({"id": "../../../catalog", "sent": {"key": "{}", "row": "{}"}, "change": "insert", "key_text": "1", "version": 1}))
    run = lake.weir("sinks", "retry", "one", "all")
    say(run.returncode == 1 and "is no dead letter" in run.err and len(Receiver.told["one"]) == 2, "a dead letter that is none is not sent", f"{run.returncode} {run.err}")


def unwritable():
    """The place of the cursor is gone, or the disk is full, while the receiver answers: the run fails, and the next one tells the rest, the same under the same ids."""
    lake = Lake("unwritable", "id: long required", {"last": "webhook: {url: \"URLlast\", id: [id]}"})
    lake.take([{"id": number} for number in range(600)])
    place, aside = lake.folder / "lake/_weir/sinks/last", lake.folder / "aside"

    def away():
        place.rename(aside)
        place.write_text("")

    Receiver.then = away
    run = lake.weir("run", "-s", "last")
    told = {change["id"]: change for change in Receiver.told["last"]}
    place.unlink()
    aside.rename(place)
    again = lake.deliver()
    after = {change["id"]: change for change in Receiver.told["last"]}
    say(run.returncode not in (0, 4) and again.returncode == 0 and len(after) == 600 and {change["key"]["id"] for change in after.values()} == set(range(600)) and all(after[id] == change for id, change in told.items()),
        "a cursor that cannot be written fails the run, and the next one goes on", f"{run.returncode} {run.err} {again.returncode} {len(told)} {len(after)}")


for part in (tampered, unwritable, held_up, passed_over, stopped, every_type, many):
    started = time.monotonic()
    part()
    print(f"   {part.__name__} {time.monotonic() - started:.1f} s", flush=True)
if not bad:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
