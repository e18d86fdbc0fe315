"""The 22 queries of TPC-H, and the four of the reference workload, beside DuckDB: from Parquet files and from Iceberg tables, one and two threads, and with little memory."""
import os, shutil, subprocess, sys, tempfile
from pathlib import Path

WEIR, bad = os.environ["WEIR"], 0
FULL = bool(os.environ.get("WEIR_FULL"))
root = Path(__file__).resolve().parents[2]
top = Path(tempfile.mkdtemp(prefix="weir-tpch."))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def queries(name, *options):
    done = subprocess.run([sys.executable, str(root / "tools/bench/tpch.py"), WEIR, str(top / "data"), *options], capture_output=True, text=True, timeout=1800)
    lines = done.stdout.splitlines()
    equal = sum(" ok " in line for line in lines)
    say(done.returncode == 0 and equal == 22, f"{name}: DuckDB's answers to 22 queries", [line for line in lines if " ok " not in line][:3] or done.stderr[-400:])


(top / "data").mkdir()
made = subprocess.run([str(Path(sys.executable).parent / "tpchgen-cli"), "parquet", "-s", "1" if FULL else "0.05", f"--output-dir={top / 'data'}"], capture_output=True, text=True)
say(made.returncode == 0, "TPC-H's tables are made", made.stderr[-300:])
lake = ("--iceberg", str(top / "lake"))
queries("Parquet, one thread", "--threads", "1")
queries("Parquet, two threads", "--threads", "2")
queries("Iceberg, one thread", "--threads", "1", *lake)
queries("Iceberg, two threads", "--threads", "2", *lake)
limit = "256MiB" if FULL else "48MiB"
queries(f"Parquet within {limit}", "--threads", "2", "--memory-limit", limit)
queries(f"Iceberg within {limit}", "--threads", "1", "--memory-limit", limit, *lake)
done = subprocess.run([sys.executable, str(root / "tools/bench/workload_sql.py"), WEIR, os.environ["WEIR_GEN"], str(top / "workload"), "--threads", "2", "--repeat", "1",
                       "--count", "1000000" if FULL else "20000", "--memory-limit", "256MiB"], capture_output=True, text=True)
say(done.returncode == 0 and done.stdout.count(" ok ") == 4, "the four queries of the workload: DuckDB's answers", done.stdout + done.stderr[-400:])
shutil.rmtree(top, ignore_errors=True)
sys.exit(bad != 0)
