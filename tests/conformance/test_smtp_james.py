"""Apache James' SMTP scripts, compared by code and, for EHLO, not by keyword."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mailframe.core.resolution import Local
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import World

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites"))
SCRIPTS = sorted((SUITES / "03-smtp" / "james-mpt").glob("*.test"))
if not SCRIPTS:
    pytest.skip("the James scripts are not here (set MAILFRAME_SUITES)", allow_module_level=True)

# Their answers where ours differ on purpose. They answer 501 where the state is wrong, and
# give up the session when something follows STARTTLS, which we throw away. They also let
# AUTH come before EHLO: ``authplain`` is played below in the order that the RFC asks for.
OTHERWISE = {
    "starttls_session_fixation": {"501": "503"},
    "starttls_with_injection": {"451": "220"},
}


def world() -> World:
    known = {"bob@mydomain.tld": Local("bob@mydomain.tld"), "starttls@mydomain.tld": Local("s@x")}
    made = World(limits=SmtpLimits(tarpit=0, allow_plaintext=True), known=known)
    made.resolver.domains.add("mydomain.tld")
    made.authenticator.passwords["bob@mydomain.tld"] = b"secret"
    return made


def codes(replies: bytes) -> list[str]:
    """One per reply, however many lines it has."""
    return re.findall(r"^(\d{3})(?: |$)", replies.decode(), re.MULTILINE)


def wanted(script: list[str]) -> list[str]:
    found: list[str] = []
    for line in script:
        # "250.*" is the first line of an answer to EHLO, whose last one counts
        if match := re.match(r"S: (\d{3}) ", line):
            found.append(match[1])
    return found


@pytest.mark.parametrize(
    "path", [p for p in SCRIPTS if p.stem != "authplain"], ids=lambda path: path.stem
)
def test_script(path: Path) -> None:
    lines = path.read_text().splitlines()
    peer = world().connect()
    said = peer.read()
    for line in lines:
        if line.startswith("C:"):
            text = line[3:].replace("\\r\\n", "\r\n")
            ended = "" if text.endswith("\r\n") else "\r\n"
            said += peer.ask(f"{text}{ended}".encode())
    expected = [OTHERWISE.get(path.stem, {}).get(code, code) for code in wanted(lines)]
    assert codes(said) == expected


def test_auth_login_after_ehlo() -> None:
    """The script of ``authplain``, in the order that RFC 4954 asks for."""
    peer = world().connect()
    script = (SUITES / "03-smtp" / "james-mpt" / "authplain.test").read_text().splitlines()
    said = peer.ask(b"EHLO yopmail.com\r\n")
    for line in script:
        if line.startswith("C:"):
            said += peer.ask(f"{line[3:]}\r\n".encode())
    assert codes(said) == ["220", "250", "334", "334", "235"]
