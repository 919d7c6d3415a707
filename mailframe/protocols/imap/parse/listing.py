"""LIST with its options (RFC 5258, 5819, 6154, 8440, 9590) and LSUB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailframe.protocols.imap.commands import List
from mailframe.protocols.imap.grammar import BadCommand, Scanner
from mailframe.protocols.imap.parse import folders, metadata

# LIST's field that each option sets.
_SELECTION = {
    "SUBSCRIBED": "only_subscribed",
    "SPECIAL-USE": "only_special_use",
    "REMOTE": "remote",
    "RECURSIVEMATCH": "recursive_match",
}
_RETURN = {
    "SUBSCRIBED": "return_subscribed",
    "CHILDREN": "return_children",
    "SPECIAL-USE": "return_special_use",
    "MYRIGHTS": "return_my_rights",
}
_PATTERNS_LIMIT = 100
Fields = dict[str, Any]


def list_(scanner: Scanner) -> List:
    fields: Fields = {}
    scanner.sp()
    if scanner.peek() == b"(":
        scanner.listed(lambda: _selection(scanner, fields), empty=True)
        fields["extended"] = True
        scanner.sp()
    # RFC 5258 section 3.1: it says only how to look at what something else selects.
    if fields.get("recursive_match") and not _selects(fields):
        raise BadCommand("RECURSIVEMATCH with nothing to match")
    reference = scanner.list_pattern()
    scanner.sp()
    patterns = _patterns(scanner, fields)
    if scanner.more():
        scanner.expect(b"RETURN")
        scanner.sp()
        scanner.listed(lambda: _return(scanner, fields), empty=True)
        fields["extended"] = True
    return List(reference, patterns, **fields)


def _selects(fields: Fields) -> bool:
    return "only_subscribed" in fields or "only_special_use" in fields


def _patterns(scanner: Scanner, fields: Fields) -> tuple[str, ...]:
    if scanner.peek() != b"(":
        return (scanner.list_pattern(),)
    fields["extended"] = True
    return tuple(scanner.listed(scanner.list_pattern, limit=_PATTERNS_LIMIT))


def _selection(scanner: Scanner, fields: Fields) -> None:
    field = _SELECTION.get(scanner.word())
    if field is None:
        raise scanner.bad("No such LIST selection option")
    fields[field] = True


def _return(scanner: Scanner, fields: Fields) -> None:
    name = scanner.word()
    if name in _RETURN:
        fields[_RETURN[name]] = True
        return
    values = _RETURN_VALUES.get(name)
    if values is None:
        raise scanner.bad("No such LIST return option")
    scanner.sp()
    values(scanner, fields)


def _return_status(scanner: Scanner, fields: Fields) -> None:
    fields["return_status"] = folders.status_items(scanner)


def _return_metadata(scanner: Scanner, fields: Fields) -> None:
    """``(entry ...)``; options may stand before, as GETMETADATA has them."""
    options = metadata.options(scanner)
    if options is not None:
        fields["metadata_options"] = options
        scanner.sp()
    fields["return_metadata"] = metadata.entry_list(scanner)


_RETURN_VALUES: dict[str, Callable[[Scanner, Fields], None]] = {
    "STATUS": _return_status,
    "METADATA": _return_metadata,
}


def lsub(scanner: Scanner) -> List:
    scanner.sp()
    reference = scanner.list_pattern()
    scanner.sp()
    return List(reference, (scanner.list_pattern(),), lsub=True)
