"""What the journal hears of an SMTP session: every refusal, login and accepted message.

Refusals are under the session's id, which the peer got as ``(ref ID)``; what happens to a
message is under the message's, with the session's beside it.
"""

from __future__ import annotations

from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.interfaces import Arrival, IJournal
from mailframe.servers.smtp_transaction import Transaction


class SessionStory:
    def __init__(self, journal: IJournal, session: Session) -> None:
        self._journal = journal
        self._session = session

    def record(self, step: str, result: str = "", **detail: str | int | list[str] | None) -> None:
        """A step of the session itself."""
        id = self._session.id
        self._journal.record(id, step, result, session=id, **detail)

    def refusal(self, stage: str, reply: Reply, rule: str, **detail: str | list[str]) -> None:
        self.record(
            "refuse",
            stage,
            rule=rule,
            reply=str(reply),
            peer=self._session.peer_ip,
            helo=self._session.helo,
            **detail,
        )

    def acceptance(
        self,
        transaction: Transaction,
        envelope: Envelope,
        arrival: Arrival,
        size: int,
        reply: Reply,
    ) -> None:
        """After the commit, and only then."""
        self._accepted(transaction, envelope, arrival, size, reply, "")

    def discarding(
        self,
        transaction: Transaction,
        envelope: Envelope,
        arrival: Arrival,
        size: int,
        reply: Reply,
    ) -> None:
        """It was taken, and goes to nobody: ``envelope`` is the one before that was decided."""
        self._accepted(transaction, envelope, arrival, size, reply, "discarded")
        self._journal.record(transaction.queue_id, "remove", session=self._session.id)

    def _accepted(
        self,
        transaction: Transaction,
        envelope: Envelope,
        arrival: Arrival,
        size: int,
        reply: Reply,
        result: str,
    ) -> None:
        record, queue_id = self._journal.record, transaction.queue_id
        record(
            queue_id,
            "accept",
            result,
            session=self._session.id,
            peer=arrival.peer_ip,
            listener=self._session.listener,
            helo=arrival.helo,
            account=arrival.account,
            reverse_path=reverse_path(envelope),
            forward_path=forward_paths(envelope),
            size=size,
            message_id=arrival.message_id,
            reply=str(reply),
        )
        for mark in transaction.marks:
            record(
                queue_id,
                "check",
                mark.rule,
                session=self._session.id,
                reason=mark.tag.reason,
                folder=mark.tag.folder,
            )
        for step in transaction.aliases:
            record(
                queue_id,
                "alias",
                session=self._session.id,
                forward_path=str(step.address),
                targets=[str(target) for target in step.targets],
            )


def reverse_path(envelope: Envelope) -> str:
    return str(envelope.reverse_path or "")


def forward_paths(envelope: Envelope) -> list[str]:
    return [str(recipient.address) for recipient in envelope.recipients]
