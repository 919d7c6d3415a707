"""What an import reads: a Maildir, an mbox, a directory of .eml files, a single message.

Each archive is iterated once and gives messages one after the other, with the octets of the
archive that are behind it then, for a progress bar. What it is shows from the content, not
from the name: a directory with ``cur`` and ``new``, ``From `` at the start, gzip's magic.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from mailframe.mailbox import mbox
from mailframe.mailbox.headers import header_section, received_time
from mailframe.mailbox.maildir import Maildir
from mailframe.runtime.disk import Disk

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")  # RFC 5322 section 2.2


class BadArchive(ValueError):
    """There is no mail to be found there; the message says why, fit to show to a person."""


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    content: bytes
    """With whatever line ends the archive has."""
    folder: str = ""
    """Empty for the INBOX."""
    flags: str = ""
    """Maildir's letters."""
    is_new: bool = True
    """No client has seen it in a listing yet."""
    received: float | None = None
    """Seconds since the epoch, where the archive tells."""


class Archive(Protocol):
    total: int
    """Octets, as far as progress is counted."""

    def __iter__(self) -> Iterator[tuple[ArchivedMessage, int]]:
        """Messages, each with the octets that are done after it."""


def open_archive(path: str, disk: Disk, dialect: mbox.Dialect | None = None) -> Archive:
    """Find out what ``path`` is. ``dialect`` is for an mbox; None: by its name, see
    ``mbox.dialect_of``. Raises BadArchive, OSError."""
    path = os.path.realpath(path)
    if not disk.is_directory(path):
        return _file_archive(path, disk, dialect or mbox.dialect_of(path))
    if all(disk.is_directory(os.path.join(path, name)) for name in ("cur", "new")):
        return MaildirArchive(path, disk)
    return EmlDirectory(path, disk)


def _file_archive(path: str, disk: Disk, dialect: mbox.Dialect) -> Archive:
    with disk.open(path) as file:
        start = _unpacked(file).read(4096).lstrip(b"\r\n")
    if start.startswith(b"From "):
        return MboxArchive(path, disk, dialect)
    if _FIELD.match(start):
        return EmlFiles([(path, "")], disk)
    raise BadArchive(f"{path}: neither an mbox nor a message")


class MboxArchive:
    def __init__(self, path: str, disk: Disk, dialect: mbox.Dialect) -> None:
        self._path = path
        self._disk = disk
        self._dialect = dialect
        self.total = disk.status(path).st_size

    def __iter__(self) -> Iterator[tuple[ArchivedMessage, int]]:
        with self._disk.open(self._path) as file:
            try:
                for message in mbox.read(_unpacked(file), self._dialect):
                    yield (
                        ArchivedMessage(
                            message.content,
                            flags=message.flags,
                            is_new=message.is_new,
                            received=message.received,
                        ),
                        file.tell(),
                    )
            except (EOFError, gzip.BadGzipFile) as error:
                raise BadArchive(f"{self._path}: the gzip file is damaged: {error}") from error


class MaildirArchive:
    """Keeps flags, folders and times."""

    def __init__(self, path: str, disk: Disk) -> None:
        inbox = Maildir(path, disk)
        self._folders = [("", inbox), *inbox.named_folders()]
        self.total = sum(maildir.usage()[0] for _, maildir in self._folders)

    def __iter__(self) -> Iterator[tuple[ArchivedMessage, int]]:
        done = 0
        for folder, maildir in self._folders:
            for path, name in maildir.in_order():
                if (found := maildir.read(path, name)) is None:
                    continue  # vanished meanwhile, or not to be read
                content, modified = found
                done += len(content)
                # Dovecot and Courier keep the time of arrival in the file's time, which a
                # careless copy makes younger; the name's time is younger after a migration.
                received = min(modified, name.received or modified)
                is_new = os.path.basename(os.path.dirname(path)) == "new"
                flags = "".join(sorted(set(name.flags) & set(mbox.FLAGS)))
                yield ArchivedMessage(content, folder, flags, is_new, received), done


class EmlFiles:
    """Single messages, each in a file of its own; ``(path, folder)`` each."""

    def __init__(self, files: list[tuple[str, str]], disk: Disk) -> None:
        self._files = files
        self._disk = disk
        self.total = sum(disk.status(path).st_size for path, _ in files)

    def __iter__(self) -> Iterator[tuple[ArchivedMessage, int]]:
        done = 0
        for path, folder in self._files:
            with self._disk.open(path) as file:
                content = _unpacked(file).read()
            status = self._disk.status(path)
            done += status.st_size
            received = received_time(header_section(content)) or status.st_mtime
            yield ArchivedMessage(content, folder, "S", False, received), done


class EmlDirectory(EmlFiles):
    """Every ``*.eml`` below; directories below are folders. They count as read."""

    def __init__(self, path: str, disk: Disk) -> None:
        files = list(_find_eml(path, "", disk))
        if not files:
            raise BadArchive(f"{path}: neither a Maildir nor a directory with .eml files")
        super().__init__(files, disk)


def _find_eml(path: str, folder: str, disk: Disk) -> Iterator[tuple[str, str]]:
    for entry in sorted(disk.scan(path), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            name = os.fsencode(entry.name).decode("utf-8", "replace")
            yield from _find_eml(entry.path, f"{folder}/{name}" if folder else name, disk)
        elif entry.name.lower().endswith(".eml") and entry.is_file(follow_symlinks=False):
            yield entry.path, folder


def _unpacked(file: BinaryIO) -> BinaryIO:
    magic = file.read(2)
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file
