"""Refused tokens, however the octets come: the same session, and the challenge is always closed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailframe.protocols.imap.engine import ImapEngine
from mailframe.protocols.imap.events import Closing as ImapClosing
from mailframe.protocols.imap.events import Pause as ImapPause
from mailframe.protocols.imap.events import Status
from mailframe.protocols.imap.events import TokenOffered as ImapToken
from mailframe.protocols.pop3 import Closing, Pause, Pop3Engine, ResponseCode, TokenOffered

NAMES = frozenset({"OAUTHBEARER", "XOAUTH2"})
BEARER = base64.b64encode(b"n,a=ann,\x01auth=Bearer t\x01\x01")
XOAUTH2 = base64.b64encode(b"user=ann\x01auth=Bearer t\x01\x01")
LINES = st.sampled_from(
    [
        b"AUTH OAUTHBEARER " + BEARER, b"AUTH XOAUTH2 " + XOAUTH2, b"AUTH XOAUTH2",
        b"a AUTHENTICATE OAUTHBEARER " + BEARER, b"b AUTHENTICATE XOAUTH2 " + XOAUTH2,
        b"c AUTHENTICATE OAUTHBEARER", b"d CAPABILITY", b"CAPA", BEARER, XOAUTH2, b"AQ==", b"",
        b"*", b"=", b"\0", b"{3}", b"{3+}", b"e NOOP", b"QUIT", b"x" * 50_000,
    ]
)  # fmt: skip
TRAFFIC = st.lists(LINES, max_size=20).map(lambda lines: b"".join(each + b"\r\n" for each in lines))
CUTS = st.lists(st.integers(0, 10**6), max_size=20)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def run(engine: Any, pieces: list[bytes], decide: Callable[[Any], None]) -> tuple[int, bytes]:
    """How many tokens were offered, and what was said."""
    offered, said = 0, bytearray()
    for piece in pieces:
        engine.receive(piece)
        while True:
            event = engine.next_event()
            said += engine.take_output()
            if event in (Pause.OUTPUT, ImapPause.OUTPUT):
                continue
            if isinstance(event, Pause | ImapPause | Closing | ImapClosing):
                break
            offered += isinstance(event, TokenOffered | ImapToken)
            decide(event)
            said += engine.take_output()
    return offered, bytes(said)


@given(TRAFFIC, CUTS)
def test_over_pop3(data: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[int, bytes]:
        engine = Pop3Engine("h", NAMES, lambda: "n", allow_plaintext=True, max_errors=0)
        return run(
            engine, pieces, lambda event: engine.login_failed("no", ResponseCode.AUTH, b"{}")
        )

    whole = outcome([data])
    assert outcome(split(data, cuts)) == whole
    offered, said = whole
    assert said.count(b"+ e30=\r\n") == offered
    assert offered - said.count(b"-ERR [AUTH] no\r\n") in (0, 1)


@given(TRAFFIC, CUTS)
def test_over_imap(data: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[int, bytes]:
        engine = ImapEngine("h", NAMES, lambda: "n", allow_plaintext=True)

        def decide(event: Any) -> None:
            if isinstance(event, ImapToken):
                engine.login_failed("no", "AUTHENTICATIONFAILED", b"{}")
            else:
                engine.finish(Status.OK, "done")

        return run(engine, pieces, decide)

    whole = outcome([data])
    assert outcome(split(data, cuts)) == whole
    offered, said = whole
    assert said.count(b"+ e30=\r\n") == offered
    assert offered - said.count(b" NO [AUTHENTICATIONFAILED] no\r\n") in (0, 1)
