"""Messages that are dear to receive, to judge, or to show."""

from __future__ import annotations

import random
import re
from base64 import b64encode

from tests.stall.scenes.scene import scene
from tests.stall.target import VICTIM, Target

MEGABYTE = 1 << 20
_DATE = b"Date: Wed, 25 Nov 2026 21:00:00 +0000\r\n"


def header(subject: str, more: bytes = b"") -> bytes:
    text = f"From: x@big.test\r\nTo: {VICTIM}\r\nSubject: {subject}\r\n"
    text += f"Message-ID: <{subject}@big.test>\r\nMIME-Version: 1.0\r\n"
    return text.encode() + _DATE + more


def _text(octets: int) -> bytes:
    lines = [b64encode(random.Random(seed).randbytes(57)) for seed in range(1000)]
    block = b"".join(b"%b  \r\n" % line for line in lines)
    return (block * (1 + octets // len(block)))[:octets] + b"\r\n"


@scene("mail: 50 MB", quick=True)
def large(target: Target) -> None:
    target.mail(header("large") + b"\r\n" + _text(50 * MEGABYTE))


@scene("mail: 50 MB with 50 DKIM signatures")
def signatures(target: Target) -> None:
    """Half good, the others for 25 lengths of the body: each a hash of its own."""
    body = _text(48 * MEGABYTE)
    message = header("signed") + b"\r\n" + body
    good = target.signed(message, canonicalize=(b"relaxed", b"simple"))
    relaxed = re.sub(rb"c=[a-z/]+;", b"c=relaxed/relaxed;", good)
    partial = [
        relaxed.replace(b"q=dns/txt;", b"q=dns/txt; l=%d;" % (len(body) // 2 + number))
        for number in range(25)
    ]
    target.mail(good * 25 + b"".join(partial) + message)


@scene("mail: 30 MB of blanks and empty lines, relaxed")
def blanks(target: Target) -> None:
    message = (
        header("blanks") + b"\r\n" + b" \t " * 5 * MEGABYTE + b"\r\n" * 7 * MEGABYTE + b"x\r\n"
    )
    small = header("blanks") + b"\r\nx\r\n"
    field = target.signed(small, canonicalize=(b"relaxed", b"relaxed"))
    simple = field.replace(b"relaxed/relaxed", b"simple/simple")
    target.mail(field * 10 + simple * 10 + message)


@scene("mail: 200 KB of signatures that do not verify", quick=True)
def bad_signatures(target: Target) -> None:
    small = header("bad") + b"\r\nx\r\n"
    field = target.signed(small)
    target.mail(field * (200_000 // len(field)) + small)


@scene("mail: 50 ARC sets")
def arc(target: Target) -> None:
    sets = b"".join(
        b"ARC-Seal: i=%d; a=rsa-sha256; t=1; cv=%b; d=big.test; s=s1; b=%b\r\n"
        b"ARC-Message-Signature: i=%d; a=rsa-sha256; c=relaxed/relaxed; d=big.test; s=s1;"
        b" h=from:to:subject; bh=%b; b=%b\r\n"
        b"ARC-Authentication-Results: i=%d; big.test; spf=pass\r\n"
        % (i, b"none" if i == 1 else b"pass", b"A" * 340, i, b"A" * 43, b"A" * 340, i)
        for i in range(50, 0, -1)
    )
    target.mail(sets + header("arc") + b"\r\nx\r\n" + _text(5 * MEGABYTE))


@scene("mail: 250 KB of header, 10^4s of fields", quick=True)
def fields(target: Target) -> None:
    target.mail(header("fields", b"X:\r\n" * 60_000) + b"\r\nx\r\n")


@scene("mail: 10^5 fields, 3 MB")
def more_fields(target: Target) -> None:
    target.mail(header("fields", b"X-Trace-Of: some value here\r\n" * 100_000) + b"\r\nx\r\n")


@scene("mail: one folded field of 10 MB")
def folded(target: Target) -> None:
    target.mail(header("folded", b"X-Long: x\r\n" + b" x\r\n" * 2_500_000) + b"\r\nx\r\n")


def _bait(name: str, field: bytes) -> None:
    @scene(f"mail: bait in {name}")
    def bait(target: Target) -> None:
        target.mail(header("bait", field[:250_000].rsplit(b"\r\n", 1)[0] + b"\r\n") + b"\r\nx\r\n")


_bait("From", b"From: " + b"<(" * 400 + b"\r\n" + b" ((<<@\r\n" * 30_000)
_bait("From, quoted", b'From: "' + b'\\"' * 400 + b"\r\n" + b' \\"\\\\(\r\n' * 30_000)
_bait("To, a group", b"To: " + b" a:b,c;<@\r\n" * 24_000)
_bait("References, quoted", b'References: <"' + b'\\"' * 120_000 + b"\r\n")
_bait("References", b"References: <" + b" <a<\r\n" * 40_000)
_bait("Subject", b"Subject:" + b" =?utf-8?q?=CE=B1=E2?=\r\n" * 10_000)
_bait("Subject, unended", b"Subject:" + b" =?utf-8?q?a\r\n" * 15_000)
_bait(
    "Authentication-Results",
    b"Authentication-Results: mail.mf.test (((\r\n" + b' (\\"\r\n' * 40_000,
)
_bait(
    "Authentication-Results, 5,000",
    b"Authentication-Results: (x) mail.mf.test; spf=pass\r\n" * 5_000,
)
_bait("DKIM-Signature", b"DKIM-Signature: v=1; a=rsa-sha256; " + b" b=;\r\n" * 35_000)
_bait("Received", b"Received: from a (b [1.2.3.4])\r\n by c " + b" (((\r\n" * 40_000)
_bait("Content-Type", b"Content-Type: text/plain; " + b' a*0*="\\\r\n' * 24_000)
_bait("Date", b"Date: " + b" (\r\n" * 60_000)
_bait("X-Spam", b"X-Spam-Status: Yes\r\n" * 12_000)
_bait("List-Unsubscribe", b"List-Unsubscribe: <" + b" <http://\r\n" * 24_000)
_bait("Message-ID", b"Message-ID: " + b" <@\r\n" * 48_000)


@scene("mail: 10^5 MIME parts", quick=True)
def parts(target: Target) -> None:
    target.mail(_parts(100_000))


def _parts(number: int) -> bytes:
    return (
        header("parts", b"Content-Type: multipart/mixed; boundary=b\r\n")
        + b"\r\n" + b"--b\r\nContent-Type: image/x; name=x\r\n\r\n.\r\n" * number + b"--b--\r\n"
    )  # fmt: skip


def nested(depth: int) -> bytes:
    levels = b"".join(
        b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (i, i)
        for i in range(depth)
    )
    return header("nested") + levels + b"\r\nx\r\n"


def forwarded(depth: int) -> bytes:
    one = b"Content-Type: message/rfc822\r\nFrom: x@big.test\r\nSubject: x\r\n\r\n"
    return header("forwarded") + one * depth + b"\r\nx\r\n"


def boundaries() -> bytes:
    """Lines that are nearly delimiters of many levels."""
    levels = b"".join(
        b"Content-Type: multipart/mixed; boundary=%b%d\r\n\r\n--%b%d\r\n"
        % (b"b" * 60, i, b"b" * 60, i)
        for i in range(100)
    )
    return header("boundaries") + levels + b"\r\n" + (b"--" + b"b" * 62 + b"\r\n") * 100_000


@scene("mail: MIME nested 10^4 deep", quick=True)
def deep(target: Target) -> None:
    target.mail(nested(10_000))


@scene("mail: 10^4 messages in messages")
def deep_messages(target: Target) -> None:
    target.mail(forwarded(10_000))


@scene("mail: near delimiters, 6 MB")
def near(target: Target) -> None:
    target.mail(boundaries())


@scene("mail: base64 bomb, 40 MB")
def bomb(target: Target) -> None:
    kind = b"Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: base64\r\n"
    target.mail(header("bomb", kind) + b"\r\n" + _text(40 * MEGABYTE))


def _html(name: str, piece: bytes, kind: bytes = b"text/html; charset=utf-8") -> None:
    @scene(f"mail: {name}, 10 MB", quick=name == "html tags")
    def html(target: Target) -> None:
        text = piece * (10_000_000 // len(piece))
        target.mail(header("html", b"Content-Type: " + kind + b"\r\n") + b"\r\n" + text + b"\r\n")


_html("html tags", b"<a href='http://" + b"x.y/" * 200 + b"<" * 150 + b"\r\n")
_html("html comments", b"<!--" * 200 + b"<b " * 60 + b"\r\n")
_html("html entities", b"&#x" + b"9" * 900 + b"\r\n")
_html("html in one line", b"<p style=display:none>a</p><![CDATA[<<")
_html("html with open quotes", b"<a b=\"c d='e")
_html("text of links", b"http://a.b.c.d.e.f.g.h/x@y.z/ www.a.b ")
_html("text of one word", b"a", b"text/plain")
_html("text of dots and dashes", b"a.'-", b"text/plain")
_html("text of addresses", b"a.b.c+d@e.f.g.", b"text/plain")
_html("text of zeros and blanks", b"\xc2\xa0\xe2\x80\x8b \t", b"text/plain; charset=utf-8")
_html("text of mixed letters", "aа".encode(), b"text/plain; charset=utf-8")
_html("text in iso-2022-jp", b"\x1b$B!!\x1b(B", b"text/plain; charset=iso-2022-jp")
_html("text in utf-7", b"+AGE-+", b"text/plain; charset=utf-7")
_html("text in utf-16", b"\x00a\xd8\x00", b"text/plain; charset=utf-16")
