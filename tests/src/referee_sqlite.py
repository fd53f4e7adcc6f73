"""The referee on files of SQLite: Python's own library runs statements on them."""

import csv
import os
import re
import sqlite3
import sys


def run(path, script):
    """Runs statements on a file of SQLite and shows what they answer. It goes without closing the file, so
    that a write-ahead log stays beside it."""
    shown = lambda value: {
        type(None): lambda: "NULL",
        bytes: lambda: f"x'{value.hex()}'",
        str: lambda: value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\0"),
    }.get(type(value), lambda: repr(value))()
    os.chdir(os.path.dirname(path))
    database = sqlite3.connect(path, isolation_level=None)
    database.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    statement = ""
    for part in re.split(r"(?<=;)", script):
        statement += part
        if sqlite3.complete_statement(statement):
            for row in database.execute(statement):
                print("\t".join(map(shown, row)))
            statement = ""
    if statement.strip():
        sys.exit(f"{statement} does not end")
    sys.stdout.flush()
    os._exit(0)


def hold(path, script):
    """Runs statements in one transaction, and keeps it open until its standard input ends."""
    database = sqlite3.connect(path, isolation_level=None)
    for statement in script.split(";"):
        database.execute(statement)
    print("held", flush=True)
    sys.stdin.read()


def load(path, table, file):
    """Makes rows of a CSV file with a header."""
    database = sqlite3.connect(path)
    with open(file, newline="") as rows:
        rows = csv.reader(rows)
        places = ", ".join("?" for _ in next(rows))
        database.executemany(f"insert into {table} values ({places})", rows)
    database.commit()


def export(path, table, file):
    """Writes a table into a CSV file with a header; of a decimal as many digits as are declared."""
    rows = sqlite3.connect(path).execute(f"select * from {table}")
    described = rows.connection.execute(f"select name, type from pragma_table_info('{table}')").fetchall()
    digits = [re.findall(r"decimal\(\d+,(\d+)\)", declared) for _, declared in described]
    with open(file, "w", newline="") as out:
        out = csv.writer(out, lineterminator="\n")
        out.writerow(name for name, _ in described)
        for row in rows:
            out.writerow(f"{value:.{places[0]}f}" if places else value for value, places in zip(row, digits))


if __name__ == "__main__":
    commands = {"run": run, "hold": hold, "load": load, "export": export}
    commands[sys.argv[1]](*sys.argv[2:])
