"""FETCH: its items and sections, and its modifiers (RFC 7162, 9394)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain

from mailframe.protocols.imap.commands import Fetch, Item, Section, SectionKind, SectionText
from mailframe.protocols.imap.grammar import NUMBER64_MAX, BadCommand, Scanner
from mailframe.protocols.imap.parse import partial

_ITEMS_LIMIT = 300
_FIELDS_LIMIT = 500
_PART_LIMIT = 100
"""Numbers in a part's path: deeper than any message that is read."""

# RFC 9051 section 6.4.5
_FAST = (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE)
_ALL = (*_FAST, Item.ENVELOPE)
_MACROS = {"FAST": _FAST, "ALL": _ALL, "FULL": (*_ALL, Item.BODY)}

_PLAIN = {
    item.value: item for item in Item if item not in (Item.BODY, Item.PREVIEW, Item.PREVIEW_LAZY)
}
_WHOLE = {
    "RFC822": Section(SectionKind.RFC822),
    "RFC822.HEADER": Section(SectionKind.RFC822_HEADER, text=SectionText.HEADER, peek=True),
    "RFC822.TEXT": Section(SectionKind.RFC822_TEXT, text=SectionText.TEXT),
}
_SECTIONS = {
    "BODY": (SectionKind.BODY, False),
    "BODY.PEEK": (SectionKind.BODY, True),
    "BINARY": (SectionKind.BINARY, False),
    "BINARY.PEEK": (SectionKind.BINARY, True),
    "BINARY.SIZE": (SectionKind.BINARY_SIZE, True),
}
_TEXTS = {text.value: text for text in SectionText if text.value}
_FIELD_TEXTS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)

_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+")
_LAZY = re.compile(rb" +\( *LAZY *\)", re.IGNORECASE)
_FIELD = re.compile(r"[\x21-\x39\x3b-\x7e]+")


def fetch(*, uid: bool) -> Callable[[Scanner], Fetch]:
    return lambda scanner: _fetch(scanner, uid)


def _fetch(scanner: Scanner, uid: bool) -> Fetch:
    scanner.sp()
    messages = scanner.message_set()
    scanner.sp()
    items = _items_or_macro(scanner)
    changed_since: int | None = None
    vanished = False
    page: tuple[int, int] | None = None

    def modifier() -> None:
        nonlocal changed_since, vanished, page
        name = scanner.word()
        if name == "CHANGEDSINCE" and changed_since is None:
            scanner.sp()
            # RFC 7162 has no 0 here, and clients that have seen nothing yet send it.
            changed_since = scanner.number64()
        elif name == "PARTIAL" and page is None:
            scanner.sp()
            page = partial.partial_range(scanner)
        elif name == "VANISHED":
            vanished = True
        else:
            raise scanner.bad("No such FETCH modifier")

    if scanner.more():
        scanner.listed(modifier)
    # RFC 7162 section 3.2.6
    if vanished and (not uid or changed_since is None):
        raise BadCommand("VANISHED goes with UID FETCH and CHANGEDSINCE only")
    # RFC 9394 section 3.3
    if page is not None and not uid:
        raise BadCommand("PARTIAL goes with UID FETCH only")
    return Fetch(messages, uid, items, changed_since, vanished, page)


def _items_or_macro(scanner: Scanner) -> tuple[Item | Section, ...]:
    if scanner.peek() == b"(":
        return items(scanner)
    return _item_or_macro(scanner)


def items(scanner: Scanner) -> tuple[Item | Section, ...]:
    """``(FLAGS BODY[1])``: nothing twice. Macros belong alone, but are harmless here."""
    found = scanner.listed(lambda: _item_or_macro(scanner), limit=_ITEMS_LIMIT)
    return _distinct(chain.from_iterable(found))


def _distinct(found: Iterable[Item | Section]) -> tuple[Item | Section, ...]:
    r"""What has the same name in the answer is sent once: the one that sets ``\Seen`` stays,
    and PREVIEW where LAZY stands beside it."""
    kept: dict[Item | Section, Item | Section] = {}
    for item in found:
        if isinstance(item, Section):
            key: Item | Section = replace(item, peek=False)
        else:
            key = Item.PREVIEW if item is Item.PREVIEW_LAZY else item
        if key not in kept or item == key:
            kept[key] = item
    return tuple(kept.values())


def _item_or_macro(scanner: Scanner) -> tuple[Item | Section, ...]:
    name = scanner.word()
    return _MACROS[name] if name in _MACROS else (_item_named(scanner, name),)


def _item_named(scanner: Scanner, name: str) -> Item | Section:
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _WHOLE:
        return _WHOLE[name]
    if name == "PREVIEW":
        return _preview(scanner)
    if name == "BODY" and scanner.peek() != b"[":
        return Item.BODY
    if name in _SECTIONS:
        return _section(scanner, *_SECTIONS[name])
    raise scanner.bad("No such FETCH item")


def _preview(scanner: Scanner) -> Item:
    """RFC 8970 section 3.1: ``PREVIEW (LAZY)``. In a list of items a space may as well be
    the next item's."""
    return Item.PREVIEW_LAZY if scanner.skip(_LAZY) else Item.PREVIEW


def _section(scanner: Scanner, kind: SectionKind, peek: bool) -> Section:
    scanner.expect(b"[")
    part = _part(scanner)
    section = Section(kind, part, peek=peek)
    if kind is SectionKind.BODY and scanner.peek() != b"]":
        if part:
            scanner.expect(b".")
        text, fields = _section_text(scanner, has_part=bool(part))
        section = replace(section, text=text, fields=fields)
    scanner.expect(b"]")
    if kind is not SectionKind.BINARY_SIZE and scanner.took(b"<"):
        first = scanner.number64()
        scanner.expect(b".")
        section = replace(section, partial=(first, scanner.nz_number(NUMBER64_MAX)))
        scanner.expect(b">")
    return section


def _part(scanner: Scanner) -> tuple[int, ...]:
    match = scanner.skip(_PART)
    if match is None:
        return ()
    numbers = match[0].split(b".")
    if len(numbers) > _PART_LIMIT:
        raise BadCommand("Part number too deep", "LIMIT")
    return tuple(map(int, numbers))


def _section_text(scanner: Scanner, *, has_part: bool) -> tuple[SectionText, tuple[str, ...]]:
    """And the names of the fields it is about."""
    text = _TEXTS.get(scanner.word())
    # RFC 9051 section 6.4.5.1: MIME is a part's header, a message has none.
    if text is None or (text is SectionText.MIME and not has_part):
        raise scanner.bad("No such section")
    if text not in _FIELD_TEXTS:
        return text, ()
    scanner.sp()
    fields = scanner.listed(lambda: _field(scanner), limit=_FIELDS_LIMIT)
    return text, tuple(fields)


def _field(scanner: Scanner) -> str:
    name = scanner.astring()
    if not _FIELD.fullmatch(name):
        raise scanner.bad("Not the name of a header field")
    return name
