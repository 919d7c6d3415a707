"""A name server that misbehaves in a way of one's choice, while it knows the right answers.

Of every ``X.test`` it knows an SPF record that passes for 127/8, a DMARC record with p=reject
and the DKIM key ``s1``. Everything else does not exist.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.interop.peers.process import loopback_address

Answers = list[bytes]
"""Datagrams to be sent, none or many."""


class BadDns:
    """``mode`` is one of ``MODES`` and may be changed at any time; ``key`` the value of the TXT
    record of the DKIM keys. Names that begin with one of ``mute`` get no answer whatever the mode.
    """

    def __init__(self, key: str) -> None:
        self.mode = "honest"
        self.mute: tuple[str, ...] = ()
        self.questions: list[str] = []
        self._key = key
        self._is_open = True
        self.address = loopback_address()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.address, 0))
        self.port = int(self._udp.getsockname()[1])
        self._tcp = socket.socket()
        self._tcp.bind((self.address, self.port))
        self._tcp.listen(100)
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    @property
    def server(self) -> str:
        return f"{self.address}:{self.port}"

    def close(self) -> None:
        self._is_open = False
        for each in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    # what it knows

    def _truth(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        name = query.question[0].name.to_text().rstrip(".").lower()
        wants_text = query.question[0].rdtype == dns.rdatatype.TXT
        text = self._text(name) if wants_text else ""
        if text:
            pieces = [text[at : at + 250] for at in range(0, len(text), 250)]
            quoted = " ".join(f'"{piece}"' for piece in pieces)
            answer.answer.append(
                dns.rrset.from_text(query.question[0].name, 0, "IN", "TXT", quoted)
            )
        elif not name.endswith(".test"):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def _text(self, name: str) -> str:
        if not name.endswith(".test"):
            return ""
        if name.startswith("_dmarc."):
            return "v=DMARC1; p=reject" if name.count(".") == 2 else ""
        if name.startswith("s1._domainkey."):
            return self._key
        return "v=spf1 ip4:127.0.0.0/8 -all"

    # the transports

    def _serve_udp(self) -> None:
        while self._is_open:
            try:
                datagram, peer = self._udp.recvfrom(65_535)
            except OSError:
                return
            threading.Thread(target=self._answer_udp, args=(datagram, peer), daemon=True).start()

    def _answer_udp(self, datagram: bytes, peer: tuple[str, int]) -> None:
        try:
            query = dns.message.from_wire(datagram)
        except dns.exception.DNSException:  # what close() wakes us with
            return
        self.questions.append(query.question[0].to_text())
        if self.mute and query.question[0].name.to_text().startswith(self.mute):
            return
        with contextlib.suppress(OSError):
            for answer in _UDP[self.mode](self, query):
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while self._is_open:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_tcp, args=(connection,), daemon=True).start()

    def _answer_tcp(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            length = connection.recv(2)
            if len(length) < 2:  # not interested any more
                return
            size = struct.unpack("!H", length)[0]
            query = dns.message.from_wire(connection.recv(size))
            _TCP[self.mode](self, query, connection)

    # the ways to misbehave, by UDP

    def _honest(self, query: dns.message.Message) -> Answers:
        return [self._truth(query).to_wire()]

    def _silent(self, query: dns.message.Message) -> Answers:
        return []

    def _slow(self, query: dns.message.Message) -> Answers:
        time.sleep(0.4)
        return self._honest(query)

    def _late(self, query: dns.message.Message) -> Answers:
        time.sleep(2)
        return self._honest(query)

    def _nothing_exists(self, query: dns.message.Message) -> Answers:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.NXDOMAIN)
        return [answer.to_wire()]

    def _servfail(self, query: dns.message.Message) -> Answers:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.SERVFAIL)
        return [answer.to_wire()]

    def _refused(self, query: dns.message.Message) -> Answers:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.REFUSED)
        return [answer.to_wire()]

    def _wrong_id(self, query: dns.message.Message) -> Answers:
        answers = []
        for offset in range(1, 50):
            answer = dns.message.make_response(query)
            answer.id = (query.id + offset) % 65_536
            answer.set_rcode(dns.rcode.NXDOMAIN)
            answers.append(answer.to_wire())
        return answers

    def _another_name(self, query: dns.message.Message) -> Answers:
        other = dns.message.make_query("thief.example.", query.question[0].rdtype, id=query.id)
        answer = dns.message.make_response(other)
        answer.set_rcode(dns.rcode.NXDOMAIN)
        return [answer.to_wire()]

    def _garbage(self, query: dns.message.Message) -> Answers:
        id = struct.pack("!H", query.id)
        return [b"", b"\0", id, id + b"\x81\x80" + b"\xff" * 500, id + b"\xc0\x0c" * 200]

    def _loop(self, query: dns.message.Message) -> Answers:
        """Every name is another's alias, for ever."""
        answer = dns.message.make_response(query)
        name = query.question[0].name.to_text()
        target = f"a{len(self.questions)}.{name}" if len(name) < 200 else "again.test."
        answer.answer.append(dns.rrset.from_text(name, 0, "IN", "CNAME", target))
        return [answer.to_wire()]

    def _truncated(self, query: dns.message.Message) -> Answers:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.TC
        return [answer.to_wire()]

    # and by TCP

    def _whole(self, query: dns.message.Message, connection: socket.socket) -> None:
        _send(connection, self._truth(query).to_wire())

    def _full(self, query: dns.message.Message, connection: socket.socket) -> None:
        """As much as an answer can have: beside the truth, text that nobody needs."""
        answer = self._truth(query)
        name = query.question[0].name
        for number in range(235):
            text = '"' + f"{number} ".ljust(250, "x") + '"'
            answer.answer.append(dns.rrset.from_text(name, 0, "IN", "TXT", text))
        _send(connection, answer.to_wire(max_size=65_535))

    def _drip(self, query: dns.message.Message, connection: socket.socket) -> None:
        wire = self._truth(query).to_wire()
        for octet in struct.pack("!H", len(wire)) + wire:
            connection.sendall(bytes([octet]))
            time.sleep(1)

    def _hang_up(self, query: dns.message.Message, connection: socket.socket) -> None:
        connection.sendall(b"\xff\xff\0")

    def _other_id(self, query: dns.message.Message, connection: socket.socket) -> None:
        answer = self._truth(query)
        answer.id ^= 1
        _send(connection, answer.to_wire())


def _send(connection: socket.socket, wire: bytes) -> None:
    connection.sendall(struct.pack("!H", len(wire)) + wire)
    connection.recv(1)


_Udp = Callable[[BadDns, dns.message.Message], Answers]
_Tcp = Callable[[BadDns, dns.message.Message, socket.socket], None]
_UDP: dict[str, _Udp] = {
    "honest": BadDns._honest,
    "silent": BadDns._silent,
    "slow": BadDns._slow,
    "late": BadDns._late,
    "nothing-exists": BadDns._nothing_exists,
    "servfail": BadDns._servfail,
    "refused": BadDns._refused,
    "wrong-id": BadDns._wrong_id,
    "another-name": BadDns._another_name,
    "garbage": BadDns._garbage,
    "loop": BadDns._loop,
    "full": BadDns._truncated,
    "drip": BadDns._truncated,
    "hang-up": BadDns._truncated,
    "other-id": BadDns._truncated,
}
_TCP: dict[str, _Tcp] = dict.fromkeys(_UDP, BadDns._whole) | {
    "full": BadDns._full,
    "drip": BadDns._drip,
    "hang-up": BadDns._hang_up,
    "other-id": BadDns._other_id,
}
MODES = tuple(_UDP)
