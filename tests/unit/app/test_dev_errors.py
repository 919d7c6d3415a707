"""``mailframe dev`` makes the errors that it is asked for, and no others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.app.dev_errors import FOREVER, Chaos, DevErrors
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.interfaces import (
    IAuthPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.runtime.aio import as_deferred
from mailframe.web.faults import Faults

SESSION = Session("S", Role.MX, "smtp", "127.0.0.1", 4711)


class House:
    def __init__(self, *, magic: bool = True, chaos: Chaos | None = None) -> None:
        self.clock = Clock()
        self.faults = Faults(lambda: 0)
        self.hung_up: list[tuple[Session, bool]] = []
        self.policy = DevErrors(
            self.clock,
            self.faults,
            lambda session, abruptly: self.hung_up.append((session, abruptly)),
            magic=magic,
            chaos=chaos,
        )

    def mail(self, sender: str) -> Any:
        return self.answer(self.policy.mail(SESSION, Envelope(_address(sender))))

    def rcpt(self, address: str) -> Any:
        recipient = Recipient(Address.parse(address))
        asked = self.policy.recipient(SESSION, Envelope(None), recipient, Local(address))
        return self.answer(asked)

    def data(self, *addresses: str) -> Any:
        recipients = tuple(Recipient(Address.parse(each)) for each in addresses)
        content: Any = None
        return self.answer(self.policy.message(SESSION, Envelope(None, recipients), content))

    def answer(self, verdict: Any) -> Any:
        """The code, None, or a list that gets them later."""
        if hasattr(verdict, "__await__"):
            later: list[Any] = []
            waiting: Deferred[Any] = as_deferred(verdict)
            waiting.addBoth(later.append)
            return later
        return verdict.code if isinstance(verdict, Reply) else verdict


def _address(text: str) -> Address | None:
    return Address.parse(text) if text else None


def test_it_is_a_policy_at_every_stage_it_says() -> None:
    policy = House().policy
    for interface in (IMailPolicy, IRecipientPolicy, IMessagePolicy, IAuthPolicy, IRefusedPolicy):
        assert verifyObject(interface, policy)


@pytest.mark.parametrize(
    ("local_part", "code"),
    [
        ("550", 550),
        ("421", 421),
        ("ann+452", 452),
        ("a+b+451", 451),
        ("permerror", 550),
        ("PermError", 550),
        ("ann+temperror", 451),
        ("ann", None),
        ("250", None),
        ("399", None),
        ("5500", None),
        ("x550", None),
        ("550x", None),
        ("ann-550", None),
        ("550+ann", None),
        ("data-550", None),
        ("\u0665\u0665\u0660", None),
    ],
)
def test_magic_local_parts(local_part: str, code: int | None) -> None:
    house = House()
    assert house.rcpt(f"{local_part}@x.test") == code
    assert house.mail(f"{local_part}@x.test") == code
    assert house.data(f"{local_part}@x.test") == (550 if local_part == "data-550" else None)
    assert House(magic=False).rcpt(f"{local_part}@x.test") is None


def test_at_the_end_of_the_data_any_recipient_counts() -> None:
    house = House()
    assert house.data("ann@x.test", "bob+data-552@x.test") == 552
    assert house.rcpt("bob+data-552@x.test") is None


def test_the_null_reverse_path_is_nobody() -> None:
    assert House().mail("") is None


def test_delays() -> None:
    house = House()
    later = house.rcpt("delay5@x.test")
    house.clock.advance(4.9)
    assert later == []
    house.clock.advance(0.2)
    assert later == [None]
    later = house.data("data-timeout@x.test")
    house.clock.advance(FOREVER - 1)
    assert later == []


def test_a_client_that_leaves_ends_the_wait() -> None:
    house = House()
    recipient = Recipient(Address.parse("timeout@x.test"))
    verdict: Any = house.policy.recipient(SESSION, Envelope(None), recipient, Local("x"))
    waiting = as_deferred(verdict)
    waiting.cancel()
    waiting.addErrback(lambda failure: None)
    assert house.clock.getDelayedCalls() == []


def test_dropping() -> None:
    house = House()
    assert house.rcpt("drop@x.test") == []
    assert house.hung_up == [(SESSION, True)]


def test_the_connection_ends_after_421() -> None:
    house = House()
    house.policy.refused(SESSION, "rcpt", Reply(421, None, "x"))
    assert house.hung_up == []
    house.clock.advance(1)
    assert house.hung_up == [(SESSION, False)]
    house.policy.refused(SESSION, "connect", Reply(421, None, "x"))  # the server does it itself
    house.policy.refused(SESSION, "rcpt", Reply(451, None, "x"))
    house.clock.advance(1)
    assert len(house.hung_up) == 1


def test_faults_count_at_their_stage() -> None:
    house = House()
    house.faults.add({"Stage": "data", "Address": "ann@x.test", "Code": 452, "Times": 1})
    house.faults.add({"Stage": "mail", "Address": "bob@x.test", "Code": 553})
    house.faults.add({"Stage": "auth", "Address": "cy@x.test", "Code": 535})
    assert house.rcpt("ann@x.test") is None
    assert house.data("bob@x.test", "ann@x.test") == 452
    assert house.data("ann@x.test") is None
    assert house.mail("bob@x.test") == 553
    session = Session("S", Role.MX, "smtp", "127.0.0.1", account="cy@x.test")
    assert house.answer(house.policy.auth(session)) == 535
    assert house.answer(house.policy.auth(SESSION)) is None


def chaos(percent: int, seed: int, commands: int = 400) -> list[object]:
    house = House(chaos=Chaos(percent, Random(seed)))
    outcomes: list[object] = []
    for _ in range(commands):
        answer = house.rcpt("ann@x.test")
        outcomes.append("late" if isinstance(answer, list) else answer)
    return [*outcomes, len(house.hung_up)]


def test_chaos_is_a_share_of_each_kind_and_a_seed_repeats_it() -> None:
    first = chaos(30, 7)
    assert first == chaos(30, 7)
    assert first != chaos(30, 8)
    wrong = [each for each in first[:-1] if each is not None]
    assert 80 < len(wrong) < 160
    assert wrong.count(451) > 20
    assert wrong.count("late") > 40
    dropped = first[-1]
    assert isinstance(dropped, int)
    assert dropped > 20
    assert set(chaos(0, 7)) == {None, 0}
    assert None not in chaos(100, 7)
