from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.address import Address, AddressError
from mailframe.message.mailboxes import parse_mailboxes


def texts(value: str | bytes) -> list[str]:
    data = value.encode() if isinstance(value, str) else value
    return [str(address) for address in parse_mailboxes(data)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ann@example.org", ["ann@example.org"]),
        (" ann@Example.ORG\r\n", ["ann@example.org"]),
        ("Ann <ann@example.org>", ["ann@example.org"]),
        ("<ann@example.org>", ["ann@example.org"]),
        ('"Ann \\"the\\" <x@y>, Boss" <ann@example.org>', ["ann@example.org"]),
        ("John Q. Public <jqp@example.org>", ["jqp@example.org"]),
        ("=?utf-8?q?=CE=B1?= <ann@example.org>", ["ann@example.org"]),
        ("Γιώργος <ann@example.org>", ["ann@example.org"]),
        ("γιώργος@παράδειγμα.example", ["γιώργος@παράδειγμα.example"]),
        ("ann@example.org (Ann (the) one\\))", ["ann@example.org"]),
        ("(c)ann(c)@(c)example.org(c)", ["ann@example.org"]),
        ("Ann (c) < (c) ann @ example.org > (c)", ["ann@example.org"]),
        ('"ann b"@example.org', ['"ann b"@example.org']),
        ('"ann"@example.org', ["ann@example.org"]),
        ("ann@[192.0.2.1]", ["ann@[192.0.2.1]"]),
        (
            "a@x.example, B <b@x.example>,\r\n\tc@x.example",
            ["a@x.example", "b@x.example", "c@x.example"],
        ),
        ("Team: a@x.example, B <b@x.example>;", ["a@x.example", "b@x.example"]),
        ("Team:;, c@x.example", ["c@x.example"]),
        ("undisclosed-recipients: ;", []),
    ],
)
def test_understood(value: str, expected: list[str]) -> None:
    assert texts(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "ann",
        "@",
        "@example.org",
        "ann@",
        "<>",
        "Ann <>",
        "ann@example.org,",
        ", ann@example.org",
        "ann@example.org,,bob@example.org",
        # CVE-2023-27043 and its kin: which one is it?
        "ann@example.org)bob@example.net",
        "ann@example.org<bob@example.net>",
        "ann@example.org <bob@example.net>",
        "ann@example.org(<bob@example.net>",
        "ann@example.org bob@example.net",
        "ann@example.org>, <bob@example.net>",
        "<ann@example.org> <bob@example.net>",
        "<ann@example.org>bob@example.net",
        '"ann@example.org" "" <bob@example.net> x',
        "ann@example.org@example.net",
        "ann<bob@example.net",
        "<ann@example.org>>",
        "<<ann@example.org>>",
        "<@relay.example:ann@example.org>",
        "ann(@example.org",
        "(ann@example.org",
        '"ann@example.org',
        "Ann ann@example.org",
        "a b@example.org",
        ".ann@example.org",
        "ann.@example.org",
        "a..b@example.org",
        '"a"b@example.org',
        '"a"."b"@example.org',
        "ann@example..org",
        "ann@example.org.",
        "ann@[192.0.2.1",
        "ann@[999.0.2.1]",
        "Team: a@x.example",
        "Team: a@x.example;;",
        "Team: Inner: a@x.example;;",
        "Team: a@x.example,;",
        ": a@x.example;",
        "ann@exam\0ple.org",
        "ann@example.org\r\nBcc: x@y",
        "ann@example.org\rbob@example.org",
        "a;b@example.org",
        "ann@exa mple.org",
        "(" * 30 + ")" * 30 + "ann@example.org",
        "a" * 65 + "@example.org",
    ],
)
def test_refused(value: str) -> None:
    with pytest.raises(AddressError):
        texts(value)


def test_octets_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(AddressError, match="UTF-8"):
        texts(b"Andr\xe9 <andre@example.org>")


def test_an_endless_list_is_refused() -> None:
    with pytest.raises(AddressError, match="too long"):
        texts("a@b.example," * 9000)


@pytest.mark.parametrize("more", ["a@b.example,", "<a@b.example>,", "g: a@b.example;,"])
def test_more_than_a_thousand_addresses_are_refused(more: str) -> None:
    assert len(texts(more * 999 + "a@b.example")) == 1000
    with pytest.raises(AddressError, match="too many"):
        texts(more * 1000 + "a@b.example")


def test_a_group_has_no_more_room() -> None:
    with pytest.raises(AddressError, match="too many"):
        texts("g: " + "a@b.example," * 1000 + "a@b.example;")


def test_an_encoded_word_in_an_address_is_letters() -> None:
    assert texts("=?utf-8?q?ann=40example.org?=@example.net") == [
        "=?utf-8?q?ann=40example.org?=@example.net"
    ]


NAMES = st.text('ab"\\<>@,;:() é', max_size=12)
ADDRESSES = st.builds(
    Address.build, st.text('ab.@"\\ é', min_size=1, max_size=20), st.just("example.org")
)


@given(st.lists(st.tuples(NAMES, ADDRESSES), min_size=1, max_size=5))
def test_what_was_rendered_is_read(pairs: list[tuple[str, Address]]) -> None:
    rendered = []
    for name, address in pairs:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        rendered.append(f'"{quoted}" <{address}>' if name else str(address))
    assert list(parse_mailboxes(", ".join(rendered).encode())) == [a for _, a in pairs]


@given(st.text('a@b.c<>"\\(),:; \r\n\t[]é\0', max_size=40))
def test_anything_is_parsed_or_refused(value: str) -> None:
    try:
        found = parse_mailboxes(value.encode())
    except AddressError:
        return
    assert value.count("@") >= len(found)


@pytest.mark.parametrize("hostile", ["(", "(a)", '"', '""', "a ", "a:", "a@b,", "<", "\\", '"\\'])
def test_parsing_takes_linear_time(hostile: str) -> None:
    started = time.process_time()
    with pytest.raises(AddressError):
        texts(hostile * (60_000 // len(hostile)))
    assert time.process_time() - started < 10
