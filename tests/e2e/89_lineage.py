"""Where columns come from: classes through models, policies, samples, `weir graph`, OpenLineage events."""
import datetime, http.server, json, os, re, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
import engines

WEIR, bad = os.environ["WEIR"], 0
top = Path(tempfile.mkdtemp(prefix="weir-lineage."))

PIPELINE = """version: 1
name: law
lake: {warehouse: ./lake, region: eu-west-2, classification: GDPR}
sources:
  inventory: {files: in/*.ndjson}
  policy: {files: policy.csv, format: csv}
tables:
  bronze.inventory:
    source: inventory
    columns:
      record_id: string required
      device_id: {type: string, class: pseudonymous, subject: device}
      email: {type: string, class: personal, subject: person}
      site: string
      at: timestamptz
      usage: double
  bronze.policy: {source: policy, mode: full, columns: {site: string, max_usage: double}}
  silver.device:
    sql: models/device.sql
    mode: merge
    unique_key: [device_id]
    order_by: [at desc, record_id desc]
    expect:
      - {name: low, that: "usage < 50", on_fail: warn}
  silver.masked: {sql: models/masked.sql, mode: view}
  gold.people: {sql: models/people.sql, mode: fullPEOPLE}
  gold.sites: {sql: models/sites.sql, mode: recompute, group_by: [site]}
sinks:
  hook: {from: gold.people, webhook: {url: "HOOK", id: [who]}SINK}
policies:
  GDPR: {regions: [eu-west-2], personal: {sinks: [SINKS], unmask_with: [hmac_sha256, mask_email]}}
"""
MODELS = {
    "device": "SELECT record_id, device_id, lower(email) AS mail, hmac_sha256(email, 'k') AS who, at, site, usage FROM bronze.inventory",
    "masked": "SELECT mask_email(mail) AS m, who, site FROM silver.device",
    "people": "SELECT v.m, v.who, d.mail AS contact FROM silver.masked v JOIN silver.device d USING (who)",
    "sites": "SELECT d.site, count(DISTINCT mail) AS people, avg(usage) AS usage, max(p.max_usage) AS most FROM silver.device d LEFT JOIN bronze.policy p USING (site)"
             " WHERE mail LIKE '%@%' GROUP BY d.site",
}


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def weir(folder, *arguments, **environment):
    return subprocess.run([WEIR, *arguments, "-p", str(folder / "weir.yaml")], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "WEIR_TEST_LEASE_MS": "50", **environment})


def write(folder, people="", sink="", sinks="hook", hook="http://localhost:9", more=""):
    text = PIPELINE
    for name, value in (("PEOPLE", people), ("SINKS", sinks), ("SINK", sink), ("HOOK", hook)):
        text = text.replace(name, value)
    (folder / "weir.yaml").write_text(text + more)


def make(name, **options):
    folder = top / name
    (folder / "in").mkdir(parents=True)
    (folder / "models").mkdir()
    write(folder, **options)
    (folder / "policy.csv").write_text("site,max_usage\nlondon,90\nleeds,10\n")
    for model, sql in MODELS.items():
        (folder / "models" / f"{model}.sql").write_text(sql + "\n")
    records(folder, 0)
    return folder


def records(folder, window):
    with (folder / "in" / f"{window:04}.ndjson").open("w") as out:
        for n in range(6):
            out.write(json.dumps({"record_id": f"{window}-{n}", "device_id": f"d{n}", "email": f"Person.Number{n}@example.com", "site": ("london", "leeds")[n % 2],
                                  "at": f"2025-11-0{window + 1}T10:0{n}:00Z", "usage": 20.0 * n}) + "\n")


def table(folder, name):
    return engines.load_table(engines.Place(catalog=str(folder / "lake/catalog.db")), name)


def classes(folder):
    done = weir(folder, "validate", "-o", "json")
    shown = json.loads(done.stdout)["classes"] if done.returncode == 0 else []
    return {f"{c['table']}.{c['column']}": (c["class"], c["subject"]) for c in shown}, done


def validated():
    folder = make("validate")
    got, done = classes(folder)
    wanted = {"bronze.inventory.device_id": ("pseudonymous", "device"), "bronze.inventory.email": ("personal", "person"), "silver.device.device_id": ("pseudonymous", "device"),
              "silver.device.mail": ("personal", "person"), "silver.device.who": ("pseudonymous", "person"), "silver.masked.who": ("pseudonymous", "person"),
              "gold.people.who": ("pseudonymous", "person"), "gold.people.contact": ("personal", "person")}
    say(got == wanted, "models inherit the class of what they read; hmac_sha256 makes it pseudonymous, mask_email none, counting none", f"{got} {done.stderr}")
    text = weir(folder, "validate").stdout
    say("gold.people.contact <- silver.device.mail <- bronze.inventory.email" in text, "validate shows the way a class came", text)
    write(folder, sinks="")
    done = weir(folder, "validate")
    say(done.returncode == 2 and all(w in done.stderr for w in ("sinks.hook", "contact of gold.people", "policy GDPR", "gold.people.contact <- silver.device.mail <- bronze.inventory.email")),
        "a sink that would receive a personal column is refused, with column, way and sink", done.stderr)
    write(folder, sinks="", sink=", columns: [m, who]")
    say(weir(folder, "validate").returncode == 0, "not if it receives others only")
    write(folder, people=", columns: {m: string, who: string, contact: {type: string, class: none}}")
    done = weir(folder, "validate")
    line = (folder / "weir.yaml").read_text().split("\n").index(next(x for x in (folder / "weir.yaml").read_text().split("\n") if "gold.people:" in x)) + 1
    say(done.returncode == 2 and f"weir.yaml:{line}:" in done.stderr and "declared as none" in done.stderr, "a class below the inherited one is refused at its line and column", done.stderr)
    write(folder, people=", columns: {m: {type: string, class: personal}, who: string, contact: string}")
    say(classes(folder)[0].get("gold.people.m") == ("personal", ""), "a higher one is taken", classes(folder))
    (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace("[hmac_sha256, mask_email]", "[mask_email]"))
    say(classes(folder)[0].get("silver.device.who") == ("personal", "person"), "a function that unmask_with does not name lifts nothing", classes(folder))
    write(folder, more="  STRICT: {personal: {unmask_with: [hmac_sha256]}}\n  UNUSED: {personal: {sinks: [], unmask_with: []}}\n")
    (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace("classification: GDPR", "classification: [GDPR, STRICT]"))
    got = classes(folder)[0]
    say(got.get("gold.people.m") == ("personal", "person") and got.get("silver.device.who") == ("pseudonymous", "person"), "of several policies all must name it, and only those of this lake count", got)
    write(folder, more="lineage: {openlineage: {url: \"ftp://x\"}}\n")
    (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace("unmask_with: [hmac_sha256, mask_email]", "unmask_with: [lower]").replace("classification: GDPR", "classification: GDRP"))
    done = weir(folder, "validate")
    say(done.returncode == 2 and "did you mean 'GDPR'?" in done.stderr and "expected hmac_sha256 or mask_email" in done.stderr and "expected http(s)://" in done.stderr, "policies and masks that there are not", done.stderr)


def promoted():
    folder = make("promote", sinks="", sink=", columns: [m]")
    done = weir(folder, "run", "-o", "json")
    every = json.loads(done.stdout)["tables"]
    gate = next(t for t in every if t["table"] == "silver.device")["gates"][0]
    say(gate["rows"] == 3 and all(r["mail"] == "***" and r["who"] == "***" and r["site"] != "***" and r["usage"] >= 50 for r in gate["sample"]),
        "samples of a gate show no value of an inherited class", gate)
    say("number" not in done.stdout.lower() + done.stderr.lower(), "nor does anything a run prints", done.stdout)
    device = table(folder, "silver.device")
    props = {k: v for k, v in device.properties.items() if k.startswith("weir.class.")}
    say(props == {"weir.class.device_id": "pseudonymous", "weir.class.mail": "personal", "weir.class.who": "pseudonymous"}, "the table tells the classes of its columns", props)
    say(table(folder, "bronze.inventory").properties.get("weir.class.email") == "personal", "bronze too")
    ids = {f.name: f.field_id for f in device.schema().fields}
    task = next(iter(device.scan().plan_files())).file
    say(ids["mail"] not in task.lower_bounds and ids["site"] in task.lower_bounds and ids["who"] in task.lower_bounds, "no bounds of personal columns in manifests", task.lower_bounds.keys())
    objects = [p for p in (folder / "lake").rglob("*") if p.is_file() and p.suffix != ".parquet" and b"erson.number" in p.read_bytes().lower()]
    say(not objects, "no value of them in any metadata, receipt or record of a run", objects)
    # the class goes, and the file's owner declares it: what the table tells follows
    (folder / "models/device.sql").write_text(MODELS["device"].replace("lower(email)", "mask_email(email)") + "\n")
    records(folder, 1)
    weir(folder, "run")
    done = weir(folder, "promote", "silver.device", "--rebuild")
    say(table(folder, "silver.device").properties.get("weir.class.mail") == "none", "a class that is lifted later is lifted in the table", done.stderr)
    write(folder, sinks="", hook="http://127.0.0.1:9")
    (folder / "models/device.sql").write_text(MODELS["device"] + "\n")
    done = weir(folder, "run", "-s", "hook")
    say(done.returncode == 2 and "sinks.hook would receive contact" in done.stderr, "a run does not send what a policy forbids, whether or not somebody validated", f"{done.returncode} {done.stderr}")


def graph():
    folder = make("graph")
    text = weir(folder, "graph").stdout
    wanted = ["source inventory  files", "  bronze.inventory", "    silver.device  merge", "      silver.masked  view", "        gold.people  full", "          sink hook  webhook",
              "      gold.people  full  (above)", "      gold.sites  recompute", "source policy  files", "  bronze.policy  full", "    gold.sites  recompute  (above)"]
    say(text.split("\n")[:-1] == wanted, "the graph as a tree", text)
    text = weir(folder, "graph", "--columns", "-s", "silver.device").stdout
    say("  . who [pseudonymous person] <- bronze.inventory.email (hmac_sha256)\n" in text and text.startswith("silver.device  merge\n"), "with columns, their classes, and what they are made of", text)
    mermaid = weir(folder, "graph", "-o", "mermaid").stdout
    node = {line.split('"')[1].split("<br/>")[0]: line.split()[0].split("[")[0].split("(")[0] for line in mermaid.split("\n") if '"' in line}
    say(mermaid.startswith("flowchart LR\n") and f"  {node['silver.device']} --> {node['gold.sites']}\n" in mermaid and f"  {node['gold.people']} --> {node['hook']}\n" in mermaid
        and mermaid.count("subgraph") == 3 == mermaid.count("  end\n"), "as Mermaid", mermaid)
    dot = weir(folder, "graph", "-o", "dot", "--columns").stdout
    say(dot.startswith("digraph weir {\n") and dot.count("{") == dot.count("}") == 4 and dot.count(" -> ") == mermaid.count(" --> ") and "mail (personal)" in dot, "as DOT", dot)
    shown = json.loads(weir(folder, "graph", "-o", "json", "--columns").stdout)
    sites = {n["name"]: n for n in shown["nodes"]}["gold.sites"]
    kinds = {c["name"]: {(f["table"], f["column"], f["kind"]) for f in c["from"]} for c in sites["columns"]}
    say(kinds == {"site": {("silver.device", "site", "identity")}, "people": {("silver.device", "mail", "condition")}, "usage": {("silver.device", "usage", "aggregation")},
                  "most": {("bronze.policy", "max_usage", "aggregation")}}, "as JSON, columns by the way they came", kinds)
    say({(f["column"], f["kind"]) for f in sites["rows"]} == {("mail", "filter"), ("site", "join"), ("site", "group")} and len(shown["edges"]) == mermaid.count("-->"), "and what decides which rows there are", sites["rows"])
    names = lambda *a: {n["name"] for n in json.loads(weir(folder, "graph", "-o", "json", "-s", *a).stdout)["nodes"]}
    say(names("+gold.people") == {"inventory", "bronze.inventory", "silver.device", "silver.masked", "gold.people"} and names("bronze.policy+") == {"bronze.policy", "gold.sites"}
        and names("layer:gold") == {"gold.people", "gold.sites"}, "-s: a name, what it reads, what reads it", names("bronze.policy+"))
    say(weir(folder, "graph", "-s", "nobody").returncode == 2 and weir(folder, "graph", "-o", "csv").returncode == 2, "unknown names and forms")


FORMS = [
    "SELECT id + n AS a, upper(email) AS b, CASE WHEN n > 20 THEN host ELSE 'none' END AS c, coalesce(email, host) AS d FROM {p}",
    "SELECT p.email AS a, q.lim AS b, p.n * q.lim AS c FROM {p} p JOIN {q} q ON p.id = q.id",
    "SELECT p.host AS a, q.email AS b FROM {p} p LEFT JOIN {q} q USING (id) WHERE p.n > 10",
    "SELECT host AS a, sum(n) AS b, count(email) AS c, max(email) FILTER (WHERE id > 2) AS d FROM {p} GROUP BY host HAVING min(id) > 0",
    "SELECT id AS a, (SELECT max(q.email) FROM {q} q WHERE q.id = p.id) AS b, id IN (SELECT parent FROM {r}) AS c FROM {p} p",
    "SELECT host AS a FROM {p} p WHERE EXISTS (SELECT 1 FROM {r} r WHERE r.parent = p.id) OR n IN (SELECT lim FROM {q})",
    "SELECT email AS a, row_number() OVER (PARTITION BY host ORDER BY id) AS b, lag(n) OVER (ORDER BY id) AS c FROM {p}",
    "SELECT email AS a, n AS b FROM {p} QUALIFY row_number() OVER (PARTITION BY host ORDER BY id DESC) = 1",
    "SELECT email AS a, n AS b FROM {p} UNION ALL SELECT name, parent FROM {r}",
    "SELECT host AS a FROM {p} EXCEPT SELECT name FROM {r} WHERE parent IS NULL",
    "WITH c AS (SELECT id, host || '!' AS h, email FROM {p}) SELECT x.h AS a, y.email AS b FROM c x JOIN c y ON x.id = y.id + 1",
    "WITH RECURSIVE t AS (SELECT id, name AS way, 1 AS deep FROM {r} WHERE parent IS NULL UNION ALL SELECT r.id, t.way || r.name, deep + 1 FROM {r} r JOIN t ON r.parent = t.id) "
    "SELECT way AS a, deep AS b, id AS c FROM t",
    "SELECT {{'x': email, 'y': n}}.y AS a, list_transform([host, email], lambda v: v || n) AS b, u AS c FROM {p}, unnest([host, name_of]) AS w(u), LATERAL (SELECT count(*) AS k FROM {r} "
    "WHERE parent = id) z".replace("name_of", "'z'"),
    "SELECT p.host AS a, q.email AS b, q.lim AS c FROM {p} p ASOF LEFT JOIN {q} q ON p.n >= q.lim",
    "SELECT DISTINCT ON (host) host AS a, n AS b, id AS c FROM {p} ORDER BY host, id",
    "SELECT id AS a, host AS b FROM {p} ORDER BY n DESC LIMIT 3",
]
DATA = {"p": [{"id": i, "email": f"e{i % 5}", "host": f"h{i % 3}", "n": 7 * i % 40} for i in range(1, 9)],
        "q": [{"id": i, "email": f"q{i % 4}", "lim": 5 * i % 30} for i in range(2, 10)],
        "r": [{"id": i, "parent": None if i < 3 else i - 2, "name": f"h{i % 4}"} for i in range(1, 8)]}


def sound():
    """What lineage does not name, changed in every row, changes nothing: each form of SQL, each column of each table."""
    folder = top / "sound"
    (folder / "models").mkdir(parents=True)
    (folder / "in").mkdir()
    types = {"id": "long", "n": "long", "lim": "long", "parent": "long"}
    text = "version: 1\nname: sound\nlake: {warehouse: ./lake}\nsources: {s: {files: in/*.ndjson}}\ntables:\n"
    for name, rows in DATA.items():
        text += f"  bronze.{name}: {{source: s, columns: {{{', '.join(c + ': ' + types.get(c, 'string') for c in rows[0])}}}}}\n"
    for number, form in enumerate(FORMS):
        (folder / f"models/m{number}.sql").write_text(form.format(**{t: f"bronze.{t}" for t in DATA}) + "\n")
        text += f"  silver.m{number}: {{sql: models/m{number}.sql, mode: full}}\n"
    (folder / "weir.yaml").write_text(text)
    done = weir(folder, "graph", "-o", "json", "--columns")
    models = {n["name"]: n for n in json.loads(done.stdout)["nodes"]} if done.returncode == 0 else {}
    say(len(models) == len(FORMS) + 4, "lineage of every form", done.stderr)

    def answers(table_, column):
        for name, rows in DATA.items():
            with (folder / f"{name}.ndjson").open("w") as out:
                for number, row in enumerate(rows):
                    if name == table_:
                        row = {**row, column: 1000 - 37 * number if column in types else f"other{number % 4}"}
                    out.write(json.dumps(row) + "\n")
        script = ";\n".join(f"SELECT {number} AS form, x.* FROM ({form.format(**{t: repr(str(folder / (t + '.ndjson'))) for t in DATA})}) x" for number, form in enumerate(FORMS))
        (folder / "all.sql").write_text(script + ";\n")
        done = weir(folder, "query", "-o", "ndjson", "-f", str(folder / "all.sql"))
        rows = [json.loads(line) for line in done.stdout.split("\n") if line]
        return {n: {c: sorted(json.dumps(r.get(c)) for r in rows if r["form"] == n) for c in "abcd"} for n in range(len(FORMS))}, done.stderr

    before, complaints = answers(None, None)
    say(all(before[n]["a"] for n in before) and not complaints, "and its rows", complaints + str([FORMS[n] for n in before if not before[n]["a"]]))
    wrong_, same, moved = [], 0, 0
    for table_, rows in DATA.items():
        for column in rows[0]:
            after, _ = answers(table_, column)
            for n in before:
                node = models[f"silver.m{n}"]
                named = lambda uses: any(u["table"] == f"bronze.{table_}" and u["column"] == column for u in uses)
                for c in node["columns"]:
                    differs = before[n][c["name"]] != after[n][c["name"]]
                    if named(node["rows"]) or named(c["from"]):
                        moved += differs
                    elif differs:
                        wrong_.append(f"{FORMS[n]}: {c['name']} by {table_}.{column}")
                    else:
                        same += 1
    say(not wrong_ and same > 200 and moved > 50, f"what it does not name changes nothing ({same} held, {moved} moved by what it names)", wrong_[:3])


# ---- OpenLineage: what the spec (2-0-2, facets) requires of what we send ----

TEXT, URI = {"type": "string"}, {"type": "string", "pattern": "^[a-z]+:[^ ]+$"}


def thing(required, **properties):
    return {"type": "object", "required": required, "properties": properties}


def facet(required=(), **properties):
    return thing(["_producer", "_schemaURL", *required], _producer=URI, _schemaURL={"type": "string", "pattern": "^https://openlineage.io/spec/facets/[0-9]-[0-9]-[0-9]/[A-Za-z]+.json#/[$]defs/[A-Za-z]+$"}, **properties)


FIELD = thing(["namespace", "name", "field"], namespace=TEXT, name=TEXT, field=TEXT,
              transformations={"type": "array", "items": thing(["type"], type={"enum": ["DIRECT", "INDIRECT"]}, subtype=TEXT, masking={"type": "boolean"})})
DATASET = thing(["namespace", "name"], namespace=TEXT, name=TEXT, facets={"type": "object", "additionalProperties": facet(), "properties": {
    "schema": facet(["fields"], fields={"type": "array", "items": thing(["name"], name=TEXT, type=TEXT)}),
    "columnLineage": facet(["fields"], fields={"type": "object", "additionalProperties": thing(["inputFields"], inputFields={"type": "array", "items": FIELD})}, dataset={"type": "array", "items": FIELD}),
    "symlinks": facet(["identifiers"], identifiers={"type": "array", "items": thing(["namespace", "name", "type"])}),
    "version": facet(["datasetVersion"], datasetVersion=TEXT)}},
    outputFacets={"type": "object", "additionalProperties": facet(), "properties": {"outputStatistics": facet((), rowCount={"type": "integer"}, size={"type": "integer"}, fileCount={"type": "integer"})}})
JOB = thing(["namespace", "name"], namespace=TEXT, name=TEXT, facets={"type": "object", "additionalProperties": facet(), "properties": {"jobType": facet(["processingType", "integration"])}})
EVENT = dict(eventTime={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d+)?(Z|[+]\d\d:\d\d)$"}, producer=URI, schemaURL=URI, job=JOB, inputs={"type": "array", "items": DATASET}, outputs={"type": "array", "items": DATASET})
RUN = thing(["runId"], runId={"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}, facets={"type": "object", "additionalProperties": facet(), "properties": {
    "processing_engine": facet(["version"]), "errorMessage": facet(["message", "programmingLanguage"])}})
TYPES = {"string": str, "object": dict, "array": list, "integer": int, "boolean": bool}
SPEC = {"RunEvent": thing(["eventTime", "producer", "schemaURL", "run", "job"], run=RUN, eventType={"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]}, **EVENT),
        "JobEvent": {**thing(["eventTime", "producer", "schemaURL", "job"], **EVENT), "without": ["run"]}}


def violations(schema, value, at="event"):
    """As much of JSON Schema as the texts above use."""
    found = []
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return [f"{at}: not a {schema['type']}"]
    if "enum" in schema and value not in schema["enum"] or "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r}")
    found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value] + [f"{at}: {key}" for key in schema.get("without", []) if key in value]
    for key, one in value.items() if isinstance(value, dict) else ():
        for inner in (schema.get("properties", {}).get(key), schema.get("additionalProperties")):
            found += violations(inner, one, f"{at}.{key}") if inner else []
    for number, one in enumerate(value) if isinstance(value, list) else ():
        found += violations(schema.get("items", {}), one, f"{at}[{number}]")
    return found


def wrong(event):
    """What the spec says against an event. WEIR_OPENLINEAGE_SPEC: a folder with the published files, held against too."""
    found = violations(SPEC[event["schemaURL"].rsplit("/", 1)[1]], event)
    spec = os.environ.get("WEIR_OPENLINEAGE_SPEC")
    if spec:
        import jsonschema
        from referencing import Registry, Resource
        every = [json.loads(p.read_text()) for p in [Path(spec) / "OpenLineage.json", *Path(spec).glob("facets/*.json")]]
        registry = Registry().with_resources([(s["$id"], Resource.from_contents(s)) for s in every if "$id" in s])
        check = lambda url, what: [e.message for e in jsonschema.Draft202012Validator({"$ref": url}, registry=registry, format_checker=jsonschema.FormatChecker()).iter_errors(what)]
        found += check(event["schemaURL"], event)
        things = [event["job"], event.get("run", {}), *event["inputs"], *event["outputs"]]
        for one in [f for t in things for key in ("facets", "outputFacets") for f in t.get(key, {}).values()]:
            found += check(one["_schemaURL"], one)
    return found


class Receiver(http.server.BaseHTTPRequestHandler):
    events, code, asked, slow = [], 201, [], 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.asked.append((self.path, self.headers.get("Authorization"), self.headers.get("Content-Type")))
        time.sleep(Receiver.slow)
        if Receiver.code == 201:
            Receiver.events.append(json.loads(body))
        try:
            self.send_response(Receiver.code)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except BrokenPipeError:
            pass

    def log_message(self, *_):
        pass


def when(event):
    """Times are told without zeros at their end: not to be compared as texts."""
    return datetime.datetime.fromisoformat(event["eventTime"])


def told():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lineage = "lineage: {openlineage: {url: \"http://127.0.0.1:%d/\", api_key: \"${OPENLINEAGE_KEY}\", namespace: acme, timeout: 500ms}}\n"
    os.environ["OPENLINEAGE_KEY"] = "secret-of-lineage"
    folder = make("told", sinks="", sink=", columns: [m]", more=lineage % server.server_address[1])
    text = (folder / "weir.yaml").read_text()
    (folder / "weir.yaml").write_text(text[:text.index("sinks:")] + text[text.index("policies:"):])
    done = weir(folder, "run", "-o", "json")
    events, record = Receiver.events[:], json.loads(done.stdout)
    say(done.returncode == 0 and record["lineage"] == {"sent": 10, "failed": 0} and len(events) == 10, "a run tells of each table it committed to, and counts it", f"{record.get('lineage')} {len(events)} {done.stderr}")
    say(all(a == ("/api/v1/lineage", "Bearer secret-of-lineage", "application/json") for a in Receiver.asked), "by POST to /api/v1/lineage with the key", Receiver.asked[:1])
    problems = [w for e in events for w in wrong(e)]
    say(not problems, "events are what the spec of OpenLineage asks for", problems[:5])
    by = {}
    for event in events:
        by.setdefault(event["job"]["name"], []).append(event)
    say(set(by) == {f"law.{t}" for t in ("bronze.inventory", "bronze.policy", "silver.device", "gold.people", "gold.sites")}
        and all([e["eventType"] for e in two] == ["START", "COMPLETE"] and two[0]["run"]["runId"] == two[1]["run"]["runId"] and when(two[0]) <= when(two[1]) for two in by.values())
        and all(e["job"]["namespace"] == "acme" for e in events), "START and COMPLETE of one run each", {k: [e["eventType"] for e in v] for k, v in by.items()})
    last = by["law.gold.people"][1]
    lake = str(folder / "lake")
    fields = last["outputs"][0]["facets"]["columnLineage"]["fields"]
    say([d["name"] for d in last["inputs"]] == [lake + "/silver/device"] and last["outputs"][0]["name"] == lake + "/gold/people"
        and fields["m"]["inputFields"] == [{"namespace": "file", "name": lake + "/silver/device", "field": "mail", "transformations": [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True}]}]
        and fields["contact"]["inputFields"][0]["transformations"] == [{"type": "DIRECT", "subtype": "IDENTITY", "masking": False}], "inputs and outputs by place, columns by lineage, masks told", last)
    version = str(table(folder, "gold.people").current_snapshot().snapshot_id)
    say(last["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 6 and last["outputs"][0]["facets"]["version"]["datasetVersion"] == version, "rows and the snapshot", last["outputs"])
    say("number" not in json.dumps(events).lower() and "'k'" not in json.dumps(events), "no value, and no SQL with its keys", "")
    Receiver.events.clear()
    done = weir(folder, "run", "-o", "json")
    say(not Receiver.events and json.loads(done.stdout)["lineage"] == {"sent": 0, "failed": 0}, "nothing is told where nothing was due", Receiver.events)
    static = [json.loads(line) for line in weir(folder, "graph", "-o", "openlineage").stdout.split("\n") if line]
    say(len(static) == 5 and all(e["schemaURL"].endswith("/JobEvent") and not wrong(e) for e in static), "weir graph tells jobs without a run", [w for e in static for w in wrong(e)][:3])
    # what fails is told as FAIL, with its message
    (folder / "models/sites.sql").write_text("SELECT site, count(*) AS people, (1 / (count(*) - count(*)))::double AS usage, 1.0::double AS most FROM silver.device GROUP BY site\n")
    done = weir(folder, "promote", "gold.sites", "--rebuild")
    ends = [(e["eventType"], e["run"]["facets"].get("errorMessage", {}).get("message", "")) for e in Receiver.events]
    say(done.returncode == 1 and [e for e, _ in ends] == ["START", "FAIL"] and "division by zero" in ends[1][1] and not [w for e in Receiver.events for w in wrong(e)], "a failed promotion ends in FAIL", f"{ends} {done.stderr}")
    (folder / "models/sites.sql").write_text(MODELS["sites"] + "\n")
    # a server that answers 500, does not answer, or is not there: the run goes on, warns once, counts
    for number, (name, code, slow, url) in enumerate((("refuses", 500, 0, None), ("does not answer", 201, 3, None), ("is not there", 201, 0, "http://127.0.0.1:9"))):
        Receiver.code, Receiver.slow = code, slow
        records(folder, number + 1)
        if url:
            (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace(f"http://127.0.0.1:{server.server_address[1]}/", url))
        began = time.monotonic()
        done = weir(folder, "run", "-o", "json")
        took, counted = time.monotonic() - began, json.loads(done.stdout)["lineage"]
        say(done.returncode == 0 and counted["sent"] == 0 and counted["failed"] >= 6 and done.stderr.count("lineage is not told") == 1 and took < 5 and "secret-of-lineage" not in done.stdout + done.stderr,
            f"a server that {name} costs one try and a warning", f"{took:.1f} s {counted} {done.stderr}")
    server.shutdown()


def delivered():
    """A delivery is a job: it reads the table and writes its receiver, whose address stays unsaid."""
    Receiver.code, Receiver.slow = 201, 0
    Receiver.events.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    folder = make("delivered", sinks="hook, feed, seen", sink=", columns: [m]", hook=f"http://{host}/hook/t0ken",
                  more=f"lineage: {{openlineage: {{url: \"http://{host}\", namespace: acme}}}}\n")
    (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace("policies:", """  feed: {from: gold.people, columns: [m], kafka: {topic: people, key: [who], properties: {bootstrap.servers: "k1:9092,k2:9092"}}, region: eu-west-2}
  seen: {from: gold.people, columns: [m], opensearch: {url: "https://search:9200/behind", index: people, id: [who]}, region: eu-west-2}
policies:"""))
    done = weir(folder, "run", "-s", "bronze.inventory,bronze.policy,silver.device")
    weir(folder, "promote", "gold.people")
    done = weir(folder, "run", "-s", "hook")
    events = [e for e in Receiver.events if "job" in e]
    mine = [e for e in events if e["job"]["name"] == "law.sink.hook"]
    say([e["eventType"] for e in mine] == ["START", "COMPLETE"] and mine[1]["outputs"][0]["namespace"] == f"http://{host}" and mine[1]["outputs"][0]["name"] == "hook"
        and mine[1]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 6 and mine[1]["inputs"][0]["name"] == str(folder / "lake/gold/people"), "a delivery is told", f"{mine} {done.stderr}")
    static = [json.loads(line) for line in weir(folder, "graph", "-o", "openlineage").stdout.split("\n") if line]
    places = {e["job"]["name"]: (e["outputs"][0]["namespace"], e["outputs"][0]["name"]) for e in static if ".sink." in e["job"]["name"]}
    say(places == {"law.sink.hook": (f"http://{host}", "hook"), "law.sink.feed": ("kafka://k1:9092", "people"), "law.sink.seen": ("opensearch://search:9200", "people")}, "sinks are jobs of weir graph", places)
    say(not [w for e in events + static for w in wrong(e)] and "t0ken" not in json.dumps(events + static), "as the spec asks for, and without the address", [w for e in events + static for w in wrong(e)][:3])
    server.shutdown()


for part in (validated, promoted, graph, sound, told, delivered):
    part()
if not bad:
    shutil.rmtree(top)
print("ok all" if bad == 0 else f"FAIL {bad} problems")
sys.exit(bad != 0)
