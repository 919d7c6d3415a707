"""Base subjects, RFC 5256 section 2.1."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.encoded_words import decode_header
from mailframe.message.subjects import base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: x", "x"),
        ("RE:x", "x"),
        ("Re : x", "x"),
        ("Fwd: x", "x"),
        ("FW: x", "x"),
        ("re: Re: fw: FWD: x", "x"),
        ("Re[2]: x", "x"),
        ("re [2] : x", "x"),
        ("Re: [list] x", "x"),
        ("[list] Re: x", "x"),
        ("[a] [b] Re: [c] [d] x", "x"),
        ("[a]Re:[b]x", "x"),
        ("x (fwd)", "x"),
        ("x(FWD) (fwd)  ", "x"),
        ("[fwd: x]", "x"),
        ("[Fwd: Re: [list] x (fwd)]", "x"),
        ("[Fwd: [FWD: [fwd: x]]]", "x"),
        ("[fwd: x] (fwd)", "x"),
        ("[a] [fwd: [b] x]", "x"),
        ("Re: [fwd: Re: x]", "x"),
        ("\tRe:\r\n x\t \r\n\ty ", "x y"),
        # nothing is left but tags: the last one is the subject
        ("Re: [a]", "[a]"),
        ("Re: [a] Re: [b] Re: [c]", "[c]"),
        ("[a] (fwd)", "[a]"),
        ("[fwd: [a]]", "[a]"),
        # nothing at all
        ("Re:", ""),
        ("[a] Re: ", ""),
        ("Re: Fwd:", ""),
        ("(fwd)", ""),
        ("[fwd:]", ""),
        ("[fwd: (fwd) ]", ""),
        ("Re: =?utf-8?q?Re=3A_x?=", "x"),
        ("=?utf-8?b?UmU6IM66zrHOu863zrzOrc+BzrE=?=", "καλημέρα"),
        ("Re: =?iso-8859-7?q?[=EB] =E1?=\r\n =?iso-8859-7?q?=E2_(fwd)?=", "αβ"),
    ],
)
def test_replies(subject: str, base: str) -> None:
    assert base_subject(decode_header(subject.encode())) == (base, True)


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("", ""),
        (" \t\r\n ", ""),
        ("x", "x"),
        ("  a \t b ", "a b"),
        ("[list] x", "x"),
        ("[a] [b]x", "x"),
        ("[]x", "x"),
        ("[a]", "[a]"),
        ("[a][b]", "[b]"),
        ("[[a]] x", "[[a]] x"),
        ("[a x", "[a x"),
        ("a] x", "a] x"),
        ("x [a]", "x [a]"),
        ("Rex: x", "Rex: x"),
        ("Re x", "Re x"),
        ("Re[a][b]: x", "Re[a][b]: x"),
        ("Fwdd: x", "Fwdd: x"),
        ("AW: x", "AW: x"),
        ("R\u0435: x", "R\u0435: x"),  # a Cyrillic letter
        ("(fwd) x", "(fwd) x"),
        ("x (fwd", "x (fwd"),
        ("fwd) x)", "fwd) x)"),
        ("[fwd: x", "[fwd: x"),
        ("[fwd: x] y", "y"),  # a tag like any other
        ("a\u00a0 b", "a\u00a0 b"),  # no WSP of RFC 5234
        ("İ\0\ud800(fw)", "İ\0\ud800(fw)"),
    ],
)
def test_no_replies(subject: str, base: str) -> None:
    assert base_subject(subject) == (base, False)


def test_letters_whose_small_ones_are_longer() -> None:
    assert base_subject("[FWD: İİİİ (FWD)]") == ("İİİİ", True)


_PIECES = st.lists(
    st.sampled_from(["Re", "fwd", ":", "[", "]", "[a]", "[fwd:", "(fwd)", " ", "\t", "x", "É"])
)


@given(_PIECES | st.lists(st.text()))
def test_nothing_more_is_to_be_removed(pieces: list[str]) -> None:
    base = base_subject("".join(pieces)).text
    assert base_subject(base) == (base, False)


@given(_PIECES)
def test_answering_changes_nothing(pieces: list[str]) -> None:
    subject = "".join(pieces)
    base = base_subject(subject).text
    for answered in (f"Re: {subject}", f"[l] Re: {subject}", f"{subject} (fwd)"):
        assert base_subject(answered) == (base, True)


@pytest.mark.parametrize(
    ("subject", "length"),
    [
        ("Re: " * 100_000 + "x", 1),
        ("[a] " * 100_000, 3),
        ("[a] Re: " * 100_000 + "x", 1),
        ("[fwd: " * 100_000 + "x" + "]" * 100_000, 1),
        ("[fwd: " * 100_000, 599_999),
        ("[" * 300_000, 300_000),
        ("re[" * 100_000, 300_000),
        ("Re: [" * 100_000, 499_996),
        ("x" + " (fwd)" * 100_000, 1),
        ("x" + " " * 500_000 + "y", 3),
        ("[fwd:" * 50_000 + "[a]" * 50_000 + "(fwd)]" * 50_000, 3),
    ],
)
def test_the_time_is_linear(subject: str, length: int) -> None:
    began = time.process_time()
    assert len(base_subject(subject).text) == length
    assert time.process_time() - began < 10  # takes 0.2; would be minutes
