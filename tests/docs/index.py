"""Where everything is: which page of docs/api has a name, and what a name means in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.source import read
from tests.docs.things import Thing, is_test
from tests.docs.topics import EXPORTERS, TOPICS, Section, Topic

DOCS = Path(__file__).resolve().parents[2] / "docs"
IDENTIFIER = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]*\b")
_GUIDE = re.compile(r"docs/([\w/-]+\.md)")


def path_of(thing: Thing) -> str:
    """From where it is imported."""
    for package in EXPORTERS:
        exporter = read(package)
        for name in exporter.exports:
            if name == thing.name and exporter.find(name) is thing:
                return package
    return thing.module.name


def name_here(section: Section, thing: Thing) -> str:
    """A section may call it otherwise than its module does."""
    for name in section.names:
        if read(section.module).find(name) is thing:
            return name
    return thing.name


class Index:
    """Every name that is on a page: ``mailframe.App`` -> its page."""

    def __init__(self, topics: tuple[Topic, ...] = TOPICS) -> None:
        self.pages: dict[str, str] = {}
        self.members: dict[str, frozenset[str]] = {}
        self._paths: dict[int, str] = {}
        self._short: dict[str, list[str]] = {}
        self._modules: dict[str, str] = {}
        self._homes: set[str] = set()
        for topic in topics:
            for section in topic.sections:
                if section.told:
                    self._modules.setdefault(section.told, topic.file)
                for thing in section.things():
                    self._add(topic, section, thing)

    def _add(self, topic: Topic, section: Section, thing: Thing) -> None:
        name = name_here(section, thing)
        settings = section.module == "mailframe.settings"
        path = f"{section.module if settings else path_of(thing)}.{name}"
        assert path not in self.pages, f"{path} is on two pages"
        self.pages[path] = topic.file
        self._homes.add(thing.module.name)
        self._paths[id(thing)] = path
        self._short.setdefault(name, []).append(path)
        members = frozenset(each.name for each in thing.members if not is_test(each))
        self.members[path] = members

    def path(self, thing: Thing) -> str:
        return self._paths.get(id(thing), "")

    def where(self, name: str, page: str, around: Thing | None, inside: str = "") -> str:
        """The link from ``page`` to what ``name`` means there; empty for none. ``inside``: the
        path of the class that the text is about."""
        if found := _GUIDE.fullmatch(name):
            return f"../{found[1]}" if (DOCS / found[1]).exists() else ""
        name = name.removeprefix("@").split("(")[0].removeprefix("await ")
        for short, whole in (("app", "App"), ("msg", "Message"), ("mail", "MemoryServer")):
            if name.startswith(f"{short}."):
                name = whole + name[len(short) :]
        if not name or not IDENTIFIER.match(name) or " " in name:
            return ""
        if inside and around is not None:
            for path in self._lineage(around):
                if name in self.members[path]:
                    return self._link(f"{path}.{name}", path, page)
        if module := self._module_of(name):
            return (
                f"#{module}"
                if self._modules[module] == page
                else f"{self._modules[module]}#{module}"
            )
        head, _, member = name.partition(".")
        if around is not None and member and head.islower():
            beside = f"{around.module.name.rpartition('.')[0]}.{head}"  # ``replies.new_mail``
            if beside in self._homes:
                head, _, member = member.partition(".")
                around = next(iter(read(beside).things.values()))
        path = self._path_of(head, around) or (name if name in self.pages else "")
        if path and path != name and member:
            return self._link(f"{path}.{member}", path, page) if self._has(path, member) else ""
        return self._link(path, path, page) if path and path != inside else ""

    def _lineage(self, thing: Thing) -> Iterator[str]:
        """A class and those it extends, as far as they are on pages."""
        if path := self._paths.get(id(thing)):
            yield path
        for base in thing.bases:
            other = thing.module.find(base.partition("[")[0])
            if other is not None:
                yield from self._lineage(other)

    def _path_of(self, head: str, around: Thing | None) -> str:
        if around is not None and (found := around.module.find(head)) is not None:
            return self._paths.get(id(found), "")
        if around is not None and head in around.module.imports:
            return ""  # somebody else's, of the same name
        several = self._short.get(head, ())
        # What is written small is more often a word than a name.
        return several[0] if len(several) == 1 and head[:1].isupper() else ""

    def _module_of(self, name: str) -> str:
        """A module whose text is on a page, by its whole name or without ``mailframe``."""
        if name in self._modules:
            return name
        return f"mailframe.{name}" if f"mailframe.{name}" in self._modules else ""

    def _has(self, path: str, member: str) -> bool:
        return member in self.members[path]

    def _link(self, anchor: str, path: str, page: str) -> str:
        file = self.pages[path]
        return f"#{anchor}" if file == page else f"{file}#{anchor}"
