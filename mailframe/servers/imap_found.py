"""What a search found, as the client asked for it: SEARCH, SORT, ESEARCH, and what ``$`` keeps.

RFC 9051 section 7.3.4, RFC 4731, RFC 5267 sections 2 and 4, RFC 5182, RFC 7162 section 3.1.5,
RFC 9394. ``Found`` knows uids in the order of the result; numbers are made of them only here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailframe.protocols.imap.commands import Return, ReturnOptions
from mailframe.protocols.imap.responses import esearch, search, sort
from mailframe.protocols.imap.view import SelectedView
from mailframe.servers.imap_selected import Selected

# From here on a table of all numbers is cheaper than looking each one up.
_MANY = 16


@dataclass(frozen=True, slots=True)
class Found:
    uids: Sequence[int]
    """Those in the view, in the order of the result."""
    selected: Selected
    uid: bool
    """They are told as uids."""
    uses_modseq: bool

    def modseq_of(self, uids: Iterable[int]) -> int:
        """The highest of theirs; 0 where none is to be told."""
        if not self.uses_modseq:
            return 0
        messages = self.selected.folder.messages
        return max((messages[uid].modseq for uid in uids if uid in messages), default=0)

    def told(self, uids: Sequence[int]) -> Sequence[int]:
        return uids if self.uid else numbers(self.selected.view, uids)


def in_view(view: SelectedView, uids: Sequence[int]) -> Sequence[int]:
    """Those that the client knows of, in their order."""
    if len(uids) * _MANY < len(view):
        return [uid for uid in uids if uid in view]
    if _is_all(view, uids):
        return uids
    known = frozenset(view.uids)
    return [uid for uid in uids if uid in known]


def numbers(view: SelectedView, uids: Sequence[int]) -> Sequence[int]:
    if len(uids) * _MANY < len(view):
        return list(map(view.number, uids))
    if _is_all(view, uids):
        return range(1, len(view) + 1)
    table = dict(zip(view.uids, range(1, len(view) + 1), strict=True))
    return [table[uid] for uid in uids]


def _is_all(view: SelectedView, uids: Sequence[int]) -> bool:
    """Everything was found, in its order: then there is nothing to look up."""
    return len(uids) == len(view) and array("L", uids) == array("L", view.uids)


def plain(found: Found, *, is_sorted: bool = False) -> bytes:
    """SEARCH or SORT."""
    line = sort if is_sorted else search
    return line(found.told(found.uids), found.modseq_of(found.uids) or None)


def extended(
    found: Found, returns: ReturnOptions, tag: str, *, of_folder: bool = False, utf8: bool = False
) -> bytes:
    """ESEARCH; nothing where only SAVE was asked for
    (RFC 5182 section 2.1), no numbers where only updates were. ``of_folder``: it says of which one
    (RFC 7377)."""
    wanted = returns.wanted
    if wanted == {Return.SAVE}:
        return b""
    uids, folder = found.uids, found.selected.folder
    partial = returns.partial if Return.PARTIAL in wanted else None
    return esearch(
        tag,
        uid=found.uid,
        minimum=found.told(uids[:1])[0] if uids and Return.MIN in wanted else None,
        maximum=found.told(uids[-1:])[0] if uids and Return.MAX in wanted else None,
        all_=found.told(uids) if Return.ALL in wanted else None,
        count=len(uids) if Return.COUNT in wanted else None,
        partial=(partial, found.told(page(uids, partial))) if partial is not None else None,
        modseq=found.modseq_of(_meant(uids, returns)) or None,
        mailbox=folder.name if of_folder else None,
        uid_validity=folder.uid_validity if of_folder else None,
        utf8=utf8,
    )


def saved(found: Found, returns: ReturnOptions) -> Sequence[int]:
    """What ``$`` is from now on, ascending (RFC 5182 section 2.1; RFC 9394 section 3.1)."""
    return sorted(_meant(found.uids, returns))


def page(uids: Sequence[int], partial: tuple[int, int]) -> Sequence[int]:
    """RFC 9394 section 3.1: the first is 1; -1 is the last. As they came, never reversed."""
    low, high = sorted(map(abs, partial))
    if partial[0] > 0:
        return uids[low - 1 : high]
    return uids[max(len(uids) - high, 0) : max(len(uids) - low + 1, 0)]


def _meant(uids: Sequence[int], returns: ReturnOptions) -> Sequence[int]:
    """The messages that the answer speaks of: only MIN or MAX where no more was asked for."""
    wanted = returns.wanted
    if not uids or wanted & {Return.ALL, Return.COUNT}:
        return uids
    picked: set[int] = set()
    if Return.MIN in wanted:
        picked.add(uids[0])
    if Return.MAX in wanted:
        picked.add(uids[-1])
    if Return.PARTIAL in wanted and returns.partial is not None:
        picked.update(page(uids, returns.partial))
    if not wanted & {Return.MIN, Return.MAX, Return.PARTIAL}:
        return uids
    return [uid for uid in uids if uid in picked]
