"""The data: TPC-H's `lineitem` in the forms that cases read, each made once, and what its values sum up to."""

import glob
import json
import os
import shutil
import subprocess
import sys

import duckdb

COLUMNS = [
    ("l_orderkey", "bigint"), ("l_partkey", "bigint"), ("l_suppkey", "bigint"), ("l_linenumber", "bigint"),
    ("l_quantity", "decimal(15,2)"), ("l_extendedprice", "decimal(15,2)"), ("l_discount", "decimal(15,2)"),
    ("l_tax", "decimal(15,2)"), ("l_returnflag", "text"), ("l_linestatus", "text"), ("l_shipdate", "date"),
    ("l_commitdate", "date"), ("l_receiptdate", "date"), ("l_shipinstruct", "text"), ("l_shipmode", "text"),
    ("l_comment", "text"),
]
# Casts, since some programs write texts; that they do is told by the types.
SUMS = ("count(*), sum(cast(l_orderkey as bigint)), sum(cast(l_extendedprice as decimal(15,2))), "
        "sum(length(l_comment)), min(cast(l_shipdate as date)), max(cast(l_shipdate as date))")
ROWS_PER_SCALE = 5_990_000
# Rows of a group of Parquet, for everybody.
GROUP_ROWS = 122_880


def spelled(kinds: dict[str, str]) -> dict[str, str]:
    """The type of each column in the words of another program."""
    return {name: kinds.get(kind, kind) for name, kind in COLUMNS}


def create(table: str, kinds: dict[str, str] | None = None) -> str:
    return f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in spelled(kinds or {}).items())})"


def lineitem(folder: str, rows: int) -> str:
    """The table as CSV in `folder`."""
    path = os.path.join(folder, "lineitem.csv")
    if os.path.exists(path):
        return path
    scale = max(rows / ROWS_PER_SCALE, 0.01) + 0.002
    making = os.path.join(folder, "making")
    shutil.rmtree(making, ignore_errors=True)
    tool = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
    command = [tool, "parquet", "--scale-factor", f"{scale:.3f}", "--tables", "lineitem", "--output-dir", making, "--quiet"]
    subprocess.run(command, check=True)
    made = glob.glob(os.path.join(making, "**", "lineitem*.parquet"), recursive=True)[0]
    typed = ", ".join(f"{name}::{kind} {name}" for name, kind in spelled({"text": "varchar"}).items())
    duckdb.connect().execute(f"copy (select {typed} from '{made}' limit {rows}) to '{path}.new' (format csv, header)")
    os.rename(f"{path}.new", path)
    shutil.rmtree(making)
    return path


def csv_relation(path: str | list[str], more: str = "") -> str:
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in spelled({"text": "varchar"}).items())
    return f"read_csv({path!r}, header=true, columns={{{kinds}}}{more})"


def sums(relation: str, connection: duckdb.DuckDBPyConnection | None = None) -> tuple[str, ...]:
    row = (connection or duckdb.connect()).execute(f"select {SUMS} from {relation}").fetchone()
    return tuple(str(value) for value in row)


def expected(folder: str, rows: int) -> tuple[str, ...]:
    """What the table sums up to."""
    path = os.path.join(folder, "sums.json")
    if not os.path.exists(path):
        found = sums(csv_relation(lineitem(folder, rows)))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file)
    with open(path, encoding="utf-8") as file:
        return tuple(json.load(file))


def differs(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """What is wrong with sums, or nothing."""
    return "" if found == wanted else f"the output sums up to {found} and not to {wanted}"
