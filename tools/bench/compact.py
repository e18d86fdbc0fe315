"""Compaction beside DuckDB's COPY: 200 files of 5,000 records into one, zstd; CPU seconds, medians of turns that alternate.

    WEIR=build/tools/weir/weir WEIR_GEN=build/tools/gen/weir-gen python tools/bench/compact.py [--files 200] [--rows 5000] [--turns 5] [--threads 2]

Weir: `weir maintain TABLE compact` on a lake of so many windows: plan, rows in LZ4 to rows in zstd with row hash, each new file read back, manifests, receipt, commit.
DuckDB: COPY of the same files into one Parquet file, and no commit. CPU is user and system time of the process, interpreter start included. Both begin with a
copy of the same lake, in the page cache. After each turn DuckDB compares count and sum of hashes of every value of both results. Prints a table and JSON."""
import argparse, json, os, resource, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

WEIR, GEN = os.environ["WEIR"], os.environ["WEIR_GEN"]
COPY = """
import duckdb, sys
c = duckdb.connect(config={"threads": int(sys.argv[3])})
c.execute(f"COPY (SELECT * FROM read_parquet('{sys.argv[1]}/*.parquet')) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)")
"""
SUM = "SELECT count(*), sum(hash({columns})) FROM read_parquet('{path}')"


def cost(*command, **environment):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        sys.exit(f"{command}: {run.stderr}")
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall": time.monotonic() - began}


def make(top, files, rows, threads):
    (top / "in").mkdir()
    sample = subprocess.run([GEN, "--count", "500"], capture_output=True, check=True).stdout
    (top / "sample.ndjson").write_bytes(sample)
    subprocess.run([WEIR, "init", "--from", str(top / "sample.ndjson"), str(top)], check=True, stdout=subprocess.DEVNULL)
    text = (top / "weir.yaml").read_text()
    text = "\n".join(f"    files: {top}/in/*.ndjson" if line.strip().startswith("files:") else line for line in text.splitlines())
    (top / "weir.yaml").write_text(text + f"\nrun: {{threads: {threads}}}\n")
    for n in range(files):
        with open(top / "in" / f"{n:05}.ndjson", "wb") as to:
            subprocess.run([GEN, "--first", str(n * rows), "--count", str(rows)], stdout=to, check=True)
        subprocess.run([WEIR, "run", "-q", "-p", str(top / "weir.yaml")], check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(top / "lake", top / "kept")
    return top / "lake/bronze/sample/data"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    import duckdb
    top = Path(tempfile.mkdtemp(prefix="weir-bench-compact."))
    data, turns = make(top, options.files, options.rows, options.threads), []
    small = sorted(path.name for path in data.iterdir())
    judge = duckdb.connect()
    columns = ", ".join(f'"{row[0]}"' for row in judge.execute(f"DESCRIBE SELECT * FROM read_parquet('{data}/{small[0]}')").fetchall())
    for _ in range(options.turns):
        shutil.rmtree(top / "lake")
        shutil.copytree(top / "kept", top / "lake")
        turn = {"DuckDB": cost(sys.executable, "-c", COPY, str(data), str(top / "rival.parquet"), str(options.threads)),
                "Weir": cost(WEIR, "maintain", "bronze.sample", "compact", "-p", str(top / "weir.yaml"))}
        made = [path for path in data.iterdir() if path.name not in small]
        sums = [judge.execute(SUM.format(columns=columns, path=path)).fetchall()[0] for path in (made[0], top / "rival.parquet")]
        if len(made) != 1 or sums[0] != sums[1] or sums[0][0] != options.files * options.rows:
            sys.exit(f"the results differ: {len(made)} files, {sums}")
        turn["Weir"]["MB"], turn["DuckDB"]["MB"] = made[0].stat().st_size / 1e6, (top / "rival.parquet").stat().st_size / 1e6
        turns.append(turn)
    median = {side: {key: statistics.median(turn[side][key] for turn in turns) for key in ("cpu", "wall", "MB")} for side in ("Weir", "DuckDB")}
    print(f"{options.files} files of {options.rows} rows into one, zstd, {options.threads} threads, median of {options.turns}; DuckDB {duckdb.__version__}")
    for side, row in median.items():
        spread = sorted(turn[side]["cpu"] for turn in turns)
        print(f"  {side:8} CPU {row['cpu']:.2f} s ({spread[0]:.2f}-{spread[-1]:.2f})  wall {row['wall']:.2f} s  {row['MB']:.1f} MB written")
    print(f"  Weir's CPU over DuckDB's: {median['Weir']['cpu'] / median['DuckDB']['cpu']:.2f}")
    print(json.dumps({"median": median, "turns": turns}))
    shutil.rmtree(top, ignore_errors=True)


main()
