"""Logins: one account has one name, however patient somebody is who guesses."""

from __future__ import annotations

import pytest

from mailframe.sources.ldap.logins import parse_login
from mailframe.sources.ldap.presets import PRESETS
from mailframe.sources.ldap.settings import LdapSettings
from mailframe.sources.ldap.templates import FilterTemplate


def settings(*, is_active_directory: bool = False, default_domain: str = "") -> LdapSettings:
    preset = PRESETS["openldap"]
    return LdapSettings(
        servers=(),
        domains=frozenset({"mf.test"}),
        login_domains=frozenset({"corp.test"}),
        base="dc=mf",
        default_domain=default_domain,
        user_filter=FilterTemplate(preset.user_filter),
        name_filter=FilterTemplate(preset.name_filter),
        address_filter=FilterTemplate(preset.address_filter),
        is_active_directory=is_active_directory,
        windows_domain="CORP",
    )


@pytest.mark.parametrize(
    "text",
    [
        *(" ann", "ann ", "a  nn", "a\u00adnn", "a\u034fnn", "ann\ufe0f", "\uff41nn", "ann\ufffc"),
        *("ann\u00a0", "ann\n", "ann\0", "", "a" * 321, "\ud800", "ann\u200b", "a\u0301\u200d"),
        *("ann@elsewhere.test", "ann@", "@mf.test", " @mf.test", '" ann"@mf.test'),
        *('"ann"@mf.test', '"\\a\\nn"@mf.test'),
    ],
)
def test_what_is_nobodys_login(text: str) -> None:
    assert parse_login(text, settings()) is None
    assert parse_login(text, settings(is_active_directory=True)) is None


@pytest.mark.parametrize(
    ("text", "whole", "filters"),
    [
        ("ann", "ann", ["(uid=%u)"]),
        ("Ann", "Ann", ["(uid=%u)"]),
        ("ά", "ά", ["(uid=%u)"]),
        ("ann smith", "ann smith", ["(uid=%u)"]),
        ('"ann smith"@mf.test', '"ann smith"@mf.test', ["(mail=%s)"]),
        ("ann@MF.test", "ann@mf.test", ["(mail=%s)"]),
        ("ann@corp.test", "ann@corp.test", ["(mail=%s)"]),
    ],
)
def test_logins(text: str, whole: str, filters: list[str]) -> None:
    parsed = parse_login(text, settings())
    assert parsed is not None
    assert parsed.blanks.whole == whole
    assert [one.text for one in parsed.filters] == filters


def test_a_name_may_be_completed() -> None:
    parsed = parse_login("ann", settings(default_domain="mf.test"))
    assert parsed is not None
    assert (parsed.blanks.whole, parsed.blanks.local_part) == ("ann@mf.test", "ann")
    assert [one.text for one in parsed.filters] == ["(uid=%u)", "(mail=%s)"]


def test_a_quoted_name_is_not_the_name() -> None:
    parsed = parse_login('"ann"', settings(default_domain="mf.test"))
    assert parsed is not None
    assert parsed.blanks.local_part == '"ann"'


def test_names_of_windows() -> None:
    for text in ("CORP\\ann", "corp\\ann"):
        parsed = parse_login(text, settings(is_active_directory=True))
        assert parsed is not None
        assert parsed.blanks.local_part == "ann"
        other = parse_login(text, settings())
        assert other is not None
        assert other.blanks.local_part == text
    for text in ("OTHER\\ann", "\\ann", "CORP\\", "CORP\\CORP\\ann"):
        assert parse_login(text, settings(is_active_directory=True)) is None
