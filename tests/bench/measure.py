"""Runs a program as a whole process and counts what it and its children used."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")
# Who takes longer is stopped, seconds.
LONGEST = 300

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

    @property
    def total(self) -> float:
        """All processor time: work that was pushed into the server counts too."""
        return self.cpu + self.server_cpu


def server_cpu(pids: list[int]) -> float:
    """Seconds that servers used, with their children's, also those that ended."""
    return sum(_family(pid) for pid in pids)


def _family(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = sum(int(field) for field in fields[11:15]) / TICKS
    return own + sum(_family(int(child)) for child in children)


def run(command: list[str], folder: str, environment: dict[str, str], server_pids: list[int]) -> Figure:
    """Runs `command` in `folder`; what it prints goes to `stdout.txt` and `stderr.txt`."""
    before = server_cpu(server_pids)
    answer, errors = os.path.join(folder, "usage.json"), os.path.join(folder, "stderr.txt")
    with open(os.path.join(folder, "stdout.txt"), "wb") as stdout, open(errors, "wb") as stderr:
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", STARTER, answer, *command], cwd=folder, env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
        )
        try:
            starter.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(starter.pid, signal.SIGKILL)
            starter.wait()
            return Figure(0, LONGEST, 0, 0, f"stopped after {LONGEST} s")
        except BaseException:
            os.killpg(starter.pid, signal.SIGKILL)
            raise
    if starter.returncode != 0:
        return Figure(0, 0, 0, 0, f"it does not start: {last_words(errors)}")
    with open(answer, encoding="ascii") as file:
        code, cpu, wall, memory = json.load(file)
    failure = f"exit code {code}: {last_words(errors)}" if code != 0 else ""
    return Figure(cpu, wall, memory, server_cpu(server_pids) - before, failure)


def last_words(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()[-500:]
