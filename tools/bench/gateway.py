"""What `weir gateway` takes: requests and records a second, its CPU seconds, with a real broker behind it.

    WEIR=build/tools/weir/weir python tools/bench/gateway.py [--connections 200] [--seconds 5] [--records 1,10,100] [--turns 5] [--telegraf PROGRAM [--disk]]

One process of this program keeps a request open on each connection, one after the other; every one is answered by 202 after it is on disk.
Each turn is a process of its own, from start to end of SIGTERM with everything in Kafka; CPU and memory are the process's. With --telegraf the turns of both
alternate: Telegraf answers 204 when it has a record in its memory, or with --disk in its log on disk. Medians. Ends with 1 if a request was answered otherwise, or if Kafka has not each record that
Weir accepted once; a ratio is printed only if the same holds for the other side. Prints a table and JSON."""
import argparse, hashlib, json, os, selectors, signal, socket, statistics, subprocess, sys, tempfile, time
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


class Load:
    def __init__(self, port, connections, records, number, array):
        self.port, self.records, self.number, self.answers, self.wrong, self.waits, self.array = port, records, number, 0, 0, [], array
        self.selector, self.open = selectors.DefaultSelector(), connections

    def request(self, device):
        lines = [f'{{"record_id": "{self.records}-{self.number + i}", "tenant_id": "acme", "device_id": "d{device}", "seq": {self.number + i}, '
                         f'"cpu": {{"cores": 4, "load": 0.25}}, "at": "2026-01-01T00:00:00Z"}}' for i in range(self.records)]
        body = (f"[{','.join(lines)}]" if self.array and self.records > 1 else "\n".join(lines)).encode()
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
        if not key.data[1].endswith((b"}\n", b"\r\n\r\n")):
            return
        now = time.monotonic()
        self.answers += 1
        self.wrong += not key.data[1].startswith((b"HTTP/1.1 202", b"HTTP/1.1 204"))
        self.waits.append(now - key.data[2])
        if now < until:
            key.data[1:] = [b"", now]
            key.fileobj.sendall(self.request(key.data[0]))
        else:
            self.selector.unregister(key.fileobj)
            key.fileobj.close()


def records_of(kafka, topic):
    """Records in the topic: read, because transactions' markers take up offsets. How many, and how many of them twice."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": f"bench-{time.time()}", "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    found, twice, ended = set(), 0, 0
    while ended < 4:
        for message in consumer.consume(10000, 5):
            if message.error():
                ended += 1
            else:
                identity = message.value().split(b'"record_id":', 1)[1].split(b'"', 2)[1]
                twice += identity in found
                found.add(identity)
    consumer.close()
    return len(found), twice


TELEGRAF = """[agent]
interval = "1s"
flush_interval = "200ms"
metric_batch_size = 10000
metric_buffer_limit = 20000000
omit_hostname = true
quiet = true
{buffer}
[[inputs.http_listener_v2]]
service_address = "tcp://127.0.0.1:{port}"
paths = ["/v1/bench"]
methods = ["POST"]
{parser}
[[outputs.kafka]]
brokers = ["{kafka}"]
topic = "telegraf"
required_acks = -1
idempotent_writes = true
compression_codec = 4
{serializer}
"""
ONE = ('data_format = "value"\ndata_type = "string"', 'data_format = "template"\ntemplate = "{{ .Field \\"value\\" }}"')
MANY = ('data_format = "json"\njson_string_fields = ["record_id", "tenant_id", "device_id", "at"]', 'data_format = "json"')


class Side:
    def __init__(self, name, folder, kafka, program):
        self.name, self.folder, self.kafka, self.program = name, folder, kafka, program
        self.accepted, self.wrong, self.number, self.exits, self.buffer = 0, 0, 0, [], ""

    def start(self, records):
        """The process and its port."""
        if self.name == "weir":
            process = subprocess.Popen([self.program, "gateway", "-p", str(self.folder / "weir.yaml")], stdout=subprocess.PIPE, text=True)
            return process, int(process.stdout.readline().rsplit(":", 1)[1])
        port = services.free_ports(1)[0]
        parser, serializer = ONE if records == 1 else MANY
        (self.folder / "telegraf.conf").write_text(TELEGRAF.format(port=port, buffer=self.buffer, kafka=self.kafka.address, parser=parser, serializer=serializer))
        process = subprocess.Popen([self.program, "--config", str(self.folder / "telegraf.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        return process, port

    def turn(self, connections, records, seconds):
        process, port = self.start(records)
        load, started = Load(port, connections, records, self.number, self.name != "weir"), time.monotonic()
        load.run(seconds)
        took = time.monotonic() - started
        process.send_signal(signal.SIGTERM)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.exits.append(process.returncode)
        self.number = load.number
        self.accepted, self.wrong = self.accepted + (load.answers - load.wrong) * records, self.wrong + load.wrong
        waits, cpu = sorted(load.waits), used.ru_utime + used.ru_stime
        return {"requests_s": load.answers / took, "records_s": load.answers * records / took, "cpu_s_per_million_records": cpu / (load.answers * records) * 1e6,
                "peak_mib": used.ru_maxrss / 1024, "ms_median": waits[len(waits) // 2] * 1000, "ms_p99": waits[len(waits) * 99 // 100] * 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--records", default="1,10,100")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--telegraf", help="the program; built with inputs.http_listener_v2, outputs.kafka, parsers and serializers")
    parser.add_argument("--disk", action="store_true", help="Telegraf with buffer_strategy disk")
    options, rows = parser.parse_args(), []
    folder = Path(tempfile.mkdtemp(prefix="weir-gateway-bench."))
    (folder / "tokens").write_text(f"acme {hashlib.sha256(b'bench').hexdigest()}\n")
    with services.Services() as running:
        kafka = running.start("kafka")
        (folder / "weir.yaml").write_text(PIPELINE.format(kafka=kafka.address))
        sides = [Side("weir", folder, kafka, os.environ["WEIR"])] + ([Side("telegraf", folder, kafka, options.telegraf)] if options.telegraf else [])
        if options.disk:
            sides[-1].buffer = f'buffer_strategy = "disk"\nbuffer_directory = "{folder}/telegraf"'
        for topic in ("bench", "telegraf"):
            services.create_topic(kafka.address, topic, partitions=4)
        for records in map(int, options.records.split(",")):
            turns = {side.name: [] for side in sides}
            for _ in range(options.turns):
                for side in sides:
                    turns[side.name].append(side.turn(options.connections, records, options.seconds))
            for side in sides:
                rows.append({"side": side.name, "records": records, **{key: round(statistics.median(each[key] for each in turns[side.name]), 1) for key in turns[side.name][0]}})
        found = {side.name: records_of(kafka, "bench" if side.name == "weir" else "telegraf") for side in sides}
    whole = {side.name: found[side.name] == (side.accepted, 0) and not side.wrong for side in sides}
    print("| records a request | side | requests/s | records/s | CPU s per million records | peak MiB | median ms | p99 ms | x CPU |\n|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        base = next(each for each in rows if each["side"] == "weir" and each["records"] == row["records"])
        ratio = f"{row['cpu_s_per_million_records'] / base['cpu_s_per_million_records']:.1f}" if whole[row["side"]] else "not the same records"
        print(f"| {row['records']} | {row['side']} | " + " | ".join(str(row[key]) for key in list(row)[2:]) + f" | {ratio} |")
    print(json.dumps({"connections": options.connections, "turns": options.turns, "load": os.getloadavg()[0], "rows": rows,
                      "sides": {side.name: {"accepted": side.accepted, "in_kafka": found[side.name][0], "twice": found[side.name][1], "answered_otherwise": side.wrong, "exits": side.exits} for side in sides}}))
    return 0 if whole["weir"] and not any(sides[0].exits) else 1


sys.exit(main())
