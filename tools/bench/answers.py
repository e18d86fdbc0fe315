"""What a result says, read back by DuckDB: two sides may only be compared when they say the same."""

COLUMNS = (
    "record_id, tenant_id, device_id, hostname, site, os, cpu, memory, disks, software, agent_version,"
    " last_boot, collected_at, tags"
)
# Sums of doubles depend on the order of rows, so hundredths are summed, which are whole numbers.
QUERY = f"""
SELECT count(*) AS records,
       count(DISTINCT record_id) AS distinct_record_ids,
       sum(os.build) AS os_build,
       sum(cpu.cores) AS cpu_cores,
       sum(round(cpu.usage_pct * 100)::BIGINT) AS cpu_usage_pct,
       sum(memory.total_mb) AS memory_total_mb,
       sum(memory.used_mb) AS memory_used_mb,
       sum(len(disks)) AS disks,
       sum(list_sum(list_transform(disks, lambda d: round(d.total_gb * 100)::BIGINT))) AS disks_total_gb,
       sum(list_sum(list_transform(disks, lambda d: round(d.free_gb * 100)::BIGINT))) AS disks_free_gb,
       sum(list_sum(list_transform(disks, lambda d: d.encrypted::INT))) AS disks_encrypted,
       sum(len(software)) AS software,
       sum(cardinality(tags)) AS tags,
       sum(epoch_us(last_boot)) AS last_boot,
       sum(epoch_us(collected_at)) AS collected_at,
       sum(hash({COLUMNS})::HUGEINT) AS every_value
FROM read_parquet(?)
"""


def of_files(paths):
    """{name of the figure: value} of the Parquet files together."""
    import duckdb

    cursor = duckdb.connect(config={"threads": 2}).execute(QUERY, [[str(path) for path in paths]])
    return dict(zip([column[0] for column in cursor.description], map(str, cursor.fetchone())))


def table_files(warehouse):
    """Data files of the table's current snapshot, as the catalog has it and not as the folder happens to look."""
    from pyiceberg.catalog.sql import SqlCatalog

    # Rows of a SQL catalog carry its name; the two sides chose different ones.
    for name in ("weir", "rival"):
        catalog = SqlCatalog(name, uri=f"sqlite:///{warehouse}/catalog.db")
        if catalog.namespace_exists("bronze") and catalog.table_exists("bronze.inventory"):
            tasks = list(catalog.load_table("bronze.inventory").scan().plan_files())
            if any(task.delete_files for task in tasks):
                raise RuntimeError(f"{warehouse}: deletes are not counted here")
            return [task.file.file_path.removeprefix("file://") for task in tasks]
    raise RuntimeError(f"{warehouse}: no table bronze.inventory")


def differences(ours, theirs):
    return [
        f"{name}: {ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name]
    ]
