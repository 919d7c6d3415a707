"""A realm and a rule in files beside mailframe.toml, whatever runs them and from wherever."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import Process, wait_until

REALM = """\
from twisted.cred.portal import IRealm
from zope.interface import implementer
from mailframe.core.resolution import Local
from mailframe.interfaces import IRecipientResolver


@implementer(IRealm, IRecipientResolver)
class {name}:
    domains = ["{domain}"]

    def requestAvatar(self, avatarId, mind, *interfaces):
        raise NotImplementedError

    async def resolve(self, address):
        print("[{name} was asked]", flush=True)
        return Local(f"{{address.local_part}}@{{address.domain}}")
"""
RULE = """\
def {name}(view):
    print("[{name} was asked]", flush=True)
    return 0.5
"""
MESSAGE = "Subject: hello\r\n\r\ntext\r\n"


@pytest.fixture
def server(mailframe: Mailframe, monkeypatch: pytest.MonkeyPatch) -> Mailframe:
    write(mailframe, "Zoo", "wild")
    name(mailframe, "Zoo", "wild")
    elsewhere = mailframe.directory / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return mailframe


def write(server: Mailframe, realm: str, rule: str) -> None:
    (server.directory / "beside_zoo.py").write_text(REALM.format(name=realm, domain="zoo.test"))
    (server.directory / "beside_rules.py").write_text(RULE.format(name=rule))


def name(server: Mailframe, realm: str, rule: str) -> None:
    server.configure(
        realm={"class": f"beside_zoo:{realm}"},
        policy={"order": ["relay", "content"], "content": {"rules": [f"beside_rules:{rule}"]}},
    )


def look(server: Mailframe, realm: str, rule: str) -> None:
    """A message goes through both."""
    with server.smtp() as client:
        client.sendmail("friend@there.test", ["ann@zoo.test"], MESSAGE)
    wait_until(lambda: f"[{realm} was asked]" in server.log, f"{realm} is asked")
    wait_until(lambda: f"[{rule} was asked]" in server.log, f"{rule} is asked")


@pytest.mark.parametrize("workers", [1, 2])
def test_run_and_reload(server: Mailframe, workers: int) -> None:
    server.configure(workers=workers)
    assert "was asked" not in server.cli("config", "check")
    server.start(60)
    look(server, "Zoo", "wild")
    write(server, "Park", "tame")
    name(server, "Park", "tame")
    server.cli("reload")
    look(server, "Park", "tame")
    name(server, "Nobody", "tame")
    refused = server.cli_result("reload")
    assert refused.returncode != 0
    assert "has no 'Nobody'" in refused.stdout + refused.stderr
    look(server, "Park", "tame")


@pytest.mark.parametrize("workers", [1, 2])
def test_twistd(server: Mailframe, workers: int) -> None:
    server.configure(workers=workers)
    log = server.directory / "twistd.log"
    program = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile", ""]
    command = [*program, "mailframe", "--config", str(server.config)]
    process = Process(command, log, env=dict(os.environ))
    try:
        process.wait_for(lambda: "mailframe ready" in log.read_text(), "it is ready", 60)
    finally:
        process.stop(30)


def test_route_and_check(server: Mailframe) -> None:
    assert "ann@zoo.test" in server.cli("route", "ann@zoo.test", "--no-network")
    found = server.cli_result("check", "--no-network")
    assert "no module" not in found.stdout + found.stderr
    assert "beside_zoo:Zoo answers for users" in found.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_wrong_is_told_at_once(server: Mailframe, workers: int) -> None:
    server.configure(workers=workers)
    (server.directory / "beside_zoo.py").write_text("\n1 / 0\n")
    (server.directory / "beside_rules.py").write_text("wild = 3\n")
    process = server.launch()
    try:
        wait_until(lambda: "is no function" in server.log, "the rule is told")
        assert "beside_zoo.py:2): ZeroDivisionError" in server.log
    finally:
        process.stop(30)
