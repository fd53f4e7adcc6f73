"""A case for each format of files, read and written, beside the program that people use for it.

What is read becomes Parquet (XML: JSON lines), what is written was Parquet, so that all have the same other side. Slow
formats have fewer rows.
"""

import json
import os
import subprocess
import sys
import typing

import duckdb

import data
import files
import ours
import peers
from contest import Bench, Case, Contender, Found

# For so many rows of the table the format has one.
SHARES = {"excel": 50, "xml": 10, "fixed": 5, "avro": 5}
SHARE = 2
WIDTHS = {"bigint": 12, "decimal(15,2)": 16, "text": 44, "date": 10}
SUFFIXES = {"arrow": "arrow", "csv-gzip": "csv.gz", "csv-zstd": "csv.zst", "excel": "xlsx"}

# How a program of the referees makes the file of a format from the Parquet file `source`.
MAKES = {
    "avro": "fastavro.writer(open(path, 'wb'), avro_schema(table), rows(table), codec='deflate')",
    "orc": "orc.write_table(table, path, compression='zlib')",
    "arrow": "feather.write_feather(table, path, compression='uncompressed')",
    "jsonl": "sql(f\"copy (select * from '{source}') to '{path}' (format json)\")",
    "csv-gzip": "sql(f\"copy (select * from '{source}') to '{path}' (format csv, header, compression gzip)\")",
    "csv-zstd": "sql(f\"copy (select * from '{source}') to '{path}' (format csv, header, compression zstd)\")",
    "excel": "excel(table, path)",
    "xml": "xml(table, path)",
    "fixed": "fixed(table, path)",
}
HELPERS = f"""
import sys, duckdb, fastavro, openpyxl
import pyarrow.parquet as pq, pyarrow.orc as orc, pyarrow.feather as feather
from xml.sax.saxutils import escape
source, path = sys.argv[1:3]
table = pq.read_table(source)
sql = lambda statement: duckdb.connect().execute(statement)
widths = {list(data.spelled({k: str(v) for k, v in WIDTHS.items()}).values())!r}
def rows(table):
    for batch in table.to_batches():
        yield from batch.to_pylist()
def avro_schema(table):
    kinds = {{'int64': 'long', 'string': 'string', 'large_string': 'string', 'date32[day]': {{'type': 'int', 'logicalType': 'date'}},
             'decimal128(15, 2)': {{'type': 'bytes', 'logicalType': 'decimal', 'precision': 15, 'scale': 2}}}}
    fields = [{{'name': field.name, 'type': kinds[str(field.type)]}} for field in table.schema]
    return {{'type': 'record', 'name': 'row', 'fields': fields}}
def excel(table, path):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet('rows')
    sheet.append(table.column_names)
    for row in rows(table):
        sheet.append(list(row.values()))
    book.save(path)
def xml(table, path):
    with open(path, 'w') as file:
        file.write('<rows>\\n')
        for row in rows(table):
            values = ''.join(f'<{{name}}>{{escape(str(value))}}</{{name}}>' for name, value in row.items())
            file.write(f'<row>{{values}}</row>\\n')
        file.write('</rows>\\n')
def fixed(table, path):
    with open(path, 'w') as file:
        for row in rows(table):
            file.write(''.join(str(value).ljust(int(width)) for value, width in zip(row.values(), widths)) + '\\n')
"""


def rows_of(bench: Bench, form: str) -> int:
    return max(bench.rows // SHARES.get(form, SHARE), 1)


def source(bench: Bench, form: str) -> str:
    """The file of a format with its share of the rows, made once; its name in the bench's folder."""
    base = table(bench, form)
    if form == "parquet":
        return base
    name = f"source.{SUFFIXES.get(form, form)}"
    if not os.path.exists(bench.path(name)):
        text = HELPERS + MAKES[form]
        subprocess.run([sys.executable, "-c", text, bench.path(base), bench.path(name)], check=True)
    return name


def table(bench: Bench, form: str) -> str:
    """The rows of a format as Parquet, made once; its name in the bench's folder."""
    rows = rows_of(bench, form)
    # Fixed width has no place for blanks around a text.
    columns, name = "*", f"source-{rows}.parquet"
    if form == "fixed":
        columns, name = "* replace (trim(l_comment) as l_comment)", f"source-trimmed-{rows}.parquet"
    if not os.path.exists(bench.path(name)):
        relation = data.csv_relation(bench.lineitem())
        statement = f"copy (select {columns} from {relation} limit {rows}) to '{bench.path(name)}' (format parquet, codec 'snappy')"
        duckdb.connect().execute(statement)
    return name


def sums(bench: Bench, form: str) -> tuple[str, ...]:
    return data.sums(f"read_parquet('{bench.path(table(bench, form))}')")


PARQUET = f"compression='snappy', row_group_size={data.GROUP_ROWS}"
DUCK_COLUMNS = ", ".join(f"'{name}': '{kind}'" for name, kind in data.spelled({"text": "varchar"}).items())


def theirs_reading(bench: Bench, form: str, name: str) -> list[Contender]:
    """Programs that make Parquet of a format."""
    def arrow(text: str) -> Contender:
        return peers.python(bench, "pyarrow", "import pyarrow.parquet as pq\n" + text)

    def polars(text: str) -> Contender:
        return peers.python(bench, "polars", "import polars as pl\n" + text)

    sink = peers.POLARS_PARQUET
    # Polars reads no number of JSON as a decimal.
    floats = peers.schema({**peers.POLARS_KINDS, "decimal(15,2)": "pl.Float64"})
    decimals = "{" + ", ".join(f"'{name}': pl.Decimal(15, 2)" for name, kind in data.COLUMNS if "decimal" in kind) + "}"
    write = f"\npq.write_table(table, 'out/theirs', {PARQUET})"
    excel = f"""
import csv, datetime, openpyxl
with open('out/theirs', 'w', newline='') as file:
    writer = csv.writer(file)
    for row in openpyxl.load_workbook('{name}', read_only=True).active.iter_rows(values_only=True):
        writer.writerow([value.date() if isinstance(value, datetime.datetime) else value for value in row])
"""
    xml = f"""
import json
from lxml import etree
with open('out/theirs', 'w') as file:
    for _, row in etree.iterparse('{name}', tag='row'):
        file.write(json.dumps({{value.tag: value.text for value in row}}) + '\\n')
        row.clear()
        while row.getprevious() is not None:
            del row.getparent()[0]
"""
    return {
        "parquet": [peers.duck(bench, "format csv, header", f"'{name}'"),
                    polars(f"pl.scan_parquet('{name}').sink_csv('out/theirs', engine='streaming')")],
        "avro": [polars(f"pl.read_avro('{name}').write_parquet('out/theirs', {PARQUET})"), fastavro_reading(bench, name)],
        "orc": [arrow(f"import pyarrow.orc as orc\ntable = orc.read_table('{name}'){write}")],
        "arrow": [arrow(f"import pyarrow.feather as feather\ntable = feather.read_table('{name}'){write}"),
                  polars(f"pl.scan_ipc('{name}').{sink}")],
        "jsonl": [peers.duck(bench, peers.DUCK_PARQUET, f"read_json('{name}', format='newline_delimited', columns={{{DUCK_COLUMNS}}})"),
                  polars(f"decimals = {decimals}\npl.scan_ndjson('{name}', schema={floats}).cast(decimals).{sink}")],
        "csv-gzip": packed_reading(bench, name, sink),
        "csv-zstd": packed_reading(bench, name, sink),
        "excel": [peers.python(bench, "openpyxl", excel)],
        "xml": [peers.python(bench, "lxml", xml)],
        "fixed": [polars(fixed_reading(name))],
    }[form]


def packed_reading(bench: Bench, name: str, sink: str) -> list[Contender]:
    return [peers.duck(bench, peers.DUCK_PARQUET, data.csv_relation(name)), peers.polars(bench, sink, name)]


def fastavro_reading(bench: Bench, name: str) -> Contender:
    text = f"""
import fastavro, pyarrow as pa, pyarrow.parquet as pq
kinds = pa.schema(list({peers.schema(peers.ARROW_KINDS)}.items()))
with open('{name}', 'rb') as file, pq.ParquetWriter('out/theirs', kinds, compression='snappy') as writer:
    rows = []
    for row in fastavro.reader(file):
        rows.append(row)
        if len(rows) == {data.GROUP_ROWS}:
            writer.write_table(pa.Table.from_pylist(rows, kinds))
            rows.clear()
    writer.write_table(pa.Table.from_pylist(rows, kinds))
"""
    return peers.python(bench, "fastavro", text)


def fixed_reading(name: str) -> str:
    at, parts = 0, []
    for column, kind in data.COLUMNS:
        part = f"pl.col('line').str.slice({at}, {WIDTHS[kind]}).str.strip_chars_end()"
        cast = "" if kind == "text" else f".cast({peers.POLARS_KINDS[kind]})" if kind != "date" else ".str.to_date('%Y-%m-%d')"
        parts.append(f"{part}{cast}.alias('{column}')")
        at += WIDTHS[kind]
    return (f"pl.scan_csv('{name}', separator='\\x01', has_header=False, new_columns=['line'], quote_char=None)"
            f".select({', '.join(parts)}).{peers.POLARS_PARQUET}")


def theirs_writing(bench: Bench, form: str, name: str) -> list[Contender]:
    """Programs that make a format of Parquet."""
    def polars(sink: str) -> Contender:
        return peers.python(bench, "polars", f"import polars as pl\npl.scan_parquet('{name}').{sink}")

    def referee(program: str) -> Contender:
        text = HELPERS.replace("sys.argv[1:3]", f"'{name}', 'out/theirs'") + MAKES[form]
        return Contender(program, [sys.executable, "-c", text], program=sys.executable)

    return {
        "avro": [referee("fastavro")],
        "orc": [peers.python(bench, "pyarrow", f"import pyarrow.parquet as pq, pyarrow.orc as orc\n"
                             f"orc.write_table(pq.read_table('{name}'), 'out/theirs', compression='zlib')")],
        "arrow": [peers.python(bench, "pyarrow", f"import pyarrow.parquet as pq, pyarrow.feather as feather\n"
                               f"feather.write_feather(pq.read_table('{name}'), 'out/theirs', compression='uncompressed')"),
                  polars("sink_ipc('out/theirs', engine='streaming')")],
        "jsonl": [polars("sink_ndjson('out/theirs', engine='streaming')"), peers.duck(bench, "format json", f"'{name}'")],
        "csv-gzip": [peers.duck(bench, "format csv, header, compression gzip", f"'{name}'"),
                     polars("sink_csv('out/theirs', compression='gzip', check_extension=False, engine='streaming')")],
        "csv-zstd": [peers.duck(bench, "format csv, header, compression zstd", f"'{name}'"),
                     polars("sink_csv('out/theirs', compression='zstd', check_extension=False, engine='streaming')")],
        "excel": [referee("openpyxl")],
        "fixed": [referee("python")],
    }[form]


def ours_reading(form: str, name: str) -> tuple[dict, dict]:
    kinds = ours.columns()
    if form.startswith("csv-"):
        return ours.csv_reader(name, compress=form[4:]), ours.parquet_writer()
    if form == "parquet":
        return ours.read(name, form), ours.write("csv", header=True)
    if form == "excel":
        return ours.read(name, form, header=True, column=kinds), ours.write("csv", header=True)
    if form == "xml":
        return ours.read(name, form, rowPath="/rows/row", column=kinds), ours.write("jsonl")
    if form == "fixed":
        widths = [WIDTHS[kind] for _, kind in data.COLUMNS]
        return ours.read(name, form, column=[{**column, "width": width} for column, width in zip(kinds, widths)]), ours.parquet_writer()
    return ours.read(name, form, **({"column": kinds} if form == "jsonl" else {})), ours.parquet_writer()


def ours_writing(form: str) -> dict:
    if form.startswith("csv-"):
        return ours.write("csv", header=True, compress=form[4:])
    if form == "fixed":
        return ours.write(form, column=[{"name": name, "width": WIDTHS[kind]} for name, kind in data.COLUMNS])
    packed = {"orc": {"compress": "zlib"}, "arrow": {"compress": "none"}, "excel": {"header": True}}
    return ours.write(form, **packed.get(form, {}))


# How a program of the referees makes an Arrow table, or text of CSV, of what was written.
LOADS = {
    "avro": "loaded = pa.Table.from_pylist([row for path in paths for row in fastavro.reader(open(path, 'rb'))])",
    "orc": "loaded = pa.concat_tables([orc.read_table(path) for path in paths])",
    "arrow": "loaded = pa.concat_tables([feather.read_table(path) for path in paths])",
    "excel": "loaded = sheet(paths[0])",
    "fixed": "loaded = lines(paths[0])",
}
LOADING = f"""
import json, sys, duckdb, fastavro, openpyxl, datetime
import pyarrow as pa, pyarrow.orc as orc, pyarrow.feather as feather
paths = sys.argv[1:]
names = {[name for name, _ in data.COLUMNS]!r}
widths = {[WIDTHS[kind] for _, kind in data.COLUMNS]!r}
def sheet(path):
    rows = openpyxl.load_workbook(open(path, 'rb'), read_only=True).active.iter_rows(values_only=True)
    next(rows)
    text = lambda value: str(value.date()) if isinstance(value, datetime.datetime) else str(value)
    return pa.Table.from_pylist([dict(zip(names, map(text, row))) for row in rows])
def lines(path):
    def values(line):
        at = 0
        for name, width in zip(names, widths):
            yield name, line[at:at + width].strip()
            at += width
    return pa.Table.from_pylist([dict(values(line)) for line in open(path)])
"""
SUMMING = f"""
row = duckdb.connect().execute("select {data.SUMS} from loaded").fetchone()
print(json.dumps([str(value) for value in row]))
"""


def check_loaded(bench: Bench, form: str, wanted: tuple[str, ...]) -> typing.Callable[[], Found]:
    """In a process of its own, since it may take much memory."""
    def run() -> Found:
        paths = files.written(bench)
        command = [sys.executable, "-c", LOADING + LOADS[form] + SUMMING, *paths]
        done = subprocess.run(command, capture_output=True, cwd=bench.folder)
        if done.returncode != 0:
            return Found(f"it cannot be read: {done.stderr.decode()[-300:]}")
        wrong = data.differs(tuple(json.loads(done.stdout)), wanted)
        return Found(wrong, size=sum(map(os.path.getsize, paths)))
    return run


def reading(form: str) -> typing.Callable[[Bench], Case]:
    def make(bench: Bench) -> Case:
        name, rows, wanted = source(bench, form), rows_of(bench, form), sums(bench, form)
        check = {"parquet": files.check_csv, "excel": files.check_csv, "xml": files.check_jsonl}.get(form, files.check_parquet)
        own = ours.job(bench, f"{form}-read", *ours_reading(form, name))
        into = {"parquet": "CSV", "excel": "CSV", "xml": "JSON lines"}.get(form, "Parquet")
        return Case(f"{form}-read", f"{rows:,} rows of {form} to {into}", [own, *theirs_reading(bench, form, name)],
                    bench.clean_files, check(bench, wanted), rows)
    return make


def writing(form: str) -> typing.Callable[[Bench], Case]:
    def make(bench: Bench) -> Case:
        name, rows, wanted = table(bench, form), rows_of(bench, form), sums(bench, form)
        if form == "jsonl":
            check = files.check_jsonl(bench, wanted)
        elif form.startswith("csv-"):
            check = files.check_csv(bench, wanted, form[4:])
        else:
            check = check_loaded(bench, form, wanted)
        own = ours.job(bench, f"{form}-write", ours.read(name, "parquet"), ours_writing(form))
        return Case(f"{form}-write", f"{rows:,} rows of Parquet to {form}", [own, *theirs_writing(bench, form, name)],
                    bench.clean_files, check, rows)
    return make


MAKERS = {
    **{f"{form}-read": reading(form) for form in ("parquet", *MAKES)},
    **{f"{form}-write": writing(form) for form in MAKES if form != "xml"},
}
