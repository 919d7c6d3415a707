"""The same work on three stores: accept three messages, of which the first is deleted.

Twisted Mail's Maildir as its SMTP and POP3 servers use it, aiosmtpd's ``Mailbox`` handler over
the standard library's ``mailbox.Maildir``, and this server's spool and Maildir. None of them is
asked for more than it acknowledges: 250 for a message, +OK for QUIT.
"""

from __future__ import annotations

import email
import mailbox
import unittest.mock
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import twisted.mail.maildir
from aiosmtpd.handlers import Mailbox
from twisted.internet.task import Clock
from twisted.mail.maildir import MaildirMailbox, initializeMaildir

from mailframe.testing.crash import Ledger, Moment, Subject
from mailframe.testing.disk import SimDisk
from tests.crash import ground
from tests.crash.comparison.borrowed import on_disk
from tests.crash.letters import Letter, Sight, recognize
from tests.crash.mail_workloads import Work
from tests.crash.rooms import ANN, now
from tests.crash.seeing import mail_after_start

HOME = "/srv/mail"
LETTERS = (Letter("first"), Letter("second", 6_000), Letter("third"))
_TWISTED = (twisted.mail.maildir,)

LOST, PARTIAL, DOUBLE, BACK = "lost", "empty or partial", "twice", "deleted, and back"
Seen = tuple[Sight, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """250 was said."""

    letter: Letter


@dataclass(frozen=True, slots=True)
class Deleted:
    letter: Letter


def check(seen: Seen, moment: Moment) -> Iterator[str]:
    names = [sight.name for sight in seen]
    deleting = {fact.letter for fact in moment.begun if isinstance(fact, Deleted)}
    if any(not sight.is_whole for sight in seen):
        yield PARTIAL
    for fact in moment.told:
        count = names.count(fact.letter.name)
        if isinstance(fact, Kept) and not count and fact.letter not in deleting:
            yield LOST
        if isinstance(fact, Deleted) and count:
            yield BACK
    if any(names.count(letter.name) > 1 for letter in LETTERS):
        yield DOUBLE


def _work(
    ledger: Ledger, accept: Callable[[Letter], None], delete: Callable[[Letter], None]
) -> None:
    for letter in LETTERS[:2]:
        ledger.begun(Kept(letter))
        accept(letter)
        ledger.told(Kept(letter))
    ledger.begun(Deleted(LETTERS[0]))
    delete(LETTERS[0])
    ledger.told(Deleted(LETTERS[0]))
    ledger.begun(Kept(LETTERS[2]))
    accept(LETTERS[2])
    ledger.told(Kept(LETTERS[2]))


# ---- Twisted Mail


def _before_twisted() -> SimDisk:
    disk = SimDisk()
    disk.make_directories("/srv")
    with on_disk(disk, *_TWISTED):
        initializeMaildir(HOME)
    return ground.settle(disk)


def _work_twisted(disk: SimDisk, ledger: Ledger) -> None:
    with (
        on_disk(disk, *_TWISTED) as borrowed,
        unittest.mock.patch.multiple(
            MaildirMailbox.AppendFactory,
            osopen=staticmethod(borrowed.open),
            oswrite=staticmethod(borrowed.write),
            osclose=staticmethod(borrowed.close),
            osrename=staticmethod(borrowed.rename),
        ),
        unittest.mock.patch.object(twisted.mail.maildir, "reactor", Clock()) as clock,
    ):

        def accept(letter: Letter) -> None:
            # ``startMessage`` mixes text and bytes, which Python 3 refuses; this works.
            done = MaildirMailbox(HOME).appendMessage(letter.content.replace(b"\r\n", b"\n"))
            for _ in range(10):
                clock.advance(1)
            now(done)

        def delete(letter: Letter) -> None:
            box = MaildirMailbox(HOME)
            for number, path in enumerate(list(box.list)):
                if recognize(disk.read(path)).name == letter.name:
                    box.deleteMessage(number)
            box.sync()

        _work(ledger, accept, delete)


def _see_twisted(disk: SimDisk, ledger: Ledger) -> Seen:
    with on_disk(disk, *_TWISTED):
        return tuple(recognize(disk.read(path)) for path in MaildirMailbox(HOME).list)


# ---- aiosmtpd


def _before_aiosmtpd() -> SimDisk:
    disk = SimDisk()
    disk.make_directories("/srv")
    with on_disk(disk, mailbox):
        mailbox.Maildir(HOME)
    return ground.settle(disk)


def _work_aiosmtpd(disk: SimDisk, ledger: Ledger) -> None:
    with on_disk(disk, mailbox):
        handler = Mailbox(HOME)

        def accept(letter: Letter) -> None:
            handler.handle_message(email.message_from_bytes(letter.content))

        def delete(letter: Letter) -> None:
            box = mailbox.Maildir(HOME, create=False)
            for key in list(box.keys()):
                if recognize(box.get_bytes(key)).name == letter.name:
                    box.remove(key)
            box.flush()

        _work(ledger, accept, delete)


def _see_aiosmtpd(disk: SimDisk, ledger: Ledger) -> Seen:
    with on_disk(disk, mailbox):
        box = mailbox.Maildir(HOME, create=False)
        return tuple(recognize(box.get_bytes(key)) for key in list(box.keys()))


# ---- this server


def _work_ours(disk: SimDisk, ledger: Ledger) -> None:
    work = Work(disk, Ledger(lambda: 0), {})

    def accept(letter: Letter) -> None:
        work.rooms.accept(letter, ANN, sender=None)
        work.run()

    def delete(letter: Letter) -> None:
        work.fetch_and_remove(ANN, letter)

    _work(ledger, accept, delete)
    work.close()


def _see_ours(disk: SimDisk, ledger: Ledger) -> Seen:
    view = mail_after_start(disk, ledger, {})
    return tuple(sight for _, _, sight in view.mail)


COMPARED: list[Subject[Seen]] = [
    Subject("Twisted Mail, Maildir", _before_twisted, _work_twisted, _see_twisted, check),
    Subject("aiosmtpd, Mailbox", _before_aiosmtpd, _work_aiosmtpd, _see_aiosmtpd, check),
    Subject("mailframe", ground.with_a_queue, _work_ours, _see_ours, check),
]
