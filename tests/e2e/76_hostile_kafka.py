"""Hostile messages through a real Kafka, and hostile files, under the sanitizers: every bad record kept raw with its reason, every good
neighbour landed once; files that cannot be read whole are named and cost no other file. DuckDB counts.
"""
import gzip, json, os, shutil, subprocess, sys, tempfile
from pathlib import Path
import duckdb
from confluent_kafka import Producer

root = Path(__file__).resolve().parents[2]
WEIR, bad = os.environ.get("WEIR_SANITIZED") or os.environ["WEIR"], 0
base = Path(tempfile.mkdtemp(prefix="weir-hostile-kafka."))
os.environ.update(WEIR_SERVICES=str(base / "services"), WEIR_SERVICES_OWNER=str(os.getpid()))
service = str(root / "tests/harness/service")
MEGA = 1 << 20


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments):
    run = subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, timeout=120)
    if b"Sanitizer" in run.stderr or b"runtime error" in run.stderr or run.returncode < 0:
        say(False, f"no crash in {arguments}", run.stderr[-1500:])
    return run


def read(folder, what, letters):
    """Rows of the data files, or of the refused records' files, by DuckDB."""
    files = [str(p) for p in (folder / "lake").rglob("*.parquet") if ("letters" in p.parts) == letters and ("data" in p.parts or letters)]
    return duckdb.sql(f"select {what} from read_parquet({files})").fetchall() if files else []


def good(number, **more):
    return json.dumps({"id": number, **more}).encode()


# (value, key, reason); a reason of None is a good record
HOSTILE = [
    (None, b"tombstone", "null"), (b"", b"k", "empty"), (b" \t\r\n ", b"k", "empty"), (b"\x00", b"k", "syntax"), (b"\x00" * 4096, None, "syntax"),
    (b'{"id": 1, "name": "cut', b"k", "syntax"), (b'{"id": 1} x', b"", "syntax"), (b'\xef\xbb\xbf{"id": 1}', b"k", "syntax"), (b"null", b"k", "type"),
    (b"[]", b"k", "type"), (b"5", b"k", "type"), (b'{"id": 1, "name": "\xff\xfe"}', b"\xff\xfe\x00", "encoding"),
    (b'{"id": 1, "name": "a\x00b"}', b"k", "syntax"), (b'{"id": 9223372036854775808}', b"k", "range"), (b'{"id": 1, "small": -2147483649}', b"k", "range"),
    (b'{"id": 1, "price": 12345678901.5}', b"k", "range"), (b'{"id": 1, "at": "2026-02-30T00:00:00Z"}', b"k", "range"), (b'{"id": "1"}', b"k", "type"),
    (b'{"id": true}', b"k", "type"), (b'{"id": 1, "name": 5}', b"k", "type"), (b'{"id": 1.5}', b"k", "type"), (b'{"name": "x"}', b"k", "required"),
    (b'{"id": 1, "deep": ' + b"[" * 300 + b"]" * 300 + b"}", b"k", "depth"), (b'{"deep":' * 300 + b"1" + b"}" * 300, b"k", "depth"),
    (b"[" * 1_000_000, b"k", "depth"), (b'{"id": 1, "name": "\\ud800"}', b"k", "syntax"), (b'{"id": 1' + b"0" * 100_000 + b"}", b"k", "range"),
    (b'{"id": 2, "name": "key"}', b"K" * (5 * MEGA), None),  # a huge key on a good record
    (b'{"id": 2, "name": "' + b"x" * (50 * MEGA) + b'"}', b"k", None),  # 50 MB strings: good, and with a fault behind it
    (b'{"id": 2, "name": "' + b"y" * (50 * MEGA) + b'", "small": "no"}', b"k", "type"),
    (b'{"id": 2, "name": "' + b"z" * (65 * MEGA) + b'"}', b"k", "too_large"),
]


def messages():
    for number, (value, key, _) in enumerate(HOSTILE):
        yield good(1000 + number), b"neighbour"
        yield value, key
    yield good(1000 + len(HOSTILE)), None


def pipeline(folder, source, extra=""):
    (folder / "weir.yaml").write_text(f"""version: 1
name: hostile
lake: {{warehouse: ./lake}}
run: {{memory_limit: 4GiB}}
sources:
  hostile: {{{source}, format: json}}
tables:
  bronze.hostile: {{source: hostile, columns: {{id: long required, name: string, small: int, price: "decimal(10,2)", at: timestamptz}}{extra}}}
""")


def through_kafka():
    folder = base / "kafka"
    folder.mkdir()
    limit = str(90 * MEGA)
    brokers = subprocess.run([service, "start", "kafka", "--set", f"message.max.bytes={limit}", "--set", f"replica.fetch.max.bytes={limit}"],
                             capture_output=True, text=True, check=True).stdout.split()[-1]
    subprocess.run([service, "topic", "kafka", "create", "hostile", "2", f"max.message.bytes={limit}"], check=True, stdout=subprocess.DEVNULL)
    producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 90 * MEGA, "queue.buffering.max.kbytes": 1 << 20, "linger.ms": 0,
                         "batch.num.messages": 1})
    lost = []
    for number, (value, key) in enumerate(messages()):
        producer.produce("hostile", value=value, key=key, partition=number % 2 if number % 3 else 0, on_delivery=lambda error, _: error and lost.append(error))
        producer.flush(60) if value and len(value) > MEGA else producer.poll(0)
    producer.flush(120)
    say(not lost, "kafka: produced", lost[:3])
    pipeline(folder, f'kafka: {{topics: [hostile], properties: {{bootstrap.servers: "{brokers}"}}}}')
    run = weir(folder, "run")
    say(run.returncode == 0, "kafka: run", run.stderr[-800:])
    fingerprint = "raw is null, coalesce(octet_length(raw), 0), md5(coalesce(raw, ''::blob)), reason"
    got = sorted(read(folder, fingerprint, True))
    wanted = duckdb.execute(f"select raw is null, coalesce(octet_length(raw), 0), md5(coalesce(raw, ''::blob)), reason from (select unnest(?::blob[]) raw, unnest(?) reason)",
                            [[v for v, _, r in HOSTILE if r], [r for *_, r in HOSTILE if r]]).fetchall()
    say(got == sorted(wanted), "kafka: each bad message raw, with its reason",
        f"only got {[g for g in got if g not in wanted]}, only wanted {[w for w in wanted if w not in got]}")
    ids = sorted(row[0] for row in read(folder, "id", False))
    fine = sorted([*range(1000, 1001 + len(HOSTILE)), *(json.loads(v)["id"] for v, _, r in HOSTILE if r is None)])
    say(ids == fine, "kafka: each good neighbour landed once", f"missing {[i for i in fine if i not in ids]}, surplus {[i for i in ids if i not in fine]}")
    sizes = read(folder, "max(octet_length(name::blob)), max(octet_length(_kafka.key))", False)
    say(sizes == [(50 * MEGA, 5 * MEGA)], "kafka: the 50 MB string and the 5 MB key are whole", sizes)
    say(b"nothing to do" in weir(folder, "run").stdout, "kafka: nothing to do")
    verified = weir(folder, "verify", "--deep")
    say(verified.returncode == 0, "kafka: verify --deep", verified.stdout[-400:] + verified.stderr[-400:])
    shown = weir(folder, "quarantine", "show", "hostile")
    say(shown.returncode == 0 and b"yyyyyyyy" not in shown.stdout, "kafka: quarantine show of 65 MB records", shown.stderr[-400:])
    retried = weir(folder, "quarantine", "retry", "hostile", "--yes")
    say(retried.returncode == 0 and len(read(folder, "id", False)) == len(fine), "kafka: a retry lands nothing new", retried.stderr[-400:])
    say(weir(folder, "verify", "--deep").returncode == 0, "kafka: verify --deep after it")


def through_files():
    folder = base / "files"
    inbox = folder / "in"
    inbox.mkdir(parents=True)
    pipeline(folder, f'files: "{inbox}/*.ndjson*"')
    (inbox / "long.ndjson").write_bytes(good(1) + b'\n{"id": 2, "name": "' + b"w" * (70 * MEGA) + b'"}\n' + good(3) + b'\n{"id": 4, "name": "' + b"v" * (50 * MEGA) + b'"}\n')
    (inbox / "nul.ndjson").write_bytes(good(5) + b"\n" + b"\x00" * 70_000 + b"\n" + good(6))
    run = weir(folder, "run")
    say(run.returncode == 0, "files: a 70 MB line, a 50 MB string, NUL bytes", run.stderr[-800:])
    say(sorted(r[0] for r in read(folder, "id", False)) == [1, 3, 4, 5, 6], "files: neighbours landed", read(folder, "id", False))
    say(sorted(read(folder, "reason, octet_length(raw) > 60000", True)) == [("syntax", True), ("too_large", True)], "files: refused with reasons",
        read(folder, "reason, octet_length(raw)", True))
    whole = b"".join(good(100 + n, name="n" * 50) + b"\n" for n in range(5000))
    plain = folder / "whole.ndjson"
    plain.write_bytes(whole)
    packed = {"gz": gzip.compress(whole)}
    for form, command in (("zst", ["zstd", "-q", "-c"]), ("lz4", ["lz4", "-q", "-c"])):
        packed[form] = subprocess.run([*command, str(plain)], capture_output=True, check=True).stdout
    for form, content in packed.items():
        bent = bytearray(content)
        bent[len(bent) // 2] ^= 0xff
        forms = {"cut": content[:len(content) // 2], "cut by one": content[:-1], "empty": b"", "no such format": b'{"id": 9}\n', "bent": bytes(bent)}
        for fault, wrong in forms.items():
            name = f"{fault.replace(' ', '-')}.ndjson.{form}"
            (inbox / name).write_bytes(wrong)
            run = weir(folder, "run")
            told = run.returncode == 1 and name.encode() in run.stderr
            say(told or (fault == "empty" and run.returncode == 0), f"files: {fault} .{form} is told by name", f"{run.returncode} {run.stderr[-300:]}")
            (inbox / name).unlink()
    say(len(read(folder, "id", False)) == 5, "files: nothing of them landed", len(read(folder, "id", False)))
    (inbox / os.fsdecode(b"bad-\xff\xfe.ndjson")).write_bytes(good(7))
    (inbox / "neighbour.ndjson").write_bytes(good(8))
    run = weir(folder, "run")
    landed = sorted(r[0] for r in read(folder, "id", False))
    told = run.returncode == 4 and b"not UTF-8" in run.stderr and rb"bad-\xff\xfe.ndjson" in run.stderr
    say(told and landed == [1, 3, 4, 5, 6, 8], "files: a name that is not UTF-8 is told, its neighbour lands", f"{run.returncode} {landed} {run.stderr[-400:]}")
    (inbox / os.fsdecode(b"bad-\xff\xfe.ndjson")).unlink()
    say(weir(folder, "run").returncode == 0 and len(read(folder, "id", False)) == 6, "files: without it there is nothing to do")
    say(weir(folder, "verify", "--deep").returncode == 0, "files: verify --deep")


try:
    through_files()
    through_kafka()
finally:
    subprocess.run([service, "stop", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(base, ignore_errors=True)
sys.exit(bad > 0)
