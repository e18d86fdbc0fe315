"""Seeds for the fuzzers of what users send: FOLDER/{csv,avro,http_body}_fuzz get small inputs as each target reads them."""

import gzip
import json
import pathlib
import struct
import sys

folder = pathlib.Path(sys.argv[1])


def put(target, name, content):
    (folder / target).mkdir(parents=True, exist_ok=True)
    (folder / target / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# -- csv_fuzz: a file ---------------------------------------------------------------------------------------------------

CSV = {
    "types": "a,b,c,d,e\n1,-2.5,true,2026-11-24,2026-11-24T01:02:03.004Z\n,,,,\n9223372036854775807,1e308,false,0001-01-01,x\n",
    "quotes": 'name,text\r\n"a ""b"" c","two\r\nlines"\r\n"",NULL\r\nplain,"open\r\n',
    "semicolons": "\ufeffid;wert\n1;3,14\n2;\"a;b\"\n",
    "tabs": "id\tvalue\n1\tα\n2\t\U0001f600\n",
    "pipes": "1|2|3\n4|5\n6|7|8|9\n",
    "no_header": "1,2\n3,4\n5,6",
    "alone": "x\n1\n2\n3\n",
    "empty_lines": "\n\n,\n\n\"\"\n",
}
for name, text in CSV.items():
    put("csv_fuzz", name, text)
put("csv_fuzz", "latin1", "stra\xdfe,\xfc\n1,\xe9\n".encode("latin1"))

# -- avro_fuzz: a schema, NUL, a record of it; or a container file ------------------------------------------------------


def number(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return number(len(value)) + value


def record(*fields, name="r"):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


def logical(type_, name, **more):
    return {"type": type_, "logicalType": name, **more}


AVRO = {
    "plain": (record(("a", "boolean"), ("b", "int"), ("c", "long"), ("d", "float"), ("e", "double"), ("k", "string"), ("n", "bytes")),
              b"\x01" + number(-7) + number(1 << 62) + struct.pack("<fd", 1.5, -0.0) + text("stra\u00dfe") + text(b"\0\xff")),
    "unions": (record(("b", ["null", "int"]), ("c", ["long", "null"]), ("k", ["null", "string"])), number(1) + number(3) + number(1) + number(0)),
    "times": (record(("f", logical("bytes", "decimal", precision=9, scale=2)), ("g", logical("int", "date")), ("h", logical("long", "time-micros")),
                     ("i", logical("long", "local-timestamp-millis")), ("j", logical("long", "timestamp-micros")), ("l", logical("string", "uuid"))),
              text(b"\xff\x85") + number(20781) + number(86399999999) + number(-1) + number(1795480587199000) + text("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
    "nested": (record(("o", {"type": "array", "items": "long"}), ("p", {"type": "map", "values": record(("x", "int"), ("y", {"type": "array", "items": "string"}), name="s")}),
                      ("q", record(("x", "double"), ("z", record(("w", "string"), name="u")), name="t"))),
               number(2) + number(1) + number(2) + number(0)  # a block of an array, and its end
               + number(-1) + number(9) + text("key") + number(5) + number(1) + text("v") + number(0) + number(0)  # one that tells its size
               + struct.pack("<d", 2.0) + text("w")),
    "names": (record(("m", {"type": "fixed", "name": "f3", "size": 3}), ("k", {"type": "enum", "name": "e", "symbols": ["A", "B"]}), ("q", ["null", "r"])),
              b"abc" + number(1) + number(1) + b"xyz" + number(0) + number(0)),
}
for name, (schema, value) in AVRO.items():
    put("avro_fuzz", name, json.dumps(schema).encode() + b"\0" + value)
    sync = bytes(range(16))
    head = b"Obj\x01" + number(2) + text("avro.schema") + text(json.dumps(schema)) + text("avro.codec") + text("null") + number(0) + sync
    put("avro_fuzz", name + ".avro", head + number(2) + number(2 * len(value)) + value * 2 + sync + number(1) + number(len(value)) + value + sync)

# -- http_body_fuzz: a byte (1 gzip, 2 zstd, 3 unknown; + 4: lines), the body -------------------------------------------

BODIES = {
    "one": '{"id": "a", "n": 1}',
    "array": '[{"id": "a"}, {"id": "b", "n": -5}, {"n": 7}, {"id": "\\ud83d\\ude00", "more": [1, {"x": null}]}]',
    "empty": " [ ] ",
    "wrong": '[{"id": "a"}, {"id": "b", "n": "x"}, {"id": "c" "n"}]',
    "cut": '[{"id": "a"}, {"id": "b"',
    "strings": '[{"id": "]},{\\"", "n": 1e2}, {"id": "[{"}]',
}
LINES = {"lines": '{"id": "a"}\n{"id": "b", "n": 2}\r\n\n  \n{"id": 3}\n{"id"', "one_line": '{"id": "a"}'}


def zstd(content):
    """A frame with its size and one raw block (RFC 8878)."""
    assert len(content) < 256
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + struct.pack("<I", len(content) << 3 | 1)[:3] + content


for flag, bodies in ((0, BODIES), (4, LINES)):
    for name, body in bodies.items():
        body = body.encode()
        put("http_body_fuzz", name, bytes([flag]) + body)
        put("http_body_fuzz", name + ".gz", bytes([flag | 1]) + gzip.compress(body, mtime=0))
        put("http_body_fuzz", name + ".zst", bytes([flag | 2]) + zstd(body))
        put("http_body_fuzz", name + ".two.gz", bytes([flag | 1]) + gzip.compress(body[:9], mtime=0) + gzip.compress(body[9:], mtime=0))
put("http_body_fuzz", "zeros.gz", b"\x05" + gzip.compress(b"\0" * 1_500_000, mtime=0))  # more than a body may be
