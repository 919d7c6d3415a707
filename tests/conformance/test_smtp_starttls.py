"""STARTTLS injection and fixation: nothing said in the clear is heard within TLS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import Peer, World

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
TABLE = SUITES / "11-fuzz" / "starttls-injection" / "cases.json"
if not TABLE.is_file():
    pytest.skip("the STARTTLS table is not here (set MAILFRAME_SUITES)", allow_module_level=True)

CASES = {case["id"]: case for case in json.loads(TABLE.read_text())["cases"]}


def in_the_clear(world: World, case: dict[str, Any]) -> tuple[Peer, bytes]:
    """What the case says before TLS, and the last that was answered."""
    peer = world.connect()
    said = peer.read()
    for written in case.get("plain", []):
        said = peer.ask(written.replace("user@local", "ann@local.test").encode())
    return peer, said


def world(allow_plaintext: bool = False) -> World:
    return World(limits=SmtpLimits(tarpit=0, allow_plaintext=allow_plaintext))


@pytest.mark.parametrize("name", ["smtp-inj", "smtp-inj-mail"])
def test_injected_commands_are_never_answered(name: str) -> None:
    peer, said = in_the_clear(world(), CASES[name])
    assert said.startswith(b"220 ")
    assert said.count(b"\r\n") == 1
    peer.start_tls()
    assert peer.read() == b""
    assert peer.ask(b"MAIL FROM:<a@b.test>\r\n").startswith(b"503 ")


def test_the_hello_is_forgotten() -> None:
    case = CASES["smtp-fixation-helo"]
    peer, _ = in_the_clear(world(), case)
    peer.start_tls()
    assert peer.ask("".join(case["tls"]).encode()).startswith(b"503 ")


def test_no_login_before_tls() -> None:
    peer, _ = in_the_clear(world(), CASES["smtp-fixation-auth"])
    peer.start_tls()
    peer.ask(b"EHLO x\r\n")
    assert b"550 5.7.1" in peer.ask(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@else.test>\r\n")


def test_a_login_before_tls_is_dropped() -> None:
    server = world(allow_plaintext=True)
    peer = server.connect()
    assert b"235" in peer.ask(b"EHLO x\r\nAUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n")
    assert peer.ask(b"STARTTLS\r\n").startswith(b"220 ")
    peer.start_tls()
    peer.ask(b"EHLO x\r\n")
    assert b"550 5.7.1" in peer.ask(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@else.test>\r\n")
    assert [avatar.logouts for avatar in server.authenticator.avatars] == [1]


def test_not_within_a_transaction() -> None:
    _, said = in_the_clear(world(), CASES["smtp-fixation-mail"])
    assert said.startswith(b"503 ")


def test_no_argument() -> None:
    _, said = in_the_clear(world(), CASES["smtp-starttls-arg"])
    assert said.startswith(b"501 ")


def test_once_only() -> None:
    peer = world().connect()
    peer.ask(b"EHLO x\r\nSTARTTLS\r\n")
    peer.start_tls()
    hello, command = CASES["smtp-double"]["tls"]
    assert b"STARTTLS" not in peer.ask(hello.encode())
    assert peer.ask(command.encode()).startswith(b"503 ")


def test_every_smtp_case_is_held() -> None:
    held = {
        "smtp-inj", "smtp-inj-mail", "smtp-fixation-helo", "smtp-fixation-auth",
        "smtp-fixation-mail", "smtp-starttls-arg", "smtp-double",
    }  # fmt: skip
    assert {name for name, case in CASES.items() if case["proto"] == "smtp"} == held
