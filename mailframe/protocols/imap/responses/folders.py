"""What is said of folders: LIST, LSUB, STATUS, METADATA, ACL and QUOTA and their kin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mailframe.core.folders import Annotation
from mailframe.protocols.imap.commands import StatusItem
from mailframe.protocols.imap.responses.strings import (
    astring,
    mailbox_name,
    nstring8,
    parenthesised,
    quoted_or_literal,
)

_ATTRIBUTE = re.compile(r"\\[A-Za-z][A-Za-z0-9._-]*")
StatusValue = int | str | None


def list_line(
    name: str,
    attributes: Iterable[str],
    *,
    utf8: bool = False,
    separator: str = "/",
    child_info: Sequence[str] = (),
    old_name: str | None = None,
    lsub: bool = False,
) -> bytes:
    """``child_info``: selection options that children match (RFC 5258 section 4), such as
    SUBSCRIBED; ``old_name``: RFC 9051 section 6.3.9.7."""
    flags = " ".join([a for a in attributes if _ATTRIBUTE.fullmatch(a)]).encode("ascii")
    extended = []
    if child_info:
        options = parenthesised([quoted_or_literal(option) for option in child_info])
        extended.append(b'"CHILDINFO" ' + options)
    if old_name is not None:
        extended.append(b'"OLDNAME" (%s)' % mailbox_name(old_name, utf8))
    return b"* %s (%s) %s %s%s\r\n" % (
        b"LSUB" if lsub else b"LIST",
        flags,
        quoted_or_literal(separator) if separator else b"NIL",
        mailbox_name(name, utf8),
        b" " + parenthesised(extended) if extended else b"",
    )


def status_line(name: str, values: Mapping[StatusItem, StatusValue], utf8: bool = False) -> bytes:
    """None, for APPENDLIMIT, is NIL: no limit (RFC 7889 section 2)."""
    said = [
        item.value.encode("ascii") + b" " + _status_value(value) for item, value in values.items()
    ]
    return b"* STATUS %s %s\r\n" % (mailbox_name(name, utf8), parenthesised(said))


def _status_value(value: StatusValue) -> bytes:
    if value is None:
        return b"NIL"
    # RFC 8474 section 4.3: MAILBOXID stands in parentheses.
    return b"(%s)" % value.encode("ascii") if isinstance(value, str) else b"%d" % value


# ---- METADATA (RFC 5464)


def metadata(name: str, annotations: Iterable[Annotation], utf8: bool = False) -> bytes:
    """The answer to GETMETADATA; nothing at all without annotations."""
    words = [
        word
        for annotation in annotations
        for word in (astring(annotation.entry), nstring8(annotation.value, utf8))
    ]
    if not words:
        return b""
    return b"* METADATA %s %s\r\n" % (_server_or(name, utf8), parenthesised(words))


def metadata_changed(name: str, entries: Iterable[str], utf8: bool = False) -> bytes:
    """Which entries changed, not to what (RFC 5464 section 4.4.2)."""
    said = b" ".join([astring(entry) for entry in entries])
    return b"* METADATA %s %s\r\n" % (_server_or(name, utf8), said)


def _server_or(name: str, utf8: bool) -> bytes:
    return mailbox_name(name, utf8) if name else b'""'


# ---- access (RFC 4314)


def acl(name: str, entries: Iterable[tuple[str, str]], utf8: bool = False) -> bytes:
    """Identifiers and their rights."""
    words = [mailbox_name(name, utf8)]
    for identifier, rights in entries:
        words += [astring(identifier, utf8), astring(rights)]
    return b"* ACL %s\r\n" % b" ".join(words)


def list_rights(
    name: str, identifier: str, always: str, optional: Iterable[str], utf8: bool = False
) -> bytes:
    """``always``: rights that cannot be taken; ``optional``: groups granted together."""
    words = [astring(always), *(astring(rights) for rights in optional)]
    return b"* LISTRIGHTS %s %s %s\r\n" % (
        mailbox_name(name, utf8),
        astring(identifier, utf8),
        b" ".join(words),
    )


def my_rights(name: str, rights: str, utf8: bool = False) -> bytes:
    return b"* MYRIGHTS %s %s\r\n" % (mailbox_name(name, utf8), astring(rights))


# ---- quota (RFC 9208)


def quota(root: str, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """Resource, use and limit; STORAGE counts units of 1024 octets."""
    said = [b"%s %d %d" % (name.encode("ascii"), use, limit) for name, use, limit in resources]
    return b"* QUOTA %s %s\r\n" % (astring(root), parenthesised(said))


def quota_root(name: str, roots: Iterable[str], utf8: bool = False) -> bytes:
    words = [mailbox_name(name, utf8), *(astring(root) for root in roots)]
    return b"* QUOTAROOT %s\r\n" % b" ".join(words)
