#!/usr/bin/env python3
"""Compares the answers in tests/sql/*.test with DuckDB's; --write fills in those that are missing.

Run by the judges' Python: $(tools/env/setup --where judges)/venv/bin/python tests/sql/check.py [--write] [FILE...]
A case with a line `-- duckdb: STATEMENT` is asked in that spelling; one with `-- reason: TEXT` is not asked: PostgreSQL
decides, and the text says what DuckDB does. The form of the files is described in README.md.
"""
import datetime, decimal, glob, math, os, re, sys

import duckdb

FOLDER = os.path.dirname(os.path.abspath(__file__))


def session():
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone='UTC'; SET integer_division=true; SET lambda_syntax='ENABLE_SINGLE_ARROW';"
                "SET default_null_order='NULLS_LAST_ON_ASC_FIRST_ON_DESC'")
    text = open("setup.sql").read()
    for view in re.findall(r"^(?:-- duckdb: )?(CREATE VIEW (\w+) AS.*?);$", text, re.M | re.S):
        con.execute(view[0].replace("CREATE VIEW", "CREATE OR REPLACE TABLE"))
    return con


def number(value):
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    digits, _, exponent = f"{decimal.Decimal(repr(value)).normalize():e}".partition("e")
    if -6 <= int(exponent) < 17:
        return f"{decimal.Decimal(repr(value)).normalize():f}"
    return f"{digits}e{int(exponent)}"


def moment(value):
    text = value.isoformat(" ").removesuffix("+00:00")
    text = re.sub(r"(\.\d*?)0+$", r"\1", text).removesuffix(".")
    return text + ("+00" if value.tzinfo else "")


def shown(value, kind):
    """As Weir prints it: weir_value_print."""
    if value is None:
        return "NULL"
    if kind.id in ("list", "array"):
        return "[" + ", ".join(shown(x, kind.children[0][1]) for x in value) + "]"
    if kind.id == "struct":
        return "{" + ", ".join(f"'{n}': {shown(value[n], t)}" for n, t in kind.children) + "}"
    if kind.id == "map":
        keys, values = kind.children[0][1], kind.children[1][1]
        return "{" + ", ".join(f"{shown(k, keys)}={shown(v, values)}" for k, v in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value) if kind.id != "float" else number(float(shortest(value)))
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return re.sub(r"(\.\d*?)0+$", r"\1", value.isoformat())
    return str(value)


def shortest(value):
    import struct
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return repr(value)


def cell(value, kind):
    text = shown(value, kind)
    if value is None:
        return text
    for raw, mark in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("|", "\\|"), ("\0", "\\0")):
        text = text.replace(raw, mark)
    return f"'{text}'" if text in ("", "NULL") or text[0] == " " or text[-1] == " " else text


def as_text(kind):
    return kind.id in ("interval", "timestamp with time zone", "timestamp", "date")


def ask(con, statement):
    """Rows as lines. Intervals and times are printed by DuckDB: Python has no months and ends with the year 9999."""
    found = con.execute(statement).description
    kinds = [column[1] for column in found]
    if any(as_text(kind) for kind in kinds):
        names = [f"c{i}" for i in range(len(kinds))]
        casts = ", ".join(f"CAST({n} AS VARCHAR)" if as_text(k) else n for n, k in zip(names, kinds))
        con.execute(f"SELECT {casts} FROM ({statement}) AS q({', '.join(names)})")
    rows = []
    for row in con.fetchall():
        cells = []
        for value, kind in zip(row, kinds):
            if kind.id == "interval" and value is not None:
                value = re.sub(r"(-\d+ (?:year|mon|day))\b(?!s)", r"\1s", value.replace("month", "mon"))
            cells.append(cell(value, kind))
        rows.append(" | ".join(cells))
    return rows


def ordered(statement):
    depth, quote = 0, None
    for at, c in enumerate(statement):
        if quote:
            quote = None if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "()":
            depth += 1 if c == "(" else -1
        elif depth == 0 and statement[at:at + 8].lower() == "order by":
            return True
    return False


def same(mine, theirs):
    if mine == theirs:
        return True
    a, b = mine.split(" | "), theirs.split(" | ")
    if len(a) != len(b):
        return False
    for x, y in zip(a, b):
        try:
            if x != y and not math.isclose(float(x), float(y), rel_tol=1e-12):
                return False
            if x != y and not re.search("[.e]", x + y):
                return False
        except ValueError:
            return False
    return True


def blocks(text):
    """Cases, as (first line, lines) between blank lines."""
    at, lines = 1, []
    for number_, line in enumerate(text.split("\n") + [""], 1):
        if line:
            lines.append(line)
        else:
            if lines:
                yield at, lines
            at, lines = number_ + 1, []


def check(con, name, write, seen):
    out, bad, asked, kept = [], 0, 0, 0
    for line, lines in blocks(open(name).read()):
        cut = lines.index("----") if "----" in lines else len(lines)
        head, wanted = lines[:cut], lines[cut + 1:]
        remarks = [x for x in head if x.startswith(("#", "-- "))]
        statement = "\n".join(x for x in head if x not in remarks)
        if not statement:
            out.append(lines)
            continue
        if (name, statement) in seen:
            print(f"{name}:{line}: twice: {statement}")
            bad += 1
        seen.add((name, statement))
        kept += 1
        other = next((x[11:] for x in remarks if x.startswith("-- duckdb: ")), statement)
        judged = not any(x.startswith("-- reason: ") for x in remarks)
        if judged:
            asked += 1
            try:
                rows = ask(con, other)
                if not ordered(statement):
                    rows.sort()
            except Exception as error:
                rows = ["error: " + str(error).split("\n")[0]]
            fails = len(wanted) == 1 and wanted[0].startswith("error: ")
            if cut == len(lines) and write and not (rows and rows[0].startswith("error: ")):
                wanted = rows
            elif cut == len(lines) or (fails != bool(rows and rows[0].startswith("error: "))) or not fails and (
                    len(rows) != len(wanted) or not all(map(same, wanted if ordered(statement) else sorted(wanted), rows))):
                bad += 1
                print(f"{name}:{line}: {statement}")
                print("".join(f"  here    {x}\n" for x in wanted) + "".join(f"  duckdb  {x}\n" for x in rows[:8]), end="")
                if cut == len(lines):
                    out.append(lines)
                    continue
        elif cut == len(lines):
            bad += 1
            print(f"{name}:{line}: DuckDB is not asked, and there is no answer: {statement}")
            out.append(lines)
            continue
        out.append(head + ["----"] + wanted)
    if write:
        with open(name, "w") as file:
            file.write("\n\n".join("\n".join(lines) for lines in out) + "\n")
    return kept, asked, bad


def main():
    write = "--write" in sys.argv
    names = [os.path.abspath(x) for x in sys.argv[1:] if x != "--write"]
    os.chdir(FOLDER)
    con, total = session(), [0, 0, 0]
    seen = set()
    for name in [os.path.basename(x) for x in names] or sorted(glob.glob("*.test")):
        total = [a + b for a, b in zip(total, check(con, name, write, seen))]
    print(f"{total[0]} cases, {total[1]} compared with DuckDB {duckdb.__version__}, {total[2]} differ")
    sys.exit(total[2] > 0)


if __name__ == "__main__":
    main()
