"""Refused records: a window refused by max_invalid, retry after a mend (once, and killed at its effects), discard."""
import json, os, shutil, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import engines

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-quarantine."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def pipeline(folder, value, extra=""):
    (folder / "weir.yaml").write_text(f"""version: 1
name: mend
lake: {{warehouse: ./lake}}
sources:
  mend: {{files: "{folder}/in/*.ndjson", format: json}}
tables:
  bronze.mend:
    source: mend
{extra}
    columns: {{id: long required, value: {value}}}
""")


def make(name):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    lines = [json.dumps({"id": n, "value": n}) for n in range(20)]
    lines += [json.dumps({"id": n, "value": 2**40 + n}) for n in range(20, 25)] + ["secret-raw-text"]
    (folder / "in/a.ndjson").write_text("\n".join(lines) + "\n")
    return folder


def counts(folder):
    report = json.loads(weir(folder, "status", "-o", "json").stdout)[0]
    return report["rows"], report["refused"]


def iceberg(folder, table):
    """Rows of a table by DuckDB, from Iceberg's own metadata."""
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    return engines.read_duckdb(place, engines.load_table(place, table)).to_pylist()


def judged(folder):
    """Refused records by reason, as the quarantine table has them."""
    found = {}
    for row in iceberg(folder, "bronze.mend__quarantine"):
        found.setdefault(row["reason"], []).append(bytes(row["raw"]))
    return {reason: sorted(raws) for reason, raws in found.items()}


def landed(folder):
    """Did the retry's own commit land? Then a plain run must finish what it left."""
    return counts(folder)[0] == 25


WIDE = sorted(json.dumps({"id": n, "value": 2**40 + n}).encode() for n in range(20, 25))
try:
    one = make("one")
    pipeline(one, "int", "    max_invalid: {share: 5%, of_at_least: 10}")
    run = weir(one, "run")
    say(run.returncode == 3, "max_invalid refuses the window", f"{run.returncode} {run.stderr[-400:]}")
    say(not list((one / "lake").rglob("data/**/*.parquet")) or counts(one) == (0, 0), "and nothing landed")
    pipeline(one, "int")
    run = weir(one, "run")
    say(run.returncode == 0 and counts(one) == (20, 6), "without the limit the good land", f"{run.stderr[-400:]} {counts(one)}")
    shown = weir(one, "quarantine", "show", "mend")
    say("secret-raw-text" not in shown.stdout and "range" in shown.stdout, "show masks raw values", shown.stdout + shown.stderr)
    say(judged(one) == {"range": WIDE, "syntax": [b"secret-raw-text"]}, "DuckDB reads the same in the quarantine table", judged(one))
    shutil.copytree(one, top / "kept")
    pipeline(one, "long")
    run = weir(one, "quarantine", "retry", "mend", "--yes")
    say(run.returncode == 0 and counts(one) == (25, 1), "retry lands what is good now", f"{run.stderr[-400:]} {counts(one)}")
    shown = weir(one, "quarantine", "show", "mend").stdout
    say("range" not in shown and "syntax" in shown, "the retried ones are shown no more", shown)
    say(judged(one) == {"syntax": [b"secret-raw-text"]}, "DuckDB reads only the rest in the quarantine table", judged(one))
    ids = sorted(row["id"] for row in iceberg(one, "bronze.mend"))
    say(ids == list(range(25)), "DuckDB reads each good record once", ids)
    before, rest = counts(one), judged(one)
    run = weir(one, "quarantine", "retry", "mend", "--yes")
    say(run.returncode == 0 and counts(one) == before, "a second retry does nothing", f"{run.stderr[-400:]} {counts(one)}")
    say(weir(one, "quarantine", "discard", "mend", "--yes").returncode == 2, "discard wants a reason")
    run = weir(one, "quarantine", "discard", "mend", "--why", "range", "--yes", "--reason", "none is left of these")
    say(run.returncode == 0 and counts(one) == before and "syntax" in weir(one, "quarantine", "show", "mend").stdout, "discard --why of another reason leaves it", f"{run.stderr[-300:]} {counts(one)}")
    run = weir(one, "quarantine", "discard", "mend", "--why", "syntax", "--yes", "--reason", "no value in it")
    shown = weir(one, "quarantine", "show", "mend").stdout
    say(run.returncode == 0 and "syntax" not in shown, "discard --why of its reason takes it away", run.stderr[-300:] + shown)
    say(run.returncode == 0 and counts(one) == (25, 0) and judged(one) == {}, "discard", f"{run.stderr[-400:]} {counts(one)} {judged(one)}")
    run = weir(one, "verify", "--deep")
    say(run.returncode == 0, "verify --deep", run.stdout[-400:] + run.stderr[-400:])
    # other letters of the same file stay, byte by byte; what is refused for another reason today says so
    shutil.rmtree(one)
    shutil.copytree(top / "kept", one)
    pipeline(one, "int")
    run = weir(one, "quarantine", "discard", "mend", "--why", "syntax", "--yes", "--reason", "no value in it")
    say(run.returncode == 0 and counts(one) == (20, 5) and judged(one) == {"range": WIDE}, "discard leaves its neighbours in the file", f"{run.stderr[-400:]} {counts(one)} {judged(one)}")
    pipeline(one, "int", '    expect: [{that: "id >= 0"}]')
    run = weir(one, "quarantine", "retry", "mend", "--yes")
    snapshots = len(json.loads(weir(one, "history", "mend", "-o", "json").stdout))
    say(run.returncode == 0 and judged(one) == {"range": WIDE}, "a retry with nothing good changes nothing", f"{run.stderr[-400:]} {judged(one)}")
    pipeline(one, "long", '    expect: [{that: "id < 22"}]')
    run = weir(one, "quarantine", "retry", "mend", "--yes")
    say(run.returncode == 0 and counts(one) == (22, 3) and judged(one) == {"expect": WIDE[2:]}, "what is refused again has today's reason", f"{run.stderr[-400:]} {counts(one)} {judged(one)}")
    pipeline(one, "long", '    where: "id < 23"')
    run = weir(one, "quarantine", "retry", "mend", "--yes")
    say(run.returncode == 0 and counts(one) == (23, 0) and judged(one) == {}, "what is filtered today leaves the quarantine", f"{run.stderr[-400:]} {counts(one)} {judged(one)}")
    say(len(json.loads(weir(one, "history", "mend", "-o", "json").stdout)) == snapshots + 2, "one commit each", "")
    say(weir(one, "verify", "--deep").returncode == 0, "and verify --deep holds")
    # the retry killed at each of its effects; same path, so that the pipeline file and the lake agree
    shutil.rmtree(one)
    shutil.copytree(top / "kept", one)
    pipeline(one, "long")
    counted = top / "effects"
    weir(one, "quarantine", "retry", "mend", "--yes", WEIR_TEST_EFFECTS=str(counted))
    effects = len(counted.read_text().splitlines()) if counted.exists() else 0
    say(effects > 0, "effects are counted", "none")
    shutil.rmtree(one)
    shutil.copytree(top / "kept", one)
    pipeline(one, "long")
    run = weir(one, "quarantine", "retry", "mend", "--why", "syntax", "--yes")
    say(run.returncode == 0 and counts(one)[0] == 20, "retry --why of one reason leaves the others", f"{run.stderr[-300:]} {counts(one)}")
    wrong, unfired = [], []
    full = os.environ.get("WEIR_FULL")
    for n in range(1, effects + 1):
        for how in ("before", "after", "lost") if full else (("before", "after", "lost")[n % 3],):
            shutil.rmtree(one)
            shutil.copytree(top / "kept", one)
            (one / "in/a.ndjson").unlink()  # a copy of a landed file is another file
            pipeline(one, "long")
            killed = weir(one, "quarantine", "retry", "mend", "--yes", WEIR_TEST_KILL=f"{n}:{how}")
            if how != "lost" and killed.returncode != -9:
                unfired.append(f"{n}:{how} ended with {killed.returncode}")
            run = weir(one, *(["run"] if landed(one) and n % 2 else ["quarantine", "retry", "mend", "--yes"]))
            check = weir(one, "verify", "--deep")
            if run.returncode or check.returncode or counts(one) != before or judged(one) != rest:
                wrong.append(f"{n}:{how} {run.returncode} {check.returncode} {counts(one)} {judged(one)} {run.stderr[-200:]}{check.stdout[-200:]}")
    say(not unfired, "each kill fires", unfired[:5])
    say(not wrong, f"retry killed at {effects} effects: every record once", "\n".join(wrong[:3]))
finally:
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
