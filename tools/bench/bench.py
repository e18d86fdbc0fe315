"""Rows of measurements, Weir and its rival in turns, and what they say: started by tools/bench/run."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import answers

HERE = pathlib.Path(__file__).resolve().parent
RUN_SECONDS = 600
IDLE_RECORDS = 10_000
TOPIC_PARTITIONS = 4
CODECS = ("zstd(3)", "lz4_raw")

PIPELINE = """version: 1
name: bench
lake:
  warehouse: {warehouse}
run:
  threads: {threads}
sources:
  inventory:
    {source}
tables:
  bronze.inventory:
    source: inventory
    codec: {codec}
    columns:
      record_id: string
      tenant_id: string
      device_id: string
      hostname: string
      site: string
      os: struct<name:string, version:string, build:int>
      cpu: struct<model:string, cores:int, usage_pct:double>
      memory: struct<total_mb:long, used_mb:long>
      disks: list<struct<mount:string, total_gb:double, free_gb:double, encrypted:boolean>>
      software: list<struct<name:string, version:string>>
      agent_version: string
      last_boot: timestamptz
      collected_at: timestamptz
      tags: map<string, string>
"""


class Side:
    """One of the two: its command, the folder it may fill, and which files there are its answer."""

    def __init__(self, name, folder, command, is_table):
        self.name, self.folder, self.command, self.is_table = name, folder, command, is_table
        self.runs = []

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def answer(self):
        if self.is_table:
            return answers.of_files(answers.table_files(self.folder))
        return answers.of_files([self.folder / "out.parquet"])

    def written(self):
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def median(self, figure):
        return statistics.median(run[figure] for run in self.runs)


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.cpus = sorted(os.sched_getaffinity(0))[: options.threads]
        self.log = open(folder / "log", "ab")

    def measure(self, side, keep):
        """Runs one side once and, with keep, notes what it cost."""
        result = self.folder / "measured.json"
        subprocess.run(
            [sys.executable, "-S", "-E", HERE / "measure.py", result]
            + [",".join(map(str, self.cpus)), str(RUN_SECONDS), *map(str, side.command)],
            stdout=self.log,
            stderr=self.log,
            check=True,
        )
        figures = json.loads(result.read_text())
        if figures["exit"] != 0:
            end = (self.folder / "log").read_text(errors="replace")[-2000:]
            sys.exit(f"bench: {side.name} ended with {figures['exit']}:\n{end}")
        if keep:
            side.runs.append({**figures, "bytes_written": side.written()})

    def weir(self, name, source, codec):
        folder = self.folder / name / "weir"
        pipeline = self.folder / f"{name}.yaml"
        pipeline.write_text(
            PIPELINE.format(
                warehouse=folder, threads=self.options.threads, source=source, codec=codec
            )
        )
        return Side("Weir", folder, [os.environ["WEIR"], "run", "-q", "-p", pipeline], True)

    def rival(self, name, title, kind, *words):
        command = [sys.executable, HERE / "rival.py", kind, *words]
        return Side(title, self.folder / name / "rival", command, kind == "kafka")

    def row(self, title, sides, fresh):
        """Turn by turn; fresh: each run begins with nothing, and each pair of answers is compared."""
        differing = []
        for turn in range(self.options.runs):
            for side in sides:
                if fresh:
                    side.fresh()
                self.measure(side, keep=True)
                costs = side.runs[-1]
                note(
                    f"{title}, turn {turn + 1}: {side.name} {costs['cpu_seconds']:.2f} CPU s,"
                    f" {costs['wall_seconds']:.2f} s, load {costs['load']:.1f}"
                )
            if fresh or turn == self.options.runs - 1:
                said = [side.answer() for side in sides]
                differing = differing or answers.differences(*said)
        for side in sides:
            shutil.rmtree(side.folder)
        return {
            "row": title,
            "answer": said[0],
            "differences": differing,
            "sides": [{"name": side.name, "median": medians(side), "runs": side.runs} for side in sides],
        }

    def file_rows(self, source):
        for codec in CODECS:
            name = f"file-{codec}"
            target = self.folder / name / "rival" / "out.parquet"
            yield self.row(
                f"file -> table, {codec}",
                [
                    self.weir(name, f"files: {source}", codec),
                    self.rival(
                        name, "DuckDB", "file", source, target, self.options.threads, codec
                    ),
                ],
                fresh=True,
            )

    def kafka_sides(self, name, brokers, topic, codec):
        source = f"kafka: {{topics: [{topic}], properties: {{bootstrap.servers: '{brokers}'}}}}"
        warehouse = self.folder / name / "rival"
        return [
            self.weir(name, source, codec),
            self.rival(
                name, "kcat + DuckDB + pyiceberg", "kafka", brokers, topic, warehouse,
                self.options.threads, codec,
            ),
        ]  # fmt: skip

    def kafka_rows(self, brokers):
        for codec in CODECS:
            sides = self.kafka_sides(f"kafka-{codec}", brokers, "inventory", codec)
            yield self.row(f"Kafka -> table, {codec}", sides, fresh=True)

    def idle_row(self, brokers):
        sides = self.kafka_sides("idle", brokers, "idle", "zstd(3)")
        for side in sides:
            side.fresh()
            self.measure(side, keep=False)
        return self.row("Kafka, nothing to do", sides, fresh=False)


def medians(side):
    return {figure: side.median(figure) for figure in side.runs[0] if figure != "exit"}


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def produce(brokers, topic, source, count):
    """Lines of the file, keyed by device, lz4, spread as Kafka's own producers do."""
    import services
    from confluent_kafka import Producer

    services.create_topic(brokers, topic, TOPIC_PARTITIONS)
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    with open(source, "rb") as lines:
        for number, line in zip(range(count), lines):
            at = line.index(b'"device_id":"') + len(b'"device_id":"')
            key = line[at : line.index(b'"', at)]
            while True:
                with contextlib.suppress(BufferError):
                    producer.produce(topic, value=line[:-1], key=key)
                    break
                producer.poll(0.1)
            if number % 5000 == 0:
                producer.poll(0)
    if producer.flush(120) != 0:
        sys.exit("bench: the broker did not take every record")


def generate(target, count):
    """The file of records, and who made them."""
    reference = os.environ.get("WEIR_REFERENCE_GEN")
    command = [reference, "-n"] if reference else [os.environ["WEIR_GEN"], "--count"]
    with open(target, "wb") as out:
        subprocess.run([*command, str(count)], stdout=out, check=True)
    return "reference" if reference else "weir-gen"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def facts(options, source, generator):
    import confluent_kafka
    import duckdb
    import pyiceberg

    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.strip().split("\n")[0]

    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": first_line("git", "-C", HERE, "describe", "--always", "--dirty"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "threads": options.threads,
        "runs": options.runs,
        "records": options.count,
        "record_bytes": source.stat().st_size,
        "generator": generator,
        "versions": {
            "weir": first_line(os.environ["WEIR"], "version"),
            "duckdb": duckdb.__version__,
            "pyiceberg": pyiceberg.__version__,
            "librdkafka of confluent-kafka": confluent_kafka.libversion()[0],
            "kcat": first_line("dpkg-query", "-W", "-f", "${Version}", "kcat"),
            "kafka": "3.9.1",
            "python": platform.python_version(),
        },
    }


def cells(row, side, first):
    middle = side["median"]
    cpus = [run["cpu_seconds"] for run in side["runs"]]
    if side is first:
        ratios = ["1", "1", "1"]
    elif row["differences"]:
        ratios = ["answers differ"] * 3
    else:
        ratios = [
            f"{middle[figure] / first['median'][figure]:.1f}"
            for figure in ("cpu_seconds", "wall_seconds", "peak_bytes")
        ]
    return [
        row["row"] if side is first else "",
        side["name"],
        f"{middle['cpu_seconds']:.2f} ({min(cpus):.2f}-{max(cpus):.2f})",
        f"{middle['wall_seconds']:.2f}",
        f"{middle['peak_bytes'] / 2**20:.0f}",
        f"{middle['bytes_written'] / 1e6:.1f}",
        *ratios,
        f"{middle['load']:.1f}",
    ]


HEADINGS = ["row", "side", "CPU s (least-most)", "wall s", "peak MiB", "MB written"]
HEADINGS += ["x CPU", "x wall", "x peak", "load"]


def table(rows):
    lines = [HEADINGS] + [
        cells(row, side, row["sides"][0]) for row in rows for side in row["sides"]
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(word.ljust(width) for word, width in zip(line, widths)) + " |"
        for line in lines
    )


def parse():
    parser = argparse.ArgumentParser(
        prog="tools/bench/run",
        description="Weir beside a rival on the same records, in turns; medians, as a table and as JSON.",
        epilog="Columns x: the rival's figure over Weir's. WEIR, WEIR_GEN: programs to measure, else built here;"
        " WEIR_REFERENCE_GEN: generator to take the records from. Exit 1 when two answers differ.",
    )
    parser.add_argument("--rows", default="file,kafka,idle", help="default %(default)s")
    parser.add_argument("--runs", type=int, default=5, help="turns of each row, default 5")
    parser.add_argument("--count", type=int, default=1_000_000, help="records, default 1,000,000")
    parser.add_argument("--threads", type=int, default=2, help="and CPUs that both may use; default 2")
    parser.add_argument("--json", metavar="FILE", help="where the JSON goes, default standard output")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    for name in options.rows:
        if name not in ("file", "kafka", "idle"):
            parser.error(f"no row '{name}'")
    if min(options.runs, options.count, options.threads) < 1:
        parser.error("--runs, --count and --threads are 1 or more")
    if options.threads > len(os.sched_getaffinity(0)):
        parser.error(f"--threads {options.threads}: there are {len(os.sched_getaffinity(0))} CPUs")
    return options


def measure_rows(options, folder, source):
    import services

    bench, rows = Bench(options, folder), []
    if "file" in options.rows:
        rows.extend(bench.file_rows(source))
    if set(options.rows) & {"kafka", "idle"}:
        with services.Services(folder / "services") as running:
            os.environ["WEIR_SERVICES_OWNER"] = str(os.getpid())
            brokers = running.start("kafka").address
            if "kafka" in options.rows:
                note(f"producing {options.count} records")
                produce(brokers, "inventory", source, options.count)
                rows.extend(bench.kafka_rows(brokers))
            if "idle" in options.rows:
                produce(brokers, "idle", source, min(options.count, IDLE_RECORDS))
                rows.append(bench.idle_row(brokers))
    return rows


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="weir-bench.") as name:
        folder = pathlib.Path(name)
        source = folder / "records.ndjson"
        generator = generate(source, options.count)
        head = facts(options, source, generator)
        rows = measure_rows(options, folder, source)
    print(table(rows))
    for row in rows:
        for difference in row["differences"]:
            print(f"{row['row']}: answers differ: {difference}")
    text = json.dumps({**head, "rows": rows})
    if options.json:
        pathlib.Path(options.json).write_text(text + "\n")
    else:
        print(text)
    return 1 if any(row["differences"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
