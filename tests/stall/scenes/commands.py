"""Commands without end, at each door."""

from __future__ import annotations

import base64
import socket
import struct
import time

from tests.stall.scenes.scene import patience, pour, scene
from tests.stall.target import PASSWORD, VICTIM, Target

_HELLO = b"EHLO x.test\r\n"
_MAIL = b"MAIL FROM:<x@big.test>\r\n"
_LOGIN = f'a LOGIN {VICTIM} "{PASSWORD}"\r\n'.encode()
_POP3 = f"USER {VICTIM}\r\nPASS {PASSWORD}\r\n".encode()
MILLION = 1_000_000


def _to(target: Target, listener: str, data: bytes, seconds: float = 10.0, **how: bool) -> None:
    line = target.connect(listener)
    line.recv(1024)
    pour(line, data, seconds, **how)


def _logged_in(target: Target) -> socket.socket:
    line = target.connect("submission")
    line.recv(1024)
    line.sendall(_HELLO)
    time.sleep(0.2)
    line.recv(4096)
    line.sendall(b"AUTH PLAIN " + base64.b64encode(f"\0{VICTIM}\0{PASSWORD}".encode()) + b"\r\n")
    line.recv(1024)
    return line


@scene("smtp: 10^6 NOOP in one write", quick=True)
def smtp_noops(target: Target) -> None:
    _to(target, "mx", _HELLO + b"NOOP\r\n" * MILLION)


@scene("smtp: 10^6 RSET in one write")
def smtp_rsets(target: Target) -> None:
    _to(target, "mx", _HELLO + b"RSET\r\n" * MILLION)


@scene("smtp: 10^6 RCPT in one write", quick=True)
def smtp_recipients(target: Target) -> None:
    rcpt = f"RCPT TO:<{VICTIM}>\r\n".encode()
    _to(target, "mx", _HELLO + _MAIL + rcpt * MILLION)


@scene("smtp: RCPT to 10^5 unknown")
def smtp_unknown(target: Target) -> None:
    many = b"".join(b"RCPT TO:<n%d@mf.test>\r\n" % number for number in range(100_000))
    _to(target, "mx", _HELLO + _MAIL + many)


@scene("smtp: MAIL and RSET, 10^5 times", quick=True)
def smtp_mail_rset(target: Target) -> None:
    _to(target, "mx", _HELLO + (_MAIL + b"RSET\r\n") * 100_000)


@scene("smtp: EHLO 10^5 times")
def smtp_hellos(target: Target) -> None:
    _to(target, "mx", b"EHLO x.test\r\n" * 100_000)


@scene("smtp: VRFY and HELP without end")
def smtp_vrfy(target: Target) -> None:
    _to(target, "mx", _HELLO + b"VRFY victim@mf.test\r\nHELP\r\n" * 50_000)


@scene("smtp: garbage, 20 MB")
def smtp_garbage(target: Target) -> None:
    _to(target, "mx", _HELLO + bytes(range(256)) * 80_000)


@scene("smtp: a line of 20 MB")
def smtp_line(target: Target) -> None:
    _to(target, "mx", _HELLO + b"NOOP " + b"x" * 20_000_000)


@scene("smtp: NOOPs, and no answer is read")
def smtp_deaf(target: Target) -> None:
    _to(target, "mx", _HELLO + b"NOOP\r\n" * MILLION, 5, read=False)


@scene("smtp: 1 recipient, 10^4 empty messages")
def smtp_empty_messages(target: Target) -> None:
    rcpt = f"RCPT TO:<{VICTIM}>\r\n".encode()
    _to(target, "lmtp", b"LHLO x\r\n" + (_MAIL + rcpt + b"DATA\r\n\r\n.\r\n") * 3_000)


@scene("smtp: BDAT, an octet at a time", quick=True)
def smtp_bdat(target: Target) -> None:
    rcpt = f"RCPT TO:<{VICTIM}>\r\n".encode()
    chunks = b"".join(b"BDAT 1\r\n%c" % octet for octet in b"Subject: x\r\n\r\n")
    end = b"BDAT 0 LAST\r\n"
    _to(target, "mx", _HELLO + _MAIL + rcpt + chunks + b"BDAT 1\r\nx" * 200_000 + end, 15)


@scene("smtp: DATA in segments of one octet")
def smtp_segments(target: Target) -> None:
    line = target.connect("mx")
    rcpt = f"RCPT TO:<{VICTIM}>\r\n".encode()
    line.recv(1024)
    line.sendall(_HELLO + _MAIL + rcpt + b"DATA\r\n")
    end = time.monotonic() + 5
    for octet in b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 20_000:
        line.send(b"%c" % octet)
        if time.monotonic() > end:
            break
    line.close()


@scene("smtp: 1,000 recipients of 10 KB, 20 times", quick=True)
def smtp_many_recipients(target: Target) -> None:
    """All accepted: local ones, by a user, plus addresses with details."""
    line = _logged_in(target)
    many = b"".join(b"RCPT TO:<u1+%d@mf.test>\r\n" % number for number in range(1000))
    text = b"From: " + VICTIM.encode() + b"\r\nSubject: many\r\n\r\n" + b"x" * 10_000
    one = b"MAIL FROM:<" + VICTIM.encode() + b">\r\n" + many + b"DATA\r\n" + text + b"\r\n.\r\n"
    pour(line, one * 20, 30)


@scene("pop3: 10^6 NOOP in one write", quick=True)
def pop3_noops(target: Target) -> None:
    _to(target, "pop3", _POP3 + b"NOOP\r\n" * MILLION)


@scene("pop3: 10^6 CAPA before the login")
def pop3_capa(target: Target) -> None:
    _to(target, "pop3", b"CAPA\r\n" * MILLION)


@scene("pop3: 10^5 LIST, DELE, RSET, TOP")
def pop3_mixed(target: Target) -> None:
    _to(target, "pop3", _POP3 + b"LIST 1\r\nDELE 1\r\nRSET\r\nTOP 1 1\r\n" * 25_000)


@scene("imap: 10^6 NOOP in one write", quick=True)
def imap_noops(target: Target) -> None:
    _to(target, "imap", _LOGIN + b"b SELECT INBOX\r\n" + b"c NOOP\r\n" * MILLION)


@scene("imap: 10^6 CAPABILITY before the login")
def imap_capability(target: Target) -> None:
    _to(target, "imap", b"c CAPABILITY\r\n" * MILLION)


@scene("imap: SELECT without end")
def imap_select(target: Target) -> None:
    _to(target, "imap", _LOGIN + b"c SELECT INBOX\r\n" * 20_000)


@scene("imap: 10^5 STATUS, CREATE, DELETE, SUBSCRIBE")
def imap_folders(target: Target) -> None:
    one = b"c STATUS INBOX (MESSAGES UNSEEN SIZE)\r\nc CREATE z\r\nc SUBSCRIBE z\r\nc DELETE z\r\n"
    _to(target, "imap", _LOGIN + one * 5_000)


@scene("all doors: 1,000 connections a second")
def connections(target: Target) -> None:
    """Opened and closed; half of them by a reset."""
    end = time.monotonic() + min(6, patience["most"])
    number = 0
    while time.monotonic() < end:
        for listener in ("mx", "submission", "imap", "pop3"):
            line = target.connect(listener, f"127.8.{number % 200}.{1 + number // 200 % 200}")
            number += 1
            if number % 2:
                linger = struct.pack("ii", 1, 0)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            line.close()
        time.sleep(0.002)
