"""Commands about the session itself, and those within a folder that take next to nothing."""

from __future__ import annotations

from collections.abc import Callable

from mailframe.protocols.imap.commands import (
    Check,
    Close,
    Command,
    Compress,
    Enable,
    Expunge,
    Id,
)
from mailframe.protocols.imap.grammar import BadCommand, Scanner

# RFC 2971 section 3.3
_ID_PAIRS = 30
_ID_NAME = 30
_ID_VALUE = 1024
_ENABLE_LIMIT = 100


def plain(command: Command) -> Callable[[Scanner], Command]:
    """A command without arguments."""
    return lambda scanner: command


def identity(scanner: Scanner) -> Id:
    scanner.sp()
    if scanner.nil():
        return Id(())
    pairs = scanner.listed(lambda: _id_pair(scanner), empty=True, limit=_ID_PAIRS)
    return Id(tuple(pairs))


def _id_pair(scanner: Scanner) -> tuple[str, str | None]:
    name = scanner.string()
    scanner.sp()
    # RFC 2971 has strings here; Thunderbird 102 was seen to send its version as an atom.
    value = None if scanner.nil() else scanner.astring()
    if len(name) > _ID_NAME or len(value or "") > _ID_VALUE:
        raise BadCommand("ID parameter too long", "LIMIT")
    return name, value


def enable(scanner: Scanner) -> Enable:
    scanner.sp()
    names = [scanner.atom().upper()]
    while scanner.more():
        names.append(scanner.atom().upper())
        if len(names) > _ENABLE_LIMIT:
            raise BadCommand("Too many capabilities to enable", "LIMIT")
    return Enable(tuple(names))


def compress(scanner: Scanner) -> Compress:
    scanner.sp()
    if scanner.atom().upper() != "DEFLATE":
        raise scanner.bad("DEFLATE is the only compression")
    return Compress()


check = plain(Check())
close = plain(Close(expunge=True))
unselect = plain(Close(expunge=False))
expunge = plain(Expunge())


def uid_expunge(scanner: Scanner) -> Expunge:
    """RFC 4315 section 2.1."""
    scanner.sp()
    return Expunge(scanner.message_set())
