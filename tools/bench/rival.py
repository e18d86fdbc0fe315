"""The rivals, each the shortest program that does the work well.

usage: rival.py file  SOURCE.ndjson TARGET.parquet THREADS CODEC      one Parquet file, no table
       rival.py kafka BROKERS TOPIC WAREHOUSE THREADS CODEC           what is new -> Parquet -> an Iceberg commit

The second keeps the offsets in the snapshot's summary and starts where that ends: kcat reads, DuckDB parses and writes
Parquet, pyiceberg adds the file. Nothing is imported before it is needed: a run with nothing to do is measured too.
"""

import json
import os
import subprocess
import sys
import uuid

COLUMNS = """{
  record_id: 'VARCHAR', tenant_id: 'VARCHAR', device_id: 'VARCHAR', hostname: 'VARCHAR', site: 'VARCHAR',
  os: 'STRUCT(name VARCHAR, version VARCHAR, build INTEGER)',
  cpu: 'STRUCT(model VARCHAR, cores INTEGER, usage_pct DOUBLE)',
  memory: 'STRUCT(total_mb BIGINT, used_mb BIGINT)',
  disks: 'STRUCT(mount VARCHAR, total_gb DOUBLE, free_gb DOUBLE, encrypted BOOLEAN)[]',
  software: 'STRUCT(name VARCHAR, version VARCHAR)[]',
  agent_version: 'VARCHAR', last_boot: 'TIMESTAMPTZ', collected_at: 'TIMESTAMPTZ', tags: 'MAP(VARCHAR, VARCHAR)'}"""
CODECS = {"zstd(3)": "COMPRESSION zstd, COMPRESSION_LEVEL 3", "lz4_raw": "COMPRESSION lz4_raw"}


def to_parquet(source, target, threads, codec):
    """Rows written."""
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    connection.execute("SET TimeZone = 'UTC'")
    return connection.execute(
        f"""COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', columns = {COLUMNS}))
        TO '{target}' (FORMAT parquet, {CODECS[codec]})"""
    ).fetchone()[0]


def topic_ends(brokers, topic):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "rival"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
        for number in partitions
    }
    consumer.close()
    return ends


def kcat(brokers, topic, ranges):
    """(process, file descriptor) of one record a line, partition after partition."""
    command = "; ".join(
        f"kcat -C -q -b {brokers} -t {topic} -p {partition} -o {first} -c {count} -f '%s\\n'"
        " -X fetch.wait.max.ms=5 -X fetch.message.max.bytes=8388608"
        for partition, (first, count) in ranges.items()
    )
    ours, theirs = os.pipe()
    process = subprocess.Popen(["sh", "-c", "set -e; " + command], stdout=theirs)
    os.close(theirs)
    return process, ours


def from_kafka(brokers, topic, warehouse, threads, codec):
    from pyiceberg.catalog.sql import SqlCatalog

    os.makedirs(warehouse, exist_ok=True)
    catalog = SqlCatalog(
        "rival", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=f"file://{warehouse}"
    )
    catalog.create_namespace_if_not_exists("bronze")
    table, starts = None, {}
    if catalog.table_exists("bronze.inventory"):
        table = catalog.load_table("bronze.inventory")
        starts = json.loads(table.current_snapshot().summary["kafka.offsets"])
    ends = topic_ends(brokers, topic)
    ranges = {
        number: (starts.get(str(number), 0), end - starts.get(str(number), 0))
        for number, end in ends.items()
        if end > starts.get(str(number), 0)
    }
    if not ranges:
        return
    process, pipe = kcat(brokers, topic, ranges)
    target = f"{warehouse}/{uuid.uuid4()}.parquet"
    rows = to_parquet(f"/dev/fd/{pipe}", target, threads, codec)
    wanted = sum(count for _, count in ranges.values())
    if process.wait() != 0 or rows != wanted:
        sys.exit(f"rival: {rows} rows of {wanted}, kcat ended with {process.returncode}")
    if table is None:
        import pyarrow.parquet

        table = catalog.create_table("bronze.inventory", pyarrow.parquet.read_schema(target))
    table.add_files([target], snapshot_properties={"kafka.offsets": json.dumps(ends)})


def main():
    kind, *words = sys.argv[1:]
    if kind == "file":
        source, target, threads, codec = words
        to_parquet(source, target, int(threads), codec)
    else:
        brokers, topic, warehouse, threads, codec = words
        from_kafka(brokers, topic, warehouse, int(threads), codec)


if __name__ == "__main__":
    main()
