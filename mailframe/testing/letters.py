"""Messages that tests send, and those they find afterwards."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime

from mailframe.core.facts import Fact
from mailframe.hooks.attachments import Attachment
from mailframe.message import body_parts
from mailframe.message.facts import read_facts

FileToSend = tuple[str, bytes | str] | tuple[str, bytes | str, str]
"""File name, content and media type, as ``msg.reply`` takes them: by default the type is that of
the name. Text is sent as UTF-8."""
_WIRE = policy.SMTPUTF8
_TYPES = mimetypes.MimeTypes(filenames=())  # the library's own, the same on every machine


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
    def attachments(self) -> list[Attachment]:
        """In the order of the message, as in ``msg.attachments`` of a hook: ``name``, ``type``,
        ``content`` and the rest."""
        root = read_facts(self.raw, Fact.PARTS).parts
        parts = (Attachment(self.raw, leaf) for leaf in body_parts.leaves(root, attached=False))
        return [part for part in parts if not part.is_text_of_message]

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
    attachments: Iterable[FileToSend] = (),
    now: float,
) -> bytes:
    """In wire format. ``headers`` replace what would be there by itself. Raises TypeError for
    what is no attachment."""
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
    for file in attachments:
        _attach(message, file)
    return message.as_bytes()


def _attach(message: EmailMessage, file: FileToSend) -> None:
    if not isinstance(file, tuple) or len(file) not in (2, 3):
        raise TypeError(f"{file!r} is no attachment: (name, content) or (name, content, type)")
    name, content = file[0], file[1]
    media = file[2] if len(file) == 3 else _type_of(name)
    kind, _, subtype = media.partition("/")
    octets = content.encode() if isinstance(content, str) else content
    message.add_attachment(octets, maintype=kind, subtype=subtype or "x", filename=name)
    if isinstance(content, str):
        list(message.iter_attachments())[-1].set_param("charset", "utf-8")


def _type_of(name: str) -> str:
    media, encoding = _TYPES.guess_type(name)
    return media if media is not None and encoding is None else "application/octet-stream"
