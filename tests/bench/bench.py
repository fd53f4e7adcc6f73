"""The bench: whole processes, ours and others', in turn, on the same data.

`cargo xtask bench [CASE ...]` installs what it needs and calls this with the folders to use. Each case has
contenders; a round runs each once, so that all meet the same state of the machine, and every output is looked at
before its figures count: its sums, its types, and of Parquet how it is packed. What is quoted are medians, and ratios
of ours to another's round by round.

Begin with `cases.py`, what is compared; `contest.py` has the words, `ours.py` and `peers.py` how each program is
called, `measure.py` runs and counts, `servers.py` are private servers, `report.py`, `plot.py` and `readme.py` show it.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import sys

import cases
import measure
import plot
import readme
import report
import versions
from contest import Bench, Case, Contender, Found

# A program that takes longer, in seconds, is run once and no more.
SLOW = 30


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cargo xtask bench", description=__doc__.split("\n")[0])
    parser.add_argument("case", nargs="*", help=f"of {', '.join(cases.NAMES)}; all without one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=6_000_000,
                        help="rows of one more round, of us and the best other program alone; 0: none")
    parser.add_argument("--readme", action="store_true", help="runs nothing, and writes the last results into README.md")
    parser.add_argument("--airlock", required=True, help="the binary")
    parser.add_argument("--tools", required=True, help="a folder with a Python environment for each other program")
    parser.add_argument("--data", required=True, help="a folder for data")
    parser.add_argument("--results", required=True, help="a folder for results")
    found = parser.parse_args()
    for name in found.case:
        if name not in cases.NAMES:
            parser.error(f"there is no case {name}; there are {', '.join(cases.NAMES)}")
    return found


def machine() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def run_once(case: Case, contender: Contender, bench: Bench) -> tuple[measure.Figure, Found]:
    case.clean()
    figure = measure.run(contender.command, bench.folder, contender.environment, bench.server_pids())
    if figure.failure:
        return figure, Found(figure.failure)
    try:
        return figure, case.check()
    except Exception as error:  # What others write may break the check itself.
        return figure, Found(f"it cannot be checked: {error}")


def run_case(case: Case, bench: Bench, rounds: int) -> report.Results:
    """The figures of each contender: one of each round, but the warm-up of a slow one alone."""
    results = report.Results()
    ready = []
    for contender in case.contenders:
        if contender.lacks():
            results.missing[contender.name] = contender.lacks()
        else:
            ready.append(contender)
    for number in range(rounds + 1):
        for contender in list(ready):
            figure, found = run_once(case, contender, bench)
            if contender.name == report.OURS:
                found.wrong = found.wrong or found.types
            if found.wrong:
                results.missing[contender.name] = found.wrong
                results.figures.pop(contender.name, None)
                ready.remove(contender)
                print(f"  {contender.name}: {found.wrong}", file=sys.stderr)
                continue
            results.notes[contender.name] = [note for note in (found.types, found.note) if note]
            results.sizes[contender.name] = found.size
            slow = number == 0 and figure.wall > SLOW and contender.name != report.OURS
            if slow:
                ready.remove(contender)
            if slow or number > 0 or rounds == 0:
                results.figures.setdefault(contender.name, []).append(figure)
        word = "warm-up" if number == 0 else f"round {number} of {rounds}"
        print(f"  {case.name}: {word}", file=sys.stderr)
    return results


def run_large(names: list[str], results: dict, options: argparse.Namespace) -> list[dict]:
    """One round on the large table, without a warm-up: ours, and the one that used the least processor time."""
    bench = Bench(options.airlock, options.tools, options.data, options.large)
    answers = []
    try:
        for name in names:
            case = cases.make(name, bench)
            best = report.best(next(each for each in results["cases"] if each["name"] == name))
            case.contenders = [contender for contender in case.contenders if contender.name in (report.OURS, best)]
            print(f"{name}: {options.large:,} rows", file=sys.stderr)
            answers.append(report.case(case, run_case(case, bench, 0)))
    finally:
        bench.close()
    return answers


def keep(results: dict, folder: str) -> None:
    """Writes the results down, after each case, so that a bench that is ended has those that it ran."""
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=2)
    with open(os.path.join(folder, "results.svg"), "w", encoding="utf-8") as file:
        file.write(plot.draw(results))


def main() -> None:
    options = arguments()
    os.makedirs(options.results, exist_ok=True)
    if options.readme:
        readme.write(os.path.join(options.results, "results.json"))
        return
    bench = Bench(options.airlock, options.tools, options.data, options.rows)
    shutil.rmtree(bench.state, ignore_errors=True)
    results = {
        "date": datetime.date.today().isoformat(), "machine": machine(), "rows": options.rows, "rounds": options.rounds,
        "versions": versions.all_of(bench), "cases": [], "large_rows": options.large, "large": [],
    }
    grown = []
    try:
        for name in options.case or cases.NAMES:
            case = cases.make(name, bench)
            print(f"{case.name}: {case.what}", file=sys.stderr)
            results["cases"].append(report.case(case, run_case(case, bench, options.rounds)))
            grown += [name] if case.grows else []
            keep(results, options.results)
    finally:
        bench.close()
    if options.large and grown:
        results["large"] = run_large(grown, results, options)
    keep(results, options.results)
    print(report.table(results))
    print(f"\nkept in {options.results}: results.json, results.svg")
    ours_failed = any(report.OURS in case["missing"] for case in results["cases"] + results["large"])
    sys.exit(1 if ours_failed else 0)


if __name__ == "__main__":
    main()
