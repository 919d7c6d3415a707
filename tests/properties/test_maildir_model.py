"""The store against a dict, while another program moves, flags and removes files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailframe.errors import MessageGone
from tests.unit.mailbox.house import House, done, fetch

FOLDERS = st.sampled_from(["", "Work", "Wörk/Sub.x"])
CONTENT = st.lists(
    st.sampled_from([b"a", b"\r\n", b"\r", b"\0", b"From x", b".", b"\xff" * 50]), max_size=12
).map(b"".join)


class Maildirs(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.house = House(Path(self.directory.name))
        self.model: dict[tuple[str, str], bytes] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.mailboxes = {folder: self.house.inbox(folder) for folder in ("", "Work", "Wörk/Sub.x")}

    @rule(folder=FOLDERS, content=CONTENT, wait=st.sampled_from([0, 0.5, 1]))
    def deliver(self, folder: str, content: bytes, wait: float) -> None:
        self.house.clock.advance(wait)
        token = f"T{len(self.tokens)}"
        info = self.house.deliver(content, token, folder=folder)
        assert (folder, info.uid) not in self.model
        # A mailbox holds lines: one that breaks off is ended.
        self.model[folder, info.uid] = content + (b"" if content.endswith(b"\r\n") else b"\r\n")
        self.tokens[token] = (folder, info.uid)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        token, (folder, uid) = data.draw(st.sampled_from(sorted(self.tokens.items())))
        if (folder, uid) in self.model:
            content = self.model[folder, uid]
            info = self.house.deliver(content, token, folder=folder, repeats=True)
            assert info.uid == uid

    @precondition(lambda self: self.model)
    @rule(data=st.data(), flags=st.sampled_from(["", "S", "RS", "FT"]))
    def another_program_sets_flags(self, data: st.DataObject, flags: str) -> None:
        _, uid = data.draw(st.sampled_from(sorted(self.model)))
        path = self._file(uid)
        path.rename(path.parent.parent / "cur" / f"{path.name.partition(':')[0]}:2,{flags}")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def another_program_removes(self, data: st.DataObject) -> None:
        folder, uid = data.draw(st.sampled_from(sorted(self.model)))
        self._file(uid).unlink()
        del self.model[folder, uid]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        folder, uid = data.draw(st.sampled_from(sorted(self.model)))
        assert done(self.mailboxes[folder].remove([uid])) == frozenset()
        del self.model[folder, uid]

    @rule()
    def restart(self) -> None:
        self.house.use(self.house.disk)
        self.mailboxes = {folder: self.house.inbox(folder) for folder in self.mailboxes}

    @invariant()
    def what_is_there_is_what_was_delivered(self) -> None:
        if not hasattr(self, "house"):
            return
        for folder, mailbox in self.mailboxes.items():
            expected = {uid: text for (place, uid), text in self.model.items() if place == folder}
            infos = done(mailbox.messages())
            assert {info.uid: info.size for info in infos} == {
                uid: len(text) for uid, text in expected.items()
            }
            assert [info.received for info in infos] == sorted(info.received for info in infos)
            assert {info.uid: fetch(mailbox, info.uid) for info in infos} == expected

    def _file(self, uid: str) -> Path:
        [path] = Path(self.directory.name).rglob(f"{uid}*")
        return path

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestMaildirs = Maildirs.TestCase
TestMaildirs.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_a_message_removed_by_another_program_is_gone(tmp_path: Path) -> None:
    house = House(tmp_path)
    info = house.deliver(b"x\r\n")
    mailbox = house.inbox()
    done(mailbox.messages())
    next(tmp_path.rglob(f"{info.uid}*")).unlink()
    try:
        done(mailbox.open(info.uid))
    except MessageGone:
        return
    raise AssertionError("it was opened")
