"""Where columns come from: classes through models, policies, samples, `weir graph`, OpenLineage events."""
import http.server, json, os, subprocess, sys, tempfile, threading, time
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
    (folder / "weir.yaml").write_text((folder / "weir.yaml").read_text().replace("unmask_with: [mask_email]", "unmask_with: [lower]").replace("classification: GDPR", "classification: GDRP"))
    done = weir(folder, "validate")
    say(done.returncode == 2 and "did you mean 'GDPR'?" in done.stderr and "expected hmac_sha256 or mask_email" in done.stderr, "policies and masks that there are not", done.stderr)


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


for part in (validated, promoted):
    part()
print("ok all" if bad == 0 else f"FAIL {bad} problems")
sys.exit(bad != 0)
