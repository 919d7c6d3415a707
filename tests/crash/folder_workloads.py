"""Workloads of IMAP: what a session does to folders and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mailframe.core.folders import (
    ANSWERED,
    DELETED,
    FLAGGED,
    INBOX,
    SEEN,
    FlagChange,
    FlagMode,
    NewMessage,
)
from mailframe.testing.crash import Ledger, Subject
from mailframe.testing.disk import SimDisk
from tests.crash import ground
from tests.crash.folder_promises import Done, Step, Tree, broken_folder_promises, tree_of
from tests.crash.letters import Letter, recognize
from tests.crash.rooms import ANN, BOB, Rooms, now
from tests.crash.seeing import FolderSeen, View, folders_after_start

LARGE = 300_000


class Session:
    """One user's. Each method is one command: begun, done, and what is seen then is told."""

    def __init__(self, rooms: Rooms, ledger: Ledger, account: str) -> None:
        self.rooms = rooms
        self.account = account
        self.folders = rooms.folders(account)
        self._ledger = ledger
        self._number = 0
        self.tree = self._look()
        self._told()

    def append(self, folder: str, *letters: Letter, flags: Iterable[str] = ()) -> None:
        self._begun("append", folder, letters=tuple(letter.name for letter in letters))
        appending = now(self.folders.folder(folder)).receive()
        for letter in letters:
            content = letter.content
            now(appending.begin(NewMessage(frozenset(flags), None), len(content)))
            for start in range(0, len(content), 65_536):
                now(appending.write(content[start : start + 65_536]))
        now(appending.commit())
        self._done()

    def deliver(self, letter: Letter) -> None:
        """Mail comes in."""
        self._begun("append", INBOX, letters=(letter.name,))
        self.rooms.accept(letter, self.account, sender=None)
        self.rooms.start()
        self.rooms.run()
        self._done()

    def select(self, folder: str) -> None:
        """What lies in new/ goes to cur/."""
        now(now(self.folders.folder(folder)).claim_recent())

    def store(self, folder: str, uids: Iterable[int], *flags: str) -> None:
        asked = tuple(uids)
        self._begun("store", folder, uids=asked, flags=frozenset(flags))
        change = FlagChange(FlagMode.REPLACE, frozenset(flags))
        now(now(self.folders.folder(folder)).store(asked, change, None))
        self._done()

    def expunge(self, folder: str, *uids: int) -> None:
        self._begun("expunge", folder, uids=uids)
        now(now(self.folders.folder(folder)).expunge(uids))
        self._done()

    def copy(self, folder: str, uids: Iterable[int], target: str) -> None:
        asked = tuple(uids)
        self._begun("copy", folder, target, uids=asked)
        now(now(self.folders.folder(folder)).copy(asked, now(self.folders.folder(target))))
        self._done()

    def move(self, folder: str, uids: Iterable[int], target: str) -> None:
        asked = tuple(uids)
        self._begun("move", folder, target, uids=asked)
        now(now(self.folders.folder(folder)).move(asked, now(self.folders.folder(target))))
        self._done()

    def create(self, name: str) -> None:
        self._begun("create", name)
        now(self.folders.create(name))
        self._done()

    def delete(self, name: str) -> None:
        self._begun("delete", name)
        now(self.folders.delete(name))
        self._done()

    def rename(self, old: str, new: str) -> None:
        self._begun("rename", old, new)
        now(self.folders.rename(old, new))
        self._done()

    def subscribe(self, name: str, subscribed: bool) -> None:
        self._begun("subscribe", name)
        now(self.folders.subscribe(name, subscribed))
        self._done()

    def uids(self, folder: str) -> list[int]:
        return list(self.tree.named()[folder].messages)

    def _begun(
        self,
        kind: str,
        folder: str,
        target: str = "",
        *,
        uids: tuple[int, ...] = (),
        letters: tuple[str, ...] = (),
        flags: frozenset[str] = frozenset(),
    ) -> None:
        self._number += 1
        self._ledger.begun(
            Step(self._number, self.account, kind, self.tree, folder, target, uids, letters, flags)
        )

    def _done(self) -> None:
        self.tree = self._look()
        self._told()

    def _told(self) -> None:
        self._ledger.told(Done(self._number, self.account, self.tree))

    def _look(self) -> Tree:
        """What the client knows now: SELECT, FETCH and LIST of everything."""
        seen: dict[str, FolderSeen] = {}
        subscribed = set()
        for info in now(self.folders.all()):
            if info.subscribed:
                subscribed.add(info.name)
            if not info.exists:
                continue
            folder = now(self.folders.folder(info.name))
            now(folder.refresh())
            contents = now(folder.contents(list(folder.messages)))
            messages = {
                uid: (recognize(contents[uid]), frozenset(state.flags))
                for uid, state in folder.messages.items()
            }
            seen[info.name] = FolderSeen(folder.uid_validity, folder.uid_next, messages)
        return tree_of(seen, frozenset(subscribed))


def _subject(
    name: str,
    what: Callable[[Session], None],
    before: Callable[[], SimDisk] = ground.with_mail,
    accounts: tuple[str, ...] = (ANN,),
) -> Subject[View]:
    def work(disk: SimDisk, ledger: Ledger) -> None:
        rooms = Rooms(disk)
        what(Session(rooms, ledger, accounts[0]))
        rooms.close()

    recover = partial(folders_after_start, accounts=accounts)
    return Subject(name, before, work, recover, broken_folder_promises)


def _append(session: Session) -> None:
    session.append(INBOX, Letter("appended"), flags=[SEEN])
    session.append("Work", Letter("large", LARGE), flags=["$Forwarded"])


def _append_several(session: Session) -> None:
    session.append(INBOX, Letter("first"), Letter("second"), Letter("third"), flags=[FLAGGED])


def _store(session: Session) -> None:
    uids = session.uids(INBOX)
    session.store(INBOX, uids[:1], SEEN)
    session.store(INBOX, uids[:2], SEEN, ANSWERED, "$Junk")
    session.store(INBOX, uids, "NonJunk")


def _copy(session: Session) -> None:
    uids = session.uids(INBOX)
    session.copy(INBOX, uids[:1], "Work")
    session.copy(INBOX, uids[1:4], "Work")


def _move(session: Session) -> None:
    uids = session.uids(INBOX)
    session.move(INBOX, uids[:1], "Junk")
    session.move(INBOX, uids[1:3], "Work")
    session.move("Work", session.uids("Work")[:1], INBOX)


def _expunge(session: Session) -> None:
    uids = session.uids(INBOX)
    session.store(INBOX, uids[:2], DELETED)
    session.expunge(INBOX, *uids[:2])
    session.append(INBOX, Letter("after"))


def _seen_and_gone(session: Session) -> None:
    """Out of new/: one is marked and expunged, one is moved."""
    session.deliver(Letter("arrived"))
    session.deliver(Letter("another"))
    session.select(INBOX)
    first, second = session.uids(INBOX)[-2:]
    session.move(INBOX, [second], "Work")
    session.store(INBOX, [first], SEEN)
    session.expunge(INBOX, first)


def _rename(session: Session) -> None:
    session.append("Work", Letter("kept"))
    session.append("Work/Old", Letter("deep"))
    session.rename("Work", "Play")
    session.append("Play", Letter("later"))


def _create_and_delete(session: Session) -> None:
    session.create("Fresh")
    session.append("Fresh", Letter("fresh"))
    session.delete("Fresh")
    session.create("Fresh")
    session.append("Fresh", Letter("freshagain"))


def _subscribe(session: Session) -> None:
    session.subscribe("Work", True)
    session.subscribe("Junk", True)
    session.subscribe("Work", False)


def _first_opening(session: Session) -> None:
    """The account's index is made."""
    session.append(INBOX, Letter("thefirst"))


FOLDER_SUBJECTS = [
    _subject("IMAP APPEND", _append),
    _subject("IMAP APPEND of several", _append_several),
    _subject("IMAP STORE", _store),
    _subject("IMAP COPY", _copy),
    _subject("IMAP MOVE", _move),
    _subject("IMAP EXPUNGE", _expunge),
    _subject("IMAP from new to expunged", _seen_and_gone),
    _subject("IMAP RENAME", _rename),
    _subject("IMAP CREATE and DELETE", _create_and_delete),
    _subject("IMAP SUBSCRIBE", _subscribe),
    _subject("IMAP first opening", _first_opening, ground.with_a_queue, (BOB,)),
]
