"""Suites of signed messages, and the keys that lie beside them."""

from __future__ import annotations

import re
from pathlib import Path

from mailframe.core.authentication import DkimResult
from mailframe.errors import DnsTemporary
from mailframe.mailauth.dkim import DkimLimits
from tests.unit.mailauth.dkim.dkim_world import Keys, verified_message

SUITES = Path(__file__).resolve().parents[3] / "shared" / "suites"
LONG_AGO = 1_600_000_000
# What the suites' signers did, and RFC 8301 forbids: SHA-1 and short keys; l= is a choice of ours.
AS_OF_OLD = DkimLimits(min_key_bits=512, allow_sha1=True, allow_partial=True)


def wire(path: Path) -> bytes:
    """The message with CRLF, as SMTP would have it."""
    return re.sub(rb"\r?\n", b"\r\n", path.read_bytes())


def named_records(text: str) -> dict[str, object]:
    """Lines of a name and a TXT record; ``~~why~~`` is an error, NXDOMAIN no name."""
    found: dict[str, object] = {}
    for line in text.splitlines():
        name, _, record = line.strip().partition(" ")
        record = record.strip()
        if not record or name.startswith("#") or record == "NXDOMAIN":
            continue
        is_error = record.startswith("~~")
        found[name] = DnsTemporary(record) if is_error else record.strip('"').encode()
    return found


def results(
    message: bytes, keys: Keys, limits: DkimLimits = AS_OF_OLD, now: float = LONG_AGO
) -> tuple[DkimResult, ...]:
    return verified_message(message, keys, limits=limits, now=now)
