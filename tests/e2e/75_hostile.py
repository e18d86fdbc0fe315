"""Hostile records and files through the real program: each bad record kept raw with its reason, each good neighbour landed once."""
import os, shutil, subprocess, sys, tempfile
from pathlib import Path
import duckdb

WEIR, bad = os.environ.get("WEIR_SANITIZED") or os.environ["WEIR"], 0
base = Path(tempfile.mkdtemp(prefix="weir-hostile."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(*arguments):
    run = subprocess.run([WEIR, *arguments, "-p", str(base / "weir.yaml")], capture_output=True, timeout=120)
    if b"Sanitizer" in run.stderr or b"runtime error" in run.stderr or run.returncode < 0:
        say(False, f"no crash in {arguments}", run.stderr[-1500:])
    return run


HOSTILE = [
    (b'{"id": 1, "name": "cut', "syntax"), (b'{"id":', "syntax"), (b'{"id": 1} x', "syntax"),
    (b'{"id": 1, "name": "\xff\xfe"}', "encoding"), (b'{"id": 1, "name": "a\x00b"}', "syntax"),
    (b'{"id": 9223372036854775808}', "range"), (b'{"id": 1, "small": 2147483648}', "range"),
    (b'{"id": "1"}', "type"), (b'{"id": 1, "name": 5}', "type"), (b'{"id": [1]}', "type"),
    (b'{"name": "x"}', "required"), (b'{"id": null}', "required"),
    (b'{"id": 1, "deep": ' + b"[" * 300 + b"]" * 300 + b"}", "depth"),
    (b'{"id": 1, "name": "\\ud800"}', "syntax"),
]
GOOD = [b'{"id": %d, "id": %d}\r' % (n + 1000, n) for n in range(len(HOSTILE) + 1)]  # duplicate keys: last wins; CRLF


def letters():
    files = [str(p) for p in (base / "lake").rglob("*.parquet") if "letters" in p.parts]
    return duckdb.sql(f"select raw, reason from read_parquet({files})").fetchall() if files else []


try:
    folder = base / "in"
    folder.mkdir()
    (base / "weir.yaml").write_text(f"""version: 1
name: hostile
lake: {{warehouse: ./lake}}
sources:
  hostile: {{files: "{folder}/*.ndjson*", format: json}}
tables:
  bronze.hostile: {{source: hostile, columns: {{id: long required, name: string, small: int}}}}
""")
    lines = [line for pair in zip(GOOD, (raw for raw, _ in HOSTILE)) for line in pair] + [GOOD[-1]]
    (folder / "a.ndjson").write_bytes(b"   \n\n" + b"\n".join(lines))  # blank lines are no records; no last newline
    (folder / "empty.ndjson").write_bytes(b"")
    (folder / "folder.ndjson").mkdir()
    for name in (b"with space.ndjson", b"quo'te\".ndjson", b"per%25cent.ndjson"):
        (folder / os.fsdecode(name)).write_bytes(b'{"id": 100}\n')
    run = weir("run")
    say(run.returncode == 0, "hostile files: run", run.stderr[-800:])
    got, wanted = sorted((bytes(r), w) for r, w in letters()), sorted(HOSTILE)
    say(got == wanted, "each bad record raw, with its reason",
        f"only got {[g for g in got if g not in wanted]}, only wanted {[w for w in wanted if w not in got]}")
    data = [str(p) for p in (base / "lake").rglob("*.parquet") if "data" in p.parts and "letters" not in p.parts]
    ids = sorted(r[0] for r in duckdb.sql(f"select id from read_parquet({data})").fetchall()) if data else []
    say(ids == sorted([*range(len(GOOD)), 100, 100, 100]), "each good neighbour landed once", ids)
    say(b"nothing to do" in weir("run").stdout, "nothing to do")
    say(weir("verify", "--deep").returncode == 0, "verify --deep")
    with open(folder / "a.ndjson", "ab") as file:
        file.write(b'\n{"id": 7}\n')
    say(weir("run").returncode == 4, "a file that changed after landing stops the run")
finally:
    shutil.rmtree(base, ignore_errors=True)
sys.exit(bad > 0)
