"""Which version of what was compared."""

import glob
import os
import re
import subprocess

from contest import Bench

PROGRAMS = {
    "psql": ["psql", "--version"], "PostgreSQL": [max(glob.glob("/usr/lib/postgresql/*/bin/postgres"), default="postgres"), "--version"],
    "MariaDB": ["/usr/sbin/mariadbd", "--version"], "pgloader": ["/usr/bin/pgloader", "--version"],
}


def all_of(bench: Bench) -> dict[str, str]:
    found = {"airlock": commit()}
    for path in sorted(glob.glob(os.path.join(bench.tools, "*", "wheels.txt"))):
        name = os.path.basename(os.path.dirname(path))
        with open(path, encoding="utf-8") as file:
            first = file.readline().strip()
        found[name] = first.split("==")[-1]
    for name, command in PROGRAMS.items():
        words = answer(command)
        number = re.search(r"\d+(\.\d+)+", words)
        if number:
            found[name] = number.group()
    return found


def commit() -> str:
    return answer(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"])


def answer(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
