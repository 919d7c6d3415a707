"""What is found as the same, and what is sorted as the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.message.folding import collation_key, fold, fold_long

_LONG = 32_768  # of which fold_long makes pieces
# Texts in which something happens, and any others (surrogates, too).
_TELLING = st.text("aAßẞςΣσάΆΐᾳ̈́̀ïİıiйЙёЁéＡａﬁ́̂ㄱ한ᄒ각がガﾞ゙`´ \t\n\0\u00ad\u200d\ufeff™№½🎉\ud800")
_ANY = st.text(st.characters(exclude_categories=()))
_TEXTS = _TELLING | _ANY


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("", ""),
        ("HeLLo [1]\t~", "hello [1]\t~"),
        ("Straße STRAẞE", "strasse strasse"),
        ("Καλημέρα ΚΑΛΗΜΈΡΑ", "καλημερα καλημερα"),
        ("Όδος ΟΔΌΣ", "οδοσ οδοσ"),
        ("ΐ Ϋ ᾳ", "ι υ αι"),
        ("Чайковский ЁЛКА", "чаиковскии елка"),
        ("Ｍａｉｌ　Ｆｒａｍｅ", "mail frame"),
        ("ﬁnd ﬀ", "find ff"),
        ("Crème BRÛLÉE", "creme brulee"),
        ("cre\u0300me", "creme"),
        ("İstanbul ISTANBUL", "istanbul istanbul"),
        ("ı", "ı"),  # a letter of its own
        ("Łódź ØRE", "łodz øre"),  # no marks, letters
        ("x² ™ №", "x2 tm no"),
        ("a\u00a0b", "a b"),
        ("a´b", "a b"),
        ("co\u00adop\u200berate\ufeff", "cooperate"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("ｶﾞ か\u3099", "ガ が"),  # and not カ, か
        ("한 \u1112\u1161\u11ab", "한 한"),
        ("क्षि ก่อน", "क्षि ก่อน"),
        ("\U0001d401\U0001d428\U0001d425\U0001d41d", "bold"),
        ("🎉 ✌\ufe0f", "🎉 ✌"),
        ("👨\u200d👩", "👨👩"),
        ("a\0B", "a\0b"),
        ("É\ud800", "e\ud800"),
        ("\u0301\u0302", ""),
    ],
)
def test_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(_TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_no_character_is_folded_differently_twice() -> None:
    characters = [chr(code) for code in range(0x20000)]
    folded = [fold(character) for character in characters]
    assert [one for one in folded if fold(one) != one] == []


@given(st.text("aéÉїйßςΣάΏñşあがガ가각") | st.text(st.characters(categories=("Lu", "Ll"))))
def test_decomposed_and_in_capitals_is_the_same(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(text)
    assert fold(unicodedata.normalize("NFC", text)) == fold(text)
    assert fold(text.casefold()) == fold(text)


@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_word_is_found_in_the_text(before: str, word: str, after: str) -> None:
    assert fold(f"{before} {word} {after}") == f"{fold(before)} {fold(word)} {fold(after)}"
    assert fold(word) in fold(f"{before}\n{word}\n{after}")


@given(st.text("aAéÉςΣйß "), st.text("aAéÉςΣйß "))
def test_a_part_of_a_word_is_found(left: str, right: str) -> None:
    assert fold(left + right) == fold(left) + fold(right)


@pytest.mark.parametrize("surplus", [-1, 0, 1, 2, 77])
@pytest.mark.parametrize(
    "text",
    [
        "plain ASCII ",
        "ΚΑΛΗΜΈΡΑ κόσμος ",
        "e\u0301",
        "か\u3099 ",
        "\u1112\u1161\u11ab\n",
        "漢字",
        "ß\u0301\u0323.",
        "\u3099\u0301x",
    ],
)
def test_long_texts_are_folded_as_short_ones(text: str, surplus: int) -> None:
    long = (text * (2 * _LONG // len(text) + 1))[: 2 * _LONG + surplus]
    assert fold_long(long) == fold(long)


@settings(max_examples=40)
@given(_TEXTS, st.integers(0, 40))
def test_long_texts_with_anything_at_the_seam(text: str, before: int) -> None:
    long = "é" * (_LONG - before) + text + " " + text
    assert fold_long(long) == fold(long)


def test_a_long_text_without_a_seam() -> None:
    assert fold_long("é" * 200_000) == "e" * 200_000
    assert fold_long("\u0301" * 200_000) == ""
    assert len(fold_long("\u1100" * 100_000)) == 100_000


@pytest.mark.parametrize("marks", ["\u0731\u0730", "\u093c\uff9e", "\u0f73\u0730"])
def test_a_row_of_marks_without_end_is_cut(marks: str) -> None:
    folded = fold("a" + marks * 2_000 + "b")
    assert folded[0] + folded[-1] == "ab"
    assert len(folded) == 32
    assert fold(folded) == folded
    assert len(collation_key("a" + marks * 2_000)) < 400


@pytest.mark.parametrize(
    "same",
    [
        ("Re", "RE", "re"),
        ("é", "É", "e\u0301"),
        ("Ａ", "a"),
        ("\U0001d41a", "A"),  # has no capital until it is decomposed
        ("ς", "σ", "Σ"),
        ("straße", "STRASSE"),
        ("ﬁn", "FIN"),
        ("ǆ", "ǅ", "Ǆ"),
    ],
)
def test_sorted_as_the_same(same: tuple[str, ...]) -> None:
    assert len({collation_key(text) for text in same}) == 1


def test_accents_count_in_sorting() -> None:
    words = ["Zebra", "étude", "apfel", "Äpfel", "eta", "", "[a]", "a", "B", "ωμέγα", "Άλφα"]
    assert sorted(words, key=collation_key) == (
        ["", "a", "apfel", "Äpfel", "B", "eta", "étude", "Zebra", "[a]", "Άλφα", "ωμέγα"]
    )


@given(_TEXTS)
def test_any_text_has_a_key(text: str) -> None:
    key = collation_key(text)
    assert collation_key(text.upper()) == key
    assert key.decode("utf-8").isascii() or not text.isascii()
