"""See what is in the Maildir and bring the index up to it, in one job.

Names are compared as sets; only what differs is looked at. A name that is new and has the
base of one that is missing is a message that got other flags or another directory; another
new name is a new message, a missing one has vanished. New messages get uids in the order in
which they arrived, as far as names tell (``names.py``), unless they brought uids along.

No message file is read unless its name leaves the size open.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from mailframe.core.folders import MessageState
from mailframe.mailbox.index.flags import flag_set, flag_text
from mailframe.mailbox.index.halves import remove_halves
from mailframe.mailbox.index.place import (
    INSERT,
    NEVER,
    Delta,
    FolderPlace,
    as_name,
    as_stored,
    is_settled,
    next_modseq,
    note_vanished,
    take_uids,
    uid_next,
)
from mailframe.mailbox.names import FileName

_SCANS = 3  # a directory changed while it is read may hide an entry: read it again
# Names of ours and of Dovecot, in one look; all others are parsed piece by piece.
_USUAL = re.compile(
    r"(\d{1,10})\.M(\d{1,6})(R[A-Z2-7]{16}|P\d+[^.,]*)\.[^,]*,S=(\d{1,15}),W=(\d{1,15})"
)
_LATEST = 1 << 33


@dataclass(frozen=True, slots=True)
class Scan:
    names: set[str]
    """``cur/name:2,FLAGS`` or ``new/name``."""
    stamps: tuple[int, int]
    """As they were before."""
    has_new: bool


def scan(place: FolderPlace) -> Scan:
    """What lies in new/ and cur/."""
    for _ in range(_SCANS):
        stamps = place.look()
        # A message moves from new to cur only: read in this order it is not missed.
        names = {f"new/{name}" for name in _listed(place, "new") if name[0] != "."}
        has_new = bool(names)
        names.update([f"cur/{name}" for name in _listed(place, "cur") if name[0] != "."])
        if place.look() == stamps:
            return Scan(names, stamps, has_new)
    return Scan(names, NEVER, has_new)


def sync(
    connection: sqlite3.Connection,
    place: FolderPlace,
    now: float,
    uids: Mapping[str, int] | None = None,
    *,
    quiet: bool = False,
) -> Delta | None:
    """None when nothing is different. ``uids`` by base name are those brought along.
    ``quiet``: the rows are enough, nobody is told what arrived.

    Raises OSError when the directories cannot be read."""
    place.keywords.refresh()
    seen = scan(place)
    _remove_pending(connection, place, seen.names)
    rows = connection.execute(
        "SELECT uid, base, place FROM message WHERE folder = ?", (place.id,)
    ).fetchall()
    if rows and not seen.stamps[1] and not place.look()[1]:
        # Somebody took the directory away, or what it is mounted on. That is no EXPUNGE.
        raise FileNotFoundError(errno.ENOENT, "no Maildir", place.path)
    known = {
        as_name(where)[:4] + as_name(base) + as_name(where)[4:]: uid for uid, base, where in rows
    }
    if fresh := seen.names.difference(known):
        remove_halves(connection, place, fresh, seen.names)
    if known.keys() == seen.names:
        delta = None
    else:
        delta = _Comparison(connection, place, now, uids or {}, known, seen.names, quiet).delta()
    settled = is_settled(seen.stamps, now)
    place.stamps = seen.stamps
    place.has_new = seen.has_new
    place.is_doubtful = not settled or seen.stamps == NEVER
    if delta is not None and settled:
        connection.execute(
            "UPDATE folder SET new_stamp = ?, cur_stamp = ? WHERE id = ?",
            (*seen.stamps, place.id),
        )
    return delta


def forget_stamps(connection: sqlite3.Connection, folder: int) -> None:
    """Who opens it next reads the directories."""
    connection.execute("UPDATE folder SET new_stamp = 0 WHERE id = ? AND new_stamp", (folder,))


def _remove_pending(connection: sqlite3.Connection, place: FolderPlace, names: set[str]) -> None:
    """Files of an all-or-none that a crash, or a commit that failed, cut off. They are durably
    gone before their names are forgotten."""
    pending = {
        as_name(base)
        for (base,) in connection.execute("SELECT base FROM pending WHERE folder = ?", (place.id,))
    }
    if not pending:
        return
    cut_off = [name for name in names if _base(name) in pending]
    for name in cut_off:
        place.disk.unlink(f"{place.path}/{name}")
        names.discard(name)
    for directory in {name[:3] for name in cut_off}:
        place.disk.sync_directory(place.maildir.subdirectory(directory))


class _Comparison:
    def __init__(
        self,
        connection: sqlite3.Connection,
        place: FolderPlace,
        now: float,
        uids: Mapping[str, int],
        known: Mapping[str, int],
        names: set[str],
        quiet: bool,
    ) -> None:
        self._quiet = quiet
        self._connection = connection
        self._place = place
        self._now = int(now)
        self._uids = uids
        self._fresh = names.difference(known)
        self._missing = {name: known[name] for name in known.keys() - names}
        # Against Maildir's rules the same base may be there twice; it is one message.
        self._present = {_base(name) for name in names & known.keys()} if self._fresh else set()
        self._modseq = 0

    def delta(self) -> Delta | None:
        lost = {_base(name): uid for name, uid in self._missing.items()}
        moved: dict[int, str] = {}
        new: dict[str, str] = {}
        for name in sorted(self._fresh) if self._missing else self._fresh:
            base = _base(name)
            if base in self._present:
                continue
            if base in lost:
                moved[lost[base]] = name
            elif base not in new or name > new[base]:
                new[base] = name
        vanished = sorted(uid for uid in lost.values() if uid not in moved)
        changed = self._moved(moved)
        arrived = self._arrived(new)
        if vanished:
            note_vanished(self._connection, self._place.id, self._mark(), vanished)
        if not self._modseq:
            return None
        end = uid_next(self._connection, self._place.id)
        return Delta(end, self._mark(), arrived, changed, vanished)

    def _mark(self) -> int:
        if not self._modseq:
            self._modseq = next_modseq(self._connection, self._place.id)
        return self._modseq

    def _moved(self, moved: Mapping[int, str]) -> list[MessageState]:
        changed, places, flagged = [], [], []
        keywords = self._place.keywords
        for uid, name in sorted(moved.items()):
            where = _place_of(name)
            flags, size, received, saved = self._connection.execute(
                "SELECT flags, size, received, saved FROM message WHERE folder = ? AND uid = ?",
                (self._place.id, uid),
            ).fetchone()
            hidden = keywords.without_letters(flag_set(flags))
            text = keywords.text_of(where[4:])
            if hidden:
                text = flag_text(flag_set(text) | hidden)
            if text == flags:
                places.append((as_stored(where), self._place.id, uid))
                continue
            flagged.append((as_stored(where), text, self._mark(), self._place.id, uid))
            changed.append(MessageState(uid, flag_set(text), self._modseq, size, received, saved))
        self._connection.executemany(
            "UPDATE message SET place = ? WHERE folder = ? AND uid = ?", places
        )
        self._connection.executemany(
            "UPDATE message SET place = ?, flags = ?, modseq = ? WHERE folder = ? AND uid = ?",
            flagged,
        )
        return changed

    def _arrived(self, new: Mapping[str, str]) -> list[MessageState]:
        """``new``: relative names by base."""
        found = [item for item in map(self._read_name, new.items()) if item is not None]
        if not found:
            return []
        found.sort()
        modseq = self._mark()
        uids = self._numbered([item[2] for item in found])
        folder, now, text_of = self._place.id, self._now, self._place.keywords.text_of
        rows, states = [], []
        quiet = self._quiet
        for uid, (received, _, base, where, size, octets) in zip(uids, found, strict=True):
            text = text_of(where[4:])
            saved = now if where[:3] == "new" or not self._uids else received
            rows.append((folder, uid, as_stored(base), as_stored(where), text, modseq, size,
                         octets, received, saved, None))  # fmt: skip
            if not quiet:
                states.append(MessageState(uid, flag_set(text), modseq, size, received, saved))
        self._connection.executemany(INSERT, rows)
        states.sort()
        return states

    def _numbered(self, bases: list[str]) -> list[int]:
        brought = self._uids
        if not brought:
            first = take_uids(self._connection, self._place.id, len(bases))
            return list(range(first, first + len(bases)))
        by_unique = {base.partition(",")[0]: uid for base, uid in brought.items()}
        taken: set[int] = set()
        uids = []
        for base in bases:
            uid = brought.get(base) or by_unique.get(base.partition(",")[0]) or 0
            uid = 0 if uid in taken else uid
            taken.add(uid)
            uids.append(uid)
        following = take_uids(self._connection, self._place.id, uids.count(0))
        for number, uid in enumerate(uids):
            if not uid:
                uids[number], following = following, following + 1
        return uids

    def _read_name(self, item: tuple[str, str]) -> tuple[int, int, str, str, int, int] | None:
        """received, micros, base, place, size, octets; None for what cannot be read."""
        base, relative = item
        where = relative[:4] + relative[4 + len(base) :]
        usual = _USUAL.fullmatch(base)
        if usual is not None:
            seconds, micros, writer, octets, size = usual.groups()
            arrived = int(seconds)
            if writer[0] != "R" or len(writer) != 17 or not arrived:
                status = self._status(relative)
                if status is None:
                    return None
                arrived = _arrived_at(status, arrived)
            return arrived, int(micros), base, where, int(size), int(octets)
        return self._look_at(relative, base, where)

    def _look_at(
        self, relative: str, base: str, where: str
    ) -> tuple[int, int, str, str, int, int] | None:
        place, name = self._place, FileName.parse(base)
        status = self._status(relative)
        size = name.wire_size
        if status is not None and size is None:
            size = place.sizes.of(place.disk, f"{place.path}/{relative}", name)
        if status is None or size is None:
            return None
        octets = name.size if name.size is not None else status.st_size
        return _arrived_at(status, name.received or 0), name.micros, base, where, size, octets

    def _status(self, relative: str) -> os.stat_result | None:
        try:
            return self._place.disk.status(f"{self._place.path}/{relative}")
        except OSError:
            return None  # vanished meanwhile, or not ours to see


def _arrived_at(status: os.stat_result, named: int) -> int:
    # Dovecot and Courier keep the time of arrival in the file's time, which a careless
    # copy makes younger; the name's time is younger after a migration.
    return max(0, min(int(status.st_mtime), named or _LATEST))


def _listed(place: FolderPlace, name: str) -> list[str]:
    try:
        return place.disk.names(place.maildir.subdirectory(name))
    except (FileNotFoundError, NotADirectoryError):
        return []  # it is made by the first delivery


def _base(relative: str) -> str:
    return relative[4:].partition(":")[0]


def _place_of(relative: str) -> str:
    base = _base(relative)
    return relative[:4] + relative[4 + len(base) :]
