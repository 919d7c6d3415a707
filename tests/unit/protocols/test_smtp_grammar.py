"""Arguments of SMTP verbs, xtext, and replies as octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core import status, xtext
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Notify, Return
from mailframe.core.reply import Reply
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.smtp import grammar, parameters
from mailframe.protocols.smtp.replies import render, render_lines


def reply_to(call: object, *arguments: object, **keywords: object) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        call(*arguments, **keywords)  # type: ignore[operator]
    reply = caught.value.reply
    assert reply is not None
    return f"{reply.code} {reply.enhanced}"


# --- MAIL -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "reverse_path"),
    [
        (b"FROM:<>", None),
        (b"from:<a@b.test>", Address("a", "b.test")),
        (b"FROM: <a@B.test>", Address("a", "b.test")),
        (b'FROM:<"a b"@b.test>', Address("a b", "b.test")),
        (b'FROM:<"a>b"@b.test>', Address("a>b", "b.test")),
        (b'FROM:<"a\\"> b"@b.test> SIZE=1', Address('a"> b', "b.test")),
        (b"FROM:<@one.test,@two.test:a@b.test>", Address("a", "b.test")),
        (b"FROM:<@one.test:a@b.test>", Address("a", "b.test")),
        (b"FROM:<a@[192.0.2.1]>", Address("a", "[192.0.2.1]")),
        (b"FROM:<a@[IPv6:2001:db8:0::1]>", Address("a", "[IPv6:2001:db8::1]")),
        ("FROM:<\u03b1@\u03b2.test> SMTPUTF8".encode(), Address("\u03b1", "\u03b2.test")),
    ],
)
def test_reverse_paths(argument: bytes, reverse_path: Address | None) -> None:
    assert parameters.mail(argument, message_size=0).reverse_path == reverse_path


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b"", "501 5.5.4"),
        (b"TO:<a@b.test>", "501 5.5.4"),
        (b"FROM <a@b.test>", "501 5.5.4"),
        (b"FROM:a@b.test", "501 5.1.7"),
        (b"FROM:<a@b.test", "501 5.1.7"),
        (b"FROM:<a>", "501 5.1.7"),
        (b"FROM:<a@>", "501 5.1.7"),
        (b"FROM:<@b.test>", "501 5.1.7"),
        (b"FROM:<@one.test a@b.test>", "501 5.1.7"),
        (b"FROM:<@one.test,two.test:a@b.test>", "501 5.1.7"),
        (b"FROM:<@-:a@b.test>", "501 5.1.7"),
        (b"FROM:<a@b.test>x", "501 5.1.7"),
        (b"FROM:<a@b.test><c@d.test>", "501 5.1.7"),
        (b"FROM:<a b@c.test>", "501 5.1.7"),
        (b"FROM:<\xce\xb1@b.test>", "550 5.6.7"),
        (b"FROM:<\xce@b.test> SMTPUTF8", "501 5.5.2"),
        (b"FROM:<" + b"a" * 65 + b"@b.test>", "501 5.1.7"),
        (b"FROM:<> SIZE", "501 5.5.4"),
        (b"FROM:<> SIZE=-1", "501 5.5.4"),
        (b"FROM:<> SIZE=1 SIZE=1", "501 5.5.4"),
        (b"FROM:<> SIZE=1001", "552 5.3.4"),
        (b"FROM:<> SIZE=999999999999999999999", "501 5.5.4"),
        (b"FROM:<> BODY", "501 5.5.4"),
        (b"FROM:<> BODY=8BIT", "501 5.5.4"),
        (b"FROM:<> RET=ALL", "501 5.5.4"),
        (b"FROM:<> ENVID=" + b"x" * 101, "501 5.5.4"),
        (b"FROM:<> ENVID=+0D+0A", "501 5.5.4"),
        (b"FROM:<> ENVID=a+2", "501 5.5.4"),
        (b"FROM:<> AUTH=a", "501 5.5.4"),
        (b"FROM:<> AUTH", "501 5.5.4"),
        (b"FROM:<> SMTPUTF8=yes", "501 5.5.4"),
        (b"FROM:<> -X=1", "501 5.5.4"),
        (b"FROM:<> X==1", "501 5.5.4"),
        (b"FROM:<> NOTIFY=NEVER", "555 5.5.4"),
        (b"FROM:<> XVERP", "555 5.5.4"),
    ],
)
def test_refused_mail(argument: bytes, reply: str) -> None:
    assert reply_to(parameters.mail, argument, message_size=1000) == reply


def test_parameters_of_mail() -> None:
    envelope = parameters.mail(
        b"FROM:<a@b.test>  size=12 BODY=binarymime RET=HDRS ENVID=x+2Bx AUTH=a+40b.test SMTPUTF8 ",
        message_size=1000,
    )
    assert (envelope.declared_size, envelope.body, envelope.ret) == (
        12,
        Body.BINARY,
        Return.HEADERS,
    )
    assert (envelope.envid, envelope.smtputf8) == ("x+x", True)
    assert envelope.extra == {"AUTH": "a@b.test"}
    assert envelope.recipients == ()


# --- RCPT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"TO:<postmaster>", Address("postmaster", "")),
        (b"to:<POSTMASTER>", Address("postmaster", "")),
        (b"TO:<@a.test:b@c.test>", Address("b", "c.test")),
        (b"TO:<user%other.test@c.test>", Address("user%other.test", "c.test")),
        (b'TO:<"user@other.test"@c.test>', Address("user@other.test", "c.test")),
        (b"TO:<other.test!user@c.test>", Address("other.test!user", "c.test")),
    ],
)
def test_forward_paths(argument: bytes, address: Address) -> None:
    assert parameters.rcpt(argument, smtputf8=False).address == address


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b"TO:<>", "501 5.1.3"),
        (b"TO:<postmaster@>", "501 5.1.3"),
        (b"TO:<a@b.test@c.test>", "501 5.1.3"),
        (b"TO:<a@b.test:c@d.test>", "501 5.1.3"),
        (b"TO:<\xce\xb1@b.test>", "553 5.6.7"),
        (b"TO:<a@b.test> NOTIFY", "501 5.5.4"),
        (b"TO:<a@b.test> NOTIFY=", "501 5.5.4"),
        (b"TO:<a@b.test> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        (b"TO:<a@b.test> NOTIFY=DELAY,DELAY", "501 5.5.4"),
        (b"TO:<a@b.test> NOTIFY=ALWAYS", "501 5.5.4"),
        (b"TO:<a@b.test> ORCPT=a@b.test", "501 5.5.4"),
        (b"TO:<a@b.test> ORCPT=rfc822;a+0Ab", "501 5.5.4"),
        (b"TO:<a@b.test> ORCPT=rfc822;" + b"x" * 500, "501 5.5.4"),
        (b"TO:<a@b.test> ORCPT=utf-8;\\x{D800}", "501 5.5.4"),
        (b"TO:<a@b.test> ORCPT=utf-8;\\x{0A}", "501 5.5.4"),
        (b"TO:<a@b.test> SIZE=1", "555 5.5.4"),
    ],
)
def test_refused_rcpt(argument: bytes, reply: str) -> None:
    assert reply_to(parameters.rcpt, argument, smtputf8=False) == reply


def test_parameters_of_rcpt() -> None:
    recipient = parameters.rcpt(
        b"TO:<a@b.test> notify=success,Delay ORCPT=rfc822;A+2B+40b.test", smtputf8=False
    )
    assert recipient.notify == {Notify.SUCCESS, Notify.DELAY}
    assert recipient.orcpt == "rfc822;A+@b.test"


@pytest.mark.parametrize(
    "spelling", ["utf-8;\\x{3B1}@b.test", "utf-8;\u03b1@b.test", "UTF-8;\\x{03B1}@b.test"]
)
def test_the_spellings_of_an_international_orcpt(spelling: str) -> None:
    argument = f"TO:<a@b.test> ORCPT={spelling}".encode()
    orcpt = parameters.rcpt(argument, smtputf8=True).orcpt
    assert orcpt is not None
    assert orcpt.lower() == "utf-8;\u03b1@b.test"


# --- the rest -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"x", b"[192.0.2.1]", b"host_name.test", b"WIN-PC(1)"])
def test_hello_takes_any_word(name: bytes) -> None:
    assert grammar.helo_name(name, "EHLO") == name.decode()


@pytest.mark.parametrize("name", [b"", b"two words", b"x" * 256, b"\xc3\xa4", b"a\tb"])
def test_hello_takes_no_less_and_no_more(name: bytes) -> None:
    assert reply_to(grammar.helo_name, name, "EHLO") == "501 5.5.4"


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [(b"0", (0, False)), (b"12 LAST", (12, True)), (b"007  last", (7, True))],
)
def test_chunks(argument: bytes, chunk: tuple[int, bool]) -> None:
    assert grammar.chunk(argument) == chunk


@pytest.mark.parametrize(
    "argument", [b"", b"-1", b"1 LAST x", b"LAST", b"1e3", b"9" * 19, b"1LAST"]
)
def test_bad_chunks(argument: bytes) -> None:
    assert reply_to(grammar.chunk, argument) == "501 5.5.4"


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"ann", Address("ann", "")),
        (b"<ann@b.test>", Address("ann", "b.test")),
        ("\u03b1@b.test SMTPUTF8".encode(), Address("\u03b1", "b.test")),
        (b"Ann Other", None),
    ],
)
def test_what_vrfy_asks(argument: bytes, address: Address | None) -> None:
    assert grammar.user_or_address(argument)[0] == address


def test_vrfy_wants_something() -> None:
    assert reply_to(grammar.user_or_address, b"") == "501 5.5.4"
    assert reply_to(grammar.user_or_address, b"\xff") == "501 5.5.4"


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(PRINTABLE)
def test_xtext_there_and_back(text: str) -> None:
    encoded = xtext.encode(text)
    assert xtext.decode(encoded) == text
    assert not set(encoded) & set(" =")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_international_addresses_there_and_back(text: str) -> None:
    encoded = xtext.encode_utf8_address(text)
    assert encoded.isascii()
    assert xtext.decode_utf8_address(encoded) == text


@given(st.binary(max_size=80))
def test_any_argument_is_parsed_or_refused(argument: bytes) -> None:
    refusals: list[Reply | None] = []
    for prefix, parse in (
        (b"FROM:<", lambda text: parameters.mail(text, message_size=10)),
        (b"TO:<", lambda text: parameters.rcpt(text, smtputf8=True)),
        (b"", grammar.user_or_address),
        (b"", grammar.mechanism),
        (b"", grammar.chunk),
    ):
        try:
            parse(prefix + argument)
        except RemoteProtocolError as error:
            refusals.append(error.reply)
    assert None not in refusals


# --- replies --------------------------------------------------------------------------------


def test_replies_on_the_wire() -> None:
    reply = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such\nuser")
    assert render(reply) == b"550-5.1.1 No such\r\n550 5.1.1 user\r\n"
    assert render(reply, reference="ID") == b"550-5.1.1 No such\r\n550 5.1.1 user (ref ID)\r\n"
    assert render(Reply(354, None, "Go")) == b"354 Go\r\n"
    assert render(Reply(250, status.OTHER, ""), reference="ID") == b"250 2.0.0\r\n"
    assert render(Reply(220, None, "")) == b"220 \r\n"
    assert render_lines(250, ["a", "b"]) == b"250-a\r\n250 b\r\n"


def test_control_characters_are_not_said() -> None:
    reply = Reply(550, status.OTHER, "a\x1b[2J\x07\tb\nc\x7f\x85")
    assert render(reply) == b"550-5.0.0 a?[2J?\tb\r\n550 5.0.0 c??\r\n"
    assert render(reply, utf8=True) == render(reply)


def test_other_characters_than_ascii_need_leave() -> None:
    reply = Reply(550, status.OTHER, "n\u00f6")
    assert render(reply) == b"550 5.0.0 n?\r\n"
    assert render(reply, utf8=True) == "550 5.0.0 n\u00f6\r\n".encode()


@given(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), st.booleans())
def test_no_reply_line_is_too_long(text: str, utf8: bool) -> None:
    # RFC 5321 section 4.5.3.1.5
    data = render(Reply(550, status.OTHER, text * 20), reference="REFERENCE", utf8=utf8)
    lines = data.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 510 and line[:3] == b"550" for line in lines)
    assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
