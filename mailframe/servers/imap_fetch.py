"""FETCH and UID FETCH (RFC 9051 section 6.4.5), with CONDSTORE, QRESYNC, PARTIAL, BINARY,
PREVIEW, OBJECTID, SAVEDATE and UIDONLY.

Four ways to a message: what is known of every message anyhow (flags, sizes, dates) goes out a
thousand lines at a time; what an index remembers (ENVELOPE ..., header sections) and small
messages are loaded in batches, the next one while the client takes the last one; messages over
``_LARGE`` octets are read as they go out, a chunk at a time. Only what has to be decoded
(BINARY), or picked out of a header, is in memory as a whole, once.

* ``\\Seen`` is set, durably, before the octets go out, and told in the same response. Where that
  cannot be done the mail is readable all the same.
* A message that is gone: everything else is answered, then it is ``NO [EXPUNGEISSUED]`` (RFC 2180
  section 4.1.2, RFC 5530), but OK where uids were given, which may name nothing.
* A message that breaks off after its size was told: the connection is cut, for any other octets
  in its place would be a lie.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from mailframe.core.facts import LONGEST_HEADER, Fact, MessageFacts
from mailframe.core.folders import SEEN, FlagChange, FlagMode, MessageState
from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.interfaces.folders import IFolderHeaders
from mailframe.message.sections import UnknownEncoding
from mailframe.protocols.imap.commands import (
    Fetch,
    Item,
    MessageSet,
    Section,
    SectionKind,
)
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.responses import vanished
from mailframe.protocols.imap.sets import picked, resolved
from mailframe.runtime.aio import as_deferred
from mailframe.servers import imap_sections
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_found import page
from mailframe.servers.imap_large import send_sections
from mailframe.servers.imap_loading import Loaded, OpenMessage, load, load_headers
from mailframe.servers.imap_message_limit import limited
from mailframe.servers.imap_outcome import Outcome, Refused, Status
from mailframe.servers.imap_rows import NEEDS, Batch, Rows
from mailframe.servers.imap_selected import Selected
from mailframe.servers.imap_vanished import vanished_since

_STATES = 1_000  # messages a batch, of which nothing is loaded
_FACTS = 500
_CONTENTS = 64
_OCTETS = 1_000_000
_HEADERS = 4_000_000  # octets of header sections, at most; they are far shorter
_LARGE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What a FETCH needs of every message."""

    items: tuple[Item | Section, ...]
    facts: Fact
    sections: tuple[Section, ...]
    marks: bool
    """It sets ``\\Seen``."""
    of_headers: bool = False
    """Of the messages themselves their header sections will do."""


async def fetch(talk: Conversation, command: Fetch) -> Outcome:
    selected = talk.open_folder()
    if command.changed_since is not None or Item.MODSEQ in command.items:
        talk.use_condstore()
    uids = await _asked(talk, selected, command)
    plan = _plan(talk, selected, command)
    uids, code = limited(talk, uids)
    try:
        lost = await send_messages(talk, selected, plan, uids)
    except UnknownEncoding:
        # RFC 3516 section 4.3
        raise Refused("A part has an encoding that is not known", "UNKNOWN-CTE") from None
    if lost and not command.uid:
        return Outcome("Some messages are not there any more", "EXPUNGEISSUED", Status.NO)
    return Outcome("FETCH completed", code)


async def _asked(talk: Conversation, selected: Selected, command: Fetch) -> Sequence[int]:
    """The uids; what vanished is told first (RFC 7162 section 3.2.6)."""
    uids = selected.view.resolve(command.messages, uid=command.uid, saved=selected.saved)
    since = command.changed_since
    if command.vanished:
        if since is None or not command.uid or not talk.qresync:
            raise BadCommand("VANISHED needs UID FETCH, CHANGEDSINCE and QRESYNC")
        await _tell_vanished(talk, selected, command.messages, since)
    if since is not None:
        messages = selected.folder.messages
        uids = [uid for uid in uids if uid in messages and messages[uid].modseq > since]
    return uids if command.partial is None else page(uids, command.partial)


async def _tell_vanished(
    talk: Conversation, selected: Selected, messages: MessageSet, since: int
) -> None:
    folder = selected.folder
    wanted = resolved(messages, max(folder.uid_next - 1, 1))
    gone = await vanished_since(folder, since, wanted)
    # What this session still counts is told with its number or uid when that may be.
    gone = [uid for uid in gone if uid not in selected.view]
    told = picked(gone, wanted)
    talk.send(vanished(told, earlier=True))


def _plan(talk: Conversation, selected: Selected, command: Fetch) -> Plan:
    items = list(command.items)
    # RFC 9051 section 6.4.9: UID belongs into every response to a UID FETCH; RFC 9586: there
    # the uid is the number already.
    if command.uid and Item.UID not in items and not talk.uid_only:
        items.insert(0, Item.UID)
    # RFC 7162 section 3.1.4.1
    if command.changed_since is not None and Item.MODSEQ not in items:
        items.append(Item.MODSEQ)
    return plan_for(selected, items)


def plan_for(selected: Selected, items: Sequence[Item | Section], *, mark: bool = True) -> Plan:
    """For those items exactly. ``mark`` False: as if all of it were PEEK."""
    sections = tuple(item for item in items if isinstance(item, Section))
    facts = Fact(0)
    for item in items:
        if isinstance(item, Item):
            facts |= NEEDS.get(item, Fact(0))
        elif imap_sections.needs_parts(item):
            facts |= Fact.PARTS
    wants_seen = any(
        not section.peek and section.kind is not SectionKind.BINARY_SIZE for section in sections
    )
    may_mark = mark and not selected.read_only and "s" in selected.folder.rights
    # What is asked for many times over is answered as often.
    few = len(sections) * LONGEST_HEADER <= _OCTETS
    of_headers = bool(sections) and few and all(map(imap_sections.is_of_header, sections))
    return Plan(tuple(items), facts, sections, wants_seen and may_mark, of_headers)


async def send_messages(
    talk: Conversation, selected: Selected, plan: Plan, uids: Sequence[int]
) -> int:
    """FETCH responses for all of them; returns how many of them are gone. Raises
    UnknownEncoding."""
    answering = _Answering(talk, selected, plan)
    if plan.sections or plan.facts:
        return await answering.loaded(uids)
    return await answering.states(uids)


class _Answering:
    """One FETCH under way."""

    def __init__(self, talk: Conversation, selected: Selected, plan: Plan) -> None:
        self._talk = talk
        self._selected = selected
        self._folder = selected.folder
        self._plan = plan
        self._lost = 0
        self._left: list[int] = []
        self._rows = self._make_rows(plan.items)

    def _make_rows(self, items: Sequence[Item | Section]) -> Rows:
        talk = self._talk
        return Rows(
            items,
            self._selected,
            uid_only=talk.uid_only,
            utf8=talk.utf8,
            condstore=talk.condstore,
            tells_marks=self._plan.marks,
        )

    async def states(self, uids: Sequence[int]) -> int:
        """Nothing but what is known of every message anyhow."""
        for start in range(0, len(uids), _STATES):
            chunk = uids[start : start + _STATES]
            self._talk.send(self._rows.render(self._batch(chunk)))
            await self._talk.room()
        return self._lost

    async def loaded(self, uids: Sequence[int]) -> int:
        if self._plan.of_headers and IFolderHeaders.providedBy(self._folder):
            await self._answer_all(self._header_loads(uids))
            uids, self._left = self._left, []
        await self._answer_all(self._loads(uids))
        return self._lost

    async def _answer_all(self, loads: Iterator[Coroutine[Any, Any, Loaded]]) -> None:
        """One after the other, the next one while the client takes the last one."""
        loading = _begin_next(loads)
        try:
            while loading is not None:
                ahead, loading = loading, None
                loaded = await self._talk.while_there(ahead)
                loading = _begin_next(loads)
                self._left += loaded.left
                await self._answer(loaded)
        finally:
            if loading is not None:
                # Nobody waits for it any more.
                loading.addCallbacks(_close, lambda _: None)
                loading.cancel()

    def _header_loads(self, uids: Sequence[int]) -> Iterator[Coroutine[Any, Any, Loaded]]:
        messages, times = self._folder.messages, len(self._plan.sections)
        start = octets = 0
        for end, uid in enumerate(uids, 1):
            if uid in messages:
                octets += times * min(messages[uid].size, LONGEST_HEADER)
            if octets > _HEADERS or end - start == _FACTS or end == len(uids):
                yield load_headers(self._folder, uids[start:end], self._plan.facts)
                start, octets = end, 0

    def _loads(self, uids: Sequence[int]) -> Iterator[Coroutine[Any, Any, Loaded]]:
        for batch, is_large in self._batches(uids):
            yield load(
                self._folder,
                batch,
                self._plan.facts | Fact.PARTS if is_large else self._plan.facts,
                self._talk.factory.workers,
                contents=bool(self._plan.sections) and not is_large,
                is_large=is_large,
                kept=self._kept(batch[0]) if is_large else None,
            )

    def _batches(self, uids: Sequence[int]) -> Iterator[tuple[Sequence[int], bool]]:
        """uids to be loaded together, and whether it is one large message."""
        if not self._plan.sections:
            yield from ((uids[n : n + _FACTS], False) for n in range(0, len(uids), _FACTS))
            return
        messages, times = self._folder.messages, len(self._plan.sections)
        batch: list[int] = []
        octets = 0
        for uid in uids:
            size = messages[uid].size if uid in messages else 0
            # What is asked for many times over, in pieces perhaps, is answered as often.
            is_large = size > _LARGE or size * times > _OCTETS
            is_full = octets + size * times > _OCTETS or len(batch) == _CONTENTS
            if batch and (is_large or is_full):
                yield batch, False
                batch, octets = [], 0
            if is_large:
                yield [uid], True
            else:
                batch.append(uid)
                octets += size * times
        if batch:
            yield batch, False

    async def _answer(self, loaded: Loaded) -> None:
        marked = await self._mark(loaded.uids) if self._plan.marks else frozenset()
        if loaded.is_large:
            await self._stream(loaded, marked)
            return
        there = self._having(loaded)
        batch = self._batch(there, loaded.facts, loaded.contents, marked)
        self._talk.send(self._rows.render(batch))
        self._talk.count(len(loaded.contents), sum(map(len, loaded.contents.values())))
        await self._talk.room()

    def _having(self, loaded: Loaded) -> Sequence[int]:
        """Those of which everything is there that is needed."""
        uids = loaded.uids
        if self._plan.facts:
            uids = [uid for uid in uids if uid in loaded.facts]
        if self._plan.sections:
            uids = [uid for uid in uids if uid in loaded.contents]
        self._lost += len(loaded.uids) - len(uids)
        return uids

    def _batch(
        self,
        uids: Sequence[int],
        facts: Mapping[int, MessageFacts] | None = None,
        contents: Mapping[int, bytes] | None = None,
        marked: frozenset[int] = frozenset(),
    ) -> Batch:
        """Those that are still there, as they are now."""
        messages = self._folder.messages
        states = [messages[uid] for uid in uids if uid in messages]
        if len(states) < len(uids):
            self._lost += len(uids) - len(states)
            uids = [state.uid for state in states]
        return Batch(self._numbers(uids), states, facts or {}, contents or {}, marked)

    def _numbers(self, uids: Sequence[int]) -> Sequence[int]:
        if self._talk.uid_only or not uids:
            return uids
        view = self._selected.view
        first = view.number(uids[0])
        # Mostly neighbours, and then one look is enough.
        if view.number(uids[-1]) - first == len(uids) - 1 and uids[-1] > uids[0]:
            return range(first, first + len(uids))
        return list(map(view.number, uids))

    async def _mark(self, uids: Sequence[int]) -> frozenset[int]:
        """Set ``\\Seen``; returns those that had it not. ``uids`` were there a moment ago."""
        messages = self._folder.messages
        unseen = [u for u in uids if u in messages and SEEN not in messages[u].flags]
        if not unseen:
            return frozenset()
        view = self._selected.view
        changed: Sequence[int] = ()
        view.expect(unseen)
        try:
            seen = FlagChange(FlagMode.ADD, frozenset((SEEN,)))
            changed = (await self._folder.store(unseen, seen)).changed
        except (FolderRefused, TransientFailure) as error:
            # Whoever cannot write, because the disk is full, may still read.
            self._talk.record("refuse", "\\Seen was not set", rule="fetch", reason=str(error))
        finally:
            self._selected.settle(changed)
        return frozenset(changed)

    # A message that is too large to hold

    def _kept(self, uid: int) -> OpenMessage | None:
        """Open from the last FETCH: large messages are often taken piece by piece, and each
        piece would mean to read all that is before it."""
        kept, self._selected.reading = self._selected.reading, None
        if kept is None or kept.uid == uid:
            return kept
        kept.close()
        return None

    def _keep(self, source: OpenMessage) -> None:
        """For the next piece, where there will be one."""
        if source.at_end or not any(section.partial for section in self._plan.sections):
            source.close()
            return
        if self._selected.reading is not None:
            self._selected.reading.close()
        self._selected.reading = source

    async def _stream(self, loaded: Loaded, marked: frozenset[int]) -> None:
        source, uid = loaded.source, loaded.uids[0]
        if source is None:
            self._lost += 1
            return
        try:
            state = self._folder.messages.get(uid)
            if state is None or uid not in loaded.facts:
                raise MessageGone(str(uid))
            await self._send_large(state, loaded.facts[uid], source, marked)
        except MessageGone:
            self._lost += 1  # before anything was said of it
            source.close()
        except BaseException:
            source.close()
            raise
        else:
            self._keep(source)
            self._talk.count(1, state.size)

    async def _send_large(
        self, state: MessageState, facts: MessageFacts, source: OpenMessage, marked: frozenset[int]
    ) -> None:
        small = [item for item in self._plan.items if isinstance(item, Item)]
        batch = self._batch([state.uid], {state.uid: facts}, marked=marked)
        head = self._make_rows(small).beginning(batch)
        await send_sections(self._talk, head, self._plan.sections, facts.parts, source)


def _close(loaded: Loaded) -> None:
    if loaded.source is not None:
        loaded.source.close()


def _begin_next(loads: Iterator[Coroutine[Any, Any, Loaded]]) -> Deferred[Loaded] | None:
    following = next(loads, None)
    return None if following is None else as_deferred(following)
