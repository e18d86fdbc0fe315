"""The documents say what the program does: every pipeline file in them validates, docs/cli.md is `weir help`."""
import os, re, subprocess, sys, tempfile
from pathlib import Path

root, weir, bad = Path(__file__).resolve().parents[2], os.environ["WEIR"], 0


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}")


made = subprocess.run([root / "tools/docs", weir], capture_output=True, text=True).stdout
say(made == (root / "docs/cli.md").read_text(), "docs/cli.md is what the program says", "make it anew by tools/docs")
blocks = 0
for document in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("scheduler/**/*.md")]):
    for number, block in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", document.read_text(), re.S | re.M)):
        if not re.match(r"(#.*\n)*version:", block):
            continue
        blocks += 1
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "weir.yaml").write_text(block)
            run = subprocess.run([weir, "validate", "-p", f"{folder}/weir.yaml"], capture_output=True, text=True)
        say(run.returncode == 0, f"{document.relative_to(root)} block {number} validates", run.stderr[-500:])
say(blocks >= 2, "pipeline files are found in the documents", f"only {blocks}")
made = subprocess.run([root / "tools/docs", weir, "sql"], capture_output=True, text=True).stdout
sql = (root / "docs/sql.md").read_text()
say(made == sql, "docs/sql.md lists the functions there are", "make it anew by tools/docs WEIR sql")
statements = re.findall(r"^```sql\n(.*?)^```", sql, re.S | re.M)
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "orders.ndjson").write_text('{"id": 1, "customer": "ann", "amount": 12.5, "at": "2026-01-31T10:07:00Z", "tags": ["a", "b"]}\n'
                                                '{"id": 2, "customer": "bob", "amount": 3, "at": "2026-02-01T08:00:00Z", "tags": []}\n')
    (Path(folder) / "customers.csv").write_text("name,country\nann,NL\nbob,DE\n")
    for number, block in enumerate(statements):
        run = subprocess.run([weir, "query", "-f", "-"], input=block, cwd=folder, capture_output=True, text=True)
        say(run.returncode == 0, f"docs/sql.md block {number} runs", run.stderr[-500:])
say(len(statements) >= 4, "SQL is found in docs/sql.md", f"only {len(statements)}")
sys.exit(bad > 0)
