"""The results as a picture: a panel for each case, a bar for each program, as long as its processor time."""

import html

import report

WIDTH, MARGIN, LABEL, VALUE = 860, 24, 190, 150
LINE, TITLE, GAP = 22, 30, 18
OURS, OTHER, SERVER = "#1f6f8b", "#9aa5b1", "#d8b26e"


def draw(results: dict) -> str:
    """An SVG document."""
    parts, y = [], MARGIN + 44
    for case in results["cases"]:
        panel, height = draw_case(case, y)
        parts.append(panel)
        y += height
    head = f"{results['rows']:,} rows, median of {results['rounds']} rounds, {results['machine']}, {results['date']}"
    legend = "".join(
        f'<rect x="{x}" y="{MARGIN + 18}" width="12" height="12" fill="{color}"/>{text(x + 18, MARGIN + 28, words, 12)}'
        for x, color, words in [(MARGIN, OURS, "Airlock"), (MARGIN + 90, OTHER, "others"), (MARGIN + 170, SERVER, "database servers")]
    )
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + MARGIN}" font-family="sans-serif">'
            f'<rect width="100%" height="100%" fill="#ffffff"/>{text(MARGIN, MARGIN, "CPU seconds, less is better. " + head, 13)}'
            f"{legend}{''.join(parts)}</svg>\n")


def draw_case(case: dict, y: int) -> tuple[str, int]:
    """The panel and its height."""
    ordered = sorted(case["contenders"], key=report.total)
    longest = max(map(report.total, ordered), default=1) or 1
    room = WIDTH - 2 * MARGIN - LABEL - VALUE
    parts = [text(MARGIN, y + 18, f"{case['name']}: {case['what']}", 14, weight="bold")]
    y += TITLE
    for contender in ordered:
        ours = contender["name"].startswith(report.OURS)
        own = contender["cpu"][1] / longest * room
        server = contender["server_cpu"][1] / longest * room
        words = f"{report.total(contender):.2f} s, {contender['memory'] / report.MIB:.0f} MiB"
        parts.append(text(MARGIN + LABEL - 8, y + 15, contender["name"], 12, anchor="end", weight="bold" if ours else "normal"))
        parts.append(bar(MARGIN + LABEL, y, own, OURS if ours else OTHER) + bar(MARGIN + LABEL + own, y, server, SERVER))
        parts.append(text(MARGIN + LABEL + own + server + 6, y + 15, words, 12))
        y += LINE
    for name, reason in case["missing"].items():
        parts.append(text(MARGIN + LABEL - 8, y + 15, name, 12, anchor="end"))
        parts.append(text(MARGIN + LABEL, y + 15, report.lacking("", name, reason)[-1], 12, color="#7a7a7a"))
        y += LINE
    return "".join(parts), TITLE + LINE * (len(ordered) + len(case["missing"])) + GAP


def bar(x: float, y: float, width: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y + 3}" width="{max(width, 0):.1f}" height="{LINE - 6}" fill="{color}"/>'


def text(x: float, y: float, words: str, size: int, anchor: str = "start", weight: str = "normal", color: str = "#222222") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{color}">'
            f"{html.escape(words)}</text>")
