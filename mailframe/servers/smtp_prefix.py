"""What this server writes in front of a message, and what it notes of its arrival."""

from __future__ import annotations

from mailframe.core.authentication import NOT_CHECKED
from mailframe.core.envelope import Envelope
from mailframe.core.session import Session
from mailframe.interfaces import Arrival
from mailframe.mailauth.results import authentication_results
from mailframe.message import trace
from mailframe.servers.smtp_settings import SmtpParts
from mailframe.servers.smtp_transaction import Transaction


def arrival_of(parts: SmtpParts, session: Session, envelope: Envelope, message_id: str) -> Arrival:
    return Arrival(
        session_id=session.id,
        peer_ip=session.peer_ip,
        helo=session.helo,
        account=session.account,
        protocol=trace.with_protocol(
            parts.role,
            esmtp=session.esmtp,
            tls=session.tls is not None,
            authenticated=session.account is not None,
            smtputf8=envelope.smtputf8,
        ),
        message_id=message_id,
    )


def results(parts: SmtpParts, session: Session) -> bytes:
    """Authentication-Results: what the checks said, for whoever reads the message (RFC 8601)."""
    auth = session.found.auth
    if auth is NOT_CHECKED:
        return b""
    value = authentication_results(parts.authserv_id, auth)
    return trace.field_line("Authentication-Results", value) if value else b""


def received(
    parts: SmtpParts,
    session: Session,
    transaction: Transaction,
    envelope: Envelope,
    arrival: Arrival,
) -> bytes:
    """The Received field."""
    recipients = envelope.recipients
    # RFC 5321 section 4.4: FOR only with one recipient, or blind copies would show
    single = recipients[0] if len(recipients) == 1 else None
    address = (single.original or single.address) if single else None
    # A host without SMTPUTF8 may well get this message: our field must not be what
    # keeps it from going there.
    utf8 = envelope.smtputf8 and not transaction.header.header.isascii()
    return trace.received_field(
        helo=session.helo,
        peer_ip=session.peer_ip,
        by=parts.hostname,
        protocol=arrival.protocol,
        queue_id=transaction.queue_id,
        seconds=parts.seconds(),
        recipient=address if address is not None and address.domain else None,
        tls=session.tls,
        utf8=utf8,
    )
