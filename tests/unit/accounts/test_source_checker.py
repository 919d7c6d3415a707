"""A source as a checker: what it is asked, and what its answers become."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.credentials import UsernamePassword
from zope.interface import implementer

from mailframe.accounts.source_checker import SourceChecker
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import IPasswordSource
from tests.unit.accounts.house import House, log_in, now


@implementer(IPasswordSource)
class Source:
    name = "source"
    domains = ("src.test", "xn--bcher-kva.test")

    def __init__(self) -> None:
        self.answer: Any = "ann@src.test"
        self.asked: list[tuple[str, bytes]] = []

    async def find(self, address: Any) -> None:
        return None

    async def check(self, login: str, password: bytes) -> str:
        self.asked.append((login, password))
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


def check(source: Any, login: bytes, password: bytes = b"secret") -> Any:
    return now(SourceChecker(source).requestAvatarId(UsernamePassword(login, password)))


@pytest.mark.parametrize(
    "login",
    [
        "ann@src.test",
        "Ann@SRC.test",
        "ann",
        "OFFICE\\ann",
        "eve@bücher.test",
        "a@b@src.test",
        "%s",
        "'",
    ],
)
def test_it_is_asked_about_its_own_domains_and_bare_names(login: str) -> None:
    source = Source()
    assert check(source, login.encode()) == b"ann@src.test"
    assert source.asked == [(login, b"secret")]


@pytest.mark.parametrize(
    ("login", "password"),
    [
        (b"ann@elsewhere.test", b"x"),
        (b"ann@", b"x"),
        (b"ann@src.test", b""),
        (b"ann@src.test", b"x\0y"),
        (b"ann@src.test", b"x" * 1025),
        (b"", b"x"),
        (b"ann\0", b"x"),
        (b"ann\n@src.test", b"x"),
        (b"\xff", b"x"),
        (b"a" * 321, b"x"),
        (b"ann@" + b"\xcd\x84" * 100, b"x"),
    ],
)
def test_it_is_not_asked_about_what_no_login_can_be(login: bytes, password: bytes) -> None:
    source = Source()
    with pytest.raises(LoginFailed):
        check(source, login, password)
    assert source.asked == []


def test_it_may_have_other_domains_for_logins() -> None:
    source = Source()
    source.login_domains = {"corp.local"}  # type: ignore[attr-defined]
    assert check(source, b"ann@corp.local") == b"ann@src.test"


@pytest.mark.parametrize("account", ["root", "ann@elsewhere.test", "", "a\0@src.test"])
def test_an_account_that_is_not_its_own_is_trouble(account: str) -> None:
    source = Source()
    source.answer = account
    with pytest.raises(TransientFailure) as failed:
        check(source, b"ann@src.test")
    assert str(failed.value.reply).startswith("454 4.7.0")


def test_trouble_is_454_and_a_bug_is_no_wrong_password(house: House) -> None:
    source = Source()
    door = house.door(SourceChecker(source))
    source.answer = TransientFailure(Reply(451, status.DIRECTORY_FAILURE, "down"), "why")
    with pytest.raises(TransientFailure) as failed:
        log_in(door, "ann@src.test", "secret")
    assert failed.value.reply.code == 454
    source.answer = KeyError("a bug")
    with pytest.raises(TransientFailure):
        log_in(door, "ann@src.test", "secret")
