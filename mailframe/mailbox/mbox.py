"""Reading and writing mbox (RFC 4155 and its older relatives).

A message begins at a line that starts with ``From ``. The original rule (mbox(5)) asks no
more, neither a blank line before nor a date in it, and archives in the wild break either; a
writer must quote such lines of the body. ``dated`` asks for a date, for archives whose
writer did not quote. ``Content-Length`` is never believed: the smallest change makes it lie.

Quoting is not marked in the file. ``>From `` is taken as it stands, as Dovecot, mutt and
Python do, unless the dialect says that one ``>`` is the writer's. Ours write mboxrd.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mailframe.mailbox.headers import field, header_section, parse_time, received_time

FLAGS = "DFPRST"
"""Maildir's flags: draft, flagged, passed, replied, seen, trashed."""

_DATE = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? .*\d\d?:\d\d.*\d{4}.*$")
_MBOXO = re.compile(rb"^>From ", re.MULTILINE)
_MBOXRD = re.compile(rb"^>(>*From )", re.MULTILINE)
_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_ADDRESS = re.compile(r"^<([\x21-\x7e]*)>")
# Status and X-Status of mbox readers -> Maildir's letters
_STATUS = {"R": "S"}
_X_STATUS = {"A": "R", "D": "T", "F": "F", "T": "D"}


class Quoting(enum.Enum):
    NONE = "none"
    MBOXO = "mboxo"
    """``From `` was written ``>From ``; which of them were is lost."""
    MBOXRD = "mboxrd"
    """One ``>`` was put before every ``From ``, ``>From ``, ``>>From `` ..."""


@dataclass(frozen=True, slots=True)
class Dialect:
    quoting: Quoting = Quoting.NONE
    dated: bool = False
    """Only a ``From `` line with a date begins a message."""


@dataclass(frozen=True, slots=True)
class MboxMessage:
    content: bytes
    flags: str
    is_new: bool
    received: float | None


def dialect_of(path: str) -> Dialect:
    """A file named ``.mboxrd`` (or ``.mboxrd.gz``) is one, as git and public-inbox have it."""
    is_mboxrd = path.lower().removesuffix(".gz").endswith(".mboxrd")
    return Dialect(Quoting.MBOXRD if is_mboxrd else Quoting.NONE)


def read(file: BinaryIO, dialect: Dialect) -> Iterator[MboxMessage]:
    """The messages of a file; what precedes the first ``From `` line is passed over."""
    separator: bytes | None = None
    lines: list[bytes] = []
    for line in file:
        if line.startswith(b"From ") and (not dialect.dated or _DATE.search(line)):
            if separator is not None:
                yield from _message(separator, lines, dialect)
            separator, lines = line, []
        else:
            lines.append(line)
    if separator is not None:
        yield from _message(separator, lines, dialect)


def write(put: Callable[[bytes], object], content: bytes, received: float) -> None:
    """Append one message (LF line ends) in mboxrd; a missing last line end is added."""
    sender = _ADDRESS.search(field(header_section(content), b"Return-Path"))
    name = sender[1] if sender and sender[1] else "MAILER-DAEMON"
    date = time.asctime(time.gmtime(received))
    put(f"From {name} {date}\n".encode())
    put(_QUOTE.sub(rb">\1", content))
    put(b"\n" if content.endswith(b"\n") or not content else b"\n\n")


def _message(separator: bytes, lines: list[bytes], dialect: Dialect) -> Iterator[MboxMessage]:
    if lines and lines[-1] in (b"\n", b"\r\n"):
        del lines[-1]  # it belongs to the next separator
    content = b"".join(lines)
    if dialect.quoting is Quoting.MBOXO:
        content = _MBOXO.sub(b"From ", content)
    elif dialect.quoting is Quoting.MBOXRD:
        content = _MBOXRD.sub(rb"\1", content)
    header = header_section(content)
    if _is_internal(header):
        return
    flags, is_new = _flags(header)
    date = _DATE.search(separator.rstrip())
    received = parse_time(date[0].decode("latin-1")) if date else None
    yield MboxMessage(content, flags, is_new, received or received_time(header))


def _is_internal(header: bytes) -> bool:
    """UW imapd and Pine keep their own state in a first message that is none."""
    subject = field(header, b"Subject")
    return bool(field(header, b"X-IMAP")) and subject.startswith("DON'T DELETE THIS MESSAGE")


def _flags(header: bytes) -> tuple[str, bool]:
    status, x_status = field(header, b"Status"), field(header, b"X-Status")
    letters = {_STATUS[c] for c in status if c in _STATUS}
    letters |= {_X_STATUS[c] for c in x_status if c in _X_STATUS}
    return "".join(sorted(letters)), not status and not letters
