"""The words that cases are told in: contenders, what is found in their output, and the bench that all share."""

import dataclasses
import os
import shutil
import typing

import data
import servers


@dataclasses.dataclass
class Contender:
    """A program and how it is called."""

    name: str
    command: list[str]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    # The program that must be there.
    program: str = ""

    def lacks(self) -> str:
        there = not self.program or os.path.exists(self.program)
        return "" if there else f"{os.path.basename(self.program)} could not be installed"


@dataclasses.dataclass
class Found:
    """What a check says of an output."""

    # The output is not what it should be, and its figures do not count.
    wrong: str = ""
    # It is right, but its values are of other types.
    types: str = ""
    # What else is not as it was asked for.
    note: str = ""
    # How large it is, where it is a file.
    size: int = 0


@dataclasses.dataclass
class Case:
    name: str
    what: str
    contenders: list[Contender]
    # Takes away what an earlier run wrote.
    clean: typing.Callable[[], None]
    check: typing.Callable[[], Found]
    rows: int
    # Whether it is run once more on the large table.
    grows: bool = False


class Bench:
    """What the cases share: a folder, the data in it, and servers that are started when first asked for."""

    def __init__(self, airlock: str, tools: str, folder: str, rows: int):
        self.airlock = os.path.abspath(airlock)
        self.tools = os.path.abspath(tools)
        self.rows = rows
        self.folder = os.path.join(os.path.abspath(folder), f"bench-{rows}")
        os.makedirs(self.folder, exist_ok=True)
        # Of all benches of a machine, so that the large table finds compiled code.
        self.state = os.path.join(os.path.abspath(folder), "bench-state")
        self._postgresql: servers.PostgreSql | None = None
        self._mariadb: servers.MariaDb | None = None

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def lineitem(self) -> str:
        return data.lineitem(self.folder, self.rows)

    def expected(self) -> tuple[str, ...]:
        return data.expected(self.folder, self.rows)

    @property
    def postgresql(self) -> servers.PostgreSql:
        if self._postgresql is None:
            self._postgresql = servers.PostgreSql(self.path("postgresql")).start()
        return self._postgresql

    @property
    def mariadb(self) -> servers.MariaDb:
        if self._mariadb is None:
            self._mariadb = servers.MariaDb(self.path("mariadb")).start()
        return self._mariadb

    def server_pids(self) -> list[int]:
        return [server.pid for server in (self._postgresql, self._mariadb) if server and server.pid]

    def clean_files(self) -> None:
        for name in ("out", "dlt"):
            shutil.rmtree(self.path(name), ignore_errors=True)
        os.makedirs(self.path("out"))

    def close(self) -> None:
        for server in (self._postgresql, self._mariadb):
            if server:
                server.stop()
