"""Modules of applications are imported afresh, and put back as they were."""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType

import pytest

from mailframe.app.modules import Fresh, own_modules, stamps_of, unit_of, units_of
from tests.unit.app.packages import Packages, packages

__all__ = ["packages"]


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_what_belongs_to_an_application(packages: Packages) -> None:
    packages.write("mod_shop.py", "import mod_prices, mod_tax.rates, json\n")
    packages.write("mod_prices.py", "")
    packages.write("mod_tax/__init__.py", "")
    packages.write("mod_tax/rates.py", "")
    load("mod_shop")
    found = own_modules(units_of(["mod_shop"]))
    assert set(found) == {"mod_shop", "mod_prices", "mod_tax", "mod_tax.rates"}
    assert len(stamps_of(found)) == 4


@pytest.mark.parametrize(
    "name", ["json", "json.decoder", "mailframe.app", "twisted.internet", "zope"]
)
def test_what_never_does(name: str) -> None:
    assert unit_of(name) is None


def test_what_is_installed_for_all_belongs_by_its_own_name_only() -> None:
    unit = unit_of("click")
    assert unit is not None
    assert (unit.name, unit.directory) == ("click", "")
    assert all(name.partition(".")[0] == "click" for name in own_modules([unit]))


def test_a_virtual_environment_in_the_project_is_none_of_it(packages: Packages) -> None:
    packages.write("mod_here.py", "")
    installed = packages.write(".venv/lib/site-packages/mod_installed.py", "")
    sys.path.insert(0, str(installed.parent))
    try:
        load("mod_here"), load("mod_installed")
        assert set(own_modules(units_of(["mod_here"]))) == {"mod_here"}
    finally:
        sys.path.remove(str(installed.parent))


def test_afresh(packages: Packages) -> None:
    packages.write("mod_app.py", "from mod_help import VALUE\n")
    packages.write("mod_help.py", "VALUE = 1\n")
    old = load("mod_app")
    fresh = Fresh(units_of(["mod_app"]))
    packages.write("mod_help.py", "VALUE = 2\n")
    fresh.begin()
    assert "mod_help" not in sys.modules
    new = load("mod_app")
    fresh.end()
    assert (old.VALUE, new.VALUE) == (1, 2)
    assert sys.modules["json"] is json


def test_a_compiled_file_of_the_same_second_is_not_believed(
    packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = packages.write("mod_quick.py", "VALUE = 1\n")
    at = path.stat().st_mtime
    load("mod_quick")
    assert list((path.parent / "__pycache__").glob("mod_quick.*"))  # left behind
    fresh = Fresh(units_of(["mod_quick"]))
    path.write_text("VALUE = 2\n")
    import os

    os.utime(path, (at, at))
    fresh.begin()
    assert load("mod_quick").VALUE == 2
    fresh.end()


def test_undone_all_is_as_it_was(packages: Packages) -> None:
    packages.write("mod_pack/__init__.py", "")
    packages.write("mod_pack/one.py", "VALUE = 1\n")
    before = load("mod_pack.one"), sys.modules["mod_pack"]
    finders = list(sys.meta_path)
    fresh = Fresh(units_of(["mod_pack.one"]))
    packages.write("mod_pack/one.py", "import mod_more\n1 / 0\n")
    packages.write("mod_more.py", "")
    fresh.begin()
    with pytest.raises(ZeroDivisionError):
        load("mod_pack.one")
    fresh.undo()
    assert (sys.modules["mod_pack.one"], sys.modules["mod_pack"]) == before
    assert sys.modules["mod_pack"].one is before[0]
    assert "mod_more" not in sys.modules
    assert sys.meta_path == finders


def test_one_may_be_spared(packages: Packages) -> None:
    packages.write("mod_realm.py", "")
    packages.write("mod_other.py", "")
    realm, other = load("mod_realm"), load("mod_other")
    fresh = Fresh(units_of(["mod_other"]), unit_of("mod_realm"))
    fresh.begin()
    assert load("mod_realm") is realm
    assert load("mod_other") is not other
    fresh.undo()
    assert sys.modules["mod_other"] is other
