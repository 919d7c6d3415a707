"""A directory in a temporary file with everything around it, synchronous."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.directory import Directory
from mailframe.accounts.directory_checker import DirectoryChecker
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.realm import DirectoryRealm
from mailframe.accounts.resolver import DirectoryResolver
from mailframe.accounts.schema import MIGRATIONS
from mailframe.accounts.throttle import LoginThrottle
from mailframe.core.address import Address
from mailframe.core.session import Role, Session
from mailframe.interfaces import IMailAccount
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers


def now(value: Any) -> Any:
    """The result of a Deferred or coroutine that needs nobody else to finish."""
    deferred = value if isinstance(value, Deferred) else Deferred.fromCoroutine(value)
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it is still waiting"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


class House:
    """Directory, checker, realm and door, as the wiring connects them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.clock = Clock()
        self.workers = InlineWorkers()
        counter = itertools.count(1)
        self.token_bytes: Callable[[int], bytes] = lambda n: bytes([next(counter) % 256]) * n
        self.database = Database(str(base / "directory.db"), MIGRATIONS, None)
        self.database.open()
        self.directory = Directory(self.database, self.token_bytes)
        self.passwords = Passwords(self.workers, self.clock, b"k" * 32)
        self.checker = DirectoryChecker(
            self.directory, self.passwords, default_domain="example.test"
        )
        self._other = Database(str(base / "directory.db"), MIGRATIONS, None)
        self._other.open()
        self.admin = DirectoryAdmin(self._other, self.clock.seconds, self.token_bytes)
        self.opened: list[str] = []

    def close(self) -> None:
        self.database.close()
        self._other.close()

    def resolver(self, *files: Any, **settings: Any) -> DirectoryResolver:
        settings.setdefault("hostname", "mx.host.test")
        return DirectoryResolver(self.directory, files, **settings)

    def resolve(self, address: str | Address, **settings: Any) -> Any:
        parsed = Address.parse(address) if isinstance(address, str) else address
        return now(self.resolver(**settings).resolve(parsed))

    def realm(self, *files: Any) -> DirectoryRealm:
        return DirectoryRealm(
            self.directory,
            self.opened.append,  # type: ignore[arg-type]
            lambda account: f"folders of {account}",  # type: ignore[arg-type,return-value]
            self.resolver(*files),
            files=files,
            default_domain="example.test",
        )

    def door(self, *checkers: Any, realm: Any = None, **settings: Any) -> Authenticator:
        return Authenticator(
            realm or self.realm(),
            checkers or [self.checker],
            LoginThrottle(self.clock, **settings),
            secret=b"s" * 32,
            default_domain="example.test",
        )


def session(ip: str = "192.0.2.7") -> Session:
    return Session("S1", Role.SUBMISSION, "submission", ip)


def log_in(
    door: Authenticator, login: bytes | str, password: bytes | str, ip: str = "192.0.2.7"
) -> IMailAccount:
    login = login.encode() if isinstance(login, str) else login
    password = password.encode() if isinstance(password, str) else password
    account: IMailAccount = now(door.login(UsernamePassword(login, password), session(ip)))
    return account


def cheap_hash(password: bytes) -> str:
    return "$argon2id$cheap" + password.hex()
