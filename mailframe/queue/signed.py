"""Signing a message that is in memory."""

from __future__ import annotations

from mailframe.interfaces import IMessageSource, ISigner
from mailframe.message.headers import split_message
from mailframe.queue.content import MemorySource
from mailframe.runtime.aio import result_of


async def signed(message: bytes, signer: ISigner | None) -> bytes:
    """The message with our DKIM signatures on top, where its author's domain has keys."""
    if signer is None:
        return message
    header, body = split_message(message)

    async def open_body() -> IMessageSource:
        return MemorySource(body)

    signatures: bytes = await result_of(signer.sign(header, open_body))
    return signatures + message
