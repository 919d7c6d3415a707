"""The messages in all inboxes, newest first: one for each that was sent.

What is sent to several recipients lies in the mailbox of each. Here the copies are one message
again, named by the queue id that the sender was told (``250 2.0.0 Ok: ID``), which the
transaction wrote into Received. What did not come by SMTP (APPEND, an import) is named by a
digest of its place.

Listings are remembered: events tell what this server does to mailboxes, and what other programs
do is seen within ``STALE`` seconds. Whether a message was read is known to this process only.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.core.events import MailboxEvent, MessageArrived
from mailframe.core.ids import time_of
from mailframe.errors import MailframeError, MessageGone
from mailframe.interfaces import (
    IMailbox,
    IMailboxEvents,
    IMessageSource,
    IWorkers,
    MessageInfo,
)
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.sources import read_and_close
from mailframe.web.reading import Reading, read_message
from mailframe.web.summaries import Head, Summary, read_head, summarize

OpenMailbox = Callable[[str, str], IMailbox | Awaitable[IMailbox]]
Accounts = Callable[[], Iterable[str] | Awaitable[Iterable[str]]]

STALE = 5.0
"""Seconds after which a listing is made anew though nothing was heard."""
MAX_SHOWN = 25 << 20
"""Octets of a message that are taken apart; the source has all of it."""
_AT_ONCE = 16  # mailboxes that mail is removed from together
_HEAD_OCTETS = 8 << 10
_SUMMARIES = 5_000
_HOUR = 3_600.0
_NO_HEAD = Head("", "", "", 0)


@dataclass(frozen=True, slots=True)
class Copy:
    """What one recipient has of it."""

    account: str
    uid: str
    size: int
    received: float
    head: Head


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    created: float
    """Seconds since the epoch."""
    copies: tuple[Copy, ...]
    """At least one."""

    @property
    def size(self) -> int:
        return self.copies[0].size

    @property
    def reverse_path(self) -> str:
        return self.copies[0].head.reverse_path

    @property
    def recipients(self) -> tuple[str, ...]:
        """Of the envelope."""
        return tuple(copy.head.recipient or copy.account for copy in self.copies)


class Catalogue:
    """Subscribes to ``events`` until ``stop``. ``changed`` is called after every change."""

    log = Logger()

    def __init__(
        self,
        accounts: Accounts,
        open_mailbox: OpenMailbox,
        *,
        events: IMailboxEvents,
        clock: IReactorTime,
        workers: IWorkers,
        changed: Callable[[], None],
    ) -> None:
        """``accounts()`` yields the names of all accounts, ``open_mailbox(account, folder)`` an
        IMailbox; either may be awaited. ``workers`` takes messages apart."""
        self._accounts = accounts
        self._open_mailbox = open_mailbox
        self._clock = clock
        self._workers = workers
        self._changed = changed
        self._stop = events.subscribe(self._heard)
        self._one_at_a_time = DeferredLock()
        self._dirty: set[str] = set()
        self._listed: dict[str, dict[str, MessageInfo]] = {}
        self._listed_at = -STALE
        self._heads: dict[tuple[str, str], Head] = {}
        self._messages: list[Message] = []
        self._by_id: dict[str, Message] = {}
        self._summaries: OrderedDict[str, Summary] = OrderedDict()
        self._read: set[str] = set()
        self._tags: dict[str, tuple[str, ...]] = {}
        self.arrived, self.arrived_size, self.removed = 0, 0, 0
        """Copies, octets and messages, since the start."""

    def stop(self) -> None:
        self._stop()

    # -- looking

    async def messages(self) -> Sequence[Message]:
        """All of them as they are now, newest first."""
        await self._refresh()
        return self._messages

    async def find(self, id: str) -> Message:
        """``latest`` is the newest. Raises MessageGone."""
        messages = await self.messages()
        found = messages[0] if id == "latest" and messages else self._by_id.get(id)
        if found is None:
            raise MessageGone(f"no message {id}")
        return found

    async def source(self, message: Message) -> IMessageSource:
        """As the first recipient has it. Raises MessageGone."""
        copy = message.copies[0]
        mailbox = await result_of(self._open_mailbox(copy.account, ""))
        return await result_of(mailbox.open(copy.uid))

    async def reading(self, message: Message) -> Reading:
        data, is_whole = await self._content(message)
        reading: Reading = await self._workers.run(read_message, data, is_whole)
        return reading

    async def summary(self, message: Message) -> Summary:
        """Raises MessageGone."""
        known = self._summaries.get(message.id)
        if known is None:
            data, is_whole = await self._content(message)
            known = await self._workers.run(summarize, data, is_whole)
            self._summaries[message.id] = known
            if len(self._summaries) > _SUMMARIES:
                self._summaries.popitem(last=False)
        return known

    async def _content(self, message: Message) -> tuple[bytes, bool]:
        data = await read_and_close(await self.source(message), MAX_SHOWN)
        return data, len(data) >= message.size

    def is_read(self, message: Message) -> bool:
        return message.id in self._read

    async def tags(self, message: Message) -> tuple[str, ...]:
        """Those that were set, else its own."""
        known = self._tags.get(message.id)
        return known if known is not None else (await self.summary(message)).tags

    @property
    def unread(self) -> int:
        """Of the messages last looked at."""
        return sum(message.id not in self._read for message in self._messages)

    # -- changing

    def mark(self, messages: Iterable[Message], is_read: bool) -> None:
        ids = {message.id for message in messages}
        before = len(self._read)
        self._read = self._read | ids if is_read else self._read - ids
        if len(self._read) != before:
            self._changed()

    def set_tags(self, message: Message, tags: Iterable[str]) -> None:
        self._tags[message.id] = tuple(dict.fromkeys(tags))
        self._changed()

    async def remove(self, messages: Collection[Message]) -> int:
        """From every mailbox, for good. Returns how many copies are still there because that
        failed."""
        by_account: dict[str, list[str]] = {}
        for message in messages:
            for copy in message.copies:
                by_account.setdefault(copy.account, []).append(copy.uid)
        left = 0
        accounts = list(by_account.items())
        for at in range(0, len(accounts), _AT_ONCE):
            removing = [as_deferred(self._remove(*each)) for each in accounts[at : at + _AT_ONCE]]
            left += sum([await each for each in removing])
        self.removed += len(messages)
        self._changed()
        return left

    async def _remove(self, account: str, uids: list[str]) -> int:
        self._dirty.add(account)
        try:
            mailbox = await result_of(self._open_mailbox(account, ""))
            return len(await result_of(mailbox.remove(uids)))
        except (MailframeError, OSError):
            self.log.failure("cannot remove mail of {account}", account=account)
            return len(uids)

    # -- knowing

    def _heard(self, event: MailboxEvent) -> None:
        self._dirty.add(event.account)
        if isinstance(event, MessageArrived) and not event.folder:
            # The new copy is read for its head anyway; what it was is not to be believed.
            self._heads.pop((event.account, event.uid), None)
            self.arrived += 1
            self.arrived_size += event.size
        self._changed()

    async def _refresh(self) -> None:
        await self._one_at_a_time.acquire()
        try:
            await self._look()
        finally:
            self._one_at_a_time.release()

    async def _look(self) -> None:
        names = list(await result_of(self._accounts()))
        now = self._clock.seconds()
        # A clock that was set back makes everything stale, too.
        is_stale = not 0 <= now - self._listed_at < STALE
        if is_stale:
            self._listed_at = now
        dirty, self._dirty = self._dirty, set()
        news = False
        for name in names:
            if is_stale or name in dirty or name not in self._listed:
                news |= await self._list(name)
        for name in self._listed.keys() - set(names):
            del self._listed[name]
            news = True
        if news:
            self._put_together()

    async def _list(self, account: str) -> bool:
        """Whether anything there is new or gone."""
        try:
            mailbox = await result_of(self._open_mailbox(account, ""))
            infos: tuple[MessageInfo, ...] = await result_of(mailbox.messages())
        except (MailframeError, OSError):
            infos = ()  # removed meanwhile; the others are still worth showing
        listed = {info.uid: info for info in infos}
        before = self._listed.get(account, {})
        for uid in listed:
            if (account, uid) not in self._heads:
                self._heads[account, uid] = await _head(mailbox, uid)
        for uid in before.keys() - listed.keys():
            self._heads.pop((account, uid), None)
        self._listed[account] = listed
        return before != listed

    def _put_together(self) -> None:
        groups: dict[str, list[Copy]] = {}
        for account, listed in self._listed.items():
            for uid, info in listed.items():
                head = self._heads.get((account, uid), _NO_HEAD)
                copy = Copy(account, uid, info.size, info.received, head)
                groups.setdefault(self._name_in(groups, copy), []).append(copy)
        messages = [_message(id, copies) for id, copies in groups.items()]
        messages.sort(key=lambda message: (message.created, message.id), reverse=True)
        self._messages = messages
        self._by_id = {message.id: message for message in messages}
        self._read &= self._by_id.keys()
        for remembered in (self._summaries, self._tags):
            for id in remembered.keys() - self._by_id.keys():
                del remembered[id]

    def _name_in(self, groups: dict[str, list[Copy]], copy: Copy) -> str:
        """The queue id, unless somebody put a message there that only says so: all copies are
        alike below what names the recipient, and nobody has two."""
        id = copy.head.queue_id
        others = groups.get(id, [])
        if id and all(
            other.account != copy.account
            and other.size - other.head.octets == copy.size - copy.head.octets
            for other in others
        ):
            return id
        place = f"{copy.account}\0{copy.uid}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(place, digest_size=11).hexdigest()


async def _head(mailbox: IMailbox, uid: str) -> Head:
    try:
        source: IMessageSource = await result_of(mailbox.open(uid))
        return read_head(await read_and_close(source, _HEAD_OCTETS))
    except (MailframeError, OSError):
        return _NO_HEAD


def _message(id: str, copies: list[Copy]) -> Message:
    first = min(copies, key=lambda copy: (copy.received, copy.uid))
    created = first.received
    if id == first.head.queue_id:
        try:
            at = time_of(id)
        except ValueError:  # a letter that no id has
            at = created
        # Finer than the second, unless it is somebody else's id.
        created = at if abs(at - created) < _HOUR else created
    return Message(id, created, tuple(sorted(copies, key=lambda copy: copy.uid)))
