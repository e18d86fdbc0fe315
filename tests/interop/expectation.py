"""What a correct reader must have landed: weir-gen's manifest and values as an Arrow table in the judged table's own schema.

JSON is read here by Python's parser with numbers kept as their text says, then column by column by the declared Iceberg type.
"""

import base64
import concurrent.futures
import csv
import datetime
import decimal
import gc
import json
import multiprocessing
import os
import uuid
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg import types
from pyiceberg.schema import Schema

from canonical import arrow_type


BLOCK = 4096  # records that are read by the same process
PROCESS_BYTES = 16 << 20  # of values, for which it is worth to start a process


@dataclass
class Landed:
    """Records of one source in manifest order: those to be found in the table, and those in its quarantine."""

    rows: list  # (partition or None, offset or row number, timestamp_ms, key, parsed value)
    refused: dict  # (topic or path, partition, offset) -> (reason alternatives, size, digest)
    source: str
    from_kafka: bool


def read_source(manifest, values, source, share=0, shares=1):
    """`source` is the topic, or the path of the file that `values` is when the manifest has no partitions.

    Of the records, the blocks that fall to `share` of `shares`.
    """
    rows, refused, from_kafka = [], {}, False
    with open(manifest, newline="") as listing, open(values, "rb") as lines:
        for number, entry in enumerate(csv.DictReader(listing)):
            line = lines.readline()
            if number // BLOCK % shares != share:
                continue
            kafka = entry["partition"] != ""
            from_kafka |= kafka
            partition = int(entry["partition"]) if kafka else None
            offset = int(entry["offset"] if kafka else entry["row"])
            if entry["status"] == "good":
                value = json.loads(line, parse_float=decimal.Decimal)
                rows.append(
                    (partition, offset, int(entry["timestamp_ms"] or -1), entry["key"], value)
                )
            elif entry["status"] == "bad":
                refused[(source, partition, offset)] = (
                    entry["reason"].split("|"),
                    int(entry["size"]),
                    entry["digest"],
                )
    return Landed(rows, refused, source, from_kafka)


def expected_table(sources, schema, metadata_column):
    """The canonical table of all good rows of `sources`, `metadata_column` ("_kafka", "_source_file" or None) included."""
    documents = [row[4] for landed in sources for row in landed.rows]
    fields, columns = [], []
    for field in schema.fields:
        wanted = arrow_type(field.field_type)
        if field.name == metadata_column:
            column = metadata_struct(sources, wanted)
        else:
            column = build([document.get(field.name) for document in documents], field.field_type)
        fields.append(pa.field(field.name, wanted))
        columns.append(column)
    return pa.table(columns, schema=pa.schema(fields))


class Expectation:
    """What sources must have become. Much of it is worked out by other processes while this one asks the engines."""

    def __init__(self, sources, schema, metadata_column):
        size = sum(os.path.getsize(values) for _, values, _ in sources)
        shares = min(8, os.cpu_count() or 1, size // PROCESS_BYTES)
        self.what = sources, schema.model_dump_json(), metadata_column
        self.pool, self.found = None, None
        if shares > 1:
            # Not forked: the engines' libraries have threads by now.
            context = multiprocessing.get_context("spawn")
            self.pool = concurrent.futures.ProcessPoolExecutor(shares, mp_context=context)
            self.parts = [
                self.pool.submit(expected_part, *self.what, share, shares) for share in range(shares)
            ]

    def parts_found(self):
        if self.found is None:
            self.found = (
                [part.result() for part in self.parts] if self.pool else [expected_part(*self.what)]
            )
            if self.pool:  # else it is left to the interpreter's end, and complains there
                self.pool.shutdown()
        return self.found

    def table(self):
        return pa.concat_tables(table for table, _ in self.parts_found()).combine_chunks()

    def refused(self):
        return {place: fault for _, refused in self.parts_found() for place, fault in refused.items()}


def expected_part(sources, schema, metadata_column, share=0, shares=1):
    """One process's share: the good rows as a table, and the refused records by place."""
    gc.disable()  # millions of values and not one cycle
    landed = [read_source(*source, share, shares) for source in sources]
    refused = {place: fault for each in landed for place, fault in each.refused.items()}
    return expected_table(landed, Schema.model_validate_json(schema), metadata_column), refused


def metadata_struct(sources, wanted):
    rows = [(landed.source, *row) for landed in sources for row in landed.rows]
    every = {
        "topic": lambda: [row[0] for row in rows],
        "path": lambda: [row[0] for row in rows],
        "partition": lambda: [row[1] for row in rows],
        "offset": lambda: [row[2] for row in rows],
        "row": lambda: [row[2] for row in rows],
        "timestamp": lambda: [row[3] * 1000 for row in rows],
        "key": lambda: [row[4].encode() for row in rows],
        "headers": lambda: [None] * len(rows),
    }
    children = [pa.array(every[field.name](), field.type) for field in wanted]
    return pa.StructArray.from_arrays(children, fields=list(wanted))


# -- values by declared type, a whole column at a time ---------------------------------------------------


def build(values, kind):
    if isinstance(kind, types.StructType):
        return build_struct(values, kind)
    if isinstance(kind, types.ListType):
        return build_list(
            values,
            arrow_type(kind),
            [each for value in values if value is not None for each in value],
            lambda flat: build(flat, kind.element_type),
        )
    if isinstance(kind, types.MapType):
        return build_map(values, kind)
    return LEAF.get(type(kind), build_plain)(values, kind)


def build_struct(values, kind):
    children = [
        build(
            [None if value is None else value.get(field.name) for value in values], field.field_type
        )
        for field in kind.fields
    ]
    absent = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=list(arrow_type(kind)), mask=absent)


def build_list(values, wanted, flat, build_elements):
    offsets, total = [0], 0
    for value in values:
        total += 0 if value is None else len(value)
        offsets.append(total)
    absent = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), build_elements(flat), type=wanted, mask=absent
    )


def build_map(values, kind):
    flat = [entry for value in values if value is not None for entry in value.items()]
    wanted = arrow_type(kind)

    def entries(pairs):
        keys, items = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return pa.StructArray.from_arrays(
            [build(keys, kind.key_type), build(items, kind.value_type)],
            fields=list(wanted.value_type),
        )

    return build_list(values, wanted, flat, entries)


def build_plain(values, kind):
    return pa.array(values, arrow_type(kind))


def build_integer(values, kind):
    return pa.array(
        [int(value) if isinstance(value, decimal.Decimal) else value for value in values],
        arrow_type(kind),
    )


def build_float(values, kind):
    return pa.array([None if value is None else float(value) for value in values], arrow_type(kind))


def build_decimal(values, kind):
    unit = decimal.Decimal(1).scaleb(-kind.scale)
    with decimal.localcontext() as context:
        context.prec = 60
        return pa.array(
            [None if value is None else decimal.Decimal(value).quantize(unit) for value in values],
            arrow_type(kind),
        )


def build_time(values, kind):
    return pa.array(values, pa.string()).cast(arrow_type(kind))


def build_clock(values, kind):
    return pa.array(
        [None if value is None else datetime.time.fromisoformat(value) for value in values],
        pa.time64("us"),
    )


def build_bytes(values, kind):
    return pa.array(
        [None if value is None else base64.b64decode(value, validate=True) for value in values],
        pa.binary(),
    )


def build_uuid(values, kind):
    return pa.array(
        [None if value is None else uuid.UUID(value).bytes for value in values], pa.binary()
    )


LEAF = {
    types.IntegerType: build_integer,
    types.LongType: build_integer,
    types.FloatType: build_float,
    types.DoubleType: build_float,
    types.DecimalType: build_decimal,
    types.DateType: build_time,
    types.TimeType: build_clock,
    types.TimestampType: build_time,
    types.TimestamptzType: build_time,
    types.BinaryType: build_bytes,
    types.FixedType: build_bytes,
    types.UUIDType: build_uuid,
}
