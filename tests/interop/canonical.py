"""One Arrow form for what different engines return for the same Iceberg table, so that columns can be compared as a whole.

The form follows from the table's Iceberg schema: strings and binaries of the small kind, uuid and fixed as binary, times in
microseconds (UTC where there is a zone), maps as lists of key-value structs, struct children in the schema's order.
"""

import math
import uuid

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg import types

ENTRY_NAMES = ("key", "value")
SIMPLE = {
    types.BooleanType: pa.bool_(),
    types.IntegerType: pa.int32(),
    types.LongType: pa.int64(),
    types.FloatType: pa.float32(),
    types.DoubleType: pa.float64(),
    types.DateType: pa.date32(),
    types.TimeType: pa.time64("us"),
    types.TimestampType: pa.timestamp("us"),
    types.TimestamptzType: pa.timestamp("us", "UTC"),
    types.StringType: pa.string(),
    types.UUIDType: pa.binary(),
    types.FixedType: pa.binary(),
    types.BinaryType: pa.binary(),
}


def arrow_type(kind):
    """The canonical Arrow type of an Iceberg type."""
    if isinstance(kind, types.StructType):
        return pa.struct(
            [pa.field(field.name, arrow_type(field.field_type)) for field in kind.fields]
        )
    if isinstance(kind, types.ListType):
        return pa.list_(arrow_type(kind.element_type))
    if isinstance(kind, types.MapType):
        return pa.list_(
            pa.struct(
                [
                    pa.field("key", arrow_type(kind.key_type)),
                    pa.field("value", arrow_type(kind.value_type)),
                ]
            )
        )
    if isinstance(kind, types.DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    return SIMPLE[type(kind)]


def arrow_schema(schema):
    return pa.schema(
        [pa.field(field.name, arrow_type(field.field_type)) for field in schema.fields]
    )


def canonical_table(table, schema):
    """An engine's whole answer in canonical form. A missing or surplus column is an error."""
    wanted = arrow_schema(schema)
    if sorted(table.column_names) != sorted(wanted.names):
        raise ValueError(f"columns {sorted(table.column_names)}, wanted {sorted(wanted.names)}")
    columns = [conform(one_array(table.column(field.name)), field.type) for field in wanted]
    return pa.table(columns, schema=wanted)


def one_array(column):
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks != 1 else array.chunk(0)
    # Offsets into a parent's buffers make every step below harder: copied away once.
    return array.take(pa.array(range(len(array)), pa.int64())) if array.offset else array


def conform(array, wanted):
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.offset:
        array = one_array(array)
    if pa.types.is_struct(wanted):
        return conform_struct(array, wanted)
    if pa.types.is_list(wanted):
        return conform_list(array, wanted)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), wanted)
    if pa.types.is_binary(wanted) and (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    ):
        return pa.array(
            [None if each is None else uuid.UUID(each).bytes for each in array.to_pylist()], wanted
        )
    return array.cast(wanted)


def conform_struct(array, wanted):
    if not pa.types.is_struct(array.type):
        raise ValueError(f"{array.type} where {wanted} is wanted")
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    if sorted(names) != sorted(field.name for field in wanted):
        raise ValueError(
            f"struct fields {sorted(names)}, wanted {sorted(field.name for field in wanted)}"
        )
    children = [conform(array.field(names.index(field.name)), field.type) for field in wanted]
    return pa.StructArray.from_arrays(children, fields=list(wanted), mask=array.is_null())


def conform_list(array, wanted):
    if pa.types.is_map(array.type):
        entries = pa.StructArray.from_arrays([array.keys, array.items], names=list(ENTRY_NAMES))
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        entries = array.values
    else:
        array = array.cast(pa.list_(array.type.value_type))
        entries = array.values
    offsets = array.offsets.cast(pa.int32())
    # Null slots may have a length in some engines' answers; Arrow's equality does not look into them.
    return pa.ListArray.from_arrays(
        offsets, conform(entries, wanted.value_type), type=wanted, mask=array.is_null()
    )


def without_null_lists(table, schema):
    """Null lists of structs, and maps to structs, as empty ones: pyiceberg's reader cannot tell them apart (it rebuilds them
    from their offsets and loses the mask), so its answer is compared with others' in this form."""
    columns = [
        empty_for_null(one_array(table.column(field.name)), field.field_type)
        for field in schema.fields
    ]
    return pa.table(columns, schema=table.schema)


def empty_for_null(array, kind):
    if isinstance(kind, types.StructType):
        children = [
            empty_for_null(array.field(i), field.field_type) for i, field in enumerate(kind.fields)
        ]
        return pa.StructArray.from_arrays(children, fields=list(array.type), mask=array.is_null())
    if not isinstance(kind, (types.ListType, types.MapType)):
        return array
    inner = kind.element_type if isinstance(kind, types.ListType) else kind.value_type
    values = array.values
    if isinstance(kind, types.ListType):
        values = empty_for_null(values, inner)
    blurred = isinstance(inner, types.StructType)
    return pa.ListArray.from_arrays(
        array.offsets, values, type=array.type, mask=None if blurred else array.is_null()
    )


# -- comparing -------------------------------------------------------------------------------------------


def sort_rows(table, keys):
    """Rows by the paths in `keys` ("_kafka.offset"), which must tell them apart for a comparison to mean anything."""
    columns = {key: identity_column(table, key) for key in keys}
    order = pc.sort_indices(pa.table(columns), sort_keys=[(key, "ascending") for key in keys])
    return table.take(order)


def identity_column(table, path):
    name, *rest = path.split(".")
    column = one_array(table.column(name))
    for child in rest:
        column = pc.struct_field(column, child)
    return column


def tell(value):
    """A value as something that equals its like: NaN is itself, -0 is 0, map entries have no order."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    if isinstance(value, dict):
        return {key: tell(each) for key, each in value.items()}
    if isinstance(value, list):
        told = [tell(each) for each in value]
        if told and all(isinstance(each, dict) and set(each) == set(ENTRY_NAMES) for each in told):
            told.sort(key=lambda entry: repr(entry["key"]))
        return told
    return value


def column_difference(left, right, step=1024):
    """None, or (row, left value, right value) of the first difference. Whole slices first, values only where those differ."""
    if left.equals(right):
        return None
    for start in range(0, max(len(left), len(right)), step):
        a, b = left.slice(start, step), right.slice(start, step)
        if a.equals(b):
            continue
        for row, (x, y) in enumerate(zip(a.to_pylist(), b.to_pylist())):
            if tell(x) != tell(y):
                return start + row, x, y
        if len(a) != len(b):
            return start + min(len(a), len(b)), "(no row)", "(no row)"
    return None
