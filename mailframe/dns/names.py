"""Host names as the DNS carries them, and names that are answered without asking.

``ascii_name`` turns what people write into A-labels; a name that cannot exist raises
NoSuchDomain, so that no malformed text reaches a name server.
"""

from __future__ import annotations

import ipaddress
import re

import idna

from mailframe.errors import NoSuchDomain

# RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters without the final dot.
MAX_NAME = 253

# Letters, digits, hyphen; the underscore is for names of services (RFC 8552).
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

_ANY_LABEL = re.compile(r"[ -~]{1,63}")

LOOPBACK = ("::1", "127.0.0.1")


def ascii_name(name: str) -> str:
    """A-labels in lower case without the final dot. Raises NoSuchDomain."""
    return _checked(name, _LABEL)


def query_name(name: str) -> str:
    """The same for names that are asked about and never connected to: a label may hold any
    printable octet (RFC 2181 section 11), such as the ``/`` of RFC 2317 or what the macros of
    SPF make of a local-part. Raises NoSuchDomain."""
    return _checked(name, _ANY_LABEL)


def _checked(name: str, label_form: re.Pattern[str]) -> str:
    text = name.removesuffix(".")
    if not text.isascii():
        text = _to_a_labels(name, text)
    text = text.lower()
    if len(text) > MAX_NAME or not all(label_form.fullmatch(label) for label in text.split(".")):
        raise NoSuchDomain(f"{name!r} is not a host name")
    # RFC 6761 section 6.4
    if text.rpartition(".")[2] == "invalid" or is_ip(text):
        raise NoSuchDomain(f"{name!r} is never in the DNS")
    return text


def is_ip(text: str) -> bool:
    """Whether it is an IP address as text, which nobody looks up."""
    # Asked about every name there is, and the parser takes long to say no.
    if ":" not in text and not text[-1:].isdigit():
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback_name(name: str) -> bool:
    """RFC 6761 section 6.3: ``localhost`` and all below it are this machine, unasked."""
    return name.rpartition(".")[2] == "localhost"


def _to_a_labels(name: str, text: str) -> str:
    try:
        # Label by label, because ``idna.encode`` refuses the underscores of service names.
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        labels = mapped.removesuffix(".").split(".")
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels
        )
    except UnicodeError as error:  # idna.IDNAError is one
        raise NoSuchDomain(f"{name!r} is not a host name: {error}") from None
