"""Private servers: a folder and a port of their own, gone with the bench."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import time


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


class PostgreSql:
    """One server with the database `bench`; durable as installed, so that nobody wins by not writing."""

    USER = "bench"
    PASSWORD = "bench"

    def __init__(self, folder: str):
        self.folder = folder
        self.programs = max(glob.glob("/usr/lib/postgresql/*/bin"))
        self.port = free_port()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.as_owner = give(folder, "postgres")
        with open(os.path.join(folder, "password"), "w", encoding="ascii") as file:
            file.write(self.PASSWORD)
        os.chmod(os.path.join(folder, "password"), 0o644)
        self._run("initdb", "-D", f"{folder}/data", "-U", self.USER, "-A", "scram-sha-256",
                  f"--pwfile={folder}/password", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-p {self.port} -k {folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "start", "-w", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log")
        with open(f"{folder}/data/postmaster.pid", encoding="ascii") as file:
            self.pid = int(file.readline())
        self.sql("create database bench", database="postgres")

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

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")
        shutil.rmtree(self.folder, ignore_errors=True)


class MariaDb:
    """One server with the database `bench`, with the settings that it is installed with."""

    USER = "bench"
    PASSWORD = "bench"

    def __init__(self, folder: str):
        self.folder = folder
        self.port = free_port()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        as_owner = give(folder, "mysql")
        make = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*as_owner, *make, f"--datadir={folder}/data"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        start = ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket",
                 f"--port={self.port}", "--bind-address=127.0.0.1", "--local-infile=1", f"--tmpdir={folder}"]
        with open(f"{folder}/log", "wb") as log:
            self.process = subprocess.Popen([*as_owner, *start], stdout=log, stderr=log, cwd=folder)
        self.pid = self.process.pid
        root = ["mariadb", "--no-defaults", f"--socket={folder}/socket", "-u", "root"]
        until = time.monotonic() + 120
        while subprocess.run([*root, "-e", "select 1"], capture_output=True).returncode != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError(f"MariaDB does not start, see {folder}/log")
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

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
