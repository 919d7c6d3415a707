"""What exactly to say to one server: the message, its addresses and its BODY, as it can
take them.

RFC 6152 section 3, RFC 3030 section 3 and RFC 6531 section 3.2 leave a sender three ways
with what the next host does not take: another host, converting, a bounce. Conversions are
made once for each kind and kept for the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import idna

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.delivery.converted import ConvertedMessage, converted
from mailframe.delivery.header import read_header
from mailframe.delivery.resigned import sign_again
from mailframe.errors import PermanentFailure
from mailframe.interfaces import ISigner, IStoredMessage, IWorkers
from mailframe.protocols.smtp.client_extensions import Extensions

_NO_UTF8_ADDRESS = Reply(
    553, status.NON_ASCII_ADDRESS, "The next host does not take internationalised addresses"
)
_NO_UTF8_HEADER = Reply(
    553, status.NON_ASCII_ADDRESS, "The next host does not take internationalised header fields"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One message for one server."""

    message: IStoredMessage
    envelope: Envelope
    body: Body


class Content:
    """One message during one attempt; ``close`` drops the conversions."""

    def __init__(
        self,
        message: IStoredMessage,
        workers: IWorkers,
        scratch: str | None,
        signer: ISigner | None = None,
    ) -> None:
        """``signer`` makes good the signatures of ours that a conversion breaks."""
        self._message = message
        self._signer = signer
        self._workers = workers
        self._scratch = scratch
        self._made: dict[Body, ConvertedMessage | None] = {}
        self._utf8_header: bool | None = None

    async def prepare(self, offered: Extensions) -> Prepared:
        """Raises PermanentFailure where this server can never have the message."""
        envelope = self._message.envelope
        if not offered.smtputf8:
            envelope = await self._in_ascii(envelope)
        message, body = await self._fitting(offered)
        # RFC 1870 section 6.1: what is declared too big need not be tried.
        limit = offered.max_size
        if limit is not None and message.size > limit:
            text = f"The message is too big for the next host, which takes {limit} octets"
            raise PermanentFailure(Reply(552, status.MESSAGE_TOO_BIG, text))
        return Prepared(message, envelope, body)

    def recipient(self, recipient: Recipient, offered: Extensions) -> Recipient | Reply:
        """The recipient as this server can read it, or why it cannot."""
        if offered.smtputf8 or not recipient.address.needs_utf8:
            return recipient
        address = _in_ascii(recipient.address)
        return replace(recipient, address=address) if address else _NO_UTF8_ADDRESS

    def close(self) -> None:
        for message in self._made.values():
            if message is not None:
                message.close()
        self._made.clear()

    async def _in_ascii(self, envelope: Envelope) -> Envelope:
        if envelope.smtputf8 and await self._has_utf8_header():
            raise PermanentFailure(_NO_UTF8_HEADER)
        reverse_path = envelope.reverse_path
        if reverse_path is not None and reverse_path.needs_utf8:
            reverse_path = _in_ascii(reverse_path)
            if reverse_path is None:
                raise PermanentFailure(_NO_UTF8_ADDRESS)
        elif not envelope.smtputf8:
            return envelope
        return replace(envelope, reverse_path=reverse_path, smtputf8=False)

    async def _has_utf8_header(self) -> bool:
        if self._utf8_header is None:
            self._utf8_header = not (await read_header(self._message)).isascii()
        return self._utf8_header

    async def _fitting(self, offered: Extensions) -> tuple[IStoredMessage, Body]:
        declared = self._message.envelope.body
        allowed = offered.widest_body
        if declared is allowed or _WIDTH[declared] <= _WIDTH[allowed]:
            return self._message, declared
        if allowed not in self._made:
            made = await converted(self._message, allowed, self._workers, self._scratch)
            self._made[allowed] = made
            if made is not None and self._signer is not None:
                await sign_again(self._signer, self._message, made)
        return self._made[allowed] or self._message, allowed


_WIDTH = {Body.SEVEN_BIT: 0, Body.EIGHT_BIT: 1, Body.BINARY: 2}


def needs_utf8(envelope: Envelope, recipients: Sequence[Recipient]) -> bool:
    """Whether MAIL must say SMTPUTF8 (RFC 6531 section 3.4)."""
    reverse_path = envelope.reverse_path
    return (
        envelope.smtputf8
        or (reverse_path is not None and reverse_path.needs_utf8)
        or any(recipient.address.needs_utf8 for recipient in recipients)
    )


def _in_ascii(address: Address) -> Address | None:
    """With A-labels for its domain; None where the local-part needs UTF-8."""
    if not address.needs_utf8:
        return address
    if not address.local_part.isascii():
        return None
    try:
        return address.with_domain(idna.encode(address.domain, uts46=True).decode("ascii"))
    except (idna.IDNAError, ValueError):  # AddressError is a ValueError
        return None
