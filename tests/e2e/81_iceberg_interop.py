"""Iceberg tables written by Spark and by pyiceberg - evolved, partitioned anew, deleted from in every way, tagged, migrated - show `weir query` the rows
that their writer sees. The cases: tests/interop/iceberg_spark.py, tests/interop/iceberg_pyiceberg.py."""
import os, subprocess, sys, tempfile
from pathlib import Path

root, bad = Path(__file__).resolve().parents[2], 0
setup, interop = root / "tools/env/setup", root / "tests/interop"
have_spark = subprocess.run([setup, "spark"], capture_output=True).returncode == 0
with tempfile.TemporaryDirectory(prefix="weir-interop.") as folder:
    running = []
    for writer, group in (("spark", "spark"), ("pyiceberg", "judges")):
        if writer == "spark" and not have_spark:
            print("skip spark is not to be had")
            continue
        where = subprocess.run([setup, "--where", group], check=True, capture_output=True, text=True).stdout.strip()
        program = [f"{where}/venv/bin/python", "-W", "ignore", interop / f"iceberg_{writer}.py", f"{folder}/{writer}", *sys.argv[1:]]
        errors = open(f"{folder}/{writer}.errors", "w+")
        running.append((writer, subprocess.Popen(program, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "TMPDIR": folder}), errors))
    for writer, process, errors in running:
        good = failed = 0
        for line in process.stdout:
            good, failed = good + line.startswith("ok "), failed + line.startswith("FAIL ")
            print(line, end="", flush=True)
        code = process.wait()
        bad += failed
        if code and not failed or not good:
            errors.seek(0)
            print(f"FAIL {writer}: exit {code}, {good} cases: {errors.read()[-1500:]}")
            bad += 1
sys.exit(bad > 0)
