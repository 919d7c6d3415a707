"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 9051 section 6.3)."""

from __future__ import annotations

from mailframe.core.folders import DELETED, SEEN, SEPARATOR, FolderReason, FolderStatus
from mailframe.errors import FolderRefused
from mailframe.interfaces.folders import IFolder, IStatuses
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import (
    Create,
    Delete,
    Rename,
    Status,
    StatusItem,
    Subscribe,
)
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_rights import READ, require

_IN_STATUS = {
    StatusItem.MESSAGES: lambda s: s.messages,
    StatusItem.RECENT: lambda s: s.recent,
    StatusItem.UIDNEXT: lambda s: s.uid_next,
    StatusItem.UIDVALIDITY: lambda s: s.uid_validity,
    StatusItem.UNSEEN: lambda s: s.unseen,
    StatusItem.DELETED: lambda s: s.deleted,
    StatusItem.SIZE: lambda s: s.size,
    StatusItem.HIGHESTMODSEQ: lambda s: s.highest_modseq,
    StatusItem.MAILBOXID: lambda s: s.mailbox_id,
}


async def create(talk: Conversation, command: Create) -> Outcome:
    # RFC 9051 section 6.3.4: a separator at the end only announces folders below
    name = command.mailbox.rstrip(SEPARATOR)
    if not name:
        raise FolderRefused(FolderReason.CANNOT, "A folder has a name")
    mailbox_id = await talk.folders.create(name, command.special_use)
    return Outcome("CREATE completed", responses.mailbox_id_code(mailbox_id))


async def delete(talk: Conversation, command: Delete) -> Outcome:
    is_selected = await _is_selected(talk, command.mailbox)
    await talk.folders.delete(command.mailbox)
    if is_selected:
        talk.deselect()
        talk.engine.folder_closed()
        talk.send(responses.ok("The folder is gone", "CLOSED"))
    return Outcome("DELETE completed")


async def _is_selected(talk: Conversation, name: str) -> bool:
    # By its id: another client may have renamed it, and its old name may be another's.
    if talk.selected is None:
        return False
    try:
        folder = await talk.folders.folder(name)
    except FolderRefused:  # DELETE says what there is to say
        return False
    return folder.mailbox_id == talk.selected.folder.mailbox_id


async def rename(talk: Conversation, command: Rename) -> Outcome:
    await talk.folders.rename(command.old, command.new.rstrip(SEPARATOR) or command.new)
    return Outcome("RENAME completed")


async def subscribe(talk: Conversation, command: Subscribe) -> Outcome:
    await talk.folders.subscribe(command.mailbox, command.subscribed)
    return Outcome("SUBSCRIBE completed" if command.subscribed else "UNSUBSCRIBE completed")


async def status(talk: Conversation, command: Status) -> Outcome:
    if StatusItem.HIGHESTMODSEQ in command.items:
        # RFC 7162 section 3.1
        talk.use_condstore()
    talk.send(await status_of(talk, command.mailbox, command.items))
    return Outcome("STATUS completed")


async def status_of(talk: Conversation, name: str, items: tuple[StatusItem, ...]) -> bytes:
    """The untagged response. Raises FolderRefused, or Refused for want of the right; who keeps
    ``IStatuses`` sees to the right by itself."""
    values: dict[StatusItem, int | str | None] = {}
    found: FolderStatus | None = None
    for item in dict.fromkeys(items):
        if item is StatusItem.APPENDLIMIT:
            values[item] = talk.factory.limits.append or None
        elif item is StatusItem.DELETED_STORAGE:
            values[item] = await _deleted_storage(talk, name)
        else:
            found = found or await _status(talk, name)
            values[item] = _IN_STATUS[item](found)
    if found is None and StatusItem.DELETED_STORAGE not in values:
        # What there is to say depends on no folder; whether it may be asked does.
        require(await talk.folders.folder(name), READ)
    return responses.status_line(name, values, talk.utf8)


async def _deleted_storage(talk: Conversation, name: str) -> int:
    folder = await _readable(talk, name)
    return sum(state.size for state in folder.messages.values() if DELETED in state.flags)


async def _readable(talk: Conversation, name: str) -> IFolder:
    folder = await talk.folder(name)
    # RFC 4314 section 4
    require(folder, READ)
    return folder


async def _status(talk: Conversation, name: str) -> FolderStatus:
    if IStatuses.providedBy(talk.folders):
        return await IStatuses(talk.folders).status(name)
    folder = await _readable(talk, name)
    messages = folder.messages.values()
    return FolderStatus(
        messages=len(messages),
        uid_next=folder.uid_next,
        uid_validity=folder.uid_validity,
        unseen=sum(SEEN not in state.flags for state in messages),
        deleted=sum(DELETED in state.flags for state in messages),
        size=sum(state.size for state in messages),
        recent=sum(uid >= folder.recent_from for uid in folder.messages),
        highest_modseq=folder.highest_modseq,
        mailbox_id=folder.mailbox_id,
    )
