"""Private servers: a folder and a port of their own, gone with the bench."""

import glob
import os
import pwd
import shutil
import socket
import subprocess


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgreSql:
    """One server with the database `bench`; durable as installed, so that nobody wins by not writing."""

    USER = "bench"
    PASSWORD = "bench"

    def __init__(self, folder):
        self.folder = folder
        self.programs = max(glob.glob("/usr/lib/postgresql/*/bin"))
        self.port = free_port()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.as_owner = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self.as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
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

    def _run(self, program, *words):
        command = [*self.as_owner, f"{self.programs}/{program}", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    @property
    def environment(self):
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.USER, "PGPASSWORD": self.PASSWORD,
            "PGDATABASE": "bench",
        }

    def sql(self, statement, database="bench"):
        """What a statement answers, as psql prints it."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        done = subprocess.run(command, env={**os.environ, **self.environment}, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def stop(self):
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")
        shutil.rmtree(self.folder, ignore_errors=True)
