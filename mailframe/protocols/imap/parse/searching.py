"""SEARCH, ESEARCH, SORT, THREAD and CANCELUPDATE.

RFC 9051 section 6.4.4, RFC 4731 (ESEARCH), 5182 (``$``), 5256 (SORT, THREAD), 5267 (CONTEXT),
7377 (MULTISEARCH), 9394 (PARTIAL).
"""

from __future__ import annotations

from collections.abc import Callable

from mailframe.core.search import SortBy, SortCriterion, ThreadAlgorithm
from mailframe.protocols.imap.commands import (
    CancelUpdate,
    Filter,
    Return,
    ReturnOptions,
    Scope,
    Search,
    Sort,
    Source,
    Thread,
)
from mailframe.protocols.imap.grammar import BadCommand, Scanner
from mailframe.protocols.imap.parse import charsets, filters, partial
from mailframe.protocols.imap.parse.keys import KeyReader

_RETURNS = {option.value: option for option in Return}
_SORT_KEYS = {by.value: by for by in SortBy}
_ALGORITHMS = {algorithm.value: algorithm for algorithm in ThreadAlgorithm}
_TAGS_LIMIT = 100
_CRITERIA_LIMIT = 50
_SELECTED = Source((Filter(Scope.SELECTED),))


def search(*, uid: bool) -> Callable[[Scanner], Search]:
    return lambda scanner: _search(scanner, uid)


def _search(scanner: Scanner, uid: bool) -> Search:
    scanner.sp()
    returns = _returns(scanner)
    reader = KeyReader(scanner, _charset(scanner))
    criterion = reader.program()
    return Search(criterion, uid, returns, reader.uses_modseq)


def esearch(scanner: Scanner) -> Search:
    """RFC 7377: answers with uids, and always with ESEARCH."""
    scanner.sp()
    source = _SELECTED
    if scanner.took_word(b"IN"):
        sources = scanner.listed(lambda: filters.mailbox_filter(scanner))
        source = Source(tuple(dict.fromkeys(sources)))
        scanner.sp()
    returns = _returns(scanner) or ReturnOptions(frozenset({Return.ALL}))
    reader = KeyReader(scanner, _charset(scanner))
    criterion = reader.program()
    return Search(criterion, True, returns, reader.uses_modseq, source)


def sort(*, uid: bool) -> Callable[[Scanner], Sort]:
    return lambda scanner: _sort(scanner, uid)


def _sort(scanner: Scanner, uid: bool) -> Sort:
    scanner.sp()
    returns = _returns(scanner)
    by = scanner.listed(lambda: _sort_criterion(scanner), limit=_CRITERIA_LIMIT)
    scanner.sp()
    reader = KeyReader(scanner, _codec(scanner))
    scanner.sp()
    criterion = reader.program()
    return Sort(tuple(by), criterion, uid, returns, reader.uses_modseq)


def _sort_criterion(scanner: Scanner) -> SortCriterion:
    name = scanner.word()
    reverse = name == "REVERSE"
    if reverse:
        scanner.sp()
        name = scanner.word()
    if name not in _SORT_KEYS:
        raise scanner.bad("No such sort key")
    return SortCriterion(_SORT_KEYS[name], reverse)


def thread(*, uid: bool) -> Callable[[Scanner], Thread]:
    return lambda scanner: _thread(scanner, uid)


def _thread(scanner: Scanner, uid: bool) -> Thread:
    scanner.sp()
    algorithm = _ALGORITHMS.get(scanner.word())
    if algorithm is None:
        raise scanner.bad("No such thread algorithm")
    scanner.sp()
    reader = KeyReader(scanner, _codec(scanner))
    scanner.sp()
    criterion = reader.program()
    return Thread(algorithm, criterion, uid, reader.uses_modseq)


def _charset(scanner: Scanner) -> str:
    """The codec of ``CHARSET name ``, if that comes next. Without it: UTF-8 (RFC 9051), of
    which RFC 3501's US-ASCII is a part."""
    if not scanner.took_word(b"CHARSET"):
        return charsets.UTF8
    # RFC 6855 section 3
    if not scanner.charsets:
        raise BadCommand("No CHARSET after ENABLE UTF8=ACCEPT")
    codec = charsets.codec(scanner.astring())
    scanner.sp()
    return codec


def _codec(scanner: Scanner) -> str:
    """Of the charset that SORT and THREAD have to name."""
    codec = charsets.codec(scanner.astring())
    # RFC 6855 section 3
    if not scanner.charsets and codec != charsets.UTF8:
        raise BadCommand("UTF-8 is the only charset after ENABLE UTF8=ACCEPT")
    return codec


def _returns(scanner: Scanner) -> ReturnOptions | None:
    """``RETURN (...) ``, if that comes next."""
    if not scanner.took_word(b"RETURN"):
        return None
    wanted: set[Return] = set()
    page: tuple[int, int] | None = None

    def option() -> None:
        nonlocal page
        found = _RETURNS.get(scanner.word())
        if found is None:
            raise scanner.bad("No such RETURN option")
        if found is Return.PARTIAL:
            if page is not None:
                raise scanner.bad("PARTIAL only once")
            scanner.sp()
            page = partial.partial_range(scanner)
        wanted.add(found)

    scanner.listed(option, empty=True)
    scanner.sp()
    # RFC 9394 section 3.1
    if {Return.PARTIAL, Return.ALL} <= wanted:
        raise BadCommand("Either PARTIAL or ALL")
    # RFC 9051 section 6.4.4: an empty list stands for ALL.
    return ReturnOptions(frozenset(wanted or {Return.ALL}), page)


def cancel_update(scanner: Scanner) -> CancelUpdate:
    scanner.sp()
    tags = [scanner.astring()]
    while scanner.more():
        tags.append(scanner.astring())
        if len(tags) > _TAGS_LIMIT:
            raise BadCommand("Too many tags", "LIMIT")
    return CancelUpdate(tuple(tags))
