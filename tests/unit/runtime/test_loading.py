"""What is wrong with ``package.module:Name`` is said so that it can be mended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mailframe.runtime.loading import LoadError, load, look_in, made


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_what_is_there_is_found() -> None:
    assert load("json.decoder:JSONDecoder.decode").__name__ == "decode"


@pytest.mark.parametrize(
    "name", ["", "json", ":x", "json:", "json:a b", "a-b:c", "json:x:y", "a..b:c"]
)
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(LoadError, match=r"is not written package\.module:Name"):
        load(name)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "x = 1",
            r"loading_here:Name: the module loading_here \(.*/loading_here\.py\) has no 'Name'",
        ),
        ("\ndef (", r"importing loading_here failed \(.*/loading_here\.py:2\): SyntaxError: "),
        ("\n\n1 / 0", r"failed \(.*/loading_here\.py:3\): ZeroDivisionError: division by zero"),
        (
            "import not_there_at_all",
            r"failed \(.*/loading_here\.py:1\): No module named 'not_there",
        ),
        ("raise SystemExit(3)", r"failed \(.*/loading_here\.py:1\): SystemExit: 3"),
        ("class E(BaseException): pass\nraise E", r"failed \(.*py:2\): E: without a word"),
    ],
)
def test_a_module_that_cannot_be_used(modules: Path, code: str, said: str) -> None:
    (modules / "loading_here.py").write_text(code)
    sys.modules.pop("loading_here", None)
    with pytest.raises(LoadError, match=said):
        load("loading_here:Name")
    sys.modules.pop("loading_here", None)


def test_no_such_module() -> None:
    with pytest.raises(LoadError, match="no module 'nowhere': is it installed, on PYTHONPATH, or"):
        load("nowhere.at.all:Name")


def test_the_line_is_where_it_went_wrong_and_not_where_it_was_called(modules: Path) -> None:
    (modules / "loading_inner.py").write_text("\n\nraise ValueError('deep')\n")
    (modules / "loading_outer.py").write_text("import loading_inner\n")
    with pytest.raises(LoadError, match=r"loading_inner\.py:3\): ValueError: deep"):
        load("loading_outer:Name")


def test_what_cannot_be_made() -> None:
    with pytest.raises(LoadError, match=r"x:y could not be made.*TypeError"):
        made("x:y", lambda: None, more=1)


def test_a_directory_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in([str(tmp_path), str(tmp_path)])
    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1
