"""Couriers to named hosts: routes, smarthosts with a login, LMTP."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery import HopCourier, Router
from mailframe.errors import DnsTemporary
from mailframe.interfaces import ICourier
from tests.unit.delivery.delivery_world import TEXT, World, batch


@pytest.fixture
def world() -> World:
    made = World()
    made.names.hosts.update({"hub.example": ("192.0.2.7",), "127.0.0.1": ("127.0.0.1",)})
    return made


def courier(world: World, *hops: str, name: str = "smtp") -> HopCourier:
    router = Router({f"r{n}.example": hop for n, hop in enumerate(hops)}, None)
    return HopCourier(name, world.sender, world.names, next_hops=router.next_hops)


def deliver(world: World, hop: str, *to: str, **options: Any) -> list[DeliveryReport]:
    router = Router({"*": hop}, None)
    route = router.route(batch("").recipients[0])
    made = HopCourier(route.courier, world.sender, world.names, next_hops=router.next_hops)
    reports: list[DeliveryReport] = world.run(made.deliver(batch(route.next_hop, *to, **options)))
    return reports


def test_it_provides_the_interface(world: World) -> None:
    verifyObject(ICourier, courier(world))


def test_a_route_asks_no_mx(world: World) -> None:
    made = world.serve("192.0.2.7", 2600)
    (report,) = deliver(world, "smtp://hub.example:2600")
    assert report.outcome is Outcome.RELAYED
    assert (report.remote, report.remote_ip) == ("hub.example", "192.0.2.7")
    assert made[0].messages == [TEXT]
    assert world.names.asked == ["hub.example"]


@pytest.mark.parametrize("addresses", [None, (), DnsTemporary("?")])
def test_a_next_hop_without_address_is_our_mistake(world: World, addresses: Any) -> None:
    if addresses is not None:
        world.names.hosts["x.example"] = addresses
    (report,) = deliver(world, "smtp://x.example")
    assert report.outcome is Outcome.DEFERRED
    assert report.reply.code == 451


def test_a_login_on_this_machine(world: World) -> None:
    made = world.serve("127.0.0.1", 587, keywords=("AUTH PLAIN LOGIN",))
    made_answers = {"AUTH": b"235 2.7.0 welcome\r\n"}
    world.serve("127.0.0.1", 587, keywords=("AUTH PLAIN LOGIN",), answers=made_answers)
    (report,) = deliver(world, "smtp://ann:pw@127.0.0.1")
    assert report.outcome is Outcome.RELAYED
    assert made == []
    said = world.servers[0].said[1].split()
    assert said[:2] == ["AUTH", "PLAIN"]
    assert base64.b64decode(said[2]) == b"\0ann\0pw"


def test_no_password_goes_out_without_tls(world: World) -> None:
    made = world.serve("192.0.2.7", 587, keywords=("AUTH PLAIN LOGIN",))
    for hop in ("smtp://ann:s3cret@hub.example", "smtp://ann:s3cret@hub.example?tls=off"):
        (report,) = deliver(world, hop)
        assert report.outcome is Outcome.DEFERRED
        assert "s3cret" not in repr(report)
    assert not any("AUTH" in line for server in made for line in server.said)


def test_a_refused_login_defers(world: World) -> None:
    world.serve("127.0.0.1", 587, keywords=("AUTH PLAIN",), answers={"AUTH": b"535 5.7.8 bad\r\n"})
    (report,) = deliver(world, "smtp://ann:s3cret@127.0.0.1")
    assert report.outcome is Outcome.DEFERRED
    assert "535" in report.reply.text
    assert "s3cret" not in repr(report)


def test_a_server_that_proves_nothing_is_not_logged_in_to(world: World) -> None:
    world.serve(
        "127.0.0.1", 587, keywords=("AUTH SCRAM-SHA-256",), answers={"AUTH": b"235 2.7.0 ok\r\n"}
    )
    (report,) = deliver(world, "smtp://ann:pw@127.0.0.1")
    assert report.outcome is Outcome.DEFERRED
    assert "SCRAM" in report.detail


def test_tls_required_and_not_offered(world: World) -> None:
    made = world.serve("192.0.2.7", 25)
    (report,) = deliver(world, "smtp://hub.example?tls=required")
    assert report.outcome is Outcome.DEFERRED
    assert (report.reply.code, report.reply.enhanced) == (451, "4.7.10")
    assert made[0].messages == []


def test_starttls_refused_is_no_obstacle_unless_required(world: World) -> None:
    refusing = {"keywords": ("STARTTLS",), "answers": {"STARTTLS": b"454 4.7.0 no\r\n"}}
    world.serve("192.0.2.7", 25, **refusing)
    assert deliver(world, "smtp://hub.example")[0].outcome is Outcome.RELAYED
    assert deliver(world, "smtp://hub.example?tls=required")[0].outcome is Outcome.DEFERRED


def test_lmtp_answers_for_each(world: World) -> None:
    answers = iter([b"250 2.1.5 one\r\n", b"452 4.2.2 full\r\n"])
    made = world.serve("192.0.2.7", 24, lmtp=True, answers={"end": lambda _: next(answers)})
    reports = deliver(world, "lmtp://hub.example", "a@dest.example", "b@dest.example")
    assert [report.outcome for report in reports] == [Outcome.DELIVERED, Outcome.DEFERRED]
    assert made[0].said[0].startswith("LHLO")
    assert len(made[0].messages) == 1


def test_lmtp_over_a_unix_socket(world: World) -> None:
    made = world.serve("192.0.2.7", lmtp=True)
    world.net.listeners["/run/lmtp.sock"] = world.net.listeners[("192.0.2.7", 25)]
    (report,) = deliver(world, "lmtp+unix:/run/lmtp.sock")
    assert report.outcome is Outcome.DELIVERED
    assert made[0].messages == [TEXT]
    assert report.remote_ip == ""


def test_no_tls_over_a_unix_socket_and_the_idle_one_is_used_again(world: World) -> None:
    made = world.serve("192.0.2.7", lmtp=True, keywords=("STARTTLS",))
    world.net.listeners["/run/lmtp.sock"] = world.net.listeners[("192.0.2.7", 25)]
    for _ in range(2):
        deliver(world, "lmtp+unix:/run/lmtp.sock")
    assert "STARTTLS" not in made[0].said
    assert len(made) == 1


def test_what_is_no_next_hop_defers(world: World) -> None:
    made = courier(world)
    failure = world.run(made.deliver(batch("nonsense")))
    assert failure.reply.code == 451
