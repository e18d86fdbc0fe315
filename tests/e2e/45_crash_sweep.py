"""Stops a run at its 1st, 2nd, ... n-th outside effect, before it, after it, and with the answer lost; runs again; every record once.

Every effect of a run is tried on a local lake (SQLite catalog) and on S3 (object-store catalog), from files and from Kafka. The short form takes a sample that
rotates with WEIR_SEED; WEIR_FULL takes all.
    45_crash_sweep.py [--count N] [--seed S] [--only local|kafka|s3|kafka-s3]
"""
import argparse, json, os, random, shutil, subprocess, sys, tempfile, time
from pathlib import Path

root = Path(__file__).resolve().parents[2]
PIPELINE = """version: 1
name: sweep
lake:
  warehouse: {warehouse}
{lake}
sources:
  readings: {{files: "{folder}/in/*.ndjson", format: json}}
tables:
  bronze.readings:
    source: readings
    columns: {{id: long required, site: string, value: double}}
    partition_by: [site]
"""
WEIR = os.environ["WEIR"]


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment}, timeout=120)


def rows_once(folder):
    """Rows by DuckDB-free means: verify --deep reads every row back; status counts them."""
    run = weir(folder, "verify", "--deep", "-o", "json")
    if run.returncode != 0:
        return f"verify: {run.stdout[-600:]} {run.stderr[-300:]}"
    report = json.loads(run.stdout)
    if report["rows"] != 60 or report["letters"] != 4:
        return f"{report['rows']} rows and {report['letters']} letters, wanted 60 and 4"
    listed = json.loads(weir(folder, "quarantine", "list", "-o", "json").stdout)
    return None if listed[0]["refused"] == 4 else f"quarantine shows {listed}"


def make(base, warehouse, lake):
    folder = Path(tempfile.mkdtemp(dir=base))
    (folder / "in").mkdir()
    for name, first in (("a", 0), ("b", 30)):
        lines = [json.dumps({"id": i, "site": f"s{i % 3}", "value": i / 4}) for i in range(first, first + 30)]
        lines += ["{\"id\": \"no number\"}", "not json"] if name == "a" else []
        (folder / "in" / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    (folder / "weir.yaml").write_text(PIPELINE.format(warehouse=warehouse(folder), lake=lake, folder=folder))
    return folder


def second_window(folder):
    """More arrives, so that the killed run is one that appends to a table with letters in it."""
    (folder / "in" / "c.ndjson").write_text('{"id": "x"}\n{"id": 98, "site": "s1"}\n{"id": null}\n')


def sweep(name, base, warehouse, lake, count, seed):
    trace = base / f"{name}.effects"
    folder = make(base, warehouse, lake)
    (folder / "in" / "b.ndjson").unlink()
    first = weir(folder, "run", WEIR_TEST_EFFECTS=str(trace))
    if first.returncode != 0:
        print(f"FAIL {name}: plain run: {first.stderr}")
        return 1
    effects = len(trace.read_text().splitlines())
    cases = [(n, mode) for n in range(1, effects + 6) for mode in ("before", "after", "lost")]
    if count and count < len(cases):
        cases = sorted(random.Random(seed).sample(cases, count))
    bad = 0
    for n, mode in cases:
        problem = one(base, warehouse, lake, n, mode)
        if problem:
            bad += 1
            print(f"FAIL {name} effect {n} {mode}: {problem}", flush=True)
    if not bad:
        print(f"ok {name}: {len(cases)} of {(effects + 5) * 3} places to die, every record once", flush=True)
    return bad


def one(base, warehouse, lake, n, mode):
    folder = make(base, warehouse, lake)
    kept = (folder / "in" / "b.ndjson").read_text()
    (folder / "in" / "b.ndjson").unlink()
    killed = weir(folder, "run", WEIR_TEST_KILL=f"{n}:{mode}")
    if mode != "lost" and killed.returncode not in (0, -9):
        return f"the killed run ended with {killed.returncode}: {killed.stderr[-300:]}"
    (folder / "in" / "b.ndjson").write_text("\n".join(kept.splitlines()[:-1]) + "\n")
    second_window(folder)
    killed = weir(folder, "run", WEIR_TEST_KILL=f"{n}:{mode}")
    again = weir(folder, "run")
    if again.returncode != 0:
        return f"the run after it ended with {again.returncode}: {again.stderr[-300:]}"
    problem = rows_once(folder)
    if not problem:
        shutil.rmtree(folder, ignore_errors=True)
    return problem


KAFKA = """version: 1
name: sweep
lake: {{warehouse: "{warehouse}"{lake}}}
run: {{window: {{max_records: 1200}}}}
sources:
  readings: {{kafka: {{topics: [readings], transactional: true, properties: {{bootstrap.servers: "{brokers}"}}}}, format: json}}
tables:
  bronze.readings:
    source: readings
    columns: {{record_id: string required, tenant_id: string required, os: "struct<build:int>", collected_at: timestamptz required}}
    partition_by: [days(collected_at)]
"""


def kafka_counts(folder):
    """(rows, refused, sum of next offsets) of a lake that verifies, or a text that says what is wrong."""
    run = weir(folder, "verify", "--deep", "-o", "json")
    if run.returncode != 0:
        return f"verify: {run.stdout[-600:]} {run.stderr[-300:]}"
    report = json.loads(run.stdout)
    offsets = json.loads(weir(folder, "offsets", "show", "readings", "-o", "json").stdout)
    return report["rows"], report["letters"], sum(row["next"] for row in offsets)


def sweep_kafka(base, options, endpoint=None):
    """With endpoint: into S3. Windows of offsets, some aborted: two windows a run; what a plain run lands is what each killed and repeated one must."""
    name = "kafka-s3" if endpoint else "kafka"
    service = str(root / "tests/harness/service")
    environment = {**os.environ, "WEIR_SERVICES": str(base / "services"), "WEIR_SERVICES_OWNER": str(os.getpid())}
    brokers = subprocess.run([service, "start", "kafka"], capture_output=True, text=True, env=environment, check=True).stdout.split()[-1]
    subprocess.run([service, "topic", "kafka", "create", "readings", "3"], env=environment, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.environ["WEIR_GEN"], "--kafka", brokers, "--topic", "readings", "--count", "2000", "--bad", "20", "--transactional", "s", "--transaction-size",
                    "200", "--abort-every", "4"], check=True, stdout=subprocess.DEVNULL)
    time.sleep(1)

    def fresh():
        folder = Path(tempfile.mkdtemp(dir=base))
        warehouse = f"s3://lake/{folder.name}" if endpoint else folder / "lake"
        lake = f', region: us-east-1, s3: {{endpoint: "{endpoint}", path_style: true}}' if endpoint else ""
        (folder / "weir.yaml").write_text(KAFKA.format(warehouse=warehouse, lake=lake, brokers=brokers))
        return folder

    bad, trace = 0, base / f"{name}.effects"
    try:
        plain = fresh()
        first = weir(plain, "run", WEIR_TEST_EFFECTS=str(trace))
        wanted = kafka_counts(plain)
        if first.returncode != 0 or isinstance(wanted, str) or wanted[0] < 1000 or wanted[1] == 0:
            print(f"FAIL {name}: plain run: {first.stderr} {wanted}")
            return 1
        effects = len(trace.read_text().splitlines())
        count = options.count // 2 if endpoint else options.count  # a run into S3 takes longer
        cases = [(n, mode) for n in range(1, effects + 1) for mode in ("before", "after", "lost")]
        if count and count < len(cases):
            cases = sorted(random.Random(options.seed).sample(cases, count))
        for n, mode in cases:
            folder = fresh()
            killed = weir(folder, "run", WEIR_TEST_KILL=f"{n}:{mode}")
            again = weir(folder, "run")
            got = kafka_counts(folder) if again.returncode == 0 else f"the run after it ended with {again.returncode}: {again.stderr[-300:]}"
            if got != wanted or (mode != "lost" and killed.returncode not in (0, -9)):
                bad += 1
                print(f"FAIL {name} effect {n} {mode}: killed run {killed.returncode}; {got}, wanted {wanted}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
        if not bad:
            print(f"ok {name}: {len(cases)} of {effects * 3} places to die, (rows, refused, offsets) {wanted} each time", flush=True)
        return bad
    finally:
        subprocess.run([service, "stop", "--all"], env=environment, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=0 if os.environ.get("WEIR_FULL") else 24)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("WEIR_SEED", "1")))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="weir-sweep."))
    bad = 0
    try:
        if options.only in ("", "local"):
            bad += sweep("local", base, lambda folder: folder / "lake", "", options.count, options.seed)
        if options.only in ("", "kafka"):
            bad += sweep_kafka(base, options)
        if options.only in ("", "s3"):
            sys.path.insert(0, str(root / "tests/harness"))
            bad += sweep_s3(base, options)
        if options.only in ("", "kafka-s3"):
            bad += sweep_s3(base, options, sweep_kafka)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return bad > 0


def sweep_s3(base, options, into=None):
    """`into`: a sweep of its own, given the endpoint; None: files."""
    service = str(root / "tests/harness/service")
    environment = {**os.environ, "WEIR_SERVICES": str(base / "services"), "WEIR_SERVICES_OWNER": str(os.getpid())}
    endpoint = subprocess.run([service, "start", "s3proxy"], capture_output=True, text=True, env=environment, check=True).stdout.split()[-1]
    subprocess.run([service, "bucket", "s3proxy", "lake"], env=environment, check=True, stdout=subprocess.DEVNULL)
    os.environ.update(AWS_ACCESS_KEY_ID="testkey", AWS_SECRET_ACCESS_KEY="testsecret123")
    lake = f"  region: us-east-1\n  s3: {{endpoint: \"{endpoint}\", path_style: true}}"
    try:
        if into:
            return into(base, options, endpoint)
        return sweep("s3", base, lambda folder: f"s3://lake/{folder.name}", lake, options.count, options.seed)
    finally:
        subprocess.run([service, "stop", "--all"], env=environment, stdout=subprocess.DEVNULL)


sys.exit(main())
