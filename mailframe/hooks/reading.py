"""The message that is being judged, read once for all hooks that look at it.

It is in memory from the first hook that asks for it until the message is accepted, refused or
given up. All messages that are in memory for hooks, before the commit and after it, share a
bounded room: who finds none waits, and is put off where that takes too long.
"""

from __future__ import annotations

from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.session import Session
from mailframe.hooks.arrival import arrival_of_session, read_content
from mailframe.hooks.judging import Judging, judging
from mailframe.hooks.live import LiveHook
from mailframe.hooks.mail import Message
from mailframe.hooks.outgoing import Outgoing
from mailframe.hooks.room import Room
from mailframe.hooks.server import Server
from mailframe.interfaces import IContent

MEMORY = 256 << 20
"""Octets of messages in memory for hooks."""
PATIENCE = 30.0
"""Seconds that a peer waits for room."""
LARGE = 64 << 10
"""Octets of a message that a thread takes apart before an ``async def`` sees it."""


async def prepare(server: Server, hook: LiveHook, msg: Message) -> None:
    """Keep what takes long from the reactor's thread, where the hook runs there. Raises
    TransientFailure."""
    if hook.is_async and msg.size > LARGE:
        await server.workers.run(msg.prepare)


class Reading:
    """Of the messages of sessions, before the commit."""

    def __init__(self, server: Server, room: Room) -> None:
        self.server = server
        self._room = room

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Message:
        """As hooks see it now, with what was found out so far. Raises TransientFailure."""
        judged = judging(session)
        await self._read(judged, content)
        made_of = (session.found.auth, content.added)
        if judged.message is None or judged.made_of != made_of:
            judged.message = self._made(judged, session, envelope, content)
            judged.made_of = made_of
        return judged.message

    async def message_of(
        self,
        session: Session,
        envelope: Envelope,
        content: IContent,
        recipient: Recipient,
        outgoing: Outgoing,
    ) -> Message:
        """For a hook that may send something because of it."""
        judged = judging(session)
        await self._read(judged, content)
        return self._made(judged, session, envelope, content, recipient, outgoing)

    def _made(
        self,
        judged: Judging,
        session: Session,
        envelope: Envelope,
        content: IContent,
        recipient: Recipient | None = None,
        outgoing: Outgoing | None = None,
    ) -> Message:
        return Message(
            judged.raw,
            id=content.queue_id,
            envelope=envelope,
            arrival=arrival_of_session(session),
            auth=session.found.auth,
            address=recipient.address if recipient is not None else None,
            recipient=recipient,
            size=content.size,
            outgoing=outgoing,
            added=content.added,
            received=self.server.clock.seconds(),
        )

    async def _read(self, judged: Judging, content: IContent) -> None:
        if judged.content is content:
            return
        self.forget(judged)
        most = self.server.message_size or content.size
        octets = min(content.size, most)
        await self._room.enter(octets, PATIENCE)
        judged.reserved = octets
        judged.raw = await read_content(content, most)
        judged.content = content

    def forget(self, judged: Judging) -> None:
        """Harmless where nothing was read."""
        reserved, judged.reserved = judged.reserved, 0
        judged.content = judged.message = None
        judged.raw = b""
        if reserved:
            self._room.leave(reserved)
