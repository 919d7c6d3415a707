"""Two sessions and another program on one folder, in any order: what every session sees is
what a dict says, uids are never another message's, and nothing changes untold."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailframe.core.folders import FlagChange, FlagMode, FolderChange
from mailframe.mailbox.index.folder import IndexedFolder
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, append, now

FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$Work", "$Home"]))
LETTERS = {"\\Seen": "S", "\\Deleted": "T", "\\Flagged": "F"}
NAMES = ("INBOX", "Work")


class Session:
    """What one client would know, by what it is told alone."""

    def __init__(self, folder: IndexedFolder) -> None:
        self.folder = folder
        self.known = dict(folder.messages)
        self.unsubscribe = folder.subscribe(self.told)

    def told(self, change: FolderChange) -> None:
        assert list(change.arrived) == sorted(change.arrived)
        for uid in change.arrived:
            assert uid not in self.known
        for uid in (*change.arrived, *change.changed):
            self.known[uid] = self.folder.messages[uid]
        for uid in change.vanished:
            del self.known[uid]


class IndexMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.indexed = Indexed(House(Path(self.directory.name)))
        self.indexed.make("Work")
        self.number = 0
        # by folder: content by uid, and flags by content
        self.model: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}
        self.flags: dict[tuple[str, int], frozenset[str]] = {}
        self.ever: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}
        self.validity: dict[str, int] = {}
        self.open_all()

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            now(_awaited(self.indexed.live.stop()))
            self.directory.cleanup()

    def open_all(self) -> None:
        self.sessions = {name: [Session(self.indexed.folder(name)) for _ in "ab"] for name in NAMES}
        for name, sessions in self.sessions.items():
            validity = sessions[0].folder.uid_validity
            assert self.validity.setdefault(name, validity) == validity

    def one(self, name: str) -> IndexedFolder:
        return self.sessions[name][0].folder

    def content(self) -> bytes:
        self.number += 1
        return b"Subject: %d\r\n\r\nbody %d\r\n" % (self.number, self.number)

    def pick(self, name: str, data: st.DataObject) -> list[int]:
        uids = sorted(self.model[name])
        return data.draw(st.lists(st.sampled_from(uids), unique=True).map(sorted)) if uids else []

    def arrived(self, name: str, uid: int, content: bytes, flags: frozenset[str]) -> None:
        assert uid not in self.ever[name], "a uid that was another message's"
        assert uid > max(self.ever[name], default=0)
        self.ever[name][uid] = self.model[name][uid] = content
        self.flags[name, uid] = frozenset(flags)  # a set would be shared, and changed in place

    def learn(self, name: str, flags: dict[bytes, frozenset[str]] | None = None) -> None:
        """Take uids of what others brought from the folder."""
        folder = self.one(name)
        now(folder.refresh())
        for uid in folder.messages:
            if uid not in self.model[name]:
                content = now(folder.contents([uid]))[uid]
                self.arrived(name, uid, content, (flags or {}).get(content, frozenset()))

    @rule(name=st.sampled_from(NAMES), flags=FLAGS, number=st.integers(1, 3))
    def append_some(self, name: str, flags: frozenset[str], number: int) -> None:
        contents = [self.content() for _ in range(number)]
        outcome = append(self.one(name), *contents, flags=flags)
        for uid, content in zip(outcome.uids, contents, strict=True):
            self.arrived(name, uid, content, flags)

    @rule(data=st.data(), name=st.sampled_from(NAMES), flags=FLAGS, mode=st.sampled_from(FlagMode))
    def store(self, data: st.DataObject, name: str, flags: frozenset[str], mode: FlagMode) -> None:
        uids = self.pick(name, data)
        outcome = now(self.one(name).store(uids, FlagChange(mode, flags)))
        assert not outcome.gone
        for uid in uids:
            old = self.flags[name, uid]
            new = {FlagMode.ADD: old | flags, FlagMode.REMOVE: old - flags}.get(mode, flags)
            assert (uid in outcome.changed) == (new != old)
            self.flags[name, uid] = new

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def expunge(self, data: st.DataObject, name: str) -> None:
        uids = self.pick(name, data)
        assert list(now(self.one(name).expunge(uids))) == uids
        for uid in uids:
            del self.model[name][uid]

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        into=st.sampled_from(NAMES),
        moves=st.booleans(),
    )
    def transfer(self, data: st.DataObject, name: str, into: str, moves: bool) -> None:
        uids = self.pick(name, data)
        source, other = self.one(name), self.one(into)
        outcome = now(source.move(uids, other) if moves else source.copy(uids, other))
        assert list(outcome.sources) == uids
        for uid, new in zip(outcome.sources, outcome.targets, strict=True):
            self.arrived(into, new, self.model[name][uid], self.flags[name, uid])
        if moves:
            for uid in uids:
                del self.model[name][uid]

    @rule(flags=FLAGS)
    def another_program_delivers(self, flags: frozenset[str]) -> None:
        content = self.content()
        letters = "".join(sorted(LETTERS[flag] for flag in flags & LETTERS.keys()))
        name = f"{1_700_000_000 + self.number}.{self.number}_1.other"
        path = self.indexed.house.maildir / "cur" / f"{name}:2,{letters}"
        path.write_bytes(content.replace(b"\r\n", b"\n"))
        self.learn("INBOX", {content: flags & LETTERS.keys()})

    @rule()
    def a_delivery(self) -> None:
        content = self.content()
        self.indexed.house.deliver(content, f"token {self.number}")
        for session in self.sessions["INBOX"]:
            assert len(session.known) == len(self.model["INBOX"]) + 1, "told at once"
        self.learn("INBOX")

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def another_program_removes_or_marks(self, data: st.DataObject, name: str) -> None:
        folder = self.one(name)
        for uid in self.pick(name, data):
            path = Path(now(_awaited(folder.live.index.read(lambda c, u=uid: _path(c, folder, u)))))
            if data.draw(st.booleans()):
                path.unlink()
                del self.model[name][uid]
            else:
                base, _, info = path.name.partition(":2,")
                letters = "".join(sorted(set(info) ^ {"F"}))
                os.rename(path, folder.live.place.path + f"/cur/{base}:2,{letters}")
                self.flags[name, uid] ^= {"\\Flagged"}
        now(folder.refresh())

    @rule(name=st.sampled_from(NAMES))
    def select(self, name: str) -> None:
        recent = now(self.one(name).claim_recent())
        assert recent.end == self.one(name).uid_next
        assert now(self.one(name).claim_recent()).first == recent.end

    @rule()
    def restart(self) -> None:
        now(_awaited(self.indexed.live.stop()))
        self.indexed.restart()
        self.open_all()

    @invariant()
    def everybody_sees_the_model(self) -> None:
        for name, sessions in getattr(self, "sessions", {}).items():
            for session in sessions:
                messages = session.folder.messages
                assert list(messages) == sorted(self.model[name])
                assert session.known == dict(messages)
                for uid, state in messages.items():
                    assert state.flags == self.flags[name, uid]
                    assert state.size == len(self.model[name][uid])
                    assert state.modseq <= session.folder.highest_modseq
            contents = now(sessions[0].folder.contents(list(self.model[name])))
            assert contents == self.model[name]
            status = now(self.indexed.live.status("ann@example.org", name))
            assert status.messages == len(self.model[name])
            assert status.size == sum(map(len, self.model[name].values()))
            gone = set(now(sessions[0].folder.vanished(0)))
            assert gone == set(self.ever[name]) - set(self.model[name])


def _path(connection: object, folder: IndexedFolder, uid: int) -> str:
    from mailframe.mailbox.index.place import stored_rows

    [row] = stored_rows(connection, folder.live.place.id, [uid])  # type: ignore[arg-type]
    return folder.live.place.file(row.base, row.place)


async def _awaited(deferred: object) -> object:
    return await deferred  # type: ignore[misc]


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
