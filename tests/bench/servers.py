"""Private servers: a folder and a port of their own, gone with the bench."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import time
from typing import Self


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def give(folder: str, user: str) -> list[str]:
    """Gives a folder to a user, where this is root, and answers how to run a program as that one."""
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwnam(user)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


class Server:
    """One server with the database `bench` in a folder of its own; one that does not start leaves nothing behind."""

    USER = "bench"
    PASSWORD = "bench"
    # Whom the server runs as, where this is root.
    OWNER: str

    def __init__(self, folder: str):
        self.folder = folder
        self.port = free_port()
        # Of the server, while it runs.
        self.pid: int | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        try:
            self.as_owner = give(self.folder, self.OWNER)
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        try:
            self._stop()
        finally:
            self.pid = None
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """The end of what the server said of itself."""
        try:
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
                return file.read()[-2000:]
        except OSError:
            return ""

    def _start(self) -> None:
        """Makes the data in the folder and starts the server on it."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Ends the process, if there is one, however far it came."""
        raise NotImplementedError


class PostgreSql(Server):
    """Durable as installed, so that nobody wins by not writing."""

    OWNER = "postgres"

    @property
    def programs(self) -> str:
        return max(glob.glob("/usr/lib/postgresql/*/bin"))

    def _start(self) -> None:
        folder = self.folder
        with open(os.path.join(folder, "password"), "w", encoding="ascii") as file:
            file.write(self.PASSWORD)
        os.chmod(os.path.join(folder, "password"), 0o644)
        self._run("initdb", "-D", f"{folder}/data", "-U", self.USER, "-A", "scram-sha-256",
                  f"--pwfile={folder}/password", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-p {self.port} -k {folder} -c listen_addresses=127.0.0.1"
        try:
            self._run("pg_ctl", "start", "-w", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log")
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"PostgreSQL does not start: {self.log()}") from error
        with open(f"{folder}/data/postmaster.pid", encoding="ascii") as file:
            self.pid = int(file.readline())
        self.sql("create database bench", database="postgres")

    def _stop(self) -> None:
        # One that was given up while it started has the file too.
        if os.path.exists(f"{self.folder}/data/postmaster.pid"):
            self._run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")

    def _run(self, program: str, *words: str) -> None:
        command = [*self.as_owner, f"{self.programs}/{program}", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    @property
    def uri(self) -> str:
        return f"postgresql://{self.USER}:{self.PASSWORD}@127.0.0.1:{self.port}/bench"

    @property
    def keywords(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={self.USER} password={self.PASSWORD} dbname=bench"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.USER, "PGPASSWORD": self.PASSWORD,
            "PGDATABASE": "bench",
        }

    def sql(self, statement: str, database: str = "bench") -> str:
        """What a statement answers, as psql prints it."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        done = subprocess.run(command, env={**os.environ, **self.environment}, check=True, capture_output=True)
        return done.stdout.decode().strip()


class MariaDb(Server):
    """With the settings that it is installed with."""

    OWNER = "mysql"
    PROGRAM = "/usr/sbin/mariadbd"
    START_SECONDS = 120

    def __init__(self, folder: str):
        super().__init__(folder)
        self.process: subprocess.Popen[bytes] | None = None

    def _start(self) -> None:
        folder = self.folder
        make = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*self.as_owner, *make, f"--datadir={folder}/data"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        start = [self.PROGRAM, "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket",
                 f"--port={self.port}", "--bind-address=127.0.0.1", "--local-infile=1", f"--tmpdir={folder}"]
        with open(f"{folder}/log", "wb") as log:
            self.process = subprocess.Popen([*self.as_owner, *start], stdout=log, stderr=log, cwd=folder)
        self.pid = self.process.pid
        root = ["mariadb", "--no-defaults", f"--socket={folder}/socket", "-u", "root"]
        until = time.monotonic() + self.START_SECONDS
        while subprocess.run([*root, "-e", "select 1"], capture_output=True).returncode != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError(f"MariaDB does not start: {self.log()}")
            time.sleep(0.2)
        account = f"create user '{self.USER}'@'%' identified by '{self.PASSWORD}'; grant all on *.* to '{self.USER}'@'%'"
        subprocess.run([*root, "-e", f"create database bench; {account}"], check=True)

    @property
    def client(self) -> str:
        return f"mariadb --no-defaults --host=127.0.0.1 --port={self.port} --user={self.USER}"

    @property
    def uri(self) -> str:
        return f"mysql://{self.USER}:{self.PASSWORD}@127.0.0.1:{self.port}/bench"

    @property
    def keywords(self) -> str:
        return f"host=127.0.0.1 port={self.port} user={self.USER} password={self.PASSWORD} database=bench"

    def sql(self, statement: str) -> str:
        """What a statement answers, without names of columns."""
        command = [*self.client.split(), "--local-infile=1", "--skip-column-names", "bench", "-e", statement]
        done = subprocess.run(command, env={**os.environ, "MYSQL_PWD": self.PASSWORD}, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
