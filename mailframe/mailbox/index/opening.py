"""Find a folder's row, or make it: which identity a directory has, in one job.

The directory's ``mailframe-folder`` says MAILBOXID and UIDVALIDITY, the row has the uids.
Both agree: as usual. A row of another name that agrees, and whose directory is gone: the
folder was renamed. A row of another name whose directory is still there: this one is a copy,
a new folder. No row: the index was lost, uids begin again under a greater UIDVALIDITY. No
file: a folder that is new, or an account that moves in with its uids (``uidlist.py``).

The file is written after the commit (``confirm``), while nobody else has the account: a crash
in between leaves a row that the next opening confirms, and no uid has been told to anybody.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mailframe.core.folders import (
    DELETED,
    INBOX,
    SEEN,
    FolderReason,
    FolderStatus,
    MessageState,
)
from mailframe.errors import FolderRefused
from mailframe.mailbox import folder_file
from mailframe.mailbox.folder_file import FolderTruth
from mailframe.mailbox.index import uidlist
from mailframe.mailbox.index.columns import of_type
from mailframe.mailbox.index.flags import flag_set
from mailframe.mailbox.index.place import FolderPlace, forget_contents, is_settled
from mailframe.mailbox.index.syncing import sync
from mailframe.mailbox.paths import folder_directory

_ASIDE = "\x01"  # no folder's name has control characters
_MOST_ASIDE = 50


@dataclass(slots=True)
class Opened:
    """All that a folder's sessions share."""

    truth: FolderTruth
    uid_next: int
    modseq: int
    recent_from: int
    messages: dict[int, MessageState] = field(default_factory=dict)
    unseen: int = 0
    deleted: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    name: str
    mailbox_id: str
    uid_validity: int


def no_such_folder() -> FolderRefused:
    return FolderRefused(FolderReason.NONEXISTENT, "No such folder")


def open_folder(connection: sqlite3.Connection, place: FolderPlace, now: float) -> FolderTruth:
    """The row is there then and says what the directory says; ``confirm`` must follow the
    commit. Raises FolderRefused, OSError."""
    if not place.disk.is_directory(place.maildir.subdirectory("cur")):
        if place.folder != INBOX and not place.disk.is_directory(place.path):
            raise no_such_folder()
        place.maildir.ensure()
    truth, uids = _identify(connection, place, now)
    stamps = connection.execute(
        "SELECT new_stamp, cur_stamp FROM folder WHERE id = ?", (place.id,)
    ).fetchone()
    place.keywords.refresh()
    if all(stamps) and tuple(stamps) == place.look() and is_settled(stamps, now):
        place.stamps, place.is_doubtful = tuple(stamps), False
        place.has_new = _any_new(connection, place.id)
    else:
        sync(connection, place, now, uids, quiet=True)
        connection.execute("DELETE FROM pending WHERE folder = ?", (place.id,))
    return truth


def confirm(place: FolderPlace, truth: FolderTruth) -> None:
    """After the commit, before anything is told. Raises OSError."""
    said = folder_file.read(place.disk, place.path)
    if said is not None and (said.mailbox_id, said.uid_validity) == (
        truth.mailbox_id,
        truth.uid_validity,
    ):
        return
    folder_file.change(
        place.disk, place.home, place.path, place.account, 0,
        lambda old: replace(
            old, mailbox_id=truth.mailbox_id, uid_validity=truth.uid_validity
        ),
    )  # fmt: skip


def _identify(
    connection: sqlite3.Connection, place: FolderPlace, now: float
) -> tuple[FolderTruth, Mapping[str, int]]:
    truth = folder_file.read(place.disk, place.path)
    row = _row(connection, "name", place.folder)
    if truth is not None and row is not None and row.mailbox_id == truth.mailbox_id:
        if row.uid_validity == truth.uid_validity or not truth.uid_validity:
            place.id = row.id
            return replace(truth, uid_validity=row.uid_validity), {}
        if row.uid_validity > truth.uid_validity:  # not confirmed: it died after the commit
            place.id = row.id
            return replace(truth, uid_validity=row.uid_validity), {}
    if row is not None:
        _set_aside(connection, row)
    if truth is not None:
        other = _row(connection, "mailbox_id", truth.mailbox_id)
        if other is not None and _is_still_there(place, other):
            truth = None  # somebody copied that directory: this is another folder
        elif other is not None and other.uid_validity == truth.uid_validity:
            return _renamed(connection, place, truth, other, now), {}
        elif other is not None:
            drop_folder(connection, other.id)
    return _begin(connection, place, truth, now)


def _begin(
    connection: sqlite3.Connection, place: FolderPlace, truth: FolderTruth | None, now: float
) -> tuple[FolderTruth, Mapping[str, int]]:
    """Uids begin, or are brought along by an account that moves in."""
    moved_in = None
    if truth is None or not truth.uid_validity:
        moved_in = uidlist.find(place.disk, place.path)
    if truth is None:
        guid = moved_in.guid if moved_in is not None else ""
        if not guid or _row(connection, "mailbox_id", guid) is not None:
            guid = folder_file.new_mailbox_id(place.disk, place.home, place.account, now)
        truth = FolderTruth(guid)
    if moved_in is not None and _is_free(
        connection, place.folder, moved_in.uid_validity, truth.mailbox_id
    ):
        validity, following, uids = moved_in.uid_validity, moved_in.uid_next, moved_in.uids
        if validity > folder_file.highest_uid_validity(place.disk, place.home):
            folder_file.note_uid_validity(place.disk, place.home, validity)
        # Clients know mod-sequences of the other server: ours must be greater.
        modseq = max(1, int(now))
    else:
        if truth.uid_validity > folder_file.highest_uid_validity(place.disk, place.home):
            folder_file.note_uid_validity(place.disk, place.home, truth.uid_validity)
        validity = folder_file.new_uid_validity(place.disk, place.home, now)
        following, uids, modseq = 1, {}, 1
    (place.id,) = connection.execute(
        "UPDATE life SET last_folder = last_folder + 1 RETURNING last_folder"
    ).fetchone()
    connection.execute(
        """
        INSERT INTO folder (id, name, mailbox_id, uid_validity, uid_next, modseq, recent_from,
                            vanished_from, new_stamp, cur_stamp)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)
        """,
        (place.id, place.folder, truth.mailbox_id, validity, following, modseq,
         following if uids else 1, modseq),
    )  # fmt: skip
    _note_past(connection, place.folder, validity, truth.mailbox_id)
    return replace(truth, uid_validity=validity), uids


def _renamed(
    connection: sqlite3.Connection,
    place: FolderPlace,
    truth: FolderTruth,
    row: _Row,
    now: float,
) -> FolderTruth:
    """Its uids stay, unless the name once had a greater UIDVALIDITY."""
    validity = row.uid_validity
    if not _is_free(connection, place.folder, validity, row.mailbox_id):
        validity = folder_file.new_uid_validity(place.disk, place.home, now)
    connection.execute(
        "UPDATE folder SET name = ?, uid_validity = ?, new_stamp = 0, cur_stamp = 0 WHERE id = ?",
        (place.folder, validity, row.id),
    )
    _note_past(connection, place.folder, validity, row.mailbox_id)
    place.id = row.id
    return replace(truth, uid_validity=validity)


def _is_still_there(place: FolderPlace, row: _Row) -> bool:
    try:
        path = folder_directory(os.path.join(place.home, "Maildir"), row.name)
    except ValueError:
        return False
    truth = folder_file.read(place.disk, path)
    return path != place.path and truth is not None and truth.mailbox_id == row.mailbox_id


def load(connection: sqlite3.Connection, place: FolderPlace, truth: FolderTruth) -> Opened:
    """What sessions see of an opened folder."""
    following, modseq, recent_from = connection.execute(
        "SELECT uid_next, modseq, recent_from FROM folder WHERE id = ?", (place.id,)
    ).fetchone()
    opened = Opened(truth, following, modseq, recent_from)
    messages = opened.messages
    texts: Counter[str] = Counter()
    total = 0
    for uid, text, changed, size, received, saved in connection.execute(
        "SELECT uid, flags, modseq, size, received, saved FROM message "
        "WHERE folder = ? ORDER BY uid",
        (place.id,),
    ):
        of_type(int, changed, size, received, saved)
        texts[text] += 1
        total += size
        messages[uid] = MessageState(uid, flag_set(text), changed, size, received, saved)
    opened.size = total
    for text, number in texts.items():
        flags = flag_set(text)
        place.keywords.note(flags)
        opened.unseen += number if SEEN not in flags else 0
        opened.deleted += number if DELETED in flags else 0
    return opened


def count(connection: sqlite3.Connection, place: FolderPlace, truth: FolderTruth) -> FolderStatus:
    """STATUS of an opened folder that nobody has selected."""
    following, modseq, recent_from = connection.execute(
        "SELECT uid_next, modseq, recent_from FROM folder WHERE id = ?", (place.id,)
    ).fetchone()
    messages = unseen = deleted = size = recent = 0
    for text, number, octets, young in connection.execute(
        "SELECT flags, count(*), sum(size), sum(uid >= ?) FROM message WHERE folder = ? "
        "GROUP BY flags",
        (recent_from, place.id),
    ):
        flags = flag_set(text)
        messages, size, recent = messages + number, size + octets, recent + young
        unseen += number if SEEN not in flags else 0
        deleted += number if DELETED in flags else 0
    return FolderStatus(
        messages, following, truth.uid_validity, unseen, deleted, size, recent, modseq,
        truth.mailbox_id,
    )  # fmt: skip


def _any_new(connection: sqlite3.Connection, folder: int) -> bool:
    return (
        connection.execute(
            "SELECT 1 FROM message WHERE folder = ? AND place LIKE 'new/%' LIMIT 1", (folder,)
        ).fetchone()
        is not None
    )


def is_aside(name: str) -> bool:
    """A row's, whose folder may be somewhere else: another one has its name."""
    return name.startswith(_ASIDE)


def drop_named(connection: sqlite3.Connection, name: str) -> None:
    """Nothing where there is none."""
    if (row := _row(connection, "name", name)) is not None:
        drop_folder(connection, row.id)


def _set_aside(connection: sqlite3.Connection, row: _Row) -> None:
    """Another folder has its name now. It may be somewhere else: two changed places."""
    drop_named(connection, name := _ASIDE + row.mailbox_id)
    connection.execute("UPDATE folder SET name = ? WHERE id = ?", (name, row.id))
    old = connection.execute(
        "SELECT id FROM folder WHERE name >= ? AND name < ? ORDER BY id DESC LIMIT -1 OFFSET ?",
        (_ASIDE, "\x02", _MOST_ASIDE),
    ).fetchall()
    for (folder,) in old:
        drop_folder(connection, folder)


def drop_folder(connection: sqlite3.Connection, folder: int) -> None:
    """Its row and all that hangs on it; what UIDVALIDITY it had is not forgotten."""
    contents = [
        content
        for (content,) in connection.execute(
            "SELECT DISTINCT content FROM message WHERE folder = ? AND content IS NOT NULL",
            (folder,),
        )
    ]
    for table in ("message", "vanished", "pending"):
        connection.execute(f"DELETE FROM {table} WHERE folder = ?", (folder,))
    connection.execute("DELETE FROM folder WHERE id = ?", (folder,))
    forget_contents(connection, contents)


def _row(connection: sqlite3.Connection, column: str, value: str) -> _Row | None:
    found = connection.execute(
        f"SELECT id, name, mailbox_id, uid_validity FROM folder WHERE {column} = ?", (value,)
    ).fetchone()
    return _Row(*found) if found is not None else None


def _is_free(connection: sqlite3.Connection, name: str, uid_validity: int, mailbox_id: str) -> bool:
    """Whether a folder may have the name with this UIDVALIDITY: no other one ever did, nor
    with a greater one."""
    found = connection.execute(
        "SELECT uid_validity, mailbox_id FROM past WHERE name = ?", (name,)
    ).fetchone()
    return found is None or uid_validity > found[0] or found == (uid_validity, mailbox_id)


def _note_past(
    connection: sqlite3.Connection, name: str, uid_validity: int, mailbox_id: str
) -> None:
    connection.execute(
        "INSERT INTO past (name, uid_validity, mailbox_id) VALUES (?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET mailbox_id = excluded.mailbox_id, uid_validity = excluded.uid_validity "
        "WHERE excluded.uid_validity > uid_validity",
        (name, uid_validity, mailbox_id),
    )
