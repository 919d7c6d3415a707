"""The dmarc policy: what it does with what it finds, and what it notes for the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcAction,
    Result,
    SpfResult,
)
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.observation import DmarcObservation
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Tag
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IMessagePolicy
from mailframe.policy.dmarc import DmarcPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.dmarc_zone import TxtZone

RUA = "; rua=mailto:r@x.example"
ZONE = {
    "_dmarc.reject.example": ["v=DMARC1; p=reject" + RUA],
    "_dmarc.junk.example": ["v=DMARC1; p=quarantine" + RUA],
    "_dmarc.none.example": ["v=DMARC1; p=none"],
    "_dmarc.silent.example": None,
}


class Content:
    size = 100
    queue_id = "Q1"
    added = b""

    def __init__(self, author: str) -> None:
        self.header = f"From: {author}\r\n".encode()


class Place:
    def __init__(self, peer_ip: str = "192.0.2.1", **session: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.noted: list[DmarcObservation] = []
        self.session = Session("s", Role.MX, "mx", peer_ip, **session)

    def policy(self, resolver: Any = None, **settings: Any) -> DmarcPolicy:
        return DmarcPolicy(
            strangers=Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/24"]),
            resolver=resolver or TxtZone(ZONE),
            clock=self.clock,
            random=lambda: 0.0,
            note=self.noted.append,
            **settings,
        )

    def knows(self, **auth: Any) -> Place:
        self.session.found = Findings(Authentication(**auth))
        return self

    def judge(
        self, author: str, policy: DmarcPolicy | None = None, to: str = "u@here.example"
    ) -> Any:
        envelope = Envelope(Address.parse("b@bounce.example"), (Recipient(Address.parse(to)),))
        content: Any = Content(author)
        verdict = (policy or self.policy()).message(self.session, envelope, content)
        return fired(as_deferred(verdict))  # type: ignore[arg-type]


def test_it_is_a_policy() -> None:
    assert verifyObject(IMessagePolicy, Place().policy())


def test_a_pass_is_told_and_noted() -> None:
    place = Place().knows(dkim=(DkimResult(Result.PASS, "mail.reject.example"),))
    tag = place.judge("a@reject.example")
    assert tag.reason == "pass reject.example p=reject by dkim"
    assert tag.auth.dmarc
    assert tag.symbols[0].name == "DMARC_PASS"
    assert tag.folder == ""
    (seen,) = place.noted
    assert (seen.source_ip, seen.envelope_from, seen.when) == (
        "192.0.2.1",
        "bounce.example",
        1_000_000,
    )
    assert (seen.disposition, seen.override) == (DmarcAction.NONE, "")


def test_refused_as_the_domain_wishes() -> None:
    place = Place()
    with pytest.raises(PermanentFailure) as refused:
        place.judge("a@reject.example")
    assert refused.value.reply.code == 550
    assert refused.value.reply.enhanced == "5.7.26"
    assert "reject.example" not in refused.value.reply.text
    assert refused.value.detail == "fail reject.example p=reject"
    assert place.noted[0].disposition is DmarcAction.REJECT


def test_filed_as_the_domain_wishes() -> None:
    place = Place()
    tag = place.judge("a@junk.example")
    assert (tag.folder, tag.symbols[0].name) == ("Junk", "DMARC_QUARANTINE")
    assert place.noted[0].disposition is DmarcAction.QUARANTINE


@pytest.mark.parametrize(
    ("settings", "author", "folder", "done"),
    [
        ({"on_reject": "junk"}, "a@reject.example", "Junk", DmarcAction.QUARANTINE),
        ({"on_reject": "tag"}, "a@reject.example", "", DmarcAction.NONE),
        ({"on_quarantine": "tag"}, "a@junk.example", "", DmarcAction.NONE),
    ],
)
def test_or_as_the_configuration_says(
    settings: dict[str, Any], author: str, folder: str, done: DmarcAction
) -> None:
    place = Place()
    tag = place.judge(author, place.policy(**settings))
    assert tag.folder == folder
    assert (place.noted[0].disposition, place.noted[0].override) == (done, "local_policy")


def test_quarantine_may_mean_refusal() -> None:
    place = Place()
    with pytest.raises(PermanentFailure):
        place.judge("a@junk.example", place.policy(on_quarantine="reject"))


def test_nothing_asked_nothing_done() -> None:
    place = Place()
    assert place.judge("a@none.example").symbols[0].name == "DMARC_FAIL"
    assert place.judge("a@nowhere.example").symbols[0].name == "DMARC_NONE"
    # neither asked for reports
    assert place.noted == []


def test_a_dns_that_fails_is_nobodys_fault() -> None:
    place = Place()
    tag = place.judge("a@silent.example")
    assert (tag.auth.dmarc.result, tag.folder) == (Result.TEMPERROR, "")
    assert place.noted == []


def test_a_dns_that_is_slow_costs_so_many_seconds() -> None:
    class Slow(TxtZone):
        def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
            return Deferred()

    place = Place()
    policy = place.policy(Slow({}), timeout=5)
    content: Any = Content("a@reject.example")
    done = as_deferred(policy.message(place.session, Envelope(None), content))  # type: ignore[arg-type]
    place.clock.advance(4.9)
    assert not done.called
    place.clock.advance(0.2)
    tag: Any = fired(done)
    assert tag.auth.dmarc.result is Result.TEMPERROR


def test_a_trusted_sealer_saw_it_pass() -> None:
    arc = ArcResult(Result.PASS, ("list.example",), trusted="list.example", dmarc=Result.PASS)
    place = Place().knows(arc=arc)
    tag = place.judge("a@reject.example")
    assert tag.auth.dmarc.result is Result.FAIL
    assert tag.auth.dmarc.override == "arc=list.example"
    assert tag.symbols[0].name == "DMARC_OVERRIDDEN"
    assert place.noted[0].override == "local_policy: arc=list.example"


@pytest.mark.parametrize(
    "arc",
    [
        ArcResult(Result.PASS, ("list.example",), dmarc=Result.PASS),
        ArcResult(Result.FAIL, ("list.example",), trusted="list.example", dmarc=Result.PASS),
        ArcResult(Result.PASS, ("list.example",), trusted="list.example", dmarc=Result.FAIL),
        ArcResult(Result.PASS, ("list.example",), trusted="list.example"),
    ],
)
def test_any_other_seal_excuses_nothing(arc: ArcResult) -> None:
    with pytest.raises(PermanentFailure):
        Place().knows(arc=arc).judge("a@reject.example")


def test_put_off_while_the_keys_of_a_trusted_sealer_cannot_be_had() -> None:
    arc = ArcResult(
        Result.FAIL, ("l.example",), "no answer", trusted="l.example", dmarc=Result.PASS,
        is_unproved=True,
    )  # fmt: skip
    place = Place().knows(arc=arc)
    with pytest.raises(TransientFailure) as later:
        place.judge("a@reject.example")
    assert str(later.value.reply).startswith("451 4.7.26")
    assert "no answer" in later.value.detail
    assert place.noted == []
    assert place.judge("a@junk.example").folder == "Junk"
    for useless in (replace(arc, trusted=""), replace(arc, dmarc=Result.NONE)):
        with pytest.raises(PermanentFailure):
            Place().knows(arc=useless).judge("a@reject.example")


def test_what_a_network_of_ours_handed_on_is_not_refused() -> None:
    tag = Place("203.0.113.5").judge("a@reject.example")
    assert tag.auth.dmarc.override == "trusted network"


def test_users_and_relay_clients_are_not_judged() -> None:
    assert Place("198.51.100.1").judge("a@reject.example") is None
    assert Place(account="ann@here.example").judge("a@reject.example") is None


def test_alone_it_checks_for_itself() -> None:
    place = Place()
    asked = []

    async def spf(session: Session, envelope: Envelope) -> SpfResult:
        asked.append("spf")
        return SpfResult(Result.PASS, "reject.example")

    async def dkim(content: Any) -> tuple[DkimResult, ...]:
        asked.append("dkim")
        return (DkimResult(Result.NONE),)

    policy = place.policy(spf=spf, dkim=dkim)
    tag = place.judge("a@reject.example", policy)
    assert asked == ["dkim", "spf"] or asked == ["spf", "dkim"]
    assert tag.auth.spf
    assert tag.auth.dmarc
    # not twice
    place.session.found = place.session.found.plus([tag])
    place.judge("a@reject.example", policy)
    assert len(asked) == 2


def test_mail_to_the_report_address_is_not_noted() -> None:
    place = Place().knows(spf=SpfResult(Result.PASS, "reject.example"))
    policy = place.policy(quiet=["Reports@here.example"])
    tag = place.judge("a@reject.example", policy, to="reports@here.example")
    assert isinstance(tag, Tag)
    assert place.noted == []
    place.judge("a@reject.example", policy)
    assert len(place.noted) == 1
