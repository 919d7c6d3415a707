"""A client that takes one message after the other: the next ones are there before it asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogEvent, globalLogPublisher

from mailframe.errors import MessageGone, TransientFailure
from mailframe.mailbox import ahead
from mailframe.mailbox.ahead import Budget, ReadingAhead
from mailframe.mailbox.mailbox import MaildirMailbox
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import OVERLOADED, InlineWorkers
from tests.unit.mailbox.house import FailingDisk, House, done, fetch

COUNT = 20


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path, FailingDisk())
    for number in range(COUNT):
        house.clock.advance(1)
        house.deliver(content(number), f"Q{number}/ann@example.org")
    return house


def content(number: int) -> bytes:
    return b"Subject: %02d\r\n\r\n.dots\r\n" % number


ONE = len(content(0))


def locked(house: House) -> tuple[MaildirMailbox, list[str]]:
    mailbox = house.inbox()
    done(mailbox.lock())
    return mailbox, [info.uid for info in done(mailbox.messages())]


def take(mailbox: MaildirMailbox, uid: str) -> bytes:
    """As the POP3 server does."""
    ready = mailbox.at_hand(uid)
    return ready if ready is not None else fetch(mailbox, uid)


def at_hand(mailbox: MaildirMailbox) -> int:
    """Octets."""
    return sum(map(len, mailbox._ahead._at_hand.values()))


def reads(house: House) -> int:
    assert isinstance(house.disk, FailingDisk)
    return sum(call in ("open", "read") for call in house.disk.calls)


def file_of(house: House, number: int) -> Path:
    text = b"Subject: %02d\n" % number
    [path] = [each for each in house.maildir.glob("new/*") if text in each.read_bytes()]
    return path


def test_one_after_the_other(house: House) -> None:
    mailbox, uids = locked(house)
    assert mailbox.at_hand(uids[0]) is None
    assert [fetch(mailbox, uid, step=5) for uid in uids[:2]] == [content(0), content(1)]
    before = reads(house)
    assert [mailbox.at_hand(uid) for uid in uids[2:]] == [content(n) for n in range(2, COUNT)]
    assert reads(house) == before
    assert [take(mailbox, uid) for uid in uids] == [content(n) for n in range(COUNT)], "once more"


def test_from_the_middle_on(house: House) -> None:
    mailbox, uids = locked(house)
    take(mailbox, uids[9])
    before = reads(house)
    take(mailbox, uids[10])
    assert reads(house) == before + 10, "itself, and what is behind it"
    assert mailbox.at_hand(uids[11]) == content(11)
    assert mailbox.at_hand(uids[11]) is None, "once"
    assert take(mailbox, uids[11]) == content(11)


def test_who_jumps_about_gets_what_he_asks_for_and_no_more(house: House) -> None:
    mailbox, uids = locked(house)
    for number in (5, 3, 17, 1, 9, 11, 13, 2, 0, 4, 6, 8, 7):
        before = reads(house)
        assert take(mailbox, uids[number]) == content(number)
        assert reads(house) == before + 1


def test_without_the_lock_nobody_would_give_it_back(house: House) -> None:
    mailbox, uids = locked(house)
    done(mailbox.unlock())
    for number in range(COUNT):
        before = reads(house)
        assert take(mailbox, uids[number]) == content(number)
        assert reads(house) == before + 1


def test_the_longer_the_more_up_to_so_much(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, uids = locked(house)
    monkeypatch.setattr(ahead, "_LEAST", 1 * ONE)
    monkeypatch.setattr(ahead, "_MOST", 5 * ONE)
    most = []
    for number in range(COUNT):
        assert take(mailbox, uids[number]) == content(number)
        most.append(at_hand(mailbox) // ONE)
    assert most[:11] == [0, 2, 5, 4, 3, 7, 6, 5, 4, 3, 7], "came by 1, 2, 4, 5 and 5"
    assert max(most) == 7
    take(mailbox, uids[5])
    assert at_hand(mailbox) == 0
    take(mailbox, uids[6])
    assert at_hand(mailbox) == 2 * ONE, "from the beginning"


def test_so_many_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, uids = locked(house)
    monkeypatch.setattr(ahead, "_MESSAGES", 3)
    for number in range(COUNT):
        assert take(mailbox, uids[number]) == content(number)
        assert at_hand(mailbox) <= 4 * ONE


def test_a_large_one_is_not_read_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 100 + b"\r\n"
    house.deliver(large, "large/ann@example.org")
    house.clock.advance(1)
    house.deliver(content(90), "Q90/ann@example.org")
    house.deliver(content(91), "Q91/ann@example.org")
    monkeypatch.setattr(ahead, "_LARGE", 100)
    mailbox, uids = locked(house)
    expected = [*map(content, range(COUNT)), large, content(90), content(91)]
    assert [take(mailbox, uid) for uid in uids[: COUNT + 1]] == expected[: COUNT + 1]
    assert at_hand(mailbox) == 0
    assert [take(mailbox, uid) for uid in uids[COUNT + 1 :]] == expected[COUNT + 1 :]


def test_another_size_than_the_name_says_is_not_told(house: House) -> None:
    mailbox, uids = locked(house)
    file_of(house, 4).write_bytes(b"Subject: 04\n\nsomebody changed it\n")
    for number in range(4):
        assert take(mailbox, uids[number]) == content(number)
    assert mailbox.at_hand(uids[4]) is None
    source = done(mailbox.open(uids[4]))
    assert source.size == len(b"Subject: 04\r\n\r\nsomebody changed it\r\n")
    source.close()
    assert take(mailbox, uids[5]) == content(5)


def test_the_same_size_and_other_lines(house: House) -> None:
    """Its name is wrong about the wire: what is there is what counts."""
    mailbox, uids = locked(house)
    path = file_of(house, 2)
    path.write_bytes(path.read_bytes().replace(b"\n", b"-"))
    assert [take(mailbox, uids[number]) for number in (0, 1)] == [content(0), content(1)]
    assert mailbox.at_hand(uids[2]) is None


def test_a_name_that_says_more_than_there_can_be(house: House) -> None:
    """Room for so many octets is not even asked for."""
    path = file_of(house, 2)
    path.rename(path.with_name(re.sub(",S=[0-9]+", ",S=999999999999999", path.name)))
    mailbox, uids = locked(house)
    assert [take(mailbox, uids[number]) for number in (0, 1)] == [content(0), content(1)]
    assert list(ahead.read_some(house.disk, mailbox._listing.entries, 1, 1 << 20)) == uids[1:2]
    assert [take(mailbox, uid) for uid in uids[2:]] == [content(n) for n in range(2, COUNT)]


def test_what_was_removed_is_gone(house: House) -> None:
    mailbox, uids = locked(house)
    for uid in uids[:3]:
        take(mailbox, uid)
    assert done(mailbox.remove(uids[3:5])) == frozenset()
    assert mailbox.at_hand(uids[3]) is None
    with pytest.raises(MessageGone):
        fetch(mailbox, uids[3])
    assert take(mailbox, uids[5]) == content(5)
    assert take(mailbox, uids[6]) == content(6)
    assert at_hand(mailbox)
    done(mailbox.messages())
    assert at_hand(mailbox) == 0


def test_what_cannot_be_read_ahead_fails_for_who_asks_for_it(house: House) -> None:
    mailbox, uids = locked(house)
    take(mailbox, uids[0])
    assert isinstance(house.disk, FailingDisk)
    calls = len(house.disk.calls)
    house.disk.failing = range(calls + 1, calls + 5)
    assert take(mailbox, uids[1]) == content(1)
    assert at_hand(mailbox) == 0, "the first to be read ahead failed, and once more"
    with pytest.raises(MessageGone):
        take(mailbox, uids[2])
    assert take(mailbox, uids[3]) == content(3)


def test_one_that_moved_is_found(house: House) -> None:
    mailbox, uids = locked(house)
    path = file_of(house, 2)
    (house.maildir / "cur").mkdir(exist_ok=True)
    path.rename(house.maildir / "cur" / f"{path.name}:2,S")
    assert [take(mailbox, uid) for uid in uids] == [content(n) for n in range(COUNT)]


# What all mailboxes together may hold


def test_the_budget_is_given_back(house: House) -> None:
    budget = house.store._around.ahead
    whole = budget.left
    mailbox, uids = locked(house)
    for uid in uids[:4]:
        take(mailbox, uid)
    assert budget.left <= whole - at_hand(mailbox) < whole
    done(mailbox.unlock())
    assert budget.left == whole
    assert at_hand(mailbox) == 0


def test_the_budget_is_whole_when_all_is_taken(house: House) -> None:
    budget = house.store._around.ahead
    whole = budget.left
    mailbox, uids = locked(house)
    for uid in uids:
        take(mailbox, uid)
    assert budget.left == whole


def test_more_than_is_left_is_not_taken() -> None:
    budget = Budget(100)
    assert [budget.take(70), budget.take(70), budget.take(70)] == [70, 30, 0]
    budget.give_back(70)
    assert budget.left == 70


def test_without_any_left_messages_come_one_by_one(house: House) -> None:
    budget = house.store._around.ahead
    budget.take(budget.left)
    mailbox, uids = locked(house)
    for number in range(COUNT):
        before = reads(house)
        assert take(mailbox, uids[number]) == content(number)
        assert reads(house) == before + 1
    done(mailbox.unlock())
    assert budget.left == 0


# Answers that come late


class LateWorkers(InlineWorkers):
    """Does all at once, and tells of it later."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.full = False

    def run(self, function: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        if self.full:
            return fail(TransientFailure(OVERLOADED, "full"))
        result: Deferred[Any] = Deferred()
        value = function(*args, **kwargs)
        self.waiting.append(lambda: result.callback(value))
        return result


class Late:
    """Reads a house's inbox with such workers."""

    def __init__(self, house: House) -> None:
        self.disk, self.workers, self.budget = Disk(), LateWorkers(), Budget()
        self.listing = Maildir(str(house.maildir), self.disk).entries(WireSizes())
        self.reading = ReadingAhead(self.disk, self.workers, self.budget)
        assert done(self.read(0)) is None

    def read(self, place: int) -> Deferred[bytes | None]:
        return as_deferred(self.reading.read(self.listing, place))

    def take(self, place: int) -> bytes | None:
        return self.reading.take(self.listing[place].uid)


def test_forgotten_while_it_was_read(house: House) -> None:
    late = Late(house)
    whole = late.budget.left
    coming = late.read(1)
    late.reading.forget()
    late.workers.waiting.pop()()
    assert done(coming) is None, "then it is opened"
    assert late.take(2) is None
    assert late.budget.left == whole


def test_the_next_ones_are_read_while_these_are_taken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_LEAST", 4 * ONE)
    monkeypatch.setattr(ahead, "_MOST", 4 * ONE)
    late = Late(house)
    whole = late.budget.left
    coming = late.read(1)
    late.workers.waiting.pop()()
    assert done(coming) == content(1)
    assert not late.workers.waiting
    assert late.take(2) == content(2)
    assert late.workers.waiting, "half of them are left"
    assert [late.take(n) for n in (3, 4, 5)] == [content(3), content(4), None]
    coming = late.read(5)
    assert len(late.workers.waiting) == 1, "it waits for what is coming"
    late.workers.waiting.pop()()
    assert done(coming) == content(5)
    late.reading.forget()
    assert late.budget.left == whole


def test_who_goes_elsewhere_meanwhile_is_followed(house: House) -> None:
    late = Late(house)
    whole = late.budget.left
    late.read(1)
    assert done(late.read(9)) is None
    coming = late.read(10)
    old, new = late.workers.waiting
    old()
    assert late.take(2) is None
    new()
    assert done(coming) == content(10)
    assert late.take(11) == content(11)
    late.reading.forget()
    assert late.budget.left == whole


def test_busy_workers_are_for_who_asks(house: House, request: pytest.FixtureRequest) -> None:
    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)
    request.addfinalizer(lambda: globalLogPublisher.removeObserver(logged.append))
    late = Late(house)
    whole = late.budget.left
    late.workers.full = True
    assert done(late.read(1)) is None
    assert logged == [], "no error of ours"
    assert late.budget.left == whole
    late.workers.full = False
    coming = late.read(2)
    late.workers.waiting.pop()()
    assert done(coming) == content(2), "it goes on from there"
