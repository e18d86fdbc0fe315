"""Rows deleted in place, as Flink and Spark do it and pyiceberg does not: position delete files, one a data file, and equality delete files."""

import uuid

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestWriterV2
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles

PATH, POS = 2147483546, 2147483545


class DeleteWriter(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


class RowDelta(_FastAppendFiles):
    deletes = ()

    def _manifests(self):
        manifests = super()._manifests()
        for spec_id in {file.spec_id for file in self.deletes}:
            writer = DeleteWriter(self.spec(spec_id), self.schema(), self.new_manifest_output(), self.snapshot_id, "deflate")
            with writer:
                for file in self.deletes:
                    if file.spec_id == spec_id:
                        writer.add(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=self.snapshot_id, data_file=file))
            manifests.append(writer.to_manifest_file())
        return manifests


def field(name, kind, identity):
    return pa.field(name, kind, nullable=False, metadata={"PARQUET:field_id": str(identity)})


def put(table, rows, **more):
    """A Parquet file of these rows beside the table's data, as a delete file."""
    path = f"{table.location()}/data/deletes-{uuid.uuid4()}.parquet"
    pq.write_table(rows, path.removeprefix("file://"))
    file = DataFile.from_args(file_path=path, file_format=FileFormat.PARQUET, record_count=rows.num_rows,
                              file_size_in_bytes=len(table.io.new_input(path)), column_sizes={}, value_counts={}, null_value_counts={}, nan_value_counts={},
                              split_offsets=None, sort_order_id=None, key_metadata=None, **more)
    return file


def land(table, deletes):
    with table.transaction() as transaction:
        producer = RowDelta(Operation.DELETE, transaction, table.io)
        producer.deletes = deletes
        producer.commit()


def by_position(table, goes):
    """Deletes rows for which goes(row); how many delete files that took."""
    deletes = []
    schema = pa.schema([field("file_path", pa.string(), PATH), field("pos", pa.int64(), POS)])
    for task in table.scan().plan_files():
        rows = pq.read_table(task.file.file_path.removeprefix("file://"), partitioning=None).to_pylist()
        positions = [i for i, row in enumerate(rows) if goes(row)]
        if not positions:
            continue
        path = task.file.file_path
        file = put(table, pa.table({"file_path": [path] * len(positions), "pos": positions}, schema=schema), content=DataFileContent.POSITION_DELETES,
                   partition=task.file.partition, equality_ids=None, lower_bounds={PATH: path.encode()}, upper_bounds={PATH: path.encode()})
        file.spec_id = task.file.spec_id
        deletes.append(file)
    land(table, deletes)
    return len(deletes)


def by_equality(table, column, values):
    """Deletes rows of the whole table whose column has one of these values, by files of each partition."""
    there = table.schema().find_field(column)
    kind = schema_to_pyarrow(table.schema()).field(column).type
    rows = pa.table({column: pa.array(values, kind)}, schema=pa.schema([field(column, kind, there.field_id)]))
    deletes, seen = [], set()
    for task in table.scan().plan_files():
        key = (task.file.spec_id, repr(task.file.partition))
        if key in seen:
            continue
        seen.add(key)
        file = put(table, rows, content=DataFileContent.EQUALITY_DELETES, partition=task.file.partition, equality_ids=[there.field_id], lower_bounds={}, upper_bounds={})
        file.spec_id = task.file.spec_id
        deletes.append(file)
    land(table, deletes)
    return len(deletes)
