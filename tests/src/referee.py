"""The referee: other programs read what Airlock wrote, and say whether it is right.

Tables are files, or globs of files, told apart by their suffix (.csv with a header, .jsonl, .parquet, .orc,
.avro, .arrow and .arrows; what is packed is unpacked, and a text named x.gbk.csv is in GBK). Values are compared as
text: a typed file's values as DuckDB, pyarrow and fastavro spell them, a text file's exactly as they stand.
"""

import base64
import bz2
import datetime
import decimal
import glob
import gzip
import io
import json
import lzma
import os
import re
import struct
import subprocess
import sys
import uuid
import zipfile

import duckdb
import pyarrow
import pyarrow.parquet

import referee_avro
import referee_excel
import referee_orc


def files(pattern):
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        sys.exit(f"no file matches {pattern}")
    return found


def kind(path):
    for suffix in (".parquet", ".csv", ".jsonl", ".orc", ".avro", ".arrows", ".arrow", ".xlsx"):
        if suffix in os.path.basename(path):
            return suffix
    sys.exit(f"of which format is {path}?")


def unpacked(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read()
    if data[:4] == b"\x04\x22\x4d\x18":
        return pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "lz4").read()
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    if data[:3] == b"BZh":
        return bz2.decompress(data)
    if data[:4] == b"PK\x03\x04":
        archive = zipfile.ZipFile(io.BytesIO(data))
        return b"".join(archive.read(name) for name in archive.namelist())
    if path.endswith(".snappy"):
        return hadoop_unpacked(data)
    return data


def hadoop_unpacked(data):
    """Blocks of chunks, each with its length in front."""
    text, at = b"", 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        at, end = at + 4, len(text) + length
        while len(text) < end:
            (packed,) = struct.unpack_from(">I", data, at)
            chunk, at = data[at + 4 : at + 4 + packed], at + 4 + packed
            text += pyarrow.decompress(chunk, end - len(text), "snappy", asbytes=True)
    return text


def hadoop_packed(data):
    """In blocks of two chunks."""
    packed = b""
    for at in range(0, len(data), 2000):
        block = data[at : at + 2000]
        chunks = [block[:1000], block[1000:]] if len(block) > 1000 else [block]
        packed += struct.pack(">I", len(block))
        for chunk in chunks:
            bytes_ = pyarrow.compress(chunk, "snappy", asbytes=True)
            packed += struct.pack(">I", len(bytes_)) + bytes_
    return packed


def zipped(data):
    """Two files with the same header and half of the rows each."""
    header, *rows = data.splitlines(keepends=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        half = len(rows) // 2
        for name, part in (("a.csv", rows[:half]), ("b.csv", rows[half:])):
            archive.writestr(name, header + b"".join(part))
    return buffer.getvalue()


def streamed(codec):
    def packed(data):
        buffer = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(buffer, codec) as stream:
            stream.write(data)
        return buffer.getvalue().to_pybytes()

    return packed


PACKERS = {
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".block": lambda data: pyarrow.compress(data, "snappy", asbytes=True),
    ".lz4": streamed("lz4"),
    ".snappy": hadoop_packed,
    ".zip": zipped,
}


def encoding(path):
    """Of a text: the word before its format, where there is one."""
    words = re.findall(r"\.(gbk|gb18030|utf-16|latin-1)\.", os.path.basename(path))
    return words[0] if words else "utf-8"


def source(connection, name, pattern):
    """What DuckDB selects from, for the table `name`."""
    paths = files(pattern)
    if kind(paths[0]) == ".parquet":
        listed = ", ".join(f"'{path}'" for path in paths)
        return f"read_parquet([{listed}])"
    if kind(paths[0]) == ".csv":
        listed = ", ".join(f"'{path}'" for path in paths)
        return f"read_csv([{listed}], all_varchar=true, header=true, delim=',', quote='\"', escape='\"')"
    table = jsonl(paths) if kind(paths[0]) == ".jsonl" else pyarrow.concat_tables(map(held, paths))
    connection.register(f"{name}_arrow", table)
    return f"{name}_arrow"


def load(connection, name, pattern):
    """Makes the table `name`: every column a text."""
    origin = source(connection, name, pattern)
    described = connection.execute(f"describe select * from {origin}").fetchall()
    columns = [row[0] for row in described]
    texts = ", ".join(f'cast("{column}" as varchar) as "{column}"' for column in columns)
    connection.execute(f"create temp table {name} as select {texts} from {origin}")
    return columns


def sums(pattern):
    """How many rows, and a number that another set of rows would hardly have."""
    connection = duckdb.connect()
    origin = source(connection, "t", pattern)
    print(*connection.execute(f"select count(*), sum(hash(t::text)) from {origin} t").fetchone())


def jsonl(paths):
    """Lines of JSON as texts, numbers exactly as they stand."""
    columns = {}
    for path in paths:
        for line in unpacked(path).splitlines():
            row = json.loads(line, parse_float=str, parse_int=str)
            for key, value in row.items():
                if isinstance(value, bool):
                    value = "true" if value else "false"
                columns.setdefault(key, []).append(value)
    return pyarrow.table({key: pyarrow.array(values, pyarrow.string()) for key, values in columns.items()})


def kinds(pattern):
    """Which kinds of JSON value each member has."""
    found = {}
    for path in files(pattern):
        for line in unpacked(path).splitlines():
            for key, value in json.loads(line).items():
                found.setdefault(key, set()).add(type(value).__name__)
    for key, values in found.items():
        print(key, *sorted(values))


def compare(left, right):
    connection = duckdb.connect()
    left_columns, right_columns = load(connection, "l", left), load(connection, "r", right)
    if left_columns != right_columns:
        sys.exit(f"columns differ: {left_columns} and {right_columns}")
    counts = connection.execute("select (select count(*) from l), (select count(*) from r)").fetchone()
    only_left = connection.execute("select * from l except all select * from r limit 3").fetchall()
    only_right = connection.execute("select * from r except all select * from l limit 3").fetchall()
    if counts[0] != counts[1] or only_left or only_right:
        sys.exit(f"rows: {counts}\nonly left: {only_left}\nonly right: {only_right}")
    print(counts[0])


def types(pattern):
    for path in files(pattern)[:1]:
        for field in held(path).schema:
            print(f"{field.name} {field.type}")


def held(path):
    """A file that has types, as a table; `None` for others."""
    with open(path, "rb") as file:
        start = file.read(6)
    if start[:4] == b"PAR1":
        return pyarrow.parquet.ParquetFile(path).read()
    if start[:3] == b"ORC":
        return referee_orc.table(path)
    if start[:4] == b"Obj\1":
        return referee_avro.table(path)
    if start == b"ARROW1":
        return pyarrow.ipc.open_file(pyarrow.OSFile(path)).read_all()
    if start[:4] == b"\xff\xff\xff\xff":
        return pyarrow.ipc.open_stream(pyarrow.OSFile(path)).read_all()
    return None


def plain(value):
    """A value as JSON, exactly."""
    if isinstance(value, (decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)):
        return str(value)
    if isinstance(value, bytes):
        return "base64:" + base64.b64encode(value).decode()
    if isinstance(value, (float, pyarrow.MonthDayNano)):
        return repr(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def dump(folder):
    """Every file below a folder, readable: names without the run's, then what stands in them."""
    found = []
    for path in glob.glob(os.path.join(folder, "**"), recursive=True, include_hidden=True):
        if os.path.isfile(path):
            name = re.sub(r"\d{8}t\d{6}[0-9a-z]{5}", "[RUN]", os.path.relpath(path, folder))
            found.append((name, path))
    for name, path in sorted(found):
        print(f"== {name}")
        if path.endswith(".xlsx"):
            for title, rows in referee_excel.sheets(path):
                print(f"sheet {title}")
                for row in rows:
                    print(json.dumps([plain(value) for value in row], ensure_ascii=False))
            continue
        if path.endswith(".avro"):
            columns, rows = referee_avro.read(path)
        elif (table := held(path)) is not None:
            columns = [(field.name, field.type) for field in table.schema]
            rows = (list(row.values()) for row in table.to_pylist())
        else:
            sys.stdout.write(unpacked(path).decode(encoding(path), "backslashreplace"))
            continue
        print(", ".join(f"{name} {kind}" for name, kind in columns))
        for row in rows:
            print(json.dumps([plain(value) for value in row], ensure_ascii=False))


def lineitem(folder, tool, scale, rows, suffix):
    """The first rows of TPC-H's largest table, in the formats that DuckDB writes, and in that one."""
    if not os.path.exists(os.path.join(folder, "lineitem.jsonl")):
        make_lineitem(folder, tool, scale, rows)
    path = os.path.join(folder, f"lineitem.{suffix}")
    if not os.path.exists(path):
        draft = os.path.join(folder, f"draft-{os.getpid()}.{suffix}")
        make(draft, f"select * from read_parquet('{folder}/lineitem.parquet')")
        os.rename(draft, path)


def make_lineitem(folder, tool, scale, rows):
    making = f"{folder}.{os.getpid()}"
    os.makedirs(making)
    subprocess.run(
        [tool, "parquet", "--scale-factor", scale, "--tables", "lineitem", "--output-dir", making, "--quiet"],
        check=True,
    )
    connection = duckdb.connect()
    made = files(os.path.join(making, "**", "lineitem*.parquet"))[0]
    # Dates and decimals as the benchmark means them, integers as wide as they can be.
    connection.execute(
        f"""create table lineitem as select l_orderkey::bigint l_orderkey, l_partkey::bigint l_partkey,
        l_suppkey::bigint l_suppkey, l_linenumber::bigint l_linenumber, l_quantity::decimal(15,2) l_quantity,
        l_extendedprice::decimal(15,2) l_extendedprice, l_discount::decimal(15,2) l_discount,
        l_tax::decimal(15,2) l_tax, l_returnflag::varchar l_returnflag, l_linestatus::varchar l_linestatus,
        l_shipdate::date l_shipdate, l_commitdate::date l_commitdate, l_receiptdate::date l_receiptdate,
        l_shipinstruct::varchar l_shipinstruct, l_shipmode::varchar l_shipmode, l_comment::varchar l_comment
        from read_parquet('{made}') limit {rows}"""
    )
    connection.execute(f"copy lineitem to '{making}/table.parquet' (format parquet, row_group_size 20000)")
    connection.execute(f"copy lineitem to '{making}/table.csv' (format csv, header)")
    os.remove(made)
    write_jsonl(connection, f"{making}/table.jsonl")
    for suffix in ("parquet", "csv", "jsonl"):
        os.rename(f"{making}/table.{suffix}", f"{making}/lineitem.{suffix}")
    os.rename(making, folder)


def write_jsonl(connection, path):
    """The table, put together by hand: DuckDB's own JSON cuts the zeros off 17.00."""
    members = []
    for name, kind, *_ in connection.execute("describe lineitem").fetchall():
        is_number = kind == "BIGINT" or kind.startswith("DECIMAL")
        value = f"{name}::varchar" if is_number else f"to_json({name}::varchar)"
        members.append(f"""'"{name}": ' || {value}""")
    line = "'{' || " + " || ', ' || ".join(members) + " || '}'"
    plain = "format csv, header false, quote '', escape '', delimiter E'\\x01'"
    connection.execute(f"copy (select {line} from lineitem) to '{path}' ({plain})")


def make(path, query):
    """A file with the rows of a DuckDB query."""
    suffix = kind(path)
    packer = PACKERS.get(os.path.splitext(path)[1])
    if packer or encoding(path) != "utf-8":
        plain = os.path.join(os.path.dirname(path), f"plain{suffix}")
        make(plain, query)
        with open(plain, "rb") as file:
            text = file.read().decode().encode(encoding(path))
        os.remove(plain)
        with open(path, "wb") as file:
            file.write(packer(text) if packer else text)
        return
    if query == "columns":
        return columns(path)
    options = {".parquet": "format parquet", ".csv": "format csv, header", ".jsonl": "format json"}
    if suffix in options:
        duckdb.connect().execute(f"copy ({query}) to '{path}' ({options[suffix]})")
    else:
        write(path, duckdb.connect().sql(query).to_arrow_reader(BATCH_ROWS))


BATCH_ROWS = 1000


def write(path, batches):
    """Batches as a file of ORC, Avro, Arrow IPC or Excel."""
    if kind(path) == ".orc":
        return referee_orc.write(path, batches)
    if kind(path) == ".avro":
        return referee_avro.write(path, batches)
    if kind(path) == ".xlsx":
        numbers = path.endswith(".numbers.xlsx")
        return referee_excel.write_numbers(path, batches) if numbers else referee_excel.write(path, batches)
    begin = pyarrow.ipc.new_stream if kind(path) == ".arrows" else pyarrow.ipc.new_file
    with begin(path, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def columns(path):
    """A file with a column of each type that its format has, as pyarrow or fastavro write it, and one row."""
    if kind(path) == ".orc":
        return referee_orc.columns(path)
    if kind(path) == ".avro":
        return referee_avro.columns(path)
    time, number = datetime.datetime(2025, 1, 2, 12), decimal.Decimal("1.25")
    whole = [f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")]
    kinds = [(pyarrow.bool_(), True), *((pyarrow.type_for_alias(name), 1) for name in whole)]
    kinds += [(pyarrow.type_for_alias(name), 1.5) for name in ("halffloat", "float", "double")]
    kinds += [(pyarrow.string(), "a"), (pyarrow.binary(), b"a"), (pyarrow.date32(), time.date())]
    kinds += [(pyarrow.decimal128(15, 2), number), (pyarrow.decimal256(50, 10), number)]
    kinds += [(pyarrow.binary(16), bytes(16)), (pyarrow.uuid(), bytes(16)), (pyarrow.json_(), "{}")]
    kinds += [(pyarrow.time32("ms"), time.time()), (pyarrow.time64("us"), time.time()), (pyarrow.time64("ns"), time.time())]
    kinds += [(pyarrow.timestamp(unit, zone), time) for zone in (None, "UTC") for unit in ("ms", "us", "ns")]
    kinds += [(pyarrow.list_(pyarrow.int32()), [1]), (pyarrow.list_(pyarrow.string()), ["a"])]
    kinds += [(pyarrow.struct([("a", pyarrow.int32())]), {"a": 1}), (pyarrow.map_(pyarrow.string(), pyarrow.int32()), [("a", 1)])]
    if kind(path) != ".parquet":
        kinds += arrow_kinds(time, number)
    values = {f"t{at}": pyarrow.array([value], is_) for at, (is_, value) in enumerate(kinds)}
    table = pyarrow.table(values)
    if kind(path) == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        write(path, table.to_reader())
    for at, (is_, _) in enumerate(kinds):
        print(f"t{at}", is_)


def arrow_kinds(time, number):
    """Types that Parquet files don't keep."""
    kinds = [(pyarrow.large_string(), "a"), (pyarrow.string_view(), "a"), (pyarrow.large_binary(), b"a")]
    kinds += [(pyarrow.binary_view(), b"a"), (pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "a")]
    kinds += [(pyarrow.decimal32(7, 2), number), (pyarrow.decimal64(15, 2), number), (pyarrow.date64(), time.date())]
    kinds += [(pyarrow.time32("s"), time.time()), (pyarrow.timestamp("s"), time)]
    kinds += [(pyarrow.timestamp("us", "Asia/Shanghai"), time), (pyarrow.null(), None)]
    kinds += [(pyarrow.duration("us"), time - time), (pyarrow.month_day_nano_interval(), (1, 2, 3))]
    kinds += [(pyarrow.large_list(pyarrow.int32()), [1]), (pyarrow.list_(pyarrow.int32(), 1), [1])]
    return kinds


if __name__ == "__main__":
    commands = {
        "compare": compare,
        "types": types,
        "dump": dump,
        "sums": sums,
        "kinds": kinds,
        "lineitem": lineitem,
        "make": make,
        "columns": columns,
    }
    commands[sys.argv[1]](*sys.argv[2:])
