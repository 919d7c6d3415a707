"""``mailframe spf check`` as a process, against a name server of ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

PROGRAM = [sys.executable, "-c", "from mailframe.app.cli import main; main()", "spf", "check"]
RECORDS = {
    ("example.org.", "TXT"): '"v=spf1 ip4:192.0.2.1 exists:%{l}.ok.%{d} -all exp=why.%{d}"',
    ("a/b.ok.example.org.", "A"): "127.0.0.2",
    ("why.example.org.", "TXT"): '"%{i} is not ours"',
    ("slow.example.", "TXT"): "",
}


def answer(wire: bytes) -> bytes:
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query)
    name, kind = query.question[0].name, query.question[0].rdtype.name
    found = RECORDS.get((name.to_text(), kind))
    if found is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif not found:
        reply.set_rcode(dns.rcode.SERVFAIL)
    else:
        reply.answer = [dns.rrset.from_text(name, 60, "IN", kind, found)]
    return reply.to_wire()


@pytest.fixture
def config(config_path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        config_path.write_text(
            config_path.read_text()
            + f'\n[dns]\nservers = ["127.0.0.1:{server.getsockname()[1]}"]\ntimeouts = ["2s"]\n'
        )
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield config_path
        server.sendto(b"", server.getsockname())
        thread.join()


def serve(server: socket.socket) -> None:
    while True:
        wire, client = server.recvfrom(4096)
        if not wire:
            return
        server.sendto(answer(wire), client)


def check(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment: dict[str, Any] = {**os.environ, "MAILFRAME_CONFIG": str(config)}
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["192.0.2.1", "example.org"], 0, "pass  192.0.2.1 for example.org"),
        (["192.0.2.2", "a/b@example.org"], 0, "decided by: exists:%{l}.ok.%{d}"),
        (["192.0.2.2", "ann@example.org", "--helo", "x"], 1, "they say: 192.0.2.2 is not ours"),
        (["2001:db8::1", "none.example"], 1, "none  2001:db8::1 for none.example"),
        (["192.0.2.1", "slow.example"], 1, "SERVFAIL"),
    ],
)
def test_what_it_says(config: Path, arguments: list[str], status: int, words: str) -> None:
    ran = check(config, *arguments)
    assert (ran.returncode, words in ran.stdout) == (status, True), ran


def test_as_json(config: Path) -> None:
    ran = check(config, "192.0.2.1", "ann@example.org", "--json")
    told = json.loads(ran.stdout)
    assert (told["result"], told["mechanism"]) == ("pass", "ip4:192.0.2.1")


def test_what_it_cannot_read(run: Any) -> None:
    assert run("spf", "check", "192.0.2", "example.org").status == 65
    assert run("spf", "check", "192.0.2.1", "a..b").status == 65
    assert run("spf", "check", "192.0.2.1").status == 64
