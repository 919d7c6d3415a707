"""What a hook wants sent, kept until the hook has succeeded.

A hook that fails is called again and writes the same mail again, so nothing of it leaves before:
``post`` is called when the hook has returned, and hands all of it to the spool in order. Should
that break off halfway, what was spooled already goes out twice when the hook is called again.
Each message therefore has a Message-ID that depends on nothing but the message that the hook was
called for, the address, the hook, and how many it has written before: a repetition can be told.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from mailframe.core.address import Address
from mailframe.errors import MailframeError, PermanentFailure
from mailframe.hooks.hook import AppError
from mailframe.hooks.server import Server
from mailframe.interfaces import IOutbox
from mailframe.runtime.aio import result_of

MAX_MESSAGES = 1_000
"""That one call of a hook may send."""
MAX_OCTETS = 256 << 20
"""Of all of them together, for they wait in memory."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is ready for ``IOutbox.post``."""

    reverse_path: Address | None
    """Where bounces go; None: nowhere."""
    recipients: tuple[Address, ...]
    """Each once, those of Bcc included."""
    content: bytes
    """All of it, in wire format."""
    message_id: str
    """With its angle brackets."""


async def posted(outbox: IOutbox, letter: Letter) -> str:
    """Its queue id, once it is spooled. Raises what ``IOutbox.post`` does."""
    queue_id: str = await result_of(
        outbox.post(letter.reverse_path, letter.recipients, letter.content)
    )
    return queue_id


@dataclass(slots=True, eq=False)
class Dispatch:
    """What ``msg.reply``, ``forward`` and ``send`` return. May be awaited, which waits for nothing:
    the message goes out when the hook has succeeded."""

    letter: Letter | None
    """None: nothing is sent."""
    why: str = ""
    """Why nothing is sent; empty where something is, unless nobody took it."""
    queue_id: str | None = None
    """Known once it is in the queue, which is after the hook; None where nothing was sent."""

    @property
    def message_id(self) -> str:
        """With its angle brackets; empty where nothing is sent."""
        return self.letter.message_id if self.letter is not None else ""

    def __await__(self) -> Generator[None, None, Dispatch]:
        return self
        yield  # a generator that ends at once


class PostingFailed(MailframeError):
    """Not everything was spooled. What is ``done`` is, and goes out (or was not to); ``failed``
    and whatever follows it in ``left`` is not. The cause is why."""

    def __init__(
        self, done: Sequence[Dispatch], failed: Dispatch, left: Sequence[Dispatch]
    ) -> None:
        posted = sum(1 for dispatch in done if dispatch.queue_id is not None)
        super().__init__(
            f"{posted} messages were spooled, {failed.message_id} was not, "
            f"{len(left)} more were not tried"
        )
        self.done = tuple(done)
        self.failed = failed
        self.left = tuple(left)


@dataclass(eq=False)
class Outgoing:
    """Of one call of one hook for one message and address. Any thread may add to it."""

    server: Server
    id: str
    """Of the message that the hook is called for; anything that stays the same when it is called
    again."""
    hook: str
    address: Address | None = None
    written: list[Dispatch] = field(default_factory=list)
    """In order, those of which nothing is sent as well."""
    _numbers: int = 0
    _octets: int = 0
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    log = Logger()

    def next_id(self) -> str:
        """The Message-ID of the next message, with its angle brackets."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
        about = f"{self.hook}\0{self.address or ''}".encode("utf-8", "replace")
        digest = hashlib.blake2b(about, digest_size=6).hexdigest()
        return f"<{self.id}.{digest}.{number}@{self.server.hostname}>"

    def add(self, letter: Letter) -> Dispatch:
        """Raises AppError where there are too many, and once ``post`` or ``drop`` was called: the
        hook has come to its end, and this is a thread that was left running."""
        dispatch = Dispatch(letter)
        with self._lock:
            if self._closed:
                raise AppError(f"{self.hook}: its time is over, nothing more can be sent")
            if len(self.written) >= MAX_MESSAGES:
                raise AppError(f"{self.hook}: more than {MAX_MESSAGES} messages at once")
            if self._octets + len(letter.content) > MAX_OCTETS:
                raise AppError(f"{self.hook}: more than {MAX_OCTETS >> 20} MB at once")
            self._octets += len(letter.content)
            self.written.append(dispatch)
        return dispatch

    def refuse(self, why: str) -> Dispatch:
        """Note that something was not to be sent."""
        dispatch = Dispatch(None, why)
        with self._lock:
            if not self._closed and len(self.written) < MAX_MESSAGES:
                self.written.append(dispatch)
        return dispatch

    def __len__(self) -> int:
        """How many messages are to be sent."""
        return sum(1 for dispatch in self.written if dispatch.letter is not None)

    def drop(self) -> None:
        """The hook has failed: none of it is sent."""
        self._take()

    async def post(self, outbox: IOutbox) -> list[Dispatch]:
        """Spool all of it in order; the hook has succeeded. Returns what was written, each with its
        queue id, or with ``why`` where no recipient takes mail, which is logged: to ask again would
        change nothing. Raises PostingFailed at the first that cannot be spooled now."""
        written = self._take()
        done: list[Dispatch] = []
        for number, dispatch in enumerate(written):
            try:
                await self._post(outbox, dispatch)
            except CancelledError:
                raise
            except Exception as error:
                raise PostingFailed(done, dispatch, written[number + 1 :]) from error
            done.append(dispatch)
        return written

    async def _post(self, outbox: IOutbox, dispatch: Dispatch) -> None:
        letter = dispatch.letter
        if letter is not None:
            try:
                dispatch.queue_id = await posted(outbox, letter)
            except PermanentFailure as failure:
                dispatch.why = str(failure)
        if dispatch.why:
            self.log.info(
                "{hook} sends nothing for {id}: {why}", hook=self.hook, id=self.id, why=dispatch.why
            )

    def _take(self) -> list[Dispatch]:
        with self._lock:
            self._closed = True
            written, self.written = self.written, []
        return written
