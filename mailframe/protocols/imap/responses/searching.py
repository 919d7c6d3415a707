"""What was found: SEARCH, SORT, THREAD and ESEARCH with all that extensions put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mailframe.core.search import ThreadNode
from mailframe.protocols.imap.responses.strings import mailbox_name, quoted_or_literal
from mailframe.protocols.imap.sets import format_uids


def search(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """``modseq``: the highest among those found, where MODSEQ was searched for (RFC 7162)."""
    return _numbers(b"* SEARCH", numbers, modseq)


def sort(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    return _numbers(b"* SORT", numbers, modseq)


def _numbers(word: bytes, numbers: Iterable[int], modseq: int | None) -> bytes:
    said = " ".join(map(str, numbers)).encode("ascii")
    words = [word, said] if said else [word]
    if modseq is not None and said:
        words.append(b"(MODSEQ %d)" % modseq)
    return b" ".join(words) + b"\r\n"


def esearch(
    tag: str,
    *,
    uid: bool,
    minimum: int | None = None,
    maximum: int | None = None,
    all_: Iterable[int] | None = None,
    count: int | None = None,
    partial: tuple[tuple[int, int], Iterable[int]] | None = None,
    modseq: int | None = None,
    mailbox: str | None = None,
    uid_validity: int | None = None,
    utf8: bool = False,
) -> bytes:
    """RFC 9051 section 7.3.4. What is None is not said, nor is an empty ``all_``; an empty
    ``partial`` is NIL (RFC 9394). ``all_`` may be in sorted order (RFC 5267). ``mailbox`` and
    ``uid_validity``: RFC 7377."""
    words = [_begins(tag, uid, mailbox, uid_validity, utf8)]
    if minimum is not None:
        words.append(b"MIN %d" % minimum)
    if maximum is not None:
        words.append(b"MAX %d" % maximum)
    if count is not None:
        words.append(b"COUNT %d" % count)
    found = format_uids(all_) if all_ is not None else b""
    if found:
        words.append(b"ALL " + found)
    if partial is not None:
        (first, last), shown = partial
        # imaptest, and Dovecot, tell a range as a range, however it was asked for.
        low, high = sorted((first, last), key=abs)
        words.append(b"PARTIAL (%d:%d %s)" % (low, high, format_uids(shown) or b"NIL"))
    if modseq is not None:
        words.append(b"MODSEQ %d" % modseq)
    return b" ".join(words) + b"\r\n"


def context_added(tag: str, changes: Sequence[tuple[int, Iterable[int]]], *, uid: bool) -> bytes:
    """RFC 5267 section 4.3: position (0: not in any order) and the numbers put there."""
    return _context(b"ADDTO", tag, changes, uid)


def context_removed(tag: str, changes: Sequence[tuple[int, Iterable[int]]], *, uid: bool) -> bytes:
    return _context(b"REMOVEFROM", tag, changes, uid)


def _context(
    word: bytes, tag: str, changes: Sequence[tuple[int, Iterable[int]]], uid: bool
) -> bytes:
    said = [(position, format_uids(numbers)) for position, numbers in changes]
    pairs = b" ".join([b"%d %s" % (position, numbers) for position, numbers in said if numbers])
    if not pairs:
        return b""
    return b"%s %s (%s)\r\n" % (_begins(tag, uid), word, pairs)


def _begins(
    tag: str,
    uid: bool,
    mailbox: str | None = None,
    uid_validity: int | None = None,
    utf8: bool = False,
) -> bytes:
    correlator = [b"TAG " + quoted_or_literal(tag)]
    if mailbox is not None:
        correlator.append(b"MAILBOX " + mailbox_name(mailbox, utf8))
    if uid_validity is not None:
        correlator.append(b"UIDVALIDITY %d" % uid_validity)
    return b"* ESEARCH (%s)%s" % (b" ".join(correlator), b" UID" if uid else b"")


def thread(nodes: Sequence[ThreadNode], number: Callable[[int], int] = lambda uid: uid) -> bytes:
    """``number`` turns uids into message numbers for THREAD without UID. Works off threads of
    any depth."""
    if not nodes:
        return b"* THREAD\r\n"
    out: list[str] = []
    # What is left to write, last first: a thread, or a parenthesis.
    todo: list[ThreadNode | str] = []
    for node in reversed(nodes):
        todo += [")", node, "("]
    while todo:
        step = todo.pop()
        if isinstance(step, str):
            out.append(step)
        else:
            _write_thread(step, number, out, todo)
    return ("* THREAD " + "".join(out) + "\r\n").encode("ascii")


def _write_thread(
    node: ThreadNode,
    number: Callable[[int], int],
    out: list[str],
    todo: list[ThreadNode | str],
) -> None:
    """The members of one thread down to where it splits (RFC 5256 section 4: thread-list)."""
    words = [] if node.uid is None else [str(number(node.uid))]
    while len(node.children) == 1:
        node = node.children[0]
        if node.uid is not None:
            words.append(str(number(node.uid)))
    out.append(" ".join(words))
    if node.children and words:
        out.append(" ")
    for child in reversed(node.children):
        todo += [")", child, "("]
