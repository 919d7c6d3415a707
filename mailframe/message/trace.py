"""Trace fields: what a server writes on top of the messages that pass through it.

Each function returns one whole field in wire format, final CRLF included. What a peer said
(its HELO above all) is made harmless first: a field is always one field, and a comment stays
inside its parentheses. The caller owns the clock and gives seconds since the epoch.
"""

from __future__ import annotations

import email.utils
import functools
import re
from datetime import UTC, datetime

from mailframe.core.address import Address, AddressError, normal_domain
from mailframe.core.session import Role, TlsFacts
from mailframe.core.verdict import FieldLine
from mailframe.message.headers import fields

# RFC 5322 section 2.1.1: lines should have no more than 78 characters
_LINE = 78
_RECEIVED = "Received:"
_UNSAFE = re.compile(r"[^!#-'*-:=-\[\]-~]")  # keeps printable ASCII but " ( ) ; < \
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
# A line end within a value only where a folded line goes on.
_FIELD_VALUE = re.compile(r"[^\r\n\0]*(?:\r?\n[ \t][^\r\n\0]*)*")
_SPECIAL = re.compile(r'[()<>@,;\\"]')


def field_line(name: str, value: str) -> bytes:
    """A header field in wire format. ValueError for what is none."""
    if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"a policy made a malformed header field {name!r}")
    text = value.replace("\r\n", "\n").replace("\n", "\r\n")
    return f"{name}: {text}\r\n".encode()


def field_lines(header: bytes) -> tuple[FieldLine, ...]:
    """The other way: of each field of a section what ``field_line`` makes it from, to the octet
    where there is one blank after the colon. UnicodeDecodeError for what is no UTF-8."""
    return tuple(
        (field.name, field.value.decode().removesuffix("\r\n").removeprefix(" "))
        for field in fields(header)
    )


def rfc5322_date(seconds: float) -> str:
    """``Tue, 01 Jul 2025 10:00:00 +0000``; always UTC."""
    return _date(int(seconds))


@functools.lru_cache(maxsize=16)
def _date(seconds: int) -> str:
    return email.utils.format_datetime(datetime.fromtimestamp(seconds, UTC))


def with_protocol(
    role: Role, *, esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool = False
) -> str:
    """The word after ``with``: ``ESMTPSA``, ``UTF8LMTPS``, ``SMTP`` ..."""
    if role is not Role.LMTP and not esmtp:
        return "SMTP"  # no registered word tells of TLS under HELO
    # RFC 3848; RFC 6531 section 4.3 for the names with UTF8, which drop the E
    if smtputf8:
        word = "UTF8LMTP" if role is Role.LMTP else "UTF8SMTP"
    else:
        word = "LMTP" if role is Role.LMTP else "ESMTP"
    return word + "S" * tls + "A" * authenticated


def received_field(
    *,
    helo: str,
    peer_ip: str,
    by: str,
    protocol: str,
    queue_id: str,
    seconds: float,
    recipient: Address | None = None,
    tls: TlsFacts | None = None,
    utf8: bool = False,
) -> bytes:
    """``Received:`` as RFC 5321 section 4.4 has it.

    ``by`` is our host name, ``protocol`` comes from ``with_protocol``. Give ``recipient``
    only when the message has a single one: more would tell blind copies. ``utf8`` allows
    UTF-8 in the field, as in a SMTPUTF8 transaction; elsewhere such values are left out.
    ``peer_ip`` may be empty (Unix socket).
    """
    version, cipher = (tls.version, tls.cipher) if tls is not None else ("", "")
    beginning = _beginning(helo, peer_ip, by, protocol, version, cipher, utf8)
    if recipient is not None and (utf8 or not recipient.needs_utf8):
        words = ["id", queue_id, "for", f"<{recipient}>;"]
    else:
        words = ["id", f"{queue_id};"]
    return f"{_folded(*beginning, [*words, rfc5322_date(seconds)])[0]}\r\n".encode()


@functools.lru_cache(maxsize=256)
def _beginning(
    helo: str, peer_ip: str, by: str, protocol: str, version: str, cipher: str, utf8: bool
) -> tuple[str, int]:
    """What is the same for all messages of a session: folded so far, with its last line's
    octets."""
    words = [*_from_clause(helo, peer_ip, utf8), "by", by, "with", protocol]
    if version:
        words += [f"({_harmless(version)}", f"{_harmless(cipher)})"]
    return _folded(_RECEIVED, len(_RECEIVED), words)


def return_path_field(reverse_path: Address | None) -> bytes:
    """``Return-Path:``, written at final delivery only (RFC 5321 section 4.4)."""
    return f"Return-Path: <{reverse_path or ''}>\r\n".encode()


def delivered_to_field(address: Address) -> bytes:
    """``Delivered-To:``, the address that a mailbox here got the message for (RFC 9228)."""
    return f"Delivered-To: {address}\r\n".encode()


def _from_clause(helo: str, peer_ip: str, utf8: bool) -> list[str]:
    literal = f"[IPv6:{peer_ip}]" if ":" in peer_ip else f"[{peer_ip}]"
    try:
        name = normal_domain(helo)
        # a general address literal may hold what would open a comment or end the clause
        understood = (utf8 or name.isascii()) and not _SPECIAL.search(name)
    except AddressError:
        understood = False
    if understood:
        return ["from", name, f"({literal})"] if peer_ip else ["from", name]
    # Not a domain, so it may not stand where one belongs: the address takes the place, and
    # what was said goes into the comment.
    said = f"helo={_harmless(helo)})"
    return ["from", literal, f"({literal}", said] if peer_ip else ["from", "localhost", f"({said}"]


def _harmless(text: str) -> str:
    return _UNSAFE.sub("?", text[:255])


def _folded(text: str, length: int, words: list[str]) -> tuple[str, int]:
    """``text``, whose last line has ``length`` octets, with the words after it, and how many its
    last line has then. The first word stays beside the field's name."""
    for word in words:
        octets = len(word) if word.isascii() else len(word.encode())
        if length + 1 + octets > _LINE and text != _RECEIVED:
            text += f"\r\n\t{word}"
            length = 1 + octets
        else:
            text += f" {word}"
            length += 1 + octets
    return text, length
