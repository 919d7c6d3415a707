"""What of a message is searched."""

from __future__ import annotations

import time

from mailframe.message.facts import read_facts
from mailframe.message.searchable import Searchable, body_needle, header_needle, read_searchable


def searchable(*lines: str) -> Searchable:
    data = "\r\n".join(lines).encode()
    return read_searchable(data, read_facts(data))


def test_the_header_of_an_attached_message_is_body() -> None:
    found = searchable(
        "Subject: outer",
        "Content-Type: message/rfc822",
        "",
        "Subject: =?utf-8?b?zpXPg8+Jz4TOtc+BzrnOus+M?=",
        "",
        "text within",
    )
    assert body_needle("εσωτερικο") in found.body
    assert body_needle("text within") in found.body
    assert body_needle("outer") not in found.body
    assert header_needle("εσωτερικό") in found.headers
    assert found.subject == b"outer\n"


def test_mime_headers_of_parts_are_not_body() -> None:
    found = searchable(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "preamble",
        "--b",
        "Content-Type: text/plain; charset=iso-8859-7",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Description: described",
        "",
        "=CA=E1=EB=E7=EC=DD=F1=E1",
        "--b--",
    )
    assert body_needle("καλημερα") in found.body
    assert body_needle("described") not in found.body
    assert body_needle("preamble") not in found.body
    assert header_needle("described") in found.headers


def test_html_is_searched_as_it_is_read() -> None:
    found = searchable(
        "Content-Type: text/html", "", "<style>hidden</style><b>Vis</b>ible <a href=link>x</a>"
    )
    assert body_needle("VISIBLE") in found.body
    assert body_needle("hidden") not in found.body
    assert body_needle("link") not in found.body


def test_quotes_that_do_not_end_take_no_time() -> None:
    bait = "".join('\\"' for _ in range(20_000))
    begun = time.thread_time()
    found = searchable(f'References: <"{bait}@example.org>', "", "x")
    assert time.thread_time() - begun < 1
    assert found is not None
