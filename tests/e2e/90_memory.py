"""Many records through windows under memory_limit: 256MiB, partitioned, from Kafka: peak under 300 MiB, every record landed.

    90_memory.py [--count N]      2,000,000 with WEIR_FULL, else 400,000
"""
import argparse, json, os, resource, shutil, subprocess, sys, tempfile
from pathlib import Path

root = Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=2_000_000 if os.environ.get("WEIR_FULL") else 400_000)
count = parser.parse_args().count
base = Path(tempfile.mkdtemp(prefix="weir-memory."))
os.environ.update(WEIR_SERVICES=str(base / "services"), WEIR_SERVICES_OWNER=str(os.getpid()))
service, bad = str(root / "tests/harness/service"), 0


def say(good, name, detail):
    global bad
    bad += not good
    print(f"ok {name} # {detail}" if good else f"FAIL {name}: {detail}", flush=True)


try:
    brokers = subprocess.run([service, "start", "kafka"], capture_output=True, text=True, check=True).stdout.split()[-1]
    subprocess.run([service, "topic", "kafka", "create", "many", "4"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.environ["WEIR_GEN"], "--kafka", brokers, "--topic", "many", "--count", str(count), "--late", "20"], check=True, stdout=subprocess.DEVNULL)
    columns = (root / "tests/e2e/20_kafka.sh").read_text().split("COLUMNS_YAML='")[1].split("'")[0]
    (base / "weir.yaml").write_text(f"""version: 1
name: memory
lake: {{warehouse: ./lake}}
run: {{memory_limit: 256MiB}}
sources:
  many: {{kafka: {{topics: [many], properties: {{bootstrap.servers: "{brokers}"}}}}, format: json}}
tables:
  bronze.many:
    source: many
    partition_by: [days(collected_at)]
    columns:
{columns}
""")
    child = subprocess.Popen([os.environ["WEIR"], "run", "-p", str(base / "weir.yaml"), "-o", "json"], stdout=subprocess.PIPE, text=True)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    landed = json.loads(output.splitlines()[-1])["tables"][0]["landed"] if output else 0
    say(os.waitstatus_to_exitcode(status) == 0 and landed == count, "every record landed", f"{landed} of {count}")
    say(usage.ru_maxrss < 300 * 1024, "peak under 300 MiB", f"{usage.ru_maxrss / 1024:.0f} MiB")
finally:
    subprocess.run([service, "stop", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(base, ignore_errors=True)
sys.exit(bad > 0)
