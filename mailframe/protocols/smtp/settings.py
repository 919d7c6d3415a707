"""What a server engine is told once and for all its connections."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Sizes in octets; 0 means no limit."""

    hostname: str
    lmtp: bool = False
    login_required: bool = False
    """MAIL before a login is refused with 530 5.7.0 (RFC 4954 section 6)."""
    allow_plaintext: bool = False
    """Offer AUTH without TLS."""
    message_size: int = 0
    recipients: int = 0
    """Per message (RFC 5321 section 4.5.3.1.8: at least 100)."""
    transactions: int = 0
    """Messages per connection."""
    without: frozenset[str] = frozenset()
    """Verbs and EHLO keywords that are not offered, of ``verbs.KNOWN``, upper case."""
    errors: int = 0
    """Bad commands per connection before it is closed."""
    command_line: int = 1000
    """Twice what RFC 5321 section 4.5.3.1.4 asks for, because extensions lengthen it."""
    auth_line: int = 12_288  # RFC 4954 section 4
    hello_answers: dict[tuple[object, ...], bytes] = field(
        default_factory=dict, compare=False, repr=False
    )
    """The answers to EHLO so far, by what they depend on: there are but a few."""
