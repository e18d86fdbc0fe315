"""Region, owner and class: a bucket elsewhere or of somebody else, a key, a sink, a catalog outside of the policy. Exit 2, and nothing
is written anywhere. Buckets of moto have regions; of accounts it knows nothing: a proxy in front of it answers
x-amz-expected-bucket-owner as AWS documents it (403 AccessDenied), and redirects."""
import http.client, http.server, json, os, re, subprocess, sys, tempfile, threading, xml.etree.ElementTree
from pathlib import Path

import pyarrow.parquet

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
import services

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-pins."))
running = services.Services()
US, THEM = "111122223333", "444455556666"


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def server(kind, **options):
    subprocess.run([ROOT / "tools/env/setup", kind], check=True, capture_output=True)
    return running.start(kind, **options)


def serve(handler):
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listening.daemon_threads, listening.url = True, f"http://127.0.0.1:{listening.server_address[1]}"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    return listening


def credential(region):
    return f"AWS4-HMAC-SHA256 Credential=testkey/20261124/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"


class Store(http.server.BaseHTTPRequestHandler):
    """moto, with owners of buckets: another one than the request expects is 403, as AWS documents."""

    protocol_version = "HTTP/1.1"
    target, owners, moved, asked = "", {}, {}, []

    def log_message(self, *_):
        pass

    def answer(self, code, headers, body):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", headers_length(headers, body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bucket, expected = self.path.split("?")[0].split("/")[1], self.headers.get("x-amz-expected-bucket-owner")
        Store.asked.append((self.command, self.path, expected))
        if bucket in Store.moved:
            text = b"<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be addressed using the specified endpoint.</Message></Error>"
            return self.answer(301, [("x-amz-bucket-region", Store.moved[bucket]), ("Location", "http://127.0.0.1:1/")], text)
        if expected and expected != Store.owners.get(bucket):
            return self.answer(403, [], b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        connection = http.client.HTTPConnection(Store.target, timeout=30)
        connection.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in ("content-length", "connection")})
        got = connection.getresponse()
        self.answer(got.status, [(k, v) for k, v in got.getheaders() if k.lower() not in ("transfer-encoding", "connection", "date", "server") and (k.lower() != "content-length" or self.command == "HEAD")],
                    got.read())
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward


def headers_length(headers, body):
    given = [value for name, value in headers if name.lower() == "content-length"]
    headers[:] = [(name, value) for name, value in headers if name.lower() != "content-length"]
    return given[0] if given and not body else str(len(body))


class Receiver(http.server.BaseHTTPRequestHandler):
    """A webhook, and a REST catalog whose configuration leads elsewhere."""

    asked, bodies, leads, refuses = [], [], None, False

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Receiver.asked.append((self.command, self.path))
        Receiver.bodies.append((self.path, body))
        refused = Receiver.refuses and self.path == "/x"
        body = b"" if not refused else b"no such host: " + body
        self.send_response(422 if refused else 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_DELETE = do_POST

    def do_GET(self):
        Receiver.asked.append((self.command, self.path))
        text = json.dumps({"defaults": {}, "overrides": {"uri": Receiver.leads} if Receiver.leads else {}}).encode() if self.path.startswith("/v1/config") else b'{"error": {"message": "no such table", "type": "NoSuchTableException", "code": 404}}'
        self.send_response(200 if self.path.startswith("/v1/config") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def make_bucket(address, name, region):
    body = "" if region == "us-east-1" else f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("PUT", f"/{name}", body, {"Authorization": credential(region), "Host": f"s3.{region}.amazonaws.com"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    Store.owners[name] = US


def objects(bucket):
    connection = http.client.HTTPConnection(Store.target, timeout=30)
    connection.request("GET", f"/{bucket}?list-type=2", headers={"Authorization": credential("eu-west-2")})
    tree = xml.etree.ElementTree.fromstring(connection.getresponse().read())
    space = re.match(r"\{.*\}", tree.tag)
    space = space[0] if space else ""
    return sorted((item.findtext(f"{space}Key"), item.findtext(f"{space}ETag")) for item in tree.iter(f"{space}Contents"))


PIPELINE = """version: 1
name: pins
lake: {{warehouse: "{warehouse}", region: {region}, classification: [{policies}]{lake}}}
sources: {{readings: {{files: in/*.ndjson}}}}
tables:
  bronze.readings: {{source: readings, columns: {{id: long required, host: {{type: string, class: personal}}}}}}
  silver.last: {{sql: last.sql, mode: merge, unique_key: [id], order_by: [id]}}
sinks:
  hook: {{from: silver.last, columns: [id], {sink}}}
policies:
  GDPR: {{regions: [eu-west-2], personal: {{sinks: []}}}}
  TWO: {{regions: [eu-west-2, eu-central-1], personal: {{sinks: []}}}}
"""


class Lake:
    def __init__(self, name, bucket, region="eu-west-2", policies="GDPR", account=US, sink=None, s3="", lake="", warehouse=None):
        self.folder, self.bucket = top / name, bucket
        (self.folder / "in").mkdir(parents=True)
        (self.folder / "in/1.ndjson").write_text('{"id": 1, "host": "secret-one"}\n{"id": 2, "host": "secret-two"}\n{"id": "secret-three", "host": "secret-four"}\n')
        (self.folder / "last.sql").write_text("SELECT id, host FROM bronze.readings\n")
        store = f', s3: {{endpoint: "{STORE}", path_style: true{f", account: {json.dumps(account)}" if account else ""}{s3}}}' if not warehouse else ""
        (self.folder / "weir.yaml").write_text(PIPELINE.format(warehouse=warehouse or f"s3://{bucket}/wh", region=region, policies=policies, lake=store + lake,
                                                               sink=sink or f'webhook: {{url: "{receiver.url}/x", id: [id]}}'))

    def edit(self, *pairs):
        text = (self.folder / "weir.yaml").read_text()
        for old, new in pairs:
            text = text.replace(old, new)
        (self.folder / "weir.yaml").write_text(text)
        return self

    def weir(self, *arguments):
        return subprocess.run([WEIR, *arguments, "-p", str(self.folder / "weir.yaml")], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret123", "AWS_CONFIG_FILE": "/nonexistent"})

    def refused(self, name, *words, verb=("run",)):
        """Exit 2 with these words; the bucket is as it was, nobody was told anything, and nobody was asked to write."""
        before, at, told = objects(self.bucket) if self.bucket else None, len(Store.asked), len(Receiver.asked)
        done = self.weir(*verb)
        writes = [a for a in Store.asked[at:] if a[0] not in ("GET", "HEAD")] + [a for a in Receiver.asked[told:] if a[0] != "GET"]
        there = [str(p) for p in self.folder.rglob("*") if p.is_file() and p.name not in ("weir.yaml", "1.ndjson", "last.sql", "other.yaml")]
        good = done.returncode == 2 and all(word in done.stderr for word in words) and not writes and not there and "secret-" not in done.stderr + done.stdout
        say(good and (not self.bucket or objects(self.bucket) == before), name, f"exit {done.returncode}, {writes} {there} {done.stdout} {done.stderr}")


Store.target = server("moto").address.removeprefix("http://")
STORE, receiver = serve(Store).url, serve(Receiver)
for bucket, region in (("home", "eu-west-2"), ("away", "eu-central-1"), ("far", "us-east-1"), ("theirs", "eu-west-2")):
    make_bucket(Store.target, bucket, region)
Store.owners["theirs"] = THEM

# -- where it may lie, it does ------------------------------------------------------------------------------------------

good = Lake("good", "home")
done = good.weir("run")
told = [a for a in Receiver.asked if a[0] == "POST"]
say(done.returncode == 0 and objects("home") and len(told) == 2, "a bucket, an owner and a sink as the policy wants them", f"{done.returncode} {told} {done.stdout} {done.stderr}")
say({a[2] for a in Store.asked} == {US} and {a[0] for a in Store.asked} >= {"HEAD", "GET", "PUT"}, "the expected owner goes with every request", {(a[0], a[2]) for a in Store.asked})
done = Lake("two", "away", region="eu-central-1", policies="TWO").weir("run")
say(done.returncode == 0, "the second of a policy's regions", done.stderr)
done = good.weir("doctor")
say(done.returncode == 0 and "the bucket says it lies in eu-west-2, as lake.region does; it belongs to account 111122223333" in done.stdout, "doctor shows what was found", done.stdout + done.stderr)

# -- where it may not ---------------------------------------------------------------------------------------------------

Lake("elsewhere", "away").refused("a bucket in another region", "bucket away is in region eu-central-1, not in eu-west-2 as configured")
NO_CLASS = (", class: personal", ""), ("classification: [GDPR], ", "")
Lake("unpolicied", "far", policies="").edit(*NO_CLASS).refused("a bucket in another region, without any policy", "bucket far is in region us-east-1")
Lake("theirs", "theirs").refused("a bucket of another account", "bucket theirs does not belong to account 111122223333")
Store.moved["far"] = "us-east-1"
Lake("moved", "far").refused("a redirect is told, and not gone after", "bucket far is in region us-east-1, not in eu-west-2")
del Store.moved["far"]
Lake("region", "home", region="eu-west-1").refused("a lake that says another region than its policy", "weir.yaml:3:", "lake.region: eu-west-1 is not among the regions of policy GDPR (eu-west-2)")
Lake("key", "home", s3=', kms_key: "arn:aws:kms:eu-west-1:111122223333:key/1"').refused("a key in another region", "weir.yaml:3:", "the key lies in eu-west-1, and the lake in eu-west-2")
Lake("key2", "home", s3=', kms_key: "arn:aws:kms:eu-west-2:444455556666:key/1"').refused("a key of another account", "the key belongs to account 444455556666")
Lake("sink", "home", sink='webhook: {url: "https://x.execute-api.us-east-1.amazonaws.com/x", id: [id]}').refused("a webhook outside", "weir.yaml:9:", "us-east-1 is not among the regions")
Lake("nowhere", "home", sink='webhook: {url: "http://hooks.example:1/x", id: [id]}').refused("a sink whose place nobody states", "weir.yaml:9:", "no region can be told from the name of its host", "sinks.hook.region: REGION says where it lies")
Lake("search", "home", sink='opensearch: {url: "https://search.example", index: i, id: [id], auth: {sigv4: {region: us-east-1}}}').refused("an index outside", "sigv4.region: us-east-1 is not among")
Lake("brokers", "home", sink='kafka: {topic: t, key: [id], properties: {bootstrap.servers: "127.0.0.1:1,b-2.x.kafka.us-east-1.amazonaws.com:9098"}}').refused("a broker outside", "us-east-1 is not among")
Lake("catalog", "home", lake=', catalog: {rest: {uri: "https://glue.us-east-1.amazonaws.com/iceberg"}}').refused("a catalog outside", "lake.catalog.rest.uri: us-east-1 is not among")
Receiver.leads = "http://catalog.us-east-1.api.aws/x"
Lake("leads", "home", lake=f', catalog: {{rest: {{uri: "{receiver.url}"}}}}').refused("a catalog that leads outside", "leads to http://catalog.us-east-1.api.aws/x, in us-east-1, and policy GDPR does not allow that")
Receiver.leads = "http://catalog.example"
Lake("leads2", "home", lake=f', catalog: {{rest: {{uri: "{receiver.url}"}}}}').refused("a catalog that leads nobody knows where", "whose name tells no region")
Receiver.leads = None

Lake("unclassified", "home", policies="").refused("a lake that nobody classified has no personal columns", "weir.yaml:6:", "tables.bronze.readings.columns.host is personal, and no policy", "lake.classification: [GDPR, TWO]")
Lake("told", None, warehouse="./lake").edit(("columns: [id], ", "")).refused("a personal column to a sink that may not have it", "weir.yaml:9:", "sinks.hook would receive host of silver.last, which is personal", verb=("validate",))
Lake("lower", None, warehouse="./lake").edit(("mode: merge,", "mode: merge, columns: {id: long required, host: {type: string, class: none}},")).refused(
    "a class declared too low", "weir.yaml:7:", "column host of silver.last is declared as none, and holds personal values: silver.last.host <- bronze.readings.host", verb=("validate",))

# -- every verb that writes ---------------------------------------------------------------------------------------------

(good.folder / "other.yaml").write_text(f'lake: {{catalog: {{rest: {{uri: "{receiver.url}"}}}}}}\n')
Store.owners["home"] = THEM
for verb in (("run",), ("promote", "silver.last"), ("maintain",), ("quarantine", "retry", "bronze.readings"), ("quarantine", "discard", "bronze.readings", "--reason", "x", "--yes"),
             ("offsets", "rebind", "bronze.readings", "--reason", "x", "--yes"), ("sinks", "reset", "hook", "earliest", "--yes"), ("sinks", "retry", "hook"),
             ("register", "bronze.readings", "--catalog", str(good.folder / "other.yaml"))):
    good.refused(f"{' '.join(verb[:2])}: the bucket has changed hands", "does not belong to account" if verb[0] != "register" else "", verb=verb)
done = good.weir("doctor")
say(done.returncode == 1 and "does not belong to account 111122223333" in done.stdout, "doctor tells it too", done.stdout + done.stderr)
Store.owners["home"] = US
done = good.weir("run")
say(done.returncode == 0, "the bucket is ours again", done.stderr)

# -- nothing personal where nobody looks for it -------------------------------------------------------------------------

Receiver.refuses = True
lake = Lake("quiet", None, warehouse="./lake", sink=f'webhook: {{url: "{receiver.url}/x", id: [id]}}, tries: 1').edit(
    ("columns: [id], ", ""), ("personal: {sinks: []}", "personal: {sinks: [hook]}"),
    ("type: string, class: personal}}", 'type: string, class: personal}}, expect: [{name: polite, that: "host <> \'secret-rude\' or length(host) < 99", on_fail: warn}, {that: "host not like \'%-bad\'", on_fail: quarantine}]'),
    ("order_by: [id]}", 'order_by: [id], expect: [{name: few, that: "host like \'%one\'", on_fail: warn}, {name: kind, that: "host not like \'%-rude\'", on_fail: quarantine}]}\n  gold.number: {sql: number.sql, mode: full}\n  gold.strict: {sql: last.sql, mode: full, expect: [{name: strict, that: "host = \'x\'", on_fail: fail}]}'))
with open(lake.folder / "weir.yaml", "a") as more:
    more.write(f'lineage: {{openlineage: {{url: "{receiver.url}"}}}}\n')
(lake.folder / "number.sql").write_text("SELECT id, host::int AS n, host::timestamptz AS t, (host || '{')::json AS j FROM bronze.readings\n")
(lake.folder / "in/1.ndjson").write_text('{"id": 1, "host": "secret-one"}\n{"id": 2, "host": "secret-rude"}\n{"id": "secret-three", "host": "x"}\n{"id": 3, "host": "secret-bad"}\n{"id": 4, "host": ["secret-four"]}\n'
                                         '{"id": 5, "secret-name": {"secret-key": "secret-five"\n{"id": 99999999999999999999, "host": "secret-six"}\n{"secret-id": 7}\n')
said = []
for arguments in (("run",), ("run", "-o", "json"), ("promote", "gold.number"), ("promote", "gold.strict"), ("promote", "gold.strict", "--what-if", "-o", "json"), ("promote", "silver.last", "--what-if"), ("status", "-o", "json"),
                  ("history", "bronze.readings", "-o", "json"), ("runs", "-o", "json"), ("quarantine", "show", "bronze.readings", "-o", "json"), ("quarantine", "show", "silver.last"), ("quarantine", "retry", "bronze.readings"),
                  ("sinks", "dead", "hook", "-o", "json"), ("sinks", "-o", "json"), ("sinks", "retry", "hook"), ("plan", "-o", "json"), ("verify", "--deep"), ("doctor",), ("graph", "-o", "json"), ("config",)):
    done = lake.weir(*arguments)
    said.append((" ".join(arguments), done.stdout + done.stderr))
words = dict(said)
config = (lake.folder / "weir.yaml").read_text()
leaks = [(name, text) for name, text in said for found in set(re.findall(r"secret-\w+", text)) if found not in config]
say(not leaks, "no value of a personal column in what verbs say", leaks)
dead = json.loads(words["sinks dead hook -o json"])
say(len(dead) == 1 and "422" in dead[0]["reason"] and not {"row", "key", "sent"} & set(dead[0]), "dead letters are listed without their rows", dead)
say("2 landed, 6 refused" in words["run"] and "1 rows set aside" in words["run"] and '"host":"***"' in words["run"] and "1 were refused" in words["run"] and "a text that is no int" in words["run"],
    "there was much to tell: refused, set aside, sampled, not taken, not computed", words["run"])
files = [f for f in (lake.folder / "lake").rglob("*") if f.is_file()]
rows = [f for f in files if f.suffix == ".parquet" or "/letters/" in str(f) or "/dead/" in str(f)]
leaks = [str(f.relative_to(lake.folder)) for f in files if f not in rows and re.search(rb"secret-(?!rude|bad)", f.read_bytes())]
say(len(files) > 20 and not leaks, "none in receipts, runs, metadata, manifests, cursors", leaks)
told = b" ".join(body for path, body in Receiver.bodies if "lineage" in path)
say(b"eventType" in told and b"secret-one" not in told, "none in events of OpenLineage", told[:2000])
bounds = []
for file in (f for f in rows if f.suffix == ".parquet" and "/bronze/readings/data" in str(f) or "/silver/last/data" in str(f)):
    groups = pyarrow.parquet.read_metadata(file)
    for g in range(groups.num_row_groups):
        for c in range(groups.num_columns):
            column = groups.row_group(g).column(c)
            if column.path_in_schema == "host" and column.statistics and column.statistics.has_min_max:
                bounds.append(str(file))
say(not bounds, "no least and greatest value of it in footers", bounds)
Receiver.refuses = False

# -- stores that are not AWS's ------------------------------------------------------------------------------------------

services.S3_REGION = "eu-west-2"
versity, proxy = server("versitygw", region="eu-west-2"), server("s3proxy")
for store in (versity, proxy):
    services.create_bucket(store, "plain")


def plain(name, store, account):
    global STORE
    STORE = store.address
    return Lake(name, None, account=account).edit(("s3://None/", "s3://plain/"))


lake = plain("versity", versity, None)
done, shown = lake.weir("run"), lake.weir("doctor")
say(done.returncode == 0 and "lies in eu-west-2, as lake.region does; no owner is wanted" in shown.stdout, "versitygw: its region counts", done.stderr + shown.stdout + shown.stderr)
done = lake.edit(("region: eu-west-2, class", "region: eu-central-1, class"), *NO_CLASS).weir("run")
say(done.returncode == 2 and "AuthorizationHeaderMalformed" in done.stderr and "not in region eu-central-1" in done.stderr, "versitygw: another region than lake.region", done.stderr)
(versity.folder / "root/fresh").mkdir()
done = plain("versity2", versity, US).edit(("s3://plain/", "s3://fresh/")).weir("run")
say(done.returncode == 2 and not list((versity.folder / "root/fresh").iterdir()), "versitygw looks at owners, and knows no such account", done.stderr)
done = plain("proxy", proxy, US).weir("run")
say(done.returncode == 2 and "does not know owners of buckets" in done.stderr and "leave lake.s3.account out" in done.stderr, "s3proxy cannot be asked for an owner", done.stderr)
lake = plain("proxy2", proxy, None)
done, shown = lake.weir("run"), lake.weir("doctor")
say(done.returncode == 0 and "the store names no region: taken to lie in lake.region, eu-west-2; no owner is wanted" in shown.stdout, "s3proxy says no region: doctor tells", done.stderr + shown.stdout + shown.stderr)

running.close()
sys.exit(bad > 0)
