"""Certificates and logins over TLS: Kafka by SCRAM, OAuth, AWS IAM and our own certificate; S3 over HTTPS. Then what goes wrong: another authority,
another host, an ended certificate, a wrong password; and proxies."""
import base64, http.server, json, os, shutil, socket, socketserver, ssl, subprocess, sys, tempfile, threading, time, urllib.parse
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("interop", "harness")]
import engines, services
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

WEIR, bad = os.environ["WEIR"], 0
HARNESS = Path(__file__).resolve().parents[1] / "harness"
top = Path(tempfile.mkdtemp(prefix="weir-tls."))
FULL = bool(os.environ.get("WEIR_FULL"))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)


def weir(folder, *arguments, **environment):
    begun = time.time()
    done = subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=150,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", "PASSWORD": "alice-secret", "AWS_ACCESS_KEY_ID": services.S3_KEY,
                               "AWS_SECRET_ACCESS_KEY": services.S3_SECRET, **environment})
    done.seconds = time.time() - begun
    return done


# ---- certificates ----

def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=top, check=True, capture_output=True)


def authority(name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(name, by, names, ended=False):
    """{name}.pem, {name}.key and both in {name}.both, as Kafka wants it; `ended`: its last day was in 2020."""
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (top / f"{name}.ext").write_text(f"subjectAltName={names}\n")
    if ended:
        (top / "ca").mkdir(exist_ok=True)
        (top / "ca/index.txt").write_text("")
        (top / "ca/serial").write_text("1000\n")
        (top / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=ca/index.txt\nserial=ca/serial\nnew_certs_dir=ca\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-config", "ca.cnf", "-cert", f"{by}.pem", "-keyfile", f"{by}.key", "-in", f"{name}.csr", "-out", f"{name}.pem",
                "-extfile", f"{name}.ext", "-startdate", "200101000000Z", "-enddate", "200201000000Z", "-notext")
    else:
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    (top / f"{name}.both").write_text((top / f"{name}.key").read_text() + (top / f"{name}.pem").read_text())


def certificates():
    authority("ca")
    authority("other")
    here = "DNS:localhost,IP:127.0.0.1"
    certificate("server", "ca", here)
    certificate("elsewhere", "ca", "DNS:broker.example.org")
    certificate("ended", "ca", here, ended=True)
    certificate("client", "ca", "DNS:client")
    certificate("stranger", "other", "DNS:client")


# ---- servers ----

class Endpoint(http.server.ThreadingHTTPServer):
    """RFC 6749 4.4 over TLS."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
            now = int(time.time())
            token = f"{part({'alg': 'none'})}.{part({'sub': 'weir', 'iat': now, 'exp': now + 3600})}."
            text = json.dumps({"access_token": token, "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(top / "server.pem", top / "server.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def pump(a, b):
    def one(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    other = threading.Thread(target=one, args=(b, a), daemon=True)
    other.start()
    one(a, b)
    other.join()


class Quiet(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def handle_error(self, *_):
        pass


class Front(Quiet):
    """TLS in front of a server: with any of our certificates, and asking for the client's if told."""

    def __init__(self, address, name, client_ca=None):
        self.behind = address.split("//")[-1].rsplit(":", 1)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(top / f"{name}.pem", top / f"{name}.key")
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(top / client_ca)
        super().__init__(("127.0.0.1", 0), Front.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.server_address[1]}"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                secure = self.server.context.wrap_socket(self.request, server_side=True)
                pump(secure, socket.create_connection((self.server.behind[0], int(self.server.behind[1]))))
            except OSError:
                pass


class Proxy(Quiet):
    """CONNECT and plain forwarding, RFC 9110 9.3.6; `asked`: what for. `code`: what it says to all instead."""

    def __init__(self):
        self.asked, self.code = [], None
        super().__init__(("127.0.0.1", 0), Proxy.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            head = b""
            while b"\r\n\r\n" not in head:
                more = self.request.recv(4096)
                if not more:
                    return
                head += more
            method, target = head.split(b" ")[0].decode(), head.split(b" ")[1].decode()
            self.server.asked.append((method, target))
            if self.server.code:
                self.request.sendall(f"HTTP/1.1 {self.server.code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
                return
            place = target if method == "CONNECT" else urllib.parse.urlsplit(target).netloc
            behind = socket.create_connection((place.rsplit(":", 1)[0], int(place.rsplit(":", 1)[1])))
            if method == "CONNECT":
                self.request.sendall(b"HTTP/1.1 200 connected\r\n\r\n")
            else:
                parts = urllib.parse.urlsplit(target)
                behind.sendall(head.replace(target.encode(), (parts.path + (f"?{parts.query}" if parts.query else "")).encode(), 1))
            pump(self.request, behind)


def broker(running):
    ports = dict(zip(("plain", "controller", "scram", "mtls", "oauth", "iam", "elsewhere", "ended"), services.free_ports(8)))
    tls = {name: f"{name.upper()}://localhost:{ports[name]}" for name in ("scram", "mtls", "oauth", "iam", "elsewhere", "ended")}
    plain = f"PLAINTEXT://127.0.0.1:{ports['plain']}"
    classes = top / "classes"
    subprocess.run(["javac", "-cp", f"{services.CACHE}/kafka/lib/*", "-d", str(classes), str(HARNESS / "IamTokens.java")], check=True, capture_output=True)
    settings = {
        "controller.quorum.voters": f"1@127.0.0.1:{ports['controller']}",
        "listeners": ",".join([plain, *tls.values(), f"CONTROLLER://127.0.0.1:{ports['controller']}"]),
        "advertised.listeners": ",".join([plain, *tls.values()]),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,OAUTH:SASL_SSL,IAM:SASL_SSL,MTLS:SSL,ELSEWHERE:SSL,ENDED:SSL",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": str(top / "server.both"), "ssl.truststore.type": "PEM", "ssl.truststore.location": str(top / "ca.pem"),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        **{f"listener.name.{name}.ssl.keystore.{key}": value for name in ("elsewhere", "ended") for key, value in (("type", "PEM"), ("location", str(top / f"{name}.both")))},
        **{f"listener.name.{name}.{key}": value for name in ("oauth", "iam") for key, value in (
            ("sasl.enabled.mechanisms", "OAUTHBEARER"),
            ("oauthbearer.sasl.jaas.config", 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'))},
        "listener.name.iam.oauthbearer.sasl.server.callback.handler.class": "IamTokens",
    }
    started = running.start("kafka", port=ports["plain"], secure=True, settings=settings, classes=str(classes))
    return started, {"plain": f"127.0.0.1:{ports['plain']}", **{name: f"localhost:{ports[name]}" for name in tls}}


# ---- pipelines ----

SCRAM = 'security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, sasl.username: alice, sasl.password: "${PASSWORD}"'


def make(name, servers, properties="security.protocol: SSL", kafka="", lake="warehouse: ./lake", more=""):
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weir.yaml").write_text(f"""version: 1
name: tls
lake: {{{lake}}}
sources:
  readings:
    kafka:
      topics: [readings]
      properties: {{bootstrap.servers: "{servers}", {properties}}}
{kafka}
tables:
  bronze.readings: {{source: readings, columns: {{id: long required}}}}
{more}""")
    return folder


def ids(folder):
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return sorted(engines.load_table(place, "bronze.readings").scan().to_arrow()["id"].to_pylist())


def landed(name, folder, **environment):
    done = weir(folder, "run", **environment)
    say(done.returncode == 0 and ids(folder) == list(range(50)), name, f"{done.returncode} {done.stderr}")
    return done


def refused(name, done, codes, *words):
    text = done.stderr.lower()
    say(done.returncode in codes and all(word.lower() in text for word in words) and done.seconds < 40, name, f"{done.returncode} in {done.seconds:.1f} s: {done.stderr}")
    say("alice-secret" not in done.stderr + done.stdout and "secret-of-iam" not in done.stderr + done.stdout, f"{name}: no secret shows", done.stderr)


def kafka(at):
    ca = f"warehouse: ./lake, tls: {{ca_file: {top}/ca.pem}}"
    landed("SASL_SSL by SCRAM-SHA-512, the authority from lake.tls", make("scram", at["scram"], SCRAM, lake=ca))
    landed("the source's own tls wins over lake.tls", make("own", at["scram"], SCRAM, f"      tls: {{ca_file: {top}/ca.pem}}", f"warehouse: ./lake, tls: {{ca_file: {top}/other.pem}}"))
    landed("librdkafka's own property wins over both", make("given", at["scram"], f"{SCRAM}, ssl.ca.location: {top}/ca.pem", lake=f"warehouse: ./lake, tls: {{ca_file: {top}/other.pem}}"))
    done = weir(make("doctor", at["scram"], SCRAM, lake=ca), "doctor")
    say(done.returncode == 0 and "readings" in done.stdout, "weir doctor by the same way", done.stdout + done.stderr)
    both = f"{ca[:-1]}, cert_file: {top}/client.pem, key_file: {top}/client.key}}"
    landed("our own certificate", make("mtls", at["mtls"], lake=both))
    endpoint = Endpoint()
    auth = f'      auth: {{oauth: {{token_url: "https://localhost:{endpoint.server_port}/token", client_id: weir, client_secret: x}}}}'
    landed("OAUTHBEARER over TLS, the token endpoint by HTTPS with the same authority", make("oauth", at["oauth"], "security.protocol: SASL_SSL", auth, ca))
    iam = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-iam", "AWS_SESSION_TOKEN": "a/session+token="}
    landed("AWS IAM, a signature that the broker makes again", make("iam", at["iam"], "security.protocol: SASL_SSL", "      auth: msk_iam", f"region: eu-west-2, {ca}"), **iam)
    landed("the region of its own", make("iam-region", at["iam"], "client.id: x", "      auth: {msk_iam: {region: eu-west-2}}", f"region: eu-central-1, {ca}"), **iam)

    refused("a wrong password", weir(make("password", at["scram"], SCRAM, lake=ca), "run", PASSWORD="wrong-one"), (1, 2), "authentication")
    refused("another authority", weir(make("authority", at["scram"], SCRAM, lake=ca.replace("ca.pem", "other.pem")), "run"), (1, 2), "certificate", "ca_file")
    refused("no authority of ours: the system's", weir(make("system", at["scram"], SCRAM), "run"), (1, 2), "certificate", "ca_file")
    refused("another host's certificate", weir(make("host", at["elsewhere"], lake=ca), "run"), (1, 2), "another host's")
    refused("an ended certificate", weir(make("ended", at["ended"], lake=ca), "run"), (1, 2), "it has expired")
    refused("our certificate is missing", weir(make("nocert", at["mtls"], lake=ca), "run"), (1, 2), "certificate")
    refused("ours is by an authority that they do not know", weir(make("stranger", at["mtls"], lake=both.replace("client.", "stranger.")), "run"), (1, 2), "certificate")
    refused("a file that is not there", weir(make("nofile", at["scram"], SCRAM, lake=ca.replace("ca.pem", "gone.pem")), "run"), (1, 2), "gone.pem")
    refused("a wrong key of IAM", weir(make("iam-wrong", at["iam"], "client.id: x", "      auth: msk_iam", f"region: eu-west-2, {ca}"), "run", **{**iam, "AWS_SECRET_ACCESS_KEY": "secret-of-others"}), (1, 2), "invalid_token")
    refused("no keys for IAM", weir(make("iam-none", at["iam"], "client.id: x", "      auth: msk_iam", f"region: eu-west-2, {ca}"), "run", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/nonexistent", AWS_SHARED_CREDENTIALS_FILE="/nonexistent"), (1, 2), "credentials")


def lake_of(bucket, url, tls):
    return f"warehouse: s3://{bucket}/wh, region: {services.S3_REGION}, s3: {{endpoint: {url}, path_style: true}}{tls}"


def rows(folder, **environment):
    done = weir(folder, "query", "select count(*) from bronze.readings", "-o", "csv", **environment)
    return done.stdout.split()[-1] if done.stdout else done.stderr


def s3(running, at):
    gateway = running.start("versitygw")
    ca, plain = f", tls: {{ca_file: {top}/ca.pem}}", "security.protocol: PLAINTEXT"
    for name in ("good", "mtls", "proxied", "around"):
        services.create_bucket(gateway, name)
    good = Front(gateway.address, "server")
    folder = make("s3", at["plain"], plain, lake=lake_of("good", good.url, ca))
    done = weir(folder, "run")
    say(done.returncode == 0 and rows(folder) == "50", "S3 over HTTPS, the authority from lake.tls", done.stderr)
    asks = Front(gateway.address, "server", client_ca="ca.pem")
    mutual = lake_of("mtls", asks.url, f", tls: {{ca_file: {top}/other.pem}}").replace("path_style: true", f"path_style: true, tls: {{ca_file: {top}/ca.pem, cert_file: {top}/client.pem, key_file: {top}/client.key}}")
    folder = make("s3-mtls", at["plain"], plain, lake=mutual)
    done = weir(folder, "run")
    say(done.returncode == 0 and rows(folder) == "50", "a store that wants our certificate, from lake.s3.tls", done.stderr)
    for name, front, tls, words in (("another authority", good, ca.replace("ca.pem", "other.pem"), ("certificate",)), ("another host's certificate", Front(gateway.address, "elsewhere"), ca, ("certificate", "localhost")),
                                    ("an ended certificate", Front(gateway.address, "ended"), ca, ("certificate", "expired")), ("a file that is not there", good, ca.replace("ca.pem", "gone.pem"), ("gone.pem",))):
        refused(f"S3: {name}", weir(make(f"s3 {name}".replace(" ", "-").replace("'", ""), at["plain"], plain, lake=lake_of("good", front.url, tls)), "run"), (1, 2), *words)
    proxies(gateway, good, at, ca, plain)


def proxies(gateway, good, at, ca, plain):
    proxy, nobody = Proxy(), f"http://127.0.0.1:{services.free_ports(1)[0]}"
    clean = {name: "" for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy")}
    folder = make("proxied", at["plain"], plain, lake=lake_of("proxied", good.url, ca))
    done = weir(folder, "run", **{**clean, "HTTPS_PROXY": proxy.url})
    say(done.returncode == 0 and rows(folder) == "50" and {("CONNECT", good.url[8:])} == set(proxy.asked), "HTTPS_PROXY: every request by CONNECT", f"{done.stderr} {proxy.asked[:3]}")
    before = len(proxy.asked)
    folder = make("around", at["plain"], plain, lake=lake_of("around", good.url, ca))
    done = weir(folder, "run", **{**clean, "HTTPS_PROXY": nobody, "NO_PROXY": "example.org,localhost"})
    say(done.returncode == 0 and rows(folder) == "50" and len(proxy.asked) == before, "NO_PROXY: past it", done.stderr)
    for code in ("407 Proxy Authentication Required", "403 Forbidden"):
        proxy.code = code
        refused(f"a proxy that answers {code}", weir(folder, "run", **{**clean, "HTTPS_PROXY": proxy.url}), (1,), code[:3], "proxy")
    if FULL:  # tried for a minute, as a store that is away
        done = weir(folder, "run", **{**clean, "HTTPS_PROXY": nobody})
        say(done.returncode == 75 and nobody.split(":")[2] in done.stderr, "a proxy that is not there: exit 75", done.stderr)
    proxy.code, proxy.asked = None, []
    keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    weir(folder, "run", **{**clean, **keys, "HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "HTTPS_PROXY": proxy.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://169.254.169.254", "AWS_METADATA_SERVICE_TIMEOUT": "1"})
    say(not any("169.254" in target for _, target in proxy.asked), "metadata addresses are never asked for by a proxy", proxy.asked[:3])


certificates()
with services.Services() as running:
    started, at = broker(running)
    admin = AdminClient({"bootstrap.servers": at["plain"]})
    for made in admin.create_topics([NewTopic("readings", 2)]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": at["plain"]})
    for number in range(50):
        producer.produce("readings", json.dumps({"id": number}))
    producer.flush(30)
    kafka(at)
    s3(running, at)
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
