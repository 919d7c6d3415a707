"""``mailframe check``: whether an issuer answers, and what it says where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailframe.app.checks.finding import Finding, Mark
from mailframe.app.checks.issuers import check_issuers
from mailframe.app.config import load_config
from tests.unit.accounts.house import now
from tests.unit.sources.oauth.issuer import ISSUER, Web

CONFIG = f"""
hostname = "mail.example.test"
base = "state"
[listen.imap]
endpoint = "tcp:1430"
role = "imap"
[auth]
checkers = ["directory", "oauth:company"]
allow_plaintext = true
[oauth.company]
issuer = "{ISSUER}"
audience = ["mail"]
domains = ["example.test"]
"""
OPAQUE = """
introspection_url = "https://idp.test/introspect"
client_id = "mailframe"
client_secret = "s"
"""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    made = Web()
    monkeypatch.setattr("mailframe.sources.oauth.fetching.Fetcher", lambda *_, **__: made)
    made.pages["https://idp.test/introspect"] = {"active": False}
    return made


def findings(web: Web, directory: Path, text: str) -> list[Finding]:
    (directory / "mailframe.toml").write_text(text + '\n[dns]\nservers = ["127.0.0.1"]\n')
    config = load_config(str(directory / "mailframe.toml"), {})
    found: list[Finding] = now(check_issuers(config, web.clock))
    return found


@pytest.mark.parametrize("more", ["", OPAQUE])
def test_one_that_answers(web: Web, tmp_path: Path, more: str) -> None:
    [found] = findings(web, tmp_path, CONFIG + more)
    assert (found.id, found.mark, found.fix) == ("people.oauth:company", Mark.OK, "")
    assert "https://idp.test/keys" in web.asked
    assert ("https://idp.test/introspect" in web.asked) is bool(more)


@pytest.mark.parametrize(
    ("page", "answer", "why"),
    [
        (f"{ISSUER}/.well-known/openid-configuration", 404, "HTTP 404"),
        (f"{ISSUER}/.well-known/openid-configuration", {"issuer": "x"}, "it calls itself 'x'"),
        ("https://idp.test/introspect", 401, "HTTP 401"),
    ],
)
def test_one_that_does_not(web: Web, tmp_path: Path, page: str, answer: Any, why: str) -> None:
    web.pages[page] = answer
    [found] = findings(web, tmp_path, CONFIG + OPAQUE)
    assert found.mark is Mark.FAIL
    assert found.text.startswith("oauth:company cannot be asked: ")
    assert why in found.text
    assert "[oauth.company]" in found.fix


def test_keys_of_which_none_can_be_used(web: Web, tmp_path: Path) -> None:
    web.keys = [{"kty": "oct", "k": "AA"}]
    [found] = findings(web, tmp_path, CONFIG)
    assert "has no key for ES256, EdDSA, PS256, RS256" in found.text


def test_without_issuers_there_is_nothing_to_say(web: Web, tmp_path: Path) -> None:
    without = CONFIG.partition("[oauth")[0].replace(', "oauth:company"', "")
    assert findings(web, tmp_path, without) == []
