"""Compares what `weir query` reads of an Iceberg table with the rows that the table's writer sees."""

import base64
import datetime
import decimal
import json
import math
import os
import pathlib
import struct
import subprocess
import uuid

PROJECT = """version: 1
name: interop
lake: {warehouse: ./wh, catalog: sqlite}
sources: {none: {files: none/*.ndjson, format: json}}
tables: {bronze.none: {source: none, columns: {id: long}}}
"""


def plain(value):
    """A writer's value in a form that both sides can be brought to."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc)
        return value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (int, decimal.Decimal)):
        return decimal.Decimal(value).normalize()
    if isinstance(value, float):
        return None if math.isnan(value) or math.isinf(value) else single(value)  # JSON has no way to say these
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, list):
        if value and all(isinstance(v, tuple) and not hasattr(v, "asDict") for v in value):  # pyarrow's map
            return {str(k): plain(v) for k, v in value}
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "asDict"):  # Spark's Row
        return {k: plain(v) for k, v in zip(value.__fields__, value)}
    raise TypeError(type(value))


def single(value):
    """Fractions as single precision on both sides: a float and a double print differently."""
    value = float(value)
    if value == 0 or abs(value) > 1e30:
        return decimal.Decimal(repr(value)).normalize()
    return decimal.Decimal(repr(struct.unpack("f", struct.pack("f", value))[0])).normalize()


def ours(value, wanted):
    """Weir's JSON value beside the writer's plain one: times are texts."""
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
        return single(value) if value != value.to_integral_value() and abs(value) < 1e6 else value.normalize()
    return value


def wide(row):
    """Decimals and doubles alike: both sides to the same fractions."""
    if isinstance(row, dict):
        return {k: wide(v) for k, v in row.items()}
    if isinstance(row, list):
        return [wide(v) for v in row]
    if isinstance(row, decimal.Decimal) and row != row.to_integral_value() and abs(row) < 1e6:
        return single(row)
    return row


def key(row):
    return json.dumps(row, sort_keys=True, default=str)


class Check:
    """`project`: a folder with weir.yaml. Every answer is asked for twice: as it is, and by the sanitized program with
    three rows a batch on two threads."""

    def __init__(self, project, names):
        self.project, self.names, self.failed = pathlib.Path(project), names, 0
        sanitized = os.environ.get("WEIR_SANITIZED")
        self.programs = [
            (os.environ["WEIR"], {}, []),
            (sanitized if sanitized and os.path.exists(sanitized) else os.environ["WEIR"], {"WEIR_TEST_BATCH_ROWS": "3"}, ["--threads", "2"]),
        ]

    def wants(self, name):
        return not self.names or any(n in name for n in self.names)

    def report(self, good, name, detail=""):
        self.failed += not good
        print(f"ok {name}" if good else f"FAIL {name}: {str(detail)[:1500]}", flush=True)

    def query(self, sql, program=0):
        path, environment, options = self.programs[program]
        done = subprocess.run(
            [path, "query", "-o", "ndjson", *options, sql], cwd=self.project, capture_output=True, timeout=120, env={**os.environ, **environment}
        )
        rows = [json.loads(line, parse_float=decimal.Decimal) for line in done.stdout.splitlines()]
        return done.returncode, rows, done.stderr.decode(errors="replace")

    def same(self, name, sql, rows, twice=True):
        """Every row as the writer sees it, and the columns in its order."""
        rows = [plain(r) for r in rows]
        example = rows[0] if rows else {}
        expected = sorted((wide(r) for r in rows), key=key)
        for program in range(2 if twice else 1):
            code, got, error = self.query(sql, program)
            order = list(got[0]) if got else list(example)
            got = sorted((wide(ours(r, example)) for r in got), key=key)
            if code or got != expected or (rows and order != list(example)):
                missing = [key(r) for r in expected if r not in got][:2]
                surplus = [key(r) for r in got if r not in expected][:2]
                text = f"{sql}: exit {code} {error}{len(expected)} rows wanted, {len(got)} there, missing {missing}, surplus {surplus}, columns {order}"
                self.report(False, name, text.replace("\n", " | "))
                return
        self.report(True, f"{name}: {len(expected)} rows")

    def told(self, name, sql, *parts):
        """An error that names these."""
        code, _, error = self.query(sql)
        self.report(code not in (0, -11, -6) and all(p in error for p in parts), name, f"exit {code} {error}")
