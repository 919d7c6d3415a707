"""The POP3 cases of the public STARTTLS injection table (suite 11-fuzz/starttls-injection)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.servers.pop3_house import House, Tls

SUITES = Path(
    os.environ.get("MAILFRAME_SUITES") or Path(__file__).resolve().parents[3] / "shared" / "suites"
)
FILE = SUITES / "11-fuzz" / "starttls-injection" / "cases.json"
CASES: list[dict[str, Any]] = (
    [case for case in json.loads(FILE.read_text())["cases"] if case["proto"] == "pop3"]
    if FILE.exists()
    else []
)

pytestmark = pytest.mark.skipif(not CASES, reason="the public suite 11-fuzz is not at hand")


@pytest.mark.parametrize("split", [False, True], ids=["as written", "one segment"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_nothing_said_in_clear_counts_within_tls(case: dict[str, Any], split: bool) -> None:
    client = House(b"x\r\n\r\n", tls=Tls()).client()
    segments = [segment.encode() for segment in case["plain"]]
    if split:
        segments = [b"".join(segments)]
    answers = b"".join(client.send(segment) for segment in segments)
    before_tls = b"".join(segments).upper().partition(b"STLS\r\n")[0] + b"STLS\r\n"
    assert answers.count(b"+OK") == before_tls.count(b"\r\n")
    assert client.transport.in_tls
    client.protocol.handshakeCompleted()
    assert client.heard() == b""
    for command in case.get("tls", []):
        assert client.send(command.encode()).startswith(b"-ERR")


def test_the_table_has_pop3_cases() -> None:
    assert {case["id"] for case in CASES} >= {"pop3-inj", "pop3-fixation-user"}
