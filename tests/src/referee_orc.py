"""Files of ORC, as pyarrow reads and writes them."""

import datetime
import decimal
import os

import pyarrow
import pyarrow.orc

CODECS = ("zlib", "snappy", "lz4", "zstd")


def table(path):
    return pyarrow.orc.read_table(path)


def write(path, batches):
    """Words in the name say how: a codec, `old` (integers as runs of the first form), `dictionary`, and `whole`
    (all rows in one stripe)."""
    words = os.path.basename(path).split(".")[1:-1]
    codec = next((word for word in words if word in CODECS), "uncompressed")
    options = {
        "compression": codec,
        "file_version": "0.11" if "old" in words else "0.12",
        "dictionary_key_size_threshold": 1.0 if "dictionary" in words else 0.0,
        "stripe_size": 1 << 30 if "whole" in words else 16 << 10,
    }
    with pyarrow.orc.ORCWriter(path, **options) as writer:
        for batch in batches:
            writer.write(pyarrow.Table.from_batches([batch]))


def columns(path):
    """A file with a column of each type, and one row."""
    time = datetime.datetime(2025, 1, 2, 12)
    kinds = [
        ("boolean", pyarrow.bool_(), True),
        ("tinyint", pyarrow.int8(), 1),
        ("smallint", pyarrow.int16(), 1),
        ("int", pyarrow.int32(), 1),
        ("bigint", pyarrow.int64(), 1),
        ("float", pyarrow.float32(), 1.5),
        ("double", pyarrow.float64(), 1.5),
        ("string", pyarrow.string(), "a"),
        ("binary", pyarrow.binary(), b"a"),
        ("decimal(15,2)", pyarrow.decimal128(15, 2), decimal.Decimal("1.25")),
        ("date", pyarrow.date32(), time.date()),
        ("timestamp", pyarrow.timestamp("us"), time),
        ("timestamp with local time zone", pyarrow.timestamp("us", "UTC"), time),
        ("array<int>", pyarrow.list_(pyarrow.int32()), [1]),
        ("array<string>", pyarrow.list_(pyarrow.string()), ["a"]),
        ("struct<a:int>", pyarrow.struct([("a", pyarrow.int32())]), {"a": 1}),
        ("map<string,int>", pyarrow.map_(pyarrow.string(), pyarrow.int32()), [("a", 1)]),
    ]
    arrays = [pyarrow.array([value], kind) for _, kind, value in kinds]
    names = [f"t{at}" for at in range(len(kinds))]
    pyarrow.orc.write_table(pyarrow.table(arrays, names), path)
    for name, (kind, *_) in zip(names, kinds):
        print(name, kind)
