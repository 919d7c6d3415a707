"""What is in the inboxes, newest first, and what a list says of each message.

Headers are read only for the messages of the page that is asked for, and remembered: a
message never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from mailframe.errors import MailframeError, MessageGone
from mailframe.interfaces import IMailbox, IMessageSource, MessageInfo
from mailframe.message.headers import split_message
from mailframe.runtime.aio import result_of
from mailframe.runtime.sources import read_and_close
from mailframe.web.reading import summary_of

OpenMailbox = Callable[[str, str], IMailbox | Awaitable[IMailbox]]
Accounts = Callable[[], Iterable[str] | Awaitable[Iterable[str]]]

_HEADER_OCTETS = 64 << 10
_REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    account: str
    uid: str
    size: int
    received: float
    summary: dict[str, str]


class Inboxes:
    """The INBOX of every account, seen as one."""

    def __init__(self, accounts: Accounts, open_mailbox: OpenMailbox) -> None:
        self._accounts = accounts
        self._open_mailbox = open_mailbox
        self._summaries: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()

    async def page(self, start: int, count: int, account: str = "") -> tuple[list[Listed], int]:
        """``count`` messages from ``start`` on, newest first, and how many there are in all."""
        found: list[tuple[MessageInfo, str, IMailbox]] = []
        for name in await result_of(self._accounts()):
            if account in ("", name):
                found += await self._messages(name)
        found.sort(key=lambda item: (item[0].received, item[0].uid), reverse=True)
        listed = [await self._listed(*item) for item in found[start : start + count]]
        return listed, len(found)

    async def open(self, account: str, uid: str) -> tuple[MessageInfo, IMessageSource]:
        """Raises MessageGone for what is not there, the account included."""
        if account not in set(await result_of(self._accounts())):
            raise MessageGone(f"no account {account}")
        for info, _, mailbox in await self._messages(account):
            if info.uid == uid:
                return info, await result_of(mailbox.open(uid))
        raise MessageGone(f"no message {uid}")

    async def _messages(self, account: str) -> list[tuple[MessageInfo, str, IMailbox]]:
        try:
            mailbox = await result_of(self._open_mailbox(account, ""))
            infos: tuple[MessageInfo, ...] = await result_of(mailbox.messages())
        except (MailframeError, OSError):
            return []  # removed meanwhile; the others are still worth showing
        return [(info, account, mailbox) for info in infos]

    async def _listed(self, info: MessageInfo, account: str, mailbox: IMailbox) -> Listed:
        key = (account, info.uid)
        if key not in self._summaries:
            self._summaries[key] = await _summary(mailbox, info.uid)
            if len(self._summaries) > _REMEMBERED:
                self._summaries.popitem(last=False)
        return Listed(account, info.uid, info.size, info.received, self._summaries[key])


async def _summary(mailbox: IMailbox, uid: str) -> dict[str, str]:
    try:
        source: IMessageSource = await result_of(mailbox.open(uid))
        header, _ = split_message(await read_and_close(source, _HEADER_OCTETS))
    except MessageGone:
        header = b""
    return summary_of(header)
