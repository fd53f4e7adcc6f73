"""Runs a program as a whole process and counts what it and its children used."""

import dataclasses
import os
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


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
    begun = time.monotonic()
    with open(os.path.join(folder, "stderr.txt"), "wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    figure = Figure(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=time.monotonic() - begun,
        memory=usage.ru_maxrss * 1024,
        server_cpu=server_cpu(server_pids) - before,
    )
    if process.returncode != 0:
        with open(os.path.join(folder, "stderr.txt"), encoding="utf-8", errors="replace") as file:
            words = file.read().strip()[-500:]
        figure.failure = f"exit code {process.returncode}: {words}"
    return figure
