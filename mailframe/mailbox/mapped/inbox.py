"""A mapped folder as POP3 sees it. Its uids there tell folders of one name apart, too: a client
that finds another mailbox under the same address fetches all of it."""

from __future__ import annotations

from collections.abc import Collection

from zope.interface import implementer

from mailframe.errors import MailboxBusy, MessageGone
from mailframe.interfaces import IMailbox, IMessageSource, MessageInfo
from mailframe.mailbox.mapped.folder import MappedFolder


@implementer(IMailbox)
class MappedInbox:
    """One for each session: what ``inbox`` of an account returns for POP3."""

    def __init__(self, folder: MappedFolder) -> None:
        self._folder = folder

    async def lock(self) -> None:
        if self._folder.held_by not in (None, self):
            raise MailboxBusy(self._folder.name)
        self._folder.held_by = self

    async def unlock(self) -> None:
        if self._folder.held_by is self:
            self._folder.held_by = None

    async def messages(self) -> tuple[MessageInfo, ...]:
        states = self._folder.messages.values()
        return tuple(
            MessageInfo(self._uid(state.uid), state.size, state.received) for state in states
        )

    async def open(self, uid: str) -> IMessageSource:
        for known in self._folder.messages:
            if self._uid(known) == uid:
                return await self._folder.open(known)
        raise MessageGone(uid[:100])

    async def remove(self, uids: Collection[str]) -> frozenset[str]:
        wanted = frozenset(uids)
        await self._folder.expunge(
            [uid for uid in self._folder.messages if self._uid(uid) in wanted]
        )
        return frozenset()

    def _uid(self, uid: int) -> str:
        return f"{self._folder.uid_validity}.{uid}"
