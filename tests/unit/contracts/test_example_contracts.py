"""The examples keep the contracts that ours keep, and are as small as they say."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred

from mailframe.core.envelope import Envelope
from mailframe.interfaces import MxHost
from mailframe.mailbox.mapped import MappedInbox
from mailframe.testing.contracts import (
    AccountSourceContract,
    CheckerContract,
    CourierContract,
    DnsResolverContract,
    EventSinkContract,
    FilterContract,
    FolderContract,
    FoldersContract,
    MailboxContract,
    MailStoreContract,
    PolicyContract,
    RealmContract,
    ResolverContract,
    SpoolContract,
)
from mailframe.testing.contracts.dns_resolver import DOWN, ZONE

EXAMPLES = Path(__file__).resolve().parents[3] / "etc" / "examples"
LONGER = {"dict_folders.py"}  # shows what mailbox.mapped does


def inline(function: Any, *arguments: Any) -> Any:
    """A thread that is none."""
    return maybeDeferred(function, *arguments)


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(EXAMPLES)
    before = set(sys.modules)
    yield
    for name in {path.stem for path in EXAMPLES.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


def example(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_it_is_small(path: Path) -> None:
    if path.name not in LONGER:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


class DictMailbox:
    def realm(self) -> Any:
        return example("dict_mailbox").Realm()


class TestDictRealm(DictMailbox, RealmContract):
    def make(self) -> Any:
        return self.realm()


class TestDictChecker(DictMailbox, CheckerContract):
    def make(self) -> Any:
        return self.realm()


class TestDictResolver(DictMailbox, ResolverContract):
    def make(self) -> Any:
        return self.realm()


class TestDictStore(DictMailbox, MailStoreContract):
    def make(self) -> Any:
        return self.realm()

    def kept(self, store: Any, folder: str = "") -> list[bytes]:
        return list(store.mail[self.account].inbox.contents.values())


class TestDictMailbox(DictMailbox, MailboxContract):
    def make(self, contents: Sequence[bytes]) -> Any:
        self.inbox = self.realm().mail["ann@example.test"].inbox
        for content in contents:
            self.inbox.add(content)
        return MappedInbox(self.inbox)

    def another(self, mailbox: Any) -> Any:
        return MappedInbox(self.inbox)


class TestDictFolder(DictMailbox, FolderContract):
    def make(self, contents: Sequence[bytes]) -> Any:
        inbox = self.realm().mail["ann@example.test"].inbox
        for content in contents:
            inbox.add(content)
        return inbox


class TestDictFolders(DictMailbox, FoldersContract):
    def make(self) -> Any:
        return self.realm().mail["ann@example.test"]


class TestScryptFile(CheckerContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "passwords"
        salt = b"s" * 16
        hashed = example("scrypt_file").hashed(b"secret", salt)
        self.path.write_text(f"ann@example.test:{salt.hex()}:{hashed.hex()}\n")

    def make(self) -> Any:
        return example("scrypt_file").ScryptFile(self.path, inline)

    def make_down(self) -> Any:
        return example("scrypt_file").ScryptFile(self.path / "none", inline)


class TestDeparted(ResolverContract):
    """What it does not know it leaves to the next."""

    unknown = "dan@example.test"

    def make(self) -> Any:
        return example("departed").Departed()

    def test_who_is_known_gets_mail(self) -> None:
        from mailframe.core.address import Address
        from mailframe.core.resolution import Elsewhere, Moved

        cy = self.make().resolve(Address.parse("CY@example.test"))
        assert cy == Moved(Address.parse("cy@elsewhere.example"))
        assert self.make().resolve(Address.parse(self.known)) == Elsewhere()


class TestJsonPeople(AccountSourceContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "people.json"
        ann = {"password": "secret", "aliases": ["sales@example.test"]}
        self.path.write_text(json.dumps({"ann@example.test": ann, "locked@example.test": {}}))

    def make(self) -> Any:
        return example("json_people").JsonPeople(self.path, ["example.test"])

    def make_down(self) -> Any:
        self.path.write_text("{")
        return self.make()

    def test_who_has_no_password_cannot_log_in(self) -> None:
        from mailframe.errors import LoginFailed

        for password in (b"", b"x"):
            self.must_raise(
                LoginFailed,
                lambda password=password: self.make().check("locked@example.test", password),
            )


class TestPartners(PolicyContract):
    def make(self) -> Any:
        return example("partners").Partners(["b.example"])


class TestDropFolder(CourierContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> Any:
        for path in self.folder.iterdir():
            path.unlink()
        return example("drop_folder").DropFolder(str(self.folder), inline)

    def delivered(self, courier: Any) -> list[bytes]:
        return [path.read_bytes() for path in self.folder.glob("*.eml")]

    def contents(self) -> list[bytes]:
        from mailframe.testing.contracts.material import MESSAGES

        return list(MESSAGES)


class TestMemorySpool(SpoolContract):
    def make(self) -> Any:
        return example("memory_spool").MemorySpool()

    def kept(self, spool: Any) -> dict[str, tuple[bytes, Envelope]]:
        return dict(spool.kept)

    def test_no_room(self) -> None:
        from mailframe.errors import TransientFailure

        full = example("memory_spool").MemorySpool(0)
        self.must_raise(TransientFailure, lambda: full.begin("Q1"))
        nearly = example("memory_spool").MemorySpool(10)
        incoming = nearly.begin("Q1")
        self.must_raise(TransientFailure, lambda: incoming.write(b"x" * 11))


class TestWordFilter(FilterContract):
    def make(self) -> Any:
        return example("word_filter").WordFilter()


class TestJsonSteps(EventSinkContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "steps.jsonl"

    def make(self) -> Any:
        return example("json_steps").JsonSteps(self.path, inline)

    def heard(self, sink: Any) -> list[str]:
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]


class TestTableDns(DnsResolverContract):
    def make(self) -> Any:
        def value(kind: str, record: str) -> Any:
            if kind == "MX":
                preference, host = record.split()
                return MxHost(int(preference), host.rstrip("."))
            if kind == "TXT":
                pieces = record.replace('" "', "").strip('"')
                return b"\xff\x00" if "\\" in pieces else pieces.encode()
            return record

        records = {
            (name, kind): [value(kind, record) for record in found]
            for (name, kind), found in ZONE.items()
        }
        records["192.0.2.1", "PTR"] = ["mx1.example.test"]
        return example("table_dns").TableDns(records, [DOWN])
