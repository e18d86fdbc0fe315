"""The bytes that promoting a small window reads and writes, beside making the table anew: the program's own counters.

usage: 86_promote_cost.py [--count ROWS] [--late SHARE]    bronze rows in place; the window is a thousandth of them. A million, ten in the long form."""
import argparse, datetime, json, os, random, shutil, subprocess, sys, tempfile
from pathlib import Path

WEIR, FULL = os.environ["WEIR"], bool(os.environ.get("WEIR_FULL"))
PARTS, DAYS = 20, 7
PIPELINE = """version: 1
name: cost
lake: {warehouse: ./lake}
sources: {inventory: {files: in/*.ndjson}}
tables:
  bronze.inventory:
    source: inventory
    partition_by: [days(collected_at)]
    columns:
      record_id: string required
      tenant_id: string required
      device_id: string required
      site: string
      collected_at: timestamptz required
      usage: double
      free_gb: double
  silver.device: {sql: models/device.sql, mode: merge, unique_key: [device_id], order_by: [collected_at desc, record_id desc]}
  gold.site_hourly: {sql: models/site_hourly.sql, mode: recompute, group_by: [tenant_id, site, hour], partition_by: [days(hour)]}
"""
MODELS = {
    "device": "SELECT device_id, tenant_id, site, record_id, collected_at, usage, free_gb FROM bronze.inventory",
    "site_hourly": "SELECT tenant_id, site, date_trunc('hour', collected_at) AS hour, count(*) AS n, avg(usage) AS usage, min(free_gb) AS free_gb\n"
                   "FROM bronze.inventory GROUP BY 1, 2, 3",
}


def weir(folder, *arguments):
    done = subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml"), "-o", "json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"FAIL weir {' '.join(arguments)}: {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def window(folder, part, first, last, rows, late=0.0):
    """Records of a week, from a device for each thousand of them; a share of the last window is up to three days late."""
    dice, start, devices = random.Random(part), datetime.datetime(2025, 11, 1, tzinfo=datetime.timezone.utc), max(rows // 1000, 1)
    with (folder / "in" / f"{part:04}.ndjson").open("w") as out:
        for number in range(first, last):
            device = number * 7919 % devices
            behind = dice.random() * 3 * 86400 if late and dice.random() < late else 0
            at = (start + datetime.timedelta(seconds=number * DAYS * 86400 / rows - behind)).isoformat()
            out.write(f'{{"record_id":"{number:08}","tenant_id":"t{device % 3}","device_id":"d{device}","site":"s{device % 5}","collected_at":"{at}","usage":{dice.randrange(10000) / 100},"free_gb":{dice.randrange(100000) / 100}}}\n')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000_000 if FULL else 1_000_000, metavar="ROWS")
    parser.add_argument("--late", type=float, default=0.0, metavar="SHARE", help="of the window's rows; each corrects an hour of up to three days ago")
    options = parser.parse_args()
    rows = options.count
    folder, bad = Path(tempfile.mkdtemp(prefix="weir-cost.")), 0
    for name in ("in", "models"):
        (folder / name).mkdir()
    (folder / "weir.yaml").write_text(PIPELINE)
    for name, sql in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(sql + "\n")
    try:
        for part in range(PARTS):
            window(folder, part, rows * part // PARTS, rows * (part + 1) // PARTS, rows)
        weir(folder, "run")
        window(folder, PARTS, rows, rows + rows // 1000, rows, options.late)
        tables = {t["table"]: t for t in weir(folder, "run")["tables"]}
        for table in ("silver.device", "gold.site_hourly"):
            whole = weir(folder, "promote", table, "--rebuild")
            small, large = (t["bytes_read"] + t["bytes_written"] for t in (tables[table], whole))
            good = small < 0.02 * large
            bad += not good
            print(f"{'ok' if good else 'FAIL'} {table}: a window of {rows // 1000} rows over {rows}: {small} bytes of {large} ({100 * small / large:.2f} %)", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return bad > 0


sys.exit(main())
