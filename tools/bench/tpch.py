#!/usr/bin/env python3
"""The 22 queries of TPC-H: Weir's answers against DuckDB's, and both timed in one run.

  tpch.py WEIR DATA [--queries 1,9] [--threads N] [--memory-limit SIZE] [--repeat N] [--check-only]

DATA holds the eight tables as NAME.parquet (tpchgen-cli parquet -s 1). Answers are equal: exact, doubles
within 1e-12. CPU seconds are user + sys, the least of the repeats: of Weir the whole process, start and
footers included; of DuckDB the statement alone, without Python's start. Prints one line a query and the geometric mean; exit 1 when an answer differs.
"""
import argparse, csv, io, math, os, re, resource, subprocess, sys, time

TABLES = "lineitem orders customer part partsupp supplier nation region".split()
HERE = os.path.dirname(os.path.abspath(__file__))

DUCKDB = """
import sys, duckdb, csv, resource
sql, threads, memory = sys.argv[1], sys.argv[2], sys.argv[3]
c = duckdb.connect()
c.execute(f"set threads={threads}")
if memory: c.execute(f"set memory_limit='{memory}'")
c.execute("set enable_progress_bar=false")
c.execute("set integer_division=true")
c.execute("set default_null_order='nulls_last_on_asc_first_on_desc'")
w = csv.writer(sys.stdout)
before = resource.getrusage(resource.RUSAGE_SELF)
rows = c.execute(sql).fetchall()
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, file=sys.stderr)
for r in rows: w.writerow(["\\\\N" if v is None else repr(v) if isinstance(v, float) else v for v in r])
"""


def run(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, cpu, time.monotonic() - start


def same(a, b):
    if a == b or (a == "" and b == "\\N"):
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    return x == y or abs(x - y) <= 1e-12 * max(abs(x), abs(y))


def differ(left, right):
    if len(left) != len(right):
        return f"{len(left)} rows, DuckDB {len(right)}"
    for at, (a, b) in enumerate(zip(left, right)):
        if len(a) != len(b) or not all(map(same, a, b)):
            return f"row {at}: {a} and DuckDB {b}"
    return None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("weir")
    options.add_argument("data")
    options.add_argument("--queries", default=",".join(map(str, range(1, 23))))
    options.add_argument("--sql", default=os.path.join(HERE, "../../tests/sql/tpch"))
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--memory-limit", default="")
    options.add_argument("--repeat", type=int, default=1)
    options.add_argument("--check-only", action="store_true")
    options.add_argument("--no-duckdb", action="store_true")
    given = options.parse_args()
    ratios, bad = [], 0
    for number in map(int, given.queries.split(",")):
        sql = open(f"{given.sql}/q{number:02d}.sql").read()
        for table in TABLES:
            path = f"'{given.data}/{table}.parquet'"
            sql = re.sub(rf"((?:from|join|,)\s+){table}\b(?=\s|,|$)", rf"\1{path} {table}", sql, flags=re.M)
            sql = re.sub(rf"({re.escape(path)}) {table}( as)? (?!where|group|order|on|left|join|inner)(\w+)(?=\s*[,\n]|\s+where|\s+on|$)", r"\1 \3", sql)
        ours = theirs = math.inf
        command = [given.weir, "query", "-q", "-o", "csv", "--threads", str(given.threads)]
        if given.memory_limit:
            command += ["--memory-limit", given.memory_limit]
        for _ in range(given.repeat):
            done, cpu, _ = run(command + [sql])
            ours = min(ours, cpu)
        if done.returncode:
            bad += 1
            print(f"Q{number:02d} weir: {done.stderr.decode()[-600:]}")
            continue
        if given.no_duckdb:
            print(f"Q{number:02d} {ours:.2f}", flush=True)
            continue
        left = list(csv.reader(io.StringIO(done.stdout.decode())))[1:]
        for _ in range(given.repeat):
            done, cpu, _ = run([sys.executable, "-c", DUCKDB, sql, str(given.threads), ""])
            if done.returncode == 0:
                theirs = min(theirs, float(done.stderr.decode().split()[-1]))
        if done.returncode:
            sys.exit(f"Q{number:02d} duckdb: {done.stderr.decode()[-600:]}")
        right = list(csv.reader(io.StringIO(done.stdout.decode())))
        difference = differ(left, right)
        bad += difference is not None
        ratios.append(ours / theirs)
        print(f"Q{number:02d} {'ok  ' if not difference else 'DIFF'} {len(left):6d} rows  "
              f"weir {ours:6.2f} s  duckdb {theirs:6.2f} s  ratio {ours / theirs:5.2f}"
              + (f"  {difference}" if difference else ""), flush=True)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean of ratios {mean:.2f}, largest {max(ratios):.2f}; {bad} wrong")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
