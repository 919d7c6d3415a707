"""REPLACE's other half (RFC 8508): which message goes, and its going.

The new message is durable before the old one is removed: a crash between leaves both. The old
one's flags are not taken over; the client gives those it wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.interfaces.folders import IFolder
from mailframe.protocols.imap.commands import MessageSet, Replaces
from mailframe.servers.imap_outcome import Refused, Status
from mailframe.servers.imap_rights import MOVE_SOURCE, require

if TYPE_CHECKING:
    from mailframe.servers.imap_conversation import Conversation


@dataclass(frozen=True, slots=True)
class Replaced:
    folder: IFolder
    uid: int


def replaced(talk: Conversation, replaces: Replaces) -> Replaced:
    """What is to go. Raises Refused, BadCommand, MessageGone."""
    selected = talk.open_folder()
    if selected.read_only:
        raise Refused("The folder is selected read-only", "READ-ONLY")
    require(selected.folder, MOVE_SOURCE)
    number = replaces.number
    uids = selected.view.resolve(MessageSet(((number, number),)), uid=replaces.uid)
    if not uids:
        # RFC 8508 section 3.1: BAD for a number that is not there; a uid may have gone
        raise Refused("There is no such message", status=Status.NO)
    if uids[0] not in selected.folder.messages:
        raise MessageGone("the message to be replaced is gone")
    return Replaced(selected.folder, uids[0])


async def remove_replaced(gone: Replaced) -> str:
    """Harmless when somebody else removed it meanwhile. Why it is still there, or nothing."""
    try:
        await gone.folder.expunge([gone.uid])
    except FolderRefused as error:
        return str(error)
    except TransientFailure as error:
        return error.reply.text
    return ""
