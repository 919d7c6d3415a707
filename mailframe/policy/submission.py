"""Submission: users send under their own addresses, and messages leave complete.

In force wherever somebody has logged in, and on submission listeners (RFC 6409), which
demand it. At MAIL the reverse-path must belong to the login; the null one is everybody's,
because a mail reader sends its disposition notifications with it (RFC 8098 section 3). At the
end of the data every author in From must belong to the login, and so must Sender. A missing
Date or Message-ID is added (RFC 6409 sections 8.2 and 8.3). Resent fields give no leave to
send under another's From.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address, AddressError
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.interfaces import IContent, IMailAccount, IMailPolicy, IMessagePolicy
from mailframe.message.headers import first, named
from mailframe.message.mailboxes import parse_mailboxes
from mailframe.message.trace import rfc5322_date
from mailframe.runtime.aio import result_of

LOGIN_REQUIRED = Reply(530, status.SECURITY_OTHER, "Authentication required")
NOT_YOUR_REVERSE_PATH = Reply(553, status.NOT_AUTHORIZED, "Sender address is not yours")
NOT_YOUR_FROM = Reply(550, status.NOT_AUTHORIZED, "An address in From or Sender is not yours")
NO_FROM = Reply(550, status.CONTENT_OTHER, "The message needs exactly one From field")
BAD_FROM = Reply(550, status.CONTENT_OTHER, "From or Sender cannot be understood")


@implementer(IMailPolicy, IMessagePolicy)
class SubmissionPolicy:
    """``hostname`` and ``next_id`` make Message-IDs, ``clock`` dates."""

    name = "submission"

    def __init__(self, hostname: str, clock: IReactorTime, next_id: Callable[[], str]) -> None:
        self._hostname = hostname
        self._clock = clock
        self._next_id = next_id

    def mail(self, session: Session, envelope: Envelope) -> Verdict | Awaitable[Verdict]:
        account = _account(session)
        if account is None:
            return _without_login(session)
        return self._mail(account, envelope.reverse_path)

    async def _mail(self, account: IMailAccount, sender: Address | None) -> Verdict:
        if sender is not None and not await result_of(account.owns(sender)):
            return NOT_YOUR_REVERSE_PATH
        return None

    def message(
        self, session: Session, envelope: Envelope, content: IContent
    ) -> Verdict | Awaitable[Verdict]:
        account = _account(session)
        if account is None:
            return _without_login(session)
        return self._message(account, content)

    async def _message(self, account: IMailAccount, content: IContent) -> Verdict:
        try:
            named_addresses = _origin(content.header)
        except AddressError:
            return BAD_FROM
        if not named_addresses:
            return NO_FROM
        for address in dict.fromkeys(named_addresses):
            if not await result_of(account.owns(address)):
                return NOT_YOUR_FROM
        return self._completed(content.header)

    def _completed(self, header: bytes) -> Tag | None:
        missing = []
        if first(header, "Date") is None:
            missing.append(("Date", rfc5322_date(self._clock.seconds())))
        if first(header, "Message-ID") is None:
            missing.append(("Message-ID", f"<{self._next_id()}@{self._hostname}>"))
        return Tag("completed", tuple(missing)) if missing else None


def _without_login(session: Session) -> Reply | None:
    """A stranger delivering mail to us is no business of this policy."""
    return LOGIN_REQUIRED if session.role is Role.SUBMISSION else None


def _account(session: Session) -> IMailAccount | None:
    """The avatar of a login, None before one."""
    avatar = session.avatar
    return IMailAccount(avatar) if avatar is not None else None


def _origin(header: bytes) -> list[Address]:
    """Every address in From and Sender; empty unless there is one From that names authors.

    Raises AddressError. RFC 5322 section 3.6: From once, Sender at most once, with one
    mailbox. More would let a reader show another one than was checked here.
    """
    origins = list(named(header, "From"))
    senders = list(named(header, "Sender"))
    if len(origins) != 1:
        return []
    authors = list(parse_mailboxes(origins[0].value))
    if not authors or not senders:
        return authors
    sender = [address for field in senders for address in parse_mailboxes(field.value)]
    if len(senders) > 1 or len(sender) != 1:
        raise AddressError("Sender names more or less than one mailbox")
    return authors + sender
