"""Events of mailboxes between workers: where somebody listens, once, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.core.events import (
    MailboxEvent,
    MessageArrived,
    MessagesCopied,
    MessagesMoved,
    MessagesRemoved,
)
from mailframe.mailbox.events import MailboxEvents, event_of, note_of
from tests.unit.app.workers.switchboard import Switchboard

ANN = "ann@example.org"
ARRIVED = MessageArrived(ANN, "", "1", "7KQ2M4XD", 1000)
JUNK: frozenset[str] = frozenset({"\\Junk"})
EVENTS: list[MailboxEvent] = [
    ARRIVED,
    MessagesRemoved(ANN, "Trash", ("1", "2")),
    MessagesMoved(ANN, "INBOX", "Junk", (3, 4), frozenset(), JUNK),
    MessagesCopied(ANN, "Junk", "", (5,), JUNK, frozenset({"\\Archive", "\\All"})),
]


class House:
    """Of three workers, each with events of its own."""

    def __init__(self) -> None:
        self.board = Switchboard()
        self.peers = {name: self.board.worker(name) for name in ("w1", "w2", "w3")}
        self.events = {name: MailboxEvents(peers) for name, peers in self.peers.items()}
        for name in self.peers:
            self.board.joins(name)
        self.told: list[Any] = []
        self.peers["w3"].hear("mailbox event", lambda note, worker: self.told.append(note))

    def listen(self, name: str, account: str = ANN, *, here: bool = False) -> list[MailboxEvent]:
        heard: list[MailboxEvent] = []
        self.events[name].subscribe(heard.append, account, here=here)
        self.board.run()
        return heard

    def publish(self, name: str, event: MailboxEvent = ARRIVED) -> None:
        self.events[name].publish(event)
        self.board.run()


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_what_it_was(event: MailboxEvent) -> None:
    assert event_of(note_of(event)) == event


@pytest.mark.parametrize("event", EVENTS)
def test_who_listens_hears_once_wherever_it_happened(house: House, event: MailboxEvent) -> None:
    heard = [house.listen(name) for name in ("w1", "w2")]
    for name in ("w1", "w2", "w3"):
        house.publish(name, event)
    assert heard == [[event] * 3] * 2


def test_what_nobody_else_listens_to_is_not_told(house: House) -> None:
    heard = house.listen("w1")
    house.listen("w2", "bob@example.org")
    house.publish("w1")
    assert heard == [ARRIVED]
    assert house.told == []


def test_who_listens_to_all_hears_all(house: House) -> None:
    heard = house.listen("w1", "")
    house.publish("w2")
    assert heard == [ARRIVED]


def test_work_that_is_to_be_done_once_is_done_where_it_happened(house: House) -> None:
    here, there = house.listen("w1", "", here=True), house.listen("w2", "", here=True)
    house.publish("w1")
    assert (here, there) == ([ARRIVED], [])
    assert house.told == []


def test_nothing_is_told_any_more_when_the_last_has_gone(house: House) -> None:
    heard: list[MailboxEvent] = []
    first = house.events["w1"].subscribe(heard.append, ANN)
    second = house.events["w1"].subscribe(heard.append, ANN)
    house.board.run()
    first()
    first()
    house.board.run()
    house.publish("w2")
    second()
    house.board.run()
    house.publish("w2")
    assert heard == [ARRIVED]
    assert len(house.told) == 1


def test_nothing_is_told_to_the_dead(house: House) -> None:
    house.listen("w1")
    house.board.dies("w1")
    house.publish("w2")
    assert house.told == []


def test_a_newcomer_knows_who_listens(house: House) -> None:
    heard = house.listen("w1")
    newcomer = house.board.worker("w4")
    events = MailboxEvents(newcomer)
    house.board.joins("w4")
    events.publish(ARRIVED)
    house.board.run()
    assert heard == [ARRIVED]
