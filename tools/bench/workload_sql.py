#!/usr/bin/env python3
"""The four queries of the reference workload (tests/sql/workload) beside DuckDB, in one run, one beside the other.

  workload_sql.py WEIR WEIR_GEN FOLDER [--count 1000000] [--threads N] [--memory-limit SIZE] [--repeat N]

FOLDER gets the records of weir-gen as one Parquet file sorted by arrival, and 40 rules. Answers are compared first; Q2 and Q3 are also timed
writing Parquet (zstd). CPU seconds are user + system and the least of the repeats: of Weir the whole process, of DuckDB the statement. Exit 1 when an answer differs.
"""
import argparse, json, os, random, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = """{record_id: 'VARCHAR', tenant_id: 'VARCHAR', device_id: 'VARCHAR', hostname: 'VARCHAR', site: 'VARCHAR',
  os: 'STRUCT(name VARCHAR, version VARCHAR, build INTEGER)', cpu: 'STRUCT(model VARCHAR, cores INTEGER, usage_pct DOUBLE)',
  memory: 'STRUCT(total_mb BIGINT, used_mb BIGINT)', disks: 'STRUCT(mount VARCHAR, total_gb DOUBLE, free_gb DOUBLE, encrypted BOOLEAN)[]',
  software: 'STRUCT(name VARCHAR, version VARCHAR)[]', agent_version: 'VARCHAR', last_boot: 'TIMESTAMPTZ', collected_at: 'TIMESTAMPTZ',
  tags: 'MAP(VARCHAR, VARCHAR)'}"""
DUCKDB = """
import sys, duckdb, resource
sql, threads, memory = sys.argv[1:4]
c = duckdb.connect()
c.execute(f"set threads={threads}; set enable_progress_bar=false; set TimeZone='UTC'; set default_null_order='nulls_last_on_asc_first_on_desc'")
if memory: c.execute(f"set memory_limit='{memory}'")
before = resource.getrusage(resource.RUSAGE_SELF)
c.execute(sql)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def run(command, out):
    child = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
    errors = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]}: {errors[-600:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def prepare(generator, folder, count):
    import duckdb
    os.makedirs(folder, exist_ok=True)
    data, rules = os.path.join(folder, f"inv-{count}.parquet"), os.path.join(folder, "pol.csv")
    if not os.path.exists(data):
        lines = os.path.join(folder, "inv.ndjson")
        with open(lines, "wb") as out:
            subprocess.run([generator, "--count", str(count)], stdout=out, check=True)
        db = duckdb.connect()
        db.execute(f"set TimeZone='UTC'; set enable_progress_bar=false; copy (select * from read_json('{lines}', format='newline_delimited', columns={COLUMNS})) to '{data}' (compression zstd, row_group_size 100000)")
        os.unlink(lines)
    db = duckdb.connect()
    db.execute("set TimeZone='UTC'; set enable_progress_bar=false")
    tenants = [r[0] for r in db.execute(f"select distinct tenant_id from '{data}' order by 1").fetchall()]
    systems = [r[0] for r in db.execute(f"select distinct os.name from '{data}' order by 1").fetchall()]
    dice = random.Random(1)
    with open(rules, "w") as out:
        out.write("policy_id,tenant_id,os_name,min_os_build,max_cpu_pct,min_free_disk_gb,require_encryption,severity\n")
        for n in range(40):
            out.write(f"pol-{n:03},{dice.choice(tenants + [''])},{dice.choice(systems + [''])},{dice.randrange(22000)},{dice.choice([90.0, 95.0, 98.5])},"
                      f"{dice.choice([2.0, 5.0])},{dice.choice(['true', 'false'])},{dice.choice(['low', 'high'])}\n")
    start, tenant = db.execute(f"select strftime(date_trunc('hour', min(collected_at)) + interval 50 hour, '%Y-%m-%d %H:%M:%S+00'), mode(tenant_id) from '{data}'").fetchone()
    end = db.execute(f"select strftime(timestamptz '{start}' + interval 1 hour, '%Y-%m-%d %H:%M:%S+00')").fetchone()[0]
    return data, rules, {"{tenant}": tenant, "{from}": start, "{to}": end}


def answers_differ(ours, theirs):
    """Both as Parquet, as multisets; doubles to 11 digits behind the first."""
    import duckdb
    db = duckdb.connect()
    db.execute("set TimeZone='UTC'; set enable_progress_bar=false")
    about = [db.execute(f"describe select * from '{p}'").fetchall() for p in (ours, theirs)]
    if [c[0] for c in about[0]] != [c[0] for c in about[1]]:
        return "other columns"
    text = ", ".join(f"printf('%.11e', \"{c[0]}\")" if c[1] == "DOUBLE" else f"\"{c[0]}\"::varchar" for c in about[1])
    more, less = (db.execute(f"select count(*) from (select {text} from '{a}' except all select {text} from '{b}')").fetchone()[0] for a, b in ((ours, theirs), (theirs, ours)))
    return f"{more} rows that DuckDB has not, {less} that only it has" if more or less else ""


def main():
    options = argparse.ArgumentParser()
    options.add_argument("weir")
    options.add_argument("generator")
    options.add_argument("folder")
    options.add_argument("--count", type=int, default=1000000)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--memory-limit", default="")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    # in a process of its own, so that children do not start with its memory
    made = subprocess.run([sys.executable, "-c", f"import sys, json; sys.path.insert(0, {HERE!r}); import workload_sql; "
                           f"print(json.dumps(workload_sql.prepare({given.generator!r}, {given.folder!r}, {given.count})))"], capture_output=True, text=True)
    if made.returncode:
        sys.exit(made.stderr)
    data, rules, words = json.loads(made.stdout)
    bad = 0
    for number in range(1, 5):
        sql = open(os.path.join(HERE, f"../../tests/sql/workload/q{number}.sql")).read()
        for word, value in words.items():
            sql = sql.replace(word, value)
        sql = sql.replace("from inv", f"from '{data}' inv").replace("join pol p", f"join '{rules}' p")
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as place:
            mine, other = os.path.join(place, "weir.parquet"), os.path.join(place, "duckdb.parquet")
            for _ in range(given.repeat):
                with open(mine, "wb") as out:
                    ours.append(run([given.weir, "query", "-q", "-o", "parquet", "--threads", str(given.threads)]
                                    + (["--memory-limit", given.memory_limit] if given.memory_limit else []) + [sql], out))
                with tempfile.TemporaryFile() as out:
                    peak = run([sys.executable, "-c", DUCKDB, f"copy ({sql}) to '{other}' (compression zstd)", str(given.threads), given.memory_limit], out)[1]
                    out.seek(0)
                    theirs.append((float(out.read()), peak))
            checked = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {HERE!r}); import workload_sql; print(workload_sql.answers_differ({mine!r}, {other!r}))"],
                                     capture_output=True, text=True)
        difference = checked.stdout.strip() or checked.stderr[-300:]
        bad += bool(difference)
        a, b = min(ours)[0], min(theirs)[0]
        print(f"Q{number} {'DIFF' if difference else 'ok  '} weir {a:6.2f} s {max(p for _, p in ours):5.0f} MiB  duckdb {b:6.2f} s {max(p for _, p in theirs):5.0f} MiB  ratio {a / b:5.2f}  {difference}", flush=True)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
