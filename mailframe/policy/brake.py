"""The brake on stolen accounts: what the owner would not do freezes the account.

Two signs, each in a sliding window: recipients that the account never wrote to before, in a
day; and recipients that do not exist or refuse its mail, in an hour, at RCPT or at their own
host. A list that somebody writes to again counts nothing, however long. An account that is new
here has everybody still to meet: for its first ``LEARNING`` seconds it may meet ``LEARNING_TIMES``
as many a day. That is no free ride for a thief, who finds the failures counted as ever.

A frozen account can log in and read its mail, but MAIL, RCPT and messages are put off with
450 4.7.1: nothing is lost while people sort it out, and what was frozen by mistake goes out by
itself afterwards. A session in the middle of sending thousands is stopped at its next command.
What it has in the queue is held too, owner and postmaster get one notice, and the journal has
``freeze`` in the story of the session or message that was one too many. ``mailframe user
release`` undoes it.

An account is the name of a login: of the directory, or of anybody's realm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.events import RecipientFailed
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.errors import TransientFailure
from mailframe.interfaces import (
    IContent,
    IJournal,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.policy.frozen import FrozenAccounts
from mailframe.policy.known_recipients import KnownRecipients
from mailframe.policy.rate_store import WindowStore
from mailframe.runtime.aio import Background

DAY = 86_400
HOUR = 3600
LEARNING = 7 * DAY
LEARNING_TIMES = 5

FROZEN = Reply(450, status.NOT_AUTHORIZED, "This account may not send for now")
_NEW = "new recipients per user in 86400"
_FAILED = "failed recipients per user in 3600"
_LAST_SECONDS = 10.0  # that the end of the process waits for what is under way


@implementer(IMailPolicy, IRecipientPolicy, IMessagePolicy, IRefusedPolicy)
class BrakePolicy:
    """
    new_recipients_per_day, failures_per_hour
        0: no limit. One more than that freezes.
    hold
        Hold what the account has in the queue; the ids of the messages.
    notify
        Tell owner and postmaster: the account, and why.
    store
        Started and stopped by its owner, after this was made.
    """

    name = "brake"
    log = Logger()

    def __init__(
        self,
        *,
        frozen: FrozenAccounts,
        known: KnownRecipients,
        store: WindowStore,
        clock: IReactorTime,
        journal: IJournal,
        notify: Callable[[str, str], Awaitable[None]],
        hold: Callable[[str], Awaitable[list[str]]],
        new_recipients_per_day: int = 200,
        failures_per_hour: int = 60,
        hold_queue: bool = True,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        """``is_ours``: whether it is this process that purges (``runtime.duty``)."""
        self._frozen = frozen
        self._known = known
        self._clock = clock
        self._journal = journal
        self._notify = notify
        self._hold = hold
        self._is_ours = is_ours
        self._new = store.windows(_NEW, DAY)
        self._failed = store.windows(_FAILED, HOUR)
        self.account_of: Callable[[Session], str | None] = _login
        """Who sends; set where there are other ways than a login (``IRelayPermission.account``)."""
        self._background = Background()
        self._purging = LoopingCall(self._purge)
        self._purging.clock = clock
        self.follow(new_recipients_per_day, failures_per_hour, hold_queue)

    def follow(self, new_recipients_per_day: int, failures_per_hour: int, hold_queue: bool) -> None:
        """Other limits from now on; what was counted still counts."""
        self._new_per_day = new_recipients_per_day
        self._failures_per_hour = failures_per_hour
        self._hold_queue = hold_queue

    async def start(self) -> None:
        """Before anybody is let in."""
        await self._frozen.start()
        self._purging.start(DAY)

    async def stop(self) -> None:
        """What is being done about a frozen account is finished first, as far as it can be: a
        notice waits for room on the disk longer than the end of the process may."""
        if self._purging.running:
            self._purging.stop()
        enough = self._clock.callLater(_LAST_SECONDS, self._background.stop)
        await self._background.ended()
        if enough.active():
            enough.cancel()

    # the stages

    def mail(self, session: Session, envelope: Envelope) -> Awaitable[None] | None:
        account = self.account_of(session)
        return self._must_be_free(account) if account is not None else None

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Awaitable[None] | None:
        account = self.account_of(session)
        return self._recipient(session, account, recipient) if account is not None else None

    def message(
        self, session: Session, envelope: Envelope, content: IContent
    ) -> Awaitable[None] | None:
        account = self.account_of(session)
        return self._must_be_free(account) if account is not None else None

    async def _recipient(self, session: Session, account: str, recipient: Recipient) -> None:
        await self._must_be_free(account)
        if not self._new_per_day:
            return
        try:
            is_new = await self._known.meet(account, recipient.address)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - without its memory the brake stops nobody
            self.log.failure("recipients of {account} cannot be kept", account=account)
            return
        if is_new:
            await self._met(account, session)

    def refused(self, session: Session, stage: str, reply: Reply) -> None:
        account = self.account_of(session)
        if stage == "rcpt" and reply.is_permanent and account is not None:
            self._count_failure(account, str(reply), session.id)

    def recipient_failed(self, event: RecipientFailed) -> None:
        """For the queue. Does not raise."""
        if event.account:
            self._count_failure(event.account, str(event.reply), event.queue_id)

    # counting

    async def _must_be_free(self, account: str) -> None:
        """Raises TransientFailure where it is frozen."""
        found = await self._frozen.find(account)
        if found is not None:
            raise TransientFailure(FROZEN, f"{account} is frozen: {found.reason}")

    async def _met(self, account: str, session: Session) -> None:
        now = self._clock.seconds()
        self._new.add(account, now)
        met, limit = self._new.total(account, now), self._new_per_day
        since = await self._known.since(account)
        if 0 <= now - since < LEARNING:
            limit *= LEARNING_TIMES
        if met > limit:
            reason = f"{met} recipients in a day that it never wrote to before (limit {limit})"
            await self._freeze(account, reason, session.id)
            raise TransientFailure(FROZEN, f"{account}: {reason}")

    def _count_failure(self, account: str, last: str, origin: str) -> None:
        if not self._failures_per_hour:
            return
        now = self._clock.seconds()
        self._failed.add(account, now)
        failed = self._failed.total(account, now)
        if failed > self._failures_per_hour:
            limit = self._failures_per_hour
            reason = f"{failed} failed recipients in an hour (limit {limit}), the last: {last}"
            self._background.start(self._freeze(account, reason, origin), f"freezing {account}")

    async def _freeze(self, account: str, reason: str, origin: str) -> None:
        """``origin``: id of the session or message that was one too many.

        Counting begins anew, so that who is released is not frozen again by what was counted
        before, even if the release comes while no server runs."""
        self._new.clear(account)
        self._failed.clear(account)
        if not await self._frozen.freeze(account, reason):
            return
        self._journal.record(origin, "freeze", account=account, reason=reason)
        self.log.warn("frozen: {account}: {reason}", account=account, reason=reason)
        self._background.start(self._hold_mail(account), f"holding mail of {account}")
        self._background.start(self._tell(account, reason), f"notice about {account}")

    async def _hold_mail(self, account: str) -> None:
        if self._hold_queue:
            for queue_id in await self._hold(account):
                self._journal.record(queue_id, "admin", "hold", reason=f"{account} is frozen")

    async def _tell(self, account: str, reason: str) -> None:
        await self._notify(account, reason)

    def _purge(self) -> Deferred[None]:
        if not self._is_ours():
            return succeed(None)
        return self._background.start(self._known.purge(), "purging known recipients")


def _login(session: Session) -> str | None:
    return session.account
