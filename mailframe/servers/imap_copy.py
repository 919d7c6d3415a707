"""COPY and MOVE (RFC 9051 sections 6.4.7 and 6.4.8; RFC 4315, RFC 6851).

Where the folder cannot copy by itself (``ICopying``), or not to that other storage (it refuses
with CANNOT), the messages are read and appended: all or none as well. A MOVE then removes them
from here once the copies are durable: a crash between leaves both, never none.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.folders import (
    CopyOutcome,
    FolderReason,
    NewMessage,
)
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces.folders import IAppending, ICopying, IFolder
from mailframe.protocols.imap.commands import Copy
from mailframe.protocols.imap.responses import copy_uid_code, ok
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_expunge import told_modseq
from mailframe.servers.imap_loading import CHUNK, open_message
from mailframe.servers.imap_message_limit import limited, one_code, require_few
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_rights import INSERT, MOVE_SOURCE, require, require_for, storable
from mailframe.servers.imap_selected import Selected


async def copy(talk: Conversation, command: Copy) -> Outcome:
    selected = talk.open_folder()
    require_for(selected.folder, command)
    if command.move:
        _check_move(selected)
    uids = selected.view.resolve(command.messages, uid=command.uid, saved=selected.saved)
    limit = ""
    if command.move:
        uids, limit = limited(talk, uids)
    else:
        require_few(talk, uids)
    target = await target_folder(talk, command.mailbox)
    messages = selected.folder.messages
    there = [uid for uid in uids if uid in messages]
    if not command.move and len(there) < len(uids) and not command.uid:
        # RFC 9051 section 6.4.7: all or none
        raise Refused("Some messages are not there any more", "EXPUNGEISSUED")
    done = await _carry(selected.folder, there, target, command.move)
    return _moved(talk, selected, done, limit) if command.move else _copied(done)


def _check_move(selected: Selected) -> None:
    if selected.read_only:
        raise Refused("The folder is selected read-only", "READ-ONLY")
    require(selected.folder, MOVE_SOURCE)


async def target_folder(talk: Conversation, name: str) -> IFolder:
    """Where something may be put in. Raises Refused with TRYCREATE where it is not."""
    try:
        folder = await talk.folder(name)
    except FolderRefused as error:
        # RFC 9051 section 7.1: it would help to create it
        if error.reason is FolderReason.NONEXISTENT:
            raise Refused("There is no such folder", "TRYCREATE") from None
        raise
    require(folder, INSERT)
    return folder


async def _carry(source: IFolder, uids: Sequence[int], target: IFolder, move: bool) -> CopyOutcome:
    if not uids:
        return CopyOutcome(target.uid_validity, (), ())
    if ICopying.providedBy(source):
        able = ICopying(source)
        try:
            return await (able.move(uids, target) if move else able.copy(uids, target))
        except FolderRefused as error:
            if error.reason is not FolderReason.CANNOT:
                raise
    done = await _copy_by_reading(source, uids, target)
    if move:
        await source.expunge(done.sources)
    return done


async def _copy_by_reading(source: IFolder, uids: Sequence[int], target: IFolder) -> CopyOutcome:
    appending = target.receive()
    sources = []
    try:
        for uid in uids:
            if await _append_one(source, uid, target, appending):
                sources.append(uid)
        if not sources:
            return CopyOutcome(target.uid_validity, (), ())
        outcome = await appending.commit()
    finally:
        appending.abort()
    return CopyOutcome(outcome.uid_validity, sources, outcome.uids)


async def _append_one(source: IFolder, uid: int, target: IFolder, appending: IAppending) -> bool:
    """False when it is gone. Raises Refused where it breaks off."""
    state = source.messages.get(uid)
    message = await open_message(source, uid)
    if state is None or message is None:
        if message is not None:
            message.close()
        return False
    try:
        await appending.begin(
            NewMessage(storable(target, state.flags), state.received), message.size
        )
        while chunk := await message.read(CHUNK):
            await appending.write(chunk)
    except MessageGone:
        raise Refused("A message cannot be read", "UNAVAILABLE") from None
    finally:
        message.close()
    return True


def _copied(done: CopyOutcome) -> Outcome:
    return Outcome("COPY completed", copy_uid(done))


def _moved(talk: Conversation, selected: Selected, done: CopyOutcome, limit: str) -> Outcome:
    # RFC 6851 section 4.3: COPYUID goes first, then the messages leave
    if code := copy_uid(done):
        talk.send(ok("Moved", code))
    talk.announce(expunges=True)
    talk.count_removed(len(done.sources))
    code = told_modseq(talk, selected) if done.sources else ""
    return Outcome("MOVE completed", one_code(talk, code, limit))


def copy_uid(done: CopyOutcome) -> str:
    """RFC 4315 section 3; none where nothing was copied, or uids do not last."""
    if not done.sources or not done.uid_validity:
        return ""
    return copy_uid_code(done.uid_validity, done.sources, done.targets)
