"""The quick ways to a section say the same as the general one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailframe.message.facts import read_facts
from mailframe.protocols.imap.commands import Section, SectionKind, SectionText
from mailframe.servers.imap_sections import answer, answerer, outermost

PIECES = st.sampled_from(
    [
        *(b"From: a\r\n", b"from : b\r\n", b" more\r\n", b"\tfrom: x\r\n", b"To: c"),
        *(b"Fromage: d\r\n", b"X-From: e\r\n", b"From:\0\r\n", b"no colon\r\n"),
        *(b"\r\n", b"\r", b"\n", b":", b"From", b" "),
    ]
)
MESSAGES = st.lists(PIECES, max_size=12).map(b"".join).map(lambda data: _wire(data))
SECTIONS = [
    Section(text=SectionText.HEADER_FIELDS, fields=("FROM", "to")),
    Section(text=SectionText.HEADER_FIELDS, fields=("a.b*", "From")),
    Section(text=SectionText.HEADER_FIELDS_NOT, fields=("FROM", "to")),
    Section(text=SectionText.HEADER),
    Section(text=SectionText.TEXT),
    Section(),
    Section(SectionKind.RFC822),
    Section(text=SectionText.TEXT, partial=(2, 5)),
]


@given(MESSAGES)
def test_same_as_the_general_way(data: bytes) -> None:
    parts = read_facts(data).parts
    for section in SECTIONS:
        assert answerer(section)(data, None) == answer(section, data, parts)


@given(MESSAGES)
def test_the_header_ends_where_the_facts_say(data: bytes) -> None:
    parts = read_facts(data).parts
    assert parts is not None
    found = outermost(data)
    assert (found.header, found.body, found.end) == (parts.header, parts.body, parts.end)


def _wire(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
