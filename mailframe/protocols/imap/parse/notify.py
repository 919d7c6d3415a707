"""NOTIFY (RFC 5465)."""

from __future__ import annotations

import re

from mailframe.protocols.imap.commands import (
    EventGroup,
    Filter,
    Item,
    Notify,
    NotifyEvent,
    Scope,
    Section,
)
from mailframe.protocols.imap.grammar import BadCommand, Scanner
from mailframe.protocols.imap.parse import fetch, filters

_GROUPS_LIMIT = 100
_ITEMS_FOLLOW = re.compile(rb" +(?=\()")
_EVENTS = {event.value.upper(): event for event in NotifyEvent}
_SELECTED = frozenset({Scope.SELECTED, Scope.SELECTED_DELAYED})
_BOTH = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE})
_FLAGS = frozenset({NotifyEvent.FLAG_CHANGE, NotifyEvent.ANNOTATION_CHANGE})
_OF_MESSAGES = _BOTH | _FLAGS


def notify(scanner: Scanner) -> Notify:
    scanner.sp()
    if scanner.took(b"NONE"):
        return Notify(())
    scanner.expect(b"SET")
    scanner.sp()
    status = scanner.took_word(b"STATUS")
    unknown: list[str] = []
    groups = [_group(scanner, unknown)]
    while scanner.more():
        if len(groups) == _GROUPS_LIMIT:
            raise BadCommand("Too many event groups", "LIMIT")
        groups.append(_group(scanner, unknown))
    # RFC 5465 section 6.2: one way for the selected mailbox, not two.
    if sum(group.filter.scope in _SELECTED for group in groups) > 1:
        raise BadCommand("The selected mailbox only once")
    return Notify(tuple(groups), status, tuple(dict.fromkeys(unknown)))


def _group(scanner: Scanner, unknown: list[str]) -> EventGroup:
    """``(filter (event event))`` or ``(filter NONE)``."""
    scanner.open()
    where = filters.mailbox_filter(scanner)
    # Only ESEARCH knows this one (RFC 7377 section 2.2).
    if where.scope is Scope.SUBTREE_ONE:
        raise scanner.bad("No such mailbox filter")
    scanner.sp()
    if scanner.took(b"NONE"):
        scanner.close()
        return EventGroup(where, frozenset())
    before = len(unknown)
    events: set[NotifyEvent] = set()
    items: list[Item | Section] = []
    scanner.listed(lambda: _event(scanner, events, items, unknown))
    scanner.close()
    _check(where, events, items, complete=len(unknown) == before)
    return EventGroup(where, frozenset(events), tuple(items))


def _event(
    scanner: Scanner,
    events: set[NotifyEvent],
    items: list[Item | Section],
    unknown: list[str],
) -> None:
    name = scanner.atom()
    event = _EVENTS.get(name.upper())
    if event is None:
        unknown.append(name)
        return
    if event is NotifyEvent.MESSAGE_NEW and not items and scanner.skip(_ITEMS_FOLLOW):
        items.extend(fetch.items(scanner))
    events.add(event)


def _check(
    where: Filter, events: set[NotifyEvent], items: list[Item | Section], *, complete: bool
) -> None:
    """``complete``: every event was known; who asks for others hears of those first."""
    if not complete:
        return
    # RFC 5465 section 5.1: both or neither, and both where flags are asked for.
    if events & _OF_MESSAGES and not events >= _BOTH:
        raise BadCommand("MessageNew and MessageExpunge go together")
    if where.scope in _SELECTED:
        if not events <= _OF_MESSAGES:
            raise BadCommand("Only message events for the selected mailbox")
    elif items:
        raise BadCommand("FETCH items only for the selected mailbox")
