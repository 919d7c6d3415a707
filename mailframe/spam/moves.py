"""People who move mail to and from Junk teach the filter.

Into a folder for junk: it is spam. Out of one, but not to the trash: it is not. What a folder is
for says its special use (RFC 6154), which it may have by its name. Clients that do not know MOVE
copy and remove: a copy into junk counts as well, one out of it only where it goes to the INBOX,
for people collect spam, too. Nothing is learnt from APPEND, which is how mail is brought from
elsewhere, nor from ``$Junk`` and its like: clients set those by filters of their own, and what one
machine thinks of a message is no lesson for the next.
The messages are read where they lie now, by uid: what has been moved on or thrown away
meanwhile teaches nothing.

A move waits for none of it: lessons are learnt one after the other in the background. Of one
move at most ``most`` messages are learnt, and at most ``backlog`` wait, of all accounts together;
what is more is left out and logged. What waits when the server stops is forgotten.

Each lesson is journalled as ``learn``, under the message's own queue id where it came through
our queue, else under the account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailframe.core.events import MailboxEvent, MessagesCopied, MessagesMoved
from mailframe.errors import MessageGone
from mailframe.interfaces import IFilter, IFolder, IJournal, IMailboxEvents
from mailframe.message.headers import message_id
from mailframe.runtime.aio import Background
from mailframe.runtime.sources import read_and_close
from mailframe.spam.lessons import queue_id_of

JUNK = "\\Junk"
TRASH = "\\Trash"
_HEADER = 65_536  # octets in which the message's names are looked for
_INBOX = "INBOX"

OpenFolder = Callable[[str, str], Awaitable[IFolder]]
"""An account and the name of one of its own folders."""


@dataclass(frozen=True, slots=True)
class _Move:
    account: str
    folder: str
    uids: tuple[int, ...]
    is_spam: bool


class MoveLessons:
    log = Logger()

    def __init__(
        self,
        filter: IFilter,
        events: IMailboxEvents,
        open_folder: OpenFolder,
        journal: IJournal,
        *,
        hostname: str = "",
        most: int = 200,
        backlog: int = 2_000,
        max_size: int = 1 << 20,
    ) -> None:
        """``hostname``: by which our own Received fields are known. ``max_size``: octets of a
        message that are read."""
        self._filter = filter
        self._events = events
        self._open_folder = open_folder
        self._journal = journal
        self._hostname = hostname
        self._most = most
        self._backlog = backlog
        self._max_size = max_size
        self._moves: deque[_Move] = deque()
        self._waiting = 0
        self._is_learning = False
        self._background = Background()
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Listen to all accounts from now on."""
        if self._unsubscribe is None:
            self._unsubscribe = self._events.subscribe(self._happened, here=True)

    async def stop(self) -> None:
        """Listen no more, and forget what waits."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._moves.clear()
        await self._background.stop()

    def _happened(self, event: MailboxEvent) -> None:
        if not isinstance(event, (MessagesMoved, MessagesCopied)):
            return
        is_spam = judgement_of(event.source_use, event.target_use)
        if is_spam is None:
            return
        if isinstance(event, MessagesCopied) and not is_spam and event.target:
            return
        room = min(self._most, self._backlog - self._waiting)
        uids = event.uids[: max(0, room)]
        if len(uids) < len(event.uids):
            self.log.warn(
                "{left} of {all} messages that {account} moved are too many to learn from",
                left=len(event.uids) - len(uids), all=len(event.uids), account=event.account,
            )  # fmt: skip
        if not uids:
            return
        self._moves.append(_Move(event.account, event.target or _INBOX, uids, is_spam))
        self._waiting += len(uids)
        if not self._is_learning:
            self._background.start(self._learn_all(), "learn from moves")

    async def _learn_all(self) -> None:
        self._is_learning = True
        try:
            while self._moves:
                move = self._moves.popleft()
                await self._learn_move(move)
                self._waiting -= len(move.uids)
        finally:
            self._is_learning = False
            self._waiting = sum(len(move.uids) for move in self._moves)

    async def _learn_move(self, move: _Move) -> None:
        """What fails is logged; the next move has another chance."""
        try:
            folder = await self._open_folder(move.account, move.folder)
            for uid in move.uids:
                try:
                    message = await self._read(folder, uid)
                except MessageGone:
                    continue
                await self._learn(move, message)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the next account's lessons go on
            self.log.failure("learning what {account} moved failed", account=move.account)

    async def _read(self, folder: IFolder, uid: int) -> bytes:
        return await read_and_close(await folder.open(uid), self._max_size)

    async def _learn(self, move: _Move, message: bytes) -> None:
        is_new = await self._filter.learn(message, move.account, move.is_spam, "move")
        if is_new:
            header = message[:_HEADER]
            self._journal.record(
                queue_id_of(header, self._hostname) or move.account,
                "learn",
                "spam" if move.is_spam else "ham",
                account=move.account,
                message_id=message_id(header),
                reason="move",
            )


def judgement_of(source: Collection[str], target: Collection[str]) -> bool | None:
    """What a move between folders of these special uses says: True is spam; None: nothing."""
    was_junk, is_junk = _has(source, JUNK), _has(target, JUNK)
    if was_junk == is_junk or (was_junk and _has(target, TRASH)):
        return None
    return is_junk


def _has(uses: Collection[str], use: str) -> bool:
    # RFC 9051 section 7.3.1: attributes are not case-sensitive
    return any(each.lower() == use.lower() for each in uses)
