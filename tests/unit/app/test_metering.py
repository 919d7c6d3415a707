"""What is scraped when something does not answer, and what ``/readyz`` says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from mailframe.app.config import Config, config_of
from mailframe.app.metering import TOPIC, Metering
from mailframe.app.readiness import Readiness
from mailframe.metrics.snapshot import as_json, gauge
from mailframe.queue.schema import MIGRATIONS
from mailframe.queue.spool import FREE_FLOOR
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.peers import Alone
from mailframe.runtime.workers import Workers


class AtOnce(Workers):
    """Runs on the calling thread."""

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        return succeed(function(*args, **kwargs))


class Peers:
    """Others, who answer as the test says."""

    own = "w1"

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.answerer: Callable[[Any], Any] | None = None

    def ask(self, topic: str, note: Any) -> Deferred[dict[str, Any]]:
        assert topic == TOPIC
        return succeed(self.answers)

    def answer(self, topic: str, answerer: Callable[[Any], Any]) -> None:
        self.answerer = answerer


class House:
    """What metering looks at of it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "queue").mkdir()
        (base / "run").mkdir()
        self.reactor = Clock()
        self.disk = Disk()
        self.machine = SimpleNamespace(workers=lambda name, threads: self.disk_workers)
        self.disk_workers: Workers = AtOnce("disk", 1, 1, None)  # type: ignore[arg-type]
        self.password_workers = self.content_workers = self.disk_workers
        self.account_workers = self.app_workers = self.disk_workers
        self.machine = SimpleNamespace(workers=lambda name, threads: self.disk_workers)
        self.spool_file = Database(str(base / "queue" / "spool.db"), MIGRATIONS, None)
        self.directory_file = Database(str(base / "directory.db"), MIGRATIONS, None)
        self.databases = (self.spool_file, self.directory_file)
        for database in self.databases:
            database.open()
        self.journal = SimpleNamespace(dropped=3, listen=lambda listener: None)
        self.tls = SimpleNamespace(certificates=())
        self.queue: Any = SimpleNamespace(is_running=True)
        self.peers: Any = Peers()
        self.doors: Any = SimpleNamespace(is_accepting=True)

    @property
    def config(self) -> Config:
        listen = {"mx": {"endpoint": "tcp:25", "role": "mx"}}
        return config_of({"hostname": "mail.a.test", "base": str(self.base), "listen": listen}, "/")

    def page(self) -> str:
        found = fired(as_deferred(Metering(self, self.config, self.doors).page("")))  # type: ignore[arg-type]
        assert found is not None
        return found[0].decode()

    def readiness(self) -> Readiness:
        return Readiness(self, self.config, self.doors, self.disk_workers)  # type: ignore[arg-type]

    def ready(self) -> dict[str, str]:
        checks = fired(as_deferred(self.readiness().checks()))
        return {check.name: check.trouble for check in checks}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_worker_shows_itself_and_others(house: House) -> None:
    house.peers.answers = {"w2": as_json([gauge("mailframe_x", "X.", 7)])}
    text = house.page()
    assert 'mailframe_x{worker="w2"} 7.0' in text
    assert 'mailframe_journal_dropped_events_total{worker="w1"} 3.0' in text
    assert 'mailframe_queue_recipients{state="deferred"} 0.0' in text


def test_the_only_worker_has_no_label(house: House) -> None:
    house.peers = Alone("w1")
    assert "mailframe_journal_dropped_events_total 3.0" in house.page()


def test_a_worker_that_talks_nonsense_is_left_out(house: House) -> None:
    house.peers.answers = {"w2": [["mailframe_x", "sort of a gauge"]], "w3": None}
    text = house.page()
    assert "mailframe_x" not in text
    assert 'worker="w1"' in text


def test_others_are_told_what_is_ours_alone(house: House) -> None:
    Metering(house, house.config, house.doors)  # type: ignore[arg-type]
    assert house.peers.answerer is not None
    names = {family[0] for family in fired(house.peers.answerer(None))}
    assert "mailframe_smtp_messages" in names
    assert "mailframe_queue_recipients" not in names


def test_a_queue_that_cannot_be_counted_hides_nothing_else(house: House) -> None:
    house.spool_file.close()
    (house.base / "queue" / "spool.db").write_bytes(b"no database" * 1000)

    def fails(job: Callable[[sqlite3.Connection], Any]) -> Deferred[Any]:
        raise sqlite3.DatabaseError("malformed")

    house.spool_file.read = fails  # type: ignore[method-assign]
    text = house.page()
    assert "mailframe_queue_recipients" not in text
    assert "mailframe_smtp_messages_total" in text


def test_a_queue_that_takes_long_to_count_holds_up_nothing_else(house: House) -> None:
    house.spool_file.read = lambda job: Deferred()  # type: ignore[method-assign]
    found: list[Any] = []
    as_deferred(Metering(house, house.config, house.doors).page("")).addCallback(found.append)  # type: ignore[arg-type]
    house.reactor.advance(2.9)
    assert not found
    house.reactor.advance(0.2)
    text = found[0][0].decode()
    assert "mailframe_queue_recipients" not in text
    assert "mailframe_smtp_messages_total" in text


def test_all_is_ready(house: House) -> None:
    assert set(house.ready().values()) == {""}
    assert list((house.base / "run").iterdir()) == []


def test_listeners_that_are_closed(house: House) -> None:
    house.doors.is_accepting = False
    assert house.ready()["listeners"] == "closed"


@pytest.mark.parametrize("queue", [None, SimpleNamespace(is_running=False)])
def test_a_queue_that_does_not_run(house: House, queue: Any) -> None:
    house.queue = queue
    assert house.ready()["queue"] == "does not run"


def test_a_disk_that_is_nearly_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.disk, "free", lambda path: FREE_FLOOR)
    assert house.ready()["disk"] == ""
    monkeypatch.setattr(house.disk, "free", lambda path: FREE_FLOOR - 1)
    assert "no mail is taken" in house.ready()["disk"]


def test_a_disk_that_cannot_be_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: str) -> bool:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(house.disk, "make_file", read_only)
    assert "Read-only file system" in house.ready()["disk"]


def test_a_writer_that_is_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.spool_file, "write", lambda job: Deferred())
    found: list[Any] = []
    checking = as_deferred(house.readiness().checks())
    checking.addCallback(found.extend)
    house.reactor.advance(4.9)
    assert not found
    house.reactor.advance(0.2)
    assert {check.name: check.trouble for check in found}["spool"] == "not written within 5 s"


def test_a_file_that_cannot_be_written(house: House) -> None:
    with sqlite3.connect(house.directory_file.path) as other:
        other.execute("BEGIN IMMEDIATE")
        house.directory_file._inline.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]
        assert house.ready()["directory"] == "database is locked"
        other.rollback()
