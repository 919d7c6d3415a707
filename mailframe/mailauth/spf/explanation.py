"""What the owner of a domain says about a failure, made fit for our reply.

The text is a stranger's, and much of it may be the sender's own (``%{l}``): printable ASCII on
one line, cut, and named as his words and not ours (RFC 7208 sections 6.2 and 11.5).
"""

from __future__ import annotations

import re

MAX_EXPLANATION = 300
"""Characters; a reply line has 512 octets (RFC 5321 section 4.5.3.1.5)."""

_UNPRINTABLE = re.compile(r"[^ -~]+")


def safe(text: str) -> str:
    """On one line, printable, at most MAX_EXPLANATION characters."""
    # cut first: the sender decides how long it gets
    return _UNPRINTABLE.sub("?", text[: 2 * MAX_EXPLANATION]).strip()[:MAX_EXPLANATION]


def as_reply_text(domain: str, explanation: str) -> str:
    """Names whose words they are; ours where there are none."""
    if not explanation:
        return f"SPF: {safe(domain)[:255]} does not allow your address to send its mail"
    return f"SPF: {safe(domain)[:100]} says: {safe(explanation)}"
