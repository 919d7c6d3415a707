"""From attributes to an account: what people typed into a directory is no danger to the others."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.core.address import Address
from mailframe.interfaces.accounts import Entry
from mailframe.sources.ldap.active_directory import is_enabled, reason_of
from mailframe.sources.ldap.errors import Misfit
from mailframe.sources.ldap.presets import PRESETS
from mailframe.sources.ldap.reading import MOST_ADDRESSES, Reading, group_name
from mailframe.sources.ldap.settings import Attributes, LdapSettings
from mailframe.sources.ldap.templates import FilterTemplate
from mailframe.sources.ldap.wire import Found

NOW = 1_800_000_000.0
ANY = FilterTemplate("(mail=%s)")


def reading(attributes: Attributes | None = None, **settings: Any) -> Reading:
    known: dict[str, Any] = {
        "servers": (),
        "domains": frozenset({"mf.test", "two.test"}),
        "base": "dc=mf",
        "default_domain": "mf.test",
        "user_filter": ANY,
        "address_filter": ANY,
        "attributes": attributes or Attributes(),
    }
    return Reading(LdapSettings(**(known | settings)))


def found(**attributes: list[str] | list[bytes]) -> Found:
    octets = {
        name: tuple(one if isinstance(one, bytes) else one.encode() for one in values)
        for name, values in attributes.items()
    }
    return Found("uid=x", octets)


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(map(Address.parse, texts))


def test_an_account_and_its_addresses() -> None:
    entry = reading().entry(found(mail=["Ann@mf.test", "a@two.test", "ann@elsewhere.test"]), NOW)
    assert entry == Entry(
        account="ann@mf.test", addresses=addresses("ann@mf.test", "Ann@mf.test", "a@two.test")
    )


def test_the_first_attribute_at_home_names_the_account() -> None:
    names = Attributes(account=("upn", "mail", "uid"), addresses=("mail",))
    both = found(upn=["ann@corp.test"], mail=["ann@mf.test"], uid=["x"])
    assert reading(names).entry(both, NOW).account == "ann@mf.test"
    assert reading(names).entry(found(uid=["X"]), NOW).account == "x@mf.test"


def test_international_domains_are_compared_as_a_labels() -> None:
    domains = frozenset({"xn--jxalpdlp.test"})
    entry = reading(domains=domains).entry(found(mail=["Ann@δοκιμή.test"]), NOW)
    assert entry.account == "ann@xn--jxalpdlp.test"


@pytest.mark.parametrize(
    "mail",
    [[], ["elsewhere@gmail.test"], ["no address"], ["ann@"], [b"\xff@mf.test"], ["a" * 2000]],
)
def test_somebody_without_an_address_of_ours_is_trouble_and_not_nobody(mail: list[Any]) -> None:
    with pytest.raises(Misfit):
        reading().entry(found(mail=mail), NOW)


def test_broken_values_cost_nothing_but_themselves() -> None:
    mail = ["ann@mf.test", "\0@mf.test", "@mf.test", "x y@mf.test", "b@mf.test", b"\xff@mf.test"]
    names = Attributes(forward=("fwd",), quota="quota")
    values = found(mail=mail, fwd=["nonsense@", "c@far.test"], quota=["lots"])
    entry = reading(names).entry(values, NOW)
    assert entry.addresses == addresses("ann@mf.test", "b@mf.test")
    assert entry.forward == addresses("c@far.test")
    assert entry.quota is None


def test_forward_copy_and_quota() -> None:
    names = Attributes(forward=("fwd",), keep_copy="keep", quota="quota")
    values = {"mail": ["a@mf.test"], "fwd": ["b@far.test", "boss"], "keep": ["TRUE"]}
    entry = reading(names).entry(found(**values, quota=["2G"]), NOW)
    assert entry.forward == addresses("b@far.test", "boss@mf.test")
    assert (entry.keeps_copy, entry.quota) == (True, 2 << 30)
    assert reading(names).entry(found(**values | {"keep": []}, quota=["500S"]), NOW).quota == 500
    assert not reading(names).entry(found(**values | {"keep": ["no"]}), NOW).keeps_copy


@pytest.mark.parametrize(
    ("values", "enabled"),
    [(["TRUE"], True), (["Active"], True), ([], True), (["FALSE"], False), (["deleted"], False)],
)
def test_enabled(values: list[str], enabled: bool) -> None:
    entry = reading(Attributes(enabled="on")).entry(found(mail=["a@mf.test"], on=values), NOW)
    assert entry.is_enabled is enabled


def test_there_is_an_end_to_addresses() -> None:
    many = [f"a{n}@mf.test" for n in range(MOST_ADDRESSES + 50)]
    assert len(reading().entry(found(mail=many), NOW).addresses) == MOST_ADDRESSES


def test_proxy_addresses() -> None:
    names = PRESETS["active-directory"].attributes
    values = found(
        mail=["ann@mf.test"],
        proxyaddresses=["smtp:b@mf.test", "SMTP:Ann@mf.test", "sip:c@mf.test", "X400:c=US;a= "],
    )
    entry = reading(names, is_active_directory=True).entry(values, NOW)
    assert entry.account == "ann@mf.test"
    assert entry.addresses == addresses("ann@mf.test", "Ann@mf.test", "b@mf.test")


def ticks(unix: float) -> str:
    return str(int((unix + 11_644_473_600) * 10_000_000))


@pytest.mark.parametrize(
    ("control", "expires", "enabled"),
    [
        ("512", "0", True),
        ("514", "0", False),
        ("66050", "0", False),
        ("512", "9223372036854775807", True),
        ("512", ticks(NOW - 1), False),
        ("512", ticks(NOW + 60), True),
        ("nonsense", "nonsense", True),
        ("", "", True),
    ],
)
def test_disabled_and_expired(control: str, expires: str, enabled: bool) -> None:
    values = found(mail=["a@mf.test"], useraccountcontrol=[control], accountexpires=[expires])
    assert is_enabled(values, NOW) is enabled
    entry = reading(is_active_directory=True).entry(values, NOW)
    assert entry.is_enabled is enabled


def test_reasons_of_refusals() -> None:
    text = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 533, v1db1"
    assert reason_of(text) == "the account is disabled"
    assert reason_of(text.replace("533", "52e")) == "wrong password"
    assert reason_of(text.replace("533", "ffffffff")) == ""
    assert reason_of("data store is full") == ""


def test_names_of_groups() -> None:
    names = Attributes(groups="memberof")
    values = found(mail=["a@mf.test"], memberof=["CN=Sales\\, EU,OU=x", "cn=\\ce\\ac", "plain"])
    assert reading(names).entry(values, NOW).groups == ("Sales, EU", "ά", "plain")
    assert group_name("=") == ""
    assert group_name("cn=a\\") == "a"
