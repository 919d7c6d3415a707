"""SELECT and EXAMINE with all that a client is told then; CLOSE and UNSELECT.

RFC 3501 and RFC 9051 section 6.3.2; CONDSTORE and QRESYNC of RFC 7162, MAILBOXID of RFC 8474.
A SELECT that fails leaves nothing selected. From the moment the numbers are counted the session
hears of every change, so that nothing falls between what SELECT tells and what comes after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailframe.core import status as statuses
from mailframe.core.folders import SEEN, Flags, MessageState, Recent
from mailframe.errors import TransientFailure
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import Close, Item, KnownState, Select
from mailframe.protocols.imap.view import SelectedView
from mailframe.servers import imap_expunge, imap_keywords
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_listing import list_line_of
from mailframe.servers.imap_outcome import Outcome, Refused, Status
from mailframe.servers.imap_rights import may_change, require_for
from mailframe.servers.imap_rows import Batch, Rows
from mailframe.servers.imap_selected import Selected
from mailframe.servers.imap_vanished import vanished_since

_BATCH = 1_000  # messages between two looks at whether the client takes its output

Ranges = Sequence[tuple[int, int]]


async def select(talk: Conversation, command: Select) -> Outcome:
    if command.known is not None and not talk.qresync:
        # RFC 7162 section 3.2.5
        raise Refused("ENABLE QRESYNC first", status=Status.BAD)
    _leave(talk)
    folder = await talk.folder(command.mailbox)
    require_for(folder, command)
    if command.condstore or command.known is not None:
        talk.use_condstore()
    read_only = command.read_only or not may_change(folder)
    # RFC 9051 section 6.3.2: with its attributes as they are
    listed = await list_line_of(talk, folder.name) if talk.rev2 else b""
    selected = await _open(talk, folder, read_only)
    _describe(talk, selected, listed)
    if command.known is not None and command.known.uid_validity == folder.uid_validity:
        await _catch_up(talk, selected, command.known)
    talk.engine.folder_opened()
    word = "EXAMINE" if command.read_only else "SELECT"
    return Outcome(f"{word} completed", "READ-ONLY" if read_only else "READ-WRITE")


async def close(talk: Conversation, command: Close) -> Outcome:
    outcome = await imap_expunge.close(talk, command)
    talk.deselect()
    talk.engine.folder_closed()
    return outcome


def _leave(talk: Conversation) -> None:
    if talk.selected is not None:
        talk.deselect()
        talk.engine.folder_closed()
        # RFC 9051 section 7.1: what follows is about the other folder
        talk.send(responses.ok("The folder is closed", "CLOSED"))


async def _open(talk: Conversation, folder: IFolder, read_only: bool) -> Selected:
    claimed = None
    if read_only:
        # RFC 3501 section 6.3.2: shown, and left to the session that selects.
        claimed = Recent(folder.recent_from, folder.uid_next)
    elif not talk.rev2:
        claimed = await _claimed(talk, folder)
    selected = Selected(folder, SelectedView(folder.messages), read_only)
    if claimed is not None:
        selected.recent.add(claimed)
    talk.select(selected)
    return selected


async def _claimed(talk: Conversation, folder: IFolder) -> Recent:
    shown = Recent(folder.recent_from, folder.uid_next)
    try:
        return await folder.claim_recent()
    except TransientFailure as error:
        if error.reply.status != statuses.SYSTEM_FULL:
            raise
        # Whoever cannot write, because the disk is full, may still read, and make room.
        talk.record("refuse", "\\Recent was not claimed", rule="select", reason=str(error))
        return shown


def _describe(talk: Conversation, selected: Selected, listed: bytes) -> None:
    """``listed``: the LIST response that IMAP4rev2 wants."""
    folder, view = selected.folder, selected.view
    messages = folder.messages.values()
    used = {state.flags for state in messages}
    lines = [
        imap_keywords.lines(selected, used),
        responses.exists(len(view)),
    ]
    if not talk.rev2:
        # RFC 9051 appendix E: neither RECENT nor UNSEEN in IMAP4rev2
        lines.append(responses.recent(selected.recent.count(view.uids)))
        unseen = _first_unseen(messages, used)
        if unseen and not talk.uid_only:
            lines.append(responses.ok("The first unseen", responses.unseen_code(unseen)))
    codes = (
        responses.uid_validity_code(folder.uid_validity),
        responses.uid_next_code(folder.uid_next),
        responses.highest_modseq_code(folder.highest_modseq),
        responses.mailbox_id_code(folder.mailbox_id),
    )
    lines += [responses.ok("As it is now", code) for code in codes]
    lines.append(listed)
    talk.send(b"".join(lines))


def _first_unseen(messages: Iterable[MessageState], used: set[Flags]) -> int:
    """0: all are seen."""
    if all(SEEN in flags for flags in used):
        return 0
    return next(n for n, state in enumerate(messages, 1) if SEEN not in state.flags)


# QRESYNC: what happened since the client was here last (RFC 7162 section 3.2.5)


async def _catch_up(talk: Conversation, selected: Selected, known: KnownState) -> None:
    folder = selected.folder
    wanted = known.uids if known.uids is not None else ((1, folder.uid_next),)
    floor = _unchanged_up_to(selected.view, known)
    gone = await vanished_since(folder, known.modseq, wanted)
    # What went since SELECT counted is told later, by VANISHED without EARLIER.
    gone = [uid for uid in gone if uid > floor and uid not in selected.view]
    talk.send(responses.vanished(_within(gone, wanted), earlier=True))
    changed = [s.uid for s in folder.messages.values() if s.modseq > known.modseq]
    changed = [uid for uid in _within(changed, wanted) if uid in selected.view]
    items = [Item.UID, Item.FLAGS, Item.MODSEQ] if not talk.uid_only else [Item.FLAGS, Item.MODSEQ]
    rows = Rows(items, selected, uid_only=talk.uid_only, utf8=talk.utf8)
    for start in range(0, len(changed), _BATCH):
        states = [
            folder.messages[uid]
            for uid in changed[start : start + _BATCH]
            if uid in folder.messages
        ]
        numbers = [
            state.uid if talk.uid_only else selected.view.number(state.uid) for state in states
        ]
        talk.send(rows.render(Batch(numbers, states)))
        await talk.room()


def _unchanged_up_to(view: SelectedView, known: KnownState) -> int:
    """RFC 7162 section 3.2.5.2: where a number still has the uid it had, nothing before it can
    have gone."""
    matching = (uid for number, uid in known.matches if view.number(uid) == number)
    return max(matching, default=0)


def _within(uids: Sequence[int], wanted: Ranges) -> list[int]:
    """Both ascend, or are put in order."""
    return list(_merge(uids, sorted(wanted)))


def _merge(uids: Sequence[int], wanted: Ranges) -> Iterator[int]:
    spans = iter(wanted)
    first, last = next(spans, (1, 0))
    for uid in uids:
        while uid > last:
            found = next(spans, None)
            if found is None:
                return
            first, last = found
        if uid >= first:
            yield uid
