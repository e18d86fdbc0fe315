"""Seeds for parquet_fuzz: FOLDER gets small files of every encoding, codec and nesting that pyarrow and DuckDB write."""

import datetime
import decimal
import pathlib
import sys

import duckdb
import pyarrow
import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rows = range(24)
time = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
columns = {
    "int": pyarrow.array([None if i % 7 == 3 else i * i for i in rows], pyarrow.int32()),
    "long": pyarrow.array([i << 40 for i in rows], pyarrow.int64()),
    "small": pyarrow.array(list(rows), pyarrow.uint8()),
    "unsigned": pyarrow.array([i << 59 for i in rows], pyarrow.uint64()),
    "float": pyarrow.array([i / 3 for i in rows], pyarrow.float32()),
    "double": pyarrow.array([None if i == 5 else float("nan") if i == 6 else -i / 7 for i in rows], pyarrow.float64()),
    "half": pyarrow.array(list(map(float, rows)), pyarrow.float32()).cast(pyarrow.float16()),
    "boolean": pyarrow.array([None if i == 9 else i % 3 == 0 for i in rows], pyarrow.bool_()),
    "text": pyarrow.array([None if i == 4 else f"text {i // 5}" for i in rows], pyarrow.string()),
    "bytes": pyarrow.array([bytes([i] * (i % 5)) for i in rows], pyarrow.binary()),
    "fixed": pyarrow.array([bytes([i] * 16) for i in rows], pyarrow.binary(16)),
    "decimal": pyarrow.array([decimal.Decimal(i * 7919) / 100 for i in rows], pyarrow.decimal128(9, 2)),
    "wide": pyarrow.array([-decimal.Decimal(10) ** i for i in rows], pyarrow.decimal128(38, 4)),
    "date": pyarrow.array([datetime.date(2026, 1, 1 + i) for i in rows], pyarrow.date32()),
    "time": pyarrow.array([i * 1000 for i in rows], pyarrow.time32("ms")),
    "micros": pyarrow.array([time + datetime.timedelta(hours=i) for i in rows], pyarrow.timestamp("us", "UTC")),
    "nanos": pyarrow.array([i - 5 for i in rows], pyarrow.timestamp("ns")),
    "list": pyarrow.array([None if i == 2 else [None if j == 1 else j for j in range(i % 4)] for i in rows], pyarrow.list_(pyarrow.int32())),
    "lists": pyarrow.array([[["a"] * (j % 3) for j in range(i % 4)] for i in rows], pyarrow.list_(pyarrow.list_(pyarrow.string()))),
    "struct": pyarrow.array(
        [None if i == 3 else {"a": i, "b": None if i % 2 else {"c": str(i)}} for i in rows],
        pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.struct([("c", pyarrow.string())]))]),
    ),
    "map": pyarrow.array([[(f"k{j}", j / 2) for j in range(i % 3)] for i in rows], pyarrow.map_(pyarrow.string(), pyarrow.float64())),
    "objects": pyarrow.array(
        [[{"x": j, "y": ["z"] * j} for j in range(i % 3)] for i in rows],
        pyarrow.list_(pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.list_(pyarrow.string()))])),
    ),
}
encodings = ["PLAIN", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT", "RLE", None]
codecs = ["NONE", "SNAPPY", "GZIP", "ZSTD", "LZ4"]
count = 0


def write(table, **options):
    """One file more; a combination that the writer does not know is left out."""
    global count
    path = folder / f"{count:03}.parquet"
    try:
        pyarrow.parquet.write_table(table, path, store_schema=False, **options)
        count += 1
    except (pyarrow.ArrowException, OSError):
        path.unlink(missing_ok=True)


for name, column in columns.items():
    table = pyarrow.table({name: column})
    for encoding in encodings:
        write(
            table,
            compression=codecs[count % 5],
            use_dictionary=encoding is None,
            column_encoding=encoding,
            data_page_version="2.0" if count % 2 else "1.0",
            data_page_size=40 if count % 3 else 1 << 20,
            write_batch_size=6,
            row_group_size=24 if count % 4 else 9,
            write_page_index=count % 3 != 2,
            version="2.6",
        )
for old in (True, False):  # INT96; lists of two levels; two columns, one of them for the filter
    some = pyarrow.table({name: columns[name] for name in ("int", "text", "list")})
    write(pyarrow.table({"nanos": columns["nanos"], "int": columns["int"]}), use_deprecated_int96_timestamps=old, compression="NONE")
    write(some, use_compliant_nested_type=old, compression="NONE", data_page_size=60, write_batch_size=5, write_page_index=True)
connection = duckdb.connect()
for version in ("V1", "V2"):  # bloom filters come with its dictionaries
    path = folder / f"duck{version}.parquet"
    rows_of = "SELECT i % 5 AS a, 'n' || i % 4 AS b, i * 1.5 AS c FROM range(40) t(i)"
    connection.execute(f"COPY ({rows_of}) TO '{path}' (FORMAT parquet, PARQUET_VERSION {version}, COMPRESSION uncompressed)")
