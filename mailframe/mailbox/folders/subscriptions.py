"""Subscriptions: the ``subscriptions`` file of a Maildir, which Dovecot reads and writes too.

A line is a folder's name in modified UTF-7, the levels separated by tabs below a header
``V 2``, by dots in files of older versions; a file is written back as it was. Lines that say
nothing to us stay. Where there is no such file, Courier's ``courierimapsubscribed`` is taken
over: the same with ``INBOX.`` before every name. A subscription outlives its folder.

Synchronous.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mailframe.core import utf7
from mailframe.core.folders import INBOX, SEPARATOR, FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox.folder_file import replace_file
from mailframe.mailbox.folders.naming import is_suitable, spellings
from mailframe.mailbox.folders.small_files import read
from mailframe.runtime.disk import Disk

MAX_SUBSCRIPTIONS = 20_000
_MAX_OCTETS = MAX_SUBSCRIPTIONS * 300
_HEADER = "V\t2"  # and an empty line


@dataclass(frozen=True, slots=True)
class _Line:
    raw: str
    name: str | None
    """None: it tells no name."""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What a file says."""

    lines: tuple[_Line, ...] = ()
    separator: str = "\t"
    is_whole: bool = True
    """False: the file is longer than we read."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(line.name for line in self.lines if line.name is not None)

    def with_name(self, name: str) -> Subscriptions:
        """Raises FolderRefused (LIMIT)."""
        if name in self.names:
            return self
        if len(self.lines) >= MAX_SUBSCRIPTIONS:
            raise _too_many()
        raw = self.separator.join(utf7.encode(part, also="./") for part in name.split(SEPARATOR))
        return replace(self, lines=(*self.lines, _Line(raw, name)))

    def without(self, name: str) -> Subscriptions:
        kept = tuple(line for line in self.lines if line.name != name)
        return self if len(kept) == len(self.lines) else replace(self, lines=kept)

    def encode(self) -> bytes:
        header = [_HEADER, ""] if self.separator == "\t" else []
        text = "".join(f"{line}\n" for line in (*header, *(line.raw for line in self.lines)))
        return text.encode("utf-8", "surrogateescape")


def read_subscriptions(disk: Disk, maildir: str) -> Subscriptions:
    """Raises OSError where the disk does not tell; no file is no subscription."""
    content = read(disk, _path(maildir), _MAX_OCTETS + 1)
    if content is not None:
        whole = len(content) <= _MAX_OCTETS
        return replace(parse(content if whole else _cut(content)), is_whole=whole)
    content = read(disk, os.path.join(maildir, "courierimapsubscribed"), _MAX_OCTETS)
    return parse_courier(content) if content is not None else Subscriptions()


def write_subscriptions(disk: Disk, maildir: str, subscriptions: Subscriptions) -> None:
    """Durable when it returns. Raises FolderRefused for what would lose lines."""
    if not subscriptions.is_whole:
        raise _too_many()
    disk.make_directories(maildir)
    replace_file(disk, _path(maildir), subscriptions.encode())


def parse(content: bytes) -> Subscriptions:
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if lines[0] == _HEADER:
        return Subscriptions(_lines(lines[1:], "\t"), "\t")
    return Subscriptions(_lines(lines, "."), ".")


def parse_courier(content: bytes) -> Subscriptions:
    """As a file of our own would say it."""
    found = Subscriptions()
    for line in _lines(content.decode("utf-8", "surrogateescape").split("\n"), "."):
        name = line.name
        if name is not None and len(found.lines) < MAX_SUBSCRIPTIONS:
            found = found.with_name(name.removeprefix(INBOX + SEPARATOR))
    return found


def _lines(lines: Iterable[str], separator: str) -> tuple[_Line, ...]:
    return tuple(_Line(raw, _name(raw, separator)) for raw in lines if raw)


def _name(raw: str, separator: str) -> str | None:
    try:
        name = SEPARATOR.join(utf7.decode(part) for part in raw.split(separator))
    except ValueError:
        return None
    # What cannot be a folder's name could not be written to a client either.
    return spellings(name)[0] if is_suitable(name) else None


def _cut(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _too_many() -> FolderRefused:
    return FolderRefused(FolderReason.LIMIT, "Too many subscriptions")


def _path(maildir: str) -> str:
    return os.path.join(maildir, "subscriptions")
