"""docs/api says of every public name what its docstring says."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import reference
from tests.docs.docstrings import markdown
from tests.docs.index import Index
from tests.docs.reference import DIRECTORY, differing, pages, undocumented
from tests.docs.source import Module, modules_of, read

_HINT = "run: python -m tests.docs.reference"
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
ROOT = DIRECTORY.parents[1]

PUBLIC = (
    "mailframe",
    "mailframe.interfaces",
    "mailframe.settings",
    "mailframe.testing",
    "mailframe.testing.contracts",
    "mailframe.testing.crash",
    "mailframe.testing.disk",
)
"""Packages of which everything in ``__all__`` is on a page."""
WHOLE = ("mailframe.errors", *modules_of("mailframe.interfaces"))
"""Modules of which everything is."""
SEEN = (
    *("address", "authentication", "envelope", "events", "facts", "folders", "reply", "report"),
    *("resolution", "routing", "scram", "search", "session", "status", "verdict"),
)
"""Of ``mailframe.core``, what whoever extends the server has in hand."""
UNSEEN = ("characters", "ids", "ip", "observation", "units", "utf7", "xtext")


@pytest.fixture(scope="module")
def index() -> Index:
    return Index()


def test_the_pages_are_what_the_docstrings_say() -> None:
    assert differing() == [], _HINT


def test_check_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "DIRECTORY", tmp_path)
    assert reference.main(["--check"]) == 1
    assert "docs/api/errors.md is not what docstrings say" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "gone.md").write_text("of a topic that is no more")
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    assert not (tmp_path / "gone.md").exists()


@pytest.mark.parametrize("package", PUBLIC)
def test_every_name_of_a_package_is_on_a_page(package: str, index: Index) -> None:
    exported = importlib.import_module(package).__all__
    missing = [
        name for name in exported if name != "__version__" and not _is_told(package, name, index)
    ]
    assert missing == [], f"{_HINT}, after it is in tests/docs/topics.py"


def _is_told(package: str, name: str, index: Index) -> bool:
    found = read(package).find(name)
    return f"{package}.{name}" in index.pages or (found is not None and bool(index.path(found)))


@pytest.mark.parametrize("module", [*WHOLE, *(f"mailframe.core.{name}" for name in SEEN)])
def test_every_name_of_a_module_is_on_a_page(module: str, index: Index) -> None:
    assert [thing.name for thing in read(module).public() if not index.path(thing)] == []


def test_every_module_of_core_is_on_a_page_or_left_out_by_intent() -> None:
    found = {name.rpartition(".")[2] for name in modules_of("mailframe.core")}
    assert found == {*SEEN, *UNSEEN}


def test_no_public_name_is_without_a_docstring() -> None:
    assert undocumented() == []


def test_every_page_is_in_the_list_of_pages() -> None:
    texts = pages()
    begin, _, names = texts["README.md"].partition("## Every name")
    assert set(texts) - {"README.md"} <= {found[1] for found in _LINK.finditer(begin)}
    assert set(texts) - {"README.md"} <= {found[1] for found in _LINK.finditer(names)}


def test_every_link_leads_somewhere() -> None:
    texts = pages()
    anchors = {name: set(_ANCHOR.findall(text)) for name, text in texts.items()}
    wrong = []
    for name, text in texts.items():
        assert len(_ANCHOR.findall(text)) == len(anchors[name]), f"{name} has an anchor twice"
        for file, anchor in _LINK.findall(text):
            page = file or name
            if anchor:
                is_there = anchor in anchors.get(page, ())
            else:
                is_there = (DIRECTORY / page).exists()
            if not is_there:
                wrong.append(f"{name}: {file}#{anchor}")
    assert wrong == []


def test_each_page_says_how_to_import_what_is_on_it(index: Index) -> None:
    for name, text in pages().items():
        if name == "README.md":
            continue
        block = text.partition("```python\n")[2].partition("```")[0]
        scope: dict[str, object] = {}
        exec(block, scope)
        for path, page in index.pages.items():
            short = path.rpartition(".")[2]
            if page == name and path.rpartition(".")[0] != "mailframe.testing.pytest_plugin":
                assert short in scope, f"{name} does not import {path}"


def test_help_reads_like_the_page() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "import mailframe; help(mailframe.App)"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    ).stdout
    assert '@app.deliver("orders+{number:int}@shop.test")' in shown
    assert "Mail to addresses of that pattern is for this function" in shown


# ---- how it is made


def test_markdown_of_a_docstring() -> None:
    text = """\
What ``it`` does, <so> *far*:

``one``  the first
``two``  the second,
         which goes on

======  =====
a       b
======  =====
``it``  x|y
        goes on
======  =====

Like this::

    it()
"""
    assert markdown(text, _link) == (
        "What [`it`](page.md#it) does, \\<so> \\*far\\*:\n\n"
        "- `one`: the first\n- `two`: the second, which goes on\n\n"
        "| a | b |\n| --- | --- |\n| [`it`](page.md#it) | x\\|y goes on |\n\n"
        "Like this:\n\n<!-- not run: an excerpt -->\n```python\nit()\n```"
    )


def _link(name: str) -> str:
    return "page.md#it" if name == "it" else ""


def test_what_a_class_has() -> None:
    (thing,) = _module('''
class Way(_Base):
    """One way."""

    def __init__(self, name: str, *, tries: int = 3) -> None:
        """``tries``: at most."""
        self.name = name
        """For logs."""
        self._own = 1

    async def go(self) -> None:
        """There."""

    @property
    def length(self) -> float:
        """In metres."""
''').public()
    assert thing.start == "``tries``: at most."
    assert [str(each) for each in thing.parameters] == ["name: str", "*", "tries: int = 3"]
    assert [(each.name, each.kind, each.type, each.doc) for each in thing.members] == [
        ("name", "attribute", "str", "For logs."),
        ("go", "method", "", "There."),
        ("length", "attribute", "float", "In metres."),
    ]
    assert thing.members[1].returns == "Awaitable[None]"


def test_what_a_dataclass_has() -> None:
    (thing,) = _module('''
@dataclass(frozen=True)
class Note:
    """A note."""

    text: str
    """What it says."""
    marks: list[str] = field(default_factory=list)
''').public()
    assert [str(each) for each in thing.parameters] == ["text: str", "marks: list[str] = []"]
    assert [each.doc for each in thing.members] == ["What it says.", ""]


def _module(source: str) -> Module:
    return Module("mailframe.of_a_test", source, ast.parse(source), {})
