"""Rendering commands: MAIL and RCPT with the parameters that the server offers.

No value reaches the wire unchecked: what could end a line or an argument (controls, blanks)
is encoded as xtext or refused with LocalProtocolError.
"""

from __future__ import annotations

import re

from mailframe.core import xtext
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient
from mailframe.errors import LocalProtocolError
from mailframe.protocols.smtp.client_extensions import Extensions

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")
_NOTIFY_ORDER = (Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY)


def line(text: str) -> bytes:
    """One command line. Raises LocalProtocolError for what would be two."""
    # What can be printed holds none, and that is sooner found out.
    if not text.isprintable() and _FORBIDDEN.search(text):
        raise LocalProtocolError(f"a command with a control character: {text!r}")
    return text.encode() + b"\r\n"


def mail(envelope: Envelope, size: int, body: Body, offered: Extensions) -> bytes:
    """MAIL; ``body`` is what will really be sent, ``size`` its octets."""
    words = [f"MAIL FROM:{_path(envelope.reverse_path)}"]
    if "SIZE" in offered:
        words.append(f"SIZE={size}")
    if body is not Body.SEVEN_BIT and "8BITMIME" in offered:
        words.append(f"BODY={body.value}")
    if envelope.smtputf8 and offered.smtputf8:
        words.append("SMTPUTF8")
    if offered.dsn:
        words += [f"RET={envelope.ret.value}"] if envelope.ret else []
        words += [f"ENVID={_envid(envelope.envid)}"] if envelope.envid else []
    return line(" ".join(words))


def rcpt(recipient: Recipient, offered: Extensions) -> bytes:
    """RCPT with the DSN wishes, where the server takes them."""
    words = [f"RCPT TO:{_path(recipient.address)}"]
    if offered.dsn:
        if recipient.notify:
            wishes = [n.value for n in _NOTIFY_ORDER if n in recipient.notify]
            words.append(f"NOTIFY={','.join(wishes)}")
        # RFC 3461 section 5.2.1: passed on as it came; none is made up where none came.
        words += [f"ORCPT={_orcpt(recipient.orcpt)}"] if recipient.orcpt else []
    return line(" ".join(words))


def _envid(envid: str) -> str:
    if not envid.isascii():
        raise LocalProtocolError(f"an ENVID that is not ASCII: {envid!r}")
    return xtext.encode(envid)


def _orcpt(orcpt: str) -> str:
    kind, _, address = orcpt.partition(";")
    if address.isascii():
        return f"{kind};{xtext.encode(address)}"
    # RFC 6533 section 3: the spelling that every DSN server can carry.
    return f"{kind};{xtext.encode_utf8_address(address)}"


def _path(address: Address | None) -> str:
    return f"<{address}>" if address is not None else "<>"
