"""One machine on the network: its kernel's tables, and the process that runs on it.

Processes come and go on a host: ``reactor`` is the present one's. When a process is killed the
kernel closes its sockets; when the power goes nobody says a word, and peers learn of it from
their timers, or when the host is up again and does not know their connections.
"""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING, TypeVar

from mailframe.testing.network.datagram import DatagramSocket
from mailframe.testing.network.reactor import SimReactor
from mailframe.testing.network.sockets import Address, SimSocket, os_error
from mailframe.testing.network.stream import ListeningSocket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailframe.testing.network.flow import Flow
    from mailframe.testing.network.network import SimNetwork

S = TypeVar("S", bound=SimSocket)

_ANY = ("", "0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "::1")
_EPHEMERAL = (32_768, 60_999)


class Host:
    """``SimNetwork.host`` makes it."""

    def __init__(self, network: SimNetwork, name: str, ips: tuple[str, ...]) -> None:
        self.network = network
        self.name = name
        self.ips = ips
        self.is_up = True
        self.incarnation = 1
        self.listeners: dict[Address, ListeningSocket] = {}
        self.datagrams: dict[Address, DatagramSocket] = {}
        self.reactor = SimReactor(self)
        self._unanswered: dict[Flow, None] = {}

    # Life and death

    def kill(self) -> None:
        """SIGKILL: nothing of the process runs any more, and the kernel closes its sockets.
        What it handed to the kernel before is still sent."""
        if self.reactor.alive:
            self.network.note(self.name, "killed", str(self.incarnation))
            self._end()
            for each in list(self.reactor.sockets):
                each.close()

    def lose_power(self) -> None:
        """Nothing is sent any more, not even what the kernel held."""
        if self.is_up:
            self.network.note(self.name, "power off", str(self.incarnation))
            self._end()
            self.is_up = False
            for each in list(self.reactor.sockets):
                each.lose_power()
            self.listeners.clear()
            self.datagrams.clear()

    def boot(self) -> SimReactor:
        """A new process, on a host that is up again if it was down."""
        if self.reactor.alive:
            raise RuntimeError(f"{self.name} is running")
        self.is_up = True
        self.incarnation += 1
        self.reactor = SimReactor(self)
        self.network.note(self.name, "booted", str(self.incarnation))
        unanswered, self._unanswered = self._unanswered, {}
        for flow in unanswered:
            # The peer sends again some day, and this kernel does not know the connection.
            pause = 30.0 * self.network.random.random()
            self.network.schedule(pause, None, "", flow.source.hear_reset)
        return self.reactor

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long: the kernel goes on, the process does not."""
        self.network.note(self.name, "paused", repr(seconds))
        until = self.network.now + seconds
        self.reactor.paused_until = max(self.reactor.paused_until, until)

    def set_clock(self, offset: float) -> None:
        """The machine's clock shows the network's time plus so many seconds. Timers do not
        move: they count seconds that pass."""
        self.network.note(self.name, "clock", repr(offset))
        self.reactor.offset = offset

    def _end(self) -> None:
        self.reactor.alive = False
        self.network.bury(self.reactor)

    def answer_dead(self, flow: Flow) -> None:
        """Something came for a connection from before the power went."""
        if self.is_up:
            self.network.schedule(flow.link.travel(), None, "", flow.source.hear_reset)
        else:
            self._unanswered[flow] = None

    # Addresses

    def reach(self, address: Address) -> Host | None:
        """Who answers at an address, seen from here; a path is here."""
        ip = address[0]
        return self if ip in _LOOPBACK or ip.startswith("/") else self.network.addresses.get(ip)

    def listener(self, address: Address) -> ListeningSocket | None:
        return _find(self.listeners, address)

    def datagram_socket(self, address: Address) -> DatagramSocket | None:
        return _find(self.datagrams, address)

    def bindable(self, address: Address, taken: Mapping[Address, SimSocket]) -> Address:
        """The address with a port; raises OSError. That of a Unix socket is a path, port 0."""
        if address[0].startswith("/"):
            return address[:2]
        ip, port = address[0] or _ANY[1], address[1]
        if ip not in _ANY and ip not in self.ips and ip not in _LOOPBACK:
            raise os_error(errno.EADDRNOTAVAIL)
        if port and (ip, port) in taken:
            raise os_error(errno.EADDRINUSE)
        while not port or (ip, port) in taken:
            port = self.network.random.randint(*_EPHEMERAL)
        return (ip, port, *address[2:])

    def source_for(self, bound: Address, target: Address) -> Address:
        """The local address of what goes to ``target``."""
        ip, port = bound[:2]
        if target[0].startswith("/"):
            return target
        if ip in _ANY:
            ip = target[0] if target[0] in _LOOPBACK else self._own(target[0])
        return (ip, port or self.network.random.randint(*_EPHEMERAL), *target[2:])

    def _own(self, peer: str) -> str:
        version = ipaddress.ip_address(peer).version
        for ip in self.ips:
            if ipaddress.ip_address(ip).version == version:
                return ip
        raise os_error(errno.ENETUNREACH)


def _find(table: dict[Address, S], address: Address) -> S | None:
    ip, port = address[:2]
    anywhere = "::" if ":" in ip else _ANY[1]
    return table.get((ip, port)) or table.get((anywhere, port))
