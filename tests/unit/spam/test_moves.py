"""Who moves mail to and from Junk teaches; who does anything else does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.core.events import (
    MailboxEvent,
    MessageArrived,
    MessagesCopied,
    MessagesMoved,
    MessagesRemoved,
)
from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.interfaces.journal import STEPS
from mailframe.mailbox.events import MailboxEvents
from mailframe.spam.moves import MoveLessons, judgement_of
from tests.unit.spam.spam_world import ANN, EVE, HOST, Filtering, ham, now, spam

JUNK, TRASH, NONE = frozenset({"\\Junk"}), frozenset({"\\Trash"}), frozenset[str]()
ARCHIVE = frozenset({"\\Archive"})
RECEIVED = (
    b"Return-Path: <x@example.com>\r\n"
    b"Received: from a.example (a.example [192.0.2.1]) by mail.example.org with ESMTPS\r\n"
    b" id 7KQ2M4XD for <ann@example.org>; Tue, 01 Jul 2025 10:00:00 +0000\r\n"
)


class Source:
    def __init__(self, octets: bytes, folders: Folders) -> None:
        self.size = len(octets)
        self._octets = octets
        self._folders = folders
        folders.open_sources += 1

    async def read(self, octets: int) -> bytes:
        if self._folders.held is not None:
            await self._folders.held
        if self._folders.breaks:
            raise MessageGone("it broke off")
        piece, self._octets = self._octets[:octets], self._octets[octets:]
        self._folders.octets_read += len(piece)
        return piece

    def close(self) -> None:
        self._folders.open_sources -= 1


class Folders:
    """By account and name: uids and their messages."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, str], dict[int, bytes]] = {}
        self.held: Deferred[None] | None = None
        self.breaks = False
        self.open_sources = 0
        self.octets_read = 0
        self.opened: list[tuple[str, str]] = []

    async def open(self, account: str, name: str) -> Any:
        self.opened.append((account, name))
        if (account, name) not in self.messages:
            raise FolderRefused(FolderReason.NONEXISTENT, "no such folder")
        return Folder(self, self.messages[account, name])


class Folder:
    def __init__(self, folders: Folders, messages: dict[int, bytes]) -> None:
        self._folders = folders
        self._messages = messages

    async def open(self, uid: int) -> Source:
        if uid not in self._messages:
            raise MessageGone("it is gone")
        return Source(self._messages[uid], self._folders)


class Journal:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str, str, dict[str, Any]]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        assert step in STEPS
        self.steps.append((id, step, result, detail))


class World:
    def __init__(self, path: str) -> None:
        self.filtering = Filtering(path)
        self.events = MailboxEvents()
        self.folders = Folders()
        self.journal = Journal()

    def moves(self, **settings: Any) -> MoveLessons:
        made = MoveLessons(
            self.filtering.filter, self.events, self.folders.open, self.journal,
            hostname=HOST, **settings,
        )  # fmt: skip
        made.start()
        return made

    def put(self, name: str, *messages: bytes, account: str = ANN) -> tuple[int, ...]:
        folder = self.folders.messages.setdefault((account, name), {})
        uids = tuple(range(len(folder) + 1, len(folder) + len(messages) + 1))
        folder.update(zip(uids, messages, strict=True))
        return uids

    def move(
        self, uids: tuple[int, ...], source: frozenset[str], target: str, use: frozenset[str],
        *, account: str = ANN, kind: Any = MessagesMoved,
    ) -> None:  # fmt: skip
        self.events.publish(kind(account, "", target, uids, source, use))

    def label(self, message: bytes, scope: str = ANN) -> bool | None:
        return now(self.filtering.filter.label(message, scope))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(str(tmp_path / "spam.db"))
    yield made
    made.filtering.close()


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (NONE, JUNK, True),
        (ARCHIVE, JUNK, True),
        (TRASH, JUNK, True),
        (NONE, frozenset({"\\JUNK"}), True),
        (JUNK, NONE, False),
        (JUNK, ARCHIVE, False),
        (JUNK, TRASH, None),
        (JUNK, JUNK, None),
        (NONE, TRASH, None),
        (NONE, NONE, None),
        (NONE, ARCHIVE, None),
    ],
)
def test_what_a_move_says(
    source: frozenset[str], target: frozenset[str], says: bool | None
) -> None:
    assert judgement_of(source, target) is says


@pytest.mark.parametrize("kind", [MessagesMoved, MessagesCopied])
def test_into_junk_and_out_again(world: World, kind: Any) -> None:
    world.moves()
    world.move(world.put("Junk", spam(1), spam(2)), NONE, "Junk", JUNK, kind=kind)
    assert world.label(spam(1)) is True
    assert world.label(spam(2)) is True
    world.move(world.put("INBOX", spam(2)), JUNK, "", NONE, kind=kind)
    assert world.label(spam(2)) is False
    assert world.folders.opened == [(ANN, "Junk"), (ANN, "INBOX")]
    assert world.folders.open_sources == 0


def test_each_lesson_is_in_the_journal(world: World) -> None:
    world.moves()
    uids = world.put("Junk", RECEIVED + spam(1), spam(2))
    world.move(uids, NONE, "Junk", JUNK)
    world.move(uids, NONE, "Junk", JUNK)  # teaches nothing new
    assert world.journal.steps == [
        ("7KQ2M4XD", "learn", "spam",
         {"account": ANN, "message_id": "<1.Cheap@example.com>", "reason": "move"}),
        (ANN, "learn", "spam",
         {"account": ANN, "message_id": "<2.Cheap@example.com>", "reason": "move"}),
    ]  # fmt: skip


def test_what_is_judged_as_it_came_is_learnt_as_it_came(world: World) -> None:
    world.filtering.learn(spam(1), ANN, True)
    world.moves()
    world.move(world.put("INBOX", RECEIVED + spam(1)), JUNK, "", NONE)
    assert world.label(spam(1)) is False
    (counts,) = now(world.filtering.filter.counts(ANN))
    assert (counts.hams, counts.spams) == (1, 0)


@pytest.mark.parametrize(
    "event",
    [
        MessageArrived(ANN, "Junk", "1", "", 1),
        MessagesRemoved(ANN, "Junk", ("1",)),
        MessagesMoved(ANN, "", "Junk", (), NONE, JUNK),
        MessagesMoved(ANN, "Junk", "Trash", (1,), JUNK, TRASH),
        MessagesMoved(ANN, "", "Junk", (1,), NONE, NONE),
    ],
)
def test_other_events_teach_nothing(world: World, event: MailboxEvent) -> None:
    world.moves()
    world.put("Junk", spam(1))
    world.put("Trash", spam(1))
    world.events.publish(event)
    assert world.folders.opened == []
    assert now(world.filtering.filter.counts()) == []


def test_what_went_on_meanwhile_teaches_nothing(world: World) -> None:
    world.moves()
    world.put("Junk", spam(1))
    world.move((7, 1, 8), NONE, "Junk", JUNK)
    assert world.label(spam(1)) is True
    assert world.filtering.filter is not None
    assert len(world.journal.steps) == 1
    world.folders.breaks = True
    world.move(world.put("Junk", spam(2)), NONE, "Junk", JUNK)
    assert world.label(spam(2)) is None
    assert world.folders.open_sources == 0


@pytest.mark.parametrize("error", [FolderRefused(FolderReason.NONEXISTENT, ""), OSError("disk")])
def test_trouble_with_one_move_does_not_stop_the_next(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.moves()

    async def trouble(self: Folder, uid: int) -> Source:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Folder, "open", trouble)
        world.move(world.put("Junk", spam(1)), NONE, "Junk", JUNK)
    world.move((1,), NONE, "Nowhere", JUNK)
    world.move(world.put("Junk", spam(2)), NONE, "Junk", JUNK)
    assert world.label(spam(1)) is None
    assert world.label(spam(2)) is True


def test_a_filter_that_cannot_learn_costs_the_lesson_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.moves()

    async def full(*args: Any) -> bool:
        raise TransientFailure(Any, "full")  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(world.filtering.filter, "learn", full)
        world.move(world.put("Junk", spam(1)), NONE, "Junk", JUNK)
    assert world.journal.steps == []
    world.move((1,), NONE, "Junk", JUNK)
    assert world.label(spam(1)) is True


def test_of_one_move_so_many_are_learnt(world: World) -> None:
    world.moves(most=3)
    world.move(world.put("Junk", *map(spam, range(10))), NONE, "Junk", JUNK)
    assert [world.label(spam(n)) for n in range(5)] == [True, True, True, None, None]


def test_so_many_wait_and_no_more(world: World) -> None:
    world.moves(most=5, backlog=8)
    world.folders.held = held = Deferred()
    uids = world.put("Junk", *map(spam, range(20)))
    for at in range(0, 20, 4):
        world.move(uids[at : at + 4], NONE, "Junk", JUNK)
    assert now(world.filtering.filter.counts()) == []
    world.folders.held = None
    held.callback(None)
    assert [world.label(spam(n)) for n in (0, 7, 8, 19)] == [True, True, None, None]
    # and when they are done there is room again
    world.move(uids[16:], NONE, "Junk", JUNK)
    assert world.label(spam(19)) is True


def test_long_messages_are_read_in_part(world: World) -> None:
    world.moves(max_size=100_000)
    world.move(world.put("Junk", spam(1) + b"x" * 1_000_000), NONE, "Junk", JUNK)
    assert world.folders.octets_read == 100_000
    assert len(world.journal.steps) == 1


def test_stopped_it_learns_no_more_and_starts_again(world: World) -> None:
    moves = world.moves()
    world.folders.held = Deferred()
    uids = world.put("Junk", *map(spam, range(3)))
    world.move(uids[:1], NONE, "Junk", JUNK)
    world.move(uids[1:2], NONE, "Junk", JUNK)
    now(moves.stop())
    world.folders.held = None
    world.move(uids[2:], NONE, "Junk", JUNK)
    assert now(world.filtering.filter.counts()) == []
    assert world.folders.open_sources == 0
    moves.start()
    moves.start()
    world.move(uids[:1], NONE, "Junk", JUNK)
    assert len(world.journal.steps) == 1
    now(moves.stop())


def test_accounts_teach_themselves(world: World) -> None:
    world.filtering.share.update({"example.org": "user", "example.net": "user"})
    world.moves()
    world.move(world.put("Junk", spam(1), account=EVE), NONE, "Junk", JUNK, account=EVE)
    world.move(world.put("INBOX", ham(1)), JUNK, "", NONE)
    assert world.label(spam(1), EVE) is True
    assert world.label(spam(1)) is None
    assert world.label(ham(1)) is False
