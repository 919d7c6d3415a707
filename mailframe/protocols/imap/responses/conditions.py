"""Untagged OK, NO, BAD, BYE and PREAUTH with their response codes (RFC 9051 section 7.1), and
what the server says of itself: ENABLED, ID, FLAGS, EXISTS.

The functions that end in ``_code`` give what stands between the brackets, for ``finish``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailframe.core.folders import Namespaces
from mailframe.protocols.imap.responses.strings import (
    flag_names,
    mailbox_name,
    nstring,
    parenthesised,
    quoted_or_literal,
    text_line,
)
from mailframe.protocols.imap.sets import format_uids


def condition(word: str, text: str, code: str = "") -> bytes:
    """``* OK [code] text``; ``word`` is OK, NO, BAD, BYE or PREAUTH. Whatever text and code
    are, it stays one line."""
    bracketed = b"[" + text_line(code).replace(b"]", b"") + b"] " if code else b""
    return b"* %s %s%s\r\n" % (word.encode("ascii"), bracketed, text_line(text))


def ok(text: str, code: str = "") -> bytes:
    return condition("OK", text, code)


def no(text: str, code: str = "") -> bytes:
    return condition("NO", text, code)


def enabled(names: Iterable[str]) -> bytes:
    return " ".join(["* ENABLED", *names]).encode("ascii") + b"\r\n"


def identity(parameters: Sequence[tuple[str, str | None]]) -> bytes:
    """ID (RFC 2971)."""
    if not parameters:
        return b"* ID NIL\r\n"
    words = [
        word for name, value in parameters for word in (quoted_or_literal(name), nstring(value))
    ]
    return b"* ID " + parenthesised(words) + b"\r\n"


def namespace(namespaces: Namespaces, separator: str = "/", utf8: bool = False) -> bytes:
    """Personal, other users', shared (RFC 9051 section 6.3.10)."""
    return b"* NAMESPACE %s %s NIL\r\n" % (
        _prefix(namespaces.personal, separator, utf8),
        _prefix(namespaces.others, separator, utf8),
    )


def _prefix(prefix: str | None, separator: str, utf8: bool) -> bytes:
    if prefix is None:
        return b"NIL"
    name = mailbox_name(prefix, utf8)
    if name[:1] not in b'"{':
        name = b'"%s"' % name  # RFC 9051: Namespace-Descr is a string, not an astring
    return b"((%s %s))" % (name, quoted_or_literal(separator))


# ---- the selected folder


def flags(names: Iterable[str]) -> bytes:
    return b"* FLAGS " + flag_names(names) + b"\r\n"


def permanent_flags(names: Iterable[str], text: str = "Flags that stay") -> bytes:
    return b"* OK [PERMANENTFLAGS %s] %s\r\n" % (flag_names(names), text_line(text))


def exists(messages: int) -> bytes:
    return b"* %d EXISTS\r\n" % messages


def recent(messages: int) -> bytes:
    return b"* %d RECENT\r\n" % messages


def expunges(numbers: Iterable[int]) -> bytes:
    return b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])


def vanished(uids: Iterable[int], *, earlier: bool = False) -> bytes:
    """RFC 7162 section 3.2.10; nothing at all where there are no uids."""
    gone = format_uids(uids)
    if not gone:
        return b""
    return b"* VANISHED %s%s\r\n" % (b"(EARLIER) " if earlier else b"", gone)


# ---- response codes


def uid_validity_code(uid_validity: int) -> str:
    return f"UIDVALIDITY {uid_validity}"


def uid_next_code(uid: int) -> str:
    return f"UIDNEXT {uid}"


def unseen_code(number: int) -> str:
    return f"UNSEEN {number}"


def highest_modseq_code(modseq: int) -> str:
    return f"HIGHESTMODSEQ {modseq}"


def mailbox_id_code(mailbox_id: str) -> str:
    """RFC 8474 section 4.1."""
    return f"MAILBOXID ({mailbox_id})"


def append_uid_code(uid_validity: int, uids: Iterable[int]) -> str:
    """RFC 4315 section 3."""
    return f"APPENDUID {uid_validity} {_set(uids)}"


def copy_uid_code(uid_validity: int, sources: Iterable[int], targets: Iterable[int]) -> str:
    return f"COPYUID {uid_validity} {_set(sources)} {_set(targets)}"


def modified_code(numbers: Iterable[int]) -> str:
    """RFC 7162 section 3.1.3; uids after a UID command."""
    return f"MODIFIED {_set(numbers)}"


def in_progress(tag: str, done: int | None = None, goal: int | None = None) -> bytes:
    """RFC 9585: ``* OK [INPROGRESS ("tag" done goal)] ...``."""
    said = [quoted_or_literal(tag), *(b"NIL" if n is None else b"%d" % n for n in (done, goal))]
    return b"* OK [INPROGRESS %s] Still at it\r\n" % parenthesised(said)


def message_limit_code(limit: int, lowest_uid: int | None = None) -> str:
    """RFC 9738: what was left out begins below this uid."""
    return f"MESSAGELIMIT {limit}" if lowest_uid is None else f"MESSAGELIMIT {limit} {lowest_uid}"


def metadata_long_entries_code(octets: int) -> str:
    """RFC 5464 section 4.2.1: the longest value that was left out."""
    return f"METADATA LONGENTRIES {octets}"


def _set(uids: Iterable[int]) -> str:
    return format_uids(uids).decode("ascii")
