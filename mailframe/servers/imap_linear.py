"""SEARCH in a folder that cannot search: every message is looked at, and read if need be.

What flags, sizes and dates decide is decided first; only messages that are still open then are
read, a batch at a time, and taken apart by a worker. It finds what an index finds: both look at
the same ``Searchable``.
"""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from mailframe.interfaces.folders import IFolder
from mailframe.interfaces.work import IWorkers
from mailframe.message.facts import read_facts
from mailframe.message.searchable import (
    Searchable,
    body_needle,
    header_needle,
    read_searchable,
)
from mailframe.servers.imap_loading import read_contents

_MESSAGES = 64
_OCTETS = 4_000_000
_DAY = 86_400

Verdict = bool | None
"""None: only the message itself tells."""


async def search(
    folder: IFolder,
    key: SearchKey,
    workers: IWorkers,
    breathe: Callable[[], Awaitable[None]],
) -> Sequence[int]:
    """uids that match, ascending. ``breathe`` is awaited after each of some hundred messages."""
    found: list[int] = []
    states = list(folder.messages.values())
    batch: list[MessageState] = []
    octets = 0
    for number, state in enumerate(states):
        verdict = judged(key, state)
        if verdict:
            found.append(state.uid)
        elif verdict is None:
            batch.append(state)
            octets += state.size
        if batch and (len(batch) == _MESSAGES or octets > _OCTETS):
            found += await _read(folder, key, workers, batch)
            batch, octets = [], 0
            await breathe()
        elif number % 512 == 0:
            await breathe()
    if batch:
        found += await _read(folder, key, workers, batch)
    return sorted(found)


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


async def _read(
    folder: IFolder, key: SearchKey, workers: IWorkers, batch: Sequence[MessageState]
) -> Sequence[int]:
    contents = await read_contents(folder, [state.uid for state in batch])
    found: Sequence[int] = await workers.run(_matching, key, batch, contents)
    return found


def _matching(
    key: SearchKey, batch: Sequence[MessageState], contents: Mapping[int, bytes]
) -> list[int]:
    found = []
    for state in batch:
        data = contents.get(state.uid)
        facts = read_facts(data) if data is not None else MessageFacts()
        searchable = read_searchable(data, facts) if data is not None else None
        if matches(key, state, facts, searchable):
            found.append(state.uid)
    return found


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
