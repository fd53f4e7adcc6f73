"""The bench: whole processes, ours and others', in turn, on the same data.

`cargo xtask bench [CASE ...]` installs what it needs and calls this with the folders to use. Each case has
contenders; a round runs each once, so that all meet the same state of the machine, and every output is looked at
before its figures count. What is quoted are medians, and ratios of ours to another's round by round.

Begin with `cases.py`, what is compared; `measure.py` runs and counts, `servers.py` are private servers, `report.py`
writes the table.
"""

import argparse
import json
import os
import platform
import shutil
import sys

import cases
import measure
import report
import servers


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description=__doc__.split("\n")[0])
    parser.add_argument("case", nargs="*", help=f"of {', '.join(cases.NAMES)}; all without one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--airlock", required=True, help="the binary")
    parser.add_argument("--tools", required=True, help="a folder with a Python environment for each other program")
    parser.add_argument("--data", required=True, help="a folder for data and results")
    found = parser.parse_args()
    for name in found.case:
        if name not in cases.NAMES:
            parser.error(f"there is no case {name}; there are {', '.join(cases.NAMES)}")
    return found


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def run_case(case, bench, rounds):
    """The figures of each contender: one of each round."""
    figures = {contender.name: [] for contender in case.contenders}
    missing = {}
    for contender in case.contenders:
        reason = contender.lacks()
        if reason:
            missing[contender.name] = reason
    ready = [contender for contender in case.contenders if contender.name not in missing]
    for number in range(rounds + 1):
        for contender in ready:
            case.clean(bench)
            figure = measure.run(contender.command, bench.folder, contender.environment, bench.server_pids())
            wrong = figure.failure or case.check(bench)
            if wrong:
                missing[contender.name] = wrong
                figures[contender.name] = []
                print(f"  {contender.name}: {wrong}", file=sys.stderr)
            elif number > 0:
                figures[contender.name].append(figure)
        ready = [contender for contender in ready if contender.name not in missing]
        word = "warm-up" if number == 0 else f"round {number} of {rounds}"
        print(f"  {case.name}: {word}", file=sys.stderr)
    return figures, missing


class Bench:
    """What the cases share: a folder, the data in it, and servers that are started when first asked for."""

    def __init__(self, options):
        self.airlock = os.path.abspath(options.airlock)
        self.tools = os.path.abspath(options.tools)
        self.rows = options.rows
        self.folder = os.path.join(os.path.abspath(options.data), f"bench-{options.rows}")
        os.makedirs(self.folder, exist_ok=True)
        self.state = os.path.join(self.folder, "state")
        self._postgresql = None

    @property
    def postgresql(self):
        if self._postgresql is None:
            self._postgresql = servers.PostgreSql(os.path.join(self.folder, "postgresql"))
        return self._postgresql

    def server_pids(self):
        return [self._postgresql.pid] if self._postgresql else []

    def close(self):
        if self._postgresql:
            self._postgresql.stop()


def main():
    options = arguments()
    bench = Bench(options)
    shutil.rmtree(bench.state, ignore_errors=True)
    results = {"machine": machine(), "rows": options.rows, "rounds": options.rounds, "cases": []}
    try:
        for name in options.case or cases.NAMES:
            case = cases.make(name, bench)
            print(f"{case.name}: {case.what}", file=sys.stderr)
            figures, missing = run_case(case, bench, options.rounds)
            results["cases"].append(report.case(case, figures, missing))
    finally:
        bench.close()
    with open(os.path.join(bench.folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=2)
    print(report.table(results))
    ours_failed = any("airlock" in case["missing"] for case in results["cases"])
    sys.exit(1 if ours_failed else 0)


main()
