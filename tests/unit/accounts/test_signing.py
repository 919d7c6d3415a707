"""Which key signs what; and that only what a key of ours signed is signed again."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.logger import capturedLogs
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts.dkim_keys import DkimKeys
from mailframe.accounts.signing import DkimSigner, author_domain
from mailframe.interfaces import IMessageSource, ISigner
from mailframe.mailauth.dkim import generate, sign_dkim
from mailframe.message.headers import named
from mailframe.runtime.aio import as_deferred
from tests.unit.accounts.house import House, now

dkim = pytest.importorskip("dkim")

RSA, ED = "rsa-sha256", "ed25519-sha256"
NOVEMBER = 1_795_600_000.0
BODY = b"Hello.\r\n\r\n\r\n"


def mail(author: str = "ann@example.test", more: str = "") -> bytes:
    return f"{more}From: {author}\r\nTo: bea@far.test\r\nSubject: hello\r\n".encode()


@implementer(IMessageSource)
class Source:
    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.data = data

    async def read(self, octets: int) -> bytes:
        piece, self.data = self.data[:octets], self.data[octets:]
        return piece

    def close(self) -> None:
        pass


def opener(body: bytes) -> Callable[[], Awaitable[IMessageSource]]:
    async def open_body() -> Any:
        return Source(body)

    return open_body


class Bench:
    def __init__(self, house: House) -> None:
        house.clock.advance(NOVEMBER)
        self.house = house
        self.keys = DkimKeys(house.database, house.clock.seconds)
        self.signer = DkimSigner(house.directory, house.workers, house.clock)
        self.domain("example.test", [RSA, ED])

    def domain(self, name: str, algorithms: list[str], tenant: str | None = None) -> None:
        self.house.admin.add_domain(name, tenant=tenant)
        if algorithms:
            self.keys.create(name, algorithms)

    def sign(self, header: bytes, body: bytes = BODY) -> bytes:
        return now(self.signer.sign(header, opener(body)))

    def renewed(self, header: bytes, body: bytes, before: bytes, body_before: bytes) -> bytes:
        return now(self.signer.renewed(header, opener(body), before, opener(body_before)))

    def records(self, name: bytes, timeout: float = 5) -> bytes | None:
        for domain in self.house.admin.domains():
            for key in self.keys.keys(domain.name):
                if key.record_name == name.decode().rstrip("."):
                    return key.record.encode()
        return None

    def verified(self, message: bytes) -> list[tuple[str, str, bool]]:
        """Domain, selector and dkimpy's opinion of each signature."""
        found = []
        for place, field in enumerate(named(message, "DKIM-Signature")):
            tags = dict(re.findall(r"\b([ds])=([^;\s]+)", field.text))
            try:
                good = dkim.DKIM(message).verify(idx=place, dnsfunc=self.records)
            except (dkim.DKIMException, ValueError):  # ValueError: no record of a broken key
                good = False
            found.append((tags["d"], tags["s"], good))
        return found


@pytest.fixture
def bench(house: House) -> Bench:
    return Bench(house)


def test_it_is_what_it_says(bench: Bench) -> None:
    assert verifyObject(ISigner, bench.signer)


def test_every_key_in_use_signs(bench: Bench) -> None:
    signatures = bench.sign(mail())
    assert signatures.endswith(b"\r\n")
    assert sorted(bench.verified(signatures + mail() + b"\r\n" + BODY)) == [
        ("example.test", "ed202611", True),
        ("example.test", "rsa202611", True),
    ]


def test_the_next_message_is_signed_with_the_key_activated_meanwhile(bench: Bench) -> None:
    bench.keys.create("example.test", [ED], "next")
    assert b"s=next" not in bench.sign(mail())
    bench.keys.activate("example.test", ["next"])
    signatures = bench.sign(mail())
    assert b"s=next" in signatures
    assert b"s=ed202611" not in signatures


@pytest.mark.parametrize(
    "header",
    [
        b"To: bea@far.test\r\n",
        mail() + mail(),
        mail("ann@other.test"),
        mail("ann@example.test, bob@other.test"),
        mail("ann@[192.0.2.1]"),
        mail("Undisclosed:;"),
        mail("ann"),
        mail(""),
        mail("ann@notexample.test"),
        mail("ann@test"),
        mail("@example.test"),
        mail('"ann@example.test" <x@other.test>'),
        b"",
    ],
)
def test_what_is_nobodys_here_is_not_signed(bench: Bench, header: bytes) -> None:
    assert bench.sign(header) == b""


def test_several_authors_of_one_domain(bench: Bench) -> None:
    header = mail("Ann <ann@example.test>, bob@EXAMPLE.test")
    assert bench.sign(header).count(b"DKIM-Signature:") == 2


def test_a_domain_with_letters_of_its_own(bench: Bench) -> None:
    bench.domain("ελλάδα.test", [ED])
    header = mail("άννα@ελλάδα.test")
    assert b"d=xn--hxakic4aa.test" in bench.sign(header)


def test_the_nearest_domain_above(bench: Bench) -> None:
    header = mail("MAILER-DAEMON@mail.deep.example.test")
    signatures = bench.sign(header)
    assert signatures.count(b"d=example.test") == 2
    bench.domain("deep.example.test", [ED], tenant="example.test")
    assert b"d=deep.example.test" in bench.sign(header)


def test_tenants_do_not_vouch_for_each_other(bench: Bench) -> None:
    bench.domain("shop.example.test", [], tenant="Acme")
    assert bench.sign(mail("a@shop.example.test")) == b""
    assert bench.sign(mail("a@www.shop.example.test")) == b""
    bench.house.admin.set_domain("example.test", "tenant", "Acme")
    assert bench.sign(mail("a@shop.example.test")).count(b"d=example.test") == 2


def test_a_name_with_a_thousand_labels_costs_little(bench: Bench) -> None:
    header = mail(f"ann@{'a.' * 120}example.test")
    assert bench.sign(header) == b""


def test_the_key_for_seals(bench: Bench) -> None:
    key = now(bench.signer.key_for("example.test"))
    assert (key.domain, key.selector) == ("example.test", "rsa202611")
    assert now(bench.signer.key_for("other.test")) is None
    bench.domain("only.test", [ED])
    assert now(bench.signer.key_for("only.test")).selector == "ed202611"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@x.test", "x.test"),
        ("A <a@X.TEST>", "x.test"),
        ("a@x.test\r\n (folded)", "x.test"),
        ("a@x.test, b@y.test", None),
        ("group: a@x.test;", "x.test"),
        ("a@x.test\0", None),
    ],
)
def test_whose_mail_it_is(value: str, expected: str | None) -> None:
    assert author_domain(f"From: {value}\r\n".encode()) == expected


# -- signing again


def test_what_we_signed_is_signed_again(bench: Bench) -> None:
    signed = bench.sign(mail()) + mail()
    changed, body = signed + b"X-Converted: yes\r\n", b"Other.\r\n"
    renewed = bench.renewed(changed, body, signed, BODY)
    assert renewed.count(b"DKIM-Signature:") == 2
    assert all(good for _, _, good in bench.verified(renewed + b"\r\n" + body))
    assert renewed.endswith(mail() + b"X-Converted: yes\r\n")


def test_with_the_key_of_today(bench: Bench) -> None:
    signed = bench.sign(mail()) + mail()
    bench.keys.create("example.test", [RSA], "rsanew")
    bench.keys.create("example.test", [ED], "ednew")
    bench.keys.activate("example.test", ["rsanew", "ednew"])
    renewed = bench.renewed(signed, b"Other.\r\n", signed, BODY)
    assert sorted(bench.verified(renewed + b"\r\nOther.\r\n")) == [
        ("example.test", "ednew", True),
        ("example.test", "rsanew", True),
    ]


def test_a_stranger_gets_no_signature_by_naming_our_key(bench: Bench) -> None:
    forged = (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=rsa202611; h=from;\r\n"
        b"\tbh=AAAA; b=AAAA\r\n" + mail()
    )
    assert bench.renewed(forged, b"Other.\r\n", forged, BODY) == forged


def test_nor_by_replaying_ours_on_another_message(bench: Bench) -> None:
    stolen = bench.sign(mail()) + mail()
    assert bench.renewed(stolen, b"Bad.\r\n", stolen, b"Buy now.\r\n") == stolen


def test_the_key_of_one_domain_does_not_speak_for_another(bench: Bench) -> None:
    """Keys can be imported, so that their owner can sign what he likes with them."""
    bench.domain("evil.test", [RSA], tenant="Evil")
    key = now(bench.signer.key_for("evil.test"))
    signing = sign_dkim(mail(), opener(BODY), bench.house.workers, [key], now=NOVEMBER)
    signed = now(as_deferred(signing)) + mail()
    assert b"d=evil.test" in signed
    renewed = bench.renewed(signed, b"Other.\r\n", signed, BODY)
    assert b"d=example.test" not in renewed


def test_what_others_signed_is_left_alone(bench: Bench) -> None:
    foreign = b"DKIM-Signature: v=1; a=rsa-sha256; d=list.test; s=x; bh=A; b=A\r\n"
    assert bench.renewed(foreign + mail(), BODY, foreign + mail(), BODY) == foreign + mail()
    signed = foreign + bench.sign(mail()) + mail()
    renewed = bench.renewed(signed, b"Other.\r\n", signed, BODY)
    assert renewed.count(b"d=list.test") == 1
    assert [good for domain, _, good in bench.verified(renewed + b"\r\nOther.\r\n") if
            domain == "example.test"] == [True, True]  # fmt: skip


def test_where_the_keys_are_gone_nothing_broken_is_left(bench: Bench) -> None:
    signed = bench.sign(mail()) + mail()
    for key in bench.keys.keys("example.test"):
        bench.keys.create("example.test", [key.algorithm], f"{key.selector}b")
        bench.keys.activate("example.test", [f"{key.selector}b"])
        bench.keys.remove("example.test", f"{key.selector}b", force=True)
    assert bench.renewed(signed, b"Other.\r\n", signed, BODY) == mail()


def test_a_header_full_of_signatures(bench: Bench) -> None:
    many = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=d%d.test; s=rsa202611; bh=A; b=A\r\n" % number
        for number in range(3000)
    )
    assert bench.renewed(many + mail(), BODY, many + mail(), BODY) == many + mail()


@pytest.mark.parametrize(
    "octets", [b"", b"junk", generate(ED)], ids=["empty", "junk", "of another kind"]
)
def test_a_key_that_cannot_be_used_is_logged_and_left_out(bench: Bench, octets: bytes) -> None:
    signed = bench.sign(mail()) + mail()
    now(
        bench.house.database.write(
            lambda connection: connection.execute(
                "UPDATE dkim_keys SET private = ? WHERE algorithm = ?", (octets, RSA)
            )
        )
    )
    with capturedLogs() as logs:
        header = bench.sign(mail()) + mail()
    assert [selector for _, selector, good in bench.verified(header + b"\r\n" + BODY) if good] == [
        "ed202611"
    ]
    assert header.count(b"DKIM-Signature") == 1
    (event,) = logs
    assert event["name"] == "rsa202611._domainkey.example.test"
    assert octets.hex() not in repr(event) or not octets
    # and in renewal: what the other key signed is signed by it again
    renewed = bench.renewed(signed, b"Other.\r\n", signed, BODY)
    assert ("example.test", "ed202611", True) in bench.verified(renewed + b"\r\nOther.\r\n")
    key = now(as_deferred(bench.signer.key_for("example.test")))
    assert key is not None
    assert key.algorithm == ED
