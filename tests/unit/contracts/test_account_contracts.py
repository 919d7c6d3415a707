"""Checkers, realm, resolver and sources of accounts of ours keep the contracts."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailframe.accounts.names import login_key
from mailframe.accounts.realm import DirectoryRealm
from mailframe.runtime.workers import InlineWorkers
from mailframe.sources.rotation import Rotation
from mailframe.sources.sql.source import Queries, SqlSource
from mailframe.sources.sql.sqlite import SqliteFile
from mailframe.testing.contracts import (
    AccountSourceContract,
    CheckerContract,
    RealmContract,
    ResolverContract,
)
from tests.unit.accounts.house import House
from tests.unit.mailbox.folders.house import FolderHouse


class OfDirectory:
    @pytest.fixture(autouse=True)
    def _house(self, tmp_path: Path) -> Any:
        self.house = House(tmp_path)
        self.house.admin.add_domain("example.test")
        self.house.admin.add_user("ann@example.test", "secret")
        yield
        self.house.close()


class TestDirectoryChecker(OfDirectory, CheckerContract):
    def make(self) -> Any:
        return self.house.checker


class TestDirectoryRealm(OfDirectory, RealmContract):
    @pytest.fixture(autouse=True)
    def _mail(self, tmp_path: Path) -> None:
        self.mail = FolderHouse(tmp_path)

    def make(self) -> Any:
        return DirectoryRealm(
            self.house.directory,
            lambda account: self.mail.mail.store.mailbox(account, ""),
            self.mail.of,
            self.house.resolver(),
            default_domain="example.test",
        )


class TestDirectoryResolver(OfDirectory, ResolverContract):
    def make(self) -> Any:
        return self.house.resolver()


async def check_hash(account: str, stored: str | None, password: bytes) -> bool:
    return stored is not None and stored.encode() == password


class TestSqlSource(AccountSourceContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "users.db"
        with sqlite3.connect(self.path) as connection:
            connection.execute("CREATE TABLE users (account TEXT, password TEXT)")
            connection.execute("INSERT INTO users VALUES ('ann@example.test', 'secret')")
        connection.close()

    def make(self) -> Any:
        return self._source(str(self.path))

    def make_down(self) -> Any:
        return self._source(str(self.path) + ".none")

    def _source(self, path: str) -> SqlSource:
        server = SqliteFile(
            path, workers=InlineWorkers(), clock=Clock(), connections=1, timeout=5.0
        )
        self.at_end(server.close)  # type: ignore[attr-defined]
        return SqlSource(
            "sql:test",
            Queries(
                find="SELECT account FROM users WHERE account = :address",
                password="SELECT account, password FROM users WHERE account = :login",
            ),
            Rotation("sql:test", [server], Clock()),
            domains=["example.test"],
            check_hash=check_hash,
            name_of=lambda login: login_key(login, "example.test"),
        )
