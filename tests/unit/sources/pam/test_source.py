"""Users of the machine, with a libpam and a user database that are told what to say."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.runtime.workers import InlineWorkers
from mailframe.sources.pam.libpam import PamRefused, PamTrouble, Phase
from mailframe.sources.pam.source import PamSource
from mailframe.sources.pam.users import SystemUser, UsersUnknown, system_user
from tests.unit.accounts.house import now

USERS = {"ann": SystemUser("ann", 1000), "root": SystemUser("root", 0)}
USERS["nobody"] = SystemUser("nobody", 65534)


class Library:
    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, str]] = []
        self.error: Exception | None = None
        self.called = ""

    def check(self, user: str, password: bytes, remote_host: str = "") -> str:
        self.asked.append((user, password, remote_host))
        if self.error is not None:
            raise self.error
        return self.called or user


def users(name: str) -> SystemUser | None:
    if name == "broken":
        raise UsersUnknown("no server")
    return USERS.get(name)


def source_of(library: Any = None, **settings: Any) -> PamSource:
    domains = ["one.test", "two.test"]
    run = InlineWorkers().run
    return PamSource(
        "pam:x", library or Library(), Clock(), run, domains=domains, users=users, **settings
    )


def test_a_user_has_an_address_in_each_domain_and_one_account() -> None:
    for domain in ("one.test", "two.test"):
        entry = now(source_of().find(Address("ann", domain)))
        assert entry.account == "ann@one.test"
        assert list(map(str, entry.addresses)) == ["ann@one.test", "ann@two.test"]


def test_nobody_and_the_systems_own_have_no_mailbox() -> None:
    for name in (
        "nobody-here",
        "root",
        "nobody",
        "..",
        "a/b",
        "ann\0",
        "-f",
        "a" * 33,
        "",
        "ann:x",
        "άννα",
    ):
        assert now(source_of().find(Address(name, "one.test"))) is None, name
    assert now(source_of(finds=False).find(Address("ann", "one.test"))) is None


def test_a_database_that_is_down_is_no_nobody() -> None:
    with pytest.raises(TransientFailure):
        now(source_of().find(Address("broken", "one.test")))


@pytest.mark.parametrize("login", ["ann", "ANN", "ann@one.test", "ann@TWO.test"])
def test_a_login(login: str) -> None:
    library = Library()
    assert now(source_of(library).check(login, b"x")) == "ann@one.test"
    assert library.asked == [("ann", b"x", "")]


@pytest.mark.parametrize(
    ("login", "password"),
    [("ann", b""), ("ann", b"x\0"), ("ann@far.test", b"x"), ("../ann", b"x"), ("-f", b"x"),
     ("root", b"x"), ("ann@one.test@one.test", b"x")],
)  # fmt: skip
def test_what_pam_is_not_asked(login: str, password: bytes) -> None:
    library = Library()
    with pytest.raises(LoginFailed):
        now(source_of(library).check(login, password))
    assert library.asked == []


def test_refusals_and_trouble() -> None:
    library = Library()
    library.error = PamRefused(Phase.ACCOUNT, "the account has expired")
    with pytest.raises(LoginFailed):
        now(source_of(library).check("ann", b"x"))
    library.error = PamTrouble("no module")
    with pytest.raises(TransientFailure):
        now(source_of(library).check("ann", b"x"))


def test_whom_pam_calls_otherwise_or_only_pam_knows_is_nobody() -> None:
    library = Library()
    with pytest.raises(LoginFailed):
        now(source_of(library).check("stranger", b"x"))
    library.called = "root"
    with pytest.raises(LoginFailed):
        now(source_of(library).check("ann", b"x"))


def test_the_real_user_database() -> None:
    assert system_user("root") == SystemUser("root", 0)
    assert system_user("no-such-user-here") is None


def test_nobody_cannot_log_in_whatever_pam_says() -> None:
    library = Library()
    for login in ("nobody@one.test", "nobody", "root"):
        with pytest.raises(LoginFailed):
            now(source_of(library).check(login, b"x"))
    assert library.asked == []
