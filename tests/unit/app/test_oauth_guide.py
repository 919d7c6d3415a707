"""docs/accounts-oauth.md: every configuration in it is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailframe.app.config import load_config

GUIDE = Path(__file__).parents[3] / "docs" / "accounts-oauth.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example(text: str, tmp_path: Path) -> None:
    (tmp_path / "mailframe.toml").write_text(text)
    config = load_config(str(tmp_path / "mailframe.toml"), {})
    assert len(config.oauth) == 1
