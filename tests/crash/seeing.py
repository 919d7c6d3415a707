"""What can be seen of a server's state after a start: values that checks hold against promises.

``mail_after_start`` is for the way of messages, ``folders_after_start`` for what IMAP's users
see. Both do with the disk what a start does, and end with a sweep far in the future, so that
what is left of a crash then has been left for good.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mailframe.core.folders import INBOX
from mailframe.core.reply import Reply
from mailframe.mailbox import tree
from mailframe.mailbox.paths import maildir_of
from mailframe.queue import recovery as queue_rows
from mailframe.queue.records import MESSAGE_COLUMNS, ROW_COLUMNS, message_from, row_from
from mailframe.queue.schema import State
from mailframe.runtime.disk import Disk
from mailframe.testing.crash import Ledger
from mailframe.testing.disk import SimDisk
from tests.crash.letters import Sight, recognize
from tests.crash.rooms import ACCOUNTS, BASE, NOW, Rooms, now, octets_of

LATER = NOW + 1_000.0
YEARS_LATER = NOW + 1e8
_TWO_DAYS = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class FolderSeen:
    """As a session that selects it would see it."""

    uid_validity: int
    uid_next: int
    messages: Mapping[int, tuple[Sight, frozenset[str]]]
    subscribed: bool = False


@dataclass(frozen=True)
class View:
    """``queued`` by address, ``mail`` by account and folder, ``dead`` letters by address and name:
    those of ``queued`` that nobody tries."""

    queued: tuple[tuple[str, Sight], ...] = ()
    dead: frozenset[tuple[str, str]] = frozenset()
    mail: tuple[tuple[str, str, Sight], ...] = ()
    folders: Mapping[str, Mapping[str, FolderSeen]] = field(default_factory=dict)
    subscriptions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    litter: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    """What needs no promise to be wrong."""


def mail_after_start(disk: SimDisk, ledger: Ledger, answers: Mapping[str, Reply]) -> View:
    """The queue recovers and works until nothing is due; then everything is looked at.
    ``answers`` as of ``Far``."""
    rooms = Rooms(disk, LATER, lambda taken: ledger.begun(taken))
    rooms.far.answers.update(answers)
    try:
        rooms.start()
        rooms.run()
        queued, dead = tuple(_queued(rooms)), frozenset(_dead(rooms))
        mail = tuple(_mail(disk))
        wrong = tuple(_disagreements(rooms, mail))
        rooms.clock.advance(_TWO_DAYS)
        rooms.run(2)
        now(rooms.store.sweep())
        rooms.run()
        litter = tuple(_litter(rooms))
    finally:
        rooms.close()
    return View(queued=queued, dead=dead, mail=mail, litter=litter, wrong=wrong)


def mail_and_queue(disk: SimDisk) -> View:
    """What a server that has stopped left in its queue and in the mailboxes."""
    rooms = Rooms(disk, YEARS_LATER)
    try:
        now(rooms.store.sweep())
        return View(
            queued=tuple(_queued(rooms)), mail=tuple(_mail(disk)), litter=tuple(_litter(rooms))
        )
    finally:
        rooms.close()


def _queued(rooms: Rooms) -> Iterator[tuple[str, Sight]]:
    for address, _, sight in _entries(rooms):
        yield address, sight


def _dead(rooms: Rooms) -> Iterator[tuple[str, str]]:
    for address, state, sight in _entries(rooms):
        if state is State.DEAD:
            yield address, sight.name


def _entries(rooms: Rooms) -> Iterator[tuple[str, State, Sight]]:
    def rows(connection: sqlite3.Connection) -> tuple[list[object], dict[str, object]]:
        recipients = connection.execute(f"SELECT {ROW_COLUMNS} FROM recipient").fetchall()
        messages = connection.execute(f"SELECT {MESSAGE_COLUMNS} FROM message").fetchall()
        return recipients, {row[0]: row for row in messages}

    recipients, messages = now(rooms.spool.database.read(rows))
    for columns in recipients:
        row = row_from(columns)
        message = message_from(messages[row.queue_id])
        sight = recognize(now(octets_of(rooms.spool.stored(message, [row.recipient]))))
        if row.state is State.CORRUPT:
            sight = Sight(sight.name, False)
        yield str(row.recipient.address), row.state, sight


def _mail(disk: Disk) -> Iterator[tuple[str, str, Sight]]:
    for account, inbox in tree.inboxes(BASE, disk):
        for folder, maildir in [("", inbox), *inbox.named_folders()]:
            for path, _ in maildir.files():
                yield account, folder, recognize(disk.read(path))


def _disagreements(rooms: Rooms, mail: tuple[tuple[str, str, Sight], ...]) -> Iterator[str]:
    """Between what lies in the Maildirs and what POP3 hands out; quota and their sum."""
    for account in ACCOUNTS:
        if not rooms.disk.is_directory(maildir_of(BASE, account)):
            continue
        mailbox = rooms.store.mailbox(account)
        found = []
        for info in now(mailbox.messages()):
            source = now(mailbox.open(info.uid))
            octets = b""
            while piece := now(source.read(65_536)):
                octets += piece
            source.close()
            if len(octets) != info.size:
                yield f"POP3 says {info.size} octets of {len(octets)}"
            found.append(recognize(octets))
        there = sorted(sight for who, folder, sight in mail if who == account and not folder)
        if sorted(found) != there:
            yield f"POP3 hands out {sorted(found)} of {there}"
        use = now(rooms.store.quotas.use(account))
        octets, messages = tree.usage(tree.Maildir(maildir_of(BASE, account), rooms.disk))
        if use is not None and (use.octets, use.messages) != (octets, messages):
            yield f"the quota counts {use.octets} octets where {octets} are"


def _litter(rooms: Rooms) -> Iterator[str]:
    """Files that nobody will ever use or remove."""
    disk = rooms.disk
    bodies = f"{BASE}/queue/bodies"
    needed = now(rooms.spool.database.read(queue_rows.body_files))
    yield from (f"bodies/{name}" for name in disk.names(bodies) if name not in needed)
    yield from _in_tmp(disk)


def _in_tmp(disk: Disk) -> Iterator[str]:
    for account, inbox in tree.inboxes(BASE, disk):
        for maildir in tree.with_folders(inbox):
            tmp = maildir.subdirectory("tmp")
            if disk.is_directory(tmp):
                yield from (f"{account} {entry.name}" for entry in disk.scan(tmp))


def folders_after_start(disk: SimDisk, ledger: Ledger, accounts: tuple[str, ...]) -> View:
    """Every folder is opened as IMAP opens it, and read."""
    rooms = Rooms(disk, LATER)
    try:
        folders = {account: dict(_folders(rooms, account)) for account in accounts}
        subscriptions = {
            account: frozenset(
                info.name for info in now(rooms.folders(account).all()) if info.subscribed
            )
            for account in accounts
        }
        wrong = tuple(_uids_disagree(rooms, folders))
        rooms.clock.advance(_TWO_DAYS)
        now(rooms.store.sweep())
        litter = tuple(_in_tmp(disk))
    finally:
        rooms.close()
    return View(folders=folders, subscriptions=subscriptions, litter=litter, wrong=wrong)


def _folders(rooms: Rooms, account: str) -> Iterator[tuple[str, FolderSeen]]:
    folders = rooms.folders(account)
    for info in now(folders.all()):
        if not info.exists:
            continue
        folder = now(folders.folder(info.name))
        now(folder.refresh())
        messages = {}
        contents = now(folder.contents(list(folder.messages)))
        for uid, state in folder.messages.items():
            octets = contents.get(uid, b"")
            sight = recognize(octets)
            if len(octets) != state.size:
                sight = Sight(sight.name, False)
            messages[uid] = (sight, frozenset(state.flags))
        yield info.name, FolderSeen(folder.uid_validity, folder.uid_next, messages, info.subscribed)


def _uids_disagree(rooms: Rooms, folders: Mapping[str, Mapping[str, FolderSeen]]) -> Iterator[str]:
    """Between the index and the Maildirs, and between quota and sum."""
    for account, seen in folders.items():
        inbox = tree.Maildir(maildir_of(BASE, account), rooms.disk)
        named = {INBOX: inbox, **dict(inbox.named_folders())}
        for name, maildir in named.items():
            files = len(maildir.files())
            if name in seen and files != len(seen[name].messages):
                yield f"{name} has {files} files and {len(seen[name].messages)} uids"
        use = now(rooms.store.quotas.use(account))
        octets, messages = tree.usage(inbox)
        if use is not None and (use.octets, use.messages) != (octets, messages):
            yield f"the quota counts {use.octets} octets where {octets} are"
