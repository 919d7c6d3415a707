"""docs/extending: a page for each extension point, its example as it stands in etc/examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailframe.testing import contracts

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path.name: path for path in (ROOT / "etc" / "examples").glob("*.py")}
PAGES = sorted((ROOT / "docs" / "extending").glob("*.md"))
_BLOCK = re.compile(r"^```python file=(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_example_is_as_it_stands(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = [(name, code) for name, code in _BLOCK.findall(text) if name in EXAMPLES]
    assert shown, "the page shows no example"
    for name, code in shown:
        assert code == EXAMPLES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_says_all_that_a_page_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for part in ("**Who asks, and when.**", "| the peer hears |", "## Naming it", "## Trying it"):
        assert part in text


def test_every_example_and_every_contract_has_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in EXAMPLES if name not in text] == []
    suites = set(contracts.__all__) - {"Contract"}
    assert [suite for suite in suites if f"({suite})" not in text] == []


def test_the_index_names_them_all() -> None:
    index = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"extending/{page.name}" not in index] == []


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "docs" / "extending.md"]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
