"""Random queries over random tables, Weir against DuckDB: no difference. 20,000 of them, and some by the program with sanitizers; WEIR_FULL=1: 200,000.

The short form asks the same queries each time: new ones find DuckDB's bugs too, once in some ten thousand, and those need a person. The long form asks
new ones, by WEIR_SEED. A difference is printed with its statement; `tests/interop/sql_random.py --many PROGRAM --world SEED.NUMBER --keep FOLDER` makes its files again."""
import os, sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/interop"))
import sql_random

FULL = bool(os.environ.get("WEIR_FULL"))
SEED = int(os.environ.get("WEIR_SEED", "6")) if FULL else 6
REFUSED = 0.10  # of all queries, at most: more would mean that the grammar has drifted
bad = 0


def say(good, name, detail=""):
    global bad
    bad += not good
    print(f"ok {name}" if good else f"FAIL {name}: {detail}", flush=True)


def scene(name, program, count, seconds):
    if not program.exists():
        return say(False, name, f"there is no {program}")
    tally = sql_random.run_all(str(program), count, SEED, jobs=min(os.cpu_count() or 1, 4), budget=seconds, words_shown=5)
    done = tally["same"] + tally["refused"] + tally["different"]
    say(tally["different"] == 0, f"{name}: no difference", f"{tally['different']} of {done}, above")
    say(tally["refused"] <= REFUSED * done, f"{name}: few refused", f"{tally['refused']} of {done}")
    say(done >= count, f"{name}: {count} queries", f"{done} in {seconds} s")


def program_of(variable):
    return Path(os.environ[variable]).resolve().parents[2] / "tests/sql/many"


scene("random queries", program_of("WEIR"), 200000 if FULL else 20000, 3000 if FULL else 480)
if os.environ.get("WEIR_SANITIZED"):
    scene("random queries, sanitized", program_of("WEIR_SANITIZED"), 2000, 240)
sys.exit(bad > 0)
