"""Four tenants on one topic of a real Kafka, two of them in folders and two in buckets of S3 servers of their own: every record in its owner's lake, once; what has no
owner in the operator's quarantine and nowhere else; one store away, then back; kills; hostile names. DuckDB and pyiceberg count beside what was produced."""
import collections, json, os, random, shutil, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import services
import duckdb
from confluent_kafka import Producer
from pyiceberg.catalog.sql import SqlCatalog

WEIR, FULL, SEED = os.environ["WEIR"], os.environ.get("WEIR_FULL") == "1", int(os.environ.get("WEIR_SEED", "1"))
dice, bad = random.Random(SEED), 0
base = Path(tempfile.mkdtemp(prefix="weir-tenants."))
FOLDERS, BUCKETS = ("acme", "globex"), ("initech", "umbrella")
TENANTS = FOLDERS + BUCKETS
CODE = {name: name for name in TENANTS} | {"umbrella": "Umbrella Corp"}  # what records say
HOSTILE = ["../x", "", "a/b", "..", "/etc", "acme ", "Acme", "acme\u0000", "ac\u0301me", "операторъ", "operator", "all", "x" * 5000, "umbrella", "s3://acme", "%2e%2e", "{tenant}", "a'; drop"]


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


PIPELINE = """version: 1
name: fleet
lake:
  tenant: {{from: tenant_id, lakes: tenants.yaml}}
  region: us-east-1
  warehouse: ./lakes/{{tenant}}
run: {{window: {{max_records: {records}}}}}
sources:
  fleet: {{kafka: {{topics: [{topic}], transactional: true, properties: {{bootstrap.servers: "{kafka}"}}}}}}
  policy: {{files: policy.csv, format: csv}}
tables:
  bronze.fleet:
    source: fleet
    where: "load >= 0"
    columns: {{record_id: string required, tenant_id: string required, load: double required, at: timestamptz}}
    partition_by: [days(at)]
    expect: [{{that: "load < 100", name: sane}}]
  bronze.policy:
    source: policy
    mode: full
    columns: {{policy_id: string required, tenant_id: string}}
  silver.count:
    sql: count.sql
    mode: recompute
    group_by: [tenant_id]
"""


class Fleet:
    """A pipeline of its own on a topic of its own, and what was produced to it."""

    def __init__(self, name, kafka, stores, records=100000, partitions=3):
        self.folder, self.topic, self.kafka, self.stores = base / name, name, kafka, stores
        self.folder.mkdir()
        services.create_topic(kafka.address, name, partitions=partitions)
        self.partitions, self.produced, self.number = partitions, [], 0
        (self.folder / "weir.yaml").write_text(PIPELINE.format(topic=name, kafka=kafka.address, records=records))
        (self.folder / "policy.csv").write_text("policy_id,tenant_id\np1,acme\np2,globex\np3,\np4,Umbrella Corp\n")
        (self.folder / "count.sql").write_text("SELECT tenant_id, count(*) AS records FROM bronze.fleet GROUP BY tenant_id\n")
        lines = ["acme:", "globex: {tags: {owner: g}}"]
        for tenant, store in stores.items():
            bucket = f"{name}-{tenant}"
            services.create_bucket(store, bucket)
            value = f'value: "{CODE[tenant]}", ' if CODE[tenant] != tenant else ""
            lines.append(f'{tenant}: {{{value}warehouse: "s3://{bucket}/wh", s3: {{endpoint: "{store.address}", path_style: true, profile: {tenant}}}}}')
        (self.folder / "tenants.yaml").write_text("\n".join(lines) + "\n")

    def weir(self, *arguments, **environment):
        return subprocess.run([WEIR, *arguments, "-p", str(self.folder / "weir.yaml")], capture_output=True, text=True, timeout=170,
                              env={**os.environ, "WEIR_TEST_LEASE_MS": "50", "WEIR_TEST_S3_RETRY_MS": "3000", "AWS_REGION": "us-east-1", **environment})

    def run(self, expected=0, **environment):
        done = self.weir("run", "-o", "json", **environment)
        if done.returncode != expected:
            say(False, f"{self.topic}: run ends with {expected}", f"{done.returncode}: {done.stdout[-700:]} {done.stderr[-900:]}")
        return json.loads(done.stdout) if done.stdout.startswith("{") else {"lakes": []}

    def send(self, count, hostile=True):
        """Good records, records that a rule refuses or leaves out, broken ones whose owner is told, and what has none."""
        producer = Producer({"bootstrap.servers": self.kafka.address, "linger.ms": 5, "transactional.id": self.topic})
        producer.init_transactions()
        for each in range(count):
            if each % 150 == 0:
                if each:
                    producer.commit_transaction()
                producer.begin_transaction()  # one that is aborted, so that there are gaps of each kind
                producer.produce(self.topic, b'{"record_id": "aborted", "tenant_id": "acme", "load": 1}')
                producer.abort_transaction()
                producer.begin_transaction()
            self.number += 1
            tenant, kind = dice.choice(TENANTS), dice.random()
            record = {"record_id": f"r{self.number}", "tenant_id": CODE[tenant], "load": dice.randrange(99), "at": f"2026-11-{1 + self.number % 3:02}T00:00:00Z"}
            fate, value = ("landed", tenant), None
            if kind < 0.03:
                record["load"], fate = 200, ("refused", tenant)  # an expectation
            elif kind < 0.06:
                record["load"], fate = -1, ("where", tenant)
            elif kind < 0.09:
                record["load"], fate = "much", ("refused", tenant)  # cannot be decoded, but its owner can be told
            elif kind < 0.12:
                fate, value = ("refused", "operator"), json.dumps(record)[:-3].encode()
            elif hostile and kind < 0.16:
                record["tenant_id"], fate = dice.choice(HOSTILE), ("refused", "operator")
            elif hostile and kind < 0.17:
                fate, value = ("refused", "operator"), dice.choice([b"", b"\x00", b"[]", b'{"record_id": "x", "load": 1}', b'{"tenant_id": 5, "record_id": "x", "load": 1}'])
            value = json.dumps(record).encode() if value is None else value
            producer.produce(self.topic, value, partition=dice.randrange(self.partitions))
            producer.poll(0)
            self.produced.append((fate, record["record_id"]))
        producer.commit_transaction()

    # -- what is there, by others' eyes

    def rows(self, tenant, layer="bronze.fleet"):
        if tenant in BUCKETS:
            done = self.weir("query", f"SELECT * FROM {layer}", "--tenant", tenant, "-o", "json")
            return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []
        warehouse = self.folder / "lakes" / tenant
        catalog = SqlCatalog("weir", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=str(warehouse))
        return catalog.load_table(layer).scan().to_arrow().to_pylist()

    def judge(self, what, tenants=TENANTS):
        """Every record of these lakes where it belongs, once."""
        wanted = collections.defaultdict(list)
        for fate, record_id in self.produced:
            wanted[fate].append(record_id)
        problem = []
        for tenant in tenants:
            got = sorted(row["record_id"] for row in self.rows(tenant))
            if got != sorted(wanted["landed", tenant]):
                problem.append(f"{tenant}: {len(got)} rows, {len(set(got))} different, wanted {len(wanted['landed', tenant])}")
        states = json.loads(self.weir("status", "-o", "json").stdout or "[]")
        for row in states:
            if row.get("table") != "bronze.fleet" or row["tenant"] not in (*tenants, "operator"):
                continue
            refused = len(wanted["refused", row["tenant"]])
            if row["refused"] != refused or row["lag"] != 0:
                problem.append(f"{row['tenant']}: {row['refused']} refused of {refused}, lag {row['lag']}")
            if row["tenant"] == "operator" and row["rows"] != 0:
                problem.append(f"operator: {row['rows']} rows")
        for tenant in (*tenants, "operator"):
            verify = self.weir("verify", "--deep", "--tenant", tenant)
            if verify.returncode:
                problem.append(f"verify {tenant}: {verify.stdout[-300:]} {verify.stderr[-300:]}")
        say(not problem, what, "; ".join(problem))


def letters(warehouse):
    files = [str(path) for path in Path(warehouse).rglob("*.parquet") if "letters" in path.parts]
    return duckdb.sql(f"select reason, raw::blob from read_parquet({files})").fetchall() if files else []


def plain(kafka, stores):
    fleet = Fleet("plain", kafka, stores, records=700)
    fleet.send(3000)
    outcome = fleet.run()
    fleet.judge("four tenants on one topic: every record in its owner's lake or quarantine, once")
    read = {record["tenant"]: sum(table.get("read", 0) for table in record["tables"]) for record in outcome["lakes"]}
    gaps = {record["tenant"]: sum(table.get("gaps", 0) for table in record["tables"]) for record in outcome["lakes"]}
    say(len(set(gaps.values())) == 1 and gaps["acme"] > 20, "each knows the same gaps", gaps)
    say(set(read) == {*TENANTS, "operator"} and set(read.values()) == {3000}, "each lake accounts for all of the topic", read)
    windows = {record["tenant"]: [table.get("windows_read", 0) for table in record["tables"] if table["table"] == "bronze.fleet"][0] for record in outcome["lakes"]}
    say(sum(windows.values()) == windows["operator"] == 5, "the topic is read once for all lakes", windows)
    counts = {tenant: [(row["tenant_id"], row["records"]) for row in fleet.rows(tenant, "silver.count")] for tenant in TENANTS}
    landed = collections.Counter(fate[1] for fate, _ in fleet.produced if fate[0] == "landed")
    say(counts == {tenant: [(CODE[tenant], landed[tenant])] for tenant in TENANTS}, "models run in each lake over its own rows", counts)
    policies = {tenant: sorted(row["policy_id"] for row in fleet.rows(tenant, "bronze.policy")) for tenant in TENANTS}
    say(policies == {"acme": ["p1", "p3"], "globex": ["p2", "p3"], "initech": ["p3"], "umbrella": ["p3", "p4"]}, "a file that is the whole truth: its tenant's rows, and everybody's", policies)
    kept = letters(fleet.folder / "lakes" / "operator")
    reasons = collections.Counter(reason for reason, _ in kept)
    say(reasons["tenant"] > 50 and reasons["syntax"] > 50, "the operator keeps them raw, with their reason", reasons)
    named = {json.loads(raw)["tenant_id"] for reason, raw in kept if reason == "tenant"}
    say(named <= set(HOSTILE) and len(named) > 10, "hostile names are kept as they came", named)
    there = sorted(path.name for path in (fleet.folder / "lakes").iterdir())
    say(there == sorted([*FOLDERS, "operator"]), "no folder is made of what a record says", there)
    leaks = [tenant for tenant in FOLDERS for reason, raw in letters(fleet.folder / "lakes" / tenant) if CODE[tenant].encode() not in raw]
    say(not leaks, "a tenant's quarantine holds its own alone", leaks)
    again = fleet.run()
    say(all(table.get("idle", True) for record in again["lakes"] for table in record["tables"]), "nothing is done twice", str(again)[-300:])
    reached = {row["partition"]: row["next"] for row in json.loads(fleet.weir("offsets", "show", "bronze.fleet", "--tenant", "acme", "-o", "json").stdout)}
    mirrored = services.group_offsets(kafka.address, "weir-fleet-fleet", "plain")
    say(mirrored == reached and len(reached) == 3, "the consumer group shows where the lakes are", (mirrored, reached))
    verbs(fleet)


def verbs(fleet):
    asked = fleet.weir("query", "SELECT * FROM bronze.fleet")
    say(asked.returncode == 2 and "acme" in asked.stderr and "operator" in asked.stderr, "a verb of one lake asks whose, and lists them: exit 2", asked.stderr)
    asked = fleet.weir("quarantine", "discard", "bronze.fleet", "--why", "tenant", "--reason", "x", "--yes")
    say(asked.returncode == 2 and "--tenant" in asked.stderr, "a verb that writes is for no lake by itself", asked.stderr)
    asked = fleet.weir("status", "--tenant", "nobody")
    say(asked.returncode == 2 and "nobody" in asked.stderr, "an unknown --tenant: exit 2", asked.stderr)
    shown = fleet.weir("status")
    say(shown.returncode == 0 and shown.stdout.splitlines()[0].split()[:2] == ["tenant", "table"] and "umbrella" in shown.stdout, "status has a column of tenants", shown.stdout[:300])
    say("silver.count" not in fleet.weir("status", "--tenant", "operator").stdout, "the operator has no models", "")
    two = json.loads(fleet.weir("status", "--tenant", "acme", "--tenant", "umbrella", "-o", "json").stdout)
    say({row["tenant"] for row in two} == {"acme", "umbrella"}, "status of two tenants", two)
    for arguments in (["plan"], ["runs"], ["verify"], ["quarantine", "list"], ["sinks"], ["doctor"], ["validate"], ["config"], ["config", "--tenant", "umbrella"], ["run", "--dry-run"],
                      ["history", "bronze.fleet", "--tenant", "acme"], ["offsets", "show", "bronze.fleet"], ["promote", "silver.count", "--tenant", "acme"], ["graph"]):
        done = fleet.weir(*arguments)
        say(done.returncode == 0, f"weir {' '.join(arguments)}", done.stdout[-300:] + done.stderr[-500:])
    done = fleet.weir("quarantine", "retry", "bronze.fleet", "--tenant", "operator")
    fleet.judge("a retry in the operator's quarantine lands nothing and loses nothing")
    done = fleet.weir("quarantine", "retry", "bronze.fleet", "--tenant", "acme")
    fleet.judge("a retry in a tenant's quarantine changes nothing that is still bad")


def away(kafka, stores):
    fleet = Fleet("away", kafka, stores)
    fleet.send(800)
    fleet.run()
    gone = stores["initech"]
    gone.crash()
    fleet.send(800)
    outcome = fleet.run(expected=75)
    codes = {record["tenant"]: record["exit_code"] for record in outcome["lakes"]}
    say(codes == {"operator": 0, "acme": 0, "globex": 0, "umbrella": 0, "initech": 75}, "one lake's store is away: the others go on, exit 75", codes)
    others = tuple(tenant for tenant in TENANTS if tenant != "initech")
    gone.resume()
    fleet.judge("while it was away the others have all of theirs", others)
    fleet.send(300)
    outcome = fleet.run(expected=1, AWS_SHARED_CREDENTIALS_FILE=str(base / "wrong"))
    codes = {record["tenant"]: record["exit_code"] for record in outcome["lakes"]}
    say(codes == {"operator": 0, "acme": 0, "globex": 0, "umbrella": 1, "initech": 0}, "one lake's credentials are wrong: the others go on, exit 1", codes)
    fleet.judge("the one that was away has caught up, every record once", tuple(tenant for tenant in TENANTS if tenant != "umbrella"))
    fleet.run()
    fleet.judge("and so has the one that was shut out")


def broken(kafka, stores):
    """Lakes that fail in the middle of a window: one that reads along, and the one that reads for all."""
    fleet = Fleet("broken", kafka, stores)
    fleet.send(300)
    fleet.run()
    for names, wanted in ((["acme"], {"acme"}), (["operator"], {"operator"}), (["operator", "acme", "globex"], {"operator", "acme", "globex"})):
        places = [next((fleet.folder / "lakes" / name).glob("_weir/letters/*" if name == "operator" else "bronze/fleet/data")) for name in names]
        for place in places:
            place.rename(f"{place}.away")
            place.write_text("no folder")
        fleet.send(300)
        outcome = fleet.run(expected=1)
        failed = {record["tenant"] for record in outcome["lakes"] if record["exit_code"]}
        say(failed == wanted, f"what cannot be written in {', '.join(names)} fails there alone", failed)
        fleet.judge(f"the others have all of theirs without {', '.join(names)}", tuple(tenant for tenant in TENANTS if tenant not in names)) if "operator" not in names else None
        for place in places:
            place.unlink()
            Path(f"{place}.away").rename(place)
    fleet.send(100)
    fleet.run()
    fleet.judge("mended, each has caught up, every record once")


def shards(kafka, stores):
    fleet = Fleet("shards", kafka, {tenant: stores[tenant] for tenant in stores}, records=900, partitions=4)
    fleet.send(3000)
    both = [subprocess.Popen([WEIR, "run", "--shard", f"{i}/2", "-p", str(fleet.folder / "weir.yaml")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={**os.environ, "WEIR_TEST_LEASE_MS": "50"}) for i in range(2)]
    ended = [(run.wait(170), run.stderr.read()[-500:]) for run in both]
    say([code for code, _ in ended] == [0, 0], "two shards at once", ended)
    fleet.run()
    fleet.judge("by two shards: every record once in its lake")


FILES = """version: 1
name: files
lake: {tenant: {from: tenant_id, lakes: tenants.yaml}, warehouse: "./lakes/{tenant}"}
sources:
  lines: {files: "in/*.ndjson"}
  sheet: {files: "in/*.csv", format: csv}
  rows: {files: "in/*.parquet", format: parquet}
tables:
  bronze.lines: {source: lines, unknown_fields: evolve, columns: {id: int, tenant_id: string required}}
  bronze.sheet: {source: sheet, columns: {id: int, tenant_id: string required}}
  bronze.rows: {source: rows, columns: {id: int, tenant_id: string required}}
"""


def files():
    """Each format of files: owners, also of what is refused; columns that records make are their owner's."""
    folder = base / "files"
    (folder / "in").mkdir(parents=True)
    (folder / "weir.yaml").write_text(FILES)
    (folder / "tenants.yaml").write_text('{acme: , big: {value: "Big Corp"}}\n')
    (folder / "in" / "a.ndjson").write_text('{"id":1,"tenant_id":"acme","x":5}\n{"id":2,"tenant_id":"Big Corp","y":"q"}\n{"id":3,"tenant_id":"big","z":1}\n'
                                            '{"id":"x","tenant_id":"acme","w":1}\nnope\n{"id":4,"tenant_id":"acme"}\n{"id":5,"tenant_id":"Big Corp","x":"text"}\n')
    (folder / "in" / "a.csv").write_text("id,tenant_id\n1,acme\n2,Big Corp\n3,nobody\nx,acme\ny,Big Corp\nz,nobody\n,acme\n4,acme,more\n")
    duckdb.sql("copy (select * from (values (1::bigint,'acme'),(2,'Big Corp'),(3,'zz'),(1099511627776,'acme'),(5,null)) t(id,tenant_id)) to '%s' (format parquet)" % (folder / "in" / "a.parquet"))

    def weir(*arguments):
        return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120)

    done = weir("run", "-o", "json")
    record = json.loads(done.stdout) if done.stdout.startswith("{") else {"lakes": []}
    counts = {lake["tenant"]: [(table["landed"], table["refused"], table["filtered"]) for table in lake["tables"]] for lake in record["lakes"]}
    say(counts == {"operator": [(0, 2, 5), (0, 3, 5), (0, 2, 3)], "acme": [(2, 1, 4), (2, 1, 5), (1, 1, 3)], "big": [(2, 0, 5), (1, 1, 6), (1, 0, 4)]}, "files of each format by owner", f"{counts} {done.stderr[-300:]}")
    rows = {tenant: json.loads(weir("query", "select * exclude (_source_file) from bronze.lines order by id", "--tenant", tenant, "-o", "json").stdout) for tenant in ("acme", "big")}
    say(rows == {"acme": [{"id": 1, "tenant_id": "acme", "x": 5}, {"id": 4, "tenant_id": "acme", "x": None}],
                 "big": [{"id": 2, "tenant_id": "Big Corp", "x": None, "y": "q"}, {"id": 5, "tenant_id": "Big Corp", "x": "text", "y": None}]}, "columns are made by a tenant's own records alone", rows)
    say(weir("verify", "--deep").returncode == 0, "and all of it verifies")


def kills(kafka, stores, count):
    fleet = Fleet("kills", kafka, stores, records=150, partitions=2)
    fleet.send(100)
    trace = base / "effects"
    fleet.run(WEIR_TEST_EFFECTS=str(trace))
    effects, tried = len(trace.read_text().splitlines()), []
    for _ in range(count):
        fleet.send(60)
        place = f"{dice.randrange(1, effects)}:{dice.choice(['before', 'after', 'lost'])}"
        tried.append(place)
        fleet.weir("run", WEIR_TEST_KILL=place)
    fleet.run()
    fleet.judge(f"killed at {' '.join(tried)} of {effects} effects, run again: every record once in its lake")


def one_place(kafka):
    """Two names of one folder: found out by the table there."""
    fleet = Fleet("place", kafka, {})
    (fleet.folder / "lakes").mkdir()
    (fleet.folder / "lakes" / "acme").mkdir()
    (fleet.folder / "lakes" / "globex").symlink_to("acme")
    fleet.send(50)
    outcome = fleet.weir("run", "-o", "json")
    codes = {record["tenant"]: record["exit_code"] for record in json.loads(outcome.stdout)["lakes"]}
    say(codes == {"operator": 0, "acme": 0, "globex": 2} and outcome.returncode == 2, "two lakes that are one place: the second is refused", f"{codes} {outcome.stderr[-500:]}")
    rows = {row["tenant_id"] for row in fleet.rows("acme")}
    say(rows == {"acme"}, "and no row of its tenant is there", rows)


files()
with services.Services() as running:
    kafka = running.start("kafka")
    stores = {tenant: running.start("versitygw", name=tenant) for tenant in BUCKETS}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        os.environ.pop(name, None)
    for file, secret in (("credentials", services.S3_SECRET), ("wrong", "not the secret")):
        (base / file).write_text(f"[initech]\naws_access_key_id = {services.S3_KEY}\naws_secret_access_key = {services.S3_SECRET}\n"
                                 f"[umbrella]\naws_access_key_id = {services.S3_KEY}\naws_secret_access_key = {secret}\n")
    os.environ.update(AWS_SHARED_CREDENTIALS_FILE=str(base / "credentials"), AWS_CONFIG_FILE=str(base / "none"), AWS_EC2_METADATA_DISABLED="true")
    plain(kafka, stores)
    away(kafka, stores)
    broken(kafka, stores)
    one_place(kafka)
    if FULL:
        shards(kafka, stores)
    kills(kafka, stores, 60 if FULL else 3)
shutil.rmtree(base, ignore_errors=True)
sys.exit(bad > 0)
