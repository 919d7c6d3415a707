"""Delivery written for Twisted Mail (``IMessageDelivery``) as our resolver and mail store.

``validateTo`` is asked at RCPT whether the address takes mail, and again when the message is
delivered, then with ``validateFrom`` before it and for the object that takes the lines. The
callable that ``validateTo`` returns is only called for a delivery.

A delivery that was interrupted is made again: such a store cannot tell, so it may get a
message twice, never less than once.

Imports ``twisted.mail.smtp``, which asks the system for its host name when it is imported;
that is why nothing imports this module before a realm needs it.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import IRealm
from twisted.mail import smtp
from twisted.mail.interfaces import IMessageDelivery, IMessageDeliveryFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.accounts.names import domain_key
from mailframe.core import status
from mailframe.core.address import Address, AddressError
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Local, Refused, Resolution
from mailframe.core.status import Status
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IMailStore,
    IMessageSource,
    IRecipientResolver,
    IStoredMessage,
    MessageInfo,
)
from mailframe.runtime.aio import result_of

_ANONYMOUS = ()  # twisted.cred.checkers.ANONYMOUS
_CHUNK = 65536


@implementer(IRecipientResolver, IMailStore)
class TwistedDelivery:
    """``domains``: whose addresses the realm decides about; others are for relaying. None:
    the realm decides about every address and nothing is relayed, unless it has no delivery
    at all: then every address is elsewhere."""

    def __init__(self, realm: IRealm, domains: frozenset[str] | None) -> None:
        self._realm = realm
        self._domains = domains

    async def resolve(self, address: Address) -> Resolution:
        if not self._is_ours(address):
            return Elsewhere()
        try:
            delivery = await self._delivery()
        except NotImplementedError:
            return Elsewhere()
        try:
            await result_of(delivery.validateTo(_user(address, ("", ""), None)))
        except smtp.SMTPServerError as error:
            return Refused(_reply(error, status.BAD_DESTINATION_MAILBOX))
        return Local(_account(address))

    def _is_ours(self, address: Address) -> bool:
        if self._domains is None or not address.domain:
            return True
        try:
            return domain_key(address.domain) in self._domains
        except AddressError:
            return False

    async def _delivery(self) -> Any:
        """One a message, as the factory's contract has it."""
        asked = (IMessageDeliveryFactory, IMessageDelivery)
        interface, avatar, _ = await result_of(self._realm.requestAvatar(_ANONYMOUS, None, *asked))
        if interface.isOrExtends(IMessageDeliveryFactory):
            return await result_of(avatar.getMessageDelivery())  # type: ignore[attr-defined]
        return avatar

    async def room(self, account: str, octets: int) -> bool:
        """The old interface has no quota: a full mailbox says so at ``eomReceived``."""
        return True

    async def deliver(
        self,
        account: str,
        folder: str,
        message: IStoredMessage,
        prefix: bytes,
        token: str,
        repeats: bool,
    ) -> MessageInfo:
        sink = await self._sink(account, message)
        source: IMessageSource = await message.open()
        try:
            size = await _feed(sink, prefix, source)
            await result_of(sink.eomReceived())
        except smtp.SMTPServerError as error:
            raise _failure(error, status.SYSTEM_OTHER) from error
        except BaseException:
            sink.connectionLost()
            raise
        finally:
            source.close()
        return MessageInfo(token, size, message.arrived)

    async def _sink(self, account: str, message: IStoredMessage) -> Any:
        """The ``IMessage`` that takes the lines."""
        helo = (message.arrival.helo, message.arrival.peer_ip)
        origin = address_for_twisted(message.envelope.reverse_path)
        recipient = _user(_parse_account(account), helo, message.envelope.reverse_path)
        delivery = await self._delivery()
        try:
            await result_of(delivery.validateFrom(_octets(helo), origin))
            make = await result_of(delivery.validateTo(recipient))
        except smtp.SMTPServerError as error:
            raise _failure(error, status.BAD_DESTINATION_MAILBOX) from error
        return make()


async def _feed(sink: Any, prefix: bytes, source: IMessageSource) -> int:
    """Line by line, without line endings; returns the octets in wire format."""
    lines = _Lines()
    size = 0
    chunk = prefix
    ended = False
    while not ended:
        size += len(chunk)
        for line in lines.feed(chunk):
            sink.lineReceived(line)
        chunk = await source.read(_CHUNK)
        ended = not chunk
    if rest := lines.rest():
        sink.lineReceived(rest)
    return size


class _Lines:
    """Cuts chunks at CRLF; a line of many chunks is put together once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._cr = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        chunk = self._cr + chunk
        self._cr = b"\r" if chunk.endswith(b"\r") else b""
        head, *tail = chunk[: len(chunk) - len(self._cr)].split(b"\r\n")
        self._parts.append(head)
        if not tail:
            return []
        first = b"".join(self._parts)
        self._parts = [tail.pop()]
        return [first, *tail]

    def rest(self) -> bytes:
        return b"".join(self._parts) + self._cr


def _failure(error: smtp.SMTPServerError, default: Status) -> TransientFailure | PermanentFailure:
    reply = _reply(error, default)
    kind = TransientFailure if reply.is_transient else PermanentFailure
    return kind(reply, Failure(error).getErrorMessage())


def _reply(error: smtp.SMTPServerError, default: Status) -> Reply:
    code = error.code if 400 <= error.code <= 599 else 550
    text = error.resp.decode("utf-8", "replace") if isinstance(error.resp, bytes) else error.resp
    return Reply(code, default, " ".join(text.replace("\0", " ").split()) or "Refused")


def _account(address: Address) -> str:
    """Spelt as the sender did: the realm has its own idea of case and detail."""
    return f"{address.local_part}@{address.domain}"


def _parse_account(account: str) -> Address:
    local, _, domain = account.rpartition("@")
    return Address(local, domain)


def address_for_twisted(address: Address | None) -> smtp.Address:
    """Filled in by hand: its parser must not see what ours has understood already."""
    made = smtp.Address(b"")
    if address is not None:
        local, _, domain = (
            str(address).rpartition("@") if address.domain else (str(address), "", "")
        )
        made.local, made.domain = local.encode(), domain.encode()
        made.addrstr = str(address).encode()
    return made


def _user(address: Address, helo: tuple[str, str], reverse_path: Address | None) -> smtp.User:
    return smtp.User(
        address_for_twisted(address), _octets(helo), None, address_for_twisted(reverse_path)
    )


def _octets(helo: tuple[str, str]) -> tuple[bytes, bytes]:
    return helo[0].encode(), helo[1].encode()
