"""What workers tell and ask each other, and what newcomers and the dead mean for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from mailframe.app.workers.peers import PeerFailed, Peers
from mailframe.errors import MailframeError
from mailframe.interfaces import IPeers
from mailframe.runtime.aio import fired
from mailframe.runtime.peers import Alone
from tests.unit.app.workers.switchboard import Notes, Switchboard


@pytest.fixture
def board() -> Switchboard:
    return Switchboard()


@pytest.fixture
def failures() -> Any:
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def three(board: Switchboard) -> list[Peers]:
    return [board.joins(name) for name in ("w1", "w2", "w3")]


@pytest.mark.parametrize("peers", [Alone(), Switchboard().joins("w1")])
def test_the_contract(peers: object) -> None:
    assert verifyObject(IPeers, peers)


def test_all_others_hear_what_is_told_in_its_order(board: Switchboard) -> None:
    one, two, three_ = three(board)
    heard = [Notes(peers, "count") for peers in (one, two, three_)]
    one.tell("count", {"a": 1})
    one.tell("count", [2, None, "\n"])
    board.run()
    assert heard == [[], [("w1", {"a": 1}), ("w1", [2, None, "\n"])], heard[1]]


def test_names_are_the_same_for_all(board: Switchboard) -> None:
    assert {peers.names() for peers in three(board)} == {("w1", "w2", "w3")}


def test_a_newcomer_hears_first_what_was_before_and_nothing_twice(board: Switchboard) -> None:
    one = board.joins("w1")
    count = 0

    def add(number: int) -> None:
        nonlocal count
        count += number
        one.tell("count", number)

    one.welcome("count", lambda: [count])
    board.joins("w0")  # so that there is somebody to tell
    add(5)
    two = board.worker("w2")
    heard = Notes(two, "count")
    joined = two.join()
    board.one_line("w2")
    add(7)  # w2 is in, and w1 has not noticed yet
    board.run()
    assert heard == [("w1", 12)]
    add(1)
    board.run()
    assert fired(joined) is None
    assert sum(note for _, note in heard) == count == 13


def test_joining_waits_two_seconds_for_a_welcome(board: Switchboard) -> None:
    board.joins("w1").welcome("count", lambda: [1])
    two = board.worker("w2")
    heard = Notes(two, "count")
    joined: list[None] = []
    two.join().addCallback(joined.append)
    board.silent.add("w1")
    board.run()
    board.clock.advance(1.9)
    assert joined == []
    board.clock.advance(0.2)
    assert joined == [None]
    board.silent.clear()
    board.run()
    assert heard == [("w1", 1)]


def test_joining_does_not_wait_for_the_dead(board: Switchboard) -> None:
    board.joins("w1")
    joined = board.worker("w2").join()
    board.silent.add("w1")
    board.run()
    board.dies("w1")
    assert fired(joined) is None
    assert board.clock.getDelayedCalls() == []


def test_what_is_told_before_joining_is_heard_afterwards(board: Switchboard) -> None:
    heard = Notes(board.joins("w1"), "count")
    two = board.worker("w2")
    two.tell("count", 1)
    board.run()
    assert heard == []
    board.joins("w2")
    assert heard == [("w2", 1)]


def test_the_dead_are_no_peers(board: Switchboard) -> None:
    one, two, _ = three(board)
    lost: list[str] = []
    one.lost(lost.append)
    board.dies("w3")
    assert lost == ["w3"]
    assert one.names() == two.names() == ("w1", "w2")


def test_all_are_asked_and_those_who_answer_are_told(board: Switchboard) -> None:
    one, two, three_ = three(board)
    later: Deferred[int] = Deferred()
    two.answer("metrics", lambda note: note + 1)
    three_.answer("metrics", lambda note: later)
    asked = one.ask("metrics", 1)
    board.run()
    later.callback(9)
    board.run()
    assert fired(asked) == {"w2": 2, "w3": 9}
    assert board.clock.getDelayedCalls() == []


def test_nobody_waits_for_who_says_nothing_or_dies(board: Switchboard) -> None:
    one, two, three_ = three(board)
    two.answer("metrics", lambda note: Deferred())
    three_.answer("metrics", lambda note: Deferred())
    asked = one.ask("metrics", None)
    board.run()
    board.dies("w3")
    board.clock.advance(5.1)
    assert fired(asked) == {}


async def _answer(note: Any) -> int:
    return int(note) * 2


def test_an_answerer_may_be_a_coroutine(board: Switchboard) -> None:
    one, two, _ = three(board)
    two.answer("metrics", _answer)
    asked = one.ask("metrics", 21)
    board.run()
    assert fired(asked) == {"w2": 42}


def _refuses(note: Any) -> None:
    raise MailframeError("not today")


def _is_broken(note: Any) -> None:
    raise ZeroDivisionError


def test_one_who_is_asked_alone_says_why_not(board: Switchboard, failures: list[LogEvent]) -> None:
    one, two, _ = three(board)
    two.answer("reload", _refuses)
    two.answer("status", _is_broken)
    calls = [one.call("w2", topic) for topic in ("reload", "status", "unheard of")]
    board.run()
    reasons = ["not today", "internal error", "nobody answers 'unheard of'"]
    for call, reason in zip(calls, reasons, strict=True):
        with pytest.raises(PeerFailed, match=reason):
            fired(call)
    assert len(failures) == 1


def test_one_bug_is_not_the_others(board: Switchboard, failures: list[LogEvent]) -> None:
    one, two, _ = three(board)
    two.hear("count", lambda note, worker: 1 / 0)
    heard = Notes(two, "count")
    one.tell("count", 1)
    board.run()
    assert heard == [("w1", 1)]
    assert len(failures) == 1


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"[1,2]", b"null", b'["tell","w2"]', b'["unheard of","w2"]', b"\xff\x00"],
)
def test_garbage_is_logged_and_dropped(
    board: Switchboard, failures: list[LogEvent], garbage: bytes
) -> None:
    one, two, _ = three(board)
    heard = Notes(one, "count")
    one.received(garbage)
    assert len(failures) == 1
    two.tell("count", 1)
    board.run()
    assert heard == [("w2", 1)]


def test_alone_nothing_is_sent(board: Switchboard) -> None:
    sent: list[bytes] = []
    alone = Peers("w1", board.clock, lambda to, said: sent.append(said))
    alone.join()
    alone.received(json.dumps(["answer", "supervisor", 1, []]).encode())
    sent.clear()
    alone.tell("count", 1)
    assert fired(alone.ask("metrics", None)) == {}
    assert sent == []
