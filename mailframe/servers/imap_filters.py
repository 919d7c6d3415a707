"""Which folders a filter means: RFC 5465 section 6, RFC 7377 section 2.2."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mailframe.core.folders import INBOX, SEPARATOR, FolderInfo
from mailframe.protocols.imap.commands import Filter, Scope

Fits = Callable[[FolderInfo], bool]


def fitting(each: Filter, others: str | None) -> Fits:
    """Whether a folder is meant, however many names the filter has. ``others``: the prefix of
    other users' folders. SELECTED is the session's to know and fits nothing here."""
    tops = frozenset(each.mailboxes)
    match each.scope:
        case Scope.PERSONAL:
            return lambda info: others is None or not info.name.startswith(others)
        case Scope.INBOXES:
            # RFC 5465 section 6.4: where mail is delivered
            return lambda info: info.name == INBOX
        case Scope.SUBSCRIBED:
            return lambda info: info.subscribed
        case Scope.MAILBOXES:
            return lambda info: info.name in tops
        case Scope.SUBTREE:
            return lambda info: not tops.isdisjoint(_with_levels_above(info.name))
        case Scope.SUBTREE_ONE:
            return lambda info: info.name in tops or _parent(info.name) in tops
        case _:
            return lambda info: False


def _with_levels_above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = _parent(name)


def _parent(name: str) -> str:
    """Empty where there is none."""
    return name.rpartition(SEPARATOR)[0]
