"""Parquet files by pyarrow, DuckDB and Polars in every shape they can write; the scan reader must give what pyarrow reads.

usage: parquet_read.py PARQUET_ROWS [SEED]   (the program built from parquet_rows.c)

Values are compared one by one: whole, in small batches, with a filter that makes columns come late, and with deleted rows.
"""
import datetime
import decimal
import itertools
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime.date(1970, 1, 1)


def times(array):
    """Times as integers of microseconds, whatever their unit: nanoseconds are cut towards the past."""
    kind = array.type
    if pa.types.is_time32(kind) or pa.types.is_time64(kind) or pa.types.is_timestamp(kind):
        factor = {"s": 1000000, "ms": 1000, "us": 1}.get(kind.unit)
        numbers = array.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64()).to_pylist()
        return [None if v is None else v * factor if factor else v // 1000 for v in numbers]
    return None


def number(value, kind):
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return struct.pack("<f", float(value)).hex()
    if pa.types.is_float64(kind):
        return struct.pack("<d", value).hex()
    return value


def rows_of(array):
    """An array's values in the form that sample_print writes."""
    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], kind)
    if pa.types.is_dictionary(kind):
        return rows_of(array.dictionary_decode())
    if isinstance(array, pa.ExtensionArray):
        return rows_of(array.storage)
    whole = times(array)
    if whole is not None:
        return whole
    valid = array.is_valid().to_pylist()
    if pa.types.is_struct(kind):
        columns = [rows_of(array.field(i)) for i in range(kind.num_fields)]
        return [list(row) if there else None for row, there in zip(zip(*columns), valid)]
    if pa.types.is_map(kind):
        keys, items, ends = rows_of(array.keys), rows_of(array.items), array.offsets.to_pylist()
        return [[[keys[i], items[i]] for i in range(ends[r] - ends[0], ends[r + 1] - ends[0])] if there else None for r, there in enumerate(valid)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        values, ends = rows_of(array.values), array.offsets.to_pylist()
        return [values[ends[r]:ends[r + 1]] if there else None for r, there in enumerate(valid)]
    if pa.types.is_fixed_size_list(kind):
        return [None if v is None else list(v) for v in array.to_pylist()]
    plain = array.to_pylist()
    if pa.types.is_date32(kind):
        return [None if v is None else (v - EPOCH).days for v in plain]
    if pa.types.is_decimal(kind) or pa.types.is_uint64(kind):
        return [None if v is None else decimal.Decimal(v) for v in plain]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [None if v is None else v.encode().hex() for v in plain]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if v is None else v.hex() for v in plain]
    return [None if v is None else number(v, kind) for v in plain]


def same(a, b):
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, decimal.Decimal):
        return a is not None and decimal.Decimal(a) == b
    return a == b


def check(program, path, what, table=None):
    table = pq.read_table(path, use_threads=False) if table is None else table
    columns = [rows_of(table.column(i)) for i in range(table.num_columns)]
    want = [list(row) + [at] for at, row in enumerate(zip(*columns))]
    for options in ((), ("7",), ("100", "2"), ("1000", "40"), ("300", "3", "5"), ("4096", "0", "4")):
        done = subprocess.run([program, path, *options], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{what} {options}: {done.stderr}")
        lines = done.stdout.splitlines()[1:]
        got = [json.loads(line) for line in lines]
        expect = want
        if len(options) > 2:
            expect = [row for row in expect if row[-1] % int(options[2]) != 3]
        if len(options) > 1 and options[1] != "0":
            expect = [row for row in expect if (row[-1] // 3 * 2654435761 >> 7) % int(options[1]) == 0]
        if len(got) != len(expect):
            raise AssertionError(f"{what} {options}: {len(got)} rows, want {len(expect)}")
        for a, b in zip(got, expect):
            if not same(a, b):
                for at, (x, y) in enumerate(zip(a, b)):
                    if not same(x, y):
                        raise AssertionError(f"{what} {options}: row {b[-1]}, column {table.column_names[at]}: {x}, want {y}")
    print("ok -", what, flush=True)


# ---- values -------------------------------------------------------------------------------------------------------------------------

def text(rng):
    return "".join(rng.choice("abcdefghij é€𝄞") for _ in range(rng.choice((0, 1, 5, 20, 60))))


PLAIN = {
    "bool": (pa.bool_(), lambda r: r.random() < 0.5),
    "int8": (pa.int8(), lambda r: r.randint(-128, 127)),
    "int16": (pa.int16(), lambda r: r.randint(-2**15, 2**15 - 1)),
    "int32": (pa.int32(), lambda r: r.randint(-2**31, 2**31 - 1)),
    "int64": (pa.int64(), lambda r: r.randint(-2**63, 2**63 - 1)),
    "small": (pa.int64(), lambda r: r.randint(0, 20)),
    "uint8": (pa.uint8(), lambda r: r.randint(0, 255)),
    "uint16": (pa.uint16(), lambda r: r.randint(0, 2**16 - 1)),
    "uint32": (pa.uint32(), lambda r: r.randint(0, 2**32 - 1)),
    "uint64": (pa.uint64(), lambda r: r.randint(0, 2**64 - 1)),
    "float16": (pa.float16(), lambda r: r.choice((0.0, -1.5, 65504.0, 6e-8, 1 / 3, float("inf")))),
    "float": (pa.float32(), lambda r: r.uniform(-1e9, 1e9)),
    "double": (pa.float64(), lambda r: r.choice((r.uniform(-1e99, 1e99), float("inf"), -0.0))),
    "dec9": (pa.decimal128(9, 2), lambda r: decimal.Decimal(r.randint(-10**9 + 1, 10**9 - 1)).scaleb(-2)),
    "dec18": (pa.decimal128(18, 5), lambda r: decimal.Decimal(r.randint(-10**18 + 1, 10**18 - 1)).scaleb(-5)),
    "dec38": (pa.decimal128(38, 10), lambda r: decimal.Decimal(r.randint(-10**28, 10**28)).scaleb(-10)),
    "date": (pa.date32(), lambda r: EPOCH + datetime.timedelta(days=r.randint(-99999, 99999))),
    "time32": (pa.time32("ms"), lambda r: datetime.time(r.randint(0, 23), r.randint(0, 59), 1, 5000)),
    "time64": (pa.time64("us"), lambda r: datetime.time(r.randint(0, 23), r.randint(0, 59), 1, 5)),
    "ts_ms": (pa.timestamp("ms"), lambda r: r.randint(-10**12, 10**12)),
    "ts_us": (pa.timestamp("us", tz="UTC"), lambda r: r.randint(-10**15, 10**15)),
    "ts_ns": (pa.timestamp("ns"), lambda r: r.randint(-10**17, 10**17)),
    "string": (pa.string(), text),
    "word": (pa.string(), lambda r: r.choice(("alpha", "beta", "gamma", "", "delta" * 9))),
    "binary": (pa.binary(), lambda r: r.randbytes(r.choice((0, 3, 40)))),
    "fixed": (pa.binary(5), lambda r: r.randbytes(5)),
}
NESTED = {
    "struct": (pa.struct([pa.field("a", pa.int32()), pa.field("b", pa.string()),
                          pa.field("c", pa.struct([pa.field("d", pa.bool_()), pa.field("e", pa.decimal128(20, 3))]))]),
               lambda r: {"a": maybe(r, lambda: r.randint(0, 9)), "b": maybe(r, lambda: text(r)),
                          "c": maybe(r, lambda: {"d": maybe(r, lambda: True), "e": maybe(r, lambda: decimal.Decimal("7.125"))})}),
    "list": (pa.list_(pa.int64()), lambda r: [maybe(r, lambda: r.randint(0, 99)) for _ in range(r.choice((0, 1, 2, 9)))]),
    "texts": (pa.list_(pa.string()), lambda r: [maybe(r, lambda: text(r)) for _ in range(r.choice((0, 1, 3)))]),
    "lists": (pa.list_(pa.list_(pa.int32())),
              lambda r: [maybe(r, lambda: [maybe(r, lambda: 5) for _ in range(r.choice((0, 2)))]) for _ in range(r.choice((0, 1, 4)))]),
    "structs": (pa.list_(pa.struct([pa.field("x", pa.float64()), pa.field("y", pa.list_(pa.string())), pa.field("z", pa.bool_())])),
                lambda r: [maybe(r, lambda: {"x": r.random(), "y": maybe(r, lambda: ["q"] * r.randint(0, 3)), "z": maybe(r, lambda: False)})
                           for _ in range(r.choice((0, 1, 3)))]),
    "map": (pa.map_(pa.string(), pa.int32()), lambda r: [(f"k{i}", maybe(r, lambda: i)) for i in range(r.choice((0, 1, 4)))]),
    "maps": (pa.map_(pa.int32(), pa.list_(pa.struct([pa.field("s", pa.string())]))),
             lambda r: [(i, maybe(r, lambda: [{"s": "v"}] * r.randint(0, 2))) for i in range(r.choice((0, 2)))]),
}


def maybe(rng, make):
    return None if rng.random() < 0.2 else make()


def make_table(rng, count, kinds, nulls):
    """nulls: none (required), none (optional), few, runs, many, all."""
    arrays, fields = [], []
    for name, (kind, make) in kinds.items():
        values, run = [], False
        for _ in range(count):
            if nulls == "runs" and rng.random() < 0.01:
                run = not run
            gone = {"required": False, "none": False, "few": rng.random() < 0.03, "many": rng.random() < 0.6, "all": True, "runs": run}[nulls]
            values.append(None if gone else make(rng))
        arrays.append(pa.array(values, kind))
        fields.append(pa.field(name, kind, nullable=nulls != "required"))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


DELTA = {"int8", "int16", "int32", "int64", "small", "uint8", "uint16", "uint32", "uint64", "date", "time32", "time64", "ts_ms", "ts_us", "ts_ns"}
SPLIT = {"int32", "int64", "float", "double", "dec38", "fixed", "float16", "dec9", "ts_us"}


def encodings(rng, kinds):
    chosen = {}
    for name in kinds:
        options = ["PLAIN"]
        if name in DELTA:
            options.append("DELTA_BINARY_PACKED")
        if name in SPLIT:
            options.append("BYTE_STREAM_SPLIT")
        if name in ("string", "word", "binary"):
            options += ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
        if name == "fixed":
            options.append("DELTA_BYTE_ARRAY")
        if name == "bool":
            options.append("RLE")
        chosen[name] = rng.choice(options)
    return chosen


# ---- cases --------------------------------------------------------------------------------------------------------------------------

def matrix(program, folder, rng):
    codecs = itertools.cycle(("none", "snappy", "gzip", "zstd", "lz4"))
    for nulls, kinds, version in itertools.product(("required", "none", "few", "runs", "many", "all"), (PLAIN, NESTED), ("1.0", "2.0")):
        for dictionary in (True, False):
            codec = next(codecs)
            count = rng.choice((1, 63, 700, 3000))
            write = rng.choice(("1.0", "2.4", "2.6"))
            columns = {k: v for k, v in kinds.items() if k != "ts_ns" or write == "2.6"}  # the older ones refuse to cut nanoseconds
            table = make_table(rng, count, columns, nulls)
            options = {"compression": codec, "data_page_version": version, "data_page_size": rng.choice((300, 5000, 1 << 20)),
                       "row_group_size": rng.choice((100, 1000, 100000)), "write_batch_size": rng.choice((10, 1024)),
                       "use_dictionary": dictionary, "write_page_index": rng.random() < 0.5, "write_page_checksum": rng.random() < 0.5,
                       "store_decimal_as_integer": rng.random() < 0.5, "version": write,
                       "dictionary_pagesize_limit": rng.choice((200, 1 << 20)), "use_compliant_nested_type": rng.random() < 0.7}
            if not dictionary and kinds is PLAIN:
                options["column_encoding"] = encodings(rng, columns)
                if options["version"] == "1.0" and options["column_encoding"].get("uint32"):
                    options["column_encoding"]["uint32"] = "PLAIN"
            path = Path(folder) / "matrix.parquet"
            pq.write_table(table, path, **options)
            check(program, path, f"pyarrow {nulls} {count} rows {options}")


def special(program, folder, rng):
    path = Path(folder) / "special.parquet"
    table = make_table(rng, 2000, PLAIN, "few")
    pq.write_table(table.select(["ts_us", "ts_ms", "ts_ns"]), path, use_deprecated_int96_timestamps=True)
    check(program, path, "int96", pa.table({n: table[n].cast(pa.timestamp("us"), safe=False) if n != "ts_ns" else table[n] for n in ("ts_us", "ts_ms", "ts_ns")}))
    pq.write_table(pa.table({"n": pa.nulls(50), "e": pa.array([[]] * 50, pa.list_(pa.int32()))}), path)
    check(program, path, "null type and empty lists")
    pq.write_table(make_table(rng, 0, PLAIN | NESTED, "few"), path)
    check(program, path, "no rows")
    pq.write_table(make_table(rng, 45000, {k: PLAIN[k] for k in ("int64", "word", "string", "dec18", "double", "bool")}, "few"), path)
    check(program, path, "45000 rows in pages of the usual size")
    long = pa.table({"s": ["x" * 100000, None, "y" * 3, "é" * 70000] * 50})
    pq.write_table(long, path, compression="zstd", use_dictionary=False)
    check(program, path, "long strings")


def duckdb_files(program, folder):
    import duckdb
    path = Path(folder) / "duck.parquet"
    db = duckdb.connect()
    query = """select i, i::tinyint % 100 as t, i::uinteger as u, i::hugeint as h, (i / 7)::decimal(12,3) as d, (i % 5 = 0) as b,
        case when i % 3 = 0 then null else 'v' || (i % 50) end as s, md5(i::varchar) as m, uuid() as uu, i::float as f, i::double / 3 as g,
        date '2020-01-01' + i::int as dt, time '00:00:00' + interval (i) second as tm, timestamp '2020-01-01' + interval (i) hour as ts,
        [i, null, i + 1] as l, {'a': i, 'b': ['x', null]} as st, map([i], [i * 2]) as mp, encode('é' || i) as bl
        from range(30000) t(i)""".replace("i::tinyint % 100", "(i % 100)::tinyint")
    for version, codec, group in (("v1", "snappy", 3000), ("v2", "zstd", 30000), ("v2", "uncompressed", 5000), ("v1", "gzip", 122880), ("v1", "lz4_raw", 4096)):
        db.execute(f"copy ({query}) to '{path}' (format parquet, parquet_version {version}, compression {codec}, row_group_size {group})")
        check(program, path, f"duckdb {version} {codec} {group}")


def polars_files(program, folder, rng):
    import polars as pl
    path = Path(folder) / "polars.parquet"
    table = make_table(rng, 5000, {k: v for k, v in (PLAIN | NESTED).items() if k not in ("float16", "fixed", "map", "maps", "dec9", "dec18", "dec38")}, "few")
    for codec, group in (("zstd", 1000), ("lz4", None), ("uncompressed", 5000), ("gzip", 2000)):
        pl.from_arrow(table).write_parquet(path, compression=codec, row_group_size=group, data_page_size=4000)
        check(program, path, f"polars {codec} {group}")


def main():
    program, rng = sys.argv[1], random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    with tempfile.TemporaryDirectory() as folder:
        special(program, folder, rng)
        duckdb_files(program, folder)
        polars_files(program, folder, rng)
        matrix(program, folder, rng)


if __name__ == "__main__":
    main()
