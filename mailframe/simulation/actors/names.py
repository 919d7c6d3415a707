"""The DNS of the simulated world, and its moods.

One recursive name server that knows everything: MX, A, TXT and PTR of the world's hosts. Its
mood may change: silent, slow, SERVFAIL for all, every answer truncated so that it is asked
again by TCP, or a forger's answer with another id ahead of its own.
"""

from __future__ import annotations

import socket
import struct
from random import Random
from typing import Any

from twisted.internet.protocol import DatagramProtocol

from mailframe.simulation.record import Record
from mailframe.testing.network.talk import Serving, Talk

PORT = 53
MOODS = ("well", "silent", "slow", "servfail", "truncates", "forged", "hasty")
_A, _PTR, _MX, _TXT = 1, 12, 15, 16
_TTL = 60
_FORGED = "10.66.66.66"
_RESPONSE, _TRUNCATED, _SERVFAIL, _NXDOMAIN = 0x8180, 0x0200, 2, 3


class Zone:
    """Records by name and type, in wire format."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, int], list[bytes]] = {}
        self._names: set[str] = set()

    def mx(self, domain: str, host: str, preference: int = 10) -> None:
        self._add(domain, _MX, struct.pack("!H", preference) + _name(host))

    def address(self, host: str, ip: str) -> None:
        self._add(host, _A, socket.inet_aton(ip))
        self._add(".".join(reversed(ip.split("."))) + ".in-addr.arpa", _PTR, _name(host))

    def text(self, name: str, text: str) -> None:
        self._add(name, _TXT, bytes([len(text)]) + text.encode())

    def find(self, name: str, kind: int) -> list[bytes] | None:
        """None where there is no such name."""
        if name not in self._names:
            return None
        return self._records.get((name, kind), [])

    def _add(self, name: str, kind: int, data: bytes) -> None:
        self._records.setdefault((name, kind), []).append(data)
        self._names.add(name)


class NameServer(DatagramProtocol):
    def __init__(self, zone: Zone, reactor: Any, record: Record) -> None:
        self.mood = "well"
        self._zone = zone
        self._reactor = reactor
        self._record = record
        self._random = Random("name server")

    def listen(self, ip: str) -> None:
        self._reactor.listenUDP(PORT, self, interface=ip)
        self._reactor.listenTCP(PORT, Serving(self._reactor, self._by_tcp, 30.0), interface=ip)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._record.count("questions")
        if self.mood == "silent":
            return
        if self.mood == "slow":
            self._reactor.callLater(self._random.uniform(0.5, 6.0), self._send, datagram, addr)
        else:
            self._send(datagram, addr)

    def _send(self, question: bytes, addr: Any) -> None:
        assert self.transport is not None
        if self.mood == "forged":
            wrong = struct.pack("!H", struct.unpack("!H", question[:2])[0] ^ 0x5555)
            self.transport.write(wrong + self.answer(question, forged=True)[2:], addr)
        if self.mood == "truncates":
            self.transport.write(_reply(question, 0, [], _TRUNCATED), addr)
        else:
            self.transport.write(self.answer(question), addr)

    async def _by_tcp(self, talk: Talk) -> None:
        while True:
            (length,) = struct.unpack("!H", await talk.octets(2))
            answer = self.answer(await talk.octets(length))
            if self.mood == "hasty":
                talk.send(struct.pack("!H", len(answer)) + answer[: len(answer) // 2])
                return
            talk.send(struct.pack("!H", len(answer)) + answer)

    def answer(self, question: bytes, *, forged: bool = False) -> bytes:
        name, kind = _asked(question)
        if self.mood == "servfail":
            return _reply(question, _SERVFAIL, [])
        if forged and kind == _A:
            return _reply(question, 0, [socket.inet_aton(_FORGED)])
        found = self._zone.find(name, kind)
        if found is None:
            return _reply(question, _NXDOMAIN, [])
        return _reply(question, 0, found)


def _asked(question: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels).lower(), struct.unpack("!H", question[at + 1 : at + 3])[0]


def _reply(question: bytes, rcode: int, data: list[bytes], flags: int = 0) -> bytes:
    """RFC 1035 section 4: the question again, and answers that point to its name."""
    at = question.index(b"\0", 12) + 5
    asked = question[12:at]
    kind = struct.unpack("!H", asked[-4:-2])[0]
    header = question[:2] + struct.pack("!HHHHH", _RESPONSE | flags | rcode, 1, len(data), 0, 0)
    answers = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, _TTL, len(each)) + each for each in data
    )
    return header + asked + answers


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
