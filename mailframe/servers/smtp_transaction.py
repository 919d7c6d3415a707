"""One mail transaction: envelope, recipients, marks, and the message on its way in.

Everything that belongs to a message before its commit hangs here, so that dropping this
object drops all of it: nothing of one transaction can reach the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Recipient
from mailframe.core.verdict import FieldLine, Filing
from mailframe.interfaces import IIncoming
from mailframe.message.trace import field_line
from mailframe.servers.smtp_content import HeaderCollector
from mailframe.servers.smtp_policies import Mark


@dataclass(frozen=True, slots=True)
class AliasStep:
    """One address that became others, for the journal."""

    address: Address
    targets: tuple[Address, ...]


class Transaction:
    def __init__(self, envelope: Envelope, marks: list[Mark], header_limit: int) -> None:
        """``envelope`` has no recipients; ``marks`` are those of the session so far, and the
        transaction's own from now on."""
        self.recipients: list[Recipient] = []
        self.aliases: list[AliasStep] = []
        self.marks = marks
        self.header = HeaderCollector(header_limit)
        self.incoming: IIncoming | None = None
        self.queue_id = ""
        self.spoilt_by = "protocol"
        """The rule to name should the message fail before its end."""
        self.fields_kept = 0
        """How many marks have their fields in the spool already (``smtp_amend``)."""
        self._envelope = envelope
        self._with_recipients: Envelope | None = None
        self._seen: set[str] = set()

    @property
    def envelope(self) -> Envelope:
        """With the recipients accepted so far."""
        if not self.recipients:
            return self._envelope
        envelope = self._with_recipients
        if envelope is None:
            envelope = self._with_recipients = self._envelope.to(tuple(self.recipients))
        return envelope

    @property
    def declared_size(self) -> int:
        return self._envelope.declared_size or 0

    @property
    def is_binary(self) -> bool:
        return self._envelope.body is Body.BINARY

    @property
    def smtputf8(self) -> bool:
        return self._envelope.smtputf8

    def add(self, recipients: Iterable[Recipient]) -> None:
        """Once for each mailbox or address, however many names it was given by.

        Only the host that an address belongs to knows whether ``Ann`` and ``ann`` are one
        (RFC 5321 section 2.4): of another host's, only what is spelt alike is the same."""
        self._with_recipients = None
        for recipient in recipients:
            mailbox = recipient.mailbox
            if mailbox is None:
                key = f"address {recipient.address}"
            elif mailbox.courier:  # one program, to which each address means something
                key = f"{mailbox.courier} {mailbox.account}/{recipient.address.key}"
            else:
                key = f"mailbox {mailbox.account}/{mailbox.folder}"
            if key not in self._seen:
                self._seen.add(key)
                self.recipients.append(recipient)

    def remove(self, addresses: Collection[Address]) -> None:
        """Those whom the peer named by one of these."""
        keys = {address.key for address in addresses}
        kept = [r for r in self.recipients if (r.original or r.address).key not in keys]
        self.recipients, self._seen = [], set()
        self.add(kept)

    def remove_all(self) -> None:
        self.recipients, self._seen = [], set()
        self._with_recipients = None

    def change_sender(self, address: Address | None) -> None:
        self._envelope = replace(self._envelope, reverse_path=address)
        self._with_recipients = None

    def needs_eight_bits(self) -> None:
        """The body is no longer what the sender declared."""
        if self._envelope.body is Body.SEVEN_BIT:
            self._envelope = replace(self._envelope, body=Body.EIGHT_BIT)
            self._with_recipients = None

    def final_envelope(self) -> Envelope:
        """With the folders that policies chose, for those who were headed for the INBOX, and the
        fields meant for single mailboxes."""
        envelope = self.envelope
        if not self.marks:
            return envelope
        tags = [mark.tag for mark in self.marks]
        folder = next((tag.folder for tag in reversed(tags) if tag.folder), "")
        filings = [filing for tag in tags for filing in tag.filings]
        if not folder and not filings:
            return envelope
        filed = tuple(_filed(r, folder, filings) for r in envelope.recipients)
        return envelope.to(filed)

    def tag_fields(self, end: int | None = None) -> bytes:
        """The header fields that policies added, in the order they were added; of the marks up
        to ``end``."""
        if not self.marks:
            return b""
        marks = self.marks[self.fields_kept : end]
        lines = (line for mark in marks for line in mark.tag.headers)
        return b"".join(field_line(name, value) for name, value in lines)

    def abort(self) -> None:
        """Forget the message, if there is one; harmless after its commit."""
        if self.incoming is not None:
            self.incoming.abort()
            self.incoming = None


def _filed(recipient: Recipient, folder: str, filings: Sequence[Filing]) -> Recipient:
    mailbox = recipient.mailbox
    if mailbox is None:
        return recipient
    headers: tuple[FieldLine, ...] = ()
    for filing in filings:
        if filing.account == mailbox.account:
            folder = filing.folder or folder
            headers += filing.headers
    # A resolver that named a folder knows better.
    mailbox = replace(mailbox, folder=mailbox.folder or folder, headers=headers)
    return replace(recipient, mailbox=mailbox)
