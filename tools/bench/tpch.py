#!/usr/bin/env python3
"""The 22 queries of TPC-H: Weir's answers against DuckDB's, and both timed in one run.

  tpch.py WEIR DATA [--iceberg FOLDER] [--queries 1,9] [--threads N] [--memory-limit SIZE] [--repeat N] [--no-duckdb]

DATA holds the eight tables as NAME.parquet (tpchgen-cli parquet -s 1). --iceberg: Weir reads them as Iceberg tables that pyiceberg wrote into
FOLDER (made at first use; lineitem and orders in several files), DuckDB the Parquet files. Answers are equal: exact, doubles
within 1e-12. CPU seconds are user + sys, the least of the repeats: of Weir the whole process, start and
footers included; of DuckDB the statement alone, without Python's start. Peak memory is the process's. Prints one line a query and the geometric mean; exit 1 when an answer differs.
"""
import argparse, csv, io, math, os, re, subprocess, sys, tempfile

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
    """Output, errors, exit code, CPU seconds and peak MiB of one child."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        return out.read().decode(), errors.read().decode(), child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def make_lake(data, folder):
    """The tables as Iceberg tables of pyiceberg's in a lake that the pipeline file names."""
    pipeline = os.path.join(folder, "weir.yaml")
    if os.path.exists(pipeline):
        return pipeline
    import pyarrow.parquet
    from pyiceberg.catalog.sql import SqlCatalog
    os.makedirs(os.path.join(folder, "lake"), exist_ok=True)
    place = os.path.abspath(os.path.join(folder, "lake"))
    catalog = SqlCatalog("weir", uri=f"sqlite:///{place}/catalog.db", warehouse=f"file://{place}")
    catalog.create_namespace("bronze")
    for name in TABLES:
        source = pyarrow.parquet.ParquetFile(os.path.join(data, name + ".parquet"))
        table = catalog.create_table(f"bronze.{name}", schema=source.schema_arrow)
        groups = range(source.num_row_groups)
        for part in range(4 if name in ("lineitem", "orders") else 1):
            parts = [g for g in groups if name not in ("lineitem", "orders") or g * 4 // len(groups) == part]
            table.append(source.read_row_groups(parts))
    with open(pipeline, "w") as out:
        out.write("version: 1\nname: tpch\nlake: {warehouse: ./lake}\nsources:\n  none: {files: none.ndjson}\n"
                  "tables:\n  bronze.none: {source: none, columns: {a: int}}\n")
    return pipeline


def named(sql, place):
    """The statement with each table's name replaced."""
    for table in TABLES:
        path = place(table)
        sql = re.sub(rf"((?:from|join|,)\s+){table}\b(?=\s|,|$)", rf"\1{path} {table}", sql, flags=re.M)
        sql = re.sub(rf"({re.escape(path)}) {table}( as)? (?!where|group|order|on|left|join|inner)(\w+)(?=\s*[,\n]|\s+where|\s+on|$)", r"\1 \3", sql)
    return sql


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
    options.add_argument("--iceberg", default="")
    options.add_argument("--no-duckdb", action="store_true")
    given = options.parse_args()
    ratios, bad = [], 0
    lake = make_lake(given.data, given.iceberg) if given.iceberg else None
    command = [given.weir, "query", "-q", "-o", "csv", "--threads", str(given.threads)]
    command += ["--memory-limit", given.memory_limit] if given.memory_limit else []
    command += ["-p", lake] if lake else []
    for number in map(int, given.queries.split(",")):
        text = open(f"{given.sql}/q{number:02d}.sql").read()
        files = named(text, lambda table: f"'{given.data}/{table}.parquet'")
        sql = named(text, lambda table: f"bronze.{table}") if lake else files
        ours, theirs = [], []
        for _ in range(given.repeat):  # one beside the other, so that a noisy hour hits both
            out, errors, code, cpu, peak = run(command + [sql])
            ours.append((cpu, peak))
            if code or given.no_duckdb:
                continue
            rows, told, failed, _, memory = run([sys.executable, "-c", DUCKDB, files, str(given.threads), ""])
            if failed:
                sys.exit(f"Q{number:02d} duckdb: {told[-600:]}")
            theirs.append((float(told.split()[-1]), memory))
        if code:
            bad += 1
            print(f"Q{number:02d} weir: {errors[-600:]}", flush=True)
            continue
        if given.no_duckdb:
            print(f"Q{number:02d} {min(ours)[0]:.2f} s {max(peak for _, peak in ours):.0f} MiB", flush=True)
            continue
        left, right = list(csv.reader(io.StringIO(out)))[1:], list(csv.reader(io.StringIO(rows)))
        difference = differ(left, right)
        bad += difference is not None
        ratios.append(min(ours)[0] / min(theirs)[0])
        print(f"Q{number:02d} {'ok  ' if not difference else 'DIFF'} {len(left):6d} rows  weir {min(ours)[0]:6.2f} s {max(p for _, p in ours):5.0f} MiB  "
              f"duckdb {min(theirs)[0]:6.2f} s {max(p for _, p in theirs):5.0f} MiB  ratio {ratios[-1]:5.2f}" + (f"  {difference}" if difference else ""), flush=True)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean of ratios {mean:.2f}, largest {max(ratios):.2f}; {bad} wrong")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
