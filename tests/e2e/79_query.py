"""`weir query` as its user: a lake of a real `weir run`, files, forms of output, time travel, errors, cancelling, the prompt."""
import csv, hashlib, io, json, os, pty, re, resource, select, shutil, signal, statistics, subprocess, sys, tempfile, threading, time
import fcntl, http.server, struct, termios
from datetime import date, datetime
from pathlib import Path
import duckdb, pyarrow as pa, pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

root = Path(__file__).resolve().parents[2]
WEIR, GEN, bad = os.environ["WEIR"], os.environ["WEIR_GEN"], 0
base = Path(tempfile.mkdtemp(prefix="weir-query."))
TABLE = "bronze.inventory"
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # where the servers are
os.environ["HOME"] = os.environ["TMPDIR"] = str(base)  # history and spilling of the program under test stay here


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def equal(name, got, wanted):
    say(got == wanted, name, f"got {str(got)[:700]!r}, wanted {str(wanted)[:700]!r}")


def weir(*arguments, **more):
    more = {"cwd": base, "capture_output": True, "timeout": 60, **more}
    return subprocess.run([WEIR, *map(str, arguments)], **more)


def query(sql, *options, **more):
    run = weir("query", *options, sql, **more)
    if run.returncode:
        raise AssertionError(f"{sql}: exit {run.returncode}: {run.stderr.decode()[-600:]}")
    return run.stdout


def rows(sql, *options):
    return [json.loads(line) for line in query(sql, "-o", "ndjson", *options).splitlines()]


def value(sql):
    return list(rows(sql)[0].values())[0]


def digest(folder):
    """Every file of the lake, by its bytes."""
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---- the lake ----


def make_lake():
    (base / "in").mkdir()
    for number, count in enumerate((3000, 2000, 1000)):
        with open(base / f"in/{number}.ndjson", "wb") as out:
            subprocess.run([GEN, "--first", str(number * 3000), "--count", str(count)], stdout=out, check=True)
        if number == 0:
            shutil.copy(base / "in/0.ndjson", base / "sample.ndjson")
            weir("init", "--from", "sample.ndjson", "p", check=True)
            text = (base / "p/weir.yaml").read_text()
            text = re.sub("files:.*", f"files: {base}/in/*.ndjson", text).replace("bronze.sample", TABLE).replace("uuid", "string")
            (base / "weir.yaml").write_text(text + "    partition_by: [days(collected_at), site]\n")
        weir("run", check=True)
    catalog = SqlCatalog("weir", uri=f"sqlite:///{base}/lake/catalog.db", warehouse=f"file://{base}/lake")
    table = catalog.load_table(TABLE)
    snapshots = [s.snapshot_id for s in table.snapshots()]
    table.manage_snapshots().create_tag(snapshots[1], "first").create_branch(snapshots[2], "second").commit()
    return catalog.load_table(TABLE)


def records():
    for name in sorted((base / "in").glob("*.ndjson")):
        yield from map(json.loads, open(name))


# ---- scenes ----


def scene_select():
    wanted = sorted(r["record_id"] for r in records())
    equal("every record of the lake", sorted(r["record_id"] for r in rows(f"select record_id from {TABLE}")), wanted)
    sites = {}
    for r in records():
        sites[r["site"]] = sites.get(r["site"], 0) + 1
    got = rows(f"select site, count(*) as n from {TABLE} group by site order by n desc, site")
    equal("groups", [(r["site"], r["n"]) for r in got], sorted(sites.items(), key=lambda s: (-s[1], s[0])))
    one = next(records())
    got = rows(f"select os.name as os, len(disks) as disks, cpu.cores as cores from {TABLE} where record_id = '{one['record_id']}'")
    equal("nested fields", got, [{"os": one["os"]["name"], "disks": len(one["disks"]), "cores": one["cpu"]["cores"]}])


def scene_files():
    sites = sorted({r["site"] for r in records()})
    with open(base / "site.csv", "w") as out:
        out.write("site,region\n" + "".join(f'{s},"{"north" if i % 2 else "so, uth"}"\n' for i, s in enumerate(sites)))
    pq.write_table(pa.table({"site": sites, "rank": list(range(len(sites)))}), base / "rank.parquet")
    north = {s for i, s in enumerate(sites) if i % 2}
    wanted = sum(r["site"] in north for r in records())
    equal("joined with a CSV", value(f"select count(*) from {TABLE} i join 'site.csv' s on i.site = s.site where s.region = 'north'"), wanted)
    equal("joined with NDJSON of a glob", value(f"select count(*) from {TABLE} i join 'in/*.ndjson' f on i.record_id = f.record_id::text"), len(list(records())))
    wanted = sum(sites.index(r["site"]) for r in records())
    equal("joined with a Parquet file", value(f"select sum(rank)::bigint from {TABLE} i join '*.parquet' r using (site)"), wanted)


def scene_metadata(table):
    inspect = table.inspect
    got = rows(f"select * from {TABLE}.snapshots order by committed_at")
    equal("t.snapshots", [(r["snapshot_id"], r["parent_id"], r["operation"], r["manifest_list"]) for r in got],
          [(s["snapshot_id"], s["parent_id"], s["operation"], s["manifest_list"]) for s in inspect.snapshots().to_pylist()])
    equal("t.snapshots.summary", [r["summary"]["weir.kind"] for r in got], ["create", "window", "window", "window"])
    got = rows(f"select * from {TABLE}.files order by file_path")
    wanted = sorted(inspect.files().to_pylist(), key=lambda f: f["file_path"])
    names = ["file_path", "file_format", "spec_id", "record_count", "file_size_in_bytes", "content"]
    equal("t.files", [[r[n] for n in names] for r in got], [[w[n] for n in names] for w in wanted])
    equal("t.files: counts by column", [r["value_counts"] for r in got], [{str(k): v for k, v in w["value_counts"]} for w in wanted])
    equal("t.files: partition", [r["partition"]["site"] for r in got], [w["partition"]["site"] for w in wanted])
    got = rows(f"select path, length, partition_spec_id, added_snapshot_id, added_data_files_count from {TABLE}.manifests order by path")
    equal("t.manifests", got, [{n: m[n] for n in got[0]} for m in sorted(inspect.manifests().to_pylist(), key=lambda m: m["path"])])
    got = rows(f"select partition.site as site, record_count, file_count from {TABLE}.partitions order by site")
    equal("t.partitions", [tuple(r.values()) for r in got],
          sorted((p["partition"]["site"], p["record_count"], p["file_count"]) for p in inspect.partitions().to_pylist()))
    got = rows(f"select snapshot_id, is_current_ancestor from {TABLE}.history order by made_current_at")
    equal("t.history", [tuple(r.values()) for r in got], [(h["snapshot_id"], h["is_current_ancestor"]) for h in inspect.history().to_pylist()])
    got = rows(f"select name, type, snapshot_id from {TABLE}.refs order by name")
    equal("t.refs", [tuple(r.values()) for r in got], sorted((r["name"], r["type"], r["snapshot_id"]) for r in inspect.refs().to_pylist()))
    equal("t.offsets of a source of files", rows(f"select * from {TABLE}.offsets"), [])
    equal("metadata joined with rows", value(f"select count(*) = sum(record_count) from (select count(*) from {TABLE}) c, {TABLE}.files"), False)


def scene_travel(table):
    snapshots, counts = table.snapshots(), [0, 3000, 5000, 6000]
    got = [value(f"select count(*) from {TABLE} for version as of {s.snapshot_id}") for s in snapshots]
    equal("FOR VERSION AS OF a snapshot", got, counts)
    equal("... a tag", value(f"select count(*) from {TABLE} for version as of 'first'"), 3000)
    equal("... a branch", value(f"select count(*) from {TABLE} for version as of 'second'"), 5000)
    times = [datetime.utcfromtimestamp(s.timestamp_ms / 1000).isoformat(sep=" ") for s in snapshots]
    got = [value(f"select count(*) from {TABLE} for timestamp as of '{t}'") for t in times]
    equal("FOR TIMESTAMP AS OF", got, counts)
    equal("... two times in one query", value(
        f"select count(*) from {TABLE} a left join {TABLE} for version as of 'first' b using (record_id) where b.record_id is null"), 3000)
    equal("... of metadata", value(f"select sum(record_count)::bigint from {TABLE}.files for version as of 'first'"), 3000)
    run = weir("query", f"select 1 from {TABLE} for version as of 'frist'")
    say(run.returncode == 2 and b"first" in run.stderr, "a tag that is not there: those that are, are named", run.stderr)
    run = weir("query", f"select 1 from {TABLE} for timestamp as of '2001-01-01'")
    say(run.returncode == 2 and b"2001-01-01" in run.stderr, "a time before the table", run.stderr)
    run = weir("query", f"select 1 from {TABLE}.files for version as of 12")
    say(run.returncode == 2 and b"12" in run.stderr and b"there is no table" not in run.stderr, "a snapshot that is not there, of metadata", run.stderr)


AWKWARD = """select * from (values
 (1, 'plain', 1.5::double precision, date '2026-01-02', timestamptz '2026-01-02 03:04:05.678901Z', 12.30::decimal(9,2), true, array['a', null, 'b|c']),
 (2, 'quote " comma, line' || chr(10) || 'pipe | back\\slash', 'NaN'::double precision, null, null, null, false, array[]::text[]),
 (3, '', 'Infinity'::double precision, date '0001-01-01', timestamptz '1969-12-31 23:59:59.999999Z', -0.01::decimal(9,2), null, null),
 (4, null, -0.0::double precision, date '9999-12-31', null, 1234567.89::decimal(9,2), true, array['\U0001F6F0 ümläut'])
) t(id, text, real, day, at, price, flag, list) order by id"""


def scene_forms():
    texts = ["plain", 'quote " comma, line\npipe | back\\slash', "", None]
    lists = [["a", None, "b|c"], [], None, ["\U0001F6F0 ümläut"]]
    lines = [json.loads(line) for line in query(AWKWARD, "-o", "ndjson").splitlines()]
    equal("-o ndjson", [(r["id"], r["text"], r["flag"], r["list"]) for r in lines], list(zip([1, 2, 3, 4], texts, [True, False, None, True], lists)))
    equal("-o json", json.loads(query(AWKWARD, "-o", "json")), lines)
    equal("-o json of no rows", json.loads(query("select 1 as a where false", "-o", "json")), [])
    got = list(csv.reader(io.StringIO(query(AWKWARD, "-o", "csv").decode(), newline="")))
    equal("-o csv", [(r[0], r[1]) for r in got], [("id", "text"), ("1", texts[0]), ("2", texts[1]), ("3", ""), ("4", "")])
    say(all(len(r) == 8 for r in got), "-o csv: as many cells in every row", got)
    lines = query(AWKWARD, "-o", "csv").decode().splitlines()
    say(lines[-2].startswith('3,"",') and lines[-1].startswith("4,,"), "-o csv: an empty text is no NULL", lines[-2:])
    lines = query(AWKWARD, "-o", "markdown").decode().splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    say(len(lines) == 6 and all(len(c) == 8 for c in cells) and set(lines[1]) <= set("|- "), "-o markdown", lines)
    (base / "out.parquet").write_bytes(query(AWKWARD, "-o", "parquet"))
    got = duckdb.sql(f'''select id, text, day, "at"::timestamp, price, flag, list, isnan(real), isinf(real) from '{base}/out.parquet' order by id''').fetchall()
    equal("-o parquet: texts and lists, read by DuckDB", [(r[1], r[6]) for r in got], list(zip(texts, lists)))
    equal("-o parquet: dates, times, decimals", [(str(r[2]), str(r[3]), str(r[4])) for r in got],
          [("2026-01-02", "2026-01-02 03:04:05.678901", "12.30"), ("None", "None", "None"),
           ("0001-01-01", "1969-12-31 23:59:59.999999", "-0.01"), ("9999-12-31", "None", "1234567.89")])
    equal("-o parquet: NaN and infinity", [(r[7], r[8]) for r in got], [(False, False), (True, False), (False, True), (False, False)])
    (base / "all.parquet").write_bytes(query(f"select * from {TABLE}", "-o", "parquet"))
    got = duckdb.sql(f"select count(*), count(distinct record_id), sum(len(disks)) from '{base}/all.parquet'").fetchone()
    equal("-o parquet of the whole table", got, (6000, 6000, sum(len(r["disks"]) for r in records())))
    equal("... read by Weir again", value("select count(distinct record_id) from 'all.parquet'"), 6000)
    lines = query("select 1 as n, 'x' as t union all select 22, null order by n").decode().splitlines()
    equal("the table, not on a terminal", lines, [" n  t", " 1  x", "22  NULL"])
    say(weir("query", "-o", "yaml", "select 1").returncode == 2, "-o yaml is refused")


def scene_statements():
    (base / "a.sql").write_text("-- a note; with a semicolon\nselect 'a;b' as x;\nselect 2 as y /* ; */;;\n")
    equal("-f: statements in order", query_file("a.sql"), 'x\na;b\ny\n2\n')
    equal("standard input", weir("query", "-o", "csv", input=b"select 1 as a; select 2 as b").stdout, b"a\n1\nb\n2\n")
    run = weir("query", "-o", "csv", "select 1 as a; select nothing; select 3 as c")
    say(run.returncode == 2 and run.stdout == b"a\n1\n", "the first statement that fails ends the text", (run.returncode, run.stdout))
    say(weir("query", "-f", "none.sql").returncode == 2, "-f of no file")
    say(weir("query", "").returncode == 0 and weir("query", " -- nothing\n;").returncode == 0, "no statement at all")


def query_file(name):
    return weir("query", "-o", "csv", "-f", name).stdout.decode()


def scene_refused():
    before = digest(base / "lake")
    for sql in (f"insert into {TABLE} select * from {TABLE}", f"update {TABLE} set site = 'x'", f"delete from {TABLE}",
                "create table bronze.x as select 1", f"create view v as select * from {TABLE}", f"copy {TABLE} to 'x.csv'", f"drop table {TABLE}",
                f"truncate {TABLE}", f"with gone as (delete from {TABLE} returning *) select * from gone", f"select * into bronze.y from {TABLE}",
                f"alter table {TABLE} add column x int", "begin", "set x = 1", f"select * from {TABLE} for update", f"explain analyze delete from {TABLE}",
                f"merge into {TABLE} t using {TABLE} s on false when matched then delete"):
        run = weir("query", sql)
        say(run.returncode == 2 and not run.stdout, f"refused: {sql.split(TABLE)[0][:40].strip()}", (run.returncode, run.stdout, run.stderr))
    equal("the lake is the same, byte for byte", digest(base / "lake"), before)


def scene_errors():
    def told(name, sql, *parts):
        run = weir("query", sql)
        text = run.stderr.decode()
        say(run.returncode == 2 and all(p in text for p in parts), name, (run.returncode, text))
    told("a wrong column: caret, place, nearest name", f"select record_id,\n  hostnme\nfrom {TABLE}", "2 |   hostnme\n  |   ^", "2:3", "did you mean hostname?")
    told("a wrong table", f"select 1 from bronze.inventroy", "  |               ^", "did you mean bronze.inventory?")
    told("a wrong function", "select lenght('x')", "^", "did you mean length?")
    told("a wrong field of a struct", f"select os.nam from {TABLE}", "^", "did you mean name?")
    told("a wrong alias", f"select i.site from {TABLE} inventory", "^", "1:8")
    told("a syntax error", "select 1 +", "^")
    told("a text that is no number", "select 'x'::int", "^")
    told("wide characters before the place", "select 'ümläut', nothing", "  |                  ^")
    duckdb.sql(f"copy (select range as id, repeat(range::varchar, 40000) as wide from range(100, 1000)) to '{base}/wide.parquet' (format parquet, compression zstd)")
    run = weir("query", "--memory-limit", "4MiB", "select sum(length(wide)) from 'wide.parquet'")
    text = run.stderr.decode()
    say(run.returncode != 0 and all(p in text for p in ("wide.parquet", '"wide"', "page of", "--memory-limit")), "a page that does not fit: file, column, size, limit", (run.returncode, text))
    run = weir("query", "select 1 / (id - 5) from unnest(array[1, 5]) t(id)")
    say(run.returncode == 1 and b"zero" in run.stderr, "an error while running: exit 1", (run.returncode, run.stderr))
    run = weir("query", "select * from 'nothing*.parquet'")
    say(run.returncode in (1, 2) and b"nothing*.parquet" in run.stderr, "files that are not there", run.stderr)


# ---- writing that fails ----


def limited(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def scene_full():
    started = time.monotonic()
    run = subprocess.Popen([WEIR, "query", "-o", "csv", f"select a.record_id from {TABLE} a, {TABLE} b"], cwd=base, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.readline()
    run.stdout.close()
    told, code = run.stderr.read(), run.wait(20)
    say(code == 0 and told == b"" and time.monotonic() - started < 5, "a reader that leaves (| head) ends the query, quietly", (code, told))
    for form in ("csv", "ndjson", "table", "markdown", "json", "parquet"):
        with open("/dev/full", "wb") as full:
            run = weir("query", "-o", form, f"select record_id, hostname from {TABLE}", stdout=full, capture_output=False, stderr=subprocess.PIPE)
        say(run.returncode == 1 and b"No space left" in run.stderr, f"-o {form} to a full disk", (run.returncode, run.stderr))
    with open(base / "cut.parquet", "wb") as out:
        run = weir("query", "-o", "parquet", f"select * from {TABLE}", stdout=out, capture_output=False, stderr=subprocess.PIPE, preexec_fn=limited(65536))
    say(run.returncode == 1 and b"File too large" in run.stderr, "-o parquet beyond the size a file may have", (run.returncode, run.stderr))
    big = f"select a.record_id, b.hostname from {TABLE} a, {TABLE} b where b.site = 'essen' order by b.hostname, a.record_id"
    run = weir("query", "-o", "csv", "--memory-limit", "24MiB", big + " limit 1 offset 300000", preexec_fn=limited(4 << 20))
    say(run.returncode == 1 and b"spill" in run.stderr.lower(), "spilling to a full disk", (run.returncode, run.stderr[-400:]))
    say(not list(base.glob("weir-spill/*")), "nothing is left of spilling", list(base.glob("weir-spill/*")))


# ---- Ctrl-C ----


class SlowS3(http.server.BaseHTTPRequestHandler):
    """One object of a bucket, given at 64 KiB a second."""
    protocol_version, data, asked = "HTTP/1.1", b"", None

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        if "list-type" in self.path or not self.path.split("?")[0].endswith(".parquet"):
            body = (b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>wh/slow.parquet</Key><Size>%d</Size>'
                    b'<ETag>"1"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>' % len(self.data))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.answer(True)

    def answer(self, with_body):
        found = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        first, last = 0, len(self.data) - 1
        if found and found[1]:
            first, last = int(found[1]), min(last, int(found[2])) if found[2] else last
        elif found:
            first = max(0, len(self.data) - int(found[2]))
        self.send_response(206 if found else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", '"1"')
        if found:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.data)}")
        self.end_headers()
        try:
            slow = with_body and last - first > 200_000  # the footer comes at once
            if slow:
                self.asked.set()
            for at in range(first, last + 1 if with_body else 0, 8192):
                self.wfile.write(self.data[at:min(at + 8192, last + 1)])
                time.sleep(0.125 if slow else 0)
        except OSError:
            pass


def processor_seconds(pid):
    """What a process that still runs has used of the processors: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


def cancelled(name, sql, *options, environment=None, ready=None, within=0.1):
    """Ctrl-C in the middle of it, three times: what its two threads still work until the process ends.

    The promise is 100 ms. The clock on the wall also counts what the machine does for others, so it is
    only printed; the processors' time of both threads after the signal is what is judged, with room for a
    processor half as fast as the one that measured."""
    worked, waited, codes = [], [], set()
    for _ in range(3):
        run = subprocess.Popen([WEIR, "query", "-o", "csv", "--threads", "2", *options, sql], cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})
        if ready:
            ready.wait(10)
            ready.clear()
        time.sleep(0.35)
        if run.poll() is not None:
            return say(False, name, f"it ended by itself with {run.returncode}: {run.stderr.read()[-300:]}")
        before, started = processor_seconds(run.pid), time.monotonic()
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        codes.add(run.returncode)
        waited.append(time.monotonic() - started)
        worked.append(used.ru_utime + used.ru_stime - before)
    say(codes == {130} and statistics.median(worked) < 4 * within and statistics.median(waited) < 5,
        f"Ctrl-C {name}: {statistics.median(worked) * 1000:.0f} ms of the processors, {statistics.median(waited) * 1000:.0f} ms", (codes, worked, waited, told[-300:]))


def scene_cancel():
    duckdb.sql(f"copy (select range as id, (range * 7919) % 4000037 as k, md5(range::varchar) as text from range(4000000)) "
               f"to '{base}/big.parquet' (format parquet, row_group_size 100000)")
    duckdb.sql(f"copy (select * from '{base}/big.parquet' limit 1500000) to '{base}/big.csv'")
    cancelled("while scanning", "select count(*) from 'big.parquet' a where regexp_matches(text, 'a.*b.*0123$')")
    cancelled("in a regular expression that goes back and forth", "select count(*) from 'big.parquet' where repeat('a', 24) || text ~ '^((a|aa)+)+b$'")
    cancelled("in one long text", "select regexp_count(repeat('ab', 3000000), '[^c]*c')")
    cancelled("while reading CSV", "select count(*) from 'big.csv' where regexp_matches(text, 'a.*b.*0123$')")
    cancelled("while sorting", "select * from 'big.parquet' order by text, k desc, id")
    cancelled("while sorting in files", "select * from 'big.parquet' order by text, k desc, id", "--memory-limit", "64MiB")
    cancelled("while grouping", "select text, count(*), min(k), max(id), string_agg(text, ',') from 'big.parquet' group by text order by 2 desc")
    cancelled("while building a join", "select a.text, b.id from 'big.parquet' a join 'big.parquet' b on a.text = b.text order by 1 limit 5 offset 3999999")
    cancelled("while joining many with many", f"select count(*) from {TABLE} a, {TABLE} b, {TABLE} c where a.hostname > b.hostname || c.hostname")
    cancelled("in a window function", "select id, sum(k) over (order by text rows between 50000 preceding and current row) from 'big.parquet'")
    cancelled("in one huge partition", "select id, rank() over (order by text), lag(k, 3) over (order by text) from 'big.parquet'")
    cancelled("in a function of lists", "select sum(list_sum(list_transform(range(1, 200), x -> x * k % 7))) from 'big.parquet'")
    SlowS3.data, SlowS3.asked = (base / "big.parquet").read_bytes(), threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowS3)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (base / "slow.yaml").write_text(f"""version: 1
name: slow
lake:
  tenant: acme
  region: us-east-1
  warehouse: s3://acme-us-east-1-datalake/wh
  s3: {{endpoint: "http://127.0.0.1:{server.server_port}", path_style: true}}
sources: {{x: {{files: "x/*.ndjson", format: json}}}}
tables: {{bronze.x: {{source: x, columns: {{id: long}}}}}}
""")
    keys = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret123"}
    cancelled("while a slow S3 sends", "select max(text) from 's3://acme-us-east-1-datalake/wh/slow.parquet'", "-p", "slow.yaml", environment=keys, ready=SlowS3.asked)
    server.shutdown()


# ---- the terminal ----


class Terminal:
    """The program on a terminal of its own, as wide as told."""

    def __init__(self, *arguments, width=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(base)
            os.environ["TERM"] = "xterm"
            os.execv(WEIR, [WEIR, "query", *arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        self.seen = ""

    def read(self, until=None, seconds=10):
        """What it prints until a text shows, or its end."""
        deadline, text = time.monotonic() + seconds, ""
        while time.monotonic() < deadline and (until is None or not re.search(until, text)):
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    piece = os.read(self.fd, 65536)
                except OSError:
                    break
                if not piece:
                    break
                text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]", "", piece.decode(errors="replace"))
        self.seen += text
        return text

    def type(self, text):
        os.write(self.fd, text.encode())

    def ask(self, text, until=r"weir> $"):
        self.type(text)
        return self.read(until)

    def end(self):
        self.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def scene_terminal():
    terminal = Terminal(f"select record_id, hostname, os, disks, software, tags from {TABLE} limit 5", width=100)
    text = terminal.read()
    code = terminal.end()
    lines = text.replace("\r", "").splitlines()
    table = [line for line in lines if line.strip()]
    say(code == 0 and len(table) == 7, "a table of five rows, and a line about it", text)
    say(max(len(line) for line in table) <= 100 and any("…" in line or "..." in line for line in table), "cut to the terminal's width", [len(l) for l in table])
    say(re.search(r"5 rows, [0-9.]+ s", text) is not None, "rows and time are told", table[-1:])
    terminal = Terminal("-o", "parquet", "select 1")
    text = terminal.read()
    say(terminal.end() == 2 and "parquet" in text, "-o parquet on a terminal is refused", text)


def scene_prompt():
    terminal = Terminal()
    say("weir> " in terminal.read("weir> $"), "the prompt", terminal.seen)
    say("42" in terminal.ask("select 6 * 7 as x;\r"), "a statement", terminal.seen)
    terminal.ask("select 'one;\r", r"\.\.\. $")
    text = terminal.ask("two' as x;\r")
    say("1 row" in text and "error" not in text.lower(), "a statement of many lines, a semicolon in a text", terminal.seen[-500:])
    text = terminal.ask("select nothing from bronze.inventory;\r")
    say("there is no column nothing" in text, "an error, and the prompt again", text)
    text = terminal.ask("select count(*) from bronze.inv\t;\r")
    say("6000" in text, "TAB completes a table", text)
    text = terminal.ask("select count(*) from bronze.inventory i where i.hostn\tis not null;\r")
    say("6000" in text, "TAB completes a column of a table that the statement names", text)
    text = terminal.ask("select date_tru\t('year', date '2026-05-05');\r")
    say("2026-01-01" in text, "TAB completes a function", text)
    text = terminal.ask("\x1b[A\x1b[A\r")
    say("6000" in text, "the arrow finds what was typed before", text)
    terminal.type(f"select count(*) from {TABLE} a, {TABLE} b, {TABLE} c where a.hostname > b.hostname || c.hostname;\r")
    time.sleep(0.5)
    started = time.monotonic()
    text = terminal.ask("\x03")
    say("weir> " in text and time.monotonic() - started < 5, "Ctrl-C ends a query, not the prompt", text)
    say("43" in terminal.ask("select 43;\r"), "which goes on", terminal.seen[-300:])
    terminal.ask("select 1,\r", r"\.\.\. $")
    time.sleep(0.3)  # the line editor has the terminal by now, on a busy machine too: before, Ctrl-C takes the typed text with it
    terminal.type("half of a")
    time.sleep(0.3)
    text = terminal.ask("\x03")
    say("weir> " in text and "44" in terminal.ask("select 44;\r"), "Ctrl-C drops what is half typed", terminal.seen[-300:])
    terminal.type("\x04")
    equal("Ctrl-D ends it", terminal.end(), 0)
    again = Terminal()
    again.read("weir> $")
    say("44" in again.ask("\x1b[A\r"), "history is kept for the next time", again.seen)
    again.type("\\q\r")
    equal("\\q ends it", again.end(), 0)


# ---- EXPLAIN ----


def scene_explain():
    text = query(f"explain select site, count(*) from {TABLE} where site = 'essen' group by site order by 2 limit 3", "-o", "csv").decode()
    for part in ("scan inventory", "aggregate by (site)", "rows]"):
        say(part in text, f"EXPLAIN shows {part!r}", text)
    text = query(f"explain analyze select site, count(*) from {TABLE} where site = 'essen' group by site", "-o", "csv").decode()
    scan = next(line for line in text.splitlines() if "scan" in line)
    say(re.search(r"\[\d+ rows, [0-9.]+ ms, read [0-9.]+ \w+, skipped [0-9.]+ \w+ \(\d+ files", scan), "EXPLAIN ANALYZE: rows, time, bytes read and skipped", text)
    holders = {"aggregate": f"select hostname, count(*) from {TABLE} group by hostname",
               "sort": f"select hostname, record_id from {TABLE} order by hostname",
               "sort limit": f"select hostname, record_id from {TABLE} order by hostname limit 10",
               "join": f"select count(*) from {TABLE} a join {TABLE} b using (record_id)",
               "window": f"select record_id, rank() over (partition by site order by record_id) from {TABLE}",
               "set": f"select hostname from {TABLE} intersect select hostname from {TABLE}"}
    for kind, sql in holders.items():
        text = query("explain analyze " + sql, "-o", "csv").decode()
        line = [l for l in text.splitlines() if re.match(rf'\W*{kind}\b', l)]
        say(line and all(re.search(r"memory [0-9.]+ \w+", l) for l in line), f"EXPLAIN ANALYZE: memory of {kind}", text)


# ---- S3 ----


def scene_s3():
    sys.path.insert(0, str(root / "tests/harness"))
    from services import Services, S3_KEY, S3_SECRET, create_bucket
    os.environ.update(AWS_ACCESS_KEY_ID=S3_KEY, AWS_SECRET_ACCESS_KEY=S3_SECRET)
    with Services() as services:
        server = services.start("versitygw")
        create_bucket(server, "acme-us-east-1-datalake")
        (base / "s3.yaml").write_text(re.sub("(?m)^lake:\n.*$", f"""lake:
  tenant: acme
  region: us-east-1
  warehouse: s3://{{tenant}}-{{region}}-datalake/wh
  s3: {{endpoint: "{server.address}", path_style: true}}""", (base / "weir.yaml").read_text()))
        weir("run", "-p", "s3.yaml", check=True)
        wanted = value(f"select count(distinct hostname) from {TABLE}")
        equal("a table in S3", rows(f"select count(distinct hostname) as n from {TABLE}", "-p", "s3.yaml"), [{"n": wanted}])
        equal("files in S3 by a glob", rows("select count(*) as n from 's3://acme-us-east-1-datalake/wh/bronze/inventory/data/**/*.parquet'", "-p", "s3.yaml"), [{"n": 6000}])
        got = rows(f"select count(*) as n from {TABLE} i join 'site.csv' s on i.site = s.site", "-p", "s3.yaml") if (base / "site.csv").exists() else [{"n": 6000}]
        equal("S3 joined with a local file", got, [{"n": 6000}])


SCENES = [scene_select, scene_files, scene_metadata, scene_travel, scene_forms, scene_statements, scene_refused, scene_errors,
          scene_full, scene_cancel, scene_terminal, scene_prompt, scene_explain, scene_s3]
try:
    made = make_lake()
    for scene in SCENES:
        if len(sys.argv) > 1 and not any(a in scene.__name__ for a in sys.argv[1:]):
            continue
        try:
            started = time.monotonic()
            scene(*([made] if scene.__code__.co_argcount else []))
            print(f"# {scene.__name__}: {time.monotonic() - started:.1f} s", flush=True)
        except Exception as error:
            say(False, scene.__name__, repr(error)[:900])
finally:
    shutil.rmtree(base, ignore_errors=True)
sys.exit(bad > 0)
