from __future__ import annotations

import base64
import email
import email.message
import io
import quopri
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.core.envelope import Body
from mailframe.message.downgrade import (
    MAX_PARTS,
    ConversionRefused,
    Converter,
    Survey,
    Surveyor,
    convert,
    surveyed,
)
from mailframe.message.structure import MAX_ENTITIES


def survey_of(message: bytes) -> Survey:
    return surveyed(io.BytesIO(message))


def converted(message: bytes, allowed: Body = Body.SEVEN_BIT) -> bytes:
    sink = io.BytesIO()
    convert(io.BytesIO(message), sink, survey_of(message), allowed)
    return sink.getvalue()


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def part(kind: str, body: bytes, encoding: str = "8bit") -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def multipart(boundary: str, *parts: bytes, kind: str = "mixed", head: bytes = b"") -> bytes:
    lines = [head + f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n'.encode()]
    lines += [f"--{boundary}".encode() + b"\r\n" + one for one in parts]
    return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""])


MIME = b"From: ann@example.org\r\nMIME-Version: 1.0\r\n"


def test_seven_bit_needs_nothing_and_passes_unchanged() -> None:
    message = MIME + part("text/plain", b"plain\r\n", "7bit")
    assert not survey_of(message).needs_conversion(Body.SEVEN_BIT)
    assert converted(message) == message


def test_text_becomes_quoted_printable_and_nothing_else_changes() -> None:
    message = MIME + wire(
        "Content-Type: text/plain; charset=utf-8\nX-Content-Transfer-Encoding: 8bit\n"
        "Content-Transfer-Encoding: 8bit\nSubject: hi\n\nnaïve = 1 \nFrom here\n.\n"
    )
    assert survey_of(message).needs_conversion(Body.SEVEN_BIT)
    assert not survey_of(message).needs_conversion(Body.EIGHT_BIT)
    assert converted(message) == MIME + wire(
        "Content-Type: text/plain; charset=utf-8\nX-Content-Transfer-Encoding: 8bit\n"
        "Content-Transfer-Encoding: quoted-printable\nSubject: hi\n\n"
        "na=C3=AFve =3D 1=20\nFrom here\n=2E\n"
    )


def test_greek_text_and_binary_become_base64() -> None:
    text = wire("καλημέρα κόσμε\n" * 3)
    made = converted(MIME + part("text/plain; charset=utf-8", text))
    assert b"Content-Transfer-Encoding: base64\r\n" in made
    assert base64.b64decode(made.split(b"\r\n\r\n", 1)[1]) == text
    assert made.endswith(b"\r\n")
    made = converted(MIME + part("image/png", b"\x89PNG mostly ascii" * 9))
    assert b"Content-Transfer-Encoding: base64\r\n" in made


def test_a_message_without_mime_gets_what_its_encoding_needs() -> None:
    made = converted(b"Subject: x\r\n\r\ncaf\xe9 au lait\r\n")
    assert made == (
        b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=unknown-8bit\r\n\r\ncaf=E9 au lait\r\n"
    )


def test_only_the_parts_that_need_it_change() -> None:
    ascii_part = part("text/plain", b"as  it is\t\r\nhere", "7bit")
    encoded = part("image/gif", b"R0lGODlhAQABAAAAACw=", "base64")
    message = multipart(
        "b", ascii_part, part("text/html", "<p>é is one</p>".encode()), encoded, head=MIME
    )
    expected = multipart(
        "b",
        ascii_part,
        part("text/html", b"<p>=C3=A9 is one</p>", "quoted-printable"),
        encoded,
        head=MIME,
    )
    assert converted(message) == expected


def test_labels_above_and_beside_are_lowered() -> None:
    head = MIME + b"Content-Transfer-Encoding: 8bit\r\n"
    made = converted(
        multipart("b", part("text/plain", b"ascii"), part("text/plain", b"\xe9"), head=head)
    )
    assert made.count(b"Content-Transfer-Encoding: 7bit") == 2
    assert b"8bit" not in made


def test_a_forwarded_message_is_converted_within() -> None:
    inner = part("text/plain; charset=iso-8859-1", b"caf\xe9 noir tous les jours\r\n")
    message = MIME + part("message/rfc822", MIME + inner)
    made = converted(message)
    assert b"Content-Transfer-Encoding: 7bit\r\n\r\nFrom: ann@" in made
    assert b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9" in made


def test_parts_of_a_digest_are_messages() -> None:
    message = multipart(
        "d", b"\r\nSubject: 1\r\n\r\n\xe9t\xe9 en ao\xfbt a Paris\r\n", kind="digest", head=MIME
    )
    made = converted(message)
    assert made.isascii()
    assert b"\r\nSubject: 1\r\nContent-Transfer-Encoding: " in made


@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_a_signed_part_is_never_touched(kind: str) -> None:
    inner = multipart("i", part("text/plain", b"\xe9"))
    message = multipart(
        "o", inner, part("application/pgp-signature", b"x", "7bit"), kind=kind, head=MIME
    )
    with pytest.raises(ConversionRefused, match="signed"):
        converted(message)


def test_a_signed_part_beside_the_8_bit_one_keeps_every_octet() -> None:
    signed = multipart("s", part("text/plain", b"ascii, labelled wrongly"), kind="signed")
    message = multipart("o", signed, part("text/plain", b"\xe9"), head=MIME)
    assert signed.split(b"\r\n", 1)[1] in converted(message)


@pytest.mark.parametrize("kind", ["message/partial; id=1; number=1", "message/external-body"])
def test_types_that_must_be_7bit_are_refused(kind: str) -> None:
    with pytest.raises(ConversionRefused, match=kind.split(";")[0]):
        converted(MIME + part(kind, b"\xe9"))


@pytest.mark.parametrize(
    "message",
    [
        "Subject: é\n\nx\n".encode(),
        MIME + part("message/rfc822", b"Subject: \xe9\r\n\r\nx"),
        multipart("b", part("text/plain; name=\xe9", b"x"), head=MIME),
    ],
)
def test_8_bit_headers_are_refused_though_bodies_are_fine(message: bytes) -> None:
    message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert survey_of(message).eight_bit_header
    with pytest.raises(ConversionRefused, match="header"):
        converted(message)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode"])
def test_a_part_that_lies_about_its_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(ConversionRefused, match="encoding"):
        converted(MIME + part("text/plain", b"\xe9", encoding))


def test_a_multipart_without_boundary_is_refused_when_8_bit_and_kept_otherwise() -> None:
    with pytest.raises(ConversionRefused, match="apart"):
        converted(MIME + part("multipart/mixed", b"--x\r\n\r\n\xe9\r\n--x--\r\n"))
    message = MIME + part("multipart/mixed", b"--x\r\n\r\ne\r\n--x--\r\n", "7bit")
    assert converted(message) == message


def test_below_a_header_with_stray_lines_nothing_is_encoded() -> None:
    with pytest.raises(ConversionRefused, match="no fields"):
        converted(b"Subject: x\r\nthis is no field\r\n\r\n\xe9\r\n")


def test_preamble_and_epilogue_with_8_bit_are_left_out() -> None:
    body = multipart("b", part("text/plain", b"x", "7bit"))
    head, rest = body.split(b"\r\n", 1)
    message = MIME + head + b"\r\n\r\nCeci est \xe9crit\r\n" + rest.lstrip() + b"fin\xe9e\r\n"
    assert converted(message) == MIME + head + b"\r\n\r\n" + rest.lstrip()


def test_one_boundary_may_begin_like_another() -> None:
    inner = multipart(
        "bb", part("text/plain", b"--b--x\r\n--bbb\r\n\xe9"), part("text/plain", b"2\xe9")
    )
    message = multipart("b", inner, part("text/plain", b"3\xe9"), head=MIME)
    made = email.message_from_bytes(converted(message))
    payloads = [p.get_payload(decode=True) for p in made.walk() if not p.is_multipart()]
    assert payloads == [b"--b--x\r\n--bbb\r\n\xe9", b"2\xe9", b"3\xe9"]


def test_an_outer_delimiter_ends_what_was_left_open() -> None:
    broken = b'Content-Type: multipart/mixed; boundary="i"\r\n\r\n--i\r\n\r\n1\xe9'
    message = multipart("o", broken, part("text/plain", b"2\xe9"), head=MIME)
    made = email.message_from_bytes(converted(message))
    payloads = [p.get_payload(decode=True) for p in made.walk() if not p.is_multipart()]
    assert payloads == [b"1\xe9", b"2\xe9"]


def test_a_truncated_message_keeps_what_it_has() -> None:
    whole = multipart("b", part("text/plain", "é ünd ö\r\n".encode() * 9), head=MIME)
    # cut between CR and LF it ends in a bare CR, which is another fault
    for length in [n for n in range(len(whole)) if whole[n - 1 : n] != b"\r"]:
        made = converted(whole[:length])
        assert made.isascii()


@pytest.mark.parametrize("allowed", [Body.SEVEN_BIT, Body.EIGHT_BIT])
@pytest.mark.parametrize("body", [b"a\0b", b"a\nb", b"a\rb", b"a\r", b"x" * 999])
def test_binary_is_encoded_for_either_kind_of_host(body: bytes, allowed: Body) -> None:
    message = MIME + part("application/x", body, "binary")
    assert survey_of(message).needs_conversion(allowed, declared=Body.BINARY)
    made = converted(message, allowed)
    assert base64.b64decode(made.split(b"\r\n\r\n", 1)[1]) == body
    text = MIME + part("text/plain", body, "binary")
    made = converted(text, allowed)
    assert quopri.decodestring(made.split(b"\r\n\r\n", 1)[1]) == body


def test_nothing_helps_a_binary_header_within() -> None:
    message = MIME + part("message/rfc822", b"Subject: a\0b\r\n\r\nx\r\n")
    survey = survey_of(message)
    assert survey.needs_conversion(Body.EIGHT_BIT)
    with pytest.raises(ConversionRefused, match="header"):
        converted(message, Body.EIGHT_BIT)


def test_binary_label_becomes_8bit_where_that_is_true() -> None:
    other = part("application/x", b"\0", "binary")
    message = multipart("b", part("text/plain", b"\xe9", "binary"), other, head=MIME)
    made = converted(message, Body.EIGHT_BIT)
    assert part("text/plain", b"\xe9", "8bit") in made
    assert b"\0" not in made


def test_long_lines_alone_bother_nobody_but_are_wrapped_on_the_way() -> None:
    message = MIME + part("text/plain", b"x" * 2000 + b"\r\n")
    assert not survey_of(message).needs_conversion(Body.SEVEN_BIT)
    mixed = multipart("b", part("text/plain", b"x" * 2000), part("text/plain", b"\xe9"), head=MIME)
    assert max(map(len, converted(mixed).split(b"\r\n"))) <= 78


def test_a_header_without_end_is_not_read_for_ever() -> None:
    endless = b"Subject: x\r\n" + b"X-A: b\r\n" * 200_000
    assert converted(endless) == endless
    with pytest.raises(ConversionRefused):
        converted(endless + b"\r\n\xe9\r\n")


def test_too_many_parts_are_refused() -> None:
    # three regions each: preamble, part, epilogue
    inner = multipart("i", b"\r\n\xe9").replace(b"--i\r\n", b"\r\n\xe9\r\n--i\r\n", 1) + b"\xe9"
    message = multipart("b", *[inner] * (MAX_PARTS // 3 + 1), head=MIME)
    with pytest.raises(ConversionRefused, match="too many"):
        converted(message)


def test_past_the_last_entity_that_is_looked_at_nothing_is_taken_apart() -> None:
    parts = [b"\r\nplain"] * (MAX_ENTITIES + 5)
    message = multipart("b", *parts, head=MIME)
    assert converted(message) == message
    with pytest.raises(ConversionRefused, match="taken apart"):
        converted(multipart("b", *parts, b"\r\n\xe9", head=MIME))


@pytest.mark.parametrize("allowed", [Body.SEVEN_BIT, Body.EIGHT_BIT])
def test_a_signed_part_beyond_that_is_kept(allowed: Body) -> None:
    signed = multipart("s", b"\r\n\r\0", kind="signed")
    message = multipart("b", *[b"\r\nplain"] * MAX_ENTITIES, signed, head=MIME)
    with pytest.raises(ConversionRefused):
        converted(message, allowed)


@pytest.mark.parametrize(
    "unit",
    [
        b"--n98\r\n\r\n\xe9\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--n97\r\n",
    ],
)
def test_what_consists_of_entities_is_not_looked_at_for_long(unit: bytes) -> None:
    depth = b"".join(
        b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (n, n) for n in range(99)
    )
    started = time.process_time()
    survey_of(depth + unit * (8_000_000 // len(unit)))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("line", [b"--\r\n", b"--b\r\n\r\n", b"\r\n--", b"--b--\r\n", b"-", b"\r"])
def test_hostile_repetition_takes_linear_time(line: bytes) -> None:
    depth = b"".join(
        b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (n, n) for n in range(150)
    )
    started = time.process_time()
    surveyor = Surveyor()
    data = depth + line * (2_000_000 // len(line))
    for at in range(0, len(data), 4096):
        surveyor.feed(data[at : at + 4096])
    surveyor.finish()
    assert time.process_time() - started < 15


def test_nothing_is_converted_to_binary() -> None:
    with pytest.raises(ValueError, match="BINARYMIME"):
        Converter(survey_of(b"\r\n"), Body.BINARY)
    assert not survey_of(b"\r\na\0b").needs_conversion(Body.BINARY)


# -- properties -----------------------------------------------------------------------

TEXT = st.text(alphabet="ab =.\té\u03b1-", max_size=120).map(str.encode)
LINES = st.lists(TEXT, max_size=6).map(b"\r\n".join)
BINARY = st.binary(max_size=300)
LEAF = st.tuples(
    st.sampled_from(["text/plain", "text/html; charset=utf-8", "application/octet-stream"]),
    st.one_of(LINES, BINARY, TEXT.map(lambda one: one * 40)),
    st.sampled_from(["8bit", "binary", "7bit"]),
)
TREE = st.recursive(LEAF, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=8)


def render(tree: object, depth: int = 0) -> bytes:
    if isinstance(tree, tuple):
        kind, body, encoding = tree
        return part(kind, body, encoding)
    assert isinstance(tree, list)
    return multipart("=b" * (depth + 1), *[render(branch, depth + 1) for branch in tree])


def leaves(tree: object) -> list[bytes]:
    if isinstance(tree, tuple):
        return [tree[1]]
    assert isinstance(tree, list)
    return [leaf for branch in tree for leaf in leaves(branch)]


def decoded(message: email.message.Message) -> list[bytes]:
    found = []
    for one in message.walk():
        if not one.is_multipart():
            payload = one.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append(payload)
    return found


@settings(max_examples=300, deadline=None)
@given(
    tree=TREE, allowed=st.sampled_from([Body.SEVEN_BIT, Body.EIGHT_BIT]), size=st.integers(1, 99)
)
def test_every_part_decodes_to_what_it_was(tree: object, allowed: Body, size: int) -> None:
    message = MIME + render(tree)
    made = converted(message, allowed)
    if allowed is Body.SEVEN_BIT:
        assert made.isascii()
    assert b"\0" not in made
    assert made.count(b"\r") == made.count(b"\n") == made.count(b"\r\n")
    assert all(len(line) <= 998 for line in made.split(b"\r\n"))
    assert decoded(email.message_from_bytes(made)) == leaves(tree)
    # any split gives the same
    converter = Converter(survey_of(message), allowed)
    pieces = [converter.feed(message[at : at + size]) for at in range(0, len(message), size)]
    assert b"".join([*pieces, converter.finish()]) == made
    # what was converted needs no conversion
    assert not survey_of(made).needs_conversion(allowed, declared=Body.BINARY)
    assert converted(made, allowed) == made


@given(
    message=st.lists(
        st.sampled_from(
            [
                b"\r\n",
                b"\r",
                b"\n",
                b"--b",
                b"--",
                b"\xe9",
                b"\0",
                b"Content-Type: multipart/mixed; boundary=b",
                b"Content-Type: message/rfc822",
                b"Content-Transfer-Encoding: 8bit",
                b"x",
                b": ",
                b" ",
                b"Content-Type: multipart/digest; boundary=--b",
            ]
        )
    ).map(b"".join)
)
def test_any_octets_are_converted_or_refused(message: bytes) -> None:
    for allowed in (Body.SEVEN_BIT, Body.EIGHT_BIT):
        try:
            made = converted(message, allowed)
        except ConversionRefused:
            continue
        assert allowed is Body.EIGHT_BIT or made.isascii()
        assert not survey_of(made).needs_conversion(allowed)
