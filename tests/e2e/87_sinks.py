"""Webhooks and Kafka topics as sinks: violations open, change and resolve over several windows; a signed webhook, a real broker; receivers that are
away, refuse, say no to a login; dead letters; two runs at once; runs killed at each effect of a delivery."""
import base64, hashlib, hmac, http.server, json, os, random, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import engines, services
from confluent_kafka import Consumer

WEIR, FULL = os.environ["WEIR"], os.environ.get("WEIR_FULL") == "1"
SEED = int(os.environ.get("WEIR_SEED", "1"))
dice, bad = random.Random(SEED), 0
folder = Path(tempfile.mkdtemp(prefix="weir-sinks."))
SECRET = b"0123456789abcdef0123456789abcdef"


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it takes; `say` decides the answer to a request: (code, headers) or None to hang up."""
    protocol_version = "HTTP/1.1"
    taken, requests, unsigned, answer, lock = [], [], [], staticmethod(lambda body: (200, {})), threading.Lock()

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        with self.lock:
            self.requests.append((dict(self.headers), body))
            signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + raw
            wanted = "v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
            if not hmac.compare_digest(wanted, self.headers.get("webhook-signature", "")) or abs(int(self.headers["webhook-timestamp"]) - time.time()) > 300:
                self.unsigned.append(dict(self.headers))
            answer = self.answer(body)
            if answer and answer[0] < 300:
                self.taken.extend(body if isinstance(body, list) else [body])
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer[0])
        for name, value in answer[1].items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()


def serve(port=0):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def weir(*arguments, file="weir.yaml", **environment):
    started = time.monotonic()
    run = subprocess.run([WEIR, *arguments, "-p", str(folder / file)], capture_output=True, text=True, timeout=180,
                         env={**os.environ, "WEIR_TEST_LEASE_MS": "100", **environment})
    run.seconds = time.monotonic() - started
    return run


PIPELINE = """version: 1
name: sinks
lake: {warehouse: ./lake}
sources:
  report: {files: in/*.ndjson}
tables:
  bronze.report: {source: report, columns: {device: string required, rule: string required, level: int, at: timestamptz required, site: string}}
  gold.violations: {sql: models/violations.sql, mode: merge, unique_key: [device, rule], order_by: [at desc], delete_when: resolved}
"""
MODEL = "SELECT device, rule, level, at, site, level = 0 AS resolved FROM bronze.report\n"
window_number = 0


def window(count=40, surely=None):
    """Reports of some devices: level 0 resolves the violation. surely: a device of which a violation opens or changes."""
    global window_number
    window_number += 1
    with (folder / "in" / f"{window_number:04}.ndjson").open("w") as out:
        for _ in range(count):
            out.write(json.dumps({"device": f"d{dice.randrange(12)}", "rule": f"p{dice.randrange(3)}", "level": dice.randrange(4), "site": dice.choice(["a|b", "ü\"", None]),
                                  "at": f"2026-{1 + window_number // 600:02}-{1 + window_number // 24 % 25:02}T{window_number % 24:02}:00:{dice.randrange(60):02}.{dice.randrange(1000000):06}Z"}) + "\n")
        if surely:
            day = f"2026-{1 + window_number // 600:02}-{1 + window_number // 24 % 25:02}T{window_number % 24:02}"
            level = 1 if violations().get((surely, "p0")) != 1 else 2
            out.write(json.dumps({"device": surely, "rule": "p0", "level": level, "site": None, "at": day + ":01:00Z"}) + "\n")


def violations():
    rows = engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), "gold.violations").scan().to_arrow().to_pylist()
    return {(row["device"], row["rule"]): row["level"] for row in rows}


def fold(changes):
    """Each id once, the newest version of each key wins: what a receiver that is careful holds."""
    rows, seen = {}, set()
    for change in changes:
        if change["id"] in seen:
            continue
        seen.add(change["id"])
        key = (change["key"]["device"], change["key"]["rule"])
        if key in rows and rows[key][0] > change["version"]:
            continue
        rows[key] = (change["version"], None if change["change"] == "delete" else change["row"]["level"])
    return {key: level for key, (_, level) in rows.items() if level is not None}


def in_order(changes):
    """What a receiver holds that takes each change as it comes."""
    rows = {}
    for change in changes:
        rows[change["key"]["device"], change["key"]["rule"]] = None if change["change"] == "delete" else change["row"]["level"]
    return {key: level for key, level in rows.items() if level is not None}


def dead(sink):
    letters = [json.loads(path.read_text()) for path in sorted((folder / f"lake/_weir/sinks/{sink}/dead").glob("*.json"))]
    return letters


def webhook_part(server):
    port = server.server_port
    (folder / "weir.yaml").write_text(PIPELINE + f"""sinks:
  pager: {{from: gold.violations, webhook: {{url: "http://127.0.0.1:{port}/token-in-path?key=secret", hmac_key: "file:{folder}/key", headers: {{x-team: edge, authorization: "file:{folder}/login"}}}}}}
  high: {{from: gold.violations, changes: [insert], where: "level = 3", columns: [level], webhook: {{url: "http://127.0.0.1:{port}/high", hmac_key: "file:{folder}/key", batch: 7}}}}
""")
    run = weir("doctor", "-o", "json")
    say(run.returncode == 0 and [check["result"] for check in json.loads(run.stdout) if check["check"] == "sink"] == ["ok", "ok"] and not Receiver.requests and "token-in-path" not in run.stdout,
        "doctor reaches a webhook's server and sends nothing, before there is a table", run.stdout + run.stderr[-300:])
    window()
    run = weir("run")
    mine = lambda sink: [change for change in Receiver.taken if change["sink"] == sink]
    say(run.returncode == 0 and fold(mine("pager")) == violations() and len(violations()) > 5, "webhook: what is there at first, as inserts", run.stderr[-300:])
    say(all(change["change"] == "insert" and change["table"] == "gold.violations" for change in mine("pager")), "webhook: inserts of the table")
    say(not Receiver.unsigned, "webhook: each request is signed as Standard Webhooks say", str(Receiver.unsigned[:1]))
    say(all(headers["x-team"] == "edge" and headers["authorization"] == "Bearer t0ken" for headers, body in Receiver.requests if not isinstance(body, list)), "webhook: headers are sent")
    for _ in range(3):
        window()
        run = weir("run")
        if fold(mine("pager")) != violations():
            say(False, "webhook: after each window the fold is the table", run.stderr[-300:])
    say(run.returncode == 0 and {change["change"] for change in mine("pager")} == {"insert", "update", "delete"}, "webhook: inserts, updates and deletes over windows", run.stderr[-300:])
    say(all(change["row"].keys() == {"device", "rule", "level"} and change["row"]["level"] == 3 and change["change"] == "insert" for change in mine("high")) and mine("high"),
        "webhook: where, columns and changes choose")
    say(any(isinstance(body, list) and len(body) > 1 for _, body in Receiver.requests), "webhook: a batch is an array")
    count = len(Receiver.requests)
    say(weir("run").returncode == 0 and len(Receiver.requests) == count, "webhook: nothing new, no request")

    window()
    failing = [0]
    Receiver.answer = staticmethod(lambda body: (failing.__setitem__(0, failing[0] + 1), [(500, {}), (429, {"Retry-After": "0"}), None, (408, {}), (200, {})][failing[0] % 5])[1])
    run = weir("run")
    say(run.returncode == 0 and fold(mine("pager")) == violations(), "webhook: 500, 429, 408 and hanging up: all of it arrives", run.stderr[-300:])
    identities = {}
    for change in Receiver.taken:
        identities.setdefault(change["id"], []).append(change)
    say(all(all(one == same[0] for one in same) for same in identities.values()), "webhook: a repeat is the same change under the same id")

    window()
    Receiver.answer = staticmethod(lambda body: (503, {"Retry-After": "3600"}))
    run = weir("run")
    say(run.returncode == 75 and run.seconds < 20 and "token-in-path" not in run.stderr + run.stdout and "secret" not in run.stderr, "webhook: busy for an hour: exit 75 soon, no token in the message", f"{run.returncode} {run.seconds:.1f} s {run.stderr[-300:]}")
    Receiver.answer = staticmethod(lambda body: (401, {}))
    run = weir("run")
    say(run.returncode == 1 and "401" in run.stderr and "hmac_key" in run.stderr and not dead("pager"), "webhook: a wrong login is told, and nothing is a dead letter", f"{run.returncode} {run.stderr[-300:]}")
    Receiver.answer = staticmethod(lambda body: (404, {}))
    run = weir("run")
    say(run.returncode == 2 and "404" in run.stderr and not dead("pager"), "webhook: nobody at that address: exit 2", f"{run.returncode} {run.stderr[-300:]}")
    server.shutdown()
    server.server_close()
    run = weir("run")
    say(run.returncode == 75 and "token-in-path" not in run.stderr + run.stdout, "webhook: away: exit 75, no token in the message", f"{run.returncode} {run.stderr[-300:]}")
    run = weir("doctor", "-o", "json")
    say(run.returncode == 1 and any(check["where"] == "pager" and check["result"] == "FAILED" for check in json.loads(run.stdout)), "doctor says that a webhook is away", run.stdout + run.stderr[-300:])
    shown = json.loads(weir("sinks", "-o", "json").stdout)
    say(any(sink["sink"] == "pager" and sink["waiting"] == 1 for sink in shown), "weir sinks shows that it waits", str(shown)[:300])
    serve(port)
    Receiver.answer = staticmethod(lambda body: (200, {}))
    run = weir("run")
    say(run.returncode == 0 and fold(mine("pager")) == violations(), "webhook: back: it goes on", run.stderr[-300:])

    poison = dice.choice(["d1", "d2", "d3"])
    window(surely=poison)
    one = lambda body: body if isinstance(body, list) else [body]
    Receiver.answer = staticmethod(lambda body: (422, {}) if any(change["key"]["device"] == poison for change in one(body)) else (200, {}))
    run = weir("run")
    letters = dead("pager")
    say(run.returncode == 0 and letters and all(letter["key"]["device"] == poison and letter["tries"] == 5 and "422" in letter["reason"] for letter in letters),
        "webhook: what is refused five times is a dead letter", f"{run.returncode} {len(letters)} {run.stderr[-300:]}")
    say(all(letter["key"]["device"] == poison for letter in dead("high")), "webhook: one bad change takes none of its batch with it")
    say({key: level for key, level in fold(mine("pager")).items() if key[0] != poison} == {key: level for key, level in violations().items() if key[0] != poison}, "webhook: those behind it go on")
    Receiver.answer = staticmethod(lambda body: (200, {}))
    run = weir("sinks", "retry", "pager")
    say(run.returncode == 0 and not dead("pager") and fold(mine("pager")) == violations(), "weir sinks retry: dead letters are taken after a mend", run.stdout + run.stderr[-300:])

    Receiver.answer = staticmethod(lambda body: (422, {}) if any(change["key"]["device"] == poison for change in one(body)) else (200, {}))
    window(surely=poison)
    weir("run")
    Receiver.answer = staticmethod(lambda body: (200, {}))
    window(surely=poison)
    weir("run")
    before = len(dead("pager"))
    run = weir("sinks", "retry", "pager", "-o", "json")
    told, left = json.loads(run.stdout), dead("pager")
    say(run.returncode == 0 and told["superseded"] == len(left) > 0 and told["taken"] == before - len(left) and any(letter["key"]["rule"] == "p0" for letter in left) and "changed or deleted since" in run.stderr,
        "weir sinks retry leaves a letter whose row was changed since", run.stdout + run.stderr[-300:])
    say(in_order(mine("pager")) == violations(), "weir sinks retry: also who knows no versions holds the table")
    run = weir("sinks", "retry", "pager", "all")
    say(run.returncode == 0 and not dead("pager") and fold(mine("pager")) == violations(), "weir sinks retry all: late ones have their old version", run.stdout + run.stderr[-300:])

    window()
    runs = [subprocess.Popen([WEIR, "run", "-p", str(folder / "weir.yaml")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(run.communicate(), run.returncode) for run in runs]
    while weir("run").returncode == 75:
        pass
    identities = [change["id"] for change in mine("pager")]
    say(fold(mine("pager")) == violations(), "webhook: two runs at once", str(ended)[-300:])


def kill_part():
    """Each effect of a run that only delivers: nothing lost, repeats under the same id."""
    def deliver(**environment):
        return weir("run", "-s", "pager", **environment)
    window()
    weir("run", "-s", "bronze.report,gold.violations", file="models.yaml")
    trace = folder / "effects"
    deliver(WEIR_TEST_EFFECTS=str(trace))
    effects = len(trace.read_text().splitlines())
    points = [(at, mode) for at in range(1, effects + 1) for mode in ("before", "after", "lost")]
    points = points if FULL else dice.sample(points, 12)
    wrong = []
    for at, mode in points:
        window(12)
        weir("run", "-s", "bronze.report,gold.violations", file="models.yaml")
        deliver(WEIR_TEST_KILL=f"{at}:{mode}")
        for _ in range(20):
            again = deliver()
            if again.returncode != 75:
                break
        mine = [change for change in Receiver.taken if change["sink"] == "pager"]
        per_id = {}
        for change in mine:
            per_id.setdefault(change["id"], []).append(json.dumps(change, sort_keys=True))
        if again.returncode or fold(mine) != violations() or any(len(set(same)) > 1 for same in per_id.values()):
            wrong.append((at, mode, again.returncode, again.stderr[-200:]))
    say(not wrong, f"webhook: killed at {len(points)} of {3 * effects} points of a delivery: nothing lost, a repeat has its id", str(wrong[:3]))


def kafka_part():
    with services.Services() as running:
        kafka = running.start("kafka")
        services.create_topic(kafka.address, "violations", partitions=3)
        (folder / "kafka.yaml").write_text(PIPELINE + f"""sinks:
  feed: {{from: gold.violations, kafka: {{topic: violations, properties: {{bootstrap.servers: "{kafka.address}"}}}}}}
""")
        (folder / "none.yaml").write_text((folder / "kafka.yaml").read_text().replace("topic: violations", "topic: no.such.topic").replace("feed:", "none:"))
        consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "judge", "auto.offset.reset": "earliest", "isolation.level": "read_committed", "log_level": 0})
        consumer.subscribe(["violations"])
        records = []

        def read(seconds=20):
            end, last = time.monotonic() + seconds, time.monotonic()
            while time.monotonic() < end and (not records or time.monotonic() - last < 3):
                message = consumer.poll(0.2)
                if message is not None and not message.error():  # a tombstone is false
                    records.append(message)
                    last = time.monotonic()

        def table():
            rows, seen = {}, set()
            for message in records:
                headers = dict(message.headers())
                if headers["weir-id"] in seen:
                    continue
                seen.add(headers["weir-id"])
                key = json.loads(message.key())
                if message.value() is None:
                    rows.pop((key["device"], key["rule"]), None)
                else:
                    rows[key["device"], key["rule"]] = json.loads(message.value())["level"]
            return rows

        for _ in range(3):
            run = weir("run", file="kafka.yaml")
            window()
        run = weir("run", file="kafka.yaml")
        read()
        say(run.returncode == 0 and table() == violations(), "kafka: the fold of the topic is the table", f"{run.stderr[-300:]} {len(table())} {len(violations())}")
        kinds = {dict(message.headers())["weir-change"] for message in records}
        say(kinds == {b"insert", b"update", b"delete"} and all((message.value() is None) == (dict(message.headers())["weir-change"] == b"delete") for message in records),
            "kafka: a delete is a tombstone", str(kinds))
        say(len({(message.partition()) for message in records}) > 1, "kafka: keys spread over partitions")
        run = weir("run", "-s", "none", file="none.yaml")
        say(run.returncode == 2 and "no.such.topic" in run.stderr, "kafka: a topic that is not there: exit 2", f"{run.returncode} {run.stderr[-300:]}")
        run = weir("doctor", "-o", "json", file="none.yaml")
        say(run.returncode == 1 and "no.such.topic" in run.stdout, "doctor says that a topic is not there", run.stdout + run.stderr[-300:])
        run = weir("doctor", "-o", "json", file="kafka.yaml")
        say(run.returncode == 0 and "topic violations is there, 3 partitions" in run.stdout, "doctor finds a topic", run.stdout + run.stderr[-300:])
        # one at a time, with the broker gone in between
        kafka.crash() if hasattr(kafka, "crash") else kafka.stop()
        window()
        run = weir("run", file="kafka.yaml")
        say(run.returncode == 75 and run.seconds < 40, "kafka: away: exit 75", f"{run.returncode} {run.seconds:.0f} s {run.stderr[-300:]}")
        if hasattr(kafka, "resume"):
            kafka.resume()
            run = weir("run", file="kafka.yaml")
            read()
            say(run.returncode == 0 and table() == violations(), "kafka: back: it goes on", run.stderr[-300:])
        consumer.close()


(folder / "in").mkdir()
(folder / "models").mkdir()
(folder / "models/violations.sql").write_text(MODEL)
(folder / "models.yaml").write_text(PIPELINE)
(folder / "key").write_bytes(SECRET + b"\n")
(folder / "login").write_text("Bearer t0ken\n")
webhook_part(serve())
kill_part()
kafka_part()
config = weir("config").stdout
say(SECRET.decode() not in config and "t0ken" not in config, "weir config shows no secret", config[-300:])
say(not Receiver.unsigned, "every request was signed", str(Receiver.unsigned[:1]))
shutil.rmtree(folder, ignore_errors=True)
sys.exit(bad > 0)
