"""``[ldap.NAME]``: what is read, what is refused, and what the source is told."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sansldap import SearchScope
from twisted.internet.task import Clock

from mailframe.accounts.errors import RealmError
from mailframe.app.config import load_config
from mailframe.app.config_ldap import Ldap
from mailframe.app.config_types import Secret
from mailframe.app.settings_of_ldap import settings_of_ldap
from mailframe.app.source_services import SourceServices
from mailframe.app.sources_of_ldap import ldap_source
from mailframe.errors import ConfigError
from mailframe.runtime.workers import InlineWorkers
from mailframe.sources.ldap.settings import PasswordCheck

GUIDE = Path(__file__).parents[4] / "docs" / "accounts-ldap.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
SERVER = """\
hostname = "mail.mf.test"
base = "state"
[listen.mx]
endpoint = "tcp:2525"
role = "mx"
"""
BEGINNING = f"""{SERVER}
[auth]
checkers = ["ldap:x"]
[ldap.x]
servers = ["ldap://a.test"]
domains = ["mf.test"]
base = "DC=corp,DC=mf,DC=test"
"""


def section(**more: Any) -> Ldap:
    known: dict[str, Any] = {
        "servers": ("ldap://a.test",),
        "domains": ("mf.test",),
        "base": "DC=corp, DC=mf,DC=test",
    }
    return Ldap(**(known | more))


def services() -> SourceServices:
    nobody: Any = None
    return SourceServices(
        reactor=Clock(), workers=InlineWorkers(), resolver=nobody, random=Random(1)
    )


def problems(tmp_path: Path, more: str) -> str:
    path = tmp_path / "mailframe.toml"
    path.write_text(BEGINNING + more)
    with pytest.raises(ConfigError) as refusal:
        load_config(str(path), {})
    return str(refusal.value)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_guide(text: str, tmp_path: Path) -> None:
    (tmp_path / "mailframe.toml").write_text(SERVER + text)
    config = load_config(str(tmp_path / "mailframe.toml"), {})
    [one] = config.ldap.values()
    settings_of_ldap(one, "example.org")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('servers = ["http://a"]', "servers"),
        ('user_filter = "(mail=%x)"', "user_filter"),
        ('list_filter = "(mail=%s"', "list_filter"),
        ('address_filter = "mail"', "address_filter"),
        ('bind_dn = "cn=x"', "belong together"),
        ('bind_password = "x"', "belong together"),
        ('bind_dn = "cn=x"\nbind_password = ""', "belong together"),
        ('check = "template"', "bind_template"),
        ('bind_template = "uid=%u"', "bind_template"),
        ('check = "template"\nbind_template = "cn=admin"', "placeholder"),
        ('windows_domain = "CORP"', "Active Directory"),
        ('keep_copy = "x"', "forward"),
        ('ca_file = "x.pem"\nverify = false', "ca_file"),
        ('preset = "active"', "preset"),
        ("connections = 0", "connections"),
        ("conections = 3", "did you mean"),
    ],
)
def test_what_is_wrong_is_said(more: str, said: str, tmp_path: Path) -> None:
    if more.startswith("servers"):
        more = "[ldap.y]\n" + more
    assert said in problems(tmp_path, more)


def test_what_the_source_is_told() -> None:
    told = settings_of_ldap(
        section(
            servers=("ldaps://a.test", "ldap://b.test:1389"),
            domains=("mf.test",),
            scope="one",
            check="compare",
            bind_dn="cn=x",
            bind_password=Secret("top secret"),
            account=("UID",),
            forward=("mailRoutingAddress",),
            search_timeout=7,
        ),
        "mf.test",
    )
    assert [(one.host, one.port, one.is_tls) for one in told.servers] == [
        ("a.test", 636, True),
        ("b.test", 1389, False),
    ]
    assert told.scope is SearchScope.ONE_LEVEL
    assert told.password_check is PasswordCheck.COMPARE
    assert told.attributes.account == ("uid",)
    assert told.attributes.addresses == ("mail",)
    assert told.attributes.forward == ("mailroutingaddress",)
    assert told.limits.search == 7
    assert told.start_tls
    assert told.list_filter is None
    assert "top secret" not in repr(told)


@pytest.mark.parametrize(
    ("default", "domains", "home"),
    [
        ("mf.test", ("mf.test", "two.test"), "mf.test"),
        ("own.test", ("mf.test",), "mf.test"),
        ("own.test", ("mf.test", "two.test"), ""),
        ("", ("mf.test",), "mf.test"),
    ],
)
def test_where_bare_names_are(default: str, domains: tuple[str, ...], home: str) -> None:
    assert settings_of_ldap(section(domains=domains), default).default_domain == home


def test_presets_may_be_changed_one_by_one() -> None:
    told = settings_of_ldap(section(preset="active-directory", name_filter="(cn=%u)"), "")
    assert told.is_active_directory
    assert told.windows_domain == "corp"
    assert told.name_filter is not None
    assert told.name_filter.text == "(cn=%u)"
    assert "proxyAddresses=smtp:%s" in told.address_filter.text
    assert told.list_filter is not None
    assert told.attributes.groups == "memberof"
    other = settings_of_ldap(section(preset="active-directory", windows_domain="OFFICE"), "")
    assert other.windows_domain == "OFFICE"


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sansldap", None)
    with pytest.raises(RealmError, match=r"pip install 'mailframe\[ldap\]'"):
        ldap_source("ldap:x", section(), services())


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RealmError, match=r"ldap:x"):
        ldap_source("ldap:x", section(ca_file=str(tmp_path / "none.pem")), services())


def test_a_source_is_made() -> None:
    source = ldap_source("ldap:x", section(), services())
    assert (source.name, set(source.domains)) == ("ldap:x", {"mf.test"})
