"""What a correct reader must have landed: weir-gen's manifest and values as an Arrow table in the judged table's own schema.

JSON is read here by Python's parser with numbers kept as their text says, then column by column by the declared Iceberg type.
"""

import base64
import csv
import datetime
import decimal
import json
import uuid
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg import types

from canonical import arrow_type


@dataclass
class Landed:
    """Records of one source in manifest order: those to be found in the table, and those in its quarantine."""

    rows: list  # (partition or None, offset or row number, timestamp_ms, key, parsed value)
    refused: dict  # (topic or path, partition, offset) -> (reason alternatives, size, digest)
    source: str
    from_kafka: bool


def read_source(manifest, values, source):
    """`source` is the topic, or the path of the file that `values` is when the manifest has no partitions."""
    rows, refused, from_kafka = [], {}, False
    with open(manifest, newline="") as listing, open(values, "rb") as lines:
        for entry in csv.DictReader(listing):
            line = lines.readline()
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
