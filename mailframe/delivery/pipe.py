"""The ``pipe`` courier: the message into the standard input of a program, one run for each
recipient.

No shell takes part: the command line is split once, when the setting is read, and addresses
reach the program in environment variables only:

    SENDER              reverse-path, empty for ``<>``
    RECIPIENT           forward-path
    LOCAL_PART, DOMAIN  its halves
    ORIGINAL_RECIPIENT  what the peer had named, where an alias made another of it
    QUEUE_ID, SIZE      of the message
    PATH, LANG          fixed

Lines end with LF, as programs of Unix expect. ``Return-Path`` and ``Delivered-To`` come
first. A program that runs too long is told to end (SIGTERM) and then made to (SIGKILL).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure as TwistedFailure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.delivery.nexthop import Kind, parse_next_hop
from mailframe.delivery.prefix import delivered_to, prefix, refuse_loop
from mailframe.delivery.sysexits import reply_for
from mailframe.errors import INTERNAL_ERROR, Failure, TransientFailure
from mailframe.interfaces import Batch, ICourier, IMessageSource, IStoredMessage
from mailframe.runtime.aio import as_deferred, result_of

_CHUNK = 65_536
_PATH = "/usr/local/bin:/usr/bin:/bin"
_GRACE_SECONDS = 5.0
_CANNOT_START = Reply(451, status.SYSTEM_OTHER, "The program cannot be started")


class Spawns(Protocol):
    """What is needed of the reactor: IReactorProcess and IReactorTime."""

    def spawnProcess(self, *args: Any, **kwargs: Any) -> Any: ...

    def callLater(self, delay: float, callable: Any, *args: Any) -> Any: ...


@implementer(ICourier)
class PipeCourier:
    """``Batch.next_hop`` is ``pipe:/path/to/program argument ...``."""

    name = "pipe"
    log = Logger()

    def __init__(
        self,
        reactor: Spawns,
        *,
        timeout: float = 300.0,
        max_output: int = 4096,
        can_run: Callable[[str], bool] = lambda path: os.access(path, os.X_OK),
    ) -> None:
        """``timeout`` in seconds for a run; of what the program writes, ``max_output``
        octets are kept for the report and the rest is thrown away."""
        self._reactor = reactor
        self._timeout = timeout
        self._max_output = max_output
        self._can_run = can_run

    def deliver(self, batch: Batch) -> Deferred[Sequence[DeliveryReport]]:
        return as_deferred(self._deliver(batch))

    async def _deliver(self, batch: Batch) -> list[DeliveryReport]:
        command = _command(batch.next_hop)
        seen = await delivered_to(batch.message)
        reports = []
        for recipient in batch.recipients:
            try:
                refuse_loop(recipient, seen)
                reply, detail = await self._run(command, batch.message, recipient), ""
            except Failure as failure:
                reply, detail = failure.reply, failure.detail
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - the other recipients' reports must not be lost
                self.log.failure("{queue_id}: pipe broke", queue_id=batch.message.queue_id)
                reply, detail = INTERNAL_ERROR, ""
            reports.append(_report(recipient, reply, detail))
        return reports

    async def _run(
        self, command: Sequence[str], message: IStoredMessage, recipient: Recipient
    ) -> Reply:
        if not self._can_run(command[0]):
            # Found out by exec, in the child, it would read like output of the program.
            raise TransientFailure(_CANNOT_START, f"{command[0]} is missing or not executable")
        run = _Run(self._reactor, self._timeout, self._max_output)
        try:
            self._reactor.spawnProcess(
                run, command[0], list(command), env=_environment(message, recipient), path="/"
            )
        except OSError as error:
            raise TransientFailure(_CANNOT_START, str(error)) from None
        try:
            await run.feed(prefix(message, recipient), await result_of(message.open()))
            return await run.ended
        except BaseException:
            run.kill()
            raise


def _report(recipient: Recipient, reply: Reply, detail: str) -> DeliveryReport:
    outcome = Outcome.DELIVERED if reply.is_positive else Outcome.DEFERRED
    if reply.is_permanent:
        outcome = Outcome.FAILED
    return DeliveryReport(recipient, outcome, reply, detail=detail)


@implementer(IPushProducer)
class _Run(ProcessProtocol):
    """One run of the program. ``ended`` fires with the reply once it has exited."""

    transport: Any

    def __init__(self, reactor: Spawns, timeout: float, max_output: int) -> None:
        self.ended: Deferred[Reply] = Deferred()
        self._reactor = reactor
        self._output = b""
        self._max_output = max_output
        self._late = False
        self._reading = True  # whether the program still takes input
        self._paused: Deferred[None] | None = None
        self._timer = reactor.callLater(timeout, self._too_late)

    async def feed(self, first: bytes, source: IMessageSource) -> None:
        """The message as lines ending with LF. A program may stop reading when it likes."""
        lines = _UnixLines()
        self.transport.registerProducer(self, True)
        try:
            self.transport.writeToChild(0, lines.feed(first))
            while self._reading and (chunk := await source.read(_CHUNK)):
                if self._reading:
                    self.transport.writeToChild(0, lines.feed(chunk))
                if self._paused is not None:
                    await self._paused
        finally:
            source.close()
            if self._reading:
                self.transport.writeToChild(0, lines.finish())
                self.transport.unregisterProducer()
                self.transport.closeStdin()

    def kill(self) -> None:
        self._signal("KILL")

    def outReceived(self, data: bytes) -> None:
        self._output += data[: self._max_output - len(self._output)]

    errReceived = outReceived

    def inConnectionLost(self) -> None:
        self._reading = False
        self.resumeProducing()

    def processEnded(self, reason: TwistedFailure) -> None:
        self._reading = False
        if self._timer.active():
            self._timer.cancel()
        self.resumeProducing()
        if not self.ended.called:
            self.ended.callback(self._reply(reason.value))

    def _reply(self, ending: Any) -> Reply:
        if self._late:
            return Reply(451, status.SYSTEM_OTHER, "The program took too long")
        if ending.exitCode is None:
            return Reply(451, status.SYSTEM_OTHER, f"The program died of signal {ending.signal}")
        return reply_for(ending.exitCode, self._output.decode("utf-8", "replace"))

    def _too_late(self) -> None:
        self._late = True
        self._signal("TERM")
        self._timer = self._reactor.callLater(_GRACE_SECONDS, self.kill)

    def _signal(self, name: str) -> None:
        with contextlib.suppress(ProcessExitedAlready):  # that is what was wanted
            self.transport.signalProcess(name)

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.called:
            paused.callback(None)

    def stopProducing(self) -> None:
        self._reading = False
        self.resumeProducing()


class _UnixLines:
    """CRLF to LF, in any split."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        return data[: len(data) - len(self._held)].replace(b"\r\n", b"\n")

    def finish(self) -> bytes:
        return self._held


def _command(next_hop: str) -> tuple[str, ...]:
    try:
        hop = parse_next_hop(next_hop)
        if hop.kind is Kind.PIPE:
            return hop.command
        problem = "not a pipe"
    except ValueError as error:
        problem = str(error)
    reply = Reply(451, status.UNABLE_TO_ROUTE, "The next hop is not understood")
    raise TransientFailure(reply, problem)


def _environment(message: IStoredMessage, recipient: Recipient) -> dict[str, str]:
    reverse_path = message.envelope.reverse_path
    values = {
        "SENDER": str(reverse_path or ""),
        "RECIPIENT": str(recipient.address),
        "LOCAL_PART": recipient.address.local_part,
        "DOMAIN": recipient.address.domain,
        "ORIGINAL_RECIPIENT": str(recipient.original or recipient.address),
        "QUEUE_ID": message.queue_id,
        "SIZE": str(message.size),
    }
    return values | {"PATH": _PATH, "LANG": "C.UTF-8"}
