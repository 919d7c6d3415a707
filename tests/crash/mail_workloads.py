"""Workloads of the way of a message: accepted, delivered, relayed, bounced, fetched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mailframe.core.reply import Reply
from mailframe.queue import admin
from mailframe.queue.admin import Selection
from mailframe.testing.crash import Ledger, Subject
from mailframe.testing.disk import SimDisk
from tests.crash import ground
from tests.crash.letters import Letter, recognize
from tests.crash.mail_promises import (
    Accepted,
    GivenUp,
    Removed,
    Replayed,
    broken_mail_promises,
)
from tests.crash.rooms import ANN, BASE, BOB, BUSY, CID, EXPIRE, REFUSED, RETRY, SHOP, Rooms, now
from tests.crash.seeing import View, mail_after_start

FAR = "zoe@far.example"
FARTHER = "yan@far.example"
AWAY = "xia@away.example"
LARGE = 20_000


class Work:
    """Rooms at work, with their ledger."""

    def __init__(self, disk: SimDisk, ledger: Ledger, answers: dict[str, Reply]) -> None:
        self.ledger = ledger
        self.disk = disk
        self.rooms = Rooms(disk, heard=lambda taken: ledger.begun(taken))
        self.rooms.far.answers.update(answers)
        self.answers = answers
        self.rooms.start()
        self.rooms.run()

    def accept(self, letter: Letter, *addresses: str, sender: str | None = AWAY) -> None:
        refused = tuple(a for a in addresses if self.answers.get(a) is REFUSED)
        fact = Accepted(letter, addresses, refused, sender)
        self.ledger.begun(fact)
        self.rooms.accept(letter, *addresses, sender=sender)
        self.ledger.told(fact)

    def run(self) -> None:
        self.rooms.run()

    def time_is_over(self, letter: Letter) -> None:
        """The last attempt at a program."""
        fact = GivenUp(letter.name, SHOP)
        self.ledger.begun(fact)
        self.rooms.clock.advance(EXPIRE)
        self.run()
        self.ledger.told(fact)

    def replay(self, letter: Letter) -> None:
        fact = Replayed(letter.name, SHOP)
        self.ledger.begun(fact)
        admin.replay(self.rooms.spool.database, Selection(), self.rooms.clock.seconds())
        self.ledger.told(fact)
        self.rooms.queue.wake()
        self.run()

    def fetch_and_remove(self, account: str, *letters: Letter) -> None:
        """As a POP3 client: DELE for each, then QUIT."""
        mailbox = self.rooms.store.mailbox(account)
        now(mailbox.lock())
        uids = []
        for info in now(mailbox.messages()):
            source = now(mailbox.open(info.uid))
            name = recognize(now(source.read(65_536))).name
            source.close()
            if name in {letter.name for letter in letters}:
                uids.append(info.uid)
        facts = [Removed(letter.name, account) for letter in letters]
        self.ledger.begun(*facts)
        left = now(mailbox.remove(uids))
        now(mailbox.unlock())
        assert not left, left
        self.ledger.told(*facts)

    def close(self) -> None:
        self.rooms.close()


def _subject(
    name: str,
    what: Callable[[Work], None],
    before: Callable[[], SimDisk] = ground.with_a_queue,
    **answers: Reply,
) -> Subject[View]:
    replies = {
        SHOP if who == "shop" else f"{who}@far.example": reply for who, reply in answers.items()
    }

    def work(disk: SimDisk, ledger: Ledger) -> None:
        at_work = Work(disk, ledger, replies)
        what(at_work)
        at_work.close()

    recover = partial(mail_after_start, answers=replies)
    return Subject(name, before, work, recover, broken_mail_promises)


def _one(work: Work) -> None:
    work.accept(Letter("one"), ANN)
    work.run()


def _three(work: Work) -> None:
    work.accept(Letter("three"), ANN, BOB, FAR)
    work.run()


def _several(work: Work) -> None:
    """The next one comes while the one before is delivered."""
    for number in range(3):
        work.accept(Letter(f"several{number}"), ANN, CID)
    work.run()


def _large(work: Work) -> None:
    work.accept(Letter("large", LARGE), ANN, BOB)
    work.run()


def _found_again(work: Work) -> None:
    """Its name cannot be made durable, nor be taken back: the next attempt finds it."""
    faults = work.disk.faults
    faults.fail("sync_directory", "*/Maildir/new")
    faults.fail("unlink", "*/Maildir/new/*")
    work.accept(Letter("found"), ANN)
    work.run()
    assert faults.struck == 2
    work.rooms.clock.advance(RETRY[0])
    work.run()


def _relayed(work: Work) -> None:
    work.accept(Letter("relayed"), FAR, FARTHER)
    work.run()


def _deferred(work: Work) -> None:
    work.accept(Letter("deferred"), FAR, ANN)
    work.run()


def _dead(work: Work) -> None:
    """A program that cannot take it, and a mailbox that can: kept, and nobody is told."""
    letter = Letter("dead")
    work.accept(letter, SHOP, ANN, sender=BOB)
    work.run()
    work.time_is_over(letter)


def _replayed(work: Work) -> None:
    letter = Letter("replayed", LARGE)
    work.rooms.far.answers[SHOP] = BUSY
    work.accept(letter, SHOP, sender=BOB)
    work.run()
    work.time_is_over(letter)
    work.replay(letter)
    work.rooms.far.answers.clear()
    work.replay(letter)
    assert work.rooms.disk.names(f"{BASE}/queue/bodies") == []


def _bounced(work: Work) -> None:
    work.accept(Letter("bounced"), FAR, ANN, sender=BOB)
    work.run()


def _large_bounced(work: Work) -> None:
    work.accept(Letter("large-bounced", LARGE), FAR, sender=BOB)
    work.run()


def _double_bounce(work: Work) -> None:
    """A report that cannot be delivered either: nobody is told (RFC 5321 section 6.1)."""
    work.accept(Letter("report"), FAR, sender=None)
    work.run()


def _fetched(work: Work) -> None:
    letters = [Letter(f"fetched{number}") for number in range(3)]
    for letter in letters:
        work.accept(letter, ANN)
    work.run()
    work.fetch_and_remove(ANN, *letters[:2])


MAIL_SUBJECTS = [
    _subject("first start", _one, ground.empty),
    _subject("one recipient", _one),
    _subject("three recipients", _three),
    _subject("several messages", _several),
    _subject("large message", _large),
    _subject("found again", _found_again),
    _subject("relay success", _relayed),
    _subject("relay 4xx", _deferred, zoe=BUSY),
    _subject("dead letter", _dead, shop=BUSY),
    _subject("dead letter replayed", _replayed),
    _subject("bounce", _bounced, zoe=REFUSED),
    _subject("large bounce", _large_bounced, zoe=REFUSED),
    _subject("bounce of bounce", _double_bounce, zoe=REFUSED),
    _subject("POP3 deletion", _fetched),
]
