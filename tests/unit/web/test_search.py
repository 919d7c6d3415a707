"""The words of a search, one by one."""

from __future__ import annotations

import pytest

from mailframe.web.catalogue import Copy, Message
from mailframe.web.search import Candidate, parse_search
from mailframe.web.summaries import Head, Person, summarize

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
LETTER = (
    b"From: Bob Builder <bob@there.test>\r\nTo: Ann <ann@here.test>\r\nCc: cy@here.test\r\n"
    b"Reply-To: replies@there.test\r\nSubject: Your Order 12\r\nMessage-ID: <m1@there.test>\r\n"
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nCaf\xc3\xa9 at\r\n noon: 50%_off\r\n--a\r\n"
    b'Content-Disposition: attachment; filename="bill.pdf"\r\n\r\nx\r\n--a--\r\n'
)


def candidate(is_read: bool = False, tags: tuple[str, ...] = ("shop",)) -> Candidate:
    summary = summarize(LETTER)
    copy = Copy("ann@here.test", "1", 2_000, NOW, Head("", "", "", 0))
    bcc = (Person("", "dora@here.test"),)
    return Candidate(Message("M", NOW, (copy,)), summary, bcc, tags, is_read)


FOUND = [
    *("order", "ORDER", "your order", '"your order"', "cafe", "café", '"CAFÉ AT NOON"', "bill.pdf"),
    *("bob@there.test", "builder", "50%_off", "noon:", '"noon: 50%"'),
    *("to:ann", "to:ANN@here", "from:builder", 'from:"bob builder"', "cc:cy", "bcc:dora"),
    *("reply-to:replies", "addressed:dora", "addressed:bob", "subject:order"),
    *('subject:"your order"', "message-id:m1@", "message-id:<m1@there.test>", "tag:shop"),
    *("TAG:Shop", "is:unread", "is:tagged", "has:attachment", "has:attachments", "larger:1k"),
    *("larger:1.5kb", "smaller:2k", "smaller:1m", "after:2027-01-14", "after:2027/01/15"),
    *("before:2027-01-16", 'before:"2027-01-15 08:00"', "-missing", "!missing", "-is:read"),
    *("-to:bob", "-has:inline", "-subject:missing", "", "   ", "to:", '""', "-tag:x"),
    *("after:never", "larger:huge", "order to:ann -draft is:unread", "-before:2027-01-14"),
]
MISSED = [
    *("missing", '"order your"', "to:bob", "from:ann", "cc:ann", "bcc:ann", "reply-to:bob"),
    *("addressed:nobody", "subject:cafe", "message-id:m2", "tag:sho", "is:read", "has:inline"),
    *("larger:2k", "smaller:1k", "after:2027-01-16", "before:2027-01-14", "-order", "!order"),
    *(
        '-"your order"',
        "-to:ann",
        "-is:unread",
        "-has:attachment",
        "order missing",
        "50%off",
        "-",
        "!",
    ),
    *("colour:red", "-after:2027-01-14"),
]


@pytest.mark.parametrize("query", FOUND)
def test_found(query: str) -> None:
    assert parse_search(query).matches(candidate())


@pytest.mark.parametrize("query", MISSED)
def test_missed(query: str) -> None:
    assert not parse_search(query).matches(candidate())


def test_read_and_untagged() -> None:
    seen = candidate(is_read=True, tags=())
    assert parse_search("is:read -is:tagged").matches(seen)
    assert not parse_search("is:unread").matches(seen)


@pytest.mark.parametrize(
    "query",
    [
        '"' * 5_000,
        "a:" * 5_000,
        "x " * 5_000,
        '-"' * 1_000,
        "to:\x00\ud800",
        "after:9999999-99-99",
        "larger:" + "9" * 500,
        "larger:1.5.5k",
        "before:0001-01-01",
    ],
    ids=range(9),
)
def test_nothing_breaks_it(query: str) -> None:
    parse_search(query).matches(candidate())
