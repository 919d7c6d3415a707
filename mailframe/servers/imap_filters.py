"""Which folders a filter means: RFC 5465 section 6, RFC 7377 section 2.2."""

from __future__ import annotations

from mailframe.core.folders import INBOX, SEPARATOR, FolderInfo
from mailframe.protocols.imap.commands import Filter, Scope


def fits(each: Filter, info: FolderInfo, others: str | None) -> bool:
    """``others``: the prefix of other users' folders. SELECTED is the session's to know and
    fits nothing here."""
    name = info.name
    match each.scope:
        case Scope.PERSONAL:
            return others is None or not name.startswith(others)
        case Scope.INBOXES:
            # RFC 5465 section 6.4: where mail is delivered
            return name == INBOX
        case Scope.SUBSCRIBED:
            return info.subscribed
        case Scope.MAILBOXES:
            return name in each.mailboxes
        case Scope.SUBTREE:
            return any(name == top or name.startswith(top + SEPARATOR) for top in each.mailboxes)
        case Scope.SUBTREE_ONE:
            return any(name == top or _is_child(name, top) for top in each.mailboxes)
        case _:
            return False


def _is_child(name: str, top: str) -> bool:
    return name.rpartition(SEPARATOR)[0] == top
