"""Messages as hooks get them, and an outbox that keeps what they send."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any, cast

from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.authentication import NOT_CHECKED
from mailframe.core.envelope import Envelope, Recipient
from mailframe.hooks.arrival import ArrivalFacts
from mailframe.hooks.mail import Message
from mailframe.hooks.outgoing import Dispatch, Letter, Outgoing
from mailframe.hooks.server import Server
from mailframe.interfaces import IOutbox

ORDERS = Address.parse("orders+42@shop.test")
BOB = Address.parse("bob@example.org")
NOW = 1_750_000_000.0
PLAIN = (
    "From: Bob <bob@example.org>\r\nTo: orders+42@shop.test\r\nSubject: My order\r\n"
    "Message-ID: <1@example.org>\r\nDate: Sun, 15 Jun 2025 15:06:40 +0000\r\n\r\nTwo, please.\r\n"
)


@implementer(IOutbox)
class Kept:
    """An outbox. ``failures``: raised by as many of its next calls; None lets one pass."""

    def __init__(self) -> None:
        self.posted: list[tuple[Address | None, list[Address], bytes]] = []
        self.failures: list[Exception | None] = []

    async def post(
        self, reverse_path: Address | None, recipients: Sequence[Address], message: bytes
    ) -> str:
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.posted.append((reverse_path, list(recipients), message))
        return f"Q{len(self.posted)}"


def server(outbox: Any = None, hostname: str = "mail.shop.test") -> Server:
    clock = Clock()
    clock.advance(NOW)
    ids = iter(range(1, 10_000))
    return Server(
        hostname=hostname,
        postmaster=Address.parse("postmaster@shop.test"),
        outbox=outbox or Kept(),
        workers=cast(Any, None),
        clock=clock,
        journal=cast(Any, None),
        ids=lambda: f"ID{next(ids)}",
        random=lambda octets: b"\0" * octets,
    )


def outgoing(**more: Any) -> Outgoing:
    given = {"server": server(), "id": "7KQ2", "hook": "shop.order", "address": ORDERS}
    return Outgoing(**(given | more))


def message(raw: str | bytes = PLAIN, *, sender: Address | None = BOB, **more: Any) -> Message:
    given: dict[str, Any] = {
        "id": "7KQ2",
        "envelope": Envelope(sender, (Recipient(more.get("address", ORDERS) or ORDERS),)),
        "arrival": ArrivalFacts(),
        "auth": NOT_CHECKED,
        "address": ORDERS,
        "outgoing": outgoing(),
    }
    octets = raw.encode() if isinstance(raw, str) else raw
    return Message(octets, **(given | more))


def letter_of(dispatch: Dispatch) -> Letter:
    assert dispatch.why == ""
    assert dispatch.letter is not None
    return dispatch.letter


def read(letter: Letter) -> EmailMessage:
    """By a parser that is not ours."""
    found = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not [part.defects for part in found.walk() if part.defects]
    return found


def text_in(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n")
