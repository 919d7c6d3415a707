"""Whose mail is verified, whose is signed, and what becomes of it in tag, symbol and journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core.authentication import Result
from mailframe.core.envelope import Envelope
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag
from mailframe.errors import DnsTemporary
from mailframe.interfaces import (
    IContent,
    IMessagePolicy,
    IMessageSource,
    IRecentFetches,
    ISigner,
)
from mailframe.mailauth.dkim import DkimLimits, SigningKey, sign_dkim
from mailframe.message.trace import field_line
from mailframe.policy.dkim import DkimPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired, result_of
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailauth.dkim.dkim_world import (
    BODY,
    ED,
    HEADER,
    NOW,
    RSA,
    Keys,
    hand_signed,
    opener,
    record_of,
    signed,
    verified,
    zone,
)

ADDED = b"Date: Wed, 25 Nov 2026 21:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n"


@implementer(IContent)
class Content:
    queue_id = "Q"

    def __init__(self, header: bytes, added: bytes = b"", body: bytes = BODY) -> None:
        self.header, self.added, self.size = header, added, len(header) + len(body)
        self.open_body = opener(body)

    def open(self) -> Any:
        raise AssertionError


@implementer(ISigner)
class Signer:
    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys
        self.seen: list[bytes] = []

    def sign(
        self, header: bytes, open_body: Callable[[], Awaitable[IMessageSource]]
    ) -> Deferred[bytes]:
        self.seen.append(header)
        return as_deferred(sign_dkim(header, open_body, InlineWorkers(), self.keys, now=NOW))

    def renewed(self, *_: Any) -> Any:
        raise AssertionError


class Place:
    def __init__(
        self,
        resolver: Keys | None = None,
        signer: Signer | None = None,
        recent: IRecentFetches | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        permission = RelayPermission(["198.51.100.0/24"], recent)
        self.policy = DkimPolicy(
            strangers=Strangers(permission, ["203.0.113.0/24"]),
            resolver=resolver or zone(),
            workers=InlineWorkers(),
            clock=self.clock,
            permission=permission,
            signer=signer,
            limits=DkimLimits(),
        )

    def begun(self, content: Content, role: Role, ip: str, **session: Any) -> Deferred[Any]:
        who = Session("s", role, "mx", ip, **session)
        return as_deferred(result_of(self.policy.message(who, Envelope(None), content)))

    def stranger(self, header: bytes, ip: str = "192.0.2.1") -> Tag:
        tag = fired(self.begun(Content(header), Role.MX, ip))
        assert isinstance(tag, Tag)
        assert tag.headers == ()
        return tag

    def user(self, header: bytes, added: bytes = b"") -> Tag | None:
        tag: Tag | None = fired(
            self.begun(
                Content(header, added), Role.SUBMISSION, "192.0.2.1", account="ann@example.org"
            )
        )
        return tag


def symbol(tag: Tag) -> tuple[str, float]:
    (found,) = tag.symbols
    return found.name, found.weight


def test_it_is_a_policy() -> None:
    assert verifyObject(IMessagePolicy, Place().policy)
    assert Place().policy.name == "dkim"


def test_mail_without_signatures() -> None:
    tag = Place().stranger(HEADER)
    assert (tag.reason, symbol(tag)) == ("none", ("DKIM_NONE", 0.0))
    assert tag.auth is not None
    assert [each.result for each in tag.auth.dkim] == [Result.NONE]


def test_mail_that_passes_and_fails() -> None:
    other = replace(ED, domain="other.example")
    records = {
        "r._domainkey.example.org": record_of(RSA),
        "e._domainkey.other.example": record_of(other),
    }
    header = hand_signed(hand_signed(key=other, body_hash=b"x"))
    tag = Place(Keys(records)).stranger(header)
    assert tag.reason == (
        "pass example.org (rsa 2048), fail other.example body hash does not match"
    )
    assert symbol(tag) == ("DKIM_PASS", -0.1)
    assert tag.symbols[0].detail == "example.org"
    assert tag.auth is not None
    assert len(tag.auth.dkim) == 2


@pytest.mark.parametrize(
    ("header", "answer", "reason", "name"),
    [
        (
            hand_signed(body_hash=b"x"),
            record_of(RSA),
            "fail example.org body hash does not match",
            "DKIM_FAIL",
        ),
        (
            hand_signed(body_hash=b"x"),
            record_of(RSA, t="y"),
            "fail example.org (testing) body hash does not match",
            "DKIM_NONE",
        ),
        (
            hand_signed(),
            DnsTemporary("no"),
            "temperror example.org no answer from the DNS",
            "DKIM_TEMPERROR",
        ),
        (hand_signed(), [], "permerror example.org no key", "DKIM_PERMERROR"),
        (
            hand_signed(length="5"),
            record_of(RSA),
            "policy example.org only 5 of 33 octets of the body are signed",
            "DKIM_POLICY",
        ),
    ],
)
def test_mail_that_does_not_pass(header: bytes, answer: Any, reason: str, name: str) -> None:
    tag = Place(Keys({"r._domainkey.example.org": answer})).stranger(header)
    assert tag.reason == reason
    assert tag.symbols[0].name == name


def test_a_long_list_is_cut_short_in_the_journal() -> None:
    header = HEADER
    for _ in range(8):
        header = hand_signed(header)
    assert Place().stranger(header).reason.endswith("(rsa 2048), 3 more")


def test_what_our_own_servers_hand_on_is_verified_too() -> None:
    assert Place().stranger(signed(), "203.0.113.7").reason == "pass example.org (rsa 2048)"


def test_time_runs_out_for_keys_that_do_not_come() -> None:
    place = Place(Keys({"r._domainkey.example.org": Deferred()}))
    checking = place.begun(Content(signed()), Role.MX, "192.0.2.1")
    place.clock.advance(16)
    assert fired(checking).reason == "temperror example.org no answer from the DNS"


def test_users_are_not_verified() -> None:
    keys = Keys({})
    assert Place(keys).user(hand_signed()) is None
    assert keys.asked == []


def test_strangers_are_not_signed_for() -> None:
    signer = Signer(RSA)
    Place(signer=signer).stranger(HEADER)
    assert signer.seen == []


def test_users_mail_is_signed_with_what_was_added_to_it() -> None:
    signer = Signer(RSA, ED)
    tag = Place(signer=signer).user(HEADER, ADDED)
    assert tag is not None
    assert tag.reason == "signed with 2 keys"
    assert (tag.auth, tag.symbols) == (None, ())
    assert signer.seen == [ADDED + HEADER]
    header = b"".join(field_line(*line) for line in tag.headers) + ADDED + HEADER
    assert [bool(each) for each in verified(header)] == [True, True]
    assert [bool(each) for each in verified(header.replace(b"<1@", b"<2@"))] == [False, False]


def test_a_network_that_may_relay_is_signed_for() -> None:
    place = Place(signer=Signer(RSA))
    tag = fired(place.begun(Content(HEADER), Role.MX, "198.51.100.4"))
    assert tag.reason == "signed with one key"


@implementer(IRecentFetches)
class Fetched:
    def note(self, ip: str, account: str) -> None:
        pass

    def may_relay(self, ip: str) -> str | None:
        return "ann@example.org"


def test_who_fetched_mail_from_there_may_be_anybody() -> None:
    signer = Signer(RSA)
    place = Place(signer=signer, recent=Fetched())
    assert fired(place.begun(Content(HEADER), Role.MX, "192.0.2.1")) is None
    assert signer.seen == []


def test_what_is_handed_over_by_lmtp_is_strangers_mail() -> None:
    signer = Signer(RSA)
    place = Place(signer=signer)
    assert fired(place.begun(Content(HEADER), Role.LMTP, "198.51.100.4")) is None
    assert signer.seen == []


def test_a_submission_without_a_login_is_not_signed() -> None:
    place = Place(signer=Signer(RSA))
    assert fired(place.begun(Content(HEADER), Role.SUBMISSION, "192.0.2.1")) is None


def test_no_keys_no_tag() -> None:
    assert Place(signer=Signer()).user(HEADER) is None


def test_no_signer_no_tag() -> None:
    assert Place().user(HEADER) is None


def test_the_results_can_be_had_alone() -> None:
    found = fired(as_deferred(Place().policy.results(Content(signed()))))
    assert [each.result for each in found] == [Result.PASS]


def test_the_signature_has_no_blank_at_its_start_and_is_the_signers_own() -> None:
    tag = Place(signer=(signer := Signer(RSA))).user(HEADER)
    assert tag is not None
    ((name, value),) = tag.headers
    whole = fired(signer.sign(HEADER, opener(BODY)))
    assert field_line(name, value) == whole
    assert name == "DKIM-Signature"
