"""Programs of others, at the best settings known: each a text for a Python of its own, or a command.

A text runs in the bench's folder; `out` is where files go.
"""

import os

import data
from contest import Bench, Contender

POLARS_KINDS = {"bigint": "pl.Int64", "text": "pl.String", "date": "pl.Date", "decimal(15,2)": "pl.Decimal(15, 2)"}
ARROW_KINDS = {"bigint": "pa.int64()", "text": "pa.string()", "date": "pa.date32()", "decimal(15,2)": "pa.decimal128(15, 2)"}


def python(bench: Bench, name: str, text: str, home: str = "", environment: dict[str, str] | None = None) -> Contender:
    """Runs `text` in the environment `home`, that of the program's name without one."""
    program = os.path.join(bench.tools, home or name, "bin", "python")
    return Contender(name, [program, "-c", text], {"DO_NOT_TRACK": "1", **(environment or {})}, program)


def shell(name: str, text: str, environment: dict[str, str]) -> Contender:
    return Contender(name, ["sh", "-e", "-c", text], environment)


def schema(kinds: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{name}': {kind}" for name, kind in data.spelled(kinds).items()) + "}"


def polars(bench: Bench, sink: str, source: str = "lineitem.csv") -> Contender:
    text = f"import polars as pl\npl.scan_csv('{source}', schema={schema(POLARS_KINDS)}).{sink}"
    return python(bench, "polars", text)


POLARS_PARQUET = f"sink_parquet('out/theirs', compression='snappy', row_group_size={data.GROUP_ROWS}, engine='streaming')"
DUCK_PARQUET = f"format parquet, codec 'snappy', row_group_size {data.GROUP_ROWS}"


def duck(bench: Bench, options: str, relation: str | None = None) -> Contender:
    statement = f"copy (select * from {relation or data.csv_relation('lineitem.csv')}) to 'out/theirs' ({options})"
    return python(bench, "duckdb", f'import duckdb\nduckdb.connect().execute("""{statement}""")')


ARROW_CSV = f"""
import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as pq
kinds = {schema(ARROW_KINDS)}
reader = csv.open_csv('lineitem.csv', convert_options=csv.ConvertOptions(column_types=kinds))
"""
ARROW_PARQUET = f"""
import pyarrow.parquet as pq
with pq.ParquetWriter('out/theirs', reader.schema, compression='snappy') as writer:
    for batch in reader:
        writer.write_batch(batch, row_group_size={data.GROUP_ROWS})
"""


def arrow(bench: Bench) -> Contender:
    return python(bench, "pyarrow", ARROW_CSV + ARROW_PARQUET)


def scanners(bench: Bench, statements: list[str], postgresql: str = "", mariadb: str = "") -> Contender:
    """DuckDB with its scanners of PostgreSQL and MySQL, one connection each."""
    text = """
import duckdb, glob, importlib
connection = duckdb.connect()
def attach(kind, place, name):
    package = importlib.import_module(f"duckdb_extension_{kind}_scanner")
    [scanner] = glob.glob(list(package.__path__)[0] + f"/extensions/*/{kind}_scanner.duckdb_extension")
    connection.execute(f"load '{scanner}'")
    connection.execute(f"attach '{place}' as {name} (type {kind})")
"""
    if postgresql:
        text += f"attach('postgres', '{postgresql}', 'pg')\nconnection.execute('set pg_connection_limit = 1')\n"
    if mariadb:
        text += f"attach('mysql', '{mariadb}', 'my')\n"
    text += "".join(f'connection.execute("""{statement}""")\n' for statement in statements)
    return python(bench, "duckdb", text, "duckdb-scanners")


def sling(bench: Bench, source: str, stream: str, target: str, table: str, connections: dict[str, str],
          options: str = "") -> Contender:
    pattern = os.path.join(bench.tools, "sling", "lib")
    version = next(iter(os.listdir(pattern)), "python3") if os.path.isdir(pattern) else "python3"
    program = os.path.join(pattern, version, "site-packages/sling_linux_amd64/bin/sling-linux-amd64")
    command = [program, "run", "--src-stream", stream, "--tgt-object", table, "--mode", "full-refresh"]
    command += ["--src-conn", source] if source else []
    command += ["--tgt-conn", target] if target else []
    command += ["--tgt-options", options] if options else []
    environment = {"SLING_DUCKDB_COMPUTE": "FALSE", "SLING_DISABLE_TELEMETRY": "TRUE", "DO_NOT_TRACK": "1",
                   "SLING_HOME_DIR": bench.path("sling"), **connections}
    return Contender("sling", command, environment, program)


def ingestr(bench: Bench, source: str, table: str, target: str) -> Contender:
    program = os.path.join(bench.tools, "ingestr", "bin", "ingestr")
    command = [program, "ingest", "--source-uri", source, "--source-table", table, "--dest-uri", target,
               "--dest-table", "public.li_out", "--yes"]
    environment = {"DISABLE_TELEMETRY": "true", "INGESTR_DISABLE_TELEMETRY": "true"}
    return Contender("ingestr", command, environment, program)


def dlt(bench: Bench, source: str, destination: str, more: str = "") -> Contender:
    """`source` is a text that makes `rows`, a resource; `destination` one that makes a destination."""
    text = f"""
import dlt
{source}
pipeline = dlt.pipeline('bench', pipelines_dir='dlt', destination={destination}, dataset_name='public')
pipeline.run(rows, table_name='li_out', write_disposition='replace'{more})
"""
    return python(bench, "dlt", text, environment={"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"})


DLT_CSV = ARROW_CSV + "rows = dlt.resource(reader, name='li_out')"


def dlt_table(place: str, backend: str) -> str:
    return f"""
from dlt.sources.sql_database import sql_table
rows = sql_table({place!r}, table='lineitem', backend='{backend}', chunk_size=100000)
"""


def mq_bridge(bench: Bench) -> Contender:
    text = """
import mq_bridge
route = mq_bridge.Route.from_config({
    "input": {"file": {"path": "lineitem.csv", "format": "csv", "mode": "consume"}},
    "output": {"file": {"path": "out/theirs", "format": "raw"}},
    "batch_size": 4096, "exit_on_empty": True,
})
route.start()
route.join()
"""
    return python(bench, "mq-bridge", text)


def pgloader(bench: Bench, text: str) -> Contender:
    path = bench.path("job.load")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return Contender("pgloader", ["/usr/bin/pgloader", "--no-ssl-cert-verification", path], {}, "/usr/bin/pgloader")
