"""Devices that upload records by HTTP, and what the topic holds afterwards. Used by tools/demo.

    devices.py send URL TOKEN --devices 200 --accepted FILE [--seconds S] < RECORDS
        Record i goes out as device i modulo DEVICES's next one (device_id, boot and seq are set), in batches, each
        under its own Idempotency-Key; a batch that got no answer is sent again. Writes the accepted record_ids.
    devices.py topic BROKERS TOPIC MANIFEST VALUES
        What a reader of committed records finds, as weir-gen's manifest and values.
"""

import argparse
import csv
import http.client
import json
import re
import sys
import threading
import time
import urllib.parse

BATCH = 25
PATIENCE = 120  # seconds without any answer


class Sender(threading.Thread):
    """Some devices' records, in the order of each device."""

    def __init__(self, url, token, batches, pause):
        super().__init__()
        self.url, self.token, self.batches, self.pause = urllib.parse.urlsplit(url), token, batches, pause
        self.accepted, self.again, self.problem, self.connection = [], 0, None, None

    def post(self, key, body):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=20)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        self.connection.request("POST", self.url.path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, text

    def run(self):
        for key, lines, ids in self.batches:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    status, text = self.post(key, b"".join(lines))
                except (OSError, http.client.HTTPException):
                    status, text, self.connection = 0, b"", None
                if status == 202:
                    self.accepted += ids
                    break
                if status not in (0, 429, 503) or time.monotonic() > until:
                    self.problem = f"{key}: {status} {text[:300]!r}"
                    return
                self.again += 1
                time.sleep(0.1)
            time.sleep(self.pause)


def send(options):
    devices = [[] for _ in range(options.devices)]
    for number, line in enumerate(sys.stdin.buffer):
        device = number % options.devices
        head = f'{{"device_id":"edge-{device:03}","boot":1,"seq":{len(devices[device])},'.encode()
        line = head + re.sub(rb'"device_id":"[^"]*",', b"", line, count=1)[1:]
        devices[device].append((line, re.search(rb'"record_id":"([^"]*)"', line)[1].decode()))
    threads = min(20, options.devices)
    share = [[] for _ in range(threads)]
    for first in range(0, max(map(len, devices)), BATCH):  # all devices go on together
        for number, records in enumerate(devices):
            part = records[first : first + BATCH]
            if part:
                lines, ids = zip(*part)
                share[number % threads].append((f"edge-{number:03}-{first}", lines, ids))
    began = time.monotonic()
    senders = [Sender(options.url, options.token, each, options.seconds / max(1, len(each))) for each in share]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    problems = [each.problem for each in senders if each.problem]
    with open(options.accepted, "w") as file:
        file.writelines(f"{each}\n" for sender in senders for each in sender.accepted)
    accepted, again = sum(len(each.accepted) for each in senders), sum(each.again for each in senders)
    print(f"{accepted} records of {options.devices} devices accepted in {time.monotonic() - began:.1f} s; {again} requests had no answer, or 503, and were sent again")
    if problems:
        sys.exit(f"refused: {problems[0]}")


def topic(options):
    import xxhash
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": options.brokers, "group.id": "devices.py", "isolation.level": "read_committed",
                         "enable.partition.eof": True, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    partitions = consumer.list_topics(options.topic, timeout=20).topics[options.topic].partitions
    consumer.assign([TopicPartition(options.topic, each, 0) for each in partitions])
    ended, number = set(), 0
    with open(options.manifest, "w", newline="") as manifest, open(options.values, "wb") as values:
        rows = csv.writer(manifest)
        rows.writerow("row index origin key partition offset timestamp_ms status reason size digest".split())
        while len(ended) < len(partitions):
            message = consumer.poll(20)
            if message is None:
                sys.exit("the topic does not end")
            if message.error():
                ended.add(message.partition())
                continue
            value = message.value()
            rows.writerow([number, number, number, (message.key() or b"").decode(), message.partition(), message.offset(), message.timestamp()[1],
                           "good", "", len(value), f"{xxhash.xxh3_64_intdigest(value):016x}"])
            values.write(value + b"\n")
            number += 1
    consumer.close()
    print(f"{number} records in the topic")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    sending = verbs.add_parser("send")
    sending.add_argument("url")
    sending.add_argument("token")
    sending.add_argument("--devices", type=int, default=200)
    sending.add_argument("--seconds", type=float, default=0, help="spread over about so long")
    sending.add_argument("--accepted", required=True)
    reading = verbs.add_parser("topic")
    for each in ("brokers", "topic", "manifest", "values"):
        reading.add_argument(each)
    options = parser.parse_args()
    {"send": send, "topic": topic}[options.verb](options)


if __name__ == "__main__":
    main()
