"""Runs a program as a whole process and counts what it and its children used."""

import dataclasses
import json
import os
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")

# A process begins with the peak of the one that started it, so a small one starts those that are measured.
STARTER = """
import os, sys, time
begun = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - begun
code, cpu, memory = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
with open(sys.argv[1], "w") as file:
    file.write(f"[{code}, {cpu}, {wall}, {memory}]")
"""


@dataclasses.dataclass
class Figure:
    """One run. Times in seconds, memory in bytes."""

    cpu: float
    wall: float
    # The largest of its processes.
    memory: int
    # Of the servers, meanwhile.
    server_cpu: float
    failure: str = ""


def server_cpu(pids):
    """Seconds that servers used, with their children's, also those that ended."""
    return sum(_family(pid) for pid in pids)


def _family(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except FileNotFoundError:
        return 0.0
    own = sum(int(field) for field in fields[11:15]) / TICKS
    return own + sum(_family(child) for child in children)


def run(command, folder, environment, server_pids):
    """Runs `command` in `folder`; its output is thrown away, but for the end of its errors where it fails."""
    before = server_cpu(server_pids)
    answer = os.path.join(folder, "usage.json")
    with open(os.path.join(folder, "stderr.txt"), "wb") as errors:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", STARTER, answer, *command], cwd=folder,
            env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=errors, check=True,
        )
    with open(answer, encoding="ascii") as file:
        code, cpu, wall, memory = json.load(file)
    figure = Figure(cpu, wall, memory, server_cpu(server_pids) - before)
    if code != 0:
        with open(os.path.join(folder, "stderr.txt"), encoding="utf-8", errors="replace") as file:
            words = file.read().strip()[-500:]
        figure.failure = f"exit code {code}: {words}"
    return figure
