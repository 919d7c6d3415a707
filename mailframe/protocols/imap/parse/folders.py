"""SELECT and its parameters (RFC 7162), and what is done with folders as a whole."""

from __future__ import annotations

from collections.abc import Callable

from mailframe.core.folders import SPECIAL_USES
from mailframe.protocols.imap import sets
from mailframe.protocols.imap.commands import (
    Create,
    Delete,
    KnownState,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
)
from mailframe.protocols.imap.grammar import NUMBER64_MAX, Scanner

_MATCHES_LIMIT = 10_000
"""Pairs of QRESYNC's sequence match data that are looked at. They only save work: whoever
ignores some of them tells the client of more expunges than it need be told."""

_STATUS_ITEMS = {item.value: item for item in StatusItem}
_SPECIAL_USES = {use.lower(): use for use in SPECIAL_USES}


def select(*, read_only: bool) -> Callable[[Scanner], Select]:
    return lambda scanner: _select(scanner, read_only)


def _select(scanner: Scanner, read_only: bool) -> Select:
    scanner.sp()
    mailbox = scanner.mailbox()
    condstore = False
    known: list[KnownState] = []

    def parameter() -> None:
        nonlocal condstore
        name = scanner.word()
        if name == "CONDSTORE":
            condstore = True
        elif name == "QRESYNC" and not known:
            scanner.sp()
            known.append(_known_state(scanner))
        else:
            raise scanner.bad("No such SELECT parameter")

    if scanner.more():
        scanner.listed(parameter)
    return Select(mailbox, read_only, condstore, known[0] if known else None)


def _known_state(scanner: Scanner) -> KnownState:
    """``(uidvalidity modseq [known-uids] [(numbers uids)])``, RFC 7162 section 3.2.5."""
    scanner.open()
    uid_validity = scanner.nz_number()
    scanner.sp()
    modseq = scanner.nz_number(NUMBER64_MAX)
    uids: sets.Ranges | None = None
    matches: tuple[tuple[int, int], ...] = ()
    more = scanner.another()
    if more and scanner.peek() != b"(":
        uids = scanner.ranges()
        more = scanner.another()
    if more:
        matches = _matches(scanner)
    scanner.close()
    return KnownState(uid_validity, modseq, uids, matches)


def _matches(scanner: Scanner) -> tuple[tuple[int, int], ...]:
    scanner.open()
    numbers = scanner.ranges()
    scanner.sp()
    uids = scanner.ranges()
    scanner.close()
    if sets.count(numbers) != sets.count(uids):
        raise scanner.bad("As many uids as numbers expected")
    return tuple(zip(_first(numbers), _first(uids), strict=True))


def _first(ranges: sets.Ranges) -> list[int]:
    found: list[int] = []
    for first, last in ranges:
        room = _MATCHES_LIMIT - len(found)
        found.extend(range(first, min(last, first + room - 1) + 1))
    return found


def create(scanner: Scanner) -> Create:
    scanner.sp()
    mailbox = scanner.mailbox()
    uses: list[str] = []

    def parameter() -> None:
        if uses or scanner.word() != "USE":
            raise scanner.bad("No such CREATE parameter")
        scanner.sp()
        uses.extend(scanner.listed(lambda: _special_use(scanner), empty=True))

    if scanner.more():
        scanner.listed(parameter)
    return Create(mailbox, tuple(dict.fromkeys(uses)))


def _special_use(scanner: Scanner) -> str:
    """In RFC 6154's spelling; one we do not know as it is, for NO [USEATTR]."""
    scanner.expect(b"\\")
    use = "\\" + scanner.atom()
    return _SPECIAL_USES.get(use.lower(), use)


def delete(scanner: Scanner) -> Delete:
    scanner.sp()
    return Delete(scanner.mailbox())


def rename(scanner: Scanner) -> Rename:
    scanner.sp()
    old = scanner.mailbox()
    scanner.sp()
    return Rename(old, scanner.mailbox())


def subscribe(scanner: Scanner) -> Subscribe:
    scanner.sp()
    return Subscribe(scanner.mailbox(), subscribed=True)


def unsubscribe(scanner: Scanner) -> Subscribe:
    scanner.sp()
    return Subscribe(scanner.mailbox(), subscribed=False)


def status(scanner: Scanner) -> Status:
    scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    return Status(mailbox, status_items(scanner))


def status_items(scanner: Scanner) -> tuple[StatusItem, ...]:
    """``(MESSAGES UNSEEN)``, none twice."""
    return tuple(dict.fromkeys(scanner.listed(lambda: _status_item(scanner))))


def _status_item(scanner: Scanner) -> StatusItem:
    item = _STATUS_ITEMS.get(scanner.word())
    if item is None:
        raise scanner.bad("No such STATUS item")
    return item
