"""Random queries over random tables, Weir against DuckDB, many per process (tests/sql/many.c).

    sql_random.py --many PROGRAM --count 20000 --seed 1 [--jobs 2]

A world is a few small Parquet files of all types, written by pyarrow with varied settings, and some hundred queries by a typed grammar. Answers are
compared as multisets, in order where ORDER BY is total. DuckDB is set to PostgreSQL's rules where it can be. A query that one side (or both) refuses
is counted, and its share is bounded: the grammar avoids what the two answer differently on purpose. A difference is shrunk and printed with what
repeats it: the statement and the world's seed (--seed S --world W --keep FOLDER writes the files).
"""
import argparse, datetime, json, multiprocessing, os, random, re, shutil, signal, subprocess, sys, tempfile, time, types
from collections import Counter
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import duckdb
from sql_grammar import UTC, Grammar, make_table

QUERIES_PER_WORLD = 200


class Zone(datetime.tzinfo):
    """DuckDB asks pytz for the zone of a timestamptz, which the judges have not; the session's is UTC."""

    def utcoffset(self, time):
        return datetime.timedelta(0)

    def localize(self, time, is_dst=None):
        return time.replace(tzinfo=UTC)

    def fromutc(self, time):
        return time.replace(tzinfo=UTC)


sys.modules.setdefault("pytz", types.ModuleType("pytz")).timezone = lambda name: Zone()


# ---- the two engines ----


class Weir:
    """One process that answers statement after statement."""

    MODES = [{}, {"WEIR_TEST_VECTORS": "constant"}, {"WEIR_TEST_VECTORS": "dictionary"}, {"WEIR_TEST_BATCH_ROWS": "64"}, {"WEIR_TEST_BATCH_ROWS": "64", "WEIR_TEST_VECTORS": "dictionary"},
             {"WEIR_TEST_UNOPTIMIZED": "1"}]

    def __init__(self, program, folder, mode, threads, memory):
        self.what = f"{mode} threads {threads} memory {memory or 'any'}"
        command = [program, "--threads", str(threads)] + (["--memory", str(memory), "--spill", str(folder / "spill")] if memory else [])
        self.start = lambda: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env={**os.environ, **mode, "TZ": "UTC"})
        self.process = self.start()

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def send(self, sql):
        try:
            self.process.stdin.write(sql.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self):
        """-> (columns that are doubles, rows as lists) or an error's text"""
        signal.alarm(60)
        lines = []
        try:
            while True:
                line = self.process.stdout.readline()
                if not line or line[:1] == b"=":
                    break
                lines.append(line)
        except TimeoutError:
            self.process.kill()
            line = b"hangs"
        finally:
            signal.alarm(0)
        if line[:1] != b"=":
            self.process.kill()
            error = f"CRASH {line.decode()} {self.process.stderr.read().decode()[-2000:]}"
            self.process.wait()
            self.process = self.start()
            return error
        if not line.startswith(b"=OK"):
            return line[1:].decode(errors="replace").strip()
        return [list(json.loads(row, parse_float=Decimal).values()) for row in lines[1:]]


def on_alarm(*_):
    raise TimeoutError


class Duck:
    def __init__(self, folder, tables):
        self.connection = duckdb.connect(config={"threads": 1})
        for setting in ("integer_division = true", "default_null_order = 'postgres'", "TimeZone = 'UTC'", "lambda_syntax = 'ENABLE_SINGLE_ARROW'"):
            self.connection.execute(f"SET {setting}")
        for table in tables:
            self.connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM '{folder}/{table.name}.parquet'")

    def run(self, sql):
        try:
            signal.alarm(60)
            done = self.connection.execute(re.sub(r"'(t\d+)\.parquet'", r"\1", sql))
            return done.fetchall() if done else "no statement"
        except duckdb.Error as error:
            return str(error)
        except TimeoutError:
            return "out of time"
        except (OverflowError, ValueError) as error:  # a date that Python has not
            return f"Python: {error}"
        finally:
            signal.alarm(0)


# ---- comparing ----


def stamp(t):
    text = t.isoformat(timespec="microseconds") if t.microsecond else t.isoformat(timespec="seconds")
    return text


def of_duck(x):
    if isinstance(x, bool) or x is None or isinstance(x, str):
        return x
    if isinstance(x, int):
        return x
    if isinstance(x, float):
        return None if x != x or x in (float("inf"), float("-inf")) else x
    if isinstance(x, Decimal):
        return int(x) if x == x.to_integral_value() else x.normalize()
    if isinstance(x, datetime.datetime):
        return x.astimezone(UTC).replace(tzinfo=None) if x.tzinfo else x
    if isinstance(x, datetime.date):
        return x
    if isinstance(x, (list, tuple)):
        return tuple(map(of_duck, x))
    if isinstance(x, dict):
        return tuple((str(of_duck(k)), of_duck(v)) for k, v in x.items())
    return str(x)


def of_weir(x, like):
    """like: what stands at that place in the other answer, for texts may be times"""
    if isinstance(x, Decimal):
        if like is float:
            return float(x)
        return int(x) if x == x.to_integral_value() else x.normalize()
    if isinstance(x, str):
        if like is datetime.datetime:
            return datetime.datetime.fromisoformat(x).replace(tzinfo=None)
        if like is datetime.date:
            return datetime.date.fromisoformat(x)
        return x
    if isinstance(x, list):
        return tuple(of_weir(y, like[0] if isinstance(like, list) else None) for y in x)
    if isinstance(x, dict):
        return tuple((k, of_weir(v, None)) for k, v in x.items())
    if isinstance(x, int) and like is float and not isinstance(x, bool):
        return float(x)
    return x


def kinds(rows):
    """For each column the type of its first value that is there."""
    out = []
    for column in zip(*rows):
        found = next((x for x in column if x is not None), None)
        if isinstance(found, tuple):
            found = [type(next((y for x in column if x for y in x if y is not None), None))]
            out.append(found)
        else:
            out.append(float if any(isinstance(x, float) for x in column) else type(found))
    return out


def near(a, b):
    if a == b:
        return type(a) == type(b) or not (isinstance(a, bool) or isinstance(b, bool))
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return all(map(near, a, b))
    if isinstance(a, (float, Decimal, int)) and isinstance(b, (float, Decimal, int)) and (isinstance(a, float) or isinstance(b, float)):
        return abs(float(a) - float(b)) <= 1e-12 * max(1, abs(float(a)), abs(float(b))) * 100
    return False


def order_of(row):
    def of(x):
        return f"{float(x):.6g}" if isinstance(x, (float, Decimal)) else repr(x)
    return [of(x) for x in row if not isinstance(x, float)] + [x for x in row if isinstance(x, float)]


def differ(duck, weir, ordered):
    """What differs, in words, or None."""
    left = [tuple(map(of_duck, row)) for row in duck]
    like = kinds(left)
    if len(left) != len(weir):
        return f"{len(weir)} rows, DuckDB {len(left)}"
    right = [tuple(map(of_weir, row, like)) for row in weir]
    if left == right or not ordered and Counter(left) == Counter(right):
        return None
    if not ordered:
        more, less = Counter(right) - Counter(left), Counter(left) - Counter(right)
        left, right = list(less.elements()), list(more.elements())
        mixed = lambda row: [(str(type(x)), x) if isinstance(x, float) else ("", x) for x in order_of(row)]
        left.sort(key=mixed)
        right.sort(key=mixed)
    for i, (a, b) in enumerate(zip(left, right)):
        if not (len(a) == len(b) and all(map(near, a, b))):
            return f"row {i}: {b}, DuckDB {a}"
    return None


# ---- one statement, and a smaller one that differs too ----


def judge(weir, duck, sql, ordered):
    """-> "same", "refused", or what differs"""
    weir.send(sql)
    theirs = duck.run(sql)
    ours = weir.receive()
    if isinstance(ours, str):
        if ours.startswith(("CRASH", "INTERNAL", "CORRUPT", "IO", "STOPPED")):
            return ours, ours, theirs
        return "refused", ours, theirs
    if isinstance(theirs, str):
        return "refused", ours, theirs
    return differ(theirs, ours, ordered) or "same", ours, theirs


TOKEN = re.compile(r"'(?:[^']|'')*'|[A-Za-z_][\w.]*|\d[\w.]*|\s+|->|::|<>|<=|>=|\|\||.", re.S)
CLAUSE = {"WHERE", "HAVING", "ORDER", "LIMIT", "OFFSET", "GROUP", "FILTER", "AND", "OR", "UNION", "INTERSECT", "EXCEPT", "JOIN", "LEFT", "RIGHT", "FULL", "CROSS", "WITH", ",", "WHEN", "ELSE", "DISTINCT", "||", "+", "-"}


def smaller(sql):
    """Statements with something left out, the largest pieces first."""
    tokens = TOKEN.findall(sql)
    ends, stack = {}, []
    for i, token in enumerate(tokens):
        if token in "([" and token:
            stack.append(i)
        elif token in ")]" and token and stack:
            ends[stack.pop()] = i
    made = []
    for i, token in enumerate(tokens):
        if i in ends:
            inner = tokens[i + 1:ends[i]]
            made.append((ends[i] - i, tokens[:i] + ["NULL"] + tokens[ends[i] + 1:]))
            for j in range(i + 1, ends[i]):
                if j in ends:
                    made.append((ends[i] - i - (ends[j] - j), tokens[:i] + tokens[j:ends[j] + 1] + tokens[ends[i] + 1:]))
                    break
            if "SELECT" not in inner:
                for j in range(i - 1, max(i - 2, -1), -1):  # f(x) -> (x)
                    if re.match(r"[a-z_]+$", tokens[j]):
                        made.append((1, tokens[:j] + tokens[i:]))
        if token.upper() in CLAUSE or token == "(":
            depth = 0
            for j in range(i + 1, len(tokens) + 1):
                at = tokens[j] if j < len(tokens) else ")"
                if depth == 0 and (at == ")" or at == "]" or at.upper() in CLAUSE or at in ("FROM", "ON", "END", "OVER", "THEN")):
                    start = i + 1 if token == "(" else i
                    rest = tokens[j + (at == "," and token == "("):]
                    if j > start:
                        made.append((j - start, tokens[:start] + rest))
                    if at in (")", "]"):
                        break
                depth += (at in "([") - (at in ")]")
                if depth < 0:
                    break
    for _, tokens in sorted(made, key=lambda m: -m[0]):
        yield "".join(tokens)


def shrink(weir, duck, sql, ordered, seconds=20):
    until, found = time.time() + seconds, True
    first = judge(weir, duck, sql, ordered)[0]
    crash = first.startswith("CRASH")
    while found and time.time() < until:
        found = False
        for text in smaller(sql):
            if time.time() > until:
                break
            if re.search(r"LIMIT|OVER|agg\(", text) and not re.search(r"LIMIT|OVER|agg\(", sql) or "LIMIT" in text and text.count("ORDER BY") < sql.count("ORDER BY") or \
                    len(re.findall("ORDER BY[^)]*LIMIT", text)) and re.findall("ORDER BY[^)]*LIMIT", text)[0] not in sql:
                continue
            result, ours, theirs = judge(weir, duck, text, False)
            if "'f1'" in str(ours)[:2000]:  # (a, b) is a row now
                continue
            if result not in ("same", "refused") and result.startswith("CRASH") == crash and (crash or isinstance(theirs, list)):
                sql, found = text, True
                break
    return sql


# ---- worlds ----


def run_world(program, seed, count, keep=None, verbose=False):
    r = random.Random(f"weir {seed}")
    folder = Path(keep or tempfile.mkdtemp(prefix="weir-sql-random."))
    folder.mkdir(parents=True, exist_ok=True)
    tables = [make_table(r, folder, f"t{i}") for i in range(r.randint(2, 4))]
    duck = Duck(folder, tables)
    modes = [(r.choice(Weir.MODES), r.randint(1, 2), None), (r.choice(Weir.MODES), r.randint(1, 2), r.choice([None, None, None, 4 << 20, 8 << 20]))]
    weirs = [Weir(program, folder, *mode) for mode in modes]
    grammar = Grammar(f"weir {seed}", tables)
    tally, found, words = Counter(), [], Counter()
    for number in range(count):
        sql, ordered = grammar.statement()
        weir = weirs[number % 2]
        result, ours, theirs = judge(weir, duck, sql, ordered)
        if verbose:
            print(result, *[x for x in (ours, theirs) if isinstance(x, str)], "|", sql, flush=True)
        if result in ("same", "refused"):
            tally[result] += 1
            if result == "same":
                tally["rows"] += len(theirs)
            else:
                both = isinstance(ours, str) and isinstance(theirs, str)
                error = ("both: " if both else "") + (f"weir: {ours}" if isinstance(ours, str) else f"duckdb: {theirs}")
                words[re.sub(r"[\w.]*\d[\w.]*", "#", error.split("\n")[0])[:140]] += 1
                if not both:
                    tally["refused by Weir" if isinstance(ours, str) else "refused by DuckDB"] += 1
            continue
        tally["different"] += 1
        short = shrink(weir, duck, sql, ordered)
        told, mine, theirs = judge(weir, duck, short, False)
        if told in ("same", "refused"):
            told, short = result, sql
        found.append(f"{told}\n    {short}\n    weir: {str(mine)[:400]}\n    duckdb: {str(theirs)[:400]}\n    seed {seed}, statement {number}, {weir.what}")
    for weir in weirs:
        weir.close()
    duck.connection.close()
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return tally, found, words


def task(arguments):
    signal.signal(signal.SIGALRM, on_alarm)
    return run_world(*arguments)


def run_all(program, count, seed, jobs=2, budget=None, words_shown=0, out=print):
    """-> the tally; every difference is printed as it is found."""
    start = time.time()
    work = [(program, f"{seed}.{w}", min(QUERIES_PER_WORLD, count - w * QUERIES_PER_WORLD)) for w in range((count + QUERIES_PER_WORLD - 1) // QUERIES_PER_WORLD)]
    total, words = Counter(), Counter()
    with multiprocessing.Pool(jobs) as pool:
        for tally, found, errors in pool.imap_unordered(task, work):
            total += tally
            words += errors
            for text in found:
                out(f"DIFFERENT {text}")
            if budget and time.time() - start > budget:
                pool.terminate()
                break
    for text, times in words.most_common(words_shown):
        out(f"{times:6} {text}")
    done = total["same"] + total["refused"] + total["different"]
    seconds = time.time() - start
    out(f"seed {seed}: {done} queries, {total['different']} different, {total['refused']} refused ({100 * total['refused'] / max(done, 1):.1f} %: Weir alone "
        f"{total['refused by Weir']}, DuckDB alone {total['refused by DuckDB']}), {total['rows']} rows compared, {seconds:.0f} s, {done / seconds:.0f} a second")
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--many", required=True, help="the program of tests/sql/many.c")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--world", help="only that one, as its difference names it: 1.17")
    parser.add_argument("--keep", help="folder for the world's files")
    parser.add_argument("--errors", type=int, default=0, help="show so many kinds of refusal")
    a = parser.parse_args()
    program = str(Path(a.many).resolve())
    if a.world:
        signal.signal(signal.SIGALRM, on_alarm)
        tally, found, _ = run_world(program, a.world, min(a.count, QUERIES_PER_WORLD), a.keep, verbose=True)
        print("\n".join(found), dict(tally), sep="\n")
        return tally["different"] > 0
    return run_all(program, a.count, a.seed, a.jobs, words_shown=a.errors)["different"] > 0


if __name__ == "__main__":
    sys.exit(main())
