"""The example with folders, as a user of mailframe would have it: POP3 and IMAP on one INBOX."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.custom import RealmParts, load_realm, parts_of_realm
from mailframe.accounts.throttle import LoginThrottle
from mailframe.core.address import Address
from mailframe.core.folders import FlagChange, FlagMode, FolderChange, FolderInfo, StoreOutcome
from mailframe.errors import FolderRefused, MessageGone
from mailframe.interfaces import IFolder, IFolderAccount, IFolders, IMailbox, IMessageSource
from mailframe.runtime.workers import InlineWorkers
from tests.unit.accounts.house import log_in, now
from tests.unit.accounts.stored import Stored

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "examples"
ANN = "ann@example.test"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealmParts]:
    monkeypatch.syspath_prepend(EXAMPLES)
    yield parts_of_realm(load_realm("dict_folders:Realm"), InlineWorkers())
    for name in ("dict_folders", "dict_realm"):
        sys.modules.pop(name)


@pytest.fixture
def account(parts: RealmParts) -> IFolderAccount:
    door = Authenticator(parts.realm, [parts.checker], LoginThrottle(Clock()), secret=b"s" * 32)
    found = log_in(door, ANN, "secret")
    assert IFolderAccount.providedBy(found)
    return found  # type: ignore[return-value]


def deliver(parts: RealmParts, content: bytes) -> None:
    now(parts.store.deliver(ANN, "", Stored(content), b"", "Q1/1", False))


def test_it_is_small() -> None:
    assert len((EXAMPLES / "dict_folders.py").read_text().splitlines()) <= 155


def test_its_interfaces(account: IFolderAccount) -> None:
    verifyObject(IFolderAccount, account)
    verifyObject(IFolders, account.folders())
    verifyObject(IFolder, now(account.folders().folder("inbox")))
    verifyObject(IMailbox, account.inbox())
    assert account.owns(Address.parse("Ann@example.test"))


def test_one_inbox_and_no_more(account: IFolderAccount) -> None:
    folders = account.folders()
    assert now(folders.all()) == [FolderInfo("INBOX", subscribed=True, rights="lrswte")]
    for attempt in (folders.folder, folders.create, folders.delete):
        with pytest.raises(FolderRefused):
            now(attempt("Work"))


def test_a_message_and_what_becomes_of_it(parts: RealmParts, account: IFolderAccount) -> None:
    folder = now(account.folders().folder("INBOX"))
    heard: list[FolderChange] = []
    silence = folder.subscribe(heard.append)
    deliver(parts, b"Subject: one\r\n\r\nfirst\r\n")
    deliver(parts, b"Subject: two\r\n\r\nsecond\r\n")
    assert [list(change.arrived) for change in heard] == [[1], [2]]
    assert list(folder.messages) == [1, 2]
    source = now(folder.open(1))
    verifyObject(IMessageSource, source)
    assert source.size == folder.messages[1].size == 23
    assert now(source.read(100)).endswith(b"first\r\n")
    source.close()

    seen = FlagChange(FlagMode.ADD, frozenset({"\\Seen"}))
    before = folder.highest_modseq
    assert now(folder.store([1, 3], seen)) == StoreOutcome([1], [], [3])
    assert folder.messages[1].modseq == folder.highest_modseq > before
    assert now(folder.store([1, 2], seen, before)) == StoreOutcome([2], [1], [])
    assert heard[-1] == FolderChange(changed=[2], highest_modseq=folder.highest_modseq)

    inbox = account.inbox()
    assert [info.uid for info in now(inbox.messages())] == ["1", "2"]
    assert now(inbox.remove(["1"])) == frozenset()
    assert heard[-1].vanished == [1]
    assert list(folder.messages) == [2]
    with pytest.raises(MessageGone):
        now(folder.open(1))
    silence()
    assert now(folder.expunge([1, 2])) == [2]
    assert heard[-1].vanished == [1]
    assert folder.uid_next == 3
