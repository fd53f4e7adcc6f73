"""The referee's Avro: files as fastavro reads and writes them."""

import datetime
import decimal
import json
import uuid

import pyarrow


def read(path):
    """Names and types of the columns, and the rows."""
    import fastavro

    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        columns = [(field["name"], json.dumps(field["type"])) for field in reader.writer_schema["fields"]]
        return columns, [[row[name] for name, _ in columns] for row in reader]


def table(path):
    columns, rows = read(path)
    values = zip(*rows) if rows else [[] for _ in columns]
    named = zip(columns, values)
    return pyarrow.table({name: pyarrow.array(list(column), decimal_type(kind)) for (name, kind), column in named})


def decimal_type(kind):
    """Of a decimal, whose digits pyarrow would guess from the values; `None` for others."""
    kinds = json.loads(kind)
    for one in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(one, dict) and one.get("logicalType") == "decimal":
            kind = pyarrow.decimal128 if one["precision"] <= 38 else pyarrow.decimal256
            return kind(one["precision"], one["scale"])
    return None


def write(path, batches):
    """Batches of pyarrow; any column may be null."""
    import fastavro

    fields = [{"name": field.name, "type": ["null", avro_type(field.type)]} for field in batches.schema]
    schema = {"type": "record", "name": "row", "fields": fields}
    rows = (row for batch in batches for row in batch.to_pylist())
    with open(path, "wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), rows, codec="deflate", sync_interval=16_000)


def logical(kind, word, **more):
    return {"type": kind, "logicalType": word, **more}


def avro_type(kind):
    types = pyarrow.types
    if types.is_decimal(kind):
        return logical("bytes", "decimal", precision=kind.precision, scale=kind.scale)
    if types.is_date(kind):
        return logical("int", "date")
    if types.is_timestamp(kind):
        return logical("long", "timestamp-micros" if kind.tz else "local-timestamp-micros")
    words = {"bool": "boolean", "int32": "int", "int64": "long", "float": "float", "double": "double", "string": "string"}
    return words[str(kind)]


def columns(path):
    """A file with a column of each type, and one row of values."""
    import fastavro

    number, wide = decimal.Decimal("1.25"), decimal.Decimal("12345678901234567890.5")
    day, time = datetime.date(2025, 1, 2), datetime.time(12, 30)
    local, instant = datetime.datetime.combine(day, time), datetime.datetime.combine(day, time, datetime.timezone.utc)
    kinds = [(word, word, value) for word, value in PLAIN]
    kinds += [
        ("decimal(15,2)", logical("bytes", "decimal", precision=15, scale=2), number),
        ("decimal(50,10)", logical("bytes", "decimal", precision=50, scale=10), wide),
        ("fixed decimal(15,2)", logical("fixed", "decimal", name="Money", size=8, precision=15, scale=2), number),
        ("date", logical("int", "date"), day),
        ("time-millis", logical("int", "time-millis"), time),
        ("time-micros", logical("long", "time-micros"), time),
        ("timestamp-millis", logical("long", "timestamp-millis"), instant),
        ("timestamp-micros", logical("long", "timestamp-micros"), instant),
        ("timestamp-nanos", logical("long", "timestamp-nanos"), 1_735_821_000_000_001_000),
        ("local-timestamp-millis", logical("long", "local-timestamp-millis"), local),
        ("local-timestamp-micros", logical("long", "local-timestamp-micros"), local),
        ("local-timestamp-nanos", logical("long", "local-timestamp-nanos"), 1_735_821_000_000_001_000),
        ("uuid", logical("string", "uuid"), uuid.UUID(int=1)),
        ("duration", logical("fixed", "duration", name="Span", size=12), bytes([1, 0, 0, 0] * 3)),
        ("fixed(4)", {"type": "fixed", "name": "Four", "size": 4}, b"\0\1\2\xff"),
        ("enum", {"type": "enum", "name": "Colour", "symbols": ["RED", "GREEN"]}, "GREEN"),
        ("array of int", {"type": "array", "items": "int"}, [1, 2]),
        ("map of int", {"type": "map", "values": "int"}, {"a": 1}),
        ("record", {"type": "record", "name": "Pair", "fields": [{"name": "a", "type": "int"}]}, {"a": 1}),
        ("null or long", ["null", "long"], 1),
        ("long or null", ["long", "null"], 1),
    ]
    fields = [{"name": f"t{at}", "type": kind} for at, (_, kind, _) in enumerate(kinds)]
    schema = fastavro.parse_schema({"type": "record", "name": "row", "fields": fields})
    with open(path, "wb") as file:
        fastavro.writer(file, schema, [{f"t{at}": value for at, (_, _, value) in enumerate(kinds)}])
    for at, (word, _, _) in enumerate(kinds):
        print(f"t{at}", word)


PLAIN = [
    ("boolean", True),
    ("int", 1),
    ("long", 1),
    ("float", 1.5),
    ("double", 1.5),
    ("string", "a"),
    ("bytes", b"a"),
]
