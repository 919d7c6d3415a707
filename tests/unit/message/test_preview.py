"""The first words of a message."""

from __future__ import annotations

import pytest

from mailframe.message.facts import read_facts


def shown(body: bytes, *head: bytes) -> str:
    return read_facts(b"\r\n".join([*head, b"", body])).preview


HTML = b"Content-Type: text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a  b\r\n\r\n\tc\r\n", "a b c"),
        (b"", ""),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (b"Yes.\r\n\r\nOn Monday, A wrote:\r\n> no\r\n> no\r\nBye", "Yes. Bye"),
        (b"> only\r\n> quoted", "> only > quoted"),
        (b"New\r\n-----Original Message-----\r\nold", "New"),
    ],
)
def test_plain(body: bytes, expected: str) -> None:
    assert shown(body) == expected


def test_html_as_a_reader_sees_it() -> None:
    body = b"<style>p{}</style><p>A &amp; <b>B</b>&nbsp;</p><script>x</script><p>C"
    assert shown(body, HTML) == "A & B C"


def test_plain_text_comes_first_and_attachments_never() -> None:
    body = (
        b"--x\r\nContent-Disposition: attachment\r\n\r\nno\r\n--x\r\n" + HTML + b"\r\n\r\nhtml\r\n"
        b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\ncGxhaW4=\r\n--x--\r\n"
    )
    assert shown(body, b"Content-Type: multipart/mixed; boundary=x") == "plain"
    empty = body.replace(b"cGxhaW4=", b"")
    assert shown(empty, b"Content-Type: multipart/mixed; boundary=x") == "html"


def test_at_most_200_characters() -> None:
    assert (
        shown("\u03b1 ".encode() * 5000, b"Content-Type: text/plain; charset=utf-8")
        == ("\u03b1 " * 100).rstrip()
    )
    assert len(shown(b"a" * 100_000)) == 200
    assert shown(b" " * 10_000 + b"x") == "x"


def test_fillers_are_not_shown() -> None:
    body = "&zwnj;&nbsp;\u034f" * 300 + "text"
    assert shown(body.encode(), HTML) == "text"


def test_an_unknown_encoding_shows_nothing() -> None:
    assert shown(b"x", b"Content-Transfer-Encoding: x-odd") == ""
