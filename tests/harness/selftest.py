"""The servers and the generator themselves: what the other tests take for granted.

usage: selftest.py WEIR_GEN; prints ok/FAIL lines, exit code 1 when any failed.
"""

import collections
import csv
import hashlib
import hmac
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import services

GENERATOR = sys.argv[1]
failures = 0


def check(name, got, wanted):
    global failures
    failures += got != wanted
    print(
        f"ok {name}" if got == wanted else f"FAIL {name}: got {got!r}, wanted {wanted!r}",
        flush=True,
    )


def generate(*arguments):
    return subprocess.run(
        [GENERATOR, *map(str, arguments)], check=True, stdout=subprocess.PIPE
    ).stdout


def manifest(path):
    with open(path, newline="") as listing:
        return list(csv.DictReader(listing))


def consume(address, topic, isolation):
    """{(partition, offset): value} of everything a reader of that isolation gets."""
    from confluent_kafka import Consumer, TopicPartition

    ends = {number: high for number, (_, high) in services.topic_offsets(address, topic).items()}
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "selftest",
            "isolation.level": isolation,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in ends])
    found, open_ends = {}, set(ends)
    while open_ends:
        message = consumer.poll(20)
        if message is None:
            raise services.ServiceError(f"no end of {topic} within 20 s")
        if message.error():
            open_ends.discard(message.partition())
        else:
            found[message.partition(), message.offset()] = message.value()
    consumer.close()
    return found


def check_generator(folder):
    whole = generate("--count", 1000, "--bad", 50, "--duplicates", 30, "--late", 30)
    check(
        "generator: the same again",
        generate("--count", 1000, "--bad", 50, "--duplicates", 30, "--late", 30) == whole,
        True,
    )
    part = generate("--first", 700, "--count", 300, "--bad", 50, "--duplicates", 30, "--late", 30)
    check("generator: record i depends on the seed and i alone", whole.endswith(part), True)
    check(
        "generator: another seed, other records",
        generate("--count", 1, "--seed", 2) != whole.split(b"\n")[0] + b"\n",
        True,
    )
    for shape in ("inventory", "flat", "wide", "hostile"):
        lines = generate(
            "--count", 3000, "--shape", shape, "--bad", 100, "--manifest", f"{folder}/m.csv"
        ).split(b"\n")
        check(
            f"generator: a line a record of shape {shape}",
            len(lines) - 1,
            len(manifest(f"{folder}/m.csv")),
        )


def check_kafka(running, folder):
    kafka = running.start("kafka")
    address = kafka.address
    services.create_topic(address, "transactions", 4)
    generate(
        "--kafka",
        address,
        "--topic",
        "transactions",
        "--count",
        3000,
        "--bad",
        20,
        "--tombstones",
        10,
        "--transactional",
        "t",
        "--transaction-size",
        300,
        "--abort-every",
        3,
        "--manifest",
        f"{folder}/t.csv",
        "--values",
        f"{folder}/t.ndjson",
    )
    rows = manifest(f"{folder}/t.csv")
    lines = open(f"{folder}/t.ndjson", "rb").read().split(b"\n")
    wanted = {
        (int(row["partition"]), int(row["offset"])): (
            None if row["status"] == "tombstone" else lines[int(row["row"])]
        )
        for row in rows
        if row["status"] != "aborted"
    }
    check(
        "kafka: aborted records are a third",
        collections.Counter(row["status"] for row in rows)["aborted"],
        900,
    )
    check(
        "kafka: read_committed sees what the manifest says",
        consume(address, "transactions", "read_committed") == wanted,
        True,
    )
    check(
        "kafka: read_uncommitted sees all",
        len(consume(address, "transactions", "read_uncommitted")),
        3000,
    )
    kafka.crash()
    kafka.resume()
    check(
        "kafka: nothing lost by a crash",
        consume(address, "transactions", "read_committed") == wanted,
        True,
    )
    services.create_topic(address, "short", 1)
    generate("--kafka", address, "--topic", "short", "--count", 100)
    services.truncate_topic(address, "short", {0: 40})
    check("kafka: log start moved", services.topic_offsets(address, "short"), {0: (40, 100)})
    services.delete_topic(address, "short")
    services.create_topic(address, "short", 2)
    check(
        "kafka: topic made anew", services.topic_offsets(address, "short"), {0: (0, 0), 1: (0, 0)}
    )
    kafka.stop()


def put(service, key, body, **conditions):
    """Status of a PUT into bucket lake with the conditions as headers, signed by AWS Signature Version 4."""
    host, now = service.address.split("//")[1], time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    # urllib would call the body a form, and s3proxy then reads it as one and finds the checksum wrong.
    headers = {
        "host": host,
        "content-type": "application/octet-stream",
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": now,
        **{name.replace("_", "-"): value for name, value in conditions.items()},
    }
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            "PUT",
            f"/lake/{key}",
            "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            headers["x-amz-content-sha256"],
        ]
    )
    scope = f"{now[:8]}/{service.region}/s3/aws4_request"
    signing = f"AWS4{service.secret}".encode()
    for part in scope.split("/"):
        signing = hmac.new(signing, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(signing, text.encode(), "sha256").hexdigest()
    authorization = f"AWS4-HMAC-SHA256 Credential={service.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    request = urllib.request.Request(
        f"{service.address}/lake/{key}",
        body,
        {**headers, "authorization": authorization},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def check_store(running, kind, refuses):
    store = running.start(kind)
    services.create_bucket(store, "lake")
    check(f"{kind}: first put-if-absent", put(store, "a", b"1", if_none_match="*"), 200)
    check(
        f"{kind}: second put-if-absent {'loses' if refuses else 'is not told'}",
        put(store, "a", b"2", if_none_match="*"),
        412 if refuses else 200,
    )
    store.facts["secret"] = "wrong-secret"
    if kind != "moto":  # which looks at no signature
        check(f"{kind}: a wrong secret is refused", put(store, "b", b"1"), 403)
    store.stop()


def main():
    with services.Services() as running, tempfile.TemporaryDirectory() as folder:
        check_generator(folder)
        check_kafka(running, folder)
        for kind in ("s3proxy", "versitygw", "moto"):
            check_store(running, kind, refuses=True)
        check_store(running, "s3proxy-old", refuses=False)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
