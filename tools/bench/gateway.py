"""What `weir gateway` takes: requests and records a second, its CPU seconds, with a real broker behind it.

    WEIR=build/tools/weir/weir python tools/bench/gateway.py [--connections 200] [--seconds 5] [--records 1,10,100]

One process of this program keeps a request open on each connection, one after the other; every one is answered by 202 after it is on disk.
Ends with 1 if a request was answered otherwise, or if Kafka has not each accepted record once. Prints a table and JSON."""
import argparse, hashlib, json, os, selectors, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "harness"))
import services

PIPELINE = """version: 1
name: bench
lake: {{warehouse: ./lake}}
sources:
  bench: {{kafka: {{topics: [bench], transactional: true, properties: {{bootstrap.servers: "{kafka}"}}}}}}
tables:
  bronze.bench: {{source: bench, columns: {{record_id: string required, tenant_id: string required, device_id: string required, seq: long, cpu: "struct<cores:int, load:double>", at: timestamptz}}}}
gateway: {{listen: "127.0.0.1:0", tokens: tokens, device: device_id, sequence: seq, drain: 60s}}
"""


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    def __init__(self, port, connections, records):
        self.port, self.records, self.number, self.answers, self.wrong, self.waits = port, records, 0, 0, 0, []
        self.selector, self.open = selectors.DefaultSelector(), connections

    def request(self, device):
        body = "\n".join(f'{{"record_id": "{self.records}-{self.number + i}", "tenant_id": "acme", "device_id": "d{device}", "seq": {self.number + i}, '
                         f'"cpu": {{"cores": 4, "load": 0.25}}, "at": "2026-01-01T00:00:00Z"}}' for i in range(self.records)).encode()
        self.number += self.records
        return (f"POST /v1/bench HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bench\r\nContent-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def run(self, seconds):
        for device in range(self.open):
            made = socket.create_connection(("127.0.0.1", self.port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.sendall(self.request(device))
            self.selector.register(made, selectors.EVENT_READ, [device, b"", time.monotonic()])
        until = time.monotonic() + seconds
        while self.selector.get_map():
            for key, _ in self.selector.select(30):
                self.take(key, until)

    def take(self, key, until):
        key.data[1] += key.fileobj.recv(65536)
        if not key.data[1].endswith(b"}\n"):
            return
        now = time.monotonic()
        self.answers += 1
        self.wrong += not key.data[1].startswith(b"HTTP/1.1 202")
        self.waits.append(now - key.data[2])
        if now < until:
            key.data[1:] = [b"", now]
            key.fileobj.sendall(self.request(key.data[0]))
        else:
            self.selector.unregister(key.fileobj)
            key.fileobj.close()


def offsets(kafka):
    """Records in the topic: read, because transactions' markers take up offsets."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": f"bench-{time.time()}", "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 0})
    consumer.assign([TopicPartition("bench", partition, 0) for partition in range(4)])
    found, twice, ended = set(), 0, 0
    while ended < 4:
        for message in consumer.consume(10000, 5):
            if message.error():
                ended += 1
            else:
                identity = message.value().split(b'"', 4)[3]
                twice += identity in found
                found.add(identity)
    consumer.close()
    return len(found), twice


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--records", default="1,10,100")
    options, results = parser.parse_args(), []
    folder = Path(tempfile.mkdtemp(prefix="weir-gateway-bench."))
    (folder / "tokens").write_text(f"acme {hashlib.sha256(b'bench').hexdigest()}\n")
    with services.Services() as running:
        kafka = running.start("kafka")
        services.create_topic(kafka.address, "bench", partitions=4)
        (folder / "weir.yaml").write_text(PIPELINE.format(kafka=kafka.address))
        gateway = subprocess.Popen([os.environ["WEIR"], "gateway", "-p", str(folder / "weir.yaml")], stdout=subprocess.PIPE, text=True)
        port, accepted, wrong = int(gateway.stdout.readline().rsplit(":", 1)[1]), 0, 0
        for records in map(int, options.records.split(",")):
            load, before, started = Load(port, options.connections, records), cpu_seconds(gateway.pid), time.monotonic()
            load.run(options.seconds)
            took, cpu = time.monotonic() - started, cpu_seconds(gateway.pid) - before
            waits = sorted(load.waits)
            accepted, wrong = accepted + (load.answers - load.wrong) * records, wrong + load.wrong
            results.append({"records_a_request": records, "requests_s": round(load.answers / took), "records_s": round(load.answers * records / took), "cpu_s_per_million_records": round(cpu / (load.answers * records) * 1e6, 1),
                            "cores": round(cpu / took, 2), "ms_median": round(waits[len(waits) // 2] * 1000, 1), "ms_p99": round(waits[len(waits) * 99 // 100] * 1000, 1)})
        gateway.send_signal(signal.SIGTERM)
        code = gateway.wait(120)
        found, twice = offsets(kafka)
    print("| records a request | requests/s | records/s | CPU s per million records | cores | median ms | p99 ms |\n|---|---|---|---|---|---|---|")
    for row in results:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(json.dumps({"connections": options.connections, "rows": results, "accepted": accepted, "in_kafka": found, "twice": twice, "answered_otherwise": wrong, "exit": code}))
    return 0 if code == 0 and not wrong and not twice and found == accepted else 1


sys.exit(main())
