"""FETCH responses of many messages at once, from what is known of them.

What was asked for becomes columns, one list of values for a batch, and a template that joins a
row of them into a response line: ``UID FLAGS`` of 100,000 messages is most of what some clients
ever ask, and a call for each value would be most of its cost.

Does not read anything: ``imap_fetch`` sees to it that facts and octets are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from mailframe.core.facts import Fact, MessageFacts
from mailframe.core.folders import Flags, MessageState
from mailframe.protocols.imap.commands import Item, Section
from mailframe.protocols.imap.responses import (
    flags_list,
    internal_date,
    quoted_or_literal,
    section_name,
)
from mailframe.servers import imap_keywords, imap_sections
from mailframe.servers.imap_selected import Selected

NEEDS = {
    Item.ENVELOPE: Fact.ENVELOPE,
    Item.BODY: Fact.BODY,
    Item.BODYSTRUCTURE: Fact.STRUCTURE,
    Item.PREVIEW: Fact.PREVIEW,
    Item.PREVIEW_LAZY: Fact.PREVIEW,
    Item.EMAILID: Fact.IDS,
    Item.THREADID: Fact.IDS,
}
"""Which items want facts, and which."""

NO_FACTS = MessageFacts()


@dataclass(slots=True)
class Batch:
    """Messages that are answered together. The lists and mappings have all of them."""

    numbers: Sequence[int]
    """What stands behind the asterisk: sequence numbers, or uids (RFC 9586)."""
    states: Sequence[MessageState]
    facts: Mapping[int, MessageFacts] = field(default_factory=dict)
    contents: Mapping[int, bytes] = field(default_factory=dict)
    marked: frozenset[int] = frozenset()
    """Their flags changed by this very command, and have to be told."""


Column = Callable[[Batch], Iterable[object]]


class Rows:
    """Renders batches for one FETCH command."""

    def __init__(
        self,
        items: Sequence[Item | Section],
        selected: Selected,
        *,
        uid_only: bool = False,
        utf8: bool = False,
        condstore: bool = False,
        tells_marks: bool = False,
    ) -> None:
        """``tells_marks``: flags of ``Batch.marked`` are told even where nobody asked."""
        self._selected = selected
        self._recent = selected.recent
        self._new: set[Flags] = set()
        self._flags: dict[Flags, bytes] = {}
        self._utf8 = utf8
        self._columns: list[Column] = []
        # What makes the octets of whole messages, and the columns and template before them.
        self._bulk: Callable[[bytes], bytes] | None = None
        self._before: list[Column] = []
        self._opening = b""
        self._template = b"* %d UIDFETCH (" if uid_only else b"* %d FETCH ("
        for number, item in enumerate(items):
            self._template += b" " if number else b""
            if isinstance(item, Section):
                self._add_section(item)
            else:
                self._template += _PIECES[item]
                self._columns.append(_COLUMNS[item].__get__(self))
        if tells_marks and Item.FLAGS not in items:
            self._template += b"%b"
            space = b" " if items else b""
            with_modseq = condstore and Item.MODSEQ not in items
            self._columns.append(lambda batch: self._marks(batch, space, with_modseq))
        self._template += b")\r\n"

    def _add_section(self, section: Section) -> None:
        bulk = imap_sections.bulk(section)
        if bulk is None or self._bulk is not None:
            self._template += b"%b"
            self._columns.append(self._section(section))
            return
        self._bulk = bulk
        self._opening = self._template + section_name(section) + b" {%d}\r\n"
        self._before, self._columns = self._columns, []
        self._template = b""

    def render(self, batch: Batch) -> bytes:
        """Complete lines; where a keyword is new to the client, that is told first."""
        rows = self._lines(batch)
        if not self._new:
            return rows
        new, self._new = self._new, set()
        return imap_keywords.lines(self._selected, new) + rows

    def beginning(self, batch: Batch) -> bytes:
        """Of the one message in ``batch``: without the closing parenthesis."""
        return self.render(batch)[:-3]

    def _lines(self, batch: Batch) -> bytes:
        template = self._template
        columns = [column(batch) for column in self._columns]
        if self._bulk is None:
            rows = zip(batch.numbers, *columns, strict=True)
            return b"".join([template % row for row in rows])
        # These octets are most of it: they are copied only once.
        octets = [self._bulk(batch.contents[state.uid]) for state in batch.states]
        before = [column(batch) for column in self._before]
        rows = zip(batch.numbers, *before, map(len, octets), strict=True)
        beginnings = [self._opening % row for row in rows]
        ends = [template] * len(octets)  # no columns, mostly
        if columns:
            ends = [template % row for row in zip(*columns, strict=True)]
        return b"".join(chain.from_iterable(zip(beginnings, octets, ends, strict=True)))

    # one method a column

    def _uids(self, batch: Batch) -> Iterable[object]:
        return [state.uid for state in batch.states]

    def _sizes(self, batch: Batch) -> Iterable[object]:
        return [state.size for state in batch.states]

    def _modseqs(self, batch: Batch) -> Iterable[object]:
        return [state.modseq for state in batch.states]

    def _received(self, batch: Batch) -> Iterable[object]:
        return [internal_date(state.received) for state in batch.states]

    def _saved(self, batch: Batch) -> Iterable[object]:
        return [internal_date(state.saved) for state in batch.states]

    def _all_flags(self, batch: Batch) -> Iterable[bytes]:
        # Few sets of flags are worn by many messages.
        cache = self._flags
        if self._recent:
            return [self._flags_of(state) for state in batch.states]
        try:
            return [cache[state.flags] for state in batch.states]
        except KeyError:
            return [self._flags_of(state) for state in batch.states]

    def _flags_of(self, state: MessageState) -> bytes:
        known = self._flags.get(state.flags)
        if known is None:
            known = self._flags[state.flags] = flags_list(state.flags)
            if imap_keywords.news(self._selected, state.flags):
                self._new.add(state.flags)
        if self._recent and state.uid in self._recent:
            return flags_list(state.flags, True)
        return known

    def _marks(self, batch: Batch, space: bytes, with_modseq: bool) -> Iterable[bytes]:
        return [
            b"" if state.uid not in batch.marked else space + self._mark(state, with_modseq)
            for state in batch.states
        ]

    def _mark(self, state: MessageState, with_modseq: bool) -> bytes:
        modseq = b" MODSEQ (%d)" % state.modseq if with_modseq else b""
        return b"FLAGS " + self._flags_of(state) + modseq

    def _facts(self, batch: Batch) -> list[MessageFacts]:
        facts = batch.facts
        return [facts.get(state.uid, NO_FACTS) for state in batch.states]

    def _envelopes(self, batch: Batch) -> Iterable[bytes]:
        return [facts.envelope for facts in self._facts(batch)]

    def _bodies(self, batch: Batch) -> Iterable[bytes]:
        return [facts.body for facts in self._facts(batch)]

    def _structures(self, batch: Batch) -> Iterable[bytes]:
        return [facts.structure for facts in self._facts(batch)]

    def _previews(self, batch: Batch) -> Iterable[bytes]:
        # RFC 8970 section 3.2: without the UTF8 extension too a preview is UTF-8, in a literal.
        return [quoted_or_literal(facts.preview, self._utf8) for facts in self._facts(batch)]

    def _email_ids(self, batch: Batch) -> Iterable[bytes]:
        return [facts.email_id.encode("ascii") for facts in self._facts(batch)]

    def _thread_ids(self, batch: Batch) -> Iterable[bytes]:
        # RFC 8474 section 5.2: NIL where the server has none.
        return [
            b"(%b)" % facts.thread_id.encode("ascii") if facts.thread_id else b"NIL"
            for facts in self._facts(batch)
        ]

    def _section(self, section: Section) -> Column:
        answer = imap_sections.answerer(section)

        def column(batch: Batch) -> Iterable[bytes]:
            facts, contents = batch.facts, batch.contents
            return [
                answer(contents[state.uid], facts.get(state.uid, NO_FACTS).parts)
                for state in batch.states
            ]

        return column


_PIECES = {
    Item.FLAGS: b"FLAGS %b",
    Item.UID: b"UID %d",
    Item.INTERNALDATE: b"INTERNALDATE %b",
    Item.RFC822_SIZE: b"RFC822.SIZE %d",
    Item.ENVELOPE: b"ENVELOPE %b",
    Item.BODY: b"BODY %b",
    Item.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
    Item.MODSEQ: b"MODSEQ (%d)",
    Item.SAVEDATE: b"SAVEDATE %b",
    Item.EMAILID: b"EMAILID (%b)",
    Item.THREADID: b"THREADID %b",
    Item.PREVIEW: b"PREVIEW %b",
    Item.PREVIEW_LAZY: b"PREVIEW %b",
}
_COLUMNS = {
    Item.FLAGS: Rows._all_flags,
    Item.UID: Rows._uids,
    Item.INTERNALDATE: Rows._received,
    Item.RFC822_SIZE: Rows._sizes,
    Item.ENVELOPE: Rows._envelopes,
    Item.BODY: Rows._bodies,
    Item.BODYSTRUCTURE: Rows._structures,
    Item.MODSEQ: Rows._modseqs,
    Item.SAVEDATE: Rows._saved,
    Item.EMAILID: Rows._email_ids,
    Item.THREADID: Rows._thread_ids,
    Item.PREVIEW: Rows._previews,
    Item.PREVIEW_LAZY: Rows._previews,
}
