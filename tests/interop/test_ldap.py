"""Accounts in OpenLDAP: logins, mail, lists, fail-over, hostile names, and Postfix's opinion."""

from __future__ import annotations

import contextlib
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted

from mailframe.app.config_ldap import Ldap
from mailframe.app.config_types import Secret
from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from tests.interop.peers.authority import Authority
from tests.interop.peers.logins import (
    ACCEPTED,
    PROTOCOLS,
    REFUSED,
    UNAVAILABLE,
    deliver,
    login,
    rcpt,
    serving,
    subjects,
)
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, need, run, wait_until, workdir
from tests.interop.peers.slapd import (
    BASE,
    GROUPS,
    PEOPLE,
    READER,
    SECRET,
    Slapd,
    entry,
    group,
    person,
    skeleton,
)

pytest.importorskip("sansldap")

ANN, BOB = f"uid=ann,{PEOPLE}", f"uid=bob,{PEOPLE}"
PASSWORD = "ann's own: ά, \\2a)("
STAFF = f"cn=staff,{GROUPS}"
LISTS = "(&(objectClass=groupOfNames)(mail=%s))"
TREE = "".join(
    [
        skeleton(),
        person("ann", PASSWORD, mail=["ann@mf.test", "ann.smith@mf.test"]),
        person("bob", "bob's", mailLocalAddress="robert@mf.test"),
        person("off", "off's", employeeType="FALSE"),
        person("fwd", "fwd's", mailRoutingAddress="bob@mf.test"),
        person("tiny", "tiny's", roomNumber="20"),
        person("raw", ""),
        person("twin", "twin's", mail=["twin@mf.test", "shared@mf.test"]),
        person("other", "other's", mail=["other@mf.test", "shared@mf.test"]),
        group("inner", [BOB, STAFF], mail="inner@mf.test"),
        group("staff", [ANN, f"cn=inner,{GROUPS}", f"uid=gone,{PEOPLE}"], mail="staff@mf.test"),
        group("team", [BOB, f"uid=fwd,{PEOPLE}", f"cn=deeper,{GROUPS}"], mail="team@mf.test"),
        group("deeper", [BOB, f"uid=tiny,{PEOPLE}"], mail="deeper@mf.test"),
        entry(
            f"uid=latin,{PEOPLE}",
            {
                "objectClass": ["inetOrgPerson", "extensibleObject"],
                "uid": "latin",
                "cn": "latin",
                "sn": "latin",
                "mail": "latin@mf.test",
                "userPassword": b"\xe9t\xe9",
            },
        ),
    ]
)
HOSTILE: tuple[str | bytes, ...] = (
    *("*", "ann*", "a)(uid=*", "*)(objectClass=*", "ann)(|(uid=*", "\\2a", "ann\\00", "(", ")"),
    *(f"ann,{PEOPLE}", ANN, "ann+cn=ann", '"ann"', "#ann", " ann", "ann ", "ann;x", "<ann>"),
    *("ann@mf.test)(mail=*", "*@mf.test", "ann@mf.test,dc=x", "%s", "%u", "{0}", "$(id)", "'"),
    "ann\u2003",
    *("../ann", "ann\r\nuid: x", "a" * 10_240, "ά" * 200, b"\xff\xfe", b"ann\xc3", "\u202eann"),
)


class Office:
    """Two directories with the same content."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self.authority = Authority(directory)
        self.directory = directory
        self.servers = []
        for name in ("one", "two"):
            server = Slapd(directory / name, loopback_address(), self.authority)
            server.load(TREE)
            stack.callback(server.stop)
            server.start()
            self.servers.append(server)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """By StartTLS with the first, by TLS with the second."""
        known: dict[str, Any] = {
            "servers": [self.servers[0].url, self.servers[1].tls_url],
            "domains": ["mf.test"],
            "base": BASE,
            "ca_file": str(self.authority.certificate),
            "bind_dn": READER,
            "bind_password": SECRET,
            "address_filter": "(|(mail=%s)(mailLocalAddress=%s))",
            "addresses": ["mail", "mailLocalAddress"],
            "list_filter": LISTS,
            "enabled": "employeeType",
            "forward": ["mailRoutingAddress"],
            "quota": "roomNumber",
            "cache": "0s",
        }
        return {key: value for key, value in (known | changes).items() if value is not None}

    def all_running(self) -> None:
        for server in self.servers:
            server.start()


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with workdir("ldap") as path, contextlib.ExitStack() as stack:
        yield Office(path, stack)


def served(office: Office, **settings: Any) -> contextlib.AbstractContextManager[Mailframe]:
    return serving("office", office.settings(**settings), before=["directory"])


@pytest.fixture(scope="module")
def mail(office: Office) -> Iterator[Mailframe]:
    with served(office) as server:
        yield server


# ---- the whole server


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_logins(mail: Mailframe, protocol: str) -> None:
    for name in ("ann@mf.test", "ann", "Ann@MF.test", "ann.smith@mf.test"):
        assert login(mail, protocol, name, PASSWORD).startswith(ACCEPTED[protocol])
    for name, password in [("ann", "wrong"), ("bob", PASSWORD), ("nobody", "x"), ("raw", "x")]:
        assert login(mail, protocol, name, password).startswith(REFUSED[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_password_never_logs_in(mail: Mailframe, protocol: str) -> None:
    """RFC 4513 section 5.1.2: slapd says yes to whoever binds without one."""
    for name in ("ann", "ann@mf.test", "raw", "nobody"):
        for password in ("", "\0", "\0" + PASSWORD):
            answer = login(mail, protocol, name, password)
            assert not answer.startswith(ACCEPTED[protocol])
            assert not answer.startswith(UNAVAILABLE[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_password_is_octets(mail: Mailframe, protocol: str) -> None:
    assert login(mail, protocol, "latin", b"\xe9t\xe9").startswith(ACCEPTED[protocol])
    assert login(mail, protocol, "latin", "été").startswith(REFUSED[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hostile_names_are_nobody(mail: Mailframe, protocol: str) -> None:
    for name in HOSTILE:
        answer = login(mail, protocol, name, PASSWORD)
        assert not answer.startswith(ACCEPTED[protocol]), (name, answer)
        assert not answer.startswith(UNAVAILABLE[protocol]), (name, answer)
    assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])


def test_mail_is_delivered(mail: Mailframe) -> None:
    for address in ("ann@mf.test", "ann.smith@mf.test", "Ann+shop@mf.test"):
        deliver(mail, address, f"to {address}")
    deliver(mail, "robert@mf.test", "to robert")
    deliver(mail, "fwd@mf.test", "to fwd")
    wait_until(
        lambda: (
            len(subjects(mail.maildir("ann@mf.test"))) == 3
            and subjects(mail.maildir("bob@mf.test")) == ["to fwd", "to robert"]
        ),
        "mail arrives",
    )


def test_mail_to_a_list_reaches_its_members(mail: Mailframe) -> None:
    deliver(mail, "staff@mf.test", "to staff")
    wait_until(
        lambda: all(
            "to staff" in subjects(mail.maildir(f"{name}@mf.test")) for name in ("ann", "bob")
        ),
        "mail arrives",
    )


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("ann@mf.test", "250"),
        ("nobody@mf.test", "550 5.1.1"),
        ("off@mf.test", "550"),
        ("shared@mf.test", "451"),
        ("tiny@mf.test", "250"),
        ("*@mf.test", "550 5.1.1"),
        ("a*@mf.test", "550 5.1.1"),
        ('"ann)(mail=*"@mf.test', "550 5.1.1"),
        ('"*)(objectClass=*"@mf.test', "550 5.1.1"),
        ("ann@elsewhere.test", "5"),
        ("postmaster@mf.test", ""),
    ],
)
def test_recipients(mail: Mailframe, address: str, answer: str) -> None:
    assert rcpt(mail, address).startswith(answer)


def test_the_log_says_who_is_ambiguous(mail: Mailframe) -> None:
    assert rcpt(mail, "shared@mf.test").startswith("451 4.")
    assert "ambiguous" in mail.log
    assert f"uid=twin,{PEOPLE}" in mail.log


def test_a_disabled_account_does_not_log_in(mail: Mailframe) -> None:
    assert login(mail, "imap", "off", "off's").startswith(REFUSED["imap"])


def test_who_may_write_as_whom(mail: Mailframe) -> None:
    with mail.submission("bob", "bob's") as client:
        for mine in ("bob@mf.test", "robert@mf.test", "bob+x@mf.test"):
            assert client.mail(mine)[0] == 250
            client.rset()
        for other in ("ann@mf.test", "team@mf.test", "nobody@mf.test", "bob@far.test"):
            assert client.mail(other)[0] == 553
            client.rset()


def test_a_mailbox_is_as_large_as_the_directory_says(mail: Mailframe) -> None:
    with pytest.raises(smtplib.SMTPException) as refusal:
        deliver(mail, "tiny@mf.test", "x" * 100)
    assert "452" in str(refusal.value) or "552" in str(refusal.value)


def test_mail_with_a_password_that_is_on_nobody_s_screen(mail: Mailframe) -> None:
    login(mail, "imap", "ann", "a secret that was mistyped")
    assert "a secret that was mistyped" not in mail.log
    assert PASSWORD not in mail.log
    assert SECRET not in mail.log


def test_commands_know_the_people(mail: Mailframe) -> None:
    assert "ann@mf.test" in mail.cli("route", "ann.smith@mf.test")


@pytest.fixture
def both(office: Office) -> Iterator[Office]:
    """Whatever a test does to the servers, they are there again afterwards."""
    yield office
    for server in office.servers:
        server.stop()
        server.start()


def test_one_server_is_lost(both: Office, mail: Mailframe) -> None:
    both.servers[0].kill()
    for protocol in PROTOCOLS:
        assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])
    assert rcpt(mail, "ann@mf.test").startswith("250")
    both.servers[0].start()
    both.servers[1].kill()
    for protocol in PROTOCOLS:
        assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])
    assert rcpt(mail, "nobody@mf.test").startswith("550")


def test_one_server_hangs(both: Office, mail: Mailframe) -> None:
    login(mail, "imap", "ann", PASSWORD)
    both.servers[0].signal(signal.SIGSTOP)
    try:
        assert login(mail, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
        assert rcpt(mail, "ann@mf.test").startswith("250")
    finally:
        both.servers[0].signal(signal.SIGCONT)


def test_all_servers_are_lost(both: Office, mail: Mailframe) -> None:
    for server in both.servers:
        server.kill()
    for protocol in PROTOCOLS:
        for name, password in [("ann", PASSWORD), ("ann", "wrong"), ("nobody", "x")]:
            answer = login(mail, protocol, name, password)
            assert answer.startswith(UNAVAILABLE[protocol]), answer
    for address in ("ann@mf.test", "nobody@mf.test", "staff@mf.test"):
        assert rcpt(mail, address).startswith("451 4.4.3")
    assert "cannot be asked" in mail.log
    for server in both.servers:
        server.start()
    for protocol in PROTOCOLS:
        assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])
    assert rcpt(mail, "nobody@mf.test").startswith("550")
    assert "answers again" in mail.log


def test_other_domains_go_on(both: Office, mail: Mailframe) -> None:
    mail.add_users("carol@own.test")
    for server in both.servers:
        server.kill()
    assert rcpt(mail, "carol@own.test").startswith("250")
    assert login(mail, "imap", "carol@own.test", "correct horse 7").startswith(ACCEPTED["imap"])


def test_old_answers_count_while_nobody_can_be_asked(both: Office) -> None:
    with served(both, cache="1s", stale="1h") as mail:
        assert login(mail, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
        assert login(mail, "imap", "ann", "wrong").startswith(REFUSED["imap"])
        assert rcpt(mail, "ann@mf.test").startswith("250")
        assert rcpt(mail, "nobody@mf.test").startswith("550")
        for server in both.servers:
            server.kill()
        time.sleep(1.5)  # the answers are old now
        for protocol in PROTOCOLS:
            assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])
            assert login(mail, protocol, "ann", "wrong").startswith(UNAVAILABLE[protocol])
            assert login(mail, protocol, "bob", "bob's").startswith(UNAVAILABLE[protocol])
        assert rcpt(mail, "ann@mf.test").startswith("250")
        assert rcpt(mail, "nobody@mf.test").startswith("451")
        deliver(mail, "ann@mf.test", "stale")
        wait_until(lambda: subjects(mail.maildir("ann@mf.test")) == ["stale"], "mail arrives")


# ---- the source by itself


@pytest.fixture
def source(office: Office) -> Iterator[Callable[..., Any]]:
    """Makes one, with other settings."""
    from twisted.internet import reactor

    from mailframe.app.source_services import SourceServices
    from mailframe.app.sources_of_ldap import ldap_source
    from mailframe.runtime.workers import InlineWorkers

    made: list[Any] = []

    def make(**changes: Any) -> Any:
        settings = office.settings(**changes)
        for key, value in settings.items():
            settings[key] = tuple(value) if isinstance(value, list) else value
        if "bind_password" in settings:
            settings["bind_password"] = Secret(settings["bind_password"])
        section = Ldap(**settings)
        assert list(section.contradictions()) == []
        nobody: Any = None
        services = SourceServices(
            reactor=reactor,
            workers=InlineWorkers(),
            resolver=nobody,
            random=Random(1),
            default_domain="mf.test",
        )
        made.append(ldap_source("ldap:office", section, services))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def find(source: Any, address: str) -> Any:
    return await source.find(Address.parse(address))


@pytest.mark.parametrize("way", ["starttls", "tls", "clear"])
@pytest_twisted.ensureDeferred
async def test_ways_of_asking(office: Office, source: Callable[..., Any], way: str) -> None:
    one = office.servers[0]
    url = one.tls_url if way == "tls" else one.url
    asked = source(servers=[url], starttls=way != "clear")
    assert (await find(asked, "ann@mf.test")).account == "ann@mf.test"
    assert await asked.check("ann", PASSWORD.encode()) == "ann@mf.test"


@pytest_twisted.ensureDeferred
async def test_certificates_are_checked(
    office: Office, source: Callable[..., Any], tmp_path: Path
) -> None:
    other = Authority(tmp_path, "Another authority")
    one = office.servers[0]
    for url in (one.url, one.tls_url):
        for changes in ({"ca_file": str(other.certificate)}, {"ca_file": None}):
            before = one.log.count(" BIND ")
            with pytest.raises(TransientFailure, match=r"certificate verify failed"):
                await find(source(servers=[url], **changes), "ann@mf.test")
            assert one.log.count(" BIND ") == before
        unchecked = source(servers=[url], ca_file=None, verify=False)
        assert await find(unchecked, "ann@mf.test") is not None


@pytest_twisted.ensureDeferred
async def test_a_certificate_is_for_its_host(office: Office, source: Callable[..., Any]) -> None:
    """Signed by the right authority, for an address; asked as ``localhost``."""
    with workdir("ldap-name") as path, contextlib.ExitStack() as stack:
        here = Slapd(path / "here", "127.0.0.1", office.authority)
        here.load(TREE)
        stack.callback(here.stop)
        here.start()
        assert await find(source(servers=[here.tls_url]), "ann@mf.test") is not None
        with pytest.raises(TransientFailure, match=r"TLS"):
            await find(source(servers=[f"ldaps://localhost:{here.tls_port}"]), "ann@mf.test")


@pytest_twisted.ensureDeferred
async def test_names_made_of_logins(source: Callable[..., Any]) -> None:
    template = {"check": "template", "bind_template": f"uid=%u,{PEOPLE}"}
    for reader in ({}, {"bind_dn": None, "bind_password": None}):
        asked = source(**template, **reader)
        assert await asked.check("ann@mf.test", PASSWORD.encode()) == "ann@mf.test"
        for name in ("nobody", "ann,ou=people", "ann+uid=bob", "*", "\\61nn", "ann\\2c"):
            with pytest.raises(LoginFailed):
                await asked.check(name, PASSWORD.encode())
        with pytest.raises(LoginFailed):
            await asked.check("off", b"off's")


@pytest_twisted.ensureDeferred
async def test_compare(source: Callable[..., Any]) -> None:
    asked = source(check="compare")
    assert await asked.check("ann", PASSWORD.encode()) == "ann@mf.test"
    for name, password in [("ann", b"wrong"), ("raw", b"x"), ("nobody", b"x"), ("ann", b"\xff")]:
        with pytest.raises(LoginFailed):
            await asked.check(name, password)


@pytest_twisted.ensureDeferred
async def test_a_group_is_required(source: Callable[..., Any]) -> None:
    asked = source(require_group=STAFF)
    assert await asked.check("ann", PASSWORD.encode()) == "ann@mf.test"
    assert await find(asked, "ann@mf.test") is not None
    assert await find(asked, "bob@mf.test") is None
    with pytest.raises(LoginFailed):
        await asked.check("bob", b"bob's")


@pytest_twisted.ensureDeferred
async def test_groups_by_the_memberof_overlay(office: Office, source: Callable[..., Any]) -> None:
    office.servers[0].modify(group("late", [ANN]))
    assert (await find(source(groups="memberOf"), "ann@mf.test")).groups == ("late",)


@pytest_twisted.ensureDeferred
async def test_what_the_reader_may_not_do_is_temporary(source: Callable[..., Any]) -> None:
    with pytest.raises(TransientFailure, match=r"invalid credentials"):
        await find(source(bind_password="wrong"), "ann@mf.test")
    with pytest.raises(TransientFailure, match=r"no such object"):
        await find(source(bind_dn=None, bind_password=None), "ann@mf.test")
    with pytest.raises(TransientFailure, match=r"no such object"):
        await find(source(base=f"ou=gone,{BASE}"), "ann@mf.test")


@pytest_twisted.ensureDeferred
async def test_a_long_list(office: Office, source: Callable[..., Any]) -> None:
    names = [f"uid=m{n},{PEOPLE}" for n in range(300)]
    with workdir("ldap-long") as path, contextlib.ExitStack() as stack:
        here = Slapd(path / "here", loopback_address(), office.authority)
        people = "".join(person(f"m{n}") for n in range(300))
        here.load(TREE + people + group("long", names, mail="long@mf.test"))
        stack.callback(here.stop)
        here.start()
        asked = source(servers=[here.url])
        assert len((await find(asked, "long@mf.test")).forward) == 300
        with pytest.raises(TransientFailure, match=r"more than 200 members"):
            await find(source(servers=[here.url], most_members=200), "long@mf.test")


def of_postfix(office: Office, directory: Path, address: str, lines: str) -> set[str]:
    """What a table of Postfix's (ldap_table(5)) says."""
    need("postmap")
    (directory / "main.cf").write_text("compatibility_level = 3.6\n")  # the machine may have none
    if "ldap" not in run(["postconf", "-c", directory, "-m"]).stdout.split():
        pytest.skip("Postfix has no LDAP (postfix-ldap)")
    table = directory / "table.cf"
    table.write_text(
        f"server_host = {office.servers[0].url}\nversion = 3\n"
        f"start_tls = yes\ntls_require_cert = yes\n"
        f"tls_ca_cert_file = {office.authority.certificate}\n"
        f"search_base = {BASE}\nscope = sub\n"
        f"bind = yes\nbind_dn = {READER}\nbind_pw = {SECRET}\n{lines}"
    )
    answer = run(["postmap", "-c", directory, "-q", address, f"ldap:{table}"])
    assert answer.stderr == ""
    return {one for one in answer.stdout.strip().split(",") if one}


@pytest.mark.parametrize(
    "address",
    [
        *("ann@mf.test", "ann.smith@mf.test", "fwd@mf.test", "robert@mf.test", "nobody@mf.test"),
        *("*@mf.test", '"a)(mail=*"@mf.test', '"ann\\\\2a"@mf.test', "off@mf.test"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_table_of_aliases_means_the_same_to_postfix(
    office: Office, source: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    """As docs/accounts-ldap.md translates it."""
    theirs = of_postfix(
        office,
        tmp_path,
        address,
        "query_filter = (|(mail=%s)(mailLocalAddress=%s))\nresult_attribute = mailRoutingAddress\n",
    )
    found = await find(source(servers=[office.servers[0].url]), address)
    assert (set(map(str, found.forward)) if found is not None else set()) == theirs


@pytest.mark.parametrize("address", ["team@mf.test", "ann@mf.test", "nobody@mf.test"])
@pytest_twisted.ensureDeferred
async def test_a_table_of_groups_means_the_same_to_postfix(
    office: Office, source: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    theirs = of_postfix(
        office,
        tmp_path,
        address,
        f"query_filter = {LISTS}\n"
        "special_result_attribute = member\nleaf_result_attribute = mail\n",
    )
    settings = {"list_members": ["member"], "forward": None}
    found = await find(source(servers=[office.servers[0].url], **settings), address)
    assert (set(map(str, found.forward)) if found is not None else set()) == theirs
    assert bool(theirs) == (address == "team@mf.test")
