"""Accounts of this machine by real libpam, with a service and users of the test's own.

``pam_start_confdir`` reads the service from the test's directory; the users are in a private copy
of /etc/passwd, the passwords in a file for pam_pwdfile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from passlib.hash import sha512_crypt

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
from tests.interop.peers.process import loopback_address, privately, wait_until, workdir

PASSWORD, DOMAIN, OTHER = "correct horse 7", "pam.test", "alias.test"
ANN, BOB = f"annpam@{DOMAIN}", f"bobpam@{DOMAIN}"
USERS = (
    "annpam:x:23001:23001::/nonexistent:/bin/false\nbobpam:x:23002:23002::/nonexistent:/bin/false\n"
)


def _need_pam() -> None:
    try:
        _ = ctypes.CDLL("libpam.so.0").pam_start_confdir
    except (OSError, AttributeError):
        pytest.skip("libpam with pam_start_confdir is not installed")
    if not list(Path("/").glob("lib*/**/security/pam_pwdfile.so")) and not list(
        Path("/usr/lib").glob("**/security/pam_pwdfile.so")
    ):
        pytest.skip("pam_pwdfile is not installed (libpam-pwdfile)")


class Machine:
    """mailframe in a private view of /etc/passwd, and a PAM service."""

    def __init__(self, directory: Path) -> None:
        _need_pam()
        self.directory = directory
        self.services = directory / "pam.d"
        self.services.mkdir()
        self.passwords = directory / "passwords"
        users = directory / "passwd"
        users.write_text(Path("/etc/passwd").read_text() + USERS)
        self.server = Mailframe(directory, loopback_address())
        self.server.before = privately({"/etc/passwd": users})
        self.server.configure(auth={"failures_per_ip": 0, "failures_per_account": 0})
        self.server.add_users("ann@mf.test")
        self.server.configure(
            auth={"checkers": ["directory", "pam:machine"]},
            pam={
                "machine": {
                    "service": "mail",
                    "service_directory": str(self.services),
                    "domains": [DOMAIN, OTHER],
                    "cache": "0s",
                    "timeout": "2s",
                    "threads": 2,
                }
            },
        )
        self.set_service()
        self.set_passwords(annpam=PASSWORD, bobpam=PASSWORD, root=PASSWORD, stray=PASSWORD)

    def set_service(self, account: str = "required pam_permit.so", before: str = "") -> None:
        """The account phase, and what comes before the password is looked at."""
        auth = f"auth required pam_pwdfile.so pwdfile={self.passwords}\n"
        (self.services / "mail").write_text(f"{before}{auth}account {account}\n")

    def set_passwords(self, **passwords: str) -> None:
        lines = [
            f"{name}:{sha512_crypt.using(rounds=1000).hash(password)}\n"
            for name, password in passwords.items()
        ]
        self.passwords.write_text("".join(lines))

    def script(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with workdir("pam") as path:
        machine = Machine(path)
        machine.server.start()
        yield machine
        machine.server.stop()
        assert machine.server.tracebacks == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_users_of_the_machine_log_in(machine: Machine, protocol: str) -> None:
    server = machine.server
    for name in (ANN, "annpam", "AnnPam", f"annpam@{OTHER}", "ann@mf.test"):
        assert login(server, protocol, name, PASSWORD).startswith(ACCEPTED[protocol])
    for name, password in (
        (ANN, "wrong"),
        (f"nobody-here@{DOMAIN}", PASSWORD),
        ("root", PASSWORD),
        (f"root@{DOMAIN}", PASSWORD),
        (f"stray@{DOMAIN}", PASSWORD),
        ("annpam@elsewhere.test", PASSWORD),
    ):
        assert login(server, protocol, name, password).startswith(REFUSED[protocol]), name


def test_mail_reaches_them(machine: Machine) -> None:
    for address in (ANN, f"annpam+x@{DOMAIN}", f"annpam@{OTHER}"):
        deliver(machine.server, address, address)
    wait_until(lambda: len(subjects(machine.server.maildir(ANN))) == 3, "ann has her mail")
    for local_part in ("root", "nobody-here", "..", "a/b", "annpam%00"):
        assert rcpt(machine.server, f'"{local_part}"@{DOMAIN}').startswith("550"), local_part
    with machine.server.submission(ANN) as client:
        assert client.mail(f"annpam@{OTHER}")[0] == 250
        client.rset()
        assert client.mail(BOB)[0] == 553


def test_an_account_that_may_not_be_used_is_refused(machine: Machine) -> None:
    expired = machine.script("expired", 'test "$PAM_USER" != bobpam')
    machine.set_service(account=f"required pam_exec.so quiet {expired}")
    try:
        for protocol in PROTOCOLS:
            answer = login(machine.server, protocol, ANN, PASSWORD)
            assert answer.startswith(ACCEPTED[protocol])
            answer = login(machine.server, protocol, BOB, PASSWORD)
            assert not answer.startswith(ACCEPTED[protocol])
    finally:
        machine.set_service()


def test_pam_is_told_the_password_and_the_address(machine: Machine) -> None:
    note = machine.directory / "note"
    telling = machine.script("telling", f'echo "$PAM_USER $PAM_RHOST $PAM_SERVICE" > {note}')
    machine.set_service(account=f"required pam_exec.so quiet {telling}")
    try:
        assert login(machine.server, "imap", ANN, PASSWORD).startswith(ACCEPTED["imap"])
        user, host, service = note.read_text().split()
        assert (user, service) == ("annpam", "mail")
        assert host.startswith("127.")
    finally:
        machine.set_service()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_broken_service_is_no_wrong_password(machine: Machine, protocol: str) -> None:
    machine.set_service(before="auth required pam_no_such_module.so\n")
    try:
        answer = login(machine.server, protocol, ANN, PASSWORD)
        assert answer.startswith(UNAVAILABLE[protocol])
        answer = login(machine.server, protocol, "ann@mf.test", PASSWORD)
        assert answer.startswith(ACCEPTED[protocol])
    finally:
        machine.set_service()


def test_modules_that_hang_hold_up_nobody_else(machine: Machine) -> None:
    slow = machine.script("slow", "sleep 6")
    machine.set_service(before=f"auth optional pam_exec.so quiet {slow}\n")
    try:
        for _ in range(3):  # there are two threads
            assert login(machine.server, "imap", ANN, PASSWORD).startswith(UNAVAILABLE["imap"])
        answer = login(machine.server, "imap", "ann@mf.test", PASSWORD)
        assert answer.startswith(ACCEPTED["imap"])
    finally:
        machine.set_service()
    wait_until(
        lambda: login(machine.server, "imap", ANN, PASSWORD).startswith(ACCEPTED["imap"]),
        "the threads are free again",
        40,
    )


HOSTILE = (
    *("' OR 1=1", "%s", "{}", "../../x", "annpam\x00", "annpam\x00@pam.test", "annpam\nx", "-f"),
    *("a" * 10_000, "άννα", "annpam:x", "annpam@pam.test@pam.test", "", " annpam"),
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(machine: Machine, name: str) -> None:
    for protocol in PROTOCOLS:
        for password in (PASSWORD, "x\x00y", "p" * 10_000, b"\xff\xfe"):
            answer = login(machine.server, protocol, name, password)
            assert not answer.startswith(ACCEPTED[protocol]), answer
    assert login(machine.server, "imap", ANN, PASSWORD).startswith(ACCEPTED["imap"])


def test_a_service_without_a_file_stops_the_start(directory: Path) -> None:
    machine = Machine(directory)
    (machine.services / "mail").unlink()
    done = machine.server.cli_result("config", "check")
    assert done.returncode == 78, done.stdout + done.stderr
    assert "there is no file" in done.stdout + done.stderr
