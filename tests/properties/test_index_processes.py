"""Two processes on one account, in any order, each acting on what it has seen so far: both see
what a dict says as soon as they look, uids are never another message's, mod-sequences never go
back, and nothing changes untold."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailframe.core.folders import FlagChange, FlagMode, Recent
from mailframe.mailbox.index.folder import IndexedFolder
from tests.properties.test_index_model import FLAGS, NAMES, Session
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, append, now

SIDES = st.sampled_from((0, 1))
FOLDERS = st.sampled_from(NAMES)


class TwoProcesses(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        base = Path(self.directory.name)
        self.sides = [Indexed(House(base)), Indexed(House(base))]
        self.sides[0].make("Work")
        self.sessions = [
            {name: Session(side.folder(name)) for name in NAMES} for side in self.sides
        ]
        self.number = 0
        self.contents: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}
        self.flags: dict[str, dict[int, frozenset[str]]] = {name: {} for name in NAMES}
        self.ever: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}
        self.modseqs = dict.fromkeys(NAMES, 0)
        self.recent: dict[str, list[Recent]] = {name: [] for name in NAMES}

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            for side in self.sides:
                side.live.indexes.close()
            self.directory.cleanup()

    def content(self) -> bytes:
        self.number += 1
        return b"Subject: %d\r\n\r\nbody %d\r\n" % (self.number, self.number)

    def folder(self, side: int, name: str) -> IndexedFolder:
        return self.sessions[side][name].folder

    def pick(self, side: int, name: str, data: st.DataObject) -> list[int]:
        """Of what that side knows, which may be old."""
        uids = sorted(self.folder(side, name).messages)
        if not uids:
            return []
        some = st.lists(st.sampled_from(uids), unique=True, min_size=1, max_size=4)
        return sorted(data.draw(some))

    def arrived(self, name: str, uid: int, content: bytes, flags: frozenset[str]) -> None:
        assert uid > max(self.ever[name], default=0), "a uid that was another message's"
        self.ever[name][uid] = self.contents[name][uid] = content
        self.flags[name][uid] = frozenset(flags)

    def left(self, name: str, uid: int) -> None:
        del self.contents[name][uid], self.flags[name][uid]

    @rule(side=SIDES, name=FOLDERS, flags=FLAGS, number=st.integers(1, 3))
    def append_some(self, side: int, name: str, flags: frozenset[str], number: int) -> None:
        contents = [self.content() for _ in range(number)]
        outcome = append(self.folder(side, name), *contents, flags=flags)
        for uid, content in zip(outcome.uids, contents, strict=True):
            self.arrived(name, uid, content, flags)

    @rule(data=st.data(), side=SIDES, name=FOLDERS, flags=FLAGS, mode=st.sampled_from(FlagMode))
    def store(
        self, data: st.DataObject, side: int, name: str, flags: frozenset[str], mode: FlagMode
    ) -> None:
        uids = self.pick(side, name, data)
        outcome = now(self.folder(side, name).store(uids, FlagChange(mode, flags)))
        assert list(outcome.gone) == [uid for uid in uids if uid not in self.contents[name]]
        for uid in set(uids).difference(outcome.gone):
            old = self.flags[name][uid]
            new = {FlagMode.ADD: old | flags, FlagMode.REMOVE: old - flags}.get(mode, flags)
            assert (uid in outcome.changed) == (new != old)
            self.flags[name][uid] = frozenset(new)

    @rule(data=st.data(), side=SIDES, name=FOLDERS)
    def store_unchanged_since(self, data: st.DataObject, side: int, name: str) -> None:
        folder = self.folder(side, name)
        uids, since = self.pick(side, name, data), folder.highest_modseq
        seen = {uid: folder.messages[uid].flags for uid in uids}
        change = FlagChange(FlagMode.ADD, frozenset(["\\Answered"]))
        outcome = now(folder.store(uids, change, since))
        for uid in outcome.changed:
            assert self.flags[name][uid] == seen[uid], "another process changed it before"
            self.flags[name][uid] |= {"\\Answered"}

    @rule(data=st.data(), side=SIDES, name=FOLDERS)
    def expunge(self, data: st.DataObject, side: int, name: str) -> None:
        uids = self.pick(side, name, data)
        assert list(now(self.folder(side, name).expunge(uids))) == uids
        for uid in uids:
            if uid in self.contents[name]:
                self.left(name, uid)

    @rule(data=st.data(), side=SIDES, name=FOLDERS, into=FOLDERS, moves=st.booleans())
    def transfer(self, data: st.DataObject, side: int, name: str, into: str, moves: bool) -> None:
        uids = self.pick(side, name, data)
        source, other = self.folder(side, name), self.folder(side, into)
        outcome = now(source.move(uids, other) if moves else source.copy(uids, other))
        assert list(outcome.sources) == [uid for uid in uids if uid in self.contents[name]]
        for uid, new in zip(outcome.sources, outcome.targets, strict=True):
            self.arrived(into, new, self.contents[name][uid], self.flags[name][uid])
        for uid in outcome.sources if moves else ():
            self.left(name, uid)

    @rule(side=SIDES)
    def a_delivery(self, side: int) -> None:
        content = self.content()
        self.sides[side].house.clock.advance(1)
        self.sides[side].house.deliver(content, f"token {self.number}")
        folder = self.folder(side, "INBOX")
        now(folder.refresh())
        uid = max(folder.messages)
        assert now(folder.contents([uid]))[uid] == content
        self.arrived("INBOX", uid, content, frozenset())

    @rule(side=SIDES, name=FOLDERS)
    def claim_recent(self, side: int, name: str) -> None:
        recent = now(self.folder(side, name).claim_recent())
        if recent.first != recent.end:
            assert all(recent.first >= other.end for other in self.recent[name])
            self.recent[name].append(recent)

    @rule(side=SIDES, name=FOLDERS)
    def look(self, side: int, name: str) -> None:
        self.check(side, name)

    @rule(side=SIDES, name=FOLDERS)
    def status(self, side: int, name: str) -> None:
        found = now(self.sides[side].live.status("ann@example.org", name))
        assert found.messages == len(self.contents[name])
        assert found.unseen == sum("\\Seen" not in f for f in self.flags[name].values())

    @rule(side=SIDES)
    def close_the_file(self, side: int) -> None:
        self.sides[side].live.indexes.close()

    @rule(side=SIDES)
    def restart(self, side: int) -> None:
        self.sides[side].live.indexes.close()
        self.sides[side].restart()
        self.sessions[side] = {name: Session(self.sides[side].folder(name)) for name in NAMES}

    def check(self, side: int, name: str) -> None:
        session = self.sessions[side][name]
        folder = session.folder
        now(folder.refresh())
        assert session.known == folder.messages, "something changed untold"
        assert list(folder.messages) == sorted(folder.messages)
        assert {uid: state.flags for uid, state in folder.messages.items()} == self.flags[name]
        assert folder.highest_modseq >= self.modseqs[name]
        self.modseqs[name] = folder.highest_modseq
        assert folder.uid_next > max(self.ever[name], default=0)
        assert all(state.modseq <= folder.highest_modseq for state in folder.messages.values())
        assert now(folder.contents(list(folder.messages))) == self.contents[name]

    @invariant()
    def no_surprise(self) -> None:
        for sessions in self.sessions if hasattr(self, "sessions") else ():
            for session in sessions.values():
                assert session.known == session.folder.messages

    @rule(name=FOLDERS)
    def a_third_one_sees_the_same(self, name: str) -> None:
        third = Indexed(House(Path(self.directory.name)))
        folder = third.folder(name)
        assert {uid: state.flags for uid, state in folder.messages.items()} == self.flags[name]
        assert folder.uid_validity == self.folder(0, name).uid_validity
        third.live.indexes.close()
        for side in (0, 1):
            self.check(side, name)
            assert self.folder(side, name).messages == folder.messages
            assert self.folder(side, name).uid_next == folder.uid_next


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
