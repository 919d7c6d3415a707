"""UIDONLY (RFC 9586 section 3): which commands use message numbers and are refused there."""

from __future__ import annotations

from mailframe.protocols.imap.commands import (
    Both,
    Command,
    Copy,
    Criterion,
    Either,
    Fetch,
    Neither,
    NumbersIn,
    Search,
    Select,
    Sort,
    Store,
    Thread,
)


def uses_numbers(command: Command) -> bool:
    if isinstance(command, Fetch | Store | Copy):
        return not command.uid
    if isinstance(command, Search | Sort | Thread):
        return not _answers_uids(command) or _has_numbers(command.criterion)
    # RFC 9586 section 3.5: QRESYNC's pairs of number and uid
    return isinstance(command, Select) and command.known is not None and bool(command.known.matches)


def _answers_uids(command: Search | Sort | Thread) -> bool:
    # ESEARCH (RFC 7377) answers with uids always.
    return command.uid or (isinstance(command, Search) and command.source is not None)


def _has_numbers(criterion: Criterion) -> bool:
    """Without recursion: how deep keys are nested is the client's choice."""
    todo = [criterion]
    while todo:
        match todo.pop():
            case NumbersIn(messages=messages, uid=False) if not messages.saved:
                return True
            case Both(keys=keys):
                todo += keys
            case Either(left=left, right=right):
                todo += [left, right]
            case Neither(key=key):
                todo.append(key)
            case _:
                pass
    return False
