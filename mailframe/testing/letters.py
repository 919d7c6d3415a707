"""Messages that tests send, and those they find afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime

Attachment = tuple[str, bytes, str]
"""File name, content, media type."""
_WIRE = policy.SMTPUTF8


class Received:
    """A message where it ended: ``raw`` in wire format, and what a test asks of it."""

    def __init__(self, raw: bytes, *, sender: str = "", to: Iterable[str] = ()) -> None:
        self.raw = raw
        """All of it, in wire format."""
        self.sender = sender
        """The reverse-path; empty for a bounce."""
        self.to = list(to)
        """The forward-paths that came with it."""
        self.message: EmailMessage = BytesParser(policy=policy.default).parsebytes(raw)
        """As the library parses it."""

    @property
    def headers(self) -> EmailMessage:
        """By name, in either case: ``headers["Subject"]``; the topmost where there are several."""
        return self.message

    @property
    def subject(self) -> str:
        """Decoded; empty for none."""
        return str(self.message.get("Subject", ""))

    @property
    def text(self) -> str:
        """The plain text, with its lines ending in LF."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """With its lines ending in LF; empty for none."""
        return self._body("html")

    @property
    def attachments(self) -> dict[str, bytes]:
        """File name -> content."""
        found = {}
        for part in self.message.iter_attachments():
            content = part.get_payload(decode=True)
            found[part.get_filename() or ""] = content if isinstance(content, bytes) else b""
        return found

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")

    def __repr__(self) -> str:
        return f"<message {self.subject!r} from <{self.sender}> to {', '.join(self.to)}>"


def build(
    sender: str,
    recipients: Iterable[str],
    text: str = "",
    *,
    subject: str = "a message",
    html: str = "",
    headers: Mapping[str, str] | None = None,
    attachments: Iterable[Attachment] = (),
    now: float,
) -> bytes:
    """In wire format. ``headers`` replace what would be there by itself."""
    message = EmailMessage(policy=_WIRE)
    moment = datetime.fromtimestamp(now, UTC)
    fields = {
        "From": sender or "MAILER-DAEMON@client.test",
        "To": ", ".join(recipients),
        "Subject": subject,
        "Date": format_datetime(moment),
        "Message-ID": f"<{moment:%H%M%S.%f}@client.test>",
        **(headers or {}),
    }
    for name, value in fields.items():
        if value:
            message[name] = value
    message.set_content(text or "\n")
    if html:
        message.add_alternative(html, subtype="html")
    for name, content, media in attachments:
        kind, _, subtype = media.partition("/")
        message.add_attachment(content, maintype=kind, subtype=subtype or "x", filename=name)
    return message.as_bytes()
