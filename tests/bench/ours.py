"""Jobs of Airlock's own."""

import json

import data
from contest import Bench, Contender


def job(bench: Bench, name: str, reader: dict, writer: dict, lanes: int = 1) -> Contender:
    document = {
        "type": "job", "version": "2.0",
        "steps": [
            {"category": "reader", "name": "Reader", **reader}, {"category": "writer", "name": "Writer", **writer},
        ],
        "setting": {"speed": {"concurrent": lanes}, "errorLimit": {"record": 0}},
        "order": {"hops": [{"from": "Reader", "to": "Writer"}]},
    }
    with open(bench.path(f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
    wanted = {step["parameter"].get("datasource") for step in (reader, writer)}
    known = {"pg": ("postgresql", lambda: bench.postgresql), "my": ("mysql", lambda: bench.mariadb)}
    sources = {name: source(kind, server()) for name, (kind, server) in known.items() if name in wanted}
    if sources:
        with open(bench.path("datasources.json"), "w", encoding="utf-8") as file:
            json.dump(sources, file)
    return Contender("airlock", command(bench, name), program=bench.airlock)


def command(bench: Bench, name: str, state: str = "") -> list[str]:
    return [bench.airlock, "--state-dir", state or bench.state, "run", f"{name}.json"]


def source(kind: str, server) -> dict:
    properties = {"host": "127.0.0.1", "port": server.port, "database": "bench", "username": server.USER,
                  "password": server.PASSWORD}
    return {"type": kind, "properties": properties}


def columns() -> list[dict]:
    return [{"name": name, "type": kind} for name, kind in data.spelled({"bigint": "long", "text": "string"}).items()]


def csv_reader(path: str, **more) -> dict:
    return read(path, "csv", header=True, column=columns(), **more)


def read(path: str, form: str, **more) -> dict:
    return {"stepType": "file", "parameter": {"path": [path], "fileFormat": form, **more}}


def write(form: str, **more) -> dict:
    parameter = {"path": "out", "fileName": "ours", "fileFormat": form, "writeMode": "truncate", **more}
    return {"stepType": "file", "parameter": parameter}


def parquet_writer() -> dict:
    return write("parquet", compress="snappy", rowGroupRows=data.GROUP_ROWS, rowGroupSize=32)


def table(kind: str, source_name: str, name: str, **more) -> dict:
    return {"stepType": kind, "parameter": {"datasource": source_name, "table": name, "column": ["*"], **more}}
