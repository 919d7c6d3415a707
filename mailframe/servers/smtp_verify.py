"""VRFY and EXPN (RFC 5321 section 3.5): real answers for those who may relay only.

Strangers hear 252, always the same: neither command tells them which addresses exist.
"""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Expanded, Local, Moved, Refused, Resolution
from mailframe.protocols.smtp.events import Verify
from mailframe.runtime.aio import result_of
from mailframe.servers.smtp_settings import SmtpParts

_NO_ANSWER = Reply(252, status.OTHER, "Cannot verify, but will take a message and try")
_NO_ADDRESS = Reply(553, status.BAD_DESTINATION_SYNTAX, "This is no address")


async def verify(parts: SmtpParts, question: Verify, trusted: bool) -> Reply:
    """``trusted``: whether the client may relay."""
    if not trusted:
        return _NO_ANSWER
    if question.address is None:
        return _NO_ADDRESS
    address = question.address
    if not address.domain and address.local_part.lower() != "postmaster":
        # RFC 5321 section 3.5.1: a bare user name is one of this host
        address = Address(address.local_part, parts.hostname.lower())
    resolution: Resolution = await result_of(parts.resolver.resolve(address))
    return _expansion(address, resolution) if question.expand else _who(address, resolution)


def _who(address: Address, resolution: Resolution) -> Reply:
    match resolution:
        case Local():
            return _found(f"<{address}>")
        case Expanded(targets=(target,)) if target.mailbox is None:
            # RFC 5321 section 3.4
            text = f"User not local; will forward to <{target.address}>"
            return Reply(251, status.DESTINATION_VALID, text)
        case Expanded(is_list=True):
            return _found(f"<{address}> is a list")
        case Expanded():
            return _found(f"<{address}>")
        case _:
            return _neither(resolution)


def _expansion(address: Address, resolution: Resolution) -> Reply:
    match resolution:
        case Local():
            return _found(f"<{address}>")
        case Expanded(targets=targets):
            return _found("\n".join(f"<{target.address}>" for target in targets))
        case _:
            return _neither(resolution)


def _neither(resolution: Resolution) -> Reply:
    match resolution:
        case Moved(to=to):
            text = f"User not local; please try <{to}>"
            return Reply(551, status.MAILBOX_MOVED, text)
        case Refused(reply=reply):
            return reply
        case Elsewhere():
            return _NO_ANSWER
    raise TypeError(f"{resolution!r} is no resolution")


def _found(text: str) -> Reply:
    return Reply(250, status.DESTINATION_VALID, text)
