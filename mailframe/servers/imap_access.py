"""GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314).

A user who may not even look a folder up is told that there is none (section 6).
"""

from __future__ import annotations

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from mailframe.interfaces.folders import IAccessControl, IFolder
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome
from mailframe.servers.imap_rights import ADMINISTER, RIGHTS, require

# RFC 4314 section 2.1.1: what RFC 2086 called c and d
_OLD_CREATE = "c"
_OLD_DELETE = "d"
_MEANT_BY = {_OLD_CREATE: "kx", _OLD_DELETE: "te"}


async def get_acl(talk: Conversation, command: GetAcl) -> Outcome:
    await _administered(talk, command.mailbox)
    entries = await IAccessControl(talk.folders).acl(command.mailbox)
    shown = [(identifier, _with_old(rights)) for identifier, rights in entries]
    talk.send(responses.acl(command.mailbox, shown, talk.utf8))
    return Outcome("GETACL completed")


async def set_acl(talk: Conversation, command: SetAcl) -> Outcome:
    await _administered(talk, command.mailbox)
    given = _known(command.rights)
    control = IAccessControl(talk.folders)
    await control.set_acl(command.mailbox, command.identifier, given, command.sign)
    return Outcome("SETACL completed")


async def delete_acl(talk: Conversation, command: DeleteAcl) -> Outcome:
    await _administered(talk, command.mailbox)
    await IAccessControl(talk.folders).set_acl(command.mailbox, command.identifier, "")
    return Outcome("DELETEACL completed")


async def list_rights(talk: Conversation, command: ListRights) -> Outcome:
    await _administered(talk, command.mailbox)
    entries = await IAccessControl(talk.folders).acl(command.mailbox)
    # RFC 4314 section 3.7: the owner has everything always; for others nothing is always
    # granted, and each right can be had by itself
    owner = entries[0][0] if entries else ""
    is_owner = command.identifier.casefold() in {owner, owner.rpartition("@")[0]} - {""}
    always, optional = (RIGHTS, "") if is_owner else ("", RIGHTS)
    talk.send(
        responses.list_rights(command.mailbox, command.identifier, always, optional, talk.utf8)
    )
    return Outcome("LISTRIGHTS completed")


async def my_rights(talk: Conversation, command: MyRights) -> Outcome:
    rights = await IAccessControl(talk.folders).my_rights(command.mailbox)
    # RFC 4314 section 4: any right at all, and then it may be told
    if not rights:
        raise FolderRefused(FolderReason.NONEXISTENT, "There is no such folder")
    talk.send(my_rights_line(command.mailbox, rights, utf8=talk.utf8))
    return Outcome("MYRIGHTS completed")


def my_rights_line(name: str, rights: str, *, utf8: bool) -> bytes:
    return responses.my_rights(name, _with_old(rights), utf8)


async def _administered(talk: Conversation, name: str) -> IFolder:
    folder = await talk.folders.folder(name)
    require(folder, ADMINISTER)
    return folder


def _known(rights: str) -> str:
    """Without doubles. Raises BadCommand for what is no right (RFC 4314 section 3.1)."""
    found: set[str] = set()
    for right in rights:
        if right not in RIGHTS and right not in _MEANT_BY:
            raise BadCommand("There is no such right")
        found.update(_MEANT_BY.get(right, right))
    return "".join(right for right in RIGHTS if right in found)


def _with_old(rights: str) -> str:
    """RFC 4314 section 2.1.1: clients of RFC 2086 see c and d where any of theirs is there."""
    old = [name for name, meant in _MEANT_BY.items() if any(right in rights for right in meant)]
    return rights + "".join(old)
