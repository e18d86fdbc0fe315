"""Reads what the Parquet writer wrote with pyarrow, DuckDB and Polars, and compares every value with the rows as text.

usage: parquet_check.py PARQUET_SAMPLE   (the program built from parquet_sample.c)
"""
import decimal
import json
import math
import struct
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCALES = {"decimal9": 2, "decimal18": 3, "decimal38": 10}


def canonical(value, kind):
    """A pyarrow value in the form that sample_print writes."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return [canonical(value[kind.field(i).name], kind.field(i).type) for i in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [[canonical(k, kind.key_type), canonical(v, kind.item_type)] for k, v in value]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [canonical(v, kind.value_type) for v in value]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return value.encode().hex()
    if isinstance(value, uuid.UUID):
        return value.bytes.hex()
    if isinstance(value, bytes):
        return value.hex()
    if pa.types.is_float32(kind):
        return struct.pack("<f", value).hex()
    if pa.types.is_float64(kind):
        return struct.pack("<d", value).hex()
    if pa.types.is_decimal(kind):
        return decimal.Decimal(value)
    return value


def plain_times(kind):
    """The same type with times as integers, which say exactly what they hold."""
    if pa.types.is_struct(kind):
        return pa.struct([kind.field(i).with_type(plain_times(kind.field(i).type)) for i in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(plain_times(kind.key_type), plain_times(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain_times(kind.value_type)))
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return pa.int64()
    if pa.types.is_date32(kind):
        return pa.int32()
    return kind


def same(got, want):
    if isinstance(got, list):
        return isinstance(want, list) and len(got) == len(want) and all(same(a, b) for a, b in zip(got, want))
    if isinstance(got, decimal.Decimal):
        return got == decimal.Decimal(want)
    return got == want and type(got) is type(want)


def check_pyarrow(path, rows):
    file = pq.ParquetFile(path, page_checksum_verification=True)
    table = file.read()
    assert table.num_rows == len(rows), (table.num_rows, len(rows))
    for index, column in enumerate(table.column_names):
        data = table.column(column)
        if isinstance(data.type, pa.BaseExtensionType):
            data = pa.chunked_array([c.storage for c in data.chunks], data.type.storage_type)
        data = data.cast(plain_times(data.type)) if not nested(data.type) else cast_nested(data)
        for at, value in enumerate(data.to_pylist()):
            got = canonical(value, data.type)
            assert same(got, rows[at][index]), f"{column}[{at}]: got {got!r}, want {rows[at][index]!r}"
    return file


def nested(kind):
    return pa.types.is_nested(kind)


def cast_nested(data):
    """pyarrow does not cast maps deep down: rebuild from the buffers, which are the same bytes."""
    target = plain_times(data.type)
    if target == data.type:
        return data
    return pa.chunked_array([view(chunk, target) for chunk in data.chunks], target)


def view(array, target):
    if pa.types.is_map(array.type):
        keys, items = view(array.keys, target.key_type), view(array.items, target.item_type)
        # offsets of nulls must be null for from_arrays
        offsets = pa.array([o if ok else None for o, ok in zip(array.offsets.to_pylist(), array.is_valid().to_pylist() + [True])], pa.int32())
        return pa.MapArray.from_arrays(offsets, keys, items)
    if pa.types.is_list(array.type):
        offsets = pa.array([o if ok else None for o, ok in zip(array.offsets.to_pylist(), array.is_valid().to_pylist() + [True])], pa.int32())
        return pa.ListArray.from_arrays(offsets, view(array.values, target.value_type), type=target)
    if pa.types.is_struct(array.type):
        return pa.StructArray.from_arrays([view(array.field(i), target.field(i).type) for i in range(target.num_fields)],
                                          fields=list(target), mask=array.is_null())
    return array.cast(target)


def check_schema(file):
    """Field ids on every node that has one."""
    ids = set()

    def walk(field):
        ids.add(int(field.metadata[b"PARQUET:field_id"]))
        for i in range(field.type.num_fields):
            child = field.type.field(i)
            if pa.types.is_map(field.type):
                for below in (field.type.key_field, field.type.item_field):
                    walk(below)
                break
            walk(child)

    for field in file.schema_arrow:
        walk(field)
    want = set(range(1, 19)) | {101, 102, 103, 104} | set(range(200, 220))
    assert ids == want, ids ^ want


def check_metadata(file, rows):
    meta = file.metadata
    names = [meta.schema.column(i).path for i in range(meta.num_columns)]
    at = 0
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        part = rows[at:at + group.num_rows]
        at += group.num_rows
        for c in range(18):
            chunk = group.column(c)
            statistics = chunk.statistics
            values = [row[c] for row in part if row[c] is not None]
            assert statistics.null_count == len(part) - len(values), names[c]
            assert chunk.has_offset_index, names[c]
            if names[c] == "binary":
                assert not statistics.has_min_max and not chunk.has_column_index
            elif names[c] == "float":
                numbers = [struct.unpack("<f", bytes.fromhex(v))[0] for v in values]
                numbers = [v for v in numbers if not math.isnan(v)]
                assert not numbers or (statistics.min, statistics.max) == (min(numbers), max(numbers))
            elif names[c] in ("int", "long", "counter") and values:
                assert (statistics.min, statistics.max) == (min(values), max(values)), names[c]
            elif names[c] == "string" and values:
                texts = [bytes.fromhex(v) for v in values]
                assert (statistics.min.encode(), statistics.max.encode()) == (min(texts), max(texts))
            elif names[c] in SCALES and values:
                numbers = [decimal.Decimal(v) for v in values]
                assert (statistics.min, statistics.max) == (min(numbers), max(numbers)), names[c]
        blooms = [names[c] for c in range(meta.num_columns) if group.column(c).bloom_filter_offset] if hasattr(group.column(0), "bloom_filter_offset") else None
        assert blooms is None or group.num_rows < 100 or set(blooms) == {"long", "string", "uuid"}, blooms


def check_duckdb(path, rows):
    import duckdb
    db = duckdb.connect()
    count, longs, ints, texts, sizes = db.sql(
        f"select count(*), sum(long::hugeint), sum(int), count(string), sum(len(list)) from '{path}'").fetchall()[0]
    assert count == len(rows)
    if rows:
        assert longs == sum(r[2] for r in rows) and texts == sum(r[12] is not None for r in rows)
        assert (sizes or 0) == sum(len(r[19]) for r in rows if r[19] is not None)
        wanted = rows[len(rows) // 2]
        assert db.sql(f"select count(*) from '{path}' where long = {wanted[2]}").fetchall()[0][0] == sum(r[2] == wanted[2] for r in rows)
        text = "device-17"
        assert db.sql(f"select count(*) from '{path}' where string = '{text}'").fetchall()[0][0] == sum(r[12] == text.encode().hex() for r in rows)
        assert db.sql(f"select count(*) from '{path}' where string = 'not there'").fetchall()[0][0] == 0
    # timestamptz would need pytz, so the values compared one by one are those of other types
    columns = db.sql(f"select string, list, list_list, cardinality(map_deep) from '{path}'").fetchall()
    for at, (text, numbers, deep, size) in enumerate(columns):
        assert (None if text is None else text.encode().hex()) == rows[at][12], at
        assert numbers == rows[at][19] and deep == rows[at][22], at
        assert size == (None if rows[at][23] is None else len(rows[at][23])), at


def check_polars(path, rows):
    import polars as pl
    frame = pl.read_parquet(path, columns=["int", "long", "string", "list", "list_list", "struct"])
    assert frame.height == len(rows)
    assert frame["long"].to_list() == [r[2] for r in rows]
    assert frame["list"].to_list() == [r[19] for r in rows]
    assert frame["list_list"].to_list() == [r[22] for r in rows]
    assert [None if v is None else v["a"] for v in frame["struct"].to_list()] == [None if r[18] is None else r[18][0] for r in rows]
    if rows:
        assert pl.scan_parquet(path).filter(pl.col("counter") == 5000007).collect().height == sum(r[17] == 5000007 for r in rows)


FOREIGN = [
    {"compression": "snappy"},
    {"compression": "zstd", "data_page_version": "2.0", "use_dictionary": False},
    {"compression": "lz4", "use_dictionary": False, "data_page_size": 500, "write_page_checksum": True},
    {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 500},
    {"compression": "none", "use_dictionary": False, "column_encoding": {
        "int": "DELTA_BINARY_PACKED", "long": "DELTA_BINARY_PACKED", "counter": "DELTA_BINARY_PACKED", "string": "DELTA_LENGTH_BYTE_ARRAY",
        "binary": "DELTA_BYTE_ARRAY", "double": "BYTE_STREAM_SPLIT", "float": "BYTE_STREAM_SPLIT", "boolean": "RLE",
        "date": "BYTE_STREAM_SPLIT", "decimal38": "BYTE_STREAM_SPLIT", "fixed5": "DELTA_BYTE_ARRAY"}},
]


def check_reading(program, path, rows, folder):
    """Files that pyarrow makes of the same rows, in every encoding it has, are read as the same rows."""
    table = pq.read_table(path)
    for number, options in enumerate(FOREIGN):
        foreign = Path(folder) / f"foreign{number}.parquet"
        pq.write_table(table, foreign, **options)
        done = subprocess.run([program, "read", foreign], check=True, capture_output=True, text=True)
        assert [json.loads(line) for line in done.stdout.splitlines()] == rows, options


def main():
    program = sys.argv[1]
    number = 0
    for codec in range(5):
        for count, group, page in [(0, 0, 0), (1, 0, 0), (3000, 0, 0), (2500, 100000, 2000)] + ([(45000, 4 << 20, 0)] if codec == 2 else []):
            number += 1
            with tempfile.TemporaryDirectory() as folder:
                path, text = Path(folder) / "sample.parquet", Path(folder) / "rows.text"
                done = subprocess.run([program, path, text, str(count), str(number), str(codec), str(group), str(page)],
                                      check=True, capture_output=True, text=True)
                rows = [json.loads(line) for line in text.open()]
                file = check_pyarrow(path, rows)
                check_schema(file)
                check_metadata(file, rows)
                check_duckdb(path, rows)
                check_polars(path, rows)
                check_reading(program, path, rows, folder)
                print(f"ok {number} - codec {codec}, {done.stdout.strip()}")
    print(f"1..{number}")


if __name__ == "__main__":
    main()
