"""Mail beyond ASCII through the whole server: addresses in Greek, and 8-bit content that a
next hop cannot take (RFC 6531, 6532, 6533, 6856 and RFC 6152)."""

from __future__ import annotations

import base64
import contextlib
import email
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.pop3 import Pop3
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir
from tests.interop.peers.sink import Sink

ANN = "ann@mf.test"
MARIA, MARIA_ASCII = "μαρία@δοκιμή.test", "μαρία@xn--jxalpdlp.test"
FIELD = "xn--kxajc6bb.test"  # πεδίο.test


def greek(author: str) -> bytes:
    return f"From: {author}\r\nSubject: Καλημέρα\r\n\r\nΓεια σου!\r\n".encode()


GREEK = greek(ANN)
PLAIN = b"From: ann@mf.test\r\nSubject: plain\r\n\r\nHello\r\n"


@dataclass
class House:
    mailframe: Mailframe
    plain: Sink
    """Takes neither SMTPUTF8 nor 8BITMIME."""
    postfix: Postfix
    """Takes both."""

    def send(
        self, sender: str, recipient: str, message: bytes, options: tuple[str, ...], user: str = ""
    ) -> tuple[int, bytes]:
        """Submit; the answer to the first command that was refused, or the last one."""
        with self.mailframe.smtp("submission") as client:
            client.starttls(context=any_certificate())
            client.ehlo("client.test")
            client.command_encoding = "utf-8"
            log_in(client, user or ANN)
            code, text = client.mail(sender, options)
            if code == 250:
                code, text = client.rcpt(recipient)
            return client.data(message) if code == 250 else (code, text)


def log_in(client: smtplib.SMTP, user: str) -> None:
    """smtplib's own speaks ASCII only."""
    token = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
    code, text = client.docmd("AUTH", f"PLAIN {token}")
    assert code == 235, text


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(workdir("utf8"))
        for name in ("mailframe", "postfix"):
            (path / name).mkdir()
        plain = Sink(eight_bit=False)
        stack.callback(plain.stop)
        postfix = Postfix(path / "postfix", loopback_address(), free_port(), "mx.pf.test")
        stack.callback(postfix.stop)
        postfix.start(mailboxes=["ελένη@pf.test", "bea@pf.test"])
        mailframe = Mailframe(path / "mailframe", loopback_address())
        mailframe.configure(
            routes={
                "plain.test": plain.url,
                "πεδίο.test": plain.url,
                "pf.test": f"smtp://{postfix.address}:{postfix.port}",
            },
        )
        mailframe.add_users(ANN, MARIA)
        mailframe.cli("alias", "add", "όλοι@δοκιμή.test", MARIA, ANN)
        stack.callback(mailframe.stop)
        mailframe.start()
        yield House(mailframe, plain, postfix)
        assert mailframe.tracebacks == []


def inbox_count(house: House, user: str) -> int:
    with Pop3(house.mailframe, user, "UTF8") as session:
        return len(session.sizes())


# -- addresses here -------------------------------------------------------------------


@pytest.mark.parametrize("recipient", [MARIA, MARIA_ASCII, "ΜΑΡΊΑ@ΔΟΚΙΜΉ.test"])
def test_a_greek_address_here(house: House, recipient: str) -> None:
    code, text = house.send(ANN, recipient, GREEK, ("SMTPUTF8", "BODY=8BITMIME"))
    assert code == 250, text
    wait_until(lambda: inbox_count(house, MARIA) == 1, "it arrives")
    with Pop3(house.mailframe, MARIA, "UTF8") as session:
        (made,) = session.everything()
    assert made.endswith(GREEK)
    assert "with UTF8SMTPSA" in header(made, "Received")[0]


def test_without_smtputf8_a_greek_address_is_refused(house: House) -> None:
    code, text = house.send(ANN, MARIA, PLAIN, ())
    assert (code, text[:6]) == (553, b"5.6.7 ")


def test_a_greek_alias(house: House) -> None:
    assert house.send(ANN, "όλοι@δοκιμή.test", GREEK, ("SMTPUTF8",))[0] == 250
    wait_until(lambda: inbox_count(house, MARIA) == 1, "Maria has it")
    with Pop3(house.mailframe, MARIA, "UTF8") as session:
        assert session.everything()[0].endswith(GREEK)
    wait_until(lambda: inbox_count(house, ANN) == 1, "Ann has it")


def test_a_client_without_utf8_mode_gets_it_as_it_is(house: House) -> None:
    """As from Dovecot: 8-bit header fields are older than UTF8 mode, and clients cope."""
    take_all(house, ANN)
    assert house.send(ANN, ANN, GREEK, ("SMTPUTF8",))[0] == 250
    wait_until(lambda: inbox_count(house, ANN) == 1, "it arrives")
    with Pop3(house.mailframe, ANN) as session:
        made = session.retrieve(1)
    assert made.endswith(GREEK)


def take_all(house: House, user: str) -> None:
    with Pop3(house.mailframe, user, "UTF8") as session:
        session.everything()


# -- addresses elsewhere --------------------------------------------------------------


def test_to_a_next_hop_that_takes_it(house: House) -> None:
    code, text = house.send(
        MARIA, "ελένη@pf.test", greek(MARIA), ("SMTPUTF8", "BODY=8BITMIME"), MARIA
    )
    assert code == 250, text
    wait_until(lambda: house.postfix.inbox("ελένη@pf.test"), "it arrives")
    (made,) = house.postfix.inbox("ελένη@pf.test")
    assert made.replace(b"\n", b"\r\n").endswith(greek(MARIA))


@pytest.mark.parametrize(
    ("sender", "recipient", "message"),
    [
        (MARIA, "carl@plain.test", greek(MARIA)),
        (ANN, "κάρολος@plain.test", PLAIN),
        (ANN, "carl@plain.test", b"From: ann@mf.test\r\nSubject: \xce\xb1\r\n\r\nx\r\n"),
    ],
    ids=["sender", "recipient", "header"],
)
def test_to_one_that_does_not_it_bounces(
    house: House, sender: str, recipient: str, message: bytes
) -> None:
    before = len(house.plain.messages)
    take_all(house, sender)
    user = MARIA if sender == MARIA else ""
    code, text = house.send(sender, recipient, message, ("SMTPUTF8",), user)
    assert code == 250, text
    wait_until(lambda: inbox_count(house, sender) == 1, "the report arrives")
    with Pop3(house.mailframe, sender, "UTF8") as session:
        (made,) = session.everything()
    assert b"Status: 5.6.7" in made
    assert b"553 5.6.7" in made
    # RFC 6533: its parts say in which form the addresses are
    kinds = [part.get_content_type() for part in email.message_from_bytes(made).walk()]
    assert kinds[0] == "multipart/report"
    assert kinds[2] in ("message/delivery-status", "message/global-delivery-status")
    assert len(house.plain.messages) == before


@pytest.mark.parametrize("recipient", ["carl@πεδίο.test", "carl@ΠΕΔΊΟ.test", f"carl@{FIELD}"])
def test_a_domain_goes_in_its_ascii_form(house: House, recipient: str) -> None:
    options = () if recipient.isascii() else ("SMTPUTF8",)
    before = len(house.plain.messages)
    code, text = house.send(ANN, recipient, PLAIN, options)
    assert code == 250, text
    wait_until(lambda: len(house.plain.messages) > before, "it arrives")
    assert house.plain.messages[-1].recipients == [f"carl@{FIELD}"]


# -- 8-bit content --------------------------------------------------------------------


def part(kind: str, content: str, encoding: str = "8bit") -> str:
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return f"{head}\r\n{content}"


GREEK_TEXT = "Γεια σου, κόσμε. Τι κάνεις;\r\n" * 20
MOSTLY_ASCII = "a naïve text, nearly all of it ASCII, with some = signs\r\n" * 20


def message(*parts: str, subtype: str = "mixed") -> bytes:
    head = f"From: {ANN}\r\nSubject: 8 bit\r\nMIME-Version: 1.0\r\n"
    if len(parts) == 1:
        return (head + parts[0]).encode()
    head += f'Content-Type: multipart/{subtype}; boundary="b"\r\n\r\n'
    body = "".join(f"--b\r\n{one}\r\n" for one in parts)
    return f"{head}{body}--b--\r\n".encode()


TEXT = "text/plain; charset=utf-8"
NESTED = part("message/rfc822", "Subject: x\r\n" + part(TEXT, MOSTLY_ASCII), "8bit")


@pytest.mark.parametrize(
    "sent",
    [
        message(part(TEXT, GREEK_TEXT)),
        message(part(TEXT, MOSTLY_ASCII)),
        message(part(TEXT, GREEK_TEXT), part("text/html; charset=utf-8", MOSTLY_ASCII)),
        message(part(TEXT, "ascii\r\n", "7bit"), NESTED),
        b"From: ann@mf.test\r\nSubject: no MIME at all\r\n\r\n\xe9\xe8\r\n.\r\n..\r\n",
    ],
    ids=["greek", "mostly ascii", "multipart", "nested", "no mime"],
)
def test_8_bit_content_arrives_encoded(house: House, sent: bytes) -> None:
    before = len(house.plain.messages)
    assert house.send(ANN, "carl@plain.test", sent, ("BODY=8BITMIME",))[0] == 250
    wait_until(lambda: len(house.plain.messages) > before, "it arrives")
    made = house.plain.messages[-1]
    assert made.content.isascii()
    assert "BODY=8BITMIME" not in made.mail_options
    assert decoded(made.content) == decoded(sent)


def decoded(data: bytes) -> list[object]:
    parsed = email.message_from_bytes(data)
    return [one.get_payload(decode=True) for one in parsed.walk() if not one.is_multipart()]


def test_a_signed_part_is_never_touched(house: House) -> None:
    take_all(house, ANN)
    before = len(house.plain.messages)
    signature = "Content-Type: application/pgp-signature\r\n\r\nx\r\n"
    signed = message(part(TEXT, MOSTLY_ASCII), signature, subtype="signed")
    assert house.send(ANN, "carl@plain.test", signed, ("BODY=8BITMIME",))[0] == 250
    wait_until(lambda: inbox_count(house, ANN) == 1, "the report arrives")
    with Pop3(house.mailframe, ANN, "UTF8") as session:
        (made,) = session.everything()
    assert b"Status: 5.6.3" in made
    text = email.message_from_bytes(made).get_payload(0).get_payload()  # type: ignore[union-attr]
    assert "signed or encrypted part" in " ".join(str(text).split())
    assert len(house.plain.messages) == before


def test_a_signed_part_in_ascii_goes_as_it_is(house: House) -> None:
    before = len(house.plain.messages)
    signature = "Content-Type: application/pgp-signature\r\n\r\nx\r\n"
    signed = part("text/plain", "plain \r\n-- \r\n", "7bit")
    sent = message(
        f'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n{signed}\r\n--s\r\n'
        f"{signature}--s--\r\n",
        part(TEXT, GREEK_TEXT),
    )
    assert house.send(ANN, "carl@plain.test", sent, ("BODY=8BITMIME",))[0] == 250
    wait_until(lambda: len(house.plain.messages) > before, "it arrives")
    made = house.plain.messages[-1].content
    assert signed.encode() in made
    assert made.isascii()
    assert decoded(made) == decoded(sent)


def test_8_bit_content_stays_where_it_is_taken(house: House) -> None:
    sent = message(part(TEXT, GREEK_TEXT))
    assert house.send(ANN, "bea@pf.test", sent, ("BODY=8BITMIME",))[0] == 250
    wait_until(lambda: house.postfix.inbox("bea@pf.test"), "it arrives")
    (made,) = house.postfix.inbox("bea@pf.test")
    assert GREEK_TEXT.encode() in made.replace(b"\n", b"\r\n")
