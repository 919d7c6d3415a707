"""STORE and UID STORE (RFC 9051 section 6.4.6), UNCHANGEDSINCE (RFC 7162 section 3.1.3).

* Rights (RFC 4314 section 4): ``s`` for ``\\Seen``, ``t`` for ``\\Deleted``, ``w`` for the rest.
  Whoever has some of them changes what he may and leaves the rest alone; with none it is NO.
* The new flags are told of every message that was named, also where nothing changed; with
  .SILENT only the mod-sequence of what changed, and only to whoever knows of them.
* A message that is gone: the others are stored; then as with FETCH.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailframe.core.folders import (
    SYSTEM_FLAGS,
    FlagChange,
    FlagMode,
    Flags,
    FolderReason,
    StoreOutcome,
)
from mailframe.errors import FolderRefused
from mailframe.protocols.imap.commands import Item, Store
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.responses import modified_code
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_fetch import plan_for, send_messages
from mailframe.servers.imap_message_limit import limited, one_code
from mailframe.servers.imap_outcome import Outcome, Refused, Status
from mailframe.servers.imap_rights import right_for_flag
from mailframe.servers.imap_selected import Selected

_RECENT = "\\recent"
_SYSTEM = {flag.lower(): flag for flag in SYSTEM_FLAGS}


async def store(talk: Conversation, command: Store) -> Outcome:
    selected = talk.open_folder()
    if command.unchanged_since is not None:
        talk.use_condstore()
    flags = settable(command.flags)
    if selected.read_only:
        raise Refused("The folder is selected read-only", "READ-ONLY")
    changes = allowed(selected, FlagChange(command.mode, flags))
    uids = selected.view.resolve(command.messages, uid=command.uid, saved=selected.saved)
    uids, limit = limited(talk, uids)
    messages = selected.folder.messages
    there = [uid for uid in uids if uid in messages]
    outcome = await _apply(selected, there, changes, command.unchanged_since)
    refused = frozenset(outcome.refused)
    left = [uid for uid in there if uid not in refused and uid in messages]
    await _tell(talk, selected, command, left, outcome.changed)
    lost = len(uids) - len(there) + len(outcome.gone)
    done = _outcome(selected, command, outcome.refused, lost)
    return replace(done, code=one_code(talk, done.code, limit))


def settable(flags: Flags) -> Flags:
    """In the spelling of the house. Raises BadCommand for a system flag that there is not."""
    found = set()
    for flag in flags:
        if not flag.startswith("\\"):
            found.add(flag)
        elif flag.lower() in _SYSTEM:
            found.add(_SYSTEM[flag.lower()])
        # RFC 9051 section 2.3.2: nobody can set \Recent; some clients send what they were told.
        elif flag.lower() != _RECENT:
            raise BadCommand("There is no such system flag")
    return frozenset(found)


def allowed(selected: Selected, change: FlagChange) -> Sequence[FlagChange]:
    """What of the change this user may do. Raises FolderRefused where that is nothing."""
    rights = selected.folder.rights
    if all(right in rights for right in "stw"):
        return (change,)
    flags = frozenset(flag for flag in change.flags if right_for_flag(flag) in rights)
    if not any(right in rights for right in "stw") or (change.flags and not flags):
        raise FolderRefused(FolderReason.NO_PERMISSION, "You may not change these flags")
    if change.mode is not FlagMode.REPLACE:
        return (FlagChange(change.mode, flags),)
    # RFC 4314 section 4: flags without the right stay as they are
    return (FlagChange(FlagMode.ADD, flags), *_without(selected, flags))


def _without(selected: Selected, kept: Flags) -> Sequence[FlagChange]:
    """Remove every flag there is in the folder that this user may, but ``kept``."""
    rights, states = selected.folder.rights, selected.folder.messages.values()
    there = frozenset().union(*{state.flags for state in states})
    others = frozenset(
        flag for flag in there if right_for_flag(flag) in rights and flag not in kept
    )
    return (FlagChange(FlagMode.REMOVE, others),) if others else ()


async def _apply(
    selected: Selected,
    uids: Sequence[int],
    changes: Sequence[FlagChange],
    unchanged_since: int | None,
) -> StoreOutcome:
    """As one; the view is kept from telling what ``_tell`` will."""
    changed: set[int] = set()
    gone: set[int] = set()
    refused: Sequence[int] = ()
    for change in changes:
        selected.view.expect(uids)
        ours: Sequence[int] = ()
        try:
            outcome = await selected.folder.store(uids, change, unchanged_since)
            ours = outcome.changed
        finally:
            selected.settle(ours)
        changed.update(outcome.changed)
        gone.update(outcome.gone)
        if unchanged_since is not None:
            # The second half is for those that the first one took, whose number it raised.
            refused, unchanged_since = outcome.refused, None
            left = frozenset(refused) | gone
            uids = [uid for uid in uids if uid not in left]
    return StoreOutcome(sorted(changed), refused, sorted(gone))


async def _tell(
    talk: Conversation,
    selected: Selected,
    command: Store,
    left: Sequence[int],
    changed: Sequence[int],
) -> None:
    items = [] if command.silent else [Item.FLAGS]
    # RFC 7162 section 3.1.3
    if talk.condstore:
        items.append(Item.MODSEQ)
    if command.uid and not talk.uid_only:
        items.insert(0, Item.UID)
    if command.silent and not talk.condstore:
        return
    told = changed if command.silent else left
    await send_messages(talk, selected, plan_for(selected, items), told)


def _outcome(selected: Selected, command: Store, refused: Sequence[int], lost: int) -> Outcome:
    if refused:
        number = selected.view.number
        named = refused if command.uid else [number(uid) for uid in refused]
        code = modified_code(named)
        # RFC 7162 section 3.1.3: OK all the same, unless some are gone
        status = Status.NO if lost and not command.uid else Status.OK
        return Outcome("Some messages were changed meanwhile", code, status)
    if lost and not command.uid:
        return Outcome("Some messages are not there any more", "EXPUNGEISSUED", Status.NO)
    return Outcome("STORE completed")
