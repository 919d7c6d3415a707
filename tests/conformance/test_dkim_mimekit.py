"""MimeKit's signed messages: three as they came from Gmail, and the example of RFC 8463."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailframe.core.authentication import Result
from tests.conformance.dkim_suites import SUITES, results, wire
from tests.unit.mailauth.dkim.dkim_world import Keys

SUITE = SUITES / "06-mime" / "mimekit" / "dkim"
pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the suite is not on this machine")

GMAIL = "20120113._domainkey.gmail.com"
# RFC 8463 appendix A.2
EXAMPLE_KEYS = {
    "brisbane._domainkey.football.example.com": (
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ),
    "test._domainkey.football.example.com": (
        b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        b"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
        b"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        b"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}


def gmail_keys() -> Keys:
    text = (SUITE / "gmail.pub").read_text()
    return Keys({GMAIL: b"k=rsa; p=" + re.sub(r"-----.*?-----|\s", "", text).encode()})


def message(name: str) -> bytes:
    path: Path = SUITE / name
    return wire(path)


def test_gmail() -> None:
    (found,) = results(message("gmail.msg"), gmail_keys())
    assert found, found
    assert found.key_bits == 2048


@pytest.mark.parametrize("name", ["related.msg", "multipart-no-end-boundary.msg"])
def test_gmail_with_structure(name: str) -> None:
    (found,) = results(message(name), gmail_keys())
    assert found, found


def test_the_example_of_rfc_8463() -> None:
    text = message("rfc8463-example.msg")
    found = results(text, Keys(EXAMPLE_KEYS))
    assert [(each.result, each.algorithm) for each in found] == [
        (Result.PASS, "ed25519-sha256"),
        (Result.PASS, "rsa-sha256"),
    ]
    changed = results(text.replace(b"hungry", b"thirsty"), Keys(EXAMPLE_KEYS))
    assert not any(changed)
