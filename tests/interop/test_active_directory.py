"""Accounts in Active Directory, as a Samba domain controller serves it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
from tests.interop.peers.process import loopback_address, wait_until, workdir
from tests.interop.peers.samba import ADMIN, BASE, PASSWORD, SECRET, USERS, Samba

pytest.importorskip("sansldap")

LONG_AGO = "130000000000000000"  # in 2012
HOSTILE: tuple[str | bytes, ...] = (
    *("*", "ann*", "a)(sAMAccountName=*", "*)(objectClass=*", "\\2a", "ann\\00", "CORP\\*"),
    *("CORP\\ann)(|(cn=*", "CORP\\CORP\\ann", "CORP\\", "\\ann", f"CN=ann,{USERS}", "CORP/ann"),
    *(
        "*@corp.mf.test",
        "ann@*",
        "ann@mf.test)(mail=*",
        "ann ",
        " ann",
        "ann$",
        "DC1$",
        "a" * 10_240,
    ),
    *("{S-1-5-21-1}", "<SID=S-1-5-32-544>", b"\xff\xfe", "ann\r\ncn: x", "krbtgt", "Guest", "%s"),
)


class Domain:
    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self.authority = Authority(directory)
        self.controller = Samba(directory, loopback_address(), self.authority)
        stack.callback(self.controller.stop)
        self.controller.start()
        self._fill()

    def _fill(self) -> None:
        here = self.controller
        here.add_user(
            "ann",
            mail="ann@mf.test",
            proxyAddresses=["SMTP:ann@mf.test", "smtp:ann.smith@mf.test", "x500:/o=x"],
        )
        here.add_user("bob", mail="bob@mf.test")
        here.add_user("nomail")
        here.add_user("upn", userPrincipalName="upn@mf.test")
        here.add_user("off", mail="off@mf.test")
        here.tool("user", "disable", "off")
        here.add_user("old", mail="old@mf.test", accountExpires=LONG_AGO)
        here.add_user("new", "--must-change-at-next-login", mail="new@mf.test")
        for name in ("one", "two"):
            here.add_user(f"twin{name}", mail=f"twin{name}@mf.test")
            here.set(f"CN=twin{name},{USERS}", proxyAddresses="smtp:shared@mf.test")
        for name, members in {"inner": "bob", "staff": "ann,inner,old", "empty": ""}.items():
            here.tool("group", "add", name)
            if members:
                here.tool("group", "addmembers", name, members)
        here.set(f"CN=staff,{USERS}", mail="staff@mf.test")
        here.set(f"CN=inner,{USERS}", proxyAddresses="smtp:inner@mf.test")

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {
            "preset": "active-directory",
            "servers": [self.controller.url],
            "domains": ["mf.test"],
            "login_domains": ["corp.mf.test"],
            "base": BASE,
            "ca_file": str(self.authority.certificate),
            "bind_dn": ADMIN,
            "bind_password": SECRET,
            "cache": "0s",
        } | changes


@pytest.fixture(scope="module")
def domain() -> Iterator[Domain]:
    with workdir("samba") as path, contextlib.ExitStack() as stack:
        yield Domain(path, stack)


def served(domain: Domain, **settings: Any) -> contextlib.AbstractContextManager[Mailframe]:
    return serving("corp", domain.settings(**settings))


@pytest.fixture(scope="module")
def mail(domain: Domain) -> Iterator[Mailframe]:
    with served(domain) as server:
        yield server


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_logins(mail: Mailframe, protocol: str) -> None:
    names = ("ann@mf.test", "ann.smith@mf.test", "ann@corp.mf.test", "ann", "ANN", "CORP\\ann")
    for name in (*names, "corp\\Ann", "upn"):
        assert login(mail, protocol, name, PASSWORD).startswith(ACCEPTED[protocol]), name
    for name in ("ann", "CORP\\ann", "nobody", "nobody@mf.test", "CORP\\nobody"):
        assert login(mail, protocol, name, "wrong").startswith(REFUSED[protocol]), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_is_shut_out(mail: Mailframe, protocol: str) -> None:
    for name in ("off", "old", "new", "off@mf.test", "CORP\\old"):
        assert login(mail, protocol, name, PASSWORD).startswith(REFUSED[protocol]), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_password_never_logs_in(mail: Mailframe, protocol: str) -> None:
    for name in ("ann", "CORP\\ann", "ann@mf.test", "off"):
        for password in ("", "\0", f"{PASSWORD}\0"):
            assert not login(mail, protocol, name, password).startswith(ACCEPTED[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hostile_names_are_nobody(mail: Mailframe, protocol: str) -> None:
    for name in HOSTILE:
        answer = login(mail, protocol, name, PASSWORD)
        assert not answer.startswith(ACCEPTED[protocol]), (name, answer)
        assert not answer.startswith(UNAVAILABLE[protocol]), (name, answer)


def test_the_log_says_why_a_bind_was_refused(mail: Mailframe) -> None:
    for name in ("off", "old", "new"):
        login(mail, "imap", name, PASSWORD)
    for reason in ("is disabled", "has expired", "must be changed"):
        assert reason in mail.log


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        *(("ann@mf.test", "250"), ("ann.smith@mf.test", "250"), ("Ann+x@mf.test", "250")),
        *(("new@mf.test", "250"), ("upn@mf.test", "250"), ("inner@mf.test", "250")),
        *(("off@mf.test", "550"), ("old@mf.test", "550"), ("nobody@mf.test", "550 5.1.1")),
        *(("shared@mf.test", "451 4."), ("*@mf.test", "550 5.1.1")),
        *(("nomail@mf.test", "550 5.1.1"), ('"a)(mail=*"@mf.test', "550 5.1.1")),
    ],
)
def test_recipients(mail: Mailframe, address: str, answer: str) -> None:
    assert rcpt(mail, address).startswith(answer)


def test_mail_to_a_proxy_address_is_delivered(mail: Mailframe) -> None:
    deliver(mail, "ann.smith@mf.test", "to the proxy address")
    box = mail.maildir("ann@mf.test")
    wait_until(lambda: "to the proxy address" in subjects(box), "mail arrives")


def test_mail_to_a_group_reaches_groups_within_it(mail: Mailframe) -> None:
    deliver(mail, "staff@mf.test", "to staff")
    boxes = [mail.maildir(f"{name}@mf.test") for name in ("ann", "bob")]
    wait_until(lambda: all("to staff" in subjects(box) for box in boxes), "mail arrives")
    assert subjects(mail.maildir("old@mf.test")) == []


@pytest.mark.parametrize("way", ["tls", "catalogue"])
def test_ways_of_asking(domain: Domain, way: str) -> None:
    controller = domain.controller
    url = controller.tls_url if way == "tls" else controller.catalogue_url
    with served(domain, servers=[url]) as mail:
        assert login(mail, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
        assert rcpt(mail, "ann.smith@mf.test").startswith("250")
        assert rcpt(mail, "staff@mf.test").startswith("250")


def test_passwords_do_not_go_in_the_clear(domain: Domain) -> None:
    """The controller insists on TLS (``strong auth required``); so a bind without it is refused,
    and that is trouble of ours and not of who logs in."""
    with served(domain, starttls=False) as mail:
        assert login(mail, "imap", "ann", PASSWORD).startswith(UNAVAILABLE["imap"])
        assert "strong auth required" in mail.log


def test_names_made_of_logins(domain: Domain) -> None:
    for template in ("CORP\\%u", "%u@corp.mf.test"):
        with served(domain, check="template", bind_template=template) as mail:
            assert login(mail, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
            for name in ("ann", "nobody", "off"):
                password = PASSWORD if name == "off" else "wrong"
                assert login(mail, "imap", name, password).startswith(REFUSED["imap"])


def test_a_group_is_required(domain: Domain) -> None:
    with served(domain, require_group=f"CN=staff,{USERS}", windows_domain="CORP") as mail:
        for name in ("ann", "bob", "CORP\\bob"):  # bob: by the group within
            assert login(mail, "imap", name, PASSWORD).startswith(ACCEPTED["imap"])
        for name in ("upn", "upn@mf.test", "OTHER\\ann"):
            assert login(mail, "imap", name, PASSWORD).startswith(REFUSED["imap"])
        assert rcpt(mail, "bob@mf.test").startswith("250")
        assert rcpt(mail, "new@mf.test").startswith("550")


def test_locked_after_failures(domain: Domain) -> None:
    controller = domain.controller
    controller.add_user("locked", mail="locked@mf.test")
    controller.tool("domain", "passwordsettings", "set", "--account-lockout-threshold=3")
    try:
        with served(domain) as mail:
            for _ in range(4):
                login(mail, "imap", "locked", "wrong")
            assert login(mail, "imap", "locked", PASSWORD).startswith(REFUSED["imap"])
            assert rcpt(mail, "locked@mf.test").startswith("250")
    finally:
        controller.tool("domain", "passwordsettings", "set", "--account-lockout-threshold=0")


def test_the_controller_is_lost(domain: Domain) -> None:
    with served(domain, stale="1h", cache="1s") as stale, served(domain) as mail:
        assert login(stale, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
        assert rcpt(stale, "ann@mf.test").startswith("250")
        domain.controller.kill()
        try:
            for protocol in PROTOCOLS:
                answer = login(mail, protocol, "ann", PASSWORD)
                assert answer.startswith(UNAVAILABLE[protocol]), answer
            assert rcpt(mail, "ann@mf.test").startswith("451 4.4.3")
            assert login(stale, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
            assert login(stale, "imap", "ann", "wrong").startswith(UNAVAILABLE["imap"])
            assert rcpt(stale, "ann@mf.test").startswith("250")
        finally:
            domain.controller.start()
        for protocol in PROTOCOLS:
            assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])


def test_another_server_takes_over(domain: Domain) -> None:
    dead = f"ldaps://{loopback_address()}:636"
    with served(domain, servers=[dead, domain.controller.tls_url]) as mail:
        for protocol in PROTOCOLS:
            assert login(mail, protocol, "ann", PASSWORD).startswith(ACCEPTED[protocol])


def test_the_controller_hangs(domain: Domain) -> None:
    with served(domain, search_timeout="1s", bind_timeout="1s", connect_timeout="1s") as mail:
        login(mail, "imap", "ann", PASSWORD)
        domain.controller.signal(signal.SIGSTOP)
        try:
            assert login(mail, "imap", "ann", PASSWORD).startswith(UNAVAILABLE["imap"])
            assert rcpt(mail, "ann@mf.test").startswith("451 4.4.3")
        finally:
            domain.controller.signal(signal.SIGCONT)
        assert login(mail, "imap", "ann", PASSWORD).startswith(ACCEPTED["imap"])
