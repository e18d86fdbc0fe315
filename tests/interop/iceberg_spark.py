"""Iceberg tables that Spark writes, read by Weir: the rows are those that Spark sees, at the head and at every snapshot.

usage: iceberg_spark.py FOLDER [CASE...]    (WEIR: the program); prints ok and FAIL lines
"""

import os
import pathlib
import sys
import time
import uuid

from iceberg_check import PROJECT, Check
from spark_session import spark_session

FULL = os.environ.get("WEIR_FULL")
MERGE_ON_READ = "'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read', 'write.merge.mode'='merge-on-read'"


class Spark:
    def __init__(self, check, folder):
        self.check, self.folder = check, folder
        self.session = spark_session(f"{folder}/wh/catalog.db", f"{folder}/wh")
        self.session.conf.set("spark.sql.adaptive.enabled", "false")
        self.session.conf.set("spark.sql.shuffle.partitions", "1")
        self.jvm = self.session._jvm
        self.sql("create namespace weir.n")

    def sql(self, *texts):
        for text in texts:
            result = self.session.sql(text)
        return result

    def java(self, table):
        return self.jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(self.session._jsparkSession, f"weir.n.{table}")

    def same(self, name, table, version="", ours=None, what="*", twice=True):
        rows = self.sql(f"select {what} from weir.n.{table} {version}").collect()
        self.check.same(f"spark {name}", f"select {what} from n.{table} {version if ours is None else ours}", rows, twice)
        return rows

    def where(self, name, table, *conditions):
        """Spark tells of every row what holds; what Weir's predicates skip must not be rows."""
        told = ", ".join(f"coalesce({each}, false) as told{i}" for i, each in enumerate(conditions))
        rows = [r.asDict() for r in self.sql(f"select *, {told} from weir.n.{table}").collect()]
        for i, each in enumerate(conditions):
            wanted = [{k: v for k, v in r.items() if not k.startswith("told")} for r in rows if r[f"told{i}"]]
            self.check.same(f"spark {name} where {each}", f"select * from n.{table} where {each}", wanted, twice=False)

    def history(self, name, table):
        """Every snapshot (three of them, unless in full), tag and branch that there is."""
        snapshots = self.sql(f"select snapshot_id from weir.n.{table}.snapshots order by committed_at").collect()
        if not FULL:
            snapshots = {snapshots[len(snapshots) * i // 3] for i in range(3)}
        for row in snapshots:
            self.same(f"{name} at a snapshot", table, f"version as of {row[0]}", f"for version as of {row[0]}", twice=False)
        for row in self.sql(f"select name from weir.n.{table}.refs where name != 'main'").collect():
            self.same(f"{name} at {row[0]}", table, f"version as of '{row[0]}'", f"for version as of '{row[0]}'", twice=False)

    def equality_delete(self, table, columns, values, partition=None, spec=None):
        """Spark reads equality deletes and does not write them: by Iceberg's own writer. Columns may be fields of structs."""
        jvm, java = self.jvm, self.java(table)
        schema = java.schema()
        ids = self.session.sparkContext._gateway.new_array(jvm.int, len(columns))
        for i, each in enumerate(columns):
            ids[i] = schema.findField(each).fieldId()
        chosen = schema.select(list(columns))
        spec = java.spec() if spec is None else java.specs().get(spec)
        factory = jvm.org.apache.iceberg.data.GenericAppenderFactory(schema, spec, ids, chosen, None)
        out = jvm.org.apache.iceberg.encryption.EncryptedFiles.encryptedOutput(
            java.io().newOutputFile(f"{java.location()}/data/eq-{uuid.uuid4()}.parquet"), jvm.org.apache.iceberg.encryption.EncryptionKeyMetadata.EMPTY
        )
        where = None
        if partition is not None:
            where = jvm.org.apache.iceberg.PartitionData(spec.partitionType())
            for i, each in enumerate(partition):
                where.set(i, each)
        writer = factory.newEqDeleteWriter(out, jvm.org.apache.iceberg.FileFormat.PARQUET, where)
        for each in values:
            record = jvm.org.apache.iceberg.data.GenericRecord.create(chosen)
            for column, value in zip(columns, each):
                at = record
                *outer, last = column.split(".")
                for depth, name in enumerate(outer):
                    inner = jvm.org.apache.iceberg.data.GenericRecord.create(chosen.findType(".".join(outer[: depth + 1])).asStructType())
                    at.setField(name, inner)
                    at = inner
                at.setField(last, value)
            writer.write(record)
        writer.close()
        java.newRowDelta().addDeletes(writer.toDeleteFile()).commit()


def types(s):
    s.sql(
        """create table weir.n.types (b boolean, i int, l bigint, f float, d double, p decimal(9,2), q decimal(38,10), s string,
           y binary, day date, at timestamp, local timestamp_ntz, a array<int>, m map<string,bigint>, r struct<x:int,n:struct<z:string>>,
           aa array<array<struct<k:string,v:decimal(5,1)>>>, mm map<int,map<string,array<date>>>) using iceberg""",
        """insert into weir.n.types values (true, 1, 2, 1.5, 2.5, 1.25, 12345678901234567890.123, 'é', X'00ff', date'2026-11-23',
           timestamp'2026-11-23 10:00:00.123456', timestamp_ntz'1969-12-31 23:59:59.5', array(1,null,3), map('k', 1L, 'j', null),
           named_struct('x', 1, 'n', named_struct('z', 'deep')), array(array(named_struct('k','k','v',1.5), null), null, array()),
           map(1, map('a', array(date'0001-01-01', null)), 2, null)),
           (null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null),
           (false,-1,-2,float('nan'),double('infinity'),-1.25,0,'',X'',date'1969-12-31',timestamp'1969-12-31 00:00:00',null,array(),map(),
            named_struct('x',null,'n',null), array(), map())""",
    )
    s.same("types", "types")
    s.where("types", "types", "b", "i = -1", "q > 1", "day < date '1970-01-01'", "at >= timestamp '2026-11-23 10:00:00.123456'", "s = ''", "r.n.z = 'deep'", "f is null", "p in (1.25, 7)")
    for codec in ("uncompressed", "snappy", "gzip", "zstd", "lz4") if FULL else ("zstd", "lz4"):
        s.sql(
            f"create table weir.n.codec_{codec} using iceberg tblproperties ('write.parquet.compression-codec'='{codec}', 'write.metadata.compression-codec'='gzip', "
            f"'write.parquet.bloom-filter-enabled.column.s'='true', 'write.parquet.page-row-limit'='100', 'write.parquet.row-group-size-bytes'='20000') "
            f"as select id, concat('s', id * 7919 % 3000) as s, if(id % 3 = 0, null, id / 4) as d from range(3000)"
        )
        s.same(f"codec {codec}, metadata in gzip", f"codec_{codec}", twice=False)
    s.where("bloom filter", "codec_zstd", "s = 's77'", "s = 'nobody'", "id between 1000 and 1010", "d is null and id < 20")


def evolution(s):
    s.sql(
        """create table weir.n.evolve (id int, a string, b int, gone string, f float, p decimal(9,2), s struct<x:int,y:string>,
           l array<struct<p:int,q:string>>, m map<string,struct<u:int>>, li array<int>, mi map<int,float>) using iceberg""",
        """insert into weir.n.evolve select cast(id as int), concat('a', id), cast(id as int), 'g', cast(id as float) / 4, cast(id as decimal(9,2)),
           named_struct('x', cast(id as int), 'y', 'y'), array(named_struct('p', cast(id as int), 'q', 'q')), map('k', named_struct('u', cast(id as int))),
           array(1, cast(id as int)), map(1, cast(id as float)) from range(20)""",
        "alter table weir.n.evolve rename column a to name",
        "alter table weir.n.evolve alter column b type bigint",
        "alter table weir.n.evolve alter column f type double",
        "alter table weir.n.evolve alter column p type decimal(18,2)",
        "alter table weir.n.evolve drop column gone",
        "alter table weir.n.evolve add column gone int",
        "alter table weir.n.evolve add column extra double after id",
    )
    s.same("renamed, widened, dropped, added", "evolve")
    s.sql(
        "alter table weir.n.evolve add column s.z string",
        "alter table weir.n.evolve rename column s.x to xx",
        "alter table weir.n.evolve alter column s.xx type bigint",
        "alter table weir.n.evolve drop column s.y",
        "alter table weir.n.evolve add column l.element.r int",
        "alter table weir.n.evolve alter column l.element.p type bigint",
        "alter table weir.n.evolve rename column l.element.q to qq",
        "alter table weir.n.evolve add column m.value.w string",
        "alter table weir.n.evolve alter column m.value.u type bigint",
        "alter table weir.n.evolve alter column li.element type bigint",
        "alter table weir.n.evolve alter column mi.value type double",
        "alter table weir.n.evolve alter column m first",
        "alter table weir.n.evolve alter column id after s",
        "alter table weir.n.evolve alter column s.z first",
    )
    s.same("structs, elements and values of maps changed; columns reordered", "evolve")
    s.sql(
        """insert into weir.n.evolve (id, extra, name, b, f, p, s, l, m, gone, li, mi) values (100, 1.5, 'new', 5000000000, 1.1, 12.50,
           named_struct('z', 'z', 'xx', 5000000000), array(named_struct('p', 5000000000, 'qq', 'q', 'r', 7)),
           map('k', named_struct('u', 5000000000, 'w', 'w')), 42, array(5000000000), map(1, 1.1D)),
           (101, null, null, null, null, null, null, null, null, null, null, null)""",
    )
    s.same("and rows of the new schema", "evolve")
    s.where("evolution", "evolve", "b = 7", "b > 4000000000", "name = 'new'", "gone is null", "gone is not null", "f <= 1.0", "p >= 12.50", "s.xx = 3", "s.z is null", "extra > 1", "b in (3, 5000000000)")
    s.same("evolution, some columns", "evolve", what="gone, s.xx as x, l, id")
    s.history("evolution", "evolve")
    s.sql(
        "create table weir.n.swap (a int, b string, c struct<a:int,b:int>) using iceberg",
        "insert into weir.n.swap values (1, 'one', named_struct('a', 10, 'b', 20))",
        "alter table weir.n.swap rename column a to t", "alter table weir.n.swap rename column b to a", "alter table weir.n.swap rename column t to b",
        "alter table weir.n.swap rename column c.a to t", "alter table weir.n.swap rename column c.b to a", "alter table weir.n.swap rename column c.t to b",
        "insert into weir.n.swap values (2, 'two', named_struct('b', 30, 'a', 40))",
        "alter table weir.n.swap drop column c", "alter table weir.n.swap add column c struct<a:int,b:int>",
        "insert into weir.n.swap values (3, 'three', named_struct('a', 1, 'b', 2))",
    )
    s.same("names that changed places, and one that came back", "swap")
    s.history("names that changed places", "swap")


def partitions(s):
    insert = """insert into weir.n.part select cast(id + {0} as int), timestamp'2026-01-01 00:00:00' + make_interval(0,0,0,(cast(id as int) - 15) div 2,0,0,0),
                concat('site', id % 5), id * 10, date'1969-12-20' + cast(id as int), cast(id as decimal(9,2)) / 4 - 3, named_struct('x', cast(id % 4 as int)) from range(30)"""
    s.sql(
        """create table weir.n.part (id int, at timestamp, site string, big bigint, day date, price decimal(9,2), s struct<x:int>) using iceberg
           partitioned by (days(at), s.x)""",
        insert.format(0),
        "alter table weir.n.part add partition field bucket(4, id)",
        insert.format(100),
        "alter table weir.n.part drop partition field days(at)",
        "alter table weir.n.part drop partition field s.x",
        "alter table weir.n.part add partition field site",
        insert.format(200),
        "alter table weir.n.part replace partition field site with truncate(5, site)",
        "alter table weir.n.part add partition field months(at)",
        "alter table weir.n.part add partition field truncate(100, big)",
        insert.format(300),
        "alter table weir.n.part replace partition field months(at) with years(day)",
        "alter table weir.n.part replace partition field truncate(100, big) with truncate(2, price)",
        "alter table weir.n.part add partition field bucket(3, day)",
        insert.format(400),
        "insert into weir.n.part values (null, null, null, null, null, null, null)",
    )
    s.same("changed partition specs", "part")
    s.where("partitions", "part", "id = 107", "site = 'site3'", "site is null", "big < 100", "at > timestamp '2026-01-10 00:00:00'", "day = date '1969-12-31'",
            "day < date '1970-01-01'", "price between -1 and 1", "price = -2.75", "s.x = 2", "site like 'site4%'", "site = 'nowhere'", "id in (3, 203, 403)", "not (site = 'site1')")
    s.sql("delete from weir.n.part where site = 'site2' and id > 150", "call weir.system.rewrite_manifests('n.part')", "call weir.system.rewrite_data_files(table => 'n.part', options => map('rewrite-all', 'true'))")
    s.same("partitions, rewritten", "part")
    s.history("partitions", "part")


def deletes(s):
    for version, what in ((2, "position deletes"), (3, "deletion vectors")):
        for spec, name, granularity in (("", "flat", "file"), ("partitioned by (k)", "cut", "partition")):
            table = f"mor{version}{name}"
            if table == "mor3cut" and not FULL:
                continue
            s.sql(
                f"create table weir.n.{table} (id int, k int, v string) using iceberg {spec} tblproperties ('format-version'='{version}', "
                f"'write.delete.granularity'='{granularity}', 'write.parquet.row-group-size-bytes'='8000', 'write.parquet.page-row-limit'='200', {MERGE_ON_READ})",
                f"insert into weir.n.{table} select /*+ coalesce(1) */ cast(id as int), cast(id % 3 as int), concat('v', id) from range(5000)",
                f"insert into weir.n.{table} select /*+ coalesce(1) */ cast(id + 10000 as int), cast(id % 3 as int), concat('v', id) from range(2000)",
                f"delete from weir.n.{table} where id % 7 = 0",
                f"update weir.n.{table} set v = 'updated' where id % 100 = 1",
                f"delete from weir.n.{table} where id between 1000 and 2500",
                f"insert into weir.n.{table} values (7, 0, 'again'), (14, 1, 'again')",
                f"alter table weir.n.{table} rename column v to w",
                f"delete from weir.n.{table} where w = 'v17'",
            )
            found = s.sql(f"select file_format from weir.n.{table}.delete_files").collect()
            s.check.report(found and {r[0] for r in found} == {"PUFFIN" if version == 3 else "PARQUET"}, f"spark wrote {what}", found)
            s.same(f"{what}, {name}", table)
            s.where(what, table, "id > 9990", "w = 'again'", "k = 1 and id % 100 = 1")
            s.same(f"{what}, counted", table, what="count(*) as n")
            s.history(what, table)
    merge = "merge into weir.n.mor2cut t using (select cast(id as int) as id from range(0, 4000, 500)) s on t.id = s.id when matched then update set w = 'merged' when not matched then insert (id, k, w) values (s.id, 9, 'inserted')"
    s.sql(
        merge,
        "alter table weir.n.mor2cut set tblproperties ('format-version'='3')",
        "delete from weir.n.mor2cut where id % 11 = 0",
    )
    s.same("position deletes, then deletion vectors of version 3", "mor2cut")
    s.sql("alter table weir.n.mor2cut add partition field bucket(2, id)", "delete from weir.n.mor2cut where id % 13 = 0", "insert into weir.n.mor2cut values (13, 1, 'x'), (26, 2, 'y')",
          "delete from weir.n.mor2cut where id = 26 and w = 'y'")
    s.same("deletion vectors in two specs", "mor2cut")
    s.sql("call weir.system.rewrite_position_delete_files(table => 'n.mor2flat', options => map('rewrite-all', 'true'))", "call weir.system.rewrite_data_files('n.mor2cut')")
    s.same("rewritten position deletes", "mor2flat")
    s.same("rewritten after both", "mor2cut")


def travel(s):
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
    s.same("head", "travel")
    s.history("travel", "travel")
    for row in s.sql("select committed_at from weir.n.travel.snapshots order by committed_at").collect()[:3]:
        s.same("at a time", "travel", f"timestamp as of '{row[0]}'", f"for timestamp as of '{row[0]}'")
    s.check.told("spark: an unknown ref is told with those there are", "select * from n.travel for version as of 'nobody'", "nobody", "first")
    first = s.sql("select snapshot_id from weir.n.travel.refs where name = 'first'").collect()[0][0]
    s.sql(f"call weir.system.rollback_to_snapshot('n.travel', {first})", "insert into weir.n.travel values (5, 'five', 5)")
    s.same("rolled back", "travel")
    s.history("rolled back", "travel")
    rows = s.sql("select made_current_at, snapshot_id, is_current_ancestor from weir.n.travel.history").collect()
    s.check.same("spark history of a rolled back table", "select made_current_at, snapshot_id, is_current_ancestor from n.travel.history", rows)
    s.sql("call weir.system.fast_forward('n.travel', 'kept', 'main')", f"call weir.system.expire_snapshots(table => 'n.travel', older_than => timestamp '2100-01-01 00:00:00', retain_last => 1)")
    s.same("snapshots expired", "travel")
    s.history("snapshots expired", "travel")
    s.sql("truncate table weir.n.travel")
    s.same("truncated", "travel")


def first_version(s):
    s.sql(
        "create table weir.n.v1 (id int, site string, b int) using iceberg partitioned by (site) tblproperties ('format-version'='1')",
        "insert into weir.n.v1 select cast(id as int), concat('s', id % 3), 1 from range(30)",
        "delete from weir.n.v1 where id = 4",
        "alter table weir.n.v1 drop partition field site",
        "insert into weir.n.v1 select cast(id as int), concat('s', id % 3), 1 from range(30, 40)",
        "alter table weir.n.v1 add partition field bucket(2, id)",
        "insert into weir.n.v1 select cast(id as int), null, 2 from range(40, 45)",
    )
    s.same("version 1, with a void partition field", "v1")
    s.where("version 1", "v1", "site = 's1'", "id = 33", "site is null")
    s.sql(f"alter table weir.n.v1 set tblproperties ('format-version'='2', {MERGE_ON_READ})", "delete from weir.n.v1 where id % 4 = 1")
    s.same("version 1 made 2, and deletes", "v1")
    s.history("version 1 made 2", "v1")


def migrated(s):
    """Files that Hive or Spark wrote before there was a table: no field ids, partition columns only in paths."""
    path = f"{s.folder}/plain"
    s.session.range(40).selectExpr(
        "cast(id as int) id", "concat('v', id) old", "named_struct('x', id, 'y', array(named_struct('z', id))) s", "map('k', named_struct('w', id)) m", "cast(id % 2 as int) p"
    ).write.partitionBy("p").parquet(path)
    s.sql(
        "create table weir.n.migrated (id int, old string, s struct<x:bigint,y:array<struct<z:bigint>>>, m map<string,struct<w:bigint>>, p int) using iceberg partitioned by (p)",
        f"call weir.system.add_files(table => 'n.migrated', source_table => '`parquet`.`{path}`')",
        "alter table weir.n.migrated rename column old to renamed",
        "alter table weir.n.migrated rename column s.x to xx",
        "alter table weir.n.migrated rename column s.y.element.z to zz",
        "alter table weir.n.migrated rename column m.value.w to ww",
        "alter table weir.n.migrated alter column id type bigint",
        "alter table weir.n.migrated add column fresh string",
        "insert into weir.n.migrated values (1000, 'new', named_struct('xx', 1L, 'yy', array()), map(), 7, 'fresh')",
    )
    s.same("migrated files without ids", "migrated")
    s.where("migrated", "migrated", "p = 1", "renamed = 'v3'", "s.xx = 5", "id >= 38", "fresh is null")
    s.sql(f"alter table weir.n.migrated set tblproperties ({MERGE_ON_READ}, 'format-version'='2')", "delete from weir.n.migrated where id % 5 = 0", "alter table weir.n.migrated drop column renamed")
    s.same("migrated, then deleted from", "migrated")


def equality(s):
    s.sql(
        "create table weir.n.eq (id int, name string, d double) using iceberg tblproperties ('format-version'='2')",
        "insert into weir.n.eq select cast(id as int), if(id % 4 = 0, null, concat('n', id % 10)), id / 2 from range(100)",
    )
    s.equality_delete("eq", ["id"], [[3], [5], [4000]])
    s.same("equality deletes by one column", "eq")
    s.equality_delete("eq", ["name"], [[None], ["n7"]])
    s.same("equality deletes of nulls", "eq")
    s.sql("insert into weir.n.eq values (3, 'back', 1.0), (500, null, 2.0)")
    s.same("rows written after the deletes", "eq")
    s.equality_delete("eq", ["id", "name"], [[500, None], [1, "other"]])
    s.sql("alter table weir.n.eq rename column name to label")
    rows = s.same("equality deletes by two columns, then renamed", "eq")
    s.same("equality deletes, projected", "eq", what="d")
    s.where("equality deletes", "eq", "id < 10", "label is null", "d > 40")
    s.history("equality deletes", "eq")
    s.sql("alter table weir.n.eq alter column id type bigint")  # Iceberg 1.10 cannot read its own table then
    s.check.same("spark equality deletes by a column that was widened", "select * from n.eq", rows)
    s.sql(
        f"create table weir.n.eqcut (id int, k int, s struct<x:int,y:string>, day date) using iceberg partitioned by (k) tblproperties ('format-version'='2', {MERGE_ON_READ})",
        "insert into weir.n.eqcut select cast(id as int), cast(id % 3 as int), named_struct('x', cast(id % 7 as int), 'y', 'y'), date'2026-01-01' + cast(id as int) from range(100)",
    )
    s.equality_delete("eqcut", ["id"], [[1], [2], [3], [4]], partition=[1])
    s.same("equality deletes of one partition", "eqcut")
    s.sql("delete from weir.n.eqcut where id % 10 = 9")
    s.same("equality and position deletes", "eqcut")
    s.sql("alter table weir.n.eqcut drop partition field k", "insert into weir.n.eqcut values (50, 0, null, date'2026-01-01'), (51, 0, null, date'2026-01-02')")
    s.equality_delete("eqcut", ["id"], [[50], [7]])
    s.same("equality deletes of every partition", "eqcut")
    java = s.java("eqcut").updateSchema()
    java.deleteColumn("day").commit()
    s.sql("insert into weir.n.eqcut values (50, 3, null)")
    s.same("a column dropped, a row come back", "eqcut")
    s.sql("alter table weir.n.eqcut set tblproperties ('format-version'='3')", "delete from weir.n.eqcut where id % 10 = 8")
    s.same("equality deletes and deletion vectors", "eqcut")
    s.history("equality deletes, partitioned", "eqcut")
    s.sql("create table weir.n.eqdeep (id int, s struct<x:int,y:struct<z:string>>) using iceberg tblproperties ('format-version'='2')",
          "insert into weir.n.eqdeep select cast(id as int), if(id = 9, null, named_struct('x', cast(id % 3 as int), 'y', named_struct('z', concat('z', id)))) from range(10)")
    rows = s.same("before deletes by fields of structs", "eqdeep")
    s.equality_delete("eqdeep", ["s.y.z"], [["z4"], ["z5"]])
    s.equality_delete("eqdeep", ["s.x", "id"], [[2, 2], [1, 2]])
    rows = [r for r in rows if r.id not in (2, 4, 5)]  # Iceberg 1.10 cannot read what its own writer made
    for columns, take in (("*", lambda r: r.asDict(True)), ("id", lambda r: {"id": r.id}), ("s", lambda r: {"s": r.s}), ("s.y.z as z, id", lambda r: {"z": r.s and r.s.y.z, "id": r.id})):
        s.check.same(f"spark equality deletes by fields of structs, {columns}", f"select {columns} from n.eqdeep", [take(r) for r in rows])


def third_version(s):
    kind, literal = s.jvm.org.apache.iceberg.types.Types, s.jvm.org.apache.iceberg.expressions.Literal
    s.sql(
        "create table weir.n.defaults (id int, s struct<x:int>) using iceberg tblproperties ('format-version'='3')",
        "insert into weir.n.defaults values (1, named_struct('x', 1)), (2, null)",
    )
    update = s.java("defaults").updateSchema()
    update.addColumn("n", kind.IntegerType.get(), "doc", literal.of(34)).addColumn("t", kind.StringType.get(), "doc", literal.of("text"))
    update.addColumn("s", "y", kind.StringType.get(), "doc", literal.of("inner")).commit()
    s.sql("insert into weir.n.defaults values (3, named_struct('x', 3, 'y', null), null, 'given')")
    rows = s.same("default values", "defaults")
    for where, test in (("n = 34", lambda r: r.n == 34), ("n is null", lambda r: r.n is None), ("t = 'text'", lambda r: r.t == "text"), ("s.y = 'inner'", lambda r: r.s and r.s.y == "inner")):
        # Iceberg 1.10 skips rows by what a file does not have
        s.check.same(f"spark default values where {where}", f"select * from n.defaults where {where}", [r for r in rows if test(r)])
    s.sql("create table weir.n.strange (id int, was string) using iceberg tblproperties ('format-version'='3')", "insert into weir.n.strange values (1, 'x')")
    update = s.java("strange").updateSchema()
    update.addColumn("nano", kind.TimestampNanoType.withZone()).addColumn("any", kind.VariantType.get()).commit()
    s.check.same("spark: columns that Weir cannot read are left out", "select * from n.strange", [{"id": 1, "was": "x"}])
    s.check.told("spark: their type is named to who asks: timestamptz_ns", "select nano from n.strange", "nano", "timestamptz_ns")
    s.check.told("spark: their type is named to who asks: variant", "select t.any from n.strange t where id = 1", "any", "variant")


def formats(s):
    for form in ("avro", "orc"):
        s.sql(f"create table weir.n.{form} (id int) using iceberg tblproperties ('write.format.default'='{form}')", f"insert into weir.n.{form} values (1)")
        s.check.told(f"spark: a table of {form} files is refused by name", f"select * from n.{form}", form.upper(), "Parquet")
    s.sql(
        "create table weir.n.names (`Id` int, `with space` string, `dotted.name` int, `Größe` double, `select` int) using iceberg partitioned by (`with space`)",
        "insert into weir.n.names values (1, 'a/b c=%', 2, 1.5, 3), (2, '', 4, 2.5, 5), (3, null, 6, null, null)",
    )
    s.same("odd names", "names")
    rows = s.sql("select `Id`, `dotted.name`, `Größe`, `select` from weir.n.names where `with space` = 'a/b c=%'").collect()
    s.check.same("spark odd names, asked for", 'select "Id", "dotted.name", "Größe", "select" from n.names where "with space" = \'a/b c=%\'', rows)
    rows = s.sql("select * from weir.n.names where `Größe` > 2").collect()
    s.check.same("spark odd names, compared", 'select * from n.names where "Größe" > 2', rows)


def metadata(s):
    s.sql(
        f"create table weir.n.meta (id int, at timestamp) using iceberg partitioned by (days(at), bucket(3, id)) tblproperties ('format-version'='2', {MERGE_ON_READ})",
        "insert into weir.n.meta select cast(id as int), timestamp'2026-01-01 00:00:00' + make_interval(0,0,0,cast(id % 2 as int),0,0,0) from range(12)",
        "insert into weir.n.meta values (3, timestamp'2026-01-01 00:00:00')",
        "alter table weir.n.meta create tag keep",
        "delete from weir.n.meta where id = 2",
        "delete from weir.n.meta where id = 1",
    )
    columns = {
        "snapshots": "*",
        "history": "*",
        "refs": "*",
        "manifests": "*",
        "metadata_log_entries": "*",
        "files": "content,file_path,file_format,spec_id,partition,record_count,file_size_in_bytes,column_sizes,value_counts,null_value_counts,split_offsets,equality_ids,sort_order_id",
        "data_files": "content,file_path,record_count",
        "delete_files": "content,file_path,record_count",
        "entries": "status,snapshot_id,sequence_number,file_sequence_number",
        "partitions": "*",
    }
    for table, names in columns.items():
        s.same(f"metadata table {table}", f"meta.{table}", what=names, twice=False)


CASES = (types, evolution, partitions, deletes, travel, first_version, migrated, equality, third_version, formats, metadata)


def main():
    folder, *names = sys.argv[1:]
    (pathlib.Path(folder) / "wh").mkdir(parents=True)
    (pathlib.Path(folder) / "weir.yaml").write_text(PROJECT)
    check = Check(folder, names)
    s = Spark(check, folder)
    for case in CASES:
        if not check.wants(case.__name__):
            continue
        started = time.monotonic()
        try:
            case(s)
        except Exception as error:  # a case that its writer cannot do must not hide the others
            check.report(False, f"spark {case.__name__}", f"{type(error).__name__}: {str(error)[:800]}")
        print(f"# {case.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    s.session.stop()
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
