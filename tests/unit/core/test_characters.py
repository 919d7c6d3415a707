"""Classes of characters."""

from __future__ import annotations

import re

import pytest

from mailframe.core.characters import ATEXT, LETTERS_DIGITS, utf8_and


@pytest.mark.parametrize("characters", [ATEXT, LETTERS_DIGITS + "_.-", "]^\\-[", "\0\n ", ""])
def test_these_and_all_beyond_ascii(characters: str) -> None:
    of_class = re.compile(utf8_and(characters))
    found = {chr(number) for number in range(0x400) if of_class.fullmatch(chr(number))}
    assert found == set(characters) | {chr(number) for number in range(0x80, 0x400)}
    for far in ("\ud800", "\uffff", "\U00010000", "\U0010ffff"):
        assert of_class.fullmatch(far)
