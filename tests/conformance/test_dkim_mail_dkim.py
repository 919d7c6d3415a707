"""The messages that Mail::DKIM is tested with: the name of each says what is right.

Where we differ, the RFC's words are the reason:

- DomainKeys (RFC 4870, historic) is not DKIM: its fields are none of ours;
- drafts had no ``v=``, or another. RFC 6376 section 3.5: "v= Version (plain-text; REQUIRED)",
  "it MUST have the value 1";
- ``g=`` of key records is gone since RFC 6376 (appendix C of RFC 6376 lists it), and section 3.2
  says: "Unrecognized tags MUST be ignored."
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.core.authentication import Result
from mailframe.mailauth.dkim import DkimLimits
from mailframe.message.headers import named, split_message
from tests.conformance.dkim_suites import SUITES, named_records, results, wire
from tests.unit.mailauth.dkim.dkim_world import Keys

SUITE = SUITES / "02-auth" / "perl-mail-dkim"
MESSAGES = sorted((SUITE / "corpus").glob("*.txt")) if SUITE.is_dir() else []
pytestmark = pytest.mark.skipif(not MESSAGES, reason="the suite is not on this machine")

INVALID = {Result.PERMERROR, Result.TEMPERROR}
HEADER_OR_BODY_CHANGED = {"badkey2_ed25519.txt", "badkey3_ed25519.txt"}
# RFC 6376 section 3.2: unrecognized tags MUST be ignored, and g= is one now
G_TAG = {"badkey_8.txt", "badkey_9.txt", "badkey_12.txt", "badkey_13.txt"}


def keys() -> Keys:
    return Keys(named_records((SUITE / "FAKE_DNS.dat").read_text()))


def is_draft(message: bytes) -> bool:
    header, _ = split_message(message)
    versions = [b"v=1;" in field.value for field in named(header, "DKIM-Signature")]
    return not any(versions)


def expected(path: Path, message: bytes) -> set[Result]:
    name = path.name
    if "dk_" in name.removeprefix("good_").removeprefix("bad_"):
        return {Result.NONE}
    if is_draft(message):
        return {Result.PERMERROR}
    if name in G_TAG:
        return {Result.PASS}
    if name in HEADER_OR_BODY_CHANGED:
        return {Result.FAIL}
    if name.startswith(("badkey", "ignore_")):
        # of an expired one RFC 6376 section 6.1.1 says PERMFAIL, which RFC 8601 calls fail
        return INVALID | {Result.FAIL} if name == "ignore_7.txt" else INVALID
    return {Result.FAIL} if name.startswith("bad_") else {Result.PASS}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_messages(path: Path) -> None:
    message = wire(path)
    found = results(message, keys())
    wanted = expected(path, message)
    assert any(each.result in wanted for each in found), found
    if Result.PASS not in wanted:
        assert not any(found)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_by_default_what_rfc_8301_forbids_does_not_pass(path: Path) -> None:
    """Section 3.1: "rsa-sha1 MUST NOT be used for signing or verifying"; section 3.2: "Verifiers
    MUST NOT consider signatures using RSA keys of less than 1024 bits as valid"."""
    for each in results(wire(path), keys(), DkimLimits()):
        if each:
            assert each.algorithm in ("rsa-sha256", "ed25519-sha256")
            assert each.key_bits >= (256 if "ed25519" in each.algorithm else 1024)
