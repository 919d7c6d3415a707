"""What the programs need around them, on loopback: a relay that keeps what it gets, and a name
server that knows one customer, whose mail comes from 127.0.0.1 and whose domain says so. It does
not ask anybody to refuse the rest: that is the program's affair."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections import Counter
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from aiosmtpd.controller import Controller

CUSTOMER = "ann@customer.test"
_RECORDS = {
    "customer.test.": "v=spf1 ip4:127.0.0.1 -all",
    "_dmarc.customer.test.": "v=DMARC1; p=none",
}
_ORDER = re.compile(rb"Order ([0-9]+) has arrived")
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)


_FIRST, _LAST = 20_000, 32_000
_given: set[int] = set()


def quiet_port() -> int:
    """A free one that the system gives to nobody. Where a server is away and clients go on trying,
    one of the others would some day be given to a client: it is connected with itself then, takes
    itself for the server, and the server cannot have its port back."""
    while True:
        port = secrets.choice(range(_FIRST, _LAST))
        with socket.socket() as probe:
            if port not in _given and probe.connect_ex(("127.0.0.1", port)):
                _given.add(port)
                return port


class Relay:
    """Where confirmations go. ``start`` and ``stop`` it as often as need be: the port stays."""

    def __init__(self) -> None:
        self.port = quiet_port()
        self.confirmed: Counter[int] = Counter()
        """Order -> confirmations."""
        self.repeated: Counter[tuple[int, str]] = Counter()
        """The same, by their Message-ID."""
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        found = _ORDER.search(envelope.original_content)
        if found is None or envelope.rcpt_tos != [CUSTOMER]:
            return "554 5.6.0 That is no confirmation"
        self.confirmed[int(found[1])] += 1
        message_id = _MESSAGE_ID.search(envelope.original_content)
        if message_id is not None:
            self.repeated[int(found[1]), message_id[1].decode("ascii", "replace")] += 1
        return "250 2.0.0 Ok"


class Names:
    """A name server on a port of its own, by UDP."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(4096)
            if not question:
                return
            self._socket.sendto(_answer(question), peer)


def _answer(question: bytes) -> bytes:
    query = dns.message.from_wire(question)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA | dns.flags.RA
    asked = query.question[0]
    name = asked.name.to_text().lower()
    if name not in _RECORDS:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif asked.rdtype == dns.rdatatype.TXT:
        text = f'"{_RECORDS[name]}"'
        record = dns.rrset.from_text(asked.name, 60, dns.rdataclass.IN, asked.rdtype, text)
        answer.answer.append(record)
    return answer.to_wire()
