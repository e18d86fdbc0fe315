"""Command line of services.py; see --help."""

import argparse
import os
import pathlib
import subprocess
import sys

import services

SETUP = pathlib.Path(__file__).resolve().parents[2] / "tools" / "env" / "setup"

HELP = """
Servers live in $WEIR_SERVICES (default /tmp/weir-services-UID); tests/harness/lib.sh sets it for a shell test and
ends them with the script. Examples:
  service start kafka                     prints the address; --name B --port 19092 --set log.retention.ms=1000 --secure
  service start s3proxy --persist         also s3proxy-old, versitygw [--tls], moto, opensearch
  service start iceberg-rest --set warehouse=s3://lake/wh --set s3=http://...       also nessie [--secure]; apicurio
  service crash kafka; service resume kafka; service pause kafka; service proceed kafka
  service get kafka address               also log, folder, ca, cluster, secure_address
  service bucket s3proxy lake
  service topic kafka create inventory 4 cleanup.policy=compact
  service topic kafka delete|offsets inventory | add inventory 8 | alter inventory k=v | truncate inventory 0=100 1=-1
  service topic kafka committed inventory GROUP | read inventory [LAST]
  service stop kafka; service stop --all; service list
"""


def pairs(words):
    return dict(word.split("=", 1) for word in words)


def topic(service, action, name, words):
    address = service.address
    if action == "create":
        partitions = int(words.pop(0)) if words and "=" not in words[0] else 1
        services.create_topic(address, name, partitions, **pairs(words))
    elif action == "delete":
        services.delete_topic(address, name)
    elif action == "alter":
        services.alter_topic(address, name, **pairs(words))
    elif action == "add":
        services.add_partitions(address, name, int(words[0]))
    elif action == "truncate":
        services.truncate_topic(address, name, {int(k): int(v) for k, v in pairs(words).items()})
    elif action == "offsets":
        for partition, (low, high) in services.topic_offsets(address, name).items():
            print(partition, low, high)
    elif action == "read":
        for message in services.read_topic(address, name)[-int(words[0]) if words else 0 :]:
            headers = " ".join(f"{key}={value.decode()}" for key, value in message.headers() or [])
            text = [(part or b"null").decode() for part in (message.key(), message.value())]
            print(message.offset(), *text, headers)
    elif action == "committed":
        for partition, offset in services.group_offsets(address, words[0], name).items():
            print(partition, offset)
    else:
        sys.exit(f"service: no topic action '{action}'")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="service", epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start")
    start.add_argument("kind", choices=services.KINDS)
    start.add_argument("--name")
    start.add_argument("--port", type=int)
    start.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    for flag in ("secure", "persist", "tls"):
        start.add_argument("--" + flag, action="store_true")
    stop = verbs.add_parser("stop")
    stop.add_argument("name", nargs="?")
    stop.add_argument("--all", action="store_true")
    for verb in ("crash", "resume", "pause", "proceed"):
        verbs.add_parser(verb).add_argument("name")
    get = verbs.add_parser("get")
    get.add_argument("name")
    get.add_argument("fact")
    bucket = verbs.add_parser("bucket")
    bucket.add_argument("name")
    bucket.add_argument("bucket")
    kafka = verbs.add_parser("topic")
    kafka.add_argument("name")
    kafka.add_argument("action")
    kafka.add_argument("topic")
    kafka.add_argument("words", nargs="*")
    verbs.add_parser("list")
    return parser.parse_args(arguments)


def start(running, options):
    chosen = {
        key: getattr(options, key)
        for key in ("port", "secure", "persist", "tls")
        if getattr(options, key)
    }
    if options.set:
        chosen["settings"] = pairs(options.set)
    if subprocess.run([SETUP, options.kind]).returncode:
        raise services.ServiceError(f"{options.kind} could not be installed")
    print(running.start(options.kind, options.name, **chosen).address)


def main():
    options = parse(sys.argv[1:])
    running = services.Services(
        os.environ.get("WEIR_SERVICES") or f"/tmp/weir-services-{os.getuid()}"
    )
    if options.verb == "start":
        start(running, options)
    elif options.verb == "list":
        for each in running.all():
            print(each.name, each.address, f"pid {each.pid}" if each.running() else "down")
    elif options.verb == "stop" and options.all:
        running.close()
    elif options.verb == "get":
        service = running.get(options.name)
        print(
            {"log": service.folder / "log", "folder": service.folder}.get(options.fact)
            or service.facts[options.fact]
        )
    elif options.verb == "bucket":
        services.create_bucket(running.get(options.name), options.bucket)
    elif options.verb == "topic":
        topic(running.get(options.name), options.action, options.topic, options.words)
    else:
        getattr(running.get(options.name), options.verb)()


if __name__ == "__main__":
    try:
        main()
    except services.ServiceError as error:
        sys.exit(f"service: {error}")
