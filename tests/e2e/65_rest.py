"""The REST catalog: Apache Iceberg's own server over S3 and over a folder, pyiceberg through the same catalog, a proxy that
swallows, doubles and refuses answers to commits, kills at every commit; every record is once in bronze. Nessie: tokens that are
wrong, end and are renewed, branches, and what it does not keep."""
import collections, concurrent.futures, json, os, random, subprocess, sys, time, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harness"))
import services
from rest_lake import FAULTS, FULL, SEED, WEIR, Lake, Proxy, TokenServer, finish, foreign_snapshot, running, say, server, through_catalog, top

# -- the story, on S3 -----------------------------------------------------------------------------------


def story(rest, s3):
    proxy = Proxy(rest.address)
    models = """  silver.last: {sql: last.sql, mode: merge, unique_key: [site], order_by: [id desc]}
  gold.judged: {sql: last.sql, mode: full, promote: manual, expect: [{row_count: {max: 3}}]}
"""
    lake = Lake("story", proxy.url, "s3://lake/wh", lake=f'  region: us-east-1\n  s3: {{endpoint: "{s3.address}", path_style: true}}', models=models)
    (lake.folder / "last.sql").write_text(f"SELECT site, id, v FROM {lake.table}\n")
    lake.more(3000)
    codes, done = lake.run()
    say(codes == [0] and "3000 landed" in done.stdout, "s3: a first run makes namespace and table, and lands", done.stderr)
    say("nothing to do" in lake.weir("run").stdout, "s3: nothing to do")
    catalog = through_catalog(rest.address, "story", s3.address)
    table = catalog.load_table(lake.table)
    say(sorted(table.scan().to_arrow()["id"].to_pylist()) == list(range(3000)), "s3: pyiceberg reads the same rows through the catalog")
    lake.more(500)
    proxy.before = lambda: foreign_snapshot(table)
    codes, done = lake.run()
    say(codes == [0] and not lake.once(), "s3: another writer's commit in between: the next attempt stands on it", done.stderr + lake.once())
    table.refresh()
    with table.transaction() as transaction:
        transaction.set_properties({"owner": "somebody"})
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "theirs").commit()
    lake.more(500)
    codes, done = lake.run()
    table.refresh()
    say(codes == [0] and not lake.once() and table.properties["owner"] == "somebody" and "theirs" in table.refs(), "s3: their property and tag stay", done.stderr)
    last = {row["site"]: row["id"] for row in catalog.load_table("silver.last").scan().to_arrow().to_pylist()}
    say(last == {f"s{i % 7}": i for i in range(3993, 4000)}, "s3: promotions", str(last))
    refs = catalog.load_table(lake.table).refs()
    say(any(name.startswith("weir-at-silver.last") for name in refs), "s3: what a promotion stands on is tagged", str(list(refs)))
    done = lake.weir("promote", "gold.judged")
    held = lake.weir("query", "-o", "csv", "SELECT count(*) FROM gold.judged")
    say(done.returncode == 3 and "4000" not in held.stdout, "s3: a gate holds a candidate on its branch: exit 3", done.stderr + held.stdout)
    done = lake.weir("promote", "gold.judged", "--accept", "--reason", "it is right")
    rows = catalog.load_table("gold.judged").scan().to_arrow().num_rows if done.returncode == 0 else -1
    say(rows == 4000, "s3: accepted, it is published", f"{rows} {done.stderr}")
    done = lake.weir("verify", "--deep")
    say(done.returncode == 0 and "4000 rows" in done.stdout, "s3: verify --deep", done.stdout + done.stderr)
    done = lake.weir("doctor")
    say(done.returncode == 0 and "rest" in done.stdout, "s3: doctor", done.stdout + done.stderr)
    running.get(rest.name).pause()
    (lake.folder / "hurry.yaml").write_text("run: {deadline: 2s}\n")
    done = lake.weir("run", "-p", str(lake.folder / "hurry.yaml"))
    say(done.returncode == 75, "s3: the catalog does not answer: exit 75", f"{done.returncode} {done.stderr}")
    running.get(rest.name).proceed()
    # the table goes, its folder stays: nobody makes it anew beside what is there
    catalog.drop_table(lake.table)
    done = lake.weir("run")
    say(done.returncode == 4, "s3: a table that was dropped is not made anew: exit 4", f"{done.returncode} {done.stderr}")


def spark(rest, s3, rounds=8):
    """The long form: Spark writes to and compacts a table through the same catalog while Weir fills it."""
    subprocess.run([ROOT / "tools/env/setup", "spark"], check=True)
    python = services.CACHE / "spark" / "venv" / "bin" / "python"
    lake = Lake("spark", rest.address, "s3://lake/wh", lake=f'  region: us-east-1\n  s3: {{endpoint: "{s3.address}", path_style: true}}')
    lake.more(500)
    lake.run()
    arguments = [ROOT / "tests/interop/spark_meanwhile.py", rest.address, "s3://lake/wh", lake.table, str(rounds)]
    other = subprocess.Popen([python, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "WEIR_S3_ENDPOINT": s3.address, "AWS_REGION": "us-east-1"})
    codes, windows = [], 0
    while other.poll() is None and windows < 3000:
        lake.more(20)
        codes, windows = codes + lake.run()[0], windows + 1
    out, errors = other.communicate(timeout=300)
    written, compacted = map(int, out.split()[-2:]) if other.returncode == 0 else (0, 0)
    codes += lake.run()[0]
    rows = through_catalog(rest.address, "spark", s3.address).load_table(lake.table).scan().to_arrow()["id"].to_pylist()
    detail = f"{collections.Counter(codes)}, {windows} windows, spark: {written} {compacted} {errors[-300:]}"
    say(codes[-1] == 0 and sorted(i for i in rows if i >= 0) == list(range(lake.sent)), "spark writes and compacts meanwhile: every record of ours once", detail)
    say(written + compacted >= rounds // 2 and sum(i < 0 for i in rows) == written, "spark: every row of its own that landed is there", detail)
    done = lake.weir("verify")
    say(done.returncode == 0 and "not ours" in done.stdout, "spark: verify tells its snapshots from ours", done.stdout[-600:] + done.stderr)


# -- faults and kills, on a folder ----------------------------------------------------------------------


def faults(uri):
    wrong = []
    for fault in [*FAULTS, "random"]:
        proxy = Proxy(uri)
        proxy.fault = fault
        lake = Lake("f_" + fault.replace("-", "_"), proxy.url, top / "lake")
        codes = []
        for count in (200, 100) if not FULL else (200, 300, 100, 1, 50, 70, 20, 30):
            lake.more(count)
            codes += lake.run()[0]
        detail = lake.once()
        if detail or codes[-1] or proxy.commits < 3:
            wrong.append(f"{fault}: {codes} {proxy.commits} commits, {detail}")
    say(not wrong, f"answers to commits lost, doubled, refused and wrong in {len(FAULTS) + 1} ways: every record once", "; ".join(wrong))


def registered(uri):
    """`weir register`: a REST catalog is told of tables that a SQLite catalog keeps; it is never let decide."""
    proxy = Proxy(uri)
    lake = Lake("told", uri, top / "told_lake")
    config = (lake.folder / "weir.yaml").read_text()
    (lake.folder / "weir.yaml").write_text(config.replace(f'  catalog: {{rest: {{uri: "{uri}"}}}}\n', ""))
    (lake.folder / "other.yaml").write_text(f'lake: {{catalog: {{rest: {{uri: "{proxy.url}"}}}}}}\n')
    other = ["--catalog", str(lake.folder / "other.yaml")]
    lake.more(100)
    lake.run()
    catalog = through_catalog(uri, "told")
    proxy.fault = "lost-after"
    done = lake.weir("register", lake.table, *other)
    say(done.returncode == 0 and "registered, at" in done.stdout and proxy.registrations == 1, "register: the answer is lost: it looks, and sends it once", f"{proxy.registrations} {done.stdout} {done.stderr}")
    say(sorted(catalog.load_table(lake.table).scan().to_arrow()["id"].to_pylist()) == list(range(100)), "register: pyiceberg reads the table through the second catalog")
    say("registered already" in lake.weir("register", lake.table, *other).stdout, "register: nothing to do")
    lake.more(50)
    lake.run()
    done = lake.weir("register", lake.table, *other)
    say(done.returncode == 4 and "overwrite" in done.stderr, "register: a server without overwrite: exit 4", f"{done.returncode} {done.stderr}")
    catalog.drop_table(lake.table)
    done = lake.weir("register", lake.table, *other)
    say(done.returncode == 0 and catalog.load_table(lake.table).scan().to_arrow().num_rows == 150, "register: dropped there and told again", done.stderr)
    foreign_snapshot(catalog.load_table(lake.table))
    done = lake.weir("register", lake.table, *other)
    say(done.returncode == 4 and "somebody commits there" in done.stderr, "register: one with commits of its own is left alone: exit 4", f"{done.returncode} {done.stderr}")


def hostile(uri):
    """A server that answers nonsense to those who look: an error or an answer, never a crash."""
    proxy = Proxy(uri)
    lake = Lake("hostile", proxy.url, top / "lake")
    for _ in range(3):
        lake.more(10)
        lake.run()
    proxy.fault, wrong, codes = "hostile", [], collections.Counter()
    verbs = [("query", f"SELECT count(*), max(v) FROM {lake.table}"), ("verify",), ("plan",), ("status",), ("history", lake.table), ("doctor",)]
    for number in range(400 if FULL else 30):
        done = lake.weir(*verbs[number % len(verbs)])
        codes[done.returncode] += 1
        if done.returncode not in (0, 1, 2, 3, 4, 75) or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            wrong.append(f"{number} {verbs[number % len(verbs)][0]}: {done.returncode} {done.stderr[-600:]}")
    proxy.fault = None
    say(not wrong and len(codes) > 1 and not lake.once(), "answers of a hostile server: errors, no crash", f"{codes} {wrong[:3]} {lake.once()}")


def two_writers(uri):
    proxy = Proxy(uri)
    proxy.fault = "random"
    lake = Lake("two", proxy.url, top / "lake")
    for _ in range(4):
        lake.more(100)
        both = [subprocess.Popen([WEIR, "run", "-p", str(lake.folder / "weir.yaml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "WEIR_TEST_LEASE_MS": "1"}) for _ in range(2)]
        for each in both:
            each.wait(120)
    codes, done = lake.run()
    say(codes[-1] == 0 and not lake.once(), "two writers and random faults: every record once", f"{codes} {done.stderr} {lake.once()}")


def kills(uri):
    """Killed before and after each effect on the catalog, and with its answer lost, then run again."""
    trace = top / "trace"

    def effects(lake, **environment):
        trace.unlink(missing_ok=True)
        codes, done = lake.run(WEIR_TEST_EFFECTS=str(trace), **environment)
        lines = [line.split(" ", 2) for line in trace.read_text().splitlines()]
        return codes, [int(number) for number, kind, name in lines if kind == "commit" or "namespace" in name]

    lake = Lake("k", uri, top / "lake")
    lake.more(100)
    first = effects(lake)[1]
    lake.more(100)
    later = effects(lake)[1]
    say(len(first) >= 2 and later, "the effects on the catalog are known", f"{first} {later}")
    wrong, tried = [], collections.Counter()
    for number, mode in [(n, mode) for n in first for mode in ("before", "after", "lost")]:
        lake = Lake(f"k{number}{mode}", uri, top / "lake")
        lake.more(100)
        codes, _ = lake.run(WEIR_TEST_KILL=f"{number}:{mode}")
        tried[codes[0]] += 1
        lake.more(50)
        codes += lake.run(WEIR_TEST_KILL=f"{random.Random(SEED + number).choice(later)}:{mode}")[0]
        if codes[-1] or lake.once():
            wrong.append(f"{number}:{mode} {codes} {lake.once()}")
    say(not wrong and tried[-9] >= 2 * len(first), "killed at every effect on the catalog: every record once", f"{wrong} {tried}")


# -- Nessie ---------------------------------------------------------------------------------------------


def tokens(lake_of, key, target):
    """Nobody, a bogus token, one that has ended; one that ends during a run, renewed in its file; OAuth2."""
    refused = {"none": "none", "bogus": "{bearer: abc}", "ended": f"{{bearer: {services.make_token(key, 'weir', -60)}}}"}
    for name, auth in refused.items():
        done = lake_of(name, target, auth).weir("run")
        say(done.returncode == 1 and ": 401" in done.stderr and "abc" not in done.stderr, f"nessie: {name}: refused, and told so", f"{done.returncode} {done.stderr}")
    done = lake_of("asked", target, refused["bogus"]).weir("doctor")
    say(done.returncode == 1 and "401" in done.stdout + done.stderr, "nessie: doctor tells of it", done.stdout + done.stderr)
    proxy, seconds = Proxy(target), 6
    lake = lake_of("renewed", proxy.url, '{bearer: "file:token"}')
    file = lake.folder / "token"
    file.write_text(services.make_token(key, "weir", 3600))
    lake.more(100)
    codes, done = lake.run()
    say(codes == [0] and not lake.once(), "nessie: a token from a file", done.stderr)
    ends = time.time() + seconds
    file.write_text(services.make_token(key, "weir", seconds))

    def wait_for_the_end():
        time.sleep(max(0, ends - time.time()) + 1.5)
        file.write_text(services.make_token(key, "weir", 3600))

    proxy.before, proxy.commits = wait_for_the_end, 0
    lake.more(100)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and proxy.commits >= 2, "nessie: it ends during a run: the file is read again", f"{codes} {proxy.commits} {done.stderr}")
    giver = TokenServer(key, 6)
    oauth = f'{{oauth2: {{token_url: "{giver.url}", client_id: weir, client_secret: s3cret, scope: x}}}}'
    proxy = Proxy(target)
    lake = lake_of("oauth", proxy.url, oauth)
    lake.more(100)
    proxy.before = lambda: time.sleep(6.5)
    codes, done = lake.run()
    say(codes == [0] and not lake.once() and giver.given >= 2, "nessie: client credentials, renewed as their tokens end", f"{codes} {giver.given} {done.stderr}")
    done = lake_of("wrong", target, oauth.replace("s3cret", "no")).weir("run")
    say(done.returncode == 1 and "invalid_client: not known here" in done.stderr, "nessie: a wrong client_secret", done.stderr)


def branches(lake_of, key, address):
    """A branch of Nessie is named by the uri or the prefix; what lands there is not on main."""
    token = services.make_token(key, "weir", 3600)

    def ask(method, path, body=None):
        request = urllib.request.Request(address + path, method=method, data=body and json.dumps(body).encode(), headers={"authorization": f"Bearer {token}", "content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    auth = f"{{bearer: {token}}}"
    lake = lake_of("branched", address, auth)
    lake.more(100)
    lake.run()
    main_ref = ask("GET", "/api/v2/trees/main")["reference"]
    ask("POST", "/api/v2/trees?name=dev&type=BRANCH", main_ref)
    text = (lake.folder / "weir.yaml").read_text()
    (lake.folder / "weir.yaml").write_text(text.replace("/iceberg/main", "/iceberg/dev"))
    lake.more(50)
    codes, done = lake.run()
    say(codes == [0] and not lake.once(), "nessie: a branch named by the uri", done.stderr)
    (lake.folder / "weir.yaml").write_text(text)
    lake.sent -= 50
    say(not lake.once(), "nessie: main is as it was", lake.once())
    (lake.folder / "weir.yaml").write_text(text.replace("/iceberg/main", "/iceberg").replace("auth:", 'prefix: "dev|wh", auth:'))
    lake.sent += 50
    say(not lake.once(), "nessie: a branch named by the prefix", lake.once())
    (lake.folder / "weir.yaml").write_text(text.replace("/iceberg/main", "/iceberg/nowhere"))
    done = lake.weir("run")
    say(done.returncode == 1 and "'nowhere' not found" in done.stderr, "nessie: a branch that is not there is no empty lake", f"{done.returncode} {done.stderr}")


def nessie(s3, running_one):
    key, address = running_one.folder / "jwt.key", running_one.address

    def lake_of(name, target, auth, **more):
        return Lake(name, f"{target}/iceberg/main", "s3://lake/nessie", f", auth: {auth}", f'  region: us-east-1\n  s3: {{endpoint: "{s3.address}", path_style: true}}', **more)

    tokens(lake_of, key, address)
    branches(lake_of, key, address)
    token, wrong = services.make_token(key, "weir", 3600), []
    for fault in ["lost-after", "500-after", "409-after", "doubled", "random"]:
        proxy = Proxy(address)
        lake = lake_of("n_" + fault.replace("-", "_"), proxy.url, f"{{bearer: {token}}}")
        proxy.fault, codes = fault, []
        for count in (100, 150):
            lake.more(count)
            codes += lake.run()[0]
        if codes[-1] or lake.once() or proxy.commits < 3:
            wrong.append(f"{fault}: {codes} {proxy.commits} {lake.once()}")
    say(not wrong, "nessie: answers to commits lost, doubled and wrong: every record once", "; ".join(wrong))
    models = "  silver.copy: {sql: copy.sql, mode: append}\n"
    lake = lake_of("tags", address, f"{{bearer: {token}}}", models=models)
    (lake.folder / "copy.sql").write_text(f"SELECT id FROM {lake.table}\n")
    lake.more(100)
    done = lake.weir("run")
    say(done.returncode == 1 and "keeps no branches and tags" in done.stderr and not lake.once(), "nessie: promotions are refused, as it keeps no tags; bronze lands", f"{done.returncode} {done.stderr}")
    done = lake.weir("verify")
    say(done.returncode == 0 and "keeps no snapshot before" in done.stdout, "nessie: verify says what it cannot see", done.stdout + done.stderr)
    table = through_catalog(f"{address}/iceberg/main", "nessie", s3.address, token=token).load_table(lake.table)
    say(table.scan().to_arrow().num_rows == 100, "nessie: pyiceberg reads the same rows")
    foreign_snapshot(table)
    lake.more(100)
    (lake.folder / "weir.yaml").write_text((lake.folder / "weir.yaml").read_text().replace(models, ""))
    done = lake.weir("run")
    say(done.returncode == 4 and "names no parent" in done.stderr, "nessie: behind another writer's snapshot offsets cannot be told: exit 4", f"{done.returncode} {done.stderr}")


def main():
    s3 = server("s3proxy")
    services.create_bucket(s3, "lake")
    os.environ.update(AWS_ACCESS_KEY_ID=services.S3_KEY, AWS_SECRET_ACCESS_KEY=services.S3_SECRET)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:  # servers come up beside each other and the first tests
        rest = server("iceberg-rest", settings={"warehouse": "s3://lake/wh", "s3": s3.address})
        one = pool.submit(server, "nessie", secure=True, settings={"warehouse": "s3://lake/nessie", "s3": s3.address})
        local = pool.submit(server, "iceberg-rest", name="local", settings={"warehouse": str(top / "lake")})
        story(rest, s3)
        if FULL:
            spark(rest, s3)
        running.get(rest.name).stop()
        nessie(s3, one.result())
        for name in ("nessie", s3.name):
            running.get(name).stop()
        rest = local.result()
    faults(rest.address)
    registered(rest.address)
    hostile(rest.address)
    two_writers(rest.address)
    kills(rest.address)


with running:
    main()
finish()
