"""A text file as an array of bytes: embed.py IN OUT."""
import sys

data = open(sys.argv[1], "rb").read() + b"\0"
rows = [",".join(str(byte) for byte in data[at : at + 32]) for at in range(0, len(data), 32)]
open(sys.argv[2], "w").write("static const char openapi_text[] = {\n" + ",\n".join(rows) + "};\n")
