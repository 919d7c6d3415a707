"""Datagram sockets. What arrives too fast to be read is dropped, as kernels do."""

from __future__ import annotations

import errno
from collections import deque
from zlib import crc32

from mailframe.testing.network.sockets import Address, SimSocket, os_error

_MOST_WAITING = 256
_LARGEST = 65_507


class DatagramSocket(SimSocket):
    """Not connected it hears everybody, connected its peer alone."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._received: deque[tuple[bytes, Address]] = deque()

    def bind(self, address: Address) -> None:
        self.local = self.host.bindable(address, self.host.datagrams)
        self.host.datagrams[self.local[:2]] = self

    def connect(self, address: Address) -> None:
        self._check()
        # Another source address once connected, the same port; the table has it by the port.
        self.host.datagrams.pop(self.local[:2], None)
        self.local = self.host.source_for(self.local, address)
        self.host.datagrams[self.local[:2]] = self
        self.remote = address

    def send(self, data: bytes) -> int:
        self._check()
        if self.error:
            number, self.error = self.error, 0
            raise os_error(number)
        if self.remote is None:
            raise os_error(errno.EDESTADDRREQ)
        return self.sendto(data, self.remote)

    def sendto(self, data: bytes, address: Address) -> int:
        self._check()
        if len(data) > _LARGEST:
            raise os_error(errno.EMSGSIZE)
        network = self.host.network
        peer = self.host.reach(address)
        link = network.links.of(self.host.name, peer.name if peer else "")
        copies = 2 if link.duplicates and network.random.random() < link.duplicates else 1
        for _ in range(copies):
            if not (link.loss and network.random.random() < link.loss):
                source = self.host.source_for(self.local, address)
                network.schedule(
                    link.travel(), None, "", self._arrive, bytes(data), source, address
                )
        return len(data)

    def _arrive(self, data: bytes, source: Address, target: Address) -> None:
        network = self.host.network
        peer = self.host.reach(target)
        if peer is None or not peer.is_up:
            return
        link = network.links.of(self.host.name, peer.name)
        if link.blocks(self.host.name):
            return
        receiver = peer.datagram_socket(target)
        if receiver is not None and receiver.remote in (None, source, source[:2]):
            network.note(
                peer.name, "datagram", f"{source[0]}:{source[1]} {len(data)} {crc32(data)}"
            )
            receiver.take(data, source)
        elif not link.blocks(peer.name):
            # RFC 1122 section 4.1.3.1: ICMP says that the port is not in use.
            network.note(peer.name, "no port", f"{target[0]}:{target[1]}")
            network.schedule(link.travel(), None, "", self._hear_refusal)

    def _hear_refusal(self) -> None:
        if self.remote is not None and not self.is_closed:
            self.error = errno.ECONNREFUSED
            self.wake()

    def take(self, data: bytes, source: Address) -> None:
        if len(self._received) < _MOST_WAITING:
            self._received.append((data, source))
            self.wake()

    def recvfrom(self, size: int) -> tuple[bytes, Address]:
        self._check()
        if self.error:
            number, self.error = self.error, 0
            raise os_error(number)
        if not self._received:
            raise os_error(errno.EWOULDBLOCK)
        data, source = self._received.popleft()
        return data[:size], source

    def is_readable(self) -> bool:
        return bool(self._received)

    def is_writable(self) -> bool:
        return True

    def has_broken(self) -> bool:
        return bool(self.error) and not self._received

    def _let_go(self) -> None:
        if self.host.datagrams.get(self.local[:2]) is self:
            del self.host.datagrams[self.local[:2]]
