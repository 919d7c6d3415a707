"""Whose word is taken."""

from __future__ import annotations

import pytest

from mailframe.core.authentication import ArcResult, Result
from tests.unit.mailauth.arc.messages import HEADER, Records, dns, key, sealed, verified

LIST, FORWARDER, EVIL = key("list.example"), key("forward.example"), key("evil.example")
DNS = dns(LIST, FORWARDER, EVIL)
PASSED = "mx.list.example; dmarc=pass header.from=author.example"
FAILED = "mx.forward.example; dmarc=fail (p=reject) header.from=author.example"


def result(header: bytes, *trusted: str) -> ArcResult:
    found = verified(header, DNS, trusted=trusted)
    assert found.result is Result.PASS
    return found


def test_nobody_is_trusted_unless_named() -> None:
    found = result(sealed(HEADER, LIST, PASSED))
    assert (found.trusted, found.dmarc, found.detail) == ("", Result.NONE, "")
    assert result(sealed(HEADER, LIST, PASSED), "other.example", "sub.list.example").trusted == ""


def test_what_a_trusted_sealer_says() -> None:
    found = result(sealed(HEADER, LIST, PASSED), "List.Example.")
    assert (found.trusted, found.dmarc) == ("list.example", Result.PASS)
    assert found.detail == f"i=1; {PASSED}"


def test_that_it_failed_is_said_too() -> None:
    found = result(sealed(HEADER, FORWARDER, FAILED), "forward.example")
    assert (found.trusted, found.dmarc) == ("forward.example", Result.FAIL)


def test_a_stranger_after_it_spoils_it() -> None:
    header = sealed(sealed(HEADER, LIST, PASSED), EVIL, PASSED)
    assert result(header, "list.example").trusted == ""


def test_a_stranger_before_it_does_not_speak() -> None:
    header = sealed(sealed(HEADER, EVIL, PASSED), FORWARDER, FAILED)
    found = result(header, "forward.example")
    assert (found.trusted, found.dmarc) == ("forward.example", Result.FAIL)


def test_of_trusted_ones_in_a_row_the_earliest_that_saw_it_pass() -> None:
    header = sealed(sealed(HEADER, LIST, PASSED), FORWARDER, FAILED)
    found = result(header, "forward.example", "list.example")
    assert (found.trusted, found.dmarc) == ("list.example", Result.PASS)


def test_a_row_ends_at_a_stranger() -> None:
    header = sealed(sealed(sealed(HEADER, LIST, PASSED), EVIL, PASSED), FORWARDER, FAILED)
    found = result(header, "forward.example", "list.example")
    assert (found.trusted, found.dmarc) == ("forward.example", Result.FAIL)


def test_a_sealer_whose_key_the_dns_does_not_tell_may_yet_be_believed() -> None:
    header = sealed(sealed(HEADER, LIST, PASSED), FORWARDER, FAILED)
    mute = {"s1._domainkey.list.example": None}
    found = verified(
        header, Records(DNS.records | mute), trusted=("forward.example", "list.example")
    )
    assert found.result is Result.FAIL
    assert found.is_unproved
    assert (found.trusted, found.dmarc) == ("list.example", Result.PASS)
    gone = {name: text for name, text in DNS.records.items() if name not in mute}
    found = verified(header, Records(gone), trusted=("forward.example", "list.example"))
    assert not found.is_unproved
    assert found.trusted == ""


@pytest.mark.parametrize(
    ("said", "dmarc"),
    [
        ("mx.x; dmarc=pass", Result.PASS),
        ("mx.x; dmarc=pass header.from=other.example", Result.NONE),
        ("mx.x; dmarc=pass header.from=AUTHOR.example", Result.PASS),
        ("mx.x; dmarc=pass header.from=a@author.example", Result.PASS),
        ("mx.x; dmarc=pass header.from=author.example; dmarc=fail header.from=author.example",
         Result.NONE),
        ("mx.x; dmarc=bestguesspass header.from=author.example", Result.NONE),
        ("mx.x; spf=fail (dmarc=pass) smtp.mailfrom=\"; dmarc=pass\"", Result.NONE),
        ("mx.x; (", Result.NONE),
        ("", Result.NONE),
    ],
)  # fmt: skip
def test_readings(said: str, dmarc: Result) -> None:
    found = result(sealed(HEADER, LIST, said), "list.example")
    assert (found.trusted, found.dmarc) == ("list.example", dmarc)


def test_of_an_earlier_set_the_author_must_be_named() -> None:
    """The list may have put another author into From since."""
    header = sealed(sealed(HEADER, LIST, "mx.x; dmarc=pass"), FORWARDER, FAILED)
    assert result(header, "forward.example", "list.example").dmarc is Result.FAIL


def test_two_authors_are_nobody() -> None:
    two = HEADER.replace(b"From: Ann", b"From: Eve <eve@evil.example>, Ann")
    assert result(sealed(two, LIST, PASSED), "list.example").dmarc is Result.NONE


def test_a_chain_that_failed_is_not_believed() -> None:
    broken = sealed(HEADER, LIST, FAILED).replace(b"dmarc=fail", b"dmarc=pass")
    found = verified(broken, DNS, trusted=["list.example"])
    assert (found.result, found.trusted) == (Result.FAIL, "")
