"""What is searched of HTML."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.html_text import html_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("no markup", "no markup"),
        ("a \r\n\t b", "a b"),
        # a word goes on, a block does not
        ("wo<b>r</b>d", "word"),
        ("wo<SPAN class='x'\n>r</sPaN >d", "word"),
        ("long<wbr>word", "longword"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<td>a</td><td>b</td>", "\na\n\nb\n"),
        ("<p>a<p>b", "\na\nb"),
        ("<bold>a", "\na"),  # begins like an inline tag
        # blanks around tags are one
        ("a <b> b </b> c", "a b c"),
        ("a <!-- c --> b", "a b"),
        # what nobody sees
        ("a<!-- b > c -->d", "ad"),
        ("a<!-->b", "ab"),
        ("<script>var a = '<b>x</b>';</script>y", "\ny"),
        ("<SCRIPT type=x>x</Script >y", "\ny"),
        ("<style>p {}</style><style>q {}</style>y", "\n\ny"),
        ("<template>x</template>y", "\ny"),
        ("</script>y", "\ny"),
        ("<!DOCTYPE html><?xml version='1'?>a", "a"),
        ("<![CDATA[x]]>a", "a"),
        ('<a href="https://example.org/secret" title=hidden>shown</a>', "shown"),
        # entities
        ("Fish &amp; chips&nbsp;&lt;b&gt;", "Fish & chips\u00a0<b>"),
        ("&Kappa;&alpha;&#955;&#x3ac;", "Καλά"),
        ("&amp;lt;", "&lt;"),
        ("&unknown; & &; &#; &#x;", "&unknown; & &; &#; &#x;"),
        ("&#0000000065;&#000000000066", "AB"),
        ("&#0;&#xD800;&#1114112;&#99999999999;", "\ufffd" * 4),
        # no tags
        ("1 < 2 <3 <> a<", "1 < 2 <3 <> a<"),
        ("a < b > c", "a < b > c"),
        ("\0<b\0>\ud800", "\0\ud800"),
        # cut off
        ("a<b", "a"),
        ("a<p class=", "a\n"),
        ("a<!-- b", "a"),
        ("a<script>b", "a\n"),
        ("a<script>b</script", "a\n"),
        ("a<!", "a"),
        ("a</", "a</"),
        ("a&am", "a&am"),
    ],
)
def test_text(markup: str, text: str) -> None:
    assert html_text(markup) == text


@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "<!--", "-->", "<b", "</p>", "<script", "</script", "&#", "0", "x"]
        )
        | st.text(max_size=3)
    )
)
def test_anything_is_read(pieces: list[str]) -> None:
    markup = "".join(pieces)
    assert "&" in markup or "  " not in html_text(markup)


@given(st.text(st.characters(exclude_characters="<&\r\n\t\f ", exclude_categories=())))
def test_plain_text_stays(text: str) -> None:
    assert html_text(text) == text
    assert html_text(f"<p>{text}</p>") == f"\n{text}\n"


@pytest.mark.parametrize(
    "markup",
    [
        "<" * 300_000,
        "<!--" * 100_000,
        "<script>" * 50_000,
        "<style></style" * 50_000,
        "<b>" * 100_000 + "</b>" * 100_000,
        "<a " * 100_000,
        "<" + "a" * 500_000,
        "</" * 200_000,
        "&" * 300_000,
        "&#" + "0" * 500_000 + "65;",
        "&#" + "9" * 500_000,
        "&#x" + "f" * 500_000,
        "&#0000000" * 50_000,
        " <b> " * 100_000,
        " " * 500_000,
    ],
    ids=lambda markup: f"{markup[:12]}...",
)
def test_the_time_is_linear(markup: str) -> None:
    began = time.process_time()
    html_text(markup)
    assert time.process_time() - began < 10  # takes 0.2; would be minutes
