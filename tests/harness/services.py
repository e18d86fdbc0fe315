"""Real servers on loopback for tests: started, crashed, resumed, stopped, and never left behind.

Each running server is a folder STATE/NAME with its data, its log and service.json, so that a shell script, its
children and Python share one view of it. A keeper process ends a server whose owner has died, even by SIGKILL.

    with Services() as services:
        kafka = services.start("kafka")
        create_topic(kafka.address, "inventory", partitions=4)

The same from a shell: tests/harness/service --help.
"""

import atexit
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "weir"
S3_KEY, S3_SECRET, S3_REGION = "testkey", "testsecret123", "us-east-1"
READY_SECONDS = 60
STOP_SECONDS = 15


class ServiceError(Exception):
    """A server could not be started or did not answer; the message holds the end of its log."""


# -- processes -----------------------------------------------------------------------------------------


def free_ports(count):
    """Ports that were free a moment ago, next to nobody's: all held at once so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def process_birth(pid):
    """Start time of a process in clock ticks, None when there is none: tells a reused pid from the one meant."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def tail(path, lines=20):
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


class Service:
    """One server: its folder holds service.json, log, and whatever the kind keeps there."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.facts = json.loads((self.folder / "service.json").read_text())

    @property
    def name(self):
        return self.folder.name

    @property
    def address(self):
        return self.facts["address"]

    def __getattr__(self, fact):
        try:
            return self.facts[fact]
        except KeyError:
            raise AttributeError(fact) from None

    def save(self):
        temporary = self.folder / "service.json.new"
        temporary.write_text(json.dumps(self.facts, indent=1))
        temporary.rename(self.folder / "service.json")

    def running(self):
        pid = self.facts.get("pid")
        return bool(pid) and process_birth(pid) == self.facts.get("birth")

    def launch(self):
        """Starts the process on the data that is there, and waits until it answers."""
        log = open(self.folder / "log", "ab")
        environment = {**os.environ, **self.facts.get("environment", {})}
        process = subprocess.Popen(
            self.facts["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env=environment,
            start_new_session=True,
        )
        log.close()
        self.facts.update(pid=process.pid, birth=process_birth(process.pid))
        self.save()
        self.keep()
        self.wait_ready(process)
        return self

    def wait_ready(self, process):
        probe, deadline = KINDS[self.facts["kind"]].ready, time.monotonic() + READY_SECONDS
        while not probe(self.facts):
            if process.poll() is not None:
                raise ServiceError(
                    f"{self.name} ended at its start with {process.returncode}:\n{tail(self.folder / 'log')}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise ServiceError(
                    f"{self.name} not ready in {READY_SECONDS} s:\n{tail(self.folder / 'log')}"
                )
            time.sleep(0.05)

    def keep(self):
        """A small process that outlives us and ends the server once its owner is gone."""
        owner = int(os.environ.get("WEIR_SERVICES_OWNER", "0"))
        if owner:
            watch = [
                sys.executable,
                "-S",
                "-E",
                __file__,
                "keep",
                str(owner),
                str(self.facts["pid"]),
            ]
            subprocess.Popen(
                watch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )

    def end(self, how):
        pid, birth = self.facts.get("pid"), self.facts.get("birth")
        if self.running():
            end_process(pid, birth, how)
        self.facts.update(pid=None, birth=None)
        self.save()

    def stop(self):
        self.end(signal.SIGTERM)

    def crash(self):
        """SIGKILL: what the server had not written is lost."""
        self.end(signal.SIGKILL)

    def pause(self):
        """SIGSTOP: the server keeps its connections and answers nothing."""
        os.kill(self.facts["pid"], signal.SIGSTOP)

    def proceed(self):
        os.kill(self.facts["pid"], signal.SIGCONT)

    def resume(self):
        if self.running():
            raise ServiceError(f"{self.name} is running")
        return self.launch()


def end_process(pid, birth, how):
    def alive():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return process_birth(pid) == birth

    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + STOP_SECONDS
    while alive():
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_SECONDS
        time.sleep(0.02)


def keep(owner, pid):
    owner_birth, birth = process_birth(owner), process_birth(pid)
    while birth and process_birth(pid) == birth:
        if not owner_birth or process_birth(owner) != owner_birth:
            end_process(pid, birth, signal.SIGKILL)
            return
        time.sleep(0.5)


class Services:
    """The servers of one test. Leaving the block, or the process, ends them and removes their folders."""

    def __init__(self, state=None):
        self.owned = state is None and "WEIR_SERVICES" not in os.environ
        default = (
            os.environ.get("WEIR_SERVICES") or f"/tmp/weir-services-{os.getuid()}-{os.getpid()}"
        )
        self.state = pathlib.Path(state or default)
        self.state.mkdir(parents=True, exist_ok=True)
        if self.owned:
            os.environ["WEIR_SERVICES_OWNER"] = str(os.getpid())
            atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for service in self.all():
            service.stop()
        if self.owned:
            shutil.rmtree(self.state, ignore_errors=True)

    def all(self):
        return [Service(path.parent) for path in sorted(self.state.glob("*/service.json"))]

    def get(self, name):
        if not (self.state / name / "service.json").exists():
            raise ServiceError(f"no server '{name}' in {self.state}")
        return Service(self.state / name)

    def start(self, kind, name=None, **options):
        """A new server with no data. Options: port, and those of the kind (see KINDS)."""
        name = name or kind
        folder = self.state / name
        if (folder / "service.json").exists():
            Service(folder).stop()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        facts = {"kind": kind, **KINDS[kind].prepare(folder, options)}
        if options:
            raise ServiceError(f"{kind} has no option {', '.join(options)}")
        (folder / "service.json").write_text(json.dumps(facts))
        return Service(folder).launch()


# -- kinds ---------------------------------------------------------------------------------------------


def java(group, heap, *arguments):
    lib = CACHE / group / "lib"
    if not lib.is_dir():
        raise ServiceError(f"{group} is not installed: tools/env/setup {group}")
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xshare:auto",
        "-cp",
        f"{lib}/*",
        *arguments,
    ]


def answers(url):
    try:
        context = None
        if url.startswith("https:"):
            import ssl

            context = ssl._create_unverified_context()  # only asks whether somebody is there
        urllib.request.urlopen(url, timeout=2, context=context).close()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


class Kafka:
    """Apache Kafka, one KRaft broker. Options: port, secure (SASL_SSL beside, alice/alice-secret), settings {name: value},
    classes (a folder of compiled classes beside Kafka's own)."""

    PROPERTIES = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "num.partitions": "1",
        # A misspelt topic in a test must be an error, not a new topic.
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A crashed broker is taken back at once, a compaction or retention is seen in seconds.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "2000",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "log.cleaner.backoff.ms": "200",
        "log.retention.check.interval.ms": "1000",
        "log.segment.delete.delay.ms": "100",
        "log.initial.task.delay.ms": "500",
        "log.flush.start.offset.checkpoint.interval.ms": "500",
        "num.network.threads": "1",
        "num.io.threads": "2",
        "message.max.bytes": "67108864",
        "replica.fetch.max.bytes": "67108864",
    }

    @classmethod
    def prepare(cls, folder, options):
        secure = options.pop("secure", False)
        port = options.pop("port", None)
        classes = options.pop("classes", None)
        ports = free_ports(3) if port is None else [int(port), int(port) + 1, int(port) + 2]
        plain, controller = (
            f"PLAINTEXT://127.0.0.1:{ports[0]}",
            f"CONTROLLER://127.0.0.1:{ports[1]}",
        )
        tls, protocols = (
            (f",SASL_SSL://localhost:{ports[2]}", ",SASL_SSL:SASL_SSL") if secure else ("", "")
        )
        settings = {
            **cls.PROPERTIES,
            "controller.quorum.voters": f"1@127.0.0.1:{ports[1]}",
            "log.dirs": str(folder / "logs"),
            "listeners": f"{plain},{controller}{tls}",
            "advertised.listeners": plain + tls,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
            + protocols,
            **(cls.secure_settings(folder) if secure else {}),
            **options.pop("settings", {}),
        }
        (folder / "server.properties").write_text(
            "".join(f"{key}={value}\n" for key, value in settings.items())
        )
        cluster = (
            base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        )
        users = (
            ["--add-scram", "SCRAM-SHA-512=[name=alice,password=alice-secret]"] if secure else []
        )
        formatted = subprocess.run(
            [
                *java("kafka", "128m", "kafka.tools.StorageTool"),
                "format",
                "-t",
                cluster,
                "-c",
                str(folder / "server.properties"),
                *users,
            ],
            capture_output=True,
            text=True,
        )
        if formatted.returncode:
            raise ServiceError(
                f"kafka: formatting its storage failed:\n{formatted.stdout}{formatted.stderr}"
            )
        facts = {
            "address": f"127.0.0.1:{ports[0]}",
            "cluster": cluster,
            "command": java(
                "kafka",
                "320m",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "kafka.Kafka",
                str(folder / "server.properties"),
            ),
        }
        if classes:
            path = facts["command"].index("-cp") + 1
            facts["command"][path] += f":{classes}"
        if secure:
            facts.update(secure_address=f"localhost:{ports[2]}", ca=str(folder / "ca.pem"))
        return facts

    @staticmethod
    def secure_settings(folder):
        make_certificate(folder)
        (folder / "server.pem").write_text(
            (folder / "key.pem").read_text() + (folder / "cert.pem").read_text()
        )
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(folder / "server.pem"),
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        }

    @staticmethod
    def ready(facts):
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        host, port = facts["address"].split(":")
        with socket.socket() as probe:  # a client against a closed port would wait for its whole time-out
            probe.settimeout(1)
            if probe.connect_ex((host, int(port))):
                return False
        try:
            client = AdminClient({"bootstrap.servers": facts["address"], "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False


def make_certificate(folder):
    """cert.pem signed by itself for localhost, key.pem (PKCS 8), ca.pem to trust it by."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    shutil.copy(folder / "cert.pem", folder / "ca.pem")


def s3_facts(address, command, **more):
    return {
        "address": address,
        "command": command,
        "key": S3_KEY,
        "secret": S3_SECRET,
        "region": S3_REGION,
        **more,
    }


class S3Proxy:
    """s3proxy. Options: port, persist (files instead of memory: needed to resume after a crash)."""

    group = "s3proxy"

    @classmethod
    def prepare(cls, folder, options):
        port = int(options.pop("port", None) or free_ports(1)[0])
        provider = "filesystem-nio2" if options.pop("persist", False) else "transient-nio2"
        (folder / "data").mkdir()
        (folder / "logback.xml").write_text('<configuration><root level="WARN"/></configuration>')
        settings = {
            "s3proxy.authorization": "aws-v4",
            "s3proxy.endpoint": f"http://127.0.0.1:{port}",
            "s3proxy.identity": S3_KEY,
            "s3proxy.credential": S3_SECRET,
            "jclouds.provider": provider,
            "jclouds.filesystem.basedir": str(folder / "data"),
            "jclouds.identity": "x",
            "jclouds.credential": "x",
        }
        (folder / "conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return s3_facts(
            f"http://127.0.0.1:{port}",
            java(
                cls.group,
                "512m",
                f"-Dlogback.configurationFile={folder}/logback.xml",
                "org.gaul.s3proxy.Main",
                "--properties",
                str(folder / "conf"),
            ),
        )

    @staticmethod
    def ready(facts):
        return answers(facts["address"])


class S3ProxyOld(S3Proxy):
    """s3proxy 2.7.0: checks signatures and ignores every condition on a PUT, in silence."""

    group = "s3proxy-old"


class VersityGateway:
    """versitygw over a folder. Options: port, region, tls (https with ca.pem in the server's folder), users (others than
    the root user can be made: gateway_user, bucket_policy)."""

    @staticmethod
    def prepare(folder, options):
        program = CACHE / "versitygw" / "versitygw"
        if not program.exists():
            raise ServiceError("versitygw is not installed: tools/env/setup versitygw")
        port = int(options.pop("port", None) or free_ports(1)[0])
        tls = options.pop("tls", False)
        scheme, certificate, more = "http", [], {}
        if tls:
            make_certificate(folder)
            scheme, certificate = "https", [
                "--cert",
                str(folder / "cert.pem"),
                "--key",
                str(folder / "key.pem"),
            ]
            more = {"ca": str(folder / "ca.pem")}
        for each in ("root", "side", "users"):
            (folder / each).mkdir()
        users = ["--iam-dir", str(folder / "users"), "--iam-cache-disable"]
        command = [
            str(program),
            "--port",
            f"127.0.0.1:{port}",
            "--region",
            options.pop("region", S3_REGION),
            "--health",
            "/health",
            *certificate,
            *(users if options.pop("users", False) else []),
            "--quiet",
            "posix",
            "--sidecar",
            str(folder / "side"),
            str(folder / "root"),
        ]
        environment = {"ROOT_ACCESS_KEY": S3_KEY, "ROOT_SECRET_KEY": S3_SECRET}
        return s3_facts(f"{scheme}://127.0.0.1:{port}", command, environment=environment, **more)

    @staticmethod
    def ready(facts):
        return answers(facts["address"] + "/health")


class Moto:
    """moto: flat keys as AWS has them, no look at signatures. Options: port."""

    @staticmethod
    def prepare(folder, options):
        program = CACHE / "moto" / "venv" / "bin" / "moto_server"
        if not program.exists():
            raise ServiceError("moto is not installed: tools/env/setup moto")
        port = int(options.pop("port", None) or free_ports(1)[0])
        return s3_facts(
            f"http://127.0.0.1:{port}", [str(program), "-H", "127.0.0.1", "-p", str(port)]
        )

    @staticmethod
    def ready(facts):
        return answers(facts["address"])


class OpenSearch:
    """OpenSearch, one node without logins, which keeps its data when it is stopped. Options: port."""

    @staticmethod
    def prepare(folder, options):
        port = options.pop("port", None)
        ports = free_ports(2) if port is None else [int(port), int(port) + 100]
        launcher = pathlib.Path(__file__).resolve().parent / "OpenSearchNode.java"
        command = java(
            "opensearch",
            "400m",
            "-Djava.security.manager=allow",
            str(launcher),
            str(folder / "node"),
            *map(str, ports),
        )
        return {"address": f"http://127.0.0.1:{ports[0]}", "command": command}

    @staticmethod
    def ready(facts):
        query = "/_cluster/health?wait_for_status=yellow&timeout=2s"
        try:
            urllib.request.urlopen(facts["address"] + query, timeout=4).close()
            return True
        except OSError:  # also an answer that says no
            return False


class IcebergRest:
    """Apache Iceberg's REST catalog over SQLite; asks for no token. Options: port, settings {warehouse: s3://... or
    a folder, s3: endpoint}."""

    @staticmethod
    def prepare(folder, options):
        port = int(options.pop("port", None) or free_ports(1)[0])
        settings = options.pop("settings", {})
        warehouse = settings.pop("warehouse", None) or str(folder / "warehouse")
        environment = {
            "CATALOG_REST_PORT": str(port),
            "CATALOG_CATALOG__IMPL": "org.apache.iceberg.jdbc.JdbcCatalog",
            "CATALOG_URI": f"jdbc:sqlite:{folder}/catalog.db",
            "CATALOG_JDBC_USER": "u",
            "CATALOG_JDBC_PASSWORD": "p",
            "CATALOG_WAREHOUSE": warehouse,
            "CATALOG_IO__IMPL": "org.apache.iceberg.hadoop.HadoopFileIO",
            "AWS_REGION": S3_REGION,
        }
        if "s3" in settings:
            environment.update(
                CATALOG_IO__IMPL="org.apache.iceberg.aws.s3.S3FileIO",
                CATALOG_S3_ENDPOINT=settings.pop("s3"),
                CATALOG_S3_PATH__STYLE__ACCESS="true",
                CATALOG_S3_ACCESS__KEY__ID=S3_KEY,
                CATALOG_S3_SECRET__ACCESS__KEY=S3_SECRET,
            )
        options.update(settings)
        command = java("iceberg-rest", "256m", "org.apache.iceberg.rest.RESTCatalogServer")
        return {
            "address": f"http://127.0.0.1:{port}",
            "command": command,
            "environment": environment,
        }

    @staticmethod
    def ready(facts):
        return answers(facts["address"] + "/v1/config")


class Nessie:
    """Project Nessie with its store in memory; its REST catalog is at ADDRESS/iceberg, or /iceberg/BRANCH. Options:
    port, secure (bearer tokens signed by jwt.key of the server's folder), settings {warehouse: s3://..., s3: endpoint}."""

    @staticmethod
    def prepare(folder, options):
        home = CACHE / "nessie"
        if not (home / "nessie.jar").exists():
            raise ServiceError("nessie is not installed: tools/env/setup nessie")
        port = options.pop("port", None)
        ports = free_ports(2) if port is None else [int(port), int(port) + 1]
        settings = options.pop("settings", {})
        s3 = "nessie.catalog.service.s3.default-options."
        properties = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": ports[0],
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": ports[1],
            "nessie.version.store.type": "IN_MEMORY",
            "nessie.catalog.default-warehouse": "wh",
            "nessie.catalog.warehouses.wh.location": settings.pop("warehouse"),
            s3 + "endpoint": settings.pop("s3"),
            s3 + "path-style-access": "true",
            s3 + "region": S3_REGION,
            s3 + "access-key": "urn:nessie-secret:quarkus:s3creds",
            "s3creds.name": S3_KEY,
            "s3creds.secret": S3_SECRET,
            **(Nessie.tokens(folder) if options.pop("secure", False) else {}),
            **settings,
        }
        command = [
            str(home / "java21" / "bin" / "java"),
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-jar",
            str(home / "nessie.jar"),
        ]
        health = f"http://127.0.0.1:{ports[1]}/q/health/ready"
        return {"address": f"http://127.0.0.1:{ports[0]}", "health": health, "command": command}

    @staticmethod
    def tokens(folder):
        key = str(folder / "jwt.key")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        public = subprocess.run(
            ["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True
        ).stdout
        return {
            "nessie.server.authentication.enabled": "true",
            "quarkus.oidc.tenant-enabled": "true",
            "quarkus.oidc.public-key": "".join(public.splitlines()[1:-1]),
            "quarkus.oidc.client-id": "nessie",
            "quarkus.oidc.auth-server-url": "",
            "quarkus.oidc.token.audience": "any",
        }

    @staticmethod
    def ready(facts):
        try:
            urllib.request.urlopen(facts["health"], timeout=2).close()
            return True
        except OSError:
            return False


class Apicurio:
    """Apicurio Registry with its store in memory; Confluent's protocol is at ADDRESS. Option: port."""

    @staticmethod
    def prepare(folder, options):
        home = CACHE / "apicurio"
        if not (home / "quarkus-run.jar").exists():
            raise ServiceError("apicurio is not installed: tools/env/setup apicurio")
        port = options.pop("port", None)
        ports = free_ports(2) if port is None else [int(port), int(port) + 1]
        properties = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": ports[0],
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": ports[1],
        }
        command = [
            str(home / "java21" / "bin" / "java"),
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *(f"-D{name}={value}" for name, value in properties.items()),
            "-jar",
            str(home / "quarkus-run.jar"),
        ]
        return {"address": f"http://127.0.0.1:{ports[0]}/apis/ccompat/v7", "command": command}

    @staticmethod
    def ready(facts):
        return answers(facts["address"] + "/subjects")


def make_token(key_file, subject, seconds):
    """A JWT as Nessie with `secure` takes it; `seconds` from now it ends."""

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": subject, "upn": subject, "iss": "t", "iat": now, "exp": now + seconds}
    text = b".".join(
        encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    command = ["openssl", "dgst", "-sha256", "-sign", str(key_file)]
    signature = subprocess.run(command, input=text, check=True, capture_output=True).stdout
    return (text + b"." + encode(signature)).decode()


KINDS = {
    "kafka": Kafka,
    "s3proxy": S3Proxy,
    "s3proxy-old": S3ProxyOld,
    "versitygw": VersityGateway,
    "moto": Moto,
    "opensearch": OpenSearch,
    "iceberg-rest": IcebergRest,
    "nessie": Nessie,
    "apicurio": Apicurio,
}


# -- Kafka administration ------------------------------------------------------------------------------


def kafka_admin(address):
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": address, "log_level": 0})


def administer(address, call):
    """Waits for what `call` asks of an admin client, which must outlive its futures; the first error is raised."""
    client = kafka_admin(address)
    return {key: future.result(timeout=30) for key, future in call(client).items()}


def create_topic(address, topic, partitions=1, **settings):
    from confluent_kafka.admin import NewTopic

    settings = {name.replace("_", "."): str(value) for name, value in settings.items()}
    administer(
        address,
        lambda client: client.create_topics([NewTopic(topic, partitions, 1, config=settings)]),
    )
    wait_for(lambda: leaders(address, topic) == partitions, f"leaders of topic {topic}")


def leaders(address, topic):
    found = kafka_admin(address).list_topics(topic, timeout=5).topics[topic]
    return 0 if found.error else sum(1 for each in found.partitions.values() if each.leader >= 0)


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def delete_topic(address, topic):
    """Returns once the broker no longer knows the topic, so that it can be made anew at once."""
    client = kafka_admin(address)
    administer(address, lambda client: client.delete_topics([topic], operation_timeout=30))
    wait_for(lambda: topic not in client.list_topics(timeout=5).topics, f"topic {topic} to be gone")
    time.sleep(0.3)


def alter_topic(address, topic, **settings):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    entries = [
        ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    administer(address, lambda client: client.incremental_alter_configs([resource]))


def add_partitions(address, topic, total):
    from confluent_kafka.admin import NewPartitions

    administer(address, lambda client: client.create_partitions([NewPartitions(topic, total)]))
    wait_for(lambda: leaders(address, topic) == total, f"partitions of topic {topic}")


def truncate_topic(address, topic, starts):
    """Moves the log start of partitions forward: {partition: first offset kept} (-1: everything goes)."""
    from confluent_kafka import TopicPartition

    wanted = [TopicPartition(topic, number, offset) for number, offset in starts.items()]
    administer(address, lambda client: client.delete_records(wanted))


def topic_offsets(address, topic):
    """{partition: (log start, high watermark)}"""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": "weir-harness", "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            for number in sorted(partitions)
        }
    finally:
        consumer.close()


def read_topic(address, topic):
    """Every committed record, partition after partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": "read", "enable.auto.commit": False, "enable.partition.eof": True, "isolation.level": "read_committed"})
    records = []
    try:
        for partition in sorted(topic_offsets(address, topic)):
            consumer.assign([TopicPartition(topic, partition, 0)])
            while (message := consumer.poll(10)) is not None:
                if message.error():  # the end of the partition
                    break
                records.append(message)
    finally:
        consumer.close()
    return records


def group_offsets(address, group, topic):
    """{partition: committed offset}, for partitions that have one."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": group, "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        found = consumer.committed(
            [TopicPartition(topic, number) for number in sorted(partitions)], timeout=10
        )
        return {each.partition: each.offset for each in found if each.offset >= 0}
    finally:
        consumer.close()


# -- S3 ------------------------------------------------------------------------------------------------


def s3_filesystem(service):
    from pyarrow import fs

    scheme, _, host = service.address.partition("://")
    options = {"tls_ca_file_path": service.facts["ca"]} if "ca" in service.facts else {}
    return fs.S3FileSystem(
        access_key=S3_KEY,
        secret_key=S3_SECRET,
        region=S3_REGION,
        endpoint_override=host,
        scheme=scheme,
        allow_bucket_creation=True,
        force_virtual_addressing=False,
        **options,
    )


def create_bucket(service, bucket):
    s3_filesystem(service).create_dir(bucket)


def gateway_user(service, *arguments):
    """`versitygw admin` as the root user: "create-user", "--access", ...; "delete-user", ..."""
    program = str(CACHE / "versitygw" / "versitygw")
    who = ["--access", S3_KEY, "--secret", S3_SECRET, "--endpoint-url", service.address]
    subprocess.run([program, "admin", *who, *arguments], check=True, capture_output=True)


def bucket_policy(service, bucket, statements):
    """Sets what others than the root user may do: [{"Sid", "Effect", "Principal", "Action", "Resource"}]."""
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    url = f"{service.address}/{bucket}?policy="
    subprocess.run(
        [
            *("curl", "-sS", "--fail-with-body", "-X", "PUT", "--data-binary", text),
            *("--aws-sigv4", f"aws:amz:{S3_REGION}:s3", "--user", f"{S3_KEY}:{S3_SECRET}"),
            *("-H", f"x-amz-content-sha256: {hashlib.sha256(text.encode()).hexdigest()}", url),
        ],
        check=True,
        capture_output=True,
    )


if __name__ == "__main__" and sys.argv[1:2] == ["keep"]:
    keep(int(sys.argv[2]), int(sys.argv[3]))
