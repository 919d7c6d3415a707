"""Which folders NOTIFY and ESEARCH are about (RFC 5465 section 6, RFC 7377 section 2.2)."""

from __future__ import annotations

from mailframe.protocols.imap.commands import Filter, Scope
from mailframe.protocols.imap.grammar import Scanner

_SCOPES = {scope.value.upper(): scope for scope in Scope}
_NAMING = frozenset({Scope.SUBTREE, Scope.SUBTREE_ONE, Scope.MAILBOXES})
_MAILBOXES_LIMIT = 1000


def mailbox_filter(scanner: Scanner) -> Filter:
    """``personal``, or ``subtree (a b)``."""
    scope = _SCOPES.get(scanner.word())
    if scope is None:
        raise scanner.bad("No such mailbox filter")
    if scope not in _NAMING:
        return Filter(scope)
    scanner.sp()
    if scanner.peek() == b"(":
        mailboxes = scanner.listed(scanner.mailbox, limit=_MAILBOXES_LIMIT)
    else:
        mailboxes = [scanner.mailbox()]
    return Filter(scope, tuple(dict.fromkeys(mailboxes)))
