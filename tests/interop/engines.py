"""Foreign readers of an Iceberg table, each giving its whole content as an Arrow table."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet

os.environ.setdefault(
    "POLARS_ICEBERG_PLANNER", "pyiceberg"
)  # it plans; reading the files is Polars' own
HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "weir"


@dataclass
class Place:
    """Where tables live: a sqlite catalog, or nothing but locations; and an S3 endpoint or the local disk."""

    catalog: str = ""
    endpoint: str = ""
    key: str = "testkey"
    secret: str = "testsecret123"
    region: str = "us-east-1"
    ca: str = ""

    def s3_properties(self):
        if not self.endpoint:
            return {}
        return {
            "s3.endpoint": self.endpoint,
            "s3.access-key-id": self.key,
            "s3.secret-access-key": self.secret,
            "s3.region": self.region,
            "s3.path-style-access": "true",
            "s3.force-virtual-addressing": "false",
        }


def load_table(place, table):
    """pyiceberg's table: by name from the sqlite catalog, by metadata file, or by the table's folder (highest version)."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import StaticTable

    if place.catalog and not table.endswith(".metadata.json"):
        catalog = SqlCatalog("weir", uri=f"sqlite:///{place.catalog}", **place.s3_properties())
        return catalog.load_table(table)
    if not table.endswith(".metadata.json"):
        table = newest_metadata(place, table)
    return StaticTable.from_metadata(table, properties=place.s3_properties())


def newest_metadata(place, location):
    from pyarrow import fs

    if location.startswith("s3://"):
        scheme, _, host = place.endpoint.partition("://")
        files = fs.S3FileSystem(
            access_key=place.key,
            secret_key=place.secret,
            region=place.region,
            endpoint_override=host,
            scheme=scheme,
        )
        folder = location.removeprefix("s3://").rstrip("/") + "/metadata"
    else:
        files, folder = fs.LocalFileSystem(), os.path.join(
            location.removeprefix("file://"), "metadata"
        )
    versions = {}
    for info in files.get_file_info(fs.FileSelector(folder)):
        found = re.fullmatch(r"v(\d+)\.metadata\.json", info.base_name)
        if found:
            versions[int(found.group(1))] = info.base_name
    if not versions:
        raise FileNotFoundError(f"no v*.metadata.json in {folder}")
    return f"{location.rstrip('/')}/metadata/{versions[max(versions)]}"


def local_path(location):
    return (
        urllib.parse.unquote(location.removeprefix("file://"))
        if location.startswith("file:")
        else location
    )


def read_pyiceberg(place, table):
    return table.scan().to_arrow()


def duckdb_connection(place):
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg", *(("httpfs",) if place.endpoint else ())):
        package = __import__(f"duckdb_extension_{name}")
        found = list(
            pathlib.Path(package.__file__).parent.glob(
                f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
            )
        )
        if not found:
            raise RuntimeError(f"no {name} extension for DuckDB {duckdb.__version__}")
        connection.execute(f"load '{found[0]}'")
    connection.execute("set timezone = 'UTC'")
    if place.endpoint:
        scheme, _, host = place.endpoint.partition("://")
        connection.execute(
            f"""create secret (type s3, key_id '{place.key}', secret '{place.secret}', region '{place.region}',
                               endpoint '{host}', url_style 'path', use_ssl {'true' if scheme == 'https' else 'false'})"""
        )
    return connection


def read_duckdb(place, table):
    answer = duckdb_connection(place).execute(
        "select * from iceberg_scan(?)", [local_path(table.metadata_location)]
    )
    return (
        answer.to_arrow_table() if hasattr(answer, "to_arrow_table") else answer.fetch_arrow_table()
    )


def read_polars(place, table):
    import polars

    options = {}
    if place.endpoint:
        options = {
            "aws_endpoint_url": place.endpoint,
            "aws_access_key_id": place.key,
            "aws_secret_access_key": place.secret,
            "aws_region": place.region,
            "aws_allow_http": "true",
            "aws_virtual_hosted_style_request": "false",
        }
    # The native reader: the other one is pyiceberg's, which judges already.
    frame = polars.scan_iceberg(
        table, storage_options=options or None, reader_override="native"
    ).collect()
    return frame.to_arrow()


def run_spark(script, place, arguments):
    """Runs a script of ours in the Python that has Spark; its error is ours."""
    python = CACHE / "spark" / "venv" / "bin" / "python"
    if not python.exists():
        raise RuntimeError("Spark is not installed: tools/env/setup spark")
    environment = {
        **os.environ,
        "WEIR_S3_ENDPOINT": place.endpoint,
        "AWS_ACCESS_KEY_ID": place.key,
        "AWS_SECRET_ACCESS_KEY": place.secret,
        "AWS_REGION": place.region,
    }
    done = subprocess.run(
        [python, HERE / script, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(
            f"{script} failed:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        )
    return done.stdout


def read_spark(place, tables):
    """Many tables in one session, since its start takes longer than the reading: {name: Arrow table}."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = [
            f"{number}={table.metadata_location}" for number, table in enumerate(tables.values())
        ]
        run_spark("spark_read.py", place, [folder, *wanted])
        return {
            name: pyarrow.parquet.read_table(f"{folder}/{number}")
            for number, name in enumerate(tables)
        }


READERS = {"pyiceberg": read_pyiceberg, "duckdb": read_duckdb, "polars": read_polars}

if sys.version_info < (3, 11):
    raise SystemExit("needs the Python that tools/env/setup judges installs")
