"""Mail that the server writes: spooled, signed, resolved as at RCPT, and in the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify
from mailframe.core.reply import Reply
from mailframe.core.resolution import Expanded, Local, Moved, Refused, Target
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IMessageSource, IOutbox, ISigner
from mailframe.queue.outbox import Outbox
from mailframe.runtime.aio import result_of
from tests.unit.queue.world import EPOCH, REFUSED, World, done, to

ANN, BOB = Address.parse("ann@here.example"), Address.parse("bob@far.example")
FROM = Address.parse("postmaster@here.example")
NOTICE = (
    b"From: postmaster@here.example\r\nTo: x@here.example\r\n"
    b"Message-ID: <7@here.example>\r\nSubject: frozen\r\n\r\nYour account is frozen.\r\n"
)
BUSY = Reply(451, status.DIRECTORY_FAILURE, "Not now")


@implementer(ISigner)
class FakeSigner:
    """Signs with the lengths of what it saw."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    async def sign(
        self, header: bytes, open_body: Callable[[], Awaitable[IMessageSource]]
    ) -> bytes:
        if self.failure is not None:
            raise self.failure
        source = await open_body()
        body = await result_of(source.read(1 << 20))
        assert header.endswith(b"\r\n")
        assert not header.endswith(b"\r\n\r\n")
        return b"DKIM-Signature: h=%d; b=%d\r\n" % (len(header), len(body))

    async def renewed(self, header: bytes, *rest: Any) -> bytes:
        return header


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).start()


def outbox_of(world: World, signer: Any = None) -> Outbox:
    return Outbox(world.spool, world.resolver, signer, journal=world.journal, ids=lambda: "OUT1")


def post(outbox: Outbox, *recipients: Address, sender: Address | None = FROM, **kw: Any) -> str:
    return done(outbox.post(sender, recipients, kw.get("message", NOTICE)))


def test_it_is_what_it_says(world: World) -> None:
    assert verifyObject(IOutbox, outbox_of(world))


def test_to_a_mailbox_here_and_to_somebody_elsewhere(world: World) -> None:
    assert post(outbox_of(world), ANN, BOB) == "OUT1"
    world.run()
    assert world.local.contents == world.mx.contents == {"OUT1": NOTICE}
    assert world.local.addresses() == [str(ANN)]
    assert world.mx.addresses() == [str(BOB)]
    assert world.is_empty()


def test_it_is_in_the_journal_as_accepted(world: World) -> None:
    post(outbox_of(world), ANN)
    id, step, _, detail = world.journal.records[0]
    assert (id, step) == ("OUT1", "accept")
    assert detail["reverse_path"] == str(FROM)
    assert detail["forward_path"] == [str(ANN)]
    assert detail["message_id"] == "<7@here.example>"
    assert detail["size"] == len(NOTICE)


def test_it_is_signed_over_what_is_sent(world: World) -> None:
    post(outbox_of(world, FakeSigner()), BOB)
    world.run()
    header, _, body = NOTICE.partition(b"\r\n\r\n")
    signature = b"DKIM-Signature: h=%d; b=%d\r\n" % (len(header) + 2, len(body))
    assert world.mx.contents["OUT1"] == signature + NOTICE


def test_nothing_is_kept_where_signing_fails(world: World) -> None:
    with pytest.raises(TransientFailure):
        post(outbox_of(world, FakeSigner(TransientFailure(BUSY))), BOB)
    assert world.is_empty()


def test_aliases_are_followed_and_nobody_gets_it_twice(world: World) -> None:
    team = Address.parse("team@here.example")
    targets = (Target(ANN, Local(ANN.key)), Target(BOB, None))
    world.resolver.special[str(team)] = Expanded(targets)
    post(outbox_of(world), team, ANN, BOB)
    rows = world.rows("address, original, notify")
    assert rows == [(str(ANN), str(team), "FAILURE"), (str(BOB), str(team), "FAILURE")]


def test_failures_are_reported_where_there_is_somebody_to_hear_of_them(world: World) -> None:
    post(outbox_of(world), BOB)
    assert world.rows("notify") == [(Notify.FAILURE.value,)]


def test_nothing_is_reported_to_nobody(world: World) -> None:
    post(outbox_of(world), BOB, sender=None)
    assert world.rows("notify") == [(Notify.NEVER.value,)]


def test_who_takes_no_mail_does_not_keep_it_from_the_others(world: World) -> None:
    world.resolver.special["gone@here.example"] = Refused(REFUSED)
    world.resolver.special["old@here.example"] = Moved(BOB)
    gone, old = Address.parse("gone@here.example"), Address.parse("old@here.example")
    post(outbox_of(world), gone, ANN, old)
    assert world.rows("address") == [(str(ANN),)]
    with pytest.raises(PermanentFailure):
        post(outbox_of(world), gone, old)
    with pytest.raises(PermanentFailure):
        post(outbox_of(world))


def test_what_cannot_be_found_out_now_is_not_lost_but_refused(world: World) -> None:
    world.resolver.special[str(ANN)] = Refused(BUSY)
    with pytest.raises(TransientFailure):
        post(outbox_of(world), BOB, ANN)
    assert world.is_empty()


def test_a_disk_without_room(tmp_path: Path) -> None:
    world = World(tmp_path, free_floor=1 << 62).start()
    with pytest.raises(TransientFailure, match="452"):
        post(outbox_of(world), ANN)


def test_a_long_report_goes_to_a_body_file(tmp_path: Path) -> None:
    world = World(tmp_path, inline_limit=1000).start()
    message = NOTICE + b"x" * 76 + b"\r\n" * 200_000
    post(outbox_of(world), BOB, message=message)
    world.run()
    assert world.mx.contents["OUT1"] == message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (NOTICE, (False, "7BIT")),
        (NOTICE + "Ελλάδα".encode(), (False, "8BITMIME")),
        (NOTICE.replace(b"frozen", "παγωμένο".encode(), 1), (True, "8BITMIME")),
    ],
)
def test_the_envelope_says_what_is_in_it(world: World, message: bytes, expected: Any) -> None:
    post(outbox_of(world), BOB, message=message)
    world.run()
    envelope = world.mx.batches[0].message.envelope
    assert (envelope.smtputf8, envelope.body.value) == expected


def test_a_failure_bounces_to_the_reverse_path_and_the_bounce_is_signed(tmp_path: Path) -> None:
    world = World(tmp_path, signer=FakeSigner()).start()
    world.mx.answer = lambda address: REFUSED
    world.accept("IN1", to(str(BOB), sender=str(ANN)))
    world.run()
    bounce = world.local.contents["DSN1"]
    signature, _, rest = bounce.partition(b"\r\n")
    header, _, body = rest.partition(b"\r\n\r\n")
    assert signature == b"DKIM-Signature: h=%d; b=%d" % (len(header) + 2, len(body))
    assert b"From: Mail Delivery System" in header
    assert world.clock.seconds() == EPOCH


def test_a_bounce_waits_where_signing_fails_for_now(tmp_path: Path) -> None:
    signer = FakeSigner(TransientFailure(BUSY))
    world = World(tmp_path, signer=signer).start()
    world.mx.answer = lambda address: REFUSED
    world.accept("IN1", to(str(BOB), sender=str(ANN)))
    world.run()
    assert world.rows("queue_id") == [("IN1",)]
    signer.failure = None
    world.run(5)
    [bounce] = world.local.contents.values()
    assert bounce.startswith(b"DKIM-Signature")
