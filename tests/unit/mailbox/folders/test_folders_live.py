"""Folders with the real index behind them: identities, renames, the INBOX's mail, STATUS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailframe.errors import FolderRefused
from mailframe.interfaces import IFolder
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.index.live import LiveFolders
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailbox.folders.house import ANN, BOB, FolderHouse, now


@pytest.fixture
def live(tmp_path: Path) -> Iterator[FolderHouse]:
    house = FolderHouse(tmp_path)
    house.store.live = LiveFolders(
        str(tmp_path),
        Disk(),
        InlineWorkers(),
        events=MailboxEvents(),
        clock=house.clock,
        quotas=house.mail.store.quotas,
        salt=b"test",
        hostname="mx.example.org",
    )
    yield house
    house.store.live.stop()


def opened(house: FolderHouse, name: str, account: str = ANN) -> Any:
    folder = now(house.of(account).folder(name))
    assert IFolder.providedBy(folder)
    now(folder.refresh())
    return folder


def test_the_inbox_of_a_new_account(live: FolderHouse) -> None:
    assert now(live.of().status("inbox")).messages == 0
    assert dict(opened(live, "INBOX").messages) == {}


def test_created_and_opened(live: FolderHouse) -> None:
    mailbox_id = now(live.of().create("Work/Reports"))
    live.mail.deliver(b"one\r\n", "T1", folder="Work/Reports")
    folder = opened(live, "Work/Reports")
    assert (folder.name, folder.mailbox_id, list(folder.messages)) == (
        "Work/Reports",
        mailbox_id,
        [1],
    )
    assert now(live.of().status("Work/Reports")).mailbox_id == mailbox_id


def test_a_folder_of_somebody_else(live: FolderHouse) -> None:
    live.make("x")
    live.share("x", BOB, "lr")
    live.mail.deliver(b"one\r\n", "T1", folder="x")
    folder = opened(live, "Other Users/ann/x", BOB)
    assert (folder.name, folder.rights, len(folder.messages)) == ("Other Users/ann/x", "lr", 1)
    assert folder.mailbox_id == opened(live, "x").mailbox_id


def test_a_rename_keeps_what_clients_know(live: FolderHouse) -> None:
    live.make("a/b")
    live.mail.deliver(b"one\r\n", "T1", folder="a/b")
    folder = opened(live, "a/b")
    known = (folder.mailbox_id, folder.uid_validity, list(folder.messages))
    now(live.of().rename("a", "z"))
    again = opened(live, "z/b")
    assert (again.mailbox_id, again.uid_validity, list(again.messages)) == known
    with pytest.raises(FolderRefused):
        opened(live, "a/b")


def test_uidvalidity_never_goes_back_for_a_name(live: FolderHouse) -> None:
    live.make("eldest")
    eldest = opened(live, "eldest").uid_validity
    live.make("name")
    former = opened(live, "name").uid_validity
    assert former > eldest
    now(live.of().delete("name"))
    now(live.of().rename("eldest", "name"))
    assert opened(live, "name").uid_validity > former
    now(live.of().delete("name"))
    live.make("name")
    assert opened(live, "name").uid_validity > former


def test_what_is_deleted_is_gone_for_good(live: FolderHouse) -> None:
    first = now(live.of().create("x"))
    live.mail.deliver(b"one\r\n", "T1", folder="x")
    opened(live, "x")
    now(live.of().delete("x"))
    assert now(live.of().create("x")) != first
    assert dict(opened(live, "x").messages) == {}


def test_renaming_the_inbox_moves_its_mail(live: FolderHouse) -> None:
    for token in ("T1", "T2"):
        live.mail.deliver(b"mail " + token.encode() + b"\r\n", token)
    live.make("INBOX/child")
    inbox = opened(live, "INBOX")
    told = live.heard(ANN)
    now(live.of().rename("inbox", "Old/2026"))
    assert told == ["Old", "Old/2026"]
    now(inbox.refresh())
    assert dict(inbox.messages) == {}
    assert len(opened(live, "Old/2026").messages) == 2
    assert sorted(live.mail.contents("Old/2026")) == [b"mail T1\r\n", b"mail T2\r\n"]
    assert live.names() == ["INBOX", "INBOX/child", "Old", "Old/2026"]


def test_who_has_it_open_is_held_to_the_new_rights(live: FolderHouse) -> None:
    live.make("x")
    live.share("x", BOB, "lrs")
    theirs, own = opened(live, "Other Users/ann/x", BOB), opened(live, "x")
    live.share("x", BOB, "lr")
    assert theirs.rights == "lr"
    now(live.of().set_acl("x", BOB, ""))
    assert theirs.rights == ""
    assert set(own.rights) >= set("lrswipkxtea")
