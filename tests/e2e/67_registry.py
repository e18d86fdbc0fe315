"""Avro records of Kafka with Confluent's framing: values as fastavro writes them, schemas from a registry by id, kept in the lake so that a
registry that is away stops nothing known; ids that nobody knows go to quarantine; schemas that evolve; logins. The registry is a small one
of the test's own; with WEIR_FULL=1, Apicurio too."""
import base64, http.server, io, json, os, random, shutil, struct, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request
from decimal import Decimal
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
import engines, fastavro
from confluent_kafka import Producer

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-registry."))
os.environ.update(WEIR_SERVICES=str(top / "services"), WEIR_SERVICES_OWNER=str(os.getpid()))
service = str(root / "tests/harness/service")


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def outcome(run):
    return f"{run.returncode} {run.stdout[-300:]} {run.stderr[-600:]}"


def rows(folder, table="bronze.t"):
    if not (folder / "lake" / table.replace(".", "/")).exists():
        return []
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return engines.read_duckdb(place, engines.load_table(place, table)).to_pylist()


def landed(folder):
    return sorted(({k: v for k, v in row.items() if k != "_kafka"} for row in rows(folder)), key=lambda row: row["id"])


class Registry:
    """What the protocol needs of one: schemas by id, subjects, and ways to be in trouble."""

    def __init__(self):
        self.schemas, self.subjects, self.asked, self.login, self.trouble, self.server = {}, {}, [], None, None, None
        self.start()
        self.port = self.server.server_address[1]

    def start(self, port=0):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                registry.asked.append(self.path)
                code, body = registry.answer(self.path, self.headers)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        for patience in range(100, -1, -1):  # somebody's connection may have borrowed the port meanwhile
            try:
                self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
                break
            except OSError:
                if not patience:
                    raise
                time.sleep(0.2)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, headers):
        if self.login and headers.get("Authorization") != self.login:
            return 401, {"error_code": 401, "message": "who are you"}
        if self.trouble:
            return self.trouble
        if path.startswith("/schemas/ids/"):
            found = self.schemas.get(int(path.rsplit("/", 1)[1]))
        else:
            _, _, subject, _, version = path.split("/")
            versions = self.subjects.get(subject, [])
            found = versions[-1 if version == "latest" else int(version) - 1] if versions else None
        return (200, found) if found else (404, {"error_code": 40403, "message": "not found"})

    def add(self, id, schema, **more):
        self.schemas[id] = {"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}


def record(*named, **fields):
    return {"type": "record", "name": (*named, "r")[0], "fields": [{"name": n, "type": t} for n, t in fields.items()]}


def framed(id, schema, datum):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return struct.pack(">bI", 0, id) + out.getvalue()


def pipeline(folder, broker, topic, registry, columns, extra=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weir.yaml").write_text(f"""version: 1
name: registry
lake: {{warehouse: ./lake}}
sources:
  s:
    kafka: {{topics: [{topic}], properties: {{bootstrap.servers: "{broker}"}}}}
    format: avro
    registry: {registry}
tables:
  bronze.t:
    source: s
{extra}    columns: {{{columns}}}
""")


def produce(broker, topic, values):
    producer = Producer({"bootstrap.servers": broker})
    for value in values:
        producer.produce(topic, value)
    producer.flush(30)


def main(broker, registry):
    one, url = top / "one", f"{{url: 'http://127.0.0.1:{registry.port}/', timeout: 2s}}"
    first = record(id="int", name=["null", "string"])
    second = record(id="long", name="string", more=["null", {"type": "array", "items": "double"}])
    registry.add(7, first)
    registry.add(4000000000, second)
    produce(broker, "one", [framed(7, first, {"id": 1, "name": "a"}), framed(7, first, {"id": 2, "name": None}), framed(4000000000, second, {"id": 2**40, "name": "b", "more": [1.5]})])
    pipeline(one, broker, "one", url, "id: long required, name: string")
    run = weir(one, "run")
    wanted = [{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 2**40, "name": "b"}]
    say(run.returncode == 0 and landed(one) == wanted, "two schemas on one topic", outcome(run) + str(landed(one)))
    say(sorted(registry.asked) == ["/schemas/ids/4000000000", "/schemas/ids/7"], "each is asked for once", registry.asked)
    # the registry is away: what is known lands, what is not waits, nothing is lost
    registry.stop()
    produce(broker, "one", [framed(7, first, {"id": 3, "name": "c"})])
    run = weir(one, "run")
    say(run.returncode == 0 and len(landed(one)) == 4, "a registry that is away stops nothing known", outcome(run))
    third = record(id="long", name=["null", "string"], color="string")
    produce(broker, "one", [framed(7, first, {"id": 4, "name": "d"}), framed(8, third, {"id": 5, "name": "e", "color": "red"})])
    run = weir(one, "run")
    say(run.returncode == 75 and len(landed(one)) == 4 and "schema registry" in run.stderr, "an id that is not known waits for it: exit 75", outcome(run))
    registry.start(registry.port)
    registry.trouble = (503, b"busy")
    run = weir(one, "run")
    say(run.returncode == 75 and len(landed(one)) == 4, "so it does while the registry is in trouble", outcome(run))
    registry.trouble = None
    registry.add(8, third)
    run = weir(one, "run")
    say(run.returncode == 0 and len(landed(one)) == 6, "and lands when it is back", outcome(run))
    # evolve: columns of what a schema brings
    pipeline(one, broker, "one", url, "id: long required, name: string", "    unknown_fields: evolve\n")
    produce(broker, "one", [framed(8, third, {"id": 6, "name": "f", "color": "blue"}), framed(4000000000, second, {"id": 7, "name": "g", "more": None})])
    run = weir(one, "run")
    wanted = [{"id": 6, "name": "f", "color": "blue", "more": None}, {"id": 7, "name": "g", "color": None, "more": None}]
    say(run.returncode == 0 and [row for row in landed(one) if row["id"] in (6, 7)] == wanted, "unknown_fields: evolve makes columns of new fields", outcome(run) + str(landed(one)))
    # incompatible, hostile, unknown: quarantine with the reason, neighbours land
    fourth = record(id="string", name="int")
    registry.add(9, fourth)
    registry.add(10, "{broken")
    registry.add(11, "syntax = 'proto3';", schemaType="PROTOBUF")
    values = [framed(9, fourth, {"id": "x", "name": 1}), struct.pack(">bI", 0, 12345) + b"x", b"{}", b"", b"\0\0\0", struct.pack(">bI", 0, 10) + b"\x02\x00", struct.pack(">bI", 0, 11) + b"\x02",
              framed(7, first, {"id": 8, "name": "h"}) + b"x", framed(7, first, {"id": 8, "name": "h"})[:-1], struct.pack(">bI", 0, 7) + b"\x10\x02\x02\xff", framed(7, first, {"id": 9, "name": "i"})]
    produce(broker, "one", values)
    run = weir(one, "run")
    found = [(r["_kafka"]["offset"] - 8, r["reason"]) for r in rows(one, "bronze.t__quarantine")]
    reasons = [(0, "type"), (1, "schema"), (2, "syntax"), (3, "empty"), (4, "syntax"), (5, "schema"), (6, "schema"), (7, "syntax"), (8, "syntax"), (9, "encoding")]
    say(run.returncode == 0 and sorted(found) == reasons, "what cannot be read is in quarantine, with its reason", outcome(run) + str(sorted(found)))
    say(len(landed(one)) == 9, "its neighbour landed", len(landed(one)))
    raws = {r["_kafka"]["offset"] - 8: bytes(r["raw"]) for r in rows(one, "bronze.t__quarantine")}
    say(all(raws[n] == values[n] for n in raws), "as it came")
    say("schema id 12345" in weir(one, "quarantine", "show", "t").stdout, "quarantine shows them")
    say(weir(one, "verify", "--deep").returncode == 0, "verify")
    many = [struct.pack(">bI", 0, 100000 + n) + b"x" for n in range(300)]
    produce(broker, "one", many)
    began = time.time()
    run = weir(one, "run")
    say(run.returncode == 0 and time.time() - began < 90 and len(rows(one, "bronze.t__quarantine")) == 310, "300 ids that nobody knows cost no patience each", f"{time.time() - began:.1f} s {outcome(run)}")
    # schemas that refer to others; logins
    two = top / "two"
    registry.subjects["where"] = [{"subject": "where", "version": 1, "id": 20, "schema": json.dumps(record("geo.place", x="double", y="double"))}]
    registry.add(21, {"type": "record", "name": "geo.trip", "fields": [{"name": "id", "type": "long"}, {"name": "start", "type": "geo.place"}, {"name": "end", "type": ["null", "place"]}]},
                 references=[{"name": "geo.place", "subject": "where", "version": 1}])
    trip = {"type": "record", "name": "geo.trip", "fields": [{"name": "id", "type": "long"}, {"name": "start", "type": record("geo.place", x="double", y="double")}, {"name": "end", "type": ["null", "geo.place"]}]}
    produce(broker, "two", [framed(21, trip, {"id": 1, "start": {"x": 1.0, "y": 2.0}, "end": None})])
    for name, login, config in (("a password", "Basic " + base64.b64encode(b"me:pa:ss").decode(), "auth: {basic: {user: me, password: 'pa:ss'}}"), ("a token", "Bearer t0ken", "auth: {bearer: t0ken}")):
        registry.login = login
        shutil.rmtree(two, ignore_errors=True)
        pipeline(two, broker, "two", url, "id: long, start: 'struct<x: double>', end: 'struct<y: double>'")
        run = weir(two, "run")
        say(run.returncode == 1 and "401" in run.stderr and "who are you" in run.stderr, f"without {name}: told, nothing lands", outcome(run))
        pipeline(two, broker, "two", url[:-1] + ", " + config + "}", "id: long, start: 'struct<x: double>', end: 'struct<y: double>'")
        run = weir(two, "run")
        say(run.returncode == 0 and landed(two) == [{"id": 1, "start": {"x": 1.0}, "end": None}], f"with {name}; a schema that refers to another", outcome(run) + str(landed(two)))
        shown = weir(two, "config").stdout
        say("t0ken" not in shown and "pa:ss" not in shown, f"{name} does not show", shown[-500:])
    registry.login = None
    bad_pipeline(broker)
    columns(registry)
    killed(broker, registry)
    framed_json(broker)
    if os.environ.get("WEIR_FULL"):
        through_apicurio(broker)


def columns(registry):
    """tables.*.registry: a table's columns are a subject's schema."""
    folder = top / "columns"
    (folder / "in").mkdir(parents=True)
    (folder / "in/a.ndjson").write_text('{"id": 1, "at": "2026-01-02T03:04:05Z", "price": 1, "tags": {"a": 1}, "who": {"name": "x"}, "days": ["2026-01-01"], "ref": "q"}\n'
                                        '{"at": null}\n{"id": 2, "who": {}}\n')
    place = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "definitions": {"who": place, "ref": {"type": "string", "minLength": 1}}, "required": ["id", "at"],
              "properties": {"id": {"type": "integer", "description": "number"}, "at": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}, "price": {"type": ["integer", "number"]},
                             "tags": {"type": "object", "additionalProperties": {"type": "integer", "format": "int32"}}, "who": {"$ref": "#/definitions/who"},
                             "days": {"type": "array", "items": {"type": ["string", "null"], "format": "date"}}, "ref": {"$ref": "#/definitions/ref"}, "color": {"enum": ["red", None]}}}

    def put(schema, kind="JSON"):
        registry.subjects["orders-value"] = [{"subject": "orders-value", "version": 1, "id": 1, "schemaType": kind, "schema": schema if isinstance(schema, str) else json.dumps(schema)}]

    def config(extra=""):
        (folder / "weir.yaml").write_text(f"version: 1\nname: c\nlake: {{warehouse: ./lake}}\nsources:\n  s: {{files: in/*.ndjson}}\ntables:\n  bronze.t:\n    source: s\n"
                                          f"    registry: {{url: 'http://127.0.0.1:{registry.port}', subject: orders-value{extra}, timeout: 2s}}\n")

    def types():
        place = engines.Place(catalog=str(folder / "lake/catalog.db"))
        return [str(f).split(": ", 1)[1] for f in engines.load_table(place, "bronze.t").schema().fields if f.name != "_source_file"]

    config()
    run = weir(folder, "validate")
    say(run.returncode == 2 and "404" in run.stderr and "subject: orders-value" in run.stderr, "a subject that is not there", outcome(run))
    put(schema)
    run = weir(folder, "run")
    wanted = ["id: required long (number)", "at: optional timestamptz", "price: optional double", "tags: optional map<string, int>", "who: optional struct<11: name: required string>",
              "days: optional list<date>", "ref: optional string", "color: optional string"]
    say(run.returncode == 0 and [t.split("<")[0] for t in types()] == [t.split("<")[0] for t in wanted], "columns of a JSON Schema", outcome(run) + str(types() if run.returncode == 0 else ""))
    found = sorted(r["reason"] for r in rows(folder, "bronze.t__quarantine"))
    say(len(rows(folder)) == 1 and found == ["required", "required"], "and what it requires", str(found))
    registry.stop()
    (folder / "in/b.ndjson").write_text('{"id": 3}\n')
    run = weir(folder, "run")
    say(run.returncode == 0 and len(rows(folder)) == 2, "a registry that is away: the columns as they were", outcome(run))
    config(", version: 1")
    run = weir(folder, "run")
    say(run.returncode == 75 and "schema registry" in run.stderr, "which were never asked for: exit 75", outcome(run))
    registry.start(registry.port)
    config()
    schema["properties"]["late"] = {"type": "number"}
    put(schema)
    (folder / "in/c.ndjson").write_text('{"id": 4, "late": 1.5}\n')
    run = weir(folder, "run")
    say(run.returncode == 0 and any(row["late"] == 1.5 for row in rows(folder)), "a schema that grows adds its column", outcome(run))
    for name, wrong, says in (("allOf", {"type": "object", "properties": {"x": {"allOf": [{"type": "string"}]}}}, "$.properties.x: allOf does not become columns"),
                              ("types", {"type": "object", "properties": {"x": {"type": ["string", "integer"]}}}, "$.properties.x: several types"),
                              ("a loop", {"type": "object", "properties": {"x": {"$ref": "#"}}}, "holds itself"), ("no object", {"type": "string"}, "must be an object"),
                              ("no $ref", {"type": "object", "properties": {"x": {"$ref": "#/definitions/y"}}}, "$ref: no #/definitions/y"), ("no JSON", "{", "the schema is no JSON")):
        put(wrong)
        run = weir(folder, "validate")
        say(run.returncode == 2 and says in run.stderr, f"refused by name and place: {name}", outcome(run))
    put("syntax", "PROTOBUF")
    put(record(id="long", at=["null", {"type": "long", "logicalType": "timestamp-millis"}]), "AVRO")
    shutil.rmtree(folder / "lake")
    run = weir(folder, "run")
    say(run.returncode == 0 and types() == ["id: required long", "at: optional timestamptz"], "columns of an Avro schema", outcome(run))
    kept_in_a_bucket(registry, folder, config)


def kept_in_a_bucket(registry, folder, config):
    started = subprocess.run([service, "start", "s3proxy"], capture_output=True, text=True, check=True).stdout.split()[-1]
    subprocess.run([service, "bucket", "s3proxy", "lake"], check=True, stdout=subprocess.DEVNULL)
    keys = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret123"}
    config()
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text.replace("warehouse: ./lake", f"warehouse: s3://lake/wh, region: us-east-1, s3: {{endpoint: '{started}', path_style: true}}"))
    first = weir(folder, "run", **keys)
    registry.stop()
    (folder / "in/d.ndjson").write_text('{"id": 5, "at": "2026-01-02T03:04:05Z"}\n')
    second = weir(folder, "run", **keys)
    say(first.returncode == 0 and second.returncode == 0 and "1 landed" in second.stdout, "a lake in a bucket keeps them too", outcome(first) + outcome(second))
    registry.start(registry.port)


def framed_json(broker):
    """framing: confluent: what the JSON serialisers of registries put in front is passed over."""
    folder = top / "json"
    folder.mkdir()
    head = b"\0\0\0\0\7"
    produce(broker, "json", [head + b'{"id": 1, "s": "x"}', b'{"id": 2}', head + b'{"id": "no"}', head, head + b'{"id": 3, "late": true}'])
    (folder / "weir.yaml").write_text(f"version: 1\nname: j\nlake: {{warehouse: ./lake}}\nsources:\n  s: {{framing: confluent, kafka: {{topics: [json], properties: {{bootstrap.servers: '{broker}'}}}}}}\n"
                                      "tables:\n  bronze.t: {source: s, unknown_fields: evolve, columns: {id: long required, s: string}}\n")
    run = weir(folder, "run")
    found = sorted((row["id"], row["s"], row["late"]) for row in rows(folder))
    bad_ones = sorted((row["reason"], row["position"], row["raw"][:5]) for row in rows(folder, "bronze.t__quarantine"))
    say(run.returncode == 0 and found == [(1, "x", None), (2, None, None), (3, None, True)], "JSON with Confluent's framing, and without", f"{outcome(run)} {found}")
    say([each[0] for each in bad_ones] == ["syntax", "type"] and bad_ones[1][1] == 12 and all(each[2] == head for each in bad_ones), "what is refused is kept with its frame, its place counted from the frame", bad_ones)
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text.replace("framing: confluent, kafka", "format: avro, framing: confluent, registry: {url: 'http://x'}, kafka"))
    run = weir(folder, "validate")
    say(run.returncode == 2 and "it is for JSON records of Kafka" in run.stderr, "framing is for JSON", outcome(run))


def killed(broker, registry):
    """Runs that die at an effect, the schema's keeping among them: each record once."""
    folder, url = top / "killed", f"{{url: 'http://127.0.0.1:{registry.port}', timeout: 2s}}"
    pipeline(folder, broker, "two", url, "id: long, start: 'struct<x: double>'")
    counted = folder / "effects"
    weir(folder, "run", WEIR_TEST_EFFECTS=str(counted))
    effects = counted.read_text().splitlines()
    kept = next((n for n, line in enumerate(effects, 1) if "_weir/schemas" in line), 0)
    say(kept > 0, "keeping a schema is an effect", effects)
    wrong, deaths, tries = [], 0, 0
    for n in range(1, len(effects) + 1) if os.environ.get("WEIR_FULL") else (kept, len(effects) * 2 // 3):
        for how in ("before", "after"):
            shutil.rmtree(folder / "lake", ignore_errors=True)
            died = weir(folder, "run", WEIR_TEST_KILL=f"{n}:{how}")
            run = weir(folder, "run")
            tries, deaths = tries + 1, deaths + (died.returncode == -9)  # how often a lease is renewed differs
            if died.returncode not in (-9, 0) or run.returncode or [row["id"] for row in landed(folder)] != [1]:
                wrong.append(f"{n}:{how} {died.returncode} {outcome(run)} {landed(folder)}")
    say(not wrong and deaths > tries * 3 // 4, f"killed at effects: each record once # {deaths} of {tries}", wrong[:2])


def through_apicurio(broker):
    """The same with a real registry: schemas that evolve as it allows, and as it does not; away; ids that it does not know."""
    subprocess.run([root / "tools/env/setup", "apicurio"], check=True, capture_output=True)
    url = subprocess.run([service, "start", "apicurio"], capture_output=True, text=True, check=True).stdout.split()[-1]
    folder = top / "apicurio"

    def ask(method, path, body):
        request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/vnd.schemaregistry.v1+json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def register(subject, schema, **more):
        return ask("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema), **more})

    ask("PUT", "/config/orders-value", {"compatibility": "BACKWARD"})
    old = record("shop.order", id="int", name=["null", "string"])
    new = {**old, "fields": [{"name": "id", "type": "long"}, *old["fields"][1:], {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}], "default": None}]}
    wrong = record("shop.order", id="string", name="string")
    first, second = register("orders-value", old)[1]["id"], register("orders-value", new)
    say(second[0] == 200, "Apicurio: a compatible schema", second)
    second = second[1]["id"]
    refused = register("orders-value", wrong)
    say(refused[0] == 409, "Apicurio: an incompatible one is refused by the registry", refused)
    third = register("others-value", wrong)[1]["id"]
    produce(broker, "three", [framed(first, old, {"id": 1, "name": "a"}), framed(second, new, {"id": 2**40, "name": None, "price": Decimal("1.50")}), framed(third, wrong, {"id": "x", "name": "y"}),
                              struct.pack(">bI", 0, 987654) + b"x"])
    (folder).mkdir()
    (folder / "weir.yaml").write_text(f"""version: 1
name: apicurio
lake: {{warehouse: ./lake}}
sources:
  s: {{kafka: {{topics: [three], properties: {{bootstrap.servers: "{broker}"}}}}, format: avro, registry: {{url: "{url}"}}}}
tables:
  bronze.t: {{source: s, registry: {{url: "{url}", subject: orders-value}}}}
""")
    run = weir(folder, "run")
    wanted = [{"id": 1, "name": "a", "price": None}, {"id": 2**40, "name": None, "price": Decimal("1.50")}]
    found = sorted((r["_kafka"]["offset"], r["reason"]) for r in rows(folder, "bronze.t__quarantine"))
    say(run.returncode == 0 and landed(folder) == wanted and found == [(2, "type"), (3, "schema")], "Apicurio: right rows or quarantine", outcome(run) + str(landed(folder)) + str(found))
    newer = {**new, "fields": [*new["fields"], {"name": "color", "type": ["null", "string"], "default": None}]}
    fourth = register("orders-value", newer)[1]["id"]
    produce(broker, "three", [framed(fourth, newer, {"id": 3, "name": "c", "price": None, "color": "red"})])
    run = weir(folder, "run")
    say(run.returncode == 0 and landed(folder)[1] == {"id": 3, "name": "c", "price": None, "color": "red"}, "Apicurio: a schema that grows adds its column", outcome(run) + str(landed(folder)))
    newest = {**newer, "fields": [*newer["fields"], {"name": "size", "type": "int", "default": 0}]}
    fifth = register("orders-value", newest)[1]["id"]
    subprocess.run([service, "stop", "apicurio"], check=True, stdout=subprocess.DEVNULL)
    produce(broker, "three", [framed(second, new, {"id": 4, "name": "d", "price": None})])
    run = weir(folder, "run")
    say(run.returncode == 0 and len(landed(folder)) == 4, "Apicurio away: what is known lands", outcome(run))
    produce(broker, "three", [framed(fifth, newest, {"id": 5, "name": "e", "price": None, "color": None, "size": 1})])
    run = weir(folder, "run")
    say(run.returncode == 75 and len(landed(folder)) == 4, "Apicurio away: what is not known waits", outcome(run))
    say(weir(folder, "verify", "--deep").returncode == 0, "Apicurio: verify")


def bad_pipeline(broker):
    folder = top / "bad"
    for config, says in (("{url: 'ftp://x'}", "expected http:// or https://"), ("{url: 'http://x', auth: {bearer: a, basic: {user: b, password: c}}}", "basic, bearer, or none"), ("{}", "url")):
        pipeline(folder, broker, "one", config, "id: long")
        run = weir(folder, "validate")
        say(run.returncode == 2 and says in run.stderr, f"refused: {config}", outcome(run))


try:
    broker = subprocess.run([service, "start", "kafka"], capture_output=True, text=True, check=True).stdout.split()[-1]
    for topic in ("one", "two", "three", "json"):
        subprocess.run([service, "topic", "kafka", "create", topic, "1"], check=True, stdout=subprocess.DEVNULL)
    main(broker, Registry())
finally:
    subprocess.run([service, "stop", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
