"""New messages, whatever is in them: readers who are not ours get back what was written."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from hypothesis import example, given
from hypothesis import strategies as st

from mailframe.core.address import Address, AddressError
from mailframe.message.composing import file_part, multipart, text_part
from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import decode_header
from mailframe.message.field_writing import addresses_field, parameters_field, text_field
from mailframe.message.headers import fields
from mailframe.message.mailboxes import parse_mailboxes

# Anything but what is refused.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=200)
# The library takes control characters in names for line ends, or for blanks.
shown = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    local_part = draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
    try:
        return Address.build(local_part[:20], draw(st.sampled_from(["b.example", "ö.example"])))
    except AddressError:
        return Address.build("ann", "b.example")


def read(data: bytes) -> EmailMessage:
    found = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def value(field: bytes) -> bytes:
    (found,) = fields(field)
    assert found.raw == field
    assert field.endswith(b"\r\n")
    assert all(len(line) <= 998 for line in field.split(b"\r\n"))
    return found.value


@given(texts)
@example("=?utf-8?q??=")
@example("a" * 76 + "é")
def test_subjects_read_by_us(text: str) -> None:
    assert decode_header(value(text_field("Subject", text))) == text


@given(shown)
@example("=?utf-8?q?x?= y")
@example("\U0001f600" * 40)
def test_subjects_read_by_the_library(text: str) -> None:
    assert read(text_field("Subject", text) + b"\r\n").get("Subject", "") == text


@given(st.lists(st.tuples(shown, addresses()), min_size=1, max_size=5))
@example([("Smith, Ann <x@evil.example>", Address("ann", "b.example"))])
@example([('"', Address('a"b', "b.example"))])
@example([("Żółć, " * 30, Address("ann", "b.example"))])
def test_addresses(people: list[tuple[str, Address]]) -> None:
    field = addresses_field("To", [(name, str(address)) for name, address in people])
    assert list(parse_mailboxes(value(field))) == [address for _, address in people]


@given(st.lists(shown.filter(str.strip), min_size=1, max_size=4))
@example(["Żółć, " * 30])
@example(["a@b.example"])
def test_names_read_by_the_library(names: list[str]) -> None:
    field = addresses_field("To", [(name, "ann@b.example") for name in names])
    found = read(field + b"\r\n")["To"].addresses
    assert [each.addr_spec for each in found] == ["ann@b.example"] * len(names)
    # It takes runs of blanks in a quoted string for one, and shows the line end between two
    # encoded words of a name as a blank, against RFC 2047 section 6.2.
    assert ["".join(each.display_name.split()) for each in found] == [
        "".join(name.split()) for name in names
    ]


@given(texts.filter(bool))
@example("%41*'\"\\;=")
@example("a" * 60 + "ω" * 60)
def test_parameters(name: str) -> None:
    field = parameters_field("Content-Disposition", "attachment", [("filename", name)])
    found = parse_content_type(b"x/" + value(field).strip()).parameters["filename"]
    assert found.encode("latin-1").decode() == name


@given(st.text(max_size=2_000))
@example("x" * 5_000)
@example("\r\n.\r\n")
@example("--=_0--\n")
def test_texts(text: str) -> None:
    clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    lines = clean.replace("\r\n", "\n").replace("\r", "\n")
    whole = bytes(multipart("mixed", [text_part(text), file_part(text.encode(), "image/png")]))
    assert whole.isascii()
    assert max(map(len, whole.split(b"\r\n"))) <= 78
    plain, file = read(whole).iter_parts()
    found = plain.get_content().replace("\r\n", "\n")
    assert found == (lines if lines.endswith("\n") or not lines else f"{lines}\n")
    assert file.get_content() == text.encode()
