"""The rules of ``content`` alone, untrained, on public mail: no ham may come to be junk.

Every Date is held against the time that the topmost Received tells, as on the day it came in.
"""

from __future__ import annotations

import pytest

from mailframe.message.headers import first, unfolded
from mailframe.message.sent_date import sent_date
from mailframe.policy.content_rules import look_at
from mailframe.policy.content_view import read_view
from tests.benchmarks.paired_spam_mail import SUITE, corpus

pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the suite 08-spam is not here")

SAMPLES = SUITE / "spamassassin-t-data"


def in_wire_format(octets: bytes) -> bytes:
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def points(message: bytes) -> float:
    received = first(message, "Received")
    came = sent_date(unfolded(received.value).rpartition(b";")[2]) if received else None
    view = read_view(message, now=float(came.seconds) if came else None)
    return sum(symbol.weight for symbol in look_at(view, {}))


def test_no_ham_of_the_corpus_comes_near() -> None:
    found = [points(in_wire_format(mail.message)) for mail in corpus() if not mail.is_spam]
    assert len(found) == 2067
    # measured: 60 have any points at all, 5 have one or more, none has 2
    assert max(found) < 2.0
    assert sum(each >= 1.0 for each in found) <= 5


def test_spam_gets_more() -> None:
    found = [points(in_wire_format(mail.message)) for mail in corpus() if mail.is_spam]
    # measured: 240 of 953
    assert sum(each >= 1.0 for each in found) > 200


@pytest.mark.parametrize(
    "path", sorted(p for p in (SAMPLES / "nice").rglob("*") if p.is_file()), ids=lambda p: p.name
)
def test_ham_that_was_made_to_look_bad(path) -> None:  # type: ignore[no-untyped-def]
    assert points(in_wire_format(path.read_bytes())) < 3.0


@pytest.mark.parametrize("name", ["gtube.eml", "gtubedcc.eml", "gtubedcc_crlf.eml"])
def test_gtube(name: str) -> None:
    assert points(in_wire_format((SAMPLES / "spam" / name).read_bytes())) >= 100.0
