"""Runs one command and writes what it and all it started cost: CPU, wall, peak memory.

usage: measure.py RESULT.json CPUS SECONDS COMMAND...     CPUS: 0,1; SECONDS: killed when it takes longer

A subreaper: processes whose parent has died are inherited and waited for, so none escapes the sum.
"""

import ctypes
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.01
PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid):
    """Every process below pid; children are listed by the thread that started them."""
    for listing in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listing.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            yield child
            yield from descendants(child)


def resident(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


class Sampler(threading.Thread):
    """Highest sum, over the processes below us, of resident memory; pages they share count in each."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.processes, self.over = 0, 0, threading.Event()

    def run(self):
        while not self.over.wait(SAMPLE_SECONDS):
            sizes = [resident(pid) for pid in descendants(os.getpid())]
            self.peak = max(self.peak, sum(sizes))
            self.processes = max(self.processes, len(sizes))


def reap_all():
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def main():
    result, cpus, seconds, command = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
    load = os.getloadavg()[0]
    sampler = Sampler()
    sampler.start()
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    watch = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    watch.daemon = True
    watch.start()
    code = process.wait()
    wall = time.monotonic() - began
    reap_all()
    watch.cancel()
    sampler.over.set()
    sampler.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "exit": code,
        "wall_seconds": wall,
        "user_seconds": used.ru_utime,
        "system_seconds": used.ru_stime,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": sampler.peak,
        "processes": sampler.processes,
        "load": load,
    }
    pathlib.Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
