"""Whether one message is what is searched for: what an index would say, without one.

``judged`` says what flags, sizes and dates say; ``matches`` looks at what the message says, too.
Both look at the same ``Searchable`` as an index does, so that both find the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from operator import attrgetter

from mailframe.core.facts import MessageFacts
from mailframe.core.folders import MessageState
from mailframe.core.search import (
    All,
    And,
    Body,
    Dated,
    DateOf,
    EmailId,
    HasFlag,
    Header,
    Larger,
    ModifiedSince,
    Not,
    Or,
    Received,
    SearchKey,
    Smaller,
    Text,
    ThreadId,
    UidIn,
    When,
)
from mailframe.message.searchable import Searchable, body_needle, header_needle

_DAY = 86_400

Verdict = bool | None
"""None: only the message itself tells."""


def judged(key: SearchKey, state: MessageState) -> Verdict:
    """As far as it can be told without reading the message."""
    match key:
        case And(keys):
            verdicts = [judged(each, state) for each in keys]
            return False if False in verdicts else None if None in verdicts else True
        case Or(left, right):
            verdicts = [judged(left, state), judged(right, state)]
            return True if True in verdicts else None if None in verdicts else False
        case Not(inner):
            verdict = judged(inner, state)
            return None if verdict is None else not verdict
        case All():
            return True
        case UidIn(ranges):
            return any(low <= state.uid <= high for low, high in ranges)
        case HasFlag(flag):
            wanted = flag.lower()
            return any(each.lower() == wanted for each in state.flags)
        case Larger(octets):
            return state.size > octets
        case Smaller(octets):
            return state.size < octets
        case ModifiedSince(modseq):
            return state.modseq >= modseq
        case Received(before, since):
            return (before is None or state.received < before) and (
                since is None or state.received >= since
            )
        case Dated(what, when, day) if what is not DateOf.SENT:
            seconds = state.received if what is DateOf.RECEIVED else state.saved
            return _is_when(seconds // _DAY, when, day)
        case _:
            return None


def matches(
    key: SearchKey, state: MessageState, facts: MessageFacts, searchable: Searchable | None
) -> bool:
    """With all that there is to know. ``searchable`` None: it cannot be read, and no text is
    in it."""
    verdict = judged(key, state)
    if verdict is not None:
        return verdict
    match key:
        case And(keys):
            return all(matches(each, state, facts, searchable) for each in keys)
        case Or(left, right):
            return matches(left, state, facts, searchable) or matches(
                right, state, facts, searchable
            )
        case Not(inner):
            return not matches(inner, state, facts, searchable)
        case _ if searchable is None:
            return False
        case Header(name, value):
            return _in_field(name, header_needle(value), searchable)
        case Body(value):
            return body_needle(value) in searchable.body
        case Text(value):
            if header_needle(value) in searchable.headers:
                return True
            return body_needle(value) in searchable.body
        case Dated(_, when, day):
            sent = searchable.sent_day
            return sent is not None and _is_when(sent, when, day)
        case EmailId(value):
            return facts.email_id == value
        case ThreadId(value):
            return facts.thread_id == value
    raise AssertionError(f"no such key: {key!r}")


def _in_field(name: str, wanted: bytes, searchable: Searchable) -> bool:
    known = _FIELDS.get(name)
    if known is not None:
        # Empty: the field is there at all.
        texts: bytes = known(searchable)
        return bool(texts) and wanted in texts
    start = name.encode("utf-8", "replace") + b": "
    own = searchable.headers.partition(b"\n\n")[0]
    return any(line.startswith(start) and wanted in line[len(start) :] for line in own.split(b"\n"))


_FIELDS: dict[str, Callable[[Searchable], bytes]] = {
    "from": attrgetter("from_"),
    "to": attrgetter("to"),
    "cc": attrgetter("cc"),
    "bcc": attrgetter("bcc"),
    "subject": attrgetter("subject"),
}


def _is_when(day_number: int, when: When, day: datetime.date) -> bool:
    wanted = (day - datetime.date(1970, 1, 1)).days
    if when is When.ON:
        return day_number == wanted
    return day_number < wanted if when is When.BEFORE else day_number >= wanted
