"""The source against a directory on a simulated network: answers, refusals, hostile names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansldap import LDAPResultCode
from zope.interface.verify import verifyObject

from mailframe.core.address import Address, AddressError
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IPasswordSource
from mailframe.sources.ldap.presets import PRESETS
from mailframe.sources.ldap.settings import Attributes, PasswordCheck
from mailframe.sources.ldap.templates import FilterTemplate, NameTemplate
from tests.unit.sources.ldap.directory import BASE, READER, Directory, World, people, person

ANN = f"uid=ann,{BASE}"
BOB = f"uid=bob,{BASE}"
STAFF = f"cn=staff,{BASE}"
LISTS = FilterTemplate("(&(objectClass=groupOfNames)(mail=%s))")


def group(name: str, *members: str, **attributes: list[str]) -> dict[str, list[str]]:
    known = {"objectClass": ["groupOfNames"], "cn": [name], "mail": [f"{name}@mf.test"]}
    return known | {"member": list(members)} | attributes


def world(entries: Any = None, **settings: Any) -> World:
    directory = Directory(people("ann", "bob") | (entries or {}), {ANN: "right", BOB: "other"})
    made = World(directory, **settings)
    made.directory = directory  # type: ignore[attr-defined]
    return made


def refused(result: pytest.ExceptionInfo[TransientFailure]) -> str:
    assert result.value.reply.code == 451
    return result.value.detail


def test_it_is_a_source() -> None:
    verifyObject(IPasswordSource, world().source)


def test_an_address_is_looked_up() -> None:
    here = world()
    assert here.find("ann@mf.test") == Entry(
        account="ann@mf.test", addresses=(Address("ann", "mf.test"),)
    )
    assert here.find("nobody@mf.test") is None
    asked = len(here.directory.asked)  # type: ignore[attr-defined]
    assert here.find("ann@elsewhere.test") is None
    assert len(here.directory.asked) == asked  # type: ignore[attr-defined]


def test_a_password_is_checked_by_a_bind() -> None:
    here = world()
    assert here.check("ann@mf.test") == "ann@mf.test"
    assert here.check("ann") == "ann@mf.test"
    for login, password in [("ann", "wrong"), ("bob", "right"), ("nobody", "right")]:
        with pytest.raises(LoginFailed):
            here.check(login, password)


def test_searches_are_ours_and_binds_are_theirs() -> None:
    here = world()
    here.check("ann")
    here.find("bob@mf.test")
    here.check("bob", "other")
    binds = [one for one in here.directory.asked if one.startswith("bind")]  # type: ignore[attr-defined]
    assert binds == [f"bind {READER}", f"bind {ANN}", f"bind {BOB}"]
    assert here.directory.connections == 2  # type: ignore[attr-defined]


def test_nobody_takes_as_many_questions_as_somebody() -> None:
    asked = []
    for login in ("ann", "nobody"):
        here = world()
        with pytest.raises(LoginFailed):
            here.check(login, "wrong")
        asked.append([one.split()[0] for one in here.directory.asked])  # type: ignore[attr-defined]
    assert asked[0] == asked[1]


@pytest.mark.parametrize("password", [b"", b"\0", b"right\0", b"r" * 1025])
def test_what_is_no_password_is_never_asked_about(password: bytes) -> None:
    here = world()
    with pytest.raises(LoginFailed):
        here.check("ann", password)
    assert here.directory.asked == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "login",
    [
        *("", "*", "ann)(uid=*", "*)(objectClass=*", "ann\0", "ann\n", "a" * 321, "\ud800"),
        *("ann@elsewhere.test", "ann@", "@mf.test", "ann@mf.test@mf.test", "\\2a", "an*"),
        *(f"ann,{BASE}", "uid=ann", "ann\\00", "(|(uid=ann)", "%s", "{0}", "../ann"),
        *('"ann"', '"ann"@mf.test', '"a\\nn"@mf.test', "(comment)ann@mf.test"),
        *(" ann", "ann ", "a nn", "a\u034fnn", "\uff41nn", "ann\ufe0f", "a\u00adnn"),
    ],
)
def test_hostile_logins_are_nobody(login: str) -> None:
    here = world(default_domain="mf.test")
    with pytest.raises(LoginFailed):
        here.check(login)


@given(st.text(max_size=40))
@settings(max_examples=30)
def test_no_name_but_hers_is_ann(login: str) -> None:
    if login.lower() in ("ann", "ann@mf.test"):
        return
    here = world()
    try:
        with pytest.raises(LoginFailed):
            here.check(login)
    finally:
        here.close()


@given(st.text(max_size=30))
@settings(max_examples=30)
def test_no_address_but_hers_is_ann(local_part: str) -> None:
    try:
        address = Address.build(local_part, "mf.test")
    except AddressError:
        return
    here = world()
    try:
        found = here.result(here.source.find(address))
        assert (found is not None) == (local_part.lower() in ("ann", "bob"))
    finally:
        here.close()


def test_two_entries_for_one_address_are_nobody() -> None:
    twin = {f"uid=twin,{BASE}": person("twin", mail=["twin@mf.test", "ann@mf.test"])}
    here = world(twin)
    with pytest.raises(TransientFailure) as refusal:
        here.find("ann@mf.test")
    assert "ambiguous" in refused(refusal)
    assert ANN in refused(refusal)
    with pytest.raises(TransientFailure):
        here.check("ann@mf.test")
    assert any("ambiguous" in one.text for one in here.log.events)
    assert here.find("bob@mf.test") is not None


def test_more_than_two_as_well() -> None:
    more = {f"uid=t{n},{BASE}": person(f"t{n}", mail=["ann@mf.test"]) for n in range(5)}
    with pytest.raises(TransientFailure) as refusal:
        world(more).find("ann@mf.test")
    assert "ambiguous" in refused(refusal)


def test_somebody_without_an_account_name_is_trouble() -> None:
    odd = {f"uid=odd,{BASE}": person("odd", mail=["odd@far.test"], alias=["odd@mf.test"])}
    here = world(odd, address_filter=FilterTemplate("(alias=%s)"))
    with pytest.raises(TransientFailure) as refusal:
        here.find("odd@mf.test")
    assert "uid=odd" in refused(refusal)


def test_an_account_is_found_by_its_own_name_too() -> None:
    smith = {f"uid=smith,{BASE}": person("smith", mail=["anna.smith@mf.test"])}
    here = world(smith, default_domain="mf.test", attributes=Attributes(account=("uid",)))
    by_mail = here.find("anna.smith@mf.test")
    assert by_mail.account == "smith@mf.test"
    assert here.find("Smith@mf.test") == by_mail
    assert here.find("none@mf.test") is None
    assert here.check("ann") == "ann@mf.test"


def test_an_account_is_not_found_by_its_name_at_another_domain() -> None:
    names = Attributes(account=("uid",))
    domains = frozenset({"mf.test", "two.test"})
    here = world(default_domain="mf.test", attributes=names, domains=domains)
    assert here.find("ann@two.test") is None


def test_disabled_accounts() -> None:
    off = {f"uid=off,{BASE}": person("off", on=["FALSE"])}
    here = world(off, attributes=Attributes(enabled="on"))
    here.directory.passwords[f"uid=off,{BASE}"] = "right"  # type: ignore[attr-defined]
    assert here.find("off@mf.test").is_enabled is False
    with pytest.raises(LoginFailed):
        here.check("off")
    assert here.check("ann") == "ann@mf.test"


@pytest.mark.parametrize(
    "entry",
    [
        group("staff", ANN),
        {"objectClass": ["groupOfUniqueNames"], "uniqueMember": [ANN]},
        {"objectClass": ["posixGroup"], "memberUid": ["ann"]},
    ],
)
def test_a_group_that_is_required(entry: dict[str, list[str]]) -> None:
    here = world({STAFF: entry}, require_group=STAFF)
    assert here.check("ann") == "ann@mf.test"
    assert here.find("ann@mf.test") is not None
    assert here.find("bob@mf.test") is None
    with pytest.raises(LoginFailed):
        here.check("bob", "other")


def test_a_group_that_is_required_and_not_there() -> None:
    here = world(require_group=f"cn=gone,{BASE}")
    with pytest.raises(TransientFailure):
        here.find("ann@mf.test")
    with pytest.raises(TransientFailure):
        here.check("ann")


# lists


def members(here: World, name: str = "staff") -> list[str]:
    entry = here.find(f"{name}@mf.test")
    assert entry.is_list
    assert not entry.has_mailbox
    return sorted(map(str, entry.forward))


def test_members_of_a_list() -> None:
    far = {f"uid=far,{BASE}": person("far", mail=["far@far.test"])}
    staff = group("staff", ANN, BOB, f"uid=far,{BASE}", f"uid=gone,{BASE}")
    assert members(world(far | {STAFF: staff}, list_filter=LISTS)) == [
        "ann@mf.test",
        "bob@mf.test",
        "far@far.test",
    ]


def test_members_by_name_and_by_address() -> None:
    staff = group("staff", memberUid=["ann", "gone"], rfc822MailMember=["x@far.test", "bad@"])
    assert members(world({STAFF: staff}, list_filter=LISTS)) == ["ann@mf.test", "x@far.test"]


def test_groups_within_groups_and_loops() -> None:
    inner = f"cn=inner,{BASE}"
    entries = {STAFF: group("staff", ANN, inner), inner: group("inner", BOB, STAFF, inner)}
    assert members(world(entries, list_filter=LISTS)) == ["ann@mf.test", "bob@mf.test"]


def test_groups_too_deep_are_trouble() -> None:
    names = [f"cn=g{n},{BASE}" for n in range(8)]
    entries = {name: group(f"g{n}", names[n + 1] if n < 7 else ANN) for n, name in enumerate(names)}
    here = world(entries, list_filter=LISTS, most_depth=5)
    with pytest.raises(TransientFailure) as refusal:
        here.find("g0@mf.test")
    assert "deeper than 5" in refused(refusal)
    assert members(here, "g3") == ["ann@mf.test"]


def test_a_list_that_is_too_long_is_trouble() -> None:
    entries = people(*(f"u{n}" for n in range(30)))
    here = world(entries | {STAFF: group("staff", *entries)}, list_filter=LISTS, most_members=29)
    with pytest.raises(TransientFailure) as refusal:
        here.find("staff@mf.test")
    assert "more than 29 members" in refused(refusal)
    assert not any("objectClass=*" in one for one in here.directory.asked)  # type: ignore[attr-defined]
    here = world(entries | {STAFF: group("staff", *entries)}, list_filter=LISTS, most_members=30)
    assert len(members(here)) == 30


def test_a_list_and_a_person_of_one_address_are_nobody() -> None:
    staff = group("staff", BOB, mail=["ann@mf.test"])
    address = FilterTemplate("(&(objectClass=inetOrgPerson)(mail=%s))")
    here = world({STAFF: staff}, list_filter=LISTS, address_filter=address)
    with pytest.raises(TransientFailure) as refusal:
        here.find("ann@mf.test")
    assert "ambiguous" in refused(refusal)


def test_one_filter_for_both() -> None:
    both = FilterTemplate("(mail=%s)")
    here = world({STAFF: group("staff", ANN)}, list_filter=both, address_filter=both)
    assert members(here) == ["ann@mf.test"]
    assert here.find("ann@mf.test").has_mailbox


def test_groups_of_active_directory_are_followed_by_it_in_pages() -> None:
    chain = {"memberOf": [STAFF]}
    entries = {f"cn=u{n},{BASE}": person(f"u{n}", **chain) for n in range(25)}
    entries[f"cn=no,{BASE}"] = person("no", mail=[], **chain)
    entries[STAFF] = {"objectClass": ["group"], "mail": ["staff@mf.test"]}
    preset = PRESETS["active-directory"]
    here = world(
        entries,
        is_active_directory=True,
        attributes=preset.attributes,
        list_filter=FilterTemplate(preset.list_filter),
        page=10,
    )
    assert len(members(here)) == 25
    pages = [one for one in here.directory.asked if "memberOf" in one]  # type: ignore[attr-defined]
    assert len(pages) == 3


# other ways of checking a password


def test_a_bind_with_a_name_made_of_the_login() -> None:
    here = world(
        password_check=PasswordCheck.TEMPLATE,
        bind_template=NameTemplate(f"uid=%u,{BASE}"),
        bind_dn="",
        default_domain="mf.test",
    )
    assert here.check("ann@mf.test") == "ann@mf.test"
    for login, password in [("ann", "wrong"), ("nobody", "right"), (f"x,uid=ann,{BASE}", "right")]:
        with pytest.raises(LoginFailed):
            here.check(login, password)
    first = here.directory.asked[:2]  # type: ignore[attr-defined]
    assert first == [f"bind {ANN}", "search (objectClass=*)"]


def test_a_name_that_the_server_takes_for_somebody_else() -> None:
    """bob@corp.test is the server's name of one person, bob@mf.test the address of another."""
    for reader in ({}, {"bind_dn": ""}):
        here = world(
            password_check=PasswordCheck.TEMPLATE,
            bind_template=NameTemplate("%u@corp.test"),
            **reader,
        )
        here.directory.passwords["bob@corp.test"] = "right"  # type: ignore[attr-defined]
        with pytest.raises(LoginFailed):
            here.check("bob@mf.test", "right")
        here.directory.passwords["bob@corp.test"] = "other"  # type: ignore[attr-defined]
        assert here.check("bob@mf.test", "other") == "bob@mf.test"


def test_logins_with_a_windows_domain() -> None:
    settings = {"is_active_directory": True, "windows_domain": "corp"}
    here = world(**settings)
    assert here.check("CORP\\ann") == "ann@mf.test"
    for login in ("OTHER\\ann", "CORP\\", "CORP\\x\\ann", "\\ann"):
        with pytest.raises(LoginFailed):
            here.check(login)
    with pytest.raises(LoginFailed):
        world().check("CORP\\ann")


def test_logins_at_domains_without_mail() -> None:
    upn = {ANN: person("ann", userPrincipalName=["ann@corp.test"])}
    by_upn = FilterTemplate("(userPrincipalName=%s)")
    here = world(upn, user_filter=by_upn, login_domains=frozenset({"corp.test"}))
    assert here.check("ann@corp.test") == "ann@mf.test"
    with pytest.raises(LoginFailed):
        world(upn, user_filter=by_upn).check("ann@corp.test")


# what the server says


@pytest.mark.parametrize(
    "code",
    [
        LDAPResultCode.INVALID_CREDENTIALS,
        LDAPResultCode.INAPPROPRIATE_AUTHENTICATION,
        LDAPResultCode.UNWILLING_TO_PERFORM,
        LDAPResultCode.CONSTRAINT_VIOLATION,
    ],
)
def test_refusals_that_are_about_who_logs_in(code: LDAPResultCode) -> None:
    here = world()
    here.find("ann@mf.test")
    bind = here.directory.buildProtocol  # type: ignore[attr-defined]
    assert bind
    template = {
        "password_check": PasswordCheck.TEMPLATE,
        "bind_template": NameTemplate(f"uid=%u,{BASE}"),
        "default_domain": "mf.test",
    }
    here = world(**template)
    here.directory.code = code  # type: ignore[attr-defined]
    with pytest.raises(LoginFailed):
        here.check("ann")


@pytest.mark.parametrize(
    "code",
    [
        LDAPResultCode.BUSY,
        LDAPResultCode.UNAVAILABLE,
        LDAPResultCode.OTHER,
        LDAPResultCode.CONFIDENTIALITY_REQUIRED,
        LDAPResultCode.STRONG_AUTH_REQUIRED,
        LDAPResultCode.REFERRAL,
        LDAPResultCode.OPERATIONS_ERROR,
    ],
)
def test_refusals_that_are_about_the_server_are_temporary(code: LDAPResultCode) -> None:
    here = world(
        password_check=PasswordCheck.TEMPLATE,
        bind_template=NameTemplate(f"uid=%u,{BASE}"),
        default_domain="mf.test",
    )
    here.directory.code = code  # type: ignore[attr-defined]
    with pytest.raises(TransientFailure):
        here.check("ann")
    with pytest.raises(TransientFailure):
        here.find("ann@mf.test")


def test_the_log_says_why_somebody_may_not_log_in() -> None:
    here = world(require_group=STAFF, default_domain="mf.test")
    here.directory.entries[STAFF] = group("staff", ANN)  # type: ignore[attr-defined]
    for login, password in [("bob", "other"), ("ann", "wrong"), ("nobody", "x"), ("*", "x")]:
        with pytest.raises(LoginFailed):
            here.check(login, password)
    said = [one.text for one in here.log.events if "may not log in" in one.text]
    assert said == ["ldap:test: 'bob' may not log in: not in the group that is required"]


def test_a_reader_that_is_refused_is_temporary_and_said() -> None:
    here = world(bind_password="wrong")
    with pytest.raises(TransientFailure) as refusal:
        here.find("ann@mf.test")
    assert "invalid credentials" in refused(refusal)
    assert any(READER in one.text for one in here.log.events)
    assert not any("wrong" in one.text for one in here.log.events)
