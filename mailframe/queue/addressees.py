"""Who gets mail that the server itself writes: an address, followed as at RCPT."""

from __future__ import annotations

from dataclasses import replace

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Expanded, Local, Refused
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IRecipientResolver
from mailframe.runtime.aio import result_of

_TAKES_NO_MAIL = Reply(550, status.BAD_DESTINATION_MAILBOX, "This address takes no mail here")


async def addressees(resolver: IRecipientResolver, address: Address) -> tuple[Recipient, ...]:
    """The final recipients, of whom no reports are wanted. Raises PermanentFailure where the
    address takes no mail, and TransientFailure where that cannot be found out now."""
    resolution = await result_of(resolver.resolve(address))
    # RFC 3461 section 6.1: a report asks for no report
    plain = Recipient(address, notify=frozenset({Notify.NEVER}))
    if isinstance(resolution, Local):
        return (replace(plain, mailbox=resolution),)
    if isinstance(resolution, Elsewhere):
        return (plain,)
    if isinstance(resolution, Expanded) and resolution.targets:
        return tuple(
            replace(plain, address=target.address, mailbox=target.mailbox, original=address)
            for target in resolution.targets
        )
    if isinstance(resolution, Refused):
        kind = TransientFailure if resolution.reply.is_transient else PermanentFailure
        raise kind(resolution.reply, str(address))
    raise PermanentFailure(_TAKES_NO_MAIL, str(address))
