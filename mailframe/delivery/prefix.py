"""What final delivery writes on top of a message, and the loop that it detects by it."""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.delivery.header import read_header
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IStoredMessage
from mailframe.message.headers import named
from mailframe.message.trace import delivered_to_field, field_line, return_path_field


def prefix(message: IStoredMessage, recipient: Recipient) -> bytes:
    """``Return-Path`` (RFC 5321 section 4.4), ``Delivered-To`` (RFC 9228), and what policies
    had to say to this mailbox alone."""
    path = return_path_field(message.envelope.reverse_path)
    own = recipient.mailbox.headers if recipient.mailbox is not None else ()
    return (
        path
        + delivered_to_field(recipient.address)
        + b"".join(field_line(name, value) for name, value in own)
    )


async def delivered_to(message: IStoredMessage) -> frozenset[str]:
    """The addresses that this message says it has been delivered to, as ``Address.key``."""
    return _delivered_to(await read_header(message))


def delivered_to_in(octets: bytes) -> frozenset[str]:
    """The same of a message that is in memory."""
    return _delivered_to(octets.partition(b"\r\n\r\n")[0] + b"\r\n")


def _delivered_to(header: bytes) -> frozenset[str]:
    # Hardly any message has one, and to look for the word alone takes no time.
    if b"delivered-to" not in header.lower():
        return frozenset()
    return frozenset(_key(field.text) for field in named(header, "Delivered-To"))


def refuse_loop(recipient: Recipient, seen: frozenset[str]) -> None:
    """Raises PermanentFailure where the message has been in this mailbox before: somebody
    forwards it back to us, and it would come for ever."""
    if recipient.address.key in seen:
        text = f"Mail for {recipient.address} is going round in a loop"
        raise PermanentFailure(Reply(554, status.ROUTING_LOOP, text))


def _key(text: str) -> str:
    try:
        return Address.parse(text.strip("<>")).key
    except ValueError:
        return text.casefold()  # somebody else's notation
