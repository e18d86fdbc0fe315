"""REST catalogs whose tables lie in S3, with access by the catalog: Nessie signs each request, or gives keys of STS for a session;
Apache Iceberg's server behind a proxy vends keys that end. versitygw checks signatures and policies: our own keys may write {warehouse}/_weir/ and list, no more.
Two writers, answers lost, kills at every effect, from Kafka: every offset once. The long form tries every effect in every way."""
import collections, concurrent.futures, json, os, random, subprocess, sys, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
import services
import session_keys
from rest_lake import FAULTS, FULL, SEED, WEIR, Lake, Proxy, TokenServer, finish, running, say, server, through_catalog, top

OWN = {"AWS_ACCESS_KEY_ID": "weir", "AWS_SECRET_ACCESS_KEY": "weir-secret-12", "AWS_EC2_METADATA_DISABLED": "true"}


class Bucket:
    """versitygw's users and what each of them may do."""

    def __init__(self, s3):
        self.s3, self.may, self.number = s3, {}, 0
        services.create_bucket(s3, "lake")
        self.user(OWN["AWS_ACCESS_KEY_ID"], OWN["AWS_SECRET_ACCESS_KEY"], ["wh/_weir/*", "nessie/_weir/*"])

    def user(self, name, secret, folders):
        services.gateway_user(self.s3, "create-user", "--access", name, "--secret", secret, "--role", "user")
        self.may[name] = folders
        self.policy()

    def remove(self, name):
        services.gateway_user(self.s3, "delete-user", "--access", name)
        del self.may[name]
        self.policy()

    def policy(self):
        allow = lambda user, actions, resources: {"Effect": "Allow", "Principal": {"AWS": [user]}, "Action": actions, "Resource": resources}
        objects = [allow(user, ["s3:*"], [f"arn:aws:s3:::lake/{each}" for each in folders]) for user, folders in self.may.items()]
        bucket = [allow(user, ["s3:ListBucket", "s3:GetBucketLocation"], ["arn:aws:s3:::lake"]) for user in self.may]
        services.bucket_policy(self.s3, "lake", objects + bucket)


class Vending:
    """A catalog's part: adds storage credentials to its answers about tables, as the protocol has it."""

    def __init__(self, bucket, seconds=3600, lists=True):
        self.bucket, self.seconds, self.lists = bucket, seconds, lists
        self.given, self.live, self.asked, self.broken = collections.Counter(), {}, 0, None
        self.lock = threading.Lock()

    def keys(self, folder):
        """A user of its own for each folder, as long as its life lasts; then the next."""
        with self.lock:
            return self.keys_alone(folder)

    def keys_alone(self, folder):
        name, secret, ends = self.live.get(folder, (None, None, 0))
        if time.time() > ends - (0.5 if self.seconds < 60 else 60) and self.broken != "stale":
            self.bucket.number += 1
            name, secret, ends = f"vended{self.bucket.number}", f"vended-secret-{self.bucket.number}", time.time() + self.seconds
            self.bucket.user(name, secret, [f"{folder}/*"])
            self.live[folder] = name, secret, ends
        self.given[folder] += 1
        return {"s3.access-key-id": name, "s3.secret-access-key": secret, "s3.session-token-expires-at-ms": str(int(ends * 1000))}

    def revoke(self):
        for name, _, _ in self.live.values():
            self.bucket.remove(name)
        self.live = {}

    def change(self, request, code, text):
        if request.path.split("?")[0].endswith("/v1/config"):
            config = json.loads(text)
            if self.lists:
                config.setdefault("endpoints", []).append("GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials")
            return code, json.dumps(config).encode()
        if request.headers.get("X-Iceberg-Access-Delegation") != "vended-credentials" or self.broken == "none":
            return code, text
        if request.path.endswith("/credentials"):
            self.asked += 1
            space, table = request.path.split("/namespaces/")[1].split("/tables/")
            return 200, json.dumps({"storage-credentials": self.credentials(f"wh/{space}/{table.removesuffix('/credentials')}")}).encode()
        if code != 200 or b'"metadata"' not in text or (request.command != "GET" and not request.path.endswith("/tables")):
            return code, text  # answers to commits hold none
        answer = json.loads(text)
        folder = answer["metadata"]["location"].removeprefix("s3://lake/")
        # the longest prefix wins: a wide one of somebody else, the table's own, and keys for tables of servers that know no list
        wrong = {"s3.access-key-id": "nobody", "s3.secret-access-key": "nobody-secret"}
        answer["storage-credentials"] = [{"prefix": "s3", "config": wrong}, *self.credentials(folder)]
        answer["config"] = {**(answer.get("config") or {}), **wrong}
        return code, json.dumps(answer).encode()

    def credentials(self, folder):
        return [{"prefix": f"s3://lake/{folder}/", "config": self.keys(folder)}, {"prefix": "gs://lake/", "config": {"gcs.oauth2.token": "x"}}]


def lake_at(s3):
    return f'  region: us-east-1\n  s3: {{endpoint: "{s3.address}", path_style: true}}'


# -- keys of the catalog's, on Apache Iceberg's server --------------------------------------------------


def vended(rest, s3, bucket, kafka):
    def lake_of(name, access="vended", kafka=None, models="", **more):
        vending = Vending(bucket, **more)
        proxy = Proxy(rest.address)
        proxy.change = vending.change
        return Lake(name, proxy.url, "s3://lake/wh", f", access: {access}", lake_at(s3), models, kafka), vending, proxy

    lake, _, _ = lake_of("without", "own")
    lake.more(10)
    done = lake.weir("run")
    say(done.returncode == 1 and "403" in done.stderr, "vended: our own keys may not write tables", f"{done.returncode} {done.stderr}")
    lake, vending, _ = lake_of("v_first", models="  silver.v_last: {sql: last.sql, mode: merge, unique_key: [site], order_by: [id desc]}\n")
    (lake.folder / "last.sql").write_text(f"SELECT site, id FROM {lake.table}\n")
    lake.more(2000)
    (lake.folder / "in" / "bad.ndjson").write_text('{"id": "none"}\n')
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and vending.given["wh/bronze/v_first"], "vended: a table is made and filled by its own keys, of the longest prefix", done.stderr + lake.once())
    table = through_catalog(rest.address, "vended", s3.address).load_table(lake.table)
    say(sorted(table.scan().to_arrow()["id"].to_pylist()) == list(range(2000)), "vended: pyiceberg reads the same rows")
    others = lake.weir("query", "-o", "csv", f"SELECT (SELECT count(*) FROM silver.v_last), (SELECT count(*) FROM {lake.table}__quarantine)")
    say("7,1" in others.stdout, "vended: a model's table and that of refused rows have keys of their own", others.stdout + others.stderr)
    done = lake.weir("verify", "--deep")
    say(done.returncode == 0 and "2000 rows" in done.stdout, "vended: verify --deep", done.stdout + done.stderr)
    done = lake.weir("doctor")
    say(done.returncode == 0, "vended: doctor", done.stdout + done.stderr)

    lake, vending, proxy = lake_of("v_rotated")
    lake.more(100)
    codes = lake.run()[0]
    proxy.before = vending.revoke  # between a commit and what is written after it
    lake.more(100)
    codes += lake.run()[0]
    lake.more(100)
    codes += lake.run(WEIR_TEST_KILL="3:after")[0]
    say(codes[-1] == 0 and not lake.once(), "vended: keys revoked during a run: others are asked for", f"{codes} {lake.once()}")

    lake, vending, proxy = lake_of("v_short", seconds=3)
    proxy.before = lambda: time.sleep(3.2)
    lake.more(100)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and vending.bucket.number > 2, "vended: keys that end during a run are renewed", f"{codes} {done.stderr} {lake.once()}")
    done = lake.weir("query", f"SELECT count(*) FROM {lake.table}")
    say(done.returncode == 0 and vending.asked > 0, "vended: by the endpoint for credentials", f"{vending.asked} {done.stderr}")
    lake, vending, proxy = lake_of("v_old", seconds=3, lists=False)
    proxy.before = lambda: time.sleep(3.2)
    lake.more(100)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and vending.asked == 0, "vended: by the table itself from a server without it", f"{codes} {done.stderr} {lake.once()}")
    vending.broken = "stale"
    vending.revoke()
    vending.live["wh/bronze/v_old"] = ("vended1", "gone", time.time() + 100)
    done = lake.weir("query", f"SELECT max(v) FROM {lake.table}")
    say(done.returncode == 1 and "gives no others" in done.stderr and "gone" not in done.stderr, "vended: keys that the store refuses, and no others: said so", f"{done.returncode} {done.stderr}")
    vending.live["wh/bronze/v_old"] = ("vended1", "gone", time.time() - 10)
    done = lake.weir("query", f"SELECT max(v) FROM {lake.table}")
    say(done.returncode == 1 and "have ended" in done.stderr, "vended: keys that have ended, and no newer ones: said so", f"{done.returncode} {done.stderr}")
    vending.broken = "none"
    done = lake.weir("query", f"SELECT max(v) FROM {lake.table}")
    say(done.returncode == 2 and "gives no S3 credentials" in done.stderr, "vended: a catalog that gives none: exit 2", f"{done.returncode} {done.stderr}")
    lake, _, _ = lake_of("v_nobody")
    lake.more(10)
    done = lake.weir("run", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_PROFILE="", HOME=str(lake.folder))
    say(done.returncode == 2 and "_weir" in done.stderr and "keys of our own" in done.stderr, "vended: without keys for _weir/: exit 2", f"{done.returncode} {done.stderr}")
    faults_and_kills("vended", lambda name: lake_of(name, kafka=kafka)[0::2])


# -- signatures of the catalog's, on Nessie -------------------------------------------------------------


def signed(s3, one, kafka):
    key, address = one.folder / "jwt.key", one.address

    def lake_of(name, auth=None, target=None, access="signing", **more):
        auth = auth or f"{{bearer: {services.make_token(key, 'weir', 3600)}}}"
        proxy = Proxy(target or address)
        return Lake(name, f"{proxy.url}/iceberg/main", "s3://lake/nessie", f", auth: {auth}, access: {access}", lake_at(s3), **more), proxy

    lake, _ = lake_of("without_n", access="own")
    lake.more(10)
    done = lake.weir("run")
    say(done.returncode == 1 and "403" in done.stderr, "nessie signs: our own keys may not write tables", f"{done.returncode} {done.stderr}")
    lake, proxy = lake_of("s_first")
    lake.more(2000)
    codes, done = lake.run()
    say(codes == [0] and not lake.once(), "nessie signs: a table is made and filled", done.stderr + lake.once())
    done = lake.weir("verify", "--deep")
    say(done.returncode == 0 and "2000 rows" in done.stdout, "nessie signs: verify --deep", done.stdout + done.stderr)
    done = lake.weir("doctor")
    say(done.returncode == 0, "nessie signs: doctor", done.stdout + done.stderr)
    table = through_catalog(f"{address}/iceberg/main", "signed", token=services.make_token(key, "weir", 3600)).load_table(lake.table)
    say(table.scan().to_arrow().num_rows == 2000, "nessie signs: pyiceberg, let in by keys of a session, reads the same rows")
    seen, ended = set(), set()

    def leave_ends(request, code, text):
        """Nessie's leave to have requests signed is a path with an end, some hours away: answered as it answers then."""
        if "/s3sign/" not in request.path:
            return code, text
        seen.add(request.path)
        error = {"error": {"message": "Invalid signature", "type": "IllegalArgumentException", "code": 400}}
        return (400, json.dumps(error).encode()) if request.path in ended else (code, text)

    def end_it():
        ended.update(seen)
        time.sleep(1.1)  # the next one differs by its second

    proxy.change, proxy.before = leave_ends, end_it
    lake.more(100)
    codes, done = lake.run()
    lake.more(100)
    ended.update(seen)
    time.sleep(1.1)
    codes += lake.run()[0]
    say(codes == [0, 0] and not lake.once() and ended and seen - ended, "nessie signs: its leave to sign ends during a run: asked for anew", f"{codes} {len(seen)} {done.stderr}")
    catalog = through_catalog(f"{address}/iceberg/main", "signed", token=services.make_token(key, "weir", 3600))
    catalog.drop_table(lake.table)
    done = lake.weir("run")
    say(done.returncode == 4 and "files of such a table" in done.stderr, "nessie signs: a table that was dropped is not made anew at another place: exit 4", f"{done.returncode} {done.stdout} {done.stderr}")
    for name, auth in {"bogus": "{bearer: abc}", "ended": f"{{bearer: {services.make_token(key, 'weir', -60)}}}"}.items():
        lake, _ = lake_of("s_" + name, auth)
        lake.more(10)
        done = lake.weir("run")
        say(done.returncode == 1 and ": 401" in done.stderr and "abc" not in done.stderr, f"nessie signs: a token that is {name}: refused, and told so", f"{done.returncode} {done.stderr}")
    giver = TokenServer(key, 3)
    lake, proxy = lake_of("s_oauth", f'{{oauth2: {{token_url: "{giver.url}", client_id: weir, client_secret: s3cret, scope: x}}}}')
    lake.more(100)
    proxy.before = lambda: time.sleep(3.3)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and giver.given >= 2, "nessie signs: tokens that end during a run are renewed, for signatures too", f"{codes} {giver.given} {done.stderr}")
    faults_and_kills("nessie signs", lambda name: lake_of(name, kafka=kafka))


def sessions(one, front):
    """Nessie asks STS for keys that reach one table, and knows no end of them that it tells."""
    key = one.folder / "jwt.key"
    token = services.make_token(key, "weir", 3600)

    def lake_of(name, **more):
        proxy = Proxy(one.address)
        return Lake(name, f"{proxy.url}/iceberg/main", "s3://lake/nessie", f", auth: {{bearer: {token}}}, access: vended", lake_at(front), **more), proxy

    lake, proxy = lake_of("t_first")
    lake.more(2000)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and front.used > 3 and not front.refused, "nessie vends: a table is made and filled by keys of a session", f"{front.refused} {done.stderr} {lake.once()}")
    done = lake.weir("verify", "--deep")
    say(done.returncode == 0 and "2000 rows" in done.stdout, "nessie vends: verify --deep", done.stdout + done.stderr)
    proxy.before, count = lambda: front.end("t_first"), len(front.sessions)
    lake.more(100)
    codes, done = lake.run()
    lake.more(100)
    front.end("t_first")
    codes += lake.run()[0]
    say(codes == [0, 0] and not lake.once() and len(front.sessions) > count, "nessie vends: keys that end without notice are renewed", f"{codes} {done.stderr} {lake.once()}")
    front.stillborn = "t_first"
    done = lake.weir("query", f"SELECT max(v) FROM {lake.table}")
    front.stillborn = None
    say(done.returncode == 1 and "ExpiredToken" in done.stderr and "session-secret" not in done.stderr, "nessie vends: keys that have ended when they come: said so", f"{done.returncode} {done.stderr}")
    say(set(front.refused) == {"ExpiredToken"}, "nessie vends: nothing else was refused", str(set(front.refused)))
    return lake_of


# -- faults and kills, on S3 ----------------------------------------------------------------------------


def hostile(what, lake_of):
    """A server that answers nonsense, about access too: an error or an answer, never a crash."""
    lake, proxy = lake_of(f"{what[0]}_hostile")
    lake.more(20)
    lake.run()
    proxy.fault, wrong, codes = "hostile", [], collections.Counter()
    verbs = [("query", f"SELECT count(*), max(v) FROM {lake.table}"), ("verify",), ("run",)]
    for number in range(300 if FULL else 9):
        done = lake.weir(*verbs[number % len(verbs)])
        codes[done.returncode] += 1
        if done.returncode not in (0, 1, 2, 3, 4, 75) or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            wrong.append(f"{number}: {done.returncode} {done.stderr[-600:]}")
    proxy.fault = None
    say(not wrong and len(codes) > 1 and not lake.once(), f"{what}: answers of a hostile server: errors, no crash", f"{codes} {wrong[:3]} {lake.once()}")


def faults_and_kills(what, lake_of):
    tag, wrong = what.split()[0][0], []
    hostile(what, lake_of)
    for fault in [*FAULTS, "random"] if FULL else ["lost-after", "random"]:
        lake, proxy = lake_of(f"{tag}f_{fault.replace('-', '_')}")
        proxy.fault, codes = fault, []
        for count in (100, 50, 70, 30) if FULL else (100, 50):
            lake.more(count)
            codes += lake.run()[0]
        if codes[-1] or lake.once():
            wrong.append(f"{fault}: {codes} {lake.once()}")
    say(not wrong, f"{what}: answers to commits lost, doubled, refused and wrong: every offset once", "; ".join(wrong))

    lake, proxy = lake_of(f"{tag}_two")
    proxy.fault = "random"
    lake.more(50)
    lake.run()
    for _ in range(8 if FULL else 2):
        lake.more(100)
        command = [WEIR, "run", "-p", str(lake.folder / "weir.yaml")]
        both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "WEIR_TEST_LEASE_MS": "1"}) for _ in range(2)]
        for each in both:
            each.wait(120)
    codes, done = lake.run()
    say(codes[-1] == 0 and not lake.once(), f"{what}: two writers and random faults: every offset once", f"{codes} {done.stderr} {lake.once()}")

    trace = top / f"trace_{tag}"

    def effects(lake):
        trace.unlink(missing_ok=True)
        lake.run(WEIR_TEST_EFFECTS=str(trace))
        return [line.split(" ", 2) for line in trace.read_text().splitlines()]

    lake, _ = lake_of(f"{tag}_k")
    lake.more(100)
    first = effects(lake)
    lake.more(100)
    later = effects(lake)
    kinds = collections.Counter(kind for _, kind, _ in first + later)
    say(len(first) > 5 and len(later) > 3 and kinds["commit"] >= 2, f"{what}: the effects are known", f"{first} {later}")
    dice, wrong, tried = random.Random(SEED), [], collections.Counter()
    modes = ("before", "after", "lost")
    plan = [(int(number), mode, True) for number, _, _ in first for mode in modes] + [(int(number), mode, False) for number, _, _ in later for mode in modes]
    if not FULL:
        plan = dice.sample(plan, 5)
    old, _ = lake_of(f"{tag}_older")
    old.more(50)
    old.run()
    for number, mode, is_new in plan:
        lake = lake_of(f"{tag}k{number}{mode}")[0] if is_new else old
        lake.more(40)
        codes, _ = lake.run(WEIR_TEST_KILL=f"{number}:{mode}")
        tried[codes[0]] += 1
        if codes[-1] or lake.once():
            wrong.append(f"{number}:{mode} {codes} {lake.once()}")
    say(not wrong and tried[-9] >= len(plan) // 4, f"{what}: killed in {len(plan)} of {3 * (len(first) + len(later))} ways, at any effect: every offset once", f"{wrong} {tried}")


def main():
    s3 = server("versitygw", users=True)
    bucket = Bucket(s3)
    os.environ.update(OWN)
    options = "nessie.catalog.service.s3.default-options."
    front = session_keys.Front(s3)
    signing = {options + "request-signing-enabled": "true"}
    signing |= {options + "client-iam.enabled": "true", options + "client-iam.assume-role": "arn:aws:iam::123456789012:role/x", options + "sts-endpoint": front.address}
    with concurrent.futures.ThreadPoolExecutor(3) as parts:  # each of them waits a good deal
        kafka = parts.submit(lambda: server("kafka").address)
        rest = parts.submit(lambda: server("iceberg-rest", settings={"warehouse": "s3://lake/wh", "s3": s3.address}))
        one = parts.submit(lambda: server("nessie", secure=True, settings={"warehouse": "s3://lake/nessie", "s3": front.address, **signing}))
        both = [parts.submit(vended, rest.result(), s3, bucket, kafka.result()), parts.submit(signed, s3, one.result(), kafka.result())]
        third = parts.submit(sessions, one.result(), front)
        for each in both:
            each.result()
        lake_of = third.result()
    if FULL:
        faults_and_kills("transient keys of nessie", lambda name: lake_of(name, kafka=kafka.result()))


with running:
    main()
finish()
