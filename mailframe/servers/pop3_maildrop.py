"""An account's inbox while a POP3 session holds it: locked, counted, given back once."""

from __future__ import annotations

from collections.abc import Collection

from twisted.logger import Logger

from mailframe.interfaces import (
    IMailAccount,
    IMailbox,
    IMessageSource,
    IReadsAhead,
    MessageInfo,
)
from mailframe.runtime.aio import result_of


class OpenMaildrop:
    """Made by ``open``. Whoever holds it calls ``release``, once, and lets go of it."""

    log = Logger()

    def __init__(
        self, account: IMailAccount, mailbox: IMailbox, messages: tuple[MessageInfo, ...]
    ) -> None:
        self.name: str = account.name
        self.messages = messages
        self.retrieved = 0
        """Messages handed out in full, for the journal; TOP does not count."""
        self.octets = 0
        self.removed = 0
        self._account = account
        self._mailbox = mailbox
        self._reads_ahead = mailbox if IReadsAhead.providedBy(mailbox) else None

    @classmethod
    async def open(cls, account: IMailAccount) -> OpenMaildrop:
        """Lock the inbox and take its snapshot. Raises MailboxBusy, a Failure, or worse;
        then the avatar is logged out and nothing is held."""
        try:
            mailbox = await result_of(account.inbox())
            await mailbox.lock()
            try:
                return cls(account, mailbox, await mailbox.messages())
            except BaseException:
                await mailbox.unlock()
                raise
        except BaseException:
            account.logout()
            raise

    def at_hand(self, uid: str) -> bytes | None:
        """The whole message, where it is in memory already."""
        return self._reads_ahead.at_hand(uid) if self._reads_ahead is not None else None

    async def message(self, uid: str) -> IMessageSource:
        """Raises MessageGone."""
        return await self._mailbox.open(uid)

    def handed_out(self, octets: int) -> None:
        """A message, in full."""
        self.retrieved += 1
        self.octets += octets

    async def remove(self, uids: Collection[str]) -> int:
        """Remove for good; returns how many are still there."""
        if not uids:
            return 0
        left = await self._mailbox.remove(uids)
        self.removed += len(uids) - len(left)
        return len(left)

    async def release(self) -> None:
        """Unlock and log the avatar out."""
        try:
            await self._mailbox.unlock()
        except Exception:  # noqa: BLE001 - the avatar has to be logged out all the same
            self.log.failure("cannot unlock the mailbox of {account}", account=self.name)
        finally:
            self._account.logout()
