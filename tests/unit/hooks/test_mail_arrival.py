"""Where ``msg.session``, ``msg.auth`` and the octets come from."""

from __future__ import annotations

import pytest
from zope.interface import implementer

from mailframe.core.authentication import (
    ArcResult,
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailframe.core.envelope import Envelope
from mailframe.core.session import Role, Session, TlsFacts
from mailframe.errors import MessageGone
from mailframe.hooks.arrival import (
    ArrivalFacts,
    arrival_of,
    arrival_of_session,
    auth_of,
    read_content,
    read_stored,
)
from mailframe.interfaces import Arrival, IContent, IMessageSource, IStoredMessage
from mailframe.mailauth.results import authentication_results
from mailframe.runtime.aio import as_deferred, fired


def test_of_a_session() -> None:
    session = Session("S1", Role.MX, "mx", "192.0.2.1", helo="there.test", esmtp=True)
    session.tls = TlsFacts("TLSv1.3", "X")
    assert arrival_of_session(session) == ArrivalFacts(
        "192.0.2.1", "there.test", None, "ESMTPS", "mx", "S1"
    )


def test_of_what_is_in_the_queue() -> None:
    arrival = Arrival("S1", "192.0.2.1", "there.test", "ann@x.test", "ESMTPSA")
    assert arrival_of(arrival) == ArrivalFacts(
        "192.0.2.1", "there.test", "ann@x.test", "ESMTPSA", "", "S1"
    )


FULL = Authentication(
    iprev=IprevResult(Result.PASS, "192.0.2.1"),
    helo=SpfResult(Result.NONE, "there.test", "helo", "there.test"),
    spf=SpfResult(Result.SOFTFAIL, "example.org", sender="bob@example.org"),
    dkim=(
        DkimResult(Result.PASS, "example.org", "s1", "rsa-sha256", "@example.org", "abcdefgh"),
        DkimResult(Result.FAIL, "lists.test", "s2", reason="the body was changed"),
    ),
    arc=ArcResult(Result.FAIL),
    dmarc=DmarcResult(
        Result.FAIL, "example.org", record_domain="example.org", action=DmarcAction.REJECT
    ),
)


def field(auth: Authentication, name: str = "mail.shop.test") -> bytes:
    return f"Authentication-Results: {authentication_results(name, auth)}\r\n".encode()


def test_what_was_found_out_is_read_back() -> None:
    found = auth_of(field(FULL), "mail.shop.test")
    assert found.iprev == FULL.iprev
    assert (found.helo, found.spf) == (FULL.helo, FULL.spf)
    assert found.arc == FULL.arc
    assert [(each.result, each.domain, each.reason) for each in found.dkim] == [
        (Result.PASS, "example.org", ""),
        (Result.FAIL, "lists.test", "the body was changed"),
    ]
    assert found.dkim[0] == FULL.dkim[0]
    assert found.dmarc is not None
    assert (found.dmarc.result, found.dmarc.action) == (Result.FAIL, DmarcAction.REJECT)
    assert not found.dmarc


def test_spf_of_the_helo_name_is_that_of_a_null_sender() -> None:
    helo = SpfResult(Result.PASS, "there.test", "helo", "there.test")
    found = auth_of(field(Authentication(spf=helo)), "mail.shop.test")
    assert found.spf == found.helo == helo


@pytest.mark.parametrize("name", ["other.test", "xmail.shop.test", "shop.test"])
def test_what_others_say_is_not_believed(name: str) -> None:
    assert auth_of(field(FULL, name), "mail.shop.test") == Authentication()


def test_our_name_however_it_is_written() -> None:
    assert auth_of(field(FULL, "MAIL.shop.test"), "mail.shop.test.").spf == FULL.spf


def test_the_topmost_wins_and_others_fill_in() -> None:
    passed = DmarcResult(Result.PASS, "example.org")
    header = field(Authentication(dmarc=passed)) + field(FULL)
    found = auth_of(header, "mail.shop.test")
    assert found.dmarc == passed
    assert found.spf == FULL.spf


@pytest.mark.parametrize(
    "value",
    [b"", b"mail.shop.test; dkim=(", b"\xff", b'"mail.shop.test; spf=pass', b"mail.shop.test; x"],
)
def test_what_cannot_be_read_says_nothing(value: bytes) -> None:
    header = b"Authentication-Results: " + value + b"\r\n"
    assert auth_of(header, "mail.shop.test") == Authentication()


def test_unknown_words_say_nothing() -> None:
    header = b"Authentication-Results: mail.shop.test; spf=hardfail; dmarc=bestguesspass\r\n"
    assert auth_of(header, "mail.shop.test") == Authentication()


@implementer(IMessageSource)
class Pieces:
    def __init__(self, *pieces: bytes | Exception) -> None:
        self.size = 0
        self.pieces = list(pieces)
        self.closed = 0

    async def read(self, octets: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if len(piece) > octets:
            self.pieces.insert(0, piece[octets:])
        return piece[:octets]

    def close(self) -> None:
        self.closed += 1


@implementer(IContent, IStoredMessage)
class Readable:
    queue_id = "7KQ2"
    header = added = b""
    envelope = Envelope(None)
    arrival = Arrival()
    arrived = 0.0

    def __init__(self, source: Pieces, octets: bytes | None = None, size: int = 100) -> None:
        self.source, self.octets, self.size = source, octets, size

    def open(self) -> Pieces:
        return self.source

    open_body = open


def test_content_is_read_up_to_a_limit() -> None:
    source = Pieces(b"abc", b"def", b"ghi")
    assert fired(as_deferred(read_content(Readable(source), 5))) == b"abcde"
    assert source.closed == 1


def test_the_source_is_closed_when_it_breaks() -> None:
    source = Pieces(b"abc", MessageGone("gone"))
    with pytest.raises(MessageGone):
        fired(as_deferred(read_content(Readable(source), 50)))
    assert source.closed == 1


def test_a_stored_message_is_read_whole_or_is_in_memory() -> None:
    assert fired(as_deferred(read_stored(Readable(Pieces(b"abc", b"def"))))) == b"abcdef"
    unread = Pieces(AssertionError("read"))
    assert fired(as_deferred(read_stored(Readable(unread, b"here")))) == b"here"
