"""What the tests of REST catalogs share: a proxy between Weir and the catalog that loses, doubles and garbles answers, an OAuth2
token endpoint, and lakes over files whose records are counted."""
import concurrent.futures, http.client, http.server, json, os, random, subprocess, sys, tempfile, threading, time, urllib.parse
from pathlib import Path

import services

ROOT = Path(__file__).resolve().parents[2]
WEIR = os.environ.get("WEIR", "")
SEED, FULL = int(os.environ.get("WEIR_SEED", "1")), bool(os.environ.get("WEIR_FULL"))
top = Path(tempfile.mkdtemp(prefix="weir-rest."))
running = services.Services()
failures = []


def say(good, name, detail=""):
    if not good:
        failures.append(name)
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def finish():
    print(f"{len(failures)} failed")
    sys.exit(bool(failures))


def server(kind, **options):
    subprocess.run([ROOT / "tools/env/setup", kind], check=True)
    return running.start(kind, **options)


# -- a proxy between Weir and the catalog ---------------------------------------------------------------


class Proxy(http.server.ThreadingHTTPServer):
    """Hands on what comes; `change` (request, code, body) -> (code, body) may replace an answer. `fault` happens to the first sending of each commit: lost-before, lost-after (no answer), 500, 503
    (before it reaches the catalog), 500-after, 503-after, doubled (sent twice, the second answer is told), 409-after, garbage."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.fault, self.seen, self.commits, self.registrations, self.before = target.removeprefix("http://"), None, set(), 0, 0, None
        self.dice, self.change = random.Random(SEED), None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a killed client


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def forward(self, body):
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("content-length", "connection")}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            code, text = answer.status, answer.read()
            return self.server.change(self, code, text) if self.server.change else (code, text)
        finally:
            connection.close()

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def handle_any(self):
        proxy, body = self.server, self.rfile.read(int(self.headers.get("content-length") or 0))
        proxy.registrations += self.path.endswith("/register")
        if proxy.fault == "hostile":
            return self.answer(*hostile_answer(*self.forward(body), proxy.dice))
        if self.command != "POST" or (b'"requirements"' not in body and not self.path.endswith("/register")):
            return self.answer(*self.forward(body))
        proxy.commits += 1
        if proxy.before:
            before, proxy.before = proxy.before, None
            before()
        key = self.path if b'"assert-create"' in body else body  # a creation that failed is another one the next time
        fault = proxy.fault if key not in proxy.seen else None
        proxy.seen.add(key)
        if fault == "random":
            fault = random.Random(SEED * 1000 + proxy.commits).choice([*FAULTS, None])
        error = lambda code, kind: json.dumps({"error": {"message": "a fault", "type": kind, "code": code}}).encode()
        if fault == "lost-before":
            return self.drop()
        if fault in ("500", "503"):
            return self.answer(int(fault), error(int(fault), "InternalServerError"))
        answer = self.forward(body)
        if fault == "lost-after":
            return self.drop()
        if fault in ("500-after", "503-after"):
            return self.answer(int(fault[:3]), error(int(fault[:3]), "CommitStateUnknownException"))
        if fault == "409-after":
            return self.answer(409, error(409, "CommitFailedException"))
        if fault == "doubled":
            answer = self.forward(body)
        if fault == "garbage":
            answer = (200, b"<html>welcome</html>")
        self.answer(*answer)

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any


def places(value, path=()):
    """Where something is in a JSON value: (path, what is there), the value itself first."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def hostile_answer(code, text, dice):
    """The catalog's answer with one thing wrong: a value that nobody expects there, a key gone, the text cut."""
    how = dice.random()
    if how < 0.1:
        return code, text[: dice.randrange(len(text) + 1)]
    if how < 0.15:
        return dice.choice([200, 204, 301, 400, 404, 406, 418]), dice.choice([b"", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"error":[]}', b'{"error":{"message":3,"type":{}}}', b"[" * 5000])
    odd = [None, True, -1, 2**63 - 1, -(2**63), 1e308, "", "x", "\u0000", "../../../etc/passwd", "s3://", "é" * 70000, [], {}, [[]], [None] * 1000, {"type": "struct"}, {"": {}}]
    try:
        value = json.loads(text)
        path = dice.choice(list(places(value)))
        if not path:
            return code, json.dumps(dice.choice(odd)).encode()
        at = value
        for key in path[:-1]:
            at = at[key]
        if isinstance(at, dict) and dice.random() < 0.2:
            del at[path[-1]]
        else:
            at[path[-1]] = dice.choice(odd)
        return code, json.dumps(value).encode()
    except ValueError:
        return code, text


FAULTS = ["lost-before", "lost-after", "500", "503", "500-after", "503-after", "409-after", "doubled", "garbage"]

# -- lakes ----------------------------------------------------------------------------------------------


class Lake:
    """A pipeline of its own over files, or over a topic of its own at the broker `kafka`: {name}.bronze.readings does not exist,
    so a table's name carries the lake's."""

    def __init__(self, name, uri, warehouse, rest="", lake="", models="", kafka=None):
        self.name, self.folder, self.table, self.sent, self.kafka = name, top / name, f"bronze.{name}", 0, kafka
        (self.folder / "in").mkdir(parents=True)
        source = '{files: "in/*.ndjson"}'
        if kafka:
            services.create_topic(kafka, name, partitions=2)
            source = f'{{kafka: {{topics: [{name}], properties: {{bootstrap.servers: "{kafka}"}}}}}}'
        (self.folder / "weir.yaml").write_text(
            f"""version: 1
name: {name}
lake:
  warehouse: {warehouse}
  catalog: {{rest: {{uri: "{uri}"{rest}}}}}
{lake}
sources:
  f: {source}
tables:
  {self.table}:
    source: f
    columns: {{id: long required, site: string, "v": double}}
{models}"""
        )

    def more(self, count):
        """A file of `count` records more, or so many to the topic."""
        lines = [json.dumps({"id": i, "site": f"s{i % 7}", "v": i / 8}) for i in range(self.sent, self.sent + count)]
        if self.kafka:
            from confluent_kafka import Producer

            producer = Producer({"bootstrap.servers": self.kafka, "enable.idempotence": True, "linger.ms": 5, "log_level": 3})
            for number, line in enumerate(lines):
                producer.produce(self.name, line, partition=number % 2)
            assert producer.flush(30) == 0
            self.sent += count
            return
        (self.folder / "in" / f"{self.sent:09}.ndjson").write_text("\n".join(lines) + "\n")
        self.sent += count

    def weir(self, *arguments, **environment):
        return subprocess.run(
            [WEIR, arguments[0], "-p", str(self.folder / "weir.yaml"), *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment},
        )

    def run(self, **environment):
        """Until a run has nothing more to do; the exit codes on the way."""
        codes = []
        while len(codes) < 20:
            done = self.weir("run", **environment)
            environment, codes = {}, [*codes, done.returncode]
            if done.returncode == 0:
                return codes, done
            if done.returncode not in (75, -9):
                break
        return codes, done

    def once(self):
        """Is each record there once? '' or what is wrong."""
        done = self.weir("query", "-o", "csv", f"SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {self.table}")
        got = done.stdout.splitlines()[-1:] or [done.stderr]
        return "" if got == [f"{self.sent},{self.sent},0,{self.sent - 1}"] else f"{got} of {self.sent}: {done.stderr}"


def through_catalog(uri, name, s3=None, **more):
    from pyiceberg.catalog import load_catalog

    return load_catalog(name, type="rest", uri=uri, **more, **({"s3.endpoint": s3, "s3.access-key-id": services.S3_KEY, "s3.secret-access-key": services.S3_SECRET, "s3.region": services.S3_REGION} if s3 else {}))


def foreign_snapshot(table):
    """Somebody else moves main, by a snapshot without rows."""
    table.refresh()
    with table.transaction() as transaction:
        with transaction.update_snapshot().fast_append():
            pass


# -- tokens ---------------------------------------------------------------------------------------------


class TokenServer(http.server.ThreadingHTTPServer):
    """An OAuth2 token endpoint: knows one client, gives tokens that live for `seconds`."""

    daemon_threads = True

    def __init__(self, key, seconds):
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.key, self.seconds, self.given = key, seconds, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/token"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        good = form.get("client_id") == ["weir"] and form.get("client_secret") == ["s3cret"] and form.get("grant_type") == ["client_credentials"]
        body = {"error": "invalid_client", "error_description": "not known here"}
        if good:
            self.server.given += 1
            body = {"access_token": services.make_token(self.server.key, "weir", self.server.seconds), "token_type": "bearer", "expires_in": self.server.seconds}
        text = json.dumps(body).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
