"""Cases that end in files of Parquet, JSON lines or CSV, and their checks."""

import glob
import json
import os
import typing

import duckdb

import data
import databases
import ours
import peers
from contest import Bench, Case, Found


def written(bench: Bench) -> list[str]:
    """The files of an output; dlt puts its own beside them, with names that begin with an underscore."""
    found = glob.glob(bench.path("out", "**"), recursive=True)
    parts = [(path, os.path.relpath(path, bench.folder).split(os.sep)) for path in found]
    return [path for path, names in parts if os.path.isfile(path) and not any(name.startswith("_") for name in names)
            and names[-1] not in ("init", ".gitkeep")]


def check_parquet(bench: Bench, wanted: tuple[str, ...] | None = None) -> typing.Callable[[], Found]:
    def run() -> Found:
        paths = written(bench)
        if not paths:
            return Found("nothing was written")
        connection = duckdb.connect()
        relation = f"read_parquet({paths!r})"
        described = connection.execute(f"describe select * from {relation}").fetchall()
        kinds = {name: kind.lower().replace("varchar", "text") for name, kind, *_ in described}
        notes = "; ".join(parquet_looks(connection, paths))
        wrong = data.differs(data.sums(relation), wanted or bench.expected())
        return Found(wrong, databases.other_types(kinds), notes, sum(map(os.path.getsize, paths)))
    return run


def parquet_looks(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> list[str]:
    """In what a file is not as it was asked for: codec, statistics, size of its row groups."""
    codecs, statistics, groups, rows = connection.execute(
        "select list(distinct compression), count(stats_max_value) / count(*), "
        "count(distinct (file_name, row_group_id)), (select sum(num_rows) from parquet_file_metadata($1)) "
        "from parquet_metadata($1)", [paths]).fetchone()
    notes = []
    if codecs != ["SNAPPY"]:
        notes.append(f"packed by {', '.join(codecs).lower()}")
    if statistics < 1:
        notes.append(f"statistics in {statistics:.0%} of its columns")
    # Others cut where their batches end.
    if not 0.5 < rows / groups / min(data.GROUP_ROWS, rows / len(paths)) < 2:
        notes.append(f"{rows // groups:,} rows a group")
    return notes


def check_jsonl(bench: Bench, wanted: tuple[str, ...] | None = None) -> typing.Callable[[], Found]:
    def run() -> Found:
        paths = written(bench)
        if not paths:
            return Found("nothing was written")
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in data.spelled({"text": "varchar"}).items())
        relation = f"read_json({paths!r}, format='newline_delimited', columns={{{kinds}}})"
        with open(paths[0], encoding="utf-8") as file:
            first = json.loads(file.readline())
        texts = [kind for name, kind in data.COLUMNS if kind not in ("text", "date") and isinstance(first.get(name), str)]
        note = f"texts in place of {', '.join(sorted(set(texts)))}" if texts else ""
        return Found(data.differs(data.sums(relation), wanted or bench.expected()), note, "", sum(map(os.path.getsize, paths)))
    return run


def check_csv(bench: Bench, wanted: tuple[str, ...] | None = None, kind: str = "") -> typing.Callable[[], Found]:
    def run() -> Found:
        paths = written(bench)
        if not paths:
            return Found("nothing was written")
        relation = data.csv_relation(paths, f", compression='{kind}'" if kind else "")
        return Found(data.differs(data.sums(relation), wanted or bench.expected()), size=sum(map(os.path.getsize, paths)))
    return run


def csv_parquet(bench: Bench) -> Case:
    path = bench.lineitem()
    own = ours.job(bench, "csv-parquet", ours.csv_reader("lineitem.csv"), ours.parquet_writer())
    others = [
        peers.polars(bench, peers.POLARS_PARQUET),
        peers.duck(bench, peers.DUCK_PARQUET),
        peers.arrow(bench),
        peers.dlt(bench, peers.DLT_CSV, "dlt.destinations.filesystem('out')", ", loader_file_format='parquet'"),
        peers.sling(bench, "", f"file://{path}", "", f"file://{bench.path('out/theirs.parquet')}", {},
                    "{format: parquet, compression: snappy}"),
    ]
    return Case("csv-parquet", "CSV to Parquet, snappy", [own, *others], bench.clean_files, check_parquet(bench),
                bench.rows, grows=True)


PYTHON_JSONL = f"""
import csv, json
from decimal import Decimal
kinds = {data.spelled({'bigint': 'int', 'text': 'str', 'date': 'str', 'decimal(15,2)': 'number'})!r}
makes = [{{'int': int, 'str': str, 'number': float}}[kind] for kind in kinds.values()]
with open('lineitem.csv', newline='') as source, open('out/theirs', 'w') as target:
    rows = csv.reader(source)
    names = next(rows)
    for row in rows:
        target.write(json.dumps({{name: make(value) for name, make, value in zip(names, makes, row)}}))
        target.write('\\n')
"""


def csv_jsonl(bench: Bench) -> Case:
    path = bench.lineitem()
    own = ours.job(bench, "csv-jsonl", ours.csv_reader("lineitem.csv"), ours.write("jsonl"))
    others = [
        peers.polars(bench, "sink_ndjson('out/theirs', engine='streaming')"),
        peers.duck(bench, "format json"),
        peers.mq_bridge(bench),
        peers.python(bench, "python csv + json", PYTHON_JSONL, "pyarrow"),
        peers.sling(bench, "", f"file://{path}", "", f"file://{bench.path('out/theirs.jsonl')}", {},
                    "{format: jsonlines}"),
    ]
    return Case("csv-jsonl", "CSV to JSON lines", [own, *others], bench.clean_files, check_jsonl(bench), bench.rows, grows=True)


def pg_parquet(bench: Bench) -> Case:
    databases.source_table(bench)
    server = bench.postgresql
    own = ours.job(bench, "pg-parquet", ours.table("postgresql", "pg", "public.lineitem"), ours.parquet_writer())
    adbc = f"""
import adbc_driver_postgresql.dbapi as dbapi
connection = dbapi.connect('{server.uri}')
cursor = connection.cursor()
cursor.execute('select * from lineitem')
reader = cursor.fetch_record_batch()
""" + peers.ARROW_PARQUET + "cursor.close()\nconnection.close()\n"
    connectorx = f"""
import connectorx, pyarrow.parquet as pq
table = connectorx.read_sql('{server.uri}', 'select * from lineitem', return_type='arrow', protocol='binary')
pq.write_table(table, 'out/theirs', compression='snappy', row_group_size={data.GROUP_ROWS})
"""
    others = [
        peers.scanners(bench, [f"copy pg.public.lineitem to 'out/theirs' ({peers.DUCK_PARQUET})"], server.keywords),
        peers.python(bench, "connectorx", connectorx),
        peers.python(bench, "adbc", adbc),
        peers.dlt(bench, peers.dlt_table(server.uri.replace("postgresql:", "postgresql+psycopg2:"), "pyarrow"), "dlt.destinations.filesystem('out')",
                  ", loader_file_format='parquet'"),
        peers.sling(bench, "PG", "public.lineitem", "", f"file://{bench.path('out/theirs.parquet')}",
                    {"PG": server.uri + "?sslmode=disable"}, "{format: parquet, compression: snappy}"),
    ]
    return Case("pg-parquet", "PostgreSQL to Parquet, snappy", [own, *others], bench.clean_files, check_parquet(bench),
                bench.rows, grows=True)


def pg_csv(bench: Bench) -> Case:
    databases.source_table(bench)
    server = bench.postgresql
    own = ours.job(bench, "pg-csv", ours.table("postgresql", "pg", "public.lineitem"), ours.write("csv", header=True))
    copy = "psql -X -q -c \"\\copy lineitem to 'out/theirs' (format csv, header)\""
    return Case("pg-csv", "PostgreSQL to CSV", [own, peers.shell("psql copy csv", copy, server.environment)],
                bench.clean_files, check_csv(bench), bench.rows)


