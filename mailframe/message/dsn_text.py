"""The part of a notification that people read: what happened, and what they can do."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_SUBJECTS = {
    "failed": "Your message could not be delivered",
    "delayed": "Your message is delayed",
    "delivered": "Your message was delivered",
    "relayed": "Your message was passed on",
    "expanded": "Your message was sent to a list",
}

_WHAT_HAPPENED = {
    "failed": (
        "Your message could not be delivered to the recipients below. No further attempt "
        "will be made."
    ),
    "delayed": (
        "Your message has not been delivered to the recipients below yet. This is only a "
        "warning: attempts go on by themselves."
    ),
    "delivered": "As you asked to be told: your message was delivered to the recipients below.",
    "relayed": (
        "As you asked to be told: your message was passed on to the mail systems of the "
        "recipients below, which do not send confirmations of their own."
    ),
    "expanded": (
        "As you asked to be told: your message was delivered to the lists below and sent on "
        "to their members. No further confirmation will come."
    ),
}

_WHAT_TO_DO = {
    "failed": (
        "Check the addresses for typing errors, and read what the other system said. If you "
        "need help, send this whole message to your postmaster; it names the reason."
    ),
    "delayed": "You need not do anything, and should not send the message again.",
    "delivered": "You need not do anything.",
    "relayed": "You need not do anything.",
    "expanded": "You need not do anything.",
}

_WIDTH = 72


def subject(action: str) -> str:
    return _SUBJECTS[action]


def explanation(
    action: str,
    hostname: str,
    queue_id: str,
    recipients: Sequence[tuple[str, str, str]],
    retry_until: str,
) -> str:
    """``recipients`` are (address, host that spoke or empty, words); lines end with \\n."""
    paragraphs = [
        f"This is the mail system at {hostname}.",
        _filled(_WHAT_HAPPENED[action]),
        *(_about(*recipient) for recipient in recipients),
        _filled(_WHAT_TO_DO[action]),
    ]
    if retry_until:
        paragraphs.append(_filled(f"If it does not succeed, it is given up on {retry_until}."))
    paragraphs.append(f"Our reference for your message: {queue_id}")
    return "\n\n".join(paragraphs) + "\n"


def _about(address: str, remote: str, words: str) -> str:
    said = f"{remote} said: {words}" if remote else words
    return f"{address}\n" + _filled(said, indent="    ")


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=len(text) >= 900,
        break_on_hyphens=False,
    )
