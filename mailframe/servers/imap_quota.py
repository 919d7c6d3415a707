"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root, named ``""``, for a whole account.

STORAGE is in units of 1024 octets, rounded up, so that "full" is never shown as less.
"""

from __future__ import annotations

from mailframe.core.folders import INBOX, FolderReason, QuotaUse
from mailframe.errors import FolderRefused
from mailframe.interfaces.folders import IQuotas
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import GetQuota, GetQuotaRoot, SetQuota
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_rights import require_for

_ROOT = ""
_UNIT = 1024


async def get_quota(talk: Conversation, command: GetQuota) -> Outcome:
    if command.root:
        raise FolderRefused(FolderReason.NONEXISTENT, "There is no such quota root")
    use = await IQuotas(talk.folders).quota(INBOX)
    if use is None:
        # RFC 9208 section 5: a list of resources is never empty
        raise FolderRefused(FolderReason.NONEXISTENT, "There is no quota")
    _send_quota(talk, use)
    return Outcome("GETQUOTA completed")


async def get_quota_root(talk: Conversation, command: GetQuotaRoot) -> Outcome:
    folder = await talk.folders.folder(command.mailbox)
    # RFC 4314 section 4
    require_for(folder, command)
    use = await IQuotas(talk.folders).quota(command.mailbox)
    roots = [] if use is None else [_ROOT]
    talk.send(responses.quota_root(command.mailbox, roots, talk.utf8))
    if use is not None:
        _send_quota(talk, use)
    return Outcome("GETQUOTAROOT completed")


async def set_quota(talk: Conversation, command: SetQuota) -> Outcome:
    # RFC 9208 section 4.1.2: QUOTASET is not offered
    raise Refused("Quotas are set by the administrator", FolderReason.NO_PERMISSION.value)


def _send_quota(talk: Conversation, use: QuotaUse) -> None:
    resources = []
    if use.octet_limit:
        resources.append(("STORAGE", _units(use.octets), _units(use.octet_limit)))
    if use.message_limit:
        resources.append(("MESSAGE", use.messages, use.message_limit))
    talk.send(responses.quota(_ROOT, resources))


def _units(octets: int) -> int:
    return -(-octets // _UNIT)
