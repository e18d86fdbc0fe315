"""Iceberg tables written by Spark and by pyiceberg, read by Weir: the rows are those that their writer sees.

usage: iceberg_read.py ICEBERG_PRINT [NAME...]    (the program built from iceberg_print.c; names of cases)

Starts itself again under the Python of each writer (tools/env/setup spark, judges). Output is TAP.
"""

import base64
import datetime
import decimal
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent


# ---- comparing -----------------------------------------------------------------------------------


def plain(value):
    """A writer's value in a form that both sides can be brought to."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (int, decimal.Decimal)):
        return decimal.Decimal(value).normalize()
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return None  # JSON has no way to say it
        return decimal.Decimal(repr(struct.unpack("f", struct.pack("f", value))[0])).normalize() if abs(value) < 1e30 else repr(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "asDict"):  # Spark's Row
        return {k: plain(v) for k, v in zip(value.__fields__, value)}
    raise TypeError(type(value))


def ours(value, wanted):
    """Weir's JSON value beside the writer's plain one: times are texts, maps with null keys do not occur."""
    if isinstance(value, dict):
        other = wanted if isinstance(wanted, dict) else {}
        return {k: ours(v, other.get(k)) for k, v in value.items()}
    if isinstance(value, list):
        other = wanted if isinstance(wanted, list) and len(wanted) == len(value) else [None] * len(value)
        return [ours(v, o) for v, o in zip(value, other)]
    if isinstance(value, str):
        try:
            if "T" in value and value[4:5] == "-":
                return plain(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")))
        except ValueError:
            pass
        return value
    if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
        value = decimal.Decimal(value)
        return plain(float(value)) if value != value.to_integral_value() and abs(value) < 1e6 else value.normalize()
    return value


def key(row):
    return json.dumps(row, sort_keys=True, default=str)


def wide(row):
    """Fractions as single precision on both sides: a float and a double print differently."""
    if isinstance(row, dict):
        return {k: wide(v) for k, v in row.items()}
    if isinstance(row, list):
        return [wide(v) for v in row]
    if isinstance(row, decimal.Decimal) and row != row.to_integral_value() and abs(row) < 1e6:
        return plain(float(row))
    return row


class Check:
    def __init__(self, program, names):
        self.program, self.names, self.number, self.failed = program, names, 0, 0

    def wants(self, name):
        return not self.names or any(name.startswith(n) for n in self.names)

    def report(self, good, name, detail=""):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        for line in detail.splitlines()[:20]:
            print(f"#   {line[:600]}", flush=True)

    def run(self, location, *arguments):
        if location.startswith("file:"):
            location = "/" + location[5:].lstrip("/")
        done = subprocess.run([self.program, location, *map(str, arguments)], capture_output=True, timeout=120)
        rows = [json.loads(line, parse_float=decimal.Decimal) for line in done.stdout.splitlines()]
        return done.returncode, rows, done.stderr.decode(errors="replace")

    def same(self, name, location, rows, *arguments):
        """Every row as the writer sees it, for several threads and batch sizes."""
        expected = sorted((wide(plain(r)) for r in rows), key=key)
        for extra in ([], ["--threads", 2, "--batch", 3]):
            code, got, error = self.run(location, *arguments, *extra)
            example = expected[0] if expected else {}
            got = sorted((wide(ours(r, example)) for r in got), key=key)
            if code or got != expected:
                missing = [key(r) for r in expected if r not in got][:3]
                surplus = [key(r) for r in got if r not in expected][:3]
                self.report(False, name, f"{error}\n{len(expected)} rows wanted, {len(got)} there\nmissing {missing}\nsurplus {surplus}")
                return
        self.report(True, f"{name}: {len(expected)} rows")

    def superset(self, name, location, rows, column, operator, value, test):
        """A predicate may skip, but never a row for which it holds."""
        wanted = sorted(key(wide(plain(r))) for r in rows if test(r))
        code, got, error = self.run(location, "--where", column, operator, json.dumps(value))
        there = sorted(key(wide(ours(r, plain(rows[0])))) for r in got)
        lost = [r for r in wanted if r not in there]
        self.report(code == 0 and not lost, f"{name} where {column} {operator} {value}", f"{error}{lost[:3] if lost else ''}")


# ---- Spark ---------------------------------------------------------------------------------------


class Spark:
    def __init__(self, check, folder):
        sys.path.insert(0, str(HERE))
        from spark_session import spark_session

        self.check, self.session = check, spark_session(f"{folder}/catalog.db", f"{folder}/wh")
        self.folder = folder
        self.sql("create namespace weir.n")

    def sql(self, *texts):
        for text in texts:
            result = self.session.sql(text)
        return result

    def java(self, table):
        return self.session._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(
            self.session._jsparkSession, f"weir.n.{table}"
        )

    def location(self, table):
        return self.java(table).operations().current().metadataFileLocation()

    def same(self, name, table, version="", *arguments):
        rows = self.sql(f"select * from weir.n.{table} {version}").collect()
        self.check.same(f"spark {name}", self.location(table), rows, *arguments)
        return rows


def spark_types(s):
    s.sql(
        """create table weir.n.types (b boolean, i int, l bigint, f float, d double, p decimal(9,2), q decimal(38,10), s string,
           y binary, day date, at timestamp, local timestamp_ntz, a array<int>, m map<string,bigint>, r struct<x:int,n:struct<z:string>>) using iceberg""",
        """insert into weir.n.types values (true, 1, 2, 1.5, 2.5, 1.25, 12345678901234567890.123, 'é', X'00ff', date'2026-11-23',
           timestamp'2026-11-23 10:00:00.123456', timestamp_ntz'1969-12-31 23:59:59.5', array(1,null,3), map('k', 1L, 'j', null),
           named_struct('x', 1, 'n', named_struct('z', 'deep'))),
           (null,null,null,null,null,null,null,null,null,null,null,null,null,null,null),
           (false,-1,-2,float('nan'),double('infinity'),-1.25,0,'',X'',date'1969-12-31',timestamp'1969-12-31 00:00:00',null,array(),map(),named_struct('x',null,'n',null))""",
    )
    s.same("types", "types")


def spark_evolution(s):
    s.sql(
        """create table weir.n.evolve (id int, a string, b int, gone string, f float, p decimal(9,2), s struct<x:int,y:string>,
           l array<struct<p:int,q:string>>, m map<string,struct<u:int>>) using iceberg""",
        """insert into weir.n.evolve select cast(id as int), concat('a', id), cast(id as int), 'g', cast(id as float) / 4, cast(id as decimal(9,2)),
           named_struct('x', cast(id as int), 'y', 'y'), array(named_struct('p', cast(id as int), 'q', 'q')), map('k', named_struct('u', cast(id as int)))
           from range(20)""",
        "alter table weir.n.evolve rename column a to name",
        "alter table weir.n.evolve alter column b type bigint",
        "alter table weir.n.evolve alter column f type double",
        "alter table weir.n.evolve alter column p type decimal(18,2)",
        "alter table weir.n.evolve drop column gone",
        "alter table weir.n.evolve add column gone int",
        "alter table weir.n.evolve add column extra double after id",
        "alter table weir.n.evolve add column s.z string",
        "alter table weir.n.evolve rename column s.x to xx",
        "alter table weir.n.evolve drop column s.y",
        "alter table weir.n.evolve add column l.element.r int",
        "alter table weir.n.evolve add column m.value.w string",
    )
    rows = s.same("renamed, dropped, added, widened, nested", "evolve")
    s.sql(
        """insert into weir.n.evolve values (100, 1.5, 'new', 5000000000, 1.1, 12.50, named_struct('xx', 1, 'z', 'z'),
           array(named_struct('p', 1, 'q', 'q', 'r', 7)), map('k', named_struct('u', 1, 'w', 'w')), 42), (101, null, null, null, null, null, null, null, null, null)"""
    )
    rows = s.same("and rows of the new schema", "evolve")
    for column, operator, value, test in [
        ("b", "=", 7, lambda r: r.b == 7),
        ("b", ">", 4000000000, lambda r: r.b is not None and r.b > 4000000000),
        ("name", "=", "new", lambda r: r.name == "new"),
        ("gone", "null", None, lambda r: r.gone is None),
        ("gone", "notnull", None, lambda r: r.gone is not None),
        ("f", "<=", 1.0, lambda r: r.f is not None and r.f <= 1.0),
        ("p", ">=", "12.50", lambda r: r.p is not None and r.p >= decimal.Decimal("12.5")),
    ]:
        s.check.superset("spark evolution", s.location("evolve"), rows, column, operator, value, test)


def spark_partitions(s):
    insert = """insert into weir.n.part select cast(id + {0} as int), timestamp'2026-01-01 00:00:00' + make_interval(0,0,0,cast(id as int) - 30,0,0,0),
                concat('site', id % 5), id * 10 from range(60)"""
    s.sql(
        "create table weir.n.part (id int, at timestamp, site string, big bigint) using iceberg partitioned by (days(at))",
        insert.format(0),
        "alter table weir.n.part add partition field bucket(4, id)",
        insert.format(100),
        "alter table weir.n.part drop partition field days(at)",
        "alter table weir.n.part add partition field site",
        insert.format(200),
        "alter table weir.n.part replace partition field site with truncate(5, site)",
        "alter table weir.n.part add partition field months(at)",
        "alter table weir.n.part add partition field truncate(100, big)",
        insert.format(300),
        "insert into weir.n.part values (null, null, null, null)",
    )
    rows = s.same("changed partition specs", "part")
    cut = datetime.datetime(2026, 1, 10)
    for column, operator, value, test in [
        ("id", "=", 117, lambda r: r.id == 117),
        ("site", "=", "site3", lambda r: r.site == "site3"),
        ("site", "null", None, lambda r: r.site is None),
        ("big", "<", 100, lambda r: r.big is not None and r.big < 100),
        ("at", ">", "2026-01-10T00:00:00Z", lambda r: r.at is not None and r.at > cut),
    ]:
        s.check.superset("spark partitions", s.location("part"), rows, column, operator, value, test)
    code, got, error = s.check.run(s.location("part"), "--where", "site", "=", '"nowhere"')
    s.check.report(code == 0 and "files 0 " in error, "spark partitions: an unknown site reads no file", error)


def spark_deletes(s):
    for version, what in ((2, "position deletes"), (3, "deletion vectors")):
        for spec, name in (("", "flat"), ("partitioned by (k)", "cut")):
            table = f"mor{version}{name}"
            s.sql(
                f"""create table weir.n.{table} (id int, k int, v string) using iceberg {spec} tblproperties ('format-version'='{version}',
                    'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read', 'write.merge.mode'='merge-on-read')""",
                f"insert into weir.n.{table} select /*+ coalesce(1) */ cast(id as int), cast(id % 3 as int), concat('v', id) from range(5000)",
                f"insert into weir.n.{table} select /*+ coalesce(1) */ cast(id + 10000 as int), cast(id % 3 as int), concat('v', id) from range(2000)",
                f"delete from weir.n.{table} where id % 7 = 0",
                f"update weir.n.{table} set v = 'updated' where id % 100 = 1",
                f"delete from weir.n.{table} where id between 1000 and 2500",
                f"insert into weir.n.{table} values (7, 0, 'again'), (14, 1, 'again')",
                f"alter table weir.n.{table} rename column v to w",
                f"delete from weir.n.{table} where w = 'v17'",
            )
            deletes = s.sql(f"select file_format, count(*) from weir.n.{table}.delete_files group by 1").collect()
            s.check.report(len(deletes) > 0, f"spark wrote {what}: {deletes}")
            s.same(f"{what}, {name}", table)


def spark_travel(s):
    s.sql(
        "create table weir.n.travel (id int, a string) using iceberg",
        "insert into weir.n.travel values (1, 'one')",
        "alter table weir.n.travel create tag first",
        "alter table weir.n.travel rename column a to b",
        "insert into weir.n.travel values (2, 'two')",
        "alter table weir.n.travel create branch side",
        "alter table weir.n.travel add column c int",
        "insert into weir.n.travel values (3, 'three', 3)",
        "insert into weir.n.travel.branch_side values (4, 'four', 4)",
    )
    snapshots = s.sql("select snapshot_id, committed_at from weir.n.travel.snapshots order by committed_at").collect()
    for row in snapshots:
        s.same(f"snapshot {row.snapshot_id}", "travel", f"version as of {row.snapshot_id}", "--snapshot", row.snapshot_id)
    for row in snapshots[:3]:
        stamp = row.committed_at.replace(tzinfo=datetime.timezone.utc).timestamp()
        millis = math.floor(stamp * 1000 + 0.5)
        s.same(f"time {millis}", "travel", f"timestamp as of '{row.committed_at}'", "--as-of", millis)
    s.same("tag", "travel", "version as of 'first'", "--ref", "first")
    s.same("branch", "travel", "version as of 'side'", "--ref", "side")
    code, _, error = s.check.run(s.location("travel"), "--ref", "nobody")
    s.check.report(code != 0 and "first" in error, "an unknown ref is told with those there are", error)


def spark_first_version(s):
    s.sql(
        "create table weir.n.v1 (id int, site string, b int) using iceberg partitioned by (site) tblproperties ('format-version'='1')",
        "insert into weir.n.v1 select cast(id as int), concat('s', id % 3), 1 from range(30)",
        "delete from weir.n.v1 where id = 4",
        "alter table weir.n.v1 drop partition field site",
        "insert into weir.n.v1 select cast(id as int), concat('s', id % 3), 1 from range(30, 40)",
    )
    rows = s.same("version 1, with a void partition field", "v1")
    s.check.superset("spark version 1", s.location("v1"), rows, "site", "=", "s1", lambda r: r.site == "s1")


def spark_migrated(s):
    """Files that Hive or Spark wrote before there was a table: no field ids, partition columns only in paths."""
    path = f"{s.folder}/plain"
    s.session.range(40).selectExpr("cast(id as int) id", "concat('v', id) old", "named_struct('x', id) s", "cast(id % 2 as int) p").write.partitionBy("p").parquet(path)
    s.sql(
        "create table weir.n.migrated (id int, old string, s struct<x:bigint>, p int) using iceberg partitioned by (p)",
        f"call weir.system.add_files(table => 'n.migrated', source_table => '`parquet`.`{path}`')",
        "alter table weir.n.migrated rename column old to renamed",
        "alter table weir.n.migrated add column fresh string",
        "insert into weir.n.migrated values (1000, 'new', named_struct('x', 1L), 7, 'fresh')",
    )
    rows = s.same("migrated files without ids", "migrated")
    s.check.superset("spark migrated", s.location("migrated"), rows, "p", "=", 1, lambda r: r.p == 1)
    s.check.superset("spark migrated", s.location("migrated"), rows, "renamed", "=", "v3", lambda r: r.renamed == "v3")


def spark_equality(s):
    """Equality deletes, which Spark reads and does not write: by Iceberg's own writer."""
    jvm = s.session._jvm
    s.sql(
        "create table weir.n.eq (id int, name string, d double) using iceberg tblproperties ('format-version'='2')",
        "insert into weir.n.eq select cast(id as int), if(id % 4 = 0, null, concat('n', id % 10)), id / 2 from range(100)",
    )

    def delete(table, columns, values, partition=None):
        java = s.java(table)
        schema = java.schema()
        ids = [schema.findField(c).fieldId() for c in columns]
        array = s.session.sparkContext._gateway.new_array(jvm.int, len(ids))
        for i, each in enumerate(ids):
            array[i] = each
        chosen = schema.select(list(columns))
        factory = jvm.org.apache.iceberg.data.GenericAppenderFactory(schema, java.spec(), array, chosen, None)
        name = f"{java.location()}/data/eq-{uuid.uuid4()}.parquet"
        out = jvm.org.apache.iceberg.encryption.EncryptedFiles.encryptedOutput(java.io().newOutputFile(name), jvm.org.apache.iceberg.encryption.EncryptionKeyMetadata.EMPTY)
        writer = factory.newEqDeleteWriter(out, jvm.org.apache.iceberg.FileFormat.PARQUET, partition)
        for each in values:
            record = jvm.org.apache.iceberg.data.GenericRecord.create(chosen)
            for column, value in zip(columns, each):
                record.setField(column, value)
            writer.write(record)
        writer.close()
        java.newRowDelta().addDeletes(writer.toDeleteFile()).commit()

    delete("eq", ["id"], [[3], [5], [4000]])
    s.same("equality deletes by one column", "eq")
    delete("eq", ["name"], [[None], ["n7"]])
    s.same("equality deletes of nulls", "eq")
    s.sql("insert into weir.n.eq values (3, 'back', 1.0), (500, null, 2.0)")
    s.same("rows written after the deletes", "eq")
    delete("eq", ["id", "name"], [[500, None], [1, "other"]])
    s.sql("alter table weir.n.eq rename column name to label")
    rows = s.same("equality deletes by two columns, then renamed", "eq")
    s.sql("alter table weir.n.eq alter column id type bigint")  # Iceberg 1.10 cannot read its own table then
    s.check.same("spark equality deletes by a column that was widened", s.location("eq"), rows)
    s.check.same("spark equality deletes, projected", s.location("eq"), [{"d": r.d} for r in rows], "--columns", "d")


def spark_defaults(s):
    jvm = s.session._jvm
    s.sql(
        "create table weir.n.defaults (id int, s struct<x:int>) using iceberg tblproperties ('format-version'='3')",
        "insert into weir.n.defaults values (1, named_struct('x', 1)), (2, null)",
    )
    types, literal = jvm.org.apache.iceberg.types.Types, jvm.org.apache.iceberg.expressions.Literal
    update = s.java("defaults").updateSchema()
    update.addColumn("n", types.IntegerType.get(), "doc", literal.of(34)).addColumn("t", types.StringType.get(), "doc", literal.of("text"))
    update.addColumn("s", "y", types.StringType.get(), "doc", literal.of("inner")).commit()
    s.sql("insert into weir.n.defaults values (3, named_struct('x', 3, 'y', null), null, 'given')")
    rows = s.same("default values of version 3", "defaults")
    s.check.superset("spark defaults", s.location("defaults"), rows, "n", "=", 34, lambda r: r.n == 34)


def spark_metadata(s):
    s.sql(
        "create table weir.n.meta (id int, at timestamp) using iceberg partitioned by (days(at), bucket(3, id))",
        "insert into weir.n.meta values (1, timestamp'2026-01-01 00:00:00'), (2, timestamp'2026-01-02 00:00:00')",
        "insert into weir.n.meta values (3, timestamp'2026-01-01 00:00:00')",
        "alter table weir.n.meta create tag keep",
        "delete from weir.n.meta where id = 2",
    )
    columns = {
        "snapshots": "committed_at,snapshot_id,parent_id,operation,manifest_list",
        "history": "made_current_at,snapshot_id,parent_id,is_current_ancestor",
        "refs": "name,type,snapshot_id",
        "manifests": "content,path,length,partition_spec_id,added_snapshot_id,added_data_files_count,existing_data_files_count,deleted_data_files_count,partition_summaries",
        "files": "content,file_path,file_format,spec_id,partition,record_count,file_size_in_bytes,split_offsets,equality_ids,sort_order_id",
        "entries": "status,snapshot_id,sequence_number,file_sequence_number",
        "partitions": "partition,spec_id,record_count,file_count,last_updated_snapshot_id",
    }
    for table, names in columns.items():
        rows = s.sql(f"select {names} from weir.n.meta.{table}").collect()
        s.check.same(f"spark metadata table {table}", s.location("meta"), rows, "--metadata", table, "--columns", names)


def run_spark(check):
    with tempfile.TemporaryDirectory() as folder:
        s = Spark(check, folder)
        for case in (spark_types, spark_evolution, spark_partitions, spark_deletes, spark_travel, spark_first_version, spark_migrated, spark_equality, spark_defaults, spark_metadata):
            if check.wants(case.__name__):
                try:
                    case(s)
                except Exception as error:  # a case that its writer cannot do must not hide the others
                    check.report(False, case.__name__, f"{type(error).__name__}: {error}")
        s.session.stop()


# ---- pyiceberg -----------------------------------------------------------------------------------


def pyiceberg_all(check, folder):
    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import DoubleType, LongType, NestedField, StringType, TimestamptzType, UUIDType, IntegerType, TimeType

    catalog = SqlCatalog("weir", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/wh")
    catalog.create_namespace("n")

    def same(name, table, *arguments, **options):
        table.refresh()
        rows = table.scan(**options).to_arrow().to_pylist()
        check.same(f"pyiceberg {name}", table.metadata_location, rows, *arguments)
        return rows

    schema = Schema(
        NestedField(1, "id", IntegerType(), required=False),
        NestedField(2, "site", StringType(), required=False),
        NestedField(3, "at", TimestamptzType(), required=False),
        NestedField(4, "u", UUIDType(), required=False),
        NestedField(5, "t", TimeType(), required=False),
    )
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "site"))
    table = catalog.create_table("n.t", schema, partition_spec=spec)

    def rows(first, count):
        utc = datetime.timezone.utc
        return pa.table(
            {
                "id": pa.array(range(first, first + count), pa.int32()),
                "site": [None if i % 6 == 5 else f"s/{i % 3} x" for i in range(count)],
                "at": pa.array([datetime.datetime(1969, 12, 30, 1, tzinfo=utc) + datetime.timedelta(hours=9 * i) for i in range(count)], pa.timestamp("us", "UTC")),
                "u": pa.array([uuid.UUID(int=i).bytes for i in range(count)], pa.binary(16)).cast(pa.uuid()),
                "t": pa.array([datetime.time(i % 24, 1, 2, 3) for i in range(count)], pa.time64("us")),
            },
        )

    table.append(rows(0, 20))
    there = same("partitioned by text", table)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    check.superset("pyiceberg", table.metadata_location, there, "at", "<", "1970-01-01T00:00:00Z", lambda r: r["at"] < epoch)
    check.superset("pyiceberg", table.metadata_location, there, "site", "=", "s/1 x", lambda r: r["site"] == "s/1 x")
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "early").commit()
    with table.update_schema() as update:
        update.rename_column("site", "place")
        update.update_column("id", LongType())
        update.add_column("extra", DoubleType())
        update.delete_column("u")
    with table.update_spec() as update:
        update.remove_field("site")
        update.add_field("extra", IdentityTransform(), "extra_part")
    more = rows(100, 10).drop_columns(["u"]).rename_columns(["id", "place", "at", "t"])
    more = more.set_column(0, "id", more["id"].cast(pa.int64())).append_column("extra", pa.array([1.5] * 10))
    table.append(more)
    same("renamed, widened, added, dropped; another spec", table)
    table.delete("id >= 3 and id < 6")
    same("deleted", table)
    check.same("pyiceberg tag", table.metadata_location, table.scan(snapshot_id=first).to_arrow().to_pylist(), "--ref", "early")
    code, got, _ = check.run(table.metadata_location, "--limit", "5")
    check.report(code == 0 and len(got) >= 5, f"pyiceberg: limit 5 gives {len(got)} rows")
    empty = catalog.create_table("n.empty", schema)
    same("an empty table", empty)


def run_pyiceberg(check):
    with tempfile.TemporaryDirectory() as folder:
        try:
            pyiceberg_all(check, folder)
        except Exception as error:
            check.report(False, "pyiceberg", f"{type(error).__name__}: {error}")


def main():
    program, *names = sys.argv[1:]
    if os.environ.get("WEIR_ICEBERG_WRITER"):
        check = Check(program, names)
        (run_spark if os.environ["WEIR_ICEBERG_WRITER"] == "spark" else run_pyiceberg)(check)
        print(f"1..{check.number}")
        return 1 if check.failed else 0
    failed = 0
    for writer, group in (("pyiceberg", "judges"), ("spark", "spark")):
        if names and not any(n.startswith(writer) for n in names):
            continue
        setup = HERE.parents[1] / "tools" / "env" / "setup"
        where = subprocess.run([setup, "--where", group], check=True, capture_output=True, text=True).stdout.strip()
        print(f"# {writer}", flush=True)
        failed += subprocess.run([f"{where}/venv/bin/python", __file__, program, *names], env={**os.environ, "WEIR_ICEBERG_WRITER": writer}).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
