"""Delivery into mailboxes here: what the store is given, and what is reported."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Local
from mailframe.delivery import LocalCourier
from mailframe.errors import INTERNAL_ERROR, OutcomeUnknown, PermanentFailure, TransientFailure
from mailframe.interfaces import Batch, ICourier, IMailStore, MessageInfo
from mailframe.runtime.workers import InlineWorkers
from tests.unit.delivery.delivery_world import TEXT, Stored

FULL = TransientFailure(Reply(452, status.MAILBOX_FULL, "full"), "97 %")
GONE = PermanentFailure(Reply(550, status.BAD_DESTINATION_MAILBOX, "gone"))


@implementer(IMailStore)
class Store:
    def __init__(self, *results: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.results = list(results)
        self.contents: list[bytes] = []

    async def deliver(
        self, account: str, folder: str, message: Any, prefix: bytes, token: str, repeats: bool
    ) -> MessageInfo:
        self.calls.append((account, folder, prefix, token, repeats))
        source = await message.open()
        content = b""
        while chunk := await source.read(7):
            content += chunk
        self.contents.append(content)
        if self.results and isinstance(result := self.results.pop(0), Exception):
            raise result
        return MessageInfo("uid1", len(content), 0.0)

    async def room(self, account: str, octets: int) -> bool:
        return True


def deliver(store: Store, message: Stored, *to: Recipient, repeats: bool = False) -> Any:
    courier = LocalCourier(store, workers=InlineWorkers())
    verifyObject(ICourier, courier)
    batch = Batch(message, to, "ann@here.example", 1, repeats)
    deferred: Deferred[Any] = courier.deliver(batch)
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results[0]


def to(address: str, folder: str = "") -> Recipient:
    return Recipient(Address.parse(address), mailbox=Local("ann@here.example", folder))


def test_prefix_folder_and_token() -> None:
    store = Store()
    reports = deliver(store, Stored(), to("Ann+x@here.example", "Lists"), repeats=True)
    ((account, folder, prefix, token, repeats),) = store.calls
    assert (account, folder, repeats) == ("ann@here.example", "Lists", True)
    assert prefix == (b"Return-Path: <ann@sender.example>\r\nDelivered-To: Ann+x@here.example\r\n")
    assert token == "TESTQUEUEID1:ann+x@here.example"
    assert store.contents == [TEXT]
    report: DeliveryReport = reports[0]
    assert (report.outcome, report.reply.code) == (Outcome.DELIVERED, 250)
    assert not report.remote, "no other host said anything"


def test_a_bounce_has_an_empty_return_path() -> None:
    store = Store()
    deliver(store, Stored(reverse_path=None), to("ann@here.example"))
    assert store.calls[0][2].startswith(b"Return-Path: <>\r\n")


class OurBug(SynchronousTestCase):
    def test_each_recipient_has_its_own_result(self) -> None:
        store = Store(FULL, GONE, RuntimeError("bug"), None)
        names = [f"a{n}@here.example" for n in range(4)]
        reports = deliver(store, Stored(), *map(to, names))
        found = [(report.outcome, report.reply.code, report.detail) for report in reports]
        assert found == [
            (Outcome.DEFERRED, 452, "97 %"),
            (Outcome.FAILED, 550, ""),
            (Outcome.DEFERRED, 451, ""),
            (Outcome.DELIVERED, 250, "uid uid1"),
        ]
        assert [report.unknown for report in reports] == [False, False, True, False]
        assert len(self.flushLoggedErrors(RuntimeError)) == 1


def test_what_may_be_there_nevertheless_is_reported_so() -> None:
    store = Store(OutcomeUnknown(INTERNAL_ERROR, "planned"))
    (report,) = deliver(store, Stored(), to("ann@here.example"))
    assert (report.outcome, report.detail, report.unknown) == (Outcome.DEFERRED, "planned", True)


@pytest.mark.parametrize(
    "header", ["Delivered-To: ANN@Here.Example", "delivered-to:\r\n <ann@here.example>"]
)
def test_what_was_here_before_is_a_loop(header: str) -> None:
    store = Store()
    message = Stored(f"Subject: x\r\n{header}\r\n\r\nbody\r\n".encode())
    one, other = deliver(store, message, to("ann@here.example"), to("bob@here.example"))
    assert (one.outcome, one.reply.code, one.reply.enhanced) == (Outcome.FAILED, 554, "5.4.6")
    assert other.outcome is Outcome.DELIVERED


def test_delivered_to_in_the_body_is_no_loop() -> None:
    message = Stored(b"Subject: x\r\n\r\nDelivered-To: ann@here.example\r\n")
    (report,) = deliver(Store(), message, to("ann@here.example"))
    assert report.outcome is Outcome.DELIVERED


def test_an_address_whose_part_stands_there_is_no_loop() -> None:
    message = Stored(b"Delivered-To: joann@here.example\r\n\r\n")
    (report,) = deliver(Store(), message, to("ann@here.example"))
    assert report.outcome is Outcome.DELIVERED


def test_binary_content_becomes_lines() -> None:
    header = b"MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n"
    store = Store()
    message = Stored(header + b"\r\n\0\n\r\xff", body=Body.BINARY)
    (report,) = deliver(store, message, to("ann@here.example"))
    assert report.outcome is Outcome.DELIVERED
    assert b"Content-Transfer-Encoding: base64" in store.contents[0]
    assert store.contents[0].isascii()


def test_binary_that_is_mere_text_stays() -> None:
    store = Store()
    deliver(store, Stored(body=Body.BINARY), to("ann@here.example"))
    assert store.contents == [TEXT]
