"""Kafka by OAuth: a broker that wants OAUTHBEARER, and a token endpoint of the test's own that gives, refuses, is away, and changes the secret."""
import base64, http.server, json, os, shutil, socket, subprocess, sys, tempfile, threading, time, urllib.parse
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("interop", "harness")]
import engines, services
from confluent_kafka import Consumer, Producer

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-login."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", "OAUTH_SECRET": "s3cret", **environment})


def base64url(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Endpoint(http.server.ThreadingHTTPServer):
    """RFC 6749 4.4. `secret`: the one it takes; `life`: of a token, in seconds; `asked`: what it was asked."""

    def __init__(self, port=0):
        self.secret, self.life, self.asked, self.answer = "s3cret", 3600, [], None
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/token"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        self.server.asked.append(form)
        now = int(time.time())
        claims = {"sub": form.get("client_id"), "iat": now, "exp": now + self.server.life, "scope": form.get("scope", "")}
        if self.server.answer:
            code, text = self.server.answer
        elif form.get("client_secret") != self.server.secret or form.get("grant_type") != "client_credentials":
            code, text = 401, json.dumps({"error": "invalid_client", "error_description": "who are you"})
        else:
            token = f"{base64url({'alg': 'none'})}.{base64url(claims)}."
            code, text = 200, json.dumps({"access_token": token, "token_type": "bearer", "expires_in": self.server.life})
        self.send_response(code)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def broker_of(running):
    """Beside the harness's own listener one that wants a token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports = services.free_ports(3)
    listeners = f"PLAINTEXT://127.0.0.1:{ports[0]},SASL_PLAINTEXT://127.0.0.1:{port}"
    broker = running.start("kafka", port=ports[0], settings={
        "controller.quorum.voters": f"1@127.0.0.1:{ports[1]}",
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{ports[1]}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        "connections.max.reauth.ms": "4000",
        "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config":
            'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'})
    return broker.facts["address"] if hasattr(broker, "facts") else broker["address"], f"127.0.0.1:{port}"


def make(name, secure, endpoint, secret="${OAUTH_SECRET}", sink=""):
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weir.yaml").write_text(f"""version: 1
name: login
lake: {{warehouse: ./lake}}
sources:
  readings:
    kafka:
      topics: [readings]
      auth: {{oauth: {{token_url: "{endpoint.url}", client_id: weir, client_secret: "{secret}", scope: kafka read}}}}
      properties: {{bootstrap.servers: "{secure}", security.protocol: SASL_PLAINTEXT}}
tables:
  bronze.readings: {{source: readings, columns: {{id: long required}}}}
{sink}""")
    return folder


def produce(plain, ids):
    producer = Producer({"bootstrap.servers": plain})
    for number in ids:
        producer.produce("readings", json.dumps({"id": number}))
    producer.flush(30)


def ids(folder):
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return sorted(engines.load_table(place, "bronze.readings").scan().to_arrow()["id"].to_pylist())


def checked(plain, secure):
    endpoint = Endpoint()
    folder = make("right", secure, endpoint)
    produce(plain, range(100))
    done = weir(folder, "run")
    say(done.returncode == 0 and ids(folder) == list(range(100)), "records by a token", done.stderr)
    say(endpoint.asked and all(f["grant_type"] == "client_credentials" and f["client_id"] == "weir" and f["scope"] == "kafka read" for f in endpoint.asked), "asked for as RFC 6749 says", endpoint.asked[:2])
    done = weir(folder, "doctor")
    say("s3cret" not in done.stdout + done.stderr and "readings" in done.stdout, "weir doctor logs in the same way", done.stdout + done.stderr)
    done = weir(folder, "config")
    say("s3cret" not in done.stdout, "weir config hides the secret", done.stdout)

    started = time.time()
    done = weir(folder, "run", OAUTH_SECRET="wrong")
    say(done.returncode == 1 and "invalid_client" in done.stderr and "wrong" not in done.stderr.replace("wrong?", "") and time.time() - started < 20, "a wrong secret: told, and not tried for ever", f"{done.returncode} {time.time() - started:.0f} s {done.stderr}")
    endpoint.answer = (503, "busy")
    done = weir(folder, "run")
    say(done.returncode == 75 and "503" in done.stderr, "an endpoint that is busy: exit 75", f"{done.returncode} {done.stderr}")
    endpoint.answer = (200, '{"hello": 1}')
    done = weir(folder, "run")
    say(done.returncode == 1 and "access_token" in done.stderr, "an answer without a token: told", f"{done.returncode} {done.stderr}")
    endpoint.answer = (200, json.dumps({"access_token": "not.a.token", "expires_in": 60}))
    done = weir(folder, "run")
    say(done.returncode == 1, "a token that the broker refuses", f"{done.returncode} {done.stderr}")
    endpoint.answer = None
    endpoint.shutdown()
    endpoint.server_close()
    if os.environ.get("WEIR_FULL"):  # 15 s
        done = weir(folder, "run")
        say(done.returncode == 75, "nobody at that address: exit 75", f"{done.returncode} {done.stderr}")

    endpoint = Endpoint()
    (top / "secret").write_text("first\n")
    endpoint.secret, endpoint.life = "first", 5
    folder = make("renewed", secure, endpoint, f"file:{top / 'secret'}", f"""sinks:
  out:
    from: bronze.readings
    kafka:
      topic: out
      auth: {{oauth: {{token_url: "{endpoint.url}", client_id: sink, client_secret: "file:{top / 'secret'}"}}}}
      properties: {{bootstrap.servers: "{secure}", security.protocol: SASL_PLAINTEXT}}
""")
    done = weir(folder, "run")
    say(done.returncode == 0 and ids(folder) == list(range(100)), "a secret from a file", done.stderr)
    say(any(f["client_id"] == "sink" for f in endpoint.asked), "a sink of Kafka logs in too", endpoint.asked[-2:])
    consumer = Consumer({"bootstrap.servers": plain, "group.id": "look", "auto.offset.reset": "earliest"})
    consumer.subscribe(["out"])
    found, until = 0, time.time() + 30
    while found < 100 and time.time() < until:
        found += len(consumer.consume(100, 1))
    consumer.close()
    say(found == 100, "and its records arrive", found)
    (top / "secret").write_text("second\n")
    endpoint.secret = "second"
    produce(plain, range(100, 110))
    done = weir(folder, "run")
    say(done.returncode == 0 and ids(folder) == list(range(110)), "the file holds another secret", done.stderr)


def refused():
    folder = top / "refused"
    folder.mkdir()
    for change, what in (({"token_url": "ftp://x"}, "http or https"), ({"client_id": None}, "client_id"), ({"mechanism": True}, "another way to log in"), ({"own": True}, "Weir's own")):
        oauth = {"token_url": "https://x/token", "client_id": "a", "client_secret": "b", **{k: v for k, v in change.items() if k in ("token_url", "client_id")}}
        properties = {"bootstrap.servers": "x:1", **({"sasl.mechanism": "PLAIN"} if "mechanism" in change else {}), **({"weir.oauth.scope": "x"} if "own" in change else {})}
        (folder / "weir.yaml").write_text(f"""version: 1
name: login
lake: {{warehouse: ./lake}}
sources:
  r: {{kafka: {{topics: [r], auth: {{oauth: {json.dumps({k: v for k, v in oauth.items() if v})}}}, properties: {json.dumps(properties)}}}}}
tables:
  bronze.r: {{source: r, columns: {{id: long}}}}
""")
        done = weir(folder, "validate")
        say(done.returncode == 2 and what in done.stderr and "weir.yaml:" in done.stderr, f"validate: {what}", f"{done.returncode} {done.stderr}")


refused()
with services.Services() as running:
    plain, secure = broker_of(running)
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": plain})
    for made in admin.create_topics([NewTopic("readings", 2), NewTopic("out", 1)]).values():
        made.result(30)
    checked(plain, secure)
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
