"""STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3), COPY and MOVE (RFC 6851)."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailframe.core.folders import FlagMode, Flags
from mailframe.protocols.imap.commands import Copy, Store
from mailframe.protocols.imap.grammar import (
    FLAGS_LIMIT,
    BadCommand,
    Scanner,
    distinct_flags,
)

_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.IGNORECASE)
_MODES = {b"+": FlagMode.ADD, b"-": FlagMode.REMOVE, b"": FlagMode.REPLACE}


def store(*, uid: bool) -> Callable[[Scanner], Store]:
    return lambda scanner: _store(scanner, uid)


def _store(scanner: Scanner, uid: bool) -> Store:
    scanner.sp()
    messages = scanner.message_set()
    scanner.sp()
    unchanged_since: int | None = None
    if scanner.peek() == b"(":
        scanner.open()
        scanner.expect(b"UNCHANGEDSINCE")
        scanner.sp()
        unchanged_since = scanner.number64()
        scanner.close()
        scanner.sp()
    item = scanner.skip(_ITEM)
    if item is None:
        raise scanner.bad("FLAGS expected")
    scanner.sp()
    return Store(
        messages, uid, _MODES[item[1]], _flags(scanner), item[2] is not None, unchanged_since
    )


def _flags(scanner: Scanner) -> Flags:
    """In parentheses, or without."""
    if scanner.peek() == b"(":
        return scanner.flag_list()
    flags = [scanner.flag()]
    while scanner.more():
        flags.append(scanner.flag())
        if len(flags) > FLAGS_LIMIT:
            raise BadCommand("Too many flags", "LIMIT")
    return distinct_flags(flags)


def copy(*, uid: bool, move: bool) -> Callable[[Scanner], Copy]:
    return lambda scanner: _copy(scanner, uid, move)


def _copy(scanner: Scanner, uid: bool, move: bool) -> Copy:
    scanner.sp()
    messages = scanner.message_set()
    scanner.sp()
    return Copy(messages, uid, scanner.mailbox(), move)
