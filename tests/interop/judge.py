"""Reads tables with foreign engines and says whether they agree with each other and with what was produced.

One line a check: `ok NAME` or `FAIL NAME: detail`; exit code 1 when any failed. See --help and README.md.
"""

import argparse
import contextlib
import io
import sys
import time
import traceback

import xxhash

import canonical
import engines
import expectation


class Checks:
    def __init__(self, verbose):
        self.failures, self.verbose = 0, verbose

    def ok(self, name, detail=""):
        print(f"ok {name}" + (f" # {detail}" if detail else ""), flush=True)

    def fail(self, name, detail):
        self.failures += 1
        print(
            f"FAIL {name}: {str(detail).strip().splitlines()[0][:400] if str(detail).strip() else 'no words'}",
            flush=True,
        )
        for line in str(detail).strip().splitlines()[1:30]:
            print("#   " + line[:300], flush=True)

    @contextlib.contextmanager
    def of(self, name):
        """A check passes unless its block raises; the detail goes in the list that the block is given."""
        detail, start = [], time.monotonic()
        try:
            yield detail
        except Mismatch as error:
            self.fail(name, error)
        except Exception as error:  # an engine that dies has judged
            more = traceback.format_exc() if self.verbose else ""
            self.fail(name, f"{type(error).__name__}: {error}\n{more}")
        else:
            self.ok(name, ", ".join([*detail, f"{time.monotonic() - start:.1f} s"]))


class Mismatch(Exception):
    pass


def show(value):
    text = repr(value)
    return text if len(text) < 160 else text[:157] + "..."


def compare(left, right, keys, left_name, right_name):
    """Raises Mismatch with the first row of the first column that differs; both are sorted by `keys`."""
    if not table_of(left, keys).equals(table_of(right, keys)):
        raise Mismatch(
            f"{left_name} has {left.num_rows} rows, {right_name} {right.num_rows}; {first_missing(left, right, keys)}"
        )
    for name in left.column_names:
        found = canonical.column_difference(
            canonical.one_array(left.column(name)), canonical.one_array(right.column(name))
        )
        if found:
            row, a, b = found
            place = ", ".join(
                f"{key}={canonical.identity_column(left, key)[row].as_py()}" for key in keys
            )
            raise Mismatch(
                f"column {name} at {place}: {left_name} {show(a)}, {right_name} {show(b)}"
            )


def identities(table, keys):
    return list(zip(*(canonical.identity_column(table, key).to_pylist() for key in keys)))


def first_missing(left, right, keys):
    a, b = identities(left, keys), identities(right, keys)
    only_a, only_b = sorted(set(a) - set(b)), sorted(set(b) - set(a))
    doubled = len(a) - len(set(a)), len(b) - len(set(b))
    return f"only left: {len(only_a)} {only_a[:2]}, only right: {len(only_b)} {only_b[:2]}, doubled: {doubled}"


# -- one table -------------------------------------------------------------------------------------------


def identity_keys(schema, chosen):
    if chosen:
        return chosen.split(","), None
    names = [field.name for field in schema.fields]
    if "_kafka" in names:
        return ["_kafka.topic", "_kafka.partition", "_kafka.offset"], "_kafka"
    if "_source_file" in names:
        return ["_source_file.path", "_source_file.row"], "_source_file"
    raise Mismatch("the table has neither _kafka nor _source_file: say --key COLUMN,...")


def judge_table(checks, name, table, answers, options):
    """`answers`: {engine: function giving its Arrow table}. Returns the reference answer, sorted, or None."""
    keys, metadata_column = identity_keys(table.schema(), options.key)
    reference = None
    for engine, read in answers.items():
        with checks.of(f"{name} read by {engine}") as detail:
            found = canonical.sort_rows(canonical.canonical_table(read(), table.schema()), keys)
            detail.append(f"{found.num_rows} rows")
            if reference is None:
                reference = found
            else:
                compare(
                    *alike(found, reference, engine, table.schema()),
                    keys,
                    engine,
                    next(iter(answers)),
                )
    if reference is not None:
        with checks.of(f"{name} has each identity once") as detail:
            once(reference, keys)
    if reference is not None and options.rows is not None:
        with checks.of(f"{name} has {options.rows} rows"):
            if reference.num_rows != options.rows:
                raise Mismatch(f"{reference.num_rows} rows")
    return reference, keys, metadata_column


def alike(found, reference, engine, schema):
    if engine != "pyiceberg":
        return found, reference
    return canonical.without_null_lists(found, schema), canonical.without_null_lists(
        reference, schema
    )


def once(table, keys):
    counts = table_of(table, keys).group_by(keys).aggregate([([], "count_all")])
    if counts.num_rows != table.num_rows:
        several = counts.filter(canonical.pc.greater(counts["count_all"], 1))
        raise Mismatch(
            f"{several.num_rows} identities are there more than once, first {several.slice(0, 1).to_pylist()}"
        )


def table_of(table, keys):
    return canonical.pa.table({key: canonical.identity_column(table, key) for key in keys})


def judge_expectation(checks, name, reference, keys, expected):
    with checks.of(f"{name} holds exactly what was produced") as detail:
        wanted = expected.table()
        detail.append(f"{wanted.num_rows} good records")
        compare(reference, canonical.sort_rows(wanted, keys), keys, "the table", "produced")


def judge_quarantine(checks, name, found, metadata_column, refused):
    """Every bad record once, with its bytes and a reason that its fault allows; nothing else."""
    with checks.of(f"{name} holds exactly the bad records") as detail:
        detail.append(f"{len(refused)} bad records")
        seen = set()
        for row in found.to_pylist() if found is not None else []:
            place = place_of(row[metadata_column])
            if place not in refused:
                raise Mismatch(
                    f"{place} is quarantined ({row['reason']}: {row.get('message')}) and was good or never produced"
                )
            if place in seen:
                raise Mismatch(f"{place} is quarantined twice")
            seen.add(place)
            check_refusal(place, row, *refused[place])
        if len(seen) != len(refused):
            raise Mismatch(
                f"{len(refused) - len(seen)} bad records are missing, first {min(set(refused) - seen)}"
            )


def place_of(metadata):
    if "offset" in metadata:
        return metadata["topic"], metadata["partition"], metadata["offset"]
    return metadata["path"], None, metadata["row"]


def check_refusal(place, row, reasons, size, digest):
    raw = row["raw"] or b""
    if len(raw) != size or xxhash.xxh3_64_hexdigest(raw) != digest:
        raise Mismatch(f"{place}: {len(raw)} raw bytes differ from the {size} produced")
    if row["reason"] not in reasons:
        raise Mismatch(
            f"{place}: reason {row['reason']} ({row.get('message')}), wanted {' or '.join(reasons)}; raw {show(raw)}"
        )


# -- the command -----------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(
        prog="judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tables",
        nargs="+",
        metavar="TABLE",
        help="name in the catalog, a metadata.json, or a table's location",
    )
    parser.add_argument(
        "--catalog", default="", metavar="FILE", help="sqlite catalog (catalog name weir)"
    )
    parser.add_argument(
        "--s3",
        default="",
        metavar="ENDPOINT",
        help="where s3:// locations are, as http://127.0.0.1:PORT",
    )
    parser.add_argument(
        "--engines", default="duckdb,pyiceberg,polars", help="the first one is the reference"
    )
    parser.add_argument("--spark", action="store_true", help="Spark as well: half a minute")
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="MANIFEST,VALUES,SOURCE",
        help="weir-gen's manifest and values, and the topic or file path they went to; repeatable; needs one TABLE",
    )
    parser.add_argument(
        "--quarantine",
        metavar="TABLE",
        help="default with --expect: {TABLE}__quarantine; 'none': not looked at",
    )
    parser.add_argument("--rows", type=int, help="how many rows the table must have")
    parser.add_argument(
        "--key", help="columns that tell rows apart, for tables without _kafka and _source_file"
    )
    parser.add_argument("--verbose", action="store_true", help="tracebacks of engines that fail")
    options = parser.parse_args()
    if options.expect and len(options.tables) != 1:
        parser.error("--expect goes with one TABLE")
    return options


def load_all(checks, place, names):
    tables = {}
    for name in names:
        with checks.of(f"{name} opened by pyiceberg"):
            tables[name] = engines.load_table(place, name)
    return tables


def quarantine_name(place, options):
    """The quarantine table to look at; None when there is none to look at, or none was made since nothing was refused."""
    if not options.expect or options.quarantine == "none":
        return None
    return options.quarantine or options.tables[0] + "__quarantine"


def spark_answers(checks, place, tables):
    answers = {}
    with checks.of("Spark session"):
        answers = engines.read_spark(place, tables)
    return answers


def readers(options, place, name, table, spark):
    answers = {
        engine: (lambda read=engines.READERS[engine]: read(place, table))
        for engine in options.engines.split(",")
        if engine
    }
    if name in spark:
        answers["spark"] = lambda: spark[name]
    return answers


def expectation_of(options, tables):
    """What the one table must hold; None when nobody says, or it could not be opened."""
    table = tables.get(options.tables[0])
    if not options.expect or table is None:
        return None
    sources = [each.split(",", 2) for each in options.expect]
    try:
        _, metadata_column = identity_keys(table.schema(), options.key)
    except Mismatch:  # the judgement of the table will say it
        return None
    return expectation.Expectation(sources, table.schema(), metadata_column)


def open_quarantine(checks, place, name, tables, expected):
    if not name:
        return
    try:
        tables[name] = engines.load_table(place, name)
    except Exception as error:
        if expected is None or expected.refused():  # else it need not exist
            checks.fail(f"{name} opened by pyiceberg", error)


def main():
    options = parse()
    checks = Checks(options.verbose)
    place = engines.Place(catalog=options.catalog, endpoint=options.s3)
    tables = load_all(checks, place, options.tables)
    expected = expectation_of(options, tables)
    quarantine = quarantine_name(place, options)
    open_quarantine(checks, place, quarantine, tables, expected)
    spark = spark_answers(checks, place, tables) if options.spark else {}
    for name, table in tables.items():
        settings = argparse.Namespace(
            key=None if name == quarantine else options.key,
            rows=None if name == quarantine else options.rows,
        )
        try:
            reference, keys, metadata_column = judge_table(
                checks, name, table, readers(options, place, name, table, spark), settings
            )
        except Mismatch as error:
            checks.fail(f"{name} judged", error)
            continue
        if expected and reference is not None and name == options.tables[0]:
            judge_expectation(checks, name, reference, keys, expected)
        if expected and name == quarantine and reference is not None:
            judge_quarantine(checks, name, reference, metadata_column, expected.refused())
    return 1 if checks.failures else 0


if __name__ == "__main__":
    with contextlib.suppress(io.UnsupportedOperation):
        sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
