"""docs/api: the reference of everything that is public, made from docstrings.

``python -m tests.docs.reference`` writes the pages; with ``--check`` it writes nothing and exits
with 1 where a page is not what it would write. ``topics`` says what is on which page, ``source``
reads it, ``docstrings`` makes Markdown of it, ``index`` knows where a name leads, ``page`` puts all
of it together.

Anchors are stable: ``mailframe.App.deliver`` is the import path of a name, and the member.
"""

from __future__ import annotations

import re
import sys

from tests.docs.index import DOCS, Index
from tests.docs.page import MADE, Page
from tests.docs.things import Thing, is_test, said_by, says_all
from tests.docs.topics import TOPICS

DIRECTORY = DOCS / "api"


def contents(index: Index) -> str:
    """docs/api/README.md."""
    lines = [
        MADE,
        "# API reference",
        _INTRODUCTION,
        "\n".join(f"- [{each.title}]({each.file}): {each.summary}" for each in TOPICS),
        "## Every name",
    ]
    names = sorted(index.pages, key=lambda path: (path.rpartition(".")[2].casefold(), path))
    lines.append("\n".join(_line(index, *path.rpartition(".")[::2]) for path in names))
    return "\n\n".join(lines) + "\n"


def _line(index: Index, package: str, name: str) -> str:
    path = f"{package}.{name}"
    return f"- [`{name}`]({index.pages[path]}#{path}) `{package}`"


_INTRODUCTION = """\
Everything that a program may import from mailframe, as its docstrings describe it; `help(...)`
says the same in Python. What is not here belongs to the server and may change at any time. An
application needs [App](applications.md) and [the message](message.md), and its tests
[testing](testing.md); the rest is for parts that replace the server's own
([guides](../extending.md)).

Where nothing else is said, a size is in octets and a time in seconds, and a method of an
interface may return a value, a Deferred, or be `async def`. *Wire format* is a message as SMTP
carries it: every line ends with CRLF. What is *optional* is an interface that an object need
not provide: the server asks, and offers to its clients what is there. What an error becomes on
the wire is said where it may be raised; any that is not one of [errors](errors.md) is 451
4.3.0, and never a bounce."""


def undocumented() -> list[str]:
    """Public names that say nothing of themselves."""
    index = Index()
    found = []
    for topic in TOPICS:
        for section in topic.sections:
            for thing in section.things():
                path = index.path(thing)
                if not thing.doc and not says_all(thing):
                    found.append(path)
                for each in thing.members:
                    if not (each.doc or is_test(each) or is_told_elsewhere(thing, each)):
                        found.append(f"{path}.{each.name} ({each.kind})")
    return found


def is_told_elsewhere(thing: Thing, member: Thing) -> bool:
    """By its class, its interface, or its value."""
    told = re.search(rf"(?<![\w.]){member.name}\b", " ".join(re.findall(r"``.+?``", thing.doc)))
    return bool(told or said_by(thing, member) or (member.kind == "value" and thing.doc))


def pages() -> dict[str, str]:
    """File name -> content."""
    index = Index()
    found = {topic.file: str(Page(topic, index)) for topic in TOPICS}
    return found | {"README.md": contents(index)}


def differing() -> list[str]:
    """Files that are not what they should be, or should not be there."""
    wanted = pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.glob("*.md")}
    return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        wrong = differing()
        for name in wrong:
            print(f"docs/api/{name} is not what docstrings say: python -m tests.docs.reference")
        return 1 if wrong else 0
    if arguments:
        print("usage: python -m tests.docs.reference [--check]", file=sys.stderr)
        return 64
    DIRECTORY.mkdir(exist_ok=True)
    wanted = pages()
    for path in DIRECTORY.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
