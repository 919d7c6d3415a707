"""One of the programs as a process, in a copy of its folder, with its database in ``data``."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.comparison.subjects import FAULTS, MAILFRAME, ROOT, Subject
from tests.comparison.surroundings import Names, Relay, quiet_port
from tests.interop.peers.process import Process, listens

START_SECONDS = 60.0


class Running:
    def __init__(self, subject: Subject, directory: Path, relay: Relay, names: Names) -> None:
        self.subject = subject
        self.port = quiet_port()
        self.directory = directory / subject.folder
        shutil.copytree(subject.directory, self.directory)
        self._data = self.directory / "data"
        self._away = self.directory / "data.away"
        self._bug = self.directory / "bug"
        for name in ("data", "run"):
            (self.directory / name).mkdir()
        self._environment = os.environ | {
            "PYTHONPATH": f"{FAULTS}{os.pathsep}{self.directory}",
            "ORDERS_DB": str(self._data / "orders.db"),
            "ORDERS_PORT": str(self.port),
            "ORDERS_RELAY": f"127.0.0.1:{relay.port}",
            "ORDERS_BUG": str(self._bug),
        }
        if subject is MAILFRAME:
            self._environment["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
            self._configure(relay.port, names.address)
        self._process: Process | None = None

    def _configure(self, relay: int, names: str) -> None:
        """The example's settings at the ports of this run. The schedule of the queue is that of a
        trial: nobody here can wait five minutes."""
        path = self.directory / "mailframe.toml"
        text = path.read_text(encoding="utf-8")
        text = text.replace("tcp:2525:", f"tcp:{self.port}:").replace(":2526", f":{relay}")
        text += f'\n[dns]\nservers = ["{names}"]\n\n[queue]\nretry = ["2s"]\n'
        path.write_text(text, encoding="utf-8")

    # ---- life

    def start(self) -> None:
        self._process = Process(
            self.subject.start,
            self.directory / "server.log",
            cwd=self.directory,
            env=self._environment,
        )
        self._process.wait_for(
            lambda: listens("127.0.0.1", self.port), f"{self.subject.name} listens", START_SECONDS
        )

    def kill(self) -> None:
        """SIGKILL, of what runs."""
        assert self._process is not None
        assert self._process.running, self.log
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")

    @property
    def processor_seconds(self) -> float:
        """That it has used so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_octets(self) -> int:
        assert self._process is not None
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # ---- trouble

    def take_database_away(self) -> None:
        self._data.rename(self._away)

    def bring_database_back(self) -> None:
        self._away.rename(self._data)

    def have_bug(self) -> None:
        self._bug.touch()

    def mend_bug(self) -> None:
        self._bug.unlink()

    # ---- what became of it

    def orders(self) -> Counter[int]:
        """Order -> how often it is in the database."""
        path = self._data / "orders.db"
        if not path.exists():
            return Counter()
        with closing(sqlite3.connect(path, timeout=30)) as db:
            try:
                return Counter(number for (number,) in db.execute("SELECT number FROM mail"))
            except sqlite3.OperationalError:  # nothing has come yet
                return Counter()

    def set_aside(self) -> int:
        """Messages that Salmon keeps as undeliverable."""
        return len(list((self.directory / "run" / "undeliverable" / "new").glob("*")))
