"""Doing what ``faults.REMEDIES`` says, beside a running server. Synchronous.

What changed since it was seen is left alone. Every step is durable when ``mend`` returns.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from mailframe.mailbox import folder_file
from mailframe.mailbox.fsck.faults import Fault, Kind
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName, key_of, new_name, with_sizes
from mailframe.mailbox.paths import folder_directory
from mailframe.mailbox.quota import sum_in_maildirsize, write_maildirsize
from mailframe.mailbox.sizes import count
from mailframe.mailbox.tree import usage
from mailframe.runtime.disk import Disk

DAMAGED = "damaged"
"""Below the base."""
_TO_MAKE = (Kind.NO_FOLDER, Kind.UIDVALIDITY)
_LOG = ("-wal", "-shm", "-journal")
_ODD = re.compile(r"[^\w .&+-]")


class Mender:
    """``stamp`` names the directory below ``BASE/damaged`` that this run fills."""

    def __init__(self, base: str, disk: Disk, *, stamp: str, host: str, now: float) -> None:
        self.directory = os.path.join(base, DAMAGED, stamp)
        self._base = base
        self._disk = disk
        self._host = host
        self._now = now
        self._ways: dict[Kind, Callable[[Fault], None]] = {
            Kind.EMPTY: self._set_aside,
            Kind.CUT_OFF: self._set_aside,
            Kind.UNREADABLE: self._set_aside,
            Kind.NO_MESSAGE: self._set_aside,
            Kind.TWICE: self._set_double_aside,
            Kind.STRAY: self._set_aside,
            Kind.SMALL_FILE: self._set_aside,
            Kind.FOLDER_FILE: self._set_aside,
            Kind.WRONG_SIZE: self._rename_message,
            Kind.BAD_NAME: self._rename_message,
            Kind.SAME_NAME: self._rename_message,
            Kind.MODE: self._set_mode,
            Kind.NO_FOLDER: self._make,
            Kind.BAD_FOLDER_NAME: self._rename_folder,
            Kind.UIDVALIDITY: self._write_uid_validity,
            Kind.INDEX: self._set_index_aside,
            Kind.QUOTA: self._count_anew,
        }

    def mend(self, fault: Fault) -> bool:
        """False: it is not there any more. Raises OSError."""
        try:
            if fault.kind not in _TO_MAKE:
                self._disk.status(fault.path)
            self._ways[fault.kind](fault)
        except FileNotFoundError:
            return False
        return True

    def _set_aside(self, fault: Fault) -> None:
        target = self._place(fault.path)
        self._note(fault, target)
        self._disk.rename(fault.path, target)
        self._disk.sync_directory(os.path.dirname(target))
        self._disk.sync_directory(os.path.dirname(fault.path))

    def _set_double_aside(self, fault: Fault) -> None:
        """Not the last of them: the other may have been moved or deleted since it was seen."""
        self._disk.status(fault.other)
        self._set_aside(fault)

    def _set_index_aside(self, fault: Fault) -> None:
        # The log first: it would be taken for that of the file that comes next.
        for suffix in (*_LOG, ""):
            if self._disk.exists(fault.path + suffix):
                target = self._place(fault.path + suffix)
                if not suffix:
                    self._note(fault, target)
                self._disk.rename(fault.path + suffix, target)
                self._disk.sync_directory(os.path.dirname(target))
        self._disk.sync_directory(os.path.dirname(fault.path))

    def _rename_message(self, fault: Fault) -> None:
        """A second name first, so that a crash leaves it twice rather than never; the next
        run sees that."""
        directory, old = os.path.split(fault.path)
        name = FileName.parse(old)
        status = self._disk.status(fault.path)
        with self._disk.open(fault.path) as file:
            wire = count(file)
        # Known again by the next run, should this one die between the two names.
        key = key_of(f"fsck {name.unique} {status.st_ino}")
        received = name.received or int(status.st_mtime) or 1
        base = with_sizes(new_name(received, name.micros, key, self._host), status.st_size, wire)
        flags = "".join(sorted(letter for letter in set(name.flags) if letter.isalpha()))
        info = f":2,{flags}" if os.path.basename(directory) == "cur" else ""
        target = os.path.join(directory, base + info)
        try:
            self._disk.link(fault.path, target)
        except FileExistsError:
            if self._disk.status(target).st_ino != status.st_ino:
                raise
        self._disk.sync_directory(directory)
        self._disk.unlink(fault.path)
        self._disk.sync_directory(directory)

    def _set_mode(self, fault: Fault) -> None:
        self._disk.set_mode(fault.path, fault.detail)

    def _make(self, fault: Fault) -> None:
        if self._disk.exists(fault.path) and not self._disk.is_directory(fault.path):
            self._set_aside(fault)
        Maildir(os.path.dirname(fault.path), self._disk).ensure()

    def _rename_folder(self, fault: Fault) -> None:
        inbox, old = os.path.split(fault.path)
        readable = os.fsencode(old[1:]).decode("utf-8", "replace")
        stem = _ODD.sub("_", readable).strip(". ")[:80] or "folder"
        for number in range(1, 1000):
            name = f"Recovered {stem}" + (f" {number}" if number > 1 else "")
            target = folder_directory(inbox, name)
            if not self._disk.exists(target):
                self._disk.rename(fault.path, target)
                self._disk.sync_directory(inbox)
                return
        raise FileExistsError(f"no name is left for {fault.path}")

    def _write_uid_validity(self, fault: Fault) -> None:
        home = os.path.dirname(fault.path)
        if self._disk.exists(fault.path) and fault.text == "cannot be used":
            self._set_aside(fault)
        folder_file.note_uid_validity(self._disk, home, max(fault.detail, int(self._now)))

    def _count_anew(self, fault: Fault) -> None:
        settle_quota(self._disk, Maildir(os.path.dirname(fault.path), self._disk))

    def _place(self, path: str) -> str:
        """Where in the directory of this run; its own directory is there then."""
        target = os.path.join(self.directory, os.path.relpath(path, self._base))
        self._disk.make_directories(os.path.dirname(target))
        stem, number = target, 1
        while self._disk.exists(target):
            number += 1
            target = f"{stem}~{number}"
        return target

    def _note(self, fault: Fault, target: str) -> None:
        """Before it is moved: whoever finds it must know whence it came."""
        path = os.path.join(self.directory, "report")
        self._disk.make_file(path)
        file = self._disk.append(path)
        try:
            line = f"{fault.kind.value}\t{fault.path}\t{target}\t{fault.text}\n"
            file.write(line.encode("utf-8", "surrogateescape"))
            file.sync()
        finally:
            file.close()


def settle_quota(disk: Disk, inbox: Maildir) -> None:
    """Let ``maildirsize``, where there is one, say what there is."""
    said = sum_in_maildirsize(disk, inbox.path)
    if said is not None and said != (there := usage(inbox)):
        write_maildirsize(disk, inbox.path, *there)
