"""Figures of the rounds as a table of medians and ratios."""

import statistics

OURS = "airlock"
MIB = 1 << 20


def case(case, figures, missing):
    """The results of one case, as they are kept."""
    contenders = []
    for name, rounds in figures.items():
        if not rounds:
            continue
        ratios = []
        if name != OURS:
            pairs = zip(figures.get(OURS, []), rounds)
            ratios = [(total(ours) / total(theirs), ours.wall / theirs.wall) for ours, theirs in pairs]
        contenders.append({
            "name": name,
            "cpu": spread(figure.cpu for figure in rounds),
            "server_cpu": spread(figure.server_cpu for figure in rounds),
            "wall": spread(figure.wall for figure in rounds),
            "memory": max(figure.memory for figure in rounds),
            "cpu_ratio": spread(cpu for cpu, _ in ratios),
            "wall_ratio": spread(wall for _, wall in ratios),
        })
    return {"name": case.name, "what": case.what, "contenders": contenders, "missing": missing}


def total(figure):
    """All processor time: work that was pushed into the server counts too."""
    return figure.cpu + figure.server_cpu


def spread(values):
    values = sorted(values)
    return [values[0], statistics.median(values), values[-1]] if values else None


def table(results):
    lines = [f"{results['rows']:,} rows, {results['rounds']} rounds, {results['machine']}", ""]
    head = ["case", "program", "CPU s", "server CPU s", "wall s", "MiB", "ours / theirs: CPU", "wall"]
    rows = [head]
    for each in results["cases"]:
        for contender in each["contenders"]:
            rows.append([
                each["name"],
                contender["name"],
                seconds(contender["cpu"]),
                seconds(contender["server_cpu"]) if contender["server_cpu"][2] > 0 else "",
                seconds(contender["wall"]),
                f"{contender['memory'] / MIB:.0f}",
                ratio(contender["cpu_ratio"]),
                ratio(contender["wall_ratio"]),
            ])
        for name, reason in each["missing"].items():
            rows.append([each["name"], name, "missing: " + reason.splitlines()[-1][:70], "", "", "", "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def seconds(values):
    return f"{values[1]:.2f}"


def ratio(values):
    return f"{values[1]:.2f} ({values[0]:.2f}-{values[2]:.2f})" if values else ""
