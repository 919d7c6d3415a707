"""APPEND with MULTIAPPEND, CATENATE, BINARY and UTF8 (RFC 9051 6.3.12, RFC 3502, RFC 4469, RFC
3516, RFC 6855), REPLACE (RFC 8508): the engine's events onto ``IFolder.receive``.

Octets go to the folder as they come, and each chunk waits until the last one is stored: a slow
disk slows the client, and memory holds a chunk. All messages of a command are there at its
end, or none. What clients do wrong and what is made of it:

* Lines that end with LF alone get their CR. A lone CR stays.
* NUL, which only a literal8 may hold, is refused in any other (RFC 9051 section 4.3).
* A literal8 is looked at as a whole first: what only binary transport can carry is encoded
  anew, part by part (``message.downgrade``), and refused with [UNKNOWN-CTE] where that cannot be
  done without breaking it (RFC 3516 section 4.4).
* A message without a header, and an empty one, are mail all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mailframe.core.folders import AppendOutcome, NewMessage
from mailframe.interfaces.folders import IAppending, IFolder
from mailframe.protocols.imap.events import (
    AppendBegins,
    AppendBroken,
    AppendEnds,
    MessageBegins,
    MessageEnds,
    TextBegins,
    TextChunk,
    TextEnds,
    UrlGiven,
)
from mailframe.protocols.imap.events import (
    Appending as Event,
)
from mailframe.protocols.imap.responses import append_uid_code, ok
from mailframe.servers.channel import PeerGone
from mailframe.servers.imap_binary import BinaryMessage
from mailframe.servers.imap_catenate import copy_url
from mailframe.servers.imap_copy import target_folder
from mailframe.servers.imap_failures import trouble
from mailframe.servers.imap_outcome import Outcome, Refused, Status
from mailframe.servers.imap_replace import Replaced, remove_replaced, replaced
from mailframe.servers.imap_rights import storable
from mailframe.servers.imap_store import settable

if TYPE_CHECKING:
    from mailframe.servers.imap_conversation import Conversation


class LineEnds:
    """CR before every LF that has none; chunks are cut anywhere."""

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, chunk: bytes) -> bytes:
        head = b""
        if self._after_cr and chunk.startswith(b"\n"):
            head, chunk = b"\n", chunk[1:]
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        elif head:
            self._after_cr = False
        if chunk.count(b"\n") != chunk.count(b"\r\n"):
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return head + chunk


class Appending:
    """One conversation's APPENDs, one after the other."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._folder: IFolder | None = None
        self._receiving: IAppending | None = None
        self._replaced: Replaced | None = None
        self._lines = LineEnds()
        self._binary: BinaryMessage | None = None
        self._may_have_nul = False
        self._octets = 0  # of the message under way

    async def serve(self, event: Event) -> None:
        """Do what one event asks and tell the engine; whatever goes wrong ends the command."""
        try:
            outcome = await _SERVES[type(event)](self, event)
        except PeerGone:
            self.forget()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self.forget()
            outcome = self._failed(error)
        if outcome is None:
            self._talk.engine.proceed()
        else:
            self._talk.engine.finish(outcome.status, outcome.text, outcome.code)

    def forget(self) -> None:
        """Nothing of what came stays. Harmless where nothing is under way."""
        receiving, self._receiving = self._receiving, None
        binary, self._binary = self._binary, None
        self._folder = self._replaced = None
        if receiving is not None:
            receiving.abort()
        if binary is not None:
            binary.close()

    def _failed(self, error: Exception) -> Outcome:
        found = trouble(error)
        if not found.expected:
            self._talk.log_bug()
        code = found.outcome.code
        self._talk.record("refuse", f"NO [{code}]", rule="append", reason=str(error))
        return found.outcome

    # One method an event: the tagged response, or None to go on

    async def _begin(self, event: AppendBegins) -> None:
        self.forget()
        self._talk.tag = event.tag
        if event.replaces is not None:
            self._replaced = replaced(self._talk, event.replaces)
        self._folder = await target_folder(self._talk, event.mailbox)
        self._receiving = self._folder.receive()

    async def _begin_message(self, event: MessageBegins) -> None:
        folder, options = self._folder, event.options
        assert folder is not None
        limit = self._talk.factory.limits.append
        if limit and event.octets is not None and event.octets > limit:
            raise _too_big(limit)
        received = options.received.timestamp() if options.received is not None else None
        flags = storable(folder, settable(options.flags))
        self._lines = LineEnds()
        self._octets = 0
        self._may_have_nul = event.binary
        if event.binary:
            self._binary = BinaryMessage(self._talk.factory.workers)
        await self._store().begin(NewMessage(flags, received), event.octets)

    async def _begin_text(self, event: TextBegins) -> None:
        self._count(event.octets)

    async def _write(self, event: TextChunk) -> None:
        await self._take(event.data)

    async def _end_text(self, event: TextEnds) -> None:
        pass

    async def _copy_url(self, event: UrlGiven) -> None:
        await copy_url(self._talk, event.url, self._count, self._take)

    async def _end_message(self, event: MessageEnds) -> None:
        binary, self._binary = self._binary, None
        if binary is not None:
            try:
                await binary.copy_to(self._store().write)
            finally:
                binary.close()

    async def _end(self, event: AppendEnds) -> Outcome:
        outcome = await self._store().commit()
        self._receiving = None
        talk, gone = self._talk, self._replaced
        code = append_uid(outcome)
        if gone is None:
            self.forget()
            await talk.tell_news(expunges=True)
            return Outcome("APPEND completed", code)
        # RFC 8508 section 3.1: APPENDUID goes out before the old message leaves
        if code:
            talk.send(ok("The replacement is there", code))
        self.forget()
        left = await remove_replaced(gone)
        await talk.tell_news(expunges=True)
        if left:
            # Not NO: whoever tries again would have the new message twice.
            return Outcome(f"REPLACE completed, but the old message stays: {left}")
        return Outcome("REPLACE completed")

    async def _break(self, event: AppendBroken) -> None:
        self.forget()

    # Octets

    def _store(self) -> IAppending:
        assert self._receiving is not None, "the engine tells the beginning first"
        return self._receiving

    def _count(self, octets: int) -> None:
        """So many more want to come into this message."""
        self._octets += octets
        limit = self._talk.factory.limits.append
        if limit and self._octets > limit:
            raise _too_big(limit)

    async def _take(self, chunk: bytes) -> None:
        if self._binary is not None:
            await self._binary.write(chunk)
            return
        if b"\0" in chunk:
            raise Refused("NUL needs a literal8", "UNKNOWN-CTE")
        await self._store().write(self._lines.feed(chunk))


def append_uid(outcome: AppendOutcome) -> str:
    """RFC 4315 section 3, RFC 3502 section 6; none where uids do not last."""
    if not outcome.uid_validity or not outcome.uids:
        return ""
    return append_uid_code(outcome.uid_validity, outcome.uids)


def _too_big(limit: int) -> Refused:
    return Refused(f"A message may have {limit} octets", "TOOBIG", Status.NO)


_SERVES: dict[type[Event], Callable[[Appending, Any], Awaitable[Outcome | None]]] = {
    AppendBegins: Appending._begin,
    MessageBegins: Appending._begin_message,
    TextBegins: Appending._begin_text,
    TextChunk: Appending._write,
    TextEnds: Appending._end_text,
    UrlGiven: Appending._copy_url,
    MessageEnds: Appending._end_message,
    AppendEnds: Appending._end,
    AppendBroken: Appending._break,
}
