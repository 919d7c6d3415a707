"""Enhanced mail system status codes (RFC 3463, RFC 5248 and its registry).

Stored without the class digit, which always comes from the reply code, so that a ``550``
can never carry a ``4.x.x``. Names follow the registry's short texts.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Status(NamedTuple):
    """``subject.detail`` of an enhanced status code; the class digit is the reply's."""

    subject: int
    """What it is about: 1 addresses, 2 mailboxes, 3 mail system, 4 network and routing, 5 protocol,
    6 content, 7 security and policy; 0 other."""
    detail: int
    """What of that, by the registry."""

    def __str__(self) -> str:
        return f"{self.subject}.{self.detail}"

    @classmethod
    def parse(cls, text: str) -> tuple[int, Status] | None:
        """``"5.1.1"`` -> ``(5, Status(1, 1))``; None when it is not one (RFC 3463 section 2)."""
        match = _FORM.fullmatch(text)
        return (int(match[1]), cls(int(match[2]), int(match[3]))) if match else None


_FORM = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})", re.ASCII)

OTHER = Status(0, 0)
# RFC 3463 section 3.2: addresses
BAD_DESTINATION_MAILBOX = Status(1, 1)
BAD_DESTINATION_SYSTEM = Status(1, 2)
BAD_DESTINATION_SYNTAX = Status(1, 3)
DESTINATION_VALID = Status(1, 5)
MAILBOX_MOVED = Status(1, 6)
BAD_SENDER_SYNTAX = Status(1, 7)
BAD_SENDER_SYSTEM = Status(1, 8)
DESTINATION_NULL_MX = Status(1, 10)  # RFC 7505 section 4
# section 3.3: mailboxes
MAILBOX_DISABLED = Status(2, 1)
MAILBOX_FULL = Status(2, 2)
MESSAGE_TOO_LONG_FOR_MAILBOX = Status(2, 3)
LIST_EXPANSION = Status(2, 4)
# section 3.4: mail system
SYSTEM_OTHER = Status(3, 0)
SYSTEM_FULL = Status(3, 1)
SYSTEM_NOT_ACCEPTING = Status(3, 2)
SYSTEM_NOT_CAPABLE = Status(3, 3)
MESSAGE_TOO_BIG = Status(3, 4)
# section 3.5: network and routing
NETWORK_OTHER = Status(4, 0)
NO_ANSWER = Status(4, 1)
BAD_CONNECTION = Status(4, 2)
DIRECTORY_FAILURE = Status(4, 3)
UNABLE_TO_ROUTE = Status(4, 4)
SYSTEM_CONGESTION = Status(4, 5)
ROUTING_LOOP = Status(4, 6)
DELIVERY_TIME_EXPIRED = Status(4, 7)
# section 3.6: protocol
PROTOCOL_OTHER = Status(5, 0)
INVALID_COMMAND = Status(5, 1)
SYNTAX_ERROR = Status(5, 2)
TOO_MANY_RECIPIENTS = Status(5, 3)
INVALID_ARGUMENTS = Status(5, 4)
LINE_TOO_LONG = Status(5, 6)  # RFC 4954 section 6: authentication exchange line is too long
# section 3.7: content
CONTENT_OTHER = Status(6, 0)
MEDIA_NOT_SUPPORTED = Status(6, 1)
CONVERSION_REQUIRED = Status(6, 3)
CONVERSION_FAILED = Status(6, 5)
NON_ASCII_ADDRESS = Status(6, 7)  # RFC 6531 section 3.7.4.2
UTF8_REPLY_REQUIRED = Status(6, 8)
UTF8_HEADER_CONVERSION = Status(6, 9)
BAD_LINE_ENDINGS = Status(6, 11)
# section 3.8: security and policy
SECURITY_OTHER = Status(7, 0)
NOT_AUTHORIZED = Status(7, 1)
MESSAGE_REFUSED = Status(7, 1)
BAD_CREDENTIALS = Status(7, 8)  # RFC 4954 section 6
MECHANISM_TOO_WEAK = Status(7, 9)
ENCRYPTION_NEEDED = Status(7, 10)
ENCRYPTION_REQUIRED = Status(7, 11)
ACCOUNT_DISABLED = Status(7, 13)
# RFC 7372 section 3: what sender authentication found
NO_PASSING_DKIM = Status(7, 20)
NO_ACCEPTABLE_DKIM = Status(7, 21)
NO_AUTHOR_DKIM = Status(7, 22)
SPF_FAILED = Status(7, 23)
SPF_ERROR = Status(7, 24)
REVERSE_DNS_FAILED = Status(7, 25)
AUTHENTICATION_FAILED = Status(7, 26)  # several checks at once
SENDER_NULL_MX = Status(7, 27)  # RFC 7505 section 4.2
MAIL_FLOOD = Status(7, 28)  # registry, of draft-ietf-emailcore-as
ARC_FAILED = Status(7, 29)  # RFC 8617 section 11.4
