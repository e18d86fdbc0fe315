"""unknown_fields: evolve. New fields become columns in the commit of the window that met them: judged by pyiceberg and DuckDB; killed at
every effect; two writers that each meet fields of their own; what fits no column is refused, whole, and costs no neighbour."""
import json, os, random, shutil, subprocess, sys, tempfile
from pathlib import Path
from confluent_kafka import Producer

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
import engines

WEIR, bad, full = os.environ["WEIR"], 0, os.environ.get("WEIR_FULL")
top = Path(tempfile.mkdtemp(prefix="weir-evolve."))
os.environ.update(WEIR_SERVICES=str(top / "services"), WEIR_SERVICES_OWNER=str(os.getpid()))
service = str(root / "tests/harness/service")
random.seed(int(os.environ.get("WEIR_SEED") or 1))


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def pipeline(folder, columns="id: long required", extra="", source='files: "IN/*.ndjson"', unknown="evolve", tables=None):
    tables = tables or {"bronze.t": extra}
    text = f"version: 1\nname: evolve\nlake: {{warehouse: ./lake}}\nrun: {{threads: 3}}\nsources:\n  s: {{{source.replace('IN', str(folder / 'in'))}, format: json}}\ntables:\n"
    for name, more in tables.items():
        text += f"  {name}:\n    source: s\n    unknown_fields: {unknown}\n    columns: {{{columns}}}\n{more}"
    (folder / "in").mkdir(parents=True, exist_ok=True)
    (folder / "weir.yaml").write_text(text)


def put(folder, name, rows):
    (folder / "in" / name).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def table(folder, name="bronze.t"):
    place = engines.Place(catalog=str(folder / "lake/catalog.db"))
    loaded = engines.load_table(place, name)
    return loaded, {row["id"]: row for row in engines.read_duckdb(place, loaded).to_pylist()}


def columns(loaded):
    return {field.name: str(field.field_type) for field in loaded.schema().fields if not field.name.startswith("_")}


def refused(folder):
    shown = weir(folder, "quarantine", "show", "t", "-o", "json").stdout
    return {(row["reason"], row["message"]): row["count"] for row in json.loads(shown)}


try:
    # types, nesting, order, and what a second window may not change
    one = top / "one"
    pipeline(one, "id: long required, os: 'struct<name:string>', disks: 'list<struct<mount:string>>'")
    put(one, "a.ndjson", [
        {"id": 1, "os": {"name": "x", "build": 7}, "disks": [{"mount": "/", "free": 1.5}, {"mount": "/b"}], "zz": True},
        {"id": 2, "whole": 2**53 + 1, "real": 1, "text": "2026-01-01", "null": None, "empty": {"e": []}},
        {"id": 3, "whole": -1, "real": 2.5, "list": [[1], []], "deep": {"a": {"b": [{"c": "x"}]}}, "mixed": "a"},
        {"id": 4, "mixed": 4}, {"id": 5, "mixed": "b"}, "not json, \"nothing\": 1", {"id": "x", "refused": 1},
        {"id": 6, "map": {f"k{n}": n for n in range(100)}, "wide": 2**64}])
    run = weir(one, "run")
    loaded, rows = table(one)
    first = {f.name: f.field_id for f in loaded.schema().fields}
    say(run.returncode == 0 and columns(loaded) == {
        **{name: columns(loaded)[name] for name in ("os", "disks", "deep", "list", "map")}, "id": "long", "mixed": "string", "real": "double", "text": "string", "whole": "long", "wide": "decimal(38, 0)", "zz": "boolean"}, "new fields become columns",
        f"{run.stderr[-300:]} {columns(loaded)}")
    say("build: optional long" in columns(loaded)["os"] and "free: optional double" in columns(loaded)["disks"] and columns(loaded)["map"] == "map<string, long>"
        and columns(loaded)["list"] == "list<list<long>>" and "c: optional string" in columns(loaded)["deep"], "nested ones too", columns(loaded))
    say(list(first) == ["id", "os", "disks", "_source_file"] + sorted(set(first) - {"id", "os", "disks", "_source_file"}), "by name, behind the others", list(first))
    say(all(not f.required for f in loaded.schema().fields[4:]), "all optional")
    say(rows[1]["os"] == {"name": "x", "build": 7} and rows[1]["disks"] == [{"mount": "/", "free": 1.5}, {"mount": "/b", "free": None}] and rows[1]["zz"] is True
        and rows[2]["whole"] == 2**53 + 1 and rows[2]["real"] == 1.0 and rows[3]["list"] == [[1], []] and rows[3]["deep"] == {"a": {"b": [{"c": "x"}]}}
        and dict(rows[6]["map"])["k7"] == 7 and int(rows[6]["wide"]) == 2**64, "DuckDB reads the values", rows)
    say(sorted(rows) == [1, 2, 3, 5, 6] and sum(refused(one).values()) == 3 and ("type", "mixed: want string, found a number") in refused(one),
        "of values that exclude each other the fewer are refused; refused records make no columns", refused(one))
    head = loaded.current_snapshot()
    say(head.schema_id == loaded.metadata.current_schema_id == 1 and len(loaded.metadata.schemas) == 2 and head.summary["weir.kind"] == "window", "one commit with the window", head)
    say("+ real double" in weir(one, "history", "t").stdout, "history tells the columns", weir(one, "history", "t").stdout)
    put(one, "b.ndjson", [{"id": 7, "whole": 1.5}, {"id": 8, "real": 3}, {"id": 9, "ID": 1}, {"id": 10, "_kafka": 1}, {"id": 11, "new": "x", "os": {"arch": "arm"}}, {"id": 12, "whole": 3.0}])
    run = weir(one, "run")
    loaded, rows = table(one)
    say(run.returncode == 0 and sorted(rows) == [1, 2, 3, 5, 6, 8, 11, 12] and rows[12]["whole"] == 3 and rows[11]["os"]["arch"] == "arm" and rows[1]["os"]["arch"] is None, "a second window adds more", f"{run.stderr[-300:]} {rows}")
    say(all(first[name] == field for name, field in {f.name: f.field_id for f in loaded.schema().fields}.items() if name in first), "ids stay")
    say(any("whole" in message for _, message in refused(one)), "a long is not made a double", refused(one))
    say(sum(n for (reason, _), n in refused(one).items() if reason == "unknown_field") == 2, "names that engines mistake are refused", refused(one))
    say(weir(one, "run").stdout.strip() == "bronze.t: nothing to do" and len(table(one)[0].metadata.schemas) == 3, "then nothing changes")
    say(weir(one, "verify", "--deep").returncode == 0, "verify --deep", weir(one, "verify", "--deep").stdout)
    pipeline(one, unknown="ignore", columns="id: long required, os: 'struct<name:string>', disks: 'list<struct<mount:string>>'")
    put(one, "c.ndjson", [{"id": 13, "zz": True, "later": 1}])
    say(weir(one, "run").returncode == 0 and table(one)[1][13]["zz"] is None, "back to ignore: such columns are null")
    pipeline(one, columns="id: long required, later: int, os: 'struct<name:string>', disks: 'list<struct<mount:string>>'")
    put(one, "d.ndjson", [{"id": 14, "zz": True, "later": 2}])
    planned = weir(one, "plan").stdout
    say("+ later int" in planned, "plan tells declared columns to come", planned)
    say(weir(one, "run").returncode == 0 and table(one)[1][14]["zz"] is True and table(one)[1][14]["later"] == 2, "and evolve again reads them")
    # retry: a letter makes columns as a record does
    pipeline(one, columns="id: long required, later: int, os: 'struct<name:string>', disks: 'list<struct<mount:string>>'", extra="    expect: [{that: \"id <> 15\"}]\n")
    put(one, "e.ndjson", [{"id": 15, "fresh": "x"}])
    weir(one, "run")
    say("fresh" not in columns(table(one)[0]), "what an expectation refuses makes no column", columns(table(one)[0]))
    pipeline(one, columns="id: long required, later: int, os: 'struct<name:string>', disks: 'list<struct<mount:string>>'")
    run = weir(one, "quarantine", "retry", "t", "--why", "expect", "--yes")
    say(run.returncode == 0 and table(one)[1][15]["fresh"] == "x" and ("expect", "expectation id <> 15 did not hold") not in refused(one), "a retry does", f"{run.stderr[-300:]} {refused(one)}")
    say(weir(one, "verify", "--deep").returncode == 0, "verify --deep after it", weir(one, "verify", "--deep").stdout)

    # tables of one source: each has the fields of its own records
    two = top / "two"
    pipeline(two, tables={"bronze.odd": "    where: \"id % 2 = 1\"\n", "bronze.even": "    where: \"id % 2 = 0\"\n"})
    put(two, "a.ndjson", [{"id": n, "odd" if n % 2 else "even": n} for n in range(100)])
    run = weir(two, "run")
    say(run.returncode == 0 and list(columns(table(two, "bronze.odd")[0])) == ["id", "odd"] and list(columns(table(two, "bronze.even")[0])) == ["id", "even"]
        and len(table(two, "bronze.odd")[1]) == 50, "where: a table has the fields of its own records", f"{run.stderr[-300:]} {columns(table(two, 'bronze.odd')[0])}")

    # a sender that makes up names
    many = top / "many"
    pipeline(many)
    put(many, "a.ndjson", [{"id": n, "good": n, **({f"n{n:02}_{k:03}": k for k in range(500)} if n % 3 == 0 else {})} for n in range(30)])
    run = weir(many, "run")
    loaded, rows = table(many)
    say(run.returncode == 0 and len(columns(loaded)) < 1010 and len(rows) + sum(refused(many).values()) == 30 and len(rows) >= 20
        and {reason for reason, _ in refused(many)} == {"unknown_field"}, "columns end at their limit; records beyond it are refused", f"{run.stderr[-300:]} {len(columns(loaded))} {len(rows)} {refused(many)}")
    say(all(rows[n]["good"] == n for n in range(30) if n % 3), "their neighbours land")

    # killed at each effect of a run that evolves
    base, kill = top / "base", top / "kill"
    pipeline(kill)
    put(kill, "a.ndjson", [{"id": n, "a": n} for n in range(50)])
    weir(kill, "run")
    put(kill, "b.ndjson", [{"id": n, "b": {"c": n}, "d": [n]} for n in range(50, 100)] + ["bad"])
    shutil.copytree(kill / "lake", base)
    weir(kill, "run", WEIR_TEST_EFFECTS=str(top / "effects"))
    effects, wrong, fired = len((top / "effects").read_text().splitlines()), [], 0
    for n in range(1, effects + 1):
        for how in ("before", "after", "lost") if full else (("before", "after", "lost")[n % 3],):
            shutil.rmtree(kill / "lake")
            shutil.copytree(base, kill / "lake")
            fired += weir(kill, "run", WEIR_TEST_KILL=f"{n}:{how}").returncode == -9
            run, check = weir(kill, "run"), weir(kill, "verify", "--deep")
            loaded, rows = table(kill)
            if run.returncode or check.returncode or sorted(rows) != list(range(100)) or list(columns(loaded)) != ["id", "a", "b", "d"] or rows[77]["b"] != {"c": 77} or len(loaded.metadata.schemas) != 3:
                wrong.append(f"{n}:{how} {run.returncode} {run.stderr[-200:]} {check.stdout[-300:]} {len(rows)} {columns(loaded)} {len(loaded.metadata.schemas)}")
    say(effects > 5 and fired > effects // 2 and not wrong, f"killed at {effects} effects: every record once, its columns with it", f"{fired} fired; " + "\n".join(wrong[:3]))

    # writers at once: shards that meet fields of their own, and two whole runs
    brokers = subprocess.run([service, "start", "kafka"], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    subprocess.run([service, "topic", "kafka", "create", "grow", "4"], check=True, capture_output=True)
    producer, race, total, fields = Producer({"bootstrap.servers": brokers}), top / "race", 0, set()
    pipeline(race, source=f"kafka: {{topics: [grow], properties: {{bootstrap.servers: '{brokers}'}}}}")
    codes = []
    for turn in range(12 if full else 4):
        for partition in range(4):
            fields.add(f"f{turn}_{partition}")
            for n in range(200):
                producer.produce("grow", json.dumps({"id": total, f"f{turn}_{partition}": total, "o": {f"p{turn}_{partition}": str(n)}}).encode(), partition=partition)
                total += 1
        producer.flush()
        ways = [["--shard", "0/2"], ["--shard", "1/2"]] if turn % 2 else [[], []]
        runs = [subprocess.Popen([WEIR, "run", "-p", str(race / "weir.yaml"), *way], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "WEIR_TEST_LEASE_MS": "1"}) for way in ways]
        if turn % 3 == 2:
            try:
                runs[0].wait(random.random() * 0.3)
            except subprocess.TimeoutExpired:
                runs[0].kill()
        codes += [(process.wait(), process.stderr.read()[-200:]) for process in runs]
    last = weir(race, "run")
    loaded, rows = table(race)
    check = weir(race, "verify", "--deep")
    say(all(code in (0, 75, -9) for code, _ in codes) and last.returncode == 0, "runs at once end well", f"{codes} {last.stderr[-300:]}")
    say(sorted(rows) == list(range(total)) and set(columns(loaded)) == fields | {"id", "o"} and all(sum(v is not None for k, v in row.items() if k in fields) == 1 for row in rows.values())
        and all(rows[n][f"f{n // 800}_{n % 800 // 200}"] == n and rows[n]["o"][f"p{n // 800}_{n % 800 // 200}"] == str(n % 200) for n in rows), "every record once, each value in its column", f"{len(rows)} of {total}, {columns(loaded)}")
    ids = [f.field_id for f in loaded.schema().fields]
    say(len(set(ids)) == len(ids) and check.returncode == 0, "no id twice; verify --deep", check.stdout[-400:])
    say(engines.read_pyiceberg(engines.Place(catalog=str(race / "lake/catalog.db")), loaded).num_rows == total, "pyiceberg counts the same")
finally:
    subprocess.run([service, "stop", "--all"], capture_output=True)
    shutil.rmtree(top, ignore_errors=True)
sys.exit(bad > 0)
