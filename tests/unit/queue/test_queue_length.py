"""How long and how old the queue is, counted off its index."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.core.ids import IdSource, earliest_id, time_of
from mailframe.queue.length import QueueLength, queue_length
from mailframe.queue.schema import MIGRATIONS, State
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database

NOW = 1_800_000_000.0
AGES = (60.0, 3600.0)


class Rows:
    def __init__(self, path: Path) -> None:
        self.database = Database(str(path / "spool.db"), MIGRATIONS, None)
        self.database.open()

    def add(self, age: float, state: State = State.DEFERRED, recipients: int = 1) -> None:
        queue_id = IdSource(lambda: NOW - age, 7)()
        query = (
            "INSERT INTO recipient (queue_id, number, lane, state, next_at, token, lease, attempts,"
            " warned, address) VALUES (?, ?, 'lane', ?, 0, 0, 0, 1, 0, 'a@b.test')"
        )
        rows = [(queue_id, number, int(state)) for number in range(recipients)]
        fired(self.database.write(lambda connection: connection.executemany(query, rows)))

    def length(self) -> QueueLength:
        return fired(queue_length(self.database, AGES, NOW))


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(tmp_path)


def test_an_empty_queue(rows: Rows) -> None:
    length = rows.length()
    assert set(length.by_state.values()) == {0}
    assert length.by_age == (0, 0, 0)
    assert length.oldest == 0


def test_recipients_are_counted_by_state_and_age(rows: Rows) -> None:
    rows.add(10, State.FRESH, recipients=3)
    rows.add(59.9)
    rows.add(60.1)
    rows.add(4000, recipients=2)
    rows.add(9000, State.HELD)
    rows.add(9001, State.CORRUPT)
    rows.add(9002, State.DEAD, recipients=2)
    length = rows.length()
    assert length.by_state == {
        "returning": 0,
        "incoming": 3,
        "deferred": 4,
        "hold": 1,
        "corrupt": 1,
        "dead": 2,
    }
    assert length.by_age == (4, 1, 6)
    assert length.oldest == pytest.approx(4000)


def test_a_clock_that_was_set_back(rows: Rows) -> None:
    rows.add(-500)
    length = rows.length()
    assert length.by_age == (1, 0, 0)
    assert length.oldest == 0


def test_an_id_tells_its_time() -> None:
    queue_id = IdSource(lambda: NOW, 1)()
    assert time_of(queue_id) == pytest.approx(NOW)
    assert earliest_id(NOW - 1) <= queue_id < earliest_id(NOW + 1)
    with pytest.raises(ValueError, match="substring not found"):
        time_of("lower-case-is-none")
