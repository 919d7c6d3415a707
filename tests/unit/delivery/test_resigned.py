"""A conversion breaks our signature; what is really sent is signed again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Body
from mailframe.core.reply import Reply
from mailframe.core.report import Outcome
from mailframe.errors import TransientFailure
from mailframe.interfaces import IMessageSource, ISigner
from mailframe.runtime.aio import result_of
from tests.unit.delivery.delivery_world import Stored, World

TEXT = "Γειά σου, κόσμε.\r\n" * 3000
EIGHT_BIT = (
    "Received: from client\r\n"
    "DKIM-Signature: v=1; d=sender.example; s=old; b=\r\n"
    "From: ann@sender.example\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n" + TEXT
).encode()
FRESH = b"DKIM-Signature: v=1; d=sender.example; s=new; b=\r\n"
Open = Callable[[], Awaitable[IMessageSource]]


@implementer(ISigner)
class Recorder:
    """``answer(header)`` is what it makes of the converted header."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.seen: list[tuple[bytes, bytes, bytes, bytes]] = []

    async def sign(self, header: bytes, open_body: Open) -> bytes:
        raise AssertionError("only what was signed before is signed again")

    async def renewed(
        self, header: bytes, open_body: Open, before: bytes, open_before: Open
    ) -> bytes:
        self.seen.append((header, await _all(open_body), before, await _all(open_before)))
        return self.answer(header)


async def _all(open_body: Open) -> bytes:
    source = await result_of(open_body())
    pieces = []
    while piece := await result_of(source.read(1000)):
        pieces.append(piece)
    source.close()
    return b"".join(pieces)


def _renewed(header: bytes) -> bytes:
    lines = header.splitlines(keepends=True)
    return FRESH + b"".join(line for line in lines if not line.startswith(b"DKIM"))


def _send(signer: Any, *recipients: str, **server: Any) -> Any:
    world = World(signer=signer)
    made = world.serve(**{"keywords": ("SIZE",), **server})
    stored = Stored(EIGHT_BIT, body=Body.EIGHT_BIT)
    reports = world.send(*recipients, message=stored)
    assert all(source.closed for source in stored.sources)
    return reports, made


def test_the_new_signature_stands_on_what_is_sent() -> None:
    signer = Recorder(_renewed)
    (report,), (server,) = _send(signer)
    assert report.outcome is Outcome.RELAYED
    [sent] = server.messages
    assert sent.isascii()
    assert sent.startswith(FRESH + b"Received:")
    assert b"s=old" not in sent
    header, body, before, body_before = signer.seen[0]
    assert before + b"\r\n" + body_before == EIGHT_BIT
    assert _renewed(header) + b"\r\n" + body == sent
    assert f"SIZE={len(sent)}" in server.said[1]


def test_one_signature_for_all_recipients_and_transactions() -> None:
    signer = Recorder(_renewed)
    reports, (server,) = _send(
        signer, "a@dest.example", "b@dest.example", keywords=("SIZE", "LIMITS RCPTMAX=1")
    )
    assert len(reports) == 2
    assert len(signer.seen) == 1
    assert len(server.messages) == 2
    assert server.messages[0] == server.messages[1]


def test_a_message_that_is_not_ours_stays_as_it_was_converted() -> None:
    signer = Recorder(lambda header: header)
    _, (server,) = _send(signer)
    _, (plain,) = _send(None)
    assert server.messages == plain.messages


def test_what_needs_no_conversion_is_not_looked_at() -> None:
    signer = Recorder(_renewed)
    _, (server,) = _send(signer, keywords=("8BITMIME", "SIZE"))
    assert server.messages == [EIGHT_BIT]
    assert not signer.seen


@pytest.mark.parametrize("code", [451, 452])
def test_it_waits_where_there_is_no_thread_to_sign(code: int) -> None:
    busy = TransientFailure(Reply(code, status.SYSTEM_NOT_ACCEPTING, "Overloaded"))

    def fail(header: bytes) -> bytes:
        raise busy

    (report,), (server,) = _send(Recorder(fail))
    assert report.outcome is Outcome.DEFERRED
    assert not server.messages
