"""All cases by name, and the two that move hardly any bytes: the start of a process, and rows from one plug-in to another."""

import os
import typing

import duckdb

import databases
import files
import formats
import ours
import peers
from contest import Bench, Case, Contender, Found

SMALL_ROWS = 10
# Rows of `stream-stream` for each of the table.
STREAM_FACTOR = 25
# Rows of 88 bytes: type, first value and step of each column, unscaled; a decimal takes 16 bytes. No value comes
# twice in a column.
STREAM = [("long", 1, 1), ("long", -5, 3), ("long", 1 << 40, -7), ("long", 9, 1 << 20), ("long", 0, 11),
          ("decimal(18,2)", 100, 1), ("decimal(18,4)", 3, 13), ("decimal(18,0)", 77, 1_000_003)]


def start(bench: Bench) -> Case:
    with open(bench.path("small.csv"), "w", encoding="ascii") as file:
        file.writelines(f"{number},text {number}\n" for number in range(SMALL_ROWS))
    column = [{"index": 0, "type": "long"}, {"index": 1, "type": "string"}]
    own = ours.job(bench, "start", ours.read("small.csv", "csv", column=column), ours.write("csv"))
    cold = "rm -rf cold; exec " + " ".join(ours.command(bench, "start", "cold"))
    text = "import duckdb\nduckdb.connect().execute(\"copy (select * from read_csv('small.csv')) to 'out/theirs' (format csv)\")"
    arrow = "import pyarrow.csv as csv\ncsv.write_csv(csv.read_csv('small.csv'), 'out/theirs')"
    contenders = [
        own,
        Contender("airlock, empty cache", ["sh", "-e", "-c", cold], program=bench.airlock),
        peers.python(bench, "duckdb", text),
        peers.python(bench, "polars", "import polars as pl\npl.scan_csv('small.csv', has_header=False).sink_csv('out/theirs')"),
        peers.python(bench, "pyarrow", arrow),
        peers.sling(bench, "", f"file://{bench.path('small.csv')}", "", f"file://{bench.path('out/theirs.csv')}", {}),
        peers.dlt(bench, "rows = dlt.resource([{'a': number, 'b': f'text {number}'} for number in range(10)], name='li_out')",
                  "dlt.destinations.filesystem('out')", ", loader_file_format='csv'"),
    ]

    def check() -> Found:
        relation = f"read_csv({files.written(bench)!r}, header=false, all_varchar=true, delim=',')"
        rows = duckdb.connect().execute(f"select count(*) from {relation}").fetchone()[0]
        # Some write a header, or take the first row for one.
        return Found("" if rows in (SMALL_ROWS, SMALL_ROWS + 1) else f"{rows} rows were written")

    return Case("start", f"{SMALL_ROWS} rows, CSV to CSV: what a process costs", contenders, bench.clean_files, check, SMALL_ROWS)


def foretold(first: int, step: int, words: int, rows: int) -> int:
    """The sum over a column's bytes that the stream writer must print; word `i` counts `2 * i + 1` times.

    The upper word of a value that has two is 0, since those of `STREAM` are never negative.
    """
    ones, squares = rows * (rows - 1) // 2, (rows - 1) * rows * (2 * rows - 1) // 6
    # The sum of `first + step * row`, `2 * words * row + 1` times each.
    return (first * (2 * words * ones + rows) + step * (2 * words * squares + ones)) % (1 << 64)


def stream_stream(bench: Bench) -> Case:
    rows = bench.rows * STREAM_FACTOR
    columns = [{"name": f"c{index}", "type": kind, "sequence": sequence(kind, first, step)}
               for index, (kind, first, step) in enumerate(STREAM)]
    reader = {"stepType": "stream", "parameter": {"sliceRecordCount": rows, "column": columns}}
    own = ours.job(bench, "stream-stream", reader, {"stepType": "stream", "parameter": {"checksum": True, "fieldDelimiter": " "}})
    wanted = [str(rows), *(f"{foretold(first, step, 2 if 'decimal' in kind else 1, rows):016x}" for kind, first, step in STREAM)]

    def check() -> Found:
        with open(bench.path("stdout.txt"), encoding="utf-8") as file:
            printed = file.readline().split()
        return Found("" if printed == wanted else f"{printed} arrived, {wanted} was made")

    return Case("stream-stream", f"{rows:,} rows of 88 bytes from one plug-in to another, with a sum over all bytes",
                [own], lambda: None, check, rows)


def sequence(kind: str, first: int, step: int) -> str:
    scale = int(kind.rstrip(")").split(",")[1]) if "decimal" in kind else 0
    return f"{spell(first, scale)},{spell(step, scale)}"


def spell(number: int, scale: int) -> str:
    if not scale:
        return str(number)
    whole, part = divmod(abs(number), 10**scale)
    return f"{'-' if number < 0 else ''}{whole}.{part:0{scale}}"


_MAKERS: dict[str, typing.Callable[[Bench], Case]] = {
    "csv-parquet": files.csv_parquet, "csv-jsonl": files.csv_jsonl, "csv-pg": databases.csv_pg, "pg-pg": databases.pg_pg,
    "pg-pg-two": databases.pg_pg_two, "pg-parquet": files.pg_parquet, "pg-csv": files.pg_csv,
    "mariadb-pg": databases.mariadb_pg, "stream-stream": stream_stream, "start": start, **formats.MAKERS,
}
NAMES = list(_MAKERS)


def make(name: str, bench: Bench) -> Case:
    os.makedirs(bench.folder, exist_ok=True)
    bench.lineitem()
    return _MAKERS[name](bench)
