"""Mail that somebody forwarded or a list changed: without ARC, with ARC, with a seal that lies, and
with one whose key cannot be had for the moment."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.peers.policed import ANN, AUTHENTICATION, Policed, message, results
from tests.interop.peers.process import wait_until

AUTHOR, LIST = "127.0.0.41", "127.0.0.42"
_NAMES = [b"from", b"to", b"subject", b"date", b"message-id"]


class Key:
    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = "v=DKIM1; k=rsa; p=" + "".join(pem.decode().splitlines()[1:-1])
        self.record = "TXT " + " ".join(
            f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)
        )


KEY = Key()
RECORDS = {
    "strict.test": [f'TXT "v=spf1 ip4:{AUTHOR} -all"'],
    "_dmarc.strict.test": ['TXT "v=DMARC1; p=reject"'],
    "s1._domainkey.strict.test": [KEY.record],
    "lists.test": [f'TXT "v=spf1 ip4:{LIST} -all"'],
    "s1._domainkey.lists.test": [KEY.record],
    "s1._domainkey.strange.test": [KEY.record],
    # trusted, and nobody has its key
    "keyless.test": ["A 127.0.0.1"],
}


@pytest.fixture(scope="module")
def policed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        policy = {
            "order": AUTHENTICATION,
            "arc": {"trusted_sealers": ["lists.test", "mute.test", "keyless.test"]},
        }
        made = Policed(stack, policy, RECORDS, servfail=["mute.test"])
        yield made
        assert made.mailframe.tracebacks == []
        assert made.mailframe.queue() == []


def written(subject: str) -> bytes:
    """As its author's server signed it."""
    text = message("x@strict.test", subject).encode()
    return _signed(text, b"strict.test")


def _signed(text: bytes, domain: bytes) -> bytes:
    signature: bytes = dkim.sign(text, b"s1", domain, KEY.private, include_headers=_NAMES)
    return signature + text


def changed(text: bytes) -> bytes:
    """As a list sends it on: the author's signature is broken."""
    return text + b"-- \r\nA list for everybody\r\n"


def sealed(text: bytes, sealer: str, seen: str = "dmarc=pass header.from=strict.test") -> bytes:
    """The list checked the message as it came in, changed it, and says so."""
    text = f"Authentication-Results: {sealer}; {seen}\r\n".encode() + changed(text)
    fields = dkim.arc_sign(text, b"s1", sealer.encode(), KEY.private, sealer.encode(), _NAMES)
    return b"".join(fields) + text


def test_forwarded_untouched(policed: Policed) -> None:
    """The signature holds: no need of ARC."""
    answer = policed.swaks(LIST, "bounces@lists.test", data=written("untouched"))
    assert answer.code == 250, answer.dialogue
    said = results(policed.delivered("untouched"))
    assert "dkim=pass" in said
    assert "dmarc=pass" in said


def test_forwarded_without_arc(policed: Policed) -> None:
    answer = policed.swaks(LIST, "bounces@lists.test", data=changed(written("no ARC")))
    assert (answer.code, answer.text[:6]) == (550, "5.7.26")
    assert policed.rule(answer).startswith("dmarc: fail strict.test p=reject")


def test_forwarded_with_arc_by_a_trusted_sealer(policed: Policed) -> None:
    answer = policed.swaks(LIST, "bounces@lists.test", data=sealed(written("sealed"), "lists.test"))
    assert answer.code == 250, answer.dialogue
    said = results(policed.delivered("sealed"))
    assert "arc=pass" in said
    assert "dmarc=fail" in said
    assert "dkim=fail" in said
    checks = policed.checks(answer)
    assert "override: arc=lists.test" in checks["dmarc"]
    assert "trusted lists.test: dmarc=pass" in checks["arc"]


def test_through_postfix_and_postfix_forwards(policed: Policed) -> None:
    """A whole Postfix hands on what the list sealed."""
    peer = policed.postfix(LIST, "mail.lists.test")
    with smtplib.SMTP(peer.address, peer.port) as client:
        text = sealed(written("by Postfix"), "lists.test")
        client.sendmail("bounces@lists.test", [ANN], text)
        client.sendmail("box@mail.lists.test", [ANN], changed(written("refused")))
    assert "arc=pass" in results(policed.delivered("by Postfix"))
    wait_until(lambda: peer.log_has(r"status=bounced .*550 5\.7\.26"), "the other is refused")
    wait_until(lambda: peer.inbox("box@mail.lists.test"), "and its sender told")
    wait_until(lambda: "empty" in peer.queue(), "Postfix's queue is empty")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("of a stranger", lambda s: sealed(written(s), "strange.test")),
        ("saw it fail", lambda s: sealed(written(s), "lists.test", "dmarc=fail")),
        (
            "about somebody else",
            lambda s: sealed(written(s), "lists.test", "dmarc=pass header.from=other.test"),
        ),
        ("changed afterwards", lambda s: changed(sealed(written(s), "lists.test"))),
        ("no such key", lambda s: sealed(written(s), "keyless.test")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_seals_that_help_nobody(policed: Policed, subject: str, text: object) -> None:
    answer = policed.swaks(LIST, "bounces@lists.test", data=text(subject))  # type: ignore[operator]
    assert (answer.code, answer.text[:6]) == (550, "5.7.26"), answer.dialogue
    assert policed.rule(answer).startswith("dmarc: fail strict.test p=reject")


def test_a_key_that_cannot_be_had_for_now(policed: Policed) -> None:
    """Not refused for good because the DNS of a trusted sealer is down."""
    data = sealed(written("later"), "mute.test")
    answer = policed.swaks(LIST, "bounces@lists.test", data=data)
    assert (answer.code, answer.text[:6]) == (451, "4.7.26"), answer.dialogue
    rule = policed.rule(answer)
    assert rule.startswith("dmarc: fail strict.test p=reject")
    assert "no answer from the DNS" in rule
