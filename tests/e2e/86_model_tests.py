"""`weir test`: what passes, what fails and how that reads, every mode, files of rows, wrong files; and the template's own tests."""
import json, os, random, shutil, subprocess, tempfile
from pathlib import Path

WEIR, bad = os.environ["WEIR"], 0
SEED = int(os.environ.get("WEIR_SEED", "1"))
top = Path(tempfile.mkdtemp(prefix="weir-tests."))

PIPELINE = """version: 1
name: tested
lake: {warehouse: ./lake}
run: {spill: {dir: ./spill}}
sources:
  readings: {kafka: {topics: [readings], properties: {bootstrap.servers: "localhost:1"}}}
  rules: {files: nowhere/*.csv, format: csv}
tables:
  bronze.reading:
    source: readings
    columns: {id: string required, device: string required, at: timestamptz required, value: double, price: "decimal(20,4)", tags: "map<string, string>", parts: "list<struct<n:int, s:string>>"}
    partition_by: [days(at)]
  bronze.rule: {source: rules, mode: full, columns: {rule: string required, most: double, code: string}}
  silver.newest:
    sql: models/newest.sql
    mode: merge
    unique_key: [device]
    order_by: [at desc, id desc]
    expect:
      - {name: sane, that: "value < 100", on_fail: warn}
      - {name: possible, that: "value < 1000"}
  silver.all: {sql: models/all.sql, mode: append}
  bronze.other: {source: readings, columns: {id: string, value: double}}
  silver.both: {sql: models/both.sql, mode: append}
  gold.both: {sql: models/sums.sql, mode: recompute, group_by: [id]}
  silver.place: {sql: models/place.sql, mode: append}
  gold.hourly: {sql: models/hourly.sql, mode: recompute, group_by: [hour]}
  gold.broken: {sql: models/broken.sql, mode: merge, unique_key: [device, rule], delete_when: resolved}
  gold.count: {sql: models/count.sql, mode: full}
  gold.recent: {sql: models/recent.sql, mode: view}
  gold.named: {sql: models/named.sql, mode: full}
"""
MODELS = {
    "newest": "SELECT device, id, at, value, price, tags, parts FROM bronze.reading",
    "all": "SELECT id, value * 2 AS twice FROM bronze.reading",
    "both": "SELECT id, value FROM bronze.reading UNION ALL SELECT id, -value FROM bronze.other WHERE value > 0 UNION ALL SELECT 'none', 0.0::double",
    "sums": "SELECT id, sum(value) AS value, count(*) AS n FROM (SELECT id, value FROM bronze.reading UNION ALL SELECT id, value FROM bronze.other) b GROUP BY id",
    "place": "SELECT id, _kafka.offset AS place FROM bronze.reading",
    "hourly": "SELECT date_trunc('hour', at) AS hour, avg(value) AS value, count(*) AS n FROM bronze.reading GROUP BY 1",
    "broken": "SELECT d.device, r.rule, r.code, d.value <= r.most AS resolved FROM silver.newest d JOIN bronze.rule r ON true",
    "count": "SELECT count(*) AS n, now() AS at FROM gold.recent",
    "recent": "SELECT device FROM silver.newest WHERE at > now() - INTERVAL '1 hour'",
    "named": "SELECT DISTINCT device FROM silver.newest",
}
GOOD = r"""tests:
  - name: merge
    model: silver.newest
    steps:
      - given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 1}, {id: b, device: d1, at: 2026-01-01T09:00:00+01:00, value: 2}, {id: c, device: d2, at: 2026-01-01T10:00:00Z}]}
        expect: [{device: d2, id: c, value: null}, {device: d1, id: a, value: 1}]
      - given: {bronze.reading: [{id: e, device: d2, at: 2025-12-01T10:00:00Z}]}
        expect: [{device: d1, id: a}, {device: d2, id: c}]
      - expect: [{device: d1, id: a}, {device: d2, id: c}]
  - name: every kind of value
    model: silver.newest
    given:
      bronze.reading:
        - {id: "00", device: "1", at: 2026-01-01T10:00:00.123456Z, value: 1e-3, price: 1234567890123456.7891, tags: {b: "2", a: x}, parts: [{n: 1, s: "a\"},{"}, {n: null}, null]}
    expect:
      - {id: 00, device: 1, at: 2026-01-01T11:00:00.123456+01:00, value: 0.001, price: "1234567890123456.7891", tags: {a: x, b: 2}, parts: [{n: 1, s: "a\"},{"}, {s: null}, null]}
  - name: rows that the model has
    model: silver.newest
    existing: [{device: d1, id: old, at: 2026-01-01T10:00:00Z}, {device: d3, id: old, at: 2026-01-01T10:00:00Z}]
    given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T09:00:00Z}, {id: b, device: d3, at: 2026-01-02T09:00:00Z}]}
    expect: [{device: d1, id: old}, {device: d3, id: b}]
  - name: checks that do not hold
    model: silver.newest
    steps:
      - given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 500}]}
        gates: [sane]
        expect: [{device: d1, value: 500}]
      - given: {bronze.reading: [{id: b, device: d1, at: 2026-01-01T11:00:00Z, value: 5000}]}
        gates: [sane, possible]
        expect: [{device: d1, value: 500}] # readers keep what they had
      - given: {bronze.reading: [{id: c, device: d1, at: 2026-01-01T12:00:00Z, value: 5}]}
        gates: []
        expect: [{device: d1, value: 5}]
  - name: append
    model: silver.all
    steps:
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z, value: 1.5}]}, expect: [{id: a, twice: 3}]}
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z, value: 1.5}]}, expect: [{id: a, twice: 3}, {id: a, twice: 3}]}
  - name: append of two streams, and of a row that is no one's
    model: silver.both
    steps:
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z, value: 1}], bronze.other: [{id: b, value: 2}]}, expect: [{id: a, value: 1}, {id: b, value: -2}, {id: none, value: 0}]}
      - {given: {bronze.reading: [{id: c, device: d, at: 2026-01-01T10:00:00Z, value: 3}]}, expect: [{id: a, value: 1}, {id: b, value: -2}, {id: c, value: 3}, {id: none, value: 0}]}
      - given: {bronze.reading: [{id: e, device: d, at: 2026-01-01T10:00:00Z, value: 5}], bronze.other: [{id: f, value: 6}, {id: g, value: -6}]}
        expect: [{id: a, value: 1}, {id: b, value: -2}, {id: c, value: 3}, {id: e, value: 5}, {id: f, value: -6}, {id: none, value: 0}]
  - name: groups over two streams
    model: gold.both
    steps:
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z, value: 1}], bronze.other: [{id: a, value: 2}, {id: b, value: 2}]}, expect: [{id: a, value: 3, n: 2}, {id: b, value: 2, n: 1}]}
      - {given: {bronze.other: [{id: b, value: 7}]}, expect: [{id: a, value: 3, n: 2}, {id: b, value: 9, n: 2}]}
      - {given: {bronze.reading: [{id: b, device: d, at: 2026-01-01T10:00:00Z, value: 1}], bronze.other: [{id: c, value: 7}]}, expect: [{id: a, value: 3, n: 2}, {id: b, value: 10, n: 3}, {id: c, value: 7, n: 1}]}
  - name: where a record came from
    model: silver.place
    given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z, _kafka: {offset: 7}}, {id: b, device: d, at: 2026-01-01T10:00:00Z}]}
    expect: [{id: a, place: 7}, {id: b}]
  - name: recompute, a late record
    model: gold.hourly
    steps:
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:30:00Z, value: 1}, {id: b, device: d, at: 2026-01-01T11:30:00Z, value: 2}]}, expect: [{hour: 2026-01-01T10:00:00Z, value: 1, n: 1}, {hour: 2026-01-01T11:00:00Z, value: 2, n: 1}]}
      - {given: {bronze.reading: [{id: c, device: d, at: 2026-01-01T10:31:00Z, value: 2}, {id: e, device: d, at: 2026-01-01T10:31:00Z, value: 2}]}, expect: {tolerance: 0.001, rows: [{hour: 2026-01-01T10:00:00Z, value: 1.667, n: 3}, {hour: 2026-01-01T11:00:00Z, value: 2, n: 1}]}}
  - name: models on the way are promoted
    model: gold.broken
    steps:
      - given: {bronze.rule: {csv: "rule,most,code\nr1,10,007\n"}, bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 11}]}
        expect: [{device: d1, rule: r1}]
      - given: {bronze.reading: [{id: b, device: d1, at: 2026-01-01T10:01:00Z, value: 9}]}
        expect: []
  - name: a table that is no stream holds what was given last
    model: gold.broken
    steps:
      - {given: {silver.newest: [{device: d1, value: 5}], bronze.rule: [{rule: r1, most: 1}, {rule: r2, most: 2}]}, expect: [{device: d1, rule: r1}, {device: d1, rule: r2}]}
      - {given: {bronze.rule: [{rule: r2, most: 2}, {rule: r3, most: 9}]}, expect: [{device: d1, rule: r2}]}
      - {given: {silver.newest: []}, expect: []}
  - name: full, a view on the way, and the time
    model: gold.count
    now: 2026-01-01T12:00:00Z
    steps:
      - {given: {silver.newest: [{device: d1, at: 2026-01-01T11:30:00Z}, {device: d2, at: 2026-01-01T10:30:00Z}]}, expect: [{n: 1, at: 2026-01-01T12:00:00Z}]}
      - {now: 2026-01-01T11:15:00Z, given: {silver.newest: [{device: d2, at: 2026-01-01T10:30:00Z}, {device: d3, at: 2026-01-01T10:31:00Z}]}, expect: [{n: 2}]}
  - name: a view
    model: gold.recent
    now: 2026-01-01T12:00:00Z
    given: {silver.newest: [{device: d1, at: 2026-01-01T11:30:00Z}, {device: d2, at: 2026-01-01T10:30:00Z}]}
    expect: [{device: d1}]
  - name: rows in files
    model: gold.broken
    given: {silver.newest: {file: rows.ndjson}, bronze.rule: {file: rows.csv}}
    expect: {file: expected.csv}
  - name: what is not given is empty
    model: gold.broken
    expect: []
"""
FAILS = r"""tests:
  - name: one of each
    model: silver.newest
    given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 1}, {id: b, device: d2, at: 2026-01-01T10:00:00Z}]}
    expect: [{device: d1, id: x, value: 1}, {device: d3, id: c, value: 2}]
  - name: without a key
    model: gold.named
    given: {silver.newest: [{device: d1}]}
    expect: [{device: d2}]
  - name: a check
    model: silver.newest
    given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 5000}]}
    expect: []
  - name: a check that holds
    model: silver.newest
    given: {bronze.reading: [{id: a, device: d1, at: 2026-01-01T10:00:00Z, value: 5}]}
    gates: [sane]
  - name: close is not equal
    model: gold.hourly
    given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:30:00Z, value: 1.001}]}
    expect: {tolerance: 0.0001, rows: [{hour: 2026-01-01T10:00:00Z, value: 1}]}
  - name: rows left an appended source
    model: silver.place
    steps:
      - {given: {bronze.reading: [{id: a, device: d, at: 2026-01-01T10:00:00Z}]}, expect: [{id: a}]}
      - {given: {bronze.reading: []}, expect: [{id: b}]}
"""


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(*arguments, folder=top):
    return subprocess.run([WEIR, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


def folders():
    return sorted(str(p) for place in (Path("/dev/shm"), top / "spill") if place.exists() for p in place.glob("weir-test-*"))


def good():
    (top / "tests/good.yaml").write_text(GOOD)
    (top / "tests/rows.ndjson").write_text('{"device": "d1", "value": 11}\n\n{"device": "d2", "value": 5}\n')
    (top / "tests/rows.csv").write_text("rule,most,code\nr1,10,a\nr2,,b\n")
    (top / "tests/expected.csv").write_text("device,rule,code\nd1,r1,a\nd1,r2,b\nd2,r2,b\n")
    done = weir("test", "-o", "json")
    say(done.stdout, "a report", done.stderr)
    report = json.loads(done.stdout)
    for test in report["tests"]:
        say(test["ok"], test["name"], test["problems"])
    slow = sorted(test["milliseconds"] for test in report["tests"])
    say(done.returncode == 0 and report["failed"] == 0 and report["run"] == GOOD.count("- name:"), "all of them, exit 0", (done.returncode, report["run"], done.stderr))
    say(slow[len(slow) // 2] < 500, f"quick: the median test takes {slow[len(slow) // 2]} ms")
    say(not (top / "lake").exists(), "the pipeline's own lake is not touched")
    some = weir("test", "-s", "gold.h*", "-o", "ndjson").stdout.splitlines()
    say([json.loads(line)["model"] for line in some] == ["gold.hourly"], "-s chooses models", some)
    words = weir("test").stdout
    say("ok   silver.newest: merge\n" in words and f"{GOOD.count('- name:')} tests, 0 failed" in words, "told for people", words)


def fails():
    (top / "fails.yaml").write_text(FAILS)
    done = weir("test", "fails.yaml", "-o", "json")
    by_name = {test["name"]: test["problems"] for test in json.loads(done.stdout)["tests"]}
    say(done.returncode == 1 and "6 of 6 tests failed" in done.stderr, "exit 1", (done.returncode, done.stderr))
    kinds = {name: sorted(p["kind"] for p in problems) for name, problems in by_name.items()}
    wanted = {"one of each": ["different", "missing", "unexpected"], "without a key": ["missing", "unexpected"], "a check": ["gate"], "a check that holds": ["gate"],
              "close is not equal": ["different"], "rows left an appended source": ["missing", "unexpected"]}
    wanted["a check"] = ["gate"]
    say(kinds == wanted, "kinds of problems", kinds)
    different = next(p for p in by_name["one of each"] if p["kind"] == "different")
    say(different["key"] == {"device": "d1"} and different["columns"] == {"id": {"is": "a", "expected": "x"}}, "a row that differs: its key, and what differs", different)
    say(by_name["rows left an appended source"][0]["step"] == 2, "which step", by_name["rows left an appended source"])
    words = weir("test", "fails.yaml").stdout
    for part in ['FAIL silver.newest: one of each (fails.yaml:2:5)', '  different  {"device":"d1"}: id is "a", expected "x"\n', '  missing    {"device":"d3","id":"c","value":2}\n',
                 '  unexpected {"device":"d2","id":"b","value":null}\n', "  gate       possible: does not hold: 1 rows (failed)\n", "  gate       sane: holds, but is expected not to\n", "  step 2\n", "6 tests, 6 failed"]:
        say(part in words, f"told: {part.strip()}", words)


def wrong():
    def says(name, text, *parts):
        (top / "wrong.yaml").write_text(text)
        done = weir("test", "wrong.yaml")
        say(done.returncode == 2 and all(part in done.stderr for part in parts), name, f"exit {done.returncode}: {done.stderr}{done.stdout}")
    one = "tests: [{name: a, model: silver.newest, given: {bronze.reading: [%s]}, expect: [%s]}]\n"
    says("a key that is not", "tests:\n  - {name: a, modl: x}\n", "wrong.yaml:2:15: tests[0]: unknown key 'modl'", "\n                ^\n", "hint: did you mean 'model'?")
    says("a model that is not", "tests: [{name: a, model: silver.newst, expect: []}]\n", "no model 'silver.newst'", "did you mean 'silver.newest'")
    says("a table that is not", "tests: [{name: a, model: silver.newest, given: {bronze.readin: []}, expect: []}]\n", "no table 'bronze.readin'", "did you mean 'bronze.reading'")
    says("a table that the model does not read", "tests: [{name: a, model: silver.newest, given: {bronze.rule: []}, expect: []}]\n", "bronze.rule: the model does not read it")
    says("a column that is not", one % ("{idd: a}", ""), "there is no column 'idd'", "did you mean 'id'")
    says("a field that is not", one % ("{parts: [{m: 1}]}", ""), "row 1.parts[0]: there is no column 'm'")
    says("a value that is none", one % ("{value: much}", ""), "row 1.value: expected double, but there is 'much'")
    says("a time that is none", one % ("{at: yesterday}", ""), "row 1: at: want timestamptz")
    says("a row that is none", one % ("7", ""), "expected a map of its fields, but there is '7'")
    says("an expected column that is not", one % ("", "{valu: 1}"), "there is no column 'valu'")
    says("a gate that is not", "tests: [{name: a, model: silver.newest, gates: [possibl]}]\n", "no expectation 'possibl'", "did you mean 'possible'")
    says("no expectation at all", "tests: [{name: a, model: silver.newest}]\n", "'expect' is missing")
    says("steps and given", "tests: [{name: a, model: silver.newest, given: {}, steps: [{expect: []}]}]\n", "given or steps, not both")
    says("a file that is not", "tests: [{name: a, model: silver.newest, expect: {file: no.ndjson}}]\n", "no.ndjson: No such file")
    says("a kind of file that is not", "tests: [{name: a, model: silver.newest, expect: {file: no.txt}}]\n", ".ndjson, .json, .csv or .parquet")
    says("a column of CSV that is not", 'tests: [{name: a, model: silver.newest, expect: {csv: "device,x\\na,b\\n"}}]\n', "there is no column x")
    says("files have no SQL", "tests: [{name: a, model: bronze.rule, expect: []}]\n", "bronze.rule is what its files hold")
    says("rows of a view", "tests: [{name: a, model: gold.recent, existing: [], expect: []}]\n", "gold.recent is a view")
    says("no list", "tests: 7\n", "tests: expected a list")
    says("no YAML", "tests: [\n", "wrong.yaml:", "not YAML")
    says("nothing", "", "empty")
    dice = random.Random(SEED)
    for _ in range(60):  # damaged files: told, or they run; never a crash
        text = bytearray((GOOD if dice.random() < 0.5 else FAILS)[: dice.randrange(200, 2500)].encode())
        for _ in range(dice.randrange(1, 4)):
            text[dice.randrange(len(text))] = dice.choice(b"{}[]:,-#'\"&*!|> \n\x00\xffa0")
        (top / "wrong.yaml").write_bytes(text)
        done = weir("test", "wrong.yaml")
        if done.returncode not in (0, 1, 2):
            say(False, "a damaged file", f"exit {done.returncode}: {done.stderr[-2000:]} {text!r}")
    say(weir("test", "-s", "nothing.there").returncode == 2, "a selection of nothing")
    shutil.rmtree(top / "tests")
    done = weir("test")
    say(done.returncode == 2 and "there are no tests: tests/*.yaml" in done.stderr, "no tests", done.stderr)


def template():
    weir("init", "--template", "inventory", "made")
    done = weir("test", folder=top / "made")
    say(done.returncode == 0 and " 0 failed" in done.stdout, "the template's tests", done.stdout + done.stderr)
    model = top / "made/models/violations.sql"
    model.write_text(model.read_text().replace("d.cpu_usage_pct > p.max_cpu_pct", "d.cpu_usage_pct >= p.max_cpu_pct"))
    done = weir("test", folder=top / "made")
    say(done.returncode == 1 and "unexpected" in done.stdout, "they notice a rule that is off by one", done.stdout + done.stderr)


for name in ("tests", "models"):
    (top / name).mkdir()
(top / "weir.yaml").write_text(PIPELINE)
for model, sql in MODELS.items():
    (top / "models" / f"{model}.sql").write_text(sql + "\n")
before = folders()
good()
fails()
wrong()
template()
say(folders() == before, "no lake of a test stays", folders())
shutil.rmtree(top)
print("FAIL 86_model_tests" if bad else "ok 86_model_tests", flush=True)
raise SystemExit(bad > 0)
