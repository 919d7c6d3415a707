"""Accounts that a web service knows, behind the real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

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
    subjects,
)
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.portal import DOMAIN, PASSWORD, SECRET, Portal
from tests.interop.peers.process import loopback_address, wait_until, workdir

ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"


class Town:
    """One server, two portals."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.directory = stack.enter_context(workdir("http"))
        self.authority = Authority(self.directory)
        self.first = Portal(self.directory / "first", self.authority)
        self.second = Portal(self.directory / "second", self.authority)
        stack.callback(self.first.stop)
        stack.callback(self.second.stop)
        self.server = Mailframe(self.directory, loopback_address())
        self.server.configure(auth={"failures_per_ip": 0, "failures_per_account": 0})
        self.server.configure(queue={"retry": ["1s"]})
        self.server.add_users("ann@mf.test")
        self.configure(check=[f"{self.first.url}/login"], find=[f"{self.first.url}/find"])
        self.server.start()
        stack.callback(self.server.stop)

    def configure(self, **settings: object) -> None:
        portal = {
            "domains": [DOMAIN],
            "secret": SECRET,
            "ca_file": str(self.authority.certificate),
            "cache": "0s",
            "timeout": "2s",
        }
        self.server.configure(
            auth={"checkers": ["directory", "http:portal"]}, http={"portal": portal | settings}
        )


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with contextlib.ExitStack() as stack:
        town = Town(stack)
        yield town
        assert town.server.tracebacks == []


@pytest.fixture
def moody(town: Town) -> Iterator[Town]:
    """Both portals may be given a mood, which ends with the test."""
    yield town
    town.first.mood = town.second.mood = ""
    wait_until(lambda: rcpt(town.server, ANN).startswith("250"), "the portal is asked again")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_whom_the_service_knows_logs_in(town: Town, protocol: str) -> None:
    town.first.asked.clear()
    for name in (ANN, "ann@mf.test"):
        assert login(town.server, protocol, name, PASSWORD).startswith(ACCEPTED[protocol])
    for name, password in ((ANN, "no"), (f"x@{DOMAIN}", PASSWORD), (f"gone@{DOMAIN}", PASSWORD)):
        assert login(town.server, protocol, name, password).startswith(REFUSED[protocol])
    told = next(one for one in town.first.asked if one.get("login") == ANN)
    assert told | {"path": "/login", "protocol": protocol, "tls": True} == told
    assert told["ip"].startswith("127.")
    assert "ann@mf.test" not in str(town.first.asked)


def test_mail_reaches_whom_only_the_service_knows(town: Town) -> None:
    for local_part in ("ann", "info", "both", "bob+x"):
        deliver(town.server, f"{local_part}@{DOMAIN}", local_part)
    wait_until(
        lambda: subjects(town.server.maildir(ANN)) == ["ann", "both", "info"], "ann has her mail"
    )
    wait_until(lambda: subjects(town.server.maildir(BOB)) == ["bob+x", "both"], "bob has his")
    assert rcpt(town.server, f"x@{DOMAIN}").startswith("550 5.1.1")
    with town.server.smtp() as client:
        client.mail("friend@far.test", ["SIZE=30000"])
        assert client.rcpt(BOB)[0] == 452


@pytest.mark.parametrize("name", ["thief", "stray", "path", "odd"])
def test_what_it_may_not_say_is_trouble_of_its_own(town: Town, name: str) -> None:
    """An account elsewhere, one it does not know, a path, a field that nobody knows."""
    address = f"{name}@{DOMAIN}"
    answer = rcpt(town.server, address)
    if name == "path":  # a name like any other: its directory is within BASE/mail
        assert answer.startswith("250")
        deliver(town.server, address, "path")
        place = town.server.base / "mail" / DOMAIN / "%2E.%2F..%2F..%2Ftmp%2Fx" / "Maildir"
        wait_until(lambda: subjects(place) == ["path"], "it is delivered")
        return
    assert answer.startswith("451")
    for protocol in PROTOCOLS:
        said = login(town.server, protocol, address, PASSWORD)
        assert said.startswith((REFUSED if name == "stray" else UNAVAILABLE)[protocol])


HOSTILE = (
    "' OR 1=1",
    "%s@web.test",
    '"}, {"a": "',
    "../../x@web.test",
    "ann\x00",
    "άννα",
    "a" * 9999,
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_arrive_as_they_are_or_not_at_all(town: Town, name: str) -> None:
    town.first.asked.clear()
    for protocol in PROTOCOLS:
        assert not login(town.server, protocol, name, PASSWORD).startswith(ACCEPTED[protocol])
    assert {one["login"] for one in town.first.asked} <= {name}


MOODS = ("500", "302", "429", "not json", "[]", '{"account": 7}', "x" * 2_000_000, "hangs")


@pytest.mark.parametrize("mood", MOODS, ids=lambda mood: mood[:12])
def test_bad_answers_put_off(moody: Town, mood: str) -> None:
    moody.first.mood = mood
    assert rcpt(moody.server, ANN).startswith("451 4.4.3")
    assert login(moody.server, "imap", ANN, PASSWORD).startswith(UNAVAILABLE["imap"])
    assert login(moody.server, "imap", "ann@mf.test", PASSWORD).startswith(ACCEPTED["imap"])
    assert not any(one["path"] == "/yes" for one in moody.first.asked)


@pytest.mark.parametrize("mood", ["500", "hangs"])
def test_the_next_service_is_asked(moody: Town, mood: str) -> None:
    both = [moody.first.url, moody.second.url]
    moody.configure(check=[f"{url}/login" for url in both], find=[f"{url}/find" for url in both])
    moody.server.cli("reload")
    try:
        moody.first.mood = mood
        for protocol in PROTOCOLS:
            assert login(moody.server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol])
        moody.second.mood = "503"
        assert rcpt(moody.server, ANN).startswith("451")
    finally:
        moody.first.mood = moody.second.mood = ""
        moody.configure(check=[f"{moody.first.url}/login"], find=[f"{moody.first.url}/find"])
        moody.server.cli("reload")


def test_addresses_may_be_asked_for_by_get(moody: Town) -> None:
    moody.configure(find=[f"{moody.first.url}/by?key=1"], find_method="GET", check=[])
    moody.server.cli("reload")
    try:
        moody.first.asked.clear()
        assert rcpt(moody.server, f"a&b=c%2f@{DOMAIN}").startswith("550")
        assert {"key": "1", "address": f"a&b=c%2f@{DOMAIN}", "path": "/by"} in moody.first.asked
        assert login(moody.server, "pop3", ANN, PASSWORD).startswith(REFUSED["pop3"])
    finally:
        moody.configure(
            check=[f"{moody.first.url}/login"],
            find=[f"{moody.first.url}/find"],
            find_method="POST",
        )
        moody.server.cli("reload")


def test_a_service_that_cannot_prove_who_it_is_is_told_nothing(
    moody: Town, directory: Path
) -> None:
    other = Authority(directory, "Somebody else")
    urls = {"check": [f"{moody.first.url}/login"], "find": [f"{moody.first.url}/find"]}
    moody.configure(**urls, ca_file=str(other.certificate))
    moody.server.cli("reload")
    try:
        moody.first.asked.clear()
        assert login(moody.server, "smtp", ANN, PASSWORD).startswith(UNAVAILABLE["smtp"])
        assert moody.first.asked == []
    finally:
        moody.configure(**urls)
        moody.server.cli("reload")
    assert SECRET not in moody.server.log
    assert PASSWORD not in moody.server.log
