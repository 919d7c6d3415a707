"""The reactor of one process on a simulated host: time, TCP, UDP, Unix sockets, names.

It has of Twisted's reactor what a server uses, and the interfaces say so. A dead process's
reactor takes every call and does nothing: whatever still holds it is garbage. What only real
processes have raises NotImplementedError: threads, child processes, signals.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableDescriptor,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IReactorUNIX,
)
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.testing.network.names import SimNameResolver
from mailframe.testing.network.sockets import SimSocket
from mailframe.testing.network.timers import Timer, name_of
from mailframe.testing.network.transports import (
    SimConnector,
    SimPort,
    SimUdpPort,
    SimUnixConnector,
    SimUnixPort,
)

if TYPE_CHECKING:
    from mailframe.testing.network.host import Host


@implementer(
    IReactorTime,
    IReactorTCP,
    IReactorUDP,
    IReactorUNIX,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
)
class SimReactor:
    """``offset``: seconds that the machine's clock is ahead. ``deadly``: exceptions that end the
    machine instead of being logged, and ``on_deadly`` how. ``after_event``, when set, is called
    after each of its events."""

    log = Logger()
    running = True

    def __init__(self, host: Host) -> None:
        self.host = host
        self.network = host.network
        self.alive = True
        self.paused_until = 0.0
        self.offset = 0.0
        self.sockets: dict[SimSocket, None] = {}
        self.deadly: tuple[type[BaseException], ...] = ()
        self.on_deadly: Callable[[], object] = host.lose_power
        self.after_event: Callable[[], object] | None = None
        self.nameResolver: Any = SimNameResolver(self.network)
        self._triggers: list[tuple[str, str, Callable[..., Any], tuple[Any, ...], Any]] = []

    # IReactorTime

    def seconds(self) -> float:
        """What the machine's clock shows."""
        return self.network.now + self.offset

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> Timer:
        if delay < 0:
            raise AssertionError(f"{delay} is in the past")
        return self._call(delay, "timer", callable, args, kw)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self.network.waiting(self) if self.alive else []

    # IReactorFromThreads, and some of IReactorCore

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kw: object) -> None:
        self._call(0.0, "call", callable, args, kw)

    def callWhenRunning(self, callable: Callable[..., Any], *args: object, **kw: object) -> None:
        """Soon: the machine is running."""
        self._call(0.0, "call", callable, args, kw)

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., Any], *args: object, **kw: object
    ) -> Any:
        trigger = (phase, eventType, callable, args, kw)
        self._triggers.append(trigger)
        return trigger

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        self._triggers.remove(triggerID)

    def fireSystemEvent(self, eventType: str) -> None:
        """Call the triggers, phase after phase; nobody waits for their Deferreds."""
        triggers = [trigger for trigger in self._triggers if trigger[1] == eventType]
        for phase in ("before", "during", "after"):
            for trigger in triggers:
                if trigger[0] == phase:
                    self._triggers.remove(trigger)
                    trigger[2](*trigger[3], **trigger[4])

    def spawnProcess(self, *args: object, **kw: object) -> Any:
        raise NotImplementedError("there are no child processes in the simulation")

    def callInThread(self, *args: object, **kw: object) -> Any:
        raise NotImplementedError("there are no threads in the simulation: use machine.workers")

    def getThreadPool(self) -> Any:
        raise NotImplementedError("there are no threads in the simulation: use machine.workers")

    # IReactorTCP, IReactorUDP, IReactorUNIX

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> SimPort:
        listening = SimPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> SimConnector:
        connector = SimConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        make: Any = SimUdpPort
        listening = make(port, protocol, interface, maxPacketSize, self)
        listening.startListening()
        return listening

    def listenUNIX(
        self,
        address: str,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> SimUnixPort:
        """In a name space of the host's own, not on its disk."""
        listening = SimUnixPort(address, factory, backlog, self)
        listening.startListening()
        return listening

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> SimUnixConnector:
        connector = SimUnixConnector(address, factory, timeout, self)
        connector.connect()
        return connector

    # IReactorPluggableNameResolver

    def installNameResolver(self, resolver: Any) -> Any:
        self.nameResolver, before = resolver, self.nameResolver
        return before

    def resolve(self, name: str, timeout: Sequence[int] = ()) -> Any:
        """The first address of a name, as a Deferred."""
        return self.nameResolver.first(name)

    # What transports ask for

    def addReader(self, reader: Any) -> None:
        reader.socket.reader = reader
        reader.socket.notice()

    def addWriter(self, writer: Any) -> None:
        writer.socket.writer = writer
        writer.socket.notice()

    def removeReader(self, reader: Any) -> None:
        if (socket := getattr(reader, "socket", None)) is not None:
            socket.reader = None

    def removeWriter(self, writer: Any) -> None:
        if (socket := getattr(writer, "socket", None)) is not None:
            socket.writer = None

    # Running

    def enter(
        self, function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """Do it as this process, and log what goes wrong, as a reactor does."""
        self.network.current = self
        try:
            function(*args, **keywords)
        except self.deadly:
            self.on_deadly()
        except Exception:  # noqa: BLE001 - as Twisted's reactor: an error ends nothing
            self.log.failure("Unhandled error in {what}", what=name_of(function))
        finally:
            self.network.current = None
        if self.after_event is not None:
            self.after_event()

    def serve(self, socket: SimSocket) -> None:
        """One turn for the transport of a socket, as epoll's events would give it."""
        socket.is_due = False
        transport = socket.reader if socket.reader is not None else socket.writer
        if transport is None or socket.is_closed:
            return
        why: Any = None
        is_read = False
        if socket.has_broken():
            why, is_read = CONNECTION_DONE, True
        else:
            try:
                if socket.reader is not None and socket.is_readable():
                    is_read = True
                    why = socket.reader.doRead()
                if not why and socket.writer is not None and socket.is_writable():
                    is_read = False
                    why = socket.writer.doWrite()
            except self.deadly:
                raise
            except Exception:  # noqa: BLE001 - as Twisted's reactor: it ends the connection
                why = sys.exc_info()[1]
                self.log.failure("Unhandled error in a protocol")
        if why:
            self._disconnect(transport, why, is_read)
        socket.notice()

    def _disconnect(self, transport: Any, why: BaseException, is_read: bool) -> None:
        self.removeReader(transport)
        if (
            is_read
            and isinstance(why, ConnectionDone)
            and IHalfCloseableDescriptor.providedBy(transport)
        ):
            transport.readConnectionLost(Failure(ConnectionDone()))
            return
        self.removeWriter(transport)
        known = isinstance(why, ConnectionDone | ConnectionLost)
        transport.connectionLost(Failure(type(why)()) if known else Failure(why))

    def _call(
        self,
        delay: float,
        what: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
    ) -> Timer:
        timer = Timer(self.network.now + delay, self, what, function, args, keywords)
        if self.alive:
            self.network.put(timer)
        else:
            self.network.bury(timer)
        return timer
