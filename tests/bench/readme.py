"""Writes the last results into README.md, between its markers."""

import json
import os

import report

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")


def write(results_path: str, readme_path: str = PATH) -> None:
    if not os.path.exists(results_path):
        raise SystemExit("there are no results yet: cargo xtask bench")
    with open(results_path, encoding="utf-8") as file:
        results = json.load(file)
    with open(readme_path, encoding="utf-8") as file:
        text = file.read()
    with open(readme_path, "w", encoding="utf-8") as file:
        file.write(between(text, section(results)))


def between(text: str, content: str) -> str:
    """`text` with `content` in place of what stands between the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"README.md needs one {BEGIN} and one {END} behind it")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{content}\n{END}{rest.split(END)[1]}"


def section(results: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [f"{results['date']}, {results['machine']}; {results['rows']:,} rows of TPC-H's `lineitem`, median of "
             f"{results['rounds']} rounds (least-largest). Versions: {versions}.", ""]
    lines += markdown([report.HEAD[:-1] + ["remark"], *report.rows(results)])
    if results["large"]:
        lines += ["", *markdown([report.large_head(results), *report.large_rows(results)])]
    return "\n".join(lines)


def markdown(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
