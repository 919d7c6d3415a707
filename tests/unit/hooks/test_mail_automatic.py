"""What a program must not answer (RFC 3834 section 2)."""

from __future__ import annotations

import pytest

from mailframe.core.address import Address
from mailframe.hooks.automatic import MAX_HOPS, why_automatic, why_loop
from tests.unit.hooks.mailbag import BOB, ORDERS, message


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-generated",
        "Auto-Submitted: Auto-Replied; owner-email=a@b",
        "Auto-Submitted: auto-notified",
        "Auto-Submitted: (comment) x",
        "Precedence: bulk",
        "Precedence: List",
        "precedence: junk",
        "List-Id: <a.b>",
        "List-Unsubscribe: <mailto:a@b>",
        "List-Post: NO",
        "X-Auto-Response-Suppress: DR, OOF",
        "X-Auto-Response-Suppress: All",
        "Return-Path: <>",
    ],
)
def test_fields_that_say_so(field: str) -> None:
    msg = message(f"Subject: a\r\n{field}\r\n\r\n")
    assert msg.is_automatic
    assert field.partition(":")[0] in msg.why_automatic


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: NO (really)",
        "Precedence: first-class",
        "List-Price: 7",
        "X-Auto-Response-Suppress: DR, RN",
        "Return-Path: <bob@example.org>",
        "X-List-Id: a",
        "Subject: Precedence: bulk",
    ],
)
def test_fields_that_do_not(field: str) -> None:
    assert message(f"{field}\r\n\r\n").why_automatic == ""


@pytest.mark.parametrize(
    ("local_part", "is_program"),
    [
        ("MAILER-DAEMON", True),
        ("owner-shop", True),
        ("shop-request", True),
        ("shop-owner", True),
        ("No-Reply", True),
        ("bob", False),
        ("owner", False),
        ("request", False),
    ],
)
def test_senders(local_part: str, is_program: bool) -> None:
    assert bool(why_automatic(b"", Address(local_part, "x.test"))) is is_program


def test_the_null_sender() -> None:
    assert message(sender=None).why_automatic == "it has the null reverse-path"


def loop(header: bytes = b"", sender: Address | None = BOB, to: Address = BOB) -> str:
    return why_loop(header, sender, to, [ORDERS])


def test_nothing_of_a_person_is_a_loop() -> None:
    assert loop() == ""
    assert loop(b"Precedence: bulk\r\nAuto-Submitted: auto-generated\r\n") == ""


@pytest.mark.parametrize("mine", ["orders@shop.test", "Orders+42@shop.test", "orders+7@shop.test"])
def test_own_addresses(mine: str) -> None:
    address = Address.parse(mine)
    assert loop(sender=address, to=BOB)
    assert loop(to=address)


def test_answers_and_hops() -> None:
    assert loop(b"Auto-Submitted: auto-replied (vacation)\r\n")
    assert loop(b"Received: x\r\n" * MAX_HOPS) == ""
    assert loop(b"Received: x\r\n" * (MAX_HOPS + 1))
    assert loop(sender=None)
