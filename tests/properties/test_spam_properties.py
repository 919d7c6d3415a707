"""Features of any octets at all, and models of any log."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.spam.features import MOST, Features, features_of, named_features
from mailframe.spam.model import MIN_BITS, Model

PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r\n\r\n", b"Subject: ", b"From: <a@b.example>", b"Content-Type: ",
        b"text/html", b"multipart/mixed; boundary=x", b"message/rfc822", b"--x\r\n", b"--x--\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"; charset=", b"gb2312", b"utf-7", b"iso-2022-jp", b"=?utf-8?b?", b"?=", b"=C3",
        b"<a href=", b"http://", b"www.", b"@", b"%", b"</a>", b"<!--", b"&#", b"free!!",
        b"Received: from x ([192.0.2.1])", b"Date: ", b" +0200", b"\xff", b"\xe5\x85\x8d", b"\0",
        b"\"", b"'", b"(", b";",
    ]
)  # fmt: skip
MESSAGES = st.lists(PIECES | st.binary(max_size=12), max_size=60).map(b"".join)
HASHES = st.lists(st.integers(0, (1 << 24) - 1) | st.integers(0, 300), unique=True, max_size=60)
FEATURES = HASHES.map(lambda hashes: Features(tuple(sorted(hashes))))
LOGS = st.lists(st.tuples(FEATURES, st.booleans()), max_size=40)


@given(MESSAGES)
def test_any_octets_have_features_and_each_has_its_name(message: bytes) -> None:
    features = features_of(message)
    assert len(features.hashes) <= MOST
    assert list(features.hashes) == sorted(set(features.hashes))
    assert set(features.hashes) == set(named_features(message))
    assert Features.unpack(features.pack()) == features


@given(FEATURES)
def test_packing_loses_nothing(features: Features) -> None:
    assert Features.unpack(features.pack()) == features


@given(st.binary(max_size=600))
def test_any_octets_are_features_or_refused(octets: bytes) -> None:
    try:
        features = Features.unpack(octets)
    except ValueError:
        return
    assert features.pack() == octets


@settings(deadline=None)
@given(LOGS, LOGS, FEATURES)
def test_a_model_is_a_function_of_its_log(
    before: list[tuple[Features, bool]], after: list[tuple[Features, bool]], asked: Features
) -> None:
    whole = Model.of(before + after, max_bits=MIN_BITS)
    kept = Model.load(Model.of(before, max_bits=MIN_BITS).dump())
    for features, is_spam in after:
        kept.judge(asked)
        kept.learn(features, is_spam)
    assert kept.dump() == whole.dump()
    assert kept.judge(asked) == whole.judge(asked)
    weights = whole.weights(asked, len(asked.hashes))
    total = math.fsum(one.weight for one in weights)
    assert math.isclose(total, whole.judge(asked).log_odds, abs_tol=1e-9)
    assert 0.0 < whole.probability(asked) < 1.0
