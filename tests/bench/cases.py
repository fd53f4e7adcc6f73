"""What is compared: the cases, and how each program does it at its best.

All read typed values and write typed values, with the same compression and about the same groups of rows; databases
are used over one connection a side. A check sums up what was written, and compares it with the data's own sums.
"""

import dataclasses
import glob
import json
import os
import shutil
import subprocess
import sys
import typing

import duckdb

COLUMNS = [
    ("l_orderkey", "bigint"), ("l_partkey", "bigint"), ("l_suppkey", "bigint"), ("l_linenumber", "bigint"),
    ("l_quantity", "decimal(15,2)"), ("l_extendedprice", "decimal(15,2)"), ("l_discount", "decimal(15,2)"),
    ("l_tax", "decimal(15,2)"), ("l_returnflag", "text"), ("l_linestatus", "text"), ("l_shipdate", "date"),
    ("l_commitdate", "date"), ("l_receiptdate", "date"), ("l_shipinstruct", "text"), ("l_shipmode", "text"),
    ("l_comment", "text"),
]
SUMS = "count(*), sum(l_orderkey), sum(l_extendedprice), sum(length(l_comment)), min(l_shipdate), max(l_shipdate)"
SMALL_ROWS = 10


@dataclasses.dataclass
class Contender:
    name: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    # The program that must be there.
    program: str = ""

    def lacks(self):
        if self.program and not os.path.exists(self.program):
            return f"{self.program} is not there"
        return ""


@dataclasses.dataclass
class Case:
    name: str
    what: str
    contenders: list
    # Takes away what an earlier run wrote.
    clean: typing.Callable
    # What is wrong with the output, or nothing.
    check: typing.Callable


def lineitem(bench):
    """The table as CSV, made once."""
    path = os.path.join(bench.folder, "lineitem.csv")
    if not os.path.exists(path):
        scale = max(bench.rows / 5_990_000, 0.01) + 0.002
        making = os.path.join(bench.folder, "making")
        shutil.rmtree(making, ignore_errors=True)
        tool = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
        subprocess.run(
            [tool, "parquet", "--scale-factor", f"{scale:.3f}", "--tables", "lineitem", "--output-dir", making, "--quiet"],
            check=True,
        )
        made = glob.glob(os.path.join(making, "**", "lineitem*.parquet"), recursive=True)[0]
        typed = ", ".join(f"{name}::{kind.replace('text', 'varchar')} {name}" for name, kind in COLUMNS)
        connection = duckdb.connect()
        connection.execute(f"copy (select {typed} from '{made}' limit {bench.rows}) to '{path}.new' (format csv, header)")
        os.rename(f"{path}.new", path)
        shutil.rmtree(making)
    return path


def csv_relation(path):
    kinds = ", ".join(f"'{name}': '{kind.replace('text', 'varchar')}'" for name, kind in COLUMNS)
    return f"read_csv('{path}', header=true, columns={{{kinds}}})"


def sums(relation):
    return tuple(str(value) for value in duckdb.connect().execute(f"select {SUMS} from {relation}").fetchone())


def expected(bench):
    path = os.path.join(bench.folder, "sums.json")
    if not os.path.exists(path):
        found = sums(csv_relation(lineitem(bench)))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file)
    with open(path, encoding="utf-8") as file:
        return tuple(json.load(file))


def differs(found, bench):
    wanted = expected(bench)
    return "" if found == wanted else f"the output sums up to {found} and not to {wanted}"


# Jobs of ours.

def job(bench, name, reader, writer, setting=None):
    document = {
        "type": "job", "version": "2.0",
        "steps": [
            {"category": "reader", "name": "Reader", **reader}, {"category": "writer", "name": "Writer", **writer},
        ],
        "setting": {"speed": {"concurrent": 1}, "errorLimit": {"record": 0}, **(setting or {})},
        "order": {"hops": [{"from": "Reader", "to": "Writer"}]},
    }
    with open(os.path.join(bench.folder, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
    if "datasource" in reader["parameter"] or "datasource" in writer["parameter"]:
        server = bench.postgresql
        properties = {
            "host": "127.0.0.1", "port": server.port, "database": "bench", "username": server.USER,
            "password": server.PASSWORD,
        }
        with open(os.path.join(bench.folder, "datasources.json"), "w", encoding="utf-8") as file:
            json.dump({"pg": {"type": "postgresql", "properties": properties}}, file)
    return Contender("airlock", [bench.airlock, "--state-dir", bench.state, "run", f"{name}.json"], program=bench.airlock)


def csv_reader(path):
    kinds = {"bigint": "long", "text": "string"}
    column = [{"name": name, "type": kinds.get(kind, kind)} for name, kind in COLUMNS]
    return {"stepType": "file", "parameter": {"path": [path], "fileFormat": "csv", "header": True, "column": column}}


def file_writer(suffix, **more):
    parameter = {"path": "out", "fileName": "ours", "fileFormat": suffix, "writeMode": "truncate", **more}
    return {"stepType": "file", "parameter": parameter}


def pg_step(table, **more):
    return {"stepType": "postgresql", "parameter": {"datasource": "pg", "table": table, "column": ["*"], **more}}


# Programs of others: each a text for its own Python.

def python(bench, name, text, environment=None):
    program = os.path.join(bench.tools, name.split()[0], "bin", "python")
    return Contender(name, [program, "-c", text], environment or {}, program)


def polars(bench, sink):
    kinds = {"bigint": "pl.Int64", "text": "pl.String", "date": "pl.Date", "decimal(15,2)": "pl.Decimal(15, 2)"}
    schema = ", ".join(f"'{name}': {kinds[kind]}" for name, kind in COLUMNS)
    return python(bench, "polars", f"import polars as pl\npl.scan_csv('lineitem.csv', schema={{{schema}}}).{sink}")


def duck(bench, options):
    statement = f"copy (select * from {csv_relation('lineitem.csv')}) to 'out/theirs' ({options})"
    return python(bench, "duckdb", f'import duckdb\nduckdb.connect().execute("""{statement}""")')


def arrow(bench):
    kinds = {"bigint": "pa.int64()", "text": "pa.string()", "date": "pa.date32()", "decimal(15,2)": "pa.decimal128(15, 2)"}
    types = ", ".join(f"'{name}': {kinds[kind]}" for name, kind in COLUMNS)
    text = f"""
import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as pq
reader = csv.open_csv('lineitem.csv', convert_options=csv.ConvertOptions(column_types={{{types}}}))
with pq.ParquetWriter('out/theirs', reader.schema, compression='snappy') as writer:
    for batch in reader:
        writer.write_batch(batch)
"""
    return python(bench, "pyarrow", text)


def shell(name, text, environment):
    return Contender(name, ["sh", "-e", "-c", text], environment)


# The cases.

def clean_files(bench):
    shutil.rmtree(os.path.join(bench.folder, "out"), ignore_errors=True)
    os.makedirs(os.path.join(bench.folder, "out"))


def check_parquet(bench):
    pattern = os.path.join(bench.folder, "out", "*")
    described = duckdb.connect().execute(f"describe select * from read_parquet('{pattern}')").fetchall()
    kinds = [(name, kind.lower().replace("varchar", "text")) for name, kind, *_ in described]
    if kinds != COLUMNS:
        return f"the types of the output are {kinds}"
    return differs(sums(f"read_parquet('{pattern}')"), bench)


def check_jsonl(bench):
    kinds = ", ".join(f"'{name}': '{kind.replace('text', 'varchar')}'" for name, kind in COLUMNS)
    pattern = os.path.join(bench.folder, "out", "*")
    return differs(sums(f"read_json('{pattern}', format='newline_delimited', columns={{{kinds}}})"), bench)


def create(table):
    return f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in COLUMNS)})"


def source_table(bench):
    """`lineitem` in PostgreSQL, made once."""
    server = bench.postgresql
    if server.sql("select to_regclass('lineitem')") == "":
        server.sql(create("lineitem"))
        server.sql(f"\\copy lineitem from '{lineitem(bench)}' (format csv, header)")
        server.sql("vacuum analyze lineitem")
        server.sql("checkpoint")


def clean_table(bench):
    server = bench.postgresql
    server.sql("drop table if exists li_out")
    server.sql(create("li_out"))
    server.sql("checkpoint")


def check_table(bench):
    return differs(tuple(bench.postgresql.sql(f"select {SUMS} from li_out").split("|")), bench)


def csv_parquet(bench):
    ours = job(bench, "csv-parquet", csv_reader("lineitem.csv"), file_writer("parquet", compress="snappy"))
    others = [
        polars(bench, "sink_parquet('out/theirs', compression='snappy', engine='streaming')"),
        duck(bench, "format parquet, codec 'snappy'"),
        arrow(bench),
    ]
    return Case("csv-parquet", "CSV to Parquet, snappy", [ours, *others], clean_files, check_parquet)


def csv_jsonl(bench):
    ours = job(bench, "csv-jsonl", csv_reader("lineitem.csv"), file_writer("jsonl"))
    others = [polars(bench, "sink_ndjson('out/theirs', engine='streaming')"), duck(bench, "format json")]
    return Case("csv-jsonl", "CSV to JSON lines", [ours, *others], clean_files, check_jsonl)


def csv_pg(bench):
    ours = job(bench, "csv-pg", csv_reader("lineitem.csv"), pg_step("public.li_out"))
    copy = shell("psql copy csv", "psql -X -q -c \"\\copy li_out from 'lineitem.csv' (format csv, header)\"",
                 bench.postgresql.environment)
    return Case("csv-pg", "CSV to PostgreSQL", [ours, copy], clean_table, check_table)


def pg_pg(bench):
    source_table(bench)
    ours = job(bench, "pg-pg", pg_step("public.lineitem"), pg_step("public.li_out"))
    pipe = shell(
        "psql pipe",
        "psql -X -q -c 'copy lineitem to stdout (format binary)' | psql -X -q -c 'copy li_out from stdin (format binary)'",
        bench.postgresql.environment,
    )
    return Case("pg-pg", "PostgreSQL to PostgreSQL; a pipe of binary COPY", [ours, pipe], clean_table, check_table)


def pg_parquet(bench):
    source_table(bench)
    server = bench.postgresql
    ours = job(bench, "pg-parquet", pg_step("public.lineitem"), file_writer("parquet", compress="snappy"))
    place = f"host=127.0.0.1 port={server.port} user={server.USER} password={server.PASSWORD} dbname=bench"
    text = f'''
import duckdb, glob, duckdb_extension_postgres_scanner as extension
[scanner] = glob.glob(list(extension.__path__)[0] + "/extensions/*/postgres_scanner.duckdb_extension")
connection = duckdb.connect()
connection.execute(f"load '{{scanner}}'")
connection.execute("attach '{place}' as pg (type postgres, read_only)")
connection.execute("set pg_connection_limit = 1")
connection.execute("copy pg.public.lineitem to 'out/theirs' (format parquet, codec 'snappy')")
'''
    theirs = python(bench, "duckdb-postgres", text)
    return Case("pg-parquet", "PostgreSQL to Parquet, snappy", [ours, theirs], clean_files, check_parquet)


def start(bench):
    lineitem(bench)
    with open(os.path.join(bench.folder, "small.csv"), "w", encoding="ascii") as file:
        file.writelines(f"{number},text {number}\n" for number in range(SMALL_ROWS))
    column = [{"index": 0, "type": "long"}, {"index": 1, "type": "string"}]
    reader = {"stepType": "file", "parameter": {"path": ["small.csv"], "fileFormat": "csv", "column": column}}
    ours = job(bench, "start", reader, file_writer("csv"))
    text = "import duckdb\nduckdb.connect().execute(\"copy (select * from read_csv('small.csv')) to 'out/theirs' (format csv)\")"
    others = [python(bench, "duckdb", text),
              python(bench, "polars", "import polars as pl\npl.scan_csv('small.csv', has_header=False).sink_csv('out/theirs')")]

    def check(bench):
        rows = duckdb.connect().execute(f"select count(*) from read_csv('{bench.folder}/out/*', header=false)").fetchone()
        return "" if rows[0] in (SMALL_ROWS, SMALL_ROWS + 1) else f"{rows[0]} rows were written"

    return Case("start", f"{SMALL_ROWS} rows, CSV to CSV: what a process costs", [ours, *others], clean_files, check)


def stream_stream(bench):
    rows = bench.rows * 20
    column = [{"name": f"c{number}", "type": "long", "sequence": str(number)} for number in range(8)]
    reader = {"stepType": "stream", "parameter": {"sliceRecordCount": rows, "column": column}}
    ours = job(bench, "stream-stream", reader, {"stepType": "stream", "parameter": {"print": False}})
    return Case("stream-stream", f"{rows:,} rows of 8 integers from one plug-in to another",
                [ours], lambda _: None, lambda _: "")


_MAKERS = {
    "csv-parquet": csv_parquet, "csv-jsonl": csv_jsonl, "csv-pg": csv_pg, "pg-pg": pg_pg, "pg-parquet": pg_parquet,
    "stream-stream": stream_stream, "start": start,
}
NAMES = list(_MAKERS)


def make(name, bench):
    lineitem(bench)
    return _MAKERS[name](bench)
