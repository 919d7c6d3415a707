"""A mapping as a mailbox: the contracts, and what they leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mailframe.core.address import Address
from mailframe.core.folders import FolderReason
from mailframe.core.search import SearchKey
from mailframe.errors import FolderRefused
from mailframe.interfaces import IFolder, IFolderAccount, IMailbox, ISearching
from mailframe.mailbox.mapped import MappedAccount, MappedFolder, MappedFolders, MappedInbox
from mailframe.mailbox.mapped import appending as appending_module
from mailframe.mailbox.mapped import folders as folders_module
from mailframe.runtime.aio import as_deferred, fired
from mailframe.testing.contracts import FolderContract, FoldersContract, MailboxContract
from mailframe.testing.contracts.material import SHORT

NOW = 1_750_000_000.5


def seconds() -> float:
    return NOW


class Searching(MappedFolder):
    async def search(self, key: SearchKey) -> Sequence[int]:
        return [uid for uid in self.messages if self.matches(uid, key)]


def filled(folder: MappedFolder, contents: Sequence[bytes]) -> MappedFolder:
    for content in contents:
        folder.add(content)
    return folder


class TestMappedFolder(FolderContract):
    def make(self, contents: Sequence[bytes]) -> Any:
        return filled(MappedFolder(seconds=seconds), contents)


class TestSearchingFolder(FolderContract):
    def make(self, contents: Sequence[bytes]) -> Any:
        return Searching(dict(enumerate(contents, 1)), seconds=seconds)


class TestMappedInbox(MailboxContract):
    def make(self, contents: Sequence[bytes]) -> Any:
        self.folder = filled(MappedFolder(seconds=seconds), contents)
        return MappedInbox(self.folder)

    def another(self, mailbox: Any) -> Any:
        return MappedInbox(self.folder)


class TestMappedFolders(FoldersContract):
    def make(self) -> Any:
        return MappedFolders(MappedFolder, seconds=seconds)


def now(coroutine: Any) -> Any:
    return fired(as_deferred(coroutine))


def test_a_class_that_searches_says_so_and_another_does_not() -> None:
    assert ISearching.implementedBy(Searching)
    assert not ISearching.implementedBy(MappedFolder)
    without = type("Without", (MappedFolder,), {})
    assert not ISearching.implementedBy(without)
    derived = type("Derived", (Searching,), {})
    assert ISearching.implementedBy(derived)
    assert IFolder.implementedBy(derived)


def test_the_account() -> None:
    folders = MappedFolders(Searching, seconds=seconds)
    account = MappedAccount("ann@a.test", folders, ["sales@a.test"])
    assert IFolderAccount.providedBy(account)
    assert account.folders() is folders
    assert IMailbox.providedBy(account.inbox())
    assert account.owns(Address.parse("Ann@a.test"))
    assert account.owns(Address.parse("sales@a.test"))
    assert not account.owns(Address.parse("bob@a.test"))
    account.logout()


def test_states_that_last_are_taken_over() -> None:
    first = filled(MappedFolder(seconds=seconds), [SHORT, SHORT])
    again = MappedFolder(
        first.contents, states=first.messages, seconds=seconds, uid_validity=first.uid_validity
    )
    assert again.messages == first.messages
    assert (again.uid_next, again.highest_modseq, again.mailbox_id) == (
        first.uid_next,
        first.highest_modseq,
        first.mailbox_id,
    )


def test_pop3_clients_see_another_mailbox_under_an_old_name() -> None:
    old = MappedInbox(filled(MappedFolder(seconds=seconds, uid_validity=1), [SHORT]))
    new = MappedInbox(filled(MappedFolder(seconds=seconds, uid_validity=2), [SHORT]))
    assert now(old.messages())[0].uid != now(new.messages())[0].uid


def test_flags_are_compared_without_case() -> None:
    folder = MappedFolder(seconds=seconds)
    uid = folder.add(SHORT, ["\\seen", "$Work"])
    assert folder.messages[uid].flags == {"\\Seen", "$Work"}


def test_a_listener_that_fails_is_no_other_s_trouble() -> None:
    folder = MappedFolder(seconds=seconds)
    heard: list[object] = []

    def failing(change: object) -> None:
        raise RuntimeError("no")

    folder.subscribe(failing)
    folder.subscribe(heard.append)
    folder.add(SHORT)
    assert len(heard) == 1


def test_what_one_append_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending_module, "MAX_OCTETS", 100)
    folder = MappedFolder(seconds=seconds)
    receiving = folder.receive()
    from mailframe.core.folders import NewMessage

    with pytest.raises(FolderRefused):
        now(receiving.begin(NewMessage(), 101))
    now(receiving.begin(NewMessage(), None))
    now(receiving.write(b"x" * 100))
    with pytest.raises(FolderRefused):
        now(receiving.write(b"x"))


def test_how_many_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "MAX_FOLDERS", 3)
    folders = MappedFolders(MappedFolder, seconds=seconds)
    now(folders.create("a/b"))
    for attempt in (folders.create("c"), folders.create("d/e")):
        with pytest.raises(FolderRefused) as refused:
            now(attempt)
        assert refused.value.reason is FolderReason.LIMIT
