"""``mailframe verify`` of a live base, and what ``mailframe migrate`` would do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from mailframe import __version__
from mailframe.app.backups import layout
from mailframe.app.backups.upgrading import migrate, note_version, noted_version, plan
from mailframe.app.backups.verifying import Verification
from mailframe.backup.unfinished import RESTORING
from mailframe.runtime.disk import Disk
from tests.unit.backup.conftest import NOW, House


def told(house: House) -> list[tuple[str, str]]:
    verification = Verification(str(house.base), Disk(), lambda: NOW, read=True)
    return [(fault.kind, fault.text) for fault in verification.faults()]


def fill(house: House) -> None:
    house.queue("SMALL", "ann@a.test")
    house.queue("LARGE", "x@b.test", body=b"large")
    house.deliver()


def test_a_sound_base(house: House) -> None:
    fill(house)
    verification = Verification(str(house.base), Disk(), lambda: NOW, read=True)
    assert list(verification.faults()) == []
    assert verification.counts() == {"databases": 2, "queued": 2, "accounts": 1, "messages": 1}


def cut_body(house: House) -> None:
    (house.base / "queue/bodies/LARGE").write_bytes(b"la")


def lose_body(house: House) -> None:
    (house.base / "queue/bodies/LARGE").unlink()


def lose_content(house: House) -> None:
    house.alter(lambda c: c.execute("DELETE FROM body"))


def short_content(house: House) -> None:
    house.alter(lambda c: c.execute("UPDATE body SET content = x'00'"))


def no_recipients(house: House) -> None:
    house.alter(lambda c: c.execute("DELETE FROM recipient WHERE queue_id = 'SMALL'"))


def no_message(house: House) -> None:
    house.alter(lambda c: c.execute("DELETE FROM message WHERE queue_id = 'LARGE'"))


def stray_content(house: House) -> None:
    house.alter(lambda c: c.execute("INSERT INTO body VALUES ('X', x'00')"))


def back_again(house: House) -> None:
    house.alter(lambda c: c.execute("UPDATE recipient SET state = 4 WHERE queue_id = 'LARGE'"))


def newer(house: House) -> None:
    connection = sqlite3.connect(house.base / "directory.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()


def cut_message(house: House) -> None:
    house.deliver().write_bytes(b"Sub")


def cut_restore(house: House) -> None:
    (house.base / RESTORING).mkdir()


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        (cut_body, "queue", "has 2 octets, not 5"),
        (lose_body, "queue", "is lost"),
        (lose_content, "queue", "is lost"),
        (short_content, "queue", "has 1 octets"),
        (no_recipients, "queue", "without recipients"),
        (no_message, "queue", "without a message"),
        (stray_content, "queue", "without a message"),
        (back_again, "queue", "set aside as corrupt"),
        (newer, "database", "schema 99"),
        (cut_message, "cut-off", "3 octets, not 14"),
        (cut_restore, "restore", "cut off"),
    ],
)
def test_what_is_wrong_is_named(
    house: House, harm: Callable[[House], None], kind: str, words: str
) -> None:
    fill(house)
    harm(house)
    ((found, text),) = told(house)
    assert found == kind
    assert words in text


def test_what_is_to_be_migrated_is_told_and_done(house: House) -> None:
    path = house.base / "directory.db"
    path.unlink()
    connection = sqlite3.connect(path)
    connection.executescript(layout.DIRECTORY[0] + ";PRAGMA user_version=1")
    connection.close()
    steps = {step.path: step for step in plan(str(house.base), Disk())}
    step = steps["directory.db"]
    assert (step.has, step.action) == (1, "migrate")
    assert steps["queue/spool.db"].action == "nothing"
    migrate(str(house.base), Disk(), step)
    steps = {step.path: step for step in plan(str(house.base), Disk())}
    assert steps["directory.db"].action == "nothing"
    assert (house.base / "directory.db.v1.bak").exists()


def test_the_base_says_who_served_it_last(house: House) -> None:
    assert noted_version(str(house.base), Disk()) == ""
    note_version(str(house.base), Disk())
    note_version(str(house.base), Disk())
    assert noted_version(str(house.base), Disk()) == __version__
    said = json.loads((house.base / "version").read_text())
    assert said["schemas"]["queue/spool.db"] == len(layout.QUEUE)


def test_a_damaged_index_is_no_reason_not_to_migrate_the_rest(house: House) -> None:
    house.deliver()
    (house.base / "mail/a.test/ann/index.db").write_bytes(b"junk" * 2000)
    steps = {step.path: step.action for step in plan(str(house.base), house.disk)}
    assert steps["mail/a.test/ann/index.db"] == "migrate"
    assert steps["directory.db"] == "nothing"
