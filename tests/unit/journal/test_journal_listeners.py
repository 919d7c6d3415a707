"""Who listens to the journal hears each batch; what goes wrong there is not the journal's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.journal.journal import MIGRATIONS, Journal
from mailframe.metrics.tally import Tally
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    database = Database(str(tmp_path / "journal.db"), MIGRATIONS, None, durable=False)
    database.open()
    return Journal(database, Clock(), 1000.0, log_events=False)


def test_a_listener_hears_what_was_recorded(journal: Journal) -> None:
    heard: list[Any] = []
    journal.listen(lambda events: heard.append(list(events)))
    journal.record("S1", "connect", listener="mx", peer="192.0.2.1")
    journal.record("Q1", "accept", session="S1", size=3)
    assert heard == []
    fired(journal.flush())
    assert heard == [
        [
            (0.0, "S1", "", "connect", "", {"listener": "mx", "peer": "192.0.2.1"}),
            (0.0, "Q1", "S1", "accept", "", {"size": 3}),
        ]
    ]
    fired(journal.flush())
    assert len(heard) == 1


def test_a_listener_that_fails_hinders_nobody(journal: Journal) -> None:
    heard: list[Any] = []

    def fails(events: Any) -> None:
        raise RuntimeError("mine")

    journal.listen(fails)
    journal.listen(heard.extend)
    journal.record("S1", "connect", listener="mx")
    fired(journal.flush())
    assert len(heard) == 1
    assert journal.dropped == 0


def test_the_tally_understands_it(journal: Journal) -> None:
    tally = Tally()
    journal.listen(tally.hear)
    journal.record("S1", "connect", listener="mx")
    fired(journal.flush())
    (connections,) = (f for f in tally.families() if f.name == "mailframe_connections")
    assert connections.series == ((("mx",), (1,)),)
