#!/usr/bin/env python3
"""From a record in Kafka to its alert at a webhook: a real broker, records at a steady rate, `weir run` each second (the next one when the last has
ended), through a bronze table and a merge model to a signed webhook.

    tools/bench/webhook_latency.py WEIR [--rate 1000] [--for 60] [--share 2] [--batch 1]

Prints how long each alert took from being produced to being received, and what the runs cost in CPU."""
import argparse, http.server, json, os, resource, subprocess, sys, tempfile, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/harness"))
import services
from confluent_kafka import Producer

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("weir")
options.add_argument("--rate", type=int, default=1000, help="records a second")
options.add_argument("--for", dest="seconds", type=float, default=60, help="seconds of producing")
options.add_argument("--share", type=float, default=2, help="percent of records that open or close a violation")
options.add_argument("--batch", type=int, default=1, help="changes a request")
options = options.parse_args()
folder, received = Path(tempfile.mkdtemp(prefix="weir-latency.")), {}


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body, now = json.loads(self.rfile.read(int(self.headers["content-length"]))), time.time()
        for change in body if isinstance(body, list) else [body]:
            received.setdefault(change["row"]["record"], now)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
produced, stop = {}, threading.Event()


def produce(address):
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5})
    started, number = time.time(), 0
    while time.time() - started < options.seconds:
        due = int((time.time() - started) * options.rate)
        while number < due:
            bad = number % round(100 / options.share) == 0
            now = time.time()
            producer.produce("report", json.dumps({"record": number, "device": f"d{number}" if bad else f"d{number % 500}", "cpu": 99.5 if bad else 20.0, "at": int(now * 1000)}))
            if bad:
                produced[number] = now
            number += 1
        producer.poll(0)
        time.sleep(0.005)
    producer.flush()
    stop.set()


with services.Services() as running:
    kafka = running.start("kafka")
    services.create_topic(kafka.address, "report", partitions=4)
    (folder / "models").mkdir()
    (folder / "models/violations.sql").write_text("SELECT device, record, cpu, at FROM bronze.report WHERE cpu > 95\n")
    (folder / "key").write_text("0123456789abcdef")
    (folder / "weir.yaml").write_text(f"""version: 1
name: latency
lake: {{warehouse: ./lake}}
sources: {{report: {{kafka: {{topics: [report], properties: {{bootstrap.servers: "{kafka.address}"}}}}}}}}
tables:
  bronze.report: {{source: report, columns: {{record: long required, device: string required, cpu: double, at: {{type: timestamptz, unit: millis}}}}}}
  gold.violations: {{sql: models/violations.sql, mode: merge, unique_key: [device], order_by: [at desc]}}
sinks:
  pager: {{from: gold.violations, webhook: {{url: "http://127.0.0.1:{server.server_port}/", hmac_key: "file:{folder}/key", batch: {options.batch}}}}}
""")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    threading.Thread(target=produce, args=(kafka.address,), daemon=True).start()
    runs, longest, cpu = 0, 0.0, 0.0
    while True:
        started, last = time.time(), stop.is_set()
        ended = subprocess.run([options.weir, "run", "-p", str(folder / "weir.yaml")], capture_output=True, text=True)
        runs, longest = runs + 1, max(longest, time.time() - started)
        if ended.returncode:
            sys.exit(f"weir run: exit {ended.returncode}: {ended.stderr}")
        if last:
            break
        time.sleep(max(0.0, 1 - (time.time() - started)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
missing = [number for number in produced if number not in received]
took = sorted(received[number] - produced[number] for number in produced if number in received)
at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
print(f"{options.rate} records/s for {options.seconds:.0f} s, {len(produced)} alerts, {len(missing)} missing, {runs} runs, the longest {longest:.2f} s")
print(f"record to webhook: median {at(0.5):.2f} s, p99 {at(0.99):.2f} s, max {took[-1]:.2f} s")
print(f"CPU of the runs and the broker's start: {after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f} s")
subprocess.run(["rm", "-rf", str(folder)])
sys.exit(1 if missing or took[-1] > 5 else 0)
