"""The smuggling matrix: every wrong end of data, delivered in every way."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.session import Role
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import Peer, World

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
MATRIX = SUITES / "03-smtp" / "smuggling" / "eod-matrix.json"
if not MATRIX.is_file():
    pytest.skip("the smuggling matrix is not here (set MAILFRAME_SUITES)", allow_module_level=True)

CASES = json.loads(MATRIX.read_text())["cases"]
BEFORE = b"Subject: first\r\n\r\nbefore"
SMUGGLED = (
    b"MAIL FROM:<admin@target.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n"
)


def prepare(mode: str) -> tuple[World, Peer]:
    if mode != "TLS+AUTH":
        world = World()
        peer = world.connect()
        peer.ask(b"EHLO evil.test\r\n")
        return world, peer
    world = World(role=Role.SUBMISSION, limits=SmtpLimits(tarpit=0))
    peer = world.connect()
    peer.ask(b"EHLO evil.test\r\nSTARTTLS\r\n")
    peer.start_tls()
    said = peer.ask(b"EHLO evil.test\r\nAUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n")
    assert b"\r\n235 2.7.0" in said
    return world, peer


def deliver(peer: Peer, mode: str, eod: bytes) -> bytes:
    """Send the message with its wrong end and what follows; returns the replies."""
    start = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\n"
    payload = BEFORE + eod + SMUGGLED
    if mode == "BDAT":
        return peer.ask(start + b"BDAT %d LAST\r\n" % len(payload) + payload)
    if mode == "line-by-line":
        said = peer.ask(start + b"DATA\r\n")
        for line in payload.splitlines(keepends=True):
            said += peer.ask(line)
        return said
    peer.send(start + b"DATA\r\n")
    if mode == "split-each-byte":
        peer.send(payload, piece=1)
    else:
        peer.send(payload)
    return peer.read()


@pytest.mark.parametrize(
    "mode", ["one-write", "line-by-line", "split-each-byte", "BDAT", "TLS+AUTH"]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_nothing_is_smuggled(case: dict[str, Any], mode: str) -> None:
    eod = base64.b64decode(case["eod_b64"])
    world, peer = prepare(mode)
    replies = deliver(peer, mode, eod)
    stored = world.spool.stored
    assert len(stored) <= case["expect_messages_max"], replies
    ends = case["contains_true_eod"] and mode != "BDAT"
    if not ends:
        # It is inside the one message or nowhere, and its commands were never answered.
        assert all(b"Subject: first" in message.content for message in stored)
        assert all(message.recipients == ["ann@local.test"] for message in stored)
    if case["has_bare_cr_lf_or_nul"] and not ends:
        assert not stored
        assert b"550 5.6.11" in replies
    if not case["has_bare_cr_lf_or_nul"]:
        assert [message.content[: len(BEFORE)] for message in stored] == [BEFORE]
    peer.leave()


def test_a_server_that_smuggles_is_seen() -> None:
    """The matrix against two messages where one was meant."""
    world, peer = prepare("one-write")
    deliver(peer, "one-write", b"\r\n.\r\n")
    assert len(world.spool.stored) == 2
