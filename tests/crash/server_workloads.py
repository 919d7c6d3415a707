"""Workloads of the whole server by its own doors: SMTP, submission, POP3, IMAP.

The 250 is what a client hears. After each power cut the server is started again; people log in,
list and fetch, and a further message must go through.
"""

from __future__ import annotations

from collections.abc import Callable

from mailframe.testing.crash import Ledger, Subject
from mailframe.testing.disk import SimDisk
from mailframe.testing.network.network import EPOCH
from tests.crash.letters import Letter, Sight
from tests.crash.mail_promises import Accepted, Removed, broken_mail_promises
from tests.crash.rooms import ACCOUNTS, ANN, BASE, BOB, CID
from tests.crash.seeing import View, mail_and_queue
from tests.crash.whole_server import (
    TEAM,
    House,
    Imap,
    fetch_and_remove,
    send,
    started_once,
)

FAR, FARTHER = "xia@far.example", "yan@far.example"
REFUSING, LATER = "no@far.example", "later@far.example"
_ANSWERS = {REFUSING: "550 5.1.1 nobody", LATER: "451 4.7.1 come back"}
_FURTHER = Letter("further")


def answer(address: str) -> str:
    return _ANSWERS.get(address, "250 2.1.5 ok")


class Work:
    def __init__(self, disk: SimDisk, ledger: Ledger) -> None:
        self.ledger = ledger
        self.house = House(disk, lambda taken: ledger.begun(taken), answer)

    def send(self, letter: Letter, *addresses: str, sender: str = "zoe@sender.example") -> None:
        final = [ANN if a == TEAM else a for a in addresses] + [BOB] * (TEAM in addresses)
        refused = tuple(a for a in addresses if a == REFUSING)
        fact = Accepted(letter, tuple(final), refused, sender)
        self.ledger.begun(fact)
        send(self.house, letter, *addresses, sender=sender)
        self.ledger.told(fact)

    def fetch(self, account: str) -> None:
        facts: list[Removed] = []

        def begin(names: list[str]) -> None:
            facts.extend(Removed(name, account) for name in names)
            self.ledger.begun(*facts)

        fetch_and_remove(self.house, account, begin)
        self.ledger.told(*facts)


def after_start(disk: SimDisk, ledger: Ledger) -> View:
    """The server starts and serves; a further message goes through."""
    later = max(200.0, _youngest(disk, BASE) - EPOCH + 1.0)
    house = House(disk, lambda taken: ledger.begun(taken), answer, later=later)
    wrong: list[str] = []
    house.rest()
    mail = []
    for account in ACCOUNTS[:2]:
        session = Imap(house, account)
        for folder in session.folders():
            place = "" if folder == "INBOX" else folder
            mail += [(account, place, Sight(*each)) for each in session.letters(folder)]
    send(house, _FURTHER, CID)
    house.rest()
    names = fetch_and_remove(house, CID, lambda names: None)
    if _FURTHER.name not in names:
        wrong.append(f"a further message did not get through: {names}")
    house.close()
    view = mail_and_queue(disk.killed())
    # The further message is nobody's promise; an interrupted start may have left it.
    kept = tuple(each for each in view.mail if each[0] != CID)
    queued = tuple(each for each in view.queued if each[0] != CID)
    if sorted(kept) != sorted(mail):
        wrong.append(f"IMAP shows {sorted(mail)} of {sorted(kept)}")
    return View(queued=queued, mail=kept, litter=view.litter, wrong=tuple(wrong))


def _youngest(disk: SimDisk, path: str) -> float:
    """When the last of what lies there was changed. A start that was interrupted has left files
    too, and the next one does not take place at the same instant."""
    times = [disk.status(path).st_mtime]
    for entry in disk.scan(path):
        if entry.is_dir(follow_symlinks=False):
            times.append(_youngest(disk, entry.path))
        else:
            times.append(entry.stat(follow_symlinks=False).st_mtime)
    return max(times)


def _subject(name: str, what: Callable[[Work], None]) -> Subject[View]:
    def work(disk: SimDisk, ledger: Ledger) -> None:
        at_work = Work(disk, ledger)
        what(at_work)
        at_work.house.close()

    return Subject(name, started_once, work, after_start, broken_mail_promises)


def _accepted(work: Work) -> None:
    work.send(Letter("mx"), ANN, BOB)
    work.house.rest(1.0)
    work.send(Letter("alias"), TEAM)
    work.send(Letter("body", 90_000), ANN)
    work.house.rest()


def _relayed(work: Work) -> None:
    work.send(Letter("own-out"), FAR, FARTHER, LATER, sender=ANN)
    work.house.rest()


def _bounced(work: Work) -> None:
    work.send(Letter("own-back"), REFUSING, BOB, sender=ANN)
    work.house.rest()


def _fetched(work: Work) -> None:
    work.send(Letter("fetched"), ANN)
    work.house.rest()
    work.fetch(ANN)


def _by_imap(work: Work) -> None:
    """Every message is somewhere once, whatever is done with it, until it is expunged."""
    session = Imap(work.house, ANN)
    session.ask("CREATE Work")
    session.ask("CREATE Spam (USE (\\Junk))")
    for name in ("kept", "moved", "spam"):
        fact = Accepted(Letter(name), (ANN,))
        work.ledger.begun(fact)
        session.ask("APPEND INBOX (\\Seen)", Letter(name).content)
        work.ledger.told(fact)
    session.ask("SELECT INBOX")
    session.ask("UID MOVE 2 Work")
    session.ask("UID MOVE 3 Spam")
    work.house.rest(1.0)
    session.ask("RENAME Work Play")
    session.ask("UID STORE 1 +FLAGS (\\Deleted)")
    gone = Removed("kept", ANN)
    work.ledger.begun(gone)
    session.ask("EXPUNGE")
    work.ledger.told(gone)


SERVER_SUBJECTS = [
    _subject("server: accept, alias, body file", _accepted),
    _subject("server: relay success, 4xx", _relayed),
    _subject("server: bounce", _bounced),
    _subject("server: POP3 deletion", _fetched),
    _subject("server: IMAP session", _by_imap),
]
