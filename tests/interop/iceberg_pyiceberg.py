"""Iceberg tables that pyiceberg writes, read by Weir: the rows are those that pyiceberg sees.

usage: iceberg_pyiceberg.py FOLDER [CASE...]    (WEIR: the program); prints ok and FAIL lines
"""

import datetime
import decimal
import pathlib
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform  # the others want pyiceberg's core
from pyiceberg.types import (
    BinaryType, BooleanType, DateType, DecimalType, DoubleType, FixedType, FloatType, IntegerType, ListType, LongType, MapType, NestedField,
    StringType, StructType, TimestampType, TimestamptzType, TimeType, UUIDType,
)

from iceberg_check import PROJECT, Check

UTC = datetime.timezone.utc


class Writer:
    def __init__(self, check, folder):
        self.check, self.folder = check, folder
        self.catalog = SqlCatalog("weir", uri=f"sqlite:///{folder}/wh/catalog.db", warehouse=f"file://{folder}/wh")
        self.catalog.create_namespace("n")

    def same(self, name, table, ours="", where=None, **options):
        table.refresh()
        if where:
            options["row_filter"] = where
        rows = table.scan(**options).to_arrow().to_pylist(maps_as_pydicts="strict")
        ours = ours or (f"where {where}" if where else "")
        self.check.same(f"pyiceberg {name}{' where ' + where if where else ''}", f"select * from n.{table.name()[-1]} {ours}", rows, twice=not where)
        return rows

    def history(self, name, table):
        table.refresh()
        for snapshot in table.snapshots():
            self.same(f"{name} at a snapshot", table, f"for version as of {snapshot.snapshot_id}", snapshot_id=snapshot.snapshot_id)
        for ref, where in table.refs().items():
            if ref != "main" and where.snapshot_ref_type == "tag":
                self.same(f"{name} at {ref}", table, f"for version as of '{ref}'", snapshot_id=where.snapshot_id)


def types(w):
    fields = [("b", BooleanType()), ("i", IntegerType()), ("l", LongType()), ("f", FloatType()), ("d", DoubleType()), ("p", DecimalType(9, 2)), ("q", DecimalType(38, 10)),
              ("s", StringType()), ("u", UUIDType()), ("x", FixedType(3)), ("y", BinaryType()), ("day", DateType()), ("t", TimeType()), ("local", TimestampType()), ("at", TimestamptzType())]
    schema = Schema(*(NestedField(i + 1, n, t, required=False) for i, (n, t) in enumerate(fields)),
                    NestedField(50, "a", ListType(51, LongType(), False), required=False),
                    NestedField(52, "m", MapType(53, StringType(), 54, StructType(NestedField(55, "z", DateType(), required=False)), False), required=False),
                    NestedField(56, "r", StructType(NestedField(57, "k", StringType(), required=False), NestedField(58, "n", StructType(NestedField(59, "v", IntegerType(), required=False)), required=False)), required=False))
    table = w.catalog.create_table("n.types", schema)
    rows = [
        dict(b=True, i=1, l=2, f=1.5, d=2.5, p=decimal.Decimal("1.25"), q=decimal.Decimal("12345678901234567890.1230000000"), s="é", u=uuid.UUID(int=7).bytes, x=b"abc", y=b"\x00\xff",
             day=datetime.date(2026, 11, 23), t=datetime.time(23, 59, 59, 999999), local=datetime.datetime(1969, 12, 31, 23, 59, 59, 500000), at=datetime.datetime(2026, 11, 23, 10, tzinfo=UTC),
             a=[1, None, 3], m=[("k", {"z": datetime.date(1, 1, 1)}), ("j", None)], r={"k": "x", "n": {"v": 1}}),
        {},
        dict(b=False, i=-(2**31), l=2**63 - 1, f=0.0, d=-0.5, p=decimal.Decimal("-9999999.99"), q=decimal.Decimal("0E-10"), s="", u=uuid.UUID(int=2**127).bytes, x=b"\x00\x00\x00", y=b"",
             day=datetime.date(1969, 12, 31), t=datetime.time(0), local=datetime.datetime(9999, 12, 31), at=datetime.datetime(1, 1, 1, tzinfo=UTC), a=[], m=[], r={"k": None, "n": None}),
    ]
    table.append(pa.Table.from_pylist(rows, schema=table.schema().as_arrow()))
    w.same("types", table)
    for where in ("i = 1", "p < 0", "s = ''", "b = true", "day < '1970-01-01'", "d is null", "l > 4"):
        w.same("types", table, where=where)


def make(first, count):
    return pa.table({
        "id": pa.array(range(first, first + count), pa.int32()),
        "site": [None if i % 6 == 5 else f"s/{i % 3} x" for i in range(count)],
        "at": pa.array([datetime.datetime(1969, 12, 30, 1, tzinfo=UTC) + datetime.timedelta(hours=9 * i) for i in range(count)], pa.timestamp("us", "UTC")),
        "s": pa.array([None if i % 7 == 6 else {"x": i, "y": {"z": f"z{i}"}} for i in range(count)], pa.struct([("x", pa.int32()), ("y", pa.struct([("z", pa.string())]))])),
        "l": pa.array([[{"p": i}] * (i % 3) for i in range(count)], pa.list_(pa.struct([("p", pa.int32())]))),
    })


def evolution(w):
    schema = Schema(
        NestedField(1, "id", IntegerType(), required=False), NestedField(2, "site", StringType(), required=False), NestedField(3, "at", TimestamptzType(), required=False),
        NestedField(4, "s", StructType(NestedField(5, "x", IntegerType(), required=False), NestedField(6, "y", StructType(NestedField(7, "z", StringType(), required=False)), required=False)), required=False),
        NestedField(8, "l", ListType(9, StructType(NestedField(10, "p", IntegerType(), required=False)), False), required=False),
    )
    table = w.catalog.create_table("n.evolve", schema, partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "site")))
    table.append(make(0, 20))
    w.same("partitioned by text", table)
    for where in ("at < '1970-01-01T00:00:00+00:00'", "site = 's/1 x'", "site is null"):
        w.same("partitioned by text", table, where=where)
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "early").commit()
    with table.update_schema() as update:
        update.rename_column("site", "place")
        update.update_column("id", LongType())
        update.add_column("extra", DoubleType())
        update.add_column(("s", "w"), StringType())
        update.rename_column("s.x", "xx")
        update.update_column(("s", "x"), LongType())
        update.delete_column(("s", "y", "z"))
        update.add_column(("s", "y", "z2"), IntegerType())
        update.add_column(("l", "q"), StringType())
        update.update_column(("l", "p"), LongType())
        update.move_first("at")
        update.move_after("extra", "id")
    with table.update_spec() as update:
        update.remove_field("site")
        update.add_field("extra", IdentityTransform(), "extra_part")
        update.add_field("id", IdentityTransform(), "id_part")
    more = pa.table({
        "at": make(100, 10)["at"], "id": pa.array(range(5000000000, 5000000010), pa.int64()), "extra": pa.array([1.5] * 10), "place": ["new"] * 10,
        "s": pa.array([{"xx": 5000000000 + i, "y": {"z2": i}, "w": f"w{i}"} for i in range(10)], pa.struct([("xx", pa.int64()), ("y", pa.struct([("z2", pa.int32())])), ("w", pa.string())])),
        "l": pa.array([[{"p": 5000000000, "q": "q"}]] * 10, pa.list_(pa.struct([("p", pa.int64()), ("q", pa.string())]))),
    })
    w.same("renamed, widened, added, dropped, moved", table)
    table.append(more)
    w.same("and rows of the new schema, another spec", table)
    for where in ("id > 4000000000", "place = 'new'", "extra is null", "id = 7"):
        w.same("evolution", table, where=where)
    table.delete("id >= 3 and id < 6")
    w.same("deleted", table)
    table.overwrite(more.slice(0, 2), overwrite_filter="place = 'new'")
    w.same("overwritten", table)
    with table.update_spec() as update:
        update.remove_field("id_part")
        update.remove_field("extra_part")
        update.add_field("place", IdentityTransform(), "place_again")
    table.upsert(more.slice(1, 4), join_cols=["id"])
    w.same("upserted", table)
    w.history("evolution", table)
    empty = w.catalog.create_table("n.empty", schema)
    w.same("an empty table", empty)


def foreign(w):
    """Files without ids that pyiceberg takes over, by a name mapping."""
    plain = f"{w.folder}/plain.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "old": ["a", "b", None], "s": [{"x": 1}, None, {"x": None}]}), plain)
    table = w.catalog.create_table("n.foreign", pa.schema([("id", pa.int64()), ("old", pa.string()), ("s", pa.struct([("x", pa.int64())]))]))
    table.add_files([f"file://{plain}"])
    w.same("files taken over", table)
    with table.update_schema() as update:
        update.rename_column("old", "renamed")
        update.rename_column("s.x", "xx")
        update.add_column("fresh", IntegerType())
    w.same("files taken over, columns renamed", table)
    table.append(pa.table({"id": [4], "renamed": ["n"], "s": pa.array([{"xx": 9}], pa.struct([("xx", pa.int64())])), "fresh": pa.array([1], pa.int32())}))
    w.same("files taken over, and others", table)
    for where in ("renamed = 'a'", "fresh is null", "id > 2"):
        w.same("files taken over", table, where=where)
    for version in ("1.0", "2.4", "2.6"):
        for compression in ("snappy", "zstd", "lz4", "gzip", "brotli") if version == "2.6" else ("snappy",):
            name = f"written{version.replace('.', '')}{compression}"
            path = f"{w.folder}/{name}.parquet"
            pq.write_table(pa.table({"i": list(range(500)), "t": [f"t{i % 40}" for i in range(500)], "f": [i / 4 for i in range(500)]}), path, version=version,
                           compression=compression, data_page_version="2.0" if compression == "zstd" else "1.0", data_page_size=500, use_dictionary=compression != "lz4")
            table = w.catalog.create_table(f"n.{name}", pa.schema([("i", pa.int64()), ("t", pa.string()), ("f", pa.float64())]))
            table.add_files([f"file://{path}"])
            if compression == "brotli":
                w.check.told("pyiceberg: Brotli is refused by name", f"select * from n.{name}", "rotli")
            else:
                w.same(f"Parquet {version}, {compression}", table)


def main():
    folder, *names = sys.argv[1:]
    (pathlib.Path(folder) / "wh").mkdir(parents=True)
    (pathlib.Path(folder) / "weir.yaml").write_text(PROJECT)
    check = Check(folder, names)
    writer = Writer(check, folder)
    for case in (types, evolution, foreign):
        if check.wants(case.__name__):
            try:
                case(writer)
            except Exception as error:
                check.report(False, f"pyiceberg {case.__name__}", f"{type(error).__name__}: {str(error)[:800]}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
