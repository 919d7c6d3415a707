"""A client that takes one message after the other: the next ones are there before it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.errors import MessageGone
from mailframe.mailbox import ahead
from mailframe.mailbox.mailbox import MaildirMailbox
from tests.unit.mailbox.house import FailingDisk, House, done, fetch


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path, FailingDisk())
    for number in range(20):
        house.clock.advance(1)
        house.deliver(content(number), f"Q{number}/ann@example.org")
    return house


def content(number: int) -> bytes:
    return b"Subject: %d\r\n\r\n.dots\r\n" % number


def listed(house: House) -> tuple[MaildirMailbox, list[str]]:
    mailbox = house.inbox()
    return mailbox, [info.uid for info in done(mailbox.messages())]


def reads(house: House) -> int:
    assert isinstance(house.disk, FailingDisk)
    return sum(call in ("open", "read") for call in house.disk.calls)


def test_one_after_the_other(house: House) -> None:
    mailbox, uids = listed(house)
    assert [fetch(mailbox, uid, step=5) for uid in uids[:2]] == [content(0), content(1)]
    before = reads(house)
    assert [fetch(mailbox, uid) for uid in uids[2:]] == [content(n) for n in range(2, 20)]
    assert reads(house) == before
    assert [fetch(mailbox, uid) for uid in uids] == [content(n) for n in range(20)], "once more"


def test_from_the_middle_on(house: House) -> None:
    mailbox, uids = listed(house)
    fetch(mailbox, uids[9])
    before = reads(house)
    fetch(mailbox, uids[10])
    assert reads(house) == before + 10, "itself, and what is behind it"
    assert fetch(mailbox, uids[11]) == content(11)


def test_who_jumps_about_gets_what_he_asks_for_and_no_more(house: House) -> None:
    mailbox, uids = listed(house)
    for number in (5, 3, 17, 1, 9, 11, 13, 2, 0, 4, 5, 6, 7):
        before = reads(house)
        assert fetch(mailbox, uids[number]) == content(number)
        assert reads(house) == before + 1


def test_so_much_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, uids = listed(house)
    monkeypatch.setattr(ahead, "_OCTETS", 3 * len(content(11)))
    fetch(mailbox, uids[0])
    for number in range(1, 20):
        assert fetch(mailbox, uids[number]) == content(number)
        assert len(mailbox._ahead) <= 3


def test_so_many_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, uids = listed(house)
    monkeypatch.setattr(ahead, "_MESSAGES", 3)
    for number in range(20):
        assert fetch(mailbox, uids[number]) == content(number)
        assert len(mailbox._ahead) <= 3


def test_another_size_than_the_name_says_is_not_told(house: House) -> None:
    mailbox, uids = listed(house)
    [path] = [each for each in house.maildir.glob("new/*") if b"Subject: 4\n" in each.read_bytes()]
    path.write_bytes(b"Subject: 4\n\nsomebody changed it\n")
    fetch(mailbox, uids[0])
    for number in (1, 2, 3):
        assert fetch(mailbox, uids[number]) == content(number)
    source = done(mailbox.open(uids[4]))
    assert source.size == len(b"Subject: 4\r\n\r\nsomebody changed it\r\n")
    source.close()
    assert fetch(mailbox, uids[5]) == content(5)


def test_what_was_removed_is_gone(house: House) -> None:
    mailbox, uids = listed(house)
    for uid in uids[:3]:
        fetch(mailbox, uid)
    assert done(mailbox.remove(uids[3:5])) == frozenset()
    with pytest.raises(MessageGone):
        fetch(mailbox, uids[3])
    assert fetch(mailbox, uids[5]) == content(5)
    next(house.maildir.glob("new/*"))
    done(mailbox.messages())
    assert mailbox._ahead == {}


def test_what_cannot_be_read_ahead_fails_for_who_asks_for_it(house: House) -> None:
    mailbox, uids = listed(house)
    fetch(mailbox, uids[0])
    assert isinstance(house.disk, FailingDisk)
    calls = len(house.disk.calls)
    house.disk.failing = range(calls + 2, calls + 3)
    fetch(mailbox, uids[1])
    assert fetch(mailbox, uids[2]) == content(2), "the first to be read ahead"
    assert fetch(mailbox, uids[3]) == content(3)
