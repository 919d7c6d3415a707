"""SpamAssassin's DMARC messages: what is good passes, what is forged gets what its name says.

The names are in a DNS that is not asked here: the records below are what the files' names say. The
signatures are rsa-sha1, which RFC 8301 does not let anybody believe; SPF of the client's address is
what decides, as by the addresses in the Received fields.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.authentication import Authentication, Result, SpfResult
from mailframe.mailauth.dmarc import check_dmarc
from mailframe.message.headers import split_message
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.dmarc_zone import TxtZone

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites")) / "02-auth"
FOLDER = SUITE / "spamassassin-dkim"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the public suites are not here")
ZONE = {
    "_dmarc.dmarc1.spamassassin.org": ["v=DMARC1; p=none"],
    "_dmarc.dmarc2.spamassassin.org": ["v=DMARC1; p=quarantine"],
    "_dmarc.dmarc3.spamassassin.org": ["v=DMARC1; p=reject"],
    "_dmarc.dmarc4.spamassassin.org": ["v=DMARC1; p=reject; aspf=s; adkim=s"],
}


@pytest.mark.parametrize(
    ("name", "result", "action"),
    [
        ("nice/dmarc/noneok.eml", "pass", "none"),
        ("nice/dmarc/quarok.eml", "pass", "none"),
        ("nice/dmarc/rejectok.eml", "pass", "none"),
        ("nice/dmarc/strictrejectok.eml", "pass", "none"),
        ("spam/dmarc/nodmarc.eml", "none", "none"),
        ("spam/dmarc/noneko.eml", "fail", "none"),
        ("spam/dmarc/quarko.eml", "fail", "quarantine"),
        ("spam/dmarc/rejectko.eml", "fail", "reject"),
        ("spam/dmarc/strictrejectko.eml", "fail", "reject"),
    ],
)
def test_message(name: str, result: str, action: str) -> None:
    octets = (FOLDER / name).read_bytes()
    header = split_message(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))[0]
    domain = header.partition(b"Return-Path: <")[2].partition(b">")[0].decode().partition("@")[2]
    came_from_there = b"[64.142.3.173]" in header
    spf = SpfResult(Result.PASS if came_from_there else Result.FAIL, domain)
    checking: Any = check_dmarc(TxtZone(ZONE), header, Authentication(spf=spf), random=lambda: 0.0)
    found = fired(as_deferred(checking))
    assert (found.result.value, found.action.value) == (result, action)
