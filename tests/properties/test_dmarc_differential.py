"""Two thousand generated cases against authheaders, by the rules of RFC 7489.

Records stand at the author's domain and at its organizational domain only: in between, the tree
walk of RFC 9989 finds what RFC 7489 did not look for.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from mailframe.core.authentication import Authentication, DkimResult, Result, SpfResult
from mailframe.mailauth.dmarc import check_dmarc
from mailframe.mailauth.dmarc.names import registered_domain
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.dmarc_zone import TxtZone

authheaders = pytest.importorskip("authheaders")
authres = pytest.importorskip("authres")

CASES = 2_000
BASES = ["a.com", "b.com", "a.co.uk", "b.co.uk", "a.github.io"]


def name(draw: random.Random) -> str:
    depth = draw.choice([0, 0, 1, 2])
    return ".".join([*(draw.choice("xyz") for _ in range(depth)), draw.choice(BASES)])


def relative(draw: random.Random, author: str) -> str:
    """Often one of the same organization."""
    return draw.choice([author, registered_domain(author), f"m.{author}", name(draw)])


def record(draw: random.Random) -> str:
    tags = [f"p={draw.choice(['none', 'quarantine', 'reject'])}"]
    for tag, values in (("sp", ["none", "reject"]), ("adkim", "rs"), ("aspf", "rs")):
        if draw.random() < 0.4:
            tags.append(f"{tag}={draw.choice(values)}")
    return "; ".join(["v=DMARC1", *tags])


def case(seed: int) -> tuple[dict[str, str], str, Any, Any, str, str]:
    draw = random.Random(seed)
    author = name(draw)
    places = {author, registered_domain(author)}
    zone = {f"_dmarc.{place}": record(draw) for place in sorted(places) if draw.random() < 0.7}
    spf_result = draw.choice(["pass", "pass", "fail", "softfail", "none"])
    dkim_result = draw.choice(["pass", "pass", "fail", "none"])
    return zone, author, spf_result, dkim_result, relative(draw, author), relative(draw, author)


def test_no_unexplained_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    # it reads the whole list for every name; that ours is right, its vectors say
    monkeypatch.setattr(authheaders, "get_org_domain", registered_domain, raising=False)
    monkeypatch.setattr(authheaders.dmarc_lookup, "get_org_domain", registered_domain)
    different = []
    for seed in range(CASES):
        zone, author, spf, dkim, spf_domain, dkim_domain = case(seed)
        ours = fired(
            as_deferred(
                check_dmarc(
                    TxtZone({place: [text] for place, text in zone.items()}),
                    f"From: <u@{author}>\r\n".encode(),
                    Authentication(
                        spf=SpfResult(Result(spf), spf_domain),
                        dkim=(DkimResult(Result(dkim), dkim_domain),),
                    ),
                    random=lambda: 0.0,
                )
            )
        )
        theirs = authheaders.check_dmarc(
            f"From: <u@{author}>\r\n\r\n".encode(),
            authres.SPFAuthenticationResult(result=spf, smtp_mailfrom=f"b@{spf_domain}"),
            authres.DKIMAuthenticationResult(result=dkim, header_d=dkim_domain),
            lambda host, zone=zone: zone.get(host, ""),
        )
        if ours.result.value != theirs.result:
            different.append((seed, ours.result.value, theirs.result, case(seed)))
    assert different == []
