"""What applications send, through programs that are not ours: signed by dkimpy, taken by Postfix,
shown by Dovecot. Nothing on the way has a reason to change an octet."""

from __future__ import annotations

import base64
import imaplib
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailframe.hooks.outgoing import Letter
from mailframe.hooks.replies import new_mail
from tests.interop.peers.dovecot import PASSWORD, Dovecot
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir
from tests.unit.hooks.mailbag import letter_of, message, server

ANN = "ann@pf.test"
ODD = "From here\n.\n..\n \t\n=20 =\n" + "long " * 400 + "\n" + "x" * 3_000


def letters() -> dict[str, Letter]:
    """Each on its own is for ANN."""
    forwarded = message("Subject: theme\r\n\r\nκείμενο\r\n".encode()).forward(
        ANN, note="δείτε", as_attachment=True
    )
    made: dict[str, dict[str, Any]] = {
        "ascii": {"subject": "Hello", "text": "Hello\n.\nthere"},
        "greek": {"subject": "Καλημέρα σας " * 12, "text": "Ευχαριστούμε\n" * 50},
        "odd": {"subject": "=?utf-8?q?no?=  two  blanks", "text": ODD},
        "html": {"subject": "h", "html": "<p>Γεια σου</p>", "attachments": [("α.bin", b"\0\r\n.")]},
        "names": {"to": f'"Smith, Ann (x)" <{ANN}>', "subject": "n", "text": "", "cc": [ANN]},
    }
    found = {
        name: new_mail(server(), **({"to": ANN, "from_": "Κατάστημα <a@shop.test>"} | more))
        for name, more in made.items()
    }
    return found | {"reply": letter_of(message().reply("ok", to=ANN)), "8bit": letter_of(forwarded)}


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with workdir("replies") as path:
        address = loopback_address()
        made = Postfix(path, address, free_port(address), "pf.test")
        made.start(mailboxes=[ANN])
        yield made
        made.stop()


def deliver(postfix: Postfix, letter: Letter, content: bytes) -> bytes:
    before = len(postfix.inbox(ANN))
    with smtplib.SMTP(postfix.address, postfix.port) as client:
        client.ehlo()
        client.mail(str(letter.reverse_path or ""), [] if content.isascii() else ["BODY=8BITMIME"])
        for recipient in letter.recipients:
            assert client.rcpt(str(recipient))[0] == 250
        assert client.data(content)[0] == 250
    wait_until(lambda: len(postfix.inbox(ANN)) > before, "Postfix delivers")
    return postfix.inbox(ANN)[-1].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def signed(content: bytes) -> tuple[bytes, bytes]:
    """With a signature on top, and the key's record."""
    dkim = pytest.importorskip("dkim")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fields = [b"from", b"to", b"subject", b"message-id", b"content-type", b"mime-version"]
    signature = dkim.sign(
        content,
        b"s1",
        b"shop.test",
        pem,
        canonicalize=(b"simple", b"simple"),
        include_headers=fields,
    )
    return signature + content, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


@pytest.mark.parametrize("name", letters())
def test_a_simple_signature_survives_the_way(postfix: Postfix, name: str) -> None:
    dkim = pytest.importorskip("dkim")
    letter = letters()[name]
    content, record = signed(letter.content)
    arrived = deliver(postfix, letter, content)
    assert content in arrived
    assert dkim.verify(arrived, dnsfunc=lambda *_, **__: record)


def test_dovecot_shows_what_was_meant(postfix: Postfix, tmp_path: Path) -> None:
    maildir = tmp_path / "Maildir"
    for folder in ("new", "tmp", "cur"):
        (maildir / folder).mkdir(parents=True)
    for number, (name, letter) in enumerate(letters().items()):
        (maildir / "new" / f"{number}.{name}").write_bytes(letter.content.replace(b"\r\n", b"\n"))
    with workdir("dovecot") as path:
        dovecot = Dovecot(path)
        dovecot.start(maildir)
        try:
            with imaplib.IMAP4(dovecot.address, dovecot.imap_port) as client:
                client.login("ann", PASSWORD)
                client.select("INBOX")
                shown = {n: lines(client, n) for n in range(1, len(letters()) + 1)}
        finally:
            dovecot.stop()
    by_name = dict(zip(letters(), shown.values(), strict=True))
    assert b'("Smith, Ann (x)" NIL "ann" "pf.test")' in by_name["names"]
    assert b'"Re: My order"' in by_name["reply"]
    assert b'"<1@example.org>"' in by_name["reply"]
    assert b'"alternative"' in by_name["html"].lower()
    assert b'"message" "rfc822"' in by_name["8bit"].lower()
    assert all(b"MISSING" not in each for each in shown.values())


def lines(client: imaplib.IMAP4, number: int) -> bytes:
    _, found = client.fetch(str(number), "(ENVELOPE BODYSTRUCTURE)")
    return b"".join(
        b"".join(each) if isinstance(each, tuple) else each for each in found if each is not None
    )
