"""Chains, whatever stands in the header: a result for each, and nothing unsigned changes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.authentication import ArcResult, Result
from mailframe.mailauth.arc.chain import standing
from tests.unit.mailauth.arc.messages import BODY, HEADER, Body, dns, key, sealed, verified

SEALER = key("list.example", "ed25519-sha256")
DNS = dns(SEALER)
CHAIN = sealed(sealed(HEADER, SEALER, "mx.list.example; spf=pass"), SEALER)

KIND = st.sampled_from([b"ARC-Seal", b"arc-message-signature", b"ARC-Authentication-Results"])
TAG = st.sampled_from(
    [b"i=1", b"i=2", b"i=0", b"i=99", b"i", b"cv=none", b"cv=pass", b"cv=fail", b"a=rsa-sha256",
     b"a=ed25519-sha256", b"b=YQ==", b"b=", b"bh=YQ==", b"d=list.example", b"d=\xff", b"s=s1",
     b"h=from", b"h=", b"c=relaxed", b"l=1", b"t=x", b" (", b")", b"\r\n ", b"\0", b"mx.example"]
)  # fmt: skip
VALUE = st.lists(st.one_of(TAG, st.binary(max_size=8)), max_size=12).map(b";".join)
FIELDS = st.lists(st.tuples(KIND, VALUE), max_size=8).map(
    lambda pairs: b"".join(kind + b": " + value + b"\r\n" for kind, value in pairs)
)


@given(FIELDS)
def test_any_header_has_a_result_and_can_be_sealed(header: bytes) -> None:
    result = verified(header + HEADER, DNS)
    assert result.result in (Result.NONE, Result.FAIL)
    onwards = sealed(header + HEADER, SEALER, arc=result)
    assert onwards.endswith(header + HEADER)
    if result.result is Result.NONE:
        assert verified(onwards, DNS)
    elif onwards != header + HEADER:
        assert standing(onwards).is_given_up
        assert verified(onwards, DNS).result is Result.FAIL


@given(st.integers(0, len(CHAIN) - 1), st.integers(1, 255))
def test_no_octet_of_a_chain_may_change(place: int, change: int) -> None:
    """But where relaxed canonicalization allows it, and in fields that nobody signed."""
    changed = CHAIN[:place] + bytes([CHAIN[place] ^ change]) + CHAIN[place + 1 :]
    if verified(changed, DNS):
        assert not is_signed(place) or relaxed(changed) == relaxed(CHAIN)


def is_signed(place: int) -> bool:
    return not CHAIN.index(b"Received:") <= place < CHAIN.index(b"DKIM-Signature:")


def relaxed(header: bytes) -> bytes:
    return b"".join(header.lower().split())


@pytest.mark.parametrize("place", range(len(BODY)))
def test_no_octet_of_the_body_may_change(place: int) -> None:
    body = BODY[:place] + b"x" + BODY[place + 1 :]
    assert verified(CHAIN, DNS, Body(body)) == ArcResult(
        Result.FAIL, ("list.example",) * 2, "ARC-Message-Signature i=2: body hash does not match"
    )
