"""Figures of the rounds as medians, ratios and a table."""

import dataclasses
import statistics
import typing

from contest import Case
from measure import Figure

OURS = "airlock"
MIB = 1 << 20
# Of a row in the table.
NOTE_LENGTH = 100


@dataclasses.dataclass
class Results:
    """Of one case, by the contender's name."""

    figures: dict[str, list[Figure]] = dataclasses.field(default_factory=dict)
    # Why one has no figures.
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)


def case(case: Case, results: Results) -> dict:
    """The results of one case, as they are kept."""
    contenders = []
    ours = results.figures.get(OURS, [])
    for name, rounds in results.figures.items():
        pairs = list(zip(ours, rounds)) if name != OURS else []
        contenders.append({
            "name": name,
            "rounds": len(rounds),
            "cpu": spread(figure.cpu for figure in rounds),
            "server_cpu": spread(figure.server_cpu for figure in rounds),
            "wall": spread(figure.wall for figure in rounds),
            "memory": max(figure.memory for figure in rounds),
            "size": results.sizes.get(name, 0),
            "notes": results.notes.get(name, []),
            "cpu_ratios": [mine.total / theirs.total for mine, theirs in pairs if theirs.total],
            "wall_ratios": [mine.wall / theirs.wall for mine, theirs in pairs],
        })
    return {"name": case.name, "what": case.what, "rows": case.rows, "contenders": contenders, "missing": results.missing}


def best(case: dict) -> str:
    """The other program that used the least processor time for the same types, or for others where there is none."""
    others = [each for each in case["contenders"] if each["name"] != OURS]
    others.sort(key=lambda each: (bool(each["notes"]), total(each)))
    return others[0]["name"] if others else ""


def total(contender: dict) -> float:
    return contender["cpu"][1] + contender["server_cpu"][1]


def spread(values: typing.Iterable[float]) -> list[float] | None:
    """The least, the median and the largest."""
    values = sorted(values)
    return [values[0], statistics.median(values), values[-1]] if values else None


HEAD = ["case", "program", "CPU s (min-max)", "server CPU s", "wall s (min-max)", "k rows/CPU s", "MiB", "size MB",
        "ours/theirs: CPU", "wall", ""]


def rows(results: dict) -> list[list[str]]:
    """The cells of the table, a case after another, without the head."""
    found = []
    for each in results["cases"]:
        found += [cells(each, contender, results["rounds"]) for contender in each["contenders"]]
        found += [lacking(each["name"], name, reason) for name, reason in each["missing"].items()]
    return found


def cells(case: dict, contender: dict, rounds: int) -> list[str]:
    notes = list(contender["notes"])
    if 0 < contender["rounds"] < rounds:
        notes.insert(0, f"slow: {contender['rounds']} round{'s' if contender['rounds'] > 1 else ''}")
    speed = case["rows"] / max(total(contender), 1e-9) / 1000
    return [
        case["name"], contender["name"], seconds(contender["cpu"]),
        f"{contender['server_cpu'][1]:.2f}" if contender["server_cpu"][2] > 0 else "",
        seconds(contender["wall"]), f"{speed:,.0f}", f"{contender['memory'] / MIB:.0f}",
        f"{contender['size'] / 1e6:.1f}" if contender["size"] else "",
        ratio(contender["cpu_ratios"]), ratio(contender["wall_ratios"]), short("; ".join(notes)),
    ]


def lacking(case: str, name: str, reason: str) -> list[str]:
    lines = [line for line in reason.splitlines() if line.strip()] or ["no reason"]
    return [case, name, *[""] * 8, short("missing: " + lines[0] + (" … " + lines[-1] if len(lines) > 1 else ""))]


def short(text: str) -> str:
    return text if len(text) <= NOTE_LENGTH else text[: NOTE_LENGTH - 1] + "…"


def large_rows(results: dict) -> list[list[str]]:
    """Processor time, wall time and memory on the large table beside the memory on the other."""
    small = {(each["name"], it["name"]): it["memory"] for each in results["cases"] for it in each["contenders"]}
    found = []
    for each in results["large"]:
        for it in each["contenders"]:
            memory = small.get((each["name"], it["name"]), 0)
            found.append([each["name"], it["name"], f"{it['cpu'][1]:.2f}", f"{it['server_cpu'][1]:.2f}" if it["server_cpu"][1] else "",
                          f"{it['wall'][1]:.2f}", f"{it['memory'] / MIB:.0f}", f"{memory / MIB:.0f}"])
        found += [[each["name"], name, short("missing: " + reason), *[""] * 4] for name, reason in each["missing"].items()]
    return found


def large_head(results: dict) -> list[str]:
    return ["case", "program", "CPU s", "server CPU s", "wall s", f"MiB, {results['large_rows']:,} rows", f"MiB, {results['rows']:,} rows"]


def table(results: dict) -> str:
    lines = [f"{results['rows']:,} rows, {results['rounds']} rounds, {results['machine']}, {results['date']}", ""]
    lines += aligned([HEAD, *rows(results)])
    if results["large"]:
        lines += ["", *aligned([large_head(results), *large_rows(results)])]
    lines += ["", *(f"{each['name']}: {each['what']}" for each in results["cases"])]
    lines += ["", "versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items())]
    return "\n".join(lines)


def aligned(rows: list[list[str]]) -> list[str]:
    """Words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    words = {0, 1} | ({len(rows[0]) - 1} if rows[0][-1] == "" else set())
    return ["  ".join(cell.ljust(widths[column]) if column in words else cell.rjust(widths[column])
                      for column, cell in enumerate(row)).rstrip() for row in rows]


def seconds(values: list[float]) -> str:
    return f"{values[1]:.2f} ({values[0]:.2f}-{values[2]:.2f})"


def ratio(values: list[float]) -> str:
    if not values:
        return ""
    least, median, most = spread(values)
    return f"{median:.2f} ({least:.2f}-{most:.2f})"
