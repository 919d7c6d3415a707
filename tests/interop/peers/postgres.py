"""A real PostgreSQL server with TLS and one database, on a loopback address."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.interop.peers.authority import Authority
from tests.interop.peers.process import Process, free_port, loopback_address, run, wait_until

DATABASE, OWNER, READER, SECRET = "mail", "owner", "mailframe", "s3cret'%s"
_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def postgres_program(name: str) -> str:
    found = next((str(place / name) for place in _PLACES if (place / name).exists()), None)
    found = found or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} of PostgreSQL is not installed")
    return found


def _as_its_user() -> list[str]:
    """PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]


class Postgres:
    """``directory`` is its own; ``authority`` signs its certificate. ``sql`` fills it."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        pytest.importorskip("psycopg")
        self.address, self.port = loopback_address(), 0
        self.port = free_port(self.address)
        self.directory = directory
        directory.mkdir()
        self._authority = authority.certificate
        certificate, key = authority.issue(directory, "db.mf.test", self.address)
        if os.geteuid() == 0:
            for path in (directory, certificate, key):
                shutil.chown(path, "postgres", "postgres")
        data = directory / "data"
        initdb = [postgres_program("initdb"), "-D", str(data), "-U", OWNER, "-A", "trust", "-N"]
        done = run([*_as_its_user(), *initdb, "-E", "UTF8", "--locale=C"], cwd=str(directory))
        assert done.returncode == 0, done.stdout + done.stderr
        (data / "pg_hba.conf").write_text(
            f"local all {OWNER} trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"
        )
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = '{self.address}'\nport = {self.port}\n"
                f"unix_socket_directories = '{directory}'\nssl = on\nfsync = off\n"
                f"ssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n"
                "max_connections = 30\nshared_buffers = 16MB\n"
            )
        self._process: Process | None = None

    def start(self) -> None:
        data = str(self.directory / "data")
        log = self.directory / "postgres.log"
        command = [*_as_its_user(), postgres_program("postgres"), "-D", data]
        self._process = Process(command, log, cwd=str(self.directory))
        ready = [postgres_program("pg_isready"), "-h", str(self.directory), "-p", str(self.port)]
        self._process.wait_for(lambda: run(ready).returncode == 0, "PostgreSQL is ready")

    def create(self, *statements: str) -> None:
        """The database, a user that may read it, and what the statements say."""
        self.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
        quoted = SECRET.replace("'", "''")
        self.sql(f"CREATE ROLE {READER} LOGIN PASSWORD '{quoted}'")
        for statement in statements:
            self.sql(statement)
        self.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")

    def sql(self, text: str, database: str = DATABASE) -> str:
        """As its owner; what psql prints."""
        psql = [postgres_program("psql"), "-h", str(self.directory), "-p", str(self.port)]
        words = ["-U", OWNER, "-d", database, "-v", "ON_ERROR_STOP=1", "-At", "-c", text]
        done = run([*psql, *words])
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def url(self) -> str:
        at = f"{self.address}:{self.port}/{DATABASE}"
        return f"postgresql://{READER}@{at}?sslmode=verify-full&sslrootcert={self._authority}"

    def stop(self) -> None:
        """SIGINT: it ends its sessions and goes."""
        if self._process is None:
            return
        self._process.signal(signal.SIGINT)
        wait_until(lambda: not self._process or not self._process.running, "PostgreSQL has ended")
        self._process.stop()
        self._process = None

    def signal_all(self, number: int) -> None:
        """To the server and every session of it."""
        assert self._process is not None
        first = self._process.pid
        for pid in (first, *_children(first)):
            os.kill(pid, number)


def _children(parent: int) -> list[int]:
    """Sessions have process groups of their own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found
