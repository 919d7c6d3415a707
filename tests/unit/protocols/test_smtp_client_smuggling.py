"""The outbound half of the smuggling suite: whatever end of data a message pretends, a next
hop finds one message."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from mailframe.protocols.smtp.client_body import BdatBody, DataBody

SUITES = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[4] / "shared" / "suites"))
MATRIX = SUITES / "03-smtp" / "smuggling" / "eod-matrix.json"
SMUGGLED = b"MAIL FROM:<admin@x>\r\nRCPT TO:<victim@x>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n"
# Every way in which some server has been seen to read the end of DATA.
LENIENT_END = re.compile(rb"(?:\r\n|\r|\n|\0)\.(?:\r\n|\r|\n|\0)")


def cases() -> list[Any]:
    if not MATRIX.exists():
        return [pytest.param(b"", marks=pytest.mark.skip("no suites (MAILFRAME_SUITES)"))]
    matrix = json.loads(MATRIX.read_text())["cases"]
    return [pytest.param(base64.b64decode(case["eod_b64"]), id=case["id"]) for case in matrix]


@pytest.mark.parametrize("end", cases())
@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
def test_a_strict_and_a_lenient_next_hop_see_one_message(end: bytes, step: int) -> None:
    content = b"Subject: x\r\n\r\nbefore" + end + SMUGGLED
    body = DataBody()
    chunks = [content[at : at + step] for at in range(0, len(content), step)]
    wire = b"".join(body.feed(chunk) for chunk in chunks) + body.finish()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", wire)
    ends = [match.end() for match in LENIENT_END.finditer(wire)]
    assert ends == [len(wire)]


@pytest.mark.parametrize("end", cases())
def test_by_bdat_the_counts_alone_decide(end: bytes) -> None:
    content = b"Subject: x\r\n\r\nbefore" + end + SMUGGLED
    body = BdatBody(binary=False)
    wire = body.feed(content) + body.finish()
    command, _, text = wire.partition(b"\r\n")
    assert command == b"BDAT %d LAST" % len(text)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", text)
