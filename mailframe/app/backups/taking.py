"""A backup of a base whose server runs: in the order that the package's docstring gives."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from mailframe import __version__
from mailframe.app.backups import layout
from mailframe.app.backups.layout import Kind, is_litter, kind_of
from mailframe.app.backups.mail_copy import MailCopy
from mailframe.backup.files import Unreadable, walk
from mailframe.backup.manifest import BadBackup, Header, Total
from mailframe.backup.sets import BackupSets
from mailframe.backup.unfinished import is_unfinished
from mailframe.backup.writing import SetWriter, Tally
from mailframe.errors import MailframeError
from mailframe.mailbox.names import key_of
from mailframe.queue import copied
from mailframe.queue.records import Row
from mailframe.queue.recovery import body_files
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of_frozen, is_database

BASE = "base/"
CONFIG = "config/"
_SPOOL = BASE + layout.SPOOL.path


class BadTarget(MailframeError):
    """Backups cannot be kept there."""


@dataclass(slots=True)
class Taken:
    """What came of it."""

    path: str = ""
    total: Total = field(default_factory=Total)
    tally: Tally = field(default_factory=Tally)
    accounts: int = 0
    messages: int = 0
    queued: int = 0
    """Messages."""
    removed: list[str] = field(default_factory=list)
    """Names of older sets that were pruned."""
    warnings: list[str] = field(default_factory=list)


def take_backup(
    base: str,
    target: str,
    *,
    disk: Disk,
    clock: Callable[[], float],
    hostname: str = "",
    config_file: str | None = None,
    keep: int = 0,
) -> Taken:
    """Make a set below ``target``. Raises BadTarget, BackupBusy, BadBackup where the base is
    not to be backed up, OSError, sqlite3.Error; nothing is left of a set then, as far as the
    disk obeys."""
    require_apart(base, target, disk)
    sets = BackupSets(os.path.abspath(target), disk)
    with sets.working():
        require_restored(base, disk)
        trouble = _sweep(sets)
        previous = sets.latest() or ""
        now = clock()
        name = sets.begin(now)
        try:
            run = _Run(base, sets.path(f"{name}.partial"), previous, disk, clock)
            run.taken.warnings += trouble
            run.copy_all(config_file)
            header = Header(now, __version__, hostname, os.path.abspath(base), run.notes())
            run.taken.total = run.writer.finish(header)
            run.taken.warnings += run.writer.unread
            require_restored(base, disk)
            run.taken.path = sets.complete(name)
        except Exception:
            sets.give_up(name)  # a full disk is full of this
            raise
        try:
            run.taken.removed = sets.prune(keep)
        except OSError as error:  # the new one is there all the same
            run.taken.warnings.append(f"older backups cannot be removed: {error}")
    return run.taken


def _sweep(sets: BackupSets) -> list[str]:
    """Litter that cannot be removed is told; it is no reason not to make a backup."""
    try:
        sets.sweep()
    except OSError as error:
        return [f"what is left of an earlier run cannot be removed: {error}"]
    return []


def require_restored(base: str, disk: Disk) -> None:
    """Raises BadBackup: half a base would be the youngest backup, and push out good ones."""
    if is_unfinished(disk, base):
        raise BadBackup(f"a restore into {base} was cut off, or is at work: repeat it first")


def require_apart(base: str, target: str, disk: Disk) -> None:
    """Raises BadTarget."""
    real_base, real_target = os.path.realpath(base), os.path.realpath(target)
    if not disk.is_directory(real_base):
        raise BadTarget(f"there is nothing to back up: {base} is no directory")
    if os.path.commonpath([real_base, real_target]) == real_base:
        raise BadTarget(f"{target} lies below {base}: a backup there would be lost with it")


class _Run:
    def __init__(
        self, base: str, directory: str, previous: str, disk: Disk, clock: Callable[[], float]
    ) -> None:
        self.taken = Taken()
        self.writer = SetWriter(disk, directory, previous)
        self.taken.tally = self.writer.tally
        self._base = base
        self._disk = disk
        self._clock = clock
        self._bodies_before: set[str] = set()
        self._is_damaged = False
        """The queue's rows."""

    def copy_all(self, config_file: str | None) -> None:
        self.writer.make_directory(BASE.rstrip("/"))
        self._link_bodies()
        rows = self._copy_queue()
        mail = self._copy_mail(rows)
        self._settle_queue(rows, mail.delivered)
        self._copy_indexes(mail.homes)
        self._copy_rest()
        self._check_databases()
        if config_file is not None:
            name = os.path.basename(config_file)
            self.writer.add_copy(os.path.abspath(config_file), CONFIG + name)

    def notes(self) -> dict[str, object]:
        taken = self.taken
        return {
            "accounts": taken.accounts,
            "messages": taken.messages,
            "queued": taken.queued,
            "warnings": taken.warnings[:100],
        }

    # ---- the queue

    def _link_bodies(self) -> None:
        for name in self._names(layout.BODIES):
            path = f"{layout.BODIES}/{name}"
            try:
                self.writer.add_frozen(self._source(path), BASE + path)
            except FileNotFoundError:
                continue  # its message has left
            except Unreadable:
                continue  # told when the rows are known
            self._bodies_before.add(name)

    def _copy_queue(self) -> list[Row]:
        """Local deliveries of the copied commit."""
        rows: list[Row] = []
        if not self._disk.exists(self._source(layout.SPOOL.path)):
            return rows
        sizes: dict[str, int] = {}

        def look(connection: sqlite3.Connection) -> None:
            rows.extend(copied.local_rows(connection))
            sizes.update(body_files(connection))

        source = self._source(layout.SPOOL.path)
        try:
            self.writer.add_database(source, _SPOOL, look)
        except sqlite3.OperationalError:
            raise  # busy, or the disk: no backup
        except sqlite3.DatabaseError:
            # Damaged: as it is it is worth more than not at all. The server mends what it can.
            self.writer.add_damaged(source, _SPOOL)
            self._is_damaged = True
            return []
        self._complete_bodies(sizes)
        return rows

    def _complete_bodies(self, sizes: dict[str, int]) -> None:
        """Those that the copied rows name, as they name them, and no others."""
        gone = []
        for name, size in sizes.items():
            path = f"{layout.BODIES}/{name}"
            if self._size(BASE + path) == size:
                continue
            # It came after the first look, or was being written then.
            self.writer.remove(BASE + path)
            try:
                self.writer.add_frozen(self._source(path), BASE + path)
            except FileNotFoundError:
                gone.append(name)
            except Unreadable as error:
                self._warn(f"{path}: {error.strerror}")
        for name in self._bodies_before - sizes.keys():
            self.writer.remove(f"{BASE}{layout.BODIES}/{name}")
        self._forget_done(gone)

    def _forget_done(self, gone: list[str]) -> None:
        """Messages that came and left while the backup ran, and took their bodies along.
        Those whose bodies are lost in the live queue too stay, for everybody to see."""
        if not gone:
            return
        live = self._disk.connect(self._source(layout.SPOOL.path), timeout=30)
        try:
            query = "SELECT 1 FROM message WHERE queue_id = ?"
            done = [name for name in gone if live.execute(query, (name,)).fetchone() is None]
        finally:
            live.close()
        self.writer.alter_database(
            _SPOOL, lambda connection: copied.remove_messages(connection, done)
        )
        for name in set(gone) - set(done):
            self.taken.warnings.append(f"the body of {name} is lost")

    def _settle_queue(self, rows: list[Row], delivered: set[str]) -> None:
        if self._is_damaged or not self.writer.has(_SPOOL):
            return
        done = [row for row in rows if key_of(copied.delivery_token(row)) in delivered]
        left: list[str] = []

        def settle(connection: sqlite3.Connection) -> None:
            left.extend(copied.take_out(connection, done))
            copied.mark_in_doubt(connection)
            count = connection.execute("SELECT count(*) FROM message").fetchone()
            self.taken.queued = count[0]

        self.writer.alter_database(_SPOOL, settle)
        self.writer.reuse(_SPOOL)
        for queue_id in left:
            self.writer.remove(f"{BASE}{layout.BODIES}/{queue_id}")

    # ---- the mailboxes

    def _copy_mail(self, rows: list[Row]) -> MailCopy:
        wanted = frozenset(key_of(copied.delivery_token(row)) for row in rows)
        mail = MailCopy(self._disk, self._base, self.writer, BASE, self._clock, wanted)
        mail.run()
        self.taken.accounts, self.taken.messages = len(mail.homes), mail.messages
        self.taken.warnings += mail.unread
        if mail.restless:
            self.taken.warnings.append(
                f"{mail.restless} mailboxes changed at every look: a message that was moved "
                "again and again meanwhile may be missing"
            )
        return mail

    def _copy_indexes(self, homes: list[str]) -> None:
        for home in homes:
            path = f"{home}/{layout.INDEX_NAME}"
            try:
                if not stat.S_ISREG(self._disk.status(self._source(path)).st_mode):
                    self._warn(f"{path}: no file; left out, it will be made anew")
                    continue
                self.writer.add_database(self._source(path), BASE + path)
                self.writer.reuse(BASE + path)
            except FileNotFoundError:
                continue  # none yet, or the account was removed
            except sqlite3.DatabaseError as error:
                # It can be made again from the messages; half of one is worse than none.
                self.writer.remove(BASE + path)
                self._warn(f"{path}: {error}; left out, it will be made anew")
                continue
            self.writer.add_content(layout.OLD_MARK, f"{BASE}{home}/{layout.MARK_NAME}")

    # ---- all else

    def _copy_rest(self) -> None:
        for found in walk(self._disk, self._base, skip=is_litter, unread=self._warn_of):
            kind = kind_of(found.path, found.is_directory)
            if kind in (Kind.LITTER, Kind.FROZEN, Kind.INDEX):
                continue
            if found.is_directory:
                self.writer.make_directory(BASE + found.path)
            elif found.is_file:
                self._copy_file(found.path, kind)
            elif stat.S_ISLNK(found.status.st_mode):
                self._warn(f"{found.path}: a symbolic link is not followed")

    def _copy_file(self, path: str, kind: Kind) -> None:
        if self.writer.has(BASE + path):
            return
        try:
            if kind is Kind.DATABASE and is_database(self._disk, self._source(path)):
                self._copy_database(path)
            else:
                self.writer.add_copy(self._source(path), BASE + path)
        except FileNotFoundError:
            return  # a folder was deleted or renamed meanwhile
        except (PermissionError, Unreadable) as error:
            self._warn_of(path, error)

    def _copy_database(self, path: str) -> None:
        try:
            self.writer.add_database(self._source(path), BASE + path)
            self.writer.reuse(BASE + path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self.writer.add_damaged(self._source(path), BASE + path)
            self._warn(f"{path} is damaged: {error}")

    def _warn_of(self, path: str, error: OSError) -> None:
        self._warn(f"{path}: {error.strerror}")

    def _warn(self, text: str) -> None:
        if text not in self.taken.warnings:
            self.taken.warnings.append(text)

    def _check_databases(self) -> None:
        """A backup of what is damaged is one too, but somebody must hear of it."""
        for file in layout.DATABASES:
            path = os.path.join(self.writer.directory, BASE + file.path)
            if file.durable and self._disk.exists(path):
                for what in faults_of_frozen(self._disk, path)[:3]:
                    self._warn(f"{file.path} is damaged: {what}")

    def _source(self, path: str) -> str:
        return os.path.join(self._base, path)

    def _size(self, path: str) -> int | None:
        try:
            return self._disk.status(os.path.join(self.writer.directory, path)).st_size
        except FileNotFoundError:
            return None

    def _names(self, directory: str) -> list[str]:
        try:
            return self._disk.names(self._source(directory))
        except FileNotFoundError:
            return []
