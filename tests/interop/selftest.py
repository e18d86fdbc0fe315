"""The judge judged: tables written by pyiceberg from weir-gen's own output, right ones and wrong ones.

usage: selftest.py WEIR_GEN [--spark]; prints ok/FAIL lines, exit code 1 when the judge let a wrong table pass.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

import expectation

HERE = pathlib.Path(__file__).resolve().parent
STRING = StringType()


class Fields:
    """Numbers the fields of a schema as they come."""

    def __init__(self):
        self.last = 0

    def next(self):
        self.last += 1
        return self.last

    def field(self, name, kind, required=False):
        return NestedField(self.next(), name, kind, required=required)

    def struct(self, **fields):
        return StructType(*[self.field(name, kind) for name, kind in fields.items()])

    def list(self, kind):
        return ListType(self.next(), kind, element_required=False)

    def map(self, key, value):
        return MapType(self.next(), key, self.next(), value, value_required=False)

    def kafka(self):
        return self.field(
            "_kafka",
            self.struct(
                topic=STRING,
                partition=IntegerType(),
                offset=LongType(),
                timestamp=TimestamptzType(),
                key=BinaryType(),
            ),
        )


def inventory_schema(software=True):
    f, double = Fields(), DoubleType()
    # pyiceberg's writer makes empty lists of null ones, when their elements are structs.
    more = [f.field("software", f.list(f.struct(name=STRING, version=STRING)))] if software else []
    return Schema(
        f.field("record_id", STRING),
        f.field("tenant_id", STRING),
        f.field("device_id", STRING),
        f.field("hostname", STRING),
        f.field("site", STRING),
        f.field("collected_at", TimestamptzType()),
        f.field("last_boot", TimestamptzType()),
        f.field("os", f.struct(name=STRING, version=STRING, build=IntegerType())),
        f.field("cpu", f.struct(model=STRING, cores=IntegerType(), usage_pct=double)),
        f.field("memory", f.struct(total_mb=LongType(), used_mb=LongType())),
        f.field(
            "disks",
            f.list(
                f.struct(mount=STRING, total_gb=double, free_gb=double, encrypted=BooleanType())
            ),
        ),
        f.field("agent_version", STRING),
        f.field("tags", f.map(STRING, STRING)),
        *more,
        f.kafka(),
    )


def flat_schema():
    f = Fields()
    return Schema(
        f.field("id", LongType()),
        f.field("active", BooleanType()),
        f.field("count", IntegerType()),
        f.field("total", LongType()),
        f.field("ratio", FloatType()),
        f.field("price", DoubleType()),
        f.field("amount", DecimalType(12, 2)),
        f.field("day", DateType()),
        f.field("clock", TimeType()),
        f.field("local", TimestampType()),
        f.field("at", TimestamptzType()),
        f.field("uid", UUIDType()),
        f.field("payload", BinaryType()),
        f.field("digest", FixedType(4)),
        f.kafka(),
    )


def quarantine_schema():
    f = Fields()
    return Schema(
        f.field("raw", BinaryType()),
        f.field("reason", STRING),
        f.field("message", STRING),
        f.field("position", LongType()),
        f.kafka(),
    )


def number_lines(manifest):
    """Gives a manifest of lines the partitions and offsets that Kafka would have given."""
    rows = list(csv.DictReader(open(manifest, newline="")))
    nexts = [0, 0, 0, 0]
    for row in rows:
        partition = int(row["index"]) % 4
        row.update(
            partition=partition,
            offset=nexts[partition],
            timestamp_ms=1767571200000 + int(row["row"]),
        )
        nexts[partition] += 1
    with open(manifest, "w", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def as_written(table, schema):
    """The canonical table as pyiceberg wants it for writing: maps as maps, fixed and uuid by their size."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    def restore(array, wanted):
        if isinstance(wanted, pa.BaseExtensionType):
            return wanted.wrap_array(array.cast(wanted.storage_type))
        if pa.types.is_map(wanted):
            entries = array.values
            return pa.MapArray.from_arrays(
                array.offsets,
                entries.field("key").cast(wanted.key_type),
                entries.field("value").cast(wanted.item_type),
            )
        if pa.types.is_struct(wanted):
            return pa.StructArray.from_arrays(
                [restore(array.field(field.name), field.type) for field in wanted],
                fields=list(wanted),
                mask=array.is_null(),
            )
        if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
            kind = pa.LargeListArray if pa.types.is_large_list(wanted) else pa.ListArray
            return kind.from_arrays(
                array.offsets,
                restore(array.values, wanted.value_type),
                type=wanted,
                mask=array.is_null(),
            )
        return array.cast(wanted)

    wanted = schema_to_pyarrow(schema)
    return pa.table(
        [restore(table.column(field.name).combine_chunks(), field.type) for field in wanted],
        schema=wanted,
    )


class World:
    """One sqlite catalog with the tables of one generated input, and a way to judge it."""

    def __init__(self, generator, folder, shape, schema, count):
        self.folder, self.schema = folder, schema
        self.manifest, self.values = f"{folder}/manifest.csv", f"{folder}/values.ndjson"
        with open(self.values, "wb") as out:
            subprocess.run(
                [
                    generator,
                    "--count",
                    str(count),
                    "--bad",
                    "20",
                    "--shape",
                    shape,
                    "--manifest",
                    self.manifest,
                ],
                stdout=out,
                check=True,
            )
        number_lines(self.manifest)
        self.source = expectation.read_source(self.manifest, self.values, "inventory")
        self.catalog = SqlCatalog(
            "weir", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        self.catalog.create_namespace("bronze")
        self.good = expectation.expected_table([self.source], schema, "_kafka")

    def table(self, name, rows, bad=True):
        target = self.catalog.create_table(f"bronze.{name}", self.schema)
        written = as_written(
            rows.combine_chunks(), target.schema()
        )  # the catalog numbers fields in its own order
        half = written.num_rows // 2
        target.append(written.slice(0, half))
        target.append(written.slice(half))
        self.quarantine(name, bad)

    def quarantine(self, name, bad):
        """`bad`: True as it should be, or a function that spoils a row."""
        lines = open(self.values, "rb").read().split(b"\n")
        rows = []
        for entry in csv.DictReader(open(self.manifest, newline="")):
            if entry["status"] == "bad":
                place = {
                    "topic": "inventory",
                    "partition": int(entry["partition"]),
                    "offset": int(entry["offset"]),
                    "timestamp": None,
                    "key": None,
                }
                rows.append(
                    {
                        "raw": lines[int(entry["row"])],
                        "reason": entry["reason"].split("|")[0],
                        "message": "",
                        "position": None,
                        "_kafka": place,
                    }
                )
        if callable(bad):
            bad(rows)
        target = self.catalog.create_table(f"bronze.{name}__quarantine", quarantine_schema())
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        target.append(pa.Table.from_pylist(rows, schema=schema_to_pyarrow(target.schema())))

    def judge(self, name, *more):
        done = subprocess.run(
            [
                sys.executable,
                HERE / "judge.py",
                f"bronze.{name}",
                "--catalog",
                f"{self.folder}/catalog.db",
                "--expect",
                f"{self.manifest},{self.values},inventory",
                *more,
            ],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr


def change_leaf(table, column, row, change):
    values = table.column(column).to_pylist()
    values[row] = change(values[row])
    return table.set_column(
        table.schema.get_field_index(column),
        table.schema.field(column),
        pa.array(values, table.schema.field(column).type),
    )


def wrong_tables(world):
    """name -> (rows, how the quarantine is spoiled, what the judge must say)"""
    good = world.good
    doubled = pa.concat_tables([good, good.slice(7, 1)])

    def deeper(disks):
        return [*disks, {"mount": "/x", "total_gb": 1.0, "free_gb": 1.0, "encrypted": False}]

    return {
        "missing": (good.slice(1), True, "only right: 1"),
        "doubled": (doubled, True, "more than once"),
        "value": (change_leaf(good, "site", 99, lambda site: site + "x"), True, "column site"),
        "nested": (change_leaf(good, "disks", 400, deeper), True, "column disks"),
        "micros": (
            change_leaf(
                good, "collected_at", 5, lambda at: at.replace(microsecond=at.microsecond ^ 1)
            ),
            True,
            "column collected_at",
        ),
        "map": (
            change_leaf(good, "tags", 8, lambda tags: [*tags, {"key": "more", "value": None}]),
            True,
            "column tags",
        ),
        "offset": (
            change_leaf(good, "_kafka", 3, lambda place: {**place, "offset": 10**6}),
            True,
            "only left: 1",
        ),
        "key": (
            change_leaf(good, "_kafka", 3, lambda place: {**place, "key": b"x"}),
            True,
            "column _kafka",
        ),
        "raw": (good, lambda rows: rows[0].update(raw=rows[0]["raw"] + b" "), "raw bytes differ"),
        "reason": (good, lambda rows: rows[1].update(reason="depth"), "reason depth"),
        "unquarantined": (good, lambda rows: rows.pop(), "1 bad records are missing"),
    }


def main():
    generator, spark = sys.argv[1], ["--spark"] if "--spark" in sys.argv else []
    failures = 0

    def report(name, passed, detail):
        nonlocal failures
        failures += not passed
        print(
            f"{'ok' if passed else 'FAIL'} judge: {name}"
            + ("" if passed else f": see below\n{detail}"),
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        world = World(
            generator,
            folder,
            "inventory",
            inventory_schema(),
            int(os.environ.get("WEIR_JUDGE_ROWS", "2000")),
        )
        world.table("right", world.good)
        code, text = world.judge("right", *spark)
        report("accepts a right table", code == 0, text)
        for name, (rows, bad, words) in wrong_tables(world).items():
            world.table(name, rows, bad)
            code, text = world.judge(name, "--engines", "duckdb")
            report(f"refuses a table with a wrong {name}", code == 1 and words in text, text)
    for shape, schema in (("flat", flat_schema()), ("hostile", inventory_schema(software=False))):
        with tempfile.TemporaryDirectory() as folder:
            world = World(generator, folder, shape, schema, 1000)
            world.table("right", world.good)
            code, text = world.judge("right")
            report(f"accepts a right table of the {shape} shape", code == 0, text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
