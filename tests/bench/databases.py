"""Cases with a database on either side, over one connection a side."""

import typing

import data
import ours
import peers
from contest import Bench, Case, Contender, Found

KINDS = {"numeric": "decimal", "character varying": "text"}


def source_table(bench: Bench) -> None:
    """`lineitem` in PostgreSQL, made once."""
    server = bench.postgresql
    if server.sql("select to_regclass('lineitem')") == "":
        server.sql(data.create("lineitem"))
        server.sql(f"\\copy lineitem from '{bench.lineitem()}' (format csv, header)")
        server.sql("vacuum analyze lineitem")


def mysql_table(bench: Bench) -> None:
    """`lineitem` in MariaDB, made once."""
    server = bench.mariadb
    if server.sql("show tables like 'lineitem'") == "":
        server.sql(data.create("lineitem", {"text": "varchar(44)"}))
        server.sql(f"load data local infile '{bench.lineitem()}' into table lineitem fields terminated by ',' "
                   "optionally enclosed by '\"' ignore 1 lines")
        server.sql("analyze table lineitem")


def clean(bench: Bench) -> typing.Callable[[], None]:
    def run() -> None:
        server = bench.postgresql
        bench.clean_files()
        server.sql("drop table if exists li_out")
        server.sql(data.create("li_out"))
        server.sql("checkpoint")
    return run


def check(bench: Bench) -> typing.Callable[[], Found]:
    def run() -> Found:
        server = bench.postgresql
        found = server.sql("select column_name || '|' || data_type || case when data_type = 'numeric' then "
                           "coalesce('(' || numeric_precision || ',' || numeric_scale || ')', '') else '' end from "
                           "information_schema.columns where table_name = 'li_out' and table_schema = 'public'")
        kinds = dict(line.split("|") for line in found.splitlines())
        wrong = data.differs(tuple(server.sql(f"select {data.SUMS} from li_out").split("|")), bench.expected())
        return Found(wrong, other_types({name: numeric(kind) for name, kind in kinds.items()}))
    return run


def numeric(kind: str) -> str:
    for theirs, own in KINDS.items():
        kind = kind.replace(theirs, own)
    return kind


def other_types(kinds: dict[str, str]) -> str:
    """Which types became which others."""
    changed = {(kind, kinds.get(name, "nothing")) for name, kind in data.COLUMNS if kinds.get(name) != kind}
    words = sorted(f"{kind} became {other}" for kind, other in changed)
    return "other types: " + ", ".join(words) if words else ""


def case(bench: Bench, name: str, what: str, contenders: list[Contender]) -> Case:
    return Case(name, what, contenders, clean(bench), check(bench), bench.rows, grows=True)


def csv_pg(bench: Bench) -> Case:
    bench.lineitem()
    server = bench.postgresql
    copy = "psql -X -q -c \"\\copy li_out from 'lineitem.csv' (format csv, header)\""
    frame = f"""
import polars as pl
frame = pl.scan_csv('lineitem.csv', schema={peers.schema(peers.POLARS_KINDS)}).collect()
frame.write_database('li_out', '{server.uri}', engine='adbc', if_table_exists='append')
"""
    columns = ", ".join(name for name, _ in data.COLUMNS)
    load = f"""LOAD CSV FROM '{bench.path('lineitem.csv')}' HAVING FIELDS ({columns})
  INTO {server.uri}?tablename=li_out TARGET COLUMNS ({columns})
  WITH skip header = 1, fields optionally enclosed by '"', fields terminated by ',', keep unquoted blanks, workers = 1, concurrency = 1;
"""
    others = [
        peers.shell("psql copy csv", copy, server.environment),
        peers.python(bench, "polars + adbc", frame, "adbc"),
        peers.dlt(bench, peers.DLT_CSV, f"dlt.destinations.postgres('{server.uri}')"),
        peers.sling(bench, "", f"file://{bench.path('lineitem.csv')}", "PG", "public.li_out", {"PG": server.uri + "?sslmode=disable"}),
        peers.ingestr(bench, f"csv://{bench.path('lineitem.csv')}", "lineitem", server.uri),
        peers.pgloader(bench, load),
    ]
    own = ours.job(bench, "csv-pg", ours.csv_reader("lineitem.csv"), ours.table("postgresql", "pg", "public.li_out"))
    return case(bench, "csv-pg", "CSV to PostgreSQL", [own, *others])


PIPE = "psql -X -q -c 'copy {} to stdout (format binary)' | psql -X -q -c 'copy li_out from stdin (format binary)'"


def pg_pg(bench: Bench) -> Case:
    source_table(bench)
    server = bench.postgresql
    adbc = f"""
import adbc_driver_postgresql.dbapi as dbapi
with dbapi.connect('{server.uri}') as source, dbapi.connect('{server.uri}') as target:
    with source.cursor() as reading, target.cursor() as writing:
        reading.execute('select * from lineitem')
        writing.adbc_ingest('li_out', reading.fetch_record_batch(), mode='replace')
    target.commit()
"""
    text = PIPE.format("lineitem").replace("binary", "text")
    place = f"{server.uri}?sslmode=disable"
    others = [
        peers.shell("psql pipe", PIPE.format("lineitem"), server.environment),
        peers.shell("psql pipe, text", text, server.environment),
        peers.scanners(bench, ["insert into pg.public.li_out from pg.public.lineitem"], server.keywords),
        peers.python(bench, "adbc", adbc),
        peers.ingestr(bench, place, "public.lineitem", place),
        peers.dlt(bench, peers.dlt_table(server.uri.replace("postgresql:", "postgresql+psycopg2:"), "pyarrow"), f"dlt.destinations.postgres('{server.uri}')"),
        peers.sling(bench, "PG", "public.lineitem", "PG", "public.li_out", {"PG": place}),
    ]
    own = ours.job(bench, "pg-pg", ours.table("postgresql", "pg", "public.lineitem"), ours.table("postgresql", "pg", "public.li_out"))
    return case(bench, "pg-pg", "PostgreSQL to PostgreSQL; a pipe of binary COPY", [own, *others])


def pg_pg_two(bench: Bench) -> Case:
    source_table(bench)
    server = bench.postgresql
    middle = int(server.sql("select pg_relation_size('lineitem') / current_setting('block_size')::int")) // 2
    halves = [f"(select * from lineitem where ctid {sign} $$({middle},0)$$)" for sign in ("<", ">=")]
    text = " & ".join(f"( {PIPE.format(half)} )".replace("$$", "'\\''") for half in halves) + " & wait"
    own = ours.job(bench, "pg-pg-two", ours.table("postgresql", "pg", "public.lineitem"),
                   ours.table("postgresql", "pg", "public.li_out"), lanes=2)
    pipes = peers.shell("two psql pipes", text, server.environment)
    return Case("pg-pg-two", "PostgreSQL to PostgreSQL, two connections a side", [own, pipes], clean(bench), check(bench), bench.rows)


def mariadb_pg(bench: Bench) -> Case:
    mysql_table(bench)
    server, source = bench.postgresql, bench.mariadb
    pipe = (f"{source.client} --quick --batch --skip-column-names bench -e 'select * from lineitem' | "
            "psql -X -q -c \"copy li_out from stdin (null 'NULL')\"")
    load = f"""LOAD DATABASE FROM {source.uri} INTO {server.uri}
  WITH data only, truncate, workers = 2, concurrency = 1, prefetch rows = 25000
  SET work_mem to '128MB'
  INCLUDING ONLY TABLE NAMES MATCHING 'lineitem'
  ALTER TABLE NAMES MATCHING 'lineitem' RENAME TO 'li_out'
  ALTER SCHEMA 'bench' RENAME TO 'public';
"""
    others = [
        peers.shell("mariadb | psql", pipe, {**server.environment, "MYSQL_PWD": source.PASSWORD}),
        peers.scanners(bench, ["insert into pg.public.li_out from my.bench.lineitem"], server.keywords, source.keywords),
        peers.pgloader(bench, load),
        peers.ingestr(bench, source.uri, "bench.lineitem", f"{server.uri}?sslmode=disable"),
        peers.sling(bench, "MY", "bench.lineitem", "PG", "public.li_out",
                    {"MY": source.uri + "?tls=false", "PG": server.uri + "?sslmode=disable"}),
        peers.dlt(bench, peers.dlt_table(source.uri.replace("mysql:", "mysql+pymysql:"), "pyarrow"),
                  f"dlt.destinations.postgres('{server.uri}')"),
    ]
    own = ours.job(bench, "mariadb-pg", ours.table("mysql", "my", "lineitem"), ours.table("postgresql", "pg", "public.li_out"))
    return case(bench, "mariadb-pg", "MariaDB to PostgreSQL", [own, *others])
