"""One mail transaction: envelope, recipients, marks, and the message on its way in.

Everything that belongs to a message before its commit hangs here, so that dropping this
object drops all of it: nothing of one transaction can reach the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.verdict import Tag
from mailframe.interfaces import IIncoming
from mailframe.servers.smtp_content import HeaderCollector

_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
# A line end within a value only where a folded line goes on.
_FIELD_VALUE = re.compile(r"[^\r\n\0]*(?:\r?\n[ \t][^\r\n\0]*)*")


@dataclass(frozen=True, slots=True)
class AliasStep:
    """One address that became others, for the journal."""

    address: Address
    targets: tuple[Address, ...]


class Transaction:
    def __init__(self, envelope: Envelope, tags: Sequence[Tag], header_limit: int) -> None:
        """``envelope`` has no recipients; ``tags`` are those of the session so far."""
        self.recipients: list[Recipient] = []
        self.aliases: list[AliasStep] = []
        self.tags = list(tags)
        self.header = HeaderCollector(header_limit)
        self.incoming: IIncoming | None = None
        self.queue_id = ""
        self.spoilt_by = "protocol"
        """The rule to name should the message fail before its end."""
        self._envelope = envelope
        self._seen: set[str] = set()

    @property
    def envelope(self) -> Envelope:
        """With the recipients accepted so far."""
        return replace(self._envelope, recipients=tuple(self.recipients))

    @property
    def declared_size(self) -> int:
        return self._envelope.declared_size or 0

    @property
    def smtputf8(self) -> bool:
        return self._envelope.smtputf8

    def add(self, recipients: Iterable[Recipient]) -> None:
        """Once for each mailbox or address, however many names it was given by.

        Only the host that an address belongs to knows whether ``Ann`` and ``ann`` are one
        (RFC 5321 section 2.4): of another host's, only what is spelt alike is the same."""
        for recipient in recipients:
            mailbox = recipient.mailbox
            key = (
                f"mailbox {mailbox.account}/{mailbox.folder}"
                if mailbox is not None
                else f"address {recipient.address}"
            )
            if key not in self._seen:
                self._seen.add(key)
                self.recipients.append(recipient)

    def final_envelope(self) -> Envelope:
        """With the folder that a policy chose, for those who were headed for the INBOX."""
        envelope = self.envelope
        folder = next((tag.folder for tag in reversed(self.tags) if tag.folder), "")
        if not folder:
            return envelope
        return replace(envelope, recipients=tuple(_into(folder, r) for r in envelope.recipients))

    def tag_fields(self) -> bytes:
        """The header fields that policies added, in the order they were added."""
        return b"".join(_field(name, value) for tag in self.tags for name, value in tag.headers)

    def abort(self) -> None:
        """Forget the message, if there is one; harmless after its commit."""
        if self.incoming is not None:
            self.incoming.abort()
            self.incoming = None


def _into(folder: str, recipient: Recipient) -> Recipient:
    mailbox = recipient.mailbox
    if mailbox is None or mailbox.folder:
        return recipient
    return replace(recipient, mailbox=replace(mailbox, folder=folder))


def _field(name: str, value: str) -> bytes:
    if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"a policy made a malformed header field {name!r}")
    text = value.replace("\r\n", "\n").replace("\n", "\r\n")
    return f"{name}: {text}\r\n".encode()
