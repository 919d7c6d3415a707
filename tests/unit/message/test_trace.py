from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.address import Address
from mailframe.core.session import Role, TlsFacts
from mailframe.message.trace import (
    delivered_to_field,
    field_line,
    field_lines,
    received_field,
    return_path_field,
    rfc5322_date,
    with_protocol,
)

ANN = Address("ann", "example.org")


def field(**changes: object) -> bytes:
    values: dict[str, object] = {
        "helo": "client.example",
        "peer_ip": "192.0.2.1",
        "by": "mail.example.test",
        "protocol": "ESMTPS",
        "queue_id": "0ABCDEFGHJ00",
        "seconds": 1_751_364_000.9,
    }
    return received_field(**(values | changes))  # type: ignore[arg-type]


def test_date_is_utc_english_and_whole_seconds() -> None:
    assert rfc5322_date(1_751_364_000.9) == "Tue, 01 Jul 2025 10:00:00 +0000"


def test_received_has_every_clause_in_order() -> None:
    tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert field(recipient=ANN, tls=tls) == (
        b"Received: from client.example ([192.0.2.1]) by mail.example.test with ESMTPS\r\n"
        b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id 0ABCDEFGHJ00 for <ann@example.org>;\r\n"
        b"\tTue, 01 Jul 2025 10:00:00 +0000\r\n"
    )


def test_ipv6_peer_is_tagged() -> None:
    assert b"([IPv6:2001:db8::1])" in field(peer_ip="2001:db8::1")


def test_a_unix_socket_has_no_address() -> None:
    assert field(peer_ip="").startswith(b"Received: from client.example by ")


def test_a_helo_that_is_no_domain_goes_into_the_comment() -> None:
    made = field(helo="x) by evil.example (y\r\nX-Evil: 1")
    assert made.startswith(b"Received: from [192.0.2.1] ([192.0.2.1]")
    assert b"helo=x??by?evil.example??y??X-Evil:?1)\r\n" in made
    assert email.message_from_bytes(made).keys() == ["Received"]


def test_a_general_literal_cannot_open_a_comment() -> None:
    assert b"from [192.0.2.1] ([192.0.2.1] helo=[x:??by?y])" in field(helo="[x:()by;y]")


def test_utf8_only_where_the_transaction_allows() -> None:
    address = Address("γιώργος", "παράδειγμα.example")
    helo = "παράδειγμα.example"
    assert field(recipient=address, helo=helo).isascii()
    assert "for <γιώργος@παράδειγμα.example>;".encode() in field(recipient=address, utf8=True)
    assert f"from {helo} ".encode() in field(helo=helo, utf8=True)


@pytest.mark.parametrize(
    ("role", "esmtp", "tls", "authenticated", "smtputf8", "word"),
    [
        (Role.MX, False, False, False, False, "SMTP"),
        (Role.MX, True, False, False, False, "ESMTP"),
        (Role.MX, True, True, False, False, "ESMTPS"),
        (Role.SUBMISSION, True, True, True, False, "ESMTPSA"),
        (Role.SUBMISSION, True, False, True, False, "ESMTPA"),
        (Role.LMTP, True, False, False, False, "LMTP"),
        (Role.LMTP, True, True, True, False, "LMTPSA"),
        (Role.MX, True, True, True, True, "UTF8SMTPSA"),
        (Role.LMTP, True, False, False, True, "UTF8LMTP"),
    ],
)
def test_with_words_are_the_registered_ones(
    role: Role, esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool, word: str
) -> None:
    made = with_protocol(role, esmtp=esmtp, tls=tls, authenticated=authenticated, smtputf8=smtputf8)
    assert made == word


@given(helo=st.text(max_size=300), cipher=st.text(max_size=80))
def test_whatever_the_peer_says_it_stays_one_field(helo: str, cipher: str) -> None:
    made = field(helo=helo, tls=TlsFacts("TLSv1.3", cipher), recipient=ANN)
    lines = made.split(b"\r\n")
    assert lines.pop() == b""
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert made.count(b"\n") == made.count(b"\r") == len(lines)
    assert made.count(b"(") == made.count(b")") == 2
    assert made.isascii()


@given(local=st.text('abc.@ "\\', min_size=1, max_size=64))
def test_lines_are_folded_where_they_can_be(local: str) -> None:
    made = field(recipient=Address.build(local, "example.org"))
    for line in made.split(b"\r\n"):
        assert len(line) <= 78 or line.count(b" ") <= 1 or b'"' in line


def test_return_path() -> None:
    assert return_path_field(None) == b"Return-Path: <>\r\n"
    assert return_path_field(ANN) == b"Return-Path: <ann@example.org>\r\n"
    quoted = Address("a b", "example.org")
    assert return_path_field(quoted) == b'Return-Path: <"a b"@example.org>\r\n'


def test_delivered_to() -> None:
    assert delivered_to_field(ANN) == b"Delivered-To: ann@example.org\r\n"


@pytest.mark.parametrize(
    "header", [b"", b"A: one\r\n", b"A: one\r\n two; b=\r\n\tthree\r\nb:  \xc3\xa9\r\n", b"A: \r\n"]
)
def test_fields_come_apart_and_together_again(header: bytes) -> None:
    assert b"".join(field_line(*line) for line in field_lines(header)) == header
