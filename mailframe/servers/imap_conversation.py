"""What an IMAP server does about each event of the engine, and what of it is the same for every
command: dispatch, errors, what the selected folder has to tell afterwards.

A command is a function ``async def serve(talk: Conversation, command) -> Outcome`` in the
module of its family; the table of them (``imap_commands``) comes from outside. A function sends
untagged data with ``talk.send``, calls ``await talk.room()`` after every some ten kilobytes of
it, and lets errors go:
``imap_failures`` makes of FolderRefused ``NO [CODE]``, of what may pass ``NO [UNAVAILABLE]``,
of our bug ``NO [SERVERBUG]``, whose traceback is in the log under the session's id.

What changed in the selected folder is told after each command, and by ``draw`` between them
where the client idles or has asked for it (NOTIFY). Only one piece of work is under way at a
time, so nothing is ever told between the pieces of a response.

Knows no transport: whoever owns that provides a ``Channel``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailframe.core.folders import FolderChange
from mailframe.core.session import Session, TlsFacts
from mailframe.interfaces.folders import IFolder, IFolders
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import Close, Command, Idle, Logout
from mailframe.protocols.imap.engine import ImapEngine
from mailframe.protocols.imap.events import (
    Appending,
    Closing,
    CommandGiven,
    Event,
    IdentityProved,
    IdleEnds,
    Login,
    PasswordOffered,
    Pause,
    ProofWrong,
    StartTls,
    TokenOffered,
    VerifierWanted,
)
from mailframe.protocols.imap.states import State
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.servers import channel, imap_login
from mailframe.servers.channel import Nothing, PeerGone
from mailframe.servers.imap_announce import claim_recent, tell, tell_followers
from mailframe.servers.imap_failures import trouble
from mailframe.servers.imap_outcome import Outcome, Refused, Status
from mailframe.servers.imap_progress import Progress
from mailframe.servers.imap_selected import Selected

if TYPE_CHECKING:
    from mailframe.servers.imap import ImapFactory
    from mailframe.servers.imap_notify import Notification

__all__ = ["Channel", "Conversation", "PeerGone"]

T = TypeVar("T")


class Channel(channel.Channel, Protocol):
    """The connection, as far as a conversation needs it."""

    def compress(self) -> None:
        """From the next octet on, in both directions (RFC 4978)."""

    def flush(self) -> None:
        """Send what the engine has to say."""

    def wake(self) -> None:
        """There may be something to ``draw`` soon."""

    def logged_out(self) -> None:
        """Nobody is logged in any more (RFC 8437): the time for a login begins anew."""

    async def while_there(self, work: Deferred[T]) -> T:
        """What it yields; it is cancelled, and PeerGone raised, when the connection is lost."""


class Appender(Protocol):
    """What serves the events of APPEND and REPLACE."""

    async def serve(self, event: Any) -> None: ...

    def forget(self) -> None:
        """Drop what has come so far. Harmless where nothing is under way."""


class Commands(Protocol):
    """Everything that can be done for a client once it is logged in."""

    async def serve(self, talk: Conversation, command: Command) -> Outcome: ...

    def expunges_after(self, command: Command) -> bool:
        """Whether EXPUNGE may be sent before the command's tagged response."""

    def appender(self, talk: Conversation) -> Appender: ...


class Conversation:
    log = Logger()

    def __init__(
        self,
        factory: ImapFactory,
        session: Session,
        channel: Channel,
        commands: Commands,
        facts: TlsFacts | None,
    ) -> None:
        limits = factory.limits
        self.session = session
        self.factory = factory
        self.channel = channel
        self._commands = commands
        self.entry: imap_login.Entry | None = None
        self.selected: Selected | None = None
        self.notification: Notification | None = None
        self.tag = ""
        """Of the command under way."""
        self.afterwards: Callable[[], None] | None = None
        """Set by a command: what shall follow right after its tagged response."""
        self.idling = False
        self._progress = Progress(factory.clock, factory.limits.progress, self._tell_progress)
        self._appender: Appender | None = None
        self.engine = ImapEngine(
            factory.hostname,
            factory.authenticator.mechanisms,
            factory.nonces,
            tls_available=factory.tls is not None and factory.tls.can_serve,
            allow_plaintext=limits.allow_plaintext,
            channel_bindings=facts.channel_bindings if facts is not None else None,
            limits=limits.of_engine(),
            append_limit=limits.append,
        )

    # For the connection

    def draw(self) -> Coroutine[Any, Any, None] | Nothing:
        """What the client has not been told, where it may be told now; else the next event."""
        if self._may_push():
            return self._served(self._push())
        event = self.engine.next_event()
        if isinstance(event, Pause):
            return Nothing.FLUSH if event is Pause.OUTPUT else Nothing.WAIT
        return self._served(_SERVES[type(event)](self, event))

    def shut_down(self, text: str) -> None:
        self.engine.shut_down(text)

    def input_ended(self) -> None:
        """The client says no more, or is gone."""
        self._progress.hasten()

    async def finish(self) -> None:
        """The connection is gone and nothing is under way: give back what is held."""
        if self._appender is not None:
            self._appender.forget()
        self.forget_account()

    async def _served(self, work: Awaitable[None]) -> None:
        try:
            await work
        except PeerGone:
            pass  # ``finish`` cleans up
        except Exception:  # noqa: BLE001 - our bug must not leave the client without an end
            self.log_bug()
            self.channel.abort("internal error")
        finally:
            self._progress.stop()

    # For the functions of commands

    @property
    def folders(self) -> IFolders:
        """The account's, once logged in."""
        assert self.entry is not None, "the engine lets no such command in before the login"
        return self.entry.folders

    @property
    def rev2(self) -> bool:
        """IMAP4rev2 was enabled."""
        return "IMAP4REV2" in self.engine.enabled

    @property
    def condstore(self) -> bool:
        """MODSEQ belongs into every FETCH response (RFC 7162 section 3.1)."""
        return "CONDSTORE" in self.engine.enabled or self.qresync

    @property
    def qresync(self) -> bool:
        """VANISHED instead of EXPUNGE (RFC 7162 section 3.2.10)."""
        return "QRESYNC" in self.engine.enabled

    @property
    def uid_only(self) -> bool:
        """RFC 9586: UIDFETCH and VANISHED, no sequence number anywhere."""
        return "UIDONLY" in self.engine.enabled

    @property
    def utf8(self) -> bool:
        """Names go out as UTF-8, not as modified UTF-7."""
        return self.engine.utf8

    def send(self, octets: bytes) -> None:
        """Untagged responses, complete lines."""
        # What has begun to answer shows by itself that it goes on, and may be in the middle of a
        # literal.
        self._progress.stop()
        self.engine.send(octets)

    async def room(self) -> None:
        """Send what waits; return when the client has taken enough. Raises PeerGone."""
        await self.channel.room()

    async def while_there(self, work: Awaitable[T]) -> T:
        """What it yields. For what only reads and may take long: it is given up when there is
        nobody left to tell it to. Raises PeerGone."""
        return await self.channel.while_there(as_deferred(result_of(work)))

    def open_folder(self) -> Selected:
        """What is selected. Raises Refused (BAD) where nothing is."""
        if self.selected is None:
            raise Refused("No folder is selected", status=Status.BAD)
        return self.selected

    async def folder(self, name: str) -> IFolder:
        """A folder by its name, refreshed; the selected one where it is that."""
        folder = await self.folders.folder(name)
        # By its id: another client may have renamed it, and its old name may be another's.
        if self.selected is not None and self.selected.folder.mailbox_id == folder.mailbox_id:
            folder = self.selected.folder
        await folder.refresh()
        return folder

    def announce(self, *, expunges: bool) -> None:
        """Tell what the view has not been told. Updates of searches that go on (RFC 5267)
        follow after the command."""
        if self.selected is not None:
            self.selected.stirred = False
            tell(self, self.selected, self.selected.view.drain(expunges=expunges))

    def use_condstore(self) -> None:
        """A CONDSTORE-enabling command was given (RFC 7162 section 3.1)."""
        if self.condstore:
            return
        self.engine.enable({"CONDSTORE"})
        if self.selected is not None:
            code = responses.highest_modseq_code(self.selected.folder.highest_modseq)
            self.send(responses.ok("From here on", code))

    def abort(self, reason: str) -> None:
        """Hang up at once: nothing that could be said would be true."""
        self.channel.abort(reason)

    def count(self, messages: int, octets: int) -> None:
        """For the journal: so much mail was handed out."""
        if self.entry is not None:
            self.entry.fetched += messages
            self.entry.octets += octets

    def count_removed(self, messages: int) -> None:
        """For the journal."""
        if self.entry is not None:
            self.entry.removed += messages

    def record(self, step: str, result: str = "", **detail: Any) -> None:
        self.factory.journal.record(self.session.id, step, result, **detail)

    def log_bug(self) -> None:
        """The exception that is being handled is our fault."""
        self.log.failure("IMAP session {session}: unexpected error", session=self.session.id)

    # What is selected, and whose it is

    def select(self, selected: Selected) -> None:
        """Its folder tells this session from now on."""
        self.selected = selected

        def changed(change: FolderChange) -> None:
            selected.note(change)
            if self._may_push():
                self.channel.wake()

        selected.let_go = selected.folder.subscribe(changed)

    def deselect(self) -> None:
        """Harmless where nothing is selected. The engine is the caller's to tell."""
        selected, self.selected = self.selected, None
        if selected is not None:
            selected.close()

    def forget_account(self) -> None:
        """At the end, and for UNAUTHENTICATE. Harmless where nobody is logged in."""
        self.deselect()
        notification, self.notification = self.notification, None
        if notification is not None:
            notification.stop()
        entry, self.entry = self.entry, None
        if entry is not None:
            imap_login.leave(self, entry)

    # Telling between commands

    def _may_push(self) -> bool:
        """Whether something waits that may be told while no command is under way."""
        notification, selected = self.notification, self.selected
        if self.engine.state is State.LOGOUT:
            return False
        if notification is not None and notification.has_news():
            return True
        if selected is None or not selected.stirred:
            return False
        return self.idling or (notification is not None and notification.pushes)

    async def _push(self) -> None:
        # RFC 9051 section 7.5.1: EXPUNGE needs a command under way, and IDLE is one; RFC 5465
        # section 6.1 makes an exception for those who asked for it.
        notification = self.notification
        expunges = self.idling or (notification is not None and notification.pushes_expunges)
        await self.tell_news(expunges=expunges)
        await self.room()

    async def tell_news(self, *, expunges: bool) -> None:
        """All that the client has not been told: ``announce``, and what follows from it.

        Trouble on the way to what is told besides is no fault of the command before: what
        could not be told now is told another time."""
        selected, notification = self.selected, self.notification
        if selected is not None:
            selected.stirred = False
        if selected is not None and selected.view.has_news():
            await self._expecting_trouble(claim_recent(self, selected))
            if notification is None or notification.tells_selected:
                self.announce(expunges=expunges)
        if selected is not None and selected.told:
            await self._expecting_trouble(tell_followers(self, selected))
        if notification is not None and notification.has_news():
            await self._expecting_trouble(notification.tell(self))

    async def _expecting_trouble(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except PeerGone:
            raise
        except Exception as error:  # noqa: BLE001 - see ``tell_news``
            self._failed("news", error)

    # One method an event

    async def _command(self, event: CommandGiven) -> None:
        self.tag = event.tag
        if isinstance(event.command, Idle):
            await self._idle()
            return
        if not isinstance(event.command, Logout):
            self._progress.start()
        outcome = await self._outcome(event.command)
        self._progress.stop()
        self.engine.finish(outcome.status, outcome.text, outcome.code)
        after, self.afterwards = self.afterwards, None
        if after is not None:
            after()

    async def _outcome(self, command: Command) -> Outcome:
        try:
            outcome = await self._commands.serve(self, command)
        except PeerGone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            outcome = self._failed(type(command).__name__.lower(), error)
        # After BYE nothing is told; CLOSE tells of no EXPUNGE (RFC 9051 section 6.4.1).
        if not isinstance(command, Close | Logout):
            await self.tell_news(expunges=self._commands.expunges_after(command))
        return outcome

    def _failed(self, stage: str, error: Exception) -> Outcome:
        found = trouble(error)
        if not found.expected:
            self.log_bug()
        if not found.expected or found.outcome.code == "UNAVAILABLE":
            code, reason = found.outcome.code, str(error)
            self.record("refuse", f"NO [{code}]", rule=stage, reason=reason)
        return found.outcome

    async def _idle(self) -> None:
        self.engine.begin_idle()
        self.idling = True
        if self.selected is not None:
            # What the command before could not tell, IDLE can.
            self.selected.stirred = self.selected.view.has_news()

    async def _end_idle(self, event: IdleEnds) -> None:
        self.idling = False
        await self.tell_news(expunges=True)
        self.engine.finish(Status.OK, "Idle ended")

    async def _start_tls(self, event: StartTls) -> None:
        facts = await self.channel.start_tls()
        self.engine.tls_started(facts.channel_bindings if facts is not None else {})

    async def _log_in(self, event: Login) -> None:
        await imap_login.serve(self, event)

    async def _append(self, event: Appending) -> None:
        if self._appender is None:
            self._appender = self._commands.appender(self)
        await self._appender.serve(event)

    async def _close(self, event: Closing) -> None:
        self.channel.close(event.reason)

    def _tell_progress(self) -> None:
        self.engine.send(responses.in_progress(self.tag))
        self.channel.flush()


_SERVES: dict[type[Event], Callable[[Conversation, Any], Awaitable[None]]] = {
    CommandGiven: Conversation._command,
    IdleEnds: Conversation._end_idle,
    StartTls: Conversation._start_tls,
    PasswordOffered: Conversation._log_in,
    TokenOffered: Conversation._log_in,
    IdentityProved: Conversation._log_in,
    ProofWrong: Conversation._log_in,
    VerifierWanted: Conversation._log_in,
    Closing: Conversation._close,
}
_SERVES.update(dict.fromkeys(Appending.__args__, Conversation._append))
