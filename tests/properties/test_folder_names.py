"""Folder names against every text, and a tree of folders against a set of names."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox.folders.naming import place_of, seen_by, spellings
from tests.unit.mailbox.folders.house import FolderHouse, now

OWNERS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(OWNERS, st.text(max_size=20), st.text(max_size=20))
def test_one_name_for_a_folder_and_one_folder_for_a_name(
    owner: str, folder: str, other: str
) -> None:
    user = "user@example.org"
    for name in (folder, f"Other Users/{folder}", f"Other Users/{owner}/{folder}", other):
        place = place_of(user, name)
        if place is not None:
            assert seen_by(user, place) == name
            assert place.account.endswith("@example.org")
            assert place.account != user


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30) | st.text("aA/.&%\0\u0301eINBOXınbox~ ", max_size=12)))
def test_any_text_is_refused_or_a_folder(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as base:
        house = FolderHouse(Path(base))
        for name in names:
            listed = house.names()
            try:
                house.make(name)
            except FolderRefused as refusal:
                assert house.names() == listed
                if refusal.reason is FolderReason.ALREADY_EXISTS:
                    now(house.of().folder(name.removesuffix("/")))
                continue
            made = set(house.names()) - set(listed)
            stored = spellings(name.removesuffix("/"))[-1]
            assert stored in made
            assert all(stored == each or stored.startswith(each + "/") for each in made)
            now(house.of().folder(stored))
        assert {path.name for path in Path(base).iterdir()} <= {"mail"}
        for info in now(house.of().all()):
            if info.exists and info.name != "INBOX":
                now(house.of().delete(info.name))
        assert house.names() == ["INBOX"]


LEVEL = st.sampled_from(["a", "b", "c"])
NAMES = st.lists(LEVEL, min_size=1, max_size=3).map("/".join)


class Folders(RuleBasedStateMachine):
    """The model is a mapping of names to ids."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.house = FolderHouse(Path(self.directory.name))
        self.model: dict[str, str] = {}

    def teardown(self) -> None:
        self.directory.cleanup()

    def attempt(self, awaitable: Any) -> FolderReason | None:
        try:
            now(awaitable)
        except FolderRefused as refusal:
            return refusal.reason
        return None

    def below(self, name: str) -> list[str]:
        return [each for each in self.model if each.startswith(name + "/")]

    def adopt(self, name: str) -> None:
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            level = "/".join(parts[:depth])
            if level not in self.model:
                self.model[level] = self.id_of(level)

    def id_of(self, name: str) -> str:
        return self.house.truth("." + name.replace("/", ".")).mailbox_id

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        refused = self.attempt(self.house.of().create(name))
        assert refused is (FolderReason.ALREADY_EXISTS if name in self.model else None)
        if refused is None:
            self.adopt(name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        refused = self.attempt(self.house.of().delete(name))
        if name in self.model:
            assert refused is None
            del self.model[name]
        else:
            known = FolderReason.HAS_CHILDREN if self.below(name) else FolderReason.NONEXISTENT
            assert refused is known

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        refused = self.attempt(self.house.of().rename(old, new))
        moving = [name for name in (old, *self.below(old)) if name in self.model]
        if refused is not None:
            taken = any(new + name[len(old) :] in self.model for name in moving)
            assert not moving or old == new or new.startswith(old + "/") or taken
            return
        moved = {new + name[len(old) :]: self.model.pop(name) for name in moving}
        self.model.update(moved)
        self.adopt(new.rpartition("/")[0]) if "/" in new else None

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "model"):
            return
        found = [name for name in self.house.names() if not name.startswith("(")]
        assert found == sorted(["INBOX", *self.model])
        assert {name: self.id_of(name) for name in self.model} == self.model


Folders.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestFolders = Folders.TestCase
