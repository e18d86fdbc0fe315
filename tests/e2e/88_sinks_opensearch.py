"""gold.violations in a real OpenSearch: each violation once by its id, the resolved ones gone, whatever the server or the way to it does.

A proxy in front fails on command: it says 429 as a whole or to single documents, loses answers, asks for a login. The index must be
what the model says, worked out here, and every document must have the row and the key of that model.
"""
import base64, collections, datetime, hashlib, hmac, http.client, http.server, json, os, random, shutil, subprocess, sys, tempfile, threading, urllib.error, urllib.request
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/harness"))
import services

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
DEVICES = 3000 if FULL else 60
POLICIES = {"p1": 90, "p2": 70, "p3": 50}
top = Path(tempfile.mkdtemp(prefix="weir-opensearch."))

PIPELINE = """version: 1
name: alerts
lake: {warehouse: ./lake}
sources:
  inventory: {files: in/*.ndjson}
  policy: {files: policies.csv, format: csv}
tables:
  bronze.inventory:
    source: inventory
    columns: {record_id: string required, device_id: string required, hostname: {type: string, class: personal}, at: timestamptz, usage: double}
  bronze.policy: {source: policy, mode: full, columns: {policy_id: string required, max_usage: double}}
  silver.device: {sql: models/device.sql, mode: merge, unique_key: [device_id], order_by: [at desc, record_id desc]}
  gold.violations: {sql: models/violations.sql, mode: merge, unique_key: [device_id, policy_id], delete_when: resolved}
sinks:
  alerts:
    from: gold.violations
    columns: [hostname, usage, at]
    TRIES
    opensearch: {url: "URL", index: INDEXMORE}
"""
MODELS = {"device": "SELECT device_id, record_id, hostname, at, usage FROM bronze.inventory",
          "violations": "SELECT d.device_id, p.policy_id, d.hostname, d.usage, d.at, d.usage <= p.max_usage AS resolved FROM silver.device d, bronze.policy p"}


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


# -- the way to the server -------------------------------------------------------------------------------------------------------------


class Proxy(http.server.ThreadingHTTPServer):
    """Forwards to the server, but for what `plan` says of each _bulk; what it took part in is in `bulks`: [{action: ..., id: ...}]."""

    daemon_threads = True

    def __init__(self, target):
        self.target, self.plan, self.check, self.bulks = target, [], None, []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a killed client


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body, **headers):
        self.send_response(code)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def forward(self, body):
        host = self.server.target.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request(self.command, self.path, body, {"content-type": self.headers.get("content-type", "application/json")})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 503, b"{}"
        finally:
            connection.close()

    def bulk(self, body, how):
        lines, items = body.decode().splitlines(), []
        while lines:  # [action, its lines]
            (action, head), = json.loads(lines[0]).items()
            size = 1 if action == "delete" else 2
            items.append((action, head, lines[:size]))
            del lines[:size]
        self.server.bulks.append([{"action": action, **head, "row": json.loads(text[1]) if len(text) > 1 else None} for action, head, text in items])
        if how == "busy":
            return self.answer(429, b'{"error":{"type":"rejected_execution_exception"},"status":429}', Retry_After="1")
        if how == "gateway":
            return self.answer(502, b"<html>bad gateway</html>", content_type="text/html")
        if how == "lost-before":
            return self.close()
        dice = random.Random(SEED + len(self.server.bulks))
        # the first always, so that there is something left for each time that is planned
        no = {"half": lambda head: head is items[0][1] or dice.random() < 0.5, "all-items": lambda head: True}.get(how, lambda head: how == head["_id"])
        refused = {n: how not in ("half", "all-items") for n, (_, head, _) in enumerate(items) if no(head)}
        passed = [line for n, (_, _, text) in enumerate(items) if n not in refused for line in text]
        code, got = self.forward(("\n".join(passed) + "\n").encode()) if passed else (200, b'{"items":[]}')
        if how == "lost-after":
            return self.close()
        if code == 200 and refused:
            answers = iter(json.loads(got)["items"])
            error = {True: (400, "mapper_parsing_exception"), False: (429, "rejected_execution_exception")}
            got = json.dumps({"errors": True, "items": [
                {action: {"_id": head["_id"], "status": error[refused[n]][0], "error": {"type": error[refused[n]][1], "reason": f"quoting {text[-1]}"}}}
                if n in refused else next(answers) for n, (action, head, text) in enumerate(items)]}).encode()
        self.answer(code, got[: len(got) // 2] if how == "cut" else got)

    def close(self):
        self.close_connection = True

    def any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.server.check and not self.server.check(self, body):
            return self.answer(401, b"Unauthorized")
        if self.path.endswith("/_bulk"):
            return self.bulk(body, self.server.plan.pop(0) if self.server.plan else "pass")
        self.answer(*self.forward(body))

    do_GET = do_PUT = do_POST = do_DELETE = any


def signed(handler, body):
    """Is the request signed by the key of the test, as AWS Signature Version 4 says, worked out apart from Weir?"""
    now = handler.headers["x-amz-date"]
    names = handler.headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    canonical = "\n".join([handler.command, handler.path, "", *(f"{n}:{handler.headers[n]}" for n in names.split(";")), "", names, hashlib.sha256(body).hexdigest()])
    scope = f"{now[:8]}/eu-west-2/es/aws4_request"
    key = b"AWS4" + b"test-secret"
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return handler.headers["authorization"].endswith("Signature=" + hmac.new(key, text.encode(), "sha256").hexdigest()) and "host" in names


# -- the lake, the model, the index ----------------------------------------------------------------------------------------------------


class Lake:
    def __init__(self, name, **options):
        self.folder, self.index, self.windows, self.devices = top / name, name, 0, {}
        (self.folder / "in").mkdir(parents=True)
        (self.folder / "models").mkdir()
        for model, sql in MODELS.items():
            (self.folder / "models" / f"{model}.sql").write_text(sql + "\n")
        (self.folder / "policies.csv").write_text("policy_id,max_usage\n" + "".join(f"{p},{m}\n" for p, m in POLICIES.items()))
        self.write(**options)

    def write(self, tries="", more="", url=None):
        text = PIPELINE.replace("TRIES", tries).replace("URL", url or proxy.url).replace("INDEX", self.index).replace("MORE", more)
        (self.folder / "weir.yaml").write_text(text)

    def window(self, share=0.5):
        """Some devices report again: violations open, change, and are resolved."""
        dice = random.Random(f"{SEED} {self.index} {self.windows}")
        at = datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=30 * self.windows)
        with (self.folder / "in" / f"{self.windows:04}.ndjson").open("w") as out:
            for number in range(DEVICES):
                if self.windows and dice.random() > share:
                    continue
                device = f"d{number}" + ('|"\u00e9' if number % 10 == 3 else "")
                row = {"record_id": f"{self.windows}-{number}", "device_id": device, "hostname": f"host-{number}-secret",
                       "at": (at + datetime.timedelta(seconds=number)).isoformat(), "usage": dice.randrange(1000) / 10}
                out.write(json.dumps(row) + "\n")
                self.devices[device] = row
        self.windows += 1

    def weir(self, *arguments, **environment):
        return subprocess.run([WEIR, *arguments, "-p", str(self.folder / "weir.yaml")], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})

    def wanted(self):
        found = {}
        for device, row in self.devices.items():
            for policy, most in POLICIES.items():
                if row["usage"] > most:
                    key = device.replace("\\", "\\\\").replace("|", "\\|") + "|" + policy
                    found[key] = (device, policy, row["hostname"], row["usage"], row["at"].replace("+00:00", "Z"))
        return found

    def found(self):
        ask("POST", f"/{self.index}/_refresh")
        rows, after = [], []
        while True:  # by the key, page by page
            query = {"size": 5000, "sort": ["device_id", "policy_id"], **({"search_after": after} if after else {})}
            hits = ask("POST", f"/{self.index}/_search", query)["hits"]["hits"]
            rows += hits
            if len(hits) < 5000:
                break
            after = hits[-1]["sort"]
        columns = ("device_id", "policy_id", "hostname", "usage", "at")
        return {hit["_id"]: tuple(hit["_source"].get(c) for c in columns) for hit in rows} if len({h["_id"] for h in rows}) == len(rows) else {"twice": rows}

    def same(self, name, run=None, code=0):
        wanted, found = self.wanted(), self.found()
        differ = [(k, wanted.get(k), found.get(k)) for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)]
        right = run is None or run.returncode == code
        say(right and not differ and wanted, name, (run and (run.returncode, run.stderr), len(wanted), len(found), differ[:3]))

    def run(self, name, **environment):
        self.same(name, self.weir("run", **environment))

    def sinks(self):
        return json.loads(self.weir("sinks", "-o", "json").stdout)[0]


def ask(method, path, body=None):
    request = urllib.request.Request(server.address + path, json.dumps(body).encode() if body is not None else None, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {"status": error.code}


# -- what is shown ---------------------------------------------------------------------------------------------------------------------


def plain():
    lake = Lake("plain")
    for number in range(10 if FULL else 3):
        lake.window()
        lake.run(f"window {number}: each violation once by its id, the resolved ones gone")
    mapping = ask("GET", "/plain/_mapping")["plain"]["mappings"]
    types = {name: field["type"] for name, field in mapping["properties"].items()}
    say(types == {"device_id": "keyword", "policy_id": "keyword", "hostname": "keyword", "usage": "double", "at": "date"} and mapping["dynamic"] == "false",
        "the index was made with the columns' types", mapping)
    deletes = sum(each["action"] == "delete" for bulk in proxy.bulks for each in bulk)
    say(deletes > 5, "resolved violations were deleted by name", deletes)
    before = len(proxy.bulks)
    run = lake.weir("run")
    say(run.returncode == 0 and len(proxy.bulks) == before, "nothing new: no request", run.stderr)
    return lake


def busy(lake):
    for how, name in ((["busy", "busy"], "429 to the whole request, twice"), (["half"] * 4, "half of the documents 429, four times over"),
                      (["gateway", "lost-before"], "a bad gateway, then a lost request"), (["lost-after"], "an answer that was lost"),
                      (["cut"], "half an answer"), (["half", "lost-after", "busy", "half", "cut"], "all of that in turn")):
        lake.window()
        proxy.plan[:] = how
        lake.run(f"{name}: delivered all the same")
        say(not proxy.plan, f"{name}: it did happen", proxy.plan)
    lake.window()
    proxy.plan[:] = ["all-items"] * 100
    before, run = lake.found(), lake.weir("run")
    proxy.plan.clear()
    say(run.returncode == 75 and lake.found() == before and lake.sinks()["waiting"] > 0, "429 without end: exit 75, and it waits", (run.returncode, run.stderr, lake.sinks()))
    say("secret" not in run.stderr + run.stdout, "no value of a row is told", run.stderr)
    lake.run("when it is over, all is delivered")


def away(lake):
    server.stop()
    lake.window()
    run = lake.weir("run")
    say(run.returncode == 75, "away: exit 75", (run.returncode, run.stderr))
    count = lake.weir("query", "SELECT count(*) AS n FROM gold.violations", "-o", "ndjson")
    say(count.stdout and json.loads(count.stdout)["n"] == len(lake.wanted()), "the lake does not wait for it", count.stdout + count.stderr)
    lake.window()
    server.resume()
    lake.run("it is back: both windows are delivered")


def killed(lake):
    """At effects of the delivery: before, after, and with the answer lost."""
    lake.window()
    trace = top / "effects"
    lake.run("a run whose effects are listed", WEIR_TEST_EFFECTS=str(trace))
    effects = [line.split() for line in trace.read_text().splitlines()]
    first = next(int(n) for n, kind, *_ in effects if kind == "sink") - 3
    places = [(n, how) for n in range(first, len(effects) + 1) for how in ("before", "after", "lost")]
    dice = random.Random(SEED)
    for n, how in places if FULL else dice.sample(places, 6):
        lake.window()
        dead = lake.weir("run", WEIR_TEST_KILL=f"{n}:{how}")
        lake.run(f"killed at {n}:{how} (it ended with {dead.returncode}), run again: as if nothing had been")


def wrong():
    lake = Lake("wrong")
    ask("PUT", "/wrong", {"mappings": {"properties": {"usage": {"type": "integer"}}}})
    lake.window()
    run = lake.weir("run")
    say(run.returncode == 2 and 'field "usage" is integer there, the column is double' in run.stderr, "an index of other types: exit 2 names both", (run.returncode, run.stderr))
    say(ask("GET", "/wrong/_count").get("count") == 0, "nothing was sent")
    ask("DELETE", "/wrong")
    lake.run("made anew, it goes on")
    ask("DELETE", "/wrong")
    lake.window()
    run = lake.weir("run")
    left = lake.found()
    say(run.returncode == 0 and left.items() <= lake.wanted().items() and len(left) < len(lake.wanted()), "an index that somebody drops gets what is new", run.stderr)
    run = lake.weir("sinks", "reset", "wrong", "earliest", "--yes")
    say(run.returncode != 0, "no such sink", run.stderr)
    run = lake.weir("sinks", "reset", "alerts", "earliest", "--yes")
    lake.run(f"reset: all that is there is sent again (exit {run.returncode})")


def refused():
    """The server's own words quote the row; a dead letter's reason does not."""
    lake = Lake("refused", tries="tries: 2")
    ask("PUT", "/refused", {"mappings": {"properties": {"device_id": {"type": "keyword"}, "policy_id": {"type": "keyword"}, "hostname": {"type": "ip"}}}})
    lake.window()
    for row in list(lake.devices.values())[::2]:
        row["hostname"] = "10.0.0.7"
    (lake.folder / "in/0000.ndjson").write_text("".join(json.dumps(row) + "\n" for row in lake.devices.values()))
    run = lake.weir("run")
    wanted = {key: row for key, row in lake.wanted().items() if row[2] == "10.0.0.7"}
    say(run.returncode == 0 and wanted and lake.found() == wanted, "the good half of a bulk is taken", (run.returncode, run.stderr, len(lake.found()), len(wanted)))
    dead = lake.weir("sinks", "dead", "alerts", "-o", "json")
    letters = json.loads(dead.stdout)
    say(len(letters) == len(lake.wanted()) - len(wanted) and all("mapper_parsing_exception" in l["reason"] and "column hostname, which is ip in the index" in l["reason"] for l in letters),
        "the bad half are dead letters that name the column", letters[:1])
    say("secret" not in dead.stdout and "secret" not in run.stderr + run.stdout, "without its value", letters[:1])
    ask("DELETE", "/refused")
    run = lake.weir("sinks", "retry", "alerts")
    got = lake.found()
    say(run.returncode == 0 and got == {k: r for k, r in lake.wanted().items() if r[2] != "10.0.0.7"}, "after a mend they are sent again, and taken", (run.returncode, run.stderr, run.stdout, len(got)))
    say(lake.sinks()["dead"] == 0, "and no letter is left", lake.sinks())


def exact():
    """Numbers that no double holds, a zero byte, bytes, a time: as they are, in the index, and in a letter that was refused first."""
    folder = top / "exact"
    (folder / "in").mkdir(parents=True)
    (folder / "weir.yaml").write_text(EXACT.replace("URL", proxy.url))
    big = "12345678901234567890123456789012.123456"
    (folder / "in/1.ndjson").write_text(f'{{"id": {10**37}, "m": {big}, "n": {2**63 - 1}, "s": "a\\u0000\\u001fb", "raw": "AAH/", "at": "1999-12-31T23:59:59.123456Z"}}\n')
    run = lambda *words: subprocess.run([WEIR, *words, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120, env={**os.environ, "WEIR_TEST_LEASE_MS": "50"})
    row = f'{{"id":{10**37},"m":{big},"n":{2**63 - 1},"s":"a\\u0000\\u001fb","raw":"AAH/","at":"1999-12-31T23:59:59.123456Z"}}'
    proxy.plan[:] = [str(10**37)] * 2
    first = run("run")
    letters = [p.read_text() for p in (folder / "lake/_weir/sinks/all/dead").glob("*.json")]
    say(first.returncode == 0 and len(letters) == 1, "refused: a dead letter", (first.returncode, first.stderr, letters))
    again = run("sinks", "retry", "all")
    code, got = Handler.forward(SimpleRequest(f"/exact/_source/{10**37}"), None)
    say(again.returncode == 0 and got.decode() == row, "sent again, the document is the row to the last digit", (again.returncode, again.stdout + again.stderr, code, got, row))


class SimpleRequest:
    command, headers = "GET", {}

    def __init__(self, path):
        self.path, self.server = path, proxy


EXACT = """version: 1
name: exact
lake: {warehouse: ./lake}
sources: {all: {files: in/*.ndjson}}
tables:
  bronze.all:
    source: all
    columns: {id: "decimal(38,0) required", m: "decimal(38,6)", n: long, s: string, raw: binary, at: timestamptz}
sinks:
  all: {from: bronze.all, columns: [m, n, s, raw, at], tries: 2, opensearch: {url: "URL", index: exact, id: [id]}}
"""


def logins():
    lake = Lake("logins", more=", auth: {basic: {user: weir, password: \"${OS_PASSWORD}\"}}")
    proxy.check = lambda handler, body: handler.headers["authorization"] == "Basic " + base64.b64encode(b"weir:pass word").decode()
    lake.window()
    run = lake.weir("run", OS_PASSWORD="wrong one")
    say(run.returncode == 1 and "401" in run.stderr and "wrong one" not in run.stderr, "a wrong password: exit 1", (run.returncode, run.stderr))
    lake.run("basic", OS_PASSWORD="pass word")
    lake.write(more=", auth: {api_key: \"${OS_KEY}\"}")
    proxy.check = lambda handler, body: handler.headers["authorization"] == "ApiKey a2V5OnNlY3JldA=="
    lake.window()
    lake.run("an API key", OS_KEY="a2V5OnNlY3JldA==")
    lake.write(more=", auth: {sigv4: {region: eu-west-2}}")
    proxy.check = signed
    lake.window()
    lake.run("signed for AWS", AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="test-secret")
    proxy.check = None


def main():
    lake = plain()
    busy(lake)
    killed(lake)
    wrong()
    refused()
    exact()
    logins()
    away(lake)


with services.Services() as running:
    if subprocess.run([root / "tools/env/setup", "opensearch"]).returncode:
        sys.exit("FAIL OpenSearch could not be installed")
    server = running.start("opensearch")
    proxy = Proxy(server.address)
    main()
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
